package exec

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	bignum "math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tollgate/internal/measure"
	"tollgate/pkg/slo"
	"tollgate/pkg/spec"
)

// authority is a certificate authority of a test.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t testing.TB) *authority {
	a := &authority{t: t}
	a.cert, a.key, a.pem, _ = a.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	})
	return a
}

// issue signs a certificate: by itself, if the authority has none yet.
func (a *authority) issue(c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey, []byte, []byte) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber = bignum.NewInt(time.Now().UnixNano())
	if c.NotAfter.IsZero() {
		c.NotAfter = time.Now().Add(time.Hour)
	}
	c.NotBefore = c.NotAfter.Add(-2 * time.Hour)
	by, signs := a.cert, a.key
	if by == nil {
		by, signs = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by, &key.PublicKey, signs)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
}

// server issues a certificate for names and addresses.
func (a *authority) server(c x509.Certificate, names ...string) tls.Certificate {
	a.t.Helper()
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, n)
		}
	}
	_, _, cert, key := a.issue(&c)
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		a.t.Fatal(err)
	}
	return pair
}

// startTLS starts a target that speaks HTTP/1.1 and, if asked to, HTTP/2.
func startTLS(t testing.TB, h http.Handler, config *tls.Config, two bool) string {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.TLS = config
	srv.EnableHTTP2 = two
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of every handshake that fails
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

// planFor compiles a spec whose target is what the options say.
func planFor(t testing.TB, addr, text string, change func(*spec.Target)) *Plan {
	t.Helper()
	s, faults := spec.Parse("test.yaml", []byte(strings.ReplaceAll(text, "127.0.0.1:1\"", addr+"\"")), spec.Options{})
	if s == nil {
		t.Fatalf("spec: %v", faults)
	}
	if change != nil {
		change(&s.Target)
	}
	p, err := Compile(s, Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// runConn runs a spec by the conn driver.
func runConn(t testing.TB, addr, text string, loops int, change func(*spec.Target)) *Result {
	t.Helper()
	p := planFor(t, addr, text, change)
	r, err := Run(t.Context(), p,
		RunOptions{Addresses: FixedAddresses(p.Spec, netip.MustParseAddrPort(addr)), Loops: loops, RunID: "test", Driver: driverConn})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func overTLS(ca []byte, version spec.HTTPVersion) func(*spec.Target) {
	return func(t *spec.Target) { t.Scheme, t.HTTP, t.TLS.CA = "https", version, ca }
}

// overH2C speaks HTTP/2 with prior knowledge.
func overH2C(t *spec.Target) { t.HTTP = spec.HTTP2 }

func TestEveryProtocolSendsTheSameRequests(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	for name, tc := range map[string]struct {
		version spec.HTTPVersion
		secure  bool
		serves2 bool
		want    string
	}{
		"http, 1":               {spec.HTTP1, false, false, "HTTP/1.1"},
		"http, auto":            {spec.HTTPAuto, false, true, "HTTP/1.1"},
		"http, 2":               {spec.HTTP2, false, true, "HTTP/2.0"},
		"https, 1":              {spec.HTTP1, true, true, "HTTP/1.1"},
		"https, 2":              {spec.HTTP2, true, true, "HTTP/2.0"},
		"https, auto, serves 2": {spec.HTTPAuto, true, true, "HTTP/2.0"},
		"https, auto, serves 1": {spec.HTTPAuto, true, false, "HTTP/1.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var odd []string
			seen := map[string]uint64{}
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				mu.Lock()
				defer mu.Unlock()
				seen[r.Method+" "+r.RequestURI]++
				switch {
				case r.Proto != tc.want:
					odd = append(odd, "protocol "+r.Proto)
				case r.UserAgent() != userAgent, r.Header.Get("Accept-Encoding") != "", r.Header.Get("X-Both") != "a, b":
					odd = append(odd, fmt.Sprint(r.Header))
				case r.Method == "POST" && (r.Header.Get("Content-Type") != "application/json" || string(body) != `{"n":"`+strings.Repeat("x", 20_000)+`"}`):
					odd = append(odd, fmt.Sprintf("body of %d, %v", len(body), r.Header))
				case r.Method == "GET" && (len(body) > 0 || r.ContentLength > 0):
					odd = append(odd, "a GET with a body")
				}
				w.Header().Add("X-Token", "abc")
				switch r.URL.Path {
				case "/hello":
					w.Header().Set("Content-Type", "application/json")
					fmt.Fprintf(w, `{"id": 7, "pad": %q}`, strings.Repeat("y", 100_000))
				case "/head", "/none":
					w.WriteHeader(http.StatusNoContent)
				default:
					if r.Header.Get("Authorization") != "Bearer abc" {
						odd = append(odd, "no token")
					}
					fmt.Fprint(w, "ok")
				}
			})
			var addr string
			change := overTLS(a.pem, tc.version)
			if tc.secure {
				addr = startTLS(t, h, &tls.Config{Certificates: []tls.Certificate{a.server(x509.Certificate{}, "127.0.0.1")}}, tc.serves2)
			} else {
				srv := httptest.NewUnstartedServer(h)
				srv.Config.Protocols = &http.Protocols{}
				srv.Config.Protocols.SetHTTP1(true)
				srv.Config.Protocols.SetUnencryptedHTTP2(tc.serves2)
				srv.Start()
				t.Cleanup(srv.Close)
				addr = srv.Listener.Addr().String()
				change = func(t *spec.Target) { t.HTTP = tc.version }
			}
			text := `version: 1
name: test
target: {url: "http://127.0.0.1:1", timeout: 10s, headers: {x-both: "a, b"}}
endpoints:
  hello: {request: GET /hello, save: {id: id, token: {header: x-token}}}
  item: {request: "GET //odd/%2F/${id}?q=1&q=%20", headers: {Authorization: "Bearer ${token}"}}
  post: {request: POST /post, json: {n: ` + strings.Repeat("x", 20_000) + `}, headers: {Authorization: "Bearer ${token}"}}
  head: HEAD /head
  none: GET /none
personas: {p: {think: 1ms..20ms, on_start: [hello], tasks: {all: {weight: 1, steps: [hello, item, post, head, none]}}}}
stages: [{steady: {users: 20, for: 600ms}}]
`
			r := runConn(t, addr, text, 2, change)
			mu.Lock()
			defer mu.Unlock()
			row := total(r)
			if row.Failures+row.Aborted > 0 || row.OK == 0 || r.Driver != driverConn {
				t.Errorf("%d ok, outcomes %v, driver %s: %v", row.OK, outcomes(row), r.Driver, r.Snapshot.Failures)
			}
			if len(odd) > 0 {
				t.Errorf("%d odd requests, such as %s", len(odd), odd[0])
			}
			paths := map[string]string{"hello": "GET /hello", "item": "GET //odd/%2F/7?q=1&q=%20", "post": "POST /post", "head": "HEAD /head", "none": "GET /none"}
			got := map[string]uint64{}
			for _, row := range r.Snapshot.Rows() {
				got[paths[row.Name]] += row.Requests
			}
			if !maps.Equal(got, seen) {
				t.Errorf("sent %v, the target saw %v", got, seen)
			}
			if row.BytesIn == 0 || row.BytesOut < 20_000 {
				t.Errorf("%d bytes in, %d out", row.BytesIn, row.BytesOut)
			}
			if row.Connect.Count != 20 {
				t.Errorf("%d connections for 20 users", row.Connect.Count)
			}
		})
	}
}

// frames is the other side of HTTP/2, by hand: it does to each stream what it is
// told to, which no server that is well made can be brought to.
type frames struct {
	c  net.Conn
	mu sync.Mutex
}

func (f *frames) write(kind, flags byte, stream uint32, payload ...byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	head := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags, 0, 0, 0, 0}
	binary.BigEndian.PutUint32(head[5:], stream)
	_, _ = f.c.Write(append(head, payload...))
}

