package httpwire

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"pgregory.net/rapid"
)

// outcome is all that a caller can learn about a response.
type outcome struct {
	status    int
	header    string
	body      string
	bodyBytes int64
	done      bool
	err       error
	keepAlive bool
	started   bool
	cookie    bool
	location  bool
	encoded   bool
	used      int // only when done: what an error leaves of the input is nobody's
}

func outcomeOf(p *Parser, used int, done bool, err error) outcome {
	o := outcome{p.Status(), string(p.Header()), string(p.Body()), p.BodyBytes(), done, err, p.KeepAlive(), p.Started(), p.HasCookie(), p.HasLocation(), p.Encoded(), 0}
	if done {
		o.used = used
	}
	return o
}

// setup is how a response is read.
type setup struct {
	limits *Limits
	head   bool
	keep   bool
}

// parse feeds in, cut into pieces whose sizes next gives, and then the end of
// the connection. Each piece lies in a buffer that is overwritten afterwards,
// as a driver's read buffer is.
func parse(t rapid.TB, s setup, in []byte, next func() int) outcome {
	t.Helper()
	var p Parser
	defer p.Release()
	p.SetLimits(s.limits)
	p.Reset(s.head, s.keep)
	total := 0
	var buf []byte
	for rest := in; len(rest) > 0; {
		n := min(max(next(), 1), len(rest))
		buf = append(buf[:0], rest[:n]...)
		used, done, err := p.Feed(buf)
		if used < 0 || used > n {
			t.Fatalf("used %d of %d bytes", used, n)
		}
		total += used
		if p.Held() > max(smallest, 4*total) {
			t.Fatalf("holds %d bytes after %d", p.Held(), total)
		}
		if done || err != nil {
			o := outcomeOf(&p, total, done, err)
			if used, again, errAgain := p.Feed(buf); used != 0 || again != done || errAgain != err {
				t.Fatalf("outcome changed from %t, %v to %t, %v (used %d)", done, err, again, errAgain, used)
			}
			return o
		}
		if used != n {
			t.Fatalf("not done, but used %d of %d bytes", used, n)
		}
		for i := range buf {
			buf[i] = 0xee
		}
		rest = rest[n:]
	}
	done, err := p.EOF()
	return outcomeOf(&p, total, done, err)
}

func whole(in []byte) func() int { return func() int { return len(in) } }
func single() int                { return 1 }

type example struct {
	name string
	err  Error
	in   []byte
}

var errorNames = map[string]Error{
	"ErrStatusLine": ErrStatusLine, "ErrTLS": ErrTLS, "ErrVersion": ErrVersion,
	"ErrHeader": ErrHeader, "ErrFold": ErrFold, "ErrSpace": ErrSpace, "ErrControl": ErrControl,
	"ErrLength": ErrLength, "ErrLengthConflict": ErrLengthConflict, "ErrLengthChunked": ErrLengthChunked,
	"ErrTransferEncoding": ErrTransferEncoding, "ErrChunk": ErrChunk,
	"ErrHeaderTooLarge": ErrHeaderTooLarge, "ErrBodyTooLarge": ErrBodyTooLarge,
	"ErrInformational": ErrInformational, "ErrSwitching": ErrSwitching,
	"ErrEarlyClose": ErrEarlyClose, "ErrTruncated": ErrTruncated,
}

func hostile(t testing.TB) []example {
	t.Helper()
	file, err := os.ReadFile("testdata/hostile.txt")
	if err != nil {
		t.Fatal(err)
	}
	entry := regexp.MustCompile(`^(\S+)\s+(\S+)\s+(".*)$`)
	var all []example
	for line := range strings.Lines(string(file)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		m := entry.FindStringSubmatch(line)
		if m == nil || errorNames[m[2]] == 0 {
			t.Fatalf("testdata/hostile.txt: %q is not: name, error, strings", line)
		}
		e := example{name: m[1], err: errorNames[m[2]]}
		for rest := m[3]; rest != ""; rest = strings.TrimLeft(rest, " ") {
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				t.Fatalf("testdata/hostile.txt: %s: %v", e.name, err)
			}
			text, _ := strconv.Unquote(quoted)
			rest = rest[len(quoted):]
			times := 1
			if strings.HasPrefix(rest, "*") {
				digits, after, _ := strings.Cut(rest[1:], " ")
				if times, err = strconv.Atoi(digits); err != nil {
					t.Fatalf("testdata/hostile.txt: %s: %v", e.name, err)
				}
				rest = after
			}
			e.in = append(e.in, strings.Repeat(text, times)...)
		}
		all = append(all, e)
	}
	if len(all) < 60 {
		t.Fatalf("only %d hostile responses left", len(all))
	}
	return all
}

