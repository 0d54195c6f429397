package slo

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestFaultsOfWindowsRecoveryBaselineAndRelationSayWhereWhyAndWhatToWrite(t *testing.T) {
	for _, c := range []struct {
		src    string
		offset int
		msg    string // part of the message
		hint   string // part of the hint
	}{
		// windows
		{"p95 < 200ms every", 17, "every needs a duration", "write every 10s"},
		{"p95 < 200ms every 10", 18, "10 has no unit", "write every 10s"},
		{"p95 < 200ms every window", 18, "needs a duration", "write every 10s"},
		{"p95 < 200ms every 5%", 18, "5% is none", "every 10s"},
		{"p95 < 200ms every 10sec", 20, `"sec"`, "write s"},
		{"p95 < 200ms every 10 s", 18, "no unit", "every 10s"},
		{"p95 < 200ms every -10s", 18, "needs a duration", ""},
		{"p95 < 200ms every 0s", 18, "above zero", ""},
		{"p95 < 200ms every 0", 18, "above zero", ""},
		{"p95 < 200ms every 0.5ns", 18, "nanoseconds", ""},
		{"p95 < 200ms every 9999999999h", 18, "too large", ""},
		{"p95 < 200ms every 500ms", 12, "whole number of seconds", "every 10s"},
		{"p95 < 200ms every 1.5s", 12, "whole number of seconds", "every 10s"},
		{"p95 < 200ms every 61m", 12, "at most one hour", "every 10s"},
		{"p95 < 200ms every 10s every 5s", 22, "every stands twice", ""},
		{"p95 < 200ms every 10s during a", 22, "during comes before every", "the order is"},
		{"p95 < 200ms every 10s including ramps", 22, "including ramps comes before every", "the order is"},
		{"p95 < 200ms evry 10s", 12, `"evry"`, "write every"},
		{"p95 < 200ms in 95% of windows", 12, "without their length", "write every 10s in 95% of windows"},
		{"p95 < 200ms in 95% of windows every 10s", 12, "without their length", "write every 10s in 95% of windows"},
		{"p95 < 200ms every 10s in", 24, "percentage of windows", "write in 95% of windows"},
		{"p95 < 200ms every 10s in most of windows", 25, "percentage of windows", "write in 95% of windows"},
		{"p95 < 200ms every 10s in 95 of windows", 25, "no unit", "write in 95% of windows"},
		{"p95 < 200ms every 10s in 95s of windows", 25, "95s is not", "95%"},
		{"p95 < 200ms every 10s in 0% of windows", 25, "no promise", "95%"},
		{"p95 < 200ms every 10s in 101% of windows", 25, "more than all", "95%"},
		{"p95 < 200ms every 10s in 95pc of windows", 27, `"pc"`, "units are"},
		{"p95 < 200ms every 10s in 99.12345678901234567% of windows", 25, "precise", "15 digits"},
		{"p95 < 200ms every 10s in 95%", 28, "not by of", "in 95% of windows"},
		{"p95 < 200ms every 10s in 95% windows", 29, "not by of", "in 95% of windows"},
		{"p95 < 200ms every 10s in 95% of them", 32, "not by windows", "in 95% of windows"},
		{"p95 < 200ms every 10s in 95% of windows in 9% of windows", 40, "twice", ""},
		{"users >= 5 every 10s", 11, "every second already", "leave the windows out"},
		{"requests == 5 every 10s", 9, "but by chance", "<="},
		{"bytes_in != 5B every 10s", 9, "but by chance", "<="},
		{"p95 > 200ms every 10s", 4, "upper bound", "write p95 < 200ms"},

		// recovery
		{"p95 < 200ms within", 18, "within needs a duration", "within 30s after STAGE"},
		{"p95 < 200ms within 30", 19, "no unit", "within 30s after STAGE"},
		{"p95 < 200ms within after spike", 19, "needs a duration", "within 30s after STAGE"},
		{"p95 < 200ms within 30s", 22, `the end, not by after`, "write within 30s after STAGE"},
		{"p95 < 200ms within 30s of spike", 23, `"of", not by after`, "write within 30s after STAGE"},
		{"p95 < 200ms within 30s after", 28, "name is missing", "after STAGE"},
		{"p95 < 200ms within 30s after every 10s", 29, "the word every", `after "every"`},
		{"p95 < 200ms within 0s after spike", 19, "above zero", ""},
		{"p95 < 200ms after spike", 12, "the time in which to recover", "within 30s after STAGE"},
		{"p95 < 200ms after spike within 30s", 12, "the time in which to recover", "within 30s after STAGE"},
		{"p95 < 200ms within 30s after spike within 5s after spike", 35, "twice", ""},
		{"p95 < 200ms within 30s after spike every 1s", 35, "every comes before within", "the order is"},
		{"p95 < 200ms within 30s after spike during a", 35, "during comes before within", "the order is"},
		{"p95 < 200ms during a within 30s after spike", 21, "the peak of spike, and not in a", "keep one"},
		{"p95{stage=a} < 200ms within 30s after spike", 21, "the peak of spike, and not in a", "keep one"},
		{"p95 < 200ms including ramps within 30s after spike", 12, "ramps after it belong to it", "leave"},
		{"p95 < 200ms every 1s in 95% of windows within 30s after spike", 21, "all windows from its moment", "leave in 95%"},
		{"p95 < 200ms within 3s after spike", 12, "windows of 5s", "every 1s"},
		{"p95 < 200ms every 1m within 30s after spike", 21, "windows of 1m", "every 1s"},
		{"p95 < 200ms every 500ms within 30s after spike", 12, "whole number of seconds", ""},
		{"p95 < 200ms within 25h after spike", 12, "at most one day", ""},
		{"users >= 5 within 30s after spike", 11, "no recovery", ""},
		{"successes >= 5 within 30s after spike", 15, "a total", "throughput"},
		{"bytes_in < 5B within 30s after spike", 14, "a total", "throughput"},
		{"dropped <= 5 within 30s after spike", 13, "a total", "errors"},

		// baseline
		{"p95 <= 110% of", 14, "not by baseline", "write 110% of baseline"},
		{"p95 <= 110% of last run", 15, `"last", not by baseline`, "write 110% of baseline"},
		{"p95 <= 110% of the baseline", 15, `"the", not by baseline`, "write 110% of baseline"},
		{"p95 <= 110 % of baseline", 11, `goes on with "%"`, "without a space"},
		{"p95 <= 110% of baseline of baseline", 24, "twice", ""},
		{"p95 <= 110% of baseline during a of baseline", 33, "twice", ""},
		{"p95 <= 200ms of baseline", 7, "200ms is not", "write 110% of baseline"},
		{"p95 <= 110 of baseline", 7, "110 is not", "write 110% of baseline"},
		{"p95 <= 0 of baseline", 7, "0 is not", "write 110% of baseline"},
		{"p95 <= 0% of baseline", 7, "above zero", "write 110% of baseline"},
		{"p95 <= 110.12345678901234567% of baseline", 7, "precise", ""},
		{"p95 <= 110%", 7, "110% is not", "write 200ms, or 110% of baseline"},
		{"p95 <= baseline", 7, "a share of it", "write 110% of baseline"},
		{"errors <= baseline + 1%", 10, "a share of it", "write 110% of baseline"},
		{"p95 >= 110% of baseline", 4, "upper bound", "write p95 < 110% of baseline"},
		{"throughput <= 90% of baseline", 11, "lower bound", "write throughput >= 90% of baseline"},
		{"requests == 100% of baseline", 9, "no two runs", "requests <= 100% of baseline"},
		{"errors == 100% of baseline", 7, "no two runs", "errors <= 100% of baseline"},
		{"users >= 90% of baseline", 13, "no baseline", "value"},
		{"heap <= 110% of baseline", 13, "no baseline", "value"},
		{"p95 <= 110% of baseline every 10s", 24, "no windows", "keep one"},
		{"p95 <= 110% every 10s of baseline", 12, "no windows", "keep one"},
		{"p95 <= 110% of baseline within 30s after spike", 24, "not measured by a baseline", ""},

		// relations and delta()
		{"delta > 5", 6, "probe in parentheses", "delta(PROBE)"},
		{"delta() > 5", 6, "needs a probe", "delta(PROBE)"},
		{`delta("heap") > 5`, 6, "needs a probe", "delta(PROBE)"},
		{"delta(heap > 5", 11, "closing parenthesis", "delta(PROBE)"},
		{"delta(heep) > 5", 6, "no probe is called heep", "write delta(heap)"},
		{"delta(nothing_like_it) > 5", 6, "no probe", "probes are alerts_stored, pg_connections, heap"},
		{"delta(successes) > 5", 6, "no probe", "write successes"},
		{"delta(heap){task=a} > 5", 11, "has no task", "without a selector"},
		{"ok.delta(heap) > 5", 0, "only before pN", "write delta(heap)"},
		{"delta(heap) > 5 during a", 16, "whole run", "leave it out"},
		{"delta(heap){stage=a} > 5", 11, "has no stage", ""},
		{"delta(heap) > 5 including ramps", 16, "whole run", "leave it out"},
		{"delta(heap) > 5 every 10s", 16, "whole run", "leave it out"},
		{"delta(heap) > 5 within 30s after spike", 16, "whole run", "leave it out"},
		{"delta(heap) > 110% of baseline", 19, "whole run", "leave it out"},
		{"p95 < p90", 0, "p95 is no total", "totals are"},
		{"successes >= throughput", 13, "throughput is no total", "totals are"},
		{"users >= requests", 0, "users is no total", "totals are"},
		{"heap < requests", 0, "heap is no total", "delta(PROBE)"},
		{"requests > heap", 11, "heap is no total", "delta(PROBE)"},
		{"requests < bytes_in", 11, "a count, and bytes_in is a size", "sizes with sizes"},
		{"successes == successes", 13, "the same", "other labels"},
		{"delta(heap) > delta(heap)", 14, "the same", ""},
		{"requests >= successes{task=a}", 12, "always holds", "counted elsewhere"},
		{"successes{task=a} <= requests", 21, "always holds", "counted elsewhere"},
		{"successes{task=a} <= successes", 21, "always holds", "counted elsewhere"},
		{"requests < successes", 11, "never hold", "counted elsewhere"},
		{"bytes_in{task=a} > bytes_in", 19, "never hold", "counted elsewhere"},
		{"requests >= succeses", 12, `"succeses" is not a metric`, "write successes"},
		{"requests >= sucesses{task=", 12, `"sucesses" is not a metric`, "write successes"},
		{"requests > fast", 11, `"fast" is not a value`, "or a metric"},
		{"requests > delta(heep)", 17, "no probe", "write delta(heap)"},
		{"requests > delta(heap){task=a}", 22, "has no task", "without a selector"},
		{"requests > successes{task=a", 27, "goes on", "commas"},
		{"requests > successes{stage=a}", 20, "whole run", "leave it out"},
		{"requests{stage=a} > successes", 8, "whole run", "leave it out"},
		{"requests > successes of baseline", 21, "whole run", "leave it out"},
		{"requests > successes during a", 21, "whole run", "leave it out"},
		{"requests > successes + 5", 21, `goes on with "+"`, "METRIC"},

		// probes
		{"heep < 5", 0, `"heep" is not a metric`, "write heap"},
		{"nothing_like_it < 5", 0, "not a metric", "and the probes alerts_stored, pg_connections, heap"},
		{"heap{task=a} < 5", 4, "has no task", "write heap without a selector"},
		{"ok.heap < 5", 0, "only before pN", "write heap"},
		{"heap() < 5", 4, "no argument", "write heap"},
		{"heap < 5 every 10s", 9, "no windows", ""},
		{"heap < 5 within 30s after spike", 9, "no recovery", ""},
		{"heap < -5", 7, "not negative", ""},
	} {
		o, err := ParseWith(c.src, declared)
		var pe *ParseError
		if !errors.As(err, &pe) {
			t.Errorf("ParseWith(%q) = %v, %v; want a *ParseError", c.src, o, err)
			continue
		}
		if pe.Offset != c.offset || !strings.Contains(pe.Msg, c.msg) || !strings.Contains(pe.Hint, c.hint) {
			t.Errorf("ParseWith(%q)\n  got  %d: %s | %s\n  want %d: …%s… | …%s…", c.src, pe.Offset, pe.Msg, pe.Hint, c.offset, c.msg, c.hint)
		}
	}
}

