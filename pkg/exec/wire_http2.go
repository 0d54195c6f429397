package exec

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/internal/httpwire"
	"tollgate/internal/measure"
)

// HTTP/2 is net/http's. Of it only ClientConn is used: one connection, whose
// RoundTrip makes one attempt. What retries in net/http is the Transport above
// it, which is never asked for a round trip here; it only makes ClientConns.

// connKey is under which a context carries the connection to speak HTTP/2 on.
type connKey struct{}

// newHTTP2 returns the maker of HTTP/2 connections over connections that are
// there already. To it they are all in clear text: TLS is ours, and it need not
// know.
func newHTTP2() *http.Transport {
	t := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return ctx.Value(connKey{}).(net.Conn), nil
		},
		Protocols:              &http.Protocols{},
		DisableCompression:     true, // else it would ask for gzip, and inflate the answer
		MaxResponseHeaderBytes: mostHeader,
	}
	t.Protocols.SetUnencryptedHTTP2(true)
	return t
}

const (
	mostHeader  = 64 << 10 // as httpwire.Limits
	mostInterim = 5
	mostBody    = 10 << 20
)

// session is HTTP/2 on one connection. It holds a goroutine for as long as the
// connection is open: net/http's, which reads.
type session struct {
	pipe *pipe
	conn *http.ClientConn
}

// beginHTTP2 sends the preface. It does not wait for the peer's.
func (w *wire) beginHTTP2(ctx context.Context, maker *http.Transport) error {
	s := &session{pipe: &pipe{Conn: w.conn, wire: w, gone: make(chan struct{})}}
	stop := context.AfterFunc(ctx, func() { _ = w.raw.Close() }) // a write does not look at ctx
	defer stop()
	var err error
	s.conn, err = maker.NewClientConn(context.WithValue(ctx, connKey{}, net.Conn(s.pipe)), "http", w.raw.RemoteAddr().String())
	if err != nil {
		if w.secure != nil { // nobody reads yet, and the reason may lie there
			_ = w.raw.SetReadDeadline(time.Now().Add(lastWords))
			if _, why := w.secure.Read(make([]byte, 1)); why != nil && lostFailure(why).outcome == measure.TLS {
				return why
			}
		}
		return err
	}
	w.h2 = s
	return nil
}

// lastWords is how long a write that failed waits for what the peer said last,
// such as that it does not like our certificate: 20 ms.
const lastWords = 20 * time.Millisecond

// usable reports whether the connection may carry a request now.
func (s *session) usable() bool { return s.conn.Err() == nil && s.conn.Available() > 0 }

func (s *session) close() { _ = s.conn.Close() }

// pipe is the connection that HTTP/2 reads and writes. It counts, and it knows
// when bytes came and went.
type pipe struct {
	net.Conn
	wire        *wire
	in, out     atomic.Int64 // bytes that no exchange has accounted for yet
	read, wrote atomic.Int64 // when the last read returned, and the last write began
	gone        chan struct{}
	fault       error // of the read that was the last, once gone is closed
}

func (p *pipe) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	p.read.Store(p.wire.now())
	p.in.Add(int64(n))
	if err != nil && p.fault == nil { // HTTP/2 has one reader, which ends with the first error
		p.fault = err
		close(p.gone)
	}
	return n, err
}

func (p *pipe) Write(b []byte) (int, error) {
	p.wrote.Store(p.wire.now())
	n, err := p.Conn.Write(b)
	p.out.Add(int64(n))
	if err == nil {
		return n, nil
	}
	timer := time.NewTimer(lastWords)
	defer timer.Stop()
	select {
	case <-p.gone:
		if p.fault != io.EOF {
			err = p.fault
		}
	case <-timer.C:
	}
	return n, err
}

// Close ends the connection in the manner of TLS, if it can do so soon.
func (p *pipe) Close() error {
	if p.wire.secure != nil {
		p.wire.farewell()
		return nil
	}
	return p.wire.raw.Close()
}

