package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tollgate/internal/measure"
	"tollgate/pkg/slo"
)

var update = flag.Bool("update", false, "write the golden files of testdata anew")

func text(t testing.TB, d *Document, o TextOptions) string {
	t.Helper()
	var b bytes.Buffer
	if err := d.Text(&b, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func verdictJSON(t testing.TB, d *Document) string {
	t.Helper()
	b, err := d.Verdict().Encode()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRenderingsAreThoseOfTestdata(t *testing.T) {
	for name, play := range plays {
		d := Build(play(t))
		for ending, got := range map[string]string{
			".txt": text(t, d, TextOptions{}), ".md": string(d.Markdown()), ".verdict.json": verdictJSON(t, d),
		} {
			file := filepath.Join("testdata", name+ending)
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				continue
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Errorf("%s (-want +got; run with -update if this is meant):\n%s", file, d)
			}
		}
	}
}

func TestRenderingsOfAStoredResultAreThoseOfTheRun(t *testing.T) {
	for name, play := range plays {
		built := Build(play(t))
		data, err := built.Encode()
		if err != nil {
			t.Fatal(err)
		}
		decoded, err := Decode(data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if text(t, built, TextOptions{Color: true}) != text(t, decoded, TextOptions{Color: true}) {
			t.Errorf("%s: the screens differ", name)
		}
		for _, r := range renderings {
			if !bytes.Equal(bytesOf(t, built, r.name), bytesOf(t, decoded, r.name)) {
				t.Errorf("%s: %s differs", name, r.name)
			}
		}
		if again, err := decoded.Encode(); err != nil || !bytes.Equal(data, again) {
			t.Errorf("%s: the documents differ (%v)", name, err)
		}
	}
}

func TestStreamedDocumentIsTheOneThatJSONWrites(t *testing.T) {
	for name, play := range plays {
		d := Build(play(t))
		want, err := encode(d, "")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := d.Encode(); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s (%v): %s", name, err, cmp.Diff(string(want), string(got)))
		}
	}
	none := &Document{}
	want, _ := encode(none, "")
	if got, err := none.Encode(); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the zero document (%v): %s", err, cmp.Diff(string(want), string(got)))
	}
}

var ansi = regexp.MustCompile("\x1b\\[[0-9;]*m")

func TestNoLineIsWiderThanTheScreen(t *testing.T) {
	for name, play := range plays {
		d := Build(play(t))
		for _, columns := range []int{0, 80, 99, 100, 120, 200} {
			for line := range strings.Lines(text(t, d, TextOptions{Width: columns})) {
				line = strings.TrimSuffix(line, "\n")
				if columns > 0 && width(line) > columns || width(line) > max(columns, 100) {
					t.Errorf("%s at %d: %d columns: %q", name, columns, width(line), line)
				}
				if strings.TrimRight(line, " ") != line {
					t.Errorf("%s: trailing blanks: %q", name, line)
				}
			}
		}
	}
}

func TestColourChangesNothingButColour(t *testing.T) {
	for name, play := range plays {
		d := Build(play(t))
		plain, coloured := text(t, d, TextOptions{}), text(t, d, TextOptions{Color: true})
		if strings.ContainsRune(plain, '\x1b') {
			t.Errorf("%s: colour that nobody asked for", name)
		}
		if plain == coloured {
			t.Errorf("%s: no colour", name)
		}
		if d := cmp.Diff(plain, ansi.ReplaceAllString(coloured, "")); d != "" {
			t.Errorf("%s:\n%s", name, d)
		}
	}
}

func TestLastLineIsTheVerdict(t *testing.T) {
	for name, want := range map[string]string{
		"pass":        "PASS  4 promises kept, 3 implicit guards held · exit code 0 (pass)",
		"fail":        "FAIL  no finite p95, promised < 100ms (steady), and 1 more · exit code 3 (breach)",
		"no-data":     "NOT PROVEN  p95{endpoint=board} < 200ms on steady: ",
		"interrupted": "NOT PROVEN  interrupted by SIGINT after 7.1 s · exit code 9 (interrupted)",
		"nothing":     "NO VERDICT  the target refused the connection · exit code 7 (unreachable)",
	} {
		screen := strings.Split(strings.TrimSpace(text(t, Build(plays[name](t)), TextOptions{})), "\n\n")
		got := screen[len(screen)-1]
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestATextFromTheTargetSendsNothingToTheTerminal(t *testing.T) {
	d := Build(nasty(t))
	for name, got := range map[string]string{
		"screen": text(t, d, TextOptions{Width: 2000}), "summary": string(d.Markdown()), "verdict": verdictJSON(t, d),
	} {
		for _, r := range got {
			if unicode.IsControl(r) && r != '\n' || r == '\u202e' || r == '\u2028' || r == unicode.ReplacementChar && name == "verdict" {
				t.Errorf("%s: %U", name, r)
			}
		}
	}
}

// cells splits a row of a Markdown table as GitHub does.
func cells(row string) int {
	return len(regexp.MustCompile(`(^|[^\\])\|`).FindAllString(row, -1)) - 1
}

func TestATextFromTheTargetCannotBreakOutOfItsMarkdownCell(t *testing.T) {
	d := Build(nasty(t))
	md := string(d.Markdown())
	for _, bad := range []string{"<script", "<img", "](", "http://evil", "**bold**", "__x__", "@team", "#1 ", ":+1:", "`` ", "www.evil", "$x$"} {
		if strings.Contains(md, bad) {
			t.Errorf("%q is live in the summary", bad)
		}
	}
	columns := 0
	for line := range strings.Lines(md) {
		line = strings.TrimSpace(line)
		switch {
		case !strings.HasPrefix(line, "|"):
			columns = 0
		case columns == 0:
			columns = cells(line)
		case cells(line) != columns:
			t.Errorf("%d cells where the table has %d: %s", cells(line), columns, line)
		}
	}
}

func TestEscapedTextHoldsNoMarkdown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		got := escape(rapid.StringOf(rapid.RuneFrom([]rune("ab1 |\\`*_[]()~$#@!<>&:.-+=\n"))).Draw(t, "text"))
		// Take away the references, and no sign is left.
		rest := regexp.MustCompile(`&(#\d+|amp|lt|gt);`).ReplaceAllString(got, "")
		if i := strings.IndexAny(rest, "|\\`*[]~$#@!<>&"); i >= 0 {
			t.Fatalf("%q keeps %q", got, rest[i])
		}
		if regexp.MustCompile(`(^|[^a-z0-9_])_|_($|[^a-z0-9_])`).MatchString(rest) && !strings.Contains(got, "&#") {
			t.Fatalf("%q keeps an underscore that is a sign", got)
		}
	})
	for in, want := range map[string]string{
		"p95 < 200ms":           "p95 &lt; 200ms",
		"alert_ingest":          "alert_ingest",
		"_alert_":               "&#95;alert&#95;",
		"http://127.0.0.1:8000": "http&#58;//127.0.0.1:8000",
		"GET a-b":               "GET a-b",
	} {
		if got := escape(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"1. one": "1&#46; one", "12) two": "12&#41; two", "- x": "&#45; x", "+ x": "&#43; x", "# x": "&#35; x",
		"12": "12", "": "", "p95 < 1s": "p95 &lt; 1s",
	} {
		if got := item(in); got != want {
			t.Errorf("the item %q became %q, want %q", in, got, want)
		}
	}
}

func TestShortenedNameKeepsBothEnds(t *testing.T) {
	for _, c := range []struct {
		in      string
		columns int
		want    string
	}{
		{"login", 5, "login"},
		{"abcdefghij", 7, "abc…hij"},
		{"abcdefghij", 6, "abc…ij"},
		{"情報情報情報", 7, "情報…報"},
		{"abc", 1, "…"},
		{"abc", 0, ""},
	} {
		if got := fit(c.in, c.columns); got != c.want {
			t.Errorf("fit(%q, %d) = %q, want %q", c.in, c.columns, got, c.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s, columns := rapid.String().Draw(t, "text"), rapid.IntRange(1, 30).Draw(t, "columns")
		s = clean(s)
		if got := fit(s, columns); width(got) > columns || width(s) <= columns && got != s {
			t.Fatalf("fit(%q, %d) = %q", s, columns, got)
		}
		for _, line := range wrap(s, columns) {
			if width(line) > columns {
				t.Fatalf("wrap(%q, %d) has the line %q", s, columns, line)
			}
		}
	})
}

func TestNothingPassesUnlessEverythingWentWell(t *testing.T) {
	for _, c := range []struct {
		judged   slo.Overall
		code     int
		complete bool
		want     slo.Overall
	}{
		{slo.OverallPass, 0, true, slo.OverallPass},
		{slo.OverallPass, 0, false, slo.OverallInconclusive},
		{slo.OverallPass, 9, false, slo.OverallInconclusive},
		{slo.OverallPass, 4, true, slo.OverallInconclusive},
		{slo.OverallPass, 10, true, slo.OverallInconclusive},
		{slo.OverallFail, 3, true, slo.OverallFail},
		{slo.OverallFail, 9, false, slo.OverallFail},
		{slo.OverallFail, 4, true, slo.OverallInconclusive},
		{slo.OverallInconclusive, 4, true, slo.OverallInconclusive},
		{slo.OverallNone, 4, true, slo.OverallNone},
	} {
		r := passing(t)
		r.Judgement.Overall, r.ExitCode, r.Complete = c.judged, c.code, c.complete
		d := Build(r)
		if got := d.Verdict().Verdict; got != c.want {
			t.Errorf("%v with exit code %d, complete %v: %v, want %v", c.judged, c.code, c.complete, got, c.want)
		}
		word, _ := d.Headline()
		if (word == "PASS") != (c.want == slo.OverallPass) || strings.Contains(string(d.Markdown()), "## ✅") != (c.want == slo.OverallPass) {
			t.Errorf("%v with exit code %d: the screen says %s", c.judged, c.code, word)
		}
	}
}

func TestHeadlineNamesWhatDecided(t *testing.T) {
	fail := func(metric, stage string, guard, advisory bool) SLO {
		return SLO{Metric: metric, Observed: "1.25 s", Value: 1.25, Op: "<", Limit: "200ms", Stage: stage, Verdict: slo.Fail, Guard: guard, Advisory: advisory}
	}
	for want, slos := range map[string][]SLO{
		"p95 1.25 s, promised < 200ms (steady)":             {fail("p50", "steady", false, true), fail("p95", "steady", false, false)},
		"p95 1.25 s, promised < 200ms (steady), and 1 more": {fail("errors", "", true, false), fail("p95", "steady", false, false)},
		"errors 1.25 s, promised < 200ms":                   {fail("errors", "", true, false)},
		"the accounts do not add up":                        {fail("p50", "steady", false, true)},
		"no finite p95{endpoint=a}, promised < 200ms": {{Metric: "p95", Selector: "{endpoint=a}", Observed: "no finite p95", Value: none,
			Op: "<", Limit: "200ms", Verdict: slo.Fail}},
	} {
		d := &Document{Overall: slo.OverallFail, SLOs: slos, Reasons: []string{"the accounts do not add up"}}
		if word, why := d.Headline(); word != "FAIL" || why != want {
			t.Errorf("%s %q, want %q", word, why, want)
		}
	}
}

func TestVerdictFileHasTheKeysThatOtherProgramsRead(t *testing.T) {
	for name, play := range plays {
		var v map[string]any
		if err := json.Unmarshal([]byte(verdictJSON(t, Build(play(t)))), &v); err != nil {
			t.Fatal(err)
		}
		check := func(m map[string]any, keys ...string) {
			for _, k := range keys {
				if _, ok := m[k]; !ok {
					t.Errorf("%s: no %s", name, k)
				}
			}
			if len(m) != len(keys) {
				t.Errorf("%s: %d keys, want %v", name, len(m), keys)
			}
		}
		check(v, "version", "name", "verdict", "exit_code", "complete", "reasons", "slos")
		for _, s := range v["slos"].([]any) {
			check(s.(map[string]any), "slo", "stage", "verdict", "observed", "value", "limit", "requests", "guard", "advisory")
		}
	}
}

func TestNoFiniteValueIsNullAndNeverANumber(t *testing.T) {
	d := Build(failing(t))
	i := 0
	for d.Rows[i].Name != "weekly report" {
		i++
	}
	row := d.Rows[i]
	if row.Response.P95.Known() || row.Response.Max.Known() || row.Response.Mean.Known() {
		t.Errorf("a third of the requests failed, and p95 is %v, max %v, mean %v", row.Response.P95, row.Response.Max, row.Response.Mean)
	}
	if !near(row.Success.P95, 0.458) || !near(row.Response.P50, 0.450) {
		t.Errorf("ok.p95 %v, p50 %v", row.Success.P95, row.Response.P50)
	}
	if row.Failures != 24 || row.Classes["status"] != 20 || row.Classes["timeout"] != 4 || len(row.Classes) != 2 {
		t.Errorf("%d failures: %v", row.Failures, row.Classes)
	}
	if v := d.Verdict().SLOs[0]; v.Value.Known() || v.Observed != "no finite p95" {
		t.Errorf("%+v", v)
	}
	if !strings.Contains(verdictJSON(t, d), `"value": null`) {
		t.Error("no null in verdict.json")
	}
}

func TestBothClocksAreShownWhereTheyDiffer(t *testing.T) {
	d := Build(failing(t))
	for _, r := range d.Rows {
		if r.Apart != (r.Name == "weekly report") {
			t.Errorf("%s: apart is %v", r.Name, r.Apart)
		}
	}
	if s := text(t, d, TextOptions{}); strings.Count(s, "weekly report") < 3 || !strings.Contains(s, "service p50") {
		t.Error("the screen shows one clock only")
	}
	if strings.Contains(text(t, Build(passing(t)), TextOptions{}), "service p50") {
		t.Error("the screen shows a clock that says nothing new")
	}
	for _, c := range []struct {
		response, service Number
		want              bool
	}{{0.100, 0.094, true}, {0.100, 0.096, false}, {0.0004, 0.0002, false}, {none, 0.1, true}, {none, none, false}} {
		if apart(c.response, c.service) != c.want {
			t.Errorf("response %v and service %v: want %v", c.response, c.service, c.want)
		}
	}
}

func TestGuardsThatHoldTakeOneLine(t *testing.T) {
	pass := text(t, Build(passing(t)), TextOptions{})
	if !strings.Contains(pass, "✓  3 implicit error guards hold (errors <= 1%)\n") || strings.Contains(pass, "(implicit)") {
		t.Errorf("guards take more than a line:\n%s", pass)
	}
	fail := text(t, Build(failing(t)), TextOptions{})
	if !strings.Contains(fail, "(implicit)") || !strings.Contains(fail, "✓  3 implicit error guards hold") {
		t.Errorf("the broken guard has no line of its own:\n%s", fail)
	}
}

func TestTotalsAndIdentityAreThoseOfTheRows(t *testing.T) {
	for name, play := range plays {
		d := Build(play(t))
		var issued, requests, all uint64
		for _, r := range d.Rows {
			if r.Planned != r.Issued+r.NotIssued || r.Issued != r.OK+r.Failures+r.Aborted+r.Lost || r.Requests != r.OK+r.Failures+r.Aborted {
				t.Errorf("%s, %s: %+v", name, r.Name, r)
			}
			if issued += r.Issued; !r.Setup {
				requests += r.Requests
			}
			for _, n := range r.Classes {
				all += n
			}
		}
		a := d.Accounting
		if !a.Balanced || a.Issued != issued || a.Failed != all || d.Total.Requests != requests {
			t.Errorf("%s: accounting %+v, rows issued %d, failed %d, requests %d of %d", name, a, issued, all, requests, d.Total.Requests)
		}
	}
}

func TestAccountsThatDoNotAddUpAreSaidAloud(t *testing.T) {
	p := newPlay(t, work, "errors < 1%")
	p.busy()
	p.rec.Issued(hold, board)
	d := Build(p.end(1, "internal"))
	if d.Accounting.Balanced || len(d.Accounting.Faults) != 2 {
		t.Fatalf("%+v", d.Accounting)
	}
	for _, got := range []string{text(t, d, TextOptions{}), string(d.Markdown())} {
		if !strings.Contains(got, "add up") || !strings.Contains(got, "planned 200") {
			t.Errorf("not said in:\n%s", got)
		}
	}
}

func TestRatesAreThoseOfTheHoldAndOfTheRun(t *testing.T) {
	d := Build(passing(t))
	if d.Held != 10 || !near(d.Total.Judged.PerSecond, 30) || !near(d.Total.PerSecond, 390/13.4) {
		t.Errorf("held %v s, %v/s, %v/s in all", d.Held, d.Total.Judged.PerSecond, d.Total.PerSecond)
	}
	if d.Total.Judged.Requests != 300 || d.Total.Judged.Response.Count != 300 {
		t.Errorf("judged: %+v", d.Total.Judged)
	}
}

func TestHistogramsHoldWhatTheRowsSay(t *testing.T) {
	d := Build(failing(t))
	for _, r := range append([]Row{d.Total}, d.Rows...) {
		h := r.Histograms.Success.Hist()
		if h.Count != r.OK || number(h.Quantile(0.99)) != r.Success.P99 && r.OK > 0 {
			t.Errorf("%s: %d successes of %d, p99 %v of %v", r.Name, h.Count, r.OK, h.Quantile(0.99), r.Success.P99)
		}
		if r.Histograms.Failed.Count != r.Failures {
			t.Errorf("%s: %d ages of %d failures", r.Name, r.Histograms.Failed.Count, r.Failures)
		}
	}
	last := Histogram{Digits: 3, Count: 1, MaxNS: 3600 * sec, Buckets: [][2]uint64{{buckets3 - 1, 1}}}
	two := Histogram{Digits: 2, Count: 1, MaxNS: 3600 * sec, Buckets: [][2]uint64{{buckets2 - 1, 1}}}
	for _, h := range []*Histogram{&last, &two} {
		plain := h.Hist()
		if hdr := plain.HDR(); hdr.TotalCount() != 1 {
			t.Errorf("the last bucket of %d digits is none", h.Digits)
		}
	}
}

func TestTimelineBeginsWithTheSumOfAllRows(t *testing.T) {
	d := Build(passing(t))
	if len(d.Timeline) != 4 || d.Timeline[0].Row != "" || d.Timeline[1].Row != "login" {
		t.Fatalf("%d series", len(d.Timeline))
	}
	all := d.Timeline[0]
	if len(all.Second) != 13 || all.Requests[5] != 30 || !all.P95[5].Known() {
		t.Errorf("%+v", all)
	}
	if u := d.Users; len(u.At) != 3 || len(u.Personas) != 2 || u.Personas[1].Active[2] != 8 {
		t.Errorf("users %+v", d.Users)
	}
}

func TestStageKnowsItsHoldAndWhereItBroke(t *testing.T) {
	d := Build(longNames(t))
	s := d.Stages[1]
	if len(d.Stages) != 2 || s.Held != 10 || s.Level != 20 || s.Broke != 400 || len(s.Spans) != 2 || d.Stages[0].Broke.Known() {
		t.Errorf("%+v", d.Stages)
	}
	if !strings.Contains(text(t, d, TextOptions{}), "steady broke at 400 users") {
		t.Error("the screen does not say so")
	}
}

func TestOverflowOfFailuresIsCounted(t *testing.T) {
	p := newPlay(t, work, "errors < 1%")
	for i := range int64(20) {
		p.fail(hold, board, 3*sec+i*100*ms, 9*ms, measure.Check, 200, strings.Repeat("x", int(i)+1))
	}
	screen := text(t, Build(p.end(3, "breach")), TextOptions{})
	if !strings.Contains(screen, "and 12 kinds more in result.json") {
		t.Errorf("12 kinds are missing and nobody says so:\n%s", screen)
	}
}
