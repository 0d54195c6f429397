package exec

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tollgate/internal/measure"
	"tollgate/pkg/spec"
)

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // net/http's HTTP/2 reports what hostile targets do
	goleak.VerifyTestMain(m)
}

// overDrivers makes a claim about every driver that this system has.
func overDrivers(t *testing.T, claim func(t *testing.T, by string)) {
	for _, by := range []string{driverLoop, driverConn} {
		if by != driverLoop || loopHere != nil {
			t.Run(by, func(t *testing.T) { claim(t, by) })
		}
	}
}

// runAgainst runs a spec's text against a listener's address on real sockets, by
// the named driver.
func runAgainst(t testing.TB, ctx context.Context, by, addr, text string, loops int) *Result {
	t.Helper()
	s, faults := spec.Parse("test.yaml", []byte(strings.ReplaceAll(text, "127.0.0.1:1\"", addr+"\"")), spec.Options{})
	if s == nil {
		t.Fatalf("spec: %v", faults)
	}
	p, err := Compile(s, Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	to, err := Preflight(ctx, s, PreflightOptions{})
	if errors.Is(err, ErrUnreachable) { // some tests want exactly that
		to = FixedAddresses(s, netip.MustParseAddrPort(addr))
	} else if err != nil {
		t.Fatal(err)
	}
	r, err := Run(ctx, p, RunOptions{Addresses: to, Loops: loops, RunID: "test", Driver: by})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func total(r *Result) measure.Row {
	return r.Snapshot.Select(func(measure.Phase, measure.Step) bool { return true })
}

func TestClientAndTargetAgreeOnEveryRequest(t *testing.T) {
	overDrivers(t, clientAndTargetAgreeOnEveryRequest)
}

func clientAndTargetAgreeOnEveryRequest(t *testing.T, by string) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[string]uint64{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen[r.Method+" "+r.URL.Path]++
		mu.Unlock()
		switch r.URL.Path {
		case "/login":
			fmt.Fprint(w, `{"token": "abc"}`)
		case "/list":
			if r.Header.Get("Authorization") != "Bearer abc" {
				w.WriteHeader(http.StatusUnauthorized)
			}
			fmt.Fprint(w, `[{"id": 7}]`)
		default:
			fmt.Fprint(w, strings.Repeat("x", 100_000))
		}
	}))
	defer srv.Close()
	text := specText(`p: {think: 1ms..20ms, on_start: [login], headers: {Authorization: "Bearer ${token}"}, tasks: {a: 1, pair: {weight: 2, steps: [list, {call: item, when: id}]}}}`,
		"- steady: {users: 30, ramp: 300ms, for: 1s}\n- steady: {name: open, rate: 400/s, for: 1s}")
	r := runAgainst(t, t.Context(), by, srv.Listener.Addr().String(), text, 2)

	mu.Lock() // the loops' raw system calls order nothing for the race detector
	defer mu.Unlock()
	for _, row := range r.Snapshot.Rows() {
		path := map[string]string{"a": "/a", "b": "/b", "login": "/login", "list": "/list", "item": "/items/7"}[row.Name]
		if got := seen[row.Method+" "+path]; got != row.OK || row.Failures+row.Aborted > 0 {
			t.Errorf("%s: the target saw %d; %d ok, %d failed, %d aborted", row.Name, got, row.OK, row.Failures, row.Aborted)
		}
		if row.OK == 0 {
			t.Errorf("%s was never sent", row.Name)
		}
	}
}

