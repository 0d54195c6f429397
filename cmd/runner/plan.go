package main

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"
	"github.com/spf13/cobra"

	"tollgate/pkg/exec"
	"tollgate/pkg/slo"
	"tollgate/pkg/spec"
)

func (a *app) planCommand() *cobra.Command {
	var l load
	var latency string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "plan SPEC",
		Short: "Show what a run would do; sends nothing",
		Long: `plan shows the load over time, how many requests each row of the report may
expect, how many each promise will see, and how many connections and files the
run needs. It sends nothing, and asks no target anything.`,
		Example: `  runner plan specs/soc.yaml
  runner plan specs/soc.yaml --profile spike --latency 300ms`,
		Args:              takes(1, 1, "a spec"),
		ValidArgsFunction: specFiles,
		RunE: func(_ *cobra.Command, args []string) error {
			assumed, err := quantity("latency", latency, spec.ParseDuration)
			if err != nil {
				return err
			}
			src, err := readSpec(args[0])
			if err != nil {
				return err
			}
			descriptors := maxConnections()
			p, err := a.plan(src, &l, descriptors)
			if err != nil {
				return err
			}
			f, err := foresee(p.Spec, exec.Options{Seed: p.Seed, MaxConnections: descriptors}, assumed)
			if err != nil {
				return misuse("", "%v", err)
			}
			for _, short := range p.Shortages(budget()) {
				fmt.Fprintf(a.err, "warning: on this machine: %s\n", short)
			}
			o := outlook{plan: p, foresight: f, files: descriptors + spareFiles}
			if asJSON {
				return writeJSON(a.out, o.document())
			}
			_, err = a.out.Write(o.text(l.flags.Changed("random-seed")))
			return err
		},
	}
	l.addFlags(cmd.Flags())
	cmd.Flags().StringVar(&latency, "latency", assumedLatency.String(), "`time` that every answer is assumed to take")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the plan as JSON")
	_ = cmd.RegisterFlagCompletionFunc("profile", a.completeProfiles)
	return cmd
}

// An outlook is what a plan would do, for people and programs.
type outlook struct {
	plan *exec.Plan
	*foresight
	files int // that this process may open
}

func (o *outlook) text(seeded bool) []byte {
	var b bytes.Buffer
	f, s := &o.likely, o.spec
	fmt.Fprintf(&b, "%s → %s\n", title(s), s.Target.URL)
	length := spec.FormatDuration(f.Duration)
	if o.mayEndEarly() {
		length = "at most " + length
	}
	fmt.Fprintf(&b, "%s, if every answer takes %s (--latency)", length, spec.FormatDuration(f.Latency))
	if seeded {
		fmt.Fprintf(&b, ", random seed %d", o.plan.Seed)
	}
	b.WriteString("\n\n")

	o.stages(&b)
	o.rows(&b)
	o.promises(&b)
	if s.Seed != nil {
		b.WriteString(seedText(s.Seed))
	}
	fmt.Fprintf(&b, "at most %s and %s; this process may open %s\n",
		counted(f.Connections, "connection"), counted(f.Files, "open file"), countText(float64(o.files)))
	for _, dropped := range s.Dropped {
		fmt.Fprintf(&b, "left out: %s\n", dropped)
	}
	for _, d := range o.doubts() {
		fmt.Fprintf(&b, "warning: %s\n", d.msg)
		if d.hint != "" {
			fmt.Fprintf(&b, "  hint: %s\n", d.hint)
		}
	}
	return b.Bytes()
}

// seedText says which rows a run writes before its load.
func seedText(s *spec.Seed) string {
	var all int64
	var parts []string
	for _, t := range s.Tables {
		all += t.Count
		parts = append(parts, countText(float64(t.Count))+" "+t.As)
	}
	where := s.Where()
	if where == "" {
		where = "a database that is not set"
	}
	return fmt.Sprintf("seeds %s into %s: %s\n", counted(int(all), "row"), where, strings.Join(parts, ", "))
}

