package httpwire

// Heads remembers the last head that came whole, and what it said: between two
// ticks of their Date, the answers of a server often differ in their bodies
// alone. A head that is the same byte for byte is then compared, and not parsed.
// The zero value is ready, and a nil *Heads remembers nothing.
type Heads struct {
	text   []byte
	fields uint32 // where the first field line begins in text
	length uint32 // of all field lines
	left   int64
	status uint16
	flags  flags
}

// longestHead bounds what is remembered.
const longestHead = 2 << 10

// recall puts a parser that has read nothing of this head where it is once it
// has read the head in front of block, and returns the length of that head; 0:
// it is another than the last.
func (h *Heads) recall(p *Parser, block []byte) (end int) {
	if h == nil || len(h.text) == 0 || len(block) < len(h.text) || string(block[:len(h.text)]) != string(h.text) {
		return 0
	}
	p.status, p.left, p.flags = h.status, h.left, p.flags|h.flags
	if h.length > 0 {
		p.head, p.headLen = &block[h.fields], h.length
	}
	return len(h.text)
}

// note remembers the head that p has just read and not yet acted upon.
func (h *Heads) note(p *Parser, head []byte, fields int) {
	// An informational head is counted where it is parsed.
	if h == nil || len(head) > longestHead || p.status < 200 {
		return
	}
	h.text = append(h.text[:0], head...)
	h.fields, h.length, h.left, h.status, h.flags = uint32(fields), p.headLen, p.left, p.status, p.flags&fromHead
}
