package spec

import (
	"strings"
	"time"

	"tollgate/pkg/slo"
)

// maxLevel bounds users and rates: beyond it, a number is a slip of the finger.
const maxLevel = 10_000_000

// stages decodes the load over time.
func (d *decoder) stages(n *node, s *Spec) {
	if !n.isSet() || !d.is(n, listKind, "stages") || !d.within(n, maxStages, "stages") {
		return
	}
	if len(n.vals) == 0 {
		d.fault(n, "write - steady: {users: 10, for: 1m}", "at least one stage is needed")
	}
	lines := map[string]int{}
	load := false
	for _, item := range n.vals {
		st := d.stage(item, s)
		if st == nil {
			continue
		}
		if line, taken := lines[st.Name]; taken {
			d.fault(item, "give one of them a name of its own", "the stage in line %d is called %s too", line, st.Name)
		}
		lines[st.Name] = item.line
		load = load || st.Shape != Pause
		s.Stages = append(s.Stages, st)
	}
	for i, st := range s.Stages {
		if len(s.Stages) == len(n.vals) && s.creeps(st) {
			d.fault(n.vals[i], "write a higher speed, or a duration", "at this speed the ramp takes more than 1000h")
		}
	}
	if len(s.Stages) > 0 && !load {
		d.fault(n, "write - steady: {users: 10, for: 1m}", "every stage is a pause")
	}
}

// creeps reports whether the ramp of a stage, given as a speed, takes longer
// than any duration may be, whatever the level before it.
func (s *Spec) creeps(st *Stage) bool {
	if st.Ramp.Rate <= 0 {
		return false
	}
	peak := 0.0
	for _, st := range s.Stages {
		peak = max(peak, float64(st.Level.total()), st.Level.Rate, st.To)
	}
	return peak/st.Ramp.Rate > maxDuration.Seconds()
}

func (d *decoder) stage(n *node, s *Spec) *Stage {
	if n.kind != mapKind {
		d.fault(n, "write - steady: {users: 10, for: 1m}", "a stage must be a mapping, not %s", n.kind)
		return nil
	}
	if len(n.keys) != 1 {
		d.fault(n, "write - steady: {…}, or indent the keys of the stage further than its shape", "a stage has one key, its shape, and here are %d", len(n.keys))
		return nil
	}
	d.keys(n, stageObject)
	key, val := n.keys[0], n.vals[0]
	st := &Stage{Name: key.text, Shape: Shape(key.text), Pos: key.pos()}
	shape := object(key.text)
	if key.kind == badKind || shape != warmupObject && shape != steadyObject && shape != spikeObject && shape != stepsObject && shape != pauseObject {
		return nil
	}
	if !val.isSet() || !d.keys(val, shape) {
		return nil
	}
	if name := val.get("name"); name.isSet() {
		if _, ok := d.text(name, "the name of a stage"); ok {
			d.name(name, "a stage")
			st.Name = name.text
		}
	}
	if st.Shape != Steps {
		st.For, st.ForMax = d.hold(val, st.Shape)
	}
	switch st.Shape {
	case Pause:
		return st
	case Steps:
		d.staircase(st, val, s)
	default:
		d.level(st, val, s)
	}
	d.arrivals(st, val)
	if ramp := val.get("ramp"); ramp != nil {
		st.Ramp = quantity(d, ramp, "ramp", parseRamp)
	}
	if back := val.get("back"); back != nil {
		st.Back = d.duration(back, "back", 0)
	}
	d.narrow(st, val, s)
	return st
}

// hold decodes how long a stage keeps its level; most is 0 for a fixed hold.
func (d *decoder) hold(n *node, shape Shape) (least, most time.Duration) {
	text := d.require(n, object(shape), "for", "for: 1m")
	if text == nil {
		return 0, 0
	}
	if text.kind != stringKind || !strings.Contains(text.text, "..") {
		return d.duration(text, "for", time.Millisecond), 0
	}
	if !shape.judged() {
		from, _, _ := strings.Cut(text.text, "..")
		d.fault(text, "write for: "+from, "only a steady or a spike stage can end when its SLOs are decided")
		return 0, 0
	}
	h := quantity(d, text, "for", parseHold)
	return h.least, h.most
}

// judged reports whether SLOs that name no stage cover the shape.
func (s Shape) judged() bool { return s == Steady || s == Spike }

func parseRamp(s string) (Ramp, error) {
	if strings.Contains(s, "/") {
		rate, err := ParseRate(s)
		if err == nil && rate <= 0 {
			err = &QuantityError{s + " never arrives", "write a speed above zero, such as 10/s, or a duration"}
		}
		return Ramp{Rate: rate}, err
	}
	over, err := ParseDuration(s)
	return Ramp{Over: over}, err
}

