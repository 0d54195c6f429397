package slo

import (
	"fmt"
	"math"
	"time"
)

// A recovery is a promise about what comes after a peak: not that the system
// bears it, but how soon it is itself again. It is the first moment from which
// every window holds until the end of the next stage.

// maxRecovery bounds the time that a recovery may be given.
const maxRecovery = 24 * time.Hour

// recoveryFault asks whether the promise can be asked of what follows a peak.
func (o Objective) recoveryFault() *fault {
	switch m := o.Metric; {
	case o.After == "":
		return &fault{inWithin, "a recovery follows the peak of a stage, and none is named", "write within " + spanText(o.Within) + " after STAGE"}
	case o.Within <= 0:
		return &fault{inWithin, "a recovery needs a time above zero", "write within 30s after " + nameText(o.After)}
	case o.During != "":
		return &fault{inWithin, fmt.Sprintf("a recovery begins at the end of the peak of %s, and not in %s", o.After, o.During), "keep one of them"}
	case o.IncludingRamps:
		return &fault{inRamps, "a recovery begins at the end of the peak, and the ramps after it belong to it", "leave including ramps out"}
	case o.InShare != 0:
		return &fault{inShare, "a recovery holds in all windows from its moment on", "leave in " + shareText(o.InShare) + " of windows out"}
	case m.Kind == Users || !m.counted():
		return &fault{inWithin, fmt.Sprintf("%v is not counted by the second, and has no recovery", m), ""}
	case o.Unit == Count && o.Limit != 0 || m.Kind == Successes || m.Kind == Requests || m.Kind == BytesIn || m.Kind == BytesOut:
		return &fault{inWithin, fmt.Sprintf("%v is a total, and a recovery is of a rate, a ratio or a time", m), "write it of throughput, errors or pN"}
	}
	if f := o.windowFault(); f != nil {
		return f
	}
	switch {
	case o.Within < o.Window():
		return &fault{inWithin, fmt.Sprintf("a recovery within %s cannot be seen in windows of %s", spanText(o.Within), spanText(o.Window())),
			"write every 1s before it, or give it more time"}
	case o.Within > maxRecovery:
		return &fault{inWithin, "a recovery has at most one day", "write within 30s after " + nameText(o.After)}
	}
	return nil
}

// judgeRecovery decides a claim about what follows a peak. The time of the
// recovery is the end of the last window that was broken. It lies between what
// it would be with all unknown windows kept, and with all of them broken; lost
// samples move both ends. The promise passes if the later one is in time, fails
// if the earlier one is not, and is inconclusive between.
func judgeRecovery(c Claim, ev Evidence, _ Options) Result {
	o := c.Objective
	if why := windowless(o, ev); why != "" {
		return unjudged(c, ev, why)
	}
	w := cut(o, ev)
	t := ev.tally()
	r := Result{Claim: c, N: t.N, Bad: t.Bad, Lost: t.Lost, Verdict: Inconclusive}
	allowed := o.Within.Seconds()
	switch earliest, latest := w.recovered(t.Lost); {
	case latest <= allowed:
		r.Verdict = Pass
	case earliest > allowed:
		r.Verdict = Fail
	}

	// What is shown is by the windows that could be judged.
	last, seen, dark := -1, false, uint64(0)
	for i, s := range w.states {
		switch s {
		case broken:
			last, seen, dark = i, false, 0
		case kept:
			seen = true
		case unknown:
			dark++
		}
	}
	took, text := math.Inf(1), fmt.Sprintf("not recovered in %s", FormatValue(ev.Seconds, Seconds))
	switch {
	case seen && last < 0:
		took, text = 0, "never broken"
	case seen:
		took = w.all[last].to
		text = "recovered after " + FormatValue(took, Seconds)
	case last < 0:
		took, text = math.NaN(), "no window to judge"
	}
	why := fmt.Sprintf("%v %s, %s allowed after %s, in windows of %s", o.Metric, text, FormatValue(allowed, Seconds), o.After, w.length())
	if n := w.count(broken); n > 0 {
		why += fmt.Sprintf(", %s broken, the last %s", countText(n), w.describe(last, " after the peak"))
	}
	if dark > 0 {
		why += fmt.Sprintf(", %s since with too few requests to judge (below %s)", countText(dark), countText(w.least))
	}
	return r.found(took, text, why)
}

// recovered returns the earliest and the latest moment, in seconds after the
// peak, at which the recovery may have been; +Inf for none that was seen.
func (w windows) recovered(lost uint64) (earliest, latest float64) {
	// The luckiest case: unknown windows are kept, and the lost samples mend
	// broken ones from the last one backwards.
	budget := lost
	for i := len(w.all) - 1; i >= 0; i-- {
		if w.states[i] != broken {
			continue
		}
		cost, can := w.cost(i, budget)
		if !can {
			earliest = w.all[i].to
			break
		}
		budget -= cost
	}
	// The unluckiest: unknown windows are broken, and the lost samples broke
	// the last one that they could.
	latest = math.Inf(1)
	for i := len(w.all) - 1; i >= 0; i-- {
		if w.states[i] != kept {
			break
		}
		if _, can := w.cost(i, lost); can {
			break
		}
		latest = w.all[i].from
	}
	return earliest, latest
}
