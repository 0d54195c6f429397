package exec

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestCookiesAreBounded(t *testing.T) {
	var j jar
	var header strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&header, "Set-Cookie: c%d=%s; Path=/\r\n", i, strings.Repeat("x", 100))
	}
	j.keep("api.test", "/", []byte(header.String()), 1)
	j.keep("api.test", "/", []byte("Set-Cookie: long="+strings.Repeat("x", longestCookie)+"\r\n"), 1)
	for i := range 3000 { // each in a directory of its own
		j.keep("api.test", fmt.Sprintf("/items/%d/x", i), []byte("Set-Cookie: sid=v\r\n"), 1)
	}
	if got := len(j.cookies); got != mostCookies {
		t.Errorf("%d cookies are kept, want %d", got, mostCookies)
	}
	if got := string(j.value("/items/2999/y", false, 1)); got != "sid=v" {
		t.Errorf("of cookies that come and go the last is %q", got)
	}
}

func TestDeletedCookiesMakeRoom(t *testing.T) {
	var j jar
	for i := range 200 {
		j.keep("api.test", "/", fmt.Appendf(nil, "Set-Cookie: csrf%d=v; Path=/\r\n", i), 1)
		j.keep("api.test", "/", fmt.Appendf(nil, "Set-Cookie: csrf%d=; Path=/; Max-Age=0\r\n", i), 1)
	}
	if got := j.value("/", false, 1); got != nil {
		t.Errorf("deleted cookies are sent: %q", got)
	}
	j.keep("api.test", "/", []byte("Set-Cookie: short=1; Max-Age=10\r\nSet-Cookie: session=s; Path=/\r\n"), 1)
	if got := string(j.value("/", false, int64(9*time.Second))); got != "short=1; session=s" {
		t.Errorf("%q", got)
	}
	if got := string(j.value("/", false, int64(11*time.Second))); got != "session=s" {
		t.Errorf("after ten seconds %q", got)
	}
}

func TestCookiesStayWhereTheyBelong(t *testing.T) {
	var j jar
	j.keep("api.test", "/app/login", []byte("Set-Cookie: a=1\r\nset-cookie: b=\"2 3\"; Path=/; Secure\r\nSet-Cookie: c=3; Domain=evil.test\r\nSet-Cookie: d=4; Max-Age=0\r\nSet-Cookie: =bad\r\nX: Set-Cookie: e=5\r\nSet-Cookie: f=6; Domain=.test; Path=/app/deep\r\nSet-Cookie: a=7; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/other\r\n"), time.Now().UnixNano())
	for where, want := range map[string]string{
		"s /app/next": `a=1; b="2 3"`, "s /": `b="2 3"`, "- /app/next": "a=1", "s /apple": `b="2 3"`,
		"- /app/deep/x": "f=6; a=1", "- /app/deeper": "a=1", "- /app": "a=1", "- /other": "",
	} {
		scheme, path, _ := strings.Cut(where, " ")
		if got := string(j.value(path, scheme == "s", time.Now().UnixNano())); got != want {
			t.Errorf("%s gets %q, want %q", where, got, want)
		}
	}
}
