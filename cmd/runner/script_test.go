package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/tidwall/gjson"

	"tollgate/internal/demo"
	"tollgate/internal/postgres/postgrestest"
	"tollgate/specs"
)

// TestScripts runs testdata/script/*.txtar. Beside the commands of testscript
// there are:
//
//	soc [KNOB...]           start a SOC system, told as to demo soc; sets $SOC_URL
//	nobody                  set $NOBODY_URL to a port on which nobody listens
//	code N COMMAND...       run a command, which must end with this exit code
//	start COMMAND...        run one in the background
//	printed PATTERN         wait until it has printed what matches
//	loaded N                wait until the SOC system has received N requests
//	signal NAME...          send signals to it, one after the other
//	press NAME              send it a signal again and again until it has ended
//	ended N WITHIN [FILE]   it must end with this exit code in this time; its output becomes FILE
//	json FILE PATH=VALUE... values of a JSON file, or of stdout, by their gjson paths
//	ledger FOLDER           the rows of a result are the SOC system's books, exactly
//	untouched               the SOC system has received nothing
//	database FILE           make an empty database, run the SQL of a file in it; sets $DATABASE_URL
//	sql WANT QUERY          the one value of a query of that database
//	unloaded                the SOC system has received nothing but /health and /metrics
//	page N                  set $PAGE_URL to a page of metrics that answers N times, and then 503
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                filepath.Join("testdata", "script"),
		RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			env.Values[sceneKey{}] = &scene{}
			env.Setenv("CI", "")
			return os.WriteFile(filepath.Join(env.WorkDir, "soc.yaml"), specs.SOC, 0o644)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"soc": startSOC, "nobody": nobody, "code": runForCode,
			"start": start, "printed": printed, "loaded": loaded, "signal": sendSignals, "press": press, "ended": ended,
			"json": checkJSON, "ledger": checkLedger, "untouched": untouched,
			"database": func(ts *testscript.TestScript, _ bool, args []string) { makeDatabase(t, ts, args[0]) }, "sql": checkSQL,
			"unloaded": unloaded, "page": servePage,
		},
	})
}

type sceneKey struct{}

// A scene is what a script has on stage.
type scene struct {
	soc     *watchedSOC
	process *exec.Cmd
	output  *transcript
	gone    chan struct{} // closed when process has ended
}

func sceneOf(ts *testscript.TestScript) *scene { return ts.Value(sceneKey{}).(*scene) }

// A watchedSOC tells when it has received so many requests.
type watchedSOC struct {
	*demo.SOC
	mu       sync.Mutex
	received int
	waiting  map[int]chan struct{}
}

func (w *watchedSOC) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/health" {
		w.mu.Lock()
		w.received++
		if c := w.waiting[w.received]; c != nil {
			close(c)
		}
		w.mu.Unlock()
	}
	w.SOC.ServeHTTP(rw, r)
}

// after returns a channel that is closed at the nth request.
func (w *watchedSOC) after(n int) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := make(chan struct{})
	if w.received >= n {
		close(c)
		return c
	}
	w.waiting[n] = c
	return c
}

func startSOC(ts *testscript.TestScript, _ bool, args []string) {
	knobs := demo.Knobs{}
	ts.Check(knobFlags(&knobs).Parse(args))
	ts.Check(knobs.Validate())
	soc := &watchedSOC{SOC: demo.NewSOC(demo.Options{Knobs: knobs}), waiting: map[int]chan struct{}{}}
	server, err := demo.Start("127.0.0.1:0", soc)
	ts.Check(err)
	ts.Defer(func() { server.Close() })
	sceneOf(ts).soc = soc
	ts.Setenv("SOC_URL", server.URL)
}

func nobody(ts *testscript.TestScript, _ bool, _ []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv("NOBODY_URL", "http://"+l.Addr().String())
	ts.Check(l.Close())
}

func runForCode(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		got = failed.ExitCode()
	} else {
		ts.Check(err)
	}
	if want := number(ts, args[0]); got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func number(ts *testscript.TestScript, text string) int {
	n, err := strconv.Atoi(text)
	ts.Check(err)
	return n
}

func start(ts *testscript.TestScript, _ bool, args []string) {
	s := sceneOf(ts)
	path, err := exec.LookPath(args[0])
	ts.Check(err)
	s.output = &transcript{changed: make(chan struct{}, 1)}
	s.process = exec.Command(path, args[1:]...)
	s.process.Dir = ts.MkAbs(".")
	s.process.Env = append(os.Environ(), "SOC_URL="+ts.Getenv("SOC_URL"), "DATABASE_URL="+ts.Getenv("DATABASE_URL"), "CI=")
	s.process.Stdout, s.process.Stderr = s.output, s.output
	ts.Check(s.process.Start())
	s.gone = make(chan struct{})
	go func() {
		defer close(s.gone)
		_ = s.process.Wait() // the state tells
	}()
	ts.Defer(func() {
		_ = s.process.Process.Kill() // long over, if all went well
		<-s.gone
	})
}

// A transcript is what a process prints.
type transcript struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // one element: there is news
}

func (t *transcript) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case t.changed <- struct{}{}:
	default:
	}
	return t.text.Write(b)
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

func printed(ts *testscript.TestScript, _ bool, args []string) {
	s := sceneOf(ts)
	pattern := regexp.MustCompile(args[0])
	limit := time.After(patience)
	for !pattern.MatchString(s.output.String()) {
		select {
		case <-s.output.changed:
		case <-s.gone:
			ts.Fatalf("ended before it printed %s:\n%s", pattern, s.output)
		case <-limit:
			ts.Fatalf("has not printed %s:\n%s", pattern, s.output)
		}
	}
}

