package slo

import (
	"fmt"
	"math"
	"math/big"
)

// finding is what one metric family shows by its point estimate.
type finding struct {
	verdict  Verdict
	observed float64 // in the base unit; +Inf: no finite value
	text     string  // observed, for people
	why      string  // the counts it rests on
}

// head is what was observed: "p95 187 ms", "no finite p95".
func (f finding) head(o Objective) string {
	if math.IsInf(f.observed, 1) {
		return f.text
	}
	return o.Metric.String() + " " + f.text
}

// family returns the judgement of a metric family by its point estimate. It is
// the whole judgement of what is seen and not estimated, and of everything with
// `confidence: off`.
func family(k MetricKind) func(Objective, Evidence, tally) finding {
	switch k {
	case Quantile:
		return judgeQuantile
	case Max:
		return judgeMax
	case Mean:
		return judgeMean
	case Errors:
		return judgeErrors
	case Within:
		return judgeWithin
	case Throughput:
		return judgeThroughput
	case Successes:
		return judgeSuccesses
	case Requests:
		return judgeRequests
	case Users:
		return judgeUsers
	case Dropped:
		return judgeDropped
	}
	return judgeBytes
}

// decide compares with a limit a value of which only the bounds are known:
// low and high are the signs of (lowest possible - limit) and (highest
// possible - limit). Without lost samples they are equal, and so is the point.
func decide(op Op, low, high int) Verdict {
	switch op {
	case EQ, NE:
		// Equal signs say that both bounds lie beyond the limit, or both on it.
		// Otherwise one value between them equals it and another does not.
		if low != high {
			return Inconclusive
		}
	}
	switch lowHolds, highHolds := op.holds(low), op.holds(high); {
	case lowHolds && highHolds:
		return Pass
	case !lowHolds && !highHolds:
		return Fail
	}
	return Inconclusive
}

// judgeQuantile decides pN < L as the claim about a proportion that it is: at
// most a share 1-q of the requests is bad, that is slow or failed.
//
// That is the nearest-rank quantile, without a bucket between: of n sorted
// values it is the one at rank ⌈q·n⌉, which keeps the limit if and only if at
// least ⌈q·n⌉ values do, that is if bad <= n - ⌈q·n⌉ = ⌊(1-q)·n⌋, and since
// bad is whole, if bad <= (1-q)·n. At p95, 5 bad of 100 pass and 6 fail. The
// comparison is exact: 1-q is taken from the decimal that was written, as
// 1-0.9 in floats would refuse 10 bad of 100.
func judgeQuantile(o Objective, ev Evidence, t tally) finding {
	budget := new(big.Rat).Sub(big.NewRat(1, 1), exact(o.Metric.Q))
	all := sum(t.N, t.Lost)
	share := ratio(count(t.Bad), count(t.N))
	f := finding{
		verdict: decide(LE, ratio(count(t.Bad), all).Cmp(budget), ratio(sum(t.Bad, t.Lost), all).Cmp(budget)),
		why:     fmt.Sprintf("%s %s of %s", beside(share, budget, Ratio), wrong(o.Metric), countText(t.N)),
	}
	f.observed, f.text = quantileShown(o, ev.Observed, share.Cmp(budget) <= 0)
	return f
}

// wrong says what a bad sample was.
func wrong(m Metric) string {
	switch {
	case m.Kind == Errors:
		return "failed"
	case m.Kind == Dropped:
		return "never sent"
	case m.OnlyOK:
		return "slow"
	}
	return "slow or failed"
}

// quantileShown returns the observed quantile on the side of the limit that
// the exact counter knows. It comes from a histogram, whose buckets may reach
// over the limit; then only the side is sure, and only the side is told.
func quantileShown(o Objective, observed float64, good bool) (float64, string) {
	limit, slow := exact(o.Limit), o.SlowNanos()
	keeps, breaks := "< ", "≥ "
	if o.Op == LE {
		keeps, breaks = "≤ ", "> "
	}
	switch {
	case good && o.Slow(observed):
		return float64(slow-1) / 1e9, keeps + beside(limit, limit, Seconds)
	case !good && !o.Slow(observed):
		return float64(slow) / 1e9, breaks + beside(limit, limit, Seconds)
	case math.IsInf(observed, 1):
		return observed, fmt.Sprintf("no finite %v", o.Metric)
	case !good && observed == o.Limit:
		return observed, breaks + beside(limit, limit, Seconds)
	}
	return observed, beside(exact(observed), limit, Seconds)
}

// judgeMax decides on the slowest request. A lost one may have been slower
// than any limit.
func judgeMax(o Objective, _ Evidence, t tally) finding {
	f := finding{observed: t.Max, why: fmt.Sprintf("of %s", countText(t.N))}
	low := 1
	if f.text = fmt.Sprintf("no finite %v", o.Metric); finite(t.Max) {
		low = exact(t.Max).Cmp(exact(o.Limit))
		f.text = beside(exact(t.Max), exact(o.Limit), Seconds)
	}
	f.verdict = decide(o.Op, low, orAbove(low, t.Lost))
	return f
}

// judgeMean decides on the mean. Lost requests took no time at best, and at
// worst nobody knows how long.
func judgeMean(o Objective, _ Evidence, t tally) finding {
	f := finding{observed: math.Inf(1), text: fmt.Sprintf("no finite %v", o.Metric), why: fmt.Sprintf("of %s", countText(t.N))}
	low := 1
	if finite(t.Sum) {
		mean := ratio(exact(t.Sum), count(t.N))
		low = ratio(exact(t.Sum), sum(t.N, t.Lost)).Cmp(exact(o.Limit))
		f.observed, _ = mean.Float64()
		f.text = beside(mean, exact(o.Limit), Seconds)
	}
	f.verdict = decide(o.Op, low, orAbove(low, t.Lost))
	return f
}

