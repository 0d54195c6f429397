package expr

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/expr-lang/expr/vm"
)

func TestExpressionsMeanWhatTheySay(t *testing.T) {
	tests := []struct {
		src  string
		want Value
	}{
		{"n + 1", Integer(6)},
		{"n * 2 - 1", Integer(9)},
		{"n / 2", Number(2.5)},
		{"n % 2", Integer(1)},
		{"-n", Integer(-5)},
		{"2 ** 3", Number(8)},
		{"n > 4 && n <= 5", Boolean(true)},
		{"n == 5.0", Boolean(true)},
		{"not (n == 5)", Boolean(false)},
		{"token + '/' + domain", Str("tok/1/test.eriop.local")},
		{"'id ' + string(n)", Str("id 5")},
		{"alert ?? 'none'", Str("none")},
		{"token ?? 'none'", Str("tok/1")},
		{"alert ?? none ?? n", Integer(5)},
		{"alert ? 1 : 2", Integer(2)},
		{"token ? 1 : 2", Integer(1)},
		{"token ?: 2", Str("tok/1")},
		{"alert ?: 2", Integer(2)},
		{"alert && token", Boolean(false)},
		{"alert || token", Boolean(true)},
		{"!alert", Boolean(true)},
		{"alert == nil", Boolean(true)},
		{"(alert || token) == true", Boolean(true)},
		{"len(token)", Integer(5)},
		{"upper(token)", Str("TOK/1")},
		{"token | upper() | lower()", Str("tok/1")},
		{"trim('  x ')", Str("x")},
		{"replace(token, '/', '-')", Str("tok-1")},
		{"min(n, 3)", Integer(3)},
		{"round(2.5)", Number(3)},
		{"token startsWith 'tok'", Boolean(true)},
		{"token matches '^tok/[0-9]$'", Boolean(true)},
		{"token in ['a', 'tok/1']", Boolean(true)},
		{"n not in [1, 2]", Boolean(true)},
		{"body.id", Str("a b")},
		{"body.list[1] + n", Integer(25)},
		{"body.list[-1]", Integer(20)},
		{"body.list", RawJSON("[10,20]")},
		{"body?.nothing", Value{}},
		{"body.nothing ?? 'x'", Str("x")},
		{"token[0:3]", Str("tok")},
		{"int('12') + int(2.9) + int(-2.9)", Integer(12)},
		{"float('0.5') + float(1)", Number(1.5)},
		{"user.id", Integer(42)},
		{"user.persona", Str("dispatcher")},
		{"iteration", Integer(9)},
		{"run.id", Str("r-1")},
		{"env.HOST", Str("demo")},
		{"env.UNSET ?? 'fallback'", Str("fallback")},
		{"secret('KEY')", Str("s3cret")},
		{"secret('OTHER') ?? 'fallback'", Str("fallback")},
		{"pick(category, n)", Str("police")},
		{"pick(category, 1)", Str("medical")},
		{"pick(['a', 'b'], n)", Str("b")},
		{"base64('a:' + token)", Str("YTp0b2svMQ==")},
		{"now()", Str("2026-01-02T03:04:05.000006+00:00")},
		{"now('2006-01-02')", Str("2026-01-02")},
		{`format("R%04d", n)`, Str("R0005")},
		{`format("%s-%d-%x-%.2f-%v%%", token, n, 255, 0.5, n)`, Str("tok/1-5-ff-0.50-5%")},
		{`format("%x|%6s|%-4d|", "ab", "x", n)`, Str("6162|     x|5   |")},
		{`format("none")`, Str("none")},
		{"text(0)", Str("")},
		{"int(3, 3)", Integer(3)},
		{"float(1, 1)", Number(1)},
	}
	for _, tt := range tests {
		if got := value(t, "${"+tt.src+"}", someone()); got.kind != tt.want.kind || !got.Equal(tt.want) {
			t.Errorf("%s is %v %q, want %v %q", tt.src, got.kind, got.Text(), tt.want.kind, tt.want.Text())
		}
	}
}

