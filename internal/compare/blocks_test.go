package compare

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tollgate/internal/report"
	"tollgate/pkg/slo"
)

// world is how the simulated systems behave.
type world struct {
	slower    float64 // of the candidate: 0.15 is 15 %
	variation float64 // of p95 from run to run
	drift     float64 // of p95 from each run to the next, for both sides
	failing   [2]float64
	blocks    int
}

// play simulates one comparison.
func (w world) play(seed uint64) []Pair {
	r := rand.New(rand.NewPCG(seed, 1))
	pairs := make([]Pair, w.blocks)
	const requests = 500
	for i, side := range Order(w.blocks) {
		p95 := 0.1 * math.Exp(w.variation*r.NormFloat64()+w.drift*float64(i))
		if side == Candidate {
			p95 *= 1 + w.slower
		}
		b := Block{P50: report.Number(p95 / 2), P95: report.Number(p95), P99: report.Number(2 * p95), PerSecond: 200, Requests: requests}
		if w.failing[side] > 0 {
			for range requests {
				if r.Float64() < w.failing[side] {
					b.Failures++
				}
			}
		}
		if side == Base {
			pairs[i/2].Base = b
		} else {
			pairs[i/2].Candidate = b
		}
	}
	return pairs
}

var usual = Rules{Margin: DefaultMargin, Errors: 0.01, Confidence: 0.95}

// shares plays 400 seeds and returns how often each verdict is reached.
func (w world) shares(r Rules) (pass, open, fail float64) {
	const seeds = 400
	n := map[slo.Overall]float64{}
	for seed := range uint64(seeds) {
		n[Decide(w.play(seed), r).Overall]++
	}
	return n[slo.OverallPass] / seeds, n[slo.OverallInconclusive] / seeds, n[slo.OverallFail] / seeds
}

// The promise of the command: at 5 % variation from run to run, 15 % slower is
// found in 95 of 100 comparisons, and no change is called one in at most 5.
func TestASlowdownIsFoundAndNoneIsNotInvented(t *testing.T) {
	for _, drift := range []float64{0, 0.01, -0.01} {
		same, slower := world{variation: 0.05, drift: drift, blocks: DefaultBlocks}, world{slower: 0.15, variation: 0.05, drift: drift, blocks: DefaultBlocks}
		if pass, open, fail := slower.shares(usual); fail < 0.95 || pass > 0.01 {
			t.Errorf("15 %% slower, drift %v: pass %v, open %v, fail %v", drift, pass, open, fail)
		}
		if pass, open, fail := same.shares(usual); fail > 0.05 || pass < 0.9 {
			t.Errorf("no slower, drift %v: pass %v, open %v, fail %v", drift, pass, open, fail)
		}
	}
}

func TestChanceIsNoFindingAtAnyNumberOfBlocksOrMargin(t *testing.T) {
	for _, blocks := range []int{5, 6, 12} {
		for _, margin := range []float64{0.001, 0.02, 0.1} {
			r := usual
			r.Margin = margin
			if _, _, fail := (world{variation: 0.05, blocks: blocks}).shares(r); fail > 0.05 {
				t.Errorf("%d blocks, margin %v: no change is called one in %v", blocks, margin, fail)
			}
			slower := world{slower: margin, variation: 0.05, blocks: blocks}
			if pass, _, _ := slower.shares(r); pass > 0.07 {
				t.Errorf("%d blocks: a slowdown of just the margin %v passes in %v", blocks, margin, pass)
			}
		}
	}
}

func TestTwoMetricsAreNotTwiceTheError(t *testing.T) {
	r := Rules{Margin: 0.0001, Errors: 0.0001, Confidence: 0.95} // nothing but significance decides
	if _, _, fail := (world{variation: 0.05, failing: [2]float64{0.1, 0.1}, blocks: 8}).shares(r); fail > 0.07 {
		t.Errorf("no change in either is called one in %v", fail)
	}
}

func TestMoreErrorsAreFoundHoweverFastTheyAre(t *testing.T) {
	w := world{slower: -0.3, variation: 0.05, failing: [2]float64{0.001, 0.04}, blocks: DefaultBlocks}
	if _, _, fail := w.shares(usual); fail < 0.95 {
		t.Errorf("4 %% of errors are found in %v", fail)
	}
	d := Decide(w.play(1), usual)
	if len(d.Reasons) != 1 || !strings.HasPrefix(d.Reasons[0], "errors +") {
		t.Errorf("%q", d.Reasons)
	}
}

