package arch

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// root is where the module begins, seen from this package.
const root = "../.."

// name is the module's own path.
const name = "tollgate"

// A source is one Go file.
type source struct {
	path   string // below the root, with slashes
	syntax *ast.File
	at     func(token.Pos) token.Position
}

func (s source) dir() string  { return path.Dir(s.path) }
func (s source) test() bool   { return strings.HasSuffix(s.path, "_test.go") }
func (s source) base() string { return path.Base(s.path) }

// parse reads one Go file.
func parse(path string, text any) (source, error) {
	set := token.NewFileSet()
	syntax, err := parser.ParseFile(set, path, text, parser.ParseComments|parser.SkipObjectResolution)
	return source{path: path, syntax: syntax, at: set.Position}, err
}

// load parses every Go file of the module, whatever system it is built for.
func load(t *testing.T) []source {
	t.Helper()
	var tree []source
	for _, file := range names(t) {
		if path.Ext(file) != ".go" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		s, err := parse(file, text)
		if err != nil {
			t.Fatal(err)
		}
		tree = append(tree, s)
	}
	if len(tree) == 0 {
		t.Fatal("no Go file was found")
	}
	return tree
}

// texts reads every file that may be tracked.
func texts(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, file := range names(t) {
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		files[file] = string(text)
	}
	return files
}

// names lists the files of the tree, without what .gitignore leaves out: the
// test holds in an unpacked archive too, where there is no Git to ask.
func names(t *testing.T) []string {
	t.Helper()
	ignore, err := os.ReadFile(filepath.Join(root, ".gitignore"))
	if err != nil {
		t.Fatal(err)
	}
	left := patterns(string(ignore))
	var list []string
	err = fs.WalkDir(os.DirFS(root), ".", func(file string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // what another process made and has removed
			return nil
		case err != nil:
			return err
		case file == ".git" || left.match(file, entry.IsDir()):
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.Type().IsRegular():
			list = append(list, file)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// ignored are the lines of a .gitignore, of the simple kinds: NAME, NAME/,
// /PATH, /PATH/ and globs of a name.
type ignored []string

func patterns(text string) ignored {
	var list ignored
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			list = append(list, line)
		}
	}
	return list
}

func (list ignored) match(file string, dir bool) bool {
	return slices.ContainsFunc(list, func(p string) bool {
		if strings.HasSuffix(p, "/") && !dir {
			return false
		}
		p = strings.TrimSuffix(p, "/")
		subject := file
		if !strings.Contains(p, "/") {
			subject = path.Base(file)
		}
		hit, err := path.Match(strings.TrimPrefix(p, "/"), subject)
		return err == nil && hit
	})
}

// A requirement is one line of go.mod.
type requirement struct {
	Path     string
	Indirect bool
}

// requirements asks the go command what go.mod says.
func requirements(t *testing.T) []requirement {
	t.Helper()
	cmd := exec.Command("go", "mod", "edit", "-json")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var mod struct {
		Module  struct{ Path string }
		Require []requirement
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	if mod.Module.Path != name {
		t.Fatalf("the module is called %q, and these tests know %q", mod.Module.Path, name)
	}
	return mod.Require
}
