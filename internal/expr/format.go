package expr

import (
	"fmt"
	"strings"
)

// format is format("R%04d", x): a constant format of the verbs d, s, x, f and v.
type format struct {
	pieces []formatPiece
	tail   string
}

// formatPiece is literal text and the verb after it.
type formatPiece struct {
	before string
	spec   string // as package fmt takes it, such as %04d
	verb   byte
	arg    node
	bad    *fault
	unset  *fault
}

// parseFormat splits a format. The fault says what to write instead.
func parseFormat(s string) (pieces []formatPiece, tail string, msg string) {
	var lit strings.Builder
	for i := 0; i < len(s); {
		if s[i] != '%' {
			lit.WriteByte(s[i])
			i++
			continue
		}
		if strings.HasPrefix(s[i:], "%%") {
			lit.WriteByte('%')
			i += 2
			continue
		}
		from := i
		i++
		for i < len(s) && strings.IndexByte("+- 0", s[i]) >= 0 {
			i++
		}
		width := i
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		wide := i-width > 3
		if i < len(s) && s[i] == '.' {
			i++
			precision := i
			for i < len(s) && s[i] >= '0' && s[i] <= '9' {
				i++
			}
			wide = wide || i-precision > 3
		}
		switch {
		case i == len(s) || strings.IndexByte("dsxfv", s[i]) < 0:
			return nil, "", fmt.Sprintf("unknown verb %q in a format: %%d, %%s, %%x, %%f and %%v are known, and %%%% writes a percent sign", s[from:min(i+1, len(s))])
		case wide:
			return nil, "", fmt.Sprintf("%q: a width or precision has at most 3 digits", s[from:i+1])
		}
		i++
		pieces = append(pieces, formatPiece{before: lit.String(), spec: s[from:i], verb: s[i-1]})
		lit.Reset()
	}
	return pieces, lit.String(), ""
}

func (n *format) appendText(dst []byte, c *Ctx) ([]byte, error) {
	start := len(dst)
	for i := range n.pieces {
		p := &n.pieces[i]
		dst = append(dst, p.before...)
		v, err := p.arg.eval(c)
		if err != nil {
			return dst[:start], err
		}
		if v.kind == Nil {
			return dst[:start], p.unset
		}
		var ok bool
		if dst, ok = p.append(dst, v); !ok {
			return dst[:start], p.bad
		}
	}
	return append(dst, n.tail...), nil
}

func (p *formatPiece) append(dst []byte, v Value) ([]byte, bool) {
	switch p.verb {
	case 'd', 'x':
		if i, ok := v.Int(); ok {
			return fmt.Appendf(dst, p.spec, i), true
		}
		if p.verb == 'd' || v.kind != String {
			return dst, false
		}
	case 'f':
		f, ok := v.Float()
		if !ok || !v.finite() {
			return dst, false
		}
		return fmt.Appendf(dst, p.spec, f), true
	default:
		if !v.finite() {
			return dst, false
		}
		if p.spec == "%s" || p.spec == "%v" {
			return v.AppendText(dst), true
		}
	}
	return fmt.Appendf(dst, p.spec, v.Text()), true
}

func (n *format) eval(c *Ctx) (Value, error) { return written(n, c) }
func (n *format) kind() Kind                 { return String }
