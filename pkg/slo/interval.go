package slo

import (
	"fmt"
	"math"
	"math/big"
	"strings"
)

// Interval is where the true value of a metric lies: below Low, and above
// High, with a probability of at most 1-confidence each.
type Interval struct {
	Low, High float64 // in the base unit of Unit; High is +Inf where there is no upper bound
	// Unit is that of the metric, or Ratio for a percentile of which only the
	// share of bad requests is bounded.
	Unit Unit
}

// DefaultConfidence is the confidence of each claim where Options name none.
const DefaultConfidence = 0.95

// confidence returns the confidence that a claim is judged at. What is no
// confidence is the default.
func (opts Options) confidence() float64 {
	if opts.Confidence > 0.5 && opts.Confidence < 1 {
		return opts.Confidence
	}
	return DefaultConfidence
}

// confidence returns the confidence at which this evidence is judged: its own,
// where it is one of several looks at a hold, or that of the options.
func (ev Evidence) confidence(opts Options) float64 {
	if ev.Confidence > 0.5 && ev.Confidence < 1 {
		return ev.Confidence
	}
	return opts.confidence()
}

// opinion is what an interval says about one claim.
type opinion struct {
	verdict   Verdict
	interval  *Interval
	effective float64 // effective requests, 0 where the metric has none
	deff      float64
	batches   int     // that had data
	doubt     float64 // of a fail: see Result.Doubt
	need      float64 // seconds that the hold is too short by, 0: decided, or no hold would do
	why       string  // of an inconclusive: what is missing
}

// tested tells whether an objective is decided by an interval. The others are
// counts, sums and extremes of this very run: what they claim is seen, and not
// estimated. So is a promise of none at all.
func (o Objective) tested() bool {
	if !o.Plain() {
		return false
	}
	switch o.Metric.Kind {
	case Quantile, Mean:
		return true
	case Throughput:
		return o.Limit > 0
	case Errors, Within:
		return o.budget().Sign() > 0
	case Dropped:
		return o.Unit == Ratio && o.budget().Sign() > 0
	}
	return false
}

// budget returns the share of bad requests that a claim about a share allows.
func (o Objective) budget() *big.Rat {
	one := big.NewRat(1, 1)
	switch o.Metric.Kind {
	case Quantile:
		return one.Sub(one, exact(o.Metric.Q))
	case Within:
		return one.Sub(one, exact(o.Limit))
	}
	return exact(o.Limit)
}

// proportion returns a claim about a share as a claim about bad requests.
func (o Objective) proportion() (p proportion, ok bool) {
	switch o.Metric.Kind {
	case Quantile:
	case Errors, Within, Dropped:
		p.exact = true
	default:
		return p, false
	}
	p.budget, _ = o.budget().Float64()
	return p, o.tested()
}

// weigh decides a tested claim by its interval.
func weigh(c Claim, ev Evidence, t tally, f finding, confidence float64) opinion {
	if c.Stage == "" && c.Objective.Metric.Kind != Throughput {
		return weighRun(c, ev, t, f, confidence)
	}
	return weighScope(c, ev, t, f, confidence)
}

// weighRun decides a claim about the whole run by its busy seconds. What it lacks
// takes as much longer as the run was silent; set-up lacks users, and no time.
func weighRun(c Claim, ev Evidence, t tally, f finding, confidence float64) opinion {
	busy := ev.busy()
	op := weighScope(c, busy, t, f, confidence)
	if op.verdict != Inconclusive {
		return op
	}
	if n := len(busy.Slots); n < fewBatches {
		op.why = fmt.Sprintf("only %s had any, and it takes %d", secondsText(n), fewBatches)
	}
	switch {
	case c.Setup && op.why == "":
		op.need, op.why = 0, "more users tell more"
	case c.Setup:
		op.need = 0
	case ev.Seconds > busy.Seconds:
		op.need = math.Ceil(op.need * ev.Seconds / busy.Seconds)
	}
	return op
}

func secondsText(n int) string {
	if n == 1 {
		return "1 second of the run"
	}
	return fmt.Sprintf("%d seconds of the run", n)
}

func weighScope(c Claim, ev Evidence, t tally, f finding, confidence float64) opinion {
	if p, ok := c.Objective.proportion(); ok {
		p.bad, p.n, p.lost = float64(t.Bad), float64(t.N), float64(t.Lost)
		return weighShare(c, ev, p, f, confidence)
	}
	return weighMean(c.Objective, ev, t, f, confidence)
}

// weighShare decides a claim about a share of bad requests.
func weighShare(c Claim, ev Evidence, p proportion, f finding, confidence float64) opinion {
	kept := c.Guard && f.verdict == Pass // a guard holds up to its ratio as it was observed
	s, ok := ev.spread(badOfRequests)
	if !ok {
		return weighOutage(c, ev, p, kept, confidence)
	}
	p = newProportion(p, s).at(confidence)
	op := opinion{effective: p.effective(), deff: p.deff, batches: s.batches}
	op.interval = shareInterval(c.Objective, ev, p, f)
	switch {
	case p.fails():
		op.verdict, op.doubt = Fail, doubtOf(func(confidence float64) bool { return p.at(confidence).fails() })
	case kept, !c.Guard && p.passes():
		op.verdict = Pass
	default:
		op.verdict = Inconclusive
		op.need = ev.needed(func(factor float64) bool { return p.longer(factor).decided() })
		op.why = p.missing(c.Objective)
	}
	return op
}

