// Package slo is the language of promises and their judgement: it parses
// objectives such as `p95{endpoint=login} < 200ms during steady`, and decides
// them from counted evidence. It is pure: it reads no clock, no file and no
// socket, and imports nothing else of this module, so another program can use
// it to judge its own numbers.
package slo

import "time"

// Clock says which interval of a request a latency metric measures.
type Clock uint8

// The clocks. Response time, the default, is what a punctual user waits.
const (
	Response Clock = iota // done - due
	Service               // done - sent
	TTFB                  // first - sent
	Connect               // connection set-up, only requests that needed one
)

// MetricKind is the family of a metric.
type MetricKind uint8

// The metric families.
const (
	Quantile   MetricKind = iota + 1 // p95, p99.9, ok.p95, service.p95
	Max                              // max
	Mean                             // mean
	Errors                           // errors, errors.check: ratio of issued
	Within                           // within(200ms): ratio of all requests that succeeded in time
	Throughput                       // successes per second over the scope
	Successes                        // count
	Requests                         // count
	Users                            // active users, must hold in every second
	Dropped                          // arrivals not issued: count, or ratio with a % limit
	BytesIn                          // bytes
	BytesOut                         // bytes
)

// Metric names what an objective measures.
type Metric struct {
	Kind   MetricKind
	Clock  Clock         // for Quantile, Max, Mean and Within
	OnlyOK bool          // prefix ok.: successes alone
	Q      float64       // for Quantile: 0.95 for p95
	Within time.Duration // for Within
	Class  string        // for Errors: one failure class, "" for all
}

// Op is a comparison.
type Op uint8

// The comparisons.
const (
	LT Op = iota + 1
	LE
	GT
	GE
	EQ
	NE
)

// Unit is the unit of a limit and of an observed value.
type Unit uint8

// The units. Values are always kept in the base unit: seconds, a ratio
// (1 % is 0.01), per second, a count, bytes.
const (
	Seconds Unit = iota + 1
	Ratio
	PerSecond
	Count
	Bytes
)

// Selector narrows an objective to some series; an empty field means all.
type Selector struct {
	Endpoint string // an endpoint's key or a row's name
	Persona  string
	Task     string
	Stage    string
}

// Objective is one promise, parsed. It is comparable.
type Objective struct {
	Text     string // as written, white space folded
	Metric   Metric
	Selector Selector
	Op       Op
	Limit    float64 // in the base unit of Unit
	Unit     Unit
	// During is a stage's name, or "" for every steady and spike hold. Parse
	// sets it for a label stage=NAME too, so that it alone chooses the scope.
	During string
	// IncludingRamps widens the scope from the hold to the whole stage.
	IncludingRamps bool
	// At says where the names stand in the source, so that a caller who knows
	// the legal names can point at a wrong one.
	At Offsets
}

// Offsets are 0-based byte offsets of an objective's names in the source it
// was parsed from (quote included, for a quoted name). A name that is not
// there has offset 0, which no name can have.
type Offsets struct {
	Endpoint, Persona, Task, Stage, During int
}

// Claim is one objective on one scope: the thing that is judged.
type Claim struct {
	Objective Objective
	Stage     string // the stage it is judged on
	// Guard marks an implicit claim that the runner adds by itself.
	Guard bool
	// GuardOf says what a guard protects: an endpoint's row name, or "" .
	GuardOf string
	// Setup claims are about set-up traffic (on_start, on_stop) and nothing else.
	Setup bool
	// Advisory claims are shown and never decide.
	Advisory bool
}

// Slot is what one second of a claim's scope counted. Slots of shards and of
// machines merge by addition (Max by maximum).
//
// What N and Bad count follows the metric: for Quantile and Within, requests
// and those slow or failed (with ok., successes and those slow); for Errors,
// requests and those that failed, by the class if one is named; for
// Throughput, Successes and Requests, requests and those that failed; for
// Dropped, arrivals planned and those not issued.
type Slot struct {
	N   uint64  // samples in scope
	Bad uint64  // samples on the wrong side of the limit, by exact comparison; failures are always bad
	Sum float64 // of the metric's value, in the base unit, for Mean and byte counts
	Max float64 // in the base unit, for Max; +Inf for a failure
}

// Add merges two slots of the same second.
func (s Slot) Add(t Slot) Slot {
	return Slot{N: s.N + t.N, Bad: s.Bad + t.Bad, Sum: s.Sum + t.Sum, Max: max(s.Max, t.Max)}
}

// Evidence is all that is known about one claim.
type Evidence struct {
	Slots    []Slot  // one per second from the start of the scope; the last may be partial
	Seconds  float64 // length of the scope, in seconds
	Lost     uint64  // samples known to be lost: they may be good or bad
	Observed float64 // the metric's value for display, in the base unit; +Inf: no finite value; NaN: no data
	// Gauge is the metric sampled each second (Users); it is judged instead of Slots.
	Gauge []float64
}
