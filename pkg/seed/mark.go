package seed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tollgate/pkg/spec"
)

// identity is what tells one database from another: its name, the server's
// number of it, and the number that initdb gave the server, "" where a role
// may not read it. A copy restored elsewhere differs in the numbers.
type identity struct {
	Database string `json:"database"`
	OID      string `json:"oid"`
	System   string `json:"system"`
}

const identitySQL = `SELECT json_build_object(
	'database', current_database(),
	'oid', (SELECT oid::text FROM pg_catalog.pg_database WHERE datname = current_database()),
	'system', CASE WHEN has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')
		THEN (SELECT system_identifier::text FROM pg_catalog.pg_control_system()) ELSE '' END)`

// schemaSQL is all that Tollgate keeps in a database, in a schema of its own.
// Keys are arrays of text, one for each chunk and key column: a million keys
// are a hundred rows.
const schemaSQL = `
CREATE SCHEMA IF NOT EXISTS tollgate;
CREATE TABLE IF NOT EXISTS tollgate.marker (
	one boolean PRIMARY KEY DEFAULT true CHECK (one),
	database text NOT NULL, oid text NOT NULL, system text NOT NULL,
	marked_at timestamptz NOT NULL DEFAULT now(), marked_by text NOT NULL DEFAULT current_user);
CREATE TABLE IF NOT EXISTS tollgate.lease (
	one boolean PRIMARY KEY DEFAULT true CHECK (one),
	token text NOT NULL, run text NOT NULL, holder text NOT NULL,
	since timestamptz NOT NULL, beat timestamptz NOT NULL);
CREATE TABLE IF NOT EXISTS tollgate.run (
	run text PRIMARY KEY, state text NOT NULL CHECK (state IN ('seeding', 'seeded', 'cleaning', 'done')),
	spec text NOT NULL, spec_digest text NOT NULL, random_seed text NOT NULL, holder text NOT NULL,
	started timestamptz NOT NULL, finished timestamptz,
	entries jsonb NOT NULL, clean jsonb NOT NULL,
	data_digest text, deleted bigint NOT NULL DEFAULT 0, gone bigint NOT NULL DEFAULT 0, made bigint NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS tollgate.ledger (
	run text NOT NULL REFERENCES tollgate.run, entry int NOT NULL, chunk int NOT NULL,
	rows int NOT NULL, done boolean NOT NULL DEFAULT false, PRIMARY KEY (run, entry, chunk));
CREATE TABLE IF NOT EXISTS tollgate.keys (
	run text NOT NULL, entry int NOT NULL, chunk int NOT NULL, item int NOT NULL,
	vals text[] NOT NULL, PRIMARY KEY (run, entry, chunk, item),
	FOREIGN KEY (run, entry, chunk) REFERENCES tollgate.ledger);
ALTER TABLE tollgate.keys ALTER COLUMN vals SET STORAGE EXTERNAL;
`

// Mark writes into the database that it may be seeded: its name and the
// numbers that tell it from a copy. It creates the schema tollgate where that
// is missing, and needs the right to do so. It grants nothing: see Rights.
func (d *Database) Mark(ctx context.Context) error {
	err := d.work.inTransaction(ctx, func(t *transaction) error {
		if _, err := t.s.conn.Exec(ctx, schemaSQL).ReadAll(); err != nil {
			return t.s.tell(err)
		}
		id := t.s.seen
		_, err := t.exec(ctx, `INSERT INTO tollgate.marker (database, oid, system) VALUES ($1::text, $2::text, $3::text)
			ON CONFLICT (one) DO UPDATE SET database = excluded.database, oid = excluded.oid, system = excluded.system,
				marked_at = now(), marked_by = current_user`, id.Database, id.OID, id.System)
		return err
	})
	if err == nil {
		return nil
	}
	hint := ""
	if r := refusal(err); r != nil && r.code == "42501" {
		hint = "mark it as a role that may create schemas in " + d.work.seen.Database + ", then give the seeding role its rights"
	}
	return d.failf(ErrRefused, err, hint, "%s could not be marked", d.at.where)
}