func TestFaultIsFoundAtLoadAtItsPlace(t *testing.T) {
	tests := []struct {
		src  string // @ marks the offset
		msg  string
		hint string
	}{
		{"a @${limit", "${ is not closed", "end it with }"},
		{"@${'}", "${ is not closed", ""},
		{"${@}", "the expression is empty", ""},
		{"${@  }", "the expression is empty", ""},
		{"é ${@catgeory}", "unknown name catgeory", "did you mean category?"},
		{"${'é' + @tokn}", "unknown name tokn", "did you mean token?"},
		{"${1 + 2 + @nope}", "unknown name nope", ""},
		{"x ${@category}", "category is a list, not a value", "write ${pick(category)}"},
		{"${@category == 'fire'}", "category is a list, not a value", "write ${pick(category)}"},
		{"${pick(@categry)}", "unknown list categry", "did you mean category?"},
		{"${pick(@token)}", "token is not a list", ""},
		{"${pick(@1)}", "pick takes a list", "write pick(list)"},
		{"${pick(@empty)}", "there is nothing to pick from", ""},
		{"${pick([1, @n])}", "a list to pick from holds constants only", ""},
		{"${pick(category, @'x')}", "pick(list, n) takes a whole number", ""},
		{"${@uudi()}", "unknown function uudi", "did you mean uuid?"},
		{"${@uuid}", "uuid is a function", "write uuid()"},
		{"${@uuid(1)}", "uuid takes no argument, not 1", "write uuid()"},
		{"${@token()}", "token is a value, not a function", "write token"},
		{"${fake.@nme()}", "unknown function fake.nme", "did you mean fake.name?"},
		{"${fake.@name}", "fake.name is a function", "write fake.name()"},
		{"${@fake}", "fake is not a value", "write fake.name()"},
		{"${fake.sentence(@n)}", "fake.sentence takes a number of words from 1 to 1000", ""},
		{"${user.@idd}", "unknown name user.idd", "did you mean user.id?"},
		{"${@user}", "user is not a value", "write user.id or user.persona"},
		{"${env.@SECRET}", "env.SECRET is not listed under env", "add it"},
		{"${secret(@token)}", "the name of a secret is written out, in quotes", `write secret("NAME")`},
		{"${@int(5, 1)}", "int(5, 1): the lower bound is above the upper", "write int(1, 5)"},
		{"${int(1, @2.5)}", "int takes whole numbers", ""},
		{"${int(@'a', n)}", "int takes whole numbers", ""},
		{"${@int()}", "int takes 1 to 2 arguments, not 0", ""},
		{"${@int('x')}", "int: argument 1 of int is not a number that fits", ""},
		{"${@int(1e30)}", "int: argument 1 of int is not a number that fits", ""},
		{"${@float('inf')}", "float: argument 1 of float is not a number", ""},
		{"${@float(2, 1)}", "float(2, 1): the lower bound is above the upper", "write float(1, 2)"},
		{"${@float(-1e308, 1e308)}", "float(-1e+308, 1e+308): the range is too wide", ""},
		{"${float(1, @'x')}", "float takes numbers", ""},
		{`${format(@"%q", n)}`, `unknown verb "%q" in a format`, ""},
		{`${format(@"50%", n)}`, `unknown verb "%" in a format`, ""},
		{`${format(@"%99999d", n)}`, `"%99999d": a width or precision has at most 3 digits`, ""},
		{`${@format("%d")}`, `the format "%d" has 1 verbs, and 0 values are given`, ""},
		{`${@format("%d", "x")}`, "format: %d takes a whole number, and argument 2 of format is not one", ""},
		{`${format(@token, n)}`, "a format is a constant text", ""},
		{`${now(@"%Y-%m-%d")}`, "the layout of now shows no time", "2006-01-02"},
		{"${text(@-1)}", "text takes a number of letters", ""},
		{"${text(@99999999)}", "text takes a number of letters", ""},
		{"${@replace('a', '', 'b')}", "replace takes three texts", ""},
		{"${1 @+ 'a'}", "invalid operation: + (mismatched types int and string)", ""},
		{"${int(1, 5) @+ 'a'}", "invalid operation: + (mismatched types int and string)", ""},
		{"${1 @% 0}", "integer divide by zero", ""},
		{"${1 @/ 0}", "the result is not a finite number", ""},
		{"${n @= 5}", `unexpected token Operator("=")`, "write == to compare"},
		{"${n +@}", "the expression ends too soon", ""},
		{"${1@..5}", "ranges are not part of the language", "write int(1, 5)"},
		{"${1 < @n < 9}", "comparisons cannot be chained", "write a < b && b < c"},
		{"${@filter([1], true)}", "", ""},
		{"${@toJSON(n)}", "unknown function toJSON", ""},
		{"${@$env}", "unknown name $env", ""},
		{"${let @x = 1; x}", "", ""},
		{"${@b'abc'}", "this is not part of the language", ""},
	}
	for _, tt := range tests {
		src := strings.Replace(tt.src, "@", "", 1)
		_, err := NewCompiler(names()).Text(src, Plain)
		e := asError(t, src, err)
		if !strings.HasPrefix(e.Msg, tt.msg) || !strings.Contains(e.Hint, tt.hint) {
			t.Errorf("%s: %q (%s), want %q (%s)", src, e.Msg, e.Hint, tt.msg, tt.hint)
		}
		if want := strings.Index(tt.src, "@"); e.Offset != want && tt.msg != "" {
			t.Errorf("%s: %q points at byte %d, want %d", src, e.Msg, e.Offset, want)
		}
	}
}

