package expr

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"net/url"
	"testing"
	"unicode/utf8"
)

// FuzzText compiles any text in every mode. What compiles must keep the promise
// of its mode for any values, and what does not must say where.
func FuzzText(f *testing.F) {
	for _, src := range []string{
		"", "plain", "${token}", "a${n}b${alert}", "$${x}", "${'}'}", "${int(1, n)}", "${float(n, 9)}", "${uuid()}", "${now()} ${now('2006')}",
		"${text(n)}", "${base64(token)}", `${format("%-5d|%x|%s|%.2f|%v", n, token, token, n, n)}`, "${body.list[n]}", "${[token, n, body]}", "${ {a: token} }",
		"${pick(category)} ${pick(mixed)} ${pick(category, n)}", "${a + n * 2 ** 3 % 4}", "${token matches 'a' && n in [1, 2]}", "${alert ?? token ?: n}",
		"${fake.email()} ${fake.sentence(3)}", "${replace(token, 'a', token)}", "${token[0:n]}", "${len(token) > 3 ? upper(token) : trim(token)}",
		"${1 < n < 3}", "${user.id}${user.persona}${iteration}${run.id}", "${env.HOST}${secret('KEY')}", "${not token}", "${-n}", "${body?.id?.x}",
		"${token | lower()}", "${`a``b`}", "${b'x'}", "${0x1F + 0b11 + 0o7 + 1_000}", "${int(token)} ${float(token)} ${string(n)}", "\xff${'\xff'}", "${/* } */ n}", "${n // x\n}",
		"${min(n, 1)} ${max([n, 2])} ${round(n)} ${abs(n)}", "${{}}", "${#}", "${::len(token)}", "${if n {1} else {2}}",
		"${agency.id}${pick(users, n).email}", "${pick(users).id == agency.id}", `${lookup("roles", "name", n).id}`, "${bcrypt(domain, 12)}", "${agency.box.floor + n}",
		"${pick(users, n)?.id}", "${pick(agency, pick(users, n).id).id}", "${lookup('a', 'b', lookup('a', 'b', n).c).c[0:n]}", "${bcrypt(n, 4) ?? users}",
	} {
		f.Add(src, "tok/1\r\n", int64(5), 0.5, []byte(`{"id":1}`))
	}
	f.Fuzz(func(t *testing.T, src, s string, i int64, x float64, body []byte) {
		if !json.Valid(body) {
			body = []byte("[]")
		}
		values := [][]Value{
			{Str(s), Integer(i), Number(x), RawJSON(string(body))},
			{Integer(i), {}, Str(s), Boolean(true)},
			{},
		}
		for m := Plain; m <= JSONText; m++ {
			text, err := NewCompiler(names()).Text(src, m)
			if err != nil {
				checkPlace(t, src, err)
				continue
			}
			for _, slots := range values {
				c := &Ctx{Key: Key(i), Slots: slots, User: i, Persona: s, Iteration: i, Run: s, Now: i}
				checkOutput(t, src, m, text, c)
			}
		}
		for _, m := range []Mode{Plain, JSONText} {
			text, err := NewCompiler(seeded()).Text(src, m)
			if err != nil {
				checkPlace(t, src, err)
				continue
			}
			if len(text.Slots()) > 0 {
				t.Errorf("%q reads values of a user in a row", src)
			}
			checkOutput(t, src, m, text, &Ctx{Key: Key(i), Row: i, Rows: book{}, Now: i})
			checkOutput(t, src, m, text, &Ctx{Key: Key(i), Row: i, Now: i})
		}
		cond, err := NewCompiler(names()).Cond(src)
		if err != nil {
			checkPlace(t, src, err)
			return
		}
		for _, slots := range values {
			if holds, err := cond.Holds(&Ctx{Slots: slots}); holds && err != nil {
				t.Errorf("%q holds with an error", src)
			}
		}
	})
}

// raw is the JSON that a user holds: it is written as it stands.
func raw(c *Ctx) []byte {
	for _, v := range c.Slots {
		if v.kind == JSON {
			return []byte(v.str)
		}
	}
	return nil
}

func checkPlace(t *testing.T, src string, err error) {
	var e *Error
	if !errors.As(err, &e) || e.Msg == "" || e.Offset < 0 || e.Offset > len(src) {
		t.Errorf("%q: error %#v", src, err)
	}
}

func checkOutput(t *testing.T, src string, m Mode, x *Text, c *Ctx) {
	out, err := x.Append([]byte("kept"), c)
	if !bytes.HasPrefix(out, []byte("kept")) {
		t.Fatalf("%q: the buffer begins %q", src, out)
	}
	out = out[len("kept"):]
	if err != nil {
		if len(out) > 0 || err.Error() == "" {
			t.Errorf("%q: %q is left after error %q", src, out, err)
		}
		return
	}
	if again, _ := x.Append(nil, c); !bytes.Equal(again, out) {
		t.Errorf("%q: %q, then %q", src, out, again)
	}
	if fixed, ok := x.Static(); ok && !bytes.Equal(fixed, out) {
		t.Errorf("%q: static %q, written %q", src, fixed, out)
	}
	v, err := x.Value(c)
	if f, ok := v.Float(); err == nil && ok && (math.IsInf(f, 0) || math.IsNaN(f)) {
		t.Errorf("%q is %v", src, f)
	}
	switch m {
	case JSONText:
		if !json.Valid(out) || !utf8.Valid(out) && utf8.Valid(raw(c)) {
			t.Errorf("%q is no JSON: %q", src, out)
		}
	case Header:
		if bytes.ContainsAny(out, "\r\n\x00") {
			t.Errorf("%q breaks the line of a header: %q", src, out)
		}
	case Target:
		if bytes.ContainsAny(out, " \t\r\n\x00") {
			t.Errorf("%q breaks the request line: %q", src, out)
		}
		checkEscaped(t, src, out, x)
	}
}

// checkEscaped checks that all of a target that is not literal is made of
// unreserved and percent-encoded bytes, by taking the literals away.
func checkEscaped(t *testing.T, src string, out []byte, x *Text) {
	for i := range x.parts {
		var ok bool
		if out, ok = bytes.CutPrefix(out, []byte(x.parts[i].before)); !ok {
			t.Fatalf("%q: %q does not begin with %q", src, out, x.parts[i].before)
		}
		next := x.tail
		if i+1 < len(x.parts) {
			next = []byte(x.parts[i+1].before)
		}
		n := 0
		for n < len(out) && (unreserved[out[n]] || out[n] == '%') && !(i+1 == len(x.parts) && n == len(out)-len(next)) {
			n++
		}
		if len(next) > 0 && (unreserved[next[0]] || next[0] == '%') && i+1 < len(x.parts) {
			return // where the value ends cannot be seen
		}
		if _, err := url.PathUnescape(string(out[:n])); err != nil {
			t.Fatalf("%q: %q is not escaped", src, out[:n])
		}
		out = out[n:]
	}
	if len(x.parts) > 0 && !bytes.Equal(out, x.tail) {
		t.Fatalf("%q: %q is left, want the literal %q", src, out, x.tail)
	}
}
