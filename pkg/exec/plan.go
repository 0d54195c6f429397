// Package exec compiles a spec into a Plan - who does what, when, as pure data -
// and runs it: event loops that keep the plan against a real target and record
// one sample for every request.
//
// The plan is a pure function of the spec and the seed: the same on one loop or
// many. A virtual user is data, not a goroutine: a small struct that the loop
// which owns it moves from step to step.
package exec

import (
	"fmt"
	"math"
	"slices"
	"time"

	"tollgate/internal/measure"
	"tollgate/pkg/slo"
	"tollgate/pkg/spec"
)

// Plan is a compiled spec: immutable, and safe to share between loops.
type Plan struct {
	Spec   *spec.Spec
	Seed   uint64
	Layout *measure.Layout

	personas []persona
	stages   []stage
	before   []*call              // requests of the run itself, before the first user comes
	after    []*call              // and after the last has left
	feeding  map[*spec.Feeder]int // how many personas draw from it once per user
	ids      *deal                // numbers every user of every persona, 1-based, without gaps by weight
	files    int                  // connections that this process may have open, 0: any number
	paths    int                  // that one answer is searched for, at most
	maxUsers int                  // of any stage: users with a connection of their own

	credentials []int // slots whose values are sent as credentials
}

// Options are what a plan needs beside the spec.
type Options struct {
	// Seed keys every draw of chance.
	Seed uint64
	// MaxConnections bounds the pool of open stages: what the descriptors of
	// this machine allow. 0: no bound.
	MaxConnections int
}

type persona struct {
	name    string
	weight  int
	think   spec.Think
	pace    int64 // ns from task to task, 0: none
	feeds   []*spec.Feeder
	values  []spec.Draw
	onStart []*call
	onStop  []*call
	// refresh is set-up that is done again when it is refreshEvery ns old; 0: never.
	refresh      []*call
	refreshEvery int64
	tasks        []task
	weights      int // sum over tasks
}

type task struct {
	name   string
	weight int
	feeds  []*spec.Feeder
	calls  []*call
}

// untilRule ends a steps stage: the objective's metric over the last seconds
// passes the limit.
type untilRule struct{ objective slo.Objective }

// Phases of stage i in the layout. The last phase of all is the drain, which
// belongs to no stage, so that no objective can name it.
func phaseMoving(stage int) int { return 3 * stage }
func phaseHold(stage int) int   { return 3*stage + 1 }
func phaseBack(stage int) int   { return 3*stage + 2 }
func (p *Plan) phaseDrain() int { return 3 * len(p.stages) }

const drainShape = "drain"

// loops returns on how many loops the plan may be spread, of n. A loop serves
// its share of the arrivals with its own share of the pool: shares of a few
// users would wait for one another while users of other loops are free.
func (p *Plan) loops(n int) int {
	const least = 16
	for i := range p.stages {
		if st := &p.stages[i]; st.open {
			n = min(n, max(1, st.most/(least*len(p.personas))))
		}
	}
	if c := p.Spec.Target.Connection; c.Per == spec.Pool { // no loop without a connection
		n = min(n, c.Size)
	}
	return n
}

