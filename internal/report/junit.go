package report

import (
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tollgate/pkg/slo"
)

// The elements of JUnit's format, in the order and with the attributes that
// both its common schemas (Ant's and that of Jenkins) take.
type (
	junitSuites struct {
		XMLName xml.Name     `xml:"testsuites"`
		Suites  []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string          `xml:"name,attr"`
		Package    string          `xml:"package,attr"`
		ID         int             `xml:"id,attr"`
		Hostname   string          `xml:"hostname,attr"`
		Timestamp  string          `xml:"timestamp,attr"` // UTC, to the second
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Time       string          `xml:"time,attr"` // seconds
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase     `xml:"testcase"`
		Out        string          `xml:"system-out"`
		Err        string          `xml:"system-err"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		Time    string        `xml:"time,attr"`
		Skipped *junitOutcome `xml:"skipped"`
		Error   *junitOutcome `xml:"error"`
		Failure *junitOutcome `xml:"failure"`
	}
	junitOutcome struct {
		Message string `xml:"message,attr,omitempty"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

// junit returns junit.xml: a suite of the promises, one of the guards, and one
// whose only case is the gate itself, which is green if and only if the exit
// code is 0. A promise that is broken is a failure; one that is not proven, has
// no data, or belongs to a run that may not be judged is an error. Advisory
// ones that do not hold are skipped.
func (d *Document) junit() ([]byte, error) {
	var promises, guards []junitCase
	used := map[string]int{} // the last number of a name
	for i := range d.SLOs {
		s := &d.SLOs[i]
		c := junitCase{Name: distinct(used, s.title()+" on "+s.during()), Time: decimal(0)}
		c.judge(d, s)
		if s.Guard {
			guards = append(guards, c)
		} else {
			promises = append(promises, c)
		}
	}
	gate := junitCase{Name: "exit code 0", Time: decimal(d.Elapsed)}
	if d.ExitCode != 0 || d.Overall != slo.OverallPass {
		word, why := d.Headline()
		outcome := &junitOutcome{Message: word + ": " + why, Type: d.exit(), Text: strings.Join(d.Reasons, "\n")}
		if d.Overall == slo.OverallFail {
			gate.Failure = outcome
		} else {
			gate.Error = outcome
		}
	}
	all := junitSuites{}
	for _, s := range []struct {
		name  string
		cases []junitCase
	}{{"promises", promises}, {"guards", guards}, {"gate", []junitCase{gate}}} {
		if len(s.cases) > 0 {
			all.Suites = append(all.Suites, d.suite(len(all.Suites), s.name, s.cases))
		}
	}
	data, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return nil, err
	}
	return append([]byte(xml.Header), append(data, '\n')...), nil
}

// judge sets how a case ended.
func (c *junitCase) judge(d *Document, s *SLO) {
	outcome := &junitOutcome{Message: s.Reason, Type: s.Verdict.String(), Text: d.account(s)}
	switch {
	case s.Advisory && s.Verdict != slo.Pass:
		c.Skipped = &junitOutcome{Message: "advisory: " + s.Reason}
	case s.Advisory:
	case len(d.Record.Invalid) > 0:
		outcome.Message, outcome.Type = "the run may not be judged: "+d.Record.Invalid[0], "invalid"
		c.Error = outcome
	case s.Verdict == slo.Pass:
	case s.Verdict == slo.Fail && d.Overall != slo.OverallFail: // another load, or another baseline
		outcome.Message, outcome.Type = "the run may not be judged: "+d.reason(), "invalid"
		c.Error = outcome
	case s.Verdict == slo.Fail:
		c.Failure = outcome
	default:
		c.Error = outcome
	}
}

// suite counts cases.
func (d *Document) suite(id int, name string, cases []junitCase) junitSuite {
	s := junitSuite{
		Name: token(d.Name + " " + name), Package: "tollgate", ID: id, Hostname: "localhost",
		Timestamp: "1970-01-01T00:00:00", Tests: len(cases), Time: decimal(0), Properties: d.properties(), Cases: cases,
	}
	if t, err := time.Parse(time.RFC3339, string(d.Started)); err == nil {
		s.Timestamp = t.UTC().Format("2006-01-02T15:04:05")
	}
	if name == "gate" {
		s.Time = decimal(d.Elapsed)
	}
	for i := range s.Cases {
		c := &s.Cases[i]
		c.Class = token(d.Name) + "." + name
		switch {
		case c.Failure != nil:
			s.Failures++
		case c.Error != nil:
			s.Errors++
		case c.Skipped != nil:
			s.Skipped++
		}
	}
	return s
}

// properties say what was run.
func (d *Document) properties() []junitProperty {
	all := []junitProperty{
		{"verdict", d.Overall.String()},
		{"exit_code", strconv.Itoa(d.ExitCode)},
		{"complete", strconv.FormatBool(d.Complete)},
		{"spec", d.judgedBy().File},
		{"spec_digest", d.judgedBy().Digest},
		{"profile", d.judgedBy().Profile},
		{"target", d.Target},
		{"method", d.Method},
		{"runner", d.Generator.Version},
		{"random_seed", strconv.FormatUint(d.Generator.Seed, 10)},
		{"run_id", d.Generator.RunID},
		{"overrides", strings.Join(d.Overrides, " ")},
	}
	if d.Regated != nil {
		all = append(all, junitProperty{"regated", "true"}, junitProperty{"run_digest", d.Spec.Digest})
	}
	for i := range all {
		all[i].Value = clean(all[i].Value)
	}
	return all
}

// judgedBy is the spec whose promises were judged.
func (d *Document) judgedBy() *Source {
	if d.Regated != nil {
		return &d.Regated.Spec
	}
	return &d.Spec
}

// account is what was seen of a promise, and where it is written.
func (d *Document) account(s *SLO) string {
	text := fmt.Sprintf("observed %s, promised %s %s, %s, %s bad", s.Observed, s.Op, s.Limit, plural(s.Requests, "request"), count(s.Bad))
	if s.Line > 0 {
		text += fmt.Sprintf("\n%s:%d:%d", d.judgedBy().File, s.Line, s.Col)
	}
	return text
}

// distinct returns a name that no other case of the document has.
func distinct(used map[string]int, name string) string {
	name = token(name)
	base, n := name, used[name]
	for ; used[name] > 0; n++ {
		name = fmt.Sprintf("%s (%d)", base, n+1)
	}
	used[base] = max(n, 1)
	used[name] = max(used[name], 1)
	return name
}

// token is text as XML Schema's type of that name takes it: no blank at an end
// and no two in a row, and never empty. The two characters that XML has not are
// replaced here and not where it is written, or two names could become one.
func token(s string) string {
	s = strings.NewReplacer("\ufffe", "\ufffd", "\uffff", "\ufffd").Replace(clean(s))
	s = strings.Join(strings.Fields(s), " ")
	if s == "" {
		return "-"
	}
	return s
}

// decimal writes seconds as XML Schema's type of that name takes them.
func decimal(seconds float64) string { return strconv.FormatFloat(seconds, 'f', 3, 64) }
