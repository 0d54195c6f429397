package exec

import (
	"math"

	"tollgate/internal/expr"
	"tollgate/pkg/spec"
)

type userState uint8

const (
	away     userState = iota // not there: never came, or left
	busy                      // a request is to be sent, or in flight
	thinking                  // the timer ends it
	idle                      // waits for an arrival, or for the end of a pause
	broken                    // set-up failed: does no tasks
	apart                     // makes the requests of the run itself, and nothing else
)

// user is one virtual user. There may be millions of them: what only some need
// hangs off extra.
type user struct {
	id      int64
	arrival uint64 // the number of the arrival it serves plus one, 0: none
	key     expr.Key
	slots   []expr.Value
	call    *call
	extra   *extra // nil for most

	due   int64 // when the request ought to be sent
	freed int64 // when the user became free for it
	start int64 // when the loop took it up

	number  int32 // within the persona, 0-based
	task    int32
	iter    uint32 // of its own rhythm; arrivals do not count here
	persona int16
	phase   int16
	step    int16
	on      int16 // target of the present request, as spec.Endpoint.On
	state   userState
	ready   bool // set-up succeeded
	leaving bool // leaves when the task is done
	recall  bool // is to come again, as soon as its on_stop is done
	flying  bool // a request is in flight
}

// The tasks that are not drawn.
const (
	taskStart   int32 = -1
	taskStop    int32 = -2
	taskRefresh int32 = -3
	taskBefore  int32 = -4
	taskAfter   int32 = -5
)

// come brings a user in: for the first time, or again after it left.
func (c *cast) come(persona, number int, at int64) {
	i := c.find(persona, number)
	u := &c.users[i]
	if u.state != away {
		u.leaving = false
		u.recall = u.state == busy && u.task == taskStop
		return
	}
	c.alive++
	c.starting++
	c.coming[persona]++
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
	c.add(user{id: c.plan.userID(persona, number), persona: int16(persona), number: int32(number)})
	u := &c.users[i]
	for _, s := range c.shared.saved {
		u.slots[s.slot] = s.value
	}
	c.context(u, 0)
	c.feedUser(u)
	c.drawValues(u, c.plan.personas[persona].values)
	return i
}

// add makes room for a user.
func (c *cast) add(u user) {
	if n := len(c.plan.Spec.Slots); n > 0 {
		if len(c.arena) < n {
			c.arena = make([]expr.Value, 256*n)
		}
		u.slots, c.arena = c.arena[:n:n], c.arena[n:]
	}
	u.key = expr.NewKey(c.plan.Seed, 0, uint64(u.id), 0)
	c.users = append(c.users, u)
	c.wheel.grow(len(c.users))
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
	if u.step > 0 { // two calls of one endpoint in a task draw for themselves
		c.x.Key = expr.NewKey(uint64(u.key), 0, uint64(u.step), 0)
	}
	c.x.User, c.x.Iteration = u.id, int64(u.iter)
	if u.arrival > 0 {
		c.x.Iteration = int64(u.arrival)
	}
	c.x.Persona = ""
	if u.persona >= 0 {
		c.x.Persona = c.plan.personas[u.persona].name
	}
	c.x.Now = c.epoch + now
}

func (c *cast) calls(u *user) []*call {
	switch u.task {
	case taskBefore:
		return c.plan.before
	case taskAfter:
		return c.plan.after
	}
	pe := &c.plan.personas[u.persona]
	switch u.task {
	case taskStart:
		return pe.onStart
	case taskStop:
		return pe.onStop
	case taskRefresh:
		return pe.refresh
	}
	return pe.tasks[u.task].calls
}

// proceed finds the user's next step that is not skipped and queues it to be
// sent, or ends the task.
func (c *cast) proceed(i int32, now int64) {
	u := &c.users[i]
	calls := c.calls(u)
	for int(u.step) < len(calls) && !c.stopped(u) {
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
	if c.stopped(u) {
		c.stop(u)
		return
	}
	c.taskDone(i, now, true)
}

// stopped reports whether a user makes no further request. The run's own
// requests are not users', and come after them.
func (c *cast) stopped(u *user) bool { return c.halted && u.persona >= 0 }

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
	u.state, u.call, u.on = busy, k, int16(k.on)
	c.outbox = append(c.outbox, i)
}

// stop ends a user's work where it stands, at the end of the run.
func (c *cast) stop(u *user) {
	if u.state == busy && u.task == taskStart {
		c.starting--
		c.coming[u.persona]--
	}
	if u.persona < 0 {
		c.onceEnds(u, false)
		return
	}
	u.state = idle
}

