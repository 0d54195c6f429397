package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tollgate/pkg/exec"
	"tollgate/pkg/spec"
)

// doubtful returns a spec with these stages and SLOs: each user makes a request
// a second and waits for the rest of it.
func doubtful(t *testing.T, stages, slos string, more ...string) *spec.Spec {
	t.Helper()
	text := `
version: 1
name: doubtful
target: {url: "http://127.0.0.1:1"}
endpoints: {home: GET /, about: GET /about, login: POST /login}
personas:
  visitor: {weight: 2, think: 1s, tasks: {home: 1}}
  reader: {weight: 1, think: 1s, on_start: [login], tasks: {home: 3, about: 1}}
stages: [` + stages + `]
slos: [` + slos + `]
` + strings.Join(more, "\n")
	s, faults := spec.Parse("doubtful.yaml", []byte(text), spec.Options{})
	if faults != nil {
		t.Fatal(faults)
	}
	return s
}

// compiled returns the plan of such a spec.
func compiled(t *testing.T, stages, slos string) *exec.Plan {
	t.Helper()
	p, err := exec.Compile(doubtful(t, stages, slos), exec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func foreseen(t *testing.T, s *spec.Spec) *foresight {
	t.Helper()
	f, err := foresee(s, exec.Options{}, assumedLatency)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestDoubts(t *testing.T) {
	const closed, open = "steady: {users: 12, for: 10s}", "steady: {rate: 50/s, for: 10s}"
	for _, c := range []struct{ stages, slo, want string }{
		{closed, "p95 < 1s", ""}, // about 109 requests
		{closed, "p99 < 1s", "p99 < 1s on steady cannot be proven: it will see about 109 requests if every answer takes 100ms, and a proof with 95 % confidence takes 299"},
		{closed, "ok.p99 < 1s during steady", "ok.p99 < 1s during steady cannot be proven: it will see about 109 requests if every answer takes 100ms, and a proof with 95 % confidence takes 299"},
		{open, "p99 < 1s", ""},
		{open, "p99.9 < 1s", "p99.9 < 1s on steady cannot be proven: it will see about 500 requests if every answer takes 100ms, and a proof with 95 % confidence takes 2,995"},
		{closed, "errors < 5%", ""},
		{closed, "errors < 1%", "errors < 1% on steady cannot be proven: it will see about 109 requests if every answer takes 100ms, and a proof with 95 % confidence takes 299"},
		{closed, "errors == 0", ""},
		{closed, "within(1s) > 95%", ""},
		{closed, "within(1s) > 99%", "within(1s) > 99% on steady cannot be proven: it will see about 109 requests if every answer takes 100ms, and a proof with 95 % confidence takes 299"},
		{closed, "max < 1s", ""},
		{"steady: {users: 1, for: 100ms}", "max < 1s", "max < 1s on steady cannot be proven: it will see about 0.09 requests if every answer takes 100ms"},
		{"steady: {users: 10, for: 1s}", "'p95{endpoint=login} < 1s'", "p95{endpoint=login} < 1s cannot be proven: it will see about 3 requests if every answer takes 100ms, and a proof with 95 % confidence takes 59"},
		{closed, "throughput > 11/s", ""},
		{closed, "throughput > 12/s", "throughput > 12/s on steady cannot hold: even if every answer came at once it would see 12/s"},
		{open, "throughput > 49/s during steady", ""},
		{open, "throughput >= 50/s during steady", "throughput >= 50/s during steady cannot be proven: the stage offers no more than 50/s"},
		{closed, "requests > 119", ""},
		{closed, "requests > 120", "requests > 120 on steady cannot hold: even if every answer came at once it would see 120"},
		{closed, "successes >= 121", "successes >= 121 on steady cannot hold: even if every answer came at once it would see 120"},
		{closed, "users >= 12", ""},
		{closed, "users > 12", "users > 12 on steady cannot hold: the stage holds 12"},
		{closed, "{slo: errors < 5%, advisory: true}", "the spec promises nothing that decides: a run of it ends with exit code 4"},
		{closed, "", "the spec promises nothing that decides: a run of it ends with exit code 4"},
		{closed, "p95 < 1s every 5s", "p95 < 1s every 5s on steady cannot be proven: its windows of 5s will see about 55 requests each if every answer takes 100ms, and each takes 59 (75 on average, as they scatter)"},
		{open, "p95 < 1s every 2s", ""},
		{closed, "throughput > 11/s every 5s", ""},
		{closed, "throughput > 12/s every 5s", "throughput > 12/s every 5s on steady cannot hold: even if every answer came at once it would see 12/s"},
		{closed, "requests > 59 every 5s", ""},
		{closed, "requests > 60 every 5s", "requests > 60 every 5s on steady cannot hold: even if every answer came at once it would see 60 in a window"},
		{closed, "requests > 60 every 5s in 50% of windows", ""},
		{"steady: {users: 12, for: 5s}", "mean < 1s", "mean < 1s on steady cannot be proven: the stage holds for 5s, and a proof takes 10s"},
		{"steady: {users: 12, for: 5s}", "max < 1s", ""},
		{"spike: {users: 50, for: 20s, back: 2s}, steady: {name: after, users: 20, for: 10s}", "p95 < 1s within 30s after spike",
			"p95 < 1s within 30s after spike cannot be broken: it may take 30s, and only 12s follow the peak"},
		{"spike: {users: 50, for: 20s, back: 2s}, steady: {name: after, users: 12, for: 1m}", "p95 < 1s within 30s after spike",
			"p95 < 1s within 30s after spike cannot be proven: its windows of 5s will see about 55 requests each if every answer takes 100ms, and each takes 59 (75 on average, as they scatter)"},
		{closed, "p95 <= 110% of baseline", "the spec promises nothing that decides: a run of it ends with exit code 4"},
		{"steady: {users: 10, for: 20s..1m}", "p99 < 1s", ""}, // about 545 requests in a minute
		{"steady: {users: 10, for: 20s..1m}, steady: {name: more, users: 10, for: 30s}", "p95 < 1s during more",
			"steady will hold for 20s, never for 1m: nothing on it takes longer to decide"},
	} {
		var got []string
		for _, d := range foreseen(t, doubtful(t, c.stages, c.slo)).doubts() {
			got = append(got, d.msg)
			if d.hint == "" || d.pos.Line == 0 {
				t.Errorf("%s: no place or no hint: %+v", c.slo, d)
			}
		}
		if all := strings.Join(got, "; "); all != c.want {
			t.Errorf("%s:\n  got  %q\n  want %q", c.slo, all, c.want)
		}
	}
}

func TestWhatWouldDoIsSaid(t *testing.T) {
	const peak = "spike: {users: 50, for: 20s, back: 2s}, "
	for _, c := range []struct{ stages, slo, want string }{
		{"steady: {users: 12, for: 10s}", "p99 < 1s", "hold at least 28s, or at least 33 users"},
		{"steady: {users: 12, for: 10s}", "'p99.9{persona=reader} < 1s'", "hold at least 14m, or at least 989 users"},
		{"steady: {users: 12, for: 20s..30s}", "p99.9 < 1s", "hold up to 5m50s, or at least 129 users"},
		{"steady: {users: {reader: 3}, for: 10s}", "p95 < 1s", "hold at least 22s"},
		{"spike: {rate: 5/s, for: 10s, ramp: 1m}", "p95 < 1s", "hold at least 12s, or at least 6/s"},
		{"steady: {users: 12, for: 10s}, steps: {from: 1, to: 3, by: 1, every: 5s}", "p95 < 1s, p95 < 1s during steps", "hold each step at least 11s"},
		{"steady: {users: 12, for: 5s}", "mean < 1s", "hold at least 10s"},
		{"steady: {users: 12, for: 5s}", "p99 < 1s", "hold at least 28s"}, // no level makes up for time
		{"steady: {users: 5, for: 1m}", "p95 < 1s every 10s", "write every 17s, or hold at least 9 users"},
		{"steady: {users: 1, for: 1m}", "p95 < 1s every 10s", "hold at least 9 users"},
		{"steady: {users: {reader: 1}, for: 1m}", "p95 < 1s every 10s", "raise the level, or write longer windows"},
		{"steady: {users: 5, for: 8s}, steady: {name: more, users: 5, for: 1m}", "throughput > 1/s every 10s", "hold at least 10s"},
		{peak + "steady: {name: after, users: 12, for: 1m}", "p95 < 1s every 5s within 30s after spike", "write every 7s, or hold at least 17 users"},
		{peak + "steady: {name: after, users: 8, for: 1m}", "p95 < 1s every 5s within 10s after spike", "hold at least 17 users"},
		{peak + "steady: {name: after, users: 1, for: 1m}", "p95 < 1s every 5s within 30s after spike", "hold at least 17 users"},
		{peak + "steady: {name: after, users: 20, for: 10s}", "p95 < 1s within 30s after spike", "hold after at least 28s"},
		{peak + "steady: {name: after, users: 20, for: 28s}", "p95 < 1s within 30s after spike", ""},
		{"steady: {users: 12, for: 10s}", "'p95{task=on_start} < 1s'", "raise the level: set-up happens once for each user"},
	} {
		hints := ""
		for _, d := range foreseen(t, doubtful(t, c.stages, c.slo)).doubts() {
			hints += d.hint
		}
		if hints != c.want {
			t.Errorf("%s %s:\n  got  %q\n  want %q", c.stages, c.slo, hints, c.want)
		}
	}
}

// A hint that is followed must help, and must not ask for twice of what is due.
func TestWhatWouldDoDoes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		level := "users: " + strconv.Itoa(rapid.IntRange(1, 50).Draw(rt, "users"))
		if rapid.Bool().Draw(rt, "open") {
			level = fmt.Sprintf("rate: %d/s", rapid.IntRange(1, 50).Draw(rt, "rate"))
		}
		least := rapid.IntRange(20, 60).Draw(rt, "for")
		hold := fmt.Sprintf("%ds", least)
		if rapid.Bool().Draw(rt, "ranges") {
			hold = fmt.Sprintf("%ds..%ds", least, least+rapid.IntRange(1, 60).Draw(rt, "more"))
		}
		shape := rapid.SampledFrom([]string{"steady", "spike"}).Draw(rt, "shape")
		ramp := rapid.IntRange(0, 30).Draw(rt, "ramp")
		metric := rapid.SampledFrom([]string{"p95%s < 1s", "p99%s < 1s", "p99.9%s < 1s", "errors%s <= 0.5%%", "within(1s)%s > 99.5%%"}).Draw(rt, "metric")
		selector := rapid.SampledFrom([]string{"", "{persona=reader}", "{persona=visitor}", "{endpoint=about}"}).Draw(rt, "selector")
		scope := rapid.SampledFrom([]string{"", " including ramps"}).Draw(rt, "scope")
		objective := fmt.Sprintf(metric, selector) + scope
		s := doubtful(t, fmt.Sprintf("%s: {%s, ramp: %ds, for: %s}", shape, level, ramp, hold), strconv.Quote(objective))

		seen := func(o spec.Override) fate {
			c, faults := s.With(o)
			if faults != nil {
				rt.Fatal(faults)
			}
			f, err := foresee(c, exec.Options{}, assumedLatency)
			if err != nil {
				rt.Fatal(err)
			}
			return f.prospects[0].fate
		}
		pr := foreseen(t, s).prospects[0]
		if pr.fate == decides || pr.expected == 0 {
			return
		}
		length := regexp.MustCompile(`(?:hold at least|up to) ([0-9hms]+)`).FindStringSubmatch(pr.hint)
		if length == nil {
			rt.Fatalf("%s: no length in %q", objective, pr.hint)
		}
		longer, err := spec.ParseDuration(length[1])
		if err != nil {
			rt.Fatal(err)
		}
		half := longer / 2
		if seen(spec.Override{For: &longer}) != decides {
			rt.Errorf("%s: %s does not help", objective, longer)
		}
		if seen(spec.Override{For: &half}) == decides {
			rt.Errorf("%s: half of %s would do", objective, longer)
		}
		more := regexp.MustCompile(`or at least ([0-9,]+)( users|/s)`).FindStringSubmatch(pr.hint)
		if more == nil {
			rt.Fatalf("%s: no level in %q", objective, pr.hint)
		}
		n, err := strconv.Atoi(strings.ReplaceAll(more[1], ",", ""))
		if err != nil {
			rt.Fatal(err)
		}
		with := func(n int) spec.Override {
			if rate := float64(n); more[2] == "/s" {
				return spec.Override{Rate: &rate}
			}
			return spec.Override{Users: &n}
		}
		if seen(with(n)) != decides {
			rt.Errorf("%s: %s%s do not help", objective, more[1], more[2])
		}
		if n > 10 && seen(with(n/2)) == decides {
			rt.Errorf("%s: half of %s%s would do", objective, more[1], more[2])
		}
	})
}

