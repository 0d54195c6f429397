package compare

import "math"

// studentTail returns the probability that Student's t with df degrees of
// freedom is above t. With t = √df·tan θ the density becomes a power of the
// cosine, C·cos^(df-1) θ, which Simpson's rule integrates from θ to π/2: to
// nine digits from 4 degrees of freedom on, and to four below.
func studentTail(t, df float64) float64 {
	if t < 0 {
		return 1 - studentTail(-t, df)
	}
	const intervals = 400
	from := math.Atan(t / math.Sqrt(df))
	step := (math.Pi/2 - from) / intervals
	sum := 0.0
	for i := range intervals + 1 {
		weight := 2.0
		switch {
		case i == 0 || i == intervals:
			weight = 1
		case i%2 == 1:
			weight = 4
		}
		sum += weight * math.Pow(math.Abs(math.Cos(from+float64(i)*step)), df-1)
	}
	a, _ := math.Lgamma((df + 1) / 2)
	b, _ := math.Lgamma(df / 2)
	return min(0.5, math.Exp(a-b)/math.Sqrt(math.Pi)*sum*step/3)
}

// studentQuantile returns the t that Student's t with df degrees of freedom is
// below with probability p, for p of one half or more. The tail is convex there,
// so Newton's steps from 0 approach it from one side.
func studentQuantile(p, df float64) float64 {
	a, _ := math.Lgamma((df + 1) / 2)
	b, _ := math.Lgamma(df / 2)
	peak := math.Exp(a-b) / math.Sqrt(df*math.Pi)
	t := 0.0
	for range 200 {
		density := peak * math.Pow(1+t*t/df, -(df+1)/2)
		step := (studentTail(t, df) - (1 - p)) / density
		t += step
		if math.Abs(step) <= 1e-12*max(1, t) {
			break
		}
	}
	return t
}

// meanOf returns the mean of values, and the variance of that mean.
func meanOf(values []float64) (mean, variance float64) {
	n := float64(len(values))
	for _, v := range values {
		mean += v / n
	}
	for _, v := range values {
		variance += (v - mean) * (v - mean) / (n - 1) / n
	}
	return mean, variance
}

// wilson returns the score interval (Wilson 1927) of a share of which k of n are
// known, t standard deviations wide on each side.
func wilson(k, n, t float64) (low, high float64) {
	mid, half := k+t*t/2, t*math.Sqrt(max(0, k*(n-k)/n)+t*t/4)
	return (mid - half) / (n + t*t), (mid + half) / (n + t*t)
}
