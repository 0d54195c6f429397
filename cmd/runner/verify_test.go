package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tollgate/internal/attest"
	"tollgate/internal/demo"
	"tollgate/specs"
)

// signedResult runs the demo, signs its result, and returns the folder, the key
// to verify with, and the command line that made it.
func signedResult(t *testing.T) (dir, pub string) {
	t.Helper()
	server, err := demo.Start("127.0.0.1:0", demo.NewSOC(demo.Options{Knobs: demo.Knobs{}}))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	home := t.TempDir()
	file, dir, key := filepath.Join(home, "soc.yaml"), filepath.Join(home, "out"), filepath.Join(home, "release.key")
	if err := os.WriteFile(file, specs.SOC, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, line := range [][]string{
		{"run", file, "--profile", "verify", "--users", "5", "--ramp", "0s", "--for", "2s", "--target", server.URL, "--out", dir, "--quiet"},
		{"attest", "--keygen", key},
		{"attest", dir, "--key", key},
	} {
		if c, out, told := typed(t, line...); c != pass && line[0] != "run" {
			t.Fatalf("%v: %d: %s%s", line, c, out, told)
		}
	}
	return dir, key + ".pub"
}

// Whatever is done to one byte of a signed result, verify refuses it, and says
// where. TOLLGATE_EDITS says how many edits are made.
func TestEditedResultIsRefused(t *testing.T) {
	n := times(t, "TOLLGATE_EDITS", 200)
	dir, pub := signedResult(t)
	doc, err := readResult(dir)
	if err != nil {
		t.Fatal(err)
	}
	if c, out, told := typed(t, "verify", dir, "--pub", pub); int(c) != doc.ExitCode {
		t.Fatalf("unedited: %d: %s%s", c, out, told)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if !slices.Contains(names, attest.FileName) || len(names) < 4 {
		t.Fatalf("the folder holds %v", names)
	}
	chance := rand.New(rand.NewPCG(25, 4))
	for i := range n {
		path := filepath.Join(dir, names[i%len(names)])
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		at := chance.IntN(len(data))
		edited := slices.Clone(data)
		switch chance.IntN(8) {
		case 0:
			edited = slices.Delete(edited, at, at+1)
		case 1:
			edited = slices.Insert(edited, at, byte(chance.IntN(256)))
		default:
			edited[at] ^= byte(1 + chance.IntN(255))
		}
		if err := os.WriteFile(path, edited, 0o644); err != nil {
			t.Fatal(err)
		}
		if c, out, _ := typed(t, "verify", dir, "--pub", pub); c != refused || !strings.Contains(out, names[i%len(names)]) {
			t.Errorf("%s, byte %d from %q: exit code %d: %s", names[i%len(names)], at, data[at], c, out)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if c, _, _ := typed(t, "verify", dir, "--pub", pub); int(c) != doc.ExitCode {
		t.Errorf("restored: exit code %d", c)
	}
}

// What is edited where nobody has signed still contradicts the rest.
func TestUnsignedResultThatContradictsItselfIsRefused(t *testing.T) {
	dir, pub := signedResult(t)
	for name, edit := range map[string][2]string{
		"verdict.json": {`"exit_code": `, `"exit_code": 1`},
		"summary.md":   {"PASS", "FAIL"},
		"result.json":  {`"complete":true`, `"complete":false`},
	} {
		path := filepath.Join(dir, name)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		edited := strings.Replace(string(data), edit[0], edit[1], 1)
		if edited == string(data) {
			edited += " "
		}
		if err := os.WriteFile(path, []byte(edited), 0o644); err != nil {
			t.Fatal(err)
		}
		if c, out, _ := typed(t, "verify", dir); c != refused {
			t.Errorf("%s: exit code %d: %s", name, c, out)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(dir, attest.FileName)); err != nil {
		t.Fatal(err)
	}
	if c, out, _ := typed(t, "verify", dir); c == refused || !strings.Contains(out, "nobody vouches for it") {
		t.Errorf("unsigned: %d: %s", c, out)
	}
	if c, out, _ := typed(t, "verify", dir, "--pub", pub); c != refused || !strings.Contains(out, "it was not signed") {
		t.Errorf("unsigned, and a signature is asked for: %d: %s", c, out)
	}
}

// times returns how often a test does what it does: so often in the suite, and
// as an environment variable says when somebody wants to know better.
func times(t *testing.T, variable string, usually int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return usually
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

// A link shows what nobody has signed, whatever it is called.
func TestALinkInAResultIsRefused(t *testing.T) {
	dir, pub := signedResult(t)
	link := filepath.Join(dir, "index.html")
	if err := os.Symlink(filepath.Join(dir, "report.html"), link); err != nil {
		t.Fatal(err)
	}
	if c, out, _ := typed(t, "verify", dir, "--pub", pub); c != refused || !strings.Contains(out, "index.html is a link") {
		t.Errorf("%d: %s", c, out)
	}
	if c, out, told := typed(t, "attest", dir, "--key", strings.TrimSuffix(pub, ".pub")); c != refused || !strings.Contains(told, "index.html is a link") {
		t.Errorf("signed: %d: %s%s", c, out, told)
	}
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	if c, out, _ := typed(t, "verify", dir, "--pub", pub); c == refused {
		t.Errorf("without it: %d: %s", c, out)
	}
}
