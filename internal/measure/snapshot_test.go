package measure

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tollgate/pkg/slo"
)

// everyClaim is one claim of each kind and clock, so that a merge of any is seen.
func everyClaim() []slo.Claim {
	var claims []slo.Claim
	for _, clock := range []slo.Clock{slo.Response, slo.Service, slo.TTFB, slo.Connect} {
		for _, kind := range []slo.MetricKind{slo.Quantile, slo.Max, slo.Mean, slo.Within} {
			for _, onlyOK := range []bool{false, true} {
				claims = append(claims, latencyLimit(kind, slo.Metric{Clock: clock, OnlyOK: onlyOK, Q: 0.9, Within: 100 * time.Millisecond}))
			}
		}
	}
	for kind := slo.Errors; kind <= slo.BytesOut; kind++ {
		claims = append(claims, claim(kind, slo.Objective{Limit: 1, Unit: slo.Count, IncludingRamps: true}))
	}
	return append(claims, slo.Claim{Guard: true, GuardOf: "login", Objective: slo.Objective{Metric: slo.Metric{Kind: slo.Errors}}})
}

// event is one call of a recorder.
type event struct {
	phase, step int
	notIssued   bool
	skipped     bool
	lost        bool
	sample      Sample
	message     string
}

func (e event) apply(r *Recorder) {
	if e.skipped {
		r.Skipped(e.phase, e.step)
		return
	}
	r.Planned(e.phase, e.step, 1)
	if e.notIssued {
		r.NotIssued(e.phase, e.step, e.sample.Due)
		return
	}
	r.Issued(e.phase, e.step)
	if e.lost {
		r.Lost(e.phase, e.step, 1)
		return
	}
	r.Record(e.phase, e.step, &e.sample)
	r.Lag(e.sample.Lag)
	if e.sample.Outcome != OK {
		r.Failure(e.step, e.sample.Outcome, 500, e.message)
	}
}

func drawEvent(t *rapid.T) event {
	due := rapid.Int64Range(0, 60*sec).Draw(t, "due")
	sent := due + rapid.Int64Range(1, 30*ms).Draw(t, "queueing")
	first := sent + rapid.Int64Range(0, 3*sec).Draw(t, "ttfb")
	e := event{
		phase:   rapid.IntRange(0, len(testPhases)-1).Draw(t, "phase"),
		step:    rapid.IntRange(0, len(testSteps)-1).Draw(t, "step"),
		message: rapid.SampledFrom([]string{"", "refused", "status 500", "reset"}).Draw(t, "message"),
		sample: Sample{
			Due: due, Sent: sent, First: first, Done: first + rapid.Int64Range(0, 15*sec).Draw(t, "body"),
			In: rapid.Int64Range(0, 1<<20).Draw(t, "in"), Out: 77,
			Lag: rapid.Int64Range(0, ms).Draw(t, "lag"), Reused: true,
		},
	}
	switch rapid.IntRange(0, 9).Draw(t, "fate") {
	case 0:
		e.notIssued = true
	case 1:
		e.skipped = true
	case 2:
		e.lost = true
	case 3, 4:
		e.sample.Outcome = Outcome(rapid.IntRange(1, int(NumOutcomes)-1).Draw(t, "outcome"))
	case 5:
		e.sample.Connect, e.sample.Reused = sent-due, false
	}
	return e
}

func begin(l *Layout) *Recorder {
	r := NewRecorder(l)
	setOrigins(r)
	return r
}

func setOrigins(r *Recorder) {
	for p := range testPhases {
		r.Origin(p, int64(p)*10*sec)
	}
}

