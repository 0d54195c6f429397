package expr

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// maxText bounds, in bytes, what one function may make or read, so that a
// hostile spec or response cannot ask for all memory.
const maxText = 1 << 20

// signature says how a function is called.
type signature struct {
	min, max int
	usage    string
}

// signatures are the functions of the language beside the builtins.
var signatures = map[string]signature{
	"int":           {1, 2, "int(a, b)"},
	"float":         {1, 2, "float(a, b)"},
	"string":        {1, 1, "string(x)"},
	"pick":          {1, 2, "pick(list)"},
	"format":        {1, 16, `format("R%04d", x)`},
	"uuid":          {0, 0, "uuid()"},
	"now":           {0, 1, "now()"},
	"text":          {1, 1, "text(n)"},
	"base64":        {1, 1, "base64(x)"},
	"replace":       {3, 3, "replace(x, old, new)"},
	"secret":        {1, 1, `secret("NAME")`},
	"fake.sentence": {1, 1, "fake.sentence(n)"},
	"bcrypt":        {2, 2, "bcrypt(x, 12)"},
	"lookup":        {3, 3, `lookup("TABLE", "COLUMN", x).COLUMN`},
}

func init() {
	for name := range fakes {
		signatures[name] = signature{0, 0, name + "()"}
	}
}

// builtins are the functions of the underlying library that are kept: pure,
// and never much bigger than what they are given.
var builtins = []string{
	"abs", "ceil", "floor", "round", "min", "max",
	"len", "lower", "upper", "trim", "trimPrefix", "trimSuffix",
	"indexOf", "lastIndexOf", "hasPrefix", "hasSuffix",
}

