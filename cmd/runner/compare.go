package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tollgate/internal/compare"
	"tollgate/internal/report"
	"tollgate/pkg/slo"
)

func (a *app) compareCommand() *cobra.Command {
	var l load
	var o runOptions
	var b blockOptions
	cmd := &cobra.Command{
		Use:   "compare A B | compare --base URL --candidate URL SPEC",
		Short: "Set two stored runs, or two running systems, beside each other",
		Long: `compare A B shows how two stored runs differ, row by row, each difference with an
interval. A and B are folders of runs, or result.json files. Runs that are not
alike are refused, and the field in which they differ is named: exit code 4.
The table is advice, and its exit code 0: of one run each, nobody knows how much
two runs of the same system differ.

compare --base URL --candidate URL SPEC decides. It runs the spec against both
systems in turn, in short blocks whose order (A B, B A, A B) meets drift alike,
and asks of the pairs whether the candidate is slower, or fails more, in set-up too. It is
worse (3) if the change is proven and above the margin, no worse (0) if a change
of the margin is excluded, and otherwise open (4). The promises of the spec are
not judged.`,
		Example: `  runner compare results/monday results/tuesday
  runner compare --base http://old.test:8000 --candidate http://new.test:8000 specs/soc.yaml --for 30s
  runner compare --base http://old.test:8000 --candidate http://new.test:8000 specs/soc.yaml --blocks 12 --margin 5%`,
		Args: takes(1, 2, "two stored results, or two systems and a spec"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if b.base == "" && b.candidate == "" {
				return a.compareResults(cmd, args, o.json)
			}
			return a.interruptible(cmd.Context(), func(ctx context.Context) error {
				return a.compareSystems(ctx, args, &l, o, b)
			})
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&b.base, "base", "", "`URL` of the system that is known")
	fs.StringVar(&b.candidate, "candidate", "", "`URL` of the system in question")
	fs.IntVar(&b.blocks, "blocks", compare.DefaultBlocks, "`number` of blocks a side, at least 5")
	fs.StringVar(&b.margin, "margin", percentText(compare.DefaultMargin), "slowdown of p95 from which it matters, as in `10%`")
	l.addFlags(fs)
	o.addFlags(fs)
	fs.Lookup("out").Usage = "`folder` for the reports of the blocks (default: they are not kept)"
	_ = fs.MarkHidden("target")
	_ = cmd.RegisterFlagCompletionFunc("profile", a.completeProfiles)
	return cmd
}

// percentText writes a ratio as flags do: 10%.
func percentText(ratio float64) string {
	return strconv.FormatFloat(math.Round(ratio*1e6)/1e4, 'f', -1, 64) + "%"
}

// confidenceOfResults is that of the intervals between stored runs, both bounds
// together: runs may have been judged with different ones, or with none.
const confidenceOfResults = 0.95

// compareResults shows how two stored runs differ.
func (a *app) compareResults(cmd *cobra.Command, args []string, asJSON bool) error {
	if len(args) != 2 {
		return misuse("write it like "+firstExample(cmd), "compare needs two stored results, or --base and --candidate with a spec")
	}
	idle := ""
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Name != "json" && f.Name != "no-color" && f.Name != "quiet" {
			idle = f.Name
		}
	})
	if idle != "" {
		return misuse("leave it out, or name two systems with --base and --candidate", "--%s means nothing between two stored runs", idle)
	}
	first, err := readResult(args[0])
	if err != nil {
		return err
	}
	second, err := readResult(args[1])
	if err != nil {
		return err
	}
	if why := incomparable(args, first, second); len(why) > 0 {
		return &fault{exit: state{invalid: why}.exit()}
	}
	lines, err := compare.Results(first, second, confidenceOfResults)
	if err != nil {
		return misuse("", "%v", err)
	}
	t := resultTable{names: args, docs: [2]*report.Document{first, second}, lines: lines}
	if asJSON {
		return writeJSON(a.out, t.document())
	}
	_, _ = a.out.Write(t.text()) // the printer keeps the error
	return nil
}

