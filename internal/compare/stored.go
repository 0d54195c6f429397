package compare

import (
	"math"

	"tollgate/internal/measure"
	"tollgate/internal/report"
)

// stored is a stored run, second by second.
type stored struct {
	*report.Document
	spans   []report.Span      // in order of time
	moments [][]measure.Moment // by row
}

// open reads the log of a document. Decode has checked it; one that was made
// by hand may be refused.
func open(d *report.Document) (*stored, error) {
	moments, err := measure.ReadLog(d.Record.Log, len(d.Rows))
	if err != nil {
		return nil, err
	}
	s := &stored{Document: d, moments: make([][]measure.Moment, len(d.Rows))}
	for _, m := range moments {
		s.moments[m.Row] = append(s.moments[m.Row], m)
	}
	for _, st := range d.Stages {
		s.spans = append(s.spans, st.Spans...)
	}
	return s, nil
}

// stretch is a run of whole seconds, from first on and before end.
type stretch struct{ first, end int64 }

// whole returns the whole seconds of the run that lie in the spans which in
// accepts. The log does not tell what of a second lay in one span and what in
// the next, so a second that a scope begins or ends in is left out: that is
// decided by the clock alone, and favours nobody. At the very start and end of
// a run there is no next.
func (s *stored) whole(in func(*report.Span) bool) []stretch {
	var out []stretch
	for i := 0; i < len(s.spans); i++ {
		if !in(&s.spans[i]) {
			continue
		}
		first, end := second(math.Ceil(s.spans[i].Start)), int64(math.MaxInt64)
		if i == 0 {
			first = 0
		}
		for i+1 < len(s.spans) && in(&s.spans[i+1]) {
			i++
		}
		if i+1 < len(s.spans) {
			end = second(math.Floor(s.spans[i].End))
		}
		if first < end {
			out = append(out, stretch{first, end})
		}
	}
	return out
}

// second bounds a time of a document that may have passed through other hands:
// no run lasts longer than the week that a log can tell apart.
func second(t float64) int64 {
	const week = 7 * 24 * 3600
	return int64(min(max(t, 0), week+1))
}

func holds(in []stretch, second int64) bool {
	for _, s := range in {
		if second >= s.first && second < s.end {
			return true
		}
	}
	return false
}

// seconds lists the seconds of stretches that lie within the run, ascending.
func (s *stored) seconds(in []stretch) []int64 {
	last := second(math.Ceil(s.Elapsed))
	var out []int64
	for _, st := range in {
		for at := st.first; at < min(st.end, last); at++ {
			out = append(out, at)
		}
	}
	return out
}

// judged tells whether a span is held and judged where nothing else is named.
func judged(s *report.Span) bool {
	return !s.Drain && measure.Phase{Stage: s.Stage, Shape: s.Shape, Moving: s.Moving}.Judged()
}
