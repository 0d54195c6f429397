package exec

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"tollgate/internal/measure"
	"tollgate/pkg/slo"
)

func verdictOf(r *Result) slo.Judgement {
	claims, evidence := r.Claims()
	return slo.Judge(claims, evidence, slo.Options{Off: true})
}

func TestUserCalledBackDuringItsOnStopComesAgain(t *testing.T) {
	p := compileText(t, strings.Replace(specText("p: {think: 1s, on_stop: [b], tasks: {a: 1}}",
		"- spike: {users: 20, for: 10s}\n- steady: {users: 20, for: 30s}"), "- spike", "- steady: {name: first, users: 2, for: 5s}\n  - spike", 1), 1)
	s := newSim(t, p, 2)
	s.answer = func(x sent) (time.Duration, int, string) {
		if x.row == "b" {
			return 500 * time.Millisecond, 200, "{}"
		}
		return time.Millisecond, 200, "{}"
	}
	s.run()
	if got := s.active[25]; got != 20 {
		t.Errorf("%d active users, want 20", got)
	}
}

func TestFailedSetupIsNotHiddenByTasksOfItsRow(t *testing.T) {
	p := compileText(t, specText("p: {think: 100ms, on_start: [login], tasks: {login: 1}}", "- steady: {users: 100, for: 1m}", "slos: [p50 < 5s]"), 1)
	r := runVirtually(t, p, RunOptions{}, func(v *virtual) {
		v.answer = func(_ string, n int) (time.Duration, int) {
			if n > 0 && n < 50 {
				return time.Millisecond, 503 // of two loops: all logins but the first of each
			}
			return time.Millisecond, 200
		}
	})
	if j := verdictOf(r); j.Overall != slo.OverallFail {
		t.Errorf("98 of 100 logins fail, and the verdict is %v", j.Overall)
	}
}

func TestRowThatFailedOutsideTheHoldIsNoPass(t *testing.T) {
	p := compileText(t, specText("p: {think: 1h, tasks: {a: 1}}", "- steady: {users: 100, ramp: 1m, for: 1m}", "slos: [users >= 100]"), 1)
	r := runVirtually(t, p, RunOptions{}, func(v *virtual) {
		v.answer = func(string, int) (time.Duration, int) { return time.Millisecond, 503 }
	})
	if j := verdictOf(r); j.Overall == slo.OverallPass {
		t.Error("every request failed, and the verdict is pass")
	}
}

func TestRowThatShouldHaveBeenCalledAndWasNotIsNoData(t *testing.T) {
	p := compileText(t, specText("p: {think: 100ms, tasks: {a: 1, b: 1}}", "- steady: {users: 10, for: 1m}", "slos: [users >= 10]"), 1)
	r := runVirtually(t, p, RunOptions{}, nil)
	if j := verdictOf(r); j.Overall != slo.OverallPass {
		t.Fatalf("a good run: %v %v", j.Overall, j.Reasons)
	}
	for i := range r.Snapshot.Series { // as if a bug of ours had left b out
		if r.Snapshot.Layout.Steps[i%len(r.Snapshot.Layout.Steps)].Name == "b" {
			r.Snapshot.Series[i] = measure.Counts{}
		}
	}
	for i, c := range r.Snapshot.Layout.Claims {
		if c.GuardOf == "b" {
			r.Snapshot.Claims[i].Slots = nil
		}
	}
	if j := verdictOf(r); j.Overall == slo.OverallPass {
		t.Error("half of the tasks never ran, and the verdict is pass")
	}
}

func TestFaultsOfThisMachineAreNotTheTargets(t *testing.T) {
	for _, err := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL, syscall.ENOSPC} {
		if !ownFault(err) {
			t.Errorf("%v counts as the target's", err)
		}
	}
	for _, err := range []error{syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.ETIMEDOUT, syscall.EHOSTUNREACH} {
		if ownFault(err) {
			t.Errorf("%v counts as our own", err)
		}
	}
}

