package spec

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"tollgate/internal/expr"
)

// decoder turns the nodes of one variant of a file into a Spec. It goes on
// after a fault, so that all are found; what it returns then is not used.
type decoder struct {
	faults *faultSet
	o      Options
	files  *files
	root   *node

	env      map[string]bool // names declared under env
	names    *expr.Names
	compiler *expr.Compiler
	slots    []string
	secrets  map[string]bool

	contents  map[string]*file // files that bodies and rows come from, by name
	bodyBytes int              // of files in multipart bodies
	feeds     []*feed
	fed       map[int]*Feeder // whose column a slot is

	on        map[string]int // what Endpoint.On is for the name of a target
	onNames   []string       // the names in file order
	redirects int            // of an endpoint that does not say it

	entries []*entry // of the seed

	endpoints map[string]*Endpoint
	rows      map[string]*Endpoint // whose requests a row of the report shows

	parts map[*expr.Text][]part // what each text was compiled from
	conds map[*expr.Cond]*node
	slos  []*node // where each of Spec.SLOs stands
	// untils is where the condition of each steps stage stands.
	untils map[*Stage]*node
}

// part is a scalar that a text was compiled from, and the slots it reads.
type part struct {
	slots []int
	node  *node
}

// fault reports what is wrong with n.
func (d *decoder) fault(n *node, hint, format string, args ...any) {
	if n.kind != badKind {
		d.faults.add(n.src.fault(n.pos(), fmt.Sprintf(format, args...), hint))
	}
}

// faultAt reports what is wrong at the byte off of n's text.
func (d *decoder) faultAt(n *node, off int, hint, format string, args ...any) {
	d.faults.add(n.src.fault(n.at(off), fmt.Sprintf(format, args...), hint))
}

// spec decodes the whole file.
func (d *decoder) spec(root *node) *Spec {
	s := &Spec{ErrorGuard: 0.01, Confidence: Confidence{Level: 0.95}}
	d.secrets = map[string]bool{}
	d.parts = map[*expr.Text][]part{}
	d.conds = map[*expr.Cond]*node{}
	d.untils = map[*Stage]*node{}
	d.contents = map[string]*file{}
	d.fed = map[int]*Feeder{}
	d.on = map[string]int{}
	d.entries = entries(root)
	d.keys(root, specObject)
	d.header(root, s)
	d.declareEnv(root.get("env"))
	d.values(root.get("values"))
	d.declareSlots(root)
	d.compiler = expr.NewCompiler(d.names)
	d.targets(root, s)
	d.seed(root, s)
	d.probes(root.get("probes"), s)
	before := d.faults.count
	d.catalogue(root.get("endpoints"), s)
	s.Before = d.series(root.get("before"), Before)
	d.personas(root.get("personas"), s)
	s.After = d.series(root.get("after"), After)
	d.deal(s)
	// A misspelt endpoint makes values unset and SLOs blind: what follows from a
	// fault is not said until the fault is gone.
	if d.faults.count == before {
		d.checkFlow(s)
	}
	d.stages(root.get("stages"), s)
	sound := d.faults.count == before && len(s.Stages) > 0
	d.promises(root, s)
	if sound {
		d.checkSight(s)
	}
	s.Slots = d.slots
	for secret := range d.secrets {
		s.Secrets = append(s.Secrets, secret)
	}
	slices.Sort(s.Secrets)
	return s
}

// keep marks a text as a secret.
func (d *decoder) keep(secret string) {
	if !d.secrets[secret] && d.o.Secret != nil {
		d.o.Secret(secret)
	}
	d.secrets[secret] = true
}

var specName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// header decodes version, name and about, and asks for the keys without which there is no spec.
func (d *decoder) header(root *node, s *Spec) {
	required := []struct{ key, example string }{
		{"version", "version: 1"}, {"name", "name: shop"},
		{"endpoints", "endpoints: {home: GET /}"}, {"personas", "personas: {visitor: {tasks: {home: 1}}}"},
		{"stages", "stages: [steady: {users: 10, for: 1m}]"},
	}
	for _, r := range required {
		d.require(root, specObject, r.key, r.example)
	}
	if root.get("targets") == nil {
		d.require(root, specObject, "target", `target: {url: "http://127.0.0.1:8000"}`)
	}
	if n := root.get("version"); n != nil {
		if n.kind != intKind || n.text != "1" {
			d.fault(n, "write version: 1", "this program reads version 1 of the format")
		}
		s.Version = 1
	}
	if n := root.get("name"); n != nil {
		s.Name, _ = d.text(n, "the name")
		if s.Name != "" && !specName.MatchString(s.Name) {
			d.fault(n, "use letters, digits, . _ and -, at most 64", "the name %s cannot name a folder", quote(s.Name))
		}
	}
	if n := root.get("about"); n.isSet() {
		s.About, _ = d.text(n, "about")
	}
}

