package expr

import (
	"encoding/base64"
	"time"
)

// node is one compiled expression, immutable.
type node interface {
	// eval evaluates the expression. Its errors are made beforehand where they can be.
	eval(c *Ctx) (Value, error)
	// kind is the kind of every value of the expression; Nil means that it
	// varies or may be unset.
	kind() Kind
}

// writer is a node whose value is a string that it can write without making it.
type writer interface {
	node
	appendText(dst []byte, c *Ctx) ([]byte, error)
}

// written is the value of a writer.
func written(w writer, c *Ctx) (Value, error) {
	var b [64]byte
	s, err := w.appendText(b[:0], c)
	if err != nil {
		return Value{}, err
	}
	return Str(string(s)), nil
}

type constant struct{ v Value }

func (n constant) eval(*Ctx) (Value, error) { return n.v, nil }
func (n constant) kind() Kind               { return n.v.kind }

// slot reads a per-user value. A user without that slot has not set it.
type slot struct {
	index int
	name  string
}

func (n slot) eval(c *Ctx) (Value, error) {
	if n.index >= len(c.Slots) {
		return Value{}, nil
	}
	return c.Slots[n.index], nil
}
func (n slot) kind() Kind { return Nil }

type userID struct{}

func (userID) eval(c *Ctx) (Value, error) { return Integer(c.User), nil }
func (userID) kind() Kind                 { return Int }

type userPersona struct{}

func (userPersona) eval(c *Ctx) (Value, error) { return Str(c.Persona), nil }
func (userPersona) kind() Kind                 { return String }

type iteration struct{}

func (iteration) eval(c *Ctx) (Value, error) { return Integer(c.Iteration), nil }
func (iteration) kind() Kind                 { return Int }

type runID struct{}

func (runID) eval(c *Ctx) (Value, error) { return Str(c.Run), nil }
func (runID) kind() Kind                 { return String }

// coalesce is a ?? b.
type coalesce struct{ a, b node }

func (n coalesce) eval(c *Ctx) (Value, error) {
	v, err := n.a.eval(c)
	if err != nil || v.kind != Nil {
		return v, err
	}
	return n.b.eval(c)
}
func (n coalesce) kind() Kind { return same(n.a, n.b) }

// logic is a && b, or a || b; the result is a truth value, b is evaluated only if it decides.
type logic struct {
	a, b node
	or   bool
}

func (n logic) eval(c *Ctx) (Value, error) {
	v, err := n.a.eval(c)
	if err != nil {
		return v, err
	}
	if v.Truthy() == n.or {
		return Boolean(n.or), nil
	}
	v, err = n.b.eval(c)
	return Boolean(v.Truthy()), err
}
func (n logic) kind() Kind { return Bool }

type not struct{ a node }

func (n not) eval(c *Ctx) (Value, error) {
	v, err := n.a.eval(c)
	return Boolean(!v.Truthy()), err
}
func (n not) kind() Kind { return Bool }

// choice is cond ? a : b; without a it is cond ?: b, which evaluates cond once.
type choice struct{ cond, a, b node }

func (n choice) eval(c *Ctx) (Value, error) {
	v, err := n.cond.eval(c)
	switch {
	case err != nil:
		return v, err
	case !v.Truthy():
		return n.b.eval(c)
	case n.a == nil:
		return v, nil
	}
	return n.a.eval(c)
}

func (n choice) kind() Kind {
	if n.a == nil {
		return same(n.cond, n.b)
	}
	return same(n.a, n.b)
}

func same(a, b node) Kind {
	if k := a.kind(); k == b.kind() {
		return k
	}
	return Nil
}

// draw is the place of a draw of chance: a site and an ordinal within it.
type draw struct{ site, n uint32 }

func (d draw) bits(c *Ctx) uint64 { return c.Key.Draw(d.site, d.n) }

// intRange is int(a, b) with constant bounds; span 0 stands for 2^64.
type intRange struct {
	low, span uint64
	draw      draw
}

func newIntRange(low, high int64, d draw) intRange {
	return intRange{low: uint64(low), span: uint64(high) - uint64(low) + 1, draw: d}
}

func (n intRange) eval(c *Ctx) (Value, error) {
	r := n.draw.bits(c)
	if n.span != 0 {
		r = below(r, n.span)
	}
	return Integer(int64(n.low + r)), nil
}
func (n intRange) kind() Kind { return Int }

// intBetween is int(a, b) with computed bounds.
type intBetween struct {
	a, b         node
	draw         draw
	whole, order *fault
}

func (n *intBetween) eval(c *Ctx) (Value, error) {
	a, err := whole(n.a, c, n.whole)
	if err != nil {
		return Value{}, err
	}
	b, err := whole(n.b, c, n.whole)
	if err != nil {
		return Value{}, err
	}
	if a > b {
		return Value{}, n.order
	}
	return newIntRange(a, b, n.draw).eval(c)
}
func (n *intBetween) kind() Kind { return Int }

// whole evaluates an argument that must be a whole number.
func whole(n node, c *Ctx, bad *fault) (int64, error) {
	v, err := n.eval(c)
	if err != nil {
		return 0, err
	}
	i, ok := v.Int()
	if !ok {
		return 0, bad
	}
	return i, nil
}

// floatRange is float(a, b) with constant bounds.
type floatRange struct {
	low, width float64
	draw       draw
}

func (n floatRange) eval(c *Ctx) (Value, error) {
	return Number(n.low + unit(n.draw.bits(c))*n.width), nil
}
func (n floatRange) kind() Kind { return Float }

// floatBetween is float(a, b) with computed bounds.
type floatBetween struct {
	a, b          node
	draw          draw
	number, order *fault
}

