package report

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"

	"tollgate/pkg/slo"
)

// TextOptions choose how the end-of-run screen is drawn.
type TextOptions struct {
	Width int  // columns; 0: 100
	Color bool // ANSI colours
}

const (
	defaultWidth = 100
	minWidth     = 60 // narrower screens wrap by themselves
	maxKinds     = 8  // of failures on the screen; all are in result.json
	maxReasons   = 8
)

// Text writes the end-of-run screen: what was seen, what was promised, and as
// its last line the verdict and why it is what it is.
func (d *Document) Text(w io.Writer, o TextOptions) error {
	s := screen{width: o.Width, color: o.Color}
	if s.width == 0 {
		s.width = defaultWidth
	}
	s.width = max(s.width, minWidth)

	s.heading(d)
	s.requests(d)
	s.clocks(d)
	s.failures(d)
	s.probes(d)
	s.promises(d)
	s.small(d)
	s.verdict(d)
	_, err := w.Write(s.out.Bytes())
	return err
}

// screen gathers lines of at most so many columns.
type screen struct {
	out   bytes.Buffer
	width int
	color bool
}

// The colours, as ANSI codes.
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

func (s *screen) paint(text string, codes ...string) string {
	if !s.color || text == "" {
		return text
	}
	return "\x1b[" + strings.Join(codes, ";") + "m" + text + "\x1b[0m"
}

// paragraph writes wrapped text behind a lead; later lines stand under the first word.
func (s *screen) paragraph(lead, text string, codes ...string) {
	indent := strings.Repeat(" ", width(lead))
	for i, line := range wrap(text, s.width-width(lead)) {
		if i > 0 {
			lead = indent
		}
		s.out.WriteString(strings.TrimRight(lead+s.paint(line, codes...), " ") + "\n")
	}
}

func (s *screen) heading(d *Document) {
	name := d.Name
	if d.Spec.Profile != "" {
		name += " · " + d.Spec.Profile
	}
	if d.Target != "" {
		name += " · " + d.Target
	}
	s.out.WriteString(s.paint(fit(name, s.width), bold) + "\n")
	if load := d.load(); load != "" {
		s.paragraph("", load)
	}
	if d.Started != "" {
		s.paragraph("", fmt.Sprintf("%s, %s in all", d.Started, span(d.Elapsed)), dim)
	}
	s.out.WriteByte('\n')
}

// narrow tells whether there is no room for what only helps the eye.
func (s *screen) narrow() bool { return s.width < defaultWidth }

// named is a table of numbers of requests, which name gives the first cells for.
func (s *screen) named(header ...string) table {
	if s.narrow() {
		return table{header: header, left: 1}
	}
	return table{header: append([]string{""}, header...), left: 2, stretch: 1}
}

func (s *screen) name(method, name string) []string {
	if s.narrow() {
		return []string{strings.TrimSpace(method + " " + name)}
	}
	return []string{method, name}
}

// requests is the table of rows.
func (s *screen) requests(d *Document) {
	if len(d.Rows) == 0 {
		s.paragraph("  ", "no request was sent")
		s.out.WriteByte('\n')
		return
	}
	t := s.named("request", "requests", "failed", "req/s", "p50", "p95", "p99", "max")
	work, setup := d.byWork()
	unbounded := false
	line := func(r *Row, name string) []string {
		failed := r.failed()
		if s.narrow() {
			failed = count(r.Failures)
		}
		if r.Failures > 0 {
			failed = s.paint(failed, red)
		}
		times := r.Response.three()
		times = append(times, shown(r.Response.Max, r.Response.Count))
		unbounded = unbounded || slices.Contains(times, "∞")
		return append(append(s.name(r.Method, name), count(r.Requests), failed, rate(r.PerSecond)), times...)
	}
	for i := range work {
		t.rows = append(t.rows, line(&work[i], work[i].title()))
	}
	t.foot = append(t.foot, line(&d.Total, "all"))
	for i := range setup {
		t.foot = append(t.foot, line(&setup[i], setup[i].title()))
	}
	s.table(t)
	caption := "whole run, warm-up and ramps included"
	if unbounded {
		caption += "; ∞: failed or never sent, so slower than every limit"
	}
	s.paragraph("  ", caption, dim)
	s.out.WriteByte('\n')
}

// clocks is the table of the rows whose requests waited before they were sent.
func (s *screen) clocks(d *Document) {
	t := s.named("waited before being sent", "response p50", "p95", "p99", "service p50", "p95", "p99")
	for _, r := range d.Rows {
		if r.Apart {
			t.rows = append(t.rows, slices.Concat(s.name(r.Method, r.title()), r.Response.three(), r.Service.three()))
		}
	}
	if len(t.rows) == 0 {
		return
	}
	s.table(t)
	s.out.WriteByte('\n')
}

func (s *screen) failures(d *Document) {
	if len(d.Failures) == 0 {
		return
	}
	t := table{header: []string{"failures", "request", "class", "what happened"}, right: 1, left: 4, stretch: 3}
	for _, f := range d.Failures[:min(len(d.Failures), maxKinds)] {
		name := fit(title(f.Row, f.Setup), 32)
		t.rows = append(t.rows, []string{count(f.Count), strings.TrimSpace(f.Method + " " + name), string(f.Class), f.Message})
	}
	s.table(t)
	if more := len(d.Failures) - maxKinds; more > 0 {
		s.paragraph("  ", fmt.Sprintf("and %s more in result.json", plural(more, "kind")), dim)
	}
	s.out.WriteByte('\n')
}

