package slo

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// seconds is evidence of one slot a second.
func seconds(slots ...Slot) Evidence {
	return Evidence{Slots: slots, Seconds: float64(len(slots)), Observed: math.NaN()}
}

// times repeats a slot.
func times(n int, s Slot) (slots []Slot) {
	for range n {
		slots = append(slots, s)
	}
	return slots
}

// joined is evidence of runs of seconds, one after the other.
func joined(runs ...[]Slot) Evidence {
	var all []Slot
	for _, r := range runs {
		all = append(all, r...)
	}
	return seconds(all...)
}

func TestAPromiseInWindowsHoldsInEachOfThem(t *testing.T) {
	good, bad := Slot{N: 100}, Slot{N: 100, Bad: 6}
	for name, c := range map[string]struct {
		src      string
		ev       Evidence
		want     Verdict
		observed float64
		reason   string
	}{
		"all hold": {
			"p95 < 200ms every 10s", joined(times(60, good)), Pass, 1,
			"p95 holds in 6 of 6 windows of 10 s, worst from 0 s to 10 s (0 % slow or failed of 1,000): pass",
		},
		"ten bad seconds of a good minute": {
			"p95 < 200ms every 10s", joined(times(20, good), times(10, bad), times(30, good)), Fail, 5.0 / 6,
			"p95 holds in 5 of 6 windows of 10 s, worst from 20 s to 30 s (6 % slow or failed of 1,000): fail",
		},
		"at the budget": {
			"p95 < 200ms every 10s", joined(times(60, Slot{N: 100, Bad: 5})), Pass, 1,
			"p95 holds in 6 of 6 windows of 10 s, worst from 0 s to 10 s (5 % slow or failed of 1,000): pass",
		},
		"a share of them is enough": {
			"p95 < 200ms every 10s in 80% of windows", joined(times(20, good), times(10, bad), times(30, good)), Pass, 5.0 / 6,
			"p95 holds in 5 of 6 windows of 10 s, 80 % asked, worst from 20 s to 30 s (6 % slow or failed of 1,000): pass",
		},
		"a share of them is not enough": {
			"p95 < 200ms every 10s in 95% of windows", joined(times(20, good), times(10, bad), times(30, good)), Fail, 5.0 / 6,
			"p95 holds in 5 of 6 windows of 10 s, 95 % asked, worst from 20 s to 30 s (6 % slow or failed of 1,000): fail",
		},
		"one window too small to judge": {
			"p95 < 200ms every 10s", joined(times(20, good), times(10, Slot{N: 5}), times(30, good)), Inconclusive, 5.0 / 6,
			"p95 holds in 5 of 6 windows of 10 s, 1 with too few requests to judge (below 59), worst from 0 s to 10 s (0 % slow or failed of 1,000): NOT PROVEN",
		},
		"small windows beyond the asked share": {
			"p95 < 200ms every 10s in 80% of windows", joined(times(20, good), times(10, Slot{N: 5}), times(30, good)), Pass, 5.0 / 6,
			"p95 holds in 5 of 6 windows of 10 s, 80 % asked, 1 with too few requests to judge (below 59), worst from 0 s to 10 s (0 % slow or failed of 1,000): pass",
		},
		"a silent window": {
			"p95 < 200ms every 10s", joined(times(20, good), times(10, Slot{}), times(30, good)), Inconclusive, 5.0 / 6,
			"p95 holds in 5 of 6 windows of 10 s, 1 with too few requests to judge (below 59), worst from 0 s to 10 s (0 % slow or failed of 1,000): NOT PROVEN",
		},
		"a small window is broken if the missing requests could not mend it": {
			"p95 < 200ms every 10s", joined(times(20, good), times(10, Slot{N: 1, Bad: 1}), times(30, good)), Fail, 5.0 / 6,
			"p95 holds in 5 of 6 windows of 10 s, worst from 20 s to 30 s (100 % slow or failed of 10): fail",
		},
		"all too small": {
			"p99 < 200ms every 10s", joined(times(30, Slot{N: 20})), Inconclusive, 0,
			"p99 holds in 0 of 3 windows of 10 s, 3 with too few requests to judge (below 299): NOT PROVEN",
		},
		"errors": {
			"errors <= 1% every 10s", joined(times(10, Slot{N: 100, Bad: 1}), times(10, Slot{N: 100, Bad: 2})), Fail, 0.5,
			"errors holds in 1 of 2 windows of 10 s, worst from 10 s to 20 s (2 % failed of 1,000): fail",
		},
		"no errors need no number of requests": {
			"errors == 0 every 10s", joined(times(20, Slot{N: 1})), Pass, 1,
			"errors holds in 2 of 2 windows of 10 s, worst from 0 s to 10 s (0 % failed of 10): pass",
		},
		"within": {
			"within(200ms) >= 95% every 10s", joined(times(10, good), times(10, bad)), Fail, 0.5,
			"within(200ms) holds in 1 of 2 windows of 10 s, worst from 10 s to 20 s (94 % in time of 1,000): fail",
		},
		"throughput": {
			"throughput >= 95/s every 10s", joined(times(10, good), times(10, bad)), Fail, 0.5,
			"throughput holds in 1 of 2 windows of 10 s, worst from 10 s to 20 s (94/s): fail",
		},
		"a silent window has no throughput": {
			"throughput > 0/s every 10s", joined(times(10, good), times(10, Slot{})), Fail, 0.5,
			"throughput holds in 1 of 2 windows of 10 s, worst from 10 s to 20 s (0/s): fail",
		},
		"counts": {
			"successes >= 941 every 10s", joined(times(10, good), times(10, bad)), Fail, 0.5,
			"successes holds in 1 of 2 windows of 10 s, worst from 10 s to 20 s (successes 940): fail",
		},
		"max": {
			"max < 2s every 10s", joined(times(10, Slot{N: 1, Max: 1.9}), times(10, Slot{N: 1, Max: 2})), Fail, 0.5,
			"max holds in 1 of 2 windows of 10 s, worst from 10 s to 20 s (max 2 s): fail",
		},
		"max of a failure": {
			"max < 2s every 10s", joined(times(10, Slot{N: 1, Max: 1.9}), times(10, Slot{N: 1, Max: math.Inf(1)})), Fail, 0.5,
			"max holds in 1 of 2 windows of 10 s, worst from 10 s to 20 s (no finite max): fail",
		},
		"mean": {
			"mean < 200ms every 10s", joined(times(10, Slot{N: 10, Sum: 1}), times(10, Slot{N: 10, Sum: 2})), Fail, 0.5,
			"mean holds in 1 of 2 windows of 10 s, worst from 10 s to 20 s (mean 200 ms): fail",
		},
		"bytes": {
			"bytes_in < 1kB every 10s", joined(times(10, Slot{N: 1, Sum: 99}), times(10, Slot{N: 1, Sum: 100})), Fail, 0.5,
			"bytes_in holds in 1 of 2 windows of 10 s, worst from 10 s to 20 s (bytes_in 1,000 B): fail",
		},
		"dropped arrivals": {
			"dropped < 1% every 10s", joined(times(10, Slot{N: 100}), times(10, Slot{N: 100, Bad: 1})), Fail, 0.5,
			"dropped holds in 1 of 2 windows of 10 s, worst from 10 s to 20 s (1 % dropped of 1,000): fail",
		},
		"the scope is shorter than a window": {
			"throughput > 1/s every 1m", joined(times(59, good)), Inconclusive, math.NaN(),
			"throughput has no window of 60 s in 59 s: NOT PROVEN",
		},
	} {
		r := judged(t, c.src, c.ev)
		same := r.Observed == c.observed || math.IsNaN(r.Observed) && math.IsNaN(c.observed)
		if r.Verdict != c.want || !same || r.Reason != c.reason {
			t.Errorf("%s: %s\n  got  %v %v %q\n  want %v %v %q", name, c.src, r.Verdict, r.Observed, r.Reason, c.want, c.observed, c.reason)
		}
	}
}

