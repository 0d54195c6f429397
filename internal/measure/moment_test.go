package measure

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestBeyondCountsOnBothSidesOfTheLimitAndNeverGuesses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(0, 2*maxTime), 1, 40).Draw(t, "ns")
		limit := rapid.OneOf(rapid.SampledFrom(values), rapid.Int64Range(1, 2*maxTime)).Draw(t, "limit")
		h := newHistogram()
		exact := uint64(0)
		for _, ns := range values {
			h.add(ns, micros(ns))
			if ns >= limit {
				exact++
			}
		}
		fine, _ := h.hist(nil)
		coarse := fine
		coarse.Packed, coarse.Coarse = coarsen(fine.Packed), true
		for _, h := range []Hist{fine, coarse} {
			beyond, unknown := h.Beyond(limit)
			if beyond > exact || beyond+unknown < exact {
				t.Fatalf("%d values from %d ns on, and Beyond says %d to %d", exact, limit, beyond, beyond+unknown)
			}
		}
	})
}

func TestBeyondLeavesOnlyTheStraddlingBucketOpen(t *testing.T) {
	h := newHistogram()
	for _, us := range []int64{10, 150_000, 199_000, 200_000, 203_000, 500_000} {
		h.add(us*1000, us)
	}
	coarse, _ := h.hist(nil)
	coarse.Packed, coarse.Coarse = coarsen(coarse.Packed), true
	if beyond, unknown := coarse.Beyond(200_000_000); beyond != 2 || unknown != 1 {
		t.Errorf("beyond 200 ms: %d, unknown %d; want 2 and 1", beyond, unknown)
	}
	if beyond, unknown := coarse.Beyond(300_000_000); beyond != 1 || unknown != 0 {
		t.Errorf("beyond 300 ms: %d, unknown %d; want 1 and 0", beyond, unknown)
	}
}

func TestReadLogTellsWhatTimelineTells(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		steps := []Step{{Name: "a", Method: "GET"}, {Name: "b", Method: "GET"}, {Name: "a", Method: "GET", Persona: "other"}}
		l := NewLayout(steps, []Phase{{Stage: "s", Shape: "steady"}}, nil)
		l.Timeout = 10e9
		r := NewRecorder(l)
		r.Origin(0, 0)
		for range rapid.IntRange(0, 30).Draw(t, "requests") {
			due := rapid.Int64Range(0, 20e9).Draw(t, "due")
			o := rapid.SampledFrom([]Outcome{OK, Status, Aborted}).Draw(t, "outcome")
			r.Record(0, rapid.IntRange(0, 2).Draw(t, "step"), &Sample{Due: due, Begin: due, Sent: due + 1, First: due + 2, Done: due + rapid.Int64Range(2, 5e9).Draw(t, "took"), Outcome: o})
		}
		s := r.Snapshot()
		rows, rowOf := RowsOf(steps)
		if rows != 2 || !slices.Equal(rowOf, []int{0, 1, 0}) {
			t.Fatalf("%d rows, %v", rows, rowOf)
		}
		moments, err := ReadLog(s.Log, rows)
		if err != nil {
			t.Fatal(err)
		}
		var n, failed uint64
		for _, m := range moments {
			n += m.Requests
			failed += m.Failures
			if m.Response.Count > m.Requests-m.Failures {
				t.Fatalf("%+v", m)
			}
		}
		all := s.Select(func(Phase, Step) bool { return true })
		if n != all.Requests || failed != all.Failures {
			t.Fatalf("the log tells %d requests and %d failures, the series %d and %d", n, failed, all.Requests, all.Failures)
		}
		if _, err := ReadLog(s.Log, 0); err == nil && len(s.Log) > 0 {
			t.Fatal("a log of rows that there are not was read")
		}
	})
}
