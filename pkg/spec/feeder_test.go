package spec

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"tollgate/internal/expr"
)

// fed is a spec whose one persona does what is inserted, with two files of rows.
func fed(persona string) string {
	return `version: 1
name: fed
target: {url: "http://127.0.0.1", headers: {X-T: "${f.a ?? 'x'}"}}
targets: {quiet: {url: "http://127.0.0.2", headers: {X-T: none}}}
values: {f: {csv: f.csv, order: sequence}, g: {csv: g.csv, order: once}}
endpoints:
  none: {request: GET /, on: quiet}
  f: {request: "GET /${f.a}", on: quiet}
  g: {request: GET /, on: quiet, headers: {X-G: "${g.a}"}}
  both: {request: POST /, on: quiet, json: {a: "${f.a}", b: "${f.b}", c: "${g.a}"}}
  there: GET /
personas:
  p:
` + persona + `
stages: [steady: {users: 1, for: 1s}]
`
}

var fedFiles = map[string]string{"f.csv": "a,b,unused\n1,2,3\n4,5,6\n", "g.csv": "\ufeffa\r\n\"x,\"\"y\"\r\n"}

func TestRowIsDrawnWhereItIsReferredTo(t *testing.T) {
	for name, tt := range map[string]struct{ persona, want string }{
		"by a task":                             {"tasks: {none: 1, f: 1}", "none[] f[f]"},
		"by a header of an endpoint":            {"tasks: {g: 1}", "g[g]"},
		"by two steps of a task":                {"tasks: {t: {steps: [g, f, both]}}", "t[f g]"},
		"by a condition":                        {"tasks: {t: {call: none, when: g.a}}", "t[g]"},
		"by an expectation":                     {"tasks: {t: {call: none, expect: {json: {x: '${g.a}'}}}}", "t[g]"},
		"by a value of a step":                  {"tasks: {t: {call: none, values: {v: '${g.a}'}}}", "t[g]"},
		"by the persona's values":               {"values: {v: '${f.b}'}\n    tasks: {f: 1, both: 1}", "user[f] f[] both[g]"},
		"by on_start":                           {"on_start: [f]\n    tasks: {f: 1, g: 1}", "user[f] f[] g[g]"},
		"by on_stop":                            {"on_stop: [g]\n    tasks: {f: 1, g: 1}", "user[g] f[f] g[]"},
		"by refresh":                            {"refresh: {every: 1m, do: [both]}\n    tasks: {f: 1}", "user[f g] f[]"},
		"by the persona's headers":              {"headers: {X: '${g.a}'}\n    tasks: {none: 1, f: 1}", "none[g] f[f g]"},
		"by the persona's headers, with set-up": {"auth: {bearer: '${g.a}'}\n    on_start: [none]\n    tasks: {none: 1, f: 1}", "user[g] none[] f[f]"},
		"by the headers of a target":            {"tasks: {there: 1, none: 1}", "there[f] none[]"},
		"by nobody":                             {"tasks: {none: 1}", "none[]"},
	} {
		t.Run(name, func(t *testing.T) {
			s := parse(t, fed("    "+tt.persona), Options{ReadFile: kept(fedFiles)})
			names := func(feeders []*Feeder) string {
				var out []string
				for _, f := range feeders {
					if !slices.Contains(s.Feeders, f) {
						t.Errorf("%s is another feeder than the spec's", f.Name)
					}
					out = append(out, f.Name)
				}
				return fmt.Sprint(out)
			}
			var got []string
			if p := s.Personas[0]; len(p.Feeds) > 0 {
				got = append(got, "user"+names(p.Feeds))
			}
			for _, task := range s.Personas[0].Tasks {
				got = append(got, task.Name+names(task.Feeds))
			}
			if got := strings.Join(got, " "); got != tt.want {
				t.Errorf("want %s, got %s", tt.want, got)
			}
		})
	}
}

func TestRowsHoldTheColumnsThatAreUsed(t *testing.T) {
	s := parse(t, fed("    tasks: {both: 1}"), Options{ReadFile: kept(fedFiles)})
	f, g := s.Feeders[0], s.Feeders[1]
	if f.Order != FeedSequence || g.Order != FeedOnce || f.Name != "f" || f.Pos.Line != 5 {
		t.Errorf("%+v, %+v", f, g)
	}
	for _, f := range s.Feeders {
		for i, c := range f.Columns {
			if s.Slots[c.Slot] != f.Name+"."+c.Name {
				t.Errorf("column %d of %s has the slot of %s", i, f.Name, s.Slots[c.Slot])
			}
		}
	}
	text := func(rows [][]expr.Value) (out string) {
		for _, row := range rows {
			for _, v := range row {
				if v.Kind() != expr.String {
					t.Errorf("%v is no text", v)
				}
				out += v.Text() + "|"
			}
			out += "\n"
		}
		return out
	}
	if got := text(f.Rows); len(f.Columns) != 2 || got != "1|2|\n4|5|\n" {
		t.Errorf("%+v: %s", f.Columns, got)
	}
	if got := text(g.Rows); got != "x,\"y|\n" {
		t.Error(got)
	}
	values := map[string]expr.Value{"f.a": expr.Str("A"), "f.b": expr.Str("B"), "g.a": expr.Str("C")}
	if got := render(t, s, s.Endpoints[3].Body, values); got != `{"a":"A","b":"B","c":"C"}` {
		t.Error(got)
	}
}

func TestSetOfWeightsMayBeCalledAsTheKeysOfAFeeder(t *testing.T) {
	s := parse(t, with(t, "endpoints:", "values: {kind: {csv: 5, order: 3}}\nendpoints:", "GET /orders\n", "GET /orders?k=${pick(kind)}\n"), Options{})
	if len(s.Feeders) != 0 {
		t.Errorf("%+v", s.Feeders)
	}
}

func TestFaultOfAFileOfRowsShowsNoRow(t *testing.T) {
	for _, csv := range []string{"a\nhunter2,x\n", "a\n\"hunter2", "a\nhun\"ter2\n", "a\nhunter2\n\xff\n"} {
		_, faults := Parse("specs/a.yaml", []byte(fed("    tasks: {none: 1}")), Options{ReadFile: kept(map[string]string{"f.csv": csv, "g.csv": "a\n1\n"})})
		if len(faults) != 1 || faults[0].File != "specs/f.csv" || faults[0].Line < 2 || strings.Contains(fmt.Sprintf("%+v", faults), "hunter2") {
			t.Errorf("%q: %+v", csv, faults)
		}
	}
}

func TestRowsOfAProfileAreRead(t *testing.T) {
	text := fed("    tasks: {f: 1, g: 1}") + "profiles: {p: {values: {f: {csv: h.csv}, g: {csv: f.csv}}}}\n"
	files := map[string]string{"f.csv": fedFiles["f.csv"], "g.csv": fedFiles["g.csv"], "h.csv": "b,a\n7,8\n"}
	s := parse(t, text, Options{Profile: "p", ReadFile: kept(files)})
	if len(s.Feeders[0].Rows) != 1 || len(s.Feeders[1].Rows) != 2 || s.Feeders[0].Rows[0][0].Text() != "8" {
		t.Errorf("%+v", s.Feeders[0])
	}
	s = parse(t, fed("    tasks: {f: 1}"), Options{Set: []string{"values.f={csv: h.csv}"}, ReadFile: kept(files)})
	if len(s.Feeders[0].Rows) != 1 {
		t.Errorf("%+v", s.Feeders[0])
	}
}
