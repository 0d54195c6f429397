package spec

import (
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

var (
	yamlLine      = regexp.MustCompile(`^line (\d+): `)
	unknownAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
)

// syntaxFault turns the YAML reader's error into a fault. The reader says no
// column, and often the line of the enclosing construct instead of the line at
// fault, or none at all: the line is searched for instead.
func syntaxFault(src *source, err error) Fault {
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if m := yamlLine.FindStringSubmatch(msg); m != nil {
		line, _ = strconv.Atoi(m[1])
		msg = strings.TrimPrefix(msg, m[0])
	}
	if m := unknownAnchor.FindStringSubmatch(msg); m != nil {
		p := src.posAt(max(strings.Index(src.text, "*"+m[1]), 0))
		return src.fault(p, "no anchor &"+m[1]+" stands before this alias", "quote it if it is text")
	}
	if at := strings.IndexFunc(src.text, forbidden); at >= 0 {
		return src.fault(src.posAt(at), "a control character", "in a double-quoted text, write it as an escape such as \\t or \\u001b")
	}
	// Each probe reads the text once more, so large files keep the reader's word.
	const searchable = 64 << 10
	if len(src.text) <= searchable {
		if bad := firstBadLine(src); bad > 0 {
			line = bad
		}
	}
	line = min(max(line, 1), len(src.lines))
	text := src.line(line)
	indent := len(text) - len(strings.TrimLeft(text, " "))
	at := func(offset int, msg, hint string) Fault {
		return src.fault(Pos{File: src.file, Line: line, Col: offset + 1}, msg, hint)
	}
	rest := text[indent:]
	switch {
	case strings.HasPrefix(rest, "\t"):
		return at(indent, "a tab in the indentation", "indent with spaces")
	case strings.Contains(msg, "mapping values are not allowed"):
		// The colon at fault is the second: the first one ends the key.
		colon := indent
		if first := strings.Index(rest, ": "); first >= 0 {
			colon = indent + first
			if second := strings.Index(text[colon+2:], ": "); second >= 0 {
				return at(colon+2+second, "`: ` inside a text that is not quoted", "quote the whole text")
			}
		}
		above := line - 1
		for above > 1 && !contentful(src.line(above)) {
			above--
		}
		if before := strings.TrimLeft(src.line(above), " "); contentful(before) && !strings.Contains(before, ":") && before[0] != '-' {
			line, text = above, src.line(above)
			return at(len(text)-len(before), "a key without a colon", "write `key: value`")
		}
		return at(indent, "a key further in than the line before allows", "check the indentation of this line and of the one before")
	case strings.Count(strings.ReplaceAll(text, `\"`, ""), `"`)%2 == 1:
		return at(strings.LastIndex(text, `"`), "a quote that has no counterpart in its line", "close it; inside double quotes, write a quote as \\\"")
	case strings.Contains(text, "${") && strings.ContainsAny(text, "{["):
		return at(strings.Index(text, "${"), "inside {…} and […], YAML takes the braces of ${…} for its own",
			`quote it: {id: "${id}"}`)
	case strings.Contains(text, "{") && strings.Contains(msg, "did not find expected ',' or ']'"):
		return at(strings.LastIndex(text, "{"), "inside […], YAML takes these braces for its own", "quote the whole text")
	case strings.Contains(msg, "could not find expected ':'"):
		return at(indent, "a key without a colon", "write `key: value`")
	case strings.Contains(msg, "cannot start any token") && strings.ContainsAny(text, "@`%"):
		return at(strings.IndexAny(text, "@`%"), "YAML keeps this character for itself", "quote the text")
	case strings.Contains(msg, "did not find expected key"), strings.Contains(msg, "did not find expected '-' indicator"):
		return at(indent, "this line does not fit to the lines before it", "check its indentation and its quotes")
	case strings.Contains(msg, "unexpected end of stream") && strings.ContainsAny(text, `"'`):
		return at(strings.IndexAny(text, `"'`), "a quote that is never closed", "")
	}
	return at(indent, "not YAML: "+msg, "")
}

// forbidden are the characters that YAML does not allow in a file.
func forbidden(r rune) bool {
	return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f || r >= 0x80 && r < 0xa0 && r != 0x85
}

// firstBadLine returns the first line (1-based) that a text cannot contain and
// still be YAML. Cut before a line of the outermost indentation, a sound text
// stays sound; so the block at fault is found by bisection, then the one inside
// it, and so on. It returns 0 if the fault is in a second document.
func firstBadLine(src *source) int {
	readable := func(lines int) bool { // the first so many
		end := len(src.text)
		if lines < len(src.lines) {
			end = src.lines[lines]
		}
		var n yaml.Node
		return yaml.Unmarshal([]byte(src.text[:end]), &n) == nil
	}
	good, bad := 0, len(src.lines) // readable(good), not readable(bad)
	if readable(bad) {
		return 0
	}
	for bad-good > 1 {
		cuts := cutsAtOutermost(src, good, bad)
		if len(cuts) == 0 {
			break
		}
		lo, hi := -1, len(cuts)
		for hi-lo > 1 {
			mid := (lo + hi) / 2
			if readable(cuts[mid]) {
				lo = mid
			} else {
				hi = mid
			}
		}
		if lo >= 0 {
			good = cuts[lo]
		}
		if hi < len(cuts) {
			bad = cuts[hi]
		}
	}
	for line := good + 1; line < bad; line++ {
		if contentful(src.line(line)) {
			return line
		}
	}
	return bad
}

// contentful reports whether a line holds more than blanks and a comment.
func contentful(line string) bool {
	t := strings.TrimSpace(line)
	return t != "" && t[0] != '#'
}

// cutsAtOutermost returns the line counts c, good < c < bad, such that line c+1
// has the least indentation of those that follow line good+1.
func cutsAtOutermost(src *source, good, bad int) []int {
	var cuts []int
	least := -1
	for c := good + 1; c < bad; c++ {
		text := src.line(c + 1)
		trimmed := strings.TrimLeft(text, " ")
		if trimmed == "" || strings.ContainsRune("#}]\r", rune(trimmed[0])) {
			continue
		}
		indent := len(text) - len(trimmed)
		if least < 0 || indent < least {
			least = indent
			cuts = cuts[:0]
		}
		if indent == least {
			cuts = append(cuts, c)
		}
	}
	return cuts
}
