package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tollgate/pkg/slo"
)

// The rules that Ant's schema of JUnit's format and the one of Jenkins have in
// common: for each element its children in order (? at most one, * any number,
// | either), and its attributes with what they must match.
var junitRules = map[string]struct {
	children   *regexp.Regexp
	attributes map[string]string
	optional   map[string]string
}{
	"testsuites": {children: regexp.MustCompile(`^(testsuite )*$`)},
	"testsuite": {
		children: regexp.MustCompile(`^properties (testcase )*system-out system-err $`),
		attributes: map[string]string{
			"name": xmlToken, "package": xmlToken, "id": xmlInt, "hostname": xmlToken,
			"timestamp": `[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}`,
			"tests":     xmlInt, "failures": xmlInt, "errors": xmlInt, "skipped": xmlInt, "time": xmlDecimal,
		},
	},
	"properties": {children: regexp.MustCompile(`^(property )*$`)},
	"property":   {attributes: map[string]string{"name": xmlToken, "value": `.*`}},
	"testcase": {
		children:   regexp.MustCompile(`^(skipped |error |failure )?$`),
		attributes: map[string]string{"name": xmlToken, "classname": xmlToken, "time": xmlDecimal},
	},
	"skipped":    {optional: map[string]string{"message": `.*`}},
	"error":      {attributes: map[string]string{"type": `.+`}, optional: map[string]string{"message": `.*`}},
	"failure":    {attributes: map[string]string{"type": `.+`}, optional: map[string]string{"message": `.*`}},
	"system-out": {}, "system-err": {},
}

const (
	xmlToken   = `\S+( \S+)*`
	xmlInt     = `[0-9]+`
	xmlDecimal = `[0-9]{1,12}\.[0-9]{3}`
)

// breaches lists where a file breaks the rules.
func breaches(data []byte) (faults []string) {
	type open struct {
		name     string
		children strings.Builder
	}
	var stack []*open
	d := xml.NewDecoder(bytes.NewReader(data))
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return append(faults, err.Error())
		}
		switch t := token.(type) {
		case xml.StartElement:
			name := t.Name.Local
			rule, known := junitRules[name]
			if !known || t.Name.Space != "" || len(stack) == 0 && name != "testsuites" {
				faults = append(faults, "no such element: "+name)
			}
			if len(stack) > 0 {
				stack[len(stack)-1].children.WriteString(name + " ")
			}
			stack = append(stack, &open{name: name})
			seen := map[string]bool{}
			for _, a := range t.Attr {
				pattern, required := rule.attributes[a.Name.Local]
				if !required {
					pattern = rule.optional[a.Name.Local]
				}
				if pattern == "" || seen[a.Name.Local] || !regexp.MustCompile(`(?s)^(?:`+pattern+`)$`).MatchString(a.Value) {
					faults = append(faults, fmt.Sprintf("%s may not have %s=%q", name, a.Name.Local, a.Value))
				}
				seen[a.Name.Local] = true
			}
			for a := range rule.attributes {
				if !seen[a] {
					faults = append(faults, name+" lacks "+a)
				}
			}
		case xml.CharData:
			if at := stack; len(at) > 0 && junitRules[at[len(at)-1].name].children != nil && strings.TrimSpace(string(t)) != "" {
				faults = append(faults, fmt.Sprintf("text in %s: %q", at[len(at)-1].name, t))
			}
		case xml.EndElement:
			last := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if rule := junitRules[last.name]; rule.children != nil && !rule.children.MatchString(last.children.String()) || rule.children == nil && last.children.Len() > 0 {
				faults = append(faults, fmt.Sprintf("%s has the children %s", last.name, last.children.String()))
			}
		}
	}
	return faults
}

// junitOf reads junit.xml, and checks it on the way.
func junitOf(t fataler, d *Document) junitSuites {
	t.Helper()
	data := bytesOf(t, d, "junit.xml")
	for _, fault := range breaches(data) {
		t.Error(fault)
	}
	var all junitSuites
	if err := xml.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	for _, s := range all.Suites {
		failures, errors, skipped := 0, 0, 0
		for _, c := range s.Cases {
			if c.Failure != nil {
				failures++
			}
			if c.Error != nil {
				errors++
			}
			if c.Skipped != nil {
				skipped++
			}
		}
		if s.Tests != len(s.Cases) || s.Failures != failures || s.Errors != errors || s.Skipped != skipped {
			t.Fatalf("%s counts %d, %d, %d, %d of %d cases", s.Name, s.Tests, s.Failures, s.Errors, s.Skipped, len(s.Cases))
		}
	}
	return all
}

func TestJUnitFileKeepsTheRulesOfItsSchemas(t *testing.T) {
	for name, play := range plays {
		d := Build(play(t))
		all := junitOf(t, d)
		cases := 0
		for _, s := range all.Suites {
			cases += len(s.Cases)
		}
		if cases != len(d.SLOs)+1 {
			t.Errorf("%s: %d cases of %d promises, guards and the gate", name, cases, len(d.SLOs))
		}
	}
	if faults := breaches([]byte(`<testsuites><testsuite name=" a" tests="x"><testcase/><properties/></testsuite></testsuites>`)); len(faults) < 12 {
		t.Errorf("the rules let through what breaks them: %q", faults)
	}
}

