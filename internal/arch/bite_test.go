package arch

import (
	"strings"
	"testing"
)

// A rule that cannot be broken is no rule. Each case is a tree that breaks one
// rule once, or is as near to breaking it as is allowed.
func TestEachRuleBites(t *testing.T) {
	house := map[string]room{
		"pkg/pure": {pure: true, except: because{"write.go os": "it writes"}},
		"pkg/user": {uses: because{"pkg/pure": "it needs it"}, tests: because{"pkg/side": "to test against"}},
		"pkg/side": {},
	}
	third := map[string]module{
		"example.org/yaml/v3": {why: "one package knows YAML", in: []string{"pkg/pure"}, tests: []string{"pkg/side"}},
		"example.org/diff":    {why: "differences", tests: everywhere},
	}
	imports := func(tree []source) []string { return strayImports(tree, house) }
	purity := func(tree []source) []string { return impurities(tree, house) }
	foreign := func(tree []source) []string { return strayModules(tree, third) }

	// What all trees have, so that no room is missing.
	usual := map[string]string{
		"pkg/pure/a.go": "// Package pure is pure.\npackage pure",
		"pkg/user/a.go": "// Package user uses.\npackage user\nimport _ \"tollgate/pkg/pure\"",
		"pkg/side/a.go": "// Package side stands aside.\npackage side",
	}
	for _, c := range []struct {
		name  string
		rule  func([]source) []string
		files map[string]string
		want  string // part of the one fault; "" for none
	}{
		{"the usual tree: imports", imports, nil, ""},
		{"the usual tree: purity", purity, nil, ""},
		{"the usual tree: modules", foreign, nil, ""},
		{"the usual tree: comments", miscommented, nil, ""},
		{"the usual tree: names", namelessNames, nil, ""},

		{"a way back", imports, map[string]string{"pkg/pure/b.go": "package pure\nimport _ \"tollgate/pkg/user\""}, "pkg/pure/b.go:2: pkg/pure may not import pkg/user"},
		{"a way back in a test", imports, map[string]string{"pkg/pure/b_test.go": "package pure\nimport _ \"tollgate/pkg/user\""}, "may not import pkg/user"},
		{"what only a test may, in a test", imports, map[string]string{"pkg/user/b_test.go": "package user\nimport _ \"tollgate/pkg/side\""}, ""},
		{"what only a test may, in code", imports, map[string]string{"pkg/user/b.go": "package user\nimport _ \"tollgate/pkg/side\""}, "may not import pkg/side"},
		{"an outer test of itself", imports, map[string]string{"pkg/pure/b_test.go": "package pure_test\nimport _ \"tollgate/pkg/pure\""}, ""},
		{"a room nobody announced", imports, map[string]string{"pkg/new/a.go": "package new"}, "pkg/new is a room without a line"},
		{"a room that is gone", imports, map[string]string{"pkg/side/a.go": ""}, "has a room pkg/side, and there is none"},

		{"files", purity, map[string]string{"pkg/pure/b.go": "package pure\nimport \"os\"\nvar _ = os.Args"}, "may not import os"},
		{"files where they are allowed", purity, map[string]string{"pkg/pure/write.go": "package pure\nimport \"os\"\nvar _ = os.Args"}, ""},
		{"the network where files are allowed", purity, map[string]string{"pkg/pure/write.go": "package pure\nimport _ \"net\""}, "may not import net"},
		{"HTTP", purity, map[string]string{"pkg/pure/b.go": "package pure\nimport _ \"net/http\""}, "may not import net/http"},
		{"addresses as text", purity, map[string]string{"pkg/pure/b.go": "package pure\nimport _ \"net/url\""}, ""},
		{"system calls", purity, map[string]string{"pkg/pure/b.go": "package pure\nimport _ \"golang.org/x/sys/unix\""}, "may not import golang.org/x/sys/unix"},
		{"the clock", purity, map[string]string{"pkg/pure/b.go": "package pure\nimport \"time\"\nvar _ = time.Now()"}, "pkg/pure/b.go:3: pkg/pure is pure and may not call time.Now"},
		{"the clock under another name", purity, map[string]string{"pkg/pure/b.go": "package pure\nimport t \"time\"\nvar now = t.Now"}, "time.Now"},
		{"the clock by the back door", purity, map[string]string{"pkg/pure/b.go": "package pure\nimport . \"time\"\nvar _ = Now()"}, "dot import"},
		{"waiting", purity, map[string]string{"pkg/pure/b.go": "package pure\nimport \"time\"\nfunc f() { time.Sleep(1) }"}, "time.Sleep"},
		{"durations", purity, map[string]string{"pkg/pure/b.go": "package pure\nimport \"time\"\nvar _ = time.Second"}, ""},
		{"shared chance", purity, map[string]string{"pkg/pure/b.go": "package pure\nimport \"math/rand/v2\"\nvar _ = rand.IntN(6)"}, "rand.IntN"},
		{"seeded chance", purity, map[string]string{"pkg/pure/b.go": "package pure\nimport \"math/rand/v2\"\nvar _ = rand.New(rand.NewPCG(1, 2)).IntN(6)"}, ""},
		{"the machine's chance", purity, map[string]string{"pkg/pure/b.go": "package pure\nimport _ \"crypto/rand\""}, "crypto/rand"},
		{"shared fakes", purity, map[string]string{"pkg/pure/b.go": "package pure\nimport \"github.com/brianvoe/gofakeit/v7\"\nvar _ = gofakeit.Name()"}, "gofakeit.Name"},
		{"the clock in a test", purity, map[string]string{"pkg/pure/b_test.go": "package pure\nimport \"time\"\nvar _ = time.Now()"}, ""},
		{"the clock in another room", purity, map[string]string{"pkg/user/b.go": "package user\nimport \"time\"\nvar _ = time.Now()"}, ""},

		{"a module in its room", foreign, map[string]string{"pkg/pure/b.go": "package pure\nimport _ \"example.org/yaml/v3\""}, ""},
		{"a module elsewhere", foreign, map[string]string{"pkg/user/b.go": "package user\nimport _ \"example.org/yaml/v3\""}, "pkg/user may not import example.org/yaml/v3 (one package knows YAML)"},
		{"a package of a module elsewhere", foreign, map[string]string{"pkg/user/b.go": "package user\nimport _ \"example.org/yaml/v3/ast\""}, "may not import example.org/yaml/v3"},
		{"a module in a test that may", foreign, map[string]string{"pkg/side/b_test.go": "package side\nimport _ \"example.org/yaml/v3\""}, ""},
		{"a module in code whose test may", foreign, map[string]string{"pkg/side/b.go": "package side\nimport _ \"example.org/yaml/v3\""}, "pkg/side may not import"},
		{"a test's module in any test", foreign, map[string]string{"pkg/user/b_test.go": "package user\nimport _ \"example.org/diff/text\""}, ""},
		{"a test's module in code", foreign, map[string]string{"pkg/user/b.go": "package user\nimport _ \"example.org/diff\""}, "may not import example.org/diff"},
		{"a module that nobody explained", foreign, map[string]string{"pkg/user/b.go": "package user\nimport _ \"example.org/diffuse\""}, "belongs to no module"},

		{"no package comment", miscommented, map[string]string{"pkg/side/a.go": "package side"}, "pkg/side has no package comment"},
		{"two package comments", miscommented, map[string]string{"pkg/side/b.go": "// Package side again.\npackage side"}, "pkg/side has 2 package comments"},
		{"a comment that begins otherwise", miscommented, map[string]string{"pkg/side/a.go": "// This is side.\npackage side"}, "begins \"Package side ...\""},
		{"a comment in a test", miscommented, map[string]string{"pkg/side/a.go": "package side", "pkg/side/a_test.go": "// Package side is tested.\npackage side"}, "in a test"},
		{"tests alone, with a comment", miscommented, map[string]string{"pkg/only/a_test.go": "// Package only tests.\npackage only"}, ""},
		{"tests alone, without one", miscommented, map[string]string{"pkg/only/a_test.go": "package only"}, "pkg/only has no package comment"},
		{"a command", miscommented, map[string]string{"cmd/tool/main.go": "// Command tool works.\npackage main"}, ""},
		{"a command that is called otherwise", miscommented, map[string]string{"cmd/tool/main.go": "// Package main works.\npackage main"}, "begins \"Command tool ...\""},

		{"a name for anything", namelessNames, map[string]string{"internal/util/a.go": "package util"}, "a package called util owns nothing"},
		{"a name for anything, hidden", namelessNames, map[string]string{"internal/str/a.go": "package helpers"}, "a package called helpers owns nothing"},
		{"a folder for anything", namelessNames, map[string]string{"internal/common/text/a.go": "package text"}, "called common"},

		{"a skipped test", skips, map[string]string{"pkg/side/a_test.go": "package side\nfunc TestA(t *testing.T) { t.Skip(\"later\") }"}, "pkg/side/a_test.go:2: Skip"},
		{"a skipped subtest", skips, map[string]string{"pkg/side/a_test.go": "package side\nfunc TestA(t *testing.T) { t.Run(\"b\", func(t *testing.T) { t.SkipNow() }) }"}, "SkipNow"},
		{"a test that is skipped when short", skips, map[string]string{"pkg/side/a_test.go": "package side\nfunc TestA(t *testing.T) { if testing.Short() { return } }"}, "Short"},
		{"a test skipped by another's hand", skips, map[string]string{"pkg/side/a_test.go": "package side\nfunc need(f fixture) { f.t.Skipf(\"%v\", f) }"}, "Skipf"},
		{"a discarded case", skips, map[string]string{"pkg/side/a_test.go": "package side\nfunc TestA(t *testing.T) { rapid.Check(t, func(t *rapid.T) { t.Skip(\"draw again\") }) }"}, ""},
		{"a skip after a property", skips, map[string]string{"pkg/side/a_test.go": "package side\nfunc TestA(t *testing.T) { rapid.Check(t, func(t *rapid.T) {}); t.Skip() }"}, "Skip"},

		{"an init that reads the environment", busyInits, map[string]string{"pkg/side/b.go": "package side\nimport \"os\"\nvar home string\nfunc init() { home = os.Getenv(\"HOME\") }"}, "pkg/side/b.go:4: init uses os.Getenv"},
		{"an init that starts a goroutine", busyInits, map[string]string{"pkg/side/b.go": "package side\nfunc init() { go f() }\nfunc f() {}"}, "init starts"},
		{"an init that fills a table", busyInits, map[string]string{"pkg/side/b.go": "package side\nvar a = map[int]int{}\nfunc init() { for i := range 9 { a[i] = i * i } }"}, ""},
		{"a method called init", busyInits, map[string]string{"pkg/side/b.go": "package side\nimport \"os\"\ntype a struct{}\nfunc (a) init() { os.Exit(1) }"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			expect(t, c.rule(tree(t, usual, c.files)), c.want)
		})
	}
}

