package spec

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/schema"
)

// definition is what this test reads of the schema.
type definition struct {
	Description string
	Ref         string `json:"$ref"`
	Properties  map[string]definition
	Additional  any                   `json:"additionalProperties"`
	Defs        map[string]definition `json:"$defs"`
}

func TestSchemaAndParserKnowTheSameKeys(t *testing.T) {
	var doc definition
	if err := json.Unmarshal(schema.Spec, &doc); err != nil {
		t.Fatal(err)
	}
	for name, def := range doc.Defs {
		if def.Properties == nil {
			continue
		}
		want := slices.Sorted(slices.Values(legalKeys[object(name)]))
		var got []string
		for key, property := range def.Properties {
			got = append(got, key)
			if len(strings.Fields(property.Description)) < 2 || !strings.HasSuffix(strings.TrimRight(property.Description, ")"), ".") && !strings.Contains(property.Description, ":") {
				t.Errorf("%s.%s has no description that teaches: %q", name, key, property.Description)
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: the parser's keys (-) are not the schema's (+)\n%s", name, diff)
		}
		if def.Additional != false {
			t.Errorf("%s allows other keys", name)
		}
	}
	for o := range legalKeys {
		if doc.Defs[string(o)].Properties == nil {
			t.Errorf("the schema does not define %s", o)
		}
	}
}

func TestWhatOnlyTheSchemaRefusesIsRefusedOnce(t *testing.T) {
	strict := strings.Replace(string(schema.Spec), `"ramp": { "oneOf"`, `"ramp": { "const": "7s", "oneOf"`, 1)
	sch := compileSchema([]byte(strict))
	faults := &faultSet{}
	root := read(newSource("f", shop), faults)
	checkSchema(sch, root, faults)
	if len(faults.list) != 1 || !strings.Contains(faults.list[0].Msg, "schema") {
		t.Fatal(faults.list)
	}
	f := faults.list[0]
	if got := root.src.line(f.Line)[f.Col-1:]; got != "5/s, for: 1m}" {
		t.Errorf("it is reported at %q", got)
	}
	said := &faultSet{}
	said.add(Fault{Pos: f.Pos, Msg: "the decoder's own words"})
	checkSchema(sch, root, said)
	if len(said.list) != 1 {
		t.Errorf("what was said is said again: %v", said.list)
	}
}

func TestJSONPointersOfTheLibraryAreFollowed(t *testing.T) {
	root := read(newSource("f", `{"a/b": {"c~d": [1, {"é %": 5}]}}`), &faultSet{})
	if n := root.find("/a~1b/c~0d/1/%C3%A9%20%25"); n.text != "5" {
		t.Errorf("%+v", n)
	}
	if n := root.find("/a~1b/x"); n != root.get("a/b") {
		t.Errorf("%+v", n)
	}
}

func TestSoundSpecsSatisfyTheSchema(t *testing.T) {
	files, _ := filepath.Glob("../../specs/*.yaml")
	if len(files) == 0 {
		t.Fatal("no specs")
	}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		root := read(newSource(file, string(src)), &faultSet{})
		if err := specSchema().Validate(plain(root)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// A file that the schema refuses must not pass the parser, even if only an
// editor sees the schema; so each rule of the schema has a twin in the parser.
func TestParserFindsItselfWhatTheSchemaFinds(t *testing.T) {
	files, _ := filepath.Glob("testdata/err/*.yaml")
	found := 0
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, faults := Parse(file, src, Options{Env: noEnv, ReadFile: folder("err")})
		for _, f := range faults {
			if strings.Contains(f.Msg, "schema") {
				t.Errorf("%s: only the schema finds %s", file, f)
			}
		}
		found += len(faults)
	}
	if found < 100 {
		t.Errorf("only %d faults", found)
	}
}
