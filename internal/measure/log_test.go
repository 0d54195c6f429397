package measure

import (
	"bytes"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

func drawPoint(t *rapid.T) point {
	p := point{
		row:       rapid.IntRange(0, 3).Draw(t, "row"),
		second:    rapid.Int64Range(0, 5).Draw(t, "second"),
		failures:  rapid.Uint64Range(0, 300).Draw(t, "failures"),
		notIssued: rapid.Uint64Range(0, 300).Draw(t, "not issued"),
	}
	p.requests = p.failures
	next := 0
	var buckets []Bucket
	for range rapid.IntRange(0, 5).Draw(t, "buckets") {
		next += rapid.IntRange(0, 600).Draw(t, "gap")
		b := Bucket{uint32(next), rapid.Uint64Range(1, 1000).Draw(t, "count")}
		buckets = append(buckets, b)
		p.requests += b.Count
		next++
	}
	p.filled, p.packed = len(buckets), Pack(buckets...)
	return p
}

func TestLogReadsBackWhatWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOf(rapid.Custom(drawPoint)).Draw(t, "points")
		var w logWriter
		for i := range want {
			w.add(&want[i])
		}
		var got []point
		for _, chunk := range w.chunks {
			got = appendPoints(got, chunk)
		}
		if len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("read %+v, wrote %+v", got, want)
		}
	})
}

func TestLogChunksNeverMove(t *testing.T) {
	var w logWriter
	p := point{requests: 1, filled: 1, packed: Pack(Bucket{Index: 700, Count: 1})}
	var first *byte
	written := 0
	for i := range 200_000 {
		w.add(&p)
		written += len(w.scratch)
		if i == 0 {
			first = &w.chunks[0][0]
		}
	}
	held := 0
	for _, c := range w.chunks {
		held += cap(c)
	}
	if first != &w.chunks[0][0] || held > written+2*lastChunk {
		t.Fatalf("%d bytes held for %d written", held, written)
	}
}

func FuzzLog(f *testing.F) {
	f.Add([]byte(nil))
	p := point{row: 1, second: 70, requests: 9, failures: 2, notIssued: 1, filled: 3, packed: Pack(Bucket{3, 1}, Bucket{4, 5}, Bucket{3000, 1})}
	log := appendPoint(nil, &p)
	f.Add(log)
	f.Add(append(log, log...))
	f.Add([]byte{1, 2, 3, 0, 0, 200, 200, 200})
	f.Add(bytes.Repeat([]byte{0xff}, 30))
	f.Fuzz(func(t *testing.T, log []byte) {
		points, err := decodeLog(log, 4)
		if err != nil {
			return
		}
		var buckets int
		for _, p := range points {
			if p.row >= 4 || p.second > maxSecond || p.failures > p.requests {
				t.Fatalf("accepted %+v", p)
			}
			buckets += p.filled
		}
		if buckets > len(log) {
			t.Fatalf("%d buckets from %d bytes", buckets, len(log))
		}
		canonical := encodePoints(points)
		again, err := decodeLog(canonical, 4)
		if err != nil {
			// Sums of absurd counts may pass 64 bits; nothing else may.
			return
		}
		if !bytes.Equal(encodePoints(again), canonical) {
			t.Fatalf("canonical form of %x is not stable", log)
		}
	})
}
