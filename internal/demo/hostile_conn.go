package demo

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"time"
)

// A RawConn is one connection of a [Raw], in the hands of its [Script]. Only
// the script's goroutine may use it. Methods that say whether to go on return
// false (or nil) when the client has gone, the connection was ended, or the
// target is closing.
type RawConn struct {
	target *Raw
	tcp    *net.TCPConn
	in     *bufio.Reader
	number uint64

	begun *RawRequest // a request whose end has not been read yet
	nth   int
	said  bool // the sending side is closed
	gone  bool // nothing more can be read

	book RawConnLedger // guarded by target.mu
}

// A RawRequest is a request of which at least the head has been read.
type RawRequest struct {
	Method, Path string
	// Serial is its place among the requests of all connections, by the time
	// their heads were read, and Nth among those of its connection; both from 0.
	Serial uint64
	Nth    int
	// Length is the length of its body in bytes, or -1 if that is chunked.
	Length int64
}

// A Parting is how a connection goes on after an answer.
type Parting uint8

const (
	// Stay keeps the connection open for the next request.
	Stay Parting = iota
	// HalfClose closes the sending side (FIN) and goes on reading, so that the
	// ledger misses nothing.
	HalfClose
	// HangUp closes the connection, as a server does that is through with it:
	// what the client sends afterwards is answered by the kernel with a reset.
	HangUp
	// Reset breaks the connection with a TCP RST; what is unsent is thrown away.
	Reset
)

// maxRawHead bounds a request's head, in bytes.
const maxRawHead = 1 << 20

func newRawConn(r *Raw, tcp *net.TCPConn) *RawConn {
	c := &RawConn{target: r, tcp: tcp}
	c.in = bufio.NewReader(counted{c})
	return c
}

// counted enters every byte that is read.
type counted struct{ c *RawConn }

func (r counted) Read(b []byte) (int, error) {
	n, err := r.c.tcp.Read(b)
	r.c.target.mu.Lock()
	r.c.book.Bytes += uint64(n)
	r.c.target.mu.Unlock()
	return n, err
}

func (c *RawConn) serve() {
	defer c.tcp.Close()
	c.target.script(c)
	c.Part(HalfClose)
	c.Drain()
	c.target.mu.Lock()
	defer c.target.mu.Unlock()
	if c.begun != nil {
		c.book.Partial++
	}
}

// hurry is called with target.mu held, when the target begins to close.
func (c *RawConn) hurry() {
	// Errors mean that the connection is closed already.
	_ = c.tcp.SetReadDeadline(time.Now().Add(rawGrace))
	_ = c.tcp.SetWriteDeadline(time.Now())
}

// limit sets how long to wait for the next byte; 0 is for ever. A target that
// is closing has its own limit.
func (c *RawConn) limit(d time.Duration) {
	c.target.mu.Lock()
	defer c.target.mu.Unlock()
	if c.target.ended {
		return
	}
	var at time.Time
	if d > 0 {
		at = time.Now().Add(d)
	}
	_ = c.tcp.SetReadDeadline(at)
}

// Number is the connection's place in the order of acceptance, from 0.
func (c *RawConn) Number() uint64 { return c.number }

// Chance returns a source that depends on the seed and the connection's number.
func (c *RawConn) Chance(seed uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, c.number))
}

// Begun waits at most d (0: for ever) until the first byte of the next request
// has come, without reading it.
func (c *RawConn) Begun(d time.Duration) bool {
	if !c.finish() {
		return false
	}
	c.limit(d)
	_, err := c.in.Peek(1)
	c.limit(0)
	return err == nil
}

// Next reads the next request to its end.
func (c *RawConn) Next() *RawRequest {
	q := c.Head()
	if q == nil || !c.finish() {
		return nil
	}
	return q
}

// Head reads the next request's head and leaves its body where it is, until
// the next call that reads.
func (c *RawConn) Head() *RawRequest {
	if !c.finish() {
		return nil
	}
	if _, err := c.in.Peek(1); err != nil {
		c.gone = true
		return nil
	}
	q := &RawRequest{Nth: c.nth}
	c.begun = q
	if err := c.readHead(q); err != nil {
		c.lost(err)
		return nil
	}
	c.nth++
	c.target.mu.Lock()
	q.Serial = c.target.heads
	c.target.heads++
	c.target.paths[q.Path]++
	c.target.mu.Unlock()
	return q
}

// Drain reads and enters requests until the client closes.
func (c *RawConn) Drain() {
	for c.Next() != nil {
		continue
	}
}

// finish reads the body of the request that was begun, and enters it.
func (c *RawConn) finish() bool {
	if c.gone {
		return false
	}
	q := c.begun
	if q == nil {
		return true
	}
	if err := c.readBody(q); err != nil {
		c.lost(err)
		return false
	}
	c.begun = nil
	c.target.mu.Lock()
	defer c.target.mu.Unlock()
	c.book.Requests++
	if c.said {
		c.book.Late++
	}
	return true
}

