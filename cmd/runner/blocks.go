package main

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"tollgate/internal/compare"
	"tollgate/internal/report"
	"tollgate/pkg/exec"
	"tollgate/pkg/slo"
	"tollgate/pkg/spec"
)

// blockOptions are the flags of a comparison of two systems.
type blockOptions struct {
	base, candidate string
	blocks          int
	margin          string
}

// mostBlocks is more than a day of the shortest blocks.
const mostBlocks = 1000

// A contest is a comparison of two systems.
type contest struct {
	app   *app
	specs [2]*spec.Spec // by side
	seed  uint64
	// load runs one side once, and returns the document of the run and how it
	// ended: whatever is in the state ends the contest.
	load func(ctx context.Context, s *spec.Spec, seed uint64) (*report.Document, state)
	keep func(turn int, side compare.Side, d *report.Document) error

	blocks int
	rules  compare.Rules
	seen   []turn
}

// turn is one block as it took place.
type turn struct {
	side  compare.Side
	block compare.Block
}

// compareSystems runs a spec against two systems in turn.
func (a *app) compareSystems(ctx context.Context, args []string, l *load, o runOptions, b blockOptions) error {
	c, err := a.contest(args, l, o, b)
	if err != nil {
		return err
	}
	// Nothing is sent to one that would be for nothing.
	for side, s := range c.specs {
		if reasons := refusals(ctx, s, o); reasons != nil {
			f := &fault{exit: state{refused: reasons}.exit()}
			f.reasons[0] = fmt.Sprintf("%s: %s", compare.Side(side), f.reasons[0])
			return f
		}
		if _, err := exec.Preflight(ctx, s, exec.PreflightOptions{Allow: o.allow}); err != nil {
			f := &fault{exit: notReady(ctx, err).exit()}
			f.reasons[0] = fmt.Sprintf("%s: %s", compare.Side(side), f.reasons[0])
			return f
		}
	}
	if !o.quiet {
		c.announce()
	}
	verdict := c.play(ctx, o.quiet)
	d := compare.Decide(c.pairs(), c.rules)
	verdict.verdict, verdict.unkept = d.Overall, d.Reasons
	x := verdict.exit()
	if o.json {
		if err := writeJSON(a.out, c.document(d, x)); err != nil {
			return err
		}
	} else {
		_, _ = a.out.Write(c.text(d, x)) // the printer keeps the error
	}
	if x.code == pass {
		return a.undelivered()
	}
	return &fault{exit: x, told: !o.json}
}

