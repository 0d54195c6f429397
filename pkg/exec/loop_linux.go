package exec

import (
	"net/netip"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tollgate/internal/httpwire"
	"tollgate/internal/measure"
)

// loop drives a cast over clear HTTP/1.1 with one epoll instance and one
// thread: two system calls a request and a shared wait, no goroutine, no lock
// and no allocation on the steady path. Everything here belongs to the loop's
// own thread, except calls and the cast's stats.
type loop struct {
	*cast
	poller *poller
	to     unix.Sockaddr
	v6     bool
	zero   time.Time // instant 0 of the run

	since int64   // since when what is being read may have lain there
	full  []int32 // connections with more to read than one turn takes
	held  int64   // bytes of bodies kept for users whose answer is not complete
	most  int64   // limit of held
	conns []conn
	in    []byte // what is read; bodies are borrowed from it
	out   []byte // the request being rendered
	body  []byte // its body

	calls atomic.Pointer[loopCall]
	ended chan struct{}
}

// loopCall is a function to run on the loop's thread.
type loopCall struct {
	do   func()
	done chan struct{}
}

type connState uint8

const (
	closed connState = iota
	connecting
	standby // no request under way
	sending // part of the request could not be written yet
	waiting // for the response
)

// conn is the connection of the user of the same index.
type conn struct {
	fd         int32
	generation uint32 // tells events of an earlier descriptor from this one's
	state      connState
	used       bool // has carried a request
	hungUp     bool // the peer will send no more
	parser     httpwire.Parser
	trip       trip
	dialed     int64
	rest       []byte // what is left to send
	held       int64  // bytes that the parser keeps
}

// eventsPerLook is after how many events timers are looked at again.
const eventsPerLook = 32

// loopHere makes loops on this system.
var loopHere newDriver = newLoop

func newLoop(c *cast, target netip.AddrPort, zero time.Time) (driver, error) {
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	l := &loop{cast: c, poller: p, zero: zero, in: make([]byte, readBuffer), ended: make(chan struct{}), most: keptBodies / int64(c.loops)}
	l.to, l.v6 = sockaddr(target)
	return l, nil
}

func (l *loop) now() int64 { return int64(time.Since(l.zero)) }

// do runs f on the loop's thread and waits for it; after the loop has ended, at
// once. One goroutine at a time may call it.
func (l *loop) do(f func()) {
	call := &loopCall{do: f, done: make(chan struct{})}
	l.calls.Store(call)
	select {
	case <-call.done:
	case <-l.ended:
		if l.calls.CompareAndSwap(call, nil) {
			f()
		}
	}
}

// run turns until stop is set. It owns its thread.
func (l *loop) run(stop *atomic.Bool) {
	runtime.LockOSThread()
	// Not unlocked: the thread's timer slack is changed, so it ends with the loop.
	fineTimers()
	defer close(l.ended)
	defer l.close()

	looked := l.now()
	for !stop.Load() {
		now := l.now()
		l.advance(now, l.expire)
		l.flush()
		if call := l.calls.Swap(nil); call != nil {
			call.do()
			close(call.done)
			l.flush()
		}
		before := l.now()
		wait := min(max(l.next()-before, 0), longestWait)
		if len(l.full) > 0 {
			wait = 0
		}
		events := l.poller.wait(wait)
		after := l.now()
		// What woke a wait came just now; what was there already when the wait
		// began may have come at any time since the last look.
		l.since = after
		if after-before < noWait {
			l.since = looked
		}
		looked = after
		for k := range events {
			l.dispatch(&events[k])
			if k%eventsPerLook == eventsPerLook-1 {
				l.advance(l.now(), l.expire)
				l.flush()
			}
		}
		for k := len(l.full); k > 0; k-- {
			i := l.full[0]
			l.full = append(l.full[:0], l.full[1:]...)
			if s := l.conns[i].state; s == waiting || s == sending || s == standby {
				l.read(i)
				l.flush()
			}
		}
	}
}

// noWait is how short a wait is that found its events already there: 20 us.
const noWait = 20_000

// discard gives back what a loop that never ran holds.
func (l *loop) discard() { l.poller.close() }

// close gives every descriptor back; what is still in flight ends as aborted.
func (l *loop) close() {
	now := l.now()
	for i := range l.conns {
		if c := &l.conns[i]; c.state == connecting || c.state == sending || c.state == waiting {
			c.trip.done = now
			l.disconnect(int32(i))
			l.fail(int32(i), c.trip, measure.Aborted, inFlightAtEnd)
		} else {
			l.disconnect(int32(i))
		}
	}
	l.outbox = l.outbox[:0]
	l.poller.close()
}

