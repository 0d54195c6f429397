package exec

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"

	"tollgate/internal/httpwire"
)

// jar holds one user's cookies, by the rules of RFC 6265 and within bounds that
// a target cannot pass.
type jar struct {
	cookies *cookiejar.Jar
	known   map[cookieKey]struct{}
}

type cookieKey struct{ name, domain, path string }

const (
	mostCookies   = 50   // of one user, as RFC 6265 asks of a client at least
	longestCookie = 4096 // name, value and attributes, likewise
)

func newJar() *jar {
	cookies, _ := cookiejar.New(nil) // never fails
	return &jar{cookies: cookies, known: map[cookieKey]struct{}{}}
}

// keep takes what a response sets.
func (j *jar) keep(from *url.URL, header []byte) {
	var set []*http.Cookie
	httpwire.Fields(header, func(name, value []byte) bool {
		if len(name) != len("Set-Cookie") || !strings.EqualFold(string(name), "Set-Cookie") || len(value) > longestCookie {
			return true
		}
		cookie, err := http.ParseSetCookie(string(value))
		if err != nil {
			return true // as a browser does
		}
		key := cookieKey{cookie.Name, cookie.Domain, cookie.Path}
		if _, known := j.known[key]; !known {
			if len(j.known) >= mostCookies {
				return true
			}
			j.known[key] = struct{}{}
		}
		set = append(set, cookie)
		return true
	})
	j.cookies.SetCookies(from, set)
}

// value returns the Cookie header for a request, nil for none.
func (j *jar) value(to *url.URL) []byte {
	var out []byte
	for _, cookie := range j.cookies.Cookies(to) {
		if len(out) > 0 {
			out = append(out, "; "...)
		}
		out = append(out, cookie.Name...)
		out = append(out, '=')
		if cookie.Quoted {
			out = append(append(append(out, '"'), cookie.Value...), '"')
		} else {
			out = append(out, cookie.Value...)
		}
	}
	return out
}

// location is where a request goes, as cookies see it. The context must be the user's.
func (c *cast) location(u *user) *url.URL {
	t := c.plan.Spec.TargetOf(int(u.on))
	path, _, _ := strings.Cut(c.path(u), "?")
	if plain, err := url.PathUnescape(path); err == nil {
		path = plain
	}
	return &url.URL{Scheme: t.Scheme, Host: hostField(t), Path: path}
}

// keepCookies keeps what a response sets, for the user that it answers.
func (c *cast) keepCookies(u *user, header []byte) {
	if c.plan.Spec.Target.NoCookies {
		return
	}
	x := u.more()
	if x.jar == nil {
		x.jar = newJar()
	}
	x.jar.keep(c.location(u), header)
}

// cookie returns the Cookie header of the user's present request, nil for none.
func (c *cast) cookie(u *user) []byte {
	if u.extra == nil || u.extra.jar == nil || u.call.ownCookie || u.extra.hop.bare {
		return nil
	}
	return u.extra.jar.value(c.location(u))
}
