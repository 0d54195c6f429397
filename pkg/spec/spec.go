// Package spec owns the file format: its keys, defaults, positions and faults.
// Parse is the only door: an invalid Spec cannot be obtained, and after Parse
// no string is left to interpret. It is the only importer of YAML and of the
// JSON Schema library. It reads no file, no environment and no clock: the
// caller brings the bytes and the look-ups.
package spec

import (
	"regexp"
	"time"

	"tollgate/internal/expr"
	"tollgate/pkg/slo"
)

// Pos is a place in a spec file. Line and Col are 1-based; Col counts bytes.
type Pos struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Col  int    `json:"col"`
}

// Spec is one valid load test.
type Spec struct {
	File    string
	Digest  string // "sha256:" and the hex digest of the file's bytes
	Traffic string // digest of what decides which requests there are and who sends them, without stages and SLOs
	Version int
	Name    string
	About   string
	Profile string // the profile that was applied, "" for none
	// Profiles lists the names of the file's profiles in file order.
	Profiles []string

	// Target is where requests go whose endpoint does not say `on`, and what
	// all targets share. With `targets` alone it is the first of them.
	Target Target
	// Others are the further targets, in file order.
	Others    []*Target
	Feeders   []*Feeder
	Endpoints []*Endpoint
	Personas  []*Persona
	// Before and After are requests made once per run, before the first user
	// comes and after the last has left; what Before saves every user sees.
	Before, After []*Step
	Stages        []*Stage
	SLOs          []SLO
	Probes        []*Probe // in file order
	Seed          *Seed    // nil: the test prepares no database
	Confidence    Confidence
	// ErrorGuard is the ratio of the implicit error guard, 0.01 unless set.
	ErrorGuard float64

	// Slots are the names of per-user values; expressions refer to them by
	// index, and every user owns one Value for each.
	Slots []string
	// Dropped says what an override (see With) took out of the test, for the report.
	Dropped []string
	// Secrets are the resolved secret values, for masking output. Never printed.
	Secrets []string
}

// Target is a system under test.
type Target struct {
	Name     string // under `targets`; "" for the one under `target`
	Scheme   string // "http" or "https"
	Host     string // host as in the URL, without port
	Port     int
	BasePath string // path prefix of the URL without a trailing slash, "" for none
	URL      string // as resolved, for reports, without credentials
	Ready    *Ready
	Headers  []Header // for every request to it
	HTTP     HTTPVersion
	TLS      TLS

	// What follows is set under `target`, and the same for all.

	Timeout    time.Duration // whole request, connection included
	Refresh    time.Duration // how often the host's addresses are looked up again; 0: never
	Connection Connection
	NoCookies  bool  // cookies are neither kept nor sent
	MaxBody    int64 // bytes of a body that is read, after inflating
}

// HTTPVersion is which protocol a target is spoken to in.
type HTTPVersion uint8

// The versions. HTTP2 without TLS is h2c with prior knowledge; HTTPAuto lets
// the TLS handshake choose, and is HTTP/1.1 in clear text.
const (
	HTTP1 HTTPVersion = iota
	HTTP2
	HTTPAuto
)

// TLS says whom to trust and who we are; the zero value trusts what the
// platform trusts. The fields hold PEM blocks, not file names.
type TLS struct {
	CA         []byte // trusted instead of the platform's authorities
	Cert, Key  []byte // the client's certificate
	ServerName string // asked for and verified instead of the host
	Insecure   bool   // the certificate is not verified
}

// Connection is how users share connections.
type Connection struct {
	Per  Per
	Size int // Pool: connections to each target
}

// Per is what a connection belongs to.
type Per uint8

// The policies of connections.
const (
	PerUser    Per = iota // one keep-alive connection per user and target
	PerRequest            // a new one for each request
	Pool                  // a number of keep-alive connections that all users share
)

// Feeder is a set of rows from a file.
type Feeder struct {
	Name    string
	Pos     Pos
	Order   FeedOrder
	Columns []FeedColumn   // those that the spec refers to
	Rows    [][]expr.Value // of these columns
}

// FeedColumn is a column of a feeder and the slot that a drawn row fills.
type FeedColumn struct {
	Name string
	Slot int
}

// FeedOrder is in which order the rows of a feeder are drawn.
type FeedOrder uint8

// The orders. All give every row its turn before one comes again.
const (
	FeedShuffle  FeedOrder = iota // in an order of chance, a new one each time round
	FeedSequence                  // as in the file, from the top again after the last
	FeedOnce                      // as in the file, each row once: what comes later finds none
)

// TargetOf returns the target that an endpoint's On names.
func (s *Spec) TargetOf(on int) *Target {
	if on == 0 {
		return &s.Target
	}
	return s.Others[on-1]
}

// Ready is the preflight request.
type Ready struct {
	Method string
	Path   string // origin-form, base path included

	path string // as written
}

// Header is one request header; a header whose value is unset is left out.
type Header struct {
	Name  string
	Value *expr.Text
	Pos   Pos // zero for the credentials of the target's URL

	fromURL bool
}

