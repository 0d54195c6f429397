package spec

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// journey is a spec whose one persona does what is inserted.
func journey(persona string) string {
	return `version: 1
name: journey
target: {url: "http://127.0.0.1"}
endpoints:
  get: GET /
  a: {request: GET /, save: {a: a}}
  b: {request: GET /, save: {b: b}}
  use_a: GET /${a}
  use_b: GET /${b}
  default_a: GET /${a ?? "none"}
  own_a: {request: "GET /${a}", values: {a: 1}}
  header_a: {request: GET /, headers: {X-A: "${a}"}}
personas:
  p:
` + persona + `
stages: [steady: {users: 1, for: 1s}]
`
}

func TestValuesAreSetBeforeTheyAreUsed(t *testing.T) {
	for name, tt := range map[string]struct{ persona, want string }{
		"set in on_start":                           {"    on_start: [a]\n    tasks: {use_a: 1}", ""},
		"set by the persona's values":               {"    values: {a: 1}\n    tasks: {use_a: 1}", ""},
		"set by the call itself":                    {"    tasks: {own_a: 1}", ""},
		"set by the step itself":                    {"    tasks: {t: {call: use_a, values: {a: 1}}}", ""},
		"set by the step before":                    {"    tasks: {t: {steps: [a, use_a]}}", ""},
		"set by a draw of the step before":          {"    tasks: {t: {steps: [own_a, use_a]}}", ""},
		"never set":                                 {"    tasks: {use_a: 1}", "needs a in the task use_a, and nothing sets it"},
		"set after":                                 {"    tasks: {t: {steps: [use_a, a]}}", "needs a in the task t, and it is not set yet"},
		"set in another task":                       {"    tasks: {a: 1, use_a: 1}", "not set yet"},
		"set in another task, guarded":              {"    tasks: {a: 1, t: {steps: [{call: use_a, when: a}]}}", ""},
		"set under a condition":                     {"    tasks: {t: {steps: [b, {call: a, when: b}, use_a]}}", "needs a in the task t, and it is not set yet"},
		"set and used under the same condition":     {"    tasks: {t: {steps: [b, {call: a, when: b}, {call: use_a, when: b}]}}", ""},
		"set under another condition":               {"    tasks: {t: {steps: [b, {call: a, when: b}, {call: use_a, when: b == 1}]}}", "not set yet"},
		"guarded, but never set":                    {"    tasks: {t: {steps: [{call: default_a, when: a}]}}", "so the step would never be done"},
		"with a default":                            {"    tasks: {default_a: 1}", ""},
		"in a header, set in another task":          {"    tasks: {a: 1, header_a: 1}", ""},
		"in a header, never set":                    {"    tasks: {header_a: 1}", "nothing sets a for the persona p"},
		"in a header of the persona, set later":     {"    headers: {X-A: '${a}'}\n    tasks: {a: 1}", ""},
		"values in the order of the file":           {"    values: {a: 1, b: '${a}'}\n    tasks: {use_b: 1}", ""},
		"values against the order of the file":      {"    values: {b: '${a}', a: 1}\n    tasks: {use_b: 1}", "needs a in its values, and it is not set yet"},
		"in expect":                                 {"    tasks: {t: {call: get, expect: {json: {x: '${a}'}}}}", "needs a in the task t"},
		"in expect, saved by the same call":         {"    tasks: {t: {call: a, expect: {json: {x: '${a}'}}}}", "not set yet"},
		"in on_stop, set in on_start":               {"    on_start: [a]\n    on_stop: [use_a]\n    tasks: {get: 1}", ""},
		"in on_stop, set in a task":                 {"    on_stop: [use_a]\n    tasks: {a: 1}", "needs a in on_stop, and it is not set yet"},
		"in on_start, set by a later step of it":    {"    on_start: [use_a, a]\n    tasks: {get: 1}", "needs a in on_start, and it is not set yet"},
		"two tasks of which one lacks it":           {"    tasks: {t: {steps: [a, use_a]}, use_a: 1}", "needs a in the task use_a, and it is not set yet"},
		"in a header that names its own default":    {"    headers: {X-A: '${a ?? 1}'}\n    tasks: {get: 1}", ""},
		"in a draw that uses a value of the step":   {"    tasks: {t: {call: use_b, values: {a: 1, b: '${a}'}}}", ""},
		"in a draw that uses a value not yet drawn": {"    tasks: {t: {call: use_b, values: {b: '${a}', a: 1}}}", "needs a in the task t, and it is not set yet"},
	} {
		t.Run(name, func(t *testing.T) {
			_, faults := Parse("j.yaml", []byte(journey(tt.persona)), Options{})
			switch {
			case tt.want == "" && faults != nil:
				t.Error(faults)
			case tt.want != "" && (len(faults) != 1 || !strings.Contains(faults[0].Msg, tt.want)):
				t.Errorf("want %q, got %v", tt.want, faults)
			}
		})
	}
}

func TestSaveIsRequiredIfALaterStepNeedsIt(t *testing.T) {
	for name, tt := range map[string]struct{ persona, want string }{
		"in on_start":                        {"    on_start: [a]\n    headers: {X-A: '${a}'}\n    tasks: {get: 1}", "on_start a true"},
		"needed by a later step":             {"    tasks: {t: {steps: [a, use_a]}}", "t a true"},
		"guarded in every later step":        {"    tasks: {t: {steps: [a, {call: use_a, when: a}, {call: use_a, when: a != 1}]}}", "t a false"},
		"guarded in one later step of two":   {"    tasks: {t: {steps: [a, {call: use_a, when: a}, use_a]}}", "t a true"},
		"guarded by something else":          {"    tasks: {t: {steps: [b, a, {call: use_a, when: b}]}}", "t b false, t a true"},
		"used by headers alone":              {"    headers: {X-A: '${a}'}\n    tasks: {a: 1}", "a a false"},
		"used nowhere":                       {"    tasks: {a: 1}", "a a true"},
		"used with a default":                {"    tasks: {t: {steps: [a, default_a]}}", "t a false"},
		"used in another task, guarded":      {"    tasks: {a: 1, t: {steps: [{call: use_a, when: a}]}}", "a a false"},
		"renewed for tasks that rely on it":  {"    on_start: [a]\n    tasks: {renew: {call: a}, use_a: 1}", "on_start a true, renew a true"},
		"saved again before the later steps": {"    tasks: {t: {steps: [a, a, use_a]}}", "t a true, t a true"},
		"replaced by the step's own value":   {"    tasks: {t: {steps: [a, own_a]}, u: {steps: [{call: use_a, when: a}]}}", "t a false"},
	} {
		t.Run(name, func(t *testing.T) {
			p := parse(t, journey(tt.persona), Options{}).Personas[0]
			var got []string
			add := func(where string, steps []*Step) {
				for _, st := range steps {
					for _, save := range st.Save {
						got = append(got, fmt.Sprint(where, " ", save.Name, " ", save.Required))
					}
				}
			}
			add("on_start", p.OnStart)
			for _, task := range p.Tasks {
				add(task.Name, task.Steps)
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, ", ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}
