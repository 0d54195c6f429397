package report

import (
	"encoding/base64"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"tollgate/internal/measure"
	"tollgate/pkg/slo"
	"tollgate/pkg/spec"
)

const (
	ms  = int64(time.Millisecond)
	sec = int64(time.Second)
)

// play is a run that a test makes up, request by request.
type play struct {
	estimated bool // judged with confidence, and not by point estimates
	run       Run
	layout    *measure.Layout
	rec       *measure.Recorder
}

// The phases of a play: warm-up to 2 s, the ramp to 3 s, the hold to 13 s.
const (
	warm = iota
	ramp
	hold
)

// newPlay has the given work steps behind a login, and the objectives with the
// guards that the runner would add.
func newPlay(t testing.TB, steps []measure.Step, objectives ...string) *play {
	t.Helper()
	steps = append([]measure.Step{{Persona: "agent", Task: "on_start", Endpoint: "login", Name: "login", Method: "POST", Setup: true}}, steps...)
	phases := []measure.Phase{
		{Stage: "warmup", Shape: "warmup"},
		{Stage: "steady", Shape: "steady", Moving: true},
		{Stage: "steady", Shape: "steady"},
	}
	var claims []slo.Claim
	for _, text := range objectives {
		text, advisory := strings.CutSuffix(text, " (advisory)")
		o, err := slo.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		claims = append(claims, slo.Claim{Objective: o, Stage: "steady", Advisory: advisory})
	}
	seen := map[string]bool{}
	for _, s := range steps {
		if seen[s.Name] {
			continue
		}
		seen[s.Name] = true
		o, err := slo.Parse(fmt.Sprintf("errors{endpoint=%q} <= 1%%", s.Name))
		if err != nil {
			t.Fatal(err)
		}
		claims = append(claims, slo.Claim{Guard: true, GuardOf: s.Name, Setup: s.Setup, Objective: o})
	}
	p := &play{layout: measure.NewLayout(steps, phases, claims)}
	p.layout.Timeout = 10 * sec
	p.rec = measure.NewRecorder(p.layout)
	p.rec.Origin(warm, 0)
	p.rec.Origin(ramp, 2*sec)
	p.rec.Origin(hold, 3*sec)
	p.run = Run{
		Spec: &spec.Spec{
			File: "specs/soc.yaml", Digest: "sha256:" + strings.Repeat("ab", 32), Version: 1, Name: "soc",
			About: "Analysts trigger threats and read the board.", Profile: "demo",
			Target:   spec.Target{URL: "http://127.0.0.1:8000"},
			Personas: []*spec.Persona{{Name: "agent"}, {Name: "viewer"}},
		},
		Spans: []Span{
			{Stage: "warmup", Shape: "warmup", Level: 5, Start: 0, End: 2},
			{Stage: "steady", Shape: "steady", Moving: true, Level: 20, Start: 2, End: 3},
			{Stage: "steady", Shape: "steady", Level: 20, Start: 3, End: 13},
		},
		Users:    []Users{{At: 0, Active: []int{3, 2}}, {At: 1, Active: []int{3, 2}}, {At: 3.5, Active: []int{12, 8}}},
		Started:  time.Date(2026, 3, 14, 15, 9, 26, 535e6, time.UTC),
		Elapsed:  13400 * time.Millisecond,
		Complete: true,
		Generator: Generator{Version: "0.1.0", Go: "go1.26.0", OS: "linux", Arch: "amd64", Cores: 2, Driver: "loop",
			Loops: 2, Seed: 42, RunID: "r-7f3a", Address: "127.0.0.1:8000"},
	}
	return p
}

// work are the two steps that most plays have.
var work = []measure.Step{
	{Persona: "agent", Task: "trigger", Endpoint: "trigger", Name: "trigger threat", Method: "POST"},
	{Persona: "viewer", Task: "board", Endpoint: "board", Name: "board", Method: "GET"},
}

// Steps of a play with work.
const (
	login = iota
	trigger
	board
)

func (p *play) record(phase, step int, s *measure.Sample) {
	p.rec.Planned(phase, step, 1)
	p.rec.Issued(phase, step)
	p.rec.Record(phase, step, s)
}

// ok records a success that took ms milliseconds, sent at once.
func (p *play) ok(phase, step int, due, took int64) {
	p.waited(phase, step, due, 0, took)
}

