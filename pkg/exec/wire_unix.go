//go:build unix

package exec

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// looker looks at a socket without reading from it.
type looker struct {
	conn syscall.RawConn
	poll func(fd uintptr)
	fd   [1]unix.PollFd
	n    int
}

// watch makes ready for readable.
func (s *socket) watch() (err error) {
	k := &s.look
	k.conn, err = s.raw.SyscallConn()
	k.poll = func(fd uintptr) {
		k.fd[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
		for {
			n, err := unix.Poll(k.fd[:], 0)
			if err == unix.EINTR {
				continue
			}
			k.n = n
			return
		}
	}
	return err
}

// readable reports whether a read would return at once: with bytes, with the
// end of the stream, or with an error.
func (s *socket) readable() bool {
	s.look.n = 1 // a descriptor that cannot be looked at is no good
	_ = s.look.conn.Control(s.look.poll)
	return s.look.n != 0
}

// waiting takes what a look has read: nothing, on this system.
func (s *socket) waiting([]byte) int { return 0 }
