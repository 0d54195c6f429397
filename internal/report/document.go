package report

import (
	"bytes"
	"encoding/json"
	"io"
	"math"

	"tollgate/internal/measure"
	"tollgate/pkg/slo"
)

// Version is the version of the document format that this package writes and
// reads; schema/result.v1.json describes it.
const Version = 1

// Document is all that is known about a run after it has ended: what was
// promised, what was seen, what was decided and why. Every rendering is a pure
// function of it. Build makes one from a Run, Decode from a stored result.
//
// Times are seconds. No string of it holds a secret of the spec or a control
// character.
type Document struct {
	Version  int         `json:"version"`
	Name     string      `json:"name"`
	About    string      `json:"about"`
	Overall  slo.Overall `json:"verdict"` // never pass beside an exit code other than 0
	ExitCode int         `json:"exit_code"`
	ExitName ExitName    `json:"exit_name"`
	Complete bool        `json:"complete"` // the plan ran to its end
	Reasons  []string    `json:"reasons"`  // why the verdict is what it is, most important first
	Method   string      `json:"method"`   // how the claims were decided

	Spec      Source    `json:"spec"`
	Commit    string    `json:"commit"`    // Git commit that was checked out around the spec, "" if unknown
	Target    string    `json:"target"`    // URL without credentials
	Insecure  []string  `json:"insecure"`  // targets whose certificate was not verified
	Overrides []string  `json:"overrides"` // what the command line changed, as typed
	Dropped   []string  `json:"dropped"`   // what the overrides took out of the test
	Started   Stamp     `json:"started"`
	Elapsed   float64   `json:"elapsed"`
	Held      float64   `json:"held"` // seconds of Elapsed that are judged
	Generator Generator `json:"generator"`
	Lag       Lag       `json:"lag"`

	Stages     []Stage    `json:"stages"`
	SLOs       []SLO      `json:"slos"`
	Rows       []Row      `json:"rows"`
	Total      Row        `json:"total"` // all rows but set-up
	Accounting Accounting `json:"accounting"`
	Unreached  []string   `json:"unreached"` // rows that sent nothing
	Failures   []Failure  `json:"failures"`  // most frequent first
	Timeline   []Series   `json:"timeline"`  // all rows but set-up first, then each row
	Users      Population `json:"users"`
	Probes     []Probe    `json:"probes"`
	Health     Health     `json:"health"` // of the generator, over time

	Data        *Data       `json:"data"` // null: no database was prepared
	Fingerprint Fingerprint `json:"fingerprint"`
	Record      Record      `json:"record"`
	Regated     *Regated    `json:"regated"`  // null: judged by the promises that it was run with
	Baseline    *Baseline   `json:"baseline"` // null: beside no other run
}

// Words of closed sets have types of their own: a secret that happens to read
// "timeout" is masked in every text and leaves them alone.
type (
	ExitName string // name of an exit code
	Class    string // failure class
	Unit     string // seconds, ratio, per_second, count, bytes
	Stamp    string // RFC 3339, UTC
)

// Source is the spec that was run.
type Source struct {
	File    string `json:"file"`
	Digest  string `json:"digest"`
	Version int    `json:"version"`
	Profile string `json:"profile"` // "" for none
}

// Stage is one stage of the load as it took place.
type Stage struct {
	Name  string  `json:"name"`
	Shape string  `json:"shape"`
	Open  bool    `json:"open"`  // levels are arrivals per second, else users
	Level float64 `json:"level"` // that was held last
	Held  float64 `json:"held"`  // seconds on a level, without ramps
	Broke Number  `json:"broke"` // of steps: the level that did not hold; null if all did
	Spans []Span  `json:"spans"`
}

// SLO is one claim and its judgement.
type SLO struct {
	Claim      string      `json:"slo"`      // as written
	Metric     string      `json:"metric"`   // p95, errors.check
	Selector   string      `json:"selector"` // {endpoint=login}, "" for all requests
	Stage      string      `json:"stage"`    // "" for the whole run
	Guard      bool        `json:"guard"`    // added by the runner itself
	Advisory   bool        `json:"advisory"` // shown, and decides nothing
	Verdict    slo.Verdict `json:"verdict"`
	Observed   string      `json:"observed"` // with its unit
	Value      Number      `json:"value"`    // the same in Unit
	Op         string      `json:"op"`
	Limit      string      `json:"limit"` // as the grammar writes it
	LimitValue float64     `json:"limit_value"`
	Unit       Unit        `json:"unit"`
	Requests   uint64      `json:"requests"` // in scope
	Bad        uint64      `json:"bad"`      // of them on the wrong side
	Lost       uint64      `json:"lost"`     // samples that nobody knows
	Reason     string      `json:"reason"`
	Line       int         `json:"line"` // with Col where it is written in the spec; 0: nowhere
	Col        int         `json:"col"`
	Interval   *Interval   `json:"interval"` // null: the claim was not estimated
}

