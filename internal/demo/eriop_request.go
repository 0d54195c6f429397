package demo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A form reads a JSON object field by field and keeps all that is wrong with
// it, as pydantic writes it. It is stricter in one thing: a number as a string
// is not a number, so that a client that loses types is found out.
type form struct {
	at     []any
	raw    json.RawMessage
	fields map[string]json.RawMessage
	faults *[]invalid
}

func newForm(contentType string, body []byte) (form, []invalid) {
	fields, faults := readObject(contentType, body)
	if faults == nil && !utf8.Valid(body) {
		faults = []invalid{{
			Type: "json_invalid", Loc: []any{"body"}, Msg: "JSON decode error",
			Input: struct{}{}, Ctx: map[string]any{"error": "not UTF-8"},
		}}
	}
	return form{[]any{"body"}, body, fields, new([]invalid)}, faults
}

func (f form) fault(name, kind, msg string, input any, ctx map[string]any) {
	*f.faults = append(*f.faults, invalid{kind, append(slices.Clone(f.at), name), msg, input, ctx})
}

// given returns a field's text. What is not required may also be null.
func (f form) given(name string, required bool) (json.RawMessage, bool) {
	raw, ok := f.fields[name]
	if !ok && required {
		f.fault(name, "missing", "Field required", f.raw, nil)
	}
	return raw, ok && (required || !bytes.Equal(raw, []byte("null")))
}

// text reads a string of least to most characters; most 0 is no bound.
func (f form) text(name string, required bool, least, most int) *string {
	raw, ok := f.given(name, required)
	if !ok {
		return nil
	}
	var v string
	if raw[0] != '"' || json.Unmarshal(raw, &v) != nil {
		f.fault(name, "string_type", "Input should be a valid string", raw, nil)
		return nil
	}
	switch n := utf8.RuneCountInString(v); {
	case n < least:
		f.fault(name, "string_too_short", fmt.Sprintf("String should have at least %s", characters(least)), raw, map[string]any{"min_length": least})
	case most > 0 && n > most:
		f.fault(name, "string_too_long", fmt.Sprintf("String should have at most %s", characters(most)), raw, map[string]any{"max_length": most})
	case strings.IndexByte(v, 0) >= 0: // which no text of PostgreSQL's can have
		f.fault(name, "value_error", "Value error, a string cannot have the character U+0000", raw, nil)
	default:
		return &v
	}
	return nil
}

func characters(n int) string {
	if n == 1 {
		return "1 character"
	}
	return strconv.Itoa(n) + " characters"
}

// choice reads one of a list.
func (f form) choice(name string, list []string) string {
	raw, ok := f.given(name, true)
	if !ok {
		return ""
	}
	var v string
	if raw[0] != '"' || json.Unmarshal(raw, &v) != nil || !slices.Contains(list, v) {
		quoted := "'" + strings.Join(list[:len(list)-1], "', '") + "' or '" + list[len(list)-1] + "'"
		f.fault(name, "enum", "Input should be "+quoted, raw, map[string]any{"expected": quoted})
		return ""
	}
	return v
}

// number reads a JSON number from least to most.
func (f form) number(name string, required bool, least, most float64) *float64 {
	raw, ok := f.given(name, required)
	if !ok {
		return nil
	}
	var v float64
	switch err := json.Unmarshal(raw, &v); {
	case err != nil || bytes.Equal(raw, []byte("null")):
		f.fault(name, "float_type", "Input should be a valid number", raw, nil)
	case v < least:
		f.fault(name, "greater_than_equal", fmt.Sprintf("Input should be greater than or equal to %v", least), raw, map[string]any{"ge": least})
	case v > most:
		f.fault(name, "less_than_equal", fmt.Sprintf("Input should be less than or equal to %v", most), raw, map[string]any{"le": most})
	default:
		return &v
	}
	return nil
}

