package exec

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/internal/measure"
	"tollgate/pkg/spec"
)

// What a user of HTTP expects, over every driver of this system: the same spec,
// the same requests at the target, the same accounts.

// witness is a target that remembers what it saw.
type witness struct {
	*httptest.Server
	mu    sync.Mutex
	seen  []*http.Request
	at    []time.Time
	body  []string
	conns map[net.Conn]bool
}

// witnesses are all of them: after a run their accounts may be read. To the race
// detector the loops' raw system calls order nothing.
var witnesses sync.Map

func newWitness(t *testing.T, answer http.HandlerFunc) *witness {
	t.Helper()
	w := &witness{conns: map[net.Conn]bool{}}
	witnesses.Store(w, nil)
	w.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.mu.Lock()
		w.seen = append(w.seen, r)
		w.at = append(w.at, time.Now())
		w.body = append(w.body, string(body))
		w.mu.Unlock()
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		answer(rw, r)
	}))
	w.Config.ConnState = func(c net.Conn, s http.ConnState) {
		if s == http.StateNew {
			w.mu.Lock()
			w.conns[c] = true
			w.mu.Unlock()
		}
	}
	w.Start()
	t.Cleanup(w.Close)
	return w
}

func (w *witness) addr() string { return w.Listener.Addr().String() }

// paths counts the requests by method and path.
func (w *witness) paths() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string]int{}
	for _, r := range w.seen {
		out[r.Method+" "+r.URL.Path]++
	}
	return out
}

// play runs a spec with the files that it names.
func play(t *testing.T, driver, text string, files map[string]string) *Result {
	t.Helper()
	return playWithin(t, t.Context(), driver, text, files)
}

