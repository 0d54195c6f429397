package exec

import (
	"sort"

	"tollgate/internal/expr"
)

// fifo holds the arrivals that wait for a free user of one persona.
type fifo struct {
	items []waitingArrival
	head  int
}

type waitingArrival struct {
	due    int64
	key    expr.Key
	number uint64
	task   int32
	phase  int16
}

func (f *fifo) push(a waitingArrival) {
	if f.head > 1024 && f.head*2 > len(f.items) {
		f.items = append(f.items[:0], f.items[f.head:]...)
		f.head = 0
	}
	f.items = append(f.items, a)
}

func (f *fifo) empty() bool { return f.head == len(f.items) }

func (f *fifo) front() waitingArrival { return f.items[f.head] }

func (f *fifo) len() int { return len(f.items) - f.head }

func (f *fifo) pop() waitingArrival {
	a := f.items[f.head]
	f.head++
	if f.empty() {
		f.items, f.head = f.items[:0], 0
	}
	return a
}

func (c *cast) nextArrival() {
	for {
		c.arrival, c.more = c.arrivals.next()
		if !c.more || int((c.arrival.number>>16+c.arrival.number&0xffff)%uint64(c.loops)) == c.loop {
			return
		}
	}
}

// enterOpen makes the users serve arrivals instead of their own rhythm.
func (c *cast) enterOpen(q cue, st *stage) {
	c.waiting = c.waiting[:0]
	c.changeOpen(q, st)
	for i := range c.users {
		if u := &c.users[i]; u.state == thinking || u.state == idle && u.ready {
			c.wheel.clear(int32(i))
			c.toFree(int32(i), q.start)
		}
	}
}

// changeOpen goes on to another part, or another stage, of the open model.
func (c *cast) changeOpen(q cue, st *stage) {
	if c.open == st {
		return
	}
	c.open, c.stageNo, c.more = st, q.stageNo, false
	copy(c.grown, st.pool)
	for _, i := range c.waiting { // after a pause
		if u := &c.users[i]; u.state == idle && u.ready {
			c.toFree(i, q.start)
		}
	}
	c.waiting = c.waiting[:0]
}

// leaveOpen gives the users their own rhythm back. Those that the pool grew by
// go, and arrivals that still wait are not issued.
func (c *cast) leaveOpen(q cue) {
	for p := range c.queue {
		for !c.queue[p].empty() {
			c.giveUp(p, c.queue[p].pop())
		}
		c.free[p] = c.free[p][:0]
	}
	c.open, c.more = nil, false
	for i := range c.users {
		u := &c.users[i]
		if u.persona < 0 {
			continue
		}
		if int(u.number) >= q.part.from[u.persona] {
			c.leave(int(u.persona), int(u.number), q.start)
		} else if u.state == idle && u.ready {
			u.state = thinking
			c.wheel.set(int32(i), q.start+c.think(u))
		}
	}
	c.waiting = c.waiting[:0]
}

// arriveBefore takes the arrivals that are due before an instant.
func (c *cast) arriveBefore(end, now int64) {
	for c.open != nil && c.more && c.origin+int64(c.arrival.at) < end {
		c.arrive(c.origin+int64(c.arrival.at), c.arrival.number, now)
		c.nextArrival()
	}
}

// arrive takes an arrival: one task by a free user of the drawn persona.
func (c *cast) arrive(due int64, number uint64, now int64) {
	key := expr.NewKey(c.plan.Seed, uint64(c.stageNo)+1, number, 0)
	p := c.drawPersona(key)
	w := waitingArrival{due: due, key: key, number: number, task: c.drawTask(p, key), phase: c.phase(due)}
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
	if c.draining || c.alive >= limit || c.coming[p] >= c.queue[p].len() {
		return
	}
	for !c.mine(p, c.grown[p]) || c.present(p, c.grown[p]) {
		c.grown[p]++
	}
	c.come(p, c.grown[p], now)
	c.grown[p]++
}

// present reports whether a user is there already.
func (c *cast) present(persona, number int) bool {
	own := c.local[persona]
	return number < len(own) && own[number] != 0 && c.users[own[number]-1].state != away
}

// assign gives an arrival to a user that has been free since the given instant.
func (c *cast) assign(i int32, w waitingArrival, freed int64) {
	u := &c.users[i]
	u.key, u.task, u.step, u.call, u.arrival = w.key, w.task, 0, nil, w.number+1
	u.due, u.freed, u.phase = w.due, freed, w.phase
	c.wheel.clear(i) // of its refresh
	c.feedTask(u, c.plan.personas[u.persona].tasks[w.task].feeds)
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
	if c.stale(u, now) && !c.draining {
		c.refresh(i, now)
		return
	}
	if !q.empty() {
		c.assign(i, q.pop(), now)
		return
	}
	c.free[u.persona] = append(c.free[u.persona], i)
	if every := c.plan.personas[u.persona].refreshEvery; every > 0 {
		c.wheel.set(i, u.extra.fresh+every)
	}
}

// giveUp drops an arrival that no user could serve in time.
func (c *cast) giveUp(p int, w waitingArrival) {
	k := c.firstCall(p, w.task)
	if k.when != nil {
		c.rec.Planned(int(w.phase), k.step, 1)
	}
	c.rec.NotIssued(int(w.phase), k.step, w.due)
}
