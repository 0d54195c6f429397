package compare

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tollgate/internal/measure"
	"tollgate/internal/report"
	"tollgate/pkg/slo"
	"tollgate/pkg/spec"
)

const (
	ms  = int64(time.Millisecond)
	sec = int64(time.Second)
)

// The steps of every made-up run. The board is one row of two personas.
var steps = []measure.Step{
	{Persona: "agent", Task: "on_start", Endpoint: "login", Name: "login", Method: "POST", Setup: true},
	{Persona: "agent", Task: "trigger", Endpoint: "trigger", Name: "trigger threat", Method: "POST"},
	{Persona: "agent", Task: "board", Endpoint: "board", Name: "board", Method: "GET"},
	{Persona: "viewer", Task: "board", Endpoint: "board", Name: "board", Method: "GET"},
	{Persona: "viewer", Task: "rare", Endpoint: "rare", Name: "rare", Method: "GET"},
}

const (
	login = iota
	trigger
	agentBoard
	viewerBoard
	rare
)

var phases = []measure.Phase{
	{Stage: "warmup", Shape: "warmup", Moving: true}, {Stage: "warmup", Shape: "warmup"},
	{Stage: "steady", Shape: "steady", Moving: true}, {Stage: "steady", Shape: "steady"},
	{Stage: "peak", Shape: "spike", Moving: true}, {Stage: "peak", Shape: "spike"}, {Stage: "peak", Shape: "spike", Moving: true, Back: true},
	{Stage: "after", Shape: "steady", Moving: true}, {Stage: "after", Shape: "steady"},
	{Shape: "drain", Moving: true},
}

// spans are those of every made-up run; from is how late the first begins, so
// that holds begin inside a second, or not.
func spans(from float64) []report.Span {
	at := func(phase int, start, end float64) report.Span {
		p := phases[phase]
		return report.Span{Stage: p.Stage, Shape: p.Shape, Moving: p.Moving, Back: p.Back, Drain: p.Shape == "drain", Level: 10, Start: from + start, End: from + end}
	}
	return []report.Span{at(1, 0, 3), at(2, 3, 5), at(3, 5, 35), at(4, 35, 37), at(5, 37, 50), at(6, 50, 52), at(8, 52, 61), at(9, 61, 63)}
}

var phaseOf = []int{1, 2, 3, 4, 5, 6, 8, 9} // of each span

// run is a made-up run.
type run struct {
	rec    *measure.Recorder
	layout *measure.Layout
	from   float64
	report.Run
}

func claim(t testing.TB, text, stage string) slo.Claim {
	t.Helper()
	o, err := slo.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return slo.Claim{Objective: o, Stage: stage}
}

func guard(t testing.TB, row string) slo.Claim {
	t.Helper()
	c := claim(t, fmt.Sprintf("errors{endpoint=%q} <= 1%%", row), "")
	c.Guard, c.GuardOf, c.Setup = true, row, row == "login"
	return c
}

func newRun(from float64, claims []slo.Claim) *run {
	r := &run{layout: measure.NewLayout(steps, phases, claims), from: from}
	r.layout.Timeout = 10 * sec
	r.rec = measure.NewRecorder(r.layout)
	for i, s := range spans(from) {
		r.rec.Origin(phaseOf[i], int64(math.Round(s.Start*1e9)))
	}
	r.Run = report.Run{
		Spec:     &spec.Spec{Name: "made up", Version: 1, Personas: []*spec.Persona{{Name: "agent"}, {Name: "viewer"}}},
		Spans:    spans(from),
		Elapsed:  time.Duration((from + 63) * 1e9),
		Complete: true,
	}
	for i := range 63 {
		r.Users = append(r.Users, report.Users{At: from + float64(i) + 0.5, Active: []int{6, 4 + i/40}})
	}
	return r
}

// at returns the phase in which an instant lies.
func (r *run) at(due int64) int {
	out := phaseOf[0]
	for i, s := range spans(r.from) {
		if due >= int64(math.Round(s.Start*1e9)) {
			out = phaseOf[i]
		}
	}
	return out
}

