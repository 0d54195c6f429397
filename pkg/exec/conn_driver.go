package exec

import (
	"fmt"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/internal/measure"
	"tollgate/pkg/spec"
)

// connDriver drives a cast over any connection that Go can make, on any system.
// One goroutine, the loop, turns the cast and owns all that is here. A request
// in flight has one more, which waits for the target and posts what became of
// it; idle users have none, they stay in the cast's timer wheel.
type connDriver struct {
	*cast
	roster  roster
	to      *Addresses
	dialers []*dialer // by target
	turns   []int     // by target: connections made so far
	zero    time.Time

	lines   []line
	spare   []*ride
	out     []byte // the request being rendered
	scratch []byte // its body
	flying  int    // rides that have not come back, given up ones included
	alarm   *alarm
	begun   []int32 // requests that are taken up and not sent off
	turned  int64   // when all that was due was done last
	late    int64   // by how much the loop's last turn came late

	back   chan *ride
	asked  chan func()
	ended  chan struct{}
	ending bool
	closes sync.WaitGroup // goroutines that close connections
}

// line is what stands behind a number of the roster.
type line struct {
	wire *wire // nil: none, or the ride has it
	ride *ride // nil: no request under way
}

// ride is an exchange on its way: the loop's until its goroutine begins, and
// again when it has come back.
type ride struct {
	exchange
	line  int32
	user  int32
	dial  *dialer
	to    netip.AddrPort
	once  bool  // the connection carries no other request
	wire  *wire // to go by if it is still good; when it comes back, the one to keep
	own   []byte
	fly   func()
	taken int64 // when the loop took the request up
	slow  int64 // how long after that its goroutine began
	cut   bool  // its time is over
	lost  bool  // nobody waits for it any more
	crash error
	by    atomic.Pointer[wire] // what it is using
}

const (
	// longestTurn is how long requests are taken up before timers are looked at
	// again: 2 ms.
	longestTurn = int64(2 * time.Millisecond)
	// mostRounds is how often a flush goes on with what it has queued itself.
	mostRounds = 8
	// lastLook is how long after its deadline a request may still find its answer
	// lying there unread, before it is given up without it: 50 ms.
	lastLook = int64(50 * time.Millisecond)
	// keptRequest is up to which size a buffer of a request is kept for the next.
	keptRequest = 64 << 10
)

func newConn(c *cast, to *Addresses, zero time.Time) (driver, error) {
	var dialers []*dialer
	for on := range 1 + len(c.plan.Spec.Others) {
		dial, err := newDialer(c.plan.Spec.TargetOf(on), zero)
		if err != nil {
			return nil, err
		}
		dialers = append(dialers, dial)
	}
	alarm, err := newAlarm()
	if err != nil {
		return nil, err
	}
	d := &connDriver{
		alarm: alarm, cast: c, dialers: dialers, turns: make([]int, len(dialers)), to: to, zero: zero,
		roster: newRoster(c.plan.Spec.Target.Connection, len(dialers), cap(c.users), c.plan.files, c.loop, c.loops),
		back:   make(chan *ride, 256), asked: make(chan func()), ended: make(chan struct{}),
	}
	return d, nil
}

func (d *connDriver) now() int64 { return int64(time.Since(d.zero)) }

// discard gives back what a driver that never ran holds.
func (d *connDriver) discard() { d.alarm.close() }

// do runs f on the loop's goroutine and waits for it; after the loop has ended,
// at once.
func (d *connDriver) do(f func()) {
	done := make(chan struct{})
	select {
	case d.asked <- func() { f(); close(done) }:
		select {
		case <-done:
		case <-d.ended: // f has panicked
		}
	case <-d.ended:
		f()
	}
}

// run turns until stop is set.
func (d *connDriver) run(stop *atomic.Bool) {
	defer close(d.ended)
	defer d.close()
	due, armed := d.now(), int64(0)
	for !stop.Load() {
		now := d.now()
		// Where the loop came late, so did what waits beside it: they share the
		// processors. When an answer came is not known closer than that.
		d.late = max(0, now-due)
		d.turn(now)
		now = d.now()
		wait := min(max(d.next()-now, 0), longestWait)
		if len(d.outbox) > 0 {
			wait = 0
		}
		due = now + wait
		if armed <= now || due < armed {
			d.alarm.set(wait)
			armed = due
		}
		select {
		case x := <-d.back:
			d.settle(x)
			due = d.now()
		case f := <-d.asked:
			due = d.now()
			d.turn(due) // who asks is to see what is, not what was
			f()
		case <-d.alarm.rings: // perhaps early, for an instant that mattered before
		}
		d.flush()
	}
}

