package exec

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tollgate/internal/measure"
	"tollgate/pkg/spec"
)

// journalled runs a short load and returns its result and the seconds that were
// told while it ran.
func journalled(t *testing.T, by string, seconds chan Second) (*Result, []Second) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/bad") {
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	defer srv.Close()
	addr := srv.Listener.Addr().String()
	text := `
version: 1
name: t
target: {url: "http://` + addr + `"}
endpoints: {good: GET /good, bad: GET /bad}
personas:
  u:
    think: 20ms
    tasks: {good: 1, bad: 1}
stages:
  - steady: {users: 8, for: 3200ms}
slos: [p95 < 1s, mean < 1s, "users >= 1"]
`
	s, faults := spec.Parse("t.yaml", []byte(text), spec.Options{})
	if s == nil {
		t.Fatal(faults)
	}
	p, err := Compile(s, Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	var told []Second
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for cap(seconds) > 1 { // else nobody reads
			second, more := <-seconds
			if !more {
				return
			}
			told = append(told, second)
		}
	}()
	r, err := Run(context.Background(), p, RunOptions{
		Addresses: FixedAddresses(s, netip.MustParseAddrPort(addr)), Loops: 2, RunID: "test", Driver: by, Seconds: seconds,
	})
	if err != nil {
		t.Fatal(err)
	}
	close(seconds)
	<-ended
	return r, told
}

// What a run tells while it goes on is what it says at its end, but for the last
// second.
func TestSecondsAddUpToTheRun(t *testing.T) {
	overDrivers(t, func(t *testing.T, by string) {
		t.Parallel()
		r, told := journalled(t, by, make(chan Second, 8))
		if len(told) < 3 {
			t.Fatalf("%d seconds were told", len(told))
		}
		replay := measure.NewReplay(r.Plan.Layout)
		last := make([]*measure.Copy, r.Loops)
		gauges, health := 0, 0
		for n, s := range told {
			if len(s.Copies) != r.Loops || s.Started.IsZero() || len(s.Spans) == 0 {
				t.Fatalf("second %d: %d copies, %v", n, len(s.Copies), s.Spans)
			}
			for i, c := range s.Copies {
				if _, err := replay.Add(c.AppendDelta(nil, last[i], func(s string) string { return s })); err != nil {
					t.Fatal(err)
				}
				last[i] = c
			}
			gauges, health = gauges+len(s.Gauges), health+len(s.Health)
		}
		if gauges != len(told) || health != len(told) {
			t.Errorf("%d readings of users and %d of the generator in %d seconds", gauges, health, len(told))
		}
		snap, err := replay.Cut()
		if err != nil {
			t.Fatal(err)
		}
		if err := snap.Check(); err != nil {
			t.Fatal(err)
		}
		all, told2 := total(r), snap.Select(func(measure.Phase, measure.Step) bool { return true })
		missing := r.Elapsed - time.Duration(told[len(told)-1].At)
		if told2.OK == 0 || told2.OK > all.OK || told2.Failures > all.Failures || told2.Requests+told2.Lost > all.Requests {
			t.Errorf("%d of %d requests were told, %d of %d failures", told2.Requests, all.Requests, told2.Failures, all.Failures)
		}
		if share := float64(told2.Requests+told2.Lost) / float64(all.Requests); share < 0.5*(1-missing.Seconds()/r.Elapsed.Seconds()) {
			t.Errorf("%d of %d requests were told, %v before the end", told2.Requests, all.Requests, missing)
		}
	})
}

// A journal that nobody reads never makes a run wait.
func TestFullJournalDoesNotStopARun(t *testing.T) {
	seconds := make(chan Second, 1)
	r, _ := journalled(t, "", seconds)
	if r.Interrupted || r.Elapsed > 30*time.Second {
		t.Errorf("it took %v", r.Elapsed)
	}
	if len(seconds) != 1 {
		t.Errorf("%d seconds", len(seconds))
	}
}
