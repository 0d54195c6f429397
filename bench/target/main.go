//go:build linux

// Command target is the other side of the benchmark: an HTTP/1.1 server on raw
// epoll and one thread, as lean as one in C, which counts exactly what it
// receives. With known latencies or a schedule it also keeps the truth about
// how long requests waited. It prints its address on stdout and serves until it
// is ended. It reads what benchmark clients send, and is no server for anything
// else.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"tollgate/bench/truth"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "target:", err)
		os.Exit(1)
	}
}

func run() error {
	var (
		listen = flag.String("listen", "127.0.0.1:0", "`address` to listen on, IPv4")
		delay  = flag.String("delay", "", "how long requests take: `20ms`, or 20ms,0.5 for a lognormal with this median and sigma")
		frozen = flag.Duration("freeze", 0, "stand still for this long again and again")
		every  = flag.Duration("every", 10*time.Second, "how often to freeze")
		rate   = flag.Float64("rate", 0, "requests per second that will come, evenly spaced: how late they are is measured")
		during = flag.Duration("for", 0, "how long they will come")
		secure = flag.String("tls", "", "speak TLS with this `version` of HTTP, 1 or 2; such a target only counts")
	)
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		return fmt.Errorf("%q: there are only flags, see -help", flag.Arg(0))
	case *frozen > 0 && *every <= *frozen:
		return errors.New("-every must be longer than -freeze")
	case (*rate > 0) != (*during > 0):
		return errors.New("a schedule has both -rate and -for")
	case *secure != "" && (*delay != "" || *frozen > 0 || *rate > 0):
		return errors.New("-tls knows no -delay, no -freeze and no schedule")
	}
	if *secure != "" {
		return serveTLS(*listen, *secure)
	}

	fd, address, err := bind(*listen)
	if err != nil {
		return err
	}
	s, err := newServer(fd)
	if err != nil {
		return err
	}
	if *delay != "" {
		if s.law, err = parseLaw(*delay); err != nil {
			return err
		}
	}
	s.freeze = freeze{length: *frozen, every: *every}
	s.schedule = truth.Schedule{Rate: *rate, For: *during}
	if s.law != nil || *frozen > 0 || *rate > 0 {
		if err := s.record(); err != nil {
			return err
		}
	}
	// Nothing is allocated per request, and a collection would be a freeze that
	// no ledger knows of.
	debug.SetGCPercent(-1)
	runtime.LockOSThread()
	fmt.Println(address)
	return s.serve()
}

// bind listens on an IPv4 address and returns it with its port.
func bind(address string) (fd int, bound string, err error) {
	to, err := net.ResolveTCPAddr("tcp4", address)
	if err != nil {
		return 0, "", err
	}
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, "", fmt.Errorf("listening socket: %w", err)
	}
	at := &unix.SockaddrInet4{Port: to.Port}
	copy(at.Addr[:], to.IP.To4())
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1), // connections inherit it
		unix.Bind(fd, at),
		unix.Listen(fd, 1<<16),
	)
	if err != nil {
		return 0, "", fmt.Errorf("listen on %s: %w", address, err)
	}
	own, err := unix.Getsockname(fd)
	if err != nil {
		return 0, "", fmt.Errorf("listen on %s: %w", address, err)
	}
	in := own.(*unix.SockaddrInet4)
	return fd, fmt.Sprintf("%s:%d", net.IP(in.Addr[:]), in.Port), nil
}
