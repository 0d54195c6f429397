package demo

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A way is how client and server speak.
type way struct {
	serve func(t testing.TB) (*Web, *Server, *http.Client)
	major int
	tls   bool
}

// clientOf makes a client that trusts the authority and speaks one protocol.
func clientOf(c *http.Client, a *Authority, p Protocol) {
	transport := c.Transport.(*http.Transport)
	transport.Protocols = new(http.Protocols)
	switch p {
	case HTTP1:
		transport.Protocols.SetHTTP1(true)
	case HTTP2:
		transport.Protocols.SetHTTP2(true)
	case H2C:
		transport.Protocols.SetUnencryptedHTTP2(true)
	}
	if a != nil {
		transport.TLSClientConfig = &tls.Config{RootCAs: a.Pool()}
	}
}

func protocolsToTest() map[string]way {
	serve := func(a *Authority, p Protocol, opts func(a *Authority) []ServerOption) func(t testing.TB) (*Web, *Server, *http.Client) {
		return func(t testing.TB) (*Web, *Server, *http.Client) {
			web, server, c := serveWeb(t, opts(a)...)
			clientOf(c, a, p)
			return web, server, c
		}
	}
	over := func(a *Authority) []ServerOption { return []ServerOption{OverTLS(a.Config("127.0.0.1"))} }
	return map[string]way{
		"HTTP/1.1 in clear": {serve(nil, HTTP1, func(*Authority) []ServerOption { return nil }), 1, false},
		"HTTP/1.1 beside h2c": {serve(nil, HTTP1, func(*Authority) []ServerOption {
			return []ServerOption{Speaking(HTTP1, H2C)}
		}), 1, false},
		"HTTP/2 in clear": {serve(nil, H2C, func(*Authority) []ServerOption {
			return []ServerOption{Speaking(HTTP1, H2C)}
		}), 2, false},
		"HTTP/1.1 over TLS": {serve(NewAuthority(), HTTP1, over), 1, true},
		"HTTP/2 over TLS":   {serve(NewAuthority(), HTTP2, over), 2, true},
	}
}

func TestLedgerIsExactOverEveryProtocol(t *testing.T) {
	for name, p := range protocolsToTest() {
		t.Run(name, func(t *testing.T) {
			web, server, c := p.serve(t)
			const clients, each = 4, 20
			var running sync.WaitGroup
			for range clients {
				running.Go(func() {
					for i := range each {
						ask(t, c, "POST", server.URL+"/rows", "application/json", fmt.Sprintf(`{"email":"%d"}`, i))
					}
				})
			}
			running.Wait()
			_, text := ask(t, c, "GET", server.URL+"/conn", "", "")
			l := web.Ledger()
			proto := fmt.Sprintf("HTTP/%d.%d", p.major, 2-p.major)
			if diff := cmp.Diff(map[string]uint64{proto: clients*each + 1}, l.Protocols); diff != "" || field(t, text, "protocol") != proto {
				t.Errorf("protocols: %s; %s", diff, text)
			}
			if l.Status["POST /rows"][201] != clients*each || len(l.Rows) != each || l.Rows["3"] != clients {
				t.Errorf("ledger: %+v", l)
			}
			if p.major == 2 && l.ConnectionsOpened > clients {
				t.Errorf("%d connections", l.ConnectionsOpened)
			}
			if p.tls != (server.URL[:5] == "https") {
				t.Error(server.URL)
			}
			// What was held when the server closes is let go.
			if err := web.SetKnobs(Knobs{Drops: 1}); err != nil {
				t.Fatal(err)
			}
			running.Go(func() { _ = unanswered(c, server.URL+"/me") })
			waitFor(t, "the request that is dropped", func() bool { return web.Ledger().Requests["GET /me"] == 1 })
			c.CloseIdleConnections() // some that it dialled in advance were never used
			if err := server.Close(); err != nil {
				t.Error(err)
			}
			running.Wait()
			l = web.Ledger()
			if want := map[bool]uint64{true: l.ConnectionsOpened}[p.tls]; l.TLSHandshakes != want || l.TLSFailed != 0 {
				t.Errorf("%d connections, %d handshakes, %d failed", l.ConnectionsOpened, l.TLSHandshakes, l.TLSFailed)
			}
		})
	}
}

func TestServerSpeaksOnlyWhatItIsTold(t *testing.T) {
	a := NewAuthority()
	for name, tc := range map[string]struct {
		server []Protocol
		client Protocol
		alpn   string // "" when they do not come together
	}{
		"HTTP/2 alone":                    {[]Protocol{HTTP2}, HTTP2, "h2"},
		"HTTP/1.1 alone":                  {[]Protocol{HTTP1}, HTTP1, "http/1.1"},
		"both, and the client has 1.1":    {[]Protocol{HTTP1, HTTP2}, HTTP1, "http/1.1"},
		"HTTP/1.1, and the client has 2":  {[]Protocol{HTTP1}, HTTP2, ""},
		"HTTP/2, and the client has none": {[]Protocol{HTTP2}, HTTP1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, server, c := serveWeb(t, OverTLS(a.Config("127.0.0.1")), Speaking(tc.server...))
			clientOf(c, a, tc.client)
			if tc.alpn == "" {
				if err := unanswered(c, server.URL+"/"); err == nil {
					t.Error("they understand each other")
				}
				return
			}
			if _, text := ask(t, c, "GET", server.URL+"/tls", "", ""); field(t, text, "alpn") != tc.alpn && !(tc.alpn == "http/1.1" && field(t, text, "alpn") == "") {
				t.Error(text)
			}
		})
	}
}

