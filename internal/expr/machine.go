package expr

import (
	"errors"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/optimizer"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"
)

// machine is a program of the expr-lang machine: arithmetic, comparison,
// concatenation, access to parts of JSON. Its environment is the Ctx, and all
// it can call besides the harmless builtins is our own nodes.
type machine struct {
	program *vm.Program
	src     string
	gets    Kind
	reads   []named
}

// named is a slot that a program reads, and the fault to report if that it is
// unset made the program fail.
type named struct {
	slot  slot
	unset *fault
}

// machines are kept between evaluations for their stacks.
var machines = sync.Pool{New: func() any { return new(vm.VM) }}

func (n *machine) eval(c *Ctx) (Value, error) {
	m := machines.Get().(*vm.VM)
	out, err := m.Run(n.program, c)
	release(m)
	if err != nil {
		return Value{}, n.explain(err, c)
	}
	return fromAny(out)
}

// release puts a machine back without the values on its stack, which may be
// secret or big.
func release(m *vm.VM) {
	clear(m.Stack[:cap(m.Stack)])
	machines.Put(m)
}

func (n *machine) kind() Kind { return n.gets }

// explain says in the spec's terms why the machine gave up: a node's own error
// as it was, an unset slot by its name, else the machine's message.
func (n *machine) explain(err error, c *Ctx) error {
	var f *file.Error
	if !errors.As(err, &f) {
		return err
	}
	if own := new(fault); errors.As(f.Prev, &own) {
		return own
	}
	if asked := new(rowsError); errors.As(f.Prev, &asked) {
		return asked
	}
	for _, r := range n.reads {
		if v, _ := r.slot.eval(c); v.kind == Nil {
			return r.unset
		}
	}
	return faultf("%s: %s", n.src, f.Message)
}

// machine compiles a part that is mechanical.
func (l *lowering) machine(n ast.Node) (node, error) {
	e := embedding{lowering: l, config: newConfig()}
	root, err := e.embed(n)
	if err != nil {
		return nil, err
	}
	tree := &parser.Tree{Node: root, Source: file.NewSource(l.src)}
	gets, err := checker.Check(tree, e.config)
	if err != nil {
		return nil, l.foreign(err)
	}
	if err := optimizer.Optimize(&tree.Node, e.config); err != nil {
		return nil, l.foreign(err)
	}
	program, err := compiler.Compile(tree, e.config)
	if err != nil {
		return nil, l.foreign(err)
	}
	m := &machine{program, strings.TrimSpace(l.src), kindOf(gets), e.reads}
	if e.varies {
		return m, nil
	}
	return l.fold(n, m, nil)
}

// embedding copies a mechanical tree, with calls of nodes in place of what is
// not mechanical. It copies because the parser may share parts.
type embedding struct {
	*lowering
	config *conf.Config
	leaves int
	varies bool // a leaf is not constant
	reads  []named
}

func (e *embedding) embed(n ast.Node) (ast.Node, error) {
	if n == nil {
		return nil, nil
	}
	if !e.mechanical(n) {
		return e.leaf(n)
	}
	if err := e.visit(n); err != nil {
		return nil, err
	}
	var err error
	switch n := n.(type) {
	case *ast.UnaryNode:
		cp := *n
		cp.Node, err = e.embed(n.Node)
		return &cp, err
	case *ast.BinaryNode:
		cp := *n
		if cp.Left, err = e.embed(n.Left); err != nil {
			return nil, err
		}
		cp.Right, err = e.embed(n.Right)
		return &cp, err
	case *ast.MemberNode:
		cp := *n
		if cp.Node, err = e.embed(n.Node); err != nil {
			return nil, err
		}
		cp.Property, err = e.embed(n.Property)
		return &cp, err
	case *ast.ChainNode:
		cp := *n
		cp.Node, err = e.embed(n.Node)
		return &cp, err
	case *ast.SliceNode:
		cp := *n
		if cp.Node, err = e.embed(n.Node); err != nil {
			return nil, err
		}
		if cp.From, err = e.embed(n.From); err != nil {
			return nil, err
		}
		cp.To, err = e.embed(n.To)
		return &cp, err
	case *ast.ArrayNode:
		cp := *n
		cp.Nodes, err = e.all(n.Nodes)
		return &cp, err
	case *ast.BuiltinNode:
		cp := *n
		cp.Arguments, err = e.all(n.Arguments)
		return &cp, err
	}
	m := *n.(*ast.MapNode)
	m.Pairs = make([]ast.Node, len(m.Pairs))
	for i, p := range n.(*ast.MapNode).Pairs {
		pair := *p.(*ast.PairNode)
		if pair.Key, err = e.embed(pair.Key); err != nil {
			return nil, err
		}
		if pair.Value, err = e.embed(pair.Value); err != nil {
			return nil, err
		}
		m.Pairs[i] = &pair
	}
	return &m, nil
}

