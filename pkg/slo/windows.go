package slo

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"sort"
	"time"
)

// Windows cut a scope into equal lengths, and ask the promise of each by its
// point estimate. An average over five minutes hides ten bad seconds; windows
// do not.

// The lengths that a window may have. Counters are kept by the second.
const (
	minWindow = time.Second
	maxWindow = time.Hour
)

// maxScope bounds what is cut, in seconds: eleven days.
const maxScope = 1e6

// recoveryWindow is the length of a recovery's windows that names none.
const recoveryWindow = 5 * time.Second

// Window returns the length of the windows that the objective is judged in, 0
// for one that is judged as a whole.
func (o Objective) Window() time.Duration {
	if o.Every == 0 && o.After != "" {
		return recoveryWindow
	}
	return o.Every
}

// LeastPerWindow returns how many requests a window needs to be judged: as many
// as could, were all of them good and independent, prove the promise with 95 %
// confidence, whatever the confidence of the whole: 59 for p95, 299 for p99 and
// for errors < 1%. What needs no proof needs one request, and rates and counts
// none.
func (o Objective) LeastPerWindow() uint64 {
	switch o.Metric.Kind {
	case Throughput, Successes, Requests, BytesIn, BytesOut:
		return 0
	}
	budget, _ := o.budget().Float64()
	if !o.share() || budget <= 0 {
		return 1
	}
	return uint64(max(1, effectiveFloor(1-budget, DefaultConfidence)))
}

// share tells whether the objective is about a share of the samples in scope.
func (o Objective) share() bool {
	switch o.Metric.Kind {
	case Quantile, Errors, Within:
		return true
	}
	return o.Metric.Kind == Dropped && o.Unit == Ratio
}

// windowsFault asks whether the promise can be asked of windows.
func (o Objective) windowsFault() *fault {
	switch {
	case o.Every == 0:
		return &fault{inShare, "there are no windows without their length", "write " + withWindows(o.InShare)}
	case !(o.InShare >= 0 && o.InShare <= 1):
		return &fault{inShare, "a share of windows lies between 0% and 100%", "write in 95% of windows"}
	}
	return o.windowFault()
}

// windowFault asks what windows and recoveries have in common.
func (o Objective) windowFault() *fault {
	m, every := o.Metric, o.Window()
	switch {
	case m.Kind == Users:
		return &fault{inEvery, "users must hold in every second already", "leave the windows out"}
	case !m.counted():
		return &fault{inEvery, fmt.Sprintf("%v is not counted by the second, and has no windows", m), "leave the windows out"}
	case !o.Op.bound() && !(o.Op == EQ && o.Limit == 0):
		return &fault{inOp, fmt.Sprintf("%v %v holds in no two windows but by chance", o.Op, o.LimitText()), "compare with <, <=, > or >="}
	case every < minWindow || every%time.Second != 0:
		return &fault{inEvery, "a window is a whole number of seconds, and at least one", "write every 10s"}
	case every > maxWindow:
		return &fault{inEvery, "a window is at most one hour", "write every 10s"}
	}
	return nil
}

func withWindows(share float64) string {
	if share > 0 && share < 1 {
		return "every 10s in " + shareText(share) + " of windows"
	}
	return "every 10s"
}

// judgeWindows decides a claim by its windows. Each is kept, broken, or, with
// too few requests, unknown. The promise passes if enough are kept even though
// all unknown ones count as broken, fails if too few are even though all
// unknown ones count as kept, and is inconclusive between. Lost samples may
// have fallen into any window, and may have been good or bad: they are dealt
// to the windows that they change most easily.
func judgeWindows(c Claim, ev Evidence, _ Options) Result {
	if why := windowless(c.Objective, ev); why != "" {
		return unjudged(c, ev, why)
	}
	w := cut(c.Objective, ev)
	t := ev.tally()
	r := Result{Claim: c, N: t.N, Bad: t.Bad, Lost: t.Lost, Verdict: Inconclusive}
	if len(w.all) == 0 {
		return r.found(math.NaN(), "no window", fmt.Sprintf("%v has no window of %s in %s", c.Objective.Metric, w.length(), FormatValue(ev.Seconds, Seconds)))
	}
	held, failed := w.count(kept), w.count(broken)
	asked := exact(1)
	if c.Objective.InShare > 0 {
		asked = exact(c.Objective.InShare)
	}
	all := uint64(len(w.all))
	enough := func(windows uint64) bool { return ratio(count(windows), count(all)).Cmp(asked) >= 0 }
	switch {
	case enough(held - w.movable(t.Lost, kept)):
		r.Verdict = Pass
	case !enough(all - failed + w.movable(t.Lost, broken)):
		r.Verdict = Fail
	}
	text := fmt.Sprintf("%s of %s windows", countText(held), countText(all))
	why := fmt.Sprintf("%v holds in %s of %s", c.Objective.Metric, text, w.length())
	if c.Objective.InShare > 0 {
		why += fmt.Sprintf(", %s asked", FormatValue(c.Objective.InShare, Ratio))
	}
	if dark := all - held - failed; dark > 0 {
		why += fmt.Sprintf(", %s with too few requests to judge (below %s)", countText(dark), countText(w.least))
	}
	if i := w.worst(); i >= 0 {
		why += ", worst " + w.describe(i, "")
	}
	share, _ := ratio(count(held), count(all)).Float64()
	return r.found(share, text, why)
}