func playWithin(t *testing.T, ctx context.Context, driver, text string, files map[string]string) *Result {
	t.Helper()
	s, faults := spec.Parse("test.yaml", []byte(text), spec.Options{ReadFile: func(name string) ([]byte, error) {
		if content, ok := files[name]; ok {
			return []byte(content), nil
		}
		return nil, os.ErrNotExist
	}})
	if s == nil {
		t.Fatalf("spec: %v\n%s", faults, text)
	}
	p, err := Compile(s, Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	to, err := Preflight(ctx, s, PreflightOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(ctx, p, RunOptions{Addresses: to, Driver: driver, Loops: 2, RunID: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Snapshot.Check(); err != nil {
		t.Error(err)
	}
	witnesses.Range(func(w, _ any) bool {
		w.(*witness).mu.Lock()
		defer w.(*witness).mu.Unlock()
		return true
	})
	return r
}

// agree fails unless every request succeeded and the witnesses saw each once.
func agree(t *testing.T, r *Result, all ...*witness) {
	t.Helper()
	n := uint64(0)
	for _, w := range all {
		w.mu.Lock()
		n += uint64(len(w.seen))
		w.mu.Unlock()
	}
	row := total(r)
	if row.OK != n || row.Failures+row.Aborted+row.NotIssued > 0 {
		t.Errorf("the target saw %d; %d ok, outcomes %v, %d not issued, failures %+v", n, row.OK, row.Outcomes, row.NotIssued, r.Snapshot.Failures)
	}
}

func TestCookiesBelongToTheirUser(t *testing.T) {
	overDrivers(t, func(t *testing.T, driver string) {
		w := newWitness(t, func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/login" {
				http.SetCookie(rw, &http.Cookie{Name: "session", Value: r.URL.Query().Get("user"), Path: "/", HttpOnly: true})
				http.SetCookie(rw, &http.Cookie{Name: "elsewhere", Value: "1", Path: "/admin"})
				return
			}
			if c, err := r.Cookie("session"); err != nil || c.Value != r.URL.Query().Get("user") || len(r.Cookies()) != 1 {
				rw.WriteHeader(http.StatusUnauthorized)
			}
		})
		text := fmt.Sprintf(`version: 1
name: test
target: {url: "http://%s"}
endpoints:
  login: GET /login?user=${user.id}
  me: GET /me?user=${user.id}
personas: {p: {think: 5ms..20ms, on_start: [login], tasks: {me: 1}}}
stages: [steady: {users: 20, for: 500ms}]
`, w.addr())
		agree(t, play(t, driver, text, nil), w)
		// And where they are not wanted, they are not sent.
		r := play(t, driver, strings.Replace(text, `"}`, `", cookies: false}`, 1), nil)
		if row := total(r); row.Outcomes[measure.Status] == 0 {
			t.Errorf("cookies: false, and the session is known: %v", row.Outcomes)
		}
	})
}

func TestEachHopOfARedirectIsASample(t *testing.T) {
	overDrivers(t, func(t *testing.T, driver string) {
		w := newWitness(t, func(rw http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/start":
				http.Redirect(rw, r, "/moved?x=1", http.StatusTemporaryRedirect)
			case "/moved":
				http.Redirect(rw, r, "/end", http.StatusSeeOther)
			case "/loop":
				http.Redirect(rw, r, "/loop", http.StatusFound)
			case "/end":
				fmt.Fprintf(rw, `{"method": %q, "auth": %q}`, r.Method, r.Header.Get("Authorization"))
			}
		})
		text := fmt.Sprintf(`version: 1
name: test
target: {url: "http://%s"}
endpoints:
  chain:
    request: POST /start
    redirects: 2
    headers: {Authorization: Bearer abc}
    json: {id: "${uuid()}"}
    expect: {status: 200, json: {method: GET, auth: Bearer abc}}
  short: {request: POST /start, redirects: 1, json: {a: 1}}
  answer: {request: GET /start, expect: {status: 307}}
  loop: {request: GET /loop, redirects: 5}
personas: {p: {think: 10ms, tasks: {chain: 1, short: 1, answer: 1, loop: 1}}}
stages: [steady: {users: 8, for: 500ms}]
`, w.addr())
		r := play(t, driver, text, nil)
		rows := map[string]measure.Row{}
		for _, row := range r.Snapshot.Rows() {
			rows[row.Name] = row
		}
		seen := w.paths()
		if got := rows["chain"].OK + rows["short"].OK + rows["short"].Failures + rows["answer"].OK + rows["loop"].OK + rows["loop"].Failures; int(got) != len(w.seen) || rows["chain"].Failures > 0 {
			t.Errorf("the target saw %v; chain %+v", seen, rows["chain"])
		}
		if got := rows["chain"].OK; got == 0 || got != uint64(3*seen["GET /end"]) {
			t.Errorf("%d samples of a chain of three, and %d ends", got, seen["GET /end"])
		}
		if got := rows["short"]; got.Failures == 0 || got.Outcomes[measure.Check] != got.Failures || got.OK != got.Failures {
			t.Errorf("two hops where one is allowed: %v", got.Outcomes)
		}
		if got := rows["loop"]; got.Outcomes[measure.Check] == 0 || got.OK != 5*got.Failures || int(got.OK+got.Failures) != seen["GET /loop"] {
			t.Errorf("a loop with five hops: %v, the target saw %d", got.Outcomes, seen["GET /loop"])
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		var first string // the body goes along with 307, and is the same
		for i, q := range w.seen {
			switch q.URL.Path {
			case "/moved":
				if w.body[i] == "" || !slices.Contains(w.body[:i], w.body[i]) {
					t.Fatalf("after 307 the body is %q, not the one before", w.body[i])
				}
				if first == "" {
					first = w.body[i]
				}
			case "/end":
				if w.body[i] != "" || q.Header.Get("Content-Type") != "" {
					t.Fatalf("after 303 a body goes along: %q, %q", w.body[i], q.Header.Get("Content-Type"))
				}
			}
		}
	})
}

func TestNoCredentialCrossesAnOrigin(t *testing.T) {
	overDrivers(t, func(t *testing.T, driver string) {
		other := newWitness(t, func(rw http.ResponseWriter, r *http.Request) {})
		w := newWitness(t, func(rw http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/away":
				http.Redirect(rw, r, other.URL+"/landed", http.StatusTemporaryRedirect)
			case "/unknown":
				http.Redirect(rw, r, "http://127.0.0.1:9/", http.StatusFound)
			case "/login":
				http.SetCookie(rw, &http.Cookie{Name: "session", Value: "secret", Path: "/"})
			}
		})
		r := play(t, driver, fmt.Sprintf(`version: 1
name: test
target: {url: "http://%s", headers: {X-Key: secret}, auth: {bearer: secret}}
targets: {cdn: "http://%s"}
endpoints:
  login: GET /login
  away: {request: PUT /away, redirects: 3, headers: {X-Token: secret}, json: {a: 1}}
  unknown: {request: GET /unknown, redirects: 3}
  direct: {request: GET /direct, on: cdn}
personas: {p: {think: 5ms, on_start: [login], headers: {Proxy-Authorization: secret}, tasks: {away: 1}}, q: {think: 5ms, tasks: {unknown: 1, direct: 1}}}
stages: [steady: {users: 6, for: 300ms}]
`, w.addr(), other.addr()), nil)
		other.mu.Lock()
		defer other.mu.Unlock()
		landed, direct := 0, 0
		for i, q := range other.seen {
			if q.URL.Path == "/direct" {
				direct++
			}
			if q.URL.Path == "/landed" {
				landed++
				if q.Method != "PUT" || w.body[0] == "x" || other.body[i] != `{"a":1}` {
					t.Errorf("%s with %q arrived", q.Method, other.body[i])
				}
				if all := fmt.Sprint(q.Header); strings.Contains(all, "secret") {
					t.Fatalf("a credential crossed: %v", q.Header)
				}
			}
		}
		if landed == 0 || direct == 0 {
			t.Errorf("%d redirects landed, %d direct calls", landed, direct)
		}
		for _, row := range r.Snapshot.Rows() {
			if row.Name == "unknown" && (row.OK > 0 || row.Outcomes[measure.Check] == 0) {
				t.Errorf("a redirect to nobody's target: %v", row.Outcomes)
			}
			if row.Name == "away" && row.Failures > 0 {
				t.Errorf("away: %v %+v", row.Outcomes, r.Snapshot.Failures)
			}
		}
	})
}

func TestCompressedBodiesAreRead(t *testing.T) {
	overDrivers(t, func(t *testing.T, driver string) {
		w := newWitness(t, func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(rw)
			switch r.URL.Path {
			case "/good":
				fmt.Fprint(z, `{"fine": true, "pad": "`+strings.Repeat("x", 5000)+`"}`)
			case "/bomb":
				_, _ = z.Write(make([]byte, 11<<20))
			}
			_ = z.Close()
		})
		r := play(t, driver, fmt.Sprintf(`version: 1
name: test
target: {url: "http://%s", headers: {Accept-Encoding: gzip}}
endpoints:
  good: {request: GET /good, expect: {json: {fine: true}}}
  bomb: {request: GET /bomb, expect: {body: {contains: x}}}
personas: {p: {think: 20ms, tasks: {good: 3, bomb: 1}}}
stages: [steady: {users: 3, for: 500ms}]
`, w.addr()), nil)
		for _, row := range r.Snapshot.Rows() {
			switch {
			case row.Name == "good" && (row.OK == 0 || row.Failures > 0),
				row.Name == "bomb" && (row.OK > 0 || row.Outcomes[measure.TooLarge] == 0):
				t.Errorf("%s: %v", row.Name, row.Outcomes)
			}
		}
	})
}

