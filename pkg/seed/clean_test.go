package seed

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const family = `
CREATE TABLE people (id uuid PRIMARY KEY, name text NOT NULL, parent uuid REFERENCES people, house uuid);
CREATE TABLE houses (id uuid PRIMARY KEY, owner uuid REFERENCES people);
ALTER TABLE people ADD CONSTRAINT people_house_fkey FOREIGN KEY (house) REFERENCES houses;
CREATE TABLE pets (id serial PRIMARY KEY, person uuid REFERENCES people ON DELETE CASCADE);
CREATE TABLE toys (id serial PRIMARY KEY, person uuid REFERENCES people ON DELETE SET NULL);
CREATE TABLE deeds (id serial PRIMARY KEY, house uuid CONSTRAINT deeds_house REFERENCES houses)`

const familyRows = `
- {table: people, count: 20, row: {id: "${uuid()}", name: "p${n}"}}
- {table: houses, count: 5, row: {id: "${uuid()}", owner: "${pick(people, n).id}"}}`

// A row that nobody declared is neither deleted nor changed, and says who it is.
func TestRowsInUseStopTheCleaningBeforeItBegins(t *testing.T) {
	for _, c := range []struct{ name, load, constraint, count, undo string }{
		{"refused", `INSERT INTO deeds (house) SELECT id FROM houses LIMIT 3`, "deeds_house", "3 rows of deeds refer to rows of houses by house", "DELETE FROM deeds"},
		{"cascade", `INSERT INTO pets (person) SELECT id FROM people LIMIT 2`, "pets_person_fkey", "2 rows of pets refer to rows of people by person", "DELETE FROM pets"},
		{"set null", `INSERT INTO toys (person) SELECT id FROM people LIMIT 4`, "toys_person_fkey", "4 rows of toys refer to rows of people", "DELETE FROM toys"},
		{"circle", `INSERT INTO people (id, name, parent) SELECT gen_random_uuid(), 'theirs', id FROM people LIMIT 1`, "people_parent_fkey", "1 rows of people refer to rows of people by parent", "DELETE FROM people WHERE name = 'theirs'"},
	} {
		t.Run(c.name, func(t *testing.T) {
			url := database(t, family)
			d, ctx := held(t, parsed(t, url, rows(familyRows)), Options{})
			filled(t, d, ctx)
			run(t, url, c.load)
			before := contents(t, url)
			for range 2 {
				_, err := d.Clean(within(t))
				if !errors.Is(err, ErrUnclean) || !strings.Contains(err.Error(), c.constraint) || !strings.Contains(err.Error(), c.count) || !strings.Contains(err.Error(), "runner clean SPEC") {
					t.Error(err)
				}
				if after := contents(t, url); after != before {
					t.Error("rows changed")
				}
			}
			run(t, url, c.undo)
			if got := cleaned(t, d); got != (Cleaned{Run: "run-1", Seeded: 25, Deleted: 25}) {
				t.Errorf("%+v", got)
			}
			if left := run(t, url, `SELECT (SELECT count(*) FROM people) + (SELECT count(*) FROM houses)`); left != "0" {
				t.Errorf("%s rows remain", left)
			}
		})
	}
}

func TestRowsThatTheLoadTiedIntoCirclesGoTogether(t *testing.T) {
	url := database(t, family+`; INSERT INTO people VALUES ('00000000-0000-4000-8000-000000000001', 'theirs')`)
	before := contents(t, url)
	d, ctx := held(t, parsed(t, url, rows(familyRows)+"\nclean:\n  - {table: pets, where: {person: {in: people.id}}}\n  - {table: people, where: {name: {in: [made, both]}, parent: {in: people.id}}}"), Options{})
	filled(t, d, ctx)
	run(t, url, `UPDATE people SET house = (SELECT id FROM houses LIMIT 1), parent = (SELECT id FROM people WHERE name = 'p3');
		INSERT INTO people (id, name, parent) SELECT gen_random_uuid(), 'made', id FROM people WHERE name LIKE 'p%' LIMIT 7;
		INSERT INTO pets (person) SELECT id FROM people WHERE name LIKE 'p%';
		UPDATE people SET parent = NULL, house = NULL WHERE name = 'theirs'; DELETE FROM pets WHERE person IN (SELECT id FROM people WHERE name = 'p9');
		DELETE FROM people WHERE name = 'p9' AND id NOT IN (SELECT owner FROM houses) AND id NOT IN (SELECT parent FROM people WHERE parent IS NOT NULL)`)
	if got := cleaned(t, d); got != (Cleaned{Run: "run-1", Seeded: 25, Deleted: 24, Gone: 1, Made: 7 + 19}) {
		t.Errorf("%+v", got)
	}
	if after := contents(t, url); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
}

