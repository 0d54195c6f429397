package measure

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"testing"

	"tollgate/pkg/slo"
)

// longLayout is the shape of a real test: 20 endpoints called by 3 personas, in
// 3 stages that each ramp, settle and hold.
func longLayout() *Layout {
	var steps []Step
	for p := range 3 {
		for e := range 20 {
			name := fmt.Sprint("endpoint ", e)
			steps = append(steps, Step{Persona: fmt.Sprint("persona ", p), Task: name, Endpoint: name, Name: name, Method: "GET"})
		}
	}
	var phases []Phase
	var claims []slo.Claim
	for s := range 3 {
		stage := fmt.Sprint("stage ", s)
		phases = append(phases, Phase{Stage: stage, Shape: "steady", Moving: true}, Phase{Stage: stage, Shape: "steady", Moving: true, Back: true}, Phase{Stage: stage, Shape: "steady"})
		for _, q := range []float64{0.95, 0.99} {
			c := latencyLimit(slo.Quantile, slo.Metric{Q: q})
			c.Stage = stage
			claims = append(claims, c)
		}
	}
	l := NewLayout(steps, phases, claims)
	l.Timeout = 10 * sec
	return l
}

// longRun records requests evenly over ten minutes, each after a lognormal
// response time with that median, as the loops of a run of 10,000 users do.
func longRun(requests int64, median float64) *Recorder {
	const length = 600 * sec
	l := longLayout()
	r := NewRecorder(l)
	for p := range l.Phases {
		r.Origin(p, int64(p)*length/int64(len(l.Phases)))
	}
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range requests {
		due := int64(float64(i) * (float64(length) / float64(requests)))
		took := int64(median * math.Exp(0.5*rng.NormFloat64()))
		phase, step := int(due*int64(len(l.Phases))/length), rng.IntN(len(l.Steps))
		s := &Sample{Due: due, Begin: due, Sent: due + 5_000 + rng.Int64N(20_000), In: 400, Out: 120, Reused: true}
		s.First = s.Sent + took
		s.Done = s.First
		r.Planned(phase, step, 1)
		r.Issued(phase, step)
		r.Record(phase, step, s)
		r.Lag(s.Sent - due)
	}
	return r
}

func TestMemoryDoesNotGrowWithTheNumberOfSamples(t *testing.T) {
	const duration = 10 * sec
	heap := func(n int64) uint64 {
		l := longLayout()
		rng := rand.New(rand.NewPCG(3, 4))
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		r := NewRecorder(l)
		for i := range n {
			// Log-uniform between 2 and 128 ms: every page there is met at both sizes.
			due := i * (duration / n)
			r.Record(rng.IntN(len(l.Phases)), rng.IntN(len(l.Steps)), ok(due, int64(float64(2*ms)*math.Exp2(6*rng.Float64()))))
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(r)
		return after.HeapAlloc - before.HeapAlloc
	}
	few, many := heap(100_000), heap(10_000_000)
	t.Logf("100,000 samples: %d KB, 10 million: %d KB", few>>10, many>>10)
	if many > few*110/100 {
		t.Errorf("100,000 samples take %d KB and 10 million %d KB, over 110 %%", few>>10, many>>10)
	}
}

func TestTenMinutesStaySmall(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	const most = 10 << 20
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	r := longRun(1_000_000, 20e6)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if held := after.HeapAlloc - before.HeapAlloc; held > most {
		t.Errorf("the recorder holds %d KB, want at most %d", held>>10, most>>10)
	}
	before = after
	s, err := Merge(r.Snapshot())
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if held := after.HeapAlloc - before.HeapAlloc; held > most {
		t.Errorf("its snapshot holds %d KB, want at most %d", held>>10, most>>10)
	}
	runtime.KeepAlive(s)
	runtime.KeepAlive(r)
}

func TestRecordingAllocatesNothing(t *testing.T) {
	r, samples := benchRecorder()
	record := func() {
		for i := range samples {
			s := &samples[i]
			r.Planned(hold, list, 1)
			r.Issued(hold, list)
			r.Record(hold, list, s)
			r.Lag(s.Lag)
		}
	}
	for range 100 { // every page is met, and as wide as it gets here
		record()
	}
	r.Live()
	record()
	if n := testing.AllocsPerRun(10, record); n != 0 {
		t.Errorf("%d samples allocate %v times, want 0", len(samples), n)
	}
}

// BenchmarkTenMinutes is what 8,000 requests a second for ten minutes leave in
// memory, and what it takes on top to make a report of them. Run it with
// -benchtime 1x, one at a time: the heap of a process never shrinks.
func BenchmarkTenMinutes(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	for _, c := range []struct {
		name   string
		median float64
	}{{"median 150us", 150e3}, {"median 20ms", 20e6}} {
		b.Run(c.name, func(b *testing.B) {
			for range b.N {
				debug.FreeOSMemory()
				var before, running, after runtime.MemStats
				runtime.ReadMemStats(&before)
				r := longRun(4_800_000, c.median)
				runtime.GC()
				runtime.ReadMemStats(&running)
				s, err := Merge(r.End())
				if err != nil {
					b.Fatal(err)
				}
				runtime.GC()
				var ended runtime.MemStats
				runtime.ReadMemStats(&ended)
				report := len(s.Rows()) + len(s.JudgedRows()) + len(s.Timeline())
				runtime.ReadMemStats(&after)
				runtime.KeepAlive(r)
				if report == 0 {
					b.Fatal("no rows")
				}
				mb := func(n uint64) float64 { return float64(n) / (1 << 20) }
				b.ReportMetric(mb(running.HeapAlloc-before.HeapAlloc), "MB-recorded")
				b.ReportMetric(mb(ended.HeapAlloc-before.HeapAlloc), "MB-ended")
				b.ReportMetric(mb(after.TotalAlloc-running.TotalAlloc), "MB-allocated-at-the-end")
				b.ReportMetric(mb(after.HeapSys-after.HeapReleased), "MB-resident-heap")
				b.ReportMetric(mb(uint64(len(s.Log))), "MB-log")
			}
		})
	}
}