// The types and flags of frames (RFC 9113, section 6) that the tests use.
const (
	frameData, frameHeaders, frameReset, frameSettings, framePing, frameGoAway = 0, 1, 3, 4, 6, 7
	endStream, endHeaders, ack                                                 = 1, 4, 1

	status200 = 0x88 // ":status: 200" in HPACK's static table
)

// framesTarget calls answer for each request, when it is complete, with its
// number; it returns the address, and a function that tells how many requests
// came in all.
func framesTarget(t testing.TB, answer func(f *frames, stream uint32, n int)) (string, *atomic.Uint64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var seen atomic.Uint64
	var wg sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	serve := func(c net.Conn) {
		defer c.Close()
		in := bufio.NewReader(c)
		if _, err := io.CopyN(io.Discard, in, int64(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); err != nil {
			return
		}
		f := &frames{c: c}
		f.write(frameSettings, 0, 0)
		for {
			var head [9]byte
			if _, err := io.ReadFull(in, head[:]); err != nil {
				return
			}
			payload := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
			if _, err := io.ReadFull(in, payload); err != nil {
				return
			}
			stream := binary.BigEndian.Uint32(head[5:])
			switch head[3] {
			case frameSettings:
				if head[4]&ack == 0 {
					f.write(frameSettings, ack, 0)
				}
			case framePing:
				if head[4]&ack == 0 {
					f.write(framePing, ack, 0, payload...)
				}
			case frameHeaders:
				n := seen.Add(1)
				if head[4]&endStream != 0 {
					answer(f, stream, int(n))
				}
			case frameData:
				if head[4]&endStream != 0 {
					answer(f, stream, int(seen.Load()))
				}
			}
		}
	}
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[c] = true
			mu.Unlock()
			wg.Go(func() { serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().String(), &seen
}

func word(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

func (f *frames) ok(stream uint32) {
	f.write(frameHeaders, endStream|endHeaders, stream, status200)
}

func (f *frames) reset(stream, code uint32) { f.write(frameReset, 0, stream, word(code)...) }

func (f *frames) goAway(last, code uint32) {
	f.write(frameGoAway, 0, 0, append(word(last), word(code)...)...)
}

func TestNothingIsSentTwiceInHTTP2(t *testing.T) {
	t.Parallel()
	const requests = 1000 // Go's own client would send 999 in 1,000 again
	for name, fault := range map[string]func(f *frames, stream uint32){
		"refused stream":     func(f *frames, s uint32) { f.reset(s, 7) },
		"protocol error":     func(f *frames, s uint32) { f.reset(s, 1) }, // which Go's own client sends again
		"cancelled stream":   func(f *frames, s uint32) { f.reset(s, 8) },
		"goaway below":       func(f *frames, s uint32) { f.goAway(s-1, 0) },
		"goaway with error":  func(f *frames, s uint32) { f.goAway(0, 2) },
		"goaway and close":   func(f *frames, s uint32) { f.goAway(0, 0); f.c.Close() },
		"closed after all":   func(f *frames, s uint32) { f.c.Close() },
		"reset after all":    func(f *frames, s uint32) { _ = f.c.(*net.TCPConn).SetLinger(0); f.c.Close() },
		"headers and closed": func(f *frames, s uint32) { f.write(frameHeaders, endHeaders, s, status200); f.c.Close() },
	} {
		for _, endpoint := range []string{
			"GET /a", `{request: POST /a, json: {n: 1}}`, `{request: POST /a, json: {n: 1}, headers: {Idempotency-Key: "k"}}`,
		} {
			t.Run(name+", "+endpoint, func(t *testing.T) {
				t.Parallel()
				addr, seen := framesTarget(t, func(f *frames, stream uint32, n int) {
					if n%3 == 0 {
						f.ok(stream)
						return
					}
					fault(f, stream)
				})
				text := strings.Replace(specText("p: {think: 1ms, tasks: {a: 1}}", "- steady: {users: 20, for: 1s}"), "a: GET /a", "a: "+endpoint, 1)
				sent := uint64(0)
				for sent < requests { // once, unless the machine is busy
					row := total(runConn(t, addr, text, 1, overH2C))
					sent += row.Requests
					if row.OK == 0 || row.Outcomes[measure.Reset]+row.Outcomes[measure.Protocol]+row.OK != row.Requests {
						t.Fatalf("outcomes %v of %d", outcomes(row), row.Requests)
					}
				}
				if got := seen.Load(); got != sent {
					t.Errorf("%d requests issued, the target saw %d", sent, got)
				}
			})
		}
	}
}

func TestEveryFailureOfHTTP2HasItsClass(t *testing.T) {
	data := func(f *frames, s uint32, text string, flags byte) { f.write(frameData, flags, s, []byte(text)...) }
	head := func(f *frames, s uint32, flags byte, fields ...string) {
		block := []byte{status200}
		for i := 0; i < len(fields); i += 2 { // literals without indexing, names and values below 127 bytes
			block = append(block, 0, byte(len(fields[i])))
			block = append(block, fields[i]...)
			block = append(block, byte(len(fields[i+1])))
			block = append(block, fields[i+1]...)
		}
		f.write(frameHeaders, flags|endHeaders, s, block...)
	}
	interim := func(f *frames, s uint32, times int) {
		for range times { // ":status: 103": the name is at index 8 of the static table
			f.write(frameHeaders, endHeaders, s, 0x08, 3, '1', '0', '3')
		}
	}
	for name, tc := range map[string]struct {
		answer func(f *frames, s uint32)
		want   measure.Outcome
		detail string
	}{
		"ok":                   {func(f *frames, s uint32) { head(f, s, 0); data(f, s, "{}", endStream) }, measure.OK, ""},
		"five interims":        {func(f *frames, s uint32) { interim(f, s, 5); f.ok(s) }, measure.OK, ""},
		"six interims":         {func(f *frames, s uint32) { interim(f, s, 6); f.ok(s) }, measure.Protocol, "informational"},
		"refused":              {func(f *frames, s uint32) { f.reset(s, 7) }, measure.Reset, "REFUSED_STREAM"},
		"cancelled":            {func(f *frames, s uint32) { f.reset(s, 8) }, measure.Reset, "CANCEL"},
		"unknown code":         {func(f *frames, s uint32) { f.reset(s, 99) }, measure.Reset, "0x63"},
		"cancelled half way":   {func(f *frames, s uint32) { head(f, s, 0); data(f, s, "{", 0); f.reset(s, 2) }, measure.Reset, "INTERNAL_ERROR"},
		"our fault, it says":   {func(f *frames, s uint32) { f.reset(s, 1) }, measure.Protocol, "PROTOCOL_ERROR"},
		"http/1.1 required":    {func(f *frames, s uint32) { f.reset(s, 13) }, measure.Protocol, "HTTP_1_1_REQUIRED"},
		"goaway":               {func(f *frames, s uint32) { f.goAway(0, 0) }, measure.Reset, "GOAWAY"},
		"goaway, calm":         {func(f *frames, s uint32) { f.goAway(0, 11); f.c.Close() }, measure.Reset, "GOAWAY"},
		"goaway after ours":    {func(f *frames, s uint32) { f.goAway(s, 0); f.ok(s) }, measure.OK, ""},
		"closed":               {func(f *frames, s uint32) { f.c.Close() }, measure.Reset, ""},
		"closed half way":      {func(f *frames, s uint32) { head(f, s, 0); data(f, s, "{", 0); f.c.Close() }, measure.Reset, ""},
		"shorter than it says": {func(f *frames, s uint32) { head(f, s, 0, "content-length", "9"); data(f, s, "{}", endStream) }, measure.Protocol, "shorter"},
		"longer than it says":  {func(f *frames, s uint32) { head(f, s, 0, "content-length", "1"); data(f, s, "{}", endStream) }, measure.Protocol, ""},
		"data before headers":  {func(f *frames, s uint32) { data(f, s, "{}", endStream) }, measure.Protocol, ""},
		"nonsense":             {func(f *frames, s uint32) { fmt.Fprint(f.c, strings.Repeat("nonsense", 100)); f.c.Close() }, measure.Protocol, ""},
		"HTTP/1.1":             {func(f *frames, s uint32) { fmt.Fprint(f.c, "HTTP/1.1 400 Bad Request\r\n\r\n") }, measure.Protocol, ""},
		"bad compression":      {func(f *frames, s uint32) { f.write(frameHeaders, endHeaders, s, 0xff, 0xff, 0xff) }, measure.Protocol, ""},
		"no status":            {func(f *frames, s uint32) { f.write(frameHeaders, endHeaders|endStream, s, 0, 1, 'a', 1, 'b') }, measure.Protocol, ""},
		"silence":              {func(*frames, uint32) {}, measure.Timeout, "no complete response"},
		"half a body":          {func(f *frames, s uint32) { head(f, s, 0); data(f, s, "{", 0) }, measure.Timeout, ""},
		"large header": {func(f *frames, s uint32) {
			var more []string
			for range 700 {
				more = append(more, "x", strings.Repeat("x", 100))
			}
			block := []byte{status200}
			for i := 0; i < len(more); i += 2 {
				block = append(append(append(block, 0, 1), more[i]...), byte(len(more[i+1])))
				block = append(block, more[i+1]...)
			}
			flags := byte(0)
			for kind := byte(frameHeaders); len(block) > 0; kind = 9 { // CONTINUATION
				n := min(len(block), 16<<10)
				if n == len(block) {
					flags = endHeaders
				}
				f.write(kind, flags, s, block[:n]...)
				block = block[n:]
			}
		}, measure.TooLarge, "header"},
	} {
		for _, more := range []string{"", `, expect: {body: {matches: "^"}}`} {
			t.Run(name+more, func(t *testing.T) {
				t.Parallel()
				watch := watchMachine(t)
				addr, seen := framesTarget(t, func(f *frames, stream uint32, _ int) { tc.answer(f, stream) })
				text := fmt.Sprintf(`version: 1
name: test
target: {url: "http://127.0.0.1:1", timeout: %v}
endpoints: {a: {request: GET /a%s}}
personas: {p: {think: 20ms, tasks: {a: 1}}}
stages: [{steady: {users: 3, for: 300ms}}]
`, shortTimeout, more)
				r := runConn(t, addr, text, 1, overH2C)
				row := total(r)
				if row.Requests == 0 || row.Outcomes[tc.want] != row.Requests || row.Requests != seen.Load() {
					t.Errorf("outcomes %v, want all %d of class %s; the target saw %d: %v", outcomes(row), row.Requests, tc.want, seen.Load(), r.Snapshot.Failures)
				}
				for _, f := range r.Snapshot.Failures {
					if !strings.Contains(f.Message, tc.detail) {
						t.Errorf("%q does not speak of %q", f.Message, tc.detail)
					}
				}
				if len(r.Snapshot.Failures) > 1 && tc.want != measure.Reset { // the kernel may report a close as a reset
					t.Errorf("one fault has several texts: %v", r.Snapshot.Failures)
				}
				onTime(t, name, row, shortTimeout, watch())
			})
		}
	}
}

func TestCertificateIsVerified(t *testing.T) {
	t.Parallel()
	a, stranger := newAuthority(t), newAuthority(t)
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "{}") })
	serve := func(c tls.Certificate, change func(*tls.Config)) string {
		config := &tls.Config{Certificates: []tls.Certificate{c}}
		if change != nil {
			change(config)
		}
		return startTLS(t, hello, config, true)
	}
	good := serve(a.server(x509.Certificate{}, "127.0.0.1"), nil)
	named := serve(a.server(x509.Certificate{}, "soc.test"), nil)
	expired := serve(a.server(x509.Certificate{NotAfter: time.Now().Add(-time.Hour)}, "127.0.0.1"), nil)
	clients := x509.NewCertPool()
	clients.AddCert(a.cert)
	mutual := func(version uint16) string {
		return serve(a.server(x509.Certificate{}, "127.0.0.1"), func(c *tls.Config) {
			c.ClientAuth, c.ClientCAs, c.MaxVersion = tls.RequireAndVerifyClientCert, clients, version
		})
	}
	mutual12, mutual13 := mutual(tls.VersionTLS12), mutual(tls.VersionTLS13)
	neither := serve(a.server(x509.Certificate{}, "127.0.0.1"), func(c *tls.Config) {
		only := &tls.Config{Certificates: c.Certificates, NextProtos: []string{"other"}}
		c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return only, nil }
	})
	only1 := startTLS(t, hello, &tls.Config{Certificates: []tls.Certificate{a.server(x509.Certificate{}, "127.0.0.1")}}, false)
	clear := rawTarget(t, func(c net.Conn, _ int) { fmt.Fprint(c, okAnswer) })
	_, _, mine, key := a.issue(&x509.Certificate{Subject: pkix.Name{CommonName: "user"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	hangsUp := rawListener(t, func(c net.Conn) { c.Close() })

	for name, tc := range map[string]struct {
		addr   string
		tls    spec.TLS
		http   spec.HTTPVersion
		want   measure.Outcome
		advice string // in the preflight's error
	}{
		"good":                     {good, spec.TLS{CA: a.pem}, spec.HTTPAuto, measure.OK, ""},
		"another authority":        {good, spec.TLS{CA: stranger.pem}, spec.HTTPAuto, measure.TLS, "tls.ca"},
		"the platform's":           {good, spec.TLS{}, spec.HTTPAuto, measure.TLS, "tls.ca"},
		"insecure":                 {good, spec.TLS{Insecure: true}, spec.HTTPAuto, measure.OK, ""},
		"wrong name":               {named, spec.TLS{CA: a.pem}, spec.HTTP1, measure.TLS, "tls.server_name"},
		"right name":               {named, spec.TLS{CA: a.pem, ServerName: "soc.test"}, spec.HTTP1, measure.OK, ""},
		"expired":                  {expired, spec.TLS{CA: a.pem}, spec.HTTP1, measure.TLS, "renew"},
		"expired and insecure":     {expired, spec.TLS{Insecure: true}, spec.HTTP1, measure.OK, ""},
		"no client's, TLS 1.2":     {mutual12, spec.TLS{CA: a.pem}, spec.HTTP1, measure.TLS, "tls.cert"},
		"no client's, TLS 1.3":     {mutual13, spec.TLS{CA: a.pem}, spec.HTTP1, measure.TLS, "tls.cert"},
		"no client's, HTTP/2":      {mutual13, spec.TLS{CA: a.pem}, spec.HTTP2, measure.TLS, "tls.cert"},
		"the client's, TLS 1.2":    {mutual12, spec.TLS{CA: a.pem, Cert: mine, Key: key}, spec.HTTP1, measure.OK, ""},
		"the client's, TLS 1.3":    {mutual13, spec.TLS{CA: a.pem, Cert: mine, Key: key}, spec.HTTPAuto, measure.OK, ""},
		"neither 1 nor 2":          {neither, spec.TLS{CA: a.pem}, spec.HTTP1, measure.TLS, "target.http"},
		"only 1 is spoken":         {only1, spec.TLS{CA: a.pem}, spec.HTTP2, measure.TLS, "target.http"},
		"clear text":               {clear, spec.TLS{CA: a.pem}, spec.HTTP1, measure.TLS, ""},
		"hung up in the handshake": {hangsUp, spec.TLS{CA: a.pem}, spec.HTTP1, measure.TLS, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			change := func(t *spec.Target) {
				t.Scheme, t.HTTP, t.TLS = "https", tc.http, tc.tls
				t.Ready = &spec.Ready{Method: "GET", Path: "/health"}
			}
			text := strings.Replace(specText("p: {think: 50ms, tasks: {a: 1}}", "- steady: {users: 2, for: 200ms}"), "timeout: 10s", "timeout: 2s", 1)
			r := runConn(t, tc.addr, text, 1, change)
			row := total(r)
			if row.Requests == 0 || row.Outcomes[tc.want] != row.Requests {
				t.Errorf("outcomes %v of %d, want %s: %v", outcomes(row), row.Requests, tc.want, r.Snapshot.Failures)
			}
			p := planFor(t, tc.addr, text, change)
			_, err := Preflight(t.Context(), p.Spec, PreflightOptions{Limit: 2 * time.Second})
			switch {
			case tc.want == measure.OK && err != nil:
				t.Error(err)
			case tc.want != measure.OK && (!errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), tc.advice)):
				t.Errorf("preflight: %v, want advice about %s", err, tc.advice)
			}
		})
	}
}

