package slo

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// fataler is what *testing.T, *testing.B and *rapid.T share.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// declared are the probes that the tests' spec declares.
var declared = Names{Probes: []string{"alerts_stored", "pg_connections", "heap"}}

func mustParse(t fataler, src string) Objective {
	t.Helper()
	o, err := ParseWith(src, declared)
	if err != nil {
		t.Fatalf("Parse(%q): %v", src, err)
	}
	return o
}

func TestObjectivesParseToTheirMeaning(t *testing.T) {
	p95 := Metric{Kind: Quantile, Q: 0.95}
	for _, c := range []struct {
		src  string
		want Objective // without Text and At
	}{
		{"p95 < 200ms", Objective{Metric: p95, Op: LT, Limit: 0.2, Unit: Seconds}},
		{"p95<200ms", Objective{Metric: p95, Op: LT, Limit: 0.2, Unit: Seconds}},
		{"p99.99 <= 1m30s", Objective{Metric: Metric{Kind: Quantile, Q: 0.9999}, Op: LE, Limit: 90, Unit: Seconds}},
		{"p0.1 <= 3us", Objective{Metric: Metric{Kind: Quantile, Q: 0.001}, Op: LE, Limit: 3e-6, Unit: Seconds}},
		{"ok.p95 < 1.5h", Objective{Metric: Metric{Kind: Quantile, Q: 0.95, OnlyOK: true}, Op: LT, Limit: 5400, Unit: Seconds}},
		{"service.p50 < 5µs", Objective{Metric: Metric{Kind: Quantile, Q: 0.5, Clock: Service}, Op: LT, Limit: 5e-6, Unit: Seconds}},
		{"ttfb.max < 2s", Objective{Metric: Metric{Kind: Max, Clock: TTFB}, Op: LT, Limit: 2, Unit: Seconds}},
		{"ok.connect.mean < 2_000ms", Objective{Metric: Metric{Kind: Mean, Clock: Connect, OnlyOK: true}, Op: LT, Limit: 2, Unit: Seconds}},
		{"errors < 1%", Objective{Metric: Metric{Kind: Errors}, Op: LT, Limit: 0.01, Unit: Ratio}},
		{"errors == 0", Objective{Metric: Metric{Kind: Errors}, Op: EQ, Unit: Ratio}},
		{"errors.check == 0", Objective{Metric: Metric{Kind: Errors, Class: "check"}, Op: EQ, Unit: Ratio}},
		{"errors.too_large <= 0.1%", Objective{Metric: Metric{Kind: Errors, Class: "too_large"}, Op: LE, Limit: 0.001, Unit: Ratio}},
		{"within(200ms) >= 99.9%", Objective{Metric: Metric{Kind: Within, Within: 200 * time.Millisecond}, Op: GE, Limit: 0.999, Unit: Ratio}},
		{"within ( 1.5s )>99%", Objective{Metric: Metric{Kind: Within, Within: 1500 * time.Millisecond}, Op: GT, Limit: 0.99, Unit: Ratio}},
		{"throughput > 1000/s", Objective{Metric: Metric{Kind: Throughput}, Op: GT, Limit: 1000, Unit: PerSecond}},
		{"throughput >= 1000/m", Objective{Metric: Metric{Kind: Throughput}, Op: GE, Limit: 1000.0 / 60, Unit: PerSecond}},
		{"throughput >= 90/h", Objective{Metric: Metric{Kind: Throughput}, Op: GE, Limit: 0.025, Unit: PerSecond}},
		{"throughput > 0", Objective{Metric: Metric{Kind: Throughput}, Op: GT, Unit: PerSecond}},
		{"successes >= 10_000", Objective{Metric: Metric{Kind: Successes}, Op: GE, Limit: 10000, Unit: Count}},
		{"requests != 7", Objective{Metric: Metric{Kind: Requests}, Op: NE, Limit: 7, Unit: Count}},
		{"requests < 1000", Objective{Metric: Metric{Kind: Requests}, Op: LT, Limit: 1000, Unit: Count}},
		{"users >= 10000", Objective{Metric: Metric{Kind: Users}, Op: GE, Limit: 10000, Unit: Count}},
		{"dropped <= 3", Objective{Metric: Metric{Kind: Dropped}, Op: LE, Limit: 3, Unit: Count}},
		{"dropped < 0.5%", Objective{Metric: Metric{Kind: Dropped}, Op: LT, Limit: 0.005, Unit: Ratio}},
		{"dropped == 0", Objective{Metric: Metric{Kind: Dropped}, Op: EQ, Unit: Count}},
		{"dropped == 0%", Objective{Metric: Metric{Kind: Dropped}, Op: EQ, Unit: Ratio}},
		{"bytes_in > 1.5KiB", Objective{Metric: Metric{Kind: BytesIn}, Op: GT, Limit: 1536, Unit: Bytes}},
		{"bytes_out <= 2GB", Objective{Metric: Metric{Kind: BytesOut}, Op: LE, Limit: 2e9, Unit: Bytes}},
		{"p95 < 1s during steady", Objective{Metric: p95, Op: LT, Limit: 1, Unit: Seconds, During: "steady"}},
		{`p95 < 1s during "night shift" including ramps`, Objective{Metric: p95, Op: LT, Limit: 1, Unit: Seconds, During: "night shift", IncludingRamps: true}},
		{"p95 < 1s including ramps", Objective{Metric: p95, Op: LT, Limit: 1, Unit: Seconds, IncludingRamps: true}},
		{`p95 < 1s during "including"`, Objective{Metric: p95, Op: LT, Limit: 1, Unit: Seconds, During: "including"}},
		{"p95{endpoint=login} < 1s", Objective{Metric: p95, Selector: Selector{Endpoint: "login"}, Op: LT, Limit: 1, Unit: Seconds}},
		{
			"p95 { task = \"a \\\"b\\\" \\\\ c\",endpoint=\"POST /api/threats/trigger [burst]\" , persona=soc.L-1 }\n < 1s",
			Objective{Metric: p95, Selector: Selector{Endpoint: "POST /api/threats/trigger [burst]", Persona: "soc.L-1", Task: `a "b" \ c`}, Op: LT, Limit: 1, Unit: Seconds},
		},
		{"p95{stage=spike} < 1s", Objective{Metric: p95, Selector: Selector{Stage: "spike"}, Op: LT, Limit: 1, Unit: Seconds, During: "spike"}},
		{"p95{stage=spike} < 1s during spike", Objective{Metric: p95, Selector: Selector{Stage: "spike"}, Op: LT, Limit: 1, Unit: Seconds, During: "spike"}},
		{"p95 < 1s every 10s", Objective{Metric: p95, Op: LT, Limit: 1, Unit: Seconds, Every: 10 * time.Second}},
		{"p95 < 1s every 1m30s in 99.5% of windows", Objective{Metric: p95, Op: LT, Limit: 1, Unit: Seconds, Every: 90 * time.Second, InShare: 0.995}},
		{"p95 < 1s every 10s in 100% of windows", Objective{Metric: p95, Op: LT, Limit: 1, Unit: Seconds, Every: 10 * time.Second}},
		{
			"p95 < 1s during peak including ramps every 10s in 95% of windows",
			Objective{Metric: p95, Op: LT, Limit: 1, Unit: Seconds, During: "peak", IncludingRamps: true, Every: 10 * time.Second, InShare: 0.95},
		},
		{"p95{stage=peak} < 1s every 1h", Objective{Metric: p95, Selector: Selector{Stage: "peak"}, Op: LT, Limit: 1, Unit: Seconds, During: "peak", Every: time.Hour}},
		{"successes >= 100 every 1s", Objective{Metric: Metric{Kind: Successes}, Op: GE, Limit: 100, Unit: Count, Every: time.Second}},
		{"p95 < 1s within 30s after spike", Objective{Metric: p95, Op: LT, Limit: 1, Unit: Seconds, Within: 30 * time.Second, After: "spike"}},
		{`errors == 0 every 1s within 1500ms after "within"`, Objective{Metric: Metric{Kind: Errors}, Op: EQ, Unit: Ratio, Every: time.Second, Within: 1500 * time.Millisecond, After: "within"}},
		{"dropped == 0 within 24h after spike", Objective{Metric: Metric{Kind: Dropped}, Op: EQ, Unit: Count, Within: 24 * time.Hour, After: "spike"}},
		{"p95 <= 110% of baseline", Objective{Metric: p95, Op: LE, Limit: 1.1, Unit: Ratio, OfBaseline: true}},
		{"throughput{task=a} > 95.5% of baseline during peak", Objective{Metric: Metric{Kind: Throughput}, Selector: Selector{Task: "a"}, Op: GT, Limit: 0.955, Unit: Ratio, OfBaseline: true, During: "peak"}},
		{"p95 <= 110% during peak including ramps of baseline", Objective{Metric: p95, Op: LE, Limit: 1.1, Unit: Ratio, OfBaseline: true, During: "peak", IncludingRamps: true}},
		{"requests < 120% of baseline", Objective{Metric: Metric{Kind: Requests}, Op: LT, Limit: 1.2, Unit: Ratio, OfBaseline: true}},
		{"pg_connections < 80", Objective{Metric: Metric{Kind: Probe, Name: "pg_connections"}, Op: LT, Limit: 80, Unit: Count}},
		{"pg_connections{stage=peak} < 0.5", Objective{Metric: Metric{Kind: Probe, Name: "pg_connections"}, Selector: Selector{Stage: "peak"}, Op: LT, Limit: 0.5, Unit: Count, During: "peak"}},
		{"heap <= 512MiB during peak", Objective{Metric: Metric{Kind: Probe, Name: "heap"}, Op: LE, Limit: 512 << 20, Unit: Bytes, During: "peak"}},
		{"heap >= 0", Objective{Metric: Metric{Kind: Probe, Name: "heap"}, Op: GE, Unit: Count}},
		{"delta( alerts_stored ) >= 1000", Objective{Metric: Metric{Kind: Delta, Name: "alerts_stored"}, Op: GE, Limit: 1000, Unit: Count}},
		{"delta(heap) < 1MiB", Objective{Metric: Metric{Kind: Delta, Name: "heap"}, Op: LT, Limit: 1 << 20, Unit: Bytes}},
		{
			`delta(alerts_stored) >= successes{endpoint="alert ingest", persona=a}`,
			Objective{
				Metric: Metric{Kind: Delta, Name: "alerts_stored"}, Op: GE, Unit: Count,
				Right: MetricRef{Metric: Metric{Kind: Successes}, Selector: Selector{Endpoint: "alert ingest", Persona: "a"}},
			},
		},
		{
			"successes{endpoint=a}==successes{endpoint=b}",
			Objective{
				Metric: Metric{Kind: Successes}, Selector: Selector{Endpoint: "a"}, Op: EQ, Unit: Count,
				Right: MetricRef{Metric: Metric{Kind: Successes}, Selector: Selector{Endpoint: "b"}},
			},
		},
		{"delta(heap) < bytes_in", Objective{Metric: Metric{Kind: Delta, Name: "heap"}, Op: LT, Unit: Bytes, Right: MetricRef{Metric: Metric{Kind: BytesIn}}}},
	} {
		got := mustParse(t, c.src)
		got = placeless(got)
		if got != c.want {
			t.Errorf("Parse(%q) = %+v, want %+v", c.src, got, c.want)
		}
	}
}

