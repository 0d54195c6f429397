package arch

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tollgate/pkg/slo"
	"tollgate/pkg/spec"
)

func TestLinksOfDocumentsLeadSomewhere(t *testing.T) { report(t, brokenLinks(texts(t))) }

func TestSpecsInDocumentsAreSound(t *testing.T) {
	files := texts(t)
	if !strings.Contains(files["README.md"], "\nversion: 1\n") {
		t.Error("README.md shows no spec")
	}
	report(t, unsoundExamples(files))
}

var (
	link = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	yaml = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```")
	item = regexp.MustCompile(`(?m)^  - ([a-z][^#\n]*?)\s*(?:#.*)?$`)
)

// brokenLinks finds links from a document to a file that there is not.
func brokenLinks(files map[string]string) (faults []string) {
	for _, from := range slices.Sorted(maps.Keys(files)) {
		if path.Ext(from) != ".md" {
			continue
		}
		for _, m := range link.FindAllStringSubmatch(files[from], -1) {
			target, _, _ := strings.Cut(m[1], "#")
			if target == "" || strings.Contains(target, ":") {
				continue
			}
			to := path.Join(path.Dir(from), target)
			_, file := files[to]
			folder := slices.ContainsFunc(slices.Collect(maps.Keys(files)), func(f string) bool { return strings.HasPrefix(f, to+"/") })
			if !file && !folder {
				faults = append(faults, fmt.Sprintf("%s: the link to %s leads nowhere", from, m[1]))
			}
		}
	}
	return faults
}

// unsoundExamples finds specs in documents that have faults, and objectives
// that are none. An example is a spec when it has a version; of another, only
// the list under slos is looked at.
func unsoundExamples(files map[string]string) (faults []string) {
	for _, from := range slices.Sorted(maps.Keys(files)) {
		if path.Ext(from) != ".md" {
			continue
		}
		for _, m := range yaml.FindAllStringSubmatch(files[from], -1) {
			if regexp.MustCompile(`(?m)^version: 1$`).MatchString(m[1]) {
				_, found := spec.Parse(from, []byte(m[1]), spec.Options{Env: func(string) (string, bool) { return "", false }})
				for _, f := range found {
					faults = append(faults, fmt.Sprintf("a spec in %s: %s", from, f))
				}
				continue
			}
			_, list, _ := strings.Cut(m[1], "slos:\n")
			for _, o := range item.FindAllStringSubmatch(list, -1) {
				if _, err := slo.Parse(o[1]); err != nil {
					faults = append(faults, fmt.Sprintf("an objective in %s: %s: %v", from, o[1], err))
				}
			}
		}
	}
	return faults
}

func TestBrokenLinksAreFound(t *testing.T) {
	files := map[string]string{
		"README.md": "[a](docs/a.md) [b](docs/) [c](https://example.org/x) [d](#d) [e](docs/a.md#e)",
		"docs/a.md": "[back](../README.md)",
	}
	expect(t, brokenLinks(files), "")
	files["docs/b.md"] = "[gone](c.md)"
	expect(t, brokenLinks(files), "docs/b.md: the link to c.md leads nowhere")
}

func TestUnsoundExamplesAreFound(t *testing.T) {
	const sound = "version: 1\nname: a\ntarget: {url: \"http://127.0.0.1:1\"}\nendpoints: {a: GET /a}\n" +
		"personas: {p: {tasks: {a: 1}}}\nstages: [{steady: {users: 1, for: 1s}}]\n"
	block := func(text string) map[string]string {
		return map[string]string{"a.md": "text\n```yaml\n" + text + "```\nmore\n"}
	}
	expect(t, unsoundExamples(block(sound)), "")
	expect(t, unsoundExamples(block(strings.Replace(sound, "{a: 1}", "{b: 1}", 1))), "a spec in a.md")
	expect(t, unsoundExamples(block("slos:\n  - p95 < 1s   # fast\n")), "")
	expect(t, unsoundExamples(block("slos:\n  - p95 < 1\n")), "an objective in a.md: p95 < 1:")
}
