package slo

import "math"

// proportion is a claim about the share of bad requests, as an interval sees
// it: a percentile, a ratio of errors, a share within a time.
type proportion struct {
	bad, n float64
	lost   float64 // samples that may be good or bad, of which n knows nothing
	budget float64 // the share of bad requests that the promise allows
	exact  bool    // Clopper-Pearson at any count

	spread spread
	deff   float64 // design effect, at least 1
	few    bool    // too few effective bad (or good) requests for Wilson's interval

	confidence float64
	t          float64 // Student's, at that confidence
}

// enough is the effective number of bad requests, and of good ones, from which
// Wilson's interval is as good as the exact one.
const enough = 5

// newProportion measures the design effect of a claim: the variance that the
// batches show over the one that independent requests would have,
// max(1, s²·n̄/(p̂(1-p̂))), with s² the variance of batch ratios and n̄ the
// requests of a batch. n requests tell as much as n/deff independent ones.
func newProportion(p proportion, s spread) proportion {
	p.spread, p.deff = s, 1
	if share := p.bad / p.n; share > 0 && share < 1 {
		p.deff = max(1, s.variance*p.n/(share*(1-share)))
	}
	return p.with(p.bad, p.n)
}

// with returns the claim as it would stand with other counts and the same
// design effect.
func (p proportion) with(bad, n float64) proportion {
	p.bad, p.n = bad, n
	p.few = p.exact || min(p.bad, p.n-p.bad)/p.deff < enough
	return p
}

// at returns the claim at a confidence.
func (p proportion) at(confidence float64) proportion {
	p.confidence, p.t = confidence, studentQuantile(confidence, p.freedom())
	return p
}

// effective is the number of independent requests that would tell as much.
func (p proportion) effective() float64 { return p.n / p.deff }

// freedom is Student's degrees of freedom of the design effect. A variance that
// a few batches alone have made, because the others saw no bad request (or no
// good one), was estimated from those few: one burst tells little of how long
// bursts are.
func (p proportion) freedom() float64 {
	telling := min(p.spread.carrying, p.spread.lacking)
	return max(1, min(p.spread.freedom(), float64(telling-1)))
}

// lower returns the share of bad requests that the true one is below with a
// probability of at most 1-confidence, if every lost sample was good.
func (p proportion) lower() float64 { return p.bound(p.bad, p.n+p.lost, false) }

// upper returns the share of bad requests that the true one is above with a
// probability of at most 1-confidence, if every lost sample was bad.
func (p proportion) upper() float64 { return p.bound(p.bad+p.lost, p.n+p.lost, true) }

func (p proportion) bound(bad, n float64, upper bool) float64 {
	k, n := bad/p.deff, n/p.deff
	if !p.few {
		return wilson(k, n, p.t, upper)
	}
	if p.deff > 1 {
		// Korn and Graubard 1998: an exact interval for counts of which the
		// variance is an estimate, by as many fewer effective requests as
		// Student's t is wider than the normal distribution. Where bad requests
		// do not cluster nothing was estimated.
		shrink := normalQuantile(p.confidence) / p.t
		k, n = k*shrink*shrink, n*shrink*shrink
	}
	return clopperPearson(k, n, p.confidence, upper)
}

// wilson returns a bound of the score interval with t standard deviations
// (Wilson 1927) with the correction for continuity (Newcombe 1998, method 4):
// half a request in doubt.
func wilson(k, n, t float64, upper bool) float64 {
	if upper {
		k = min(n, k+0.5)
	} else {
		k, t = max(0, k-0.5), -t
	}
	return (k + t*t/2 + t*math.Sqrt(k*(n-k)/n+t*t/4)) / (n + t*t)
}

// clopperPearson returns a bound of the exact interval (Clopper and Pearson
// 1934), for counts that need not be whole.
func clopperPearson(k, n, confidence float64, upper bool) float64 {
	switch {
	case upper && k >= n:
		return 1
	case upper:
		return betaQuantile(confidence, k+1, n-k)
	case k <= 0:
		return 0
	}
	return betaQuantile(1-confidence, k, n-k+1)
}

// passes tells whether the claim is proven. Below effectiveFloor it never is:
// even with no bad request the bound is above the budget. Whether the limit is
// part of the promise (< or <=) makes no difference: no bound is ever on it.
func (p proportion) passes() bool { return p.upper() <= p.budget }

// fails tells whether the opposite of the claim is proven.
func (p proportion) fails() bool { return p.lower() > p.budget }

// decided tells whether either is.
func (p proportion) decided() bool { return p.passes() || p.fails() }

// longer returns the claim as it would stand after a hold that is factor times
// as long, at the observed rates.
func (p proportion) longer(factor float64) proportion { return p.with(p.bad*factor, p.n*factor) }

// doubtOf finds the largest 1-confidence at which a claim does not fail, to
// three digits, from 1e-12 up.
func doubtOf(fails func(confidence float64) bool) float64 {
	const least = -12.0 // beyond that 1-confidence has no digits left
	low, high := least, math.Log10(0.5)
	for range 20 {
		if mid := (low + high) / 2; fails(1 - math.Pow(10, mid)) {
			high = mid
		} else {
			low = mid
		}
	}
	return math.Pow(10, high)
}

// effectiveFloor returns how many independent requests, all of them good, it
// takes to claim with the given confidence that a share q of requests are good:
// the least n with q^n <= 1-confidence. At 95 % that is 59 for p95, 299 for p99
// and 2,995 for p99.9. For q = 0 it is 0.
func effectiveFloor(q, confidence float64) float64 {
	if q <= 0 {
		return 0
	}
	return math.Ceil(math.Log(1-confidence)/math.Log(q) - 1e-9)
}

// outage returns the probability of ratios as bad as these with the promise
// just kept, where there are too few batches to see how much they differ. It
// takes every batch for a single observation, however many requests it has,
// and asks nothing of how they cluster: a ratio whose mean is at most the
// budget, divided by it, has mean 1 at most, so has the product of independent
// ones, and by Markov's inequality the product is above 1/α with probability α
// at most (an e-value: Ramdas, Grünwald, Vovk and Shafer 2023). Two seconds in
// which every request failed are 1 in 10,000 for errors <= 1%.
func outage(batches []batch, lost, budget float64) float64 {
	p := 1.0
	for _, b := range batches {
		if b.y == 0 {
			return 1
		}
		p *= budget * (b.x + lost) / b.y
	}
	return min(1, p)
}
