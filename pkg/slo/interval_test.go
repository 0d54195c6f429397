package slo

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// each second of a made-up hold is (n, bad) or (n, bad, sum).
func held(seconds int, second func(i int) Slot) Evidence {
	ev := Evidence{Slots: make([]Slot, seconds), Seconds: float64(seconds), Observed: 0.187}
	for i := range ev.Slots {
		ev.Slots[i] = second(i)
	}
	return ev
}

// even spreads n requests and bad of them over the seconds, as evenly as whole
// numbers allow.
func even(seconds int, n, bad uint64) Evidence {
	part := func(all uint64, i int) uint64 {
		return all*uint64(i+1)/uint64(seconds) - all*uint64(i)/uint64(seconds)
	}
	return held(seconds, func(i int) Slot {
		return Slot{N: part(n, i), Bad: min(part(n, i), part(bad, i)), Sum: float64(part(n, i)) / 8, Max: 0.1}
	})
}

// estimated judges one objective by its interval.
func estimated(t fataler, src string, ev Evidence) Result {
	t.Helper()
	return Judge([]Claim{{Objective: mustParse(t, src), Stage: "steady"}}, []Evidence{ev}, Options{Confidence: 0.95}).Results[0]
}

func lose(ev Evidence, lost uint64) Evidence {
	ev.Lost = lost
	return ev
}

func TestTheWholeIntervalMustKeepTheLimit(t *testing.T) {
	inf := math.Inf(1)
	// bursts has all bad requests in every sixth second: few, long and alike.
	bursts := func(n, bad uint64) Evidence {
		return held(60, func(i int) Slot {
			if i%6 == 0 {
				return Slot{N: n, Bad: bad}
			}
			return Slot{N: n}
		})
	}
	for _, c := range []struct {
		src    string
		ev     Evidence
		want   Verdict
		reason string
	}{
		{"p95 < 200ms", even(60, 6000, 246), Pass, "p95 187 ms, 4.1 % slow or failed of 6,000, interval 3.7-4.6 %: pass"},
		{"p95 < 200ms", even(60, 6000, 290), Inconclusive, "p95 187 ms, 4.8 % slow or failed of 6,000, interval 4.4-5.3 %: NOT PROVEN; hold about 8m longer"},
		{"p95 < 200ms", even(60, 6000, 310), Inconclusive, "p95 ≥ 200 ms, 5.2 % slow or failed of 6,000, interval 4.7-5.7 %: NOT PROVEN; hold about 8m longer"},
		{"p95 < 200ms", even(60, 6000, 360), Fail, "p95 ≥ 200 ms, 6 % slow or failed of 6,000, interval 5.5-6.6 %: fail"},
		{"p95 < 200ms", even(60, 6000, 300), Inconclusive, "p95 187 ms, 5 % slow or failed of 6,000, interval 4.5-5.5 %: NOT PROVEN; too close to the limit to decide in a day"},
		{"p95 < 200ms", bursts(100, 24), Inconclusive, "p95 187 ms, 4 % slow or failed of 6,000 (effective 455), interval 2.5-6.2 %: NOT PROVEN; hold about 3m longer"},
		{"ok.p99 < 200ms", even(60, 6000, 20), Pass, "ok.p99 187 ms, 0.33 % slow of 6,000, interval 0.22-0.5 %: pass"},
		{"errors < 1%", even(60, 6000, 25), Pass, "errors 0.42 %, interval 0.29-0.58 %, 25 of 6,000: pass"},
		{"errors < 1%", even(60, 6000, 55), Inconclusive, "errors 0.92 %, interval 0.72-1.1 %, 55 of 6,000: NOT PROVEN; hold about 6m longer"},
		{"errors.status <= 1%", even(60, 6000, 90), Fail, "errors.status 1.5 %, interval 1.3-1.8 %, 90 of 6,000: fail"},
		{"within(200ms) >= 99%", even(60, 6000, 25), Pass, "within(200ms) 99.6 %, interval 99.4-99.7 %, 25 slow or failed of 6,000: pass"},
		{"within(200ms) >= 99%", even(60, 6000, 90), Fail, "within(200ms) 98.5 %, interval 98.2-98.7 %, 90 slow or failed of 6,000: fail"},
		{"dropped < 1%", even(60, 6000, 25), Pass, "dropped 0.42 %, interval 0.29-0.58 %, 25 of 6,000 arrivals: pass"},
		{"throughput >= 100/s", even(60, 6000, 0), Pass, "throughput 100/s, interval 100/s, 6,000 successes in 60 s: pass"},
		{"throughput > 100/s", even(60, 6000, 0), Fail, "throughput 100/s, interval 100/s, 6,000 successes in 60 s: fail"},
		{"throughput > 90/s", held(60, func(i int) Slot { return Slot{N: 60 + uint64(i%10)*8} }), Inconclusive, "throughput 96/s, interval 89.3-103/s, 5,760 successes in 60 s: NOT PROVEN; hold about 20s longer"},
		{"mean < 200ms", even(60, 6000, 0), Pass, "mean 125 ms, interval 125 ms, of 6,000: pass"},
		{"mean < 100ms", even(60, 6000, 0), Fail, "mean 125 ms, interval 125 ms, of 6,000: fail"},
		{"mean < 110ms", held(60, func(i int) Slot { return Slot{N: 10, Sum: 1 + float64(i%5)/20} }), Inconclusive, "mean 110 ms, interval 109-111 ms, of 600: NOT PROVEN; too close to the limit to decide in a day"},
		{"mean < 100ms", held(60, func(int) Slot { return Slot{N: 10, Sum: inf} }), Fail, "no finite mean, of 600: fail"},
		// What is seen and not estimated needs data only.
		{"errors == 0", even(1, 1, 0), Pass, "errors 0 %, 0 of 1: pass"},
		{"errors.check == 0", even(60, 6000, 1), Fail, "errors.check 0.017 %, 1 of 6,000: fail"},
		{"within(1s) >= 100%", even(1, 9, 0), Pass, "within(1s) 100 %, 0 slow or failed of 9: pass"},
		{"max < 2s", even(1, 1, 0), Pass, "max 100 ms, of 1: pass"},
		{"requests >= 3", even(1, 3, 0), Pass, "requests 3, 0 failed: pass"},
		{"dropped <= 25", even(3, 6000, 25), Pass, "dropped 25, of 6,000 arrivals: pass"},
		{"users >= 9", Evidence{Gauge: []float64{9}}, Pass, "users 9, the fewest in 1 seconds: pass"},
	} {
		r := estimated(t, c.src, c.ev)
		if r.Verdict != c.want || r.Reason != c.reason {
			t.Errorf("%s\n  got  %v %q\n  want %v %q", c.src, r.Verdict, r.Reason, c.want, c.reason)
		}
	}
}

