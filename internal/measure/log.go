package measure

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
)

// point is one second of one row.
type point struct {
	row       int
	second    int64 // since the start of the run
	requests  uint64
	failures  uint64
	notIssued uint64
	filled    int    // number of buckets
	packed    []byte // coarse buckets; successes
}

// A log is a sequence of points, each a run of varints:
//
//	row, second, requests, failures, notIssued, number of buckets, then the
//	buckets, packed
//
// At a low rate that is one byte a request, at a high one two bytes a distinct
// bucket. A canonical log has one point for each row and second, in that order.
func appendPoint(dst []byte, p *point) []byte {
	dst = binary.AppendUvarint(dst, uint64(p.row))
	dst = binary.AppendUvarint(dst, uint64(p.second))
	dst = binary.AppendUvarint(dst, p.requests)
	dst = binary.AppendUvarint(dst, p.failures)
	dst = binary.AppendUvarint(dst, p.notIssued)
	dst = binary.AppendUvarint(dst, uint64(p.filled))
	return append(dst, p.packed...)
}

// decodePoint reads the first point of a log, whose buckets it borrows, and
// returns the rest.
func decodePoint(log []byte) (p point, rest []byte, err error) {
	read := func() uint64 {
		v, n := readVarint(log)
		if n <= 0 {
			err = errTruncated
			log = nil
			return 0
		}
		log = log[n:]
		return v
	}
	row, second := read(), read()
	p.requests, p.failures, p.notIssued = read(), read(), read()
	n := read()
	switch {
	case err != nil:
		return point{}, nil, fmt.Errorf("log: %w", err)
	case row > 1<<31:
		return point{}, nil, fmt.Errorf("log names row %d", row)
	case second > maxSecond:
		return point{}, nil, fmt.Errorf("log names second %d", second)
	case n > coarseBuckets || n > uint64(len(log)):
		return point{}, nil, fmt.Errorf("log claims %d buckets in %d bytes", n, len(log))
	}
	p.row, p.second, p.filled = int(row), int64(second), int(n)
	u, successes := unpack(log), uint64(0)
	for range n {
		if !u.more() {
			return point{}, nil, fmt.Errorf("log: %w", cmp.Or(u.err, errTruncated))
		}
		if u.Index >= coarseBuckets {
			return point{}, nil, fmt.Errorf("log names bucket %d", u.Index)
		}
		if successes += u.Count; successes < u.Count {
			return point{}, nil, fmt.Errorf("log: %w", errBeyond64)
		}
	}
	if p.failures > p.requests || successes > p.requests-p.failures {
		return point{}, nil, fmt.Errorf("log counts %d successes and %d failures of %d requests", successes, p.failures, p.requests)
	}
	if n > 0 {
		p.packed = log[:len(log)-len(u.rest)]
	}
	return p, u.rest, nil
}

// decodeLog reads a whole log whose rows are below rows.
func decodeLog(log []byte, rows int) ([]point, error) {
	var points []point
	for len(log) > 0 {
		p, rest, err := decodePoint(log)
		if err != nil {
			return nil, err
		}
		if p.row >= rows {
			return nil, fmt.Errorf("log names row %d of %d", p.row, rows)
		}
		points = append(points, p)
		log = rest
	}
	return points, nil
}

// appendPoints reads a log that this process wrote.
func appendPoints(points []point, log []byte) []point {
	for len(log) > 0 {
		p, rest, err := decodePoint(log)
		if err != nil {
			panic("measure: own log: " + err.Error())
		}
		points = append(points, p)
		log = rest
	}
	return points
}

// encodePoints writes points, which it sorts and adds up, as a canonical log.
func encodePoints(points []point) []byte {
	slices.SortFunc(points, func(a, b point) int {
		return cmp.Or(cmp.Compare(a.row, b.row), cmp.Compare(a.second, b.second))
	})
	size := 0
	for i := range points {
		size += points[i].size()
	}
	log := make([]byte, 0, size)
	var sum, spare []byte
	for len(points) > 0 {
		p := points[0]
		points = points[1:]
		for len(points) > 0 && points[0].row == p.row && points[0].second == p.second {
			p.requests += points[0].requests
			p.failures += points[0].failures
			p.notIssued += points[0].notIssued
			sum, spare = mergePacked(spare[:0], p.packed, points[0].packed), sum
			p.packed = sum
			p.filled = filled(sum)
			points = points[1:]
		}
		log = appendPoint(log, &p)
	}
	if len(log) == 0 {
		return nil
	}
	return log
}

// canonical reports whether points are in the order of a canonical log, each row
// and second once.
func canonical(points []point) bool {
	for i := 1; i < len(points); i++ {
		a, b := &points[i-1], &points[i]
		if a.row > b.row || a.row == b.row && a.second >= b.second {
			return false
		}
	}
	return true
}

// size is at least the number of bytes that a point takes in a log.
func (p *point) size() int { return 6*binary.MaxVarintLen32 + len(p.packed) }

// logWriter keeps a growing log in chunks, so that growing never copies what
// was written. Points do not cross chunks.
type logWriter struct {
	chunks  [][]byte
	scratch []byte
}

const firstChunk, lastChunk = 4 << 10, 64 << 10

func (w *logWriter) add(p *point) {
	w.scratch = appendPoint(w.scratch[:0], p)
	n := len(w.chunks)
	if n == 0 || cap(w.chunks[n-1])-len(w.chunks[n-1]) < len(w.scratch) {
		size := max(min(firstChunk<<min(n, 8), lastChunk), len(w.scratch))
		w.chunks = append(w.chunks, make([]byte, 0, size))
		n++
	}
	w.chunks[n-1] = append(w.chunks[n-1], w.scratch...)
}
