package spec

import (
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// What a spec may hold at most. A spec is foreign text: the limits are what
// keeps a hostile one from costing more than a moment.
const (
	maxBytes   = 1 << 20
	maxDepth   = 64
	maxAliases = 1000    // met when the tree is walked with its aliases expanded
	maxNodes   = 250_000 // with aliases expanded
	maxWork    = 500_000 // nodes, for each profile once more

	maxEndpoints = 2000
	maxPersonas  = 100
	maxTasks     = 200 // of a persona
	maxSteps     = 200 // of a series
	maxStages    = 100
	maxHeaders   = 100
	maxSLOs      = 200
	maxSlots     = 1000 // names of values that a user can hold
)

// read turns the bytes of a file into nodes. It reports everything that is
// wrong with the file as YAML; root is nil if there is nothing to go on with.
func read(src *source, faults *faultSet) (root *node) {
	text := src.text
	if len(text) > maxBytes {
		faults.add(src.fault(src.posAt(0), fmt.Sprintf("the file has %d bytes, a spec at most %d (1 MiB)", len(text), maxBytes),
			"lists of test data do not belong into a spec"))
		return nil
	}
	if at := invalidUTF8(text); at >= 0 {
		faults.add(src.fault(src.posAt(at), "the file is not UTF-8 text", "save it as UTF-8"))
		return nil
	}
	dec := yaml.NewDecoder(strings.NewReader(text))
	var doc yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0 {
		faults.add(src.fault(src.posAt(0), "the file is empty", "a spec begins with `version: 1`"))
		return nil
	}
	if err != nil {
		faults.add(syntaxFault(src, err))
		return nil
	}
	var second yaml.Node
	switch err := dec.Decode(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		faults.add(syntaxFault(src, err))
		return nil
	default:
		faults.add(src.fault(Pos{File: src.file, Line: second.Line, Col: 1}, "a second document begins here, and a spec is one document",
			"remove the `---`, or make it a file of its own"))
		return nil
	}
	r := reader{src: src, faults: faults, done: map[*yaml.Node]*node{}}
	root = r.node(doc.Content[0], 1)
	if r.stopped {
		return nil
	}
	return root
}

func invalidUTF8(text string) int {
	if utf8.ValidString(text) {
		return -1
	}
	for i, r := range text {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(text[i:]); size == 1 {
				return i
			}
		}
	}
	return -1
}

// reader turns YAML's nodes into ours, each once.
type reader struct {
	src     *source
	faults  *faultSet
	done    map[*yaml.Node]*node // nil while the node is being read
	stopped bool                 // a limit was passed: the first fault says which
}

// stop reports that a limit was passed at n, and ends the reading.
func (r *reader) stop(n *node, hint, format string, args ...any) {
	if !r.stopped {
		r.faults.add(r.src.fault(n.pos(), fmt.Sprintf(format, args...), hint))
	}
	r.stopped = true
}

// refuse reports n and makes it bad.
func (r *reader) refuse(n *node, hint, format string, args ...any) *node {
	r.faults.add(r.src.fault(n.pos(), fmt.Sprintf(format, args...), hint))
	n.kind = badKind
	return n
}

func (r *reader) node(y *yaml.Node, depth int) *node {
	n := &node{src: r.src, line: y.Line, col: r.src.column(y.Line, y.Column), size: 1}
	if r.stopped {
		return n
	}
	if depth > maxDepth {
		r.stop(n, "", "nested deeper than %d levels", maxDepth)
		return n
	}
	if y.Kind == yaml.AliasNode {
		return r.alias(n, y, depth)
	}
	if tag := y.ShortTag(); y.Style&yaml.TaggedStyle != 0 && tag != "!!str" && tag != "!!map" && tag != "!!seq" {
		return r.refuse(n, "remove it", "the tag %s means nothing in a spec", quote(tag))
	}
	switch y.Kind {
	case yaml.ScalarNode:
		r.scalar(n, y)
	case yaml.SequenceNode:
		n.kind = listKind
	case yaml.MappingNode:
		n.kind = mapKind
	}
	r.done[y] = nil
	if n.kind == listKind {
		for _, item := range y.Content {
			v := r.node(item, depth+1)
			n.vals = append(n.vals, v)
			r.count(n, v)
		}
	}
	if n.kind == mapKind {
		r.mapping(n, y, depth)
	}
	r.done[y] = n
	return n
}

// count adds a child's tree to its parent's, and keeps the limits.
func (r *reader) count(parent, child *node) {
	const saturated = 1 << 40
	parent.height = max(parent.height, child.height+1)
	parent.size = min(parent.size+child.size, saturated)
	parent.aliases = min(parent.aliases+child.aliases, saturated)
	if parent.aliases > maxAliases {
		r.stop(child, "", "more than %d aliases", maxAliases)
	}
	if parent.size > maxNodes {
		r.stop(child, "", "more than %d values, aliases expanded", maxNodes)
	}
}

func (r *reader) alias(n *node, y *yaml.Node, depth int) *node {
	target, known := r.done[y.Alias]
	if !known || target == nil {
		r.stop(n, "", "the alias *%s stands inside the value that it names", y.Value)
		return n
	}
	if depth+target.height > maxDepth {
		r.stop(n, "", "nested deeper than %d levels, aliases expanded", maxDepth)
		return n
	}
	// A copy of the head counts the alias; the tree below is shared.
	shared := *target
	shared.aliases++
	return &shared
}

