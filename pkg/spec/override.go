package spec

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"tollgate/pkg/slo"
)

// Override is what a caller changes of a valid Spec, as from the command line.
// The zero Override changes nothing. Judged stages are those of shape steady
// and spike.
type Override struct {
	Users    *int           // level of every judged stage; warm-ups are lowered to it
	Rate     *float64       // the same in arrivals per second
	Ramp     *Ramp          // of every judged stage
	For      *time.Duration // hold of every judged stage
	ForMax   time.Duration  // with For: its longest, as in 1m..5m; 0 for a fixed hold
	Stages   []string       // only these stages, in the order of the file
	Personas []string       // only these personas
	Target   string         // the URL of another target
}

// With returns the spec as o changes it, and leaves s as it is. What can no
// longer be judged (an SLO on a persona or a stage that was left out) is
// removed and listed in Dropped. Faults have the flag as their file.
func (s *Spec) With(o Override) (*Spec, Faults) {
	c := s.clone()
	w := overriding{Spec: c}
	if o.Target != "" {
		w.target(o.Target)
	}
	if len(o.Stages) > 0 {
		w.keepStages(o.Stages)
	}
	if len(o.Personas) > 0 {
		w.keepPersonas(o.Personas)
	}
	w.load(o)
	if len(w.faults.list) == 0 {
		w.dropBlind()
	}
	if all := w.faults.sorted(); all != nil {
		return nil, all
	}
	return c, nil
}

// Longest returns the test as it is if no stage ends early: every hold is fixed
// at its most.
func (s *Spec) Longest() *Spec {
	c := s.clone()
	for _, st := range c.Stages {
		if st.ForMax > 0 {
			st.For, st.ForMax = st.ForMax, 0
		}
	}
	return c
}

// clone returns a copy of which everything that With may change is its own.
func (s *Spec) clone() *Spec {
	c := *s
	c.Dropped = slices.Clone(s.Dropped)
	c.Secrets = slices.Clone(s.Secrets)
	c.SLOs = slices.Clone(s.SLOs)
	c.Probes = nil
	for _, p := range s.Probes {
		own := *p
		c.Probes = append(c.Probes, &own)
	}
	c.Stages = nil
	for _, st := range s.Stages {
		own := *st
		own.Level.ByPersona = maps.Clone(st.Level.ByPersona)
		own.Personas = slices.Clone(st.Personas)
		c.Stages = append(c.Stages, &own)
	}
	copies := map[*Endpoint]*Endpoint{}
	c.Endpoints = nil
	for _, e := range s.Endpoints {
		own := *e
		copies[e] = &own
		c.Endpoints = append(c.Endpoints, &own)
	}
	steps := func(list []*Step) []*Step {
		var own []*Step
		for _, st := range list {
			step := *st
			step.Endpoint = copies[st.Endpoint]
			own = append(own, &step)
		}
		return own
	}
	c.Before, c.After = steps(s.Before), steps(s.After)
	c.Personas = nil
	for _, p := range s.Personas {
		own := *p
		own.OnStart, own.OnStop = steps(p.OnStart), steps(p.OnStop)
		own.Refresh.Do = steps(p.Refresh.Do)
		own.Tasks = nil
		for _, t := range p.Tasks {
			task := *t
			task.Steps = steps(t.Steps)
			own.Tasks = append(own.Tasks, &task)
		}
		c.Personas = append(c.Personas, &own)
	}
	if s.Target.Ready != nil {
		ready := *s.Target.Ready
		c.Target.Ready = &ready
	}
	c.Target.Headers = slices.Clone(s.Target.Headers)
	return &c
}

// overriding is a copy in the making.
type overriding struct {
	*Spec
	faults faultSet
}

func (w *overriding) fault(flag, hint, format string, args ...any) {
	w.faults.add(Fault{Pos: Pos{File: flag}, Msg: fmt.Sprintf(format, args...), Hint: hint})
}

func (w *overriding) drop(format string, args ...any) {
	w.Dropped = append(w.Dropped, fmt.Sprintf(format, args...))
}

func (w *overriding) target(text string) {
	t, secrets, err := parseTarget(text)
	if err != nil {
		w.fault("--target", err.hint, "%s", err.msg)
		return
	}
	w.Target.moveTo(t)
	for _, p := range w.Probes {
		if p.path != "" {
			p.Scrape = w.Target.page(p.path)
		}
	}
	for _, e := range w.Endpoints {
		if e.On == 0 {
			e.Path = withBase(t.BasePath, e.path)
		}
	}
	for _, secret := range secrets {
		if !slices.Contains(w.Secrets, secret) {
			w.Secrets = append(w.Secrets, secret)
		}
	}
}

func (w *overriding) keepStages(names []string) {
	for _, name := range names {
		if !slices.Contains(w.stageNames(), name) {
			w.fault("--stage", suggest(name, w.stageNames()), "no stage is called %s", quote(name))
		}
	}
	w.Stages = slices.DeleteFunc(w.Stages, func(st *Stage) bool { return !slices.Contains(names, st.Name) })
	if len(w.Stages) > 0 && !slices.ContainsFunc(w.Stages, func(st *Stage) bool { return st.Shape != Pause }) {
		w.fault("--stage", "", "every stage that is left is a pause")
	}
}

