package probe

import (
	"compress/gzip"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/pkg/spec"
)

// serve starts a server that ends with the test.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL
}

func TestScrapeAddsUpWhatMatches(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); r.URL.RequestURI() != "/metrics?all=1" || user != "probe" || password != "hunter2" {
			t.Errorf("asked for %s as %s", r.URL, user)
		}
		fmt.Fprint(w, "# TYPE stored counter\nstored{kind=\"fire\"} 3\nstored{kind=\"flood\"} 4\n")
	})
	url = strings.Replace(url, "http://", "http://probe:hunter2@", 1) + "/metrics?all=1"
	all := open(t,
		&spec.Probe{Name: "all", Scrape: url, Metric: "stored"},
		&spec.Probe{Name: "fires", Scrape: url, Metric: "stored", Labels: map[string]string{"kind": "fire"}},
		&spec.Probe{Name: "storms", Scrape: url, Metric: "stored", Labels: map[string]string{"kind": "storm"}})
	for i, want := range []float64{7, 3} {
		if a, why := all[i].ask(t.Context()); a.value != want || !a.counter || why != "" {
			t.Errorf("%s: %+v, %q, want %v", all[i].Name, a, why, want)
		}
	}
	a, why := all[2].ask(t.Context())
	if !math.IsNaN(a.value) || !strings.Contains(why, `no sample of stored{kind="storm"}`) || strings.Contains(why, "hunter2") {
		t.Errorf("%+v, %q", a, why)
	}
}

// A counter that is declared and has counted nothing yet is 0. One without the
// labels that are asked for is not: they may be misspelt.
func TestCounterThatHasCountedNothingIsZero(t *testing.T) {
	for page, want := range map[string]string{
		"# TYPE stored counter\n":                           "",
		"# TYPE stored counter\nstored{kind=\"flood\"} 1\n": "no sample",
		"# TYPE stored gauge\n":                             "no sample",
		"# TYPE other counter\n":                            "no sample",
		"":                                                  "no sample",
	} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, page) })
		p := open(t, &spec.Probe{Name: "fires", Scrape: url, Metric: "stored", Labels: map[string]string{"kind": "fire"}})[0]
		if a, why := p.ask(t.Context()); (why == "") != (want == "") || !strings.Contains(why, want) || why == "" && a.value != 0 {
			t.Errorf("%q: %+v, %q, want %q", page, a, why, want)
		}
	}
}

func TestHostilePageIsNoAnswer(t *testing.T) {
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"an error":     {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500); io.WriteString(w, "up 1\n") }, "status 500"},
		"a redirect":   {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", 302) }, "status 302"},
		"a login page": {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") }, "line 1"},
		"compressed": {func(w http.ResponseWriter, _ *http.Request) {
			z := gzip.NewWriter(w)
			io.WriteString(z, "up 1\n")
			z.Close()
		}, "line 1"},
		"empty":     {func(http.ResponseWriter, *http.Request) {}, "no sample of up"},
		"no number": {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "up NaN\n") }, "not a number"},
		"infinite":  {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "up 1e999\n") }, "infinite"},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "99")
			io.WriteString(w, "up 1\n")
		}, "unexpected EOF"},
		"an endless line": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, strings.Repeat("x", 1<<16)); err != nil {
					return
				}
			}
		}, "a line of more than 64 KiB"},
		"an endless page": {func(w http.ResponseWriter, r *http.Request) {
			lines := strings.Repeat("# "+strings.Repeat("x", 1<<14)+"\n", 4)
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, lines); err != nil {
					return
				}
			}
		}, "more than 16 MiB"},
		"silence": {func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-over:
			}
		}, "nothing within 1s"},
		"a page that stops": {func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "up 1\n")
			http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
			case <-over:
			}
		}, "nothing within 1s"},
	} {
		every := 10 * time.Second
		if strings.Contains(c.want, "within") {
			every = time.Second
		}
		p := open(t, &spec.Probe{Name: "up", Scrape: serve(t, c.answer), Metric: "up", Every: every})[0]
		if a, why := p.ask(t.Context()); !math.IsNaN(a.value) || !strings.Contains(why, c.want) {
			t.Errorf("%s: %+v, %q, want %q", name, a, why, c.want)
		}
	}
}

