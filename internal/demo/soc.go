// Package demo has stand-ins for the systems that Tollgate's specs are written
// for: small servers that answer the same requests with the same codes and
// sizes, so that a spec runs anywhere, and that keep exact books of what they
// received, so that a load generator's counts can be checked from the other
// side. Their knobs make them slow, failing or hostile on purpose.
//
// [SOC] imitates one system, [Web] answers with all that HTTP has, [Raw] breaks
// its rules. [Start] serves them in clear or over TLS, as HTTP/1.1 or HTTP/2.
//
// They measure nothing, protect nothing and imitate only what the load tests
// touch: never put one where the real system is meant.
package demo

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options are what a demo system starts with.
type Options struct {
	// Work is the time a trigger takes, the same as Knobs.Work, which it
	// replaces when it is not 0. See [DefaultWork] and [DefaultKnobs].
	Work time.Duration
	// Seed decides all that is random: ids, random threats, jitter, faults.
	Seed uint64
	// Knobs must be valid: ask [Knobs.Validate] about a user's.
	Knobs Knobs
}

// SOC stands in for the SOC Agent System in its mock mode. It keeps the last
// 1000 analyses in memory and serves
//
//	GET  /                        198 bytes about the service
//	POST /api/threats/trigger     waits for the work, answers an analysis of 10 to 11.5 kB
//	GET  /api/threats             the newest analyses, limit 1..100 (20), offset from 0
//	GET  /api/threats/{id}        one analysis, or 404
//	POST /api/demo/reset          forgets all analyses
//	GET  /health, /ready          200, or 503 by the knob NotReady
//	GET  /metrics                 counters in Prometheus' text format
//	GET, DELETE /_ledger          the [Ledger]; DELETE also begins a new one
//	GET, POST /_knobs             the [Knobs]; POST sets those in its JSON object
//
// It is an [http.Handler] to be served by [Start] or any HTTP/1.1 server.
type SOC struct {
	front
	seed      uint64
	triggered atomic.Uint64
	store     analysisStore
	processed [len(threatTypes)]atomic.Uint64
}

// NewSOC makes a SOC system. It panics if opts.Knobs are not valid.
func NewSOC(opts Options) *SOC {
	s := &SOC{seed: opts.Seed}
	s.front.system = s
	s.faults.seed = opts.Seed
	if opts.Work != 0 {
		opts.Knobs.Work = opts.Work
	}
	if err := s.faults.set(opts.Knobs); err != nil {
		panic(fmt.Sprintf("demo.NewSOC: %v", err))
	}
	return s
}

const (
	routeRoot    = "GET /"
	routeHealth  = "GET /health"
	routeReady   = "GET /ready"
	routeMetrics = "GET /metrics"
	routeList    = "GET /api/threats"
	routeOne     = "GET /api/threats/{id}"
	routeTrigger = "POST /api/threats/trigger"
	routeReset   = "POST /api/demo/reset"
)

// understand implements system.
func (s *SOC) understand(r *http.Request, body []byte) call {
	id, isOne := strings.CutPrefix(r.URL.Path, "/api/threats/")
	isOne = isOne && id != "" && !strings.Contains(id, "/")
	// As in the real router, GET /api/threats/trigger asks for an id "trigger".
	switch route := r.Method + " " + r.URL.Path; {
	case route == routeTrigger:
		return s.understandTrigger(r, body)
	case route == routeList:
		return call{route: routeList, answer: s.list}
	case route == routeRoot:
		return call{route: routeRoot, answer: s.root}
	case route == routeHealth:
		return call{route: routeHealth, probe: true, answer: health}
	case route == routeReady:
		return call{route: routeReady, probe: true, answer: ready}
	case route == routeMetrics:
		return call{route: routeMetrics, probe: true, answer: s.metrics}
	case route == routeReset:
		return call{route: routeReset, answer: s.reset}
	case isOne && r.Method == http.MethodGet:
		return call{route: routeOne, answer: func(w http.ResponseWriter, _ *http.Request, _ fate) { s.one(w, id) }}
	}
	return refused(r, isOne)
}

