//go:build linux

package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"tollgate/bench/truth"
)

// punctuality offers more arrivals than most clients can make on one core, and
// lets the target say when they came.
func punctuality(ctx context.Context, b *bench) (section, error) {
	const rate = 20_000
	during := max(b.options.seconds, 5*time.Second)
	at := cell{
		name:   "20,000/s",
		load:   load{kind: open, users: 500, rate: rate, during: during},
		target: []string{"-rate", fmt.Sprint(rate), "-for", during.String()},
	}
	all, failures, err := b.alternate(ctx, []cell{at}, b.options.rounds, b.options.peerRounds)
	if err != nil {
		return section{}, err
	}
	what := table{head: []string{"client", "issued", "lag p50 / p99 by the runner, µs", "late at the target p50 / p99, µs", "seconds without steal", "late in these p50 / p99, µs", "µs of CPU a request"}}
	sec := section{
		title: "Open model: 20,000 arrivals a second, one core",
		prose: fmt.Sprintf("Evenly spaced for %v. Issued is what the target counted of what was offered. Late is by the kernel's time of arrival at the target, against the schedule that fits the earliest request; the figures of a second are those of all full seconds of all runs in which /proc/stat reports no steal, as median (least–most) of these seconds. A client that did not issue its load has no lateness.", during),
	}
	for _, name := range b.present(all) {
		some := of(all, name, at.name)
		issued := spreadOf(some, sample.share)
		p50, p99 := spread{}, spread{}
		quiet, full := quietSeconds(some)
		if issued.median() >= 0.99 {
			p50, p99 = spreadOf(some, lateAt("p50")), spreadOf(some, lateAt("p99"))
		} else {
			quiet = seconds{}
		}
		what.lines = append(what.lines, []string{
			name, issued.text(percent),
			spreadOf(some, scaled(lagP50, 1e3)).text(digits) + " / " + spreadOf(some, scaled(lagP99, 1e3)).text(digits),
			p50.text(digits) + " / " + p99.text(digits),
			fmt.Sprintf("%d of %d", len(quiet.p50), full),
			quiet.p50.text(digits) + " / " + quiet.p99.text(digits),
			spreadOf(some, func(s sample) float64 { return float64(s.perRequest()) / 1e3 }).text(digits),
		})
		if name != subject {
			continue
		}
		lost := spreadOf(some, unaccounted)
		sec.goals = append(sec.goals, goal{
			figure: "open model, 20,000/s on one core", limit: "at least 99.9 % issued, none unaccounted",
			measured: issued.text(percent) + ", unaccounted " + lost.text(digits),
			reached:  issued.median() >= 0.999 && lost.median() == 0,
		}, goal{
			figure: "its lateness at the target, seconds without steal", limit: "p50 at most 50 µs, p99 at most 200 µs",
			measured: "p50 " + quiet.p50.text(digits) + " µs, p99 " + quiet.p99.text(digits) + " µs",
			reached:  quiet.p50.median() <= 50 && quiet.p99.median() <= 200,
		})
	}
	sec.tables, sec.failures, sec.commands = []table{what}, failures, commands(all)
	return sec, nil
}

func scaled(figure func(sample) float64, by float64) func(sample) float64 {
	return func(s sample) float64 { return by * figure(s) }
}

// lateAt is a quantile of lateness at the target, in microseconds.
func lateAt(name string) func(sample) float64 {
	return func(s sample) float64 {
		if s.ledger.Truth == nil {
			return math.NaN()
		}
		return s.ledger.Truth.Late[name] * 1e6
	}
}

// unaccounted is by how many requests the runner's account and the target's
// ledger differ, and the account itself does not balance.
func unaccounted(s sample) float64 {
	a := s.document.Accounting
	gap := math.Abs(float64(a.Issued) - float64(s.ledger.Requests))
	return gap + math.Abs(float64(a.Planned)-float64(a.Issued+a.NotIssued))
}

// seconds are lateness in microseconds, second by second.
type seconds struct{ p50, p99 spread }

// fullSeconds are the seconds in which about as much came as was offered: the
// first and the last of a run are cut short.
func fullSeconds(s sample) (full []truth.Second) {
	if s.ledger.Truth == nil {
		return nil
	}
	for _, sec := range s.ledger.Truth.Seconds {
		if float64(sec.Requests) >= 0.9*float64(s.load.rate) {
			full = append(full, sec)
		}
	}
	return full
}

// quietSeconds are the full seconds in which nothing was stolen, of how many.
func quietSeconds(some []sample) (quiet seconds, of int) {
	var p50, p99 []float64
	for _, s := range some {
		for _, sec := range fullSeconds(s) {
			of++
			if stolen, watched := s.thefts[sec.Unix]; watched && stolen == 0 {
				p50 = append(p50, sec.LateP50*1e6)
				p99 = append(p99, sec.LateP99*1e6)
			}
		}
	}
	return seconds{ascending(p50), ascending(p99)}, of
}
