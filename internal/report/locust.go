package report

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"tollgate/internal/measure"
)

// The files of Locust, column for column, so that what reads them keeps
// working. They mean what Locust means by them, which is not what a verdict
// rests on: percentiles are of all requests that finished, a failed one counts
// with its age, and set-up counts like work.

var (
	statsHeader = append([]string{
		"Type", "Name", "Request Count", "Failure Count", "Median Response Time", "Average Response Time",
		"Min Response Time", "Max Response Time", "Average Content Size", "Requests/s", "Failures/s",
	}, percentileNames...)
	failuresHeader   = []string{"Method", "Name", "Error", "Occurrences"}
	exceptionsHeader = []string{"Count", "Message", "Traceback", "Nodes"}

	percentileNames = []string{"50%", "66%", "75%", "80%", "90%", "95%", "98%", "99%", "99.9%", "99.99%", "100%"}
	percentiles     = []float64{0.50, 0.66, 0.75, 0.80, 0.90, 0.95, 0.98, 0.99, 0.999, 0.9999, 1}
)

// aggregated is the name of the row of all rows.
const aggregated = "Aggregated"

// unknown stands where there is no percentile.
const unknown = "N/A"

// WriteCSV writes the four files of Locust under the names that Locust's --csv
// PREFIX gives them: PREFIX_stats.csv and its siblings.
func WriteCSV(prefix string, d *Document) error {
	var files []content
	for _, f := range rendered(d) {
		if strings.HasSuffix(f.name, ".csv") {
			f.name = filepath.Base(withPrefix(prefix, f.name))
			files = append(files, f)
		}
	}
	return store(osDisk{}, filepath.Dir(prefix), "choose another with --csv", files)
}

// CSVFiles returns the names of the files that WriteCSV writes.
func CSVFiles(prefix string) (names []string) {
	for _, name := range Files() {
		if strings.HasSuffix(name, ".csv") {
			names = append(names, withPrefix(prefix, name))
		}
	}
	return names
}

func withPrefix(prefix, name string) string { return prefix + "_" + name }

// PrepareCSV is Prepare for the folder of a prefix.
func PrepareCSV(prefix string) error { return prepare(filepath.Dir(prefix), "--csv") }

// entry is what Locust knows of the requests of one name and method.
type entry struct {
	method, name       string
	requests, failures uint64 // that finished, and of them those that failed
	bytes              uint64 // received
	times              measure.Hist
}

// entries returns the rows as Locust has them: only names that were requested,
// ordered by name and method, and the sum of all.
func (d *Document) entries() (rows []entry, all entry) {
	all.name = aggregated
	at := map[[2]string]int{}
	for i := range d.Rows {
		r := &d.Rows[i]
		if r.OK+r.Failures == 0 {
			continue
		}
		key := [2]string{r.Name, r.Method}
		n, ok := at[key]
		if !ok {
			n = len(rows)
			at[key] = n
			rows = append(rows, entry{method: r.Method, name: r.Name})
		}
		rows[n].add(r)
		all.add(r)
	}
	slices.SortStableFunc(rows, func(a, b entry) int {
		return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.method, b.method))
	})
	return rows, all
}

func (e *entry) add(r *Row) {
	e.requests += r.OK + r.Failures
	e.failures += r.Failures
	e.bytes += r.BytesIn
	for _, h := range []*Histogram{&r.Histograms.Success, &r.Histograms.Failed} {
		times := h.Hist()
		e.times.Merge(&times)
	}
}

// statsCSV returns stats.csv.
func (d *Document) statsCSV() ([]byte, error) {
	rows, all := d.entries()
	t := sheet(statsHeader)
	for _, e := range append(rows, all) {
		cells := []string{e.method, e.name, whole(e.requests), whole(e.failures)}
		cells = append(cells, e.shape()...)
		cells = append(cells, ratioOf(e.requests, d.Elapsed), ratioOf(e.failures, d.Elapsed))
		t = append(t, append(cells, percentilesOf(&e.times)...))
	}
	return t.encode()
}

// shape is median, average, least and greatest time in ms, and the mean size in bytes.
func (e *entry) shape() []string {
	if e.times.Count == 0 {
		return []string{"0", "0.0", "0", "0", "0"}
	}
	return []string{
		millis(e.times.Quantile(0.5)), python(e.times.Mean() * 1e3),
		python(float64(e.times.Min) / 1e6), python(float64(e.times.Max) / 1e6), ratioOf(e.bytes, float64(e.requests)),
	}
}

// failuresCSV returns failures.csv, most frequent first.
func (d *Document) failuresCSV() ([]byte, error) {
	t := sheet(failuresHeader)
	for _, f := range d.Failures {
		t = append(t, []string{f.Method, f.Row, f.Message, whole(f.Count)})
	}
	return t.encode()
}

// exceptionsCSV returns exceptions.csv, which never has a row: no code of a
// user runs here that could raise one.
func (d *Document) exceptionsCSV() ([]byte, error) { return sheet(exceptionsHeader).encode() }

// spreadsheet is rows of cells, the header first.
type spreadsheet [][]string

func sheet(header []string) spreadsheet { return spreadsheet{header} }

// encode returns the bytes that Python's csv module would write.
func (s spreadsheet) encode() ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	for _, row := range s {
		cells := make([]string, len(row))
		for i, text := range row {
			cells[i] = harmless(text)
		}
		if err := w.Write(cells); err != nil {
			return nil, err
		}
	}
	w.Flush()
	return b.Bytes(), w.Error()
}

// harmless returns a cell that no spreadsheet takes for a formula: what would
// begin one is preceded by an apostrophe, which spreadsheets do not show. The
// wide signs count too, which some locales read like the narrow ones.
func harmless(text string) string {
	text = clean(text)
	if rest := strings.TrimLeft(text, " \u00a0\u3000"); rest != "" && strings.ContainsAny(firstRune(rest), "=+-@＝＋－＠") {
		return "'" + text
	}
	return text
}

func firstRune(s string) string {
	for _, r := range s {
		return string(r)
	}
	return ""
}

// percentilesOf returns the percentiles of Locust's columns in whole ms, or
// what stands for them without data.
func percentilesOf(h *measure.Hist) []string {
	cells := make([]string, len(percentiles))
	for i, q := range percentiles {
		cells[i] = unknown
		if h.Count > 0 {
			cells[i] = millis(h.Quantile(q))
		}
	}
	return cells
}

// millis writes seconds as whole ms, as Locust writes medians and percentiles.
func millis(seconds float64) string { return strconv.FormatFloat(seconds*1e3, 'f', 0, 64) }

func whole(n uint64) string { return strconv.FormatUint(n, 10) }

// ratioOf is n for each unit of per, 0.0 where there is none of it.
func ratioOf(n uint64, per float64) string {
	if per <= 0 {
		return python(0)
	}
	return python(float64(n) / per)
}

// python writes a number as Python's repr does: shortest, and never as an integer.
func python(v float64) string {
	text := strconv.FormatFloat(v, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}
