package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"
	"sync"

	"tollgate/pkg/slo"
)

// The parts of report.html. chart.js draws one chart and knows nothing of the
// page; report.js puts charts into the page and joins them.
var (
	//go:embed html/page.html
	pageHTML string
	//go:embed html/report.css
	pageCSS string
	//go:embed html/chart.js
	chartJS string
	//go:embed html/report.js
	pageJS string
)

// What report.html lists at most; all of it is in result.json.
const (
	maxPageSLOs     = 200
	maxPageRows     = 500
	maxPageSparks   = 120
	maxPageFailures = 100
	maxPageMessage  = 400 // characters
	maxPageReasons  = 20
)

// html returns report.html, the report that a release is signed off on: one file
// that opens from disk, asks the network for nothing, and whose first screen
// needs no script. The same document gives the same bytes.
func (d *Document) html() ([]byte, error) {
	data, err := json.Marshal(d.charts()) // with < as \u003c
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = pageTemplate().Execute(&b, d.page(data))
	return b.Bytes(), err
}

var pageTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("report.html").Parse(pageHTML))
})

// policy lets the page run and show what it brings along, and nothing else.
var policy = sync.OnceValue(func() string {
	hash := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return "default-src 'none'; style-src " + hash(pageCSS) + "; script-src " + hash(chartJS) + " " + hash(pageJS) +
		"; img-src data:; base-uri 'none'; form-action 'none'"
})

// htmlPage is what the template is filled with. Everything of type string is
// escaped by the template.
type htmlPage struct {
	Policy        string
	CSS           template.CSS
	Chart, Script template.JS
	Data          template.JS
	Icon          template.URL

	Doc       *Document
	Tone      string // pass, fail, doubt
	Mark      string
	Word, Why string
	Exit      string
	Reasons   []string
	Advice    []string
	Warnings  []string
	Figures   []fact
	SLOs      []sloView
	MoreSLOs  int
	Holding   []string
	Facts     []fact
	Faults    []string
	Rows      []rowView
	MoreRows  int
	Setup     bool // some rows are set-up
	Unbounded bool // some latency has no finite value
	Probes    []probeView
	Failures  []failureView
	MoreKinds int
	Lag       string
	Charts    bool // there is a course of time to draw
	Wide      int
	High      int
}

type fact struct {
	Name, Value string
	Note        string
}

type sloView struct {
	Tone, Mark, Word string
	Claim            string
	Tags             []string
	During           string
	Observed, Limit  string
	Counts           []string
	Why              string
	Picture          *picture
}

type rowView struct {
	Group         string // work, setup, total
	Method, Name  string
	Tags          []string
	Cells         []cell
	P95, Rate     string // sparklines
	Waited        bool
	WaitedTooltip string
}

type cell struct {
	Text string
	Sort string
	Bad  bool
}

type probeView struct {
	Cells []string
	Why   string // why it last had no answer
}

type failureView struct{ Count, Row, Class, Message string }

var tones = map[slo.Verdict][3]string{
	slo.Pass: {"pass", "✓", "pass"}, slo.Fail: {"fail", "✗", "fail"},
	slo.Inconclusive: {"doubt", "?", "not proven"}, slo.NoData: {"doubt", "?", "no data"},
}

func (d *Document) page(data []byte) *htmlPage {
	p := &htmlPage{
		Policy: policy(), CSS: template.CSS(pageCSS), Chart: template.JS(chartJS), Script: template.JS(pageJS),
		Data: template.JS(data), Doc: d, Exit: d.exit(), Advice: d.advice(), Charts: len(d.Timeline) > 0,
		Wide: pictureWide, High: pictureHigh, Lag: d.generator(),
	}
	p.Word, p.Why = d.Headline()
	p.Tone, p.Mark = "doubt", "?"
	switch d.Overall {
	case slo.OverallPass:
		p.Tone, p.Mark = "pass", "✓"
	case slo.OverallFail:
		p.Tone, p.Mark = "fail", "✗"
	}
	p.Icon = icon(p.Tone)
	p.reasons(d)
	p.figures(d)
	p.slos(d)
	p.facts(d)
	p.rows(d)
	p.failures(d)
	for i := range d.Probes {
		v := probeView{Cells: d.Probes[i].summary()}
		for _, why := range d.Probes[i].Why {
			if why != "" {
				v.Why = why
			}
		}
		p.Probes = append(p.Probes, v)
	}
	return p
}

