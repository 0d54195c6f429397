package demo

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A Proxy stands between a client and a target and does [Faults] to their TCP
// connections. It understands nothing of what passes.
type Proxy struct {
	// Addr is the address it listens on, on the loopback interface.
	Addr string

	to       string
	faults   Faults
	listener *net.TCPListener
	closing  chan struct{}
	running  sync.WaitGroup
	close    func() error

	mu    sync.Mutex
	ended bool
	open  map[*net.TCPConn]bool
	met   [corrupted + 1]uint64
	all   uint64
}

// ProxyCounts is what a proxy did.
type ProxyCounts struct {
	Connections uint64
	// Connections that have met a fate so far.
	Limited, Reset, Stalled, HalfOpen, Corrupted uint64
}

// StartProxy passes connections to a free loopback port on to the address
// `to`. The caller must Close it, before the target if the target's ledger is
// to be complete.
func StartProxy(to string, f Faults) (*Proxy, error) {
	if err := f.Validate(); err != nil {
		return nil, err
	}
	l, err := listenLoopback("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		Addr: l.Addr().String(), to: to, faults: f, listener: l,
		closing: make(chan struct{}), open: map[*net.TCPConn]bool{},
	}
	accepted := make(chan error, 1)
	go func() { accepted <- p.accept() }()
	p.close = sync.OnceValue(func() error { return p.shutdown(accepted) })
	return p, nil
}

func (p *Proxy) accept() error {
	for n := uint64(0); ; n++ {
		c, err := p.listener.AcceptTCP()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil:
			return err
		}
		p.mu.Lock()
		p.all++
		p.open[c] = true
		p.mu.Unlock()
		p.running.Go(func() { p.serve(c, n) })
	}
}

// Close accepts what still waits to be accepted, ends all delays, passes on
// what clients have sent, cuts the connections that are left a second later,
// and returns when every goroutine of the proxy has ended. It may be called
// more than once.
func (p *Proxy) Close() error { return p.close() }

func (p *Proxy) shutdown(accepted <-chan error) error {
	_ = p.listener.SetDeadline(time.Now().Add(rawBacklog)) // on a listener that is broken accept has ended
	err := <-accepted
	p.listener.Close()
	close(p.closing)
	p.mu.Lock()
	p.ended = true
	for c := range p.open {
		_ = c.SetDeadline(time.Now().Add(rawGrace)) // an error means that it is closed
	}
	p.mu.Unlock()
	p.running.Wait()
	if err != nil {
		return fmt.Errorf("proxy on %s: %w", p.Addr, err)
	}
	return nil
}

// Counts returns what the proxy has done so far.
func (p *Proxy) Counts() ProxyCounts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return ProxyCounts{
		Connections: p.all,
		Limited:     p.met[limited], Reset: p.met[resetDoom], Stalled: p.met[stalled],
		HalfOpen: p.met[halfOpen], Corrupted: p.met[corrupted],
	}
}

// dial connects to the target; false when that fails or the proxy is closing
// and would not wait for it.
func (p *Proxy) dial() (*net.TCPConn, bool) {
	c, err := net.Dial("tcp", p.to)
	if err != nil {
		return nil, false
	}
	tcp := c.(*net.TCPConn) // what "tcp" gives
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[tcp] = true
	if p.ended {
		_ = tcp.SetDeadline(time.Now().Add(rawGrace))
	}
	return tcp, true
}

func (p *Proxy) forget(c *net.TCPConn) {
	c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, c)
}

// serve passes one connection on until both sides are done with it.
func (p *Proxy) serve(client *net.TCPConn, n uint64) {
	defer p.forget(client)
	target, ok := p.dial()
	if !ok {
		_ = client.SetLinger(0)
		return
	}
	defer p.forget(target)

	l := &link{proxy: p, client: client, target: target, number: n}
	l.doom, l.at = p.faults.doomOf(n)
	var up sync.WaitGroup
	up.Go(l.up)
	l.down()
	up.Wait()
}

