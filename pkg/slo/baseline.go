package slo

import (
	"fmt"
	"math"
	"math/big"
)

// A share of a baseline compares a run with a stored one. One run beside
// another says little: two runs of the same build differ by some percent. So
// the judgement is shown and decides nothing; a comparison that decides takes
// interleaved runs of both.

// baselineFault asks whether the metric can be compared with a stored one.
func (o Objective) baselineFault() *fault {
	switch m := o.Metric; {
	case !m.counted():
		return &fault{inBaseline, fmt.Sprintf("%v is not measured on requests, and has no baseline", m), "compare it with a value"}
	case o.Unit != Ratio || !(o.Limit > 0):
		return &fault{inValue, "a share of the baseline is a percentage above zero", "write 110% of baseline"}
	case !o.Op.bound():
		return &fault{inOp, fmt.Sprintf("no two runs are the same, so %v cannot be %v a share of another's", m, o.Op), fmt.Sprintf("write %v <= %s", m, o.LimitText())}
	case o.Every != 0 || o.InShare != 0:
		return &fault{inEvery, "a baseline has no windows: its value is that of a whole stage", "keep one of them"}
	case o.After != "" || o.Within != 0:
		return &fault{inWithin, "a recovery is not measured by a baseline", "write the limit itself"}
	}
	return nil
}

// judgeBaseline compares a claim's metric with a share of its value in a stored
// result, by point estimates, and makes the claim advisory. Without a baseline
// there is no data, and that does decide: a comparison that was promised and
// not made is not green.
func judgeBaseline(c Claim, ev Evidence, _ Options) Result {
	o := c.Objective
	base, unit := ev.Baseline, o.ValueUnit()
	switch {
	case o.fault() != nil:
		return unjudged(c, ev, "not a promise: "+o.fault().msg)
	case base.Of == "":
		return unjudged(c, ev, "there is no baseline")
	case math.IsNaN(base.Value) || base.Value < 0:
		return unjudged(c, ev, fmt.Sprintf("the baseline, %s, has no data for it", base.Of))
	case math.IsInf(base.Value, 1):
		return unjudged(c, ev, fmt.Sprintf("the baseline, %s, has no finite %v", base.Of, o.Metric))
	case base.Value == 0 && (o.Op == GT || o.Op == GE):
		return unjudged(c, ev, fmt.Sprintf("the baseline, %s, is zero, which nothing could fall below", base.Of))
	}
	if why := windowless(o, ev); why != "" {
		return unjudged(c, ev, why)
	}
	t := ev.tally()
	y := yardstick{o: o, op: o.Op, limit: new(big.Rat).Mul(exact(o.Limit), exact(base.Value))}
	whole := stretch{Slot: t.Slot, to: ev.Seconds}
	value, ok := y.value(whole)
	r := Result{Claim: c, N: t.N, Bad: t.Bad, Lost: t.Lost, Verdict: Inconclusive}
	r.Claim.Advisory = true
	switch {
	case o.Metric.Kind == Quantile:
		if math.IsNaN(ev.Observed) || math.IsInf(ev.Observed, -1) {
			return unjudged(c, ev, "the observed value is not a number")
		}
		// The limit was not known when the run was counted, so nothing bounds
		// what lost samples might have done.
		if value, ok = number(ev.Observed); t.Lost == 0 {
			r.Verdict = passIf(ok && o.Op.holds(value.Cmp(y.limit)))
		}
	case y.holds(y.worse(whole, min(t.Lost, maxLost))):
		r.Verdict = Pass
	case !y.holds(y.better(whole, min(t.Lost, maxLost))):
		r.Verdict = Fail
	}
	observed, text, times := math.Inf(1), fmt.Sprintf("no finite %v", o.Metric), ""
	head := text
	if ok {
		observed, _ = value.Float64()
		text = beside(value, y.limit, unit)
		head = o.Metric.String() + " " + text
		if base.Value > 0 {
			times = beside(ratio(value, exact(base.Value)), exact(o.Limit), Ratio) + " of "
		}
	}
	return r.found(observed, text, fmt.Sprintf("%s, %sthe baseline's %s (%s), %s allowed, advisory against one stored run",
		head, times, FormatValue(base.Value, unit), base.Of, shareText(o.Limit)))
}