// Interval is where the true value of a claim's metric lies, and what that is
// held against.
type Interval struct {
	Low   Number `json:"low"`
	High  Number `json:"high"` // null: there is no upper bound
	Limit Number `json:"limit"`
	// Unit is that of the claim, or ratio for a percentile of which only the
	// share of bad requests is bounded.
	Unit Unit `json:"unit"`
}

// Row is what the requests of one name and method did, over the whole run.
type Row struct {
	Name   string `json:"name"`
	Method string `json:"method"`
	Setup  bool   `json:"setup"` // on_start and on_stop

	Planned   uint64           `json:"planned"`
	Issued    uint64           `json:"issued"`
	NotIssued uint64           `json:"not_issued"`
	Skipped   uint64           `json:"skipped"`  // steps whose `when` did not hold
	Requests  uint64           `json:"requests"` // that ended, however
	OK        uint64           `json:"ok"`
	Failures  uint64           `json:"failures"`
	Classes   map[Class]uint64 `json:"classes"` // of Failures, those that occurred
	Aborted   uint64           `json:"aborted"` // in flight when the run ended
	Lost      uint64           `json:"lost"`    // issued, and their samples are gone
	PerSecond Number           `json:"per_second"`
	BytesIn   uint64           `json:"bytes_in"`
	BytesOut  uint64           `json:"bytes_out"`

	Response Latency `json:"response"` // failures and arrivals never sent are slower than all
	Success  Latency `json:"ok_response"`
	Service  Latency `json:"service"` // done - sent; failures are slower than all
	// Apart tells that service time is more than 5 % and 1 ms off response time
	// at p50, p95 or p99: requests waited before they could be sent.
	Apart bool `json:"apart"`

	Judged     Judged     `json:"judged"`
	Histograms Histograms `json:"histograms"`
}

// Judged is what a row did while the load that is judged was held.
type Judged struct {
	Requests  uint64  `json:"requests"`
	Failures  uint64  `json:"failures"`
	PerSecond Number  `json:"per_second"` // null where nothing is judged
	Response  Latency `json:"response"`
}

// Latency describes a distribution of times. A null beside a Count above zero
// is "no finite value": more requests failed than the quantile leaves room for.
// Min is that of the finite values.
type Latency struct {
	Count uint64 `json:"count"`
	Min   Number `json:"min"`
	Mean  Number `json:"mean"`
	P50   Number `json:"p50"`
	P75   Number `json:"p75"`
	P90   Number `json:"p90"`
	P95   Number `json:"p95"`
	P99   Number `json:"p99"`
	P999  Number `json:"p999"`
	Max   Number `json:"max"`
}

// Lag is how late the generator itself was.
type Lag struct {
	Latency
	Histogram Histogram `json:"histogram"`
}

// Histograms are the full distributions of a row, over the whole run.
type Histograms struct {
	Success Histogram `json:"ok"`      // response times of successes
	Service Histogram `json:"service"` // of successes
	Connect Histogram `json:"connect"` // of successes that needed a connection
	Failed  Histogram `json:"failed"`  // ages of failures
}

// Histogram is a sparse HdrHistogram of microseconds from 1 to 3,600,000,000.
type Histogram struct {
	Digits  int         `json:"digits"` // significant: 3 or 2
	Count   uint64      `json:"count"`
	SumNS   uint64      `json:"sum_ns"` // exact
	MinNS   int64       `json:"min_ns"`
	MaxNS   int64       `json:"max_ns"`
	Clamped uint64      `json:"clamped"` // above one hour, counted as one hour
	Buckets [][2]uint64 `json:"buckets"` // index in HdrHistogram's layout, count; ascending
}

// Accounting is the identity that every request is accounted for by: planned =
// issued + not issued, and issued = ok + failed + aborted + lost. Set-up counts.
type Accounting struct {
	Planned   uint64   `json:"planned"`
	Issued    uint64   `json:"issued"`
	NotIssued uint64   `json:"not_issued"`
	OK        uint64   `json:"ok"`
	Failed    uint64   `json:"failed"`
	Aborted   uint64   `json:"aborted"`
	Lost      uint64   `json:"lost"`
	Skipped   uint64   `json:"skipped"`
	Clamped   uint64   `json:"clamped"`  // samples with impossible times, counted as the nearest possible
	Balanced  bool     `json:"balanced"` // it holds, for each step in each stage
	Faults    []string `json:"faults"`   // where it does not
}

// Failure is one way in which requests of a row failed.
type Failure struct {
	Row      string `json:"row"`
	Method   string `json:"method"`
	Setup    bool   `json:"setup"`
	Class    Class  `json:"class"`
	Status   int    `json:"status"` // 0 unless Class is status
	Message  string `json:"message"`
	Overflow bool   `json:"overflow"` // the sum of messages that were too many to keep
	Count    uint64 `json:"count"`
}