// mayEndEarly reports whether a stage ends when its limit is found, or when its
// promises are decided.
func (o *outlook) mayEndEarly() bool {
	return o.likely.Until || slices.ContainsFunc(o.spec.Stages, func(st *spec.Stage) bool { return st.ForMax > 0 })
}

// stages is the table of the load over time.
func (o *outlook) stages(b *bytes.Buffer) {
	header := []string{"stage", "begins", "lasts", "level"}
	closed := slices.ContainsFunc(o.likely.Stages, func(st exec.StageForecast) bool { return !st.Open })
	if closed {
		for _, pe := range o.spec.Personas {
			header = append(header, pe.Name)
		}
	}
	header = append(header, "expected")
	var rows [][]string
	var at time.Duration
	for no, st := range o.likely.Stages {
		name := fmt.Sprintf("%s (%s)", st.Name, st.Shape)
		if st.Name == string(st.Shape) {
			name = st.Name
		}
		for _, pt := range st.Parts {
			if pt.Over <= 0 {
				continue
			}
			lasts := spec.FormatDuration(pt.Over)
			if hold := o.spec.Stages[no]; hold.ForMax > 0 && !pt.Moving {
				lasts = spec.FormatDuration(hold.For) + ".." + lasts
			}
			row := []string{name, clockText(at), lasts, levelText(st, pt)}
			if closed {
				for i := range o.spec.Personas {
					cell := ""
					if i < len(pt.ByPersona) {
						cell = countText(float64(pt.ByPersona[i]))
					}
					row = append(row, cell)
				}
			}
			what := "tasks"
			if st.Open {
				what = "arrivals"
			}
			row = append(row, aboutText(pt.Expected)+" "+what)
			rows = append(rows, row)
			name = ""
			at += pt.Over
		}
	}
	writeTable(b, header, rows, 1)
	for _, st := range o.likely.Stages {
		if st.Open {
			fmt.Fprintf(b, "  %s: %s ready before it begins, at most %s\n", st.Name, counted(st.Pool, "user"), countText(float64(st.Most)))
		}
	}
	b.WriteByte('\n')
}

func levelText(st exec.StageForecast, pt exec.PartForecast) string {
	level := counted(int(pt.Level), "user")
	if st.Open {
		level = rateText(pt.Level)
	}
	switch {
	case st.Shape == spec.Pause:
		return "nobody sends"
	case pt.Moving:
		return "to " + level
	}
	return level
}

// rows is the table of what each row of the report may expect.
func (o *outlook) rows(b *bytes.Buffer) {
	var rows [][]string
	for _, r := range o.likely.Rows {
		name := r.Name
		if r.Setup {
			name += " (set-up)"
		}
		rows = append(rows, []string{name, r.Method, aboutText(r.All), aboutText(r.Judged)})
	}
	writeTable(b, []string{"request", "method", "expected", "judged"}, rows, 2)
	b.WriteByte('\n')
}

// promises is the table of what each promise will see, and whether that can
// decide it; guards are counted.
func (o *outlook) promises(b *bytes.Buffer) {
	var rows [][]string
	guards, floors := 0, false
	for _, pr := range o.prospects {
		if pr.Guard {
			guards++
			continue
		}
		text := pr.Objective.Text
		if pr.Advisory {
			text += " (advisory)"
		}
		floor := "–"
		if pr.floor > 0 {
			floor, floors = countText(pr.floor), true
		}
		stage := pr.Stage
		if pr.Objective.After != "" {
			stage = "after " + stage
		}
		rows = append(rows, []string{text, stage, pr.expects(), floor, string(pr.fate)})
	}
	if len(rows) > 0 {
		writeTable(b, []string{"promise", "stage", "expected", "floor", "decides"}, rows, 2)
	}
	if guards > 0 {
		fmt.Fprintf(b, "  and %s of errors, which the runner adds by itself\n", counted(guards, "implicit guard"))
	}
	switch {
	case len(rows) == 0:
	case o.spec.Confidence.Off:
		b.WriteString("  confidence is off: what is observed decides, however few the requests\n")
	case floors:
		fmt.Fprintf(b, "  floor: effective requests that a proof with %s confidence takes if all are good\n"+
			"  (in windows: enough for each); requests that are slow together count as fewer\n",
			slo.FormatValue(o.spec.Confidence.Level, slo.Ratio))
	}
	b.WriteByte('\n')
}

