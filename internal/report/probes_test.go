package report

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/internal/measure"
)

// watched is a run whose probes were read.
func watched(t *testing.T) Run {
	t.Helper()
	r := failing(t)
	r.Spec.Secrets = append(r.Spec.Secrets, "hunter2")
	r.Probes = []measure.Readings{
		{Probe: "stored", Counter: true, List: []measure.Reading{{At: -1500, Value: 7}, {At: 5*sec + 1, Value: 1234}, {At: 14 * sec, Value: 1300.5}}},
		{Probe: "gone", List: []measure.Reading{{At: -1, Value: math.NaN(), Why: "no\x1b[31m answer for hunter2"}}},
		{Probe: "never"},
	}
	return r
}

func TestReadingsComeBackAsTheyWere(t *testing.T) {
	d, err := Decode(encoded(t, watched(t)))
	if err != nil {
		t.Fatal(err)
	}
	got := d.Probes[0].Readings()
	want := &measure.Readings{Probe: "stored", Counter: true, List: []measure.Reading{{At: -1500, Value: 7}, {At: 5*sec + 1, Value: 1234}, {At: 14 * sec, Value: 1300.5}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	one := d.Probes[1].Readings().List[0]
	if !math.IsNaN(one.Value) || strings.Contains(one.Why, "hunter2") || strings.Contains(one.Why, "\x1b") || !strings.Contains(one.Why, "answer") {
		t.Errorf("%+v", one)
	}
	if len(d.Probes[2].Readings().List) != 0 {
		t.Errorf("%+v", d.Probes[2])
	}
}

func TestProbesAreShown(t *testing.T) {
	d := Build(watched(t))
	var text bytes.Buffer
	if err := d.Text(&text, TextOptions{}); err != nil {
		t.Fatal(err)
	}
	for what, page := range map[string]string{"the screen": text.String(), "summary.md": string(d.Markdown())} {
		line := ""
		for l := range strings.Lines(page) {
			if strings.Contains(l, "stored") {
				line = strings.Join(strings.Fields(strings.ReplaceAll(l, "|", " ")), " ")
			}
		}
		if line != "stored 3 0 7 7 1,300.5 1,300.5" && line != "stored 3 0 7 7 1,301 1,301" {
			t.Errorf("%s shows %q", what, line)
		}
	}
}
