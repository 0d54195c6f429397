//go:build unix

package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"tollgate/internal/demo"
)

// An action is action.yml as GitHub's runner reads it.
type action struct {
	Inputs map[string]struct {
		Default  string
		Required bool
	}
	Outputs map[string]struct{ Value string }
	Runs    struct {
		Using string
		Steps []actionStep
	}
}

type actionStep struct {
	ID, Name, If, Uses, Shell, Run string
	Env, With                      map[string]string
}

func readAction(t *testing.T) *action {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "action.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var a action
	if err := yaml.Unmarshal(text, &a); err != nil {
		t.Fatal(err)
	}
	return &a
}

// workflow is a job that uses the action once. It does what GitHub's runner
// does for a composite action: steps in order, after a failure only those that
// always run, expressions in env and if, outputs through files.
type workflow struct {
	t       *testing.T
	action  *action
	dir     string // the workspace
	inputs  map[string]string
	env     []string
	outputs map[string]string // steps.ID.outputs.NAME
	failed  int               // exit code of the first step that failed
	log     strings.Builder
	during  func(step string, process *os.Process)
	used    []string // the actions of others that it came by
}

func newWorkflow(t *testing.T, inputs map[string]string) *workflow {
	a := readAction(t)
	w := &workflow{t: t, action: a, dir: t.TempDir(), inputs: map[string]string{}, outputs: map[string]string{}}
	for name, in := range a.Inputs {
		w.inputs[name] = in.Default
	}
	for name, value := range inputs {
		if _, ok := a.Inputs[name]; !ok {
			t.Fatalf("the action has no input %s", name)
		}
		w.inputs[name] = value
	}
	temp := filepath.Join(t.TempDir(), "temp dir")
	if err := os.MkdirAll(filepath.Join(temp, "tollgate"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.env = append(os.Environ(), "GITHUB_ACTIONS=true", "CI=true", "RUNNER_TEMP="+temp, "GITHUB_STEP_SUMMARY="+filepath.Join(temp, "summary"))
	return w
}

// built puts runner where the steps that build or download it leave it.
func (w *workflow) built() *workflow {
	w.t.Helper()
	at := filepath.Join(w.temp(), "tollgate", "runner")
	if err := os.Symlink(runnerPath(w.t), at); err != nil {
		w.t.Fatal(err)
	}
	return w
}

// runnerPath is this test binary under the name that makes it runner.
func runnerPath(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("runner")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func (w *workflow) temp() string { return lookup(w.env, "RUNNER_TEMP") }

func lookup(env []string, name string) (value string) {
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			value = v
		}
	}
	return value
}

var expression = regexp.MustCompile(`\$\{\{\s*(.*?)\s*\}\}`)

// expand replaces the expressions of a text.
func (w *workflow) expand(text string) string {
	return expression.ReplaceAllStringFunc(text, func(e string) string { return w.value(expression.FindStringSubmatch(e)[1]) })
}

// value evaluates the few forms of expressions that the action needs; "" and
// "false" are false.
func (w *workflow) value(e string) string {
	e = strings.TrimSpace(e)
	for _, op := range []string{"||", "&&", "==", "!="} {
		left, right, ok := strings.Cut(e, op)
		if !ok {
			continue
		}
		l := w.value(left)
		switch {
		case op == "||" && truthy(l), op == "&&" && !truthy(l):
			return l
		case op == "||", op == "&&":
			return w.value(right)
		}
		return fmt.Sprint((l == w.value(right)) == (op == "=="))
	}
	switch {
	case strings.HasPrefix(e, "'"):
		return strings.Trim(e, "'")
	case e == "always()":
		return "true"
	case e == "github.action_path":
		path, err := filepath.Abs(filepath.Join("..", ".."))
		if err != nil {
			w.t.Fatal(err)
		}
		return path
	case e == "github.action_repository":
		return "example/tollgate"
	case strings.HasPrefix(e, "steps."):
		return w.outputs[e]
	}
	name, ok := strings.CutPrefix(e, "inputs.")
	value, known := w.inputs[name]
	if !ok || !known {
		w.t.Fatalf("the expression %q is of no kind that is known here", e)
	}
	return value
}

func truthy(s string) bool { return s != "" && s != "false" }

// run runs the steps but those of the given names, and returns the outputs.
func (w *workflow) run(but ...string) map[string]string {
	w.t.Helper()
	for _, s := range w.action.Runs.Steps {
		condition := w.condition(s)
		if !truthy(condition) || contains(but, s.Name) {
			continue
		}
		if s.Uses != "" {
			w.used = append(w.used, s.Uses)
			continue
		}
		if code := w.step(s); code != 0 && w.failed == 0 {
			w.failed = code
		}
	}
	out := map[string]string{}
	for name, o := range w.action.Outputs {
		out[name] = w.expand(o.Value)
	}
	return out
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s && s != "" {
			return true
		}
	}
	return false
}

