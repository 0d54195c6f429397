package slo

import (
	"math"
	"strings"
	"testing"
)

func TestARecoveryIsTheFirstMomentFromWhichThePromiseHolds(t *testing.T) {
	good, bad, few := Slot{N: 100}, Slot{N: 100, Bad: 20}, Slot{N: 1}
	for name, c := range map[string]struct {
		src      string
		ev       Evidence
		want     Verdict
		observed float64
		text     string
	}{
		"it never broke":                       {"p95 < 200ms within 30s after spike", joined(times(60, good)), Pass, 0, "never broken"},
		"it took fifteen seconds":              {"p95 < 200ms within 30s after spike", joined(times(15, bad), times(45, good)), Pass, 15, "recovered after 15 s"},
		"it took all that was allowed":         {"p95 < 200ms within 30s after spike", joined(times(30, bad), times(30, good)), Pass, 30, "recovered after 30 s"},
		"it took a window more":                {"p95 < 200ms within 30s after spike", joined(times(32, bad), times(28, good)), Fail, 35, "recovered after 35 s"},
		"finer windows see finer":              {"p95 < 200ms every 1s within 30s after spike", joined(times(31, bad), times(29, good)), Fail, 31, "recovered after 31 s"},
		"it broke again":                       {"p95 < 200ms within 30s after spike", joined(times(5, bad), times(40, good), times(5, bad), times(10, good)), Fail, 50, "recovered after 50 s"},
		"it broke again in time":               {"p95 < 200ms within 30s after spike", joined(times(5, bad), times(10, good), times(5, bad), times(10, good)), Pass, 20, "recovered after 20 s"},
		"it never did":                         {"p95 < 200ms within 30s after spike", joined(times(60, bad)), Fail, math.Inf(1), "not recovered in 60 s"},
		"it broke at the very end":             {"p95 < 200ms within 30s after spike", joined(times(55, good), times(5, bad)), Fail, math.Inf(1), "not recovered in 60 s"},
		"observation ended in time to recover": {"p95 < 200ms within 30s after spike", joined(times(20, bad)), Inconclusive, math.Inf(1), "not recovered in 20 s"},
		"observation ended after a recovery":   {"p95 < 200ms within 30s after spike", joined(times(10, bad), times(10, good)), Pass, 10, "recovered after 10 s"},
		"the seconds after are too small":      {"p95 < 200ms within 30s after spike", joined(times(10, bad), times(50, few)), Inconclusive, math.Inf(1), "not recovered in 60 s"},
		"small ones before it":                 {"p95 < 200ms within 30s after spike", joined(times(10, bad), times(10, few), times(40, good)), Pass, 10, "recovered after 10 s"},
		"small ones over the time":             {"p95 < 200ms within 30s after spike", joined(times(10, bad), times(25, few), times(25, good)), Inconclusive, 10, "recovered after 10 s"},
		"small ones in the end":                {"p95 < 200ms within 30s after spike", joined(times(10, bad), times(40, good), times(10, few)), Inconclusive, 10, "recovered after 10 s"},
		"small ones after a late break":        {"p95 < 200ms within 30s after spike", joined(times(35, bad), times(25, few)), Fail, math.Inf(1), "not recovered in 60 s"},
		"all too small":                        {"p95 < 200ms within 30s after spike", joined(times(60, few)), Inconclusive, math.NaN(), "no window to judge"},
		"no whole window":                      {"throughput > 1/s within 30s after spike", joined(times(4, good)), Inconclusive, math.NaN(), "no window to judge"},
		"throughput":                           {"throughput >= 90/s within 10s after spike", joined(times(10, bad), times(20, good)), Pass, 10, "recovered after 10 s"},
		"errors":                               {"errors < 1% within 5s after spike", joined(times(10, bad), times(20, good)), Fail, 10, "recovered after 10 s"},
		"silence is no throughput":             {"throughput > 0/s within 10s after spike", joined(times(10, good), times(50, Slot{})), Fail, math.Inf(1), "not recovered in 60 s"},
	} {
		r := judged(t, c.src, c.ev)
		same := r.Observed == c.observed || math.IsNaN(r.Observed) && math.IsNaN(c.observed)
		if r.Verdict != c.want || !same || r.ObservedText != c.text {
			t.Errorf("%s: %s\n  got  %v %v %q\n  want %v %v %q", name, c.src, r.Verdict, r.Observed, r.Reason, c.want, c.observed, c.text)
		}
		if (r.Value == nil) == finite(c.observed) {
			t.Errorf("%s: value %v beside an observed %v", name, r.Value, r.Observed)
		}
	}
}

func TestARecoverySaysWhatItSaw(t *testing.T) {
	good, bad, few := Slot{N: 100}, Slot{N: 100, Bad: 20}, Slot{N: 1}
	for want, ev := range map[string]Evidence{
		"p95 never broken, 30 s allowed after spike, in windows of 5 s: pass": joined(times(60, good)),
		"p95 recovered after 15 s, 30 s allowed after spike, in windows of 5 s, 3 broken, " +
			"the last from 10 s to 15 s after the peak (20 % slow or failed of 500): pass": joined(times(15, bad), times(45, good)),
		"p95 not recovered in 60 s, 30 s allowed after spike, in windows of 5 s, 2 broken, " +
			"the last from 5 s to 10 s after the peak (20 % slow or failed of 500), 10 since with too few requests to judge (below 59): NOT PROVEN": joined(times(10, bad), times(50, few)),
		"p95 recovered after 15 s, 30 s allowed after spike, in windows of 5 s, 2 broken, " +
			"the last from 10 s to 15 s after the peak (20 % slow or failed of 500): pass": joined(times(5, bad), times(5, few), times(5, bad), times(45, good)),
	} {
		if r := judged(t, "p95 < 200ms within 30s after spike", ev); r.Reason != want {
			t.Errorf("got  %q\nwant %q", r.Reason, want)
		}
	}
}

func TestLostSamplesMoveBothEndsOfARecovery(t *testing.T) {
	good, bad := Slot{N: 100}, Slot{N: 100, Bad: 6}
	for name, c := range map[string]struct {
		ev   Evidence
		lost uint64
		want Verdict
	}{
		// 500 requests a window and 25 bad ones allowed: 27 more bad break a good
		// window, 100 more good mend one with 30 bad.
		"too few to break one later":    {joined(times(10, bad), times(50, good)), 26, Pass},
		"enough to break one later":     {joined(times(10, bad), times(50, good)), 27, Inconclusive},
		"too few to mend the last one":  {joined(times(35, bad), times(25, good)), 99, Fail},
		"enough to mend the last one":   {joined(times(35, bad), times(25, good)), 100, Inconclusive},
		"one mended is not enough":      {joined(times(40, bad), times(20, good)), 199, Fail},
		"two mended are":                {joined(times(40, bad), times(20, good)), 200, Inconclusive},
		"they could not break it again": {joined(times(10, bad), times(50, Slot{N: 10000})), 200, Pass},
	} {
		c.ev.Lost = c.lost
		r := judged(t, "p95 < 200ms within 30s after spike", c.ev)
		if r.Verdict != c.want || !strings.Contains(r.Reason, " lost: ") {
			t.Errorf("%s: %s, want %v", name, r.Reason, c.want)
		}
	}
}
