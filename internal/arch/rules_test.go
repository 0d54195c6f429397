package arch

import (
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// imports yields each import of a file with its place.
func (s source) imports(yield func(path, place string) bool) {
	for _, i := range s.syntax.Imports {
		target, err := strconv.Unquote(i.Path.Value)
		if err == nil && !yield(target, s.place(i.Pos())) {
			return
		}
	}
}

func (s source) place(p token.Pos) string {
	at := s.at(p)
	return fmt.Sprintf("%s:%d", s.path, at.Line)
}

// strayImports finds imports between rooms that the table does not allow, and
// rooms that it does not have.
func strayImports(tree []source, rooms map[string]room) (faults []string) {
	unknown := map[string]bool{}
	for _, s := range tree {
		from, known := rooms[s.dir()]
		if !known {
			if !unknown[s.dir()] {
				faults = append(faults, fmt.Sprintf("%s is a room without a line in the table of internal/arch: say what it may import, and why", s.dir()))
			}
			unknown[s.dir()] = true
			continue
		}
		for target, place := range s.imports {
			to, ours := strings.CutPrefix(target, name+"/")
			if !ours || to == s.dir() {
				continue
			}
			if from.uses[to] == "" && !(s.test() && from.tests[to] != "") {
				faults = append(faults, fmt.Sprintf("%s: %s may not import %s: nothing flows back along the line; if this is no way back, give it a line with its reason in the table of internal/arch", place, s.dir(), to))
			}
		}
	}
	for dir := range rooms {
		if !slices.ContainsFunc(tree, func(s source) bool { return s.dir() == dir }) {
			faults = append(faults, fmt.Sprintf("the table of internal/arch has a room %s, and there is none", dir))
		}
	}
	return faults
}

// worldly are the packages through which a program reaches the world.
func worldly(target string) bool {
	switch target {
	case "net/url", "net/netip", "net/textproto": // they only read text
		return false
	case "crypto/rand", "io/ioutil", "log", "log/slog", "log/syslog", "plugin", "syscall", "C":
		return true
	}
	first, _, _ := strings.Cut(target, "/")
	return first == "net" || first == "os" || strings.HasPrefix(target, "golang.org/x/sys/") || strings.HasPrefix(target, "golang.org/x/net/")
}

// clocks are what reads or waits for the time.
var clocks = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

// seeded are the names of the packages of chance that need a source of their
// own; every other name draws from one that the whole process shares.
var seeded = map[string][]string{
	"math/rand":                       {"New", "NewSource", "NewZipf", "Rand", "Source", "Source64", "Zipf"},
	"math/rand/v2":                    {"New", "NewPCG", "NewChaCha8", "NewZipf", "Rand", "Source", "PCG", "ChaCha8", "Zipf"},
	"github.com/brianvoe/gofakeit/v7": {"New", "NewFaker", "Faker"},
}

// impurities finds where a pure room reaches the network, files, the clock or
// shared chance. Its tests may.
func impurities(tree []source, rooms map[string]room) (faults []string) {
	for _, s := range tree {
		if s.test() || !rooms[s.dir()].pure {
			continue
		}
		for target, place := range s.imports {
			if worldly(target) && rooms[s.dir()].except[s.base()+" "+target] == "" {
				faults = append(faults, fmt.Sprintf("%s: %s is pure and may not import %s: take the bytes, or the function, as an argument", place, s.dir(), target))
			}
		}
		local := s.names()
		for _, i := range s.syntax.Imports {
			if i.Name != nil && i.Name.Name == "." {
				faults = append(faults, fmt.Sprintf("%s: a dot import hides where names come from", s.place(i.Pos())))
			}
		}
		ast.Inspect(s.syntax, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := sel.X.(*ast.Ident)
			if !ok {
				return true
			}
			target := local[x.Name]
			if target == "time" && slices.Contains(clocks, sel.Sel.Name) {
				faults = append(faults, fmt.Sprintf("%s: %s is pure and may not call time.%s: take the time as an argument", s.place(sel.Pos()), s.dir(), sel.Sel.Name))
			}
			if own, chance := seeded[target]; chance && !slices.Contains(own, sel.Sel.Name) {
				faults = append(faults, fmt.Sprintf("%s: %s is pure and may not draw by %s.%s, from chance that the process shares: draw by key", s.place(sel.Pos()), s.dir(), x.Name, sel.Sel.Name))
			}
			return true
		})
	}
	return faults
}

// version is the last element of a module's path that is no name.
var version = regexp.MustCompile(`^v[0-9]+$`)

