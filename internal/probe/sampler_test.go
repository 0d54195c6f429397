package probe

import (
	"context"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tollgate/internal/measure"
	"tollgate/pkg/spec"
)

func TestDeltaIsTheLastReadingLessTheFirst(t *testing.T) {
	c := &counted{value: 100}
	all := open(t, &spec.Probe{Name: "stored", Scrape: serve(t, c.ServeHTTP), Metric: "stored_total", Every: time.Hour})
	s := Begin(t.Context(), all)
	started := time.Now()
	c.to(142)
	elapsed := time.Since(started)
	s.End(t.Context())
	r := s.Readings(started)[0]
	if total := r.Delta(int64(elapsed)); total.Value != 42 || total.N != 2 || total.Why != "" || len(r.List) != 2 || !r.Counter {
		t.Errorf("%+v of %+v", total, r)
	}
}

// during samples until the readings are as asked for, and ends.
func during(t *testing.T, all []*Probe, enough func([]measure.Readings) bool) []measure.Readings {
	t.Helper()
	s := Begin(t.Context(), all)
	started := time.Now()
	eventually(t, func() string {
		if !enough(s.Readings(started)) {
			return "the readings are not as asked for"
		}
		return ""
	})
	s.End(t.Context())
	return s.Readings(started)
}

func TestProbeIsReadAtItsPace(t *testing.T) {
	c := &counted{}
	const pace = 100 * time.Millisecond
	all := open(t, &spec.Probe{Name: "stored", Scrape: serve(t, c.ServeHTTP), Metric: "stored_total", Every: pace})
	s := Begin(t.Context(), all)
	started := time.Now()
	eventually(t, func() string {
		if len(s.Readings(started)[0].List) < 8 {
			return "fewer than 8 readings"
		}
		return ""
	})
	elapsed := time.Since(started)
	s.End(t.Context())
	list := s.Readings(started)[0].List
	if list[0].At >= 0 || list[len(list)-1].At < int64(elapsed) {
		t.Errorf("first at %v, last at %v of %v", list[0].At, list[len(list)-1].At, elapsed)
	}
	for i := 1; i < len(list); i++ {
		if list[i].At < list[i-1].At {
			t.Errorf("reading %d at %d comes after one at %d", i, list[i].At, list[i-1].At)
		}
	}
	if most := int(elapsed/pace) + 4; len(list) > most {
		t.Errorf("%d readings in %v, want at most %d", len(list), elapsed, most)
	}
}

func TestFallingCounterHasNoDelta(t *testing.T) {
	c := &counted{value: 812}
	all := open(t, &spec.Probe{Name: "stored", Scrape: serve(t, c.ServeHTTP), Metric: "stored_total", Every: 20 * time.Millisecond})
	s := Begin(t.Context(), all)
	started := time.Now()
	c.to(3) // the system has started again
	eventually(t, func() string {
		if list := s.Readings(started)[0].List; list[len(list)-1].Value != 3 {
			return "not read again"
		}
		return ""
	})
	elapsed := time.Since(started)
	c.to(900) // and has more than before in the end
	s.End(t.Context())
	r := s.Readings(started)[0]
	if total := r.Delta(int64(elapsed)); total.N != 0 || !strings.Contains(total.Why, "fell from 812 to 3") {
		t.Errorf("%+v", total)
	}
}

