package demo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const rawOK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

func serveRaw(t testing.TB, s Script) *Raw {
	t.Helper()
	r, err := StartRaw("127.0.0.1:0", s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// connect opens a connection that is closed with the test.
func connect(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(30 * time.Second)) // a hang is a failure, not a hang
	return c.(*net.TCPConn)
}

func get(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n" }

// talk sends bytes on a connection of its own and returns all that comes back,
// and how the connection ended: nil if in order.
func talk(t testing.TB, addr, send string) (string, error) {
	t.Helper()
	c := connect(t, addr)
	if _, err := io.WriteString(c, send); err != nil {
		return "", err
	}
	c.CloseWrite()
	got, err := io.ReadAll(c)
	c.Close()
	return string(got), err
}

func finalLedger(t testing.TB, r *Raw) RawLedger {
	t.Helper()
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	return r.Ledger()
}

func TestRawTargetEntersEveryRequestHoweverItIsSent(t *testing.T) {
	r := serveRaw(t, Serve(Say(rawOK, Stay)))
	chunked := "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\na\r\n0123456789\r\n0\r\nX: y\r\n\r\n"
	length := "POST /l HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
	all := get("/a") + chunked + length + get("/a")
	if got, err := talk(t, r.Addr, all); got != strings.Repeat(rawOK, 4) || err != nil {
		t.Errorf("answered %q, %v", got, err)
	}
	c := connect(t, r.Addr)
	for _, b := range []byte(length) {
		if _, err := c.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()

	n := uint64(len(all) + len(length))
	want := RawLedger{
		Requests: 5, Bytes: n, Paths: map[string]uint64{"/a": 2, "/c": 1, "/l": 2},
		Conns: []RawConnLedger{{Requests: 4, Bytes: uint64(len(all))}, {Requests: 1, Bytes: uint64(len(length))}},
	}
	l := finalLedger(t, r)
	if diff := cmp.Diff(want, l); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"/a", "/l"}, l.Twice()); diff != "" {
		t.Error(diff)
	}
}

func TestRawTargetNamesWhatIsWrongWithARequest(t *testing.T) {
	for request, want := range map[string]string{
		"GET /\r\nHost: x\r\n\r\n":                                                             "request line",
		"GET / HTTP/1.0\r\nHost: x\r\n\r\n":                                                    "request line",
		"GET  / HTTP/1.1\r\nHost: x\r\n\r\n":                                                   "request line",
		"G(T / HTTP/1.1\r\nHost: x\r\n\r\n":                                                    "request line",
		"GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n":                                            "request line",
		"GET / HTTP/1.1\nHost: x\n\n":                                                          "CR LF",
		"GET / HTTP/1.1\r\n\r\n":                                                               "0 Host",
		"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n":                                         "2 Host",
		"GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n":                                        "header field",
		"GET / HTTP/1.1\r\nHost : x\r\n\r\n":                                                   "header field",
		"GET / HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n":                                       "header field",
		"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n":                              "not a number",
		"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx":         "2 lengths",
		"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n": "1 lengths and 1 codings",
		"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n":                         "not chunked",
		"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n":                 "chunk size",
		"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n":           "longer than its size",
		"GET / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("x", maxRawHead) + "\r\n\r\n":      "a head of more",
	} {
		r := serveRaw(t, Serve(Say(rawOK, Stay)))
		talk(t, r.Addr, request)
		l := finalLedger(t, r)
		if !strings.Contains(l.Malformed, want) || l.Requests != 0 || l.Partial != 1 {
			t.Errorf("%.80q: %d requests, %d partial, %q; want %q in it", request, l.Requests, l.Partial, l.Malformed, want)
		}
	}
}

func TestRequestThatIsCutIsPartialAndNotMalformed(t *testing.T) {
	whole := "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
	for n := 1; n < len(whole); n += 3 {
		r := serveRaw(t, Serve(Say(rawOK, Stay)))
		talk(t, r.Addr, get("/first")+whole[:n])
		if l := finalLedger(t, r); l.Requests != 1 || l.Partial != 1 || l.Malformed != "" {
			t.Fatalf("%q: %d requests, %d partial, %q", whole[:n], l.Requests, l.Partial, l.Malformed)
		}
	}
}

func TestRequestAfterTheTargetHasFinishedIsLate(t *testing.T) {
	r := serveRaw(t, Serve(Say(rawOK, HalfClose)))
	if got, _ := talk(t, r.Addr, get("/1")+get("/2")+get("/3")); got != rawOK {
		t.Errorf("answered %q", got)
	}
	if l := finalLedger(t, r); l.Requests != 3 || l.Late != 2 || l.Partial != 0 {
		t.Errorf("%+v", l)
	}
}

func TestMuteTargetEntersWhatHadBeenSent(t *testing.T) {
	r := serveRaw(t, Mute)
	c := connect(t, r.Addr)
	if _, err := io.WriteString(c, get("/1")); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if l := finalLedger(t, r); l.Requests != 1 {
		t.Errorf("%+v", l)
	}
}

func TestConnectionsThatWaitToBeAcceptedAreServedBeforeTheEnd(t *testing.T) {
	l, err := listenLoopback("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &Raw{script: Serve(Say(rawOK, Stay)), listener: l, closing: make(chan struct{}), paths: map[string]uint64{}}
	const n = 20
	for range n {
		c := connect(t, l.Addr().String())
		if _, err := io.WriteString(c, get("/")); err != nil {
			t.Fatal(err)
		}
		c.CloseWrite()
	}
	accepted := make(chan error, 1)
	go func() { accepted <- r.accept() }() // only now, as if the machine had been busy
	if err := r.shutdown(accepted); err != nil {
		t.Error(err)
	}
	if l := r.Ledger(); l.Requests != n || len(l.Conns) != n {
		t.Errorf("%d requests on %d connections", l.Requests, len(l.Conns))
	}
}

func TestCloseCutsClientsThatStay(t *testing.T) {
	for name, s := range map[string]Script{
		"idle":    Serve(Say(rawOK, Stay)),
		"endless": Serve(Endless("HTTP/1.1 200 OK\r\n", strings.Repeat("X: y\r\n", 1000), 0)),
		"paused":  Serve(Drip(rawOK, time.Hour, Stay)),
		"mute":    Mute,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := serveRaw(t, s)
			c := connect(t, r.Addr)
			if _, err := io.WriteString(c, get("/")); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			finalLedger(t, r)
			if took := time.Since(begin); took > rawGrace+5*time.Second {
				t.Errorf("closing took %v", took)
			}
		})
	}
}

