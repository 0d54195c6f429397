package spec

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"tollgate/schema"
)

// specSchema is the published JSON Schema, compiled once.
var specSchema = sync.OnceValue(func() *jsonschema.Schema { return compileSchema(schema.Spec) })

// compileSchema panics on a text that is no schema: it comes with the program.
func compileSchema(text []byte) *jsonschema.Schema {
	const address = "spec.v1.json"
	c := jsonschema.NewCompiler()
	c.Draft = jsonschema.Draft2020
	c.AssertFormat = true
	c.LoadURL = func(u string) (io.ReadCloser, error) {
		return nil, fmt.Errorf("%s: a schema is complete in itself", u)
	}
	if err := c.AddResource(address, strings.NewReader(string(text))); err != nil {
		panic(err)
	}
	return c.MustCompile(address)
}

// checkSchema adds the violations of the schema of which the decoder has said
// nothing. The decoder's faults say more, so they have precedence; that the
// schema alone finds something means that the two disagree, and the safe side
// is to refuse the file.
func checkSchema(sch *jsonschema.Schema, root *node, faults *faultSet) {
	err := sch.Validate(plain(root))
	violation, ok := err.(*jsonschema.ValidationError)
	if !ok {
		if err != nil {
			faults.add(root.src.fault(root.pos(), "the schema cannot be checked: "+err.Error(), ""))
		}
		return
	}
	known := faults.list
	if len(known) >= maxFaults {
		return
	}
	violations := narrowest(violation)
	for _, v := range violations[:min(len(violations), maxFaults)] {
		n := root.find(v.InstanceLocation)
		first, last := n.extent()
		covered := false
		for _, f := range known {
			covered = covered || f.File != n.src.file || f.Line >= first && f.Line <= last
		}
		if !covered {
			faults.add(n.src.fault(n.pos(), "this does not satisfy the schema: "+v.Message, ""))
		}
	}
}

// narrowest returns the violations that say most: the leaves, but nothing
// below a choice, where each alternative has its own complaint.
func narrowest(v *jsonschema.ValidationError) []*jsonschema.ValidationError {
	last := v.KeywordLocation[strings.LastIndexByte(v.KeywordLocation, '/')+1:]
	if len(v.Causes) == 0 || last == "oneOf" || last == "anyOf" {
		return []*jsonschema.ValidationError{v}
	}
	var all []*jsonschema.ValidationError
	for _, cause := range v.Causes {
		all = append(all, narrowest(cause)...)
	}
	return all
}

// find returns the node at a JSON pointer in the library's percent-encoding,
// or the nearest one above.
func (n *node) find(pointer string) *node {
	for _, step := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		if decoded, err := url.PathUnescape(step); err == nil {
			step = decoded
		}
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		next := n.get(step)
		if i, err := strconv.Atoi(step); n.kind == listKind && err == nil && i >= 0 && i < len(n.vals) {
			next = n.vals[i]
		}
		if next == nil {
			return n
		}
		n = next
	}
	return n
}

// extent returns the first and the last line of the tree below n.
func (n *node) extent() (first, last int) {
	first, last = n.line, n.line
	for _, children := range [][]*node{n.keys, n.vals} {
		for _, c := range children {
			if c.src != n.src { // an included file has lines of its own
				continue
			}
			a, b := c.extent()
			first, last = min(first, a), max(last, b)
		}
	}
	return first, last
}

// plain returns the tree as the values that encoding/json makes. Shared trees
// stay shared.
func plain(root *node) any {
	done := map[*node]any{}
	var walk func(n *node) any
	walk = func(n *node) any {
		if v, ok := done[n]; ok {
			return v
		}
		var v any
		switch n.kind {
		case boolKind:
			v = n.text == "true"
		case intKind, floatKind:
			v = json.Number(n.text)
		case stringKind:
			v = n.text
		case listKind:
			list := make([]any, len(n.vals))
			for i, item := range n.vals {
				list[i] = walk(item)
			}
			v = list
		case mapKind:
			m := make(map[string]any, len(n.keys))
			for i, k := range n.keys {
				m[k.text] = walk(n.vals[i])
			}
			v = m
		}
		done[n] = v
		return v
	}
	return walk(root)
}
