package httpwire

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/adler32"
	"io"
	"slices"
	"sync"
)

// Inflate undoes the codings that encoding lists, which is the value of a
// Content-Encoding field: gzip, and deflate with or without its zlib wrapping,
// up to two on top of each other. It appends what body decodes to, at most
// `most` bytes, to dst.
//
// Of a fault nothing is returned but dst and the reason: ErrBodyTooLarge, an
// ErrEncoding, or an [UnknownEncoding] that names what is not known here. What
// follows the end of the coded data is a fault, too. An empty body is empty in
// every coding: an answer to HEAD keeps the field.
//
// What is reserved grows with what came out, and what is read without anything
// coming out is bounded, so that neither memory nor time is at the mercy of a
// target. Ten megabytes of JSON take some 15 ms.
func Inflate[T ~string | ~[]byte](dst []byte, encoding T, body []byte, most int64) ([]byte, error) {
	var layers [2][]byte
	n := 0
	for coding := range items([]byte(encoding)) {
		switch {
		case equalFold(coding, "identity"):
			continue
		case decoderOf(coding) == 0:
			return dst, unknownEncoding(coding)
		case n == len(layers):
			return dst, ErrEncodingDepth
		}
		layers[n] = coding
		n++
	}
	if len(body) == 0 {
		return dst, nil
	}
	switch n {
	case 0:
		if int64(len(body)) > most {
			return dst, ErrBodyTooLarge
		}
		return append(dst, body...), nil
	case 1:
		return inflate(dst, decoderOf(layers[0]), body, most)
	}
	between := betweens.Get().(*[]byte)
	defer func() {
		if cap(*between) <= 1<<20 { // what a rare large one needed goes
			betweens.Put(between)
		}
	}()
	var err error
	if *between, err = inflate((*between)[:0], decoderOf(layers[1]), body, most); err != nil || len(*between) == 0 {
		return dst, err
	}
	return inflate(dst, decoderOf(layers[0]), *between, most)
}

// betweens are for what one coding leaves and the next begins with.
var betweens = sync.Pool{New: func() any { return new([]byte) }}

// ContentEncoding is the value of the Content-Encoding fields in raw field
// lines, as [Inflate] takes it: a sub-slice of header, or, in the rare case that
// the list stands on several lines, a copy.
func ContentEncoding(header []byte) []byte {
	var all []byte
	lines := 0
	Fields(header, func(name, value []byte) bool {
		if equalFold(name, "content-encoding") {
			if lines++; lines == 1 {
				all = value
			} else {
				all = append(append(all[:len(all):len(all)], ','), value...)
			}
		}
		return true
	})
	return all
}

// UnknownEncoding is a content coding that [Inflate] does not know, by the
// target's name for it; an ErrEncoding.
type UnknownEncoding string

// unknownEncoding bounds a name that the target chose.
func unknownEncoding(name []byte) UnknownEncoding {
	return UnknownEncoding(name[:min(len(name), 40)])
}

func (e UnknownEncoding) Error() string {
	return fmt.Sprintf("response body has the content-encoding %q, and only gzip and deflate can be undone: name these in accept-encoding, or do not read this body", string(e))
}

// Is makes errors.Is find ErrEncoding.
func (e UnknownEncoding) Is(target error) bool { return target == ErrEncoding }

type decoder uint8

const (
	gzipped decoder = iota + 1
	deflated
)

func decoderOf(coding []byte) decoder {
	switch {
	case equalFold(coding, "gzip"), equalFold(coding, "x-gzip"): // RFC 9110, section 8.4.1.3
		return gzipped
	case equalFold(coding, "deflate"):
		return deflated
	}
	return 0
}

// An inflater is what decoding needs beside its result: some 45 KB for gzip and
// as much for deflate, which is why they are pooled.
type inflater struct {
	coded   coded
	gzip    *gzip.Reader
	deflate io.ReadCloser
	extra   [1]byte
}

var inflaters = sync.Pool{New: func() any { return new(inflater) }}

func inflate(dst []byte, d decoder, body []byte, most int64) ([]byte, error) {
	f := inflaters.Get().(*inflater)
	out, err := f.all(dst, d, body, most)
	f.coded = coded{}
	inflaters.Put(f)
	if err != nil {
		return dst, err
	}
	return out, nil
}

