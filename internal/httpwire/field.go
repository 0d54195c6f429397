package httpwire

import (
	"bytes"
	"iter"
	"strings"
)

// Field returns the value of the first field of that name in raw field lines
// (as [Parser.Header] gives them). The name's case does not matter; white space
// around the value is removed; the value is a sub-slice of header.
func Field(header []byte, name string) (value []byte, ok bool) {
	for len(header) > 0 {
		line := header
		if end := bytes.IndexByte(header, '\n'); end >= 0 {
			line, header = header[:end], header[end+1:]
		} else {
			header = nil
		}
		if len(line) > len(name) && line[len(name)] == ':' && equalNames(line[:len(name)], name) {
			return fieldValue(line[len(name)+1:]), true
		}
	}
	return nil, false
}

// Fields calls yield with each field of raw field lines, in order, until it
// returns false. Name and value are sub-slices of header; the name is as sent.
func Fields(header []byte, yield func(name, value []byte) bool) {
	for len(header) > 0 {
		line := header
		if end := bytes.IndexByte(header, '\n'); end >= 0 {
			line, header = header[:end], header[end+1:]
		} else {
			header = nil
		}
		if colon := bytes.IndexByte(line, ':'); colon > 0 && !yield(line[:colon], fieldValue(line[colon+1:])) {
			return
		}
	}
}

// FieldsOf is [Fields] of a string.
func FieldsOf(header string) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for header != "" {
			line := header
			if end := strings.IndexByte(header, '\n'); end >= 0 {
				line, header = header[:end], header[end+1:]
			} else {
				header = ""
			}
			if colon := strings.IndexByte(line, ':'); colon > 0 && !yield(line[:colon], strings.Trim(strings.TrimSuffix(line[colon+1:], "\r"), " \t")) {
				return
			}
		}
	}
}

func fieldValue(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\r' {
		b = b[:n-1]
	}
	return trim(b)
}

// equalNames compares two names of the same length without regard to case.
func equalNames(b []byte, name string) bool {
	for i, c := range b {
		if low := token[c]; low == 0 || low != token[name[i]] {
			return false
		}
	}
	return len(b) > 0
}

// items yields the members of a list (RFC 9110, section 5.6.1), without white
// space around them and without the empty ones.
func items(value []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(value) > 0 {
			item := value
			if comma := bytes.IndexByte(value, ','); comma >= 0 {
				item, value = value[:comma], value[comma+1:]
			} else {
				value = nil
			}
			if item = trim(item); len(item) > 0 && !yield(item) {
				return
			}
		}
	}
}