func TestTooFewEffectiveRequestsCannotPass(t *testing.T) {
	for _, c := range []struct {
		src  string
		n    uint64
		want Verdict
	}{
		{"p95 < 200ms", 58, Inconclusive},
		{"p95 < 200ms", 59, Pass},
		{"p99 < 200ms", 298, Inconclusive},
		{"p99 < 200ms", 299, Pass},
		{"p99.9 < 200ms", 2994, Inconclusive},
		{"p99.9 < 200ms", 2995, Pass},
		{"errors < 1%", 298, Inconclusive},
		{"errors < 1%", 299, Pass},
		{"within(1s) >= 95%", 58, Inconclusive},
		{"within(1s) >= 95%", 59, Pass},
	} {
		if r := estimated(t, c.src, even(60, c.n, 0)); r.Verdict != c.want {
			t.Errorf("%s with %d perfect requests: %s", c.src, c.n, r.Reason)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		ev := held(rapid.IntRange(10, 60).Draw(t, "seconds"), func(int) Slot {
			n := rapid.Uint64Range(0, 20).Draw(t, "n")
			return Slot{N: n, Bad: rapid.Uint64Range(0, min(n, 3)).Draw(t, "bad") / 3}
		})
		if r := estimated(t, "p95 < 200ms", ev); r.Verdict == Pass && r.Effective < 59 {
			t.Fatalf("an effective %v: %s", r.Effective, r.Reason)
		}
	})
	// Sixty requests in bursts of one fate tell as much as a few.
	ev := held(60, func(i int) Slot {
		if i%10 == 0 && i < 20 {
			return Slot{N: 40, Bad: 1}
		}
		return Slot{N: 4}
	})
	if r := estimated(t, "p95 < 200ms", ev); r.Verdict != Pass {
		t.Fatalf("a control: %s", r.Reason)
	}
	ev.Slots[0].Bad, ev.Slots[10].Bad = 8, 0
	if r := estimated(t, "p95 < 200ms", ev); r.Verdict == Pass || r.Effective >= 59 {
		t.Errorf("one burst of 8 bad of 312: %s", r.Reason)
	}
}

