package demo

import (
	"crypto/tls"
	"maps"
	"net"
	"net/http"
	"sync"
)

// Ledger is what a demo system says it received and answered since it started
// or was last reset: the other side's books, against which a load generator's
// own counts must agree exactly.
//
// A request is in the ledger once its last byte has been read, and its answer
// once its status is decided, which is before the first byte of the answer
// leaves: whoever has seen an answer finds it here. So at every moment
//
//	Total = Responses + Unanswered + InFlight
//
// Not in the ledger: requests to /_ledger and /_knobs, requests whose body
// never came to its end, and bytes that are not HTTP (net/http answers those
// by itself with a 400).
type Ledger struct {
	// Total is the number of requests read to their end.
	Total uint64 `json:"total"`
	// Responses is the number of answers begun.
	Responses uint64 `json:"responses"`
	// Unanswered is the number of requests that ended without a status: reset,
	// closed, dropped, or given up by the client before an answer began.
	Unanswered uint64 `json:"unanswered"`
	// InFlight is the number of requests read and neither answered nor ended.
	InFlight uint64 `json:"in_flight"`

	// Requests counts requests by method and path template, such as
	// "POST /api/threats/trigger" or "GET /api/threats/{id}". Paths the system
	// does not have are one row per method, "GET (unknown)".
	Requests map[string]uint64 `json:"requests"`
	// Status counts answers by the same rows and then by status code.
	Status map[string]map[int]uint64 `json:"status"`

	// Kinds counts trigger requests by the field that decided them:
	// "threat_type", "scenario", "adversarial", "random", or "invalid" for a
	// body that could not be understood.
	Kinds map[string]uint64 `json:"kinds"`
	// Threats and Scenarios count the trigger requests that a threat_type or a
	// scenario decided, by the value asked for, known or not.
	Threats   map[string]uint64 `json:"threats"`
	Scenarios map[string]uint64 `json:"scenarios"`

	// Faults counts what the knobs did to requests: "error", "reset", "close",
	// "drop", "freeze", "wrong_body". A frozen request may be counted under a
	// second name as well.
	Faults map[string]uint64 `json:"faults"`

	// Protocols counts requests by "HTTP/1.1", "HTTP/2.0" and the like.
	Protocols map[string]uint64 `json:"protocols"`
	// Rows counts the values posted to /rows of a [Web], each by its text, and
	// RowOrder lists them in the order in which they came.
	Rows     map[string]uint64 `json:"rows"`
	RowOrder []string          `json:"row_order"`

	// TLSHandshakes counts those that came to their end, TLSResumed those of
	// them that went on with an earlier session, and TLSFailed connections that
	// ended without. A handshake is known by the first request, or else when its
	// connection ends.
	TLSHandshakes uint64 `json:"tls_handshakes"`
	TLSResumed    uint64 `json:"tls_resumed"`
	TLSFailed     uint64 `json:"tls_failed"`

	// ConnectionsOpened and ConnectionsClosed count TCP connections, those that
	// only asked for the ledger included. A reset of the ledger restarts
	// ConnectionsOpened at the number open at that moment.
	ConnectionsOpened uint64 `json:"connections_opened"`
	ConnectionsClosed uint64 `json:"connections_closed"`
}

// The tables beside requests and status that a request can be noted in.
type table int

const (
	kinds table = iota
	threats
	scenarios
	faultsDone
	protocols
	rows
	tables // how many there are
)

const (
	// maxNotes bounds the rows of a table whose keys clients choose; what comes
	// later is counted under otherNotes, so the sums stay exact.
	maxNotes   = 200
	maxNoteLen = 64
	// The same for rows, which a test wants to see every one of.
	maxRows    = 100_000
	maxRowLen  = 256
	otherNotes = "(other)"
)

// A note says under which value of a table a request is counted.
type note struct {
	table table
	value string
}

// A book keeps the pages of a Ledger. Its zero value is ready.
//
// One lock guards everything, so that a snapshot is the truth of one moment;
// it is held for a few map operations, some hundred nanoseconds a request.
type book struct {
	mu             sync.Mutex
	page           *page
	answered       map[string]map[int]uint64 // never reset: counters for /metrics
	opened, closed uint64
	shaken         map[net.Conn]bool // open connections whose handshake is counted
}

// A page is what was counted between two resets. Entries hold on to the page
// they were made in: an answer to a request from before a reset must not turn
// up as an answer without a request after it.
type page struct {
	total, responses, unanswered uint64
	requests                     map[string]uint64
	status                       map[string]map[int]uint64
	notes                        [tables]map[string]uint64
	order                        []string // of rows
	shaken, resumed, unshaken    uint64
}

func newPage() *page {
	p := &page{requests: map[string]uint64{}, status: map[string]map[int]uint64{}}
	for t := range p.notes {
		p.notes[t] = map[string]uint64{}
	}
	return p
}

