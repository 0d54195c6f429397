package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"tollgate/pkg/slo"
)

// Annotation returns a workflow command that GitHub shows beside a line of a
// file: severity is error, warning or notice; line and col are left out where
// they are 0, and an empty title is.
func Annotation(severity, file string, line, col int, title, message string) string {
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	var properties []string
	if file != "" {
		properties = append(properties, "file="+property.Replace(file))
	}
	if line > 0 {
		properties = append(properties, fmt.Sprintf("line=%d,col=%d", line, max(col, 1)))
	}
	if title != "" {
		properties = append(properties, "title="+property.Replace(title))
	}
	head := severity
	if len(properties) > 0 {
		head += " " + strings.Join(properties, ",")
	}
	return "::" + head + "::" + data.Replace(message) + "\n"
}

// Annotations returns the workflow commands of a run that is no pass: one for
// each promise and guard that is not kept, at its place in the spec, and one
// for each other reason. What is broken comes first, because GitHub shows ten
// of a step. Advisory promises are warnings.
func (d *Document) Annotations() string {
	file := d.judgedBy().File
	type note struct {
		rank int
		text string
	}
	var notes []note
	add := func(rank int, severity string, s *SLO, title, message string) {
		line, col := 0, 0
		if s != nil {
			line, col = s.Line, s.Col
		}
		notes = append(notes, note{rank, Annotation(severity, file, line, col, clean(title), clean(message))})
	}
	for i := range d.SLOs {
		s := &d.SLOs[i]
		if s.Verdict == slo.Pass {
			continue
		}
		severity, rank := "error", 0
		switch {
		case s.Advisory:
			severity, rank = "warning", 4
		case s.Verdict != slo.Fail:
			rank = 2
		}
		if s.Guard {
			rank++
		}
		add(rank, severity, s, s.title()+" on "+s.during()+": "+verdictWords[s.Verdict], s.Reason)
	}
	if d.ExitCode != 0 || d.Overall != slo.OverallPass {
		word, why := d.Headline()
		others := 0
		for _, r := range d.Reasons {
			if told := slices.ContainsFunc(d.SLOs, func(s SLO) bool { return s.Verdict != slo.Pass && s.Reason != "" && strings.HasSuffix(r, s.Reason) }); told {
				continue
			}
			others++
			add(-1, "error", nil, word, r)
		}
		if others == 0 && len(notes) == 0 {
			add(-1, "error", nil, word, why)
		}
	}
	slices.SortStableFunc(notes, func(a, b note) int { return cmp.Compare(a.rank, b.rank) })
	var b strings.Builder
	for _, n := range notes {
		b.WriteString(n.text)
	}
	return b.String()
}

// verdictWords are the verdicts that are no pass, in words.
var verdictWords = map[slo.Verdict]string{slo.Fail: "broken", slo.Inconclusive: "not proven", slo.NoData: "no data"}