func TestFailedReadingIsKeptWithItsReason(t *testing.T) {
	c := &counted{value: 1}
	all := open(t, &spec.Probe{Name: "stored", Scrape: serve(t, c.ServeHTTP), Metric: "stored_total", Every: 20 * time.Millisecond})
	s := Begin(t.Context(), all)
	started := time.Now()
	c.mu.Lock()
	c.set = func(w http.ResponseWriter) bool { w.WriteHeader(503); return true }
	c.mu.Unlock()
	eventually(t, func() string {
		if _, why := latest(s, started); !strings.Contains(why, "status 503") {
			return "no reading has failed: " + why
		}
		return ""
	})
	end := int64(time.Since(started))
	s.End(t.Context())
	r := s.Readings(started)[0]
	failed := 0
	for _, one := range r.List {
		if strings.Contains(one.Why, "status 503") && math.IsNaN(one.Value) {
			failed++
		}
	}
	if values, why := r.Within(0, end); len(values) == 0 || why == "" || failed < 2 {
		t.Errorf("%v, %q, %d failed", values, why, failed)
	}
	if total := r.Delta(end); total.N != 0 || !strings.Contains(total.Why, "did not answer after the drain") || !strings.Contains(total.Why, "status 503") {
		t.Errorf("%+v", total)
	}
}

func latest(s *Sampler, started time.Time) (float64, string) {
	list := s.Readings(started)[0].List
	last := list[len(list)-1]
	return last.Value, last.Why
}

func TestProbeThatHangsHoldsUpNeitherOthersNorTheEnd(t *testing.T) {
	over := make(chan struct{})
	defer close(over)
	hangs := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-over:
		}
	})
	c := &counted{value: 7}
	all := open(t,
		&spec.Probe{Name: "hangs", Scrape: hangs, Metric: "up", Every: 500 * time.Millisecond},
		&spec.Probe{Name: "answers", Scrape: serve(t, c.ServeHTTP), Metric: "stored_total", Every: 20 * time.Millisecond})
	got := during(t, all, func(r []measure.Readings) bool { return len(r[1].List) > 20 && len(r[0].List) > 1 })
	for _, one := range got[0].List {
		if !strings.Contains(one.Why, "nothing within 500ms") {
			t.Errorf("the one that hangs: %+v", one)
		}
	}
	last := got[1].List[len(got[1].List)-1]
	if last.Value != 7 || got[0].List[len(got[0].List)-1].At > last.At+int64(time.Minute) {
		t.Errorf("the other ended with %+v", last)
	}
}

func TestInterruptedEndLeavesNothingBehind(t *testing.T) {
	asked := make(chan struct{}, 100)
	hangs := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	})
	goleak.VerifyNone(t, goleak.IgnoreCurrent())
	ignore := goleak.IgnoreCurrent()
	all, err := Open([]*spec.Probe{{Name: "hangs", Scrape: hangs, Metric: "up"}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	began := make(chan *Sampler)
	go func() { began <- Begin(ctx, all) }()
	<-asked
	cancel() // a signal, while the first reading is under way
	s := <-began
	s.End(ctx)
	list := s.Readings(time.Now())[0].List
	if len(list) == 0 || list[0].Why != "the run ended before it answered" {
		t.Errorf("%+v", list)
	}
	Close(all)
	eventually(t, func() string {
		if err := goleak.Find(ignore); err != nil {
			return err.Error()
		}
		return ""
	})
}

// A machine that stood still has read nothing, which is no answer.
func TestMomentThatNobodySawIsNoAnswer(t *testing.T) {
	c := &counted{}
	all := open(t, &spec.Probe{Name: "stored", Scrape: serve(t, c.ServeHTTP), Metric: "stored_total", Every: time.Minute})
	one := &series{probe: all[0]}
	stop := make(chan struct{})
	ended := make(chan struct{})
	began := time.Now().Add(-10*time.Minute - 30*time.Second)
	go func() {
		defer close(ended)
		one.keep(t.Context(), stop, began)
	}()
	eventually(t, func() string {
		one.mu.Lock()
		defer one.mu.Unlock()
		if len(one.moments) < 2 {
			return "not read"
		}
		return ""
	})
	close(stop)
	<-ended
	if m := one.moments[0]; m.why != "nobody asked in time" || !m.at.Equal(began.Add(time.Minute)) {
		t.Errorf("%+v", m)
	}
	if m := one.moments[1]; m.why != "" {
		t.Errorf("%+v", m)
	}
}