// form2 is what an exchange needs to ask in HTTP/2, kept from one to the next.
type form2 struct {
	pipe    *pipe
	trace   httptrace.ClientTrace
	interim int
	header  http.Header
	values  []string
	url     url.URL
	body    *upload // a new one for each request: HTTP/2 may close it late

	mu sync.Mutex
	x  *exchange // nil: the exchange is over, and what HTTP/2 still reports is too late
}

// newForm2 returns a form whose trace writes to the exchange under way.
func newForm2() *form2 {
	f := &form2{header: http.Header{}}
	f.trace.WroteHeaders = func() {
		f.note(func(x *exchange) { x.sent.CompareAndSwap(0, f.pipe.wrote.Load()) })
	}
	f.trace.GotFirstResponseByte = func() {
		f.note(func(x *exchange) { x.first.CompareAndSwap(0, f.pipe.read.Load()) })
	}
	f.trace.Got1xxResponse = func(int, textproto.MIMEHeader) error {
		if f.interim++; f.interim > mostInterim {
			return httpwire.ErrInformational
		}
		return nil
	}
	return f
}

func (f *form2) note(what func(*exchange)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.x != nil {
		what(f.x)
	}
}

func (f *form2) serve(x *exchange) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.x = x
}

// errNotHTTP is a request that the engine rendered and cannot read: its own bug.
var errNotHTTP = errors.New("the request is not HTTP/1.1")

// ask makes the HTTP/2 request of one that was rendered in HTTP/1.1: the same
// method, target, host, fields and body, without the fields that speak of the
// connection (RFC 9113, section 8.2.2).
func (f *form2) ask(ctx context.Context, request, tail []byte, scheme string) (*http.Request, error) {
	end := bytes.Index(request, []byte("\r\n\r\n"))
	line := bytes.IndexByte(request, '\n')
	if end < 0 || line < 0 {
		return nil, errNotHTTP
	}
	head := string(request[:end+2]) // the one copy, of which all fields are parts
	method := bytes.IndexByte(request[:line], ' ')
	target := bytes.LastIndexByte(request[:line], ' ')
	if method <= 0 || target <= method {
		return nil, errNotHTTP
	}
	clear(f.header)
	f.values = f.values[:0]
	f.url = url.URL{Scheme: scheme, Opaque: head[method+1 : target]}
	r := &http.Request{
		Method: head[:method], URL: &f.url, Header: f.header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	// Room for all values at once: what is appended later must not move them.
	if n := bytes.Count(request[:end], []byte{'\n'}); cap(f.values) < n {
		f.values = make([]string, 0, n)
	}
	at, named := line+1, false
	for name, value := range httpwire.FieldsOf(head[at:]) {
		switch {
		case is(name, "host"):
			r.Host, f.url.Host = value, value
			continue
		case is(name, "content-length"), is(name, "connection"), is(name, "keep-alive"),
			is(name, "proxy-connection"), is(name, "transfer-encoding"), is(name, "upgrade"):
			continue
		case is(name, "user-agent"):
			named = true
		}
		n := len(f.values)
		f.values = append(f.values, value)
		if had := f.header[name]; had != nil {
			f.header[name] = append(had, value) // rare; it leaves f.values alone
			continue
		}
		f.header[name] = f.values[n : n+1 : n+1]
	}
	if f.url.Host == "" {
		return nil, errNotHTTP
	}
	if len(f.url.Opaque) > 1 && f.url.Opaque[:2] == "//" { // else it is read as a host
		f.url.Opaque = "//" + f.url.Host + f.url.Opaque
	}
	if !named {
		f.header["User-Agent"] = noUserAgent
	}
	body := tail
	if len(body) == 0 {
		body = request[end+4:]
	}
	if len(body) > 0 {
		f.body = &upload{left: body}
		r.Body, r.ContentLength = f.body, int64(len(body))
	}
	return r.WithContext(httptrace.WithClientTrace(ctx, &f.trace)), nil
}

// noUserAgent keeps net/http from naming itself where the spec names nobody.
var noUserAgent = []string{""}

// is compares a field's name with one in lower case.
func is(name, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i := range len(name) {
		if c := name[i]; c != lower[i] && (c < 'A' || c > 'Z' || c|0x20 != lower[i]) {
			return false
		}
	}
	return true
}

// upload is a request's body. Nobody reads from it once it is closed, so that
// its bytes may be used again.
type upload struct {
	mu     sync.Mutex
	left   []byte
	closed bool
}

func (u *upload) Read(b []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return 0, net.ErrClosed
	}
	n := copy(b, u.left)
	if u.left = u.left[n:]; len(u.left) == 0 {
		return n, io.EOF
	}
	return n, nil
}

