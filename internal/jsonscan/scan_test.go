package jsonscan

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

var documents = []string{
	`{}`, `[]`, `null`, `true`, `false`, `0`, `-0.5e+10`, `""`, ` {"a" : 1 } `, `[1, 2, 3]`,
	`{"a": {"b": [10, {"c": "x\"y"}, null]}, "b": false, "a.b": 3}`,
	`{"a": 1, "a": 2}`, `{"a": {"b": 1}, "a": {"c": 2}}`, `{"\u0061": 5}`, `{"a": "ü\u00fc\ud83d\ude00"}`, `{"0": "zero", "1": ["one"]}`,
	`[[1, 2], [3, [4, 5]]]`, `{"a": "long enough for a word of eight bytes and some"}`,
	`{"a": 1,}`, `{"a" 1}`, `{a: 1}`, `[1 2]`, `[1,]`, `{`, `[`, `"`, `"\x"`, `"\u12g4"`, "\"a\nb\"", `01`, `1.`, `1e`, `-`, `.5`, `+1`, `tru`, `nul`,
	`{} {}`, `1 2`, ``, ` `, `{"a": "unterminated`, `{"a": {"b": 1}`, "\xff", `{"a": "` + "\x01" + `"}`, `"` + strings.Repeat("x", 100) + `\`, `"[1, 2]"`, `"{\"a\": 1}"`,
	`{"a": [{"b": 1}, {"b": 2}]}`, `{"a": 12345678901234567890, "b": 1e400}`, `{"a":"\\"}`, `{"a":"\\\""}`,
}

var queries = []string{"a", "a.b", "a.b.1.c", "0", "1.0", "a.0.b", "b", "a.b.0", "a.#.b", `a\.b`, "a.#(b==2).b", "@this", "0.1", "1.1.1", "missing.deep.path"}

// agrees compares with gjson, which checks and finds in passes of its own.
func agrees(t *testing.T, document string, paths []string) {
	t.Helper()
	q := Compile(paths)
	found := make([][]byte, q.Paths())
	valid := q.Find([]byte(document), found)
	if want := gjson.Valid(document); valid != want {
		t.Fatalf("%q is JSON: %v, gjson says %v", document, valid, want)
	}
	for i, path := range paths {
		want := gjson.Result{}
		// gjson looks for the first bracket, also inside the text of a scalar,
		// which has no parts. A modifier takes any document.
		if whole := gjson.Parse(document); valid && (whole.IsObject() || whole.IsArray() || path[0] == '@') {
			want = gjson.Get(document, path)
		}
		got := gjson.Parse(string(found[i]))
		if got.Type != want.Type || got.Raw != want.Raw || got.Str != want.Str || got.Num != want.Num || got.Exists() != want.Exists() {
			t.Fatalf("%q at %q is %+v, gjson says %+v", document, path, got, want)
		}
	}
}

func TestFindAgreesWithGjson(t *testing.T) {
	for _, document := range documents {
		agrees(t, document, queries)
		for _, path := range queries {
			agrees(t, document, []string{path})
		}
	}
}

func FuzzFind(f *testing.F) {
	for _, document := range documents {
		f.Add(document)
	}
	f.Fuzz(func(t *testing.T, document string) {
		if strings.Count(document, "[")+strings.Count(document, "{") > MaxDepth {
			return
		}
		agrees(t, document, []string{"a", "a.b", "b", "a.b.1.c", "0", "1.0", "a.0.b"})
	})
}

func TestNoDocumentExhaustsTheStack(t *testing.T) {
	const deep = 10 << 20
	for _, document := range []string{
		strings.Repeat("[", deep), strings.Repeat(`{"a":`, deep), strings.Repeat("[", deep) + strings.Repeat("]", deep),
	} {
		if Valid([]byte(document)) {
			t.Error("a document nested millions deep is valid")
		}
	}
	if fine := strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth); !Valid([]byte(fine)) || Valid([]byte("["+fine+"]")) {
		t.Error("the limit of the depth is not where it is said to be")
	}
}

const answer = `{"id": "5b1f7c0e-1f2b-4f7c-9d9e-0a1b2c3d4e5f", "status": "ok", "item": {"id": 17, "name": "item number 17", "price": 12.5, "tags": ["a", "b"]}, "user": 12}`

func TestFindAllocatesNothing(t *testing.T) {
	q := Compile([]string{"status", "item.id"})
	found := make([][]byte, 2)
	answer := []byte(answer)
	if n := testing.AllocsPerRun(100, func() { q.Find(answer, found) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkFind(b *testing.B) {
	q := Compile([]string{"status", "item.id"})
	found := make([][]byte, 2)
	b.ReportAllocs()
	document := []byte(answer)
	for b.Loop() {
		q.Find(document, found)
	}
}

func BenchmarkGjson(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if gjson.Valid(answer) {
			gjson.Get(answer, "status")
			gjson.Get(answer, "item.id")
		}
	}
}
