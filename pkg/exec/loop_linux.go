package exec

import (
	"net/netip"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tollgate/internal/expr"
	"tollgate/internal/httpwire"
	"tollgate/internal/measure"
	"tollgate/pkg/spec"
)

// loop drives a cast over clear HTTP/1.1 with one epoll instance and one
// thread: two system calls a request and a shared wait, no goroutine, no lock
// and no allocation on the steady path. Everything here belongs to the loop's
// own thread, except calls and the cast's stats.
type loop struct {
	*cast
	poller *poller
	roster roster
	to     *Addresses
	routes []route
	ports  *ports // nil: the kernel chooses them
	limits *httpwire.Limits
	zero   time.Time // instant 0 of the run

	clock int64   // when it was last read
	since int64   // since when what is being read may have lain there
	full  []int32 // connections with more to read than one turn takes
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

// route is where connections to one target go: its addresses in turn.
type route struct {
	list  *[]netip.AddrPort // that peers was made of
	peers []peer
	turn  int
}

type peer struct {
	to unix.Sockaddr
	v6 bool
}

// conn is what stands behind a number of the roster.
type conn struct {
	fd         int32
	generation uint32 // tells events of an earlier descriptor from this one's
	state      connState
	used       bool // has carried a request
	hungUp     bool // the peer will send no more
	parser     httpwire.Parser
	trip       trip
	dialed     int64
	rest       *rest // what is left to send; nil for nothing
	held       int64 // bytes that the parser keeps
}

// rest is what the socket's buffer did not take of a request.
type rest struct {
	head []byte // a copy, or a part of what all users share
	tail []byte // a part of a body that all users share
}

const (
	// crowd is from how many connections to one address on ports may get scarce.
	crowd = 8192
	// startsPerFlush is how many requests are taken up before answers are read.
	startsPerFlush = 128
	// longestFlush is for how long, after which timers are looked at as well: 2 ms.
	longestFlush = int64(2 * time.Millisecond)
	// eventsPerLook is after how many events timers are looked at again.
	eventsPerLook = 32
)

// loopHere makes loops on this system.
var loopHere newDriver = newLoop

func newLoop(c *cast, to *Addresses, zero time.Time) (driver, error) {
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	targets := 1 + len(c.plan.Spec.Others)
	l := &loop{
		cast: c, poller: p, to: to, zero: zero, in: make([]byte, readBuffer), ended: make(chan struct{}),
		roster: newRoster(c.plan.Spec.Target.Connection, targets, cap(c.users), c.plan.files, c.loop, c.loops),
		routes: make([]route, targets),
		limits: &httpwire.Limits{Body: c.plan.Spec.Target.MaxBody, Heads: &httpwire.Heads{}},
	}
	if c.plan.Needs().Ports > crowd || l.roster.per == spec.PerRequest {
		l.ports = newPorts(uint64(expr.NewKey(c.x.RunKey, 0, uint64(c.loop), 0)))
	}
	if cap(l.roster.lanes) > 0 {
		l.conns = make([]conn, 0, cap(l.roster.lanes))
	}
	return l, nil
}

// peer returns the next address of a target.
func (l *loop) peer(target int) peer {
	r := &l.routes[target]
	if list := l.to.lists[target].Load(); list != r.list {
		r.list, r.peers = list, r.peers[:0]
		for _, a := range *list {
			to, v6 := sockaddr(a)
			r.peers = append(r.peers, peer{to, v6})
		}
	}
	r.turn++
	return r.peers[r.turn%len(r.peers)]
}

// now reads the clock.
func (l *loop) now() int64 {
	l.clock = int64(time.Since(l.zero))
	return l.clock
}

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
		wait := min(max(l.next()-l.now(), 0), longestWait)
		if len(l.full) > 0 || len(l.outbox) > 0 {
			wait = 0
		}
		// What is there already may have come at any time since the last look, and
		// what does not fit into one look has not been looked at; what ends a wait
		// comes just then.
		events, waited := l.poller.wait(0), false
		if len(events) == 0 && wait > 0 {
			events, waited = l.poller.wait(wait), true
		}
		after := l.now()
		l.since = looked
		if waited && len(events) < len(l.poller.events) {
			l.since = after
		}
		if len(events) < len(l.poller.events) {
			looked = after
		}
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

// discard gives back what a loop that never ran holds.
func (l *loop) discard() { l.poller.close() }

// close gives every descriptor back; what is still in flight ends as aborted.
func (l *loop) close() {
	now := l.now()
	for k := 0; k < len(l.outbox); k++ { // may queue more
		if i := l.outbox[k]; l.begin(i, now) {
			l.fail(i, trip{done: now}, measure.Aborted, inFlightAtEnd)
		}
	}
	l.roster.waiting(func(i int32) {
		l.roster.stepOut(i)
		l.fail(i, trip{done: now}, measure.Aborted, inFlightAtEnd)
	})
	for n := range l.conns {
		c := &l.conns[n]
		under := c.state == connecting || c.state == sending || c.state == waiting
		c.trip.done = now
		t := c.trip
		l.disconnect(int32(n))
		if under {
			l.fail(l.roster.lanes[n].user, t, measure.Aborted, inFlightAtEnd)
		}
	}
	l.outbox = l.outbox[:0]
	l.poller.close()
}

// flush carries out what the cast decided: hang-ups first, so that a user that
// left and came again begins with a connection of its own.
//
// Of requests it takes a number up at a time: what has been answered meanwhile
// must not wait until all of a crowd have their connections.
func (l *loop) flush() {
	k, began := 0, l.clock
	for k < len(l.outbox) && k < startsPerFlush && l.clock-began < longestFlush || len(l.hangup) > 0 {
		for _, i := range l.hangup {
			l.roster.leave(i, l.disconnect)
		}
		l.hangup = l.hangup[:0]
		if k < len(l.outbox) {
			l.start(l.outbox[k]) // may queue more
			k++
		}
	}
	l.outbox = append(l.outbox[:0], l.outbox[k:]...)
}

// start takes a user's request up. In a pool it may have to wait for a
// connection: that is the target's time, and not ours.
func (l *loop) start(i int32) {
	now := l.clock // read for the answer, or the request, just before
	if !l.begin(i, now) {
		return
	}
	if n, ok := l.roster.take(i, int(l.users[i].on)); ok {
		l.carry(n, now)
	}
}

// carry sends the request of a connection's user, on a new connection if there
// is none that is good.
func (l *loop) carry(n int32, now int64) {
	for int(n) >= len(l.conns) {
		l.conns = append(l.conns, conn{})
	}
	c := &l.conns[n]
	c.trip = trip{reused: c.state == standby && c.used}
	if c.state == standby {
		l.write(n, now)
		return
	}
	now = l.now() // to open the one before took a while
	to := l.peer(int(l.roster.lanes[n].target))
	fd, err := dial(to.to, to.v6, l.ports)
	if err != nil {
		l.broke(n, err, true)
		return
	}
	c.generation++
	if err := l.poller.add(fd, n, c.generation); err != nil {
		unix.Close(fd)
		l.broke(n, err, true)
		return
	}
	c.fd, c.state, c.used, c.hungUp, c.dialed = int32(fd), connecting, false, false, now
	c.parser.SetLimits(l.limits)
}

// pass gives a connection whose request has ended to the user who waits for
// one, if any.
func (l *loop) pass(n int32) {
	if l.roster.per == spec.PerRequest {
		l.abandon(n)
	}
	if _, ok := l.roster.giveBack(n); ok {
		l.carry(n, l.now())
	}
}

// write renders the request and sends it.
func (l *loop) write(n int32, now int64) {
	c := &l.conns[n]
	i := l.roster.lanes[n].user
	k := l.users[i].call
	buf, tail, scratch, err := l.render(i, now, l.out[:0], l.body)
	l.body = scratch
	if err != nil {
		// Nothing was sent: the connection stays good.
		c.state, c.trip.done = standby, now
		l.end(n, c.trip, measure.Check, err.Error())
		return
	}
	shared := len(k.static) > 0 && &buf[0] == &k.static[0]
	if !shared {
		l.out = buf
	}
	c.parser.Reset(k.head, k.keepBody)
	c.trip.sent = l.now()
	c.trip.out = int64(len(buf) + len(tail))
	sent, err := send(int(c.fd), buf, len(tail) > 0)
	if err == syscall.EAGAIN {
		sent, err = 0, nil
	}
	c.used = true
	switch {
	case err != nil:
		l.broke(n, err, false)
	case sent < len(buf) || len(tail) > 0:
		left := buf[sent:]
		if !shared {
			left = append([]byte(nil), left...)
		}
		c.rest, c.state = &rest{left, tail}, sending
		if sent == len(buf) {
			l.writeRest(n)
		}
	default:
		c.state = waiting
	}
}

// writeRest goes on with a request that did not fit the socket's buffer.
func (l *loop) writeRest(n int32) {
	c := &l.conns[n]
	for {
		part, more := &c.rest.head, len(c.rest.tail) > 0
		if len(*part) == 0 {
			part, more = &c.rest.tail, false
		}
		sent, err := send(int(c.fd), *part, more)
		switch {
		case err == syscall.EAGAIN:
			return
		case err != nil:
			// The peer stopped reading, but it may have answered before it did.
			c.rest, c.state, c.hungUp = nil, waiting, true
			l.read(n)
			if c.state == waiting {
				l.broke(n, err, false)
			}
			return
		}
		*part = (*part)[sent:]
		if len(c.rest.head) == 0 && len(c.rest.tail) == 0 {
			c.rest, c.state = nil, waiting
			return
		}
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

// event handles what epoll says of a connection.
func (l *loop) event(n int32, events uint32) {
	c := &l.conns[n]
	if c.state == connecting {
		if events&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) == 0 {
			return
		}
		if err := connected(int(c.fd)); err != nil {
			l.broke(n, err, true)
			return
		}
		now := l.now()
		c.trip.connect = max(now-c.dialed, 1)
		c.state = standby
		l.write(n, now)
		if c.state != waiting && c.state != sending {
			return
		}
		// The same event may say that the peer has spoken first, or hung up.
	}
	if events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.hungUp = true
	}
	if c.state == sending && events&unix.EPOLLOUT != 0 {
		l.writeRest(n)
	}
	if events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 && c.state != closed {
		l.read(n)
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
	total := l.shared.bodies.held.Add(held - c.held)
	c.held = held
	return total <= l.shared.bodies.most || held <= keptByUser
}

// let gives back what the parser held.
func (l *loop) let(c *conn) {
	c.parser.Release()
	if c.held != 0 {
		l.shared.bodies.held.Add(-c.held)
		c.held = 0
	}
}

// complete ends a request with its response.
func (l *loop) complete(n int32, now int64, keep bool) {
	c := &l.conns[n]
	c.trip.done, c.trip.late = now, now-l.since
	i := l.roster.lanes[n].user
	k := l.users[i].call
	r := reply{status: c.parser.Status(), cookies: c.parser.HasCookie(), encoded: c.parser.Encoded()}
	if k.keepHeader || r.cookies || r.encoded {
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
	l.let(&l.conns[n])
	l.pass(n)
}

// end ends a request without a response.
func (l *loop) end(n int32, t trip, o measure.Outcome, detail string) {
	l.fail(l.roster.lanes[n].user, t, o, detail)
	l.pass(n)
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
func (l *loop) spoiled(n int32, err error, now int64) {
	c := &l.conns[n]
	c.trip.done = now
	outcome := parseOutcome(err)
	t := c.trip
	l.disconnect(n)
	l.end(n, t, outcome, err.Error())
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
func (l *loop) broke(n int32, err error, dialing bool) {
	c := &l.conns[n]
	c.trip.done = l.now()
	outcome := measure.Reset
	switch {
	case ownFault(err):
		outcome = measure.Generator
	case dialing:
		outcome = measure.ConnectFail
	}
	t := c.trip
	l.disconnect(n)
	l.end(n, t, outcome, err.Error())
}

// expire ends a request at its deadline, unless its answer is there and was only
// not read yet: then the loop was late, and not the target.
func (l *loop) expire(i int32) {
	if l.roster.stepOut(i) {
		l.fail(i, trip{done: l.now()}, measure.Timeout, noneFree)
		return
	}
	n, _ := l.roster.of(i, int(l.users[i].on))
	if l.conns[n].state == waiting {
		start := l.users[i].start
		l.read(n)
		if u := &l.users[i]; !u.flying || u.start != start {
			return // and the connection may be another's by now
		}
	}
	c := &l.conns[n]
	c.trip.done = l.now()
	over := errNoResponse
	if c.state == connecting {
		over = errNoConnection
	}
	t := c.trip
	l.disconnect(n)
	l.end(n, t, measure.Timeout, over.Error())
}

// abandon closes a connection that has carried its only request. The answer is
// whole, so a reset loses nothing, and leaves the port free: closed in order by
// this side, it would be kept for a minute, and a few hundred requests a second
// would use all of them up.
func (l *loop) abandon(n int32) {
	if c := &l.conns[n]; c.state != closed {
		_ = unix.SetsockoptLinger(int(c.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	l.disconnect(n)
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
