package spec

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
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

// What a target has unless its spec says otherwise.
const (
	defaultTimeout = 10 * time.Second // of a request, connection included
	defaultBody    = 10 << 20
)

// What a target may have at most.
const (
	maxTargets   = 50
	maxPool      = 100_000
	maxRedirects = 20
)

// targets decodes the systems under test: `target`, and those under `targets`,
// which inherit from it what they do not say themselves. Credentials belong to
// one place and are not inherited, unless `target` has no URL, and so is no
// place.
func (d *decoder) targets(root *node, s *Spec) {
	one, more := root.get("target"), root.get("targets")
	s.Target = Target{Timeout: defaultTimeout, MaxBody: defaultBody}
	isSound := one.isSet() && d.keys(one, targetObject)
	if isSound {
		d.shared(one, &s.Target)
	}
	shared := s.Target
	if more == nil {
		if isSound && d.o.Target == "" {
			d.require(one, targetObject, "url", `url: "http://127.0.0.1:8000"`)
		}
		if isSound {
			s.Target.Headers = d.auth(one.get("auth"), s.Target.Headers)
			d.place(&s.Target, one, one.get("url"), d.o.Target)
			d.checkSecure(one, &s.Target, d.o.Target)
		}
		return
	}
	if !more.isSet() || !d.mapping(more, "targets") || !d.within(more, maxTargets, "targets") {
		return
	}
	if len(more.keys) == 0 {
		d.fault(more, `write api: "http://127.0.0.1:8000"`, "at least one target is needed")
	}
	override := d.o.Target
	main := isSound && one.get("url") != nil
	if main {
		s.Target.Headers = d.auth(one.get("auth"), s.Target.Headers)
		d.place(&s.Target, one, one.get("url"), override)
		override = ""
		shared.Headers = slices.DeleteFunc(slices.Clone(shared.Headers), isCredential)
	} else if isSound {
		for _, key := range []string{"ready", "auth"} {
			if n := one.get(key); n.isSet() {
				d.fault(n, "move it to one of targets", "%s belongs to a URL, and target has none", key)
			}
		}
	}
	d.each(more, "targets", func(name string, key, val *node) {
		d.name(key, "a target")
		t := shared
		t.Name = name
		d.further(&t, val, override)
		override = ""
		d.on[name] = len(d.on)
		if main {
			d.on[name]++
		}
		d.onNames = append(d.onNames, name)
		if d.on[name] == 0 {
			s.Target = t
		} else {
			s.Others = append(s.Others, &t)
		}
	})
}

// shared decodes what the target has in common with those under targets.
func (d *decoder) shared(n *node, t *Target) {
	if v := n.get("timeout"); v != nil {
		t.Timeout = d.duration(v, "timeout", time.Millisecond)
	}
	if v := n.get("refresh"); v != nil {
		t.Refresh = d.duration(v, "refresh", time.Second)
	}
	if v := n.get("connection"); v.isSet() {
		t.Connection = d.connection(v)
	}
	if v := n.get("cookies"); v.isSet() && d.is(v, boolKind, "cookies") {
		t.NoCookies = v.text == "false"
	}
	if v := n.get("max_body"); v != nil {
		t.MaxBody = d.size(v, "max_body", 1<<10, 1<<30)
	}
	if v := n.get("redirects"); v != nil {
		d.redirects = d.whole(v, "redirects", 0, maxRedirects)
	}
	d.protocol(n, t)
	t.Headers = d.headers(n.get("headers"))
}

// protocol decodes how a target is spoken to.
func (d *decoder) protocol(n *node, t *Target) {
	if v := n.get("http"); v != nil {
		t.HTTP = d.httpVersion(v)
	}
	if v := n.get("tls"); v.isSet() {
		t.TLS = d.tls(v, t.TLS.Insecure)
	}
	if v := n.get("insecure"); v.isSet() {
		t.TLS.Insecure = d.flag(v, "insecure")
	}
}

// further decodes one of targets, of which t has what it inherits.
func (d *decoder) further(t *Target, n *node, override string) {
	if n.kind != mapKind {
		if n.kind != stringKind {
			d.fault(n, `write `+t.Name+`: "http://127.0.0.1:8000"`, "a target must be a URL or a mapping, not %s", n.kind)
			return
		}
		d.place(t, nil, n, override)
		return
	}
	for _, k := range n.keys {
		if slices.Contains(legalKeys[targetObject], k.text) && !slices.Contains(legalKeys[namedObject], k.text) {
			d.fault(k, "write it under target: {…}, which needs no url beside targets", "%s is the same for all targets", k.text)
			k.kind = badKind
		}
	}
	d.keys(n, namedObject)
	d.protocol(n, t)
	own := d.auth(n.get("auth"), d.headers(n.get("headers")))
	t.Headers = slices.DeleteFunc(slices.Clone(t.Headers), func(h Header) bool { return hasHeader(own, h.Name) })
	t.Headers = append(t.Headers, own...)
	url := n.get("url")
	if override == "" {
		url = d.require(n, namedObject, "url", `url: "http://127.0.0.1:8000"`)
	}
	d.place(t, n, url, override)
	d.checkSecure(n, t, override)
}

