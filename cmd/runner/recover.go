package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"tollgate/internal/compare"
	"tollgate/internal/report"
	"tollgate/pkg/slo"
)

// recoverOptions are the flags of a recovery.
type recoverOptions struct {
	json    bool
	noColor bool
}

// recoverUsage is what --recover says of itself.
const recoverUsage = "make the report of a killed run from the journal in its folder"

func (o *recoverOptions) addFlags(fs *pflag.FlagSet) {
	fs.SortFlags = false
	fs.BoolVar(&o.json, "json", false, "print verdict.json instead of the tables")
	fs.BoolVar(&o.noColor, "no-color", false, "no colours (also: NO_COLOR=1)")
}

// recover makes the report of a killed run in its folder, prints it, and ends as
// an interrupted run does.
func (a *app) recover(dir string, o recoverOptions) error {
	if filepath.Base(dir) == report.JournalName {
		dir = filepath.Dir(dir)
	}
	path := filepath.Join(dir, report.JournalName)
	journal, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return misuse("a run that ended has its report there, and one that was killed before the load has none; "+unseeded, "%s: there is no journal", path)
	}
	if err != nil {
		return unreadable(path, err)
	}
	id, _ := report.JournalOf(journal)
	if stored, err := storedRun(dir); err == nil && stored == id && id != "" {
		return misuse("remove the journal, or leave it to the next run in this folder", "%s: the report of this run is in place, and there is nothing to recover", path)
	}
	r, err := report.Recover(journal)
	switch {
	case errors.Is(err, report.ErrNothingMeasured):
		return &fault{exit: state{interrupted: []string{path + ": " + err.Error()}}.exit(), hint: unseeded}
	case err != nil:
		return misuse("a journal is what runner run keeps in its folder while it is under way", "%s: %v", path, err)
	}
	// A run that was killed between its result and its verdict has measured all.
	if doc, err := readResult(dir); err == nil && doc.Generator.RunID == id && doc.Regated == nil {
		r = &report.Recovered{Document: doc, Invalid: doc.Record.Invalid}
	}
	j, err := compare.Recovered(r.Document)
	if err != nil {
		return misuse("", "%s: %v", path, err)
	}
	at := time.Duration(r.Document.Elapsed * float64(time.Second))
	verdict := state{
		interrupted: []string{fmt.Sprintf("the run was killed after %s or soon after it: this is what its journal tells", clockText(at))},
		invalid:     r.Invalid, verdict: j.Judgement.Overall, unkept: j.Judgement.Reasons,
		cleanFailed: leftRows(r.Document),
	}
	if r.Damage != "" {
		verdict.interrupted = append(verdict.interrupted, fmt.Sprintf("%s: %s: what was measured after %s is not in this report", path, r.Damage, clockText(at)))
	}
	if j.Judgement.Overall == slo.OverallPass { // of what was seen, which was not all
		j.Judgement.Overall = slo.OverallInconclusive
	}
	make := func() *report.Document {
		x := verdict.exit()
		return r.Judged(j, int(x.code), x.code.String(), x.reasons)
	}
	doc := make()
	if err := report.Write(dir, doc); err != nil {
		verdict.notStored = []string{err.Error()}
		doc = make()
	} else {
		_ = os.Remove(path) // one that stays is told apart by its run
	}
	if err := a.show(doc, o.json, o.noColor); err != nil {
		return err
	}
	if len(verdict.notStored) == 0 {
		fmt.Fprintf(a.err, "report: %s\n", filepath.Join(dir, "report.html"))
	}
	return &fault{exit: verdict.exit(), told: !o.json && len(verdict.notStored) == 0}
}

// unseeded is what to do about a database where no report tells of one.
const unseeded = "rows that it had seeded are removed by runner clean SPEC, or by the next run"

// leftRows says that the rows of a killed run may be in its database still.
func leftRows(d *report.Document) []string {
	data := d.Data
	if !data.Remains() {
		return nil
	}
	return []string{fmt.Sprintf("%s of the run may be left in %s; remove them with: runner clean %s", counted(int(data.Rows), "row"), data.Where, d.Spec.File)}
}

// show prints a stored result: as tables, or its verdict.json.
func (a *app) show(doc *report.Document, asJSON, noColor bool) error {
	if asJSON {
		text, err := doc.Verdict().Encode()
		if err != nil {
			return &fault{exit: state{internal: []string{err.Error()}}.exit()}
		}
		_, _ = a.out.Write(text) // the printer keeps the error
		return a.undelivered()
	}
	options := report.TextOptions{Color: a.colored(a.out, noColor)}
	if a.out.terminal() {
		options.Width, _ = a.out.size()
	}
	_ = doc.Text(a.out, options) // the printer keeps the error
	return a.undelivered()
}
