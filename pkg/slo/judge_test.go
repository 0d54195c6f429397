package slo

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// pointwise compares point estimates: what is seen, without what follows.
var pointwise = Options{Off: true}

// judged judges one objective by the point estimate of one piece of evidence.
func judged(t fataler, src string, ev Evidence) Result {
	t.Helper()
	return Judge([]Claim{{Objective: mustParse(t, src), Stage: "steady"}}, []Evidence{ev}, pointwise).Results[0]
}

// counted is evidence of n requests, bad of them bad, over a minute.
func counted(n, bad uint64) Evidence {
	return Evidence{Slots: []Slot{{N: n, Bad: bad, Sum: float64(n), Max: 0.1}}, Seconds: 60, Observed: 0.1}
}

func TestQuantileIsAClaimAboutTheShareOfBadRequests(t *testing.T) {
	for _, c := range []struct {
		src    string
		n, bad uint64
		want   Verdict
	}{
		{"p95 < 200ms", 100, 5, Pass},
		{"p95 < 200ms", 100, 6, Fail},
		{"p95 < 200ms", 99, 4, Pass},
		{"p95 < 200ms", 99, 5, Fail},
		{"p95 < 200ms", 1, 0, Pass},
		{"p95 < 200ms", 1, 1, Fail},
		{"p90 < 200ms", 100, 10, Pass}, // 1-0.9 is 0.09999999999999998 in floats
		{"p90 < 200ms", 100, 11, Fail},
		{"p99 < 200ms", 100, 1, Pass},
		{"p99.9 < 200ms", 1000, 1, Pass},
		{"p99.9 < 200ms", 1000, 2, Fail},
		{"p99.99 <= 200ms", 10_000, 1, Pass},
		{"p70 <= 200ms", 10, 3, Pass}, // 1-0.7 is 0.30000000000000004
		{"p70 <= 200ms", 10_000_000_000_000_000, 3_000_000_000_000_000, Pass},
		{"p70 <= 200ms", 10_000_000_000_000_000, 3_000_000_000_000_001, Fail},
		{"p30 <= 200ms", 10, 7, Pass},
	} {
		if r := judged(t, c.src, counted(c.n, c.bad)); r.Verdict != c.want {
			t.Errorf("%s with %d bad of %d: %s, want %v", c.src, c.bad, c.n, r.Reason, c.want)
		}
	}
}

// TestQuantileIsTheNearestRank compares the counter's rule with the definition
// on sorted values.
func TestQuantileIsTheNearestRank(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		percent := rapid.IntRange(1, 99).Draw(t, "percent")
		op := rapid.SampledFrom([]string{"<", "<="}).Draw(t, "op")
		values := rapid.SliceOfN(rapid.Int64Range(90, 110), 1, 300).Draw(t, "ms")
		o := mustParse(t, fmt.Sprintf("p%d %s 100ms", percent, op))
		ev := Evidence{Slots: []Slot{{N: uint64(len(values))}}}
		for _, v := range values {
			if v*1e6 >= o.SlowNanos() {
				ev.Slots[0].Bad++
			}
		}
		slices.Sort(values)
		rank := (percent*len(values) + 99) / 100
		want := Fail
		if v := values[rank-1]; v < 100 || v == 100 && op == "<=" {
			want = Pass
		}
		if r := judgeOne(Claim{Objective: o}, ev, pointwise); r.Verdict != want {
			t.Fatalf("%v: %s, but the value at rank %d is %d ms", o, r.Reason, rank, values[rank-1])
		}
	})
}

