// Package jsonscan reads values out of a JSON document in one pass that also
// checks it: a document is either JSON from its first byte to its last, or
// nothing of it counts. It does not build a tree, and allocates nothing.
//
// Not for documents of one's own: encoding/json decodes those. This is for
// answers of which a few values matter, at the rate at which a load test gets
// them, from a peer that may be hostile: depth is bounded, so that no document
// can exhaust the stack.
package jsonscan

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strconv"
	"strings"
	"unsafe"

	"github.com/tidwall/gjson"
)

// MaxDepth is how deeply arrays and objects may be nested. RFC 8259 (section 9)
// leaves the limit to the reader.
const MaxDepth = 512

// Query is a set of paths, compiled: immutable, safe for concurrent use.
//
// Paths are in gjson's syntax. Those that only name keys and elements, as in
// data.items.0.id, are found while the document is checked; those with
// modifiers, wildcards or queries by gjson, afterwards.
type Query struct {
	root    node
	complex []complexPath
	paths   int
}

type complexPath struct {
	path string
	at   int
}

// node is a place in the documents that some path leads through. Its children
// are few, so they are looked for one by one.
type node struct {
	keys  []string
	index []int // the key as the number of an array's element, -1 if it is none
	next  []*node
	at    []int // paths that end here
}

// Compile compiles paths. The nth result of Find belongs to the nth path.
func Compile(paths []string) *Query {
	q := &Query{paths: len(paths)}
	for at, path := range paths {
		if !simple(path) {
			q.complex = append(q.complex, complexPath{path, at})
			continue
		}
		n := &q.root
		for key := range strings.SplitSeq(path, ".") {
			n = n.child(key)
		}
		n.at = append(n.at, at)
	}
	return q
}

func (n *node) child(key string) *node {
	for i, k := range n.keys {
		if k == key {
			return n.next[i]
		}
	}
	index := -1
	if i, err := strconv.Atoi(key); err == nil && strconv.Itoa(i) == key {
		index = i
	}
	c := &node{}
	n.keys, n.index, n.next = append(n.keys, key), append(n.index, index), append(n.next, c)
	return c
}

// simple reports whether a path only names keys and elements.
func simple(path string) bool {
	return path != "" && !strings.ContainsAny(path, `\*?|#@!{}[]()=<>%"'~`+"`") &&
		!strings.HasPrefix(path, ".") && !strings.HasSuffix(path, ".") && !strings.Contains(path, "..")
}

// Paths is how many results Find has.
func (q *Query) Paths() int { return q.paths }

// Find checks a document and puts what the paths lead to into found, which has
// room for [Query.Paths] values: the text of each value as it stands in the
// document, borrowed, for gjson.Parse to read; nil where there is none. Of
// equal keys the first counts. False: it is no JSON, or nested too deeply, and
// nothing was found.
func (q *Query) Find(document []byte, found [][]byte) bool {
	clear(found)
	s := scanner{text: document, found: found}
	n := &q.root
	if len(n.keys) == 0 {
		n = nil
	}
	if i := s.value(s.blank(0), n, 0); i < 0 || s.blank(i) != len(document) {
		clear(found)
		return false
	}
	for _, c := range q.complex {
		if r := gjson.Get(view(document), c.path); r.Exists() {
			found[c.at] = []byte(r.Raw)
		}
	}
	return true
}

// view is bytes as a string, without a copy.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// Valid reports whether a document is JSON and not nested too deeply.
func Valid(document []byte) bool {
	var q Query
	return q.Find(document, nil)
}

type scanner struct {
	text  []byte
	found [][]byte
}

// blank returns where the white space from i on ends.
func (s *scanner) blank(i int) int {
	if i < len(s.text) && s.text[i] > ' ' { // as in most documents
		return i
	}
	return s.skip(i)
}

func (s *scanner) skip(i int) int {
	for i < len(s.text) {
		switch s.text[i] {
		case ' ', '\t', '\n', '\r':
			i++
		default:
			return i
		}
	}
	return i
}

// value checks the value that begins at i and returns where it ends, -1 if it
// is none. n is what is wanted of it, nil for nothing.
func (s *scanner) value(i int, n *node, depth int) int {
	if i >= len(s.text) {
		return -1
	}
	start := i
	switch s.text[i] {
	case '"':
		i = s.str(i + 1)
	case '{':
		i = s.object(i+1, n, depth+1)
	case '[':
		i = s.array(i+1, n, depth+1)
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		i = s.number(i)
	case 't':
		i = s.word(i, "true")
	case 'f':
		i = s.word(i, "false")
	case 'n':
		i = s.word(i, "null")
	default:
		return -1
	}
	if i >= 0 && n != nil {
		for _, at := range n.at {
			if s.found[at] == nil {
				s.found[at] = s.text[start:i:i]
			}
		}
	}
	return i
}

