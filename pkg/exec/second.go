package exec

import (
	"maps"
	"runtime"
	"slices"
	"time"

	"tollgate/internal/measure"
)

// Second is what a run had measured at one moment, for a journal: see
// RunOptions.Seconds. Nothing in it changes any more.
type Second struct {
	Started time.Time
	At      int64           // nanoseconds since the start of the run
	Copies  []*measure.Copy // one for each loop, in their order
	Spans   []Span          // all so far; the last is open, or lies ahead
	// Gauges and Health are the readings since the Second before.
	Gauges []Gauge
	Health []measure.Health
	Broke  map[string]float64 // as in Result
	Looks  map[string]float64 // as in Result
}

// Topology says which driver would carry a plan, and on how many loops.
func Topology(p *Plan, o RunOptions) (driver string, loops int, err error) {
	driver, err = DriverOf(p.Spec, o.Driver)
	return driver, o.loopsOf(p), err
}

func (o *RunOptions) loopsOf(p *Plan) int {
	n := o.Loops
	if n <= 0 {
		n = runtime.NumCPU()
	}
	return p.loops(n)
}

// ready reports whether the next second will be taken. The conductor alone
// sends, so that room which is there stays there.
func (c *conductor) ready() bool { return len(c.seconds) < cap(c.seconds) }

// tell hands over what the loops have copied.
func (c *conductor) tell(now int64, copies []*measure.Copy) {
	c.seconds <- Second{
		Started: c.zero, At: now, Copies: copies, Spans: c.line.load(),
		Gauges: slices.Clip(c.gauges[c.told:]), Health: slices.Clip(c.health[c.told:]),
		Broke: maps.Clone(c.broke), Looks: maps.Clone(c.looks),
	}
	c.told = len(c.gauges)
}
