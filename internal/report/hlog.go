package report

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"tollgate/internal/measure"
)

// mostIntervals bounds latency.hlog: in a run with more seconds of rows than
// this, an interval is longer than a second.
const mostIntervals = 20_000

// hlog returns latency.hlog, an HdrHistogram log of version 1.3: response times
// in microseconds to two digits, by when requests were due. Lines without a tag
// are all requests but set-up; each row has lines under a tag of its own. The
// format knows no infinity, so failures and arrivals never sent, which are
// slower than every limit, count as one hour.
func (d *Document) hlog() ([]byte, error) {
	moments, err := measure.ReadLog(d.Record.Log, len(d.Rows))
	if err != nil {
		return nil, err
	}
	length := d.length()
	for i := range moments {
		length = max(length, moments[i].Second+1)
	}
	step := max(1, (length*int64(len(d.Rows)+1)+mostIntervals-1)/mostIntervals)

	// intervals[0] is of all requests, intervals[1+i] of row i.
	intervals := make([][]measure.Hist, 1+len(d.Rows))
	for i := range intervals {
		intervals[i] = make([]measure.Hist, (length+step-1)/step)
	}
	for i := range moments {
		m := &moments[i]
		m.Response.Inf = m.Failures + m.NotIssued
		intervals[1+m.Row][m.Second/step].Merge(&m.Response)
		if !d.Rows[m.Row].Setup {
			intervals[0][m.Second/step].Merge(&m.Response)
		}
	}

	var b bytes.Buffer
	b.WriteString("#[Histogram log format version 1.3]\n")
	b.WriteString("#[response times in microseconds, by when requests were due; failed or never sent: one hour]\n")
	if t, err := time.Parse(time.RFC3339, string(d.Started)); err == nil {
		seconds := float64(t.UnixMilli()) / 1e3
		fmt.Fprintf(&b, "#[StartTime: %.3f (seconds since epoch), %s]\n", seconds, t.UTC().Format(time.RFC3339))
		fmt.Fprintf(&b, "#[BaseTime: %.3f (seconds since epoch)]\n", seconds)
	}
	b.WriteString("\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n")
	var w measure.IntervalWriter
	var payload []byte
	for n := range intervals[0] {
		start := int64(n) * step
		for i := range intervals {
			h := &intervals[i][n]
			if h.Count+h.Inf == 0 {
				continue
			}
			h.Coarse = true // an interval of failures alone has no bucket to say so
			if payload, err = w.Append(payload[:0], h); err != nil {
				return nil, err
			}
			if i > 0 {
				fmt.Fprintf(&b, "Tag=%s,", d.Rows[i-1].tag())
			}
			fmt.Fprintf(&b, "%d.000,%d.000,%.3f,%s\n", start, min(step, length-start), millisecondsOf(h), payload)
		}
	}
	return b.Bytes(), nil
}

// millisecondsOf is the greatest value, as the log's third column has it.
func millisecondsOf(h *measure.Hist) float64 {
	if h.Inf > 0 {
		return time.Hour.Seconds() * 1e3
	}
	var most int64
	for b := range h.Buckets() {
		_, most = h.Edges(b)
	}
	return float64(most) / 1e3
}

// tag is the row's title with its method as a log may have it: blanks, commas
// and the percent sign are escaped as in a URL.
func (r *Row) tag() string {
	var b strings.Builder
	for _, c := range []byte(strings.TrimSpace(clean(r.Method + " " + r.title()))) {
		if c <= ' ' || c == ',' || c == '%' || c == 0x7f {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
