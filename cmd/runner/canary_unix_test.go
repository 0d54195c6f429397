//go:build unix

package main

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"tollgate/internal/postgres/postgrestest"
)

// canaries are secrets, each for one way into a run. They are unlike everything
// else, by their beginning already, so that a piece of one is found as well.
var canaries = map[string]string{
	"environment":   `CANARY01-<a href="/">&'` + "\\é+/=",
	"password":      `CANARY02-it's/a p@ss:w%rd?`,
	"header":        `CANARY03-a+b/c=="<x>"`,
	"cookie":        `CANARY04-kept.by.the.jar`,
	"token":         `CANARY05-eyJhbGciOiJub25lIn0.saved`,
	"query":         `CANARY06-q&a=b c+%/`,
	"redirect":      `CANARY07-where.it.leads`,
	"error":         `CANARY08-"quoted" by \ the server`,
	"panic":         `CANARY09-the sky & all is falling`,
	"feeder":        `CANARY10-of-a-row`,
	"basic":         `CANARY11-p4ss~word`,
	"form":          `CANARY12-f%rm & b<o>dy`,
	"as the target": `CANARY13-http:not/a:url`,
}

// traces are the ways in which a canary, or its beginning, may stand in a file.
func traces(canary string) []string {
	quoted, _ := json.Marshal(canary)
	start := canary[:9]
	out := []string{
		start, canary, url.QueryEscape(canary), url.PathEscape(canary), strings.ToLower(url.QueryEscape(canary)),
		strings.Trim(string(quoted), `"`), strconv.Quote(canary), fmt.Sprintf("%x", start),
	}
	for before := range 3 { // inside longer base64, without what mixes with its neighbours
		text := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("\x00", before) + start))
		from, to := (before*8+5)/6, len(text)
		if (before+len(start))%3 != 0 {
			to--
		}
		out = append(out, text[from:to])
	}
	return out
}

// inflated is what is packed in some bytes, wherever it begins.
func inflated(b []byte) []byte {
	var out bytes.Buffer
	for i := range b {
		if text, _ := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(b[i:])), 1<<20)); len(text) > 40 {
			out.Write(text)
			out.WriteByte('\n')
		}
	}
	return out.Bytes()
}

// leaks says which canaries are in a text.
func leaks(t *testing.T, where string, text []byte) {
	t.Helper()
	for name, canary := range canaries {
		for _, trace := range traces(canary) {
			if i := bytes.Index(text, []byte(trace)); i >= 0 {
				t.Errorf("%s holds the canary of %s as %q: …%s…", where, name, trace, text[max(0, i-120):min(len(text), i+120)])
				break
			}
		}
	}
}

// searched looks at all files of a folder, and returns how many there are.
func searched(t *testing.T, dir string) (files int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		leaks(t, path, text)
		if strings.HasSuffix(path, "run.journal") {
			leaks(t, path+", unpacked", inflated(text))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// gossip is a target that gives back, in every place of an answer, what it was
// sent and what it has handed out.
type gossip struct {
	received atomic.Int64
	mu       sync.Mutex
	waiting  map[int64]chan struct{}
}

func (g *gossip) after(n int64) <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := make(chan struct{})
	g.waiting[n] = c
	return c
}

func (g *gossip) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := g.received.Add(1)
	g.mu.Lock()
	if c := g.waiting[n]; c != nil {
		close(c)
	}
	g.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	heard := fmt.Sprint(r.Header.Get("Authorization"), " ", r.Header.Get("X-Key"), " ", r.Header.Get("Cookie"), " ", r.URL.RawQuery, " ", form)
	switch r.URL.Path {
	case "/login":
		http.SetCookie(w, &http.Cookie{Name: "sid", Value: canaries["cookie"], Path: "/"})
		fmt.Fprintf(w, `{"token": %q, "heard": %q}`, canaries["token"], heard)
		return
	case "/away":
		w.Header().Set("Location", "http://elsewhere.test/"+url.QueryEscape(canaries["redirect"])+"?t="+url.QueryEscape(canaries["token"]))
		w.WriteHeader(http.StatusFound)
		return
	case "/nowhere":
		w.Header().Set("Location", "http://[bad/?t="+url.QueryEscape(canaries["token"])+"&k="+url.QueryEscape(r.Header.Get("X-Key")))
		w.WriteHeader(http.StatusFound)
		return
	case "/metrics":
		fmt.Fprintf(w, "answered{key=%q} 7\n", r.Header.Get("X-Key"))
		return
	case "/broken":
		w.Header()["X-Heard"] = []string{heard}
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprint(w, heard)
		return
	case "/query": // an error of Prometheus's
		w.WriteHeader(http.StatusUnprocessableEntity)
		fmt.Fprintf(w, `{"status": "error", "error": %q}`, canaries["query"])
		return
	}
	w.Header()["X-Heard"] = []string{heard}
	w.Header()["X-Form"] = []string{strings.Repeat("f", 60) + form.Get("k")}
	w.Header()["X-Token"] = []string{"another " + strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")}
	long := strings.Repeat("x", 64)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"heard": heard, "cut": long + canaries["header"], "cut64": long[:49] + base64.StdEncoding.EncodeToString([]byte("user:"+canaries["header"])),
		"token": canaries["token"], "user": form.Get("user"), "mark": "fine",
	})
}

