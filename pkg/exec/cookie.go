package exec

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"tollgate/internal/httpwire"
)

// jar holds one user's cookies of one target, by the rules of RFC 6265 and
// within bounds that a target cannot pass. Targets share none: a cookie is a
// credential, and stays with the origin that gave it.
type jar struct{ cookies []cookie } // in the order in which they were set

type cookie struct {
	name, path, text string // text as sent: name=value
	expires          int64  // Unix nanoseconds; 0: with the run
	secure           bool
}

const (
	mostCookies   = 50   // of one user and target, as RFC 6265 asks of a client at least
	longestCookie = 4096 // name, value and attributes, likewise
)

// keep takes what a response sets. host and path are those of its request; now
// is in Unix nanoseconds.
func (j *jar) keep(host, path string, header []byte, now int64) {
	httpwire.Fields(header, func(name, value []byte) bool {
		if len(name) != len("Set-Cookie") || !strings.EqualFold(string(name), "Set-Cookie") || len(value) > longestCookie {
			return true
		}
		if c, err := http.ParseSetCookie(string(value)); err == nil { // else it is ignored, as a browser does
			j.set(c, host, path, now)
		}
		return true
	})
}

// set keeps a cookie in the place of an earlier one of the same name and path
// (section 5.3).
func (j *jar) set(c *http.Cookie, host, path string, now int64) {
	if d := strings.TrimPrefix(strings.ToLower(c.Domain), "."); d != "" {
		if host = strings.ToLower(host); host != d && !strings.HasSuffix(host, "."+d) {
			return
		}
	}
	k := cookie{name: c.Name, path: c.Path, text: c.Name + "=" + c.Value, secure: c.Secure}
	if c.Quoted {
		k.text = c.Name + `="` + c.Value + `"`
	}
	if !strings.HasPrefix(k.path, "/") {
		k.path = "/" // the request's directory (section 5.1.4)
		if end := strings.LastIndexByte(path, '/'); end > 0 {
			k.path = path[:end]
		}
	}
	switch {
	case c.MaxAge > 0:
		k.expires = now + int64(min(c.MaxAge, 1<<31))*int64(time.Second)
	case c.MaxAge < 0:
		k.expires = 1
	case !c.Expires.IsZero():
		k.expires = max(c.Expires.Unix(), 1) * int64(time.Second)
	}
	j.cookies = slices.DeleteFunc(j.cookies, func(o cookie) bool {
		return o.name == k.name && o.path == k.path || o.over(now)
	})
	if k.over(now) {
		return
	}
	if len(j.cookies) >= mostCookies {
		j.cookies = slices.Delete(j.cookies, 0, 1) // the oldest goes
	}
	j.cookies = append(j.cookies, k)
}

func (k *cookie) over(now int64) bool { return k.expires != 0 && k.expires <= now }

// value returns the Cookie header for a request, nil for none: longer paths
// first, and among these what was set earlier (section 5.4).
func (j *jar) value(path string, secure bool, now int64) []byte {
	var some []cookie
	for _, k := range j.cookies {
		if !k.over(now) && (secure || !k.secure) && within(path, k.path) {
			some = append(some, k)
		}
	}
	slices.SortStableFunc(some, func(a, b cookie) int { return cmp.Compare(len(b.path), len(a.path)) })
	var out []byte
	for i, k := range some {
		if i > 0 {
			out = append(out, "; "...)
		}
		out = append(out, k.text...)
	}
	return out
}

// within reports whether a request's path lies below a cookie's.
func within(path, below string) bool {
	return path == below || strings.HasPrefix(path, below) && (strings.HasSuffix(below, "/") || path[len(below)] == '/')
}

// keepCookies keeps what a response sets, for the user that it answers. The
// context must be the user's.
func (c *cast) keepCookies(u *user, header []byte) {
	if c.plan.Spec.Target.NoCookies {
		return
	}
	x := u.more()
	if x.jars == nil {
		x.jars = make([]jar, 1+len(c.plan.Spec.Others))
	}
	path, _, _ := strings.Cut(c.path(u), "?")
	x.jars[u.on].keep(c.plan.Spec.TargetOf(int(u.on)).Host, path, header, c.x.Now)
}

// cookie returns the Cookie header of the user's present request, nil for none.
// The context must be the user's.
func (c *cast) cookie(u *user) []byte {
	if u.extra == nil || u.extra.jars == nil || len(u.extra.jars[u.on].cookies) == 0 || u.call.ownCookie || u.extra.hop.bare {
		return nil
	}
	path, _, _ := strings.Cut(c.path(u), "?")
	return u.extra.jars[u.on].value(path, c.plan.Spec.TargetOf(int(u.on)).Scheme == "https", c.x.Now)
}
