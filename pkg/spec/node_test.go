package spec

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The mark stands where the fault is, in the text as YAML decodes it and in the file.
func TestPlaceInATextIsFoundInTheFile(t *testing.T) {
	const mark = "HERE"
	for name, src := range map[string]string{
		"plain":                     `a: x ${HERE}`,
		"plain, later":              `a: ${x} é ${y} ${HERE + 1}`,
		"plain, no expression":      `a: p95 < HERE`,
		"double quotes":             `a: "x ${HERE}"`,
		"escapes before":            `a: "\t\"\\ \u00e9 \x41 ${HERE}"`,
		"escapes inside":            `a: "${f(\"é\", \"\u00e9\", HERE)}"`,
		"escapes, no expression":    `a: "\t\"HERE\""`,
		"single quotes":             `a: 'it''s ${"it''s" + HERE}'`,
		"literal block":             "a: |\n  x ${y}\n  z ${HERE}\n",
		"literal block, keep":       "a: |2+\n    x ${y}\n  z ${HERE}\n\n",
		"folded block":              "a: >-\n  x ${y}\n  z ${HERE}\n",
		"folded plain":              "a: x ${y}\n  z ${HERE}\n",
		"folded quotes":             "a: \"x ${y}\n  z \\\n  ${HERE}\"\n",
		"anchor":                    `a: &anchor "x ${HERE}"`,
		"anchor and tag":            `a: &anchor !!str x HERE`,
		"wide characters before it": `é: "é" # é` + "\na: 'é ${HERE}'",
		"flow":                      `{é: 1, a: "${HERE}"}`,
		"byte order mark":           "\ufeffa: ${HERE}",
		"carriage returns":          "b: 1\r\na: ${HERE}\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := newSource("f", strings.TrimPrefix(src, "\ufeff"))
			faults := &faultSet{}
			root := read(s, faults)
			if root == nil || len(faults.list) > 0 {
				t.Fatal(faults.list)
			}
			n := root.get("a")
			off := strings.Index(n.text, mark)
			if got, want := n.at(off), s.posAt(strings.Index(s.text, mark)); got != want {
				t.Errorf("byte %d of %q is at %d:%d, not %d:%d", off, n.text, want.Line, want.Col, got.Line, got.Col)
			}
		})
	}
}

func TestEveryPlaceOfAnyTextIsInsideTheFile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src := "a: " + rapid.StringOf(rapid.RuneFrom([]rune("ab${}\"'\\n #:é\n |>-&!*,[]x41u00e9"))).Draw(t, "src")
		s := newSource("f", src)
		root := read(s, &faultSet{})
		if root == nil {
			return
		}
		n := root.get("a")
		for off := -1; n != nil && off <= len(n.text)+1; off++ {
			p := n.at(off)
			if p.Line < 1 || p.Line > len(s.lines) || p.Col < 1 || p.Col > len(s.text)+1 {
				t.Fatalf("byte %d of %q is at %d:%d of %q", off, n.text, p.Line, p.Col, src)
			}
		}
	})
}

func TestPositionsCountBytes(t *testing.T) {
	f := onlyFault(t, with(t, `{email: "${email}"}`, `{é: "é", name: ".é.${emial}"}`), Options{})
	line := strings.Split(with(t, `{email: "${email}"}`, `{é: "é", name: ".é.${emial}"}`), "\n")[f.Line-1]
	if !strings.HasPrefix(line[f.Col-1:], "emial") || f.Source != line {
		t.Errorf("%+v", f)
	}
}

func TestByteOrderMarkTakesNoColumn(t *testing.T) {
	f := onlyFault(t, "\ufefftresholds: [] # é\n"+shop, Options{})
	if f.Pos != (Pos{"shop.yaml", 1, 1}) || f.Source != "tresholds: [] # é" {
		t.Errorf("%+v", f)
	}
}

func TestLinesEndWhereYAMLEndsThem(t *testing.T) {
	for _, end := range []string{"\n", "\r\n", "\r", "\u0085", "\u2028", "\u2029"} {
		f := onlyFault(t, strings.ReplaceAll(with(t, "think: 1s..2s", "think: 1"), "\n", end), Options{})
		if f.Line != 16 || f.Col != 12 || f.Source != "    think: 1" {
			t.Errorf("%q: %+v", end, f)
		}
	}
}
