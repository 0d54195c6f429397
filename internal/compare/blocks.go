package compare

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	"tollgate/internal/report"
	"tollgate/pkg/slo"
)

// Side is one of the two systems that are compared.
type Side uint8

// The sides.
const (
	Base Side = iota
	Candidate
)

// String returns the side's name.
func (s Side) String() string { return [...]string{"base", "candidate"}[s] }

// DefaultMargin is the slowdown from which it matters, unless another is named.
const DefaultMargin = 0.1

// DefaultBlocks is how many blocks a side find a slowdown of 15 % in 95 of 100
// comparisons where a run differs from the next by 5 %, with the default margin.
const DefaultBlocks = 8

// LeastBlocks is how many blocks a side it takes at least: below it Student's t
// has so few degrees of freedom that hardly any change is ever proven.
const LeastBlocks = 5

// Order returns whose turn it is in so many blocks a side: pairs of neighbours
// in the order A B, B A, A B (ABBA). What drifts with time, such as a cache
// that fills or a neighbour who wakes up, meets both sides alike.
func Order(blocks int) []Side {
	var out []Side
	for i := range blocks {
		first := Side(i % 2)
		out = append(out, first, 1-first)
	}
	return out
}

// Block is what one run of one side showed while the load that is judged was
// held.
type Block struct {
	P50, P95, P99 report.Number // seconds; failures are slower than every limit
	PerSecond     report.Number // requests
	Requests      uint64
	Failures      uint64
	// Setup counts the requests that set users up, in the whole block, and
	// SetupFailures those of them that failed: users who were not let in do no
	// work, and a system with less to do is fast.
	Setup, SetupFailures uint64
}

// BlockOf reads the block off the document of its run.
func BlockOf(d *report.Document) Block {
	j := d.Total.Judged
	b := Block{
		P50: j.Response.P50, P95: j.Response.P95, P99: j.Response.P99,
		PerSecond: j.PerSecond, Requests: j.Requests, Failures: j.Failures,
	}
	for i := range d.Rows {
		if r := &d.Rows[i]; r.Setup {
			b.Setup += r.Requests
			b.SetupFailures += r.Failures
		}
	}
	return b
}

// Pair is two neighbouring blocks, one of each side.
type Pair struct{ Base, Candidate Block }

// Rules say from when a change matters, and how sure a verdict must be.
type Rules struct {
	Margin     float64 // of p95, as a ratio: 0.1 is 10 % slower
	Errors     float64 // of the share of errors, set-up by itself, in absolute terms: 0.01 is one in a hundred more
	Confidence float64 // of each bound by itself
}

// Change is how a metric differs between the sides.
type Change struct {
	Metric    string        `json:"metric"`
	Base      report.Number `json:"base"`      // mean of the blocks, geometric but for errors
	Candidate report.Number `json:"candidate"` // the same
	Change    report.Number `json:"change"`    // ratio less one; errors: difference
	Low       report.Number `json:"low"`       // the change is below it with a probability of at most 1-confidence
	High      report.Number `json:"high"`      // and above it with the same
	Reason    string        `json:"reason"`    // in words
}

// Finding is the verdict on one change.
type Finding struct {
	Change
	Margin  report.Number `json:"margin"` // in the unit of Change
	Verdict slo.Verdict   `json:"verdict"`
}

// Decision is the verdict on all pairs.
type Decision struct {
	Overall  slo.Overall
	Findings []Finding
	Seen     []Change // what else has changed; it decides nothing
	Reasons  []string // why it is not a pass
}

