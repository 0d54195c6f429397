package exec

import (
	"bytes"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"tollgate/internal/httpwire"
	"tollgate/internal/measure"
	"tollgate/pkg/spec"
)

// hop is a request that follows a redirect; its zero value is none.
type hop struct {
	left   int    // how many more may be followed
	method string // "": no hop
	path   string // origin-form
	// bare: it crossed to another origin, and takes nothing along by which the
	// user is known: headers of the spec and cookies stay behind.
	bare bool
	body bool
	// When the first request of the chain was rendered: the same draws and the
	// same time make the same body.
	rendered int64
}

// redirects reports whether a status sends the client elsewhere.
func redirects(status int) bool {
	switch status {
	case 301, 302, 303, 307, 308:
		return true
	}
	return false
}

// follow goes on to where a response points, if the call follows redirects and
// the response is one. The hop that led there is a sample of its own; true:
// the request of the next one waits to be sent, or its failure is recorded.
//
// A redirect is followed to the targets of the spec alone. Anything else would
// load a system that nobody named, at an address that nobody checked.
func (c *cast) follow(i int32, t trip, r reply) bool {
	u := &c.users[i]
	k := u.call
	if k.redirects == 0 || !redirects(r.status) {
		return false
	}
	location, ok := httpwire.Field(r.header, "Location")
	if !ok {
		return false
	}
	h := hop{left: k.redirects, method: k.method, body: true}
	if u.extra != nil {
		h.rendered = u.extra.rendered
	}
	before := c.path(u)
	if u.extra != nil && u.extra.hop.method != "" {
		h = u.extra.hop
	}
	if h.left--; h.left < 0 {
		c.finish(i, t, measure.Check, r.status, "more than "+strconv.Itoa(k.redirects)+" redirects in a row")
		return true
	}
	on, path, fault := c.plan.locate(int(u.on), before, location)
	if fault != "" {
		c.finish(i, t, measure.Check, r.status, fault)
		return true
	}
	switch {
	case h.method == "HEAD" || r.status == 307 || r.status == 308:
	case r.status == 303 || h.method == "POST":
		h.method, h.body = "GET", false
	}
	h.path, h.bare = path, h.bare || on != int(u.on)

	c.record(i, t, measure.OK)
	if c.stopped(u) {
		u.more().hop = hop{}
		c.stop(u)
		return true
	}
	u.due, u.freed = t.done, t.done
	u.phase = c.phase(u.due)
	c.rec.Planned(int(u.phase), k.step, 1)
	c.send(i, k)
	u.on = int16(on)
	u.more().hop = h
	return true
}

// path returns the origin-form that the user's present request was sent to.
// The context must be the user's.
func (c *cast) path(u *user) string {
	if u.extra != nil && u.extra.hop.method != "" {
		return u.extra.hop.path
	}
	path, _ := u.call.path.Append(nil, &c.x) // it was rendered once already
	return string(path)
}

const longestLocation = 8 << 10

// locate resolves a Location against the request that it answers, and returns
// the target and the origin-form there; or why it is not followed.
func (p *Plan) locate(on int, path string, location []byte) (target int, origin string, fault string) {
	if len(location) > longestLocation {
		return 0, "", fmt.Sprintf("redirects to a location of %d bytes", len(location))
	}
	from := p.Spec.TargetOf(on)
	base, err := url.Parse(from.Scheme + "://" + hostField(from) + path)
	if err != nil {
		return 0, "", "the path that was asked for is no URL"
	}
	to, err := base.Parse(string(location))
	if err != nil || to.Host == "" || to.Opaque != "" {
		return 0, "", "redirects to " + brief(placeAlone(string(location))) + ", which is no location"
	}
	origin = to.EscapedPath()
	if origin == "" {
		origin = "/"
	}
	if to.RawQuery != "" || to.ForceQuery {
		origin += "?" + to.RawQuery
	}
	if !httpwire.ValidTarget([]byte(origin)) {
		return 0, "", "redirects to " + brief(placeAlone(string(location))) + ", which no request line can hold"
	}
	for target = range 1 + len(p.Spec.Others) {
		if sameOrigin(p.Spec.TargetOf(target), to) {
			return target, origin, ""
		}
	}
	return 0, "", "redirects to " + brief(to.Scheme+"://"+to.Host) + ", which is no target of the spec: add it under targets to follow it"
}

func sameOrigin(t *spec.Target, u *url.URL) bool {
	port, err := strconv.Atoi(u.Port())
	if u.Port() == "" {
		port, err = defaultPort(u.Scheme), nil
	}
	return err == nil && strings.EqualFold(u.Scheme, t.Scheme) && strings.EqualFold(u.Hostname(), t.Host) && port == t.Port
}

// appendHop renders a request that follows a redirect. cookie is as in append.
func (c *call) appendHop(dst, scratch []byte, x *cast, u *user, cookie []byte) (out, spare []byte, err error) {
	h := &u.extra.hop
	t := x.plan.Spec.TargetOf(int(u.on))
	dst = httpwire.AppendRequestLine(dst, h.method, h.path)
	dst = httpwire.AppendField(dst, "Host", []byte(hostField(t)))
	fields := c.fields
	if h.bare {
		fields = nil
	}
	contentType := ""
	if h.body && c.body != nil { // the type is literal text of the head
		if v, ok := httpwire.Field(c.middle[len(" HTTP/1.1\r\n"):], "Content-Type"); ok {
			contentType = string(v)
		}
	}
	for _, d := range defaultFields(contentType) {
		if d.value != "" && !named(fields, d.name) {
			dst = httpwire.AppendField(dst, d.name, []byte(d.value))
		}
	}
	if bytes.Contains(c.middle, []byte(closeField)) {
		dst = append(dst, closeField...)
	}
	if !h.body { // what describes the body goes with it
		fields = slices.DeleteFunc(slices.Clone(fields), func(f spec.Header) bool { return strings.HasPrefix(strings.ToLower(f.Name), "content-") })
	}
	if dst, err = appendHeaders(dst, fields, &x.x); err != nil {
		return dst, scratch, err
	}
	if cookie != nil {
		dst = httpwire.AppendField(dst, "Cookie", cookie)
	}
	if !h.body {
		return append(dst, "\r\n"...), scratch, nil
	}
	return c.appendBody(dst, scratch, &x.x)
}
