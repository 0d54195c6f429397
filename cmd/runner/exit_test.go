package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/slo"
)

// causes are all ways to end badly, in the order in which they win.
var causes = []struct {
	name string
	code code
	set  func(*state)
}{
	{"internal", 1, func(s *state) { s.internal = []string{"internal"} }},
	{"not stored", 11, func(s *state) { s.notStored = []string{"not stored"} }},
	{"interrupted", 9, func(s *state) { s.interrupted = []string{"interrupted"} }},
	{"bad spec", 5, func(s *state) { s.badSpec = []string{"bad spec"} }},
	{"refused", 6, func(s *state) { s.refused = []string{"refused"} }},
	{"unreachable", 7, func(s *state) { s.unreachable = []string{"unreachable"} }},
	{"seed failed", 8, func(s *state) { s.seedFailed = []string{"seed failed"} }},
	{"invalid", 4, func(s *state) { s.invalid = []string{"invalid"} }},
	{"breach", 3, func(s *state) { s.verdict, s.unkept = slo.OverallFail, []string{"breach"} }},
	{"not proven", 4, func(s *state) { s.verdict, s.unkept = slo.OverallInconclusive, []string{"not proven"} }},
	{"cleanup failed", 10, func(s *state) { s.cleanFailed = []string{"cleanup failed"} }},
}

func TestEachCauseHasItsCode(t *testing.T) {
	for _, c := range causes {
		s := state{verdict: slo.OverallPass}
		c.set(&s)
		if got, want := s.exit(), (exit{c.code, []string{c.name}}); !cmp.Equal(got, want, cmp.AllowUnexported(exit{})) {
			t.Errorf("%s: %v, want %v", c.name, got, want)
		}
	}
}

func TestOfTwoCausesTheEarlierWinsAndBothAreTold(t *testing.T) {
	for i, first := range causes {
		for _, second := range causes[i+1:] {
			if first.name == "breach" && second.name == "not proven" {
				continue // one verdict: it cannot be both
			}
			t.Run(first.name+" and "+second.name, func(t *testing.T) {
				s := state{verdict: slo.OverallPass}
				second.set(&s)
				first.set(&s)
				e := s.exit()
				if e.code != first.code {
					t.Errorf("code %d, want %d", e.code, first.code)
				}
				if want := []string{first.name, second.name}; !slices.Equal(e.reasons, want) {
					t.Errorf("reasons %q, want %q", e.reasons, want)
				}
			})
		}
	}
}

func TestOnlyAPassIsZero(t *testing.T) {
	if e := (state{verdict: slo.OverallPass}).exit(); e.code != 0 || e.reasons != nil {
		t.Errorf("a pass gives %v", e)
	}
	for _, verdict := range []slo.Overall{slo.OverallNone, slo.OverallFail, slo.OverallInconclusive, 99} {
		if e := (state{verdict: verdict}).exit(); e.code == 0 || len(e.reasons) == 0 {
			t.Errorf("verdict %v without reasons gives %v", verdict, e)
		}
	}
	if e := (state{}).exit(); e.code != 4 {
		t.Errorf("the zero state gives %v, want 4", e)
	}
}

func TestTwoIsNeverOurs(t *testing.T) {
	seen := map[code]bool{}
	for _, k := range codes {
		if k.code == 2 || seen[k.code] {
			t.Errorf("code %d is given twice, or Go's own", k.code)
		}
		seen[k.code] = true
	}
}

func TestHelpTellsEveryCode(t *testing.T) {
	text := exitCodesHelp()
	for _, k := range codes {
		if !strings.Contains(text, fmt.Sprintf("%3d  %-14s  ", k.code, k.name)) {
			t.Errorf("help lacks %d %s", k.code, k.name)
		}
	}
}