// certain is a comparison without chance: p95 of 100 ms, and of the candidate
// 100 ms times the factors in turn.
func certain(factors ...float64) []Pair {
	pairs := make([]Pair, 6)
	for i := range pairs {
		block := func(p95 float64) Block {
			return Block{P50: report.Number(p95 / 2), P95: report.Number(p95), P99: report.Number(p95 * 2), PerSecond: 10, Requests: 100}
		}
		pairs[i] = Pair{block(0.1), block(0.1 * factors[i%len(factors)])}
	}
	return pairs
}

func TestAFailTakesBothMagnitudeAndSignificance(t *testing.T) {
	for _, c := range []struct {
		what   string
		pairs  []Pair
		want   slo.Overall
		reason string
	}{
		{"nothing", certain(0.99, 1.01), slo.OverallPass, "not worse by 10 %"},
		{"proven, and too small to matter", certain(1.04, 1.05), slo.OverallPass, "worse, but by less than 10 %"},
		{"large, and perhaps luck", certain(0.7, 1.9), slo.OverallInconclusive, "neither proven nor excluded"},
		{"proven to be worse, and open by how much", certain(1.02, 1.15), slo.OverallInconclusive, "neither proven nor excluded"},
		{"large and proven", certain(1.14, 1.16), slo.OverallFail, "worse by more than 10 %"},
		{"twice as fast", certain(0.5, 0.52), slo.OverallPass, "not worse by 10 %"},
		{"exactly the same", certain(1), slo.OverallPass, "not worse by 10 %"},
		{"exactly twice", certain(2), slo.OverallFail, "worse by more than 10 %"},
	} {
		d := Decide(c.pairs, usual)
		if d.Overall != c.want || !strings.Contains(d.Findings[0].Reason, c.reason) {
			t.Errorf("%s: %v, %q", c.what, d.Overall, d.Findings[0].Reason)
		}
		if (d.Overall == slo.OverallPass) != (len(d.Reasons) == 0) {
			t.Errorf("%s: %v with the reasons %q", c.what, d.Overall, d.Reasons)
		}
	}
}

func TestFewerThanFivePairsProveNothing(t *testing.T) {
	for n := range LeastBlocks {
		if d := Decide(certain(2)[:n], usual); d.Overall != slo.OverallInconclusive || len(d.Reasons) == 0 {
			t.Errorf("%d pairs: %v", n, d.Overall)
		}
	}
}

func TestBlocksWithoutAFiniteP95(t *testing.T) {
	fail := func(pairs []Pair, side Side, blocks int) []Pair {
		for i := range pairs[:blocks] {
			b := &pairs[i].Base
			if side == Candidate {
				b = &pairs[i].Candidate
			}
			b.P95, b.P99, b.Failures = missing, missing, 30
		}
		return pairs
	}
	for _, c := range []struct {
		what  string
		pairs []Pair
		want  slo.Overall
	}{
		{"all of the candidate", fail(certain(1), Candidate, 6), slo.OverallFail},
		{"some of the candidate", fail(certain(1), Candidate, 2), slo.OverallInconclusive},
		{"all of the base", fail(certain(1), Base, 6), slo.OverallInconclusive},
		{"all of both", fail(fail(certain(1), Base, 6), Candidate, 6), slo.OverallInconclusive},
	} {
		if d := Decide(c.pairs, usual); d.Overall != c.want {
			t.Errorf("%s: %v, %q", c.what, d.Overall, d.Reasons)
		}
	}
}

func TestBlocksWithoutARequestAreNoPass(t *testing.T) {
	for _, empty := range []func(*Pair){
		func(p *Pair) { p.Base = Block{P50: missing, P95: missing, P99: missing, PerSecond: missing} },
		func(p *Pair) { p.Candidate = Block{P50: missing, P95: missing, P99: missing, PerSecond: missing} },
	} {
		pairs := certain(1)
		empty(&pairs[3])
		if d := Decide(pairs, usual); d.Overall != slo.OverallInconclusive {
			t.Errorf("%v: %+v", d.Overall, d.Findings)
		}
	}
}

func TestTheOrderMeetsDriftWithBothSidesAlike(t *testing.T) {
	if got := Order(4); !slices.Equal(got, []Side{Base, Candidate, Candidate, Base, Base, Candidate, Candidate, Base}) {
		t.Errorf("%v", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(LeastBlocks, 30).Draw(t, "blocks")
		sum, turns := [2]int{}, [2]int{}
		for i, side := range Order(n) {
			sum[side] += i
			turns[side]++
		}
		if turns != [2]int{n, n} {
			t.Fatalf("%v turns", turns)
		}
		if d := sum[0] - sum[1]; d != 0 && !(n%2 == 1 && d == -1) {
			t.Fatalf("one side comes later by %d places in all", d)
		}
	})
}

func TestSidesExchangedExchangeTheChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := world{slower: rapid.Float64Range(-0.5, 1).Draw(t, "slower"), variation: 0.05, failing: [2]float64{0.05, 0.06}, blocks: 6}
		pairs := w.play(rapid.Uint64().Draw(t, "seed"))
		turned := make([]Pair, len(pairs))
		for i, p := range pairs {
			turned[i] = Pair{p.Candidate, p.Base}
		}
		a, b := Decide(pairs, usual), Decide(turned, usual)
		one, other := a.Findings[0], b.Findings[0]
		if math.Abs((1+float64(one.Change.Change))*(1+float64(other.Change.Change))-1) > 1e-9 ||
			math.Abs((1+float64(one.Low))*(1+float64(other.High))-1) > 1e-9 {
			t.Fatalf("%+v and %+v", one, other)
		}
		for i := range a.Findings {
			if a.Findings[i].Verdict == slo.Fail && b.Findings[i].Verdict == slo.Fail {
				t.Fatalf("each side has a worse %s than the other", a.Findings[i].Metric)
			}
		}
	})
}

// The table of docs/statistics.md is what the simulation gives.
func TestTheDocumentSaysHowOftenAComparisonIsRight(t *testing.T) {
	document, err := os.ReadFile(filepath.Join("..", "..", "docs", "statistics.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, slower := range []float64{0, 0.05, 0.10, 0.15, 0.20} {
		line := fmt.Sprintf("| %.0f %% |", 100*slower)
		for _, blocks := range []int{5, DefaultBlocks, 12} {
			pass, open, fail := world{slower: slower, variation: 0.05, blocks: blocks}.shares(usual)
			line += fmt.Sprintf(" %.0f / %.0f / %.0f |", 100*pass, 100*open, 100*fail)
		}
		if !strings.Contains(string(document), "\n"+line+"\n") {
			t.Errorf("docs/statistics.md lacks\n%s", line)
		}
	}
}

// A candidate that lets few users in has less to do, and is fast: its logins
// count, though they are no part of the load that is judged.
func TestUsersWhoAreNotLetInAreNoImprovement(t *testing.T) {
	var pairs []Pair
	for i := range DefaultBlocks {
		p95 := report.Number(0.1 + 0.001*float64(i))
		pairs = append(pairs, Pair{
			Base:      Block{P50: p95 / 2, P95: p95, P99: p95, PerSecond: 100, Requests: 1000, Setup: 100},
			Candidate: Block{P50: p95 / 4, P95: p95 / 2, P99: p95, PerSecond: 10, Requests: 1000, Setup: 100, SetupFailures: 90},
		})
	}
	d := Decide(pairs, usual)
	if d.Overall != slo.OverallFail || len(d.Reasons) != 1 || !strings.HasPrefix(d.Reasons[0], "set-up errors +90 points") {
		t.Errorf("%v: %q", d.Overall, d.Reasons)
	}
	for i := range pairs {
		pairs[i].Candidate.Setup, pairs[i].Candidate.SetupFailures = 0, 0
	}
	if d := Decide(pairs, usual); d.Overall != slo.OverallInconclusive {
		t.Errorf("a candidate on which nobody was set up: %v: %q", d.Overall, d.Reasons)
	}
}

func TestABlockCountsItsSetup(t *testing.T) {
	d := &report.Document{Rows: []report.Row{
		{Name: "login", Setup: true, Requests: 40, Failures: 30}, {Name: "home", Requests: 900, Failures: 7}, {Name: "token", Setup: true, Requests: 2},
	}}
	if b := BlockOf(d); b.Setup != 42 || b.SetupFailures != 30 {
		t.Errorf("%+v", b)
	}
}

// No failure in each of a few requests does not prove that there are none.
func TestFewRequestsWithoutAFailureProveNothing(t *testing.T) {
	pairs := func(requests uint64) (out []Pair) {
		for i := range DefaultBlocks {
			p95 := report.Number(0.1 + 0.001*float64(i))
			b := Block{P50: p95, P95: p95, P99: p95, PerSecond: 1, Requests: requests}
			out = append(out, Pair{b, b})
		}
		return out
	}
	for requests, want := range map[uint64]slo.Overall{10: slo.OverallInconclusive, 1000: slo.OverallPass} {
		if d := Decide(pairs(requests), usual); d.Overall != want {
			t.Errorf("%d requests in each block: %v: %q", requests, d.Overall, d.Reasons)
		}
	}
}
