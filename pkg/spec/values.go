package spec

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tollgate/internal/expr"
)

// valueName is the form of a name that expressions can use.
var valueName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,99}$`)

// keptNames have a meaning of their own in seeded rows.
var keptNames = []string{"n"}

// checkValueName reports a key that expressions could not refer to.
func (d *decoder) checkValueName(key *node) bool {
	switch name := key.text; {
	case !valueName.MatchString(name):
		d.fault(key, "use letters, digits and _, and no digit first", "%s cannot be the name of a value", quote(name))
	case !expr.LegalName(name) || slices.Contains(keptNames, name):
		d.fault(key, "choose another name", "%s has a meaning of its own inside ${…}", name)
	default:
		return true
	}
	return false
}

// declareEnv reads the names of the environment variables that env.NAME may read.
func (d *decoder) declareEnv(n *node) {
	d.env = map[string]bool{}
	if !n.isSet() || !d.is(n, listKind, "env") {
		return
	}
	for _, item := range n.vals {
		name, ok := d.text(item, "the name of an environment variable")
		switch {
		case !ok:
		case !valueName.MatchString(name):
			d.fault(item, "use letters, digits and _, and no digit first", "%s cannot name an environment variable", quote(name))
		case d.env[name]:
			d.fault(item, "keep one of them", "%s is declared twice", name)
		default:
			d.env[name] = true
		}
	}
}

// lookUp returns an environment variable, unset if it is empty or missing.
func (d *decoder) lookUp(name string) expr.Value {
	if d.o.Env == nil {
		return expr.Value{}
	}
	if s, ok := d.o.Env(name); ok && s != "" {
		return expr.Str(s)
	}
	return expr.Value{}
}

// values reads the constants and the sets of the whole test, in file order, so
// that each may refer to those before it.
func (d *decoder) values(n *node) {
	d.names = &expr.Names{
		Consts: map[string]expr.Value{},
		Sets:   map[string]*expr.Set{},
		Slots:  map[string]int{},
		Rows:   map[string]func(string) (int, error){},
		Tables: tables(d.entries),
		Env: func(name string) (expr.Value, error) {
			if d.env[name] {
				return d.lookUp(name), nil
			}
			declared := make([]string, 0, len(d.env))
			for e := range d.env {
				declared = append(declared, e)
			}
			hint := "declare it: env: [" + name + "]"
			if near := expr.Nearest(name, declared); near != "" {
				hint = "did you mean " + near + "?"
			}
			return expr.Value{}, &expr.Error{Msg: "env." + name + " is not declared under env", Hint: hint}
		},
		Secret: func(name string) (expr.Value, error) {
			if !valueName.MatchString(name) {
				return expr.Value{}, &expr.Error{Msg: quote(name) + " cannot name an environment variable"}
			}
			v := d.lookUp(name)
			if !v.IsNil() {
				d.keep(v.Text())
			}
			return v, nil
		},
	}
	if !n.isSet() {
		return
	}
	d.each(n, "values", func(name string, key, val *node) {
		if !d.checkValueName(key) {
			return
		}
		switch {
		case val.kind == listKind:
			d.names.Sets[name] = d.uniform(val)
		case isFeeder(val):
			d.feeder(name, key, val)
		case val.kind == mapKind:
			d.names.Sets[name] = d.weighted(val)
		default:
			d.names.Consts[name] = d.constant(val, name)
		}
	})
}

// uniform reads a list of values of which each is drawn as often.
func (d *decoder) uniform(n *node) *expr.Set {
	if len(n.vals) == 0 {
		d.fault(n, "", "a list to pick from has at least one value")
	}
	var values []expr.Value
	for _, item := range n.vals {
		values = append(values, d.constant(item, "a value of a list"))
	}
	return expr.NewSet(values, nil)
}

// weighted reads a mapping from values to weights.
func (d *decoder) weighted(n *node) *expr.Set {
	if len(n.vals) == 0 {
		d.fault(n, "", "a set to pick from has at least one value")
	}
	var values []expr.Value
	var weights []int
	for i, k := range n.keys {
		values = append(values, expr.Str(k.text))
		weights = append(weights, d.whole(n.vals[i], "the weight of "+quote(k.text), 1, maxWeight))
	}
	return expr.NewSet(values, weights)
}

// maxWeight keeps sums of weights far from overflowing.
const maxWeight = 1_000_000

// constant evaluates a scalar when the spec is loaded.
func (d *decoder) constant(n *node, what string) expr.Value {
	d.checkLost(n)
	if n.kind != stringKind {
		if v, ok := literal(n); ok {
			return v
		}
		d.fault(n, "", "%s must be text, a number, true or false, not %s", what, n.kind)
		return expr.Value{}
	}
	if !strings.Contains(n.text, "${") {
		return expr.Str(n.text)
	}
	v, err := expr.NewCompiler(d.names).Const(n.text)
	if err != nil {
		d.exprFault(n, 0, err)
		return expr.Value{}
	}
	if v.IsNil() {
		d.faultAt(n, strings.Index(n.text, "${"), `set the variable, or give a default: ${… ?? "…"}`, "%s is unset", what)
	}
	return v
}

// literal returns the value of a scalar that is no text.
func literal(n *node) (expr.Value, bool) {
	switch n.kind {
	case boolKind:
		return expr.Boolean(n.text == "true"), true
	case intKind:
		if i, err := strconv.ParseInt(n.text, 10, 64); err == nil {
			return expr.Integer(i), true
		}
		fallthrough
	case floatKind:
		f, err := strconv.ParseFloat(n.text, 64)
		return expr.Number(f), err == nil
	}
	return expr.Value{}, false
}

// declareSlots gives every name that a user can hold a place of its own: the
// values of personas, endpoints and steps, and what is saved from responses.
func (d *decoder) declareSlots(root *node) {
	sections := []string{"values", "save"}
	declare := func(holder *node) {
		for i, section := range holder.keys {
			// A misspelt section is a fault, and the names in it are none.
			if !slices.Contains(sections, section.text) && expr.Nearest(section.text, sections) == "" {
				continue
			}
			for _, key := range holder.vals[i].keys {
				d.declareSlot(key)
			}
		}
	}
	steps := func(list *node) {
		if list == nil || list.kind != listKind {
			return
		}
		for _, step := range list.vals {
			declare(step)
		}
	}
	if endpoints := root.get("endpoints"); endpoints != nil {
		for _, e := range endpoints.vals {
			declare(e)
		}
	}
	steps(root.get("before"))
	steps(root.get("after"))
	personas := root.get("personas")
	if personas == nil {
		return
	}
	for _, p := range personas.vals {
		declare(p)
		steps(p.get("on_start"))
		steps(p.get("refresh").get("do"))
		steps(p.get("on_stop"))
		if tasks := p.get("tasks"); tasks != nil {
			for _, t := range tasks.vals {
				declare(t)
				steps(t.get("steps"))
			}
		}
	}
}

func (d *decoder) declareSlot(key *node) {
	name := key.text
	if key.kind == badKind || !d.checkValueName(key) {
		return
	}
	_, isConst := d.names.Consts[name]
	_, isFeeder := d.names.Rows[name]
	if _, isSet := d.names.Sets[name]; isSet || isConst || isFeeder {
		d.fault(key, "choose another name", "%s is a value of the whole test already", name)
		return
	}
	if len(d.slots) == maxSlots {
		d.fault(key, "", "more than %d names of values that a user can hold", maxSlots)
		return
	}
	if _, known := d.names.Slots[name]; !known {
		d.names.Slots[name] = len(d.slots)
		d.slots = append(d.slots, name)
	}
}

// template compiles the scalar n for a place. prefix is how many bytes of src
// stand in front of the node's text, or are missing from it if negative.
func (d *decoder) template(n *node, src string, prefix int, m expr.Mode) *expr.Text {
	t, err := d.compiler.Text(src, m)
	if err != nil {
		d.exprFault(n, prefix, err)
		return nil
	}
	d.parts[t] = []part{{t.Slots(), n}}
	return t
}

// scalar compiles any scalar to a text whose value keeps the scalar's type.
func (d *decoder) scalar(n *node, what string, m expr.Mode) *expr.Text {
	d.checkLost(n)
	switch {
	case n.kind == stringKind:
		return d.template(n, n.text, 0, m)
	case n.kind == nullKind:
		return d.template(n, "${nil}", 0, m)
	case n.isScalar():
		return d.template(n, "${"+n.text+"}", 0, m)
	}
	d.fault(n, "", "%s must be text, a number, true or false, not %s", what, n.kind)
	return nil
}

// exprFault reports an error of the expression compiler inside n.
func (d *decoder) exprFault(n *node, prefix int, err error) {
	var e *expr.Error
	if !errors.As(err, &e) {
		d.fault(n, "", "%s", err)
		return
	}
	hint := e.Hint
	if n.plain && strings.Count(n.text, "${") > strings.Count(n.text, "}") {
		hint = `YAML ends an unquoted text at " #" and ": "; quote it`
	}
	d.faultAt(n, e.Offset-prefix, hint, "%s", e.Msg)
}

// draws reads a mapping of values that are drawn again and again.
func (d *decoder) draws(n *node) []Draw {
	var draws []Draw
	if !n.isSet() {
		return nil
	}
	d.each(n, "values", func(name string, _, val *node) {
		if val.kind == listKind || val.kind == mapKind {
			d.fault(val, fmt.Sprintf("move it to the top-level values and draw from it: %s: ${pick(NAME)}", name),
				"%s must be text, a number, true or false, not %s", name, val.kind)
			return
		}
		text := d.scalar(val, name, expr.Plain)
		slot, known := d.names.Slots[name]
		if text == nil || !known {
			return
		}
		draws = append(draws, Draw{Slot: slot, Name: name, Value: text})
	})
	return draws
}
