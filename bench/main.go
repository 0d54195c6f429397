//go:build linux

// Command bench measures the runner beside the load generators that people use
// today, against a target that counts for itself, and writes RESULTS.md. Each
// client has one core and the target another; runs alternate, so that a noisy
// minute is noisy for all; figures are medians with their range, and ratios are
// taken within a round. Clients that are not installed are named as skipped. All
// of it takes an hour and a half; with -within 30m it takes fewer rounds. It
// sends load to loopback alone. Benchmarks of single functions are go
// benchmarks, and not here.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// A scenario measures one thing that the runner claims.
type scenario struct {
	name    string
	about   string
	measure func(context.Context, *bench) (section, error)
}

var scenarios = []scenario{
	{"cpu", "CPU per request, one core saturated", cpuPerRequest},
	{"tls", "CPU per request over TLS, and over HTTP/2", cpuOverTLS},
	{"recording", "what one sample costs", recording},
	{"memory", "memory of many users with their own connections", memory},
	{"million", "memory of a million users with a connection for each request", million},
	{"length", "memory of 100,000 requests and of 10 million", length},
	{"open", "20,000 arrivals a second, on time", punctuality},
	{"truth", "percentiles against the target's truth", percentiles},
}

// options are the flags.
type options struct {
	rounds, peerRounds int
	seconds, hold      time.Duration
	within             time.Duration
	only, clients      string
	runner, out        string
	noise              float64
}

func run(ctx context.Context) error {
	var o options
	flag.IntVar(&o.rounds, "rounds", 7, "`number` of rounds of the runner and of wrk")
	flag.IntVar(&o.peerRounds, "peer-rounds", 5, "`number` of rounds of all other clients")
	flag.DurationVar(&o.seconds, "for", 5*time.Second, "`length` of a run that saturates its core")
	flag.DurationVar(&o.hold, "hold", 30*time.Second, "how long many users are held")
	flag.DurationVar(&o.within, "within", 0, "`length` of the whole, as in 30m: from when its share of it is over, a scenario begins no other round than its first; 0: all rounds")
	flag.StringVar(&o.only, "only", "", "`scenarios` to measure, as in cpu,truth (default all: "+names()+")")
	flag.StringVar(&o.clients, "clients", "", "`clients` to measure beside the runner, as in wrk,k6 (default all that are installed)")
	flag.Float64Var(&o.noise, "noise", 0, "`share` of a core, as in 0.3: wait for others to use less, and take a run again, twice at most, in which they used more; 0: take all as they come")
	flag.StringVar(&o.runner, "runner", "", "`path` of a built runner (default: it is built from this source)")
	flag.StringVar(&o.out, "out", filepath.Join("bench", "RESULTS.md"), "`file` for the results; - is stdout")
	flag.Parse()
	chosen, err := o.chosen()
	if err != nil {
		return err
	}

	b, err := prepare(ctx, o)
	if err != nil {
		return err
	}
	defer b.remove()
	var sections []section
	for i, s := range chosen {
		b.log("%s: %s", s.name, s.about)
		b.until = b.began.Add(o.within * time.Duration(i+1) / time.Duration(len(chosen)))
		sec, err := s.measure(ctx, b)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		sections = append(sections, sec)
	}
	text := b.results(sections)
	if o.out == "-" {
		_, err = os.Stdout.WriteString(text)
		return err
	}
	return os.WriteFile(o.out, []byte(text), 0o644)
}

func names() string {
	var all []string
	for _, s := range scenarios {
		all = append(all, s.name)
	}
	return strings.Join(all, ",")
}

// chosen are the scenarios that the flags ask for.
func (o options) chosen() ([]scenario, error) {
	if o.rounds < 1 || o.peerRounds < 0 || o.seconds < time.Second || o.hold < time.Second {
		return nil, errors.New("-rounds is at least 1, -for and -hold at least 1s")
	}
	if o.only == "" {
		return scenarios, nil
	}
	var chosen []scenario
	for name := range strings.SplitSeq(o.only, ",") {
		i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("-only %s: there are %s", name, names())
		}
		chosen = append(chosen, scenarios[i])
	}
	return chosen, nil
}
