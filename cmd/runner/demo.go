package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"

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
  runner demo soc --listen 127.0.0.1:8000     only the system, to point a run at
  runner demo web --tls-ca ca.pem             one that has all of HTTP, over TLS
  runner demo eriop --store memory            one that has logins and rows`,
		Args: takes(0, 0, "nothing"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.interruptible(cmd.Context(), func(ctx context.Context) error { return a.demo(ctx, o) })
		},
	}
	o.addFlags(cmd.Flags())
	cmd.AddCommand(a.demoSOCCommand(), a.demoWebCommand(), a.demoERIOPCommand())
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
	return a.demoSystemCommand("soc", "SOC demo system", demo.DefaultKnobs(),
		ready(func(o demo.Options) http.Handler { return demo.NewSOC(o) }))
}

func (a *app) demoWebCommand() *cobra.Command {
	return a.demoSystemCommand("web", "web demo system", demo.Knobs{},
		ready(func(o demo.Options) http.Handler { return demo.NewWeb(o) }))
}

// An opening makes a demo system, and says how to let go of what it holds.
type opening func(context.Context, demo.Options) (system http.Handler, done func() error, err error)

// ready opens a system that holds nothing.
func ready(system func(demo.Options) http.Handler) opening {
	return func(_ context.Context, o demo.Options) (http.Handler, func() error, error) {
		return system(o), func() error { return nil }, nil
	}
}

// demoSystemCommand serves one of the demo systems.
func (a *app) demoSystemCommand(name, title string, knobs demo.Knobs, open opening) *cobra.Command {
	var listen string
	var seed uint64
	var s speech
	cmd := &cobra.Command{
		Use:   name,
		Short: "Serve the " + title + " until a signal ends it",
		Long: name + ` serves the ` + title + ` on the loopback interface. It keeps a ledger of
all requests at /_ledger, and misbehaves as its knobs say; they can be turned
while it runs, by POST /_knobs.

With --tls it speaks HTTPS, HTTP/1.1 or HTTP/2 as the client chooses, with a
certificate of an authority that it makes for itself; --tls-ca writes that
authority's certificate to a file, for clients to trust.`,
		Example: `  runner demo ` + name + ` --listen 127.0.0.1:8000
  runner demo ` + name + ` --listen 127.0.0.1:8443 --tls-ca ca.pem
  runner demo ` + name + ` --listen 127.0.0.1:0 --latency 300ms --errors 0.02`,
		Args: takes(0, 0, "nothing"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := knobs.Validate(); err != nil {
				return misuse("runner demo "+name+" --help lists the knobs", "%v", err)
			}
			return a.interruptible(cmd.Context(), func(ctx context.Context) error {
				options, err := s.options(listen)
				if err != nil {
					return err
				}
				system, done, err := open(ctx, demo.Options{Seed: seed, Knobs: knobs})
				if err != nil {
					return err
				}
				server, err := demo.Start(listen, system, options...)
				if err != nil {
					return errors.Join(misuse("--listen 127.0.0.1:0 takes any free port", "%v", err), done())
				}
				fmt.Fprintf(a.out, "%s on %s (ledger: /_ledger, knobs: /_knobs)\n", title, server.URL)
				<-ctx.Done()
				return errors.Join(server.Close(), done())
			})
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:8000", "`address` on the loopback interface; port 0 is any free one")
	cmd.Flags().BoolVar(&s.tls, "tls", false, "speak HTTPS: HTTP/1.1, or HTTP/2 if the client prefers it")
	cmd.Flags().StringVar(&s.ca, "tls-ca", "", "with --tls: write the certificate that clients are to trust to this `file`")
	cmd.Flags().BoolVar(&s.h2c, "h2c", false, "in clear, take HTTP/2 beside HTTP/1.1")
	cmd.Flags().Uint64Var(&seed, "seed", 0, "`number` that decides ids, jitter and faults")
	cmd.Flags().AddFlagSet(knobFlags(&knobs))
	return cmd
}

// A speech is how a demo system speaks.
type speech struct {
	tls, h2c bool
	ca       string // file for the authority's certificate; it asks for TLS
}

// options makes the certificate for the host of an address, and leaves the
// authority's in its file.
func (s speech) options(listen string) ([]demo.ServerOption, error) {
	switch secure := s.tls || s.ca != ""; {
	case secure && s.h2c:
		return nil, misuse("leave --h2c out: over TLS, HTTP/2 is there anyway", "--h2c is HTTP/2 in clear, and --tls is not")
	case s.h2c:
		return []demo.ServerOption{demo.Speaking(demo.HTTP1, demo.H2C)}, nil
	case !secure:
		return nil, nil
	}
	names := []string{"localhost", "127.0.0.1", "::1"}
	if host, _, err := net.SplitHostPort(listen); err == nil && host != "" && !slices.Contains(names, host) {
		names = append(names, host)
	}
	authority := demo.NewAuthority()
	if s.ca != "" {
		if err := os.WriteFile(s.ca, authority.PEM(), 0o644); err != nil {
			return nil, misuse("--tls-ca FILE is a file to write", "%v", err)
		}
	}
	return []demo.ServerOption{demo.OverTLS(authority.Config(names...))}, nil
}

// knobFlags are the knobs of a demo system as flags.
func knobFlags(k *demo.Knobs) *pflag.FlagSet {
	plain := flag.NewFlagSet("knobs", flag.ContinueOnError)
	k.RegisterFlags(plain)
	fs := pflag.NewFlagSet("knobs", pflag.ContinueOnError)
	fs.AddGoFlagSet(plain)
	return fs
}
