package exec

import (
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/internal/measure"
	"tollgate/pkg/slo"
)

// guardsOf lists the implicit claims as "row: limit".
func guardsOf(p *Plan) (out []string) {
	for _, c := range p.Layout.Claims {
		if c.Guard {
			out = append(out, fmt.Sprintf("%s%s: %g", c.GuardOf, c.Objective.Metric, c.Objective.Limit))
		}
	}
	return out
}

func TestEveryRowIsGuardedUnlessAnObjectiveNamesIt(t *testing.T) {
	personas := "p: {on_start: [login], tasks: {a: 1, b: 1}}"
	for slos, want := range map[string][]string{
		"p95 < 1s":                             {"loginerrors: 0.01", "aerrors: 0.01", "berrors: 0.01"},
		"errors{endpoint=a} < 20%":             {"loginerrors: 0.01", "berrors: 0.01"},
		"errors <= 5%":                         {"loginerrors: 0.01", "aerrors: 0.05", "berrors: 0.05"},
		"errors < 0.1%":                        {"loginerrors: 0.01", "aerrors: 0.01", "berrors: 0.01"},
		"errors{endpoint=login} < 20%":         {"aerrors: 0.01", "berrors: 0.01"},
		"errors{task=on_start} < 3%":           {"loginerrors: 0.03", "aerrors: 0.01", "berrors: 0.01"},
		"{slo: errors <= 50%, advisory: true}": {"loginerrors: 0.01", "aerrors: 0.01", "berrors: 0.01"},
		"errors <= 5% during steady":           {"loginerrors: 0.01", "aerrors: 0.01", "berrors: 0.01"},
		"errors.status <= 5%":                  {"loginerrors: 0.01", "aerrors: 0.01", "berrors: 0.01"},
	} {
		p := compileText(t, specText(personas, "- steady: {users: 2, for: 1m}", "slos:\n  - "+slos), 1)
		if diff := cmp.Diff(want, guardsOf(p)); diff != "" {
			t.Errorf("%s: %s", slos, diff)
		}
	}
	p := compileText(t, specText(personas, "- steady: {rate: 10/s, for: 1m}", "slos: [p95 < 1s]"), 1)
	if g := guardsOf(p); g[len(g)-1] != "dropped: 0.01" {
		t.Errorf("an open stage guards its arrivals: %v", g)
	}
}

