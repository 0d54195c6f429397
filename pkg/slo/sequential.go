package slo

import (
	"fmt"
	"math"
	"time"
)

// Look is one moment at which a hold may end because everything is decided.
type Look struct {
	At         time.Duration // from the start of the hold
	Confidence float64       // of each claim at this look
}

// Looks returns the predeclared looks of a hold that lasts between shortest and
// longest (`for: 1m..5m`), at the confidence that a claim has over all of them.
// A hold that is judged at one look ends there, if every claim is decided; at
// the last it ends in any case, and its claims are judged by the last.
//
// Whoever looks often enough sees whatever he wishes for. So the moments are
// fixed before the run, in equal ratios of at most two, and they share the
// error: each may be wrong with a part of 1-confidence that is in proportion to
// its time, and all together no more often than 1-confidence, however they
// depend on each other (Bonferroni; error spending: Lan and DeMets 1983). Half
// of the error is left for the end, where a hold is mostly decided, if it is
// not clear at once.
func Looks(shortest, longest time.Duration, confidence float64) []Look {
	if shortest >= longest || shortest <= 0 {
		return []Look{{max(shortest, longest), confidence}}
	}
	ratio := float64(longest) / float64(shortest)
	steps := int(math.Ceil(math.Log2(ratio) - 1e-9))
	looks := make([]Look, 0, steps+1)
	var all time.Duration
	for i := range steps + 1 {
		at := time.Duration(float64(shortest) * math.Pow(ratio, float64(i)/float64(steps)))
		at = min(longest, (at + time.Second - 1).Truncate(time.Second))
		if i == steps {
			at = longest
		}
		if n := len(looks); n > 0 && looks[n-1].At >= at {
			continue
		}
		looks = append(looks, Look{At: at})
		all += at
	}
	for i := range looks {
		looks[i].Confidence = 1 - (1-confidence)*float64(looks[i].At)/float64(all)
	}
	return looks
}

const (
	// abortFrom is how many seconds a scope must have before it may be given up.
	abortFrom = 20
	// abortAt is the e-value that gives it up: by Ville's inequality a promise
	// that is kept ever reaches it with a probability of 1 % at most.
	abortAt = 100
)

// abortWider is how much more variance Student's t allows for than the normal
// distribution, at an error of 1 in abortAt, by the number of batches.
var abortWider = func() (wider [manyBatches + 1]float64) {
	for n := 2; n < len(wider); n++ {
		t := studentQuantile(1-1./abortAt, float64(n-1)) / normalQuantile(1-1./abortAt)
		wider[n] = t * t
	}
	return wider
}()

// Abort says why a promise can be given up before its scope has ended, or "".
// slots are the complete seconds so far; it is meant to be asked each second.
//
// A share of bad requests is given up when the evidence against it is
// overwhelming (see EValue). A promise about what cannot be undone (the slowest
// request, an error where none was allowed) is given up with the first that
// breaks it. Means and lower bounds are never given up: they may recover.
func Abort(o Objective, slots []Slot) string {
	if o.meaning() != nil || !o.Plain() {
		return ""
	}
	if o.tested() {
		if EValue(o, slots) < abortAt {
			return ""
		}
		t := Evidence{Slots: slots}.tally()
		allowed := o.budget()
		return fmt.Sprintf("%s %s of %s after %d s, and %s is allowed",
			beside(ratio(count(t.Bad), count(t.N)), allowed, Ratio), wrong(o.Metric), countText(t.N), len(slots), beside(allowed, allowed, Ratio))
	}
	t := Evidence{Slots: slots}.tally()
	if t.N == 0 || t.Bad > t.N || !o.beyondRepair(t) || o.fault() != nil {
		return ""
	}
	f := family(o.Metric.Kind)(o, Evidence{Observed: t.Max}, t)
	return fmt.Sprintf("%s after %d s, and that cannot be undone", f.head(o), len(slots))
}

// beyondRepair tells whether a promise that is seen and not estimated is broken
// whatever follows: it bounds from above what can only grow.
func (o Objective) beyondRepair(t tally) bool {
	grown := func(v float64) bool {
		upper := o.Op == LT || o.Op == LE || o.Op == EQ
		sign := 1
		if finite(v) {
			sign = exact(v).Cmp(exact(o.Limit))
		}
		return upper && (sign > 0 || sign == 0 && o.Op == LT)
	}
	switch o.Metric.Kind {
	case Errors, Within: // those that allow nothing
		return t.Bad > 0
	case Dropped:
		return grown(float64(t.Bad))
	case Max:
		return grown(t.Max)
	case Requests:
		return grown(float64(t.N))
	case BytesIn, BytesOut:
		return grown(t.Sum)
	}
	return false
}