func TestTheRestOfAScopeIsAWindowWhereThatIsFair(t *testing.T) {
	good := times(20, Slot{N: 100, Max: 1})
	for name, c := range map[string]struct {
		src  string
		rest []Slot
		want Verdict
		text string
	}{
		"bad and large enough":      {"p95 < 200ms every 10s", times(5, Slot{N: 100, Bad: 6}), Fail, "2 of 3 windows"},
		"good and large enough":     {"p95 < 200ms every 10s", times(5, Slot{N: 100}), Pass, "3 of 3 windows"},
		"too small":                 {"p95 < 200ms every 10s", times(5, Slot{N: 10}), Pass, "2 of 2 windows"},
		"small and surely bad":      {"p95 < 200ms every 10s", times(1, Slot{N: 3, Bad: 3}), Fail, "2 of 3 windows"},
		"slow by one":               {"max < 2s every 10s", times(1, Slot{N: 1, Max: 3}), Fail, "2 of 3 windows"},
		"a rate over a bit":         {"throughput > 90/s every 10s", times(1, Slot{N: 3}), Pass, "2 of 2 windows"},
		"a count over a bit":        {"requests >= 1000 every 10s", times(5, Slot{N: 100}), Pass, "2 of 2 windows"},
		"a mean over a bit":         {"mean < 1ms every 10s", times(5, Slot{N: 1, Sum: 9}), Pass, "2 of 2 windows"},
		"almost a whole window":     {"requests >= 1000 every 10s", times(10, Slot{N: 100}), Pass, "3 of 3 windows"},
		"nine seconds of no window": {"requests >= 901 every 10s", times(9, Slot{N: 100}), Pass, "2 of 2 windows"},
	} {
		ev := joined(good, c.rest)
		ev.Seconds -= 0.02
		if r := judged(t, c.src, ev); r.Verdict != c.want || r.ObservedText != c.text {
			t.Errorf("%s: %q, want %v and %s", name, r.Reason, c.want, c.text)
		}
	}
}

