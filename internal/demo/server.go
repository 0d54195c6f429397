package demo

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A Server is a demo system on a TCP port.
type Server struct {
	// URL is the server's base, such as "http://127.0.0.1:8000", or with https.
	URL string
	// Addr is the address it listens on, such as "127.0.0.1:8000".
	Addr string

	http    *http.Server
	conns   atomic.Uint64 // accepted so far
	closing chan struct{}
	cancel  context.CancelFunc
	running sync.WaitGroup // connections and the requests on them
	served  chan error
	close   func() error
}

// grace is how long Close waits for answers that are being made.
const grace = 3 * time.Second

// A ServerOption says how a server speaks. Without any it speaks HTTP/1.1 in
// clear.
type ServerOption func(*http.Server)

// OverTLS makes a server speak TLS: HTTP/1.1 and HTTP/2, as the client chooses
// by ALPN, unless Speaking says otherwise. See [Authority] for certificates.
func OverTLS(c *tls.Config) ServerOption {
	return func(s *http.Server) { s.TLSConfig = c.Clone() }
}

// A Protocol is one that a server can speak.
type Protocol int

const (
	HTTP1 Protocol = iota
	HTTP2          // over TLS
	H2C            // HTTP/2 in clear, with prior knowledge (RFC 9113, section 3.3)
)

// Speaking makes a server speak these protocols and no others.
func Speaking(list ...Protocol) ServerOption {
	p := new(http.Protocols)
	for _, one := range list {
		switch one {
		case HTTP1:
			p.SetHTTP1(true)
		case HTTP2:
			p.SetHTTP2(true)
		case H2C:
			p.SetUnencryptedHTTP2(true)
		}
	}
	return func(s *http.Server) { s.Protocols = p }
}

// Start serves h at addr, a host and port; port 0 is any free one. The address
// must be on the loopback interface, since a demo system has no accounts and
// its knobs are open to whoever reaches it: any other is refused, "" and
// 0.0.0.0 (all interfaces) included. [StartPublic] lifts that.
//
// If h has a method ConnState of [http.Server]'s type, as the demo systems
// have, it is told of connections. The caller must Close the server.
func Start(addr string, h http.Handler, opts ...ServerOption) (*Server, error) {
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen address %q: %w", addr, err)
	}
	if !tcp.IP.IsLoopback() {
		return nil, fmt.Errorf("listen address %q is not on loopback, and a demo system is open to whoever reaches it: listen on 127.0.0.1:%d instead", addr, tcp.Port)
	}
	return listen(tcp, h, opts)
}

// StartPublic is Start for any address, for a demo system inside a container
// or a private network, where something else decides who reaches it.
func StartPublic(addr string, h http.Handler, opts ...ServerOption) (*Server, error) {
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen address %q: %w", addr, err)
	}
	return listen(tcp, h, opts)
}

// listen takes a resolved address, so that what was checked is what is bound.
func listen(addr *net.TCPAddr, h http.Handler, opts []ServerOption) (*Server, error) {
	l, err := listenAnywhere(addr)
	if err != nil {
		return nil, err
	}
	s := &Server{
		URL:     "http://" + l.Addr().String(),
		Addr:    l.Addr().String(),
		closing: make(chan struct{}),
		served:  make(chan error, 1),
	}
	base, cancel := context.WithCancel(context.WithValue(context.Background(), closingKey{}, s.closing))
	s.cancel = cancel
	watcher, _ := h.(interface {
		ConnState(net.Conn, http.ConnState)
	})
	s.http = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			// A hijacked connection is no longer counted, its handler still is.
			s.running.Add(1)
			defer s.running.Done()
			if c := connOf(r.Context()); c != nil {
				c.carried.Add(1)
			}
			h.ServeHTTP(w, r)
		}),
		BaseContext: func(net.Listener) context.Context { return base },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, &connection{Conn: c, number: s.conns.Add(1)})
		},
		ReadHeaderTimeout: 10 * time.Second,
		ConnState: func(c net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				s.running.Add(1)
			case http.StateHijacked, http.StateClosed:
				defer s.running.Done()
			}
			if watcher != nil {
				watcher.ConnState(c, state)
			}
		},
	}
	for _, o := range opts {
		o(s.http)
	}
	s.close = sync.OnceValue(s.shutdown)
	if s.http.TLSConfig == nil {
		go func() { s.served <- s.http.Serve(l) }()
		return s, nil
	}
	s.URL = "https://" + s.Addr
	s.http.ErrorLog = log.New(mostly{os.Stderr}, "", log.LstdFlags)
	go func() { s.served <- s.http.ServeTLS(l, "", "") }()
	return s, nil
}

// mostly leaves out what is no error of the server's: a client that does not
// like its certificate. The ledger counts those.
type mostly struct{ to io.Writer }

func (m mostly) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("TLS handshake error")) {
		return len(line), nil
	}
	return m.to.Write(line)
}

// A connection is what requests on the same one share.
type connection struct {
	net.Conn
	number  uint64        // in the order of accepting, from 1
	carried atomic.Uint64 // requests so far
}

type connKey struct{}

// connOf is the connection of a request; nil under a server of another make.
func connOf(ctx context.Context) *connection {
	c, _ := ctx.Value(connKey{}).(*connection)
	return c
}

// Close stops listening, lets held requests go and answers being made be
// finished, cuts what is left after three seconds, and returns when every
// goroutine of the server has ended: with nil, or with the reason why the
// server had stopped serving before. It may be called more than once.
func (s *Server) Close() error { return s.close() }

func (s *Server) shutdown() error {
	close(s.closing)
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if s.http.Shutdown(ctx) != nil { // the grace is over
		s.http.Close()
	}
	s.cancel()
	err := <-s.served
	s.running.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("demo server on %s: %w", s.Addr, err)
}

type closingKey struct{}

// closing is closed when the request's server begins to close. Under a server
// of another make it is nil, which is never.
func closing(ctx context.Context) <-chan struct{} {
	c, _ := ctx.Value(closingKey{}).(chan struct{})
	return c
}

// listenAnywhere is net.ListenTCP that finds a free port even while thousands of
// connections that were closed hold the ports that the system chooses from.
func listenAnywhere(addr *net.TCPAddr) (*net.TCPListener, error) {
	l, err := net.ListenTCP("tcp", addr)
	for tries := 0; tries < 100 && addr.Port == 0 && errors.Is(err, syscall.EADDRINUSE); tries++ {
		other := *addr
		other.Port = 20000 + rand.IntN(12000) // below the range of outgoing connections
		l, err = net.ListenTCP("tcp", &other)
	}
	return l, err
}
