package exec

import (
	"fmt"
	"math"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// poller is one epoll instance, used by one thread.
type poller struct {
	fd     int
	events [256]unix.EpollEvent
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return &poller{fd: fd}, nil
}

func (p *poller) close() { unix.Close(p.fd) }

// add watches a descriptor for everything, edge-triggered: the one epoll_ctl of
// a connection's life. Closing the descriptor ends the watch.
func (p *poller) add(fd int, number int32, generation uint32) error {
	ev := unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET,
		Fd:     number,
		Pad:    int32(generation),
	}
	return unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &ev)
}

// wait blocks for at most ns nanoseconds, 0 only looks. It returns the events
// as a slice that the next wait reuses.
//
// epoll_pwait2 counts nanoseconds where epoll_wait counts milliseconds. A raw
// call keeps the thread's processor, which spares the hand-over of every wait;
// the wait is therefore short, and the runtime's preemption signal ends it
// early when the collector needs the thread.
func (p *poller) wait(ns int64) []unix.EpollEvent {
	ts := unix.NsecToTimespec(ns)
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.fd),
		uintptr(unsafe.Pointer(&p.events[0])), uintptr(len(p.events)),
		uintptr(unsafe.Pointer(&ts)), 0, 0)
	if errno != 0 { // EINTR: nothing is lost, the next turn looks again
		return nil
	}
	return p.events[:n]
}

// dial begins a connection; it never blocks. The error is an errno. With ports
// it chooses the local port, else the kernel does.
func dial(to unix.Sockaddr, v6 bool, p *ports) (int, error) {
	family := unix.AF_INET
	if v6 {
		family = unix.AF_INET6
	}
	for tries := 0; ; tries++ {
		fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return -1, err
		}
		// A request is one write: waiting to fill a segment can only delay it.
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		if p != nil && tries < mostPorts {
			p.bind(fd, to)
		}
		err = unix.Connect(fd, to)
		if err == nil || err == unix.EINPROGRESS {
			return fd, nil
		}
		unix.Close(fd)
		if p == nil || tries >= mostPorts || err != unix.EADDRNOTAVAIL {
			return -1, err
		}
		// The chosen port has a connection to the same place: the next one.
	}
}

// ports chooses local ports one after the other. Left to itself, connect takes
// ports of one parity until none of them is left, and from then on walks
// through all of them for each connection: with 28,000 ports, that is 5 ms for
// each connection to one address beyond the 14,000th. To bind the next port
// takes 2 us, whatever is open.
type ports struct {
	low, high, next int
	reserved        [][2]int // ranges that the system keeps for others
}

// mostPorts is how many ports are tried before the choice is left to the kernel.
const mostPorts = 64

// newPorts begins at a place of its own, so that loops and processes rarely meet;
// nil where the system does not tell its range.
func newPorts(start uint64) *ports {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return nil
	}
	p := &ports{}
	if _, err := fmt.Sscan(string(text), &p.low, &p.high); err != nil || p.low < 1 || p.high < p.low || p.high > math.MaxUint16 {
		return nil
	}
	if text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_reserved_ports"); err == nil {
		for item := range strings.SplitSeq(strings.TrimSpace(string(text)), ",") {
			first, last, found := strings.Cut(item, "-")
			from, err := strconv.Atoi(first)
			to := from
			if found {
				to, _ = strconv.Atoi(last)
			}
			if err == nil {
				p.reserved = append(p.reserved, [2]int{from, to})
			}
		}
	}
	p.next = p.low + int(start%uint64(p.high-p.low+1))
	return p
}

// bind gives a socket the next port that no listener and no other process has,
// and never the one that it is to connect to: a connection from a port to itself
// would answer with our own request.
func (p *ports) bind(fd int, to unix.Sockaddr) {
	avoid := 0
	six, v6 := to.(*unix.SockaddrInet6)
	if v6 {
		avoid = six.Port
	} else if four, ok := to.(*unix.SockaddrInet4); ok {
		avoid = four.Port
	}
	// Ports of connections that are closing may be used again; one that has a
	// connection to the same place is refused by connect.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	for range mostPorts {
		port := p.next
		if p.next++; p.next > p.high {
			p.next = p.low
		}
		if port == avoid || slices.ContainsFunc(p.reserved, func(r [2]int) bool { return r[0] <= port && port <= r[1] }) {
			continue
		}
		var err error
		if v6 {
			err = unix.Bind(fd, &unix.SockaddrInet6{Port: port})
		} else {
			err = unix.Bind(fd, &unix.SockaddrInet4{Port: port})
		}
		if err != unix.EADDRINUSE {
			return
		}
	}
}

// sockaddr converts an address for dial.
func sockaddr(a netip.AddrPort) (to unix.Sockaddr, v6 bool) {
	if addr := a.Addr().Unmap(); addr.Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: addr.As4()}, false
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}, true
}

// recv reads what has arrived, without blocking.
func recv(fd int, buf []byte) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// send writes without blocking and without SIGPIPE; more says that the rest of
// the request follows at once.
func send(fd int, buf []byte, more bool) (int, error) {
	flags := uintptr(unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL)
	if more {
		flags |= unix.MSG_MORE
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)), flags, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// connected returns how an asynchronous connect ended.
func connected(fd int) error {
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	if n != 0 {
		return syscall.Errno(n)
	}
	return nil
}

// fineTimers lets the kernel wake this thread to the microsecond; by default it
// may group wake-ups within 50 us. The slack is the thread's own.
func fineTimers() {
	_, _, _ = unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_TIMERSLACK, 1000, 0)
}
