package slo

import "math"

// The numerical functions that intervals need. Each is a continued fraction or
// a bisection of a monotone function: slower than the approximations of the
// handbooks, and right to about twelve digits over the whole of its domain.

// betaRatio returns the regularized incomplete beta function I_x(a, b), for a
// and b above zero: the probability that a Beta(a, b) variable is at most x.
// It is evaluated by its continued fraction (DLMF 8.17.22) with the modified
// method of Lentz, on the side of the mean where that converges fast.
func betaRatio(x, a, b float64) float64 {
	switch {
	case x <= 0:
		return 0
	case x >= 1:
		return 1
	case x > (a+1)/(a+b+2):
		return 1 - betaTail(1-x, x, b, a)
	}
	return betaTail(x, 1-x, a, b)
}

// betaTail is betaRatio left of the mean; y is 1-x.
func betaTail(x, y, a, b float64) float64 {
	const tiny, enough, most = 1e-300, 1e-15, 10_000
	front := math.Exp(a*math.Log(x)+b*math.Log(y)-logBeta(a, b)) / a
	c, d := 1.0, 1-(a+b)*x/(a+1)
	if math.Abs(d) < tiny {
		d = tiny
	}
	d = 1 / d
	h := d
	for i := 1; i < most; i++ {
		m := float64(i)
		for _, term := range [...]float64{
			m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m)),
			-(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1)),
		} {
			if d = 1 + term*d; math.Abs(d) < tiny {
				d = tiny
			}
			if c = 1 + term/c; math.Abs(c) < tiny {
				c = tiny
			}
			d = 1 / d
			h *= c * d
		}
		if math.Abs(c*d-1) < enough {
			break
		}
	}
	return min(1, front*h)
}

// logBeta returns the logarithm of the beta function.
func logBeta(a, b float64) float64 {
	la, _ := math.Lgamma(a)
	lb, _ := math.Lgamma(b)
	lab, _ := math.Lgamma(a + b)
	return la + lb - lab
}

// betaQuantile returns the x at which betaRatio(x, a, b) is p: Newton's method
// between two bounds that close in on x, and bisection where it would leave
// them.
func betaQuantile(p, a, b float64) float64 {
	low, high, x := 0.0, 1.0, a/(a+b)
	scale := logBeta(a, b)
	for range 200 {
		miss := betaRatio(x, a, b) - p
		if miss < 0 {
			low = x
		} else {
			high = x
		}
		density := math.Exp((a-1)*math.Log(x) + (b-1)*math.Log1p(-x) - scale)
		next := x - miss/density
		if !(next > low && next < high) {
			next = low + (high-low)/2
		}
		if math.Abs(next-x) <= 1e-14*x {
			return next
		}
		x = next
	}
	return x
}

// normalQuantile returns the z that a standard normal variable is below with
// probability p.
func normalQuantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }

// studentTail returns the probability that Student's t with df degrees of
// freedom is above t.
func studentTail(t, df float64) float64 {
	if math.IsInf(t, 0) {
		return map[bool]float64{true: 0, false: 1}[t > 0]
	}
	// I_x(df/2, 1/2) at x = df/(df+t²) is the probability of both tails.
	tail := betaTailOfStudent(t*t, df) / 2
	if t < 0 {
		return 1 - tail
	}
	return tail
}

func betaTailOfStudent(t2, df float64) float64 {
	x, y := df/(df+t2), t2/(df+t2)
	switch {
	case y == 0:
		return 1
	case x > (df/2+1)/(df/2+2.5):
		return 1 - betaTail(y, x, 0.5, df/2)
	}
	return betaTail(x, y, df/2, 0.5)
}

// studentQuantile returns the t that Student's t with df degrees of freedom is
// below with probability p, for p of one half or more. The tail is convex and
// heavier than the normal one, so Newton's method climbs to t from the normal
// quantile and never passes it.
func studentQuantile(p, df float64) float64 {
	t, tail := normalQuantile(p), 1-p
	la, _ := math.Lgamma((df + 1) / 2)
	lb, _ := math.Lgamma(df / 2)
	for range 200 {
		density := math.Exp(la-lb-(df+1)/2*math.Log1p(t*t/df)) / math.Sqrt(df*math.Pi)
		step := (studentTail(t, df) - tail) / density
		t += step
		if math.Abs(step) <= 1e-14*t {
			break
		}
	}
	return t
}

// root returns where low(x) changes from true to false between a and b, to the
// last digit that floats have.
func root(a, b float64, low func(float64) bool) float64 {
	for range 2000 {
		x := a + (b-a)/2
		if x <= a || x >= b {
			break
		}
		if low(x) {
			a = x
		} else {
			b = x
		}
	}
	return b
}