func TestHostileExpressionIsBounded(t *testing.T) {
	deep := func(open, inner, shut string, n int) string {
		return "${" + strings.Repeat(open, n) + inner + strings.Repeat(shut, n) + "}"
	}
	hostile := map[string]string{
		"parentheses": deep("(", "n", ")", 1900),
		"too long":    deep("(", "n", ")", 1<<18),
		"negation":    deep("-", "n", "", 4000),
		"not":         deep("!", "n", "", 4000),
		"lists":       deep("[", "n", "]", 1900),
		"comparisons": deep("(1 < ", "n", " < 2)", 300),
		"choices":     deep("(", "n", " ?: 1)", 400),
		"coalesce":    deep("(none ?? ", "n", ")", 300),
	}
	for name, src := range hostile {
		began := time.Now()
		x, err := NewCompiler(names()).Text(src, Plain)
		if err == nil {
			_, _ = x.Append(nil, someone())
		} else {
			asError(t, name, err)
		}
		if d := time.Since(began); d > 5*time.Second {
			t.Errorf("%s: %v", name, d)
		}
	}
}

func TestNestedCallsCannotGrowWithoutEnd(t *testing.T) {
	grow := map[string]string{
		"replace": strings.Repeat("replace(", 7) + "X" + strings.Repeat(",'a','aaaaaaaaaa')", 7),
		"base64":  strings.Repeat("base64(", 50) + "X" + strings.Repeat(")", 50),
	}
	for name, src := range grow {
		_, err := NewCompiler(names()).Text("${"+strings.Replace(src, "X", "'aaaaaaaaaa'", 1)+"}", Plain)
		if e := asError(t, name, err); e.Msg != errTooBig.msg {
			t.Errorf("%s of a constant: %s", name, e.Msg)
		}
		c := someone()
		c.Slots[0] = Str("aaaaaaaaaa")
		if _, err := text(t, "${"+strings.Replace(src, "X", "token", 1)+"}", Plain).Append(nil, c); err != error(errTooBig) {
			t.Errorf("%s of a slot: %v", name, err)
		}
	}
}

