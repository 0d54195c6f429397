package measure

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tollgate/pkg/slo"
)

const (
	ms  = int64(time.Millisecond)
	sec = int64(time.Second)
)

var (
	testSteps = []Step{
		{Persona: "dispatcher", Task: "on_start", Endpoint: "login", Name: "login", Method: "POST", Setup: true},
		{Persona: "dispatcher", Task: "browse", Endpoint: "list", Name: "list", Method: "GET"},
		{Persona: "ingest", Task: "alert", Endpoint: "alert", Name: "alert", Method: "POST"},
		{Persona: "ingest", Task: "again", Endpoint: "login", Name: "login", Method: "POST"},
	}
	testPhases = []Phase{
		{Stage: "warm", Shape: "warmup"},
		{Stage: "steady", Shape: "steady", Moving: true},
		{Stage: "steady", Shape: "steady"},
		{Stage: "spike", Shape: "spike", Moving: true},
		{Stage: "spike", Shape: "spike"},
	}
)

// Indices into testSteps and testPhases.
const (
	login, list, alert, relogin         = 0, 1, 2, 3
	warm, ramp, hold, spikeRamp, spiked = 0, 1, 2, 3, 4
)

func claim(kind slo.MetricKind, o slo.Objective) slo.Claim {
	o.Metric.Kind = kind
	if o.Op == 0 {
		o.Op = slo.LT
	}
	return slo.Claim{Objective: o, Stage: "steady"}
}

// latencyLimit is an objective `METRIC < 200ms`.
func latencyLimit(kind slo.MetricKind, m slo.Metric) slo.Claim {
	c := claim(kind, slo.Objective{Metric: m, Limit: 0.2, Unit: slo.Seconds})
	return c
}

func testLayout(claims ...slo.Claim) *Layout {
	l := NewLayout(testSteps, testPhases, claims)
	l.Timeout = 10 * sec
	return l
}

// ok is a success with the given response time, in the first second unless due says else.
func ok(due, response int64) *Sample {
	return &Sample{Due: due, Begin: due, Sent: due + 1, First: due + response, Done: due + response, In: 100, Out: 10, Reused: true}
}

func failed(o Outcome, due, age int64) *Sample {
	s := ok(due, age)
	s.Outcome = o
	return s
}

func (r *Recorder) total(i int) slo.Slot {
	var sum slo.Slot
	for _, s := range r.ClaimSlots(i) {
		sum = slo.Slot{N: sum.N + s.N, Bad: sum.Bad + s.Bad, Sum: sum.Sum + s.Sum, Max: max(sum.Max, s.Max)}
	}
	return sum
}

func TestFailedRequestIsSlowerThanEveryLimit(t *testing.T) {
	for _, clock := range []slo.Clock{slo.Response, slo.Service, slo.TTFB} {
		for o := Status; o < NumOutcomes; o++ {
			if o == Aborted {
				continue
			}
			m := slo.Metric{Clock: clock, Q: 0.5, Within: time.Second}
			l := testLayout(latencyLimit(slo.Quantile, m), latencyLimit(slo.Max, m), latencyLimit(slo.Mean, m), latencyLimit(slo.Within, m))
			r := NewRecorder(l)
			r.Record(hold, list, failed(o, 5, 1*ms)) // a fast failure
			for i := range l.Claims {
				if s := r.total(i); s.N != 1 || s.Bad != 1 {
					t.Errorf("%v: %v: %d bad of %d, want 1 of 1", o, l.Claims[i].Objective.Metric, s.Bad, s.N)
				}
			}
			s := r.Snapshot()
			for i, want := range []float64{math.Inf(1), math.Inf(1), 10, 0} {
				if got := s.Evidence(i, 1, nil).Observed; got != want {
					t.Errorf("%v: observed %v is %v, want %v", o, l.Claims[i].Objective.Metric, got, want)
				}
			}
		}
	}
}

func TestPlainSuccessesCountAsAllOthersDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for _, c := range everyClaim() {
			short, long := newTally(&c), newTally(&c)
			if short.plain == notPlain {
				continue
			}
			short.origin, long.origin = 5*sec, 5*sec
			for range rapid.IntRange(1, 5).Draw(t, "samples") {
				due := rapid.Int64Range(0, 20*sec).Draw(t, "due")
				s := ok(due, rapid.Int64Range(1, sec).Draw(t, "response"))
				if rapid.Bool().Draw(t, "connects") {
					s.Connect, s.Reused = 1, false
				}
				var g reading
				g.read(s)
				short.success(&g)
				long.record(&g, 10*sec)
			}
			if a, b := short.counted(), long.counted(); !reflect.DeepEqual(a, b) {
				t.Fatalf("%v: %v, want %v", c.Objective.Metric, a, b)
			}
		}
	})
}

func TestFailureOlderThanTheTimeoutCountsWithItsAgeInTheMean(t *testing.T) {
	r := NewRecorder(testLayout(latencyLimit(slo.Mean, slo.Metric{})))
	r.Record(hold, list, failed(Timeout, 0, 14*sec)) // 4 s in a queue, then the timeout
	r.Record(hold, list, ok(0, 2*sec))
	if got := r.Snapshot().Evidence(0, 1, nil).Observed; got != 8 {
		t.Fatalf("mean %v s, want 8", got)
	}
}

func TestOnlySuccessesCountInAnOKClaim(t *testing.T) {
	r := NewRecorder(testLayout(latencyLimit(slo.Quantile, slo.Metric{OnlyOK: true, Q: 0.95}), latencyLimit(slo.Max, slo.Metric{OnlyOK: true})))
	r.Record(hold, list, ok(0, 50*ms))
	r.Record(hold, list, failed(Reset, 0, 300*ms))
	r.Record(hold, list, failed(Aborted, 0, 900*ms))
	r.NotIssued(hold, list, 0)
	for i := range 2 {
		e := r.Snapshot().Evidence(i, 1, nil)
		if s := r.total(i); s.N != 1 || s.Bad != 0 || e.Observed != 0.05 || e.Lost != 1 {
			t.Errorf("claim %d: %+v, observed %v, lost %d", i, s, e.Observed, e.Lost)
		}
	}
}

func TestLimitIsComparedExactly(t *testing.T) {
	below, at := latencyLimit(slo.Quantile, slo.Metric{Q: 0.95}), latencyLimit(slo.Quantile, slo.Metric{Q: 0.95})
	at.Objective.Op = slo.LE
	within := latencyLimit(slo.Within, slo.Metric{Within: 200 * time.Millisecond})
	r := NewRecorder(testLayout(below, at, within))
	for _, ns := range []int64{200*ms - 1, 200 * ms, 200*ms + 1} {
		r.Record(hold, list, ok(0, ns))
	}
	for i, want := range []uint64{2, 1, 1} {
		if s := r.total(i); s.Bad != want || s.N != 3 {
			t.Errorf("claim %d: %d bad of %d, want %d of 3", i, s.Bad, s.N, want)
		}
	}
}

func TestEachClockMeasuresItsOwnInterval(t *testing.T) {
	var claims []slo.Claim
	for _, clock := range []slo.Clock{slo.Response, slo.Service, slo.TTFB, slo.Connect} {
		claims = append(claims, latencyLimit(slo.Max, slo.Metric{Clock: clock}))
	}
	r := NewRecorder(testLayout(claims...))
	due := 100 * sec
	r.Origin(hold, due)
	r.Record(hold, list, &Sample{Due: due, Begin: due + 1*ms, Sent: due + 10*ms, First: due + 30*ms, Done: due + 70*ms, Connect: 8 * ms})
	s := r.Snapshot()
	for i, want := range []float64{0.070, 0.060, 0.020, 0.008} {
		if got := s.Evidence(i, 1, nil).Observed; got != want {
			t.Errorf("clock %d: %v s, want %v", i, got, want)
		}
	}
	c := &s.Series[hold*len(testSteps)+list]
	for name, h := range map[string]Hist{"response": c.Response, "service": c.Service, "ttfb": c.TTFB, "connect": c.Connect} {
		if h.Count != 1 {
			t.Errorf("%s histogram has %d values", name, h.Count)
		}
	}
}

