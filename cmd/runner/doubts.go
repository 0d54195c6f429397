package main

import (
	"fmt"
	"math"
	"time"

	"tollgate/pkg/exec"
	"tollgate/pkg/slo"
	"tollgate/pkg/spec"
)

// A doubt is a promise of a valid spec that its load can hardly keep or prove,
// or that is missing.
type doubt struct {
	pos  spec.Pos
	msg  string
	hint string
}

// doubts compares each promise with what the plan expects when every request
// takes latency.
func doubts(p *exec.Plan, latency time.Duration) []doubt {
	likely, most := p.Forecast(latency), p.Forecast(0)
	var out []doubt
	decides := false
	for i, c := range likely.Claims {
		if c.Claim.Guard {
			continue
		}
		decides = decides || !c.Claim.Advisory
		hold := holdOf(&likely, p, i)
		msg, hint := doubtful(&c, most.Claims[i].Samples, hold)
		if msg != "" {
			where := ""
			if c.Claim.Stage != "" && c.Claim.Objective.During == "" {
				where = " on " + c.Claim.Stage
			}
			out = append(out, doubt{position(p.Spec, c.Claim.Objective), c.Claim.Objective.Text + where + " " + msg, hint})
		}
	}
	if !decides {
		out = append(out, doubt{spec.Pos{File: p.Spec.File, Line: 1, Col: 1}, "the spec promises nothing that decides: a run of it ends with exit code 4", "add an SLO, as in slos: [p95 < 200ms]"})
	}
	return out
}

// hold is what a claim's stage holds.
type hold struct {
	open    bool
	seconds float64
	rate    float64 // open: arrivals per second, at most
	users   float64 // closed: of the persona that the claim names, or all
}

func holdOf(f *exec.Forecast, p *exec.Plan, claim int) hold {
	c := f.Claims[claim].Claim
	var h hold
	for _, st := range f.Stages {
		if st.Name != c.Stage {
			continue
		}
		h.open = st.Open
		for _, pt := range st.Parts {
			if pt.Moving && !c.Objective.IncludingRamps {
				continue
			}
			h.seconds += pt.Over.Seconds()
			if st.Open {
				h.rate = max(h.rate, pt.Level)
			}
			users := 0
			for i, n := range pt.ByPersona {
				if who := c.Objective.Selector.Persona; who == "" || who == p.Spec.Personas[i].Name {
					users += n
				}
			}
			h.users = max(h.users, float64(users))
		}
	}
	return h
}

// doubtful says why a claim can hardly be kept or proven, or "". most is how
// many requests it sees if every answer comes at once.
func doubtful(c *exec.ClaimForecast, most float64, h hold) (msg, hint string) {
	o := &c.Claim.Objective
	atLeast := o.Op == slo.GT || o.Op == slo.GE
	// beyond tells whether a level that is never passed is too low for the limit.
	beyond := func(level float64) bool { return level < o.Limit || o.Op == slo.GT && level == o.Limit }
	switch m := o.Metric; {
	case m.Kind == slo.Quantile:
		if need := leastProof(m.Q); c.Samples < need {
			return fmt.Sprintf("will see about %s requests, and a proof takes %s of them", countText(math.Round(c.Samples)), countText(need)),
				"hold the stage longer, or promise a lower quantile"
		}
	case m.Kind == slo.Throughput && atLeast && h.seconds > 0:
		bound := most / h.seconds
		switch {
		case beyond(bound):
			return fmt.Sprintf("cannot hold: even if every answer came at once it would see %s", rateText(bound)), "raise the level, or shorten the think time"
		case h.open && o.Limit >= bound*(1-1e-9):
			return fmt.Sprintf("cannot be proven: the stage offers no more than %s", rateText(bound)), "promise a little less than what is offered"
		}
	case (m.Kind == slo.Requests || m.Kind == slo.Successes) && atLeast:
		if beyond(most) {
			return fmt.Sprintf("cannot hold: even if every answer came at once it would see %s", countText(math.Round(most))), "hold the stage longer, or raise its level"
		}
	case m.Kind == slo.Users && atLeast && !h.open:
		if beyond(h.users) {
			return fmt.Sprintf("cannot hold: the stage holds %s", countText(h.users)), "raise the level of the stage"
		}
	}
	return "", ""
}

// leastProof is how many independent requests, all of them good, it takes to
// claim with 95 % confidence that at least the ratio q of requests are good:
// the least n for which q^n is at most 5 %. 59 for p95, 299 for p99.
func leastProof(q float64) float64 {
	if q <= 0 || q >= 1 {
		return 1
	}
	return math.Ceil(math.Log(0.05) / math.Log(q))
}

// position finds an objective in the spec's file.
func position(s *spec.Spec, o slo.Objective) spec.Pos {
	for _, promise := range s.SLOs {
		if promise.Objective == o {
			return promise.Pos
		}
	}
	return spec.Pos{File: s.File, Line: 1, Col: 1}
}