// expects writes how much a promise will see.
func (pr *prospect) expects() string {
	if m := pr.Objective.Metric; m.Kind == slo.Probe || m.Kind == slo.Delta && pr.Objective.Right.Metric.Kind == 0 {
		return aboutText(pr.expected) + " readings"
	}
	return aboutText(pr.expected)
}

// aboutText writes an expected number, which is rarely whole.
func aboutText(n float64) string {
	switch {
	case math.IsInf(n, 1):
		return "as fast as it answers"
	case n > 0 && n < 1:
		return strconv.FormatFloat(n, 'g', 1, 64)
	case n < 10:
		return strconv.FormatFloat(math.Round(n*10)/10, 'f', -1, 64)
	}
	return countText(math.Round(n))
}

// writeTable aligns columns: the first left ones by their left edge, numbers by their right.
func writeTable(b *bytes.Buffer, header []string, rows [][]string, left int) {
	align := make(tw.Alignment, len(header))
	for i := range align {
		align[i] = tw.AlignRight
		if i < left {
			align[i] = tw.AlignLeft
		}
	}
	var out bytes.Buffer
	t := tablewriter.NewTable(&out,
		tablewriter.WithEastAsian(tw.Off), // the same columns in every locale
		tablewriter.WithHeaderAutoFormat(tw.Off),
		tablewriter.WithHeaderAutoWrap(tw.WrapNone),
		tablewriter.WithRowAutoWrap(tw.WrapNone),
		tablewriter.WithPadding(tw.Padding{Right: "  ", Overwrite: true}),
		tablewriter.WithHeaderAlignmentConfig(tw.CellAlignment{PerColumn: align}),
		tablewriter.WithRowAlignmentConfig(tw.CellAlignment{PerColumn: align}),
		tablewriter.WithRenderer(renderer.NewBlueprint(tw.Rendition{
			Borders:  tw.BorderNone,
			Settings: tw.Settings{Separators: tw.SeparatorsNone, Lines: tw.LinesNone},
		})),
	)
	t.Header(header)
	err := t.Bulk(rows)
	if err == nil {
		err = t.Render()
	}
	if err != nil {
		panic(err) // a buffer takes everything, and the rows are ours
	}
	for line := range strings.Lines(out.String()) {
		b.WriteString("  " + strings.TrimRight(line, " \n") + "\n")
	}
}

// planDocument is what plan --json prints. Durations are seconds.
type planDocument struct {
	Version     int          `json:"version"`
	Name        string       `json:"name"`
	Profile     string       `json:"profile"`
	Target      string       `json:"target"`
	Latency     float64      `json:"latency"` // assumed
	Duration    float64      `json:"duration"`
	Until       bool         `json:"until"` // a stage may end earlier
	Connections int          `json:"connections"`
	Files       int          `json:"files"`
	Stages      []planStage  `json:"stages"`
	Rows        []planRow    `json:"rows"`
	Seed        []planSeed   `json:"seed"` // rows that are written before the load
	SLOs        []planSLO    `json:"slos"`
	Dropped     []string     `json:"dropped"`
	Warnings    []planDoubts `json:"warnings"`
}

type planStage struct {
	Name  string     `json:"name"`
	Shape string     `json:"shape"`
	Open  bool       `json:"open"`
	Pool  int        `json:"pool"` // open: users ready before it begins
	Most  int        `json:"most"` // open: users that the pool may grow to
	Parts []planPart `json:"parts"`
}