// Compile makes the plan of a spec. A valid spec always compiles; the error
// names a limit of this machine that the load would pass.
func Compile(s *spec.Spec, o Options) (*Plan, error) {
	p := &Plan{Spec: s, Seed: o.Seed, files: o.MaxConnections, feeding: map[*spec.Feeder]int{}}

	var steps []measure.Step
	compile := func(sp *spec.Persona, taskName string, setup bool, in []*spec.Step) []*call {
		var out []*call
		for _, st := range in {
			k := compileCall(s, sp, st, len(steps))
			p.credentials = k.credentialsOf(p.credentials)
			if k.query != nil {
				p.paths = max(p.paths, k.query.Paths())
			}
			out = append(out, k)
			steps = append(steps, measure.Step{
				Persona: sp.Name, Task: taskName, Endpoint: st.Endpoint.Key,
				Name: st.Name, Method: st.Endpoint.Method, Setup: setup,
			})
		}
		return out
	}
	nobody := &spec.Persona{}
	p.before = compile(nobody, spec.Before, true, s.Before)
	weights := make([]int, len(s.Personas))
	for i, sp := range s.Personas {
		pe := persona{name: sp.Name, weight: sp.Weight, think: sp.Think, pace: int64(sp.Pace), feeds: sp.Feeds, values: sp.Values}
		for _, f := range sp.Feeds {
			p.feeding[f]++
		}
		pe.onStart = compile(sp, spec.OnStart, true, sp.OnStart)
		for _, t := range sp.Tasks {
			pe.tasks = append(pe.tasks, task{name: t.Name, weight: t.Weight, feeds: t.Feeds, calls: compile(sp, t.Name, false, t.Steps)})
			pe.weights += t.Weight
		}
		pe.refresh, pe.refreshEvery = compile(sp, spec.OnRefresh, true, sp.Refresh.Do), int64(sp.Refresh.Every)
		pe.onStop = compile(sp, spec.OnStop, true, sp.OnStop)
		p.personas = append(p.personas, pe)
		weights[i] = max(sp.Weight, 1) // a persona of weight 0 still needs numbers
	}
	p.after = compile(nobody, spec.After, true, s.After)
	p.ids = newDeal(weights)

	var phases []measure.Phase
	level := make([]int, len(s.Personas))
	for _, st := range s.Stages {
		cs := p.compileStage(st, level, o)
		p.stages = append(p.stages, cs)
		if n := len(cs.parts); n > 0 && cs.parts[n-1].to != nil {
			level = cs.parts[n-1].to
		}
		for _, pt := range cs.parts {
			p.maxUsers = max(p.maxUsers, sum(pt.to))
		}
		phases = append(phases,
			measure.Phase{Stage: st.Name, Shape: string(st.Shape), Moving: true},
			measure.Phase{Stage: st.Name, Shape: string(st.Shape)},
			measure.Phase{Stage: st.Name, Shape: string(st.Shape), Moving: true, Back: true})
	}
	phases = append(phases, measure.Phase{Shape: drainShape, Moving: true})
	for _, f := range s.Feeders {
		if n := p.feeding[f]; n > 0 && f.Order == spec.FeedOnce && p.maxUsers > len(f.Rows) {
			return nil, fmt.Errorf("%s has %d rows, each drawn once, and %d users need one each: add rows, lower the number of users, or write order: sequence",
				f.Name, len(f.Rows), p.maxUsers)
		}
	}
	p.Layout = measure.NewLayout(steps, phases, p.claims(steps))
	p.Layout.Timeout = int64(s.Target.Timeout)
	return p, nil
}

// reservedFiles is how many descriptors are left for logs, reports and /proc.
const reservedFiles = 64

// filtered returns the weights of the personas that a stage names, 0 for the others.
func (p *Plan) filtered(names []string) []int {
	out := make([]int, len(p.personas))
	for i, pe := range p.personas {
		if len(names) == 0 || slices.Contains(names, pe.name) {
			out[i] = pe.weight
		}
	}
	if sum(out) == 0 { // only personas of weight 0 are named: they share alike
		for i, pe := range p.personas {
			if slices.Contains(names, pe.name) {
				out[i] = 1
			}
		}
	}
	return out
}

// dealt returns how many users of each persona make up a level.
func (p *Plan) dealt(l spec.Level, users int, names []string) []int {
	if l.ByPersona != nil {
		out := make([]int, len(p.personas))
		for i, pe := range p.personas {
			out[i] = l.ByPersona[pe.name]
		}
		return out
	}
	return newDeal(p.filtered(names)).counts(users)
}

func (p *Plan) compileStage(st *spec.Stage, before []int, o Options) stage {
	cs := stage{name: st.Name, shape: st.Shape, open: st.Level.Open, uniform: st.Level.Uniform}
	if st.Until != nil {
		cs.until = &untilRule{*st.Until}
	}
	switch {
	case st.Shape == spec.Pause:
		cs.parts = []part{{from: before, to: before, over: st.For}}
	case cs.open:
		p.compileOpen(&cs, st, before, o)
	case st.Shape == spec.Steps:
		from := before
		for level := range stepLevels(st) {
			to := p.dealt(st.Level, int(level), st.Personas)
			cs.parts = append(cs.parts,
				part{moving: true, from: from, to: to, ramp: st.Ramp, over: rampOver(st.Ramp, float64(sum(from)), float64(sum(to))), settle: true, level: level},
				part{from: to, to: to, over: st.Every, level: level})
			from = to
		}
	default:
		to := p.dealt(st.Level, st.Level.Users, st.Personas)
		n := float64(sum(to))
		cs.parts = []part{
			{moving: true, from: before, to: to, ramp: st.Ramp, over: rampOver(st.Ramp, float64(sum(before)), n), settle: true, level: n},
			{from: to, to: to, over: max(st.For, st.ForMax), least: least(st), level: n},
		}
		if st.Shape == spec.Spike {
			cs.parts = append(cs.parts, part{moving: true, back: true, returns: true, from: to, to: before, over: st.Back, level: float64(sum(before))})
		}
	}
	return cs
}

