package exec

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"github.com/tidwall/gjson"

	"tollgate/internal/expr"
	"tollgate/internal/httpwire"
	"tollgate/internal/measure"
	"tollgate/pkg/spec"
)

// call is one step, compiled: the request as literal parts and slots, and what
// to make of the answer.
type call struct {
	step       int // column in the layout
	method     string
	head       bool // the answer to HEAD has no body
	static     []byte
	prefix     []byte // "METHOD " of a request with slots
	target     *expr.Text
	middle     []byte        // version, Host and the static headers
	headers    []spec.Header // with slots
	body       *expr.Text
	when       *expr.Cond
	values     []spec.Draw
	saves      []spec.Save
	expect     spec.Expect
	keepHeader bool
	keepBody   bool
	json       bool // some path is read from the body as JSON
}

// compileCall merges the headers of target, persona and endpoint, the more
// special one winning, and renders what is the same for every user.
func compileCall(t *spec.Target, p *spec.Persona, s *spec.Step, step int) *call {
	e := s.Endpoint
	c := &call{
		step:   step,
		method: e.Method,
		head:   e.Method == "HEAD",
		target: e.Path,
		body:   e.Body,
		when:   s.When,
		values: s.Values,
		saves:  s.Save,
		expect: s.Expect,
	}
	c.middle = append(c.middle, " HTTP/1.1\r\n"...)
	c.middle = httpwire.AppendField(c.middle, "Host", []byte(hostField(t)))
	fields := mergeHeaders(t.Headers, p.Headers, e.Headers)
	for _, d := range [...]struct{ name, value string }{
		{"User-Agent", userAgent}, {"Accept", "*/*"}, {"Content-Type", e.Type},
	} {
		if d.value != "" && !slices.ContainsFunc(fields, func(h spec.Header) bool { return strings.EqualFold(h.Name, d.name) }) {
			c.middle = httpwire.AppendField(c.middle, d.name, []byte(d.value))
		}
	}
	for _, h := range fields {
		if v, ok := h.Value.Static(); ok {
			c.middle = httpwire.AppendField(c.middle, h.Name, v)
		} else {
			c.headers = append(c.headers, h)
		}
	}
	c.prefix = []byte(e.Method + " ")
	for _, s := range c.saves {
		c.keepHeader = c.keepHeader || s.From == spec.FromHeader
		c.json = c.json || s.From == spec.FromJSON
		c.keepBody = c.keepBody || s.From != spec.FromHeader
	}
	c.keepHeader = c.keepHeader || len(c.expect.Header) > 0
	c.json = c.json || len(c.expect.JSON) > 0
	c.keepBody = c.keepBody || len(c.expect.JSON) > 0 || len(c.expect.Body) > 0

	_, fixed := c.target.Static()
	if c.body != nil {
		_, ok := c.body.Static()
		fixed = fixed && ok
	}
	if fixed && len(c.headers) == 0 {
		static, _, err := c.append(nil, nil, nil)
		if err == nil {
			c.static = static
		}
	}
	return c
}

// userAgent names the generator to the target's logs.
const userAgent = "tollgate"

func hostField(t *spec.Target) string {
	host := t.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if t.Port == 80 && t.Scheme != "https" || t.Port == 443 && t.Scheme == "https" {
		return host
	}
	return host + ":" + strconv.Itoa(t.Port)
}

// mergeHeaders joins lists of headers; a later list replaces fields of the same name.
func mergeHeaders(lists ...[]spec.Header) []spec.Header {
	var out []spec.Header
	for _, list := range lists {
		out = slices.DeleteFunc(out, func(h spec.Header) bool {
			return slices.ContainsFunc(list, func(g spec.Header) bool { return strings.EqualFold(g.Name, h.Name) })
		})
		out = append(out, list...)
	}
	return out
}

// append renders the request into dst, using scratch for the body, whose length
// must be known first. It returns both buffers, grown. The error says which
// value was unset or refused.
func (c *call) append(dst, scratch []byte, x *expr.Ctx) (out, spare []byte, err error) {
	dst = append(dst, c.prefix...)
	if dst, err = c.target.Append(dst, x); err != nil {
		return dst, scratch, err
	}
	dst = append(dst, c.middle...)
	for i := range c.headers {
		h := &c.headers[i]
		mark := len(dst)
		dst = append(dst, h.Name...)
		dst = append(dst, ": "...)
		dst, err = h.Value.Append(dst, x)
		switch {
		case errors.Is(err, expr.ErrUnset):
			dst = dst[:mark] // a header whose value is unset is left out
			continue
		case err != nil:
			return dst, scratch, fmt.Errorf("header %s: %w", h.Name, err)
		}
		dst = append(dst, "\r\n"...)
	}
	switch {
	case c.body != nil:
		if body, ok := c.body.Static(); ok {
			dst = httpwire.AppendLength(dst, len(body))
			dst = append(dst, "\r\n"...)
			return append(dst, body...), scratch, nil
		}
		if scratch, err = c.body.Append(scratch[:0], x); err != nil {
			return dst, scratch, err
		}
		dst = httpwire.AppendLength(dst, len(scratch))
		dst = append(dst, "\r\n"...)
		return append(dst, scratch...), scratch, nil
	case c.method == "POST" || c.method == "PUT" || c.method == "PATCH":
		dst = httpwire.AppendLength(dst, 0)
	}
	return append(dst, "\r\n"...), scratch, nil
}

// reply is a complete response, borrowed from the driver's buffers.
type reply struct {
	status int
	header []byte
	body   []byte
}

