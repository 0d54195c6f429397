package report

import (
	"reflect"
	"strings"
	"unicode/utf8"
)

// editStrings replaces every string below a pointer by f of it, so that what is
// added to a document later is covered without being named here. Strings of
// named types are words of closed sets; words tells whether to edit them too.
func editStrings(at any, words bool, f func(string) string) { edit(reflect.ValueOf(at), words, f) }

var plain = reflect.TypeFor[string]()

func edit(v reflect.Value, words bool, f func(string) string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			edit(v.Elem(), words, f)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			edit(v.Field(i), words, f)
		}
	case reflect.Slice, reflect.Array:
		switch v.Type().Elem().Kind() {
		case reflect.String, reflect.Struct, reflect.Slice, reflect.Pointer:
			for i := range v.Len() {
				edit(v.Index(i), words, f)
			}
		}
	case reflect.String:
		if words || v.Type() == plain {
			v.SetString(f(v.String()))
		}
	}
}

// Clean makes text from elsewhere safe to print on a line: see clean.
func Clean(s string) string { return clean(s) }

// clean makes text from elsewhere safe to print: valid UTF-8 on one line,
// without C0 and C1 control characters (so no escape sequence reaches a
// terminal) and without the invisible ones that turn the direction of text.
func clean(s string) string {
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t', r == '\r', r == 0x2028, r == 0x2029:
			return ' '
		case r < 0x20, r >= 0x7f && r < 0xa0:
			return -1
		case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x200e, r == 0x200f, r == 0x061c, r == 0xfeff:
			return -1
		}
		return r
	}, s)
}
