package slo

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestLooksOfAHold(t *testing.T) {
	for _, c := range []struct {
		shortest, longest time.Duration
		at                []time.Duration
	}{
		{time.Minute, 5 * time.Minute, []time.Duration{time.Minute, 103 * time.Second, 176 * time.Second, 5 * time.Minute}},
		{time.Minute, time.Minute, []time.Duration{time.Minute}},
		{0, time.Minute, []time.Duration{time.Minute}},
		{time.Minute, 61 * time.Second, []time.Duration{time.Minute, 61 * time.Second}},
		{time.Minute, 2 * time.Minute, []time.Duration{time.Minute, 2 * time.Minute}},
		{2 * time.Second, 2500 * time.Millisecond, []time.Duration{2 * time.Second, 2500 * time.Millisecond}},
	} {
		var at []time.Duration
		for _, l := range Looks(c.shortest, c.longest, 0.95) {
			at = append(at, l.At)
		}
		if !slices.Equal(at, c.at) {
			t.Errorf("a hold of %v to %v is looked at after %v, want %v", c.shortest, c.longest, at, c.at)
		}
	}
}

func TestLooksAddUpToTheErrorOfOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shortest := time.Duration(rapid.Int64Range(1, 3600e9).Draw(t, "shortest"))
		longest := shortest + time.Duration(rapid.Int64Range(0, 36_000e9).Draw(t, "more"))
		confidence := rapid.Float64Range(0.8, 0.999).Draw(t, "confidence")
		looks := Looks(shortest, longest, confidence)
		doubt, before := 0.0, time.Duration(0)
		for _, l := range looks {
			doubt += 1 - l.Confidence
			if l.At <= before || l.At < shortest || l.At > longest || l.Confidence < confidence {
				t.Fatalf("%+v among the looks %+v", l, looks)
			}
			before = l.At
		}
		if math.Abs(doubt-(1-confidence)) > 1e-9 || before != longest {
			t.Fatalf("looks of %v to %v at %v: %+v", shortest, longest, confidence, looks)
		}
	})
}

func slots(n int, second Slot) []Slot { return slices.Repeat([]Slot{second}, n) }

