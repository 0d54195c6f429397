package attest

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// The types of PEM blocks.
const (
	privateBlock = "PRIVATE KEY"
	publicBlock  = "PUBLIC KEY"
)

// EncodeKey writes a key to sign with, as PKCS#8 in PEM.
func EncodeKey(key ed25519.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: privateBlock, Bytes: der}), err
}

// EncodePublicKey writes a key to verify with, as PKIX in PEM.
func EncodePublicKey(key ed25519.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: publicBlock, Bytes: der}), err
}

// DecodeKey reads a key to sign with.
func DecodeKey(text []byte) (ed25519.PrivateKey, error) {
	der, err := block(text, privateBlock, "a key to sign with, as runner attest --keygen makes one")
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("not a key in PKCS#8") // the library's words may hold parts of the key
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("a key for another algorithm than ed25519")
	}
	return private, nil
}

// DecodePublicKey reads a key to verify with.
func DecodePublicKey(text []byte) (ed25519.PublicKey, error) {
	der, err := block(text, publicBlock, "a key to verify with, such as FILE.pub of runner attest --keygen FILE")
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("not a public key: %w", err)
	}
	public, ok := key.(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("a key for another algorithm than ed25519")
	}
	return public, nil
}

func block(text []byte, kind, want string) ([]byte, error) {
	b, _ := pem.Decode(text)
	switch {
	case b == nil:
		return nil, errors.New("not " + want + ": it has no PEM block")
	case b.Type != kind:
		return nil, fmt.Errorf("not %s: it is a %s", want, b.Type)
	}
	return b.Bytes, nil
}

// KeyID names a key: the SHA-256 of its PKIX form, in hex.
func KeyID(key ed25519.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", err
	}
	return Digest(der), nil
}