// all appends what body decodes to.
func (f *inflater) all(dst []byte, d decoder, body []byte, most int64) ([]byte, error) {
	f.coded = coded{rest: body, allowance: idle}
	var r io.Reader
	var err error
	wrapped := d == deflated && isZlib(body)
	switch {
	case d == gzipped:
		if f.gzip == nil {
			f.gzip = new(gzip.Reader)
		}
		r, err = f.gzip, f.member()
	case f.deflate == nil:
		f.deflate = flate.NewReader(&f.coded)
		r = f.deflate
	default:
		r, err = f.deflate, f.deflate.(flate.Resetter).Reset(&f.coded, nil)
	}
	if wrapped {
		if body[1]&0x20 != 0 { // a dictionary that nobody has agreed upon
			return nil, ErrEncoding
		}
		f.coded.rest = body[2:]
	}
	base := len(dst)
	for err == nil {
		room := most - int64(len(dst)-base)
		var n int
		if room <= 0 { // at the end, or one byte too much?
			if n, err = r.Read(f.extra[:]); n > 0 {
				return nil, ErrBodyTooLarge
			}
		} else {
			if len(dst) == cap(dst) {
				// Texts shrink to a third or so; beyond that it is doubling.
				more := max(smallest, min(4*len(body), 64<<10), len(dst)-base)
				dst = slices.Grow(dst, int(min(room, int64(more))))
			}
			free := dst[len(dst):cap(dst)]
			n, err = r.Read(free[:min(int64(len(free)), room)])
			dst = dst[:len(dst)+n]
			f.coded.allowance += perByte * n
		}
		if err == io.EOF && d == gzipped && bytes.HasPrefix(f.coded.rest, gzipMagic) {
			err = f.member()
		}
	}
	if err != io.EOF {
		return nil, fault(err)
	}
	rest := f.coded.rest
	if wrapped {
		if len(rest) < 4 {
			return nil, ErrEncodingCut
		}
		if binary.BigEndian.Uint32(rest) != adler32.Checksum(dst[base:]) {
			return nil, ErrEncodingSum
		}
		rest = rest[4:]
	}
	if len(rest) > 0 {
		return nil, ErrEncodingRest
	}
	return dst, nil
}

// isZlib tells "deflate" as RFC 9110 means it, in zlib's wrapping (RFC 1950),
// from the bare one that some servers send, by the first two bytes: no encoder
// of bare blocks begins with these.
func isZlib(body []byte) bool {
	return len(body) >= 2 && body[0]&0x0f == 8 && body[0]>>4 <= 7 && binary.BigEndian.Uint16(body)%31 == 0
}

// gzipMagic begins each member of a gzip body; there may be several
// (RFC 1952, section 2.2).
var gzipMagic = []byte{0x1f, 0x8b}

// member goes on to the next member, or to the first.
func (f *inflater) member() error {
	if err := f.gzip.Reset(&f.coded); err != nil {
		return noEOF(err)
	}
	f.gzip.Multistream(false) // which would take what follows for a member, whatever it is
	return nil
}

// noEOF is for where the input may not end.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// An encoder that gains nothing stores its input, so what is coded is hardly
// ever longer than what it says; one that flushes after each byte makes it seven
// times as long. A body of empty blocks would cost a second of computing to
// decode to nothing: what is read is therefore bounded by what came out. Output
// comes in windows of 32 KiB.
const (
	perByte = 8
	idle    = 64<<10 + perByte*32<<10
)

var errIdle = errors.New("nothing but empty blocks")

// coded is a body as the decoders read it: byte by byte, and no further than
// its allowance.
type coded struct {
	rest      []byte
	allowance int
}

func (c *coded) ReadByte() (byte, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	if c.allowance <= 0 {
		return 0, errIdle
	}
	b := c.rest[0]
	c.rest = c.rest[1:]
	c.allowance--
	return b, nil
}

func (c *coded) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	if c.allowance <= 0 {
		return 0, errIdle
	}
	n := copy(p, c.rest[:min(len(c.rest), c.allowance)])
	c.rest = c.rest[n:]
	c.allowance -= n
	return n, nil
}

// fault is the reason for an error of the decoders.
func fault(err error) Error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return ErrEncodingCut
	case errors.Is(err, gzip.ErrChecksum):
		return ErrEncodingSum
	}
	return ErrEncoding
}
