package exec

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/tidwall/gjson"

	"tollgate/internal/expr"
	"tollgate/internal/httpwire"
	"tollgate/internal/jsonscan"
	"tollgate/internal/measure"
	"tollgate/pkg/spec"
)

// call is one step, compiled: the request as literal parts and slots, and what
// to make of the answer.
type call struct {
	step       int // column in the layout
	on         int // target, as spec.Endpoint.On
	method     string
	head       bool   // the answer to HEAD has no body
	static     []byte // the whole head, and a short body, of a request without slots
	blob       []byte // a long body without slots, sent as it is: never copied
	prefix     []byte // "METHOD " of a request with slots
	path       *expr.Text
	middle     []byte        // version, Host and the static headers
	headers    []spec.Header // with slots
	body       *expr.Text
	fields     []spec.Header // all of the spec's, for a redirect
	redirects  int           // how many in a row are followed
	ownCookie  bool          // the spec writes the Cookie header itself
	when       *expr.Cond
	values     []spec.Draw
	saves      []spec.Save
	expect     spec.Expect
	keepHeader bool
	keepBody   bool
	// query finds what the checks of the body look at, and after these what is
	// saved of it; nil when nothing is read from the body as JSON.
	query *jsonscan.Query
}

// compileCall merges the headers of target, persona and endpoint, the more
// special one winning, and renders what is the same for every user.
//
// The headers of a persona go to every target that it calls: whoever writes
// them there says so.
func compileCall(all *spec.Spec, p *spec.Persona, s *spec.Step, step int) *call {
	e := s.Endpoint
	t := all.TargetOf(e.On)
	c := &call{
		step:      step,
		on:        e.On,
		method:    e.Method,
		head:      e.Method == "HEAD",
		path:      e.Path,
		body:      e.Body,
		when:      s.When,
		values:    s.Values,
		saves:     s.Save,
		expect:    s.Expect,
		redirects: e.Redirects,
	}
	c.middle = append(c.middle, " HTTP/1.1\r\n"...)
	c.middle = httpwire.AppendField(c.middle, "Host", []byte(hostField(t)))
	c.fields = mergeHeaders(t.Headers, p.Headers, e.Headers)
	c.ownCookie = named(c.fields, "Cookie")
	for _, d := range defaultFields(e.Type) {
		if d.value != "" && !named(c.fields, d.name) {
			c.middle = httpwire.AppendField(c.middle, d.name, []byte(d.value))
		}
	}
	if all.Target.Connection.Per == spec.PerRequest {
		c.middle = append(c.middle, closeField...)
	}
	for _, h := range c.fields {
		if v, ok := h.Value.Static(); ok {
			c.middle = httpwire.AppendField(c.middle, h.Name, v)
		} else {
			c.headers = append(c.headers, h)
		}
	}
	c.prefix = []byte(e.Method + " ")
	for _, s := range c.saves {
		c.keepHeader = c.keepHeader || s.From == spec.FromHeader
		c.keepBody = c.keepBody || s.From != spec.FromHeader
	}
	c.keepHeader = c.keepHeader || len(c.expect.Header) > 0 || c.redirects > 0
	c.keepBody = c.keepBody || len(c.expect.JSON) > 0 || len(c.expect.Body) > 0

	var paths []string
	for _, k := range c.expect.JSON {
		paths = append(paths, k.Path)
	}
	for _, s := range c.saves {
		if s.From == spec.FromJSON {
			paths = append(paths, s.Path)
		}
	}
	if len(paths) > 0 {
		c.query = jsonscan.Compile(paths)
	}

	_, fixed := c.path.Static()
	if c.body != nil {
		body, ok := c.body.Static()
		fixed = fixed && ok
		if ok && len(body) > longBody {
			c.blob = body
		}
	}
	if fixed && len(c.headers) == 0 {
		static, _, err := c.append(nil, nil, nil, nil)
		if err == nil {
			c.static = static
		}
	}
	return c
}

