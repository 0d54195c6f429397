package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"
	"pgregory.net/rapid"

	"tollgate/internal/measure"
	"tollgate/pkg/slo"
)

func htmlOf(t testing.TB, d *Document) []byte {
	t.Helper()
	b, err := d.html()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// stored returns a document as it comes back from result.json.
func stored(t testing.TB, d *Document) *Document {
	t.Helper()
	data, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	out, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// lasting is a run of so many seconds and endpoints, each called once a second,
// with a slow minute in its middle.
func lasting(t testing.TB, seconds int64, endpoints int) Run {
	var steps []measure.Step
	for i := range endpoints {
		name := fmt.Sprintf("/api/v1/things/%02d", i)
		steps = append(steps, measure.Step{Persona: "agent", Task: "all", Endpoint: name, Name: name, Method: "GET"})
	}
	p := newPlay(t, steps, "p95 < 200ms", "p99 < 400ms", `p95{endpoint="/api/v1/things/03"} < 150ms`, "errors < 1%", "throughput > 10/s")
	p.estimated = true
	p.rec.Origin(ramp, 60*sec)
	p.rec.Origin(hold, 120*sec)
	draw := uint64(1)
	chance := func() float64 { // xorshift
		draw ^= draw << 13
		draw ^= draw >> 7
		draw ^= draw << 17
		return float64(draw>>11) / (1 << 53)
	}
	for i := range int64(60) {
		p.ok(warm, login, i*sec, 30*ms)
	}
	for s := range seconds {
		phase, slow := hold, 1.0
		switch {
		case s < 60:
			phase = warm
		case s < 120:
			phase = ramp
		case s > seconds/2 && s < seconds/2+60:
			slow = 3
		}
		for e := range endpoints {
			due := s*sec + int64(e)*sec/int64(endpoints)
			took := int64(slow * (8 + 3*float64(e) + 20*math.Exp(1.2*(chance()+chance()+chance()-1.5))) * float64(ms))
			if chance() < 0.002 {
				p.fail(phase, e+1, due, took, measure.Status, 503, "")
			} else {
				p.ok(phase, e+1, due, took)
			}
		}
		p.run.Users = append(p.run.Users, Users{At: float64(s) + 0.01, Active: []int{min(int(s)+1, 60), min(int(s)/2+1, 30)}})
		p.run.Health = append(p.run.Health, measure.Health{At: (s + 1) * sec, CPU: 0.2 + 0.2*chance(), LagP99: 1e-4 + 1e-3*chance(), Sent: uint64(endpoints), GCPause: 1e-4, Judged: phase == hold})
	}
	end := float64(seconds)
	p.run.Spans = []Span{
		{Stage: "warmup", Shape: "warmup", Level: 30, Start: 0, End: 60},
		{Stage: "steady", Shape: "steady", Moving: true, Level: 90, Start: 60, End: 120},
		{Stage: "steady", Shape: "steady", Level: 90, Start: 120, End: end},
	}
	return p.finish(end)
}

// finish judges a play whose hold lasted from 120 s to the end.
func (p *play) finish(end float64) Run {
	p.run.Elapsed = time.Duration(end * 1e9)
	s := p.rec.Snapshot()
	p.run.Snapshot = s
	var evidence []slo.Evidence
	for i := range p.layout.Claims {
		evidence = append(evidence, s.Evidence(i, end-120, nil))
	}
	p.run.Judgement = slo.Judge(p.layout.Claims, evidence, slo.Options{Confidence: 0.95})
	p.run.Reasons = p.run.Judgement.Reasons
	p.run.ExitCode, p.run.ExitName = 0, "pass"
	return p.run
}

func TestSameDocumentGivesTheSamePage(t *testing.T) {
	for name, play := range plays {
		d := Build(play(t))
		one := htmlOf(t, d)
		if !bytes.Equal(one, htmlOf(t, d)) {
			t.Errorf("%s: two pages of one document differ", name)
		}
		if diff := cmp.Diff(string(one), string(htmlOf(t, stored(t, d)))); diff != "" {
			t.Errorf("%s: the page of the stored document differs:\n%s", name, diff)
		}
	}
}

// element is a tag with the names of its attributes.
func element(n *html.Node) string {
	var names []string
	for _, a := range n.Attr {
		names = append(names, a.Key)
	}
	return n.Data + " " + strings.Join(names, " ")
}

// skeleton is every element of a page, in order, with its attributes' names.
func skeleton(t testing.TB, page []byte) (out []string) {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		switch n.Type {
		case html.ElementNode:
			out = append(out, element(n))
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "src" ||
					a.Key == "href" && !strings.HasPrefix(a.Val, "#") && !strings.HasPrefix(a.Val, "data:image/svg+xml;base64,") {
					t.Errorf("%s has %s=%q", n.Data, a.Key, a.Val)
				}
			}
		case html.CommentNode:
			t.Errorf("a comment: %q", n.Data)
		}
	}
	return out
}

