package spec

import (
	"fmt"
	"slices"

	"tollgate/pkg/slo"
)

// Judged returns the stages that o is judged on: the one it names, or else
// every steady and spike stage, of these only the ones in which o can see a
// request. For an SLO of a Spec it is never empty.
func (s *Spec) Judged(o slo.Objective) []*Stage {
	var judged []*Stage
	performers := s.performers(o.Selector)
	for _, st := range s.Stages {
		if s.scoped(o, st) && sees(o, st, performers) {
			judged = append(judged, st)
		}
	}
	return judged
}

// scoped reports whether the stage is in o's scope.
func (s *Spec) scoped(o slo.Objective, st *Stage) bool {
	if o.Selector.Stage != "" && o.Selector.Stage != st.Name {
		return false
	}
	if o.During != "" {
		return o.During == st.Name
	}
	return o.Selector.Stage != "" || st.Shape == Steady || st.Shape == Spike
}

// sees reports whether o finds anything to measure in the stage, given the
// personas that can make the requests it selects.
func sees(o slo.Objective, st *Stage, performers []*Persona) bool {
	if o.Metric.Kind == slo.Dropped && !st.Level.Open {
		return false
	}
	return slices.ContainsFunc(performers, st.busy)
}

// performers returns the personas that can make a request that sel selects.
func (s *Spec) performers(sel slo.Selector) []*Persona {
	var performers []*Persona
	for _, p := range s.Personas {
		if (sel.Persona == "" || sel.Persona == p.Name) && p.performs(sel) {
			performers = append(performers, p)
		}
	}
	return performers
}

// performs reports whether a selected request can come from the persona.
func (p *Persona) performs(sel slo.Selector) bool {
	return p.works(sel) || p.setsUp(sel)
}

// works reports whether a task of the persona makes a selected request.
func (p *Persona) works(sel slo.Selector) bool {
	for _, t := range p.Tasks {
		if t.Weight > 0 && (sel.Task == "" || sel.Task == t.Name) && slices.ContainsFunc(t.Steps, selected(sel)) {
			return true
		}
	}
	return false
}

// setsUp reports whether the persona's set-up makes a request that the selector
// names: by its task, or by its endpoint.
func (p *Persona) setsUp(sel slo.Selector) bool {
	start := slices.ContainsFunc(p.OnStart, selected(sel))
	stop := slices.ContainsFunc(p.OnStop, selected(sel))
	switch sel.Task {
	case OnStart:
		return start
	case OnStop:
		return stop
	case "":
		return sel.Endpoint != "" && (start || stop)
	}
	return false
}

func selected(sel slo.Selector) func(*Step) bool {
	return func(st *Step) bool {
		return sel.Endpoint == "" || sel.Endpoint == st.Endpoint.Key || sel.Endpoint == st.Name
	}
}

// The tasks under which set-up traffic is measured.
const (
	OnStart = "on_start"
	OnStop  = "on_stop"
)

// OnSetup reports whether o is about set-up traffic: its selector names
// on_start or on_stop as the task, or an endpoint that only set-up calls. An
// endpoint that tasks call as well means the tasks' requests.
func (s *Spec) OnSetup(o slo.Objective) bool {
	performers := s.performers(o.Selector)
	return len(performers) > 0 && !slices.ContainsFunc(performers, func(p *Persona) bool { return p.works(o.Selector) })
}

// admits reports whether the stage is open to the persona.
func (st *Stage) admits(persona string) bool {
	if st.Level.ByPersona != nil {
		return st.Level.ByPersona[persona] > 0
	}
	return len(st.Personas) == 0 || slices.Contains(st.Personas, persona)
}

// busy reports whether the stage gives work to users of the persona. A pause
// has no level, and so gives none.
func (st *Stage) busy(p *Persona) bool {
	switch {
	case !st.admits(p.Name):
		return false
	case st.Level.ByPersona != nil:
		return true
	case p.Weight == 0:
		return false
	case st.Shape == Steps:
		return st.To > 0
	case st.Level.Open:
		return st.Level.Rate > 0
	}
	return st.Level.Users > 0
}

// blind returns why o can see nothing, "" if it can.
func (s *Spec) blind(o slo.Objective) (reason, hint string) {
	if len(s.Judged(o)) > 0 {
		return "", ""
	}
	scope := slices.DeleteFunc(slices.Clone(s.Stages), func(st *Stage) bool { return !s.scoped(o, st) })
	if len(scope) == 0 {
		return "there is no steady or spike stage to judge it on", "name the stage: " + o.Text + " during STAGE"
	}
	at := "none of its stages"
	if len(scope) == 1 {
		at = "the stage " + scope[0].Name
	}
	if len(scope) == 1 && scope[0].Shape == Pause {
		return fmt.Sprintf("%s is a pause, in which nothing is sent", at), ""
	}
	open := slices.ContainsFunc(scope, func(st *Stage) bool { return st.Level.Open })
	if o.Metric.Kind == slo.Dropped && !open {
		return "only arrivals can be dropped, and " + at + map[bool]string{true: " has a rate", false: " has no rate"}[len(scope) > 1], "give a stage a rate, or remove the SLO"
	}
	if len(scope) == 1 {
		return at + " has no request that it could see", "check the stage's personas and level, and the selector"
	}
	return at + " has a request that it could see", "check the stages' personas and levels, and the selector"
}

// checkSight reports the SLOs that can see no request: they would never have data.
func (d *decoder) checkSight(s *Spec) {
	for i, promise := range s.SLOs {
		if reason, hint := s.blind(promise.Objective); reason != "" {
			d.fault(d.slos[i], hint, "this SLO can see no request: %s", reason)
		}
	}
	for _, st := range s.Stages {
		if st.Until != nil && !sees(*st.Until, st, s.performers(st.Until.Selector)) {
			d.fault(d.untils[st], "check the stage's personas and the selector", "this condition can see no request of its stage")
		}
	}
}