func (w *overriding) keepPersonas(names []string) {
	legal := w.personaNames()
	for _, name := range names {
		if !slices.Contains(legal, name) {
			w.fault("--persona", suggest(name, legal), "no persona is called %s", quote(name))
		}
	}
	w.Personas = slices.DeleteFunc(w.Personas, func(p *Persona) bool { return !slices.Contains(names, p.Name) })
	gone := func(name string) bool { return !slices.Contains(names, name) }
	var kept []*Stage
	for _, st := range w.Stages {
		maps.DeleteFunc(st.Level.ByPersona, func(name string, _ int) bool { return gone(name) })
		narrowed := len(st.Personas) > 0
		st.Personas = slices.DeleteFunc(st.Personas, gone)
		if narrowed && len(st.Personas) == 0 || st.Level.ByPersona != nil && len(st.Level.ByPersona) == 0 {
			w.drop("stage %s: none of its personas takes part", st.Name)
			continue
		}
		kept = append(kept, st)
	}
	w.Stages = kept
	if !slices.ContainsFunc(kept, func(st *Stage) bool { return st.Shape != Pause }) && len(w.faults.list) == 0 {
		w.fault("--persona", "", "no stage is left")
	}
}

// load changes the levels and times of the judged stages.
func (w *overriding) load(o Override) {
	w.checkLoad(o)
	judged := 0
	for _, st := range w.Stages {
		isJudged := st.Shape.judged()
		if isJudged {
			judged++
			if o.Ramp != nil {
				st.Ramp = *o.Ramp
			}
			if o.For != nil {
				st.For, st.ForMax = *o.For, o.ForMax
			}
		}
		if isJudged || st.Shape == Warmup {
			st.Level = st.Level.overridden(o, isJudged)
		}
		if st.Shape != Pause && st.Level.ByPersona == nil && len(w.Personas) > 0 && st.noWeight(w.Personas) {
			w.fault("--users", "give the level by name in the spec", "every persona of the stage %s has weight 0, so no user would be dealt", st.Name)
		}
	}
	if slices.ContainsFunc(w.Stages, w.creeps) {
		w.fault("--ramp", "give a higher speed, or a duration", "at this speed a ramp takes more than 1000h")
	}
	if flag := o.loadFlag(); flag != "" && judged == 0 && len(w.faults.list) == 0 {
		w.fault(flag, "", "there is no steady or spike stage that it could change")
	}
}

func (w *overriding) checkLoad(o Override) {
	switch {
	case o.Users != nil && o.Rate != nil:
		w.fault("--rate", "keep one of them", "a stage has users or a rate")
	case o.Users != nil && (*o.Users < 1 || *o.Users > maxLevel):
		w.fault("--users", "", "users lie between 1 and %d", maxLevel)
	case o.Rate != nil && !(*o.Rate > 0 && *o.Rate <= maxLevel):
		w.fault("--rate", "", "a rate lies between 0/s and %d/s", maxLevel)
	}
	if r := o.Ramp; r != nil && (r.Over < 0 || r.Over > maxDuration || r.Rate < 0 || math.IsNaN(r.Rate) || r.Over > 0 && r.Rate > 0) {
		w.fault("--ramp", "", "a ramp is a duration or a speed")
	}
	switch {
	case o.For == nil:
	case *o.For < time.Millisecond || *o.For > maxDuration:
		w.fault("--for", "", "a hold lies between 1ms and 1000h")
	case o.ForMax != 0 && (*o.For < leastOpenHold || o.ForMax <= *o.For || o.ForMax > maxDuration):
		w.fault("--for", "write it like 1m..5m", "a hold that may end early lasts at least 20s, and its longest more than that, up to 1000h")
	}
}

// loadFlag names a flag of the override that needs a judged stage, "" for none.
func (o Override) loadFlag() string {
	switch {
	case o.Users != nil:
		return "--users"
	case o.Rate != nil:
		return "--rate"
	case o.Ramp != nil:
		return "--ramp"
	case o.For != nil:
		return "--for"
	}
	return ""
}

// overridden returns the level as o has it: exactly where it is judged, at most
// that high in a warm-up of the same model.
func (l Level) overridden(o Override, judged bool) Level {
	switch {
	case o.Users != nil && judged:
		return Level{Users: *o.Users}
	case o.Users != nil && !l.Open && l.total() > *o.Users:
		return Level{Users: *o.Users}
	case o.Rate != nil && judged:
		return Level{Open: true, Rate: *o.Rate, Uniform: l.Uniform, MaxUsers: l.MaxUsers}
	case o.Rate != nil && l.Open:
		l.Rate = min(l.Rate, *o.Rate)
	}
	return l
}

// total returns the users of a closed level.
func (l Level) total() int {
	total := l.Users
	for _, n := range l.ByPersona {
		total += n
	}
	return total
}

// dropBlind removes the SLOs that no longer see a request, and the conditions
// of which the same is true.
func (w *overriding) dropBlind() {
	w.SLOs = slices.DeleteFunc(w.SLOs, func(p SLO) bool {
		reason, _ := w.misfit(p.Objective)
		if reason == "" {
			reason, _ = w.blind(p.Objective)
		}
		if reason != "" {
			w.drop("slo %s: %s", p.Objective.Text, w.missing(p.Objective, reason))
		}
		return reason != ""
	})
	for _, st := range w.Stages {
		if st.Until != nil && !sees(st.Until.Metric, st, w.performers(st.Until.Selector)) {
			w.drop("until %s of stage %s: it can see no request", st.Until.Text, st.Name)
			st.Until = nil
		}
	}
}

// missing names what an objective is about if it has been left out.
func (w *overriding) missing(o slo.Objective, reason string) string {
	switch {
	case o.During != "" && !slices.Contains(w.stageNames(), o.During):
		return "the stage " + o.During + " is left out"
	case o.After != "" && !slices.Contains(w.stageNames(), o.After):
		return "the stage " + o.After + " is left out"
	case o.Selector.Persona != "" && w.persona(o.Selector.Persona) == nil:
		return "the persona " + o.Selector.Persona + " is left out"
	case o.Right.Selector.Persona != "" && w.persona(o.Right.Selector.Persona) == nil:
		return "the persona " + o.Right.Selector.Persona + " is left out"
	}
	return reason
}