// injections are at least 200 texts by which a target might break out.
func injections() (out []string) {
	cores := []string{
		"<script>alert(1)</script>", "</script><script>alert(1)</script>", "<!--<script>", "--><img src=x onerror=alert(1)>",
		"<img src=x onerror=alert(1)>", "<svg/onload=alert(1)>", "<svg><script>alert(1)</script></svg>", "<iframe srcdoc='<script>alert(1)</script>'>",
		"</title><script>alert(1)</script>", "</style><style>*{display:none}</style>", "<style>@import url(//evil.test)</style>", "<base href=//evil.test/>",
		"<meta http-equiv=refresh content='0;url=//evil.test'>", "<link rel=stylesheet href=//evil.test>", "<form action=//evil.test><input name=x>",
		"\" onmouseover=\"alert(1)", "' onfocus='alert(1)' autofocus='", "` onload=alert(1) `", "x onerror=alert(1) y", "javascript:alert(1)",
		"&lt;script&gt;alert(1)&lt;/script&gt;", "&#60;b&#62;", "&quot;><b>", "]]><b>", "{{.Doc}}{{template \"x\"}}", "${alert(1)}", "\\u003cscript\\u003e", "\\\"><b>",
		"<\x00script>alert(1)</script>", "<scr\u2028ipt>\u2029", "\x1b[31m<b>\x1b[0m", "\u202e<b>", "\xff<b>\xfe", "</table></section></main><h1>PASS</h1>", "</textarea></noscript><b>", "<details open ontoggle=alert(1)>",
	}
	for _, around := range []string{"%s", "a%sz", "\"%s", "'%s", ">%s<", "--%s", "</td>%s", "\\%s"} {
		for _, c := range cores {
			out = append(out, fmt.Sprintf(around, c))
		}
	}
	return out
}

func TestNoTextBreaksOutOfThePage(t *testing.T) {
	texts := injections()
	if len(texts) < 200 {
		t.Fatalf("only %d texts", len(texts))
	}
	d := Build(failing(t))
	for _, list := range []*[]string{&d.Insecure, &d.Overrides, &d.Dropped, &d.Unreached, &d.Accounting.Faults, &d.Record.Invalid} {
		*list = append(*list, "x")
	}
	d.Regated = &Regated{Overrides: []string{"x"}}
	d.Data = &Data{Where: "x", Digest: "x", Tables: []SeededTable{{Table: "x", As: "x"}}}
	d.Probes = []Probe{{Name: "x", At: []float64{1, 2}, Value: []Number{1, none}, Why: []string{"x", "x"}}}
	page := func(text string) []byte {
		editStrings(d, false, func(string) string { return clean(text) }) // as Build and Decode do
		for i := range d.SLOs {
			d.SLOs[i].Op = "<" // of a closed set, as the schema says
		}
		return htmlOf(t, d)
	}
	want := skeleton(t, page("x"))
	for i, text := range texts {
		got := page(text)
		if diff := cmp.Diff(want, skeleton(t, got)); diff != "" {
			t.Fatalf("%q changes the page (-without +with):\n%s", text, diff)
		}
		for _, r := range string(got) {
			if unicode.IsControl(r) && r != '\n' || r == '\u2028' || r == '\u202e' {
				t.Fatalf("%q leaves %U in the page", text, r)
			}
		}
		if i%40 == 0 && !bytes.Equal(got, htmlOf(t, stored(t, d))) {
			t.Fatalf("%q is another page when it was stored", text)
		}
	}
}

