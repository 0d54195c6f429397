package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"tollgate/pkg/exec"
	"tollgate/pkg/slo"
	"tollgate/pkg/spec"
)

func TestGuardsAloneAreNoPass(t *testing.T) {
	decides, shown := slo.Result{}, slo.Result{Claim: slo.Claim{Advisory: true}}
	guard := slo.Result{Claim: slo.Claim{Guard: true}}
	for _, c := range []struct {
		results   []slo.Result
		was, want slo.Overall
	}{
		{[]slo.Result{decides, guard}, slo.OverallPass, slo.OverallPass},
		{[]slo.Result{shown, decides, guard}, slo.OverallPass, slo.OverallPass},
		{nil, slo.OverallPass, slo.OverallNone},
		{[]slo.Result{guard}, slo.OverallPass, slo.OverallNone},
		{[]slo.Result{shown, guard}, slo.OverallPass, slo.OverallNone},
		{[]slo.Result{guard}, slo.OverallFail, slo.OverallFail},
		{[]slo.Result{guard}, slo.OverallInconclusive, slo.OverallInconclusive},
	} {
		j := slo.Judgement{Overall: c.was, Results: c.results}
		unpromised(&j)
		if j.Overall != c.want {
			t.Errorf("%v with %d results became %v, want %v", c.was, len(c.results), j.Overall, c.want)
		}
		promised := slices.ContainsFunc(c.results, func(r slo.Result) bool { return r.Claim == decides.Claim })
		if told := len(j.Reasons) == 1; told == promised {
			t.Errorf("%d results: reasons %q", len(c.results), j.Reasons)
		}
	}
}

// What was seen of the other promises until a run was given up does not make it good.
func TestARunThatWasGivenUpFails(t *testing.T) {
	for _, was := range []slo.Overall{slo.OverallPass, slo.OverallInconclusive, slo.OverallFail, slo.OverallNone} {
		j := slo.Judgement{Overall: was, Reasons: []string{"another"}}
		if givenUp(&exec.Result{}, &j); j.Overall != was || len(j.Reasons) != 1 {
			t.Errorf("a run that ran to its end became %v: %q", j.Overall, j.Reasons)
		}
		givenUp(&exec.Result{Aborted: "the target is unreachable", Elapsed: 7 * time.Second}, &j)
		if j.Overall != slo.OverallFail || len(j.Reasons) != 2 || !strings.Contains(j.Reasons[0], "the target is unreachable") {
			t.Errorf("%v given up became %v: %q", was, j.Overall, j.Reasons)
		}
	}
}

func TestNewFolderIsNeverAnOldOne(t *testing.T) {
	t.Chdir(t.TempDir())
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	want := filepath.Join("results", "a--b-20260102-030405")
	for _, suffix := range []string{"", "-2", "-3"} {
		dir := newFolder("a/ b", now)
		if dir != want+suffix {
			t.Errorf("%s, want %s", dir, want+suffix)
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOverridesAreKeptAsTyped(t *testing.T) {
	var l load
	l.addFlags(pflag.NewFlagSet("test", pflag.ContinueOnError))
	err := l.flags.Parse([]string{"--set", "values.a=[1, 2]", "--for=90s", "--set=values.b=x,y", "--profile", "ci", "--users", "5", "--random-seed", "1"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"--users 5", "--for 90s", "--set values.a=[1, 2]", "--set values.b=x,y"}
	if got := l.overrides(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestRampIsADurationOrASpeed(t *testing.T) {
	for text, want := range map[string]spec.Ramp{"30s": {Over: 30 * time.Second}, "0s": {}, "5/s": {Rate: 5}, "60/m": {Rate: 1}} {
		if got, err := parseRamp(text); err != nil || got != want {
			t.Errorf("%s is %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"30", "-1s", "5/", "fast", ""} {
		if _, err := parseRamp(text); err == nil {
			t.Errorf("%q is a ramp", text)
		}
	}
}
