package report

import "io"

// A rendering is a file of a result folder that is made from the document and
// nothing else, so that a stored result gives the same bytes again.
type rendering struct {
	name   string
	render func(*Document) ([]byte, error)
}

// renderings are the files of a result folder beside result.json, in the order
// in which they appear. verdict.json is last: where it is, everything is.
var renderings = []rendering{
	{"report.html", (*Document).html},
	{"summary.md", func(d *Document) ([]byte, error) { return d.Markdown(), nil }},
	{"junit.xml", (*Document).junit},
	{"stats.csv", (*Document).statsCSV},
	{"stats_history.csv", (*Document).historyCSV},
	{"failures.csv", (*Document).failuresCSV},
	{"exceptions.csv", (*Document).exceptionsCSV},
	{"latency.hlog", (*Document).hlog},
	{"metrics.txt", (*Document).openMetrics},
	{"verdict.json", func(d *Document) ([]byte, error) { return d.Verdict().Encode() }},
}

// Files returns the names of the files that Render writes, in order.
func Files() []string {
	var names []string
	for _, r := range renderings {
		names = append(names, r.name)
	}
	return names
}

// rendered returns the files made from a document, each made when it is
// written: one at a time is held in memory.
func rendered(d *Document) []content {
	var files []content
	for _, r := range renderings {
		files = append(files, content{name: r.name, write: func(w io.Writer) error {
			data, err := r.render(d)
			if err != nil {
				return err
			}
			_, err = w.Write(data)
			return err
		}})
	}
	return files
}