func TestQueryAnswers(t *testing.T) {
	for body, want := range map[string]struct {
		value float64
		why   string
	}{
		`{"status":"success","data":{"resultType":"scalar","result":[1.5,"42"]}}`:                                    {42, ""},
		`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1,"1e3"]}]}}`:      {1000, ""},
		`{"status":"success","data":{"resultType":"vector","result":[]}}`:                                            {0, "gives nothing"},
		`{"status":"success","data":{"resultType":"vector","result":[{"value":[1,"1"]},{"value":[1,"2"]}]}}`:         {0, "2 elements"},
		`{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{"count":"1"}]}]}}`: {0, "a histogram"},
		`{"status":"success","data":{"resultType":"matrix","result":[]}}`:                                            {0, `a "matrix"`},
		`{"status":"success","data":{"resultType":"string","result":[1,"2"]}}`:                                       {0, `a "string"`},
		`{"status":"success","data":{"resultType":"scalar","result":[1,2]}}`:                                         {0, "not Prometheus's"},
		`{"status":"success","data":{"resultType":"scalar","result":[1,"two"]}}`:                                     {0, "no number"},
		`{"status":"success","data":{"resultType":"scalar","result":[1,"0x2"]}}`:                                     {0, "no number"},
		`{"status":"success","data":{"resultType":"scalar","result":["2"]}}`:                                         {0, "not Prometheus's"},
		`{"status":"success","data":{"resultType":"vector","result":{}}}`:                                            {0, "not Prometheus's"},
		`{"status":"error","errorType":"bad_data","error":"1:1: parse error"}`:                                       {0, "parse error"},
		`{"status":"half"}`:        {0, "not Prometheus's"},
		`<html>`:                   {0, "not Prometheus's"},
		``:                         {0, "not Prometheus's"},
		strings.Repeat("[", 1<<19): {0, "not Prometheus's"},
		strings.Repeat(" ", 1<<20) + `{"status":"success"}`: {0, "more than 1 MiB"},
	} {
		p := open(t, &spec.Probe{Name: "q", Query: "x", Prometheus: serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) })})[0]
		if a, why := p.ask(t.Context()); (why == "") != (want.why == "") || !strings.Contains(why, want.why) || why == "" && a.value != want.value {
			t.Errorf("%.100s: %+v, %q, want %+v", body, a, why, want)
		}
	}
	p := open(t, &spec.Probe{Name: "q", Query: "x", Prometheus: serve(t, http.NotFound)})[0]
	if _, why := p.ask(t.Context()); !strings.Contains(why, "status 404") {
		t.Errorf("%q", why)
	}
}

func TestCountersAreToldByTheirNames(t *testing.T) {
	for query, want := range map[string]bool{
		"http_requests_total":                          true,
		`sum(http_requests_total{code="200"})`:         true,
		"http_request_duration_seconds_count":          true,
		"sum by (job) (rate(http_requests_total[5m]))": false,
		"increase(http_requests_total[1m])":            false,
		"process_resident_memory_bytes":                false,
		"count(up)":                                    false,
		"total_of_them":                                false,
	} {
		if risesOnly(query) != want {
			t.Errorf("%s: %v", query, !want)
		}
	}
}

// counted is a page with one counter.
type counted struct {
	mu    sync.Mutex
	value int
	set   func(w http.ResponseWriter) bool // an answer of another kind
}

func (c *counted) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.set != nil && c.set(w) {
		return
	}
	fmt.Fprintf(w, "# TYPE stored_total counter\nstored_total %d\n", c.value)
}

func (c *counted) to(value int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.value = value
}

// startPrometheus runs a server of its own that scrapes a page, and returns its URL.
func startPrometheus(t *testing.T, page string) string {
	t.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Fatal("the program prometheus is not on PATH: apt-get install prometheus, or https://prometheus.io/download")
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf("global: {scrape_interval: 200ms, scrape_timeout: 200ms}\nscrape_configs:\n- {job_name: system, static_configs: [{targets: [%q]}]}\n", strings.TrimPrefix(page, "http://"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	server := exec.Command(program, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	server.Stdout, server.Stderr = log, log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill() // nothing of it is kept
		_ = server.Wait()
		log.Close()
		if said, _ := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("prometheus said:\n%s", said)
		}
	})
	return "http://" + address
}

func TestRealPrometheusIsAsked(t *testing.T) {
	c := &counted{value: 41}
	url := startPrometheus(t, serve(t, c.ServeHTTP))
	all := open(t,
		&spec.Probe{Name: "stored", Query: "stored_total", Prometheus: url + "/"},
		&spec.Probe{Name: "scalar", Query: "scalar(stored_total) + 1", Prometheus: url},
		&spec.Probe{Name: "nothing", Query: "no_such_metric", Prometheus: url},
		&spec.Probe{Name: "many", Query: `label_replace(vector(1), "a", "b", "", "") or vector(2)`, Prometheus: url},
		&spec.Probe{Name: "nan", Query: "vector(0) / 0", Prometheus: url},
		&spec.Probe{Name: "wrong", Query: "sum(", Prometheus: url},
		&spec.Probe{Name: "ranging", Query: "up[1m]", Prometheus: url})
	ask := func(i int) (float64, string) { a, why := all[i].ask(t.Context()); return a.value, why }
	eventually(t, func() string { _, why := ask(0); return why })
	if v, why := ask(0); v != 41 || why != "" {
		t.Errorf("%v, %q", v, why)
	}
	if v, why := ask(1); v != 42 || why != "" {
		t.Errorf("%v, %q", v, why)
	}
	for i, want := range []string{"gives nothing", "2 elements", "not a number", "parse error", `a "matrix"`} {
		if _, why := ask(i + 2); !strings.Contains(why, want) {
			t.Errorf("%s: %q, want %q", all[i+2].Name, why, want)
		}
	}
	c.to(60)
	eventually(t, func() string {
		if v, why := ask(0); v != 60 {
			return fmt.Sprintf("still %v: %s", v, why)
		}
		return ""
	})
}
