package slo

import (
	"fmt"
	"math/big"
)

// A relation compares two totals of the run. It is what says that nothing was
// lost on the way: delta(alerts_stored) >= successes{endpoint=alert_ingest}.
// Only totals can be compared so, because they are exact: two percentiles
// would need a test of their difference, which is a comparison of runs.

const totalList = "totals are successes, requests, dropped, bytes_in, bytes_out and delta(PROBE)"

// related tells whether a metric stands in the limit's place.
func (o Objective) related() bool { return o.Right.Metric.Kind != 0 }

// OverRun tells whether the objective is about totals, which are known once,
// after the drain: a relation, or a delta() of a probe. Its scope is the whole
// run with its warm-up and its ramps, and it is one claim.
func (o Objective) OverRun() bool { return o.related() || o.Metric.Kind == Delta }

// total tells whether the metric is a total of the run.
func (m Metric) total() bool {
	switch m.Kind {
	case Successes, Requests, Dropped, BytesIn, BytesOut, Delta:
		return true
	}
	return false
}

// relationUnit returns the unit of both sides of a relation. A probe's delta
// takes the unit of the other side.
func relationUnit(left, right Metric) Unit {
	if left.Kind == Delta {
		return right.unit()
	}
	return left.unit()
}

// relationFault asks whether both sides are totals of the same kind, of the
// whole run, and neither part of the other.
func (o Objective) relationFault() *fault {
	left, right := MetricRef{Metric: o.Metric, Selector: o.Selector}, o.Right
	right.At = Offsets{}
	if p := o.scoped(); p != parts {
		return &fault{p, fmt.Sprintf("%v is about the whole run, and nothing narrows it to a part", o.sides()), "leave it out"}
	}
	if !o.related() {
		return nil
	}
	switch {
	case !left.Metric.total():
		return &fault{inMetric, fmt.Sprintf("%v is no total of the run, and only totals are compared with each other", left.Metric), totalList}
	case !right.Metric.total():
		return &fault{inValue, fmt.Sprintf("%v is no total of the run, and only totals are compared with each other", right.Metric), totalList}
	case left.Metric.Kind != Delta && right.Metric.Kind != Delta && left.Metric.unit() != right.Metric.unit():
		one, _ := left.Metric.noun()
		other, _ := right.Metric.noun()
		return &fault{inValue, fmt.Sprintf("%v is %s, and %v is %s", left.Metric, one, right.Metric, other), "compare counts with counts, and sizes with sizes"}
	case o.Unit != relationUnit(left.Metric, right.Metric) || o.Limit != 0:
		return &fault{inValue, "a relation has no limit of its own", ""}
	case left == right:
		return &fault{inValue, "both sides are the same", "compare with another metric, or with other labels"}
	case o.Op == GE && right.partOf(left), o.Op == LE && left.partOf(right):
		return &fault{inValue, fmt.Sprintf("%v %v %v always holds: the one is part of the other", left, o.Op, right), "compare with a total that is counted elsewhere"}
	case o.Op == LT && right.partOf(left), o.Op == GT && left.partOf(right):
		return &fault{inValue, fmt.Sprintf("%v %v %v can never hold: the one is part of the other", left, o.Op, right), "compare with a total that is counted elsewhere"}
	}
	return nil
}

// scoped returns the first part that narrows the scope, or parts for none.
func (o Objective) scoped() part {
	switch {
	case o.Selector.Stage != "":
		return inSelector
	case o.Right.Selector.Stage != "":
		return inRightSelector
	case o.OfBaseline:
		return inBaseline
	case o.During != "":
		return inDuring
	case o.IncludingRamps:
		return inRamps
	case o.Every != 0:
		return inEvery
	case o.InShare != 0:
		return inShare
	case o.After != "" || o.Within != 0:
		return inWithin
	}
	return parts
}

// sides names what an objective over the run is about.
func (o Objective) sides() string {
	if o.related() {
		return "a comparison of totals"
	}
	return o.Metric.String()
}

