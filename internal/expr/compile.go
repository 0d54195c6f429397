package expr

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/parser/utils"
)

// maxSource bounds one expression, in bytes: the parser recurses, and a spec may be hostile.
const maxSource = 4096

// Names is what expressions may refer to. A name may stand in one map only,
// and must be a legal one: see LegalName.
type Names struct {
	Consts map[string]Value
	Sets   map[string]*Set
	Slots  map[string]int // per-user values by index into Ctx.Slots
	// Rows are names that stand before a column: NAME.COLUMN is a slot, which
	// the function finds. An error is a fault of the spec, and an *Error may
	// bring its hint.
	Rows map[string]func(column string) (slot int, err error)
	// Tables are those of a seed, by what expressions call them. InRows says
	// that texts are columns of its rows: only these may refer to a table and
	// to n, and they have no user, and so neither slots nor Rows.
	Tables map[string]*Table
	InRows bool
	// Env resolves env.NAME; an error is a fault of the spec, and an *Error may
	// bring its hint. Unset is a nil Value.
	Env func(name string) (Value, error)
	// Secret resolves secret("NAME") in the same way. Unset is a nil Value.
	Secret func(name string) (Value, error)
}

// Compiler compiles the texts of one spec. Each text gets the next site
// number, which keys its draws, so texts must be compiled in file order. It
// must not be used concurrently.
type Compiler struct {
	names *Names
	sites uint32
}

// NewCompiler returns a compiler over names, which may grow between texts.
func NewCompiler(n *Names) *Compiler {
	if n == nil {
		n = &Names{}
	}
	return &Compiler{names: n}
}

// Site reserves the next site number, for draws of chance outside the language.
func (c *Compiler) Site() uint32 {
	c.sites++
	return c.sites - 1
}

// Const evaluates src at load. Like a Text it may hold any number of ${ ... },
// and has the expression's type if it is exactly one; only constants, env,
// secret and functions without chance may be used. Errors are *Error.
func (c *Compiler) Const(src string) (Value, error) {
	t, err := c.text(src, Plain, &lowering{compiler: c, load: true})
	if err != nil {
		return Value{}, err
	}
	v, err := t.Value(&Ctx{})
	if err != nil {
		return Value{}, &Error{Msg: err.Error()}
	}
	return v, nil
}

// words are the names that the language keeps for itself.
var words = []string{
	"true", "false", "nil", "not", "and", "or", "in", "matches", "contains", "startsWith", "endsWith",
	"let", "if", "else", "user", "run", "env", "fake", "iteration", "secret",
}

// LegalName reports whether an expression can refer to a value of that name:
// letters, digits and underscores, no digit first, and no word or function of
// the language.
func LegalName(name string) bool {
	if !utils.IsValidIdentifier(name) || strings.ContainsRune(name, '$') || slices.Contains(words, name) {
		return false
	}
	_, taken := signatures[name]
	return !taken && !slices.Contains(builtins, name)
}

// lowering turns the expressions of one text from syntax into nodes. What the
// language adds to arithmetic and comparison (names, functions, chance, ??, the
// logical operators and conditions) becomes nodes of its own, cheap to
// evaluate; the rest becomes a program of the expr-lang machine that calls
// nodes where it needs them.
type lowering struct {
	compiler *Compiler
	site     uint32
	drawn    uint32 // draws given out so far
	load     bool   // evaluated at load: no chance, no users, no time
	fleeting bool   // see Text.Fleeting
	slots    []int

	// Of the expression at hand:
	src  string
	base int // its byte offset in the text
	seen map[ast.Node]bool
}

func (l *lowering) names() *Names { return l.compiler.names }

// expression compiles one expression that stands at a byte offset of its text.
func (l *lowering) expression(src string, base int) (node, error) {
	l.src, l.base, l.seen = src, base, map[ast.Node]bool{}
	switch {
	case strings.TrimSpace(src) == "":
		return nil, &Error{Offset: base, Msg: "the expression is empty"}
	case len(src) > maxSource:
		return nil, &Error{Offset: base, Msg: fmt.Sprintf("the expression is longer than %d bytes", maxSource)}
	}
	tree, err := parser.ParseWithConfig(src, newConfig())
	if err != nil {
		return nil, l.foreign(err)
	}
	return l.lower(tree.Node)
}

