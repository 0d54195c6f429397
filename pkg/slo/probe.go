package slo

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Names are the names that a spec declares and that an objective may use as
// metrics.
type Names struct {
	Probes []string // probes; only those that IsProbeName accepts can be meant
}

const probeNameRule = "a probe's name holds letters, digits and _, does not begin with a digit, and is no word of the language"

// IsProbeName tells whether a probe may be called so: letters a-z and A-Z,
// digits and _, not a digit first, and no word that means something else where
// a metric or a value stands.
func IsProbeName(name string) bool {
	other := func(r rune) bool { return !isMetricRune(r) || r == '.' }
	if name == "" || name[0] >= '0' && name[0] <= '9' || strings.ContainsFunc(name, other) {
		return false
	}
	if spellsNoNumber(name) || name == "baseline" || slices.Contains(keywords, name) {
		return false
	}
	p := parser{src: name, names: Names{Probes: []string{name}}}
	m, err := p.metric()
	return err == nil && m.Kind == Probe
}

// spellsNoNumber tells whether a word is what programs write for no number.
func spellsNoNumber(word string) bool {
	switch strings.ToLower(word) {
	case "nan", "inf", "infinity", "∞":
		return true
	}
	return false
}

// probeFault asks whether a metric that has no series is asked for one.
func (o Objective) probeFault() *fault {
	labelled := o.Selector
	if o.Metric.Kind == Probe {
		labelled.Stage = "" // readings belong to a stage, and to nothing else
	}
	switch {
	case o.Metric.probed() && labelled != Selector{}:
		return &fault{inSelector, fmt.Sprintf("%v is a probe, and has no %s", o.Metric, labelled.first()), fmt.Sprintf("write %v without a selector", o.Metric)}
	case o.Right.Metric.probed() && o.Right.Selector != Selector{}:
		return &fault{inRightSelector, fmt.Sprintf("%v is a probe, and has no %s", o.Right.Metric, o.Right.Selector.first()), fmt.Sprintf("write %v without a selector", o.Right.Metric)}
	}
	return nil
}

// judgeProbe decides on the readings of a probe: the promise must hold at
// each. A reading that failed cannot pass, but one that breaks the promise has
// broken it whatever the others were.
func judgeProbe(c Claim, ev Evidence, _ Options) Result {
	o := c.Objective
	if f := o.fault(); f != nil {
		return unjudged(c, ev, "not a promise: "+f.msg)
	}
	limit := exactLimit(o.Limit, o.Unit)
	worst, broken, unread := math.NaN(), 0, 0
	for _, v := range ev.Gauge {
		if !finite(v) {
			unread++
			continue
		}
		holds := o.Op.holds(exact(v).Cmp(limit))
		if !holds {
			broken++
		}
		if math.IsNaN(worst) || o.Op.worse(v, worst) || !holds && o.Op.holds(exact(worst).Cmp(limit)) {
			worst = v
		}
	}
	all := len(ev.Gauge)
	because := ""
	if ev.Unread != "" {
		because = ", for one: " + ev.Unread
	}
	switch {
	case all == 0:
		return unjudged(c, ev, "no reading of the probe fell into the scope")
	case unread == all:
		return unjudged(c, ev, "the probe never answered"+because)
	case broken == 0 && unread > 0:
		return unjudged(c, ev, fmt.Sprintf("the probe did not answer in %d of %d readings%s", unread, all, because))
	}
	r := Result{Claim: c, Verdict: passIf(broken == 0)}
	text := beside(exact(worst), limit, o.Unit)
	why := fmt.Sprintf("%v %s, the worst of %d readings", o.Metric, text, all)
	if all == 1 {
		why = fmt.Sprintf("%v %s, the only reading", o.Metric, text)
	}
	if broken > 0 {
		why += fmt.Sprintf(", %d broken", broken)
	}
	return r.found(worst, text, why)
}

// worse tells whether a value is harder on a bound than another; no value is
// for == and !=.
func (op Op) worse(a, b float64) bool {
	switch op {
	case LT, LE:
		return a > b
	case GT, GE:
		return a < b
	}
	return false
}
