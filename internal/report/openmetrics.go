package report

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"

	"tollgate/pkg/slo"
)

// openMetrics returns metrics.txt: the final numbers as OpenMetrics 1.0 text,
// for a gateway or a file collector.
func (d *Document) openMetrics() ([]byte, error) {
	e := exposition{seen: map[string]int{}}
	by := d.judgedBy()

	e.family("tollgate_run", "info", "", "What was run.")
	e.sample("tollgate_run_info", 1, "name", d.Name, "spec", by.File, "digest", by.Digest, "profile", by.Profile,
		"target", d.Target, "version", d.Generator.Version, "run_id", d.Generator.RunID)
	e.family("tollgate_verdict", "stateset", "", "How the run was judged; none: not at all.")
	for _, o := range []slo.Overall{slo.OverallPass, slo.OverallFail, slo.OverallInconclusive, slo.OverallNone} {
		e.sample("tollgate_verdict", truth(d.Overall == o), "tollgate_verdict", o.String())
	}
	e.family("tollgate_exit_code", "gauge", "", "The exit code; only 0 lets a release pass.")
	e.sample("tollgate_exit_code", float64(d.ExitCode))
	e.family("tollgate_complete", "gauge", "", "Whether the plan ran to its end.")
	e.sample("tollgate_complete", truth(d.Complete))
	e.family("tollgate_elapsed_seconds", "gauge", "seconds", "How long the run took.")
	e.sample("tollgate_elapsed_seconds", d.Elapsed)
	e.family("tollgate_held_seconds", "gauge", "seconds", "How long the load that is judged was held.")
	e.sample("tollgate_held_seconds", d.Held)

	e.family("tollgate_slo", "stateset", "", "How each promise and guard was judged.")
	for i := range d.SLOs {
		s := &d.SLOs[i]
		labels := append(s.labels(), e.nth("tollgate_slo", s.labels())...)
		for _, v := range []slo.Verdict{slo.Pass, slo.Fail, slo.Inconclusive, slo.NoData} {
			e.sample("tollgate_slo", truth(s.Verdict == v), append(labels, "tollgate_slo", v.String())...)
		}
	}
	e.family("tollgate_slo_observed", "gauge", "", "What was observed of each promise, in the base unit of its limit; absent without a finite value.")
	for i := range d.SLOs {
		s := &d.SLOs[i]
		labels := append(s.labels(), e.nth("tollgate_slo_observed", s.labels())...)
		if s.Value.Known() {
			e.sample("tollgate_slo_observed", float64(s.Value), append(labels, "unit", string(s.Unit))...)
		}
	}
	e.family("tollgate_slo_limit", "gauge", "", "The limit of each promise, in its base unit.")
	for i := range d.SLOs {
		s := &d.SLOs[i]
		labels := append(s.labels(), e.nth("tollgate_slo_limit", s.labels())...)
		e.sample("tollgate_slo_limit", s.LimitValue, append(labels, "unit", string(s.Unit), "op", s.Op)...)
	}

	e.family("tollgate_requests", "counter", "", "Requests of each row, by how they ended.")
	e.rows(d, "tollgate_requests", func(r *Row, labels []string) {
		for _, o := range []struct {
			outcome string
			n       uint64
		}{{"ok", r.OK}, {"failed", r.Failures}, {"aborted", r.Aborted}, {"lost", r.Lost}} {
			e.sample("tollgate_requests_total", float64(o.n), append(labels, "outcome", o.outcome)...)
		}
	})
	e.family("tollgate_not_issued", "counter", "", "Arrivals of each row that were never sent.")
	e.rows(d, "tollgate_not_issued", func(r *Row, labels []string) {
		e.sample("tollgate_not_issued_total", float64(r.NotIssued), labels...)
	})
	e.family("tollgate_response_seconds", "summary", "seconds", "Response times of each row over the whole run; failures and arrivals never sent are slower than all.")
	e.rows(d, "tollgate_response_seconds", func(r *Row, labels []string) {
		l := &r.Response
		for _, q := range []struct {
			name  string
			value Number
		}{{"0.5", l.P50}, {"0.75", l.P75}, {"0.9", l.P90}, {"0.95", l.P95}, {"0.99", l.P99}, {"0.999", l.P999}, {"1.0", l.Max}} {
			v := float64(q.value)
			switch {
			case l.Count == 0:
				v = math.NaN()
			case !q.value.Known():
				v = math.Inf(1)
			}
			e.sample("tollgate_response_seconds", v, append(labels, "quantile", q.name)...)
		}
		e.sample("tollgate_response_seconds_count", float64(l.Count), labels...)
	})
	e.family("tollgate_lag_seconds", "gauge", "seconds", "How late the generator itself was at its 99th percentile.")
	if d.Lag.P99.Known() {
		e.sample("tollgate_lag_seconds", float64(d.Lag.P99))
	}
	e.out.WriteString("# EOF\n")
	return e.out.Bytes(), nil
}

// labels tell a promise from others.
func (s *SLO) labels() []string {
	return []string{"slo", s.Claim, "stage", s.Stage, "guard", strconv.FormatBool(s.Guard), "advisory", strconv.FormatBool(s.Advisory)}
}

// exposition is OpenMetrics text.
type exposition struct {
	out  bytes.Buffer
	seen map[string]int // how often labels came in a family
}

// rows calls f for each row with the labels of its own.
func (e *exposition) rows(d *Document, family string, f func(*Row, []string)) {
	for i := range d.Rows {
		r := &d.Rows[i]
		labels := []string{"method", r.Method, "row", r.Name, "setup", strconv.FormatBool(r.Setup)}
		f(r, append(labels, e.nth(family, labels)...))
	}
}

// nth returns a label that tells apart what has the same labels otherwise, as
// when masking gave two rows one name.
func (e *exposition) nth(family string, labels []string) []string {
	written := make([]string, len(labels)) // in which a control character more makes no difference
	for i, l := range labels {
		written[i] = escapeLabel(l)
	}
	key := fmt.Sprintf("%s %q", family, written)
	e.seen[key]++
	if n := e.seen[key]; n > 1 {
		return []string{"nth", strconv.Itoa(n)}
	}
	return nil
}

func (e *exposition) family(name, kind, unit, help string) {
	fmt.Fprintf(&e.out, "# TYPE %s %s\n", name, kind)
	if unit != "" {
		fmt.Fprintf(&e.out, "# UNIT %s %s\n", name, unit)
	}
	fmt.Fprintf(&e.out, "# HELP %s %s\n", name, escapeLabel(help))
}

// sample writes one line; labels are names and values in turn.
func (e *exposition) sample(name string, value float64, labels ...string) {
	e.out.WriteString(name)
	for i := 0; i < len(labels); i += 2 {
		sign := ","
		if i == 0 {
			sign = "{"
		}
		fmt.Fprintf(&e.out, `%s%s="%s"`, sign, labels[i], escapeLabel(labels[i+1]))
	}
	if len(labels) > 0 {
		e.out.WriteByte('}')
	}
	text := strconv.FormatFloat(value, 'g', -1, 64)
	if math.Abs(value) < 1e15 && value == math.Trunc(value) {
		text = strconv.FormatFloat(value, 'f', -1, 64)
	}
	e.out.WriteString(" " + text + "\n")
}

// escapeLabel writes text between the quotes of a label.
func escapeLabel(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(clean(s))
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
