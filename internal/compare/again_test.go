package compare

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tollgate/internal/report"
	"tollgate/pkg/slo"
)

func TestAWholeResultDoesNotContradictItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var own []slo.Claim
		for i, text := range everyPromise {
			o, err := slo.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			own = append(own, slo.Claim{
				Objective: o, Advisory: i%5 == 4,
				Stage: rapid.SampledFrom([]string{"steady", "peak"}).Draw(t, "stage"),
			})
		}
		r := newRun(rapid.SampledFrom([]float64{0, 0.02, 0.7}).Draw(t, "from"), own)
		r.busy(rapid.Uint64().Draw(t, "seed"), rapid.IntRange(0, 500).Draw(t, "requests"))
		d := ended(t, r, own)
		if against, untold := Contradictions(d); len(against)+len(untold) > 0 {
			t.Fatalf("%q, %q", against, untold)
		}
		// Whatever a verdict is made better by, the counters tell.
		edited := &d.SLOs[rapid.IntRange(0, len(d.SLOs)-1).Draw(t, "edited")]
		if edited.Verdict == slo.Pass {
			edited.Verdict = slo.Fail
		} else {
			edited.Verdict = slo.Pass
		}
		if against, _ := Contradictions(d); len(against) == 0 {
			t.Fatalf("%s became %v, and nobody objects", edited.Claim, edited.Verdict)
		}
	})
}

// ended judges a made-up run and returns its document as it is read back.
func ended(t *rapid.T, r *run, own []slo.Claim) *report.Document {
	t.Helper()
	r.Snapshot = r.rec.Snapshot()
	r.Claims = own
	for i := range own {
		r.Evidence = append(r.Evidence, r.Snapshot.Evidence(i, r.seconds(i), nil))
	}
	r.Options = slo.Options{Confidence: rapid.SampledFrom([]float64{0, 0.9}).Draw(t, "confidence"), Off: rapid.Bool().Draw(t, "off")}
	r.Judgement = slo.Judge(own, r.Evidence, r.Options)
	switch r.Judgement.Overall {
	case slo.OverallPass:
	case slo.OverallFail:
		r.ExitCode, r.ExitName = 3, "breach"
	default:
		r.ExitCode, r.ExitName = 4, "inconclusive"
	}
	data, err := report.Build(r.Run).Encode()
	if err != nil {
		t.Fatal(err)
	}
	d, err := report.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestEditedResultContradictsItself(t *testing.T) {
	own := []slo.Claim{claim(t, "p95 < 200ms", "steady"), claim(t, "errors < 10%", "steady"), claim(t, "mean < 1ms", "steady")}
	r := newRun(0, own)
	r.busy(1, 5000)
	data := func() *report.Document {
		d, _ := r.stored(t) // judged by point estimates
		d.ExitCode, d.ExitName = 3, "breach"
		return d
	}
	r.Options = slo.Options{Off: true}
	if against, _ := Contradictions(data()); len(against) > 0 {
		t.Fatalf("unedited: %q", against)
	}
	for what, edit := range map[string]func(d *report.Document){
		"says pass":       func(d *report.Document) { d.Overall, d.ExitCode = slo.OverallPass, 0 },
		"says fail":       func(d *report.Document) { d.SLOs[1].Verdict = slo.Fail },
		"a better slo":    func(d *report.Document) { d.SLOs[2].Verdict = slo.Pass },
		"a better limit":  func(d *report.Document) { d.SLOs[2].Claim, d.SLOs[2].Limit = "mean < 1s", "1s" },
		"another claim":   func(d *report.Document) { d.Record.Claims[2].SLO = "mean < 1s" },
		"advisory":        func(d *report.Document) { d.SLOs[2].Advisory = true },
		"fewer bad":       func(d *report.Document) { d.SLOs[0].Bad = 0 },
		"more requests":   func(d *report.Document) { d.SLOs[0].Requests++ },
		"a counter":       func(d *report.Document) { d.Record.Counters[0].Bad[3]++ },
		"the exit code":   func(d *report.Document) { d.ExitCode = 0 },
		"another code":    func(d *report.Document) { d.ExitCode = 4 },
		"an unknown word": func(d *report.Document) { d.Record.Claims[0].SLO = "p95 is fine" },
	} {
		d := data()
		edit(d)
		if against, _ := Contradictions(d); len(against) == 0 {
			t.Errorf("%s: nobody objects", what)
		}
	}
}

func TestRunThatCannotPassDoesNot(t *testing.T) {
	own := []slo.Claim{claim(t, "requests > 1", "steady")}
	r := newRun(0, own)
	for i := range int64(100) {
		r.record(trigger, 6*sec+i*ms, 100*ms, 0)
	}
	d, _ := r.stored(t)
	if against, _ := Contradictions(d); len(against) > 0 || d.Overall != slo.OverallPass {
		t.Fatalf("%v: %q", d.Overall, against)
	}
	d.Record.Invalid = []string{"the generator was late"}
	if against, _ := Contradictions(d); len(against) != 1 || !strings.Contains(against[0], "cannot pass") {
		t.Errorf("an invalid run: %q", against)
	}
	d.Record.Invalid, d.Complete = nil, false
	if against, _ := Contradictions(d); len(against) == 0 {
		t.Error("an incomplete run may pass")
	}
}