// refused answers a method that a path does not know with 405, and a path that
// the system does not have with 404. Its rows in the ledger are bounded.
func refused(r *http.Request, isOne bool) call {
	method := knownMethod(r.Method)
	path, allowed := r.URL.Path, ""
	switch path {
	case "/", "/health", "/ready", "/metrics", "/api/threats":
		allowed = http.MethodGet
	case "/api/threats/trigger", "/api/demo/reset":
		allowed = http.MethodPost
	default:
		if !isOne {
			return call{route: method + " (unknown)", answer: func(w http.ResponseWriter, _ *http.Request, _ fate) {
				writeDetail(w, http.StatusNotFound, "Not Found")
			}}
		}
		path, allowed = "/api/threats/{id}", http.MethodGet
	}
	return call{route: method + " " + path, answer: func(w http.ResponseWriter, _ *http.Request, _ fate) {
		writeNotAllowed(w, allowed)
	}}
}

// knownMethod bounds the rows that methods make in the ledger.
func knownMethod(method string) string {
	if !slices.Contains(methods, method) {
		return "(other)"
	}
	return method
}

var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
	http.MethodDelete, http.MethodOptions, http.MethodTrace, http.MethodConnect,
}

func (s *SOC) understandTrigger(r *http.Request, body []byte) call {
	t, refusal := readTrigger(r.Header.Get("Content-Type"), body)
	c := call{route: routeTrigger, notes: t.notes()}
	if refusal != nil {
		c.answer = func(w http.ResponseWriter, _ *http.Request, _ fate) {
			writeDetail(w, refusal.status, refusal.detail)
		}
		return c
	}
	c.falsifiable = true
	c.answer = func(w http.ResponseWriter, r *http.Request, x fate) { s.trigger(w, r, t, x) }
	return c
}

// trigger works, stores the analysis and answers it. When the client leaves
// before the work is done, nothing is stored.
func (s *SOC) trigger(w http.ResponseWriter, r *http.Request, t trigger, x fate) {
	n := s.triggered.Add(1)
	threat := t.threat
	if threat < 0 {
		threat = int(scramble(s.seed, n, forThreat) % uint64(len(threatTypes)))
	}
	p := particulars{
		id:          newUUID(s.seed, n, forAnalysisID),
		signalID:    newUUID(s.seed, n, forSignalID),
		customer:    t.customer,
		dice:        scramble(s.seed, n, forParticulars),
		manipulated: t.manipulated,
		began:       time.Now(),
	}
	if p.customer == "" {
		p.customer = customers[p.dice%uint64(len(customers))]
	}
	if x.work > 0 && !pause(r.Context(), x.work) {
		abandon()
	}
	p.ended = time.Now()

	body := render(threat, &p)
	s.store.add(p.id, body)
	s.processed[threat].Add(1)
	if x.wrongBody {
		body = render((threat+1)%len(threatTypes), &p)
	}
	writeJSON(w, http.StatusOK, body)
}

// list answers the newest analyses as one array. They lie rendered in the
// store, so a list is little more than a copy.
func (s *SOC) list(w http.ResponseWriter, r *http.Request, _ fate) {
	limit, offset, faults := readPage(r.URL.RawQuery)
	if faults != nil {
		writeDetail(w, http.StatusUnprocessableEntity, faults)
		return
	}
	buf := listBuffers.Get().(*[]byte)
	defer listBuffers.Put(buf)
	*buf = s.store.appendList((*buf)[:0], limit, offset)
	writeJSON(w, http.StatusOK, *buf)
}

// listBuffers are free once an answer is written: net/http keeps no bytes.
var listBuffers = sync.Pool{New: func() any { return new([]byte) }}

func (s *SOC) one(w http.ResponseWriter, id string) {
	body, ok := s.store.get(id)
	if !ok {
		writeDetail(w, http.StatusNotFound, "Threat not found")
		return
	}
	writeJSON(w, http.StatusOK, body)
}