func (r *run) record(step int, due, took int64, o measure.Outcome) {
	phase := r.at(due)
	r.rec.Planned(phase, step, 1)
	r.rec.Issued(phase, step)
	r.rec.Record(phase, step, &measure.Sample{Due: due, Begin: due, Sent: due + 1, First: due + took, Done: due + took, In: 100, Out: 10, Outcome: o, Reused: true})
}

// busy fills the run: every step but the rare one, at random times, of which
// some fail, some are cut off, and some are never sent.
func (r *run) busy(seed uint64, requests int) {
	rnd := rand.New(rand.NewPCG(seed, 7))
	for range requests {
		due := int64(r.from*1e9) + rnd.Int64N(61*sec)
		took := int64(float64(100*ms) * math.Exp(0.6*rnd.NormFloat64()))
		o := measure.OK
		switch p := rnd.Float64(); {
		case p < 0.005:
			o = measure.Status
		case p < 0.008:
			o = measure.Aborted
		case p < 0.012:
			r.rec.Planned(r.at(due), trigger, 1)
			r.rec.NotIssued(r.at(due), trigger, due)
		}
		r.record(rnd.IntN(rare), due, took, o)
	}
}

// stored returns the document of the run as it is read back, and the evidence
// that the run itself had.
func (r *run) stored(t testing.TB) (*report.Document, []slo.Evidence) {
	t.Helper()
	r.Snapshot = r.rec.Snapshot()
	var claims []slo.Claim
	var evidence []slo.Evidence
	var all []slo.Evidence
	for i, c := range r.layout.Claims {
		ev := r.Snapshot.Evidence(i, r.seconds(i), []float64{10})
		all = append(all, ev)
		if c.Guard && c.GuardOf == "rare" {
			continue // as the engine leaves out what was hardly expected
		}
		claims = append(claims, c)
		evidence = append(evidence, ev)
	}
	r.Judgement = slo.Judge(claims, evidence, slo.Options{Off: true})
	data, err := report.Build(r.Run).Encode()
	if err != nil {
		t.Fatal(err)
	}
	d, err := report.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	return d, all
}

func (r *run) seconds(i int) (total float64) {
	for k, s := range spans(r.from) {
		if slices.Contains(r.layout.Scope(i), phaseOf[k]) && !s.Drain {
			total += s.End - s.Start
		}
	}
	return total
}

func regate(t testing.TB, d *report.Document, claims ...slo.Claim) (*Case, slo.Judgement) {
	t.Helper()
	c, err := Regate(d, claims)
	if err != nil {
		t.Fatal(err)
	}
	return c, c.Judge(slo.Options{Off: true})
}

// sameEvidence compares what decides.
func sameEvidence(t testing.TB, what string, got, want slo.Evidence) {
	t.Helper()
	if d := cmp.Diff(want.Slots, got.Slots); d != "" || got.Lost != want.Lost || math.Abs(got.Seconds-want.Seconds) > 1e-6 {
		t.Errorf("%s: %v seconds, %d lost, want %v and %d\n%s", what, got.Seconds, got.Lost, want.Seconds, want.Lost, d)
	}
}

