package expr

import "strings"

// piece is a run of literal text, or the inside of one ${ ... }.
type piece struct {
	text string
	at   int // byte offset of text in the source
	expr bool
}

// split cuts a text at its expressions. $${ is a literal ${. The brace that
// closes an expression is found past nested braces and past quoted strings.
func split(src string) ([]piece, error) {
	var pieces []piece
	literal := func(from, to int) {
		if from < to {
			pieces = append(pieces, piece{text: src[from:to], at: from})
		}
	}
	from, i := 0, 0
	for {
		next := strings.Index(src[i:], "${")
		if next < 0 {
			literal(from, len(src))
			return pieces, nil
		}
		i += next
		if i > from && src[i-1] == '$' {
			literal(from, i-1)
			from = i // the second $ and the brace stay
			i += 2
			continue
		}
		literal(from, i)
		end := closing(src, i+2)
		if end < 0 {
			return nil, &Error{Offset: i, Msg: "${ is not closed", Hint: "end it with }, or write $${ for the two characters"}
		}
		pieces = append(pieces, piece{text: src[i+2 : end], at: i + 2, expr: true})
		i = end + 1
		from = i
	}
}

// closing returns the offset of the brace that closes the expression at from, or -1.
func closing(src string, from int) int {
	depth := 0
	for i := from; i < len(src); i++ {
		switch c := src[i]; c {
		case '{':
			depth++
		case '}':
			if depth == 0 {
				return i
			}
			depth--
		case '"', '\'', '`':
			for i++; i < len(src) && src[i] != c; i++ {
				if src[i] == '\\' && c != '`' {
					i++
				}
			}
		}
	}
	return -1
}