// A link is a connection on both sides of a proxy.
type link struct {
	proxy          *Proxy
	client, target *net.TCPConn
	number         uint64
	doom           doom
	at             int64
	dead           atomic.Bool // nothing passes any more
}

// up passes on what the client sends, and after that its end of the stream.
func (l *link) up() {
	w := lane{link: l, to: l.target, direction: 0}
	buf := make([]byte, 16<<10)
	for {
		n, err := l.client.Read(buf)
		if n > 0 && !l.dead.Load() {
			w.pass(buf[:n]) // a target that is gone shows on the way down
		}
		if err == nil {
			continue
		}
		if l.dead.Load() {
			l.target.Close()
		} else {
			_ = l.target.CloseWrite()
		}
		return
	}
}

// down passes on what the target sends, until the connection meets its fate.
func (l *link) down() {
	w := lane{link: l, to: l.client, direction: 1}
	buf := make([]byte, 16<<10)
	passed := int64(0)
	for {
		n, err := l.target.Read(buf)
		if l.doom != spared && passed+int64(n) > l.at {
			w.pass(buf[:l.at-passed])
			if l.doom != corrupted {
				l.meet()
				return
			}
			l.note()
			l.doom = spared
			buf[l.at-passed] ^= 1 << (scramble(l.proxy.faults.Seed, l.number, forDoomAt) % 8)
			w.pass(buf[l.at-passed : n])
		} else if n > 0 && !w.pass(buf[:n]) {
			l.target.Close() // the client is gone
			return
		}
		passed += int64(n)
		switch {
		case errors.Is(err, io.EOF):
			_ = l.client.CloseWrite()
			return
		case err != nil:
			l.breakOff(l.client)
			return
		}
	}
}

// breakOff resets connections.
func (l *link) breakOff(conns ...*net.TCPConn) {
	for _, c := range conns {
		_ = c.SetLinger(0)
		c.Close()
	}
}

func (l *link) note() {
	l.proxy.mu.Lock()
	defer l.proxy.mu.Unlock()
	l.proxy.met[l.doom]++
}

// meet brings the connection's fate about. What the client sends from here on
// is read by up, which ends when the client does.
func (l *link) meet() {
	l.note()
	switch l.doom {
	case limited:
		_ = l.client.CloseWrite()
	case resetDoom:
		l.breakOff(l.client, l.target)
	case stalled:
		l.dead.Store(true)
	case halfOpen:
		l.dead.Store(true)
		l.target.Close()
	}
}

// A lane is one direction of a link.
type lane struct {
	*link
	to        *net.TCPConn
	direction uint64
	drawn     uint64
}

// draw is the lane's next random number.
func (w *lane) draw(purpose uint64) float64 {
	w.drawn++
	return draw(w.proxy.faults.Seed+w.direction, w.number<<32+w.drawn, purpose)
}

// pass sends b on as the faults say: late, slowly and in pieces. False when
// the receiver is gone.
func (w *lane) pass(b []byte) bool {
	f := &w.proxy.faults
	w.wait(f.Latency + time.Duration(w.draw(forProxyJitter)*float64(f.Jitter)))
	for len(b) > 0 {
		n := len(b)
		if f.Bandwidth > 0 { // 50 steps a second, so that a slow link is slow and not fitful
			n = min(n, int(f.Bandwidth/50)+1)
		}
		if f.Slice > 0 {
			n = min(n, 1+int(w.draw(forProxySlice)*float64(f.Slice)))
		}
		if _, err := w.to.Write(b[:n]); err != nil {
			return false
		}
		b = b[n:]
		if f.Bandwidth > 0 {
			w.wait(time.Duration(int64(n) * int64(time.Second) / f.Bandwidth))
		}
	}
	return true
}

// wait lets the time pass, unless the proxy is closing.
func (w *lane) wait(d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-w.proxy.closing:
	}
}