func TestAHoldBelowTenSecondsCannotPass(t *testing.T) {
	for seconds := 1; seconds <= 25; seconds++ {
		want := Inconclusive
		if seconds >= 10 {
			want = Pass
		}
		for _, src := range []string{"p95 < 200ms", "errors < 1%", "within(1s) >= 99%", "throughput > 1/s", "mean < 1s", "dropped < 1%"} {
			r := estimated(t, src, even(seconds, 10_000, 0))
			if r.Verdict != want || r.Batches != min(seconds, 20) {
				t.Errorf("%s in %d s: %d batches, %s", src, seconds, r.Batches, r.Reason)
			}
			if seconds < 10 && (r.NeedSeconds != float64(10-seconds) || !strings.Contains(r.Reason, "NOT PROVEN; a hold of at least 10 s ")) {
				t.Errorf("%s in %d s is short by %v s: %s", src, seconds, r.NeedSeconds, r.Reason)
			}
		}
	}
}

func TestSilentPartsOfAHoldProveNothing(t *testing.T) {
	ev := held(60, func(i int) Slot {
		if i < 27 { // nine of twenty batches
			return Slot{N: 100}
		}
		return Slot{}
	})
	r := estimated(t, "p95 < 200ms", ev)
	if want := "p95 187 ms, 0 % slow or failed of 2,700: NOT PROVEN; 9 of 20 parts of the hold have data, and it takes 10; hold about 7s longer"; r.Reason != want {
		t.Errorf("%q, want %q", r.Reason, want)
	}
	// For a rate silence is data.
	if r := estimated(t, "throughput > 90/s", ev); r.Verdict != Fail {
		t.Errorf("half of the hold in silence: %s", r.Reason)
	}
}

// What is about the whole run is asked of the seconds that had any of it: logins
// come in the first of ten minutes, and a guard's holds after a long warm-up.
func TestTheSilenceOfARunIsNoPartOfWhatIsAskedOfTheWhole(t *testing.T) {
	run := func(bad uint64) Evidence {
		return held(600, func(i int) Slot {
			if i >= 300 && i < 360 {
				return Slot{N: 100, Bad: bad}
			}
			return Slot{}
		})
	}
	for _, c := range []struct {
		src   string
		bad   uint64
		stage string
		want  Verdict
	}{
		{"p95{task=on_start} < 2s", 1, "", Pass},
		{"errors <= 1%", 2, "", Fail},
		{"errors <= 1%", 2, "steady", Inconclusive},
		{"p95 < 2s", 1, "steady", Inconclusive},
	} {
		o := mustParse(t, c.src)
		r := judgeOne(Claim{Objective: o, Stage: c.stage}, run(c.bad), Options{})
		if r.Verdict != c.want {
			t.Errorf("%s on %q: %v: %s", c.src, c.stage, r.Verdict, r.Reason)
		}
	}
	sparse := held(60, func(i int) Slot {
		switch {
		case i%10 > 0:
			return Slot{}
		case i < 20:
			return Slot{N: 30, Bad: 1}
		}
		return Slot{N: 30}
	})
	for setup, want := range map[bool]string{
		false: "only 6 seconds of the run had any, and it takes 10; hold about 40s longer",
		true:  "only 6 seconds of the run had any, and it takes 10",
	} {
		r := judgeOne(Claim{Objective: mustParse(t, "errors <= 1%"), Guard: true, Setup: setup}, sparse, Options{})
		if r.Verdict != Inconclusive || !strings.HasSuffix(r.Reason, "NOT PROVEN; "+want) {
			t.Errorf("set-up %v: %s", setup, r.Reason)
		}
	}
	if r := judgeOne(Claim{Objective: mustParse(t, "throughput > 90/s")}, run(0), Options{}); r.Verdict != Fail {
		t.Errorf("silence is data for a rate: %s", r.Reason)
	}
}