// Words of closed sets cannot be chosen by a target; if one came through, it
// would be as harmless.
func TestNoWordBreaksOutOfThePage(t *testing.T) {
	d := Build(failing(t))
	page := func(text string) []byte {
		editStrings(d, true, func(string) string { return text })
		return htmlOf(t, d)
	}
	want := skeleton(t, page("x"))
	for i, text := range injections() {
		if i%3 > 0 {
			continue
		}
		if diff := cmp.Diff(want, skeleton(t, page(text))); diff != "" {
			t.Fatalf("%q changes the page (-without +with):\n%s", text, diff)
		}
	}
}

func TestPolicyAllowsNothingButWhatThePageBringsAlong(t *testing.T) {
	root, err := html.Parse(bytes.NewReader(htmlOf(t, Build(failing(t)))))
	if err != nil {
		t.Fatal(err)
	}
	var policies, styles, scripts []string
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		attr := map[string]string{}
		for _, a := range n.Attr {
			attr[a.Key] = a.Val
		}
		switch {
		case n.Data == "meta" && attr["http-equiv"] == "Content-Security-Policy":
			policies = append(policies, attr["content"])
		case n.Data == "style":
			styles = append(styles, n.FirstChild.Data)
		case n.Data == "script" && attr["type"] == "":
			scripts = append(scripts, n.FirstChild.Data)
		}
	}
	if !slices.Equal(styles, []string{pageCSS}) || !slices.Equal(scripts, []string{chartJS, pageJS}) {
		t.Error("styles or scripts of the page are not those that the policy has hashes of")
	}
	if len(policies) != 1 || !strings.HasPrefix(policies[0], "default-src 'none'; ") || strings.Contains(policies[0], "unsafe") || strings.Count(policies[0], "'sha256-") != 3 {
		t.Errorf("policy: %q", policies)
	}
}

func TestPageNeedsNoScriptForItsFirstScreen(t *testing.T) {
	page := string(htmlOf(t, Build(failing(t))))
	before, _, _ := strings.Cut(page, `id="data"`)
	for _, want := range []string{
		">FAIL<", "no finite p95, promised &lt; 100ms (steady), and 1 more", "3 (breach)",
		"p99{endpoint=trigger} &lt; 1s", "179 ms", "39.1 % slow or failed of 361", "3 implicit error guards hold",
		"specs/soc.yaml", "sha256:abab", "--users 20 --for 10s", "the stage is gone", "r-7f3a", "planned 456 = issued 456",
		"GET</span> weekly report", "status 503", "waited",
	} {
		if !strings.Contains(before, want) {
			t.Errorf("%q is not in the page", want)
		}
	}
}