func TestWhatWouldDoDoesForWindows(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		users := rapid.IntRange(1, 30).Draw(rt, "users")
		window := rapid.IntRange(1, 20).Draw(rt, "window")
		form := rapid.SampledFrom([]string{"p95 < 1s every %s", "p99 < 1s every %s", "errors < 1%% every %s", "p95 < 1s every %s within 1m after spike"}).Draw(rt, "form")
		fated := func(users int, every string) *prospect {
			s := doubtful(t, fmt.Sprintf("spike: {users: %d, for: 1m}, steady: {users: %d, for: 1m}", users, users), fmt.Sprintf(form, every))
			return &foreseen(t, s).prospects[0]
		}
		hint := fated(users, fmt.Sprintf("%ds", window)).hint
		if m := regexp.MustCompile(`every (\w+)`).FindStringSubmatch(hint); m != nil {
			if pr := fated(users, m[1]); pr.fate != decides {
				rt.Errorf("%s is followed by %s", hint, pr.msg)
			}
		}
		if m := regexp.MustCompile(`at least (\d+) users`).FindStringSubmatch(hint); m != nil {
			n, _ := strconv.Atoi(m[1])
			if pr := fated(n, fmt.Sprintf("%ds", window)); pr.fate != decides {
				rt.Errorf("%s is followed by %s", hint, pr.msg)
			}
		}
	})
}

