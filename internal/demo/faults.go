package demo

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// faults deal out what the knobs say. They draw by the request's number of
// arrival and not from a shared stream of random numbers, so that concurrency
// cannot change how many of n requests meet which fate.
type faults struct {
	seed   uint64
	regime atomic.Pointer[regime]
}

// A regime is one setting of the knobs, and what has been drawn under it.
type regime struct {
	knobs   Knobs
	since   time.Time
	worked  atomic.Uint64 // requests that drew a jitter
	reached atomic.Uint64 // requests that drew a fate
}

// set begins a regime: freezes are counted from now, fates from the first draw.
func (f *faults) set(k Knobs) error {
	if err := k.Validate(); err != nil {
		return err
	}
	f.regime.Store(&regime{knobs: k, since: time.Now()})
	return nil
}

// An ending is what a request gets in place of the system's answer.
type ending string

const (
	noEnding    ending = ""
	errorEnding ending = "error"
	resetEnding ending = "reset"
	closeEnding ending = "close"
	dropEnding  ending = "drop"
)

// A fate is all that the knobs hold for one request.
type fate struct {
	freeze      time.Duration // what is left of the freeze it arrived in
	ending      ending
	latency     time.Duration
	work        time.Duration // for requests that work: with its jitter
	wrongBody   bool
	slowBody    int64 // bytes per second, 0 for full speed
	noKeepAlive bool
	notReady    bool
}

// What a draw is for: draws for different purposes are independent.
const (
	forEnding uint64 = iota + 1
	forJitter
	forWrongBody
)

// meet draws the fate of a request that arrives now.
func (f *faults) meet(c *call) fate {
	g := f.regime.Load()
	k := &g.knobs
	x := fate{noKeepAlive: k.NoKeepAlive, notReady: k.NotReady, work: k.Work}
	if k.FreezeFor > 0 {
		x.freeze = frozen(time.Since(g.since), k.FreezeFor, k.FreezeEvery)
	}
	if k.Jitter > 0 {
		x.work += time.Duration(draw(f.seed, g.worked.Add(1), forJitter) * float64(k.Jitter))
	}
	if k.Only != c.route && (k.Only != "" || c.probe) {
		return x
	}
	n := g.reached.Add(1)
	x.latency, x.slowBody = k.Latency, k.SlowBody
	x.wrongBody = c.falsifiable && draw(f.seed, n, forWrongBody) < k.WrongBodies
	x.ending = end(draw(f.seed, n, forEnding), k)
	return x
}

// end cuts the unit interval into the four endings and none.
func end(u float64, k *Knobs) ending {
	switch {
	case u < k.Errors:
		return errorEnding
	case u < k.Errors+k.Resets:
		return resetEnding
	case u < k.Errors+k.Resets+k.Closes:
		return closeEnding
	case u < k.Errors+k.Resets+k.Closes+k.Drops:
		return dropEnding
	}
	return noEnding
}

// frozen returns how much of a freeze is left at the given age of a schedule
// in which every period ends with a freeze; 0 outside one.
func frozen(age, freeze, period time.Duration) time.Duration {
	left := period - age%period
	if left > freeze {
		return 0
	}
	return left
}

// draw is a number in [0, 1) that depends on nothing but its arguments.
func draw(seed, n, purpose uint64) float64 {
	return float64(scramble(seed, n, purpose)>>11) / (1 << 53)
}

// scramble is SplitMix64 (Steele, Lea and Flood, 2014) used as a hash.
func scramble(seed, n, purpose uint64) uint64 {
	return splitmix(splitmix(seed+purpose*0x9e3779b97f4a7c15) + n*0x9e3779b97f4a7c15)
}

func splitmix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// pause waits and says whether to go on: false when the client has gone. When
// the server is closing it does not wait, so that whoever is held gets through.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-closing(ctx):
		return true
	case <-ctx.Done():
		return false
	}
}

// abandon leaves a request without an answer and closes its connection. It
// does not return. A handler that merely returned would be given a 200 by
// net/http, which a client that only closed its sending side would read.
func abandon() {
	panic(http.ErrAbortHandler)
}

// resetConnection answers with a TCP RST: closing with a linger time of zero
// throws away what is unsent and tells the peer that the connection is void. Of
// HTTP/2 it is the stream that is reset.
func resetConnection(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		abandon()
	}
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn() // no farewell
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}

// A reply is the way back to the client: it tells the ledger the status before
// the first byte leaves, and keeps the pace of a slow body.
type reply struct {
	http.ResponseWriter
	to    *http.Request
	entry *entry
	pace  int64 // bytes per second, 0 for full speed
	wrong bool  // the answer is false by order of the knobs
}

// Unwrap lets http.ResponseController find the connection.
func (w *reply) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *reply) WriteHeader(status int) {
	w.entry.answeredWith(status)
	if w.wrong && status == http.StatusOK {
		w.entry.fault("wrong_body")
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *reply) Write(p []byte) (int, error) {
	w.entry.answeredWith(http.StatusOK)
	if w.pace > 0 {
		return w.writeSlowly(p)
	}
	return w.ResponseWriter.Write(p)
}

// slowTick is how often a slow body moves. At a given pace p bytes per second,
// p*t bytes have left t after the header.
const slowTick = 50 * time.Millisecond

func (w *reply) writeSlowly(p []byte) (int, error) {
	control := http.NewResponseController(w.ResponseWriter)
	if err := control.Flush(); err != nil {
		return 0, err
	}
	sent := 0
	for t := slowTick; sent < len(p); t += slowTick {
		if !pause(w.to.Context(), slowTick) {
			return sent, w.to.Context().Err()
		}
		due := int(min(float64(len(p)), float64(w.pace)*t.Seconds()))
		select {
		case <-closing(w.to.Context()):
			due = len(p)
		default:
		}
		n, err := w.ResponseWriter.Write(p[sent:due])
		sent += n
		if err != nil {
			return sent, err
		}
		if err := control.Flush(); err != nil {
			return sent, err
		}
	}
	return sent, nil
}
