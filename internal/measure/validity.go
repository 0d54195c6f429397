package measure

import (
	"fmt"
	"math"
	"time"
)

// Health is what was seen of the generator itself in one second.
type Health struct {
	At        int64   `json:"at"`        // end of the second, ns since the start of the run
	CPU       float64 `json:"cpu"`       // share of the processors this process may use, 0 to 1
	LagP99    float64 `json:"lag_p99"`   // seconds; 0 when nothing was sent
	Sent      uint64  `json:"sent"`      // requests that LagP99 is about
	GCPause   float64 `json:"gc_pause"`  // seconds, the longest stop of the world
	Throttled float64 `json:"throttled"` // seconds in which the control group's quota kept it from running
	Steal     float64 `json:"steal"`     // share of the machine's time that a neighbour took, 0 to 1
	Judged    bool    `json:"judged"`    // the second lies in a hold that is judged
}

// Validity decides whether a run may be judged at all: whether what was
// measured is the target's doing and not the generator's. It returns the
// reasons against it, none for a valid run. A collapsing target never makes a
// run invalid: waiting for it is its own latency.
//
// limit is the tightest latency limit promised, in seconds; 0 if none is: then
// lateness cannot change the verdict, and does not make the run invalid.
func Validity(s *Snapshot, health []Health, limit float64) (reasons []string) {
	var planned, own, issued uint64
	for i := range s.Series {
		c := &s.Series[i]
		planned += c.Planned
		issued += c.Issued
		own += c.Outcomes[Generator]
	}
	if planned == 0 {
		return nil
	}
	// Arrivals that found the pool full are the target's or the spec's doing, so
	// only what failed on this machine counts against the generator here.
	if share := float64(planned-min(own, planned)) / float64(planned); share < issuedLeast {
		reasons = append(reasons, fmt.Sprintf("only %.1f %% of the planned requests could be sent from this machine (ports, descriptors or memory ran out)", share*100))
	} else if issued > 0 && float64(own) > OwnFaultsMost*float64(issued) {
		reasons = append(reasons, fmt.Sprintf("%d of %d requests failed on this machine (ports, descriptors or memory ran out), more than 0.1 %%", own, issued))
	}

	most := max(lagLeast, lagShare*limit)
	lag, n := judgedLag(health)
	lag = min(lag, lagOfMost(&s.Lag, n))
	if limit > 0 && n > 0 && lag > most {
		why := ""
		if steal, throttled := troubles(health); throttled > 0.01 {
			why = fmt.Sprintf(": its processor quota kept it waiting %.0f %% of the time", throttled*100)
		} else if steal > 0.01 {
			why = fmt.Sprintf(": a neighbour took %.0f %% of the machine's time", steal*100)
		}
		reasons = append(reasons, fmt.Sprintf("the generator was late by %s (p99), more than %s%s: use a larger machine or less load",
			shortDuration(lag), shortDuration(most), why))
	}
	run := 0
	for _, h := range health {
		if limit > 0 && h.Judged && h.CPU > cpuMost && h.LagP99 > most {
			run++
		} else {
			run = 0
		}
		if run == cpuSeconds {
			reasons = append(reasons, fmt.Sprintf("the generator's processors were busy above %.0f %% for %d s while it was late: the load is more than this machine can make", cpuMost*100, cpuSeconds))
			break
		}
	}
	return reasons
}

// OwnFaultsMost is the share of a valid run's requests that may fail on this
// machine at most.
const OwnFaultsMost = 0.001

// The other limits of a valid run.
const (
	issuedLeast = 0.99
	lagLeast    = 0.010 // seconds
	lagShare    = 0.10  // of the tightest latency limit
	cpuMost     = 0.85
	cpuSeconds  = 5
)

// judgedLag returns the p99 of the judged seconds' own p99s, weighted by what
// was sent in them: an upper bound of the lag's p99 that needs no histogram a
// second. Seconds in which nothing was sent say nothing.
func judgedLag(health []Health) (lag float64, sent uint64) {
	for _, h := range health {
		if h.Judged {
			sent += h.Sent
		}
	}
	// The smallest limit such that at most 1 % of the requests lie in seconds
	// whose p99 is above it.
	for {
		next, above := math.Inf(1), uint64(0)
		for _, h := range health {
			if h.Judged && h.LagP99 > lag {
				above += h.Sent
				next = min(next, h.LagP99)
			}
		}
		if above*100 <= sent {
			return lag, sent
		}
		lag = next
	}
}

// lagOfMost is another upper bound of the p99 of n judged requests, from all that
// were sent: if at most a hundredth of n of all are later than it, no more of
// the judged ones are. One bad second of sixty does not reach it.
func lagOfMost(all *Hist, n uint64) float64 {
	if all.Count == 0 || n == 0 {
		return math.Inf(1)
	}
	return all.Quantile(1 - 0.01*float64(n)/float64(max(n, all.Count)))
}

// troubles averages what the system took from the generator.
func troubles(health []Health) (steal, throttled float64) {
	n := 0
	for _, h := range health {
		if h.Judged {
			steal += h.Steal
			throttled += h.Throttled
			n++
		}
	}
	return steal / float64(max(n, 1)), throttled / float64(max(n, 1))
}

func shortDuration(seconds float64) string {
	return time.Duration(math.Round(seconds * 1e9)).Round(100 * time.Microsecond).String()
}
