package main

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"tollgate/internal/probe"
	"tollgate/internal/report"
	"tollgate/pkg/seed"
	"tollgate/pkg/slo"
	"tollgate/pkg/spec"
)

// openProbes makes the probes of a spec ready and reads each once, before
// anything is seeded or sent. One that does not answer ends the run here if a
// promise that decides rests on it: it would have no data. One that nothing
// rests on is a warning. The probes are to be closed; the state is how the run
// ends where it cannot go on.
func (a *app) openProbes(ctx context.Context, s *spec.Spec, allow []string) (all []*probe.Probe, ends state, ok bool) {
	all, err := probe.Open(s.Probes, s.Secrets, allow)
	if err != nil {
		return nil, state{badSpec: []string{err.Error()}}, false
	}
	silent := probe.Check(ctx, all)
	if ctx.Err() != nil {
		return all, notReady(ctx, nil), false
	}
	for _, one := range silent {
		promises := restOn(s, one.Probe)
		if len(promises) > 0 {
			ends.unreachable = append(ends.unreachable,
				fmt.Sprintf("probe %s does not answer: %s; %s rests on it: %s", one.Probe, one.Why, strings.Join(promises, ", "), one.Hint))
			continue
		}
		fmt.Fprintf(a.err, "  warning: probe %s does not answer: %s; nothing that decides rests on it\n", one.Probe, report.Clean(one.Why))
	}
	return all, ends, len(ends.unreachable) == 0
}

// resolveWithin bounds how long the hosts beside the target are looked up.
const resolveWithin = 10 * time.Second

// refusals says which of the probes and the database of a spec are at hosts that
// may not be connected to. It sends them nothing.
func refusals(ctx context.Context, s *spec.Spec, o runOptions) (reasons []string) {
	ctx, cancel := context.WithTimeout(ctx, resolveWithin)
	defer cancel()
	if all, err := probe.Open(s.Probes, s.Secrets, o.allow); err == nil { // else it is told where they are opened to be read
		reasons = probe.Refused(ctx, all)
		probe.Close(all)
	}
	if s.Seed != nil && !o.noSeed {
		if err := seed.Refused(ctx, s, o.allow); err != nil {
			reasons = append(reasons, err.Error())
		}
	}
	return reasons
}

// restOn returns the promises that decide and that a probe is read for.
func restOn(s *spec.Spec, name string) (promises []string) {
	for _, o := range s.SLOs {
		if !o.Advisory && asks(o.Objective, name) {
			promises = append(promises, o.Objective.Text)
		}
	}
	return promises
}

// asks tells whether an objective is about a probe.
func asks(o slo.Objective, name string) bool {
	for _, m := range []slo.Metric{o.Metric, o.Right.Metric} {
		if (m.Kind == slo.Probe || m.Kind == slo.Delta) && m.Name == name {
			return true
		}
	}
	return false
}

// hasty is how long probes may take when a signal has come.
const hasty = time.Second

// lastReadings has the probes read after the drain.
func lastReadings(ctx context.Context, s *probe.Sampler) {
	end, cancel := outliving(ctx, hasty)
	defer cancel()
	s.End(end)
}

// outliving returns a context that ends so much later than ctx.
func outliving(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(by, cancel) })
	return longer, func() {
		stop()
		cancel()
	}
}

// paceOf returns how long lies between two readings of a probe.
func paceOf(s *spec.Spec, name string) time.Duration {
	for _, p := range s.Probes {
		if p.Name == name {
			return probe.Pace(p)
		}
	}
	return 0
}

// readings finds out how often a probe is read in the scope of a promise. Its
// readings are a grid that the stage does not choose: a hold shorter than the
// pace may lie between two of them.
func (f *foresight) readings(pr *prospect) {
	pace := paceOf(f.spec, pr.Objective.Metric.Name).Seconds()
	pr.expected = pr.scope.seconds / pace
	pr.most = pr.expected
	if pr.scope.stage != nil && pr.scope.seconds < pace {
		pr.fate, pr.hint = undecided, "hold at least "+spec.FormatDuration(seconds(pace))
		pr.msg = fmt.Sprintf("may see no reading: the probe is read every %s, and the stage holds for %s",
			spec.FormatDuration(seconds(pace)), spec.FormatDuration(seconds(pr.scope.seconds)))
		if whole := math.Floor(pr.scope.seconds); whole >= 1 {
			pr.hint += ", or read the probe every " + spec.FormatDuration(seconds(whole))
		}
	}
}