// turned is why an inconclusive claim is not decided that would be without loss.
const turned = "the lost ones could turn it"

// missing says what an inconclusive claim lacks besides time, or "".
func (p proportion) missing(o Objective) string {
	if floor := effectiveFloor(1-p.budget, p.confidence); p.effective() < floor {
		return fmt.Sprintf("%v takes an effective %s", o.Metric, countText(uint64(floor)))
	}
	if p.lost > 0 {
		p.lost = 0
		if p.decided() {
			return turned
		}
	}
	return ""
}

// weighOutage decides a claim whose scope has too few batches with data to see
// how much they differ. It cannot pass; it fails where nothing but an outage
// explains what was seen.
func weighOutage(c Claim, ev Evidence, p proportion, kept bool, confidence float64) opinion {
	batches := ev.batches(manyBatches, badOfRequests)
	op := opinion{batches: len(batches), verdict: Inconclusive}
	switch doubt := outage(batches, p.lost, p.budget); {
	case p.n >= fewBatches && doubt <= 1-confidence:
		op.verdict, op.doubt = Fail, doubt
	case kept:
		op.verdict = Pass
	default:
		op.need, op.why = ev.tooShort(len(batches))
	}
	return op
}

// tooShort says why a scope has fewer than ten batches with data, and how many
// seconds it lacks at least.
func (ev Evidence) tooShort(batches int) (need float64, why string) {
	if n := ev.length(); n < fewBatches {
		return float64(fewBatches - n), fmt.Sprintf("a hold of at least %d s shows how much seconds differ", fewBatches)
	}
	seconds := float64(ev.length())
	return math.Ceil(seconds*fewBatches/float64(max(1, batches)) - seconds),
		fmt.Sprintf("%d of %d parts of the hold have data, and it takes %d", batches, min(manyBatches, ev.length()), fewBatches)
}

// shareInterval returns the interval of a share in the unit of its metric. For
// a percentile that is one of values, where the evidence can name them: the
// value that is exceeded by the largest share of bad requests that still
// passes, and by the least that fails. So a claim passes if and only if the
// whole interval keeps its limit.
func shareInterval(o Objective, ev Evidence, p proportion, f finding) *Interval {
	low, high := p.lower(), p.upper()
	switch {
	case o.Metric.Kind == Within:
		return &Interval{1 - high, 1 - low, Ratio}
	case o.Metric.Kind != Quantile || ev.Quantile == nil:
		return &Interval{low, high, Ratio}
	}
	limit := float64(o.SlowNanos()) / 1e9
	passing := root(0, p.n, func(bad float64) bool { return p.with(bad, p.n).passes() })
	failing := root(0, p.n, func(bad float64) bool { return !p.with(bad, p.n).fails() })
	in := Interval{ev.Quantile(max(0, 1-failing/p.n)), ev.Quantile(1 - passing/p.n), Seconds}
	if !finite(in.Low) || math.IsNaN(in.High) {
		return &Interval{low, high, Ratio}
	}
	if !p.with(0, p.n).passes() {
		in.High = math.Inf(1)
	}
	// The histogram may see the limit's bucket from the other side.
	if kept := p.passes(); kept && o.Slow(in.High) {
		in.High = limit - 1e-9
	} else if !kept && !o.Slow(in.High) {
		in.High = limit
	}
	if broken := p.fails(); broken && !o.Slow(in.Low) {
		in.Low = limit
	} else if !broken && o.Slow(in.Low) {
		in.Low = limit - 1e-9
	}
	in.Low, in.High = min(in.Low, f.observed), max(in.High, f.observed)
	return &in
}

// weighMean decides a claim about a mean of batches: of seconds over requests,
// or of successes over time. Its bounds are t standard errors away.
func weighMean(o Objective, ev Evidence, t tally, f finding, confidence float64) opinion {
	of := sumOverRequests
	if o.Metric.Kind == Throughput {
		of = successesOverTime
	}
	if math.IsInf(t.Sum, 1) && o.Metric.Kind == Mean {
		return opinion{verdict: f.verdict}
	}
	s, ok := ev.spread(of)
	if !ok {
		op := opinion{batches: s.batches, verdict: Inconclusive}
		op.need, op.why = ev.tooShort(s.batches)
		return op
	}
	m := mean{spread: s, lost: float64(t.Lost), op: o.Op, unit: o.Unit}
	m.limit, _ = exactLimit(o.Limit, o.Unit).Float64()
	op := opinion{batches: s.batches}
	m = m.at(confidence)
	low, high := m.bounds()
	op.interval = &Interval{low, high, o.Unit}
	switch {
	case m.fails():
		op.verdict, op.doubt = Fail, doubtOf(func(confidence float64) bool { return m.at(confidence).fails() })
	case m.passes():
		op.verdict = Pass
	default:
		op.verdict = Inconclusive
		op.need = ev.needed(func(factor float64) bool { return m.longer(factor).decided() })
		if m.lost > 0 {
			if m.lost = 0; m.decided() {
				op.why = turned
			}
		}
	}
	return op
}

