package report

import (
	"bytes"
	"math"
	"net/url"
	"strings"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// readLog reads a log with the library's reader, and adds up the intervals of
// each tag.
func readLog(t *testing.T, data []byte) (sums map[string]*hdrhistogram.Histogram, intervals int) {
	t.Helper()
	sums = map[string]*hdrhistogram.Histogram{}
	r := hdrhistogram.NewHistogramLogReader(bytes.NewReader(data))
	for {
		h, err := r.NextIntervalHistogram()
		if err != nil {
			t.Fatal(err)
		}
		if h == nil {
			return sums, intervals
		}
		intervals++
		tag, err := url.PathUnescape(h.Tag())
		if err != nil {
			t.Errorf("the tag %q: %v", h.Tag(), err)
		}
		if sums[tag] == nil {
			sums[tag] = h
		} else if dropped := sums[tag].Merge(h); dropped > 0 {
			t.Errorf("%q: %d values dropped", tag, dropped)
		}
	}
}

func TestLogReadBackGivesThePercentilesOfTheDocument(t *testing.T) {
	for name, play := range plays {
		d := Build(play(t))
		sums, _ := readLog(t, bytesOf(t, d, "latency.hlog"))
		rows := map[string]*Row{"": &d.Total}
		for i := range d.Rows {
			r := &d.Rows[i]
			rows[strings.TrimSpace(r.Method+" "+r.title())] = r
		}
		for tag, r := range rows {
			h := sums[tag]
			if r.Response.Count == 0 {
				if h != nil {
					t.Errorf("%s: %q has nothing, and the log %d values", name, tag, h.TotalCount())
				}
				continue
			}
			if h == nil || uint64(h.TotalCount()) != r.Response.Count {
				t.Errorf("%s: the log has %v values of %q, the document %d", name, h, tag, r.Response.Count)
				continue
			}
			for q, want := range map[float64]Number{50: r.Response.P50, 75: r.Response.P75, 90: r.Response.P90, 95: r.Response.P95, 99: r.Response.P99, 99.9: r.Response.P999} {
				// The library rounds the rank that a percentile stands for, and the
				// document rounds it up: it is asked for that rank.
				n := float64(h.TotalCount())
				got := h.ValueAtQuantile(100 * math.Ceil(q/100*n-1e-9) / n)
				if !want.Known() {
					if got < 3600e6 {
						t.Errorf("%s: p%v of %q is %d µs, and the document has no finite value", name, q, tag, got)
					}
					continue
				}
				// The document has three digits and the log two: the same bucket.
				if us := int64(float64(want)*1e6 + 0.5); !h.ValuesAreEquivalent(us, got) {
					t.Errorf("%s: p%v of %q is %d µs, the document's %d", name, q, tag, got, us)
				}
			}
		}
		if len(sums) > len(rows) {
			t.Errorf("%s: %d tags of %d rows", name, len(sums), len(rows))
		}
	}
}

func TestIntervalsOfALogAreSecondsOfTheRun(t *testing.T) {
	d := Build(passing(t))
	r := hdrhistogram.NewHistogramLogReader(bytes.NewReader(bytesOf(t, d, "latency.hlog")))
	all := d.Timeline[0]
	started := d.epoch()
	for i := 0; i < len(all.Second); {
		h, err := r.NextIntervalHistogram()
		if err != nil || h == nil {
			t.Fatalf("after %d intervals: %v", i, err)
		}
		if h.Tag() != "" {
			continue
		}
		if h.StartTimeMs() != started*1e3+535+all.Second[i]*1e3 || h.EndTimeMs()-h.StartTimeMs() != 1000 || uint64(h.TotalCount()) != all.Requests[i] {
			t.Errorf("interval %d: from %d to %d with %d requests, want second %d with %d", i, h.StartTimeMs(), h.EndTimeMs(), h.TotalCount(), all.Second[i], all.Requests[i])
		}
		i++
	}
}

func TestLogOfALongRunIsBounded(t *testing.T) {
	p := newPlay(t, work, "errors < 1%")
	p.run.Elapsed = 12000e9
	p.run.Spans[2].End = 12000
	for i := range int64(12000) {
		p.ok(hold, board, i*sec, 20*ms)
	}
	sums, intervals := readLog(t, bytesOf(t, Build(p.end(0, "pass")), "latency.hlog"))
	if intervals > mostIntervals || sums[""].TotalCount() != 12000 || sums["GET board"].TotalCount() != 12000 {
		t.Errorf("%d intervals", intervals)
	}
}

func TestTagOfALogIsOneWord(t *testing.T) {
	for _, name := range []string{"a,b", "a b", "50%", "\x00\n", "漢字", "", "a\u00a0b"} {
		r := Row{Name: name, Method: "GET"}
		tag := r.tag()
		if strings.ContainsAny(tag, " ,\r\n") {
			t.Errorf("the tag of %q is %q", name, tag)
		}
		if back, err := url.PathUnescape(tag); err != nil || back != strings.TrimSpace("GET "+clean(name)) {
			t.Errorf("%q comes back as %q (%v)", name, back, err)
		}
	}
}
