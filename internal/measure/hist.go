package measure

import (
	"fmt"
	"math"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Bucket is one non-empty bucket of a Hist.
type Bucket struct {
	Index uint32 // in HdrHistogram's layout: 1 µs to 1 h, 3 digits, or 2 if the Hist is Coarse
	Count uint64
}

// Hist is a distribution of durations as plain data: it merges exactly, in any
// order. The zero value is empty.
type Hist struct {
	Buckets []Bucket // ascending by Index
	Coarse  bool     // 2 significant digits instead of 3
	Count   uint64   // finite values: the sum of Buckets
	Inf     uint64   // values above all others: requests that failed or were never sent
	Sum     uint64   // of the finite values, ns, exact
	Min     int64    // ns, exact; 0 when Count is 0
	Max     int64    // ns, exact
	Clamped uint64   // finite values above one hour, counted as one hour
}

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
	for _, b := range h.Buckets {
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
	theirs := o.Buckets
	switch {
	case h.Coarse && !o.Coarse:
		theirs = coarsen(theirs)
	case !h.Coarse && o.Coarse:
		h.Buckets, h.Coarse = coarsen(h.Buckets), true
	}
	h.Buckets = addBuckets(h.Buckets, theirs)
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
	for _, b := range h.Buckets {
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
	next, total := 0, uint64(0)
	for _, b := range h.Buckets {
		if int(b.Index) < next || int(b.Index) >= size {
			return fmt.Errorf("bucket %d out of order or range", b.Index)
		}
		if b.Count == 0 || total+b.Count < total {
			return fmt.Errorf("bucket %d counts %d", b.Index, b.Count)
		}
		next, total = int(b.Index)+1, total+b.Count
	}
	if total != h.Count {
		return fmt.Errorf("buckets hold %d values of %d", total, h.Count)
	}
	return nil
}

// coarsen re-cuts 3-digit buckets as 2-digit ones. Exact: the fine buckets nest
// in the coarse ones.
func coarsen(fine []Bucket) []Bucket {
	var out []Bucket
	for _, b := range fine {
		low, _ := bucketRange(int(b.Index), fineBits)
		index := uint32(coarseIndex(low))
		if n := len(out); n > 0 && out[n-1].Index == index {
			out[n-1].Count += b.Count
			continue
		}
		out = append(out, Bucket{index, b.Count})
	}
	return out
}

// addBuckets merges two ascending lists into a new one.
func addBuckets(a, b []Bucket) []Bucket {
	out := make([]Bucket, 0, max(len(a), len(b)))
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].Index < b[0].Index:
			out, a = append(out, a[0]), a[1:]
		case a[0].Index > b[0].Index:
			out, b = append(out, b[0]), b[1:]
		default:
			out = append(out, Bucket{a[0].Index, a[0].Count + b[0].Count})
			a, b = a[1:], b[1:]
		}
	}
	return append(append(out, a...), b...)
}

func seconds(ns int64) float64 { return float64(ns) / 1e9 }

const pageBits = 8

// histogram is the form a Hist has while it is recorded: 32-bit counters in
// pages that exist once a value fell into them. A full HdrHistogram takes
// 188 KB; the pages of a typical series take ten.
type histogram struct {
	count, sum uint64
	min, max   int64
	clamped    uint64
	pages      [fineBuckets >> pageBits]*[1 << pageBits]uint32
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
	p := h.pages[i>>pageBits]
	if p == nil {
		p = new([1 << pageBits]uint32)
		h.pages[i>>pageBits] = p
	}
	n := p[i&(1<<pageBits-1)] + 1
	p[i&(1<<pageBits-1)] = n
	if n == 0 {
		h.wrap(i)
	}
}

func (h *histogram) wrap(i int) {
	if h.wraps == nil {
		h.wraps = map[int]uint64{}
	}
	h.wraps[i]++
}

// hist copies what was recorded; a nil histogram is empty.
func (h *histogram) hist() Hist {
	if h == nil || h.count == 0 {
		return Hist{}
	}
	out := Hist{Count: h.count, Sum: h.sum, Min: h.min, Max: h.max, Clamped: h.clamped}
	for p, page := range h.pages {
		if page == nil {
			continue
		}
		for i, n := range page {
			index := p<<pageBits + i
			if count := uint64(n) + h.wraps[index]<<32; count > 0 {
				out.Buckets = append(out.Buckets, Bucket{uint32(index), count})
			}
		}
	}
	return out
}
