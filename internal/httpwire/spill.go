package httpwire

import "sync"

// spill is what a response that arrives in more than one Feed needs: its bytes
// so far. While the head is incomplete buf is the head; afterwards it is the
// field lines followed by the decoded body (if that is kept).
type spill struct {
	buf []byte
	// Set and used only while the head is incomplete:
	line   int // where the first incomplete line begins
	fields int // where the field lines begin, 0 before the status line is whole

	class int // index in spills, or -1: too large to be pooled
}

// Buffers are pooled in sizes that grow by four, so that a buffer is never more
// than four times what arrived and a connection with a small response does not
// hold one that a large response left behind. Over the largest class a buffer
// is made to measure and left to the collector.
const (
	smallest = 1 << 10
	largest  = 1 << 20
)

var spills [6]sync.Pool

func borrowSpill(need int, most int64) *spill {
	size, class := smallest, 0
	for size < need && size < largest {
		size, class = size*4, class+1
	}
	if need > largest {
		// Doubling keeps copying linear; most keeps the last step exact.
		return &spill{buf: make([]byte, 0, max(int64(need), min(2*int64(need), most))), class: -1}
	}
	if s, ok := spills[class].Get().(*spill); ok {
		return s
	}
	return &spill{buf: make([]byte, 0, size), class: class}
}

func (s *spill) giveBack() {
	if s.class < 0 {
		return
	}
	s.buf = s.buf[:0]
	spills[s.class].Put(s)
}

// spillMore appends b to the spill buffer, borrowing or growing it. At most
// `most` bytes will ever be needed; nothing is reserved for what has not come.
func (p *Parser) spillMore(b []byte, most int64) {
	if p.spill == nil {
		p.spill = borrowSpill(len(b), most)
	}
	if s := p.spill; len(s.buf)+len(b) > cap(s.buf) {
		grown := borrowSpill(len(s.buf)+len(b), most)
		grown.buf = append(grown.buf, s.buf...)
		grown.line, grown.fields = s.line, s.fields
		s.giveBack()
		p.spill = grown
	}
	p.spill.buf = append(p.spill.buf, b...)
}

func (p *Parser) dropSpill() {
	if p.spill != nil {
		p.spill.giveBack()
		p.spill = nil
	}
}
