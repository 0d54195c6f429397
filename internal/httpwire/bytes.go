package httpwire

import (
	"encoding/binary"
	"math/bits"
)

// token maps each byte that may stand in a token (RFC 9110, section 5.6.2) to
// its lower case, and every other byte to 0. One look-up answers both questions
// a field name raises.
var token = func() (t [256]byte) {
	for c := '0'; c <= '9'; c++ {
		t[c] = byte(c)
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c] = byte(c)
		t[c-'a'+'A'] = byte(c)
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] = byte(c)
	}
	return t
}()

// Eight bytes are looked at as one word. Each mask below has the top bit set in
// every byte that matches; a borrow can set it wrongly only above a byte that
// does match, so "none" and "the lowest" are exact.
const (
	each = 0x0101010101010101
	tops = 0x8080808080808080
)

func below(w uint64, c uint64) uint64 { return (w - each*c) &^ w & tops }

func equal(w uint64, c uint64) uint64 {
	w ^= each * c
	return (w - each) &^ w & tops
}

// textEnd returns the index of the first byte from b[i:] on that may not stand
// in a field value or a reason phrase: a control character other than tab.
// It is len(b) when there is none.
func textEnd(b []byte, i int) int {
	for i+8 <= len(b) {
		w := binary.LittleEndian.Uint64(b[i:])
		m := below(w, 0x20) | equal(w, 0x7f)
		if m == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(m) >> 3
		if b[i] != '\t' {
			return i
		}
		i++
	}
	for ; i < len(b); i++ {
		if c := b[i]; c < 0x20 && c != '\t' || c == 0x7f {
			return i
		}
	}
	return i
}

// equalFold compares a name as it came with one in lower case.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if token[c] != lower[i] {
			return false
		}
	}
	return true
}

// trim removes optional white space (spaces and tabs) from both ends.
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}
