package httpwire

import (
	"encoding/binary"
	"strconv"
)

// The Append functions copy what they are given. A value that comes from
// outside (a slot, a saved value) is checked first with the Valid functions:
// a CR LF in it would be a second request.

// AppendRequestLine appends "METHOD target HTTP/1.1\r\n".
func AppendRequestLine[T ~string | ~[]byte](dst []byte, method string, target T) []byte {
	dst = append(dst, method...)
	dst = append(dst, ' ')
	dst = append(dst, target...)
	return append(dst, " HTTP/1.1\r\n"...)
}

// AppendField appends "name: value\r\n".
func AppendField(dst []byte, name string, value []byte) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// AppendLength appends "Content-Length: n\r\n"; n is a body's length in bytes.
func AppendLength(dst []byte, n int) []byte {
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, int64(n), 10)
	return append(dst, "\r\n"...)
}

// ValidMethod reports whether s is a method: a token (RFC 9110, section 9.1).
// Methods are case-sensitive, so "get" is valid and is not GET.
func ValidMethod(s string) bool { return validToken(s) }

// ValidFieldName reports whether s is a field name: a token.
func ValidFieldName(s string) bool { return validToken(s) }

func validToken(s string) bool {
	for i := range len(s) {
		if token[s[i]] == 0 {
			return false
		}
	}
	return s != ""
}

// ValidFieldValue reports whether b can stand as a field value: any bytes but
// control characters (tab is allowed). Empty is valid.
func ValidFieldValue(b []byte) bool { return textEnd(b, 0) == len(b) }

// ValidTarget reports whether b can stand in a request line as the target: the
// path with its query ("/…"), or "*". It checks what could break the line or
// lose a part of it (white space, controls, bytes outside ASCII, '#'), not the
// grammar of URLs: a load test may send an odd path on purpose.
func ValidTarget(b []byte) bool {
	if len(b) == 0 || b[0] != '/' {
		return string(b) == "*"
	}
	for ; len(b) >= 8; b = b[8:] {
		w := binary.LittleEndian.Uint64(b)
		if below(w, 0x21)|equal(w, 0x7f)|equal(w, '#')|w&tops != 0 {
			return false
		}
	}
	for _, c := range b {
		if c <= 0x20 || c >= 0x7f || c == '#' {
			return false
		}
	}
	return true
}
