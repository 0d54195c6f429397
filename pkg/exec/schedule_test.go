package exec

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tollgate/internal/measure"
)

func TestRampFollowsTheShapesThatItReplaces(t *testing.T) {
	// max(1, ceil(50·t/30)) users at t, as in the SOC spike shape.
	p := part{from: []int{0, 0, 0}, to: []int{25, 10, 15}, over: 30 * time.Second}
	for ms := 0; ms <= 30_000; ms += 137 {
		at := time.Duration(ms) * time.Millisecond
		want := max(1, int(math.Ceil(50*at.Seconds()/30-1e-9)))
		// A user whose place begins at this very instant is there.
		if got := sum(p.levelAt(at)); got != want && got != int(math.Floor(50*at.Seconds()/30+1e-9))+1 {
			t.Fatalf("at %v: %d users, want %d", at, got, want)
		}
	}
	if got := p.levelAt(30 * time.Second); !slices.Equal(got, p.to) {
		t.Fatalf("at the end: %v", got)
	}
	back := part{from: []int{25, 10, 15}, to: []int{0, 0, 0}, over: 30 * time.Second}
	for ms := 0; ms < 30_000; ms += 137 {
		at := time.Duration(ms) * time.Millisecond
		want := int(math.Ceil(50*(1-at.Seconds()/30) - 1e-9))
		if got := sum(back.levelAt(at)); got != want {
			t.Fatalf("on the way back at %v: %d users, want %d", at, got, want)
		}
	}
}

func TestUsersRampAtTheirRateAndStay(t *testing.T) {
	p := compileText(t, specText("p: {think: 1s, tasks: {a: 1}}", "- steady: {users: 20, ramp: 2/s, for: 60s}"), 1)
	s := newSim(t, p, 1)
	s.run()
	for second, n := range s.active[:70] {
		if want := min(20, 2*(second+1)); n != want {
			t.Errorf("second %d: %d active users, want %d", second, n, want)
		}
	}
}

func TestAnHourOfFixedThinkTimesIsExact(t *testing.T) {
	// A request takes 100 ms and the pause after it 900 ms: each user sends once
	// a second, at once after it comes, for an hour.
	p := compileText(t, specText("p: {think: 900ms, tasks: {a: 1}}", "- steady: {users: 7, for: 1h}"), 1)
	s := newSim(t, p, 2)
	s.answer = func(sent) (time.Duration, int, string) { return 100 * time.Millisecond, 200, "{}" }
	s.run()
	// The one that is due at the hour's end belongs to no part of the plan.
	if len(s.log) != 7*3600 {
		t.Fatalf("%d requests, want %d", len(s.log), 7*3600)
	}
	for _, x := range s.log {
		if x.at != x.due || x.due != int64(x.iter-1)*1e9 {
			t.Fatalf("user %d, iteration %d: due %d, sent %d", x.id, x.iter, x.due, x.at)
		}
	}
}

func TestThinkTimesAreUniformAfterTheTaskAndNeverBetweenItsSteps(t *testing.T) {
	p := compileText(t, specText("p: {think: 2s..5s, tasks: {pair: {weight: 1, steps: [a, b]}}}", "- steady: {users: 50, for: 20m}"), 5)
	s := newSim(t, p, 1)
	s.run()
	byUser := map[int64][]sent{}
	for _, x := range s.log {
		byUser[x.id] = append(byUser[x.id], x)
	}
	var pauses []float64
	for _, log := range byUser {
		for i := 1; i < len(log); i++ {
			gap := time.Duration(log[i].due - log[i-1].at - int64(50*time.Millisecond))
			if log[i].row == "b" {
				if gap != 0 {
					t.Fatalf("%v between two steps of a task", gap)
				}
				continue
			}
			pauses = append(pauses, gap.Seconds())
		}
	}
	slices.Sort(pauses)
	if lo, hi := pauses[0], pauses[len(pauses)-1]; lo < 2 || hi > 5 {
		t.Fatalf("think times from %v to %v s, want 2 to 5", lo, hi)
	}
	// Kolmogorov-Smirnov against the uniform distribution; 1.95/sqrt(n) is the 0.1 % point.
	worst := 0.0
	for i, x := range pauses {
		f := (x - 2) / 3
		worst = max(worst, math.Abs(f-float64(i)/float64(len(pauses))))
	}
	if worst > 1.95/math.Sqrt(float64(len(pauses))) {
		t.Errorf("think times are not uniform: distance %.4f over %d", worst, len(pauses))
	}
}