func TestConnectionPolicies(t *testing.T) {
	overDrivers(t, func(t *testing.T, driver string) {
		for policy, right := range map[string]func(conns, requests int) bool{
			"user":     func(conns, _ int) bool { return conns == 1+12 }, // and the preflight's
			"request":  func(conns, requests int) bool { return conns == 1+requests },
			"pool(3)":  func(conns, _ int) bool { return conns == 1+3 },
			"pool(40)": func(conns, _ int) bool { return conns > 3 && conns <= 1+12 },
		} {
			w := newWitness(t, func(rw http.ResponseWriter, r *http.Request) { time.Sleep(2 * time.Millisecond) })
			r := play(t, driver, fmt.Sprintf(`version: 1
name: test
target: {url: "http://%s", connection: {per: %s}}
endpoints: {a: GET /a, b: {request: POST /b, json: {n: "${user.id}"}}}
personas: {p: {think: 1ms..5ms, tasks: {a: 1, b: 1}}}
stages: [steady: {users: 12, for: 300ms}]
`, w.addr(), policy), nil)
			agree(t, r, w)
			if !right(len(w.conns), len(w.seen)) {
				t.Errorf("per %s: %d connections for %d requests of 12 users", policy, len(w.conns), len(w.seen))
			}
		}
	})
}