// A target that is down fails, however short the test was: with too few batches
// for an interval, each counts as one observation.
func TestAnOutageFailsAShortHold(t *testing.T) {
	for _, c := range []struct {
		src     string
		seconds int
		n, bad  uint64
		want    Verdict
	}{
		{"p95 < 200ms", 1, 100, 100, Fail}, // 1 in 20
		{"p95 < 200ms", 1, 100, 99, Inconclusive},
		{"p95 < 200ms", 1, 9, 9, Inconclusive}, // too few to speak of
		{"p95 < 200ms", 2, 100, 100, Fail},
		{"p95 < 200ms", 9, 900, 450, Fail},
		{"p95 < 200ms", 9, 900, 54, Inconclusive},
		{"p50 < 200ms", 4, 900, 900, Inconclusive}, // 1 in 16
		{"p50 < 200ms", 5, 900, 900, Fail},
		{"errors <= 1%", 1, 20, 20, Fail},
		{"errors <= 1%", 1, 100, 19, Inconclusive},
		{"errors <= 1%", 1, 100, 21, Fail},
		{"errors <= 1%", 3, 300, 12, Fail}, // 1 in 64
		{"errors <= 1%", 3, 300, 6, Inconclusive},
		{"within(1s) >= 99%", 2, 40, 40, Fail},
	} {
		r := estimated(t, c.src, even(c.seconds, c.n, c.bad))
		if r.Verdict != c.want || (r.Verdict == Fail) != (r.Doubt > 0) {
			t.Errorf("%s with %d bad of %d in %d s: %s (doubt %v)", c.src, c.bad, c.n, c.seconds, r.Reason, r.Doubt)
		}
	}
	if r := estimated(t, "errors <= 1%", lose(even(1, 20, 20), 1000)); r.Verdict != Inconclusive {
		t.Errorf("an outage that the lost ones could undo: %s", r.Reason)
	}
	// A second without a bad request speaks against an outage.
	ev := even(3, 300, 300)
	ev.Slots[1].Bad = 0
	if r := estimated(t, "errors <= 1%", ev); r.Verdict != Inconclusive {
		t.Errorf("a good second among bad ones: %s", r.Reason)
	}
}

func TestAllFailedFailsWhateverTheMetric(t *testing.T) {
	ev := held(60, func(int) Slot { return Slot{N: 100, Bad: 100, Sum: math.Inf(1), Max: math.Inf(1)} })
	ev.Observed = math.Inf(1)
	for _, src := range []string{
		"p95 < 200ms", "p1 < 24h", "max < 24h", "mean < 24h", "errors < 99.9%", "errors == 0", "within(24h) > 0.1%",
		"throughput > 0/s", "successes > 0", "dropped < 99%", "dropped == 0",
	} {
		if r := estimated(t, src, ev); r.Verdict != Fail {
			t.Errorf("%s when all failed: %s", src, r.Reason)
		}
	}
}

func TestNothingSeenLeavesRoomForASmallRate(t *testing.T) {
	for src, want := range map[string]Verdict{"throughput > 0.2/s": Fail, "throughput > 0.04/s": Inconclusive} {
		if r := estimated(t, src, even(60, 60, 60)); r.Verdict != want {
			t.Errorf("%s after 60 s without a success: %s", src, r.Reason)
		}
	}
}

func TestNeighboursThatAreAlikeCostDegreesOfFreedom(t *testing.T) {
	// Long waves: batches of 3 s follow each other up and down.
	wave := held(60, func(i int) Slot { return Slot{N: 100, Bad: uint64(4 + 4*math.Sin(float64(i)/6))} })
	// The same seconds in an order without memory.
	mixed := wave
	mixed.Slots = slices.Clone(wave.Slots)
	for i := range mixed.Slots {
		mixed.Slots[i] = wave.Slots[i*37%60]
	}
	a, b := estimated(t, "p95 < 200ms", wave), estimated(t, "p95 < 200ms", mixed)
	if a.Batches != 10 || b.Batches != 20 {
		t.Errorf("%d batches for waves and %d for the same seconds mixed", a.Batches, b.Batches)
	}
	if a.Effective >= b.Effective {
		t.Errorf("waves are worth %v requests, the same seconds mixed %v", a.Effective, b.Effective)
	}
}

func TestBatchesAreAsEvenAsSlotsAllow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seconds := rapid.IntRange(1, 700).Draw(t, "seconds")
		ev := held(seconds, func(int) Slot { return Slot{N: 1} })
		if rapid.Bool().Draw(t, "last partial") {
			ev.Seconds -= 0.75
		}
		count := rapid.SampledFrom([]int{10, 20}).Draw(t, "batches")
		least, most, sum := math.Inf(1), 0.0, 0.0
		for _, b := range ev.batches(count, badOfRequests) {
			least, most, sum = min(least, b.x), max(most, b.x), sum+b.x
		}
		if sum != float64(seconds) || most-least > 1 {
			t.Fatalf("%d seconds in batches of %v to %v, %v in all", seconds, least, most, sum)
		}
		span := 0.0
		for _, b := range ev.batches(count, successesOverTime) {
			span += b.x
		}
		if math.Abs(span-ev.Seconds) > 1e-9 {
			t.Fatalf("batches of %v s last %v s", ev.Seconds, span)
		}
	})
}