func TestTasksAreDrawnByWeight(t *testing.T) {
	p := compileText(t, specText("p: {think: 1s, tasks: {a: 5, b: 2, list: 1}}", "- steady: {users: 100, for: 10m}"), 9)
	s := newSim(t, p, 2)
	s.run()
	rows, n := s.rows(), float64(len(s.log))
	for row, share := range map[string]float64{"a": 5. / 8, "b": 2. / 8, "list": 1. / 8} {
		if got, sd := float64(rows[row]), math.Sqrt(n*share*(1-share)); math.Abs(got-n*share) > 4*sd {
			t.Errorf("%s: %.0f of %.0f, want %.0f within %.0f", row, got, n, n*share, 4*sd)
		}
	}
}

// choices lists what every user did, without when: the part that must not
// depend on how users are spread over loops.
func choices(s *sim) []string {
	log := slices.Clone(s.log)
	slices.SortStableFunc(log, func(a, b sent) int {
		return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.iter, b.iter), cmp.Compare(a.at, b.at))
	})
	var out []string
	for _, x := range log {
		out = append(out, fmt.Sprintf("%s %d/%d due %d: %s", x.persona, x.id, x.iter, x.due, x.request))
	}
	return out
}

func TestSameSeedGivesTheSameRunOnAnyNumberOfLoops(t *testing.T) {
	text := `version: 1
name: test
target: {url: "http://127.0.0.1:1"}
values: {kind: {x: 5, y: 3, z: 1}}
endpoints:
  a: {request: POST /a, json: {k: "${pick(kind)}", n: "${int(1, 1000000)}", u: "${uuid()}"}}
  b: GET /b/${int(1, 99)}
personas:
  p: {weight: 3, think: 1s..2s, values: {me: "${int(1, 100)}"}, headers: {X-Me: "${me}"}, tasks: {a: 2, b: 1}}
  q: {weight: 2, think: 500ms..2s, tasks: {a: 1, b: 4}}
stages:
  - steady: {users: 23, ramp: 5/s, for: 30s}
  - spike: {users: 61, ramp: 3s, for: 10s, back: 2s}
  - steady: {name: after, users: 23, for: 10s}
`
	run := func(loops int, seed uint64) []string {
		s := newSim(t, compileText(t, text, seed), loops)
		s.run()
		return choices(s)
	}
	one := run(1, 42)
	for _, loops := range []int{1, 2, 3, 8} {
		if diff := gocmp.Diff(one, run(loops, 42)); diff != "" {
			t.Errorf("%d loops:\n%.2000s", loops, diff)
		}
	}
	if gocmp.Equal(one, run(1, 43)) {
		t.Error("another seed gives the same run")
	}
}

func TestSameSeedGivesTheSameArrivalsOnAnyNumberOfLoops(t *testing.T) {
	text := specText("p: {weight: 3, tasks: {a: 2, b: 1}}\nq: {weight: 1, tasks: {b: 1}}", "- steady: {rate: 300/s, for: 10s}")
	run := func(loops int) (out []string) {
		s := newSim(t, compileText(t, text, 42), loops)
		s.run()
		for _, x := range s.log {
			out = append(out, fmt.Sprintf("%d %s %s", x.due-s.parts[1].Start, x.persona, x.row))
		}
		slices.Sort(out)
		return out
	}
	one := run(1)
	for _, loops := range []int{2, 5} {
		if diff := gocmp.Diff(one, run(loops)); diff != "" {
			t.Errorf("%d loops:\n%.2000s", loops, diff)
		}
	}
}

func TestSpikeGoesBackToTheLevelBefore(t *testing.T) {
	p := compileText(t, specText("p: {think: 1s, tasks: {a: 1}}", `
- steady: {users: 10, for: 20s}
- spike: {users: 40, ramp: 10s, for: 20s, back: 10s}
- steady: {name: after, users: 10, for: 30s}`), 1)
	s := newSim(t, p, 2)
	s.run()
	for second, want := range map[int]int{10: 10, 45: 40, 70: 10, 80: 10} {
		if got := s.active[second]; got != want {
			t.Errorf("second %d: %d active users, want %d", second, got, want)
		}
	}
	// Those who stay keep their place in the draw: their iterations go on.
	last := map[int64]uint32{}
	for _, x := range s.log {
		if x.iter != last[x.id]+1 {
			t.Fatalf("user %d: iteration %d after %d", x.id, x.iter, last[x.id])
		}
		last[x.id] = x.iter
	}
}

func TestUsersLeaveEvenWhenTheNextStageBeginsAtOnce(t *testing.T) {
	p := compileText(t, specText("p: {think: 1s, tasks: {a: 1}}", `
- spike: {users: 40, for: 10s}
- steady: {users: 10, for: 10s}`), 1)
	s := newSim(t, p, 2)
	s.run()
	if got := s.active[15]; got != 10 {
		t.Errorf("%d active users, want 10", got)
	}
}

