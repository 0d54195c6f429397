package measure

import (
	"bytes"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
	"pgregory.net/rapid"
)

// indexIn returns the bucket that the library puts a value into.
func indexIn(t *testing.T, h *hdrhistogram.Histogram, us int64) int {
	t.Helper()
	h.Reset()
	if err := h.RecordValue(us); err != nil {
		t.Fatalf("%d µs: %v", us, err)
	}
	return slices.Index(h.Export().Counts, 1)
}

func TestEveryBucketIsTheLibrarys(t *testing.T) {
	for _, g := range []struct {
		digits  int
		bits    uint
		buckets int
		index   func(int64) int
	}{{3, fineBits, fineBuckets, fineIndex}, {2, coarseBits, coarseBuckets, coarseIndex}} {
		library := hdrhistogram.New(1, highest, g.digits)
		if n := len(library.Export().Counts); n != g.buckets {
			t.Fatalf("%d digits: %d buckets, the library has %d", g.digits, g.buckets, n)
		}
		// One bucket of each kind against the library; all against each other.
		next := int64(0)
		for i := range g.buckets {
			low, high := bucketRange(i, g.bits)
			if low != next || g.index(low) != i || g.index(high) != i {
				t.Fatalf("%d digits: bucket %d is %d..%d after %d, with indices %d and %d", g.digits, i, low, high, next-1, g.index(low), g.index(high))
			}
			next = high + 1
			if high > highest {
				continue
			}
			if err := library.RecordValue(low); err != nil {
				t.Fatal(err)
			}
			if err := library.RecordValues(high, 2); err != nil {
				t.Fatal(err)
			}
		}
		for i, n := range library.Export().Counts {
			if _, high := bucketRange(i, g.bits); high <= highest && n != 3 {
				t.Fatalf("%d digits: the library counts %d in bucket %d, not both of its ends", g.digits, n, i)
			}
		}
		if i := g.index(highest); i != indexIn(t, library, highest) {
			t.Fatalf("%d digits: the highest value is in bucket %d", g.digits, i)
		}
	}
}

func TestRecordedHistogramEqualsTheLibrarys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOf(rapid.Int64Range(0, 2*highest*1000)).Draw(t, "ns")
		own, library := newHistogram(), hdrhistogram.New(1, highest, 3)
		clamped := uint64(0)
		for _, ns := range values {
			us := micros(ns)
			own.add(ns, us)
			if us > highest {
				clamped++
			}
			if err := library.RecordValue(min(us, highest)); err != nil {
				t.Fatal(err)
			}
		}
		h, _ := own.hist(nil)
		if !h.HDR().Equals(library) {
			t.Fatal("another histogram than the library's")
		}
		if h.Clamped != clamped {
			t.Fatalf("%d values clamped, want %d", h.Clamped, clamped)
		}
		if err := h.check(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestQuantileIsTheSmallestValueWithEnoughAtOrBelow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(0, 1e12), 1, 300).Draw(t, "ns")
		failed := rapid.Uint64Range(0, 100).Draw(t, "failed")
		permyriad := rapid.IntRange(1, 9999).Draw(t, "q")
		rec := newHistogram()
		for _, ns := range values {
			rec.add(ns, micros(ns))
		}
		h, _ := rec.hist(nil)
		h.Inf = failed
		slices.Sort(values)
		n := uint64(len(values)) + failed
		rank := (uint64(permyriad)*n + 9999) / 10000 // exact ceiling
		got := h.Quantile(float64(permyriad) / 10000)
		if rank > uint64(len(values)) {
			if !math.IsInf(got, 1) {
				t.Fatalf("rank %d is a failure, and the quantile is %v", rank, got)
			}
			return
		}
		want := seconds(values[rank-1])
		if got < want || got > want*(1+1.0/1024)+2e-6 {
			t.Fatalf("quantile %v, exact %v", got, want)
		}
	})
}

func TestQuantileOfNothingIsNotANumber(t *testing.T) {
	var h Hist
	if q := h.Quantile(0.5); !math.IsNaN(q) {
		t.Fatalf("p50 of nothing is %v", q)
	}
	if m := h.Mean(); !math.IsNaN(m) {
		t.Fatalf("mean of nothing is %v", m)
	}
	h.Inf = 1
	if q := h.Quantile(0.5); !math.IsInf(q, 1) {
		t.Fatalf("p50 of one failure is %v", q)
	}
}

func TestQuantileRankIsNotLiftedByRounding(t *testing.T) {
	for _, c := range []struct {
		q    float64
		n    uint64
		want uint64
	}{{0.07, 100, 7}, {0.95, 100, 95}, {0.95, 101, 96}, {0.29, 100, 29}, {0.999, 1000, 999}, {0.9999, 10_000_000, 9_999_000}, {0, 5, 1}, {1, 5, 5}} {
		if got := quantileRank(c.q, c.n); got != c.want {
			t.Errorf("rank of %v in %d is %d, want %d", c.q, c.n, got, c.want)
		}
	}
}

