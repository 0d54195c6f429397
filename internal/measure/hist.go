package measure

import (
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Hist is a distribution of durations as plain data: it merges exactly, in any
// order. The zero value is empty.
type Hist struct {
	Packed  []byte // the buckets, see Buckets; shared by copies, and never changed
	Coarse  bool   // 2 significant digits instead of 3
	Count   uint64 // finite values: the sum of the buckets
	Inf     uint64 // values above all others: requests that failed or were never sent
	Sum     uint64 // of the finite values, ns, exact
	Min     int64  // ns, exact; 0 when Count is 0
	Max     int64  // ns, exact
	Clamped uint64 // finite values above one hour, counted as one hour
}

// Buckets returns the non-empty buckets, ascending. It ends early at packed
// bytes that are malformed, which Merge refuses.
func (h *Hist) Buckets() iter.Seq[Bucket] {
	return func(yield func(Bucket) bool) {
		for u := unpack(h.Packed); u.more(); {
			if !yield(u.Bucket) {
				return
			}
		}
	}
}

// Filled is the number of buckets.
func (h *Hist) Filled() int { return filled(h.Packed) }

// Quantile returns the smallest value, in seconds, such that at least q of all
// values (Inf included) are not above it: +Inf if that is none of the finite
// ones, NaN if there are no values. A finite answer is at most one bucket's
// width too high and never too low.
func (h *Hist) Quantile(q float64) float64 {
	n := h.Count + h.Inf
	if n == 0 || math.IsNaN(q) {
		return math.NaN()
	}
	rank := quantileRank(q, n)
	if rank > h.Count {
		return math.Inf(1)
	}
	for b := range h.Buckets() {
		if rank > b.Count {
			rank -= b.Count
			continue
		}
		_, high := bucketRange(int(b.Index), h.bits())
		return min(float64(high)/1e6, seconds(h.Max))
	}
	return seconds(h.Max)
}

// quantileRank is ceil(q·n) within [1, n]. The product is lowered by a few
// units of its last place, because 0.07 x 100 is 7.000000000000001.
func quantileRank(q float64, n uint64) uint64 {
	x := q * float64(n)
	rank := math.Ceil(x - x*1e-14)
	return uint64(min(max(rank, 1), float64(n)))
}

// Mean returns the exact mean of the finite values in seconds, NaN if there are none.
func (h *Hist) Mean() float64 {
	if h.Count == 0 {
		return math.NaN()
	}
	return float64(h.Sum) / float64(h.Count) / 1e9
}

// Merge adds the values of o. A coarse and a fine Hist merge into a coarse one.
func (h *Hist) Merge(o *Hist) {
	h.Inf += o.Inf
	if o.Count == 0 {
		return
	}
	if h.Count == 0 {
		h.Coarse, h.Min, h.Max = o.Coarse, o.Min, o.Max
	}
	ours, theirs := h.Packed, o.Packed
	switch {
	case h.Coarse && !o.Coarse:
		theirs = coarsen(theirs)
	case !h.Coarse && o.Coarse:
		ours, h.Coarse = coarsen(ours), true
	}
	h.Packed = theirs
	if len(ours) > 0 {
		h.Packed = slices.Clone(mergePacked(make([]byte, 0, len(ours)+len(theirs)), ours, theirs))
	}
	h.Count += o.Count
	h.Sum += o.Sum
	h.Min = min(h.Min, o.Min)
	h.Max = max(h.Max, o.Max)
	h.Clamped += o.Clamped
}

// HDR returns the finite values as a histogram of that library, in microseconds.
func (h *Hist) HDR() *hdrhistogram.Histogram {
	digits, size := int64(3), fineBuckets
	if h.Coarse {
		digits, size = 2, coarseBuckets
	}
	counts := make([]int64, size)
	for b := range h.Buckets() {
		counts[b.Index] = int64(b.Count)
	}
	return hdrhistogram.Import(&hdrhistogram.Snapshot{
		LowestTrackableValue: 1, HighestTrackableValue: highest, SignificantFigures: digits, Counts: counts,
	})
}

func (h *Hist) bits() uint {
	if h.Coarse {
		return coarseBits
	}
	return fineBits
}

// check reports what makes a Hist from elsewhere unusable.
func (h *Hist) check() error {
	size := fineBuckets
	if h.Coarse {
		size = coarseBuckets
	}
	sum, u := uint64(0), unpack(h.Packed)
	for u.more() {
		if int(u.Index) >= size {
			return fmt.Errorf("bucket %d is out of range", u.Index)
		}
		if sum += u.Count; sum < u.Count {
			return errBeyond64
		}
	}
	if u.err != nil {
		return u.err
	}
	if sum != h.Count {
		return fmt.Errorf("buckets hold %d values of %d", sum, h.Count)
	}
	return nil
}

func seconds(ns int64) float64 { return float64(ns) / 1e9 }

const pageBits = 8

// page holds the counters of 256 neighbouring buckets, as wide as the fullest of
// them needs: exactly one of the three exists.
type page struct {
	narrow *[1 << pageBits]uint8
	middle *[1 << pageBits]uint16
	wide   *[1 << pageBits]uint32
}

// histogram is the form a Hist has while it is recorded: counters in pages that
// exist once a value fell into them. A full HdrHistogram takes 188 KB; the pages
// of a typical series take five.
type histogram struct {
	count, sum uint64
	min, max   int64
	clamped    uint64
	slots      [fineBuckets >> pageBits]uint8 // by index >> pageBits: place in pages plus 1, 0: none
	pages      []page
	wraps      map[int]uint64 // by bucket: how often its counter passed 2^32
}

func newHistogram() *histogram { return &histogram{min: math.MaxInt64} }

// add counts one value; us is micros(ns).
func (h *histogram) add(ns, us int64) {
	h.count++
	h.sum += uint64(ns)
	h.min = min(h.min, ns)
	h.max = max(h.max, ns)
	if us > highest {
		us = highest
		h.clamped++
	}
	i := fineIndex(us)
	slot := h.slots[i>>pageBits]
	if slot == 0 {
		slot = h.open(i)
	}
	p, at := &h.pages[slot-1], i&(1<<pageBits-1)
	if p.narrow != nil {
		if n := p.narrow[at]; n < math.MaxUint8 {
			p.narrow[at] = n + 1
			return
		}
		p.widen()
	}
	if p.middle != nil {
		if n := p.middle[at]; n < math.MaxUint16 {
			p.middle[at] = n + 1
			return
		}
		p.widen()
	}
	if p.wide[at]++; p.wide[at] == 0 {
		h.wrap(i)
	}
}

// open makes the page of a bucket and returns its slot.
func (h *histogram) open(i int) uint8 {
	h.pages = append(h.pages, page{narrow: new([1 << pageBits]uint8)})
	h.slots[i>>pageBits] = uint8(len(h.pages))
	return uint8(len(h.pages))
}

// widen gives the counters twice as many bits.
func (p *page) widen() {
	if p.narrow != nil {
		p.middle = new([1 << pageBits]uint16)
		for i, n := range p.narrow {
			p.middle[i] = uint16(n)
		}
		p.narrow = nil
		return
	}
	p.wide = new([1 << pageBits]uint32)
	for i, n := range p.middle {
		p.wide[i] = uint32(n)
	}
	p.middle = nil
}

func (p *page) at(i int) uint32 {
	switch {
	case p.narrow != nil:
		return uint32(p.narrow[i])
	case p.middle != nil:
		return uint32(p.middle[i])
	}
	return p.wide[i]
}

func (h *histogram) wrap(i int) {
	if h.wraps == nil {
		h.wraps = map[int]uint64{}
	}
	h.wraps[i]++
}

// hist copies what was recorded; a nil histogram is empty. It packs in scratch
// first, which it returns for the next one.
func (h *histogram) hist(scratch []byte) (Hist, []byte) {
	if h == nil || h.count == 0 {
		return Hist{}, scratch
	}
	out := packer{packed: scratch[:0]}
	for p, slot := range h.slots {
		if slot == 0 {
			continue
		}
		for i := range 1 << pageBits {
			index := p<<pageBits + i
			if count := uint64(h.pages[slot-1].at(i)) + h.wraps[index]<<32; count > 0 {
				out.add(Bucket{uint32(index), count})
			}
		}
	}
	return Hist{
		Packed: slices.Clone(out.packed), Count: h.count, Sum: h.sum, Min: h.min, Max: h.max, Clamped: h.clamped,
	}, out.packed
}