// taskDone decides what the user does after its task.
func (c *cast) taskDone(i int32, now int64, ok bool) {
	u := &c.users[i]
	sent := u.call != nil
	u.call = nil
	switch u.task {
	case taskBefore, taskAfter:
		c.onceEnds(u, ok)
		return
	case taskRefresh:
		if c.lapse(u, !ok); ok {
			u.more().fresh = now
			c.refreshed(i, now)
			return
		}
		// It is tried again before the next task: no task is done without it.
		if !u.leaving && !c.halted {
			u.state = thinking
			c.wheel.set(i, now+max(c.think(u), refreshFloor))
			return
		}
	case taskStop:
		c.goAway(i)
		if u.recall {
			u.recall = false
			c.come(int(u.persona), int(u.number), now)
		}
		return
	case taskStart:
		c.starting--
		c.coming[u.persona]--
		if !ok {
			u.state = broken
			c.hangup = append(c.hangup, i)
			if u.leaving {
				c.goAway(i)
			}
			return
		}
		u.ready = true
		if c.plan.personas[u.persona].refreshEvery > 0 {
			u.more().fresh = now
		}
		c.stats.active[u.persona].Add(1)
		switch {
		case u.leaving:
			c.depart(i, now)
		case c.draining || c.paused: // waits for the end of the pause
			u.state = idle
			c.waiting = append(c.waiting, i)
		case c.open != nil:
			c.toFree(i, now)
			c.growPool(int(u.persona), now) // more may wait than came
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
	case c.halted:
		u.state = idle
	default:
		next := c.rest(u, now)
		if !ok || !sent {
			// Neither a target that refuses at once nor a task whose steps are
			// all skipped may make the loop spin.
			next = max(next, now+failureFloor)
		}
		u.state = thinking
		if next <= now {
			c.startTask(i, now)
			return
		}
		c.wheel.set(i, next)
	}
}

// failureFloor is the least pause after a failed task: 1 ms.
const failureFloor = 1_000_000

// rest returns when the next task begins after one that has ended now: after
// the think time, or at the user's pace. A user that has fallen behind its pace
// goes on at once, and does not catch up.
func (c *cast) rest(u *user, now int64) int64 {
	if pace := c.plan.personas[u.persona].pace; pace > 0 {
		return max(now, u.more().began+pace)
	}
	return now + c.think(u)
}

// think draws the pause after the current iteration.
func (c *cast) think(u *user) int64 {
	pe := &c.plan.personas[u.persona]
	t := pe.think
	if pe.pace > 0 { // after a pause of the stage: anywhere in a turn
		return int64(u.key.Unit(siteThink, 0) * float64(pe.pace))
	}
	if t.Mean > 0 { // exponential, by the inverse of its distribution
		return int64(-math.Log1p(-u.key.Unit(siteThink, 0)) * float64(t.Mean))
	}
	if t.Max <= t.Min {
		return int64(t.Min)
	}
	return int64(t.Min) + int64(u.key.Unit(siteThink, 0)*float64(t.Max-t.Min))
}

// startTask begins a user's next iteration, due at the given instant.
func (c *cast) startTask(i int32, due int64) {
	u := &c.users[i]
	if c.draining && due >= c.ends || c.paused || c.halted {
		u.state = idle
		c.waiting = append(c.waiting, i)
		return
	}
	if c.stale(u, due) {
		c.refresh(i, due)
		return
	}
	u.iter++
	u.arrival = 0
	if c.plan.personas[u.persona].pace > 0 {
		u.more().began = due
	}
	u.key = expr.NewKey(c.plan.Seed, 0, uint64(u.id), uint64(u.iter))
	u.task, u.step, u.call = c.drawTask(int(u.persona), u.key), 0, nil
	u.due, u.freed = due, due
	c.feedTask(u, c.plan.personas[u.persona].tasks[u.task].feeds)
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
		u.leaving, u.recall = true, false
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
	if len(c.plan.personas[u.persona].onStop) == 0 || c.halted {
		c.goAway(i)
		return
	}
	u.task, u.step, u.call, u.due, u.freed = taskStop, 0, nil, now, now
	u.fed()
	u.iter++
	u.key = expr.NewKey(c.plan.Seed, 0, uint64(u.id), uint64(u.iter))
	c.proceed(i, now)
}

func (c *cast) goAway(i int32) {
	u := &c.users[i]
	if u.ready && !u.lapsed() {
		c.stats.active[u.persona].Add(-1)
	}
	if u.extra != nil {
		u.extra.lapsed = false
	}
	u.state, u.ready, u.leaving, u.call = away, false, false, nil
	c.alive--
	c.hangup = append(c.hangup, i)
}