// partOf tells whether the total can by its meaning never exceed the other.
func (r MetricRef) partOf(all MetricRef) bool {
	covers := func(all, one string) bool { return all == "" || all == one }
	return (r.Metric == all.Metric && r.Metric.Kind != Delta || r.Metric.Kind == Successes && all.Metric.Kind == Requests) &&
		covers(all.Selector.Endpoint, r.Selector.Endpoint) &&
		covers(all.Selector.Persona, r.Selector.Persona) &&
		covers(all.Selector.Task, r.Selector.Task)
}

// judgeRelation decides an objective over the run by its totals. Lost samples
// may belong to a total or not: the promise passes only if it does whichever
// way they fell, and fails only if it does whichever way.
func judgeRelation(c Claim, ev Evidence, _ Options) Result {
	o := c.Objective
	if f := o.fault(); f != nil {
		return unjudged(c, ev, "not a promise: "+f.msg)
	}
	left := MetricRef{Metric: o.Metric, Selector: o.Selector}
	if why := ev.Left.missing(left); why != "" {
		return unjudged(c, ev, why)
	}
	r := Result{Claim: c, Lost: ev.Left.Lost}
	if o.Metric.Kind != Delta {
		r.N = ev.Left.N
	}
	least, most := ev.Left.bounds(o.Metric)
	value := least.value
	if !o.related() {
		limit := exactLimit(o.Limit, o.Unit)
		r.Verdict = between(o.Op, value.Cmp(limit), value.Cmp(limit))
		text := beside(value, limit, o.Unit)
		return r.found(ev.Left.Value, text, fmt.Sprintf("%v %s over the run", left, text))
	}
	if why := ev.Right.missing(o.Right); why != "" {
		return unjudged(c, ev, why)
	}
	if r.N == 0 && o.Right.Metric.Kind != Delta {
		r.N = ev.Right.N
	}
	r.Lost += ev.Right.Lost
	rightLeast, rightMost := ev.Right.bounds(o.Right.Metric)
	r.Verdict = between(o.Op, least.over(rightMost), most.over(rightLeast))
	text := beside(value, rightLeast.value, o.Unit)
	return r.found(ev.Left.Value, text, fmt.Sprintf("%v %s, %v %s over the run", left, text, o.Right, beside(rightLeast.value, value, o.Unit)))
}

// missing returns why a total is not known, or "".
func (t Total) missing(of MetricRef) string {
	switch {
	case of.Metric.Kind == Delta && t.Why != "":
		return t.Why
	case of.Metric.Kind == Delta && t.N < 2:
		return fmt.Sprintf("%v was not read before and after the run", of)
	case t.N == 0 && of.Metric.Kind == Dropped:
		return fmt.Sprintf("%v has no arrival in scope", of)
	case t.N == 0:
		return fmt.Sprintf("%v has no request in scope", of)
	case !finite(t.Value):
		return fmt.Sprintf("%v is not a number", of)
	}
	return ""
}

// edge is an exact bound of a total; open means that it is above every number.
type edge struct {
	value *big.Rat
	open  bool
}

// over returns the sign of e - f, of which at most one is open.
func (e edge) over(f edge) int {
	switch {
	case e.open:
		return 1
	case f.open:
		return -1
	}
	return e.value.Cmp(f.value)
}

// bounds returns the least and the most that a total may be. A lost request
// counts once or not at all, and may have moved any number of bytes; a probe
// does not see what we lose.
func (t Total) bounds(m Metric) (low, high edge) {
	low = edge{value: exact(t.Value)}
	switch {
	case m.probed() || t.Lost == 0:
		return low, low
	case m.unit() == Bytes:
		return low, edge{open: true}
	}
	return low, edge{value: new(big.Rat).Add(low.value, count(t.Lost))}
}

// between compares values of which only the signs of the least and of the most
// possible difference are known.
func between(op Op, low, high int) Verdict {
	if !op.bound() && low != high {
		return Inconclusive
	}
	switch atLow, atHigh := op.holds(low), op.holds(high); {
	case atLow && atHigh:
		return Pass
	case !atLow && !atHigh:
		return Fail
	}
	return Inconclusive
}