// EValue returns how many times likelier the slots so far are with the promise
// broken than with it just kept, for a claim about a share of bad requests, and
// 1 for any other and before the twentieth second.
//
// It is the likelihood ratio of k bad of n requests, mixed uniformly over all
// shares above the budget (a test martingale: Ville 1939, Robbins 1970; Howard,
// Ramdas, McAuliffe and Sekhon 2021; Ramdas, Grünwald, Vovk and Shafer 2023).
// For independent requests it may be looked at as often as one likes. As
// requests are not independent, k and n are divided by a design effect first:
// that of ten batches, twenty from the 40th second on, widened by Student's t
// for their number and by 1 + 2r for a correlation r of neighbours. By
// simulation that keeps false alarms below 1 % (docs/statistics.md).
func EValue(o Objective, slots []Slot) float64 {
	if o.meaning() != nil {
		return 1
	}
	p, ok := o.proportion()
	if !ok || len(slots) < abortFrom {
		return 1
	}
	for _, s := range slots {
		p.bad += float64(s.Bad)
		p.n += float64(s.N)
	}
	if p.bad <= p.budget*p.n || p.bad > p.n {
		return 1 // so few are no evidence against it, and so many none at all
	}
	many := fewBatches
	if len(slots) >= 2*abortFrom {
		many = manyBatches
	}
	batches := Evidence{Slots: slots}.batches(many, badOfRequests)
	if len(batches) < fewBatches {
		return 1
	}
	s := spreadOf(batches)
	deff := newProportion(p, s).deff * abortWider[s.batches] * (1 + 2*max(0, s.alike))
	bad, good := p.bad/deff, (p.n-p.bad)/deff
	return math.Exp(logBeta(bad+1, good+1) + math.Log1p(-betaRatio(p.budget, bad+1, good+1)) -
		math.Log1p(-p.budget) - bad*math.Log(p.budget) - good*math.Log1p(-p.budget))
}

const (
	// breakerSeconds is how long a target must be down to end a run.
	breakerSeconds = 5
	// breakerLeast is the least number of requests in that time: one slow
	// start or one cold request ends nothing.
	breakerLeast = 10
)

// Collapsed is the first breaker: it says that at least half of the requests
// have failed in each of the last five seconds, or "". slots are complete
// seconds of requests ended (N) and failed (Bad).
func Collapsed(slots []Slot) string {
	t, ok := recent(slots, func(s Slot) bool { return s.Bad >= s.N-s.Bad })
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s of %s requests failed in the last %d s, at least half in each second", countText(t.Bad), countText(t.N), breakerSeconds)
}

// Unreachable is the second breaker: it says that no request has got as far as
// a connection in the last five seconds, or "". slots are complete seconds of
// requests ended (N) and of those that failed to connect (Bad).
func Unreachable(slots []Slot) string {
	t, ok := recent(slots, func(s Slot) bool { return s.Bad == s.N })
	if !ok {
		return ""
	}
	return fmt.Sprintf("the target is unreachable: none of %s requests got a connection in the last %d s", countText(t.N), breakerSeconds)
}

// recent sums the last seconds, if all of them have data and are down.
func recent(slots []Slot, down func(Slot) bool) (sum Slot, ok bool) {
	if len(slots) < breakerSeconds {
		return sum, false
	}
	for _, s := range slots[len(slots)-breakerSeconds:] {
		if s.N == 0 || s.Bad > s.N || !down(s) {
			return sum, false
		}
		sum = sum.Add(s)
	}
	return sum, sum.N >= breakerLeast
}

// Need returns what it takes at least to pass a claim on the objective at the
// given confidence, even if every request is perfect: how many requests, and
// how many seconds of hold at rate of them per second. A hold that is shorter
// cannot prove it. Real requests depend on each other, and real promises are
// not kept perfectly: twice or ten times as much is usual. In windows it is what
// each window needs. Where only data is needed it returns one request. The
// seconds are +Inf where no hold would do: at no rate, or at one that leaves
// windows too empty.
func Need(o Objective, rate, confidence float64) (requests, seconds float64) {
	switch window := o.Window().Seconds(); {
	case o.Metric.Judged() == ByGauge:
		return 0, 1
	case window > 0:
		requests = float64(o.LeastPerWindow())
		if perRate(requests, rate) > window {
			return requests, math.Inf(1)
		}
		return requests, window
	case !o.tested():
		return 1, perRate(1, rate)
	}
	requests = fewBatches // one for each batch
	if o.Metric.Kind == Throughput {
		requests = 1 // silence is data too
	}
	if p, ok := o.proportion(); ok {
		requests = max(requests, effectiveFloor(1-p.budget, confidence))
	}
	return requests, max(fewBatches, perRate(requests, rate))
}

func perRate(requests, rate float64) float64 {
	if !(rate > 0) {
		return math.Inf(1)
	}
	return math.Ceil(requests/rate - 1e-9)
}