// windowless returns why the evidence cannot be cut, or "".
func windowless(o Objective, ev Evidence) string {
	t := ev.tally()
	if f := o.fault(); f != nil {
		return "not a promise: " + f.msg
	}
	switch {
	case !finite(ev.Seconds) || ev.Seconds <= 0:
		return "the scope has no length"
	case max(ev.Seconds, float64(len(ev.Slots))) > maxScope:
		return "the scope is longer than can be cut into windows"
	}
	for _, s := range ev.Slots {
		switch {
		case s.Bad > s.N:
			return fmt.Sprintf("the evidence contradicts itself: %s bad of %s", countText(s.Bad), countText(s.N))
		case math.IsNaN(s.Max) || math.IsInf(s.Max, -1) || math.IsNaN(s.Sum) || math.IsInf(s.Sum, -1):
			return "a second's value is not a number"
		}
	}
	switch {
	case t.N == 0 && o.Metric.Kind == Dropped:
		return "no arrival in scope"
	case t.N == 0:
		return "no request in scope"
	}
	return ""
}

// state is what is known of one window.
type state uint8

const (
	unknown state = iota // too few requests to tell
	kept
	broken
)

// A stretch is a piece of a scope: the sum of its slots.
type stretch struct {
	Slot
	from, to float64 // seconds from the start of the scope
}

// yardstick is what the value of a stretch is compared with. A quantile is the
// claim about a proportion that it is: at most a share 1-q is bad.
type yardstick struct {
	o     Objective
	op    Op
	limit *big.Rat
	least uint64
}

func (o Objective) yardstick() yardstick {
	if o.Metric.Kind == Quantile {
		return yardstick{o, LE, o.budget(), o.LeastPerWindow()}
	}
	return yardstick{o, o.Op, exactLimit(o.Limit, o.Unit), o.LeastPerWindow()}
}

// value returns what is compared, and false if it is beyond every number.
func (y yardstick) value(s stretch) (v *big.Rat, ok bool) {
	good := count(s.N - s.Bad)
	switch y.o.Metric.Kind {
	case Quantile, Errors:
		return ratio(count(s.Bad), count(s.N)), true
	case Within:
		return ratio(good, count(s.N)), true
	case Dropped:
		if y.o.Unit == Ratio {
			return ratio(count(s.Bad), count(s.N)), true
		}
		return count(s.Bad), true
	case Throughput:
		return ratio(good, exact(s.to-s.from)), true
	case Successes:
		return good, true
	case Requests:
		return count(s.N), true
	case Max:
		return number(s.Max)
	case Mean:
		if sum, ok := number(s.Sum); ok {
			return ratio(sum, count(s.N)), true
		}
		return nil, false
	}
	return number(s.Sum)
}

// number returns a float that is no infinity exactly.
func number(v float64) (*big.Rat, bool) {
	if !finite(v) {
		return nil, false
	}
	return exact(v), true
}

func (y yardstick) holds(s stretch) bool {
	v, ok := y.value(s)
	if !ok {
		return y.op.holds(1)
	}
	return y.op.holds(v.Cmp(y.limit))
}

// judge returns the state of a stretch. One with too few requests is broken
// all the same if it would be with the missing ones good.
func (y yardstick) judge(s stretch) state {
	short := s.N < y.least
	if short && !y.o.share() {
		return unknown
	}
	s.N = max(s.N, y.least)
	switch {
	case !y.holds(s):
		return broken
	case short:
		return unknown
	}
	return kept
}

// worse returns the stretch with lost samples added as they harm the promise
// most, better as they help it most. Both can only push a state in their own
// direction, the further the more were lost.
func (y yardstick) worse(s stretch, lost uint64) stretch { return y.with(s, lost, true) }

func (y yardstick) better(s stretch, lost uint64) stretch { return y.with(s, lost, false) }

func (y yardstick) with(s stretch, lost uint64, harm bool) stretch {
	upper := y.op == LT || y.op == LE || y.op == EQ
	switch raise := upper == harm; y.o.Metric.Kind {
	case Throughput, Successes:
		if raise { // as successes
			s.N += lost
		}
	case Requests:
		if raise {
			s.N += lost
		}
	case BytesIn, BytesOut:
		if raise && lost > 0 {
			s.Sum = math.Inf(1)
		}
	default:
		s.N += lost
		if harm {
			s.Bad += lost
			if lost > 0 {
				s.Max, s.Sum = math.Inf(1), math.Inf(1)
			}
		}
	}
	return s
}

