package measure

import (
	"strings"
	"testing"
)

// seconds of a steady generator: 1,000 requests each.
func healthy(n int, change func(i int, h *Health)) []Health {
	out := make([]Health, n)
	for i := range out {
		out[i] = Health{At: int64(i+1) * 1e9, CPU: 0.3, LagP99: 0.0002, Sent: 1000, Judged: true}
		if change != nil {
			change(i, &out[i])
		}
	}
	return out
}

func TestValidityIsAboutTheGeneratorAlone(t *testing.T) {
	clean := Counts{Planned: 60_000, Issued: 60_000, Outcomes: [NumOutcomes]uint64{OK: 60_000}}
	for name, c := range map[string]struct {
		counts Counts
		health []Health
		limit  float64
		want   string // part of the reason; "" for valid
	}{
		"a quiet run":                       {clean, healthy(60, nil), 0.2, ""},
		"a target that collapses":           {Counts{Planned: 60_000, Issued: 30_000, NotIssued: 30_000, Outcomes: [NumOutcomes]uint64{Timeout: 30_000}}, healthy(60, nil), 0.2, ""},
		"one bad second of 200":             {clean, healthy(200, func(i int, h *Health) { h.LagP99 = pick(i == 7, 0.3, h.LagP99) }), 0.2, ""},
		"late in one of 20 seconds":         {clean, healthy(60, func(i int, h *Health) { h.LagP99 = pick(i%20 == 7, 0.3, h.LagP99) }), 0.2, "late by 300ms"},
		"late by more than a tight limit's": {clean, healthy(60, func(_ int, h *Health) { h.LagP99 = 0.012 }), 0.05, "more than 10ms"},
		"late, but little for the promise":  {clean, healthy(60, func(_ int, h *Health) { h.LagP99 = 0.05 }), 2, ""},
		"late, and no latency promised":     {clean, healthy(60, func(_ int, h *Health) { h.LagP99 = 0.3 }), 0, ""},
		"late only while ramping":           {clean, healthy(60, func(i int, h *Health) { h.Judged = i > 10; h.LagP99 = pick(i <= 10, 0.5, h.LagP99) }), 0.2, ""},
		"throttled":                         {clean, healthy(60, func(_ int, h *Health) { h.LagP99, h.Throttled = 0.08, 0.9 }), 0.2, "quota kept it waiting 90 %"},
		"a noisy neighbour":                 {clean, healthy(60, func(_ int, h *Health) { h.LagP99, h.Steal = 0.08, 0.3 }), 0.2, "a neighbour took 30 %"},
		"busy and late":                     {clean, healthy(1000, func(i int, h *Health) { h.CPU, h.LagP99 = 0.95, pick(i >= 5 && i < 10, 0.05, 0.0002) }), 0.2, "busy above 85 % for 5 s"},
		"busy and on time":                  {clean, healthy(60, func(_ int, h *Health) { h.CPU = 0.99 }), 0.2, ""},
		"ports ran out":                     {Counts{Planned: 1000, Issued: 1000, Outcomes: [NumOutcomes]uint64{OK: 998, Generator: 2}}, healthy(10, nil), 0.2, "2 of 1000 requests failed on this machine"},
		"1 own fault in 1000":               {Counts{Planned: 1000, Issued: 1000, Outcomes: [NumOutcomes]uint64{OK: 999, Generator: 1}}, healthy(10, nil), 0.2, ""},
		"most could not be sent":            {Counts{Planned: 1000, Issued: 1000, Outcomes: [NumOutcomes]uint64{OK: 500, Generator: 500}}, healthy(10, nil), 0.2, "only 50.0 %"},
	} {
		got := strings.Join(Validity(&Snapshot{Series: []Counts{c.counts}}, c.health, c.limit), "; ")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func pick(cond bool, a, b float64) float64 {
	if cond {
		return a
	}
	return b
}

func TestOneBadSecondOfSixtyIsNotALateGenerator(t *testing.T) {
	health := healthy(60, func(i int, h *Health) { h.LagP99 = pick(i == 7, 0.3, h.LagP99) })
	for _, c := range []struct {
		late int // of the 1,000 requests of the bad second
		want bool
	}{{20, false}, {599, false}, {700, true}} {
		r := NewRecorder(&Layout{})
		for i := range 60_000 {
			lag := int64(200e3)
			if i < c.late {
				lag = 300e6
			}
			r.Lag(lag)
		}
		s := r.Snapshot()
		s.Series = []Counts{{Planned: 60_000, Issued: 60_000, Outcomes: [NumOutcomes]uint64{OK: 60_000}}}
		if why := Validity(s, health, 0.2); (len(why) > 0) != c.want {
			t.Errorf("%d of 60,000 late: %q", c.late, why)
		}
	}
}