func TestWhatWasCountedIsRegatedExactly(t *testing.T) {
	own := []slo.Claim{
		claim(t, "p95 < 200ms", "steady"), claim(t, "p95 < 200ms", "peak"), claim(t, "max < 2s", "steady"), claim(t, "mean < 1s", "steady"),
		claim(t, "errors < 1%", "steady"), claim(t, "bytes_in < 1GB", "steady"), claim(t, "service.p90 < 150ms", "steady"),
		claim(t, "p95{persona=viewer} < 200ms", "steady"), claim(t, "p95 < 200ms within 5s after peak", "peak"), guard(t, "board"), guard(t, "login"),
	}
	// What has the same counter: another quantile at the same limit, the same
	// clock; another limit of what is no share of slow ones.
	other := []slo.Claim{
		claim(t, "p99 < 200ms", "steady"), claim(t, "p50 < 200ms", "peak"), claim(t, "max < 3s", "steady"), claim(t, "mean < 0.5s", "steady"),
		claim(t, "throughput > 1/s", "steady"), claim(t, "bytes_in < 2GB", "steady"), claim(t, "service.p99 < 150ms", "steady"),
		claim(t, "p50{persona=viewer} < 200ms", "steady"), claim(t, "p90 < 200ms every 2s within 8s after peak", "peak"), guard(t, "board"), guard(t, "login"),
	}
	other[9].Objective.Limit = 0.02
	r := newRun(0.3, own)
	r.busy(1, 5000)
	for i := range int64(20) { // nothing in flight at the end of these, so that every limit counts alike
		r.record(trigger, 6*sec+i*ms, 100*ms, measure.OK)
	}
	d, want := r.stored(t)
	for i := range d.Rows {
		if d.Rows[i].Aborted == 0 {
			t.Fatalf("no %s was aborted", d.Rows[i].Name)
		}
		if i == 2 {
			break
		}
	}
	for name, claims := range map[string][]slo.Claim{"own": own, "other": other} {
		c, j := regate(t, d, claims...)
		for i, res := range j.Results {
			exact := strings.Contains(res.Reason, "(regated, by the exact counter)")
			aborted := name == "other" && (claims[i].Objective.Metric.Kind == slo.Max || claims[i].Objective.Metric.Kind == slo.Mean)
			if exact == aborted {
				t.Errorf("%s: %s", claims[i].Objective.Text, res.Reason)
			}
			if exact {
				sameEvidence(t, claims[i].Objective.Text, c.Evidence[i], want[i])
			}
		}
	}
}

func TestTheOwnPromisesOfARunAreRegatedToTheOwnVerdict(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var own []slo.Claim
		for _, text := range everyPromise {
			o, err := slo.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			own = append(own, slo.Claim{Objective: o, Stage: rapid.SampledFrom([]string{"steady", "peak"}).Draw(t, "stage")})
		}
		r := newRun(rapid.SampledFrom([]float64{0, 0.02, 0.7}).Draw(t, "from"), own)
		r.busy(rapid.Uint64().Draw(t, "seed"), rapid.IntRange(0, 1000).Draw(t, "requests"))
		r.Snapshot = r.rec.Snapshot()
		var evidence []slo.Evidence
		for i := range own {
			evidence = append(evidence, r.Snapshot.Evidence(i, r.seconds(i), nil))
		}
		r.Judgement = slo.Judge(own, evidence, slo.Options{})
		d := report.Build(r.Run)
		c, err := Regate(d, own)
		if err != nil {
			t.Fatal(err)
		}
		again := c.Judge(slo.Options{})
		if again.Overall != r.Judgement.Overall {
			t.Fatalf("%v became %v", r.Judgement.Overall, again.Overall)
		}
		for i, was := range r.Judgement.Results {
			got := again.Results[i]
			if got.Verdict != was.Verdict || got.N != was.N || got.Bad != was.Bad || got.Lost != was.Lost {
				t.Fatalf("%q became %q", was.Reason, got.Reason)
			}
		}
	})
}

var everyPromise = []string{
	"p95 < 200ms", "p50 <= 100ms", "ok.p99 < 300ms", "service.p95 < 150ms", "max < 2s", "mean < 150ms", "within(200ms) >= 90%",
	"errors < 1%", "errors.status < 1%", "throughput > 10/s", "successes > 100", "requests > 100", "dropped == 0", "bytes_in > 1kB",
	"p95{endpoint=trigger} < 200ms", "p95{persona=viewer} < 200ms", "p90 < 200ms every 5s",
}