func TestEachMetricIsJudgedByItsOwnEvidence(t *testing.T) {
	inf := math.Inf(1)
	slots := func(s ...Slot) Evidence { return Evidence{Slots: s, Seconds: 60, Observed: 0.1} }
	for _, c := range []struct {
		src      string
		ev       Evidence
		want     Verdict
		observed float64
		reason   string
	}{
		{"p95 < 200ms", Evidence{Slots: []Slot{{N: 6000, Bad: 246}}, Observed: 0.187}, Pass, 0.187, "p95 187 ms, 4.1 % slow or failed of 6,000: pass"},
		{"ok.p95 < 200ms", Evidence{Slots: []Slot{{N: 6000, Bad: 360}}, Observed: 0.212}, Fail, 0.212, "ok.p95 212 ms, 6 % slow of 6,000: fail"},
		{"p95 < 200ms", Evidence{Slots: []Slot{{N: 6000, Bad: 600}}, Observed: inf}, Fail, inf, "no finite p95, 10 % slow or failed of 6,000: fail"},
		{"max < 2s", slots(Slot{N: 5, Max: 1.9}, Slot{N: 5, Max: 0.3}), Pass, 1.9, "max 1.9 s, of 10: pass"},
		{"max < 2s", slots(Slot{N: 5, Max: 0.3}, Slot{N: 5, Max: 2}), Fail, 2, "max 2 s, of 10: fail"},
		{"max <= 2s", slots(Slot{N: 5, Max: 2}), Pass, 2, "max 2 s, of 5: pass"},
		{"max < 2s", slots(Slot{N: 5, Max: inf}), Fail, inf, "no finite max, of 5: fail"},
		{"mean < 200ms", slots(Slot{N: 4, Sum: 0.5}, Slot{N: 4, Sum: 0.5}), Pass, 0.125, "mean 125 ms, of 8: pass"},
		{"mean < 100ms", slots(Slot{N: 4, Sum: 0.5}), Fail, 0.125, "mean 125 ms, of 4: fail"},
		{"mean < 100ms", slots(Slot{N: 4, Sum: inf}), Fail, inf, "no finite mean, of 4: fail"},
		{"errors < 1%", slots(Slot{N: 6000, Bad: 25}), Pass, 25.0 / 6000, "errors 0.42 %, 25 of 6,000: pass"},
		{"errors < 1%", slots(Slot{N: 100, Bad: 1}), Fail, 0.01, "errors 1 %, 1 of 100: fail"},
		{"errors <= 1%", slots(Slot{N: 100, Bad: 1}), Pass, 0.01, "errors 1 %, 1 of 100: pass"},
		{"errors.check == 0", slots(Slot{N: 100}), Pass, 0, "errors.check 0 %, 0 of 100: pass"},
		{"errors.check == 0", slots(Slot{N: 100, Bad: 1}), Fail, 0.01, "errors.check 1 %, 1 of 100: fail"},
		{"within(200ms) >= 99%", slots(Slot{N: 100, Bad: 1}), Pass, 0.99, "within(200ms) 99 %, 1 slow or failed of 100: pass"},
		{"within(200ms) > 99%", slots(Slot{N: 100, Bad: 1}), Fail, 0.99, "within(200ms) 99 %, 1 slow or failed of 100: fail"},
		{"throughput >= 1000/s", slots(Slot{N: 61_440}), Pass, 1024, "throughput 1,024/s, 61,440 successes in 60 s: pass"},
		{"throughput >= 1000/s", slots(Slot{N: 61_440, Bad: 1441}), Fail, 59_999.0 / 60, "throughput 999.98/s, 59,999 successes in 60 s: fail"},
		{"throughput >= 1000/m", slots(Slot{N: 1000}), Pass, 1000.0 / 60, "throughput 16.7/s, 1,000 successes in 60 s: pass"},
		{"throughput > 1000/m", slots(Slot{N: 1000}), Fail, 1000.0 / 60, "throughput 16.7/s, 1,000 successes in 60 s: fail"},
		{"successes >= 95", slots(Slot{N: 100, Bad: 5}), Pass, 95, "successes 95, of 100 requests: pass"},
		{"successes > 95", slots(Slot{N: 100, Bad: 5}), Fail, 95, "successes 95, of 100 requests: fail"},
		{"requests == 100", slots(Slot{N: 60}, Slot{N: 40, Bad: 3}), Pass, 100, "requests 100, 3 failed: pass"},
		{"requests < 100", slots(Slot{N: 100}), Fail, 100, "requests 100, 0 failed: fail"},
		{"requests != 100", slots(Slot{N: 100}), Fail, 100, "requests 100, 0 failed: fail"},
		{"users >= 10000", Evidence{Gauge: []float64{10000, 10001, 10000}}, Pass, 10000, "users 10,000, the fewest in 3 seconds: pass"},
		{"users >= 10000", Evidence{Gauge: []float64{10000, 9998, 10000}}, Fail, 9998, "users 9,998, the fewest in 3 seconds: fail"},
		{"dropped <= 12", slots(Slot{N: 6000, Bad: 12}), Pass, 12, "dropped 12, of 6,000 arrivals: pass"},
		{"dropped < 12", slots(Slot{N: 6000, Bad: 12}), Fail, 12, "dropped 12, of 6,000 arrivals: fail"},
		{"dropped <= 0.2%", slots(Slot{N: 6000, Bad: 12}), Pass, 0.002, "dropped 0.2 %, 12 of 6,000 arrivals: pass"},
		{"dropped == 0", slots(Slot{N: 6000, Bad: 1}), Fail, 1, "dropped 1, of 6,000 arrivals: fail"},
		{"bytes_in >= 12MiB", slots(Slot{N: 9, Sum: 12.3 * (1 << 20)}), Pass, 12.3 * (1 << 20), "bytes_in 12.3 MiB, of 9 requests: pass"},
		{"bytes_out < 1kB", slots(Slot{N: 9, Sum: 1000}), Fail, 1000, "bytes_out 1,000 B, of 9 requests: fail"},
	} {
		r := judged(t, c.src, c.ev)
		if r.Verdict != c.want || r.Observed != c.observed || r.Reason != c.reason {
			t.Errorf("%s\n  got  %v %v %q\n  want %v %v %q", c.src, r.Verdict, r.Observed, r.Reason, c.want, c.observed, c.reason)
		}
		if math.IsInf(r.Observed, 1) != (r.Value == nil) || r.Value != nil && *r.Value != r.Observed {
			t.Errorf("%s: value %v beside an observed %v", c.src, r.Value, r.Observed)
		}
	}
}

