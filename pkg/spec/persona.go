package spec

import (
	"slices"
	"strings"
	"time"

	"tollgate/internal/expr"
)

// personas decodes the kinds of users.
func (d *decoder) personas(n *node, s *Spec) {
	if !n.isSet() || !d.mapping(n, "personas") || !d.within(n, maxPersonas, "personas") {
		return
	}
	if len(n.keys) == 0 {
		d.fault(n, "write visitor: {tasks: {home: 1}}", "at least one persona is needed")
	}
	d.each(n, "personas", func(name string, key, val *node) {
		d.name(key, "a persona")
		p := &Persona{Name: name, Pos: key.pos(), Weight: 1}
		s.Personas = append(s.Personas, p)
		if !d.keys(val, personaObject) {
			return
		}
		if w := val.get("weight"); w != nil {
			p.Weight = d.whole(w, "weight", 0, maxWeight)
		}
		if t := val.get("think"); t != nil {
			p.Think = quantity(d, t, "think", parseThink)
		}
		if pace := val.get("pace"); pace != nil {
			p.Pace = d.duration(pace, "pace", time.Millisecond)
			if val.get("think").isSet() {
				d.fault(pace, "keep one of them", "a user thinks after each task, or begins them at a pace, and here are both")
			}
		}
		p.Values = d.draws(val.get("values"))
		p.Headers = d.auth(val.get("auth"), d.headers(val.get("headers")))
		p.OnStart = d.series(val.get("on_start"), OnStart)
		p.Refresh = d.refresh(val.get("refresh"))
		p.Tasks = d.tasks(d.require(val, personaObject, "tasks", "tasks: {ENDPOINT: 1}"))
		p.OnStop = d.series(val.get("on_stop"), OnStop)
	})
}

// refresh decodes what a user does again and again beside its tasks.
func (d *decoder) refresh(n *node) Refresh {
	if !n.isSet() || !d.keys(n, refreshObject) {
		return Refresh{}
	}
	const example = "refresh: {every: 25m, do: [login]}"
	var r Refresh
	if every := d.require(n, refreshObject, "every", example); every != nil {
		r.Every = d.duration(every, "every", time.Second)
	}
	if do := d.require(n, refreshObject, "do", example); do != nil {
		r.Do = d.series(do, "do")
		if do.kind == listKind && len(do.vals) == 0 {
			d.fault(do, "write "+example, "at least one step is needed")
		}
	}
	return r
}

// parseThink reads 2s, 2s..5s or exp(3s).
func parseThink(s string) (Think, error) {
	if mean, ok := strings.CutPrefix(s, "exp("); ok && strings.HasSuffix(mean, ")") {
		d, err := ParseDuration(strings.TrimSuffix(mean, ")"))
		switch {
		case err != nil:
			return Think{}, &QuantityError{err.(*QuantityError).Msg, "write it like exp(3s), the mean of the pauses"}
		case d <= 0:
			return Think{}, &QuantityError{s + " has no length", "write it like exp(3s), or leave think out"}
		}
		return Think{Mean: d}, nil
	}
	least, most, err := ParseRange(s)
	return Think{Min: least, Max: most}, err
}

// tasks decodes the tasks of a persona.
func (d *decoder) tasks(n *node) []*Task {
	if n == nil || !d.within(n, maxTasks, "tasks of one persona") {
		return nil
	}
	var tasks []*Task
	total := 0
	d.each(n, "tasks", func(name string, key, val *node) {
		d.name(key, "a task")
		if IsSetup(name) {
			d.fault(key, "choose another name", "%s names set-up, and cannot name a task", name)
		}
		t := &Task{Name: name, Pos: key.pos(), Weight: 1}
		tasks = append(tasks, t)
		if val.kind == mapKind {
			d.task(t, key, val)
		} else {
			t.Weight = d.whole(val, "the weight of "+name, 0, maxWeight)
			t.Steps = d.namesake(key)
		}
		total += t.Weight
	})
	switch {
	case n.kind == mapKind && len(n.keys) == 0:
		d.fault(n, "write tasks: {ENDPOINT: 1}", "a persona has at least one task")
	case n.kind == mapKind && total == 0:
		d.fault(n, "give one of them a weight above 0", "all tasks have weight 0, so none would ever be done")
	}
	return tasks
}

// namesake is the series of a task in short form: the endpoint of its name.
func (d *decoder) namesake(key *node) []*Step {
	if st := d.call(key, key.text); st != nil {
		return []*Step{st}
	}
	return nil
}