// tree parses files over others; an empty text takes one away.
func tree(t *testing.T, layers ...map[string]string) []source {
	t.Helper()
	all := map[string]string{}
	for _, layer := range layers {
		for path, text := range layer {
			all[path] = text
		}
	}
	var tree []source
	for path, text := range all {
		if text == "" {
			continue
		}
		s, err := parse(path, text)
		if err != nil {
			t.Fatal(err)
		}
		tree = append(tree, s)
	}
	return tree
}

// expect asks for exactly one fault, or for none.
func expect(t *testing.T, faults []string, want string) {
	t.Helper()
	switch {
	case want == "" && len(faults) > 0:
		t.Errorf("faults where there are none: %q", faults)
	case want != "" && (len(faults) != 1 || !strings.Contains(faults[0], want)):
		t.Errorf("faults %q, want one that says %q", faults, want)
	}
}

func TestRequirementsAndTableMustAgree(t *testing.T) {
	table := map[string]module{"example.org/a": {why: "it is needed"}}
	for _, c := range []struct {
		name     string
		required []requirement
		want     string
	}{
		{"the same", []requirement{{Path: "example.org/a"}}, ""},
		{"one more, of somebody else's", []requirement{{Path: "example.org/a"}, {Path: "example.org/b", Indirect: true}}, ""},
		{"one more", []requirement{{Path: "example.org/a"}, {Path: "example.org/b"}}, "go.mod requires example.org/b"},
		{"one less", nil, "allows example.org/a"},
		{"one that is said to be somebody else's", []requirement{{Path: "example.org/a", Indirect: true}}, "allows example.org/a"},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, unexplained(c.required, table), c.want) })
	}
}

