package truth

import (
	"slices"
	"strconv"
	"strings"
)

// Path is where a target answers with its Ledger. Asking is not counted.
const Path = "/_ledger"

// Ledger is what a target has counted and measured since it started.
type Ledger struct {
	Requests    uint64            `json:"requests"` // received whole
	Malformed   uint64            `json:"malformed"`
	Routes      map[string]uint64 `json:"routes"` // by method and first part of the path
	Connections Connections       `json:"connections"`
	Truth       *Truth            `json:"truth,omitempty"` // of a target with known latencies or a schedule
}

// Connections are counted where they are accepted. Times are Unix nanoseconds.
type Connections struct {
	Accepted uint64 `json:"accepted"`
	Open     int    `json:"open"`
	Peak     int    `json:"peak"`
	First    int64  `json:"first"`   // when the first was accepted
	PeakAt   int64  `json:"peak_at"` // when the most were open for the first time
}

// Truth is in seconds.
type Truth struct {
	Requests int                `json:"requests"`
	Waited   map[string]float64 `json:"waited"`   // from arrival to response, by quantile
	Punctual map[string]float64 `json:"punctual"` // by a user who came when due; nil without a schedule
	Late     map[string]float64 `json:"late"`     // arrivals against the schedule; nil without one
	Seconds  []Second           `json:"seconds"`  // the same, second by second
	Frozen   []Window           `json:"frozen"`   // Unix nanoseconds
}

// Second is one second of the wall clock.
type Second struct {
	Unix     int64   `json:"unix"`
	Requests int     `json:"requests"`
	LateP50  float64 `json:"late_p50"`
	LateP99  float64 `json:"late_p99"`
}

// Tell condenses what a target recorded. A schedule without a rate is none.
func Tell(requests []Request, s Schedule, frozen []Window) *Truth {
	t := &Truth{Requests: len(requests), Waited: named(Waited(requests)), Frozen: frozen}
	if s.Rate <= 0 || len(requests) == 0 {
		return t
	}
	t.Punctual = named(Punctual(requests, s, frozen))
	late := Late(requests, s)
	t.Seconds = seconds(byArrival(requests), late)
	slices.Sort(late)
	t.Late = named(late)
	return t
}

// seconds groups lateness by the second of arrival; both are in order of arrival.
func seconds(requests []Request, late []int64) (all []Second) {
	for from := 0; from < len(requests); {
		unix, to := requests[from].Arrived/1e9, from
		for to < len(requests) && requests[to].Arrived/1e9 == unix {
			to++
		}
		part := slices.Clone(late[from:to])
		slices.Sort(part)
		all = append(all, Second{
			Unix: unix, Requests: to - from,
			LateP50: float64(Quantile(part, 0.50)) / 1e9,
			LateP99: float64(Quantile(part, 0.99)) / 1e9,
		})
		from = to
	}
	return all
}

// Name is how a quantile is written: 0.999 is p99.9.
func Name(q float64) string {
	return "p" + strings.TrimSuffix(strconv.FormatFloat(q*100, 'f', 1, 64), ".0")
}

func named(ascending []int64) map[string]float64 {
	m := map[string]float64{}
	for _, q := range Quantiles {
		m[Name(q)] = float64(Quantile(ascending, q)) / 1e9
	}
	return m
}