// contest reads the command line of a comparison.
func (a *app) contest(args []string, l *load, o runOptions, b blockOptions) (*contest, error) {
	switch {
	case b.base == "" || b.candidate == "":
		return nil, misuse("give both", "--base and --candidate name the two systems")
	case len(args) != 1:
		return nil, misuse("leave --base and --candidate out to compare two results", "compare of two systems takes one spec")
	case l.flags.Changed("target"):
		return nil, misuse("leave --target out", "--base and --candidate are the targets")
	case b.blocks < compare.LeastBlocks || b.blocks > mostBlocks:
		return nil, misuse("fewer prove hardly anything", "--blocks: %d is not between %d and %d", b.blocks, compare.LeastBlocks, mostBlocks)
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	margin, err := quantity("margin", b.margin, spec.ParsePercent)
	if err != nil {
		return nil, err
	}
	if margin == 0 {
		return nil, misuse("write --margin 10%", "--margin: %s is no slowdown that could matter", b.margin)
	}
	src, err := readSpec(args[0])
	if err != nil {
		return nil, err
	}
	c := &contest{app: a, blocks: b.blocks, rules: compare.Rules{Margin: margin, Confidence: slo.DefaultConfidence}}
	if c.seed, err = l.randomSeed(); err != nil {
		return nil, err
	}
	descriptors := maxConnections()
	for side, url := range []string{b.base, b.candidate} {
		l.target = url
		p, err := a.plan(src, l, descriptors)
		if err != nil {
			return nil, err
		}
		if err := o.checkDriver(p.Spec); err != nil {
			return nil, err
		}
		c.specs[side] = blockSpec(p.Spec)
	}
	if k := c.specs[0].Confidence; !k.Off && k.Level > 0 {
		c.rules.Confidence = k.Level
	}
	c.rules.Errors = c.specs[0].ErrorGuard
	if o.out != "" {
		if err := report.Prepare(o.out); err != nil {
			return nil, &fault{exit: state{notStored: []string{err.Error()}}.exit()}
		}
		c.keep = func(turn int, side compare.Side, d *report.Document) error {
			dir := filepath.Join(o.out, fmt.Sprintf("%02d-%s", turn, side))
			if err := report.Prepare(dir); err != nil {
				return err
			}
			return report.Write(dir, d)
		}
	}
	o.quiet, o.changes = true, l.overrides()
	c.load = func(ctx context.Context, s *spec.Spec, seed uint64) (*report.Document, state) {
		p, err := exec.Compile(s, exec.Options{Seed: seed, MaxConnections: descriptors})
		if err != nil {
			return nil, state{badSpec: []string{err.Error()}}
		}
		e := a.drive(ctx, p, o)
		doc, _ := e.report(o)
		if e.result != nil {
			e.state.invalid = e.result.Invalid()
		}
		return doc, e.state
	}
	return c, nil
}

// blockSpec is a spec as a block runs it: with a warm-up of its own, because
// caches have cooled down while it was the other side's turn; and in full,
// because a block that ended early for what it saw would be another load.
func blockSpec(s *spec.Spec) *spec.Spec {
	out := *s
	out.SLOs = slices.Clone(s.SLOs)
	for i := range out.SLOs {
		out.SLOs[i].Abort = false
	}
	out.Stages, out.Probes = nil, nil // the promises are not judged
	warm := false
	for _, st := range s.Stages {
		own := *st
		own.ForMax = 0
		warm = warm || own.Shape == spec.Warmup
		if !warm && (own.Shape == spec.Steady || own.Shape == spec.Spike) {
			warm = true
			out.Stages = append(out.Stages, &spec.Stage{
				Name: freeName(s, "warmup"), Shape: spec.Warmup, Pos: own.Pos, Level: own.Level, Ramp: own.Ramp, Personas: own.Personas,
				For: own.For / warmShare,
			})
			own.Ramp = spec.Ramp{} // the level is reached
		}
		out.Stages = append(out.Stages, &own)
	}
	return &out
}

// warmShare is the part of a hold that comes before it as a warm-up, where the
// spec has none.
const warmShare = 5

// freeName returns a name that no stage has.
func freeName(s *spec.Spec, name string) string {
	taken := func(st *spec.Stage) bool { return st.Name == name }
	for slices.ContainsFunc(s.Stages, taken) {
		name += "-"
	}
	return name
}

// announce says what is about to happen, and how long it takes.
func (c *contest) announce() {
	s := c.specs[0]
	fmt.Fprintf(c.app.err, "%s: base %s, candidate %s, random seed %d\n", title(s), s.Target.URL, c.specs[1].Target.URL, c.seed)
	p, err := exec.Compile(s, exec.Options{Seed: c.seed})
	if err != nil {
		return // the first block tells
	}
	each := p.Forecast(assumedLatency).Duration
	fmt.Fprintf(c.app.err, "  %d blocks a side of about %s, %s in all (--for shortens a block)\n",
		c.blocks, each.Round(time.Millisecond), (each * time.Duration(2*c.blocks)).Round(time.Second))
	for _, st := range s.Stages {
		judged := "not counted"
		if st.Shape == spec.Steady || st.Shape == spec.Spike {
			judged = "counted"
		}
		fmt.Fprintf(c.app.err, "  %s: %s, %s\n", st.Name, st.For, judged)
	}
}

// mostAgain is how many blocks in all are run again because the generator, and
// not the target, was at fault. That is decided without a look at what the
// target did, so it favours neither side.
const mostAgain = 3

// play runs all blocks, and returns what ended it early, if anything did.
func (c *contest) play(ctx context.Context, quiet bool) (s state) {
	order := compare.Order(c.blocks)
	again := 0
	for i, side := range order {
		// Both blocks of a pair draw alike.
		d, ended := c.load(ctx, c.specs[side], c.seed+uint64(i/2))
		for ended.exit().code == inconclusive && len(ended.invalid) > 0 && again < mostAgain {
			again++
			if !quiet {
				fmt.Fprintf(c.app.err, "  block %d/%d %-9s  once more: %s\n", i+1, len(order), side, ended.invalid[0])
			}
			d, ended = c.load(ctx, c.specs[side], c.seed+uint64(i/2))
		}
		if ended.verdict = slo.OverallPass; ended.exit().code != pass {
			block := fmt.Sprintf("block %d of %d (%s): ", i+1, len(order), side)
			for _, reasons := range []*[]string{&ended.internal, &ended.interrupted, &ended.badSpec, &ended.refused, &ended.unreachable, &ended.invalid} {
				for k := range *reasons {
					(*reasons)[k] = block + (*reasons)[k]
				}
			}
			return ended
		}
		if c.keep != nil {
			if err := c.keep(i+1, side, d); err != nil {
				return state{notStored: []string{err.Error()}}
			}
		}
		b := compare.BlockOf(d)
		c.seen = append(c.seen, turn{side, b})
		if !quiet {
			fmt.Fprintf(c.app.err, "  block %d/%d %-9s  p95 %s, %s failed of %s\n", i+1, len(order), side,
				metricText("p95", b.P95), countText(float64(b.Failures)), countText(float64(b.Requests)))
		}
	}
	return state{}
}

// pairs returns the pairs of which both blocks have taken place.
func (c *contest) pairs() []compare.Pair {
	var out []compare.Pair
	for i := 0; i+1 < len(c.seen); i += 2 {
		a, b := c.seen[i], c.seen[i+1]
		if a.side == compare.Candidate {
			a, b = b, a
		}
		out = append(out, compare.Pair{Base: a.block, Candidate: b.block})
	}
	return out
}

// text is the result for people.
func (c *contest) text(d compare.Decision, x exit) []byte {
	var b bytes.Buffer
	var rows [][]string
	add := func(ch compare.Change, verdict string) {
		rows = append(rows, []string{ch.Metric, metricText(ch.Metric, ch.Base), metricText(ch.Metric, ch.Candidate),
			shiftText(ch.Metric, ch.Change), fmt.Sprintf("%s to %s", shiftText(ch.Metric, ch.Low), shiftText(ch.Metric, ch.High)), verdict})
	}
	for _, f := range d.Findings {
		add(f.Change, map[slo.Verdict]string{slo.Pass: "no worse", slo.Fail: "worse"}[f.Verdict])
		if last := rows[len(rows)-1]; last[5] == "" {
			last[5] = "open"
		}
	}
	for _, ch := range d.Seen {
		add(ch, "")
	}
	fmt.Fprintf(&b, "base %s, candidate %s, %d blocks a side in turn\n\n", c.specs[0].Target.URL, c.specs[1].Target.URL, len(c.pairs()))
	if len(rows) > 0 {
		writeTable(&b, []string{"", "base", "candidate", "change", "interval", ""}, rows, 1)
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "  worse: proven with %s confidence, and above the margin (p95 %s, errors %s of requests);\n  no worse: a change of the margin is excluded with the same\n\n",
		percentText(c.rules.Confidence), percentText(c.rules.Margin), percentText(c.rules.Errors))
	word := map[slo.Overall]string{slo.OverallPass: "PASS", slo.OverallFail: "FAIL"}[d.Overall]
	if word == "" || x.code != pass && x.code != breach {
		word = "NOT PROVEN"
	}
	why := "the candidate is no worse"
	if len(x.reasons) > 0 {
		why = x.reasons[0]
	}
	fmt.Fprintf(&b, "%s  %s · exit code %d (%s)\n", word, why, int(x.code), x.code)
	for _, more := range x.reasons[min(1, len(x.reasons)):] {
		fmt.Fprintf(&b, "  - %s\n", more)
	}
	return b.Bytes()
}

// contestDocument is what compare --base --candidate --json prints.
type contestDocument struct {
	Version    int               `json:"version"`
	Verdict    slo.Overall       `json:"verdict"`
	ExitCode   int               `json:"exit_code"`
	Reasons    []string          `json:"reasons"`
	Base       string            `json:"base"`
	Candidate  string            `json:"candidate"`
	Confidence float64           `json:"confidence"`
	Findings   []compare.Finding `json:"findings"` // that decide: p95 and errors
	Seen       []compare.Change  `json:"seen"`     // what else has changed
	Blocks     []blockLine       `json:"blocks"`   // in the order in which they ran
}

type blockLine struct {
	Side      string        `json:"side"`
	P50       report.Number `json:"p50"`
	P95       report.Number `json:"p95"`
	P99       report.Number `json:"p99"`
	PerSecond report.Number `json:"per_second"`
	Requests  uint64        `json:"requests"`
	Failures  uint64        `json:"failures"`
}

func (c *contest) document(d compare.Decision, x exit) contestDocument {
	out := contestDocument{
		Version: 1, Verdict: d.Overall, ExitCode: int(x.code), Reasons: append([]string{}, x.reasons...),
		Base: c.specs[0].Target.URL, Candidate: c.specs[1].Target.URL, Confidence: c.rules.Confidence,
		Findings: append([]compare.Finding{}, d.Findings...), Seen: append([]compare.Change{}, d.Seen...), Blocks: []blockLine{},
	}
	if x.code != pass && x.code != breach {
		out.Verdict = slo.OverallInconclusive
	}
	for _, t := range c.seen {
		b := t.block
		out.Blocks = append(out.Blocks, blockLine{t.side.String(), b.P50, b.P95, b.P99, b.PerSecond, b.Requests, b.Failures})
	}
	return out
}
