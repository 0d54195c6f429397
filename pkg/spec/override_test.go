package spec

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tollgate/internal/expr"
	"tollgate/pkg/slo"
)

func ptr[T any](v T) *T { return &v }

// sameSpec compares specs but for compiled texts, which have no equality.
var sameSpec = []cmp.Option{
	cmpopts.IgnoreTypes(&expr.Text{}, &expr.Cond{}),
	cmpopts.IgnoreUnexported(Endpoint{}, Header{}, Ready{}),
}

func TestOverrideLeavesTheSpecAsItIs(t *testing.T) {
	s, before := parse(t, shop, Options{}), parse(t, shop, Options{})
	o := Override{Users: ptr(3), Ramp: &Ramp{Over: time.Second}, For: ptr(5 * time.Second), Stages: []string{"steady"},
		Personas: []string{"buyer"}, Target: "http://u:p@other.test/base"}
	if _, faults := s.With(o); faults != nil {
		t.Fatal(faults)
	}
	if diff := cmp.Diff(before, s, sameSpec...); diff != "" {
		t.Error(diff)
	}
	if got := render(t, s, s.Endpoints[1].Path, nil); got != "/orders" {
		t.Error(got)
	}
}

func TestZeroOverrideChangesNothing(t *testing.T) {
	s := parse(t, shop, Options{})
	c, faults := s.With(Override{})
	if faults != nil {
		t.Fatal(faults)
	}
	if diff := cmp.Diff(s, c, sameSpec...); diff != "" {
		t.Error(diff)
	}
	if c.Personas[0].Tasks[0].Steps[0].Endpoint != c.Endpoints[1] {
		t.Error("the steps of the copy call endpoints of the original")
	}
}

func TestOverrideOfTheLoad(t *testing.T) {
	s := parse(t, shop, Options{})
	c, faults := s.With(Override{Users: ptr(3), Ramp: &Ramp{Rate: 2}, For: ptr(5 * time.Second)})
	if faults != nil {
		t.Fatal(faults)
	}
	warmup, steady := c.Stages[0], c.Stages[1]
	if warmup.Level.Users != 3 || warmup.For != 10*time.Second {
		t.Errorf("a warm-up stands above the level that it warms up for: %+v", warmup)
	}
	if steady.Level.Users != 3 || steady.For != 5*time.Second || steady.Ramp != (Ramp{Rate: 2}) {
		t.Errorf("%+v", steady)
	}
	if c, faults = c.With(Override{For: ptr(time.Minute), ForMax: 5 * time.Minute}); faults != nil {
		t.Fatal(faults)
	}
	if got := c.Stages[1]; got.For != time.Minute || got.ForMax != 5*time.Minute || c.Stages[0].ForMax != 0 {
		t.Errorf("%+v", got)
	}
	if c, faults = c.With(Override{Users: ptr(4)}); faults != nil || c.Stages[1].ForMax != 5*time.Minute {
		t.Errorf("another override loses the longest hold: %v", faults)
	}
	if c, faults = c.With(Override{For: ptr(2 * time.Minute)}); faults != nil || c.Stages[1].ForMax != 0 {
		t.Errorf("a fixed hold is not fixed: %v", faults)
	}
	if c, faults = s.With(Override{Rate: ptr(7.5)}); faults != nil {
		t.Fatal(faults)
	}
	if got := c.Stages[1].Level; !got.Open || got.Rate != 7.5 || got.Users != 0 {
		t.Errorf("%+v", got)
	}
}

func TestLongestHoldsEveryStageToItsMost(t *testing.T) {
	s := parse(t, with(t, "for: 1m}\nslos", "for: 1m..5m}\nslos"), Options{})
	c := s.Longest()
	if c.Stages[0].For != 10*time.Second || c.Stages[1].For != 5*time.Minute || c.Stages[1].ForMax != 0 {
		t.Errorf("%+v, %+v", c.Stages[0], c.Stages[1])
	}
	if s.Stages[1].For != time.Minute || s.Stages[1].ForMax != 5*time.Minute {
		t.Errorf("the spec itself has changed: %+v", s.Stages[1])
	}
}

func TestOverrideOfTheTarget(t *testing.T) {
	s := parse(t, with(t, "http://127.0.0.1:8000", "http://old:pw@127.0.0.1:8000/v1\n  ready: GET /health\n  timeout: 3s\n  headers: {X-A: b}"), Options{})
	c, faults := s.With(Override{Target: "http://other.test:81/v2"})
	if faults != nil {
		t.Fatal(faults)
	}
	if got := c.Target; got.Host != "other.test" || got.Ready.Path != "/v2/health" || got.Timeout != 3*time.Second || got.URL != "http://other.test:81/v2" {
		t.Errorf("%+v", got)
	}
	if len(c.Target.Headers) != 1 || c.Target.Headers[0].Name != "X-A" {
		t.Errorf("credentials of the old target are sent to the new one: %+v", c.Target.Headers)
	}
	if got := render(t, c, c.Personas[0].Tasks[0].Steps[0].Endpoint.Path, nil); got != "/v2/orders" {
		t.Error(got)
	}
}