// orAbove is the sign of the highest possible value of a sum or a maximum that
// lost samples may have raised beyond all bounds.
func orAbove(sign int, lost uint64) int {
	if lost > 0 {
		return 1
	}
	return sign
}

// judgeErrors decides on the ratio of failures to requests issued.
func judgeErrors(o Objective, _ Evidence, t tally) finding {
	return judgeShare(o, t, ratio(count(t.Bad), count(t.N)), t.Bad,
		fmt.Sprintf("%s of %s", countText(t.Bad), countText(t.N)))
}

// judgeWithin decides on the share of all requests that succeeded in time.
func judgeWithin(o Objective, _ Evidence, t tally) finding {
	return judgeShare(o, t, ratio(count(t.N-t.Bad), count(t.N)), t.N-t.Bad,
		fmt.Sprintf("%s slow or failed of %s", countText(t.Bad), countText(t.N)))
}

// judgeShare decides on k of n requests, to which lost ones may belong or not.
func judgeShare(o Objective, t tally, share *big.Rat, k uint64, why string) finding {
	limit, all := exact(o.Limit), sum(t.N, t.Lost)
	f := finding{text: beside(share, limit, Ratio), why: why}
	f.observed, _ = share.Float64()
	f.verdict = decide(o.Op, ratio(count(k), all).Cmp(limit), ratio(sum(k, t.Lost), all).Cmp(limit))
	return f
}

// judgeThroughput decides on successes per second over the scope.
func judgeThroughput(o Objective, ev Evidence, t tally) finding {
	limit, seconds := exactLimit(o.Limit, PerSecond), exact(ev.Seconds)
	rate := ratio(count(t.N-t.Bad), seconds)
	f := finding{
		text: beside(rate, limit, PerSecond),
		why:  fmt.Sprintf("%s successes in %s", countText(t.N-t.Bad), FormatValue(ev.Seconds, Seconds)),
	}
	f.observed, _ = rate.Float64()
	f.verdict = decide(o.Op, rate.Cmp(limit), ratio(sum(t.N-t.Bad, t.Lost), seconds).Cmp(limit))
	return f
}

// judgeSuccesses decides on the number of requests that succeeded.
func judgeSuccesses(o Objective, _ Evidence, t tally) finding {
	return judgeCount(o, t, t.N-t.Bad, fmt.Sprintf("of %s requests", countText(t.N)))
}

// judgeRequests decides on the number of requests issued.
func judgeRequests(o Objective, _ Evidence, t tally) finding {
	return judgeCount(o, t, t.N, fmt.Sprintf("%s failed", countText(t.Bad)))
}

// judgeDropped decides on the arrivals that were not issued, as a count or as
// a ratio of all arrivals.
func judgeDropped(o Objective, _ Evidence, t tally) finding {
	why := fmt.Sprintf("%s of %s arrivals", countText(t.Bad), countText(t.N))
	if o.Unit == Ratio {
		return judgeShare(o, t, ratio(count(t.Bad), count(t.N)), t.Bad, why)
	}
	return judgeCount(o, t, t.Bad, fmt.Sprintf("of %s arrivals", countText(t.N)))
}

// judgeCount decides on a count that lost samples may add to.
func judgeCount(o Objective, t tally, k uint64, why string) finding {
	limit := exact(o.Limit)
	return finding{
		verdict:  decide(o.Op, count(k).Cmp(limit), sum(k, t.Lost).Cmp(limit)),
		observed: float64(k),
		text:     countText(k),
		why:      why,
	}
}

// judgeUsers decides on the second with the fewest active users: the promise
// must hold in each.
func judgeUsers(o Objective, ev Evidence, _ tally) finding {
	lowest := math.Inf(1)
	for _, v := range ev.Gauge {
		if finite(v) {
			lowest = min(lowest, v)
		}
	}
	sign := exact(lowest).Cmp(exact(o.Limit))
	return finding{
		verdict:  decide(o.Op, sign, sign),
		observed: lowest,
		text:     beside(exact(lowest), exact(o.Limit), Count),
		why:      fmt.Sprintf("the fewest in %s seconds", countText(uint64(len(ev.Gauge)))),
	}
}

// judgeBytes decides on the bytes of all requests. A lost request moved none
// at best, and nobody knows how many at worst.
func judgeBytes(o Objective, _ Evidence, t tally) finding {
	low := exact(t.Sum).Cmp(exact(o.Limit))
	return finding{
		verdict:  decide(o.Op, low, orAbove(low, t.Lost)),
		observed: t.Sum,
		text:     beside(exact(t.Sum), exact(o.Limit), Bytes),
		why:      fmt.Sprintf("of %s requests", countText(t.N)),
	}
}

// count returns a count as a number that computes exactly.
func count(n uint64) *big.Rat { return new(big.Rat).SetInt(new(big.Int).SetUint64(n)) }

// sum adds two counts without the wrap of 64 bits.
func sum(a, b uint64) *big.Rat { return new(big.Rat).Add(count(a), count(b)) }

func ratio(a, b *big.Rat) *big.Rat { return new(big.Rat).Quo(a, b) }

func countText(n uint64) string { return group(new(big.Int).SetUint64(n).String()) }