func TestWithoutDeclarationThereIsNoProbe(t *testing.T) {
	for src, hint := range map[string]string{"delta(heap) > 5": "declare it under probes", "heap < 5": "metrics are"} {
		_, err := Parse(src)
		var pe *ParseError
		if !errors.As(err, &pe) || !strings.Contains(pe.Hint, hint) {
			t.Errorf("Parse(%q): %v, want a hint of %q", src, err, hint)
		}
	}
}

func TestAConditionHasNoFormsOfAPromise(t *testing.T) {
	for src, offset := range map[string]int{
		"errors > 5% every 10s":                  12,
		"errors > 5% within 30s after spike":     12,
		"errors > 110% of baseline":              14,
		"errors{stage=a} > 5%":                   6,
		"requests > successes{endpoint=a}":       11,
		"errors > 5% every 10s in 9% of windows": 12,
	} {
		_, err := ParseCondition(src)
		var pe *ParseError
		if !errors.As(err, &pe) || pe.Offset != offset || !strings.Contains(pe.Msg, "a condition") {
			t.Errorf("ParseCondition(%q): %+v, want one at %d", src, err, offset)
		}
	}
}

func TestAProbeIsNoWordOfTheLanguage(t *testing.T) {
	for _, name := range []string{"heap", "pg_connections", "_x", "P", "p", "x9", "okay", "p_95"} {
		if !IsProbeName(name) {
			t.Errorf("no probe may be called %q", name)
		}
		if o, err := ParseWith(name+" < 5", Names{Probes: []string{name}}); err != nil || o.Metric.Name != name {
			t.Errorf("%q as a metric: %v, %v", name, o, err)
		}
	}
	for _, name := range []string{
		"", "9x", "a.b", "a-b", "a b", "ä", "errors", "p95", "p9x", "max", "within", "delta", "users", "nan", "Inf", "baseline", "during", "every", "of",
	} {
		if IsProbeName(name) {
			t.Errorf("a probe may be called %q", name)
		}
		if o, err := ParseWith(name+" < 5", Names{Probes: []string{name}}); err == nil && o.Metric.Kind == Probe {
			t.Errorf("%q is a probe: %v", name, o)
		}
	}
}