func TestAnswersArriveAsTheirNameSays(t *testing.T) {
	for name, tc := range map[string]struct {
		script Script
		want   string
		reset  bool
	}{
		"say":         {Serve(Say(rawOK, HalfClose)), rawOK, false},
		"hang up":     {Serve(Say(rawOK, HangUp)), rawOK, false},
		"reset":       {Serve(Say("", Reset)), "", true},
		"twice":       {Serve(Twice(rawOK, time.Microsecond, HalfClose)), rawOK + rawOK, false},
		"drip":        {Serve(Drip(rawOK, time.Microsecond, HalfClose)), rawOK, false},
		"pieces":      {Serve(Pieces(rawOK, 5, 1, HalfClose)), rawOK, false},
		"early":       {ServeEarly(Say(rawOK, HalfClose)), rawOK, false},
		"first":       {ServeFirst(Say(rawOK, HalfClose)), rawOK, false},
		"unasked":     {Unasked(rawOK, Stay, Say(rawOK, HalfClose)), rawOK + rawOK, false},
		"by path":     {Serve(ByPath(map[string]Answer{"x": Say(rawOK, HalfClose)})), rawOK, false},
		"silence":     {Serve(Silence), "", false},
		"unknown":     {Serve(ByPath(nil)), "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", false},
		"at once":     {func(*RawConn) {}, "", false},
		"in between":  {Serve(func(c *RawConn, q *RawRequest) { c.Write([]byte(q.Method + q.Path)) }), "GET/x/1", false},
		"with chance": {Serve(func(c *RawConn, q *RawRequest) { fmt.Fprint(connWriter{c}, c.Number(), c.Chance(7).IntN(1)) }), "0 0", false},
	} {
		r := serveRaw(t, tc.script)
		got, err := talk(t, r.Addr, get("/x/1"))
		if got != tc.want || errors.Is(err, syscall.ECONNRESET) != tc.reset {
			t.Errorf("%s: %q, %v; want %q", name, got, err, tc.want)
		}
		if l := finalLedger(t, r); l.Requests != 1 || l.Malformed != "" {
			t.Errorf("%s: %+v", name, l)
		}
	}
}

type connWriter struct{ c *RawConn }

