package main

import (
	"strings"
	"testing"

	"tollgate/pkg/exec"
	"tollgate/pkg/spec"
)

// compiled returns the plan of a spec with these stages and SLOs: ten users
// make a request each second and wait for the rest of it.
func compiled(t *testing.T, stages, slos string) *exec.Plan {
	t.Helper()
	text := `
version: 1
name: doubtful
target: {url: "http://127.0.0.1:1"}
endpoints: {home: GET /}
personas:
  visitor: {weight: 1, think: 1s, tasks: {home: 1}}
stages: [` + stages + `]
slos: [` + slos + `]
`
	s, faults := spec.Parse("doubtful.yaml", []byte(text), spec.Options{})
	if faults != nil {
		t.Fatal(faults)
	}
	p, err := exec.Compile(s, exec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDoubts(t *testing.T) {
	const closed, open = "steady: {users: 10, for: 10s}", "steady: {rate: 50/s, for: 10s}"
	for _, c := range []struct{ stages, slo, want string }{
		{closed, "p95 < 1s", ""}, // about 91 requests
		{closed, "p99 < 1s", "p99 < 1s on steady will see about 91 requests, and a proof takes 299 of them"},
		{open, "p99 < 1s", ""},
		{open, "p99.9 < 1s", "p99.9 < 1s on steady will see about 500 requests, and a proof takes 2,995 of them"},
		{closed, "throughput > 9/s", ""},
		{closed, "throughput > 10/s", "throughput > 10/s on steady cannot hold: even if every answer came at once it would see 10/s"},
		{open, "throughput > 49/s during steady", ""},
		{open, "throughput >= 50/s during steady", "throughput >= 50/s during steady cannot be proven: the stage offers no more than 50/s"},
		{closed, "requests > 99", ""},
		{closed, "requests > 100", "requests > 100 on steady cannot hold: even if every answer came at once it would see 100"},
		{closed, "successes >= 101", "successes >= 101 on steady cannot hold: even if every answer came at once it would see 100"},
		{closed, "users >= 10", ""},
		{closed, "users > 10", "users > 10 on steady cannot hold: the stage holds 10"},
		{closed, "{slo: errors < 1%, advisory: true}", "the spec promises nothing that decides: a run of it ends with exit code 4"},
		{closed, "", "the spec promises nothing that decides: a run of it ends with exit code 4"},
	} {
		var got []string
		for _, d := range doubts(compiled(t, c.stages, c.slo), assumedLatency) {
			got = append(got, d.msg)
			if d.hint == "" || d.pos.Line == 0 {
				t.Errorf("%s: no place or no hint: %+v", c.slo, d)
			}
		}
		if all := strings.Join(got, "; "); all != c.want {
			t.Errorf("%s: %q, want %q", c.slo, all, c.want)
		}
	}
}

func TestLeastProofIsThatOfTheTables(t *testing.T) {
	for q, want := range map[float64]float64{0.95: 59, 0.99: 299, 0.999: 2995, 0.5: 5} {
		if got := leastProof(q); got != want {
			t.Errorf("q %v takes %v, want %v", q, got, want)
		}
	}
}
