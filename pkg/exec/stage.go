package exec

import (
	"math"
	"time"

	"tollgate/pkg/spec"
)

// stage is a spec stage with its levels resolved to whole users per persona.
type stage struct {
	name  string
	shape spec.Shape
	parts []part
	until *untilRule

	open    bool
	uniform bool
	profile profile // open: arrivals over ramp, hold and back
	pool    []int   // open: users per persona that have done on_start before it begins
	most    int     // open: to how many the pool may grow, in all
	draw    []int   // open: weights by which an arrival's persona is drawn
}

// part is a stretch of a stage on which one rule holds. Closed stages move
// users; in an open stage the parts only mark time.
type part struct {
	moving bool
	from   []int // closed: users per persona when it begins
	to     []int // and when it ends
	over   time.Duration
	// settle: the part ends when its users have done their on_start, not before `over`.
	settle bool
	level  float64 // users or rate at its end, for reports
}

// move is one user coming or going.
type move struct {
	at      time.Duration // since the start of the part
	persona int
	index   int // the user's number within the persona, 0-based
	leave   bool
}

// moves yields the comings and goings of a part in order of time: evenly spread
// over its length, personas in turn by their share.
type moves struct {
	p        part
	up, down *deal
	ups      int
	downs    int
	i, j     int
}

func newMoves(p part) *moves {
	m := &moves{p: p}
	up, down := make([]int, len(p.to)), make([]int, len(p.to))
	for i := range p.to {
		d := p.to[i] - p.from[i]
		up[i], down[i] = max(d, 0), max(-d, 0)
		m.ups += up[i]
		m.downs += down[i]
	}
	if m.ups > 0 {
		m.up = newDeal(up)
	}
	if m.downs > 0 {
		m.down = newDeal(down)
	}
	return m
}

// next returns the next move; false when the level is reached.
//
// A user comes at the moment its place begins and goes at the moment its place
// ends, so that over a ramp of 30 s to 50 the count at t is ceil(50·t/30), as
// in the shapes that this replaces.
func (m *moves) next() (move, bool) {
	comes, goes := m.i < m.ups, m.j < m.downs
	var in, out time.Duration
	if comes {
		in = share(m.p.over, m.i, m.ups)
	}
	if goes {
		out = share(m.p.over, m.j+1, m.downs)
	}
	switch {
	case comes && (!goes || in <= out):
		persona, nth := m.up.at(m.i)
		m.i++
		return move{at: in, persona: persona, index: m.p.from[persona] + nth}, true
	case goes:
		persona, nth := m.down.at(m.j)
		m.j++
		return move{at: out, persona: persona, index: m.p.from[persona] - 1 - nth, leave: true}, true
	}
	return move{}, false
}

// share returns over·i/n without overflow or drift.
func share(over time.Duration, i, n int) time.Duration {
	return time.Duration(math.Round(float64(over) * (float64(i) / float64(n))))
}

// levelAt returns how many users of each persona are called for at t into the part.
func (p part) levelAt(t time.Duration) []int {
	at := append([]int(nil), p.from...)
	for m := newMoves(p); ; {
		mv, ok := m.next()
		if !ok || mv.at > t {
			return at
		}
		if mv.leave {
			at[mv.persona]--
		} else {
			at[mv.persona]++
		}
	}
}