// incomparable says why two stored runs say nothing about each other.
func incomparable(names []string, a, b *report.Document) []string {
	why := unlike(compare.Unlike(a.Fingerprint, b.Fingerprint))
	for i := range why {
		why[i] = fmt.Sprintf("%s and %s cannot be compared: %s", names[0], names[1], why[i])
	}
	for i, d := range []*report.Document{a, b} {
		if !d.Complete {
			why = append(why, fmt.Sprintf("%s cannot be compared: the run did not run to its end", names[i]))
		}
		for _, reason := range d.Record.Invalid {
			why = append(why, fmt.Sprintf("%s cannot be compared: %s", names[i], reason))
		}
	}
	return why
}

// A resultTable is how two stored runs differ, for people and programs.
type resultTable struct {
	names []string
	docs  [2]*report.Document
	lines []compare.Line
}

func (t *resultTable) text() []byte {
	var b bytes.Buffer
	for i, d := range t.docs {
		fmt.Fprintf(&b, "%s: %s, %s → %s, %s\n", [2]string{"A", "B"}[i], t.names[i], d.Name, d.Target, d.Started)
	}
	b.WriteByte('\n')
	var rows [][]string
	told, apart := 0, 0
	for _, l := range t.lines {
		name := strings.TrimSpace(l.Method + " " + l.Row)
		if name == "" {
			name = "all"
		}
		for _, s := range l.Changes {
			interval := s.Why
			if s.Low.Known() {
				told++
				interval = fmt.Sprintf("%s to %s", shiftText(s.Metric, s.Low), shiftText(s.Metric, s.High))
				if s.Beyond() {
					apart++
					interval = "* " + interval
				}
			}
			rows = append(rows, []string{name, s.Metric, metricText(s.Metric, s.A), metricText(s.Metric, s.B), shiftText(s.Metric, s.Change), interval})
			name = ""
		}
	}
	writeTable(&b, []string{"request", "", "A", "B", "change", "interval"}, rows, 2)
	fmt.Fprintf(&b, "\n  * the interval of %.0f %% leaves out that nothing has changed: %d of %d do,\n    and about %d would by chance where nothing has\n",
		confidenceOfResults*100, apart, told, int(math.Ceil(float64(told)*(1-confidenceOfResults))))
	b.WriteString(`  advice, and no verdict: intervals come from within each run, and how much two
  runs of the same system differ is not in them; compare --base --candidate is
`)
	return b.Bytes()
}

// metricText writes what was seen of a metric.
func metricText(metric string, v report.Number) string {
	unit := map[string]slo.Unit{"errors": slo.Ratio, "set-up errors": slo.Ratio, "throughput": slo.PerSecond}[metric]
	switch {
	case !v.Known():
		return "–"
	case unit == 0:
		unit = slo.Seconds
	}
	return slo.FormatValue(float64(v), unit)
}

// shiftText writes how a metric has changed.
func shiftText(metric string, v report.Number) string {
	unit := " %"
	if metric == "errors" || metric == "set-up errors" {
		unit = " points"
	}
	if !v.Known() {
		return "–"
	}
	return compare.Percent(v) + unit
}

// resultDocument is what compare A B --json prints.
type resultDocument struct {
	Version    int            `json:"version"`
	Advisory   bool           `json:"advisory"` // always
	Confidence float64        `json:"confidence"`
	A          comparedRun    `json:"a"`
	B          comparedRun    `json:"b"`
	Rows       []compare.Line `json:"rows"`
}

type comparedRun struct {
	Result  string       `json:"result"`
	Name    string       `json:"name"`
	Target  string       `json:"target"`
	Started report.Stamp `json:"started"`
	RunID   string       `json:"run_id"`
	Verdict slo.Overall  `json:"verdict"`
}

func (t *resultTable) document() resultDocument {
	run := func(i int) comparedRun {
		d := t.docs[i]
		return comparedRun{t.names[i], d.Name, d.Target, d.Started, d.Generator.RunID, d.Overall}
	}
	return resultDocument{Version: 1, Advisory: true, Confidence: confidenceOfResults, A: run(0), B: run(1), Rows: t.lines}
}
