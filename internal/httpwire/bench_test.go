package httpwire

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

var smallJSON = []byte("HTTP/1.1 200 OK\r\n" +
	"date: Tue, 14 Oct 2025 09:12:44 GMT\r\n" +
	"server: uvicorn\r\n" +
	"content-length: 104\r\n" +
	"content-type: application/json\r\n" +
	"\r\n" +
	`{"signal":{"id":"3f6a8c1e","threat_type":"ddos","severity":"high"},"customer":"Globex","requires":false}`)

func BenchmarkSmallJSON(b *testing.B) {
	for _, keep := range []bool{true, false} {
		b.Run(fmt.Sprintf("keep=%t", keep), func(b *testing.B) {
			var p Parser
			b.ReportAllocs()
			b.SetBytes(int64(len(smallJSON)))
			for b.Loop() {
				p.Reset(false, keep)
				if _, done, err := p.Feed(smallJSON); !done || err != nil {
					b.Fatal(done, err)
				}
				p.Release()
			}
		})
	}
}

func BenchmarkSameHead(b *testing.B) {
	var p Parser
	p.SetLimits(&Limits{Heads: new(Heads)})
	b.ReportAllocs()
	b.SetBytes(int64(len(smallJSON)))
	for b.Loop() {
		p.Reset(false, true)
		if _, done, err := p.Feed(smallJSON); !done || err != nil {
			b.Fatal(done, err)
		}
		p.Release()
	}
}

func BenchmarkManyFields(b *testing.B) {
	in := []byte("HTTP/1.1 200 OK\r\n" +
		"Server: nginx/1.24.0\r\n" +
		"Date: Tue, 14 Oct 2025 09:12:44 GMT\r\n" +
		"Content-Type: application/json; charset=utf-8\r\n" +
		"Content-Length: 2\r\n" +
		"Connection: keep-alive\r\n" +
		"Vary: Accept-Encoding, Origin\r\n" +
		"X-Frame-Options: DENY\r\n" +
		"X-Content-Type-Options: nosniff\r\n" +
		"Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n" +
		"Content-Security-Policy: default-src 'self'; img-src 'self' data: https://cdn.example.org; frame-ancestors 'none'\r\n" +
		"Set-Cookie: session=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N; Path=/; HttpOnly\r\n" +
		"\r\n{}")
	var p Parser
	b.ReportAllocs()
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		p.Reset(false, true)
		if _, done, err := p.Feed(in); !done || err != nil {
			b.Fatal(done, err)
		}
	}
}

func BenchmarkChunked(b *testing.B) {
	head := "HTTP/1.1 200 OK\r\nDate: Tue, 14 Oct 2025 09:12:44 GMT\r\nTransfer-Encoding: chunked\r\n\r\n"
	chunk := "7d0\r\n" + strings.Repeat("x", 2000) + "\r\n"
	for _, chunks := range []int{1, 8} {
		in := []byte(head + strings.Repeat(chunk, chunks) + "0\r\n\r\n")
		for _, keep := range []bool{true, false} {
			b.Run(fmt.Sprintf("chunks=%d/keep=%t", chunks, keep), func(b *testing.B) {
				var p Parser
				b.ReportAllocs()
				b.SetBytes(int64(len(in)))
				for b.Loop() {
					p.Reset(false, keep)
					if _, done, err := p.Feed(in); !done || err != nil {
						b.Fatal(done, err)
					}
					p.Release()
				}
			})
		}
	}
}

func BenchmarkLargeBodyInFeeds(b *testing.B) {
	in := append([]byte("HTTP/1.1 200 OK\r\nContent-Length: 200000\r\nContent-Type: text/html\r\n\r\n"),
		bytes.Repeat([]byte("x"), 200000)...)
	for _, keep := range []bool{true, false} {
		b.Run(fmt.Sprintf("keep=%t", keep), func(b *testing.B) {
			var p Parser
			b.ReportAllocs()
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				p.Reset(false, keep)
				for rest := in; len(rest) > 0; {
					n := min(len(rest), 64<<10)
					if _, _, err := p.Feed(rest[:n]); err != nil {
						b.Fatal(err)
					}
					rest = rest[n:]
				}
				if p.BodyBytes() != 200000 {
					b.Fatal(p.BodyBytes())
				}
				p.Release()
			}
		})
	}
}

func BenchmarkChainedBodyInFeeds(b *testing.B) {
	_, in := largeBody(DefaultBody)
	var p Parser
	b.ReportAllocs()
	b.SetBytes(DefaultBody)
	for b.Loop() {
		p.Reset(false, true)
		for rest := in; len(rest) > 0; {
			n := min(len(rest), 64<<10)
			if _, _, err := p.Feed(rest[:n]); err != nil {
				b.Fatal(err)
			}
			rest = rest[n:]
		}
		if len(p.Body()) != DefaultBody {
			b.Fatal(len(p.Body()))
		}
		p.Release()
	}
}

func BenchmarkHeadInTwoFeeds(b *testing.B) {
	var p Parser
	b.ReportAllocs()
	for b.Loop() {
		p.Reset(false, true)
		p.Feed(smallJSON[:60])
		if _, done, err := p.Feed(smallJSON[60:]); !done || err != nil {
			b.Fatal(done, err)
		}
		p.Release()
	}
}

func BenchmarkField(b *testing.B) {
	var p Parser
	p.Feed(smallJSON)
	header := p.Header()
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := Field(header, "Content-Type"); !ok {
			b.Fatal("not found")
		}
	}
}

func BenchmarkRender(b *testing.B) {
	target, value := []byte("/api/v1/threats/3f6a8c1e?customer=Globex"), []byte("application/json")
	dst := make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		if !ValidTarget(target) || !ValidFieldValue(value) {
			b.Fatal("valid values refused")
		}
		dst = AppendRequestLine(dst[:0], "POST", target)
		dst = AppendField(dst, "Content-Type", value)
		dst = AppendLength(dst, 1234)
	}
}
