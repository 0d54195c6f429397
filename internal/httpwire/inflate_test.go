package httpwire

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The encoders write into memory, which never fails.
func coding(open func(io.Writer) io.WriteCloser) func(text []byte) []byte {
	return func(text []byte) []byte {
		var b bytes.Buffer
		w := open(&b)
		_, _ = w.Write(text)
		_ = w.Close()
		return b.Bytes()
	}
}

var (
	gzipOf = coding(func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
	zlibOf = coding(func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })
	rawOf  = coding(func(w io.Writer) io.WriteCloser {
		f, _ := flate.NewWriter(w, flate.BestCompression) // the level is one that there is
		return f
	})
)

var someJSON = []byte(strings.Repeat(`{"id":"3f6a8c1e","threat_type":"ddos","severity":"high","customer":"Globex"},`, 40))

func TestInflateUndoesWhatTheFieldSays(t *testing.T) {
	text := someJSON
	for _, c := range []struct {
		encoding string
		body     []byte
	}{
		{"", text}, {"identity", text}, {" , identity ,", text},
		{"gzip", gzipOf(text)}, {"GZip", gzipOf(text)}, {"x-gzip", gzipOf(text)}, {"identity, gzip", gzipOf(text)},
		{"deflate", zlibOf(text)}, {"deflate", rawOf(text)},
		{"deflate, gzip", gzipOf(zlibOf(text))}, {"gzip , deflate", rawOf(gzipOf(text))}, {"gzip,gzip", gzipOf(gzipOf(text))},
		{"gzip", append(gzipOf(text[:100]), gzipOf(text[100:])...)},
		{"gzip", append(gzipOf(text), gzipOf(nil)...)},
	} {
		for _, dst := range [][]byte{nil, make([]byte, 0, 5000), []byte("before")} {
			got, err := Inflate(bytes.Clone(dst), c.encoding, c.body, int64(len(text)))
			if err != nil || string(got) != string(dst)+string(text) {
				t.Errorf("%q into %d of %d bytes: %.50q, %v", c.encoding, len(dst), cap(dst), got, err)
			}
			if got, err := Inflate(dst, []byte(c.encoding), c.body, int64(len(text))-1); err != ErrBodyTooLarge || len(got) != len(dst) {
				t.Errorf("%q, one byte over the limit: %d bytes, %v", c.encoding, len(got)-len(dst), err)
			}
		}
		if got, err := Inflate(nil, c.encoding, nil, 10); err != nil || len(got) > 0 {
			t.Errorf("%q of nothing: %q, %v", c.encoding, got, err)
		}
	}
	for _, c := range []string{"gzip", "deflate"} {
		for _, body := range [][]byte{gzipOf(nil), zlibOf(nil), rawOf(nil)} {
			if got, err := Inflate(nil, c, body, 0); err == nil && len(got) > 0 {
				t.Errorf("%s of an empty text: %q", c, got)
			}
		}
	}
}

