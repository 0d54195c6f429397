package exec

import (
	"errors"
	"fmt"
	"hash/fnv"
	"sync/atomic"

	"tollgate/internal/expr"
	"tollgate/internal/httpwire"
	"tollgate/internal/measure"
	"tollgate/pkg/spec"
)

// cast is one loop's share of the users, as pure state: it decides who sends
// what next and what becomes of an answer, and neither reads a clock nor
// touches a socket. A driver carries its decisions out:
//
//	advance(now)            timers fire, users come and go, arrivals fall due
//	outbox, hangups         what the driver is to send and to close
//	begin(u, now)           a request is taken up; render makes its bytes
//	done(u, ...), fail(...) how it ended
//	next()                  when to call advance again
//
// All instants are nanoseconds since the start of the run.
type cast struct {
	plan   *Plan
	rec    *measure.Recorder
	line   *timeline
	shared *shared
	loop   int
	loops  int
	epoch  int64 // Unix nanoseconds of the run's start

	users    []user
	local    [][]int32 // by persona and number: index into users plus one
	arena    []expr.Value
	wheel    wheel
	x        expr.Ctx
	inflated []byte   // the last body that came compressed
	found    [][]byte // what the checks of the last answer look at
	outbox   []int32  // users whose request is to be sent
	hangup   []int32  // users whose connection is to be closed

	upcoming []cue // parts that have been announced and not begun
	seen     int   // spans whose origin the recorder knows
	here     here

	moves  *moves // users to come and go in this part
	moveAt int64
	move   move
	moving bool

	open     *stage // the open stage being served, nil in the closed model
	stageNo  int
	arrivals *arrivals
	origin   int64 // instant 0 of arrivals
	arrival  arrival
	more     bool
	free     [][]int32 // by persona, last in first out
	queue    []fifo    // by persona: arrivals that wait for a user
	alive    int       // users that take part in the open stage, those in set-up included
	grown    []int     // by persona: first number that has not been tried

	once int32 // index plus one of the user who makes the requests of the run itself

	ends     int64 // when the plan is over, once that is announced
	paused   bool
	waiting  []int32 // users whose think time ended in a pause
	draining bool    // no new tasks
	halted   bool    // no new steps either

	starting int   // users in on_start
	coming   []int // by persona: of these, the users of an open stage's pool
	inFlight int

	stats stats
}

// stats is what other goroutines may read of a cast at any time.
type stats struct {
	active   []atomic.Int64 // by persona: users whose set-up succeeded and who have not left
	settling atomic.Int64   // users still to come or in on_start
	inFlight atomic.Int64
	parts    atomic.Int64 // how many parts have begun
	once     atomic.Int64 // of the run's own requests: onceWaits, onceDone or onceFailed
}

// What became of the requests before or after the run.
const (
	onceWaits int64 = iota
	onceDone
	onceFailed
)

func newCast(p *Plan, line *timeline, loop, loops int, run string, epoch int64) *cast {
	h := fnv.New64a()
	h.Write([]byte(run))
	c := &cast{
		plan: p, rec: measure.NewRecorder(p.Layout), line: line, shared: newShared(p), loop: loop, loops: loops, epoch: epoch,
		local: make([][]int32, len(p.personas)),
		free:  make([][]int32, len(p.personas)),
		queue: make([]fifo, len(p.personas)),
		grown: make([]int, len(p.personas)), coming: make([]int, len(p.personas)),
		ends: never, found: make([][]byte, p.paths),
		x: expr.Ctx{Run: run, RunKey: h.Sum64()},
	}
	c.stats.active = make([]atomic.Int64, len(p.personas))
	// Growing would leave what was outgrown to the collector.
	room := min(p.maxUsers/loops+1, 1<<21)
	c.users = make([]user, 0, room)
	c.wheel.nodes = make([]node, 0, room)
	return c
}

// cue announces a part of a stage that begins at a given instant.
type cue struct {
	stageNo int
	partNo  int
	part    part
	start   int64
	last    bool // the plan is over: no part, and no new task
}

