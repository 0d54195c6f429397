package httpwire

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestRenderedRequestIsWhatAServerReads(t *testing.T) {
	out := AppendRequestLine([]byte("kept"), "POST", "/a/b?c=d")
	out = AppendField(out, "Host", []byte("example.org"))
	out = AppendField(out, "X-Empty", nil)
	out = AppendLength(out, 5)
	out = append(out, "\r\nhello"...)
	const want = "keptPOST /a/b?c=d HTTP/1.1\r\nHost: example.org\r\nX-Empty: \r\nContent-Length: 5\r\n\r\nhello"
	if string(out) != want {
		t.Fatalf("%q", out)
	}
	if same := AppendRequestLine(nil, "POST", []byte("/a/b?c=d")); !strings.HasPrefix(want[4:], string(same)) {
		t.Errorf("target as bytes: %q", same)
	}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(out[4:])))
	if err != nil {
		t.Fatal(err)
	}
	if r.Method != "POST" || r.RequestURI != "/a/b?c=d" || r.Host != "example.org" || r.ContentLength != 5 {
		t.Errorf("%+v", r)
	}
}

// each byte is put at every place of a text of 20, so that whole words and the
// rest behind them are both looked at.
func eachByteAtEachPlace(valid func([]byte) bool, base string, ok func(c byte) bool) (wrong []byte) {
	for c := range 256 {
		for i := 1; i < len(base); i++ {
			b := []byte(base)
			b[i] = byte(c)
			if valid(b) != ok(byte(c)) {
				wrong = append(wrong, byte(c))
			}
		}
	}
	return wrong
}

func TestValidRefusesEveryByteThatCouldBreakARequest(t *testing.T) {
	const base = "/abcdefghijklmnopqrs"
	tchar := func(c byte) bool {
		return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c != 0 && strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
	}
	if wrong := eachByteAtEachPlace(ValidTarget, base, func(c byte) bool { return c > ' ' && c < 0x7f && c != '#' }); wrong != nil {
		t.Errorf("target: %q", wrong)
	}
	if wrong := eachByteAtEachPlace(ValidFieldValue, base, func(c byte) bool { return c >= ' ' && c != 0x7f || c == '\t' }); wrong != nil {
		t.Errorf("field value: %q", wrong)
	}
	name := func(b []byte) bool { return ValidFieldName(string(b)) && ValidMethod(string(b)) }
	if wrong := eachByteAtEachPlace(name, base[1:], tchar); wrong != nil {
		t.Errorf("token: %q", wrong)
	}
}

func TestValidAtTheEdges(t *testing.T) {
	for s, want := range map[string]bool{"": false, "/": true, "*": true, "*/": false, "a": false, "http://x/": false, "/a b": false, "/a\r\nX: y": false} {
		if ValidTarget([]byte(s)) != want {
			t.Errorf("target %q: %t", s, !want)
		}
	}
	for s, want := range map[string]bool{"": false, "GET": true, "M-SEARCH": true, "GET ": false, "GET:": false} {
		if ValidMethod(s) != want || ValidFieldName(s) != want {
			t.Errorf("token %q: %t", s, !want)
		}
	}
	if !ValidFieldValue(nil) {
		t.Error("an empty field value is refused")
	}
}

// A header rendered here is the header read there, whatever the values.
func TestRenderedFieldsAreReadBack(t *testing.T) {
	inValue := rapid.Byte().Filter(func(c byte) bool { return ValidFieldValue([]byte{c}) })
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfN(rapid.StringMatching(`[A-Za-z0-9_-]{1,30}`), 1, 5).Draw(t, "names")
		in := []byte("HTTP/1.1 204 x\r\n")
		var values [][]byte
		for i, name := range names {
			if n := strings.ToLower(name); n == "content-length" || n == "transfer-encoding" {
				names[i], name = "x", "x"
			}
			value := rapid.SliceOfN(inValue, 0, 40).Draw(t, "value")
			values = append(values, trim(value))
			in = AppendField(in, name, value)
		}
		in = append(in, "\r\n"...)
		var p Parser
		if _, done, err := p.Feed(in); !done || err != nil {
			t.Fatalf("%q: done %t, %v", in, done, err)
		}
		i := 0
		Fields(p.Header(), func(name, value []byte) bool {
			if string(name) != names[i] || !bytes.Equal(value, values[i]) {
				t.Fatalf("field %d: %q %q; want %q %q", i, name, value, names[i], values[i])
			}
			i++
			return true
		})
		if i != len(names) {
			t.Fatalf("%d of %d fields", i, len(names))
		}
	})
}

func TestField(t *testing.T) {
	header := []byte("X-Ab: other\r\nX-A:\t first \r\nx-a: second\nEmpty:\r\nX-A : spaced\r\nno colon\r\nLast: l")
	for name, want := range map[string]string{"x-a": "first", "X-A": "first", "empty": "", "LAST": "l", "x-ab": "other"} {
		if v, ok := Field(header, name); !ok || string(v) != want {
			t.Errorf("%s: %q, %t", name, v, ok)
		}
	}
	for _, name := range []string{"x", "x-", "", "first", "no colon", "X-A ", "x^a"} {
		if v, ok := Field(header, name); ok {
			t.Errorf("%q: found %q", name, v)
		}
	}
}

func TestFieldsStopsWhenTold(t *testing.T) {
	n := 0
	Fields([]byte("A: 1\r\nB: 2\r\nC: 3\r\n"), func(name, value []byte) bool {
		n++
		return string(name) != "B"
	})
	if n != 2 {
		t.Errorf("%d fields", n)
	}
}
