package slo

import (
	"fmt"
	"math"
)

// judgeForm decides a claim whose objective is more than a limit over a scope,
// each form in its own way, and tells whether it is one. All are decided by
// point estimates and counts; none takes part in the intervals.
func judgeForm(c Claim, ev Evidence, o Options) (Result, bool) {
	judge := formOf(c.Objective)
	if judge == nil {
		return Result{}, false
	}
	return judge(c, ev, o), true
}

// Plain tells whether the objective is a limit over a scope and nothing more:
// its Limit is that of its metric, and its Slots may be judged while they come
// in. Windows, recoveries, shares of a baseline, totals of the run and probes
// are not.
func (o Objective) Plain() bool { return formOf(o) == nil }

// formOf returns the judge of an objective that has one of its own, else nil.
func formOf(o Objective) func(Claim, Evidence, Options) Result {
	switch {
	case o.OverRun():
		return judgeRelation
	case o.OfBaseline:
		return judgeBaseline
	case o.After != "" || o.Within != 0:
		return judgeRecovery
	case o.Every != 0 || o.InShare != 0:
		return judgeWindows
	case o.Metric.Kind == Probe:
		return judgeProbe
	}
	return nil
}

// passIf turns an answer into a verdict.
func passIf(holds bool) Verdict {
	if holds {
		return Pass
	}
	return Fail
}

// found completes a result with what was observed and the line that explains it.
func (r Result) found(observed float64, text, why string) Result {
	r.Observed, r.ObservedText = observed, text
	if finite(observed) {
		r.Value = &observed
	}
	lost := ""
	if r.Lost > 0 {
		lost = fmt.Sprintf(", %s lost", countText(r.Lost))
	}
	r.Reason = why + lost + ": " + words(r.Verdict)
	return r
}

// unjudged returns the result of a claim without data, and says why.
func unjudged(c Claim, ev Evidence, why string) Result {
	t := ev.tally()
	r := Result{Claim: c, Verdict: NoData, N: t.N, Bad: t.Bad, Lost: t.Lost}
	r.Observed, r.ObservedText = math.NaN(), "no data"
	r.Reason = fmt.Sprintf("%v: %s: no data", c.Objective.Metric, why)
	return r
}
