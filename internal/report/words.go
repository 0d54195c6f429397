package report

import (
	"fmt"
	"strings"
	"time"

	"tollgate/pkg/slo"
)

// Headline is the verdict in one line of words: PASS, FAIL, NOT PROVEN or NO
// VERDICT, and why.
func (d *Document) Headline() (word, why string) {
	word, why = d.headline()
	if d.Regated == nil {
		return word, why
	}
	return word, why + " · regated by " + d.Regated.title()
}

// title names the spec whose promises they are.
func (r *Regated) title() string {
	if r.Spec.Profile == "" {
		return r.Spec.File
	}
	return r.Spec.File + " · " + r.Spec.Profile
}

func (d *Document) headline() (word, why string) {
	switch d.Overall {
	case slo.OverallPass:
		return "PASS", d.kept()
	case slo.OverallFail:
		return "FAIL", d.broken()
	case slo.OverallInconclusive:
		return "NOT PROVEN", d.reason()
	}
	return "NO VERDICT", d.reason()
}

// reason is the first reason, and never empty.
func (d *Document) reason() string {
	if len(d.Reasons) > 0 {
		return d.Reasons[0]
	}
	return "exit code " + d.exit()
}

// exit names the exit code.
func (d *Document) exit() string {
	if d.ExitName == "" {
		return fmt.Sprint(d.ExitCode)
	}
	return fmt.Sprintf("%d (%s)", d.ExitCode, d.ExitName)
}

// kept counts the promises behind a pass.
func (d *Document) kept() string {
	promises, guards := 0, 0
	for _, s := range d.SLOs {
		switch {
		case s.Guard:
			guards++
		case !s.Advisory:
			promises++
		}
	}
	var parts []string
	if promises > 0 {
		parts = append(parts, plural(promises, "promise")+" kept")
	}
	if guards > 0 {
		parts = append(parts, plural(guards, "implicit guard")+" held")
	}
	return strings.Join(parts, ", ")
}

// broken says which promise a fail rests on: the first of the spec's own, else
// the first guard.
func (d *Document) broken() string {
	var first *SLO
	n := 0
	for i := range d.SLOs {
		s := &d.SLOs[i]
		if s.Verdict != slo.Fail || s.Advisory {
			continue
		}
		n++
		if first == nil || first.Guard && !s.Guard {
			first = s
		}
	}
	if first == nil {
		return d.reason()
	}
	text := fmt.Sprintf("%s, promised %s %s", first.seen(), first.Op, first.Limit)
	if first.Stage != "" {
		text += " (" + first.Stage + ")"
	}
	if n > 1 {
		text += fmt.Sprintf(", and %d more", n-1)
	}
	return text
}

// seen is what was observed of the metric: "p95 1.25 s", "no finite p95".
func (s *SLO) seen() string {
	if s.Verdict != slo.NoData && !s.Value.Known() {
		return s.Observed + s.Selector
	}
	return s.Metric + s.Selector + " " + s.Observed
}

// title is the claim, marked where it is not an ordinary promise of the spec.
func (s *SLO) title() string {
	switch {
	case s.Advisory:
		return s.Claim + " (advisory)"
	case s.Guard:
		return s.Claim + " (implicit)"
	}
	return s.Claim
}

// during says when the claim was judged.
func (s *SLO) during() string {
	if s.Stage == "" {
		return "all stages"
	}
	return s.Stage
}

// own are the claims that deserve a line of their own: those of the spec, and
// guards that do not hold. Guards that hold are counted by what they claim.
func (d *Document) own() (own []SLO, holding []string) {
	type claim struct{ metric, op, limit string }
	count := map[claim]int{}
	var order []claim
	for _, s := range d.SLOs {
		if !s.Guard || s.Verdict != slo.Pass {
			own = append(own, s)
			continue
		}
		c := claim{s.Metric, s.Op, s.Limit}
		if count[c] == 0 {
			order = append(order, c)
		}
		count[c]++
	}
	for _, c := range order {
		name := map[string]string{"errors": "error", "dropped": "dropped-arrival"}[c.metric]
		if name == "" {
			name = c.metric
		}
		hold := "hold"
		if count[c] == 1 {
			hold = "holds"
		}
		holding = append(holding, fmt.Sprintf("%s %s (%s %s %s)", plural(count[c], "implicit "+name+" guard"), hold, c.metric, c.op, c.limit))
	}
	return own, holding
}

