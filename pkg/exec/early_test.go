package exec

import (
	"strings"
	"testing"
	"time"

	"tollgate/pkg/slo"
)

// every makes each nth answer slow by an independent-looking pattern.
func every(n int) func(string, int) (time.Duration, int) {
	state := uint64(1)
	return func(string, int) (time.Duration, int) {
		state = state*6364136223846793005 + 1442695040888963407
		if state>>33%uint64(n) == 0 {
			return 300 * time.Millisecond, 200
		}
		return 10 * time.Millisecond, 200
	}
}

func TestHoldOfOpenLengthEndsWhenItsObjectivesAreDecided(t *testing.T) {
	text := specText("p: {think: 100ms..200ms, tasks: {a: 1}}", "- steady: {users: 20, for: 1m..8m}", "slos: [p95 < 200ms, users >= 20, requests > 100]")
	for name, c := range map[string]struct {
		slow    int
		least   time.Duration
		most    time.Duration
		verdict slo.Overall
	}{
		"kept":      {1000, time.Minute, 61 * time.Second, slo.OverallPass},
		"broken":    {5, time.Minute, 61 * time.Second, slo.OverallFail},
		"too close": {21, 8 * time.Minute, 481 * time.Second, slo.OverallInconclusive},
	} {
		r := runVirtually(t, compileText(t, text, 1), RunOptions{Loops: 1}, func(v *virtual) { v.answer = every(c.slow) })
		hold := r.Spans[1].Length()
		if hold < c.least || hold > c.most {
			t.Errorf("%s: the hold lasts %v, want %v", name, hold, c.least)
		}
		claims, evidence := r.Claims()
		if j := slo.Judge(claims, evidence, slo.Options{Confidence: 0.95}); j.Overall != c.verdict {
			t.Errorf("%s: %v %v, want %v", name, j.Overall, j.Reasons, c.verdict)
		}
		if got := r.Looks["steady"]; got <= 0.95 || got >= 1 {
			t.Errorf("%s: judged at a confidence of %v, and the looks share the error of 95 %%", name, got)
		}
	}
}

func TestRunIsGivenUpWhenAPromiseIsCertainToBeBroken(t *testing.T) {
	text := specText("p: {think: 100ms..200ms, tasks: {a: 1}}", "- steady: {users: 20, for: 30m}", "slos: [{slo: p95 < 200ms, abort: true}]")
	r := runVirtually(t, compileText(t, text, 1), RunOptions{Loops: 1}, func(v *virtual) { v.answer = every(4) })
	if r.Elapsed > 2*time.Minute || !strings.Contains(r.Aborted, "p95 < 200ms") || r.Interrupted {
		t.Errorf("after %v: aborted %q, interrupted %v", r.Elapsed, r.Aborted, r.Interrupted)
	}
	r = runVirtually(t, compileText(t, text, 1), RunOptions{Loops: 1}, func(v *virtual) { v.answer = every(50) })
	if r.Aborted != "" || r.Elapsed < 30*time.Minute {
		t.Errorf("a promise that is kept was given up after %v: %q", r.Elapsed, r.Aborted)
	}
	r = runVirtually(t, compileText(t, strings.Replace(text, ", abort: true", "", 1), 1), RunOptions{Loops: 1}, func(v *virtual) { v.answer = every(4) })
	if r.Aborted != "" || r.Elapsed < 30*time.Minute {
		t.Errorf("given up after %v although nothing says abort: %q", r.Elapsed, r.Aborted)
	}
}

