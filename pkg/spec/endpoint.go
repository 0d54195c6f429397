package spec

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"time"

	"tollgate/internal/expr"
)

// catalogue decodes the endpoints.
func (d *decoder) catalogue(n *node, s *Spec) {
	d.endpoints = map[string]*Endpoint{}
	d.rows = map[string]*Endpoint{}
	if !n.isSet() || !d.mapping(n, "endpoints") || !d.within(n, maxEndpoints, "endpoints") {
		return
	}
	if len(n.keys) == 0 {
		d.fault(n, "write home: GET /", "at least one endpoint is needed")
	}
	d.each(n, "endpoints", func(name string, key, _ *node) {
		d.name(key, "an endpoint")
		e := &Endpoint{Key: name, Name: name, Pos: key.pos(), Redirects: d.redirects}
		d.endpoints[name] = e
		d.rows[name] = e
		s.Endpoints = append(s.Endpoints, e)
	})
	d.each(n, "endpoints", func(name string, _, val *node) {
		d.endpoint(d.endpoints[name], val, s)
	})
}

func (d *decoder) endpoint(e *Endpoint, n *node, s *Spec) {
	if n.kind == stringKind {
		d.request(e, n, s.Target.BasePath)
		return
	}
	if n.kind != mapKind {
		d.fault(n, "write "+e.Key+": GET /path", "the endpoint %s must be a request or a mapping, not %s", e.Key, n.kind)
		return
	}
	d.keys(n, endpointObject)
	if r := d.require(n, endpointObject, "request", "request: GET /path"); r != nil {
		if on := n.get("on"); on.isSet() {
			e.On = d.target(on)
		}
		d.request(e, r, s.TargetOf(e.On).BasePath)
	}
	if name := n.get("name"); name.isSet() {
		e.Name = d.row(name, e)
	}
	e.Headers = d.auth(n.get("auth"), d.headers(n.get("headers")))
	if r := n.get("redirects"); r != nil {
		e.Redirects = d.whole(r, "redirects", 0, maxRedirects)
	}
	e.Values = d.draws(n.get("values"))
	d.body(e, n)
	e.Expect = d.expect(n.get("expect"))
	e.Save = d.saves(n.get("save"))
}

// target returns what Endpoint.On is for the target that n names.
func (d *decoder) target(n *node) int {
	name, ok := d.text(n, "the name of a target")
	on, known := d.on[name]
	switch {
	case !ok || known:
	case len(d.on) == 0:
		d.fault(n, "declare it: targets: {"+name+": URL}", "no target is called %s: this spec has no targets", quote(name))
	default:
		d.fault(n, suggest(name, d.onNames), "no target is called %s", quote(name))
	}
	return on
}

func (d *decoder) request(e *Endpoint, n *node, base string) {
	method, path, off, ok := d.requestLine(n)
	if !ok {
		return
	}
	e.Method = method
	if !d.checkPath(n, off) {
		return
	}
	e.path = d.template(n, path, -off, expr.Target)
	e.Path = withBase(base, e.path)
	d.parts[e.Path] = d.parts[e.path]
}

// appendJSON writes the tree below n as compact JSON, keys in file order.
func (d *decoder) appendJSON(b *expr.Builder, parts *[]part, n *node) {
	d.checkLost(n)
	switch n.kind {
	case mapKind:
		b.Literal("{")
		for i, k := range n.keys {
			if i > 0 {
				b.Literal(",")
			}
			if at := strings.Index(k.text, "${"); at >= 0 && k.kind != badKind {
				d.faultAt(k, at, "", "a key cannot hold ${…}")
			}
			b.Literal(jsonString(k.text) + ":")
			d.appendJSON(b, parts, n.vals[i])
		}
		b.Literal("}")
	case listKind:
		b.Literal("[")
		for i, item := range n.vals {
			if i > 0 {
				b.Literal(",")
			}
			d.appendJSON(b, parts, item)
		}
		b.Literal("]")
	case stringKind:
		if !strings.Contains(n.text, "${") {
			b.Literal(jsonString(n.text))
			return
		}
		if t := d.template(n, n.text, 0, expr.JSONText); t != nil {
			b.Text(t)
			*parts = append(*parts, d.parts[t]...)
		}
	case nullKind:
		b.Literal("null")
	default:
		b.Literal(n.text)
	}
}

// jsonString returns s as a JSON string, without escapes for the sake of HTML.
func jsonString(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err) // a string always has a JSON form
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// saves decodes what is kept of a response. All are required until the check
// of the personas finds one that is not.
func (d *decoder) saves(n *node) []Save {
	var saves []Save
	if !n.isSet() {
		return nil
	}
	d.each(n, "save", func(name string, key, val *node) {
		save := Save{Name: name, Required: true}
		var ok bool
		if save.Slot, ok = d.names.Slots[name]; !ok {
			return // reported when the names were declared
		}
		d.saveFrom(&save, val)
		saves = append(saves, save)
	})
	return saves
}

