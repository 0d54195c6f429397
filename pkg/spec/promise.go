package spec

import (
	"errors"
	"math"

	"tollgate/pkg/slo"
)

// promises decodes slos, abort, confidence and error_guard.
func (d *decoder) promises(root *node, s *Spec) {
	abort := false
	if n := root.get("abort"); n.isSet() {
		abort = d.flag(n, "abort")
	}
	if n := root.get("slos"); n.isSet() && d.is(n, listKind, "slos") && d.within(n, maxSLOs, "SLOs") {
		seen := map[string]int{}
		for _, item := range n.vals {
			d.promise(item, s, abort, seen)
		}
	}
	if n := root.get("confidence"); n.isSet() {
		s.Confidence = d.confidence(n)
	}
	if n := root.get("error_guard"); n.isSet() {
		s.ErrorGuard = quantity(d, n, "error_guard", ParsePercent)
	}
}

// promise decodes one SLO; abort says whether those that do not speak of it
// themselves end a run.
func (d *decoder) promise(n *node, s *Spec, abort bool, seen map[string]int) {
	text := n
	promise := SLO{Pos: n.pos()}
	own := (*node)(nil) // what the SLO itself says of abort
	if n.kind == mapKind {
		d.keys(n, sloObject)
		if text = d.require(n, sloObject, "slo", "{slo: p95 < 200ms, advisory: true}; quote an objective that has {…}"); text == nil {
			return
		}
		if a := n.get("advisory"); a.isSet() {
			promise.Advisory = d.flag(a, "advisory")
		}
		if own = n.get("abort"); own.isSet() {
			abort = d.flag(own, "abort")
		}
	}
	src, ok := d.text(text, "an SLO")
	if !ok {
		return
	}
	promise.Pos = text.pos()
	o := d.objective(text, src, func(src string) (slo.Objective, error) {
		return slo.ParseWith(src, slo.Names{Probes: s.probeNames()})
	}, s)
	if o == nil {
		return
	}
	if line, twice := seen[o.Text]; twice {
		d.fault(text, "keep one of them", "the same SLO stands in line %d", line)
		return
	}
	seen[o.Text] = text.line
	promise.Objective = *o
	switch promise.Abort = abort; {
	case !abort:
	case promise.Advisory:
		promise.Abort = false
		if own.isSet() {
			d.fault(own, "leave out advisory, or abort", "an advisory SLO decides nothing, so it cannot end a run")
		}
	case !abortable(*o):
		promise.Abort = false
		if own.isSet() {
			d.fault(own, "leave abort out; percentiles, errors, within() and max over a stage can end a run", "this SLO cannot end a run early: whether it is kept shows only at the end")
		}
	}
	s.SLOs = append(s.SLOs, promise)
	d.slos = append(d.slos, text)
}

// abortable reports whether o can be broken for good before its scope has
// ended: whether a minute of nothing but failures is the end of it.
func abortable(o slo.Objective) bool {
	worst := make([]slo.Slot, 60)
	for i := range worst {
		worst[i] = slo.Slot{N: 1 << 48, Bad: 1 << 48, Sum: 1e300, Max: math.Inf(1)}
	}
	return slo.Abort(o, worst) != ""
}

// objective parses an objective and checks the names in it.
func (d *decoder) objective(n *node, src string, parse func(string) (slo.Objective, error), s *Spec) *slo.Objective {
	o, err := parse(src)
	if err != nil {
		var p *slo.ParseError
		if errors.As(err, &p) {
			d.faultAt(n, p.Offset, p.Hint, "%s", p.Msg)
		} else {
			d.fault(n, "", "%s", err)
		}
		return nil
	}
	known := true
	check := func(what, name string, offset int, legal []string) {
		for _, l := range legal {
			if l == name {
				return
			}
		}
		if name != "" {
			known = false
			d.faultAt(n, offset, suggest(name, legal), "no %s is called %s", what, quote(name))
		}
	}
	for _, side := range []slo.MetricRef{{Selector: o.Selector, At: o.At}, o.Right} {
		sel, at := side.Selector, side.At
		check("endpoint", sel.Endpoint, at.Endpoint, s.endpointNames())
		check("persona", sel.Persona, at.Persona, s.personaNames())
		check("task", sel.Task, at.Task, s.taskNames(sel.Persona))
		check("stage", sel.Stage, at.Stage, s.stageNames())
	}
	if o.At.During != o.At.Stage {
		check("stage", o.During, o.At.During, s.stageNames())
	}
	check("stage", o.After, o.At.After, s.stageNames())
	if !known {
		return nil
	}
	return &o
}

// confidence decodes 95%, or off.
func (d *decoder) confidence(n *node) Confidence {
	if n.kind == stringKind && n.text == "off" {
		return Confidence{Off: true}
	}
	level := quantity(d, n, "confidence", ParsePercent)
	const least, most = 0.8, 0.999
	if _, err := ParsePercent(n.text); err == nil && (level < least || level > most) {
		d.fault(n, "write 95% or 99%, or off to compare point estimates", "%s", "a confidence lies between 80% and 99.9%")
	}
	return Confidence{Level: level}
}