func TestEveryVerdictSaysWhatToDoUnlessItIsAPass(t *testing.T) {
	for name, play := range plays {
		d := Build(play(t))
		advice := d.advice()
		if pass := d.Overall == slo.OverallPass; pass != (len(advice) == 0) {
			t.Errorf("%s (%v): %q", name, d.Overall, advice)
		}
	}
	d := Build(estimating(t))
	if !strings.Contains(strings.Join(d.advice(), " "), "Hold the stage longer") {
		t.Errorf("not proven: %q", d.advice())
	}
	d.Record.Invalid = []string{"the generator was late by 40 ms"}
	if strings.Contains(strings.Join(d.advice(), " "), "Hold the stage longer") {
		t.Errorf("more of an invalid run proves nothing: %q", d.advice())
	}
	if !strings.Contains(strings.Join(d.advice(), " "), "The run is invalid") {
		t.Errorf("invalid: %q", d.advice())
	}
	d = Build(withoutData(t))
	d.ExitCode, d.ExitName, d.Record.Invalid = 7, "unreachable", nil
	if got := d.advice(); len(got) != 1 {
		t.Errorf("nothing was sent, and the advice is %q", got)
	}
	d.Data = &Data{Where: "postgres://db/app", Digest: "sha256:ab", Rows: 3}
	if got := d.advice(); !strings.Contains(got[len(got)-1], "the command clean") {
		t.Errorf("rows are left, and the advice is %q", got)
	}
}

// The second in which a run ended is not a whole one, and its few requests are
// no fall of the rate.
func TestTheLastMomentOfARunIsNoFallOfItsRate(t *testing.T) {
	d := Build(interrupted(t)) // after 7.1 s
	c := drawn(t, d)
	if c.Bins != 8 || c.Lines[0].Rate[6] == nil || c.Lines[0].Rate[7] != nil {
		t.Errorf("%d bins, and the last rates are %v, %v", c.Bins, c.Lines[0].Rate[6], c.Lines[0].Rate[7])
	}
}

// drawnLine is a line of the charts as the script reads it.
type drawnLine struct {
	Name                        string
	Rate, Failed, P50, P95, P99 []*float64
	Beyond                      struct{ P99 []int }
}

// drawn returns the data of the charts as the script reads it.
func drawn(t testing.TB, d *Document) (c struct {
	Width  float64
	Bins   int
	Stages []struct {
		Name     string
		Judged   bool
		From, To float64
	}
	Lines  []drawnLine
	Limits []struct {
		Lines           []int
		Label           string
		Failed          bool
		From, To, Value float64
	}
	Heat struct {
		Columns, Bands int
		Cells          [][3]uint64
		Failed         []uint64
	}
	Users, Failing, Health []struct{ Values []*float64 }
}) {
	t.Helper()
	data, err := json.Marshal(d.charts())
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestChartsShowEveryRequestOnce(t *testing.T) {
	for name, play := range plays {
		d := Build(play(t))
		c := drawn(t, d)
		if len(d.Timeline) == 0 {
			continue
		}
		var counted, failed float64
		for i := range c.Lines[0].Rate {
			if c.Lines[0].Rate[i] != nil {
				counted += *c.Lines[0].Rate[i] * covered(i, d.lasted(), c.Width)
				failed += *c.Lines[0].Failed[i] * covered(i, d.lasted(), c.Width)
			}
		}
		if math.Abs(counted-float64(d.Total.Requests)) > 0.005*counted+1 || math.Abs(failed-float64(d.Total.Failures)) > 0.005*failed+1 {
			t.Errorf("%s: the line sums to %.1f requests and %.1f failures of %d and %d", name, counted, failed, d.Total.Requests, d.Total.Failures)
		}
		var cells, bad uint64
		for _, cell := range c.Heat.Cells {
			cells += cell[2]
		}
		for _, n := range c.Heat.Failed {
			bad += n
		}
		if cells != d.Total.OK || bad != d.Total.Failures+d.Total.NotIssued {
			t.Errorf("%s: the heat map holds %d and %d of %d and %d", name, cells, bad, d.Total.OK, d.Total.Failures+d.Total.NotIssued)
		}
	}
}

func TestALongRunIsDrawnInFewPointsAndKeepsItsExtremes(t *testing.T) {
	d := Build(lasting(t, 3600, 20))
	c := drawn(t, d)
	if c.Width != 6 || c.Bins != 600 || len(c.Lines) != 22 || c.Heat.Columns > maxColumns || c.Heat.Bands > maxBands {
		t.Errorf("%d lines of %d bins of %v s, a heat map of %d x %d", len(c.Lines), c.Bins, c.Width, c.Heat.Columns, c.Heat.Bands)
	}
	most, shown := 0.0, 0.0
	for _, v := range d.Timeline[0].P99 {
		if v.Known() {
			most = max(most, float64(v))
		}
	}
	for i, v := range c.Lines[0].P99 {
		if v != nil {
			shown = max(shown, *v)
		} else if c.Lines[0].Beyond.P99[i] == 0 {
			t.Fatalf("bin %d has no p99", i)
		}
	}
	if math.Abs(most-shown) > 1e-3*most {
		t.Errorf("the worst p99 is %v s, and %v s is drawn", most, shown)
	}
	if page := htmlOf(t, d); len(page) > 2<<20 {
		t.Errorf("the page of an hour with 20 endpoints has %d bytes", len(page))
	}
}

func TestPageOfTenHoursAndManyNamesStaysSmall(t *testing.T) {
	if width, bins := binning(36_000, maxBins); width != 60 || bins != 600 {
		t.Errorf("ten hours are %d bins of %v s", bins, width)
	}
	d := Build(failing(t))
	for i := range 2000 { // as many as a run has at most
		row := d.Rows[i%4]
		row.Name = fmt.Sprintf("/api/v1/things/%04d/and/its/parts", i)
		d.Rows = append(d.Rows, row)
	}
	if page := htmlOf(t, d); len(page) > 2<<20 {
		t.Errorf("the page of 2,000 endpoints has %d bytes", len(page))
	}
}

func TestBinsCoverTheRunAndAreFewEnough(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length := rapid.Float64Range(0, 400*86400).Draw(t, "length")
		most := rapid.SampledFrom([]int{maxBins, maxColumns}).Draw(t, "most")
		width, bins := binning(length, most)
		if bins < 1 || bins > most || width*float64(bins) < length || width < 1 {
			t.Fatalf("%v s are %d bins of %v s", length, bins, width)
		}
	})
}

