package measure

import (
	"math/bits"
	"time"
)

// The bucket layout is HdrHistogram's own, for whole microseconds from 1 to
// one hour: values below 2^(b+1) have a bucket each, and every further octave
// is cut into 2^b. With b = 10 that is 3 significant digits, with b = 7 it is 2.
const (
	fineBits      = 10
	fineBuckets   = 23 << fineBits
	coarseBits    = 7
	coarseBuckets = 26 << coarseBits

	highest = int64(time.Hour / time.Microsecond)
)

// micros rounds nanoseconds up to microseconds, so that a displayed time is
// never better than the one measured.
func micros(ns int64) int64 { return int64((uint64(ns) + 999) / 1000) }

// fineIndex is the 3-digit bucket of a value in [0, highest] microseconds.
func fineIndex(us int64) int {
	octave := bits.Len64(uint64(us)|(2<<fineBits-1)) - (fineBits + 1)
	return octave<<fineBits + int(us>>uint(octave))
}

// coarseIndex is the 2-digit bucket of a value in [0, highest] microseconds.
func coarseIndex(us int64) int {
	octave := bits.Len64(uint64(us)|(2<<coarseBits-1)) - (coarseBits + 1)
	return octave<<coarseBits + int(us>>uint(octave))
}

// bucketRange returns the smallest and largest microsecond of a bucket.
func bucketRange(index int, digitBits uint) (low, high int64) {
	octave := max(index>>digitBits-1, 0)
	low = int64(index-octave<<digitBits) << uint(octave)
	return low, low + 1<<uint(octave) - 1
}
