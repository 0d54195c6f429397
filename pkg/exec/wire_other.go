//go:build !unix

package exec

import (
	"errors"
	"os"
	"time"
)

// looker looks at a socket by reading from it for the shortest time that a read
// can wait. What it finds is kept for the next read.
type looker struct {
	found [1]byte
	n     int
}

// glance is how long a look takes: 100 us.
const glance = 100 * time.Microsecond

func (s *socket) watch() error { return nil }

// readable reports whether a read would return at once: with bytes, with the
// end of the stream, or with an error.
func (s *socket) readable() bool {
	if s.look.n > 0 {
		return true
	}
	_ = s.raw.SetReadDeadline(time.Now().Add(glance))
	n, err := s.raw.Read(s.look.found[:])
	_ = s.raw.SetReadDeadline(time.Time{})
	s.look.n = n
	return n > 0 || !errors.Is(err, os.ErrDeadlineExceeded)
}

// waiting takes what a look has read.
func (s *socket) waiting(b []byte) int {
	n := copy(b, s.look.found[:s.look.n])
	s.look.n -= n
	return n
}
