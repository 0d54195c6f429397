package compare

import (
	"strings"
	"testing"

	"tollgate/internal/measure"
	"tollgate/internal/report"
	"tollgate/pkg/slo"
)

// A result that was read may have been written by anybody: whatever passes
// Decode can be judged and compared, and a claim is never kept by nothing.
func FuzzAStoredResultIsSafeToRead(f *testing.F) {
	r := newRun(0.02, []slo.Claim{claim(f, "p95 < 200ms", "steady"), claim(f, "max < 1s", "steady"), guard(f, "board")})
	r.busy(1, 40)
	r.record(trigger, 6*sec, ms, measure.OK)
	r.Snapshot = r.rec.Snapshot()
	whole, err := report.Build(r.Run).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte(strings.Replace(string(whole), `"elapsed":63.02`, `"elapsed":1e300`, 1)))
	f.Add([]byte(strings.ReplaceAll(string(whole), `"end":35.02`, `"end":-1e300`)))
	f.Add([]byte(strings.ReplaceAll(string(whole), `"held":`, `"held":0,"x":`)))
	none, err := report.Build(newRunOfNothing()).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(none)
	claims := []slo.Claim{guard(f, "rare"), guard(f, "login")}
	for _, text := range everyPromise {
		claims = append(claims, claim(f, text, "steady"))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := report.Decode(data)
		if err != nil {
			return
		}
		c, err := Regate(d, claims)
		if err != nil {
			t.Fatal(err)
		}
		for _, res := range c.Judge(slo.Options{}).Results {
			if res.Verdict == slo.Pass && res.N == 0 {
				t.Fatalf("kept by nothing: %s", res.Reason)
			}
		}
		if _, err := Results(d, d, 0.95); err != nil {
			t.Fatal(err)
		}
	})
}

func newRunOfNothing() report.Run {
	r := newRun(0, nil)
	r.Run.Spans, r.Run.Elapsed = nil, 0
	r.Run.Snapshot = r.rec.Snapshot()
	return r.Run
}
