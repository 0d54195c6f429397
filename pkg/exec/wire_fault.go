package exec

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"tollgate/internal/httpwire"
	"tollgate/internal/measure"
)

// Every error that can end a request is given its class here, and a text that
// is the same for all errors of its kind: without addresses, ports and numbers
// of streams, so that failures can be counted by it.

// ownFault reports whether an error says that this machine ran out of
// something: that is never the target's fault.
func ownFault(err error) bool {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return false
	}
	for _, own := range ownFaults {
		if errno == own {
			return true
		}
	}
	return false
}

// parseOutcome is the class of a response that the parser refuses.
func parseOutcome(err error) measure.Outcome {
	switch {
	case errors.Is(err, httpwire.ErrTooLarge):
		return measure.TooLarge
	case errors.Is(err, httpwire.ErrEarlyClose), errors.Is(err, httpwire.ErrTruncated):
		return measure.Reset
	}
	return measure.Protocol
}

// dialFailure is why there is no connection: by default of the given class,
// that is connect until TCP stands, and tls from then on. A peer that hangs up
// in the handshake has not made it, whatever its reason.
func dialFailure(o measure.Outcome, err error) *failure {
	if ownFault(err) {
		o = measure.Generator
	}
	return &failure{o, err}
}

// lostFailure is why a request that was sent, or was about to be, has no
// response. What TLS refuses is tls; the rest is a reset, unless HTTP/2 has
// said what it is (see session.failure).
func lostFailure(err error) *failure {
	var record tls.RecordHeaderError
	var op *net.OpError
	switch {
	case ownFault(err):
		return &failure{measure.Generator, err}
	case errors.As(err, &record):
		return &failure{measure.TLS, err}
	case errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error"): // so TLS names alerts
		return &failure{measure.TLS, err}
	}
	return &failure{measure.Reset, err}
}

// streamError has the shape of net/http's error of an HTTP/2 stream, which
// errors.As fills in by its fields' names.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (e streamError) Error() string { return "HTTP/2 stream error " + codeName(e.Code) }

// codeName names an error code (RFC 9113, section 7).
func codeName(code uint32) string {
	names := [...]string{"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT",
		"STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR",
		"ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED"}
	if int(code) < len(names) {
		return names[code]
	}
	return fmt.Sprintf("%#x", code)
}

// Errors of net/http's HTTP/2 that have no name outside of it are told by their
// text. A text that changes makes a reset a protocol fault, and no more than
// that; tests name each.
const (
	textUnusable  = "http2: client conn not usable"
	textClosed    = "http2: client conn is closed"
	textUnmade    = "http2: client conn could not be established"
	textForced    = "http2: client connection force closed"
	textLost      = "http2: client connection lost"
	textGoAway    = "GOAWAY"
	textHeader    = "response header list larger than advertised limit"
	textInterims  = "header list too large" // of informational responses
	textFromPeer  = "received from peer"
	textConnError = "connection error: "
)

// unusable reports whether HTTP/2 found the connection closed, or closing,
// before it made a stream for the request.
func unusable(err error) bool {
	t := err.Error()
	return t == textUnusable || strings.HasPrefix(t, textUnmade)
}

var (
	errGoAway    = errors.New("the target ended the HTTP/2 connection (GOAWAY)")
	errClosedTwo = errors.New("the HTTP/2 connection was closed")
)