// inner reads a field that is an object. Without one it is nil.
func (f form) inner(name string, required bool) *form {
	raw, ok := f.given(name, required)
	if !ok {
		return nil
	}
	in := form{append(slices.Clone(f.at), name), raw, nil, f.faults}
	if raw[0] != '{' || json.Unmarshal(raw, &in.fields) != nil {
		f.fault(name, "model_attributes_type", "Input should be a valid dictionary or object to extract fields from", raw, nil)
		return nil
	}
	return &in
}

const anyNumber = 1e300

// credentials are what a login shows.
type credentials struct{ email, password, code string }

func readCredentials(contentType string, body []byte) (credentials, []invalid) {
	f, faults := newForm(contentType, body)
	if faults != nil {
		return credentials{}, faults
	}
	email, password, code := f.text("email", true, 0, 0), f.text("password", true, 0, 0), f.text("mfa_code", false, 0, 0)
	if email != nil && !isEmail(*email) {
		const reason = "value is not a valid email address"
		f.fault("email", "value_error", reason, *email, map[string]any{"reason": reason})
	}
	if *f.faults != nil {
		return credentials{}, *f.faults
	}
	c := credentials{email: *email, password: *password}
	if code != nil {
		c.code = *code
	}
	return c, nil
}

// isEmail takes name@domain.tld, and .local among the domains, which the real
// system refuses.
func isEmail(text string) bool {
	name, domain, ok := strings.Cut(text, "@")
	dot := strings.LastIndexByte(domain, '.')
	return ok && name != "" && dot > 0 && dot < len(domain)-1 && len(text) <= 254 &&
		!strings.ContainsAny(text, " \t\r\n<>(),;:\"\\[]") && !strings.Contains(domain, "@")
}

func readRefresh(contentType string, body []byte) (string, []invalid) {
	f, faults := newForm(contentType, body)
	if faults != nil {
		return "", faults
	}
	token := f.text("refresh_token", true, 0, 0)
	if *f.faults != nil {
		return "", *f.faults
	}
	return *token, nil
}

func readIncident(contentType string, body []byte) (incident, *string, []invalid) {
	f, faults := newForm(contentType, body)
	if faults != nil {
		return incident{}, nil, faults
	}
	in := incident{Category: f.choice("category", takenCategories), Priority: 3}
	in.Type = in.Category
	if _, given := f.fields["priority"]; given {
		if v := f.number("priority", true, 1, 5); v != nil && *v != float64(int(*v)) {
			f.fault("priority", "int_from_float", "Input should be a valid integer, got a number with a fractional part", *v, nil)
		} else if v != nil {
			in.Priority = int(*v)
		}
	}
	if v := f.text("title", true, 5, 200); v != nil {
		in.Title = *v
	}
	in.Description = f.text("description", false, 0, 0)
	if l := f.inner("location", true); l != nil {
		in.Location.Latitude, in.Location.Longitude = l.coordinates()
		in.Location.Address, in.Location.BuildingInfo = l.text("address", false, 0, 500), l.text("building_info", false, 0, 0)
	}
	alert := f.text("source_alert_id", false, 0, 0)
	return in, alert, *f.faults
}

func (f form) coordinates() (latitude, longitude float64) {
	if v := f.number("latitude", true, -90, 90); v != nil {
		latitude = *v
	}
	if v := f.number("longitude", true, -180, 180); v != nil {
		longitude = *v
	}
	return latitude, longitude
}

func readAlert(contentType string, body []byte) (alert, []invalid) {
	f, faults := newForm(contentType, body)
	if faults != nil {
		return alert{}, faults
	}
	a := alert{
		Source:       f.choice("source", takenAlertSources),
		Severity:     f.choice("severity", alertSeverities),
		SourceID:     f.text("source_id", false, 0, 255),
		Description:  f.text("description", false, 0, 0),
		Confidence:   f.number("confidence", false, 0, 1),
		PeakLevelDB:  f.number("peak_level_db", false, -anyNumber, anyNumber),
		BackgroundDB: f.number("background_level_db", false, -anyNumber, anyNumber),
	}
	if v := f.text("alert_type", true, 1, 100); v != nil {
		a.Type = *v
	}
	if v := f.text("title", true, 1, 200); v != nil {
		a.Title = *v
	}
	if l := f.inner("location", false); l != nil {
		latitude, longitude := l.coordinates()
		a.Location = &alertLocation{latitude, longitude, l.text("address", false, 0, 500), l.text("zone", false, 0, 100)}
	}
	if p := f.inner("raw_payload", false); p != nil {
		if hasNUL(p.raw) {
			f.fault("raw_payload", "value_error", "Value error, a string cannot have the character U+0000", p.raw, nil)
		}
		a.RawPayload = p.raw
	}
	return a, *f.faults
}

