//go:build linux

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"sync"
	"time"

	"tollgate/bench/truth"
)

// serveTLS answers over TLS, with a certificate that nobody has signed, by
// net/http: it is not lean, and need not be, because what is measured is the
// client's own time. version is "1" for HTTP/1.1, or "2".
func serveTLS(address, version string) error {
	protocols := map[string][]string{"1": {"http/1.1"}, "2": {"h2"}}[version]
	if protocols == nil {
		return fmt.Errorf("-tls %s: write 1 for HTTP/1.1, or 2 for HTTP/2", version)
	}
	certificate, err := selfSigned()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp4", address)
	if err != nil {
		return err
	}
	c := &counter{ledger: truth.Ledger{Routes: map[string]uint64{}}}
	server := &http.Server{
		Handler:   c,
		ConnState: c.connection,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: protocols},
		ErrorLog:  log.New(io.Discard, "", 0), // clients that hang up in a handshake
	}
	fmt.Println(listener.Addr())
	return server.ServeTLS(listener, "", "")
}

func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "target"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// counter keeps the ledger of many goroutines.
type counter struct {
	mu     sync.Mutex
	ledger truth.Ledger
}

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path == truth.Path {
		c.mu.Lock()
		defer c.mu.Unlock()
		_ = json.NewEncoder(w).Encode(c.ledger) // who asks sees whether it is whole
		return
	}
	_, _ = io.Copy(io.Discard, r.Body)
	name := string(request{method: []byte(r.Method), path: []byte(r.URL.Path)}.route(nil))
	c.mu.Lock()
	c.ledger.Requests++
	c.ledger.Routes[name]++
	c.mu.Unlock()
	body := item
	if r.Method == http.MethodPost {
		body = receipt
		w.WriteHeader(http.StatusCreated)
	}
	_, _ = io.WriteString(w, body)
}

func (c *counter) connection(_ net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := &c.ledger.Connections
	switch state {
	case http.StateNew:
		l.Accepted++
		l.Open++
		if l.Accepted == 1 {
			l.First = time.Now().UnixNano()
		}
		if l.Open > l.Peak {
			l.Peak, l.PeakAt = l.Open, time.Now().UnixNano()
		}
	case http.StateClosed, http.StateHijacked:
		l.Open--
	}
}