// rawTarget answers each request on a connection by a function of the request's
// number on that connection.
func rawTarget(t testing.TB, answer func(c net.Conn, n int)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[c] = true
			mu.Unlock()
			wg.Go(func() {
				defer c.Close()
				in := bufio.NewReader(c)
				for n := 0; ; n++ {
					req, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					req.Body.Close()
					answer(c, n)
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().String()
}

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

func TestEveryFailureHasItsClass(t *testing.T) { overDrivers(t, everyFailureHasItsClass) }

func everyFailureHasItsClass(t *testing.T, by string) {
	reset := func(c net.Conn, _ int) {
		_ = c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	say := func(s string) func(net.Conn, int) {
		return func(c net.Conn, _ int) { fmt.Fprint(c, s) }
	}
	for name, tc := range map[string]struct {
		answer func(net.Conn, int)
		expect string
		want   measure.Outcome
	}{
		"ok":           {say(okAnswer), "", measure.OK},
		"status":       {say("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"), "", measure.Status},
		"check":        {say(okAnswer), "expect: {json: {id: exists}}", measure.Check},
		"not json":     {say("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{"), "expect: {json: {id: exists}}", measure.Check},
		"reset":        {reset, "", measure.Reset},
		"closed":       {func(c net.Conn, _ int) { c.Close() }, "", measure.Reset},
		"truncated":    {func(c net.Conn, _ int) { fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nxx"); c.Close() }, "", measure.Reset},
		"silence":      {func(net.Conn, int) {}, "", measure.Timeout},
		"half":         {say("HTTP/1.1 200 OK\r\nContent-Le"), "", measure.Timeout},
		"not http":     {say("SSH-2.0-OpenSSH_9.2\r\n"), "", measure.Protocol},
		"two lengths":  {say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nxxx"), "", measure.Protocol},
		"endless head": {say("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 70<<10)), "", measure.TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := rawTarget(t, tc.answer)
			text := fmt.Sprintf(`version: 1
name: test
target: {url: "http://127.0.0.1:1", timeout: 250ms}
endpoints: {a: {request: GET /a%s}}
personas: {p: {think: 20ms, tasks: {a: 1}}}
stages: [{steady: {users: 3, for: 300ms}}]
`, map[bool]string{true: ", " + tc.expect}[tc.expect != ""])
			row := total(runAgainst(t, t.Context(), by, addr, text, 1))
			if row.Requests == 0 || row.Outcomes[tc.want] != row.Requests {
				t.Errorf("outcomes %v, want all %d of class %s", row.Outcomes, row.Requests, tc.want)
			}
		})
	}
}

func TestRefusedConnectionFailsAndDoesNotSpin(t *testing.T) {
	overDrivers(t, refusedConnectionFailsAndDoesNotSpin)
}

func refusedConnectionFailsAndDoesNotSpin(t *testing.T, by string) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	text := specText("p: {think: 0s, tasks: {a: 1}}", "- steady: {users: 2, for: 300ms}")
	row := total(runAgainst(t, t.Context(), by, l.Addr().String(), text, 1))
	if row.Outcomes[measure.ConnectFail] != row.Requests || row.Requests == 0 {
		t.Errorf("outcomes %v of %d", row.Outcomes, row.Requests)
	}
	if row.Requests > 2*400 {
		t.Errorf("%d attempts in 0.3 s by two users: the pause after a failure is 1 ms", row.Requests)
	}
}

func TestConnectionThatThePeerClosedIsReplacedBeforeUse(t *testing.T) {
	overDrivers(t, connectionThatThePeerClosedIsReplacedBeforeUse)
}

func connectionThatThePeerClosedIsReplacedBeforeUse(t *testing.T, by string) {
	t.Parallel()
	addr := rawTarget(t, func(c net.Conn, _ int) {
		fmt.Fprint(c, okAnswer) // keep-alive, says the answer
		c.Close()               // and yet
	})
	text := specText("p: {think: 100ms, tasks: {a: 1}}", "- steady: {users: 5, for: 1s}")
	row := total(runAgainst(t, t.Context(), by, addr, text, 1))
	if row.Failures > 0 || row.OK < 20 {
		t.Errorf("%d ok, outcomes %v", row.OK, row.Outcomes)
	}
}

func TestNothingIsSentTwice(t *testing.T) { overDrivers(t, nothingIsSentTwice) }

func nothingIsSentTwice(t *testing.T, by string) {
	t.Parallel()
	var seen atomic.Uint64
	addr := rawTarget(t, func(c net.Conn, n int) {
		seen.Add(1)
		if n%3 == 2 { // a race that the client must lose: the request is read, and the connection reset
			_ = c.(*net.TCPConn).SetLinger(0)
			c.Close()
			return
		}
		fmt.Fprint(c, okAnswer)
	})
	text := specText("p: {think: 1ms, tasks: {a: 1}}", "- steady: {users: 10, for: 500ms}")
	row := total(runAgainst(t, t.Context(), by, addr, text, 2))
	if row.Requests != seen.Load() {
		t.Errorf("%d requests issued, the target saw %d", row.Requests, seen.Load())
	}
	if row.Outcomes[measure.Reset] == 0 || row.OK == 0 {
		t.Errorf("outcomes %v", row.Outcomes)
	}
}

func TestInterruptedRunSaysSoAndEndsSoon(t *testing.T) {
	overDrivers(t, interruptedRunSaysSoAndEndsSoon)
}

func interruptedRunSaysSoAndEndsSoon(t *testing.T, by string) {
	t.Parallel()
	addr := rawTarget(t, func(net.Conn, int) {}) // never answers
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(300*time.Millisecond, cancel)
	begin := time.Now()
	r := runAgainst(t, ctx, by, addr, specText("p: {think: 10ms, tasks: {a: 1}}", "- steady: {users: 4, for: 1h}"), 2)
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %v to stop", took)
	}
	row := total(r)
	if !r.Interrupted || row.Aborted != 4 || row.Requests != 4 {
		t.Errorf("interrupted %v, %d requests, %d aborted; want 4 in flight aborted", r.Interrupted, row.Requests, row.Aborted)
	}
}

func TestAnswerInPiecesIsOneAnswer(t *testing.T) { overDrivers(t, answerInPiecesIsOneAnswer) }

func answerInPiecesIsOneAnswer(t *testing.T, by string) {
	t.Parallel()
	addr := rawTarget(t, func(c net.Conn, _ int) {
		body := strings.Repeat(`{"id": 1}`, 20_000)
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for len(body) > 0 {
			n := min(len(body), 7001)
			fmt.Fprintf(c, "%x\r\n%s\r\n", n, body[:n])
			body = body[n:]
		}
		fmt.Fprint(c, "0\r\n\r\n")
	})
	text := strings.Replace(specText("p: {think: 5ms, tasks: {a: 1}}", "- steady: {users: 4, for: 400ms}"),
		"a: GET /a", `a: {request: GET /a, expect: {body: {contains: '{"id": 1}'}}}`, 1)
	row := total(runAgainst(t, t.Context(), by, addr, text, 1))
	if row.Failures > 0 || row.OK == 0 {
		t.Errorf("%d ok, outcomes %v", row.OK, row.Outcomes)
	}
}

func TestPreflightSendsNothingElse(t *testing.T) {
	t.Parallel()
	var paths []string
	status := http.StatusServiceUnavailable
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.Method+" "+r.URL.Path)
		w.WriteHeader(status)
	}))
	defer srv.Close()
	host, port, _ := strings.Cut(srv.Listener.Addr().String(), ":")
	target := &spec.Spec{Target: spec.Target{Scheme: "http", Host: host, Ready: &spec.Ready{Method: "GET", Path: "/health"}}}
	fmt.Sscan(port, &target.Target.Port)

	if _, err := Preflight(t.Context(), target, PreflightOptions{}); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "503") {
		t.Errorf("a target that is not ready: %v", err)
	}
	status = http.StatusNoContent
	if _, err := Preflight(t.Context(), target, PreflightOptions{}); err != nil {
		t.Errorf("a target that is ready: %v", err)
	}
	if _, err := Preflight(t.Context(), target, PreflightOptions{Allow: []string{"*.example.test"}}); !errors.Is(err, ErrRefused) {
		t.Errorf("a host that is not allowed: %v", err)
	}
	if want := []string{"GET /health", "GET /health"}; fmt.Sprint(paths) != fmt.Sprint(want) {
		t.Errorf("the target saw %v, want %v", paths, want)
	}
}

func TestLoadNeverGoesToMetadataAddresses(t *testing.T) {
	for _, host := range []string{"169.254.169.254", "fe80::1", "224.0.0.1", "0.0.0.0", "::ffff:169.254.169.254"} {
		_, err := Preflight(t.Context(), &spec.Spec{Target: spec.Target{Scheme: "http", Host: host, Port: 80}}, PreflightOptions{Allow: []string{"*"}})
		if !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v, want refused", host, err)
		}
	}
}

func addrPort(t testing.TB, text string) netip.AddrPort {
	t.Helper()
	a, err := netip.ParseAddrPort(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
