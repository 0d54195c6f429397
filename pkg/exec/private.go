package exec

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"tollgate/internal/expr"
)

// private is what a target has handed a user to be known by: cookies, and saved
// values that go into a header of credentials. A message about an answer that
// quotes a target holds none of it. The zero value knows of none.
type private struct {
	c *cast
	u *user
}

// shortestPrivate is the length in bytes from which a value tells who is asking.
const shortestPrivate = 4

// hide takes it out of a target's text.
func (p private) hide(text string) string {
	if p.u == nil {
		return text
	}
	var values []string
	for _, slot := range p.c.plan.credentials {
		if slot < len(p.c.x.Slots) && p.c.x.Slots[slot].Kind() == expr.String {
			values = append(values, p.c.x.Slots[slot].Text())
		}
	}
	if p.u.extra != nil {
		for i := range p.u.extra.jars {
			for _, k := range p.u.extra.jars[i].cookies {
				_, value, _ := strings.Cut(k.text, "=")
				values = append(values, value)
			}
		}
	}
	slices.SortFunc(values, func(a, b string) int { return len(b) - len(a) })
	for _, v := range values {
		if len(v) < shortestPrivate {
			continue
		}
		quoted, _ := json.Marshal(v) // a string always has a JSON form
		for _, form := range []string{v, string(quoted[1 : len(quoted)-1]), url.QueryEscape(v), url.PathEscape(v)} {
			text = strings.ReplaceAll(text, form, "***")
		}
	}
	return text
}

// tellsWho reports whether a header is one of credentials, by its name.
func tellsWho(header string) bool {
	name := strings.ToLower(header)
	for _, word := range []string{"auth", "cookie", "token", "key", "secret", "session", "password", "csrf", "xsrf"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// credentialsOf adds the slots whose values the call sends as credentials.
func (c *call) credentialsOf(slots []int) []int {
	for _, h := range c.headers {
		if !tellsWho(h.Name) {
			continue
		}
		for _, slot := range h.Value.Slots() {
			if !slices.Contains(slots, slot) {
				slots = append(slots, slot)
			}
		}
	}
	return slots
}

// placeAlone is a location without what in it may be anybody's: user, query, fragment.
func placeAlone(location string) string {
	if i := strings.IndexAny(location, "?#"); i >= 0 {
		location = location[:i] + "…"
	}
	if i := strings.LastIndexByte(location, '@'); i >= 0 {
		location = "…" + location[i:]
	}
	return location
}
