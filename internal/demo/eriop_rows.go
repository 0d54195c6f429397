package demo

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"time"
)

// An id is a UUID.
type id [16]byte

// newID draws a version 4 UUID. It is not the seed's to decide: rows stay in a
// database after the system that has made them.
func newID() id {
	var v id
	rand.Read(v[:])
	v[6] = v[6]&0x0f | 0x40
	v[8] = v[8]&0x3f | 0x80
	return v
}

func (v id) String() string {
	b, _ := v.MarshalText()
	return string(b)
}

// MarshalText implements [encoding.TextMarshaler].
func (v id) MarshalText() ([]byte, error) {
	b := make([]byte, 36)
	hex.Encode(b[0:8], v[0:4])
	hex.Encode(b[9:13], v[4:6])
	hex.Encode(b[14:18], v[6:8])
	hex.Encode(b[19:23], v[8:10])
	hex.Encode(b[24:36], v[10:16])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return b, nil
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (v *id) UnmarshalText(text []byte) error {
	parsed, ok := parseID(string(text))
	if !ok {
		return errBadToken // the one place where ids are read back
	}
	*v = parsed
	return nil
}

// parseID reads a UUID of any version, with hyphens.
func parseID(text string) (id, bool) {
	var v id
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return v, false
	}
	digits := text[0:8] + text[9:13] + text[14:18] + text[19:23] + text[24:36]
	_, err := hex.Decode(v[:], []byte(digits))
	return v, err == nil
}

// An account is a user, in the form that GET /auth/me answers.
type account struct {
	ID          id      `json:"id"`
	Email       string  `json:"email"`
	FullName    string  `json:"full_name"`
	Role        string  `json:"role"`
	AgencyID    *id     `json:"agency_id"`
	BadgeNumber *string `json:"badge_number"`
	Verified    bool    `json:"is_verified"`
	MFAEnabled  bool    `json:"mfa_enabled"`

	hash        string
	active      bool
	lockedUntil time.Time // zero: it is not
}

// A login is an attempt whose password was checked.
type login struct {
	who         id
	email       string
	good        bool
	at          time.Time
	from, agent string
}

// An incident is in the form in which it is answered. Strings of enums are as
// the database has them, more of them than the API takes.
type incident struct {
	ID            id               `json:"id"`
	Number        string           `json:"incident_number"`
	Category      string           `json:"category"`
	Type          string           `json:"incident_type"` // the category again
	Priority      int              `json:"priority"`
	Status        string           `json:"status"`
	Title         string           `json:"title"`
	Description   *string          `json:"description"`
	Location      incidentLocation `json:"location"`
	ReportedAt    time.Time        `json:"reported_at"`
	CreatedAt     time.Time        `json:"created_at"`
	UpdatedAt     time.Time        `json:"updated_at"`
	AssignedUnits json.RawMessage  `json:"assigned_units"`

	building *id
}

type incidentLocation struct {
	Latitude     float64 `json:"latitude"`
	Longitude    float64 `json:"longitude"`
	Address      *string `json:"address"`
	BuildingInfo *string `json:"building_info"`
}

var noCrew = json.RawMessage("[]")

type alert struct {
	ID               id              `json:"id"`
	Source           string          `json:"source"`
	SourceID         *string         `json:"source_id"`
	Severity         string          `json:"severity"`
	Status           string          `json:"status"`
	Type             string          `json:"alert_type"`
	Title            string          `json:"title"`
	Description      *string         `json:"description"`
	Location         *alertLocation  `json:"location"`
	RawPayload       json.RawMessage `json:"raw_payload"`
	CreatedAt        time.Time       `json:"created_at"`
	AcknowledgedAt   *time.Time      `json:"acknowledged_at"`
	AcknowledgedBy   *id             `json:"acknowledged_by"`
	LinkedIncidentID *id             `json:"linked_incident_id"`
	DeviceID         *id             `json:"device_id"`
	BuildingID       *id             `json:"building_id"`
	FloorPlanID      *id             `json:"floor_plan_id"`
	AudioClipID      *id             `json:"audio_clip_id"`
	Confidence       *float64        `json:"confidence"`
	PeakLevelDB      *float64        `json:"peak_level_db"`
	BackgroundDB     *float64        `json:"background_level_db"`
	RiskLevel        *string         `json:"risk_level"`
	OccurrenceCount  int             `json:"occurrence_count"`
	LastOccurrence   *time.Time      `json:"last_occurrence"`
	AssignedToID     *id             `json:"assigned_to_id"`

	notes *string // of who acknowledged it
}

// Latitude and longitude are both there, or the alert has no location.
type alertLocation struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
	Address   *string `json:"address"`
	Zone      *string `json:"zone"`
}

type unit struct {
	ID                id        `json:"id"`
	Kind              string    `json:"resource_type"`
	Name              string    `json:"name"`
	CallSign          *string   `json:"call_sign"`
	Status            string    `json:"status"`
	Latitude          *float64  `json:"latitude"`
	Longitude         *float64  `json:"longitude"`
	Capabilities      [0]string `json:"capabilities"` // always empty
	AgencyID          id        `json:"agency_id"`
	CurrentIncidentID *id       `json:"current_incident_id"` // always null
	LastStatusUpdate  time.Time `json:"last_status_update"`
}

// A slice is a part of a list. A limit of 0 is all of it.
type slice struct{ limit, offset int }

// Queries are comparable: those who ask the same are answered together. Empty
// fields do not narrow. What is not urgent is a page, the newest first, and
// counted; what is urgent is by rank and then the newest first, and not.
type (
	incidentQuery struct {
		slice
		urgent             bool // the active ones alone
		status, category   string
		priority, building string // "" or a number; "" or a UUID
	}
	alertQuery struct {
		slice
		urgent                 bool
		status, severity, kind string
	}
	// Resources are in the order of their names.
	resourceQuery struct {
		slice
		kind, status, agency string
	}
)

// The enums of the database, in its order. The API takes fewer of some.
var (
	alertSources      = []string{"fundamentum", "alarm_system", "axis_microphone", "security_system", "manual", "external_api", "iot_telemetry"}
	alertSeverities   = []string{"critical", "high", "medium", "low", "info"}
	alertStatuses     = []string{"pending", "acknowledged", "processing", "resolved", "dismissed"}
	incidentStatuses  = []string{"new", "assigned", "en_route", "on_scene", "resolved", "closed"}
	activeStatuses    = incidentStatuses[:4]
	resourceKinds     = []string{"personnel", "vehicle", "equipment"}
	resourceStatuses  = []string{"available", "assigned", "en_route", "on_scene", "off_duty", "out_of_service"}
	allCategories     = []string{"fire", "medical", "police", "rescue", "traffic", "weather", "hazmat", "utility", "intrusion", "assault", "theft", "threat", "welfare_check", "civil_assistance", "training", "other"}
	takenCategories   = []string{"fire", "medical", "police", "rescue", "traffic", "hazmat", "intrusion", "other"}
	takenAlertSources = alertSources[:6]
)
