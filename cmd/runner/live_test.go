package main

import (
	"math"
	"testing"
	"time"

	"tollgate/internal/measure"
	"tollgate/pkg/exec"
	"tollgate/pkg/spec"
)

// second is what one reading brings: so many requests of 100 ms, and failures.
func second(ok, failed uint64) measure.Live {
	l := measure.Live{Requests: ok + failed, Failures: failed}
	l.Response = measure.Hist{Coarse: true, Count: ok, Inf: failed, Min: 100e6, Max: 100e6, Sum: ok * 100e6}
	if ok > 0 {
		l.Response.Packed = measure.Pack(measure.Bucket{Index: 1347, Count: ok})
	}
	return l
}

func TestTrackerJudgesTheHoldAlone(t *testing.T) {
	tr := newTracker(compiled(t, "steady: {users: 10, ramp: 5s, for: 10s}", "p95 < 1s, errors < 1%, throughput > 5/s, 'p95{persona=visitor} < 1s'"))
	at := func(s int, moving bool, l measure.Live) view {
		return tr.take(exec.Progress{Elapsed: time.Duration(s) * time.Second, Shape: spec.Steady, Moving: moving, Second: l}, false)
	}
	v := at(1, true, second(0, 10)) // all fail on the way up
	for _, p := range v.promises[:3] {
		if !p.known || !math.IsNaN(p.value) || p.holds {
			t.Errorf("before the hold %s is %v", p.text, p.value)
		}
	}
	v = at(2, false, second(10, 0))
	for _, p := range v.promises[:3] {
		if !p.holds || !p.current {
			t.Errorf("in the hold %s is %v", p.text, p.value)
		}
	}
	if p := v.promises[3]; p.known {
		t.Errorf("%s takes more than the totals", p.text)
	}
	v = at(3, false, second(0, 10))
	for i, want := range []float64{math.Inf(1), 0.5, 5} {
		if p := v.promises[i]; p.value != want || p.holds {
			t.Errorf("with failures %s is %v, want %v", p.text, p.value, want)
		}
	}
	if v.sofar.Requests != 30 || v.recent.Requests != 30 || v.span != 3*time.Second {
		t.Errorf("%d requests, %d lately in %v", v.sofar.Requests, v.recent.Requests, v.span)
	}
}

func TestRecentIsFiveReadings(t *testing.T) {
	tr := newTracker(compiled(t, "steady: {users: 10, for: 10s}", "p95 < 1s"))
	var v view
	for i := range 20 {
		v = tr.take(exec.Progress{Elapsed: time.Duration(i+1) * time.Second, Second: second(uint64(i), 0)}, false)
	}
	if want := uint64(15 + 16 + 17 + 18 + 19); v.recent.Requests != want || v.span != 5*time.Second {
		t.Errorf("%d in %v, want %d in 5 s", v.recent.Requests, v.span, want)
	}
}

func TestViewsThatAreOutStayAsTheyAre(t *testing.T) {
	tr := newTracker(compiled(t, "steady: {users: 10, for: 10s}", "p95 < 1s"))
	first := tr.take(exec.Progress{Elapsed: time.Second, Second: second(3, 0)}, false)
	for i := range 100 {
		tr.take(exec.Progress{Elapsed: time.Duration(i+2) * time.Second, Second: second(9, 9)}, true)
	}
	if first.sofar.Requests != 3 || first.sofar.Response.Count != 3 || len(first.rates) != 1 || first.rates[0] != 3 || first.stopping {
		t.Errorf("the view has changed: %+v", first)
	}
}