func (r *reader) mapping(n *node, y *yaml.Node, depth int) {
	first := map[string]*node{}
	merged := map[string]bool{} // keys that only a << brought
	put := func(k, v *node) {
		n.keys = append(n.keys, k)
		n.vals = append(n.vals, v)
	}
	for i := 0; i+1 < len(y.Content); i += 2 {
		ky := y.Content[i]
		k := &node{src: r.src, kind: stringKind, text: ky.Value, line: ky.Line, col: r.src.column(ky.Line, ky.Column)}
		if ky.Kind == yaml.ScalarNode && ky.Anchor != "" {
			r.done[ky] = k
		}
		v := r.node(y.Content[i+1], depth+1)
		r.count(n, v)
		if r.stopped {
			return
		}
		if ky.Kind == yaml.ScalarNode && ky.ShortTag() == "!!merge" {
			for _, m := range r.merge(v) {
				for j, mk := range m.keys {
					if first[mk.text] == nil && !merged[mk.text] {
						merged[mk.text] = true
						put(mk, m.vals[j])
					}
				}
			}
			continue
		}
		if ky.Kind != yaml.ScalarNode || !textual(ky) {
			r.refuse(k, "quote it", "a key must be text")
			continue
		}
		if was := first[k.text]; was != nil {
			r.refuse(k, "keep one of them", "the key %s stands here twice; the first is in line %d", quote(k.text), was.line)
			continue
		}
		first[k.text] = k
		if merged[k.text] { // what the mapping says itself wins
			for j := range n.keys {
				if n.keys[j].text == k.text {
					n.keys[j], n.vals[j] = k, v
				}
			}
			continue
		}
		put(k, v)
	}
}

// merge returns the mappings that the value of a << key brings in.
func (r *reader) merge(v *node) []*node {
	switch {
	case v.kind == mapKind:
		return []*node{v}
	case v.kind == listKind:
		var all []*node
		for _, item := range v.vals {
			if item.kind != mapKind {
				r.refuse(item, "", "<< merges mappings, and this is %s", item.kind)
				return nil
			}
			all = append(all, item)
		}
		return all
	case v.kind != badKind:
		r.refuse(v, "", "<< merges a mapping, and this is %s", v.kind)
	}
	return nil
}

// textual reports whether YAML reads the scalar as text. Dates do not exist in
// a spec: they are text.
func textual(y *yaml.Node) bool {
	tag := y.ShortTag()
	return tag == "!!str" || tag == "!!timestamp"
}

var (
	jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)
	octalish   = regexp.MustCompile(`^[-+]?0[0-9_]+$`)
)

func (r *reader) scalar(n *node, y *yaml.Node) {
	n.text = y.Value
	n.plain = y.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
	if n.plain && strings.HasPrefix(y.LineComment, "#${") {
		n.lost = y.LineComment
	}
	switch tag := y.ShortTag(); {
	case textual(y):
		n.kind = stringKind
		if n.plain && y.Style&yaml.TaggedStyle == 0 && jsonNumber.MatchString(y.Value) && !finite(y.Value) {
			r.refuse(n, "write a finite number, or quote it if it is text", "%s is not a finite number", quote(y.Value))
		}
	case tag == "!!null":
		n.kind = nullKind
	case tag == "!!bool":
		n.kind = boolKind
		n.text = strings.ToLower(y.Value)
	case tag == "!!int", tag == "!!float":
		r.number(n)
	default:
		r.refuse(n, "quote it if it is text", "%s is neither text nor a number", quote(y.Value))
	}
}

// plainScalar reads the whole text as one unquoted scalar.
func plainScalar(src *source, faults *faultSet) *node {
	n := &node{src: src, line: 1, col: 1, size: 1}
	r := reader{src: src, faults: faults}
	r.scalar(n, &yaml.Node{Kind: yaml.ScalarNode, Value: src.text})
	return n
}

// number accepts what JSON calls a number. All else that YAML would take for
// one reads differently elsewhere: 010 is 8 to one reader and 10 to the next.
func (r *reader) number(n *node) {
	digits := strings.TrimLeft(strings.TrimLeft(n.text, "-+"), "0_")
	switch {
	case octalish.MatchString(n.text):
		r.refuse(n, fmt.Sprintf("write %s, or quote it if it is text", orZero(digits)), "%s looks like an octal number", n.text)
	case !jsonNumber.MatchString(n.text) && !finite(strings.ReplaceAll(strings.ToLower(n.text), ".", "")):
		r.refuse(n, "write a finite number, or quote it if it is text", "%s is not a finite number", quote(n.text))
	case !jsonNumber.MatchString(n.text):
		r.refuse(n, "write it in plain decimals, or quote it if it is text", "%s is not written as a decimal number", quote(n.text))
	case strings.ContainsAny(n.text, ".eE"):
		n.kind = floatKind
	default:
		n.kind = intKind
	}
}

func orZero(digits string) string {
	if digits == "" {
		return "0"
	}
	return digits
}

// finite reports whether s is no number at all or one that a float64 can hold.
func finite(s string) bool {
	v, err := strconv.ParseFloat(s, 64)
	if errors.Is(err, strconv.ErrRange) {
		return false
	}
	return err != nil || !math.IsInf(v, 0) && !math.IsNaN(v)
}