// newConfig is the configuration of the library: no environment, and no
// functions but the harmless ones.
func newConfig() *conf.Config {
	config := conf.CreateNew()
	config.MaxNodes = maxSource
	config.DisableIfOperator = true
	for name := range config.Builtins {
		if !slices.Contains(builtins, name) {
			config.Disabled[name] = true
			delete(config.Builtins, name)
		}
	}
	return config
}

// fail returns an *Error at a node.
func (l *lowering) fail(n ast.Node, hint, format string, args ...any) error {
	return &Error{Offset: l.base + l.offset(n.Location().From), Msg: fmt.Sprintf(format, args...), Hint: hint}
}

// offset turns an offset in runes, as the parser counts, into one in bytes.
func (l *lowering) offset(runes int) int {
	for i := range l.src {
		if runes == 0 {
			return i
		}
		runes--
	}
	return len(l.src)
}

// foreign turns an error of the library into an *Error.
func (l *lowering) foreign(err error) error {
	var f *file.Error
	if !errors.As(err, &f) {
		msg, _, _ := strings.Cut(err.Error(), "\n")
		return &Error{Offset: l.base, Msg: msg}
	}
	e := &Error{Offset: l.base + l.offset(f.From), Msg: f.Message}
	switch {
	case strings.HasPrefix(e.Msg, "unexpected token EOF"), e.Msg == "unexpected end of expression":
		e.Msg, e.Offset = "the expression ends too soon", l.base+len(l.src)
	case strings.HasPrefix(e.Msg, `unexpected token Operator("=")`):
		e.Hint = "write == to compare"
	case strings.HasPrefix(e.Msg, `unexpected token Bracket("{")`) && strings.HasSuffix(l.src[:e.Offset-l.base], "$"):
		e.Offset--
		e.Hint = "inside ${ } and in a condition a name stands alone"
	}
	return e
}

func suggest(name string) string {
	if name == "" {
		return ""
	}
	return "did you mean " + name + "?"
}

// lower compiles a syntax tree.
func (l *lowering) lower(n ast.Node) (node, error) {
	if l.mechanical(n) {
		return l.machine(n)
	}
	if err := l.visit(n); err != nil {
		return nil, err
	}
	switch n := n.(type) {
	case *ast.NilNode:
		return constant{}, nil
	case *ast.BoolNode:
		return constant{Boolean(n.Value)}, nil
	case *ast.IntegerNode:
		return constant{Integer(int64(n.Value))}, nil
	case *ast.FloatNode:
		return constant{Number(n.Value)}, nil
	case *ast.StringNode:
		return constant{Str(n.Value)}, nil
	case *ast.IdentifierNode:
		return l.name(n)
	case *ast.MemberNode:
		return l.member(n)
	case *ast.CallNode:
		return l.call(n)
	case *ast.UnaryNode:
		return l.not(n)
	case *ast.BinaryNode:
		return l.binary(n)
	case *ast.ConditionalNode:
		return l.choice(n)
	}
	return nil, l.fail(n, "", "this is not part of the language")
}

// visit refuses to compile a part twice. The parser shares the middle of
// a < b < c between two comparisons; evaluated twice it would draw twice, and
// nested it would take time without end.
func (l *lowering) visit(n ast.Node) error {
	if l.seen[n] {
		return l.fail(n, "write a < b && b < c", "comparisons cannot be chained")
	}
	l.seen[n] = true
	return nil
}

// mechanical reports whether a part is left to the expr-lang machine.
func (l *lowering) mechanical(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.UnaryNode:
		return n.Operator == "-" || n.Operator == "+"
	case *ast.BinaryNode:
		switch n.Operator {
		case "??", "&&", "and", "||", "or", "..":
			return false
		}
		return true
	case *ast.MemberNode:
		return l.space(n) == "" && !l.ofRow(n)
	case *ast.BuiltinNode, *ast.ChainNode, *ast.SliceNode, *ast.ArrayNode, *ast.MapNode:
		return true
	}
	return false
}

