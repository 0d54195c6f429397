//go:build linux

package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"tollgate/bench/truth"
)

// A trial is a target whose truth is known, and how far from it a client may be.
type trial struct {
	cell
	truth func(truth.Ledger) map[string]float64
	what  string
	limit float64 // relative, beyond the slack
}

// slack is what loopback, wake-ups and histogram buckets may add: 0.2 ms.
const slack = 0.0002

func trials() []trial {
	const law = "20ms,0.5"
	// Ten requests a second and connection, five times what is in flight; and ten
	// times as many spare ones where the target stops, so that no client is short
	// of them.
	at := func(rate, connections int, during time.Duration, target ...string) cell {
		return cell{
			name:   grouped(float64(rate)) + "/s",
			load:   load{kind: open, users: connections, rate: rate, during: during},
			target: append([]string{"-delay", law, "-rate", fmt.Sprint(rate), "-for", during.String()}, target...),
		}
	}
	waited := func(l truth.Ledger) map[string]float64 { return l.Truth.Waited }
	punctual := func(l truth.Ledger) map[string]float64 { return l.Truth.Punctual }
	frozen := at(500, 500, 20*time.Second, "-freeze", "1s", "-every", "10s")
	frozen.name += ", frozen 1 s in 10"
	return []trial{
		{at(500, 50, 10*time.Second), waited, "what the target took, from the kernel's arrival of a request to its response", 0.01},
		{at(5000, 500, 10*time.Second), waited, "what the target took", 0.01},
		{frozen, punctual, "what a punctual user waits, who comes when due whatever the target does", 0.02},
	}
}

// percentiles compares what clients report with what the target knows.
func percentiles(ctx context.Context, b *bench) (section, error) {
	sec := section{
		title: "Truth: reported percentiles against the target's own",
		prose: "Response times are lognormal, median 20 ms, sigma 0.5, from a timer. Errors are relative, as median (least–most) of the runs. The last column is the worst error of the five quantiles beyond 0.2 ms, which is the figure that is promised. Issued is what the target counted of what was offered (fortio adds a warm-up). Clients that need a number of connections have 50 for 500/s, 500 for 5,000/s, and 500 where the target freezes.",
	}
	for _, t := range trials() {
		all, failures, err := b.alternate(ctx, []cell{t.cell}, min(b.options.rounds, most), b.options.peerRounds)
		if err != nil {
			return sec, err
		}
		sec.failures = append(sec.failures, failures...)
		sec.commands = append(sec.commands, commands(all)...)
		what := table{caption: fmt.Sprintf("**%s** – the truth is %s:", t.name, t.what), head: []string{"client", "issued"}}
		known := []string{"truth, ms", ""}
		for _, q := range truth.Quantiles {
			what.head = append(what.head, truth.Name(q))
			known = append(known, spreadOf(all, func(s sample) float64 { return t.truth(s.ledger)[truth.Name(q)] * 1e3 }).text(digits))
		}
		what.head = append(what.head, "worst beyond 0.2 ms")
		what.lines = append(what.lines, append(known, ""))
		ours := math.NaN()
		for _, name := range b.present(all) {
			some := of(all, name, t.name)
			line := []string{name, spreadOf(some, sample.share).text(percent)}
			for _, q := range truth.Quantiles {
				line = append(line, spreadOf(some, func(s sample) float64 { return t.off(s, truth.Name(q)) }).text(signed))
			}
			worst := spreadOf(some, t.worst)
			what.lines = append(what.lines, append(line, worst.text(percent)))
			if name == subject {
				ours = worst.median()
				sec.goals = append(sec.goals, goal{
					figure: "percentile error p50–p99.9, " + t.name, limit: "at most " + percent(t.limit) + " + 0.2 ms",
					measured: worst.text(percent), reached: ours <= t.limit,
				})
			} else if worst.median() < ours {
				sec.behind = append(sec.behind, fmt.Sprintf("percentile error, %s: %s %s, the runner %s", t.name, name, percent(worst.median()), percent(ours)))
			}
		}
		sec.tables = append(sec.tables, what)
	}
	return sec, nil
}

// off is a quantile's relative error; NaN where the client does not report it.
func (t trial) off(s sample, name string) float64 {
	got, told := s.reported[name]
	if !told {
		return math.NaN()
	}
	want := t.truth(s.ledger)[name]
	return (got - want) / want
}

// worst is the largest error beyond the slack of the quantiles that are
// reported; NaN if none is.
func (t trial) worst(s sample) float64 {
	worst := math.NaN()
	for _, q := range truth.Quantiles {
		name := truth.Name(q)
		got, told := s.reported[name]
		if !told {
			continue
		}
		want := t.truth(s.ledger)[name]
		if over := max(math.Abs(got-want)-slack, 0) / want; math.IsNaN(worst) || over > worst {
			worst = over
		}
	}
	return worst
}