const canarySpec = `version: 1
name: canaries
about: nobody may read them
target:
  url: "${env.TARGET}"
  ready: GET /
  headers: {X-Key: "${secret(\"HEADER\")}"}
  redirects: 2
env: [TARGET]
values:
  accounts: {csv: rows.csv}
endpoints:
  login:
    request: POST /login
    form: {user: "${accounts.name}", k: "${secret(\"FORM\")}"}
    save: {token: token}
  home: {request: GET /}
  search: {request: "GET /s?q=${secret(\"QUERY\")}"}
  form: {request: POST /f, form: {user: "${accounts.name}", k: "${secret(\"FORM\")}"}, auth: {bearer: "${token}"}, expect: {json: {mark: MARK}}}
  echo: {request: POST /e, form: {k: "${secret(\"FORM\")}"}, auth: {bearer: "${token}"}, expect: {json: {heard: MARK}}}
  cut: {request: GET /c, expect: {json: {cut: MARK}}}
  cut64: {request: GET /c, expect: {json: {cut64: MARK}}}
  header: {request: "GET /h?q=${secret(\"QUERY\")}", expect: {header: {X-Heard: MARK}}}
  formed: {request: POST /h, form: {k: "${secret(\"FORM\")}"}, expect: {header: {X-Form: MARK}}}
  shown: {request: GET /t, auth: {bearer: "${token}"}, expect: {header: {X-Token: MARK}}}
  tokened: {request: GET /t, auth: {bearer: "${token}"}, expect: {json: {token: MARK}}}
  wanted: {request: GET /t, auth: {bearer: "${token}"}, expect: {json: {mark: "${token}"}}}
  missed: {request: GET /broken, auth: {bearer: "${token}"}, expect: {status: 418, body: {contains: "<${token}>"}}}
  own: {request: GET /t, expect: {json: {mark: "${secret(\"ENVIRONMENT\")}"}}}
  login2: {request: POST /login, form: {user: x}, expect: {header: {Set-Cookie: MARK}}}
  away: {request: GET /away}
  nowhere: {request: GET /nowhere}
  broken: {request: GET /broken}
probes:
  rows: {sql: select count(*) from places, postgres: "${secret(\"DATABASE\")}", every: 1s}
  wrong: {sql: "select '${secret(\"ERROR\")}'::int", postgres: "${secret(\"DATABASE\")}", every: 1s}
  metrics: {scrape: /metrics, metric: answered, every: 1s}
  denied: {prometheus: "http://u:${secret(\"BASIC\")}@127.0.0.1:1", query: "up{k='${secret(\"QUERY\")}'}", every: 1s}
seed:
  postgres: ${secret("DATABASE")}
  rows: [{table: places, row: {id: "${1000 + n}", name: "${secret(\"ERROR\")}"}}]
personas:
  good: {on_start: [login], think: 50ms, tasks: {home: 1, search: 1, form: 1}}
PERSONA
stages: [steady: {users: 4, for: LONG}]
confidence: off
slos: [SLO]
`

