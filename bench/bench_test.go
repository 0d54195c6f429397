//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"tollgate/bench/truth"
)

// In a sample of the tests this binary is the client: it asks so many times and
// holds so many megabytes.
const (
	asClient = "BENCH_TEST_CLIENT"
	idle     = "idle" // until its stdin ends
	requests = 137
	held     = 48 << 20
)

func TestMain(m *testing.M) {
	switch url := os.Getenv(asClient); url {
	case "":
		os.Exit(m.Run())
	case idle:
		_, _ = io.Copy(io.Discard, os.Stdin)
	default:
		if err := ask(url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func ask(url string) error {
	memory := make([]byte, held)
	for i := 0; i < len(memory); i += 4096 {
		memory[i] = 1
	}
	for i := range requests {
		resp, err := http.Get(fmt.Sprintf("%s/items/%d", url, i))
		if err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	fmt.Println("0,0.020")
	_, err := fmt.Fprintln(io.Discard, memory[0])
	return err
}

// ready is a bench whose target is built.
func ready(t *testing.T) *bench {
	t.Helper()
	b := &bench{dir: t.TempDir(), target: filepath.Join(t.TempDir(), "target"), began: time.Now()}
	if out, err := exec.Command("go", "build", "-o", b.target, "./target").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return b
}

func asking(name string) client {
	return client{
		name: name, program: "asker", path: os.Args[0],
		call: func(l load, url string) *call {
			if l.kind == rows {
				return nil
			}
			return &call{env: []string{asClient + "=" + url}, stdin: "GET\n"}
		},
		quantiles: func(_ string, stdout []byte) (map[string]float64, error) {
			return columnQuantiles(stdout, 1, 1, "the asker's table")
		},
	}
}

func TestSampleHoldsWhatTheTargetCountedAndTheClientUsed(t *testing.T) {
	b := ready(t)
	at := cell{name: "asked", load: load{kind: open, users: 1, rate: 1000, during: time.Second}, target: []string{"-delay", "1ms"}}
	s, err := b.take(context.Background(), asking("asker"), at, 3)
	if err != nil {
		t.Fatal(err)
	}
	if s.ledger.Requests != requests || s.ledger.Routes["GET /items"] != requests {
		t.Errorf("the target counted %d requests in %v, want %d", s.ledger.Requests, s.ledger.Routes, requests)
	}
	if s.client != "asker" || s.cell != "asked" || s.round != 3 {
		t.Errorf("sample of %s, %s, %d", s.client, s.cell, s.round)
	}
	if s.cpu <= 0 || s.cpu > s.lasted || s.targetCPU <= 0 {
		t.Errorf("client used %v and target %v in %v, one core each", s.cpu, s.targetCPU, s.lasted)
	}
	if s.resident < held || s.resident > 4*held {
		t.Errorf("resident %d bytes, the client held %d", s.resident, held)
	}
	if got := s.reported["p99.9"]; got != 0.020 {
		t.Errorf("reported p99.9 %g, want 0.02", got)
	}
	if w := s.ledger.Truth.Waited["p50"]; w < 0.001 {
		t.Errorf("median wait %g s at a target that takes 1 ms", w)
	}
	if want := `printf 'GET\n' | ` + asClient + `=http://127.0.0.1:PORT asker   # target -delay 1ms`; s.command != want {
		t.Errorf("command %q, want %q", s.command, want)
	}
}

// A child inherits its parent's peak in getrusage: a small client would seem as
// large as this process ever was.
func TestResidentMemoryIsTheChildsOwn(t *testing.T) {
	memory, err := unix.Mmap(-1, 0, 4*held, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_POPULATE)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asClient+"="+idle)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := startOn(clientCore(), cmd)
	if err != nil {
		t.Fatal(err)
	}
	for peakOf(strconv.Itoa(cmd.Process.Pid)) < 1<<20 { // until it runs its own program
		runtime.Gosched()
	}
	stdin.Close()
	if err := p.wait(); err != nil {
		t.Fatal(err)
	}
	if own := peakOf("self"); own < int64(len(memory)) {
		t.Fatalf("this process peaked at %d bytes: the case shows nothing", own)
	}
	if got := p.resident(); got <= 0 || got > 2*held {
		t.Errorf("a small child is said to have taken %d MB, its parent took %d", got>>20, peakOf("self")>>20)
	}
	if err := unix.Munmap(memory); err != nil {
		t.Error(err)
	}
}

func TestClientsTakeTurnsAndIncapableOnesStandAside(t *testing.T) {
	b := ready(t)
	b.clients = []client{asking("runner-like"), asking(reference), asking("slow")}
	b.clients[2].call = func(load, string) *call { return nil }
	cells := []cell{{name: "a", load: load{kind: get, during: time.Second}}}
	all, failures, err := b.alternate(context.Background(), cells, 2, 1)
	if err != nil || len(failures) > 0 {
		t.Fatal(err, failures)
	}
	var order []string
	for _, s := range all {
		order = append(order, fmt.Sprint(s.round, s.client))
	}
	if want := []string{"0runner-like", "0wrk", "1wrk"}; !slices.Equal(order, want) {
		t.Errorf("got %v, want %v", order, want)
	}
}

func TestClientThatFailsIsNamedAndLeftOut(t *testing.T) {
	b := ready(t)
	broken := asking("broken")
	broken.call = func(load, string) *call { return &call{env: []string{asClient + "=http://127.0.0.1:1"}} }
	b.clients = []client{broken}
	all, failures, err := b.alternate(context.Background(), []cell{{name: "a", load: load{kind: get}}}, 3, 3)
	if err != nil || len(all) > 0 || len(failures) != 1 || !strings.HasPrefix(failures[0], "broken in a (round 1)") {
		t.Errorf("got %v, %q, %v; want one failure", all, failures, err)
	}
}

func at(client, cell string, round int, cpu time.Duration, requests uint64) sample {
	return sample{client: client, cell: cell, round: round, cpu: cpu, ledger: truth.Ledger{Requests: requests}}
}

func TestRatiosArePairedWithinARound(t *testing.T) {
	cells := []cell{{name: "a"}, {name: "b"}}
	all := []sample{
		at(reference, "a", 0, 10, 1), at("x", "a", 0, 5, 1), at(reference, "b", 0, 10, 1), at("x", "b", 0, 10, 1), // 0.75
		at(reference, "a", 1, 100, 1), at("x", "a", 1, 90, 1), at(reference, "b", 1, 100, 1), at("x", "b", 1, 110, 1), // 1, in a slow round
		at(reference, "a", 2, 10, 1), at("x", "a", 2, 1, 1), // b is missing
	}
	if got, want := ratios(all, cells, "x"), (spread{0.75, 1}); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := ratios(all, cells, reference); !slices.Equal(got, spread{1, 1}) {
		t.Errorf("the reference against itself: got %v, want 1 in two rounds", got)
	}
	if got := ratios(all, cells, "absent"); len(got) != 0 {
		t.Errorf("a client that never ran has ratios %v", got)
	}
}

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   string
	}{
		{nil, "–"},
		{[]float64{math.NaN()}, "–"},
		{[]float64{5.944}, "5.94"},
		{[]float64{6.3, 5.7, 5.9}, "5.9 (5.7–6.3)"},
		{[]float64{1, 2}, "1.5 (1–2)"},
		{[]float64{0, math.NaN(), 0}, "0 (0–0)"},
		{[]float64{1234.5, 12.34, 99.96}, "100 (12.3–1,235)"},
	} {
		if got := ascending(c.values).text(digits); got != c.want {
			t.Errorf("%v: got %q, want %q", c.values, got, c.want)
		}
	}
	for f, want := range map[float64]string{0.006: "+0.6 %", -0.84: "-84 %", 0: "0 %", 0.00001: "0 %", -0.00001: "0 %", 8.76: "+876 %"} {
		if got := signed(f); got != want {
			t.Errorf("%g: got %q, want %q", f, got, want)
		}
	}
}

func TestWorstErrorIsBeyondTheSlack(t *testing.T) {
	one := trial{truth: func(truth.Ledger) map[string]float64 {
		return map[string]float64{"p50": 0.020, "p90": 0.030, "p95": 0.040, "p99": 0.060, "p99.9": 0.100}
	}}
	for _, c := range []struct {
		name     string
		reported map[string]float64
		want     float64
	}{
		{"exact", map[string]float64{"p50": 0.020, "p99.9": 0.100}, 0},
		{"within the slack", map[string]float64{"p50": 0.0202}, 0},
		{"too low", map[string]float64{"p50": 0.020, "p95": 0.0062}, 0.84},
		{"too high", map[string]float64{"p99": 0.1202, "p50": 0.020}, 1},
	} {
		if got := one.worst(sample{reported: c.reported}); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: got %g, want %g", c.name, got, c.want)
		}
	}
	if got := one.worst(sample{}); !math.IsNaN(got) {
		t.Errorf("nothing reported: got %g, want no figure", got)
	}
}

