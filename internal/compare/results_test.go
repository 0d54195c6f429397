package compare

import (
	"math"
	"math/rand/v2"
	"testing"

	"tollgate/internal/measure"
	"tollgate/internal/report"
)

// loaded is a run of 30 judged seconds at so many requests a second, of times
// that vary by a factor exp(0.3 z), and with them a share that fails.
func loaded(t testing.TB, seed uint64, rate int, slower, failing float64) *report.Document {
	t.Helper()
	r := newRun(0.02, nil)
	rnd := rand.New(rand.NewPCG(seed, 3))
	for i := range rate * 61 {
		o := measure.OK
		if rnd.Float64() < failing {
			o = measure.Status
		}
		took := int64(float64(50*ms) * slower * math.Exp(0.3*rnd.NormFloat64()))
		r.record(trigger, 20*ms+int64(i)*61*sec/int64(rate*61), took, o)
	}
	r.Snapshot = r.rec.Snapshot()
	return report.Build(r.Run)
}

func compared(t testing.TB, a, b *report.Document) map[string]Shift {
	t.Helper()
	lines, err := Results(a, b, 0.95)
	if err != nil {
		t.Fatal(err)
	}
	if len(lines) != 4 || lines[0].Row != "" || lines[1].Row != "trigger threat" {
		t.Fatalf("lines %+v", lines)
	}
	out := map[string]Shift{}
	for _, s := range lines[1].Changes {
		out[s.Metric] = s
	}
	return out
}

func TestTheIntervalOfAChangeHoldsTheTruth(t *testing.T) {
	const seeds, slower, rate = 40, 1.2, 50
	missed := map[string]int{}
	for seed := range uint64(seeds) {
		for metric, s := range compared(t, loaded(t, 2*seed, rate, 1, 0.002), loaded(t, 2*seed+1, rate, slower, 0.006)) {
			truth := map[string]float64{"p50": slower - 1, "p95": slower - 1, "p99": slower - 1, "errors": 0.004, "throughput": 0.994/0.998 - 1}[metric]
			if !s.Low.Known() && metric != "p99" { // it is infinite in many a batch
				t.Fatalf("seed %d: %s has no interval: %s", seed, metric, s.Why)
			}
			if s.Low.Known() && (float64(s.Low) > truth || float64(s.High) < truth) {
				missed[metric]++
			}
		}
	}
	for metric, n := range missed {
		if n > seeds/8 {
			t.Errorf("%s: %d of %d intervals of 95 %% miss the truth", metric, n, seeds)
		}
	}
}

func TestAChangeIsSeenAndTwoEqualRunsShowNone(t *testing.T) {
	a, b := loaded(t, 1, 100, 1, 0), loaded(t, 2, 100, 1.3, 0)
	for _, metric := range []string{"p50", "p95", "p99"} {
		if s := compared(t, a, b)[metric]; !s.Beyond() || math.Abs(float64(s.Change)-0.3) > 0.1 {
			t.Errorf("%s: %+v", metric, s)
		}
	}
	for metric, s := range compared(t, a, a) {
		if s.Beyond() || s.Change != 0 {
			t.Errorf("a run differs from itself in %s: %+v", metric, s)
		}
	}
	if s := compared(t, a, b)["errors"]; s.Change != 0 || s.Low != 0 || s.High != 0 {
		t.Errorf("no errors on either side: %+v", s)
	}
}

func TestWhatIsTooLittleHasNoIntervalAndSaysWhy(t *testing.T) {
	a := loaded(t, 1, 100, 1, 0.08) // no finite p95
	s := compared(t, a, loaded(t, 2, 100, 1, 0))
	if p95 := s["p95"]; p95.Change.Known() || p95.Why != "no finite value" {
		t.Errorf("p95: %+v", p95)
	}
	if p50 := s["p50"]; !p50.Low.Known() {
		t.Errorf("p50: %+v", p50)
	}
	r := newRun(0.02, nil)
	for i := range int64(5) {
		r.record(trigger, 10*sec+i*sec, 50*ms, measure.OK)
	}
	few, _ := r.stored(t)
	if p50 := compared(t, few, few)["p50"]; p50.Low.Known() || p50.Why != "fewer than 10 batches with data" || p50.Change != 0 {
		t.Errorf("of five requests: %+v", p50)
	}
	none, _ := newRun(0.02, nil).stored(t)
	for metric, s := range compared(t, none, none) {
		if s.Low.Known() || s.Why == "" {
			t.Errorf("of no request, %s: %+v", metric, s)
		}
	}
}
