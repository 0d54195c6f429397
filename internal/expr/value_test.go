package expr

import (
	"encoding/json"
	"math"
	"strconv"
	"testing"
	"unicode/utf8"
	"unsafe"

	"pgregory.net/rapid"
)

func TestValueFitsHalfACacheLine(t *testing.T) {
	if n := unsafe.Sizeof(Value{}); n > 32 {
		t.Errorf("a Value has %d bytes, want at most 32", n)
	}
}

func TestNumbersAreEqualByValueAndKindsOtherwise(t *testing.T) {
	tests := []struct {
		a, b Value
		want bool
	}{
		{Integer(1), Number(1), true},
		{Integer(1), Number(1.5), false},
		{Integer(1<<53 + 1), Number(1 << 53), false}, // equal only after rounding
		{Integer(math.MaxInt64), Number(math.MaxInt64), false},
		{Integer(1), Str("1"), false},
		{Integer(1), Boolean(true), false},
		{Boolean(true), Boolean(true), true},
		{Boolean(true), Boolean(false), false},
		{Number(0), Number(math.Copysign(0, -1)), true},
		{Number(math.NaN()), Number(math.NaN()), false},
		{Value{}, Value{}, true},
		{Value{}, Str(""), false},
		{Value{}, Integer(0), false},
		{Str("a"), Str("a"), true},
		{Str(`{}`), RawJSON(`{}`), false},
		{RawJSON(`{"a":1,"b":[2]}`), RawJSON(`{ "b": [2.0], "a": 1 }`), true},
		{RawJSON(`{"a":1}`), RawJSON(`{"a":2}`), false},
		{RawJSON(`{"a":1}`), RawJSON(`{"b":1}`), false},
		{RawJSON(`[1]`), RawJSON(`[1,2]`), false},
		{RawJSON(`[1`), RawJSON(`[1,`), false},
	}
	for _, tt := range tests {
		if got := tt.a.Equal(tt.b); got != tt.want {
			t.Errorf("%v %q == %v %q is %v", tt.a.kind, tt.a.Text(), tt.b.kind, tt.b.Text(), got)
		}
		if got := tt.b.Equal(tt.a); got != tt.want {
			t.Errorf("%v %q == %v %q is %v", tt.b.kind, tt.b.Text(), tt.a.kind, tt.a.Text(), got)
		}
	}
}

func TestOnlyUnsetFalseAndEmptyTextAreFalse(t *testing.T) {
	for _, v := range []Value{{}, Boolean(false), Str("")} {
		if v.Truthy() {
			t.Errorf("%v %q is true", v.kind, v.Text())
		}
	}
	for _, v := range []Value{Boolean(true), Str("0"), Integer(0), Number(0), RawJSON("[]")} {
		if !v.Truthy() {
			t.Errorf("%v %q is false", v.kind, v.Text())
		}
	}
}

func TestNumbersAreWrittenAsJSONDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.Float64().Filter(func(f float64) bool { return !math.IsInf(f, 0) && !math.IsNaN(f) }).Draw(t, "f") // JSON has no others
		want, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		got := Number(f).Text()
		if got != string(want) {
			t.Fatalf("%s, want %s", got, want)
		}
		if back, err := strconv.ParseFloat(got, 64); err != nil || back != f {
			t.Fatalf("%s reads back as %v", got, back)
		}
	})
}

func TestIntIsExactOrNotAtAll(t *testing.T) {
	for f, want := range map[float64]bool{2: true, 2.5: false, -1 << 63: true, 1 << 63: false, math.Inf(1): false, math.NaN(): false} {
		if _, ok := Number(f).Int(); ok != want {
			t.Errorf("Number(%v).Int is %v", f, ok)
		}
	}
	if _, ok := Str("1").Int(); ok {
		t.Error("a string is a whole number")
	}
}

func TestAnyBytesBecomeAValidJSONString(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
		b := append(appendJSONChars([]byte{'"'}, s), '"')
		if !utf8.Valid(b) {
			t.Fatalf("%q is not UTF-8", b)
		}
		var got, want string
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		for _, r := range s {
			want += string(r) // ranging turns each bad byte into U+FFFD
		}
		if got != want {
			t.Fatalf("%q reads back as %q", s, got)
		}
	})
}
