package exec

import (
	"math"
	"testing"
	"time"

	"tollgate/internal/measure"
	"tollgate/pkg/slo"
)

const probed = `slos: [connections < 80, delta(stored) >= successes]
probes:
  connections: {scrape: "http://127.0.0.1:1/metrics", metric: connections}
  stored: {scrape: "http://127.0.0.1:1/metrics", metric: stored_total}
`

func TestEachStageIsJudgedOnTheReadingsOfItsOwnHold(t *testing.T) {
	text := specText("p: {think: 90ms, tasks: {a: 1}}", `
- warmup: {users: 5, for: 10s}
- steady: {users: 10, ramp: 5s, for: 20s}
- steady: {name: more, users: 20, ramp: 5s, for: 20s}`, probed)
	r := runVirtually(t, compileText(t, text, 1), RunOptions{Loops: 1}, func(*virtual) {})
	before, after := measure.Reading{At: -1, Value: 1000}, measure.Reading{At: int64(r.Elapsed), Value: 1e6}
	r.Readings = []measure.Readings{{Probe: "connections", List: []measure.Reading{before}}, {Probe: "stored", Counter: true, List: []measure.Reading{before, after}}}
	hold := map[string]Span{}
	for _, s := range r.Spans {
		if !s.Moving && !s.Drain {
			hold[r.Plan.Spec.Stages[s.Stage].Name] = s
		}
	}
	at := func(t int64, v float64) {
		one := measure.Reading{At: t, Value: v}
		if math.IsNaN(v) {
			one.Why = "no answer"
		}
		r.Readings[0].List = append(r.Readings[0].List, one)
	}
	at(hold["warmup"].Start+1, 500)
	at(hold["steady"].Start-1, 500) // on the ramp
	at(hold["steady"].Start, 70)
	at(hold["steady"].End-1, 79)
	at(hold["steady"].End, 500)
	at(hold["more"].Start+1, 60)
	at(hold["more"].Start+2, math.NaN())
	at(hold["more"].End, 500)
	verdicts := func() map[string]slo.Verdict {
		claims, evidence := r.Claims()
		out := map[string]slo.Verdict{}
		for _, res := range slo.Judge(claims, evidence, slo.Options{}).Results {
			if !res.Claim.Guard {
				out[res.Claim.Objective.Metric.String()+" "+res.Claim.Stage] = res.Verdict
			}
		}
		return out
	}
	got := verdicts()
	if got["connections steady"] != slo.Pass || got["connections more"] != slo.NoData || got["delta(stored) "] != slo.Pass || len(got) != 3 {
		t.Errorf("%v", got)
	}
	at(hold["more"].Start+3, 80)
	if got := verdicts(); got["connections more"] != slo.Fail {
		t.Errorf("with a reading that breaks it: %v", got)
	}
	r.Readings[1].List[1].At-- // not after the drain
	if got := verdicts(); got["delta(stored) "] != slo.NoData {
		t.Errorf("read during the drain: %v", got)
	}
	r.Readings = nil
	for claim, v := range verdicts() {
		if v != slo.NoData {
			t.Errorf("nobody read a probe, and %s is %v", claim, v)
		}
	}
}

func TestHoldOfOpenLengthWaitsForItsProbes(t *testing.T) {
	text := specText("p: {think: 100ms, tasks: {a: 1}}", "- steady: {users: 20, for: 1m..8m}", probed)
	answers := func(started time.Time) []measure.Readings {
		r := measure.Readings{Probe: "connections"}
		for at := 5 * time.Second; at < time.Since(started); at += 5 * time.Second {
			r.List = append(r.List, measure.Reading{At: int64(at), Value: 10})
		}
		return []measure.Readings{r}
	}
	for name, c := range map[string]struct {
		readings func(time.Time) []measure.Readings
		most     time.Duration
		least    time.Duration
	}{
		"answered": {answers, 61 * time.Second, time.Minute},
		"silent":   {nil, 481 * time.Second, 8 * time.Minute},
	} {
		r := runVirtually(t, compileText(t, text, 1), RunOptions{Loops: 1, Readings: c.readings}, func(*virtual) {})
		if hold := r.Spans[1].Length(); hold < c.least || hold > c.most {
			t.Errorf("%s: the hold lasts %v, want %v", name, hold, c.least)
		}
	}
}
