package expr

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// seeded is what rows of a fourth table may name.
func seeded() *Names {
	n := names()
	delete(n.Slots, "n")
	n.Consts["base"] = Number(45.5017)
	n.Rows = map[string]func(string) (int, error){"accounts": func(string) (int, error) { return 0, nil }}
	n.InRows = true
	n.Tables = map[string]*Table{
		"agency": {Index: 0, Count: 1, Columns: []Column{{Name: "id"}, {Name: "made", Fleeting: true}, {Name: "box"}}},
		"users":  {Index: 1, Count: 350, Columns: []Column{{Name: "id"}, {Name: "email"}}},
		"twice":  {Err: &Error{Msg: "two entries are called twice", Hint: "say as"}},
	}
	return n
}

// book answers as a database would: with the question.
type book struct{ err error }

func (b book) Column(table, column int, n int64) (Value, error) {
	if table == 0 && column == 2 {
		return RawJSON(`{"floor":3}`), b.err
	}
	return Str(fmt.Sprintf("t%d.c%d.r%d", table, column, n)), b.err
}

func (b book) Lookup(table, column string, v Value, want string) (Value, error) {
	return Str(table + "/" + column + "/" + v.Text() + "/" + want), b.err
}

func (b book) Bcrypt(password string, cost int) (string, error) {
	return fmt.Sprintf("$2b$%02d$%s", cost, password), b.err
}

func rowText(t testing.TB, src string) *Text {
	t.Helper()
	x, err := NewCompiler(seeded()).Text(src, Plain)
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return x
}

func inRow(t testing.TB, src string, n int64) Value {
	t.Helper()
	v, err := rowText(t, src).Value(&Ctx{Key: NewKey(1, 2, 3, uint64(n)), Row: n, Rows: book{}, Now: 1767323045000006789})
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return v
}

func TestRowIsMadeOfItsNumberWithTheTypesOfTheExpressions(t *testing.T) {
	for _, c := range []struct {
		src  string
		n    int64
		want Value
	}{
		{"${n}", 7, Integer(7)},
		{"dispatcher${n}@${domain}", 7, Str("dispatcher7@test.eriop.local")},
		{`${format("R%04d", n)}`, 7, Str("R0007")},
		{"H1H ${format('%03d', n)}", 50, Str("H1H 050")},
		{"${1000 + n}", 1, Integer(1001)},
		{"${1000 + n} Test Street", 1, Str("1001 Test Street")},
		{"${base + 0.01 * n}", 3, Number(45.5317)},
		{"${-73.5673 + 0.005 * n}", 2, Number(-73.5573)},
		{"${n % 10 + 1}", 10, Integer(1)},
		{"${n % 3 == 0 ? 1 : 0}", 3, Integer(1)},
		{"${n % 3 == 0 ? 1 : 0}", 4, Integer(0)},
		{"${n % 2 == 0}", 1, Boolean(false)},
		{"${n % 2 == 0}", 2, Boolean(true)},
		{`${n <= 30 ? "available" : "off_duty"}`, 30, Str("available")},
		{`${n <= 30 ? "available" : "off_duty"}`, 31, Str("off_duty")},
		{"${n <= 15 ? base : nil}", 16, Value{}},
		{"${nil}", 1, Value{}},
		// The system's own seed takes list[i % 5] for i from 1: the first row
		// has the second element.
		{`${pick(["fire", "medical", "police", "rescue", "traffic"], n)}`, 1, Str("medical")},
		{`${pick(["fire", "medical", "police", "rescue", "traffic"], n)}`, 5, Str("fire")},
		{`${pick(category, n - 1)}`, 1, Str("fire")},
		{`${pick(category, n + 1)}`, 1, Str("police")},
	} {
		got := inRow(t, c.src, c.n)
		if f, ok := c.want.Float(); ok && c.want.kind == Float {
			if g, _ := got.Float(); got.kind != Float || math.Abs(g-f) > 1e-9 {
				t.Errorf("%s in row %d is %v", c.src, c.n, g)
			}
			continue
		}
		if got.kind != c.want.kind || !got.Equal(c.want) {
			t.Errorf("%s in row %d is %q (kind %d)", c.src, c.n, got.Text(), got.kind)
		}
	}
}

