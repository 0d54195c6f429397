package spec

import (
	"fmt"
	"slices"
	"strings"
)

// Options are what a caller brings to Parse beside the bytes.
type Options struct {
	// Profile is the name of the profile to apply, "" for none.
	Profile string
	// Set are overrides of top-level values, such as "values.domain=example.org".
	Set []string
	// Target, unless "", replaces target.url.
	Target string
	// Env looks an environment variable up. Only names that the spec declares
	// under env, and names of secrets, are asked for. Nil is an empty environment.
	Env func(name string) (string, bool)
	// Secret, unless nil, is told of each secret as it is found: faults of a spec
	// may quote one, and there is no Spec then whose Secrets could be masked.
	Secret func(string)
	// ReadFile reads a file that the spec names (a feeder, a body, a
	// certificate, an included spec), by its slash-separated path relative to
	// the spec's folder. The caller keeps it inside that folder. Nil: a spec
	// that names a file is at fault.
	ReadFile func(name string) ([]byte, error)
}

// Parse reads a spec. It returns either a complete Spec or all faults of the
// file, those of profiles that are not selected included; never both. After a
// thousand faults it gives up.
func Parse(file string, src []byte, o Options) (s *Spec, all Faults) {
	faults := &faultSet{}
	defer func() {
		switch r := recover(); r {
		case nil:
		case enough{}:
			s, all = nil, faults.sorted()
		default:
			panic(r)
		}
	}()
	source := newSource(file, strings.TrimPrefix(string(src), byteOrderMark))
	root := read(source, faults)
	if root == nil {
		return nil, faults.sorted()
	}
	if root.kind != mapKind {
		faults.add(source.fault(root.pos(), "a spec is a mapping, and this is "+root.kind.String(), "a spec begins with `version: 1`"))
		return nil, faults.sorted()
	}
	p := parser{source: source, faults: faults, files: newFiles(file, o.ReadFile), o: o}
	spec := p.all(root)
	if p.root != nil {
		checkSchema(specSchema(), p.root, faults)
	}
	if all = faults.sorted(); all != nil {
		return nil, all
	}
	spec.File = file
	spec.Digest = p.files.digest(src)
	return spec, nil
}

// parser decodes one file: as it stands, and again under each of its profiles.
type parser struct {
	source *source
	root   *node // with what the included files define
	faults *faultSet
	files  *files
	o      Options
}

// all decodes every variant of the file and returns the one that was asked for.
func (p *parser) all(root *node) *Spec {
	if root = p.include(root); root == nil {
		return nil
	}
	p.root = root
	overrides := p.overrides(root)
	d := &decoder{faults: p.faults, o: p.o, root: root}
	names, profiles := d.profiles(root)
	if work := root.size * (len(profiles) + 1); work > maxWork {
		d.fault(root.get("profiles"), "move some of them to a spec of their own", "%d profiles are too many for a file of this size", len(names))
		return nil
	}
	chosen := p.variant(root, "", overrides)
	found := p.o.Profile == ""
	for i, name := range names {
		p.faults.note = " (in profile " + name + ")"
		s := p.variant(overlay(root, profiles[i]), name, overrides)
		p.faults.note = ""
		if name == p.o.Profile {
			found = true
			chosen = s
		}
	}
	if !found {
		at := root
		if n := root.get("profiles"); n != nil {
			at = n
		}
		hint := suggest(p.o.Profile, names)
		if len(names) == 0 {
			hint = "this spec has no profiles"
		}
		d.fault(at, hint, "no profile is called %s", quote(p.o.Profile))
	}
	if chosen != nil {
		chosen.Profiles = names
	}
	return chosen
}

// variant decodes the file in one of its sizes.
func (p *parser) variant(root *node, profile string, overrides map[string]*node) *Spec {
	if len(overrides) > 0 {
		root = withValues(root, overrides)
	}
	d := &decoder{faults: p.faults, files: p.files, o: p.o, root: root}
	s := d.spec(root)
	s.Profile = profile
	if profile == p.o.Profile {
		s.Traffic = traffic(root, d.contents)
		for _, f := range d.feeds {
			f.fill()
		}
	}
	return s
}

// overlay returns root with the keys of profile in the place of its own.
func overlay(root, profile *node) *node {
	merged := *root
	merged.keys = slices.Clone(root.keys)
	merged.vals = slices.Clone(root.vals)
	for i, key := range profile.keys {
		if !slices.Contains(profileKeys, key.text) {
			continue
		}
		merged.put(key, profile.vals[i])
	}
	return &merged
}

// put sets a key of a mapping that the caller owns.
func (n *node) put(key, val *node) {
	for i, k := range n.keys {
		if k.text == key.text {
			n.keys[i], n.vals[i] = key, val
			return
		}
	}
	n.keys = append(n.keys, key)
	n.vals = append(n.vals, val)
}

// overrides reads what --set brought.
func (p *parser) overrides(root *node) map[string]*node {
	values := map[string]*node{}
	for _, set := range p.o.Set {
		path, text, ok := strings.Cut(set, "=")
		src := newSource("--set "+path, text)
		src.bare = true
		refuse := func(hint, format string, args ...any) {
			p.faults.add(src.fault(Pos{}, fmt.Sprintf(format, args...), hint))
		}
		name, isValue := strings.CutPrefix(path, "values.")
		var legal []string
		inProfile := false
		if n := root.get("values"); n != nil && n.kind == mapKind {
			for _, k := range n.keys {
				legal = append(legal, k.text)
			}
		}
		if profiles := root.get("profiles"); profiles != nil {
			inProfile = profiles.get(p.o.Profile).get("values").get(name) != nil
		}
		switch {
		case !ok:
			refuse("write --set values.NAME=VALUE", "%s sets nothing", quote(set))
			continue
		case !isValue:
			refuse("write --set values.NAME=VALUE", "only values can be set, and %s is none", quote(path))
			continue
		case !slices.Contains(legal, name) && !inProfile:
			refuse(suggest(name, legal), "no value is called %s", quote(name))
			continue
		}
		if n := override(src, p.faults); n != nil {
			values[name] = n
		}
	}
	return values
}

// override reads the text of a --set: a list or a mapping as YAML, all else as
// one scalar, so that a colon in it means nothing.
func override(src *source, faults *faultSet) *node {
	if strings.HasPrefix(src.text, "[") || strings.HasPrefix(src.text, "{") {
		return read(src, faults)
	}
	return plainScalar(src, faults)
}

// withValues returns root with some of its values replaced.
func withValues(root *node, overrides map[string]*node) *node {
	old := root.get("values")
	if old == nil || old.kind != mapKind {
		return root
	}
	values := *old
	values.vals = slices.Clone(old.vals)
	for i, k := range values.keys {
		if n := overrides[k.text]; n != nil {
			values.vals[i] = n
		}
	}
	merged := *root
	merged.vals = slices.Clone(root.vals)
	for i, k := range merged.keys {
		if k.text == "values" {
			merged.vals[i] = &values
		}
	}
	return &merged
}
