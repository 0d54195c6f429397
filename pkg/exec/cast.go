package exec

import (
	"hash/fnv"
	"sort"
	"sync/atomic"

	"tollgate/internal/expr"
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
	plan  *Plan
	rec   *measure.Recorder
	line  *timeline
	loop  int
	loops int
	epoch int64 // Unix nanoseconds of the run's start

	users  []user
	local  [][]int32 // by persona and number: index into users plus one
	arena  []expr.Value
	wheel  wheel
	x      expr.Ctx
	outbox []int32 // users whose request is to be sent
	hangup []int32 // users whose connection is to be closed

	upcoming []cue // parts that have been announced and not begun
	seen     int   // spans whose origin the recorder knows

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

	paused   bool
	waiting  []int32 // users whose think time ended in a pause
	draining bool    // no new tasks
	halted   bool    // no new steps either

	starting int // users in on_start
	inFlight int

	stats stats
}

// stats is what other goroutines may read of a cast at any time.
type stats struct {
	active   []atomic.Int64 // by persona: users whose set-up succeeded and who have not left
	settling atomic.Int64   // users still to come or in on_start
	inFlight atomic.Int64
	parts    atomic.Int64 // how many parts have begun
}

type userState uint8

const (
	away     userState = iota // not there: never came, or left
	busy                      // a request is to be sent, or in flight
	thinking                  // the timer ends it
	idle                      // waits for an arrival, or for the end of a pause
	broken                    // set-up failed: does no tasks
)

// user is one virtual user. The driver keeps its connection under the same index.
type user struct {
	id      int64
	persona int32
	number  int32 // within the persona, 0-based
	state   userState
	ready   bool // set-up succeeded
	leaving bool // leaves when the task is done
	phase   int32
	task    int32
	step    int32
	iter    uint32
	key     expr.Key
	slots   []expr.Value
	call    *call

	due   int64 // when the request ought to be sent
	freed int64 // when the user became free for it
	start int64 // when the loop took it up
}

// The tasks that are not drawn.
const (
	taskStart int32 = -1
	taskStop  int32 = -2
)

// fifo holds the arrivals that wait for a free user of one persona.
type fifo struct {
	items []waitingArrival
	head  int
}

type waitingArrival struct {
	due   int64
	key   expr.Key
	task  int32
	phase int32
}

func (f *fifo) push(a waitingArrival) {
	if f.head > 1024 && f.head*2 > len(f.items) {
		f.items = append(f.items[:0], f.items[f.head:]...)
		f.head = 0
	}
	f.items = append(f.items, a)
}
func (f *fifo) empty() bool           { return f.head == len(f.items) }
func (f *fifo) front() waitingArrival { return f.items[f.head] }
func (f *fifo) len() int              { return len(f.items) - f.head }
func (f *fifo) pop() waitingArrival {
	a := f.items[f.head]
	f.head++
	if f.empty() {
		f.items, f.head = f.items[:0], 0
	}
	return a
}

func newCast(p *Plan, line *timeline, loop, loops int, run string, epoch int64) *cast {
	h := fnv.New64a()
	h.Write([]byte(run))
	c := &cast{
		plan: p, rec: measure.NewRecorder(p.Layout), line: line, loop: loop, loops: loops, epoch: epoch,
		local: make([][]int32, len(p.personas)),
		free:  make([][]int32, len(p.personas)),
		queue: make([]fifo, len(p.personas)),
		grown: make([]int, len(p.personas)),
		x:     expr.Ctx{Run: run, RunKey: h.Sum64()},
	}
	c.stats.active = make([]atomic.Int64, len(p.personas))
	return c
}

// cue announces a part of a stage that begins at a given instant.
type cue struct {
	stageNo int
	partNo  int
	start   int64
	last    bool // the plan is over: no part, and no new task
}

// announce queues a part. Parts are announced ahead of their start, so that
// every loop begins them on time.
func (c *cast) announce(q cue) { c.upcoming = append(c.upcoming, q) }

