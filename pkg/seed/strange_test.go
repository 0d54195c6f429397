package seed

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Rows of a table that inherits from a seeded one are not the seeded one's.
func TestRowsOfAnInheritingTableAreForeign(t *testing.T) {
	url := database(t, `CREATE TABLE cities (id int PRIMARY KEY, name text);
		CREATE TABLE capitals (mayor text) INHERITS (cities); INSERT INTO capitals VALUES (1, 'theirs'), (2, 'theirs')`)
	before := contents(t, url)
	d, ctx := held(t, parsed(t, url, rows(`- {table: cities, count: 3, row: {id: "${n}", name: ours}}`)+"\nclean:\n  - {table: cities, where: {name: {eq: theirs}}}"), Options{})
	filled(t, d, ctx)
	if got := cleaned(t, d); got != (Cleaned{Run: "run-1", Seeded: 3, Deleted: 3}) {
		t.Errorf("%+v", got)
	}
	if after := contents(t, url); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
}

// A column that rounds what it is given has another key than was written.
func TestKeysThatTheirColumnRoundsAreFoundAgain(t *testing.T) {
	url := database(t, `CREATE TABLE prices (id numeric(10,2) PRIMARY KEY, at timestamptz(0) NOT NULL UNIQUE);
		CREATE TABLE hours (at timestamp(0) PRIMARY KEY, note text);
		CREATE DOMAIN cents AS numeric(8,2); CREATE TABLE coins (id cents PRIMARY KEY);
		CREATE TABLE sales (price numeric, at timestamptz)`)
	d, ctx := held(t, parsed(t, url, rows(`
- {table: prices, count: 3, row: {id: "${n + 0.126}", at: "2026-01-0${n} 10:00:00.7"}}
- {table: hours, count: 3, row: {at: "2026-01-0${n} 10:00:00.7"}}
- {table: coins, count: 3, row: {id: "${n + 0.126}"}}`)+"\nclean:\n  - {table: sales, where: {at: {in: prices.at}}}\n  - {table: sales, where: {price: {in: prices.id}}}"), Options{})
	filled(t, d, ctx)
	run(t, url, `INSERT INTO sales (price) SELECT id FROM prices; INSERT INTO sales (at) SELECT at FROM prices`)
	if got := cleaned(t, d); got != (Cleaned{Run: "run-1", Seeded: 9, Deleted: 9, Made: 6}) {
		t.Errorf("%+v", got)
	}
	if left := run(t, url, `SELECT (SELECT count(*) FROM prices) + (SELECT count(*) FROM hours) + (SELECT count(*) FROM coins) + (SELECT count(*) FROM sales)`); left != "0" {
		t.Errorf("%s rows remain", left)
	}
}

// A condition compares with what it says, not with what its column would make of it.
func TestConditionIsNotRounded(t *testing.T) {
	url := database(t, `CREATE TABLE sales (price numeric(10,2)); INSERT INTO sales VALUES (1.23), (4.56); `+places)
	d, ctx := held(t, parsed(t, url, placesOf()+"\nclean:\n  - {table: sales, where: {price: {in: [1.234, 4.56]}}}"), Options{})
	filled(t, d, ctx)
	if got := cleaned(t, d); got.Made != 1 {
		t.Errorf("%+v", got)
	}
}

// Who cleans may have other settings than who seeded.
func TestSettingsOfARoleChangeNeitherKeysNorData(t *testing.T) {
	url := database(t, `CREATE TABLE slots (at timestamptz PRIMARY KEY, day date)`)
	name := run(t, url, `SELECT current_database()`)
	seed := rows(`- {table: slots, count: 5, row: {at: "2026-01-0${n} 10:00", day: "01/02/2026"}}`)
	run(t, url, `ALTER DATABASE "`+name+`" SET timezone = 'Asia/Tokyo'; ALTER DATABASE "`+name+`" SET datestyle = 'ISO, DMY'`)
	d, ctx := held(t, parsed(t, url, seed), Options{})
	filled(t, d, ctx)
	there := run(t, url, `SET timezone = 'UTC'; SELECT min(at) || ' ' || min(day) FROM slots`)
	d.Close()
	run(t, url, `ALTER DATABASE "`+name+`" SET timezone = 'America/New_York'; ALTER DATABASE "`+name+`" SET datestyle = 'ISO, MDY'`)
	d, ctx = held(t, parsed(t, url, seed), Options{RunID: "run-2"})
	if got, err := d.Recover(within(t)); err != nil || got[0].Deleted != 5 {
		t.Fatalf("%+v, %v", got, err)
	}
	filled(t, d, ctx)
	if again := run(t, url, `SET timezone = 'UTC'; SELECT min(at) || ' ' || min(day) FROM slots`); again != there {
		t.Errorf("of one spec, %s and %s", there, again)
	}
	cleaned(t, d)
}

