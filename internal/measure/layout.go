package measure

import (
	"reflect"
	"slices"

	"tollgate/pkg/slo"
)

// Layout is the fixed shape of everything recorded in a run. NewLayout makes
// one that can be recorded into; it is shared by all recorders and read only.
type Layout struct {
	Steps  []Step
	Phases []Phase
	Claims []slo.Claim
	// Timeout is the deadline of a request in nanoseconds: what a failed or
	// never sent request counts as, at least, in a mean.
	Timeout int64

	counts [][]int // by series: the claims that count it, ascending
	starts [][]int // by phase: the claims whose slots may start with it
	ttfb   []bool  // by series: a claim needs the time to the first byte
	rows   []rowKey
	rowOf  []int // by step
}

// rowKey is what makes two steps one row of a report.
type rowKey struct {
	name, method string
	setup        bool
}

// NewLayout finds out which claims count which series. The scope of a claim:
//
//   - Its stage: the hold, or with IncludingRamps every phase of it. A claim
//     without a stage (the guards) spans the run: the holds of every steady and
//     spike stage.
//   - Its selector, and for a guard with GuardOf the row of that name.
//   - A recovery: the way back from the peak, and all of the next stage.
//   - Set-up traffic only if the selector's task is on_start or on_stop, or the
//     claim guards the row; and then in every phase, because logins happen
//     while the load is still moving.
func NewLayout(steps []Step, phases []Phase, claims []slo.Claim) *Layout {
	l := &Layout{
		Steps: steps, Phases: phases, Claims: claims,
		counts: make([][]int, len(phases)*len(steps)),
		ttfb:   make([]bool, len(phases)*len(steps)),
		starts: make([][]int, len(phases)),
	}
	l.rows, l.rowOf = rowsOf(steps)
	for i := range claims {
		if claims[i].Stage != "" {
			for _, p := range l.Scope(i) {
				l.starts[p] = append(l.starts[p], i)
			}
		}
		metric := claims[i].Objective.Metric
		for p, phase := range phases {
			for s, step := range steps {
				if !l.counted(i, phase, step) {
					continue
				}
				series := p*len(steps) + s
				l.counts[series] = append(l.counts[series], i)
				l.ttfb[series] = l.ttfb[series] || metric.Clock == slo.TTFB
			}
		}
	}
	return l
}

// Scope returns the phases that claim i is judged on, ascending. Its slots are
// whole seconds from the start of the earliest of them that took place, or from
// the start of the run if the claim names no stage.
func (l *Layout) Scope(i int) []int {
	var scope []int
	for p, phase := range l.Phases {
		if slices.ContainsFunc(l.Steps, func(s Step) bool { return l.counted(i, phase, s) }) {
			scope = append(scope, p)
		}
	}
	return scope
}

// Judged reports whether a phase counts for claims that name no stage: the
// hold of a steady or spike stage. A steps stage looks for the level that does
// not hold, so what fails there breaks no promise that does not name it.
func (p Phase) Judged() bool {
	return !p.Moving && (p.Shape == "steady" || p.Shape == "spike")
}

// counted reports whether claim i counts a step in a phase.
func (l *Layout) counted(i int, p Phase, s Step) bool {
	c := &l.Claims[i]
	o := &c.Objective
	switch {
	case o.OverRun(): // made of the series' totals, see Snapshot.total
		return false
	case c.GuardOf != "" && c.GuardOf != s.Name,
		!slo.Matches(o.Selector, p.Stage, s.Persona, s.Task, s.Endpoint, s.Name),
		s.Setup != c.Setup:
		return false
	case o.After != "":
		return p.Stage == o.After && p.Back || p.Stage == l.next(o.After)
	case c.Stage != "" && c.Stage != p.Stage:
		return false
	case s.Setup: // logins happen while the load is still moving
		return c.Stage != "" || p.Shape != "steps"
	case c.Stage == "":
		return p.Judged()
	}
	return !p.Moving || o.IncludingRamps
}

// next returns the first stage with load after the one of that name, "" if none follows.
func (l *Layout) next(stage string) string {
	found := false
	for _, p := range l.Phases {
		switch {
		case p.Stage == stage:
			found = true
		case found && p.Shape != "pause":
			return p.Stage
		}
	}
	return ""
}

// rowsOf returns the distinct rows in the order of their first step, and the
// row of each step.
func rowsOf(steps []Step) (rows []rowKey, rowOf []int) {
	rowOf = make([]int, len(steps))
	for i, s := range steps {
		key := rowKey{s.Name, s.Method, s.Setup}
		at := slices.Index(rows, key)
		if at < 0 {
			at = len(rows)
			rows = append(rows, key)
		}
		rowOf[i] = at
	}
	return rows, rowOf
}

// same reports whether two layouts describe the same run, so that indices into
// one mean the same in the other.
func (l *Layout) same(o *Layout) bool {
	return l == o || l != nil && o != nil && l.Timeout == o.Timeout &&
		slices.Equal(l.Steps, o.Steps) && slices.Equal(l.Phases, o.Phases) && reflect.DeepEqual(l.Claims, o.Claims)
}