// maxLost bounds the lost samples that are dealt to windows, far above what a
// run can lose, so that sums stay within 64 bits.
const maxLost = 1 << 40

// windows are the stretches of a scope with their states.
type windows struct {
	yardstick
	every  float64 // seconds
	all    []stretch
	states []state
}

// cut divides the evidence into windows. What is left at the end is shorter
// than a window and is one too where that does it no wrong: for shares, which
// ask for their number of requests anyway, and for the slowest request. It is
// left out if it cannot be judged. A rate, a mean or a count over a fraction of
// a second would say little or something else.
func cut(o Objective, ev Evidence) windows {
	w := windows{yardstick: o.yardstick(), every: o.Window().Seconds()}
	step := int(w.every)
	for first := 0; first < len(ev.Slots) || float64(first) < ev.Seconds; first += step {
		s := stretch{from: float64(first), to: float64(first + step)}
		for _, slot := range ev.Slots[min(first, len(ev.Slots)):min(first+step, len(ev.Slots))] {
			s.Slot = s.Slot.Add(slot)
		}
		// A stage may end some milliseconds early; its last window is whole.
		whole := s.to-ev.Seconds <= w.every/100
		s.to = max(min(s.to, ev.Seconds), s.from)
		if !whole && !o.share() && o.Metric.Kind != Max {
			break
		}
		state := w.judge(s)
		if !whole && state == unknown && w.judge(w.worse(s, min(ev.Lost, maxLost))) != broken {
			break
		}
		w.all, w.states = append(w.all, s), append(w.states, state)
	}
	return w
}

// length returns the length of a window, for people.
func (w windows) length() string { return FormatValue(w.every, Seconds) }

func (w windows) count(of state) (n uint64) {
	for _, s := range w.states {
		if s == of {
			n++
		}
	}
	return n
}

// cost returns how many lost samples it takes to break a window that is kept,
// or to mend one that is broken, and false if that is more than were lost.
func (w windows) cost(i int, lost uint64) (uint64, bool) {
	lost = min(lost, maxLost)
	moved := func(n uint64) bool {
		if w.states[i] == kept {
			return w.judge(w.worse(w.all[i], n)) != kept
		}
		return w.judge(w.better(w.all[i], n)) != broken
	}
	if lost == 0 || !moved(lost) {
		return 0, false
	}
	return uint64(sort.Search(int(lost), func(n int) bool { return moved(uint64(n)) })), true
}

// movable returns how many of the windows in a state the lost samples could
// have moved out of it, if they fell where it took the fewest.
func (w windows) movable(lost uint64, from state) (n uint64) {
	var costs []uint64
	for i, s := range w.states {
		if s == from {
			if cost, can := w.cost(i, lost); can {
				costs = append(costs, cost)
			}
		}
	}
	slices.Sort(costs)
	for _, cost := range costs {
		if cost > lost {
			break
		}
		lost -= cost
		n++
	}
	return n
}

// worst returns the window that is furthest on the wrong side, the first of
// equal ones, or -1 if none could be judged.
func (w windows) worst() int {
	at := -1
	for i := range w.all {
		if w.states[i] != unknown && (at < 0 || w.harder(w.all[i], w.all[at])) {
			at = i
		}
	}
	return at
}

// harder tells whether a stretch is harder on the promise than another.
func (w windows) harder(a, b stretch) bool {
	x, finiteX := w.value(a)
	y, finiteY := w.value(b)
	lower := w.op == GT || w.op == GE
	if !finiteX || !finiteY {
		return lower && !finiteY && finiteX || !lower && !finiteX && finiteY
	}
	if lower {
		return x.Cmp(y) < 0
	}
	return x.Cmp(y) > 0
}

// describe says when a window was, relative to what, and what it showed.
func (w windows) describe(i int, after string) string {
	s := w.all[i]
	when := fmt.Sprintf("from %s to %s%s", FormatValue(s.from, Seconds), FormatValue(s.to, Seconds), after)
	v, ok := w.value(s)
	if !ok {
		return fmt.Sprintf("%s (no finite %v)", when, w.o.Metric)
	}
	unit := w.o.Unit
	if w.o.Metric.Kind == Quantile {
		unit = Ratio
	}
	text := beside(v, w.limit, unit)
	switch w.o.Metric.Kind {
	case Quantile:
		text += fmt.Sprintf(" %s of %s", wrong(w.o.Metric), countText(s.N))
	case Errors:
		text += fmt.Sprintf(" failed of %s", countText(s.N))
	case Within:
		text += fmt.Sprintf(" in time of %s", countText(s.N))
	case Dropped:
		text += fmt.Sprintf(" dropped of %s", countText(s.N))
	case Throughput:
	default:
		text = fmt.Sprintf("%v %s", w.o.Metric, text)
	}
	return fmt.Sprintf("%s (%s)", when, text)
}