func TestHostileResponseIsRefusedForTheRightReason(t *testing.T) {
	seen := map[Error]bool{}
	for _, e := range hostile(t) {
		seen[e.err] = true
		t.Run(e.name, func(t *testing.T) {
			o := parse(t, setup{keep: true}, e.in, whole(e.in))
			if o.err != e.err || o.done {
				t.Errorf("done %t, error %v; want %v", o.done, o.err, e.err)
			}
			if o.keepAlive {
				t.Error("the connection would be used again")
			}
			if o.body != "" {
				t.Errorf("body %.20q of a response that failed", o.body)
			}
			next := single
			if len(e.in) > 1<<20 {
				next = func() int { return 4093 }
			}
			if cut := parse(t, setup{keep: true}, e.in, next); cut != o {
				t.Errorf("cut:     %.300v\nat once: %.300v", cut, o)
			}
		})
	}
	for name, e := range errorNames {
		if !seen[e] {
			t.Errorf("no hostile response leads to %s", name)
		}
	}
}

var good = []struct {
	name string
	head bool // answers a HEAD
	in   string
	want outcome // used: 0 means all of in
}{
	{"length", false, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		outcome{status: 200, header: "Content-Length: 5\r\n", body: "hello", keepAlive: true}},
	{"the next response is left alone", false, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 500",
		outcome{status: 200, header: "Content-Length: 5\r\n", body: "hello", keepAlive: true, used: 43}},
	{"length zero", false, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		outcome{status: 200, header: "Content-Length: 0\r\n", keepAlive: true}},
	{"length twice the same", false, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\ncontent-length: 02\r\n\r\nhi",
		outcome{status: 200, header: "Content-Length: 2\r\ncontent-length: 02\r\n", body: "hi", keepAlive: true}},
	{"names in any case", false, "HTTP/1.1 200 OK\r\ncOnTeNt-LeNgTh:2\r\n\r\nhi",
		outcome{status: 200, header: "cOnTeNt-LeNgTh:2\r\n", body: "hi", keepAlive: true}},
	{"white space around the value", false, "HTTP/1.1 200 OK\r\nContent-Length: \t 2 \t\r\n\r\nhi",
		outcome{status: 200, header: "Content-Length: \t 2 \t\r\n", body: "hi", keepAlive: true}},
	{"lines that end in a bare LF", false, "HTTP/1.1 200 OK\nContent-Length: 2\nX: y\n\nhi",
		outcome{status: 200, header: "Content-Length: 2\nX: y\n", body: "hi", keepAlive: true}},
	{"empty value, tab and bytes above ASCII in values", false, "HTTP/1.1 200 OK\r\nA:\r\nB: a\tb\r\nC: \xc3\xa9\xff\r\nContent-Length: 0\r\n\r\n",
		outcome{status: 200, header: "A:\r\nB: a\tb\r\nC: \xc3\xa9\xff\r\nContent-Length: 0\r\n", keepAlive: true}},
	{"no reason", false, "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",
		outcome{status: 200, header: "Content-Length: 0\r\n", keepAlive: true}},
	{"no reason and no space", false, "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
		outcome{status: 200, header: "Content-Length: 0\r\n", keepAlive: true}},
	{"reason of many words", false, "HTTP/1.1 404 Nicht\tda \xfcberhaupt\r\nContent-Length: 0\r\n\r\n",
		outcome{status: 404, header: "Content-Length: 0\r\n", keepAlive: true}},
	{"status outside the classes", false, "HTTP/1.1 999 ?\r\nContent-Length: 0\r\n\r\n",
		outcome{status: 999, header: "Content-Length: 0\r\n", keepAlive: true}},
	{"a later minor version is 1.1", false, "HTTP/1.9 200 OK\r\nContent-Length: 0\r\n\r\n",
		outcome{status: 200, header: "Content-Length: 0\r\n", keepAlive: true}},

	{"chunked, one chunk", false, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nHTTP",
		outcome{status: 200, header: "Transfer-Encoding: chunked\r\n", body: "hello", keepAlive: true, used: 62}},
	{"chunked, three chunks", false, "HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\n5\r\nhello\r\n1\r\n \r\n00005\r\nworld\r\n000\r\n\r\n",
		outcome{status: 200, header: "Transfer-Encoding: CHUNKED\r\n", body: "hello world", keepAlive: true}},
	{"chunked, hexadecimal sizes", false, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n",
		outcome{status: 200, header: "Transfer-Encoding: chunked\r\n", body: "01234567890123456789a", keepAlive: true}},
	{"chunked, empty", false, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		outcome{status: 200, header: "Transfer-Encoding: chunked\r\n", keepAlive: true}},
	{"chunked, extensions", false, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b;c=\"d e\"\r\nhello\r\n5 ; x\t\r\nhello\r\n1  \r\n!\r\n0;last\r\n\r\n",
		outcome{status: 200, header: "Transfer-Encoding: chunked\r\n", body: "hellohello!", keepAlive: true}},
	{"chunked, trailers change nothing", false, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nContent-Length: 7\r\nConnection: close\r\nX:\r\n\r\n",
		outcome{status: 200, header: "Transfer-Encoding: chunked\r\n", body: "hi", keepAlive: true}},
	{"chunked, data that looks like the end", false, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n0\r\n\r\n\r\n0\r\n\r\n",
		outcome{status: 200, header: "Transfer-Encoding: chunked\r\n", body: "0\r\n\r\n", keepAlive: true}},

	{"until close", false, "HTTP/1.1 200 OK\r\nX: y\r\n\r\nhello",
		outcome{status: 200, header: "X: y\r\n", body: "hello"}},
	{"until close, nothing comes", false, "HTTP/1.1 200 OK\r\n\r\n",
		outcome{status: 200}},
	{"until close, whatever Connection says", false, "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\nhello",
		outcome{status: 200, header: "Connection: keep-alive\r\n", body: "hello"}},
	{"until close, 1.0", false, "HTTP/1.0 200 OK\r\n\r\nhello",
		outcome{status: 200, body: "hello"}},

	{"HEAD with a length", true, "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n",
		outcome{status: 200, header: "Content-Length: 5000\r\n", keepAlive: true}},
	{"HEAD with a length over the limit", true, "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n",
		outcome{status: 200, header: "Content-Length: 9223372036854775807\r\n", keepAlive: true}},
	{"HEAD chunked", true, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		outcome{status: 200, header: "Transfer-Encoding: chunked\r\n", keepAlive: true}},
	{"HEAD without framing", true, "HTTP/1.1 200 OK\r\n\r\n",
		outcome{status: 200, keepAlive: true}},
	{"204", false, "HTTP/1.1 204 No Content\r\nX: y\r\n\r\nHTTP",
		outcome{status: 204, header: "X: y\r\n", keepAlive: true, used: 33}},
	{"204 chunked has no body", false, "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0",
		outcome{status: 204, header: "Transfer-Encoding: chunked\r\n", keepAlive: true, used: 55}},
	{"304 with the length of the other answer", false, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nHTTP",
		outcome{status: 304, header: "Content-Length: 5\r\n", keepAlive: true, used: 48}},
	{"205 is framed as any other", false, "HTTP/1.1 205 Reset Content\r\nContent-Length: 2\r\n\r\nhi",
		outcome{status: 205, header: "Content-Length: 2\r\n", body: "hi", keepAlive: true}},

	{"100 first", false, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nhi",
		outcome{status: 201, header: "Content-Length: 2\r\n", body: "hi", keepAlive: true}},
	{"five informational, nothing of them stays", false,
		strings.Repeat("HTTP/1.0 103 Early Hints\r\nConnection: close\r\nContent-Length: 7\r\nLink: </a>\r\n\r\n", 5) + "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
		outcome{status: 200, header: "Transfer-Encoding: chunked\r\n", body: "hi", keepAlive: true}},

	{"cookie", false, "HTTP/1.1 200 OK\r\nSET-cookie: a=b\r\nContent-Length: 0\r\n\r\n",
		outcome{status: 200, header: "SET-cookie: a=b\r\nContent-Length: 0\r\n", keepAlive: true, cookie: true}},
	{"location", false, "HTTP/1.1 302 Found\r\nlocation:/a\r\nContent-Length: 0\r\n\r\n",
		outcome{status: 302, header: "location:/a\r\nContent-Length: 0\r\n", keepAlive: true, location: true}},
	{"encoded", false, "HTTP/1.1 200 OK\r\nContent-Encoding: identity ,, GZIP\r\nContent-Length: 2\r\n\r\nhi",
		outcome{status: 200, header: "Content-Encoding: identity ,, GZIP\r\nContent-Length: 2\r\n", body: "hi", keepAlive: true, encoded: true}},
	{"encoded by name alone", false, "HTTP/1.1 200 OK\r\nContent-Encoding: Identity\r\nContent-Encoding:\r\nContent-Length: 0\r\n\r\n",
		outcome{status: 200, header: "Content-Encoding: Identity\r\nContent-Encoding:\r\nContent-Length: 0\r\n", keepAlive: true}},
	{"all that is noted", false, "HTTP/1.1 200 OK\r\nLocation: /\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Encoding: br\r\nContent-Length: 0\r\n\r\n",
		outcome{status: 200, header: "Location: /\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Encoding: br\r\nContent-Length: 0\r\n", keepAlive: true, cookie: true, location: true, encoded: true}},
	{"names as long as what is noted", false, "HTTP/1.1 200 OK\r\nSet-Cookif: a\r\nLocatioo: /\r\nContent-Encodinh: gzip\r\nContent-Length: 0\r\n\r\n",
		outcome{status: 200, header: "Set-Cookif: a\r\nLocatioo: /\r\nContent-Encodinh: gzip\r\nContent-Length: 0\r\n", keepAlive: true}},
	{"what an informational response and a trailer have is not noted", false, "HTTP/1.1 103 Early Hints\r\nSet-Cookie: a\r\nLocation: /\r\nContent-Encoding: br\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nSet-Cookie: a\r\nLocation: /\r\n\r\n",
		outcome{status: 200, header: "Transfer-Encoding: chunked\r\n", keepAlive: true}},

	{"Connection: close", false, "HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n",
		outcome{status: 200, header: "Connection: Close\r\nContent-Length: 0\r\n"}},
	{"close in a list", false, "HTTP/1.1 200 OK\r\nConnection: foo ,, close\t, bar\r\nContent-Length: 0\r\n\r\n",
		outcome{status: 200, header: "Connection: foo ,, close\t, bar\r\nContent-Length: 0\r\n"}},
	{"close on the second line", false, "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
		outcome{status: 200, header: "Connection: keep-alive\r\nConnection: close\r\nContent-Length: 0\r\n"}},
	{"a word that begins like close", false, "HTTP/1.1 200 OK\r\nConnection: closed, x-close\r\nContent-Length: 0\r\n\r\n",
		outcome{status: 200, header: "Connection: closed, x-close\r\nContent-Length: 0\r\n", keepAlive: true}},
	{"1.0 closes", false, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
		outcome{status: 200, header: "Content-Length: 2\r\n", body: "hi"}},
	{"1.0 keep-alive", false, "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nhi",
		outcome{status: 200, header: "Connection: Keep-Alive\r\nContent-Length: 2\r\n", body: "hi", keepAlive: true}},
	{"1.0 keep-alive and close", false, "HTTP/1.0 200 OK\r\nConnection: keep-alive, close\r\nContent-Length: 2\r\n\r\nhi",
		outcome{status: 200, header: "Connection: keep-alive, close\r\nContent-Length: 2\r\n", body: "hi"}},
}