func TestInflateNamesTheFault(t *testing.T) {
	text := someJSON
	changed := func(b []byte, at int) []byte {
		b = bytes.Clone(b)
		b[(at+len(b))%len(b)] ^= 1
		return b
	}
	z, d, raw := gzipOf(text), zlibOf(text), rawOf(text)
	for _, c := range []struct {
		name, encoding string
		body           []byte
		want           Error
	}{
		{"gzip that is text", "gzip", text, ErrEncoding},
		{"deflate that is text", "deflate", text, ErrEncoding},
		{"gzip that is zlib", "gzip", d, ErrEncoding},
		{"deflate that is gzip", "deflate", z, ErrEncoding},
		{"gzip, a method that there is not", "gzip", changed(z, 2), ErrEncoding},
		{"deflate with a dictionary", "deflate", append([]byte{0x78, 0xbb, 0, 0, 0, 1}, raw...), ErrEncoding},
		{"gzip, one byte of it", "gzip", z[:1], ErrEncodingCut},
		{"gzip, the header alone", "gzip", z[:10], ErrEncodingCut},
		{"gzip without its last byte", "gzip", z[:len(z)-1], ErrEncodingCut},
		{"deflate without its last byte", "deflate", d[:len(d)-1], ErrEncodingCut},
		{"deflate, the header alone", "deflate", d[:2], ErrEncodingCut},
		{"deflate without its checksum", "deflate", d[:len(d)-4], ErrEncodingCut},
		{"bare deflate, one byte of it", "deflate", raw[:1], ErrEncodingCut},
		{"bare deflate without its last byte", "deflate", raw[:len(raw)-1], ErrEncodingCut},
		{"gzip, a second member cut off", "gzip", append(bytes.Clone(z), z[:5]...), ErrEncodingCut},
		{"gzip, another checksum", "gzip", changed(z, -8), ErrEncodingSum},
		{"gzip, another length", "gzip", changed(z, -1), ErrEncodingSum},
		{"deflate, another checksum", "deflate", changed(d, -1), ErrEncodingSum},
		{"gzip and more", "gzip", append(bytes.Clone(z), "more of something else"...), ErrEncodingRest},
		{"gzip and a zero", "gzip", append(bytes.Clone(z), 0), ErrEncodingRest},
		{"deflate and more", "deflate", append(bytes.Clone(d), 0), ErrEncodingRest},
		{"bare deflate and more", "deflate", append(bytes.Clone(raw), 0), ErrEncodingRest},
		{"the inner one is bad", "gzip, deflate", zlibOf(text), ErrEncoding},
		{"the outer one is bad", "gzip, deflate", gzipOf(text), ErrEncoding},
		{"the inner one is cut", "deflate, gzip", gzipOf(d[:len(d)-1]), ErrEncodingCut},
		{"three on top of each other", "gzip, gzip, gzip", gzipOf(gzipOf(z)), ErrEncodingDepth},
		{"empty blocks for ever", "deflate", bytes.Repeat([]byte{0, 0, 0, 0xff, 0xff}, 1<<20), ErrEncoding},
		{"empty members for ever", "gzip", bytes.Repeat(gzipOf(nil), 1<<17), ErrEncoding},
		{"a bomb within a bomb", "gzip, gzip", gzipOf(bytes.Repeat(gzipOf(make([]byte, 1<<20)), 1<<10)), ErrBodyTooLarge},
	} {
		got, err := Inflate([]byte("dst"), c.encoding, c.body, 1<<20)
		if err != c.want || string(got) != "dst" {
			t.Errorf("%s: %.20q, %v; want %v", c.name, got, err, c.want)
		}
		if errors.Is(c.want, ErrEncoding) != (c.want != ErrBodyTooLarge) {
			t.Errorf("%v is no ErrEncoding", c.want)
		}
		if text := c.want.Error(); text == Error(0).Error() {
			t.Errorf("%s: no text", c.name)
		}
	}
}

func TestUnknownEncodingIsNamed(t *testing.T) {
	for encoding, name := range map[string]string{
		"br": `"br"`, "gzip, br": `"br"`, "zstd": `"zstd"`, "compress": `"compress"`, "\x1b[2J": `"\x1b[2J"`,
		strings.Repeat("x", 1000): `"` + strings.Repeat("x", 40) + `"`,
	} {
		_, err := Inflate(nil, encoding, []byte("x"), 10)
		if err == nil || !errors.Is(err, ErrEncoding) || !strings.Contains(err.Error(), name) {
			t.Errorf("%.20q: %v", encoding, err)
		}
		var unknown UnknownEncoding
		if !errors.As(err, &unknown) {
			t.Errorf("%.20q: a %T", encoding, err)
		}
	}
}

func TestContentEncodingIsTheWholeList(t *testing.T) {
	for header, want := range map[string]string{
		"":            "",
		"X: gzip\r\n": "",
		"A: b\r\n" + "content-ENCODING:  deflate, gzip \r\nB: c\r\n":                   "deflate, gzip",
		"Content-Encoding: deflate\r\nA: b\r\nContent-Encoding: gzip\r\nA: b\r\n":      "deflate,gzip",
		"Content-Encoding:\r\nContent-Encoding: a\r\nContent-Encoding: b\nC: d\r\nE:f": ",a,b",
	} {
		in := []byte(header)
		if got := ContentEncoding(in); string(got) != want || string(in) != header {
			t.Errorf("%q: %q, want %q; the header is now %q", header, got, want, in)
		}
	}
}

func TestBombReservesNoMoreThanTheLimit(t *testing.T) {
	const most = 100_000
	bomb := gzipOf(make([]byte, 50<<20))
	before := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Inflate(nil, "gzip", bomb, most); err != ErrBodyTooLarge {
				b.Fatal(err)
			}
		}
	})
	if n := before.AllocedBytesPerOp(); n > 4*most {
		t.Errorf("a bomb with a limit of %d bytes takes %d", most, n)
	}
}

