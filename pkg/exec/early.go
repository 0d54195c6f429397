package exec

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"tollgate/internal/measure"
	"tollgate/pkg/slo"
	"tollgate/pkg/spec"
)

// holdUntilDecided holds a part until its stage's objectives are decided,
// looking only at the moments that slo.Looks declares, and at most to its end.
// It returns when the part ends; false when the run does.
func (c *conductor) holdUntilDecided(ctx context.Context, st *stage, pt part, start int64) (end int64, ok bool) {
	looks := slo.Looks(pt.least, pt.over, c.confidence())
	for _, look := range looks[:len(looks)-1] {
		if !c.wait(ctx, start+int64(look.At), nil) {
			return 0, false
		}
		if c.decided(st.name, start, look) {
			c.looks[st.name] = look.Confidence
			return c.now() + partLead, true
		}
	}
	if !c.wait(ctx, c.partEnd-cueLead, nil) {
		return 0, false
	}
	c.looks[st.name] = looks[len(looks)-1].Confidence
	return max(c.partEnd, c.now()+partLead), true
}

func (c *conductor) confidence() float64 {
	if k := c.plan.Spec.Confidence; !k.Off && k.Level > 0 {
		return k.Level
	}
	return slo.DefaultConfidence
}

// decided reports whether every objective that decides on a stage is kept or
// broken by what is known at a look. What is in flight may turn out either way.
func (c *conductor) decided(stage string, start int64, look slo.Look) bool {
	var claims []slo.Claim
	var evidence []slo.Evidence
	for i, claim := range c.plan.Layout.Claims {
		if claim.Stage != stage || claim.Advisory || claim.Objective.After != "" {
			continue
		}
		slots, inFlight := c.slots(i)
		e := slo.Evidence{
			Slots: slots[:min(len(slots), int(look.At/time.Second))], Seconds: look.At.Seconds(),
			Lost: inFlight, Observed: seen(slots),
		}
		for _, g := range c.gauges {
			if g.At >= start && claim.Objective.Metric.Kind == slo.Users {
				e.Gauge = append(e.Gauge, float64(c.plan.activeOf(g, claim.Objective.Selector.Persona)))
				e.Observed = slices.Min(e.Gauge)
			}
		}
		if claim.Objective.Metric.Kind == slo.Probe && c.readings != nil {
			e.Gauge, e.Unread = readingsOf(claim.Objective.Metric.Name, c.readings(c.zero)).Within(start, c.now())
		}
		claims, evidence = append(claims, claim), append(evidence, e)
	}
	options := slo.Options{Confidence: look.Confidence, Off: c.plan.Spec.Confidence.Off}
	for _, r := range slo.Judge(claims, evidence, options).Results {
		if r.Verdict != slo.Pass && r.Verdict != slo.Fail {
			return false
		}
	}
	return true
}

// seen stands for an observed value where only counters decide: a number if
// there is data, so that data is not taken for none.
func seen(slots []slo.Slot) float64 {
	var all slo.Slot
	for _, s := range slots {
		all = all.Add(s)
	}
	if all.N == 0 {
		return math.NaN()
	}
	return all.Max
}

// slots collects a claim's counters from all loops, with the requests in flight.
func (c *conductor) slots(claim int) (slots []slo.Slot, inFlight uint64) {
	for i, d := range c.drivers {
		d.do(func() {
			inFlight += uint64(c.casts[i].inFlight)
			for k, s := range c.casts[i].rec.ClaimSlots(claim) {
				if k == len(slots) {
					slots = append(slots, slo.Slot{})
				}
				slots[k] = slots[k].Add(s)
			}
		})
	}
	return slots, inFlight
}

// giveUp ends the run when a promise with `abort` is certain to be broken, or
// when the target is down. It is asked once a second, in holds that are judged.
func (c *conductor) giveUp(now int64) {
	if c.part == nil || c.part.moving || now <= c.began {
		return
	}
	st := &c.plan.stages[c.stageNo]
	if !judgedByDefault(string(st.shape)) && st.shape != spec.Warmup {
		return
	}
	armed := false
	for i, claim := range c.plan.Layout.Claims {
		if !claim.Abort {
			continue
		}
		armed = true
		if claim.Stage != st.name || claim.Setup || !claim.Objective.Plain() {
			continue
		}
		// The last second is not complete: slow requests of it are in flight.
		complete := int((now-c.began)/int64(time.Second)) - 1
		slots, _ := c.slots(i)
		if why := slo.Abort(claim.Objective, slots[:max(0, min(len(slots), complete))]); why != "" {
			c.aborted = fmt.Sprintf("%s on %s is certain to be broken: %s", claim.Objective.Text, st.name, why)
			return
		}
	}
	if !armed {
		return
	}
	ended, unconnected := make([]slo.Slot, len(c.recent)), make([]slo.Slot, len(c.recent))
	for i := range c.recent {
		l := &c.recent[i]
		ended[i] = slo.Slot{N: l.Requests, Bad: l.Failures}
		unconnected[i] = slo.Slot{N: l.Requests, Bad: l.Refused}
	}
	if c.aborted = slo.Unreachable(unconnected); c.aborted == "" {
		c.aborted = slo.Collapsed(ended)
	}
}

// giveUpOnUs ends a run that can no longer be judged: more requests have failed
// on this machine than a valid run may have in all, even if the rest of the plan
// goes on at this rate without another one.
func (c *conductor) giveUpOnUs(now int64) {
	const least, seconds = 20, 3
	if c.aborted != "" || c.part == nil || now <= c.began || c.own < least || now < int64(seconds*time.Second) {
		return
	}
	whole := max(1, c.planned.Seconds()/time.Duration(now).Seconds())
	if float64(c.own) > 2*measure.OwnFaultsMost*float64(c.ended)*whole {
		c.aborted = fmt.Sprintf("%d of %d requests failed on this machine (ports, descriptors or memory ran out), and the run can no longer be judged", c.own, c.ended)
	}
}

// length is how long the plan lasts, without the waits for set-up.
func (p *Plan) length() (d time.Duration) {
	for i := range p.stages {
		for _, pt := range p.stages[i].parts {
			d += pt.over
		}
	}
	return d
}

// activeOf returns how many users of a persona were active, of all for "".
func (p *Plan) activeOf(g Gauge, persona string) (n int) {
	for i, active := range g.Active {
		if persona == "" || persona == p.personas[i].name {
			n += active
		}
	}
	return n
}
