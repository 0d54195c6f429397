package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tollgate/internal/compare"
	"tollgate/internal/measure"
	"tollgate/internal/probe"
	"tollgate/internal/report"
	"tollgate/pkg/exec"
	"tollgate/pkg/seed"
	"tollgate/pkg/slo"
	"tollgate/pkg/spec"
)

// runOptions are the flags of a run that do not change the test.
type runOptions struct {
	out     string
	allow   []string
	loops   int
	driver  string
	quiet   bool
	json    bool
	format  string // of stdout: text, json or github; "" is text
	csv     string // prefix of the names of Locust's files, "" for none
	noColor bool
	noSeed  bool     // the database is left alone
	keep    bool     // what was seeded stays
	changes []string // what other flags change of the test, as typed
	commit  string   // of the repository around the spec

	baseline *baseline // nil: none
	journal  bool      // keep one in out while the run goes on
}

func (a *app) runCommand() *cobra.Command {
	var l load
	var o runOptions
	var stored, profile string
	cmd := &cobra.Command{
		Use:   "run SPEC",
		Short: "Load the target as a spec says, judge its promises, write the report",
		Long: `run asks whether the target is ready, fills the database that the spec declares,
drives the load, judges the spec's promises, removes the rows again, and leaves a
folder with verdict.json, result.json and the reports made from it. The verdict
goes to stdout, progress to stderr. The exit code says how it ended: see runner
help exit-codes.

SIGINT and SIGTERM end a run early: what is in flight gets two seconds, and a
partial report is written. The same signal for the third time ends it at once.`,
		Example: `  runner run specs/soc.yaml
  runner run specs/soc.yaml --profile spike --out results/spike
  runner run specs/soc.yaml --target http://soc.test:8000 --users 100 --for 5m
  runner run specs/soc.yaml --json > verdict.json`,
		Args:              takes(1, 1, "a spec"),
		ValidArgsFunction: specFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.interruptible(cmd.Context(), func(ctx context.Context) error {
				src, err := readSpec(args[0])
				if err != nil {
					return err
				}
				p, err := a.plan(src, &l, maxConnections())
				if err != nil {
					return err
				}
				o.changes, o.commit = l.overrides(), commitOf(args[0])
				if o.format, err = a.chooseForm(o.format, o.json); err != nil {
					return err
				}
				o.json = o.format == "json"
				if stored != "" {
					if o.baseline, err = a.readBaseline(stored, p); err != nil {
						return err
					}
				}
				stop, err := profiled(profile)
				if err != nil {
					return err
				}
				defer stop()
				return a.run(ctx, p, o)
			})
		},
	}
	l.addFlags(cmd.Flags())
	o.addFlags(cmd.Flags())
	cmd.Flags().StringVar(&profile, "cpu-profile", "", "write to this `file` where the runner itself spends its time, for go tool pprof")
	cmd.Flags().StringVar(&stored, "baseline", "", "stored `result` that SLOs of a baseline are compared with: a folder, or its result.json")
	cmd.Flags().StringVar(&o.format, "format", "auto", "`form` of the results: text, json, github (tables, and annotations on the spec's lines), or auto, which is github in GitHub Actions")
	cmd.Flags().StringVar(&o.csv, "csv", "", "write PREFIX_stats.csv and its siblings too, as Locust's --csv `PREFIX` does")
	_ = cmd.RegisterFlagCompletionFunc("profile", a.completeProfiles)
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(resultForms, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (o *runOptions) addFlags(fs *pflag.FlagSet) {
	fs.SortFlags = false
	fs.StringVar(&o.out, "out", "", "`folder` for the report (default results/NAME-TIME)")
	fs.StringArrayVar(&o.allow, "allow-host", nil, "connect, for the load, probes and the database, only to hosts of this `pattern`: *.test.example, 10.0.0.0/8 (repeatable)")
	fs.IntVar(&o.loops, "loops", 0, "`number` of event loops (default: one for each core)")
	fs.StringVar(&o.driver, "driver", "auto", "`what` carries the load: loop (HTTP/1.1 in clear text, on Linux), conn (everything), or auto")
	fs.BoolVar(&o.noSeed, "no-seed", false, "leave the database alone: its rows are there already, as runner seed leaves them")
	fs.BoolVar(&o.keep, "keep-data", false, "leave the seeded rows in the database, until the next run or runner clean")
	fs.BoolVar(&o.quiet, "quiet", false, "no progress on stderr")
	fs.BoolVar(&o.json, "json", false, "print verdict.json instead of the tables")
	fs.BoolVar(&o.noColor, "no-color", false, "no colours (also: NO_COLOR=1)")
}

// profiled begins a profile of this process; stop ends it.
func profiled(file string) (stop func(), err error) {
	if file == "" {
		return func() {}, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, misuse("", "--cpu-profile: %v", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		f.Close()
		return nil, misuse("", "--cpu-profile: %v", err)
	}
	return func() {
		pprof.StopCPUProfile()
		f.Close()
	}, nil
}

// interruptible runs f under a context that SIGINT and SIGTERM end.
func (a *app) interruptible(parent context.Context, f func(context.Context) error) error {
	// A reader of our output that goes away ends its pipe, and not the run.
	signal.Ignore(syscall.SIGPIPE)
	ctx, release := untilSignal(parent, func() {
		a.canvas.wipe()
		os.Exit(int(interrupted))
	})
	defer release()
	return f(ctx)
}

// run takes a plan all the way to its report and exit code.
func (a *app) run(ctx context.Context, p *exec.Plan, o runOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	if err := o.checkDriver(p.Spec); err != nil {
		return err
	}
	if o.out == "" {
		o.out = newFolder(p.Spec.Name, time.Now())
	}
	err := report.Prepare(o.out)
	if err == nil {
		err = yieldJournal(o.out)
	}
	if err != nil {
		return &fault{exit: state{notStored: []string{err.Error()}}.exit()}
	}
	if o.csv != "" {
		if err := report.PrepareCSV(o.csv); err != nil {
			return &fault{exit: state{notStored: []string{err.Error()}}.exit()}
		}
	}
	if !o.quiet {
		a.announce(p, o)
	}
	o.journal = true
	ended := a.drive(ctx, p, o)
	doc, f := ended.report(o)
	if o.csv != "" { // before the folder, whose verdict.json tells that it failed
		if err := report.WriteCSV(o.csv, doc); err != nil {
			ended.state.notStored = append(ended.state.notStored, err.Error())
			doc, f = ended.report(o)
		}
	}
	if err := ended.store(o.out, doc); err != nil {
		ended.state.notStored = append(ended.state.notStored, err.Error())
		doc, f = ended.report(o)
	}
	if err := a.tell(doc, ended, o); err != nil {
		// The files say what the program ends with.
		ended.state.notStored = append(ended.state.notStored, err.Error())
		doc, _ = ended.report(o)
		_ = report.Write(o.out, doc) // or else they say less
		return err
	}
	if f.code == pass {
		return nil
	}
	f.told = ended.result != nil && !o.json && len(ended.state.notStored) == 0
	return f
}

// check finds the faults of flags that no parser of one value could.
func (o *runOptions) check() error {
	const mostLoops = 1024
	if o.loops < 0 || o.loops > mostLoops {
		return misuse("leave it out to have one for each core", "--loops: %d is not between 1 and %d", o.loops, mostLoops)
	}
	return nil
}

// checkDriver refuses a driver that cannot serve the spec.
func (o *runOptions) checkDriver(s *spec.Spec) error {
	if _, err := exec.DriverOf(s, o.driverName()); err != nil {
		return misuse("leave it out to have the one that fits", "--driver: %v", err)
	}
	return nil
}

// driverName is the driver as exec names it.
func (o *runOptions) driverName() string {
	if o.driver == "auto" {
		return ""
	}
	return o.driver
}

// newFolder returns a folder for results that does not exist yet.
func newFolder(name string, now time.Time) string {
	base := filepath.Join("results", slug(name)+"-"+now.Format("20060102-150405"))
	for dir, n := base, 2; ; n++ {
		if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) || n > 1000 {
			return dir
		}
		dir = fmt.Sprintf("%s-%d", base, n)
	}
}

// slug returns a name as a part of a path.
func slug(name string) string {
	keep := func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		}
		return '-'
	}
	return strings.Map(keep, name)
}

