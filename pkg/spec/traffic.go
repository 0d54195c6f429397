package spec

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"maps"
	"slices"
)

// weightless are the keys of a spec that change no request: how the test is
// called, how much of it there is and how it is judged. A key that is added to
// the format counts as one that does, unless it is named here: two tests that
// are taken for different are compared again; two that are taken for the same
// are not.
var weightless = []string{"name", "about", "env", "stages", "slos", "abort", "confidence", "error_guard", "profiles", "include", "probes"}

// traffic returns a digest of what decides which requests there are and who
// sends them: everything but the weightless keys and the places of the targets and of the database,
// and the content of the files that bodies and rows come from. It sees the text
// that was written, never the content of a secret or of the environment. Comments, quotes, layout and aliases make no difference; the
// order of keys does, because chance draws by it.
func traffic(root *node, contents map[string]*file) string {
	h := sha256.New()
	for i, key := range root.keys {
		if slices.Contains(weightless, key.text) {
			continue
		}
		n := root.vals[i]
		switch key.text {
		case "target":
			n = n.without(placeKeys...)
		case "targets":
			n = n.withoutPlaces()
		case "seed":
			n = n.without("postgres")
		}
		key.digest(h)
		n.digest(h)
	}
	for _, name := range slices.Sorted(maps.Keys(contents)) {
		contents[name].digest(h)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// placeKeys say where a target is and how to get there, not what is sent: a
// renewed certificate is no other test.
var placeKeys = []string{"url", "ready", "tls", "insecure"}

// withoutPlaces returns the mapping under targets without where they are.
func (n *node) withoutPlaces() *node {
	if n.kind != mapKind {
		return n
	}
	out := *n
	out.vals = slices.Clone(n.vals)
	for i, v := range out.vals {
		if v.kind != mapKind { // the URL alone
			v = &node{kind: mapKind}
		}
		out.vals[i] = v.without(placeKeys...)
	}
	return &out
}

// without returns a mapping without some of its keys, and all else as it is.
func (n *node) without(names ...string) *node {
	if n.kind != mapKind {
		return n
	}
	out := *n
	out.keys, out.vals = nil, nil
	for i, key := range n.keys {
		if !slices.Contains(names, key.text) {
			out.keys, out.vals = append(out.keys, key), append(out.vals, n.vals[i])
		}
	}
	return &out
}

// digest writes the tree so that no two different ones are written alike: each
// value with its kind and its length.
func (n *node) digest(h hash.Hash) {
	var head [9]byte
	head[0] = byte(n.kind)
	binary.BigEndian.PutUint64(head[1:], uint64(max(len(n.text), len(n.vals))))
	h.Write(head[:])
	h.Write([]byte(n.text))
	for i, v := range n.vals {
		if n.kind == mapKind {
			n.keys[i].digest(h)
		}
		v.digest(h)
	}
}