// In every way in which a run can end, no secret is in anything that it leaves,
// and of what a target hands out neither: cookies, tokens, rows of files.
func TestCanariesAreInNoArtefact(t *testing.T) {
	g := &gossip{waiting: map[int64]chan struct{}{}}
	server := httptest.NewServer(g)
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	database := postgrestest.Database(t)
	there, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	admin, err := pgconn.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(t.Context())
	if _, err := admin.Exec(t.Context(), `create table places (id int primary key, name text)`).ReadAll(); err != nil {
		t.Fatal(err)
	}
	dsn := *there
	dsn.User = url.UserPassword(there.User.Username(), canaries["password"])
	if p, own := there.User.Password(); own { // a server that asks for it
		dsn.User = url.UserPassword(there.User.Username(), p)
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		at := filepath.Join(dir, name)
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return at
	}
	write("rows.csv", "name\n"+strings.Repeat(canaries["feeder"]+"\n", 40))
	spec := func(name, persona, mark, slo, long string, more ...string) string {
		text := strings.NewReplacer(append([]string{"PERSONA\n", persona, "MARK", mark, "SLO", slo, "LONG", long}, more...)...).Replace(canarySpec)
		return write(name+".yaml", text)
	}
	const bad = "  bad: {on_start: [login], think: 5ms, tasks: {echo: 1, cut: 1, cut64: 1, header: 1, formed: 1, shown: 1, tokened: 1, wanted: 1, missed: 1, own: 1, login2: 1, away: 1, nowhere: 1, broken: 1}}\n"
	env := append(os.Environ(), "CI=", "GITHUB_ACTIONS=",
		"TARGET=http://load:"+url.QueryEscape(canaries["basic"])+"@"+host, "DATABASE="+dsn.String(),
		"ENVIRONMENT="+canaries["environment"], "HEADER="+canaries["header"], "QUERY="+canaries["query"], "ERROR="+canaries["error"],
		"BASIC="+canaries["basic"], "FORM="+canaries["form"], "UNDECLARED="+canaries["environment"], "WRONG="+canaries["as the target"])
	command := func(more []string, args ...string) (*exec.Cmd, *bytes.Buffer) {
		c := exec.Command("runner", args...)
		c.Dir, c.Env = dir, append(env, more...)
		var out bytes.Buffer
		c.Stdout, c.Stderr = &out, &out
		return c, &out
	}
	tried := 0
	finished := func(c *exec.Cmd, out *bytes.Buffer, want code) string {
		t.Helper()
		tried++
		_ = c.Wait() // the state tells
		if got := c.ProcessState.ExitCode(); got != int(want) {
			t.Errorf("%v: exit code %d, want %d:\n%s", c.Args[1:], got, want, out)
		}
		leaks(t, fmt.Sprint(c.Args[1:], ": what was printed"), out.Bytes())
		return out.String()
	}
	run := func(want code, more []string, args ...string) string {
		t.Helper()
		c, out := command(more, args...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		return finished(c, out, want)
	}
	run(pass, nil, "attest", "--keygen", "key")
	whole := func(name string) {
		t.Helper()
		c, out := command(nil, "attest", name, "--key", "key")
		_ = c.Run() // a FAILED statement is one
		leaks(t, "attest "+name, out.Bytes())
		c, out = command(nil, "verify", name, "--pub", "key.pub")
		_ = c.Run()
		leaks(t, "verify "+name, out.Bytes())
		run(pass, nil, "report", name)
		if n := searched(t, filepath.Join(dir, name)); n < 10 {
			t.Errorf("%s has %d files", name, n)
		}
	}

	// Refused: the database is not marked; the hosts are not allowed.
	good := spec("pass", "", "fine", "p95 < 30s, metrics < 8", "1500ms")
	run(refused, nil, "run", good, "--out", "unmarked")
	whole("unmarked")
	run(refused, nil, "run", good, "--out", "denied", "--allow-host", "10.0.0.0/8")
	run(pass, nil, "seed", good, "--mark")
	run(pass, nil, "clean", good)

	run(pass, nil, "run", good, "--out", "pass", "--csv", filepath.Join(dir, "pass", "locust"))
	whole("pass")
	run(pass, nil, "run", good, "--out", "json", "--json")
	run(pass, nil, "plan", good)
	run(pass, nil, "check", good, "--format", "json")

	broken := spec("breach", bad, "nothing like it", "errors < 1%, wrong < 5", "2s")
	run(unreachable, nil, "run", broken, "--out", "silent") // an SLO rests on a probe that answers with an error
	whole("silent")
	broken = spec("breach", bad, "nothing like it", "errors < 1%", "2s")
	run(breach, nil, "run", broken, "--out", "breach", "--format", "github")
	run(breach, []string{"GITHUB_ACTIONS=true"}, "run", broken, "--out", "breach")
	whole("breach")
	run(unreachable, []string{"TARGET=http://load:" + canaries["basic"] + "@127.0.0.1:1"}, "run", broken, "--out", "unreachable")
	run(unreachable, []string{"TARGET=https://load:" + canaries["basic"] + "@" + host}, "run", broken, "--out", "tls")
	run(unreachable, []string{"DATABASE=postgres://app:" + url.QueryEscape(canaries["password"]) + "@127.0.0.1:1/x"}, "run", good, "--out", "nodb")
	whole("unreachable")
	whole("nodb")
	for _, wrong := range []string{"http://u:" + canaries["as the target"] + "@h", canaries["as the target"], "http://[" + canaries["as the target"]} {
		run(badSpec, []string{"TARGET=" + wrong}, "run", write("bad.yaml", strings.Replace(canarySpec, "${env.TARGET}", `${secret(\"TARGET\")}`, 1)), "--out", "bad")
		run(badSpec, []string{"DATABASE=" + wrong}, "run", good, "--out", "bad")
	}
	run(badSpec, nil, "run", good, "--out", "bad", "--target", "http://u:"+canaries["as the target"]+"@h")

	// The server refuses a row, and quotes it.
	if _, err := admin.Exec(t.Context(), `alter table places add constraint short check (length(name) < 3)`).ReadAll(); err != nil {
		t.Fatal(err)
	}
	run(seedFailed, nil, "run", good, "--out", "unseeded")
	whole("unseeded")
	if _, err := admin.Exec(t.Context(), `alter table places drop constraint short`).ReadAll(); err != nil {
		t.Fatal(err)
	}

	// Signals, in the middle of the failures.
	endless := spec("endless", bad, "nothing like it", "errors < 1%", "10m")
	for _, sign := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		name := sign.String()
		name = name[:4]
		loaded := g.after(g.received.Load() + 800)
		c, out := command(nil, "run", endless, "--out", name)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-loaded:
		case <-time.After(time.Minute):
			t.Error("no load")
		}
		if n := searched(t, filepath.Join(dir, name)); n != 1 {
			t.Errorf("%d files of a run that goes on", n)
		}
		if err := c.Process.Signal(sign); err != nil {
			t.Fatal(err)
		}
		if sign == syscall.SIGKILL {
			finished(c, out, -1)
			searched(t, filepath.Join(dir, name))
			run(interrupted, nil, "report", "--recover", name)
		} else {
			finished(c, out, interrupted)
		}
		whole(name)
	}
	searched(t, filepath.Join(dir, "denied"))
	t.Logf("%d command lines, %d canaries", tried, len(canaries))
}

// An error of ours that holds a secret is printed without it.
func TestPanicTellsNoSecret(t *testing.T) {
	c, written := paper(t)
	a := &app{err: c.out, canvas: c}
	a.err.keepSecret(canaries["panic"])
	if got := a.guard(func() code { panic(fmt.Errorf("bad value %q in %s", canaries["panic"], canaries["panic"])) }); got != internal {
		t.Errorf("exit code %d", got)
	}
	leaks(t, "the panic", []byte(written()))
}