// condition is a step's if; without always() it needs that nothing has failed.
func (w *workflow) condition(s actionStep) string {
	if w.failed != 0 && !strings.Contains(s.If, "always()") {
		return "false"
	}
	if s.If == "" {
		return "true"
	}
	return w.expand(s.If)
}

// step runs a block as `shell: bash` does.
func (w *workflow) step(s actionStep) int {
	w.t.Helper()
	if s.Shell != "bash" {
		w.t.Fatalf("the step %q has the shell %q", s.Name, s.Shell)
	}
	file, output := filepath.Join(w.t.TempDir(), "step.sh"), filepath.Join(w.t.TempDir(), "output")
	for name, text := range map[string]string{file: s.Run, output: ""} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			w.t.Fatal(err)
		}
	}
	cmd := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", file)
	cmd.Dir = w.dir
	cmd.Env = append(w.env, "GITHUB_OUTPUT="+output)
	for name, value := range s.Env {
		cmd.Env = append(cmd.Env, name+"="+w.expand(value))
	}
	cmd.Stdout, cmd.Stderr = &w.log, &w.log
	fmt.Fprintf(&w.log, "-- %s\n", s.Name)
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	if w.during != nil {
		w.during(s.Name, cmd.Process)
	}
	err := cmd.Wait()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		w.t.Fatal(err)
	}
	text, err := os.ReadFile(output)
	if err != nil {
		w.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if !ok {
			w.t.Errorf("%s: the output %q", s.Name, line)
		}
		w.outputs["steps."+s.ID+".outputs."+name] = value
	}
	return cmd.ProcessState.ExitCode()
}

// summary is the job summary.
func (w *workflow) summary() string {
	text, err := os.ReadFile(lookup(w.env, "GITHUB_STEP_SUMMARY"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		w.t.Fatal(err)
	}
	return string(text)
}

// target starts a SOC system and writes a spec for it into the workspace.
func (w *workflow) target(knobs demo.Knobs, hold string) *watchedSOC {
	w.t.Helper()
	soc := &watchedSOC{SOC: demo.NewSOC(demo.Options{Knobs: knobs}), waiting: map[int]chan struct{}{}}
	server, err := demo.Start("127.0.0.1:0", soc)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { server.Close() })
	w.write("spec.yaml", `version: 1
name: gate
target: {url: "http://127.0.0.1:1", ready: GET /health}
endpoints: {home: {name: /, request: GET /}}
personas: {visitor: {weight: 1, think: 10ms..20ms, tasks: {home: 1}}}
stages: [steady: {users: 4, for: `+hold+`}]
slos: [p95 < 9s]
confidence: off
`)
	w.inputs["spec"], w.inputs["target"] = "spec.yaml", server.URL
	return soc
}

func (w *workflow) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// The steps that put runner in place; other tests bring one along.
var provision = []string{"build runner", "download runner"}

func (w *workflow) want(outputs map[string]string, verdict, code, inSummary string) {
	w.t.Helper()
	if outputs["verdict"] != verdict || outputs["exit-code"] != code || fmt.Sprint(w.failed) != code {
		w.t.Errorf("outputs %v, the job ends with %d, want %s and %s:\n%s", outputs, w.failed, verdict, code, &w.log)
	}
	if s := w.summary(); !strings.Contains(s, inSummary) || (inSummary == "") != (s == "") {
		w.t.Errorf("the summary is %.200q, want %q:\n%s", s, inSummary, &w.log)
	}
}

