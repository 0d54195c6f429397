package slo

import (
	"math"
	"testing"
)

func TestAShareOfABaselineIsAdvisory(t *testing.T) {
	slots := func(s Slot) []Slot { return []Slot{s} }
	for _, c := range []struct {
		src      string
		base     float64
		ev       Evidence
		want     Verdict
		observed float64
		reason   string
	}{
		{
			"p95 <= 110% of baseline", 0.18, Evidence{Slots: slots(Slot{N: 6000, Bad: 3}), Observed: 0.187}, Pass, 0.187,
			"p95 187 ms, 103.9 % of the baseline's 180 ms (run 7), 110% allowed, advisory against one stored run: pass",
		},
		{
			"p95 <= 110% of baseline", 0.1, Evidence{Slots: slots(Slot{N: 6000}), Observed: 0.11}, Pass, 0.11,
			"p95 110 ms, 110 % of the baseline's 100 ms (run 7), 110% allowed, advisory against one stored run: pass",
		},
		{
			"p95 < 110% of baseline", 0.1, Evidence{Slots: slots(Slot{N: 6000}), Observed: 0.11}, Fail, 0.11,
			"p95 110 ms, 110 % of the baseline's 100 ms (run 7), 110% allowed, advisory against one stored run: fail",
		},
		{
			"p95 <= 110% of baseline", 0.1, Evidence{Slots: slots(Slot{N: 6000, Bad: 600}), Observed: math.Inf(1)}, Fail, math.Inf(1),
			"no finite p95, the baseline's 100 ms (run 7), 110% allowed, advisory against one stored run: fail",
		},
		{
			"errors <= 150% of baseline", 0.01, Evidence{Slots: slots(Slot{N: 1000, Bad: 15})}, Pass, 0.015,
			"errors 1.5 %, 150 % of the baseline's 1 % (run 7), 150% allowed, advisory against one stored run: pass",
		},
		{
			"errors <= 150% of baseline", 0.01, Evidence{Slots: slots(Slot{N: 1000, Bad: 16})}, Fail, 0.016,
			"errors 1.6 %, 160 % of the baseline's 1 % (run 7), 150% allowed, advisory against one stored run: fail",
		},
		{
			"errors <= 150% of baseline", 0, Evidence{Slots: slots(Slot{N: 1000})}, Pass, 0,
			"errors 0 %, the baseline's 0 % (run 7), 150% allowed, advisory against one stored run: pass",
		},
		{
			"throughput >= 90% of baseline", 100, Evidence{Slots: slots(Slot{N: 5401, Bad: 1})}, Pass, 90,
			"throughput 90/s, 90 % of the baseline's 100/s (run 7), 90% allowed, advisory against one stored run: pass",
		},
		{
			"throughput > 90% of baseline", 100, Evidence{Slots: slots(Slot{N: 5401, Bad: 1})}, Fail, 90,
			"throughput 90/s, 90 % of the baseline's 100/s (run 7), 90% allowed, advisory against one stored run: fail",
		},
		{
			"mean < 110% of baseline", 0.1, Evidence{Slots: slots(Slot{N: 10, Sum: 2})}, Fail, 0.2,
			"mean 200 ms, 200 % of the baseline's 100 ms (run 7), 110% allowed, advisory against one stored run: fail",
		},
		{
			"max < 110% of baseline", 1, Evidence{Slots: slots(Slot{N: 10, Max: 1.05})}, Pass, 1.05,
			"max 1.05 s, 105 % of the baseline's 1 s (run 7), 110% allowed, advisory against one stored run: pass",
		},
		{
			"dropped <= 110% of baseline", 0.01, Evidence{Slots: slots(Slot{N: 1000, Bad: 10})}, Pass, 0.01,
			"dropped 1 %, 100 % of the baseline's 1 % (run 7), 110% allowed, advisory against one stored run: pass",
		},
		{
			"bytes_in <= 110% of baseline", 1024, Evidence{Slots: slots(Slot{N: 10, Sum: 1024})}, Pass, 1024,
			"bytes_in 1 KiB, 100 % of the baseline's 1 KiB (run 7), 110% allowed, advisory against one stored run: pass",
		},
	} {
		c.ev.Seconds, c.ev.Baseline = 60, Baseline{Of: "run 7", Value: c.base}
		r := judged(t, c.src, c.ev)
		if r.Verdict != c.want || r.Observed != c.observed || r.Reason != c.reason || !r.Claim.Advisory {
			t.Errorf("%s\n  got  %v %v advisory %v %q\n  want %v %v %q", c.src, r.Verdict, r.Observed, r.Claim.Advisory, r.Reason, c.want, c.observed, c.reason)
		}
	}
}