// turn does all that is due.
func (d *connDriver) turn(now int64) {
	d.turned = now
	d.collect()
	d.advance(now, d.expire)
	d.flush()
}

// collect settles all that has come back.
func (d *connDriver) collect() {
	for {
		select {
		case x := <-d.back:
			d.settle(x)
		default:
			return
		}
	}
}

// flush carries out what the cast decided: hang-ups first, so that a user that
// left and came again begins with a connection of its own.
func (d *connDriver) flush() {
	// A few rounds: who asks, and the end of the run, are not to wait for ever.
	for round := 0; round < mostRounds && (len(d.outbox) > 0 || len(d.hangup) > 0); round++ {
		for _, i := range d.hangup {
			d.roster.leave(i, func(n int32) {
				if l := &d.lines[n]; l.wire != nil {
					d.hangUp(l.wire)
					l.wire = nil
				}
			})
		}
		d.hangup = d.hangup[:0]
		// All are taken up before the first is rendered, so that none waits
		// uncounted for the large body of another.
		now := d.now()
		d.begun = d.begun[:0]
		for _, i := range d.outbox {
			if d.begin(i, now) {
				d.begun = append(d.begun, i)
			}
		}
		d.outbox = d.outbox[:0]
		for _, i := range d.begun {
			// In a pool it may have to wait for a connection: that is the
			// target's time, and not ours.
			if n, ok := d.roster.take(i, int(d.users[i].on)); ok {
				d.start(n, now) // may queue more
			}
		}
		if now := d.now(); now-d.turned > longestTurn { // nor does what is due meanwhile
			d.turned = now
			d.collect()
			d.advance(now, d.expire)
		}
	}
}

// hangUp closes a connection: beside whoever asks for it if that may take a
// moment.
func (d *connDriver) hangUp(w *wire) {
	if w.clear() {
		w.close()
		return
	}
	d.closes.Go(w.close)
}

// pass gives a connection whose request has ended to the user who waits for
// one, if any.
func (d *connDriver) pass(n int32) {
	if _, ok := d.roster.giveBack(n); ok {
		d.start(n, d.now())
	}
}

// start sends the request of a connection's user off, from the given instant on.
// It is rendered here, before its connection is there, because nobody but the
// loop may touch a user.
func (d *connDriver) start(n int32, taken int64) {
	for int(n) >= len(d.lines) {
		d.lines = append(d.lines, line{})
	}
	lane := d.roster.lanes[n]
	x, k := d.take(), d.users[lane.user].call
	text, tail, scratch, err := d.render(lane.user, taken, d.out[:0], d.scratch)
	d.scratch = scratch
	if err != nil {
		// Nothing was sent: the connection stays good.
		d.spare = append(d.spare, x)
		d.fail(lane.user, trip{done: d.now()}, measure.Check, err.Error())
		d.pass(n)
		return
	}
	if len(k.static) == 0 || &text[0] != &k.static[0] {
		d.out = text
		x.own = append(x.own[:0], text...)
		text = x.own
	}
	x.request, x.tail, x.head, x.keepHeader, x.keepBody = text, tail, k.head, k.keepHeader, k.keepBody
	l := &d.lines[n]
	if l.wire == nil {
		d.turns[lane.target]++
	}
	list := d.to.Of(int(lane.target))
	x.dial, x.to, x.once = d.dialers[lane.target], list[d.turns[lane.target]%len(list)], d.roster.per == spec.PerRequest
	x.line, x.user, x.wire, x.taken = n, lane.user, l.wire, taken
	l.wire, l.ride = nil, x
	d.flying++
	go x.fly()
}

// take returns a ride that is not under way.
func (d *connDriver) take() *ride {
	if n := len(d.spare); n > 0 {
		x := d.spare[n-1]
		d.spare = d.spare[:n-1]
		return x
	}
	x := &ride{}
	x.zero, x.budget = d.zero, &d.shared.bodies
	x.fly = func() { d.carry(x) }
	return x
}

