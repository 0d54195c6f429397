package seed

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"
	"pgregory.net/rapid"

	"tollgate/internal/expr"
)

const mixed = `
CREATE TABLE owners (id serial PRIMARY KEY, code text NOT NULL);
CREATE TABLE things (id uuid PRIMARY KEY, n int, owner text, x double precision, label text, extra jsonb, at timestamptz, secret text);`

const mixedRows = `
- {table: owners, count: 50, row: {code: "c${n}"}}
- table: things
  count: 700
  row:
    id: ${uuid()}
    n: ${int(1, 1000000)}
    owner: ${pick(owners).code}
    x: ${float(0, 1)}
    label: '${n % 7 == 0 ? nil : fake.name()}'
    extra: {n: "${n}", list: [1, "${pick(owners, n).code}"]}
    at: ${now()}
    secret: ${bcrypt("x", 4)}`

// filledOnce fills a database of its own, and returns what is in it.
func filledOnce(t *testing.T, seed string, o Options) (sum Summary, content string) {
	t.Helper()
	url := database(t, mixed)
	d, ctx := held(t, parsed(t, url, seed), o)
	sum = filled(t, d, ctx)
	return sum, run(t, url, `SELECT string_agg(t::text, E'\n' ORDER BY id) FROM (SELECT id, n, owner, x, label, extra FROM things) t`)
}

func TestDigestTellsTheSameDataFromOther(t *testing.T) {
	base := Options{RunID: "a", RandomSeed: 1}
	first, content := filledOnce(t, rows(mixedRows), base)
	if !strings.HasPrefix(first.Digest, "sha256:") || len(first.Digest) != 71 {
		t.Error(first.Digest)
	}
	// Another run at another time: the same data.
	same, sameContent := filledOnce(t, rows(mixedRows), Options{RunID: "b", RandomSeed: 1, Now: noon.AddDate(0, 1, 2)})
	if same.Digest != first.Digest {
		t.Error("another run has another digest")
	}
	if content != sameContent {
		t.Error(cmp.Diff(content, sameContent))
	}
	seen := map[string]string{first.Digest: "the first"}
	for what, change := range map[string]struct {
		from, to string
		random   uint64
	}{
		"another random seed": {"", "", 2},
		"a row more":          {"count: 700", "count: 701", 1},
		"another value":       {"int(1, 1000000)", "int(1, 1000001)", 1},
		"another hash":        {`bcrypt("x", 4)`, `bcrypt("y", 4)`, 1},
		"another null":        {"n % 7 == 0", "n % 8 == 0", 1},
	} {
		sum, _ := filledOnce(t, rows(strings.Replace(mixedRows, change.from, change.to, 1)), Options{RandomSeed: change.random})
		if was := seen[sum.Digest]; was != "" {
			t.Errorf("%s has the digest of %s", what, was)
		}
		seen[sum.Digest] = what
	}
}

func TestReferenceIsTheValueThatTheOtherRowHas(t *testing.T) {
	url := database(t, mixed)
	d, ctx := held(t, parsed(t, url, rows(`
- {table: things, as: first, count: 300, row: {id: "${uuid()}", n: "${int(1, 1000000)}", label: "${fake.name()} ${text(9)}"}}
- {table: things, as: second, count: 600, row: {id: "${uuid()}", owner: "${pick(first, n).id}", n: "${pick(first, n).n}", label: "${pick(first, n).label}", secret: second}}
- {table: things, as: third, count: 600, row: {id: "${uuid()}", owner: "${pick(second, n * 7).id}", label: "${pick(second, n * 7).label}", secret: third}}`)), Options{RandomSeed: 5})
	filled(t, d, ctx)
	if got := run(t, url, `SELECT count(*) FROM things a JOIN things b ON b.id::text = a.owner AND b.label = a.label AND (a.secret = 'third' OR b.n = a.n)`); got != "1200" {
		t.Errorf("%s references agree", got)
	}
}

func TestOneHashForAPasswordUnlessSalted(t *testing.T) {
	for salted, want := range map[string]string{"once": "2", "each": "100"} {
		url := database(t, mixed)
		section := rows(`- {table: things, count: 100, row: {id: "${uuid()}", secret: '${bcrypt(n % 2 == 0 ? "even" : "odd", 4)}', n: "${n}"}}`) + "\nsalted: " + salted
		d, ctx := held(t, parsed(t, url, section), Options{})
		filled(t, d, ctx)
		if got := run(t, url, `SELECT count(DISTINCT secret) FROM things`); got != want {
			t.Errorf("salted %s: %s hashes", salted, got)
		}
		hash := run(t, url, `SELECT secret FROM things WHERE n = 7`)
		if err := bcrypt.CompareHashAndPassword([]byte(hash), []byte("odd")); err != nil {
			t.Error(err)
		}
		cleaned(t, d)
	}
	url := database(t, mixed)
	d := opened(t, parsed(t, url, rows(`
- {table: things, as: first, row: {id: "${uuid()}", secret: '${bcrypt("x", 4)}'}}
- {table: things, as: second, row: {id: "${uuid()}", secret: "${first.secret}"}}`)+"\nsalted: each"), Options{})
	faults, err := d.Check(within(t))
	if err != nil || len(faults) != 1 || !strings.Contains(faults[0].Msg, "salted for each row cannot be referred to") {
		t.Error(err, faults)
	}
}