// failure gives an error of HTTP/2 its class:
//
//	reset     the connection is gone, or the target ended the connection
//	          (GOAWAY) or the stream (RST_STREAM), also by REFUSED_STREAM
//	protocol  what came is not HTTP/2, or the target resets the stream
//	          because what we sent is not, in its eyes
//	too_large a header over the limit
//	timeout   our own doing
func (s *session) failure(err error, x *exchange) *failure {
	var stream streamError
	switch {
	case errors.Is(err, httpwire.ErrInformational):
		return &failure{measure.Protocol, httpwire.ErrInformational}
	case errors.As(err, &stream):
		switch {
		case stream.Cause != nil && strings.Contains(stream.Cause.Error(), textHeader):
			return &failure{measure.TooLarge, httpwire.ErrHeaderTooLarge}
		case errors.Is(stream.Cause, httpwire.ErrInformational):
			return &failure{measure.Protocol, httpwire.ErrInformational}
		case stream.Cause == nil || stream.Cause.Error() != textFromPeer:
			if stream.Cause == nil {
				return &failure{measure.Protocol, stream}
			}
			return &failure{measure.Protocol, fmt.Errorf("%w: %w", stream, stream.Cause)}
		}
		gone := fmt.Errorf("the target reset the stream: %s", codeName(stream.Code))
		switch stream.Code {
		case 1, 3, 6, 9, 13: // PROTOCOL_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, COMPRESSION_ERROR, HTTP_1_1_REQUIRED
			return &failure{measure.Protocol, gone}
		}
		return &failure{measure.Reset, gone}
	}
	if f := lostFailure(err); f.outcome != measure.Reset {
		return f
	}
	t := err.Error()
	var errno syscall.Errno
	switch {
	case strings.Contains(t, textGoAway):
		return &failure{measure.Reset, errGoAway}
	case strings.HasPrefix(t, textUnusable), strings.HasPrefix(t, textClosed), strings.HasPrefix(t, textUnmade),
		strings.HasPrefix(t, textForced), strings.HasPrefix(t, textLost), errors.Is(err, net.ErrClosed):
		select {
		case <-s.pipe.gone: // why it was closed is what came last
			if f := lostFailure(s.pipe.fault); f.outcome == measure.TLS {
				return f
			}
		default:
		}
		return &failure{measure.Reset, errClosedTwo}
	case errors.As(err, &errno), errors.Is(err, os.ErrDeadlineExceeded):
		return &failure{measure.Reset, err}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		if s.conn.Err() == nil { // so it was the stream that ended early
			return &failure{measure.Protocol, errors.New("the HTTP/2 response is shorter than its content-length")}
		}
		return &failure{measure.Reset, httpwire.ErrTruncated}
	case strings.HasPrefix(t, textConnError) && x.first.Load() == 0 && s.pipe.in.Load() > mostHeader/2:
		// So net/http ends a header that is far over its limit; it does not say so.
		return &failure{measure.TooLarge, httpwire.ErrHeaderTooLarge}
	case strings.Contains(t, textInterims):
		return &failure{measure.TooLarge, httpwire.ErrHeaderTooLarge}
	}
	return &failure{measure.Protocol, err}
}

// brevity is an error's text without what differs from connection to connection.
func brevity(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	for {
		op, ok := err.(*net.OpError)
		if !ok {
			return err.Error()
		}
		err = op.Err
	}
}

// advice says what to do about a connection that TLS refuses; "" when there is
// nothing better to say than the error.
func advice(err error) string {
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &authority):
		return "trust its authority with tls.ca (a PEM file), or set target.insecure: true to verify nothing"
	case errors.As(err, &host):
		return "set tls.server_name to a name of the certificate, or target.insecure: true to verify nothing"
	case errors.As(err, &invalid):
		return "renew the certificate, or set target.insecure: true to verify nothing"
	case errors.As(err, &record):
		return "the port does not speak TLS: write http:// in the target's URL, or another port"
	case errors.Is(err, errNoHTTP2):
		return "set target.http to auto or 1"
	case errors.Is(err, httpwire.ErrTLS):
		return "write https:// in the target's URL"
	}
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return ""
	}
	switch t := op.Err.Error(); { // crypto/tls exports no names for alerts that came in TLS over TCP
	case strings.Contains(t, "no application protocol"):
		return "the target does not speak this version of HTTP over TLS: set target.http to auto"
	case strings.Contains(t, "unrecognized name"):
		return "set tls.server_name to the name that the target answers to"
	case strings.Contains(t, "certificate"), strings.Contains(t, "handshake failure"):
		return "the target wants a client certificate that it accepts: set tls.cert and tls.key"
	}
	return ""
}
