package compare

import "tollgate/internal/report"

// Moves returns how run b differs from a stored run a, for the report of b: of
// all rows but set-up and of each row that both have, p95, p99 and errors as
// Results has them. They must be alike: see Unlike.
func Moves(a, b *report.Document, confidence float64) ([]report.Move, error) {
	lines, err := Results(a, b, confidence)
	if err != nil {
		return nil, err
	}
	moves := make([]report.Move, len(lines))
	for i, l := range lines {
		m := &moves[i]
		m.Row, m.Method = l.Row, l.Method
		m.Before, m.After = judgedOf(a, l), judgedOf(b, l)
		for _, s := range l.Changes {
			change := report.Change{Before: s.A, After: s.B, Change: s.Change, Low: s.Low, High: s.High}
			switch s.Metric {
			case "p95":
				m.P95 = change
			case "p99":
				m.P99 = change
			case "errors":
				m.Errors = change
			}
		}
	}
	return moves, nil
}

// judgedOf is how many requests of a line were judged.
func judgedOf(d *report.Document, l Line) uint64 {
	if l.Row == "" && l.Method == "" {
		return d.Total.Judged.Response.Count
	}
	for i := range d.Rows {
		if r := &d.Rows[i]; !r.Setup && r.Name == l.Row && r.Method == l.Method {
			return r.Judged.Response.Count
		}
	}
	return 0
}