func TestEveryFormSaysTheUnitOfItsValue(t *testing.T) {
	for src, want := range map[string]Unit{
		"p95 < 200ms":                                 Seconds,
		"dropped < 1%":                                Ratio,
		"errors < 1% every 10s":                       Ratio,
		"p95 < 200ms every 10s":                       Ratio,
		"errors < 1% within 30s after spike":          Seconds,
		"p95 <= 110% of baseline":                     Seconds,
		"throughput >= 90% of baseline":               PerSecond,
		"dropped <= 110% of baseline":                 Ratio,
		"bytes_in <= 110% of baseline":                Bytes,
		"heap < 1GiB":                                 Bytes,
		"delta(heap) <= bytes_in":                     Bytes,
		"delta(alerts_stored) >= successes":           Count,
		"throughput > 1/s every 1s within 9s after x": Seconds,
	} {
		if got := mustParse(t, src).ValueUnit(); got != want {
			t.Errorf("%s is observed in unit %d, want %d", src, got, want)
		}
	}
}

func TestOnlyALimitOverAScopeIsPlain(t *testing.T) {
	for _, src := range []string{"p95 < 200ms", "errors < 1% during a including ramps", "users >= 5", "successes > 5", "dropped == 0"} {
		if !mustParse(t, src).Plain() {
			t.Errorf("%s is not plain", src)
		}
	}
	for _, src := range everyForm {
		if mustParse(t, src).Plain() {
			t.Errorf("%s is plain", src)
		}
	}
}

