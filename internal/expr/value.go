// Package expr is the language inside ${ ... }: compiled once when a spec is
// loaded, evaluated for every request, with every draw of chance keyed so that
// the same spec and seed give the same users the same choices.
//
// It knows nothing of YAML, HTTP or time: a caller brings the names (Names)
// to compile against and the Ctx to evaluate in.
package expr

import (
	"math"
	"strconv"
)

// Kind is the type of a Value.
type Kind uint8

// The kinds of a Value. Nil is the zero kind: an unset value.
const (
	Nil Kind = iota
	Bool
	Int
	Float
	String
	JSON // raw JSON text of an object or an array, kept as it was received
)

// Value is one dynamic value: the result of an expression, a constant, or what
// a user saved from a response. The zero Value is unset (nil). Values are
// copied, never shared by reference, and hold no pointer but their string.
type Value struct {
	str  string
	num  uint64 // bool, int64 or float64 bits
	kind Kind
}

// Str returns a string value.
func Str(s string) Value { return Value{str: s, kind: String} }

// Integer returns an integer value.
func Integer(i int64) Value { return Value{num: uint64(i), kind: Int} }

// Number returns a floating-point value. A non-finite one can be held, but is
// an error wherever it would be written.
func Number(f float64) Value { return Value{num: math.Float64bits(f), kind: Float} }

// Boolean returns a truth value.
func Boolean(b bool) Value {
	v := Value{kind: Bool}
	if b {
		v.num = 1
	}
	return v
}

// RawJSON returns a value that holds the JSON text of an object or an array.
// The text is written into bodies as it stands, so it must be valid JSON.
func RawJSON(s string) Value { return Value{str: s, kind: JSON} }

// Kind returns the value's type.
func (v Value) Kind() Kind { return v.kind }

// IsNil reports whether the value is unset.
func (v Value) IsNil() bool { return v.kind == Nil }

// Truthy reports what the value means as a condition: unset, false and the
// empty string are false, everything else, zero included, is true.
func (v Value) Truthy() bool {
	switch v.kind {
	case Nil:
		return false
	case Bool:
		return v.num != 0
	case String:
		return v.str != ""
	}
	return true
}

// Int returns the value as a whole number: an integer, or a float without a
// fraction that an int64 can hold.
func (v Value) Int() (int64, bool) {
	switch v.kind {
	case Int:
		return int64(v.num), true
	case Float:
		f := math.Float64frombits(v.num)
		if f != math.Trunc(f) || f < -1<<63 || f >= 1<<63 {
			return 0, false
		}
		return int64(f), true
	}
	return 0, false
}

// Float returns the value as a float: an integer, rounded if it must be, or a float.
func (v Value) Float() (float64, bool) {
	switch v.kind {
	case Int:
		return float64(int64(v.num)), true
	case Float:
		return math.Float64frombits(v.num), true
	}
	return 0, false
}

// Text returns the value as text, without any escaping: "" if it is unset, JSON as it stands.
func (v Value) Text() string {
	switch v.kind {
	case Nil:
		return ""
	case String, JSON:
		return v.str
	}
	return string(v.AppendText(make([]byte, 0, 24)))
}

// AppendText appends Text to dst.
func (v Value) AppendText(dst []byte) []byte {
	switch v.kind {
	case Bool:
		return strconv.AppendBool(dst, v.num != 0)
	case Int:
		return strconv.AppendInt(dst, int64(v.num), 10)
	case Float:
		return appendFloat(dst, math.Float64frombits(v.num))
	}
	return append(dst, v.str...)
}

// Equal reports whether two values are the same: numbers by value, whether
// integer or float, JSON by its content, everything else only within its kind.
func (v Value) Equal(w Value) bool {
	if v.kind == Int && w.kind == Float {
		v, w = w, v
	}
	switch {
	case v.kind == Float && w.kind == Int:
		i, ok := v.Int()
		return ok && i == int64(w.num)
	case v.kind != w.kind:
		return false
	case v.kind == Float:
		return math.Float64frombits(v.num) == math.Float64frombits(w.num)
	case v.kind == JSON:
		return v.str == w.str || equalJSON(v.str, w.str)
	}
	return v.num == w.num && v.str == w.str
}

// finite reports whether the value can be written: NaN and infinities cannot.
func (v Value) finite() bool {
	if v.kind != Float {
		return true
	}
	f := math.Float64frombits(v.num)
	return !math.IsNaN(f) && !math.IsInf(f, 0)
}

// appendFloat appends the shortest text that reads back as f, in the form that
// JSON and JavaScript use: exponents only below 1e-6 and from 1e21.
func appendFloat(dst []byte, f float64) []byte {
	abs := math.Abs(f)
	if abs == 0 || (abs >= 1e-6 && abs < 1e21) || math.IsNaN(f) {
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
	if n := len(dst); n >= 4 && dst[n-4] == 'e' && dst[n-3] == '-' && dst[n-2] == '0' {
		dst[n-2] = dst[n-1] // e-09 is written e-9
		dst = dst[:n-1]
	}
	return dst
}
