package demo

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A client is one connection that sends what it is told, once. http.Client
// would not do: it repeats requests of its own accord after a reset.
type client struct {
	addr string
	also string // lines of the header that every request has
	conn net.Conn
	in   *bufio.Reader
}

// do sends one request and reads its answer, over a new connection if the last
// one is gone. After an error the request may or may not have been received.
func (c *client) do(method, path, contentType, body string) (*http.Response, string, error) {
	if c.conn == nil {
		conn, err := net.Dial("tcp", c.addr)
		if err != nil {
			return nil, "", err
		}
		conn.SetDeadline(time.Now().Add(30 * time.Second)) // a hang is a failure, not a hang
		c.conn, c.in = conn, bufio.NewReader(conn)
	}
	resp, text, err := c.exchange(method, path, contentType, body)
	if err != nil || resp.Close {
		c.close()
	}
	return resp, text, err
}

func (c *client) exchange(method, path, contentType, body string) (*http.Response, string, error) {
	header := c.also
	if contentType != "" {
		header += "Content-Type: " + contentType + "\r\n"
	}
	if _, err := fmt.Fprintf(c.conn, "%s %s HTTP/1.1\r\nHost: soc\r\n%sContent-Length: %d\r\n\r\n%s",
		method, path, header, len(body), body); err != nil {
		return nil, "", err
	}
	resp, err := http.ReadResponse(c.in, &http.Request{Method: method})
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp, string(text), err
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

func (c *client) trigger(body string) (*http.Response, string, error) {
	return c.do("POST", "/api/threats/trigger", "application/json", body)
}

// serve starts a SOC system and a client of it, both ended with the test.
func serve(t testing.TB, opts Options) (*SOC, *Server, *client) {
	t.Helper()
	soc := NewSOC(opts)
	server, err := Start("127.0.0.1:0", soc)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{addr: server.Addr}
	t.Cleanup(func() {
		c.close()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return soc, server, c
}

// mustDo is do for requests that are bound to be answered.
func (c *client) mustDo(t testing.TB, method, path, contentType, body string) (*http.Response, string) {
	t.Helper()
	resp, text, err := c.do(method, path, contentType, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp, text
}

func (c *client) get(t testing.TB, path string) string {
	t.Helper()
	resp, text := c.mustDo(t, "GET", path, "", "")
	if resp.StatusCode != 200 {
		t.Fatalf("GET %s: status %d: %s", path, resp.StatusCode, text)
	}
	return text
}

// waitFor yields until something that another goroutine does has happened.
func waitFor(t testing.TB, what string, happened func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !happened(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("after 10 s still not: %s", what)
		}
	}
}

func threatBody(threat string) string { return `{"threat_type": "` + threat + `"}` }

func contains(t *testing.T, text string, wanted ...string) {
	t.Helper()
	for _, w := range wanted {
		if !strings.Contains(text, w) {
			t.Errorf("%q is missing in:\n%s", w, text)
		}
	}
}