func (d *decoder) saveFrom(save *Save, n *node) {
	if n.kind != mapKind {
		save.Path = d.jsonPath(n)
		return
	}
	d.keys(n, saveObject)
	if len(n.keys) != 1 {
		d.fault(n, "write {json: PATH}, {header: NAME} or {body: PATTERN}", "a value is saved from one place")
		return
	}
	switch val := n.vals[0]; n.keys[0].text {
	case "json":
		save.Path = d.jsonPath(val)
	case "header":
		save.From = FromHeader
		save.Path, _ = d.text(val, "the name of a header")
		if save.Path != "" && !headerName.MatchString(save.Path) {
			d.fault(val, "", "%s is not the name of a header", quote(save.Path))
		}
	case "body":
		save.From = FromBody
		save.Expr = d.pattern(val)
		if save.Expr != nil && save.Expr.NumSubexp() < 1 {
			d.fault(val, `put what is to be saved into parentheses: id=(\d+)`, "the pattern has no group")
		}
	}
}

// jsonPath returns a path into a JSON body, in gjson's syntax.
func (d *decoder) jsonPath(n *node) string {
	if n.kind == intKind { // the element of a list
		return n.text
	}
	path, ok := d.text(n, "a path into the JSON body")
	switch {
	case !ok:
	case path == "":
		d.fault(n, "write a path such as user.id or 0.id", "the path is empty")
	case strings.Contains(path, "${"):
		d.faultAt(n, strings.Index(path, "${"), "", "a path cannot hold ${…}")
	case strings.HasPrefix(path, "$."):
		d.fault(n, "write "+path[2:], "paths begin without $.")
	}
	return path
}

// pattern compiles a regular expression.
func (d *decoder) pattern(n *node) *regexp.Regexp {
	text, ok := d.text(n, "a pattern")
	if !ok {
		return nil
	}
	re, err := regexp.Compile(text)
	if err != nil {
		d.fault(n, "patterns are RE2: no look-around, no back-references", "%s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return re
}

// expect decodes what a response must satisfy.
func (d *decoder) expect(n *node) Expect {
	var x Expect
	if !n.isSet() || !d.keys(n, expectObject) {
		return x
	}
	if status := n.get("status"); status != nil {
		x.Status = d.statuses(status)
	}
	if checks := n.get("json"); checks.isSet() {
		d.each(checks, "json", func(path string, key, val *node) {
			d.jsonPath(key)
			c := JSONCheck{Path: path, Exists: isExists(val)}
			if !c.Exists {
				c.Want = d.scalar(val, "an expected value", expr.Plain)
			}
			x.JSON = append(x.JSON, c)
		})
	}
	if checks := n.get("header"); checks.isSet() {
		d.each(checks, "header", func(name string, key, val *node) {
			if !headerName.MatchString(name) {
				d.fault(key, "", "%s is not the name of a header", quote(name))
			}
			c := HeaderCheck{Name: name, Exists: isExists(val)}
			if !c.Exists {
				c.Want = d.headerValue(val, "an expected value")
			}
			x.Header = append(x.Header, c)
		})
	}
	if body := n.get("body"); body.isSet() && d.keys(body, bodyObject) {
		if contains := body.get("contains"); contains != nil {
			if _, ok := d.text(contains, "contains"); ok {
				x.Body = append(x.Body, BodyCheck{Contains: d.template(contains, contains.text, 0, expr.Plain)})
			}
		}
		if matches := body.get("matches"); matches != nil {
			x.Body = append(x.Body, BodyCheck{Matches: d.pattern(matches)})
		}
	}
	if within := n.get("within"); within != nil {
		x.Within = d.duration(within, "within", time.Microsecond)
	}
	return x
}

func isExists(n *node) bool { return n.kind == stringKind && n.text == "exists" }

var statusClass = regexp.MustCompile(`^[1-5]xx$`)

// statuses decodes 201, 2xx or a list of both.
func (d *decoder) statuses(n *node) []StatusRange {
	if n.kind != listKind {
		return []StatusRange{d.status(n)}
	}
	var ranges []StatusRange
	if len(n.vals) == 0 {
		d.fault(n, "", "a list of statuses has at least one")
	}
	for _, item := range n.vals {
		ranges = append(ranges, d.status(item))
	}
	return ranges
}

func (d *decoder) status(n *node) StatusRange {
	if n.kind == stringKind && statusClass.MatchString(n.text) {
		least := int(n.text[0]-'0') * 100
		return StatusRange{least, least + 99}
	}
	if code, err := strconv.Atoi(n.text); n.kind == intKind && err == nil && code >= 100 && code <= 599 {
		return StatusRange{code, code}
	}
	d.fault(n, "write 201, 2xx, or a list such as [200, 404]", "%s is not a status", describe(n))
	return StatusRange{}
}