// placeless returns the objective without what says how it was written.
func placeless(o Objective) Objective {
	o.Text, o.At, o.Right.At = "", Offsets{}, Offsets{}
	return o
}

func TestEveryFailureClassIsAMetric(t *testing.T) {
	for _, class := range Classes() {
		if o := mustParse(t, "errors."+class+" == 0"); o.Metric.Class != class {
			t.Errorf("errors.%s has class %q", class, o.Metric.Class)
		}
	}
}

func TestTextKeepsWhatWasWrittenWithWhiteSpaceFolded(t *testing.T) {
	o := mustParse(t, "  p95 {endpoint = \"a  \\\"  b\"}\n\t<  0.2s  ")
	if want := `p95 {endpoint = "a  \"  b"} < 0.2s`; o.Text != want {
		t.Errorf("Text = %q, want %q", o.Text, want)
	}
}

func TestOffsetsPointAtTheNames(t *testing.T) {
	src := `p95{persona=b, endpoint="c d",task=e} < 1s during f`
	o := mustParse(t, src)
	for name, at := range map[string]int{"b": o.At.Persona, `"c d"`: o.At.Endpoint, "e}": o.At.Task, "f": o.At.During} {
		if !strings.HasPrefix(src[at:], name) {
			t.Errorf("the offset of %s points at %q", name, src[at:])
		}
	}
	src = `delta(alerts_stored) >= successes{persona=b, endpoint="c d",task=e}`
	o = mustParse(t, src)
	for name, at := range map[string]int{"b": o.Right.At.Persona, `"c d"`: o.Right.At.Endpoint, "e}": o.Right.At.Task} {
		if !strings.HasPrefix(src[at:], name) {
			t.Errorf("on the right the offset of %s points at %q", name, src[at:])
		}
	}
	src = `p95 < 1s within 30s after "a spike"`
	if o = mustParse(t, src); src[o.At.After:] != `"a spike"` {
		t.Errorf("the offset of the stage of a recovery points at %q", src[o.At.After:])
	}
	o = mustParse(t, "p95{stage=x} < 1s")
	if o.At.Stage != 10 || o.At.During != 10 {
		t.Errorf("a stage label has offsets %+v, want 10 for stage and during", o.At)
	}
}