func TestConstIsComputedWithoutChanceOrUsers(t *testing.T) {
	c := NewCompiler(names())
	for src, want := range map[string]Value{
		"plain":                      Str("plain"),
		"${limit}":                   Integer(7),
		"http://${env.HOST}:8000":    Str("http://demo:8000"),
		`${secret("KEY") ?? "x"}`:    Str("s3cret"),
		`${env.UNSET ?? "http://x"}`: Str("http://x"),
		"${env.UNSET}":               {},
		"${format('%03d', limit)}":   Str("007"),
		"${int('5') + 1}":            Integer(6),
		"${pick(category, 2)}":       Str("police"),
		"${[1, 2]}":                  RawJSON("[1,2]"),
	} {
		v, err := c.Const(src)
		if err != nil || v.kind != want.kind || !v.Equal(want) {
			t.Errorf("%s: %v %q, %v", src, v.kind, v.Text(), err)
		}
	}
	for _, src := range []string{
		"${@uuid()}", "${@int(1, 2)}", "${@float(1, 2)}", "x${@pick(category)}", "${@text(3)}", "${fake.@name()}", "${fake.@sentence(3)}",
		"${@now()}", "${@now('2006')}", "${@token}", "${limit + @n}", "${user.@id}", "${user.@persona}", "${run.@id}", "${@iteration}",
	} {
		plain := strings.Replace(src, "@", "", 1)
		_, err := c.Const(plain)
		e := asError(t, plain, err)
		if !strings.Contains(e.Msg, "is not known when the spec is loaded") || e.Offset != strings.Index(src, "@") {
			t.Errorf("%s: %q at %d", plain, e.Msg, e.Offset)
		}
	}
	if c.Site() != 0 {
		t.Error("a constant took a site")
	}
}