// everyPromise names each metric family and each operator sense.
var everyPromise = []string{
	"p95 < 200ms", "ok.p95 < 200ms", "service.p99.9 <= 1s", "connect.p50 < 1s", "max < 2s", "mean < 200ms", "errors < 1%", "errors <= 1%",
	"errors == 0", "errors.check == 0", "within(200ms) >= 99%", "throughput > 0/s", "throughput >= 1/h", "successes > 0", "requests > 0",
	"requests < 100", "requests <= 5", "requests != 7", "users > 0", "users >= 1", "dropped == 0", "dropped < 1%", "dropped <= 5",
	"bytes_in < 1GiB", "bytes_out > 0B", "bytes_in == 0", "bytes_out >= 1B",
}

func TestNoDataIsNeverGreen(t *testing.T) {
	nan := math.NaN()
	for name, ev := range map[string]Evidence{
		"no evidence":       {},
		"no slots":          {Seconds: 60, Observed: nan},
		"empty slots":       {Slots: make([]Slot, 60), Seconds: 60, Gauge: []float64{}},
		"only lost samples": {Slots: make([]Slot, 60), Seconds: 60, Lost: 1000},
		"observed NaN":      {Slots: []Slot{{N: 6, Sum: 0.6, Max: 0.1}}, Seconds: 60, Observed: nan, Gauge: []float64{5}},
		"gauge of NaN":      {Seconds: 60, Gauge: []float64{nan, nan}},
		"gauge with a gap":  {Seconds: 60, Gauge: []float64{1000, nan, 1000}},
		"infinite gauge":    {Seconds: 60, Gauge: []float64{math.Inf(1)}},
		"contradiction":     {Slots: []Slot{{N: 5, Bad: 6, Sum: 0.1, Max: 0.1}}, Seconds: 60, Gauge: []float64{5}},
	} {
		for _, src := range everyPromise {
			r := judged(t, src, ev)
			if r.Verdict != NoData || r.Value != nil || r.ObservedText != "no data" || !strings.HasSuffix(r.Reason, ": no data") {
				t.Errorf("%s with %s: %v %q %q", src, name, r.Verdict, r.ObservedText, r.Reason)
			}
		}
	}
}