func TestRowRefersToRowsBefore(t *testing.T) {
	for src, want := range map[string]string{
		"${agency.id}":                               "t0.c0.r1",
		`${agency["id"]}`:                            "t0.c0.r1",
		"${pick(agency, n).id}":                      "t0.c0.r1",
		"${pick(users, n).email}":                    "t1.c1.r352", // wrapped below
		"${pick(users, 1).id}":                       "t1.c0.r1",
		"${pick(users, 350).id}":                     "t1.c0.r350",
		"${pick(users, 351).id}":                     "t1.c0.r1",
		"${pick(users, 0).id}":                       "t1.c0.r350",
		"${pick(users, -1).id}":                      "t1.c0.r349",
		"${pick(users, n % 100 + 1).id}":             "t1.c0.r53",
		"${upper(agency.id)}":                        "T0.C0.R1",
		"${agency.box.floor}":                        "3",
		"${agency.id == 't0.c0.r1' && n > 1}":        "true",
		"x-${agency.id}":                             "x-t0.c0.r1",
		`${lookup("roles", "name", "admin").id}`:     "roles/name/admin/id",
		`${lookup("roles", "level", n % 10).id}`:     "roles/level/2/id",
		`${upper(lookup("roles", "a", domain).id)}`:  "ROLES/A/TEST.ERIOP.LOCAL/ID",
		`${lookup("app.roles", "a", agency.id)?.id}`: "app.roles/a/t0.c0.r1/id",
		"${bcrypt(domain, 12)}":                      "$2b$12$test.eriop.local",
		"${bcrypt('p' + string(n), 4)}":              "$2b$04$p352",
		"${bcrypt(n, 15)}":                           "$2b$15$352",
	} {
		if src == "${pick(users, n).email}" {
			want = "t1.c1.r2"
		}
		if got := inRow(t, src, 352).Text(); got != want {
			t.Errorf("%s is %q, want %q", src, got, want)
		}
	}
}

func TestTextOfARowIsFleetingIfItDiffersForOneKey(t *testing.T) {
	for src, want := range map[string]bool{
		"${n}": false, "fixed": false, "${uuid()}": false, "${agency.id}": false, "${pick(users).id}": false, "${fake.name()}": false,
		"${now()}": true, "a ${now('2006')} b": true, "${n > 1 ? now() : nil}": true, "${agency.made}": true, "${len(pick(agency, n).made) + 1}": true,
		"${bcrypt('x', 4)}": true, `${lookup("a", "b", 1).c}`: true, "${[lookup('a', 'b', n).c]}": true,
	} {
		x := rowText(t, src)
		var b Builder
		b.Literal("[")
		b.Text(x)
		var encoded Builder
		encoded.Base64(x)
		if x.Fleeting() != want || b.Build().Fleeting() != want || encoded.Build().Fleeting() != want {
			t.Errorf("%s is fleeting: %v", src, x.Fleeting())
		}
	}
}

// A drawn row is any of the table, as often as the others, and the same for
// one key; another row, another table and another column draw for themselves.
func TestRowIsDrawnByItsKeyAlone(t *testing.T) {
	const many = 35_000
	c := NewCompiler(seeded())
	x, _ := c.Text("${pick(users).id}", Plain)
	other, _ := c.Text("${pick(users).id}", Plain)
	drawn := map[string]int{}
	same := 0
	for n := range int64(many) {
		ctx := &Ctx{Key: NewKey(1, 2, 3, uint64(n)), Row: n + 1, Rows: book{}}
		a, err := x.Value(ctx)
		again, _ := x.Value(ctx)
		b, _ := other.Value(ctx)
		if err != nil || !a.Equal(again) {
			t.Fatalf("%s, then %s, %v", a.Text(), again.Text(), err)
		}
		drawn[a.Text()]++
		if a.Equal(b) {
			same++
		}
	}
	if len(drawn) != 350 || drawn["t1.c0.r1"] == 0 || drawn["t1.c0.r350"] == 0 {
		t.Errorf("%d different rows of 350", len(drawn))
	}
	for row, times := range drawn {
		if times < 40 || times > 180 { // 100 expected, a deviation of 10
			t.Errorf("%s was drawn %d times", row, times)
		}
	}
	if same > 2*many/350 {
		t.Errorf("two columns drew the same row %d times of %d", same, many)
	}
}

func TestWrappedRowIsAlwaysOneOfTheTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.Int64Range(1, 50_000_000).Draw(t, "count")
		i := rapid.Int64().Draw(t, "i")
		var asked int64
		c := &cell{count: count, row: constant{Integer(i)}}
		if _, err := c.eval(&Ctx{Rows: asking{&asked}}); err != nil {
			t.Fatal(err)
		}
		if asked < 1 || asked > count || i >= 1 && i <= count && asked != i {
			t.Fatalf("row %d of %d is asked for as %d", asked, count, i)
		}
	})
}