// place decodes what belongs to a target's URL. n is its mapping, nil if there
// is nothing but the URL; override takes the place of the URL in the file.
func (d *decoder) place(t *Target, n, url *node, override string) {
	d.targetURL(t, url, override)
	if n == nil {
		return
	}
	if r := n.get("ready"); r.isSet() {
		t.Ready = d.ready(r, t.BasePath)
	}
}

// checkSecure reports what has no meaning without TLS. A URL that comes from
// the environment or the command line may be of either kind.
func (d *decoder) checkSecure(n *node, t *Target, override string) {
	url := n.get("url")
	if t.Scheme != "http" || override != "" || url == nil || strings.Contains(url.text, "${") {
		return
	}
	for _, key := range []string{"tls", "insecure"} {
		if v := n.get(key); v.isSet() {
			d.fault(v, "write https:// in the url, or leave it out", "%s has no meaning for an http:// target", key)
		}
	}
}

// targetURL takes the URL from the spec, or from the override.
func (d *decoder) targetURL(t *Target, n *node, override string) {
	text := override
	at := n
	switch {
	case text != "":
		src := newSource("--target", text)
		src.bare = true
		at = &node{kind: stringKind, text: text, src: src, line: 1, col: 1}
	case n == nil:
		return
	default:
		before := d.faults.count
		text = d.constant(n, "the url").Text()
		if d.faults.count > before || text == "" && n.kind == badKind {
			return
		}
	}
	there, secrets, err := parseTarget(text)
	if err != nil {
		d.fault(at, err.hint, "%s", err.msg)
		return
	}
	for _, secret := range secrets {
		d.keep(secret)
	}
	t.moveTo(there)
}

// moveTo gives the target another URL. Credentials belong to a place: those of
// the old URL are not sent to the new one.
func (t *Target) moveTo(there Target) {
	t.Scheme, t.Host, t.Port, t.BasePath, t.URL = there.Scheme, there.Host, there.Port, there.BasePath, there.URL
	t.Headers = slices.DeleteFunc(slices.Clone(t.Headers), func(h Header) bool { return h.fromURL })
	if !hasHeader(t.Headers, "Authorization") {
		t.Headers = append(t.Headers, there.Headers...)
	}
	if t.Ready != nil {
		t.Ready.Path = t.BasePath + t.Ready.path
	}
}

// isCredential reports whether a header says who is asking.
func isCredential(h Header) bool {
	switch canonicalHeader(h.Name) {
	case "Authorization", "Proxy-Authorization", "Cookie":
		return true
	}
	return false
}

// httpVersion decodes 1, 2 or auto.
func (d *decoder) httpVersion(n *node) HTTPVersion {
	switch {
	case n.kind == intKind && n.text == "1":
		return HTTP1
	case n.kind == intKind && n.text == "2":
		return HTTP2
	case n.kind == stringKind && n.text == "auto":
		return HTTPAuto
	}
	d.fault(n, "write http: 1, http: 2 or http: auto", "%s is not a version of HTTP", describe(n))
	return HTTP1
}

var poolText = regexp.MustCompile(`^pool\(([0-9]+)\)$`)

// connection decodes how users share connections.
func (d *decoder) connection(n *node) Connection {
	const forms = "write {per: user}, {per: request} or {per: pool(100)}"
	if n.isScalar() {
		d.fault(n, "write connection: {per: "+n.text+"}", "connection must be a mapping, not %s", n.kind)
		return Connection{}
	}
	if !d.keys(n, connectionObject) {
		return Connection{}
	}
	per := d.require(n, connectionObject, "per", "connection: {per: pool(100)}")
	if per == nil {
		return Connection{}
	}
	text, ok := d.text(per, "per")
	if m := poolText.FindStringSubmatch(text); m != nil {
		size, err := strconv.Atoi(m[1])
		if err != nil || size < 1 || size > maxPool {
			d.fault(per, "", "a pool has between 1 and %d connections", maxPool)
		}
		return Connection{Per: Pool, Size: size}
	}
	switch {
	case !ok || text == "user":
	case text == "request":
		return Connection{Per: PerRequest}
	case text == "pool":
		d.fault(per, "write pool(100)", "the pool has no size")
	default:
		hint := forms
		if near := expr.Nearest(text, []string{"user", "request"}); near != "" {
			hint = "did you mean " + near + "?"
		}
		d.fault(per, hint, "connections cannot be per %s", quote(text))
	}
	return Connection{}
}