// mean is a claim about a mean of batches, as an interval sees it.
type mean struct {
	spread spread
	lost   float64
	limit  float64
	op     Op
	unit   Unit // Seconds per request, or PerSecond

	confidence float64
	t          float64 // Student's, at that confidence
}

// at returns the claim at a confidence.
func (m mean) at(confidence float64) mean {
	m.confidence, m.t = confidence, studentQuantile(confidence, m.spread.freedom())
	return m
}

// bounds returns the bounds of the mean, with lost samples at their best on the
// one side and at their worst on the other: a lost request took no time, or
// any; it succeeded, or not.
//
// A stretch that came out well has often come with batches that differ little
// and are alike. So the bound that must keep the promise, the upper one of a
// time and the lower one of a rate, is taken with more doubt than the other.
func (m mean) bounds() (low, high float64) {
	s := m.spread
	margin, sure := m.t*math.Sqrt(s.variance), m.t*math.Sqrt(s.ofMean())
	if m.unit == PerSecond {
		low = max(0, s.ratio-sure-s.leaning(m.t)*math.Sqrt(s.ofMean()))
		high = s.ratio + margin + m.lost/s.total
		if s.carrying == 0 {
			// Nothing in T seconds still leaves room for a rate of 3/T.
			high = max(high, -math.Log(1-m.confidence)/s.total)
		}
		return low, high
	}
	// Times vary in proportion to their mean, and a mean that came out low has
	// come with a low variance: the margin is taken at the bound, not at the
	// mean. That is what Wilson did for shares, and it removes most of the bias
	// that skewed times give to t intervals.
	if s.ratio > 0 {
		low, high = s.ratio/(1+margin/s.ratio), math.Inf(1)
		if sure < s.ratio {
			high = s.ratio / (1 - sure/s.ratio)
		}
	}
	if m.lost > 0 {
		low, high = low*s.total/(s.total+m.lost), math.Inf(1)
	}
	return low, high
}

func (m mean) holds(v float64) bool {
	switch {
	case v < m.limit:
		return m.op.holds(-1)
	case v > m.limit:
		return m.op.holds(1)
	}
	return m.op.holds(0)
}

// worstBest returns the bounds in the order of the promise: the one that must
// hold to pass, and the one that must not to fail.
func (m mean) worstBest() (worst, best float64) {
	low, high := m.bounds()
	if m.op == GT || m.op == GE {
		return low, high
	}
	return high, low
}

func (m mean) passes() bool {
	worst, _ := m.worstBest()
	return m.holds(worst)
}

func (m mean) fails() bool {
	_, best := m.worstBest()
	return !m.holds(best)
}

func (m mean) decided() bool { return m.passes() || m.fails() }

func (m mean) longer(factor float64) mean {
	m.spread.total *= factor
	m.spread.variance /= factor
	return m
}

// longest is the longest hold that anybody is advised to make, in seconds.
const longest = 24 * 3600

// needed returns how many more seconds the scope must last to decide, at the
// observed rates, or 0 where no hold of at most a day would do.
func (ev Evidence) needed(decides func(factor float64) bool) float64 {
	seconds := float64(ev.length())
	if seconds <= 0 || seconds >= longest || !decides(longest/seconds) {
		return 0
	}
	low, high := 1.0, longest/seconds
	for range 30 {
		if mid := math.Sqrt(low * high); decides(mid) {
			high = mid
		} else {
			low = mid
		}
	}
	return max(1, math.Ceil(seconds*(high-1)))
}

// aboutText writes a length of time, in seconds, roundly and never too short:
// 45s, 4m, 2h10m.
func aboutText(seconds float64) string {
	step := 1.0
	switch {
	case seconds > 3600:
		step = 600
	case seconds > 90:
		step = 60
	case seconds > 10:
		step = 5
	}
	return durationText(exact(math.Ceil(seconds/step) * step))
}

// text writes the interval: 181-196 ms. A bound is written on the side of the
// limit that it is on.
func (in Interval) text(limit *big.Rat) string {
	bound := func(v float64) string {
		r := exact(v)
		if apart := new(big.Rat).Sub(r, limit); in.Unit == Seconds && apart.Abs(apart).Cmp(nanos(1)) <= 0 {
			r = limit // as near as it is known
		}
		return beside(r, limit, in.Unit)
	}
	low := "0"
	if in.Low != 0 {
		low = bound(in.Low)
	}
	if math.IsInf(in.High, 1) {
		return low + " or more"
	}
	high := bound(in.High)
	if low == high {
		return low
	}
	for _, u := range displayUnits[in.Unit] {
		if number, ok := strings.CutSuffix(low, u.name); ok && strings.HasSuffix(high, u.name) {
			low = number
			break
		}
	}
	return low + "-" + high
}
