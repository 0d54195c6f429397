package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tollgate/schema"
)

func encoded(t testing.TB, r Run) []byte {
	t.Helper()
	data, err := Build(r).Encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestEveryDocumentIsValidByItsSchema(t *testing.T) {
	for name, play := range plays {
		value, err := jsonValue(encoded(t, play(t)))
		if err != nil {
			t.Fatal(err)
		}
		if err := resultSchema().Validate(value); err != nil {
			t.Errorf("%s: %#v", name, err)
		}
	}
}

// TestSchemaAndDocumentHaveTheSameKeys finds a key that only one of them has.
func TestSchemaAndDocumentHaveTheSameKeys(t *testing.T) {
	var root map[string]any
	if err := json.Unmarshal(schema.Result, &root); err != nil {
		t.Fatal(err)
	}
	data, err := compared(t).Encode()
	if err != nil {
		t.Fatal(err)
	}
	var document any
	if err := json.Unmarshal(data, &document); err != nil {
		t.Fatal(err)
	}
	var compare func(path string, s map[string]any, v any)
	compare = func(path string, s map[string]any, v any) {
		if ref, ok := s["$ref"].(string); ok {
			s = root["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
		}
		switch v := v.(type) {
		case map[string]any:
			properties, ok := s["properties"].(map[string]any)
			if !ok {
				return // keys are data
			}
			keys := slices.Sorted(maps.Keys(v))
			if described := slices.Sorted(maps.Keys(properties)); !slices.Equal(keys, described) {
				t.Errorf("%s: the document has %q, the schema %q", path, keys, described)
			}
			var required []string
			for _, k := range s["required"].([]any) {
				required = append(required, k.(string))
			}
			if slices.Sort(required); !slices.Equal(keys, required) {
				t.Errorf("%s: the document has %q, the schema requires %q", path, keys, required)
			}
			if s["additionalProperties"] != false {
				t.Errorf("%s: the schema lets other keys in", path)
			}
			for _, k := range keys {
				compare(path+"/"+k, properties[k].(map[string]any), v[k])
			}
		case []any:
			if len(v) == 0 {
				return
			}
			compare(path+"[]", s["items"].(map[string]any), v[0])
		}
	}
	compare("", root, document)
}

// change returns a document with one value set; the path is keys and indices.
func change(t *testing.T, data []byte, value any, path ...any) []byte {
	t.Helper()
	var root any
	if err := json.Unmarshal(data, &root); err != nil {
		t.Fatal(err)
	}
	at := root
	for _, step := range path[:len(path)-1] {
		switch step := step.(type) {
		case string:
			at = at.(map[string]any)[step]
		case int:
			at = at.([]any)[step]
		}
	}
	switch step := path[len(path)-1].(type) {
	case string:
		at.(map[string]any)[step] = value
		if value == nil {
			delete(at.(map[string]any), step)
		}
	case int:
		at.([]any)[step] = value
	}
	out, err := json.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWhatIsNoResultIsRefusedWithItsPlace(t *testing.T) {
	data, probed := encoded(t, failing(t)), encoded(t, watched(t))
	for want, broken := range map[string][]byte{
		"not a result: unexpected EOF":                                         data[:len(data)/2],
		"not a result: EOF":                                                    nil,
		"not a result: it has no version":                                      []byte("[]"),
		"not a result: something follows the document":                         append(bytes.Clone(data), '1'),
		"a result of version 2, and this runner reads version 1":               change(t, data, 2, "version"),
		"slos/0/verdict: value must be one of":                                 change(t, data, "green", "slos", 0, "verdict"),
		"rows/1/requests: must be >= 0":                                        change(t, data, -1, "rows", 1, "requests"),
		"missing properties: 'method'":                                         change(t, data, nil, "method"),
		"additionalProperties 'extra' not allowed":                             change(t, data, 1, "extra"),
		"a histogram holds 3 values of 4":                                      change(t, data, map[string]any{"digits": 3, "count": 4, "sum_ns": 0, "min_ns": 0, "max_ns": 0, "clamped": 0, "buckets": [][2]int{{7, 3}}}, "total", "histograms", "ok"),
		"bucket 23552 out of order or range":                                   change(t, data, map[string]any{"digits": 3, "count": 3, "sum_ns": 0, "min_ns": 0, "max_ns": 0, "clamped": 0, "buckets": [][2]int{{23552, 3}}}, "lag", "histogram"),
		"bucket 3328 out of order or range":                                    change(t, data, map[string]any{"digits": 2, "count": 3, "sum_ns": 0, "min_ns": 0, "max_ns": 0, "clamped": 0, "buckets": [][2]int{{3328, 3}}}, "lag", "histogram"),
		"bucket 7 out of order or range":                                       change(t, data, map[string]any{"digits": 3, "count": 3, "sum_ns": 0, "min_ns": 0, "max_ns": 0, "clamped": 0, "buckets": [][2]int{{7, 1}, {7, 2}}}, "lag", "histogram"),
		`timeline of "": a column of 1 values beside 13 seconds`:               change(t, data, []int{1}, "timeline", 0, "requests"),
		`users of "agent": 1 values beside 3 moments`:                          change(t, data, []int{1}, "users", "personas", 0, "active"),
		`probe "stored": columns of 3 values and 3 reasons beside 1 moments`:   change(t, probed, []float64{1}, "probes", 0, "at"),
		`probe "stored": columns of 1 values and 3 reasons beside 3 moments`:   change(t, probed, []float64{1}, "probes", 0, "value"),
		`probe "stored": a reading at 2 comes after one at 3`:                  change(t, probed, []float64{1, 3, 2}, "probes", 0, "at"),
		"cannot unmarshal number 99999999999999999999 into Go struct field":    bytes.Replace(data, []byte(`"requests":451`), []byte(`"requests":99999999999999999999`), 1),
		"a result of version 2, and this runner reads version 1: use the runn": change(t, data, 2, "version"),
	} {
		d, err := Decode(broken)
		if err == nil || d != nil {
			t.Errorf("read; want %q", want)
			continue
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}

func TestStoredResultSendsNothingToTheTerminal(t *testing.T) {
	data := change(t, encoded(t, passing(t)), "so\x1b[31mc\u009b", "name")
	d, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if d.Name != "so[31mc" {
		t.Errorf("name %q", d.Name)
	}
}

func FuzzDecode(f *testing.F) {
	// Small documents: the fuzzer minimizes what it finds, for minutes if it is long.
	for _, play := range []string{"nothing", "no-data"} {
		r := plays[play](f)
		r.Users = nil
		f.Add(encoded(f, r))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if d, err := Decode(data); err == nil {
			checkStable(t, d)
		}
	})
}

// checkStable renders a document, stores it, and expects the same renderings
// of what was stored.
func checkStable(t fataler, d *Document) {
	t.Helper()
	render := func(d *Document) map[string]string {
		var screen, narrow bytes.Buffer
		if err := errors.Join(d.Text(&screen, TextOptions{}), d.Text(&narrow, TextOptions{Width: 1})); err != nil {
			t.Fatal(err)
		}
		out := map[string]string{"the screen": screen.String(), "a narrow screen": narrow.String(), "annotations": d.Annotations()}
		for _, r := range renderings {
			out[r.name] = string(bytesOf(t, d, r.name))
		}
		return out
	}
	before := render(d)
	for name, text := range before {
		if strings.ContainsRune(text, '\x1b') {
			t.Fatalf("an escape in %s: %q", name, text)
		}
	}
	data, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Decode(data)
	if err != nil {
		t.Fatalf("a document that was read is refused when it is stored again: %v", err)
	}
	if diff := cmp.Diff(before, render(again)); diff != "" {
		t.Fatalf("the renderings changed:\n%s", diff)
	}
}

func TestWhatCanBeReadRendersTheSameWhenStoredAgain(t *testing.T) {
	data := encoded(t, failing(t))
	read := 0
	rapid.Check(t, func(t *rapid.T) {
		var root any
		if err := json.Unmarshal(data, &root); err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1, 6).Draw(t, "changes") {
			changeOne(t, root)
		}
		changed, err := json.Marshal(root)
		if err != nil {
			t.Fatal(err)
		}
		if d, err := Decode(changed); err == nil {
			read++
			checkStable(t, d)
		}
	})
	if read < 5 {
		t.Errorf("only %d changed documents could be read", read)
	}
}

// changeOne walks down to a leaf and gives it another value.
func changeOne(t *rapid.T, at any) {
	for {
		var next any
		var set func(any)
		switch v := at.(type) {
		case map[string]any:
			k := rapid.SampledFrom(slices.Sorted(maps.Keys(v))).Draw(t, "key")
			next, set = v[k], func(x any) { v[k] = x }
		case []any:
			i := rapid.IntRange(0, len(v)-1).Draw(t, "index")
			next, set = v[i], func(x any) { v[i] = x }
		}
		switch leaf := next.(type) {
		case map[string]any:
			if len(leaf) > 0 {
				at = leaf
				continue
			}
		case []any:
			if len(leaf) > 0 {
				at = leaf
				continue
			}
		case string:
			set(rapid.OneOf(rapid.String(), rapid.StringMatching("[\x1b|\\x60*<>a\u202e\n ]{0,300}")).Draw(t, "text"))
			return
		case bool:
			set(!leaf)
			return
		}
		set(rapid.OneOf(
			rapid.Just[any](nil), rapid.Just[any](map[string]any{}), rapid.Just[any]([]any{}),
			rapid.Map(rapid.Uint64(), func(n uint64) any { return n }),
			rapid.Map(rapid.Float64(), func(n float64) any { return n }),
		).Draw(t, "value"))
		return
	}
}
