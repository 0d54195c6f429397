package spec

import (
	"strings"
	"testing"
)

const travelled = `version: 1
name: a
target: {url: "http://127.0.0.1:1", timeout: 5s}
values: {place: north}
endpoints:
  home: GET /${place}
personas: {visitor: {think: 1s, tasks: {home: 1}}}
stages: [steady: {users: 1, for: 30s}]
slos: [p95 < 1s]
profiles:
  small: {stages: [steady: {users: 1, for: 1s}]}
  other: {personas: {visitor: {think: 2s, tasks: {home: 1}}}}
`

func trafficOf(t *testing.T, text string, o Options) string {
	t.Helper()
	if o.Env == nil {
		o.Env = func(string) (string, bool) { return "", false }
	}
	s, faults := Parse("a.yaml", []byte(text), o)
	if faults != nil {
		t.Fatal(faults)
	}
	return s.Traffic
}

func TestTrafficIsTheSameForWhatChangesNoRequest(t *testing.T) {
	want := trafficOf(t, travelled, Options{})
	replaced := func(old, new string) string {
		if !strings.Contains(travelled, old) {
			t.Fatalf("the spec has no %q", old)
		}
		return strings.Replace(travelled, old, new, 1)
	}
	for what, got := range map[string]string{
		"name":       trafficOf(t, replaced("name: a", "name: b"), Options{}),
		"comment":    trafficOf(t, replaced("name: a", "name: a # first"), Options{}),
		"layout":     trafficOf(t, replaced("endpoints:\n  home: GET /${place}", "endpoints: {home: \"GET /${place}\"}"), Options{}),
		"promise":    trafficOf(t, replaced("p95 < 1s", "p99 < 1s"), Options{}),
		"confidence": trafficOf(t, travelled+"confidence: off\n", Options{}),
		"stages":     trafficOf(t, replaced("for: 30s", "for: 31s"), Options{}),
		"target":     trafficOf(t, replaced("127.0.0.1:1", "127.0.0.1:2"), Options{}),
		"ready":      trafficOf(t, replaced("timeout: 5s", "ready: GET /health, timeout: 5s"), Options{}),
		"--target":   trafficOf(t, travelled, Options{Target: "http://127.0.0.1:3"}),
		"profile":    trafficOf(t, travelled, Options{Profile: "small"}),
	} {
		if got != want {
			t.Errorf("another %s is other traffic", what)
		}
	}
}

func TestTrafficDiffersWhereARequestMay(t *testing.T) {
	seen := map[string]string{trafficOf(t, travelled, Options{}): "the spec"}
	for what, got := range map[string]string{
		"path":     trafficOf(t, strings.Replace(travelled, "GET /${place}", "GET /${place}/x", 1), Options{}),
		"think":    trafficOf(t, strings.Replace(travelled, "think: 1s", "think: 1s..2s", 1), Options{}),
		"timeout":  trafficOf(t, strings.Replace(travelled, "timeout: 5s", "timeout: 6s", 1), Options{}),
		"value":    trafficOf(t, strings.Replace(travelled, "place: north", "place: south", 1), Options{}),
		"type":     trafficOf(t, strings.Replace(travelled, "place: north", "place: 1", 1), Options{}),
		"as text":  trafficOf(t, strings.Replace(travelled, "place: north", `place: "1"`, 1), Options{}),
		"method":   trafficOf(t, strings.Replace(travelled, "home: GET", "home: HEAD", 1), Options{}),
		"weight":   trafficOf(t, strings.Replace(travelled, "home: 1}", "home: 2}", 1), Options{}),
		"--set":    trafficOf(t, travelled, Options{Set: []string{"values.place=west"}}),
		"personas": trafficOf(t, travelled, Options{Profile: "other"}),
	} {
		if was := seen[got]; was != "" {
			t.Errorf("another %s is the same traffic as %s", what, was)
		}
		seen[got] = "another " + what
	}
}

func TestTrafficDoesNotSeeWhereTheTargetsAre(t *testing.T) {
	text := func(targets string) string {
		return strings.Replace(travelled, "target: {url: \"http://127.0.0.1:1\", timeout: 5s}", "target: {timeout: 5s}\ntargets: "+targets, 1)
	}
	want := trafficOf(t, text(`{a: "http://127.0.0.1:1", b: "http://127.0.0.1:2"}`), Options{})
	for _, same := range []string{
		`{a: "https://127.0.0.1:3", b: "http://127.0.0.1:2"}`,
		`{a: {url: "https://a.test", ready: GET /, insecure: true, tls: {server_name: b.test}}, b: {url: "http://b.test"}}`,
	} {
		if trafficOf(t, text(same), Options{}) != want {
			t.Errorf("%s is other traffic", same)
		}
	}
	for _, other := range []string{
		`{b: "http://127.0.0.1:1", a: "http://127.0.0.1:2"}`,
		`{a: "http://127.0.0.1:1"}`,
		`{a: "http://127.0.0.1:1", b: {url: "http://127.0.0.1:2", http: 2}}`,
		`{a: "http://127.0.0.1:1", b: {url: "http://127.0.0.1:2", auth: {bearer: x}}}`,
	} {
		if trafficOf(t, text(other), Options{}) == want {
			t.Errorf("%s is the same traffic", other)
		}
	}
}

func TestTrafficIsTheTextOfASecretAndNotItsContent(t *testing.T) {
	text := strings.Replace(travelled, "{place: north}", `{place: '${secret("PLACE") ?? "x"}'}`, 1)
	env := func(value string) Options {
		return Options{Env: func(string) (string, bool) { return value, true }}
	}
	if trafficOf(t, text, env("alpha-one")) != trafficOf(t, text, env("beta-two")) {
		t.Error("the digest tells one content of a secret from another")
	}
}
