package measure

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"math"
)

// An IntervalWriter makes the payloads of an HdrHistogram interval log: base64
// of the compressed V2 encoding that all its libraries read, in microseconds
// from 1 to one hour. It makes them from buckets, and so without the array of
// 3,000 or 23,000 counters that the library's own writer goes through: a long
// run has tens of thousands. The zero value is ready.
type IntervalWriter struct {
	plain, packed bytes.Buffer
	zip           *zlib.Writer
}

// The first words of the two layers of a payload: version 2, words of one byte.
const v2Cookie, v2CompressedCookie = 0x1c849303 | 0x10, 0x1c849304 | 0x10

// Append appends the payload of h. The format knows no infinity: what is above
// all values (Inf) counts as one hour, the highest that it tracks.
func (w *IntervalWriter) Append(dst []byte, h *Hist) ([]byte, error) {
	digits, top := uint32(3), fineIndex(highest)
	if h.Coarse {
		digits, top = 2, coarseIndex(highest)
	}
	w.plain.Reset()
	w.plain.Write(make([]byte, 40))
	next, inf := 0, h.Inf
	count := func(index int, n uint64) {
		switch gap := index - next; gap {
		case 0:
		case 1: // a zero is as short as a run of one
			w.zigzag(0)
		default:
			w.zigzag(-int64(gap))
		}
		w.zigzag(int64(min(n, math.MaxInt64)))
		next = index + 1
	}
	for b := range h.Buckets() {
		if int(b.Index) >= top {
			inf += b.Count
			continue
		}
		count(int(b.Index), b.Count)
	}
	if inf > 0 {
		count(top, inf)
	}
	if next == 0 {
		w.zigzag(0)
	}
	head := w.plain.Bytes()[:40]
	binary.BigEndian.PutUint32(head, v2Cookie)
	binary.BigEndian.PutUint32(head[4:], uint32(w.plain.Len()-40))
	binary.BigEndian.PutUint32(head[12:], digits) // after a normalizing offset of 0
	binary.BigEndian.PutUint64(head[16:], 1)
	binary.BigEndian.PutUint64(head[24:], uint64(highest))
	binary.BigEndian.PutUint64(head[32:], math.Float64bits(1))

	w.packed.Reset()
	w.packed.Write(make([]byte, 8))
	if w.zip == nil {
		w.zip = zlib.NewWriter(&w.packed)
	} else {
		w.zip.Reset(&w.packed)
	}
	if _, err := w.zip.Write(w.plain.Bytes()); err != nil {
		return dst, err
	}
	if err := w.zip.Close(); err != nil {
		return dst, err
	}
	out := w.packed.Bytes()
	binary.BigEndian.PutUint32(out, v2CompressedCookie)
	binary.BigEndian.PutUint32(out[4:], uint32(len(out)-8))
	return base64.StdEncoding.AppendEncode(dst, out), nil
}

// zigzag appends a number in ZigZag LEB128 of at most nine bytes, the last of
// which has eight bits.
func (w *IntervalWriter) zigzag(n int64) {
	v := uint64(n<<1) ^ uint64(n>>63)
	for range 8 {
		if v < 0x80 {
			w.plain.WriteByte(byte(v))
			return
		}
		w.plain.WriteByte(byte(v) | 0x80)
		v >>= 7
	}
	w.plain.WriteByte(byte(v))
}
