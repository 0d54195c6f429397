package exec

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/internal/httpwire"
	"tollgate/internal/measure"
	"tollgate/pkg/spec"
)

// A dialer makes connections to one target, in the protocol that the target is
// spoken to in. It is immutable, and all loops may share it.
//
//	http:  http                  HTTP/1.1, through httpwire
//	       http, HTTP2           HTTP/2 with prior knowledge (h2c)
//	https: https                 HTTP/1.1 over TLS, through httpwire
//	       https, HTTP2          HTTP/2 over TLS
//	       https, HTTPAuto       what the handshake chooses
//
// Every connection makes a full handshake: no session is resumed, neither with
// a ticket nor with an early one. Users of a load test stand for people on
// machines of their own, who bring no session of each other; and a cache that
// some connections find filled and others do not would make connection set-up
// two populations in one series.
type dialer struct {
	zero   time.Time // instant 0 of the run
	net    net.Dialer
	secure *tls.Config     // nil: clear text
	h2     *http.Transport // nil: HTTP/1.1 only
	prior  bool            // HTTP/2 in clear text
	scheme string
	limits *httpwire.Limits
}

// newDialer reads the target's certificates. Its error is one of the spec.
func newDialer(t *spec.Target, zero time.Time) (*dialer, error) {
	d := &dialer{
		zero: zero,
		// As the loop: no keep-alive probes, which a load test would count as load.
		net:    net.Dialer{KeepAlive: -1},
		scheme: t.Scheme,
		limits: &httpwire.Limits{Body: t.MaxBody},
	}
	d.net.SetMultipathTCP(false)
	if t.HTTP == spec.HTTP2 || t.HTTP == spec.HTTPAuto && t.Scheme == "https" {
		d.h2 = newHTTP2()
	}
	if t.Scheme != "https" {
		d.prior = d.h2 != nil
		return d, nil
	}
	c := &tls.Config{ServerName: t.Host, InsecureSkipVerify: t.TLS.Insecure, SessionTicketsDisabled: true}
	if t.TLS.ServerName != "" {
		c.ServerName = t.TLS.ServerName
	}
	if len(t.TLS.CA) > 0 {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(t.TLS.CA) {
			return nil, errors.New("tls.ca holds no certificate in PEM form")
		}
	}
	if len(t.TLS.Cert) > 0 || len(t.TLS.Key) > 0 {
		pair, err := tls.X509KeyPair(t.TLS.Cert, t.TLS.Key)
		if err != nil {
			return nil, fmt.Errorf("tls.cert and tls.key: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	switch t.HTTP {
	case spec.HTTP1:
		c.NextProtos = []string{"http/1.1"}
	case spec.HTTP2:
		c.NextProtos = []string{"h2"}
	default:
		c.NextProtos = []string{"h2", "http/1.1"}
	}
	d.secure = c
	return d, nil
}

// A failure is why a request got no answer, by the class that it counts in.
type failure struct {
	outcome measure.Outcome
	err     error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// dial makes a connection, TLS handshake included. Its error is a *failure; the
// end of ctx ends it at once.
func (d *dialer) dial(ctx context.Context, to netip.AddrPort) (*wire, error) {
	c, err := d.net.DialContext(ctx, "tcp", to.String())
	if err != nil {
		return nil, dialFailure(measure.ConnectFail, err)
	}
	w := &wire{limits: d.limits, scheme: d.scheme, zero: d.zero}
	w.raw = c.(*net.TCPConn)
	if err := w.watch(); err != nil {
		w.kill()
		return nil, dialFailure(measure.ConnectFail, err)
	}
	w.conn = &w.socket
	w.stop = w.interrupt
	two := d.prior
	if d.secure != nil {
		w.secure = tls.Client(&w.socket, d.secure)
		w.conn = w.secure
		if err := w.secure.HandshakeContext(ctx); err != nil {
			w.kill()
			return nil, dialFailure(measure.TLS, err)
		}
		two = w.secure.ConnectionState().NegotiatedProtocol == "h2"
		if !two && d.secure.NextProtos[0] == "h2" && len(d.secure.NextProtos) == 1 {
			w.kill()
			return nil, &failure{measure.TLS, errNoHTTP2}
		}
	}
	if two {
		if err := w.beginHTTP2(ctx, d.h2); err != nil {
			w.kill()
			return nil, lostFailure(err)
		}
	}
	return w, nil
}

// errNoHTTP2 is the fault of a target that is to speak HTTP/2 and does not offer it.
var errNoHTTP2 = errors.New("the target did not choose HTTP/2 in the TLS handshake (ALPN)")

// A wire is one connection to a target. In HTTP/1.1 one exchange at a time may
// use it, in HTTP/2 any number.
type wire struct {
	socket
	secure *tls.Conn // nil: clear text
	conn   net.Conn  // what requests are written to: secure, or the socket
	h2     *session  // nil: HTTP/1.1
	limits *httpwire.Limits
	scheme string
	zero   time.Time
	used   atomic.Bool // has carried a request
	cut    atomic.Bool // its deadline is in the past
	stop   func()      // interrupt, as a value that is made once
}

// socket is a TCP connection that can be read without waiting.
type socket struct {
	raw  *net.TCPConn
	look looker
	only bool // reads take only what has arrived
}

// Read is what TLS reads by. While only is set it never waits.
func (s *socket) Read(b []byte) (int, error) {
	if s.only && !s.readable() {
		return 0, os.ErrDeadlineExceeded
	}
	if n := s.waiting(b); n > 0 {
		return n, nil
	}
	return s.raw.Read(b)
}

func (s *socket) Write(b []byte) (int, error)        { return s.raw.Write(b) }
func (s *socket) Close() error                       { return s.raw.Close() }
func (s *socket) LocalAddr() net.Addr                { return s.raw.LocalAddr() }
func (s *socket) RemoteAddr() net.Addr               { return s.raw.RemoteAddr() }
func (s *socket) SetDeadline(t time.Time) error      { return s.raw.SetDeadline(t) }
func (s *socket) SetReadDeadline(t time.Time) error  { return s.raw.SetReadDeadline(t) }
func (s *socket) SetWriteDeadline(t time.Time) error { return s.raw.SetWriteDeadline(t) }

func (w *wire) now() int64 { return int64(time.Since(w.zero)) }

// interrupt ends what reads or writes under way.
func (w *wire) interrupt() {
	w.cut.Store(true)
	_ = w.raw.SetDeadline(time.Unix(1, 0))
}

// resume undoes interrupt.
func (w *wire) resume() {
	if w.cut.Swap(false) {
		_ = w.raw.SetDeadline(time.Time{})
	}
}

// alive reports whether a connection without a request under way may carry
// another: the peer has neither closed it nor said anything. What the peer does
// a moment later is a race, and losing it a reset.
func (w *wire) alive() bool {
	w.resume()
	if w.h2 != nil {
		return w.h2.usable()
	}
	if !w.readable() {
		return true
	}
	if w.secure == nil {
		return false
	}
	// Not all that waits is for us: session tickets and new keys are read, and
	// nothing is left then.
	w.only = true
	defer func() { w.only = false }()
	var b [1]byte
	n, err := w.secure.Read(b[:])
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
}

// clear reports whether closing takes no time.
func (w *wire) clear() bool { return w.secure == nil && w.h2 == nil || w.cut.Load() && w.h2 == nil }

// close ends a connection as a client should: with the farewell of TLS, unless
// that takes long because the peer does not read.
func (w *wire) close() {
	switch {
	case w.h2 != nil:
		w.h2.close()
	case w.clear():
		_ = w.raw.Close()
	default:
		w.farewell()
	}
}

// farewell closes TLS and what is below it.
func (w *wire) farewell() {
	timer := time.AfterFunc(longestFarewell, func() { _ = w.raw.Close() })
	defer timer.Stop()
	_ = w.secure.Close()
}

const longestFarewell = 100 * time.Millisecond

// abandon ends a connection that has carried its only request (see the loop's).
func (w *wire) abandon() {
	_ = w.raw.SetLinger(0)
	w.kill()
}

// kill ends a connection at once, and with it whatever waits for it.
func (w *wire) kill() {
	_ = w.raw.Close()
	if w.h2 != nil {
		w.h2.close()
	}
}

// An exchange is one request and what becomes of it. Whoever starts it fills in
// the first part; the second may be read at any time, from any goroutine; the
// third is there when roundTrip has returned, and borrowed until recycle.
type exchange struct {
	zero       time.Time // instant 0 of the run
	request    []byte    // as in HTTP/1.1, whatever it is sent in
	tail       []byte    // the body, where it does not stand in the request
	head       bool      // the answer to HEAD has no body
	keepHeader bool
	keepBody   bool
	budget     *budget // of the bodies under way; nil: none

	connect, sent, first, in, out atomic.Int64 // see trip
	reused                        atomic.Bool

	end      int64 // when it ended
	outcome  measure.Outcome
	detail   string
	err      error // of the outcome; nil for a complete response
	reply    reply
	reusable bool  // the connection may carry another request
	unsent   bool  // nothing of the request was written: it may go by another connection
	late     int64 // how long the answer may have lain unread

	parser httpwire.Parser
	small  []byte  // the first read goes here,
	large  *[]byte // and when that was full, all others here
	body   []byte  // of an HTTP/2 response
	held   int64
	two    *form2

	mu        sync.Mutex
	cancelled bool
	stop      func()
}

const smallRead = 4 << 10

var largeReads = sync.Pool{New: func() any { b := make([]byte, readBuffer); return &b }}

func (x *exchange) now() int64 { return int64(time.Since(x.zero)) }

// trip is what is known of the exchange by now, but for its end.
func (x *exchange) trip() trip {
	return trip{
		sent: x.sent.Load(), first: x.first.Load(), connect: x.connect.Load(),
		in: x.in.Load(), out: x.out.Load(), reused: x.reused.Load(),
	}
}

// cancel makes the exchange end soon, with a timeout unless its answer is there
// already.
func (x *exchange) cancel() {
	x.mu.Lock()
	x.cancelled = true
	stop := x.stop
	x.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// cancelsBy says what cancel is to do from here on.
func (x *exchange) cancelsBy(stop func()) {
	x.mu.Lock()
	x.stop = stop
	cancelled := x.cancelled
	x.mu.Unlock()
	if cancelled && stop != nil {
		stop()
	}
}

func (x *exchange) wasCancelled() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.cancelled
}

// fails ends the exchange without a response.
func (x *exchange) fails(o measure.Outcome, err error) {
	x.end = x.now()
	x.outcome, x.err, x.detail, x.reusable = o, err, brevity(err), false
}

// failsBy ends it by a *failure, or by the timeout if that came first.
func (x *exchange) failsBy(err error) {
	var f *failure
	if !errors.As(err, &f) {
		f = lostFailure(err)
	}
	if f.outcome != measure.Generator && x.wasCancelled() {
		f = &failure{measure.Timeout, errNoResponse}
	}
	x.fails(f.outcome, f.err)
}

// The faults of a request that is over its time.
var (
	errNoResponse   = errors.New("no complete response within the timeout")
	errNoConnection = errors.New("no connection within the timeout")
)

// dials makes the connection that the exchange needs.
func (x *exchange) dials(d *dialer, to netip.AddrPort) *wire {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	x.cancelsBy(cancel)
	defer x.cancelsBy(nil)
	begin := x.now()
	w, err := d.dial(ctx, to)
	if err == nil {
		x.connect.Store(max(x.now()-begin, 1))
		return w
	}
	x.failsBy(err)
	if x.outcome == measure.Timeout {
		x.err, x.detail = errNoConnection, errNoConnection.Error()
	}
	return nil
}

// reset forgets what became of the exchange.
func (x *exchange) reset() {
	x.reused.Store(false)
	x.connect.Store(0)
	x.sent.Store(0)
	x.first.Store(0)
	x.in.Store(0)
	x.out.Store(0)
	x.end, x.outcome, x.detail, x.err, x.reply = 0, measure.OK, "", nil, reply{}
	x.reusable, x.unsent, x.late = false, false, 0
}

// recycle gives back what the response borrowed.
func (x *exchange) recycle() {
	x.parser.Release()
	if x.large != nil {
		largeReads.Put(x.large)
		x.large = nil
	}
	x.body = nil
	x.mu.Lock()
	x.cancelled, x.stop = false, nil
	x.mu.Unlock()
	if x.budget != nil {
		x.budget.held.Add(-x.held)
	}
	x.held = 0
}

// A budget bounds the bodies that many exchanges hold together.
type budget struct {
	most int64
	held atomic.Int64
}

// holds accounts for how much the exchange holds; false when that is more than
// may be held.
func (x *exchange) holds(n int) bool {
	if x.budget == nil || int64(n) == x.held {
		return true
	}
	held := x.budget.held.Add(int64(n) - x.held)
	x.held = int64(n)
	return held <= x.budget.most || int64(n) <= keptByUser
}

// roundTrip sends the request and reads its response, once: it never tries
// again. It returns when the response is complete, or with the failure.
func (w *wire) roundTrip(x *exchange) {
	w.resume()
	w.used.Store(true)
	x.out.Store(int64(len(x.request) + len(x.tail)))
	if w.h2 != nil {
		w.h2.roundTrip(x)
		return
	}
	x.cancelsBy(w.stop)
	w.exchange1(x)
	x.cancelsBy(nil)
}

// atOnce is how much is written before reading begins: it fits into any
// socket's buffer. Who has more to send must read meanwhile, because the target
// may answer before it has read all, and then read no more.
const atOnce = 8 << 10

// exchange1 is roundTrip in HTTP/1.1.
func (w *wire) exchange1(x *exchange) {
	x.parser.SetLimits(w.limits)
	x.parser.Reset(x.head, x.keepBody)
	x.sent.Store(x.now())
	if len(x.request)+len(x.tail) <= atOnce {
		_, err := w.conn.Write(x.request)
		w.read(x, err)
		return
	}
	wrote := make(chan error, 1)
	go func() {
		_, err := w.conn.Write(x.request)
		if err == nil && len(x.tail) > 0 {
			_, err = w.conn.Write(x.tail)
		}
		wrote <- err
	}()
	w.read(x, nil)
	patience := time.Duration(0)
	if x.reusable { // the writer may only not have had its turn
		patience = 50 * time.Millisecond
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case err := <-wrote:
		x.reusable = x.reusable && err == nil
	case <-timer.C: // it answered, or failed, before it has read all
		x.reusable = false
		w.interrupt()
		<-wrote // the request's bytes are borrowed
	}
}

// read reads the response; unwritten is why the request could not be written
// whole, which does not mean that there is no response.
func (w *wire) read(x *exchange, unwritten error) {
	if x.small == nil {
		x.small = make([]byte, smallRead)
	}
	buf := x.small
	if x.large != nil {
		buf = *x.large
	}
	looks := 0 // after the deadline
	last := x.sent.Load()
	for {
		n, err := w.conn.Read(buf)
		now := x.now()
		if n > 0 {
			if x.first.Load() == 0 {
				x.first.Store(now)
			}
			x.in.Add(int64(n))
			used, done, fault := x.parser.Feed(buf[:n])
			switch {
			case fault != nil:
				x.fails(parseOutcome(fault), fault)
				return
			case done:
				w.completes(x, now, used == n && unwritten == nil)
				if looks > 0 {
					x.late = now - last // it was there, and nobody looked
				}
				return
			case !x.holds(x.parser.Held()):
				x.fails(measure.TooLarge, errTooMuchHeld)
				return
			}
			last = now
			if n == len(buf) && x.large == nil {
				x.large = largeReads.Get().(*[]byte)
				buf = *x.large
			}
		}
		switch {
		case err == nil && looks == 0:
		case err == nil && looks < readsPerTurn, errors.Is(err, os.ErrDeadlineExceeded) && looks == 0 && x.wasCancelled():
			// The deadline has passed. What has arrived by now was only not read yet.
			looks++
			w.cut.Store(true)
			w.resume()
			if !w.readable() {
				x.fails(measure.Timeout, errNoResponse)
				return
			}
			w.only = true // never reused: the deadline may have cut a record
		case err == nil, errors.Is(err, os.ErrDeadlineExceeded):
			x.fails(measure.Timeout, errNoResponse)
			return
		case errors.Is(err, io.ErrUnexpectedEOF):
			// TLS: closed without saying so, which anybody on the way could have
			// done. A body that ends with the connection has not ended.
			fault := httpwire.ErrTruncated
			if !x.parser.Started() {
				fault = httpwire.ErrEarlyClose
			}
			x.fails(measure.Reset, fault)
			return
		case errors.Is(err, io.EOF):
			done, fault := x.parser.EOF()
			switch {
			case done:
				w.completes(x, now, false)
			case unwritten != nil && fault == httpwire.ErrEarlyClose:
				x.failsBy(unwritten)
			default:
				x.fails(parseOutcome(fault), fault)
			}
			return
		default:
			x.failsBy(err)
			return
		}
	}
}

// completes ends the exchange with its response.
func (w *wire) completes(x *exchange, now int64, reusable bool) {
	x.end = now
	x.reply = reply{status: x.parser.Status(), cookies: x.parser.HasCookie(), encoded: x.parser.Encoded()}
	if x.keepHeader || x.reply.cookies || x.reply.encoded {
		x.reply.header = x.parser.Header()
	}
	if x.keepBody {
		x.reply.body = x.parser.Body()
	}
	x.reusable = reusable && x.parser.KeepAlive() && !w.only
}
