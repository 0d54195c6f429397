package spec

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tollgate/internal/expr"
)

func FuzzParse(f *testing.F) {
	f.Add(shop)
	for _, pattern := range []string{"testdata/err/*.yaml", "testdata/sound/*.yaml", "../../specs/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			src, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(src))
		}
	}
	files := map[string]string{}
	for _, name := range []string{"shared.yaml", "data/accounts.csv", "data/tenants.csv", "data/order.xml", "data/photo.png"} {
		data, err := folder("sound")(name)
		if err != nil {
			f.Fatal(err)
		}
		files[name] = string(data)
	}
	for name, data := range pems() {
		files[name] = string(data)
	}
	f.Fuzz(func(t *testing.T, src string) {
		start := time.Now()
		s, faults := Parse("fuzz.yaml", []byte(src), Options{Env: noEnv, Profile: "smoke", ReadFile: kept(files)})
		if spent := time.Since(start); spent > 10*time.Second {
			t.Fatalf("took %v", spent)
		}
		if (s == nil) == (len(faults) == 0) {
			t.Fatalf("neither a spec nor faults, or both: %v", faults)
		}
		lines := len(newSource("", src).lines)
		for _, fault := range faults {
			if fault.Line < 1 || fault.File == "fuzz.yaml" && fault.Line > lines || fault.Col < 1 || fault.Msg == "" {
				t.Fatalf("%+v", fault)
			}
		}
		if !slices.IsSortedFunc(faults, func(a, b Fault) int { return cmp.Or(cmp.Compare(a.File, b.File), a.Line-b.Line) }) {
			t.Fatal("the faults are not sorted")
		}
		var b strings.Builder
		if err := faults.Format(&b); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsFunc(b.String(), func(r rune) bool { return forbidden(r) }) {
			t.Fatalf("%q", b.String())
		}
		if s == nil {
			return
		}
		for _, promise := range s.SLOs {
			if len(s.Judged(promise.Objective)) == 0 {
				t.Fatalf("%s is judged nowhere", promise.Objective.Text)
			}
		}
		if _, faults := s.With(Override{}); faults != nil {
			t.Fatal(faults)
		}
		checkSeed(t, s)
	})
}

// checkSeed makes the first row of each table. That a row cannot be made is an
// error, and no panic.
func checkSeed(t *testing.T, s *Spec) {
	for _, p := range s.Probes {
		if from := []string{p.SQL, p.Query, p.Scrape}; len(strings.Join(from, "")) == 0 || p.Every < time.Second {
			t.Fatalf("%+v", p)
		}
	}
	if s.Seed == nil {
		return
	}
	_ = s.Seed.Where()
	for i, entry := range s.Seed.Tables {
		if entry.Table == "" || entry.Count < 1 || len(entry.Columns) == 0 {
			t.Fatalf("%+v", entry)
		}
		for _, c := range entry.Columns {
			ctx := &expr.Ctx{Key: RowKey(1, i, 1), Row: 1, Rows: dull{len(s.Seed.Tables[:i])}}
			if len(c.Value.Slots()) > 0 {
				t.Fatalf("%s of %s reads values of a user", c.Name, entry.Table)
			}
			if !c.JSON {
				_, _ = c.Value.Value(ctx)
			} else if b, err := c.Value.Append(nil, ctx); err == nil && !json.Valid(b) {
				t.Fatalf("%s of %s is %q", c.Name, entry.Table, b)
			}
		}
	}
	for _, c := range s.Seed.Clean {
		if c.Table == "" || len(c.Where) == 0 {
			t.Fatalf("%+v empties a table", c)
		}
		for _, w := range c.Where {
			is := 0
			for _, set := range []bool{w.Eq != nil, w.In != nil, w.Like != "", w.InRows, w.SinceRun} {
				if set {
					is++
				}
			}
			if is != 1 || w.Column == "" || strings.Trim(w.Like, "%_") == "" && w.Like != "" || w.InRows && w.InTable >= len(s.Seed.Tables) {
				t.Fatalf("%+v is no condition", w)
			}
		}
	}
}

// dull answers what rows ask of the tables before them, of which there are so many.
type dull struct{ tables int }

func (d dull) Column(table, _ int, n int64) (expr.Value, error) {
	if table >= d.tables || n < 1 {
		panic("a row refers to one that is not made yet")
	}
	return expr.Integer(n), nil
}
func (dull) Lookup(string, string, expr.Value, string) (expr.Value, error) { return expr.Value{}, nil }
func (dull) Bcrypt(string, int) (string, error)                            { return "$2b$", nil }

func FuzzDSN(f *testing.F) {
	for _, seed := range []string{
		"postgres://app:hunter2@db.test:5433/shop?sslmode=require", "postgres:///a?host=/run&password=x", "host=a password='it\\'s' dbname = b", "postgres://a:b@h1:1,h2:2/x",
		"password=", "password='", "=", "a=\\", "postgres://:%zz@/", "postgresql://?&;", "mysql://a:b@c", "dbname=x  ", "password=''", "p assword=1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, dsn string) {
		where, secrets, why := parseDSN(dsn)
		if why != "" {
			if where != "" || secrets != nil || len(dsn) > 12 && strings.Contains(why, dsn) {
				t.Fatalf("%q, %q, %q", where, secrets, why)
			}
			return
		}
		if !strings.HasPrefix(where, "postgres://") || slices.Contains(secrets, "") {
			t.Fatalf("%q, %q", where, secrets)
		}
		if len(secrets) > 0 && !slices.Contains(secrets, dsn) {
			t.Fatalf("the whole of %q is no secret", dsn)
		}
	})
}

func FuzzRows(f *testing.F) {
	for _, seed := range []string{"a,b\n1,2\n", "\ufeffa\r\n\"x,\"\"y\"\r\n\r\nz", "a\n\"open", "a,a\n", "a;b\n1;2", "\xff", "a\n\xff", "", "\n\n", "a,b\n1\n", "a b\nc"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data string) {
		table := readTable("f.csv", data)
		if bad := table.bad; bad != nil {
			if bad.Line < 1 || bad.Line > strings.Count(data, "\n")+1 || bad.Col < 1 || bad.Msg == "" || bad.Source != "" {
				t.Fatalf("%+v", bad)
			}
			return
		}
		feed := feed{Feeder: &Feeder{}, file: &file{data: data}, table: table}
		for i, name := range table.columns {
			feed.Columns = append(feed.Columns, FeedColumn{Name: name, Slot: i})
		}
		feed.fill()
		if len(feed.Rows) != table.rows || table.rows < 1 {
			t.Fatalf("%d rows of %d", len(feed.Rows), table.rows)
		}
		for _, row := range feed.Rows {
			if len(row) != len(table.columns) {
				t.Fatalf("%+v", row)
			}
		}
	})
}

func BenchmarkParseSOC(b *testing.B) {
	src, err := os.ReadFile("../../specs/soc.yaml")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		if _, faults := Parse("soc.yaml", src, Options{}); faults != nil {
			b.Fatal(faults)
		}
	}
}