func (s *SOC) reset(w http.ResponseWriter, _ *http.Request, _ fate) {
	writeValue(w, http.StatusOK, struct {
		Status  string `json:"status"`
		Cleared int    `json:"cleared"`
	}{"reset", s.store.clear()})
}

func (s *SOC) root(w http.ResponseWriter, _ *http.Request, _ fate) {
	b := make([]byte, 0, 256)
	b = append(b, `{"service":"SOC Agent System","version":"2.0","status":"running","timestamp":"`...)
	b = appendTime(b, time.Now())
	b = append(b, `","endpoints":{"health":"/health","ready":"/ready","metrics":"/metrics","api":"/api/threats"}}`...)
	writeJSON(w, http.StatusOK, b)
}

func health(w http.ResponseWriter, _ *http.Request, x fate) {
	answerProbe(w, x, "alive", "not alive")
}

func ready(w http.ResponseWriter, _ *http.Request, x fate) {
	answerProbe(w, x, "ready", "not ready")
}

func answerProbe(w http.ResponseWriter, x fate, good, bad string) {
	code, status := http.StatusOK, good
	if x.notReady {
		code, status = http.StatusServiceUnavailable, bad
	}
	writeValue(w, code, struct {
		Status    string `json:"status"`
		Timestamp string `json:"timestamp"`
	}{status, string(appendTime(nil, time.Now()))})
}

// metrics answers the two counters that the load tests' probes ask for, named
// and labelled as by the real system: statuses grouped, "none" for a path
// without a template. They count from the start and know no reset.
func (s *SOC) metrics(w http.ResponseWriter, _ *http.Request, _ fate) {
	var b bytes.Buffer
	b.WriteString("# HELP soc_threats_processed_total Total number of threats processed by the SOC system\n" +
		"# TYPE soc_threats_processed_total counter\n")
	for i, name := range threatTypes {
		if n := s.processed[i].Load(); n > 0 {
			fmt.Fprintf(&b, "soc_threats_processed_total{severity=%q,threat_type=%q} %d\n", severity, name, n)
		}
	}
	writeRequestCounters(&b, s.book.answers())
	writeMetrics(w, &b)
}

// writeRequestCounters writes how many requests were answered, in the form of
// the instrument that both real systems use.
func writeRequestCounters(b *bytes.Buffer, answers map[string]map[int]uint64) {
	b.WriteString("# HELP http_requests_total Total number of requests by method, status and handler.\n" +
		"# TYPE http_requests_total counter\n")
	for _, route := range sortedKeys(answers) {
		groups := map[string]uint64{}
		for status, n := range answers[route] {
			groups[strconv.Itoa(status/100)+"xx"] += n
		}
		method, handler, _ := strings.Cut(route, " ")
		if handler == "(unknown)" {
			handler = "none"
		}
		for _, group := range sortedKeys(groups) {
			fmt.Fprintf(b, "http_requests_total{handler=%q,method=%q,status=%q} %d\n", handler, method, group, groups[group])
		}
	}
}

func writeMetrics(w http.ResponseWriter, b *bytes.Buffer) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(http.StatusOK)
	w.Write(b.Bytes())
}

// readPage reads limit and offset; of a parameter given twice the last counts.
func readPage(query string) (limit, offset int, faults []invalid) {
	limit, offset = 20, 0
	if query == "" {
		return limit, offset, nil
	}
	q, _ := url.ParseQuery(query) // what cannot be decoded is as if it were not there
	limit, faults = readInt(q, "limit", limit, 1, 100, faults)
	offset, faults = readInt(q, "offset", offset, 0, 0, faults)
	return limit, offset, faults
}

