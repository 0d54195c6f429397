package measure

import (
	"fmt"
	"math"
	"time"

	"tollgate/pkg/slo"
)

// Readings are what one probe answered over a run, in the order of asking.
type Readings struct {
	Probe string
	// Counter says that the value can only rise: where it falls, what counts
	// has begun anew.
	Counter bool
	List    []Reading
}

// Reading is one answer of a probe, or that there was none.
type Reading struct {
	At    int64   // when it was asked for: nanoseconds since the start of the run, negative before it
	Value float64 // NaN: no answer
	Why   string  // there is no answer; "" beside a value
}

// answered tells whether the probe said a number.
func (r Reading) answered() bool { return !math.IsNaN(r.Value) && !math.IsInf(r.Value, 0) }

// Within returns the readings that were asked for in [start, end), NaN for one
// without an answer, and why the first of these has none.
func (r *Readings) Within(start, end int64) (values []float64, why string) {
	for _, one := range r.List {
		if one.At < start || one.At >= end {
			continue
		}
		if !one.answered() {
			values = append(values, math.NaN())
			if why == "" {
				why = one.Why
			}
			continue
		}
		values = append(values, one.Value)
	}
	return values, why
}

// Delta returns by how much the probe rose over a run that lasted so many
// nanoseconds: its last reading, if that was asked for after the drain, less
// its first, if that was asked for before the load. Where one of the two is
// missing, or a counter has fallen on the way, there is no value and a reason.
func (r *Readings) Delta(elapsed int64) slo.Total {
	none := func(format string, args ...any) slo.Total {
		return slo.Total{Why: "probe " + r.Probe + " " + fmt.Sprintf(format, args...)}
	}
	if len(r.List) == 0 {
		return none("was never read")
	}
	first, last := r.List[0], r.List[len(r.List)-1]
	switch {
	case first.At >= 0:
		return none("was not read before the load")
	case !first.answered():
		return none("did not answer before the load: %s", first.Why)
	case last.At < elapsed:
		return none("was not read after the drain")
	case !last.answered():
		return none("did not answer after the drain: %s", last.Why)
	}
	if r.Counter {
		before := first.Value
		for _, one := range r.List {
			if !one.answered() {
				continue
			}
			if one.Value < before {
				return none("counts upwards and fell from %s to %s, %s into the run: it began anew, and what it counted in between is unknown",
					slo.FormatValue(before, slo.Count), slo.FormatValue(one.Value, slo.Count), time.Duration(one.At).Round(time.Millisecond))
			}
			before = one.Value
		}
	}
	return slo.Total{Value: last.Value - first.Value, N: 2}
}
