package demo

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestOnlyLoopbackIsServedUnlessToldOtherwise(t *testing.T) {
	for _, addr := range []string{":0", "0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[2001:db8::1]:0"} {
		server, err := Start(addr, http.NotFoundHandler())
		if err == nil {
			server.Close()
			t.Errorf("%s is served", addr)
			continue
		}
		contains(t, err.Error(), `"`+addr+`" is not on loopback`, "listen on 127.0.0.1:0 instead")
	}
	if _, err := Start("no port", http.NotFoundHandler()); err == nil || !strings.Contains(err.Error(), `listen address "no port"`) {
		t.Errorf("nonsense: %v", err)
	}
	for _, addr := range []string{"127.0.0.1:0", "localhost:0", "127.8.8.8:0"} {
		server, err := Start(addr, http.NotFoundHandler())
		if err != nil {
			t.Errorf("%s: %v", addr, err)
			continue
		}
		if server.URL != "http://"+server.Addr || strings.HasSuffix(server.Addr, ":0") {
			t.Errorf("%s: URL %q, address %q", addr, server.URL, server.Addr)
		}
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestStartPublicTakesWhatStartRefuses(t *testing.T) {
	if _, err := StartPublic("no port", http.NotFoundHandler()); err == nil {
		t.Error("nonsense is served")
	}
	server, err := StartPublic("127.0.0.1:0", http.NotFoundHandler()) // no need to be public to see that it serves
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
}

func TestPortInUseIsAnError(t *testing.T) {
	_, server, _ := serve(t, Options{})
	if second, err := Start(server.Addr, http.NotFoundHandler()); err == nil {
		second.Close()
		t.Error("two servers on one port")
	}
}

func TestCloseLetsHeldRequestsGo(t *testing.T) {
	for name, tt := range map[string]struct {
		knobs    Knobs
		answered bool
	}{
		"work":    {Knobs{Work: time.Hour}, true},
		"latency": {Knobs{Latency: time.Hour}, true},
		"freeze":  {Knobs{FreezeFor: 1000 * time.Hour, FreezeEvery: 1000*time.Hour + 1}, true},
		"slow":    {Knobs{SlowBody: 1}, true},
		"drop":    {Knobs{Drops: 1}, false},
	} {
		t.Run(name, func(t *testing.T) {
			soc := NewSOC(Options{Knobs: tt.knobs})
			server, err := Start("127.0.0.1:0", soc)
			if err != nil {
				t.Fatal(err)
			}
			c := &client{addr: server.Addr}
			defer c.close()
			var answer string
			var answerErr error
			var calling sync.WaitGroup
			calling.Go(func() {
				_, answer, answerErr = c.trigger(threatBody("bot_traffic"))
			})
			waitFor(t, "the request", func() bool { return soc.Ledger().Total == 1 })
			start := time.Now()
			if err := server.Close(); err != nil {
				t.Error(err)
			}
			if took := time.Since(start); took > grace {
				t.Errorf("Close took %v", took)
			}
			calling.Wait()
			if (answerErr == nil) != tt.answered {
				t.Fatalf("answered: %v, want %v", answerErr, tt.answered)
			}
			if tt.answered && readAnalysis(t, answer).Signal.ThreatType != "bot_traffic" {
				t.Errorf("answer: %s", answer)
			}
			if l := soc.Ledger(); l.InFlight != 0 || l.ConnectionsOpened != l.ConnectionsClosed {
				t.Errorf("ledger after Close: %+v", l)
			}
		})
	}
}

func TestCloseCutsWhatDoesNotEndAndWaitsForItsHandler(t *testing.T) {
	entered := make(chan struct{})
	var ended atomic.Bool
	server, err := Start("127.0.0.1:0", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()                // not interested in a graceful end
		<-time.After(20 * time.Millisecond) // takes its time to wind up
		ended.Store(true)
	}))
	if err != nil {
		t.Fatal(err)
	}
	c := &client{addr: server.Addr}
	defer c.close()
	var calling sync.WaitGroup
	calling.Go(func() { c.do("GET", "/", "", "") })
	<-entered
	start := time.Now()
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if !ended.Load() {
		t.Error("Close returned before the handler did")
	}
	if took := time.Since(start); took < grace || took > 2*grace {
		t.Errorf("Close took %v, the grace is %v", took, grace)
	}
	calling.Wait()
}

func TestCloseTwiceIsCloseOnce(t *testing.T) {
	_, server, c := serve(t, Options{})
	c.get(t, "/")
	for range 2 {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}
	c.close()
	if _, _, err := c.do("GET", "/", "", ""); err == nil {
		t.Error("a closed server answers")
	}
}