func TestConnectClaimCountsOnlyWhatNeededAConnection(t *testing.T) {
	r := NewRecorder(testLayout(latencyLimit(slo.Quantile, slo.Metric{Clock: slo.Connect, Q: 0.5})))
	reused := ok(0, 300*ms)
	fresh := ok(0, 300*ms)
	fresh.Connect, fresh.Reused = 5*ms, false
	refused := &Sample{Due: 0, Done: 1 * ms, Outcome: ConnectFail}
	for _, s := range []*Sample{reused, fresh, fresh, fresh, refused} {
		r.Record(hold, list, s)
	}
	r.NotIssued(hold, list, 0)
	if s := r.total(0); s.N != 4 || s.Bad != 1 {
		t.Fatalf("%d bad of %d, want 1 of 4", s.Bad, s.N)
	}
	if got := r.Snapshot().Evidence(0, 1, nil).Observed; got != 0.005 {
		t.Fatalf("connect p50 %v, want 0.005", got)
	}
}

func TestAbortedRequestIsBadBeyondTheLimitAndElseLost(t *testing.T) {
	errors := claim(slo.Errors, slo.Objective{Limit: 0.01, Unit: slo.Ratio})
	errorsAborted := errors
	errorsAborted.Objective.Metric.Class = "aborted"
	throughput := claim(slo.Throughput, slo.Objective{Limit: 1, Unit: slo.PerSecond, Op: slo.GT})
	requests := claim(slo.Requests, slo.Objective{Limit: 1, Unit: slo.Count, Op: slo.GT})
	r := NewRecorder(testLayout(latencyLimit(slo.Quantile, slo.Metric{Q: 0.95}), latencyLimit(slo.Max, slo.Metric{}), errors, errorsAborted, throughput, requests))
	r.Record(hold, list, failed(Aborted, 0, 199*ms))
	r.Record(hold, list, failed(Aborted, 0, 200*ms))
	s := r.Snapshot()
	for i, want := range []struct{ n, bad, lost uint64 }{{1, 1, 1}, {1, 1, 1}, {0, 0, 2}, {2, 2, 0}, {0, 0, 2}, {2, 0, 0}} {
		if got := r.total(i); got.N != want.n || got.Bad != want.bad || s.Claims[i].Lost != want.lost {
			t.Errorf("%v: %+v, lost %d, want %+v", r.layout.Claims[i].Objective.Metric, got, s.Claims[i].Lost, want)
		}
	}
}

func TestArrivalNeverSentIsSlowAndDroppedButNoError(t *testing.T) {
	dropped := claim(slo.Dropped, slo.Objective{Limit: 0.01, Unit: slo.Ratio})
	droppedCount := claim(slo.Dropped, slo.Objective{Limit: 5, Unit: slo.Count})
	errors := claim(slo.Errors, slo.Objective{Limit: 0.01, Unit: slo.Ratio})
	within := latencyLimit(slo.Within, slo.Metric{Within: time.Second})
	r := NewRecorder(testLayout(dropped, droppedCount, errors, within,
		latencyLimit(slo.Quantile, slo.Metric{Q: 0.5}), latencyLimit(slo.Max, slo.Metric{}), latencyLimit(slo.Mean, slo.Metric{})))
	r.Record(hold, list, ok(0, 2*ms))
	for range 3 {
		r.NotIssued(hold, list, 0)
	}
	s := r.Snapshot()
	for i, want := range []float64{0.75, 3, 0, 0.25, math.Inf(1), math.Inf(1), (0.002 + 30) / 4} {
		if got := s.Evidence(i, 1, nil).Observed; got != want {
			t.Errorf("%v: %v, want %v", r.layout.Claims[i].Objective.Metric, got, want)
		}
	}
	if row := s.Rows()[1]; row.NotIssued != 3 || row.Failures != 0 || !math.IsInf(row.Response.Quantile(0.5), 1) || row.Success.Quantile(0.5) != 0.002 {
		t.Errorf("row %+v", row)
	}
}

