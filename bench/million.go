//go:build linux

package main

import (
	"context"
	"fmt"
	"time"
)

// million holds a million users who think for minutes and have a connection for
// each request: all but a few of them are a struct that waits.
func million(ctx context.Context, b *bench) (section, error) {
	const people, limit = 1_000_000, 256
	at := cell{name: "1,000,000 users", load: load{kind: visits, users: people, ramp: 2 * time.Minute, during: b.options.hold}}
	all, failures, err := b.alternate(ctx, []cell{at}, min(b.options.rounds, 3), 0)
	if err != nil {
		return section{}, err
	}
	resident, gap, lost := spreadOf(all, megabytes), spreadOf(all, unaccounted), spreadOf(all, undelivered)
	requests := spreadOf(all, func(s sample) float64 { return float64(s.ledger.Requests) })
	sec := section{
		title: "A million users, a connection for each request",
		prose: fmt.Sprintf("All come within a minute, each with a first request, think 5–15 min, and are held for %v. Unaccounted is by how many requests the runner's account and the target's ledger differ, and the account itself does not balance.", b.options.hold),
		tables: []table{{
			head: []string{"requests", "most resident, MB", "bytes a user", "undelivered", "unaccounted", "µs a request", "lag p50 / p99, ms"},
			lines: [][]string{{
				requests.text(digits), resident.text(digits),
				spreadOf(all, func(s sample) float64 { return float64(s.resident) / people }).text(digits),
				lost.text(digits), gap.text(digits),
				spreadOf(all, func(s sample) float64 { return float64(s.perRequest()) / 1e3 }).text(digits),
				spreadOf(all, lagP50).text(digits) + " / " + spreadOf(all, lagP99).text(digits),
			}},
		}},
		goals: []goal{{
			figure: "resident memory, 1,000,000 users with a connection for each request", limit: fmt.Sprintf("at most %d MB, all accounted for", limit),
			measured: resident.text(digits) + " MB, requests " + requests.text(digits) + ", unaccounted " + gap.text(digits),
			reached:  resident.median() <= limit && gap.most() == 0 && requests.median() >= people,
		}},
		failures: failures, commands: commands(all),
	}
	return sec, nil
}