// judge decides how a complete response ends its request, and saves what the
// spec asks for into the user's slots (x.Slots). elapsed is the service time in
// nanoseconds. The detail is empty unless the request failed.
func (c *call) judge(x *expr.Ctx, r reply, elapsed int64) (measure.Outcome, string) {
	if !expectedStatus(c.expect.Status, r.status) {
		return measure.Status, "status " + strconv.Itoa(r.status)
	}
	if c.expect.Within > 0 && elapsed > int64(c.expect.Within) {
		return measure.Check, "slower than " + c.expect.Within.String()
	}
	document := r.body
	if c.json && !gjson.ValidBytes(r.body) {
		if len(c.expect.JSON) > 0 || slices.ContainsFunc(c.saves, func(s spec.Save) bool { return s.Required && s.From == spec.FromJSON }) {
			return measure.Check, "the body is not JSON"
		}
		document = nil
	}
	for i := range c.expect.JSON {
		if detail := checkJSON(&c.expect.JSON[i], x, document); detail != "" {
			return measure.Check, detail
		}
	}
	for i := range c.expect.Header {
		if detail := checkHeader(&c.expect.Header[i], x, r.header); detail != "" {
			return measure.Check, detail
		}
	}
	for i := range c.expect.Body {
		if detail := checkBody(&c.expect.Body[i], x, r.body); detail != "" {
			return measure.Check, detail
		}
	}
	for i := range c.saves {
		s := &c.saves[i]
		v := extract(s, r, document)
		if v.IsNil() && s.Required {
			return measure.Check, "nothing to save as " + s.Name + " at " + saveSource(s)
		}
		x.Slots[s.Slot] = v
	}
	return measure.OK, ""
}

func expectedStatus(want []spec.StatusRange, status int) bool {
	if len(want) == 0 {
		return status < 400
	}
	for _, r := range want {
		if r.Min <= status && status <= r.Max {
			return true
		}
	}
	return false
}

func checkJSON(k *spec.JSONCheck, x *expr.Ctx, body []byte) string {
	got := gjson.Get(borrowed(body), k.Path)
	if !got.Exists() || got.Type == gjson.Null {
		if !k.Exists {
			if want, err := k.Want.Value(x); err == nil && want.IsNil() && got.Exists() {
				return ""
			}
		}
		return k.Path + " is missing"
	}
	if k.Exists {
		return ""
	}
	want, err := k.Want.Value(x)
	if err != nil {
		return k.Path + ": " + err.Error()
	}
	if !jsonValue(got).Equal(want) {
		return k.Path + " is " + brief(got.Raw) + ", not " + brief(want.Text())
	}
	return ""
}

func checkHeader(k *spec.HeaderCheck, x *expr.Ctx, header []byte) string {
	got, ok := httpwire.Field(header, k.Name)
	if !ok {
		return "header " + k.Name + " is missing"
	}
	if k.Exists {
		return ""
	}
	want, err := k.Want.Value(x)
	if err != nil {
		return "header " + k.Name + ": " + err.Error()
	}
	if w := want.Text(); string(got) != w {
		return "header " + k.Name + " is " + brief(string(got)) + ", not " + brief(w)
	}
	return ""
}

func checkBody(k *spec.BodyCheck, x *expr.Ctx, body []byte) string {
	if k.Matches != nil {
		if !k.Matches.Match(body) {
			return "the body does not match " + k.Matches.String()
		}
		return ""
	}
	want, err := k.Contains.Value(x)
	if err != nil {
		return "body: " + err.Error()
	}
	if w := want.Text(); !bytes.Contains(body, []byte(w)) {
		return "the body does not contain " + brief(w)
	}
	return ""
}

// extract reads the saved value, copied out of the borrowed response; nil when
// there is none. document is the body if that is JSON.
func extract(s *spec.Save, r reply, document []byte) expr.Value {
	switch s.From {
	case spec.FromHeader:
		if v, ok := httpwire.Field(r.header, s.Path); ok {
			return expr.Str(string(v))
		}
	case spec.FromBody:
		if m := s.Expr.FindSubmatch(r.body); len(m) > 1 {
			return expr.Str(string(m[1]))
		} else if len(m) == 1 {
			return expr.Str(string(m[0]))
		}
	default:
		return jsonValue(gjson.Get(borrowed(document), s.Path))
	}
	return expr.Value{}
}

func saveSource(s *spec.Save) string {
	switch s.From {
	case spec.FromHeader:
		return "header " + s.Path
	case spec.FromBody:
		return "/" + s.Expr.String() + "/"
	}
	return s.Path
}

// jsonValue keeps the type that the JSON text has; numbers that are whole stay whole.
func jsonValue(r gjson.Result) expr.Value {
	switch r.Type {
	case gjson.String:
		return expr.Str(strings.Clone(r.Str))
	case gjson.True, gjson.False:
		return expr.Boolean(r.Type == gjson.True)
	case gjson.Number:
		if n, err := strconv.ParseInt(r.Raw, 10, 64); err == nil {
			return expr.Integer(n)
		}
		return expr.Number(r.Num)
	case gjson.JSON:
		return expr.RawJSON(strings.Clone(r.Raw))
	}
	return expr.Value{}
}

// borrowed views bytes as a string without a copy, so that reading a path
// allocates nothing; what is kept of it must be cloned.
func borrowed(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// brief shortens a target's text for a message.
func brief(s string) string {
	const most = 80
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strconv.Quote(s)
}