func TestStolenAndPartialSecondsAreNotQuiet(t *testing.T) {
	s := sample{
		load: load{rate: 100},
		ledger: truth.Ledger{Truth: &truth.Truth{Seconds: []truth.Second{
			{Unix: 1, Requests: 40, LateP50: 1, LateP99: 1},
			{Unix: 2, Requests: 100, LateP50: 20e-6, LateP99: 70e-6},
			{Unix: 3, Requests: 100, LateP50: 1, LateP99: 1},
			{Unix: 4, Requests: 101, LateP50: 1, LateP99: 1},
		}}},
		thefts: map[int64]time.Duration{1: 0, 2: 0, 3: clockTick},
	}
	quiet, of := quietSeconds([]sample{s})
	if of != 3 || len(quiet.p50) != 1 || math.Abs(quiet.p50[0]-20) > 1e-9 || math.Abs(quiet.p99[0]-70) > 1e-9 {
		t.Errorf("got %v of %d, want second 2 alone of 3 full ones", quiet, of)
	}
}

// Each client's report, as it was once printed.
func TestReportedQuantilesAreInSeconds(t *testing.T) {
	for _, c := range []struct {
		client client
		file   string // "": stdout
		text   string
		want   map[string]float64
	}{
		{runnerClient(""), "result/result.json",
			`{"total":{"response":{"p50":0.02,"p90":0.03,"p95":0.04,"p99":0.06,"p999":null}}}`,
			map[string]float64{"p50": 0.02, "p90": 0.03, "p95": 0.04, "p99": 0.06}},
		{bombardier, "", `{"result":{"latency":{"mean":21000,"percentiles":{"50":20000,"99":60000}}}}`,
			map[string]float64{"p50": 0.02, "p99": 0.06}},
		{fortio, "fortio.json", `{"DurationHistogram":{"Percentiles":[{"Percentile":50,"Value":0.02},{"Percentile":99.9,"Value":0.1}]}}`,
			map[string]float64{"p50": 0.02, "p99.9": 0.1}},
		{hey, "", "response-time,DNS+dialup\n0.0200,0.0006\n0.0300,0.0006\n",
			map[string]float64{"p50": 0.02, "p90": 0.03, "p95": 0.03, "p99": 0.03, "p99.9": 0.03}},
		{vegeta, "attack.csv", "1795418900686441522,200,20000000,0,245,,,\n1795418900686441523,200,30000000,0,245,,,\n",
			map[string]float64{"p50": 0.02, "p90": 0.03, "p95": 0.03, "p99": 0.03, "p99.9": 0.03}},
		{k6, "summary.json", `{"p(50)":20,"p(90)":30,"p(99.9)":100}`,
			map[string]float64{"p50": 0.02, "p90": 0.03, "p99.9": 0.1}},
		{locust, "locust_stats.csv", "Type,Name,50%,66%,90%,95%,99%,99.9%\nGET,item,1,1,1,1,1,1\n,Aggregated,20,25,30,40,60,100\n",
			map[string]float64{"p50": 0.02, "p90": 0.03, "p95": 0.04, "p99": 0.06, "p99.9": 0.1}},
	} {
		t.Run(c.client.name, func(t *testing.T) {
			dir := t.TempDir()
			if c.file != "" {
				path := filepath.Join(dir, filepath.FromSlash(c.file))
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got, err := c.client.quantiles(dir, []byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			for name, v := range got {
				got[name] = math.Round(v*1e9) / 1e9
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if _, err := c.client.quantiles(t.TempDir(), []byte("{")); err == nil {
				t.Error("a report that is none was read")
			}
		})
	}
}

func TestEveryClientMakesTheSaturatingLoads(t *testing.T) {
	b := &bench{options: options{seconds: 5 * time.Second}}
	for _, c := range append([]client{runnerClient(""), connClient("")}, peers...) {
		for _, at := range saturated(b) {
			how := c.call(at.load, "http://127.0.0.1:1")
			if how == nil {
				t.Errorf("%s cannot %s", c.name, at.name)
				continue
			}
			if words := strings.Join(append(append(how.env, how.args...), how.stdin), " "); !strings.Contains(words, "http://127.0.0.1:1") {
				t.Errorf("%s, %s: no target in %q", c.name, at.name, words)
			}
		}
	}
}

func TestResultsNameWhatIsBehindAndWhatWasSkipped(t *testing.T) {
	b := &bench{began: time.Now(), skipped: []string{"k6 (go install it)"}}
	text := b.results([]section{{
		title:    "One",
		goals:    []goal{{"a", "at most 1", "2", false}, {"b", "at most 1", "0.5", true}},
		behind:   []string{"c: wrk 1, the runner 2"},
		failures: []string{"hey in d"},
		tables:   []table{{head: []string{"x", "y"}, lines: [][]string{{"1", "2"}}}},
		commands: []string{"wrk -t1"},
	}})
	for _, want := range []string{
		"| a | at most 1 | 2 | **no** |", "| b | at most 1 | 0.5 | yes |",
		"- a: the goal is at most 1, measured is 2\n- c: wrk 1, the runner 2\n",
		"## Runs that did not come through\n\n- hey in d\n",
		"- skipped: k6 (go install it)\n",
		"| x | y |\n| --- | --- |\n| 1 | 2 |\n", "\nwrk -t1\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the results lack %q:\n%s", want, text)
		}
	}
}

func TestUnknownScenariosAreRefused(t *testing.T) {
	o := options{rounds: 1, seconds: time.Second, hold: time.Second, only: "cpu,memroy"}
	if _, err := o.chosen(); err == nil || !strings.Contains(err.Error(), "memroy") {
		t.Errorf("got %v, want the name that is unknown", err)
	}
	o.only = "truth,cpu"
	chosen, err := o.chosen()
	if err != nil || len(chosen) != 2 || chosen[0].name != "truth" {
		t.Errorf("got %v, %v; want truth and cpu", chosen, err)
	}
}

func TestTargetOverTLSSpeaksTheVersionAskedForAndCounts(t *testing.T) {
	b := ready(t)
	for version, want := range map[string]string{"1": "HTTP/1.1", "2": "HTTP/2.0"} {
		side, url, err := b.serve(context.Background(), []string{"-tls", version})
		if err != nil {
			t.Fatal(err)
		}
		for range requests {
			resp, err := asker.Get(url + "/items/7?page=2")
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(resp.Body); err != nil || resp.Proto != want || !strings.Contains(string(body), `"status":"ok"`) {
				t.Fatalf("%s %q (%v), want %s", resp.Proto, body, err, want)
			}
			resp.Body.Close()
		}
		l, err := ledger(context.Background(), url)
		if err != nil || l.Requests != requests || l.Routes["GET /items"] != requests || l.Connections.Accepted < requests {
			t.Errorf("version %s: the ledger has %+v (%v)", version, l, err)
		}
		if err := side.end(); err != nil {
			t.Error(err)
		}
	}
}

func TestRoundsEndWithTheTimeForThem(t *testing.T) {
	b := ready(t)
	b.clients = []client{asking(reference)}
	b.options.within, b.until = time.Minute, time.Now()
	all, _, err := b.alternate(context.Background(), []cell{{name: "a", load: load{kind: get, during: time.Second}}}, 5, 5)
	if err != nil || len(all) != 1 {
		t.Errorf("%d rounds (%v), want the first alone", len(all), err)
	}
}

func TestAllocationsOfABenchmarkAreRead(t *testing.T) {
	n, err := allocations("goos: linux\nBenchmarkRecord-2   5244853   41.7 ns/op   16 B/op   3 allocs/op\nPASS\n")
	if n != 3 || err != nil {
		t.Errorf("%v (%v), want 3", n, err)
	}
	if _, err := allocations("PASS\n"); err == nil {
		t.Error("no benchmark ran, and no error")
	}
}

func TestClientThatSendsNothingFails(t *testing.T) {
	b := ready(t)
	silent := asking("silent")
	silent.call = func(load, string) *call { return &call{env: []string{asClient + "=" + idle}} }
	if _, err := b.take(context.Background(), silent, cell{name: "a", load: load{kind: get}}, 0); err == nil {
		t.Error("a sample of nothing")
	}
}