func TestKeysThatTheDatabaseGivesAreTakenBeforehand(t *testing.T) {
	url := database(t, `
		CREATE TABLE serials (id serial PRIMARY KEY, name text);
		CREATE TABLE identities (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text);
		CREATE TABLE uuids (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text);
		CREATE SEQUENCE shared; CREATE TABLE shares (id bigint PRIMARY KEY DEFAULT nextval('shared'), name text);
		CREATE TABLE pairs (a int, b text, note text, PRIMARY KEY (b, a));
		CREATE TABLE parts (id int, region text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
		CREATE TABLE parts_a PARTITION OF parts FOR VALUES IN ('a'); CREATE TABLE parts_b PARTITION OF parts FOR VALUES IN ('b');
		CREATE TABLE visits (id serial PRIMARY KEY, who int REFERENCES serials);
		INSERT INTO serials (name) VALUES ('theirs'); INSERT INTO identities (name) VALUES ('theirs'); INSERT INTO pairs VALUES (1, 'theirs', '');
		INSERT INTO parts VALUES (1, 'a')`)
	before := contents(t, url)
	d, ctx := held(t, parsed(t, url, rows(`
- {table: serials, count: 300, row: {name: "s${n}"}}
- {table: identities, count: 300, row: {name: "i${n}"}}
- {table: uuids, count: 300, row: {name: "u${n}"}}
- {table: shares, count: 300, row: {name: "h${n}"}}
- {table: pairs, count: 300, row: {a: "${n}", b: 'it''s "{quoted}, \', note: x}}
- {table: parts, count: 300, row: {id: "${n + 1}", region: "${pick(['a', 'b'], n)}"}}`)+"\nclean:\n  - {table: parts, where: {id: {in: [5000, 5001]}}}\n"), Options{chunk: 2})
	filled(t, d, ctx)
	run(t, url, `INSERT INTO serials (name) VALUES ('between'); INSERT INTO identities (name) VALUES ('between'); INSERT INTO parts VALUES (5000, 'a'), (5001, 'b')`)
	run(t, url, `DELETE FROM serials WHERE name = 'between'; DELETE FROM identities WHERE name = 'between'`)
	if got := run(t, url, `SELECT count(*) || ' ' || min(id) || ' ' || max(id) FROM identities`); got != "301 1 301" {
		t.Error(got)
	}
	if got := cleaned(t, d); got != (Cleaned{Run: "run-1", Seeded: 1800, Deleted: 1800, Made: 2}) {
		t.Errorf("%+v", got)
	}
	if after := contents(t, url); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
}

func TestTriggersThatMeddleAreFoundOut(t *testing.T) {
	const table = `CREATE TABLE places (id uuid PRIMARY KEY, name text); CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN %s END $$;
		CREATE TRIGGER meddle BEFORE %s ON places FOR EACH ROW EXECUTE FUNCTION meddle()`
	for _, c := range []struct{ body, event, msg string }{
		{`NEW.id := gen_random_uuid(); RETURN NEW;`, "INSERT", "10 of 10 rows of places do not have the key that they were written with"},
		{`IF NEW.name = 'place 3' THEN RETURN NULL; END IF; RETURN NEW;`, "INSERT", "took 9 of 10 rows"},
	} {
		url := database(t, fmt.Sprintf(table, c.body, c.event))
		d, ctx := held(t, parsed(t, url, placesOf()), Options{})
		_, err := d.Fill(ctx)
		if !errors.Is(err, ErrSeed) || !strings.Contains(err.Error(), c.msg) {
			t.Error(err)
		}
		cleaned(t, d)
		if n := run(t, url, `SELECT count(*) FROM places`); n != "0" {
			t.Errorf("%s rows", n)
		}
	}
	url := database(t, fmt.Sprintf(table, `IF OLD.name = 'place 3' THEN RETURN NULL; END IF; RETURN OLD;`, "DELETE"))
	d, ctx := held(t, parsed(t, url, placesOf()), Options{})
	filled(t, d, ctx)
	if _, err := d.Clean(within(t)); !errors.Is(err, ErrUnclean) || !strings.Contains(err.Error(), "1 rows of places are still there") {
		t.Error(err)
	}
	run(t, url, `DROP TRIGGER meddle ON places`)
	if got := cleaned(t, d); got.Deleted != 10 {
		t.Errorf("%+v", got)
	}
}

func TestTableThatIsNoLongerThereTookItsRowsWithIt(t *testing.T) {
	url := database(t, family)
	d, ctx := held(t, parsed(t, url, rows(familyRows)+"\nclean:\n  - {table: pets, where: {person: {in: people.id}}}"), Options{})
	filled(t, d, ctx)
	run(t, url, `DROP TABLE houses, deeds, pets CASCADE`)
	if got := cleaned(t, d); got != (Cleaned{Run: "run-1", Seeded: 25, Deleted: 20, Gone: 5}) {
		t.Errorf("%+v", got)
	}
}

