package slo

import (
	"fmt"
	"math"
	"math/big"
	"strings"
)

// String returns the objective in canonical form; Parse of it gives the same
// objective (but for Text and At).
func (o Objective) String() string {
	var b strings.Builder
	b.WriteString(o.Metric.String())
	b.WriteString(o.Selector.String())
	b.WriteString(" " + o.Op.String() + " " + o.LimitText())
	if o.During != "" && o.During != o.Selector.Stage {
		b.WriteString(" during " + nameText(o.During))
	}
	if o.IncludingRamps {
		b.WriteString(" including ramps")
	}
	if o.Every != 0 {
		b.WriteString(" every " + spanText(o.Every))
	}
	if o.InShare != 0 {
		b.WriteString(" in " + shareText(o.InShare) + " of windows")
	}
	if o.After != "" || o.Within != 0 {
		b.WriteString(" within " + spanText(o.Within) + " after " + nameText(o.After))
	}
	return b.String()
}

// shareText writes a ratio so that the parser reads it back, or as it is if
// it is no ratio at all.
func shareText(v float64) string {
	if !finite(v) {
		return fmt.Sprint(v)
	}
	return quantityText(v, Ratio)
}

// LimitText returns what the metric is compared with as the grammar writes it,
// exactly: 200ms, 1%, 1000/s, 110% of baseline, successes{endpoint=order}.
func (o Objective) LimitText() string {
	switch {
	case o.related():
		return o.Right.String()
	case o.OfBaseline:
		return shareText(o.Limit) + " of baseline"
	case !finite(o.Limit):
		return fmt.Sprint(o.Limit)
	case o.Metric.Kind == Errors && o.Limit == 0:
		return "0"
	}
	return quantityText(o.Limit, o.Unit)
}

// String returns the metric and its selector in canonical form.
func (r MetricRef) String() string { return r.Metric.String() + r.Selector.String() }

// ValueUnit returns the unit of the objective's observed value, which is not
// always its limit's: a recovery is observed as the time it took, windows as
// the share that held, and a share of a baseline as the metric itself.
func (o Objective) ValueUnit() Unit {
	switch {
	case o.After != "":
		return Seconds
	case o.Every != 0:
		return Ratio
	case o.OfBaseline && o.Metric.Kind != Dropped:
		return o.Metric.unit()
	}
	return o.Unit
}

// Inverse returns the objective that holds exactly when o does not. A stage
// that holds `until: errors > 5%` ends when the promise errors <= 5%, its
// inverse, fails.
func (o Objective) Inverse() Objective {
	o.Op = o.Op.inverse()
	o.Text = o.String()
	return o
}

// Slow tells whether a latency, in seconds, is on the wrong side of the limit:
// at 200ms, a value of 0.2 is slow for `< 200ms` and not for `<= 200ms`. For
// within(D) it is slow beyond D. What is not a number is slow. Metrics that
// read no clock call nothing slow, and a share of a baseline nothing finite.
func (o Objective) Slow(seconds float64) bool {
	switch {
	case o.Metric.Kind == Within:
		return !(seconds <= float64(o.Metric.Within)/1e9)
	case !o.Metric.latency():
		return false
	case o.OfBaseline:
		return !finite(seconds)
	case o.slowAtLimit():
		return !(seconds < o.Limit)
	}
	return !(seconds <= o.Limit)
}

// slowAtLimit tells whether a value equal to the limit is slow already. A
// condition (p95 > 1s) counts as slow what its inverse, the promise, does.
func (o Objective) slowAtLimit() bool { return o.Op == LT || o.Op == GE }

// SlowNanos is Slow for whole nanoseconds: the smallest that is slow, so that
// the hot path compares two integers. It is exact: `< 200ms` gives 200,000,000
// and `<= 200ms` one more. For metrics that read no clock, for a share of a
// baseline and for a limit beyond the range, it is math.MaxInt64.
func (o Objective) SlowNanos() int64 {
	if o.Metric.Kind == Within {
		if o.Metric.Within == math.MaxInt64 {
			return math.MaxInt64
		}
		return int64(o.Metric.Within) + 1
	}
	if !o.Metric.latency() || o.OfBaseline || !finite(o.Limit) {
		return math.MaxInt64
	}
	limit := product(exact(o.Limit), 1e9)
	slow, rest := new(big.Int).DivMod(limit.Num(), limit.Denom(), new(big.Int))
	if !o.slowAtLimit() || rest.Sign() != 0 {
		slow.Add(slow, big.NewInt(1))
	}
	if !slow.IsInt64() {
		return math.MaxInt64
	}
	return slow.Int64()
}

// part is a piece of an objective, in the order of the grammar, that a fault
// points at.
type part uint8

const (
	inMetric part = iota
	inSelector
	inOp
	inValue         // the limit, or the right side's metric
	inRightSelector // of the right side
	inBaseline      // of baseline
	inDuring        // during STAGE
	inRamps         // including ramps
	inEvery         // every D
	inShare         // in P% of windows
	inWithin        // within D after STAGE
	parts
)

// fault is a reason why an objective is no promise.
type fault struct {
	part      part
	msg, hint string
}

// fault returns why the objective cannot be kept as a promise, or nil. It asks
// what the grammar alone cannot: that the comparison has the sense of the
// metric, and that the promise can both be kept and be broken. Parse refuses
// what it names, and so does Judge, whose objectives may be made by hand.
func (o Objective) fault() *fault {
	for _, ask := range []func(Objective) *fault{Objective.meaning, Objective.form, Objective.sense, Objective.reach} {
		if f := ask(o); f != nil {
			return f
		}
	}
	return nil
}

