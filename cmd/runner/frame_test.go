package main

import (
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"tollgate/internal/measure"
	"tollgate/pkg/exec"
	"tollgate/pkg/slo"
	"tollgate/pkg/spec"
)

// midway is a run at one moment, with a bit of everything.
func midway() *view {
	hist := measure.Hist{Coarse: true, Count: 990, Inf: 10, Packed: measure.Pack(measure.Bucket{Index: 1462, Count: 990}), Min: 1e6, Max: 187e6}
	return &view{
		title: "soc · spike", stages: []string{"warmup", "spike", "recovered"}, total: 3 * time.Minute,
		personas: []string{"steady_state", "burst_attack", "mixed_realistic"},
		progress: exec.Progress{
			Elapsed: 47 * time.Second, Stage: 1, Name: "spike", Shape: spec.Spike, Level: 50,
			Left: 103 * time.Second, Active: []int{25, 10, 15}, InFlight: 12,
		},
		recent: measure.Live{Requests: 1000, Failures: 10, Response: hist}, span: 5 * time.Second,
		sofar: measure.Live{Requests: 14203, Failures: 13, Response: hist},
		rates: []float64{1, 2, 3, 4, 5, 6, 7, 8}, p95s: []float64{0.1, 0.2, math.NaN(), math.Inf(1), 0.1},
		promises: []promise{
			{text: "p95 < 2s", stage: "spike", known: true, value: 0.187, unit: slo.Seconds, holds: true, current: true},
			{text: "errors < 0.01%", stage: "spike", known: true, value: 0.001, unit: slo.Ratio, current: true},
			{text: "mean{endpoint=health} < 200ms", stage: "spike", value: math.NaN(), current: true},
			{text: "errors < 0.01%", stage: "warmup", known: true, value: 0.5},
			{text: "p99 < 2s", stage: "recovered", known: true, value: math.NaN()},
		},
	}
}

func text(lines []line, width int) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.render(width, false) + "\n")
	}
	return b.String()
}

func TestFrame(t *testing.T) {
	for _, c := range []struct {
		width int
		want  string
	}{
		{80, `
soc · spike                                                         0:47 of 3:00
━━━━━━━━━━━━━━━━━━━───────────────────────────────────────────────────────  26 %
✓ warmup   ● spike   ○ recovered
  50 users, 1:43 left
  active  steady_state 25  burst_attack 10  mixed_realistic 15

                  last 5 s     since 0:00
  requests           200/s        14,203   ▂▃▄▅▅▆▇█
  p50               187 ms        187 ms
  p95               187 ms        187 ms   ▅█  ▅
  p99               187 ms        187 ms
  errors               1 %  13 (0.092 %)
  in flight             12

  ✓ p95 < 2s                                                       187 ms so far
  ✗ errors < 0.01%                                                  0.1 % so far
  · mean{endpoint=health} < 200ms                              judged at the end
    2 promises on other stages, 1 broken
`},
		{50, `
soc · spike                           0:47 of 3:00
━━━━━━━━━━━─────────────────────────────────  26 %
✓ warmup   ● spike   ○ recovered
  50 users, 1:43 left
  active  steady_state 25  burst_attack 10
          mixed_realistic 15

               last 5 s   since 0:00
  requests        200/s      14,203   ▂▃▄▅▅▆▇█
  p50            187 ms      187 ms
  p95            187 ms      187 ms   ▅█  ▅
  p99            187 ms      187 ms
  errors            1 %          13
  in flight          12

  ✓ p95 < 2s                         187 ms so far
  ✗ errors < 0.01%                    0.1 % so far
  · mean{endpoint=health} < 200… judged at the end
    2 promises on other stages, 1 broken
`},
	} {
		if got := "\n" + text(frame(midway(), c.width), c.width); got != c.want {
			t.Errorf("at %d columns:%s", c.width, got)
		}
	}
}

func TestFrameFitsEveryTerminal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := midway()
		name := rapid.StringN(0, 60, -1)
		v.title, v.stages[1], v.personas[0] = name.Draw(t, "title"), name.Draw(t, "stage"), name.Draw(t, "persona")
		v.promises[0].text = name.Draw(t, "promise")
		v.progress.Shape = rapid.SampledFrom([]spec.Shape{spec.Steady, spec.Pause, spec.Spike}).Draw(t, "shape")
		v.progress.Moving, v.progress.Open, v.stopping = rapid.Bool().Draw(t, "moving"), rapid.Bool().Draw(t, "open"), rapid.Bool().Draw(t, "stopping")
		if rapid.Bool().Draw(t, "nothing yet") {
			v.recent, v.sofar, v.span, v.rates, v.p95s, v.progress.Active = measure.Live{}, measure.Live{}, 0, nil, nil, nil
		}
		width := rapid.IntRange(1, 200).Draw(t, "width")
		for _, l := range frame(v, width) {
			shown := l.render(width, false)
			if n := utf8.RuneCountInString(shown); n > width {
				t.Fatalf("%d columns in %d: %q", n, width, shown)
			}
			if strings.ContainsAny(shown, "\x1b\r\n\t") {
				t.Fatalf("a name moves the cursor: %q", shown)
			}
		}
	})
}

func TestColoursTakeNoRoom(t *testing.T) {
	l := line{}.add(bold, "pass").add(plain, " ").add(green, "✓ all")
	if got, want := l.render(6, true), "\x1b[1mpass\x1b[0m \x1b[32m✓\x1b[0m"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := l.render(6, false); got != "pass ✓" {
		t.Errorf("%q", got)
	}
}

func TestCurveLeavesGapsWhereThereIsNoFiniteValue(t *testing.T) {
	if got, want := spark([]float64{0, 0.5, 1, math.Inf(1), math.NaN(), 1}), "▁▅█  █"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := spark([]float64{0, 0, math.NaN()}); got != "   " {
		t.Errorf("%q", got)
	}
}

func TestPlainLine(t *testing.T) {
	v := midway()
	want := "0:47/3:00 spike hold: 50 users, 200/s, p50 187 ms, p95 187 ms, p99 187 ms, 13 (0.092 %) errors so far, 12 in flight"
	if got := plainLine(v); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	v.stopping = true
	want = "0:47/3:00 stopping: 12 in flight get a moment, then the report is written"
	if got := plainLine(v); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestLogGetsALineEveryFiveSecondsAndWhenSomethingBegins(t *testing.T) {
	at := func(seconds float64, stage int, stopping bool) *view {
		return &view{title: "t", progress: exec.Progress{Elapsed: time.Duration(seconds * 1e9), Stage: stage}, stopping: stopping}
	}
	last := at(1, 0, false)
	for _, c := range []struct {
		name string
		last *view
		now  *view
		want bool
	}{
		{"the first", &view{}, at(1, 0, false), true},
		{"too early", last, at(5, 0, false), false},
		{"in time, a little early", last, at(5.9, 0, false), true},
		{"another stage", last, at(2, 1, false), true},
		{"a signal", last, at(2, 0, true), true},
	} {
		if got := worthALine(c.last, c.now); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestClock(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0:00", 59600 * time.Millisecond: "1:00", 100 * time.Second: "1:40", time.Hour + 62*time.Second: "1:01:02",
	} {
		if got := clockText(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}
