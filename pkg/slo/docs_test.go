package slo

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
)

// inReference are the probes that the reference's examples use.
var inReference = Names{Probes: []string{"alerts_stored", "pg_connections", "heap", "restarts", "rows_written", "bytes_logged"}}

// blocks returns the fenced blocks of the reference that are marked so.
func blocks(t *testing.T, mark string) (lines []string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/slo.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?ms)^```"+mark+"\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		lines = append(lines, strings.Split(strings.TrimSuffix(block[1], "\n"), "\n")...)
	}
	return lines
}

func TestEveryExampleOfTheReferenceIsAPromise(t *testing.T) {
	forms := map[string]int{}
	for _, line := range blocks(t, "slo") {
		src, _, _ := strings.Cut(line, "  #")
		o, err := ParseWith(src, inReference)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		switch {
		case o.related():
			forms["relation"]++
		case o.OverRun():
			forms["delta"]++
		case o.OfBaseline:
			forms["baseline"]++
		case o.After != "":
			forms["recovery"]++
		case o.Every != 0:
			forms["windows"]++
		case o.Metric.Kind == Probe:
			forms["probe"]++
		default:
			forms["limit"]++
		}
	}
	for _, form := range []string{"limit", "windows", "recovery", "baseline", "relation", "delta", "probe"} {
		if forms[form] < 2 {
			t.Errorf("the reference has %d examples of the form %s", forms[form], form)
		}
	}
}

func TestEveryErrorOfTheReferenceIsSaidSo(t *testing.T) {
	lines := blocks(t, "slo wrong")
	if len(lines) < 40 || len(lines)%2 != 0 {
		t.Fatalf("%d lines of errors", len(lines))
	}
	for i := 0; i < len(lines); i += 2 {
		_, err := ParseWith(lines[i], inReference)
		var pe *ParseError
		if !errors.As(err, &pe) {
			t.Errorf("%s: no error", lines[i])
			continue
		}
		if said := strings.Repeat(" ", pe.Offset) + "^ " + pe.Error(); said != lines[i+1] {
			t.Errorf("the reference says\n%s\n%s\nand in truth\n%s", lines[i], lines[i+1], said)
		}
	}
}

func TestTheReferenceNamesEveryWordOfTheLanguage(t *testing.T) {
	text, err := os.ReadFile("../../docs/slo.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range append(append(append([]string{"ok.", "service.", "ttfb.", "connect.", "delta(NAME)"}, metricNames...), Classes()...), Labels()...) {
		if !strings.Contains(string(text), "`"+word) {
			t.Errorf("the reference does not name %s", word)
		}
	}
	for _, word := range append([]string{"baseline", "windows"}, keywords...) {
		if !strings.Contains(string(text), word) {
			t.Errorf("the reference does not name the word %s", word)
		}
	}
	for _, u := range units {
		if !strings.Contains(string(text), u.name+"`") {
			t.Errorf("the reference does not name the unit %s", u.name)
		}
	}
}
