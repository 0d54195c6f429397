package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"tollgate/internal/compare"
	"tollgate/internal/report"
	"tollgate/pkg/slo"
	"tollgate/pkg/spec"
)

// sparring is a contest whose blocks are made up: p95 of a turn, and how it ended.
func sparring(t *testing.T, p95 func(turn int, side compare.Side) float64, end func(turn int) state) (*contest, func() string) {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "err"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	specs := [2]*spec.Spec{{Name: "base"}, {Name: "candidate"}}
	turns := 0
	c := &contest{
		app: &app{err: &printer{file: file}}, specs: specs, seed: 40, blocks: compare.LeastBlocks,
		rules: compare.Rules{Margin: 0.1, Errors: 0.01, Confidence: 0.95},
		load: func(_ context.Context, s *spec.Spec, seed uint64) (*report.Document, state) {
			side := compare.Base
			if s == specs[compare.Candidate] {
				side = compare.Candidate
			}
			turns++
			v := report.Number(p95(turns, side))
			d := &report.Document{}
			d.Total.Judged = report.Judged{Requests: 100, PerSecond: 10, Response: report.Latency{Count: 100, P50: v / 2, P95: v, P99: v * 2}}
			return d, end(turns)
		},
	}
	return c, func() string {
		text, err := os.ReadFile(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
}

func well(int) state { return state{} }

// finish ends a contest as the command does.
func finish(c *contest, s state) (compare.Decision, exit) {
	d := compare.Decide(c.pairs(), c.rules)
	s.verdict, s.unkept = d.Overall, d.Reasons
	return d, s.exit()
}

func TestAComparisonEndsAsItsBlocksDo(t *testing.T) {
	steady := func(_ int, side compare.Side) float64 { return 0.1 }
	slower := func(turn int, side compare.Side) float64 { return 0.1 + 0.03*float64(side) + 0.0001*float64(turn) }
	noisy := func(turn int, side compare.Side) float64 { return 0.1 * float64(1+turn%3) }
	for _, c := range []struct {
		what  string
		p95   func(int, compare.Side) float64
		end   func(int) state
		code  code
		turns int
		says  string
	}{
		{"no change", steady, well, pass, 10, "PASS  the candidate is no worse · exit code 0 (pass)"},
		{"30 % slower", slower, well, breach, 10, "FAIL  p95 +"},
		{"noise", noisy, well, inconclusive, 10, "NOT PROVEN  p95 "},
		{"invalid", slower, func(n int) state {
			if n >= 7 {
				return state{invalid: []string{"the generator was late"}}
			}
			return state{}
		}, inconclusive, 6, "NOT PROVEN  block 7 of 10 (candidate): the generator was late"},
		{"a target that went away", steady, func(n int) state {
			if n == 4 {
				return state{unreachable: []string{"refused"}}
			}
			return state{}
		}, unreachable, 3, "NOT PROVEN  block 4 of 10 (base): refused"},
		{"a signal", slower, func(n int) state {
			if n == 10 {
				return state{interrupted: []string{"interrupt"}}
			}
			return state{}
		}, interrupted, 9, "NOT PROVEN  block 10 of 10 (candidate): interrupt"},
	} {
		f, progress := sparring(t, c.p95, c.end)
		d, x := finish(f, f.play(context.Background(), false))
		text := string(f.text(d, x))
		if x.code != c.code || len(f.seen) != c.turns || !strings.Contains(text, "\n"+c.says) {
			t.Errorf("%s: exit code %d after %d turns\n%s", c.what, x.code, len(f.seen), text)
		}
		if strings.Contains(text, "PASS") != (c.code == pass) {
			t.Errorf("%s:\n%s", c.what, text)
		}
		if n := strings.Count(progress(), "  p95 "); n != c.turns {
			t.Errorf("%s: %d lines of progress for %d turns", c.what, n, c.turns)
		}
		doc := f.document(d, x)
		if (doc.Verdict == slo.OverallPass) != (c.code == pass) || doc.ExitCode != int(c.code) || len(doc.Blocks) != c.turns {
			t.Errorf("%s: %+v", c.what, doc)
		}
	}
}

func TestABlockWithALateGeneratorIsRunAgainInItsPlace(t *testing.T) {
	invalid := state{invalid: []string{"the generator was late"}}
	c, progress := sparring(t, func(int, compare.Side) float64 { return 0.1 }, func(turn int) state {
		if turn == 2 || turn == 3 || turn == 12 {
			return invalid
		}
		return state{}
	})
	var order []string
	load := c.load
	c.load = func(ctx context.Context, s *spec.Spec, seed uint64) (*report.Document, state) {
		order = append(order, fmt.Sprintf("%s %d", s.Name, seed))
		return load(ctx, s, seed)
	}
	_, x := finish(c, c.play(context.Background(), false))
	want := []string{
		"base 40", "candidate 40", "candidate 40", "candidate 40", "candidate 41", "base 41", "base 42", "candidate 42",
		"candidate 43", "base 43", "base 44", "candidate 44", "candidate 44",
	}
	if x.code != pass || !slices.Equal(order, want) || len(c.seen) != 10 || strings.Count(progress(), "once more: the generator was late") != 3 {
		t.Errorf("exit code %d, order %q\n%s", x.code, order, progress())
	}
}

func TestAComparisonThatWasEndedIsNoVerdictHoweverClearItIs(t *testing.T) {
	c, _ := sparring(t, func(int, compare.Side) float64 { return 0.1 }, func(turn int) state {
		if turn == 15 {
			return state{interrupted: []string{"interrupt"}}
		}
		return state{}
	})
	c.blocks = 8
	d, x := finish(c, c.play(context.Background(), true))
	if d.Overall != slo.OverallPass || x.code != interrupted {
		t.Fatalf("%v, exit code %d", d.Overall, x.code)
	}
	if text := string(c.text(d, x)); !strings.Contains(text, "\nNOT PROVEN  block 15 of 16") {
		t.Errorf("%s", text)
	}
	if doc := c.document(d, x); doc.Verdict != slo.OverallInconclusive || doc.ExitCode != 9 {
		t.Errorf("%v, %d", doc.Verdict, doc.ExitCode)
	}
}

func TestABlockThatCannotBeKeptEndsTheComparison(t *testing.T) {
	c, _ := sparring(t, func(int, compare.Side) float64 { return 0.1 }, well)
	var kept []string
	c.keep = func(turn int, side compare.Side, _ *report.Document) error {
		if turn == 3 {
			return errors.New("the disk is full")
		}
		kept = append(kept, fmt.Sprintf("%d-%s", turn, side))
		return nil
	}
	_, x := finish(c, c.play(context.Background(), true))
	if x.code != notStored || !slices.Equal(kept, []string{"1-base", "2-candidate"}) {
		t.Errorf("exit code %d, kept %q", x.code, kept)
	}
}

func TestABlockWarmsUpAndIsNeverCutShort(t *testing.T) {
	const text = `version: 1
name: a
target: {url: "http://127.0.0.1:1"}
endpoints: {home: GET /}
personas: {visitor: {weight: 1, tasks: {home: 1}}}
abort: true
stages:
  - pause: {for: 1s}
  - steady: {users: 20, ramp: 5/s, for: 50s..5m}
  - spike: {name: warmup, users: 50, ramp: 1s, for: 10s}
slos: [p95 < 1s]
`
	parse := func(text string) *spec.Spec {
		s, faults := spec.Parse("a.yaml", []byte(text), spec.Options{})
		if faults != nil {
			t.Fatal(faults)
		}
		return s
	}
	own := parse(text)
	got := compare.Load(blockSpec(own))
	want := []string{
		"personas: visitor 1", "pause: for 1s", "warmup- (warmup): 20 users, ramp 5/s, for 10s", "steady: 20 users, for 50s",
		"warmup (spike): 50 users, ramp 1s, for 10s",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if blockSpec(own).SLOs[0].Abort || !own.SLOs[0].Abort || own.Stages[1].ForMax != 5*time.Minute {
		t.Error("a block may be given up, or the spec itself was changed")
	}
	warm := parse(strings.Replace(text, "  - pause: {for: 1s}", "  - warmup: {name: first, users: 2, for: 3s}", 1))
	if got := blockSpec(warm); len(got.Stages) != 3 || got.Stages[0].Name != "first" || got.Stages[1].Ramp.Rate != 5 {
		t.Errorf("%q", compare.Load(got))
	}
}

func TestWhatIsPrintedForProgramsIsWhole(t *testing.T) {
	c, _ := sparring(t, func(int, compare.Side) float64 { return 0.1 }, well)
	d, x := finish(c, c.play(context.Background(), true))
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := writeJSON(&printer{file: file}, c.document(d, x)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"verdict": "pass", "findings.#": "2", "findings.0.metric": "p95", "findings.0.verdict": "pass", "findings.1.margin": "0.01",
		"seen.#": "3", "seen.2.metric": "throughput", "blocks.#": "10", "blocks.3.side": "base", "blocks.3.p95": "0.1", "reasons.#": "0",
	} {
		if got := gjson.GetBytes(text, path).String(); got != want {
			t.Errorf("%s is %q, want %q:\n%s", path, got, want, text)
		}
	}
}

func TestABaselineOfAnotherTopologyIsRefusedAfterTheRun(t *testing.T) {
	own := report.Fingerprint{Spec: "sha256:1", Load: []string{"steady"}, Generator: "1", Topology: "2 loops"}
	other := own
	other.Topology = "1 loops"
	objective, err := slo.Parse("p95 <= 110% of baseline")
	if err != nil {
		t.Fatal(err)
	}
	claims, evidence := []slo.Claim{{Objective: objective, Stage: "steady"}}, make([]slo.Evidence, 1)
	b := &baseline{name: "first", doc: &report.Document{Fingerprint: other}, asked: true}
	why := b.fill(claims, evidence, own)
	if len(why) != 1 || why[0] != "no baseline: first cannot be compared with this run: topology: 1 loops, and 2 loops" {
		t.Errorf("%q", why)
	}
	if evidence[0].Baseline != (slo.Baseline{}) {
		t.Errorf("%+v", evidence[0].Baseline)
	}
	b.doc.Fingerprint = own
	if why := b.fill(claims, evidence, own); why != nil || evidence[0].Baseline.Of == "" {
		t.Errorf("%q, %+v", why, evidence[0].Baseline)
	}
}