func TestAbortWaitsForTwentySecondsAndOverwhelmingEvidence(t *testing.T) {
	for _, c := range []struct {
		src   string
		slots []Slot
		want  string
	}{
		{"p95 < 200ms", slots(19, Slot{N: 100, Bad: 100}), ""},
		{"p95 < 200ms", slots(20, Slot{N: 100, Bad: 100}), "100 % slow or failed of 2,000 after 20 s, and 5 % is allowed"},
		{"p95 < 200ms", slots(20, Slot{N: 100, Bad: 15}), "15 % slow or failed of 2,000 after 20 s, and 5 % is allowed"},
		{"p95 < 200ms", slots(300, Slot{N: 100, Bad: 5}), ""},
		{"p95 < 200ms", slots(20, Slot{N: 100, Bad: 6}), ""},
		{"p95 < 200ms", slots(300, Slot{N: 100, Bad: 6}), "6 % slow or failed of 30,000 after 300 s, and 5 % is allowed"},
		{"ok.p95 < 200ms", slots(20, Slot{N: 100, Bad: 15}), "15 % slow of 2,000 after 20 s, and 5 % is allowed"},
		{"errors < 1%", slots(20, Slot{N: 100, Bad: 5}), "5 % failed of 2,000 after 20 s, and 1 % is allowed"},
		{"within(1s) >= 99%", slots(20, Slot{N: 100, Bad: 5}), "5 % slow or failed of 2,000 after 20 s, and 1 % is allowed"},
		{"dropped < 1%", slots(20, Slot{N: 100, Bad: 5}), "5 % never sent of 2,000 after 20 s, and 1 % is allowed"},
		// One cold second with every request slow is no reason.
		{"p95 < 200ms", append(slots(1, Slot{N: 500, Bad: 500}), slots(29, Slot{N: 100, Bad: 2})...), ""},
		// Ten of the parts must have data.
		{"p95 < 200ms", append(slots(17, Slot{}), slots(3, Slot{N: 100, Bad: 100})...), ""},
		// What cannot be undone is over at once.
		{"errors == 0", slots(1, Slot{N: 100, Bad: 1}), "errors 1 % after 1 s, and that cannot be undone"},
		{"errors == 0", slots(60, Slot{N: 100}), ""},
		{"within(1s) >= 100%", slots(2, Slot{N: 10, Bad: 1}), "within(1s) 90 % after 2 s, and that cannot be undone"},
		{"max < 2s", slots(3, Slot{N: 1, Max: 2}), "max 2 s after 3 s, and that cannot be undone"},
		{"max <= 2s", slots(3, Slot{N: 1, Max: 2}), ""},
		{"max <= 2s", slots(3, Slot{N: 1, Max: math.Inf(1)}), "no finite max after 3 s, and that cannot be undone"},
		{"dropped <= 5", slots(3, Slot{N: 9, Bad: 2}), "dropped 6 after 3 s, and that cannot be undone"},
		{"requests < 9", slots(3, Slot{N: 3}), "requests 9 after 3 s, and that cannot be undone"},
		{"requests == 9", slots(3, Slot{N: 3}), ""},
		{"bytes_in <= 8B", slots(3, Slot{N: 3, Sum: 3}), "bytes_in 9 B after 3 s, and that cannot be undone"},
		// What may recover is never given up.
		{"requests >= 9", slots(300, Slot{N: 1}), ""},
		{"mean < 1ms", slots(300, Slot{N: 100, Sum: 1e6}), ""},
		{"throughput > 99/s", slots(300, Slot{N: 1}), ""},
		{"users > 9", slots(300, Slot{N: 1}), ""},
		{"p95 < 200ms every 10s", slots(300, Slot{N: 100, Bad: 100}), ""},
		{"p95 < 200ms", nil, ""},
		{"errors == 0", nil, ""},
		{"p95 < 200ms", slots(30, Slot{N: 1, Bad: 100}), ""}, // no evidence at all
	} {
		if got := Abort(mustParse(t, c.src), c.slots); got != c.want {
			t.Errorf("%s after %d s: %q, want %q", c.src, len(c.slots), got, c.want)
		}
	}
	if got := Abort(Objective{}, slots(60, Slot{N: 9, Bad: 9})); got != "" {
		t.Errorf("no objective is given up: %q", got)
	}
	broken := mustParse(t, "errors < 1%")
	broken.Limit = math.NaN()
	if got := Abort(broken, slots(60, Slot{N: 9, Bad: 9})); got != "" {
		t.Errorf("a limit that is no number is given up: %q", got)
	}
}

func TestTheEValueOfIndependentRequestsIsTheMixedLikelihoodRatio(t *testing.T) {
	// 20 even seconds have design effect 1; Student's t for ten batches widens it.
	o := mustParse(t, "p95 < 200ms")
	got := EValue(o, slots(20, Slot{N: 100, Bad: 8}))
	deff := abortWider[10]
	bad, good := 160/deff, 1840/deff
	integral, step := 0.0, 1e-5
	for p := 0.05 + step/2; p < 1; p += step {
		integral += step / 0.95 * math.Exp(bad*math.Log(p/0.05)+good*math.Log((1-p)/0.95))
	}
	if math.Abs(got/integral-1) > 1e-6 {
		t.Errorf("%v, and by numerical integration %v", got, integral)
	}
}

func TestTheBreakersNeedFiveSeconds(t *testing.T) {
	fine, half, down := Slot{N: 10, Bad: 1}, Slot{N: 10, Bad: 5}, Slot{N: 10, Bad: 10}
	cat := slices.Concat[[]Slot]
	for _, c := range []struct {
		name                 string
		slots                []Slot
		collapsed, unreached bool
	}{
		{"nothing", nil, false, false},
		{"four seconds", slots(4, down), false, false},
		{"five seconds down", slots(5, down), true, true},
		{"five seconds of halves", slots(5, half), true, false},
		{"just under a half", slots(5, Slot{N: 11, Bad: 5}), false, false},
		{"a good past does not help", cat(slots(60, fine), slots(5, down)), true, true},
		{"one good second does", cat(slots(60, down), slots(1, fine)), false, false},
		{"one silent second does", cat(slots(60, down), slots(1, Slot{}), slots(4, down)), false, false},
		{"a bad past is past", cat(slots(60, down), slots(5, fine)), false, false},
		{"nine requests are too few", cat(slots(4, Slot{N: 2, Bad: 2}), slots(1, Slot{N: 1, Bad: 1})), false, false},
		{"ten are enough", slots(5, Slot{N: 2, Bad: 2}), true, true},
		{"a contradiction", slots(5, Slot{N: 10, Bad: 11}), false, false},
	} {
		if got := Collapsed(c.slots); (got != "") != c.collapsed {
			t.Errorf("%s: %q", c.name, got)
		}
		if got := Unreachable(c.slots); (got != "") != c.unreached {
			t.Errorf("%s: %q", c.name, got)
		}
	}
	if got, want := Collapsed(slots(9, half)), "25 of 50 requests failed in the last 5 s, at least half in each second"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := Unreachable(slots(9, down)); !strings.Contains(got, "none of 50 requests got a connection") {
		t.Errorf("%q", got)
	}
}

