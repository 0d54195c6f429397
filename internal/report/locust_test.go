package report

import (
	"bytes"
	"encoding/csv"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tollgate/internal/measure"
)

// fataler is what tests and properties have in common.
type fataler interface {
	Helper()
	Error(...any)
	Fatal(...any)
	Fatalf(string, ...any)
}

// bytesOf renders one file of the result folder.
func bytesOf(t fataler, d *Document, name string) []byte {
	t.Helper()
	for _, r := range renderings {
		if r.name == name {
			data, err := r.render(d)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return data
		}
	}
	t.Fatalf("no rendering %s", name)
	return nil
}

// csvRows reads a CSV file as strictly as the format allows.
func csvRows(t fataler, data []byte) [][]string {
	t.Helper()
	if n := bytes.Count(data, []byte("\n")); n != bytes.Count(data, []byte("\r\n")) {
		t.Error("a line does not end as Python's csv module ends it")
	}
	rows, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// The headers as Locust 2.12.1 writes them.
var locustHeaders = map[string]string{
	"stats.csv":         "Type,Name,Request Count,Failure Count,Median Response Time,Average Response Time,Min Response Time,Max Response Time,Average Content Size,Requests/s,Failures/s,50%,66%,75%,80%,90%,95%,98%,99%,99.9%,99.99%,100%\r\n",
	"stats_history.csv": "Timestamp,User Count,Type,Name,Requests/s,Failures/s,50%,66%,75%,80%,90%,95%,98%,99%,99.9%,99.99%,100%,Total Request Count,Total Failure Count,Total Median Response Time,Total Average Response Time,Total Min Response Time,Total Max Response Time,Total Average Content Size\r\n",
	"failures.csv":      "Method,Name,Error,Occurrences\r\n",
	"exceptions.csv":    "Count,Message,Traceback,Nodes\r\n",
}

func TestColumnsAreThoseOfLocust(t *testing.T) {
	for name, play := range plays {
		d := Build(play(t))
		for file, header := range locustHeaders {
			if data := bytesOf(t, d, file); !bytes.HasPrefix(data, []byte(header)) {
				t.Errorf("%s, %s begins with %.300q", name, file, data)
			}
		}
	}
}

func TestStatsHaveARowForEachNameAndLastTheSumOfAll(t *testing.T) {
	rows := csvRows(t, bytesOf(t, Build(failing(t)), "stats.csv"))
	var names []string
	sums := map[int]uint64{}
	for _, r := range rows[1:] {
		names = append(names, r[0]+" "+r[1])
		if r[1] == aggregated {
			continue
		}
		for _, column := range []int{2, 3} {
			n, err := strconv.ParseUint(r[column], 10, 64)
			if err != nil {
				t.Error(err)
			}
			sums[column] += n
		}
	}
	if want := []string{"GET board", "POST login", "POST trigger threat", "GET weekly report", " Aggregated"}; !slices.Equal(names, want) {
		t.Errorf("rows %q, want %q", names, want)
	}
	last := rows[len(rows)-1]
	if whole(sums[2]) != last[2] || whole(sums[3]) != last[3] || last[2] != "456" || last[3] != "25" {
		t.Errorf("the rows add up to %v, and Aggregated is %q", sums, last)
	}
}

func TestFailuresOfStatsCountWithTheirAgeAsLocustHasIt(t *testing.T) {
	p := newPlay(t, work, "errors < 1%")
	for i := range int64(98) {
		p.ok(hold, board, 3*sec+i*10*ms, 20*ms)
	}
	p.fail(hold, board, 3*sec, 7*ms, measure.Status, 503, "")
	p.fail(hold, board, 4*sec, 900*ms, measure.Status, 503, "")
	p.record(hold, board, &measure.Sample{Due: 5 * sec, Begin: 5 * sec, Sent: 5*sec + 1, Done: 6 * sec, Outcome: measure.Aborted})
	row := csvRows(t, bytesOf(t, Build(p.end(3, "breach")), "stats.csv"))[1]
	want := []string{"GET", "board", "100", "2", "20", "28.67", "7.0", "900.0", "2358.0"}
	if diff := cmp.Diff(want, row[:9]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"20", "20", "20", "20", "20", "20", "20", "20", "900", "900", "900"}, row[11:]); diff != "" {
		t.Error(diff)
	}
}

func TestRunWithoutARequestHasRowsOfNothing(t *testing.T) {
	d := Build(nothing(t))
	want := " ,Aggregated,0,0,0,0.0,0,0,0,0.0,0.0,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A\r\n"[1:]
	if got := string(bytesOf(t, d, "stats.csv")); !strings.HasSuffix(got, "100%\r\n"+want) {
		t.Errorf("%q", got)
	}
	want = "0,0,,Aggregated,0.000000,0.000000,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,0,0,0,0.0,0,0,0\r\n"
	if got := string(bytesOf(t, d, "stats_history.csv")); !strings.HasSuffix(got, "Size\r\n"+want) {
		t.Errorf("%q", got)
	}
}

