package attest

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
)

// PayloadType is that of every envelope of ours.
const PayloadType = "application/vnd.in-toto+json"

// envelope is a DSSE envelope.
type envelope struct {
	PayloadType string      `json:"payloadType"`
	Payload     string      `json:"payload"` // base64
	Signatures  []signature `json:"signatures"`
}

type signature struct {
	KeyID string `json:"keyid"` // a hint, and no part of what is signed
	Sig   string `json:"sig"`   // base64
}

// authenticated is what is signed: DSSE's pre-authentication encoding, which
// leaves no doubt about where the type ends and the payload begins.
func authenticated(kind string, payload []byte) []byte {
	return append(fmt.Appendf(nil, "DSSEv1 %d %s %d ", len(kind), kind, len(payload)), payload...)
}

// Seal signs a statement, and returns the bytes of its envelope.
func Seal(s Statement, key ed25519.PrivateKey) ([]byte, error) {
	payload, err := s.Encode()
	if err != nil {
		return nil, err
	}
	id, err := KeyID(key.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, err
	}
	return envelope{
		PayloadType: PayloadType,
		Payload:     base64.StdEncoding.EncodeToString(payload),
		Signatures:  []signature{{KeyID: id, Sig: base64.StdEncoding.EncodeToString(ed25519.Sign(key, authenticated(PayloadType, payload)))}},
	}.encode()
}

func (e envelope) encode() ([]byte, error) {
	text, err := json.MarshalIndent(e, "", "  ")
	return append(text, '\n'), err
}

// ErrOtherKey is the error of an envelope that another key has signed.
var ErrOtherKey = errors.New("another key has signed it")

// Open returns the statement in an envelope that the key has signed. It takes
// only the very bytes that Seal writes: an envelope that was edited where no
// signature looks, as in its white space, was edited.
func Open(data []byte, key ed25519.PublicKey) (Statement, error) {
	e, payload, err := unfold(data)
	if err != nil {
		return Statement{}, err
	}
	id, err := KeyID(key)
	if err != nil {
		return Statement{}, err
	}
	sig, err := base64.StdEncoding.Strict().DecodeString(e.Signatures[0].Sig)
	if err != nil {
		return Statement{}, fmt.Errorf("its signature: %w", err)
	}
	switch valid := ed25519.Verify(key, authenticated(e.PayloadType, payload), sig); {
	case !valid && e.Signatures[0].KeyID != id:
		return Statement{}, fmt.Errorf("%w: %.12s…, and not %.12s…", ErrOtherKey, e.Signatures[0].KeyID, id)
	case !valid:
		return Statement{}, errors.New("its signature does not hold: it was edited")
	case e.Signatures[0].KeyID != id:
		return Statement{}, errors.New("it names another key than the one that signed it: it was edited")
	}
	return decode(payload)
}

// Read returns the statement in an envelope, whoever has signed it.
func Read(data []byte) (Statement, error) {
	_, payload, err := unfold(data)
	if err != nil {
		return Statement{}, err
	}
	return decode(payload)
}

// unfold reads an envelope of one signature, in the one form that it has.
func unfold(data []byte) (e envelope, payload []byte, err error) {
	if err := json.Unmarshal(data, &e); err != nil {
		return e, nil, fmt.Errorf("not a DSSE envelope: %w", err)
	}
	if e.PayloadType != PayloadType {
		return e, nil, fmt.Errorf("an envelope of %q, and not of a statement", e.PayloadType)
	}
	if len(e.Signatures) != 1 {
		return e, nil, fmt.Errorf("an envelope with %d signatures, where runner attest makes one", len(e.Signatures))
	}
	if payload, err = base64.StdEncoding.Strict().DecodeString(e.Payload); err != nil {
		return e, nil, fmt.Errorf("its payload: %w", err)
	}
	if again, err := e.encode(); err != nil || !bytes.Equal(again, data) {
		return e, nil, errors.New("it is not written as runner attest writes it: it was edited")
	}
	return e, payload, nil
}
