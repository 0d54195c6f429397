-- The tables of ERIOP that its load test touches, as they are on its
-- PostgreSQL: ids and values come from the client, there are hardly any
-- defaults. What is there already stays as it is.

DO $$
DECLARE
	wanted CONSTANT jsonb := '{
		"userrole": ["system_admin", "agency_admin", "commander", "dispatcher", "field_unit_leader", "responder", "public_user"],
		"alertsource": ["fundamentum", "alarm_system", "axis_microphone", "security_system", "manual", "external_api", "iot_telemetry"],
		"alertseverity": ["critical", "high", "medium", "low", "info"],
		"alertstatus": ["pending", "acknowledged", "processing", "resolved", "dismissed"],
		"incidentcategory": ["fire", "medical", "police", "rescue", "traffic", "weather", "hazmat", "utility", "intrusion", "assault", "theft", "threat", "welfare_check", "civil_assistance", "training", "other"],
		"incidentstatus": ["new", "assigned", "en_route", "on_scene", "resolved", "closed"],
		"resourcetype": ["personnel", "vehicle", "equipment"],
		"resourcestatus": ["available", "assigned", "en_route", "on_scene", "off_duty", "out_of_service"],
		"buildingtype": ["residential_single", "residential_multi", "commercial", "industrial", "institutional", "healthcare", "educational", "government", "religious", "mixed_use", "parking", "warehouse", "high_rise", "other"],
		"occupancytype": ["assembly", "business", "educational", "factory", "high_hazard", "institutional", "mercantile", "residential", "storage", "utility"],
		"constructiontype": ["type_i", "type_ii", "type_iii", "type_iv", "type_v", "unknown"],
		"hazardlevel": ["low", "moderate", "high", "extreme"],
		"auditaction": ["create", "read", "update", "delete", "login", "logout", "login_failed"]
	}';
	name text;
BEGIN
	FOR name IN SELECT jsonb_object_keys(wanted) LOOP
		IF to_regtype(name) IS NULL THEN
			EXECUTE format('CREATE TYPE %I AS ENUM (%s)', name,
				(SELECT string_agg(quote_literal(label), ', ' ORDER BY n)
				 FROM jsonb_array_elements_text(wanted -> name) WITH ORDINALITY AS l (label, n)));
		END IF;
	END LOOP;
END $$;

CREATE TABLE IF NOT EXISTS agencies (
	id uuid PRIMARY KEY,
	name varchar(200) NOT NULL,
	code varchar(20) NOT NULL UNIQUE,
	description text,
	address varchar(500),
	phone varchar(20),
	email varchar(255),
	is_active boolean NOT NULL,
	settings jsonb,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	deleted_at timestamptz
);

CREATE TABLE IF NOT EXISTS roles (
	id uuid PRIMARY KEY,
	name varchar(50) NOT NULL UNIQUE,
	display_name varchar(100) NOT NULL,
	description varchar(500),
	hierarchy_level integer NOT NULL,
	color varchar(20),
	is_system_role boolean NOT NULL,
	is_active boolean NOT NULL,
	permissions jsonb NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	deleted_at timestamptz
);

INSERT INTO roles (id, name, display_name, hierarchy_level, is_system_role, is_active, permissions) VALUES
	(gen_random_uuid(), 'system_admin', 'System Administrator', 0, true, true, '[]'),
	(gen_random_uuid(), 'agency_admin', 'Agency Administrator', 10, true, true, '[]'),
	(gen_random_uuid(), 'commander', 'Commander', 20, true, true, '[]'),
	(gen_random_uuid(), 'dispatcher', 'Dispatcher', 30, true, true, '[]'),
	(gen_random_uuid(), 'field_unit_leader', 'Field Unit Leader', 40, true, true, '[]'),
	(gen_random_uuid(), 'responder', 'Responder', 50, true, true, '[]'),
	(gen_random_uuid(), 'public_user', 'Public User', 100, true, true, '[]')
ON CONFLICT (name) DO NOTHING;

CREATE TABLE IF NOT EXISTS users (
	id uuid PRIMARY KEY,
	email varchar(255) NOT NULL UNIQUE,
	hashed_password varchar(255) NOT NULL,
	full_name varchar(200) NOT NULL,
	badge_number varchar(50),
	phone varchar(20),
	role userrole NOT NULL,
	is_active boolean NOT NULL,
	is_verified boolean NOT NULL,
	mfa_enabled boolean NOT NULL,
	mfa_secret varchar(255),
	failed_login_attempts integer NOT NULL,
	locked_until varchar(50),
	agency_id uuid REFERENCES agencies (id),
	role_id uuid REFERENCES roles (id),
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	deleted_at timestamptz
);

CREATE TABLE IF NOT EXISTS buildings (
	id uuid PRIMARY KEY,
	name varchar(200) NOT NULL,
	civic_number varchar(20),
	street_name varchar(200) NOT NULL,
	street_type varchar(50),
	city varchar(100) NOT NULL,
	province_state varchar(100) NOT NULL,
	postal_code varchar(20),
	country varchar(100),
	full_address varchar(500) NOT NULL,
	latitude double precision NOT NULL,
	longitude double precision NOT NULL,
	building_type buildingtype NOT NULL,
	occupancy_type occupancytype,
	construction_type constructiontype NOT NULL,
	total_floors integer NOT NULL,
	basement_levels integer NOT NULL,
	hazard_level hazardlevel NOT NULL,
	has_sprinkler_system boolean,
	has_fire_alarm boolean,
	has_elevator boolean,
	agency_id uuid NOT NULL REFERENCES agencies (id),
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now()
);

