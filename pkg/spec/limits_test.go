package spec

import (
	"strings"
	"testing"
	"time"
)

// The files of this test are made here: they are large.
func TestBombsAreRefusedInAMoment(t *testing.T) {
	names := "abcdefghijklmnopqrstuvwxyz"
	var aliases strings.Builder
	aliases.WriteString("a: &a [x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < len(names); i++ {
		aliases.WriteString(names[i:i+1] + ": &" + names[i:i+1] + " [" + strings.Repeat("*"+names[i-1:i]+", ", 9) + "]\n")
	}
	wide := "a: &a [" + strings.Repeat("x,", 5000) + "]\nb: [" + strings.Repeat("*a,", 900) + "]\n"
	merges := "a: &a {k: v}\nb: {" + strings.Repeat("<<: *a, ", 2000) + "}\n"
	for name, tt := range map[string]struct{ src, want string }{
		"two mebibytes":        {"name: " + strings.Repeat("x", 2<<20), "1 MiB"},
		"one byte too much":    {strings.Repeat("#", 1<<20+1), "1 MiB"},
		"aliases of aliases":   {aliases.String(), "more than 1000 aliases"},
		"aliases of a list":    {wide, "more than 250000 values"},
		"merges":               {merges, "more than 1000 aliases"},
		"flow depth":           {strings.Repeat("[", 60) + strings.Repeat("{a: ", 60), "nested deeper|not YAML"},
		"unclosed flow":        {strings.Repeat("[", 1<<20), "not YAML"},
		"block depth":          {strings.Repeat("- ", 500_000), "not YAML"},
		"closed depth":         {"a: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000), "nested deeper than 64"},
		"depth through alias":  {"a: &a " + strings.Repeat("[", 50) + strings.Repeat("]", 50) + "\nb: " + strings.Repeat("[", 30) + "*a" + strings.Repeat("]", 30), "nested deeper than 64 levels, aliases expanded"},
		"itself":               {"a: &a {b: *a}", "inside the value that it names"},
		"complex keys":         {strings.Repeat("? ", 500_000), "not YAML"},
		"anchors":              {strings.Repeat("&a ", 300_000), "not YAML"},
		"quotes":               {strings.Repeat(`"`, 300_001), "quote|not YAML|a key without"},
		"unknown keys":         {unknownKeys(20_000), "more faults, which are not shown"},
		"too many steps":       {"version: 1\npersonas: {a: {on_start: [" + strings.Repeat("x,", 300) + "], tasks: {x: 1}}}", "at most 200"},
		"profiles of profiles": {"version: 1\nvalues: {a: [" + strings.Repeat("x,", 5_000) + "]}\nprofiles:\n" + manyProfiles(200), "profiles are too many"},
	} {
		t.Run(name, func(t *testing.T) {
			const most = 200 * time.Millisecond
			var faults Faults
			fastest := time.Hour
			for range 8 { // the machine may be busy with something else
				start := time.Now()
				_, faults = Parse("bomb.yaml", []byte(tt.src), Options{})
				fastest = min(fastest, time.Since(start))
				if fastest < most {
					break
				}
			}
			if fastest > most && !raceEnabled {
				t.Errorf("took %v", fastest)
			}
			found := false
			for _, f := range faults {
				for _, want := range strings.Split(tt.want, "|") {
					found = found || strings.Contains(f.Msg, want)
				}
			}
			if !found {
				t.Errorf("no fault says %q: %v", tt.want, faults)
			}
		})
	}
}

func unknownKeys(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("key" + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676%26)) + ": 1\n")
	}
	return b.String()
}

func manyProfiles(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("  q" + string(rune('a'+i%26)) + string(rune('a'+i/26)) + ": {}\n")
	}
	return b.String()
}

func TestLongLineIsReadOnce(t *testing.T) {
	src := with(t, "endpoints:", "values: {long: ["+strings.Repeat("é,", 200_000)+"]}\nendpoints:")
	start := time.Now()
	parse(t, src, Options{})
	if spent := time.Since(start); spent > time.Minute { // counting columns anew for each value takes many
		t.Errorf("took %v", spent)
	}
}