func TestFaultsSayWhereWhyAndWhatToWrite(t *testing.T) {
	for _, c := range []struct {
		src    string
		offset int
		msg    string // part of the message
		hint   string // part of the hint
	}{
		{"", 0, "empty", "METRIC"},
		{"   ", 3, "empty", "METRIC"},
		{"< 200ms", 0, "metric is missing", "metrics are"},
		{"avg < 200ms", 0, `"avg" is not a metric`, "write mean"},
		{"ok.avg < 200ms", 3, `"avg" is not a metric`, "write mean"},
		{"throughputs > 1/s", 0, "not a metric", "write throughput"},
		{"Max < 1s", 0, "not a metric", "write max"},
		{"P95 < 1s", 0, "not a metric", "write p95"},
		{"srevice.p95 < 1s", 0, "not a metric", "write service.p95"},
		{"pg_connections < 80", 0, "not a metric", "metrics are"},
		{"p100 < 1s", 0, "p100", "write max"},
		{"p100.0 < 1s", 0, "p100", "write max"},
		{"p101 < 1s", 0, "p101", "write p99.9"},
		{"p0 < 1s", 0, "p0", "max"},
		{"p0.0 < 1s", 0, "p0", "max"},
		{"p05 < 1s", 1, "starts with a zero", "write p5"},
		{"p.5 < 1s", 1, "before its point", "write p0.5"},
		{"p9_5 < 1s", 0, "p9_5", "write p95"},
		{"p99.9999999999999999999 < 1s", 0, "precise", "15 digits"},
		{"p1A", 0, "not a metric", "pN"},
		{"p95() < 1s", 3, "no argument", "write p95"},
		{"p(95) < 1s", 0, `"p" is not a metric`, "write p95"},
		{"service.ok.p95 < 1s", 8, "ok. comes first", "ok.service.p95"},
		{"ok.ok.p95 < 1s", 3, "second prefix", "once"},
		{"service.ttfb.p95 < 1s", 8, "second prefix", "one clock"},
		{"ok.errors < 1%", 0, "only before pN", "write errors"},
		{"service.within(1s) > 1%", 0, "only before pN", "p95"},
		{"errors.chek == 0", 7, `"chek"`, "write errors.check"},
		{"errors. == 0", 7, "class", "classes are"},
		{"errors.zzzzzz == 0", 7, "class", "status, check"},
		{"within > 99%", 7, "parentheses", "within(200ms)"},
		{"within(200) > 99%", 7, "duration", "within(200ms)"},
		{"within() > 99%", 7, "duration", "within(200ms)"},
		{"within(0ms) > 99%", 7, "above zero", ""},
		{"within(1% > 99%", 10, "closing", ""},
		{"within(0.5ns) > 99%", 7, "whole number of nanoseconds", ""},
		{"within(9999999999h) > 99%", 7, "too large", ""},
		{"p95{} < 1s", 3, "label is missing", "leave out"},
		{"p95{endpont=a} < 1s", 4, `"endpont"`, "write endpoint"},
		{"p95{url=a} < 1s", 4, `"url"`, "labels are endpoint, persona, task or stage"},
		{"p95{endpoint=a, endpoint=b} < 1s", 16, "twice", ""},
		{"p95{endpoint} < 1s", 12, "no value", "endpoint=NAME"},
		{"p95{endpoint=} < 1s", 13, "name is missing", "endpoint=NAME"},
		{`p95{endpoint=""} < 1s`, 13, "empty", "endpoint=NAME"},
		{`p95{endpoint="a} < 1s`, 13, "no end", `"`},
		{`p95{endpoint="a\n"} < 1s`, 15, "escapes", ""},
		{"p95{endpoint=\"a\nb\"} < 1s", 15, "control", ""},
		{"p95{endpoint=a b} < 1s", 15, `"b}"`, "quote"},
		{"p95{endpoint=[a]} < 1s", 13, "missing", "double quotes"},
		{"p95{endpoint=a < 1s", 15, "goes on", "commas"},
		{"p95{a=b, } < 1s", 4, "not a label", ""},
		{"p95{task=b, } < 1s", 12, "label is missing", ""},
		{"p95", 3, "not by a comparison", "comparisons are"},
		{"p95 200ms", 4, "not by a comparison", "comparisons are"},
		{"p95 = 200ms", 4, `"="`, "write =="},
		{"p95 =< 200ms", 4, "", "write <="},
		{"p95 ≤ 200ms", 4, "", "write <="},
		{"p95 ~ 200ms", 4, "not a comparison", "comparisons are"},
		{"p95 <", 5, "value is missing", ""},
		{"p95 < 200", 6, "p95 is a duration, and 200 has no unit", "write 200ms"},
		{"p95 < 2", 6, "no unit", "write 2s"},
		{"p95 < 200 ms", 10, `"ms"`, "without a space"},
		{"p95 < 5%", 6, "5% is not", "200ms"},
		{"p95 < fast", 6, "not a value", "200ms"},
		{"errors < 1", 9, "errors is a ratio, and 1 has no unit", "write 1%"},
		{"errors < 0.01", 9, "no unit", "write 1%"},
		{"errors < 5 %", 11, `"%"`, "without a space"},
		{"throughput > 1000", 13, "no unit", "write 1000/s"},
		{"throughput > 1000rps", 17, `"rps"`, "write /s"},
		{"bytes_in > 100", 11, "no unit", "write 100B"},
		{"bytes_in > 100KB", 14, `"KB"`, "KiB"},
		{"successes > 5%", 12, "count", "1000"},
		{"successes > 10k", 14, `"k"`, "10_000"},
		{"successes > 10,000", 14, `","`, "10_000"},
		{"successes > 1.5", 12, "not whole", "whole"},
		{"successes > 010", 12, "starts with a zero", "write 10"},
		{"successes > 1e3", 13, `"e"`, "exponent"},
		{"successes > 1__0", 12, "underscore", "10_000"},
		{"successes > 10_", 12, "underscore", "10_000"},
		{"successes > 1.2.3", 12, "two points", ""},
		{"successes > 9007199254740993", 12, "too large", ""},
		{"successes > " + strings.Repeat("9", 50), 12, "digits", ""},
		{"dropped < 5s", 10, "a count or a ratio", "1%"},
		{"p95 < NaN", 6, "NaN is not a limit", "finite"},
		{"p95 < Inf", 6, "Inf is not a limit", "finite"},
		{"p95 < -infinity", 6, "not a limit", "finite"},
		{"p95 < -200ms", 6, "not negative", ""},
		{"p95 < +200ms", 6, "no sign", "write 200ms"},
		{"p95 < .2s", 6, "before its point", "write 0.2"},
		{"p95 < 2.s", 6, "after its point", "write 2"},
		{"p95 < 1m30", 10, "without a unit", "1m30s"},
		{"p95 < 30s1m", 10, "combine", "large to small"},
		{"p95 < 1s1s", 9, "combine", "large to small"},
		{"p95 < 1%5s", 7, "goes on", ""},
		{"p95 < 2min", 7, `"min"`, "write m"},
		{"p95 < 2msz", 7, `"msz"`, "write ms"},
		{"p95 < 0.12345678901234567890s", 6, "precise", "15 digits"},
		{"p95 < 999999999999999h", 6, "too large", ""},
		{"p95 > 200ms", 4, "upper bound", "write p95 < 200ms"},
		{"max == 200ms", 4, "upper bound", "write max < 200ms"},
		{"p95 < 0ms", 6, "never hold", "above zero"},
		{"mean <= 0", 8, "never hold", "above zero"},
		{"errors > 1%", 7, "upper bound", "write errors <= 1%"},
		{"errors == 1%", 7, "upper bound", "write errors <= 1%"},
		{"errors < 0", 9, "never hold", "write errors == 0"},
		{"errors <= 100%", 10, "always holds", "100%"},
		{"errors < 101%", 9, "always holds", "100%"},
		{"dropped >= 1", 8, "upper bound", "write dropped <= 1"},
		{"throughput < 5/s", 11, "lower bound", "write throughput >= 5/s"},
		{"users == 5", 6, "lower bound", "write users >= 5"},
		{"successes >= 0", 13, "always holds", "write successes > 0"},
		{"requests >= 0", 12, "always holds", "write requests > 0"},
		{"requests == 0", 12, "never pass", ""},
		{"requests < 1", 11, "never pass", ""},
		{"within(1s) > 100%", 13, "never hold", "100%"},
		{"within(1s) < 99%", 11, "lower bound", ">= 99%"},
		{"p95 < 200ms durng steady", 12, `"durng"`, "write during"},
		{"p95 < 200ms steady", 12, `"steady"`, "during STAGE"},
		{"p95 < 200ms {endpoint=a}", 12, "goes on", "follows the metric"},
		{"p95 < 200ms during", 18, "missing", "during STAGE"},
		{"p95 < 200ms during including ramps", 19, "not by a stage", `during "including"`},
		{"p95 < 200ms during a during b", 21, "twice", "each stage"},
		{"p95{stage=a} < 200ms during b", 28, "two stages", ""},
		{"p95 < 200ms including", 21, "not by ramps", "including ramps"},
		{"p95 < 200ms including slopes", 22, "not by ramps", "including ramps"},
		{"p95 < 200ms including ramps including ramps", 28, "twice", ""},
		{"p95 < 200ms including ramps during a", 28, "comes before", "during STAGE including ramps"},
		{"p95 < 200ms \xff", 12, "UTF-8", ""},
		{"p95 < " + strings.Repeat(" ", 5000), 4096, "at most 4096 bytes", ""},
	} {
		o, err := Parse(c.src)
		var pe *ParseError
		if !errors.As(err, &pe) {
			t.Errorf("Parse(%.60q) = %v, %v; want a *ParseError", c.src, o, err)
			continue
		}
		if pe.Offset != c.offset || !strings.Contains(pe.Msg, c.msg) || !strings.Contains(pe.Hint, c.hint) {
			t.Errorf("Parse(%.60q)\n  got  %d: %s | %s\n  want %d: …%s… | …%s…", c.src, pe.Offset, pe.Msg, pe.Hint, c.offset, c.msg, c.hint)
		}
		if o != (Objective{}) {
			t.Errorf("Parse(%.60q) gives an objective with its error: %+v", c.src, o)
		}
	}
}