// Rows that a trigger keeps are left, and so nothing is clean.
func TestConditionWhoseRowsATriggerKeepsIsNotClean(t *testing.T) {
	for what, tables := range map[string]string{
		"alone":  `CREATE TABLE logs (id serial PRIMARY KEY, place uuid)`,
		"circle": `CREATE TABLE logs (id serial PRIMARY KEY, place uuid, before int REFERENCES logs)`,
	} {
		url := database(t, places+`; `+tables+`; CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
			CREATE TRIGGER keep BEFORE DELETE ON logs FOR EACH ROW EXECUTE FUNCTION keep()`)
		d, ctx := held(t, parsed(t, url, placesOf()+"\nclean:\n  - {table: logs, where: {place: {in: places.id}}}"), Options{})
		filled(t, d, ctx)
		run(t, url, `INSERT INTO logs (place) SELECT id FROM places WHERE name LIKE 'place%'`)
		if _, err := d.Clean(within(t)); !errors.Is(err, ErrUnclean) || !strings.Contains(err.Error(), "10 rows of logs are still there") {
			t.Errorf("%s: %v", what, err)
		}
		run(t, url, `DROP TRIGGER keep ON logs`)
		if got := cleaned(t, d); got.Made != 10 || got.Seeded != 10 {
			t.Errorf("%s: %+v", what, got)
		}
	}
}

// What the rows of a partition are made into is found out as well.
func TestTriggerOfAPartitionIsFoundOut(t *testing.T) {
	url := database(t, `CREATE TABLE parts (id int, region text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
		CREATE TABLE parts_a PARTITION OF parts FOR VALUES IN ('a');
		CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.id := NEW.id + 1000; RETURN NEW; END $$;
		CREATE TRIGGER meddle BEFORE INSERT ON parts_a FOR EACH ROW EXECUTE FUNCTION meddle()`)
	d, ctx := held(t, parsed(t, url, rows(`- {table: parts, count: 3, row: {id: "${n}", region: a}}`)), Options{})
	if _, err := d.Fill(ctx); !errors.Is(err, ErrSeed) || !strings.Contains(err.Error(), "3 of 3 rows of parts") {
		t.Error(err)
	}
	cleaned(t, d)
	if n := run(t, url, `SELECT count(*) FROM parts`); n != "0" {
		t.Errorf("%s rows", n)
	}
}

// A policy hides rows, from questions but not from a cascade.
func TestRowsThatAPolicyHidesAreNotReachedInto(t *testing.T) {
	admin := database(t, family+`; DROP ROLE IF EXISTS hidden_from; CREATE ROLE hidden_from LOGIN PASSWORD 'pass';
		ALTER TABLE pets ENABLE ROW LEVEL SECURITY; CREATE POLICY none ON pets USING (false); GRANT SELECT ON pets, toys, deeds TO hidden_from`)
	t.Cleanup(func() { _, _ = tried(context.Background(), admin, `DROP OWNED BY hidden_from; DROP ROLE hidden_from`) })
	u, err := url.Parse(admin)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("hidden_from", "pass")
	marker := opened(t, parsed(t, admin, rows(familyRows)), Options{})
	if err := marker.Mark(within(t)); err != nil {
		t.Fatal(err)
	}
	run(t, admin, marker.Rights("hidden_from"))
	d := opened(t, parsed(t, u.String(), rows(familyRows)), Options{})
	ctx, err := d.Acquire(within(t))
	if err != nil {
		t.Fatal(err)
	}
	filled(t, d, ctx)
	run(t, admin, `INSERT INTO pets (person) SELECT id FROM people LIMIT 2`)
	if _, err := d.Clean(within(t)); !errors.Is(err, ErrUnclean) || !strings.Contains(err.Error(), "pets_person_fkey") {
		t.Error(err)
	}
	if n := run(t, admin, `SELECT count(*) FROM pets`); n != "2" {
		t.Errorf("%s of 2 pets are left", n)
	}
	// And a table whose rows are hidden cannot be cleaned at all.
	withPets := opened(t, parsed(t, u.String(), rows(familyRows)+"\nclean:\n  - {table: pets, where: {person: {in: people.id}}}"), Options{RunID: "2"})
	run(t, admin, `GRANT DELETE ON pets TO hidden_from`)
	faults, err := withPets.Check(within(t))
	if err != nil || len(faults) != 1 || !strings.Contains(faults[0].Msg, "row-level security") {
		t.Errorf("%v, %v", faults, err)
	}
}