// rawListener hands each connection over.
func rawListener(t testing.TB, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serve(c)
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return l.Addr().String()
}

func TestHandshakeThatHangsEndsAtTheDeadline(t *testing.T) {
	t.Parallel()
	watch := watchMachine(t)
	var mu sync.Mutex
	var open []net.Conn
	addr := rawListener(t, func(c net.Conn) {
		mu.Lock()
		open = append(open, c) // and not a word
		mu.Unlock()
	})
	defer func() {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range open {
			c.Close()
		}
	}()
	text := strings.Replace(specText("p: {think: 20ms, tasks: {a: 1}}", "- steady: {users: 5, for: 1s}"), "timeout: 10s", "timeout: 300ms", 1)
	row := total(runConn(t, addr, text, 1, func(t *spec.Target) { t.Scheme, t.TLS.Insecure = "https", true }))
	if row.Outcomes[measure.Timeout] != row.Requests || row.Requests == 0 {
		t.Errorf("outcomes %v of %d", outcomes(row), row.Requests)
	}
	onTime(t, "handshake", row, 300*time.Millisecond, watch())
}

// What a user waits for includes the handshake: a tool that times the exchange
// alone calls a target fast which takes half a second to begin to talk.
func TestASlowHandshakeIsPartOfTheResponse(t *testing.T) {
	t.Parallel()
	const takes = 150 * time.Millisecond
	ca := newAuthority(t)
	cert := ca.server(x509.Certificate{}, "127.0.0.1")
	addr := startTLS(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), &tls.Config{
		Certificates: []tls.Certificate{cert},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			time.Sleep(takes) // the target's doing
			return nil, nil
		},
	}, false)
	text := specText("p: {think: 10ms, tasks: {a: 1}}", "- steady: {users: 5, for: 1s}", "slos: [p50 < 150ms]", "confidence: off")
	r := runConn(t, addr, text, 1, func(t *spec.Target) {
		overTLS(ca.pem, spec.HTTP1)(t)
		t.Connection.Per = spec.PerRequest
	})
	claims, evidence := r.Claims()
	if j := slo.Judge(claims, evidence, slo.Options{Off: true}); j.Results[0].Verdict != slo.Fail {
		t.Errorf("every connection takes %v to set up: %s", takes, j.Results[0].Reason)
	}
	if row := total(r); row.OK == 0 || row.Failures > 0 || row.Response.Quantile(0.5) < takes.Seconds() {
		t.Errorf("%d ok, %d failed, p50 %v s", row.OK, row.Failures, row.Response.Quantile(0.5))
	}
}

