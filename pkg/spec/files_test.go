package spec

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io/fs"
	"math/big"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// pems are a certificate with its key, and another certificate.
var pems = sync.OnceValue(func() map[string][]byte {
	out := map[string][]byte{}
	for _, name := range []string{"client", "ca"} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		made := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Unix(1<<32, 0), IsCA: name == "ca", BasicConstraintsValid: true}
		der, err := x509.CreateCertificate(rand.Reader, made, made, &key.PublicKey, key)
		if err != nil {
			panic(err)
		}
		private, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			panic(err)
		}
		out["tls/"+name+".pem"] = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
		out["tls/"+name+".key"] = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	}
	out["tls/both.pem"] = slices.Concat(out["tls/client.pem"], out["tls/client.key"])
	out["tls/broken.pem"] = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("nothing")})
	return out
})

// folder reads the files beside the specs of a folder of testdata; PEM files
// are made for the test.
func folder(name string) func(string) ([]byte, error) {
	dir := os.DirFS("testdata/" + name)
	return func(file string) ([]byte, error) {
		if data, ok := pems()[file]; ok {
			return data, nil
		}
		return fs.ReadFile(dir, file)
	}
}

// kept reads files from memory.
func kept(files map[string]string) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		text, ok := files[name]
		if !ok {
			return nil, &fs.PathError{Op: "open", Path: "elsewhere/" + name, Err: fs.ErrNotExist}
		}
		return []byte(text), nil
	}
}

// whole parses the sound spec that uses every key about targets, files,
// series and users.
func whole(t testing.TB) *Spec {
	t.Helper()
	src, err := os.ReadFile("testdata/sound/whole.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s, faults := Parse("specs/whole.yaml", src, Options{Env: noEnv, ReadFile: folder("sound")})
	if faults != nil {
		var b strings.Builder
		faults.Format(&b)
		t.Fatal(b.String())
	}
	return s
}