// lost ends the reading: the client has gone, or what it sends is not HTTP.
func (c *RawConn) lost(err error) {
	c.gone = true
	var m malformed
	if !errors.As(err, &m) {
		return
	}
	c.target.mu.Lock()
	defer c.target.mu.Unlock()
	if c.target.bad == "" {
		c.target.bad = string(m)
	}
}

// malformed says what is wrong with a request.
type malformed string

func (m malformed) Error() string { return string(m) }

func bad(format string, args ...any) error { return malformed(fmt.Sprintf(format, args...)) }

// line reads a line that must end in CRLF, of at most room bytes.
func (c *RawConn) line(room int) (string, error) {
	var line []byte
	for {
		piece, err := c.in.ReadSlice('\n')
		line = append(line, piece...)
		switch {
		case len(line) > room:
			return "", bad("a head of more than %d bytes", maxRawHead)
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil:
			return "", err
		}
		text, ok := strings.CutSuffix(string(line), "\r\n")
		if !ok {
			return "", bad("the line %.80q does not end in CR LF", line)
		}
		return text, nil
	}
}

// readHead reads a request line and fields, strictly: this target is also the
// judge of what clients send.
func (c *RawConn) readHead(q *RawRequest) error {
	first, err := c.line(maxRawHead)
	if err != nil {
		return err
	}
	words := strings.Split(first, " ")
	if len(words) != 3 || words[2] != "HTTP/1.1" || !isToken(words[0]) || !strings.HasPrefix(words[1], "/") {
		return bad("the request line %.80q is not METHOD /path HTTP/1.1", first)
	}
	q.Method, q.Path = words[0], words[1]
	hosts, lengths, codings := 0, 0, 0
	for room := maxRawHead - len(first); ; {
		field, err := c.line(room)
		if err != nil {
			return err
		}
		if field == "" {
			break
		}
		room -= len(field) + 2
		name, value, ok := strings.Cut(field, ":")
		if !ok || !isToken(name) || strings.ContainsFunc(value, isControl) {
			return bad("the line %.80q is not a header field", field)
		}
		value = strings.Trim(value, " \t")
		switch strings.ToLower(name) {
		case "host":
			hosts++
		case "content-length":
			lengths++
			n, err := strconv.ParseUint(value, 10, 63)
			if err != nil {
				return bad("the length %.80q is not a number of bytes", value)
			}
			q.Length = int64(n)
		case "transfer-encoding":
			codings++
			if !strings.EqualFold(value, "chunked") {
				return bad("the coding %.80q is not chunked", value)
			}
		}
	}
	switch {
	case hosts != 1:
		return bad("%s %s has %d Host fields", q.Method, q.Path, hosts)
	case lengths+codings > 1:
		return bad("%s %s has %d lengths and %d codings", q.Method, q.Path, lengths, codings)
	case codings > 0:
		q.Length = -1
	}
	return nil
}

func isToken(s string) bool {
	for _, b := range []byte(s) {
		if b <= ' ' || b >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?={}`, b) >= 0 {
			return false
		}
	}
	return s != ""
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

func (c *RawConn) readBody(q *RawRequest) error {
	if q.Length >= 0 {
		_, err := io.CopyN(io.Discard, c.in, q.Length)
		return err
	}
	for {
		text, err := c.line(maxRawHead)
		if err != nil {
			return err
		}
		n, err := strconv.ParseUint(text, 16, 63)
		if err != nil {
			return bad("the chunk size %.80q is not a hexadecimal number", text)
		}
		if n == 0 {
			break
		}
		if _, err := io.CopyN(io.Discard, c.in, int64(n)); err != nil {
			return err
		}
		if end, err := c.line(maxRawHead); err != nil {
			return err
		} else if end != "" {
			return bad("a chunk is longer than its size")
		}
	}
	for {
		if field, err := c.line(maxRawHead); err != nil || field == "" {
			return err
		}
	}
}

// Write sends b at once, in as many segments as the kernel likes.
func (c *RawConn) Write(b []byte) bool {
	if c.said {
		return false
	}
	_, err := c.tcp.Write(b)
	return err == nil
}

// Pause waits, or returns false at once when the target is closing.
func (c *RawConn) Pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.target.closing:
		return false
	}
}

// Part ends the connection, or not.
func (c *RawConn) Part(how Parting) {
	switch how {
	case HalfClose:
		if !c.said {
			c.said = true
			_ = c.tcp.CloseWrite() // an error means that the client was faster
		}
	case HangUp, Reset:
		if how == Reset {
			_ = c.tcp.SetLinger(0)
		}
		c.said, c.gone = true, true
		c.tcp.Close()
	}
}
