package seed

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"tollgate/internal/expr"
)

// form is how a value is written for the type of its column.
type form uint8

const (
	asText form = iota // as its text; the server knows the rest
	asWhole
	asNumber
	asBool
	asJSON
	asArray
	asBytes
	asEnum
	asString // text whose length is bounded
	asUUID
)

// formOf returns how values of a column are written.
func formOf(c *column) form {
	switch c.Category {
	case "A":
		return asArray
	case "E":
		return asEnum
	}
	switch c.Base {
	case "int2", "int4", "int8":
		return asWhole
	case "float4", "float8", "numeric":
		return asNumber
	case "bool":
		return asBool
	case "json", "jsonb":
		return asJSON
	case "bytea":
		return asBytes
	case "uuid":
		return asUUID
	case "varchar", "bpchar":
		return asString
	}
	return asText
}

// wrongType is a value that its column cannot hold.
type wrongType struct{ msg, hint string }

func (w *wrongType) Error() string { return w.msg }

func wrongf(hint, format string, args ...any) error {
	return &wrongType{fmt.Sprintf(format, args...), hint}
}

// append appends the text of the field in the row of c.
func (f *field) append(dst []byte, c *expr.Ctx) (text []byte, null bool, err error) {
	if f.json {
		text, err = f.value.Append(dst, c)
		if err == nil && f.form == asArray {
			text, err = arrayOfJSON(dst, text[len(dst):], f.column)
		}
		return text, false, err
	}
	switch f.form {
	case asText, asString, asUUID, asEnum:
		// What is written out is what the value is, so no value is made.
		text, err = f.value.Append(dst, c)
		switch {
		case err == nil:
			return text, false, f.holds(text[len(dst):])
		case !errors.Is(err, expr.ErrUnset):
			return dst, false, err
		}
	}
	v, err := f.value.Value(c)
	if err != nil {
		return dst, false, err
	}
	if v.IsNil() {
		return dst, true, nil
	}
	text, err = f.appendValue(dst, v)
	return text, false, err
}

// holds refuses what the column cannot hold as a text, as far as that can be
// told here.
func (f *field) holds(text []byte) error {
	c := f.column
	switch {
	case bytes.IndexByte(text, 0) >= 0:
		return wrongf("", "PostgreSQL holds no NUL character in a text")
	case c.Length > 0 && len(text) > c.Length && utf8.RuneCount(text) > c.Length:
		return wrongf("", "%s is longer than the %d characters of %s", shorten(text), c.Length, c.Shown)
	case f.form == asEnum && !slices.Contains(c.Labels, string(text)):
		return wrongf(didYouMeanOr(string(text), c.Labels), "%s is no value of %s", shorten(text), c.Shown)
	case f.form == asUUID && !isUUID(text):
		return wrongf("write ${uuid()}, or 32 hex digits", "%s is no uuid", shorten(text))
	}
	return nil
}

func didYouMeanOr(name string, known []string) string {
	if hint := didYouMean(name, known); hint != "" {
		return hint
	}
	return "it is one of " + strings.Join(known[:min(len(known), 20)], ", ")
}

// isUUID reports whether the server takes text for a uuid.
func isUUID(text []byte) bool {
	if n := len(text); n > 1 && text[0] == '{' && text[n-1] == '}' {
		text = text[1 : n-1]
	}
	digits := 0
	for i, c := range text {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f', c >= 'A' && c <= 'F':
			digits++
		case c == '-' && digits > 0 && digits%4 == 0 && i < len(text)-1 && text[i-1] != '-':
		default:
			return false
		}
	}
	return digits == 32
}

