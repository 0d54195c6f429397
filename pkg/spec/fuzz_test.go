package spec

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
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