// The law of regating from the log: what is told is true, and what cannot be
// told is lost. Holds begin at whole seconds here, so that no second is left out.
func TestTheLogNeverSaysWhatIsNotTrue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var claims []slo.Claim
		for _, text := range []string{
			"p95 < %dms", "p50 <= %dms", "ok.p90 < %dms", "within(%dms) >= 50%%", "max < %dms", "p90{endpoint=board} < %dms",
			"p90 < %dms including ramps", "errors < 1%% including ramps", "throughput > 1/s", "requests > 5", "dropped < 5",
			"errors.status < 1%%", "errors.timeout < 1%%",
		} {
			if strings.Contains(text, "%d") {
				text = fmt.Sprintf(text, rapid.IntRange(1, 500).Draw(t, "limit"))
			} else {
				text = strings.ReplaceAll(text, "%%", "%")
			}
			text = strings.ReplaceAll(text, "%%", "%")
			o, err := slo.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			claims = append(claims, slo.Claim{Objective: o, Stage: rapid.SampledFrom([]string{"steady", "peak"}).Draw(t, "stage")})
		}
		seed, requests := rapid.Uint64().Draw(t, "seed"), rapid.IntRange(1, 1000).Draw(t, "requests")
		truth := newRun(0, claims)
		truth.busy(seed, requests)
		blind := newRun(0, nil) // the same run, in which nothing was counted
		blind.busy(seed, requests)
		blind.Snapshot = blind.rec.Snapshot()
		snap := truth.rec.Snapshot()
		c, err := Regate(report.Build(blind.Run), claims)
		if err != nil {
			t.Fatal(err)
		}
		var evidence []slo.Evidence
		for i := range claims {
			want := snap.Evidence(i, truth.seconds(i), nil)
			evidence = append(evidence, want)
			got := c.Evidence[i]
			var a, b slo.Slot
			for _, s := range want.Slots {
				a = a.Add(s)
			}
			for _, s := range got.Slots {
				b = b.Add(s)
			}
			if b.N+got.Lost != a.N+want.Lost {
				t.Fatalf("%s: %d counted and %d lost, in truth %d and %d", claims[i].Objective.Text, b.N, got.Lost, a.N, want.Lost)
			}
			if b.Bad > a.Bad+want.Lost || b.Bad+got.Lost < a.Bad {
				t.Fatalf("%s: %d bad and %d lost, in truth %d and %d", claims[i].Objective.Text, b.Bad, got.Lost, a.Bad, want.Lost)
			}
			if math.Abs(got.Seconds-want.Seconds) > 1e-6 {
				t.Fatalf("%s: %v seconds, in truth %v", claims[i].Objective.Text, got.Seconds, want.Seconds)
			}
		}
		// And so no verdict is turned round.
		told, true_ := c.Judge(slo.Options{Off: true}), slo.Judge(claims, evidence, slo.Options{Off: true})
		for i, r := range told.Results {
			if v := r.Verdict; (v == slo.Pass || v == slo.Fail) && v != true_.Results[i].Verdict && true_.Results[i].Verdict != slo.Inconclusive {
				t.Fatalf("told %q, in truth %q", r.Reason, true_.Results[i].Reason)
			}
		}
	})
}

func TestSecondsThatAScopeBeginsOrEndsInAreLeftOut(t *testing.T) {
	r := newRun(0.5, nil) // the steady hold is from 5.5 s to 35.5 s
	for i := range int64(61) {
		r.record(trigger, sec/2+i*sec, 10*ms, measure.OK) // at the half seconds
		r.record(trigger, sec*4/10+i*sec, ms, measure.OK) // and shortly before them
	}
	d, _ := r.stored(t)
	c, j := regate(t, d, claim(t, "p95 < 5ms", "steady"))
	if n := j.Results[0].N; n != 2*29 {
		t.Errorf("%d requests in the whole seconds 6 to 34", n)
	}
	if c.Evidence[0].Seconds != 29 || len(c.Evidence[0].Slots) != 29 {
		t.Errorf("%v seconds, %d slots", c.Evidence[0].Seconds, len(c.Evidence[0].Slots))
	}
	if !strings.Contains(j.Results[0].Reason, "(regated from the log, whole seconds alone)") {
		t.Errorf("%q", j.Results[0].Reason)
	}
}

