package httpwire

import "unsafe"

// Limits bound what a response may make the parser hold. A field that is zero
// (or less) means its default.
type Limits struct {
	Header        int   // bytes of one head (status line and fields), and of a trailer; 64 KiB
	Body          int64 // bytes of a decoded body that is kept; 10 MiB
	Informational int   // 1xx responses before the final one; 5

	// Heads, if any, spares parsing heads that are the same. All parsers of
	// these limits then belong to one thread.
	Heads *Heads
}

// DefaultBody is the default of Limits.Body: 10 MiB.
const DefaultBody = 10 << 20

const (
	defaultHeader        = 64 << 10
	defaultInformational = 5
)

// Parser reads one response at a time from the bytes of a connection. The zero
// value is ready for the response to a GET whose body is not wanted. It is made
// to be embedded by value; it must not be copied while a response is under way.
//
// A response that lies in one Feed is not copied and not buffered: Header and
// Body are then sub-slices of what was fed. Only what a later Feed still needs
// moves to a pooled buffer of the parser's own. The outcome does not depend on
// how the bytes were cut.
//
// 64 bytes: one cache line. This is why the borrowed slices are a pointer here
// and a length there.
type Parser struct {
	limits *Limits
	spill  *spill // nil until a response does not fit in one Feed
	head   *byte  // first field line, when spill is nil
	body   *byte  // first byte of the body, when it is borrowed and not spilled
	left   int64  // bytes still to come: of the body, or of this chunk
	got    int64  // decoded bytes of the body so far

	headLen uint32 // length of the field lines; 0 until the head is complete
	line    uint32 // bytes of this chunk-size line or trailer so far
	status  uint16
	flags   flags
	state   state
	fault   Error
	interim uint8 // 1xx responses so far
}

type state uint8

const (
	inHead state = iota
	inLength
	untilClose
	// chunked; the order within is that of the bytes
	sizeFirst
	size
	sizeSpace
	sizeExtension
	sizeLF
	chunkData
	chunkCR
	chunkLF
	trailerLine
	trailerName
	trailerValue
	trailerLF
	lastLF

	complete
	failed
)

type flags uint16

const (
	isHead flags = 1 << iota
	keepBody
	started
	// From the head:
	version10
	hasLength
	isChunked
	wantsClose
	wantsKeep
	hasCookie
	hasLocation
	isEncoded

	fromHead = version10 | hasLength | isChunked | wantsClose | wantsKeep | hasCookie | hasLocation | isEncoded
)

// SetLimits sets the limits of this and all later responses; nil means the
// defaults. The parser keeps the pointer: one Limits serves all connections.
func (p *Parser) SetLimits(l *Limits) { p.limits = l }

// Reset makes the parser ready for the next response and gives the buffers of
// the last one back. head says that the request was a HEAD, so that no body
// follows whatever the header claims; keepBody says that Body is wanted,
// otherwise the body is counted and dropped.
func (p *Parser) Reset(head, keep bool) {
	p.dropSpill()
	*p = Parser{limits: p.limits}
	if head {
		p.flags |= isHead
	}
	if keep {
		p.flags |= keepBody
	}
}

// Feed takes the next bytes of the connection. When done, the response is
// complete and in[used:] is not part of it; until then all of in is used.
// An error is an [Error]; it is final: later calls return it again, and the
// connection is of no further use.
func (p *Parser) Feed(in []byte) (used int, done bool, err error) {
	if p.state >= complete {
		return p.outcome(0)
	}
	if len(in) == 0 {
		return 0, false, nil
	}
	p.flags |= started
	if p.state == inHead {
		used = p.feedHead(in)
	}
	if inHead < p.state && p.state < complete {
		used += p.feedBody(in[used:])
		if p.state < complete {
			p.settle()
		}
	}
	return p.outcome(used)
}

func (p *Parser) outcome(used int) (int, bool, error) {
	if p.state == failed {
		return used, false, p.fault
	}
	return used, p.state == complete, nil
}