func TestNobodySendsInAPause(t *testing.T) {
	p := compileText(t, specText("p: {think: 1s..3s, tasks: {a: 1}}", `
- steady: {users: 10, for: 20s}
- pause: {for: 30s}
- steady: {name: after, users: 10, for: 20s}`), 1)
	s := newSim(t, p, 2)
	s.run()
	pause, after := s.parts[2].Start, s.parts[3].Start
	before, later := 0, 0
	for _, x := range s.log {
		switch {
		case x.due >= pause && x.due < after:
			t.Fatalf("a request due %v into the pause", time.Duration(x.due-pause))
		case x.due < pause:
			before++
		default:
			later++
		}
	}
	if before < 80 || later < 60 {
		t.Errorf("%d requests before the pause and %d after", before, later)
	}
}

func TestUserWhoseSetupFailsDoesNoTasks(t *testing.T) {
	p := compileText(t, specText("p: {think: 1s, on_start: [login], headers: {Authorization: 'Bearer ${token}'}, tasks: {a: 1}}",
		"- steady: {users: 10, for: 20s}"), 1)
	s := newSim(t, p, 2)
	s.answer = func(x sent) (time.Duration, int, string) {
		if x.row == "login" && x.id%2 == 0 {
			return time.Millisecond, 200, `{"mfa_required": true, "token": null}` // a login that gives no token
		}
		return time.Millisecond, 200, `{"token": "t0ken"}`
	}
	snap := s.run()
	for _, x := range s.log {
		if x.row == "a" && x.id%2 == 0 {
			t.Fatalf("user %d did a task without its token", x.id)
		}
		if x.row == "a" && !strings.Contains(x.request, "\r\nAuthorization: Bearer t0ken\r\n") {
			t.Fatalf("no token in %q", x.request)
		}
	}
	if got := s.active[10]; got != 5 {
		t.Errorf("%d active users, want 5", got)
	}
	for _, row := range snap.Rows() {
		if row.Name == "login" && (row.Failures != 5 || row.Outcomes[measure.Check] != 5) {
			t.Errorf("login: %d failures, want 5 of class check", row.Failures)
		}
	}
}

func TestHoldBeginsWhenTheSetupOfItsUsersHasEnded(t *testing.T) {
	p := compileText(t, specText("p: {think: 1s, on_start: [login], tasks: {a: 1}}", "- steady: {users: 10, ramp: 1s, for: 10s}"), 1)
	s := newSim(t, p, 1)
	s.answer = func(x sent) (time.Duration, int, string) {
		if x.row == "login" {
			return 4 * time.Second, 200, `{"token": "x"}`
		}
		return time.Millisecond, 200, "{}"
	}
	s.run()
	// The last of ten users comes at 0.9 s and has logged in at 4.9 s.
	if got, want := s.parts[1].Start, int64(4900*time.Millisecond); got != want {
		t.Errorf("the hold begins at %v, want %v", time.Duration(got), time.Duration(want))
	}
}

func TestConditionalStepIsSkippedAndCounted(t *testing.T) {
	p := compileText(t, specText("p: {think: 1s, tasks: {pair: {weight: 1, steps: [list, {call: item, when: id}]}}}", "- steady: {users: 4, for: 30s}"), 1)
	s := newSim(t, p, 2)
	s.answer = func(x sent) (time.Duration, int, string) {
		if x.row == "list" && x.iter%2 == 0 {
			return time.Millisecond, 200, `[]`
		}
		return time.Millisecond, 200, `[{"id": "a b/c"}]`
	}
	snap := s.run()
	for _, row := range snap.Rows() {
		switch row.Name {
		case "list":
			if row.Failures > 0 || row.Skipped > 0 {
				t.Errorf("list: %d failures, %d skipped", row.Failures, row.Skipped)
			}
		case "item":
			if row.Skipped == 0 || row.OK == 0 || row.Failures > 0 {
				t.Errorf("item: %d skipped, %d ok, %d failed", row.Skipped, row.OK, row.Failures)
			}
		}
	}
	for _, x := range s.log {
		if x.row == "item" && !strings.HasPrefix(x.request, "GET /items/a%20b%2Fc HTTP/1.1\r\n") {
			t.Fatalf("unescaped: %q", x.request)
		}
	}
}

