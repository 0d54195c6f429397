//go:build linux

package main

import (
	"bytes"
	"errors"
)

// A request is one HTTP/1.1 request at the front of some bytes. Its fields
// borrow from them.
type request struct {
	method []byte
	path   []byte // with its query
	close  bool   // the client wants no other on this connection
	size   int    // bytes that it takes, its body included
}

var errMalformed = errors.New("not a request that this target reads")

// largest bounds one request, its body included.
const largest = 1 << 20

var headEnd = []byte("\r\n\r\n")

// parse reads the request at the front of b. A size of 0 asks for more bytes.
func parse(b []byte) (request, error) {
	end := bytes.Index(b, headEnd)
	if end < 0 {
		if len(b) > largest {
			return request{}, errMalformed
		}
		return request{}, nil
	}
	line, rest := cutLine(b[:end])
	method, target, ok := bytes.Cut(line, []byte(" "))
	path, version, ok2 := bytes.Cut(target, []byte(" "))
	if !ok || !ok2 || len(method) == 0 || len(path) == 0 || !bytes.HasPrefix(version, []byte("HTTP/1.")) {
		return request{}, errMalformed
	}
	r := request{method: method, path: path, close: version[len(version)-1] == '0'}
	body := 0
	for len(rest) > 0 {
		line, rest = cutLine(rest)
		switch line[0] | 0x20 { // letters in lower case
		case 'c':
			if v, ok := field(line, "content-length:"); ok {
				if body, ok = number(v); !ok {
					return request{}, errMalformed
				}
			} else if v, ok := field(line, "connection:"); ok {
				r.close = bytes.EqualFold(v, []byte("close")) || r.close && !bytes.EqualFold(v, []byte("keep-alive"))
			}
		case 't':
			if _, ok := field(line, "transfer-encoding:"); ok {
				return request{}, errMalformed
			}
		}
	}
	size := end + len(headEnd) + body
	if size > largest {
		return request{}, errMalformed
	}
	if size <= len(b) {
		r.size = size
	}
	return r, nil
}

// cutLine returns the first line of a head without its end, and the rest. A
// line has at least one byte.
func cutLine(head []byte) (line, rest []byte) {
	if i := bytes.IndexByte(head, '\r'); i > 0 && i+1 < len(head) && head[i+1] == '\n' {
		return head[:i], head[i+2:]
	}
	return head, nil
}

// field returns the value of a header line if it has this name, which is in
// lower case and ends with its colon.
func field(line []byte, name string) ([]byte, bool) {
	if len(line) < len(name) || !bytes.EqualFold(line[:len(name)], []byte(name)) {
		return nil, false
	}
	return bytes.TrimSpace(line[len(name):]), true
}

func number(b []byte) (int, bool) {
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' || n > largest {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, len(b) > 0
}

// route is the method and the first part of the path: "GET /items".
func (r request) route(into []byte) []byte {
	into = append(append(into[:0], r.method...), ' ')
	path := r.path
	if i := bytes.IndexByte(path[1:], '/'); i >= 0 {
		path = path[:i+1]
	}
	if i := bytes.IndexByte(path, '?'); i >= 0 {
		path = path[:i]
	}
	return append(into, path...)
}
