package exec

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

func TestCookiesAreBounded(t *testing.T) {
	from := &url.URL{Scheme: "http", Host: "api.test", Path: "/"}
	j := newJar()
	var header strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&header, "Set-Cookie: c%d=%s; Path=/\r\n", i, strings.Repeat("x", 100))
	}
	j.keep(from, []byte(header.String()))
	j.keep(from, []byte("Set-Cookie: long="+strings.Repeat("x", longestCookie)+"\r\n"))
	if got := len(j.cookies.Cookies(from)); got != mostCookies {
		t.Errorf("%d cookies are kept, want %d", got, mostCookies)
	}
	j.keep(from, []byte("Set-Cookie: c1=new; Path=/\r\n"))
	if got := string(j.value(from)); !strings.Contains(got, "c1=new") || strings.Contains(got, "long=") {
		t.Errorf("a known cookie is not replaced, or a long one kept: %q", got)
	}
}

func TestCookiesStayWhereTheyBelong(t *testing.T) {
	home := &url.URL{Scheme: "https", Host: "api.test", Path: "/app/login"}
	j := newJar()
	j.keep(home, []byte("Set-Cookie: a=1\r\nset-cookie: b=\"2 3\"; Path=/; Secure\r\nSet-Cookie: c=3; Domain=evil.test\r\nSet-Cookie: d=4; Max-Age=0\r\nSet-Cookie: =bad\r\nX: Set-Cookie: e=5\r\n"))
	for where, want := range map[string]string{
		"https://api.test/app/next":   `a=1; b="2 3"`,
		"https://api.test/":           `b="2 3"`,
		"http://api.test/app/next":    "a=1",
		"https://evil.test/":          "",
		"https://sub.api.test/app/x":  "",
		"https://api.test/apple":      `b="2 3"`,
		"https://api.test:8443/app/x": `a=1; b="2 3"`,
	} {
		to, _ := url.Parse(where)
		if got := string(j.value(to)); got != want {
			t.Errorf("%s gets %q, want %q", where, got, want)
		}
	}
}