func TestLostSamplesWidenTheInterval(t *testing.T) {
	for _, c := range []struct {
		src  string
		ev   Evidence
		want Verdict
	}{
		{"p95 < 200ms", even(60, 6000, 246), Pass},
		{"p95 < 200ms", lose(even(60, 6000, 246), 10), Pass},
		{"p95 < 200ms", lose(even(60, 6000, 246), 40), Inconclusive},
		{"p95 < 200ms", even(60, 6000, 360), Fail},
		{"p95 < 200ms", lose(even(60, 6000, 360), 300), Fail},
		{"p95 < 200ms", lose(even(60, 6000, 360), 1000), Inconclusive},
		{"errors < 1%", even(60, 6000, 25), Pass},
		{"errors < 1%", lose(even(60, 6000, 25), 30), Inconclusive},
		{"throughput > 99/s", lose(even(60, 6000, 0), 100), Pass},
		{"throughput > 101/s", lose(even(60, 6000, 0), 100), Inconclusive},
		{"throughput > 102/s", lose(even(60, 6000, 0), 100), Fail},
		{"mean < 200ms", lose(even(60, 6000, 0), 1), Inconclusive},
		{"mean < 120ms", lose(even(60, 6000, 0), 100), Fail},
		{"mean < 120ms", lose(even(60, 6000, 0), 1000), Inconclusive},
	} {
		r := estimated(t, c.src, c.ev)
		if r.Verdict != c.want || r.Lost > 0 && !strings.Contains(r.Reason, " lost: ") {
			t.Errorf("%s: %s, want %v", c.src, r.Reason, c.want)
		}
	}
	if r := estimated(t, "p95 < 200ms", lose(even(60, 6000, 246), 40)); !strings.Contains(r.Reason, turned) {
		t.Errorf("it is the lost ones: %s", r.Reason)
	}
}

// TestLostSamplesNeverTurnAnIntervalWrong: whatever the lost samples were, and
// wherever they would have fallen evenly, a pass is no fail and a fail no pass.
func TestLostSamplesNeverTurnAnIntervalWrong(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src := rapid.SampledFrom([]string{"p95 < 200ms", "p50 <= 1s", "errors < 5%", "within(1s) >= 90%", "throughput >= 4/s", "dropped < 4%"}).Draw(t, "objective")
		n := rapid.Uint64Range(20, 3000).Draw(t, "seen")
		bad := rapid.Uint64Range(0, n/5).Draw(t, "seen bad")
		lost := rapid.Uint64Range(0, 60).Draw(t, "lost")
		lostBad := rapid.Uint64Range(0, lost).Draw(t, "lost bad")
		told := estimated(t, src, lose(even(60, n, bad), lost)).Verdict
		truth := judged(t, src, even(60, n+lost, bad+lostBad)).Verdict
		if told == Pass && truth == Fail || told == Fail && truth == Pass {
			t.Fatalf("%s with %d bad of %d, %d lost of which %d bad: told %v, in truth %v", src, bad, n, lost, lostBad, told, truth)
		}
	})
}

// TestAnySplitOverShardsGivesTheSameJudgement: the samples of each second are
// dealt to shards and merged again, in any order. Nothing changes, to the bit.
func TestAnySplitOverShardsGivesTheSameJudgement(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seconds := rapid.IntRange(1, 90).Draw(t, "seconds")
		claim := Claim{Objective: mustParse(t, rapid.SampledFrom(everyPromise).Draw(t, "objective")), Guard: rapid.Bool().Draw(t, "guard")}
		shards := make([][]Slot, rapid.IntRange(1, 6).Draw(t, "shards"))
		for i := range shards {
			shards[i] = make([]Slot, seconds)
		}
		whole := make([]Slot, seconds)
		for i := range whole {
			for range rapid.IntRange(0, 12).Draw(t, "requests") {
				one := Slot{
					N: 1, Bad: rapid.Uint64Range(0, 1).Draw(t, "bad"),
					Sum: float64(rapid.IntRange(0, 1<<20).Draw(t, "sum")) / 1024, // adds without rounding
					Max: float64(rapid.IntRange(0, 4000).Draw(t, "max")) / 1000,
				}
				whole[i] = whole[i].Add(one)
				shard := rapid.IntRange(0, len(shards)-1).Draw(t, "shard")
				shards[shard][i] = shards[shard][i].Add(one)
			}
		}
		merged := make([]Slot, seconds)
		for _, shard := range rapid.Permutation(shards).Draw(t, "order") {
			for i, s := range shard {
				merged[i] = merged[i].Add(s)
			}
		}
		ev := Evidence{Seconds: float64(seconds), Lost: rapid.Uint64Range(0, 2).Draw(t, "lost"), Gauge: []float64{5}, Observed: 0.1}
		judgement := func(slots []Slot) Judgement {
			ev.Slots = slots
			return Judge([]Claim{claim}, []Evidence{ev}, Options{})
		}
		if a, b := judgement(whole), judgement(merged); !reflect.DeepEqual(a, b) && !math.IsNaN(a.Results[0].Observed) {
			t.Fatalf("whole  %+v\nmerged %+v", a.Results[0], b.Results[0])
		}
	})
}