func TestWhatIsNotANumberIsNoData(t *testing.T) {
	nan := math.NaN()
	for src, ev := range map[string]Evidence{
		"max < 2s":         {Slots: []Slot{{N: 1, Max: 1}, {N: 1, Max: nan}}},
		"mean < 2s":        {Slots: []Slot{{N: 1, Sum: 1}, {N: 1, Sum: nan}}},
		"bytes_in < 1GiB":  {Slots: []Slot{{N: 1, Sum: nan}}},
		"bytes_in > 1GiB":  {Slots: []Slot{{N: 1, Sum: math.Inf(1)}}},
		"throughput > 0/s": {Slots: []Slot{{N: 1}}, Seconds: nan},
		"throughput > 1/s": {Slots: []Slot{{N: 1}}, Seconds: 0},
		"throughput > 2/s": {Slots: []Slot{{N: 1}}, Seconds: -1},
		"throughput > 3/s": {Slots: []Slot{{N: 1}}, Seconds: math.Inf(1)},
		"p95 < 1s":         {Slots: []Slot{{N: 1}}, Observed: math.Inf(-1)},
	} {
		if r := judged(t, src, ev); r.Verdict != NoData {
			t.Errorf("%s: %s", src, r.Reason)
		}
	}
}

func TestAllFailedIsNeverGreen(t *testing.T) {
	ev := Evidence{Slots: []Slot{{N: 6000, Bad: 6000, Sum: math.Inf(1), Max: math.Inf(1)}}, Seconds: 60, Observed: math.Inf(1)}
	for _, src := range []string{
		"p95 < 200ms", "p1 < 24h", "max < 24h", "mean < 24h", "errors < 99.9%", "errors == 0", "within(24h) > 0.1%",
		"throughput > 0/s", "successes > 0", "dropped < 99%", "dropped == 0",
	} {
		if r := judged(t, src, ev); r.Verdict != Fail {
			t.Errorf("%s when all failed: %s", src, r.Reason)
		}
	}
}

func TestWhatIsNoPromiseIsNeverGreen(t *testing.T) {
	good := mustParse(t, "p95 < 200ms")
	for name, change := range map[string]func(*Objective){
		"zero objective":     func(o *Objective) { *o = Objective{} },
		"unknown metric":     func(o *Objective) { o.Metric.Kind = 99 },
		"p100":               func(o *Objective) { o.Metric.Q = 1 },
		"p0":                 func(o *Objective) { o.Metric.Q = 0 },
		"quantile of NaN":    func(o *Objective) { o.Metric.Q = math.NaN() },
		"limit of NaN":       func(o *Objective) { o.Limit = math.NaN() },
		"infinite limit":     func(o *Objective) { o.Limit = math.Inf(1) },
		"negative limit":     func(o *Objective) { o.Limit = -1 },
		"no comparison":      func(o *Objective) { o.Op = 0 },
		"lower bound":        func(o *Objective) { o.Op = GT },
		"unequal":            func(o *Objective) { o.Op = NE },
		"unit of errors":     func(o *Objective) { o.Unit = Ratio },
		"errors of 100%":     func(o *Objective) { o.Metric, o.Op, o.Limit, o.Unit = Metric{Kind: Errors}, LE, 1, Ratio },
		"no users":           func(o *Objective) { o.Metric, o.Op, o.Limit, o.Unit = Metric{Kind: Users}, GE, 0, Count },
		"within no time":     func(o *Objective) { o.Metric, o.Op, o.Limit, o.Unit = Metric{Kind: Within}, GE, 0.5, Ratio },
		"unknown comparison": func(o *Objective) { o.Metric, o.Op, o.Limit, o.Unit = Metric{Kind: Requests}, 9, 5, Count },
	} {
		o := good
		change(&o)
		ev := counted(1000, 0)
		ev.Gauge = []float64{5}
		if r := judgeOne(Claim{Objective: o}, ev, pointwise); r.Verdict != NoData || !strings.Contains(r.Reason, "not a promise") {
			t.Errorf("%s: %s", name, r.Reason)
		}
	}
}