type asking struct{ row *int64 }

func (a asking) Column(_, _ int, n int64) (Value, error)                 { *a.row = n; return Value{}, nil }
func (asking) Lookup(string, string, Value, string) (v Value, err error) { return }
func (asking) Bcrypt(string, int) (s string, err error)                  { return }

func TestErrorOfTheDatabaseReachesTheCallerAsItIs(t *testing.T) {
	lost := errors.New("connection lost")
	for _, src := range []string{
		"${agency.id}", "x ${agency.id}", "${agency.id + 'x'}", "${len(pick(users).id)}", `${lookup("a", "b", 1).c}`, `${lookup("a", "b", 1).c == 2}`,
		"${bcrypt('x', 4)}", "${upper(bcrypt('x', 4))}", "${n > 0 ? agency.id : 1}", "${agency.id ?? 1}", "${bcrypt(agency.id, 4)}", `${lookup("a", "b", agency.id).c}`,
	} {
		x := rowText(t, src)
		for name, get := range map[string]func() error{
			"Value":  func() error { _, err := x.Value(&Ctx{Row: 1, Rows: book{lost}}); return err },
			"Append": func() error { _, err := x.Append(nil, &Ctx{Row: 1, Rows: book{lost}}); return err },
		} {
			if err := get(); !errors.Is(err, lost) || err.Error() != lost.Error() {
				t.Errorf("%s of %s: %v", name, src, err)
			}
		}
		if _, err := x.Value(&Ctx{Row: 1}); err == nil {
			t.Errorf("%s is evaluated where no rows are made", src)
		}
	}
}

func TestNamesOfRowsAreRefusedWhereTheyMeanNothing(t *testing.T) {
	for src, want := range map[string]Error{
		"${agency}":                        {2, "agency is a table of the seed, not a value", "name a column: agency.COLUMN"},
		"${users}":                         {2, "users is a table of the seed, not a value", "name a column: pick(users, n).COLUMN"},
		"${users.id}":                      {2, "users has 350 rows", "write pick(users, n).id for row n, or pick(users).id for any"},
		"${pick(users)}":                   {7, "users is a table of the seed, and of its rows one column is used", "name a column: pick(users, n).COLUMN"},
		"${pick(users, n)}":                {7, "users is a table of the seed, and of its rows one column is used", "name a column: pick(users, n).COLUMN"},
		"${pick(usres, n).id}":             {7, "unknown list usres", "did you mean users?"},
		"${agncy.id}":                      {2, "unknown name agncy", "did you mean agency?"},
		"${agency.mad}":                    {9, "the rows of agency have no column mad", "did you mean made?"},
		"${pick(users, n).phone_number}":   {17, "the rows of users have no column phone_number", "give it a value there; its rows have id, email"},
		"${pick(users, 'x').id}":           {14, "the number of a row is a whole number", "write pick(users, n)"},
		"${pick(users, n, 2).id}":          {6, "pick takes 1 to 2 arguments, not 3", "write pick(list)"},
		"${pick(users, n)[n]}":             {16, "what follows pick(…) is the name of a column", "write pick(…).COLUMN"},
		"${twice.id}":                      {2, "two entries are called twice", "say as"},
		"${pick(twice).id}":                {7, "two entries are called twice", "say as"},
		"${agency[n]}":                     {8, "what follows agency is a name", "write agency.NAME"},
		"${lookup('a', 'b', 1)}":           {8, "lookup finds a row, and of it one column is used", `write lookup("TABLE", "COLUMN", x).COLUMN`},
		"${lookup('a', 'b').c}":            {8, "lookup takes 3 arguments, not 2", `write lookup("TABLE", "COLUMN", x).COLUMN`},
		"${lookup(domain, 'b', 1).c}":      {9, "the table and the column of lookup are written out, in quotes", `write lookup("TABLE", "COLUMN", x).COLUMN`},
		"${lookup('a', '', 1).c}":          {14, "the table and the column of lookup are written out, in quotes", `write lookup("TABLE", "COLUMN", x).COLUMN`},
		"${lookup('a', 'b', none).c}":      {19, "none is unset", ""},
		"${lookup.x}":                      {2, "lookup is a function", `write lookup("TABLE", "COLUMN", x).COLUMN`},
		"${bcrypt(domain)}":                {8, "bcrypt takes 2 arguments, not 1", "write bcrypt(x, 12)"},
		"${bcrypt(domain, 16)}":            {17, "the cost of bcrypt is a whole number from 4 to 15", "write 12, or what the system itself uses"},
		"${bcrypt(domain, 3)}":             {17, "the cost of bcrypt is a whole number from 4 to 15", "write 12, or what the system itself uses"},
		"${bcrypt(domain, n)}":             {17, "the cost of bcrypt is a whole number from 4 to 15", "write 12, or what the system itself uses"},
		"${bcrypt(none, 12)}":              {9, "none is unset", ""},
		"${user.id}":                       {6, "a row of a seed has no user, and so no user.id", "write n, a constant, a draw, or a column of a table before"},
		"${iteration}":                     {2, "a row of a seed has no user, and so no iteration", "write n, a constant, a draw, or a column of a table before"},
		"${token}":                         {2, "a row of a seed has no user, and so no token", "write n, a constant, a draw, or a column of a table before"},
		"${accounts.email}":                {10, "a row of a seed has no user, and so no accounts.email", "write n, a constant, a draw, or a column of a table before"},
		"${run.id}":                        {5, "run.id is not known in rows of a seed, which are the same for every run", "write a constant"},
		"${agency()}":                      {2, "agency is a value, not a function", "write agency"},
		"${n()}":                           {2, "unknown function n", ""},
		"${m}":                             {2, "unknown name m", ""},
		"${agency.id < agency.id < users}": {14, "comparisons cannot be chained", "write a < b && b < c"},
	} {
		_, err := NewCompiler(seeded()).Text(src, Plain)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s is no error", src)
			continue
		}
		if e.Msg != want.Msg || e.Hint != want.Hint {
			t.Errorf("%s: %q, %q", src, e.Msg, e.Hint)
		}
		if e.Offset < 2 || e.Offset > len(src) {
			t.Errorf("%s: at %d", src, e.Offset)
		}
	}
}

