package report

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tollgate/pkg/slo"
)

var (
	metaLine   = regexp.MustCompile(`^# (TYPE|UNIT|HELP) ([a-z_]+) (.+)$`)
	sampleLine = regexp.MustCompile(`^([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*"(?:,|\}))+)? (NaN|[+]Inf|-?[0-9].*)$`)
	oneLabel   = regexp.MustCompile(`([a-z_]+)="((?:[^"\\]|\\[\\"n])*)"`)
)

// suffixes are the endings of the samples of each type.
var suffixes = map[string]string{"info": "_info", "counter": "_total", "gauge": "", "stateset": "", "summary": "(_count)?"}

// unmetric lists where a text is no OpenMetrics, and returns its samples.
func unmetric(text string) (samples map[string]float64, faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	samples = map[string]float64{}
	body, ended := strings.CutSuffix(text, "# EOF\n")
	if !ended || strings.Contains(body, "# EOF\n") {
		fault("it does not end in # EOF")
	}
	families, family, kind := map[string]bool{}, "", ""
	for line := range strings.Lines(body) {
		line = strings.TrimSuffix(line, "\n")
		if m := metaLine.FindStringSubmatch(line); m != nil {
			if m[1] == "TYPE" {
				if families[m[2]] {
					fault("the family %s stands twice", m[2])
				}
				family, kind = m[2], m[3]
				families[family] = true
			}
			if m[2] != family || m[1] == "UNIT" && !strings.HasSuffix(family, "_"+m[3]) {
				fault("out of place: %s", line)
			}
			continue
		}
		m := sampleLine.FindStringSubmatch(line)
		if m == nil || !regexp.MustCompile("^"+family+suffixes[kind]+"$").MatchString(m[1]) {
			fault("no sample of %s: %s", family, line)
			continue
		}
		labels := map[string]bool{}
		for _, l := range oneLabel.FindAllStringSubmatch(m[2], -1) {
			if labels[l[1]] {
				fault("the label %s stands twice: %s", l[1], line)
			}
			labels[l[1]] = true
		}
		value, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			fault("%v: %s", err, line)
		}
		if _, twice := samples[m[1]+m[2]]; twice {
			fault("it stands twice: %s", line)
		}
		samples[m[1]+m[2]] = value
	}
	return samples, faults
}

func TestMetricsAreOpenMetrics(t *testing.T) {
	for name, play := range plays {
		d := Build(play(t))
		samples, faults := unmetric(string(bytesOf(t, d, "metrics.txt")))
		for _, f := range faults {
			t.Errorf("%s: %s", name, f)
		}
		if samples["tollgate_exit_code"] != float64(d.ExitCode) || samples[fmt.Sprintf("tollgate_verdict{tollgate_verdict=%q}", d.Overall)] != 1 {
			t.Errorf("%s: exit code %v", name, samples["tollgate_exit_code"])
		}
	}
	d := Build(failing(t))
	samples, _ := unmetric(string(bytesOf(t, d, "metrics.txt")))
	for sample, want := range map[string]float64{
		`tollgate_requests_total{method="GET",row="weekly report",setup="false",outcome="failed"}`:                                24,
		`tollgate_response_seconds_count{method="GET",row="weekly report",setup="false"}`:                                         60,
		`tollgate_slo{slo="p95 < 100ms",stage="steady",guard="false",advisory="false",tollgate_slo="fail"}`:                       1,
		`tollgate_slo_limit{slo="p95 < 100ms",stage="steady",guard="false",advisory="false",unit="seconds",op="<"}`:               0.1,
		`tollgate_slo{slo="errors{endpoint=\"weekly report\"} <= 1%",stage="",guard="true",advisory="false",tollgate_slo="fail"}`: 1,
		`tollgate_slo_observed{slo="throughput > 25/s",stage="steady",guard="false",advisory="false",unit="per_second"}`:          33.6,
	} {
		if got, ok := samples[sample]; !ok || got != want {
			t.Errorf("%s is %v, want %v", sample, got, want)
		}
	}
	if s := string(bytesOf(t, d, "metrics.txt")); !strings.Contains(s, `row="weekly report",setup="false",quantile="0.95"} +Inf`+"\n") {
		t.Error("a third of the requests failed, and p95 has a finite value")
	}
}

func TestNoLabelBreaksOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{`\`, `"`, "\n", `\"`, `"} 1`, "# EOF", "\xff", "\u2028", `a\n`, ""}))
		d := &Document{Name: text.Draw(t, "name"), Target: text.Draw(t, "target"), Elapsed: rapid.Float64().Draw(t, "elapsed")}
		for range rapid.IntRange(0, 3).Draw(t, "rows") {
			d.Rows = append(d.Rows, Row{Name: text.Draw(t, "row"), Method: text.Draw(t, "method")})
		}
		for range rapid.IntRange(0, 3).Draw(t, "slos") {
			d.SLOs = append(d.SLOs, SLO{Claim: text.Draw(t, "claim"), Stage: text.Draw(t, "stage"), Verdict: slo.Pass})
		}
		if _, faults := unmetric(string(bytesOf(t, d, "metrics.txt"))); len(faults) > 0 {
			t.Error(strings.Join(faults, "\n"))
		}
	})
}