// spaces are the names that only stand before a dot, with what may follow.
var spaces = map[string][]string{
	"user": {"user.id", "user.persona"},
	"run":  {"run.id"},
	"env":  {"env.NAME"},
	"fake": nil, // functions, see fakes
}

// space returns the name before the dot if it is one of spaces, of rows or of
// tables, else "".
func (l *lowering) space(n *ast.MemberNode) string {
	id, ok := n.Node.(*ast.IdentifierNode)
	if !ok {
		return ""
	}
	_, kept := spaces[id.Value]
	_, rows := l.names().Rows[id.Value]
	if !kept && !rows && !l.isTable(id.Value) {
		return ""
	}
	return id.Value
}

// isTable reports whether a name means a table of the seed: where there are
// users, their values come first.
func (l *lowering) isTable(name string) bool {
	n := l.names()
	_, ok := n.Tables[name]
	_, taken := n.Slots[name]
	return ok && (n.InRows || !taken)
}

func (l *lowering) member(n *ast.MemberNode) (node, error) {
	if l.ofRow(n) {
		return l.columnOfRow(n)
	}
	s := l.space(n)
	property, ok := n.Property.(*ast.StringNode)
	if !ok {
		return nil, l.fail(n, "write "+s+".NAME", "what follows %s is a name", s)
	}
	name := s + "." + property.Value
	if l.isTable(s) {
		return l.onlyRow(n, property, s)
	}
	if column, ok := l.names().Rows[s]; ok {
		if l.names().InRows {
			return nil, l.noUser(n, name)
		}
		return l.column(property, name, column)
	}
	var read node
	switch name {
	case "user.id":
		read = userID{}
	case "user.persona":
		read = userPersona{}
	case "run.id":
		read = runID{}
	default:
		if s == "env" {
			return l.resolve(n, "env", l.names().Env, property.Value)
		}
		if _, ok := signatures[name]; ok {
			return nil, l.fail(n, "write "+signatures[name].usage, "%s is a function", name)
		}
		return nil, l.fail(n, suggest(Nearest(name, l.legal())), "unknown name %s", name)
	}
	switch {
	case !l.names().InRows:
		return read, l.needsCtx(n, name)
	case name == "run.id":
		return nil, l.fail(n, "write a constant", "run.id is not known in rows of a seed, which are the same for every run")
	}
	return nil, l.noUser(n, name)
}

// column compiles NAME.COLUMN.
func (l *lowering) column(n *ast.StringNode, name string, find func(string) (int, error)) (node, error) {
	if err := l.needsCtx(n, name); err != nil {
		return nil, err
	}
	i, err := find(n.Value)
	if err != nil {
		return nil, l.fail(n, hint(err), "%s", err.Error())
	}
	l.slots = append(l.slots, i)
	return slot{i, name}, nil
}

// hint returns what an error of a caller's function says can be done about it.
func hint(err error) string {
	if e := (*Error)(nil); errors.As(err, &e) {
		return e.Hint
	}
	return ""
}

func (l *lowering) name(n *ast.IdentifierNode) (node, error) {
	names := l.names()
	if v, ok := names.Consts[n.Value]; ok {
		return constant{v}, nil
	}
	if read, own, err := l.rowName(n); own {
		return read, err
	}
	if i, ok := names.Slots[n.Value]; ok {
		l.slots = append(l.slots, i)
		return slot{i, n.Value}, l.needsCtx(n, n.Value)
	}
	if _, ok := names.Sets[n.Value]; ok {
		return nil, l.fail(n, "write ${pick("+n.Value+")}", "%s is a list, not a value", n.Value)
	}
	if _, ok := names.Rows[n.Value]; ok {
		return nil, l.fail(n, "name a column: ${"+n.Value+".COLUMN}", "%s is a file of rows, not a value", n.Value)
	}
	if l.isTable(n.Value) {
		return nil, l.onlyInRows(n, "the table "+n.Value, "")
	}
	if n.Value == "n" {
		return nil, l.onlyInRows(n, "n", "user.id numbers the users, and iteration the tasks of each")
	}
	if n.Value == "iteration" {
		return iteration{}, l.needsCtx(n, n.Value)
	}
	if s, ok := signatures[n.Value]; ok {
		return nil, l.fail(n, "write "+s.usage, "%s is a function", n.Value)
	}
	if after, ok := spaces[n.Value]; ok {
		if after == nil {
			after = []string{"fake.name()"}
		}
		return nil, l.fail(n, "write "+strings.Join(after, " or "), "%s is not a value", n.Value)
	}
	return nil, l.fail(n, suggest(Nearest(n.Value, l.legal())), "unknown name %s", n.Value)
}

