package measure

import "math/bits"

// coarsePage is one octave of a 2-digit histogram.
type coarsePage [1 << coarseBits]uint32

// pagePool hands emptied pages on, so that a new second allocates nothing.
type pagePool struct{ free []*coarsePage }

func (p *pagePool) take() *coarsePage {
	n := len(p.free)
	if n == 0 {
		return new(coarsePage)
	}
	page := p.free[n-1]
	p.free = p.free[:n-1]
	return page
}

// cell counts what is still open: one second of one row, or all that happened
// since the last live view.
type cell struct {
	second    int64 // -1: unused
	requests  uint64
	failures  uint64
	notIssued uint64
	touched   uint32 // bit i: pages[i] holds something
	pages     [coarseBuckets >> coarseBits]*coarsePage
}

// add counts the response time of a success; index is its coarseIndex.
func (c *cell) add(index int, pool *pagePool) {
	octave := index >> coarseBits
	p := c.pages[octave]
	if p == nil {
		p = pool.take()
		c.pages[octave] = p
		c.touched |= 1 << octave
	}
	p[index&(1<<coarseBits-1)]++
}

// point packs the cell's buckets behind dst, which it shares, and returns what
// the cell holds.
func (c *cell) point(row int, dst []byte) point {
	out, filled := packer{packed: dst}, 0
	for rest := c.touched; rest != 0; rest &= rest - 1 {
		octave := bits.TrailingZeros32(rest)
		for i, n := range c.pages[octave] {
			if n > 0 {
				out.add(Bucket{uint32(octave<<coarseBits + i), uint64(n)})
				filled++
			}
		}
	}
	return point{
		row: row, second: c.second, filled: filled, packed: out.packed,
		requests: c.requests, failures: c.failures, notIssued: c.notIssued,
	}
}

// reset makes the cell count another second.
func (c *cell) reset(second int64, pool *pagePool) {
	for rest := c.touched; rest != 0; rest &= rest - 1 {
		octave := bits.TrailingZeros32(rest)
		*c.pages[octave] = coarsePage{}
		pool.free = append(pool.free, c.pages[octave])
		c.pages[octave] = nil
	}
	c.second, c.requests, c.failures, c.notIssued, c.touched = second, 0, 0, 0, 0
}

// history is the per-second record of every row, for charts. Requests finish
// seconds after they were due, so each row keeps the latest seconds open in a
// ring as long as the timeout; when a second leaves the ring it is written to
// the log, and what comes later still is written as an entry of its own.
type history struct {
	ring  int // cells a row, a power of two
	cells []cell
	log   logWriter
	pool  pagePool
	spare []byte
}

// The ring is bounded so that a timeout of minutes does not hold minutes of
// open cells; answers that late are few.
const minRing, maxRing = 4, 16

func newHistory(rows int, timeout int64) history {
	ring := minRing
	for ring < maxRing && int64(ring) <= timeout/1e9+1 {
		ring *= 2
	}
	h := history{ring: ring, cells: make([]cell, rows*ring)}
	for i := range h.cells {
		h.cells[i].second = -1
	}
	return h
}

// at returns the open cell of a row's second, or nil if that second is already
// in the log.
func (h *history) at(row int, second int64) *cell {
	c := &h.cells[row*h.ring+int(second)&(h.ring-1)]
	if c.second == second {
		return c
	}
	return h.turn(c, row, second)
}

func (h *history) turn(c *cell, row int, second int64) *cell {
	if second < c.second {
		return nil
	}
	if c.second >= 0 {
		p := c.point(row, h.spare[:0])
		h.spare = p.packed[:0]
		h.log.add(&p)
	}
	c.reset(second, &h.pool)
	return c
}

// request counts a request of a row by its due second; index is the coarse
// bucket of its response time, used only for a success.
func (h *history) request(row int, second int64, o Outcome, index int) {
	c := h.at(row, second)
	if c == nil {
		h.late(row, second, o, index)
		return
	}
	c.requests++
	switch o {
	case OK:
		c.add(index, &h.pool)
	case Aborted:
	default:
		c.failures++
	}
}

func (h *history) late(row int, second int64, o Outcome, index int) {
	p := point{row: row, second: second, requests: 1, packed: h.spare[:0]}
	switch o {
	case OK:
		out := packer{packed: p.packed}
		out.add(Bucket{uint32(index), 1})
		p.packed, p.filled = out.packed, 1
	case Aborted:
	default:
		p.failures = 1
	}
	h.log.add(&p)
	h.spare = p.packed[:0]
}

func (h *history) notIssued(row int, second int64) {
	if c := h.at(row, second); c != nil {
		c.notIssued++
		return
	}
	h.log.add(&point{row: row, second: second, notIssued: 1})
}

// canonical returns everything recorded as one sorted log, leaving the history
// as it is.
func (h *history) canonical() []byte {
	var points []point
	for _, chunk := range h.log.chunks {
		points = appendPoints(points, chunk)
	}
	for i := range h.cells {
		if c := &h.cells[i]; c.second >= 0 {
			points = append(points, c.point(i/h.ring, nil))
		}
	}
	return encodePoints(points)
}