func TestConditionIsTheOppositeOfAPromise(t *testing.T) {
	for src, inverse := range map[string]string{
		"errors > 5%":              "errors <= 5%",
		"errors != 0":              "errors == 0",
		"p95{endpoint=a} >= 500ms": "p95{endpoint=a} < 500ms",
		"throughput < 100/s":       "throughput >= 100/s",
		"dropped > 1%":             "dropped <= 1%",
	} {
		o, err := ParseCondition(src)
		if err != nil {
			t.Errorf("ParseCondition(%q): %v", src, err)
			continue
		}
		if o.String() != src || o.Inverse().String() != inverse || o.Inverse().Text != inverse {
			t.Errorf("ParseCondition(%q) = %v, inverse %v, want inverse %s", src, o, o.Inverse(), inverse)
		}
		if _, err := Parse(o.Inverse().String()); err != nil {
			t.Errorf("the inverse of %q is no promise: %v", src, err)
		}
	}
	for _, c := range []struct {
		src       string
		offset    int
		msg, hint string
	}{
		{"errors < 5%", 7, "went wrong", "write errors >= 5%"},
		{"errors > 5% during steady", 12, "stands in", "leave out"},
		{"errors > 5% including ramps", 12, "stands in", "leave out"},
		{"errors > 100%", 9, "at once or never", ""},
		{"errors >= 0%", 10, "at once or never", ""},
		{"errors > 5", 9, "no unit", "write 5%"},
	} {
		_, err := ParseCondition(c.src)
		var pe *ParseError
		if !errors.As(err, &pe) || pe.Offset != c.offset || !strings.Contains(pe.Msg, c.msg) || !strings.Contains(pe.Hint, c.hint) {
			t.Errorf("ParseCondition(%q): %+v, want %d: …%s… | …%s…", c.src, err, c.offset, c.msg, c.hint)
		}
	}
}

