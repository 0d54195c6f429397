package report

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// compared is a failing run beside a stored one.
func compared(t testing.TB) *Document {
	r := failing(t)
	r.Baseline = "results/last | release"
	d := Build(r)
	d.Baseline.Started = "2026-03-07T15:00:00.000Z"
	change := func(before, after, half float64) Change {
		c := after/before - 1
		return Change{number(before), number(after), number(c), number(c - half), number(c + half)}
	}
	still := Change{0, 0, 0, 0, 0}
	d.Baseline.Moves = []Move{
		{"", "", 300, 361, change(0.1, 0.11, 0.2), change(0.2, 0.21, 0.2), Change{0.001, 0.069, 0.068, 0.05, 0.09}},
		{"trigger threat", "POST", 100, 101, change(0.160, 0.176, 0.05), change(0.170, 0.179, 0.1), still},
		{"board", "GET", 200, 200, change(0.046, 0.023, 0.1), change(0.048, 0.024, 0.1), still},
		{"weekly report", "GET", 50, 60, Change{0.4, none, none, none, none}, Change{0.5, none, none, none, none}, Change{0, 0.4, 0.4, 0.3, 0.5}},
		{"<b>|new</b>", "PUT", 0, 5, Change{none, 0.1, none, none, none}, Change{none, 0.1, none, none, none}, Change{none, 0, none, none, none}},
	}
	return d
}

func TestSummaryShowsWhatMovedMostAgainstTheBaseline(t *testing.T) {
	d := compared(t)
	file := filepath.Join("testdata", "compared.md")
	if *update {
		if err := os.WriteFile(file, d.Markdown(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(d.Markdown())); diff != "" {
		t.Errorf("%s (-want +got; run with -update if this is meant):\n%s", file, diff)
	}
	for i := range 30 { // the smaller, the later
		c := Change{1, Number(1 + 0.001*float64(i)), Number(0.001 * float64(i)), none, none}
		d.Baseline.Moves = append(d.Baseline.Moves, Move{fmt.Sprintf("row %d", i), "GET", 9, 9, c, c, Change{0, 0, 0, none, none}})
	}
	text := string(d.Markdown())
	if !strings.Contains(text, "and 24 rows that moved less") || !strings.Contains(text, "| GET row 29 |") || strings.Contains(text, "| GET row 3 |") {
		t.Error("not the rows that moved most")
	}
}

func TestStoredComparisonIsReadBack(t *testing.T) {
	d := compared(t)
	data, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(d.Markdown(), again.Markdown()) {
		t.Error("the summaries differ")
	}
	if without := Build(failing(t)); without.Baseline != nil || strings.Contains(string(without.Markdown()), "baseline") {
		t.Error("a baseline that nobody named")
	}
}

func TestNameOfABaselineIsMasked(t *testing.T) {
	r := nasty(t)
	r.Baseline = "results/" + secret + "\x1b[31m"
	if d := Build(r); d.Baseline.Result != "results/***[31m" {
		t.Errorf("%q", d.Baseline.Result)
	}
}
