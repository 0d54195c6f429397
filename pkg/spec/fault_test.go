package spec

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestFaultsAreSortedAndNameTheFirst(t *testing.T) {
	_, faults := Parse("shop.yaml", []byte(with(t, "weight: 3", "wieght: 3", "slos:", "tresholds: 1\nslos:")), Options{})
	if len(faults) != 2 || faults[0].Line > faults[1].Line {
		t.Fatal(faults)
	}
	if got := faults.Error(); got != `shop.yaml:15:5: unknown key "wieght" (and 1 more)` {
		t.Error(got)
	}
}

func TestFaultIsFlatJSON(t *testing.T) {
	f := Fault{Pos: Pos{"a.yaml", 2, 3}, Msg: "m", Hint: "h", Source: "l"}
	got, err := json.Marshal(f)
	if want := `{"file":"a.yaml","line":2,"col":3,"msg":"m","hint":"h","source":"l"}`; string(got) != want || err != nil {
		t.Errorf("%s, %v", got, err)
	}
}

func TestFormatPutsTheCaretUnderTheColumn(t *testing.T) {
	long := strings.Repeat("é", 300) + "HERE" + strings.Repeat("x", 300)
	for name, tt := range map[string]struct {
		fault Fault
		want  string // what stands over the caret
	}{
		"tab":             {Fault{Pos: Pos{"f", 1, 6}, Source: "\tab: HERE"}, "H"},
		"wide characters": {Fault{Pos: Pos{"f", 1, 7}, Source: "ééé" + "HERE"}, "H"},
		"long line":       {Fault{Pos: Pos{"f", 1, 601}, Source: long}, "H"},
		"line's end":      {Fault{Pos: Pos{"f", 1, 5}, Source: "HERE"}, ""},
		"beyond the end":  {Fault{Pos: Pos{"f", 1, 99}, Source: "HERE"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			if err := (Faults{tt.fault}).Format(&b); err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(b.String(), "\n")
			source, caret := []rune(lines[1]), []rune(lines[2])
			at := len(caret) - 1
			over := ""
			if at < len(source) {
				over = string(source[at])
			}
			if caret[at] != '^' || over != tt.want || len(source) > 140 {
				t.Errorf("%q over the caret:\n%s", over, b.String())
			}
		})
	}
}

func TestFormatWritesNoControlCharacters(t *testing.T) {
	_, faults := Parse("f.yaml", []byte("name: \"\x1b[31m\u009b\"\r\n\u202e"), Options{})
	var b strings.Builder
	if err := faults.Format(&b); err != nil || len(faults) == 0 {
		t.Fatal(err)
	}
	if strings.ContainsAny(b.String(), "\x1b\r\u009b\u202e") {
		t.Errorf("%q", b.String())
	}
}
