package exec

import (
	"testing"

	"tollgate/pkg/spec"
)

func TestRedirectsAreFollowedToTargetsOfTheSpecAlone(t *testing.T) {
	p := &Plan{Spec: &spec.Spec{
		Target: spec.Target{Scheme: "http", Host: "api.test", Port: 8000},
		Others: []*spec.Target{
			{Name: "auth", Scheme: "https", Host: "auth.test", Port: 443},
			{Name: "six", Scheme: "http", Host: "::1", Port: 80},
		},
	}}
	for _, c := range []struct {
		location string
		on       int
		path     string // "": refused
	}{
		{"/b", 0, "/b"},
		{"b?x=1", 0, "/a/b?x=1"},
		{"?x=2", 0, "/a/here?x=2"},
		{"", 0, "/a/here?old=1"},
		{"//api.test:8000/c", 0, "/c"},
		{"http://API.TEST:8000", 0, "/"},
		{"http://api.test:8000/d#part", 0, "/d"},
		{"https://auth.test/e", 1, "/e"},
		{"https://auth.test:443/e", 1, "/e"},
		{"http://[::1]/f", 2, "/f"},
		{"http://api.test/port-80", 0, ""},
		{"https://api.test:8000/", 0, ""},
		{"http://auth.test/", 0, ""},
		{"http://169.254.169.254/latest/meta-data", 0, ""},
		{"http://api.test.evil.test:8000/", 0, ""},
		{"http://api.test:8000@evil.test/", 0, ""},
		{"http://2130706433:8000/", 0, ""},
		{"http://api.test:8000:8000/", 0, ""},
		{"file:///etc/passwd", 0, ""},
		{"javascript:alert(1)", 0, ""},
		{"http://%zz/", 0, ""},
		{"\x01", 0, ""},
	} {
		on, path, fault := p.locate(0, "/a/here?old=1", []byte(c.location))
		if on != c.on || path != c.path || (fault == "") != (c.path != "") {
			t.Errorf("%q goes to target %d, %q (%s), want %d, %q", c.location, on, path, fault, c.on, c.path)
		}
	}
	if _, _, fault := p.locate(0, "/", make([]byte, 9<<10)); fault == "" {
		t.Error("a location of 9 KiB is followed")
	}
}

func FuzzLocate(f *testing.F) {
	p := &Plan{Spec: &spec.Spec{Target: spec.Target{Scheme: "http", Host: "api.test", Port: 8000}}}
	for _, seed := range []string{"/", "//x", "http://api.test:8000/ü", "?", "..", "/%2e%2e/", "http://[::1", "/\r\nX: 1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, location string) {
		_, path, fault := p.locate(0, "/a?b=1", []byte(location))
		if fault != "" {
			return
		}
		for _, c := range []byte(path) {
			if c <= ' ' || c >= 0x7f {
				t.Errorf("%q leads to %q", location, path)
			}
		}
		if path == "" || path[0] != '/' {
			t.Errorf("%q leads to %q", location, path)
		}
	})
}