func TestAnySplitOverRecordersMergesToTheSameSnapshot(t *testing.T) {
	l := testLayout(everyClaim()...)
	rapid.Check(t, func(t *rapid.T) {
		events := rapid.SliceOfN(rapid.Custom(drawEvent), 0, 150).Draw(t, "events")
		shards := make([]*Recorder, rapid.IntRange(1, 5).Draw(t, "recorders"))
		for i := range shards {
			shards[i] = NewRecorder(l)
		}
		one := NewRecorder(l)
		for _, e := range events {
			// A loop learns of the phases when it first has something to do.
			for _, r := range []*Recorder{one, shards[rapid.IntRange(0, len(shards)-1).Draw(t, "recorder")]} {
				setOrigins(r)
				e.apply(r)
			}
		}
		want := one.Snapshot()
		parts := make([]*Snapshot, len(shards))
		for i, r := range shards {
			parts[i] = r.Snapshot()
		}
		mustEqual := func(what string, got *Snapshot, err error) {
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("%s differs from one recorder's:\n%s", what, cmp.Diff(want, got, cmp.Comparer(func(a, b *Layout) bool { return a == b })))
			}
		}
		merged, err := Merge(parts...)
		mustEqual("the merge", merged, err)

		perm := rapid.Permutation(parts).Draw(t, "order")
		merged, err = Merge(perm...)
		mustEqual("the merge in another order", merged, err)

		cut := rapid.IntRange(1, len(perm)).Draw(t, "cut")
		left, err := Merge(perm[:cut]...)
		if err == nil && cut < len(perm) {
			var right *Snapshot
			if right, err = Merge(perm[cut:]...); err == nil {
				left, err = Merge(left, right)
			}
		}
		mustEqual("the merge of merges", left, err)

		for i := range l.Claims {
			a, b := merged.Evidence(i, 50, []float64{1}), want.Evidence(i, 50, []float64{1})
			if fmt.Sprint(a) != fmt.Sprint(b) {
				t.Fatalf("evidence of claim %d: %v, want %v", i, a, b)
			}
		}
		if err := merged.Check(); err != nil {
			t.Fatalf("the accounts do not add up: %v", err)
		}
		for i, c := range merged.Series {
			if c.Response.Count != c.Outcomes[OK] || c.Service.Count != c.Outcomes[OK] || c.Failed.Count != c.Failures() {
				t.Fatalf("series %d: histograms of %d, %d and %d for %+v", i, c.Response.Count, c.Service.Count, c.Failed.Count, c.Outcomes)
			}
		}
		checkTimeline(t, merged)
	})
}

// checkTimeline compares the sums over all seconds with the series.
func checkTimeline(t *rapid.T, s *Snapshot) {
	type sum struct{ requests, failures, notIssued uint64 }
	got, want := map[string]sum{}, map[string]sum{}
	for _, p := range s.Timeline() {
		k := fmt.Sprint(p.Row, p.Method, p.Setup)
		v := got[k]
		got[k] = sum{v.requests + p.Requests, v.failures + p.Failures, v.notIssued + p.NotIssued}
	}
	for _, r := range append(s.Rows(), s.Select(func(_ Phase, step Step) bool { return !step.Setup })) {
		v := sum{r.Requests, r.Failures, r.NotIssued}
		if v != (sum{}) {
			want[fmt.Sprint(r.Name, r.Method, r.Setup)] = v
		}
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(sum{})); d != "" {
		t.Fatalf("the timeline does not add up to the rows:\n%s", d)
	}
}

func TestMergeLeavesItsInputsAlone(t *testing.T) {
	l := testLayout(everyClaim()...)
	rapid.Check(t, func(t *rapid.T) {
		a, b := begin(l), begin(l)
		for _, e := range rapid.SliceOf(rapid.Custom(drawEvent)).Draw(t, "events") {
			e.apply(a)
			e.apply(b)
		}
		sa, sb, before := a.Snapshot(), b.Snapshot(), a.Snapshot()
		once, err := Merge(sa, sb)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Merge(once, sb, sa); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(sa, before) || !reflect.DeepEqual(sb, before) {
			t.Fatal("a merge changed what it merged")
		}
	})
}

func TestEndTellsWhatSnapshotTells(t *testing.T) {
	l := testLayout(everyClaim()...)
	rapid.Check(t, func(t *rapid.T) {
		r := begin(l)
		for _, e := range rapid.SliceOf(rapid.Custom(drawEvent)).Draw(t, "events") {
			e.apply(r)
		}
		want := r.Snapshot()
		if got := r.End(); !reflect.DeepEqual(got, want) {
			t.Fatalf("the end of a recorder is not its snapshot:\n%s", cmp.Diff(want, got))
		}
	})
}