func TestErrorClassesAreCountedApart(t *testing.T) {
	all := claim(slo.Errors, slo.Objective{})
	checks := claim(slo.Errors, slo.Objective{Metric: slo.Metric{Class: "check"}})
	r := NewRecorder(testLayout(all, checks))
	for o := OK; o < NumOutcomes; o++ {
		r.Record(hold, list, failed(o, 0, ms))
	}
	if s := r.total(0); s.N != 11 || s.Bad != 10 {
		t.Errorf("errors: %+v", s)
	}
	if s := r.total(1); s.N != 11 || s.Bad != 1 {
		t.Errorf("errors.check: %+v", s)
	}
}

func TestBytesThroughputAndCounts(t *testing.T) {
	r := NewRecorder(testLayout(
		claim(slo.BytesIn, slo.Objective{Unit: slo.Bytes}), claim(slo.BytesOut, slo.Objective{Unit: slo.Bytes}),
		claim(slo.Throughput, slo.Objective{Op: slo.GT}), claim(slo.Successes, slo.Objective{Op: slo.GT}),
		claim(slo.Requests, slo.Objective{Op: slo.GT}),
		claim(slo.Users, slo.Objective{Op: slo.GE}), claim(slo.Users, slo.Objective{Op: slo.LE})))
	for range 8 {
		r.Record(hold, list, ok(0, ms))
	}
	r.Record(hold, list, failed(Reset, 0, ms))
	s := r.Snapshot()
	for i, want := range []float64{900, 90, 2, 8, 9, 3, 7} {
		if got := s.Evidence(i, 4, []float64{5, 3, 7}).Observed; got != want {
			t.Errorf("%v: %v, want %v", r.layout.Claims[i].Objective.Metric, got, want)
		}
	}
}

func TestNoDataIsNotANumberForEveryMetric(t *testing.T) {
	for kind := slo.Quantile; kind <= slo.BytesOut; kind++ {
		e := NewRecorder(testLayout(claim(kind, slo.Objective{Metric: slo.Metric{Q: 0.5}}))).Snapshot().Evidence(0, 10, nil)
		if !math.IsNaN(e.Observed) {
			t.Errorf("metric %d: %v", kind, e.Observed)
		}
		if len(e.Slots) != 10 {
			t.Errorf("metric %d: %d slots, want one for each silent second", kind, len(e.Slots))
		}
	}
}

func TestScopeOfAClaim(t *testing.T) {
	errors := slo.Objective{Metric: slo.Metric{Kind: slo.Errors}}
	with := func(f func(*slo.Objective)) slo.Objective { o := errors; f(&o); return o }
	all := []int{list, alert, relogin}
	for name, c := range map[string]struct {
		claim slo.Claim
		want  map[int][]int // phase: steps
	}{
		"the hold, without set-up": {slo.Claim{Objective: errors, Stage: "steady"}, map[int][]int{hold: all}},
		"a warm-up that is named":  {slo.Claim{Objective: errors, Stage: "warm"}, map[int][]int{warm: all}},
		"including ramps": {
			slo.Claim{Objective: with(func(o *slo.Objective) { o.IncludingRamps = true }), Stage: "spike"},
			map[int][]int{spikeRamp: all, spiked: all},
		},
		"an endpoint": {
			slo.Claim{Objective: with(func(o *slo.Objective) { o.Selector.Endpoint = "login" }), Stage: "steady"},
			map[int][]int{hold: {relogin}},
		},
		"a persona": {
			slo.Claim{Objective: with(func(o *slo.Objective) { o.Selector.Persona = "ingest" }), Stage: "steady"},
			map[int][]int{hold: {alert, relogin}},
		},
		"set-up by name, in the ramp too": {
			slo.Claim{Objective: with(func(o *slo.Objective) { o.Selector.Task = "on_start" }), Stage: "steady", Setup: true},
			map[int][]int{ramp: {login}, hold: {login}},
		},
		"a guard of set-up": {
			slo.Claim{Objective: errors, Guard: true, GuardOf: "login", Setup: true},
			map[int][]int{warm: {login}, ramp: {login}, hold: {login}, spikeRamp: {login}, spiked: {login}},
		},
		"a guard of ordinary steps of the same row": {
			slo.Claim{Objective: errors, Guard: true, GuardOf: "login"},
			map[int][]int{hold: {relogin}, spiked: {relogin}},
		},
		"a guard of a stage": {slo.Claim{Objective: errors, Stage: "steady", Guard: true}, map[int][]int{hold: all}},
	} {
		l := testLayout(c.claim)
		for p := range testPhases {
			for s := range testSteps {
				r := NewRecorder(l)
				r.Record(p, s, ok(0, ms))
				want := uint64(0)
				for _, step := range c.want[p] {
					if step == s {
						want = 1
					}
				}
				if counted := slices.Contains(l.SeriesOf(0), p*len(testSteps)+s); counted != (want == 1) {
					t.Errorf("%s: phase %d, step %d is a series of the claim: %v", name, p, s, counted)
				}
				if got := r.total(0).N; got != want {
					t.Errorf("%s: phase %d, step %d counts %d, want %d", name, p, s, got, want)
				}
			}
		}
		if got := l.Scope(0); len(got) != len(c.want) {
			t.Errorf("%s: scope %v", name, got)
		}
	}
}