func TestEventOfAnEarlierConnectionIsIgnored(t *testing.T) {
	p := compileText(t, specText("p: {tasks: {a: 1}}", "- steady: {users: 1, for: 1s}"), 1)
	d, err := newLoop(newCast(p, &timeline{}, 0, 1, "x", 0), FixedAddresses(p.Spec, netip.MustParseAddrPort("127.0.0.1:1")), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer d.discard()
	l := d.(*loop)
	l.conns = []conn{{state: standby, generation: 7, fd: -1}}
	l.dispatch(&unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: 0, Pad: 6})
	if c := l.conns[0]; c.hungUp || c.state != standby {
		t.Errorf("an event of generation 6 changed the connection of generation 7: %+v", c)
	}
	l.dispatch(&unix.EpollEvent{Events: unix.EPOLLRDHUP, Fd: 0, Pad: 7})
	if !l.conns[0].hungUp {
		t.Error("an event of its own generation did nothing")
	}
}

func TestSmallPoolServesWhateverTheCores(t *testing.T) {
	for _, cores := range []int{1, 2, 8, 64} {
		p := compileText(t, specText("p: {tasks: {a: 1}}", "- steady: {rate: 10/s, max_users: 4, for: 30s}"), 1)
		s := newSim(t, p, p.loops(cores))
		s.answer = func(sent) (time.Duration, int, string) { return 10 * time.Millisecond, 200, "{}" }
		if row := s.run().Rows()[0]; row.NotIssued > 0 {
			t.Errorf("%d cores: %d of %d arrivals not issued", cores, row.NotIssued, row.Planned)
		}
	}
}

func TestRarePersonaGetsItsUsers(t *testing.T) {
	p := compileText(t, specText("p: {weight: 999, on_start: [login], tasks: {a: 1}}\nq: {weight: 1, on_start: [login], tasks: {b: 1}}",
		"- steady: {rate: 200/s, max_users: 2000, for: 30s}"), 3)
	s := newSim(t, p, 2)
	s.answer = func(x sent) (time.Duration, int, string) { return 3 * time.Second, 200, `{"token": "x"}` }
	for _, row := range s.run().Rows() {
		if row.Name == "b" && row.NotIssued > 0 {
			t.Errorf("%d of %d arrivals of the rare persona not issued", row.NotIssued, row.Planned)
		}
	}
}

func TestPauseBetweenOpenStagesAddsNoLoad(t *testing.T) {
	p := compileText(t, specText("p: {think: 1s, tasks: {a: 1}}", `
- steady: {rate: 50/s, arrivals: uniform, for: 10s}
- pause: {for: 5s}
- steady: {name: again, rate: 50/s, arrivals: uniform, for: 10s}`), 1)
	s := newSim(t, p, 2)
	if row := s.run().Rows()[0]; row.Planned != 1000 {
		t.Errorf("%d arrivals planned, want 1000", row.Planned)
	}
}

func TestRampAfterAnOpenStageIsFollowed(t *testing.T) {
	p := compileText(t, specText("p: {think: 1s, tasks: {a: 1}}", `
- steady: {name: open, rate: 300/s, for: 5s}
- steady: {users: 60, ramp: 60s, for: 5s}`), 1)
	s := newSim(t, p, 2)
	s.run()
	if got := s.active[7]; got > 40 { // the pool has 30
		t.Errorf("%d active users 2 s into a ramp of a minute from 30 to 60", got)
	}
}

