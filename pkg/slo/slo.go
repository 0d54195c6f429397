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
	Probe                            // a probe's readings during the scope; each must hold
	Delta                            // delta(NAME): by how much a probe rose over the whole run
)

// Metric names what an objective measures.
type Metric struct {
	Kind   MetricKind
	Clock  Clock         // for Quantile, Max, Mean and Within
	OnlyOK bool          // prefix ok.: successes alone
	Q      float64       // for Quantile: 0.95 for p95
	Within time.Duration // for Within
	Class  string        // for Errors: one failure class, "" for all
	Name   string        // for Probe and Delta: the probe
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

// MetricRef is a metric of some series: the right side of a relation. The zero
// MetricRef is none.
type MetricRef struct {
	Metric   Metric
	Selector Selector
	At       Offsets
}

// Objective is one promise, parsed. It is comparable.
//
// Most compare a metric with a limit over a scope. Four forms differ, each
// judged in its own way and no two at once: windows (Every), recovery (After),
// a share of a baseline (OfBaseline) and a relation (Right).
type Objective struct {
	Text     string // as written, white space folded
	Metric   Metric
	Selector Selector
	Op       Op
	Limit    float64 // in the base unit of Unit; with OfBaseline, the share of the baseline
	Unit     Unit    // of Limit; ValueUnit is that of the observed value
	// Right is the metric that takes the limit's place in a relation. Both
	// sides are totals of the whole run: see OverRun.
	Right MetricRef
	// OfBaseline says that Limit is a share of the value in a stored result.
	OfBaseline bool
	// During is a stage's name, or "" for every steady and spike hold. Parse
	// sets it for a label stage=NAME too, so that it alone chooses the scope.
	During string
	// IncludingRamps widens the scope from the hold to the whole stage.
	IncludingRamps bool
	// Every is the length of the windows in which the promise must hold, in
	// whole seconds; 0 for one judgement over the whole scope. In a recovery it
	// is the length of the windows that it is found with: see Window.
	Every time.Duration
	// InShare is the share of the windows that must hold; 0 for all of them.
	InShare float64
	// Within is the time in which a recovery must be reached, counted from the
	// end of the peak of After.
	Within time.Duration
	// After is the stage whose peak a recovery follows, or "".
	After string
	// At says where the names stand in the source, so that a caller who knows
	// the legal names can point at a wrong one.
	At Offsets
}

// Offsets are 0-based byte offsets of an objective's names in the source it
// was parsed from (quote included, for a quoted name). A name that is not
// there has offset 0, which no name can have.
type Offsets struct {
	Endpoint, Persona, Task, Stage, During, After int
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
	// Abort claims end a run early when they are certain to be broken (see Abort).
	Abort bool
	// Advisory claims are shown and never decide.
	Advisory bool
	// Line and Col are where the objective is written in its spec, from 1; 0 for
	// a guard, and for what stands elsewhere.
	Line, Col int
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

// Evidence is all that is known about one claim. Which of it decides, and where
// it starts, follows the form of the objective:
//
//   - A limit over a scope: Slots from the start of the scope, or Gauge.
//   - Windows (Every): the same, so that the first window begins with the hold,
//     or with IncludingRamps with the stage.
//   - Recovery (After): Slots from the end of the peak, which is the end of the
//     hold of the stage After, through its way back and the whole of the next
//     stage, its ramp included, to that stage's end or to the end of
//     observation. Seconds is the length of all that. Requests are counted by
//     their due time, so those due during the peak are not in it.
//   - Of a baseline (OfBaseline): Slots as over a scope, Baseline, and for a
//     quantile Observed. Nothing is slow while it is counted, for the limit is
//     not known: Bad holds failures.
//   - Totals of the run (OverRun): Left, and Right if the objective has one.
//     They span the whole run, warm-up, ramps and drain included, and a probe
//     is read before the first request and after the drain.
type Evidence struct {
	Slots    []Slot  // one per second from the start of the scope; the last may be partial
	Seconds  float64 // length of the scope, in seconds
	Lost     uint64  // samples known to be lost: they may be good or bad
	Observed float64 // the metric's value for display, in the base unit; +Inf: no finite value; NaN: no data
	// Gauge is the metric sampled each second (Users), or a probe at each of its
	// readings, NaN for one that failed; it is judged instead of Slots.
	Gauge []float64
	// Unread says why the first reading of a probe that failed has no value.
	Unread string
	// Left and Right are the two sides of a relation; a delta() that is compared
	// with a number has the left one alone.
	Left, Right Total
	Baseline    Baseline
	// Quantile returns the value that a share q of the samples in scope do not
	// exceed, in the base unit: +Inf where the rest has failed. It is for
	// display: it translates the interval of a percentile into values. nil
	// where nobody knows.
	Quantile func(q float64) float64 `json:"-"`
	// Confidence is that of a claim on this evidence where the hold was looked
	// at more than once (see Looks); 0 means that of Options.
	Confidence float64
}

// Total is what is known about a metric over the whole run. The zero Total is
// no data.
type Total struct {
	Value float64 // in the base unit, without the lost samples
	N     uint64  // what it rests on: requests in scope, for Dropped arrivals, for Delta readings of the probe
	Lost  uint64  // samples that may belong to it or not
	Why   string  // of a Delta, there is no value: "probe alerts was not read before the load"
}

// Baseline is the value of a claim's metric in a stored result, in the unit of
// ValueUnit. The zero Baseline is none.
type Baseline struct {
	Of    string // which result, for people: "run 7f3a of 2026-03-01"; "" for none
	Value float64
}