// One cold request, or a cold second, ends no run.
func TestAColdRequestGivesNothingUp(t *testing.T) {
	text := specText("p: {think: 100ms..200ms, tasks: {a: 1}}", "- steady: {users: 20, for: 2m}", "slos: [{slo: p95 < 200ms, abort: true}, {slo: errors < 1%, abort: true}]")
	for name, cold := range map[string]func(v *virtual, n int) (time.Duration, int){
		"the first request":          func(_ *virtual, n int) (time.Duration, int) { return time.Duration(1/n) * 5 * time.Second, 200 },
		"the first request, failing": func(_ *virtual, n int) (time.Duration, int) { return time.Millisecond, 200 + 300*(1/n) },
		"the first two seconds": func(v *virtual, _ int) (time.Duration, int) {
			if v.now() < int64(2*time.Second) {
				return 900 * time.Millisecond, 200
			}
			return time.Millisecond, 200
		},
	} {
		n := 0
		r := runVirtually(t, compileText(t, text, 1), RunOptions{Loops: 1}, func(v *virtual) {
			v.answer = func(string, int) (time.Duration, int) { n++; return cold(v, n) }
		})
		claims, evidence := r.Claims()
		if j := slo.Judge(claims, evidence, slo.Options{Confidence: 0.95}); r.Aborted != "" || j.Overall == slo.OverallFail {
			t.Errorf("%s: given up after %v: %q; %v %q", name, r.Elapsed, r.Aborted, j.Overall, j.Reasons)
		}
	}
}

func TestRunIsGivenUpWhenItsTargetIsDown(t *testing.T) {
	text := specText("p: {think: 100ms, tasks: {a: 1}}", "- steady: {users: 20, for: 30m}", "slos: [{slo: p95 < 200ms, abort: true}]")
	r := runVirtually(t, compileText(t, text, 1), RunOptions{Loops: 1}, func(v *virtual) {
		v.answer = func(string, int) (time.Duration, int) { return time.Millisecond, 503 }
	})
	if r.Elapsed > 15*time.Second || !strings.Contains(r.Aborted, "failed in the last 5 s") {
		t.Errorf("after %v: %q", r.Elapsed, r.Aborted)
	}
}

func TestRecoveryIsCountedFromTheEndOfThePeak(t *testing.T) {
	p := compileText(t, specText("p: {think: 90ms, tasks: {a: 1}}", `
- steady: {users: 10, for: 20s}
- spike: {users: 40, ramp: 2s, for: 20s, back: 5s}
- steady: {name: after, users: 10, for: 60s}`, "slos: [p95 < 200ms within 30s after spike]"), 1)
	run := func(slowFor time.Duration) slo.Judgement {
		var peakEnds int64
		r := runVirtually(t, p, RunOptions{Loops: 1}, func(v *virtual) {
			v.answer = func(string, int) (time.Duration, int) {
				spans := v.line.load()
				if s := spanAt(spans, v.now()); v.plan.Layout.Phases[s.Phase].Back && peakEnds == 0 {
					peakEnds = s.Start
				}
				if s := spanAt(spans, v.now()); s.Stage == 1 && peakEnds == 0 || peakEnds > 0 && v.now() < peakEnds+int64(slowFor) {
					return 250 * time.Millisecond, 200
				}
				return 10 * time.Millisecond, 200
			}
		})
		claims, evidence := r.Claims()
		return slo.Judge(claims[:1], evidence[:1], slo.Options{Confidence: 0.95})
	}
	if j := run(10 * time.Second); j.Overall != slo.OverallPass {
		t.Errorf("recovered after 10 s: %v %v", j.Overall, j.Results)
	}
	if j := run(45 * time.Second); j.Overall == slo.OverallPass {
		t.Errorf("recovered after 45 s: %v %v", j.Overall, j.Results)
	}
}

func TestRelationComparesTotalsOfTheWholeRun(t *testing.T) {
	p := compileText(t, specText("p: {think: 90ms, tasks: {pair: {weight: 1, steps: [a, b]}}}", "- warmup: {users: 5, for: 5s}\n- steady: {users: 5, for: 20s}",
		"slos: ['successes{endpoint=b} >= successes{endpoint=a}']"), 1)
	for status, want := range map[int]slo.Overall{200: slo.OverallPass, 503: slo.OverallFail} {
		r := runVirtually(t, p, RunOptions{Loops: 1}, func(v *virtual) {
			v.answer = func(row string, n int) (time.Duration, int) {
				if row == "b" && n >= 60 && n < 70 { // lost in the warm-up
					return 10 * time.Millisecond, status
				}
				return 10 * time.Millisecond, 200
			}
		})
		claims, evidence := r.Claims()
		if j := slo.Judge(claims[:1], evidence[:1], slo.Options{Confidence: 0.95}); j.Overall != want {
			t.Errorf("status %d: %v %v", status, j.Overall, j.Reasons)
		}
	}
}