func TestAnyTextComesBack(t *testing.T) {
	encoders := map[string]func([]byte) []byte{"gzip": gzipOf, "deflate": zlibOf, "x-gzip": gzipOf}
	names := rapid.SampledFrom([]string{"gzip", "deflate", "x-gzip"})
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOfN(rapid.Byte(), 0, 2000).Draw(t, "text")
		text = bytes.Repeat(text, rapid.IntRange(1, 50).Draw(t, "times"))
		body, list := text, []string{}
		for range rapid.IntRange(0, 2).Draw(t, "codings") {
			name := names.Draw(t, "coding")
			body, list = encoders[name](body), append(list, name)
		}
		// What lies between the two codings is bounded, too.
		got, err := Inflate(nil, strings.Join(list, ", "), body, int64(max(len(text), 2*len(body), 100)))
		if err != nil || !bytes.Equal(got, text) {
			t.Fatalf("%v: %d bytes of %d, %v", list, len(got), len(text), err)
		}
	})
}

func FuzzInflate(f *testing.F) {
	text := someJSON[:200]
	for _, encoding := range []string{"gzip", "deflate", "gzip, deflate", "deflate, gzip", "identity", "br", "gzip,gzip,gzip", ","} {
		for _, body := range [][]byte{nil, text, gzipOf(text), zlibOf(text), rawOf(text), gzipOf(zlibOf(text)), rawOf(gzipOf(text)), gzipOf(text)[:20]} {
			f.Add(encoding, body, uint16(100))
			f.Add(encoding, body, uint16(200))
		}
	}
	f.Fuzz(func(t *testing.T, encoding string, body []byte, most uint16) {
		dst := []byte("dst")
		got, err := Inflate(dst, encoding, body, int64(most))
		if !bytes.HasPrefix(got, dst) || len(got)-len(dst) > int(most) {
			t.Fatalf("%q: %d bytes of at most %d", encoding, len(got)-len(dst), most)
		}
		if err != nil && (len(got) != len(dst) || !errors.Is(err, ErrEncoding) && err != ErrBodyTooLarge) {
			t.Fatalf("%q: %d bytes, %v", encoding, len(got), err)
		}
		again, errAgain := Inflate(nil, []byte(encoding), body, int64(most))
		if fmt.Sprint(err) != fmt.Sprint(errAgain) || !bytes.Equal(got[len(dst):], again) {
			t.Fatalf("%q: %q, %v and then %q, %v", encoding, got[len(dst):], err, again, errAgain)
		}
		if err != nil || len(body) == 0 || encoding != "gzip" && encoding != "deflate" {
			return
		}
		var r io.Reader
		switch {
		case encoding == "gzip":
			r, err = gzip.NewReader(bytes.NewReader(body))
		case isZlib(body):
			r, err = zlib.NewReader(bytes.NewReader(body))
		default:
			r = flate.NewReader(bytes.NewReader(body))
		}
		if err != nil {
			t.Fatal(err)
		}
		if want, err := io.ReadAll(r); err != nil || !bytes.Equal(again, want) {
			t.Fatalf("%q; the standard library: %q, %v", again, want, err)
		}
	})
}

func BenchmarkInflate(b *testing.B) {
	large := bytes.Repeat(someJSON, 10<<20/len(someJSON))
	for _, c := range []struct {
		name, encoding string
		body, text     []byte
	}{
		{"gzip/3KB", "gzip", gzipOf(someJSON), someJSON},
		{"zlib/3KB", "deflate", zlibOf(someJSON), someJSON},
		{"raw/3KB", "deflate", rawOf(someJSON), someJSON},
		{"twice/3KB", "deflate, gzip", gzipOf(zlibOf(someJSON)), someJSON},
		{"gzip/10MB", "gzip", gzipOf(large), large},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(c.text)))
			dst, encoding := make([]byte, 0, len(c.text)), []byte(c.encoding)
			for b.Loop() {
				if got, err := Inflate(dst[:0], encoding, c.body, math.MaxInt64); err != nil || len(got) != len(c.text) {
					b.Fatal(len(got), err)
				}
			}
		})
	}
	// What a hostile target can make of 10 MB.
	for name, body := range map[string][]byte{
		"empty blocks":  bytes.Repeat([]byte{0, 0, 0, 0xff, 0xff}, 2<<20),
		"empty members": bytes.Repeat(gzipOf(nil), 10<<20/23),
	} {
		b.Run("worst/"+name, func(b *testing.B) {
			for b.Loop() {
				if _, err := Inflate(nil, map[bool]string{true: "gzip", false: "deflate"}[name == "empty members"], body, 10<<20); err != ErrEncoding {
					b.Fatal(err)
				}
			}
		})
	}
}