func TestActionLetsAPassThrough(t *testing.T) {
	w := newWorkflow(t, map[string]string{"report": "a report", "args": "--users 3  --for 1s\n--ramp 0s"}).built()
	w.target(demo.Knobs{}, "30s")
	w.want(w.run(provision...), "pass", "0", "## ✅ PASS: gate")
	if s := w.summary(); !strings.Contains(s, "--users 3") || !strings.Contains(s, "--for 1s") {
		t.Error("the flags of args did not arrive")
	}
	if _, err := os.Stat(filepath.Join(w.dir, "a report", "junit.xml")); err != nil {
		t.Error(err)
	}
	if got := strings.Join(w.used, " "); got != "actions/setup-go@v6 actions/upload-artifact@v6" {
		t.Errorf("it uses %s", got)
	}
}

func TestActionFailsWithTheCodeOfABreachAndKeepsTheSummary(t *testing.T) {
	w := newWorkflow(t, nil).built()
	w.target(demo.Knobs{Errors: 1}, "1s")
	w.want(w.run(provision...), "fail", "3", "## ❌ FAIL: gate")
	if !strings.Contains(w.log.String(), "\n::error file=spec.yaml,line=7,col=8,title=p95 < 9s") {
		t.Errorf("no annotation in:\n%s", &w.log)
	}
	if got := w.used[len(w.used)-1]; !strings.HasPrefix(got, "actions/upload-artifact@") {
		t.Error("the report is not uploaded")
	}
}

func TestActionStopsAtAnUnsoundSpec(t *testing.T) {
	w := newWorkflow(t, map[string]string{"artifact": ""}).built()
	soc := w.target(demo.Knobs{}, "1 hour")
	w.want(w.run(provision...), "none", "5", "")
	if !strings.Contains(w.log.String(), "\n::error file=spec.yaml,line=6,") || soc.Ledger().Total != 0 {
		t.Errorf("%d requests, and:\n%s", soc.Ledger().Total, &w.log)
	}
	if len(w.used) != 1 {
		t.Errorf("it uses %s", w.used)
	}
}