// longBody is from what size on a body without slots is sent from where it
// lies: 16 KiB.
const longBody = 16 << 10

// closeField tells the target that this is the only request on its connection,
// so that it ends the connection, and keeps the port in TIME_WAIT, itself.
const closeField = "Connection: close\r\n"

// defaultFields are the headers that a request has unless the spec sets them.
func defaultFields(contentType string) [3]struct{ name, value string } {
	return [3]struct{ name, value string }{
		{"User-Agent", userAgent}, {"Accept", "*/*"}, {"Content-Type", contentType},
	}
}

// named reports whether a header is among those of a spec.
func named(fields []spec.Header, name string) bool {
	return slices.ContainsFunc(fields, func(h spec.Header) bool { return strings.EqualFold(h.Name, name) })
}

// userAgent names the generator to the target's logs.
const userAgent = "tollgate"

func hostField(t *spec.Target) string {
	host := t.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if t.Port == defaultPort(t.Scheme) {
		return host
	}
	return host + ":" + strconv.Itoa(t.Port)
}

func defaultPort(scheme string) int {
	if scheme == "https" {
		return 443
	}
	return 80
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
// must be known first; a long body without slots is left out, and follows from
// c.blob. cookie is the value of the Cookie header, nil for none. It returns
// both buffers, grown. The error says which value was unset or refused.
func (c *call) append(dst, scratch []byte, x *expr.Ctx, cookie []byte) (out, spare []byte, err error) {
	dst = append(dst, c.prefix...)
	if dst, err = c.path.Append(dst, x); err != nil {
		return dst, scratch, err
	}
	dst = append(dst, c.middle...)
	if dst, err = appendHeaders(dst, c.headers, x); err != nil {
		return dst, scratch, err
	}
	if cookie != nil {
		dst = httpwire.AppendField(dst, "Cookie", cookie)
	}
	return c.appendBody(dst, scratch, x)
}

// appendHeaders renders headers with slots; one whose value is unset is left out.
func appendHeaders(dst []byte, headers []spec.Header, x *expr.Ctx) ([]byte, error) {
	var err error
	for i := range headers {
		h := &headers[i]
		mark := len(dst)
		dst = append(dst, h.Name...)
		dst = append(dst, ": "...)
		dst, err = h.Value.Append(dst, x)
		switch {
		case errors.Is(err, expr.ErrUnset):
			dst = dst[:mark]
			continue
		case err != nil:
			return dst, fmt.Errorf("header %s: %w", h.Name, err)
		}
		dst = append(dst, "\r\n"...)
	}
	return dst, nil
}

// appendBody ends the head with what frames the body, and renders the body.
func (c *call) appendBody(dst, scratch []byte, x *expr.Ctx) (out, spare []byte, err error) {
	switch {
	case c.blob != nil:
		dst = httpwire.AppendLength(dst, len(c.blob))
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
	status  int
	header  []byte // where the call or the cookies need it
	body    []byte // where the call needs it
	cookies bool   // the header sets cookies
	mine    private
	encoded bool // the body is compressed, and the header says how
}

// judge decides how a complete response ends its request, and saves what the
// spec asks for into the user's slots (x.Slots). elapsed is the service time in
// nanoseconds; found is scratch for the query. The detail is empty unless the
// request failed.
func (c *call) judge(x *expr.Ctx, r reply, elapsed int64, found [][]byte) (measure.Outcome, string) {
	if !expectedStatus(c.expect.Status, r.status) {
		return measure.Status, "status " + strconv.Itoa(r.status)
	}
	if c.expect.Within > 0 && elapsed > int64(c.expect.Within) {
		return measure.Check, "slower than " + c.expect.Within.String()
	}
	if c.query != nil {
		found = found[:c.query.Paths()]
		if !c.query.Find(r.body, found) && (len(c.expect.JSON) > 0 || slices.ContainsFunc(c.saves, func(s spec.Save) bool { return s.Required && s.From == spec.FromJSON })) {
			return measure.Check, "the body is not JSON"
		}
	}
	for i := range c.expect.JSON {
		if detail := checkJSON(&c.expect.JSON[i], x, r.mine, found[i]); detail != "" {
			return measure.Check, detail
		}
	}
	for i := range c.expect.Header {
		if detail := checkHeader(&c.expect.Header[i], x, r.mine, r.header); detail != "" {
			return measure.Check, detail
		}
	}
	for i := range c.expect.Body {
		if detail := checkBody(&c.expect.Body[i], x, r.mine, r.body); detail != "" {
			return measure.Check, detail
		}
	}
	next := len(c.expect.JSON) // of found
	for i := range c.saves {
		s := &c.saves[i]
		var v expr.Value
		if s.From == spec.FromJSON {
			v = jsonValue(found[next])
			next++
		} else {
			v = extract(s, r)
		}
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

// checkJSON checks the text of a value, nil for none.
func checkJSON(k *spec.JSONCheck, x *expr.Ctx, mine private, got []byte) string {
	null := len(got) > 0 && got[0] == 'n'
	if got == nil || null {
		if !k.Exists {
			if want, err := k.Want.Value(x); err == nil && want.IsNil() && null {
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
	if !readJSON(got).Equal(want) {
		return k.Path + " is " + brief(mine.hide(string(got))) + ", not " + brief(mine.hide(want.Text()))
	}
	return ""
}

func checkHeader(k *spec.HeaderCheck, x *expr.Ctx, mine private, header []byte) string {
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
		if tellsWho(k.Name) {
			return "header " + k.Name + " is another value"
		}
		return "header " + k.Name + " is " + brief(mine.hide(string(got))) + ", not " + brief(mine.hide(w))
	}
	return ""
}

func checkBody(k *spec.BodyCheck, x *expr.Ctx, mine private, body []byte) string {
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
		return "the body does not contain " + brief(mine.hide(w))
	}
	return ""
}

// extract reads a saved value that is not JSON, copied out of the borrowed
// response; nil when there is none.
func extract(s *spec.Save, r reply) expr.Value {
	if s.From == spec.FromHeader {
		if v, ok := httpwire.Field(r.header, s.Path); ok {
			return expr.Str(string(v))
		}
		return expr.Value{}
	}
	if m := s.Expr.FindSubmatch(r.body); len(m) > 1 {
		return expr.Str(string(m[1]))
	} else if len(m) == 1 {
		return expr.Str(string(m[0]))
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

// jsonValue reads a value and keeps it: its text is copied.
func jsonValue(text []byte) expr.Value {
	switch v := readJSON(text); v.Kind() {
	case expr.String:
		return expr.Str(strings.Clone(v.Text()))
	case expr.JSON:
		return expr.RawJSON(strings.Clone(v.Text()))
	default:
		return v
	}
}

// readJSON reads a value, borrowed from the text that it stands in. It keeps
// the type that the text has; numbers that are whole stay whole.
func readJSON(text []byte) expr.Value {
	r := gjson.Parse(borrowed(text))
	switch r.Type {
	case gjson.String:
		return expr.Str(r.Str)
	case gjson.True, gjson.False:
		return expr.Boolean(r.Type == gjson.True)
	case gjson.Number:
		if n, err := strconv.ParseInt(r.Raw, 10, 64); err == nil {
			return expr.Integer(n)
		}
		return expr.Number(r.Num)
	case gjson.JSON:
		return expr.RawJSON(r.Raw)
	}
	return expr.Value{}
}

// borrowed views bytes as a string without a copy, so that reading a path
// allocates nothing; what is kept of it must be cloned.
func borrowed(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// brief shortens a target's text for a message. It cuts between characters: what
// masks secrets knows the beginning of one by the ellipsis behind it.
func brief(s string) string {
	const most = 80
	if len(s) > most {
		n := most
		for n > most-utf8.UTFMax && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n] + "…"
	}
	return strconv.Quote(s)
}