func (d *decoder) task(t *Task, key, n *node) {
	d.keys(n, taskObject)
	if w := n.get("weight"); w != nil {
		t.Weight = d.whole(w, "weight", 0, maxWeight)
	}
	steps, call := n.get("steps"), n.get("call")
	switch {
	case steps != nil:
		for i, k := range n.keys {
			if k.text != "steps" && slices.Contains(legalKeys[stepObject], k.text) && n.vals[i].kind != badKind {
				d.fault(k, "move it into one of the steps", "beside steps, the key %s has no meaning", k.text)
			}
		}
		t.Steps = d.series(steps, "steps")
		if steps.kind == listKind && len(steps.vals) == 0 {
			d.fault(steps, "", "a task has at least one step")
		}
	case call != nil:
		if st := d.step(n); st != nil {
			t.Steps = []*Step{st}
		}
	default:
		t.Steps = d.namesake(key)
		if len(t.Steps) == 1 {
			d.completeStep(t.Steps[0], n)
		}
	}
}

// series decodes a list of steps.
func (d *decoder) series(n *node, what string) []*Step {
	var steps []*Step
	if !n.isSet() || !d.is(n, listKind, what) || !d.within(n, maxSteps, "steps in a row") {
		return nil
	}
	for _, item := range n.vals {
		var st *Step
		switch {
		case item.kind == mapKind:
			d.keys(item, stepObject)
			st = d.step(item)
		case item.kind == stringKind:
			st = d.call(item, item.text)
		default:
			d.fault(item, "", "a step must be the name of an endpoint or a mapping, not %s", item.kind)
		}
		if st != nil {
			steps = append(steps, st)
		}
	}
	return steps
}

// step decodes a step in long form.
func (d *decoder) step(n *node) *Step {
	call := d.require(n, stepObject, "call", "call: ENDPOINT")
	if call == nil {
		return nil
	}
	name, ok := d.text(call, "the name of an endpoint")
	if !ok {
		return nil
	}
	st := d.call(call, name)
	if st != nil {
		d.completeStep(st, n)
	}
	return st
}

// call returns a step that calls the endpoint named at n.
func (d *decoder) call(n *node, name string) *Step {
	e := d.endpoints[name]
	if e == nil {
		if len(d.endpoints) > 0 {
			d.fault(n, suggest(name, d.endpointKeys()), "no endpoint is called %s", quote(name))
		}
		return nil
	}
	return &Step{Endpoint: e, Name: e.Name, Pos: n.pos(), Values: e.Values, Save: slices.Clone(e.Save), Expect: e.Expect}
}

func (d *decoder) endpointKeys() []string {
	var keys []string
	if n := d.root.get("endpoints"); n != nil {
		for _, k := range n.keys {
			keys = append(keys, k.text)
		}
	}
	return keys
}

// completeStep adds to a call what the step says for itself.
func (d *decoder) completeStep(st *Step, n *node) {
	if name := n.get("name"); name.isSet() {
		st.Name = d.row(name, st.Endpoint)
	}
	if when := n.get("when"); when.isSet() {
		st.When = d.condition(when)
	}
	st.Values = d.ownDraws(st.Values, n.get("values"))
	for _, own := range d.saves(n.get("save")) {
		i := slices.IndexFunc(st.Save, func(s Save) bool { return s.Slot == own.Slot })
		if i < 0 {
			st.Save = append(st.Save, own)
		} else {
			st.Save[i] = own
		}
	}
	if expect := n.get("expect"); expect.isSet() {
		st.Expect = d.expect(expect)
	}
}

// ownDraws returns the endpoint's draws with the step's own in the place of
// those of the same name, then the others.
func (d *decoder) ownDraws(draws []Draw, n *node) []Draw {
	own := d.draws(n)
	if len(own) == 0 {
		return draws
	}
	draws = slices.Clone(draws)
	for _, o := range own {
		i := slices.IndexFunc(draws, func(d Draw) bool { return d.Slot == o.Slot })
		if i < 0 {
			draws = append(draws, o)
		} else {
			draws[i] = o
		}
	}
	return draws
}

// condition compiles what stands under when.
func (d *decoder) condition(n *node) *expr.Cond {
	d.checkLost(n)
	if n.kind != stringKind && n.kind != boolKind {
		d.fault(n, "write when: NAME", "a condition must be text, not %s", n.kind)
		return nil
	}
	if inner, ok := strings.CutPrefix(n.text, "${"); ok {
		d.fault(n, "write when: "+strings.TrimSuffix(inner, "}"), "a condition is written without ${…}")
		return nil
	}
	c, err := d.compiler.Cond(n.text)
	if err != nil {
		d.exprFault(n, 0, err)
		return nil
	}
	d.conds[c] = n
	return c
}
