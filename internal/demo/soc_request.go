package demo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
)

// A trigger is what a request to POST /api/threats/trigger asks for.
type trigger struct {
	kind  string // as in Ledger.Kinds
	value string // of the field that decided

	threat      int    // index into threatTypes, -1 for one at random
	customer    string // "" for one at random
	manipulated bool   // the analysis reports that its history was tampered with
}

// notes returns what the ledger counts the request under.
func (t trigger) notes() []note {
	notes := []note{{kinds, t.kind}}
	switch t.kind {
	case "threat_type":
		notes = append(notes, note{threats, t.value})
	case "scenario":
		notes = append(notes, note{scenarios, t.value})
	}
	return notes
}

// A refusal is an answer other than 200.
type refusal struct {
	status int
	detail any
}

// An invalid is one entry of a 422 answer's detail, as pydantic writes it.
type invalid struct {
	Type  string         `json:"type"`
	Loc   []any          `json:"loc"`
	Msg   string         `json:"msg"`
	Input any            `json:"input"`
	Ctx   map[string]any `json:"ctx,omitempty"`
}

var scenarioThreats = map[string]string{
	"crypto_surge":    "rate_limit_breach",
	"bot_attack":      "bot_traffic",
	"geo_impossible":  "geo_anomaly",
	"critical_threat": "device_compromise",
}

// adversarial are the scenarios of the tampered history: the name of the
// customer that each makes up, and whether its notes are poisoned.
var adversarial = map[string]struct {
	customer string
	poisoned bool
}{
	"note_poisoning_bypass":   {"DEMO_NotePoisonCorp_ACT1", true},
	"note_poisoning_catch":    {"DEMO_NotePoisonCorp_ACT2", true},
	"note_poisoning_baseline": {"DEMO_CleanCorp_BASELINE", false},
}

// readTrigger reads a trigger's body by the real system's rules: the
// adversarial scenario decides before the scenario, that before the threat
// type, and without any the threat is random; null and "" are as if absent; an
// unknown scenario is random too, without a word, while an unknown threat type
// or adversarial scenario is a 400. With a refusal, the trigger is only good
// for its notes.
func readTrigger(contentType string, body []byte) (trigger, *refusal) {
	f, faults := readTriggerFields(contentType, body)
	if faults != nil {
		return trigger{kind: "invalid"}, &refusal{http.StatusUnprocessableEntity, faults}
	}
	if f.adversarial != "" {
		t := trigger{kind: "adversarial", value: f.adversarial, threat: slices.Index(threatTypes[:], "anomaly_detection")}
		a, known := adversarial[f.adversarial]
		if !known {
			return t, &refusal{http.StatusBadRequest, "Unknown adversarial scenario: " + f.adversarial}
		}
		t.customer, t.manipulated = a.customer, a.poisoned && f.detector
		return t, nil
	}
	if f.scenario != "" {
		threat := slices.Index(threatTypes[:], scenarioThreats[f.scenario])
		return trigger{kind: "scenario", value: f.scenario, threat: threat}, nil
	}
	if f.threatType != "" {
		t := trigger{kind: "threat_type", value: f.threatType, threat: slices.Index(threatTypes[:], f.threatType)}
		if t.threat < 0 {
			return t, &refusal{http.StatusBadRequest, "Invalid threat type: " + f.threatType}
		}
		return t, nil
	}
	return trigger{kind: "random", threat: -1}, nil
}

type triggerFields struct {
	threatType, scenario, adversarial string
	detector                          bool
}

// readObject reads a body that has to be a JSON object.
func readObject(contentType string, body []byte) (map[string]json.RawMessage, []invalid) {
	trimmed := bytes.TrimSpace(body)
	if len(trimmed) == 0 || bytes.Equal(trimmed, []byte("null")) {
		return nil, []invalid{{Type: "missing", Loc: []any{"body"}, Msg: "Field required"}}
	}
	notAnObject := invalid{
		Type: "model_attributes_type", Loc: []any{"body"},
		Msg: "Input should be a valid dictionary or object to extract fields from",
	}
	if !isJSONType(contentType) { // then the body is a plain text to the real system
		notAnObject.Input = string(body)
		return nil, []invalid{notAnObject}
	}
	var fields map[string]json.RawMessage // a struct would take "Scenario" for "scenario"
	if err := json.Unmarshal(body, &fields); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return nil, []invalid{{
				Type: "json_invalid", Loc: []any{"body", max(syntax.Offset-1, 0)}, Msg: "JSON decode error",
				Input: struct{}{}, Ctx: map[string]any{"error": syntax.Error()},
			}}
		}
		notAnObject.Input = json.RawMessage(trimmed)
		return nil, []invalid{notAnObject}
	}
	return fields, nil
}

// readTriggerFields checks a body's form, naming all that is wrong with it.
func readTriggerFields(contentType string, body []byte) (triggerFields, []invalid) {
	f := triggerFields{detector: true}
	fields, faults := readObject(contentType, body)
	if faults != nil {
		return f, faults
	}
	for _, field := range []struct {
		name string
		to   *string
	}{{"threat_type", &f.threatType}, {"scenario", &f.scenario}, {"adversarial_scenario", &f.adversarial}} {
		raw, given := fields[field.name]
		if given && json.Unmarshal(raw, field.to) != nil {
			faults = append(faults, invalid{
				Type: "string_type", Loc: []any{"body", field.name},
				Msg: "Input should be a valid string", Input: raw,
			})
		}
	}
	if raw, given := fields["adversarial_detector_enabled"]; given {
		fault := readBool(raw, &f.detector)
		if fault != nil {
			fault.Loc, fault.Input = []any{"body", "adversarial_detector_enabled"}, raw
			faults = append(faults, *fault)
		}
	}
	return f, faults
}

// isJSONType says whether a body is read as JSON: application/json, any
// application/…+json, and no type at all.
func isJSONType(contentType string) bool {
	if contentType == "" || contentType == "application/json" {
		return true
	}
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" ||
		strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json"))
}

// readBool reads what pydantic takes for a truth value: true and false, 1 and
// 0, and their names as strings. null leaves the value as it is.
func readBool(raw json.RawMessage, to *bool) *invalid {
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return &invalid{Type: "bool_type", Msg: "Input should be a valid boolean"}
	}
	switch v := v.(type) {
	case nil:
		return nil
	case bool:
		*to = v
		return nil
	case float64, string:
		switch strings.ToLower(fmt.Sprint(v)) {
		case "1", "true", "t", "yes", "y", "on":
			*to = true
			return nil
		case "0", "false", "f", "no", "n", "off":
			*to = false
			return nil
		}
		return &invalid{Type: "bool_parsing", Msg: "Input should be a valid boolean, unable to interpret input"}
	}
	return &invalid{Type: "bool_type", Msg: "Input should be a valid boolean"}
}
