package demo

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// DefaultWork is what a trigger costs the real system in its mock mode: five
// agents of about 100 ms each, all at once.
const DefaultWork = 100 * time.Millisecond

// Knobs say how a demo system misbehaves. The zero value does not: it answers
// everything at once and correctly. All knobs can be turned while the system
// runs, by POST /_knobs with the keys to change, or by [SOC.SetKnobs].
//
// The ratios are shares of requests from 0 to 1, drawn from the seed and the
// request's number of arrival among those that the faults reach: the same seed
// gives the same fates to the first n of them, however many clients there are.
// Errors, Resets, Closes and Drops exclude each other: their sum is at most 1.
//
// Faults spare /health, /ready and /metrics, so that a target can be found
// healthy and then fail under load; only NotReady, a freeze and NoKeepAlive
// reach them, or Only when it names one of them. /_ledger and /_knobs are
// never touched.
type Knobs struct {
	// Work is the time a request that does real work takes (for the SOC system:
	// a trigger), and Jitter the most that chance adds to it, evenly spread.
	// It is waiting, not computing.
	Work, Jitter time.Duration
	// Latency is added before every answer.
	Latency time.Duration

	// Errors is the share answered with 503 at once.
	Errors float64
	// Resets is the share that gets a TCP reset instead of an answer.
	Resets float64
	// Closes is the share whose connection is closed in order, without answer.
	Closes float64
	// Drops is the share that is never answered, over a connection left open.
	Drops float64
	// WrongBodies is the share of good answers that carry valid JSON with a
	// false content (for the SOC system: the analysis of another threat type).
	WrongBodies float64

	// FreezeFor and FreezeEvery: of every FreezeEvery since the knobs were set,
	// the last FreezeFor is a freeze. A request that arrives in it, to any
	// route, waits until it ends.
	FreezeFor, FreezeEvery time.Duration
	// SlowBody is the speed of an answer's body in bytes per second; 0 is full
	// speed. The header comes at once.
	SlowBody int64
	// NoKeepAlive closes the connection after every answer.
	NoKeepAlive bool
	// NotReady answers /health and /ready with 503.
	NotReady bool
	// Only limits Latency, SlowBody and the ratios to one route, named as in
	// the ledger ("GET /api/threats"); empty means all but the probes.
	Only string
}

// DefaultKnobs are those of a healthy system that takes as long as the real
// one: 100 to 120 ms a trigger.
func DefaultKnobs() Knobs {
	return Knobs{Work: DefaultWork, Jitter: 20 * time.Millisecond}
}

// A knob ties a name to a field: one list for flags, JSON and checks.
type knob struct {
	name, usage string
	field       any // *time.Duration, *float64 (a ratio), *int64, *bool or *string
}

func (k *Knobs) list() []knob {
	return []knob{
		{"work", "`time` a request that does real work takes", &k.Work},
		{"jitter", "the most `time` that chance adds to the work", &k.Jitter},
		{"latency", "`time` added before every answer", &k.Latency},
		{"errors", "`share` of requests (0 to 1) answered with 503 at once", &k.Errors},
		{"resets", "`share` of requests (0 to 1) that get a TCP reset", &k.Resets},
		{"closes", "`share` of requests (0 to 1) whose connection is closed without an answer", &k.Closes},
		{"drops", "`share` of requests (0 to 1) that are never answered", &k.Drops},
		{"wrong-bodies", "`share` of answers (0 to 1) with a false content", &k.WrongBodies},
		{"freeze-for", "`time` that each freeze lasts", &k.FreezeFor},
		{"freeze-every", "`time` from one freeze to the next", &k.FreezeEvery},
		{"slow-body", "send bodies at so many `bytes` per second", &k.SlowBody},
		{"no-keep-alive", "close the connection after every answer", &k.NoKeepAlive},
		{"not-ready", "answer /health and /ready with 503", &k.NotReady},
		{"only", "limit the faults to one `route`, such as \"GET /api/threats\"", &k.Only},
	}
}

