package httpwire

import (
	"sync"
	"weak"
)

// spill is what a response that arrives in more than one Feed needs: its bytes
// so far. While the head is incomplete buf is the head; afterwards it is the
// field lines followed by the decoded body (if that is kept). A body that goes
// beyond the largest buffer continues in a chain of smaller ones, so that
// growing neither copies it again nor leaves anything behind.
type spill struct {
	buf []byte
	// Set and used only while the head is incomplete:
	line   int // where the first incomplete line begins
	fields int // where the field lines begin, 0 before the status line is whole

	class int // index in spills, or -1: too large to be pooled

	next *spill // the following link
	last *spill // of the first: the last link, or nil

	whole *[]byte // of the first: a chained body in one piece, once it was asked for
}

// Buffers are pooled in sizes that grow by four, so that a buffer is never more
// than four times what arrived and a connection with a small response does not
// hold one that a large response left behind. The links of a chain are of the
// largest size, so that what many bodies of a middling length leave serves a few
// long ones. Only a head can go beyond it, if Limits allow that.
const (
	smallest = 1 << 10
	largest  = 256 << 10
)

var spills [5]sync.Pool

// wholes are free buffers for bodies in one piece. Each is borrowed from Body to
// Release, which is not long, so there is work for a few. No sync.Pool: that
// keeps one for each processor out of the others' sight, and these are large. The
// references are weak, so that the collector may have what is free.
var wholes struct {
	sync.Mutex
	free [8]weak.Pointer[[]byte]
}

// borrowWhole returns an empty buffer for a body of that size.
func borrowWhole(size int64) *[]byte {
	if b := freeWhole(size); b != nil {
		return b
	}
	// Whole megabytes, so that the next one, of about the size, fits as well.
	const unit = 1 << 20
	b := make([]byte, 0, (size+unit-1)/unit*unit)
	return &b
}

func freeWhole(size int64) *[]byte {
	wholes.Lock()
	defer wholes.Unlock()
	for i, w := range wholes.free {
		if b := w.Value(); b != nil && int64(cap(*b)) >= size {
			wholes.free[i] = weak.Pointer[[]byte]{}
			return b
		}
	}
	return nil
}

func giveWholeBack(b *[]byte) {
	*b = (*b)[:0]
	wholes.Lock()
	defer wholes.Unlock()
	for i, w := range wholes.free {
		if w.Value() == nil {
			wholes.free[i] = weak.Make(b)
			return
		}
	}
}

// borrowSpill returns an empty buffer for need bytes in one piece.
func borrowSpill(need int) *spill {
	if need > largest {
		return &spill{buf: make([]byte, 0, 2*need), class: -1} // doubling keeps copying linear
	}
	size, class := smallest, 0
	for size < need {
		size, class = size*4, class+1
	}
	if s, ok := spills[class].Get().(*spill); ok {
		return s
	}
	return &spill{buf: make([]byte, 0, size), class: class}
}

// giveBack returns a buffer, and the chain behind it, to the pools.
func (s *spill) giveBack() {
	if s.whole != nil {
		giveWholeBack(s.whole)
	}
	for s != nil {
		next := s.next
		s.next, s.last, s.whole = nil, nil, nil
		if s.class >= 0 {
			s.buf = s.buf[:0]
			spills[s.class].Put(s)
		}
		s = next
	}
}

// spillWhole appends b to the spill buffer, borrowing or growing it, so that
// all of it stays in one piece. Nothing is reserved for what has not come.
func (p *Parser) spillWhole(b []byte) {
	if p.spill == nil {
		p.spill = borrowSpill(len(b))
	}
	if s := p.spill; len(s.buf)+len(b) > cap(s.buf) {
		grown := borrowSpill(len(s.buf) + len(b))
		grown.buf = append(grown.buf, s.buf...)
		grown.line, grown.fields = s.line, s.fields
		s.giveBack()
		p.spill = grown
	}
	p.spill.buf = append(p.spill.buf, b...)
}

// spillBody appends b, which is of the body, to the spill buffer or its chain.
func (p *Parser) spillBody(b []byte) {
	if p.spill == nil {
		p.spillWhole(b[:min(len(b), largest)])
		b = b[len(p.spill.buf):]
	}
	if s := p.spill; s.last == nil && len(s.buf) < largest {
		fits := min(len(b), largest-len(s.buf))
		p.spillWhole(b[:fits])
		b = b[fits:]
	}
	for s := p.spill; len(b) > 0; {
		if s.last == nil || len(s.last.buf) == cap(s.last.buf) {
			more := borrowSpill(largest)
			if s.last == nil {
				s.next = more
			} else {
				s.last.next = more
			}
			s.last = more
		}
		l := s.last
		fits := min(len(b), cap(l.buf)-len(l.buf))
		l.buf = append(l.buf, b[:fits]...)
		b = b[fits:]
	}
}

// body is the kept body of size bytes behind a head of that length, in one
// piece. The first buffer stays where it is: Header is a part of it.
func (s *spill) body(head uint32, size int64) []byte {
	if s.last == nil && s.whole == nil {
		return s.buf[head:len(s.buf):len(s.buf)]
	}
	if s.whole == nil {
		w := borrowWhole(size)
		*w = append(*w, s.buf[head:]...)
		for l := s.next; l != nil; l = l.next {
			*w = append(*w, l.buf...)
		}
		s.whole = w
		s.next.giveBack()
		s.next, s.last = nil, nil
	}
	return (*s.whole)[:size:size]
}

// held is the memory of a buffer and its chain.
func (s *spill) held() (n int) {
	if s.whole != nil {
		n = cap(*s.whole)
	}
	for l := s; l != nil; l = l.next {
		n += cap(l.buf)
	}
	return n
}

func (p *Parser) dropSpill() {
	if p.spill != nil {
		p.spill.giveBack()
		p.spill = nil
	}
}