// Decide judges whether the candidate is slower, or fails more, than the base.
//
// Of each pair the change is taken, as the logarithm of a ratio for times and
// as a difference for the share of errors; over the pairs it has a mean and,
// by Student's t with pairs-1 degrees of freedom, a lower and an upper bound.
//
//   - fail: the change is real (its lower bound is above no change) and matters
//     (its mean is above the margin). Either alone is not enough: a change of
//     1 % can be proven, and one of 20 % can be luck.
//   - pass: a change that matters is excluded (the upper bound is below the
//     margin). So a change that is proven and small passes, and says so.
//   - inconclusive: neither. More blocks, longer ones, or a quieter machine.
//
// A fail is claimed with Holm's correction over the metrics that decide, so that
// two chances to be wrong are not twice the error: p95, errors, and the errors of
// set-up where there is any.
func Decide(pairs []Pair, r Rules) Decision {
	var d Decision
	if len(pairs) < LeastBlocks {
		why := fmt.Sprintf("%d pairs of blocks, and it takes %d", len(pairs), LeastBlocks)
		return Decision{Overall: slo.OverallInconclusive, Reasons: []string{why}, Findings: []Finding{}, Seen: []Change{}}
	}
	t := studentQuantile(r.Confidence, float64(len(pairs)-1))
	p95 := timed("p95", pairs, t, func(b Block) report.Number { return b.P95 })
	p95.decide(math.Log1p(r.Margin), len(pairs))
	failing := failed("errors", pairs, t, func(b Block) (k, n uint64) { return b.Failures, b.Requests })
	failing.decide(r.Errors, len(pairs))
	deciding := []*change{p95, failing}
	if slices.ContainsFunc(pairs, func(p Pair) bool { return p.Base.Setup+p.Candidate.Setup > 0 }) {
		setup := failed("set-up errors", pairs, t, func(b Block) (k, n uint64) { return b.SetupFailures, b.Setup })
		setup.decide(r.Errors, len(pairs))
		deciding = append(deciding, setup)
	}
	holm(deciding, r.Confidence)

	for _, c := range []*change{
		timed("p50", pairs, t, func(b Block) report.Number { return b.P50 }),
		timed("p99", pairs, t, func(b Block) report.Number { return b.P99 }),
		timed("throughput", pairs, t, func(b Block) report.Number { return b.PerSecond }),
	} {
		d.Seen = append(d.Seen, c.Change)
	}
	d.Overall = slo.OverallPass
	for _, c := range deciding {
		d.Findings = append(d.Findings, c.Finding)
		switch {
		case c.Verdict == slo.Pass:
			continue
		case c.Verdict == slo.Fail:
			d.Overall = slo.OverallFail
		case d.Overall == slo.OverallPass:
			d.Overall = slo.OverallInconclusive
		}
		d.Reasons = append(d.Reasons, c.Metric+" "+c.Reason)
	}
	return d
}

// change is a finding in the making, on the scale on which it is estimated:
// logarithms of ratios, or plain differences.
type change struct {
	Finding
	mean, low, high float64               // NaN: nothing is known, and Reason says why
	doubt           float64               // probability of a mean as large where nothing has changed
	plain           func(float64) float64 // from the scale to Change
	certain         bool                  // no pair leaves a doubt about the direction, and none has a size
	shares          bool                  // the scale is of shares: Change is in points
	least           [2]float64            // how far the bounds lie from the mean at least
}

// timed estimates how a time, or a rate, has changed: the ratio of each pair.
func timed(metric string, pairs []Pair, t float64, of func(Block) report.Number) *change {
	base, candidate, logs := make([]float64, len(pairs)), make([]float64, len(pairs)), make([]float64, len(pairs))
	none := [2]int{} // blocks of each side without a value
	for i, p := range pairs {
		for side, v := range []report.Number{of(p.Base), of(p.Candidate)} {
			if !v.Known() || v <= 0 {
				none[side]++
			}
		}
		base[i], candidate[i] = math.Log(float64(of(p.Base))), math.Log(float64(of(p.Candidate)))
		logs[i] = candidate[i] - base[i]
	}
	c := &change{Finding: Finding{Change: Change{Metric: metric}}, plain: math.Expm1}
	for side, n := range none {
		if n > 0 {
			c.Reason = fmt.Sprintf("is no finite value in %d of %d blocks of the %s", n, len(pairs), Side(side))
			c.certain = side == int(Candidate) && n == len(pairs) && none[Base] == 0
			break
		}
	}
	c.estimate(logs, t)
	a, _ := meanOf(base)
	b, _ := meanOf(candidate)
	c.Base, c.Candidate = number(math.Exp(a)), number(math.Exp(b))
	return c
}

// failed estimates how the share of errors has changed: the difference of each
// pair. Blocks that saw none at all, or the same share each, do not prove that
// there are none: no bound is nearer than the share of the candidate's requests
// allows, taken for independent.
func failed(metric string, pairs []Pair, t float64, of func(Block) (failures, requests uint64)) *change {
	base, candidate, diffs := make([]float64, len(pairs)), make([]float64, len(pairs)), make([]float64, len(pairs))
	c := &change{Finding: Finding{Change: Change{Metric: metric}}, plain: func(v float64) float64 { return v }, shares: true}
	var k, n float64
	for i, p := range pairs {
		failures, requests := of(p.Base)
		base[i] = float64(failures) / float64(requests)
		if requests == 0 {
			c.Reason = "cannot be told: a block has no request"
		}
		if failures, requests = of(p.Candidate); requests == 0 {
			c.Reason = "cannot be told: a block has no request"
		}
		candidate[i] = float64(failures) / float64(requests)
		diffs[i] = candidate[i] - base[i]
		k, n = k+float64(failures), n+float64(requests)
	}
	low, high := wilson(k, n, t)
	c.least = [2]float64{k/n - low, high - k/n}
	c.estimate(diffs, t)
	a, _ := meanOf(base)
	b, _ := meanOf(candidate)
	c.Base, c.Candidate = number(a), number(b)
	return c
}