func TestEachTextAndConditionTakesTheNextSite(t *testing.T) {
	c := NewCompiler(names())
	draw := func(x *Text, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		b, err := x.Append(nil, someone())
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	const src = "${int(0, 1000000000)}"
	first := draw(c.Text(src, Plain))
	if second := draw(c.Text(src, Plain)); first == second {
		t.Errorf("two texts draw the same %s", first)
	}
	if n := c.Site(); n != 2 {
		t.Errorf("the next site is %d, want 2", n)
	}
	if _, err := c.Cond("n == 1"); err != nil {
		t.Fatal(err)
	}
	if n := c.Site(); n != 4 {
		t.Errorf("the next site is %d, want 4", n)
	}
	if again := draw(NewCompiler(names()).Text(src, Plain)); again != first {
		t.Errorf("the first text draws %s, then %s", first, again)
	}
}

func TestDrawsDependOnTheirPlaceAndNotOnTheOrderOfEvaluation(t *testing.T) {
	both := value(t, "${int(0, 1000000)}-${int(0, 1000000)}", someone()).Text()
	a, b, _ := strings.Cut(both, "-")
	if a == b {
		t.Errorf("two calls in one text draw the same %s", a)
	}
	// What is not evaluated keeps its draws: the call after it draws the same.
	skipped := value(t, "${alert ? int(0, 1000000) : int(0, 1000000)}", someone()).Text()
	if skipped != b {
		t.Errorf("the second call draws %s, and %s when the first is not evaluated", b, skipped)
	}
	if inside := value(t, "${0 * int(0, 1000000) + int(0, 1000000)}", someone()).Text(); inside != b {
		t.Errorf("the second call draws %s, and %s inside arithmetic", b, inside)
	}
	if again := value(t, "${int(0, 1000000)}-${int(0, 1000000)}", someone()).Text(); again != both {
		t.Errorf("the same user draws %s, then %s", both, again)
	}
}

func TestDrawsChangeWithTheKeyAndTheRunOnlyWhereTheyShould(t *testing.T) {
	sources := []string{"int(0, 1000000000)", "float(0, 1)", "text(12)", "uuid()", "fake.name() + fake.email()", "fake.phone()", "fake.sentence(8)"}
	for _, src := range sources {
		x := text(t, "${"+src+"}", Plain)
		get := func(change func(*Ctx)) string {
			c := someone()
			change(c)
			b, err := x.Append(nil, c)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		base := get(func(*Ctx) {})
		if other := get(func(c *Ctx) { c.Key = NewKey(1, 2, 3, 5) }); other == base {
			t.Errorf("%s: two iterations draw %s", src, base)
		}
		other := get(func(c *Ctx) { c.RunKey++ })
		if changed := other != base; changed != (src == "uuid()") {
			t.Errorf("%s: another run draws %s instead of %s", src, other, base)
		}
		if later := get(func(c *Ctx) { c.Now++; c.Slots = nil }); later != base {
			t.Errorf("%s: depends on the time or the slots", src)
		}
	}
}

func TestBoundsAreInclusiveAndReached(t *testing.T) {
	x := text(t, "${int(-2, 2)}", Plain)
	computed := text(t, "${int(n - 7, n - 3)}", Plain)
	f := text(t, "${float(-1.5, 2.5)}", Plain)
	counts, lowest, highest := map[int64]int{}, math.Inf(1), math.Inf(-1)
	const draws = 20_000
	for i := range uint64(draws) {
		c := someone()
		c.Key = NewKey(1, 1, 1, i)
		v, err := x.Value(c)
		if err != nil {
			t.Fatal(err)
		}
		w, err := computed.Value(c)
		if err != nil || !w.Equal(v) {
			t.Fatalf("computed bounds draw %q, constant ones %q, %v", w.Text(), v.Text(), err)
		}
		n, _ := v.Int()
		counts[n]++
		u, err := f.Value(c)
		if err != nil {
			t.Fatal(err)
		}
		r, _ := u.Float()
		lowest, highest = min(lowest, r), max(highest, r)
	}
	flat := make([]int, 5)
	for n, c := range counts {
		if n < -2 || n > 2 {
			t.Fatalf("int(-2, 2) draws %d", n)
		}
		flat[n+2] = c
	}
	if z := chiSquare(flat); z > 5 {
		t.Errorf("int(-2, 2) draws %v", flat)
	}
	if lowest < -1.5 || lowest > -1.49 || highest >= 2.5 || highest < 2.49 {
		t.Errorf("float(-1.5, 2.5) draws from %v to %v", lowest, highest)
	}
	whole := text(t, "${int(-9223372036854775807 - 1, 9223372036854775807)}", Plain)
	if v, err := whole.Value(someone()); err != nil || v.kind != Int {
		t.Errorf("the whole range draws %v %q, %v", v.kind, v.Text(), err)
	}
}

func TestComputedBoundsAreChecked(t *testing.T) {
	for _, src := range []string{"${int(n, 1)}", "${float(n, 1)}", "${int(token, 9)}", "${float(token, 9)}", "${int(alert, 9)}", "${text(-n)}", "${text(n * 1000000)}", "${pick(category, token)}"} {
		if v, err := text(t, src, Plain).Value(someone()); err == nil {
			t.Errorf("%s is %q", src, v.Text())
		}
	}
}

func TestUUIDIsVersionFourAndUnique(t *testing.T) {
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	x := text(t, "${uuid()}", Plain)
	seen := map[string]bool{}
	for i := range uint64(10_000) {
		b, err := x.Append(nil, &Ctx{Key: NewKey(1, 1, 1, i)})
		if err != nil || !form.Match(b) || seen[string(b)] {
			t.Fatalf("%s, %v, seen before %v", b, err, seen[string(b)])
		}
		seen[string(b)] = true
	}
}

func TestTwoUUIDsOfOneTextShareNoDraw(t *testing.T) {
	first, second, _ := strings.Cut(strings.ReplaceAll(value(t, "${uuid()} ${uuid()}", someone()).Text(), "-", ""), " ")
	seen := map[string]bool{}
	for _, half := range []string{first[:16], first[16:], second[:16], second[16:]} {
		seen[half[4:12]] = true // the part that neither version nor variant touches
	}
	if len(seen) != 4 {
		t.Errorf("%s and %s", first, second)
	}
}

func TestLongExpressionIsRefused(t *testing.T) {
	src := "${" + strings.Repeat(" ", maxSource-1) + "n}"
	if _, err := NewCompiler(names()).Text(src, Plain); err != nil {
		t.Error(err)
	}
	_, err := NewCompiler(names()).Text(strings.Replace(src, "n", " n", 1), Plain)
	if e := asError(t, "", err); e.Msg != "the expression is longer than 4096 bytes" {
		t.Error(e.Msg)
	}
}

func TestMachineKeepsNoValueBetweenEvaluations(t *testing.T) {
	m := &vm.VM{Stack: []any{"secret"}[:0]}
	release(m)
	if left := m.Stack[:1][0]; left != nil {
		t.Errorf("%v is left on the stack", left)
	}
}

func TestTextIsLowerCaseLettersOfTheLengthAsked(t *testing.T) {
	form := regexp.MustCompile(`^[a-z]*$`)
	used := make([]int, 26)
	for n := range 60 {
		c := someone()
		c.Slots[2] = Integer(int64(n))
		s := value(t, "${text(n)}", c).Text()
		if len(s) != n || !form.MatchString(s) {
			t.Errorf("text(%d) is %q", n, s)
		}
	}
	for _, r := range value(t, "${text(100000)}", someone()).Text() {
		used[r-'a']++
	}
	if z := chiSquare(used); z > 5 {
		t.Errorf("letters are used %v", used)
	}
}

func TestFakeEmailIsAlwaysAtAReservedDomain(t *testing.T) {
	form := regexp.MustCompile(`^[a-z]+\.[a-z]+[0-9]{1,4}@example\.(com|org|net)$`)
	x := text(t, "${fake.email()}", Plain)
	for i := range uint64(2000) {
		b, err := x.Append(nil, &Ctx{Key: NewKey(1, 1, 1, i)})
		if err != nil || !form.Match(b) {
			t.Fatalf("%s, %v", b, err)
		}
	}
}

func TestEveryFakeIsTextAndRepeatable(t *testing.T) {
	for name := range fakes {
		first, second := value(t, "${"+name+"()}", someone()), value(t, "${"+name+"()}", someone())
		if first.kind != String || first.Text() == "" || !first.Equal(second) {
			t.Errorf("%s is %q, then %q", name, first.Text(), second.Text())
		}
	}
	for _, n := range []int{1, 2, 9, 1000} {
		s := value(t, fmt.Sprintf("${fake.sentence(%d)}", n), someone()).Text()
		if got := len(strings.Fields(s)); got != n || !strings.HasSuffix(s, ".") {
			t.Errorf("a sentence of %d words has %d: %.60q", n, got, s)
		}
	}
}

func TestEveryFunctionIsBuiltAsItsUsageSays(t *testing.T) {
	n := names()
	n.Sets["list"] = n.Sets["category"]
	n.Slots["a"], n.Slots["b"], n.Slots["x"], n.Slots["old"], n.Slots["new"] = 2, 2, 2, 2, 2
	inRows := &Names{Consts: map[string]Value{"x": Str("y")}, InRows: true}
	for name, s := range signatures {
		usage := strings.Replace(s.usage, "sentence(n)", "sentence(3)", 1)
		names := n
		if name == "bcrypt" || name == "lookup" {
			names = inRows
		}
		if _, err := NewCompiler(names).Text("${"+usage+"}", Plain); err != nil {
			t.Errorf("%s: %s: %v", name, usage, err)
		}
	}
}

func TestNameThatTheLanguageKeepsIsNotLegal(t *testing.T) {
	for _, name := range append(slices.Clone(words), "int", "uuid", "len", "fake.name", "a-b", "1a", "", "$env", "a b") {
		if LegalName(name) {
			t.Errorf("%q is legal", name)
		}
	}
	for _, name := range []string{"token", "alert_id", "n", "e2e", "größe"} {
		if !LegalName(name) {
			t.Errorf("%q is not legal", name)
		}
	}
}

func TestErrorOfAnEvaluationDoesNotShowTheValue(t *testing.T) {
	c := someone()
	c.Slots[0] = Str("hunter2\n")
	for _, src := range []string{"${int(token)}", "${token + 1}", "${token.id}", "${format('%d', token)}", "${token}", "${token * 2}", "${-token}", "${abs(token)}", "${pick(category, token)}"} {
		_, err := text(t, src, Header).Append(nil, c)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", src, err)
		}
	}
}
