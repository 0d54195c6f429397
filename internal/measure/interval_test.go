package measure

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"io"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// inside returns what a payload compresses.
func inside(t *rapid.T, payload []byte) []byte {
	packed, err := base64.StdEncoding.DecodeString(string(payload))
	if err != nil {
		t.Fatal(err)
	}
	z, err := zlib.NewReader(bytes.NewReader(packed[8:]))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// The library's own encoder is the reference, bit for bit below the compression.
func TestPayloadIsTheOneOfTheLibrary(t *testing.T) {
	var w IntervalWriter // one for all: nothing of a payload stays for the next
	rapid.Check(t, func(t *rapid.T) {
		h := Hist{Coarse: rapid.Bool().Draw(t, "coarse")}
		size := fineIndex(highest) + 1
		if h.Coarse {
			size = coarseIndex(highest) + 1
		}
		counts := map[int]uint64{}
		for range rapid.IntRange(0, 40).Draw(t, "filled") {
			at := rapid.OneOf(rapid.IntRange(0, 300), rapid.IntRange(0, size-1)).Draw(t, "bucket")
			counts[at] = rapid.OneOf(rapid.Uint64Range(1, 200), rapid.Uint64Range(1, 1<<50)).Draw(t, "count")
		}
		var buckets []Bucket
		for i := range size {
			if n := counts[i]; n > 0 {
				buckets = append(buckets, Bucket{uint32(i), n})
				h.Count += n
			}
		}
		h.Packed = Pack(buckets...)
		h.Inf = rapid.SampledFrom([]uint64{0, 0, 1, 1000}).Draw(t, "inf")

		reference := h.HDR()
		if h.Inf > 0 {
			if err := reference.RecordValues(highest, int64(h.Inf)); err != nil {
				t.Fatal(err)
			}
		}
		want, err := reference.EncodeV2()
		if err != nil {
			t.Fatal(err)
		}
		got, err := w.Append(nil, &h)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(inside(t, want), inside(t, got)); diff != "" {
			t.Fatal(diff)
		}
		read, err := hdrhistogram.Decode(got)
		if err != nil || !read.Equals(reference) {
			t.Fatalf("read back: %v", err)
		}
	})
}

func BenchmarkIntervalPayload(b *testing.B) {
	var buckets []Bucket
	for i := range 120 {
		buckets = append(buckets, Bucket{uint32(900 + 3*i + i%2), uint64(1 + i%7)})
	}
	h := Hist{Coarse: true, Packed: Pack(buckets...)}
	var w IntervalWriter
	var out []byte
	for b.Loop() {
		out, _ = w.Append(out[:0], &h)
	}
	b.ReportMetric(float64(len(out)), "bytes")
}