// appendValue appends a value that is not nil.
func (f *field) appendValue(dst []byte, v expr.Value) ([]byte, error) {
	c := f.column
	from := len(dst)
	switch f.form {
	case asWhole:
		i, ok := v.Int()
		if !ok && v.Kind() == expr.String {
			n, err := strconv.ParseInt(strings.TrimSpace(v.Text()), 10, 64)
			i, ok = n, err == nil
		}
		bits := map[string]uint{"int2": 16, "int4": 32, "int8": 64}[c.Base]
		switch {
		case !ok:
			return dst, wrongf("", "%s is no whole number, which %s holds", shorten(v.Text()), c.Shown)
		case i>>(bits-1) != 0 && i>>(bits-1) != -1:
			return dst, wrongf("", "%d is too large for %s", i, c.Shown)
		}
		return strconv.AppendInt(dst, i, 10), nil
	case asNumber:
		if _, ok := v.Float(); !ok && v.Kind() != expr.String {
			return dst, wrongf("", "%s is no number, which %s holds", shorten(v.Text()), c.Shown)
		}
		text := v.Text()
		if _, err := strconv.ParseFloat(strings.TrimSpace(text), 64); err != nil && !errors.Is(err, strconv.ErrRange) {
			return dst, wrongf("", "%s is no number, which %s holds", shorten(text), c.Shown)
		}
		return append(dst, text...), nil
	case asBool:
		switch v.Kind() {
		case expr.Bool:
			return v.AppendText(dst), nil
		case expr.String:
			switch strings.ToLower(v.Text()) {
			case "t", "true", "y", "yes", "on", "1", "f", "false", "n", "no", "off", "0":
				return append(dst, v.Text()...), nil
			}
		}
		return dst, wrongf("write true or false", "%s is neither true nor false, which %s holds", shorten(v.Text()), c.Shown)
	case asJSON:
		return appendJSON(dst, v), nil
	case asArray:
		if v.Kind() == expr.JSON {
			return arrayOfJSON(dst, []byte(v.Text()), c)
		}
		if text := v.Text(); strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") {
			return append(dst, text...), nil
		}
		return dst, wrongf("write a list: ["+shorten(v.Text())+"]", "%s is no list, which %s holds", shorten(v.Text()), c.Shown)
	case asBytes:
		text := v.Text()
		if _, err := hex.DecodeString(strings.TrimPrefix(text, `\x`)); err == nil && strings.HasPrefix(text, `\x`) {
			return append(dst, text...), nil
		}
		return hex.AppendEncode(append(dst, `\x`...), []byte(text)), nil
	}
	dst = v.AppendText(dst)
	return dst, f.holds(dst[from:])
}

// appendJSON appends a value as a document: JSON as it stands, and so a string
// that is an object or an array already; other strings become JSON strings.
func appendJSON(dst []byte, v expr.Value) []byte {
	text := v.Text()
	if v.Kind() == expr.String {
		if trimmed := strings.TrimSpace(text); strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "[") {
			if json.Valid([]byte(text)) {
				return append(dst, text...)
			}
		}
		quoted, err := json.Marshal(text)
		if err != nil {
			return append(dst, "null"...) // strings are always marshalled
		}
		return append(dst, quoted...)
	}
	return append(dst, text...)
}

// arrayOfJSON appends a list in JSON as an array of a column's type. dst and
// text may share memory.
func arrayOfJSON(dst, text []byte, c *column) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var list any
	if err := d.Decode(&list); err != nil {
		return dst, wrongf("", "%s is no list, which %s holds", shorten(text), c.Shown)
	}
	items, ok := list.([]any)
	if !ok {
		return dst, wrongf("", "%s is no list, which %s holds", shorten(text), c.Shown)
	}
	return appendList(dst, items, c)
}

func appendList(dst []byte, items []any, c *column) ([]byte, error) {
	dst = append(dst, '{')
	for i, item := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		switch item := item.(type) {
		case nil:
			dst = append(dst, "NULL"...)
		case string:
			if len(c.Labels) > 0 && !slices.Contains(c.Labels, item) {
				err = wrongf(didYouMeanOr(item, c.Labels), "%s is no value of %s", shorten(item), c.Shown)
			}
			if c.Base == "json" || c.Base == "jsonb" {
				quoted, _ := json.Marshal(item) // strings are always marshalled
				item = string(quoted)
			}
			dst = appendElement(dst, item)
		case []any:
			if c.Base == "json" || c.Base == "jsonb" {
				whole, _ := json.Marshal(item) // came out of JSON
				dst = appendElement(dst, whole)
				break
			}
			dst, err = appendList(dst, item, c)
		case map[string]any:
			whole, _ := json.Marshal(item) // came out of JSON
			dst = appendElement(dst, whole)
		default:
			dst = fmt.Append(dst, item)
		}
		if err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

// appendCopy appends a value in the text format of COPY.
func appendCopy(dst, raw []byte) []byte {
	for _, c := range raw {
		switch c {
		case '\\':
			dst = append(dst, `\\`...)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// shorten quotes a value for a message.
func shorten[T string | []byte](text T) string {
	const most = 60
	s := string(text[:min(len(text), most)])
	if len(text) > most {
		return strconv.Quote(strings.ToValidUTF8(s, "")) + "…"
	}
	return strconv.Quote(s)
}
