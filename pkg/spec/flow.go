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

// checkFlow follows each persona through its steps and reports every value that
// is used before it is set. It also settles which saves are required.
//
// A header whose value is unset is left out, so headers may use what is set at
// any time; and a text that names its own default (`??`, `nil`) may use what
// is never set.
func (d *decoder) checkFlow(s *Spec) {
	ever := slotSet{}
	for _, p := range s.Personas {
		f := &flow{d: d, p: p, ever: p.sets()}
		f.persona()
		maps.Copy(ever, f.ever)
	}
	for _, h := range s.Target.Headers {
		d.neverSet(h.Value, ever, "any persona")
	}
}

// sets returns every slot that the persona's values, draws and saves can set.
func (p *Persona) sets() slotSet {
	set := slotSet{}
	for _, v := range p.Values {
		set[v.Slot] = true
	}
	for _, st := range p.calls() {
		for _, v := range st.Values {
			set[v.Slot] = true
		}
		for _, v := range st.Save {
			set[v.Slot] = true
		}
	}
	return set
}

// flow is one persona's way through its steps.
type flow struct {
	d    *decoder
	p    *Persona
	ever slotSet // set somewhere by this persona
	base slotSet // set when its tasks begin

	used slotSet // read anywhere, headers included
}

func (f *flow) persona() {
	f.used = slotSet{}
	set := slotSet{}
	for _, v := range f.p.Values {
		f.reads(v.Value, "its values", func(slot int) bool { return set[slot] })
		set[v.Slot] = true
	}
	for _, h := range f.p.Headers {
		f.mayRead(h.Value)
	}
	f.series(f.p.OnStart, "on_start", set)
	f.base = set
	for _, t := range f.p.Tasks {
		f.series(t.Steps, "the task "+t.Name, maps.Clone(set))
	}
	f.series(f.p.OnStop, "on_stop", maps.Clone(set))
	f.settle()
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
	f.d.neverSet(t, f.ever, "the persona "+f.p.Name)
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
	if f.ever[slot] {
		hint = "save it in an earlier step, or do the step only when: " + name
	}
	f.d.faultAt(n, mention(n.text, name), hint, "the persona %s needs %s in %s, %s", f.p.Name, name, where, why)
}

// settle decides which saves of the tasks and of on_stop are required: those
// that a later step needs. One that every later step guards with `when`, or
// that only headers use, may be missing from a response. One that nothing uses
// is required: it says that the value must be there.
func (f *flow) settle() {
	needed := slotSet{} // by any step, for values that are set before the tasks begin
	series := [][]*Step{f.p.OnStop}
	for _, t := range f.p.Tasks {
		series = append(series, t.Steps)
	}
	for _, steps := range series {
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
