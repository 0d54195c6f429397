package seed

import (
	"strings"
	"testing"
)

const shop = `
CREATE TYPE mood AS ENUM ('happy', 'sad');
CREATE DOMAIN percent AS int CHECK (value BETWEEN 0 AND 100);
CREATE TABLE shops (id uuid PRIMARY KEY, name varchar(10) NOT NULL, city text NOT NULL, founded date, mood mood, rate percent,
	open boolean, size int, tags text[], info jsonb, area numeric(5, 2), doubled int GENERATED ALWAYS AS (size * 2) STORED, since timestamp, seen timestamptz);
CREATE TABLE "Odd Name" (id uuid PRIMARY KEY);
CREATE TABLE keyless (name text);
CREATE TABLE clerks (id serial PRIMARY KEY, shop_id uuid REFERENCES shops, boss_of uuid);
CREATE TABLE owners (id uuid PRIMARY KEY, shop_id uuid REFERENCES shops);
CREATE TABLE codes (code text PRIMARY KEY DEFAULT 'x', note text);
ALTER TABLE shops ADD owner_id uuid REFERENCES owners;
CREATE VIEW cities AS SELECT DISTINCT city FROM shops;
CREATE SCHEMA other; CREATE TABLE other.things (id uuid PRIMARY KEY);
INSERT INTO shops (id, name, city) VALUES (gen_random_uuid(), 'a', 'Montreal'), (gen_random_uuid(), 'b', 'Montreal')`

// Each is a fault of its own, at the line and with the way out.
func TestWhatTheDatabaseWouldRefuseIsAFaultBeforeAnythingIsWritten(t *testing.T) {
	url := database(t, shop)
	before := contents(t, url)
	shopOf := func(more string) string {
		return `- {table: shops, count: 3, row: {id: "${uuid()}", name: a, city: b` + more + `}}`
	}
	const ok = `- {table: shops, row: {id: "${uuid()}", name: a, city: b}}`
	for _, c := range []struct{ rows, msg, hint string }{
		{`- {table: shop, row: {id: "${uuid()}"}}`, "the database has no table shop", "did you mean shops?"},
		{`- {table: things, row: {id: "${uuid()}"}}`, "the database has no table things", "did you mean other.things?"},
		{`- {table: cities, row: {city: a}}`, "cities is no table", "name the table behind it"},
		{`- {table: keyless, row: {name: a}}`, "keyless has no primary key", "give it one"},
		{`- {table: shops, row: {id: "${uuid()}", nam: a, city: b}}`, "shops has no column nam", "did you mean name?"},
		{`- {table: shops, row: {id: "${uuid()}"}}`, "shops needs a value for name, city: NOT NULL, without a default", "add them to the row"},
		{`- {table: shops, row: {name: a, city: b}}`, "shops needs a value for its key id", "id: ${uuid()}"},
		{`- {table: codes, row: {note: a}}`, "codes needs a value for its key code", "add it to the row"},
		{shopOf(`, doubled: 4`), "the database computes shops.doubled itself", "leave it out"},
		{`- {table: shops, count: 3, row: {id: "${uuid()}", name: a, city: '${n == 2 ? nil : "b"}'}}`, "row 2 of shops: shops.city is NOT NULL", ""},
		{shopOf(`, mood: hapy`), `column mood: "hapy" is no value of mood`, "did you mean happy?"},
		{shopOf(`, mood: angry`), `column mood: "angry" is no value of mood`, "it is one of happy, sad"},
		{shopOf(`, size: large`), `row 1 of shops, column size: "large" is no whole number, which integer holds`, ""},
		{shopOf(`, size: "${n * 1000000000}"`), "row 3 of shops, column size: 3000000000 is too large for integer", ""},
		{shopOf(`, size: "${n / 2}"`), `row 1 of shops, column size: "0.5" is no whole number, which integer holds`, ""},
		{shopOf(`, open: maybe`), `"maybe" is neither true nor false`, "write true or false"},
		{shopOf(`, founded: "2026-02-31"`), "date/time field value out of range", ""},
		{shopOf(`, rate: 101`), "violates check constraint", ""},
		{shopOf(`, area: 12345.6`), "numeric field overflow", ""},
		{shopOf(`, area: wide`), `"wide" is no number`, ""},
		{shopOf(`, tags: red`), `"red" is no list, which text[] holds`, `write a list: ["red"]`},
		{shopOf(`, tags: {a: 1}`), "is no list, which text[] holds", ""},
		{shopOf(`, size: [1]`), "shops.size is of type integer, which holds no mapping and no list", ""},
		{`- {table: shops, row: {id: one, name: a, city: b}}`, `"one" is no uuid`, "write ${uuid()}"},
		{`- {table: shops, row: {id: "${uuid()}", name: a name that is too long, city: b}}`, "is longer than the 10 characters of character varying(10)", ""},
		{shopOf(`, owner_id: '${lookup("owner", "id", "x").id}'`), "lookup: there is no table owner", "did you mean owners?"},
		{shopOf(`, owner_id: '${lookup("shops", "town", "x").id}'`), "lookup: shops has no column town", ""},
		{shopOf(`, owner_id: '${lookup("shops", "city", "Laval").id}'`), `lookup("shops", "city", "Laval") finds no row`, ""},
		{shopOf(`, owner_id: '${lookup("shops", "city", "Montreal").id}'`), `lookup("shops", "city", "Montreal") finds more than one row`, "unique"},
		{`- {table: clerks, row: {shop_id: "${uuid()}"}}` + "\n" + ok, "clerks.shop_id refers to shops, whose rows come later", "put shops before clerks"},
		{`- {table: owners, row: {id: "${uuid()}", shop_id: "${uuid()}"}}` + "\n" + shopOf(`, owner_id: "${uuid()}"`), "owners.shop_id refers to shops, and shops.owner_id refers back", "leave one of the two out"},
		{ok + "\nclean:\n- {table: clerk, where: {id: {eq: 1}}}", "the database has no table clerk", "did you mean clerks?"},
		{ok + "\nclean:\n- {table: clerks, where: {idd: {eq: 1}}}", "clerks has no column idd", "did you mean id?"},
		{ok + "\nclean:\n- {table: clerks, where: {id: {eq: one}}}", "invalid input syntax for type integer", ""},
		{ok + "\nclean:\n- {table: clerks, where: {id: {like: '1%'}}}", "like needs a text", ""},
		{ok + "\nclean:\n- {table: shops, where: {since: {since: run}}}", "since run needs a timestamp with time zone", ""},
	} {
		list, clean, _ := strings.Cut(c.rows, "\nclean:\n")
		section := rows(list)
		if clean != "" {
			section += "\nclean:\n  " + clean
		}
		d := opened(t, parsed(t, url, section), Options{})
		faults, err := d.Check(within(t))
		if err != nil {
			t.Errorf("%s: %v", c.rows, err)
			continue
		}
		if len(faults) != 1 {
			t.Errorf("%s: %d faults: %+v", c.rows, len(faults), faults)
			continue
		}
		f := faults[0]
		if !strings.Contains(f.Msg, c.msg) || !strings.Contains(f.Hint, c.hint) || c.hint == "" && f.Hint != "" || f.File != "load.yaml" || f.Line < 10 {
			t.Errorf("%s:\n%+v, want %q and %q", c.rows, f, c.msg, c.hint)
		}
		d.Close()
	}
	if after := contents(t, url); after != before {
		t.Error("a check wrote")
	}
}

