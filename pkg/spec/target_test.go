package spec

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tollgate/internal/expr"
)

// sent returns the headers of a list as they are sent, in order.
func sent(t testing.TB, s *Spec, headers []Header, values map[string]expr.Value) string {
	t.Helper()
	var out []string
	for _, h := range headers {
		out = append(out, h.Name+": "+render(t, s, h.Value, values))
	}
	return strings.Join(out, "; ")
}

func TestTargetIsReadCompletely(t *testing.T) {
	s := whole(t)
	api := s.Target
	if api.Name != "api" || api.Scheme != "https" || api.Host != "api.example" || api.Port != 443 || api.BasePath != "/v1" || api.Ready.Path != "/v1/health" {
		t.Errorf("%+v", api)
	}
	if api.Timeout != 5*time.Second || api.Refresh != 30*time.Second || api.Connection != (Connection{Pool, 100}) || !api.NoCookies || api.MaxBody != 1<<20 || api.HTTP != HTTPAuto {
		t.Errorf("%+v", api)
	}
	want := pems()
	if string(api.TLS.CA) != string(want["tls/ca.pem"]) || string(api.TLS.Cert) != string(want["tls/client.pem"]) || string(api.TLS.Key) != string(want["tls/client.key"]) || api.TLS.ServerName != "internal.example" || api.TLS.Insecure {
		t.Errorf("%+v", api.TLS)
	}
	s = parse(t, shop, Options{})
	if got := s.Target; got.Scheme != "http" || got.HTTP != HTTP1 || got.Refresh != 0 || got.Connection != (Connection{}) || got.NoCookies || got.MaxBody != 10<<20 || s.Others != nil || s.Endpoints[0].Redirects != 0 {
		t.Errorf("what is not written has another default: %+v", got)
	}
}

func TestTargetsInheritWhatTheyDoNotSay(t *testing.T) {
	s := whole(t)
	if len(s.Others) != 2 || s.Others[0].Name != "auth" || s.Others[1].Name != "plain" {
		t.Fatalf("%+v", s.Others)
	}
	auth, plain := s.Others[0], s.Others[1]
	if auth.Timeout != 5*time.Second || auth.HTTP != HTTPAuto || auth.TLS.ServerName != "internal.example" || auth.Connection.Size != 100 || auth.Ready != nil || auth.MaxBody != 1<<20 || !auth.NoCookies || auth.Refresh != 30*time.Second {
		t.Errorf("%+v", auth)
	}
	if plain.HTTP != HTTP2 || plain.Port != 81 {
		t.Errorf("%+v", plain)
	}
	machine := map[string]expr.Value{"machine": expr.Str("m")}
	for want, headers := range map[string][]Header{
		"Accept: application/json; X-Env: api; Authorization: Basic c3ZjOnBhc3M=": s.Target.Headers,
		"Accept: application/json; X-Env: test":                                   auth.Headers,
		"Accept: application/json; X-Env: test; Authorization: Bearer m":          plain.Headers,
	} {
		if got := sent(t, s, headers, machine); got != want {
			t.Errorf("want %s, got %s", want, got)
		}
	}
}

func TestEndpointGoesToItsTarget(t *testing.T) {
	s := whole(t)
	for key, want := range map[string]string{"login": "auth /login 3", "machine_login": "auth /machine 0", "order": "api /v1/orders 3", "stock": "plain /stock 3"} {
		for _, e := range s.Endpoints {
			if e.Key == key {
				if got := fmt.Sprint(s.TargetOf(e.On).Name, " ", render(t, s, e.Path, nil), " ", e.Redirects); got != want {
					t.Errorf("%s: want %s, got %s", key, want, got)
				}
			}
		}
	}
}

// beside is a spec with a target that has a URL, and others beside it.
const beside = `version: 1
name: beside
target:
  url: http://u:p@main.test/m
  ready: GET /up
  headers: {authorization-hint: x, Cookie: a=b, X-A: main}
targets:
  first: http://first.test/f
  second: {url: "https://second.test", headers: {x-a: own}, insecure: true}
endpoints:
  a: GET /a
  b: {request: GET /b, on: first}
  c: {request: GET /c, on: second}
personas:
  p: {tasks: {a: 1, b: 1, c: 1}}
stages: [steady: {users: 1, for: 1s}]
`

func TestCredentialsStayWithTheTargetThatHasThem(t *testing.T) {
	s := parse(t, beside, Options{})
	if s.Target.Name != "" || s.Target.Host != "main.test" || len(s.Others) != 2 || s.Others[0].Ready != nil {
		t.Errorf("%+v", s)
	}
	for want, headers := range map[string][]Header{
		"authorization-hint: x; Cookie: a=b; X-A: main; Authorization: Basic dTpw": s.Target.Headers,
		"authorization-hint: x; X-A: main":                                         s.Others[0].Headers,
		"authorization-hint: x; x-a: own":                                          s.Others[1].Headers,
	} {
		if got := sent(t, s, headers, nil); got != want {
			t.Errorf("want %s, got %s", want, got)
		}
	}
	if s.Others[0].TLS.Insecure || !s.Others[1].TLS.Insecure || s.Target.TLS.Insecure {
		t.Error("insecure is that of another target")
	}
}

