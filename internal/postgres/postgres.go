// Package postgres finds a PostgreSQL or starts a private one, for the demo
// systems and for tests: in a folder of its own, on a free port of the loopback
// interface, behind a password that nobody else knows, and gone with whoever
// started it, however that ended.
//
// A private server does not force its writes to the disk. What it has committed
// outlives a crash of the server, and not one of the machine: it is no place
// for data that anybody wants to keep.
package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// Options say which server is wanted.
type Options struct {
	// URL names a server that runs, such as postgres://me:secret@host/db. It is
	// then the one, and none is started. Empty starts a private one.
	URL string
	// Binaries is the folder that has initdb and postgres; empty is what [Find]
	// finds.
	Binaries string
	// Settings are more settings of a private server, such as
	// {"max_connections": "20"}.
	Settings map[string]string
}

// A Server is a PostgreSQL that answers at its URL.
type Server struct {
	// URL has the credentials of a role that may create databases and roles, if
	// the server is a private one: a superuser.
	URL string

	private *keeper // nil for a server that we only found
	mu      sync.Mutex
}

// patience is how long a private server may take to make its files and to
// answer: 1 to 3 s on a machine that has nothing else to do.
const patience = 2 * time.Minute

// Start returns the server that o.URL names, after it has answered, or starts a
// private one. The caller must Close it.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.URL != "" {
		if err := ping(ctx, o.URL); err != nil {
			return nil, err
		}
		return &Server{URL: o.URL}, nil
	}
	binaries := o.Binaries
	if binaries == "" {
		var err error
		if binaries, err = Find(); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	k, err := newKeeper(binaries, rand.Text(), o.Settings)
	if err != nil {
		return nil, err
	}
	// Between the choice of a port and the server's, another may take it.
	for range 5 {
		if err = k.start(ctx); !errors.Is(err, errPortTaken) {
			break
		}
		k.port = 0
	}
	if err != nil {
		k.remove()
		return nil, err
	}
	at := url.URL{
		Scheme: "postgres", User: url.UserPassword(superuser, k.password),
		Host: net.JoinHostPort(loopback, fmt.Sprint(k.port)), Path: "/postgres", RawQuery: "sslmode=disable",
	}
	return &Server{URL: at.String(), private: k}, nil
}

const (
	superuser = "postgres"
	loopback  = "127.0.0.1"
)

// ErrAddress says that a connection string cannot be read. What it says of it is
// not told: in a malformed one nobody knows where the password ends.
var ErrAddress = errors.New("database: this is no connection string of PostgreSQL")

func ping(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return ErrAddress
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return oneLine(err) // its text has no password
	}
	return conn.Close(ctx)
}

// oneLine puts an error's lines, one for each way that was tried, in one, and
// each only once.
func oneLine(err error) error {
	text := strings.Replace(err.Error(), "failed to connect to", "no connection as", 1)
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return fmt.Errorf("database: %s", strings.Join(lines, " "))
}

// Close ends a private server and removes its folder; one that was found by its
// URL stays as it is. It may be called more than once.
func (s *Server) Close() error {
	if s.private == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.private.remove()
}

// Crash ends a private server at once, as if its process had been killed:
// connections break, what was not committed is lost, and the next start
// recovers. The folder stays, for [Server.Restart].
func (s *Server) Crash() error { return s.stop("QUIT") }

// Shutdown ends a private server in order, cutting its connections. The folder
// stays, for [Server.Restart].
func (s *Server) Shutdown() error { return s.stop("INT") }

func (s *Server) stop(signal string) error {
	if s.private == nil {
		return errNotOurs
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.private.stop(signal)
}

// Restart starts a server that was ended by Crash or Shutdown, on the same port
// and with the same data.
func (s *Server) Restart(ctx context.Context) error {
	if s.private == nil {
		return errNotOurs
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.private.start(ctx)
}

var errNotOurs = errors.New("this PostgreSQL was not started here, so it is not stopped here")

// CreateDatabase makes an empty database and returns its URL. The name is
// quoted: it may be any.
func (s *Server) CreateDatabase(ctx context.Context, name string) (string, error) {
	if err := s.run(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		return "", err
	}
	return s.Database(name)
}

// DropDatabase removes a database, and ends whoever is connected to it.
func (s *Server) DropDatabase(ctx context.Context, name string) error {
	return s.run(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)")
}

// Database returns the URL of another database of the same server.
func (s *Server) Database(name string) (string, error) {
	u, err := url.Parse(s.URL)
	if err != nil || u.Scheme == "" {
		return "", errors.New("database: want a URL such as postgres://user:password@host/name")
	}
	u.Path = "/" + name
	return u.String(), nil
}

func (s *Server) run(ctx context.Context, statement string) error {
	conn, err := pgx.Connect(ctx, s.URL)
	if err != nil {
		return oneLine(err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, statement); err != nil {
		return oneLine(err)
	}
	return nil
}

// freePort returns a port below those that the system gives to outgoing
// connections, so that none of them takes it before the server does.
func freePort() int {
	for range 1000 {
		b := make([]byte, 2)
		rand.Read(b)
		port := 20000 + (int(b[0])<<8|int(b[1]))%12000
		l, err := net.Listen("tcp", net.JoinHostPort(loopback, fmt.Sprint(port)))
		if err == nil {
			l.Close()
			return port
		}
	}
	return 5432 // the server will say what is wrong with it
}
