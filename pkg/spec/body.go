package spec

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"tollgate/internal/expr"
)

// bodies are the keys that give an endpoint a body.
var bodies = []string{"json", "form", "multipart", "body"}

// body decodes the body of an endpoint in one of its forms.
func (d *decoder) body(e *Endpoint, n *node) {
	var form string
	var at *node
	for i, k := range n.keys {
		switch {
		case k.kind == badKind || !slices.Contains(bodies, k.text):
		case at != nil:
			d.fault(n.vals[i], "keep "+form+" or "+k.text, "an endpoint has one body")
		default:
			form, at = k.text, n.vals[i]
		}
	}
	switch {
	case at == nil:
	case form == "json":
		var b expr.Builder
		var parts []part
		d.appendJSON(&b, &parts, at)
		e.Body = b.Build()
		d.parts[e.Body] = parts
		e.Type = "application/json"
	case form == "form":
		d.form(e, at)
	case form == "multipart":
		d.multipart(e, at)
	case at.kind == mapKind:
		d.bodyFile(e, at)
	case at.isSet():
		if _, ok := d.text(at, "a body"); ok {
			e.Body = d.template(at, at.text, 0, expr.Plain)
		}
		e.Type = "text/plain; charset=utf-8"
	}
	if hasHeader(e.Headers, "Content-Type") {
		if form == "multipart" {
			d.fault(at, "leave Content-Type out", "a multipart body has a Content-Type of its own, which names its boundary")
		}
		e.Type = ""
	}
	if e.Body != nil && e.Method == "HEAD" {
		d.fault(n, "use another method", "a HEAD request has no body")
	}
}

// form decodes the fields of an HTML form.
func (d *decoder) form(e *Endpoint, n *node) {
	var b expr.Builder
	var parts []part
	separator := ""
	d.each(n, "form", func(name string, key, val *node) {
		if at := strings.Index(name, "${"); at >= 0 {
			d.faultAt(key, at, "", "a key cannot hold ${…}")
			return
		}
		encoded, err := expr.NewCompiler(nil).Text(name, expr.Form)
		if err != nil {
			d.exprFault(key, 0, err)
			return
		}
		b.Literal(separator)
		separator = "&"
		b.Text(encoded)
		b.Literal("=")
		if t := d.field(val, name, expr.Form); t != nil {
			b.Text(t)
			parts = append(parts, d.parts[t]...)
		}
	})
	if n.kind == mapKind && len(n.keys) == 0 {
		d.fault(n, "write form: {NAME: VALUE}", "a form has at least one field")
	}
	e.Body = b.Build()
	d.parts[e.Body] = parts
	e.Type = "application/x-www-form-urlencoded"
}

// field compiles the value of a form's field; numbers are sent as they are written.
func (d *decoder) field(n *node, name string, m expr.Mode) *expr.Text {
	d.checkLost(n)
	if !n.isScalar() {
		d.fault(n, "", "%s must be text, a number, true or false, not %s", name, n.kind)
		return nil
	}
	return d.template(n, n.text, 0, m)
}

// bodyFile decodes a body that is a file, sent as it is.
func (d *decoder) bodyFile(e *Endpoint, n *node) {
	d.keys(n, bodyFileObject)
	at := d.require(n, bodyFileObject, "file", "body: {file: data/order.xml}")
	if at == nil {
		return
	}
	f := d.content(at, "the path of a body")
	if f == nil {
		return
	}
	if f.body == nil {
		f.body = literalText(f.data)
	}
	e.Body = f.body
	e.Type = typeOf(f.name)
}

// types are the media types of what one sends to a server. The machine's own
// table would make a spec's requests depend on where it runs.
var types = map[string]string{
	".json": "application/json", ".ndjson": "application/x-ndjson", ".xml": "application/xml", ".yaml": "application/yaml",
	".yml": "application/yaml", ".txt": "text/plain; charset=utf-8", ".csv": "text/csv; charset=utf-8",
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
	".md": "text/markdown; charset=utf-8", ".graphql": "application/graphql", ".pdf": "application/pdf",
	".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp",
	".svg": "image/svg+xml", ".mp3": "audio/mpeg", ".wav": "audio/wav", ".mp4": "video/mp4", ".webm": "video/webm",
	".zip": "application/zip", ".gz": "application/gzip", ".tar": "application/x-tar", ".wasm": "application/wasm",
}

// typeOf returns the media type of a file by its name.
func typeOf(name string) string {
	if t := types[strings.ToLower(path.Ext(name))]; t != "" {
		return t
	}
	return "application/octet-stream"
}

