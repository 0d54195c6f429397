package main

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"tollgate/internal/demo"
)

func TestDemoIsTrustedByItsFileAndByNothingElse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.pem")
	options, err := speech{ca: file}.options("127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	server, err := demo.Start("127.0.0.2:0", demo.NewWeb(demo.Options{}), options...)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(text)
	for name, tc := range map[string]struct {
		roots *x509.CertPool
		major int // 0: it is not trusted
	}{"by the file": {trusted, 2}, "by the system": {nil, 0}} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: tc.roots}, ForceAttemptHTTP2: true}
		resp, err := (&http.Client{Transport: transport}).Get(server.URL)
		if (err == nil) != (tc.major > 0) || err == nil && resp.ProtoMajor != tc.major {
			t.Errorf("%s: %v, %v", name, resp, err)
		}
		if err == nil {
			resp.Body.Close()
		}
		transport.CloseIdleConnections()
	}
}

func TestDemoSpeaksInClearUnlessAsked(t *testing.T) {
	for name, tc := range map[string]struct {
		speech speech
		want   int // options
		good   bool
	}{
		"nothing":   {speech{}, 0, true},
		"h2c":       {speech{h2c: true}, 1, true},
		"TLS":       {speech{tls: true}, 1, true},
		"both":      {speech{tls: true, h2c: true}, 0, false},
		"no folder": {speech{ca: filepath.Join(t.TempDir(), "none", "ca.pem")}, 0, false},
	} {
		options, err := tc.speech.options("127.0.0.1:0")
		if len(options) != tc.want || (err == nil) != tc.good {
			t.Errorf("%s: %d options, %v", name, len(options), err)
		}
	}
}