type planPart struct {
	Moving   bool           `json:"moving"`
	Seconds  float64        `json:"seconds"`
	Least    float64        `json:"least"` // seconds too: less where the hold ends when it is decided
	Level    float64        `json:"level"` // at its end: users, or arrivals per second
	Personas map[string]int `json:"personas"`
	Expected *float64       `json:"expected"` // arrivals or tasks; null: as fast as the target answers
}

type planRow struct {
	Name     string   `json:"name"`
	Method   string   `json:"method"`
	Setup    bool     `json:"setup"`
	Expected *float64 `json:"expected"`
	Judged   *float64 `json:"judged"`
}

type planSeed struct {
	Table string `json:"table"`
	As    string `json:"as"`
	Rows  int64  `json:"rows"`
}

type planSLO struct {
	SLO      string   `json:"slo"`
	Stage    string   `json:"stage"`
	Guard    bool     `json:"guard"`
	Advisory bool     `json:"advisory"`
	Requests *float64 `json:"requests"` // expected, of a probe readings; null: as many as the target answers
	Floor    *float64 `json:"floor"`    // that a proof takes if all are good; null: any number decides
	Decides  fate     `json:"decides"`  // yes, no, or fails: no run keeps it
}

type planDoubts struct {
	Msg  string `json:"msg"`
	Hint string `json:"hint,omitempty"`
}

func (o *outlook) document() planDocument {
	f, s := &o.likely, o.spec
	d := planDocument{
		Version: 1, Name: s.Name, Profile: s.Profile, Target: s.Target.URL,
		Latency: f.Latency.Seconds(), Duration: f.Duration.Seconds(), Until: o.mayEndEarly(),
		Connections: f.Connections, Files: f.Files,
		Stages: []planStage{}, Rows: []planRow{}, Seed: []planSeed{}, SLOs: []planSLO{},
		Dropped: append([]string{}, s.Dropped...), Warnings: []planDoubts{},
	}
	for no, st := range f.Stages {
		ps := planStage{Name: st.Name, Shape: string(st.Shape), Open: st.Open, Pool: st.Pool, Most: st.Most, Parts: []planPart{}}
		for _, pt := range st.Parts {
			pp := planPart{Moving: pt.Moving, Seconds: pt.Over.Seconds(), Least: pt.Over.Seconds(), Level: pt.Level, Personas: map[string]int{}, Expected: finite(pt.Expected)}
			if hold := s.Stages[no]; hold.ForMax > 0 && !pt.Moving {
				pp.Least = hold.For.Seconds()
			}
			for i, n := range pt.ByPersona {
				pp.Personas[s.Personas[i].Name] = n
			}
			ps.Parts = append(ps.Parts, pp)
		}
		d.Stages = append(d.Stages, ps)
	}
	if s.Seed != nil {
		for _, t := range s.Seed.Tables {
			d.Seed = append(d.Seed, planSeed{t.Table, t.As, t.Count})
		}
	}
	for _, r := range f.Rows {
		d.Rows = append(d.Rows, planRow{r.Name, r.Method, r.Setup, finite(r.All), finite(r.Judged)})
	}
	for _, pr := range o.prospects {
		ps := planSLO{SLO: pr.Objective.Text, Stage: pr.Stage, Guard: pr.Guard, Advisory: pr.Advisory, Requests: finite(pr.expected), Decides: pr.fate}
		if pr.floor > 0 {
			ps.Floor = &pr.floor
		}
		d.SLOs = append(d.SLOs, ps)
	}
	for _, q := range o.doubts() {
		d.Warnings = append(d.Warnings, planDoubts{q.msg, q.hint})
	}
	return d
}

// finite returns a number that JSON can carry, or nil.
func finite(x float64) *float64 {
	if math.IsInf(x, 0) || math.IsNaN(x) {
		return nil
	}
	return &x
}