// drawObjective draws a promise as it could be written.
func drawObjective(t *rapid.T) Objective {
	switch rapid.IntRange(0, 9).Draw(t, "form") {
	case 0:
		return drawRelation(t)
	case 1:
		return drawProbe(t)
	}
	o := drawPromise(t)
	return drawForm(t, o)
}

// drawPromise draws one about requests and a limit.
func drawPromise(t *rapid.T) Objective {
	name := rapid.OneOf(
		rapid.StringMatching(`[a-z][a-z0-9_./-]{0,8}`),
		rapid.SampledFrom(keywords),
		rapid.StringMatching(`[ -~äπ]{1,10}`),
	)
	maybe := func(label string) string {
		if rapid.Bool().Draw(t, "has "+label) {
			return name.Draw(t, label)
		}
		return ""
	}
	upTo := func(top int64, label string) int64 { return rapid.Int64Range(1, top).Draw(t, label) }
	of := func(n, per int64) float64 { return float64(n) / float64(per) }
	pick := func(ops ...Op) Op { return rapid.SampledFrom(ops).Draw(t, "op") }

	o := Objective{Selector: Selector{Endpoint: maybe("endpoint"), Persona: maybe("persona"), Task: maybe("task"), Stage: maybe("stage")}}
	o.Metric.Kind = MetricKind(rapid.IntRange(int(Quantile), int(BytesOut)).Draw(t, "kind"))
	switch o.Metric.Kind {
	case Quantile, Max, Mean:
		o.Op, o.Unit, o.Limit = pick(LT, LE), Seconds, of(upTo(1e14, "ns"), 1e9)
		o.Metric.OnlyOK = rapid.Bool().Draw(t, "ok")
		o.Metric.Clock = Clock(rapid.IntRange(0, 3).Draw(t, "clock"))
		if o.Metric.Kind == Quantile {
			o.Metric.Q = of(upTo(999_999, "q"), 1_000_000)
		}
	case Errors:
		o.Op, o.Unit, o.Limit = pick(LT, LE), Ratio, of(upTo(999_999, "limit"), 1_000_000)
		o.Metric.Class = rapid.SampledFrom(append(Classes(), "")).Draw(t, "class")
		if rapid.Bool().Draw(t, "zero") {
			o.Op, o.Limit = EQ, 0
		}
	case Within:
		o.Op, o.Unit, o.Limit = pick(GT, GE), Ratio, of(upTo(999_999, "limit"), 1_000_000)
		o.Metric.Within = time.Duration(upTo(1e15, "within"))
	case Throughput:
		o.Op, o.Unit = pick(GT, GE), PerSecond
		o.Limit = of(upTo(1e12, "rate"), rapid.SampledFrom([]int64{1, 1000, 60, 3600}).Draw(t, "per"))
	case Successes, Users:
		o.Op, o.Unit, o.Limit = pick(GT, GE), Count, float64(upTo(1e15, "count"))
	case Dropped:
		o.Op, o.Unit, o.Limit = pick(LT, LE), Count, float64(upTo(1e15, "count"))
		if rapid.Bool().Draw(t, "ratio") {
			o.Unit, o.Limit = Ratio, of(upTo(999_999, "limit"), 1_000_000)
		}
		if rapid.Bool().Draw(t, "zero") {
			o.Op, o.Limit = EQ, 0
		}
	case Requests:
		o.Op, o.Unit, o.Limit = pick(LT, LE, GT, GE, EQ, NE), Count, float64(1+upTo(1e14, "count"))
	default:
		o.Op, o.Unit, o.Limit = pick(LT, LE, GT, GE, EQ, NE), Bytes, float64(upTo(1e15, "bytes"))
	}
	if o.During = o.Selector.Stage; o.During == "" {
		o.During = maybe("during")
	}
	o.IncludingRamps = rapid.Bool().Draw(t, "ramps")
	return o
}

