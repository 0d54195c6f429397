package spec

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestCompleteExamplesOfTheDocumentationAreSound(t *testing.T) {
	text, err := os.ReadFile("../../docs/spec.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```yaml complete\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(examples) < 4 {
		t.Fatalf("%d examples", len(examples))
	}
	// The files that they name are shown as well, or are too dull to be shown.
	files := map[string]string{"data/vouchers.csv": "code\nV1\n", "data/receipt.pdf": "%PDF"}
	for _, shown := range regexp.MustCompile("(?ms)^```[a-z]+ ([a-z/]+\\.[a-z]+)\n(.*?)^```").FindAllStringSubmatch(string(text), -1) {
		files[shown[1]] = shown[2]
	}
	for _, e := range examples {
		if _, faults := Parse("docs/spec.md", []byte(e[1]), Options{Env: noEnv, ReadFile: kept(files)}); faults != nil {
			var b strings.Builder
			faults.Format(&b)
			t.Error(b.String())
		}
	}
}

func TestDocumentationNamesEveryKey(t *testing.T) {
	text, err := os.ReadFile("../../docs/spec.md")
	if err != nil {
		t.Fatal(err)
	}
	for o, keys := range legalKeys {
		for _, key := range keys {
			if !strings.Contains(string(text), "`"+key+"`") && !strings.Contains(string(text), "{"+key+": ") && !strings.Contains(string(text), ", "+key+": ") {
				t.Errorf("%s.%s is not documented", o, key)
			}
		}
	}
}
