package demo

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestResetReallyIsATCPReset(t *testing.T) {
	soc, _, c := serve(t, Options{Knobs: Knobs{Resets: 1}})
	_, _, err := c.trigger(threatBody("bot_traffic"))
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a connection reset", err)
	}
	l := soc.Ledger()
	if l.Requests[routeTrigger] != 1 || l.Threats["bot_traffic"] != 1 || l.Unanswered != 1 || l.Responses != 0 || l.Faults["reset"] != 1 {
		t.Errorf("ledger: %+v", l)
	}
}

func TestCloseWithoutAnswerIsNotAReset(t *testing.T) {
	soc, _, c := serve(t, Options{Knobs: Knobs{Closes: 1}})
	_, _, err := c.trigger(threatBody("bot_traffic"))
	if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want the end of the stream", err)
	}
	if l := soc.Ledger(); l.Total != 1 || l.Unanswered != 1 || l.Faults["close"] != 1 {
		t.Errorf("ledger: %+v", l)
	}
}

func TestDropIsNeverAnswered(t *testing.T) {
	soc, _, c := serve(t, Options{Knobs: Knobs{Drops: 1}})
	c.get(t, "/_knobs") // opens the connection
	c.conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	_, _, err := c.trigger(threatBody("bot_traffic"))
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want nothing until the deadline", err)
	}
	waitFor(t, "the departure of the client in the ledger", func() bool {
		l := soc.Ledger()
		return l.Total == 1 && l.Unanswered == 1 && l.InFlight == 0 && l.Faults["drop"] == 1
	})
}

func TestErrorsAreAnsweredAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		soc := NewSOC(Options{Work: time.Hour, Knobs: Knobs{Errors: 1, Latency: time.Hour, SlowBody: 1}})
		w, took := timed(soc, "POST", "/api/threats/trigger", "{}")
		if w.Code != 503 || w.Body.String() != `{"detail":"Service Unavailable"}` || took != 0 {
			t.Errorf("%d %s after %v", w.Code, w.Body, took)
		}
	})
}

// timed calls the handler and takes the time, which in a synctest bubble is
// exactly the time it waited.
func timed(h http.Handler, method, path, body string) (*httptest.ResponseRecorder, time.Duration) {
	w := httptest.NewRecorder()
	start := time.Now()
	h.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return w, time.Since(start)
}

func TestTriggerTakesWorkAndUpToItsJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		soc := NewSOC(Options{Knobs: DefaultKnobs()})
		seen := map[time.Duration]bool{}
		for range 50 {
			w, took := timed(soc, "POST", "/api/threats/trigger", "{}")
			if took < 100*time.Millisecond || took >= 120*time.Millisecond {
				t.Errorf("took %v", took)
			}
			if ms := readAnalysis(t, w.Body.String()).TotalProcessingTimeMs; ms != int(took.Milliseconds()) {
				t.Errorf("took %v and says %d ms", took, ms)
			}
			seen[took] = true
		}
		if len(seen) < 40 {
			t.Errorf("only %d different times", len(seen))
		}
		if _, took := timed(soc, "GET", "/api/threats", ""); took != 0 {
			t.Errorf("a list took %v", took)
		}
	})
}

func TestLatencyComesBeforeEveryAnswerButProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		soc := NewSOC(Options{Work: time.Second, Knobs: Knobs{Latency: time.Minute}})
		for _, tt := range []struct {
			method, path string
			want         time.Duration
		}{
			{"POST", "/api/threats/trigger", 61 * time.Second},
			{"GET", "/api/threats", time.Minute},
			{"GET", "/", time.Minute},
			{"GET", "/nowhere", time.Minute},
			{"GET", "/health", 0},
			{"GET", "/ready", 0},
			{"GET", "/metrics", 0},
			{"GET", "/_ledger", 0},
			{"GET", "/_knobs", 0},
		} {
			if _, took := timed(soc, tt.method, tt.path, "{}"); took != tt.want {
				t.Errorf("%s %s took %v, want %v", tt.method, tt.path, took, tt.want)
			}
		}
	})
}

func TestFreezeHoldsWhatArrivesUntilItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		soc := NewSOC(Options{Knobs: Knobs{FreezeFor: 2 * time.Second, FreezeEvery: 10 * time.Second}})
		at := time.Now()
		for _, tt := range []struct{ arrives, waits time.Duration }{
			{0, 0},
			{7999 * time.Millisecond, 0},
			{8 * time.Second, 2 * time.Second},
			{19 * time.Second, time.Second},
			{29999 * time.Millisecond, time.Millisecond},
			{30 * time.Second, 0},
		} {
			time.Sleep(time.Until(at.Add(tt.arrives)))
			for _, path := range []string{"/", "/health"} {
				left := max(0, tt.waits-(time.Since(at)-tt.arrives))
				if w, took := timed(soc, "GET", path, ""); took != left || w.Code != 200 {
					t.Errorf("%s at %v took %v, want %v (status %d)", path, tt.arrives, took, left, w.Code)
				}
			}
		}
		if n := soc.Ledger().Faults["freeze"]; n != 3 { // the second request of each pair found it over
			t.Errorf("%d requests frozen", n)
		}
	})
}

func TestFreezeHoldsAllWhoArriveInIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		soc := NewSOC(Options{Knobs: Knobs{FreezeFor: time.Second, FreezeEvery: 2 * time.Second}})
		time.Sleep(1500 * time.Millisecond)
		var held sync.WaitGroup
		for range 10 {
			held.Go(func() {
				if _, took := timed(soc, "GET", "/", ""); took != 500*time.Millisecond {
					t.Errorf("took %v", took)
				}
			})
		}
		synctest.Wait()
		if l := soc.Ledger(); l.Total != 10 || l.InFlight != 10 || l.Faults["freeze"] != 10 {
			t.Errorf("in the freeze: %+v", l)
		}
		held.Wait()
		if l := soc.Ledger(); l.Responses != 10 || l.InFlight != 0 {
			t.Errorf("after the freeze: %+v", l)
		}
	})
}

func TestSlowBodyKeepsItsPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			pace int64
			want time.Duration // for the 198 bytes of GET /, in whole ticks
		}{{1000, 200 * time.Millisecond}, {99, 2 * time.Second}, {3, 66 * time.Second}, {1 << 62, 50 * time.Millisecond}} {
			soc := NewSOC(Options{Knobs: Knobs{SlowBody: tt.pace}})
			w, took := timed(soc, "GET", "/", "")
			if took != tt.want || w.Body.Len() != 198 {
				t.Errorf("%d B/s: %d bytes took %v, want %v", tt.pace, w.Body.Len(), took, tt.want)
			}
		}
	})
}

func TestSlowBodySendsTheHeaderAtOnceAndThenTheWholeBody(t *testing.T) {
	_, _, c := serve(t, Options{Knobs: Knobs{SlowBody: 2000}})
	start := time.Now()
	resp, text := c.mustDo(t, "GET", "/", "", "")
	if took := time.Since(start); took < 100*time.Millisecond || len(text) != 198 || resp.ContentLength != 198 {
		t.Errorf("%d of %d bytes after %v", len(text), resp.ContentLength, took)
	}
}

func TestWrongBodyIsValidAndFalse(t *testing.T) {
	soc, _, c := serve(t, Options{Knobs: Knobs{WrongBodies: 1}})
	for _, threat := range threatTypes {
		resp, text, err := c.trigger(threatBody(threat))
		if err != nil || resp.StatusCode != 200 {
			t.Fatal(resp, err)
		}
		a := readAnalysis(t, text)
		if a.Signal.ThreatType == threat {
			t.Errorf("%s is not falsified", threat)
		}
		if stored := readAnalysis(t, c.get(t, "/api/threats/"+a.ID)); stored.Signal.ThreatType != threat {
			t.Errorf("%s is stored as %s", threat, stored.Signal.ThreatType)
		}
	}
	if resp, _, _ := c.trigger(threatBody("alien")); resp.StatusCode != 400 {
		t.Errorf("an unknown type: status %d", resp.StatusCode)
	}
	if n := soc.Ledger().Faults["wrong_body"]; n != uint64(len(threatTypes)) {
		t.Errorf("%d wrong bodies in the ledger", n)
	}
}

