package compare

import (
	"fmt"
	"math"

	"tollgate/internal/measure"
	"tollgate/internal/report"
)

// The batches that the seconds of a stored run are cut into, and the fewest
// that say how much it varies within itself.
const manyBatches, fewBatches = 20, 10

// Line is how one row differs between two stored runs.
type Line struct {
	Row     string  `json:"row"` // "" with Method "": all rows but set-up
	Method  string  `json:"method"`
	Changes []Shift `json:"changes"` // p50, p95, p99, errors, throughput
}

// Shift is how one metric differs between two stored runs.
type Shift struct {
	Metric string        `json:"metric"`
	A      report.Number `json:"a"`      // seconds, a share, or successes per second
	B      report.Number `json:"b"`      // the same
	Change report.Number `json:"change"` // ratio less one; errors: difference
	Low    report.Number `json:"low"`    // with High the interval; null where there is none
	High   report.Number `json:"high"`
	Why    string        `json:"why"` // there is no interval
}

// Beyond tells whether the interval leaves out that nothing has changed.
func (s *Shift) Beyond() bool {
	return s.Low.Known() && s.High.Known() && (s.Low > 0 || s.High < 0)
}

// Results sets two stored runs beside each other, as they were while the load
// that is judged was held, all rows first. They must be alike: see Unlike.
//
// The interval of a change comes from within the runs: the whole seconds of
// their holds are cut into 20 batches each, the change of the means over the
// batches has a variance, and the degrees of freedom are those of Welch
// (1947). It is laid around the change of the whole holds. What varies from
// one run to the next, such as where the memory of a process lies or what a
// neighbour does, is not in it: of one run each, nobody knows that.
func Results(a, b *report.Document, confidence float64) ([]Line, error) {
	one, err := open(a)
	if err != nil {
		return nil, err
	}
	other, err := open(b)
	if err != nil {
		return nil, err
	}
	lines := []Line{line(one, other, -1, -1, confidence)}
	for i := range a.Rows {
		if a.Rows[i].Setup {
			continue
		}
		for k := range b.Rows {
			if x, y := &a.Rows[i], &b.Rows[k]; x.Name == y.Name && x.Method == y.Method && !y.Setup {
				lines = append(lines, line(one, other, i, k, confidence))
			}
		}
	}
	return lines, nil
}

// line compares row i of a with row k of b; -1 is all rows but set-up.
func line(a, b *stored, i, k int, confidence float64) Line {
	x, y := a.row(i), b.row(k)
	l := Line{Row: x.Name, Method: x.Method}
	before, after := a.batches(i), b.batches(k)
	for _, q := range []struct {
		name string
		of   func(*report.Latency) report.Number
		q    float64
	}{
		{"p50", func(l *report.Latency) report.Number { return l.P50 }, 0.50},
		{"p95", func(l *report.Latency) report.Number { return l.P95 }, 0.95},
		{"p99", func(l *report.Latency) report.Number { return l.P99 }, 0.99},
	} {
		s := Shift{Metric: q.name, A: q.of(&x.Judged.Response), B: q.of(&y.Judged.Response)}
		s.ratio(logs(before, q.q), logs(after, q.q), confidence)
		l.Changes = append(l.Changes, s)
	}
	errors := Shift{Metric: "errors", A: share(&x.Judged), B: share(&y.Judged)}
	errors.difference(before, after, confidence)
	rate := Shift{Metric: "throughput", A: a.rate(x), B: b.rate(y)}
	rate.ratio(rates(before), rates(after), confidence)
	l.Changes = append(l.Changes, errors, rate)
	return l
}

func (s *stored) row(i int) *report.Row {
	if i < 0 {
		return &s.Total
	}
	return &s.Rows[i]
}

func share(j *report.Judged) report.Number {
	if j.Requests == 0 {
		return missing
	}
	return report.Number(float64(j.Failures) / float64(j.Requests))
}

