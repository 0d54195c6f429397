package exec

import (
	"container/heap"
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/internal/measure"
)

// virtual is a driver for the real conductor in virtual time: its target is a
// function, and it sleeps instead of waiting for sockets.
type virtual struct {
	*cast
	zero   time.Time
	answer func(row string, n int) (latency time.Duration, status int)
	calls  chan func()
	ended  chan struct{}
	heap   inFlight
	seen   int
	stall  func(now int64) time.Duration // own stalls, by the time of a turn
}

func (v *virtual) discard() {}

func (v *virtual) do(f func()) {
	done := make(chan struct{})
	select {
	case v.calls <- func() { f(); close(done) }:
		<-done
	case <-v.ended:
		f()
	}
}

func (v *virtual) now() int64 { return int64(time.Since(v.zero)) }

func (v *virtual) run(stop *atomic.Bool) {
	defer close(v.ended)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for !stop.Load() {
		if v.stall != nil {
			time.Sleep(v.stall(v.now()))
		}
		now := v.now()
		for len(v.heap) > 0 && v.heap[0].at <= now {
			f := heap.Pop(&v.heap).(flight)
			f.trip.done = now
			v.done(f.user, f.trip, f.r)
			v.send(now)
		}
		v.advance(now, func(int32) { panic("no request of these tests passes its deadline") })
		v.send(now)
		next := min(v.next(), now+int64(100*time.Millisecond))
		if len(v.heap) > 0 {
			next = min(next, v.heap[0].at)
		}
		timer.Reset(time.Duration(max(next-v.now(), 0)))
		select {
		case f := <-v.calls:
			f()
			v.send(v.now())
		case <-timer.C:
		}
	}
	for _, f := range v.heap {
		f.trip.done = v.now()
		v.fail(f.user, f.trip, measure.Aborted, "end")
	}
}

func (v *virtual) send(now int64) {
	v.hangup = v.hangup[:0]
	for k := 0; k < len(v.outbox); k++ {
		i := v.outbox[k]
		if !v.begin(i, now) {
			continue
		}
		latency, status := v.answer(v.plan.Layout.Steps[v.users[i].call.step].Name, v.seen)
		v.seen++
		heap.Push(&v.heap, flight{at: now + int64(latency), user: i, trip: trip{sent: now}, r: reply{status: status, body: []byte(`{"token": "x"}`)}})
	}
	v.outbox = v.outbox[:0]
}

// runVirtually runs a plan with the real conductor in virtual time.
func runVirtually(t *testing.T, p *Plan, o RunOptions, change func(*virtual)) (r *Result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o.RunID = "virtual"
		if o.Loops == 0 {
			o.Loops = 2
		}
		o.driver = func(c *cast, _ *Addresses, zero time.Time) (driver, error) {
			v := &virtual{cast: c, zero: zero, calls: make(chan func()), ended: make(chan struct{}),
				answer: func(string, int) (time.Duration, int) { return 10 * time.Millisecond, 200 }}
			if change != nil {
				change(v)
			}
			return v, nil
		}
		var err error
		if r, err = Run(context.Background(), p, o); err != nil {
			t.Fatal(err)
		}
	})
	return r
}

// slotsOf returns how many samples a claim of a result has.
func slotsOf(r *Result, i int) (n, bad uint64) {
	for _, s := range r.Snapshot.Evidence(i, r.scopeSeconds(i), r.gauge(i)).Slots {
		n += s.N
		bad += s.Bad
	}
	return n, bad
}

func TestHoldHasExactlyItsLengthAndNothingElse(t *testing.T) {
	// 10 users, a request of 10 ms each 100 ms; a third of a second to set up.
	p := compileText(t, specText("p: {think: 90ms, on_start: [login], tasks: {a: 1}}",
		"- steady: {users: 10, ramp: 1s, for: 10m}", "slos: [requests > 5, throughput > 1/s including ramps, users >= 10]"), 1)
	r := runVirtually(t, p, RunOptions{}, func(v *virtual) {
		v.answer = func(row string, _ int) (time.Duration, int) {
			if row == "login" {
				return 333 * time.Millisecond, 200
			}
			return 10 * time.Millisecond, 200
		}
	})
	hold := r.Spans[1]
	if hold.Length() != 10*time.Minute {
		t.Errorf("the hold lasts %v", hold.Length())
	}
	if setup := hold.Start - r.Spans[0].Start; setup < int64(900+333)*1e6 {
		t.Errorf("the hold begins %v into the stage, before the set-up of its users has ended", time.Duration(setup))
	}
	if n, _ := slotsOf(r, 0); n < 59990 || n > 60010 {
		t.Errorf("%d requests are judged, want 10 a second and user", n)
	}
	if n, _ := slotsOf(r, 1); n > 60010+60 {
		t.Errorf("%d requests count with the ramps: what the drain finished is among them", n)
	}
	if drain := r.Spans[len(r.Spans)-1]; !drain.Drain {
		t.Errorf("the last span is %+v", drain)
	}
	for _, users := range r.gauge(2) {
		if users != 10 {
			t.Errorf("%v active users in a second of the hold", users)
		}
	}
}

