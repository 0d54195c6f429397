package slo

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func near(t *testing.T, what string, got, want, relative float64) {
	t.Helper()
	if !(math.Abs(got-want) <= relative*math.Abs(want)) {
		t.Errorf("%s is %.12g, want %.12g", what, got, want)
	}
}

// The tables of Student's t in every handbook (Abramowitz and Stegun 1964,
// table 26.10), to the digits that they print.
func TestStudentQuantilesAreThoseOfTheTables(t *testing.T) {
	for _, c := range []struct{ p, df, want float64 }{
		{0.95, 1, 6.314}, {0.95, 2, 2.920}, {0.95, 9, 1.833}, {0.95, 10, 1.812}, {0.95, 19, 1.729}, {0.95, 30, 1.697}, {0.95, 120, 1.658},
		{0.975, 1, 12.706}, {0.975, 4, 2.776}, {0.975, 19, 2.093}, {0.975, 60, 2.000},
		{0.99, 1, 31.821}, {0.99, 9, 2.821}, {0.99, 19, 2.539},
		{0.995, 1, 63.657}, {0.995, 19, 2.861}, {0.9995, 1, 636.619}, {0.9995, 19, 3.883}, {0.9995, 120, 3.373},
	} {
		if got := studentQuantile(c.p, c.df); math.Abs(got-c.want) > 0.0005001 {
			t.Errorf("t of %v with %v degrees of freedom is %.5f, want %.3f", c.p, c.df, got, c.want)
		}
	}
}

func TestStudentWithOneAndTwoDegreesHasAClosedForm(t *testing.T) {
	for _, p := range []float64{0.5001, 0.6, 0.9, 0.95, 0.999, 1 - 1e-6, 1 - 1e-9, 1 - 1e-12} {
		tail := 1 - p // as the float has it
		near(t, "Cauchy's quantile", studentQuantile(p, 1), 1/math.Tan(math.Pi*tail), 1e-9)
		near(t, "t with 2 degrees", studentQuantile(p, 2), (1-2*tail)/math.Sqrt(2*tail*(1-tail)), 1e-9)
	}
}

func TestNormalQuantilesAreThoseOfTheTables(t *testing.T) {
	for p, want := range map[float64]float64{0.5: 0, 0.9: 1.281551565545, 0.95: 1.644853626951, 0.975: 1.959963984540, 0.99: 2.326347874041, 0.999: 3.090232306168} {
		if got := normalQuantile(p); math.Abs(got-want) > 1e-11 {
			t.Errorf("z of %v is %.12f, want %.12f", p, got, want)
		}
	}
	near(t, "t of very many degrees", studentQuantile(0.95, 1e7), 1.644853626951, 1e-6)
}

// The percentage points of the beta distribution of Pearson and Hartley 1954
// (table 16) are Clopper and Pearson's bounds; these are the ones that are
// known without a table, and a few that are in all of them.
func TestClopperPearsonBoundsAreThoseOfTheTables(t *testing.T) {
	for _, c := range []struct {
		k, n, confidence float64
		low, high        float64
	}{
		{0, 10, 0.975, 0, 0.3085},
		{1, 10, 0.975, 0.0025, 0.4450},
		{3, 10, 0.975, 0.0667, 0.6525},
		{5, 10, 0.975, 0.1871, 0.8129},
		{10, 10, 0.975, 0.6915, 1},
		{5, 100, 0.975, 0.0164, 0.1128},
		{10, 100, 0.95, 0.0553, 0.1637},
		{0, 59, 0.95, 0, 1 - math.Pow(0.05, 1./59)},
		{0, 299, 0.95, 0, 1 - math.Pow(0.05, 1./299)},
	} {
		low, high := clopperPearson(c.k, c.n, c.confidence, false), clopperPearson(c.k, c.n, c.confidence, true)
		if math.Abs(low-c.low) > 0.00006 || math.Abs(high-c.high) > 0.00006 {
			t.Errorf("%v of %v at %v: %.5f to %.5f, want %.4f to %.4f", c.k, c.n, c.confidence, low, high, c.low, c.high)
		}
	}
}

// Newcombe 1998, table I, method 4.
func TestWilsonBoundsAreThoseOfNewcombe(t *testing.T) {
	z := normalQuantile(0.975)
	for _, c := range []struct{ k, n, low, high float64 }{
		{81, 263, 0.2535, 0.3682}, {15, 148, 0.0598, 0.1644}, {0, 20, 0, 0.2005}, {1, 29, 0.0018, 0.1963},
	} {
		low, high := wilson(c.k, c.n, z, false), wilson(c.k, c.n, z, true)
		if math.Abs(low-c.low) > 0.00006 || math.Abs(high-c.high) > 0.00006 {
			t.Errorf("%v of %v: %.5f to %.5f, want %.4f to %.4f", c.k, c.n, low, high, c.low, c.high)
		}
	}
}

func TestBetaRatioIsTheSumOfTheBinomial(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 60).Draw(t, "n")
		k := rapid.IntRange(1, n).Draw(t, "k")
		p := rapid.Float64Range(0.001, 0.999).Draw(t, "p")
		// P(X >= k) = I_p(k, n-k+1)
		want := 0.0
		for i := k; i <= n; i++ {
			want += math.Exp(-logBeta(float64(i+1), float64(n-i+1))+float64(i)*math.Log(p)+float64(n-i)*math.Log1p(-p)) / float64(n+1)
		}
		if got := betaRatio(p, float64(k), float64(n-k+1)); math.Abs(got-want) > 1e-12+1e-10*want {
			t.Fatalf("P(X >= %d) of %d at %v is %v, want %v", k, n, p, got, want)
		}
	})
}

func TestQuantilesInvertTheirDistributions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.Float64Range(0.05, 2000).Draw(t, "a")
		b := rapid.Float64Range(1, 200_000).Draw(t, "b") // below, x is so near 1 that floats cannot hold it
		p := rapid.Float64Range(0.001, 0.999).Draw(t, "p")
		if got := betaRatio(betaQuantile(p, a, b), a, b); math.Abs(got-p) > 1e-9 {
			t.Fatalf("Beta(%v, %v) at its quantile of %v is %v", a, b, p, got)
		}
		df := rapid.Float64Range(1, 500).Draw(t, "df")
		q := 1 - math.Pow(10, rapid.Float64Range(-12, -0.302).Draw(t, "tail"))
		if got := studentTail(studentQuantile(q, df), df); math.Abs(got-(1-q)) > 1e-8*(1-q) {
			t.Fatalf("the tail of t(%v) at its quantile of %v is %v", df, q, got)
		}
	})
}

func TestTailsAtTheEndsOfTheirDomain(t *testing.T) {
	for _, c := range []struct{ got, want float64 }{
		{betaRatio(0, 2, 3), 0}, {betaRatio(1, 2, 3), 1}, {betaRatio(-1, 2, 3), 0}, {betaRatio(0.5, 7, 7), 0.5},
		{studentTail(0, 5), 0.5}, {studentTail(math.Inf(1), 5), 0}, {studentTail(math.Inf(-1), 5), 1},
	} {
		if math.Abs(c.got-c.want) > 1e-14 {
			t.Errorf("%v, want %v", c.got, c.want)
		}
	}
	// A hundred million requests are still exact: the normal approximation agrees.
	p, n := 0.01, 1e8
	near(t, "Clopper and Pearson at 1e8", clopperPearson(p*n, n, 0.95, true), p+1.64485*math.Sqrt(p*(1-p)/n), 1e-5)
}