func (s *stored) rate(r *report.Row) report.Number {
	if s.Held <= 0 {
		return missing
	}
	return report.Number(float64(r.Judged.Requests-r.Judged.Failures) / s.Held)
}

// batch is a stretch of seconds of one row.
type batch struct {
	seconds, requests, failures float64
	response                    measure.Hist
}

// batches cuts the whole seconds of the judged holds into equal stretches;
// none if they are too few.
func (s *stored) batches(row int) []batch {
	in := s.whole(judged)
	seconds := s.seconds(in)
	n := min(manyBatches, len(seconds))
	if n < fewBatches {
		return nil
	}
	out := make([]batch, n)
	of := map[int64]*batch{}
	for i, second := range seconds {
		b := &out[i*n/len(seconds)]
		b.seconds++
		of[second] = b
	}
	for at, moments := range s.moments {
		if row >= 0 && at != row || row < 0 && s.Rows[at].Setup {
			continue
		}
		for i := range moments {
			m := &moments[i]
			b := of[m.Second]
			if b == nil {
				continue
			}
			b.requests += float64(m.Requests)
			b.failures += float64(m.Failures)
			b.response.Merge(&m.Response)
			b.response.Inf += m.Failures + m.NotIssued
		}
	}
	return out
}

// logs returns the logarithm of a quantile in each batch; infinite where too
// many failed, and nothing for a batch without requests.
func logs(batches []batch, q float64) (out []float64) {
	for i := range batches {
		if v := batches[i].response.Quantile(q); v > 0 {
			out = append(out, math.Log(v))
		}
	}
	return out
}

// rates returns the logarithm of successes per second in each batch.
func rates(batches []batch) (out []float64) {
	for _, b := range batches {
		out = append(out, math.Log((b.requests-b.failures)/b.seconds))
	}
	return out
}

// ratio sets the change of a metric whose ratio says how it has changed.
func (s *Shift) ratio(a, b []float64, confidence float64) {
	s.Change, s.Low, s.High = missing, missing, missing
	if !(s.A > 0 && s.B > 0) {
		s.Why = "no finite value"
		return
	}
	change := math.Log(float64(s.B) / float64(s.A))
	s.Change = report.Number(math.Expm1(change))
	half, why := welch(a, b, confidence)
	if s.Why = why; why == "" {
		s.Low, s.High = report.Number(math.Expm1(change-half)), report.Number(math.Expm1(change+half))
	}
}

// difference sets the change of the share of errors.
func (s *Shift) difference(a, b []batch, confidence float64) {
	s.Change, s.Low, s.High = missing, missing, missing
	if !s.A.Known() || !s.B.Known() {
		s.Why = "no request"
		return
	}
	shares := func(batches []batch) (out []float64) {
		for _, b := range batches {
			if b.requests > 0 {
				out = append(out, b.failures/b.requests)
			}
		}
		return out
	}
	s.Change = s.B - s.A
	half, why := welch(shares(a), shares(b), confidence)
	if s.Why = why; why == "" {
		s.Low, s.High = s.Change-report.Number(half), s.Change+report.Number(half)
	}
}

// welch returns half the length of the interval of a difference of two means
// (Welch 1947), or why there is none.
func welch(a, b []float64, confidence float64) (half float64, why string) {
	if len(a) < fewBatches || len(b) < fewBatches {
		return 0, fmt.Sprintf("fewer than %d batches with data", fewBatches)
	}
	for _, values := range [][]float64{a, b} {
		for _, v := range values {
			if math.IsInf(v, 0) || math.IsNaN(v) {
				return 0, "a batch has no finite value"
			}
		}
	}
	_, va := meanOf(a)
	_, vb := meanOf(b)
	if va+vb == 0 {
		return 0, ""
	}
	df := (va + vb) * (va + vb) / (va*va/float64(len(a)-1) + vb*vb/float64(len(b)-1))
	return studentQuantile(1-(1-confidence)/2, df) * math.Sqrt(va+vb), ""
}
