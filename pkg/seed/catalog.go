package seed

import (
	"context"
	"regexp"
	"strings"

	"tollgate/pkg/spec"
)

// catalog is what the server says about the tables of a spec.
type catalog struct {
	// tables by the name that the spec gives them; nil: there is none.
	tables map[string]*table
	// names are all tables that there are, as a spec would write them.
	names []string
	// keys that refer to one of these tables, or from one of them.
	foreign []foreignKey
}

// table is one table of the database.
type table struct {
	OID      string
	Schema   string
	Name     string
	Kind     string // relkind: r, p for a partitioned one, v, m, f
	Columns  []*column
	Key      []string // columns of the primary key, in its order
	Altering bool     // it or a part of it has a trigger or a rule that may change or refuse rows
	Hidden   bool     // a policy may hide rows from the role
	MayRead  bool     `json:"may_read"`
	MayWrite bool     `json:"may_write"`
	MayClean bool     `json:"may_clean"`
}

// column is one column of a table. Type is its base type, quoted and with its
// schema, so that it means the same under every search path.
type column struct {
	Name      string
	NotNull   bool `json:"not_null"`
	Default   string
	Generated bool
	Identity  bool
	Sequence  string // whose next value is the default, "" for none
	MayDraw   bool   `json:"may_draw"` // from the sequence
	Type      string
	Stored    string // Type, with the precision that the column rounds to
	Shown     string // the type as people write it
	Category  string // typcategory
	Base      string // name of the base type, of the elements' for an array
	Length    int    // of varchar(n) and char(n), 0 for no limit
	Labels    []string
}

// foreignKey is a constraint: rows of Table name rows of Refers.
type foreignKey struct {
	Name        string
	Table       string // oid
	Refers      string // oid
	TableName   string `json:"table_name"`  // quoted, with its schema
	RefersName  string `json:"refers_name"` // quoted, with its schema
	Plain       bool   // Table is not partitioned
	Columns, To []string
	Action      string // confdeltype: a, r: refuses; c, n, d: reaches into Table
}

// refuses reports whether the constraint forbids to delete a row that is referred to.
func (k *foreignKey) refuses() bool { return k.Action == "a" || k.Action == "r" }

// shown is a table as a spec would write it.
func (t *table) shown() string {
	if t.Schema == "public" {
		return t.Name
	}
	return t.Schema + "." + t.Name
}

// quoted is a table as a statement writes it.
func (t *table) quoted() string { return ident(t.Schema) + "." + ident(t.Name) }

// only has a statement leave out the tables that inherit from a plain one:
// their rows are not its own. A partitioned one has no others.
func only(plain bool, quoted string) string {
	if plain {
		return "ONLY " + quoted
	}
	return quoted
}