// What one persona may do wrong is no excuse for another, in whatever order the
// spec names them.
func TestAPersonasOwnErrorsExcuseNoOther(t *testing.T) {
	robot, visitor := "robot: {tasks: {a: 1}}", "visitor: {tasks: {a: 1, b: 1}}"
	for _, personas := range []string{robot + "\n" + visitor, visitor + "\n" + robot} {
		for slos, want := range map[string]map[string]float64{
			`"errors{persona=robot} <= 50%"`: {
				`errors{endpoint="a", persona="robot", task="a"} <= 50 %`:  0.5,
				`errors{endpoint="a", persona="visitor", task="a"} <= 1 %`: 0.01,
				`errors{endpoint="b"} <= 1 %`:                              0.01,
			},
			`"errors{endpoint=a, persona=robot} <= 50%"`: {
				`errors{endpoint="a", persona="visitor", task="a"} <= 1 %`: 0.01,
				`errors{endpoint="b"} <= 1 %`:                              0.01,
			},
		} {
			got := map[string]float64{}
			p := compileText(t, specText(personas, "- steady: {users: 4, for: 1m}", "slos: ["+slos+"]"), 1)
			for _, c := range p.Layout.Claims {
				if c.Guard {
					got[c.Objective.Text] = c.Objective.Limit
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s of %s: %s", slos, personas, diff)
			}
		}
	}
}

func TestASearchForTheEndMayDropArrivals(t *testing.T) {
	p := compileText(t, specText("p: {tasks: {a: 1}}", "- steps: {from: 10/s, to: 100/s, by: 10/s, every: 1m, until: dropped > 5%}\n- steady: {rate: 10/s, for: 1m}", "slos: [p95 < 1s]"), 1)
	for _, c := range p.Layout.Claims {
		if c.Guard && c.Objective.Metric.Kind == slo.Dropped && c.Stage != "steady" {
			t.Errorf("%s is judged on %s", c.Objective.Text, c.Stage)
		}
	}
}

// A generator that was late made less load than was asked for, and waits that
// the target did not cause: a share within a time is a promise about time.
func TestLatenessMakesAShareWithinATimeInvalid(t *testing.T) {
	for slos, invalid := range map[string]bool{"within(200ms) >= 99%": true, "p95 < 200ms": true, "errors < 5%": false, "within(10s) >= 99%": false} {
		p := compileText(t, specText("p: {tasks: {a: 1}}", "- steady: {users: 2, for: 1m}", "slos: ["+slos+"]"), 1)
		rec := measure.NewRecorder(p.Layout)
		rec.Planned(0, 0, 1000)
		r := &Result{Plan: p, Snapshot: rec.Snapshot(), Health: []measure.Health{{Judged: true, Sent: 1000, LagP99: 0.1}}}
		if why := r.Invalid(); len(why) > 0 != invalid {
			t.Errorf("%s with a lag of 100 ms: %q", slos, why)
		}
	}
}

func TestARunThatWasGivenUpForOurOwnFaultsIsNeverJudged(t *testing.T) {
	p := compileText(t, specText("p: {tasks: {a: 1}}", "- steady: {users: 2, for: 1m}", "slos: [p95 < 1s]"), 1)
	rec := measure.NewRecorder(p.Layout)
	rec.Planned(0, 0, 100_000) // most of them in flight when it was given up
	for range 100_000 {
		rec.Issued(0, 0)
	}
	const why = "30 of 100 requests failed on this machine"
	r := &Result{Plan: p, Snapshot: rec.Snapshot(), Aborted: why, Unfit: why}
	if got := r.Invalid(); len(got) != 1 || got[0] != why {
		t.Errorf("%q", got)
	}
}

func TestWarmupPauseAndStepsAreJudgedOnlyWhenNamed(t *testing.T) {
	p := compileText(t, specText("p: {think: 1s, tasks: {a: 1}}", `
- warmup: {users: 2, for: 1m}
- steady: {users: 2, for: 1m}
- spike: {users: 4, for: 1m}
- steps: {from: 1, to: 3, by: 1, every: 1m}
- pause: {for: 1m}`, "slos: [p95 < 1s, p99 < 2s during warmup, errors < 1% during steps]"), 1)
	var got []string
	for _, c := range p.Layout.Claims {
		if !c.Guard {
			got = append(got, c.Objective.Metric.String()+" "+c.Stage)
		}
	}
	want := []string{"p95 steady", "p95 spike", "p99 warmup", "errors steps"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSetupIsJudgedOnlyWhenItIsNamed(t *testing.T) {
	p := compileText(t, specText("p: {think: 1s, on_start: [login, a], tasks: {a: 1}}", "- warmup: {users: 5, ramp: 1s, for: 5s}\n- steady: {users: 10, ramp: 1s, for: 20s}",
		`slos: [p95 < 1s, "p95{endpoint=login} < 3s", "p90{task=on_start} < 3s", "p90{endpoint=a} < 1s"]`), 1)
	s := newSim(t, p, 2)
	s.answer = func(x sent) (time.Duration, int, string) {
		if x.row == "login" {
			return 2 * time.Second, 200, `{"token": "x"}`
		}
		return 10 * time.Millisecond, 200, "{}"
	}
	snap := s.run()
	for i, c := range p.Layout.Claims[:4] {
		n := uint64(0)
		for _, slot := range snap.Evidence(i, 20, nil).Slots {
			n += slot.N
		}
		// Ten users log in and call a once each, over warm-up and ramp; the rest is the tasks' hold.
		switch {
		case c.Objective.Selector.Endpoint == "login" && n != 10,
			c.Objective.Selector.Task == "on_start" && n != 20,
			!c.Setup && (n < 180 || n > 220):
			t.Errorf("%s (set-up %v, stage %q): %d samples", c.Objective.Text, c.Setup, c.Stage, n)
		}
	}
}

func TestGuardsDoNotJudgeTheSearchForALimit(t *testing.T) {
	p := compileText(t, specText("p: {think: 1s, tasks: {a: 1}}", `
- warmup: {users: 2, for: 1m}
- steps: {from: 1, to: 3, by: 1, every: 1m, until: errors > 5%}
- steady: {users: 2, for: 1m}`, "slos: [p95 < 1s]"), 1)
	for i, c := range p.Layout.Claims {
		if c.Guard {
			for _, phase := range p.Layout.Scope(i) {
				if shape := p.Layout.Phases[phase].Shape; shape != "steady" {
					t.Errorf("the guard of %s judges a %s stage", c.GuardOf, shape)
				}
			}
		}
	}
}

func TestForecastIsWhatTheSimulationDoes(t *testing.T) {
	p := compileText(t, specText("p: {weight: 3, think: 1s..3s, on_start: [login], tasks: {a: 3, pair: {weight: 1, steps: [list, item]}}}\nq: {weight: 1, think: 500ms, tasks: {b: 1}}", `
- steady: {users: 40, ramp: 10s, for: 5m}
- spike: {users: 80, ramp: 10s, for: 2m, back: 10s}
- steady: {name: open, rate: 30/s, for: 3m}`), 4)
	s := newSim(t, p, 2)
	s.answer = func(x sent) (time.Duration, int, string) {
		return 100 * time.Millisecond, 200, `{"token": "x", "0": {"id": 5}}`
	}
	rows := map[string]int{}
	s.run()
	for row, n := range s.rows() {
		rows[row] = n
	}
	f := p.Forecast(100 * time.Millisecond)
	for _, row := range f.Rows {
		got := float64(rows[row.Name])
		if math.Abs(got-row.All) > 4*math.Sqrt(row.All)+0.03*row.All {
			t.Errorf("%s: forecast %.0f, the run made %.0f", row.Name, row.All, got)
		}
	}
	if f.Duration != 10*time.Second+5*time.Minute+140*time.Second+3*time.Minute {
		t.Errorf("duration %v", f.Duration)
	}
}

func TestMoreUsersThanDescriptorsIsSaidBeforeTheRun(t *testing.T) {
	p := compileText(t, specText("p: {think: 1s, tasks: {a: 1}}", "- steady: {users: 500, for: 1m}"), 1)
	for want, b := range map[string]Budget{
		"ulimit -n 564": {Files: 100}, "ip_local_port_range": {Ports: 100}, "memory": {Memory: 1 << 20},
	} {
		if short := p.Shortages(b); len(short) != 1 || !strings.Contains(short[0], want) {
			t.Errorf("500 users with %+v: %q", b, short)
		}
	}
	if short := p.Shortages(Budget{Files: 500, Ports: 500, Memory: 1 << 30}); short != nil {
		t.Errorf("500 users where there is enough: %q", short)
	}
}

func TestStepsEndAtTheLevelThatDoesNotHold(t *testing.T) {
	t.Parallel()
	var busy atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := busy.Add(1)
		defer busy.Add(-1)
		time.Sleep(20 * time.Millisecond) // the work that makes requests overlap
		if n > 12 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv.Listener = l
	srv.Start()
	defer srv.Close()
	r := runAgainst(t, t.Context(), "", l.Addr().String(), specText("p: {think: 0s, tasks: {a: 1}}",
		"- steps: {name: search, from: 6, to: 600, by: 12, every: 7s, until: errors > 5%}"), 1)
	// 6 users never overlap more than 12; 18 do all the time.
	if got := r.Broke["search"]; got != 18 {
		t.Errorf("broke at %v users, want 18 (spans %+v)", got, r.Spans)
	}
}
