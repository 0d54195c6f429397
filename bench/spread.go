//go:build linux

package main

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A spread is what several runs measured: none is unknown, not 0.
type spread []float64

// ascending is the spread of some figures; NaN is left out.
func ascending(figures []float64) spread {
	v := slices.DeleteFunc(slices.Clone(figures), math.IsNaN)
	slices.Sort(v)
	return v
}

// spreadOf takes one figure from each sample.
func spreadOf(samples []sample, figure func(sample) float64) spread {
	var figures []float64
	for _, s := range samples {
		figures = append(figures, figure(s))
	}
	return ascending(figures)
}

// mean is NaN of nothing.
func (v spread) mean() float64 {
	sum := 0.0
	for _, f := range v {
		sum += f
	}
	return sum / float64(len(v))
}

// most is the largest; NaN of nothing.
func (v spread) most() float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	return v[len(v)-1]
}

// median is NaN of nothing.
func (v spread) median() float64 {
	switch n := len(v); {
	case n == 0:
		return math.NaN()
	case n%2 == 1:
		return v[n/2]
	default:
		return (v[n/2-1] + v[n/2]) / 2
	}
}

// text is "5.9 (5.7–6.3)": median, least and most; one value stands alone.
func (v spread) text(write func(float64) string) string {
	switch len(v) {
	case 0:
		return "–"
	case 1:
		return write(v[0])
	}
	return fmt.Sprintf("%s (%s–%s)", write(v.median()), write(v[0]), write(v[len(v)-1]))
}

// digits writes a figure to three significant digits, at most to the hundredth.
func digits(f float64) string {
	switch a := math.Abs(f); {
	case math.IsNaN(f):
		return "–"
	case a >= 99.95:
		return grouped(math.Round(f))
	case a >= 9.995:
		return trim(f, 1)
	}
	return trim(f, 2)
}

func trim(f float64, decimals int) string {
	text := strconv.FormatFloat(f, 'f', decimals, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	if text == "-0" {
		return "0"
	}
	return text
}

// grouped writes a whole number with a comma for each thousand.
func grouped(f float64) string {
	text := strconv.FormatFloat(math.Abs(f), 'f', 0, 64)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	if f < 0 {
		return "-" + text
	}
	return text
}

func percent(f float64) string { return digits(100*f) + " %" }

// signed is a relative error: "+0.6 %".
func signed(f float64) string {
	if math.IsNaN(f) {
		return "–"
	}
	text := percent(f)
	if f > 0 && text != "0 %" {
		return "+" + text
	}
	return text
}

func micros(d time.Duration) string { return digits(float64(d)/1e3) + " µs" }

func mebi(bytes int64) string { return digits(float64(bytes)/(1<<20)) + " MB" }

// port finds the address of a target, which is another in each run.
var port = regexp.MustCompile(`127\.0\.0\.1:\d+`)

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
