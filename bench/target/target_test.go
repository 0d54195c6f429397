//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"tollgate/bench/truth"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, in, route string
		size            int // 0: more is needed
		close           bool
	}{
		{"get", "GET /items/7?x=1 HTTP/1.1\r\nHost: a\r\n\r\n", "GET /items", 38, false},
		{"no fields", "GET / HTTP/1.1\r\n\r\n", "GET /", 18, false},
		{"query on the root", "GET /?a=/b HTTP/1.1\r\n\r\n", "GET /", 23, false},
		{"part of a head", "GET / HTTP/1.1\r\nHost: a\r\n", "", 0, false},
		{"part of a body", "POST /o HTTP/1.1\r\nContent-Length: 3\r\n\r\nab", "POST /o", 0, false},
		{"body", "POST /o HTTP/1.1\r\ncontent-LENGTH:3 \r\n\r\nabc", "POST /o", 42, false},
		{"two", "GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n", "GET /", 18, false},
		{"asked to close", "GET / HTTP/1.1\r\nConnection: close\r\n\r\n", "GET /", 37, true},
		{"old", "GET / HTTP/1.0\r\n\r\n", "GET /", 18, true},
		{"old, kept", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET /", 42, false},
	} {
		r, err := parse([]byte(c.in))
		if err != nil || r.size != c.size || r.close != c.close {
			t.Errorf("%s: got size %d, close %v, %v; want %d, %v", c.name, r.size, r.close, err, c.size, c.close)
			continue
		}
		if r.size > 0 && string(r.route(nil)) != c.route {
			t.Errorf("%s: route %q, want %q", c.name, r.route(nil), c.route)
		}
	}
	for _, in := range []string{
		"GET\r\n\r\n", "GET /\r\n\r\n", "\r\n\r\n", "GET / SPDY/3\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length:\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
	} {
		if r, err := parse([]byte(in)); err == nil {
			t.Errorf("%q: got %+v, want it refused", in, r)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("POST /o HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parse(b)
		if r.size > len(b) || r.size < 0 || err != nil && r.size != 0 {
			t.Fatalf("size %d of %d bytes, %v", r.size, len(b), err)
		}
		if r.size > 0 {
			r.route(nil)
		}
	})
}

func TestHeldResponsesLeaveInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q queue
		n := 0
		for _, at := range rapid.SliceOf(rapid.Int64Range(0, 50)).Draw(t, "at") {
			if at%3 == 0 && len(q) > 0 {
				q.pop()
				n--
			}
			q.push(held{at: at})
			n++
		}
		last := int64(-1)
		for ; len(q) > 0; n-- {
			h := q.pop()
			if h.at < last {
				t.Fatalf("%d left after %d", h.at, last)
			}
			last = h.at
		}
		if n != 0 {
			t.Fatalf("%d held responses went astray", n)
		}
	})
}

func TestLawHasItsMedianAndSpread(t *testing.T) {
	l, err := parseLaw("20ms,0.5")
	if err != nil {
		t.Fatal(err)
	}
	below, far := 0, 0
	for range 100_000 {
		switch d := time.Duration(l.draw()); {
		case d < 20*time.Millisecond:
			below++
		case d > 64002*time.Microsecond: // 20 ms · exp(0.5 · 2.3263), the 99th percentile
			far++
		}
	}
	if below < 49_000 || below > 51_000 || far < 850 || far > 1_150 {
		t.Errorf("of 100,000 delays %d are below the median and %d above the 99th percentile", below, far)
	}
	for _, bad := range []string{"20", "-1ms", "20ms,", "20ms,x", "20ms,-1"} {
		if _, err := parseLaw(bad); err == nil {
			t.Errorf("-delay %s was taken", bad)
		}
	}
}

// start serves on loopback for the rest of the process: a target is ended from
// outside.
func start(t *testing.T, set func(*server)) string {
	t.Helper()
	fd, address, err := bind("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := newServer(fd)
	if err != nil {
		t.Fatal(err)
	}
	set(s)
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1) // a target keeps its processor while it waits
	go func() {
		runtime.LockOSThread()
		if err := s.serve(); err != nil {
			panic(err)
		}
	}()
	return address
}

