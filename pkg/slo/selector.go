package slo

import (
	"slices"
	"strings"
	"unicode"
)

var labels = []string{"endpoint", "persona", "task", "stage"}

// Labels returns the names of the labels a selector may hold, in canonical order.
func Labels() []string { return slices.Clone(labels) }

// field returns the selector's field that a label sets, nil for no such label.
func (s *Selector) field(label string) *string {
	switch label {
	case "endpoint":
		return &s.Endpoint
	case "persona":
		return &s.Persona
	case "task":
		return &s.Task
	case "stage":
		return &s.Stage
	}
	return nil
}

// field returns the offset that belongs to a label, nil for no such label.
func (at *Offsets) field(label string) *int {
	switch label {
	case "endpoint":
		return &at.Endpoint
	case "persona":
		return &at.Persona
	case "task":
		return &at.Task
	case "stage":
		return &at.Stage
	}
	return nil
}

// String returns the selector in canonical form, "" for one that selects all.
func (s Selector) String() string {
	var pairs []string
	for _, label := range labels {
		if v := *s.field(label); v != "" {
			pairs = append(pairs, label+"="+nameText(v))
		}
	}
	if pairs == nil {
		return ""
	}
	return "{" + strings.Join(pairs, ", ") + "}"
}

// first returns the first label that the selector sets, "" for none.
func (s Selector) first() string {
	for _, label := range labels {
		if *s.field(label) != "" {
			return label
		}
	}
	return ""
}

// Matches tells whether a series belongs to a selection. An endpoint is
// selected by its key in the spec or by the name of its row in reports.
func Matches(sel Selector, stage, persona, task, endpoint, row string) bool {
	return (sel.Stage == "" || sel.Stage == stage) &&
		(sel.Persona == "" || sel.Persona == persona) &&
		(sel.Task == "" || sel.Task == task) &&
		(sel.Endpoint == "" || sel.Endpoint == endpoint || sel.Endpoint == row)
}

// keywords are words of the language: a name that equals one is quoted.
var keywords = []string{"during", "including", "ramps", "every", "within", "of", "in", "after"}

// bareRune tells whether a rune may stand in a name without quotes.
func bareRune(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_-./:", r)
}

// nameText returns a name as the grammar writes it: bare where it can be, else quoted.
func nameText(name string) string {
	other := func(r rune) bool { return !bareRune(r) }
	if name != "" && strings.IndexFunc(name, other) < 0 && !slices.Contains(keywords, name) {
		return name
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
}
