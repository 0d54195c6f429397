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
	ramp   spec.Ramp // closed: how `over` follows from the levels
	back   bool      // the way back from the peak
	// returns: closed: to the level before the stage.
	returns bool
	// settle: the part ends when its users have done their on_start, not before `over`.
	settle bool
	// least: a hold that may end from here on, at predeclared looks, once every
	// objective on the stage is decided; 0 for a hold of fixed length.
	least time.Duration
	level float64 // users or rate at its end, for reports
}

// course follows the level from part to part as it really is: a search for a
// limit may end at any of its levels, and what comes after begins there.
type course struct {
	level  []int // users per persona now
	before []int // when the stage began
}

// enter returns part k of a stage with its levels as they are.
func (c *course) enter(st *stage, k int) part {
	pt := st.parts[k]
	if k == 0 {
		c.before = c.level
	}
	switch {
	case st.shape == spec.Pause:
		pt.to = c.level
	case pt.returns:
		pt.to = c.before
		pt.level = float64(sum(pt.to))
	}
	pt.from, c.level = c.level, pt.to
	if pt.ramp.Rate > 0 {
		pt.over = rampOver(pt.ramp, float64(sum(pt.from)), float64(sum(pt.to)))
	}
	return pt
}

// span returns the part as it begins in a run.
func (p part) span(stageNo int, st *stage, at int64) Span {
	phase := phaseHold(stageNo)
	switch {
	case p.back:
		phase = phaseBack(stageNo)
	case p.moving:
		phase = phaseMoving(stageNo)
	}
	return Span{Stage: stageNo, Phase: phase, Moving: p.moving, Paused: st.shape == spec.Pause, Level: p.level, Start: at}
}

// drainSpan returns the span after a plan's end, or after its interruption in a stage.
func (p *Plan) drainSpan(stageNo int, at int64) Span {
	return Span{Stage: stageNo, Phase: p.phaseDrain(), Moving: true, Drain: true, Start: at}
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
