// Package truth is what a target knows of the load that it received: how many
// requests there were, how long each waited, when it came, and how long a
// punctual user would have waited in its place. The benchmark holds the numbers
// that a client reports against it. It computes; the target measures.
package truth

import (
	"math"
	"slices"
	"time"
)

// Quantiles are those that clients are compared at.
var Quantiles = []float64{0.50, 0.90, 0.95, 0.99, 0.999}

// A Request is what a target saw of one request. Times are nanoseconds of one clock.
type Request struct {
	Arrived int64 // in the kernel, whether or not the target was looking
	Read    int64 // by the target
	Delay   int64 // that it was to be answered after, counted from Read
	Written int64 // its response; 0 if the connection went away before
}

// A Window is a time in which the target did nothing at all: [Start, End).
type Window struct {
	Start int64 `json:"start"`
	End   int64 `json:"end"`
}

// A Schedule is evenly spaced arrivals: an open model that both sides know.
type Schedule struct {
	Rate float64       // arrivals per second
	For  time.Duration // how long they come
}

// due returns how long after the first request the k-th is due.
func (s Schedule) due(k int) int64 { return int64(float64(k) / s.Rate * 1e9) }

// planned is the number of arrivals.
func (s Schedule) planned() int { return int(math.Round(s.Rate * s.For.Seconds())) }

// thaw returns when a target that is frozen in these windows can act on what
// happens at t.
func thaw(t int64, frozen []Window) int64 {
	for _, w := range frozen {
		if w.Start <= t && t < w.End {
			return w.End
		}
	}
	return t
}

// Waited returns how long the requests waited for their responses, from the
// kernel's arrival on, ascending. What was never answered is left out.
func Waited(requests []Request) []int64 {
	var waits []int64
	for _, r := range requests {
		if r.Written > 0 {
			waits = append(waits, r.Written-r.Arrived)
		}
	}
	slices.Sort(waits)
	return waits
}

// start is the schedule's first due time as the requests, ordered by arrival,
// show it: no request can come before it is due, so the earliest relative to its
// place decides.
func start(requests []Request, s Schedule) int64 {
	first := int64(math.MaxInt64)
	for k, r := range requests {
		first = min(first, r.Arrived-s.due(k))
	}
	return first
}

// Late returns by how much each request came after it was due, in the order of
// arrival: the k-th to arrive is the k-th that was due.
func Late(requests []Request, s Schedule) []int64 {
	requests = byArrival(requests)
	first := start(requests, s)
	late := make([]int64, len(requests))
	for k, r := range requests {
		late[k] = r.Arrived - first - s.due(k)
	}
	return late
}

// Punctual returns how long users wait who come exactly when they are due,
// ascending, one for each arrival of the schedule: until the target is awake to
// read, for the delay that it drew, and until it is awake to answer. What the
// target itself was late by, reading and answering, belongs to it and is kept.
// A client that sends fewer or later requests while the target is frozen does
// not change it.
func Punctual(requests []Request, s Schedule, frozen []Window) []int64 {
	if len(requests) == 0 {
		return nil
	}
	requests = byArrival(requests)
	first := start(requests, s)
	waits := make([]int64, s.planned())
	for k := range waits {
		r := requests[k%len(requests)]
		due := first + s.due(k)
		read := thaw(due, frozen) + max(r.Read-thaw(r.Arrived, frozen), 0)
		written := thaw(read+r.Delay, frozen)
		if r.Written > 0 {
			written += max(r.Written-thaw(r.Read+r.Delay, frozen), 0)
		}
		waits[k] = written - due
	}
	slices.Sort(waits)
	return waits
}

func byArrival(requests []Request) []Request {
	requests = slices.Clone(requests)
	slices.SortStableFunc(requests, func(a, b Request) int { return int(min(max(a.Arrived-b.Arrived, -1), 1)) })
	return requests
}

// Quantile returns the nearest-rank quantile of ascending values: the smallest
// that at least the share q of them does not exceed. 0 of no values.
func Quantile[T int64 | float64](ascending []T, q float64) T {
	if len(ascending) == 0 {
		return 0
	}
	rank := int(math.Ceil(q*float64(len(ascending)) - 1e-9))
	return ascending[min(max(rank-1, 0), len(ascending)-1)]
}