// flush carries out what the cast decided: hang-ups first, so that a user that
// left and came again begins with a connection of its own.
func (l *loop) flush() {
	for k := 0; k < len(l.outbox) || len(l.hangup) > 0; {
		for _, i := range l.hangup {
			if int(i) < len(l.conns) && l.conns[i].state == standby {
				l.disconnect(i)
			}
		}
		l.hangup = l.hangup[:0]
		if k < len(l.outbox) {
			l.start(l.outbox[k]) // may queue more
			k++
		}
	}
	l.outbox = l.outbox[:0]
}

// start takes a user's request up.
func (l *loop) start(i int32) {
	now := l.now()
	if !l.begin(i, now) {
		return
	}
	for int(i) >= len(l.conns) {
		l.conns = append(l.conns, conn{})
	}
	c := &l.conns[i]
	c.trip = trip{reused: c.state == standby && c.used}
	if c.state == standby {
		l.write(i, now)
		return
	}
	fd, err := dial(l.to, l.v6)
	if err != nil {
		l.broke(i, err, true)
		return
	}
	c.generation++
	if err := l.poller.add(fd, i, c.generation); err != nil {
		unix.Close(fd)
		l.broke(i, err, true)
		return
	}
	c.fd, c.state, c.used, c.hungUp, c.dialed = int32(fd), connecting, false, false, now
}

// write renders the request and sends it.
func (l *loop) write(i int32, now int64) {
	c := &l.conns[i]
	user := &l.users[i]
	buf, scratch, err := l.render(i, now, l.out[:0], l.body)
	l.body = scratch
	if err != nil {
		// Nothing was sent: the connection stays good.
		c.state, c.trip.done = standby, now
		l.fail(i, c.trip, measure.Check, err.Error())
		return
	}
	if user.call.static == nil || len(user.call.values) > 0 {
		l.out = buf
	}
	c.parser.Reset(user.call.head, user.call.keepBody)
	c.trip.sent = l.now()
	c.trip.out = int64(len(buf))
	n, err := send(int(c.fd), buf)
	if err == syscall.EAGAIN {
		n, err = 0, nil
	}
	switch {
	case err != nil:
		l.broke(i, err, false)
	case n < len(buf):
		c.rest = append(c.rest[:0], buf[n:]...)
		c.state = sending
	default:
		c.state = waiting
	}
	c.used = true
}

// writeRest goes on with a request that did not fit the socket's buffer.
func (l *loop) writeRest(i int32) {
	c := &l.conns[i]
	n, err := send(int(c.fd), c.rest)
	switch {
	case err == syscall.EAGAIN:
	case err != nil:
		// The peer stopped reading, but it may have answered before it did.
		c.rest, c.state, c.hungUp = nil, waiting, true
		l.read(i)
		if c.state == waiting {
			l.broke(i, err, false)
		}
	case n < len(c.rest):
		c.rest = append(c.rest[:0], c.rest[n:]...)
	default:
		c.rest, c.state = nil, waiting
	}
}

// dispatch handles an event, unless its connection was closed, and perhaps
// replaced, after it was fetched.
func (l *loop) dispatch(ev *unix.EpollEvent) {
	if c := &l.conns[ev.Fd]; c.generation == uint32(ev.Pad) && c.state != closed {
		l.event(ev.Fd, ev.Events)
		l.flush()
	}
}

// event handles what epoll says of a user's connection.
func (l *loop) event(i int32, events uint32) {
	c := &l.conns[i]
	if c.state == connecting {
		if events&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) == 0 {
			return
		}
		if err := connected(int(c.fd)); err != nil {
			l.broke(i, err, true)
			return
		}
		now := l.now()
		c.trip.connect = max(now-c.dialed, 1)
		c.state = standby
		l.write(i, now)
		if c.state != waiting && c.state != sending {
			return
		}
		// The same event may say that the peer has spoken first, or hung up.
	}
	if events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.hungUp = true
	}
	if c.state == sending && events&unix.EPOLLOUT != 0 {
		l.writeRest(i)
	}
	if events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 && c.state != closed {
		l.read(i)
	}
}

