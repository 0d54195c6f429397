package seed

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"tollgate/internal/postgres/postgrestest"
)

// TOLLGATE_SEED_LEASES=100 for all of a release.
func TestSecondRunIsRefusedAtOnceAndToldWhoHolds(t *testing.T) {
	url := database(t, places)
	d, _ := held(t, parsed(t, url, placesOf()), Options{RunID: "first", Holder: "alpha, process 7"})
	other := opened(t, parsed(t, url, placesOf()), Options{RunID: "second"})
	for range fromEnv(t, "TOLLGATE_SEED_LEASES", 3) {
		began := time.Now()
		_, err := other.Acquire(within(t))
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("refused after %v", took)
		}
		if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "run first on alpha, process 7") {
			t.Fatal(err)
		}
	}
	// Held even while the row itself is locked by a transaction.
	err := d.work.inTransaction(within(t), func(tx *transaction) error {
		if _, err := tx.exec(within(t), `SELECT FROM tollgate.lease FOR UPDATE`); err != nil {
			return err
		}
		began := time.Now()
		_, err := other.Acquire(within(t))
		if !errors.Is(err, ErrRefused) || time.Since(began) > 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Release(within(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Acquire(within(t)); err != nil {
		t.Error(err)
	}
}

// quick is a lease that a test can wait for. TOLLGATE_SEED_EXPIRY=30000 is the
// real one.
func quick(t testing.TB, run string) Options {
	expiry := time.Duration(fromEnv(t, "TOLLGATE_SEED_EXPIRY", 800)) * time.Millisecond
	return Options{RunID: run, beat: expiry / 6, expiry: expiry}
}

// acquired tries until the database is free.
func acquired(t testing.TB, d *Database) context.Context {
	t.Helper()
	limit := within(t)
	for {
		ctx, err := d.Acquire(limit)
		if err == nil {
			return ctx
		}
		if !errors.Is(err, ErrRefused) || limit.Err() != nil {
			t.Fatal(err)
		}
	}
}

func TestLivingHolderKeepsTheDatabaseAndADeadOneLosesIt(t *testing.T) {
	url := database(t, places)
	first, held1 := held(t, parsed(t, url, placesOf()), quick(t, "first"))
	other := opened(t, parsed(t, url, placesOf()), quick(t, "second"))
	expiry := first.opts.expiry
	for began := time.Now(); time.Since(began) < 2*expiry; {
		if _, err := other.Acquire(within(t)); !errors.Is(err, ErrRefused) {
			t.Fatalf("a beating heart: %v", err)
		}
	}
	// It dies without a word.
	first.lease.cancel(nil)
	<-first.lease.done
	began := time.Now()
	acquired(t, other)
	t.Logf("free %v after its death, at an expiry of %v", time.Since(began), expiry)
	if held1.Err() == nil {
		t.Error("the dead still hold")
	}
	// And what it does afterwards is refused.
	if _, err := first.Fill(within(t)); !errors.Is(err, ErrSeed) || !errors.Is(err, ErrLost) {
		t.Error(err)
	}
	if got := run(t, url, `SELECT count(*) FROM places`); got != "1" {
		t.Errorf("%s places", got)
	}
}

func TestHolderLearnsThatItsLeaseIsGone(t *testing.T) {
	url := database(t, places)
	_, ctx := held(t, parsed(t, url, placesOf()), quick(t, "first"))
	run(t, url, `UPDATE tollgate.lease SET token = 'other'`)
	select {
	case <-ctx.Done():
	case <-within(t).Done():
		t.Fatal("not told")
	}
	if err := context.Cause(ctx); !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), "another run took it over") {
		t.Error(err)
	}
}

// Each transaction asks for the lease at its end, so one that was taken over in
// the middle leaves no row.
func TestRowsOfAHolderThatWasTakenOverAreNotCommitted(t *testing.T) {
	url := database(t, places)
	stolen := false
	var d *Database
	o := quick(t, "first")
	o.beat, o.expiry = time.Hour, 2*time.Hour // only the fence can tell
	o.Progress = func(p Progress) {
		if !stolen {
			stolen = true
			run(t, url, `UPDATE tollgate.lease SET token = 'other'`)
		}
	}
	d, ctx := held(t, parsed(t, url, rows("- "+tenPlaces+"\n- {table: places, as: more, count: 30000, row: {id: \"${uuid()}\", name: \"more ${n}\"}}")), o)
	_, err := d.Fill(ctx)
	if !errors.Is(err, ErrLost) || !errors.Is(err, ErrSeed) {
		t.Error(err)
	}
	if got := run(t, url, `SELECT count(*) FROM places WHERE name LIKE 'more %'`); got != "0" {
		t.Errorf("%s rows of a holder that was no more", got)
	}
	if _, err := d.Clean(within(t)); !errors.Is(err, ErrUnclean) || !errors.Is(err, ErrLost) {
		t.Errorf("cleaning without a lease: %v", err)
	}
	run(t, url, `DELETE FROM tollgate.lease`)
	next := opened(t, parsed(t, url, placesOf()), Options{RunID: "next"})
	if _, err := next.Acquire(within(t)); err != nil {
		t.Fatal(err)
	}
	got, err := next.Recover(within(t))
	if err != nil || len(got) != 1 || got[0].Deleted != 10 {
		t.Errorf("%+v, %v", got, err)
	}
	if got := run(t, url, `SELECT string_agg(name, ',') FROM places`); got != "theirs" {
		t.Error(got)
	}
}

// A run whose database is away for so long must end: another may hold it by now.
func TestHolderGivesUpADatabaseThatIsAway(t *testing.T) {
	server := postgrestest.Own(t)
	url, err := server.CreateDatabase(within(t), "app")
	if err != nil {
		t.Fatal(err)
	}
	run(t, url, places)
	_, ctx := held(t, parsed(t, url, placesOf()), quick(t, "first"))
	if err := server.Crash(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ctx.Done():
	case <-within(t).Done():
		t.Fatal("not told")
	}
	if err := context.Cause(ctx); !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), "away for ") {
		t.Error(err)
	}
}
