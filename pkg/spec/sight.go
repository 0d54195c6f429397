package spec

import (
	"fmt"
	"math"
	"slices"
	"time"

	"tollgate/pkg/slo"
)

// Judged returns the stages that o is judged on: the one it names, or else
// every steady and spike stage, of these only the ones in which o can see a
// request. A recovery is judged on the stage whose peak it follows, if it can
// see a request in the stage after that one. Totals of the run are judged once,
// over all stages in which either side can see a request (see WholeRun). For an
// SLO of a Spec it is never empty: what is about requests that are made once
// per run has all stages.
func (s *Spec) Judged(o slo.Objective) []*Stage {
	switch {
	case o.OverRun():
		return s.counted(o)
	case o.After != "":
		peak, next := s.peak(o.After)
		if peak == nil || next == nil || !sees(o.Metric, next, s.performers(o.Selector)) {
			return nil
		}
		return []*Stage{peak}
	}
	var judged []*Stage
	if o.During == "" && s.once(o.Selector) && s.WholeRun(o) {
		return s.Stages
	}
	performers := s.performers(o.Selector)
	for _, st := range s.Stages {
		if s.scoped(o, st) && sees(o.Metric, st, performers) {
			judged = append(judged, st)
		}
	}
	return judged
}

// WholeRun reports whether o is judged once over the whole run, and not on each
// of its stages by itself: totals of the run, and what is about set-up without
// naming a stage, because users are set up in whichever stage they come.
func (s *Spec) WholeRun(o slo.Objective) bool {
	return o.OverRun() || o.During == "" && o.After == "" && s.OnSetup(o)
}

// counted returns the stages that count for totals of the run: those in which
// one of its sides can see a request, or none if another sees no request at all.
func (s *Spec) counted(o slo.Objective) []*Stage {
	var seen []*Stage
	for _, side := range totals(o) {
		stages := s.seenBy(side)
		if len(stages) == 0 {
			return nil
		}
		seen = append(seen, stages...)
	}
	return slices.DeleteFunc(slices.Clone(s.Stages), func(st *Stage) bool { return !slices.Contains(seen, st) })
}

// totals returns what an objective over the run counts.
func totals(o slo.Objective) []slo.MetricRef {
	left := slo.MetricRef{Metric: o.Metric, Selector: o.Selector}
	if o.Right.Metric.Kind == 0 {
		return []slo.MetricRef{left}
	}
	return []slo.MetricRef{left, o.Right}
}

// seenBy returns the stages in which a total can see a request.
func (s *Spec) seenBy(side slo.MetricRef) []*Stage {
	if side.Metric.Kind == slo.Delta || side.Metric.Kind != slo.Dropped && s.once(side.Selector) {
		return s.Stages
	}
	performers := s.performers(side.Selector)
	return slices.DeleteFunc(slices.Clone(s.Stages), func(st *Stage) bool { return !sees(side.Metric, st, performers) })
}

// peak returns the stage of that name and the one after it, nil where there is none.
func (s *Spec) peak(name string) (peak, next *Stage) {
	at := slices.IndexFunc(s.Stages, func(st *Stage) bool { return st.Name == name })
	if at < 0 {
		return nil, nil
	}
	if at+1 < len(s.Stages) {
		next = s.Stages[at+1]
	}
	return s.Stages[at], next
}

// scoped reports whether the stage is in o's scope.
func (s *Spec) scoped(o slo.Objective, st *Stage) bool {
	if o.Selector.Stage != "" && o.Selector.Stage != st.Name {
		return false
	}
	if o.During != "" {
		return o.During == st.Name
	}
	return o.Selector.Stage != "" || st.Shape.judged()
}