func TestLogOutOfOrderIsMadeCanonicalByAMerge(t *testing.T) {
	late := point{row: 0, second: 7, requests: 1, filled: 1, packed: Pack(Bucket{700, 1})}
	early := point{row: 0, second: 3, requests: 2, filled: 1, packed: Pack(Bucket{700, 2})}
	s := NewRecorder(testLayout()).Snapshot()
	s.Log = appendPoint(appendPoint(appendPoint(nil, &late), &early), &late)
	merged, err := Merge(s)
	if err != nil {
		t.Fatal(err)
	}
	late.requests, late.packed = 2, Pack(Bucket{700, 2})
	if want := appendPoint(appendPoint(nil, &early), &late); string(merged.Log) != string(want) {
		t.Errorf("log %x, want %x", merged.Log, want)
	}
}

func TestMergeRefusesSnapshotsOfAnotherRun(t *testing.T) {
	good := NewRecorder(testLayout(everyClaim()...)).Snapshot()
	otherTimeout := testLayout(everyClaim()...)
	otherTimeout.Timeout++
	broken := func(f func(*Snapshot)) *Snapshot {
		r := begin(testLayout(everyClaim()...))
		r.Record(hold, list, ok(0, ms))
		r.Record(hold, list, failed(Reset, 0, ms))
		r.Failure(list, Reset, 0, "reset")
		s := r.Snapshot()
		f(s)
		return s
	}
	for name, s := range map[string]*Snapshot{
		"nothing":          nil,
		"no layout":        {},
		"other claims":     NewRecorder(testLayout()).Snapshot(),
		"other timeout":    NewRecorder(otherTimeout).Snapshot(),
		"series missing":   broken(func(s *Snapshot) { s.Series = s.Series[1:] }),
		"claims missing":   broken(func(s *Snapshot) { s.Claims = s.Claims[1:] }),
		"origins missing":  broken(func(s *Snapshot) { s.Origins = nil }),
		"a wild bucket":    broken(func(s *Snapshot) { s.Series[hold*len(testSteps)+list].Response.Packed = Pack(Bucket{fineBuckets, 1}) }),
		"torn buckets":     broken(func(s *Snapshot) { s.Series[hold*len(testSteps)+list].Response.Packed = []byte{0x80} }),
		"a wrong count":    broken(func(s *Snapshot) { s.Series[hold*len(testSteps)+list].Response.Count++ }),
		"an unknown row":   broken(func(s *Snapshot) { s.Failures[0].Row = "nobody's" }),
		"a wild outcome":   broken(func(s *Snapshot) { s.Failures[0].Outcome = NumOutcomes }),
		"a torn log":       broken(func(s *Snapshot) { s.Log = s.Log[:len(s.Log)-1] }),
		"a wild lag":       broken(func(s *Snapshot) { s.Lag.Count = 4 }),
		"a log of no row":  broken(func(s *Snapshot) { s.Log = appendPoint(nil, &point{row: 99}) }),
		"too many seconds": broken(func(s *Snapshot) { s.Claims[0].Slots = make([]SlotCount, maxSecond+2) }),
	} {
		if _, err := Merge(good, s); err == nil {
			t.Errorf("%s: merged", name)
		}
	}
	if _, err := Merge(); err == nil {
		t.Error("nothing at all: merged")
	}
	if _, err := Merge(good, broken(func(*Snapshot) {})); err != nil {
		t.Errorf("an equal layout made anew: %v", err)
	}
}

func TestAccountsThatDoNotAddUpAreNamedWithTheirNumbers(t *testing.T) {
	r := NewRecorder(testLayout())
	r.Planned(hold, list, 5)
	for range 3 {
		r.Issued(hold, list)
	}
	r.NotIssued(hold, list, 0)
	r.Record(hold, list, ok(0, ms))
	err := r.Snapshot().Check()
	if err == nil {
		t.Fatal("5 planned of which 4 are known, and no error")
	}
	for _, want := range []string{
		`stage steady (hold), dispatcher/browse, GET "list": planned 5 is not issued 3 + not issued 1`,
		`stage steady (hold), dispatcher/browse, GET "list": issued 3 is not ok 1 + failed 0 + aborted 0 + lost 0`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%v", want, err)
		}
	}
	r.Unplanned(hold, list)
	r.Record(hold, list, failed(Reset, 0, ms))
	r.Lost(hold, list, 1)
	if err := r.Snapshot().Check(); err != nil {
		t.Errorf("accounts that add up: %v", err)
	}
}

