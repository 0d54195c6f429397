package spec

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"tollgate/internal/expr"
)

// defaultTimeout is that of a request, connection included.
const defaultTimeout = 10 * time.Second

// target decodes the system under test.
func (d *decoder) target(n *node, s *Spec) {
	s.Target.Timeout = defaultTimeout
	if !n.isSet() || !d.keys(n, targetObject) {
		return
	}
	if d.o.Target != "" {
		d.targetURL(nil, s)
	} else if at := d.require(n, targetObject, "url", `url: "http://127.0.0.1:8000"`); at != nil {
		d.targetURL(at, s)
	}
	if t := n.get("timeout"); t != nil {
		s.Target.Timeout = d.duration(t, "timeout", time.Millisecond)
	}
	if r := n.get("ready"); r.isSet() {
		s.Target.Ready = d.ready(r, s.Target.BasePath)
	}
	headers := d.headers(n.get("headers"))
	if !hasHeader(headers, "Authorization") {
		headers = append(headers, s.Target.Headers...) // from the URL's credentials
	}
	s.Target.Headers = headers
}

// targetURL takes the URL from the spec, or from the override.
func (d *decoder) targetURL(n *node, s *Spec) {
	text := d.o.Target
	at := n
	if text != "" {
		src := newSource("--target", text)
		src.bare = true
		at = &node{kind: stringKind, text: text, src: src, line: 1, col: 1}
	} else {
		before := d.faults.count
		text = d.constant(n, "the url").Text()
		if d.faults.count > before || text == "" && n.kind == badKind {
			return
		}
	}
	t, secrets, err := parseTarget(text)
	if err != nil {
		d.fault(at, err.hint, "%s", err.msg)
		return
	}
	for _, secret := range secrets {
		d.secrets[secret] = true
	}
	t.Timeout = s.Target.Timeout
	s.Target = t
}

// refusal is why a text is not what it should be.
type refusal struct{ msg, hint string }

