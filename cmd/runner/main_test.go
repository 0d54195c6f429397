package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"runner": main})
}

func TestPanicIsInternalAndGivesTheTerminalBack(t *testing.T) {
	c, written := paper(t)
	a := &app{err: c.out, canvas: c}
	got := a.guard(func() code {
		c.draw(lines("running"), 80, 24, false)
		panic("the sky is falling")
	})
	if got != internal {
		t.Errorf("exit code %d, want %d", got, internal)
	}
	text := written()
	for _, want := range []string{showCursor + "runner: internal error, please report: the sky is falling\n", "main_test.go"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q lacks %q", text, want)
		}
	}
}

// typed runs a command line inside this process.
func typed(t *testing.T, args ...string) (c code, stdout, stderr string) {
	t.Helper()
	dir := t.TempDir()
	var files [2]*os.File
	for i, name := range []string{"out", "err"} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files[i] = f
	}
	c = execute(args, files[0], files[1])
	read := func(f *os.File) string {
		text, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	return c, read(files[0]), read(files[1])
}

func TestUsageFaultsAreFiveAndSayWhatToType(t *testing.T) {
	soc := filepath.Join("..", "..", "specs", "soc.yaml")
	for _, c := range []struct{ args, reason, hint string }{
		{"", "no command given", "runner help tells more"},
		{"rum", `runner has no command "rum"`, "did you mean runner run?"},
		{"fly away", `runner has no command "fly"`, "the commands are "},
		{"help exit-code", `runner has no command "exit-code"`, "did you mean runner exit-codes?"},
		{"run", "runner run needs a spec", "write it like runner run specs/soc.yaml"},
		{"run a.yaml b.yaml", `runner run takes no argument "b.yaml"`, "write it like"},
		{"run nowhere.yaml", "nowhere.yaml: no such file or directory", "is the path right?"},
		{"run .", ".: is a directory", ""},
		{"run x.yaml --usres 5", "unknown flag: --usres", "did you mean --users?"},
		{"run x.yaml --users many", `invalid argument "many"`, "runner run --help lists the flags"},
		{"run " + soc + " --rate 50", "--rate: 50 has no unit", "write 50/s"},
		{"run " + soc + " --ramp 5", "--ramp: 5 has no unit", "write 5s"},
		{"run " + soc + " --for 2", "--for: 2 has no unit", "write 2s"},
		{"run " + soc + " --random-seed x", `--random-seed: "x" is no seed`, "--random-seed 42"},
		{"run " + soc + " --loops -1", "--loops: -1 is not between", "one for each core"},
		{"run " + soc + " --profile spiek", `no profile is called "spiek"`, "spike"},
		{"run " + soc + " --persona nobody", `--persona: no persona is called "nobody"`, ""},
		{"run " + soc + " --users 5 --rate 5/s", "--rate: a stage has users or a rate", "keep one of them"},
		{"plan " + soc + " --latency fast", `--latency: "fast" is not a duration`, "200ms"},
		{"plan " + soc + " --set values.threat=x", `--set values.threat: no value is called "threat"`, "threats"},
		{"check", "runner check needs at least one spec", "write it like"},
		{"check " + soc + " --format jsn", `--format: there is no format "jsn"`, "did you mean json?"},
		{"demo soap", `runner demo takes no argument "soap"`, ""},
		{"demo soc --errors 2", "2 is not a share from 0 to 1", "lists the knobs"},
		{"demo soc --listen 0.0.0.0:0", "not on loopback", "127.0.0.1"},
		{"schema verdict", `no schema is called "verdict"`, "spec and result"},
		{"completion bsh", `no completion for the shell "bsh"`, "did you mean bash?"},
		{"version 2", `runner version takes no argument "2"`, ""},
	} {
		got, stdout, stderr := typed(t, strings.Fields(c.args)...)
		if got != badSpec {
			t.Errorf("%s: exit code %d, want %d", c.args, got, badSpec)
		}
		if stdout != "" {
			t.Errorf("%s: a fault belongs to stderr, and stdout has %q", c.args, stdout)
		}
		if !strings.Contains(stderr, c.reason) || !strings.Contains(stderr, c.hint) {
			t.Errorf("%s: stderr %q lacks %q or %q", c.args, stderr, c.reason, c.hint)
		}
	}
}

func TestEveryCommandHasAnExample(t *testing.T) {
	a := &app{out: &printer{file: os.Stdout}, err: &printer{file: os.Stderr}, env: os.LookupEnv}
	for _, cmd := range append(a.root().Commands(), a.demoSOCCommand()) {
		if cmd.Runnable() && !strings.Contains(cmd.Example, "runner "+cmd.Name()) && cmd.Name() != "soc" {
			t.Errorf("%s has no example", cmd.Name())
		}
	}
}
