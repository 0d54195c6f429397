package report

import (
	"encoding/base64"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tollgate/internal/measure"
	"tollgate/pkg/slo"
	"tollgate/pkg/spec"
)

func TestARecordGivesTheCountersBackAsTheyWereCounted(t *testing.T) {
	p := newPlay(t, work, "p95 < 100ms", "max < 1s", "mean < 1s", "bytes_in > 1MB", "errors < 1%")
	p.busy()
	p.fail(hold, trigger, 5*sec, 95*ms, measure.Check, 200, "no")
	run := p.end(3, "breach")
	d, err := Decode(encoded(t, run))
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Record.Counters) != len(run.Snapshot.Claims) {
		t.Fatalf("%d counters of %d claims", len(d.Record.Counters), len(run.Snapshot.Claims))
	}
	failed := false
	for i := range d.Record.Counters {
		want := run.Snapshot.Claims[i]
		got := d.Record.Counters[i].Counts()
		for k := range want.Slots {
			basis := run.Snapshot.Layout.Claims[i].Objective.Metric.Judged()
			if basis != slo.BySum {
				want.Slots[k].Sum = 0
			}
			if basis != slo.ByMax {
				want.Slots[k].Max = 0
			}
			failed = failed || want.Slots[k].Max == math.MaxInt64
		}
		if diff := cmp.Diff(want.Slots, got.Slots, cmpopts.EquateEmpty()); diff != "" || got.Lost != want.Lost {
			t.Errorf("%s: lost %d, want %d\n%s", d.Record.Counters[i].SLO, got.Lost, want.Lost, diff)
		}
		if !slices.Equal(d.Record.Counters[i].Series, run.Snapshot.Layout.SeriesOf(i)) {
			t.Errorf("%s: series %v", d.Record.Counters[i].SLO, d.Record.Counters[i].Series)
		}
	}
	if !failed {
		t.Error("no maximum has seen the failure")
	}
	if !slices.Equal(d.Record.Log, run.Snapshot.Log) {
		t.Error("the log is not that of the snapshot")
	}
}

func TestAForgedRecordIsRefused(t *testing.T) {
	data := encoded(t, failing(t))
	d := Build(failing(t))
	forged := append([]byte{}, d.Record.Log...)
	forged[2]++ // requests of the first second of the first row
	for what, bad := range map[string][]byte{
		"log that counts more than the row": change(t, data, base64.StdEncoding.EncodeToString(forged), "record", "log"),
		"log that ends inside a point":      change(t, data, base64.StdEncoding.EncodeToString(forged[:len(forged)-1]), "record", "log"),
		"no log":                            change(t, data, "", "record", "log"),
		"log that is no base64":             change(t, data, "~", "record", "log"),
		"row that there is not":             change(t, data, 99, "record", "steps", 0, "row"),
		"series that there is not":          change(t, data, []int{999}, "record", "counters", 0, "series"),
		"series twice":                      change(t, data, []int{5, 5}, "record", "counters", 0, "series"),
		"column too short":                  change(t, data, []int{1}, "record", "counters", 0, "bad"),
		"more bad than all":                 change(t, data, 1_000_000, "record", "counters", 0, "bad", 1),
	} {
		if _, err := Decode(bad); err == nil {
			t.Errorf("a record with a %s was read", what)
		} else if !strings.Contains(err.Error(), "not a whole result") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := Decode(data); err != nil {
		t.Errorf("the record as it is: %v", err)
	}
}

func TestRowsThatMaskingMadeAlikeStayApart(t *testing.T) {
	p := newPlay(t, []measure.Step{
		{Persona: "agent", Task: "a", Endpoint: "a", Name: "hunter22", Method: "GET"},
		{Persona: "agent", Task: "b", Endpoint: "b", Name: "hunter33", Method: "GET"},
	})
	p.run.Spec.Secrets = []string{"hunter22", "hunter33"}
	p.ok(hold, 1, 4*sec, 9*ms)
	p.ok(hold, 2, 5*sec, 9*ms)
	d, err := Decode(encoded(t, p.end(0, "pass")))
	if err != nil {
		t.Fatal(err)
	}
	if a, b := d.Record.Steps[1], d.Record.Steps[2]; a.Name != masked || b.Name != masked || a.Row == b.Row {
		t.Errorf("%+v and %+v", a, b)
	}
}

// regated is a play judged again by another promise.
func regated(t *testing.T, d *Document, o slo.Overall, code int, reason string) *Document {
	t.Helper()
	objective, err := slo.Parse("p95 < 1s")
	if err != nil {
		t.Fatal(err)
	}
	verdict := map[slo.Overall]slo.Verdict{slo.OverallPass: slo.Pass, slo.OverallFail: slo.Fail}[o]
	return Regate(d, Regating{
		Spec:      &spec.Spec{File: "specs/tight.yaml", Version: 1, Digest: "sha256:77", Secrets: []string{"hunter22"}},
		Overrides: []string{"--set values.password=hunter22"},
		Judgement: slo.Judgement{Overall: o, Results: []slo.Result{{
			Claim: slo.Claim{Objective: objective, Stage: "steady"}, Verdict: verdict, Reason: "as hunter22 wished",
		}}},
		ExitCode: code, ExitName: map[int]string{0: "pass", 3: "breach", 4: "inconclusive"}[code], Reasons: []string{reason}, Generator: "9.9",
	})
}

func TestARegatedDocumentSaysSoEverywhere(t *testing.T) {
	own := Build(passing(t))
	before, err := own.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, overall := range []slo.Overall{slo.OverallPass, slo.OverallFail} {
		d := regated(t, own, overall, map[slo.Overall]int{slo.OverallPass: 0, slo.OverallFail: 3}[overall], "by wish")
		if d.Overall != overall {
			t.Errorf("%v became %v", overall, d.Overall)
		}
		for what, text := range map[string]string{
			"screen": text(t, d, TextOptions{}), "markdown": string(d.Markdown()), "verdict": verdictJSON(t, d),
		} {
			if !strings.Contains(text, "specs/tight.yaml") || !strings.Contains(text, "regated") {
				t.Errorf("%v: the %s does not say that it is regated:\n%s", overall, what, text)
			}
			if strings.Contains(text, "hunter22") {
				t.Errorf("%v: the %s tells a secret of the new spec", overall, what)
			}
		}
		if why := strings.Split(strings.TrimSpace(text(t, d, TextOptions{Width: 200})), "\n"); !strings.Contains(why[len(why)-1], "regated by specs/tight.yaml") {
			t.Errorf("%v: the last line is %q", overall, why[len(why)-1])
		}
		data, err := d.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		if again.Regated == nil || again.Regated.Spec.File != "specs/tight.yaml" || again.Regated.Generator != "9.9" || again.Spec.File != "specs/soc.yaml" {
			t.Errorf("stored as %+v of %+v", again.Regated, again.Spec)
		}
	}
	after, err := own.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if string(before) != string(after) {
		t.Error("the document that was judged again has changed")
	}
}

func TestAPartialRunIsNeverRegatedToAPass(t *testing.T) {
	if d := regated(t, Build(interrupted(t)), slo.OverallPass, 0, ""); d.Overall != slo.OverallInconclusive {
		t.Errorf("an interrupted run became %v", d.Overall)
	}
	if d := regated(t, Build(passing(t)), slo.OverallPass, 4, "unlike"); d.Overall != slo.OverallInconclusive {
		t.Errorf("a pass beside exit code 4 became %v", d.Overall)
	}
}
