package demo

import (
	"encoding/json"
	"flag"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var everyKnob = Knobs{
	Work: time.Second, Jitter: 2 * time.Millisecond, Latency: 3 * time.Microsecond,
	Errors: 0.1, Resets: 0.2, Closes: 0.3, Drops: 0.4, WrongBodies: 0.5,
	FreezeFor: time.Second, FreezeEvery: time.Minute,
	SlowBody: 1000, NoKeepAlive: true, NotReady: true, Only: "GET /api/threats",
}

func TestKnobsAreTurnedOneByOneOverHTTP(t *testing.T) {
	soc, _, c := serve(t, Options{Work: time.Millisecond, Knobs: Knobs{Errors: 0.5}})
	resp, text := c.mustDo(t, "POST", "/_knobs", "", `{"errors": 0, "latency": "5ms", "no_keep_alive": true}`)
	want := Knobs{Work: time.Millisecond, Latency: 5 * time.Millisecond, NoKeepAlive: true}
	if resp.StatusCode != 200 {
		t.Fatalf("%d: %s", resp.StatusCode, text)
	}
	if diff := cmp.Diff(want, soc.Knobs()); diff != "" {
		t.Errorf("knobs (-want +got):\n%s", diff)
	}
	var served Knobs
	if err := json.Unmarshal([]byte(c.get(t, "/_knobs")), &served); err != nil || served != want {
		t.Errorf("served: %+v, %v", served, err)
	}
}

func TestBadKnobsAreRefusedAllAtOnceAndNothingIsTurned(t *testing.T) {
	for _, tt := range []struct {
		body   string
		naming []string
	}{
		{`{"errors": 2, "resets": -0.1, "work": "-1s", "slow_body": -5}`, []string{"knob errors: 2", "knob resets: -0.1", "knob work: -1s", "knob slow_body: -5"}},
		{`{"errors": 0.6, "drops": 0.6}`, []string{"add up to 1.2"}},
		{`{"freeze_for": "1s"}`, []string{"freeze_for", "freeze_every 0s"}},
		{`{"freeze_for": "1s", "freeze_every": "1s"}`, []string{"does not fit"}},
		{`{"latency": 5, "work": "fast", "errors": "many"}`, []string{"knob latency: want a time as text", `knob work: "fast"`, "knob errors: "}},
		{`{"latencies": "5ms", "Errors": 1}`, []string{`knob "latencies" does not exist`, `knob "Errors" does not exist`}},
		{`{"errors": null}`, []string{"knob errors: null"}},
		{`[]`, []string{"want a JSON object"}},
		{``, []string{"want a JSON object"}},
	} {
		soc, _, c := serve(t, Options{Knobs: Knobs{Errors: 0.25}})
		resp, text := c.mustDo(t, "POST", "/_knobs", "application/json", tt.body)
		if resp.StatusCode != 400 {
			t.Errorf("%s: status %d", tt.body, resp.StatusCode)
		}
		var answer struct{ Detail string }
		if err := json.Unmarshal([]byte(text), &answer); err != nil {
			t.Errorf("%s: %v in %s", tt.body, err, text)
		}
		contains(t, answer.Detail, tt.naming...)
		if soc.Knobs() != (Knobs{Errors: 0.25}) {
			t.Errorf("%s: knobs are now %+v", tt.body, soc.Knobs())
		}
	}
}

func TestEveryKnobSurvivesJSON(t *testing.T) {
	text, err := json.Marshal(everyKnob)
	if err != nil {
		t.Fatal(err)
	}
	var back Knobs
	if err := json.Unmarshal(text, &back); err != nil || back != everyKnob {
		t.Errorf("%s became %+v, %v", text, back, err)
	}
}

func TestEveryKnobHasAFlag(t *testing.T) {
	k := DefaultKnobs()
	fs := flag.NewFlagSet("demo", flag.ContinueOnError)
	k.RegisterFlags(fs)
	if got := fs.Lookup("work").DefValue; got != "100ms" {
		t.Errorf("default work %s", got)
	}
	err := fs.Parse(strings.Fields("--work 1s --jitter 2ms --latency 3us --errors .1 --resets .2 --closes .3 --drops .4 " +
		"--wrong-bodies .5 --freeze-for 1s --freeze-every 1m --slow-body 1000 --no-keep-alive --not-ready"))
	if err != nil {
		t.Fatal(err)
	}
	if err := fs.Parse([]string{"--only", "GET /api/threats"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(everyKnob, k); diff != "" {
		t.Errorf("knobs (-want +got):\n%s", diff)
	}
	fs.SetOutput(io.Discard)
	if err := fs.Parse([]string{"--errors", "NaN"}); err != nil {
		t.Fatal(err)
	}
	if err := k.Validate(); err == nil || !strings.Contains(err.Error(), "knob errors: NaN") {
		t.Errorf("NaN: %v", err)
	}
}

func TestSharesThatFillTheWholeAreValid(t *testing.T) {
	for _, k := range []Knobs{everyKnob, {Errors: 1}, {Errors: 0.7, Resets: 0.2, Closes: 0.1}, {}} {
		if err := k.Validate(); err != nil {
			t.Errorf("%+v: %v", k, err)
		}
	}
	if err := (Knobs{Drops: math.Inf(1)}).Validate(); err == nil {
		t.Error("an infinite share is valid")
	}
}

func TestInvalidKnobsOfTheProgramPanic(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	NewSOC(Options{Knobs: Knobs{Errors: 2}})
}

func FuzzKnobsJSON(f *testing.F) {
	f.Add(`{"errors":0.5,"work":"1s","only":"GET /","not_ready":true,"slow_body":7}`)
	f.Add(`{"errors":1e-300,"freeze_for":"1ns","freeze_every":"2562047h"}`)
	f.Add(`{"work":null}`)
	f.Fuzz(func(t *testing.T, text string) {
		before := Knobs{Resets: 0.5}
		k := before
		if err := k.UnmarshalJSON([]byte(text)); err != nil {
			if k != before {
				t.Errorf("refused with %v, yet now %+v", err, k)
			}
			return
		}
		if k.Validate() != nil {
			return
		}
		var back Knobs
		if err := back.UnmarshalJSON(jsonText(k)); err != nil || back != k {
			t.Errorf("%+v became %+v, %v", k, back, err)
		}
	})
}

func TestDrawsAreEvenlySpreadAndIndependent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		share := rapid.Float64Range(0.05, 0.95).Draw(t, "share")
		const n = 20_000
		var hits, both int
		for i := range uint64(n) {
			if draw(seed, i, forEnding) < share {
				hits++
				if draw(seed, i, forWrongBody) < share {
					both++
				}
			}
		}
		// Six standard deviations: one false alarm in a thousand million.
		near := func(what string, got int, p float64) {
			if slack := 6 * math.Sqrt(n*p*(1-p)); math.Abs(float64(got)-n*p) > slack {
				t.Errorf("%s: %d of %d, want %.0f±%.0f", what, got, n, n*p, slack)
			}
		}
		near("hits", hits, share)
		near("both", both, share*share)
	})
}