func TestConnectionOverTLSThatEndsIsReplacedBeforeUse(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	for _, version := range []spec.HTTPVersion{spec.HTTP1, spec.HTTP2} {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			t.Parallel()
			var seen atomic.Uint64
			srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				seen.Add(1)
				fmt.Fprint(w, "{}")
			}))
			srv.TLS = &tls.Config{Certificates: []tls.Certificate{a.server(x509.Certificate{}, "127.0.0.1")}}
			srv.EnableHTTP2 = true
			srv.Config.IdleTimeout = 60 * time.Millisecond
			srv.StartTLS()
			defer srv.Close()
			watch := watchMachine(t)
			r := runConn(t, srv.Listener.Addr().String(), specText("p: {think: 200ms, tasks: {a: 1}}", "- steady: {users: 5, for: 1s}"), 1, overTLS(a.pem, version))
			row := total(r)
			// A machine that stands still between the handshake and the request lets
			// the target end the connection first: a race that may be lost.
			if noise := watch(); noise < 20*time.Millisecond && row.Failures > 0 || row.OK < 10 || row.Requests != seen.Load() {
				t.Errorf("%d ok, outcomes %v, the target saw %d: %v", row.OK, outcomes(row), seen.Load(), r.Snapshot.Failures)
			}
			if row.Connect.Count < 10 {
				t.Errorf("%d connections: none was replaced", row.Connect.Count)
			}
		})
	}
}