// announce queues a part. Parts are announced ahead of their start, so that
// every loop begins them on time.
func (c *cast) announce(q cue) { c.upcoming = append(c.upcoming, q) }

// takeUp begins a part.
func (c *cast) takeUp(q cue) {
	if q.last {
		c.ends = q.start
		c.drain(false)
		return
	}
	st := &c.plan.stages[q.stageNo]
	c.paused = st.shape == spec.Pause
	switch {
	case c.paused:
	case st.open && c.open == nil:
		c.enterOpen(q, st)
	case st.open:
		c.changeOpen(q, st)
	case c.open != nil:
		c.leaveOpen(q)
	default:
		c.resume(q.start)
	}
	if st.open && q.partNo == 1 {
		c.arrivals = newArrivals(st.profile, st.uniform, c.plan.Seed, q.stageNo)
		c.origin = q.start
		c.nextArrival()
	}
	c.moves = newMoves(q.part)
	c.moveAt = q.start
	c.nextMove()
	c.publish()
	c.stats.parts.Add(1)
}

// resume ends a pause for users of the closed model: they go on after a think
// time of their own, not all at once.
func (c *cast) resume(start int64) {
	for _, i := range c.waiting {
		if u := &c.users[i]; u.state == idle && u.ready {
			u.state = thinking
			c.wheel.set(i, start+c.think(u))
		}
	}
	c.waiting = c.waiting[:0]
}

// publish refreshes what the conductor reads.
func (c *cast) publish() {
	n := c.starting
	if c.moving {
		n++
	}
	c.stats.settling.Store(int64(n))
	c.stats.inFlight.Store(int64(c.inFlight))
}

// mine reports whether a user belongs to this loop: the users of each persona
// are spread evenly, so that every loop has some of each.
func (c *cast) mine(persona, number int) bool { return (number+persona)%c.loops == c.loop }

func (c *cast) nextMove() {
	for {
		c.move, c.moving = c.moves.next()
		if !c.moving || c.mine(c.move.persona, c.move.index) {
			return
		}
	}
}

// next returns the instant at which advance has something to do.
func (c *cast) next() int64 {
	at := c.wheel.next()
	if len(c.upcoming) > 0 {
		at = min(at, c.upcoming[0].start)
	}
	if c.moving {
		at = min(at, c.moveAt+int64(c.move.at))
	}
	if c.open != nil {
		if c.more {
			at = min(at, c.origin+int64(c.arrival.at))
		}
		for i := range c.queue {
			if q := &c.queue[i]; !q.empty() {
				at = min(at, q.front().due+c.plan.Layout.Timeout)
			}
		}
	}
	return at
}

// advance does all that is due by now, in the order in which it was due even
// when the loop is late. Requests to send are left in outbox; users whose
// request has passed its deadline are returned through expire.
func (c *cast) advance(now int64, expire func(i int32)) {
	for len(c.upcoming) > 0 && c.upcoming[0].start <= now {
		q := c.upcoming[0]
		c.upcoming = c.upcoming[1:]
		c.comeAndGo(now)
		c.arriveBefore(q.start, now)
		c.takeUp(q)
	}
	c.comeAndGo(now)
	c.arriveBefore(now+1, now)
	for {
		i, ok := c.wheel.pop(now)
		if !ok {
			break
		}
		switch u := &c.users[i]; u.state {
		case busy:
			switch deadline := u.start + c.plan.Layout.Timeout; {
			case !u.flying: // its timer is an earlier request's
			case deadline <= now:
				expire(i)
			default:
				c.wheel.set(i, deadline)
			}
		case thinking:
			at := c.wheel.nodes[i].at
			switch {
			case c.draining && at >= c.ends:
				u.state = idle
			case c.open != nil: // its refresh had failed
				c.toFree(i, at)
			case c.paused:
				u.state = idle
				c.waiting = append(c.waiting, i)
			default:
				c.startTask(i, at)
			}
		case idle: // waits for an arrival, and its set-up has grown old
			if c.open != nil && !c.draining && !c.paused && c.stale(u, now) {
				c.refresh(i, now)
			}
		}
	}
	for p := range c.queue {
		q := &c.queue[p]
		for !q.empty() && q.front().due+c.plan.Layout.Timeout <= now {
			c.giveUp(p, q.pop())
		}
	}
	c.publish()
}