func TestASilentEndIsCutIntoWindowsToo(t *testing.T) {
	ev := joined(times(30, Slot{N: 100}))
	ev.Seconds = 60 // nobody answered in the other thirty, and nobody wrote slots
	if r := judged(t, "throughput > 90/s every 10s", ev); r.Verdict != Fail || r.ObservedText != "3 of 6 windows" {
		t.Errorf("%s", r.Reason)
	}
	if r := judged(t, "p95 < 200ms every 10s", ev); r.Verdict != Inconclusive {
		t.Errorf("%s", r.Reason)
	}
}

func TestAWindowNeedsAsManyRequestsAsCouldProveThePromise(t *testing.T) {
	for src, want := range map[string]uint64{
		"p50 < 1s":          5,
		"p90 < 1s":          29,
		"p95 < 1s":          59,
		"p99 < 1s":          299,
		"p99.9 < 1s":        2995,
		"p99.99 < 1s":       29956,
		"errors < 1%":       299,
		"errors <= 5%":      59,
		"errors == 0":       1,
		"within(1s) >= 95%": 59,
		"within(1s) > 0":    1,
		"dropped < 1%":      299,
		"dropped == 0":      1,
		"dropped <= 3":      1,
		"max < 1s":          1,
		"mean < 1s":         1,
		"throughput > 1/s":  0,
		"successes > 1":     0,
		"requests > 1":      0,
		"bytes_in > 1B":     0,
	} {
		o := mustParse(t, src+" every 10s")
		if got := o.LeastPerWindow(); got != want {
			t.Errorf("%v needs %d, want %d", o, got, want)
		}
		if n, ok := o.LeastPerWindow(), o.Metric.Kind == Quantile; ok {
			q := o.Metric.Q
			if math.Pow(q, float64(n)) > 0.05 || math.Pow(q, float64(n-1)) <= 0.05 {
				t.Errorf("%v: %d is not the least n of q^n <= 5 %%", o, n)
			}
		}
	}
}

