package main

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// commanding tells whether GitHub's runner takes a line for a command: it looks
// for :: behind blanks, and for ##[ anywhere.
func commanding(line string) bool {
	return strings.HasPrefix(strings.TrimSpace(line), "::") || strings.Contains(line, "##[")
}

func TestNothingThatATargetSaysIsACommand(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`([ \t\r\n:#\[a-z]{0,6}|\x{00a0}|\x{3000}|::set-env name=X::y|##\[add-mask\]y){0,8}`).Draw(t, "text")
		got := string(tame([]byte(text)))
		for line := range strings.Lines(got) {
			if commanding(line) {
				t.Fatalf("%q becomes %q, which has the command %q", text, got, line)
			}
		}
		if !strings.Contains(text, "::") && !strings.Contains(text, "##[") && got != text {
			t.Fatalf("%q becomes %q for nothing", text, got)
		}
		if squeeze(got) != squeeze(text) {
			t.Fatalf("%q becomes %q", text, got)
		}
	})
}

func squeeze(s string) string { return strings.ReplaceAll(s, " ", "") }

func TestProgressInActionsIsTame(t *testing.T) {
	c, written := paper(t)
	c.out.tame = true
	if _, err := c.out.Write([]byte("  ::add-mask::x\nready ##[group]\n")); err != nil {
		t.Fatal(err)
	}
	if got, want := written(), "  : :add-mask::x\nready ## [group]\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