func TestAllFaultsAreReportedAtOnceInTheirOrder(t *testing.T) {
	url := database(t, shop)
	d := opened(t, parsed(t, url, rows(`
- {table: shops, row: {id: x, name: a, city: b, size: big, mood: gloomy}}
- {table: nowhere, row: {id: 1}}
- {table: shops, as: more, row: {id: "${uuid()}"}}`)), Options{})
	faults, err := d.Check(within(t))
	if err != nil {
		t.Fatal(err)
	}
	var lines []int
	for _, f := range faults {
		lines = append(lines, f.Line)
	}
	if len(faults) != 5 || lines[0] >= lines[4] {
		t.Errorf("%v %+v", lines, faults)
	}
}

func TestNamesAreTakenAsTheyAre(t *testing.T) {
	url := database(t, shop)
	d, ctx := held(t, parsed(t, url, rows("- {table: Odd Name, as: odd, row: {id: \"${uuid()}\"}}\n- {table: other.things, count: 2, row: {id: \"${uuid()}\"}}")), Options{})
	filled(t, d, ctx)
	if got := run(t, url, `SELECT (SELECT count(*) FROM "Odd Name") || ' ' || (SELECT count(*) FROM other.things)`); got != "1 2" {
		t.Error(got)
	}
	cleaned(t, d)
	if got := run(t, url, `SELECT (SELECT count(*) FROM "Odd Name") || ' ' || (SELECT count(*) FROM other.things)`); got != "0 0" {
		t.Error(got)
	}
}

// What the first rows do not show is found when it is written, and says where.
func TestLateMisfitNamesItsRowAndLeavesNothing(t *testing.T) {
	url := database(t, shop+`; CREATE UNIQUE INDEX ON shops (name, size)`)
	before := contents(t, url)
	for _, c := range []struct{ column, msg string }{
		{`size: "${n == 2500 ? 1 / (n - 2500 + 0.0000000001) : n}"`, "load.yaml:10:"},
		{`rate: '${n == 2500 ? 200 : 1}'`, "row 2500 of shops, column rate: value for domain percent violates check constraint"},
		{`mood: '${n == 2500 ? "mad" : "sad"}'`, `row 2500 of shops, column mood: "mad" is no value of mood`},
		{`size: '${n == 2500 ? 7 : n}'`, "row 2500 of shops: duplicate key value violates unique constraint"},
	} {
		d, ctx := held(t, parsed(t, url, rows(`- {table: shops, count: 3000, row: {id: "${uuid()}", name: a, city: b, `+c.column+`}}`)), Options{RunID: c.column, chunk: 2})
		if faults, err := d.Check(ctx); err != nil || faults != nil {
			t.Fatal(faults, err)
		}
		_, err := d.Fill(ctx)
		if err == nil || !strings.Contains(err.Error(), c.msg) || !strings.HasPrefix(err.Error(), "load.yaml:1") {
			t.Errorf("%s: %v", c.column, err)
		}
		cleaned(t, d)
		if after := contents(t, url); after != before {
			t.Errorf("%s: rows remain", c.column)
		}
		d.Close()
	}
}
