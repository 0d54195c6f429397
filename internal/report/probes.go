package report

import (
	"fmt"
	"math"
	"time"

	"tollgate/internal/measure"
	"tollgate/pkg/slo"
)

// Probe is what one probe answered, in columns of equal length, in the order of
// asking. Its values are bare numbers: the limit of an SLO gives them a unit.
type Probe struct {
	Name    string    `json:"name"`
	Counter bool      `json:"counter"` // it can only rise: a fall is a new beginning
	At      []float64 `json:"at"`      // seconds since the start of the run, below 0 before the load
	Value   []Number  `json:"value"`   // null: no answer
	Why     []string  `json:"why"`     // there was none; "" beside a value
}

func probes(all []measure.Readings) []Probe {
	out := []Probe{}
	for _, r := range all {
		p := Probe{Name: r.Probe, Counter: r.Counter, At: []float64{}, Value: []Number{}, Why: []string{}}
		for _, one := range r.List {
			p.At = append(p.At, time.Duration(one.At).Seconds())
			p.Value = append(p.Value, number(one.Value))
			p.Why = append(p.Why, one.Why)
		}
		out = append(out, p)
	}
	return out
}

// Readings returns what the probe answered in the form that evidence is made from.
func (p *Probe) Readings() *measure.Readings {
	r := &measure.Readings{Probe: p.Name, Counter: p.Counter, List: make([]measure.Reading, len(p.At))}
	for i := range p.At {
		r.List[i] = measure.Reading{At: nanoseconds(p.At[i]), Value: float64(p.Value[i]), Why: p.Why[i]}
	}
	return r
}

// nanoseconds is the inverse of Duration.Seconds for all that a run lasts.
func nanoseconds(seconds float64) int64 { return int64(math.Round(seconds * 1e9)) }

// check reports what makes the readings unusable.
func (p *Probe) check() error {
	if len(p.Value) != len(p.At) || len(p.Why) != len(p.At) {
		return fmt.Errorf("columns of %d values and %d reasons beside %d moments", len(p.Value), len(p.Why), len(p.At))
	}
	for i, at := range p.At {
		if i > 0 && at < p.At[i-1] {
			return fmt.Errorf("a reading at %v comes after one at %v", at, p.At[i-1])
		}
	}
	return nil
}

// summary is the probe in a few cells: its first, least, greatest and last
// value, and how many of its readings have none.
func (p *Probe) summary() []string {
	first, least, most, last := none, none, none, none
	silent := 0
	for _, v := range p.Value {
		if !v.Known() {
			silent++
			continue
		}
		if !first.Known() {
			first, least, most = v, v, v
		}
		least, most, last = min(least, v), max(most, v), v
	}
	out := []string{p.Name, count(uint64(len(p.At))), count(uint64(silent))}
	for _, v := range []Number{first, least, most, last} {
		if !v.Known() {
			out = append(out, "–")
			continue
		}
		out = append(out, slo.FormatValue(float64(v), slo.Count))
	}
	return out
}

var probeHeader = []string{"probe", "readings", "no answer", "first", "least", "most", "last"}

// probes is the table of what was read from the system's side.
func (s *screen) probes(d *Document) {
	if len(d.Probes) == 0 {
		return
	}
	t := table{header: append([]string{}, probeHeader...), left: 1}
	for i := range d.Probes {
		t.rows = append(t.rows, d.Probes[i].summary())
	}
	s.table(t)
	s.out.WriteByte('\n')
}

func (p *page) probes(d *Document) {
	if len(d.Probes) == 0 {
		return
	}
	p.printf("### Probes\n\n")
	var rows [][]string
	for i := range d.Probes {
		rows = append(rows, d.Probes[i].summary())
	}
	p.table("lrrrrrr", []string{"Probe", "Readings", "No answer", "First", "Least", "Most", "Last"}, rows)
}