func TestArrivalsBeyondTheirCapAreNotIssuedAndSaidSo(t *testing.T) {
	// 100 arrivals a second, answers of 1 s, 20 users: a fifth can be served.
	p := compileText(t, specText("p: {tasks: {a: 1}}", "- steady: {rate: 100/s, arrivals: uniform, max_users: 20, for: 60s}"), 1)
	s := newSim(t, p, 2)
	s.answer = func(sent) (time.Duration, int, string) { return time.Second, 200, "{}" }
	snap := s.run()
	row := snap.Rows()[0]
	if row.Planned != 6000 {
		t.Errorf("%d planned, want 6000", row.Planned)
	}
	if row.NotIssued < 3500 || row.NotIssued+row.Requests != row.Planned {
		t.Errorf("%d of %d not issued, %d sent", row.NotIssued, row.Planned, row.Requests)
	}
	busy := 0
	ends := []int64{}
	for _, x := range s.log {
		for len(ends) > 0 && ends[0] <= x.at {
			ends = ends[1:]
		}
		ends = append(ends, x.at+1e9)
		busy = max(busy, len(ends))
	}
	if busy > 20 {
		t.Errorf("%d requests in flight at once, the cap is 20", busy)
	}
	// The response time counts from when the arrival was due.
	if q := row.Response.Quantile(0.2); q < 5 {
		t.Errorf("p20 is %.2f s although most arrivals waited for seconds", q)
	}
}

func TestPoolGrowsWhenEveryUserIsBusy(t *testing.T) {
	p := compileText(t, specText("p: {tasks: {a: 1}}", "- steady: {rate: 100/s, arrivals: uniform, for: 20s}"), 1)
	s := newSim(t, p, 2)
	s.answer = func(x sent) (time.Duration, int, string) { return 2 * time.Second, 200, "{}" }
	snap := s.run()
	row := snap.Rows()[0]
	if row.OK != 2000 || row.NotIssued != 0 {
		t.Errorf("%d ok, %d not issued of 2000", row.OK, row.NotIssued)
	}
	if q := row.Response.Quantile(0.999); q > 2.01 {
		t.Errorf("p99.9 is %.3f s: arrivals waited although the pool may grow", q)
	}
}

func TestClosedStageAfterAnOpenOneTakesOver(t *testing.T) {
	p := compileText(t, specText("p: {think: 1s, tasks: {a: 1}}", `
- steady: {users: 5, for: 10s}
- steady: {name: open, rate: 50/s, for: 10s}
- steady: {name: closed, users: 8, for: 10s}`), 1)
	s := newSim(t, p, 2)
	s.run()
	if got := s.active[28]; got != 8 {
		t.Errorf("%d active users at the end, want 8", got)
	}
	last := s.parts[len(s.parts)-1].Start
	n := 0
	for _, x := range s.log {
		if x.due > last {
			n++
		}
	}
	if n < 60 || n > 90 {
		t.Errorf("%d requests in the last 10 s of 8 users with 1 s of pause", n)
	}
}

// Whatever the target does, every request that was planned is accounted for
// (the simulation asserts the identity), and nothing is sent twice.
func TestEveryRequestIsAccountedForWhateverTheTargetDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stages := []string{"- steady: {users: 6, ramp: 2s, for: 5s}", "- spike: {users: 20, ramp: 1s, for: 3s, back: 1s}",
			"- steady: {name: r, rate: 40/s, max_users: 15, for: 5s}", "- pause: {for: 2s}", "- steady: {name: last, users: 3, for: 4s}"}
		var chosen []string
		for _, st := range stages {
			if rapid.Bool().Draw(t, st) {
				chosen = append(chosen, st)
			}
		}
		chosen = append(chosen, "- steady: {name: end, users: 2, for: 2s}")
		setup := rapid.SampledFrom([]string{"", "on_start: [login], "}).Draw(t, "setup")
		personas := fmt.Sprintf(`p: {weight: 2, think: 0s..2s, %stasks: {a: 3, pair: {weight: 2, steps: [list, {call: item, when: id}]}}}
q: {weight: 1, think: 0s, tasks: {b: 1}}`, setup)
		p := compileText(t, specText(personas, strings.Join(chosen, "\n")), rapid.Uint64().Draw(t, "seed"))
		loops := rapid.IntRange(1, 3).Draw(t, "loops")
		s := newSim(t, p, loops)
		chaos := rapid.Uint64().Draw(t, "chaos")
		s.answer = func(x sent) (time.Duration, int, string) {
			chaos = chaos*6364136223846793005 + 1442695040888963407
			r := chaos >> 33
			latency := time.Duration(5+r%300) * time.Millisecond
			switch r % 11 {
			case 0:
				return latency, 0, "" // reset
			case 1:
				return latency, 503, "busy"
			case 2:
				return 20 * time.Second, 200, "{}" // beyond the timeout
			case 3:
				return latency, 200, "[]"
			}
			return latency, 200, `{"token": "x", "0": {"id": 5}}`
		}
		snap := s.run()
		var issued uint64
		for _, c := range snap.Series {
			issued += c.Issued
		}
		if issued != uint64(len(s.log)) {
			t.Fatalf("%d issued, the target saw %d", issued, len(s.log))
		}
	})
}
