package exec

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"tollgate/internal/expr"
	"tollgate/pkg/spec"
)

// feed draws the rows of one feeder. All loops of a run share it.
type feed struct {
	*spec.Feeder
	seed uint64
	next atomic.Uint64 // draws so far that belong to no user
}

// shared is what the loops of one run have in common.
type shared struct {
	feeds map[*spec.Feeder]*feed
	// saved is what the requests before the run have saved. It is written
	// before the first user comes, and not changed after.
	saved []savedValue

	bodies budget     // of the bodies under way
	large  sync.Mutex // guards room
	room   []byte     // for bodies that are large when inflated
}

type savedValue struct {
	slot  int
	value expr.Value
}

func newShared(p *Plan) *shared {
	s := &shared{feeds: map[*spec.Feeder]*feed{}}
	s.bodies.most = max(keptBodies, p.Spec.Target.MaxBody, int64(p.maxUsers)*keptByUser)
	for i, f := range p.Spec.Feeders {
		s.feeds[f] = &feed{Feeder: f, seed: uint64(expr.NewKey(p.Seed, 0, uint64(i), 0))}
	}
	return s
}

// row returns the nth row drawn (0-based); nil when each was to be drawn once
// and all have been.
func (f *feed) row(nth uint64) []expr.Value {
	n := uint64(len(f.Rows))
	switch f.Order {
	case spec.FeedOnce:
		if nth >= n {
			return nil
		}
	case spec.FeedShuffle:
		return f.Rows[shuffled(nth%n, n, f.seed+nth/n)]
	}
	return f.Rows[nth%n]
}

// fill puts the nth row into a user's slots; when there is none they are unset.
func (f *feed) fill(slots []expr.Value, nth uint64) (ok bool) {
	row := f.row(nth)
	for i, column := range f.Columns {
		v := expr.Value{}
		if row != nil {
			v = row[i]
		}
		slots[column.Slot] = v
	}
	return row != nil
}

// feedUser draws the rows that a user has for the whole run: by its number, so
// that the same user has the same row on any number of loops. Rows that come
// once are drawn in the order in which users come: their numbers may have gaps,
// and there is no row to lose.
func (c *cast) feedUser(u *user) {
	for _, f := range c.plan.personas[u.persona].feeds {
		nth := uint64(u.id - 1)
		if c.plan.feeding[f] == 1 { // the numbers of one persona alone have no gaps
			nth = uint64(u.number)
		}
		if f.Order == spec.FeedOnce {
			nth = c.shared.feeds[f].next.Add(1) - 1
		}
		if !c.shared.feeds[f].fill(u.slots, nth) {
			u.more().starved, u.extra.barren = f.Name, true
		}
	}
}

// fed forgets that a task found no row, before something else is done.
func (u *user) fed() {
	if u.extra != nil && !u.extra.barren {
		u.extra.starved = ""
	}
}

// feedTask draws the rows of a task, in the order in which tasks begin. When
// there is none left, the requests of the task are not sent, and fail.
func (c *cast) feedTask(u *user, feeds []*spec.Feeder) {
	u.fed()
	for _, f := range feeds {
		d := c.shared.feeds[f]
		if !d.fill(u.slots, d.next.Add(1)-1) {
			u.more().starved = f.Name
		}
	}
}

// shuffled returns where i stands in a permutation of 0 to n-1 that the key
// decides: a Feistel network over the next power of four, walked until it comes
// back into the range (Black and Rogaway, 2002, "Ciphers with Arbitrary Finite
// Domains"). It needs no memory, however many rows there are.
func shuffled(i, n, key uint64) uint64 {
	half := uint(bits.Len64(max(n, 2)-1)+1) / 2
	mask := uint64(1)<<half - 1
	for {
		left, right := i>>half, i&mask
		for round := range uint64(4) {
			left, right = right, left^(mix(right, key, round)&mask)
		}
		if i = left<<half | right; i < n {
			return i
		}
	}
}

func mix(v, key, round uint64) uint64 {
	return uint64(expr.NewKey(key, round, v, 0))
}
