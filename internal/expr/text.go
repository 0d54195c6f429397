package expr

import (
	"fmt"
	"slices"
	"strings"
)

// Mode says where a text stands, and so how its values are escaped. Literal
// text is kept as written in every mode but JSONText and Form.
type Mode uint8

// The modes.
const (
	Plain    Mode = iota // no escaping: values of other expressions
	Target               // request target: values are percent-encoded, "/" and " " included, in path and query
	Header               // header value: CR, LF and NUL are refused
	JSONText             // a whole JSON scalar: typed if exactly ${...}, else a quoted string
	Form                 // value of a form: percent-encoded, literal text included
)

// Ctx is what an evaluation may see. It is reused between evaluations by one
// goroutine; Slots is borrowed.
type Ctx struct {
	Key       Key // (seed, stage, user or arrival, iteration), mixed
	Slots     []Value
	User      int64
	Persona   string
	Iteration int64
	Run       string
	RunKey    uint64 // hash of Run, mixed into uuid()
	Now       int64  // nanoseconds since the Unix epoch

	// Row and Rows are set where rows of a database are made, and nowhere else.
	Row  int64 // n: the number of the row, from 1
	Rows Rows
}

// Rows answers what the expressions of a row ask beyond themselves.
type Rows interface {
	// Column returns the value of a column in row n (from 1) of a table made
	// before; both by their index in the spec.
	Column(table, column int, n int64) (Value, error)
	// Lookup returns the column want of the one row of an existing table whose
	// column holds v. No row and more than one are errors.
	Lookup(table, column string, v Value, want string) (Value, error)
	// Bcrypt returns a hash of a password in the modular crypt format.
	Bcrypt(password string, cost int) (string, error)
}

// Text is a compiled text, immutable and safe for concurrent use with different Ctx.
type Text struct {
	parts []part // as written out
	tail  []byte // literal text after the last part

	// What Value sees: the expression if there is exactly one, else the parts
	// without escaping.
	whole     node
	plain     []part
	plainTail []byte
	literal   string // plainTail, for a text without parts

	slots    []int
	fleeting bool
}

// part is literal text and the expression after it.
type part struct {
	before string
	node   node
	writer writer // the node again, if it is one
	escape escape
	clean  bool // what the writer writes never needs escaping here

	// The faults it can meet.
	unset, refused, infinite *fault
}

// Append appends the escaped text. The error names the unset or refused value;
// it matches ErrUnset if a value is unset, and dst is returned as it was. An
// unset value is written null where JSON allows it, and is an error elsewhere.
func (t *Text) Append(dst []byte, c *Ctx) ([]byte, error) {
	return appendParts(dst, t.parts, t.tail, c)
}

func appendParts(dst []byte, parts []part, tail []byte, c *Ctx) ([]byte, error) {
	start := len(dst)
	var err error
	for i := range parts {
		p := &parts[i]
		dst = append(dst, p.before...)
		if dst, err = p.append(dst, c); err != nil {
			return dst[:start], err
		}
	}
	return append(dst, tail...), nil
}

func (p *part) append(dst []byte, c *Ctx) ([]byte, error) {
	if p.writer == nil {
		v, err := p.node.eval(c)
		if err != nil {
			return dst, err
		}
		return p.appendValue(dst, v)
	}
	e := p.escape
	if e == escapeJSONScalar {
		dst = append(dst, '"')
		e = escapeJSONChars
	}
	from := len(dst)
	dst, err := p.writer.appendText(dst, c)
	if err != nil {
		return dst, err
	}
	if !p.clean {
		var ok bool
		if dst, ok = e.tail(dst, from); !ok {
			return dst, p.refused
		}
	}
	if p.escape == escapeJSONScalar {
		dst = append(dst, '"')
	}
	return dst, nil
}

func (p *part) appendValue(dst []byte, v Value) ([]byte, error) {
	switch v.kind {
	case Nil:
		if p.escape == escapeJSONScalar {
			return append(dst, "null"...), nil
		}
		return dst, p.unset
	case Bool, Int:
		return v.AppendText(dst), nil
	case Float:
		if !v.finite() {
			return dst, p.infinite
		}
		from := len(dst)
		dst, _ = p.escape.tail(v.AppendText(dst), from)
		return dst, nil
	case JSON:
		if p.escape == escapeJSONScalar {
			return append(dst, v.str...), nil
		}
	}
	dst, ok := p.escape.appendTo(dst, v.str)
	if !ok {
		return dst, p.refused
	}
	return dst, nil
}

// Value evaluates the text to a typed value: the expression's type if the text
// is exactly ${...}, else a string, without escaping.
func (t *Text) Value(c *Ctx) (Value, error) {
	if t.whole != nil {
		v, err := t.whole.eval(c)
		if err == nil && !v.finite() {
			err = errNotFinite
		}
		return v, err
	}
	if len(t.plain) == 0 {
		return Str(t.literal), nil
	}
	s, err := appendParts(nil, t.plain, t.plainTail, c)
	return Str(string(s)), err
}

// Static returns the bytes of a text that is the same for every Ctx. They must
// not be changed.
func (t *Text) Static() ([]byte, bool) {
	if len(t.parts) > 0 {
		return nil, false
	}
	return t.tail, true
}

// Slots returns the indices of the slots the text reads, ascending.
func (t *Text) Slots() []int { return slices.Clone(t.slots) }

// Fleeting reports whether the text differs each time it is evaluated even with
// the same key: it tells the time, is a salted hash, or comes from outside.
func (t *Text) Fleeting() bool { return t.fleeting }

