package report

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tollgate/pkg/slo"
)

// A command is a line as GitHub's runner reads it.
type command struct {
	name       string
	properties map[string]string
	message    string
}

// commandOf reads a line as that runner does, which is generous: blanks may
// precede it, and what is no property is passed over.
func commandOf(line string) (command, bool) {
	line = strings.TrimSpace(line)
	if !strings.HasPrefix(line, "::") {
		return command{}, false
	}
	head, message, ok := strings.Cut(line[2:], "::")
	if !ok {
		return command{}, false
	}
	back := strings.NewReplacer("%0D", "\r", "%0A", "\n", "%3A", ":", "%2C", ",", "%25", "%")
	c := command{properties: map[string]string{}, message: strings.NewReplacer("%0D", "\r", "%0A", "\n", "%25", "%").Replace(message)}
	name, properties, _ := strings.Cut(head, " ")
	c.name = name
	for _, p := range strings.Split(properties, ",") {
		if k, v, ok := strings.Cut(p, "="); ok {
			c.properties[strings.TrimSpace(k)] = back.Replace(v)
		}
	}
	return c, true
}

func TestAnnotationIsReadBackAsItWasMeant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[%0-9AD:,\r\n=a-c ]{0,12}`))
		file, title, message := text.Draw(t, "file"), text.Draw(t, "title"), text.Draw(t, "message")
		line := rapid.IntRange(0, 99).Draw(t, "line")
		out := Annotation("error", file, line, 3, title, message)
		if strings.Count(out, "\n") != 1 || strings.Contains(out, "\r") {
			t.Fatalf("more than a line: %q", out)
		}
		c, ok := commandOf(strings.TrimSuffix(out, "\n") + "|") // a blank at the end is the message's
		if !ok || c.name != "error" || c.properties["file"] != file || c.properties["title"] != title || c.message != message+"|" {
			t.Fatalf("%q is read as %+v", out, c)
		}
		if (line == 0) != (c.properties["line"] == "") {
			t.Fatalf("%q has no line, or one of 0", out)
		}
	})
}

func TestAnnotationsStandOnTheLinesOfBrokenPromises(t *testing.T) {
	r := failing(t)
	for i := range r.Judgement.Results {
		if c := &r.Judgement.Results[i].Claim; !c.Guard {
			c.Line, c.Col = 40+i, 5
		}
	}
	got := strings.Split(strings.TrimSuffix(Build(r).Annotations(), "\n"), "\n")
	want := []string{
		"::error file=specs/soc.yaml,line=40,col=5,title=p95 < 100ms on steady%3A broken::no finite p95, 39.1 %25 slow or failed of 361: fail",
		`::error file=specs/soc.yaml,title=errors{endpoint="weekly report"} <= 1%25 (implicit) on all stages%3A broken::errors 40 %25, 24 of 60: fail`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestEveryRunThatIsNoPassHasAnAnnotation(t *testing.T) {
	for name, play := range plays {
		d := Build(play(t))
		n := 0
		for line := range strings.Lines(d.Annotations()) {
			c, ok := commandOf(line)
			if !ok || c.name != "error" && c.name != "warning" || c.message == "" {
				t.Errorf("%s: %q", name, line)
			}
			if c.name == "error" {
				n++
			}
		}
		if (n == 0) != (d.ExitCode == 0) {
			t.Errorf("%s: exit code %d and %d errors", name, d.ExitCode, n)
		}
	}
	invalid := Build(passing(t))
	invalid.Overall, invalid.ExitCode, invalid.Reasons = slo.OverallInconclusive, 4, []string{"the generator was late: 40 % of 1 core"}
	want := "::error file=specs/soc.yaml,title=NOT PROVEN::the generator was late: 40 %25 of 1 core\n"
	if got := invalid.Annotations(); !strings.HasPrefix(got, want) {
		t.Errorf("%q", got)
	}
}
