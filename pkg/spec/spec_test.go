package spec

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/internal/expr"
	"tollgate/pkg/slo"
)

// shop is a sound spec; with replaces parts of it.
const shop = `version: 1
name: shop
target:
  url: http://127.0.0.1:8000
endpoints:
  login:
    request: POST /login
    json: {email: "${email}"}
    save: {token: access_token}
  list: GET /orders
  order:
    request: GET /orders/${order}
personas:
  buyer:
    weight: 3
    think: 1s..2s
    values: {email: "buyer@shop.test"}
    headers: {Authorization: "Bearer ${token}"}
    on_start: [login]
    tasks:
      list: 3
      look:
        weight: 1
        steps:
          - {call: list, save: {order: 0.id}}
          - {call: order, when: order}
  guest:
    tasks: {list: 1}
stages:
  - warmup: {users: 5, for: 10s}
  - steady: {users: 10, ramp: 5/s, for: 1m}
slos:
  - p95 < 200ms
  - errors < 1% during steady
  - p99{persona=guest} < 500ms
profiles:
  open:
    stages: [{steady: {rate: 30/m, arrivals: uniform, max_users: 7, for: 90s}}]
`

// with returns shop with each old text (the even ones) replaced by the new one after it.
func with(t testing.TB, pairs ...string) string {
	t.Helper()
	src := shop
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(src, pairs[i]) {
			t.Fatalf("the spec has no %q", pairs[i])
		}
		src = strings.Replace(src, pairs[i], pairs[i+1], 1)
	}
	return src
}

func parse(t testing.TB, src string, o Options) *Spec {
	t.Helper()
	s, faults := Parse("shop.yaml", []byte(src), o)
	if faults != nil {
		var b strings.Builder
		faults.Format(&b)
		t.Fatalf("%s", b.String())
	}
	return s
}

// onlyFault parses a spec that has exactly one fault.
func onlyFault(t testing.TB, src string, o Options) Fault {
	t.Helper()
	s, faults := Parse("shop.yaml", []byte(src), o)
	if s != nil || len(faults) != 1 {
		t.Fatalf("want one fault, got %v", faults)
	}
	return faults[0]
}