func TestSlotsStartWithTheScopeOfTheirClaim(t *testing.T) {
	errors := slo.Objective{Metric: slo.Metric{Kind: slo.Errors}}
	ramps := errors
	ramps.IncludingRamps = true
	r := NewRecorder(testLayout(
		slo.Claim{Objective: errors, Stage: "steady"}, slo.Claim{Objective: ramps, Stage: "steady"},
		slo.Claim{Objective: errors, Guard: true, GuardOf: "list"},
		slo.Claim{Objective: ramps, Stage: "spike"}))
	r.Origin(ramp, 3*sec)
	r.Origin(hold, 5*sec+500*ms)
	r.Origin(ramp, 30*sec)   // the way back
	r.Origin(spiked, 40*sec) // a spike without a ramp
	r.Record(hold, list, ok(7*sec+400*ms, ms))
	r.Record(hold, list, ok(7*sec+500*ms, ms))
	r.Record(spiked, list, ok(41*sec, ms))
	for i, want := range []string{".11", "....2", ".......2.................................1", ".1"} {
		var got strings.Builder
		for _, s := range r.ClaimSlots(i) {
			got.WriteByte(".123"[s.N])
		}
		if got.String() != want {
			t.Errorf("claim %d: slots %q, want %q", i, got.String(), want)
		}
	}
}

func TestPhaseThatComesUpAgainKeepsItsFirstStart(t *testing.T) {
	r := NewRecorder(testLayout())
	r.Origin(ramp, 3*sec)
	r.Origin(hold, 5*sec)
	r.Origin(ramp, 30*sec)
	if got, want := r.Snapshot().Origins, []int64{-1, 3 * sec, 5 * sec, -1, -1}; !slices.Equal(got, want) {
		t.Fatalf("phases start at %v, want %v", got, want)
	}
}

