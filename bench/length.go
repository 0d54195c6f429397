//go:build linux

package main

import (
	"context"
	"fmt"
	"time"
)

// length compares the memory of a short and of a long run of the same load.
func length(ctx context.Context, b *bench) (section, error) {
	const few, many = 100_000, 10_000_000
	sec := section{
		title: "Memory and the length of a run",
		prose: "50 users who never rest, for 2 s (about 100,000 requests), and for as long as 10 million take at that rate, at most 5 min. Memory is to depend on the spec, and not on how much was sent.",
	}
	what := table{head: []string{"run", "requests", "most resident, MB"}}
	at := func(name string, during time.Duration) cell {
		return cell{name: name, load: load{kind: get, users: 50, during: during}}
	}
	take := func(c cell) (all []sample, err error) {
		mine := *b
		mine.clients = mine.clients[:1]
		all, failures, err := mine.alternate(ctx, []cell{c}, min(b.options.rounds, 3), 0)
		b.samples, b.retaken = mine.samples, mine.retaken
		sec.failures = append(sec.failures, failures...)
		sec.commands = append(sec.commands, commands(all)...)
		what.lines = append(what.lines, []string{c.name, spreadOf(all, count).text(digits), spreadOf(all, megabytes).text(digits)})
		return all, err
	}
	short, err := take(at("short", 2*time.Second))
	if err != nil || len(short) == 0 {
		return sec, err
	}
	rate := spreadOf(short, count).median() / 2
	seconds := min(many/rate*1.05, 300)
	long, err := take(at("long", time.Duration(seconds)*time.Second))
	if err != nil {
		return sec, err
	}
	before, after := spreadOf(short, megabytes), spreadOf(long, megabytes)
	growth := after.median()/before.median() - 1
	sec.tables = []table{what}
	sec.goals = []goal{{
		figure: "resident memory, 10 million requests against 100,000", limit: "at most 10 % more",
		measured: fmt.Sprintf("%s against %s MB (%s), %s requests against %s", after.text(digits), before.text(digits), signed(growth),
			spreadOf(long, count).text(digits), spreadOf(short, count).text(digits)),
		reached: growth <= 0.1 && spreadOf(long, count).median() >= many*0.95 && spreadOf(short, count).median() <= 5*few,
	}}
	return sec, nil
}

func count(s sample) float64 { return float64(s.ledger.Requests) }
