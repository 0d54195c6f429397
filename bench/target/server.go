//go:build linux

package main

import (
	"encoding/json"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"tollgate/bench/truth"
)

// server answers every connection from one thread and one epoll instance, and
// counts. Nothing is shared and nothing allocated per request, so that it keeps
// up with any client on another core.
type server struct {
	epoll  int
	listen int
	conns  []conn // by descriptor
	in     []byte // what is read; a request that arrives whole is parsed here
	key    []byte

	get, post []byte // responses, with the Date of this second
	second    int64
	routes    map[string]*uint64
	ledger    truth.Ledger

	watch    bool // times are recorded: there is a law, a freeze or a schedule
	law      *law
	freeze   freeze
	schedule truth.Schedule
	requests []truth.Request
	held     queue
}

// conn is one connection.
type conn struct {
	open       bool
	busy       bool // a held response is due: pipelined requests wait
	closing    bool // once what is unsent has gone
	generation uint32
	arrived    int64  // kernel's time of the latest bytes, if times are recorded
	pending    []byte // the part of a request that has come
	rest       []byte // the part of a response that could not be sent yet
}

const readBuffer = 64 << 10

func newServer(listen int) (*server, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	s := &server{
		epoll: epoll, listen: listen, in: make([]byte, readBuffer),
		routes: map[string]*uint64{},
	}
	s.date()
	return s, unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, listen, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(listen)})
}

// record prepares for times to be recorded.
func (s *server) record() error {
	s.watch = true
	expected := int(s.schedule.Rate*s.schedule.For.Seconds()*1.2) + 1<<16
	s.requests = make([]truth.Request, 0, expected)
	return unix.SetsockoptInt(s.listen, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) // connections inherit it
}

// serve turns for ever; the process is ended from outside.
func (s *server) serve() error {
	// A timer may wake this thread to the microsecond, not within 50 of them.
	_, _, _ = unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_TIMERSLACK, 1000, 0)
	var events [512]unix.EpollEvent
	for {
		if s.watch {
			s.freeze.keep()
			s.release()
		}
		n, err := s.wait(events[:])
		if err != nil {
			return err
		}
		s.date()
		for _, ev := range events[:n] {
			if ev.Fd == int32(s.listen) {
				s.accept()
				continue
			}
			s.event(int(ev.Fd), ev.Events)
		}
	}
}

// date renews the responses each second, as servers do: a client that remembers
// heads finds no more alike than elsewhere.
func (s *server) date() {
	if now := time.Now().Unix(); now != s.second {
		s.get, s.post, s.second = response("200 OK", item), response("201 Created", receipt), now
	}
}

// wait blocks until something comes, a held response is due, or a freeze begins.
func (s *server) wait(events []unix.EpollEvent) (int, error) {
	var until *unix.Timespec
	if next, ok := s.next(); ok {
		ts := unix.NsecToTimespec(max(next-time.Now().UnixNano(), 0))
		until = &ts
	}
	// The raw call: there is nobody in this process to hand the processor to.
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(s.epoll),
		uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(unsafe.Pointer(until)), 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case unix.EINTR:
		return 0, nil
	}
	return 0, errno
}

// next is when this thread has something to do by itself.
func (s *server) next() (at int64, ok bool) {
	at, ok = s.freeze.next()
	if len(s.held) > 0 && (!ok || s.held[0].at < at) {
		return s.held[0].at, true
	}
	return at, ok
}

func (s *server) accept() {
	for range 64 {
		fd, _, err := unix.Accept4(s.listen, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil { // none left, or gone again; the listener is level-triggered
			return
		}
		ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(fd)}
		if err := unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
			unix.Close(fd)
			continue
		}
		for fd >= len(s.conns) {
			s.conns = append(s.conns, conn{})
		}
		s.conns[fd].open = true
		c := &s.ledger.Connections
		c.Accepted++
		c.Open++
		if c.Accepted == 1 {
			c.First = time.Now().UnixNano()
		}
		if c.Open > c.Peak {
			c.Peak, c.PeakAt = c.Open, time.Now().UnixNano()
		}
	}
}

func (s *server) close(fd int) {
	unix.Close(fd)
	s.conns[fd] = conn{generation: s.conns[fd].generation + 1}
	s.ledger.Connections.Open--
}

func (s *server) event(fd int, events uint32) {
	c := &s.conns[fd]
	if !c.open {
		return
	}
	if events&unix.EPOLLOUT != 0 && len(c.rest) > 0 && !s.flush(fd) {
		return
	}
	if events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) == 0 {
		return
	}
	for c.open {
		n, err := s.receive(fd)
		if err == unix.EAGAIN || err == unix.EINTR {
			return
		}
		if n <= 0 || err != nil {
			s.close(fd)
			return
		}
		s.take(fd, s.in[:n])
		// A short read has drained the socket; its end shows by a zero read.
		if n < len(s.in) && events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) == 0 {
			return
		}
	}
}

