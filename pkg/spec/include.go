package spec

import (
	"slices"
	"strings"
)

// maxIncludes is how many files a spec may be put together from.
const maxIncludes = 50

// sections are the keys of an included file.
var sections = legalKeys[includedObject]

// include returns root with what the included files define in front of its own
// endpoints, personas and values: so the file that includes may use their
// constants. It returns nil if one of the files cannot be used: what follows
// from the lack of its names is not worth reading.
func (p *parser) include(root *node) *node {
	n := root.get("include")
	d := &decoder{faults: p.faults, files: p.files, root: root}
	if !n.isSet() || n.kind == badKind {
		return root
	}
	if n.kind == stringKind {
		d.fault(n, "write include: ["+n.text+"]", "include is a list of files")
		return nil
	}
	if !d.is(n, listKind, "include") || !d.within(n, maxIncludes, "included files") {
		return nil
	}
	merged := *root
	merged.keys, merged.vals = slices.Clone(root.keys), slices.Clone(root.vals)
	known := map[*file]bool{}
	unusable := false
	shared := map[string]*node{} // what the included files define, by section
	for _, item := range n.vals {
		f := d.file(item, "an included file")
		if f == nil {
			unusable = true
			continue
		}
		if known[f] {
			d.fault(item, "keep one of them", "%s is included twice", f.name)
			continue
		}
		known[f] = true
		part := p.included(d, f)
		if part == nil {
			unusable = true
			continue
		}
		for _, section := range sections {
			if own := part.get(section); own.isSet() && d.mapping(own, section) {
				shared[section] = d.join(shared[section], own)
			}
		}
		merged.size += part.size
		if merged.size > maxNodes {
			d.fault(item, "", "more than %d values, with the included files", maxNodes)
			return nil
		}
	}
	if unusable {
		return nil
	}
	for _, section := range sections {
		part, own := shared[section], root.get(section)
		switch {
		case part == nil:
		case own == nil:
			merged.put(&node{kind: stringKind, text: section, src: part.src, line: part.line, col: part.col, size: 1}, part)
		case own.kind == mapKind:
			joined := d.join(part, own)
			joined.src, joined.line, joined.col = own.src, own.line, own.col
			for i, k := range merged.keys {
				if k.text == section {
					merged.vals[i] = joined
				}
			}
		}
	}
	return &merged
}

// included reads one included file.
func (p *parser) included(d *decoder, f *file) *node {
	root := read(newSource(p.files.shown(f.name), strings.TrimPrefix(f.data, byteOrderMark)), p.faults)
	if root == nil || !d.mapping(root, "an included file") {
		return nil
	}
	for i, k := range root.keys {
		switch {
		case k.kind == badKind:
		case k.text == "include":
			d.fault(k, "include that file from the spec itself", "an included file cannot include another")
		case !slices.Contains(sections, k.text) && slices.Contains(legalKeys[specObject], k.text):
			d.fault(k, "move it to the spec that includes this file", "an included file has endpoints, personas and values, and no %s", k.text)
		case !slices.Contains(sections, k.text):
			d.fault(k, suggestKey(k.text, sections), "unknown key %s", quote(k.text))
		case root.vals[i].kind == nullKind:
			d.fault(k, "give it a value, or leave it out", "the key %s is empty", k.text)
		}
	}
	return root
}

// join returns a mapping of the entries of two, and reports the names that
// both have.
func (d *decoder) join(first, second *node) *node {
	if first == nil {
		first = &node{kind: mapKind, src: second.src, line: second.line, col: second.col}
	}
	out := *first
	out.keys, out.vals = slices.Clone(first.keys), slices.Clone(first.vals)
	known := make(map[string]*node, len(first.keys))
	for _, k := range first.keys {
		known[k.text] = k
	}
	for i, k := range second.keys {
		if was := known[k.text]; was != nil && k.kind != badKind {
			d.fault(k, "keep one of them, or rename one", "%s is defined in %s:%d:%d too", k.text, was.src.file, was.line, was.col)
			continue
		}
		out.keys, out.vals = append(out.keys, k), append(out.vals, second.vals[i])
	}
	out.size = first.size + second.size
	return &out
}
