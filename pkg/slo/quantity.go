package slo

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits are kept as float64 and compared exactly. Both are possible because a
// decimal of at most 15 digits survives the way to float64 and back: the
// shortest decimal of the float is the number that was written. The parser
// refuses numbers that do not come back.

// exact returns the decimal that a finite float64 was written as.
func exact(v float64) *big.Rat {
	r, _ := new(big.Rat).SetString(strconv.FormatFloat(v, 'e', -1, 64))
	return r
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// product returns r times a whole factor.
func product(r *big.Rat, factor int64) *big.Rat {
	return new(big.Rat).Mul(r, new(big.Rat).SetInt64(factor))
}

// nanos returns a number of nanoseconds in seconds.
func nanos(n int64) *big.Rat { return big.NewRat(n, 1e9) }

// ratePeriods are the periods a rate may be written over, in seconds.
var ratePeriods = []struct {
	unit    string
	seconds int64
}{{"/s", 1}, {"/m", 60}, {"/h", 3600}}

// exactRate returns the rate per second that a limit was written as, and over
// which period. A third of a decimal has no decimal of its own: 1000/m is
// found again as the number over another period that gives the same float.
func exactRate(v float64) (perSecond, written *big.Rat, unit string) {
	for _, p := range ratePeriods {
		written, _ = new(big.Rat).SetString(strconv.FormatFloat(v*float64(p.seconds), 'e', 14, 64))
		perSecond = new(big.Rat).Quo(written, new(big.Rat).SetInt64(p.seconds))
		if back, _ := perSecond.Float64(); back == v {
			return perSecond, written, p.unit
		}
	}
	return exact(v), exact(v), "/s"
}

// exactLimit returns the number that a limit of the unit was written as, in the base unit.
func exactLimit(v float64, u Unit) *big.Rat {
	if u != PerSecond {
		return exact(v)
	}
	perSecond, _, _ := exactRate(v)
	return perSecond
}

// unit is one way to write a unit: value times scale is in the base unit.
type unit struct {
	name  string
	of    Unit
	scale *big.Rat
}

// durationUnits are in descending order, as combined durations must be.
var durationUnits = []unit{
	{"h", Seconds, big.NewRat(3600, 1)}, {"m", Seconds, big.NewRat(60, 1)}, {"s", Seconds, big.NewRat(1, 1)},
	{"ms", Seconds, big.NewRat(1, 1e3)}, {"us", Seconds, big.NewRat(1, 1e6)}, {"ns", Seconds, big.NewRat(1, 1e9)},
}

// byteUnits are in the order in which the canonical form tries them.
var byteUnits = []unit{
	{"GiB", Bytes, big.NewRat(1<<30, 1)}, {"MiB", Bytes, big.NewRat(1<<20, 1)}, {"KiB", Bytes, big.NewRat(1<<10, 1)},
	{"GB", Bytes, big.NewRat(1e9, 1)}, {"MB", Bytes, big.NewRat(1e6, 1)}, {"kB", Bytes, big.NewRat(1e3, 1)},
	{"B", Bytes, big.NewRat(1, 1)},
}

var units = slices.Concat(durationUnits, byteUnits, []unit{
	{"%", Ratio, big.NewRat(1, 100)},
	{"/s", PerSecond, big.NewRat(1, 1)}, {"/m", PerSecond, big.NewRat(1, 60)}, {"/h", PerSecond, big.NewRat(1, 3600)},
})

// unitAliases are spellings that mean one unit without doubt, and are read as it.
var unitAliases = map[string]string{"µs": "us", "μs": "us"}

// unitHints answer spellings that people bring from elsewhere.
var unitHints = map[string]string{
	"sec": "write s", "secs": "write s", "second": "write s", "seconds": "write s",
	"min": "write m", "mins": "write m", "minute": "write m", "minutes": "write m",
	"msec": "write ms", "msecs": "write ms", "millis": "write ms", "hr": "write h", "hours": "write h",
	"d": "write hours: 24h", "rps": "write /s", "req/s": "write /s", "/sec": "write /s", "/min": "write /m",
	"KB": "write kB (1,000) or KiB (1,024)", "kb": "write kB (1,000) or KiB (1,024)",
	"k": "write all digits: 10000 or 10_000", "K": "write all digits: 10000 or 10_000", "M": "write all digits: 1_000_000",
	"e": "write all digits, without an exponent", "E": "write all digits, without an exponent",
	",": "write 10000 or 10_000", "x": "write a decimal number",
}

func unitNames() []string {
	var names []string
	for _, u := range units {
		names = append(names, u.name)
	}
	return names
}

// quantity is a number as written: in the base unit of its unit, or bare.
type quantity struct {
	text  string
	value *big.Rat
	of    Unit // Count for a bare number
}

// complaint is a fault inside a token: offset is relative to its start.
type complaint struct {
	offset    int
	msg, hint string
}

// parseQuantity reads 200ms, 1m30s, 1%, 1000/s, 64KiB, 10_000.
func parseQuantity(token string) (quantity, *complaint) {
	q := quantity{text: token, value: new(big.Rat), of: Count}
	smallest := -1 // index of the last duration unit read
	for rest := token; rest != ""; {
		at := len(token) - len(rest)
		end := strings.IndexFunc(rest, func(r rune) bool { return !isNumeral(r) })
		if end < 0 {
			end = len(rest)
		}
		number, c := parseNumber(rest[:end])
		if c != nil {
			c.offset += at
			return q, c
		}
		rest, at = rest[end:], at+end
		if rest == "" && smallest < 0 {
			q.value = number
			return q, nil
		}
		end = strings.IndexFunc(rest, isNumeral)
		if end < 0 {
			end = len(rest)
		}
		name := rest[:end]
		rest = rest[end:]
		if name == "" {
			return q, &complaint{at, fmt.Sprintf("%s ends in a number without a unit", token), "combined durations read 1m30s"}
		}
		if alias, ok := unitAliases[name]; ok {
			name = alias
		}
		i := slices.IndexFunc(units, func(u unit) bool { return u.name == name })
		if i < 0 {
			return q, &complaint{at, fmt.Sprintf("%q is not a unit", name), unitHint(name)}
		}
		u := units[i]
		if smallest >= 0 && (u.of != Seconds || i <= smallest) {
			return q, &complaint{at, fmt.Sprintf("%s does not combine", token), "units of a duration go from large to small: 1m30s"}
		}
		if rest != "" && u.of != Seconds {
			return q, &complaint{at, fmt.Sprintf("%s goes on after its unit", token), ""}
		}
		q.value.Add(q.value, number.Mul(number, u.scale))
		q.of, smallest = u.of, i
	}
	return q, nil
}

func unitHint(name string) string {
	if h := unitHints[name]; h != "" {
		return h
	}
	if n := nearest(name, unitNames()); n != "" {
		return "write " + n
	}
	return "units are " + oneOf(unitNames())
}

func isNumeral(r rune) bool { return r >= '0' && r <= '9' || r == '.' || r == '_' }

// maxNumeral bounds the digits that are looked at; more cannot be kept anyway.
const maxNumeral = 40

// parseNumber reads digits with an optional fraction, and underscores between digits.
func parseNumber(text string) (*big.Rat, *complaint) {
	whole, fraction, point := strings.Cut(text, ".")
	switch {
	case text == "":
		return nil, &complaint{0, "a number is missing", ""}
	case len(text) > maxNumeral:
		return nil, &complaint{0, "a number of so many digits cannot be kept", "15 digits are"}
	case whole == "":
		return nil, &complaint{0, fmt.Sprintf("%s has no digit before its point", text), "write 0" + text}
	case point && fraction == "":
		return nil, &complaint{0, fmt.Sprintf("%s has no digit after its point", text), "write " + whole}
	case strings.Contains(fraction, "."):
		return nil, &complaint{0, fmt.Sprintf("%s has two points", text), ""}
	case strings.Contains("_"+whole+"_", "__") || strings.Contains("_"+fraction+"_", "__") && fraction != "":
		return nil, &complaint{0, fmt.Sprintf("an underscore in %s does not stand between digits", text), "write 10_000"}
	case len(whole) > 1 && whole[0] == '0':
		return nil, &complaint{0, fmt.Sprintf("%s starts with a zero", text), "write " + withoutZeros(text)}
	}
	r, _ := new(big.Rat).SetString(strings.ReplaceAll(text, "_", ""))
	return r, nil
}

// withoutZeros drops the zeros that make a number look octal.
func withoutZeros(text string) string {
	text = strings.TrimLeft(text, "0_")
	if text == "" || text[0] == '.' {
		return "0" + text
	}
	return text
}

// keep returns the quantity's value as the float64 of a limit, unless the
// float cannot tell the number that was written.
func (q quantity) keep() (float64, *complaint) {
	v, _ := q.value.Float64()
	if v > 1e15 {
		return 0, &complaint{0, q.text + " is too large", ""}
	}
	if exactLimit(v, q.of).Cmp(q.value) != 0 {
		return 0, &complaint{0, q.text + " is more precise than can be kept", "use at most 15 digits"}
	}
	return v, nil
}

// quantityText writes a value of a unit so that the parser reads it back.
func quantityText(v float64, u Unit) string {
	switch u {
	case Seconds:
		return durationText(exact(v))
	case Ratio:
		return decimalText(product(exact(v), 100)) + "%"
	case PerSecond:
		_, written, unit := exactRate(v)
		return decimalText(written) + unit
	case Bytes:
		return bytesText(exact(v))
	}
	return decimalText(exact(v))
}

// durationText writes seconds exactly, in the unit that suits their size.
func durationText(seconds *big.Rat) string {
	if seconds.Sign() == 0 {
		return "0s"
	}
	if seconds.Cmp(big.NewRat(60, 1)) < 0 {
		for _, u := range durationUnits[2:] {
			if scaled := new(big.Rat).Quo(seconds, u.scale); scaled.Cmp(big.NewRat(1, 1)) >= 0 || u.name == "ns" {
				return decimalText(scaled) + u.name
			}
		}
	}
	text, rest := "", new(big.Rat).Set(seconds)
	for _, u := range durationUnits[:2] {
		scaled := new(big.Rat).Quo(rest, u.scale)
		if whole := new(big.Int).Quo(scaled.Num(), scaled.Denom()); whole.Sign() > 0 {
			text += whole.String() + u.name
			rest.Sub(rest, new(big.Rat).Mul(new(big.Rat).SetInt(whole), u.scale))
		}
	}
	if rest.Sign() == 0 {
		return text
	}
	return text + decimalText(rest) + "s"
}

// spanText writes a length of time so that the parser reads it back.
func spanText(d time.Duration) string { return durationText(nanos(d.Nanoseconds())) }

// bytesText writes bytes exactly, in the largest unit of which they are a whole number.
func bytesText(bytes *big.Rat) string {
	if bytes.Sign() == 0 {
		return "0B"
	}
	for _, u := range byteUnits {
		if scaled := new(big.Rat).Quo(bytes, u.scale); scaled.IsInt() {
			return decimalText(scaled) + u.name
		}
	}
	return decimalText(bytes) + "B"
}

// decimalText writes a number that has a finite decimal, exactly.
func decimalText(r *big.Rat) string {
	digits, _ := r.FloatPrec()
	return r.FloatString(digits)
}