// A server may still commit what it was sent on a connection that broke.
func TestRowsThatAreCommittedLateAreRecorded(t *testing.T) {
	at := database(t, places+`; CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			LOOP BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$;
		CREATE CONSTRAINT TRIGGER late AFTER INSERT ON places DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION late()`)
	before := contents(t, at)
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, left: -1}
	go p.serve(u.Host)
	t.Cleanup(func() { l.Close() })
	u.Host = l.Addr().String()
	d, ctx := held(t, parsed(t, u.String(), placesOf()), Options{})
	blocker := opened(t, parsed(t, at, placesOf()), Options{RunID: "blocker"})
	if err := blocker.work.connect(within(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := blocker.work.exec(within(t), `SELECT pg_advisory_lock(7)`); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	go func() {
		_, err := d.Fill(ctx)
		failed <- err
	}()
	waiting := func(what string) {
		t.Helper()
		for limit := within(t); run(t, at, `SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'tollgate' AND datname = current_database() AND wait_event_type = 'Lock' AND `+what) != "t"; {
			if limit.Err() != nil {
				t.Fatal("nobody waits")
			}
		}
	}
	waiting(`wait_event = 'advisory'`)
	p.mu.Lock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
	p.mu.Unlock()
	if err := <-failed; !errors.Is(err, ErrSeed) {
		t.Fatal(err)
	}
	hasty, cancel := context.WithTimeout(within(t), 500*time.Millisecond)
	defer cancel()
	c, err := d.Clean(hasty)
	if _, err := blocker.work.exec(within(t), `SELECT pg_advisory_unlock(7)`); err != nil {
		t.Fatal(err)
	}
	if err == nil {
		t.Errorf("clean while rows were being committed: %+v", c)
	}
	for limit := within(t); err != nil && limit.Err() == nil; {
		_, err = d.Clean(limit)
	}
	for limit := within(t); run(t, at, `SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tollgate' AND datname = current_database() AND state <> 'idle'`) != "0"; {
		if limit.Err() != nil {
			t.Fatal("the server goes on")
		}
	}
	restored(t, at, before, "committed late")
}

// Whoever took the database over in between has removed our rows: a run that
// finds them gone was not alone.
func TestRunThatSomebodyElseCleanedIsNotClean(t *testing.T) {
	url := database(t, places)
	d, ctx := held(t, parsed(t, url, placesOf()), Options{})
	filled(t, d, ctx)
	run(t, url, `UPDATE tollgate.lease SET beat = beat - interval '1 hour'`)
	other := opened(t, parsed(t, url, placesOf()), Options{RunID: "other"})
	if _, err := other.Acquire(within(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Recover(within(t)); err != nil {
		t.Fatal(err)
	}
	if c, err := d.Clean(within(t)); !errors.Is(err, ErrUnclean) || !errors.Is(err, ErrLost) {
		t.Errorf("%+v, %v", c, err)
	}
}

// Rows that somebody else makes while ours are deleted are not deleted with
// them, whatever the constraint would do to them.
func TestRowsThatComeDuringACleaningAreNotReachedInto(t *testing.T) {
	url := database(t, `CREATE TABLE people (id int PRIMARY KEY); CREATE TABLE pets (id serial PRIMARY KEY, person int REFERENCES people ON DELETE CASCADE)`)
	come := false
	o := Options{chunk: 1}
	o.Progress = func(p Progress) {
		if p.Clean && !come {
			come = true
			run(t, url, `INSERT INTO pets (person) SELECT id FROM people LIMIT 1`)
		}
	}
	d, ctx := held(t, parsed(t, url, rows(`- {table: people, count: 2000, row: {id: "${n}"}}`)), o)
	filled(t, d, ctx)
	_, err := d.Clean(within(t))
	if !errors.Is(err, ErrUnclean) || !strings.Contains(err.Error(), "pets_person_fkey") {
		t.Error(err)
	}
	if n := run(t, url, `SELECT count(*) FROM pets`); n != "1" {
		t.Errorf("%s of 1 pet is left", n)
	}
	run(t, url, `DELETE FROM pets`)
	if got := cleaned(t, d); got.Deleted != 2000 {
		t.Errorf("%+v", got)
	}
}