// column returns a column by its name, or nil.
func (t *table) column(name string) *column {
	for _, c := range t.Columns {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// columnNames lists the names of the columns.
func (t *table) columnNames() []string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	return names
}

const tablesSQL = `WITH wanted AS (
	SELECT w.name, c.* FROM unnest($1::text[], $2::text[]) AS w(name, quoted)
	JOIN LATERAL (SELECT c.*, n.nspname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.oid = to_regclass(w.quoted)::oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')) c ON true)
SELECT coalesce(json_object_agg(w.name, json_build_object(
	'oid', w.oid::text, 'schema', w.nspname, 'name', w.relname, 'kind', w.relkind,
	'hidden', row_security_active(w.oid),
	'may_read', has_table_privilege(w.oid, 'SELECT'),
	'may_write', has_table_privilege(w.oid, 'INSERT'),
	'may_clean', has_table_privilege(w.oid, 'DELETE'),
	'altering', EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE (t.tgrelid = w.oid OR w.relkind = 'p' AND t.tgrelid IN (SELECT relid FROM pg_catalog.pg_partition_tree(w.oid))) AND NOT t.tgisinternal AND t.tgtype & 2 = 2 AND t.tgtype & 12 <> 0)
		OR EXISTS (SELECT FROM pg_catalog.pg_rewrite r WHERE r.ev_class = w.oid),
	'key', coalesce((SELECT json_agg(a.attname ORDER BY k.ord) FROM pg_catalog.pg_index i, unnest(i.indkey) WITH ORDINALITY AS k(num, ord), pg_catalog.pg_attribute a
		WHERE i.indrelid = w.oid AND i.indisprimary AND k.ord <= i.indnkeyatts AND a.attrelid = w.oid AND a.attnum = k.num), '[]'),
	'columns', coalesce((SELECT json_agg(json_build_object(
		'name', a.attname, 'not_null', a.attnotnull OR t.typnotnull, 'generated', a.attgenerated <> '',
		'identity', a.attidentity <> '', 'default', coalesce(pg_get_expr(d.adbin, d.adrelid), t.typdefault, ''),
		'sequence', s.seq, 'may_draw', CASE WHEN s.seq IS NOT NULL THEN has_sequence_privilege(s.seq, 'USAGE') ELSE false END,
		'type', quote_ident(tn.nspname) || '.' || quote_ident(t.typname),
		'stored', quote_ident(tn.nspname) || '.' || quote_ident(t.typname) || CASE WHEN t.typname IN ('numeric', 'timestamp', 'timestamptz', 'time', 'timetz')
			THEN coalesce(substring(format_type(a.atttypid, a.atttypmod) FROM '\([-0-9, ]+\)'), '') ELSE '' END, 'shown', format_type(a.atttypid, a.atttypmod),
		'category', b.typcategory, 'base', coalesce(e.typname, b.typname),
		'length', CASE WHEN coalesce(e.typname, b.typname) IN ('varchar', 'bpchar')
			THEN greatest(CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END - 4, 0) ELSE 0 END,
		'labels', (SELECT json_agg(l.enumlabel ORDER BY l.enumsortorder) FROM pg_catalog.pg_enum l WHERE l.enumtypid = coalesce(e.oid, b.oid))
		) ORDER BY a.attnum)
	FROM pg_catalog.pg_attribute a
	JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
	JOIN pg_catalog.pg_namespace tn ON tn.oid = t.typnamespace
	JOIN pg_catalog.pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
	LEFT JOIN pg_catalog.pg_type e ON b.typcategory = 'A' AND e.oid = b.typelem
	LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
	CROSS JOIN LATERAL (SELECT CASE WHEN a.attidentity <> '' OR pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%%'
		THEN pg_get_serial_sequence(quote_ident(w.nspname) || '.' || quote_ident(w.relname), a.attname) END AS seq) s
	WHERE a.attrelid = w.oid AND a.attnum > 0 AND NOT a.attisdropped), '[]'))), '{}')
FROM wanted w`

const namesSQL = `SELECT coalesce(json_agg(CASE WHEN pg_table_is_visible(c.oid) THEN c.relname ELSE n.nspname || '.' || c.relname END ORDER BY 1), '[]')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'tollgate') AND n.nspname NOT LIKE 'pg\_%'`

// foreignSQL finds the constraints from and to the tables of the oids $1. Those
// of partitions are left to their parents.
const foreignSQL = `SELECT coalesce(json_agg(json_build_object('name', k.conname, 'table', k.conrelid::text, 'refers', k.confrelid::text,
	'table_name', quote_ident(cn.nspname) || '.' || quote_ident(c.relname), 'refers_name', quote_ident(rn.nspname) || '.' || quote_ident(r.relname),
	'columns', (SELECT json_agg(a.attname ORDER BY i.ord) FROM unnest(k.conkey) WITH ORDINALITY AS i(num, ord), pg_catalog.pg_attribute a WHERE a.attrelid = k.conrelid AND a.attnum = i.num),
	'to', (SELECT json_agg(a.attname ORDER BY i.ord) FROM unnest(k.confkey) WITH ORDINALITY AS i(num, ord), pg_catalog.pg_attribute a WHERE a.attrelid = k.confrelid AND a.attnum = i.num),
	'plain', c.relkind = 'r', 'action', k.confdeltype) ORDER BY k.conname), '[]')
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace cn ON cn.oid = c.relnamespace
JOIN pg_catalog.pg_class r ON r.oid = k.confrelid JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND (k.conrelid = ANY($1::oid[]) OR k.confrelid = ANY($1::oid[]))`

// ownSequence reads the sequence of a default that no column owns.
var ownSequence = regexp.MustCompile(`^nextval\('((?:[^']|'')+)'::regclass\)$`)

// readCatalog reads what there is to know about tables, named as specs do.
func readCatalog(ctx context.Context, s *session, names []string) (*catalog, error) {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = quotedName(n)
	}
	c := &catalog{}
	if err := s.scan(ctx, &c.tables, tablesSQL, names, quoted); err != nil {
		return nil, err
	}
	if err := s.scan(ctx, &c.names, namesSQL); err != nil {
		return nil, err
	}
	var oids []string
	for _, t := range c.tables {
		oids = append(oids, t.OID)
		for _, col := range t.Columns {
			if m := ownSequence.FindStringSubmatch(col.Default); m != nil && col.Sequence == "" {
				col.Sequence, col.MayDraw = strings.ReplaceAll(m[1], "''", "'"), true
			}
		}
	}
	return c, s.scan(ctx, &c.foreign, foreignSQL, oids)
}

// tablesOf lists the tables that a seed names, each once.
func tablesOf(s *spec.Seed) []string {
	var names []string
	seen := map[string]bool{}
	add := func(name string) {
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	for _, t := range s.Tables {
		add(t.Table)
	}
	for _, c := range s.Clean {
		add(c.Table)
	}
	return names
}
