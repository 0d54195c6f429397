// Package arch holds the shape of the house as tests: who may import whom,
// which rooms stay pure, and which other modules came in, each with its
// reason; and that documents stay true where a program can tell. It has no
// code of its own. To change a rule, change its table and
// the reason beside it, in the same commit as the code that needs it.
package arch

import (
	"path"
	"testing"
)

// because is a set of permissions: what is allowed, and why.
type because map[string]string

// A room is one package of this module.
type room struct {
	// uses are the rooms it may import; its tests may import tests as well.
	uses, tests because
	// pure rooms turn values into values: they reach no network, no file, no
	// clock and no chance of their own. What a pure room computes can be
	// tested with tables and in virtual time, and is the same on every machine.
	pure bool
	// except names the files of a pure room that may import what the others
	// may not: "write.go os".
	except because
}

// rooms are all packages by their folder. Arrows point along the line from a
// spec to its reports, and never back.
var rooms = map[string]room{
	"pkg/slo":           {pure: true},
	"internal/expr":     {pure: true},
	"internal/httpwire": {pure: true},
	"internal/jsonscan": {pure: true},
	"internal/demo": { // the honest other side knows nothing of the client
		tests: because{"internal/postgres/postgrestest": "rows of the demo systems are in a real PostgreSQL"},
	},
	"internal/reach": {tests: because{"internal/postgres/postgrestest": "who a connection is made as is asked of a real server"}},
	"pkg/seed": {
		uses: because{
			"internal/reach": "a database is connected to where that is allowed, and by its connection string alone",
			"pkg/spec":       "a spec declares the rows, and faults stand at its lines",
			"internal/expr":  "values of rows are expressions, and misspelt names are answered",
		},
		tests: because{
			"internal/postgres/postgrestest": "rows are written to a real server",
			"internal/postgres":              "a server of which all statements are logged",
		},
	},
	"internal/postgres": {tests: because{"internal/postgres/postgrestest": "one server for all tests of a process"}},
	"internal/postgres/postgrestest": {
		uses: because{"internal/postgres": "a private server, in the form that tests want"},
	},
	"internal/arch": {tests: because{"pkg/spec": "specs in documents are checked", "pkg/slo": "objectives in documents are parsed"}},
	"schema":        {},
	"specs":         {},
	"bench/truth":   {pure: true},
	"bench": {
		uses: because{"bench/truth": "what clients report is held against the truth"},
	},
	"bench/target": {
		uses: because{"bench/truth": "the benchmark's target keeps the truth about what it received"},
	},
	"pkg/spec": {
		pure: true,
		uses: because{
			"pkg/slo":       "a spec's objectives are parsed when the spec is",
			"internal/expr": "a spec's expressions are compiled when the spec is",
			"schema":        "a spec is checked against the schema that editors use",
		},
	},
	"internal/measure": {
		pure: true,
		uses: because{"pkg/slo": "claims say what is counted, and evidence is its form"},
	},
	"internal/probe": {
		uses: because{
			"pkg/spec":         "a probe is declared in a spec",
			"internal/measure": "readings are what a run has measured",
			"internal/reach":   "probes connect where that is allowed",
		},
		tests: because{"internal/postgres/postgrestest": "queries are read from a real server"},
	},
	"pkg/exec": {
		uses: because{
			"pkg/spec":          "a plan is made of a spec",
			"pkg/slo":           "a plan lists the claims that its samples are counted for",
			"internal/expr":     "users draw values and render requests",
			"internal/httpwire": "requests and responses are bytes",
			"internal/jsonscan": "checks and saves read a few values of an answer",
			"internal/measure":  "every request leaves a sample",
			"internal/reach":    "load goes where that is allowed",
		},
		tests: because{"internal/demo": "the honest other side of a run, with a ledger"},
	},
	"internal/report": {
		pure: true,
		uses: because{
			"pkg/spec":         "a report says what was asked for",
			"pkg/slo":          "a report says how it was judged",
			"internal/measure": "a report says what was measured",
			"schema":           "a stored result is read only if it satisfies its published schema",
		},
		except: because{
			"write.go os":                          "the folder is written whole or not at all, which only its writer can see to",
			"space_linux.go golang.org/x/sys/unix": "a disk that is full is better found before the run than after it",
		},
	},
	"internal/compare": {
		pure: true,
		uses: because{
			"internal/report":  "what is compared are stored results",
			"internal/measure": "a stored run is read second by second, and counted anew",
			"pkg/slo":          "other promises are judged on evidence that a stored run gives",
			"pkg/spec":         "a fingerprint says what a spec asks for",
		},
	},
	"internal/attest": {
		pure: true,
		uses: because{
			"internal/report": "what is signed says what a result says",
			"pkg/slo":         "only a pass is PASSED",
		},
	},
	"cmd/runner": {
		uses: because{
			"internal/attest":   "attest and verify sign results and check them",
			"internal/compare":  "compare, regate and run --baseline set stored runs beside others",
			"pkg/spec":          "run, check and plan begin with a spec",
			"pkg/exec":          "run and plan compile it, run keeps it",
			"pkg/seed":          "run, seed and clean prepare the database of a spec",
			"pkg/slo":           "the exit code follows from the verdict",
			"internal/expr":     "misspelt commands and flags are answered like misspelt names",
			"internal/measure":  "the screen and the tables show what was measured",
			"internal/report":   "a run ends in a folder of reports",
			"internal/demo":     "the demo systems are commands",
			"internal/postgres": "the demo brings its own database where none is given",
			"schema":            "schema prints the published schemas",
			"specs":             "demo runs a spec that the binary brings along",
			"internal/probe":    "run reads the probes beside the load",
		},
		tests: because{"internal/postgres/postgrestest": "scripts seed a real database"},
	},
}

