package exec

import "tollgate/internal/expr"

// stale reports whether a user has to do its refresh before the next task.
func (c *cast) stale(u *user, now int64) bool {
	every := c.plan.personas[u.persona].refreshEvery
	return every > 0 && now-u.more().fresh >= every
}

// refresh makes a user do its set-up again.
func (c *cast) refresh(i int32, now int64) {
	u := &c.users[i]
	u.iter++
	u.arrival = 0
	u.key = expr.NewKey(c.plan.Seed, 0, uint64(u.id), uint64(u.iter))
	u.task, u.step, u.call, u.due, u.freed = taskRefresh, 0, nil, now, now
	u.fed()
	c.proceed(i, now)
}

// refreshFloor is the least pause after a refresh that failed: 100 ms.
const refreshFloor = 100_000_000

// lapsed reports whether a user's set-up has run out and could not be renewed.
func (u *user) lapsed() bool { return u.extra != nil && u.extra.lapsed }

// lapse notes how a refresh ended: a user whose set-up failed is not active.
func (c *cast) lapse(u *user, failed bool) {
	if x := u.more(); x.lapsed != failed {
		x.lapsed = failed
		if failed {
			c.stats.active[u.persona].Add(-1)
		} else {
			c.stats.active[u.persona].Add(1)
		}
	}
}

// refreshed lets a user go on to what the refresh came before.
func (c *cast) refreshed(i int32, now int64) {
	u := &c.users[i]
	switch {
	case u.leaving:
		c.depart(i, now)
	case c.open != nil:
		c.toFree(i, now)
	default:
		c.startTask(i, now)
	}
}
