package demo

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestLedgerAgreesWithEightClients is the promise the package is for: whatever
// the faults, the system's books and its clients' own counts are the same.
func TestLedgerAgreesWithEightClients(t *testing.T) {
	for name, knobs := range map[string]Knobs{
		"healthy":  {},
		"hostile":  {Errors: 0.2, Resets: 0.1, Closes: 0.1, WrongBodies: 0.2},
		"no reuse": {NoKeepAlive: true, Errors: 0.1},
	} {
		t.Run(name, func(t *testing.T) {
			soc, server, _ := serve(t, Options{Seed: 3, Knobs: knobs})
			const clients, each = 8, 150
			counts := make([]Ledger, clients)
			var running sync.WaitGroup
			for i := range clients {
				running.Go(func() { counts[i] = callAtRandom(server.Addr, each, uint64(i)) })
			}
			running.Wait()

			want := Ledger{}
			for _, one := range counts {
				want.Total += one.Total
				want.Responses += one.Responses
				want.Unanswered += one.Unanswered
				want.ConnectionsOpened += one.ConnectionsOpened
				for _, m := range []struct {
					into *map[string]uint64
					from map[string]uint64
				}{
					{&want.Requests, one.Requests}, {&want.Threats, one.Threats}, {&want.Scenarios, one.Scenarios},
					{&want.Kinds, one.Kinds}, {&want.Protocols, one.Protocols},
				} {
					for k, v := range m.from {
						bump(m.into, k, v)
					}
				}
				for route, codes := range one.Status {
					for code, n := range codes {
						for range n {
							bumpStatus(&want, route, code)
						}
					}
				}
			}
			got := soc.Ledger()
			wrong := got.Faults["wrong_body"]
			if name == "hostile" && (wrong == 0 || got.Faults["reset"]+got.Faults["close"] != want.Unanswered) {
				t.Errorf("faults %v for %d unanswered requests", got.Faults, want.Unanswered)
			}
			got.Faults, got.Rows, got.RowOrder, got.ConnectionsClosed = nil, nil, nil, 0 // clients may close later than the server is asked
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("ledger (-clients' counts +server's):\n%s", diff)
			}
			if want.Total != clients*each {
				t.Errorf("%d requests made, want %d", want.Total, clients*each)
			}
		})
	}
}

// callAtRandom makes n requests of every kind and counts them itself.
func callAtRandom(addr string, n int, seed uint64) Ledger {
	rng := rand.New(rand.NewPCG(seed, 1))
	c := &client{addr: addr}
	defer c.close()
	var l Ledger
	for range n {
		method, path, route, body := "POST", "/api/threats/trigger", "POST /api/threats/trigger", ""
		switch rng.IntN(8) {
		case 0:
			method, path, route = "GET", "/", "GET /"
		case 1:
			method, path, route = "GET", "/api/threats?limit=2", "GET /api/threats"
		case 2:
			method, path, route = "GET", "/api/threats/nobody", "GET /api/threats/{id}"
		case 3:
			body = "{}"
			bump(&l.Kinds, "random", 1)
		case 4:
			body = `{"scenario":"geo_impossible","threat_type":"bot_traffic"}`
			bump(&l.Kinds, "scenario", 1)
			bump(&l.Scenarios, "geo_impossible", 1)
		case 5:
			bump(&l.Kinds, "invalid", 1)
		default:
			threat := []string{"bot_traffic", "geo_anomaly", "alien"}[rng.IntN(3)]
			body = threatBody(threat)
			bump(&l.Kinds, "threat_type", 1)
			bump(&l.Threats, threat, 1)
		}
		if c.conn == nil {
			l.ConnectionsOpened++
		}
		l.Total++
		bump(&l.Protocols, "HTTP/1.1", 1)
		bump(&l.Requests, route, 1)
		resp, _, err := c.do(method, path, "application/json", body)
		if err != nil {
			l.Unanswered++
			continue
		}
		l.Responses++
		bumpStatus(&l, route, resp.StatusCode)
	}
	return l
}

func bump(m *map[string]uint64, key string, n uint64) {
	if *m == nil {
		*m = map[string]uint64{}
	}
	(*m)[key] += n
}