func TestCertificatesAreGoodOrBadAsAskedFor(t *testing.T) {
	a, stranger := NewAuthority(), NewAuthority()
	for name, tc := range map[string]struct {
		cert Certificate
		good bool
		why  func(err error) bool
	}{
		"good":      {a.Server("127.0.0.1", "localhost"), true, nil},
		"expired":   {a.Expired("127.0.0.1"), false, isInvalid(x509.Expired)},
		"early":     {a.Early("127.0.0.1"), false, isInvalid(x509.Expired)},
		"elsewhere": {a.Server("elsewhere.example"), false, isA[x509.HostnameError]},
		"stranger":  {stranger.Server("127.0.0.1"), false, isA[x509.UnknownAuthorityError]},
		"a client":  {a.Client("127.0.0.1"), false, isA[x509.HostnameError]},
	} {
		t.Run(name, func(t *testing.T) {
			web, server, c := serveWeb(t, OverTLS(&tls.Config{Certificates: []tls.Certificate{tc.cert.TLS}}))
			clientOf(c, a, HTTP1)
			err := unanswered(c, server.URL+"/")
			if (err == nil) != tc.good || err != nil && !tc.why(err) {
				t.Errorf("%v", err)
			}
			c.CloseIdleConnections()
			if err := server.Close(); err != nil {
				t.Error(err)
			}
			l := web.Ledger()
			if want := map[bool]uint64{true: 1}[tc.good]; l.TLSHandshakes != want || l.TLSFailed != 1-want || l.Total != want {
				t.Errorf("%d handshakes, %d failed, %d requests", l.TLSHandshakes, l.TLSFailed, l.Total)
			}
		})
	}
}

func isA[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

func isInvalid(reason x509.InvalidReason) func(error) bool {
	return func(err error) bool {
		var e x509.CertificateInvalidError
		return errors.As(err, &e) && e.Reason == reason
	}
}

func TestClientsAreKnownByTheirCertificates(t *testing.T) {
	a := NewAuthority()
	_, server, c := serveWeb(t, OverTLS(a.Mutual("127.0.0.1")))
	clientOf(c, a, HTTP1)
	if err := unanswered(c, server.URL+"/"); err == nil {
		t.Error("a client without a certificate was let in")
	}
	config := c.Transport.(*http.Transport).TLSClientConfig
	ann := a.Client("ann")
	pair, err := tls.X509KeyPair(ann.PEM, ann.KeyPEM) // the texts are as good as the values
	if err != nil {
		t.Fatal(err)
	}
	config.Certificates = []tls.Certificate{pair}
	if _, text := ask(t, c, "GET", server.URL+"/tls", "", ""); field(t, text, "client") != "ann" || field(t, text, "version") != "TLS 1.3" {
		t.Error(text)
	}
	if err := unanswered(&http.Client{Transport: strangerTransport(t, a)}, server.URL+"/"); err == nil {
		t.Error("a client with a stranger's certificate was let in")
	}
}

func strangerTransport(t *testing.T, a *Authority) *http.Transport {
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: a.Pool(), Certificates: []tls.Certificate{NewAuthority().Client("ann").TLS}}}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

func TestResumedHandshakeIsCountedAsOne(t *testing.T) {
	a := NewAuthority()
	web, server, c := serveWeb(t, OverTLS(a.Config("127.0.0.1")))
	clientOf(c, a, HTTP1)
	transport := c.Transport.(*http.Transport)
	transport.DisableKeepAlives = true
	transport.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(10)
	for i := range 3 {
		_, text := ask(t, c, "GET", server.URL+"/tls", "", "")
		if field(t, text, "resumed") != fmt.Sprint(i > 0) {
			t.Errorf("handshake %d: %s", i, text)
		}
	}
	if l := web.Ledger(); l.TLSHandshakes != 3 || l.TLSResumed != 2 || l.ConnectionsOpened != 3 {
		t.Errorf("%d handshakes, %d resumed, %d connections", l.TLSHandshakes, l.TLSResumed, l.ConnectionsOpened)
	}
}

func TestAuthorityIsTrustedByItsText(t *testing.T) {
	a := NewAuthority()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(a.PEM()) {
		t.Fatal("no certificate")
	}
	cert := a.Server("*.example.org")
	b, rest := pem.Decode(cert.PEM)
	if b == nil || len(rest) > 0 {
		t.Fatalf("%q", cert.PEM)
	}
	leaf, err := x509.ParseCertificate(b.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: "a.example.org"}); err != nil {
		t.Error(err)
	}
}
