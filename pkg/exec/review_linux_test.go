package exec

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tollgate/internal/measure"
	"tollgate/pkg/spec"
)

// loopOf returns a loop of its own that nobody turns, with its first part begun.
func loopOf(t *testing.T, text, addr string) *loop {
	s, faults := spec.Parse("test.yaml", []byte(text), spec.Options{})
	if s == nil {
		t.Fatalf("spec: %v", faults)
	}
	p, err := Compile(s, Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	line := &timeline{}
	zero := time.Now()
	c := newCast(p, line, 0, 1, "test", zero.UnixNano())
	d, err := newLoop(c, FixedAddresses(s, netip.MustParseAddrPort(addr)), zero)
	if err != nil {
		t.Fatal(err)
	}
	st := &p.stages[0]
	way := course{level: make([]int, len(p.personas))}
	pt := way.enter(st, 0)
	line.begin(pt.span(0, st, 0))
	c.announce(cue{part: pt, start: 0})
	return d.(*loop)
}

// mute accepts and reads, and answers only when told.
type mute struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

func newMute(t *testing.T) *mute {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &mute{Listener: l}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			m.mu.Lock()
			m.conns = append(m.conns, c)
			m.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		m.mu.Lock()
		for _, c := range m.conns {
			c.Close()
		}
		m.mu.Unlock()
	})
	return m
}

func (m *mute) answer() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.conns {
		fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	}
}

// At the deadline of the first its answer lies there; the second, who waits for
// the connection, must not be failed in its place.
func TestDeadlineOfOneIsNotTheNextOnes(t *testing.T) {
	m := newMute(t)
	l := loopOf(t, fmt.Sprintf(`version: 1
name: test
target: {url: "http://%s", timeout: 1s, connection: {per: pool(1)}}
endpoints: {a: GET /a}
personas: {p: {think: 10s, tasks: {a: 1}}}
stages: [steady: {users: 2, for: 1m}]
`, m.Addr()), m.Addr().String())
	defer l.close()
	turn := func() {
		l.advance(l.now(), l.expire)
		l.flush()
		ev := l.poller.wait(20_000_000)
		l.now()
		for k := range ev {
			l.dispatch(&ev[k])
		}
	}
	// Only the first user comes now, the second 300 ms later.
	l.moves = nil
	turn()
	turn()
	// B's deadline is to be later than A's.
	for i := range l.users {
		if l.roster.link[i] < 0 {
			l.users[i].start += 500e6
			l.wheel.set(int32(i), l.users[i].start+l.plan.Layout.Timeout)
		}
	}
	time.Sleep(time.Until(l.zero.Add(1100 * time.Millisecond))) // the loop is held up
	m.answer()                                                  // ... and the answer came meanwhile
	time.Sleep(20 * time.Millisecond)
	before := l.now()
	l.advance(before, l.expire)
	l.flush()
	s := l.rec.Snapshot()
	for _, f := range s.Failures {
		t.Errorf("%+v", f)
	}
	var o [measure.NumOutcomes]uint64
	for _, x := range s.Series {
		for k := range o {
			o[k] += x.Outcomes[k]
		}
	}
	if o[measure.OK] != 1 || o[measure.Timeout] != 0 {
		t.Errorf("outcomes %v, %v after the start: the second had until 1.5 s", o, time.Duration(before))
	}
}