func TestGoodResponseIsReadWhole(t *testing.T) {
	for _, g := range good {
		t.Run(g.name, func(t *testing.T) {
			want := g.want
			want.done, want.started = true, true
			want.bodyBytes = int64(len(want.body))
			if want.used == 0 {
				want.used = len(g.in)
			}
			in := []byte(g.in)
			if got := parse(t, setup{head: g.head, keep: true}, in, whole(in)); got != want {
				t.Errorf("at once:\n got %+v\nwant %+v", got, want)
			}
			if got := parse(t, setup{head: g.head, keep: true}, in, single); got != want {
				t.Errorf("byte by byte:\n got %+v\nwant %+v", got, want)
			}
			want.body = ""
			if got := parse(t, setup{head: g.head}, in, single); got != want {
				t.Errorf("body only counted:\n got %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestHeadAtTheLimitIsReadAndOneByteMoreIsNot(t *testing.T) {
	const status, before, after = "HTTP/1.1 200 OK\r\n", "A: b\r\nX: ", "\r\nContent-Length: 0\r\n\r\n"
	for _, most := range []int{100, 1000, defaultHeader} {
		for over := range 2 {
			fields := before + strings.Repeat("a", most-len(status)-len(before)-len(after)+over) + after
			in := []byte(status + fields + "HTTP/1.1")
			for _, next := range []func() int{whole(in), single} {
				o := parse(t, setup{limits: &Limits{Header: most}}, in, next)
				if o.done != (over == 0) || errors.Is(o.err, ErrTooLarge) != (over == 1) {
					t.Errorf("limit %d, %d over: done %t, %v", most, over, o.done, o.err)
				}
				if o.done && o.header+"\r\n" != fields {
					t.Errorf("limit %d: header of %d bytes is not what was sent", most, len(o.header))
				}
			}
		}
	}
}

func TestTrailerAtTheLimitIsReadAndOneByteMoreIsNot(t *testing.T) {
	const most = 100
	for over := range 2 {
		in := []byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" +
			"X: " + strings.Repeat("a", most-len("X: \r\n\r\n")+over) + "\r\n\r\n")
		o := parse(t, setup{limits: &Limits{Header: most}}, in, whole(in))
		if o.done != (over == 0) || errors.Is(o.err, ErrHeaderTooLarge) != (over == 1) {
			t.Errorf("%d over: done %t, %v", over, o.done, o.err)
		}
	}
}

func TestChunkLineLimitHoldsForEachLineNotForAll(t *testing.T) {
	const chunks = maxChunkLine
	in := []byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1\r\na\r\n", chunks) + "0\r\n\r\n")
	if o := parse(t, setup{keep: true}, in, whole(in)); !o.done || o.body != strings.Repeat("a", chunks) {
		t.Errorf("done %t, %v, %d bytes", o.done, o.err, o.bodyBytes)
	}
}

func TestKeptBodyAtTheLimitIsReadAndOneByteMoreIsNot(t *testing.T) {
	for name, in := range map[string]string{
		"length":      "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789",
		"chunked":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n012345\r\n4\r\n6789\r\n0\r\n\r\n",
		"until close": "HTTP/1.1 200 OK\r\n\r\n0123456789",
	} {
		for _, next := range []func() int{whole([]byte(in)), single} {
			for limit, fits := range map[int64]bool{10: true, 9: false} {
				s := setup{limits: &Limits{Body: limit}, keep: true}
				o := parse(t, s, []byte(in), next)
				if o.done != fits || errors.Is(o.err, ErrBodyTooLarge) == fits {
					t.Errorf("%s of 10 bytes, limit %d: done %t, %v", name, limit, o.done, o.err)
				}
				s.keep = false
				if o := parse(t, s, []byte(in), next); !o.done || o.bodyBytes != 10 {
					t.Errorf("%s of 10 bytes, only counted, limit %d: %d bytes, %v", name, limit, o.bodyBytes, o.err)
				}
			}
		}
	}
}

func TestClaimedLengthReservesNothing(t *testing.T) {
	var p Parser
	p.Reset(false, true)
	if _, done, err := p.Feed([]byte("HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\nhello")); done || err != nil {
		t.Fatal(done, err)
	}
	if held := cap(p.spill.buf); held > smallest {
		t.Errorf("holds %d bytes for a body of which 5 came", held)
	}
	p.Release()
	if p.spill != nil {
		t.Error("the buffer was not given back")
	}
}

// largeBody is n bytes that differ from their neighbours, and a response of them.
func largeBody(n int) (body, in []byte) {
	body = make([]byte, n)
	for i := range body {
		body[i] = byte(i * 7 / 3)
	}
	return body, append(fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: %d\r\n\r\n", n), body...)
}

func TestLargeBodyTakesLittleMoreThanItsSize(t *testing.T) {
	for _, n := range []int{largest - 100, largest, largest + 1, 2 * largest, 2*largest + 1, 5_000_000, DefaultBody} {
		body, in := largeBody(n)
		for _, most := range []int{7001, 64 << 10, 3 << 20} {
			var p Parser
			p.Reset(false, true)
			fed := 0
			for piece := range slices.Chunk(in, most) {
				if _, _, err := p.Feed(piece); err != nil {
					t.Fatal(err)
				}
				if fed += len(piece); fed > largest && fed < len(in) && p.Held() >= fed+largest {
					t.Fatalf("holds %d bytes of %d", p.Held(), fed)
				}
			}
			header := p.Header()
			got := p.Body()
			if !bytes.Equal(got, body) || !bytes.Equal(p.Body(), body) {
				t.Errorf("%d bytes by %d: the body is not what was sent", n, most)
			}
			if string(header) != string(p.Header()) || !bytes.HasPrefix(header, []byte("X: y\r\n")) {
				t.Errorf("%d bytes by %d: the header is %q now", n, most, header)
			}
			if held := p.Held(); len(in) > most && held > largest+n+1<<20 {
				t.Errorf("%d bytes by %d: holds %d in the end", n, most, held)
			}
			if cap(got) != len(got) {
				t.Errorf("%d bytes by %d: a capacity of %d", n, most, cap(got))
			}
			if p.Release(); p.Held() != 0 || p.Body() != nil {
				t.Errorf("holds %d bytes after the release", p.Held())
			}
		}
	}
}

func TestHeadBeyondTheLargestBufferStaysInOnePiece(t *testing.T) {
	body, _ := largeBody(2 * largest)
	head := "X: " + strings.Repeat("x", largest+5000) + "\r\n"
	in := append(fmt.Appendf(nil, "HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n", head, len(body)), body...)
	o := parse(t, setup{keep: true, limits: &Limits{Header: 4 << 20}}, in, func() int { return 64 << 10 })
	if !o.done || !strings.HasPrefix(o.header, head) || o.body != string(body) {
		t.Errorf("done %t, %v, header of %d bytes, body of %d", o.done, o.err, len(o.header), len(o.body))
	}
}

func TestBodyInOneFeedIsBorrowedNotCopied(t *testing.T) {
	for name, in := range map[string][]byte{
		"length":    []byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
		"one chunk": []byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
	} {
		var p Parser
		p.Reset(false, true)
		if _, done, err := p.Feed(in); !done || err != nil {
			t.Fatal(done, err)
		}
		if at := bytes.Index(in, []byte("hello")); unsafe.SliceData(p.Body()) != &in[at] {
			t.Errorf("%s: the body was copied", name)
		}
		if at := bytes.IndexByte(in, '\n') + 1; unsafe.SliceData(p.Header()) != &in[at] {
			t.Errorf("%s: the header was copied", name)
		}
		if p.spill != nil {
			t.Errorf("%s: a buffer was borrowed", name)
		}
	}
}

func TestCountedBodyIsNeverBuffered(t *testing.T) {
	var p Parser
	p.Reset(false, false)
	p.Feed([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000000\r\n"))
	header := len(p.Header())
	piece := make([]byte, 64<<10)
	for range 256 {
		if _, _, err := p.Feed(piece); err != nil {
			t.Fatal(err)
		}
		if len(p.spill.buf) != header {
			t.Fatalf("buffers %d bytes, the header has %d", len(p.spill.buf), header)
		}
	}
	if _, done, err := p.Feed([]byte("\r\n0\r\n\r\n")); !done || err != nil || p.BodyBytes() != 1<<24 || p.Body() != nil {
		t.Errorf("done %t, %v, %d bytes, kept %d", done, err, p.BodyBytes(), len(p.Body()))
	}
}

func TestProtocolFaultIsNamedBeforeTheLineEnds(t *testing.T) {
	for in, want := range map[string]Error{"S": ErrStatusLine, "\x15": ErrTLS, "HTTP/2": ErrVersion, "HTTP/x": ErrStatusLine} {
		var p Parser
		if _, _, err := p.Feed([]byte(in)); err != want {
			t.Errorf("%q: %v; want %v", in, err, want)
		}
	}
}

func TestReleasedResponseHasNoBytes(t *testing.T) {
	for _, next := range []int{1, 1000} {
		var p Parser
		p.Reset(false, true)
		for piece := range slices.Chunk([]byte(good[0].in), next) {
			p.Feed(piece)
		}
		p.Release()
		if p.Header() != nil || p.Body() != nil {
			t.Errorf("fed by %d: header and body outlive their buffer", next)
		}
		if p.Status() != 200 || p.BodyBytes() != 5 || !p.KeepAlive() {
			t.Errorf("fed by %d: status %d, %d bytes, keep-alive %t", next, p.Status(), p.BodyBytes(), p.KeepAlive())
		}
		p.Release()
	}
}

func TestReleaseInMidResponseEndsIt(t *testing.T) {
	in := []byte(good[0].in)
	for cut := 1; cut < len(in); cut++ {
		var p Parser
		p.Reset(false, true)
		p.Feed(in[:cut])
		p.Release()
		if _, done, err := p.Feed(in[cut:]); done || err != ErrTruncated {
			t.Errorf("cut at %d: done %t, %v", cut, done, err)
		}
	}
}

func TestResetForgetsTheLastResponse(t *testing.T) {
	limits := &Limits{Body: 3}
	for _, g := range good {
		var p Parser
		p.SetLimits(limits)
		p.Reset(g.head, true)
		for _, c := range []byte(g.in) {
			p.Feed([]byte{c})
		}
		p.Reset(false, false)
		if p != (Parser{limits: limits}) {
			t.Errorf("%s: left behind: %+v", g.name, p)
		}
	}
}

func TestNoFeedIsNoByte(t *testing.T) {
	var p Parser
	if used, done, err := p.Feed(nil); used != 0 || done || err != nil || p.Started() {
		t.Errorf("used %d, done %t, %v, started %t", used, done, err, p.Started())
	}
	if done, err := p.EOF(); done || err != ErrEarlyClose {
		t.Errorf("done %t, %v", done, err)
	}
}

func TestCloseAfterTheResponseEndsTheConnectionOnly(t *testing.T) {
	var p Parser
	p.Feed([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
	if !p.KeepAlive() {
		t.Error("not kept alive")
	}
	if done, err := p.EOF(); !done || err != nil || p.KeepAlive() {
		t.Errorf("done %t, %v, keep-alive %t", done, err, p.KeepAlive())
	}
}

func TestParserIsOneCacheLine(t *testing.T) {
	if size := unsafe.Sizeof(Parser{}); size > 64 {
		t.Errorf("%d bytes", size)
	}
}

func TestWholeResponseCostsNoAllocation(t *testing.T) {
	inputs := [][]byte{smallJSON}
	for _, g := range good[:3] {
		inputs = append(inputs, []byte(g.in))
	}
	inputs = append(inputs,
		[]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
		[]byte("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), // errors are free, too
	)
	for _, in := range inputs {
		var p Parser
		if n := testing.AllocsPerRun(100, func() {
			p.Reset(false, true)
			p.Feed(in)
			p.EOF()
			Field(p.Header(), "Content-Length")
			p.Release()
		}); n != 0 {
			t.Errorf("%.40q: %v allocations", in, n)
		}
	}
}

func TestErrorsTellTheUserWhatIsWrong(t *testing.T) {
	texts := map[string]string{}
	for name, e := range errorNames {
		text := e.Error()
		if text == Error(0).Error() || text[0] < 'a' || text[0] > 'z' {
			t.Errorf("%s: %q", name, text)
		}
		if other := texts[text]; other != "" {
			t.Errorf("%s and %s read the same", name, other)
		}
		texts[text] = name
		if !errors.Is(e, e) {
			t.Errorf("%s is not itself", name)
		}
	}
	for _, c := range []struct{ close, wide Error }{
		{ErrTLS, ErrStatusLine}, {ErrVersion, ErrStatusLine}, {ErrFold, ErrHeader}, {ErrSpace, ErrHeader}, {ErrControl, ErrHeader},
		{ErrLengthConflict, ErrLength}, {ErrLengthChunked, ErrLength}, {ErrHeaderTooLarge, ErrTooLarge}, {ErrBodyTooLarge, ErrTooLarge},
		{ErrSwitching, ErrInformational},
	} {
		if !errors.Is(c.close, c.wide) || errors.Is(c.wide, c.close) || errors.Is(c.close, ErrChunk) {
			t.Errorf("%v and %v are not the closer and the wider", c.close, c.wide)
		}
	}
}

func TestRememberedHeadsDoNotHideAFlood(t *testing.T) {
	hint := "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
	for _, n := range []int{5, 6} {
		var p Parser
		p.SetLimits(&Limits{Heads: &Heads{}})
		_, done, err := p.Feed([]byte(strings.Repeat(hint, n) + "HTTP/1.1 204 No Content\r\n\r\n"))
		if done != (n == 5) || (err == ErrInformational) != (n == 6) {
			t.Errorf("%d hints before the answer: done %v, %v", n, done, err)
		}
	}
}