// waited records a success that was sent some time after it was due.
func (p *play) waited(phase, step int, due, wait, took int64) {
	p.record(phase, step, &measure.Sample{
		Due: due, Begin: due, Sent: due + wait + 1, First: due + took, Done: due + took, In: 2400, Out: 180, Reused: true,
	})
}

func (p *play) fail(phase, step int, due, age int64, o measure.Outcome, status int, detail string) {
	p.record(phase, step, &measure.Sample{Due: due, Begin: due, Sent: due + 1, First: due + age, Done: due + age, In: 300, Out: 180, Outcome: o, Reused: true})
	p.rec.Failure(step, o, status, detail)
}

// busy fills the whole run: 5 logins, 10 triggers a second of 80 to 179 ms and
// 20 boards a second of 5 to 24 ms.
func (p *play) busy() {
	for i := range int64(5) {
		p.ok(warm, login, i*100*ms, (30+i)*ms)
	}
	for i := range int64(130) {
		due := i * 100 * ms
		p.ok(phaseAt(due), trigger, due, (80+i*37%100)*ms)
	}
	for i := range int64(260) {
		due := i * 50 * ms
		p.ok(phaseAt(due), board, due, (5+i*7%20)*ms)
	}
	for i := range int64(100) {
		p.rec.Lag(20_000 + i*500)
	}
}

func phaseAt(due int64) int {
	switch {
	case due < 2*sec:
		return warm
	case due < 3*sec:
		return ramp
	}
	return hold
}

// end judges what was recorded.
func (p *play) end(code int, name string, reasons ...string) Run {
	s := p.rec.Snapshot()
	p.run.Snapshot = s
	var evidence []slo.Evidence
	for i := range p.layout.Claims {
		evidence = append(evidence, s.Evidence(i, 10, []float64{20, 20, 20}))
	}
	p.run.Judgement = slo.Judge(p.layout.Claims, evidence, slo.Options{Confidence: 0.95, Off: !p.estimated})
	p.run.Reasons = append(reasons, p.run.Judgement.Reasons...)
	p.run.ExitCode, p.run.ExitName = code, name
	return p.run
}

// The plays whose renderings are kept in testdata.

func passing(t testing.TB) Run {
	p := newPlay(t, work, "p95 < 200ms", "p99{endpoint=trigger} < 1s", "errors < 1%", "throughput > 25/s", "mean < 20ms (advisory)")
	p.busy()
	return p.end(0, "pass")
}

// estimating is judged with confidence: too little for p99, enough for the rest.
func estimating(t testing.TB) Run {
	p := newPlay(t, work, "p95 < 200ms", "p99{endpoint=trigger} < 1s", "throughput > 25/s", "mean < 20ms (advisory)")
	p.estimated = true
	p.busy()
	return p.end(4, "inconclusive")
}

func failing(t testing.TB) Run {
	p := newPlay(t, append(work, measure.Step{Persona: "viewer", Task: "board", Endpoint: "report", Name: "weekly report", Method: "GET"}),
		"p95 < 100ms", "p99{endpoint=trigger} < 1s", "ok.p99 < 500ms", "throughput > 25/s")
	p.busy()
	const report = 3
	for i := range int64(60) {
		due := 3*sec + i*150*ms
		switch {
		case i%3 == 0:
			p.fail(hold, report, due, 12*ms, measure.Status, 503, "")
		case i%10 == 1:
			p.fail(hold, report, due, 10*sec, measure.Timeout, 0, "")
		default:
			p.waited(hold, report, due, 180*ms, 400*ms+i*ms)
		}
	}
	p.fail(hold, trigger, 5*sec, 95*ms, measure.Check, 200, `signal.threat_type is "phishing", expected "malware"`)
	p.run.Overrides = []string{"--users 20", "--for 10s"}
	p.run.Spec.Dropped = []string{"slo users >= 50 during peak: the stage is gone"}
	return p.end(3, "breach")
}

func withoutData(t testing.TB) Run {
	p := newPlay(t, work, "p95{endpoint=board} < 200ms", "errors < 1%")
	for i := range int64(40) {
		due := i * 100 * ms
		p.ok(phaseAt(due), trigger, due, 90*ms)
	}
	p.run.Unreached = []string{"board", "login"}
	return p.end(4, "inconclusive")
}

