package expr

import (
	"slices"
	"strings"
)

// Cond is a compiled condition, immutable and safe for concurrent use with different Ctx.
type Cond struct {
	node  node
	slots []int
}

// Cond compiles a condition, written without ${ }. Errors are *Error.
func (c *Compiler) Cond(src string) (*Cond, error) {
	l := &lowering{compiler: c, site: c.Site()}
	if i := len(src) - len(strings.TrimLeft(src, " \t\r\n")); strings.HasPrefix(src[i:], "${") {
		return nil, &Error{Offset: i, Msg: "a condition is written without ${ }", Hint: "write " + strings.TrimSuffix(strings.TrimSpace(src[i+2:]), "}")}
	}
	n, err := l.expression(src, 0)
	if err != nil {
		return nil, err
	}
	slices.Sort(l.slots)
	return &Cond{n, slices.Compact(l.slots)}, nil
}

// Holds reports whether the condition is true: nil, false and "" are not.
func (c *Cond) Holds(x *Ctx) (bool, error) {
	v, err := c.node.eval(x)
	return err == nil && v.Truthy(), err
}

// Slots returns the indices of the slots the condition reads, ascending.
func (c *Cond) Slots() []int { return slices.Clone(c.slots) }