// carry is a ride's goroutine.
func (d *connDriver) carry(x *ride) {
	defer func() {
		if r := recover(); r != nil {
			x.crash = fmt.Errorf("a request's goroutine: %v\n%s", r, debug.Stack())
		}
		d.back <- x
	}()
	x.slow = x.now() - x.taken
	w := x.wire
	x.wire = nil
	if w != nil && !w.alive() {
		d.hangUp(w)
		w = nil
	}
	for tries := 0; ; tries++ {
		x.reused.Store(w != nil)
		if w == nil {
			if w = x.dials(x.dial, x.to); w == nil {
				return
			}
		}
		x.by.Store(w)
		if w.roundTrip(&x.exchange); !x.unsent || tries > 0 {
			break
		}
		// The connection ended between the look at it and the request, before a
		// byte of that was written.
		d.hangUp(w)
		w = nil
		x.reset()
	}
	switch {
	case x.once && x.err == nil:
		w.abandon()
	case !x.reusable || x.once:
		d.hangUp(w)
	default:
		x.wire = w
	}
}

// settle ends a request whose ride has come back.
func (d *connDriver) settle(x *ride) {
	d.flying--
	if x.crash != nil && !d.ending {
		panic(x.crash)
	}
	if x.lost {
		if x.wire != nil {
			d.hangUp(x.wire)
		}
		d.giveBack(x)
		return
	}
	l := &d.lines[x.line]
	l.ride, l.wire = nil, x.wire
	t := x.trip()
	t.done = x.end
	t.late = max(x.late, x.slow, d.late, d.now()-x.end)
	n := x.line
	if x.err != nil {
		d.fail(x.user, t, x.outcome, x.detail)
	} else {
		d.done(x.user, t, x.reply)
	}
	d.giveBack(x)
	d.pass(n)
}

func (d *connDriver) giveBack(x *ride) {
	x.recycle()
	x.reset()
	x.request, x.tail, x.wire, x.cut, x.lost = nil, nil, nil, false, false
	x.by.Store(nil)
	if cap(x.own) > keptRequest {
		x.own = nil
	}
	d.spare = append(d.spare, x)
}

// expire ends a request at its deadline, unless its answer is there and was only
// not read yet: its goroutine has a last look. If not even that comes back, it
// is given up.
func (d *connDriver) expire(i int32) {
	if d.roster.stepOut(i) {
		d.fail(i, trip{done: d.now()}, measure.Timeout, noneFree)
		return
	}
	n, _ := d.roster.of(i, int(d.users[i].on))
	x := d.lines[n].ride
	if !x.cut {
		x.cut = true
		d.wheel.set(i, d.now()+lastLook)
		x.cancel()
		return
	}
	over := errNoResponse
	if x.by.Load() == nil {
		over = errNoConnection
	}
	d.giveUp(n, measure.Timeout, over.Error())
}

// giveUp ends a request whose ride is still out.
func (d *connDriver) giveUp(n int32, o measure.Outcome, detail string) {
	l := &d.lines[n]
	x := l.ride
	l.ride, x.lost = nil, true
	t := x.trip()
	t.done = d.now()
	x.cancel()
	if w := x.by.Load(); w != nil {
		w.kill()
	}
	d.fail(x.user, t, o, detail)
	if !d.ending {
		d.pass(n)
	}
}

// close ends what is in flight as aborted, and waits for every goroutine.
func (d *connDriver) close() {
	d.ending = true
	defer func() {
		for k := 0; k < len(d.outbox); k++ { // nothing of it was begun
			if i := d.outbox[k]; d.begin(i, d.now()) {
				d.fail(i, trip{done: d.now()}, measure.Aborted, inFlightAtEnd)
			}
		}
		d.outbox, d.hangup = d.outbox[:0], d.hangup[:0]
	}()
	d.roster.waiting(func(i int32) {
		d.roster.stepOut(i)
		d.fail(i, trip{done: d.now()}, measure.Aborted, inFlightAtEnd)
	})
	d.collect()
	for n := range d.lines {
		l := &d.lines[n]
		if l.ride != nil {
			d.giveUp(int32(n), measure.Aborted, inFlightAtEnd)
		}
		if l.wire != nil {
			d.hangUp(l.wire)
			l.wire = nil
		}
	}
	for d.flying > 0 {
		d.settle(<-d.back)
	}
	d.closes.Wait()
	d.alarm.close()
}