func (w connWriter) Write(b []byte) (int, error) {
	w.c.Write(b)
	return len(b), nil
}

func TestEarlyAnswerComesBeforeTheBody(t *testing.T) {
	for name, tc := range map[string]struct {
		script Script
		send   string
	}{
		"head":       {ServeEarly(Say(rawOK, Stay)), "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"},
		"first byte": {ServeFirst(Say(rawOK, Stay)), "P"},
	} {
		r := serveRaw(t, tc.script)
		c := connect(t, r.Addr)
		if _, err := io.WriteString(c, tc.send); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, len(rawOK))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if l := r.Ledger(); l.Requests != 0 {
			t.Errorf("%s: %d requests before the body", name, l.Requests)
		}
		whole := "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
		if _, err := io.WriteString(c, whole[len(tc.send):]); err != nil {
			t.Fatal(err)
		}
		c.Close()
		if l := finalLedger(t, r); l.Requests != 1 || l.Partial != 0 {
			t.Errorf("%s: %+v", name, l)
		}
	}
}

func TestImpatientTargetClosesWhoeverIsIdle(t *testing.T) {
	const last = "HTTP/1.1 408 Request Timeout\r\n\r\n"
	r := serveRaw(t, Impatient(Say(rawOK, Stay), time.Millisecond, 2*time.Millisecond, 1, Say(last, HalfClose)))
	c := connect(t, r.Addr)
	if _, err := io.WriteString(c, get("/")); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); string(got) != rawOK+last || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestEndlessAnswerGoesOn(t *testing.T) {
	r := serveRaw(t, Serve(Endless("begin ", "piece ", time.Microsecond)))
	c := connect(t, r.Addr)
	if _, err := io.WriteString(c, get("/")); err != nil {
		t.Fatal(err)
	}
	want := "begin " + strings.Repeat("piece ", 50)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Errorf("%q, %v", got, err)
	}
	c.Close()
}

func TestRawTargetAndProxyListenOnLoopbackOnly(t *testing.T) {
	for _, addr := range []string{":0", "0.0.0.0:0", "192.0.2.1:0", "nonsense"} {
		if r, err := StartRaw(addr, Mute); err == nil {
			r.Close()
			t.Errorf("%q was accepted", addr)
		}
	}
}

func TestCannedResponsesAreRead(t *testing.T) {
	const text = `
# a comment

plain   ErrOne  "a\r\nb"
many	ErrTwo	"x"*3 "\x00" "y"*2 # not a string
`
	if _, err := ReadCanned(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), "line 5: many") {
		t.Errorf("a comment behind the strings: %v", err)
	}
	got, err := ReadCanned(strings.NewReader(strings.ReplaceAll(text, " # not a string", "")))
	want := []Canned{{"plain", "ErrOne", []byte("a\r\nb")}, {"many", "ErrTwo", []byte("xxx\x00yy")}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%s%v", diff, err)
	}
	for _, line := range []string{"name", "name ErrX", `name "x"`, `name ErrX x`, `name ErrX "x"*y`, `name ErrX "x"*-1`, `name ErrX "x`} {
		if got, err := ReadCanned(strings.NewReader(line)); err == nil {
			t.Errorf("%q was read as %q", line, got)
		}
	}
}

func TestMutantsAreManyAndAlwaysTheSame(t *testing.T) {
	seen := map[string]bool{}
	same := 0
	for n := range uint64(2000) {
		b := Mutant(1, n)
		seen[string(b)] = true
		if slices.Contains(GoodResponses, string(b)) {
			same++
		}
	}
	if len(seen) < 1800 || same > 100 {
		t.Errorf("%d different ones, %d undamaged", len(seen), same)
	}
	rapid.Check(t, func(t *rapid.T) {
		seed, n := rapid.Uint64().Draw(t, "seed"), rapid.Uint64().Draw(t, "n")
		if a, b := Mutant(seed, n), Mutant(seed, n); !bytes.Equal(a, b) {
			t.Fatalf("%q and %q", a, b)
		}
	})
}

func TestSilentTargetIsSilentAndReads(t *testing.T) {
	r := serveRaw(t, Serve(Silence))
	c := connect(t, r.Addr)
	if _, err := io.WriteString(c, get("/1")+get("/2")); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "both requests in the ledger", func() bool { return r.Ledger().Requests == 2 })
	c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes, %v", n, err)
	}
}