// takeUp begins a part.
func (c *cast) takeUp(q cue) {
	if q.last {
		c.drain(false)
		return
	}
	st := &c.plan.stages[q.stageNo]
	pt := &st.parts[q.partNo]
	c.paused = st.shape == spec.Pause
	if !c.paused {
		for _, i := range c.waiting {
			if u := &c.users[i]; u.state == idle {
				u.state = thinking
				c.wheel.set(i, q.start+c.think(u))
			}
		}
		c.waiting = c.waiting[:0]
	}
	if st.open && q.partNo == 0 {
		c.enterOpen(q, st)
	} else if !st.open && c.open != nil && !c.paused {
		c.leaveOpen(q.start, pt)
	}
	if st.open && q.partNo == 1 {
		c.arrivals = newArrivals(st.profile, st.uniform, c.plan.Seed, q.stageNo)
		c.origin = q.start
		c.nextArrival()
	}
	c.moves, c.moving = nil, false
	if pt.from != nil {
		c.moves = newMoves(*pt)
		c.moveAt = q.start
		c.nextMove()
	}
	c.publish()
	c.stats.parts.Add(1)
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

func (c *cast) nextArrival() {
	for {
		c.arrival, c.more = c.arrivals.next()
		if !c.more || int((c.arrival.number>>16+c.arrival.number&0xffff)%uint64(c.loops)) == c.loop {
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

// advance does all that is due by now. Requests to send are left in outbox;
// users whose request has passed its deadline are returned through expire.
func (c *cast) advance(now int64, expire func(i int32)) {
	for c.comeAndGo(now); len(c.upcoming) > 0 && c.upcoming[0].start <= now; c.comeAndGo(now) {
		q := c.upcoming[0]
		c.upcoming = c.upcoming[1:]
		c.takeUp(q)
	}
	for c.open != nil && c.more && c.origin+int64(c.arrival.at) <= now {
		if c.draining {
			c.more = false
			break
		}
		c.arrive(c.origin+int64(c.arrival.at), c.arrival.number, now)
		c.nextArrival()
	}
	for {
		i, ok := c.wheel.pop(now)
		if !ok {
			break
		}
		switch u := &c.users[i]; u.state {
		case busy:
			expire(i)
		case thinking:
			at := c.wheel.nodes[i].at
			switch {
			case c.draining:
				u.state = idle
			case c.paused:
				u.state = idle
				c.waiting = append(c.waiting, i)
			default:
				c.startTask(i, at)
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

// come brings a user in: for the first time, or again after it left.
func (c *cast) come(persona, number int, at int64) {
	i := c.find(persona, number)
	u := &c.users[i]
	if u.state != away {
		u.leaving = false
		return
	}
	c.alive++
	c.starting++
	u.state, u.task, u.step, u.call, u.ready, u.leaving = busy, taskStart, 0, nil, false, false
	u.key = expr.NewKey(c.plan.Seed, 0, uint64(u.id), uint64(u.iter))
	u.due, u.freed = at, at
	c.proceed(i, at)
}

// find returns the index of a user, making it when it is new.
func (c *cast) find(persona, number int) int32 {
	own := c.local[persona]
	for len(own) <= number {
		own = append(own, 0)
	}
	c.local[persona] = own
	if own[number] != 0 {
		return own[number] - 1
	}
	i := int32(len(c.users))
	own[number] = i + 1
	u := user{id: c.plan.userID(persona, number), persona: int32(persona), number: int32(number)}
	if n := len(c.plan.Spec.Slots); n > 0 {
		if len(c.arena) < n {
			c.arena = make([]expr.Value, 256*n)
		}
		u.slots, c.arena = c.arena[:n:n], c.arena[n:]
	}
	u.key = expr.NewKey(c.plan.Seed, 0, uint64(u.id), 0)
	c.users = append(c.users, u)
	c.wheel.grow(len(c.users))
	c.context(&c.users[i], 0)
	c.drawValues(&c.users[i], c.plan.personas[persona].values)
	return i
}

// drawValues fills slots; a value that cannot be drawn stays unset, and the
// request that needs it says so.
func (c *cast) drawValues(u *user, draws []spec.Draw) {
	for k := range draws {
		d := &draws[k]
		v, err := d.Value.Value(&c.x)
		if err != nil {
			v = expr.Value{}
		}
		u.slots[d.Slot] = v
	}
}

// context points the evaluation at a user's current iteration.
func (c *cast) context(u *user, now int64) {
	c.x.Key, c.x.Slots = u.key, u.slots
	c.x.User, c.x.Iteration = u.id, int64(u.iter)
	c.x.Persona = c.plan.personas[u.persona].name
	c.x.Now = c.epoch + now
}

func (c *cast) calls(u *user) []*call {
	pe := &c.plan.personas[u.persona]
	switch u.task {
	case taskStart:
		return pe.onStart
	case taskStop:
		return pe.onStop
	}
	return pe.tasks[u.task].calls
}

// proceed finds the user's next step that is not skipped and queues it to be
// sent, or ends the task.
func (c *cast) proceed(i int32, now int64) {
	u := &c.users[i]
	calls := c.calls(u)
	for int(u.step) < len(calls) && !c.halted {
		k := calls[u.step]
		u.phase = c.phase(u.due)
		if c.skips(u, k, now) {
			u.step++
			continue
		}
		c.rec.Planned(int(u.phase), k.step, 1)
		c.send(i, k)
		return
	}
	if c.halted {
		c.stop(u)
		return
	}
	c.taskDone(i, now, true)
}

// skips reports whether the step's condition keeps it from being sent.
func (c *cast) skips(u *user, k *call, now int64) bool {
	if k.when == nil {
		return false
	}
	c.context(u, now)
	if holds, err := k.when.Holds(&c.x); err == nil && holds {
		return false
	}
	c.rec.Skipped(int(u.phase), k.step)
	return true
}

func (c *cast) send(i int32, k *call) {
	u := &c.users[i]
	u.state, u.call = busy, k
	c.outbox = append(c.outbox, i)
}

// stop ends a user's work where it stands, at the end of the run.
func (c *cast) stop(u *user) {
	if u.state == busy && u.task == taskStart {
		c.starting--
	}
	u.state = idle
}

// phase finds the phase of an instant, and tells the recorder when a phase
// began the first time it comes up.
func (c *cast) phase(due int64) int32 {
	spans := c.line.load()
	for ; c.seen < len(spans); c.seen++ {
		c.rec.Origin(spans[c.seen].Phase, spans[c.seen].Start)
	}
	return int32(spanAt(spans, due).Phase)
}

// taskDone decides what the user does after its task.
func (c *cast) taskDone(i int32, now int64, ok bool) {
	u := &c.users[i]
	sent := u.call != nil
	u.call = nil
	switch u.task {
	case taskStop:
		c.goAway(i)
		return
	case taskStart:
		c.starting--
		if !ok {
			u.state = broken
			c.hangup = append(c.hangup, i)
			if u.leaving {
				c.goAway(i)
			}
			return
		}
		u.ready = true
		c.stats.active[u.persona].Add(1)
		switch {
		case u.leaving:
			c.depart(i, now)
		case c.draining || c.paused:
			u.state = idle
			c.waiting = append(c.waiting, i)
		case c.open != nil:
			c.toFree(i, now)
		default:
			c.startTask(i, now) // the first task starts at once
		}
		return
	}
	switch {
	case u.leaving:
		c.depart(i, now)
	case c.open != nil:
		c.toFree(i, now)
	case c.draining:
		u.state = idle
	default:
		pause := c.think(u)
		if !ok || !sent {
			// Neither a target that refuses at once nor a task whose steps are
			// all skipped may make the loop spin.
			pause = max(pause, failureFloor)
		}
		u.state = thinking
		if pause == 0 {
			c.startTask(i, now)
			return
		}
		c.wheel.set(i, now+pause)
	}
}

// failureFloor is the least pause after a failed task: 1 ms.
const failureFloor = 1_000_000

// think draws the pause after the current iteration.
func (c *cast) think(u *user) int64 {
	t := c.plan.personas[u.persona].think
	if t.Max <= t.Min {
		return int64(t.Min)
	}
	return int64(t.Min) + int64(u.key.Unit(siteThink, 0)*float64(t.Max-t.Min))
}

// startTask begins a user's next iteration, due at the given instant.
func (c *cast) startTask(i int32, due int64) {
	u := &c.users[i]
	if c.draining || c.paused {
		u.state = idle
		c.waiting = append(c.waiting, i)
		return
	}
	u.iter++
	u.key = expr.NewKey(c.plan.Seed, 0, uint64(u.id), uint64(u.iter))
	u.task, u.step, u.call = c.drawTask(int(u.persona), u.key), 0, nil
	u.due, u.freed = due, due
	c.proceed(i, due)
}

// drawTask draws a task by weight.
func (c *cast) drawTask(persona int, key expr.Key) int32 {
	pe := &c.plan.personas[persona]
	n := int(key.Unit(siteTask, 0) * float64(pe.weights))
	for t := range pe.tasks {
		if n -= pe.tasks[t].weight; n < 0 {
			return int32(t)
		}
	}
	return int32(len(pe.tasks) - 1)
}

// leave sends a user away: at once, or when its task is done.
func (c *cast) leave(persona, number int, now int64) {
	if number >= len(c.local[persona]) || c.local[persona][number] == 0 {
		return
	}
	i := c.local[persona][number] - 1
	switch u := &c.users[i]; u.state {
	case away:
	case busy:
		u.leaving = true
	case broken:
		c.goAway(i)
	default:
		c.wheel.clear(i)
		c.depart(i, now)
	}
}

// depart does the user's on_stop, and then it is away.
func (c *cast) depart(i int32, now int64) {
	u := &c.users[i]
	if len(c.plan.personas[u.persona].onStop) == 0 || c.draining {
		c.goAway(i)
		return
	}
	u.task, u.step, u.call, u.due, u.freed = taskStop, 0, nil, now, now
	u.iter++
	u.key = expr.NewKey(c.plan.Seed, 0, uint64(u.id), uint64(u.iter))
	c.proceed(i, now)
}

func (c *cast) goAway(i int32) {
	u := &c.users[i]
	if u.ready {
		c.stats.active[u.persona].Add(-1)
	}
	u.state, u.ready, u.leaving, u.call = away, false, false, nil
	c.alive--
	c.hangup = append(c.hangup, i)
}

// begin takes a request up: from here on it is issued, and ends in exactly one
// sample. False when the run stopped before it could begin.
func (c *cast) begin(i int32, now int64) bool {
	u := &c.users[i]
	if c.halted {
		c.rec.Unplanned(int(u.phase), u.call.step)
		c.stop(u)
		return false
	}
	c.rec.Issued(int(u.phase), u.call.step)
	c.inFlight++
	u.start = now
	c.wheel.set(i, now+c.plan.Layout.Timeout)
	return true
}

// render appends the user's request to dst; scratch is for its body. Values
// that belong to the call are drawn here, once.
func (c *cast) render(i int32, now int64, dst, scratch []byte) (out, spare []byte, err error) {
	u := &c.users[i]
	if u.call.static != nil && len(u.call.values) == 0 {
		return u.call.static, scratch, nil
	}
	c.context(u, now)
	if len(u.call.values) > 0 {
		c.drawValues(u, u.call.values)
	}
	return u.call.append(dst, scratch, &c.x)
}

// trip is what the driver measured of one request.
type trip struct {
	sent, first, done int64
	connect           int64 // how long connection set-up took; 0: the connection was there
	in, out           int64
	reused            bool
}

// done ends a request with a complete response.
func (c *cast) done(i int32, t trip, r reply) {
	u := &c.users[i]
	c.context(u, t.done)
	outcome, detail := u.call.judge(&c.x, r, t.done-t.sent)
	c.finish(i, t, outcome, r.status, detail)
}

// fail ends a request without one.
func (c *cast) fail(i int32, t trip, o measure.Outcome, detail string) {
	c.finish(i, t, o, 0, detail)
}

func (c *cast) finish(i int32, t trip, o measure.Outcome, status int, detail string) {
	u := &c.users[i]
	c.wheel.clear(i)
	c.inFlight--
	lag := max(0, u.start-max(u.due, u.freed))
	s := measure.Sample{
		Due: u.due, Begin: u.start, Sent: t.sent, First: t.first, Done: t.done, Connect: t.connect,
		Lag: lag, In: t.in, Out: t.out, Outcome: o, Reused: t.reused,
	}
	c.rec.Record(int(u.phase), u.call.step, &s)
	c.rec.Lag(lag)
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

// enterOpen makes the users serve arrivals instead of their own rhythm.
func (c *cast) enterOpen(q cue, st *stage) {
	first := c.open == nil
	c.open, c.stageNo = st, q.stageNo
	c.more = false
	for p := range c.grown {
		c.grown[p] = st.pool[p]
	}
	if !first {
		return
	}
	for i := range c.users {
		if u := &c.users[i]; u.state == thinking || u.state == idle && u.ready {
			c.wheel.clear(int32(i))
			c.toFree(int32(i), q.start)
		}
	}
}

// leaveOpen gives the users their own rhythm back; the pool's extra users go,
// and arrivals that still wait are not issued.
func (c *cast) leaveOpen(start int64, pt *part) {
	for p := range c.queue {
		for !c.queue[p].empty() {
			c.giveUp(p, c.queue[p].pop())
		}
		c.free[p] = c.free[p][:0]
	}
	c.open, c.more = nil, false
	for i := range c.users {
		u := &c.users[i]
		if int(u.number) >= max(pt.from[u.persona], pt.to[u.persona]) {
			c.leave(int(u.persona), int(u.number), start)
		} else if u.state == idle {
			u.state = thinking
			c.wheel.set(int32(i), start+c.think(u))
		}
	}
}

// arrive takes an arrival: one task by a free user of the drawn persona.
func (c *cast) arrive(due int64, number uint64, now int64) {
	key := expr.NewKey(c.plan.Seed, uint64(c.stageNo)+1, number, 0)
	p := c.drawPersona(key)
	w := waitingArrival{due: due, key: key, task: c.drawTask(p, key), phase: c.phase(due)}
	if k := c.firstCall(p, w.task); k.when == nil {
		c.rec.Planned(int(w.phase), k.step, 1)
	}
	for free := c.free[p]; len(free) > 0; free = c.free[p] {
		i := free[len(free)-1]
		c.free[p] = free[:len(free)-1]
		if u := &c.users[i]; u.state == idle && u.ready { // else it has left since
			c.assign(i, w, due)
			return
		}
	}
	c.queue[p].push(w)
	c.growPool(p, now)
}

func (c *cast) firstCall(p int, task int32) *call { return c.plan.personas[p].tasks[task].calls[0] }

func (c *cast) drawPersona(key expr.Key) int {
	weights := c.open.draw
	n := int(key.Unit(sitePersona, 0) * float64(sum(weights)))
	for p, w := range weights {
		if n -= w; n < 0 {
			return p
		}
	}
	return sort.SearchInts(weights, 1) // not reached: Unit is below 1
}

// growPool brings one more user of the persona in, unless the pool is at its
// limit or enough are on their way already.
func (c *cast) growPool(p int, now int64) {
	limit := c.open.most / c.loops
	if c.loop < c.open.most%c.loops {
		limit++
	}
	if c.alive >= limit || c.starting >= c.queue[p].len() {
		return
	}
	for !c.mine(p, c.grown[p]) {
		c.grown[p]++
	}
	c.come(p, c.grown[p], now)
	c.grown[p]++
}

// assign gives an arrival to a user that has been free since the given instant.
func (c *cast) assign(i int32, w waitingArrival, freed int64) {
	u := &c.users[i]
	u.iter++
	u.key, u.task, u.step, u.call = w.key, w.task, 0, nil
	u.due, u.freed, u.phase = w.due, freed, w.phase
	k := c.calls(u)[0]
	if k.when != nil { // whether it will be sent at all shows only now
		c.proceed(i, freed)
		return
	}
	c.send(i, k) // planned when it arrived
}

// toFree lets a user serve the arrival that has waited longest, or wait for one.
func (c *cast) toFree(i int32, now int64) {
	u := &c.users[i]
	u.state = idle
	q := &c.queue[u.persona]
	if c.halted {
		return
	}
	if !q.empty() {
		c.assign(i, q.pop(), now)
		return
	}
	c.free[u.persona] = append(c.free[u.persona], i)
}

// giveUp drops an arrival that no user could serve in time.
func (c *cast) giveUp(p int, w waitingArrival) {
	k := c.firstCall(p, w.task)
	if k.when != nil {
		c.rec.Planned(int(w.phase), k.step, 1)
	}
	c.rec.NotIssued(int(w.phase), k.step, w.due)
}

// drain ends the run softly: tasks that have begun are finished, none begins.
// With halt not even the next step begins.
func (c *cast) drain(halt bool) {
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
