package report

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"tollgate/pkg/slo"
)

// ends are the ways in which a run ends, with what the exit code calls each.
var ends = []struct {
	code int
	name ExitName
	why  string
}{
	{0, "pass", ""}, {1, "internal", "a bug"}, {3, "breach", "p95 is too slow"}, {4, "inconclusive", "the generator was late"},
	{5, "bad_spec", "the spec does not fit the database"}, {6, "refused", "the host is not allowed"}, {7, "unreachable", "connection refused"},
	{8, "seed_failed", "a key is there twice"}, {9, "interrupted", "SIGINT after 3 s"}, {10, "cleanup_failed", "rows are left"},
	{11, "not_stored", "no space left on device"},
}

// However a run ends, and whatever was measured until then, no file of its
// folder and nothing that is printed tells another verdict or another exit code.
func TestEverythingThatIsWrittenTellsTheSameVerdict(t *testing.T) {
	words := map[slo.Overall]string{slo.OverallPass: "PASS", slo.OverallFail: "FAIL", slo.OverallInconclusive: "NOT PROVEN", slo.OverallNone: "NO VERDICT"}
	tried := 0
	for _, name := range []string{"pass", "fail", "no-data", "interrupted", "nothing", "estimated"} {
		play := plays[name]
		for _, end := range ends {
			for _, invalid := range []bool{false, true} {
				r := play(t)
				judged := r.Judgement.Overall
				if end.code == 0 && (judged != slo.OverallPass || invalid) || end.code == 3 && judged != slo.OverallFail || invalid && end.code < 4 {
					continue // no run ends so
				}
				if invalid {
					r.Invalid = []string{"the processors were busy"}
				}
				r.ExitCode, r.ExitName, r.Reasons, r.Complete = end.code, string(end.name), nil, r.Complete && end.code != 9
				if end.why != "" {
					r.Reasons = append([]string{end.why}, r.Judgement.Reasons...)
				}
				d := Build(r)
				tried++
				told := fmt.Sprintf("%s, exit code %d, invalid %v", name, end.code, invalid)
				if (d.Overall == slo.OverallPass) != (end.code == 0) {
					t.Errorf("%s: the verdict is %v", told, d.Overall)
				}
				word, code := words[d.Overall], fmt.Sprintf("%d (%s)", end.code, end.name)
				files, err := Render(d)
				if err != nil {
					t.Fatal(err)
				}
				has := func(file string, patterns ...string) {
					for _, p := range patterns {
						if !regexp.MustCompile(p).Match(files[file]) {
							t.Errorf("%s: %s has no %s", told, file, p)
						}
					}
				}
				has("report.html", `<title>`+word+`: `, `<h1 id="verdict">`+word+`</h1>`, regexp.QuoteMeta(code))
				has("summary.md", `^## \S+ `+word+`: `, `exit code `+regexp.QuoteMeta(code))
				has("metrics.txt", `(?m)^tollgate_exit_code `+fmt.Sprint(end.code)+`$`, `(?m)^tollgate_verdict\{tollgate_verdict="`+d.Overall.String()+`"\} 1$`)
				has("junit.xml", `name="verdict" value="`+d.Overall.String()+`"`, fmt.Sprintf(`name="exit_code" value="%d"`, end.code))
				for _, file := range []string{"verdict.json", "result.json"} {
					var v struct {
						Verdict  slo.Overall `json:"verdict"`
						ExitCode int         `json:"exit_code"`
					}
					if err := json.Unmarshal(files[file], &v); err != nil || v.Verdict != d.Overall || v.ExitCode != end.code {
						t.Errorf("%s: %s says %v, %d: %v", told, file, v.Verdict, v.ExitCode, err)
					}
				}
				red, failures := 0, 0
				for _, s := range junitOf(t, d).Suites {
					red, failures = red+s.Failures+s.Errors, failures+s.Failures
				}
				if (red == 0) != (end.code == 0) || failures > 0 && d.Overall != slo.OverallFail {
					t.Errorf("%s: junit.xml has %d red cases, %d of them failures, beside %v", told, red, failures, d.Overall)
				}
				screen := strings.Join(strings.Fields(text(t, d, TextOptions{})), " ")
				if at := strings.LastIndex(screen, word+" "); at < 0 || !strings.HasSuffix(screen, "exit code "+code) {
					t.Errorf("%s: the last line on the screen is %q", told, screen[max(0, len(screen)-200):])
				}
				if got := strings.Contains(d.Annotations(), "::error "); got == (end.code == 0) {
					t.Errorf("%s: annotations %q", told, d.Annotations())
				}
			}
		}
	}
	if tried < 80 {
		t.Errorf("%d endings were tried", tried)
	}
}