// A module is a dependency of ours.
type module struct {
	why string
	// in are the rooms that may import it, and tests those whose tests may as well.
	in, tests []string
}

// everywhere stands for all rooms.
var everywhere = []string{"*"}

// modules are the direct requirements of go.mod: made for the field and well
// kept, or not here.
var modules = map[string]module{
	"gopkg.in/yaml.v3": {
		why: "YAML with positions; behind one package, because upstream is archived and every release of a parser is a risk to the format",
		in:  []string{"pkg/spec"}, tests: []string{"internal/report", "schema", "cmd/runner"},
	},
	"github.com/santhosh-tekuri/jsonschema/v5": {
		why: "JSON Schema, draft 2020-12; behind the rooms that read foreign documents",
		in:  []string{"pkg/spec", "internal/report"}, tests: []string{"schema"},
	},
	"github.com/expr-lang/expr": {
		why: "typed, compiled and sandboxed expressions for ${}",
		in:  []string{"internal/expr"},
	},
	"github.com/brianvoe/gofakeit/v7": {
		why: "fake.name() and its friends, from a stream of keyed chance",
		in:  []string{"internal/expr"},
	},
	"github.com/tidwall/gjson": {
		why: "reads a path of a response in place, without decoding it",
		in:  []string{"pkg/exec", "internal/jsonscan"}, tests: []string{"cmd/runner"},
	},
	"golang.org/x/sys": {
		why: "epoll and its kin, which package syscall lacks; limits of the process and of the disk",
		in:  []string{"pkg/exec", "internal/report", "cmd/runner", "bench", "bench/target"},
	},
	"github.com/HdrHistogram/hdrhistogram-go": {
		why: "the form in which histograms are merged, stored and read by others",
		in:  []string{"internal/measure"}, tests: []string{"internal/report"},
	},
	"github.com/in-toto/attestation": {
		why:   "reads our attestations on its own; the binary has the few types itself, and not protobuf",
		tests: []string{"internal/attest"},
	},
	"github.com/secure-systems-lab/go-securesystemslib": {
		why:   "verifies our envelopes on its own",
		tests: []string{"internal/attest"},
	},
	"google.golang.org/protobuf": {
		why:   "the form in which in-toto's library reads JSON",
		tests: []string{"internal/attest"},
	},
	"github.com/spf13/cobra": {
		why: "commands, help and shell completion",
		in:  []string{"cmd/runner"},
	},
	"github.com/spf13/pflag": {
		why: "cobra's flags, to tell a misspelt one",
		in:  []string{"cmd/runner"},
	},
	"github.com/olekukonko/tablewriter": {
		why: "tables on the screen",
		in:  []string{"cmd/runner", "internal/report"},
	},
	"golang.org/x/term": {
		why: "whether people look at a stream, and how wide it is",
		in:  []string{"cmd/runner"},
	},
	"golang.org/x/crypto": {
		why: "bcrypt, as systems store passwords",
		in:  []string{"internal/demo", "pkg/seed"},
	},
	"github.com/jackc/pgx/v5": {
		why: "PostgreSQL's protocol: COPY, pipelines, types",
		in:  []string{"internal/demo", "internal/postgres", "internal/probe", "internal/reach", "pkg/seed"}, tests: []string{"cmd/runner"},
	},
	"github.com/chromedp/chromedp": {
		why:   "report.html is tried in the browser that people open it with",
		tests: []string{"internal/report"},
	},
	"github.com/chromedp/cdproto": {
		why:   "what chromedp's browser is told and tells, by its types",
		tests: []string{"internal/report"},
	},
	"golang.org/x/net": {
		why:   "what a browser would make of the HTML of a report",
		tests: []string{"internal/report", "cmd/runner"},
	},
	"github.com/google/go-cmp":        {why: "differences that can be read", tests: everywhere},
	"github.com/rogpeppe/go-internal": {why: "command lines as scripts", tests: everywhere},
	"go.uber.org/goleak":              {why: "goroutines that outlive their test", tests: everywhere},
	"pgregory.net/rapid":              {why: "properties, with counterexamples made small", tests: everywhere},
}

func report(t *testing.T, faults []string) {
	t.Helper()
	for _, f := range faults {
		t.Error(f)
	}
}

func TestRoomsImportOnlyWhatTheyMay(t *testing.T) { report(t, strayImports(load(t), rooms)) }

func TestPureRoomsReachNoWorld(t *testing.T) { report(t, impurities(load(t), rooms)) }

func TestModulesStayInTheirRooms(t *testing.T) { report(t, strayModules(load(t), modules)) }

func TestEveryRequirementHasItsReason(t *testing.T) {
	report(t, unexplained(requirements(t), modules))
}

func TestEveryPackageHasOneComment(t *testing.T) { report(t, miscommented(load(t))) }

func TestPackageNamesSayWhatTheyOwn(t *testing.T) { report(t, namelessNames(load(t))) }

func TestNoTestIsSkipped(t *testing.T) { report(t, skips(load(t))) }

func TestImportingAPackageDoesNothing(t *testing.T) { report(t, busyInits(load(t))) }

func TestNoFileKnowsTheMachineItWasWrittenOn(t *testing.T) {
	files := texts(t)
	if files["go.mod"] == "" || files["internal/arch/arch_test.go"] == "" {
		t.Fatal("the tree was not read")
	}
	report(t, machinePaths(files))
}

// The document for people names every room that there is.
func TestArchitectureDocumentNamesEveryRoom(t *testing.T) {
	files := texts(t)
	report(t, undocumented(files[path.Join("docs", "architecture.md")], rooms))
}
