package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheCommitAroundASpecIsFound(t *testing.T) {
	a, b := strings.Repeat("a1", 20), strings.Repeat("b2", 32)
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"a branch":          {map[string]string{".git/HEAD": "ref: refs/heads/main\n", ".git/refs/heads/main": a + "\n"}, a},
		"SHA-256":           {map[string]string{".git/HEAD": "ref: refs/heads/main\n", ".git/refs/heads/main": b + "\n"}, b},
		"no branch":         {map[string]string{".git/HEAD": a + "\n"}, a},
		"a packed branch":   {map[string]string{".git/HEAD": "ref: refs/heads/main\n", ".git/packed-refs": "# pack-refs with: peeled\n" + b + " refs/heads/mainly\n" + a + " refs/heads/main\n^" + b + "\n"}, a},
		"a second tree":     {map[string]string{".git": "gitdir: store/.git/worktrees/x\n", "store/.git/worktrees/x/HEAD": "ref: refs/heads/x\n", "store/.git/worktrees/x/commondir": "../..\n", "store/.git/refs/heads/x": a + "\n"}, a},
		"no repository":     {map[string]string{}, ""},
		"before the first":  {map[string]string{".git/HEAD": "ref: refs/heads/main\n"}, ""},
		"a path outside":    {map[string]string{".git/HEAD": "ref: ../../secret\n", "secret": a + "\n"}, ""},
		"what is no commit": {map[string]string{".git/HEAD": "hello\n"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c.files["specs/deep/s.yaml"] = "version: 1\n"
			for file, text := range c.files {
				path := filepath.Join(dir, file)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got := commitOf(filepath.Join(dir, "specs/deep/s.yaml")); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