// Rights is what a role must be granted to seed this spec and to clean up, as
// statements of SQL: after Check, all of it. Who marks a database can run them;
// nobody else does.
func (d *Database) Rights(role string) string {
	var b strings.Builder
	r := ident(role)
	fmt.Fprintf(&b, "GRANT USAGE ON SCHEMA tollgate TO %s;\n", r)
	fmt.Fprintf(&b, "GRANT SELECT ON tollgate.marker TO %s;\n", r)
	fmt.Fprintf(&b, "GRANT SELECT, INSERT, UPDATE, DELETE ON tollgate.lease, tollgate.run, tollgate.ledger, tollgate.keys TO %s;\n", r)
	seen := map[string]bool{}
	for _, t := range d.seed.Tables {
		if name := quotedName(t.Table); !seen[name] {
			seen[name] = true
			fmt.Fprintf(&b, "GRANT SELECT, INSERT, DELETE ON %s TO %s;\n", name, r)
		}
	}
	for _, c := range d.seed.Clean {
		if name := quotedName(c.Table); !seen[name] {
			seen[name] = true
			fmt.Fprintf(&b, "GRANT SELECT, DELETE ON %s TO %s;\n", name, r)
		}
	}
	if d.catalog == nil {
		return b.String()
	}
	granted := map[string]bool{}
	grant := func(right, what string) {
		if !granted[what] {
			granted[what] = true
			fmt.Fprintf(&b, "GRANT %s ON %s TO %s;\n", right, what, r)
		}
	}
	for _, s := range d.seed.Tables {
		for _, k := range d.catalog.tables[s.Table].Key {
			given := slices.ContainsFunc(s.Columns, func(c spec.SeedColumn) bool { return c.Name == k })
			if q := d.catalog.tables[s.Table].column(k).Sequence; q != "" && !given {
				grant("USAGE", "SEQUENCE "+q)
			}
		}
	}
	// These are read before anything is deleted.
	for _, k := range d.catalog.foreign {
		named := func(oid string) bool {
			for _, t := range d.catalog.tables {
				if t.OID == oid {
					return true
				}
			}
			return false
		}
		if named(k.Refers) && !named(k.Table) {
			grant("SELECT", k.TableName)
		}
	}
	d.looked.mu.Lock()
	defer d.looked.mu.Unlock()
	var looked []string
	for k := range d.looked.found {
		if d.catalog.tables[k.table] == nil {
			looked = append(looked, quotedName(k.table))
		}
	}
	slices.Sort(looked)
	for _, name := range looked {
		grant("SELECT", name)
	}
	return b.String()
}

// Marked returns ErrRefused unless the database is marked as the one it is.
// It sends SELECTs alone.
func (d *Database) Marked(ctx context.Context) error {
	const mark = "if it is a test database, mark it once: runner seed SPEC --mark"
	var there struct {
		Exists, Usable bool
	}
	// A schema that the role may not use looks like one that is not there.
	if err := d.work.scan(ctx, &there, `SELECT json_build_object('exists', n.oid IS NOT NULL AND EXISTS (
			SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid AND c.relname = 'keys'),
		'usable', coalesce(has_schema_privilege(n.oid, 'USAGE'), false))
		FROM (SELECT) AS always LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = 'tollgate'`); err != nil {
		return d.failf(ErrUnreachable, err, "", "%s", d.at.where)
	}
	switch {
	case !there.Exists:
		return d.failf(ErrRefused, nil, mark, "%s is not marked as a database that may be seeded", d.at.where)
	case !there.Usable:
		return d.failf(ErrRefused, nil, "GRANT USAGE ON SCHEMA tollgate TO the role, and the rest that docs/database.md lists",
			"%s: the role may not use the schema tollgate", d.at.where)
	}
	var marked identity
	err := d.work.scan(ctx, &marked, `SELECT json_build_object('database', database, 'oid', oid, 'system', system) FROM tollgate.marker`)
	switch r := refusal(err); {
	case errors.Is(err, errNoRow):
		return d.failf(ErrRefused, nil, mark, "%s is not marked as a database that may be seeded", d.at.where)
	case r != nil:
		return d.failf(ErrRefused, err, "give the role the rights that docs/database.md lists", "%s: its marker cannot be read", d.at.where)
	case err != nil:
		return d.failf(ErrUnreachable, err, "", "%s", d.at.where)
	}
	is := d.work.seen
	const again = "if it is a test database all the same, mark it anew: runner seed SPEC --mark"
	switch {
	case marked.Database != is.Database:
		return d.failf(ErrRefused, nil, again, "%s was marked as the database %s, and is %s: a copy under another name", d.at.where, marked.Database, is.Database)
	case marked.System != "" && is.System == "":
		return d.failf(ErrRefused, nil, "GRANT EXECUTE ON FUNCTION pg_catalog.pg_control_system() TO the role",
			"%s: the role may not read which server this is", d.at.where)
	case marked.System != "" && marked.System != is.System, marked.OID != is.OID:
		return d.failf(ErrRefused, nil, again, "%s was marked on another server: this is a copy of it", d.at.where)
	}
	return nil
}

// quotedName quotes a table as specs write it, with its schema or without.
func quotedName(table string) string {
	schema, name, ok := strings.Cut(table, ".")
	if !ok {
		return ident(table)
	}
	return ident(schema) + "." + ident(name)
}