// EOF says that the peer closed the connection. It completes a body that is
// delimited by the close; otherwise it fails with ErrEarlyClose when no byte of
// the response had come, and with ErrTruncated when some had.
func (p *Parser) EOF() (done bool, err error) {
	p.flags |= wantsClose
	switch {
	case p.state >= complete:
	case p.state == untilClose:
		p.state = complete
	case p.flags&started == 0:
		p.fail(ErrEarlyClose)
	default:
		p.fail(ErrTruncated)
	}
	_, done, err = p.outcome(0)
	return done, err
}

func (p *Parser) fail(e Error) {
	p.state, p.fault = failed, e
}

// Status is the status code: 0 until the status line has come, 1xx while an
// informational response is under way.
func (p *Parser) Status() int { return int(p.status) }

// Started reports whether any byte of this response has come.
func (p *Parser) Started() bool { return p.flags&started != 0 }

// KeepAlive reports whether the connection may carry another request: the
// response is complete, and neither its header nor its framing ends the
// connection.
func (p *Parser) KeepAlive() bool {
	if p.state != complete || p.flags&wantsClose != 0 {
		return false
	}
	return p.flags&version10 == 0 || p.flags&wantsKeep != 0
}

// HasCookie reports whether the head has a Set-Cookie field. Like the next two
// it is noted while the head is parsed, so that a caller looks for the field
// itself only in the responses that have it. It counts once the response is
// complete.
func (p *Parser) HasCookie() bool { return p.flags&hasCookie != 0 }

// HasLocation reports whether the head has a Location field.
func (p *Parser) HasLocation() bool { return p.flags&hasLocation != 0 }

// Encoded reports whether the head has a Content-Encoding other than identity:
// Body is then what [Inflate] takes.
func (p *Parser) Encoded() bool { return p.flags&isEncoded != 0 }

// Header is the raw field lines of the final response, without the status line
// and the empty line; read them with [Field] and [Fields]. It is nil until the
// head is complete, and when there are no fields. Borrowed: valid until the
// next Feed, Reset or Release (after a Feed, ask again).
func (p *Parser) Header() []byte {
	switch {
	case p.headLen == 0:
		return nil
	case p.spill != nil:
		return p.spill.buf[:p.headLen:p.headLen]
	}
	return unsafe.Slice(p.head, p.headLen)
}

// Body is the decoded body, if it was to be kept and the response is complete;
// nil when empty. Borrowed: a part of the last fed bytes when the whole body
// lay there in one piece, else a buffer of the parser's; valid until the next
// Feed, Reset or Release. A body of over 256 KiB is put together when it is
// first asked for.
func (p *Parser) Body() []byte {
	switch {
	case p.state != complete || p.flags&keepBody == 0 || p.got == 0:
		return nil
	case p.body != nil:
		return unsafe.Slice(p.body, p.got)
	case p.spill == nil: // released
		return nil
	}
	return p.spill.body(p.headLen, p.got)
}

// BodyBytes is the length of the decoded body so far, kept or not.
func (p *Parser) BodyBytes() int64 { return p.got }

// Release gives the buffers back to their pool: Header and Body are nil from
// here on, the rest of the response stays. A response that was not complete
// cannot be continued.
func (p *Parser) Release() {
	p.dropSpill()
	p.head, p.headLen, p.body = nil, 0, nil
	if p.state < complete && p.flags&started != 0 {
		p.fail(ErrTruncated)
	}
}

func (p *Parser) maxHeader() int {
	if p.limits == nil || p.limits.Header <= 0 {
		return defaultHeader
	}
	return min(p.limits.Header, 1<<30) // headLen and line have 32 bits
}

func (p *Parser) maxBody() int64 {
	if p.limits == nil || p.limits.Body <= 0 {
		return DefaultBody
	}
	return p.limits.Body
}

func (p *Parser) maxInterim() int {
	if p.limits == nil || p.limits.Informational <= 0 {
		return defaultInformational
	}
	return min(p.limits.Informational, 255)
}

// Held is how many bytes of memory the parser keeps for a response that came in
// more than one Feed.
func (p *Parser) Held() int {
	if p.spill == nil {
		return 0
	}
	return p.spill.held()
}