// parseTarget reads the URL of a target. Credentials in it become a header,
// and are returned as secrets.
func parseTarget(text string) (t Target, secrets []string, fault *refusal) {
	u, err := url.Parse(text)
	refuse := func(hint, format string, args ...any) (Target, []string, *refusal) {
		return Target{}, nil, &refusal{fmt.Sprintf(format, args...), hint}
	}
	const hint = "write it like http://127.0.0.1:8000"
	switch {
	case err != nil: // url.Parse repeats the text, and it may hold a password
		return refuse(hint, "this is not a URL")
	case u.Scheme == "https":
		return refuse("only http:// can be loaded for now", "https is not in this version")
	case u.Scheme != "http" || u.Opaque != "":
		return refuse(hint, "the URL does not begin with http://")
	case u.Hostname() == "":
		return refuse(hint, "the URL names no host")
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return refuse("put the query into the requests", "the URL of a target ends with its path")
	case strings.ContainsFunc(u.Hostname(), func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return refuse("write an international name in its xn-- form", "the host has a character that no host name has")
	}
	port := 80
	if p := u.Port(); p != "" {
		port, err = strconv.Atoi(p)
		if err != nil || port < 1 || port > 65535 {
			return refuse("ports go from 1 to 65535", "%s is not a port", quote(p))
		}
	} else if strings.HasSuffix(u.Host, ":") {
		return refuse(hint, "the port is missing")
	}
	t = Target{Scheme: "http", Host: u.Hostname(), Port: port, BasePath: strings.TrimRight(u.EscapedPath(), "/")}
	if u.User != nil {
		password, _ := u.User.Password()
		encoded := base64.StdEncoding.EncodeToString([]byte(u.User.Username() + ":" + password))
		t.Headers = []Header{{Name: "Authorization", Value: literalText("Basic " + encoded), fromURL: true}}
		secrets = append(secrets, encoded)
		if password != "" {
			secrets = append(secrets, password)
		}
		if escaped := url.PathEscape(password); escaped != password {
			secrets = append(secrets, escaped)
		}
		u.User = nil
	}
	t.URL = u.String()
	return t, secrets, nil
}

// literalText returns a text that is always s.
func literalText(s string) *expr.Text {
	var b expr.Builder
	b.Literal(s)
	return b.Build()
}

// withBase puts the base path of the target in front of a request's path.
func withBase(base string, path *expr.Text) *expr.Text {
	if base == "" || path == nil {
		return path
	}
	var b expr.Builder
	b.Literal(base)
	b.Text(path)
	return b.Build()
}

// ready decodes the preflight request, which is the same for every run.
func (d *decoder) ready(n *node, base string) *Ready {
	method, path, off, ok := d.requestLine(n)
	if !ok {
		return nil
	}
	if i := strings.Index(n.text, "${"); i >= 0 {
		d.faultAt(n, i, "write a fixed path", "the request before the load cannot hold ${…}")
	}
	if method != "GET" && method != "HEAD" {
		d.faultAt(n, 0, "write GET "+path, "the request before the load must not change anything, and %s may", method)
	}
	if !d.checkPath(n, off) {
		return nil
	}
	return &Ready{Method: method, Path: base + path, path: path}
}

var (
	methods     = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
	requestLine = regexp.MustCompile(`^([A-Za-z]+) +(/.*)$`)
)

// requestLine splits "GET /path"; off is where the path begins.
func (d *decoder) requestLine(n *node) (method, path string, off int, ok bool) {
	text, isText := d.text(n, "a request")
	if !isText {
		return "", "", 0, false
	}
	m := requestLine.FindStringSubmatchIndex(text)
	if m == nil {
		hint := "write it like GET /path"
		switch {
		case strings.HasPrefix(text, "/"):
			hint = "write GET " + text
		case strings.Contains(text, "://"):
			hint = "write the method and the path alone; the host stands under target"
		}
		d.fault(n, hint, "%s is not a request", quote(text))
		return "", "", 0, false
	}
	method, path, off = text[m[2]:m[3]], text[m[4]:m[5]], m[4]
	if !slices.Contains(methods, method) {
		d.faultAt(n, 0, suggest(method, methods), "%s is not a method", quote(method))
	}
	return method, path, off, true
}

// checkPath reports what cannot stand in a request target: the text of n from
// off on, without the insides of ${ }.
func (d *decoder) checkPath(n *node, off int) bool {
	for at, r := range outside(n.text) {
		switch {
		case at < off:
		case r == '#':
			d.faultAt(n, at, "write %23 if it is part of the path", "a fragment is never sent")
			return false
		case r == ' ':
			d.faultAt(n, at, "write %20", "a blank in a path")
			return false
		case r < ' ' || r == 0x7f:
			d.faultAt(n, at, "", "a control character in a path")
			return false
		case r > 0x7f:
			d.faultAt(n, at, "write "+url.PathEscape(string(r)), "%q must be percent-encoded in a path", r)
			return false
		}
	}
	return true
}

// outside yields the characters of a text that stand outside of ${ }, with
// their offsets.
func outside(text string) func(yield func(int, rune) bool) {
	return func(yield func(int, rune) bool) {
		depth := 0
		var quoteMark rune
		for i := 0; i < len(text); {
			r, size := utf8.DecodeRuneInString(text[i:])
			switch {
			case depth == 0 && strings.HasPrefix(text[i:], "${"):
				depth, size = 1, 2
			case depth == 0:
				if !yield(i, r) {
					return
				}
			case quoteMark != 0 && r == '\\':
				size = min(2, len(text)-i)
			case quoteMark != 0:
				if r == quoteMark {
					quoteMark = 0
				}
			case r == '"' || r == '\'' || r == '`':
				quoteMark = r
			case r == '{':
				depth++
			case r == '}':
				depth--
			}
			i += size
		}
	}
}

// reservedHeaders are those that the connection needs to itself.
var reservedHeaders = map[string]string{
	"Host":              "it follows from target.url",
	"Content-Length":    "it follows from the body",
	"Transfer-Encoding": "bodies are sent with their length",
	"Connection":        "connections are kept alive, one for each user",
	"Keep-Alive":        "connections are kept alive, one for each user",
	"Upgrade":           "the protocol is not changed in a load test",
	"Te":                "trailers are not read",
	"Trailer":           "bodies are sent with their length",
	"Expect":            "bodies are sent at once",
}

var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

// headers decodes a mapping of header names to values.
func (d *decoder) headers(n *node) []Header {
	var headers []Header
	if !n.isSet() || !d.within(n, maxHeaders, "headers") {
		return nil
	}
	d.each(n, "headers", func(name string, key, val *node) {
		reason := reservedHeaders[canonicalHeader(name)]
		switch {
		case !headerName.MatchString(name):
			d.fault(key, "", "%s is not the name of a header", quote(name))
			return
		case reason != "":
			d.fault(key, "leave it out", "the header %s cannot be set: %s", name, reason)
			return
		case hasHeader(headers, name):
			d.fault(key, "keep one of them", "the header %s stands here twice", name)
			return
		}
		if val.kind == stringKind {
			for at, r := range outside(val.text) {
				if r < ' ' && r != '\t' || r == 0x7f {
					d.faultAt(val, at, "", "a header is one line, without control characters")
					return
				}
			}
		}
		value := d.headerValue(val, name)
		headers = append(headers, Header{Name: name, Value: value, Pos: key.pos()})
	})
	return headers
}

// headerValue compiles the value of a header: numbers are sent as they are written.
func (d *decoder) headerValue(n *node, what string) *expr.Text {
	d.checkLost(n)
	if n.isScalar() {
		return d.template(n, n.text, 0, expr.Header)
	}
	d.fault(n, "", "%s must be text, a number, true or false, not %s", what, n.kind)
	return nil
}

func hasHeader(headers []Header, name string) bool {
	return slices.ContainsFunc(headers, func(h Header) bool { return strings.EqualFold(h.Name, name) })
}

// canonicalHeader writes a header's name as Content-Length is written.
func canonicalHeader(name string) string {
	words := strings.Split(strings.ToLower(name), "-")
	for i, w := range words {
		if w != "" {
			words[i] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, "-")
}
