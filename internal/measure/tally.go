package measure

import (
	"math"

	"tollgate/pkg/slo"
)

// infinite is the Max of a slot in which a request failed.
const infinite = math.MaxInt64

// SlotCount is what one second of a claim's scope counted, in whole numbers so
// that it merges exactly in any order.
type SlotCount struct {
	N, Bad uint64
	Sum    uint64 // ns or bytes; only for means and byte counts
	Max    int64  // ns, math.MaxInt64 for a failure; only for maxima
}

func (c *SlotCount) merge(o SlotCount) {
	c.N += o.N
	c.Bad += o.Bad
	c.Sum += o.Sum
	c.Max = max(c.Max, o.Max)
}

// ClaimCount is all that is counted for one claim.
type ClaimCount struct {
	Slots []SlotCount
	Lost  uint64 // samples that may be good or bad: aborted before the limit, or lost
}

// tally counts for one claim. Its slots are kept apart by what a metric needs:
// most need no more than two 32-bit counters a second.
type tally struct {
	kind   slo.MetricKind
	clock  slo.Clock
	onlyOK bool
	class  string
	slow   int64 // the first ns on the wrong side of the limit

	plain plain

	origin  int64 // ns; slot 0 starts here
	started bool  // origin is set
	slots   []struct{ n, bad uint32 }
	sums    []uint64 // for Mean, BytesIn, BytesOut
	maxima  []int64  // for Max
	lost    uint64
}

// plain is how a success is counted where its slot needs no more than N and Bad.
type plain uint8

const (
	notPlain plain = iota
	isGood         // it is never bad
	isTimed        // it is bad from the limit on
)

func plainly(m slo.Metric) plain {
	switch m.Kind {
	case slo.Quantile, slo.Within:
		return isTimed
	case slo.Errors, slo.Throughput, slo.Successes, slo.Requests, slo.Dropped:
		if m.Class == OK.String() {
			return notPlain
		}
		return isGood
	}
	return notPlain
}

// success is record for a success and a plain claim.
func (t *tally) success(g *reading) {
	bad := uint32(0)
	if t.plain == isTimed {
		v := g.times[t.clock&3]
		if v < 0 {
			return
		}
		if v >= t.slow {
			bad = 1
		}
	}
	i := uint64(g.due-t.origin) / 1e9
	if g.due < t.origin {
		i = 0
	}
	if i >= uint64(len(t.slots)) {
		t.grow(int(i) + 1)
	}
	s := &t.slots[i]
	s.n++
	s.bad += bad
}

func newTally(c *slo.Claim) tally {
	m := c.Objective.Metric
	return tally{plain: plainly(m), kind: m.Kind, clock: m.Clock, onlyOK: m.OnlyOK, class: m.Class, slow: c.Objective.SlowNanos()}
}

// reading is a Sample as claims see it.
type reading struct {
	due     int64
	outcome Outcome
	in, out int64
	// times holds the four intervals by slo.Clock, for a failure its age; a
	// request that needed no connection has a negative connect time.
	times [4]int64
}

// record counts one request that was sent, or that failed before it could be.
func (t *tally) record(g *reading, timeout int64) {
	switch t.kind {
	case slo.Quantile, slo.Within, slo.Max, slo.Mean:
		t.latency(g, timeout)
	case slo.Errors:
		t.errors(g)
	case slo.Throughput, slo.Successes:
		if g.outcome == Aborted {
			t.lost++
			return
		}
		t.count(g.due, g.outcome != OK)
	case slo.Requests, slo.Dropped:
		t.count(g.due, false)
	case slo.BytesIn:
		t.sums[t.count(g.due, false)] += uint64(g.in)
	case slo.BytesOut:
		t.sums[t.count(g.due, false)] += uint64(g.out)
	}
}

func (t *tally) latency(g *reading, timeout int64) {
	v := g.times[t.clock]
	if v < 0 {
		return
	}
	bad := v >= t.slow
	if g.outcome != OK {
		if g.outcome == Aborted && (t.onlyOK || !bad) {
			t.lost++ // it may still have become anything
			return
		}
		if t.onlyOK {
			return
		}
		t.failure(g.due, max(v, timeout))
		return
	}
	i := t.count(g.due, bad)
	switch t.kind {
	case slo.Max:
		t.maxima[i] = max(t.maxima[i], v)
	case slo.Mean:
		t.sums[i] += uint64(v)
	}
}

// failure counts a request that is slower than every limit; age is what it
// counts as in a mean.
func (t *tally) failure(due, age int64) {
	i := t.count(due, true)
	switch t.kind {
	case slo.Max:
		t.maxima[i] = infinite
	case slo.Mean:
		t.sums[i] += uint64(age)
	}
}

func (t *tally) errors(g *reading) {
	switch {
	case t.class != "":
		if g.outcome == Aborted && t.class != Aborted.String() {
			t.lost++
			return
		}
		t.count(g.due, g.outcome.String() == t.class)
	case g.outcome == Aborted:
		t.lost++
	default:
		t.count(g.due, g.outcome != OK)
	}
}

// notIssued counts an arrival that was never sent: to the user behind it, it
// is slower than every limit, but it is no error of the target's.
func (t *tally) notIssued(due, timeout int64) {
	switch t.kind {
	case slo.Dropped:
		t.count(due, true)
	case slo.Quantile, slo.Within, slo.Max, slo.Mean:
		if !t.onlyOK && t.clock != slo.Connect {
			t.failure(due, timeout)
		}
	}
}

// count adds one sample to the slot of its due time and returns that slot.
func (t *tally) count(due int64, bad bool) int {
	i := int(uint64(max(due-t.origin, 0)) / 1e9)
	if i >= len(t.slots) {
		t.grow(i + 1)
	}
	s := &t.slots[i]
	s.n++
	if bad {
		s.bad++
	}
	return i
}

func (t *tally) grow(n int) {
	t.slots = append(t.slots, make([]struct{ n, bad uint32 }, n-len(t.slots))...)
	switch t.kind {
	case slo.Mean, slo.BytesIn, slo.BytesOut:
		t.sums = append(t.sums, make([]uint64, n-len(t.sums))...)
	case slo.Max:
		t.maxima = append(t.maxima, make([]int64, n-len(t.maxima))...)
	}
}

func (t *tally) counted() ClaimCount {
	out := ClaimCount{Lost: t.lost}
	for i, s := range t.slots {
		c := SlotCount{N: uint64(s.n), Bad: uint64(s.bad)}
		if t.sums != nil {
			c.Sum = t.sums[i]
		}
		if t.maxima != nil {
			c.Max = t.maxima[i]
		}
		out.Slots = append(out.Slots, c)
	}
	return out
}
