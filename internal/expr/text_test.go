package expr

import (
	"encoding/json"
	"errors"
	"math"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func TestTextIsWrittenForThePlaceItStandsIn(t *testing.T) {
	tests := []struct {
		src  string
		mode Mode
		want string
	}{
		{"", Plain, ""},
		{"no expression", Plain, "no expression"},
		{"a ${limit} b ${domain}", Plain, "a 7 b test.eriop.local"},
		{"${token}", Plain, "tok/1"},
		{"${body}", Plain, `{"id":"a b","list":[10,20]}`},
		{"${ratio} ${1e21} ${1e-7}", Plain, "0.5 1e+21 1e-7"},

		{"/a b/ is refused", Plain, "/a b/ is refused"},
		{"/alerts/${token}/ack?x=${token}&y=${'a b&c=d+e'}", Target, "/alerts/tok%2F1/ack?x=tok%2F1&y=a%20b%26c%3Dd%2Be"},
		{"/${'é'}/é", Target, "/%C3%A9/é"},
		{"/${1e21}", Target, "/1e%2B21"},
		{"/${now()}", Target, "/2026-01-02T03%3A04%3A05.000006%2B00%3A00"},
		{"/${user.id}/${on}", Target, "/42/true"},

		{"Bearer ${token}", Header, "Bearer tok/1"},
		{"${ now() }", Header, "2026-01-02T03:04:05.000006+00:00"},

		{"${limit}", JSONText, "7"},
		{"${ratio}", JSONText, "0.5"},
		{"${2.0}", JSONText, "2"},
		{"${on}", JSONText, "true"},
		{"${none}", JSONText, "null"},
		{"${alert}", JSONText, "null"},
		{"${token}", JSONText, `"tok/1"`},
		{"${body}", JSONText, `{"id":"a b","list":[10,20]}`},
		{"${now()}", JSONText, `"2026-01-02T03:04:05.000006+00:00"`},
		{"${lines}", JSONText, `"a\r\nb"`},
		{"", JSONText, `""`},
		{"say \"hi\"\n", JSONText, `"say \"hi\"\n"`},
		{"${limit} of ${body}", JSONText, `"7 of {\"id\":\"a b\",\"list\":[10,20]}"`},
		{`a "${'"'}" b`, JSONText, `"a \"\"\" b"`},

		// A literal ${ and where an expression ends.
		{"$${limit}", Plain, "${limit}"},
		{"$$${limit}", Plain, "$${limit}"},
		{"${limit}$${x} $ $$ {}", Plain, "7${x} $ $$ {}"},
		{"$${limit}", JSONText, `"${limit}"`},
		{`${"$"}${limit}`, Plain, "$7"},
		{`${"}"}${'}'}` + "${`}`}", Plain, "}}}"},
		{`${"\"}"}`, Plain, `"}`},
		{`${'\'}'}`, Plain, `'}`},
		{`${{"a": {"b": limit}}.a.b}`, Plain, "7"},
		{"${`a``}`}", Plain, "a`}"},
	}
	for _, tt := range tests {
		if got := write(t, tt.src, tt.mode, someone()); got != tt.want {
			t.Errorf("%s in mode %d: %s, want %s", tt.src, tt.mode, got, tt.want)
		}
	}
}

func TestTypesSurviveAnExactExpression(t *testing.T) {
	tests := []struct {
		src  string
		want Value
	}{
		{"${limit}", Integer(7)},
		{"${ratio}", Number(0.5)},
		{"${on}", Boolean(true)},
		{"${none}", Value{}},
		{"${alert}", Value{}},
		{"${n}", Integer(5)},
		{"${body}", RawJSON(`{"id":"a b","list":[10,20]}`)},
		{"${user.persona}", Str("dispatcher")},
		{" ${limit}", Str(" 7")},
		{"${limit}${limit}", Str("77")},
		{"limit", Str("limit")},
		{"", Str("")},
	}
	for _, tt := range tests {
		if got := value(t, tt.src, someone()); got.kind != tt.want.kind || !got.Equal(tt.want) {
			t.Errorf("%q is %v %q, want %v %q", tt.src, got.kind, got.Text(), tt.want.kind, tt.want.Text())
		}
	}
	// The value of a text in any place is what stands before the escaping.
	for _, m := range []Mode{Plain, Target, Header, JSONText} {
		if v, err := text(t, `x${token}"`, m).Value(someone()); err != nil || v.Text() != `xtok/1"` {
			t.Errorf("mode %d: %q, %v", m, v.Text(), err)
		}
	}
}

func TestUnsetValueIsNamed(t *testing.T) {
	tests := []struct {
		src  string
		mode Mode
		name string
	}{
		{"/alerts/${alert}", Target, "alert"},
		{"${alert}", Plain, "alert"},
		{"a ${alert}", Plain, "alert"},
		{"Bearer ${ alert }", Header, "alert"},
		{"${none}", Header, "none"},
		{"a ${none}", Header, "none"},
		{"a ${alert}", JSONText, "alert"},
		{"${base64(alert)}", Header, "alert"},
		{`${format("%s", alert)}`, JSONText, "alert"},
		{"${int(alert)}", JSONText, "alert"},
		{"${alert + 'x'}", Header, "alert"},
		{"${lower(alert)}", Plain, "alert"},
		{"${(none ?? alert) + 'x'}", Plain, "alert"},
		{"${string(alert ?? none)}", Plain, "argument 1 of string"},
	}
	for _, tt := range tests {
		b, err := text(t, tt.src, tt.mode).Append([]byte("kept"), someone())
		if !errors.Is(err, ErrUnset) || err.Error() != tt.name+" is unset" {
			t.Errorf("%s: error %v, want %s is unset", tt.src, err, tt.name)
		}
		if string(b) != "kept" {
			t.Errorf("%s: the buffer is %q after the error", tt.src, b)
		}
	}
}

func TestUnsetConstantIsFoundAtLoad(t *testing.T) {
	for src, m := range map[string]Mode{"/x/${none}": Target, "${none}": Target, "a ${none}": Plain, "b ${none}": JSONText} {
		_, err := NewCompiler(names()).Text(src, m)
		if e := asError(t, src, err); e.Msg != "none is unset" || e.Offset != strings.Index(src, "none") {
			t.Errorf("%s: %q at %d", src, e.Msg, e.Offset)
		}
	}
}

func TestLineBreakNeverReachesAHeader(t *testing.T) {
	for _, bad := range []string{"a\r\nX: y", "\n", "\r", "a\x00b"} {
		c := someone()
		c.Slots[0] = Str(bad)
		for _, src := range []string{"${token}", "a ${token}", "${format('%s', token)}", "${token + ''}"} {
			_, err := text(t, src, Header).Append(nil, c)
			if err == nil || errors.Is(err, ErrUnset) || strings.ContainsAny(err.Error(), "\r\n\x00") {
				t.Errorf("%s with %q: error %v", src, bad, err)
			}
		}
	}
	for _, src := range []string{"a\nb", "a\rb", "a\x00b", "a${lines}"} {
		if _, err := NewCompiler(names()).Text(src, Header); asError(t, src, err).Offset == 0 {
			t.Errorf("%q: the error points at the start", src)
		}
	}
}

func TestLiteralTargetHoldsNoSpace(t *testing.T) {
	_, err := NewCompiler(names()).Text("/a${limit}/b c", Target)
	if e := asError(t, "", err); e.Offset != 12 || e.Hint != "write %20" {
		t.Errorf("%q at %d, %s", e.Msg, e.Offset, e.Hint)
	}
	if _, err := NewCompiler(names()).Text("/a HTTP/1.1\r\nX: y", Target); err == nil {
		t.Error("a target may end its line")
	}
}

func TestNonFiniteNumberIsNeverWritten(t *testing.T) {
	for _, f := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		c := someone()
		c.Slots[0] = Number(f)
		for _, m := range []Mode{Plain, Target, Header, JSONText} {
			for _, src := range []string{"${token}", "a${token}", "${format('%v', token)}", "${token * 1}", "${[token]}"} {
				if b, err := text(t, src, m).Append(nil, c); err == nil {
					t.Errorf("%s of %v in mode %d is %s", src, f, m, b)
				}
			}
		}
		if v, err := text(t, "${token}", Plain).Value(c); err == nil {
			t.Errorf("the value of %v is %q", f, v.Text())
		}
	}
	c := someone()
	c.Slots[2] = Number(math.MaxFloat64)
	if v, err := text(t, "${n * 10}", Plain).Value(c); err == nil {
		t.Errorf("ten times the largest number is %q", v.Text())
	}
	if v, err := text(t, "${float(-n, n)}", Plain).Value(c); err == nil {
		t.Errorf("a number from too wide a range is %q", v.Text())
	}
}