func TestLostSamplesMayHaveFallenIntoAnyWindow(t *testing.T) {
	// 1,000 requests a window; p95 allows 50 bad ones.
	close := times(10, Slot{N: 100, Bad: 5}) // one more bad breaks it
	loose := times(10, Slot{N: 100})         // 53 more bad break it: 53/1053
	over := times(10, Slot{N: 102, Bad: 6})  // 1,020 with 60: 180 more good mend it
	for name, c := range map[string]struct {
		src  string
		ev   Evidence
		lost uint64
		want Verdict
	}{
		"none lost":                          {"p95 < 200ms every 10s", joined(close, loose), 0, Pass},
		"one could break the closest":        {"p95 < 200ms every 10s", joined(close, loose), 1, Inconclusive},
		"not enough to break any":            {"p95 < 200ms every 10s", joined(loose, loose), 52, Pass},
		"enough to break one":                {"p95 < 200ms every 10s", joined(loose, loose), 53, Inconclusive},
		"one may be broken":                  {"p95 < 200ms every 10s in 50% of windows", joined(loose, loose), 53, Pass},
		"enough to break both":               {"p95 < 200ms every 10s in 50% of windows", joined(loose, loose), 106, Inconclusive},
		"not enough for both":                {"p95 < 200ms every 10s in 50% of windows", joined(loose, loose), 105, Pass},
		"not enough to mend":                 {"p95 < 200ms every 10s", joined(loose, over), 179, Fail},
		"enough to mend":                     {"p95 < 200ms every 10s", joined(loose, over), 180, Inconclusive},
		"a lost one may be the slowest":      {"max < 2s every 10s", joined(times(20, Slot{N: 1, Max: 1})), 1, Inconclusive},
		"a lost one mends no slowest":        {"max < 2s every 10s", joined(times(20, Slot{N: 1, Max: 3})), 9, Fail},
		"a lost one breaks no throughput":    {"throughput > 90/s every 10s", joined(times(20, Slot{N: 100})), 9, Pass},
		"lost ones may be throughput":        {"throughput >= 100/s every 10s", joined(times(10, Slot{N: 100}), times(10, Slot{N: 99})), 10, Inconclusive},
		"too few for throughput":             {"throughput >= 100/s every 10s", joined(times(10, Slot{N: 100}), times(10, Slot{N: 99})), 9, Fail},
		"lost ones raise an upper count":     {"requests <= 1000 every 10s", joined(times(20, Slot{N: 100})), 1, Inconclusive},
		"lost ones raise a lower count":      {"requests >= 1001 every 10s in 50% of windows", joined(times(20, Slot{N: 100})), 1, Inconclusive},
		"lost bytes are without bound":       {"bytes_in < 1MB every 10s", joined(times(20, Slot{N: 1, Sum: 1})), 1, Inconclusive},
		"and may be missing below":           {"bytes_in > 1MB every 10s", joined(times(10, Slot{N: 1, Sum: 1})), 1, Inconclusive},
		"a lost one may be of any mean":      {"mean < 1s every 10s", joined(times(10, Slot{N: 1, Sum: 0.1})), 1, Inconclusive},
		"no number of them is too large":     {"p95 < 200ms every 10s", joined(loose, close), math.MaxUint64, Inconclusive},
		"nor is one that wraps 64 bits":      {"p95 < 200ms every 10s", joined(close), math.MaxUint64, Inconclusive},
		"they break the rest as well":        {"p95 < 200ms every 10s", joined(loose, times(3, Slot{N: 1})), 3, Inconclusive},
		"they are too few to break the rest": {"p95 < 200ms every 10s", joined(loose, times(3, Slot{N: 1})), 2, Pass},
		"an error may hide among them":       {"errors == 0 every 10s", joined(times(10, Slot{N: 100})), 1, Inconclusive},
	} {
		c.ev.Lost = c.lost
		if r := judged(t, c.src, c.ev); r.Verdict != c.want {
			t.Errorf("%s: %s with %d lost: %s, want %v", name, c.src, c.lost, r.Reason, c.want)
		}
	}
}

