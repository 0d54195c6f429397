package exec

import "tollgate/pkg/spec"

// roster knows which connection carries whose request. Connections are numbers;
// what stands behind a number is the driver's. It is pure state, and belongs to
// one loop.
//
// Per user, each user keeps one connection to each target. Per request, a
// connection is anyone's for one request. In a pool, a bounded number is lent.
// Who finds none free, in a pool or because this process may open no more, waits
// in line: the target has not answered the others yet, so that wait is part of
// the latency.
type roster struct {
	per     spec.Per
	targets int
	// size is how many connections this loop may open: in a pool to each target;
	// per request at once, 0 for any number.
	size int

	// link is, by user and target (per user) or by user (otherwise), the
	// connection plus one; 0: none; below: it waits for one, and this is its
	// ticket. A place in a line with another ticket has been given up.
	link  []int32
	lanes []lane
	spare []int32   // numbers that stand for nothing at present
	free  [][]int32 // pool: by target, connections that nobody uses, last in first out
	made  []int     // by target, connections that there are; per request of all
	line  []queue   // by target, users who wait; per request for any
	last  int32     // ticket, below 0
}

// lane is what the roster knows of a connection.
type lane struct {
	user   int32 // whose request it carries, or carried last
	target int32
}

// queue is a first-in, first-out line of users with their tickets.
type queue struct {
	items []place
	head  int
}

type place struct{ user, ticket, target int32 }

func (q *queue) push(p place) {
	if q.head > 1024 && q.head*2 > len(q.items) {
		q.items = append(q.items[:0], q.items[q.head:]...)
		q.head = 0
	}
	q.items = append(q.items, p)
}

func (q *queue) pop() (place, bool) {
	if q.head == len(q.items) {
		return place{}, false
	}
	p := q.items[q.head]
	q.head++
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	}
	return p, true
}

// newRoster returns the roster of one loop of several for a spec's policy.
// users is how many are expected, for room; most is how many connections this
// process may have open, 0 for any number.
func newRoster(c spec.Connection, targets, users, most, loop, loops int) roster {
	r := roster{per: c.Per, targets: targets}
	switch c.Per {
	case spec.PerUser:
		users *= targets
	case spec.PerRequest:
		if most > 0 {
			r.size = max(1, most/loops)
		}
		r.made, r.line = make([]int, 1), make([]queue, 1)
	case spec.Pool:
		if r.size = c.Size / loops; loop < c.Size%loops {
			r.size++
		}
		r.free, r.made, r.line = make([][]int32, targets), make([]int, targets), make([]queue, targets)
	}
	r.link = make([]int32, 0, users)
	if c.Per == spec.PerUser {
		r.lanes = make([]lane, 0, users)
	}
	return r
}

func (r *roster) index(user int32, target int) int {
	at := int(user)
	if r.per == spec.PerUser {
		at = at*r.targets + target
	}
	for len(r.link) <= at {
		r.link = append(r.link, 0)
	}
	return at
}

// take lends the user a connection to a target for one request; false: there is
// none, and the user waits in line until giveBack names it.
func (r *roster) take(user int32, target int) (number int32, ok bool) {
	at := r.index(user, target)
	if r.per == spec.PerUser && r.link[at] > 0 {
		return r.link[at] - 1, true
	}
	if r.per == spec.Pool {
		if free := r.free[target]; len(free) > 0 {
			number = free[len(free)-1]
			r.free[target] = free[:len(free)-1]
			r.lanes[number].user, r.link[at] = user, number+1
			return number, true
		}
	}
	if r.per != spec.PerUser {
		of := r.share(target)
		if r.size > 0 && r.made[of] >= r.size {
			if r.last--; r.last >= 0 { // two thousand million waits later
				r.last = -1
			}
			r.link[at] = r.last
			r.line[of].push(place{user, r.last, int32(target)})
			return 0, false
		}
		r.made[of]++
	}
	number = r.number(lane{user, int32(target)})
	r.link[at] = number + 1
	return number, true
}

// share returns which count and which line a target has.
func (r *roster) share(target int) int {
	if r.per == spec.PerRequest {
		return 0
	}
	return target
}

// number returns a number that stands for nothing else.
func (r *roster) number(l lane) int32 {
	if n := len(r.spare); n > 0 {
		number := r.spare[n-1]
		r.spare = r.spare[:n-1]
		r.lanes[number] = l
		return number
	}
	r.lanes = append(r.lanes, l)
	return int32(len(r.lanes) - 1)
}

// of returns the connection that a user has to a target; false: none.
func (r *roster) of(user int32, target int) (number int32, ok bool) {
	link := r.link[r.index(user, target)]
	return link - 1, link > 0
}

// stepOut takes a user out of the line; false: it did not wait.
func (r *roster) stepOut(user int32) bool {
	if r.per == spec.PerUser || int(user) >= len(r.link) || r.link[user] >= 0 {
		return false
	}
	r.link[user] = 0
	return true
}

// giveBack ends the loan of a connection whose request has ended. True: its
// next user is another one, who waited and has it now.
func (r *roster) giveBack(number int32) (next int32, ok bool) {
	l := r.lanes[number]
	if r.per == spec.PerUser {
		return 0, false
	}
	r.link[l.user] = 0
	of := r.share(int(l.target))
	for {
		p, waits := r.line[of].pop()
		if !waits {
			break
		}
		if r.link[p.user] == p.ticket {
			r.lanes[number] = lane{p.user, p.target}
			r.link[p.user] = number + 1
			return p.user, true
		}
	}
	if r.per == spec.Pool {
		r.free[of] = append(r.free[of], number)
	} else {
		r.made[of]--
		r.spare = append(r.spare, number)
	}
	return 0, false
}

// leave gives up what a user that has gone away keeps, and returns it.
func (r *roster) leave(user int32, yield func(number int32)) {
	if r.per != spec.PerUser {
		return
	}
	for target := range r.targets {
		at := r.index(user, target)
		if link := r.link[at]; link > 0 {
			r.link[at] = 0
			r.spare = append(r.spare, link-1)
			yield(link - 1)
		}
	}
}

// waiting yields the users in line.
func (r *roster) waiting(yield func(user int32)) {
	for target := range r.line {
		q := &r.line[target]
		for _, p := range q.items[q.head:] {
			if r.link[p.user] == p.ticket {
				yield(p.user)
			}
		}
	}
}