func TestConstantTextIsStatic(t *testing.T) {
	static := map[string]string{
		"plain":                              `"plain"`,
		"${limit}":                           "7",
		"x ${domain} y":                      `"x test.eriop.local y"`,
		"${limit * 6}":                       "42",
		"${limit > 3 ? 'many' : 'few'}":      `"many"`,
		"${none ?? 'default'}":               `"default"`,
		"${env.HOST ?? 'x'}":                 `"demo"`,
		`${secret("KEY")}`:                   `"s3cret"`,
		`${base64("a:b")}`:                   `"YTpi"`,
		`${format("R%04d", limit)}`:          `"R0007"`,
		"${upper('abc') + lower('DEF')}":     `"ABCdef"`,
		"${pick(category, 1)}":               `"medical"`,
		"${box.a[1]}":                        "2.5",
		"${[1, limit, 'x', nil, true, 0.5]}": `[1,7,"x",null,true,0.5]`,
		"${ {b: 2, a: '<é>'} }":              `{"a":"<é>","b":2}`,
	}
	for src, want := range static {
		b, ok := text(t, src, JSONText).Static()
		if !ok || string(b) != want {
			t.Errorf("%s: %s, static %v, want %s", src, b, ok, want)
		}
	}
	for _, src := range []string{"${token}", "${now()}", "${uuid()}", "${int(1,2)}", "${pick(category)}", "${user.id}", "${iteration}", "${run.id}", "${user.persona}", "${token + ''}"} {
		if b, ok := text(t, src, JSONText).Static(); ok {
			t.Errorf("%s is static: %s", src, b)
		}
	}
	if _, ok := text(t, "${none}", Header).Static(); ok {
		t.Error("a header that is left out is static")
	}
}

