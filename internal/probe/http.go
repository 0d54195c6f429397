package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"tollgate/internal/reach"
)

// client fetches pages. It goes straight to the server, follows no redirect and
// asks for no compression, so that a page is as long as it was sent.
type client struct {
	http  *http.Client
	at    string // host, for people
	name  string // of the host
	hosts reach.Hosts
}

func newClient(u *url.URL, hosts reach.Hosts) client {
	return client{at: u.Host, name: u.Hostname(), hosts: hosts, http: &http.Client{
		Transport:     &http.Transport{DialContext: hosts.Dial, DisableCompression: true, MaxIdleConnsPerHost: 1},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// get hands the body of an answer, of at most so many bytes, to read.
func (c client) get(ctx context.Context, u *url.URL, accept string, most int64, read func(status int, body io.Reader) error) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return errors.New("not a URL that can be asked")
	}
	request.Header.Set("Accept", accept)
	answer, err := c.http.Do(request)
	if err != nil {
		var of *url.Error // which repeats the URL, and so what may be secret in it
		if errors.As(err, &of) {
			err = of.Err
		}
		return fmt.Errorf("%s: %w", c.at, unreached(err))
	}
	defer answer.Body.Close()
	body := &limited{from: answer.Body, left: most}
	if err := read(answer.StatusCode, body); err != nil {
		if body.over {
			return fmt.Errorf("%s: a page of more than %d MiB", c.at, most>>20)
		}
		return fmt.Errorf("%s: %w", c.at, err)
	}
	return nil
}

func (c client) refused(ctx context.Context) error {
	_, err := c.hosts.Resolve(ctx, c.name)
	if r := reach.Refused(err); r != nil {
		return r
	}
	return nil
}

func (c client) close() { c.http.CloseIdleConnections() }

// limited ends in an error where a body goes on for too long.
type limited struct {
	from io.Reader
	left int64
	over bool
}

var errTooLong = errors.New("too long")

func (l *limited) Read(b []byte) (int, error) {
	if l.left <= 0 {
		l.over = true
		return 0, errTooLong
	}
	n, err := l.from.Read(b[:min(int64(len(b)), l.left)])
	l.left -= int64(n)
	return n, err
}

// webURL reads the address of a page or a server.
func webURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("its address is no URL of the web: write http://HOST:PORT")
	}
	return u, nil
}