// receive reads what has come and, if times are recorded, when it did.
func (s *server) receive(fd int) (int, error) {
	if s.watch {
		var oob [64]byte
		n, oobn, _, _, err := unix.Recvmsg(fd, s.in, oob[:], unix.MSG_DONTWAIT)
		s.conns[fd].arrived = stamp(oob[:oobn])
		return n, err
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd),
		uintptr(unsafe.Pointer(&s.in[0])), uintptr(len(s.in)), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// stamp reads the kernel's time of arrival out of a control message; the time
// is now where there is none.
func stamp(oob []byte) int64 {
	const head, whole = unix.SizeofCmsghdr, unix.SizeofCmsghdr + 16
	if len(oob) >= whole {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
		if h.Level == unix.SOL_SOCKET && h.Type == unix.SO_TIMESTAMPNS {
			return unix.TimespecToNsec(*(*unix.Timespec)(unsafe.Pointer(&oob[head])))
		}
	}
	return time.Now().UnixNano()
}

// take handles bytes that came, as many requests as they hold.
func (s *server) take(fd int, b []byte) {
	c := &s.conns[fd]
	if len(c.pending) > 0 {
		c.pending = append(c.pending, b...)
		b = c.pending
	}
	for len(b) > 0 && !c.busy && !c.closing {
		r, err := parse(b)
		if err != nil {
			s.ledger.Malformed++
			s.close(fd)
			return
		}
		if r.size == 0 {
			break
		}
		s.answer(fd, r)
		if !c.open {
			return
		}
		b = b[r.size:]
	}
	if len(b) > 0 {
		c.pending = append(c.pending[:0], b...)
	} else {
		c.pending = c.pending[:0]
	}
}

// answer counts a request, and answers it now or when its delay is over.
func (s *server) answer(fd int, r request) {
	if string(r.path) == truth.Path {
		s.send(fd, response("200 OK", s.tell()), true)
		return
	}
	s.ledger.Requests++
	s.key = r.route(s.key)
	count := s.routes[string(s.key)]
	if count == nil {
		count = new(uint64)
		s.routes[string(s.key)] = count
	}
	*count++

	post := len(r.method) == 4 && string(r.method) == "POST"
	if !s.watch {
		s.send(fd, s.body(post), r.close)
		return
	}
	now := time.Now().UnixNano()
	s.freeze.begin(now)
	delay := int64(0)
	if s.law != nil {
		delay = s.law.draw()
	}
	c := &s.conns[fd]
	s.requests = append(s.requests, truth.Request{Arrived: c.arrived, Read: now, Delay: delay})
	c.busy = true
	s.held.push(held{at: now + delay, fd: int32(fd), generation: c.generation,
		record: int32(len(s.requests) - 1), post: post, close: r.close})
}

func (s *server) body(post bool) []byte {
	if post {
		return s.post
	}
	return s.get
}

// release sends every held response whose time has come.
func (s *server) release() {
	for len(s.held) > 0 {
		now := time.Now().UnixNano()
		if s.held[0].at > now {
			return
		}
		h := s.held.pop()
		c := &s.conns[h.fd]
		if !c.open || c.generation != h.generation {
			continue
		}
		s.requests[h.record].Written = now
		c.busy = false
		s.send(int(h.fd), s.body(h.post), h.close)
		if c.open && len(c.pending) > 0 {
			b := c.pending
			c.pending = nil
			s.take(int(h.fd), b)
		}
	}
}

// send writes a response. What the socket has no room for follows when it has.
func (s *server) send(fd int, b []byte, last bool) {
	c := &s.conns[fd]
	c.closing = last
	if len(c.rest) > 0 {
		c.rest = append(c.rest, b...)
		return
	}
	n, err := write(fd, b)
	if err != nil && err != unix.EAGAIN {
		s.close(fd)
		return
	}
	c.rest = append(c.rest[:0], b[n:]...)
	if last && len(c.rest) == 0 {
		s.close(fd)
	}
}

// flush sends more of what is left; it reports whether the connection is still open.
func (s *server) flush(fd int) bool {
	c := &s.conns[fd]
	n, err := write(fd, c.rest)
	if err != nil && err != unix.EAGAIN {
		s.close(fd)
		return false
	}
	c.rest = c.rest[n:]
	if len(c.rest) == 0 && c.closing {
		s.close(fd)
		return false
	}
	return true
}

func write(fd int, b []byte) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd),
		uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// tell is the ledger as JSON.
func (s *server) tell() string {
	l := s.ledger
	l.Routes = map[string]uint64{}
	for route, count := range s.routes {
		l.Routes[route] = *count
	}
	if s.watch {
		l.Truth = truth.Tell(s.requests, s.schedule, s.freeze.past)
	}
	b, err := json.Marshal(l)
	if err != nil {
		return `{"requests":0}` // a ledger is always JSON
	}
	return string(b)
}
