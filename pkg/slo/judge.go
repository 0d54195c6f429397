package slo

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Options choose how claims are judged.
type Options struct {
	Confidence float64 // of each claim by itself, such as 0.95; 0 is DefaultConfidence
	Off        bool    // `confidence: off`: point estimates are what was asked for
}

// methodPoint is the method of judgement where confidence is off, as reports
// print it beside the verdict.
const methodPoint = "judged by point estimates (confidence: off)"

// method says how claims are judged otherwise.
func (o Options) method() string {
	if o.Off {
		return methodPoint
	}
	return fmt.Sprintf("judged with %s confidence in each pass and in all fails together", FormatValue(o.confidence(), Ratio))
}

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
	Value *float64
	N     uint64 // requests in scope
	Bad   uint64 // of them on the wrong side
	Lost  uint64 // samples that nobody knows
	// Interval is where the true value lies; nil where the metric is not
	// estimated, but seen, and where too little is known.
	Interval *Interval `json:"-"` // JSON knows no infinity
	// Effective is how many independent requests would tell as much as these N,
	// which depend on each other: N / Deff. 0 where it was not asked.
	Effective float64
	Deff      float64 // design effect, at least 1
	// Batches is how many stretches of the scope had data, where the verdict
	// rests on how much they differ; else 0.
	Batches int
	// Doubt is, for a fail that rests on an interval, the probability of
	// evidence as bad as this with the promise just kept; else 0.
	Doubt float64
	// NeedSeconds is how much longer the scope had to last to decide an
	// inconclusive claim at the observed rates; 0 where it is decided, or no
	// hold of at most a day would do.
	NeedSeconds float64
	// Reason is one line: "p95 187 ms, 4.1 % slow or failed of 6,000
	// (effective 857), interval 2.9-5.8 %: pass".
	Reason string
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
// A claim about a share, a mean or a rate is decided by its interval: it passes
// if the whole interval keeps the limit, fails if the whole interval breaks it,
// and is inconclusive between. Each passes at the confidence of the options by
// itself. Fails are claimed together (Holm 1979): the probability that any of
// them is wrong is at most 1-confidence, once over the promises and once over
// the guards. A guard passes by what was observed. With Options.Off every claim
// is decided by its point estimate, compared exactly.
//
// Counts, sums and extremes are seen and not estimated. They, and all others,
// keep three rules that need no statistics:
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
//
// The judgement is a function of the slots alone: evidence that was merged from
// any number of shards is judged the same, bit for bit.
func Judge(claims []Claim, evidence []Evidence, o Options) Judgement {
	j := Judgement{Results: make([]Result, len(claims)), Method: o.method()}
	for i, c := range claims {
		if len(evidence) != len(claims) {
			j.Results[i] = Result{Claim: c}
			j.Results[i].noData(fmt.Sprintf("%d claims came with %d pieces of evidence", len(claims), len(evidence)))
			continue
		}
		j.Results[i] = judgeOne(c, evidence[i], o)
	}
	if !o.Off {
		claimFails(j.Results, evidence, o.confidence())
	}
	j.Overall, j.Reasons = overall(j.Results)
	return j
}

// claimFails takes back the fails that could be chance, given how many claims
// might have failed (Holm 1979): with m claims, the least doubtful fail stands
// if its doubt is at most α/m, the next if at most α/(m-1), and so on; the
// first that does not takes all after it with it. Guards are a family of their
// own, so that more endpoints do not blunt the promises; advisory claims decide
// nothing, and are not corrected.
func claimFails(results []Result, evidence []Evidence, confidence float64) {
	for _, guards := range []bool{false, true} {
		var failed []int
		family := 0
		for i, r := range results {
			if r.Claim.Guard != guards || r.Claim.Advisory || r.Batches == 0 {
				continue
			}
			family++
			if r.Verdict == Fail {
				failed = append(failed, i)
			}
		}
		slices.SortStableFunc(failed, func(a, b int) int { return cmp.Compare(results[a].Doubt, results[b].Doubt) })
		for i, first := range failed {
			level := (1 - confidence) / float64(family-i)
			if results[first].Doubt <= level {
				continue
			}
			for _, f := range failed[i:] {
				results[f].takeBack(evidence[f], level, family)
			}
			break
		}
	}
}