// read takes what has arrived and feeds the parser, until the socket is
// drained: a short read says so, unless the peer has hung up and the end of the
// stream is still to be read.
func (l *loop) read(i int32) {
	c := &l.conns[i]
	generation := c.generation
	for reads := 0; ; reads++ {
		if reads == readsPerTurn {
			l.full = append(l.full, i)
			return
		}
		n, err := recv(int(c.fd), l.in)
		switch {
		case err == syscall.EAGAIN || err == syscall.EINTR:
			return
		case err != nil:
			l.lost(i, err)
			return
		case n == 0:
			l.endOfStream(i)
			return
		}
		now := l.now()
		if c.state == standby {
			// An answer to nothing, such as a 408: this connection is not to be used again.
			l.disconnect(i)
			return
		}
		if c.trip.first == 0 {
			c.trip.first = now
		}
		c.trip.in += int64(n)
		used, done, err := c.parser.Feed(l.in[:n])
		switch {
		case err != nil:
			l.spoiled(i, err, now)
			return
		case done:
			l.complete(i, now, used == n && c.parser.KeepAlive() && c.state == waiting && !c.hungUp)
			c = &l.conns[i] // a user that came meanwhile may have moved them
			if c.state == closed || c.generation != generation {
				return
			}
		case !l.keep(c):
			l.spoiled(i, errTooMuchHeld, now)
			return
		}
		if n < len(l.in) && !c.hungUp {
			return
		}
	}
}

// keep accounts for what the parser holds of an incomplete response; false when
// that is more than may be held.
func (l *loop) keep(c *conn) bool {
	held := int64(c.parser.Held())
	l.held += held - c.held
	c.held = held
	return l.held <= max(l.most, int64(len(l.users))*keptByUser)
}

// let gives back what the parser held.
func (l *loop) let(c *conn) {
	c.parser.Release()
	l.held -= c.held
	c.held = 0
}

// complete ends a request with its response.
func (l *loop) complete(i int32, now int64, keep bool) {
	c := &l.conns[i]
	c.trip.done, c.trip.late = now, now-l.since
	k := l.users[i].call
	r := reply{status: c.parser.Status()}
	if k.keepHeader {
		r.header = c.parser.Header()
	}
	if k.keepBody {
		r.body = c.parser.Body()
	}
	c.state = standby
	t := c.trip
	if !keep {
		// The response is borrowed from the loop's buffers, so it outlives the socket.
		l.hangUp(c)
	}
	l.done(i, t, r)
	l.let(&l.conns[i])
}

// endOfStream handles the end of the stream.
func (l *loop) endOfStream(i int32) {
	c := &l.conns[i]
	if c.state == standby {
		l.disconnect(i)
		return
	}
	now := l.now()
	done, err := c.parser.EOF()
	if done {
		l.complete(i, now, false)
		return
	}
	l.spoiled(i, err, now)
}

// spoiled ends a request whose response cannot be read.
func (l *loop) spoiled(i int32, err error, now int64) {
	c := &l.conns[i]
	c.trip.done = now
	outcome := parseOutcome(err)
	l.disconnect(i)
	l.fail(i, c.trip, outcome, err.Error())
}

// lost handles an error of the socket while reading.
func (l *loop) lost(i int32, err error) {
	if l.conns[i].state == standby {
		l.disconnect(i)
		return
	}
	l.broke(i, err, false)
}

// broke ends a request by an error of the socket: before the connection was
// there (dialing), or after.
func (l *loop) broke(i int32, err error, dialing bool) {
	c := &l.conns[i]
	c.trip.done = l.now()
	outcome := measure.Reset
	switch {
	case ownFault(err):
		outcome = measure.Generator
	case dialing:
		outcome = measure.ConnectFail
	}
	l.disconnect(i)
	l.fail(i, c.trip, outcome, err.Error())
}

// expire ends a request at its deadline, unless its answer is there and was only
// not read yet: then the loop was late, and not the target.
func (l *loop) expire(i int32) {
	if l.conns[i].state == waiting {
		if l.read(i); l.conns[i].state != waiting {
			return
		}
	}
	c := &l.conns[i]
	c.trip.done = l.now()
	over := errNoResponse
	if c.state == connecting {
		over = errNoConnection
	}
	l.disconnect(i)
	l.fail(i, c.trip, measure.Timeout, over.Error())
}

// disconnect closes a connection and forgets what it was doing.
func (l *loop) disconnect(i int32) {
	if int(i) >= len(l.conns) {
		return
	}
	c := &l.conns[i]
	l.hangUp(c)
	l.let(c)
}

func (l *loop) hangUp(c *conn) {
	if c.state == closed {
		return
	}
	unix.Close(int(c.fd))
	c.state, c.rest = closed, nil
	c.generation++
}
