package probe

import (
	"context"
	"math"
	"sync"
	"time"

	"tollgate/internal/measure"
)

// A Sampler reads probes beside a run, each at its own pace in a goroutine of
// its own: one that hangs holds up no other.
type Sampler struct {
	series []*series
	stop   chan struct{}
	group  sync.WaitGroup
	cut    context.CancelFunc // ends what is being read
	ctx    context.Context
}

// series is what one probe has answered so far.
type series struct {
	probe *Probe

	mu      sync.Mutex
	counter bool
	moments []moment
}

type moment struct {
	at    time.Time // when it was asked
	value float64
	why   string
}

// Begin reads every probe once, which is its reading before the load, and then
// each again whenever its time has come, until End. It returns when all have
// answered or shown that they will not, which takes at most 5 s, and less if ctx
// ends. The run must start after that.
func Begin(ctx context.Context, all []*Probe) *Sampler {
	s := &Sampler{stop: make(chan struct{})}
	s.ctx, s.cut = context.WithCancel(context.Background())
	for _, p := range all {
		s.series = append(s.series, &series{probe: p})
	}
	s.once(ctx)
	began := time.Now()
	for _, one := range s.series {
		s.group.Go(func() { one.keep(s.ctx, s.stop, began) })
	}
	return s
}

// once reads every probe once, all at the same time.
func (s *Sampler) once(ctx context.Context) {
	var all sync.WaitGroup
	for _, one := range s.series {
		all.Go(func() { one.take(ctx) })
	}
	all.Wait()
}

// End reads every probe a last time, when what it is asked at this moment is
// over, and lets the sampler go. That takes at most twice the longest reading, 10 s, and
// at most as long as ctx lasts: what has not answered by then has not.
func (s *Sampler) End(ctx context.Context) {
	defer context.AfterFunc(ctx, s.cut)()
	defer s.cut()
	close(s.stop)
	s.group.Wait()
	s.once(s.ctx)
}

// Readings returns what was answered so far, by the time since a run started.
func (s *Sampler) Readings(started time.Time) []measure.Readings {
	var out []measure.Readings
	for _, one := range s.series {
		one.mu.Lock()
		r := measure.Readings{Probe: one.probe.Name, Counter: one.counter, List: make([]measure.Reading, 0, len(one.moments))}
		for _, m := range one.moments {
			r.List = append(r.List, measure.Reading{At: int64(m.at.Sub(started)), Value: m.value, Why: m.why})
		}
		one.mu.Unlock()
		out = append(out, r)
	}
	return out
}

// take reads the probe once.
func (s *series) take(ctx context.Context) {
	at := time.Now()
	a, why := s.probe.ask(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counter = s.counter || why == "" && a.counter
	s.moments = append(s.moments, moment{at, a.value, why})
}

// keep reads the probe at every multiple of its pace. A moment that has passed
// unseen, because this machine stood still, leaves one reading that says so.
func (s *series) keep(ctx context.Context, stop <-chan struct{}, began time.Time) {
	pace := s.probe.every
	due := began.Add(pace)
	timer := time.NewTimer(max(0, time.Until(due)))
	defer timer.Stop()
	for {
		select {
		case <-stop:
			return
		case <-timer.C:
		}
		if late := time.Since(due); late >= pace {
			s.mu.Lock()
			s.moments = append(s.moments, moment{due, math.NaN(), "nobody asked in time"})
			s.mu.Unlock()
			due = due.Add(late.Truncate(pace))
		}
		s.take(ctx)
		due = due.Add(pace)
		timer.Reset(max(0, time.Until(due)))
	}
}