func TestNothingFiniteIsSlowOfABaseline(t *testing.T) {
	o := mustParse(t, "p95 <= 110% of baseline")
	if o.Slow(1e9) || o.SlowNanos() != 1<<63-1 {
		t.Errorf("a request is slow by a limit that nobody knows yet: from %d ns", o.SlowNanos())
	}
	if w := mustParse(t, "within(200ms) >= 99% of baseline"); w.SlowNanos() != 200_000_001 {
		t.Errorf("within(200ms) is slow from %d ns", w.SlowNanos())
	}
}

// drawForm turns some promises into windows, recoveries and baselines.
func drawForm(t *rapid.T, o Objective) Objective {
	plain := o
	seconds := func(label string, top int64) time.Duration {
		return time.Duration(rapid.Int64Range(1, top).Draw(t, label)) * time.Second
	}
	stage := rapid.OneOf(rapid.StringMatching(`[a-z][a-z0-9_./-]{0,8}`), rapid.SampledFrom(keywords), rapid.StringMatching(`[ -~äπ]{1,10}`))
	switch rapid.SampledFrom([]string{"plain", "windows", "recovery", "baseline"}).Draw(t, "form of a promise") {
	case "windows":
		o.Every = seconds("every", 3600)
		if rapid.Bool().Draw(t, "some") {
			o.InShare = float64(rapid.IntRange(1, 9999).Draw(t, "share")) / 10000
		}
	case "recovery":
		o.Selector.Stage, o.During, o.IncludingRamps = "", "", false
		if rapid.Bool().Draw(t, "other windows") {
			o.Every = seconds("every", 3600)
		}
		o.After = stage.Draw(t, "after")
		o.Within = o.Window() + time.Duration(rapid.Int64Range(0, int64(20*time.Hour)).Draw(t, "within"))
	case "baseline":
		o.OfBaseline, o.Unit, o.Limit = true, Ratio, float64(rapid.Int64Range(1, 1e9).Draw(t, "of baseline"))/1e6
	}
	if o.fault() != nil {
		return plain // not every metric has every form
	}
	return o
}