// serverName is the form of a name that a certificate can be for.
var serverName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$`)

// tls decodes whom to trust and who we are.
func (d *decoder) tls(n *node, insecure bool) TLS {
	t := TLS{Insecure: insecure}
	if !d.keys(n, tlsObject) {
		return t
	}
	pem := func(key string) (*node, []byte) {
		at := n.get(key)
		if !at.isSet() {
			return nil, nil
		}
		f := d.file(at, "the path of a PEM file")
		if f == nil {
			return at, nil
		}
		return at, []byte(f.data)
	}
	ca, blocks := pem("ca")
	if blocks != nil {
		t.CA = blocks
		d.authorities(ca, blocks)
	}
	cert, certBlocks := pem("cert")
	key, keyBlocks := pem("key")
	switch {
	case cert != nil && key == nil:
		d.fault(cert, "name its private key: key: tls/client.key", "a certificate is of no use without its key")
	case cert == nil && key != nil:
		d.fault(key, "name the certificate: cert: tls/client.pem", "a key is of no use without its certificate")
	case certBlocks != nil && keyBlocks != nil:
		if _, err := tls.X509KeyPair(certBlocks, keyBlocks); err != nil {
			d.fault(cert, "both are PEM files, and the key is not encrypted", "the certificate and the key cannot be used: %s", strings.TrimPrefix(err.Error(), "tls: "))
		}
		t.Cert, t.Key = certBlocks, keyBlocks
	}
	if name := n.get("server_name"); name.isSet() {
		if text, ok := d.text(name, "server_name"); ok && !serverName.MatchString(text) {
			d.fault(name, "write it like api.example.org", "%s is not the name of a server", quote(text))
		} else {
			t.ServerName = text
		}
	}
	return t
}

// authorities reports a PEM file that holds no certificate, or anything else.
func (d *decoder) authorities(n *node, data []byte) {
	found := 0
	for rest := data; ; found++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			d.fault(n, "name a PEM file of certificates", "the file holds a %s, and not only certificates", strings.ToLower(quote(block.Type)))
			return
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			d.fault(n, "", "certificate %d of the file cannot be read: %s", found+1, strings.TrimPrefix(err.Error(), "x509: "))
			return
		}
	}
	if found == 0 {
		d.fault(n, "name a PEM file: -----BEGIN CERTIFICATE-----", "the file holds no certificate")
	}
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
	case u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "":
		return refuse(hint, "the URL does not begin with http:// or https://")
	case u.Hostname() == "":
		return refuse(hint, "the URL names no host")
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return refuse("put the query into the requests", "the URL of a target ends with its path")
	case strings.ContainsFunc(u.Hostname(), func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return refuse("write an international name in its xn-- form", "the host has a character that no host name has")
	}
	port := 80
	if u.Scheme == "https" {
		port = 443
	}
	if p := u.Port(); p != "" {
		port, err = strconv.Atoi(p)
		if err != nil || port < 1 || port > 65535 {
			if strings.Trim(p, "0123456789") != "" { // perhaps a piece of a password
				return refuse("ports go from 1 to 65535", "what follows the host is not a port")
			}
			return refuse("ports go from 1 to 65535", "%s is not a port", quote(p))
		}
	} else if strings.HasSuffix(u.Host, ":") {
		return refuse(hint, "the port is missing")
	}
	t = Target{Scheme: u.Scheme, Host: u.Hostname(), Port: port, BasePath: strings.TrimRight(u.EscapedPath(), "/")}
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
	"Connection":        "it follows from target.connection",
	"Keep-Alive":        "it follows from target.connection",
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
		if !d.oneLine(val) {
			return
		}
		value := d.headerValue(val, name)
		headers = append(headers, Header{Name: name, Value: value, Pos: key.pos()})
	})
	return headers
}

// oneLine reports a text that no header can hold.
func (d *decoder) oneLine(n *node) bool {
	if n.kind != stringKind {
		return true
	}
	for at, r := range outside(n.text) {
		if r < ' ' && r != '\t' || r == 0x7f {
			d.faultAt(n, at, "", "a header is one line, without control characters")
			return false
		}
	}
	return true
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