func TestCanonicalTextParsesToTheSameObjective(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawObjective(t)
		got, err := ParseWith(want.String(), declared)
		if err != nil {
			t.Fatalf("Parse(%q): %v", want, err)
		}
		if got.Text != want.String() {
			t.Fatalf("canonical text %q folds to %q", want, got.Text)
		}
		got = placeless(got)
		if got != want {
			t.Fatalf("Parse(%q) = %+v, want %+v", want, got, want)
		}
	})
}

func TestCanonicalTextIsWhatAPersonWouldWrite(t *testing.T) {
	for src, want := range map[string]string{
		"p95<0.2s":                              "p95 < 200ms",
		"p99.90 <= 90s":                         "p99.9 <= 1m30s",
		"max < 3600s":                           "max < 1h",
		"mean < 1.25s":                          "mean < 1.25s",
		"mean < 61.5s":                          "mean < 1m1.5s",
		"ttfb.p50 < 1500ns":                     "ttfb.p50 < 1.5us",
		"ttfb.p50 < 0.5ns":                      "ttfb.p50 < 0.5ns",
		"errors <= 0.50%":                       "errors <= 0.5%",
		"errors == 0%":                          "errors == 0",
		"dropped == 0%":                         "dropped == 0%",
		"throughput > 0":                        "throughput > 0/s",
		"throughput > 1000/m":                   "throughput > 1000/m",
		"throughput > 60/m":                     "throughput > 1/s",
		"throughput > 1/h":                      "throughput > 1/h",
		"bytes_in > 1024KiB":                    "bytes_in > 1MiB",
		"bytes_in > 1500B":                      "bytes_in > 1500B",
		"bytes_in > 0.3B":                       "bytes_in > 0.3B",
		"bytes_in == 0":                         "bytes_in == 0B",
		"requests == 10_000":                    "requests == 10000",
		"within(0.2s)>=99%":                     "within(200ms) >= 99%",
		`p95{task="a",endpoint="b c"}<1s`:       `p95{endpoint="b c", task=a} < 1s`,
		`p95{stage=x} < 1s during x`:            "p95{stage=x} < 1s",
		"p95 < 1s  during  x  including  ramps": "p95 < 1s during x including ramps",
		"p95<1s every 60s in 99.50% of windows": "p95 < 1s every 1m in 99.5% of windows",
		"p95<1s every 10s in 100% of windows":   "p95 < 1s every 10s",
		"p95<1s  within 90s  after  spike":      "p95 < 1s within 1m30s after spike",
		"p95<1s every 1s within 2s after x":     "p95 < 1s every 1s within 2s after x",
		"p95<1s within 2m after \"after\"":      "p95 < 1s within 2m after \"after\"",
		"p95<=1_10.0% during x of  baseline":    "p95 <= 110% of baseline during x",
		"delta( heap )>=bytes_in{ task=a }":     "delta(heap) >= bytes_in{task=a}",
		"heap<0.50GiB":                          "heap < 512MiB",
	} {
		if got := mustParse(t, src).String(); got != want {
			t.Errorf("%q prints as %q, want %q", src, got, want)
		}
	}
}