// isName reports whether the spec defines the name.
func (l *lowering) isName(name string) bool {
	n := l.names()
	_, isConst := n.Consts[name]
	_, isSlot := n.Slots[name]
	_, isSet := n.Sets[name]
	_, isRows := n.Rows[name]
	return isConst || isSlot || isSet || isRows || l.isTable(name)
}

// legal lists what a name may be, the spec's own names first.
func (l *lowering) legal() []string {
	n := l.names()
	var own []string
	for name := range n.Consts {
		own = append(own, name)
	}
	for name := range n.Sets {
		own = append(own, name)
	}
	if n.InRows {
		own = append(own, l.made()...)
		slices.Sort(own)
		return append(append(own, "n"), functionNames()...)
	}
	for name := range n.Slots {
		own = append(own, name)
	}
	for name := range n.Rows {
		own = append(own, name)
	}
	slices.Sort(own)
	own = append(own, "iteration", "user.id", "user.persona", "run.id")
	return append(own, functionNames()...)
}

// needsCtx refuses what only exists once a run has begun.
func (l *lowering) needsCtx(n ast.Node, name string) error {
	if !l.load {
		return nil
	}
	return l.fail(n, "move it to where it is used, or to a persona's values", "%s is not known when the spec is loaded", name)
}

// resolve reads an environment variable or a secret.
func (l *lowering) resolve(n ast.Node, what string, look func(string) (Value, error), name string) (node, error) {
	if look == nil {
		return nil, l.fail(n, "", "%s cannot be used here", what)
	}
	v, err := look(name)
	if err != nil {
		return nil, l.fail(n, hint(err), "%s", err.Error())
	}
	return constant{v}, nil
}

func (l *lowering) not(n *ast.UnaryNode) (node, error) {
	a, err := l.lower(n.Node)
	if err != nil {
		return nil, err
	}
	return l.fold(n, not{a}, []node{a})
}

func (l *lowering) binary(n *ast.BinaryNode) (node, error) {
	if n.Operator == ".." {
		return nil, l.fail(n, "write int(1, 5) to draw one of a range", "ranges are not part of the language")
	}
	a, err := l.lower(n.Left)
	if err != nil {
		return nil, err
	}
	b, err := l.lower(n.Right)
	if err != nil {
		return nil, err
	}
	c, fixed := a.(constant)
	if n.Operator == "??" {
		switch {
		case fixed && c.v.kind == Nil:
			return b, nil
		case fixed:
			return a, nil
		}
		return coalesce{a, b}, nil
	}
	or := n.Operator == "||" || n.Operator == "or"
	if fixed && c.v.Truthy() == or {
		return constant{Boolean(or)}, nil
	}
	return l.fold(n, logic{a, b, or}, []node{a, b})
}

func (l *lowering) choice(n *ast.ConditionalNode) (node, error) {
	cond, err := l.lower(n.Cond)
	if err != nil {
		return nil, err
	}
	var a node
	if n.Exp1 != n.Cond {
		if a, err = l.lower(n.Exp1); err != nil {
			return nil, err
		}
	}
	b, err := l.lower(n.Exp2)
	if err != nil {
		return nil, err
	}
	c, fixed := cond.(constant)
	switch {
	case !fixed:
		return choice{cond, a, b}, nil
	case !c.v.Truthy():
		return b, nil
	case a == nil:
		return cond, nil
	}
	return a, nil
}

// fold evaluates a node now if all it depends on is constant.
func (l *lowering) fold(n ast.Node, computed node, args []node) (node, error) {
	for _, a := range args {
		if _, ok := a.(constant); !ok {
			return computed, nil
		}
	}
	v, err := computed.eval(&Ctx{})
	if err != nil {
		return nil, l.fail(n, "", "%s", err.Error())
	}
	return constant{v}, nil
}