// compileOpen lays the arrival rate of an open stage on its parts. The pool
// that serves it is prepared before the stage begins.
func (p *Plan) compileOpen(cs *stage, st *spec.Stage, before []int, o Options) {
	cs.draw = p.filtered(st.Personas)
	mark := func(moving bool, from, to float64, over time.Duration) {
		if over <= 0 {
			return
		}
		cs.profile = append(cs.profile, leg{from, to, over.Seconds()})
		cs.parts = append(cs.parts, part{moving: moving, over: over, level: to})
	}
	peak := st.Level.Rate
	if st.Shape == spec.Steps {
		last := 0.0
		for rate := range stepLevels(st) {
			mark(true, last, rate, rampOver(st.Ramp, last, rate))
			mark(false, rate, rate, st.Every)
			last, peak = rate, max(peak, rate)
		}
	} else {
		start := 0.0
		if st.Ramp == (spec.Ramp{}) {
			start = peak
		}
		mark(true, start, peak, rampOver(st.Ramp, start, peak))
		mark(false, peak, peak, max(st.For, st.ForMax))
		cs.parts[len(cs.parts)-1].least = least(st)
		if st.Shape == spec.Spike {
			mark(true, peak, 0, st.Back)
			if st.Back > 0 {
				cs.parts[len(cs.parts)-1].back = true
			}
		}
	}

	limit := st.Level.MaxUsers
	if limit == 0 {
		// By Little's law the most that can be busy when every answer takes the timeout.
		limit = max(1, int(math.Ceil(peak*p.Spec.Target.Timeout.Seconds())))
	}
	if o.MaxConnections > 0 && p.Spec.Target.Connection.Per == spec.PerUser {
		limit = min(limit, max(1, o.MaxConnections/(1+len(p.Spec.Others))))
	}
	for i, sp := range p.Spec.Personas { // no user without a row of its own
		for _, f := range sp.Feeds {
			if f.Order == spec.FeedOnce && cs.draw[i] > 0 {
				limit = max(1, min(limit, len(f.Rows)))
			}
		}
	}
	// To begin with, what answers of 100 ms would keep busy, and a few of each persona.
	pool := min(limit, max(10*len(p.personas), int(math.Ceil(peak/10))))
	cs.pool = newDeal(cs.draw).counts(pool)
	cs.most = limit
	cs.parts = append([]part{{moving: true, from: before, to: cs.pool, settle: true}}, cs.parts...)
	for i := 1; i < len(cs.parts); i++ {
		cs.parts[i].from, cs.parts[i].to = cs.pool, cs.pool
	}
}

// least is the shortest hold of a stage that ends when its objectives are
// decided, 0 for a stage of fixed length.
func least(st *spec.Stage) time.Duration {
	if st.ForMax > st.For {
		return st.For
	}
	return 0
}

// stepLevels yields the levels of a steps stage, the last one included.
func stepLevels(st *spec.Stage) func(func(float64) bool) {
	return func(yield func(float64) bool) {
		n := int(math.Floor((st.To-st.From)/st.By + 1e-9))
		for i := range n + 1 {
			if !yield(st.From + float64(i)*st.By) {
				return
			}
		}
		if last := st.From + float64(n)*st.By; last < st.To-1e-9 {
			yield(st.To)
		}
	}
}

// rampOver returns how long a ramp takes between two levels.
func rampOver(r spec.Ramp, from, to float64) time.Duration {
	if r.Rate > 0 {
		return seconds(math.Abs(to-from) / r.Rate)
	}
	return r.Over
}

func sum(v []int) (n int) {
	for _, x := range v {
		n += x
	}
	return n
}

// userID returns the number of the nth user (0-based) of a persona: unique in the run, 1-based.
func (p *Plan) userID(persona, nth int) int64 { return int64(p.ids.place(persona, nth)) + 1 }

// claims lists everything that will be judged: each objective on each stage
// that it covers, and the implicit guards.
func (p *Plan) claims(steps []measure.Step) []slo.Claim {
	var out []slo.Claim
	for _, o := range p.Spec.SLOs {
		claim := slo.Claim{Objective: o.Objective, Advisory: o.Advisory, Abort: o.Abort, Setup: p.Spec.OnSetup(o.Objective)}
		if o.Pos.File == p.Spec.File {
			claim.Line, claim.Col = o.Pos.Line, o.Pos.Col
		}
		if p.Spec.WholeRun(o.Objective) {
			out = append(out, claim)
			continue
		}
		for _, st := range p.Spec.Judged(o.Objective) {
			claim.Stage = st.Name
			out = append(out, claim)
		}
	}
	return append(out, p.guards(steps)...)
}

