package compare

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tollgate/internal/report"
	"tollgate/pkg/spec"
)

const loads = `version: 1
name: a
target: {url: "http://127.0.0.1:1"}
endpoints: {home: GET /}
personas:
  visitor: {weight: 3, tasks: {home: 1}}
  robot: {weight: 1, tasks: {home: 1}}
stages:
  - warmup: {users: 5, for: 10s}
  - steady: {users: 20, ramp: 5/s, for: 1m..5m}
  - spike: {name: peak, users: 50, ramp: 30s, for: 2m, back: 30s, personas: [robot]}
  - pause: {for: 10s}
  - steady: {name: open, rate: 50/s, arrivals: uniform, max_users: 100, for: 1m}
  - steady: {name: named, users: {visitor: 2, robot: 1}, for: 1m}
  - steps: {from: 10, to: 100, by: 10, every: 20s, until: errors > 5%}
  - steps: {name: rates, from: 10/s, to: 100/s, by: 10/s, every: 20s}
slos: [p95 < 1s]
`

func parsed(t *testing.T, text string) *spec.Spec {
	t.Helper()
	s, faults := spec.Parse("a.yaml", []byte(text), spec.Options{})
	if faults != nil {
		t.Fatal(faults)
	}
	return s
}

func TestLoadIsDescribedInWords(t *testing.T) {
	want := []string{
		"personas: visitor 3, robot 1",
		"warmup: 5 users, for 10s",
		"steady: 20 users, ramp 5/s, for 1m0s..5m0s",
		"peak (spike): 50 users, ramp 30s, for 2m0s, back 30s, only robot",
		"pause: for 10s",
		"open (steady): 50/s, uniform, at most 100 users, for 1m0s",
		"named (steady): users: robot 1, visitor 2, for 1m0s",
		"steps: 10 to 100 by 10 users, 20s each, until errors > 5%",
		"rates (steps): 10 to 100 by 10/s, 20s each",
	}
	if got := Load(parsed(t, loads)); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestEachFieldOfAFingerprintTellsRunsApart(t *testing.T) {
	g := report.Generator{Version: "1.0", OS: "linux", Arch: "amd64", Cores: 2, Driver: "loop", Loops: 2, Seed: 1, RunID: "a", Address: "127.0.0.1:1"}
	own := Fingerprint(parsed(t, loads), g)
	spec := func(old, new string) report.Fingerprint {
		if !strings.Contains(loads, old) {
			t.Fatalf("no %q", old)
		}
		return Fingerprint(parsed(t, strings.Replace(loads, old, new, 1)), g)
	}
	with := func(change func(*report.Generator)) report.Fingerprint {
		other := g
		change(&other)
		return Fingerprint(parsed(t, loads), other)
	}
	for _, c := range []struct {
		what  string
		other report.Fingerprint
		field string
	}{
		{"endpoint", spec("GET /", "GET /x"), "spec"},
		{"think time", spec("weight: 3,", "weight: 3, think: 1s,"), "spec"},
		{"level", spec("users: 20", "users: 21"), "load"},
		{"ramp", spec("ramp: 5/s", "ramp: 4/s"), "load"},
		{"hold", spec("1m..5m", "1m..6m"), "load"},
		{"version", with(func(g *report.Generator) { g.Version = "1.1" }), "generator"},
		{"cores", with(func(g *report.Generator) { g.Cores = 4 }), "topology"},
		{"loops", with(func(g *report.Generator) { g.Loops = 1 }), "topology"},
		{"driver", with(func(g *report.Generator) { g.Driver = "conn" }), "topology"},
		{"target", spec("127.0.0.1:1", "127.0.0.1:2"), ""},
		{"promise", spec("p95 < 1s", "p95 < 2s"), ""},
		{"random seed", with(func(g *report.Generator) { g.Seed = 2 }), ""},
		{"run", with(func(g *report.Generator) { g.RunID, g.Address = "b", "127.0.0.1:2" }), ""},
	} {
		got := ""
		if all := Unlike(own, c.other); len(all) > 0 {
			got = all[0].Field
			if all[0].A == all[0].B {
				t.Errorf("another %s: %v", c.what, all[0])
			}
		}
		if got != c.field {
			t.Errorf("another %s differs in %q, want %q", c.what, got, c.field)
		}
	}
	longer := own
	longer.Load = own.Load[:3]
	if all := Unlike(own, longer); len(all) != 1 || all[0].B != "nothing more" || all[0].A != own.Load[3] {
		t.Errorf("%+v", all)
	}
}

func TestARunThatWasCutShortIsToldByItsStages(t *testing.T) {
	s := &spec.Spec{Stages: []*spec.Stage{
		{Name: "steady", Shape: spec.Steady, For: 30 * time.Second}, {Name: "peak", Shape: spec.Spike, For: 13 * time.Second, ForMax: time.Minute},
		{Name: "find", Shape: spec.Steps, Every: 10 * time.Second},
	}}
	d := &report.Document{Complete: true, Stages: []report.Stage{{Name: "steady", Held: 30}, {Name: "peak", Held: 20}, {Name: "find"}}}
	if short := Short(d, s); len(short) > 0 {
		t.Errorf("a whole run: %q", short)
	}
	d.Stages[0].Held = 20
	if short := Short(d, s); len(short) != 1 || !strings.Contains(short[0], "steady was held for 20s of 30s") {
		t.Errorf("%q", short)
	}
	d.Stages[0].Held, d.Stages[1].Name = 30, "other"
	if short := Short(d, s); len(short) != 1 || !strings.Contains(short[0], "stage peak did not take place") {
		t.Errorf("%q", short)
	}
	d.Stages[1].Name, d.Complete = "peak", false
	if short := Short(d, s); len(short) != 1 || !strings.Contains(short[0], "did not run to its end") {
		t.Errorf("%q", short)
	}
}
