package measure

import (
	"math"
	"math/rand/v2"
	"testing"

	"tollgate/pkg/slo"
)

// benchRecorder has four claims on the hold of the step list, and samples of
// one second, log-uniform between 1 and 64 ms.
func benchRecorder() (*Recorder, []Sample) {
	errors := claim(slo.Errors, slo.Objective{Limit: 0.01, Unit: slo.Ratio})
	r := NewRecorder(testLayout(
		latencyLimit(slo.Quantile, slo.Metric{Q: 0.95}), latencyLimit(slo.Quantile, slo.Metric{Q: 0.99}), errors,
		claim(slo.Throughput, slo.Objective{Limit: 1, Unit: slo.PerSecond, Op: slo.GT})))
	rng := rand.New(rand.NewPCG(1, 1))
	samples := make([]Sample, 4096)
	for i := range samples {
		samples[i] = *ok(int64(i)*(sec/4096), int64(float64(ms)*math.Exp2(6*rng.Float64())))
	}
	return r, samples
}

func BenchmarkRecord(b *testing.B) {
	r, samples := benchRecorder()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		r.Record(hold, list, &samples[i&4095])
		i++
	}
}

// BenchmarkRecordNewSecond is a whole second of 100 requests and its turn: what
// it takes beyond 100 times Record is the cost of opening a second and of
// writing an old one to the log. The bytes are the log's.
func BenchmarkRecordNewSecond(b *testing.B) {
	r, samples := benchRecorder()
	b.ReportAllocs()
	at := int64(0)
	for b.Loop() {
		for i := range 100 {
			s := &samples[i*40]
			r.Record(hold, list, ok(at*sec%maxTime, s.Done-s.Due))
		}
		at++
	}
}

// BenchmarkLive is 1,000 requests and a look at them.
func BenchmarkLive(b *testing.B) {
	r, samples := benchRecorder()
	b.ReportAllocs()
	for b.Loop() {
		for i := range 1000 {
			r.Record(hold, list, &samples[i])
		}
		r.Live()
	}
}