// keys reports the keys of n that the object does not have. It returns false if
// n is no mapping at all.
func (d *decoder) keys(n *node, o object) bool {
	if !d.mapping(n, "this") {
		return false
	}
	for i, k := range n.keys {
		switch {
		case !slices.Contains(legalKeys[o], k.text):
			d.fault(k, suggestKey(k.text, legalKeys[o]), "unknown key %s", quote(k.text))
		case n.vals[i].kind == nullKind && k.text != "json": // the body null is one
			d.fault(k, "give it a value, or leave it out", "the key %s is empty", k.text)
			n.vals[i].kind = badKind
		}
	}
	return true
}

// require returns the value of a key that the object must have. A misspelt key
// is another fault already.
func (d *decoder) require(n *node, o object, key, example string) *node {
	val := n.get(key)
	if val != nil {
		return val
	}
	for _, k := range n.keys[:min(len(n.keys), maxSteps)] {
		if !slices.Contains(legalKeys[o], k.text) && nearestKey(k.text, legalKeys[o]) == key {
			return nil
		}
	}
	d.fault(n, "write "+example, "the key %s is missing", key)
	return nil
}

// mapping reports n unless it is a mapping.
func (d *decoder) mapping(n *node, what string) bool {
	return d.is(n, mapKind, what)
}

func (d *decoder) is(n *node, want kind, what string) bool {
	if n.kind != want {
		d.fault(n, "", "%s must be %s, not %s", what, want, n.kind)
		return false
	}
	return true
}

// within reports a mapping or a list that has more than most entries.
func (d *decoder) within(n *node, most int, what string) bool {
	if n != nil && len(n.vals) > most {
		d.fault(n, "", "%d %s, and a spec has at most %d", len(n.vals), what, most)
		return false
	}
	return true
}

// each calls f for every key of the mapping n whose name is well formed.
func (d *decoder) each(n *node, what string, f func(name string, key, val *node)) {
	if n == nil || !d.mapping(n, what) {
		return
	}
	for i, k := range n.keys {
		if k.kind != badKind {
			f(k.text, k, n.vals[i])
		}
	}
}

// text returns what must be text.
func (d *decoder) text(n *node, what string) (string, bool) {
	d.checkLost(n)
	switch {
	case n.kind == stringKind:
		return n.text, true
	case n.isScalar():
		d.fault(n, fmt.Sprintf(`quote it: "%s"`, n.text), "%s must be text, not %s", what, n.kind)
	default:
		d.fault(n, "", "%s must be text, not %s", what, n.kind)
	}
	return "", false
}

// checkLost reports a text of which YAML has taken the end for a comment.
func (d *decoder) checkLost(n *node) {
	if n.lost != "" {
		d.fault(n, fmt.Sprintf(`quote it: "%s %s"`, n.text, n.lost), "everything after ` #` is a comment to YAML, so %s is lost", n.lost)
	}
}

// choice returns a text that must be one of the legal ones.
func (d *decoder) choice(n *node, what string, legal ...string) string {
	s, ok := d.text(n, what)
	if ok && !slices.Contains(legal, s) {
		d.fault(n, suggest(s, legal), "%s cannot be %s", what, quote(s))
	}
	return s
}

// whole returns a whole number between least and most.
func (d *decoder) whole(n *node, what string, least, most int) int {
	v, err := strconv.Atoi(n.text)
	switch {
	case n.kind != intKind:
		hint := ""
		if n.kind == stringKind && bareNumber.MatchString(n.text) {
			hint = "write it without quotes"
		}
		d.fault(n, hint, "%s must be a whole number, not %s", what, describe(n))
	case err != nil || v > most:
		d.fault(n, "", "%s is at most %d", what, most)
	case v < least:
		d.fault(n, "", "%s is at least %d", what, least)
	default:
		return v
	}
	return max(least, 1) // so that nothing follows from the fault
}