func TestABaselineDecidesNothingButItsAbsenceDoes(t *testing.T) {
	claims := []Claim{{Objective: mustParse(t, "p95 <= 110% of baseline")}, {Objective: mustParse(t, "errors == 0")}}
	ev := Evidence{Slots: []Slot{{N: 1000}}, Seconds: 60, Observed: 0.2, Baseline: Baseline{Of: "run 7", Value: 0.1}}
	if j := Judge(claims, []Evidence{ev, ev}, Options{}); j.Results[0].Verdict != Fail || j.Overall != OverallPass {
		t.Errorf("a stored run decides: %v, %q", j.Overall, j.Reasons)
	}
	ev.Baseline = Baseline{}
	j := Judge(claims, []Evidence{ev, ev}, Options{})
	if j.Results[0].Verdict != NoData || j.Overall != OverallInconclusive {
		t.Errorf("without a baseline: %v, %q", j.Overall, j.Reasons)
	}
	if want := "p95: there is no baseline: no data"; j.Results[0].Reason != want {
		t.Errorf("without a baseline: %q, want %q", j.Results[0].Reason, want)
	}
	claims[0].Advisory = true
	if j := Judge(claims, []Evidence{ev, ev}, Options{}); j.Overall != OverallPass {
		t.Errorf("an objective declared advisory decides: %q", j.Reasons)
	}
}

func TestABaselineThatSaysNothingIsNoData(t *testing.T) {
	for name, c := range map[string]struct {
		src string
		of  float64
	}{
		"no data then":           {"p95 <= 110% of baseline", math.NaN()},
		"no finite value then":   {"p95 <= 110% of baseline", math.Inf(1)},
		"below nothing":          {"p95 <= 110% of baseline", -1},
		"nothing to fall below":  {"throughput >= 90% of baseline", 0},
		"nothing to fall below ": {"successes > 90% of baseline", 0},
	} {
		ev := Evidence{Slots: []Slot{{N: 1000}}, Seconds: 60, Observed: 0.1, Baseline: Baseline{Of: "run 7", Value: c.of}}
		if r := judged(t, c.src, ev); r.Verdict != NoData || r.Claim.Advisory {
			t.Errorf("%s: %s", name, r.Reason)
		}
	}
}

func TestLostSamplesWidenTheComparisonWithABaseline(t *testing.T) {
	for _, c := range []struct {
		src  string
		slot Slot
		want Verdict
	}{
		{"p95 <= 110% of baseline", Slot{N: 1000}, Inconclusive}, // nothing bounds what they did
		{"errors <= 110% of baseline", Slot{N: 1000, Bad: 1000}, Pass},
		{"errors <= 10% of baseline", Slot{N: 1000, Bad: 101}, Inconclusive},
		{"errors <= 10% of baseline", Slot{N: 1000, Bad: 91}, Inconclusive},
		{"errors <= 10% of baseline", Slot{N: 1000, Bad: 90}, Pass},
		{"errors <= 10% of baseline", Slot{N: 1000, Bad: 102}, Fail},
		{"max <= 110% of baseline", Slot{N: 1000, Max: 0.1}, Inconclusive},
		{"max <= 110% of baseline", Slot{N: 1000, Max: 2}, Fail},
		{"successes >= 99000% of baseline", Slot{N: 989}, Inconclusive},
		{"successes >= 99000% of baseline", Slot{N: 970}, Fail},
	} {
		ev := Evidence{Slots: []Slot{c.slot}, Seconds: 60, Lost: 11, Observed: 0.1, Baseline: Baseline{Of: "run 7", Value: 1}}
		if r := judged(t, c.src, ev); r.Verdict != c.want {
			t.Errorf("%s with %+v and 11 lost: %s, want %v", c.src, c.slot, r.Reason, c.want)
		}
	}
}
