//go:build linux

package main

import "strings"

// A section is what one scenario found, for people to read.
type section struct {
	title    string
	prose    string
	tables   []table
	goals    []goal
	behind   []string // where another client is better, in its own words
	failures []string // clients that did not come through
	commands []string
}

// A goal is a promise and what became of it.
type goal struct {
	figure, limit, measured string
	reached                 bool
}

// A table is Markdown's.
type table struct {
	caption string
	head    []string
	lines   [][]string
}

func (t table) text() string {
	var b strings.Builder
	if t.caption != "" {
		b.WriteString(t.caption + "\n\n")
	}
	line := func(cells []string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	line(t.head)
	rule := make([]string, len(t.head))
	for i := range rule {
		rule[i] = "---"
	}
	line(rule)
	for _, cells := range t.lines {
		line(cells)
	}
	return b.String()
}

// commands are the distinct commands of the samples, in order.
func commands(all []sample) (lines []string) {
	seen := map[string]bool{}
	for _, s := range all {
		if !seen[s.command] {
			seen[s.command] = true
			lines = append(lines, s.command)
		}
	}
	return lines
}