// windowed are promises that rapid judges in windows.
var windowed = []string{
	"p95 < 200ms", "ok.p90 <= 1s", "errors < 10%", "errors == 0", "within(200ms) >= 90%", "throughput > 4/s", "successes >= 8", "requests <= 15",
	"requests > 3", "dropped <= 3", "dropped < 10%", "max < 2s", "mean < 150ms", "bytes_in < 100B", "bytes_out >= 5B",
}

func drawSeconds(t *rapid.T, label string) Evidence {
	n := rapid.IntRange(1, 24).Draw(t, label+" seconds")
	var slots []Slot
	for range n {
		s := Slot{N: rapid.SampledFrom([]uint64{0, 1, 5, 30, 60}).Draw(t, "n")}
		s.Bad = rapid.Uint64Range(0, min(s.N, 3)).Draw(t, "bad")
		s.Max, s.Sum = 0.1*float64(min(s.N, 1)), float64(s.N)*0.1
		slots = append(slots, s)
	}
	return seconds(slots...)
}

// dealt returns the evidence with its lost samples found, each good or bad in
// some second.
func dealt(t *rapid.T, ev Evidence) Evidence {
	found := ev
	found.Lost, found.Slots = 0, append([]Slot(nil), ev.Slots...)
	for range ev.Lost {
		s := &found.Slots[rapid.IntRange(0, len(found.Slots)-1).Draw(t, "second of a lost one")]
		s.N++
		if rapid.Bool().Draw(t, "it was bad") {
			s.Bad, s.Max, s.Sum = s.Bad+1, math.Inf(1), s.Sum+1000
		} else {
			s.Max = max(s.Max, 0.01)
		}
	}
	return found
}

func TestLostSamplesNeverTurnAJudgementInWindowsWrong(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src := rapid.SampledFrom(windowed).Draw(t, "promise")
		if rapid.Bool().Draw(t, "recovery") && !strings.Contains(src, "bytes") && !strings.Contains(src, "requests") && !strings.Contains(src, "successes") && src != "dropped <= 3" {
			src += fmt.Sprintf(" every %ds within %ds after spike", rapid.IntRange(1, 3).Draw(t, "every"), rapid.IntRange(3, 20).Draw(t, "within"))
		} else {
			src += fmt.Sprintf(" every %ds in %d%% of windows", rapid.IntRange(1, 9).Draw(t, "every"), rapid.IntRange(1, 100).Draw(t, "share"))
		}
		ev := drawSeconds(t, "seen")
		ev.Lost = rapid.Uint64Range(0, 40).Draw(t, "lost")
		told, truth := judged(t, src, ev), judged(t, src, dealt(t, ev))
		if told.Verdict != Inconclusive && told.Verdict != NoData && truth.Verdict != Inconclusive && told.Verdict != truth.Verdict {
			t.Fatalf("%s with %d lost: told %q, in truth %q", src, ev.Lost, told.Reason, truth.Reason)
		}
	})
}

func TestShardsMergeToTheSameWindows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src := rapid.SampledFrom(windowed).Draw(t, "promise") + rapid.SampledFrom([]string{" every 3s", " every 2s in 60% of windows"}).Draw(t, "windows")
		ev := drawSeconds(t, "whole")
		split := ev
		split.Slots = nil
		for _, s := range ev.Slots {
			bad := rapid.Uint64Range(0, s.Bad).Draw(t, "bad of one shard")
			n := bad + rapid.Uint64Range(0, s.N-s.Bad).Draw(t, "good of one shard")
			one := Slot{N: n, Bad: bad, Max: s.Max}
			other := Slot{N: s.N - n, Bad: s.Bad - bad, Sum: s.Sum}
			split.Slots = append(split.Slots, other.Add(one))
		}
		if a, b := judged(t, src, ev), judged(t, src, split); a.Reason != b.Reason || a.Verdict != b.Verdict {
			t.Fatalf("%q, merged %q", a.Reason, b.Reason)
		}
	})
}