// Answers lie unread for 300 ms because the loop is held up: that is no time of
// the target's.
func TestBacklogOfAnswersIsOurLag(t *testing.T) {
	m := newMute(t)
	const users = 1500
	l := loopOf(t, fmt.Sprintf(`version: 1
name: test
target: {url: "http://%s", timeout: 10s}
endpoints: {a: GET /a}
personas: {p: {think: 100s, tasks: {a: 1}}}
stages: [steady: {users: %d, for: 1m}]
`, m.Addr(), users), m.Addr().String())
	l.advance(l.now(), l.expire)
	began := l.now()
	for len(l.outbox) > 0 {
		l.flush()
	}
	took := l.now() - began
	starts := map[int64]int{}
	for i := range l.users {
		starts[l.users[i].start]++
	}
	var last int64
	for i := range l.conns {
		last = max(last, l.conns[i].dialed)
	}
	if last == began || len(starts) < 2 {
		t.Errorf("to open connections took %v, and all of them began at once", time.Duration(took))
	}
	var stop atomic.Bool
	go l.run(&stop)
	for {
		n := 0
		l.do(func() {
			for i := range l.conns {
				if l.conns[i].state == waiting {
					n++
				}
			}
		})
		if n == users {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(200 * time.Millisecond)
	l.do(func() { l.rec.Live() })
	l.do(func() { m.answer(); time.Sleep(300 * time.Millisecond) }) // held up: GC, a neighbour, a large render
	var live measure.Live
	for range 200 {
		time.Sleep(10 * time.Millisecond)
		n := 0
		l.do(func() { n = l.inFlight })
		if n == 0 {
			break
		}
	}
	l.do(func() { live = l.rec.Live() })
	stop.Store(true)
	<-l.ended
	if q := live.Lag.Quantile(0.5); q < 0.29 {
		t.Errorf("every answer lay 300 ms unread, and half of them have a lag below %.4f s", q)
	}
}

func TestUserSentAwayAgainDoesNotComeBack(t *testing.T) {
	p := compileText(t, specText("p: {think: 1s, on_stop: [b], tasks: {a: 1}}",
		"- steady: {name: one, users: 10, for: 5s}\n- steady: {name: two, users: 2, for: 2s}\n- steady: {name: three, users: 10, for: 2s}\n- steady: {name: four, users: 2, for: 20s}"), 1)
	s := newSim(t, p, 2)
	s.answer = func(x sent) (time.Duration, int, string) {
		if x.row == "b" {
			return 8 * time.Second, 200, "{}"
		}
		return time.Millisecond, 200, "{}"
	}
	s.run()
	if got := s.active[25]; got != 2 {
		t.Errorf("%d active users in a stage of 2", got)
	}
}

func TestRowsThatComeOnceAreEnoughForAsManyUsers(t *testing.T) {
	s, faults := spec.Parse("t.yaml", []byte(`version: 1
name: test
target: {url: "http://127.0.0.1:1"}
values: {acc: {csv: acc.csv, order: once}}
endpoints: {a: "GET /a?u=${name}"}
personas:
  p: {think: 1s, values: {name: "${acc.name}"}, tasks: {a: 1}}
  q: {think: 1s, values: {name: "${acc.name}"}, tasks: {a: 1}}
stages:
  - steady: {users: 10, personas: [p], for: 5s}
`), spec.Options{ReadFile: func(string) ([]byte, error) {
		out := "name\n"
		for i := range 10 {
			out += fmt.Sprintf("n%d\n", i)
		}
		return []byte(out), nil
	}})
	if s == nil {
		t.Fatalf("%v", faults)
	}
	p, err := Compile(s, Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	sim := newSim(t, p, 1)
	snap := sim.run()
	for _, f := range snap.Failures {
		t.Errorf("10 users, 10 rows: %s x %d", f.Message, f.Count)
	}
}

func TestPortIsNotConnectedToItself(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := ln.Addr().(*net.TCPAddr).Port
	ln.Close() // the target is down for a moment
	to, v6 := sockaddr(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port)))
	p := &ports{low: port - 1, high: port, next: port}
	fd, err := dial(to, v6, p)
	if err != nil {
		return // refused at once, as it should be
	}
	defer unix.Close(fd)
	time.Sleep(10 * time.Millisecond)
	if connected(fd) == nil {
		t.Error("nobody listens, and there is a connection")
	}
}

func TestPoolGrowsAfterAnEarlierOpenStage(t *testing.T) {
	run := func(stages string, from time.Duration) (most int64) {
		p := compileText(t, specText("p: {tasks: {a: 1}}", stages), 1)
		s := newSim(t, p, 1)
		s.answer = func(x sent) (time.Duration, int, string) { return 2 * time.Second, 200, "{}" }
		s.run()
		for _, x := range s.log {
			if x.due >= int64(from) {
				most = max(most, x.at-x.due)
			}
		}
		return most
	}
	a := run("- steady: {name: two, rate: 400/s, for: 10s, max_users: 4000}", 0)
	b := run("- steady: {name: one, rate: 200/s, for: 10s, max_users: 4000}\n- steady: {name: two, rate: 400/s, for: 10s, max_users: 4000}", 10*time.Second)
	if b > a+int64(50*time.Millisecond) {
		t.Errorf("arrivals wait %v for a user, and %v without the stage before", time.Duration(b), time.Duration(a))
	}
}

// runWith runs a spec with addresses that nobody has asked whether they are ready.
func runWith(t *testing.T, ctx context.Context, driver, text, addr string, loops int) (*Result, error) {
	s, faults := spec.Parse("test.yaml", []byte(text), spec.Options{})
	if s == nil {
		t.Fatalf("spec: %v", faults)
	}
	p, err := Compile(s, Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return Run(ctx, p, RunOptions{Addresses: FixedAddresses(s, netip.MustParseAddrPort(addr)), Driver: driver, Loops: loops, RunID: "test"})
}

// A signal comes while the request before the run hangs.
func TestAfterIsNotBegunOverBefore(t *testing.T) {
	overDrivers(t, func(t *testing.T, driver string) {
		done := make(chan struct{})
		w := newWitness(t, func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/open" {
				select {
				case <-done:
				case <-r.Context().Done():
				}
			}
		})
		defer close(done)
		text := fmt.Sprintf(`version: 1
name: test
target: {url: "http://%s", timeout: 10s}
endpoints: {open: POST /open, close: POST /close, a: GET /a}
before: [open]
after: [close]
personas: {p: {tasks: {a: 1}}}
stages: [steady: {users: 1, for: 1s}]
slos: [p50 < 5s]
`, w.addr())
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		r, err := runWith(t, ctx, driver, text, w.addr(), 1)
		if err != nil {
			t.Fatalf("Run: %.300s", err)
		}
		if seen := w.paths(); seen["POST /close"] != 0 || !r.Interrupted {
			t.Errorf("the target saw %v, interrupted: %v", seen, r.Interrupted)
		}
	})
}

func TestSignalInTheDrainIsAnInterruption(t *testing.T) {
	done := make(chan struct{})
	w := newWitness(t, func(rw http.ResponseWriter, r *http.Request) {
		select {
		case <-done:
		case <-r.Context().Done():
		}
	})
	defer close(done)
	text := fmt.Sprintf(`version: 1
name: test
target: {url: "http://%s", timeout: 10s}
endpoints: {a: GET /a}
personas: {p: {tasks: {a: 1}}}
stages: [steady: {users: 3, for: 1s}]
slos: [p50 < 5s]
`, w.addr())
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	r, err := runWith(t, ctx, driverLoop, text, w.addr(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Interrupted {
		t.Error("a signal cut requests off, and the run is not interrupted")
	}
}
