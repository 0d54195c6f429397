package report

import (
	"bufio"
	"encoding"
	"encoding/base64"
	"encoding/json"
	"io"
	"reflect"
)

// stream writes v as encode without indent does, piece by piece: the text of a
// long run has megabytes, and the package json would hold it whole, twice.
// Structs, slices of structs and bytes are taken apart; all else is json's.
func stream(w io.Writer, v any) error {
	b := bufio.NewWriterSize(w, 32<<10)
	s := streamer{out: b, leaf: json.NewEncoder(chomp{b})}
	s.leaf.SetEscapeHTML(false)
	s.value(reflect.ValueOf(v))
	if s.err == nil {
		s.err = b.WriteByte('\n')
	}
	if s.err != nil {
		return s.err
	}
	return b.Flush()
}

type streamer struct {
	out  *bufio.Writer
	leaf *json.Encoder
	err  error // the first
}

var (
	marshaler     = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)

func (s *streamer) value(v reflect.Value) {
	t := v.Type()
	whole := t.Implements(marshaler) || t.Implements(textMarshaler)
	switch {
	case !whole && t.Kind() == reflect.Pointer && !v.IsNil():
		s.value(v.Elem())
	case !whole && t.Kind() == reflect.Struct && tagged(t):
		s.text("{")
		for i := range t.NumField() {
			if i > 0 {
				s.text(",")
			}
			s.text(`"` + t.Field(i).Tag.Get("json") + `":`)
			s.value(v.Field(i))
		}
		s.text("}")
	case !whole && t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct && !v.IsNil():
		s.text("[")
		for i := range v.Len() {
			if i > 0 {
				s.text(",")
			}
			s.value(v.Index(i))
		}
		s.text("]")
	case !whole && t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 && !v.IsNil():
		s.text(`"`)
		e := base64.NewEncoder(base64.StdEncoding, s.out)
		if _, err := e.Write(v.Bytes()); err != nil {
			s.fail(err)
		}
		s.fail(e.Close())
		s.text(`"`)
	default:
		s.fail(s.leaf.Encode(v.Interface()))
	}
}

// tagged tells whether the JSON of a struct is its fields in order, each under
// the name that its tag gives.
func tagged(t reflect.Type) bool {
	for i := range t.NumField() {
		name := t.Field(i).Tag.Get("json")
		if t.Field(i).Anonymous || name == "" || name == "-" {
			return false
		}
		for _, c := range name {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' { // such as ,omitempty
				return false
			}
		}
	}
	return true
}

func (s *streamer) text(text string) {
	_, err := s.out.WriteString(text)
	s.fail(err)
}

func (s *streamer) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

// chomp leaves out the line break that an Encoder puts behind each value.
type chomp struct{ to *bufio.Writer }

func (c chomp) Write(b []byte) (int, error) {
	n := len(b)
	if n > 0 && b[n-1] == '\n' {
		b = b[:n-1]
	}
	_, err := c.to.Write(b)
	return n, err
}
