package slo

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func TestValuesAreWrittenForPeople(t *testing.T) {
	for _, c := range []struct {
		v    float64
		u    Unit
		want string
	}{
		{0.187, Seconds, "187 ms"},
		{0.18749, Seconds, "187 ms"},
		{1.25, Seconds, "1.25 s"},
		{1.2, Seconds, "1.2 s"},
		{2, Seconds, "2 s"},
		{0.00085, Seconds, "850 µs"},
		{0.0000123, Seconds, "12.3 µs"},
		{120e-9, Seconds, "120 ns"},
		{0.5e-9, Seconds, "0.5 ns"},
		{0.9996, Seconds, "1 s"},
		{0.0009999, Seconds, "1 ms"},
		{3725.4, Seconds, "3,725 s"},
		{0, Seconds, "0 s"},
		{-0.005, Seconds, "-5 ms"},
		{math.Inf(1), Seconds, "no finite value"},
		{math.NaN(), Seconds, "no data"},
		{0.041, Ratio, "4.1 %"},
		{0.0408, Ratio, "4.1 %"},
		{0.04, Ratio, "4 %"},
		{0.123, Ratio, "12.3 %"},
		{0.0000123, Ratio, "0.0012 %"},
		{0, Ratio, "0 %"},
		{1, Ratio, "100 %"},
		{0.999, Ratio, "99.9 %"},
		{0.9999, Ratio, "99.99 %"},
		{0.99999, Ratio, "99.999 %"},
		{1024, PerSecond, "1,024/s"},
		{1024.4, PerSecond, "1,024/s"},
		{12.34, PerSecond, "12.3/s"},
		{0.5, PerSecond, "0.5/s"},
		{0.00123456, PerSecond, "0.00123/s"},
		{6000, Count, "6,000"},
		{1234567, Count, "1,234,567"},
		{999, Count, "999"},
		{2.5, Count, "2.5"},
		{0, Count, "0"},
		{12.3 * (1 << 20), Bytes, "12.3 MiB"},
		{512, Bytes, "512 B"},
		{1023.99 * 1024, Bytes, "1 MiB"},
		{1000, Bytes, "1,000 B"},
		{3 * (1 << 40), Bytes, "3 TiB"},
		{0, Bytes, "0 B"},
	} {
		if got := FormatValue(c.v, c.u); got != c.want {
			t.Errorf("FormatValue(%v, %d) = %q, want %q", c.v, c.u, got, c.want)
		}
	}
}

func TestDigitsAreAddedUntilTheSideOfTheLimitShows(t *testing.T) {
	for _, c := range []struct {
		v, limit float64
		u        Unit
		want     string
	}{
		{0.19996, 0.2, Seconds, "199.96 ms"},
		{0.20004, 0.2, Seconds, "200.04 ms"},
		{0.2, 0.2, Seconds, "200 ms"},
		{0.200000001, 0.2, Seconds, "200.000001 ms"},
		{0.187, 0.2, Seconds, "187 ms"},
		{0.05001, 0.05, Ratio, "5.001 %"},
		{999.9, 1000, PerSecond, "999.9/s"},
		{0.99996, 1, Seconds, "999.96 ms"},
		{1.5, 1.4999, Seconds, "1.5 s"},
		{1.4999, 1.4996, Seconds, "1.5 s"},
		{1.4994, 1.4996, Seconds, "1.499 s"},
	} {
		if got := beside(exact(c.v), exact(c.limit), c.u); got != c.want {
			t.Errorf("%v beside %v is %q, want %q", c.v, c.limit, got, c.want)
		}
	}
}

func TestWhatIsShownStandsOnTheSideOfTheLimitThatTheValueHas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := Unit(rapid.IntRange(int(Seconds), int(Bytes)).Draw(t, "unit"))
		limit := rapid.Float64Range(1e-6, 1e9).Draw(t, "limit")
		v := limit * rapid.SampledFrom([]float64{1, 1 - 1e-12, 1 + 1e-12, 0.9999, 1.0001, 0.5, 2}).Draw(t, "factor")
		text := beside(exact(v), exact(limit), u)
		found := false
		for extra := 0; extra <= maxExtra && !found; extra++ {
			again, shown := render(exact(v), u, extra)
			found = again == text && shown.Cmp(exact(limit)) == exact(v).Cmp(exact(limit))
		}
		if !found {
			t.Fatalf("%v beside %v is written %q", v, limit, text)
		}
	})
}

func TestNothingButZeroIsShownAsZero(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := Unit(rapid.IntRange(int(Seconds), int(Bytes)).Draw(t, "unit"))
		v := rapid.Float64Range(1e-15, 1e15).Draw(t, "v")
		text, shown := render(exact(v), u, 0)
		if shown.Sign() == 0 {
			t.Fatalf("%v is shown as %q", v, text)
		}
		if difference := new(big.Rat).Sub(shown, exact(v)); difference.Abs(difference).Cmp(new(big.Rat).Mul(exact(v), big.NewRat(6, 100))) > 0 {
			t.Fatalf("%v is shown as %q, more than 6 %% off", v, text)
		}
	})
}
