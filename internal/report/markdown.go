package report

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"tollgate/pkg/slo"
)

// maxListed bounds the tables of summary.md, which job summaries cap in size.
const maxListed = 50

// Markdown returns summary.md, for the job summary of a pipeline: the verdict
// first, then what was promised, what was seen, and what was run.
func (d *Document) Markdown() []byte {
	p := page{}
	word, why := d.Headline()
	sign := map[slo.Overall]string{slo.OverallPass: "✅", slo.OverallFail: "❌"}[d.Overall]
	if sign == "" {
		sign = "⚠️"
	}
	p.printf("## %s %s: %s\n\n", sign, word, escape(d.Name))
	if why != "" {
		p.printf("**%s**, exit code %s\n\n", escape(why), escape(d.exit()))
	} else {
		p.printf("Exit code %s\n\n", escape(d.exit()))
	}
	p.reasons(d)
	p.promises(d)
	p.baseline(d)
	p.requests(d)
	p.failures(d)
	p.probes(d)
	p.run(d)
	return p.Bytes()
}

type page struct{ bytes.Buffer }

func (p *page) printf(format string, args ...any) { fmt.Fprintf(p, format, args...) }

// table writes a table. An align is l or r for each column; cells are text and
// are escaped here.
func (p *page) table(align string, header []string, rows [][]string) {
	p.cells(header)
	p.WriteByte('|')
	for _, a := range align {
		p.WriteString(map[rune]string{'l': " --- |", 'r': " ---: |"}[a])
	}
	p.WriteByte('\n')
	for _, row := range rows[:min(len(rows), maxListed)] {
		p.cells(row)
	}
	p.WriteByte('\n')
	if more := len(rows) - maxListed; more > 0 {
		p.printf("and %d more in `result.json`\n\n", more)
	}
}

func (p *page) cells(row []string) {
	p.WriteByte('|')
	for _, cell := range row {
		p.WriteString(" " + escape(cell) + " |")
	}
	p.WriteByte('\n')
}

func (p *page) reasons(d *Document) {
	if d.Overall == slo.OverallPass || len(d.Reasons) == 0 {
		return
	}
	for _, r := range d.Reasons[:min(len(d.Reasons), maxListed)] {
		p.printf("- %s\n", item(r))
	}
	if more := len(d.Reasons) - maxListed; more > 0 {
		p.printf("- and %d more in `verdict.json`\n", more)
	}
	p.WriteByte('\n')
}

func (p *page) promises(d *Document) {
	own, holding := d.own()
	if len(own) > 0 {
		p.printf("### Promised\n\n")
		var rows [][]string
		for _, s := range own {
			sign := map[slo.Verdict]string{slo.Pass: "✅ pass", slo.Fail: "❌ fail", slo.Inconclusive: "⚠️ not proven", slo.NoData: "⚠️ no data"}[s.Verdict]
			rows = append(rows, []string{sign, s.title(), s.Observed, s.during(), count(s.Requests), count(s.Bad)})
		}
		p.table("llrlrr", []string{"", "Promised", "Seen", "During", "Requests", "Bad"}, rows)
	}
	for _, text := range holding {
		p.printf("✅ %s\n\n", escape(text))
	}
}

func (p *page) requests(d *Document) {
	if len(d.Rows) == 0 {
		p.printf("No request was sent.\n\n")
		return
	}
	p.printf("### Seen\n\n")
	var rows [][]string
	add := func(r *Row, name string) {
		l := &r.Response
		rows = append(rows, slices.Concat(
			[]string{strings.TrimSpace(r.Method + " " + name), count(r.Requests), r.failed(), rate(r.PerSecond), rate(r.Judged.PerSecond)},
			l.three(), []string{shown(l.P999, l.Count), shown(l.Max, l.Count)}))
	}
	work, setup := d.byWork()
	add(&d.Total, "all") // first, because a long table is cut
	for i := range work {
		add(&work[i], work[i].title())
	}
	for i := range setup {
		add(&setup[i], setup[i].title())
	}
	p.table("lrrrrrrrrr", []string{"Request", "Requests", "Failed", "Req/s", "Held req/s", "p50", "p95", "p99", "p99.9", "Max"}, rows)

	rows = nil
	for _, r := range d.Rows {
		if r.Apart {
			rows = append(rows, slices.Concat([]string{strings.TrimSpace(r.Method + " " + r.title())}, r.Response.three(), r.Service.three()))
		}
	}
	if len(rows) > 0 {
		p.table("lrrrrrr", []string{"Waited before being sent", "Response p50", "p95", "p99", "Service p50", "p95", "p99"}, rows)
	}
}

