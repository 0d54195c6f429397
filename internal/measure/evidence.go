package measure

import (
	"math"
	"slices"

	"tollgate/pkg/slo"
)

// Evidence returns what is known about claim i, whose scope lasted the given
// seconds. gauge is the metric of a Users claim, one value a second, and nil
// for all others.
//
// What N and Bad of a slot are, by metric:
//
//	latency, within  N: requests and arrivals never sent; Bad: failed, never sent, or slower than the limit
//	                 (with ok.: N successes; connect.: N those that needed a connection)
//	errors           N: requests that ended; Bad: those that failed, in the class if it names one
//	throughput, successes  N: requests that ended; Bad: those that failed
//	requests         N: requests
//	dropped          N: requests and arrivals never sent; Bad: never sent
//	bytes_in, _out   N: requests; Sum: bytes
func (s *Snapshot) Evidence(i int, seconds float64, gauge []float64) slo.Evidence {
	claim := &s.Layout.Claims[i]
	counted := &s.Claims[i]
	e := slo.Evidence{
		Slots:    slots(claim, counted.Slots),
		Seconds:  seconds,
		Lost:     counted.Lost,
		Observed: s.observed(i, seconds, gauge),
		Gauge:    gauge,
	}
	if o := &claim.Objective; o.OverRun() {
		e.Left = s.total(slo.MetricRef{Metric: o.Metric, Selector: o.Selector})
		e.Right = s.total(o.Right)
	} else if o.Metric.Kind == slo.Quantile {
		h := s.scoped(i)
		n := uint64(0)
		for _, slot := range counted.Slots {
			n += slot.N
		}
		h.Inf = n - min(h.Count, n)
		e.Quantile = h.Quantile
	}
	// A scope's silent end is data too: it has slots, and they are empty.
	if missing := int(math.Ceil(min(max(seconds, 0), maxSecond))) - len(e.Slots); missing > 0 {
		e.Slots = append(e.Slots, make([]slo.Slot, missing)...)
	}
	return e
}

// TotalOf tells which steps a total of the run is about: the tasks' steps that
// are selected, or those of set-up where it selects nothing else.
func TotalOf(steps []Step, sel slo.Selector) []bool {
	in, setup := make([]bool, len(steps)), make([]bool, len(steps))
	works := false
	for i, s := range steps {
		selected := slo.Matches(sel, "", s.Persona, s.Task, s.Endpoint, s.Name)
		in[i], setup[i] = selected && !s.Setup, selected && s.Setup
		works = works || in[i]
	}
	if works {
		return in
	}
	return setup
}

// total adds a metric up over the whole run, as relations compare it. What is
// not a count of requests (a probe) is nothing that a snapshot knows.
func (s *Snapshot) total(ref slo.MetricRef) (t slo.Total) {
	var c Counts
	in := TotalOf(s.Layout.Steps, ref.Selector)
	for p := range s.Layout.Phases {
		for n := range s.Layout.Steps {
			if in[n] {
				c.merge(&s.Series[p*len(s.Layout.Steps)+n])
			}
		}
	}
	ended := c.Outcomes[OK] + c.Failures()
	t.N, t.Lost = ended, c.Lost+c.Outcomes[Aborted]
	switch ref.Metric.Kind {
	case slo.Successes:
		t.Value = float64(c.Outcomes[OK])
	case slo.Requests:
		t.Value, t.N, t.Lost = float64(ended+c.Outcomes[Aborted]), ended+c.Outcomes[Aborted], c.Lost
	case slo.Dropped:
		t.Value, t.N, t.Lost = float64(c.NotIssued), ended+c.NotIssued, 0
	case slo.BytesIn:
		t.Value = float64(c.BytesIn)
	case slo.BytesOut:
		t.Value = float64(c.BytesOut)
	default:
		return slo.Total{}
	}
	return t
}

func (s *Snapshot) observed(i int, duration float64, gauge []float64) float64 {
	o := &s.Layout.Claims[i].Objective
	var t SlotCount
	for _, slot := range s.Claims[i].Slots {
		t.merge(slot)
	}
	if o.OverRun() {
		return s.total(slo.MetricRef{Metric: o.Metric, Selector: o.Selector}).Value
	}
	if o.Metric.Kind == slo.Users {
		return worst(o.Op, gauge)
	}
	if t.N == 0 {
		return math.NaN()
	}
	switch o.Metric.Kind {
	case slo.Quantile:
		h := s.scoped(i)
		h.Inf = t.N - min(h.Count, t.N)
		return h.Quantile(o.Metric.Q)
	case slo.Max:
		return maximum(t.Max)
	case slo.Mean:
		return float64(t.Sum) / 1e9 / float64(t.N)
	case slo.Errors:
		return float64(t.Bad) / float64(t.N)
	case slo.Within:
		return float64(t.N-t.Bad) / float64(t.N)
	case slo.Throughput:
		if duration <= 0 {
			return math.NaN()
		}
		return float64(t.N-t.Bad) / duration
	case slo.Successes:
		return float64(t.N - t.Bad)
	case slo.Requests:
		return float64(t.N)
	case slo.Dropped:
		if o.Unit == slo.Ratio {
			return float64(t.Bad) / float64(t.N)
		}
		return float64(t.Bad)
	case slo.BytesIn, slo.BytesOut:
		return float64(t.Sum)
	}
	return math.NaN()
}

// scoped merges the successes of every series that claim i counts, by its clock.
func (s *Snapshot) scoped(i int) Hist {
	claim := &s.Layout.Claims[i]
	var out Hist
	for p, phase := range s.Layout.Phases {
		for n, step := range s.Layout.Steps {
			if !s.Layout.counted(i, phase, step) {
				continue
			}
			c := &s.Series[p*len(s.Layout.Steps)+n]
			switch claim.Objective.Metric.Clock {
			case slo.Response:
				out.Merge(&c.Response)
			case slo.Service:
				out.Merge(&c.Service)
			case slo.TTFB:
				out.Merge(&c.TTFB)
			case slo.Connect:
				out.Merge(&c.Connect)
			}
		}
	}
	return out
}

// worst is the value of a gauge that a comparison is hardest on.
func worst(op slo.Op, gauge []float64) float64 {
	switch {
	case len(gauge) == 0:
		return math.NaN()
	case op == slo.LT || op == slo.LE:
		return slices.Max(gauge)
	}
	return slices.Min(gauge)
}

// slots converts a claim's slots to base units.
func slots(claim *slo.Claim, counted []SlotCount) []slo.Slot {
	out := make([]slo.Slot, len(counted))
	for i, c := range counted {
		out[i] = slo.Slot{N: c.N, Bad: c.Bad, Sum: float64(c.Sum), Max: maximum(c.Max)}
		if claim.Objective.Metric.Kind == slo.Mean {
			out[i].Sum /= 1e9
		}
	}
	return out
}

func maximum(ns int64) float64 {
	if ns == infinite {
		return math.Inf(1)
	}
	return seconds(ns)
}