// sees reports whether a metric has anything to measure in the stage, given the
// personas that can make the requests that are selected. A probe is read
// whatever is sent.
func sees(m slo.Metric, st *Stage, performers []*Persona) bool {
	if m.Kind == slo.Probe {
		return true
	}
	if m.Kind == slo.Dropped && !st.Level.Open {
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

// setups are the tasks under which set-up traffic is measured: no task of a
// persona can have one of these names.
var setups = []string{OnStart, OnRefresh, OnStop, Before, After}

// IsSetup reports whether the requests of a task of that name are set-up.
func IsSetup(task string) bool { return slices.Contains(setups, task) }

// once reports whether a request that is made once per run is selected: by its
// task, or by its endpoint. It belongs to no persona and to no stage.
func (s *Spec) once(sel slo.Selector) bool {
	if sel.Persona != "" || sel.Stage != "" {
		return false
	}
	switch sel.Task {
	case Before:
		return slices.ContainsFunc(s.Before, selected(sel))
	case After:
		return slices.ContainsFunc(s.After, selected(sel))
	case "":
		return sel.Endpoint != "" && (slices.ContainsFunc(s.Before, selected(sel)) || slices.ContainsFunc(s.After, selected(sel)))
	}
	return false
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
	switch sel.Task {
	case OnStart:
		return slices.ContainsFunc(p.OnStart, selected(sel))
	case OnRefresh:
		return slices.ContainsFunc(p.Refresh.Do, selected(sel))
	case OnStop:
		return slices.ContainsFunc(p.OnStop, selected(sel))
	case "":
		return sel.Endpoint != "" && slices.ContainsFunc(p.once(), selected(sel))
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
	// OnRefresh is set-up that a user does again.
	OnRefresh = "refresh"
	// Before and After are the requests of the run itself.
	Before = "before"
	After  = "after"
)

// OnSetup reports whether o is about set-up traffic: its selector names one of
// these as the task, or an endpoint that only set-up calls. An endpoint that
// tasks call as well means the tasks' requests.
func (s *Spec) OnSetup(o slo.Objective) bool {
	if o.Metric.Kind == slo.Probe || o.Metric.Kind == slo.Delta {
		return false
	}
	performers := s.performers(o.Selector)
	return (len(performers) > 0 || s.once(o.Selector)) && !slices.ContainsFunc(performers, func(p *Persona) bool { return p.works(o.Selector) })
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

// misfit returns why o cannot be judged in these stages, whatever is sent in
// them, "" if it can.
func (s *Spec) misfit(o slo.Objective) (reason, hint string) {
	switch {
	case o.After != "":
		return s.noRecovery(o)
	case o.Metric.Kind == slo.Probe:
		return s.seldom(o)
	case o.Every == 0 || s.WholeRun(o):
		return "", ""
	}
	longest := time.Duration(0)
	for _, st := range s.Judged(o) {
		longest = max(longest, st.longest(o.IncludingRamps))
	}
	if longest > 0 && o.Every > longest {
		hint = "hold longer"
		if whole := longest.Truncate(time.Second); whole > 0 {
			hint = fmt.Sprintf("write every %s or less, or hold longer", FormatDuration(whole))
		}
		return fmt.Sprintf("its windows of %s are longer than any of its stages", FormatDuration(o.Every)), hint
	}
	return "", ""
}

// seldom returns why a probe may not be read in any stage of o's scope.
func (s *Spec) seldom(o slo.Objective) (reason, hint string) {
	p := s.probe(o.Metric.Name)
	longest := time.Duration(0)
	for _, st := range s.Judged(o) {
		longest = max(longest, st.longest(o.IncludingRamps))
	}
	if p == nil || longest == 0 || p.Every <= longest {
		return "", ""
	}
	return fmt.Sprintf("its probe is read every %s, which is longer than any of its stages", FormatDuration(p.Every)), "give the probe a shorter every, or hold longer"
}

// noRecovery returns why nobody would see a recovery.
func (s *Spec) noRecovery(o slo.Objective) (reason, hint string) {
	peak, next := s.peak(o.After)
	const another = "add one, such as - steady: {name: recovered, users: 10, for: 1m}"
	switch {
	case peak == nil:
		return "there is no stage " + o.After, ""
	case peak.Shape != Spike:
		return fmt.Sprintf("a recovery follows a spike, and %s is a %s stage", peak.Name, peak.Shape), "name a spike"
	case next == nil:
		return "no stage comes after " + peak.Name + ", so the recovery would not be seen", another
	case next.Shape == Pause:
		return fmt.Sprintf("a pause comes after %s, in which nothing is sent", peak.Name), "put a stage with load between them"
	case !sees(o.Metric, next, s.performers(o.Selector)):
		return fmt.Sprintf("the stage %s, which comes after %s, has no request that it could see", next.Name, peak.Name), "check its personas and level, and the selector"
	}
	if after := peak.Back + next.longest(true); o.Window() > after {
		return fmt.Sprintf("its windows of %s are longer than the stage %s after %s", FormatDuration(o.Window()), next.Name, peak.Name), "hold it longer"
	}
	return "", ""
}

// longest returns how long the stage lasts at most: its hold, or with its
// ramps. A ramp of which only the speed is known counts as endless.
func (st *Stage) longest(ramps bool) time.Duration {
	switch {
	case st.Shape == Steps:
		return st.Every * time.Duration(math.Ceil((st.To-st.From)/st.By)+1)
	case !ramps:
		return max(st.For, st.ForMax)
	case st.Ramp.Rate > 0:
		return maxDuration
	}
	return st.Ramp.Over + max(st.For, st.ForMax) + st.Back
}

// blind returns why o can see nothing, "" if it can.
func (s *Spec) blind(o slo.Objective) (reason, hint string) {
	if len(s.Judged(o)) > 0 {
		return "", ""
	}
	if o.OverRun() {
		return s.blindTotals(o)
	}
	scope := slices.DeleteFunc(slices.Clone(s.Stages), func(st *Stage) bool { return !s.scoped(o, st) })
	if len(scope) == 0 {
		return "there is no steady or spike stage to judge it on", "name the stage: " + o.Text + " during STAGE"
	}
	if s.once(o.Selector) && len(s.performers(o.Selector)) == 0 {
		return "requests that are made once per run belong to no stage", "leave the stage out"
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

// blindTotals says which side of an objective over the run sees nothing.
func (s *Spec) blindTotals(o slo.Objective) (reason, hint string) {
	for _, side := range totals(o) {
		switch {
		case len(s.seenBy(side)) > 0:
		case side.Metric.Kind == slo.Dropped:
			return "only arrivals can be dropped, and no stage with a rate has any for " + side.String(), "give a stage a rate, or remove the SLO"
		default:
			return "no stage has one for " + side.String(), "check the stages' personas and levels, and the selectors"
		}
	}
	return "", ""
}

// checkSight reports the SLOs that no stage could judge, and those that can see
// no request: they would never have data.
func (d *decoder) checkSight(s *Spec) {
	for i, promise := range s.SLOs {
		if reason, hint := s.misfit(promise.Objective); reason != "" {
			d.fault(d.slos[i], hint, "this SLO cannot be judged: %s", reason)
			continue
		}
		if reason, hint := s.blind(promise.Objective); reason != "" {
			d.fault(d.slos[i], hint, "this SLO can see no request: %s", reason)
		}
	}
	for _, st := range s.Stages {
		if st.Until != nil && !sees(st.Until.Metric, st, s.performers(st.Until.Selector)) {
			d.fault(d.untils[st], "check the stage's personas and the selector", "this condition can see no request of its stage")
		}
	}
}
