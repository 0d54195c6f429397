package slo

import (
	"math"
	"slices"
)

// Requests of one second share a queue, a garbage collection, a cold cache:
// they are not independent, and an interval that takes them for independent
// covers 29 % instead of 95 % when the target is at 70 % load. So a scope is
// cut into batches, long enough to be nearly independent of each other, and
// how much they differ says how much evidence there really is (batch means:
// Schmeiser 1982; design effect: Kish 1965).

const (
	manyBatches  = 20 // of a scope
	fewBatches   = 10 // of a scope in which neighbours of the many are alike, and the least to claim anything
	correlatedAt = 0.95
)

// batch is what one stretch of a scope counted: y of the metric's numerator
// (bad requests, seconds of latency, successes) over x of its denominator
// (requests, seconds of time).
type batch struct{ y, x float64 }

// measureOf reads numerator and denominator off a slot, of which span seconds
// lie in the scope.
type measureOf func(s Slot, span float64) batch

func badOfRequests(s Slot, _ float64) batch { return batch{float64(s.Bad), float64(s.N)} }
func sumOverRequests(s Slot, _ float64) batch {
	return batch{s.Sum, float64(s.N)}
}
func successesOverTime(s Slot, span float64) batch { return batch{float64(s.N - s.Bad), span} }

// length returns how many one-second slots the scope has. Evidence made by
// hand may leave out silent slots at the end.
func (ev Evidence) length() int {
	const most = 1 << 24 // half a year
	n := len(ev.Slots)
	if ev.Seconds > float64(n) && ev.Seconds <= most {
		n = int(math.Ceil(ev.Seconds))
	}
	return n
}

// busy leaves the seconds without a request out. The scope of a claim that names
// no stage, a guard or one about set-up, is the whole run: logins come in its
// first seconds, and between two holds lie warm-ups and pauses. That silence is
// no part of what the claim is about, as it is in a hold.
func (ev Evidence) busy() Evidence {
	ev.Slots = slices.DeleteFunc(slices.Clone(ev.Slots), func(s Slot) bool { return s.N == 0 })
	ev.Seconds = float64(len(ev.Slots))
	return ev
}

// span returns how many seconds of slot i lie in the scope. Only the last may
// be partial. Where the length is unknown every slot is whole.
func (ev Evidence) span(i int) float64 {
	if !finite(ev.Seconds) || ev.Seconds <= 0 {
		return 1
	}
	return min(1, max(0, ev.Seconds-float64(i)))
}

// batches cuts the scope into count stretches of whole slots, as equal as slots
// allow, or into single slots if it has fewer. Batches whose denominator is
// zero hold no data and are left out.
//
// Counts add up exactly, so that the batches, and all that follows from them,
// are the same bits however the slots were merged before.
func (ev Evidence) batches(count int, of measureOf) []batch {
	n := ev.length()
	count = min(count, n)
	out := make([]batch, 0, count)
	for b := range count {
		var sum batch
		for i := b * n / count; i < (b+1)*n/count; i++ {
			var s Slot
			if i < len(ev.Slots) {
				s = ev.Slots[i]
			}
			one := of(s, ev.span(i))
			sum.y += one.y
			sum.x += one.x
		}
		if sum.x > 0 {
			out = append(out, sum)
		}
	}
	return out
}

// spread is how much batches differ from what they have in common.
type spread struct {
	ratio    float64 // Σy / Σx
	total    float64 // Σx
	variance float64 // of ratio
	// alike is the correlation of neighbours (lag 1).
	alike float64
	// skew is the skewness of the batches: below zero where they lean to the left.
	skew float64
	// carrying counts the batches that have any of the numerator, lacking those
	// that are not made of it alone.
	carrying, lacking int
	batches           int
}

// spreadOf estimates the variance of a ratio from batches, of which it needs
// two, by linearization: Σ(y-r·x)² · B/(B-1) / (Σx)² (Cochran 1977, 6.4). With
// batches of equal size that is the variance of their ratios divided by their
// number.
func spreadOf(batches []batch) spread {
	s := spread{batches: len(batches)}
	var y float64
	for _, b := range batches {
		y += b.y
		s.total += b.x
		if b.y > 0 {
			s.carrying++
		}
		if b.y < b.x {
			s.lacking++
		}
	}
	s.ratio = y / s.total
	var squares, cubes, products, before float64
	for _, b := range batches {
		rest := b.y - s.ratio*b.x
		squares += rest * rest
		cubes += rest * rest * rest
		products += rest * before
		before = rest
	}
	n := float64(len(batches))
	s.variance = squares * n / (n - 1) / (s.total * s.total)
	if squares > 0 {
		s.alike = products / squares
		s.skew = cubes / n / math.Pow(squares/n, 1.5)
	}
	return s
}

// spread measures the scope in twenty batches, or in ten where neighbours of
// the twenty are more alike than chance allows: busy periods that are longer
// than a batch. Fewer batches mean fewer degrees of freedom, and so a wider
// interval. ok is false where fewer than ten batches have data: nothing can be
// said about how much seconds differ.
func (ev Evidence) spread(of measureOf) (s spread, ok bool) {
	many := ev.batches(manyBatches, of)
	if len(many) < fewBatches {
		return spread{batches: len(many)}, false
	}
	s = spreadOf(many)
	if s.batches <= fewBatches || !s.correlated() {
		return s, true
	}
	if few := ev.batches(fewBatches, of); len(few) == fewBatches {
		return spreadOf(few), true
	}
	return s, true
}

// correlated tests the lag-1 correlation of neighbours against chance, one
// side at 5 %: of B independent batches it has mean -1/B and standard
// deviation 1/√B (Bartlett 1946).
func (s spread) correlated() bool {
	n := float64(s.batches)
	return s.alike > normalQuantile(correlatedAt)/math.Sqrt(n)-1/n
}

// ofMean is the variance of a mean of batches that are still alike, which is
// more than their spread shows: by 1 + 2r for a correlation r of neighbours, of
// which an estimate comes out 1/B too low (Bartlett 1946).
func (s spread) ofMean() float64 {
	return s.variance * (1 + 2*max(0, s.alike+1/float64(s.batches)))
}

// leaning is how much further than t standard errors the lower bound of a mean
// lies whose batches lean to the left (Johnson 1978): most of them are at their
// best, a few have lost much, and a stretch that came out well has come with a
// small variance.
func (s spread) leaning(t float64) float64 {
	return max(0, -s.skew) / (6 * math.Sqrt(float64(s.batches))) * (1 + 2*t*t)
}

// freedom is Student's degrees of freedom of the spread.
func (s spread) freedom() float64 { return float64(s.batches - 1) }