func (e *embedding) all(nodes []ast.Node) ([]ast.Node, error) {
	out := make([]ast.Node, len(nodes))
	for i, n := range nodes {
		var err error
		if out[i], err = e.embed(n); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// leaf compiles a part of our own and stands a literal or a call in its place.
func (e *embedding) leaf(n ast.Node) (ast.Node, error) {
	part, err := e.lower(n)
	if err != nil {
		return nil, err
	}
	c, fixed := part.(constant)
	e.varies = e.varies || !fixed
	if fixed && c.v.kind != JSON {
		lit := literal(c.v)
		lit.SetLocation(n.Location())
		return lit, nil
	}
	if s, ok := part.(slot); ok {
		e.reads = append(e.reads, named{s, unset(s.name)})
	}
	name := "@" + strconv.Itoa(e.leaves)
	e.leaves++
	e.config.Functions[name] = &builtin.Function{
		Name: name,
		Func: func(args ...any) (any, error) {
			v, err := part.eval(args[0].(*Ctx))
			if err != nil {
				return nil, err
			}
			return toAny(v)
		},
		Types: []reflect.Type{leafType(part.kind())},
	}
	call := &ast.CallNode{
		Callee:    &ast.IdentifierNode{Value: name},
		Arguments: []ast.Node{&ast.IdentifierNode{Value: "$env"}},
	}
	call.SetLocation(n.Location())
	return call, nil
}

func literal(v Value) ast.Node {
	switch v.kind {
	case Bool:
		return &ast.BoolNode{Value: v.num != 0}
	case Int:
		i, _ := v.Int()
		return &ast.IntegerNode{Value: int(i)}
	case Float:
		f, _ := v.Float()
		return &ast.FloatNode{Value: f}
	case String:
		return &ast.StringNode{Value: v.str}
	}
	return &ast.NilNode{}
}

// leafType is what the type checker is told of a node.
func leafType(k Kind) reflect.Type {
	switch k {
	case Bool:
		return reflect.TypeFor[func(any) bool]()
	case Int:
		return reflect.TypeFor[func(any) int]()
	case Float:
		return reflect.TypeFor[func(any) float64]()
	case String:
		return reflect.TypeFor[func(any) string]()
	}
	return reflect.TypeFor[func(any) any]()
}

func kindOf(t reflect.Type) Kind {
	if t == nil {
		return Nil
	}
	switch t.Kind() {
	case reflect.Bool:
		return Bool
	case reflect.Int:
		return Int
	case reflect.Float64:
		return Float
	case reflect.String:
		return String
	}
	return Nil
}

func toAny(v Value) (any, error) {
	switch v.kind {
	case Bool:
		return v.num != 0, nil
	case Int:
		return int(int64(v.num)), nil
	case Float:
		f, _ := v.Float()
		return f, nil
	case String:
		return v.str, nil
	case JSON:
		return decodeJSON(v.str)
	}
	return nil, nil
}

var errNoValue = faultf("the result is not a value")

func fromAny(x any) (Value, error) {
	switch x := x.(type) {
	case nil:
		return Value{}, nil
	case bool:
		return Boolean(x), nil
	case int:
		return Integer(int64(x)), nil
	case float64:
		if v := Number(x); v.finite() {
			return v, nil
		}
		return Value{}, errNotFinite
	case string:
		return Str(x), nil
	case []any, map[string]any:
		return encodeJSON(x)
	}
	return Value{}, errNoValue
}
