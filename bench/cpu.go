//go:build linux

package main

import (
	"context"
	"fmt"
	"math"
)

// saturated are the four cells of the CPU figure.
func saturated(b *bench) []cell {
	return []cell{
		{name: "GET x 50", load: load{kind: get, users: 50, during: b.options.seconds}},
		{name: "GET x 500", load: load{kind: get, users: 500, during: b.options.seconds}},
		{name: "POST x 50", load: load{kind: post, users: 50, during: b.options.seconds}},
		{name: "POST x 500", load: load{kind: post, users: 500, during: b.options.seconds}},
	}
}

// cpuPerRequest saturates the client's core. The runner records, checks two
// JSON fields and renders each request; wrk, h2load, bombardier, fortio, hey and
// vegeta send fixed bytes and check nothing.
func cpuPerRequest(ctx context.Context, b *bench) (section, error) {
	sec, all, err := b.cost(ctx, saturated(b), b.options.rounds)
	if err != nil {
		return section{}, err
	}
	sec.title = "CPU per request, client saturating one core"
	sec.prose = fmt.Sprintf("Small JSON, keep-alive, no think time, %v a run. The runner has recording, two checks of each answer and a rendered path or body on, with `--loops 1`; k6 and Locust check and render as well; the others send fixed bytes and check nothing. A request is one that the target counted.", b.options.seconds)
	if ratio := ratios(all, saturated(b), subject); len(ratio) > 0 {
		sec.goals = append(sec.goals, goal{
			figure: "CPU per request against " + reference + ", four cells, paired within a round",
			limit:  "at most 0.9", measured: ratio.text(digits) + fmt.Sprintf(", rounds: %d", len(ratio)),
			reached: ratio.median() <= 0.9,
		})
	}
	return sec, nil
}

// cpuOverTLS is the same to a target that speaks TLS, for clients that do. The
// target is an ordinary server and has its core full first.
func cpuOverTLS(ctx context.Context, b *bench) (section, error) {
	cells := []cell{
		{name: "HTTP/1.1 x 50", load: load{kind: https, users: 50, during: b.options.seconds}, target: []string{"-tls", "1"}},
		{name: "HTTP/2 x 50", load: load{kind: http2, users: 50, during: b.options.seconds}, target: []string{"-tls", "2"}},
	}
	sec, _, err := b.cost(ctx, cells, min(b.options.rounds, most))
	sec.title = "CPU per request over TLS"
	sec.prose = fmt.Sprintf("GET as above, %v a run, and 50 connections with one request at a time on each. The target is an ordinary server of Go's, whose core is about as full as the client's.", b.options.seconds)
	return sec, err
}

// cost measures what a request costs each client in each cell.
func (b *bench) cost(ctx context.Context, cells []cell, rounds int) (sec section, all []sample, err error) {
	all, sec.failures, err = b.alternate(ctx, cells, rounds, b.options.peerRounds)
	if err != nil {
		return sec, nil, err
	}
	us := func(s sample) float64 { return float64(s.perRequest()) / 1e3 }
	first, last := cells[0], cells[len(cells)-1]
	cost := table{head: []string{"client"}, caption: fmt.Sprintf("µs of CPU per request, user and system, start-up and report included; the ratio is the mean of the %d cells within a round:", len(cells))}
	for _, c := range cells {
		cost.head = append(cost.head, c.name)
	}
	cost.head = append(cost.head, "ratio to "+reference)
	rest := table{
		caption: "The same runs otherwise:",
		head:    []string{"client", "requests/s, " + first.name, "requests/s, " + last.name, "most resident, MB", "start-up CPU, ms", "client's core busy", "target's core busy"},
	}
	ours := map[string]float64{}
	for _, name := range b.present(all) {
		line := []string{name}
		for _, c := range cells {
			v := spreadOf(of(all, name, c.name), us)
			line = append(line, v.text(digits))
			if name == subject {
				ours[c.name] = v.median()
			} else if v.median() < ours[c.name] {
				sec.behind = append(sec.behind, fmt.Sprintf("%s, %s: %s µs a request, the runner %s", c.name, name, digits(v.median()), digits(ours[c.name])))
			}
		}
		cost.lines = append(cost.lines, append(line, ratios(all, cells, name).text(digits)))
		rest.lines = append(rest.lines, besides(all, cells, name))
	}
	sec.tables, sec.commands = []table{cost, rest}, commands(all)
	return sec, all, nil
}

// besides are the other figures of a client's saturated runs.
func besides(all []sample, cells []cell, name string) []string {
	rate := func(s sample) float64 { return float64(s.ledger.Requests) / s.load.during.Seconds() }
	var resident, start, busy, target []float64
	for _, c := range cells {
		some := of(all, name, c.name)
		resident = append(resident, spreadOf(some, megabytes).most())
		start = append(start, spreadOf(some, func(s sample) float64 { return s.startup.Seconds() * 1e3 }).median())
		busy = append(busy, spreadOf(some, func(s sample) float64 { return s.cpu.Seconds() / s.lasted.Seconds() }).median())
		target = append(target, spreadOf(some, func(s sample) float64 { return s.targetCPU.Seconds() / s.lasted.Seconds() }).median())
	}
	return []string{
		name,
		spreadOf(of(all, name, cells[0].name), rate).text(digits),
		spreadOf(of(all, name, cells[len(cells)-1].name), rate).text(digits),
		digits(ascending(resident).most()), digits(ascending(start).mean()), percent(ascending(busy).mean()), percent(ascending(target).mean()),
	}
}

// ratios are a client's cost in units of the reference's: for each round in
// which both took part in every cell, the mean over the cells of the paired ratios.
func ratios(all []sample, cells []cell, name string) spread {
	type place struct {
		client, cell string
		round        int
	}
	cost := map[place]float64{}
	rounds := 0
	for _, s := range all {
		cost[place{s.client, s.cell, s.round}] = float64(s.perRequest())
		rounds = max(rounds, s.round+1)
	}
	var means []float64
	for round := range rounds {
		sum := 0.0
		for _, c := range cells {
			sum += cost[place{name, c.name, round}] / cost[place{reference, c.name, round}]
		}
		// A round in which one of the two is missing is 0, infinite or NaN.
		if mean := sum / float64(len(cells)); mean > 0 && !math.IsInf(mean, 0) {
			means = append(means, mean)
		}
	}
	return ascending(means)
}