func TestClaimsWithoutTheirEvidenceAreNoData(t *testing.T) {
	claim := Claim{Objective: mustParse(t, "p95 < 200ms")}
	for _, evidence := range [][]Evidence{nil, {counted(9, 0)}, {counted(9, 0), counted(9, 0), counted(9, 0)}} {
		j := Judge([]Claim{claim, claim}, evidence, pointwise)
		if j.Overall != OverallInconclusive || j.Results[0].Verdict != NoData || j.Results[1].Verdict != NoData {
			t.Errorf("2 claims with %d pieces of evidence: %+v", len(evidence), j)
		}
	}
}

func TestASecondBelowTheLevelFailsEvenBesideUnreadOnes(t *testing.T) {
	if r := judged(t, "users >= 10", Evidence{Gauge: []float64{math.NaN(), 9, 10}}); r.Verdict != Fail || r.Observed != 9 {
		t.Errorf("a second of 9 users: %s", r.Reason)
	}
}

func TestLostSamplesWidenTheVerdict(t *testing.T) {
	with := func(n, bad, lost uint64) Evidence {
		ev := counted(n, bad)
		ev.Lost = lost
		return ev
	}
	for _, c := range []struct {
		src  string
		ev   Evidence
		want Verdict
	}{
		{"p95 < 200ms", with(995, 45, 5), Pass},         // 50 of 1,000 at worst
		{"p95 < 200ms", with(995, 46, 5), Inconclusive}, // 51 of 1,000 at worst
		{"p95 < 200ms", with(995, 50, 5), Inconclusive}, // 50 of 1,000 at best
		{"p95 < 200ms", with(995, 51, 5), Fail},         // 51 of 1,000 at best
		{"errors == 0", with(100, 0, 1), Inconclusive},
		{"errors == 0", with(100, 1, 1), Fail},
		{"errors <= 1%", with(990, 0, 10), Pass},
		{"errors < 1%", with(990, 0, 10), Inconclusive},
		{"errors <= 1%", with(990, 11, 10), Fail},
		{"within(1s) >= 99%", with(990, 0, 10), Pass},
		{"within(1s) > 99%", with(990, 0, 10), Inconclusive},
		{"within(1s) >= 99%", with(990, 11, 10), Fail},
		{"throughput >= 10/s", with(600, 0, 10), Pass},
		{"throughput > 10/s", with(600, 0, 10), Inconclusive},
		{"throughput > 10/s", with(590, 0, 10), Fail},
		{"successes >= 100", with(100, 0, 5), Pass},
		{"successes >= 104", with(100, 0, 5), Inconclusive},
		{"successes >= 106", with(100, 0, 5), Fail},
		{"requests == 100", with(100, 0, 5), Inconclusive},
		{"requests == 103", with(100, 0, 5), Inconclusive},
		{"requests == 106", with(100, 0, 5), Fail},
		{"requests == 99", with(100, 0, 5), Fail},
		{"requests != 105", with(100, 0, 5), Inconclusive},
		{"requests != 106", with(100, 0, 5), Pass},
		{"requests <= 105", with(100, 0, 5), Pass},
		{"requests < 105", with(100, 0, 5), Inconclusive},
		{"dropped <= 5", with(100, 0, 5), Pass},
		{"dropped < 5", with(100, 0, 5), Inconclusive},
		{"dropped == 0%", with(100, 0, 5), Inconclusive},
		{"max < 2s", with(100, 0, 1), Inconclusive},
		{"max < 50ms", with(100, 0, 1), Fail},
		{"mean < 2s", with(100, 0, 1), Inconclusive}, // mean of 1 s
		{"mean < 1s", with(100, 0, 1), Inconclusive}, // 100 s in 101 requests at best
		{"mean < 900ms", with(100, 0, 1), Fail},      // that is still more
		{"bytes_in >= 100B", with(100, 0, 1), Pass},  // more only adds
		{"bytes_in <= 100B", with(100, 0, 1), Inconclusive},
		{"bytes_in < 100B", with(100, 0, 1), Fail},
		{"bytes_in == 100B", with(100, 0, 1), Inconclusive},
		{"bytes_in == 99B", with(100, 0, 1), Fail},
	} {
		r := judged(t, c.src, c.ev)
		if r.Verdict != c.want || !strings.Contains(r.Reason, " lost: ") {
			t.Errorf("%s with %d bad of %d and %d lost: %q, want %v", c.src, r.Bad, r.N, r.Lost, r.Reason, c.want)
		}
	}
}

