package demo

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"sync"
	"time"
)

// A Raw is a target on a bare TCP socket. It reads HTTP/1.1 requests properly
// and enters each in its ledger, and it answers by a [Script], which may break
// every rule of HTTP and TCP: it is for what a client must survive.
type Raw struct {
	// Addr is the address it listens on, such as "127.0.0.1:8000".
	Addr string

	script   Script
	listener *net.TCPListener
	closing  chan struct{}
	running  sync.WaitGroup
	close    func() error

	mu    sync.Mutex
	ended bool
	conns []*RawConn // in the order in which they were accepted
	heads uint64     // requests whose head was read
	paths map[string]uint64
	bad   string
}

// A Script is how a [Raw] behaves on one connection. It runs in a goroutine of
// its own from the moment the connection is accepted. After it has returned
// the target closes its sending side, and what the client still sends is read
// and entered until the client closes as well: so the ledger stays exact
// whatever the script did, unless it called [RawConn.Part] with HangUp or
// Reset, which throw away what is on its way.
type Script func(c *RawConn)

// RawLedger is what a [Raw] received. Paths are to be unique when the client
// is to be caught sending something twice.
type RawLedger struct {
	// Requests is the number of requests received to their last byte.
	Requests uint64
	// Partial is the number of requests that began and never came to their end.
	Partial uint64
	// Late is how many of the Requests came to their end after the target had
	// closed its sending side, which is: too late for an answer.
	Late uint64
	// Bytes is the number of bytes received.
	Bytes uint64
	// Malformed is what was wrong with the first request that was not proper
	// HTTP/1.1, "" if all were. Nothing is read after it on its connection.
	Malformed string
	// Paths counts requests by their path from when their head has been read,
	// whether they came to their end or not.
	Paths map[string]uint64
	// Conns has the same numbers for each connection, in the order in which
	// they were accepted.
	Conns []RawConnLedger
}

// RawConnLedger is one connection's part of a [RawLedger].
type RawConnLedger struct {
	Requests, Partial, Late, Bytes uint64
}

const (
	// rawBacklog is how long a closing target goes on accepting: connections
	// that wait there have perhaps sent a request. It is more than an accept
	// takes; a client that is done has no connect on its way.
	rawBacklog = 20 * time.Millisecond
	// rawGrace is how long a closing target waits for clients to close.
	rawGrace = time.Second
)

// StartRaw serves the script at addr, a host and port on the loopback
// interface; port 0 is any free one. The caller must Close it.
func StartRaw(addr string, s Script) (*Raw, error) {
	l, err := listenLoopback(addr)
	if err != nil {
		return nil, err
	}
	r := &Raw{
		Addr:     l.Addr().String(),
		script:   s,
		listener: l,
		closing:  make(chan struct{}),
		paths:    map[string]uint64{},
	}
	accepted := make(chan error, 1)
	go func() { accepted <- r.accept() }()
	r.close = sync.OnceValue(func() error { return r.shutdown(accepted) })
	return r, nil
}

// listenLoopback listens where only this machine can reach.
func listenLoopback(addr string) (*net.TCPListener, error) {
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen address %q: %w", addr, err)
	}
	if !tcp.IP.IsLoopback() {
		return nil, fmt.Errorf("listen address %q is not on loopback: listen on 127.0.0.1:%d instead", addr, tcp.Port)
	}
	return listenAnywhere(tcp)
}

func (r *Raw) accept() error {
	for {
		tcp, err := r.listener.AcceptTCP()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil:
			return err
		}
		c := newRawConn(r, tcp)
		r.mu.Lock()
		c.number = uint64(len(r.conns))
		r.conns = append(r.conns, c)
		r.mu.Unlock()
		r.running.Go(c.serve)
	}
}

// Close accepts what still waits to be accepted, ends all pauses, reads what
// clients have sent, cuts those that have not closed a second later, and
// returns when every goroutine of the target has ended. The ledger is final
// then. Close may be called more than once.
func (r *Raw) Close() error { return r.close() }

func (r *Raw) shutdown(accepted <-chan error) error {
	_ = r.listener.SetDeadline(time.Now().Add(rawBacklog)) // on a listener that is broken accept has ended
	err := <-accepted
	r.listener.Close()
	close(r.closing)
	r.mu.Lock()
	r.ended = true
	for _, c := range r.conns {
		c.hurry()
	}
	r.mu.Unlock()
	r.running.Wait()
	if err != nil {
		return fmt.Errorf("raw target on %s: %w", r.Addr, err)
	}
	return nil
}

// Ledger returns what was received so far. A request is in it before its
// answer begins, unless the script answers without having read it.
func (r *Raw) Ledger() RawLedger {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := RawLedger{Malformed: r.bad, Paths: maps.Clone(r.paths), Conns: make([]RawConnLedger, 0, len(r.conns))}
	for _, c := range r.conns {
		l.Requests += c.book.Requests
		l.Partial += c.book.Partial
		l.Late += c.book.Late
		l.Bytes += c.book.Bytes
		l.Conns = append(l.Conns, c.book)
	}
	return l
}

// Twice lists the paths that were received more than once, sorted.
func (l RawLedger) Twice() []string {
	var out []string
	for p, n := range l.Paths {
		if n > 1 {
			out = append(out, p)
		}
	}
	slices.Sort(out)
	return out
}