// names maps the names by which a file calls its imports to their paths.
func (s source) names() map[string]string {
	local := map[string]string{}
	for _, i := range s.syntax.Imports {
		target, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			continue
		}
		called := path.Base(target)
		if version.MatchString(called) {
			called = path.Base(path.Dir(target))
		}
		if i.Name != nil {
			called = i.Name.Name
		}
		local[called] = target
	}
	return local
}

// strayModules finds imports of other modules in rooms that may not have them.
func strayModules(tree []source, modules map[string]module) (faults []string) {
	allows := func(dirs []string, dir string) bool {
		return slices.Contains(dirs, dir) || slices.Equal(dirs, everywhere)
	}
	for _, s := range tree {
		for target, place := range s.imports {
			first, _, _ := strings.Cut(target, "/")
			if !strings.Contains(first, ".") {
				continue // the standard library's, or ours
			}
			of, m := owner(target, modules)
			switch {
			case of == "":
				faults = append(faults, fmt.Sprintf("%s: %s belongs to no module in the table of internal/arch: a few dozen lines beat a module; else say why", place, target))
			case !allows(m.in, s.dir()) && !(s.test() && allows(m.tests, s.dir())):
				faults = append(faults, fmt.Sprintf("%s: %s may not import %s (%s)", place, s.dir(), of, m.why))
			}
		}
	}
	return faults
}

// owner returns the module that a package belongs to, "" for none.
func owner(target string, modules map[string]module) (string, module) {
	for of, m := range modules {
		if target == of || strings.HasPrefix(target, of+"/") {
			return of, m
		}
	}
	return "", module{}
}

// unexplained compares what go.mod requires directly with the table.
func unexplained(required []requirement, modules map[string]module) (faults []string) {
	direct := map[string]bool{}
	for _, r := range required {
		if r.Indirect {
			continue
		}
		direct[r.Path] = true
		if modules[r.Path].why == "" {
			faults = append(faults, fmt.Sprintf("go.mod requires %s, and the table of internal/arch does not say why", r.Path))
		}
	}
	for of := range modules {
		if !direct[of] {
			faults = append(faults, fmt.Sprintf("the table of internal/arch allows %s, and go.mod does not require it directly: go mod tidy", of))
		}
	}
	return faults
}

