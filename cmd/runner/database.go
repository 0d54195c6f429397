package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tollgate/internal/report"
	"tollgate/pkg/seed"
	"tollgate/pkg/spec"
)

// A database is the database of a spec in the hands of one command.
type database struct {
	app   *app
	db    *seed.Database
	spec  *spec.Spec
	quiet bool

	held context.Context // ends when the database is no longer ours; nil before it was
	data report.Data     // what became of it so far
}

// connect reaches the database of s.
func (a *app) connect(ctx context.Context, s *spec.Spec, o seed.Options, quiet bool) (*database, error) {
	if s.Seed.Postgres == "" {
		return nil, misuse("set the environment variable that it is read from; run --no-seed leaves the database alone",
			"%s:%d:%d: seed.postgres is unset", s.Seed.Pos.File, s.Seed.Pos.Line, s.Seed.Pos.Col)
	}
	d := &database{app: a, spec: s, quiet: quiet}
	o.Progress = d.progress()
	db, err := seed.Open(ctx, s, o)
	if err != nil {
		return nil, unprepared(ctx, err)
	}
	d.db, d.data.Where = db, db.Where()
	return d, nil
}

// openDatabase connects to the database of s, and finds out whether it may be
// seeded and fits the spec. With mark it is marked first; nothing else is written.
func (a *app) openDatabase(ctx context.Context, s *spec.Spec, o seed.Options, mark, quiet bool) (*database, error) {
	d, err := a.connect(ctx, s, o, quiet)
	if err != nil {
		return nil, err
	}
	if err := d.examine(ctx, mark); err != nil {
		d.close(ctx)
		return nil, err
	}
	return d, nil
}

// examine asks whether the database may be seeded, and fits.
func (d *database) examine(ctx context.Context, mark bool) error {
	if mark {
		if err := d.db.Mark(ctx); err != nil {
			return unprepared(ctx, err)
		}
	}
	if err := d.db.Marked(ctx); err != nil {
		return unprepared(ctx, err)
	}
	faults, err := d.db.Check(ctx)
	switch {
	case err != nil:
		return unprepared(ctx, err)
	case faults != nil:
		return d.app.faulty(faults)
	}
	return nil
}

// take makes the database ours, and removes what dead runs have left in it.
func (d *database) take(ctx context.Context) error {
	held, err := d.db.Acquire(ctx)
	if err != nil {
		return unprepared(ctx, err)
	}
	d.held = held
	left, err := d.db.Recover(ctx)
	d.app.canvas.clear()
	for _, c := range left {
		d.data.Recovered += c.Deleted + c.Made
		d.note("removed what run %s had left: %s", c.Run, removed(c))
	}
	if err != nil {
		return unprepared(ctx, err)
	}
	return nil
}

// fill writes the rows. When it cannot, it takes back what it wrote.
func (d *database) fill(ctx context.Context) error {
	sum, err := d.db.Fill(d.held)
	d.app.canvas.clear()
	if err != nil {
		u := unprepared(ctx, err)
		undo, cancel := outliving(ctx, undoWithin)
		defer cancel()
		if _, left := d.db.Clean(undo); left != nil {
			u.cleanFailed = append(u.cleanFailed, d.left(left))
		}
		return u
	}
	d.data.Digest, d.data.Rows, d.data.Took = sum.Digest, sum.Rows, sum.Took.Seconds()
	for _, t := range sum.Tables {
		d.data.Tables = append(d.data.Tables, report.SeededTable{Table: t.Table, As: t.As, Rows: t.Rows})
	}
	d.note("seeded: %s into %s in %s", counted(int(sum.Rows), "row"), d.data.Where, spec.FormatDuration(sum.Took.Round(10*time.Millisecond)))
	return nil
}

// Patience with a database once a signal has come. With that with requests in
// flight (2 s) and with probes it is less than the 7 s that an ending may take.
const (
	undoWithin   = 2 * time.Second
	returnWithin = 500 * time.Millisecond
)

// clean removes the rows of this run, and those that the load made. Once ctx has
// ended it does what can be done in a few seconds; the rest stays recorded.
func (d *database) clean(ctx context.Context) error {
	begun := time.Now()
	undo, cancel := outliving(ctx, undoWithin)
	defer cancel()
	c, err := d.db.Clean(undo)
	d.app.canvas.clear()
	if all := c.Deleted + c.Gone; err == nil && all != d.data.Rows {
		err = fmt.Errorf("%s were seeded, and of %d it is known what became", counted(int(d.data.Rows), "row"), all)
	}
	d.data.Cleaned = &report.Cleaned{Deleted: c.Deleted, Gone: c.Gone, Made: c.Made, Took: time.Since(begun).Seconds(), Whole: err == nil}
	if err != nil {
		return errors.New(d.left(err))
	}
	d.note("cleaned: %s", removed(c))
	return nil
}