func TestBinnedRatesAddUpAndLatenciesKeepTheirWorstSecond(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seconds := rapid.IntRange(1, 3000).Draw(t, "seconds")
		s := &Series{}
		total, worst := 0.0, math.Inf(-1)
		for at := range seconds {
			if rapid.IntRange(0, 3).Draw(t, "idle") == 0 {
				continue
			}
			n := rapid.Uint64Range(1, 50).Draw(t, "n")
			p99 := Number(rapid.Float64Range(0.001, 9).Draw(t, "p99"))
			s.Second, s.Requests = append(s.Second, int64(at)), append(s.Requests, n)
			s.Failures, s.NotIssued = append(s.Failures, 0), append(s.NotIssued, 0)
			s.P50, s.P95, s.P99 = append(s.P50, p99/2), append(s.P95, p99), append(s.P99, p99)
			total += float64(n)
			worst = max(worst, float64(p99))
		}
		length := float64(seconds)
		width, bins := binning(length, maxBins)
		b := newBinned(s, length, width, bins)
		sum, most, last := 0.0, math.Inf(-1), 0.0
		for i := range bins {
			if rest := covered(i, length, width); rest > 0 {
				sum += float64(b.Rate[i]) * rest
			} else {
				last = width / 2 * 50
			}
			if v := float64(b.P99[i]); v > most {
				most = v
			}
		}
		if total-sum > last+1e-6*total || sum-total > 1e-6*total {
			t.Fatalf("%v requests, and the line sums to %v", total, sum)
		}
		if len(s.Second) > 0 && most != worst {
			t.Fatalf("the worst second is %v, and %v is drawn", worst, most)
		}
	})
}