func TestJUnitTellsBreachFromDoubt(t *testing.T) {
	outcomes := func(d *Document) (out []string) {
		for _, s := range junitOf(t, d).Suites {
			for _, c := range s.Cases {
				switch {
				case c.Failure != nil:
					out = append(out, c.Name+": failure "+c.Failure.Type)
				case c.Error != nil:
					out = append(out, c.Name+": error "+c.Error.Type)
				case c.Skipped != nil:
					out = append(out, c.Name+": skipped")
				}
			}
		}
		return out
	}
	invalid := Build(failing(t))
	invalid.Overall, invalid.ExitCode, invalid.ExitName = slo.OverallInconclusive, 4, "inconclusive"
	invalid.Record.Invalid = []string{"the generator was late"}
	advisory := newPlay(t, work, "p95 < 200ms", "mean < 1ms (advisory)")
	advisory.busy()
	for name, c := range map[string]struct {
		d    *Document
		want []string
	}{
		"pass": {Build(passing(t)), []string{"mean < 20ms (advisory) on steady: skipped"}},
		"fail": {Build(failing(t)), []string{
			"p95 < 100ms on steady: failure fail",
			`errors{endpoint="weekly report"} <= 1% (implicit) on all stages: failure fail`,
			"exit code 0: failure 3 (breach)",
		}},
		"no data": {Build(withoutData(t)), []string{
			"p95{endpoint=board} < 200ms on steady: error no_data",
			`errors{endpoint="login"} <= 1% (implicit) on all stages: error no_data`,
			`errors{endpoint="board"} <= 1% (implicit) on all stages: error no_data`,
			"exit code 0: error 4 (inconclusive)",
		}},
		"not proven": {Build(estimating(t)), []string{
			"p99{endpoint=trigger} < 1s on steady: error inconclusive",
			"mean < 20ms (advisory) on steady: skipped",
			"exit code 0: error 4 (inconclusive)",
		}},
		"unreachable": {Build(nothing(t)), []string{"exit code 0: error 7 (unreachable)"}},
		"advisory":    {Build(advisory.end(0, "pass")), []string{"mean < 1ms (advisory) on steady: skipped"}},
		"invalid": {invalid, []string{
			"p95 < 100ms on steady: error invalid", "p99{endpoint=trigger} < 1s on steady: error invalid",
			"ok.p99 < 500ms on steady: error invalid", "throughput > 25/s on steady: error invalid",
			`errors{endpoint="login"} <= 1% (implicit) on all stages: error invalid`,
			`errors{endpoint="trigger threat"} <= 1% (implicit) on all stages: error invalid`,
			`errors{endpoint="board"} <= 1% (implicit) on all stages: error invalid`,
			`errors{endpoint="weekly report"} <= 1% (implicit) on all stages: error invalid`,
			"exit code 0: error 4 (inconclusive)",
		}},
	} {
		if got := outcomes(c.d); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
}

func TestCasesOfJUnitHaveNamesOfTheirOwn(t *testing.T) {
	d := &Document{SLOs: []SLO{{Claim: "\ufffe"}, {Claim: "\xff"}, {Claim: "\uffff"}, {Claim: "a  b"}, {Claim: "a b"}, {Claim: "a b (2)"}}}
	names := map[string]bool{}
	for _, c := range junitOf(t, d).Suites[0].Cases {
		names[c.Name] = true
	}
	if len(names) != len(d.SLOs) {
		t.Errorf("%d names of %d promises: %v", len(names), len(d.SLOs), names)
	}
}

func TestJUnitIsGreenExactlyWhenTheExitCodeIsZero(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"]]>", "<a>", "&amp;", "\x00", "\ufffe", "\xff", "  ", "a\nb", "\u2028"}))
		d := &Document{
			Name: text.Draw(t, "name"), Overall: slo.Overall(rapid.IntRange(0, 3).Draw(t, "overall")),
			ExitCode: rapid.SampledFrom([]int{0, 0, 1, 3, 4, 7, 9, 10, 11}).Draw(t, "code"),
			Reasons:  []string{text.Draw(t, "reason")}, Elapsed: rapid.Float64Range(0, 1e9).Draw(t, "elapsed"),
		}
		all := d.Overall == slo.OverallPass && d.ExitCode == 0
		for range rapid.IntRange(0, 4).Draw(t, "slos") {
			s := SLO{Claim: text.Draw(t, "claim"), Reason: text.Draw(t, "why"), Advisory: rapid.Bool().Draw(t, "advisory"), Guard: rapid.Bool().Draw(t, "guard"),
				Verdict: slo.Verdict(rapid.IntRange(0, 3).Draw(t, "verdict"))}
			if all && !s.Advisory { // as a judgement has it
				s.Verdict = slo.Pass
			}
			d.SLOs = append(d.SLOs, s)
		}
		red, names := 0, map[string]bool{}
		for _, s := range junitOf(t, d).Suites {
			red += s.Failures + s.Errors
			for _, c := range s.Cases {
				if names[c.Name] {
					t.Errorf("two cases are called %q", c.Name)
				}
				names[c.Name] = true
			}
		}
		if (red == 0) != all {
			t.Errorf("exit code %d, verdict %s, and %s red cases", d.ExitCode, d.Overall, strconv.Itoa(red))
		}
	})
}
