//go:build linux

package main

import (
	"context"
	"fmt"
	"math"
	"time"
)

// A crowd is a cell of many users and what was promised of it.
type crowd struct {
	cell
	megabytes float64
	connect   time.Duration // 0: nothing was promised
	lag       time.Duration
}

const (
	tenThousand  = "10,000 users"
	inRows       = "10,000 users, 20 endpoints in 3 stages"
	nineteen     = "19,000 users"
	rampOfCrowds = 5 * time.Second
)

func crowds(hold time.Duration) []crowd {
	return []crowd{
		{cell: cell{name: tenThousand, load: load{kind: users, users: 10_000, ramp: rampOfCrowds, during: hold}}, megabytes: 40},
		{cell: cell{name: inRows, load: load{kind: rows, users: 10_000, ramp: rampOfCrowds, during: hold}}, megabytes: 40},
		{cell: cell{name: nineteen, load: load{kind: users, users: 19_000, ramp: 8 * time.Second, during: 10 * time.Second}},
			megabytes: 60, connect: 10 * time.Second, lag: 10 * time.Millisecond},
	}
}

// memory holds many users, each with a connection of its own. Peers take part
// where they can make the load.
func memory(ctx context.Context, b *bench) (section, error) {
	sec := section{
		title: "Memory, many users with their own connections",
		prose: fmt.Sprintf("Three personas 3:5:2 who think 2–5 s, 3–8 s and 0.1–0.5 s, held for %v (19,000 users: for 10 s; more do not fit into 20,000 file descriptors). Undelivered is what failed, was aborted, or was planned and not issued, by the runner's own account. The connecting time is the target's: from the first connection to the last.", b.options.hold),
	}
	what := table{head: []string{"load", "client", "requests/s", "connections", "connecting, s", "undelivered", "most resident, MB", "KB a user", "µs a request", "lag p50 / p99, ms"}}
	for _, c := range crowds(b.options.hold) {
		peers := b.options.peerRounds
		if c.name == nineteen {
			peers = 0
		}
		all, failures, err := b.alternate(ctx, []cell{c.cell}, min(b.options.rounds, most), peers)
		if err != nil {
			return sec, err
		}
		sec.failures = append(sec.failures, failures...)
		sec.commands = append(sec.commands, commands(all)...)
		for _, name := range b.present(all) {
			some := of(all, name, c.name)
			what.lines = append(what.lines, c.line(name, some))
			if name == subject {
				sec.goals = append(sec.goals, c.goals(some)...)
			}
		}
	}
	sec.tables = []table{what}
	return sec, nil
}

// most is of how many runs the median is taken where runs are long.
const most = 5

func megabytes(s sample) float64 { return float64(s.resident) / (1 << 20) }

// connecting is how long the crowd took to connect, in seconds.
func connecting(s sample) float64 {
	return float64(s.ledger.Connections.PeakAt-s.ledger.Connections.First) / 1e9
}

// undelivered is what did not become an answered request; NaN where the client
// gives no account.
func undelivered(s sample) float64 {
	if s.document == nil {
		return math.NaN()
	}
	a := s.document.Accounting
	return float64(a.Failed + a.Aborted + a.NotIssued)
}

// lagOf reads the runner's own lag, in milliseconds.
func lagOf(q func(latency) *float64) func(sample) float64 {
	return func(s sample) float64 {
		if s.document == nil || q(s.document.Lag) == nil {
			return math.NaN()
		}
		return *q(s.document.Lag) * 1e3
	}
}

var (
	lagP50 = lagOf(func(l latency) *float64 { return l.P50 })
	lagP99 = lagOf(func(l latency) *float64 { return l.P99 })
)

func (c crowd) line(name string, some []sample) []string {
	ramped := c.load.ramp + c.load.during
	return []string{
		c.name, name,
		spreadOf(some, func(s sample) float64 { return float64(s.ledger.Requests) / ramped.Seconds() }).text(digits),
		spreadOf(some, func(s sample) float64 { return float64(s.ledger.Connections.Peak) }).text(digits),
		spreadOf(some, connecting).text(digits),
		spreadOf(some, undelivered).text(digits),
		spreadOf(some, megabytes).text(digits),
		spreadOf(some, func(s sample) float64 { return float64(s.resident) / 1024 / float64(c.load.users) }).text(digits),
		spreadOf(some, func(s sample) float64 { return float64(s.perRequest()) / 1e3 }).text(digits),
		spreadOf(some, lagP50).text(digits) + " / " + spreadOf(some, lagP99).text(digits),
	}
}

// goals are those of a crowd of the runner's.
func (c crowd) goals(some []sample) []goal {
	most, lost := spreadOf(some, megabytes), spreadOf(some, undelivered)
	whole := lost.median() == 0 && spreadOf(some, func(s sample) float64 { return float64(s.ledger.Connections.Peak) }).median() >= float64(c.load.users)
	all := []goal{{
		figure: "resident memory, " + c.name, limit: fmt.Sprintf("at most %.0f MB, nothing undelivered", c.megabytes),
		measured: most.text(digits) + " MB, undelivered " + lost.text(digits),
		reached:  most.median() <= c.megabytes && whole,
	}}
	if c.connect > 0 {
		v := spreadOf(some, connecting)
		all = append(all, goal{
			figure: "connecting " + c.name, limit: "under " + c.connect.String(),
			measured: v.text(digits) + " s", reached: whole && v.median() < c.connect.Seconds(),
		})
	}
	if c.lag > 0 {
		v := spreadOf(some, lagP99)
		all = append(all, goal{
			figure: "lag p99 with " + c.name + ", ramp and hold", limit: "under " + c.lag.String(),
			measured: v.text(digits) + " ms", reached: v.median() < float64(c.lag.Milliseconds()),
		})
	}
	return all
}
