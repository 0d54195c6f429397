package exec

import (
	"runtime/metrics"
	"time"

	"tollgate/internal/measure"
)

// pulse samples the generator itself: once a second, from the conductor.
type pulse struct {
	at        time.Time
	cpu       time.Duration
	throttled time.Duration
	stolen    stolenTime
	pauses    []uint64
	cores     float64 // processors that this process may use
	sample    []metrics.Sample
}

// stolenTime is the machine's processor time so far, in its own ticks.
type stolenTime struct{ steal, all uint64 }

func newPulse() *pulse {
	p := &pulse{cores: usableCores(), sample: []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}}}
	p.take(measure.Health{})
	return p
}

// take fills in what happened since the last call.
func (p *pulse) take(h measure.Health) measure.Health {
	now, cpu, throttled, stolen := time.Now(), processTime(), throttledTime(), machineTime()
	if !p.at.IsZero() {
		wall := now.Sub(p.at).Seconds()
		h.CPU = (cpu - p.cpu).Seconds() / (wall * p.cores)
		h.Throttled = min((throttled-p.throttled).Seconds()/wall, 1)
		if d := stolen.all - p.stolen.all; d > 0 {
			h.Steal = float64(stolen.steal-p.stolen.steal) / float64(d)
		}
	}
	p.at, p.cpu, p.throttled, p.stolen = now, cpu, throttled, stolen

	metrics.Read(p.sample)
	if p.sample[0].Value.Kind() == metrics.KindFloat64Histogram {
		hist := p.sample[0].Value.Float64Histogram()
		for i := len(hist.Counts) - 1; i >= 0 && len(p.pauses) == len(hist.Counts); i-- {
			if hist.Counts[i] > p.pauses[i] {
				h.GCPause = hist.Buckets[i] // the bucket's lower end: at least so long
				break
			}
		}
		p.pauses = append(p.pauses[:0], hist.Counts...)
	}
	return h
}