// Another spec, or none, can clean up after a run: its record says all.
func TestRecordAloneIsEnoughToCleanUp(t *testing.T) {
	url := database(t, family+`; INSERT INTO pets (person) VALUES (NULL)`)
	before := contents(t, url)
	d, ctx := held(t, parsed(t, url, rows(familyRows)+"\nclean:\n  - {table: pets, where: {person: {in: people.id}}}"), Options{RunID: "dead"})
	filled(t, d, ctx)
	run(t, url, `INSERT INTO pets (person) SELECT id FROM people`)
	d.Close()
	other := opened(t, parsed(t, url, rows(`- {table: toys, row: {person: ~}}`)), Options{RunID: "next"})
	if _, err := other.Acquire(within(t)); err != nil {
		t.Fatal(err)
	}
	got, err := other.Recover(within(t))
	if err != nil || !slices.Equal(got, []Cleaned{{Run: "dead", Seeded: 25, Deleted: 25, Made: 20}}) {
		t.Errorf("%+v, %v", got, err)
	}
	if after := contents(t, url); after != before {
		t.Error("rows changed")
	}
}

func TestConditionsMatchWhatTheySayAndNothingElse(t *testing.T) {
	url := database(t, `CREATE TABLE places (id uuid PRIMARY KEY, name text);
		CREATE TABLE logs (id serial PRIMARY KEY, text text, at timestamptz NOT NULL DEFAULT now(), level int, on_call boolean);
		INSERT INTO logs (text, at, level) VALUES ('load-1', now() - interval '1 hour', 1), ('load_2', now(), 2), ('it''s \ "{x}"', now(), 3), (NULL, now(), 4), ('place 1', now(), 5), ('other', now(), 6)`)
	for _, c := range []struct{ where, left string }{
		{`{text: {like: "load-%"}}`, "2,3,4,5,6"},
		{`{text: {like: "load%"}, at: {since: run}}`, "1,2,3,4,5,6"},
		{`{level: {in: [2, 3, 99]}}`, "1,4,5,6"},
		{`{text: {eq: 'it''s \ "{x}"'}}`, "1,2,4,5,6"},
		{`{text: {in: places.name}}`, "1,2,3,4,6"},
		{`{level: {eq: 6}, text: {eq: load-1}}`, "1,2,3,4,5,6"},
		{`{at: {since: run}}`, "1,2,3,4,5,6"},
	} {
		run(t, url, `DELETE FROM logs WHERE level > 6`)
		d, ctx := held(t, parsed(t, url, placesOf()+"\nclean:\n  - {table: logs, where: "+c.where+"}"), Options{RunID: c.where})
		filled(t, d, ctx)
		run(t, url, `INSERT INTO logs (text, level) VALUES ('load-new', 7)`)
		rest := run(t, url, `SELECT string_agg(text || level, ',' ORDER BY id) FROM logs WHERE level < 7`)
		cleaned(t, d)
		if got := run(t, url, `SELECT string_agg(level::text, ',' ORDER BY level) FROM logs WHERE level < 7`); got != c.left {
			t.Errorf("%s leaves %s, want %s of %s", c.where, got, c.left, rest)
		}
		if new := run(t, url, `SELECT count(*) FROM logs WHERE level = 7`); (new == "0") != (strings.Contains(c.where, "load%") || strings.Contains(c.where, "load-%") || c.where == `{at: {since: run}}`) {
			t.Errorf("%s: %s new rows are left", c.where, new)
		}
		run(t, url, `DELETE FROM logs; INSERT INTO logs (text, at, level) VALUES ('load-1', now() - interval '1 hour', 1), ('load_2', now(), 2), ('it''s \ "{x}"', now(), 3), (NULL, now(), 4), ('place 1', now(), 5), ('other', now(), 6)`)
		d.Close()
	}
}

// However tables refer to each other, none is cleaned before those that refer
// to it, but for circles, which are cleaned together.
func TestChildrenAreCleanedFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "tables")
		c := &cleaning{}
		for i := range n {
			c.tables = append(c.tables, &target{OID: fmt.Sprint(i)})
		}
		for range rapid.IntRange(0, 14).Draw(t, "constraints") {
			c.foreign = append(c.foreign, foreignKey{Table: fmt.Sprint(rapid.IntRange(0, n).Draw(t, "from")), Refers: fmt.Sprint(rapid.IntRange(0, n).Draw(t, "to"))})
		}
		at := map[string]int{}
		for i, group := range c.order() {
			for _, tab := range group {
				if _, twice := at[tab.OID]; twice {
					t.Fatalf("%s twice", tab.OID)
				}
				at[tab.OID] = i
			}
			if len(group) == 1 != !c.circular(group) && len(group) > 1 {
				t.Fatal("a group of several is no circle")
			}
		}
		if len(at) != n {
			t.Fatalf("%d of %d tables", len(at), n)
		}
		for _, k := range c.foreign {
			from, a := at[k.Table]
			to, b := at[k.Refers]
			if a && b && from > to {
				t.Fatalf("%s is cleaned after %s, to which it refers", k.Table, k.Refers)
			}
		}
	})
}
