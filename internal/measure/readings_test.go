package measure

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var silent = math.NaN()

// read makes readings that were asked for at seconds.
func read(counter bool, pairs ...float64) *Readings {
	r := &Readings{Probe: "stored", Counter: counter}
	for i := 0; i < len(pairs); i += 2 {
		one := Reading{At: int64(pairs[i] * 1e9), Value: pairs[i+1]}
		if math.IsNaN(one.Value) {
			one.Why = "connection refused"
		}
		r.List = append(r.List, one)
	}
	return r
}

func TestDeltaIsTheRiseFromBeforeTheLoadToAfterTheDrain(t *testing.T) {
	const elapsed = int64(60e9)
	for name, c := range map[string]struct {
		readings *Readings
		value    float64
		why      string
	}{
		"a rise":                        {read(true, -1, 100, 30, 120, 60, 142), 42, ""},
		"nothing":                       {read(true, -1, 100, 61, 100), 0, ""},
		"what is no counter may fall":   {read(false, -1, 100, 30, 3, 61, 90), -10, ""},
		"silence on the way is no fall": {read(true, -1, 100, 30, silent, 61, 101), 1, ""},
		"never read":                    {read(true), 0, "was never read"},
		"not read before":               {read(true, 0, 100, 61, 101), 0, "was not read before the load"},
		"silent before":                 {read(true, -1, silent, 30, 100, 61, 101), 0, "did not answer before the load: connection refused"},
		"not read after":                {read(true, -1, 100, 59.999, 101), 0, "was not read after the drain"},
		"silent after":                  {read(true, -1, 100, 59, 101, 61, silent), 0, "did not answer after the drain: connection refused"},
		"a counter began anew":          {read(true, -1, 100, 30, 3, 61, 142), 0, "fell from 100 to 3, 30s into the run"},
		"in the end":                    {read(true, -1, 100, 61, 99), 0, "fell from 100 to 99"},
		"between silences":              {read(true, -1, 100, 10, silent, 20, 7, 30, silent, 61, 200), 0, "fell from 100 to 7"},
		"one reading is not two":        {read(true, 61, 100), 0, "was not read before the load"},
		"infinity is no answer":         {read(true, -1, 1, 61, math.Inf(1)), 0, "did not answer after the drain"},
	} {
		got := c.readings.Delta(elapsed)
		if c.why == "" && (got.Value != c.value || got.N != 2 || got.Why != "") {
			t.Errorf("%s: %+v, want %v", name, got, c.value)
		}
		if c.why != "" && (got.N != 0 || !strings.HasPrefix(got.Why, "probe stored ") || !strings.Contains(got.Why, c.why)) {
			t.Errorf("%s: %+v, want %q", name, got, c.why)
		}
	}
}

func TestReadingsBelongToTheSpanInWhichTheyWereAskedFor(t *testing.T) {
	r := read(false, -1, 1, 9.999, 2, 10, 3, 15, silent, 20, 5, 29.999, 6, 30, 7)
	values, why := r.Within(10e9, 30e9)
	if len(values) != 4 || values[0] != 3 || !math.IsNaN(values[1]) || values[2] != 5 || values[3] != 6 || why != "connection refused" {
		t.Errorf("%v, %q", values, why)
	}
	if values, why := r.Within(10.5e9, 14e9); values != nil || why != "" {
		t.Errorf("%v, %q of a span between two readings", values, why)
	}
}

// Spans that follow each other have every reading of theirs once.
func TestSpansShareTheReadingsOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := &Readings{}
		for _, at := range rapid.SliceOf(rapid.Int64Range(0, 99)).Draw(t, "at") {
			r.List = append(r.List, Reading{At: at, Value: rapid.SampledFrom([]float64{1, silent}).Draw(t, "value")})
		}
		cut := rapid.Int64Range(0, 100).Draw(t, "cut")
		before, _ := r.Within(0, cut)
		after, _ := r.Within(cut, 100)
		if len(before)+len(after) != len(r.List) {
			t.Fatalf("%d and %d of %d readings", len(before), len(after), len(r.List))
		}
	})
}
