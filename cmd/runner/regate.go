package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"tollgate/internal/compare"
	"tollgate/internal/report"
	"tollgate/pkg/slo"
)

// regateOptions are the flags of a regating beside those of the spec.
type regateOptions struct {
	out     string
	json    bool
	noColor bool
}

func (a *app) regateCommand() *cobra.Command {
	var l load
	var o regateOptions
	cmd := &cobra.Command{
		Use:   "regate RESULT SPEC",
		Short: "Judge a stored run by the promises of another spec",
		Long: `regate judges a run that has taken place by promises that it was not run with,
and ends with the exit code that they lead to. RESULT is the folder of a run, or
its result.json. It sends nothing.

Where the run counted the same at the very same limit, that count decides.
Elsewhere the log of seconds does: it has two digits, so the requests next to
the limit may be on either side of it, and count as lost. What a stored run does
not tell has no data. The report says everywhere that it is regated.

SPEC must ask for the load that the run has kept: repeat the flags that changed
it, such as --users. Else the promises are judged and shown, and prove nothing:
exit code 4.`,
		Example: `  runner regate results/soc-20260314-150926 specs/soc.yaml
  runner regate results/soc specs/tight.yaml --profile spike --out results/soc-tight
  runner regate results/soc/result.json specs/soc.yaml --json`,
		Args: takes(2, 2, "a stored result and a spec"),
		RunE: func(_ *cobra.Command, args []string) error {
			doc, err := readResult(args[0])
			if err != nil {
				return err
			}
			src, err := readSpec(args[1])
			if err != nil {
				return err
			}
			p, err := a.plan(src, &l, 0)
			if err != nil {
				return err
			}
			s := p.Spec
			c, err := compare.Regate(doc, p.Layout.Claims)
			if err != nil {
				return misuse("", "%s: %v", args[0], err)
			}
			if !s.Confidence.Off {
				c.AtLooks(doc, s, s.Confidence.Level)
			}
			judging := slo.Options{Confidence: s.Confidence.Level, Off: s.Confidence.Off}
			j := c.Judge(judging)
			unpromised(&j)
			verdict := state{verdict: j.Overall, unkept: j.Reasons, invalid: doc.Record.Invalid}
			mine := report.Fingerprint{Spec: s.Traffic, Load: compare.Load(s)}
			for _, why := range unlike(compare.UnlikeLoad(doc.Fingerprint, mine)) {
				verdict.invalid = append(verdict.invalid, "the stored run had another load than "+args[1]+" asks for: "+why)
			}
			verdict.invalid = append(verdict.invalid, compare.Short(doc, s)...)
			return a.regate(doc, report.Regating{
				Spec: s, Overrides: l.overrides(), Generator: buildVersion(),
				Judgement: j, Claims: c.Claims, Evidence: c.Evidence, Options: judging,
			}, verdict, o)
		},
	}
	l.addFlags(cmd.Flags())
	cmd.Flags().StringVar(&o.out, "out", "", "`folder` for the report of this judgement (default: it is only printed)")
	cmd.Flags().BoolVar(&o.json, "json", false, "print verdict.json instead of the tables")
	cmd.Flags().BoolVar(&o.noColor, "no-color", false, "no colours (also: NO_COLOR=1)")
	return cmd
}

// regate makes the new document, stores and prints it, and ends as it says.
func (a *app) regate(doc *report.Document, r report.Regating, verdict state, o regateOptions) error {
	write := func() *report.Document {
		x := verdict.exit()
		r.ExitCode, r.ExitName, r.Reasons = int(x.code), x.code.String(), x.reasons
		return report.Regate(doc, r)
	}
	judged := write()
	if o.out != "" {
		err := report.Prepare(o.out)
		if err == nil {
			err = report.Write(o.out, judged)
		}
		if err != nil {
			verdict.notStored = []string{err.Error()}
			judged = write()
		}
	}
	if o.json {
		text, err := judged.Verdict().Encode()
		if err != nil {
			return &fault{exit: state{internal: []string{err.Error()}}.exit()}
		}
		_, _ = a.out.Write(text) // the printer keeps the error
	} else {
		options := report.TextOptions{Color: a.colored(a.out, o.noColor)}
		if a.out.terminal() {
			options.Width, _ = a.out.size()
		}
		a.tables(judged, options)
	}
	if err := a.undelivered(); err != nil {
		verdict.notStored = append(verdict.notStored, err.Error())
		if o.out != "" {
			_ = report.Write(o.out, write()) // the files say what the program ends with
		}
		return err
	}
	if o.out != "" && len(verdict.notStored) == 0 {
		fmt.Fprintf(a.err, "report: %s\n", filepath.Join(o.out, "report.html"))
	}
	x := verdict.exit()
	if x.code == pass {
		return nil
	}
	return &fault{exit: x, told: !o.json && len(verdict.notStored) == 0}
}