// comeAndGo makes the moves of this part that are due. All of them are due
// before the next part begins.
func (c *cast) comeAndGo(now int64) {
	for c.moving && c.moveAt+int64(c.move.at) <= now {
		if c.move.leave {
			c.leave(c.move.persona, c.move.index, now)
		} else {
			c.come(c.move.persona, c.move.index, c.moveAt+int64(c.move.at))
		}
		c.nextMove()
	}
}

// phase finds the phase of an instant, and tells the recorder when a phase
// began the first time it comes up. Nearly all instants lie in the span of the
// one before.
func (c *cast) phase(due int64) int16 {
	list := c.line.spans.Load()
	if h := &c.here; h.list == list && h.from <= due && due < h.to {
		return h.phase
	}
	spans := c.line.load()
	for ; c.seen < len(spans); c.seen++ {
		c.rec.Origin(spans[c.seen].Phase, spans[c.seen].Start)
	}
	s := spanAt(spans, due)
	c.here = here{list, s.Start, s.End, int16(s.Phase)}
	return int16(s.Phase)
}

// here is the span in which an instant was found last.
type here struct {
	list     *[]Span // that was looked at; a new decision makes a new list
	from, to int64
	phase    int16
}

// begin takes a request up: from here on it is issued, and ends in exactly one
// sample. False when the run stopped before it could begin.
func (c *cast) begin(i int32, now int64) bool {
	u := &c.users[i]
	if c.stopped(u) {
		c.rec.Unplanned(int(u.phase), u.call.step)
		c.stop(u)
		return false
	}
	c.rec.Issued(int(u.phase), u.call.step)
	c.inFlight++
	u.start, u.flying = now, true
	c.wheel.atMost(i, now+c.plan.Layout.Timeout)
	return true
}

// render appends the user's request to dst; scratch is for its body, and tail
// is a body that is to be sent after it from where it lies, nil for none.
// Values that belong to the call are drawn here, once.
func (c *cast) render(i int32, now int64, dst, scratch []byte) (out, tail, spare []byte, err error) {
	u := &c.users[i]
	k := u.call
	if k.static != nil && len(k.values) == 0 && u.extra.plain() {
		return k.static, k.blob, scratch, nil
	}
	if u.extra != nil && u.extra.starved != "" {
		return dst, nil, scratch, fmt.Errorf("no row of %s is left: each is drawn once", u.extra.starved)
	}
	if u.extra != nil && u.extra.hop.method != "" {
		c.context(u, u.extra.hop.rendered)
		out, spare, err = k.appendHop(dst, scratch, c, u, c.cookie(u))
		if u.extra.hop.body {
			tail = k.blob
		}
		return out, tail, spare, err
	}
	c.context(u, now)
	if len(k.values) > 0 {
		c.drawValues(u, k.values)
	}
	if k.redirects > 0 {
		u.more().rendered = now
	}
	out, spare, err = k.append(dst, scratch, &c.x, c.cookie(u))
	return out, k.blob, spare, err
}

// trip is what the driver measured of one request.
type trip struct {
	sent, first, done int64
	connect           int64 // how long connection set-up took; 0: the connection was there
	in, out           int64
	late              int64 // how long the answer may have lain unread, by the loop's own fault
	reused            bool
}

// done ends a request with a complete response.
func (c *cast) done(i int32, t trip, r reply) {
	u := &c.users[i]
	c.context(u, t.done)
	if r.cookies {
		c.keepCookies(u, r.header)
	}
	if c.follow(i, t, r) {
		return
	}
	r.mine = private{c, u}
	outcome, detail := measure.OK, ""
	large := false
	if r.encoded && u.call.keepBody {
		r.body, large, outcome, detail = c.inflate(r)
	}
	if outcome == measure.OK {
		outcome, detail = u.call.judge(&c.x, r, t.done-t.sent, c.found)
	}
	if large {
		c.shared.large.Unlock()
	}
	c.finish(i, t, outcome, r.status, detail)
}