// left says that rows are, why, and what removes them.
func (d *database) left(err error) string {
	finish := "runner clean " + d.spec.File
	text := strings.ReplaceAll(err.Error(), "runner clean SPEC", finish)
	if !strings.Contains(text, finish) {
		text += "; finish it with: " + finish
	}
	return text
}

// ours returns an error, seed.ErrLost where that is known, unless the database
// was ours all the time. It is asked, since its last beat may be seconds ago.
func (d *database) ours() error {
	if d.held.Err() == nil {
		ctx, cancel := outliving(d.held, undoWithin)
		defer cancel()
		if err := d.db.Holds(ctx); err != nil && d.held.Err() == nil {
			return err
		}
	}
	if lost := context.Cause(d.held); errors.Is(lost, seed.ErrLost) {
		return fmt.Errorf("%w: the run was ended", lost)
	}
	return nil
}

// close gives the database back.
func (d *database) close(ctx context.Context) {
	if ctx.Err() != nil {
		hasty, cancel := context.WithTimeout(context.WithoutCancel(ctx), returnWithin)
		defer cancel()
		_ = d.db.Release(hasty) // it expires by itself
	}
	d.db.Close()
}

// removed tells what was deleted.
func removed(c seed.Cleaned) string {
	text := counted(int(c.Deleted), "seeded row")
	if c.Made > 0 {
		text += ", " + counted(int(c.Made), "row") + " that the load had made"
	}
	if c.Gone > 0 {
		text += "; " + counted(int(c.Gone), "seeded row") + " had been deleted already"
	}
	return text
}

// note writes a line about the database to stderr.
func (d *database) note(format string, args ...any) {
	if !d.quiet {
		fmt.Fprintln(d.app.err, "  "+report.Clean(fmt.Sprintf(format, args...)))
	}
}

// progress returns what shows how far a table has come: as a bar on a terminal,
// elsewhere as a line every few seconds.
func (d *database) progress() func(seed.Progress) {
	if d.quiet {
		return nil
	}
	a, live := d.app, d.app.live()
	color := a.colored(a.err, false)
	every := lineEvery
	if live {
		every = 100 * time.Millisecond
	}
	var last time.Time // of a line, or of when the table began
	var table string
	return func(p seed.Progress) {
		now := time.Now()
		if !live && table != p.Table {
			table, last = p.Table, now
		}
		if now.Sub(last) < every {
			return
		}
		last = now
		what := "seeding"
		if p.Clean {
			what = "cleaning"
		}
		if !live {
			fmt.Fprintf(a.err, "  %s %s: %s of %s\n", what, p.Table, countText(float64(p.Done)), countText(float64(p.Of)))
			return
		}
		width, height := a.err.size()
		a.canvas.draw([]line{rowsBar(what+" "+p.Table, p.Done, p.Of)}, width, height, color)
	}
}

// rowsBar is a line that shows how much of a table is done.
func rowsBar(what string, done, of int64) line {
	const cells = 24
	filled := cells
	if of > 0 {
		filled = int(cells * min(done, of) / of)
	}
	return line{}.add(plain, fmt.Sprintf("  %-28s ", what)).
		add(green, strings.Repeat("█", filled)).add(dim, strings.Repeat("░", cells-filled)).
		add(plain, fmt.Sprintf("  %s of %s rows", countText(float64(done)), countText(float64(of))))
}

// unprepared says in which state an error of the database ends a command.
func unprepared(ctx context.Context, err error) *unready {
	u := &unready{}
	reason := []string{err.Error()}
	switch {
	case ctx.Err() != nil:
		u.interrupted = []string{fmt.Sprintf("%v while the database was prepared: no load was sent", context.Cause(ctx))}
	case errors.Is(err, seed.ErrRefused):
		u.refused = reason
	case errors.Is(err, seed.ErrUnreachable):
		u.unreachable = reason
	default: // not all written, an earlier run's rows that stay, or the lease lost
		u.seedFailed = reason
	}
	return u
}

// unready is the state of a command whose database could not be prepared.
type unready struct{ state }

func (u *unready) Error() string { return strings.Join(u.exit().reasons, "; ") }

// unpreparedState is the state that an error of preparing a database leads to.
func unpreparedState(err error) state {
	var u *unready
	if errors.As(err, &u) {
		return u.state
	}
	var f *fault // of the spec against the catalog
	if errors.As(err, &f) {
		return state{badSpec: f.reasons}
	}
	return state{internal: []string{err.Error()}}
}

// endedBy returns the fault that an error of preparing a database ends a command in.
func endedBy(err error) error {
	var u *unready
	if errors.As(err, &u) {
		return &fault{exit: u.exit()}
	}
	return err
}