-- These three are only referred to.
CREATE TABLE IF NOT EXISTS iot_devices (
	id uuid PRIMARY KEY,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS floor_plans (
	id uuid PRIMARY KEY,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS audio_clips (
	id uuid PRIMARY KEY,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS alerts (
	id uuid PRIMARY KEY,
	source alertsource NOT NULL,
	source_id varchar(255),
	source_device_id varchar(255),
	severity alertseverity NOT NULL,
	status alertstatus NOT NULL,
	alert_type varchar(100) NOT NULL,
	title varchar(200) NOT NULL,
	description text,
	latitude double precision,
	longitude double precision,
	address varchar(500),
	zone varchar(100),
	raw_payload jsonb,
	received_at timestamptz NOT NULL,
	acknowledged_at timestamptz,
	processed_at timestamptz,
	acknowledged_by_id uuid REFERENCES users (id),
	acknowledgment_notes text,
	dismissed_by_id uuid REFERENCES users (id),
	dismissal_reason text,
	device_id uuid REFERENCES iot_devices (id) ON DELETE SET NULL,
	building_id uuid REFERENCES buildings (id) ON DELETE SET NULL,
	floor_plan_id uuid REFERENCES floor_plans (id) ON DELETE SET NULL,
	audio_clip_id uuid REFERENCES audio_clips (id) ON DELETE SET NULL,
	peak_level_db double precision,
	background_level_db double precision,
	confidence double precision,
	risk_level varchar(20),
	occurrence_count integer NOT NULL DEFAULT 1,
	last_occurrence timestamptz,
	assigned_to_id uuid REFERENCES users (id),
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS ix_alerts_source ON alerts (source);
CREATE INDEX IF NOT EXISTS ix_alerts_source_id ON alerts (source_id);
CREATE INDEX IF NOT EXISTS ix_alerts_severity ON alerts (severity);
CREATE INDEX IF NOT EXISTS ix_alerts_status ON alerts (status);
CREATE INDEX IF NOT EXISTS ix_alerts_device_id ON alerts (device_id);
CREATE INDEX IF NOT EXISTS ix_alerts_building_id ON alerts (building_id);
-- Not the real system's: with these, lists cost the same however many rows there are.
CREATE INDEX IF NOT EXISTS ix_alerts_urgent ON alerts (severity, created_at DESC) WHERE status = 'pending';
CREATE INDEX IF NOT EXISTS ix_alerts_newest ON alerts (created_at DESC);

CREATE TABLE IF NOT EXISTS incidents (
	id uuid PRIMARY KEY,
	incident_number varchar(50) NOT NULL UNIQUE,
	category incidentcategory NOT NULL,
	priority integer NOT NULL,
	status incidentstatus NOT NULL,
	title varchar(200) NOT NULL,
	description text,
	latitude double precision NOT NULL,
	longitude double precision NOT NULL,
	address varchar(500),
	building_info text,
	reported_at timestamptz NOT NULL,
	dispatched_at timestamptz,
	arrived_at timestamptz,
	resolved_at timestamptz,
	closed_at timestamptz,
	assigned_units jsonb,
	parent_incident_id uuid REFERENCES incidents (id),
	agency_id uuid NOT NULL REFERENCES agencies (id),
	source_alert_id uuid REFERENCES alerts (id),
	timeline_events jsonb,
	resolution_notes text,
	building_id uuid REFERENCES buildings (id),
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS ix_incidents_status ON incidents (status);
CREATE INDEX IF NOT EXISTS ix_incidents_urgent ON incidents (priority, created_at DESC) WHERE status IN ('new', 'assigned', 'en_route', 'on_scene');
CREATE INDEX IF NOT EXISTS ix_incidents_source_alert ON incidents (source_alert_id) WHERE source_alert_id IS NOT NULL;

CREATE TABLE IF NOT EXISTS resources (
	id uuid PRIMARY KEY,
	resource_type resourcetype NOT NULL,
	status resourcestatus NOT NULL,
	name varchar(200) NOT NULL,
	call_sign varchar(50),
	current_latitude double precision,
	current_longitude double precision,
	location_updated_at timestamptz,
	agency_id uuid NOT NULL REFERENCES agencies (id),
	metadata jsonb,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	deleted_at timestamptz
);

CREATE TABLE IF NOT EXISTS audit_logs (
	id uuid PRIMARY KEY,
	timestamp timestamptz NOT NULL,
	action auditaction NOT NULL,
	user_id uuid REFERENCES users (id),
	entity_type varchar(50),
	entity_id varchar(50),
	description text,
	ip_address varchar(45),
	user_agent varchar(500),
	old_values jsonb,
	new_values jsonb,
	metadata jsonb
);