func TestMoreBadRequestsNeverMakeWindowsBetter(t *testing.T) {
	rank := map[Verdict]int{Fail: 0, NoData: 1, Inconclusive: 1, Pass: 2}
	rapid.Check(t, func(t *rapid.T) {
		src := rapid.SampledFrom([]string{"p95 < 200ms", "errors < 10%", "within(1s) > 80%", "throughput > 4/s", "successes >= 9", "dropped <= 3"}).Draw(t, "promise")
		src += rapid.SampledFrom([]string{" every 3s", " every 2s in 60% of windows"}).Draw(t, "windows")
		ev := drawSeconds(t, "fewer bad")
		more := ev
		more.Slots = append([]Slot(nil), ev.Slots...)
		s := &more.Slots[rapid.IntRange(0, len(ev.Slots)-1).Draw(t, "second")]
		s.Bad = min(s.Bad+1, s.N)
		a, b := judged(t, src, ev), judged(t, src, more)
		if rank[b.Verdict] > rank[a.Verdict] {
			t.Fatalf("%q, with one more bad %q", a.Reason, b.Reason)
		}
	})
}

// everyForm names each form of an objective that is more than a limit over a scope.
var everyForm = []string{
	"p95 < 200ms every 10s", "p95 < 200ms every 10s in 5% of windows", "errors == 0 every 1s", "throughput > 0 every 10s", "requests < 100 every 10s",
	"max < 1s every 1s", "bytes_in < 1GB every 10s", "p95 < 200ms within 30s after spike", "errors < 50% every 1s within 1h after spike",
	"dropped == 0 within 1h after spike", "p95 <= 110% of baseline", "errors <= 900% of baseline", "requests <= 900% of baseline",
	"max < 900% of baseline", "delta(heap) >= 0", "delta(alerts_stored) >= successes", "successes >= requests{task=a}",
	"delta(heap) <= delta(alerts_stored)", "dropped <= requests{task=a}", "heap < 5", "heap >= 0", "heap != 7",
}

func TestNoDataIsNeverGreenInAnyForm(t *testing.T) {
	nan := math.NaN()
	base := Baseline{Of: "run 1", Value: 1}
	for name, ev := range map[string]Evidence{
		"no evidence":       {},
		"no slots":          {Seconds: 60, Observed: nan, Baseline: base},
		"empty slots":       {Slots: make([]Slot, 60), Seconds: 60, Gauge: []float64{}, Baseline: base},
		"only lost samples": {Slots: make([]Slot, 60), Seconds: 60, Lost: 1000, Baseline: base, Left: Total{Lost: 9}, Right: Total{Lost: 9}},
		"gauge of NaN":      {Seconds: 60, Gauge: []float64{nan, nan}},
		"contradiction":     {Slots: []Slot{{N: 5, Bad: 6, Sum: 0.1, Max: 0.1}}, Seconds: 60, Baseline: base},
		"totals of NaN":     {Left: Total{Value: nan, N: 9}, Right: Total{Value: nan, N: 9}},
		"one side only":     {Right: Total{Value: 0, N: 9}},
		"a slot of NaN":     {Slots: []Slot{{N: 5, Sum: nan, Max: nan}}, Seconds: 1, Observed: nan, Baseline: base},
	} {
		for _, src := range everyForm {
			r := judged(t, src, ev)
			if r.Verdict != NoData || r.Value != nil || r.ObservedText != "no data" || !strings.HasSuffix(r.Reason, ": no data") {
				t.Errorf("%s with %s: %v %q %q", src, name, r.Verdict, r.ObservedText, r.Reason)
			}
		}
	}
}

func TestAllFailedIsNeverGreenInAnyForm(t *testing.T) {
	ev := Evidence{
		Slots: times(60, Slot{N: 100, Bad: 100, Max: math.Inf(1), Sum: 1000}), Seconds: 60, Observed: math.Inf(1),
		Baseline: Baseline{Of: "run 1", Value: 0.1}, Left: Total{Value: 0, N: 6000}, Right: Total{Value: 0, N: 6000},
	}
	for _, src := range []string{
		"p95 < 200ms every 10s", "p95 < 200ms every 10s in 5% of windows", "errors == 0 every 1s", "throughput > 0 every 10s", "successes > 0 every 10s",
		"max < 1s every 1s", "mean < 1s every 10s", "within(1h) > 1% every 10s", "p95 < 200ms within 30s after spike", "errors < 50% within 50s after spike",
		"throughput > 0 within 30s after spike", "p95 <= 110% of baseline", "errors <= 900% of baseline", "max < 900% of baseline",
		"throughput >= 1% of baseline", "successes >= 1% of baseline",
	} {
		if r := judged(t, src, ev); r.Verdict != Fail {
			t.Errorf("%s when all failed: %s", src, r.Reason)
		}
	}
}