func TestFloorIsThatOfTheTables(t *testing.T) {
	for _, c := range []struct {
		slo, confidence string
		want            float64
	}{
		{"p95 < 1s", "95%", 59}, {"p99 < 1s", "95%", 299}, {"p99.9 < 1s", "95%", 2995},
		{"p99 < 1s", "99%", 459}, {"p99 < 1s", "off", 0},
		{"errors < 5%", "95%", 59}, {"errors == 0", "95%", 0}, {"within(1s) >= 99%", "95%", 299},
		{"max < 1s", "95%", 0}, {"throughput > 1/s", "95%", 0}, {"mean < 1s", "95%", 10},
		{"p95 < 1s every 30s", "95%", 150}, {"p95 < 1s every 30s", "off", 150}, // 59 in each window takes 75 on average
		{"p99 <= 110% of baseline", "95%", 0}, {"successes{persona=reader} < requests{persona=visitor}", "95%", 0},
	} {
		s := doubtful(t, "steady: {users: 12, for: 1m}", "'"+c.slo+"'", "confidence: "+c.confidence)
		if got := foreseen(t, s).prospects[0].floor; got != c.want {
			t.Errorf("%s at %s takes %v, want %v", c.slo, c.confidence, got, c.want)
		}
	}
}

func TestLooksShareTheError(t *testing.T) {
	once := foreseen(t, doubtful(t, "steady: {users: 1, for: 70s}", "p95 < 1s")).prospects[0]
	looked := foreseen(t, doubtful(t, "steady: {users: 1, for: 20s..70s}", "p95 < 1s")).prospects[0]
	if once.fate != decides || looked.floor <= once.floor {
		t.Errorf("one look takes %v, three take %v", once.floor, looked.floor)
	}
	if want := "in all 3 looks together takes "; looked.fate != undecided || !strings.Contains(looked.msg, want) {
		t.Errorf("%s: %s", looked.fate, looked.msg)
	}
}

