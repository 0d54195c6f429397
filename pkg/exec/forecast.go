package exec

import (
	"math"
	"time"

	"tollgate/pkg/slo"
	"tollgate/pkg/spec"
)

// Forecast is what a plan would do, without doing it.
type Forecast struct {
	Latency     time.Duration // assumed for every request
	Duration    time.Duration // without the waits for set-up
	Until       bool          // a stage may end earlier, when its limit is found
	Connections int           // open at once, at most
	Files       int           // descriptors that this process needs
	Stages      []StageForecast
	Rows        []RowForecast
	Claims      []ClaimForecast
}

// StageForecast is one stage over time.
type StageForecast struct {
	Name  string
	Shape spec.Shape
	Open  bool
	Pool  int // open: users ready before the stage begins
	Most  int // open: users that the pool may grow to
	Parts []PartForecast
}

// PartForecast is a stretch of a stage.
type PartForecast struct {
	Moving    bool
	Over      time.Duration
	Level     float64 // at its end: users, or arrivals per second
	ByPersona []int   // closed: users of each persona at its end
	Expected  float64 // arrivals or tasks
}

// RowForecast is how many requests a row of the report may expect. A step with
// a condition counts as if it always held.
type RowForecast struct {
	Name, Method string
	Setup        bool
	All          float64 // in the whole run; +Inf: as fast as the target answers
	Judged       float64 // in steady and spike holds
}

// ClaimForecast is how many samples a claim may expect.
type ClaimForecast struct {
	Claim   slo.Claim
	Samples float64
}

// Forecast computes what the plan expects when every request takes latency.
func (p *Plan) Forecast(latency time.Duration) Forecast {
	f := Forecast{Latency: latency, Connections: p.connections(), Files: p.connections() + reservedFiles}
	series := make([]float64, len(p.Layout.Phases)*len(p.Layout.Steps))
	count := func(phase int, k *call, n float64) { series[phase*len(p.Layout.Steps)+k.step] += n }

	for _, k := range p.before {
		count(phaseMoving(0), k, 1)
	}
	for _, k := range p.after {
		count(p.phaseDrain(), k, 1)
	}
	for no := range p.stages {
		st := &p.stages[no]
		sf := StageForecast{Name: st.name, Shape: st.shape, Open: st.open, Pool: sum(st.pool), Most: st.most}
		f.Until = f.Until || st.until != nil
		begin := 0.0
		for _, pt := range st.parts {
			phase := phaseHold(no)
			switch {
			case pt.back:
				phase = phaseBack(no)
			case pt.moving:
				phase = phaseMoving(no)
			}
			pf := PartForecast{Moving: pt.moving, Over: pt.over, Level: pt.level}
			if !st.open {
				pf.ByPersona = pt.to
			}
			f.Duration += pt.over
			for i := range p.personas {
				pe := &p.personas[i]
				came, went := 0.0, 0.0
				if pt.from != nil {
					d := float64(pt.to[i] - pt.from[i])
					came, went = max(d, 0), max(-d, 0)
				}
				for _, k := range pe.onStart {
					count(phase, k, came)
				}
				for _, k := range pe.onStop {
					count(phase, k, went)
				}
				for _, k := range pe.refresh {
					if pt.from != nil {
						count(phase, k, float64(pt.from[i]+pt.to[i])/2*pt.over.Seconds()/time.Duration(pe.refreshEvery).Seconds())
					}
				}
				if st.shape == spec.Pause {
					continue
				}
				tasks := 0.0
				if st.open {
					tasks = (st.profile.expected(begin+pt.over.Seconds()) - st.profile.expected(begin)) * float64(st.draw[i]) / float64(sum(st.draw))
				} else if seconds := float64(pt.from[i]+pt.to[i]) / 2 * pt.over.Seconds(); seconds > 0 {
					tasks = seconds / pe.cycle(latency).Seconds()
				}
				pf.Expected += tasks
				for _, t := range pe.tasks {
					for _, k := range t.calls {
						if t.weight > 0 && tasks > 0 {
							count(phase, k, tasks*float64(t.weight)/float64(pe.weights))
						}
					}
				}
			}
			begin += pt.over.Seconds()
			sf.Parts = append(sf.Parts, pf)
		}
		f.Stages = append(f.Stages, sf)
	}

	at := map[string]int{}
	for s, step := range p.Layout.Steps {
		key := step.Method + " " + step.Name
		if step.Setup {
			key = "setup " + key
		}
		i, ok := at[key]
		if !ok {
			i = len(f.Rows)
			at[key] = i
			f.Rows = append(f.Rows, RowForecast{Name: step.Name, Method: step.Method, Setup: step.Setup})
		}
		for ph, phase := range p.Layout.Phases {
			n := series[ph*len(p.Layout.Steps)+s]
			f.Rows[i].All += n
			if judgedByDefault(phase.Shape) && !phase.Moving {
				f.Rows[i].Judged += n
			}
		}
	}
	for i, claim := range p.Layout.Claims {
		cf := ClaimForecast{Claim: claim}
		for _, s := range p.Layout.SeriesOf(i) {
			cf.Samples += series[s]
		}
		f.Claims = append(f.Claims, cf)
	}
	return f
}

// cycle is how long a user takes for one task and the pause after it, on average.
func (pe *persona) cycle(latency time.Duration) time.Duration {
	steps := 0.0
	for _, t := range pe.tasks {
		steps += float64(t.weight) * float64(len(t.calls))
	}
	busy := time.Duration(math.Round(steps / float64(max(pe.weights, 1)) * float64(latency)))
	if pe.pace > 0 {
		return max(busy, time.Duration(pe.pace))
	}
	if pe.think.Mean > 0 {
		return busy + pe.think.Mean
	}
	return busy + (pe.think.Min+max(pe.think.Min, pe.think.Max))/2
}

// judgedByDefault reports whether objectives without `during` cover a shape.
func judgedByDefault(shape string) bool {
	return shape == string(spec.Steady) || shape == string(spec.Spike)
}
