package demo

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// A coded body is what /encoded/{coding} answers with.
type codedBody struct {
	encoding string // the field's value; "" for none
	of       func(text []byte) []byte
}

// codings are the names that /encoded knows, beside "auto" and "bomb". Text is
// JSON of n items, see encodedText.
var codings = map[string]codedBody{
	"identity":    {"identity", func(b []byte) []byte { return b }},
	"none":        {"", func(b []byte) []byte { return b }},
	"gzip":        {"gzip", gzipped},
	"deflate":     {"deflate", zlibbed},
	"deflate-raw": {"deflate", deflated}, // as some servers understand it
	"br":          {"br", brotli},
	"double":      {"deflate, gzip", func(b []byte) []byte { return gzipped(zlibbed(b)) }},
	"triple":      {"gzip, gzip, gzip", func(b []byte) []byte { return gzipped(gzipped(gzipped(b))) }},
	"members":     {"gzip", func(b []byte) []byte { return append(gzipped(b[:len(b)/2]), gzipped(b[len(b)/2:])...) }},
	"unknown":     {"x-unknown", func(b []byte) []byte { return b }},
	// What a client must not take for good:
	"truncated": {"gzip", func(b []byte) []byte { b = gzipped(b); return b[:len(b)-len(b)/3] }},
	"checksum":  {"gzip", func(b []byte) []byte { b = gzipped(b); b[len(b)-8] ^= 1; return b }},
	"trailing":  {"gzip", func(b []byte) []byte { return append(gzipped(b), "and more"...) }},
	"plain":     {"gzip", func(b []byte) []byte { return b }},
}

// encoded answers with JSON in the coding that its path names, whatever the
// client accepts: "auto" is the one that chooses by Accept-Encoding. "bomb" is
// n zeros in gzip, 12 MiB unless given. chunked= leaves the length out.
func encoded(w http.ResponseWriter, q *asked, _ fate) {
	name := q.parts["coding"]
	if name == "bomb" {
		writeEncoded(w, q, "application/octet-stream", "gzip", bomb(q.number("n", defaultBomb, maxBytes)))
		return
	}
	if name == "auto" {
		w.Header().Set("Vary", "Accept-Encoding")
		name = accepted(q.Header.Values("Accept-Encoding"))
	}
	c, ok := codings[name]
	if !ok {
		writeDetail(w, http.StatusNotFound, "encoded knows auto, bomb, "+strings.Join(sortedKeys(codings), ", "))
		return
	}
	text := encodedText(name, strings.Join(q.Header.Values("Accept-Encoding"), ", "), q.number("n", 20, 100_000))
	writeEncoded(w, q, "application/json", c.encoding, c.of(text))
}

func writeEncoded(w http.ResponseWriter, q *asked, contentType, encoding string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	if encoding != "" {
		h.Set("Content-Encoding", encoding)
	}
	if !q.query.Has("chunked") {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(http.StatusOK)
	if q.query.Has("chunked") {
		_ = http.NewResponseController(w).Flush() // a client that has gone shows in the next write
	}
	w.Write(body)
}

// accepted is the coding of those here that the client likes as well, the first
// of its own order; none if it names none.
func accepted(fields []string) string {
	for _, item := range strings.Split(strings.Join(fields, ","), ",") {
		name, parameters, _ := strings.Cut(item, ";")
		name = strings.ToLower(strings.TrimSpace(name))
		if q, ok := strings.CutPrefix(strings.ReplaceAll(parameters, " ", ""), "q="); ok {
			if v, err := strconv.ParseFloat(q, 64); err != nil || v == 0 {
				continue
			}
		}
		switch name {
		case "gzip", "deflate", "br", "identity":
			return name
		case "*":
			return "gzip"
		}
	}
	return "none"
}

// encodedText is JSON that shrinks as JSON does.
func encodedText(coding, accept string, n int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"coding":%q,"accept_encoding":%s,"count":%d,"items":[`, coding, jsonText(accept), n)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":%d,"name":"Item %d","price":%d}`, i, i, i*i%997)
	}
	b.WriteString("]}")
	return b.Bytes()
}

// compressed is what a compressor makes of a text, in memory, where it cannot fail.
func compressed(text []byte, open func(io.Writer) io.WriteCloser) []byte {
	var b bytes.Buffer
	w := open(&b)
	_, _ = w.Write(text)
	_ = w.Close()
	return b.Bytes()
}

func gzipped(text []byte) []byte {
	return compressed(text, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
}

func zlibbed(text []byte) []byte {
	return compressed(text, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })
}

func deflated(text []byte) []byte {
	return compressed(text, func(w io.Writer) io.WriteCloser {
		f, _ := flate.NewWriter(w, flate.DefaultCompression) // a level that there is
		return f
	})
}

// brotli wraps a text without compressing it, which is still a stream that any
// decoder reads (RFC 7932, section 9): a window of 64 KB, stored blocks of up to
// 64 KB, and the empty last one.
func brotli(text []byte) []byte {
	// WBITS 16 is one bit 0; then each block: ISLAST 0, MNIBBLES 4 as 00, MLEN-1
	// in 16 bits, ISUNCOMPRESSED 1, and nothing up to the next byte. A block that
	// begins on a byte has its 20 bits in three.
	var out []byte
	shift, first := uint(1), true
	for len(text) > 0 {
		n := min(len(text), 1<<16)
		bits := uint32(n-1)<<3 | 1<<19
		if first {
			bits <<= shift
		}
		first = false
		out = append(out, byte(bits), byte(bits>>8), byte(bits>>16))
		out = append(out, text[:n]...)
		text = text[n:]
	}
	if first {
		return []byte{0b110} // the window, ISLAST and ISLASTEMPTY
	}
	return append(out, 0b11) // ISLAST and ISLASTEMPTY
}

const defaultBomb = 12 << 20

// bomb is n zeros in gzip.
func bomb(n int) []byte {
	if n == defaultBomb {
		return usualBomb()
	}
	return makeBomb(n)
}

var usualBomb = sync.OnceValue(func() []byte { return makeBomb(defaultBomb) })

func makeBomb(n int) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed) // a level that there is
	zeros := make([]byte, 64<<10)
	for n > 0 {
		m, _ := w.Write(zeros[:min(n, len(zeros))])
		n -= m
	}
	_ = w.Close()
	return b.Bytes()
}