// Whatever a value is, the database holds it as it was.
func TestValuesArriveAsTheyWere(t *testing.T) {
	url := database(t, `CREATE TABLE all_of (id int PRIMARY KEY, s text, v varchar(500), i bigint, f double precision, b boolean, j jsonb, k json, a text[], n numeric[], y bytea)`)
	texts := rapid.StringOfN(rapid.RuneFrom([]rune{'a', 'é', '漢', '\\', '\t', '\n', '\r', '"', '\'', '{', '}', ',', 'N', ' ', '\b', '\v', '$', '\x7f'}), 0, 12, -1)
	s := parsed(t, url, rows(`- {table: all_of, row: {id: 1, s: a, v: a, i: 1, f: 1, b: true, j: {}, k: {}, a: [], n: [], y: a}}`))
	d, ctx := held(t, s, Options{})
	if faults, err := d.Check(ctx); err != nil || faults != nil {
		t.Fatal(err, faults)
	}
	number := 0
	rapid.Check(t, func(t *rapid.T) {
		number++
		want := map[string]any{
			"id": float64(number), "s": texts.Draw(t, "s"), "v": texts.Draw(t, "v"), "i": float64(rapid.Int32().Draw(t, "i")), "f": rapid.Float64Range(-1e9, 1e9).Draw(t, "f"),
			"b": rapid.Bool().Draw(t, "b"), "j": map[string]any{texts.Draw(t, "key"): texts.Draw(t, "value")}, "k": []any{texts.Draw(t, "k"), nil, 1.5},
			"a": anys(rapid.SliceOfN(texts, 0, 4).Draw(t, "a")), "n": anys(rapid.SliceOfN(rapid.Float64Range(-1e6, 1e6), 0, 4).Draw(t, "n")),
		}
		raw := rapid.SliceOfN(rapid.Byte(), 0, 8).Draw(t, "y")
		want["y"] = fmt.Sprintf(`\x%x`, raw)
		if rapid.Bool().Draw(t, "null") {
			want["s"], want["f"] = nil, nil
		}
		consts := map[string]expr.Value{}
		names := &expr.Names{Consts: consts, InRows: true}
		compile := expr.NewCompiler(names)
		table := *s.Seed.Tables[0]
		table.Columns = slices.Clone(table.Columns)
		for i := range table.Columns {
			c := &table.Columns[i]
			consts[c.Name+"_"] = value(want[c.Name], string(raw), c.Name == "y")
			mode := expr.Plain
			if c.JSON {
				mode = expr.JSONText
			}
			text, err := compile.Text("${"+c.Name+"_}", mode)
			if err != nil {
				t.Fatal(err)
			}
			c.Value = text
		}
		var none faults
		e := d.planEntry(0, &table, d.catalog.tables["all_of"], &none)
		b := &block{first: 1, rows: 1}
		newGenerator(d, d).make(e, b)
		if b.err != nil || none.list != nil {
			t.Fatal(b.err, none.list)
		}
		if _, err := d.work.conn.CopyFrom(ctx, strings.NewReader(string(b.text)), e.copySQL()); err != nil {
			t.Fatalf("%v: %q", err, b.text)
		}
		var got map[string]any
		if err := d.work.scan(ctx, &got, `SELECT to_json(r) FROM all_of r WHERE id = $1::text::int`, number); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func anys[T any](list []T) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = v
	}
	return out
}

// value is what an expression would give.
func value(v any, raw string, isRaw bool) expr.Value {
	if isRaw {
		return expr.Str(raw)
	}
	switch v := v.(type) {
	case nil:
		return expr.Value{}
	case string:
		return expr.Str(v)
	case float64:
		return expr.Number(v)
	case bool:
		return expr.Boolean(v)
	}
	text, _ := json.Marshal(v) // it came from JSON's own types
	return expr.RawJSON(string(text))
}

// A row costs little memory and little time: the server's part is larger.
func BenchmarkRow(b *testing.B) {
	s := parsed(b, "postgres://127.0.0.1/x", strings.Replace(usersOf(1_000_000, 4), `${bcrypt("TestPass123456!", 4)}`, "$2a$04$x", 1))
	t := &table{Schema: "public", Name: "users", Key: []string{"id"}}
	for _, c := range s.Seed.Tables[2].Columns {
		base := map[string]string{"id": "uuid", "agency_id": "uuid", "team_id": "uuid", "is_active": "bool"}[c.Name]
		t.Columns = append(t.Columns, &column{Name: c.Name, Base: base, Category: "S"})
	}
	d := &Database{spec: s, seed: s.Seed, opts: Options{Now: noon}, hashes: newHashes(false)}
	var none faults
	t.MayRead, t.MayWrite, t.MayClean = true, true, true
	e := d.planEntry(2, s.Seed.Tables[2], t, &none)
	if none.list != nil {
		b.Fatal(none.list)
	}
	g := newGenerator(d, d)
	blk := &block{rows: blockRows}
	b.ReportAllocs()
	for n := int64(1); b.Loop(); n += blockRows {
		blk.first = n
		g.make(e, blk)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/blockRows, "ns/row")
}
