//go:build linux

package main

import (
	"context"
	"errors"
	"slices"
	"time"
)

// alternate takes samples of every cell, client after client, round by round,
// each round beginning with another client: what changes on the machine meets
// all of them. The runner and the reference take part in `rounds` rounds, the
// others in `peerRounds`; with -within there may be fewer. A client that fails is
// told of and left out of the cell.
func (b *bench) alternate(ctx context.Context, cells []cell, rounds, peerRounds int) (all []sample, failures []string, err error) {
	out := map[string]bool{}
	for round := range rounds {
		if round > 0 && b.options.within > 0 && time.Now().After(b.until) {
			b.log("%d of %d rounds: the time for them is over", round, rounds)
			break
		}
		for _, at := range cells {
			clients := slices.Concat(b.clients[round%len(b.clients):], b.clients[:round%len(b.clients)])
			for _, c := range clients {
				if round >= peerRounds && c.name != subject && c.name != reference || out[c.name+at.name] {
					continue
				}
				s, err := b.calmly(ctx, c, at, round)
				switch {
				case errors.Is(err, errIncapable):
					out[c.name+at.name] = true
					continue
				case ctx.Err() != nil:
					return nil, nil, ctx.Err()
				case err != nil:
					b.log("%s, %s: %v", c.name, at.name, err)
					out[c.name+at.name] = true
					failures = append(failures, c.name+" in "+at.name+" (round "+digits(float64(round+1))+"): "+firstLine(err.Error()))
					continue
				}
				b.log("%s, round %d of %d, %s: %d requests, %s each, %s, others used %.0f %% of a core",
					at.name, round+1, rounds, c.name, s.ledger.Requests, micros(s.perRequest()), mebi(s.resident),
					100*s.others.Seconds()/s.lasted.Seconds())
				all = append(all, s)
			}
		}
	}
	b.samples = append(b.samples, all...)
	return all, failures, nil
}

// calmly takes a sample, if it is asked for at a quiet moment: whether a run is
// taken again depends on what everybody else used, and never on what it showed.
func (b *bench) calmly(ctx context.Context, c client, at cell, round int) (sample, error) {
	const again = 2
	for tries := 0; ; tries++ {
		b.settle(ctx)
		s, err := b.take(ctx, c, at, round)
		if err != nil || b.options.noise <= 0 || tries == again || s.others.Seconds() <= b.options.noise*s.lasted.Seconds() {
			return s, err
		}
		b.log("%s, %s: taken again, others used %.0f %% of a core", c.name, at.name, 100*s.others.Seconds()/s.lasted.Seconds())
		b.retaken++
	}
}

// settle waits until the machine is as quiet as was asked for, 20 s at most.
func (b *bench) settle(ctx context.Context) {
	const look = 300 * time.Millisecond
	for range 20 * time.Second / look {
		before := clock()
		if b.options.noise <= 0 || ctx.Err() != nil {
			return
		}
		time.Sleep(look)
		if clock().minus(before).busy.Seconds() <= b.options.noise*look.Seconds() {
			return
		}
	}
}

// of are the samples of one client in one cell.
func of(all []sample, client, cell string) (some []sample) {
	for _, s := range all {
		if s.client == client && s.cell == cell {
			some = append(some, s)
		}
	}
	return some
}

// present are the names of the clients that took part, in their order.
func (b *bench) present(all []sample) (names []string) {
	for _, c := range b.clients {
		if slices.ContainsFunc(all, func(s sample) bool { return s.client == c.name }) {
			names = append(names, c.name)
		}
	}
	return names
}