// announce says what is about to happen.
func (a *app) announce(p *exec.Plan, o runOptions) {
	fmt.Fprintf(a.err, "%s → %s, random seed %d\n", title(p.Spec), p.Spec.Target.URL, p.Seed)
	for _, stage := range stageLines(p) {
		fmt.Fprintf(a.err, "  %s\n", stage)
	}
	if len(o.changes) > 0 {
		fmt.Fprintf(a.err, "  changed: %s\n", strings.Join(o.changes, ", "))
	}
	for _, short := range p.Shortages(budget()) {
		fmt.Fprintf(a.err, "  warning: %s\n", short)
	}
	for _, dropped := range p.Spec.Dropped {
		fmt.Fprintf(a.err, "  left out: %s\n", dropped)
	}
}

// ending is a run that is over, however far it came.
type ending struct {
	plan      *exec.Plan
	runID     string
	result    *exec.Result    // nil: no load was sent
	data      *report.Data    // nil: no database was prepared
	addresses *exec.Addresses // nil: no target was ready
	probes    []*probe.Probe  // that are read beside the load
	started   time.Time
	state     state    // but for the verdict, which report fills in
	journal   *journal // nil: none was kept
}

// drive asks whether the target is ready, and loads it.
func (a *app) drive(ctx context.Context, p *exec.Plan, o runOptions) *ending {
	e := &ending{plan: p, started: time.Now(), runID: newRunID()}
	if reasons := refusals(ctx, p.Spec, o); reasons != nil {
		e.state.refused = reasons
		return e
	}
	to, err := exec.Preflight(ctx, p.Spec, exec.PreflightOptions{Allow: o.allow})
	e.addresses = to
	if err != nil || ctx.Err() != nil {
		e.state = notReady(ctx, err)
		return e
	}
	probes, ends, ok := a.openProbes(ctx, p.Spec, o.allow)
	defer probe.Close(probes)
	if !ok {
		e.state = ends
		return e
	}
	e.probes = probes
	if !o.quiet {
		fmt.Fprintf(a.err, "  ready: %s\n", to)
	}
	if p.Spec.Seed == nil || o.noSeed {
		a.load(ctx, e, o)
		return e
	}
	d, err := a.openDatabase(ctx, p.Spec, seed.Options{RunID: e.runID, RandomSeed: p.Seed, Now: e.started, Allow: o.allow}, false, o.quiet)
	if err == nil {
		defer d.close(ctx)
		e.data = &d.data
		if err = d.take(ctx); err == nil {
			err = d.fill(ctx)
		}
	}
	if err != nil {
		e.state = unpreparedState(err)
		return e
	}
	a.load(d.held, e, o)
	switch err := d.ours(); {
	case errors.Is(err, seed.ErrLost):
		e.state.interrupted = nil
		e.state.invalid = append(e.state.invalid, err.Error())
	case err != nil && o.keep: // or else the cleaning says so
		e.state.cleanFailed = append(e.state.cleanFailed, err.Error())
	}
	if o.keep {
		d.data.Kept = true
	} else if err := d.clean(ctx); err != nil {
		e.state.cleanFailed = append(e.state.cleanFailed, err.Error())
		if ctx.Err() != nil && e.state.interrupted == nil {
			e.state.interrupted = []string{fmt.Sprintf("%v while the database was cleaned", context.Cause(ctx))}
		}
	}
	return e
}

