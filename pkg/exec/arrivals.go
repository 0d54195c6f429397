package exec

import (
	"math"
	"time"

	"tollgate/internal/expr"
)

// profile is an arrival rate over time, as legs on which it moves in a straight
// line. Rates are per second, times seconds.
type profile []leg

type leg struct{ from, to, over float64 }

func (p profile) seconds() (s float64) {
	for _, l := range p {
		s += l.over
	}
	return s
}

// expected returns how many arrivals are due before t seconds: the integral of
// the rate.
func (p profile) expected(t float64) (n float64) {
	for _, l := range p {
		if l.over <= 0 {
			continue
		}
		if t <= 0 {
			break
		}
		d := min(t, l.over)
		n += l.from*d + (l.to-l.from)*d*d/(2*l.over)
		t -= l.over
	}
	return n
}

// at is the inverse of expected: the instant, in seconds, by which n arrivals
// are due; false beyond the end.
func (p profile) at(n float64) (float64, bool) {
	start := 0.0
	for _, l := range p {
		if l.over <= 0 {
			continue
		}
		area := (l.from + l.to) / 2 * l.over
		if n < area {
			// Solve from·t + a·t²/2 = n in the form that stays exact as a goes to 0.
			a := (l.to - l.from) / l.over
			root := math.Sqrt(max(0, l.from*l.from+2*a*n))
			if l.from+root == 0 {
				return start, true
			}
			return start + min(2*n/(l.from+root), l.over), true
		}
		n -= area
		start += l.over
	}
	return 0, false
}

// arrivals yields the arrivals of one stage of the open model, in order: a pure
// function of the seed, the stage and the profile, the same on any number of
// loops and machines.
//
// Poisson arrivals are made in operational time, where the rate is one: cut
// into chunks of 64 expected arrivals, each with exponential gaps drawn under
// the chunk's own key until the chunk is full. Since a Poisson process has
// independent increments, the chunks join to one process exactly, and any chunk
// can be made without the ones before it. The profile's inverse then maps
// operational time to the clock (Lewis and Shedler, 1979).
type arrivals struct {
	profile profile
	uniform bool
	seed    uint64
	stage   int

	chunk uint64
	nth   uint32  // arrivals of this chunk so far
	pos   float64 // operational time within the chunk
	key   expr.Key
}

const chunkSize = 64

// An arrival is one task to be done by a free user of the drawn persona.
type arrival struct {
	at     time.Duration // since the start of the stage
	number uint64        // unique in the stage, the same on any machine
}

// Sites of the draws that belong to the plan and not to a text of the spec;
// texts are numbered from zero.
const (
	siteTask uint32 = math.MaxUint32 - iota
	siteThink
	sitePersona
	siteGap
)

func newArrivals(p profile, uniform bool, seed uint64, stage int) *arrivals {
	a := &arrivals{profile: p, uniform: uniform, seed: seed, stage: stage}
	a.open(0)
	return a
}

func (a *arrivals) open(chunk uint64) {
	a.chunk, a.nth, a.pos = chunk, 0, 0
	a.key = expr.NewKey(a.seed, uint64(a.stage)+1, math.MaxUint64-chunk, 0)
}

// next returns the next arrival; false at the end of the stage.
func (a *arrivals) next() (arrival, bool) {
	if a.uniform {
		n := a.chunk
		at, ok := a.profile.at(float64(n))
		if !ok {
			return arrival{}, false
		}
		a.chunk++
		return arrival{at: seconds(at), number: n}, true
	}
	for {
		a.pos -= math.Log1p(-a.key.Unit(siteGap, a.nth))
		if a.pos < chunkSize {
			break
		}
		if _, ok := a.profile.at(float64((a.chunk + 1) * chunkSize)); !ok {
			return arrival{}, false
		}
		a.open(a.chunk + 1)
	}
	at, ok := a.profile.at(float64(a.chunk*chunkSize) + a.pos)
	if !ok {
		return arrival{}, false
	}
	n := a.nth
	a.nth++
	return arrival{at: seconds(at), number: a.chunk<<16 | uint64(n)}, true
}

func seconds(s float64) time.Duration { return time.Duration(math.Round(s * 1e9)) }
