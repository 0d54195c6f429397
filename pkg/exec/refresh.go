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
	c.proceed(i, now)
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
