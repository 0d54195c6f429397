package demo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// A system is what a demo system has of its own; the front in front of it is
// what they share.
type system interface {
	// understand names a request that has been read to its end and prepares
	// its answer. It takes no time worth mentioning and changes nothing: the
	// knobs may yet decide that the request is never answered.
	understand(r *http.Request, body []byte) call
}

// A call is a request as its system understands it.
type call struct {
	route string // the ledger's row
	probe bool   // health, readiness or metrics: spared by most faults
	notes []note // what else the ledger counts it under
	// falsifiable: a good answer is to come, which WrongBodies may falsify.
	falsifiable bool
	// answer does the work and writes the answer, or calls abandon.
	answer func(w http.ResponseWriter, r *http.Request, x fate)
}

// A front takes every request in the same order: read to the end, enter in
// the ledger, suffer the faults, be answered. It also serves the ledger at
// /_ledger and the knobs at /_knobs.
type front struct {
	book   book
	faults faults
	system system
	most   int64 // how much of a body the system gets to see; 0: maxBody
}

// maxBody is how much of a request's body a system gets to see; what is longer
// is read and counted like any other, and answered with 413.
const maxBody = 1 << 20

func (f *front) maxBody() int64 {
	if f.most > 0 {
		return f.most
	}
	return maxBody
}

// ServeHTTP implements [http.Handler].
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/_ledger":
		f.serveLedger(w, r)
		return
	case "/_knobs":
		f.serveKnobs(w, r)
		return
	}
	body, rest, err := readBody(r.Body, f.maxBody())
	if err != nil {
		abandon()
	}
	c := f.system.understand(r, body)
	if rest > 0 {
		c.answer = func(w http.ResponseWriter, _ *http.Request, _ fate) {
			writeDetail(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("Request body over %d MiB", f.maxBody()>>20))
		}
	}
	if on := connOf(r.Context()); on != nil {
		f.book.handshake(on.Conn)
	}
	e := f.book.received(c.route, append(c.notes, note{protocols, r.Proto}))
	defer e.unanswered()

	x := f.faults.meet(&c)
	if x.freeze > 0 {
		e.fault("freeze")
		if !pause(r.Context(), x.freeze) {
			abandon()
		}
	}
	if x.noKeepAlive {
		w.Header().Set("Connection", "close")
	}
	out := &reply{ResponseWriter: w, to: r, entry: &e, pace: x.slowBody, wrong: x.wrongBody}
	if x.ending != noEnding {
		e.fault(string(x.ending))
		finish(x.ending, out, r)
		return
	}
	if x.latency > 0 && !pause(r.Context(), x.latency) {
		abandon()
	}
	c.answer(out, r, x)
}

// finish gives a request its untimely end. The ledger learns of it first, so
// that a client that has noticed finds it there.
func finish(how ending, w *reply, r *http.Request) {
	switch how {
	case errorEnding:
		w.pace = 0
		writeDetail(w, http.StatusServiceUnavailable, "Service Unavailable")
	case resetEnding:
		w.entry.unanswered()
		resetConnection(w)
	case closeEnding:
		w.entry.unanswered()
		abandon()
	case dropEnding:
		select {
		case <-r.Context().Done():
		case <-closing(r.Context()):
		}
		w.entry.unanswered()
		abandon()
	}
}

// readBody reads a body to its end: up to most bytes of it, and how many there
// were beyond.
func readBody(r io.Reader, most int64) (body []byte, rest int64, err error) {
	if r == nil || r == http.NoBody {
		return nil, 0, nil
	}
	body, err = io.ReadAll(io.LimitReader(r, most))
	if err != nil {
		return nil, 0, err
	}
	rest, err = io.Copy(io.Discard, r)
	return body, rest, err
}

// Ledger returns what was received and answered so far.
func (f *front) Ledger() Ledger { return f.book.snapshot() }

// ResetLedger begins a new ledger and returns the one that ended. Requests
// then in flight belong to the old one: they will not show up in the new.
func (f *front) ResetLedger() Ledger { return f.book.reset() }

// Knobs returns the knobs as they are set.
func (f *front) Knobs() Knobs { return f.faults.regime.Load().knobs }

// SetKnobs turns the knobs, for requests that arrive from now on. It begins
// the schedule of freezes and the draws anew. Knobs that do not pass
// [Knobs.Validate] are refused and nothing changes.
func (f *front) SetKnobs(k Knobs) error { return f.faults.set(k) }

// ConnState counts connections for the ledger; it is for the field of that
// name in [http.Server]. [Start] sets it by itself.
func (f *front) ConnState(c net.Conn, state http.ConnState) { f.book.connection(c, state) }

func (f *front) serveLedger(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet:
		writeValue(w, http.StatusOK, f.Ledger())
	case http.MethodDelete:
		writeValue(w, http.StatusOK, f.ResetLedger())
	default:
		writeNotAllowed(w, "GET, DELETE")
	}
}

func (f *front) serveKnobs(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet:
		writeValue(w, http.StatusOK, f.Knobs())
	case http.MethodPost:
		body, rest, err := readBody(r.Body, maxBody)
		if err != nil {
			abandon()
		}
		k := f.Knobs()
		if rest > 0 {
			err = errors.New("knobs: the body is over 1 MiB")
		} else if err = k.UnmarshalJSON(body); err == nil {
			err = f.SetKnobs(k)
		}
		if err != nil {
			writeDetail(w, http.StatusBadRequest, strings.ReplaceAll(err.Error(), "\n", "; "))
			return
		}
		writeValue(w, http.StatusOK, k)
	default:
		writeNotAllowed(w, "GET, POST")
	}
}

var jsonType = []string{"application/json"}

// writeJSON answers with a body of known length in one write.
func writeJSON(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h["Content-Type"] = jsonType
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	w.Write(body)
}

func writeValue(w http.ResponseWriter, status int, v any) {
	writeJSON(w, status, jsonText(v))
}

// writeDetail answers in the form both real systems give their errors.
func writeDetail(w http.ResponseWriter, status int, detail any) {
	writeValue(w, status, struct {
		Detail any `json:"detail"`
	}{detail})
}

func writeNotAllowed(w http.ResponseWriter, allowed string) {
	w.Header().Set("Allow", allowed)
	writeDetail(w, http.StatusMethodNotAllowed, "Method Not Allowed")
}

// jsonText renders v compactly and, as the real systems do, with <, > and &
// as they are. It panics on values that JSON cannot carry, which are ours.
func jsonText(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
