package measure

import (
	"cmp"
	"slices"
)

// Row is what some series counted together: a line of a report.
type Row struct {
	Name, Method string
	Setup        bool

	Planned, NotIssued, Skipped uint64

	Requests uint64 // that ended, however
	OK       uint64
	Failures uint64
	Aborted  uint64
	Lost     uint64
	Outcomes [NumOutcomes]uint64

	BytesIn, BytesOut uint64

	Response Hist // failures and arrivals never sent are its Inf
	Service  Hist // failures are its Inf
	Success  Hist // response times of the successes alone
	Connect  Hist // of successes that needed a connection
	Failed   Hist // ages of failures
}

// Rows returns a row for each distinct name and method, set-up apart, over the
// whole run, in the order of the steps.
func (s *Snapshot) Rows() []Row { return s.rowsIn(func(Phase) bool { return true }) }

// JudgedRows is Rows over the holds of judged stages: the phases that claims
// which name no stage can count.
func (s *Snapshot) JudgedRows() []Row { return s.rowsIn(Phase.Judged) }

func (s *Snapshot) rowsIn(in func(Phase) bool) []Row {
	keys, _ := rowsOf(s.Layout.Steps)
	rows := make([]Row, len(keys))
	for i, k := range keys {
		rows[i] = s.Select(func(p Phase, step Step) bool {
			return in(p) && k == rowKey{step.Name, step.Method, step.Setup}
		})
		rows[i].Name, rows[i].Method, rows[i].Setup = k.name, k.method, k.setup
	}
	return rows
}

// Select adds up the series that in accepts. The row has no name.
func (s *Snapshot) Select(in func(Phase, Step) bool) Row {
	var sum Counts
	for p, phase := range s.Layout.Phases {
		for n, step := range s.Layout.Steps {
			if in(phase, step) {
				sum.merge(&s.Series[p*len(s.Layout.Steps)+n])
			}
		}
	}
	r := Row{
		Planned: sum.Planned, NotIssued: sum.NotIssued, Skipped: sum.Skipped,
		OK: sum.Outcomes[OK], Failures: sum.Failures(), Aborted: sum.Outcomes[Aborted], Lost: sum.Lost,
		Outcomes: sum.Outcomes, BytesIn: sum.BytesIn, BytesOut: sum.BytesOut,
		Response: sum.Response, Service: sum.Service, Success: sum.Response, Connect: sum.Connect, Failed: sum.Failed,
	}
	r.Requests = r.OK + r.Failures + r.Aborted
	r.Response.Inf = r.Failures + r.NotIssued
	r.Service.Inf = r.Failures
	return r
}

// Second is what was due in one second of one row, for charts.
type Second struct {
	Row, Method string // both empty: all rows but set-up
	Setup       bool
	Second      int64 // since the start of the run
	Requests    uint64
	Failures    uint64
	NotIssued   uint64
	// Response times in seconds, to 2 digits; failures and arrivals never sent
	// count as +Inf, and NaN is no data.
	P50, P95, P99 float64
}

// Timeline returns every second in which something was due, ascending, the sum
// of all rows first and then each row in the order of the steps. A snapshot
// from elsewhere goes through Merge first, which refuses a malformed log.
func (s *Snapshot) Timeline() []Second {
	rows, _ := rowsOf(s.Layout.Steps)
	points := appendPoints(nil, s.Log)
	slices.SortStableFunc(points, func(a, b point) int { return cmp.Compare(a.second, b.second) })
	var out []Second
	for len(points) > 0 {
		n := 1
		for n < len(points) && points[n].second == points[0].second {
			n++
		}
		total, spare := point{second: points[0].second}, []byte(nil)
		at := len(out)
		out = append(out, Second{})
		seen := false
		for _, p := range points[:n] {
			row := rows[p.row]
			second := p.summary()
			second.Row, second.Method, second.Setup = row.name, row.method, row.setup
			out = append(out, second)
			if row.setup {
				continue
			}
			seen = true
			total.requests += p.requests
			total.failures += p.failures
			total.notIssued += p.notIssued
			total.packed, spare = mergePacked(spare[:0], total.packed, p.packed), total.packed
		}
		out[at] = total.summary()
		if !seen {
			out = slices.Delete(out, at, at+1)
		}
		points = points[n:]
	}
	return out
}

func (p *point) summary() Second {
	h := Hist{Coarse: true, Packed: p.packed, Count: total(p.packed), Inf: p.failures + p.notIssued, Max: maxTime}
	return Second{
		Second: p.second, Requests: p.requests, Failures: p.failures, NotIssued: p.notIssued,
		P50: h.Quantile(0.50), P95: h.Quantile(0.95), P99: h.Quantile(0.99),
	}
}