// load drives the load of a run whose target is ready.
func (a *app) load(ctx context.Context, e *ending, o runOptions) {
	p := e.plan
	run := exec.RunOptions{
		Addresses: e.addresses, Loops: o.loops, Driver: o.driverName(), RunID: e.runID, Progress: func(exec.Progress) {},
	}
	var err error
	if o.journal {
		if e.journal, err = e.keepJournal(o, run); err != nil {
			e.state.notStored = []string{err.Error()}
			return
		}
		run.Seconds = e.journal.seconds
	}
	if !o.quiet {
		s := newScreen(a.canvas, p, a.live(), a.colored(a.err, o.noColor))
		defer s.Close()
		run.Progress = func(now exec.Progress) { s.take(now, ctx.Err() != nil) }
	}
	// What is read before the load is what it begins with, and after the drain
	// what it has left: nothing that changes the system comes in between.
	sampler := probe.Begin(ctx, e.probes)
	run.Readings = sampler.Readings
	if e.journal != nil {
		e.journal.readings = sampler.Readings
	}
	e.result, err = exec.Run(ctx, p, run)
	if broken := e.journal.end(); broken != nil {
		e.state.notStored = append(e.state.notStored, broken.Error())
	}
	lastReadings(ctx, sampler)
	if e.result != nil {
		e.result.Readings = sampler.Readings(e.result.Started)
	}
	switch {
	case err != nil:
		e.state.internal = []string{err.Error()}
	case e.result.Interrupted:
		e.state.interrupted = []string{fmt.Sprintf("%v after %s of %s: the results are partial",
			context.Cause(ctx), clockText(e.result.Elapsed), clockText(p.Forecast(assumedLatency).Duration))}
	}
}

