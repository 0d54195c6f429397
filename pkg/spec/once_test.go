package spec

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tollgate/pkg/slo"
)

// errand is a spec of which the run itself and one persona do what is inserted.
func errand(run, persona string) string {
	return strings.Replace(journey("    "+persona), "personas:", run+"\npersonas:", 1)
}

func TestWhatBeforeSavesEveryUserHas(t *testing.T) {
	for name, tt := range map[string]struct{ run, persona, want string }{
		"used in a task":                       {"before: [a]", "tasks: {use_a: 1}", ""},
		"used in on_start":                     {"before: [a]", "on_start: [use_a]\n    tasks: {get: 1}", ""},
		"used in values":                       {"before: [a]", "values: {b: '${a}'}\n    tasks: {use_b: 1}", ""},
		"used in before":                       {"before: [a, use_a]", "tasks: {get: 1}", ""},
		"used in after":                        {"before: [a]\nafter: [use_a]", "tasks: {get: 1}", ""},
		"used in a header":                     {"before: [a]", "tasks: {header_a: 1}", ""},
		"set by a draw of before":              {"before: [own_a]", "tasks: {use_a: 1}", "nothing sets it for this persona"},
		"set under a condition":                {"before: [b, {call: a, when: b}]", "tasks: {use_a: 1}", "not set yet"},
		"set under a condition, and guarded":   {"before: [b, {call: a, when: b}]", "tasks: {t: {call: use_a, when: a}}", ""},
		"set under a condition, in a header":   {"before: [b, {call: a, when: b}]", "tasks: {header_a: 1}", ""},
		"set by after":                         {"after: [a]", "tasks: {use_a: 1}", "nothing sets it"},
		"set by a user, used in after":         {"after: [use_a]", "tasks: {a: 1}", "the run needs a in after"},
		"set by the persona, used in before":   {"before: [use_a]", "values: {a: 1}\n    tasks: {get: 1}", "the run needs a in before"},
		"with a default":                       {"before: [default_a]", "tasks: {get: 1}", ""},
		"drawn by the step itself":             {"before: [own_a]", "tasks: {get: 1}", ""},
		"a guard that nothing can make true":   {"before: [{call: get, when: a}]", "tasks: {a: 1}", "so the step would never be done"},
		"a guard by what before saved":         {"before: [{call: a}]\nafter: [{call: use_a, when: a}]", "tasks: {get: 1}", ""},
		"in a refresh, set in on_start":        {"", "on_start: [a]\n    refresh: {every: 1m, do: [use_a]}\n    tasks: {get: 1}", ""},
		"in a refresh, set in a task":          {"", "refresh: {every: 1m, do: [use_a]}\n    tasks: {a: 1}", "the persona p needs a in refresh, and it is not set yet"},
		"set in a refresh, used in a task":     {"", "refresh: {every: 1m, do: [a]}\n    tasks: {use_a: 1}", "needs a in the task use_a, and it is not set yet"},
		"set in a refresh, used in a header":   {"", "refresh: {every: 1m, do: [a]}\n    tasks: {header_a: 1}", ""},
		"in a header of before, set by a user": {"before: [header_a]", "tasks: {a: 1}", "nothing sets a for the run"},
	} {
		t.Run(name, func(t *testing.T) {
			_, faults := Parse("j.yaml", []byte(errand(tt.run, tt.persona)), Options{})
			switch {
			case tt.want == "" && faults != nil:
				t.Error(faults)
			case tt.want != "" && (len(faults) != 1 || !strings.Contains(faults[0].Msg, tt.want)):
				t.Errorf("want %q, got %v", tt.want, faults)
			}
		})
	}
}

func TestSavesOfSetUpAreRequired(t *testing.T) {
	s := parse(t, errand("before: [a]\nafter: [b, {call: use_b, when: b}]", "on_start: [a]\n    refresh: {every: 1m, do: [a]}\n    tasks: {renew: {call: a}, header_a: 1}"), Options{})
	p := s.Personas[0]
	for what, tt := range map[string]struct {
		save Save
		want bool
	}{
		"before":                        {s.Before[0].Save[0], true},
		"on_start":                      {p.OnStart[0].Save[0], true},
		"refresh":                       {p.Refresh.Do[0].Save[0], true},
		"after, and its use is guarded": {s.After[0].Save[0], false},
		"a task, for headers alone":     {p.Tasks[0].Steps[0].Save[0], false},
	} {
		if tt.save.Required != tt.want {
			t.Errorf("%s: required is %v", what, tt.save.Required)
		}
	}
	s = parse(t, errand("", "on_start: [a]\n    refresh: {every: 1m, do: [use_a]}\n    tasks: {renew: {call: a}}"), Options{})
	if !s.Personas[0].Tasks[0].Steps[0].Save[0].Required {
		t.Error("a refresh relies on what a task may lose")
	}
}

func TestUsersPaceAndThink(t *testing.T) {
	s := whole(t)
	buyer, looker := s.Personas[1], s.Personas[2]
	if buyer.Pace != time.Second || buyer.Think != (Think{}) || buyer.Refresh.Every != 25*time.Minute || len(buyer.Refresh.Do) != 1 {
		t.Errorf("%+v", buyer)
	}
	if looker.Pace != 0 || looker.Think != (Think{Mean: 3 * time.Second}) || looker.Refresh.Every != 0 {
		t.Errorf("%+v", looker)
	}
}

func TestPromisesAboutSetUpSeeIt(t *testing.T) {
	s := whole(t)
	for _, p := range s.SLOs[1:] {
		o := p.Objective
		if !s.OnSetup(o) || !s.WholeRun(o) || len(s.Judged(o)) == 0 {
			t.Errorf("%s: set-up %v, over the run %v", o.Text, s.OnSetup(o), s.WholeRun(o))
		}
	}
	if o := s.SLOs[0].Objective; s.OnSetup(o) || s.WholeRun(o) {
		t.Errorf("%s is about set-up", o.Text)
	}
	// An endpoint that tasks call as well means the tasks' requests.
	o, err := slo.Parse("p95{endpoint=stock_level} < 1s")
	if err != nil || s.OnSetup(o) {
		t.Errorf("%+v, %v", o, err)
	}
	c, faults := s.With(Override{Personas: []string{"looker"}})
	if faults != nil {
		t.Fatal(faults)
	}
	var kept []string
	for _, p := range c.SLOs {
		kept = append(kept, p.Objective.Text)
	}
	if slices.Contains(kept, "p95{task=refresh} < 1s") || !slices.Contains(kept, "p95{task=before} < 1s") || !slices.Contains(kept, "requests{task=before} == 2") {
		t.Errorf("%q, dropped %q", kept, c.Dropped)
	}
}

func TestProfileReplacesWhatTheRunDoes(t *testing.T) {
	text := errand("before: [a]\nafter: [get]\ntargets: {x: 'http://x.test'}\nprofiles: {p: {before: [b, a], after: [use_b], targets: {y: 'http://y.test', z: 'http://z.test'}}}", "tasks: {use_a: 1}")
	s := parse(t, text, Options{Profile: "p"})
	if got := fmt.Sprint(len(s.Before), len(s.After), len(s.Others), " ", s.Others[1].Name); got != "2 1 2 z" {
		t.Error(got)
	}
}
