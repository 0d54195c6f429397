package spec

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// QuantityError says why a text is not a quantity, and what to write instead.
type QuantityError struct{ Msg, Hint string }

func (e *QuantityError) Error() string { return e.Msg + ": " + e.Hint }

// maxDuration is far beyond any load test, and keeps sums of durations from overflowing.
const maxDuration = 1000 * time.Hour

var (
	bareNumber   = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?$`)
	durationText = regexp.MustCompile(`^([0-9]+(\.[0-9]+)?h)?([0-9]+(\.[0-9]+)?m)?([0-9]+(\.[0-9]+)?s)?([0-9]+(\.[0-9]+)?ms)?([0-9]+(\.[0-9]+)?us)?$`)
	numberUnit   = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z%/]*)$`)
)

// ParseDuration reads 200ms, 5s, 1m30s or 1h: units h, m, s, ms and us, from
// large to small. It refuses what has no unit and what is negative. Errors are
// *QuantityError.
func ParseDuration(s string) (time.Duration, error) {
	switch {
	case bareNumber.MatchString(s):
		return 0, &QuantityError{fmt.Sprintf("%s has no unit", s), fmt.Sprintf("write %ss (or %sms, %sm)", s, s, s)}
	case s == "" || !durationText.MatchString(s):
		return 0, &QuantityError{quote(s) + " is not a duration", "write it like 200ms, 5s, 1m30s or 1h"}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d > maxDuration {
		return 0, &QuantityError{s + " is too long", "a duration is at most 1000h"}
	}
	return d, nil
}

// FormatDuration writes a duration as people write it in a spec: 5m, 1m30s. Of
// whole microseconds, ParseDuration reads it back.
func FormatDuration(d time.Duration) string {
	text := strings.ReplaceAll(d.String(), "µ", "u")
	for _, zero := range []struct{ long, short string }{{"m0s", "m"}, {"h0m", "h"}} {
		if rest, ok := strings.CutSuffix(text, zero.long); ok {
			text = rest + zero.short
		}
	}
	return text
}

// ParseRange reads a duration, or two as in 2s..5s. Errors are *QuantityError.
func ParseRange(s string) (least, most time.Duration, err error) {
	from, to, isRange := strings.Cut(s, "..")
	if least, err = ParseDuration(from); err != nil || !isRange {
		return least, least, err
	}
	if most, err = ParseDuration(to); err != nil {
		return 0, 0, err
	}
	if most < least {
		return 0, 0, &QuantityError{s + " ends before it begins", fmt.Sprintf("write %s..%s", to, from)}
	}
	return least, most, nil
}

// leastOpenHold is the shortest hold that may end early: a verdict needs
// twenty batches, of a second each at least, before it is first looked for.
const leastOpenHold = 20 * time.Second

// ParseHold reads how long a stage keeps its level: 1m, or the least and the
// most of a hold that ends when its objectives are decided, 1m..5m. most is 0
// for a fixed hold. Errors are *QuantityError.
func ParseHold(s string) (least, most time.Duration, err error) {
	from, to, open := strings.Cut(s, "..")
	if !open {
		least, err = ParseDuration(s)
		return least, 0, err
	}
	least, most, err = ParseRange(s)
	switch {
	case err != nil:
		return 0, 0, err
	case least == most:
		return 0, 0, &QuantityError{s + " has one length", "write " + from + ", or a longer second one"}
	case most <= leastOpenHold:
		return 0, 0, &QuantityError{s + " is too short to end early", "write " + to + ": the first look takes 20s of load"}
	case least < leastOpenHold:
		return 0, 0, &QuantityError{s + " begins too early", "write 20s.." + to + ": the first look takes 20s of load"}
	}
	return least, most, nil
}

type hold struct{ least, most time.Duration }

func parseHold(s string) (h hold, err error) {
	h.least, h.most, err = ParseHold(s)
	return h, err
}

// ParseRate reads 100/s, 30/m (a minute) or 1000/h, and returns it per second.
// Errors are *QuantityError.
func ParseRate(s string) (perSecond float64, err error) {
	number, unit, ok := strings.Cut(s, "/")
	periods := map[string]float64{"s": 1, "m": 60, "h": 3600}
	switch {
	case bareNumber.MatchString(s):
		return 0, &QuantityError{fmt.Sprintf("%s has no unit", s), fmt.Sprintf("write %s/s", s)}
	case !ok || !bareNumber.MatchString(number) || periods[unit] == 0:
		return 0, &QuantityError{quote(s) + " is not a rate", "write it like 100/s, 30/m or 1000/h"}
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || n > maxLevel {
		return 0, &QuantityError{s + " is too much", fmt.Sprintf("a rate is at most %d/s", maxLevel)}
	}
	return n / periods[unit], nil
}

// ParsePercent reads 1% or 99.9% and returns it as a ratio, 0.01 or 0.999.
// Errors are *QuantityError.
func ParsePercent(s string) (ratio float64, err error) {
	number, isPercent := strings.CutSuffix(s, "%")
	switch {
	case bareNumber.MatchString(s):
		return 0, &QuantityError{fmt.Sprintf("%s has no unit", s), fmt.Sprintf("write %s%%", s)}
	case !isPercent || !bareNumber.MatchString(number):
		return 0, &QuantityError{quote(s) + " is not a percentage", "write it like 1% or 99.9%"}
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || n > 100 {
		return 0, &QuantityError{s + " is more than all", "a ratio is at most 100%"}
	}
	return n / 100, nil
}

// ParseSize reads 512B, 64KiB, 1.5MiB, 64kB or 10MB, and returns it in bytes.
// Errors are *QuantityError.
func ParseSize(s string) (bytes int64, err error) {
	units := map[string]float64{"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
	m := numberUnit.FindStringSubmatch(s)
	switch {
	case bareNumber.MatchString(s):
		return 0, &QuantityError{fmt.Sprintf("%s has no unit", s), fmt.Sprintf("write %sB (or %sKiB, %sMiB)", s, s, s)}
	case m == nil || units[m[2]] == 0:
		return 0, &QuantityError{quote(s) + " is not a size", "write it like 512B, 64KiB or 10MB"}
	}
	n, err := strconv.ParseFloat(m[1], 64)
	if size := n * units[m[2]]; err == nil && size <= math.MaxInt64/2 {
		return int64(math.Round(size)), nil
	}
	return 0, &QuantityError{s + " is too large", "a size is at most some exbibytes"}
}