// piece is a part of a multipart body: bytes, or a text of the spec.
type piece struct {
	bytes string
	text  *expr.Text
	node  *node // where text stands
}

var mediaType = regexp.MustCompile(`^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+( *; *[A-Za-z0-9!#$&^_.+-]+=([A-Za-z0-9!#$&^_.+-]+|"[^"\\]*"))*$`)

// multipart decodes a body of several parts (RFC 7578).
func (d *decoder) multipart(e *Endpoint, n *node) {
	var pieces [][2]piece // the head of each part, and its content
	d.each(n, "multipart", func(name string, key, val *node) {
		if at := strings.Index(name, "${"); at >= 0 {
			d.faultAt(key, at, "", "a key cannot hold ${…}")
			return
		}
		head := `Content-Disposition: form-data; name="` + dispositionText(name) + `"`
		if val.kind != mapKind {
			if t := d.field(val, name, expr.Plain); t != nil {
				pieces = append(pieces, [2]piece{{bytes: head + "\r\n\r\n"}, {text: t, node: val}})
			}
			return
		}
		if head, content, ok := d.partFile(head, val); ok {
			pieces = append(pieces, [2]piece{{bytes: head}, {bytes: content}})
		}
	})
	if n.kind == mapKind && len(n.keys) == 0 {
		d.fault(n, "write multipart: {NAME: VALUE, NAME: {file: PATH}}", "a multipart body has at least one part")
	}
	if d.bodyBytes > maxFiles {
		return
	}
	mark := boundary(pieces)
	var b expr.Builder
	var parts []part
	for _, p := range pieces {
		b.Literal("--" + mark + "\r\n")
		for _, p := range p {
			b.Literal(p.bytes)
			if p.text != nil {
				b.Text(p.text)
				parts = append(parts, d.parts[p.text]...)
			}
		}
		b.Literal("\r\n")
	}
	b.Literal("--" + mark + "--\r\n")
	e.Body = b.Build()
	d.parts[e.Body] = parts
	e.Type = "multipart/form-data; boundary=" + mark
}

// partFile decodes a part that is a file.
func (d *decoder) partFile(head string, n *node) (string, string, bool) {
	d.keys(n, partObject)
	at := d.require(n, partObject, "file", "{file: data/photo.jpg}")
	if at == nil {
		return "", "", false
	}
	f := d.content(at, "the path of a part")
	if f == nil {
		return "", "", false
	}
	if d.bodyBytes += len(f.data); d.bodyBytes > maxFiles {
		d.fault(at, "leave some of them out", "the multipart bodies of the spec are larger than 256 MiB together")
		return "", "", false
	}
	filename, mime := path.Base(f.name), typeOf(f.name)
	if n := n.get("filename"); n.isSet() {
		filename = d.fixed(n, "a file name")
	}
	if n := n.get("type"); n.isSet() {
		if mime = d.fixed(n, "a media type"); mime != "" && !mediaType.MatchString(mime) {
			d.fault(n, "write it like image/png", "%s is not a media type", quote(mime))
		}
	}
	return head + `; filename="` + dispositionText(filename) + "\"\r\nContent-Type: " + mime + "\r\n\r\n", f.data, true
}

// fixed returns a text that must not hold an expression or a control character.
func (d *decoder) fixed(n *node, what string) string {
	s, ok := d.text(n, what)
	switch {
	case !ok:
	case s == "":
		d.fault(n, "leave it out", "%s is empty", what)
	case strings.Contains(s, "${"):
		d.faultAt(n, strings.Index(s, "${"), "write it out", "%s cannot hold ${…}", what)
	case strings.ContainsFunc(s, forbidden) || strings.ContainsAny(s, "\t\r\n"):
		d.fault(n, "", "%s has no control characters", what)
	default:
		return s
	}
	return ""
}

// dispositionText writes a name as browsers do (the Fetch standard's encoding
// of multipart/form-data).
func dispositionText(s string) string {
	return strings.NewReplacer("\r", "%0D", "\n", "%0A", `"`, "%22").Replace(s)
}

// boundary returns a line that parts the pieces. It follows from them, so that
// the same spec gives the same bytes; and that a piece, or what is drawn for
// it, holds a digest of the pieces is as likely as a guessed key of 128 bits.
func boundary(pieces [][2]piece) string {
	h := sha256.New()
	for _, part := range pieces {
		for _, p := range part {
			text := p.bytes
			if p.node != nil {
				text = p.node.text
			}
			fmt.Fprintf(h, "%d:", len(text))
			_, _ = io.WriteString(h, text)
		}
	}
	return "tollgate-" + hex.EncodeToString(h.Sum(nil)[:16])
}