func functionNames() []string {
	names := slices.Clone(builtins)
	for name := range signatures {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// call compiles the call of a function of ours.
func (l *lowering) call(n *ast.CallNode) (node, error) {
	name, known := callee(n)
	if !known {
		return nil, l.fail(n, "", "only a function can be called")
	}
	if err := l.checkCall(n, name); err != nil {
		return nil, err
	}
	switch name {
	case "pick":
		return l.pick(n)
	case "secret":
		return l.secret(n)
	case "bcrypt":
		return l.bcrypt(n)
	case "lookup":
		if err := l.onlyInRows(n, "lookup()", ""); err != nil {
			return nil, err
		}
		return nil, l.fail(n, "write "+signatures[name].usage, "lookup finds a row, and of it one column is used")
	}
	d, err := l.draws(name, n)
	if err != nil {
		return nil, err
	}
	args := make([]node, len(n.Arguments))
	for i, a := range n.Arguments {
		if args[i], err = l.lower(a); err != nil {
			return nil, err
		}
	}
	switch name {
	case "int":
		if len(args) == 1 {
			return l.pure(n, Int, args, toInt(argument(n, 0)))
		}
		return l.intRange(n, args, d)
	case "float":
		if len(args) == 1 {
			return l.pure(n, Float, args, toFloat(argument(n, 0)))
		}
		return l.floatRange(n, args, d)
	case "string":
		return l.pure(n, String, args, toText(argument(n, 0)))
	case "replace":
		return l.pure(n, String, args, replace)
	case "base64":
		return l.fold(n, &base64Text{args[0], unset(argument(n, 0)), errTooBig}, args)
	case "format":
		return l.format(n, args)
	case "now":
		return l.now(n, args)
	case "uuid":
		return uuid{d}, nil
	case "text":
		return l.text(n, args, d)
	case "fake.sentence":
		return l.sentence(n, args, d)
	}
	return &fake{d, fakes[name]}, nil
}

// checkCall refuses the call of what is no function, and one with too few or
// too many arguments.
func (l *lowering) checkCall(n *ast.CallNode, name string) error {
	sig, ok := signatures[name]
	if !ok {
		if l.isName(name) {
			return l.fail(n, "write "+name, "%s is a value, not a function", name)
		}
		return l.fail(n, suggest(Nearest(name, functionNames())), "unknown function %s", name)
	}
	if len(n.Arguments) < sig.min || len(n.Arguments) > sig.max {
		return l.fail(n, "write "+sig.usage, "%s takes %s, not %d", name, arguments(sig), len(n.Arguments))
	}
	for _, a := range n.Arguments {
		if a == nil {
			return l.fail(n, "write "+sig.usage, "%s: an argument is missing", name)
		}
	}
	return nil
}

// callee returns the name of the function that is called.
func callee(n *ast.CallNode) (string, bool) {
	switch f := n.Callee.(type) {
	case *ast.IdentifierNode:
		return f.Value, true
	case *ast.MemberNode:
		space, ok := f.Node.(*ast.IdentifierNode)
		name, named := f.Property.(*ast.StringNode)
		if ok && named {
			return space.Value + "." + name.Value, true
		}
	}
	return "", false
}

func arguments(s signature) string {
	switch {
	case s.max == 0:
		return "no argument"
	case s.min == s.max && s.max == 1:
		return "one argument"
	case s.min == s.max:
		return fmt.Sprintf("%d arguments", s.max)
	}
	return fmt.Sprintf("%d to %d arguments", s.min, s.max)
}

// argument names an argument in the errors of an evaluation.
func argument(n *ast.CallNode, i int) string {
	switch a := n.Arguments[i].(type) {
	case *ast.IdentifierNode:
		return a.Value
	case *ast.MemberNode:
		space, ok := a.Node.(*ast.IdentifierNode)
		name, named := a.Property.(*ast.StringNode)
		if ok && named {
			return space.Value + "." + name.Value
		}
	}
	name, _ := callee(n)
	return fmt.Sprintf("argument %d of %s", i+1, name)
}

// draws reserves the draws of a call, in the order in which calls are written.
func (l *lowering) draws(name string, n *ast.CallNode) (draw, error) {
	count := uint32(1)
	switch name {
	case "string", "replace", "base64", "format":
		return draw{}, nil
	case "now":
		l.fleeting = true
		return draw{}, l.needsCtx(n, "now")
	case "int", "float":
		if len(n.Arguments) == 1 {
			return draw{}, nil
		}
	case "uuid":
		count = 2
	}
	if err := l.needsCtx(n, name); err != nil {
		return draw{}, err
	}
	d := draw{l.site, l.drawn}
	l.drawn += count
	return d, nil
}

func (l *lowering) intRange(n *ast.CallNode, args []node, d draw) (node, error) {
	bad := faultf("int takes whole numbers")
	for i, a := range args {
		if c, ok := a.(constant); ok {
			if _, ok := c.v.Int(); !ok {
				return nil, l.fail(n.Arguments[i], "write int(a, b)", "%s", bad.msg)
			}
		}
	}
	a, fixedA := args[0].(constant)
	b, fixedB := args[1].(constant)
	if !fixedA || !fixedB {
		return &intBetween{args[0], args[1], d, bad, faultf("int: the lower bound is above the upper")}, nil
	}
	low, _ := a.v.Int()
	high, _ := b.v.Int()
	if low > high {
		return nil, l.fail(n, fmt.Sprintf("write int(%d, %d)", high, low), "int(%d, %d): the lower bound is above the upper", low, high)
	}
	return newIntRange(low, high, d), nil
}

func (l *lowering) floatRange(n *ast.CallNode, args []node, d draw) (node, error) {
	bad := faultf("float takes numbers")
	for i, a := range args {
		if c, ok := a.(constant); ok {
			if _, ok := c.v.Float(); !ok {
				return nil, l.fail(n.Arguments[i], "write float(a, b)", "%s", bad.msg)
			}
		}
	}
	a, fixedA := args[0].(constant)
	b, fixedB := args[1].(constant)
	if !fixedA || !fixedB {
		return &floatBetween{args[0], args[1], d, bad, faultf("float: the lower bound is above the upper")}, nil
	}
	low, _ := a.v.Float()
	high, _ := b.v.Float()
	if low > high {
		return nil, l.fail(n, fmt.Sprintf("write float(%v, %v)", high, low), "float(%v, %v): the lower bound is above the upper", low, high)
	}
	if math.IsInf(high-low, 0) {
		return nil, l.fail(n, "", "float(%v, %v): the range is too wide", low, high)
	}
	return floatRange{low, high - low, d}, nil
}

// pick compiles pick(set) and pick(list, n). The list is a name, or written out.
func (l *lowering) pick(n *ast.CallNode) (node, error) {
	set, err := l.list(n.Arguments[0])
	if err != nil {
		return nil, err
	}
	if set.total == 0 {
		return nil, l.fail(n.Arguments[0], "", "there is nothing to pick from")
	}
	if len(n.Arguments) == 1 {
		d, err := l.draws("pick", n)
		return &pick{set, d, set.kind()}, err
	}
	i, err := l.lower(n.Arguments[1])
	if err != nil {
		return nil, err
	}
	bad := faultf("pick(list, n) takes a whole number")
	return l.fold(n.Arguments[1], &element{set, i, set.kind(), bad}, []node{i})
}

func (l *lowering) list(n ast.Node) (*Set, error) {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		if set, ok := l.names().Sets[n.Value]; ok {
			return set, nil
		}
		switch {
		case !l.isTable(n.Value):
		case l.names().InRows:
			return nil, l.fail(n, "name a column: pick("+n.Value+", n).COLUMN", "%s is a table of the seed, and of its rows one column is used", n.Value)
		default:
			return nil, l.onlyInRows(n, "the table "+n.Value, "")
		}
		if l.isName(n.Value) {
			return nil, l.fail(n, "", "%s is not a list", n.Value)
		}
		var legal []string
		for name := range l.names().Sets {
			legal = append(legal, name)
		}
		if l.names().InRows {
			legal = append(legal, l.made()...)
		}
		slices.Sort(legal)
		return nil, l.fail(n, suggest(Nearest(n.Value, legal)), "unknown list %s", n.Value)
	case *ast.ArrayNode:
		values := make([]Value, len(n.Nodes))
		for i, e := range n.Nodes {
			v, err := l.lower(e)
			if err != nil {
				return nil, err
			}
			c, ok := v.(constant)
			if !ok {
				return nil, l.fail(e, "", "a list to pick from holds constants only")
			}
			values[i] = c.v
		}
		return NewSet(values, nil), nil
	}
	return nil, l.fail(n, "write pick(list), list being a name under values", "pick takes a list")
}

func (l *lowering) secret(n *ast.CallNode) (node, error) {
	name, ok := n.Arguments[0].(*ast.StringNode)
	if !ok {
		return nil, l.fail(n.Arguments[0], `write secret("NAME")`, "the name of a secret is written out, in quotes")
	}
	return l.resolve(n, "secret", l.names().Secret, name.Value)
}

func (l *lowering) format(n *ast.CallNode, args []node) (node, error) {
	c, ok := args[0].(constant)
	if !ok || c.v.kind != String {
		return nil, l.fail(n.Arguments[0], `write format("R%04d", x)`, "a format is a constant text")
	}
	pieces, tail, msg := parseFormat(c.v.str)
	if msg != "" {
		return nil, l.fail(n.Arguments[0], "", "%s", msg)
	}
	if len(pieces) != len(args)-1 {
		return nil, l.fail(n, "", "the format %q has %d verbs, and %d values are given", c.v.str, len(pieces), len(args)-1)
	}
	for i := range pieces {
		p := &pieces[i]
		p.arg = args[i+1]
		p.unset = unset(argument(n, i+1))
		wants := map[byte]string{'d': "a whole number", 'x': "a whole number or a text", 'f': "a finite number"}[p.verb]
		if wants == "" {
			wants = "a finite number or a text"
		}
		p.bad = faultf("format: %s takes %s, and %s is not one", p.spec, wants, argument(n, i+1))
	}
	return l.fold(n, &format{pieces, tail}, args)
}

func (l *lowering) now(n *ast.CallNode, args []node) (node, error) {
	if len(args) == 0 {
		return now{}, nil
	}
	c, ok := args[0].(constant)
	if !ok || c.v.kind != String || !tellsTime(c.v.str) {
		return nil, l.fail(n.Arguments[0], `write it with the time 2006-01-02 15:04:05, such as now("2006-01-02T15:04:05Z07:00")`, "the layout of now shows no time")
	}
	return now{c.v.str}, nil
}

func (l *lowering) text(n *ast.CallNode, args []node, d draw) (node, error) {
	bad := faultf("text takes a number of letters from 0 to %d", maxText)
	if c, ok := args[0].(constant); ok {
		if size, ok := c.v.Int(); !ok || size < 0 || size > maxText {
			return nil, l.fail(n.Arguments[0], "", "%s", bad.msg)
		}
	}
	return &letters{args[0], d, bad}, nil
}

func (l *lowering) sentence(n *ast.CallNode, args []node, d draw) (node, error) {
	c, ok := args[0].(constant)
	size, whole := c.v.Int()
	if !ok || !whole || size < 1 || size > 1000 {
		return nil, l.fail(n.Arguments[0], "", "fake.sentence takes a number of words from 1 to 1000")
	}
	return &fake{d, fakeSentence(int(size))}, nil
}

func (l *lowering) pure(n *ast.CallNode, gets Kind, args []node, fn func([]Value) (Value, error)) (node, error) {
	return l.fold(n, &pure{args, fn, gets}, args)
}

var (
	errNotFinite = faultf("the result is not a finite number")
	errTooBig    = faultf("the result is larger than %d bytes", maxText)
)

func toInt(name string) func([]Value) (Value, error) {
	none, bad := unset(name), faultf("int: %s is not a number that fits", name)
	return func(a []Value) (Value, error) {
		switch v := a[0]; v.kind {
		case Nil:
			return Value{}, none
		case Int:
			return v, nil
		case Float:
			f, _ := v.Float()
			if i, ok := Number(math.Trunc(f)).Int(); ok {
				return Integer(i), nil
			}
		case String:
			if i, err := strconv.ParseInt(strings.TrimSpace(v.str), 10, 64); err == nil {
				return Integer(i), nil
			}
		}
		return Value{}, bad
	}
}

func toFloat(name string) func([]Value) (Value, error) {
	none, bad := unset(name), faultf("float: %s is not a number", name)
	return func(a []Value) (Value, error) {
		switch v := a[0]; v.kind {
		case Nil:
			return Value{}, none
		case Int, Float:
			f, _ := v.Float()
			return Number(f), nil
		case String:
			if f, err := strconv.ParseFloat(strings.TrimSpace(v.str), 64); err == nil && Number(f).finite() {
				return Number(f), nil
			}
		}
		return Value{}, bad
	}
}

func toText(name string) func([]Value) (Value, error) {
	none := unset(name)
	return func(a []Value) (Value, error) {
		if a[0].kind == Nil {
			return Value{}, none
		}
		return Str(a[0].Text()), nil
	}
}

var errReplace = faultf("replace takes three texts, the second not empty")

func replace(a []Value) (Value, error) {
	if a[0].kind != String || a[1].kind != String || a[2].kind != String || a[1].str == "" {
		return Value{}, errReplace
	}
	size := len(a[0].str) + strings.Count(a[0].str, a[1].str)*(len(a[2].str)-len(a[1].str))
	if size > maxText {
		return Value{}, errTooBig
	}
	return Str(strings.ReplaceAll(a[0].str, a[1].str, a[2].str)), nil
}