var missing = report.Number(math.NaN())

func number(v float64) report.Number {
	if math.IsInf(v, 0) {
		return missing
	}
	return report.Number(v)
}

// estimate sets the mean and its bounds, t standard errors away, unless it is
// known already that there are none.
func (c *change) estimate(values []float64, t float64) {
	c.mean, c.low, c.high, c.doubt = math.NaN(), math.NaN(), math.NaN(), 1
	if c.Reason == "" {
		mean, variance := meanOf(values)
		half := t * math.Sqrt(variance)
		c.mean, c.low, c.high = mean, mean-max(half, c.least[0]), mean+max(half, c.least[1])
		switch {
		case variance > 0:
			c.doubt = studentTail(mean/math.Sqrt(variance), float64(len(values)-1))
		case mean > 0:
			c.doubt = 0
		}
	}
	c.Change.Change, c.Low, c.High = number(c.plain(c.mean)), number(c.plain(c.low)), number(c.plain(c.high))
	if c.Reason == "" {
		c.Reason = c.interval()
	}
}

// Percent writes a change in percent, or in percentage points, with its sign and
// three digits, and without the sign that stands for it.
func Percent(v report.Number) string {
	text := strconv.FormatFloat(100*float64(v), 'g', 3, 64)
	if f, err := strconv.ParseFloat(text, 64); err == nil {
		text = strconv.FormatFloat(f, 'f', -1, 64) // never 1e+03
	}
	if v > 0 {
		text = "+" + text
	}
	return text
}

// interval writes the change with its bounds.
func (c *change) interval() string {
	unit := " %"
	if c.shares {
		unit = " points"
	}
	return fmt.Sprintf("%s%s (%s to %s)", Percent(c.Change.Change), unit, Percent(c.Low), Percent(c.High))
}

// decide sets the verdict by a margin on the scale of the estimate.
func (c *change) decide(margin float64, pairs int) {
	c.Margin = number(c.plain(margin))
	limit := fmt.Sprintf("%.3g %%", 100*float64(c.Margin))
	if c.shares {
		limit = fmt.Sprintf("%.3g points", 100*float64(c.Margin))
	}
	switch {
	case c.certain:
		// Without any change each pair would be as likely the other way round.
		c.Verdict, c.doubt = slo.Fail, math.Pow(0.5, float64(pairs))
		c.Reason += ", and is one in all of the base"
	case math.IsNaN(c.mean):
		c.Verdict = slo.Inconclusive
	case c.high < margin && c.low > 0:
		c.Verdict = slo.Pass
		c.Reason += ": worse, but by less than " + limit
	case c.high < margin:
		c.Verdict = slo.Pass
		c.Reason += ": not worse by " + limit
	case c.low > 0 && c.mean > margin:
		c.Verdict = slo.Fail
		c.Reason += ": worse by more than " + limit
	default:
		c.Verdict = slo.Inconclusive
		c.Reason += fmt.Sprintf(": neither proven nor excluded to be worse by %s", limit) + c.need(margin, pairs)
	}
}

// need says how many blocks a side would decide, if the blocks to come vary as
// much as those so far and show the same change.
func (c *change) need(margin float64, pairs int) string {
	short := (c.high - c.mean) / math.Abs(margin-c.mean)
	blocks := math.Ceil(float64(pairs) * short * short)
	const most = 200
	if !(blocks > float64(pairs) && blocks <= most) {
		return ""
	}
	return fmt.Sprintf(", about %.0f blocks a side would tell", blocks)
}

// holm takes back the fails that could be chance, given how many metrics could
// have failed (Holm 1979).
func holm(deciding []*change, confidence float64) {
	var failed []*change
	for _, c := range deciding {
		if c.Verdict == slo.Fail {
			failed = append(failed, c)
		}
	}
	slices.SortStableFunc(failed, func(a, b *change) int { return cmp.Compare(a.doubt, b.doubt) })
	for i, c := range failed {
		if c.doubt > (1-confidence)/float64(len(deciding)-i) {
			for _, c := range failed[i:] {
				c.Verdict = slo.Inconclusive
				c.Reason += ", which may be chance, " + fmt.Sprintf("with %d metrics that could have failed", len(deciding))
			}
			return
		}
	}
}
