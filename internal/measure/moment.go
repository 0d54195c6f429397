package measure

import "math"

// Moment is one second of one row, as a Snapshot's Log keeps it.
type Moment struct {
	Row       int   // as in RowsOf
	Second    int64 // since the start of the run
	Requests  uint64
	Failures  uint64
	NotIssued uint64
	// Response is of the successes, coarse: of its Sum and Min nothing is known.
	// What is neither in it nor a failure was in flight when the run ended.
	Response Hist
}

// ReadLog reads the log of a Snapshot of so many rows, as it was stored, and
// refuses a malformed one.
func ReadLog(log []byte, rows int) ([]Moment, error) {
	points, err := decodeLog(log, rows)
	if err != nil {
		return nil, err
	}
	out := make([]Moment, len(points))
	for i := range points {
		out[i] = points[i].moment()
	}
	return out, nil
}

func (p *point) moment() Moment {
	return Moment{
		Row: p.row, Second: p.second, Requests: p.requests, Failures: p.failures, NotIssued: p.notIssued,
		Response: Hist{Coarse: true, Packed: p.packed, Count: total(p.packed), Max: maxTime},
	}
}

// RowsOf returns the number of distinct rows of some steps, and the row that
// each step belongs to: an index into Snapshot.Rows.
func RowsOf(steps []Step) (rows int, rowOf []int) {
	keys, rowOf := rowsOf(steps)
	return len(keys), rowOf
}

// Edges returns the least and the greatest microsecond of a bucket of h.
func (h *Hist) Edges(b Bucket) (low, high int64) { return bucketRange(int(b.Index), h.bits()) }

// Beyond tells how many of the values are certainly at or above a limit in
// nanoseconds, and of how many the bucket does not tell, because it straddles
// the limit. Inf is not counted.
func (h *Hist) Beyond(limit int64) (beyond, unknown uint64) {
	last := coarseBuckets
	if !h.Coarse {
		last = fineBuckets
	}
	for b := range h.Buckets() {
		// A value was rounded up to a whole microsecond, so its bucket reaches
		// down to just above the microsecond before.
		low, high := bucketRange(int(b.Index), h.bits())
		least, most := max(0, (low-1)*1000+1), high*1000
		if high >= highest || int(b.Index) == last-1 {
			most = math.MaxInt64 // it holds all that was clamped
		}
		switch {
		case least >= limit:
			beyond += b.Count
		case most >= limit:
			unknown += b.Count
		}
	}
	return beyond, unknown
}
