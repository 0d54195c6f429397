package demo

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
)

// A Canned is a response made by hand, and the name of the error with which a
// parser is to refuse it.
type Canned struct {
	Name, Error string
	Response    []byte
}

// ReadCanned reads a corpus of responses. A line is a name, an error and the
// bytes as Go strings, each of which may be repeated with *N; empty lines and
// those that begin with # mean nothing.
func ReadCanned(r io.Reader) ([]Canned, error) {
	var all []Canned
	in := bufio.NewScanner(r)
	for n := 1; in.Scan(); n++ {
		line := strings.TrimSpace(in.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		c, err := readCanned(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		all = append(all, c)
	}
	return all, in.Err()
}

func readCanned(line string) (c Canned, err error) {
	quote := strings.IndexByte(line, '"')
	words := strings.Fields(line[:max(quote, 0)])
	if len(words) != 2 {
		return c, fmt.Errorf("%.60q is not: name, error, strings", line)
	}
	c.Name, c.Error = words[0], words[1]
	for rest := line[quote:]; rest != ""; rest = strings.TrimLeft(rest, " \t") {
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil {
			return c, fmt.Errorf("%s: %.60q is not a Go string", c.Name, rest)
		}
		text, err := strconv.Unquote(quoted)
		if err != nil {
			return c, fmt.Errorf("%s: %w", c.Name, err)
		}
		rest = rest[len(quoted):]
		times := 1
		if after, ok := strings.CutPrefix(rest, "*"); ok {
			end := strings.IndexAny(after+" ", " \t")
			if times, err = strconv.Atoi(after[:end]); err != nil || times < 0 {
				return c, fmt.Errorf("%s: %q is not a number of times", c.Name, after[:end])
			}
			rest = after[end:]
		}
		c.Response = append(c.Response, strings.Repeat(text, times)...)
	}
	return c, nil
}

// GoodResponses are valid answers, framed in each way that HTTP/1.1 has.
var GoodResponses = []string{
	"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 22\r\n\r\n{\"id\": 17, \"ok\": true}",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"id\"\r\n11;name=value\r\n: 17, \"ok\": true}\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\nA\r\n0123456789\r\n00\r\nX-Sum: 45\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the connection is closed",
	"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
	"HTTP/1.1 204 No Content\r\nETag: \"abc\"\r\n\r\n",
	"HTTP/1.1 304 Not Modified\r\nContent-Length: 22\r\n\r\n",
	"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 201 Created\r\nLocation: /7\r\nContent-Length: 2\r\n\r\n{}",
	"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbusy",
	"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nSet-Cookie: c=d\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n",
}

// Mutant returns the n-th damaged response of a seed: one of GoodResponses
// after one to four small damages. The same arguments give the same bytes.
func Mutant(seed, n uint64) []byte {
	chance := rand.New(rand.NewPCG(seed, n))
	b := []byte(GoodResponses[chance.IntN(len(GoodResponses))])
	for range 1 + chance.IntN(4) {
		b = damage(b, chance)
	}
	return b
}

// nasty are pieces that mean something to a parser.
var nasty = []string{
	"\r\n", "\n", "\r", "\r\n\r\n", " ", "\t", ":", "\x00", "\x7f", "\xff", "0", "9", "-", "+", ",", ";", "f",
	"Content-Length: 5\r\n", "Content-Length: 0\r\n", "Transfer-Encoding: chunked\r\n", "Connection: close\r\n",
	"HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\n", "0\r\n\r\n", "9223372036854775807", "ffffffffffffffff",
}

// damage does one thing to a response.
func damage(b []byte, chance *rand.Rand) []byte {
	if len(b) == 0 {
		return []byte(nasty[chance.IntN(len(nasty))])
	}
	at := chance.IntN(len(b))
	end := min(len(b), at+1+chance.IntN(16))
	switch chance.IntN(6) {
	case 0: // a bit flips
		b[at] ^= 1 << chance.IntN(8)
		return b
	case 1: // something comes in between
		return splice(b, at, at, []byte(nasty[chance.IntN(len(nasty))]))
	case 2: // a piece is missing
		return splice(b, at, end, nil)
	case 3: // a piece comes twice
		return splice(b, at, at, bytes.Clone(b[at:end]))
	case 4: // the end is missing
		return b[:at]
	}
	// a number, which is probably a length, changes
	digits := func(r rune) bool { return '0' <= r && r <= '9' }
	first := bytes.IndexFunc(b[at:], digits)
	if first < 0 {
		return append(b, byte('0'+chance.IntN(10)))
	}
	return splice(b, at+first, at+first+1, []byte(strconv.Itoa(chance.IntN(200))))
}

// splice puts a piece in the place of b[from:to].
func splice(b []byte, from, to int, piece []byte) []byte {
	return append(append(bytes.Clone(b[:from]), piece...), b[to:]...)
}