func TestTheLastSecondCounts(t *testing.T) {
	for _, src := range []string{"p95 < 200ms", "errors < 1%", "within(1s) >= 99%", "mean < 20ms", "max < 1s", "throughput > 99/s"} {
		ev := held(60, func(int) Slot { return Slot{N: 100, Sum: 1, Max: 0.1} })
		before := estimated(t, src, ev)
		ev.Slots[59] = Slot{N: 10_000, Bad: 10_000, Sum: 10_000, Max: 9}
		if src == "throughput > 99/s" {
			ev.Slots[59] = Slot{}
		}
		if after := estimated(t, src, ev); before.Verdict != Pass || after.Verdict == Pass {
			t.Errorf("%s: %q, and with a disaster in the last second %q", src, before.Reason, after.Reason)
		}
	}
}

func TestMoreConfidenceTakesMoreEvidence(t *testing.T) {
	claim := []Claim{{Objective: mustParse(t, "p95 < 200ms")}}
	for bad, want := range map[uint64][3]Verdict{ // at 80, 95 and 99.9 %
		200: {Pass, Pass, Pass},
		260: {Pass, Pass, Inconclusive},
		282: {Pass, Inconclusive, Inconclusive},
		322: {Fail, Inconclusive, Inconclusive},
		340: {Fail, Fail, Inconclusive},
		420: {Fail, Fail, Fail},
	} {
		for i, confidence := range []float64{0.8, 0.95, 0.999} {
			j := Judge(claim, []Evidence{even(60, 6000, bad)}, Options{Confidence: confidence})
			if got := j.Results[0]; got.Verdict != want[i] {
				t.Errorf("%d bad of 6,000 at %v: %s, want %v", bad, confidence, got.Reason, want[i])
			}
			look := even(60, 6000, bad)
			look.Confidence = confidence
			if got := Judge(claim, []Evidence{look}, Options{Confidence: 0.95}).Results[0]; got.Verdict != want[i] {
				t.Errorf("%d bad of 6,000 in a look at %v: %s, want %v", bad, confidence, got.Reason, want[i])
			}
		}
	}
}