func TestHistoryHasARowForEachSecondAndEndsInTheTotals(t *testing.T) {
	for name, play := range plays {
		d := Build(play(t))
		rows := csvRows(t, bytesOf(t, d, "stats_history.csv"))[1:]
		if int64(len(rows)) != d.length()+1 {
			t.Errorf("%s: %d rows of %v s", name, len(rows), d.Elapsed)
		}
		last := -1
		for i, r := range rows {
			at, err := strconv.Atoi(r[0])
			if err != nil || i > 0 && at != last+1 {
				t.Errorf("%s: %d and then %s", name, last, r[0])
			}
			last = at
			if r[2] != "" || r[3] != aggregated {
				t.Errorf("%s: a row of %q %q", name, r[2], r[3])
			}
		}
		stats := csvRows(t, bytesOf(t, d, "stats.csv"))
		sum, end := stats[len(stats)-1], rows[len(rows)-1]
		if sum[2] != end[17] || sum[3] != end[18] || sum[8] != end[23] {
			t.Errorf("%s: the history ends with %q requests and %q failures, the run with %q and %q", name, end[17], end[18], sum[2], sum[3])
		}
	}
}

func TestHistoryTellsTheLastTenSeconds(t *testing.T) {
	p := newPlay(t, work, "errors < 1%")
	for i := range int64(20) { // one a second: 10 ms until 12 s, 50 ms from then on
		took := 10 * ms
		if i >= 12 {
			took = 50 * ms
		}
		p.ok(phaseAt(i*sec), board, i*sec, took)
	}
	p.run.Elapsed = 20e9
	p.run.Spans[2].End = 20
	rows := csvRows(t, bytesOf(t, Build(p.end(0, "pass")), "stats_history.csv"))[1:]
	for at, want := range map[int][]string{
		0:  {"1773500966", "5", "", "Aggregated", "0.000000", "0.000000", "N/A"},
		1:  {"1773500967", "5", "", "Aggregated", "1.000000", "0.000000", "10"},
		12: {"1773500978", "20", "", "Aggregated", "1.000000", "0.000000", "10"},
		20: {"1773500986", "20", "", "Aggregated", "1.000000", "0.000000", "50"},
	} {
		if diff := cmp.Diff(want, rows[at][:7]); diff != "" {
			t.Errorf("after %d s:\n%s", at, diff)
		}
	}
	if mean, err := strconv.ParseFloat(rows[20][20], 64); err != nil || mean < 25.7 || mean > 26.3 {
		t.Errorf("an average of %v after 12 of 10 ms and 8 of 50 ms", mean)
	}
}

func TestFailuresFileCountsEveryFailure(t *testing.T) {
	for name, play := range plays {
		d := Build(play(t))
		var sum uint64
		for _, r := range csvRows(t, bytesOf(t, d, "failures.csv"))[1:] {
			n, err := strconv.ParseUint(r[3], 10, 64)
			if err != nil {
				t.Error(err)
			}
			sum += n
		}
		if sum != d.Accounting.Failed {
			t.Errorf("%s: %d failures of %d", name, sum, d.Accounting.Failed)
		}
	}
}

// dangerous tells whether a spreadsheet might run what a cell says.
func dangerous(cell string) bool {
	return cell != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", []rune(cell)[0]) || strings.ContainsFunc(cell, unicode.IsControl)
}

func TestNoCellIsAFormula(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(
			rapid.StringMatching(`[ \t\r\n"]*[=+\-@＝＋－＠][a-zA-Z0-9!'()|"; ,]{0,20}`),
			rapid.String(),
			rapid.SampledFrom([]string{"=cmd|' /C calc'!A0", "@SUM(1+1)*cmd", "\x00=1+1", "\x1b[31m=1", "\u202e=1", "\ufeff=1", "\t=1", "' =1"}),
		)
		d := Document{
			Rows:     []Row{{Name: text.Draw(t, "name"), Method: text.Draw(t, "method"), OK: 1}},
			Failures: []Failure{{Row: text.Draw(t, "row"), Method: text.Draw(t, "verb"), Message: text.Draw(t, "message"), Count: 1}},
		}
		for _, file := range []string{"stats.csv", "failures.csv"} {
			for _, r := range csvRows(t, bytesOf(t, &d, file)) {
				for _, cell := range r {
					if dangerous(cell) {
						t.Errorf("%s has the cell %q", file, cell)
					}
				}
			}
		}
	})
}

func TestPrefixNamesTheFilesAsLocustDoes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	prefix := filepath.Join(dir, "soc")
	if err := PrepareCSV(prefix); err != nil {
		t.Fatal(err)
	}
	d := Build(failing(t))
	if err := WriteCSV(prefix, d); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for file := range locustHeaders {
		want["soc_"+file] = string(bytesOf(t, d, file))
	}
	if diff := cmp.Diff(want, folder(t, dir)); diff != "" {
		t.Error(diff)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{PrepareCSV(filepath.Join(file, "soc")), WriteCSV(filepath.Join(file, "soc"), d)} {
		if err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "--csv") {
			t.Error(err)
		}
	}
}
