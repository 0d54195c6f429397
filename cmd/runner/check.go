package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tollgate/internal/expr"
	"tollgate/internal/report"
	"tollgate/pkg/exec"
	"tollgate/pkg/spec"
)

// A finding is what check has to say about one place of a spec.
type finding struct {
	spec.Fault
	Severity string `json:"severity"`
}

// The severities.
const (
	severe = "error"   // exit code 5
	mild   = "warning" // exit code 0
)

// checked is a spec file and what was found in it.
type checked struct {
	file     string
	profiles int
	unproven []string // the profiles with confidence: off, "" for the file as it stands
	findings []finding
}

// checking is what check looks for.
type checking struct {
	profile string        // that alone is warned for; "": all
	latency time.Duration // that every answer is assumed to take
	strict  bool          // a promise that no run can prove is a fault
}

func (c *checked) faulty() bool {
	return slices.ContainsFunc(c.findings, func(f finding) bool { return f.Severity == severe })
}

func (a *app) checkCommand() *cobra.Command {
	var format, latency string
	var ch checking
	printers := map[string]func([]checked) error{
		"text": a.printFindings, "json": a.printFindingsJSON, "github": a.printAnnotations,
	}
	cmd := &cobra.Command{
		Use:   "check SPEC...",
		Short: "Find every fault of specs, at file:line:col, and promises that no run can prove",
		Long: `check reads specs under each of their profiles and prints every fault with its
place and what to do about it. It also warns of promises that the load of the
spec cannot keep or prove, such as a p99 over 120 requests, and says which
length or level would do; with --strict they are faults. It sends nothing.`,
		Example: `  runner check specs/soc.yaml
  runner check --strict --latency 300ms specs/soc.yaml
  runner check --format github specs/*.yaml`,
		Args:              takes(1, 1000, "at least one spec"),
		ValidArgsFunction: specFiles,
		RunE: func(_ *cobra.Command, args []string) error {
			show := printers[format]
			if show == nil {
				hint := "the formats are text, json and github"
				if near := expr.Nearest(format, []string{"text", "json", "github"}); near != "" {
					hint = "did you mean " + near + "?"
				}
				return misuse(hint, "--format: there is no format %q", format)
			}
			var err error
			if ch.latency, err = quantity("latency", latency, spec.ParseDuration); err != nil {
				return err
			}
			var all []checked
			bad := 0
			for _, name := range args {
				c := a.check(name, ch)
				if c.faulty() {
					bad++
				}
				all = append(all, c)
			}
			if err := show(all); err != nil {
				return err
			}
			if bad > 0 {
				reason := fmt.Sprintf("%d of %d specs are not sound", bad, len(args))
				return &fault{exit: state{badSpec: []string{reason}}.exit(), told: true}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "`form` of the output: text, json or github (annotations)")
	cmd.Flags().BoolVar(&ch.strict, "strict", false, "a promise that the load cannot keep or prove is a fault: exit code 5")
	cmd.Flags().StringVar(&latency, "latency", assumedLatency.String(), "`time` that every answer is assumed to take")
	cmd.Flags().StringVar(&ch.profile, "profile", "", "warn for the profile of this `name` alone (faults are found in all)")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"text", "json", "github"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("profile", a.completeProfiles)
	return cmd
}

// check reads one spec: the file as it stands, and then each of its profiles.
func (a *app) check(name string, ch checking) checked {
	c := checked{file: name}
	src, err := readSpec(name)
	if err != nil {
		var f *fault
		errors.As(err, &f) // readSpec knows no other
		reason := strings.TrimPrefix(f.Error(), name+": ")
		c.findings = []finding{{spec.Fault{Pos: spec.Pos{File: name}, Msg: reason, Hint: f.hint}, severe}}
		return c
	}
	s, faults := spec.Parse(name, src.text, spec.Options{Profile: ch.profile, Env: a.env, ReadFile: src.file, Secret: a.keepSecret})
	if faults != nil {
		for _, f := range faults {
			c.findings = append(c.findings, finding{f, severe})
		}
		return c
	}
	c.profiles = len(s.Profiles)
	variants := []string{ch.profile}
	if ch.profile == "" {
		variants = append(variants, s.Profiles...)
	}
	lines := strings.Split(string(src.text), "\n")
	budget := budget()
	for _, variant := range variants {
		s, faults := spec.Parse(name, src.text, spec.Options{Profile: variant, Env: a.env, ReadFile: src.file, Secret: a.keepSecret})
		if faults != nil {
			continue // Parse has looked at all profiles above
		}
		if s.Confidence.Off {
			c.unproven = append(c.unproven, variant)
		}
		for _, d := range misgivings(s, budget, ch.latency) {
			f := finding{spec.Fault{Pos: d.pos, Msg: d.msg, Hint: d.hint}, mild}
			if ch.strict && !d.machine {
				f.Severity = severe
			}
			if known := slices.ContainsFunc(c.findings, func(g finding) bool { return g.File == f.File && g.Line == f.Line && strings.HasPrefix(g.Msg, f.Msg) }); known {
				continue // the file as it stands has the same
			}
			if variant != "" {
				f.Msg += " (in profile " + variant + ")"
			}
			if n := f.Line - 1; f.File == name && n >= 0 && n < len(lines) {
				f.Source = strings.TrimSuffix(lines[n], "\r")
			}
			c.findings = append(c.findings, f)
		}
	}
	slices.SortStableFunc(c.findings, func(f, g finding) int {
		return cmp.Or(cmp.Compare(f.File, g.File), cmp.Compare(f.Line, g.Line), cmp.Compare(f.Col, g.Col))
	})
	return c
}

// misgivings are the doubts about a spec, and what this machine cannot do.
func misgivings(s *spec.Spec, budget exec.Budget, latency time.Duration) []doubt {
	start := spec.Pos{File: s.File, Line: 1, Col: 1}
	f, err := foresee(s, exec.Options{}, latency)
	if err != nil {
		return []doubt{{pos: start, msg: err.Error()}}
	}
	out := f.doubts()
	p, err := exec.Compile(s, exec.Options{MaxConnections: budget.Files})
	if err != nil {
		return append(out, doubt{pos: start, msg: err.Error()})
	}
	for _, short := range p.Shortages(budget) {
		out = append(out, doubt{pos: start, msg: "on this machine: " + short, machine: true})
	}
	return out
}

// printFindings is for people: the place, the line, a caret, and what to do.
func (a *app) printFindings(all []checked) error {
	for _, c := range all {
		var faults spec.Faults
		for _, f := range c.findings {
			if f.Severity == mild {
				f.Msg = "warning: " + f.Msg
			}
			faults = append(faults, f.Fault)
		}
		if err := faults.Format(a.out); err != nil {
			return err
		}
		if c.faulty() {
			continue
		}
		profiles := ""
		if c.profiles > 0 {
			profiles = fmt.Sprintf(", with %s", counted(c.profiles, "profile"))
		}
		fmt.Fprintf(a.out, "%s: sound%s\n", c.file, profiles)
		if len(c.unproven) > 0 {
			fmt.Fprintf(a.out, "  confidence is off%s: what is observed decides, however few the requests\n", c.whereUnproven())
		}
	}
	return nil
}

// whereUnproven says for which profiles confidence is off.
func (c *checked) whereUnproven() string {
	if c.profiles == 0 {
		return ""
	}
	var places []string
	for _, name := range c.unproven {
		if name == "" {
			places = append(places, " without a profile")
			continue
		}
		places = append(places, " in "+name)
	}
	return strings.Join(places, ",")
}

// printFindingsJSON prints one list of all findings.
func (a *app) printFindingsJSON(all []checked) error {
	list := []finding{}
	for _, c := range all {
		list = append(list, c.findings...)
	}
	return writeJSON(a.out, list)
}

// printAnnotations prints the workflow commands that GitHub shows beside the
// lines of a change.
func (a *app) printAnnotations(all []checked) error {
	for _, c := range all {
		for _, f := range c.findings {
			msg := f.Msg
			if f.Hint != "" {
				msg += "\nhint: " + f.Hint
			}
			fmt.Fprint(a.out, report.Annotation(f.Severity, f.File, max(f.Line, 1), f.Col, "", msg))
		}
	}
	return nil
}

// counted writes 1 profile, 2 profiles.
func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return countText(float64(n)) + " " + what
}
