-- The tables of ERIOP that its seed and its load test touch, column by column as
-- its migrations leave them: keys without defaults, "defaults" only in its ORM.
CREATE TYPE userrole AS ENUM ('system_admin', 'agency_admin', 'commander', 'dispatcher', 'field_unit_leader', 'responder', 'public_user');
CREATE TYPE alertsource AS ENUM ('fundamentum', 'alarm_system', 'axis_microphone', 'security_system', 'manual', 'external_api', 'iot_telemetry');
CREATE TYPE alertseverity AS ENUM ('critical', 'high', 'medium', 'low', 'info');
CREATE TYPE alertstatus AS ENUM ('pending', 'acknowledged', 'processing', 'resolved', 'dismissed');
CREATE TYPE incidentcategory AS ENUM ('fire', 'medical', 'police', 'rescue', 'traffic', 'weather', 'hazmat', 'utility', 'intrusion', 'assault', 'theft', 'threat', 'welfare_check', 'civil_assistance', 'training', 'other');
CREATE TYPE incidentstatus AS ENUM ('new', 'assigned', 'en_route', 'on_scene', 'resolved', 'closed');
CREATE TYPE resourcetype AS ENUM ('personnel', 'vehicle', 'equipment');
CREATE TYPE resourcestatus AS ENUM ('available', 'assigned', 'en_route', 'on_scene', 'off_duty', 'out_of_service');
CREATE TYPE buildingtype AS ENUM ('residential_single', 'residential_multi', 'commercial', 'industrial', 'institutional', 'healthcare', 'educational', 'government', 'religious', 'mixed_use', 'parking', 'warehouse', 'high_rise', 'other');
CREATE TYPE occupancytype AS ENUM ('assembly', 'business', 'educational', 'factory', 'high_hazard', 'institutional', 'mercantile', 'residential', 'storage', 'utility');
CREATE TYPE constructiontype AS ENUM ('type_i', 'type_ii', 'type_iii', 'type_iv', 'type_v', 'unknown');
CREATE TYPE hazardlevel AS ENUM ('low', 'moderate', 'high', 'extreme');
CREATE TYPE auditaction AS ENUM ('login', 'logout', 'create', 'update', 'delete');

CREATE TABLE agencies (
	id uuid PRIMARY KEY, name varchar(200) NOT NULL, code varchar(20) NOT NULL UNIQUE, description text, address varchar(500),
	phone varchar(20), email varchar(255), is_active boolean NOT NULL, settings jsonb, deleted_at timestamptz,
	created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE roles (
	id uuid PRIMARY KEY, name varchar(50) NOT NULL UNIQUE, display_name varchar(100) NOT NULL, description varchar(500),
	hierarchy_level int NOT NULL, color varchar(20), is_system_role boolean NOT NULL, is_active boolean NOT NULL, permissions jsonb NOT NULL,
	deleted_at timestamptz, created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE users (
	id uuid PRIMARY KEY, email varchar(255) NOT NULL UNIQUE, hashed_password varchar(255) NOT NULL, full_name varchar(200) NOT NULL,
	badge_number varchar(50), phone varchar(20), role userrole NOT NULL, is_active boolean NOT NULL, is_verified boolean NOT NULL,
	mfa_enabled boolean NOT NULL, mfa_secret varchar(255), failed_login_attempts int NOT NULL, locked_until varchar(50),
	agency_id uuid REFERENCES agencies, role_id uuid REFERENCES roles, deleted_at timestamptz,
	created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE buildings (
	id uuid PRIMARY KEY, name varchar(200) NOT NULL, civic_number varchar(20), street_name varchar(200) NOT NULL, street_type varchar(50),
	city varchar(100) NOT NULL, province_state varchar(100) NOT NULL, postal_code varchar(20), country varchar(100), full_address varchar(500) NOT NULL,
	latitude double precision NOT NULL, longitude double precision NOT NULL, building_type buildingtype NOT NULL, occupancy_type occupancytype,
	construction_type constructiontype NOT NULL, total_floors int NOT NULL, basement_levels int NOT NULL, hazard_level hazardlevel NOT NULL,
	has_sprinkler_system boolean, has_fire_alarm boolean, has_elevator boolean, agency_id uuid NOT NULL REFERENCES agencies,
	created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE iot_devices (id uuid PRIMARY KEY);
CREATE TABLE alerts (
	id uuid PRIMARY KEY, source alertsource NOT NULL, source_id varchar(255), source_device_id varchar(255), severity alertseverity NOT NULL,
	status alertstatus NOT NULL, alert_type varchar(100) NOT NULL, title varchar(200) NOT NULL, description text,
	latitude double precision, longitude double precision, address varchar(500), zone varchar(100), raw_payload jsonb,
	received_at timestamptz NOT NULL, acknowledged_at timestamptz, processed_at timestamptz, acknowledged_by_id uuid REFERENCES users,
	acknowledgment_notes text, dismissed_by_id uuid REFERENCES users, dismissal_reason text, device_id uuid REFERENCES iot_devices ON DELETE SET NULL,
	building_id uuid REFERENCES buildings ON DELETE SET NULL, peak_level_db double precision, background_level_db double precision,
	confidence double precision, risk_level varchar(20), occurrence_count int NOT NULL DEFAULT 1, last_occurrence timestamptz,
	assigned_to_id uuid REFERENCES users,
	created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE incidents (
	id uuid PRIMARY KEY, incident_number varchar(50) NOT NULL UNIQUE, category incidentcategory NOT NULL, priority int NOT NULL,
	status incidentstatus NOT NULL, title varchar(200) NOT NULL, description text, latitude double precision NOT NULL, longitude double precision NOT NULL,
	address varchar(500), building_info text, reported_at timestamptz NOT NULL, dispatched_at timestamptz, arrived_at timestamptz,
	resolved_at timestamptz, closed_at timestamptz, assigned_units jsonb, parent_incident_id uuid REFERENCES incidents,
	agency_id uuid NOT NULL REFERENCES agencies, source_alert_id uuid REFERENCES alerts, timeline_events jsonb, building_id uuid REFERENCES buildings,
	created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX ON incidents (status);
CREATE TABLE resources (
	id uuid PRIMARY KEY, resource_type resourcetype NOT NULL, status resourcestatus NOT NULL, name varchar(200) NOT NULL, call_sign varchar(50),
	current_latitude double precision, current_longitude double precision, location_updated_at timestamptz,
	agency_id uuid NOT NULL REFERENCES agencies, metadata jsonb, deleted_at timestamptz,
	created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE audit_logs (
	id uuid PRIMARY KEY, timestamp timestamptz NOT NULL, action auditaction NOT NULL, user_id uuid REFERENCES users,
	entity_type varchar(50), entity_id varchar(50), description text, ip_address varchar(45), user_agent varchar(500),
	old_values jsonb, new_values jsonb, metadata jsonb);

INSERT INTO roles (id, name, display_name, hierarchy_level, is_system_role, is_active, permissions)
SELECT gen_random_uuid(), r.name, r.name, r.level, true, true, '[]' FROM (VALUES ('system_admin', 0), ('agency_admin', 10), ('commander', 20),
	('dispatcher', 30), ('field_unit_leader', 40), ('responder', 50), ('public_user', 100)) AS r(name, level);