// inflated is up to which size each loop keeps a buffer for bodies that came
// compressed: 1 MiB. Larger ones take turns in a buffer that all loops share,
// so that bombs cost no more memory than one of them.
const inflated = 1 << 20

// inflate undoes the compression of a body that the call looks into. What it
// returns is good until the next call; a large one until c.shared.large is
// unlocked, which is then the caller's to do.
func (c *cast) inflate(r reply) (body []byte, large bool, o measure.Outcome, detail string) {
	most := c.plan.Spec.Target.MaxBody
	if most <= 0 {
		most = httpwire.DefaultBody
	}
	encoding := httpwire.ContentEncoding(r.header)
	body, err := httpwire.Inflate(c.inflated[:0], encoding, r.body, min(most, inflated))
	c.inflated = body[:0]
	if errors.Is(err, httpwire.ErrTooLarge) && most > inflated {
		large = true
		c.shared.large.Lock()
		if c.shared.room == nil {
			c.shared.room = make([]byte, 0, most)
		}
		body, err = httpwire.Inflate(c.shared.room[:0], encoding, r.body, most)
	}
	var unknown httpwire.UnknownEncoding
	switch {
	case err == nil:
		return body, large, measure.OK, ""
	case errors.Is(err, httpwire.ErrTooLarge):
		return nil, large, measure.TooLarge, err.Error()
	case errors.As(err, &unknown):
		return nil, large, measure.Check, err.Error()
	}
	return nil, large, measure.Protocol, err.Error()
}

// fail ends a request without one.
func (c *cast) fail(i int32, t trip, o measure.Outcome, detail string) {
	c.finish(i, t, o, 0, detail)
}

// record makes the sample of a request that has ended.
func (c *cast) record(i int32, t trip, o measure.Outcome) {
	u := &c.users[i]
	u.flying = false // its timer stays, and says nothing when it fires
	c.inFlight--
	lag := max(0, u.start-max(u.due, u.freed))
	s := measure.Sample{
		Due: u.due, Begin: u.start, Sent: t.sent, First: t.first, Done: t.done, Connect: t.connect,
		Lag: lag, In: t.in, Out: t.out, Outcome: o, Reused: t.reused,
	}
	c.rec.Record(int(u.phase), u.call.step, &s)
	c.rec.Lag(max(lag, t.late))
}

func (c *cast) finish(i int32, t trip, o measure.Outcome, status int, detail string) {
	c.record(i, t, o)
	u := &c.users[i]
	if u.extra != nil {
		u.extra.hop = hop{}
	}
	if o != measure.OK {
		c.rec.Failure(u.call.step, o, status, detail)
		for _, k := range c.calls(u)[u.step+1:] {
			c.rec.Skipped(int(u.phase), k.step)
		}
		c.taskDone(i, t.done, false)
		return
	}
	u.step++
	u.due, u.freed = t.done, t.done
	c.proceed(i, t.done)
}

// drain ends the run softly: tasks that have begun are finished, none begins.
// With halt not even the next step begins.
func (c *cast) drain(halt bool) {
	if !halt && !c.draining { // what was due before the end, and was not looked at yet
		for _, q := range c.upcoming {
			if q.last {
				c.arriveBefore(q.start, q.start)
			}
		}
	}
	c.draining, c.halted = true, c.halted || halt
	c.moving, c.more = false, false
	if c.halted { // what still waits now was cut off by us, not by the target
		for p := range c.queue {
			for !c.queue[p].empty() {
				w := c.queue[p].pop()
				if k := c.firstCall(p, w.task); k.when == nil {
					c.rec.Unplanned(int(w.phase), k.step)
				}
			}
		}
	}
	c.publish()
}

// quiet reports whether nothing is in flight or about to be.
func (c *cast) quiet() bool {
	if c.inFlight > 0 || len(c.outbox) > 0 {
		return false
	}
	for p := range c.queue {
		if !c.queue[p].empty() {
			return false
		}
	}
	return true
}