// patience is how long anything that is waited for may take.
const patience = 20 * time.Second

func loaded(ts *testscript.TestScript, _ bool, args []string) {
	s := sceneOf(ts)
	select {
	case <-s.soc.after(number(ts, args[0])):
	case <-s.gone:
		ts.Fatalf("ended before it sent so many:\n%s", s.output)
	case <-time.After(patience):
		ts.Fatalf("has not sent so many")
	}
}

var signalByName = map[string]os.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL}

func sendSignals(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		ts.Check(sceneOf(ts).process.Process.Signal(signalByName[name]))
	}
}

// press is a user who loses patience. One signal is lost in the other while the
// process has not seen it, so it takes several for three to arrive.
func press(ts *testscript.TestScript, _ bool, args []string) {
	s := sceneOf(ts)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for begun := time.Now(); time.Since(begun) < patience; {
		_ = s.process.Process.Signal(signalByName[args[0]]) // it may be over by now
		select {
		case <-s.gone:
			return
		case <-again.C:
		}
	}
	ts.Fatalf("still there")
}

func ended(ts *testscript.TestScript, _ bool, args []string) {
	s := sceneOf(ts)
	within, err := time.ParseDuration(args[1])
	ts.Check(err)
	select {
	case <-s.gone:
	case <-time.After(within):
		ts.Fatalf("still running after %v", within)
	}
	if got, want := s.process.ProcessState.ExitCode(), number(ts, args[0]); got != want {
		ts.Fatalf("exit code %d, want %d:\n%s", got, want, s.output)
	}
	if len(args) > 2 {
		ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(s.output.String()), 0o644))
	}
}

func checkJSON(ts *testscript.TestScript, neg bool, args []string) {
	text := ts.ReadFile(args[0])
	if !gjson.Valid(text) {
		ts.Fatalf("%s is no JSON:\n%s", args[0], text)
	}
	for _, arg := range args[1:] {
		at := strings.LastIndex(arg, "=") // a query in a path has its own
		if at < 0 {
			ts.Fatalf("%q says not what to expect: a # begins a comment where it is not quoted", arg)
		}
		path, want := arg[:at], arg[at+1:]
		if got := gjson.Get(text, path).String(); (got == want) == neg {
			ts.Fatalf("%s of %s is %q, want %q (or not, after !):\n%.2000s", path, args[0], got, want, text)
		}
	}
}

func checkLedger(ts *testscript.TestScript, _ bool, args []string) {
	var result struct {
		Rows []struct {
			Name, Method         string
			Issued, OK, Failures uint64
			Aborted              uint64
		}
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(filepath.Join(args[0], "result.json"))), &result))
	issued := map[string]uint64{}
	for _, row := range result.Rows {
		path, _, _ := strings.Cut(row.Name, " [") // several rows share a path
		if row.Issued > 0 {
			issued[row.Method+" "+path] += row.Issued
		}
	}
	if len(issued) == 0 {
		ts.Fatalf("the result has no request, and so nothing to compare")
	}
	books := sceneOf(ts).soc.Ledger()
	if books.Requests["GET /health"] != 1 {
		ts.Fatalf("the preflight asked %d times", books.Requests["GET /health"])
	}
	delete(books.Requests, "GET /health")
	if fmt.Sprint(issued) != fmt.Sprint(books.Requests) {
		ts.Fatalf("the result says %v\nthe ledger says %v", issued, books.Requests)
	}
}

func unloaded(ts *testscript.TestScript, _ bool, _ []string) {
	for route, n := range sceneOf(ts).soc.Ledger().Requests {
		if route != "GET /health" && route != "GET /metrics" {
			ts.Fatalf("received %d of %s", n, route)
		}
	}
}

func servePage(ts *testscript.TestScript, _ bool, args []string) {
	var asked atomic.Int64
	answers := int64(number(ts, args[0]))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) > answers {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "answered 7")
	})}
	go server.Serve(l) // until it is closed
	ts.Defer(func() { server.Close() })
	ts.Setenv("PAGE_URL", "http://"+l.Addr().String())
}

func untouched(ts *testscript.TestScript, _ bool, _ []string) {
	if books := sceneOf(ts).soc.Ledger(); books.Total != 0 {
		ts.Fatalf("received %v", books.Requests)
	}
}

func makeDatabase(t *testing.T, ts *testscript.TestScript, schema string) {
	url := postgrestest.Database(t)
	ts.Setenv("DATABASE_URL", url)
	query(ts, ts.ReadFile(schema))
}

func checkSQL(ts *testscript.TestScript, _ bool, args []string) {
	results := query(ts, strings.Join(args[1:], " "))
	if len(results) != 1 || len(results[0].Rows) != 1 || len(results[0].Rows[0]) != 1 {
		ts.Fatalf("the query gives more or less than one value")
	}
	if got := string(results[0].Rows[0][0]); got != args[0] {
		ts.Fatalf("%s: %s, want %s", strings.Join(args[1:], " "), got, args[0])
	}
}

// query runs SQL in the script's database.
func query(ts *testscript.TestScript, sql string) []*pgconn.Result {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgconn.Connect(ctx, ts.Getenv("DATABASE_URL"))
	ts.Check(err)
	defer conn.Close(ctx)
	results, err := conn.Exec(ctx, sql).ReadAll()
	ts.Check(err)
	return results
}