func TestWaitForAPoolIsTheTargetsTime(t *testing.T) {
	overDrivers(t, func(t *testing.T, driver string) {
		w := newWitness(t, func(rw http.ResponseWriter, r *http.Request) { time.Sleep(20 * time.Millisecond) })
		r := play(t, driver, fmt.Sprintf(`version: 1
name: test
target: {url: "http://%s", connection: {per: pool(2)}}
endpoints: {a: GET /a}
personas: {p: {think: 0s, tasks: {a: 1}}}
stages: [steady: {users: 10, for: 500ms}]
`, w.addr()), nil)
		agree(t, r, w)
		row := total(r)
		if got := row.Response.Quantile(0.5); got < 0.080 {
			t.Errorf("ten users of two connections at 20 ms each wait %.3f s at the median", got)
		}
		if got := row.Service.Quantile(0.5); got > 0.060 {
			t.Errorf("the target takes %.3f s at the median", got)
		}
	})
}

func TestRequestsOfTheRunItself(t *testing.T) {
	overDrivers(t, func(t *testing.T, driver string) {
		w := newWitness(t, func(rw http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/open":
				fmt.Fprint(rw, `{"id": "s-7"}`)
			case "/work", "/close":
				if r.URL.Query().Get("id") != "s-7" {
					rw.WriteHeader(http.StatusBadRequest)
				}
			}
		})
		r := play(t, driver, fmt.Sprintf(`version: 1
name: test
target: {url: "http://%s"}
endpoints:
  open: {request: POST /open, save: {session: id}}
  work: GET /work?id=${session}
  close: DELETE /close?id=${session}
before: [open]
after: [close]
personas: {p: {think: 10ms, tasks: {work: 1}}}
stages: [steady: {users: 5, for: 300ms}]
`, w.addr()), nil)
		agree(t, r, w)
		seen := w.paths()
		if seen["POST /open"] != 1 || seen["DELETE /close"] != 1 || seen["GET /work"] == 0 {
			t.Errorf("the target saw %v", seen)
		}
		if first, last := w.seen[0].URL.Path, w.seen[len(w.seen)-1].URL.Path; first != "/open" || last != "/close" {
			t.Errorf("the first request was %s, the last %s", first, last)
		}
	})
}

func TestNoUserIsLetInWhenARequestBeforeTheRunFails(t *testing.T) {
	overDrivers(t, func(t *testing.T, driver string) {
		w := newWitness(t, func(rw http.ResponseWriter, r *http.Request) { rw.WriteHeader(http.StatusInternalServerError) })
		r := play(t, driver, fmt.Sprintf(`version: 1
name: test
target: {url: "http://%s"}
endpoints: {open: POST /open, work: GET /work}
before: [open]
personas: {p: {think: 10ms, tasks: {work: 1}}}
stages: [steady: {users: 5, for: 30s}]
`, w.addr()), nil)
		if seen := w.paths(); len(seen) != 1 || r.Aborted == "" {
			t.Errorf("the target saw %v, aborted: %q", seen, r.Aborted)
		}
	})
}

