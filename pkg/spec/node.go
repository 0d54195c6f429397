package spec

import (
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

// kind is what a node holds. A node of which a fault was reported already is
// bad: nothing more is said about it.
type kind uint8

const (
	badKind kind = iota
	nullKind
	boolKind
	intKind
	floatKind
	stringKind
	listKind
	mapKind
)

func (k kind) String() string {
	return [...]string{"nothing", "null", "true or false", "a whole number", "a number", "text", "a list", "a mapping"}[k]
}

// node is a value of the file, with its place. Aliases share the node that they
// name, so that no alias can make the tree larger than the file.
type node struct {
	kind kind
	text string // of a scalar; a number's is valid JSON
	keys []*node
	vals []*node // of a mapping, as keys; of a list, its items

	src  *source
	line int // 1-based
	col  int // 1-based, in bytes

	plain bool // an unquoted scalar
	// lost is the part of the line that YAML took for a comment, if it looks
	// as if it were meant to be text.
	lost string

	height  int // of the tree below
	size    int // nodes of the tree below, aliases expanded, saturating
	aliases int // aliases met in the tree below, aliases expanded, saturating
}

// get returns the value of key, nil if there is none.
func (n *node) get(key string) *node {
	if n == nil || n.kind != mapKind {
		return nil
	}
	for i, k := range n.keys {
		if k.text == key {
			return n.vals[i]
		}
	}
	return nil
}

// isSet reports whether the node is there and holds something.
func (n *node) isSet() bool { return n != nil && n.kind != nullKind }

// isScalar reports whether n holds a bool, a number or text.
func (n *node) isScalar() bool {
	return n.kind == boolKind || n.kind == intKind || n.kind == floatKind || n.kind == stringKind
}

// pos returns where the node begins.
func (n *node) pos() Pos { return Pos{File: n.src.file, Line: n.line, Col: n.col} }

// at returns the place in the file of the byte at off in the node's text. The
// text is what YAML made of the source: quotes, escapes, folded lines and
// indentation lie between the two. It is exact inside ${ } and in scalars of
// one line.
func (n *node) at(off int) Pos {
	s := n.src
	i := s.skipProperties(s.offset(n.line, n.col))
	quoteMark := byte(0)
	block := false
	if i < len(s.text) {
		switch c := s.text[i]; c {
		case '"', '\'':
			quoteMark = c
			i++
		case '|', '>':
			block = true
		}
	}
	off = min(max(off, 0), len(n.text))
	from := 0
	// The last ${ before off is the same in text and source, whatever YAML did in between.
	if count := strings.Count(n.text[:min(off+2, len(n.text))], "${"); count > 0 {
		raw := i
		for ; count > 0; count-- {
			next := strings.Index(n.text[from:], "${")
			rawNext := strings.Index(s.text[raw:], "${")
			if next < 0 || rawNext < 0 {
				return n.pos()
			}
			from += next
			raw += rawNext
			if count > 1 {
				from += 2
				raw += 2
			}
		}
		i = raw
	} else if block {
		return n.pos()
	}
	for from < off && i < len(s.text) && s.text[i] != '\n' {
		switch {
		case quoteMark == '"' && s.text[i] == '\\':
			raw, decoded := escape(s.text[i:])
			i += raw
			from += decoded
		case quoteMark == '\'' && strings.HasPrefix(s.text[i:], "''"):
			i += 2
			from++
		default:
			i++
			from++
		}
	}
	return s.posAt(i)
}

// escape returns the length of the escape sequence at the start of s, and that
// of what it stands for.
func escape(s string) (raw, decoded int) {
	if len(s) < 2 {
		return 1, 1
	}
	switch s[1] {
	case 'x', 'u', 'U':
		digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[1]]
		code, err := strconv.ParseUint(s[2:min(2+digits, len(s))], 16, 32)
		if err != nil {
			return 2, 1
		}
		return 2 + digits, max(utf8.RuneLen(rune(code)), 1)
	case 'N', '_':
		return 2, 2
	case 'L', 'P':
		return 2, 3
	}
	return 2, 1
}

// source is a text with its lines.
type source struct {
	file  string
	text  string
	lines []int // offsets of the lines' beginnings
	bare  bool  // not a file: faults in it have neither line nor column
	at    cursor
}

func newSource(file, text string) *source {
	s := &source{file: file, text: text, lines: []int{0}}
	for i := 0; i < len(text); i++ {
		if size := lineBreak(text[i:]); size > 0 {
			i += size - 1
			s.lines = append(s.lines, i+1)
		}
	}
	return s
}

// lineBreak returns the length of the line break that s begins with, as YAML
// counts lines; 0 for none.
func lineBreak(s string) int {
	switch {
	case s[0] == '\n':
		return 1
	case s[0] == '\r':
		if strings.HasPrefix(s, "\r\n") {
			return 2
		}
		return 1
	case s[0] == 0xc2 && strings.HasPrefix(s, "\u0085"):
		return 2
	case s[0] == 0xe2 && (strings.HasPrefix(s, "\u2028") || strings.HasPrefix(s, "\u2029")):
		return 3
	}
	return 0
}

// line returns the 1-based line n without its end.
func (s *source) line(n int) string {
	if n < 1 || n > len(s.lines) {
		return ""
	}
	if n == len(s.lines) {
		return s.text[s.lines[n-1]:]
	}
	return strings.TrimRight(s.text[s.lines[n-1]:s.lines[n]], "\r\n\u0085\u2028\u2029")
}

// column turns a 1-based column in characters into one in bytes. It goes on
// from where it stood last: a file of a single line would else be counted
// through again for each of its values.
func (s *source) column(line, chars int) int {
	if line != s.at.line || chars < s.at.chars {
		s.at = cursor{line: line, chars: 1, col: 1, rest: s.line(line)}
	}
	c := &s.at
	for c.chars < chars && c.rest != "" {
		_, size := utf8.DecodeRuneInString(c.rest)
		c.rest = c.rest[size:]
		c.col += size
		c.chars++
	}
	return c.col + chars - c.chars
}

// cursor is a place in a line, counted in characters and in bytes.
type cursor struct {
	line, chars, col int
	rest             string // of the line
}

// offset returns the place in text of a position.
func (s *source) offset(line, col int) int {
	if line < 1 || line > len(s.lines) {
		return len(s.text)
	}
	return min(s.lines[line-1]+col-1, len(s.text))
}

// posAt is the inverse of offset.
func (s *source) posAt(offset int) Pos {
	line := sort.SearchInts(s.lines, offset+1)
	return Pos{File: s.file, Line: line, Col: offset - s.lines[line-1] + 1}
}

// skipProperties returns the offset after the anchor and the tag at i, if there are any.
func (s *source) skipProperties(i int) int {
	for i < len(s.text) && (s.text[i] == '&' || s.text[i] == '!') {
		for i < len(s.text) && !strings.ContainsRune(" \t\n", rune(s.text[i])) {
			i++
		}
		for i < len(s.text) && strings.ContainsRune(" \t\n", rune(s.text[i])) {
			i++
		}
	}
	return i
}

// fault returns a fault at p, with its line.
func (s *source) fault(p Pos, msg, hint string) Fault {
	if s.bare {
		return Fault{Pos: Pos{File: s.file}, Msg: msg, Hint: hint}
	}
	return Fault{Pos: p, Msg: msg, Hint: hint, Source: s.line(p.Line)}
}