// takeBack makes a fail inconclusive: it was claimed at a level of doubt that
// it does not keep. Standard errors shrink with the root of the length, which
// gives the hold that would do.
func (r *Result) takeBack(ev Evidence, level float64, family int) {
	df := float64(max(1, r.Batches-1))
	needed, seen := studentQuantile(1-level, df), studentQuantile(1-r.Doubt, df)
	r.NeedSeconds = math.Ceil(float64(ev.length()) * (needed*needed/(seen*seen) - 1))
	r.Reason = strings.TrimSuffix(r.Reason, ": "+words(Fail)) +
		fmt.Sprintf(": %s; broken by itself, but one of %d claims may look so by chance; hold about %s longer",
			words(Inconclusive), family, aboutText(r.NeedSeconds))
	r.Verdict, r.Doubt = Inconclusive, 0
}

// words is a verdict at the end of a line for people.
func words(v Verdict) string {
	if v == Inconclusive {
		return "NOT PROVEN"
	}
	return v.String()
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

// judgeOne decides one claim, by the kind of its objective.
func judgeOne(c Claim, ev Evidence, opts Options) Result {
	if r, own := judgeForm(c, ev, opts); own {
		return r
	}
	return judgePlain(c, ev, opts)
}

// judgePlain decides a claim about one metric over the whole of its scope.
func judgePlain(c Claim, ev Evidence, opts Options) Result {
	t := ev.tally()
	r := Result{Claim: c, N: t.N, Bad: t.Bad, Lost: t.Lost}
	if why := noData(c.Objective, ev, t); why != "" {
		r.noData(why)
		return r
	}
	o := c.Objective
	f := family(o.Metric.Kind)(o, ev, t)
	r.Verdict, r.Observed, r.ObservedText = f.verdict, f.observed, f.text
	if finite(f.observed) {
		r.Value = &f.observed
	}
	var op opinion
	if o.tested() && !opts.Off {
		confidence := ev.confidence(opts)
		op = weigh(c, ev, t, f, confidence)
		r.Verdict, r.Interval = op.verdict, op.interval
		r.Effective, r.Deff, r.Batches, r.NeedSeconds = op.effective, op.deff, op.batches, op.need
		// The doubt of a look is what the whole hold may be wrong by.
		r.Doubt = op.doubt * (1 - opts.confidence()) / (1 - confidence)
	}
	r.Reason = r.reason(f, op)
	return r
}

// reason writes the line that explains a result: what was seen, where the truth
// lies, what it rests on, and the verdict.
func (r *Result) reason(f finding, op opinion) string {
	o := r.Claim.Objective
	parts := []string{f.head(o)}
	why := f.why
	if op.deff > 1 {
		why += fmt.Sprintf(" (effective %s)", countText(uint64(op.effective)))
	}
	switch in := op.interval; {
	case in == nil:
		parts = append(parts, why)
	case in.Unit == o.Unit:
		parts = append(parts, "interval "+in.text(exactLimit(o.Limit, o.Unit)), why)
	default:
		parts = append(parts, why, "interval "+in.text(o.budget()))
	}
	if r.Lost > 0 && o.Metric.Judged() != ByGauge {
		parts = append(parts, countText(r.Lost)+" lost")
	}
	line := strings.Join(parts, ", ") + ": " + words(r.Verdict)
	if r.Verdict != Inconclusive {
		return line
	}
	if op.why != "" {
		line += "; " + op.why
	}
	switch {
	case op.need > 0:
		line += "; hold about " + aboutText(op.need) + " longer"
	case op.batches > 0 && op.why == "":
		line += "; too close to the limit to decide in a day"
	}
	return line
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
	case t.Bad > t.N:
		return fmt.Sprintf("the evidence contradicts itself: %s bad of %s", countText(t.Bad), countText(t.N))
	case o.Metric.Judged() == ByGauge:
		if notObserved(ev) && len(ev.Gauge) > 0 {
			return notANumber
		}
		return noGauge(o, ev.Gauge)
	case t.N == 0 && o.Metric.Kind == Dropped:
		return "no arrival in scope"
	case t.N == 0:
		return "no request in scope"
	case notObserved(ev):
		return notANumber
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

const notANumber = "the observed value is not a number"

func notObserved(ev Evidence) bool { return math.IsNaN(ev.Observed) || math.IsInf(ev.Observed, -1) }

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