// TestLostSamplesNeverTurnTheVerdictWrong compares with the truth: whatever
// the lost samples were, a pass or a fail is what all samples give.
func TestLostSamplesNeverTurnTheVerdictWrong(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := mustParse(t, rapid.SampledFrom([]string{
			"p95 < 200ms", "p50 <= 1s", "errors < 5%", "errors == 0", "within(1s) >= 90%", "throughput >= 4/s", "successes > 200", "dropped <= 9", "dropped < 4%",
		}).Draw(t, "objective"))
		n := rapid.Uint64Range(1, 300).Draw(t, "seen")
		bad := rapid.Uint64Range(0, n).Draw(t, "seen bad")
		if rapid.Bool().Draw(t, "near the budget") {
			bad = min(n, rapid.Uint64Range(0, 20).Draw(t, "few bad"))
		}
		lost := rapid.Uint64Range(0, 20).Draw(t, "lost")
		lostBad := rapid.Uint64Range(0, lost).Draw(t, "lost bad")

		seen := counted(n, bad)
		seen.Lost = lost
		told := judgeOne(Claim{Objective: o}, seen, pointwise).Verdict
		truth := judgeOne(Claim{Objective: o}, counted(n+lost, bad+lostBad), pointwise).Verdict
		if told != Inconclusive && told != truth {
			t.Fatalf("%v with %d bad of %d, %d lost of which %d bad: told %v, in truth %v", o, bad, n, lost, lostBad, told, truth)
		}
	})
}

func drawEvidence(t *rapid.T) Evidence {
	ev := Evidence{Seconds: 60, Lost: rapid.Uint64Range(0, 3).Draw(t, "lost"), Observed: rapid.SampledFrom([]float64{0.1, 0.2, 0.3, math.Inf(1)}).Draw(t, "observed")}
	for range rapid.IntRange(0, 30).Draw(t, "slots") {
		n := rapid.Uint64Range(0, 50).Draw(t, "n")
		ev.Slots = append(ev.Slots, Slot{
			N: n, Bad: rapid.Uint64Range(0, n).Draw(t, "bad"),
			Sum: float64(rapid.IntRange(0, 1<<20).Draw(t, "sum")) / 1024, // adds without rounding
			Max: float64(rapid.IntRange(0, 4000).Draw(t, "max")) / 1000,
		})
		ev.Gauge = append(ev.Gauge, float64(rapid.IntRange(0, 3).Draw(t, "users")))
	}
	return ev
}

func TestMergingSlotsByAdditionGivesTheSameJudgement(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		claim := Claim{Objective: mustParse(t, rapid.SampledFrom(everyPromise).Draw(t, "objective"))}
		ev := drawEvidence(t)
		whole := judgeOne(claim, ev, pointwise)

		merged := ev
		merged.Slots = make([]Slot, rapid.IntRange(1, 5).Draw(t, "merged slots"))
		for _, s := range rapid.Permutation(ev.Slots).Draw(t, "order") {
			i := rapid.IntRange(0, len(merged.Slots)-1).Draw(t, "into")
			merged.Slots[i] = merged.Slots[i].Add(s)
		}
		again := judgeOne(claim, merged, pointwise)
		if whole.Reason != again.Reason || whole.Verdict != again.Verdict || whole.N != again.N || whole.Bad != again.Bad {
			t.Fatalf("%q of %d slots, %q of %d", whole.Reason, len(ev.Slots), again.Reason, len(merged.Slots))
		}
	})
}