func TestCoarseAndFineHistogramsMergeIntoACoarseOne(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	fine, want := newHistogram(), hdrhistogram.New(1, highest, 2)
	var coarse cell
	var pool pagePool
	n := uint64(0)
	for range 1000 {
		a, b := rng.Int64N(1e10), rng.Int64N(1e9)
		fine.add(a, micros(a))
		coarse.add(coarseIndex(micros(b)), &pool)
		for _, v := range []int64{a, b} {
			if err := want.RecordValue(micros(v)); err != nil {
				t.Fatal(err)
			}
		}
		n++
	}
	c := Hist{Coarse: true, Packed: coarse.point(0, nil).packed, Count: n}
	f, _ := fine.hist(nil)
	for _, pair := range [][2]Hist{{c, f}, {f, c}} {
		var sum Hist
		sum.Merge(&pair[0])
		sum.Merge(&pair[1])
		if !sum.HDR().Equals(want) {
			t.Fatal("not the histogram of all values to 2 digits")
		}
	}
}

func TestCounterThatGrowsIsExact(t *testing.T) {
	// Just below and above what 8, 16 and 32 bits hold; the neighbour keeps its own.
	for _, n := range []uint64{1, math.MaxUint8, math.MaxUint8 + 1, math.MaxUint16, math.MaxUint16 + 1} {
		h := newHistogram()
		h.add(5001e3, 5001)
		for range n {
			h.add(5e6, 5000)
		}
		h.add(5001e3, 5001)
		out, _ := h.hist(nil)
		want := Pack(Bucket{uint32(fineIndex(5000)), n + 2})
		if fineIndex(5000) != fineIndex(5001) {
			want = Pack(Bucket{uint32(fineIndex(5000)), n}, Bucket{uint32(fineIndex(5001)), 2})
		}
		if err := out.check(); err != nil || !bytes.Equal(out.Packed, want) {
			t.Fatalf("%d values: %v (%v)", n, slices.Collect(out.Buckets()), err)
		}
	}
}

func TestCounterBeyond32BitsIsExact(t *testing.T) {
	h := newHistogram()
	h.add(5e6, 5000)
	h.pages[0].widen()
	h.pages[0].widen()
	h.pages[0].wide[fineIndex(5000)&(1<<pageBits-1)] = math.MaxUint32
	h.count = math.MaxUint32
	h.add(5e6, 5000)
	h.add(5e6, 5000)
	out, _ := h.hist(nil)
	if err := out.check(); err != nil || total(out.Packed) != 1<<32+1 {
		t.Fatalf("buckets %v (%v), want one of %d", slices.Collect(out.Buckets()), err, uint64(1<<32+1))
	}
}

func TestPackedBucketsReadBackAndMerge(t *testing.T) {
	draw := func(t *rapid.T, name string) (m map[uint32]uint64, packed []byte) {
		m = rapid.MapOf(rapid.Uint32Range(0, fineBuckets-1), rapid.Uint64Range(1, 1<<62)).Draw(t, name)
		var p packer
		for _, i := range slices.Sorted(maps.Keys(m)) {
			p.add(Bucket{i, m[i]})
		}
		return m, p.packed
	}
	read := func(packed []byte) map[uint32]uint64 {
		m := map[uint32]uint64{}
		u := unpack(packed)
		for u.more() {
			m[u.Index] = u.Count
		}
		if u.err != nil || filled(packed) != len(m) {
			t.Fatal(u.err, filled(packed))
		}
		return m
	}
	rapid.Check(t, func(t *rapid.T) {
		a, packedA := draw(t, "a")
		b, packedB := draw(t, "b")
		if !maps.Equal(read(packedA), a) {
			t.Fatalf("read %v, packed %v", read(packedA), a)
		}
		sum := maps.Clone(a)
		for i, n := range b {
			sum[i] += n
		}
		merged := mergePacked(nil, packedA, packedB)
		if !maps.Equal(read(merged), sum) || !bytes.Equal(merged, mergePacked(nil, packedB, packedA)) {
			t.Fatalf("%v and %v are %v", a, b, read(merged))
		}
	})
}

func TestEmptyBucketsAreNotPacked(t *testing.T) {
	if a, b := Pack(Bucket{3, 1}, Bucket{4, 0}, Bucket{5, 2}), Pack(Bucket{3, 1}, Bucket{5, 2}); !bytes.Equal(a, b) {
		t.Errorf("packed %x with an empty bucket, %x without", a, b)
	}
}

func FuzzPackedBuckets(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(Pack(Bucket{3, 1}, Bucket{4, 5}, Bucket{20000, 1 << 40}))
	f.Add([]byte{0x80, 0x00})
	f.Add(bytes.Repeat([]byte{0xff}, 30))
	f.Fuzz(func(t *testing.T, packed []byte) {
		h := Hist{Packed: packed, Count: total(packed)}
		if h.check() != nil {
			return
		}
		if again := Pack(slices.Collect(h.Buckets())...); !bytes.Equal(again, packed) {
			t.Fatalf("%x is accepted and would be written %x", packed, again)
		}
		other := h
		other.Merge(&h)
		if total(coarsen(packed)) != h.Count {
			t.Fatal("coarse buckets hold another number of values")
		}
	})
}