// Text compiles src, which may hold any number of ${ ... }; $${ writes ${ as
// it stands. Errors are *Error.
func (c *Compiler) Text(src string, m Mode) (*Text, error) {
	return c.text(src, m, &lowering{compiler: c, site: c.Site()})
}

func (c *Compiler) text(src string, m Mode, l *lowering) (*Text, error) {
	pieces, err := split(src)
	if err != nil {
		return nil, err
	}
	exact := len(pieces) == 1 && pieces[0].expr
	out, plain := joiner{}, joiner{}
	esc := [...]escape{escapeNone, escapeTarget, escapeHeader, escapeJSONChars, escapeTarget}[m]
	quoted := m == JSONText && !exact
	if m == JSONText && exact {
		esc = escapeJSONScalar
	}
	if quoted {
		out.literal(`"`)
	}
	t := &Text{}
	for _, p := range pieces {
		if !p.expr {
			if err := checkLiteral(p, m); err != nil {
				return nil, err
			}
			plain.literal(p.text)
			switch {
			case quoted:
				out.literal(string(appendJSONChars(nil, p.text)))
			case m == Form:
				out.literal(string(appendPercent(nil, p.text)))
			default:
				out.literal(p.text)
			}
			continue
		}
		n, err := l.expression(p.text, p.at)
		if err != nil {
			return nil, err
		}
		if exact {
			t.whole = n
		}
		name := strings.TrimSpace(p.text)
		// An unset constant may be asked for by Value, and leaves a header out.
		mayBeUnset := exact || m == Header
		if err := out.expression(n, name, esc, mayBeUnset && m != Target && m != Form); err != nil {
			return nil, &Error{Offset: p.at, Msg: err.Error()}
		}
		if err := plain.expression(n, name, escapeNone, mayBeUnset); err != nil {
			return nil, &Error{Offset: p.at, Msg: err.Error()}
		}
	}
	if quoted {
		out.literal(`"`)
	}
	t.parts, t.tail = out.finish()
	t.plain, t.plainTail = plain.finish()
	t.literal = string(t.plainTail)
	slices.Sort(l.slots)
	t.slots = slices.Compact(l.slots)
	t.fleeting = l.fleeting
	return t, nil
}

// checkLiteral refuses literal text that its place cannot hold.
func checkLiteral(p piece, m Mode) error {
	for i := 0; i < len(p.text); i++ {
		switch c := p.text[i]; {
		case m == Target && (c <= ' ' || c == 0x7f):
			return &Error{p.at + i, "a request target cannot hold a space or a control character", fmt.Sprintf("write %%%02X", c)}
		case m == Header && (c == '\r' || c == '\n' || c == 0):
			return &Error{p.at + i, "a header value cannot hold a line break or a NUL", "write it on one line"}
		}
	}
	return nil
}

// joiner puts literals and expressions together; what is constant becomes literal.
type joiner struct {
	parts []part
	lit   []byte
}

func (j *joiner) literal(s string) { j.lit = append(j.lit, s...) }

func (j *joiner) expression(n node, name string, e escape, mayBeUnset bool) error {
	p := part{
		node:     n,
		escape:   e,
		unset:    unset(name),
		refused:  faultf("%s holds a line break or a NUL, which a header cannot carry", name),
		infinite: faultf("%s is not a finite number", name),
	}
	if c, ok := n.(constant); ok && (c.v.kind != Nil || !mayBeUnset || e == escapeJSONScalar) {
		lit, err := p.appendValue(j.lit, c.v)
		if err != nil {
			return err
		}
		j.lit = lit
		return nil
	}
	p.writer, _ = n.(writer)
	p.clean = clean(n, e)
	j.part(p)
	return nil
}

func (j *joiner) part(p part) {
	p.before = string(append(j.lit, p.before...))
	j.parts = append(j.parts, p)
	j.lit = nil
}

func (j *joiner) finish() ([]part, []byte) {
	return slices.Clip(j.parts), append(make([]byte, 0, len(j.lit)), j.lit...)
}

// clean reports whether a writer only writes what needs no escaping.
func clean(n node, e escape) bool {
	switch n := n.(type) {
	case uuid, *letters:
		return true
	case now:
		return n.layout == "" && e != escapeTarget
	}
	return e == escapeNone
}

// Builder joins texts and literals to one, for bodies and credentials.
type Builder struct {
	out      joiner
	slots    []int
	fleeting bool
}

// Literal appends bytes as they are.
func (b *Builder) Literal(s string) { b.out.literal(s) }

// Text appends a compiled text, with its own escaping.
func (b *Builder) Text(t *Text) {
	for _, p := range t.parts {
		b.out.part(p)
	}
	b.out.literal(string(t.tail))
	b.add(t)
}

// Base64 appends the base64 encoding (RFC 4648) of what a text writes.
func (b *Builder) Base64(t *Text) {
	b.out.part(part{node: encodedText{t}, writer: encodedText{t}, clean: true})
	b.add(t)
}

func (b *Builder) add(t *Text) {
	b.slots = append(b.slots, t.slots...)
	b.fleeting = b.fleeting || t.fleeting
}

// Build returns the joined text; Value of it is its string.
func (b *Builder) Build() *Text {
	parts, tail := b.out.finish()
	slices.Sort(b.slots)
	slots := slices.Compact(slices.Clone(b.slots))
	return &Text{parts: parts, tail: tail, plain: parts, plainTail: tail, literal: string(tail), slots: slots, fleeting: b.fleeting}
}
