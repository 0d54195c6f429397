package attest

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/in-toto/attestation/go/predicates/test_result/v0"
	intoto "github.com/in-toto/attestation/go/v1"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"google.golang.org/protobuf/encoding/protojson"

	"tollgate/internal/report"
	"tollgate/pkg/slo"
)

// key is a key whose seed is a byte: tests want the same one each time.
func key(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(slices.Repeat([]byte{seed}, ed25519.SeedSize))
}

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

func result() (*report.Document, map[string][]byte) {
	d := &report.Document{
		Overall: slo.OverallPass, Complete: true, Name: "soc",
		Spec: report.Source{File: "specs/soc.yaml", Digest: "sha256:" + strings.Repeat("ab", 32)},
		SLOs: []report.SLO{
			{Claim: "p95 < 200ms", Stage: "steady", Verdict: slo.Pass},
			{Claim: "p99 < 1s", Stage: "steady", Verdict: slo.Fail, Advisory: true},
			{Claim: "errors <= 1 %", Verdict: slo.Pass, Guard: true},
		},
	}
	return d, map[string][]byte{"result.json": []byte("{}\n"), "verdict.json": []byte("pass"), "report.html": []byte("<p>")}
}

// theirs is our public key as the library wants it.
type theirs struct{ ed25519.PublicKey }

func (k theirs) Verify(_ context.Context, data, sig []byte) error {
	if !ed25519.Verify(k.PublicKey, data, sig) {
		return errors.New("not signed by this key")
	}
	return nil
}
func (k theirs) KeyID() (string, error)   { return KeyID(k.PublicKey) }
func (k theirs) Public() crypto.PublicKey { return k.PublicKey }

// What others' libraries make of an attestation, on their own.
func TestOthersReadWhatIsSigned(t *testing.T) {
	d, files := result()
	data, err := Seal(About(d, files, []Subject{{"app.tar.gz", strings.Repeat("cd", 32)}}, "https://ci.example/7"), key(1))
	if err != nil {
		t.Fatal(err)
	}
	var envelope dsse.Envelope
	if err := json.Unmarshal(data, &envelope); err != nil {
		t.Fatal(err)
	}
	for seed, want := range map[byte]bool{1: true, 2: false} {
		verifier, err := dsse.NewEnvelopeVerifier(theirs{public(key(seed))})
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := verifier.Verify(t.Context(), &envelope)
		if (err == nil && len(accepted) == 1) != want {
			t.Errorf("key %d: %v, %v", seed, accepted, err)
		}
	}
	payload, err := envelope.DecodeB64Payload()
	if err != nil {
		t.Fatal(err)
	}
	statement := &intoto.Statement{}
	if err := protojson.Unmarshal(payload, statement); err != nil {
		t.Fatal(err)
	}
	if err := statement.Validate(); err != nil {
		t.Fatal(err)
	}
	if s := statement.Subject; len(s) != 1 || s[0].Name != "app.tar.gz" || s[0].Digest["sha256"] != strings.Repeat("cd", 32) || statement.PredicateType != PredicateType {
		t.Errorf("%v", statement)
	}
	raw, err := protojson.Marshal(statement.Predicate)
	if err != nil {
		t.Fatal(err)
	}
	tests := &v0.TestResult{}
	if err := protojson.Unmarshal(raw, tests); err != nil {
		t.Fatal(err)
	}
	if tests.Result != "PASSED" || tests.Url != "https://ci.example/7" || len(tests.Configuration) != 4 ||
		!slices.Equal(tests.PassedTests, []string{"p95 < 200ms on steady", "errors <= 1 %"}) ||
		!slices.Equal(tests.WarnedTests, []string{"p99 < 1s on steady"}) || len(tests.FailedTests) != 0 {
		t.Errorf("%v", tests)
	}
}

func TestOnlyAPassIsPassed(t *testing.T) {
	for what, edit := range map[string]func(*report.Document){
		"fail":         func(d *report.Document) { d.Overall = slo.OverallFail },
		"inconclusive": func(d *report.Document) { d.Overall = slo.OverallInconclusive },
		"none":         func(d *report.Document) { d.Overall = slo.OverallNone },
		"incomplete":   func(d *report.Document) { d.Complete = false },
		"exit code":    func(d *report.Document) { d.ExitCode = 10 },
	} {
		d, files := result()
		edit(d)
		if got := About(d, files, nil, "").Predicate.Result; got != "FAILED" {
			t.Errorf("%s: %s", what, got)
		}
	}
}

func TestWhatNobodyProvedIsAFailedTest(t *testing.T) {
	for _, v := range []slo.Verdict{slo.Fail, slo.Inconclusive, slo.NoData} {
		d, files := result()
		d.SLOs[0].Verdict = v
		if got := About(d, files, nil, "").Predicate.FailedTests; !slices.Equal(got, []string{"p95 < 200ms on steady"}) {
			t.Errorf("%v: %q", v, got)
		}
	}
}

