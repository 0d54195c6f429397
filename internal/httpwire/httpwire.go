// Package httpwire is HTTP/1.1 as bytes: it renders requests and parses
// responses incrementally. It does no I/O and reads no clock; a driver feeds it
// what it read. What a target sends is hostile until parsed.
//
// A driver embeds one [Parser] by value in each connection:
//
//	p.Reset(method == "HEAD", wantBody)
//	for !done {
//		used, done, err = p.Feed(read())   // on end of file: done, err = p.EOF()
//	}
//	… p.Status(), p.Header(), p.Body(), p.KeepAlive() …
//	if p.Encoded() {
//		body, err = Inflate(body[:0], ContentEncoding(p.Header()), p.Body(), most)
//	}
//	p.Release()
//
// The parser follows RFC 9112 and refuses what it cannot frame without
// guessing, because a client that guesses counts one response as another.
// Two choices the RFC leaves open: a line of the head may end in a bare LF
// (section 2.2 permits it, and no second parser stands behind this one to
// disagree), but a chunk-size line and chunk data must end in CRLF.
package httpwire
