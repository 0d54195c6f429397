package measure

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Bucket is one non-empty bucket of a Hist.
type Bucket struct {
	Index uint32 // in HdrHistogram's layout: 1 µs to 1 h, 3 digits, or 2 if the Hist is Coarse
	Count uint64
}

// Buckets are packed as varints, ascending: the distance from the bucket before,
// shifted left, its lowest bit set if a count follows, which is less by two; a
// bucket without holds one value. That is one byte a bucket at a low rate and
// two at a high one, where a Bucket takes 16, and a run has thousands in each of
// hundreds of series. Packed bytes are never changed, so they can be shared.

// packer appends buckets, which come in ascending order, to packed bytes.
type packer struct {
	packed []byte
	next   uint32
}

func (p *packer) add(b Bucket) {
	gap := uint64(b.Index-p.next) << 1
	if b.Count == 1 {
		p.packed = binary.AppendUvarint(p.packed, gap)
	} else {
		p.packed = binary.AppendUvarint(p.packed, gap|1)
		p.packed = binary.AppendUvarint(p.packed, b.Count-2)
	}
	p.next = b.Index + 1
}

// Pack is the packed form of buckets that ascend by Index. Empty ones are left out.
func Pack(buckets ...Bucket) []byte {
	var p packer
	for _, b := range buckets {
		if b.Count > 0 {
			p.add(b)
		}
	}
	return p.packed
}

// unpacker reads packed buckets one by one.
type unpacker struct {
	rest []byte
	next uint64
	Bucket
	err error
}

func unpack(packed []byte) unpacker { return unpacker{rest: packed} }

// more moves on to the next bucket; false at the end, or at what is malformed.
func (u *unpacker) more() bool {
	if len(u.rest) == 0 {
		return false
	}
	gap, ok := u.varint()
	count := uint64(1)
	if ok && gap&1 != 0 {
		count, ok = u.varint()
		count += 2
	}
	index := u.next + gap>>1
	switch {
	case !ok:
		u.err = errTruncated
	case index >= fineBuckets:
		u.err = fmt.Errorf("bucket %d is out of range", index)
	case count == 0 || count == 1 && gap&1 != 0: // it wrapped around
		u.err = errBeyond64
	default:
		u.Bucket = Bucket{uint32(index), count}
		u.next = index + 1
		return true
	}
	u.rest = nil
	return false
}

func (u *unpacker) varint() (uint64, bool) {
	if len(u.rest) > 0 && u.rest[0] < 0x80 {
		v := u.rest[0]
		u.rest = u.rest[1:]
		return uint64(v), true
	}
	v, n := readVarint(u.rest)
	u.rest = u.rest[max(n, 0):]
	return v, n > 0
}

// readVarint is binary.Uvarint that takes only the shortest form of a number, so
// that equal contents are equal bytes.
func readVarint(b []byte) (v uint64, n int) {
	v, n = binary.Uvarint(b)
	if n > 1 && b[n-1] == 0 {
		return 0, 0
	}
	return v, n
}

var (
	errTruncated = errors.New("it ends in the middle, or is not written the shortest way")
	errBeyond64  = errors.New("it counts past 64 bits")
)

// mergePacked appends the sum of two packed lists to dst.
func mergePacked(dst, a, b []byte) []byte {
	if len(a) == 0 {
		return append(dst, b...)
	}
	if len(b) == 0 {
		return append(dst, a...)
	}
	out := packer{packed: dst}
	ours, theirs := unpack(a), unpack(b)
	more, moreTheirs := ours.more(), theirs.more()
	for more || moreTheirs {
		switch {
		case !moreTheirs || more && ours.Index < theirs.Index:
			out.add(ours.Bucket)
			more = ours.more()
		case !more || ours.Index > theirs.Index:
			out.add(theirs.Bucket)
			moreTheirs = theirs.more()
		default:
			out.add(Bucket{ours.Index, ours.Count + theirs.Count})
			more, moreTheirs = ours.more(), theirs.more()
		}
	}
	return out.packed
}

// coarsen re-cuts 3-digit buckets as 2-digit ones. Exact: the fine buckets nest
// in the coarse ones.
func coarsen(fine []byte) []byte {
	var out packer
	var sum Bucket
	for u := unpack(fine); u.more(); {
		low, _ := bucketRange(int(u.Index), fineBits)
		index := uint32(coarseIndex(low))
		if sum.Count > 0 && index != sum.Index {
			out.add(sum)
			sum.Count = 0
		}
		sum = Bucket{index, sum.Count + u.Count}
	}
	if sum.Count > 0 {
		out.add(sum)
	}
	return out.packed
}

// total sums the counts of packed buckets.
func total(packed []byte) (n uint64) {
	for u := unpack(packed); u.more(); {
		n += u.Count
	}
	return n
}

// filled counts packed buckets.
func filled(packed []byte) (n int) {
	for u := unpack(packed); u.more(); {
		n++
	}
	return n
}
