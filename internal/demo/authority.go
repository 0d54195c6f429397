package demo

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// An Authority is a certificate authority that lives in memory and signs
// whatever it is asked to, for servers and clients of tests. Its keys, and
// those it signs, are ECDSA P-256.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

// A Certificate is a signed one with its key, for use and as text.
type Certificate struct {
	TLS    tls.Certificate
	PEM    []byte // the certificate alone
	KeyPEM []byte // PKCS #8
}

// NewAuthority makes an authority that nobody knows yet.
func NewAuthority() *Authority {
	key, template := newKey(), &x509.Certificate{
		Subject:               pkix.Name{CommonName: "Tollgate demo authority"},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	valid(template, 0)
	der := sign(template, template, key, key)
	cert, err := x509.ParseCertificate(der)
	must(err)
	return &Authority{cert: cert, key: key, pem: block("CERTIFICATE", der)}
}

// PEM is the authority's own certificate: what clients are to trust.
func (a *Authority) PEM() []byte { return a.pem }

// Pool has the authority alone: for [tls.Config.RootCAs] and ClientCAs.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// Server makes a certificate for a server with these names: host names,
// wildcards such as "*.example.org", and IP addresses.
func (a *Authority) Server(names ...string) Certificate {
	return a.server(0, names)
}

// Expired is Server's, and has been invalid for an hour.
func (a *Authority) Expired(names ...string) Certificate {
	return a.server(-validity, names)
}

// Early is Server's, and will not be valid for a day.
func (a *Authority) Early(names ...string) Certificate {
	return a.server(25*time.Hour, names)
}

// Client makes a certificate for a client of that name.
func (a *Authority) Client(name string) Certificate {
	return a.sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, 0)
}

// Config is that of a server with a certificate for these names.
func (a *Authority) Config(names ...string) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{a.Server(names...).TLS}}
}

// Mutual is Config of a server that lets in only clients with a certificate of
// the same authority.
func (a *Authority) Mutual(names ...string) *tls.Config {
	c := a.Config(names...)
	c.ClientCAs, c.ClientAuth = a.Pool(), tls.RequireAndVerifyClientCert
	return c
}

func (a *Authority) server(shift time.Duration, names []string) Certificate {
	template := &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	return a.sign(template, shift)
}

func (a *Authority) sign(template *x509.Certificate, shift time.Duration) Certificate {
	template.KeyUsage = x509.KeyUsageDigitalSignature
	valid(template, shift)
	key := newKey()
	der := sign(template, a.cert, key, a.key)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	return Certificate{
		TLS:    tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		PEM:    block("CERTIFICATE", der),
		KeyPEM: block("PRIVATE KEY", secret),
	}
}

// validity is how long a certificate is good from an hour ago: for clocks that
// differ, and for no longer than a demo system runs.
const validity = 7 * 24 * time.Hour

func valid(c *x509.Certificate, shift time.Duration) {
	begin := time.Now().Add(shift - time.Hour)
	c.NotBefore, c.NotAfter = begin, begin.Add(validity)
}

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	return key
}

func sign(template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) []byte {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	must(err)
	template.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	must(err)
	return der
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// must is for what can only fail by a mistake in this file.
func must(err error) {
	if err != nil {
		panic(fmt.Sprintf("demo: certificate: %v", err))
	}
}