// An entry is one received request in the book, to be told its end: exactly
// one of answered or unanswered, the first call wins.
type entry struct {
	book  *book
	page  *page
	route string
	ended bool // owned by the goroutine that serves the request
}

// received enters a request that was read to its end.
func (b *book) received(route string, notes []note) entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.current()
	p.total++
	p.requests[route]++
	for _, n := range notes {
		p.note(n)
	}
	return entry{book: b, page: p, route: route}
}

// answeredWith records the status of the answer that is about to begin.
func (e *entry) answeredWith(status int) {
	if e.ended {
		return
	}
	e.ended = true
	e.book.mu.Lock()
	defer e.book.mu.Unlock()
	e.page.responses++
	add(e.page.status, e.route, status)
	if e.book.answered == nil {
		e.book.answered = map[string]map[int]uint64{}
	}
	add(e.book.answered, e.route, status)
}

// unanswered records that the request ended without an answer, if it did.
func (e *entry) unanswered() {
	if e.ended {
		return
	}
	e.ended = true
	e.book.mu.Lock()
	defer e.book.mu.Unlock()
	e.page.unanswered++
}

// fault records what a knob did to the request.
func (e *entry) fault(name string) {
	e.book.mu.Lock()
	defer e.book.mu.Unlock()
	e.page.note(note{faultsDone, name})
}

func (p *page) note(n note) {
	most, longest := maxNotes, maxNoteLen
	if n.table == rows {
		most, longest = maxRows, maxRowLen
	}
	if len(n.value) > longest {
		n.value = n.value[:longest]
	}
	values := p.notes[n.table]
	if _, known := values[n.value]; !known && len(values) >= most {
		n.value = otherNotes
	}
	values[n.value]++
	if n.table == rows && len(p.order) < maxRows {
		p.order = append(p.order, n.value)
	}
}

func add(rows map[string]map[int]uint64, route string, status int) {
	codes := rows[route]
	if codes == nil {
		codes = map[int]uint64{}
		rows[route] = codes
	}
	codes[status]++
}

func (b *book) current() *page {
	if b.page == nil {
		b.page = newPage()
	}
	return b.page
}

// snapshot copies the page being written.
func (b *book) snapshot() Ledger {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ledger()
}

// reset returns the page being written and begins a new one, in one step.
func (b *book) reset() Ledger {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := b.ledger()
	b.page = newPage()
	b.opened, b.closed = b.opened-b.closed, 0
	return last
}

func (b *book) ledger() Ledger {
	p := b.current()
	return Ledger{
		Total:             p.total,
		Responses:         p.responses,
		Unanswered:        p.unanswered,
		InFlight:          p.total - p.responses - p.unanswered,
		Requests:          maps.Clone(p.requests),
		Status:            cloneStatus(p.status),
		Kinds:             maps.Clone(p.notes[kinds]),
		Threats:           maps.Clone(p.notes[threats]),
		Scenarios:         maps.Clone(p.notes[scenarios]),
		Faults:            maps.Clone(p.notes[faultsDone]),
		Protocols:         maps.Clone(p.notes[protocols]),
		Rows:              maps.Clone(p.notes[rows]),
		RowOrder:          append([]string{}, p.order...),
		TLSHandshakes:     p.shaken,
		TLSResumed:        p.resumed,
		TLSFailed:         p.unshaken,
		ConnectionsOpened: b.opened,
		ConnectionsClosed: b.closed,
	}
}

// answers copies the answers by route and status since the start.
func (b *book) answers() map[string]map[int]uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return cloneStatus(b.answered)
}

func cloneStatus(rows map[string]map[int]uint64) map[string]map[int]uint64 {
	c := make(map[string]map[int]uint64, len(rows))
	for route, codes := range rows {
		c[route] = maps.Clone(codes)
	}
	return c
}

// connection has the signature of [http.Server.ConnState].
func (b *book) connection(c net.Conn, state http.ConnState) {
	over := state == http.StateHijacked || state == http.StateClosed
	if over {
		b.handshake(c)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case state == http.StateNew:
		b.opened++
	case over:
		b.closed++
		delete(b.shaken, c)
	}
}

// handshake counts the TLS handshake of a connection, if it is one of TLS: when
// the first request has come over it, or when it is over.
func (b *book) handshake(c net.Conn) {
	t, ok := c.(*tls.Conn)
	if !ok {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shaken[c] {
		return
	}
	if b.shaken == nil {
		b.shaken = map[net.Conn]bool{}
	}
	b.shaken[c] = true
	// It waits for a handshake under way, and there is none any more.
	state, p := t.ConnectionState(), b.current()
	switch {
	case !state.HandshakeComplete:
		p.unshaken++
	case state.DidResume:
		p.resumed++
		fallthrough
	default:
		p.shaken++
	}
}