// notes are what a reader must know beside the numbers.
func (d *Document) notes() []string {
	var out []string
	note := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if !d.Complete {
		note("incomplete: the plan did not run to its end")
	}
	if d.Regated != nil {
		note("regated: the promises are those of %s, and were not made when the run took place", d.Regated.title())
	}
	if d.Method != "" {
		note("%s", d.Method)
	}
	for _, s := range d.Stages {
		if s.Broke.Known() {
			note("%s broke at %s", s.Name, level(float64(s.Broke), s.Open))
		}
	}
	if len(d.Unreached) > 0 {
		note("sent nothing: %s", strings.Join(d.Unreached, ", "))
	}
	if d.Data != nil {
		note("database: %s", d.Data.sentence())
	}
	if len(d.Insecure) > 0 {
		note("the certificate was not verified (insecure: true): %s", strings.Join(d.Insecure, ", "))
	}
	if len(d.Overrides) > 0 {
		note("changed on the command line: %s", strings.Join(d.Overrides, " "))
	}
	if len(d.Dropped) > 0 {
		note("taken out by that: %s", strings.Join(d.Dropped, "; "))
	}
	if n := d.Accounting.Clamped; n > 0 {
		note("%s had impossible times and %s as the nearest possible", plural(n, "sample"), map[bool]string{true: "counts", false: "count"}[n == 1])
	}
	if text := d.generator(); text != "" {
		note("%s", text)
	}
	return out
}

// generator says what made the load, and how late it was itself.
func (d *Document) generator() string {
	var parts []string
	if d.Generator.Driver != "" {
		parts = append(parts, fmt.Sprintf("%s driver, %s on %s", d.Generator.Driver, plural(d.Generator.Loops, "loop"), plural(d.Generator.Cores, "core")))
	}
	if d.Lag.Count > 0 {
		parts = append(parts, fmt.Sprintf("own lag p99 %s, max %s", shown(d.Lag.P99, d.Lag.Count), shown(d.Lag.Max, d.Lag.Count)))
	}
	if len(parts) == 0 {
		return ""
	}
	return "generator: " + strings.Join(parts, ", ")
}

// load is the stages in a line: warmup 5 users for 3 s, steady 20 users for 1m.
func (d *Document) load() string {
	var parts []string
	for _, s := range d.Stages {
		if s.Shape == "pause" {
			parts = append(parts, fmt.Sprintf("%s %s", s.Name, span(s.Held)))
			continue
		}
		parts = append(parts, fmt.Sprintf("%s %s for %s", s.Name, level(s.Level, s.Open), span(s.Held)))
	}
	return strings.Join(parts, ", ")
}

// balance is the accounting identity with its numbers.
func (a *Accounting) balance() string {
	return fmt.Sprintf("planned %s = issued %s + not issued %s; issued = ok %s + failed %s + aborted %s + lost %s",
		count(a.Planned), count(a.Issued), count(a.NotIssued), count(a.OK), count(a.Failed), count(a.Aborted), count(a.Lost))
}

// level writes an amount of load.
func level(v float64, open bool) string {
	if open {
		return slo.FormatValue(v, slo.PerSecond)
	}
	if v == 1 {
		return "1 user"
	}
	return slo.FormatValue(v, slo.Count) + " users"
}

// span writes a stretch of time: 23.4 s, 2m30s.
func span(seconds float64) string {
	if seconds < 60 || seconds > 1e9 {
		return slo.FormatValue(seconds, slo.Seconds)
	}
	text := time.Duration(seconds * 1e9).Round(time.Second).String()
	text = strings.TrimSuffix(text, "0s")
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// shown writes a latency: – without data, ∞ where no value is finite.
func shown(n Number, of uint64) string {
	switch {
	case of == 0:
		return "–"
	case !n.Known():
		return "∞"
	}
	return slo.FormatValue(float64(n), slo.Seconds)
}

// rate writes a rate without its unit.
func rate(n Number) string {
	if !n.Known() {
		return "–"
	}
	return strings.TrimSuffix(slo.FormatValue(float64(n), slo.PerSecond), "/s")
}

// three are the quantiles that every table has.
func (l *Latency) three() []string {
	return []string{shown(l.P50, l.Count), shown(l.P95, l.Count), shown(l.P99, l.Count)}
}

// failed writes the failures of a row with their share.
func (r *Row) failed() string {
	if r.Failures == 0 || r.Requests == 0 {
		return count(r.Failures)
	}
	return fmt.Sprintf("%s (%s)", count(r.Failures), slo.FormatValue(float64(r.Failures)/float64(r.Requests), slo.Ratio))
}

// title is the row's name, marked where it is set-up.
func (r *Row) title() string { return title(r.Name, r.Setup) }

func title(name string, setup bool) string {
	if setup {
		return name + " (set-up)"
	}
	return name
}

// byWork returns the rows of the work and those of its set-up.
func (d *Document) byWork() (work, setup []Row) {
	for _, r := range d.Rows {
		if r.Setup {
			setup = append(setup, r)
		} else {
			work = append(work, r)
		}
	}
	return work, setup
}

func count(n uint64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func plural[N int | uint64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return count(uint64(n)) + " " + noun + "s"
}

// evidence is what a promise's verdict rests on beside the observed value: the
// interval, how many requests of how many, and what they are worth. "" where
// the observed value says it all.
func (o *SLO) evidence() string {
	why := strings.TrimSuffix(strings.TrimSuffix(o.Reason, ": pass"), ": fail")
	_, why, ok := strings.Cut(why, ", ")
	if !ok || o.Verdict == slo.NoData {
		return ""
	}
	return why
}
