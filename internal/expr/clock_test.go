package expr

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestNowIsWrittenAsPythonWritesAnAwareInstant(t *testing.T) {
	if got := string(appendISO(nil, 1767323045000006789)); got != "2026-01-02T03:04:05.000006+00:00" {
		t.Error(got)
	}
	rapid.Check(t, func(t *rapid.T) {
		ns := rapid.Int64().Draw(t, "ns")
		want := time.Unix(0, ns).UTC().Format("2006-01-02T15:04:05.000000") + "+00:00"
		if got := string(appendISO(nil, ns)); got != want {
			t.Fatalf("%d: %s, want %s", ns, got, want)
		}
	})
}

func TestLayoutOfAnotherLanguageIsNoticed(t *testing.T) {
	for layout, want := range map[string]bool{"2006-01-02": true, "15:04": true, "PM": true, time.RFC3339: true, "%Y-%m-%d": false, "YYYY-MM-DD": false, "": false} {
		if got := tellsTime(layout); got != want {
			t.Errorf("tellsTime(%q) is %v", layout, got)
		}
	}
}