func TestOverrideMovesOneTarget(t *testing.T) {
	const there = "https://q:r@there.test:8443/t"
	paths := func(s *Spec) (out string) {
		for _, task := range s.Personas[0].Tasks {
			e := task.Steps[0].Endpoint
			out += s.TargetOf(e.On).Host + render(t, s, e.Path, nil) + " "
		}
		return out
	}
	moved, faults := parse(t, beside, Options{}).With(Override{Target: there})
	if faults != nil {
		t.Fatal(faults)
	}
	for how, s := range map[string]*Spec{"option": parse(t, beside, Options{Target: there}), "With": moved} {
		if got := paths(s); got != "there.test/t/a first.test/f/b second.test/c " {
			t.Errorf("%s: %s", how, got)
		}
		if s.Target.Scheme != "https" || s.Target.Port != 8443 || s.Target.Ready.Path != "/t/up" || s.Target.MaxBody != 10<<20 {
			t.Errorf("%s: %+v", how, s.Target)
		}
		if got := sent(t, s, s.Target.Headers, nil); got != "authorization-hint: x; Cookie: a=b; X-A: main; Authorization: Basic cTpy" {
			t.Errorf("%s: %s", how, got)
		}
	}
	text := strings.Replace(beside, "  url: http://u:p@main.test/m\n  ready: GET /up\n", "", 1)
	if s := parse(t, text, Options{Target: there}); s.Target.Name != "first" || paths(s) != "there.test/t/a there.test/t/b second.test/c " {
		t.Errorf("without a URL of target, the first of targets is not the one that moves: %s", paths(s))
	}
}

func TestTLSIsAFaultOnlyWhereTheFileItselfSaysHTTP(t *testing.T) {
	text := with(t, "  url: http://127.0.0.1:8000", `  url: ${env.URL ?? "http://127.0.0.1"}
  insecure: true`, "endpoints:", "env: [URL]\nendpoints:")
	parse(t, text, Options{Env: noEnv})
	text = with(t, "  url: http://127.0.0.1:8000", "  url: https://127.0.0.1\n  insecure: true")
	parse(t, text, Options{Target: "http://127.0.0.1:1"})
}

func TestCopyOfASpecCallsItsOwnEndpointsEverywhere(t *testing.T) {
	s := whole(t)
	c, faults := s.With(Override{Target: "https://moved.example/v2"})
	if faults != nil {
		t.Fatal(faults)
	}
	own := map[*Endpoint]bool{}
	for _, e := range c.Endpoints {
		own[e] = true
	}
	steps := append(append([]*Step(nil), c.Before...), c.After...)
	for _, p := range c.Personas {
		steps = append(steps, p.calls()...)
	}
	if len(c.Before) != 2 || len(c.After) != 1 || len(c.Personas[1].Refresh.Do) != 1 || len(c.Feeders) != 2 {
		t.Errorf("%+v", c)
	}
	for _, st := range steps {
		if !own[st.Endpoint] {
			t.Errorf("%s is an endpoint of the original", st.Name)
		}
	}
	if got := render(t, c, c.After[0].Endpoint.Path, map[string]expr.Value{"level": expr.Integer(3)}); got != "/v2/report/3" {
		t.Error(got)
	}
	if got := render(t, s, s.After[0].Endpoint.Path, map[string]expr.Value{"level": expr.Integer(3)}); got != "/v1/report/3" {
		t.Errorf("the original has changed: %s", got)
	}
}

func TestAuthBecomesAHeader(t *testing.T) {
	env := func(name string) (string, bool) { return map[string]string{"P": "hunter2", "T": "tok"}[name], true }
	text := with(t, "  url: http://127.0.0.1:8000", "  url: http://127.0.0.1:8000\n  auth: {bearer: '${secret(\"T\")}'}",
		`    json: {email: "${email}"}`, "    json: {email: \"${email}\"}\n    auth: {basic: {user: 7, password: '${secret(\"P\")}'}}",
		`    headers: {Authorization: "Bearer ${token}"}`, `    auth: {basic: {user: "${email}", password: "p:${order}"}}`)
	s := parse(t, text, Options{Env: env})
	values := map[string]expr.Value{"email": expr.Str("é@x"), "order": expr.Integer(4)}
	for want, headers := range map[string][]Header{
		"Authorization: Bearer tok":         s.Target.Headers,
		"Authorization: Basic NzpodW50ZXIy": s.Endpoints[0].Headers,
		"Authorization: Basic w6lAeDpwOjQ=": s.Personas[0].Headers,
	} {
		if got := sent(t, s, headers, values); got != want {
			t.Errorf("want %s, got %s", want, got)
		}
	}
	for _, secret := range []string{"hunter2", "tok", "NzpodW50ZXIy"} {
		if !strings.Contains(strings.Join(s.Secrets, " "), secret) {
			t.Errorf("%s is not masked", secret)
		}
	}
	if _, err := s.Personas[0].Headers[0].Value.Append(nil, &expr.Ctx{Slots: make([]expr.Value, len(s.Slots))}); err == nil {
		t.Error("credentials of which a part is unset are sent")
	}
}