func bumpStatus(l *Ledger, route string, code int) {
	if l.Status == nil {
		l.Status = map[string]map[int]uint64{}
	}
	if l.Status[route] == nil {
		l.Status[route] = map[int]uint64{}
	}
	l.Status[route][code]++
}

func TestLedgerIsServedAsJSONAndDoesNotCountItself(t *testing.T) {
	soc, _, c := serve(t, Options{})
	c.get(t, "/")
	c.get(t, "/_knobs")
	var served Ledger
	if err := json.Unmarshal([]byte(c.get(t, "/_ledger")), &served); err != nil {
		t.Fatal(err)
	}
	if served.Total != 1 || served.Requests["GET /"] != 1 || served.Status["GET /"][200] != 1 {
		t.Errorf("served: %+v", served)
	}
	if diff := cmp.Diff(soc.Ledger(), served); diff != "" {
		t.Errorf("served (-Ledger() +/_ledger):\n%s", diff)
	}
	if resp, _ := c.mustDo(t, "PUT", "/_ledger", "", ""); resp.StatusCode != 405 || resp.Header.Get("Allow") != "GET, DELETE" {
		t.Errorf("PUT: %d, allowed %q", resp.StatusCode, resp.Header.Get("Allow"))
	}
}

func TestDeleteGivesTheLastLedgerAndBeginsANewOne(t *testing.T) {
	soc, _, c := serve(t, Options{})
	c.get(t, "/")
	_, text := c.mustDo(t, "DELETE", "/_ledger", "", "")
	contains(t, text, `"total":1`, `"GET /":1`)
	got := soc.Ledger()
	if got.Total != 0 || len(got.Requests) != 0 || len(got.Status) != 0 {
		t.Errorf("after the reset: %+v", got)
	}
	if got.ConnectionsOpened != 1 || got.ConnectionsClosed != 0 {
		t.Errorf("one connection is open: %+v", got)
	}
}

func TestAnswerToARequestFromBeforeTheResetIsNotInTheNewLedger(t *testing.T) {
	var b book
	before := b.received("GET /", nil)
	if last := b.reset(); last.InFlight != 1 {
		t.Errorf("last ledger: %+v", last)
	}
	before.answeredWith(200)
	if now := b.snapshot(); now.Total != 0 || now.Responses != 0 || now.InFlight != 0 || len(now.Status) != 0 {
		t.Errorf("new ledger: %+v", now)
	}
	if n := b.answers()["GET /"][200]; n != 1 {
		t.Errorf("counters since the start: %d answers", n)
	}
}

func TestEveryRequestIsAnsweredUnansweredOrInFlight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b book
		var open []*entry
		var total, responses, unanswered uint64
		steps := rapid.SliceOfN(rapid.IntRange(0, 3), 0, 60).Draw(t, "steps")
		for _, step := range steps {
			switch {
			case step == 0:
				e := b.received("GET /", []note{{threats, "x"}})
				open = append(open, &e)
				total++
			case len(open) == 0:
			case step == 1:
				e := open[0]
				open = open[1:]
				e.answeredWith(200)
				e.answeredWith(500) // too late to count
				e.unanswered()
				responses++
			case step == 2:
				e := open[0]
				open = open[1:]
				e.unanswered()
				e.answeredWith(200)
				unanswered++
			default:
				open[0].fault("freeze")
			}
			l := b.snapshot()
			if l.Total != total || l.Responses != responses || l.Unanswered != unanswered || l.InFlight != uint64(len(open)) {
				t.Fatalf("ledger %+v; want %d = %d + %d + %d", l, total, responses, unanswered, len(open))
			}
			if l.Requests["GET /"] != total || l.Threats["x"] != total || l.Status["GET /"][200] != responses || l.Status["GET /"][500] != 0 {
				t.Fatalf("rows of %+v do not add up", l)
			}
		}
	})
}

// A watched response calls before anything can reach the client.
type watched struct {
	*httptest.ResponseRecorder
	before func(what string)
}

func (w watched) WriteHeader(status int) { w.before("header"); w.ResponseRecorder.WriteHeader(status) }
func (w watched) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.before("hijack")
	return nil, nil, errors.ErrUnsupported
}

