package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"tollgate/internal/measure"
	"tollgate/internal/report"
	"tollgate/pkg/exec"
)

// A journal keeps on the disk, second by second, what a run has measured, so
// that a run that is killed leaves more than nothing. It writes from a goroutine
// of its own: a disk that stalls makes its seconds longer, and never the run
// wait.
type journal struct {
	seconds chan exec.Second
	path    string
	err     error // the first; read it when ended
	// readings returns what the probes have answered; set before the run begins.
	readings func(time.Time) []measure.Readings
	ended    chan struct{} // closed when nothing is written any more
}

// keepJournal begins the journal of a run in its result folder.
func (e *ending) keepJournal(o runOptions, run exec.RunOptions) (*journal, error) {
	path := filepath.Join(o.out, report.JournalName)
	driver, loops, err := exec.Topology(e.plan, run)
	if err != nil {
		return nil, err
	}
	r := e.outset(o)
	r.Generator.Driver, r.Generator.Loops, r.Generator.RunID = driver, loops, run.RunID
	r.Fingerprint = fingerprint(&r)
	for _, p := range e.probes {
		r.Probes = append(r.Probes, measure.Readings{Probe: p.Name})
	}
	r.Snapshot = measure.NewRecorder(e.plan.Layout).Snapshot()
	r.Claims = e.plan.Layout.Claims
	writer, head, err := report.NewJournal(r, e.plan.Tightest())
	if err != nil {
		return nil, err
	}
	file, err := report.CreateJournal(o.out, head)
	if err != nil {
		return nil, err
	}
	j := &journal{seconds: make(chan exec.Second, 2), path: path, ended: make(chan struct{})}
	go func() {
		defer close(j.ended)
		for s := range j.seconds {
			if j.err == nil {
				j.err = j.write(file, writer, e.plan, s)
			}
		}
		if err := file.Close(); j.err == nil && err != nil {
			j.err = j.fault(err)
		}
	}()
	return j, nil
}

// write brings one second to the disk.
func (j *journal) write(file *os.File, writer *report.Journal, p *exec.Plan, s exec.Second) error {
	record, err := writer.Second(report.Course{
		At: time.Duration(s.At).Seconds(), Started: report.StampOf(s.Started), Spans: spans(p, s.Spans), Users: users(s.Gauges),
		Health: s.Health, Readings: j.readings(s.Started), Broke: s.Broke, Looks: s.Looks,
	}, s.Copies)
	if err == nil {
		_, err = file.Write(record)
	}
	if err == nil {
		err = file.Sync()
	}
	if err != nil {
		return j.fault(err)
	}
	return nil
}

func (j *journal) fault(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return fmt.Errorf("the journal %s could not be written: %w: nothing vouches for the disk under this report; see that it has room and is sound, and run again", j.path, err)
}

// end waits until all that was measured is on the disk. No journal has no fault.
func (j *journal) end() error {
	if j == nil {
		return nil
	}
	close(j.seconds)
	<-j.ended
	return j.err
}

// yieldJournal makes room for a journal: one whose run left nothing else is not
// written over.
func yieldJournal(dir string) error {
	path := filepath.Join(dir, report.JournalName)
	old, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the journal %s of an earlier run cannot be read: %w: choose another folder with --out", path, err)
	}
	if id, measured := report.JournalOf(old); measured {
		if stored, err := storedRun(dir); err != nil || stored != id {
			return fmt.Errorf("%s holds what a run measured that was killed, or is under way: runner report --recover %s makes its report; or choose another folder with --out", path, dir)
		}
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("the journal %s of an earlier run cannot be removed: %w: choose another folder with --out", path, err)
	}
	return nil
}

// storedRun returns the id of the run whose report a folder holds, whole.
func storedRun(dir string) (string, error) {
	doc, err := readResult(dir)
	if err != nil {
		return "", err
	}
	want, err := doc.Verdict().Encode()
	if err != nil {
		return "", err
	}
	verdict, err := os.ReadFile(filepath.Join(dir, "verdict.json"))
	if err != nil {
		return "", err
	}
	if string(verdict) != string(want) {
		return "", errors.New("its verdict.json is of another run")
	}
	return doc.Generator.RunID, nil
}

// store writes the report of a run, and lets go of its journal when all is in
// place. Where the disk has failed under the journal, an older report is left
// alone.
func (e *ending) store(dir string, doc *report.Document) error {
	if len(e.state.notStored) > 0 {
		if _, err := os.Lstat(filepath.Join(dir, "verdict.json")); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s keeps its older report%s", dir, e.rescue(dir))
		}
	}
	if err := report.Write(dir, doc); err != nil {
		return fmt.Errorf("%w%s", err, e.rescue(dir))
	}
	if e.journal != nil {
		_ = os.Remove(e.journal.path) // one that stays is told apart by its run
	}
	return nil
}

// rescue says where what was measured is left, if it is.
func (e *ending) rescue(dir string) string {
	if e.journal == nil {
		return ""
	}
	until := ""
	if e.journal.err != nil {
		until = " until its journal broke"
	}
	if _, err := os.Lstat(e.journal.path); err != nil {
		return ""
	}
	return fmt.Sprintf("; what was measured%s is not lost: runner report --recover %s makes its report", until, dir)
}
