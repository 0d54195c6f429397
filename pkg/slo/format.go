package slo

import (
	"math"
	"math/big"
	"strings"
)

// displayUnits are the units that values are shown in, ascending; a value is
// shown in the largest that it fills. Millionths carry their own sign here,
// where people read, and `us` in the grammar, where people type.
var displayUnits = map[Unit][]unit{
	Seconds:   {{" ns", Seconds, big.NewRat(1, 1e9)}, {" µs", Seconds, big.NewRat(1, 1e6)}, {" ms", Seconds, big.NewRat(1, 1e3)}, {" s", Seconds, big.NewRat(1, 1)}},
	Ratio:     {{" %", Ratio, big.NewRat(1, 100)}},
	PerSecond: {{"/s", PerSecond, big.NewRat(1, 1)}},
	Count:     {{"", Count, big.NewRat(1, 1)}},
	Bytes: {{" B", Bytes, big.NewRat(1, 1)}, {" KiB", Bytes, big.NewRat(1<<10, 1)}, {" MiB", Bytes, big.NewRat(1<<20, 1)},
		{" GiB", Bytes, big.NewRat(1<<30, 1)}, {" TiB", Bytes, big.NewRat(1<<40, 1)}},
}

// zeros are what nothing is shown as; it fills no unit.
var zeros = map[Unit]string{Seconds: "0 s", Ratio: "0 %", PerSecond: "0/s", Count: "0", Bytes: "0 B"}

// FormatValue writes a value, in the base unit of u, for people: 187 ms,
// 1.25 s, 4.1 %, 1,024/s, 6,000, 12.3 MiB. It rounds to about three digits but
// never to zero, and never up to 100 %. NaN is "no data", an infinity "no
// finite value".
func FormatValue(v float64, u Unit) string {
	switch {
	case math.IsNaN(v):
		return "no data"
	case math.IsInf(v, 0):
		return "no finite value"
	}
	text, _ := render(exact(v), u, 0)
	return text
}

// maxExtra bounds the digits that are added to keep two numbers apart. Counts
// of 64 bits differ from a limit of 15 digits before that.
const maxExtra = 40

// beside writes a value that was compared with a limit, with as many digits as
// it takes to stand on the same side of it: 199.96 ms is not written 200 ms
// beside a limit of 200 ms. A value that equals a limit without a decimal of
// its own, such as 1000/m, is rounded as usual: no digits would say it.
func beside(v, limit *big.Rat, u Unit) string {
	text, shown := render(v, u, 0)
	if _, decimal := limit.FloatPrec(); !decimal && v.Cmp(limit) == 0 {
		return text
	}
	for extra := 1; extra <= maxExtra && shown.Cmp(limit) != v.Cmp(limit); extra++ {
		text, shown = render(v, u, extra)
	}
	return text
}

// render writes a value with extra digits beyond the usual, and returns the
// number that the text shows, in the base unit.
func render(v *big.Rat, u Unit, extra int) (text string, shown *big.Rat) {
	if v.Sign() == 0 {
		return zeros[u], new(big.Rat)
	}
	size := new(big.Rat).Abs(v)
	steps := displayUnits[u]
	if steps == nil {
		steps = displayUnits[Count]
	}
	for i, step := range steps {
		scaled := new(big.Rat).Quo(size, step.scale)
		number := scaled.FloatString(decimals(scaled, u) + extra)
		rounded, _ := new(big.Rat).SetString(number)
		shown = rounded.Mul(rounded, step.scale)
		text = number + step.name
		if i+1 < len(steps) && shown.Cmp(steps[i+1].scale) >= 0 {
			continue
		}
		whole := new(big.Rat).SetInt64(1)
		if u == Ratio && size.Cmp(whole) < 0 && shown.Cmp(whole) >= 0 {
			return render(v, u, extra+1)
		}
		text = group(number) + step.name
		break
	}
	if v.Sign() < 0 {
		return "-" + text, shown.Neg(shown)
	}
	return text, shown
}

// decimals returns how many digits after the point a scaled value is shown
// with: three digits in all, two for percentages below 10, none lost before
// the point.
func decimals(scaled *big.Rat, u Unit) int {
	v, _ := scaled.Float64()
	digits := int(math.Floor(math.Log10(v))) + 1 // before the point
	switch {
	case u == Count && scaled.IsInt():
		return 0
	case u == Count:
		return max(1, 3-digits)
	case u == Ratio && v < 10:
		return max(0, 2-digits)
	case u == Ratio:
		return 1
	}
	return max(0, 3-digits)
}

// group drops trailing zeros after the point and divides the digits before it
// by commas.
func group(number string) string {
	whole, fraction, _ := strings.Cut(number, ".")
	var b strings.Builder
	for i, digit := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(digit)
	}
	if fraction = strings.TrimRight(fraction, "0"); fraction != "" {
		b.WriteString("." + fraction)
	}
	return b.String()
}