func TestMoreBadRequestsNeverMakeAVerdictBetter(t *testing.T) {
	rank := map[Verdict]int{Fail: 0, Inconclusive: 1, Pass: 2}
	rapid.Check(t, func(t *rapid.T) {
		o := mustParse(t, rapid.SampledFrom([]string{"p95 < 200ms", "p99 <= 1s", "errors < 5%", "within(1s) >= 90%", "throughput >= 4/s", "successes > 200", "dropped <= 9"}).Draw(t, "objective"))
		n := rapid.Uint64Range(1, 400).Draw(t, "n")
		bad := rapid.Uint64Range(0, n-1).Draw(t, "bad")
		fewer, more := counted(n, bad), counted(n, bad+1)
		fewer.Lost = rapid.Uint64Range(0, 9).Draw(t, "lost")
		more.Lost = fewer.Lost
		a, b := judgeOne(Claim{Objective: o}, fewer, pointwise), judgeOne(Claim{Objective: o}, more, pointwise)
		if rank[b.Verdict] > rank[a.Verdict] {
			t.Fatalf("%v: %q, with one more bad %q", o, a.Reason, b.Reason)
		}
	})
}

func TestTheHistogramNeverContradictsTheCounter(t *testing.T) {
	for _, c := range []struct {
		src      string
		bad      uint64 // of 1,000
		observed float64
		text     string
		value    float64
	}{
		{"p95 < 200ms", 50, 0.187, "187 ms", 0.187},
		{"p95 < 200ms", 50, 0.2001, "< 200 ms", 0.199999999},
		{"p95 < 200ms", 50, 0.2, "< 200 ms", 0.199999999},
		{"p95 < 200ms", 50, math.Inf(1), "< 200 ms", 0.199999999},
		{"p95 < 200ms", 51, 0.1999, "≥ 200 ms", 0.2},
		{"p95 < 200ms", 51, 0.2, "≥ 200 ms", 0.2},
		{"p95 < 200ms", 51, 0.20001, "200.01 ms", 0.20001},
		{"p95 < 200ms", 50, 0.19999, "199.99 ms", 0.19999},
		{"p95 <= 200ms", 50, 0.2, "200 ms", 0.2},
		{"p95 <= 200ms", 50, 0.201, "≤ 200 ms", 0.2},
		{"p95 <= 200ms", 51, 0.2, "> 200 ms", 0.200000001},
		{"p95 <= 200ms", 51, 0.1, "> 200 ms", 0.200000001},
		{"p95 < 200.123ms", 51, 0.1, "≥ 200.123 ms", 0.200123},
	} {
		r := judged(t, c.src, Evidence{Slots: []Slot{{N: 1000, Bad: c.bad}}, Observed: c.observed})
		if r.ObservedText != c.text || r.Value == nil || *r.Value != c.value {
			t.Errorf("%s with %d bad of 1,000, observed %v: %q, value %v; want %q, %v", c.src, c.bad, c.observed, r.ObservedText, r.Observed, c.text, c.value)
		}
	}
}

func TestTheValueOfAVerdictAgreesWithIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := mustParse(t, rapid.SampledFrom(everyPromise).Draw(t, "objective"))
		ev := drawEvidence(t)
		ev.Lost = 0
		r := judgeOne(Claim{Objective: o}, ev, pointwise)
		if r.Verdict == NoData {
			return
		}
		if r.Verdict == Inconclusive {
			t.Fatalf("%s without a lost sample", r.Reason)
		}
		holds := math.IsInf(r.Observed, 1) && o.Op.holds(1)
		if r.Value != nil {
			holds = o.Op.holds(exact(*r.Value).Cmp(exact(o.Limit)))
		}
		if holds != (r.Verdict == Pass) {
			t.Fatalf("%v: %q with value %v", o, r.Reason, r.Observed)
		}
		if limit := FormatValue(o.Limit, o.Unit); r.Verdict == Fail && r.ObservedText == limit && r.Observed != o.Limit {
			t.Fatalf("%v fails and shows its limit: %q", o, r.Reason)
		}
	})
}

func TestErrorGuardPassesUpToItsRatio(t *testing.T) {
	guard := Claim{Objective: mustParse(t, "errors <= 1%"), Guard: true, GuardOf: "login", Stage: "steady"}
	for _, c := range []struct {
		ev   Evidence
		want Overall
	}{
		{counted(1000, 0), OverallPass},
		{counted(1000, 10), OverallPass},
		{counted(1000, 11), OverallFail},
		{counted(100, 99), OverallFail},
		{Evidence{}, OverallInconclusive},
	} {
		slo := Claim{Objective: mustParse(t, "ok.p95 < 200ms")}
		j := Judge([]Claim{slo, guard}, []Evidence{counted(1000, 0), c.ev}, pointwise)
		if j.Overall != c.want {
			t.Errorf("guard: %s: overall %v, want %v", j.Results[1].Reason, j.Overall, c.want)
		}
		if c.want != OverallPass && (len(j.Reasons) != 1 || !strings.HasPrefix(j.Reasons[0], "implicit guard errors <= 1% of login on steady: ")) {
			t.Errorf("reasons of a guard: %q", j.Reasons)
		}
	}
}

