package compare

import (
	"math"
	"strings"
	"testing"
)

func TestMovesAreTheChangesOfResults(t *testing.T) {
	a, b := loaded(t, 1, 40, 1, 0), loaded(t, 2, 40, 1.5, 0.002)
	moves, err := Moves(a, b, 0.95)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := Results(a, b, 0.95)
	if err != nil {
		t.Fatal(err)
	}
	if len(moves) != len(lines) {
		t.Fatalf("%d moves of %d lines", len(moves), len(lines))
	}
	for i, m := range moves {
		l := lines[i]
		if m.Row != l.Row || m.Method != l.Method {
			t.Errorf("%q %q beside %q %q", m.Method, m.Row, l.Method, l.Row)
		}
		for _, c := range []struct{ got, want float64 }{
			{float64(m.P95.Before), float64(l.Changes[1].A)}, {float64(m.P95.Change), float64(l.Changes[1].Change)},
			{float64(m.P99.After), float64(l.Changes[2].B)}, {float64(m.P99.Low), float64(l.Changes[2].Low)},
			{float64(m.Errors.Change), float64(l.Changes[3].Change)}, {float64(m.Errors.High), float64(l.Changes[3].High)},
		} {
			if c.got != c.want && !(math.IsNaN(c.got) && math.IsNaN(c.want)) {
				t.Errorf("%q: %v, want %v", m.Row, c.got, c.want)
			}
		}
	}
	if m := moves[1]; m.Before != a.Rows[1].Judged.Response.Count || m.After == 0 || m.P95.Change < 0.3 || m.P95.Low <= 0 {
		t.Errorf("half as slow again: %+v of %q", m, a.Rows[1].Name)
	}
	b.Record.Log = []byte{1}
	if _, err := Moves(a, b, 0.95); err == nil || !strings.Contains(err.Error(), "log") {
		t.Errorf("a log that is none: %v", err)
	}
}
