package spec

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func FuzzParse(f *testing.F) {
	f.Add(shop)
	for _, pattern := range []string{"testdata/err/*.yaml", "../../specs/*.yaml"} {
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
	f.Fuzz(func(t *testing.T, src string) {
		start := time.Now()
		s, faults := Parse("fuzz.yaml", []byte(src), Options{Env: noEnv, Profile: "smoke"})
		if spent := time.Since(start); spent > 10*time.Second {
			t.Fatalf("took %v", spent)
		}
		if (s == nil) == (len(faults) == 0) {
			t.Fatalf("neither a spec nor faults, or both: %v", faults)
		}
		lines := strings.Count(src, "\n") + 1
		for _, fault := range faults {
			if fault.Line < 1 || fault.Line > lines || fault.Col < 1 || fault.Msg == "" {
				t.Fatalf("%+v", fault)
			}
		}
		if !slices.IsSortedFunc(faults, func(a, b Fault) int { return a.Line - b.Line }) {
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