// level decodes users or rate.
func (d *decoder) level(st *Stage, n *node, s *Spec) {
	users, rate := n.get("users"), n.get("rate")
	switch {
	case users == nil && rate == nil:
		d.fault(n, "write users: 10, or rate: 100/s", "the stage has no level")
	case users != nil && rate != nil:
		d.fault(rate, "keep users (each waits for its answers) or rate (arrivals, whatever the answers do)", "a stage has one level")
	case rate != nil:
		st.Level.Open = true
		st.Level.Rate = quantity(d, rate, "rate", ParseRate)
	case users.kind == mapKind:
		st.Level.ByPersona = map[string]int{}
		d.each(users, "users", func(name string, key, val *node) {
			d.personaName(key, name, s)
			st.Level.ByPersona[name] = d.whole(val, "users of "+name, 0, maxLevel)
		})
		if len(users.keys) == 0 {
			d.fault(users, "write users: {PERSONA: 10}", "the stage has no level")
		}
	case users.kind == stringKind && strings.Contains(users.text, "/"):
		d.fault(users, "write rate: "+users.text, "%s is a rate", users.text)
	default:
		st.Level.Users = d.whole(users, "users", 0, maxLevel)
	}
}

// staircase decodes the levels of a steps stage. Their unit tells whether they
// are users or a rate.
func (d *decoder) staircase(st *Stage, n *node, s *Spec) {
	var levels [3]float64
	missing := false
	rates := 0
	for i, key := range []string{"from", "to", "by"} {
		val := d.require(n, stepsObject, key, "steps: {from: 10, to: 100, by: 10, every: 1m}")
		if val == nil {
			missing = true
			continue
		}
		if val.kind == stringKind {
			rates++
			levels[i] = quantity(d, val, key, ParseRate)
		} else {
			levels[i] = float64(d.whole(val, key, 1, maxLevel))
		}
		if levels[i] <= 0 {
			missing = true
			if _, err := ParseRate(val.text); err == nil {
				d.fault(val, "", "%s is more than 0/s", key)
			}
		}
	}
	st.From, st.To, st.By = levels[0], levels[1], levels[2]
	st.Level.Open = rates > 0
	switch {
	case missing:
	case rates != 0 && rates != 3:
		d.fault(n, "write all three as rates (100/s), or all three as numbers of users", "from, to and by have different units")
	case st.To < st.From:
		d.fault(n.get("to"), "exchange from and to", "the steps go up, and to is less than from")
	}
	if every := d.require(n, stepsObject, "every", "every: 1m"); every != nil {
		st.Every = d.duration(every, "every", time.Millisecond)
	}
	const most = 1000
	switch count := (st.To - st.From) / st.By; {
	case missing:
	case count > most:
		d.fault(n.get("by"), "write a larger by", "a stage has at most %d steps", most)
	case st.Every > maxDuration/most:
		d.fault(n.get("every"), "", "a step is at most 1h")
	}
	if until := n.get("until"); until.isSet() {
		if text, ok := d.text(until, "until"); ok {
			if o := d.objective(until, text, slo.ParseCondition, s); o != nil {
				st.Until = o
				d.untils[st] = until
			}
		}
	}
}

// arrivals decodes what only the open model has.
func (d *decoder) arrivals(st *Stage, n *node) {
	for _, key := range []string{"arrivals", "max_users"} {
		if val := n.get(key); val.isSet() && !st.Level.Open {
			d.fault(val, "it goes with rate: 100/s", "%s has no meaning where users are given", key)
			return
		}
	}
	if a := n.get("arrivals"); a.isSet() {
		st.Level.Uniform = d.choice(a, "arrivals", "poisson", "uniform") == "uniform"
	}
	if m := n.get("max_users"); m.isSet() {
		st.Level.MaxUsers = d.whole(m, "max_users", 1, maxLevel)
	}
}

// narrow decodes the personas of a stage, and checks that someone takes part in it.
func (d *decoder) narrow(st *Stage, n *node, s *Spec) {
	personas := n.get("personas")
	if personas.isSet() && d.is(personas, listKind, "personas") {
		if len(st.Level.ByPersona) > 0 {
			d.fault(personas, "leave it out", "users names the personas already")
			return
		}
		seen := map[string]bool{}
		for _, item := range personas.vals {
			name, ok := d.text(item, "the name of a persona")
			if !ok {
				continue
			}
			if seen[name] {
				d.fault(item, "keep one of them", "%s stands here twice", name)
				continue
			}
			seen[name] = true
			d.personaName(item, name, s)
			st.Personas = append(st.Personas, name)
		}
		if len(personas.vals) == 0 {
			d.fault(personas, "leave it out for all", "the stage has no persona")
			return
		}
	}
	if st.Level.ByPersona == nil && len(s.Personas) > 0 && st.noWeight(s.Personas) {
		d.fault(n, "give one of them a weight, or its level by name: users: {PERSONA: 10}", "every persona of this stage has weight 0, so no user would be dealt")
	}
}

// noWeight reports whether the weights of the stage's personas are all zero.
// Names that do not exist are another fault.
func (st *Stage) noWeight(personas []*Persona) bool {
	named := 0
	for _, p := range personas {
		if !st.admits(p.Name) {
			continue
		}
		named++
		if p.Weight > 0 {
			return false
		}
	}
	return named > 0
}

// personaName reports a name that no persona has.
func (d *decoder) personaName(n *node, name string, s *Spec) {
	if s.persona(name) == nil && n.kind != badKind {
		d.fault(n, suggest(name, s.personaNames()), "no persona is called %s", quote(name))
	}
}
