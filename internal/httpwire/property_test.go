package httpwire

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// anyResponse draws bytes that a server may send: parts that fit together, or
// nearly, so that deep states are reached, and then a few bytes changed.
func anyResponse() *rapid.Generator[[]byte] {
	status := rapid.SampledFrom([]string{
		"HTTP/1.1 200 OK", "HTTP/1.1 200 OK", "HTTP/1.0 200 OK", "HTTP/1.1 204 No Content", "HTTP/1.1 304", "HTTP/1.1 500 ",
		"HTTP/1.1 100 Continue", "HTTP/1.1 101 x", "HTTP/2.0 200 OK", "HTTQ", "",
	})
	field := rapid.SampledFrom([]string{
		"Content-Length: 5", "Content-Length: 5", "Content-Length: 0", "content-length: 12", "Content-Length: x", "Content-Length: 99999999999999999999",
		"Transfer-Encoding: chunked", "Transfer-Encoding: chunked", "Transfer-Encoding: gzip", "Connection: close", "Connection: keep-alive, x",
		"Set-Cookie: a=b; Path=/", "Location: /a", "Content-Encoding: gzip", "Content-Encoding: identity", "X: y", "X:", "X: a long value \t with tabs and \xc3\xa9 and more", "X : y", " folded", "X: a\x00b", "X: a\rb", "no colon", ":", "", "X-Long: " + strings.Repeat("long ", 300),
	})
	eol := rapid.SampledFrom([]string{"\r\n", "\r\n", "\r\n", "\n", "\r\r\n", "\r"})
	body := rapid.SampledFrom([]string{
		"", "hello", "hello world!", "5\r\nhello\r\n0\r\n\r\n", "5;x\r\nhello\r\n7 \r\n, world\r\n00\r\nT: v\r\n\r\n", "5\nhello\r\n", "g\r\n",
		"1\r\na\r\n1\r\nb\r\n0\r\nT : v\r\n\r\n", "ffffffffffffffffff\r\n", "2\r\nabc\r\n0\r\n\r\n", strings.Repeat("3;e\r\nabc\r\n", 30) + "0\r\n\r\n",
	})
	return rapid.Custom(func(t *rapid.T) []byte {
		var in []byte
		for range rapid.IntRange(1, 4).Draw(t, "heads") {
			in = append(in, status.Draw(t, "status")...)
			in = append(in, eol.Draw(t, "end of line")...)
			for _, f := range rapid.SliceOfN(field, 0, 5).Draw(t, "fields") {
				in = append(in, f...)
				in = append(in, eol.Draw(t, "end of line")...)
			}
			in = append(in, eol.Draw(t, "empty line")...)
			in = append(in, body.Draw(t, "body")...)
		}
		for range rapid.IntRange(0, 3).Draw(t, "changes") {
			at := rapid.IntRange(0, len(in)-1).Draw(t, "at")
			switch rapid.IntRange(0, 2).Draw(t, "change") {
			case 0:
				in[at] = rapid.Byte().Draw(t, "byte")
			case 1:
				in = append(in[:at:at], in[at+1:]...)
			case 2:
				in = append(in[:at:at], append([]byte{rapid.SampledFrom([]byte("\r\n :;\t05a\x00")).Draw(t, "byte")}, in[at:]...)...)
			}
			if len(in) == 0 {
				break
			}
		}
		return in
	})
}

func TestOutcomeDoesNotDependOnHowTheBytesAreCut(t *testing.T) {
	var bad [][]byte
	for _, e := range hostile(t) {
		if len(e.in) < 10_000 {
			bad = append(bad, e.in)
		}
	}
	for _, g := range good {
		bad = append(bad, []byte(g.in))
	}
	responses := rapid.OneOf(anyResponse(), rapid.SampledFrom(bad))
	rapid.Check(t, func(t *rapid.T) {
		in := responses.Draw(t, "in")
		s := setup{head: rapid.Float64().Draw(t, "head") < 0.1, keep: rapid.Bool().Draw(t, "keep")}
		if rapid.Bool().Draw(t, "limited") {
			s.limits = &Limits{
				Header:        rapid.IntRange(1, 120).Draw(t, "header limit"),
				Body:          rapid.Int64Range(1, 20).Draw(t, "body limit"),
				Informational: rapid.IntRange(1, 3).Draw(t, "1xx limit"),
			}
		}
		most := rapid.SampledFrom([]int{1, 3, 10, 50, 500}).Draw(t, "largest piece")
		want := parse(t, s, in, whole(in))
		got := parse(t, s, in, func() int { return rapid.IntRange(1, most).Draw(t, "piece") })
		if got != want {
			t.Fatalf("cut:  %+v\nonce: %+v", got, want)
		}
	})
}

func TestRememberedHeadChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limits := Limits{Header: rapid.SampledFrom([]int{0, 40, 4096}).Draw(t, "header limit"), Body: rapid.SampledFrom([]int64{0, 4}).Draw(t, "body limit")}
		remembering := limits
		remembering.Heads = new(Heads)
		drawn := rapid.SliceOfN(anyResponse(), 1, 3).Draw(t, "responses")
		for range rapid.IntRange(2, 8).Draw(t, "answers") {
			in := rapid.SampledFrom(drawn).Draw(t, "in")
			s := setup{head: rapid.Float64().Draw(t, "head") < 0.1, keep: rapid.Bool().Draw(t, "keep"), limits: &limits}
			want := parse(t, s, in, whole(in))
			s.limits = &remembering
			if got := parse(t, s, in, whole(in)); got != want {
				t.Fatalf("remembered: %+v\nparsed:     %+v", got, want)
			}
		}
	})
}

func TestSameHeadIsRememberedOnce(t *testing.T) {
	h := new(Heads)
	p := Parser{}
	p.SetLimits(&Limits{Heads: h})
	answer := func(body string) []byte {
		return []byte("HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 5\r\n\r\n" + body)
	}
	for _, body := range []string{"hello", "world"} {
		in := answer(body)
		p.Reset(false, true)
		if _, done, err := p.Feed(in); !done || err != nil || string(p.Body()) != body || p.Status() != 200 || !p.HasCookie() {
			t.Fatalf("%q: body %q, status %d (%v)", in, p.Body(), p.Status(), err)
		}
		if v, _ := Field(p.Header(), "set-cookie"); string(v) != "a=b" || &p.Header()[0] != &in[len("HTTP/1.1 200 OK\r\n")] {
			t.Fatalf("header %q is not the answer's own", p.Header())
		}
	}
	if end := h.recall(&Parser{}, answer("x")); end != len(answer("")) {
		t.Errorf("a head of %d bytes is recalled as %d", len(answer("")), end)
	}
}

// fieldsOf is what both parsers should see in a header.
func fieldsOf(header []byte) map[string][]string {
	all := map[string][]string{}
	Fields(header, func(name, value []byte) bool {
		key := http.CanonicalHeaderKey(string(name))
		all[key] = append(all[key], string(value))
		return true
	})
	return all
}

// standard reads in as net/http does, past the informational responses.
func standard(in []byte, head bool) (status int, header http.Header, body []byte, closes bool, rest int, err error) {
	r := bytes.NewReader(in)
	b := bufio.NewReader(r)
	method := "GET"
	if head {
		method = "HEAD"
	}
	for {
		res, err := http.ReadResponse(b, &http.Request{Method: method})
		if err != nil {
			return 0, nil, nil, false, 0, err
		}
		if res.StatusCode < 200 {
			continue
		}
		body, err := io.ReadAll(res.Body)
		return res.StatusCode, res.Header, body, res.Close, r.Len() + b.Buffered(), err
	}
}

func sameAsStandard(t rapid.TB, in []byte, head bool) {
	t.Helper()
	var p Parser
	p.Reset(head, true)
	used, done, err := p.Feed(in)
	if !done && err == nil {
		done, err = p.EOF()
	}
	if err != nil || !done {
		t.Fatalf("%q: done %t, %v", in, done, err)
	}
	status, header, body, closes, rest, err := standard(in, head)
	if err != nil {
		t.Fatalf("%q: net/http: %v", in, err)
	}
	if p.Status() != status || !bytes.Equal(p.Body(), body) {
		t.Fatalf("%q: %d %q; net/http: %d %q", in, p.Status(), p.Body(), status, body)
	}
	if p.KeepAlive() == closes {
		t.Fatalf("%q: keep-alive %t; net/http: close %t", in, p.KeepAlive(), closes)
	}
	if len(in)-used != rest {
		t.Fatalf("%q: leaves %d bytes; net/http: %d", in, len(in)-used, rest)
	}
	got := fieldsOf(p.Header())
	// net/http takes some of the framing fields out and merges equal lengths.
	for _, name := range []string{"Transfer-Encoding", "Connection", "Content-Length"} {
		delete(got, name)
		delete(header, name)
	}
	for name, values := range got {
		if fmt.Sprint(header[name]) != fmt.Sprint(values) {
			t.Fatalf("%q: %s: %q; net/http: %q", in, name, values, header[name])
		}
		if first, ok := Field(p.Header(), strings.ToLower(name)); !ok || string(first) != values[0] {
			t.Fatalf("%q: first %s is %q; want %q", in, name, first, values[0])
		}
	}
	if len(got) != len(header) {
		t.Fatalf("%q: %d fields; net/http: %d", in, len(got), len(header))
	}
}

