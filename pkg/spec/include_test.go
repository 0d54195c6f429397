package spec

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

const including = `version: 1
name: a
include: [shared/a.yaml, b.yaml]
target: {url: "http://127.0.0.1"}
values: {place: "${region}-1"}
endpoints:
  home: GET /${place}?c=${pick(colour)}
personas:
  visitor: {tasks: {home: 1, list: 1}}
stages: [steady: {users: 1, for: 1s}]
profiles:
  other: {endpoints: {home: GET /, list: GET /}, personas: {visitor: {tasks: {home: 1}}}}
`

var includedFiles = map[string]string{
	"shared/a.yaml": "\ufeffvalues: {region: north, colour: [red]}\npersonas:\n  reader: {tasks: {list: 1}}\n",
	"b.yaml":        "endpoints: {list: \"GET /list/${place}\"}\n",
}

func TestIncludedNamesStandInFrontOfTheSpecs(t *testing.T) {
	s := parse(t, including, Options{ReadFile: kept(includedFiles)})
	var endpoints, personas []string
	for _, e := range s.Endpoints {
		endpoints = append(endpoints, render(t, s, e.Path, nil))
	}
	for _, p := range s.Personas {
		personas = append(personas, p.Name)
	}
	if got := fmt.Sprint(endpoints, personas); got != "[/list/north-1 /north-1?c=red] [reader visitor]" {
		t.Error(got)
	}
	if pos := s.Personas[0].Pos; pos != (Pos{"shared/a.yaml", 3, 3}) {
		t.Errorf("%+v", pos)
	}
	s = parse(t, including, Options{Profile: "other", ReadFile: kept(includedFiles)})
	if len(s.Personas) != 1 || len(s.Endpoints) != 2 {
		t.Error("a profile does not replace what is included")
	}
	s = parse(t, including, Options{Set: []string{"values.region=south"}, ReadFile: kept(includedFiles)})
	if got := render(t, s, s.Endpoints[0].Path, nil); got != "/list/south-1" {
		t.Error(got)
	}
}

func TestSpecMayHaveItsEndpointsAndPersonasFromElsewhere(t *testing.T) {
	text := "version: 1\nname: a\ninclude: [all.yaml]\ntarget: {url: \"http://127.0.0.1\"}\nstages: [steady: {users: 1, for: 1s}]\n"
	s := parse(t, text, Options{ReadFile: kept(map[string]string{"all.yaml": "endpoints: {a: GET /}\npersonas: {p: {tasks: {a: 1}}}\n"})})
	if len(s.Endpoints) != 1 || len(s.Personas) != 1 {
		t.Errorf("%+v", s)
	}
}

func TestLimitsHoldForIncludedFiles(t *testing.T) {
	for want, text := range map[string]string{
		"a spec at most 1048576":                     strings.Repeat("#", 1<<20+1),
		"nested deeper than 64":                      "values: {a: " + strings.Repeat("[", 70) + strings.Repeat("]", 70) + "}",
		"more than 1000 aliases":                     "values: {a: &a [x], b: [" + strings.Repeat("*a,", 1100) + "]}",
		"the file is empty":                          "",
		"the file is not UTF-8":                      "values: \xff",
		"more than 250000 values, with the included": "values: {a: [" + strings.Repeat("x,", 200_000) + "]}",
	} {
		files := map[string]string{"shared/a.yaml": text, "b.yaml": "values: {b: [" + strings.Repeat("x,", 100_000) + "]}"}
		_, faults := Parse("dir/a.yaml", []byte(including), Options{ReadFile: kept(files)})
		if len(faults) != 1 || !strings.Contains(faults[0].Msg, want) {
			t.Errorf("want the one fault %q, got %v", want, faults)
		}
	}
}

func TestFilesOfASpecHaveASize(t *testing.T) {
	big := bytes.Repeat([]byte("x"), 64<<20)
	spec := func(names ...string) string {
		out := "version: 1\nname: a\ntarget: {url: \"http://127.0.0.1\"}\npersonas: {p: {tasks: {a0: 1}}}\nstages: [steady: {users: 1, for: 1s}]\nendpoints:\n"
		for i, name := range names {
			out += fmt.Sprintf("  a%d: {request: POST /, body: {file: %s}}\n", i, name)
		}
		return out
	}
	read := func(name string) ([]byte, error) {
		if name == "larger" {
			return append(big, 'x'), nil
		}
		return big, nil
	}
	if f := onlyFault(t, spec("larger"), Options{ReadFile: read}); f.Msg != `the file "larger" is larger than 64 MiB` {
		t.Error(f)
	}
	if f := onlyFault(t, spec("a", "b", "c", "d", "a", "e"), Options{ReadFile: read}); !strings.Contains(f.Msg, "larger than 256 MiB together") {
		t.Error(f)
	}
	if f := onlyFault(t, spec("a"), Options{}); !strings.Contains(f.Msg, "comes alone") || f.Hint == "" {
		t.Error(f)
	}
	parts := "multipart: {"
	for i := range 5 {
		parts += fmt.Sprintf("f%d: {file: a}, ", i)
	}
	many := strings.Replace(spec("a"), "body: {file: a}", parts+"}", 1)
	if f := onlyFault(t, many, Options{ReadFile: read}); !strings.Contains(f.Msg, "multipart bodies") {
		t.Error(f)
	}
}

func TestEveryFileIsPartOfTheDigests(t *testing.T) {
	text := `version: 1
name: a
include: [i.yaml]
target: {url: "https://127.0.0.1", tls: {ca: tls/ca.pem}}
values: {rows: {csv: r.csv}}
endpoints:
  a: {request: "POST /${rows.a}", body: {file: b.bin}}
  b: {request: POST /, multipart: {x: {file: m.bin}}}
personas: {p: {tasks: {a: 1, b: 1}}}
stages: [steady: {users: 1, for: 1s}]
`
	files := map[string]string{"i.yaml": "values: {x: 1}\n", "r.csv": "a\n1\n", "b.bin": "b", "m.bin": "m", "tls/ca.pem": string(pems()["tls/ca.pem"])}
	digests := func(files map[string]string) (string, string) {
		s := parse(t, text, Options{ReadFile: kept(files)})
		return s.Digest, s.Traffic
	}
	digest, traffic := digests(files)
	for name, content := range files {
		changed := map[string]string{}
		for n, c := range files {
			changed[n] = c
		}
		changed[name] = map[string]string{"i.yaml": "values: {x: 2}\n", "r.csv": "a\n2\n", "tls/ca.pem": content + "\n"}[name]
		d, tr := digests(changed)
		if d == digest {
			t.Errorf("another %s has the same digest", name)
		}
		if same := tr == traffic; same != (name == "tls/ca.pem") {
			t.Errorf("another %s is the same traffic: %v", name, same)
		}
	}
	if d, tr := digests(files); d != digest || tr != traffic {
		t.Error("the same files have another digest")
	}
}