func TestASecondWithoutAFiniteLatencyIsDrawnBeyondAllOthers(t *testing.T) {
	c := drawn(t, Build(failing(t)))
	beyond, finite := 0, 0
	for i, v := range c.Lines[0].P99 {
		beyond += c.Lines[0].Beyond.P99[i]
		if v != nil {
			finite++
			if *v <= 0 {
				t.Errorf("bin %d is %v s", i, *v)
			}
		}
	}
	if beyond == 0 || finite == 0 {
		t.Errorf("%d bins beyond all, %d finite", beyond, finite)
	}
}

func TestLimitsAreDrawnWhereTheyHold(t *testing.T) {
	d := Build(failing(t))
	c := drawn(t, d)
	byLabel := map[string]int{}
	for i, l := range c.Limits {
		byLabel[l.Label] = i
		if l.From != 3 || l.To != 13 {
			t.Errorf("%s holds from %v to %v", l.Label, l.From, l.To)
		}
	}
	all, one := c.Limits[byLabel["p95 < 100ms"]], c.Limits[byLabel["p99 < 1s"]]
	if !slices.Contains(all.Lines, 0) || !all.Failed || all.Value != 0.1 {
		t.Errorf("p95 < 100ms: %+v", all)
	}
	// Line 0 is all requests, then come the rows: login, trigger threat, board, weekly report.
	trigger := slices.IndexFunc(c.Lines, func(l drawnLine) bool {
		return l.Name == "POST trigger threat"
	})
	if !slices.Equal(one.Lines, []int{trigger}) || one.Failed {
		t.Errorf("p99{endpoint=trigger} < 1s: %+v, and the row is line %d", one, trigger)
	}
}

func TestRangePictureShowsTheSideOfTheLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.Float64Range(0, 10).Draw(t, "value")
		limit := rapid.Float64Range(0.001, 10).Draw(t, "limit")
		s := SLO{Claim: "p95 < 1s", Op: "<", Unit: "seconds", Verdict: slo.Pass, Value: Number(value), LimitValue: limit}
		if rapid.Bool().Draw(t, "estimated") {
			s.Interval = &Interval{Low: Number(value * 0.9), High: Number(value * 1.2), Limit: Number(limit), Unit: "seconds"}
		}
		p := s.picture()
		var observed, mark float64
		fmt.Sscan(p.Observed, &observed)
		fmt.Sscan(p.Limit, &mark)
		if value < limit && observed > mark || value > limit && observed < mark || mark > pictureWide || observed > pictureWide {
			t.Fatalf("%v of %v is drawn at %v of %v", value, limit, observed, mark)
		}
	})
}

func TestIntervalOfAPercentileIsHeldAgainstWhatItIsOf(t *testing.T) {
	d := Build(estimating(t))
	for _, s := range d.SLOs[:4] {
		if s.Interval == nil {
			t.Errorf("%s has no interval", s.Claim)
			continue
		}
		if s.Interval.Unit == s.Unit && float64(s.Interval.Limit) != s.LimitValue {
			t.Errorf("%s: the interval is held against %v", s.Claim, s.Interval.Limit)
		}
	}
}

func TestProbesAreDrawnForAsLongAsTheirReadingsHold(t *testing.T) {
	d := Build(watched(t))
	d.Probes = append(d.Probes, Probe{Name: "queue", At: []float64{1, 4, 8}, Value: []Number{5, none, 9}, Why: []string{"", "refused", ""}})
	got := d.charts().Probes
	if len(got) != 2 || got[0].Name != "stored" || got[1].Name != "queue" {
		t.Fatalf("drawn are %+v", got)
	}
	if v := got[0].Values; math.Abs(float64(v[0])-1227/5.0) > 0.1 || math.Abs(float64(v[9])-66.5/9) > 0.1 {
		t.Errorf("the counter rises by %v and then by %v a second", v[0], v[9])
	}
	if v := got[1].Values; v[3] != 5 || v[8] != 9 || !math.IsNaN(float64(v[6])) {
		t.Errorf("the queue is %v", v)
	}
	page := string(htmlOf(t, d))
	for _, want := range []string{">stored<", ">queue<", "refused"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not in the page", want)
		}
	}
}