func TestLedgerKnowsTheEndBeforeTheClientCan(t *testing.T) {
	for _, tt := range []struct {
		knobs                 Knobs
		event                 string
		responses, unanswered uint64
	}{
		{Knobs{}, "header", 1, 0},
		{Knobs{Errors: 1}, "header", 1, 0},
		{Knobs{Resets: 1}, "hijack", 0, 1},
	} {
		soc := NewSOC(Options{Knobs: tt.knobs})
		var events []string
		w := watched{httptest.NewRecorder(), func(what string) {
			events = append(events, what)
			if l := soc.Ledger(); l.Responses != tt.responses || l.Unanswered != tt.unanswered {
				t.Errorf("%s under %+v: the ledger is at %+v", what, tt.knobs, l)
			}
		}}
		func() {
			defer func() { _ = recover() }() // a reset without a connection is abandoned
			soc.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		}()
		if !slices.Equal(events, []string{tt.event}) {
			t.Errorf("under %+v: %v", tt.knobs, events)
		}
	}
}

func TestRowsThatClientsNameAreBoundedAndAddUp(t *testing.T) {
	soc, _, c := serve(t, Options{})
	for i := range maxNotes + 20 {
		if _, _, err := c.trigger(fmt.Sprintf(`{"scenario":"s%d%s"}`, i, strings.Repeat("x", maxNoteLen))); err != nil {
			t.Fatal(err)
		}
		c.mustDo(t, fmt.Sprintf("VERB%d", i), fmt.Sprintf("/path%d", i), "", "")
	}
	l := soc.Ledger()
	var sum uint64
	for name, n := range l.Scenarios {
		sum += n
		if len(name) > maxNoteLen {
			t.Errorf("a name of %d bytes", len(name))
		}
	}
	if len(l.Scenarios) != maxNotes+1 || l.Scenarios[otherNotes] != 20 || sum != maxNotes+20 {
		t.Errorf("%d rows, %d under %q, sum %d", len(l.Scenarios), l.Scenarios[otherNotes], otherNotes, sum)
	}
	if len(l.Requests) != 2 || l.Requests["(other) (unknown)"] != maxNotes+20 {
		t.Errorf("requests: %v", l.Requests)
	}
}

func TestConnectionsOpenedAreConnectionsClosedInTheEnd(t *testing.T) {
	soc := NewSOC(Options{Knobs: Knobs{Resets: 0.5}})
	server, err := Start("127.0.0.1:0", soc)
	if err != nil {
		t.Fatal(err)
	}
	opened := uint64(0)
	for range 5 {
		c := &client{addr: server.Addr}
		for range 6 {
			if c.conn == nil {
				opened++
			}
			c.do("GET", "/", "", "")
		}
		c.close()
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if l := soc.Ledger(); l.ConnectionsOpened != opened || l.ConnectionsClosed != opened || l.Faults["reset"] == 0 {
		t.Errorf("opened %d, closed %d, want %d; faults %v", l.ConnectionsOpened, l.ConnectionsClosed, opened, l.Faults)
	}
}

func TestRequestThatNeverCameToItsEndIsNotCounted(t *testing.T) {
	soc := NewSOC(Options{})
	server, err := Start("127.0.0.1:0", soc)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{addr: server.Addr}
	c.mustDo(t, "GET", "/", "", "")
	fmt.Fprintf(c.conn, "POST /api/threats/trigger HTTP/1.1\r\nHost: soc\r\nContent-Length: 100\r\n\r\n{\"threat_type\":")
	c.close()
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if l := soc.Ledger(); l.Total != 1 || l.Requests["POST /api/threats/trigger"] != 0 {
		t.Errorf("ledger: %+v", l)
	}
}

func TestLongBodyIsReadToItsEndAndCounted(t *testing.T) {
	soc, _, c := serve(t, Options{})
	resp, _, err := c.trigger(strings.Repeat(" ", maxBody+5) + "{}")
	if err != nil || resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Fatalf("%v, %v", resp, err)
	}
	c.get(t, "/") // over the same connection: nothing of the body was left in it
	if l := soc.Ledger(); l.Status[routeTrigger][413] != 1 || l.ConnectionsOpened != 1 {
		t.Errorf("ledger: %+v", l)
	}
}