// hasNUL says whether a JSON text has the character U+0000, which PostgreSQL's
// jsonb cannot keep. It is always written as an escape.
func hasNUL(text []byte) bool {
	for {
		i := bytes.IndexByte(text, '\\')
		if i < 0 {
			return false
		}
		if bytes.HasPrefix(text[i:], []byte(`\u0000`)) {
			return true
		}
		text = text[i+2:] // an escape has a character at least
	}
}

// readNotes reads the body of an acknowledgement, which may be left out.
func readNotes(contentType string, body []byte) (*string, []invalid) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, nil
	}
	f, faults := newForm(contentType, body)
	if faults != nil {
		return nil, faults
	}
	return f.text("notes", false, 0, 0), *f.faults
}

// A search reads the parameters of a list; of one given twice the last counts.
type search struct {
	values url.Values
	faults []invalid
}

func newSearch(query string) search {
	v, _ := url.ParseQuery(query) // what cannot be decoded is as if it were not there
	return search{values: v}
}

func (s *search) page() slice {
	var page, size int
	page, s.faults = readInt(s.values, "page", 1, 1, 1<<31-1, s.faults)
	size, s.faults = readInt(s.values, "page_size", 50, 1, 100, s.faults)
	return slice{limit: size, offset: (page - 1) * size}
}

// text reads what the list narrows by. An unknown value is a fault.
func (s *search) choice(name string, list []string) string {
	given := s.values[name]
	if len(given) == 0 {
		return ""
	}
	v := given[len(given)-1]
	if !slices.Contains(list, v) {
		quoted := "'" + strings.Join(list[:len(list)-1], "', '") + "' or '" + list[len(list)-1] + "'"
		s.faults = append(s.faults, invalid{"enum", []any{"query", name}, "Input should be " + quoted, v, map[string]any{"expected": quoted}})
	}
	return v
}

func (s *search) text(name string) string {
	given := s.values[name]
	if len(given) == 0 {
		return ""
	}
	return given[len(given)-1]
}

func readIncidentQuery(query string) (incidentQuery, []invalid) {
	s := newSearch(query)
	q := incidentQuery{
		slice: s.page(), status: s.choice("status", incidentStatuses),
		category: s.choice("incident_type", allCategories), building: s.text("building_id"),
	}
	if s.text("priority") != "" {
		var p int
		p, s.faults = readInt(s.values, "priority", 0, 1, 5, s.faults)
		q.priority = strconv.Itoa(p)
	}
	if _, ok := parseID(q.building); q.building != "" && !ok {
		s.faults = append(s.faults, invalid{"uuid_parsing", []any{"query", "building_id"}, "Input should be a valid UUID", q.building, nil})
	}
	return q, s.faults
}

func readAlertQuery(query string) (alertQuery, []invalid) {
	s := newSearch(query)
	q := alertQuery{
		slice: s.page(), status: s.choice("status", alertStatuses),
		severity: s.choice("severity", alertSeverities), kind: s.text("alert_type"),
	}
	if strings.IndexByte(q.kind, 0) >= 0 || !utf8.ValidString(q.kind) {
		s.faults = append(s.faults, invalid{"value_error", []any{"query", "alert_type"}, "Input should be a text", nil, nil})
	}
	return q, s.faults
}

func readResourceQuery(query string) (resourceQuery, []invalid) {
	s := newSearch(query)
	q := resourceQuery{
		slice: s.page(), kind: s.choice("resource_type", resourceKinds),
		status: s.choice("status", resourceStatuses), agency: s.text("agency_id"),
	}
	return q, s.faults
}
