package main

import (
	"context"
	"flag"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tollgate/internal/demo"
	"tollgate/pkg/exec"
	"tollgate/pkg/spec"
	"tollgate/specs"
)

func (a *app) demoCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "A whole run against a built-in system, in about 20 seconds",
		Long: `demo starts the SOC demo system inside this process, on a free port of the
loopback interface, runs the shortest profile of its spec against it, prints the
verdict and writes the report. It needs nothing else.`,
		Example: `  runner demo
  runner demo --out results/demo
  runner demo soc --listen 127.0.0.1:8000     only the system, to point a run at`,
		Args: takes(0, 0, "nothing"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.interruptible(cmd.Context(), func(ctx context.Context) error { return a.demo(ctx, o) })
		},
	}
	o.addFlags(cmd.Flags())
	cmd.AddCommand(a.demoSOCCommand())
	return cmd
}

// demo runs the SOC spec against a SOC system of our own.
func (a *app) demo(ctx context.Context, o runOptions) error {
	server, err := demo.Start("127.0.0.1:0", demo.NewSOC(demo.Options{Knobs: demo.DefaultKnobs()}))
	if err != nil {
		return &fault{exit: state{unreachable: []string{fmt.Sprintf("the demo system cannot listen: %v", err)}}.exit()}
	}
	defer server.Close()
	// The system's ends of the connections are files of this process too.
	p, err := a.shortest(server.URL, maxConnections()/2)
	if err != nil {
		return err
	}
	return a.run(ctx, p, o)
}

// shortest returns the plan of the SOC spec's shortest profile.
func (a *app) shortest(target string, descriptors int) (*exec.Plan, error) {
	const name = "specs/soc.yaml"
	parse := func(profile string) (*spec.Spec, error) {
		s, faults := spec.Parse(name, specs.SOC, spec.Options{Profile: profile, Target: target})
		if faults != nil {
			return nil, a.faulty(faults)
		}
		return s, nil
	}
	whole, err := parse("")
	if err != nil {
		return nil, err
	}
	seed := newSeed()
	var best *exec.Plan
	for _, profile := range append([]string{""}, whole.Profiles...) {
		s, err := parse(profile)
		if err != nil {
			return nil, err
		}
		p, err := exec.Compile(s, exec.Options{Seed: seed, MaxConnections: descriptors})
		if err != nil {
			return nil, misuse("", "%v", err)
		}
		if best == nil || p.Forecast(assumedLatency).Duration < best.Forecast(assumedLatency).Duration {
			best = p
		}
	}
	return best, nil
}

func (a *app) demoSOCCommand() *cobra.Command {
	var listen string
	var seed uint64
	knobs := demo.DefaultKnobs()
	cmd := &cobra.Command{
		Use:   "soc",
		Short: "Serve the SOC demo system until a signal ends it",
		Long: `soc serves the SOC demo system on the loopback interface. It keeps a ledger of
all requests at /_ledger, and misbehaves as its knobs say; they can be turned
while it runs, by POST /_knobs.`,
		Example: `  runner demo soc --listen 127.0.0.1:8000
  runner demo soc --listen 127.0.0.1:0 --latency 300ms --errors 0.02`,
		Args: takes(0, 0, "nothing"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := knobs.Validate(); err != nil {
				return misuse("runner demo soc --help lists the knobs", "%v", err)
			}
			return a.interruptible(cmd.Context(), func(ctx context.Context) error {
				server, err := demo.Start(listen, demo.NewSOC(demo.Options{Seed: seed, Knobs: knobs}))
				if err != nil {
					return misuse("--listen 127.0.0.1:0 takes any free port", "%v", err)
				}
				fmt.Fprintf(a.out, "SOC demo system on %s (ledger: /_ledger, knobs: /_knobs)\n", server.URL)
				<-ctx.Done()
				return server.Close()
			})
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:8000", "`address` on the loopback interface; port 0 is any free one")
	cmd.Flags().Uint64Var(&seed, "seed", 0, "`number` that decides ids, jitter and faults")
	cmd.Flags().AddFlagSet(knobFlags(&knobs))
	return cmd
}

// knobFlags are the knobs of a demo system as flags.
func knobFlags(k *demo.Knobs) *pflag.FlagSet {
	plain := flag.NewFlagSet("knobs", flag.ContinueOnError)
	k.RegisterFlags(plain)
	fs := pflag.NewFlagSet("knobs", pflag.ContinueOnError)
	fs.AddGoFlagSet(plain)
	return fs
}