func TestImpossibleTimesAreClampedAndCounted(t *testing.T) {
	const big = math.MaxInt64
	for name, s := range map[string]Sample{
		"due before the run":       {Due: -5, Sent: 1, First: 2, Done: 3},
		"done before due":          {Due: 9, Sent: 10, First: 11, Done: 3},
		"sent before due":          {Due: 9, Sent: 5, First: 11, Done: 12},
		"first before sent":        {Due: 1, Sent: 5, First: 4, Done: 12},
		"first after done":         {Due: 1, Sent: 5, First: 14, Done: 12},
		"success without a byte":   {Due: 1, Sent: 5, Done: 12},
		"never sent but answered":  {Due: 1, First: 5, Done: 12},
		"negative connect":         {Due: 1, Sent: 5, First: 6, Done: 12, Connect: -3},
		"connect longer than all":  {Due: 1, Sent: 5, First: 6, Done: 12, Connect: big},
		"after the end of time":    {Due: big, Sent: big, First: big, Done: big},
		"from the start of time":   {Due: math.MinInt64, Sent: math.MinInt64, First: math.MinInt64, Done: math.MinInt64},
		"the whole of time":        {Due: math.MinInt64, Sent: 1, First: 1, Done: big},
		"negative bytes":           {Due: 1, Sent: 5, First: 6, Done: 12, In: -1, Out: math.MinInt64},
		"failed before it was due": {Due: 5, Done: 1, Outcome: Reset},
	} {
		r := NewRecorder(testLayout(latencyLimit(slo.Mean, slo.Metric{}), latencyLimit(slo.Max, slo.Metric{Clock: slo.TTFB})))
		r.Record(hold, list, &s)
		fixed := s.clamp()
		if !fixed.possible() {
			t.Errorf("%s: clamped to %+v", name, fixed)
		}
		snap := r.Snapshot()
		if snap.Clamped != 1 {
			t.Errorf("%s: %d samples clamped", name, snap.Clamped)
		}
		if _, err := Merge(snap); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	r := NewRecorder(testLayout())
	r.Record(hold, list, ok(0, ms))
	r.Record(hold, list, &Sample{Due: 1, Done: 2, Outcome: ConnectFail})
	r.NotIssued(hold, list, -1)
	r.NotIssued(hold, list, math.MaxInt64)
	r.Lag(-1)
	r.Lag(math.MaxInt64)
	if n := r.Snapshot().Clamped; n != 0 {
		t.Errorf("%d possible samples clamped", n)
	}
}

func TestLiveShowsWhatEndedSinceItWasLastAsked(t *testing.T) {
	l := testLayout()
	a, b := NewRecorder(l), NewRecorder(l)
	a.Record(hold, list, ok(0, 100*ms))
	a.Record(hold, list, failed(Status, 0, 5*ms))
	b.Record(spiked, alert, ok(90*sec, 300*ms))
	b.NotIssued(hold, list, 0)
	live, other := a.Live(), b.Live()
	live.Merge(&other)
	if live.Requests != 3 || live.Failures != 1 || live.NotIssued != 1 {
		t.Fatalf("%+v", live)
	}
	for q, want := range map[float64]float64{0.25: 0.1, 0.5: 0.3, 0.75: math.Inf(1)} {
		if got := live.Response.Quantile(q); got != want && math.Abs(got-want) > want/100 {
			t.Errorf("p%v: %v, want %v", 100*q, got, want)
		}
	}
	if again := a.Live(); again.Requests != 0 || again.Response.Count != 0 || again.Response.Inf != 0 {
		t.Fatalf("a second look shows %+v", again)
	}
	a.Record(hold, list, ok(0, 200*ms))
	if later := a.Live(); later.Requests != 1 || later.Response.Min != 200*ms || later.Response.Max != 200*ms {
		t.Fatalf("later: %+v", later)
	}
}

func TestTailLeavesSetupAndAbortedOut(t *testing.T) {
	r := NewRecorder(testLayout())
	r.Record(hold, login, failed(Status, 0, ms))
	r.Record(hold, list, ok(0, ms))
	r.Record(hold, alert, failed(Timeout, 0, 10*sec))
	r.Record(hold, alert, failed(Aborted, 0, ms))
	r.Record(spiked, alert, ok(0, ms))
	if n, bad := r.Tail(hold); n != 2 || bad != 1 {
		t.Fatalf("%d failed of %d, want 1 of 2", bad, n)
	}
}

func TestRecordingIsFreeOfAllocations(t *testing.T) {
	r, samples := benchRecorder()
	for i := range samples {
		r.Record(hold, list, &samples[i])
	}
	i := 0
	if n := testing.AllocsPerRun(10_000, func() {
		r.Planned(hold, list, 1)
		r.Issued(hold, list)
		r.Record(hold, list, &samples[i%len(samples)])
		r.Lag(1000)
		i++
	}); n != 0 {
		t.Fatalf("%v allocations a request", n)
	}
}

func TestRecorderNeedsAPreparedLayout(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("a layout without its scopes was accepted, and no claim would count")
		}
	}()
	NewRecorder(&Layout{Steps: testSteps, Phases: testPhases})
}
