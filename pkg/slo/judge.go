package slo

import (
	"fmt"
	"math"
)

// Options choose how claims are judged.
type Options struct {
	Confidence float64 // of each claim by itself, such as 0.95
	Off        bool    // `confidence: off`: point estimates are what was asked for
}

// The methods of judgement, as reports print them beside the verdict.
const (
	methodPoint    = "judged by point estimates; confidence intervals are not computed"
	methodPointOff = "judged by point estimates (confidence: off)"
)

// Result is the judgement of one claim.
type Result struct {
	Claim   Claim
	Verdict Verdict
	// Observed is the metric's value in the base unit of the limit: NaN without
	// data, +Inf where there is no finite value. Where a histogram disagrees
	// with the exact counter about the side of the limit, it is the value next
	// to the limit on the counter's side.
	Observed     float64 `json:"-"` // JSON knows no infinity: see Value
	ObservedText string  // with its unit: "187 ms", "no finite p95", "no data"
	// Value is Observed where that is a finite number, else nil.
	Value  *float64
	N      uint64 // requests in scope
	Bad    uint64 // of them on the wrong side
	Lost   uint64 // samples that nobody knows
	Reason string // one line: "p95 187 ms, 4.1 % slow or failed of 6,000: pass"
}

// Judgement is the judgement of a run.
type Judgement struct {
	Overall Overall
	Results []Result // one for each claim, in the order given
	Method  string   // how it was decided, for the report
	Reasons []string // why Overall is not a pass, one line for each cause
}

// Judge decides each claim by the evidence of the same index.
//
// Every claim is decided by its point estimate, compared exactly, and by three
// rules that need no statistics:
//
//   - No data is never green. No sample, a value that is not a number, a gauge
//     nobody read, an objective that is no promise, evidence that contradicts
//     itself: NoData.
//   - Failures are slower than every limit; whoever counts the evidence has
//     counted them as bad.
//   - Lost samples may be good or bad: a claim passes only if it does with all
//     of them bad, fails only if it does with all of them good, and is
//     inconclusive between.
//
// Overall, a fail wins; then one claim without a pass is enough to be
// inconclusive. Advisory claims are judged and decide nothing. Where claims
// and evidence differ in number nothing is known to belong together, and every
// claim is without data.
func Judge(claims []Claim, evidence []Evidence, o Options) Judgement {
	j := Judgement{Results: make([]Result, len(claims)), Method: methodPoint}
	if o.Off {
		j.Method = methodPointOff
	}
	for i, c := range claims {
		if len(evidence) != len(claims) {
			j.Results[i] = Result{Claim: c}
			j.Results[i].noData(fmt.Sprintf("%d claims came with %d pieces of evidence", len(claims), len(evidence)))
			continue
		}
		j.Results[i] = judge(c, evidence[i], o)
	}
	j.Overall, j.Reasons = overall(j.Results)
	return j
}

// overall joins the verdicts of the claims that decide.
func overall(results []Result) (Overall, []string) {
	verdict, reasons := OverallNone, []string(nil)
	for _, r := range results {
		if r.Claim.Advisory {
			continue
		}
		switch {
		case r.Verdict == Fail:
			verdict = OverallFail
		case r.Verdict != Pass && verdict != OverallFail:
			verdict = OverallInconclusive
		case verdict == OverallNone:
			verdict = OverallPass
		}
		if r.Verdict != Pass {
			reasons = append(reasons, r.Claim.title()+": "+r.Reason)
		}
	}
	if verdict == OverallNone {
		reasons = append(reasons, "nothing was promised: no objective decides this run")
	}
	return verdict, reasons
}

// title names a claim in a reason.
func (c Claim) title() string {
	title := c.Objective.Text
	if title == "" {
		title = c.Objective.String()
	}
	if c.Guard {
		title = "implicit guard " + title
	}
	if c.GuardOf != "" {
		title += " of " + c.GuardOf
	}
	if c.Stage != "" && c.Objective.During == "" {
		title += " on " + c.Stage
	}
	return title
}

// tally is the sum of a claim's slots.
type tally struct {
	Slot
	Lost uint64
}

func (ev Evidence) tally() tally {
	t := tally{Lost: ev.Lost}
	for _, s := range ev.Slots {
		t.Slot = t.Slot.Add(s)
	}
	return t
}

// judge decides one claim.
func judge(c Claim, ev Evidence, opts Options) Result {
	t := ev.tally()
	r := Result{Claim: c, N: t.N, Bad: t.Bad, Lost: t.Lost}
	if why := noData(c.Objective, ev, t); why != "" {
		r.noData(why)
		return r
	}
	f := family(c.Objective.Metric.Kind)(c.Objective, ev, t, opts)
	r.Verdict, r.Observed, r.ObservedText = f.verdict, f.observed, f.text
	if finite(f.observed) {
		r.Value = &f.observed
	}
	head := c.Objective.Metric.String() + " " + f.text
	if math.IsInf(f.observed, 1) {
		head = f.text
	}
	lost := ""
	if t.Lost > 0 && c.Objective.Metric.Judged() != ByGauge {
		lost = fmt.Sprintf(", %s lost", countText(t.Lost))
	}
	r.Reason = fmt.Sprintf("%s, %s%s: %v", head, f.why, lost, f.verdict)
	return r
}

// noData makes the result one without data, and says why.
func (r *Result) noData(why string) {
	r.Verdict, r.Observed, r.ObservedText, r.Value = NoData, math.NaN(), "no data", nil
	r.Reason = fmt.Sprintf("%v: %s: no data", r.Claim.Objective.Metric, why)
}

// noData returns why there is nothing to judge, or "".
func noData(o Objective, ev Evidence, t tally) string {
	if f := o.fault(); f != nil {
		return "not a promise: " + f.msg
	}
	switch {
	case math.IsNaN(ev.Observed) || math.IsInf(ev.Observed, -1):
		return "the observed value is not a number"
	case t.Bad > t.N:
		return fmt.Sprintf("the evidence contradicts itself: %s bad of %s", countText(t.Bad), countText(t.N))
	case o.Metric.Judged() == ByGauge:
		return noGauge(o, ev.Gauge)
	case t.N == 0 && o.Metric.Kind == Dropped:
		return "no arrival in scope"
	case t.N == 0:
		return "no request in scope"
	}
	switch o.Metric.Kind {
	case Throughput:
		if !finite(ev.Seconds) || ev.Seconds <= 0 {
			return "the scope has no length"
		}
	case Max:
		if math.IsNaN(t.Max) || math.IsInf(t.Max, -1) {
			return "the largest value is not a number"
		}
	case Mean:
		if math.IsNaN(t.Sum) || math.IsInf(t.Sum, -1) {
			return "the sum is not a number"
		}
	case BytesIn, BytesOut:
		if !finite(t.Sum) {
			return "the sum is not a finite number"
		}
	}
	return ""
}

// noGauge returns why a gauge cannot be judged, or "". A second that nobody
// read cannot pass, but a second that breaks the promise has broken it
// whatever the others were.
func noGauge(o Objective, gauge []float64) string {
	unread := 0
	for _, v := range gauge {
		switch {
		case !finite(v):
			unread++
		case !o.Op.holds(exact(v).Cmp(exact(o.Limit))):
			return ""
		}
	}
	switch {
	case len(gauge) == 0:
		return "the gauge was never read"
	case unread > 0:
		return fmt.Sprintf("the gauge was not read in %s of %s seconds", countText(uint64(unread)), countText(uint64(len(gauge))))
	}
	return ""
}