func TestNamesOfRowsExistInRowsOnly(t *testing.T) {
	elsewhere := names()
	delete(elsewhere.Slots, "n")
	elsewhere.Tables = seeded().Tables
	elsewhere.Slots["agency"] = 1 // a value of users comes first where there are users
	for src, want := range map[string]string{
		"${n}": "n exists only in rows of a seed", "${n % 2}": "n exists only in rows of a seed", "${format('%d', n)}": "n exists only in rows of a seed",
		"${bcrypt(domain, 12)}":        "bcrypt() exists only in rows of a seed",
		"${lookup('a', 'b', 1).c}":     "lookup() exists only in rows of a seed",
		"${lookup('a', 'b', 1)}":       "lookup() exists only in rows of a seed",
		"${pick(users, iteration).id}": "the table users exists only in rows of a seed",
		"${pick(users)}":               "the table users exists only in rows of a seed",
		"${users.id}":                  "the table users exists only in rows of a seed",
		"${users}":                     "the table users exists only in rows of a seed",
		"${twice.id}":                  "the table twice exists only in rows of a seed",
	} {
		_, err := NewCompiler(elsewhere).Text(src, Plain)
		var e *Error
		if !errors.As(err, &e) || e.Msg != want {
			t.Errorf("%s: %v", src, err)
		}
		if _, err := NewCompiler(elsewhere).Const(src); err == nil || err.Error() != want {
			t.Errorf("%s as a constant: %v", src, err)
		}
	}
	if x, err := NewCompiler(elsewhere).Text("${agency.id}", Plain); err != nil || !slices.Equal(x.Slots(), []int{1}) {
		t.Errorf("a value of users is taken for a table: %v", err)
	}
}

func TestHashIsRefusedForWhatBcryptWouldCut(t *testing.T) {
	long := strings.Repeat("x", 73)
	if _, err := NewCompiler(seeded()).Text("${bcrypt('"+long+"', 4)}", Plain); err == nil || strings.Contains(err.Error(), long) {
		t.Error(err)
	}
	x := rowText(t, "${bcrypt(domain + string(n) + '"+long[:60]+"', 4)}")
	if _, err := x.Value(&Ctx{Row: 1, Rows: book{}}); err == nil || strings.Contains(err.Error(), long[:60]) {
		t.Error(err)
	}
}
