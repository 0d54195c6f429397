package expr

import (
	"strings"
	"testing"
)

func TestNearestIsWhatATypoMeant(t *testing.T) {
	legal := []string{"category", "severity", "dispatcher", "p95", "id"}
	tests := map[string]string{
		"categry":                  "category",
		"catgeory":                 "category", // swapped neighbours are one edit
		"Severity":                 "severity",
		"dispatchers":              "dispatcher",
		"p59":                      "p95",
		"x":                        "",
		"incidents":                "",
		"category":                 "", // itself is not a correction
		"":                         "",
		strings.Repeat("a", 1<<20): "",
	}
	for name, want := range tests {
		if got := Nearest(name, legal); got != want {
			t.Errorf("Nearest(%.20q) is %q, want %q", name, got, want)
		}
	}
}

func TestEditsAreSymmetricAndZeroOnlyForTheSame(t *testing.T) {
	words := []string{"", "a", "ab", "ba", "abc", "acb", "kitten", "sitting"}
	for _, a := range words {
		for _, b := range words {
			if d, e := edits(a, b), edits(b, a); d != e || (d == 0) != (a == b) {
				t.Errorf("edits(%q, %q) is %d, and %d the other way", a, b, d, e)
			}
		}
	}
	if d := edits("kitten", "sitting"); d != 3 {
		t.Errorf("edits(kitten, sitting) is %d, want 3", d)
	}
}