// describe says what a node holds, with the value where that helps.
func describe(n *node) string {
	if n.isScalar() {
		return quote(n.text)
	}
	return n.kind.String()
}

// flag returns true or false.
func (d *decoder) flag(n *node, what string) bool {
	return d.is(n, boolKind, what) && n.text == "true"
}

// quantity applies one of the quantity parsers to a scalar.
func quantity[T any](d *decoder, n *node, what string, parse func(string) (T, error)) T {
	var zero T
	if !n.isScalar() {
		d.fault(n, "", "%s must be a quantity with its unit, not %s", what, n.kind)
		return zero
	}
	v, err := parse(n.text)
	if err != nil {
		q := err.(*QuantityError)
		d.fault(n, q.Hint, "%s: %s", what, q.Msg)
		return zero
	}
	return v
}

// duration returns a duration of at least least.
func (d *decoder) duration(n *node, what string, least time.Duration) time.Duration {
	v := quantity(d, n, what, ParseDuration)
	if v < least && n.kind != badKind && n.isScalar() {
		if _, err := ParseDuration(n.text); err == nil {
			d.fault(n, "", "%s is at least %s", what, least)
		}
	}
	return v
}

// size returns a number of bytes between least and most.
func (d *decoder) size(n *node, what string, least, most int64) int64 {
	v := quantity(d, n, what, ParseSize)
	if _, err := ParseSize(n.text); err == nil && n.isScalar() && (v < least || v > most) {
		d.fault(n, "", "%s lies between %s and %s", what, sizeText(least), sizeText(most))
	}
	return v
}

// sizeText writes a size of whole KiB as people write it in a spec.
func sizeText(bytes int64) string {
	units := []string{"KiB", "MiB", "GiB"}
	for bytes >>= 10; bytes >= 1<<10 && bytes%(1<<10) == 0 && len(units) > 1; units = units[1:] {
		bytes >>= 10
	}
	return strconv.FormatInt(bytes, 10) + units[0]
}

// plainName is the form of the names that others refer to.
var plainName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$`)

// name reports a key that cannot be the name of a what.
func (d *decoder) name(key *node, what string) {
	if !plainName.MatchString(key.text) {
		d.fault(key, "use letters, digits, _ . and -, at most 100", "%s cannot be the name of %s", quote(key.text), what)
	}
}

// row decodes the name of the report's row that shows e's requests. A row that
// added up two endpoints would show latencies that say nothing.
func (d *decoder) row(n *node, e *Endpoint) string {
	s, ok := d.text(n, "a name")
	switch other := d.rows[s]; {
	case !ok:
	case s == "" || strings.TrimSpace(s) != s:
		d.fault(n, "", "a name has at least one character, and no blanks around it")
	case len(s) > 200:
		d.fault(n, "", "a name has at most 200 bytes")
	case strings.ContainsFunc(s, forbidden) || strings.ContainsAny(s, "\t\n\r"):
		d.fault(n, "", "a name has no control characters")
	case strings.Contains(s, "${"):
		d.faultAt(n, strings.Index(s, "${"), "write a fixed name: a row stands for all of its requests", "a name cannot hold ${…}")
	case other != nil && other != e:
		d.fault(n, "choose another name", "the row %s belongs to the endpoint %s", quote(s), other.Key)
	default:
		d.rows[s] = e
	}
	return s
}

// profiles returns the names and the nodes of the file's profiles.
func (d *decoder) profiles(root *node) (names []string, nodes []*node) {
	n := root.get("profiles")
	if !n.isSet() {
		return nil, nil
	}
	d.each(n, "profiles", func(name string, key, val *node) {
		d.name(key, "a profile")
		if !d.mapping(val, "the profile "+name) {
			return
		}
		for _, k := range val.keys {
			switch {
			case k.kind == badKind || slices.Contains(profileKeys, k.text):
			case slices.Contains(legalKeys[specObject], k.text):
				d.fault(k, list(profileKeys), "a profile cannot replace %s", k.text)
			default:
				d.fault(k, suggestKey(k.text, profileKeys), "unknown key %s", quote(k.text))
			}
		}
		names = append(names, name)
		nodes = append(nodes, val)
	})
	return names, nodes
}