func TestArrivalsDoNotMoveTheClosedUsersDraws(t *testing.T) {
	text := specText("p: {think: 1s..2s, tasks: {a: 1, b: 1}}", `
- steady: {users: 5, for: 10s}
- steady: {name: open, rate: 20/s, for: 5s}
- steady: {name: after, users: 5, for: 10s}`)
	run := func(loops int) (out []string) {
		s := newSim(t, compileText(t, text, 1), loops)
		s.run()
		last := s.parts[len(s.parts)-1].Start
		for _, x := range s.log {
			if x.due > last {
				out = append(out, fmt.Sprintf("%d/%d %s", x.id, x.iter, x.row))
			}
		}
		return out
	}
	if len(run(1)) == 0 {
		t.Fatal("nothing was sent after the open stage")
	}
	count := func(list []string) map[string]int {
		m := map[string]int{}
		for _, x := range list {
			m[x]++
		}
		return m
	}
	if diff := gocmp.Diff(count(run(1)), count(run(2))); diff != "" {
		t.Error(diff)
	}
}

func TestTwoCallsOfOneEndpointDrawForThemselves(t *testing.T) {
	p := compileText(t, strings.Replace(specText("p: {think: 1s, tasks: {twice: {weight: 1, steps: [a, a]}}}", "- steady: {users: 5, for: 20s}"),
		"a: GET /a", `a: {request: POST /a, json: {id: "${uuid()}"}}`, 1), 1)
	s := newSim(t, p, 2)
	s.run()
	seen := map[string]bool{}
	for _, x := range s.log {
		if seen[x.request] {
			t.Fatalf("sent twice: %q", x.request)
		}
		seen[x.request] = true
	}
}

func TestBodyIsCheckedThoughItIsNotTheJSONThatWouldBeSaved(t *testing.T) {
	p := compileText(t, strings.Replace(specText("p: {think: 1s, tasks: {pair: {weight: 1, steps: [a, {call: item, when: id}]}}}", "- steady: {users: 2, for: 5s}"),
		"a: GET /a", `a: {request: GET /a, save: {id: 0.id}, expect: {body: {contains: fine}}}`, 1), 1)
	s := newSim(t, p, 1)
	s.answer = func(sent) (time.Duration, int, string) { return time.Millisecond, 200, "all is fine" }
	if row := s.run().Rows()[0]; row.Failures > 0 || row.OK == 0 {
		t.Errorf("%d ok, outcomes %v", row.OK, row.Outcomes)
	}
}

func TestBodiesUnderWayAreBounded(t *testing.T) { overDrivers(t, bodiesUnderWayAreBounded) }

func bodiesUnderWayAreBounded(t *testing.T, by string) {
	body := []byte(strings.Repeat("x", 4<<20))
	addr := rawTarget(t, func(c net.Conn, _ int) {
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body)+1)
		_, _ = c.Write(body) // and never the last byte
	})
	text := strings.Replace(strings.Replace(specText("p: {think: 1s, tasks: {a: 1}}", "- steady: {users: 60, for: 1s}"),
		"a: GET /a", `a: {request: GET /a, expect: {body: {contains: fine}}}`, 1), "timeout: 10s", "timeout: 1500ms", 1)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := runAgainst(t, t.Context(), by, addr, text, 2)
	runtime.ReadMemStats(&after)
	row := total(r)
	if row.Outcomes[measure.TooLarge] == 0 {
		t.Errorf("60 bodies of 4 MiB under way, outcomes %v", row.Outcomes)
	}
	// All that came is 240 MiB; the loops may hold 48 MiB at once, and grow their
	// buffers by doubling.
	if got := (after.HeapSys - min(before.HeapSys, after.HeapSys)) >> 20; got > 150 {
		t.Errorf("the heap grew by %d MiB", got)
	}
}

func TestTargetThatSpeaksFirstAndHangsUpIsHeard(t *testing.T) {
	overDrivers(t, targetThatSpeaksFirstAndHangsUpIsHeard)
}