func TestGoodResponsesReadAsNetHTTPReadsThem(t *testing.T) {
	for _, g := range good {
		switch g.name {
		case "length twice the same": // net/http compares the texts "2" and "02",
		case "chunked, extensions": // nor takes white space before the semicolon
		default:
			t.Run(g.name, func(t *testing.T) { sameAsStandard(t, []byte(g.in), g.head) })
		}
	}
}

func TestValidResponseReadsAsNetHTTPReadsIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var in bytes.Buffer
		for range rapid.IntRange(0, 3).Draw(t, "informational") {
			in.WriteString("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
		}
		minor := rapid.IntRange(0, 1).Draw(t, "minor")
		status := rapid.SampledFrom([]int{200, 201, 204, 301, 304, 404, 503}).Draw(t, "status")
		fmt.Fprintf(&in, "HTTP/1.%d %d %s\r\n", minor, status, rapid.StringMatching(`[ -~]{0,20}`).Draw(t, "reason"))
		for range rapid.IntRange(0, 6).Draw(t, "fields") {
			fmt.Fprintf(&in, "X-%s:%s\r\n", rapid.StringMatching(`[A-Za-z0-9!#$%&'*+.^_|~-]{1,20}`).Draw(t, "name"),
				rapid.StringMatching(`[ \t]{0,2}[!-~é]{0,20}[ \t]{0,2}[ -~]{0,40}`).Draw(t, "value"))
		}
		if c := rapid.SampledFrom([]string{"", "close", "keep-alive", "Keep-Alive, x", "x, Close"}).Draw(t, "connection"); c != "" {
			fmt.Fprintf(&in, "Connection: %s\r\n", c)
		}
		body := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "body")
		head := rapid.Bool().Draw(t, "head")
		empty := head || status == 204 || status == 304
		framing := rapid.IntRange(0, 1+minor).Draw(t, "framing")
		switch framing {
		case 0:
			in.WriteString("\r\n")
		case 1:
			fmt.Fprintf(&in, "Content-Length: %d\r\n\r\n", len(body))
		case 2:
			in.WriteString("Transfer-Encoding: chunked\r\n\r\n")
		}
		switch {
		case empty:
		case framing < 2:
			in.Write(body)
		default:
			for rest := body; len(rest) > 0; {
				n := rapid.IntRange(1, len(rest)).Draw(t, "chunk")
				fmt.Fprintf(&in, "%x%s\r\n%s\r\n", n, rapid.SampledFrom([]string{"", ";a", ";a=b "}).Draw(t, "extension"), rest[:n])
				rest = rest[n:]
			}
			in.WriteString("0\r\n" + rapid.SampledFrom([]string{"", "X-Sum: 1\r\n"}).Draw(t, "trailer") + "\r\n")
		}
		if framing > 0 || empty {
			in.WriteString(rapid.SampledFrom([]string{"", "HTTP/1.1 200 OK\r\n"}).Draw(t, "next"))
		}
		sameAsStandard(t, in.Bytes(), head)
	})
}

func FuzzParser(f *testing.F) {
	for _, e := range hostile(f) {
		if len(e.in) < 10_000 {
			f.Add(e.in, []byte{1, 2, 3}, uint8(1))
		}
	}
	for _, g := range good {
		f.Add([]byte(g.in), []byte{7}, uint8(3))
	}
	f.Fuzz(func(t *testing.T, in, cuts []byte, how uint8) {
		if len(in) > 1<<20 {
			return // the bound on held memory in parse is that of the pooled sizes
		}
		s := setup{keep: how&1 != 0, head: how&4 != 0}
		if how&2 != 0 {
			s.limits = &Limits{Header: 64, Body: 16, Informational: 1}
		}
		once := parse(t, s, in, whole(in))
		i := -1
		cut := parse(t, s, in, func() int {
			if len(cuts) == 0 {
				return 1
			}
			i++
			return int(cuts[i%len(cuts)])
		})
		if cut != once {
			t.Fatalf("cut:  %+v\nonce: %+v", cut, once)
		}
		if once.used > len(in) || once.bodyBytes > int64(len(in)) {
			t.Fatalf("%+v from %d bytes", once, len(in))
		}
		Field(in, "content-length") // any bytes at all are safe
		Fields(in, func(name, value []byte) bool {
			if len(name) == 0 {
				t.Fatal("a field without a name")
			}
			return true
		})
	})
}