// Endpoint is one entry of the catalogue of requests.
type Endpoint struct {
	Key     string // as written under endpoints
	Name    string // row name in reports; the key unless `name` is given
	Pos     Pos
	On      int // target: 0 is Spec.Target, n is Spec.Others[n-1]
	Method  string
	Path    *expr.Text // origin-form, base path included
	Headers []Header   // of the endpoint alone
	Body    *expr.Text // nil for none
	Type    string     // Content-Type of Body, "" for none
	Values  []Draw
	Save    []Save
	Expect  Expect
	// Redirects is how many in a row are followed; 0: a redirect is an answer
	// like any other.
	Redirects int

	path *expr.Text // as written, without the base path
}

// Draw fills a slot when its scope begins: a persona's once per user, an
// endpoint's or step's once per call.
type Draw struct {
	Slot  int
	Name  string
	Value *expr.Text
}

// SaveFrom says which part of a response a Save reads.
type SaveFrom uint8

// The sources of a Save.
const (
	FromJSON   SaveFrom = iota // gjson path into the body
	FromHeader                 // response header
	FromBody                   // first group of a regular expression
)

// Save copies a part of a response into a slot.
type Save struct {
	Slot int
	Name string
	From SaveFrom
	Path string // gjson path or header name
	Expr *regexp.Regexp
	// Required: a response without the value fails the request (class check).
	// False when every later use is guarded by `when`.
	Required bool
}

// Expect is what a response must satisfy beyond its status.
type Expect struct {
	Status []StatusRange // empty: below 400
	JSON   []JSONCheck
	Header []HeaderCheck
	Body   []BodyCheck
	Within time.Duration // 0: no limit; else a slower answer fails (class check)
}

// StatusRange is an inclusive range of status codes: 201 is {201, 201}, 2xx is {200, 299}.
type StatusRange struct{ Min, Max int }

// JSONCheck compares the value at a gjson path.
type JSONCheck struct {
	Path   string
	Exists bool       // only presence (not null) is asked
	Want   *expr.Text // typed value to equal, unless Exists
}

// HeaderCheck compares a response header.
type HeaderCheck struct {
	Name   string
	Exists bool
	Want   *expr.Text
}

// BodyCheck looks into the body; exactly one field is set.
type BodyCheck struct {
	Contains *expr.Text
	Matches  *regexp.Regexp
}

// Persona is one kind of user.
type Persona struct {
	Name   string
	Pos    Pos
	Weight int // 0: only by name in a stage
	Think  Think
	// Pace is the least time from the start of a task to the start of the
	// next; 0: none. Its user does not think.
	Pace    time.Duration
	Feeds   []*Feeder // a row of each is drawn once per user, before Values
	Values  []Draw
	Headers []Header
	OnStart []*Step
	OnStop  []*Step
	Refresh Refresh
	Tasks   []*Task
}

// Think is the pause after every task: uniform between Min and Max, or
// exponential with Mean if that is not 0.
type Think struct{ Min, Max, Mean time.Duration }

// Refresh is set-up that a user does again before a task, when it was last
// done (or its on_start was) Every ago or longer. Zero: never.
type Refresh struct {
	Every time.Duration
	Do    []*Step
}

// Task is one unit of work, drawn by weight.
type Task struct {
	Name   string
	Pos    Pos
	Weight int
	Feeds  []*Feeder // a row of each is drawn once per task, before its first step
	Steps  []*Step
}

// Step is one call inside a task.
type Step struct {
	Endpoint *Endpoint
	Name     string // row name in reports
	Pos      Pos
	When     *expr.Cond // nil: always
	Values   []Draw     // endpoint's, then the step's own
	Save     []Save     // endpoint's, then the step's own
	Expect   Expect     // the endpoint's unless the step has its own
}

// Shape is the form of a stage's level over time.
type Shape string

// The shapes.
const (
	Warmup Shape = "warmup"
	Steady Shape = "steady"
	Spike  Shape = "spike"
	Steps  Shape = "steps"
	Pause  Shape = "pause"
)

// Stage is one part of the load over time.
type Stage struct {
	Name  string
	Shape Shape
	Pos   Pos

	Level Level
	Ramp  Ramp          // way to the level; zero: at once
	For   time.Duration // the hold, without ramps
	// ForMax is the longest hold of `for: 1m..5m`, which ends as soon as every
	// objective on the stage is decided; 0 for a fixed hold.
	ForMax   time.Duration
	Back     time.Duration // spike: way back to the level before
	Personas []string      // empty: all

	// Steps only: levels From, From+By, … To, each held for Every.
	From, To, By float64
	Every        time.Duration
	Until        *slo.Objective // ends the stage when it becomes true
}

// Level is how much load a stage holds: users (closed model) or arrivals (open model).
type Level struct {
	Open      bool
	Users     int            // closed: total, dealt by weight
	ByPersona map[string]int // closed: by name instead of Users
	Rate      float64        // open: arrivals per second
	Uniform   bool           // open: evenly spaced instead of Poisson
	MaxUsers  int            // open: cap of the pool; 0: rate x timeout
}

// Ramp is a duration, or a speed in users (or arrivals per second) per second; at most one is set.
type Ramp struct {
	Over time.Duration
	Rate float64
}

// SLO is one promise of the file.
type SLO struct {
	Objective slo.Objective
	Advisory  bool
	// Abort ends the run early when the objective is certain to be broken.
	Abort bool
	Pos   Pos
}

// Confidence is the confidence of each claim by itself; Off compares point estimates.
type Confidence struct {
	Level float64 // 0.95 unless set
	Off   bool
}
