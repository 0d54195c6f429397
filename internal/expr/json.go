package expr

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"unicode/utf8"
)

// plainJSON marks the bytes that stand for themselves inside a JSON string.
var plainJSON = func() (t [256]bool) {
	for c := 0x20; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// appendJSONChars appends s as the inside of a JSON string. Any bytes are
// fine: what is not UTF-8 becomes U+FFFD.
func appendJSONChars(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plainJSON[c] {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(dst, s[from:i]...)
				dst = append(dst, "\uFFFD"...)
				from = i + 1
			}
			i += n
			continue
		}
		dst = append(dst, s[from:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		from = i
	}
	return append(dst, s[from:]...)
}

// decodeJSON reads one JSON text into the types that expressions compute with:
// whole numbers are int, others float64.
func decodeJSON(s string) (any, error) {
	d := json.NewDecoder(bytes.NewReader([]byte(s)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, errNotJSON
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errNotJSON
	}
	return settle(v)
}

var errNotJSON = errors.New("the value is not valid JSON")

// settle replaces the numbers of decoded JSON, in place where it can.
func settle(v any) (any, error) {
	var err error
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return int(i), nil
		}
		f, err := v.Float64()
		if err != nil {
			return nil, errNotJSON
		}
		return f, nil
	case []any:
		for i := range v {
			if v[i], err = settle(v[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for k := range v {
			if v[k], err = settle(v[k]); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

// encodeJSON writes a list or a mapping that an expression made.
func encodeJSON(v any) (Value, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return Value{}, errNotFinite // the only thing in such a value that JSON cannot say
	}
	return RawJSON(string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))), nil
}

// equalJSON compares two JSON texts by content.
func equalJSON(a, b string) bool {
	x, err := decodeJSON(a)
	if err != nil {
		return false
	}
	y, err := decodeJSON(b)
	return err == nil && equalAny(x, y)
}

func equalAny(x, y any) bool {
	switch x := x.(type) {
	case []any:
		y, ok := y.([]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for i := range x {
			if !equalAny(x[i], y[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		y, ok := y.(map[string]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for k := range x {
			w, ok := y[k]
			if !ok || !equalAny(x[k], w) {
				return false
			}
		}
		return true
	case int:
		if f, ok := y.(float64); ok {
			return Integer(int64(x)).Equal(Number(f))
		}
	case float64:
		if i, ok := y.(int); ok {
			return Integer(int64(i)).Equal(Number(x))
		}
	}
	return reflect.DeepEqual(x, y)
}