func TestSlowBeginsAtTheLimitOrJustBehindIt(t *testing.T) {
	for src, want := range map[string]int64{
		"p95 < 200ms":                       200_000_000,
		"p95 <= 200ms":                      200_000_001,
		"max < 2s":                          2_000_000_000,
		"mean <= 1us":                       1001,
		"p95 < 1ns":                         1,
		"p95 <= 1ns":                        2,
		"p95 < 1.5ns":                       2,
		"p95 <= 1.5ns":                      2,
		"p95 < 0.3s":                        300_000_000,
		"p95 <= 1.1s":                       1_100_000_001,
		"p95 < 999_999_999_999s":            math.MaxInt64,
		"within(200ms) > 99%":               200_000_001,
		"within(2562047h47m16.854s) >= 99%": 9223372036854000001,
		"errors < 1%":                       math.MaxInt64,
		"throughput > 1/s":                  math.MaxInt64,
	} {
		if got := mustParse(t, src).SlowNanos(); got != want {
			t.Errorf("%s: slow from %d ns, want %d", src, got, want)
		}
	}
	o := Objective{Metric: Metric{Kind: Within, Within: math.MaxInt64}}
	if o.SlowNanos() != math.MaxInt64 {
		t.Error("the longest duration overflows")
	}
}

func TestSlowAgreesWithSlowNanos(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Int64Range(1, 1e14).Draw(t, "limit in ns")
		o, err := Parse(fmt.Sprintf("p95 %s %dns", rapid.SampledFrom([]string{"<", "<="}).Draw(t, "op"), limit))
		if rapid.Bool().Draw(t, "within") {
			o, err = Parse(fmt.Sprintf("within(%dns) > 50%%", limit))
		}
		if err != nil {
			t.Fatal(err)
		}
		for d := int64(-2); d <= 2; d++ {
			ns := limit + d
			if slow, want := o.Slow(float64(ns)/1e9), ns >= o.SlowNanos(); slow != want {
				t.Fatalf("%v: Slow(%d ns) = %v, by nanoseconds %v", o, ns, slow, want)
			}
		}
	})
}