func (p *page) failures(d *Document) {
	if len(d.Failures) == 0 {
		return
	}
	p.printf("### Failures\n\n")
	var rows [][]string
	for _, f := range d.Failures {
		rows = append(rows, []string{count(f.Count), strings.TrimSpace(f.Method + " " + title(f.Row, f.Setup)), string(f.Class), f.Message})
	}
	p.table("rlll", []string{"Failures", "Request", "Class", "What happened"}, rows)
}

func (p *page) run(d *Document) {
	p.printf("### Run\n\n")
	var rows [][]string
	add := func(what, value string) {
		if value != "" {
			rows = append(rows, []string{what, value})
		}
	}
	add("About", d.About)
	add("Spec", d.Spec.File)
	add("Digest", d.Spec.Digest)
	add("Git commit", d.Commit)
	add("Profile", d.Spec.Profile)
	add("Target", d.Target)
	add("Address", d.Generator.Address)
	add("Load", d.load())
	if d.Data != nil {
		add("Digest of the data", d.Data.Digest)
	}
	add("Started", string(d.Started))
	add("Took", span(d.Elapsed))
	add("Runner", strings.TrimSpace(fmt.Sprintf("%s %s %s/%s", d.Generator.Version, d.Generator.Go, d.Generator.OS, d.Generator.Arch)))
	add("Random seed", fmt.Sprint(d.Generator.Seed))
	add("Run id", d.Generator.RunID)
	accounts := "Accounts"
	if !d.Accounting.Balanced {
		accounts = "Accounts that do not add up"
	}
	add(accounts, d.Accounting.balance())
	for _, f := range d.Accounting.Faults {
		add("", f)
	}
	for _, n := range d.notes() {
		add("Note", n)
	}
	p.table("ll", []string{"", ""}, rows)
}

// escape writes text so that Markdown shows it as it is, in a table or a line
// that something else begins: whatever could be read as a sign of structure, a
// link, a mention or a tag becomes a character reference, which by its rules
// never is one. An underscore inside a word and a colon before a digit or a
// space mean nothing and stay.
func escape(s string) string {
	var b strings.Builder
	runes := []rune(s)
	at := func(i int) rune {
		if i < 0 || i >= len(runes) {
			return ' '
		}
		return runes[i]
	}
	for i, r := range runes {
		sign := false
		switch r {
		case '|', '\\', '`', '*', '[', ']', '~', '$', '#', '@', '!', '&', '<', '>':
			sign = true
		case '_':
			sign = !wordRune(at(i-1)) || !wordRune(at(i+1))
		case ':':
			sign = at(i+1) != ' ' && !digit(at(i+1))
		case '.':
			sign = i >= 3 && strings.EqualFold(string(runes[i-3:i]), "www")
		}
		if sign {
			reference(&b, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// reference writes a character reference.
func reference(b *strings.Builder, r rune) {
	switch r {
	case '&':
		b.WriteString("&amp;")
	case '<':
		b.WriteString("&lt;")
	case '>':
		b.WriteString("&gt;")
	default:
		fmt.Fprintf(b, "&#%d;", r)
	}
}

// item is escape for a text at the start of a line or list item, where a dash
// or a number with a dot begins a list.
func item(s string) string {
	digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
	if digits == len(s) || !strings.ContainsRune("-+=.)", rune(s[digits])) {
		return escape(s)
	}
	var b strings.Builder
	b.WriteString(s[:digits])
	reference(&b, rune(s[digits]))
	return b.String() + escape(s[digits+1:])
}

func wordRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || digit(r) || r == '_'
}

func digit(r rune) bool { return r >= '0' && r <= '9' }
