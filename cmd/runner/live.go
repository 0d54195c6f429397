package main

import (
	"math"
	"time"

	"tollgate/internal/measure"
	"tollgate/pkg/exec"
	"tollgate/pkg/slo"
	"tollgate/pkg/spec"
)

// recentReadings is how many readings, about a second each, "now" means.
const recentReadings = 5

// historyReadings bounds the curves.
const historyReadings = 60

// A view is a run at one moment, as people look at it. It shares nothing with
// the run that goes on.
type view struct {
	title    string
	stages   []string
	total    time.Duration // by plan
	personas []string
	progress exec.Progress
	recent   measure.Live
	span     time.Duration // that recent covers
	sofar    measure.Live
	rates    []float64 // requests per second, by reading, oldest first
	p95s     []float64 // seconds
	promises []promise
	stopping bool
}

// A promise is an objective on one stage, with how it looks so far.
type promise struct {
	text    string
	stage   string
	known   bool    // value is known while the run goes on
	value   float64 // in the base unit; NaN: no data yet
	unit    slo.Unit
	holds   bool
	current bool // its stage is the one that runs
}

// A tracker gathers a run's readings.
type tracker struct {
	plan     *exec.Plan
	view     view
	readings []reading      // the last recentReadings
	holds    []measure.Live // by stage: what completed while it held
	held     []time.Duration
	last     time.Duration
}

type reading struct {
	live measure.Live
	over time.Duration
}

// assumedLatency is what requests are taken to last where nothing is known yet.
const assumedLatency = 100 * time.Millisecond

func newTracker(p *exec.Plan) *tracker {
	t := &tracker{plan: p, holds: make([]measure.Live, len(p.Spec.Stages)), held: make([]time.Duration, len(p.Spec.Stages))}
	t.view.title = title(p.Spec)
	t.view.total = p.Forecast(assumedLatency).Duration
	for _, st := range p.Spec.Stages {
		t.view.stages = append(t.view.stages, st.Name)
	}
	for _, pe := range p.Spec.Personas {
		t.view.personas = append(t.view.personas, pe.Name)
	}
	return t
}

// title names a test and its profile.
func title(s *spec.Spec) string {
	if s.Profile == "" {
		return s.Name
	}
	return s.Name + " · " + s.Profile
}

// take adds a reading and returns the run as it looks now.
func (t *tracker) take(p exec.Progress, stopping bool) view {
	over := max(p.Elapsed-t.last, time.Millisecond)
	t.last = p.Elapsed
	t.readings = lastOf(append(t.readings, reading{p.Second, over}), recentReadings)
	v := &t.view
	v.progress, v.stopping = p, stopping
	v.recent, v.span = measure.Live{}, 0
	for i := range t.readings {
		v.recent.Merge(&t.readings[i].live)
		v.span += t.readings[i].over
	}
	v.sofar.Merge(&p.Second)
	v.rates = appendLast(v.rates, float64(p.Second.Requests)/over.Seconds())
	v.p95s = appendLast(v.p95s, p.Second.Response.Quantile(0.95))
	if !p.Moving {
		t.holds[p.Stage].Merge(&p.Second)
		t.held[p.Stage] += over
	}
	v.promises = t.promises()
	return *v
}

func lastOf[T any](all []T, n int) []T { return all[max(0, len(all)-n):] }

// appendLast returns a new slice, so that views that are out stay as they are.
func appendLast(all []float64, x float64) []float64 {
	kept := lastOf(all, historyReadings-1)
	return append(append(make([]float64, 0, len(kept)+1), kept...), x)
}

// promises reads the objectives of the spec off what is at hand: requests of
// all rows together. An objective on a part of them is known at the end.
func (t *tracker) promises() []promise {
	var out []promise
	for _, c := range t.plan.Layout.Claims {
		if c.Guard {
			continue
		}
		p := promise{text: c.Objective.Text, stage: c.Stage, unit: c.Objective.Unit, value: math.NaN()}
		for no, st := range t.plan.Spec.Stages {
			if st.Name == c.Stage {
				p.current = no == t.view.progress.Stage
				p.value, p.known = soFar(&c.Objective, &t.holds[no], t.held[no])
				p.holds = holds(p.value, c.Objective.Op, c.Objective.Limit)
			}
		}
		out = append(out, p)
	}
	return out
}

// soFar returns an objective's value over a hold that may still last; false
// where it takes more than the running totals of the hold.
func soFar(o *slo.Objective, l *measure.Live, held time.Duration) (float64, bool) {
	m := o.Metric
	whole := slo.Selector{Stage: o.Selector.Stage}
	if o.Selector != whole || m.Clock != slo.Response || m.Class != "" || o.IncludingRamps {
		return math.NaN(), false
	}
	all := l.Response
	if m.OnlyOK {
		all.Inf = 0
	}
	requests := float64(l.Requests)
	switch m.Kind {
	case slo.Quantile:
		return all.Quantile(m.Q), true
	case slo.Max:
		return all.Quantile(1), true
	case slo.Errors:
		return float64(l.Failures) / requests, true // NaN before the first
	case slo.Mean:
		// A failure counts as the larger of its age and the timeout: not known here.
		return l.Response.Mean(), l.Response.Inf == 0
	case slo.Requests:
		return requests, true
	case slo.Successes:
		return requests - float64(l.Failures), true
	case slo.Throughput:
		return (requests - float64(l.Failures)) / held.Seconds(), true
	}
	return math.NaN(), false
}

func holds(value float64, op slo.Op, limit float64) bool {
	switch op {
	case slo.LT:
		return value < limit
	case slo.LE:
		return value <= limit
	case slo.GT:
		return value > limit
	case slo.GE:
		return value >= limit
	case slo.EQ:
		return value == limit
	}
	return op == slo.NE && value != limit
}
