package report

import (
	"strings"
	"testing"

	"tollgate/pkg/spec"
)

func TestReportSaysThatACertificateWasNotVerified(t *testing.T) {
	s := &spec.Spec{
		Target: spec.Target{Scheme: "https", URL: "https://api.test", TLS: spec.TLS{Insecure: true}},
		Others: []*spec.Target{{Scheme: "https", URL: "https://auth.test"}, {Scheme: "http", URL: "http://cdn.test", TLS: spec.TLS{Insecure: true}}},
	}
	if got := insecure(s); len(got) != 1 || got[0] != "https://api.test" {
		t.Errorf("not verified: %v", got)
	}
	var out strings.Builder
	d := &Document{Insecure: insecure(s)}
	for _, line := range d.notes() {
		out.WriteString(line + "\n")
	}
	if !strings.Contains(out.String(), "not verified (insecure: true): https://api.test") {
		t.Errorf("the report says nothing of it:\n%s", out.String())
	}
}
