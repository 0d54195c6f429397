package seed

import (
	"errors"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// pooler gives its clients a connection to the server for a transaction at a
// time, another one each time, and has the server forget all of the session in
// between: PgBouncer's transaction mode at its strictest.
type pooler struct {
	listener net.Listener
	idle     chan *pgconn.HijackedConn
	mu       sync.Mutex
	given    int // times that a connection was given to a client
	errs     []error
}

func pooled(t *testing.T, at string, size int) (p *pooler, through string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p = &pooler{listener: l, idle: make(chan *pgconn.HijackedConn, size)}
	for range size {
		conn, err := pgconn.Connect(within(t), at)
		if err != nil {
			t.Fatal(err)
		}
		server, err := conn.Hijack()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { server.Conn.Close() })
		p.idle <- server
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if err := p.serve(conn); err != nil {
					p.mu.Lock()
					p.errs = append(p.errs, err)
					p.mu.Unlock()
				}
			}()
		}
	}()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = l.Addr().String()
	return p, u.String()
}

// serve speaks to one client until it leaves.
func (p *pooler) serve(conn net.Conn) error {
	client := pgproto3.NewBackend(conn, conn)
	hello, err := client.ReceiveStartupMessage()
	if err != nil {
		return nil
	}
	if _, ok := hello.(*pgproto3.StartupMessage); !ok {
		return nil // a request to cancel
	}
	client.Send(&pgproto3.AuthenticationOk{})
	for name, value := range map[string]string{"standard_conforming_strings": "on", "client_encoding": "UTF8", "server_version": "15.0"} {
		client.Send(&pgproto3.ParameterStatus{Name: name, Value: value})
	}
	client.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{0, 0, 0, 1}})
	client.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	if err := client.Flush(); err != nil {
		return nil
	}
	for {
		first, err := client.Receive()
		if err != nil {
			return nil // left between transactions
		}
		if _, ok := first.(*pgproto3.Terminate); ok {
			return nil
		}
		server := <-p.idle
		p.mu.Lock()
		p.given++
		p.mu.Unlock()
		if err := p.transaction(client, server, first); err != nil {
			server.Conn.Close() // the server rolls back
			return err
		}
		if err := forget(server); err != nil {
			return err
		}
		p.idle <- server
	}
}

// transaction passes messages on until the server is outside a transaction and
// owes no answer.
func (p *pooler) transaction(client *pgproto3.Backend, server *pgconn.HijackedConn, m pgproto3.FrontendMessage) error {
	asked := 0
	for {
		// What the client sends until it waits for an answer.
		for wait := false; !wait; {
			server.Frontend.Send(m)
			switch m.(type) {
			case *pgproto3.Query, *pgproto3.Sync:
				asked++
				wait = true
			case *pgproto3.CopyDone, *pgproto3.CopyFail:
				wait = true
			}
			if wait {
				break
			}
			var err error
			if m, err = client.Receive(); err != nil {
				return errors.New("the client left in a transaction")
			}
		}
		if err := server.Frontend.Flush(); err != nil {
			return err
		}
		for status, copying := byte(0), false; status == 0 && !copying; {
			answer, err := server.Frontend.Receive()
			if err != nil {
				return err
			}
			client.Send(answer)
			switch a := answer.(type) {
			case *pgproto3.CopyInResponse:
				copying = true
			case *pgproto3.ReadyForQuery:
				asked--
				status = a.TxStatus
			}
			if status != 0 || copying {
				if err := client.Flush(); err != nil {
					return err
				}
			}
			if status == 'I' && asked == 0 {
				return nil
			}
		}
		var err error
		if m, err = client.Receive(); err != nil {
			return errors.New("the client left in a transaction")
		}
	}
}

// forget has the server drop all that belongs to a session.
func forget(server *pgconn.HijackedConn) error {
	server.Frontend.Send(&pgproto3.Query{String: "DISCARD ALL"})
	if err := server.Frontend.Flush(); err != nil {
		return err
	}
	for {
		m, err := server.Frontend.Receive()
		if err != nil {
			return err
		}
		if _, ok := m.(*pgproto3.ReadyForQuery); ok {
			return nil
		}
	}
}

func TestNothingIsKeptInASession(t *testing.T) {
	at := database(t, usersTables+";"+foreign)
	before := contents(t, at)
	p, through := pooled(t, at, 3)
	o := many("pooled")
	o.beat, o.expiry = 20*time.Millisecond, time.Minute
	d, ctx := held(t, parsed(t, through, usersSeed), o)
	sum := filled(t, d, ctx)
	run(t, at, load)
	c := cleaned(t, d)
	if c.Deleted != sum.Rows || c.Made == 0 {
		t.Errorf("%+v of %d", c, sum.Rows)
	}
	if err := d.Release(within(t)); err != nil {
		t.Error(err)
	}
	restored(t, at, before, "pooled")
	if n := run(t, at, `SELECT count(*) FROM tollgate.lease`); n != "0" {
		t.Errorf("%s leases", n)
	}
	d.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.given < 50 {
		t.Errorf("only %d transactions went through the pooler", p.given)
	}
	for _, err := range p.errs {
		t.Error(err)
	}
}