func TestLostSamplesCountForEveryClaimThatWouldHaveSeenThem(t *testing.T) {
	r := NewRecorder(testLayout(latencyLimit(slo.Quantile, slo.Metric{Q: 0.5}), slo.Claim{Stage: "spike", Objective: slo.Objective{Metric: slo.Metric{Kind: slo.Errors}}}))
	r.Lost(hold, list, 7)
	s := r.Snapshot()
	if a, b := s.Evidence(0, 1, nil).Lost, s.Evidence(1, 1, nil).Lost; a != 7 || b != 0 {
		t.Fatalf("lost %d and %d, want 7 and 0", a, b)
	}
}

func TestRowsAddUpStepsOfOneNameAndKeepSetupApart(t *testing.T) {
	r := NewRecorder(testLayout())
	r.Record(ramp, login, ok(0, 40*ms))
	r.Record(hold, relogin, ok(0, 20*ms))
	r.Record(hold, list, ok(0, 10*ms))
	r.Record(warm, list, failed(Status, 0, 10*ms))
	rows := r.Snapshot().Rows()
	var got []string
	for _, row := range rows {
		got = append(got, fmt.Sprint(row.Name, " ", row.Method, " ", row.Setup, " ", row.Requests, " ", row.Failures))
	}
	want := []string{"login POST true 1 0", "list GET false 2 1", "alert POST false 0 0", "login POST false 1 0"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if row := r.Snapshot().JudgedRows()[1]; row.Requests != 1 || row.Failures != 0 {
		t.Errorf("judged: %d requests, %d failures: the warm-up counts", row.Requests, row.Failures)
	}
}

func TestTimelineShowsEachSecondByWhenItsRequestsWereDue(t *testing.T) {
	r := NewRecorder(testLayout())
	for i := range int64(30) {
		r.Record(hold, list, ok(i*sec, 100*ms))
	}
	// Far too late for the ring: due in second 2, answered long after.
	r.Record(hold, list, ok(2*sec, 20*sec))
	r.Record(hold, list, failed(Timeout, 2*sec, 25*sec))
	r.NotIssued(hold, list, 2*sec)
	r.Record(hold, login, ok(29*sec, 50*ms))
	byRow := map[string][]Second{}
	for _, p := range r.Snapshot().Timeline() {
		byRow[p.Row] = append(byRow[p.Row], p)
	}
	if n := len(byRow["list"]); n != 30 || len(byRow[""]) != 30 || len(byRow["login"]) != 1 {
		t.Fatalf("%d seconds of the row, %d of all, %d of set-up; want 30, 30 and 1", n, len(byRow[""]), len(byRow["login"]))
	}
	p := byRow["list"][2]
	if p.Second != 2 || p.Requests != 3 || p.Failures != 1 || p.NotIssued != 1 {
		t.Errorf("second 2: %+v", p)
	}
	if math.Abs(p.P50-20) > 0.2 || !math.IsInf(p.P95, 1) {
		t.Errorf("second 2: p50 %v, p95 %v, want 20 and no finite value", p.P50, p.P95)
	}
	if q := byRow["list"][7]; math.Abs(q.P99-0.1) > 0.001 {
		t.Errorf("second 7: p99 %v, want 0.1", q.P99)
	}
	if q := byRow[""][29]; q.Requests != 1 {
		t.Errorf("set-up counts in the sum of all rows: %+v", q)
	}
}

func TestLateAnswersDoNotCloseTheSecondsThatAreOpen(t *testing.T) {
	const late = 1000
	r := NewRecorder(testLayout())
	for range late {
		r.Record(hold, list, ok(2*sec+maxRing*sec, 100*ms))
		r.Record(hold, list, ok(2*sec, 20*sec))
	}
	var points []point
	for _, chunk := range r.history.log.chunks {
		points = appendPoints(points, chunk)
	}
	if len(points) != late {
		t.Fatalf("%d entries in the log for %d late answers", len(points), late)
	}
}

func TestFailuresAreCountedByRowAndMessage(t *testing.T) {
	r := NewRecorder(testLayout())
	for range 3 {
		r.Failure(list, Status, 503, "")
	}
	r.Failure(list, Status, 500, "")
	r.Failure(list, Check, 200, "no token")
	r.Failure(relogin, Check, 201, "no token")
	r.Failure(relogin, Check, 200, "no token")
	r.Failure(login, Check, 200, "no token")
	var got []string
	for _, f := range r.Snapshot().Failures {
		got = append(got, fmt.Sprint(f.Count, " ", f.Row, " ", f.Setup, " ", f.Outcome, " ", f.Text()))
	}
	want := []string{
		"3 list false status status 503", "2 login false check no token", "1 list false status status 500",
		"1 list false check no token", "1 login true check no token",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestMessageIsCutAndCopied(t *testing.T) {
	r := NewRecorder(testLayout())
	r.Failure(list, Check, 0, strings.Repeat("é", 1500))
	r.Failure(list, Check, 0, strings.Repeat("é", 1000)+"another end")
	r.Failure(list, Reset, 0, "broken \xff text")
	buffer := []byte("borrowed")
	r.Failure(list, TLS, 0, unsafe.String(&buffer[0], len(buffer)))
	copy(buffer, "reused..")
	f := r.Snapshot().Failures
	if len(f) != 3 || f[0].Count != 2 || f[0].Message != strings.Repeat("é", 1000) {
		t.Fatalf("%d messages, the first %d bytes long", len(f), len(f[0].Message))
	}
	if f[1].Message != "borrowed" && f[2].Message != "borrowed" {
		t.Fatalf("messages %q and %q, one of which was borrowed", f[1].Message, f[2].Message)
	}
	if f[1].Message != "broken \uFFFD text" && f[2].Message != "broken \uFFFD text" {
		t.Fatalf("messages %q and %q, one of which is not UTF-8", f[1].Message, f[2].Message)
	}
}

func TestMessagesBeyondTheCapAreCountedTogetherHoweverTheyWereSplit(t *testing.T) {
	const distinct, each = 3 * maxMessages, 2
	l := testLayout()
	rng := rand.New(rand.NewPCG(7, 7))
	one, shards := NewRecorder(l), []*Recorder{NewRecorder(l), NewRecorder(l), NewRecorder(l)}
	for range each {
		for _, i := range rng.Perm(distinct) {
			message := fmt.Sprintf("no alert %d", i)
			if i == 0 {
				message = ""
			}
			one.Failure(i%len(testSteps), Check, 0, message)
			shards[rng.IntN(3)].Failure(i%len(testSteps), Check, 0, message)
		}
	}
	want := one.Snapshot().Failures
	merged, err := Merge(shards[2].Snapshot(), shards[0].Snapshot(), shards[1].Snapshot())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, merged.Failures); d != "" {
		t.Fatal(d)
	}
	kept, overflow, total, bare := 0, 0, uint64(0), false
	for _, f := range want {
		total += f.Count
		if f.Overflow {
			overflow++
			continue
		}
		kept++
		bare = bare || f.Message == ""
		if f.Count != each {
			t.Fatalf("%q was counted %d times, not %d", f.Message, f.Count, each)
		}
	}
	if kept != maxMessages || overflow != len(testSteps) || total != distinct*each || !bare {
		t.Fatalf("%d messages kept, %d overflows, %d failures in all, bare kept: %v", kept, overflow, total, bare)
	}
}

// A total of an endpoint that nothing but set-up calls is that of set-up; one
// that tasks call too is that of the tasks.
func TestATotalIsOfSetupWhereNothingElseIsSelected(t *testing.T) {
	steps := []Step{
		{Persona: "p", Task: "on_start", Endpoint: "login", Name: "login", Setup: true},
		{Persona: "p", Task: "on_start", Endpoint: "home", Name: "home", Setup: true},
		{Persona: "p", Task: "browse", Endpoint: "home", Name: "home"},
	}
	for sel, want := range map[slo.Selector][]bool{
		{}:                                   {false, false, true},
		{Endpoint: "home"}:                   {false, false, true},
		{Endpoint: "login"}:                  {true, false, false},
		{Task: "on_start"}:                   {true, true, false},
		{Endpoint: "home", Task: "on_start"}: {false, true, false},
		{Endpoint: "nothing"}:                {false, false, false},
	} {
		if got := TotalOf(steps, sel); !slices.Equal(got, want) {
			t.Errorf("%v: %v, want %v", sel, got, want)
		}
	}
}