func TestSessionTicketDoesNotCostTheConnection(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	config := &tls.Config{Certificates: []tls.Certificate{a.server(x509.Certificate{}, "127.0.0.1")}, MinVersion: tls.VersionTLS13}
	addr := startTLS(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}), config, false)
	row := total(runConn(t, addr, specText("p: {think: 20ms, tasks: {a: 1}}", "- steady: {users: 10, for: 500ms}"), 1, overTLS(a.pem, spec.HTTP1)))
	if row.Failures > 0 || row.Connect.Count != 10 || row.OK < 50 {
		t.Errorf("%d ok, %d connections for 10 users, outcomes %v", row.OK, row.Connect.Count, outcomes(row))
	}
}

func TestOneHTTP2ConnectionCarriesManyExchanges(t *testing.T) {
	t.Parallel()
	const each, at = 50, 20
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Path", r.URL.Path)
		w.Write(body)
	})
	srv := httptest.NewUnstartedServer(h)
	srv.Config.Protocols = &http.Protocols{}
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Start()
	defer srv.Close()
	addr := netip.MustParseAddrPort(srv.Listener.Addr().String())
	d, err := newDialer(&spec.Target{Scheme: "http", Host: addr.Addr().String(), Port: int(addr.Port()), HTTP: spec.HTTP2}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	w, err := d.dial(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	var wg sync.WaitGroup
	for u := range at {
		wg.Go(func() {
			x := &exchange{zero: time.Now(), keepBody: true, keepHeader: true}
			for n := range each {
				body := strings.Repeat(fmt.Sprint(u), n*100)
				x.request = fmt.Appendf(nil, "POST /%d/%d HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", u, n, len(body), body)
				w.roundTrip(x)
				if x.err != nil || !x.reusable || string(x.reply.body) != body || !strings.Contains(string(x.reply.header), fmt.Sprintf("X-Path: /%d/%d\r\n", u, n)) {
					t.Errorf("%d, %d: %v, body of %d, header %q", u, n, x.err, len(x.reply.body), x.reply.header)
				}
				x.recycle()
				x.reset()
			}
		})
	}
	wg.Wait()
}

func TestConnDriverReportsOwnFaults(t *testing.T) {
	for _, own := range ownFaults {
		err := &net.OpError{Op: "dial", Net: "tcp", Err: fmt.Errorf("socket: %w", own)}
		for _, f := range []*failure{dialFailure(measure.ConnectFail, err), dialFailure(measure.TLS, err), lostFailure(err)} {
			if f.outcome != measure.Generator {
				t.Errorf("%v counts as %s", err, f.outcome)
			}
		}
	}
}

func TestDriverFollowsTheSpec(t *testing.T) {
	clear, secure := spec.Target{Scheme: "http"}, &spec.Target{Scheme: "https", URL: "https://b.test"}
	two := &spec.Target{Scheme: "http", HTTP: spec.HTTP2, URL: "http://c.test"}
	byDefault := driverLoop
	if loopHere == nil {
		byDefault = driverConn
	}
	for _, tc := range []struct {
		spec       spec.Spec
		name, want string
		fault      string
	}{
		{spec.Spec{Target: clear}, "", byDefault, ""},
		{spec.Spec{Target: clear}, "conn", driverConn, ""},
		{spec.Spec{Target: clear, Others: []*spec.Target{secure}}, "", driverConn, ""},
		{spec.Spec{Target: clear, Others: []*spec.Target{two}}, "", driverConn, ""},
		{spec.Spec{Target: clear, Others: []*spec.Target{secure}}, "loop", "", "loop driver cannot serve"},
		{spec.Spec{Target: *two}, "loop", "", "loop driver cannot serve"},
		{spec.Spec{Target: clear}, "epoll", "", "loop or conn"},
	} {
		_, got, err := drive(&tc.spec, tc.name)
		if got != tc.want || tc.fault != "" && (err == nil || !strings.Contains(err.Error(), tc.fault)) {
			t.Errorf("%q: driver %q, %v; want %q, %q", tc.name, got, err, tc.want, tc.fault)
		}
	}
	if !slices.Contains([]string{driverLoop, driverConn}, byDefault) {
		t.Error("no driver")
	}
}
