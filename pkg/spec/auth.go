package spec

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"tollgate/internal/expr"
)

// auth decodes the auth of a target, a persona or an endpoint, and returns the
// headers of that place with the Authorization that it stands for.
func (d *decoder) auth(n *node, headers []Header) []Header {
	if !n.isSet() || !d.keys(n, authObject) {
		return headers
	}
	basic, bearer := n.get("basic"), n.get("bearer")
	const example = `write auth: {bearer: "${token}"}, or auth: {basic: {user: NAME, password: "${password}"}}`
	switch {
	case basic == nil && bearer == nil:
		if len(n.keys) == 0 { // a misspelt key is a fault already
			d.fault(n, example, "auth says neither basic nor bearer")
		}
		return headers
	case basic != nil && bearer != nil:
		d.fault(n, "keep one of them", "a request has one Authorization, and auth says basic and bearer")
		return headers
	case hasHeader(headers, "Authorization"):
		d.fault(n, "keep one of them", "the header Authorization stands beside auth, and a request has one")
		return headers
	}
	var value *expr.Text
	if basic != nil {
		value = d.basic(basic)
	} else {
		value = d.bearer(bearer)
	}
	if value == nil {
		return headers
	}
	return append(slices.Clip(headers), Header{Name: "Authorization", Value: value, Pos: n.pos()})
}

// bearer compiles a token.
func (d *decoder) bearer(n *node) *expr.Text {
	const scheme = "Bearer "
	d.checkLost(n)
	if !n.isScalar() {
		d.fault(n, "", "a token must be text, not %s", n.kind)
		return nil
	}
	if strings.TrimSpace(n.text) == "" {
		d.fault(n, `write bearer: "${token}"`, "the token is empty")
		return nil
	}
	if !d.oneLine(n) {
		return nil
	}
	t := d.template(n, scheme+n.text, len(scheme), expr.Header)
	d.checkSet(n, t, "the token")
	return t
}

// basic compiles a name and a password to the header's value (RFC 7617).
func (d *decoder) basic(n *node) *expr.Text {
	if !n.isSet() || !d.keys(n, basicObject) {
		return nil
	}
	const example = `basic: {user: NAME, password: "${password}"}`
	var inner expr.Builder
	var parts []part
	sound := true
	for _, key := range []string{"user", "password"} {
		val := d.require(n, basicObject, key, example)
		if val == nil {
			sound = false
			continue
		}
		t := d.credential(val, "the "+key)
		if t == nil {
			sound = false
			continue
		}
		if fixed, ok := t.Static(); ok && key == "user" && strings.Contains(string(fixed), ":") {
			d.fault(val, "", "the user of basic authentication cannot hold a colon")
			sound = false
		}
		if key == "password" {
			inner.Literal(":")
		}
		inner.Text(t)
		parts = append(parts, d.parts[t]...)
	}
	if !sound {
		return nil
	}
	pair := inner.Build()
	if fixed, ok := pair.Static(); ok {
		encoded := base64.StdEncoding.EncodeToString(fixed)
		d.keep(encoded)
		return literalText("Basic " + encoded)
	}
	var b expr.Builder
	b.Literal("Basic ")
	b.Base64(pair)
	value := b.Build()
	d.parts[value] = parts
	return value
}

// credential compiles a user or a password; numbers are taken as they are written.
func (d *decoder) credential(n *node, what string) *expr.Text {
	d.checkLost(n)
	if !n.isScalar() {
		d.fault(n, "", "%s must be text, not %s", what, n.kind)
		return nil
	}
	t := d.template(n, n.text, 0, expr.Plain)
	d.checkSet(n, t, what)
	return t
}

// checkSet reports a credential that can never be set. Headers whose value is
// unset are left out, and a test that logs in nowhere would be a long search.
func (d *decoder) checkSet(n *node, t *expr.Text, what string) {
	if t == nil || len(t.Slots()) > 0 {
		return
	}
	if v, err := t.Value(&expr.Ctx{}); errors.Is(err, expr.ErrUnset) || err == nil && v.IsNil() {
		d.faultAt(n, strings.Index(n.text, "${"), `set the variable, or give a default: ${… ?? "…"}`, "%s is unset", what)
	}
}