// readInt reads one parameter from least to most; most 0 is no upper bound.
func readInt(q url.Values, name string, otherwise, least, most int, faults []invalid) (int, []invalid) {
	given, ok := q[name]
	if !ok {
		return otherwise, faults
	}
	text := given[len(given)-1]
	fault := invalid{Loc: []any{"query", name}, Input: text}
	v, err := strconv.Atoi(strings.TrimSpace(text))
	switch {
	case err != nil:
		fault.Type, fault.Msg = "int_parsing", "Input should be a valid integer, unable to parse string as an integer"
	case v < least:
		fault.Type, fault.Msg = "greater_than_equal", fmt.Sprintf("Input should be greater than or equal to %d", least)
		fault.Ctx = map[string]any{"ge": least}
	case most > 0 && v > most:
		fault.Type, fault.Msg = "less_than_equal", fmt.Sprintf("Input should be less than or equal to %d", most)
		fault.Ctx = map[string]any{"le": most}
	default:
		return v, faults
	}
	return otherwise, append(faults, fault)
}

// What the SOC system draws for; the numbers below are the faults'.
const (
	forThreat uint64 = iota + 100
	forAnalysisID
	forSignalID
	forParticulars
)

// uuid is a version 4 UUID in its text form.
type uuid [36]byte

// newUUID draws a UUID: random in form, and the same for the same seed.
func newUUID(seed, n, purpose uint64) uuid {
	var raw [16]byte
	high := scramble(seed, n, purpose)
	binary.BigEndian.PutUint64(raw[:8], high)
	binary.BigEndian.PutUint64(raw[8:], splitmix(high+n))
	raw[6] = raw[6]&0x0f | 0x40
	raw[8] = raw[8]&0x3f | 0x80

	var u uuid
	hex.Encode(u[0:8], raw[0:4])
	hex.Encode(u[9:13], raw[4:6])
	hex.Encode(u[14:18], raw[6:8])
	hex.Encode(u[19:23], raw[8:10])
	hex.Encode(u[24:36], raw[10:16])
	u[8], u[13], u[18], u[23] = '-', '-', '-', '-'
	return u
}

// keptAnalyses bounds the store's memory to about 11 MB.
const keptAnalyses = 1000

// An analysisStore keeps the newest analyses as the JSON they were sent as. A
// body that is in the store is never written to again. Its zero value is ready.
type analysisStore struct {
	mu   sync.RWMutex
	ring [keptAnalyses]struct {
		id   uuid
		body []byte
	}
	added int // since the last clear; the newest is at (added-1) % keptAnalyses
	byID  map[uuid][]byte
}

func (st *analysisStore) add(id uuid, body []byte) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.byID == nil {
		st.byID = make(map[uuid][]byte, keptAnalyses)
	}
	slot := &st.ring[st.added%keptAnalyses]
	if slot.body != nil {
		delete(st.byID, slot.id)
	}
	slot.id, slot.body = id, body
	st.byID[id] = body
	st.added++
}

func (st *analysisStore) get(id string) ([]byte, bool) {
	if len(id) != len(uuid{}) {
		return nil, false
	}
	st.mu.RLock()
	defer st.mu.RUnlock()
	body, ok := st.byID[uuid([]byte(id))]
	return body, ok
}

// appendList appends a JSON array of up to limit analyses, newest first.
func (st *analysisStore) appendList(b []byte, limit, offset int) []byte {
	bodies := make([][]byte, 0, 100)
	st.mu.RLock()
	kept := min(st.added, keptAnalyses)
	for i := offset; i < kept && len(bodies) < limit; i++ {
		bodies = append(bodies, st.ring[(st.added-1-i)%keptAnalyses].body)
	}
	st.mu.RUnlock()

	b = append(b, '[')
	for i, body := range bodies {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, body...)
	}
	return append(b, ']')
}

// clear forgets everything and returns how many analyses that was.
func (st *analysisStore) clear() int {
	st.mu.Lock()
	defer st.mu.Unlock()
	kept := min(st.added, keptAnalyses)
	clear(st.ring[:])
	clear(st.byID)
	st.added = 0
	return kept
}