func TestRefreshIsSetUpDoneAgain(t *testing.T) {
	overDrivers(t, func(t *testing.T, driver string) {
		var mu sync.Mutex
		born := map[string]time.Time{}
		w := newWitness(t, func(rw http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			if r.URL.Path == "/login" {
				token := fmt.Sprintf("t%d", len(born))
				born[token] = time.Now()
				fmt.Fprintf(rw, `{"token": %q}`, token)
				return
			}
			token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			if at, ok := born[token]; !ok || time.Since(at) > 1500*time.Millisecond {
				rw.WriteHeader(http.StatusUnauthorized)
			}
		})
		for _, load := range []string{"users: 4", "rate: 40/s, max_users: 4"} {
			w.mu.Lock()
			w.seen = nil
			w.mu.Unlock()
			r := play(t, driver, fmt.Sprintf(`version: 1
name: test
target: {url: "http://%s"}
endpoints:
  login: {request: POST /login, save: {token: token}}
  work: GET /work
personas:
  p: {think: 50ms, headers: {Authorization: "Bearer ${token}"}, on_start: [login], refresh: {every: 1s, do: [login]}, tasks: {work: 1}}
stages: [steady: {%s, for: 2500ms}]
`, w.addr(), load), nil)
			agree(t, r, w)
			if n := w.paths()["POST /login"]; n < 10 || n > 14 { // at the start, after 1 s and after 2 s
				t.Errorf("%s: %d logins of 4 users in 2.5 s, refreshed every second", load, n)
			}
			for _, row := range r.Snapshot.Rows() {
				if row.Name == "login" && !row.Setup {
					t.Error("a refresh counts as work")
				}
			}
		}
	})
}

func TestPaceIsKeptWhateverATaskTakes(t *testing.T) {
	overDrivers(t, func(t *testing.T, driver string) {
		w := newWitness(t, func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				time.Sleep(60 * time.Millisecond)
			}
		})
		r := play(t, driver, fmt.Sprintf(`version: 1
name: test
target: {url: "http://%s"}
endpoints: {slow: GET /slow}
personas: {p: {pace: 100ms, tasks: {slow: 1}}}
stages: [steady: {users: 5, for: 1s}]
`, w.addr()), nil)
		agree(t, r, w)
		if n := len(w.seen); n < 48 || n > 55 {
			t.Errorf("%d tasks of 5 users at one in 100 ms for a second", n)
		}
	})
}

func TestFeedersGiveEachItsRow(t *testing.T) {
	overDrivers(t, func(t *testing.T, driver string) {
		csv := "email,password\n"
		for i := range 50 {
			csv += fmt.Sprintf("u%d@x.test,\"p,%d\"\n", i, i)
		}
		w := newWitness(t, func(rw http.ResponseWriter, r *http.Request) {})
		run := func(order, persona string, users int) map[string]int {
			w.mu.Lock()
			w.seen, w.body = nil, nil
			w.mu.Unlock()
			r := play(t, driver, fmt.Sprintf(`version: 1
name: test
target: {url: "http://%s"}
values: {accounts: {csv: data/accounts.csv, order: %s}}
endpoints: {a: {request: POST /a, json: {e: "${%s}", p: "${accounts.password}"}}}
personas: {p: {think: 5ms, %s tasks: {a: 1}}}
stages: [steady: {users: %d, for: 300ms}]
`, w.addr(), order, map[bool]string{true: "email", false: "accounts.email"}[persona != ""], persona, users), map[string]string{"data/accounts.csv": csv})
			out := map[string]int{}
			if order != "once" || persona != "" {
				agree(t, r, w)
			}
			for _, body := range w.body {
				var row struct{ E, P string }
				if err := json.Unmarshal([]byte(body), &row); err != nil || strings.TrimSuffix(strings.TrimPrefix(row.E, "u"), "@x.test") != strings.TrimPrefix(row.P, "p,") {
					t.Fatalf("%s is no row of the file", body)
				}
				out[row.E]++
			}
			return out
		}
		own := `values: {email: "${accounts.email}"},`
		if got := run("once", own, 50); len(got) != 50 {
			t.Errorf("50 users share %d accounts", len(got))
		}
		if got := run("sequence", own, 7); len(got) != 7 || got["u6@x.test"] == 0 {
			t.Errorf("7 users of a sequence have %v", got)
		}
		if got := run("once", "", 10); len(got) != 50 || slices.Max(slices.Collect(mapValues(got))) != 1 {
			t.Errorf("each row once, and tasks had %v", got)
		}
		got := run("shuffle", "", 10)
		if least, most := slices.Min(slices.Collect(mapValues(got))), slices.Max(slices.Collect(mapValues(got))); len(got) != 50 || most-least > 1 {
			t.Errorf("a row was drawn %d times, and another %d", most, least)
		}
	})
}

