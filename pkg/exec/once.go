package exec

import "tollgate/internal/expr"

// onceBegin makes the requests of the run itself, before or after all users, by
// a user of its own that belongs to no persona. stats.once says how they ended.
func (c *cast) onceBegin(task int32, now int64) {
	if c.once == 0 {
		c.add(user{id: 0, persona: -1, state: apart})
		c.once = int32(len(c.users))
	}
	i := c.once - 1
	u := &c.users[i]
	c.stats.once.Store(onceWaits)
	u.iter++
	u.key = expr.NewKey(c.plan.Seed, 0, 0, uint64(u.iter))
	u.state, u.task, u.step, u.call, u.due, u.freed = busy, task, 0, nil, now, now
	c.proceed(i, now)
}

func (c *cast) onceEnds(u *user, ok bool) {
	u.state, u.call = apart, nil
	if ok {
		c.stats.once.Store(onceDone)
	} else {
		c.stats.once.Store(onceFailed)
	}
}

// onceSaved returns what the requests before the run have saved.
func (c *cast) onceSaved() (out []savedValue) {
	u := &c.users[c.once-1]
	for _, k := range c.plan.before {
		for _, s := range k.saves {
			out = append(out, savedValue{s.Slot, u.slots[s.Slot]})
		}
	}
	return out
}