// meaning asks whether the metric, unit and limit exist at all.
func (o Objective) meaning() *fault {
	m := o.Metric
	switch {
	case m.Judged() == 0:
		return &fault{inMetric, "no such metric", ""}
	case m.Kind == Quantile && !(m.Q > 0 && m.Q < 1):
		return &fault{inMetric, "a quantile lies between p0 and p100, exclusive", "write p95"}
	case m.Kind == Within && m.Within <= 0:
		return &fault{inMetric, "within() needs a duration above zero", "write within(200ms)"}
	case m.probed() && !IsProbeName(m.Name):
		return &fault{inMetric, fmt.Sprintf("%q cannot be the name of a probe", m.Name), probeNameRule}
	case o.Op < LT || o.Op > NE:
		return &fault{inOp, "no such comparison", ""}
	case o.related():
		return nil // Limit and Unit have no part in it
	case o.OfBaseline && o.Unit == Ratio && finite(o.Limit):
		return nil // whatever the metric's own unit
	case !m.allows(o.Unit):
		return &fault{inValue, fmt.Sprintf("%v is not measured in that unit", m), ""}
	case !finite(o.Limit) || o.Limit < 0:
		return &fault{inValue, "a limit is a finite number, zero or above", ""}
	case o.Unit == Count && o.Limit != math.Trunc(o.Limit) && !m.probed():
		return &fault{inValue, fmt.Sprintf("%v is a count and %v is not whole", m, o.LimitText()), "write a whole number"}
	}
	return nil
}

// form asks whether the parts of the objective go together.
func (o Objective) form() *fault {
	if f := o.probeFault(); f != nil {
		return f
	}
	switch {
	case o.OverRun():
		return o.relationFault()
	case o.OfBaseline:
		return o.baselineFault()
	case o.After != "" || o.Within != 0:
		return o.recoveryFault()
	case o.Every != 0 || o.InShare != 0:
		return o.windowsFault()
	}
	return nil
}

// bound tells whether the comparison is with a bound, above or below.
func (op Op) bound() bool { return op >= LT && op <= GE }

// sense asks whether the comparison is one that a promise about the metric makes.
func (o Objective) sense() *fault {
	if o.related() {
		return nil // a total may be on either side of another
	}
	m, limit := o.Metric, o.LimitText()
	upper, lower := o.Op == LT || o.Op == LE, o.Op == GT || o.Op == GE
	switch m.Kind {
	case Quantile, Max, Mean:
		if !upper {
			return &fault{inOp, fmt.Sprintf("%v takes an upper bound (< or <=), not %v", m, o.Op),
				fmt.Sprintf("write %v < %v", m, limit)}
		}
	case Errors, Dropped:
		if !upper && !(o.Op == EQ && o.Limit == 0) {
			return &fault{inOp, fmt.Sprintf("%v takes an upper bound (< or <=) or == 0, not %v %v", m, o.Op, limit),
				fmt.Sprintf("write %v <= %v", m, limit)}
		}
	case Throughput, Successes, Within, Users:
		if !lower {
			return &fault{inOp, fmt.Sprintf("%v takes a lower bound (> or >=), not %v", m, o.Op),
				fmt.Sprintf("write %v >= %v", m, limit)}
		}
	}
	return nil
}

// reach asks whether the promise can be kept and can be broken. One that
// always holds would be a green light that means nothing.
func (o Objective) reach() *fault {
	if o.OfBaseline || o.Metric.probed() || o.related() {
		return nil // the bounds of the value are not known beforehand
	}
	m, limit := o.Metric, o.LimitText()
	top := math.Inf(1)
	if o.Unit == Ratio {
		top = 1
	}
	never := o.Op == LT && o.Limit == 0 ||
		o.Op == LE && o.Limit == 0 && m.latency() ||
		o.Op == GT && o.Limit >= top ||
		o.Op == GE && o.Limit > top
	always := o.Op == GE && o.Limit == 0 ||
		o.Op == LE && o.Limit >= top ||
		o.Op == LT && o.Limit > top
	switch {
	case m.Kind == Requests && (o.Op == LT && o.Limit <= 1 || o.Op == LE && o.Limit == 0 || o.Op == EQ && o.Limit == 0):
		return &fault{inValue, fmt.Sprintf("%v %v %v can never pass: no request is no data", m, o.Op, limit), ""}
	case never && m.latency():
		return &fault{inValue, fmt.Sprintf("%v %v %v can never hold", m, o.Op, limit), "write a duration above zero, such as 200ms"}
	case never && o.Limit == 0 && (m.Kind == Errors || m.Kind == Dropped):
		return &fault{inValue, fmt.Sprintf("%v %v %v can never hold", m, o.Op, limit), fmt.Sprintf("write %v == 0", m)}
	case never && o.Unit == Ratio:
		return &fault{inValue, fmt.Sprintf("%v %v %v can never hold", m, o.Op, limit), "a ratio is at most 100%"}
	case never:
		return &fault{inValue, fmt.Sprintf("%v %v %v can never hold", m, o.Op, limit), ""}
	case always && o.Unit == Ratio && o.Limit >= 1:
		return &fault{inValue, fmt.Sprintf("%v %v %v always holds", m, o.Op, limit), "a ratio is at most 100%; write a limit below"}
	case always:
		return &fault{inValue, fmt.Sprintf("%v %v %v always holds", m, o.Op, limit), fmt.Sprintf("write %v > %v", m, limit)}
	}
	return nil
}