func TestWithoutASubjectTheResultIsIt(t *testing.T) {
	d, files := result()
	s := About(d, files, nil, "")
	if got := s.Subjects(); len(got) != 1 || got[0] != (Subject{"result.json", Digest(files["result.json"])}) {
		t.Errorf("%v", got)
	}
	if got := s.Names(); !slices.Equal(got, []string{"report.html", "result.json", "verdict.json"}) {
		t.Errorf("%q", got)
	}
}

func TestEveryDifferenceIsNamed(t *testing.T) {
	d, files := result()
	s := About(d, files, nil, "")
	if got := append(s.Differences(files), s.Disagreements(d, files)...); len(got) > 0 {
		t.Fatalf("unedited: %q", got)
	}
	files["result.json"] = []byte("{} \n")
	delete(files, "verdict.json")
	files["junit.xml"] = nil
	got := s.Differences(files)
	if len(got) != 3 || !strings.HasPrefix(got[0], "result.json is not what was signed") || got[1] != "verdict.json is gone: it was signed" || !strings.HasPrefix(got[2], "junit.xml was not there") {
		t.Errorf("%q", got)
	}
	d, files = result()
	d.Overall = slo.OverallFail
	if got := s.Disagreements(d, files); len(got) != 1 || got[0] != "attestation.json says PASSED, and the result is FAILED" {
		t.Errorf("%q", got)
	}
	d, files = result()
	d.SLOs = d.SLOs[:1]
	if got := s.Disagreements(d, files); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

// An envelope that was edited anywhere, even where no signature looks, is none.
func TestEveryEditOfAnEnvelopeIsRefused(t *testing.T) {
	d, files := result()
	data, err := Seal(About(d, files, nil, ""), key(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(data, public(key(1))); err != nil {
		t.Fatal(err)
	}
	chance := rand.New(rand.NewPCG(1, 1))
	for at := range data {
		if at%7 != 0 && at > 100 && at < len(data)-300 {
			continue // in the middle of the payload one byte is like another
		}
		for _, edited := range [][]byte{
			slices.Concat(data[:at], []byte{data[at] ^ byte(1+chance.IntN(255))}, data[at+1:]),
			slices.Concat(data[:at], data[at+1:]),
			slices.Concat(data[:at], []byte(" "), data[at:]),
			slices.Concat(data[:at], []byte{data[at]}, data[at:]),
		} {
			if _, err := Open(edited, public(key(1))); err == nil {
				t.Fatalf("byte %d of %d: %q is taken", at, len(data), edited)
			}
		}
	}
	if _, err := Open(data, public(key(2))); !errors.Is(err, ErrOtherKey) {
		t.Errorf("another key: %v", err)
	}
}

// What is signed in another form than ours is another's, even with our key.
func TestAnotherPayloadIsNoStatement(t *testing.T) {
	for _, payload := range []string{`{}`, `[]`, `{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://slsa.dev/provenance/v1"}`} {
		id, err := KeyID(public(key(1)))
		if err != nil {
			t.Fatal(err)
		}
		data, err := envelope{PayloadType: PayloadType, Payload: base64.StdEncoding.EncodeToString([]byte(payload)), Signatures: []signature{
			{KeyID: id, Sig: base64.StdEncoding.EncodeToString(ed25519.Sign(key(1), authenticated(PayloadType, []byte(payload))))},
		}}.encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Open(data, public(key(1))); err == nil {
			t.Errorf("%s is taken", payload)
		}
	}
}

func TestKeysAreReadAsTheyAreWritten(t *testing.T) {
	secret, err := EncodeKey(key(1))
	if err != nil {
		t.Fatal(err)
	}
	open, err := EncodePublicKey(public(key(1)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := DecodeKey(secret); err != nil || !got.Equal(key(1)) {
		t.Errorf("%v", err)
	}
	if got, err := DecodePublicKey(open); err != nil || !got.Equal(public(key(1))) {
		t.Errorf("%v", err)
	}
	if _, err := DecodeKey(open); err == nil {
		t.Error("a public key signs")
	}
	if _, err := DecodePublicKey(secret); err == nil {
		t.Error("a secret key is published")
	}
	if _, err := DecodeKey([]byte("release.key")); err == nil {
		t.Error("any text is a key")
	}
}

func FuzzOpen(f *testing.F) {
	d, files := result()
	data, err := Seal(About(d, files, nil, ""), key(1))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"payloadType":"application/vnd.in-toto+json","payload":"","signatures":[{}]}`))
	f.Fuzz(func(t *testing.T, edited []byte) {
		if _, err := Open(edited, public(key(1))); err == nil && string(edited) != string(data) {
			t.Fatalf("%q is taken", edited)
		}
		if s, err := Read(edited); err == nil {
			s.Differences(files)
			s.Disagreements(d, files)
		}
	})
}
