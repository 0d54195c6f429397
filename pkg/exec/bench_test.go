package exec

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"tollgate/pkg/spec"
)

// hotPath is one request of a closed user with no think time, without the
// kernel: next step, render, judge, record.
func hotPath(b *testing.B, endpoint, answer string) {
	p := compileText(b, `version: 1
name: bench
target: {url: "http://127.0.0.1:1"}
values: {kind: {x: 5, y: 3, z: 1}}
endpoints:
  login: {request: POST /login, save: {me: id}}
  a: `+endpoint+`
personas: {p: {think: 0s, on_start: [login], tasks: {a: 1}}}
stages: [{steady: {users: 50, for: 1h}}]
slos: [p95 < 200ms, p99 < 500ms, errors < 1%]
`, 1)
	var line timeline
	line.begin(Span{Phase: phaseMoving(0), Moving: true})
	line.begin(Span{Phase: phaseHold(0), Start: 1})
	c := newCast(p, &line, 0, 1, "bench", 0)
	way := course{level: []int{0}}
	c.announce(cue{part: way.enter(&p.stages[0], 0)})
	c.announce(cue{part: way.enter(&p.stages[0], 1), start: 1, partNo: 1})
	now := int64(2)
	c.advance(now, nil)
	var out, scratch []byte
	body := []byte(answer)
	var queue []int32
	turn := func() {
		k := c.outbox
		c.outbox = queue[:0]
		for _, i := range k {
			c.begin(i, now)
			text, _, spare, err := c.render(i, now, out[:0], scratch)
			if err != nil {
				b.Fatal(err)
			}
			if c.users[i].call.static == nil {
				out = text
			}
			scratch = spare
			now += 1000
			c.done(i, trip{sent: now - 900, first: now, done: now, in: 200, out: int64(len(text)), reused: true}, reply{status: 200, body: body})
		}
		queue = k
	}
	for range 100 { // every user has its buffers and every series its pages
		turn()
	}
	sent := 0
	b.ReportAllocs()
	b.ResetTimer()
	for sent < b.N {
		sent += len(c.outbox)
		turn()
	}
}

func BenchmarkGetWithoutSlots(b *testing.B) {
	hotPath(b, "GET /api/v1/incidents/active", `{"id": "abc"}`)
}

func BenchmarkPostWithFiveSlotsAndASave(b *testing.B) {
	hotPath(b, `{request: "POST /api/v1/alerts/${me}", json: {id: "${uuid()}", kind: "${pick(kind)}", n: "${int(1, 10000)}", x: "${float(0.7, 1)}", at: "${now()}"}, save: {me: id}, expect: {json: {id: exists}}}`,
		`{"id": "5b1f7c0e-1f2b-4f7c-9d9e-0a1b2c3d4e5f", "status": "pending"}`)
}

// The conn driver's way of one request: a goroutine, the look at the connection,
// the write, the read, the parser, the way back; and what the target does on the
// same machine.
func benchmarkConn(b *testing.B, start func(testing.TB, http.Handler) (string, func(*spec.Target))) {
	answer := []byte(`{"id": "abc"}`)
	addr, change := start(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(answer) }))
	p := planFor(b, addr, specText("p: {think: 0s, tasks: {a: 1}}", "- steady: {users: 1, for: 1h}"), change)
	d, err := newConn(newCast(p, &timeline{}, 0, 1, "bench", 0), FixedAddresses(p.Spec, netip.MustParseAddrPort(addr)), time.Now())
	if err != nil {
		b.Fatal(err)
	}
	defer d.discard()
	c := d.(*connDriver)
	x := c.take()
	text := []byte("GET /a HTTP/1.1\r\nHost: " + addr + "\r\nUser-Agent: tollgate\r\nAccept: */*\r\n\r\n")
	once := func() {
		x.request, x.keepBody = text, true
		go x.fly()
		if <-c.back != x || x.err != nil {
			b.Fatal(x.err)
		}
		w := x.wire
		x.recycle()
		x.reset()
		x.wire = w
	}
	for range 100 {
		once()
	}
	b.ReportAllocs()
	for b.Loop() {
		once()
	}
	x.wire.close()
}

// rawHello answers on a listener without allocating, so that what is measured
// is ours.
func rawHello(b testing.TB, l net.Listener) {
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				in := make([]byte, 4096)
				for {
					if _, err := c.Read(in); err != nil {
						return
					}
					if _, err := c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{\"id\": \"abc\"}")); err != nil {
						return
					}
				}
			})
		}
	})
	b.Cleanup(func() { l.Close(); wg.Wait() })
}

func BenchmarkConnClear(b *testing.B) {
	benchmarkConn(b, func(b testing.TB, _ http.Handler) (string, func(*spec.Target)) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		rawHello(b, l)
		return l.Addr().String(), nil
	})
}

func BenchmarkConnTLS(b *testing.B) {
	benchmarkConn(b, func(b testing.TB, _ http.Handler) (string, func(*spec.Target)) {
		a := newAuthority(b)
		l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{a.server(x509.Certificate{}, "127.0.0.1")}})
		if err != nil {
			b.Fatal(err)
		}
		rawHello(b, l)
		return l.Addr().String(), overTLS(a.pem, spec.HTTP1)
	})
}

// Allocations of the target, net/http's server, are counted here as well: about 20.
func BenchmarkConnHTTP2(b *testing.B) {
	benchmarkConn(b, func(b testing.TB, h http.Handler) (string, func(*spec.Target)) {
		a := newAuthority(b)
		return startTLS(b, h, &tls.Config{Certificates: []tls.Certificate{a.server(x509.Certificate{}, "127.0.0.1")}}, true), overTLS(a.pem, spec.HTTP2)
	})
}