func TestOlderReportDoesNotSpeakForTheActionsRun(t *testing.T) {
	w := newWorkflow(t, map[string]string{"args": "--loops nonsense"}).built()
	w.target(demo.Knobs{}, "1s")
	if err := os.Mkdir(filepath.Join(w.dir, "tollgate-report"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.write("tollgate-report/verdict.json", "{\n  \"verdict\": \"pass\",\n}\n")
	w.write("tollgate-report/summary.md", "PASS")
	w.want(w.run(provision...), "none", "5", "")
}

func TestCancelledActionLeavesAReport(t *testing.T) {
	w := newWorkflow(t, nil).built()
	soc := w.target(demo.Knobs{}, "30s")
	w.during = func(step string, process *os.Process) {
		if step != "run" {
			return
		}
		select {
		case <-soc.after(20):
		case <-time.After(time.Minute):
			t.Error("no load")
		}
		if err := process.Signal(syscall.SIGINT); err != nil { // to the shell alone, as GitHub does
			t.Error(err)
		}
	}
	w.want(w.run(provision...), "inconclusive", "9", "NOT PROVEN: gate")
}

// TestInputsOfTheActionAreData tries to have inputs run as code.
func TestInputsOfTheActionAreData(t *testing.T) {
	for _, hostile := range []string{
		"$(touch pwned)", "`touch pwned`", "\"; touch pwned; \"", "'; touch pwned; '", "x\ntouch pwned\n", "--help; touch pwned", "-x $(touch pwned) ${IFS}", "*", "a && touch pwned",
	} {
		w := newWorkflow(t, nil).built()
		for name := range w.inputs {
			if name != "version" {
				w.inputs[name] = hostile
			}
		}
		w.run(provision...)
		for _, s := range w.action.Runs.Steps { // the check has failed before it came to these
			if s.ID == "run" || s.Name == "job summary" {
				w.step(s)
			}
		}
		if _, err := os.Stat(filepath.Join(w.dir, "pwned")); err == nil {
			t.Errorf("%q was run:\n%s", hostile, &w.log)
		}
	}
}

func TestNoRunBlockHoldsAnExpression(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", ".github", "workflows", "*.yml"))
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	blocks := 0
	for _, file := range append(files, filepath.Join("..", "..", "action.yml")) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var root yaml.Node
		if err := yaml.Unmarshal(text, &root); err != nil {
			t.Fatal(err)
		}
		var visit func(n *yaml.Node)
		visit = func(n *yaml.Node) {
			for i, c := range n.Content {
				if n.Kind == yaml.MappingNode && i%2 == 1 && n.Content[i-1].Value == "run" && c.Kind == yaml.ScalarNode {
					blocks++
					if strings.Contains(c.Value, "${{") {
						t.Errorf("%s:%d: an expression in a run block", file, c.Line)
					}
				}
				visit(c)
			}
		}
		visit(&root)
	}
	if blocks < 10 {
		t.Errorf("%d run blocks", blocks)
	}
}

func TestExampleWorkflowUsesWhatTheActionHas(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", ".github", "workflows", "gate-example.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var example struct {
		Jobs map[string]struct{ Steps []actionStep }
	}
	if err := yaml.Unmarshal(text, &example); err != nil {
		t.Fatal(err)
	}
	a, used := readAction(t), 0
	for _, s := range example.Jobs["gate"].Steps {
		for _, value := range s.Env {
			if name, ok := strings.CutPrefix(expression.FindStringSubmatch(value)[1], "steps.gate.outputs."); !ok || a.Outputs[name].Value == "" {
				t.Errorf("there is no output %s", value)
			}
		}
		if s.Uses != "./" {
			continue
		}
		used++
		for name := range s.With {
			if _, ok := a.Inputs[name]; !ok {
				t.Errorf("there is no input %s", name)
			}
		}
		if _, err := os.Stat(filepath.Join("..", "..", s.With["spec"])); err != nil {
			t.Error(err)
		}
	}
	if used != 1 || a.Runs.Using != "composite" {
		t.Errorf("used %d times, %s", used, a.Runs.Using)
	}
}

// TestDownloadedRunnerIsTheOneOfTheChecksums serves a release.
func TestDownloadedRunnerIsTheOneOfTheChecksums(t *testing.T) {
	binary, err := os.ReadFile(runnerPath(t))
	if err != nil {
		t.Fatal(err)
	}
	arch := map[string]string{"amd64": "amd64", "arm64": "arm64"}[runtime.GOARCH]
	name := "runner-" + runtime.GOOS + "-" + arch
	sums := fmt.Sprintf("%x  other\n%x  %s\n", sha256.Sum256(nil), sha256.Sum256(binary), name)
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	defer server.Close()
	serve := func(path, text string) {
		mux.HandleFunc("GET /example/tollgate/releases/download/"+path, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) })
	}
	serve("v0.1.0/"+name, string(binary))
	serve("v0.1.0/checksums.txt", sums)
	serve("v0.1.1/"+name, string(binary)+"!")
	serve("v0.1.1/checksums.txt", sums)
	serve("v0.1.2/"+name, string(binary))
	serve("v0.1.2/checksums.txt", "")

	for version, good := range map[string]bool{"v0.1.0": true, "v0.1.1": false, "v0.1.2": false, "v9.9.9": false, "v1/../../x": false, "main": false} {
		w := newWorkflow(t, map[string]string{"version": version})
		w.env = append(w.env, "GITHUB_SERVER_URL="+server.URL)
		w.target(demo.Knobs{}, "1s")
		if good {
			w.want(w.run(), "pass", "0", "PASS")
			continue
		}
		w.run()
		if _, err := os.Stat(filepath.Join(w.temp(), "tollgate", "runner")); err == nil || w.failed == 0 {
			t.Errorf("%s: the job ends with %d:\n%s", version, w.failed, &w.log)
		}
	}
}

// TestActionBuildsItself compiles everything anew, which takes a minute or two:
// TOLLGATE_BUILD=1 asks for it.
func TestActionBuildsItself(t *testing.T) {
	if os.Getenv("TOLLGATE_BUILD") == "" {
		return
	}
	w := newWorkflow(t, nil)
	w.env = append(w.env, "GOFLAGS=-pgo=off")
	w.target(demo.Knobs{}, "1s")
	w.want(w.run(), "pass", "0", "PASS")
}