func TestFailsAreClaimedTogether(t *testing.T) {
	claim := Claim{Objective: mustParse(t, "p95 < 200ms"), Stage: "steady"}
	border := even(60, 6000, 332) // fails by itself, with a doubt of a few percent
	clear := even(60, 6000, 600)
	perfect := even(60, 6000, 0)
	verdicts := func(claims []Claim, evidence ...Evidence) (out []Verdict) {
		for _, r := range Judge(claims, evidence, Options{}).Results {
			out = append(out, r.Verdict)
		}
		return out
	}
	repeat := func(n int) []Claim { return slices.Repeat([]Claim{claim}, n) }
	for _, c := range []struct {
		name     string
		claims   []Claim
		evidence []Evidence
		want     []Verdict
	}{
		{"alone", repeat(1), []Evidence{border}, []Verdict{Fail}},
		{"one of two", repeat(2), []Evidence{perfect, border}, []Verdict{Pass, Inconclusive}},
		{"one clear fail leaves the rest a family of one", repeat(2), []Evidence{clear, border}, []Verdict{Fail, Fail}},
		{"a clear fail stands among many", repeat(5), []Evidence{border, perfect, clear, perfect, border}, []Verdict{Inconclusive, Pass, Fail, Pass, Inconclusive}},
		{"passes need no correction", repeat(3), []Evidence{even(60, 6000, 262), perfect, perfect}, []Verdict{Pass, Pass, Pass}},
		{"guards are a family of their own", []Claim{claim, {Objective: mustParse(t, "errors <= 1%"), Guard: true}}, []Evidence{border, perfect}, []Verdict{Fail, Pass}},
		{"what is seen is no member", []Claim{claim, {Objective: mustParse(t, "errors == 0")}}, []Evidence{border, perfect}, []Verdict{Fail, Pass}},
		{"what has no data is no member", repeat(2), []Evidence{border, {}}, []Verdict{Fail, NoData}},
		{"advisory claims are no members", []Claim{claim, {Objective: claim.Objective, Advisory: true}}, []Evidence{border, border}, []Verdict{Fail, Fail}},
	} {
		if got := verdicts(c.claims, c.evidence...); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	j := Judge(repeat(2), []Evidence{perfect, border}, Options{})
	if r := j.Results[1]; !strings.HasSuffix(r.Reason, ": NOT PROVEN; broken by itself, but one of 2 claims may look so by chance; hold about 20s longer") || r.Doubt != 0 || !(r.NeedSeconds > 0) {
		t.Errorf("a fail that was taken back: %q, doubt %v, needs %v s", r.Reason, r.Doubt, r.NeedSeconds)
	}
	if j.Overall != OverallInconclusive {
		t.Errorf("overall %v", j.Overall)
	}
	// The error of a look is a share of that of the hold.
	look := even(60, 6000, 600)
	look.Confidence = 0.99
	if a, b := Judge(repeat(1), []Evidence{clear}, Options{}).Results[0], Judge(repeat(1), []Evidence{look}, Options{}).Results[0]; math.Abs(b.Doubt/a.Doubt-5) > 0.01 {
		t.Errorf("doubt %v over the hold, and %v in a look that has a fifth of the error", a.Doubt, b.Doubt)
	}
}

func TestDoubtIsTheLevelAtWhichAFailFallsBack(t *testing.T) {
	for _, ev := range []Evidence{even(60, 6000, 350), even(60, 6000, 400), even(60, 600, 60)} {
		for i := range ev.Slots {
			ev.Slots[i].Sum *= 1 + float64(i*7%11)/20 // means vary too
		}
		for _, src := range []string{"p95 < 200ms", "errors < 5%", "mean < 148ms"} {
			r := estimated(t, src, ev)
			if r.Verdict != Fail {
				t.Fatalf("%s: %s", src, r.Reason)
			}
			at := func(doubt float64) Verdict {
				return Judge([]Claim{r.Claim}, []Evidence{ev}, Options{Confidence: 1 - doubt}).Results[0].Verdict
			}
			if at(r.Doubt*1.01) != Fail || at(r.Doubt*0.98) == Fail {
				t.Errorf("%s: doubt %v, but %v above and %v below it", src, r.Doubt, at(r.Doubt*1.01), at(r.Doubt*0.98))
			}
		}
	}
}

func TestAGuardHoldsUpToItsRatioAsObserved(t *testing.T) {
	guard := Claim{Objective: mustParse(t, "errors <= 1%"), Guard: true, GuardOf: "login"}
	for _, c := range []struct {
		ev   Evidence
		want Verdict
	}{
		{even(1, 3, 0), Pass}, // three logins in one second are enough to hold
		{even(60, 1000, 10), Pass},
		{even(60, 1000, 11), Inconclusive},
		{even(60, 1000, 20), Fail},
		{lose(even(60, 1000, 10), 1), Inconclusive},
		{even(1, 20, 20), Fail},
		{even(1, 100, 2), Inconclusive},
		{even(60, 100, 99), Fail},
		{Evidence{}, NoData},
	} {
		r := Judge([]Claim{guard}, []Evidence{c.ev}, Options{}).Results[0]
		if r.Verdict != c.want {
			t.Errorf("guard: %s, want %v", r.Reason, c.want)
		}
	}
}

func TestNeedSecondsIsTheHoldThatDecides(t *testing.T) {
	steady := func(second Slot) func(seconds int) Evidence {
		return func(seconds int) Evidence { return held(seconds, func(int) Slot { return second }) }
	}
	for _, c := range []struct {
		src  string
		hold func(seconds int) Evidence
	}{
		{"p95 < 200ms", steady(Slot{N: 100, Bad: 4})},
		{"p95 < 200ms", steady(Slot{N: 100, Bad: 6})},
		{"p99.9 < 200ms", steady(Slot{N: 20})},
		{"errors < 5%", steady(Slot{N: 50, Bad: 2})},
		{"errors < 5%", steady(Slot{N: 50, Bad: 3})},
		{"within(1s) > 85%", steady(Slot{N: 10, Bad: 1})},
	} {
		const short = 10
		r := estimated(t, c.src, c.hold(short))
		if r.Verdict != Inconclusive || r.NeedSeconds < 1 {
			t.Fatalf("%s: %s, needs %v s", c.src, r.Reason, r.NeedSeconds)
		}
		need := short + int(r.NeedSeconds)
		// Twenty batches do a little better than the ten of the short hold.
		if again := estimated(t, c.src, c.hold(need)); again.Verdict == Inconclusive {
			t.Errorf("%s: after %d s still %s", c.src, need, again.Reason)
		}
		if again := estimated(t, c.src, c.hold(need*7/10)); again.Verdict != Inconclusive {
			t.Errorf("%s: %d s were asked for, and %d s do: %s", c.src, need, need*7/10, again.Reason)
		}
	}
}

// TestTheIntervalOfAPercentileIsOneOfValues compares with requests whose times
// are known one by one.
func TestTheIntervalOfAPercentileIsOneOfValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := mustParse(t, rapid.SampledFrom([]string{"p95 < 100ms", "p90 <= 100ms", "p50 < 100ms"}).Draw(t, "objective"))
		scale := rapid.IntRange(40, 400).Draw(t, "scale")
		ev := Evidence{Slots: make([]Slot, 30), Seconds: 30}
		var times []float64
		draw := rapid.IntRange(1, scale)
		for i := range ev.Slots {
			for range 20 {
				took := float64(draw.Draw(t, "ms")) / 1000
				ev.Slots[i].N++
				if o.Slow(took) {
					ev.Slots[i].Bad++
				}
				times = append(times, took)
			}
		}
		slices.Sort(times)
		ev.Quantile = func(q float64) float64 {
			return times[min(len(times)-1, max(0, int(math.Ceil(q*float64(len(times))))-1))]
		}
		ev.Observed = ev.Quantile(o.Metric.Q)
		r := judgeOne(Claim{Objective: o}, ev, Options{})
		in := r.Interval
		if in == nil || in.Unit != Seconds {
			t.Fatalf("no interval of values: %+v", r)
		}
		if !(in.Low <= ev.Observed && ev.Observed <= in.High) {
			t.Fatalf("%v to %v does not hold the observed %v", in.Low, in.High, ev.Observed)
		}
		if (r.Verdict == Pass) == o.Slow(in.High) || (r.Verdict == Fail) != o.Slow(in.Low) {
			t.Fatalf("%v with %v to %v: %s", r.Verdict, in.Low, in.High, r.Reason)
		}
	})
}