func drawRelation(t *rapid.T) Objective {
	draw := func(side string) MetricRef {
		m := Metric{Kind: rapid.SampledFrom([]MetricKind{Successes, Requests, Dropped, BytesIn, BytesOut, Delta}).Draw(t, side)}
		if m.Kind == Delta {
			return MetricRef{Metric: Metric{Kind: Delta, Name: rapid.SampledFrom(declared.Probes).Draw(t, side+" probe")}}
		}
		label := rapid.SampledFrom([]string{"", "a", "b c", "every"})
		return MetricRef{Metric: m, Selector: Selector{Endpoint: label.Draw(t, side+" endpoint"), Persona: label.Draw(t, side+" persona"), Task: label.Draw(t, side+" task")}}
	}
	left, right := draw("left"), draw("right")
	o := Objective{
		Metric: left.Metric, Selector: left.Selector, Op: Op(rapid.IntRange(int(LT), int(NE)).Draw(t, "op")),
		Right: right, Unit: relationUnit(left.Metric, right.Metric),
	}
	if o.fault() != nil {
		return placeless(mustParse(t, "delta(heap) > 5"))
	}
	return o
}

func drawProbe(t *rapid.T) Objective {
	o := Objective{
		Metric: Metric{Kind: Probe, Name: rapid.SampledFrom(declared.Probes).Draw(t, "probe")},
		Op:     Op(rapid.IntRange(int(LT), int(NE)).Draw(t, "op")),
		Unit:   Unit(rapid.IntRange(int(Seconds), int(Bytes)).Draw(t, "unit")),
		Limit:  float64(rapid.Int64Range(0, 1e9).Draw(t, "limit")) / 1000,
	}
	if o.Metric.Name == "heap" {
		o.Metric.Kind = Delta
	} else if rapid.Bool().Draw(t, "during") {
		o.During = "peak"
	}
	return o
}