func (s *scanner) word(i int, w string) int {
	if len(s.text)-i >= len(w) && string(s.text[i:i+len(w)]) == w {
		return i + len(w)
	}
	return -1
}

func (s *scanner) object(i int, n *node, depth int) int {
	if depth > MaxDepth {
		return -1
	}
	taken := uint64(0) // children that a key has led to: of equal keys the first counts
	i = s.blank(i)
	if i < len(s.text) && s.text[i] == '}' {
		return i + 1
	}
	for {
		if i >= len(s.text) || s.text[i] != '"' {
			return -1
		}
		start := i + 1
		if i = s.str(start); i < 0 {
			return -1
		}
		var next *node
		if n != nil {
			next = n.key(s.text[start:i-1], &taken)
		}
		if i = s.blank(i); i >= len(s.text) || s.text[i] != ':' {
			return -1
		}
		if i = s.value(s.blank(i+1), next, depth); i < 0 {
			return -1
		}
		if i = s.blank(i); i >= len(s.text) {
			return -1
		}
		switch s.text[i] {
		case '}':
			return i + 1
		case ',':
			i = s.blank(i + 1)
		default:
			return -1
		}
	}
}

// key returns the child of a key as it stands in the document, nil for none.
func (n *node) key(raw []byte, taken *uint64) *node {
	if bytes.IndexByte(raw, '\\') >= 0 {
		raw = []byte(gjson.Parse(`"` + string(raw) + `"`).Str)
	}
	for k, key := range n.keys {
		if key == string(raw) {
			if k < 64 {
				if *taken&(1<<k) != 0 {
					return nil
				}
				*taken |= 1 << k
			}
			return n.next[k]
		}
	}
	return nil
}

func (s *scanner) array(i int, n *node, depth int) int {
	if depth > MaxDepth {
		return -1
	}
	i = s.blank(i)
	if i < len(s.text) && s.text[i] == ']' {
		return i + 1
	}
	for element := 0; ; element++ {
		var next *node
		if n != nil {
			for k, index := range n.index {
				if index == element {
					next = n.next[k]
				}
			}
		}
		if i = s.value(i, next, depth); i < 0 {
			return -1
		}
		if i = s.blank(i); i >= len(s.text) {
			return -1
		}
		switch s.text[i] {
		case ']':
			return i + 1
		case ',':
			i = s.blank(i + 1)
		default:
			return -1
		}
	}
}

// Eight bytes are looked at as one word: each mask has the top bit set in every
// byte that matches. A borrow can set it wrongly only above a byte that does
// match, so "none" and "the lowest" are exact.
const (
	each = 0x0101010101010101
	tops = 0x8080808080808080
)

// str returns where the string that began before i ends, its quote included.
func (s *scanner) str(i int) int {
	for {
		for i+8 <= len(s.text) {
			w := binary.LittleEndian.Uint64(s.text[i:])
			quote, slash := w^each*'"', w^each*'\\'
			m := ((quote-each)&^quote | (slash-each)&^slash | (w-each*0x20)&^w) & tops
			if m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				break
			}
			i += 8
		}
		if i >= len(s.text) {
			return -1
		}
		switch c := s.text[i]; {
		case c == '"':
			return i + 1
		case c < ' ':
			return -1
		case c == '\\':
			if i = s.escape(i + 1); i < 0 {
				return -1
			}
		default:
			i++
		}
	}
}

// escape returns where the escape ends of which the backslash came before i.
func (s *scanner) escape(i int) int {
	if i >= len(s.text) {
		return -1
	}
	switch s.text[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
		if i+5 > len(s.text) {
			return -1
		}
		for _, c := range s.text[i+1 : i+5] {
			if !('0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f') {
				return -1
			}
		}
		return i + 5
	}
	return -1
}

func (s *scanner) number(i int) int {
	if s.text[i] == '-' {
		i++
	}
	switch {
	case i >= len(s.text):
		return -1
	case s.text[i] == '0':
		i++
	default:
		if i = s.digits(i); i < 0 {
			return -1
		}
	}
	if i < len(s.text) && s.text[i] == '.' {
		if i = s.digits(i + 1); i < 0 {
			return -1
		}
	}
	if i < len(s.text) && s.text[i]|0x20 == 'e' {
		if i++; i < len(s.text) && (s.text[i] == '+' || s.text[i] == '-') {
			i++
		}
		i = s.digits(i)
	}
	return i
}

// digits returns where one or more digits from i on end, -1 if there is none.
func (s *scanner) digits(i int) int {
	start := i
	for i < len(s.text) && s.text[i]-'0' <= 9 {
		i++
	}
	if i == start {
		return -1
	}
	return i
}