// promises is the list of objectives.
func (s *screen) promises(d *Document) {
	own, holding := d.own()
	if len(own)+len(holding) == 0 {
		return
	}
	t := table{header: []string{"", "promised", "seen", "during", "requests"}, left: 4, stretch: 1}
	for _, o := range own {
		t.rows = append(t.rows, []string{s.mark(o.Verdict), o.title(), o.Observed, fit(o.during(), 24), count(o.Requests)})
		t.under = append(t.under, o.evidence())
	}
	if len(own) > 0 {
		s.table(t)
	}
	for _, text := range holding {
		s.paragraph("  "+s.mark(slo.Pass)+"  ", text)
	}
	s.out.WriteByte('\n')
}

func (s *screen) mark(v slo.Verdict) string {
	switch v {
	case slo.Pass:
		return s.paint("✓", green)
	case slo.Fail:
		return s.paint("✗", red)
	}
	return s.paint("?", yellow)
}

// small is the accounting and the notes.
func (s *screen) small(d *Document) {
	switch {
	case !d.Accounting.Balanced:
		s.paragraph("  ", "the accounts do not add up: "+d.Accounting.balance(), red)
		for _, f := range d.Accounting.Faults {
			s.paragraph("    ", f, red)
		}
	case d.Accounting.Planned > 0:
		s.paragraph("  ", "every request accounted for: "+d.Accounting.balance(), dim)
	}
	for _, n := range d.notes() {
		s.paragraph("  ", n, dim)
	}
	s.out.WriteByte('\n')
}

func (s *screen) verdict(d *Document) {
	word, why := d.Headline()
	if d.Overall != slo.OverallPass {
		reasons := d.Reasons
		if len(reasons) > 0 && reasons[0] == why {
			reasons = reasons[1:]
		}
		for _, r := range reasons[:min(len(reasons), maxReasons)] {
			s.paragraph("  - ", r)
		}
		if more := len(reasons) - maxReasons; more > 0 {
			s.paragraph("    ", fmt.Sprintf("and %s more in verdict.json", plural(more, "reason")), dim)
		}
		if len(reasons) > 0 {
			s.out.WriteByte('\n')
		}
	}
	color := map[slo.Overall]string{slo.OverallPass: green, slo.OverallFail: red}[d.Overall]
	if color == "" {
		color = yellow
	}
	if code := "exit code " + d.exit(); why == "" {
		why = code
	} else if why != code {
		why += " · " + code
	}
	s.paragraph(s.paint(word, bold, color)+"  ", why)
}

// table is cells in columns.
type table struct {
	header  []string
	rows    [][]string
	under   []string   // by row: what stands below it, "" for nothing
	foot    [][]string // below a rule
	right   int        // the columns [right, left) are flush left,
	left    int        // all others flush right
	stretch int        // the column that gives way where the screen is narrow
}

const gutter = 2 // columns before each cell

func (s *screen) table(t table) {
	lines := append(append([][]string{t.header}, t.rows...), t.foot...)
	used := 0
	for column := range t.header {
		widest := 0
		for _, cells := range lines {
			widest = max(widest, width(cells[column]))
		}
		if used += gutter; column != t.stretch {
			used += widest
		}
	}
	for _, cells := range lines {
		cells[t.stretch] = fit(cells[t.stretch], max(s.width-used, 12))
	}

	align := make([]tw.Align, len(t.header))
	for i := range align {
		align[i] = tw.AlignRight
		if i >= t.right && i < t.left {
			align[i] = tw.AlignLeft
		}
	}
	var b bytes.Buffer
	w := tablewriter.NewTable(&b,
		tablewriter.WithEastAsian(tw.Off), // the same columns in every locale
		tablewriter.WithHeaderAutoFormat(tw.Off),
		tablewriter.WithHeaderAutoWrap(tw.WrapNone),
		tablewriter.WithRowAutoWrap(tw.WrapNone),
		tablewriter.WithTrimSpace(tw.Off),
		tablewriter.WithPadding(tw.Padding{Right: strings.Repeat(" ", gutter), Overwrite: true}),
		tablewriter.WithHeaderAlignmentConfig(tw.CellAlignment{PerColumn: align}),
		tablewriter.WithRowAlignmentConfig(tw.CellAlignment{PerColumn: align}),
		tablewriter.WithRenderer(renderer.NewBlueprint(tw.Rendition{
			Borders:  tw.BorderNone,
			Settings: tw.Settings{Separators: tw.SeparatorsNone, Lines: tw.LinesNone},
		})),
	)
	w.Header(lines[0])
	err := w.Bulk(lines[1:])
	if err == nil {
		err = w.Render()
	}
	if err != nil {
		panic("report: table: " + err.Error()) // cells are strings, and a buffer takes them all
	}
	drawn := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
	widest := 0
	for i, line := range drawn {
		drawn[i] = strings.TrimRight(line, " ")
		widest = max(widest, width(drawn[i]))
	}
	indent := strings.Repeat(" ", gutter)
	rule := indent + s.paint(strings.Repeat("─", widest), dim) + "\n"
	for i, line := range drawn {
		if i == 0 {
			line = s.paint(line, dim)
		}
		if i == 1 || len(t.foot) > 0 && i == 1+len(t.rows) {
			s.out.WriteString(rule)
		}
		s.out.WriteString(indent + line + "\n")
		if r := i - 1; r >= 0 && r < len(t.under) && t.under[r] != "" {
			s.paragraph(indent+"   ", t.under[r], dim)
		}
	}
}