func TestStaticTextDoesNotAllocate(t *testing.T) {
	x := text(t, "${domain}", Header)
	if n := testing.AllocsPerRun(100, func() { x.Static(); _, _ = x.Value(nil) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestSlotsAreListedOnceAscending(t *testing.T) {
	tests := map[string][]int{
		"${n}${token}${n}":            {0, 2},
		"${alert ?? token}":           {0, 1},
		"${n + 1}":                    {2},
		"${format('%d', n)}${limit}":  {2},
		"${body.id == token ? 1 : n}": {0, 2, 3},
		"none":                        nil,
	}
	for src, want := range tests {
		if got := text(t, src, Plain).Slots(); !slices.Equal(got, want) {
			t.Errorf("%s reads %v, want %v", src, got, want)
		}
	}
}

func TestSlotThatAUserDoesNotHaveIsUnset(t *testing.T) {
	if v := value(t, "${body}", &Ctx{}); !v.IsNil() {
		t.Errorf("%q", v.Text())
	}
}

func TestBuilderJoinsTextsWithTheirOwnEscaping(t *testing.T) {
	var b Builder
	b.Literal(`{"a":`)
	b.Text(text(t, "${n}", JSONText))
	b.Literal(`,"b":`)
	b.Text(text(t, `say "${token}"`, JSONText))
	b.Literal(`,"c":`)
	b.Text(text(t, "fixed", JSONText))
	b.Literal(`}`)
	x := b.Build()
	const want = `{"a":5,"b":"say \"tok/1\"","c":"fixed"}`
	got, err := x.Append(nil, someone())
	if err != nil || string(got) != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
	if v, err := x.Value(someone()); err != nil || v.kind != String || v.Text() != want {
		t.Errorf("value %v %q, %v", v.kind, v.Text(), err)
	}
	if !slices.Equal(x.Slots(), []int{0, 2}) {
		t.Errorf("slots %v", x.Slots())
	}
	if _, ok := x.Static(); ok {
		t.Error("a text with slots is static")
	}

	var fixed Builder
	fixed.Literal("[")
	fixed.Text(text(t, "${limit}", JSONText))
	fixed.Literal("]")
	if s, ok := fixed.Build().Static(); !ok || string(s) != "[7]" {
		t.Errorf("%s, static %v", s, ok)
	}
	if s, ok := new(Builder).Build().Static(); !ok || len(s) != 0 {
		t.Errorf("an empty text is %q, static %v", s, ok)
	}
}

func TestTargetValueStaysInItsPlace(t *testing.T) {
	x := text(t, "/a/${token}/b?q=${token}&r=1", Target)
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "value")
		b, err := x.Append(nil, &Ctx{Slots: []Value{Str(s)}})
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.ParseRequestURI(string(b))
		if err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if got := strings.Count(u.EscapedPath(), "/"); got != 3 {
			t.Fatalf("%q makes %d slashes", s, got)
		}
		if q := u.Query(); len(q) != 2 || q.Get("q") != s || u.Path != "/a/"+s+"/b" {
			t.Fatalf("%q arrives as %q and %q", s, u.Path, q)
		}
	})
}

func TestJSONTextReadsBackAsTheValue(t *testing.T) {
	exact, mixed := text(t, "${token}", JSONText), text(t, "<${token}>", JSONText)
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "value")
		c := &Ctx{Slots: []Value{Str(s)}}
		var got string
		for want, x := range map[string]*Text{s: exact, "<" + s + ">": mixed} {
			b, err := x.Append(nil, c)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(b, &got); err != nil || got != want {
				t.Fatalf("%s reads back as %q, %v", b, got, err)
			}
		}
	})
}

func TestTextIsSafeForConcurrentUse(t *testing.T) {
	x := text(t, "${n + int(1, 3)} ${body.id + token} ${fake.name()} ${uuid()}", Plain)
	want, err := x.Append(nil, someone())
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			c := someone()
			for range 200 {
				if got, err := x.Append(nil, c); err != nil || string(got) != string(want) {
					t.Errorf("%s, %v, want %s", got, err, want)
					return
				}
			}
		})
	}
	all.Wait()
}