// icon is the verdict as the picture of a browser's tab.
func icon(tone string) template.URL {
	sign := map[string]string{
		"pass": "<path d='M4 8.5l3 3 5-6' fill='none' stroke='white' stroke-width='2'/>",
		"fail": "<path d='M5 5l6 6M11 5l-6 6' stroke='white' stroke-width='2'/>",
	}[tone]
	if sign == "" {
		sign = "<path d='M8 4v5M8 11v1.5' stroke='white' stroke-width='2'/>"
	}
	color := map[string]string{"pass": "#00664b", "fail": "#b03a00"}[tone]
	if color == "" {
		color = "#8a5a00"
	}
	svg := "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><circle cx='8' cy='8' r='8' fill='" + color + "'/>" + sign + "</svg>"
	return template.URL("data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString([]byte(svg)))
}

func (p *htmlPage) reasons(d *Document) {
	if d.Overall != slo.OverallPass {
		for _, r := range d.Reasons {
			if r != p.Why {
				p.Reasons = append(p.Reasons, r)
			}
		}
		if more := len(p.Reasons) - maxPageReasons; more > 0 {
			p.Reasons = append(p.Reasons[:maxPageReasons:maxPageReasons], fmt.Sprintf("and %d more in verdict.json", more))
		}
	}
	for _, n := range d.notes() {
		if n != p.Lag && !slices.ContainsFunc(inFacts, func(begin string) bool { return strings.HasPrefix(n, begin) }) {
			p.Warnings = append(p.Warnings, n)
		}
	}
}

// inFacts are how notes begin that the page has among the facts of the run.
var inFacts = []string{"changed on the command line: ", "taken out by that: ", "sent nothing: ", "database: "}

// advice says what to do about a verdict that is no pass.
func (d *Document) advice() (out []string) {
	if d.Overall == slo.OverallPass {
		return nil
	}
	say := func(text string) { out = append(out, text) }
	judged := false // the promises are what the verdict rests on
	switch {
	case d.ExitCode == 9 && d.Overall == slo.OverallFail:
		say("The run was ended by a signal, so what it saw is partial, and a promise was broken in it all the same. Mend the build, or run it again to its end.")
	case d.ExitCode == 9:
		say("The run was ended by a signal, so what it saw is partial and proves nothing. Run it again to its end.")
	case d.ExitCode == 7:
		say("The target did not answer before the load, and none was sent. See that the system is up, or name another place with --target.")
	case d.ExitCode == 6:
		say("The run was refused before any load was sent. The reason names the rule; change the target or the rule, not the gate.")
	case d.ExitCode == 8:
		say("The database could not be filled, so no load was sent, and what had been written was taken back. The reason says where it failed.")
	case d.ExitCode == 11:
		say("The results could not be stored, so nothing vouches for this report. The reason names the file and what to do; run it again then.")
	case d.ExitCode == 10:
		say("The promises were judged, but rows of this run are left in the database. Remove them with the command clean before the next run.")
	case len(d.Record.Invalid) > 0:
		say("The run is invalid: what was measured may be the load generator's doing and not the target's, so no promise can be judged. Use a larger machine or less load, and run it again.")
	case d.Overall == slo.OverallFail:
		say("A promise was broken: this build must not be released on this report. Mend the build, or change the promise in the spec, where the change is seen.")
		judged = true
	default:
		judged = d.ExitCode == 4
	}
	proven, data := true, true
	for i := range d.SLOs {
		if s := &d.SLOs[i]; judged && !s.Advisory {
			proven = proven && s.Verdict != slo.Inconclusive
			data = data && s.Verdict != slo.NoData
		}
	}
	if !proven {
		say("Not proven: the observed value is too near to its limit for so few requests. Hold the stage longer, with --for or in the spec; each promise says how much longer would do.")
	}
	if !data {
		say("No data: a promise saw no request, and what was not seen cannot be green. The command plan shows how many requests each endpoint will see.")
	}
	if len(out) == 0 {
		say("This is no pass, and the exit code is not 0: the reasons say why.")
	}
	if d.ExitCode != 10 && d.Data.Remains() {
		say("Rows of this run may be left in the database: remove them with the command clean.")
	}
	return out
}

// figures are the four numbers that a reader asks for first.
func (p *htmlPage) figures(d *Document) {
	t := &d.Total
	if t.Requests == 0 && t.Issued == 0 {
		return
	}
	failed := "0 %"
	if t.Requests > 0 {
		failed = slo.FormatValue(float64(t.Failures)/float64(t.Requests), slo.Ratio)
	}
	p.Figures = []fact{
		{Name: "Requests", Value: count(t.Requests), Note: "in " + span(d.Elapsed)},
		{Name: "Failed", Value: failed, Note: count(t.Failures) + " of " + count(t.Requests)},
	}
	name, note, l := "p95", "of the whole run", &t.Response
	if t.Judged.Requests > 0 {
		note, l = "while judged", &t.Judged.Response
		p.Figures = append(p.Figures, fact{Name: "Rate", Value: rate(t.Judged.PerSecond) + "/s", Note: "in " + span(d.Held) + " that are judged"})
	} else {
		p.Figures = append(p.Figures, fact{Name: "Rate", Value: rate(t.PerSecond) + "/s", Note: "of the whole run"})
	}
	p.Figures = append(p.Figures,
		fact{Name: name, Value: shown(l.P95, l.Count), Note: note},
		fact{Name: "p99", Value: shown(l.P99, l.Count), Note: note})
}

func (p *htmlPage) slos(d *Document) {
	own, holding := d.own()
	p.Holding = holding
	for i := range own[:min(len(own), maxPageSLOs)] {
		s := &own[i]
		tone := tones[s.Verdict]
		v := sloView{
			Tone: tone[0], Mark: tone[1], Word: tone[2], Claim: s.Claim, During: s.during(),
			Observed: s.Observed, Limit: s.Op + " " + s.Limit, Why: s.Reason, Picture: s.picture(),
		}
		if s.Requests > 0 || s.Verdict == slo.NoData { // users and probes are seen without any
			v.Counts = append(v.Counts, plural(s.Requests, "request"))
		}
		if s.Bad > 0 {
			v.Counts = append(v.Counts, count(s.Bad)+" bad")
		}
		if s.Advisory {
			v.Tags = append(v.Tags, "advisory: decides nothing")
		}
		if s.Guard {
			v.Tags = append(v.Tags, "implicit guard")
		}
		p.SLOs = append(p.SLOs, v)
	}
	p.MoreSLOs = max(0, len(own)-maxPageSLOs)
}

func (p *htmlPage) facts(d *Document) {
	add := func(name, value string) {
		if value != "" {
			p.Facts = append(p.Facts, fact{Name: name, Value: value})
		}
	}
	add("About", d.About)
	add("Spec", d.Spec.File)
	add("Profile", d.Spec.Profile)
	add("Digest", d.Spec.Digest)
	add("Git commit", d.Commit)
	if d.Regated != nil {
		add("Judged by", d.Regated.title()+", after the run")
		add("Its digest", d.Regated.Spec.Digest)
		add("Its overrides", strings.Join(d.Regated.Overrides, " "))
	}
	add("Target", d.Target)
	add("Address", d.Generator.Address)
	add("Certificate", notVerified(d.Insecure))
	if d.Data != nil {
		add("Database", d.Data.sentence())
		add("Digest of the data", d.Data.Digest)
	}
	add("Load", d.load())
	add("Overrides", strings.Join(d.Overrides, " "))
	add("Left out by them", strings.Join(d.Dropped, "; "))
	add("Sent nothing", strings.Join(d.Unreached, ", "))
	add("Started", strings.TrimSuffix(strings.Replace(string(d.Started), "T", " ", 1), "Z")+zulu(d.Started))
	add("Took", span(d.Elapsed))
	add("Generator", strings.Join(strings.Fields(fmt.Sprintf("Tollgate %s %s %s/%s", d.Generator.Version, d.Generator.Go, d.Generator.OS, d.Generator.Arch)), " "))
	if d.Generator.Driver != "" {
		add("Driver", fmt.Sprintf("%s, %s on %s", d.Generator.Driver, plural(d.Generator.Loops, "loop"), plural(d.Generator.Cores, "core")))
	}
	if d.Lag.Count > 0 {
		add("Own lag", fmt.Sprintf("p50 %s, p99 %s, max %s", shown(d.Lag.P50, d.Lag.Count), shown(d.Lag.P99, d.Lag.Count), shown(d.Lag.Max, d.Lag.Count)))
	}
	add("Random seed", fmt.Sprint(d.Generator.Seed))
	add("Run id", d.Generator.RunID)
	add("Exit code", d.exit())
	accounts := "Accounts"
	if !d.Accounting.Balanced && d.Accounting.Planned > 0 {
		accounts = "Accounts that do not add up"
	}
	add(accounts, d.Accounting.balance())
	p.Faults = d.Accounting.Faults[:min(len(d.Accounting.Faults), maxPageReasons)]
}

func zulu(s Stamp) string {
	if strings.HasSuffix(string(s), "Z") {
		return " UTC"
	}
	return ""
}

func notVerified(targets []string) string {
	if len(targets) == 0 {
		return ""
	}
	return "not verified (insecure: true): " + strings.Join(targets, ", ")
}

func (p *htmlPage) rows(d *Document) {
	if len(d.Rows) == 0 {
		return
	}
	length := d.lasted()
	width, bins := binning(length, maxBins)
	add := func(group string, index int, r *Row) {
		v := rowView{Group: group, Method: r.Method, Name: r.Name}
		if group == "total" {
			v.Name = "all requests"
		}
		v.cells(r)
		for _, c := range v.Cells {
			p.Unbounded = p.Unbounded || c.Text == "∞"
		}
		if len(p.Rows) < maxPageSparks {
			b := newBinned(d.seriesOf(index), length, width, bins)
			v.P95, v.Rate = spark(b.P95, b.Beyond.P95), spark(b.Rate, nil)
		}
		p.Rows = append(p.Rows, v)
	}
	add("total", -1, &d.Total)
	for _, group := range []string{"work", "setup"} {
		for i := range d.Rows {
			r := &d.Rows[i]
			if r.Setup != (group == "setup") {
				continue
			}
			p.Setup = p.Setup || r.Setup
			if len(p.Rows) > maxPageRows {
				p.MoreRows++
				continue
			}
			add(group, i, r)
		}
	}
}

func (v *rowView) cells(r *Row) {
	number := func(text string, sort float64) { v.Cells = append(v.Cells, cell{Text: text, Sort: sortKey(sort)}) }
	took := func(n Number, of uint64) {
		sort := float64(n)
		switch {
		case of == 0:
			sort = -1
		case !n.Known():
			sort = 1e9
		}
		number(shown(n, of), sort)
		v.Cells[len(v.Cells)-1].Bad = of > 0 && !n.Known()
	}
	number(count(r.Requests), float64(r.Requests))
	number(count(r.Failures), float64(r.Failures))
	v.Cells[len(v.Cells)-1].Bad = r.Failures > 0
	share, text := -1.0, "–"
	if r.Requests > 0 {
		share = float64(r.Failures) / float64(r.Requests)
		text = slo.FormatValue(share, slo.Ratio)
	}
	number(text, share)
	v.Cells[len(v.Cells)-1].Bad = r.Failures > 0
	perSecond := float64(r.PerSecond)
	if !r.PerSecond.Known() {
		perSecond = -1
	}
	number(rate(r.PerSecond), perSecond)
	for _, n := range []Number{r.Response.P50, r.Response.P95, r.Response.P99, r.Response.P999, r.Response.Max} {
		took(n, r.Response.Count)
	}
	took(r.Service.P95, r.Service.Count)
	if r.Apart {
		v.Waited = true
		v.WaitedTooltip = fmt.Sprintf("requests waited before they were sent: response p50 %s, p95 %s, p99 %s; service p50 %s, p95 %s, p99 %s",
			shown(r.Response.P50, r.Response.Count), shown(r.Response.P95, r.Response.Count), shown(r.Response.P99, r.Response.Count),
			shown(r.Service.P50, r.Service.Count), shown(r.Service.P95, r.Service.Count), shown(r.Service.P99, r.Service.Count))
	}
}

// sortKey writes a number to sort by.
func sortKey(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

func (p *htmlPage) failures(d *Document) {
	for _, f := range d.Failures[:min(len(d.Failures), maxPageFailures)] {
		message := f.Message
		if runes := []rune(message); len(runes) > maxPageMessage {
			message = string(runes[:maxPageMessage]) + "…"
		}
		p.Failures = append(p.Failures, failureView{count(f.Count), strings.TrimSpace(f.Method + " " + title(f.Row, f.Setup)), string(f.Class), message})
	}
	p.MoreKinds = max(0, len(d.Failures)-maxPageFailures)
}
