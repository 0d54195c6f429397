package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tollgate/pkg/seed"
	"tollgate/pkg/spec"
)

func (a *app) seedCommand() *cobra.Command {
	var l load
	var mark, quiet bool
	cmd := &cobra.Command{
		Use:   "seed SPEC",
		Short: "Fill the database as a spec says, and leave it so",
		Long: `seed writes the rows that a spec declares under seed, as run does before its
load. They stay until runner clean, or the next seed or run, removes them.

Only a database that carries a mark is touched. --mark writes it: a schema called
tollgate, with the name of the database and what tells it from a copy. It means
that rows of this database may be written and deleted by this program. Without
the mark nothing but SELECTs is sent, and the exit code is 6.`,
		Example: `  runner seed specs/eriop.yaml --mark      once for each database
  runner seed specs/eriop.yaml
  runner run specs/eriop.yaml --no-seed`,
		Args:              takes(1, 1, "a spec"),
		ValidArgsFunction: specFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.interruptible(cmd.Context(), func(ctx context.Context) error {
				s, o, err := a.dataOf(args[0], &l)
				if err != nil {
					return err
				}
				return endedBy(a.seed(ctx, s, o, mark, quiet))
			})
		},
	}
	l.addDataFlags(cmd.Flags())
	cmd.Flags().BoolVar(&mark, "mark", false, "say that this database may be seeded, and seed it")
	cmd.Flags().BoolVar(&quiet, "quiet", false, "no progress on stderr")
	_ = cmd.RegisterFlagCompletionFunc("profile", a.completeProfiles)
	return cmd
}

func (a *app) cleanCommand() *cobra.Command {
	var l load
	var quiet bool
	cmd := &cobra.Command{
		Use:   "clean SPEC",
		Short: "Remove the rows that earlier runs have left in the database",
		Long: `clean removes what runs and runner seed have written into the database of a spec
and not removed: exactly the rows whose keys they recorded, and those that the
spec's clean conditions match. It deletes row by row, and never truncates or
drops anything. Exit code 10: rows are left, and the reason is printed.`,
		Example:           `  runner clean specs/eriop.yaml`,
		Args:              takes(1, 1, "a spec"),
		ValidArgsFunction: specFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.interruptible(cmd.Context(), func(ctx context.Context) error {
				s, o, err := a.dataOf(args[0], &l)
				if err != nil {
					return err
				}
				return endedBy(a.clean(ctx, s, o, quiet))
			})
		},
	}
	l.addDataFlags(cmd.Flags())
	cmd.Flags().BoolVar(&quiet, "quiet", false, "no progress on stderr")
	_ = cmd.RegisterFlagCompletionFunc("profile", a.completeProfiles)
	return cmd
}

// dataOf reads a spec for its database alone.
func (a *app) dataOf(file string, l *load) (*spec.Spec, seed.Options, error) {
	src, err := readSpec(file)
	if err != nil {
		return nil, seed.Options{}, err
	}
	random, err := l.randomSeed()
	if err != nil {
		return nil, seed.Options{}, err
	}
	s, err := a.spec(src, l)
	if err != nil {
		return nil, seed.Options{}, err
	}
	if s.Seed == nil {
		return nil, seed.Options{}, misuse("declare its rows under seed", "%s: the spec prepares no database", file)
	}
	return s, seed.Options{RunID: newRunID(), RandomSeed: random, Now: time.Now(), Allow: l.allow}, nil
}

// newRunID names a run among all others.
func newRunID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// seed fills the database of a spec.
func (a *app) seed(ctx context.Context, s *spec.Spec, o seed.Options, mark, quiet bool) error {
	d, err := a.openDatabase(ctx, s, o, mark, quiet)
	if err != nil {
		return err
	}
	defer d.close(ctx)
	if mark {
		d.note("marked: rows of %s may be written and deleted by this program from now on", d.data.Where)
		d.note("a role that owns nothing here can seed and clean once you have typed, with its name:")
		for right := range strings.Lines(d.db.Rights("ROLE")) {
			d.note("  %s", strings.TrimSpace(right))
		}
	}
	if err := d.take(ctx); err != nil {
		return err
	}
	if err := d.fill(ctx); err != nil {
		return err
	}
	var b bytes.Buffer
	for _, t := range d.data.Tables {
		name := t.Table
		if t.As != t.Table {
			name += " (" + t.As + ")"
		}
		fmt.Fprintf(&b, "%12s  %s\n", countText(float64(t.Rows)), name)
	}
	fmt.Fprintf(&b, "%12s  rows in %s, random seed %d\n", countText(float64(d.data.Rows)), d.data.Where, o.RandomSeed)
	fmt.Fprintf(&b, "%12s  %s\n", "digest", d.data.Digest)
	_, err = a.out.Write(b.Bytes())
	return err
}

// clean empties the database of a spec of what earlier runs have left.
func (a *app) clean(ctx context.Context, s *spec.Spec, o seed.Options, quiet bool) error {
	d, err := a.connect(ctx, s, o, quiet)
	if err != nil {
		return err
	}
	defer d.close(ctx)
	if err := d.db.Marked(ctx); err != nil {
		return unprepared(ctx, err)
	}
	if d.held, err = d.db.Acquire(ctx); err != nil {
		return unprepared(ctx, err)
	}
	left, err := d.db.Recover(d.held)
	a.canvas.clear()
	var b bytes.Buffer
	for _, c := range left {
		fmt.Fprintf(&b, "run %s: %s\n", c.Run, removed(c))
	}
	switch {
	case err == nil && len(left) == 0:
		fmt.Fprintf(&b, "no run has left anything in %s\n", d.data.Where)
	case errors.Is(err, seed.ErrUnclean) && ctx.Err() != nil:
		err = &unready{state{interrupted: []string{fmt.Sprintf("%v while the database was cleaned", context.Cause(ctx))}, cleanFailed: []string{err.Error()}}}
	case errors.Is(err, seed.ErrUnclean):
		err = &unready{state{cleanFailed: []string{err.Error()}}}
	case err != nil:
		err = unprepared(ctx, err)
	}
	_, _ = a.out.Write(b.Bytes()) // the printer keeps the error
	return err
}