func TestAFormThatIsNoPromiseIsNeverGreen(t *testing.T) {
	ev := Evidence{
		Slots: times(60, Slot{N: 100, Max: 0.1, Sum: 1}), Seconds: 60, Observed: 0.1, Gauge: []float64{1},
		Baseline: Baseline{Of: "run 1", Value: 0.1}, Left: Total{Value: 9, N: 9}, Right: Total{Value: 9, N: 9},
	}
	for name, o := range map[string]Objective{
		"a share without windows":       {Metric: Metric{Kind: Max}, Op: LT, Limit: 1, Unit: Seconds, InShare: 0.5},
		"a window of no length":         {Metric: Metric{Kind: Max}, Op: LT, Limit: 1, Unit: Seconds, Every: -1},
		"a share above all":             {Metric: Metric{Kind: Max}, Op: LT, Limit: 1, Unit: Seconds, Every: 1e9, InShare: 1.5},
		"a share that is no number":     {Metric: Metric{Kind: Max}, Op: LT, Limit: 1, Unit: Seconds, Every: 1e9, InShare: math.NaN()},
		"a recovery after nothing":      {Metric: Metric{Kind: Max}, Op: LT, Limit: 1, Unit: Seconds, Within: 30e9},
		"a recovery in no time":         {Metric: Metric{Kind: Max}, Op: LT, Limit: 1, Unit: Seconds, After: "spike"},
		"a baseline without a share":    {Metric: Metric{Kind: Max}, Op: LT, Unit: Ratio, OfBaseline: true},
		"a baseline in seconds":         {Metric: Metric{Kind: Max}, Op: LT, Limit: 1, Unit: Seconds, OfBaseline: true},
		"a baseline that is no number":  {Metric: Metric{Kind: Max}, Op: LT, Limit: math.Inf(1), Unit: Ratio, OfBaseline: true},
		"a relation with a limit":       {Metric: Metric{Kind: Successes}, Op: GE, Limit: 1, Unit: Count, Right: MetricRef{Metric: Metric{Kind: Delta, Name: "heap"}}},
		"a relation of another unit":    {Metric: Metric{Kind: Successes}, Op: GE, Unit: Bytes, Right: MetricRef{Metric: Metric{Kind: Delta, Name: "heap"}}},
		"a relation without comparison": {Metric: Metric{Kind: Successes}, Unit: Count, Right: MetricRef{Metric: Metric{Kind: Delta, Name: "heap"}}},
		"a probe without a name":        {Metric: Metric{Kind: Probe}, Op: GE, Unit: Count},
		"a delta of no probe":           {Metric: Metric{Kind: Delta, Name: "p95"}, Op: GE, Unit: Count},
		"a probe without comparison":    {Metric: Metric{Kind: Probe, Name: "heap"}, Unit: Count},
		"a probe without a unit":        {Metric: Metric{Kind: Probe, Name: "heap"}, Op: GE},
	} {
		if r := judgeOne(Claim{Objective: o}, ev, Options{}); r.Verdict != NoData || !strings.Contains(r.Reason, "not a promise") {
			t.Errorf("%s: %s", name, r.Reason)
		}
	}
}

func BenchmarkAnHourInWindowsOfTenSeconds(b *testing.B) {
	c := Claim{Objective: mustParse(b, "p95 < 200ms every 10s in 95% of windows")}
	ev := joined(times(3600, Slot{N: 1000, Bad: 30}))
	ev.Lost = 100
	b.ReportAllocs()
	for b.Loop() {
		if r := judgeWindows(c, ev, Options{}); r.Verdict != Pass {
			b.Fatal(r.Reason)
		}
	}
}