func TestWithoutConfidenceAnyNumberDecides(t *testing.T) {
	f := foreseen(t, doubtful(t, "steady: {users: 2, for: 5s}", "p99.9 < 1s", "confidence: off"))
	if pr := f.prospects[0]; pr.fate != decides || pr.floor != 0 || len(f.doubts()) != 0 {
		t.Errorf("%+v, %v", pr, f.doubts())
	}
	f = foreseen(t, doubtful(t, "steady: {users: 2, for: 20s..5m}", "p99.9 < 1s", "confidence: off"))
	if d := f.doubts(); len(d) != 1 || !strings.Contains(d[0].msg, "never for 5m") {
		t.Errorf("%v", d)
	}
}

func TestHoldThatMayLieBetweenTwoReadingsIsDoubtful(t *testing.T) {
	probes := func(every string) string {
		return `probes: {heap: {scrape: /metrics, metric: heap, every: ` + every + `}}`
	}
	const stages = "steady: {name: short, users: 12, for: 3s}, steady: {users: 12, for: 20s}"
	for every, want := range map[string][]fate{"3s": {decides, decides}, "4s": {undecided, decides}, "20s": {undecided, decides}} {
		f := foreseen(t, doubtful(t, stages, "heap < 1GiB, delta(heap) == 0", probes(every)))
		for i, fate := range want {
			if pr := f.prospects[i]; pr.fate != fate || pr.Objective.Text != "heap < 1GiB" {
				t.Errorf("every %s: %s on %s: %s, want %s", every, pr.Objective.Text, pr.Stage, pr.fate, fate)
			}
		}
		if pr := f.prospects[2]; pr.fate != decides || pr.expects() != "2 readings" {
			t.Errorf("every %s: %s: %s of %s", every, pr.Objective.Text, pr.fate, pr.expects())
		}
	}
	d := foreseen(t, doubtful(t, stages, "heap < 1GiB", probes("4s"))).doubts()
	if len(d) != 1 || d[0].msg != "heap < 1GiB on short may see no reading: the probe is read every 4s, and the stage holds for 3s" ||
		d[0].hint != "hold at least 4s, or read the probe every 3s" {
		t.Errorf("%+v", d)
	}
}