// guards are the claims that the runner makes by itself: at most ErrorGuard of
// the requests of each row fail, set-up included, and of an open stage's
// arrivals at most as many are not issued. An objective that promises an error
// ratio for the row itself takes its guard's place. One over many rows only
// sets the guards' ratio: a small endpoint that always fails must not hide in
// the average of the large ones. What an objective allows one persona or task it
// allows no other: where they share a row, each has a guard of its own.
func (p *Plan) guards(steps []measure.Step) []slo.Claim {
	var out []slo.Claim
	seen := map[rowKey]bool{}
	for i, s := range steps {
		row := rowKey{s.Name, s.Setup}
		if seen[row] {
			continue
		}
		seen[row] = true
		var guards []slo.Claim
		alike, all := true, p.allows(s)
		for _, step := range steps[i:] {
			if (rowKey{step.Name, step.Setup}) != row {
				continue
			}
			may := p.allows(step)
			alike = alike && may == all
			g := guard(step, may.limit)
			if !may.own && !slices.Contains(guards, g) {
				guards = append(guards, g)
			}
		}
		if alike && !all.own {
			g := guard(measure.Step{Name: s.Name, Setup: s.Setup}, all.limit)
			guards = []slo.Claim{g}
		}
		out = append(out, guards...)
	}
	percent := slo.FormatValue(p.Spec.ErrorGuard, slo.Ratio)
	for i, st := range p.stages {
		if !st.open || !judgedByDefault(string(st.shape)) {
			continue
		}
		covered := slices.ContainsFunc(p.Spec.SLOs, func(o spec.SLO) bool {
			return o.Objective.Metric.Kind == slo.Dropped && o.Objective.Plain() && !o.Advisory && o.Objective.Selector == slo.Selector{} &&
				(o.Objective.During == "" || o.Objective.During == st.name)
		})
		if covered {
			continue
		}
		out = append(out, slo.Claim{
			Guard: true, Stage: p.Spec.Stages[i].Name,
			Objective: slo.Objective{
				Text:   "dropped <= " + percent,
				Metric: slo.Metric{Kind: slo.Dropped},
				Op:     slo.LE, Limit: p.Spec.ErrorGuard, Unit: slo.Ratio,
			},
		})
	}
	return out
}

// allowance is what the spec's objectives let fail of a step's requests: own is
// set if one of them is about its endpoint, and needs no guard beside it.
type allowance struct {
	own   bool
	limit float64
}

func (p *Plan) allows(s measure.Step) allowance {
	a := allowance{limit: p.Spec.ErrorGuard}
	for _, o := range p.Spec.SLOs {
		if p.coversErrors(o, s) {
			a.own = a.own || o.Objective.Selector.Endpoint != ""
			a.limit = max(a.limit, o.Objective.Limit)
		}
	}
	return a
}

// guard is the implicit claim about a step's row, in its persona and task where
// these are named.
func guard(s measure.Step, limit float64) slo.Claim {
	sel := slo.Selector{Endpoint: s.Name, Persona: s.Persona, Task: s.Task}
	labels := fmt.Sprintf("endpoint=%q", s.Name)
	if s.Persona != "" {
		labels += fmt.Sprintf(", persona=%q", s.Persona)
	}
	if s.Task != "" {
		labels += fmt.Sprintf(", task=%q", s.Task)
	}
	return slo.Claim{
		Guard: true, GuardOf: s.Name, Setup: s.Setup,
		Objective: slo.Objective{
			Text:   fmt.Sprintf("errors{%s} <= %s", labels, slo.FormatValue(limit, slo.Ratio)),
			Metric: slo.Metric{Kind: slo.Errors}, Selector: sel,
			Op: slo.LE, Limit: limit, Unit: slo.Ratio,
		},
	}
}

// rowKey tells the rows apart that have a guard each: many tasks that succeed
// must not hide a set-up that fails.
type rowKey struct {
	name  string
	setup bool
}

// coversErrors reports whether an objective of the spec promises an error ratio
// for all that the step does, alone or with others. Set-up is covered by what is
// about nothing else.
func (p *Plan) coversErrors(o spec.SLO, s measure.Step) bool {
	k := o.Objective
	if k.Metric.Kind != slo.Errors || !k.Plain() || k.Metric.Class != "" || o.Advisory || k.During != "" || k.Selector.Stage != "" {
		return false
	}
	if s.Setup && !p.Spec.OnSetup(k) {
		return false
	}
	return slo.Matches(k.Selector, "", s.Persona, s.Task, s.Endpoint, s.Name)
}
