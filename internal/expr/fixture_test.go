package expr

import (
	"errors"
	"testing"
)

// names is a small spec: what most tests compile against.
func names() *Names {
	return &Names{
		Consts: map[string]Value{
			"domain": Str("test.eriop.local"),
			"limit":  Integer(7),
			"ratio":  Number(0.5),
			"on":     Boolean(true),
			"none":   {},
			"box":    RawJSON(`{"a":[1,2.5,"x"],"b":null}`),
			"lines":  Str("a\r\nb"),
		},
		Sets: map[string]*Set{
			"category": NewSet([]Value{Str("fire"), Str("medical"), Str("police")}, nil),
			"severity": NewSet([]Value{Str("low"), Str("high")}, []int{1, 3}),
			"mixed":    NewSet([]Value{Str("x"), Integer(2), {}}, nil),
			"empty":    NewSet(nil, nil),
		},
		Slots: map[string]int{"token": 0, "alert": 1, "n": 2, "body": 3},
		Env: func(name string) (Value, error) {
			switch name {
			case "HOST":
				return Str("demo"), nil
			case "UNSET":
				return Value{}, nil
			}
			return Value{}, &Error{Msg: "env." + name + " is not listed under env", Hint: "add it"}
		},
		Secret: func(name string) (Value, error) {
			if name == "KEY" {
				return Str("s3cret"), nil
			}
			return Value{}, nil
		},
	}
}

// someone is a user in mid-run.
func someone() *Ctx {
	return &Ctx{
		Key:       NewKey(1, 2, 3, 4),
		Slots:     []Value{Str("tok/1"), {}, Integer(5), RawJSON(`{"id":"a b","list":[10,20]}`)},
		User:      42,
		Persona:   "dispatcher",
		Iteration: 9,
		Run:       "r-1",
		RunKey:    77,
		Now:       1767323045000006789, // 2026-01-02 03:04:05.000006789
	}
}

func text(t testing.TB, src string, m Mode) *Text {
	t.Helper()
	x, err := NewCompiler(names()).Text(src, m)
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return x
}

func write(t testing.TB, src string, m Mode, c *Ctx) string {
	t.Helper()
	b, err := text(t, src, m).Append(nil, c)
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return string(b)
}

func value(t testing.TB, src string, c *Ctx) Value {
	t.Helper()
	v, err := text(t, src, Plain).Value(c)
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return v
}

func asError(t testing.TB, src string, err error) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%s: error %v (%T), want an *Error", src, err, err)
	}
	return e
}