func interrupted(t testing.TB) Run {
	p := newPlay(t, work, "p95 < 200ms")
	for i := range int64(70) {
		due := i * 100 * ms
		p.ok(phaseAt(due), trigger, due, 90*ms)
		p.ok(phaseAt(due), board, due, 9*ms)
		p.ok(phaseAt(due), login, due, 29*ms)
	}
	p.record(hold, trigger, &measure.Sample{Due: 7 * sec, Begin: 7 * sec, Sent: 7*sec + 1, Done: 7*sec + 50*ms, Outcome: measure.Aborted})
	p.run.Complete = false
	p.run.Elapsed = 7100 * time.Millisecond
	p.run.Spans[2].End = 7.1
	return p.end(9, "interrupted", "interrupted by SIGINT after 7.1 s")
}

const secret = "s3cr3t/+ \"pass\"&<word>"

func nasty(t testing.TB) Run {
	p := newPlay(t, work, "errors < 1%")
	p.run.Spec.Secrets = []string{secret}
	p.run.Overrides = []string{"--set values.password=" + secret}
	details := []string{
		"\x1b[2J\x1b]0;owned\x07 red \x1b[31malert\x1b[0m \u009b31m",
		"a | b \\| c ` d `` <script>alert(1)</script> <img src=x onerror=1> &amp; **bold** __x__ [link](http://evil) ![i](http://evil) @team #1 :+1: $x$ www.evil.test",
		"first line\r\nsecond\tline\x00\u2028third \u202egnp.exe",
		"broken \xff\xfe text 漢字 👩‍💻 é́",
		"| --- | --- |",
		"1. list",
		"leaks " + secret,
		"leaks " + escapedForms()[1],
		"leaks Basic " + base64.StdEncoding.EncodeToString([]byte("admin:"+secret)),
		`leaks {"password":"s3cr3t/+ \"pass\"&<word>"}`,
		"leaks s3cr\x1b3t/+ \"pa\x00ss\"&<word>",
	}
	for i, d := range details {
		p.ok(hold, trigger, 3*sec+int64(i)*100*ms, 90*ms)
		for range len(details) - i {
			p.fail(hold, board, 3*sec+int64(i)*100*ms, 9*ms, measure.Check, 200, d)
		}
	}
	return p.end(3, "breach")
}

func longNames(t testing.TB) Run {
	const name = "read the quarterly compliance report of every tenant in the region of the analyst who is signed in"
	p := newPlay(t, []measure.Step{
		{Persona: "agent", Task: "a", Endpoint: "a", Name: name + " (first page)", Method: "GET"},
		{Persona: "agent", Task: "b", Endpoint: "b", Name: name + " (last page)", Method: "DELETE"},
		{Persona: "agent", Task: "c", Endpoint: "c", Name: strings.Repeat("情報セキュリティ", 12), Method: "GET"},
		{Persona: "agent", Task: "d", Endpoint: "d", Name: "never called", Method: "PATCH"},
	}, fmt.Sprintf("p95{endpoint=%q} < 200ms", name+" (first page)"), "errors < 1%")
	p.run.Spec.Name = strings.Repeat("long-name-", 12)
	for i := range int64(1_200_000 / 10_000) {
		p.ok(hold, 1+int(i%3), 3*sec+i*10*ms, 1234*ms)
	}
	p.fail(hold, 2, 4*sec, 9*ms, measure.Protocol, 0, strings.Repeat("malformed status line ", 40))
	p.rec.NotIssued(hold, 3, 5*sec)
	p.rec.Planned(hold, 3, 1)
	p.run.Broke = map[string]float64{"steady": 400}
	p.run.Unreached = []string{"never called"}
	return p.end(3, "breach")
}

// nothing is a run that ended before it began.
func nothing(testing.TB) Run {
	return Run{Spec: &spec.Spec{Name: "soc", Version: 1}, ExitCode: 7, ExitName: "unreachable",
		Reasons: []string{"the target refused the connection"}}
}

var plays = map[string]func(testing.TB) Run{
	"pass": passing, "fail": failing, "no-data": withoutData, "interrupted": interrupted,
	"nasty": nasty, "long-names": longNames, "nothing": nothing, "estimated": estimating,
}

func near(a Number, b float64) bool { return math.Abs(float64(a)-b) <= 1e-3*math.Abs(b) }