// notReady is how a command ends when its target may or can not be loaded, or
// a signal came first.
func notReady(ctx context.Context, err error) state {
	switch {
	case ctx.Err() != nil:
		return state{interrupted: []string{fmt.Sprintf("%v before the first request: no load was sent", context.Cause(ctx))}}
	case errors.Is(err, exec.ErrRefused):
		return state{refused: []string{err.Error()}}
	}
	return state{unreachable: []string{err.Error()}}
}

// live tells whether a picture can be redrawn in place.
func (a *app) live() bool {
	kind, _ := a.env("TERM")
	ci, _ := a.env("CI")
	return a.err.terminal() && kind != "" && kind != "dumb" && ci == ""
}

// colored tells whether a stream is to have colours (see no-color.org).
func (a *app) colored(p *printer, refused bool) bool {
	kind, _ := a.env("TERM")
	none, _ := a.env("NO_COLOR")
	return p.terminal() && kind != "dumb" && none == "" && !refused
}

// outset is what is known of a run before it begins.
func (e *ending) outset(o runOptions) report.Run {
	r := report.Run{
		Spec: e.plan.Spec, Commit: o.commit, Overrides: o.changes, Started: e.started, Data: e.data,
		Generator: report.Generator{
			Version: buildVersion(), Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH,
			Cores: runtime.NumCPU(), Seed: e.plan.Seed,
		},
	}
	if e.addresses != nil {
		r.Generator.Address = e.addresses.String()
	}
	return r
}

// fingerprint is what a run is compared by, its data included.
func fingerprint(r *report.Run) report.Fingerprint {
	f := compare.Fingerprint(r.Spec, r.Generator)
	if r.Data != nil {
		f.Data = r.Data.Digest
	}
	return f
}