func TestWhatCanNoLongerBeJudgedIsDroppedAndListed(t *testing.T) {
	s := parse(t, shop, Options{})
	for name, tt := range map[string]struct {
		o       Override
		slos    int
		dropped string
	}{
		"persona left out":    {Override{Personas: []string{"buyer"}}, 2, "slo p99{persona=guest} < 500ms: the persona guest is left out"},
		"stage left out":      {Override{Stages: []string{"warmup"}}, 0, "slo errors < 1% during steady: the stage steady is left out"},
		"nothing of the kind": {Override{Stages: []string{"steady"}}, 3, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c, faults := s.With(tt.o)
			if faults != nil {
				t.Fatal(faults)
			}
			if len(c.SLOs) != tt.slos || tt.dropped != "" && !slices.Contains(c.Dropped, tt.dropped) || tt.dropped == "" && c.Dropped != nil {
				t.Errorf("%d SLOs, dropped %q", len(c.SLOs), c.Dropped)
			}
		})
	}
}

func TestWhatAnOverrideMakesUnjudgeableIsDropped(t *testing.T) {
	s := parse(t, withStages(t, "slos:", `  - spike: {users: 20, for: 1m}
  - steady: {name: after, users: 5, for: 1m}
slos:
  - p95 < 300ms within 30s after spike
  - p95 < 300ms every 10s
  - successes{persona=guest} >= requests{persona=buyer}`), Options{})
	for want, o := range map[string]Override{
		"slo p95 < 300ms within 30s after spike: the stage spike is left out":                                   {Stages: []string{"after"}},
		"slo p95 < 300ms within 30s after spike: no stage comes after spike, so the recovery would not be seen": {Stages: []string{"spike"}},
		"slo p95 < 300ms every 10s: its windows of 10s are longer than any of its stages":                       {For: ptr(9 * time.Second)},
		"slo successes{persona=guest} >= requests{persona=buyer}: the persona buyer is left out":                {Personas: []string{"guest"}},
	} {
		c, faults := s.With(o)
		if faults != nil {
			t.Fatal(faults)
		}
		if !slices.Contains(c.Dropped, want) {
			t.Errorf("want %s, got %q", want, c.Dropped)
		}
	}
}

func TestPersonaFilterNarrowsStages(t *testing.T) {
	s := parse(t, with(t, "slos:", "  - spike: {users: {buyer: 2, guest: 3}, for: 1s}\n  - steady: {name: guests, users: 1, for: 1s, personas: [guest]}\nslos:"), Options{})
	c, faults := s.With(Override{Personas: []string{"buyer"}})
	if faults != nil {
		t.Fatal(faults)
	}
	if len(c.Personas) != 1 || len(c.Stages) != 3 || len(c.Stages[2].Level.ByPersona) != 1 {
		t.Errorf("%+v", c)
	}
	if !slices.Contains(c.Dropped, "stage guests: none of its personas takes part") {
		t.Error(c.Dropped)
	}
}

func TestFaultyOverrides(t *testing.T) {
	s := parse(t, with(t, "  guest:", "  idle:\n    weight: 0\n    tasks: {list: 1}\n  guest:"), Options{})
	for want, o := range map[string]Override{
		`--stage: no stage is called "stedy"`:                           {Stages: []string{"stedy"}},
		`--persona: no persona is called "byuer"`:                       {Personas: []string{"byuer"}},
		"--target: the URL does not begin with http:// or https://":     {Target: "ftp://shop.test"},
		"--rate: a stage has users or a rate":                           {Users: ptr(1), Rate: ptr(1.0)},
		"--users: users lie between 1 and 10000000":                     {Users: ptr(0)},
		"--for: a hold lies between 1ms and 1000h":                      {For: ptr(time.Duration(0))},
		"--for: a hold that may end early lasts at least 20s":           {For: ptr(time.Second), ForMax: time.Minute},
		"--for: a hold that may end early lasts at least 20s, and":      {For: ptr(time.Minute), ForMax: time.Minute},
		"--ramp: a ramp is a duration or a speed":                       {Ramp: &Ramp{Over: -1}},
		"--ramp: at this speed a ramp takes more than 1000h":            {Users: ptr(10_000_000), Ramp: &Ramp{Rate: 1e-3}},
		"--for: there is no steady or spike stage that it could change": {Stages: []string{"warmup"}, For: ptr(time.Second)},
		"--users: every persona of the stage warmup has weight 0":       {Personas: []string{"idle"}},
	} {
		c, faults := s.With(o)
		if c != nil || len(faults) == 0 || !strings.HasPrefix(faults[0].String(), want) {
			t.Errorf("want %s, got %v", want, faults)
		}
	}
}

func TestOverriddenSpecsPromisesSeeARequest(t *testing.T) {
	s := parse(t, shop, Options{})
	for _, o := range []Override{{Personas: []string{"guest"}}, {Stages: []string{"steady"}}, {Rate: ptr(1.0)}} {
		c, faults := s.With(o)
		if faults != nil {
			t.Fatal(faults)
		}
		for _, promise := range c.SLOs {
			if len(c.Judged(promise.Objective)) == 0 {
				t.Errorf("%s is judged nowhere", promise.Objective.Text)
			}
		}
	}
	if s.Judged(slo.Objective{Metric: slo.Metric{Kind: slo.Dropped}}) != nil {
		t.Error("arrivals are dropped where there are none")
	}
}