func targetThatSpeaksFirstAndHangsUpIsHeard(t *testing.T, by string) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // ends when the listener closes
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(c, "HTTP/1.1 503 Full\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
			_ = c.(*net.TCPConn).CloseWrite()
			time.AfterFunc(2*time.Second, func() { c.Close() })
		}
	}()
	text := strings.Replace(specText("p: {think: 20ms, tasks: {a: 1}}", "- steady: {users: 5, for: 500ms}"), "timeout: 10s", "timeout: 500ms", 1)
	row := total(runAgainst(t, t.Context(), by, l.Addr().String(), text, 1))
	if row.Outcomes[measure.Timeout] > 0 || row.Outcomes[measure.Status] == 0 {
		t.Errorf("outcomes %v, want status 503", row.Outcomes)
	}
}

func TestFloodDoesNotKeepOthersFromTheirDeadline(t *testing.T) {
	overDrivers(t, floodDoesNotKeepOthersFromTheirDeadline)
}

func floodDoesNotKeepOthersFromTheirDeadline(t *testing.T, by string) {
	chunk := strings.Repeat("x", 1<<16)
	addr := rawTarget(t, func(c net.Conn, _ int) {
		fmt.Fprint(c, "HTTP/1.1 200 OK\r\n\r\n") // until close, which never comes
		for {
			if _, err := fmt.Fprint(c, chunk); err != nil {
				return
			}
		}
	})
	text := strings.Replace(specText("p: {think: 20ms, tasks: {a: 1}}", "- steady: {users: 10, for: 1s}"), "timeout: 10s", "timeout: 300ms", 1)
	row := total(runAgainst(t, t.Context(), by, addr, text, 1))
	if row.Outcomes[measure.Timeout] != row.Requests {
		t.Errorf("outcomes %v", row.Outcomes)
	}
	if worst := float64(row.Failed.Max) / 1e9; worst > 0.6 {
		t.Errorf("a request with a timeout of 300 ms ended after %.3f s", worst)
	}
}

func TestInterruptLeavesNoSpanOfNegativeLength(t *testing.T) {
	var line timeline
	line.begin(Span{Start: 0})
	line.begin(Span{Phase: 1, Start: 1000})
	line.begin(Span{Phase: 2, Start: 5000}) // announced ahead
	line.begin(Span{Phase: 3, Start: 4000, Drain: true})
	line.finish(4500)
	for _, s := range line.load() {
		if s.Length() < 0 {
			t.Errorf("%+v", s)
		}
	}
	if n := len(line.load()); n != 3 {
		t.Errorf("%d spans, want 3", n)
	}
}

func TestAnswerThatLayUnreadIsNoTimeout(t *testing.T) { overDrivers(t, answerThatLayUnreadIsNoTimeout) }

func answerThatLayUnreadIsNoTimeout(t *testing.T, by string) {
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer srv.Close()
	text := strings.Replace(specText("p: {think: 50ms, tasks: {a: 1}}", "- steady: {users: 20, for: 3s}"), "timeout: 10s", "timeout: 300ms", 1)
	p := compileText(t, strings.ReplaceAll(text, "127.0.0.1:1\"", srv.Listener.Addr().String()+"\""), 1)
	stalled := false
	to, err := Preflight(t.Context(), p.Spec, PreflightOptions{})
	if err != nil {
		t.Fatal(err)
	}
	make, _, err := drive(p.Spec, by)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), p, RunOptions{Addresses: to, Loops: 1, driver: func(c *cast, a *Addresses, zero time.Time) (driver, error) {
		d, err := make(c, a, zero)
		time.AfterFunc(1500*time.Millisecond, func() {
			if !stalled {
				stalled = true
				d.do(func() { time.Sleep(600 * time.Millisecond) })
			}
		})
		return d, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	row := total(r)
	if row.Outcomes[measure.Timeout] > 0 {
		t.Errorf("outcomes %v: the target answered at once", row.Outcomes)
	}
	if lag := float64(r.Snapshot.Lag.Max) / 1e9; lag < 0.3 {
		t.Errorf("the loop stood still for 0.6 s, and its worst lag is %v s", lag)
	}
}