func mapValues(m map[string]int) func(func(int) bool) {
	return func(yield func(int) bool) {
		for _, v := range m {
			if !yield(v) {
				return
			}
		}
	}
}

func TestBodiesOfEveryKindArrive(t *testing.T) {
	overDrivers(t, func(t *testing.T, driver string) {
		big := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB: more than a socket takes at once
		w := newWitness(t, func(rw http.ResponseWriter, r *http.Request) {
			fault := ""
			switch r.URL.Path {
			case "/form":
				if _ = r.ParseForm(); r.PostForm.Get("a") != "1 & 2" || r.PostForm.Get("b") != "ü" {
					fault = fmt.Sprint(r.PostForm)
				}
			case "/multipart":
				if err := r.ParseMultipartForm(4 << 20); err != nil {
					fault = err.Error()
					break
				}
				f, h, err := r.FormFile("doc")
				if err != nil {
					fault = err.Error()
					break
				}
				content, _ := io.ReadAll(f)
				if string(content) != big || h.Filename != "report.bin" || r.FormValue("note") != "from me" {
					fault = fmt.Sprint(len(content), h.Filename, r.Form)
				}
			case "/file":
				if content, _ := io.ReadAll(r.Body); string(content) != big {
					fault = fmt.Sprintf("%d bytes", len(content))
				}
			case "/head":
				if r.Method != http.MethodHead {
					fault = r.Method
				}
			}
			if fault != "" {
				rw.WriteHeader(http.StatusBadRequest)
				t.Errorf("%s: %s", r.URL.Path, fault)
			}
		})
		r := play(t, driver, fmt.Sprintf(`version: 1
name: test
target: {url: "http://%s"}
endpoints:
  form: {request: POST /form, form: {a: 1 & 2, b: ü}}
  multipart: {request: PUT /multipart, multipart: {note: "from me", doc: {file: data/big.bin, filename: report.bin, type: application/octet-stream}}}
  file: {request: PATCH /file, headers: {X-User: "${user.id}"}, body: {file: data/big.bin}}
  head: HEAD /head
  delete: DELETE /delete
personas: {p: {think: 5ms, tasks: {form: 1, multipart: 1, file: 1, head: 1, delete: 1}}}
stages: [steady: {users: 4, for: 2s}]
`, w.addr()), map[string]string{"data/big.bin": big})
		agree(t, r, w)
		if seen := w.paths(); len(seen) != 5 {
			t.Errorf("the target saw %v", seen)
		}
	})
}

func TestAddressesAreSpreadOver(t *testing.T) {
	overDrivers(t, func(t *testing.T, driver string) {
		seen := newWitness(t, func(rw http.ResponseWriter, r *http.Request) {})
		_, port, _ := net.SplitHostPort(seen.addr())
		second, err := net.Listen("tcp", net.JoinHostPort("127.0.0.2", port))
		if err != nil {
			t.Fatal(err)
		}
		other := &http.Server{Handler: seen.Config.Handler}
		go func() { _ = other.Serve(second) }() // ends with Close
		defer other.Close()
		s, faults := spec.Parse(filepath.Base("test.yaml"), []byte(fmt.Sprintf(`version: 1
name: test
target: {url: "http://%s"}
endpoints: {a: GET /a}
personas: {p: {think: 5ms, tasks: {a: 1}}}
stages: [steady: {users: 20, for: 200ms}]
`, seen.addr())), spec.Options{})
		if s == nil {
			t.Fatal(faults)
		}
		p, err := Compile(s, Options{Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		to := FixedAddresses(s, addrPort(t, seen.addr()))
		both := append(to.Of(0), addrPort(t, second.Addr().String()))
		to.lists[0].Store(&both)
		r, err := Run(t.Context(), p, RunOptions{Addresses: to, Driver: driver, Loops: 2})
		if err != nil {
			t.Fatal(err)
		}
		agree(t, r, seen)
		hosts := map[string]int{}
		for _, q := range seen.seen {
			hosts[q.Context().Value(http.LocalAddrContextKey).(net.Addr).String()]++
		}
		if len(hosts) != 2 {
			t.Errorf("of two addresses %v were used", hosts)
		}
	})
}
