package spec

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"tollgate/internal/expr"
)

// slotSet is a set of indices into Spec.Slots.
type slotSet map[int]bool

// checkFlow follows each persona through its steps, and the run through its
// own, and reports every value that is used before it is set. It also settles
// which saves are required.
//
// A header whose value is unset is left out, so headers may use what is set at
// any time; and a text that names its own default (`??`, `nil`) may use what
// is never set.
func (d *decoder) checkFlow(s *Spec) {
	// What before saves every user has; under a condition, perhaps.
	given, perhaps := slotSet{}, slotSet{}
	for _, st := range s.Before {
		for _, v := range st.Save {
			given[v.Slot] = given[v.Slot] || st.When == nil
			perhaps[v.Slot] = true
		}
	}
	maps.DeleteFunc(given, func(_ int, sure bool) bool { return !sure })
	rows := slotSet{} // drawn before their columns are used; where they cannot be, deal has said so
	for slot := range d.fed {
		rows[slot] = true
	}
	given.addAll(rows)
	perhaps.addAll(rows)
	ever := maps.Clone(perhaps)
	d.runFlow(s.Before, rows).series(s.Before, Before, maps.Clone(rows))
	for _, p := range s.Personas {
		f := &flow{d: d, p: p, who: "the persona " + p.Name, ever: p.sets()}
		f.ever.addAll(perhaps)
		f.persona(maps.Clone(given))
		ever.addAll(f.ever)
	}
	after := d.runFlow(s.After, perhaps)
	after.base = given
	after.series(s.After, After, maps.Clone(given))
	after.settle(nil, s.After)
	for on := range 1 + len(s.Others) {
		for _, h := range s.TargetOf(on).Headers {
			d.neverSet(h.Value, ever, "any persona")
		}
	}
}

// runFlow returns the way of the run itself through some of its steps.
func (d *decoder) runFlow(steps []*Step, perhaps slotSet) *flow {
	return &flow{d: d, who: "the run", used: slotSet{}, ever: sets(steps, maps.Clone(perhaps))}
}

// sets returns every slot that the persona's values, draws and saves can set.
func (p *Persona) sets() slotSet {
	set := slotSet{}
	for _, v := range p.Values {
		set[v.Slot] = true
	}
	return sets(p.calls(), set)
}

// sets adds every slot that the steps can set.
func sets(steps []*Step, set slotSet) slotSet {
	for _, st := range steps {
		for _, v := range st.Values {
			set[v.Slot] = true
		}
		for _, v := range st.Save {
			set[v.Slot] = true
		}
	}
	return set
}

// flow is the way of one persona, or of the run itself, through its steps.
type flow struct {
	d    *decoder
	p    *Persona // nil: the run itself
	who  string
	ever slotSet // set somewhere by it
	base slotSet // set when its tasks begin

	used slotSet // read anywhere, headers included
}

// persona follows the whole of a persona; set is what it begins with.
func (f *flow) persona(set slotSet) {
	f.used = slotSet{}
	for _, v := range f.p.Values {
		f.reads(v.Value, "its values", func(slot int) bool { return set[slot] })
		set[v.Slot] = true
	}
	for _, h := range f.p.Headers {
		f.mayRead(h.Value)
	}
	f.series(f.p.OnStart, OnStart, set)
	f.base = set
	f.series(f.p.Refresh.Do, OnRefresh, maps.Clone(set))
	series := [][]*Step{f.p.OnStop}
	for _, t := range f.p.Tasks {
		f.series(t.Steps, "the task "+t.Name, maps.Clone(set))
		series = append(series, t.Steps)
	}
	f.series(f.p.OnStop, OnStop, maps.Clone(set))
	f.settle(f.p.Refresh.Do, series...)
}

// series follows the steps of a series; set is what is set before it, and
// grows by what is surely set after it.
func (f *flow) series(steps []*Step, where string, set slotSet) {
	// What the steps under a condition set is there for later steps under the same one.
	under := map[string]slotSet{}
	for _, st := range steps {
		here, condition := set, ""
		guarded := slotSet{}
		if st.When != nil {
			n := f.d.conds[st.When]
			condition = n.text
			for _, slot := range st.When.Slots() {
				guarded[slot] = true
				f.used[slot] = true
				if !f.ever[slot] {
					f.report(n, slot, where, "so the step would never be done")
				}
			}
			if under[condition] == nil {
				under[condition] = slotSet{}
			}
			here = under[condition]
		}
		own := slotSet{}
		isSet := func(slot int) bool {
			return own[slot] || set[slot] || here[slot] || guarded[slot] && f.ever[slot]
		}
		for _, v := range st.Values {
			f.reads(v.Value, where, isSet)
			own[v.Slot] = true
		}
		for _, t := range st.texts() {
			f.reads(t, where, isSet)
		}
		for _, h := range st.Endpoint.Headers {
			f.mayRead(h.Value)
		}
		maps.Copy(here, own)
		for _, v := range st.Save {
			here[v.Slot] = true
		}
	}
}