func TestNeedIsWhatAPerfectHoldTakes(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		src               string
		rate, confidence  float64
		requests, seconds float64
	}{
		{"p95 < 200ms", 100, 0.95, 59, 10},
		{"p95 < 200ms", 1, 0.95, 59, 59},
		{"p95 < 200ms", 1, 0.99, 90, 90},
		{"p99 < 200ms", 10, 0.95, 299, 30},
		{"p99.9 < 200ms", 100, 0.95, 2995, 30},
		{"p50 < 200ms", 1, 0.95, 10, 10}, // five, and ten batches with data
		{"p95 < 200ms", 0, 0.95, 59, inf},
		{"errors < 1%", 10, 0.95, 299, 30},
		{"within(1s) >= 99.9%", 1000, 0.95, 2995, 10},
		{"dropped < 5%", 1, 0.95, 59, 59},
		{"mean < 1s", 0.5, 0.95, 10, 20},
		{"throughput > 1/s", 0.01, 0.95, 1, 100},
		{"throughput > 1/s", 100, 0.95, 1, 10},
		{"errors == 0", 100, 0.95, 1, 1},
		{"max < 1s", 0.1, 0.95, 1, 10},
		{"users > 5", 0, 0.95, 0, 1},
		{"p95 < 200ms every 10s", 10, 0.95, 59, 10},
		{"p95 < 200ms every 10s", 5, 0.95, 59, inf},
	} {
		requests, seconds := Need(mustParse(t, c.src), c.rate, c.confidence)
		if requests != c.requests || seconds != c.seconds {
			t.Errorf("%s at %v/s and %v: %v requests in %v s, want %v in %v", c.src, c.rate, c.confidence, requests, seconds, c.requests, c.seconds)
		}
	}
}

// TestWhatIsNeededIsEnough: a hold of perfect requests as long as Need says
// passes, and one request or second less does not.
func TestWhatIsNeededIsEnough(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src := rapid.SampledFrom([]string{"p95 < 200ms", "p99 < 200ms", "p50 < 1s", "errors < 1%", "errors <= 10%", "within(1s) >= 99%", "dropped < 3%"}).Draw(t, "objective")
		rate := rapid.IntRange(1, 50).Draw(t, "rate")
		requests, seconds := Need(mustParse(t, src), float64(rate), 0.95)
		hold := func(seconds int) Evidence { return held(seconds, func(int) Slot { return Slot{N: uint64(rate)} }) }
		if r := estimated(t, src, hold(int(seconds))); r.Verdict != Pass {
			t.Fatalf("%s after the %v s it needs at %d/s (%v requests): %s", src, seconds, rate, requests, r.Reason)
		}
		if r := estimated(t, src, hold(int(seconds)-1)); r.Verdict == Pass {
			t.Fatalf("%s needs %v s at %d/s, and passes after one less: %s", src, seconds, rate, r.Reason)
		}
	})
}

func BenchmarkAbort(b *testing.B) {
	o := mustParse(b, "p95 < 200ms")
	all := slots(300, Slot{N: 1000, Bad: 52})
	b.ReportAllocs()
	for b.Loop() {
		Abort(o, all)
	}
}

func BenchmarkJudgeByInterval(b *testing.B) {
	for _, src := range []string{"p95 < 200ms", "errors < 5%", "mean < 130ms"} {
		b.Run(src, func(b *testing.B) {
			claims := []Claim{{Objective: mustParse(b, src)}}
			evidence := []Evidence{even(300, 300_000, 14_700)} // inconclusive: the longest way
			b.ReportAllocs()
			for b.Loop() {
				Judge(claims, evidence, Options{})
			}
		})
	}
}