// report judges what there is to judge, and makes the document of it and the
// fault that it ends in.
func (e *ending) report(o runOptions) (*report.Document, *fault) {
	s := e.plan.Spec
	r := e.outset(o)
	res := e.result
	if res == nil { // nothing was recorded, and so there is no data for any promise
		res = &exec.Result{Plan: e.plan, Snapshot: measure.NewRecorder(e.plan.Layout).Snapshot()}
	}
	r.Snapshot = res.Snapshot
	if e.result != nil {
		r.Generator.Driver, r.Generator.Loops, r.Generator.RunID = res.Driver, res.Loops, res.RunID
	}
	r.Fingerprint = fingerprint(&r)
	claims, evidence := res.Claims()
	var mismatch []string // of the baseline
	if o.baseline != nil && e.result != nil {
		mismatch = o.baseline.fill(claims, evidence, r.Fingerprint)
	}
	r.Claims, r.Evidence = claims, evidence
	r.Options = slo.Options{Confidence: s.Confidence.Level, Off: s.Confidence.Off}
	r.Judgement = slo.Judge(claims, evidence, r.Options)
	unpromised(&r.Judgement)
	verdict := e.state
	verdict.verdict = r.Judgement.Overall
	if e.result != nil {
		givenUp(res, &r.Judgement)
		verdict.verdict, verdict.unkept = r.Judgement.Overall, r.Judgement.Reasons
		r.Invalid = res.Invalid()
		r.Invalid = append(r.Invalid, e.state.invalid...)
		verdict.invalid = append(mismatch, r.Invalid...)
		r.Spans, r.Users, r.Probes = spans(res.Plan, res.Spans), users(res.Gauges), res.Readings
		r.Health = res.Health
		r.Unreached, r.Broke = res.Unreached(), res.Broke
		r.Started, r.Elapsed, r.Complete = res.Started, res.Elapsed, !res.Interrupted && res.Aborted == ""
	}
	if o.baseline != nil && e.result != nil {
		r.Baseline = o.baseline.name
	}
	x := verdict.exit()
	f := &fault{exit: x}
	if len(e.state.unreachable) > 0 && e.addresses == nil {
		f.hint = "is the system up at " + s.Target.URL + "? --target names another place"
	}
	r.ExitCode, r.ExitName, r.Reasons = int(x.code), x.code.String(), x.reasons
	doc := report.Build(r)
	if doc.Baseline != nil {
		o.baseline.beside(doc)
	}
	return doc, f
}

// givenUp makes a run fail that was ended early because a promise was certain to
// be broken: what was seen of the others until then does not make it good.
func givenUp(res *exec.Result, j *slo.Judgement) {
	if res.Aborted == "" {
		return
	}
	j.Overall = slo.OverallFail
	j.Reasons = append([]string{fmt.Sprintf("given up after %s: %s", clockText(res.Elapsed), res.Aborted)}, j.Reasons...)
}

// unpromised takes a pass away that rests on the implicit guards alone: without
// an objective that decides, nothing was promised, and nothing is proven. One
// against a stored run is advice once there is such a run.
func unpromised(j *slo.Judgement) {
	for _, r := range j.Results {
		if !r.Claim.Guard && !r.Claim.Advisory {
			return
		}
	}
	if j.Overall == slo.OverallPass {
		j.Overall = slo.OverallNone
	}
	j.Reasons = append(j.Reasons, "nothing was promised: the spec has no SLO that decides; add one under slos")
}

// spans tells the course of the run in the words of a report.
func spans(p *exec.Plan, all []exec.Span) []report.Span {
	var out []report.Span
	for _, s := range all {
		st := p.Spec.Stages[s.Stage]
		out = append(out, report.Span{
			Stage: st.Name, Shape: string(st.Shape), Moving: s.Moving, Level: s.Level, Open: st.Level.Open,
			Start: time.Duration(s.Start).Seconds(), End: time.Duration(s.End).Seconds(), Drain: s.Drain,
			Back: p.Layout.Phases[s.Phase].Back,
		})
	}
	return out
}

func users(gauges []exec.Gauge) []report.Users {
	var out []report.Users
	for _, g := range gauges {
		out = append(out, report.Users{At: time.Duration(g.At).Seconds(), Active: g.Active})
	}
	return out
}

// tell prints the results, and where they are. The fault says itself what the
// results do not.
func (a *app) tell(doc *report.Document, e *ending, o runOptions) error {
	switch {
	case o.json:
		text, err := doc.Verdict().Encode()
		if err != nil {
			return &fault{exit: state{internal: []string{err.Error()}}.exit()}
		}
		_, _ = a.out.Write(text) // the printer keeps the error
	case e.result != nil:
		options := report.TextOptions{Color: a.colored(a.out, o.noColor)}
		if a.out.terminal() {
			options.Width, _ = a.out.size()
		}
		a.tables(doc, options)
	}
	if o.format == "github" {
		fmt.Fprint(a.out, doc.Annotations())
	}
	if err := a.undelivered(); err != nil {
		return err
	}
	if len(e.state.notStored) == 0 && !o.quiet {
		fmt.Fprintf(a.err, "report: %s\n", filepath.Join(o.out, "report.html"))
	}
	return nil
}