// Series is a row over time, by the second in which its requests were due, in
// columns of equal length. Quantiles are of response times, to two digits.
type Series struct {
	Row       string   `json:"row"` // "" with Method "": all rows but set-up
	Method    string   `json:"method"`
	Setup     bool     `json:"setup"`
	Second    []int64  `json:"second"` // since the start of the run, ascending
	Requests  []uint64 `json:"requests"`
	Failures  []uint64 `json:"failures"`
	NotIssued []uint64 `json:"not_issued"`
	P50       []Number `json:"p50"`
	P95       []Number `json:"p95"`
	P99       []Number `json:"p99"`
}

// Population is how many users were active over time.
type Population struct {
	At       []float64     `json:"at"` // seconds since the start of the run
	Personas []Inhabitants `json:"personas"`
}

// Inhabitants are the active users of one persona, at each moment of At.
type Inhabitants struct {
	Persona string `json:"persona"`
	Active  []int  `json:"active"`
}

// Health is how the generator itself fared, second by second, in columns of
// equal length.
type Health struct {
	At        []float64 `json:"at"`        // end of the second, since the start of the run
	CPU       []Number  `json:"cpu"`       // share of the processors that it may use
	LagP99    []Number  `json:"lag_p99"`   // seconds; null where nothing was sent
	GCPause   []Number  `json:"gc_pause"`  // seconds, the longest
	Throttled []Number  `json:"throttled"` // share of the time that a quota kept it waiting
	Steal     []Number  `json:"steal"`     // share of the machine's time that a neighbour took
}

// Number is a number that may be missing: null in JSON where it is not finite.
type Number float64

var none = Number(math.NaN())

// number returns v, or none for what is not finite, so that a document reads
// the same before it was stored and after.
func number(v float64) Number {
	if math.IsInf(v, 0) {
		return none
	}
	return Number(v)
}

// Known tells whether there is a number.
func (n Number) Known() bool { return !math.IsNaN(float64(n)) && !math.IsInf(float64(n), 0) }

// MarshalJSON writes the number, or null.
func (n Number) MarshalJSON() ([]byte, error) {
	if !n.Known() {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// UnmarshalJSON reads a number or null.
func (n *Number) UnmarshalJSON(data []byte) error {
	if bytes.Equal(data, []byte("null")) {
		*n = none
		return nil
	}
	return json.Unmarshal(data, (*float64)(n))
}

func latency(h *measure.Hist) Latency {
	l := Latency{
		Count: h.Count + h.Inf, Min: none, Mean: none, Max: none,
		P50: number(h.Quantile(0.50)), P75: number(h.Quantile(0.75)), P90: number(h.Quantile(0.90)),
		P95: number(h.Quantile(0.95)), P99: number(h.Quantile(0.99)), P999: number(h.Quantile(0.999)),
	}
	if h.Count == 0 {
		return l
	}
	l.Min = Number(float64(h.Min) / 1e9)
	if h.Inf == 0 {
		l.Mean, l.Max = number(h.Mean()), Number(float64(h.Max)/1e9)
	}
	return l
}

func histogram(h *measure.Hist) Histogram {
	out := Histogram{
		Digits: 3, Count: h.Count, SumNS: h.Sum, MinNS: h.Min, MaxNS: h.Max, Clamped: h.Clamped,
		Buckets: make([][2]uint64, 0, h.Filled()),
	}
	if h.Coarse {
		out.Digits = 2
	}
	for b := range h.Buckets() {
		out.Buckets = append(out.Buckets, [2]uint64{uint64(b.Index), b.Count})
	}
	return out
}

// Hist returns the histogram in the form that computes quantiles and merges.
func (h *Histogram) Hist() measure.Hist {
	buckets := make([]measure.Bucket, len(h.Buckets))
	for i, b := range h.Buckets {
		buckets[i] = measure.Bucket{Index: uint32(b[0]), Count: b[1]}
	}
	return measure.Hist{
		Coarse: h.Digits == 2, Count: h.Count, Sum: h.SumNS, Min: h.MinNS, Max: h.MaxNS, Clamped: h.Clamped,
		Packed: measure.Pack(buckets...),
	}
}

// Encode returns the document as the JSON of result.json.
func (d *Document) Encode() ([]byte, error) {
	var b bytes.Buffer
	err := d.stream(&b)
	return b.Bytes(), err
}

// stream writes the document as the JSON of result.json.
func (d *Document) stream(w io.Writer) error { return stream(w, d) }

// encode writes JSON that people can read too: `<` stays `<`. What puts it into
// HTML must escape it there.
func encode(v any, indent string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	err := e.Encode(v)
	return b.Bytes(), err
}
