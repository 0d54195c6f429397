package report

import (
	"strings"

	"github.com/olekukonko/tablewriter/pkg/twwidth"
)

// width is how many columns of a terminal a text takes, whatever the locale.
func width(s string) int { return twwidth.WidthWithOptions(s, twwidth.Options{}) }

// fit shortens a text to columns by cutting out its middle: names that share a
// beginning often differ at their end.
func fit(s string, columns int) string {
	if width(s) <= columns {
		return s
	}
	if columns < 1 {
		return ""
	}
	runes := []rune(s)
	tail, used := len(runes), 0
	for tail > 0 && used+width(string(runes[tail-1])) <= (columns-1)/2 {
		tail--
		used += width(string(runes[tail]))
	}
	head := 0
	for head < tail && used+width(string(runes[head])) <= columns-1 {
		used += width(string(runes[head]))
		head++
	}
	return string(runes[:head]) + "…" + string(runes[tail:])
}

// wrap breaks a text between words into lines of at most so many columns. A
// word that is longer loses its middle.
func wrap(s string, columns int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		word = fit(word, columns)
		switch {
		case line == "":
			line = word
		case width(line)+1+width(word) <= columns:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}
