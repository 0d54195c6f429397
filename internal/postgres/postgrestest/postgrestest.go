// Package postgrestest gives tests a real PostgreSQL: one private server for a
// test process, which ends with it, and a database for each test that asks.
package postgrestest

import (
	"context"
	"crypto/rand"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/internal/postgres"
)

// Variable names the environment variable by which tests are told of a server
// that runs, as a URL whose role may create databases. Without it they start a
// private one.
const Variable = "TOLLGATE_TEST_POSTGRES"

var shared struct {
	once   sync.Once
	server *postgres.Server
	err    error
}

// timeout bounds what a test waits for a statement of ours.
const timeout = time.Minute

// Server returns the server that all tests of this process share. None of them
// may stop it. Without a PostgreSQL on this machine the test fails, and says
// how to install one.
func Server(t testing.TB) *postgres.Server {
	t.Helper()
	shared.once.Do(func() {
		shared.server, shared.err = postgres.Start(context.Background(), postgres.Options{URL: os.Getenv(Variable)})
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.server
}

// Database makes an empty database on the shared server, drops it when the test
// is over, and returns its URL. Its role is a superuser of a private server.
func Database(t testing.TB) string {
	t.Helper()
	server := Server(t)
	name := "test_" + strings.ToLower(rand.Text())
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	url, err := server.CreateDatabase(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		if err := server.DropDatabase(ctx, name); err != nil {
			t.Error(err)
		}
	})
	return url
}

// Own starts a private server that is the test's alone, to be stopped, killed
// and started again, and closes it when the test is over. It costs 1 to 3 s.
func Own(t testing.TB) *postgres.Server {
	t.Helper()
	server, err := postgres.Start(context.Background(), postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return server
}