// render evaluates a text for a user whose slots hold the given values.
func render(t testing.TB, s *Spec, text *expr.Text, values map[string]expr.Value) string {
	t.Helper()
	ctx := &expr.Ctx{Slots: make([]expr.Value, len(s.Slots)), Key: expr.NewKey(1, 2, 3, 4)}
	for name, v := range values {
		ctx.Slots[s.Slot(name)] = v
	}
	b, err := text.Append(nil, ctx)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSpecIsReadCompletely(t *testing.T) {
	s := parse(t, shop, Options{})
	if s.File != "shop.yaml" || s.Version != 1 || s.Name != "shop" || s.ErrorGuard != 0.01 || s.Confidence != (Confidence{Level: 0.95}) {
		t.Errorf("%+v", s)
	}
	if !slices.Equal(s.Profiles, []string{"open"}) || s.Profile != "" {
		t.Errorf("profiles %v, applied %q", s.Profiles, s.Profile)
	}
	if got := s.Target; got.Host != "127.0.0.1" || got.Port != 8000 || got.Timeout != 10*time.Second || got.BasePath != "" || got.Ready != nil {
		t.Errorf("%+v", got)
	}
	buyer := s.Personas[0]
	if buyer.Weight != 3 || buyer.Think != (Think{Min: time.Second, Max: 2 * time.Second}) || len(buyer.OnStart) != 1 || len(buyer.Tasks) != 2 {
		t.Errorf("%+v", buyer)
	}
	if guest := s.Personas[1]; guest.Weight != 1 || guest.Think != (Think{}) {
		t.Errorf("what is not written has another default: %+v", guest)
	}
	look := buyer.Tasks[1]
	if look.Name != "look" || look.Weight != 1 || len(look.Steps) != 2 || look.Steps[0].When != nil || look.Steps[1].When == nil {
		t.Errorf("%+v", look)
	}
	if look.Steps[0].Endpoint != s.Endpoints[1] || look.Steps[0].Name != "list" {
		t.Errorf("%+v", look.Steps[0])
	}
	steady := s.Stages[1]
	if steady.Name != "steady" || steady.Level.Users != 10 || steady.Ramp != (Ramp{Rate: 5}) || steady.For != time.Minute {
		t.Errorf("%+v", steady)
	}
	if s.SLOs[1].Objective.During != "steady" || s.SLOs[1].Pos != (Pos{"shop.yaml", 34, 5}) {
		t.Errorf("%+v", s.SLOs[1])
	}
}

func TestProfileReplacesWholeKeys(t *testing.T) {
	s := parse(t, shop, Options{Profile: "open"})
	if s.Profile != "open" || len(s.Stages) != 1 {
		t.Fatalf("%+v", s)
	}
	if got := s.Stages[0].Level; !got.Open || got.Rate != 0.5 || !got.Uniform || got.MaxUsers != 7 {
		t.Errorf("%+v", got)
	}
	if f := onlyFault(t, shop, Options{Profile: "opne"}); f.Hint != "did you mean open?" || f.Line != 37 {
		t.Errorf("%+v", f)
	}
}

func TestFaultsOfEveryProfileAreFound(t *testing.T) {
	src := with(t, "    stages: [{steady: {rate", "    stages: [{steady: {name: other, rate")
	f := onlyFault(t, src, Options{})
	if !strings.Contains(f.Msg, "in profile open") || f.Line != 34 {
		t.Errorf("%+v", f)
	}
}

func TestDigestIsThatOfTheBytes(t *testing.T) {
	bom := parse(t, "\ufeff"+shop, Options{})
	plain := parse(t, shop, Options{})
	if bom.Digest == plain.Digest || !strings.HasPrefix(plain.Digest, "sha256:") || len(plain.Digest) != len("sha256:")+64 {
		t.Errorf("%s, %s", bom.Digest, plain.Digest)
	}
}

func TestBodyKeepsOrderAndTypes(t *testing.T) {
	src := with(t, `    json: {email: "${email}"}`, `    json:
      zebra: 1.50
      apple: [true, null, -3e2, 2026-01-02, "007", é, "<&>"]
      email: ${email}
      text: to ${email}
      nested: {b: {}, a: []}`)
	s := parse(t, src, Options{})
	got := render(t, s, s.Endpoints[0].Body, map[string]expr.Value{"email": expr.Integer(5)})
	want := `{"zebra":1.50,"apple":[true,null,-3e2,"2026-01-02","007","é","<&>"],"email":5,"text":"to 5","nested":{"b":{},"a":[]}}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if s.Endpoints[0].Type != "application/json" {
		t.Errorf("type %q", s.Endpoints[0].Type)
	}
}

func TestContentTypeIsTheHeadersIfThereIsOne(t *testing.T) {
	for own, want := range map[string]string{
		"body: hello": "text/plain; charset=utf-8",
		"body: hello\n    headers: {content-type: text/csv}":               "",
		"json: {}\n    headers: {Content-Type: application/vnd.shop+json}": "",
		"json: null":                          "application/json",
		"headers: {Content-Type: text/plain}": "",
	} {
		s := parse(t, with(t, `json: {email: "${email}"}`, own), Options{})
		if got := s.Endpoints[0].Type; got != want {
			t.Errorf("%s: %q", own, got)
		}
	}
}

func TestBasePathStandsBeforeEveryPath(t *testing.T) {
	src := with(t, "http://127.0.0.1:8000", "http://shop.test/v1%20x/\n  ready: GET /health")
	s := parse(t, src, Options{})
	if s.Target.URL != "http://shop.test/v1%20x/" || s.Target.Port != 80 || s.Target.Ready.Path != "/v1%20x/health" {
		t.Errorf("%+v", s.Target)
	}
	if got, static := s.Endpoints[1].Path.Static(); string(got) != "/v1%20x/orders" || !static {
		t.Errorf("%s, static %v", got, static)
	}
	if got := render(t, s, s.Endpoints[2].Path, map[string]expr.Value{"order": expr.Str("a/b")}); got != "/v1%20x/orders/a%2Fb" {
		t.Error(got)
	}
}

func TestCredentialsOfTheURLBecomeAHeaderAndASecret(t *testing.T) {
	s := parse(t, with(t, "http://127.0.0.1:8000", `"http://ann:p%40ss@[::1]:8000"`), Options{})
	if s.Target.URL != "http://[::1]:8000" || s.Target.Host != "::1" {
		t.Errorf("%+v", s.Target)
	}
	if h := s.Target.Headers; len(h) != 1 || h[0].Name != "Authorization" || render(t, s, h[0].Value, nil) != "Basic YW5uOnBAc3M=" {
		t.Errorf("%+v", h)
	}
	for _, secret := range []string{"p@ss", "YW5uOnBAc3M="} {
		if !slices.Contains(s.Secrets, secret) {
			t.Errorf("%q is not among the secrets %q", secret, s.Secrets)
		}
	}
}

func TestOnlyDeclaredVariablesAreAskedFor(t *testing.T) {
	var asked []string
	env := func(name string) (string, bool) {
		asked = append(asked, name)
		return map[string]string{"SHOP_URL": "http://shop.test:81", "KEY": "s3cret"}[name], true
	}
	src := with(t, "http://127.0.0.1:8000", `${env.SHOP_URL ?? "http://127.0.0.1:1"}`,
		"endpoints:", "env: [SHOP_URL, UNUSED]\nvalues: {key: '${secret(\"KEY\")}'}\nendpoints:",
		"  guest:", "  guest:\n    headers: {X-Key: '${key}', X-Home: '${secret(\"OTHER\") ?? \"none\"}'}")
	s := parse(t, src, Options{Env: env})
	slices.Sort(asked)
	if got := slices.Compact(asked); !slices.Equal(got, []string{"KEY", "OTHER", "SHOP_URL"}) {
		t.Errorf("asked for %v", got)
	}
	if s.Target.Port != 81 || !slices.Equal(s.Secrets, []string{"s3cret"}) {
		t.Errorf("%+v, %v", s.Target, s.Secrets)
	}
	_, faults := Parse("shop.yaml", []byte(with(t, "http://127.0.0.1:8000", "${env.HOME}")), Options{Env: func(name string) (string, bool) {
		t.Errorf("asked for %s", name)
		return "", false
	}})
	if len(faults) != 1 {
		t.Error(faults)
	}
}

func TestNoFaultShowsASecret(t *testing.T) {
	env := func(string) (string, bool) { return "hunter2", true }
	src := with(t, "http://127.0.0.1:8000", `"http://u:${secret(\"P\")}@127.0.0.1:port"`,
		"endpoints:", "values: {key: '${secret(\"KEY\")}', n: '${int(secret(\"KEY\"))}'}\nendpoints:")
	_, faults := Parse("shop.yaml", []byte(src), Options{Env: env})
	if len(faults) == 0 {
		t.Fatal("no fault")
	}
	if strings.Contains(fmt.Sprintf("%+v", faults), "hunter2") {
		t.Error(faults)
	}
}

func TestConstantsMayUseThoseBefore(t *testing.T) {
	src := with(t, "endpoints:", "values:\n  domain: shop.test\n  at: '@${domain}'\n  five: 5\n  twice: ${five * 2}\nendpoints:",
		"buyer@shop.test", "b${at}", `{email: "${email}"}`, `{email: "${email}", n: "${twice}"}`)
	s := parse(t, src, Options{})
	if got := render(t, s, s.Personas[0].Values[0].Value, nil); got != "b@shop.test" {
		t.Error(got)
	}
	if got := render(t, s, s.Endpoints[0].Body, map[string]expr.Value{"email": expr.Str("e")}); got != `{"email":"e","n":10}` {
		t.Error(got)
	}
}

func TestSetReplacesAValue(t *testing.T) {
	src := with(t, "endpoints:", "values:\n  domain: shop.test\n  count: 5\n  colours: [red]\nendpoints:",
		`{email: "${email}"}`, `{d: "${domain}", c: "${count}", l: "${pick(colours)}"}`)
	s := parse(t, src, Options{Set: []string{"values.domain=a: b # c", "values.count=7", "values.colours=[blue]"}})
	if got := render(t, s, s.Endpoints[0].Body, nil); got != `{"d":"a: b # c","c":7,"l":"blue"}` {
		t.Error(got)
	}
	for set, want := range map[string]string{
		"values.domian=x":      `--set values.domian: no value is called "domian"`,
		"name=x":               `--set name: only values can be set, and "name" is none`,
		"values.domain":        `--set values.domain: "values.domain" sets nothing`,
		"values.count=010":     "--set values.count: 010 looks like an octal number",
		"values.domain=${x}":   "--set values.domain: unknown name x",
		"values.colours=[a, b": "--set values.colours: not YAML: did not find expected ',' or ']'",
	} {
		if got := onlyFault(t, src, Options{Set: []string{set}}); got.String() != want {
			t.Errorf("%s: %s", set, got)
		}
	}
}

func TestTargetOptionReplacesTheURL(t *testing.T) {
	src := with(t, "http://127.0.0.1:8000", "${env.SHOP_URL}", "endpoints:", "env: [SHOP_URL]\nendpoints:")
	s := parse(t, src, Options{Target: "http://shop.test:90/api"})
	if s.Target.Host != "shop.test" || s.Target.BasePath != "/api" {
		t.Errorf("%+v", s.Target)
	}
	if f := onlyFault(t, src, Options{Target: "ftp://shop.test"}); f.File != "--target" || f.Line != 0 {
		t.Errorf("%+v", f)
	}
}

func TestMergeKeysAndAliases(t *testing.T) {
	src := with(t, "    tasks: {list: 1}", "    <<: &g {weight: 4, think: 5s}\n    weight: 9\n    tasks: {list: 1}\n  other:\n    tasks: &t {list: 2}\n    <<: [*g, {think: 9s}]\n  third:\n    tasks: *t")
	s := parse(t, src, Options{})
	guest, other, third := s.Personas[1], s.Personas[2], s.Personas[3]
	if guest.Weight != 9 || guest.Think.Max != 5*time.Second {
		t.Errorf("what a mapping says itself does not win: %+v", guest)
	}
	if other.Weight != 4 || other.Think.Max != 5*time.Second {
		t.Errorf("of two merged mappings the first does not win: %+v", other)
	}
	if third.Tasks[0].Weight != 2 {
		t.Errorf("%+v", third)
	}
}

func TestOwnValuesAndExpectTakeThePlaceOfTheEndpoints(t *testing.T) {
	src := with(t, "  list: GET /orders\n", "  list:\n    request: GET /orders?a=${a}&b=${b}\n    values: {a: 1, b: '${a}2'}\n    expect: {status: 201, within: 1s}\n    save: {x: x, y: y}\n",
		"{call: list, save: {order: 0.id}}", "{call: list, name: orders (for look), values: {a: 5, c: 6}, expect: {status: [2xx, 404]}, save: {y: {header: ETag}, order: 0.id}}")
	s := parse(t, src, Options{})
	plain, own := s.Personas[0].Tasks[0].Steps[0], s.Personas[0].Tasks[1].Steps[0]
	draws := func(st *Step) (names []string) {
		for _, v := range st.Values {
			names = append(names, v.Name+"="+render(t, s, v.Value, map[string]expr.Value{"a": expr.Str("A")}))
		}
		return names
	}
	if diff := cmp.Diff([]string{"a=1", "b=A2"}, draws(plain)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"a=5", "b=A2", "c=6"}, draws(own)); diff != "" {
		t.Error(diff)
	}
	if own.Name != "orders (for look)" || plain.Name != "list" {
		t.Errorf("%q, %q", own.Name, plain.Name)
	}
	if diff := cmp.Diff([]StatusRange{{200, 299}, {404, 404}}, own.Expect.Status); diff != "" || own.Expect.Within != 0 {
		t.Error(diff, own.Expect.Within)
	}
	if len(own.Save) != 3 || own.Save[1].From != FromHeader || own.Save[1].Path != "ETag" || own.Save[2].Name != "order" {
		t.Errorf("%+v", own.Save)
	}
	if v, err := plain.Values[0].Value.Value(&expr.Ctx{}); err != nil || v.Kind() != expr.Int {
		t.Errorf("the number 1 has become %v, %v", v, err)
	}
}

func TestExpectIsReadCompletely(t *testing.T) {
	src := with(t, "    save: {token: access_token}\n", `    save: {token: access_token, id: {body: 'id=(\d+)'}, first: 0}
    expect:
      json: {a.b: exists, c: 5, d: null, e: "${email}"}
      header: {X-One: exists, X-Two: 7}
      body: {contains: "hi ${email}", matches: "^h"}
      within: 1500ms
`)
	x := parse(t, src, Options{}).Endpoints[0].Expect
	if len(x.JSON) != 4 || !x.JSON[0].Exists || x.JSON[0].Path != "a.b" || x.JSON[1].Exists || x.JSON[1].Want == nil {
		t.Errorf("%+v", x.JSON)
	}
	if v, err := x.JSON[2].Want.Value(&expr.Ctx{}); err != nil || !v.IsNil() {
		t.Errorf("null has become %v, %v", v, err)
	}
	if len(x.Header) != 2 || !x.Header[0].Exists || x.Header[1].Want == nil {
		t.Errorf("%+v", x.Header)
	}
	if len(x.Body) != 2 || x.Body[0].Contains == nil || x.Body[0].Matches != nil || !x.Body[1].Matches.MatchString("hi") {
		t.Errorf("%+v", x.Body)
	}
	if x.Within != 1500*time.Millisecond || x.Status != nil {
		t.Errorf("%+v", x)
	}
}

func TestTaskForms(t *testing.T) {
	src := with(t, "    tasks: {list: 1}", `    tasks:
      list: 1
      login: {weight: 2, values: {email: a}}
      named: {weight: 3, call: list, name: the list, save: {order: 0.id}}
      several: {steps: [list, {call: list}]}`)
	s := parse(t, src, Options{})
	var got []string
	for _, task := range s.Personas[1].Tasks {
		line := fmt.Sprint(task.Name, " ", task.Weight)
		for _, st := range task.Steps {
			line += " " + st.Endpoint.Key + "/" + st.Name
		}
		got = append(got, line)
	}
	want := []string{"list 1 list/list", "login 2 login/login", "named 3 list/the list", "several 1 list/list list/list"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestStepsStageTellsUsersFromRates(t *testing.T) {
	src := with(t, "slos:", `  - steps: {name: up, from: 10, to: 100, by: 10, every: 2m, until: errors > 5%}
  - steps: {name: open, from: 10/s, to: 60/s, by: 30/m, every: 10s, max_users: 50}
  - spike: {users: {buyer: 20, guest: 3}, ramp: 30s, for: 2m, back: 10s}
  - pause: {for: 5s}
slos:`)
	s := parse(t, src, Options{})
	up, open, spike, pause := s.Stages[2], s.Stages[3], s.Stages[4], s.Stages[5]
	if up.Level.Open || up.From != 10 || up.To != 100 || up.By != 10 || up.Every != 2*time.Minute || up.Until == nil {
		t.Errorf("%+v", up)
	}
	if !open.Level.Open || open.From != 10 || open.To != 60 || open.By != 0.5 || open.Level.MaxUsers != 50 {
		t.Errorf("%+v", open)
	}
	if spike.Level.ByPersona["guest"] != 3 || spike.Ramp.Over != 30*time.Second || spike.Back != 10*time.Second {
		t.Errorf("%+v", spike)
	}
	if pause.Shape != Pause || pause.For != 5*time.Second {
		t.Errorf("%+v", pause)
	}
}

func TestPromises(t *testing.T) {
	src := with(t, "  - p95 < 200ms\n", "  - {slo: p95 < 200ms, advisory: true}\n", "profiles:", "confidence: off\nerror_guard: 2.5%\nprofiles:")
	s := parse(t, src, Options{})
	if !s.SLOs[0].Advisory || s.SLOs[1].Advisory || !s.Confidence.Off || s.ErrorGuard != 0.025 {
		t.Errorf("%+v", s)
	}
	if s.SLOs[0].Objective.Metric.Kind != slo.Quantile || s.SLOs[0].Objective.Limit != 0.2 {
		t.Errorf("%+v", s.SLOs[0])
	}
}

func TestHoldThatEndsWhenItIsDecidedHasALeastAndAMost(t *testing.T) {
	s := parse(t, with(t, "slos:", "  - spike: {users: 20, for: 20s..90s}\nslos:"), Options{})
	if st := s.Stages[1]; st.For != time.Minute || st.ForMax != 0 {
		t.Errorf("a fixed hold: %v, at most %v", st.For, st.ForMax)
	}
	if st := s.Stages[2]; st.For != 20*time.Second || st.ForMax != 90*time.Second {
		t.Errorf("%v, at most %v", st.For, st.ForMax)
	}
}

func TestAbortOfAllIsThatOfEachThatDecides(t *testing.T) {
	for name, c := range map[string]struct {
		abort, first string
		want         []bool
	}{
		"nobody":                   {"", "p95 < 200ms", []bool{false, false, false}},
		"one":                      {"", "{slo: p95 < 200ms, abort: true}", []bool{true, false, false}},
		"all":                      {"abort: true\n", "p95 < 200ms", []bool{true, true, true}},
		"all but one":              {"abort: true\n", "{slo: p95 < 200ms, abort: false}", []bool{false, true, true}},
		"all that can":             {"abort: true\n", "mean < 200ms", []bool{false, true, true}},
		"all that decide":          {"abort: true\n", "{slo: p95 < 200ms, advisory: true}", []bool{false, true, true}},
		"nobody, in so many words": {"abort: false\n", "{slo: p95 < 200ms, advisory: true, abort: false}", []bool{false, false, false}},
	} {
		s := parse(t, with(t, "  - p95 < 200ms\n", "  - "+c.first+"\n", "profiles:", c.abort+"profiles:"), Options{})
		var got []bool
		for _, promise := range s.SLOs {
			got = append(got, promise.Abort)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	s := parse(t, with(t, "profiles:\n", "profiles:\n  hasty: {abort: true}\n"), Options{Profile: "hasty"})
	if !s.SLOs[0].Abort {
		t.Error("a profile that aborts does not")
	}
}

// withStages is with for tests that change the stages: the profile of shop has
// none of its own.
func withStages(t testing.TB, pairs ...string) string {
	t.Helper()
	return with(t, append(pairs, "    stages: [{steady: {rate: 30/m, arrivals: uniform, max_users: 7, for: 90s}}]", "    about: The same.")...)
}

func TestARecoveryIsJudgedOnThePeakThatItFollows(t *testing.T) {
	src := withStages(t, "slos:", `  - spike: {users: 20, for: 1m}
  - steady: {name: after, users: 5, for: 1m, personas: [guest]}
slos:
  - p95 < 300ms within 30s after spike
  - p95{persona=guest} < 300ms every 10s within 30s after spike`)
	s := parse(t, src, Options{})
	for _, promise := range s.SLOs[:2] {
		if got := s.Judged(promise.Objective); len(got) != 1 || got[0].Name != "spike" || s.WholeRun(promise.Objective) {
			t.Errorf("%s is judged on %v", promise.Objective.Text, got)
		}
	}
	brief := withStages(t, "slos:", `  - spike: {users: 20, for: 1m, back: 3s}
  - steady: {name: after, users: 5, for: 2s}
slos:
  - p95 < 300ms within 30s after spike`)
	if s := parse(t, brief, Options{}); len(s.Judged(s.SLOs[0].Objective)) != 1 {
		t.Error("the way back from the peak is no part of what follows it")
	}
	blind := onlyFault(t, withStages(t, "slos:", `  - spike: {users: 20, for: 1m}
  - steady: {name: after, users: 5, for: 1m, personas: [guest]}
slos:
  - p95{persona=buyer} < 300ms within 30s after spike`), Options{})
	if !strings.Contains(blind.Msg, "the stage after, which comes after spike, has no request that it could see") {
		t.Error(blind)
	}
}

func TestTotalsAreJudgedOverTheWholeRun(t *testing.T) {
	src := withStages(t, "slos:", `  - pause: {for: 5s}
  - steady: {name: guests, users: 5, for: 1m, personas: [guest]}
slos:
  - successes{persona=buyer} >= requests{task=look}
  - successes{persona=guest} < requests{persona=buyer}
  - p95{task=on_start} < 1s
  - p95{task=on_start} < 1s during steady`)
	s := parse(t, src, Options{})
	for i, want := range []struct {
		stages string
		whole  bool
	}{{"warmup steady", true}, {"warmup steady guests", true}, {"steady", true}, {"steady", false}} {
		o := s.SLOs[i].Objective
		var got []string
		for _, st := range s.Judged(o) {
			got = append(got, st.Name)
		}
		if strings.Join(got, " ") != want.stages || s.WholeRun(o) != want.whole {
			t.Errorf("%s is judged on %v, over the whole run: %v", o.Text, got, s.WholeRun(o))
		}
	}
	idle := withStages(t, "guest:", "idle:\n    weight: 0\n    tasks: {list: 1}\n  guest:", "slos:", "slos:\n  - successes{persona=idle} >= requests{persona=buyer}")
	if f := onlyFault(t, idle, Options{}); !strings.Contains(f.Msg, "no stage has one for successes{persona=idle}") {
		t.Error(f)
	}
}

func TestJudgedStagesAreThoseThatTheObjectiveCanSee(t *testing.T) {
	src := with(t, "slos:", `  - spike: {users: 20, for: 1m, personas: [guest]}
  - steady: {name: open, rate: 5/s, for: 1m, personas: [buyer]}
  - steps: {from: 1, to: 2, by: 1, every: 1s}
  - pause: {for: 5s}
slos:
  - p95{endpoint=login} < 1s
  - p95{task=look} < 1s
  - dropped == 0
  - p95 < 300ms during steps
  - p95 < 300ms during warmup
  - p95{stage=spike} < 300ms`)
	src, _, _ = strings.Cut(src, "profiles:")
	s := parse(t, src, Options{})
	want := map[string]string{
		"p95 < 200ms":                "steady spike open",
		"errors < 1% during steady":  "steady",
		"p99{persona=guest} < 500ms": "steady spike",
		"p95{endpoint=login} < 1s":   "steady open",
		"p95{task=look} < 1s":        "steady open",
		"dropped == 0":               "open",
		"p95 < 300ms during steps":   "steps",
		"p95 < 300ms during warmup":  "warmup",
		"p95{stage=spike} < 300ms":   "spike",
	}
	for _, promise := range s.SLOs {
		var names []string
		for _, st := range s.Judged(promise.Objective) {
			names = append(names, st.Name)
		}
		if got := strings.Join(names, " "); got != want[promise.Objective.Text] {
			t.Errorf("%s is judged on %q", promise.Objective.Text, got)
		}
	}
}

func TestSOCSpecIsTheWholeLocustSuite(t *testing.T) {
	src, err := os.ReadFile("../../specs/soc.yaml")
	if err != nil {
		t.Fatal(err)
	}
	total := map[string]time.Duration{
		"": 300 * time.Second, "smoke": 20 * time.Second, "steady": 300 * time.Second, "spike": 180 * time.Second,
		"doc-20": 2 * time.Minute, "doc-10": 5 * time.Minute, "doc-50": 2 * time.Minute, "verify": 30 * time.Second, "k8s": 60 * time.Second,
	}
	users := map[string]int{"": 10, "smoke": 10, "steady": 10, "spike": 50, "doc-20": 20, "doc-10": 10, "doc-50": 50, "verify": 5, "k8s": 10}
	for profile := range total {
		s := parse(t, string(src), Options{Profile: profile})
		if len(s.Profiles) != len(total)-1 {
			t.Errorf("profiles %v", s.Profiles)
		}
		var tasks []string
		for _, p := range s.Personas {
			for _, task := range p.Tasks {
				tasks = append(tasks, fmt.Sprintf("%s %d %v-%v %d %s", p.Name, p.Weight, p.Think.Min, p.Think.Max, task.Weight, task.Steps[0].Name))
			}
		}
		want := []string{
			"steady_state 5 2s-5s 5 /api/threats/trigger [steady]",
			"steady_state 5 2s-5s 2 /api/threats [list]",
			"steady_state 5 2s-5s 1 / [health]",
			"burst_attack 2 100ms-500ms 8 /api/threats/trigger [burst]",
			"burst_attack 2 100ms-500ms 1 /api/threats [list]",
			"burst_attack 2 100ms-500ms 1 / [health]",
			"mixed_realistic 3 1s-3s 6 /api/threats/trigger [mixed]",
			"mixed_realistic 3 1s-3s 2 /api/threats/trigger [scenario]",
			"mixed_realistic 3 1s-3s 1 /api/threats [list]",
			"mixed_realistic 3 1s-3s 1 / [health]",
		}
		if diff := cmp.Diff(want, tasks); diff != "" {
			t.Error(diff)
		}
		st := s.Stages[0]
		length := st.For + st.Back + st.Ramp.Over
		if st.Ramp.Rate > 0 {
			length += time.Duration(float64(st.Level.Users) / st.Ramp.Rate * float64(time.Second))
		}
		if len(s.Stages) != 1 || length != total[profile] || st.Level.Users != users[profile] {
			t.Errorf("profile %q: %d users for %v", profile, st.Level.Users, length)
		}
	}
}

func TestSOCScenarioExpectsTheThreatThatItRaises(t *testing.T) {
	src, err := os.ReadFile("../../specs/soc.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s := parse(t, string(src), Options{})
	raised := map[string]string{"crypto_surge": "rate_limit_breach", "bot_attack": "bot_traffic", "geo_impossible": "geo_anomaly", "critical_threat": "device_compromise"}
	scenario := s.Endpoints[slices.IndexFunc(s.Endpoints, func(e *Endpoint) bool { return e.Key == "trigger_scenario" })]
	met := map[string]bool{}
	for i := range uint64(100) {
		ctx := &expr.Ctx{Slots: make([]expr.Value, len(s.Slots)), Key: expr.NewKey(1, 0, 0, i)}
		for _, v := range scenario.Values {
			if ctx.Slots[v.Slot], err = v.Value.Value(ctx); err != nil {
				t.Fatal(err)
			}
		}
		body, err := scenario.Body.Append(nil, ctx)
		if err != nil {
			t.Fatal(err)
		}
		want, err := scenario.Expect.JSON[3].Want.Value(ctx)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(strings.TrimPrefix(string(body), `{"scenario":"`), `"}`)
		if raised[name] == "" || want.Text() != raised[name] {
			t.Errorf("%s expects %s", body, want.Text())
		}
		met[name] = true
	}
	if len(met) != 4 {
		t.Errorf("only %v were drawn", met)
	}
}
