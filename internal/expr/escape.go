package expr

import "strings"

// escape is how a value is made fit for the place it stands in.
type escape uint8

const (
	escapeNone       escape = iota
	escapeTarget            // percent-encoded
	escapeHeader            // CR, LF and NUL refused
	escapeJSONChars         // inside the quotes of a JSON string
	escapeJSONScalar        // a JSON scalar of its own, quoted if it is a string
)

// unreserved marks the bytes that mean themselves anywhere in a URL (RFC 3986,
// section 2.3). Everything else in a value is percent-encoded, a space as %20:
// that one form is right both in a path segment and in a query, so a value can
// neither leave its segment nor add a parameter.
var unreserved = func() (t [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~") {
		t[c] = true
	}
	return t
}()

func appendPercent(dst []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	for i := 0; i < len(s); i++ {
		if c := s[i]; unreserved[c] {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		}
	}
	return dst
}

// appendTo appends the text s of a value; false means that it is refused.
func (e escape) appendTo(dst []byte, s string) ([]byte, bool) {
	switch e {
	case escapeTarget:
		return appendPercent(dst, s), true
	case escapeHeader:
		return append(dst, s...), strings.IndexByte(s, '\r') < 0 && strings.IndexByte(s, '\n') < 0 && strings.IndexByte(s, 0) < 0
	case escapeJSONChars:
		return appendJSONChars(dst, s), true
	case escapeJSONScalar:
		dst = append(dst, '"')
		dst = appendJSONChars(dst, s)
		return append(dst, '"'), true
	}
	return append(dst, s...), true
}

// tail escapes dst[from:], which was appended as plain text; false means that
// it is refused. Text that needs no escaping, the common case, is left alone.
func (e escape) tail(dst []byte, from int) ([]byte, bool) {
	var fit *[256]bool
	switch e {
	case escapeTarget:
		fit = &unreserved
	case escapeJSONChars:
		fit = &plainJSON
	case escapeHeader:
		for _, c := range dst[from:] {
			if c == '\r' || c == '\n' || c == 0 {
				return dst, false
			}
		}
		return dst, true
	default:
		return dst, true
	}
	for _, c := range dst[from:] {
		if !fit[c] {
			return e.appendTo(dst[:from], string(dst[from:]))
		}
	}
	return dst, true
}
