// Package attest signs off on a result: an in-toto statement about a run, in a
// DSSE envelope signed with ed25519. It turns values into bytes and back; keys
// and files are bytes to it, and it draws no chance.
//
// What is signed binds every file of the result by its digest, so that none can
// be edited, exchanged or left out. The formats are those of
// https://github.com/in-toto/attestation (Statement v1, test-result v0.1) and
// https://github.com/secure-systems-lab/dsse (v1.0).
package attest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tollgate/internal/report"
	"tollgate/pkg/slo"
)

// FileName is the file of a result folder that holds its attestation.
const FileName = "attestation.json"

// The types that a statement names.
const (
	StatementType = "https://in-toto.io/Statement/v1"
	PredicateType = "https://in-toto.io/attestation/test-result/v0.1"
)

// Statement is an in-toto statement that a release was tested.
type Statement struct {
	Type          string     `json:"_type"`
	Subject       []Resource `json:"subject"` // what was tested
	PredicateType string     `json:"predicateType"`
	Predicate     TestResult `json:"predicate"`
}

// TestResult is the predicate test-result v0.1.
type TestResult struct {
	Result string `json:"result"` // PASSED for a pass, FAILED for everything else
	// Configuration is the spec, the rows that were seeded, and each file of the result.
	Configuration []Resource `json:"configuration"`
	URL           string     `json:"url,omitempty"`
	PassedTests   []string   `json:"passedTests"`
	WarnedTests   []string   `json:"warnedTests"` // advisory SLOs that do not hold
	FailedTests   []string   `json:"failedTests"` // and those that were not proven
}

// Resource is an in-toto resource descriptor.
type Resource struct {
	Name        string            `json:"name"`
	Digest      map[string]string `json:"digest"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// The roles of what is in a configuration, and the key of the annotation that
// holds them.
const (
	role     = "tollgate"
	roleSpec = "spec"
	roleSeed = "seed"
	roleFile = "file"
)

// Subject is what was tested, by its digest.
type Subject struct{ Name, SHA256 string }

// About returns the statement about a result whose files are given by name.
// Without a subject it is about result.json. The names of tests are the SLOs as
// they were written, each with its stage.
func About(d *report.Document, files map[string][]byte, subjects []Subject, url string) Statement {
	s := Statement{
		Type: StatementType, PredicateType: PredicateType,
		Predicate: TestResult{
			Result: "FAILED", URL: url, Configuration: []Resource{},
			PassedTests: []string{}, WarnedTests: []string{}, FailedTests: []string{},
		},
	}
	if len(subjects) == 0 {
		subjects = []Subject{{"result.json", Digest(files["result.json"])}}
	}
	for _, of := range subjects {
		s.Subject = append(s.Subject, Resource{Name: of.Name, Digest: map[string]string{"sha256": of.SHA256}})
	}
	p := &s.Predicate
	if d.Overall == slo.OverallPass && d.ExitCode == 0 && d.Complete {
		p.Result = "PASSED"
	}
	specs := []report.Source{d.Spec}
	if d.Regated != nil {
		specs = append(specs, d.Regated.Spec)
	}
	for _, of := range specs {
		p.Configuration = append(p.Configuration, resource(of.File, strings.TrimPrefix(of.Digest, "sha256:"), roleSpec))
	}
	if d.Data != nil && d.Data.Digest != "" {
		p.Configuration = append(p.Configuration, resource(d.Data.Where, strings.TrimPrefix(d.Data.Digest, "sha256:"), roleSeed))
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		p.Configuration = append(p.Configuration, resource(name, Digest(files[name]), roleFile))
	}
	for _, claim := range d.SLOs {
		name := claim.Claim
		if claim.Stage != "" {
			name += " on " + claim.Stage
		}
		switch {
		case claim.Verdict == slo.Pass:
			p.PassedTests = append(p.PassedTests, name)
		case claim.Advisory:
			p.WarnedTests = append(p.WarnedTests, name)
		default:
			p.FailedTests = append(p.FailedTests, name)
		}
	}
	return s
}

func resource(name, sha, of string) Resource {
	return Resource{Name: name, Digest: map[string]string{"sha256": sha}, Annotations: map[string]string{role: of}}
}

// Digest is the SHA-256 of bytes, in hex.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Encode returns the statement as the JSON that is signed.
func (s *Statement) Encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(s)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// decode reads a statement of ours.
func decode(payload []byte) (s Statement, err error) {
	if err := json.Unmarshal(payload, &s); err != nil {
		return s, fmt.Errorf("its payload is no statement: %w", err)
	}
	switch {
	case s.Type != StatementType:
		return s, fmt.Errorf("its payload is of type %q, and not an in-toto statement", s.Type)
	case s.PredicateType != PredicateType:
		return s, fmt.Errorf("it states %q, and not the result of a test", s.PredicateType)
	}
	return s, nil
}

// Subjects are what the statement says was tested.
func (s *Statement) Subjects() (out []Subject) {
	for _, r := range s.Subject {
		out = append(out, Subject{r.Name, r.Digest["sha256"]})
	}
	return out
}

// files are the digests of the files that the statement binds.
func (s *Statement) files() map[string]string {
	out := map[string]string{}
	for _, r := range s.Predicate.Configuration {
		if r.Annotations[role] == roleFile {
			out[r.Name] = r.Digest["sha256"]
		}
	}
	return out
}

// Names lists the files that the statement binds.
func (s *Statement) Names() []string { return slices.Sorted(maps.Keys(s.files())) }

// Differences says where a folder is not what was signed: files that were
// edited, are gone, or were not there.
func (s *Statement) Differences(files map[string][]byte) (out []string) {
	signed := s.files()
	for _, name := range slices.Sorted(maps.Keys(signed)) {
		data, ok := files[name]
		switch {
		case !ok:
			out = append(out, name+" is gone: it was signed")
		case Digest(data) != signed[name]:
			out = append(out, fmt.Sprintf("%s is not what was signed: its SHA-256 is %.12s…, and was %.12s…", name, Digest(data), signed[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if _, ok := signed[name]; !ok {
			out = append(out, name+" was not there when the result was signed")
		}
	}
	return out
}

// Disagreements says where a statement says something else than the result that
// it is about does.
func (s *Statement) Disagreements(d *report.Document, files map[string][]byte) (out []string) {
	want := About(d, files, s.Subjects(), s.Predicate.URL)
	if got := s.Predicate.Result; got != want.Predicate.Result {
		out = append(out, fmt.Sprintf("%s says %s, and the result is %s", FileName, got, want.Predicate.Result))
	}
	a, errA := s.Encode()
	b, errB := want.Encode()
	if len(out) == 0 && (errA != nil || errB != nil || !bytes.Equal(a, b)) {
		out = append(out, FileName+" states something else than this result")
	}
	return out
}