func (u *upload) Close() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.left, u.closed = nil, true
	return nil
}

// roundTrip is one attempt, as for a wire.
func (s *session) roundTrip(x *exchange) {
	if x.two == nil {
		x.two = newForm2()
	}
	f := x.two
	f.pipe, f.interim = s.pipe, 0
	f.serve(x)
	ctx, cancel := context.WithCancel(context.Background())
	x.cancelsBy(cancel)
	clean := s.exchange2(ctx, x)
	x.cancelsBy(nil)
	cancel()
	f.serve(nil)
	if f.body != nil {
		_ = f.body.Close()
		f.body = nil
	}
	if !clean {
		x.two = nil // HTTP/2 may look at the request for a while
	}
	x.in.Store(s.pipe.in.Swap(0))
	x.out.Store(s.pipe.out.Swap(0))
}

// exchange2 reports whether the exchange came to its regular end.
func (s *session) exchange2(ctx context.Context, x *exchange) (clean bool) {
	seen := s.pipe.read.Load()
	r, err := x.two.ask(ctx, x.request, x.tail, s.pipe.wire.scheme)
	if err != nil {
		x.fails(measure.Generator, err)
		return false
	}
	res, err := s.conn.RoundTrip(r)
	if err != nil {
		x.failsBy(s.failure(err, x))
		x.unsent = x.outcome == measure.Reset && x.sent.Load() == 0 && unusable(err)
		x.reusable = s.survives(x, seen)
		return false
	}
	defer res.Body.Close()
	x.reply.status = res.StatusCode
	x.reply.cookies = len(res.Header["Set-Cookie"]) > 0
	x.reply.encoded = len(res.Header["Content-Encoding"]) > 0
	if x.keepHeader || x.reply.cookies || x.reply.encoded {
		x.reply.header = fieldLines(res.Header)
	}
	if x.small == nil {
		x.small = make([]byte, smallRead)
	}
	most := s.pipe.wire.limits.Body
	if most <= 0 {
		most = mostBody
	}
	buf := x.small
	for {
		n, err := res.Body.Read(buf)
		if n > 0 && x.keepBody {
			if int64(len(x.body)+n) > most {
				x.fails(measure.TooLarge, httpwire.ErrBodyTooLarge)
				x.reusable = s.survives(x, seen)
				return false
			}
			if x.body = append(x.body, buf[:n]...); !x.holds(cap(x.body)) {
				x.fails(measure.TooLarge, errTooMuchHeld)
				x.reusable = s.survives(x, seen)
				return false
			}
		}
		if n == len(buf) && x.large == nil {
			x.large = largeReads.Get().(*[]byte)
			buf = *x.large
		}
		switch {
		case err == nil:
			continue
		case err == io.EOF:
			x.end, x.reusable = x.now(), true
			if x.keepBody {
				x.reply.body = x.body
			}
			return true
		}
		x.failsBy(s.failure(err, x))
		x.reusable = s.survives(x, seen)
		return false
	}
}

// survives reports whether the connection is still good although the request on
// it failed: that was only its stream. A connection on which nothing came since
// the request was made, until its time was over, may be dead.
func (s *session) survives(x *exchange, seen int64) bool {
	return s.usable() && (x.outcome != measure.Timeout || s.pipe.read.Load() != seen)
}

// fieldLines writes a header as it would have come in HTTP/1.1, but for the
// order of the names.
func fieldLines(h http.Header) (out []byte) {
	for name, values := range h {
		for _, v := range values {
			out = httpwire.AppendField(out, name, []byte(v))
		}
	}
	return out
}