func TestIntervalsAreWrittenInTheUnitOfTheMetric(t *testing.T) {
	values := func(low, high float64) func(float64) float64 {
		return func(q float64) float64 { return low + (high-low)*q }
	}
	for _, c := range []struct {
		src      string
		bad      uint64
		quantile func(float64) float64
		want     string
	}{
		{"p95 < 200ms", 246, values(0, 0.196), "p95 187 ms, interval 185-187 ms, 4.1 % slow or failed of 6,000: pass"},
		{"p95 < 200ms", 246, values(0, 0.3), "p95 187 ms, interval 187-200 ms, 4.1 % slow or failed of 6,000: pass"}, // the bucket reaches over the limit
		{"p95 < 200ms", 290, func(q float64) float64 {
			if q > 0.951 {
				return math.Inf(1)
			}
			return 0.18
		}, "p95 187 ms, interval 180 ms or more, 4.8 % slow or failed of 6,000: NOT PROVEN; hold about 8m longer"},
		{"p95 < 2s", 246, func(q float64) float64 { return 0.187 + max(0, q-0.95)*100 }, "p95 187 ms, interval 187-682 ms, "},
		{"p95 < 200ms", 246, func(float64) float64 { return math.NaN() }, "p95 187 ms, 4.1 % slow or failed of 6,000, interval 3.7-4.6 %: pass"},
	} {
		ev := even(60, 6000, c.bad)
		ev.Quantile = c.quantile
		if r := estimated(t, c.src, ev); !strings.HasPrefix(r.Reason, c.want) {
			t.Errorf("%s: %q, want %q", c.src, r.Reason, c.want)
		}
	}
}

func TestTheReasonForNoDataIsTheFirstCause(t *testing.T) {
	for src, want := range map[string]string{
		"p95 < 200ms":  "p95: no request in scope: no data",
		"dropped < 1%": "dropped: no arrival in scope: no data",
		"users >= 5":   "users: the gauge was never read: no data",
	} {
		if r := estimated(t, src, Evidence{Slots: make([]Slot, 60), Seconds: 60, Observed: math.NaN()}); r.Reason != want {
			t.Errorf("%s: %q, want %q", src, r.Reason, want)
		}
	}
}