// texts returns what a step renders or compares, but for its draws and headers.
func (st *Step) texts() []*expr.Text {
	texts := []*expr.Text{st.Endpoint.Path, st.Endpoint.Body}
	for _, c := range st.Expect.JSON {
		texts = append(texts, c.Want)
	}
	for _, c := range st.Expect.Header {
		texts = append(texts, c.Want)
	}
	for _, c := range st.Expect.Body {
		texts = append(texts, c.Contains)
	}
	return slices.DeleteFunc(texts, func(t *expr.Text) bool { return t == nil })
}

// reads reports the slots of t that are not set.
func (f *flow) reads(t *expr.Text, where string, isSet func(int) bool) {
	for _, p := range f.d.parts[t] {
		tolerant := tolerates(p.node)
		for _, slot := range p.slots {
			f.used[slot] = true
			switch {
			case tolerant:
			case isSet(slot):
			case f.ever[slot]:
				f.report(p.node, slot, where, "and it is not set yet")
			case f.p == nil:
				f.report(p.node, slot, where, "and no step of it sets it")
			default:
				f.report(p.node, slot, where, "and nothing sets it for this persona")
			}
		}
	}
}

// mayRead reports the slots of a header that nothing ever sets.
func (f *flow) mayRead(t *expr.Text) {
	for _, p := range f.d.parts[t] {
		for _, slot := range p.slots {
			f.used[slot] = true
		}
	}
	f.d.neverSet(t, f.ever, f.who)
}

// neverSet reports the slots of a header that are not in ever.
func (d *decoder) neverSet(t *expr.Text, ever slotSet, whom string) {
	for _, p := range d.parts[t] {
		for _, slot := range p.slots {
			if !ever[slot] && !tolerates(p.node) {
				d.faultAt(p.node, mention(p.node.text, d.slots[slot]), "save it in a step, or add it to the values of the persona",
					"nothing sets %s for %s", d.slots[slot], whom)
			}
		}
	}
}

func (f *flow) report(n *node, slot int, where, why string) {
	name := f.d.slots[slot]
	hint := "save it in an earlier step, or add it to the values of the persona"
	switch {
	case f.ever[slot]:
		hint = "save it in an earlier step, or do the step only when: " + name
	case f.p == nil:
		hint = "save it in an earlier step; the run has the values of no persona"
	}
	f.d.faultAt(n, mention(n.text, name), hint, "%s needs %s in %s, %s", f.who, name, where, why)
}

// settle decides which saves of some series are required: those that a later
// step needs. One that every later step guards with `when`, or that only
// headers use, may be missing from a response. One that nothing uses is
// required: it says that the value must be there. A refresh needs what it
// reads, too, and like on_start all that it saves.
func (f *flow) settle(refresh []*Step, series ...[]*Step) {
	needed := slotSet{} // by any step, for values that are set before the tasks begin
	for _, steps := range append(series, refresh) {
		for _, st := range steps {
			f.need(st, needed)
		}
	}
	for _, steps := range series {
		later := slotSet{}
		for _, st := range slices.Backward(steps) {
			for i := range st.Save {
				slot := st.Save[i].Slot
				st.Save[i].Required = !f.used[slot] || later[slot] || f.base[slot] && needed[slot]
			}
			f.need(st, later)
		}
	}
}

// need adds the slots that the step reads without a condition that mentions them.
func (f *flow) need(st *Step, needed slotSet) {
	own := slotSet{}
	if st.When != nil {
		for _, slot := range st.When.Slots() {
			own[slot] = true
		}
	}
	add := func(t *expr.Text) {
		for _, p := range f.d.parts[t] {
			for _, slot := range p.slots {
				if !own[slot] && !tolerates(p.node) {
					needed[slot] = true
				}
			}
		}
	}
	for _, v := range st.Values {
		add(v.Value)
		own[v.Slot] = true
	}
	for _, t := range st.texts() {
		add(t)
	}
}

// tolerates reports whether a text says itself what to do about an unset value.
func tolerates(n *node) bool {
	return strings.Contains(n.text, "??") || strings.Contains(n.text, "nil")
}

// mention returns the offset of a name in an expression, or of the text itself.
func mention(text, name string) int {
	from := max(strings.Index(text, "${"), 0)
	at := regexp.MustCompile(`\b` + regexp.QuoteMeta(name) + `\b`).FindStringIndex(text[from:])
	if at == nil {
		return 0
	}
	return from + at[0]
}