func ledger(t *testing.T, address string) truth.Ledger {
	t.Helper()
	resp, err := http.Get("http://" + address + truth.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var l truth.Ledger
	if err := json.NewDecoder(resp.Body).Decode(&l); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestEveryRequestIsCountedOnce(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*server)
	}{
		{"at once", func(*server) {}},
		{"after a delay", func(s *server) {
			s.law, _ = parseLaw("1ms,0.5")
			if err := s.record(); err != nil {
				t.Error(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			address := start(t, c.set)
			const users, each = 8, 40
			var all sync.WaitGroup
			for range users {
				all.Go(func() {
					conn, err := net.Dial("tcp", address)
					if err != nil {
						t.Error(err)
						return
					}
					defer conn.Close()
					// Pipelined, and cut where no reader would cut.
					text := strings.Repeat("POST /orders HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET /items/9 HTTP/1.1\r\n\r\n", each/2)
					for from := 0; from < len(text); from += 7 {
						if _, err := io.WriteString(conn, text[from:min(from+7, len(text))]); err != nil {
							t.Error(err)
							return
						}
					}
					r := bufio.NewReader(conn)
					for i := range each {
						resp, err := http.ReadResponse(r, nil)
						if err != nil {
							t.Error(err)
							return
						}
						body, err := io.ReadAll(resp.Body)
						if want := []int{201, 200}[i%2]; resp.StatusCode != want || err != nil || !json.Valid(body) {
							t.Errorf("got %s %q, %v; want %d and JSON", resp.Status, body, err, want)
						}
					}
				})
			}
			all.Wait()
			l := ledger(t, address)
			if l.Requests != users*each || l.Routes["GET /items"] != users*each/2 || l.Routes["POST /orders"] != users*each/2 || l.Malformed != 0 {
				t.Errorf("got %+v, want %d requests, half of each route", l, users*each)
			}
			if l.Connections.Accepted != users+1 || l.Connections.Peak < 1 {
				t.Errorf("got %+v, want %d connections", l.Connections, users+1)
			}
		})
	}
}

// What comes while the target looks elsewhere has its time from the kernel.
func TestArrivalIsTheKernelsAndNotTheReaders(t *testing.T) {
	fd, address, err := bind("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := newServer(fd)
	if err == nil {
		err = s.record()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(s.epoll)
	defer unix.Close(fd)
	client, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	s.accept()
	at := slices.IndexFunc(s.conns, func(c conn) bool { return c.open })
	if at < 0 {
		t.Fatal("nothing was accepted")
	}
	defer s.close(at)

	before := time.Now()
	if _, err := io.WriteString(client, "GET"); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Poll([]unix.PollFd{{Fd: int32(at), Events: unix.POLLIN}}, 5000); err != nil {
		t.Fatal(err)
	}
	after := time.Now() // it has come, and nobody has read it
	if n, err := s.receive(at); n != 3 || err != nil {
		t.Fatalf("read %d bytes, %v", n, err)
	}
	if came := time.Unix(0, s.conns[at].arrived); came.Before(before) || came.After(after) {
		t.Errorf("arrived %v after it was written and %v after it was there", came.Sub(before), came.Sub(after))
	}
}

func TestTruthHoldsTheDelaysAndTheFreeze(t *testing.T) {
	s := truth.Schedule{Rate: 100, For: 10 * time.Second} // a user is due every 10 ms, whenever the freeze comes
	address := start(t, func(srv *server) {
		srv.law, _ = parseLaw("5ms")
		srv.schedule = s
		srv.freeze = freeze{length: 100 * time.Millisecond, every: 500 * time.Millisecond}
		if err := srv.record(); err != nil {
			t.Error(err)
		}
	})
	// One user who waits for each answer: it meets the freeze once.
	worst := time.Duration(0)
	for range 60 {
		began := time.Now()
		resp, err := http.Get("http://" + address + "/items")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		worst = max(worst, time.Since(began))
	}
	l := ledger(t, address)
	if l.Truth == nil || l.Truth.Requests != 60 || len(l.Truth.Frozen) == 0 {
		t.Fatalf("got %+v, want the truth about 60 requests and a freeze", l.Truth)
	}
	w := l.Truth.Frozen[0]
	if length := time.Duration(w.End - w.Start); length < 100*time.Millisecond {
		t.Errorf("frozen for %v, want at least 100 ms", length)
	}
	if p50 := l.Truth.Waited["p50"]; p50 < 0.005 || p50 > worst.Seconds() {
		t.Errorf("median wait %g s, want at least the delay of 5 ms and at most the client's %v", p50, worst)
	}
	// Somebody is due within the first fifth of the freeze, whoever really came then.
	if p999 := l.Truth.Punctual["p99.9"]; p999 < 0.080 {
		t.Errorf("punctual users waited at most %g s for a thaw that took 0.1 s", p999)
	}
}
