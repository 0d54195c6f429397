package httpwire

// Error is why a response could not be read. It is one byte, costs no
// allocation, compares with ==, and its value is a bounded label for counting.
//
// Some errors say more closely what a wider one says: errors.Is(err, ErrHeader)
// is true for ErrFold, ErrSpace and ErrControl as well.
type Error uint8

const (
	// ErrStatusLine: the first line is not a status line.
	ErrStatusLine Error = iota + 1
	// ErrTLS is an ErrStatusLine: the answer is a TLS record.
	ErrTLS
	// ErrVersion is an ErrStatusLine: HTTP, but neither 1.0 nor 1.1.
	ErrVersion

	// ErrHeader: a field line has no colon, or its name is not a token.
	ErrHeader
	// ErrFold is an ErrHeader: a field line begins with white space.
	ErrFold
	// ErrSpace is an ErrHeader: white space before the colon.
	ErrSpace
	// ErrControl is an ErrHeader: NUL, a bare CR or another control character.
	ErrControl

	// ErrLength: the value of Content-Length is not a length.
	ErrLength
	// ErrLengthConflict is an ErrLength: two that differ.
	ErrLengthConflict
	// ErrLengthChunked is an ErrLength: Content-Length and Transfer-Encoding.
	ErrLengthChunked
	// ErrTransferEncoding: anything but "chunked", once, in HTTP/1.1.
	ErrTransferEncoding
	// ErrChunk: malformed chunked framing.
	ErrChunk

	// ErrTooLarge covers the next two; it is never returned itself.
	ErrTooLarge
	// ErrHeaderTooLarge is an ErrTooLarge: head or trailer over Limits.Header.
	ErrHeaderTooLarge
	// ErrBodyTooLarge is an ErrTooLarge: kept body over Limits.Body.
	ErrBodyTooLarge

	// ErrInformational: more 1xx responses than Limits.Informational.
	ErrInformational
	// ErrSwitching is an ErrInformational: 101 Switching Protocols.
	ErrSwitching

	// ErrEarlyClose: closed before the first byte of the response.
	ErrEarlyClose
	// ErrTruncated: closed, or released, in the middle of the response.
	ErrTruncated

	// ErrEncoding: the body is not what its Content-Encoding says. This and the
	// next ones are what [Inflate] finds, in a response that came whole.
	ErrEncoding
	// ErrEncodingCut is an ErrEncoding: the coded data has no end.
	ErrEncodingCut
	// ErrEncodingSum is an ErrEncoding: its checksum is another.
	ErrEncodingSum
	// ErrEncodingRest is an ErrEncoding: something follows its end.
	ErrEncodingRest
	// ErrEncodingDepth is an ErrEncoding: more than two on top of each other.
	ErrEncodingDepth
)

var faults = [...]struct {
	text string
	wide Error // the wider error that it is one of, or 0
}{
	ErrStatusLine: {"response does not begin with an HTTP/1.x status line: check that the port speaks HTTP", 0},
	ErrTLS:        {"response is a TLS record: the port speaks TLS, use https", ErrStatusLine},
	ErrVersion:    {"response is in an HTTP version other than 1.0 and 1.1", ErrStatusLine},

	ErrHeader:  {"response header has a line that is not \"name: value\"", 0},
	ErrFold:    {"response header has a line that begins with white space (obsolete folding, RFC 9112 section 5.2)", ErrHeader},
	ErrSpace:   {"response header has white space between a name and its colon (RFC 9112 section 5.1)", ErrHeader},
	ErrControl: {"response header has a control character such as NUL or a bare CR in a value", ErrHeader},

	ErrLength:           {"response has a content-length that is not a whole number below 2^63", 0},
	ErrLengthConflict:   {"response has two different content-lengths", ErrLength},
	ErrLengthChunked:    {"response has both a content-length and a transfer-encoding: where it ends is ambiguous", ErrLength},
	ErrTransferEncoding: {"response has a transfer-encoding other than \"chunked\" in HTTP/1.1, which the request did not offer", 0},
	ErrChunk:            {"response body is not well-formed chunked coding", 0},

	ErrTooLarge:       {"response is over a size limit", 0},
	ErrHeaderTooLarge: {"response header or trailer is over the size limit", ErrTooLarge},
	ErrBodyTooLarge:   {"response body is over the limit for bodies that are read: raise the limit, or do not read this body", ErrTooLarge},

	ErrInformational: {"too many informational (1xx) responses before the final one", 0},
	ErrSwitching:     {"server switched protocols (101) although the request did not ask for it", ErrInformational},

	ErrEarlyClose: {"connection closed before the first byte of the response", 0},
	ErrTruncated:  {"connection closed in the middle of the response", 0},

	ErrEncoding:      {"response body is not what its content-encoding says", 0},
	ErrEncodingCut:   {"response body ends in the middle of its content-encoding", ErrEncoding},
	ErrEncodingSum:   {"response body does not have the checksum that its content-encoding gives", ErrEncoding},
	ErrEncodingRest:  {"response body goes on after the end of its content-encoding", ErrEncoding},
	ErrEncodingDepth: {"response body has more than two content-encodings on top of each other", ErrEncoding},
}

func (e Error) Error() string {
	if int(e) < len(faults) && faults[e].text != "" {
		return faults[e].text
	}
	return "unknown response error"
}

// Is makes errors.Is find a wider error in a closer one.
func (e Error) Is(target error) bool {
	wide, ok := target.(Error)
	return ok && int(e) < len(faults) && faults[e].wide == wide && wide != 0
}