func TestOverallIsTheWorstOfTheDecidingClaims(t *testing.T) {
	passes, fails, empty, lost := counted(100, 0), counted(100, 100), Evidence{}, counted(100, 0)
	lost.Lost = 50
	for _, c := range []struct {
		evidence []Evidence
		advisory int // index of an advisory claim, or -1
		want     Overall
		reasons  int
	}{
		{nil, -1, OverallNone, 1},
		{[]Evidence{passes}, -1, OverallPass, 0},
		{[]Evidence{passes, passes}, -1, OverallPass, 0},
		{[]Evidence{passes, empty}, -1, OverallInconclusive, 1},
		{[]Evidence{empty, passes}, -1, OverallInconclusive, 1},
		{[]Evidence{lost, passes}, -1, OverallInconclusive, 1},
		{[]Evidence{passes, lost, fails}, -1, OverallFail, 2},
		{[]Evidence{fails, lost, empty, passes}, -1, OverallFail, 3},
		{[]Evidence{passes, fails}, 1, OverallPass, 0},
		{[]Evidence{passes, empty}, 1, OverallPass, 0},
		{[]Evidence{empty, passes}, 1, OverallInconclusive, 1},
		{[]Evidence{passes}, 0, OverallNone, 1},
	} {
		claims := make([]Claim, len(c.evidence))
		for i := range claims {
			claims[i] = Claim{Objective: mustParse(t, "errors < 5%"), Advisory: i == c.advisory}
		}
		j := Judge(claims, c.evidence, pointwise)
		if j.Overall != c.want || len(j.Reasons) != c.reasons || len(j.Results) != len(claims) {
			t.Errorf("%d claims: overall %v, reasons %q; want %v and %d reasons", len(claims), j.Overall, j.Reasons, c.want, c.reasons)
		}
	}
}

func TestMethodSaysHowItWasDecided(t *testing.T) {
	for o, want := range map[Options]string{
		{}:                 "judged with 95 % confidence in each pass and in all fails together",
		{Confidence: 0.99}: "judged with 99 % confidence in each pass and in all fails together",
		{Confidence: 7}:    "judged with 95 % confidence in each pass and in all fails together",
		pointwise:          "judged by point estimates (confidence: off)",
	} {
		if got := Judge(nil, nil, o).Method; got != want {
			t.Errorf("method of %+v: %q, want %q", o, got, want)
		}
	}
}

func TestReasonsNameTheObjectiveAndItsStage(t *testing.T) {
	on := func(src string) string {
		return Judge([]Claim{{Objective: mustParse(t, src), Stage: "steady"}}, []Evidence{counted(100, 50)}, pointwise).Reasons[0]
	}
	if got, want := on("errors < 5%"), "errors < 5% on steady: errors 50 %, 50 of 100: fail"; got != want {
		t.Errorf("reason %q, want %q", got, want)
	}
	if got, want := on("errors < 5% during steady"), "errors < 5% during steady: errors 50 %, 50 of 100: fail"; got != want {
		t.Errorf("reason %q, want %q", got, want)
	}
}

func BenchmarkJudge(b *testing.B) {
	claims := []Claim{{Objective: mustParse(b, "p95 < 200ms")}}
	ev := Evidence{Slots: make([]Slot, 300), Seconds: 300, Observed: 0.187}
	for i := range ev.Slots {
		ev.Slots[i] = Slot{N: 1000, Bad: 41, Sum: 100, Max: 1}
	}
	b.ReportAllocs()
	for b.Loop() {
		if Judge(claims, []Evidence{ev}, pointwise).Overall != OverallPass {
			b.Fatal("4.1 % slow fails a p95")
		}
	}
}