func TestFailedRequestIsSlowerThanEveryLimit(t *testing.T) {
	for _, src := range []string{"p95 < 200ms", "max <= 24h", "within(1h) > 1%"} {
		o := mustParse(t, src)
		if !o.Slow(math.Inf(1)) || !o.Slow(math.NaN()) {
			t.Errorf("%v: an infinite time, or none, is not slow", o)
		}
	}
	if mustParse(t, "errors < 1%").Slow(math.Inf(1)) {
		t.Error("errors calls a latency slow")
	}
}

func TestConditionCountsAsSlowWhatItsPromiseDoes(t *testing.T) {
	for _, src := range []string{"p95 > 200ms", "p95 >= 200ms"} {
		o, err := ParseCondition(src)
		if err != nil {
			t.Fatal(err)
		}
		if o.SlowNanos() != o.Inverse().SlowNanos() || o.Slow(0.2) != o.Inverse().Slow(0.2) {
			t.Errorf("%v and %v count differently", o, o.Inverse())
		}
	}
}

func TestSelectorMatchesByKeyOrRowName(t *testing.T) {
	match := func(s Selector) bool { return Matches(s, "steady", "analyst", "triage", "list", "GET /api [list]") }
	for _, s := range []Selector{{}, {Endpoint: "list"}, {Endpoint: "GET /api [list]"}, {Persona: "analyst", Task: "triage"}, {Stage: "steady"}} {
		if !match(s) {
			t.Errorf("%v does not match", s)
		}
	}
	for _, s := range []Selector{{Endpoint: "lis"}, {Persona: "list"}, {Task: "analyst"}, {Stage: "spike"}, {Endpoint: "list", Stage: "spike"}} {
		if match(s) {
			t.Errorf("%v matches", s)
		}
	}
	if !slices.Equal(Labels(), []string{"endpoint", "persona", "task", "stage"}) {
		t.Errorf("labels are %v", Labels())
	}
}

func TestLevenshteinIsADistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"kitten", "sitting", 3}, {"durng", "during", 1}, {"ab", "ba", 2}, {"µs", "us", 1}} {
		if got := levenshtein(c.a, c.b); got != c.want || levenshtein(c.b, c.a) != c.want {
			t.Errorf("distance of %q and %q is %d, want %d both ways", c.a, c.b, got, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, src := range []string{
		"p95 < 200ms", "ok.service.p99.9{endpoint=\"a b\", task=c} <= 1m30.5s during steady including ramps",
		"errors.check == 0", "throughput > 1000/m", "bytes_in >= 1.5KiB", "within(200ms) >= 99.9%", "dropped < 1%",
		"requests != 10_000", "p95 <= 110% of baseline", "max < -5s", "p95{stage=x} < 1e3ms", "p1A",
		"p95 < 200ms every 10s in 95% of windows", "p95 < 200ms every 1s within 30s after spike", "errors <= 50% during a of baseline",
		"delta(alerts_stored) >= successes{endpoint=alert_ingest}", "heap < 1GiB", "delta(heap) > 0", "bytes_in{task=a} < bytes_out",
		"p95 < 1s every 10 in 5 of windows within after x",
	} {
		f.Add(src)
	}
	parsers := []func(string) (Objective, error){
		Parse, ParseCondition, func(src string) (Objective, error) { return ParseWith(src, declared) },
	}
	f.Fuzz(func(t *testing.T, src string) {
		for _, parse := range parsers {
			o, err := parse(src)
			if err != nil {
				var pe *ParseError
				if !errors.As(err, &pe) || pe.Offset < 0 || pe.Offset > len(src) || pe.Msg == "" {
					t.Fatalf("%q: bad error %+v", src, err)
				}
				continue
			}
			again, err := parse(o.String())
			if err != nil {
				t.Fatalf("%q prints as %q, which does not parse: %v", src, o, err)
			}
			if placeless(o) != placeless(again) {
				t.Fatalf("%q: %+v prints as %q, which is %+v", src, o, o, again)
			}
			silent := Evidence{Seconds: 60, Slots: make([]Slot, 60), Baseline: Baseline{Of: "a run", Value: 1}}
			for _, ev := range []Evidence{{}, silent} {
				if j := Judge([]Claim{{Objective: o}}, []Evidence{ev}, Options{}); j.Overall == OverallPass {
					t.Fatalf("%q passes without data", src)
				}
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse("p95{endpoint=login} < 200ms during steady"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSlow(b *testing.B) {
	o := mustParse(b, "p95 < 200ms")
	b.ReportAllocs()
	slow := 0
	for b.Loop() {
		if o.Slow(0.19) {
			slow++
		}
	}
	if slow != 0 {
		b.Fatal("190 ms is slow at 200 ms")
	}
}