func TestWhatTheDrainFinishesIsNotJudged(t *testing.T) {
	p := compileText(t, specText("p: {think: 0s, tasks: {pair: {weight: 1, steps: [a, b]}}}", "- steady: {users: 10, for: 10s}",
		"slos: [requests > 5, requests > 5 including ramps]"), 1)
	r := runVirtually(t, p, RunOptions{}, func(v *virtual) {
		v.answer = func(string, int) (time.Duration, int) { return 4 * time.Second, 200 }
	})
	// Each user begins requests at 0, 4 and 8 s, and one at 12 s that ends its task.
	if row := total(r); row.Requests != 40 {
		t.Errorf("%d requests in all, want 40", row.Requests)
	}
	for i := range 2 {
		// The first are due when their users come, before the hold.
		if n, _ := slotsOf(r, i); n != []uint64{20, 30}[i] {
			t.Errorf("%s: %d requests are judged, want %d", p.Layout.Claims[i].Objective.Text, n, []uint64{20, 30}[i])
		}
		if n := len(r.Snapshot.Evidence(i, r.scopeSeconds(i), nil).Slots); n > 11 {
			t.Errorf("%d seconds are judged of a stage of 10", n)
		}
	}
}

func TestConductorThatIsLateLengthensTheHoldAndJudgesAllOfIt(t *testing.T) {
	p := compileText(t, specText("p: {think: 90ms, tasks: {a: 1}}",
		"- steady: {users: 10, for: 2s}\n- steady: {name: after, users: 1, for: 1s}", "slos: [throughput >= 150/s during steady]"), 1)
	blocked := false
	r := runVirtually(t, p, RunOptions{Progress: func(Progress) {
		if !blocked {
			blocked = true
			time.Sleep(4 * time.Second)
		}
	}}, nil)
	n, _ := slotsOf(r, 0)
	if rate := float64(n) / r.scopeSeconds(0); rate > 105 {
		t.Errorf("throughput %.0f/s, and the users make 100/s", rate)
	}
}

func TestStageAfterAFoundLimitHasItsUsers(t *testing.T) {
	p := compileText(t, specText("p: {think: 90ms, tasks: {a: 1}}", `
- steps: {from: 10, to: 400, by: 10, every: 10s, until: errors > 5%}
- steady: {users: 30, ramp: 10/s, for: 10s}`), 1)
	r := runVirtually(t, p, RunOptions{}, func(v *virtual) {
		v.answer = func(string, int) (time.Duration, int) {
			if v.now() > int64(13*time.Second) && v.now() < int64(30*time.Second) {
				return 10 * time.Millisecond, 503
			}
			return 10 * time.Millisecond, 200
		}
	})
	if r.Broke["steps"] != 20 {
		t.Errorf("broke at %v users, want 20", r.Broke["steps"])
	}
	last := r.Gauges[len(r.Gauges)-2]
	if sum(last.Active) != 30 {
		t.Errorf("%v users at the end of a stage of 30", last.Active)
	}
	// From 20 to 30 at 10 a second is one second.
	if ramp := r.Spans[len(r.Spans)-3]; ramp.Length() < time.Second || ramp.Length() > 1200*time.Millisecond {
		t.Errorf("the ramp takes %v", ramp.Length())
	}
}

func TestShortLevelsFindTheirLimitToo(t *testing.T) {
	p := compileText(t, specText("p: {think: 90ms, tasks: {a: 1}}", "- steps: {from: 10, to: 40, by: 10, every: 4s, until: errors > 5%}"), 1)
	r := runVirtually(t, p, RunOptions{}, func(v *virtual) {
		v.answer = func(string, int) (time.Duration, int) { return 10 * time.Millisecond, 503 }
	})
	if r.Broke["steps"] != 10 {
		t.Errorf("broke at %v users, want 10", r.Broke["steps"])
	}
}

func TestOwnStallIsLagAndKeepsTheDueTimes(t *testing.T) {
	p := compileText(t, specText("p: {think: 90ms, tasks: {a: 1}}", "- steady: {users: 10, for: 10s}", "slos: [p95 < 1s]"), 1)
	stalled := false
	r := runVirtually(t, p, RunOptions{Loops: 1}, func(v *virtual) {
		v.stall = func(now int64) time.Duration {
			if now > int64(5*time.Second) && !stalled {
				stalled = true
				return 700 * time.Millisecond
			}
			return 0
		}
	})
	if worst := float64(r.Snapshot.Lag.Max) / 1e9; worst < 0.5 {
		t.Errorf("the loop stood still for 0.7 s, and its worst lag is %v s", worst)
	}
	// Punctual users would have waited for it: the response time says so.
	row := r.Snapshot.Rows()[0]
	if worst := row.Response.Quantile(1); worst < 0.5 {
		t.Errorf("the longest response time is %v s", worst)
	}
}

func TestLateLoopIssuesOrReportsEveryArrival(t *testing.T) {
	for name, stages := range map[string]string{
		"last":       "- steady: {rate: 100/s, arrivals: uniform, for: 10s}",
		"then open":  "- steady: {rate: 100/s, arrivals: uniform, for: 10s}\n- pause: {for: 100ms}",
		"then users": "- steady: {rate: 100/s, arrivals: uniform, for: 10s}\n- pause: {for: 1s}\n- steady: {name: after, users: 1, for: 1s}",
	} {
		p := compileText(t, specText("p: {think: 5s, tasks: {a: 1}}", stages), 1)
		stalled := false
		r := runVirtually(t, p, RunOptions{Loops: 1}, func(v *virtual) {
			v.stall = func(now int64) time.Duration {
				if now > int64(9500*time.Millisecond) && !stalled { // between two readings of the conductor
					stalled = true
					return time.Second
				}
				return 0
			}
		})
		planned := uint64(0)
		for i, c := range r.Snapshot.Series {
			if r.Snapshot.Layout.Phases[i/len(r.Snapshot.Layout.Steps)].Stage == "steady" {
				planned += c.Planned
			}
		}
		if planned != 1000 {
			t.Errorf("%s: %d arrivals planned, want 1000", name, planned)
		}
	}
}
