package demo

import (
	"strings"
	"time"
)

// An Answer is what a [Raw] does about one request. The connection serves the
// next request afterwards, unless the answer has ended it.
type Answer func(c *RawConn, q *RawRequest)

// Serve reads each request to its end and gives it the answer.
func Serve(a Answer) Script {
	return func(c *RawConn) {
		for q := c.Next(); q != nil; q = c.Next() {
			a(c, q)
		}
	}
}

// ServeEarly gives the answer when the head has come, and reads the body only
// after that.
func ServeEarly(a Answer) Script {
	return func(c *RawConn) {
		for q := c.Head(); q != nil; q = c.Head() {
			a(c, q)
		}
	}
}

// ServeFirst gives the answer to each request as soon as its first byte has
// come, before anything of it is read: q is nil.
func ServeFirst(a Answer) Script {
	return func(c *RawConn) {
		for c.Begun(0) {
			a(c, nil)
			if c.Next() == nil {
				return
			}
		}
	}
}

// Mute accepts and reads nothing until the target closes; then what had been
// sent is entered in the ledger.
func Mute(c *RawConn) { <-c.target.closing }

// Unasked says the text at once, when nothing has been asked, and serves
// requests with the answer if the parting lets it.
func Unasked(text string, then Parting, a Answer) Script {
	say := Say(text, then)
	return func(c *RawConn) {
		say(c, nil)
		Serve(a)(c)
	}
}

// Impatient serves requests, and gives up on a connection that is idle for a
// time drawn from least to most: it says farewell, as to the last request, and
// returns. With a client that pauses about as long, that is a race for every
// request.
func Impatient(a Answer, least, most time.Duration, seed uint64, farewell Answer) Script {
	return func(c *RawConn) {
		chance := c.Chance(seed)
		for q := c.Next(); q != nil; q = c.Next() {
			a(c, q)
			if !c.Begun(least + time.Duration(chance.Float64()*float64(most-least))) {
				farewell(c, q)
				return
			}
		}
	}
}

// ByPath chooses the answer by the first element of the request's path, up to
// the next slash. A path that is not in the table gets a 404.
func ByPath(table map[string]Answer) Answer {
	unknown := Say("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", Stay)
	return func(c *RawConn, q *RawRequest) {
		first, _, _ := strings.Cut(strings.TrimPrefix(q.Path, "/"), "/")
		a := table[first]
		if a == nil {
			a = unknown
		}
		a(c, q)
	}
}

// Say answers with the text in one write, and parts.
func Say(text string, then Parting) Answer {
	bytes := []byte(text)
	return func(c *RawConn, _ *RawRequest) {
		if len(bytes) == 0 || c.Write(bytes) {
			c.Part(then)
		}
	}
}

// Twice answers with the text, and with the same again some time later.
func Twice(text string, apart time.Duration, then Parting) Answer {
	bytes := []byte(text)
	return func(c *RawConn, _ *RawRequest) {
		if c.Write(bytes) && c.Pause(apart) && c.Write(bytes) {
			c.Part(then)
		}
	}
}

// Drip answers with the text, one byte at a time.
func Drip(text string, every time.Duration, then Parting) Answer {
	return func(c *RawConn, _ *RawRequest) {
		for i := range len(text) {
			if !c.Write([]byte{text[i]}) || !c.Pause(every) {
				return
			}
		}
		c.Part(then)
	}
}

// Pieces answers with the text in pieces of 1 to most bytes, a moment apart,
// so that the client has to put it together from several reads.
func Pieces(text string, most int, seed uint64, then Parting) Answer {
	return func(c *RawConn, q *RawRequest) {
		chance := c.Chance(seed + uint64(q.Nth))
		for rest := []byte(text); len(rest) > 0; {
			n := min(len(rest), 1+chance.IntN(most))
			if !c.Write(rest[:n]) || !c.Pause(50*time.Microsecond) {
				return
			}
			rest = rest[n:]
		}
		c.Part(then)
	}
}

// Endless answers with a beginning and then the same piece again and again,
// for as long as the client stays: headers, a body, interim responses.
func Endless(begin, piece string, every time.Duration) Answer {
	first, then := []byte(begin), []byte(piece)
	return func(c *RawConn, _ *RawRequest) {
		for bytes := first; c.Write(bytes); bytes = then {
			if every > 0 && !c.Pause(every) {
				return
			}
		}
	}
}

// Silence reads on and never answers.
func Silence(c *RawConn, _ *RawRequest) { c.Drain() }