func (n *floatBetween) eval(c *Ctx) (Value, error) {
	a, err := number(n.a, c, n.number)
	if err != nil {
		return Value{}, err
	}
	b, err := number(n.b, c, n.number)
	if err != nil {
		return Value{}, err
	}
	if !(a <= b) {
		return Value{}, n.order
	}
	v, err := floatRange{a, b - a, n.draw}.eval(c)
	if err == nil && !v.finite() {
		err = errNotFinite
	}
	return v, err
}
func (n *floatBetween) kind() Kind { return Float }

// number evaluates an argument that must be a number.
func number(n node, c *Ctx, bad *fault) (float64, error) {
	v, err := n.eval(c)
	if err != nil {
		return 0, err
	}
	f, ok := v.Float()
	if !ok {
		return 0, bad
	}
	return f, nil
}

// pick is pick(set).
type pick struct {
	set  *Set
	draw draw
	all  Kind
}

func (n *pick) eval(c *Ctx) (Value, error) { return n.set.Pick(n.draw.bits(c)), nil }
func (n *pick) kind() Kind                 { return n.all }

// element is pick(list, n).
type element struct {
	set   *Set
	n     node
	all   Kind
	whole *fault
}

func (n *element) eval(c *Ctx) (Value, error) {
	i, err := whole(n.n, c, n.whole)
	if err != nil {
		return Value{}, err
	}
	return n.set.At(i), nil
}
func (n *element) kind() Kind { return n.all }

// uuid is uuid(): version 4, from two draws that the run's own key is mixed
// into, so that two runs of one seed do not write the same identifiers.
type uuid struct{ draw draw }

func (n uuid) appendText(dst []byte, c *Ctx) ([]byte, error) {
	const hex = "0123456789abcdef"
	k := Key(mix(uint64(c.Key) ^ c.RunKey))
	high := k.Draw(n.draw.site, n.draw.n)&^0xf000 | 0x4000
	low := k.Draw(n.draw.site, n.draw.n+1)&^(3<<62) | 2<<62
	var b [36]byte
	at := 0
	for shift := 60; shift >= 0; shift -= 4 {
		if at == 8 || at == 13 {
			b[at] = '-'
			at++
		}
		b[at] = hex[high>>shift&15]
		at++
	}
	for shift := 60; shift >= 0; shift -= 4 {
		if at == 18 || at == 23 {
			b[at] = '-'
			at++
		}
		b[at] = hex[low>>shift&15]
		at++
	}
	return append(dst, b[:]...), nil
}
func (n uuid) eval(c *Ctx) (Value, error) { return written(n, c) }
func (n uuid) kind() Kind                 { return String }

// now is now() and now(layout).
type now struct{ layout string }

func (n now) appendText(dst []byte, c *Ctx) ([]byte, error) {
	if n.layout == "" {
		return appendISO(dst, c.Now), nil
	}
	return time.Unix(0, c.Now).UTC().AppendFormat(dst, n.layout), nil
}
func (n now) eval(c *Ctx) (Value, error) { return written(n, c) }
func (n now) kind() Kind                 { return String }

// letters is text(n).
type letters struct {
	n    node
	draw draw
	size *fault
}

func (n *letters) appendText(dst []byte, c *Ctx) ([]byte, error) {
	size, err := whole(n.n, c, n.size)
	if err != nil {
		return dst, err
	}
	if size < 0 || size > maxText {
		return dst, n.size
	}
	s := stream{n.draw.bits(c)}
	for size > 0 {
		// Four letters from each word; 26 of 65,536 leaves a bias below 0.04 %.
		r := s.Uint64()
		for i := 0; i < 4 && size > 0; i++ {
			dst = append(dst, 'a'+byte(r&0xffff*26>>16))
			r >>= 16
			size--
		}
	}
	return dst, nil
}
func (n *letters) eval(c *Ctx) (Value, error) { return written(n, c) }
func (n *letters) kind() Kind                 { return String }

// base64Text is base64(x).
type base64Text struct {
	x          node
	unset, big *fault
}

func (n *base64Text) appendText(dst []byte, c *Ctx) ([]byte, error) {
	v, err := n.x.eval(c)
	switch {
	case err != nil:
		return dst, err
	case v.kind == Nil:
		return dst, n.unset
	case len(v.str) > maxText:
		return dst, n.big
	}
	var b [64]byte
	return base64.StdEncoding.AppendEncode(dst, v.AppendText(b[:0])), nil
}
func (n *base64Text) eval(c *Ctx) (Value, error) { return written(n, c) }
func (n *base64Text) kind() Kind                 { return String }

// encodedText is the base64 encoding of a whole text.
type encodedText struct{ text *Text }

func (n encodedText) appendText(dst []byte, c *Ctx) ([]byte, error) {
	var b [128]byte
	plain, err := n.text.Append(b[:0], c)
	if err != nil {
		return dst, err
	}
	return base64.StdEncoding.AppendEncode(dst, plain), nil
}
func (n encodedText) eval(c *Ctx) (Value, error) { return written(n, c) }
func (n encodedText) kind() Kind                 { return String }

// pure is a function of values alone.
type pure struct {
	args []node
	fn   func(args []Value) (Value, error)
	gets Kind
}

func (n *pure) eval(c *Ctx) (Value, error) {
	var b [3]Value
	args := b[:0]
	for _, a := range n.args {
		v, err := a.eval(c)
		if err != nil {
			return Value{}, err
		}
		args = append(args, v)
	}
	return n.fn(args)
}
func (n *pure) kind() Kind { return n.gets }