func TestWithoutKeepAliveEveryAnswerEndsItsConnection(t *testing.T) {
	soc, _, c := serve(t, Options{Knobs: Knobs{NoKeepAlive: true}})
	for range 3 {
		resp, _ := c.mustDo(t, "GET", "/health", "", "")
		if !resp.Close {
			t.Error("the answer does not announce the close")
		}
	}
	if n := soc.Ledger().ConnectionsOpened; n != 3 {
		t.Errorf("%d connections for 3 requests", n)
	}
}

func TestProbesTellReadinessAndSurviveTheOtherFaults(t *testing.T) {
	_, _, c := serve(t, Options{Knobs: Knobs{Errors: 1}})
	contains(t, c.get(t, "/health"), `"status":"alive"`)
	contains(t, c.get(t, "/ready"), `"status":"ready"`)
	contains(t, c.get(t, "/metrics"), "http_requests_total")

	c.mustDo(t, "POST", "/_knobs", "", `{"not_ready":true}`)
	for _, path := range []string{"/health", "/ready"} {
		if resp, _ := c.mustDo(t, "GET", path, "", ""); resp.StatusCode != 503 {
			t.Errorf("%s while not ready: status %d", path, resp.StatusCode)
		}
	}
}

func TestOnlyLimitsFaultsToOneRoute(t *testing.T) {
	for only, want := range map[string]map[string]int{
		"GET /api/threats": {"/": 200, "/api/threats": 503, "/health": 200},
		"GET /health":      {"/": 200, "/api/threats": 200, "/health": 503},
		"":                 {"/": 503, "/api/threats": 503, "/health": 200},
	} {
		_, _, c := serve(t, Options{Knobs: Knobs{Errors: 1, Only: only}})
		for path, status := range want {
			if resp, _ := c.mustDo(t, "GET", path, "", ""); resp.StatusCode != status {
				t.Errorf("only %q: %s gives %d, want %d", only, path, resp.StatusCode, status)
			}
		}
	}
}

func TestSameSeedSameShareOfFatesWhateverTheConcurrency(t *testing.T) {
	fates := func(seed uint64, clients int) (failed uint64) {
		soc := NewSOC(Options{Seed: seed, Knobs: Knobs{Errors: 0.3}})
		var running sync.WaitGroup
		for range clients {
			running.Go(func() {
				for range 2000 / clients {
					timed(soc, "GET", "/", "")
				}
			})
		}
		running.Wait()
		return soc.Ledger().Status["GET /"][503]
	}
	alone := fates(11, 1)
	if together := fates(11, 8); together != alone {
		t.Errorf("%d errors by one client, %d by eight", alone, together)
	}
	if alone < 500 || alone > 700 {
		t.Errorf("%d errors of 2000 at a share of 0.3", alone)
	}
	if fates(12, 1) == alone && fates(13, 1) == alone && fates(14, 1) == alone {
		t.Error("four seeds gave the same number of errors")
	}
}

func TestClientThatLeavesDuringTheWorkGetsNoAnalysisStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		soc := NewSOC(Options{Work: time.Second})
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		r := httptest.NewRequest("POST", "/api/threats/trigger", strings.NewReader("{}")).WithContext(ctx)
		start := time.Now()
		func() {
			defer func() {
				if recover() != http.ErrAbortHandler {
					t.Error("the request was not abandoned")
				}
			}()
			soc.ServeHTTP(httptest.NewRecorder(), r)
		}()
		if took := time.Since(start); took != 300*time.Millisecond {
			t.Errorf("noticed after %v", took)
		}
		if l := soc.Ledger(); l.Unanswered != 1 || l.Responses != 0 {
			t.Errorf("ledger: %+v", l)
		}
		if w, _ := timed(soc, "GET", "/api/threats", ""); w.Body.String() != "[]" {
			t.Errorf("stored: %s", w.Body)
		}
	})
}