// RegisterFlags defines a flag for every knob, with k's present values as the
// defaults. Ask [Knobs.Validate] once the flags have been parsed.
func (k *Knobs) RegisterFlags(fs *flag.FlagSet) {
	for _, n := range k.list() {
		switch f := n.field.(type) {
		case *time.Duration:
			fs.DurationVar(f, n.name, *f, n.usage)
		case *float64:
			fs.Float64Var(f, n.name, *f, n.usage)
		case *int64:
			fs.Int64Var(f, n.name, *f, n.usage)
		case *bool:
			fs.BoolVar(f, n.name, *f, n.usage)
		case *string:
			fs.StringVar(f, n.name, *f, n.usage)
		}
	}
}

// key is a knob's name in JSON: the flag's name in snake case.
func (n knob) key() string { return strings.ReplaceAll(n.name, "-", "_") }

// MarshalJSON writes every knob, durations as text such as "100ms".
func (k Knobs) MarshalJSON() ([]byte, error) {
	m := map[string]any{}
	for _, n := range k.list() {
		if d, ok := n.field.(*time.Duration); ok {
			m[n.key()] = d.String()
			continue
		}
		m[n.key()] = n.field
	}
	return json.Marshal(m)
}

// UnmarshalJSON sets the knobs named in an object and leaves the others as
// they are. Durations are text such as "100ms". Unknown keys and values of
// another type are refused, all of them in one error, and then nothing is set.
func (k *Knobs) UnmarshalJSON(text []byte) error {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(text, &keys); err != nil {
		return fmt.Errorf("knobs: want a JSON object such as {\"errors\": 0.1}: %w", err)
	}
	changed := *k
	var faults []error
	for _, n := range changed.list() {
		raw, given := keys[n.key()]
		if !given {
			continue
		}
		delete(keys, n.key())
		if err := n.set(raw); err != nil {
			faults = append(faults, err)
		}
	}
	for _, name := range sortedKeys(keys) {
		faults = append(faults, fmt.Errorf("knob %q does not exist: GET /_knobs lists those that do", name))
	}
	if len(faults) > 0 {
		return errors.Join(faults...)
	}
	*k = changed
	return nil
}

func (n knob) set(raw json.RawMessage) error {
	if bytes.Equal(raw, []byte("null")) { // which json.Unmarshal would pass over in silence
		return fmt.Errorf("knob %s: null is not a value, leave the key out", n.key())
	}
	d, isDuration := n.field.(*time.Duration)
	if !isDuration {
		if err := json.Unmarshal(raw, n.field); err != nil {
			return fmt.Errorf("knob %s: %s does not fit: %w", n.key(), raw, err)
		}
		return nil
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return fmt.Errorf("knob %s: want a time as text such as \"150ms\", got %s", n.key(), raw)
	}
	v, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("knob %s: %q is not a time such as \"150ms\"", n.key(), text)
	}
	*d = v
	return nil
}

// Validate returns every reason why k cannot be kept, joined, or nil.
func (k Knobs) Validate() error {
	var faults []error
	for _, n := range k.list() {
		switch f := n.field.(type) {
		case *time.Duration:
			if *f < 0 {
				faults = append(faults, fmt.Errorf("knob %s: %v is negative", n.key(), *f))
			}
		case *float64:
			if math.IsNaN(*f) || *f < 0 || *f > 1 {
				faults = append(faults, fmt.Errorf("knob %s: %v is not a share from 0 to 1", n.key(), *f))
			}
		case *int64:
			if *f < 0 {
				faults = append(faults, fmt.Errorf("knob %s: %d is negative", n.key(), *f))
			}
		}
	}
	// The slack is for sums such as 0.7+0.2+0.1, a hair above 1 in binary.
	if sum := k.Errors + k.Resets + k.Closes + k.Drops; sum > 1+1e-9 {
		faults = append(faults, fmt.Errorf("knobs errors, resets, closes and drops add up to %v: a request has one fate, so at most 1", sum))
	}
	if k.FreezeFor > 0 && k.FreezeFor >= k.FreezeEvery {
		faults = append(faults, fmt.Errorf("knob freeze_for: a freeze of %v does not fit in freeze_every %v", k.FreezeFor, k.FreezeEvery))
	}
	return errors.Join(faults...)
}

func sortedKeys[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