func TestWhatAStoredRunCannotTellIsWithoutData(t *testing.T) {
	r := newRun(0, []slo.Claim{claim(t, "p95 < 200ms", "steady")})
	r.busy(3, 4000)
	r.record(trigger, 10*sec, ms, measure.Timeout)
	d, _ := r.stored(t)
	for text, why := range map[string]string{
		"p95{persona=viewer} < 300ms":                              `persona viewer shares its row "board" with others`,
		"p95{task=board, persona=agent} < 300ms":                   `persona agent shares its row "board"`,
		"service.p95 < 300ms":                                      "no service times",
		"ttfb.p95 < 300ms":                                         "no ttfb times",
		"mean < 300ms":                                             "keeps no sums",
		"bytes_out > 3B":                                           "keeps no sums",
		"errors.aborted < 1%":                                      "what was aborted",
		"p95{endpoint=nobody} < 300ms":                             "no such request",
		"p95{endpoint=rare} < 300ms":                               "no request in scope",
		"p95 < 200ms within 30s after peak":                        "no recovery at this limit",
		"successes{persona=viewer} >= successes{endpoint=trigger}": "shares its row",
		"p95 <= 110% of baseline":                                  "no baseline",
	} {
		c := claim(t, text, "steady")
		_, j := regate(t, d, c)
		if res := j.Results[0]; res.Verdict != slo.NoData || !strings.Contains(res.Reason, why) || j.Overall == slo.OverallPass {
			t.Errorf("%s: %v, %q", text, j.Overall, res.Reason)
		}
		if len(j.Reasons) != 1 || !strings.Contains(j.Reasons[0], why) {
			t.Errorf("%s: reasons %q", text, j.Reasons)
		}
	}
	probe, err := slo.ParseWith("delta(rows) >= successes", slo.Names{Probes: []string{"rows"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, j := regate(t, d, slo.Claim{Objective: probe}); j.Results[0].Verdict != slo.NoData || !strings.Contains(j.Results[0].Reason, "the stored run read no probe rows") {
		t.Errorf("%q", j.Results[0].Reason)
	}
	_, j := regate(t, d, claim(t, "p95 < 300ms", "endurance"))
	if !strings.Contains(j.Results[0].Reason, "the stored run has no stage endurance") || j.Results[0].Verdict != slo.NoData {
		t.Errorf("%q", j.Results[0].Reason)
	}
}

func TestTotalsOfTheRunAreThoseOfItsRows(t *testing.T) {
	r := newRun(0, nil)
	for i := range int64(50) {
		r.record(trigger, i*sec, ms, measure.OK)
		r.record(viewerBoard, i*sec, ms, measure.OK)
		r.record(agentBoard, i*sec, ms, measure.Status)
	}
	d, _ := r.stored(t)
	for text, want := range map[string]slo.Verdict{
		"successes{endpoint=trigger} >= successes{endpoint=board}": slo.Pass,
		"successes{endpoint=trigger} > requests{endpoint=board}":   slo.Fail,
		"bytes_in{endpoint=board} >= bytes_out{endpoint=board}":    slo.Pass,
	} {
		if _, j := regate(t, d, claim(t, text, "")); j.Results[0].Verdict != want {
			t.Errorf("%s: %q", text, j.Results[0].Reason)
		}
	}
}

func TestUsersAreRegatedByTheirReadings(t *testing.T) {
	r := newRun(0, nil)
	d, _ := r.stored(t)
	for text, want := range map[string]slo.Verdict{
		"users >= 10": slo.Pass, "users > 10": slo.Fail, "users{persona=viewer} >= 4": slo.Pass, "users{persona=agent} >= 7": slo.Fail,
	} {
		if _, j := regate(t, d, claim(t, text, "steady")); j.Results[0].Verdict != want {
			t.Errorf("%s: %q", text, j.Results[0].Reason)
		}
	}
	d.Users.At[20], d.Users.At[21] = 0, 0 // nobody looked for three seconds
	if _, j := regate(t, d, claim(t, "users >= 10", "steady")); j.Results[0].Verdict != slo.NoData {
		t.Errorf("with a gap: %q", j.Results[0].Reason)
	}
}

func TestAFailureClassIsToldWhereTheWholeRowTells(t *testing.T) {
	r := newRun(0, nil)
	for i := range int64(100) {
		r.record(trigger, 5*sec+i*100*ms, ms, measure.OK)
		r.record(agentBoard, 5*sec+i*100*ms, ms, measure.OK)
	}
	for i := range int64(3) {
		r.record(trigger, 6*sec+i, ms, measure.Status)
		r.record(agentBoard, 6*sec+i, ms, measure.Status)
	}
	r.record(agentBoard, 7*sec, ms, measure.Check)
	d, _ := r.stored(t)
	for text, want := range map[string]slo.Verdict{
		"errors.status{endpoint=trigger} < 1%":  slo.Fail,         // all failures are of the class
		"errors.timeout{endpoint=trigger} == 0": slo.Pass,         // and none of another
		"errors.status{endpoint=board} < 1%":    slo.Inconclusive, // some are
		"errors.status{endpoint=board} < 50%":   slo.Pass,
		"errors.protocol{endpoint=board} == 0":  slo.Pass,
	} {
		if _, j := regate(t, d, claim(t, text, "steady")); j.Results[0].Verdict != want {
			t.Errorf("%s: %q", text, j.Results[0].Reason)
		}
	}
}

func TestAGuardThatHadNothingToSayIsLeftOutAgain(t *testing.T) {
	own := []slo.Claim{guard(t, "trigger threat"), guard(t, "rare")}
	r := newRun(0, own)
	r.busy(1, 100)
	d, _ := r.stored(t) // which leaves the rare one out, as the engine does
	looser := guard(t, "rare")
	looser.Objective.Limit = 0.05
	if c, _ := regate(t, d, guard(t, "trigger threat"), looser); len(c.Claims) != 1 {
		t.Errorf("%d claims", len(c.Claims))
	}
	// One that had no data, and said so, still has none.
	d.SLOs = append(d.SLOs, report.SLO{Claim: own[1].Objective.Text, Guard: true, Selector: own[1].Objective.Selector.String(), Metric: "errors"})
	if _, j := regate(t, d, looser); len(j.Results) != 1 || j.Results[0].Verdict != slo.NoData {
		t.Errorf("%+v", j.Results)
	}
}

func TestTheLookThatEndedAHoldSetsTheConfidence(t *testing.T) {
	r := newRun(0, nil)
	r.busy(1, 1000)
	d, _ := r.stored(t)
	c, _ := regate(t, d, claim(t, "p95 < 300ms", "steady"), claim(t, "p95 < 300ms", "peak"))
	s := &spec.Spec{Stages: []*spec.Stage{{Name: "steady", For: 30 * time.Second, ForMax: 120 * time.Second}, {Name: "peak", For: 23 * time.Second}}}
	c.AtLooks(d, s, 0.95)
	looks := slo.Looks(30*time.Second, 120*time.Second, 0.95)
	if c.Evidence[0].Confidence != looks[0].Confidence || c.Evidence[1].Confidence != 0 {
		t.Errorf("confidence %v and %v, the looks are %v", c.Evidence[0].Confidence, c.Evidence[1].Confidence, looks)
	}
}

func TestABaselineIsTheSameMetricOfTheStoredRun(t *testing.T) {
	r := newRun(0, []slo.Claim{claim(t, "p95 < 200ms", "steady"), claim(t, "mean < 1s", "steady")})
	for i := range int64(1000) {
		took := 100 * ms
		if i >= 900 {
			took = 300 * ms
		}
		r.record(trigger, 5*sec+i*20*ms, took, measure.OK)
	}
	for i := range int64(10) {
		r.record(viewerBoard, 6*sec+i, 100*ms, measure.Status)
	}
	r.Generator.RunID = "7f3a"
	d, _ := r.stored(t)
	var claims []slo.Claim
	want := map[string]float64{
		"p95 <= 110% of baseline":                 0.3,
		"p50 <= 110% of baseline":                 0.1,
		"mean <= 110% of baseline":                (900*0.1 + 100*0.3 + 10*10) / 1010,
		"errors <= 110% of baseline":              10.0 / 1010,
		"throughput >= 90% of baseline":           1000.0 / 30,
		"p95{endpoint=board} <= 110% of baseline": math.Inf(1),
		"p95{persona=viewer} <= 110% of baseline": math.NaN(),
	}
	for text := range want {
		claims = append(claims, claim(t, text, "steady"))
	}
	claims = append(claims, claim(t, "p95 < 200ms", "steady"), guard(t, "rare"))
	evidence := make([]slo.Evidence, len(claims))
	if err := AgainstBaseline(d, claims, evidence); err != nil {
		t.Fatal(err)
	}
	for i, c := range claims {
		got, of := evidence[i].Baseline, c.Objective.Text
		if !c.Objective.OfBaseline {
			if got != (slo.Baseline{}) {
				t.Errorf("%s has the baseline %+v", of, got)
			}
			continue
		}
		w := want[of]
		near := got.Value == w || math.IsNaN(w) && math.IsNaN(got.Value) || math.Abs(got.Value-w) <= 0.01*w
		if !near || !strings.Contains(got.Of, "run 7f3a of ") {
			t.Errorf("%s: %+v, want %v", of, got, w)
		}
	}
}

func TestProbesAreRegatedByTheirReadings(t *testing.T) {
	r := newRun(0.3, nil)
	for i := range int64(50) {
		r.record(trigger, 300*ms+i*sec, ms, measure.OK)
	}
	elapsed := int64(r.Elapsed)
	connections := measure.Readings{Probe: "connections"}
	for i := range int64(62) {
		connections.List = append(connections.List, measure.Reading{At: i * sec, Value: float64(i)})
	}
	r.Probes = []measure.Readings{connections,
		{Probe: "stored", Counter: true, List: []measure.Reading{{At: -3, Value: 7}, {At: elapsed, Value: 57}}},
		{Probe: "fell", Counter: true, List: []measure.Reading{{At: -3, Value: 7}, {At: 5, Value: 6}, {At: elapsed, Value: 57}}},
		{Probe: "silent", List: []measure.Reading{{At: -3, Value: 7}, {At: 20 * sec, Value: math.NaN(), Why: "refused"}, {At: elapsed, Value: 7}}}}
	d, _ := r.stored(t)
	hold := [2]float64{}
	for _, s := range d.Stages {
		for _, span := range s.Spans {
			if s.Name == "steady" && !span.Moving {
				hold = [2]float64{span.Start, span.End}
			}
		}
	}
	first, last := math.Ceil(hold[0]), math.Ceil(hold[1])-1
	names := slo.Names{Probes: []string{"connections", "stored", "fell", "silent", "other"}}
	for text, want := range map[string]struct {
		stage   string
		verdict slo.Verdict
		why     string
	}{
		fmt.Sprintf("connections <= %g", last):  {"steady", slo.Pass, "regated, by its readings"},
		fmt.Sprintf("connections < %g", last):   {"steady", slo.Fail, "1 broken"},
		fmt.Sprintf("connections >= %g", first): {"steady", slo.Pass, ""},
		fmt.Sprintf("connections > %g", first):  {"steady", slo.Fail, "1 broken"},
		"silent < 9":                            {"steady", slo.NoData, "refused"},
		"other < 9":                             {"steady", slo.NoData, "the stored run read no probe other"},
		"delta(stored) == successes":            {"", slo.Pass, "regated, by its readings"},
		"delta(stored) > 50":                    {"", slo.Fail, ""},
		"successes <= delta(stored)":            {"", slo.Pass, ""},
		"delta(fell) >= 1":                      {"", slo.NoData, "fell from 7 to 6"},
		"delta(connections) >= 1":               {"", slo.NoData, "not read before the load"},
		"delta(other) >= successes":             {"", slo.NoData, "the stored run read no probe other"},
	} {
		o, err := slo.ParseWith(text, names)
		if err != nil {
			t.Fatal(err)
		}
		_, j := regate(t, d, slo.Claim{Objective: o, Stage: want.stage})
		if res := j.Results[0]; res.Verdict != want.verdict || !strings.Contains(res.Reason, want.why) {
			t.Errorf("%s: %v, %q, want %v and %q", text, res.Verdict, res.Reason, want.verdict, want.why)
		}
	}
}