func TestMachinePathsAreFound(t *testing.T) {
	for _, c := range []struct{ name, line, want string }{
		{"a scratch file", "see /" + "tmp/x", "a.md:1"},
		{"a home", "open \"/" + "home/ann/x\"", "a.md:1"},
		{"another system's home", "C:" + `\Users\ann`, "a.md:1"},
		{"the administrator's", "`/" + "root/.cache`", "a.md:1"},
		{"a path of the tree", "see internal/" + "work/x and ./" + "tmp/x", ""},
		{"an address", "http://example.org/" + "work/x", ""},
		{"a variable", "${TMPDIR:-/tmp}", ""},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, machinePaths(map[string]string{"a.md": c.line}), c.want) })
	}
}

func TestUndocumentedRoomIsFound(t *testing.T) {
	house := map[string]room{"pkg/a": {}, "pkg/ab": {}}
	expect(t, undocumented("`pkg/a` and `pkg/ab`", house), "")
	expect(t, undocumented("only `pkg/ab`", house), "about pkg/a")
}

func TestWhatGitIgnoresIsNotRead(t *testing.T) {
	list := patterns("# made by builds\n/bin/\nresults/\n*.test\n/coverage.out\n")
	for _, c := range []struct {
		file      string
		dir, want bool
	}{
		{"bin", true, true},
		{"cmd/bin", true, false},
		{"bin", false, false},
		{"results", true, true},
		{"specs/results", true, true},
		{"pkg/exec/exec.test", false, true},
		{"pkg/exec/exec_test.go", false, false},
		{"coverage.out", false, true},
		{"docs/coverage.out", false, false},
	} {
		if got := list.match(c.file, c.dir); got != c.want {
			t.Errorf("%s (folder %v): ignored %v, want %v", c.file, c.dir, got, c.want)
		}
	}
}