// miscommented finds packages that do not have exactly one package comment,
// or one that does not begin as the tools expect. A package of tests alone has
// its comment in a test.
func miscommented(tree []source) (faults []string) {
	type pack struct {
		name     string
		comments []string
		code     bool
	}
	packs := map[string]*pack{}
	for _, s := range tree {
		called := s.syntax.Name.Name
		if strings.HasSuffix(called, "_test") {
			continue
		}
		p := packs[s.dir()]
		if p == nil {
			p = &pack{name: called}
			packs[s.dir()] = p
		}
		p.code = p.code || !s.test()
		if s.syntax.Doc == nil {
			continue
		}
		p.comments = append(p.comments, s.path)
		begin := "Package " + called
		if called == "main" {
			begin = "Command " + path.Base(s.dir())
		}
		if text := s.syntax.Doc.Text(); !strings.HasPrefix(text, begin+" ") {
			faults = append(faults, fmt.Sprintf("%s: the package comment begins %q", s.path, begin+" ..."))
		}
		if s.test() {
			p.comments[len(p.comments)-1] += " (a test)"
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(packs)) {
		p := packs[dir]
		inTest := slices.ContainsFunc(p.comments, func(c string) bool { return strings.HasSuffix(c, "(a test)") })
		switch {
		case len(p.comments) == 0:
			faults = append(faults, fmt.Sprintf("%s has no package comment: say what it is for, and when not to use it", dir))
		case len(p.comments) > 1:
			faults = append(faults, fmt.Sprintf("%s has %d package comments, and readers are shown one: %s", dir, len(p.comments), strings.Join(p.comments, ", ")))
		case inTest && p.code:
			faults = append(faults, fmt.Sprintf("%s has its package comment in a test, where no reader of its documentation finds it", dir))
		}
	}
	return faults
}

// nameless are names that say nothing about what a package owns, so that
// anything ends up in it.
var nameless = []string{"util", "utils", "common", "helper", "helpers", "manager", "managers", "misc", "shared", "base", "lib", "types"}

func namelessNames(tree []source) (faults []string) {
	told := map[string]bool{}
	for _, s := range tree {
		for _, part := range append(strings.Split(s.dir(), "/"), strings.TrimSuffix(s.syntax.Name.Name, "_test")) {
			if slices.Contains(nameless, part) && !told[s.dir()] {
				told[s.dir()] = true
				faults = append(faults, fmt.Sprintf("%s: a package called %s owns nothing: name it after what it owns", s.dir(), part))
			}
		}
	}
	return faults
}

// skips finds tests that pass without having tested anything. A drawn case
// that a property discards (rapid's own Skip) is none: the next is drawn.
func skips(tree []source) (faults []string) {
	for _, s := range tree {
		if !s.test() {
			continue
		}
		var within []*ast.FuncType // the functions around the node, outermost first
		var nodes []ast.Node
		ast.Inspect(s.syntax, func(n ast.Node) bool {
			if n == nil {
				if functionOf(nodes[len(nodes)-1]) != nil {
					within = within[:len(within)-1]
				}
				nodes = nodes[:len(nodes)-1]
				return true
			}
			nodes = append(nodes, n)
			if f := functionOf(n); f != nil {
				within = append(within, f)
			}
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			switch sel.Sel.Name {
			case "Skip", "Skipf", "SkipNow":
				if x, ok := sel.X.(*ast.Ident); ok && typeOf(x.Name, within) == "*rapid.T" {
					return true
				}
			case "Short":
				if x, ok := sel.X.(*ast.Ident); !ok || x.Name != "testing" {
					return true
				}
			default:
				return true
			}
			faults = append(faults, fmt.Sprintf("%s: %s: a skipped test is a promise that nobody keeps", s.place(call.Pos()), sel.Sel.Name))
			return true
		})
	}
	return faults
}

// functionOf returns the type of a function that the node begins, else nil.
func functionOf(n ast.Node) *ast.FuncType {
	switch f := n.(type) {
	case *ast.FuncDecl:
		return f.Type
	case *ast.FuncLit:
		return f.Type
	}
	return nil
}

// typeOf returns the type of the parameter that a name refers to, as written.
func typeOf(called string, within []*ast.FuncType) string {
	for _, f := range slices.Backward(within) {
		for _, p := range f.Params.List {
			for _, n := range p.Names {
				if n.Name == called {
					return written(p.Type)
				}
			}
		}
	}
	return ""
}

func written(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.StarExpr:
		return "*" + written(e.X)
	case *ast.SelectorExpr:
		return written(e.X) + "." + e.Sel.Name
	}
	return ""
}

// busyInits finds init functions that do more than fill tables of their own
// package: what calls another package, or starts a goroutine, happens to
// everyone who imports this one, at a time that nobody chose.
func busyInits(tree []source) (faults []string) {
	for _, s := range tree {
		local := s.names()
		for _, d := range s.syntax.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || f.Name.Name != "init" || f.Body == nil {
				continue
			}
			ast.Inspect(f.Body, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.GoStmt, *ast.SendStmt:
					faults = append(faults, fmt.Sprintf("%s: init starts or tells something", s.place(n.Pos())))
				case *ast.SelectorExpr:
					if x, ok := n.X.(*ast.Ident); ok && local[x.Name] != "" {
						faults = append(faults, fmt.Sprintf("%s: init uses %s.%s: do it where somebody asks for it", s.place(n.Pos()), x.Name, n.Sel.Name))
					}
				}
				return true
			})
		}
	}
	return faults
}

// places are folders that only one machine has. They are written in pieces, so
// that this file does not hold what it looks for.
var places = regexp.MustCompile(`(^|[^\w./-])(/(` + strings.Join([]string{
	"tmp", "root", "work", "home/[a-z][\\w-]*", "Users/[A-Za-z][\\w-]*",
}, "|") + `)|[A-Z]:\\Users)[/\\]`)

// machinePaths finds absolute paths of somebody's machine.
func machinePaths(files map[string]string) (faults []string) {
	for _, file := range slices.Sorted(maps.Keys(files)) {
		n := 0
		for line := range strings.Lines(files[file]) {
			n++
			if m := places.FindString(line); m != "" {
				faults = append(faults, fmt.Sprintf("%s:%d: %q is a path of one machine", file, n, strings.TrimLeft(m, " \t\"'`(=")))
			}
		}
	}
	return faults
}

// undocumented finds rooms that the document on architecture does not name.
func undocumented(document string, rooms map[string]room) (faults []string) {
	for _, dir := range slices.Sorted(maps.Keys(rooms)) {
		if !strings.Contains(document, "`"+dir+"`") {
			faults = append(faults, fmt.Sprintf("docs/architecture.md says nothing about %s", dir))
		}
	}
	return faults
}
