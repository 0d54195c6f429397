package spec

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"tollgate/internal/expr"
)

// What a seed may hold at most. 1,600 columns is what PostgreSQL allows.
const (
	maxSeedRows    = 50_000_000 // of one table
	maxSeedTables  = 1000
	maxSeedColumns = 1600
	maxCleans      = 1000
)

// entry is one item under rows, before its texts are compiled.
type entry struct {
	node  *node
	as    *node  // nil: called as its table
	name  string // what expressions call its rows
	table string // the table's name without its schema
	names *expr.Table
}

// entries reads what tables the rows of a seed are made in, so that every text
// of the spec can be told of them. It reports nothing: see seed.
func entries(root *node) []*entry {
	rows := root.get("seed").get("rows")
	if rows == nil || rows.kind != listKind {
		return nil
	}
	var all []*entry
	for i, n := range rows.vals[:min(len(rows.vals), maxSeedTables)] {
		e := &entry{node: n, names: &expr.Table{Index: i, Count: 1}}
		all = append(all, e)
		if table := n.get("table"); table != nil && table.kind == stringKind {
			e.table = table.text[strings.LastIndexByte(table.text, '.')+1:]
			e.name = e.table
		}
		if as := n.get("as"); as.isSet() && as.kind == stringKind {
			e.as, e.name = as, as.text
		}
		if row := n.get("row"); row != nil && row.kind == mapKind {
			for _, k := range row.keys {
				e.names.Columns = append(e.names.Columns, expr.Column{Name: k.text})
			}
		}
	}
	return all
}

// tables are what expressions call the rows of the entries, none of which is
// made yet.
func tables(all []*entry) map[string]*expr.Table {
	known := map[string]*expr.Table{}
	for _, e := range all {
		known[e.name] = refused("move it above this table", "the rows of %s are made later in the seed, and rows refer to tables before them", e.name)
	}
	for _, e := range all {
		if known[e.table] == nil {
			known[e.table] = refused("write "+e.name, "the rows of %s are called %s here", e.table, e.name)
		}
	}
	delete(known, "")
	return known
}

// refused is a table that cannot be referred to.
func refused(hint, format string, args ...any) *expr.Table {
	return &expr.Table{Err: &expr.Error{Msg: fmt.Sprintf(format, args...), Hint: hint}}
}

// seed decodes the state of a database that the test begins with.
func (d *decoder) seed(root *node, s *Spec) {
	n := root.get("seed")
	if !n.isSet() || !d.keys(n, seedObject) {
		return
	}
	s.Seed = &Seed{Pos: n.pos()}
	if at := d.require(n, seedObject, "postgres", `postgres: ${secret("DATABASE_URL")}`); at != nil {
		s.Seed.Postgres = d.postgres(at)
	}
	if salted := n.get("salted"); salted.isSet() {
		s.Seed.Salted = d.choice(salted, "salted", "each", "once") == "each"
	}
	rows, clean := n.get("rows"), n.get("clean")
	if rows == nil && clean == nil && !d.misspelt(n, seedObject, "rows", "clean") {
		d.fault(n, "write rows: [{table: users, count: 100, row: {id: \"${uuid()}\"}}]; a probe has a postgres of its own", "this seed makes no rows and cleans none")
	}
	if rows.isSet() && d.is(rows, listKind, "rows") && d.fromTo(rows, maxSeedTables, "tables of a seed", "- {table: users, count: 100, row: {…}}") {
		d.seedTables(s.Seed)
	}
	if clean.isSet() && d.is(clean, listKind, "clean") && d.fromTo(clean, maxCleans, "conditions under clean", "- {table: audit_logs, where: {created_at: {since: run}}}") {
		for _, item := range clean.vals {
			d.clean(item, s.Seed)
		}
	}
	s.Seed.Digest = d.seedDigest(n)
}

// misspelt reports whether a key of n was probably meant to be one of these: it
// is a fault already.
func (d *decoder) misspelt(n *node, o object, keys ...string) bool {
	return slices.ContainsFunc(n.keys[:min(len(n.keys), maxSteps)], func(k *node) bool {
		return k.kind == badKind || !slices.Contains(legalKeys[o], k.text) && slices.Contains(keys, nearestKey(k.text, legalKeys[o]))
	})
}

// fromTo reports a list that is empty, or too long.
func (d *decoder) fromTo(n *node, most int, what, example string) bool {
	if len(n.vals) == 0 {
		d.fault(n, "write "+example+", or leave it out", "the list is empty")
		return false
	}
	return d.within(n, most, what)
}

// seedTables decodes the rows of a seed, in file order. Its texts have a
// compiler of their own: neither does what users do change what rows draw, nor
// the other way round.
func (d *decoder) seedTables(seed *Seed) {
	names := *d.names
	names.InRows = true
	names.Tables = d.names.Tables
	load := d.compiler
	d.compiler = expr.NewCompiler(&names)
	defer func() { d.compiler = load }()
	made := map[string]int{}
	for _, e := range d.entries {
		t := d.seedTable(e, names.Tables, made[e.name] > 0)
		seed.Tables = append(seed.Tables, t)
		if e.name == "" || !expr.LegalName(e.name) || slices.Contains(keptNames, e.name) {
			continue
		}
		if made[e.name]++; made[e.name] == 1 {
			names.Tables[e.name] = e.names
		} else {
			names.Tables[e.name] = refused("give each a name of its own, such as as: "+e.name+"_1, and write that", "%d entries above make rows of %s, and %[2]s could mean any of them", made[e.name], e.name)
		}
	}
}

// seedTable decodes one entry. named says that its name means rows above it.
func (d *decoder) seedTable(e *entry, known map[string]*expr.Table, named bool) *SeedTable {
	n := e.node
	t := &SeedTable{Pos: n.pos(), As: e.name, Count: 1}
	if !d.keys(n, rowsObject) {
		return t
	}
	if at := d.require(n, rowsObject, "table", "{table: users, count: 100, row: {…}}"); at != nil {
		t.Table = d.tableName(at)
		d.checkEntryName(e, at)
	}
	if count := n.get("count"); count.isSet() {
		t.Count = int64(d.whole(count, "count", 1, maxSeedRows))
	}
	e.names.Count = t.Count
	if !named && e.name != "" {
		known[e.name] = refused("write a table above it, or n", "the rows of %s are being made here, and refer to tables before them", e.name)
		if !expr.LegalName(e.name) || slices.Contains(keptNames, e.name) {
			known[e.name] = refused("give the table another name for expressions: as: NAME", "%s has a meaning of its own inside ${…}", quote(e.name))
		}
	}
	row := d.require(n, rowsObject, "row", `row: {id: "${uuid()}", name: User ${n}}`)
	if row == nil || !d.mapping(row, "row") {
		return t
	}
	switch {
	case len(row.keys) == 0:
		d.fault(row, `write row: {id: "${uuid()}"}`, "a row has at least one column")
	case len(row.keys) > maxSeedColumns:
		d.fault(row, "", "%d columns, and a table has at most %d", len(row.keys), maxSeedColumns)
		return t
	}
	for i, key := range row.keys {
		c := d.seedColumn(key, row.vals[i])
		e.names.Columns[i].Fleeting = c.Fleeting
		t.Columns = append(t.Columns, c)
	}
	return t
}

// checkEntryName reports what cannot be the name of an entry's rows, and what
// would mean two things.
func (d *decoder) checkEntryName(e *entry, table *node) {
	at := table
	if as := e.node.get("as"); as.isSet() {
		if _, ok := d.text(as, "as"); !ok || !d.checkValueName(as) {
			return
		}
		at = as
	}
	_, isConst := d.names.Consts[e.name]
	_, isSet := d.names.Sets[e.name]
	_, isFile := d.names.Rows[e.name]
	if isConst || isSet || isFile {
		hint := "choose another name"
		if e.as == nil {
			hint = "give the table another name for expressions: as: " + e.name + "_rows"
		}
		d.fault(at, hint, "%s is a value of the whole test already", e.name)
	}
	for _, other := range d.entries[:e.names.Index] {
		if other.name == e.name && e.name != "" && (e.as != nil || other.as != nil) {
			d.fault(at, "choose another name", "the rows in line %d are called %s already", other.node.line, e.name)
			return
		}
	}
}

// seedColumn decodes a column and its value.
func (d *decoder) seedColumn(key, val *node) SeedColumn {
	c := SeedColumn{Pos: key.pos(), Name: key.text}
	if key.kind != badKind {
		d.identifier(key, key.text, "a column")
	}
	if val.kind != mapKind && val.kind != listKind {
		c.Value = d.scalar(val, "the column "+key.text, expr.Plain)
		if c.Value != nil {
			c.Fleeting = c.Value.Fleeting()
		}
		return c
	}
	var b expr.Builder
	var parts []part
	d.appendJSON(&b, &parts, val)
	c.Value, c.JSON = b.Build(), true
	c.Fleeting = c.Value.Fleeting()
	return c
}

// tableName decodes the name of a table, with or without its schema.
func (d *decoder) tableName(n *node) string {
	name, ok := d.text(n, "the name of a table")
	if !ok {
		return ""
	}
	parts := strings.Split(name, ".")
	if len(parts) > 2 {
		d.fault(n, "write TABLE or SCHEMA.TABLE", "the name %s has too many dots", quote(name))
		return name
	}
	for _, part := range parts {
		if !d.identifier(n, part, "a table") {
			return name
		}
	}
	return name
}

// identifier reports what is no name of PostgreSQL, which cuts longer ones
// without a word. Names are taken as they are, upper case included.
func (d *decoder) identifier(n *node, name, what string) bool {
	switch at := strings.Index(name, "${"); {
	case name == "":
		d.fault(n, "", "the name of %s is empty", what)
	case at >= 0:
		d.fault(n, "write it out", "the name of %s cannot hold ${…}", what)
	case strings.ContainsAny(name, `"`):
		d.fault(n, "write the name alone; upper case counts", `the name of %s is written without "`, what)
	case strings.ContainsFunc(name, forbidden) || strings.ContainsAny(name, "\t\r\n"):
		d.fault(n, "", "the name of %s has no control characters", what)
	case strings.TrimSpace(name) != name:
		d.fault(n, "remove them", "the name of %s has blanks around it", what)
	case len(name) > 63:
		d.fault(n, "", "the name of %s has at most 63 bytes", what)
	default:
		return true
	}
	return false
}

// conditions are the keys of which a condition has one.
var conditions = legalKeys[conditionObject]

// clean decodes one item under clean. It is as many conditions as there are
// entries that the name of a table stands for.
func (d *decoder) clean(n *node, seed *Seed) {
	if !d.keys(n, cleanObject) {
		return
	}
	c := SeedClean{Pos: n.pos()}
	if at := d.require(n, cleanObject, "table", "{table: audit_logs, where: {created_at: {since: run}}}"); at != nil {
		c.Table = d.tableName(at)
	}
	const example = "where: {user_id: {in: users.id}}"
	where := d.require(n, cleanObject, "where", example)
	if where == nil || !d.mapping(where, "where") {
		return
	}
	if len(where.keys) == 0 {
		d.fault(where, "write "+example, "a where without a condition would empty the table")
		return
	}
	if len(where.keys) > maxSeedColumns {
		d.fault(where, "", "%d columns, and a table has at most %d", len(where.keys), maxSeedColumns)
		return
	}
	cleans := []SeedClean{c}
	for i, key := range where.keys {
		if key.kind == badKind {
			continue
		}
		d.identifier(key, key.text, "a column")
		anyOf := d.where(key, where.vals[i])
		if len(anyOf) > 1 && len(cleans) > 1 {
			d.fault(where.vals[i], "write one item of clean for each entry", "only one condition of an item can stand for several entries of the seed")
			return
		}
		var more []SeedClean
		for _, c := range cleans {
			for _, w := range anyOf {
				c.Where = append(slices.Clip(c.Where), w)
				more = append(more, c)
				c.Where = c.Where[:len(c.Where)-1]
			}
		}
		cleans = more
	}
	seed.Clean = append(seed.Clean, cleans...)
}

// where decodes what a column must satisfy: one of the alternatives that
// it returns, of which there is more than one if it names several entries.
func (d *decoder) where(key, n *node) []SeedWhere {
	w := SeedWhere{Pos: key.pos(), Column: key.text}
	one := []SeedWhere{w}
	forms := "write one of {eq: VALUE}, {in: TABLE.COLUMN}, {in: [VALUE, …]}, {like: \"load-%\"}, {since: run}"
	switch {
	case n.isScalar():
		d.fault(n, fmt.Sprintf("write %s: {eq: %s}", key.text, n.text), "a condition must be a mapping, not %s", n.kind)
		return one
	case n.kind == listKind:
		d.fault(n, fmt.Sprintf("write %s: {in: […]}", key.text), "a condition must be a mapping, not %s", n.kind)
		return one
	case !d.keys(n, conditionObject):
		return one
	}
	var is []string
	for _, k := range n.keys {
		if slices.Contains(conditions, k.text) {
			is = append(is, k.text)
		}
	}
	switch {
	case len(is) == 0 && len(n.keys) == 0:
		d.fault(n, forms, "the condition is empty")
		return one
	case len(is) == 0:
		return one // unknown keys are faults already
	case len(is) > 1:
		d.fault(n, "keep one of them", "a column has one condition, and this has %s", strings.Join(is, " and "))
		return one
	}
	val := n.get(is[0])
	switch is[0] {
	case "eq":
		v := d.constant(val, "eq")
		w.Eq = &v
	case "like":
		w.Like = d.like(val)
	case "since":
		w.SinceRun = d.choice(val, "since", "run") == "run"
	case "in":
		return d.in(w, val)
	}
	return []SeedWhere{w}
}

// like decodes a pattern of SQL. One that matches everything would empty the
// table.
func (d *decoder) like(n *node) string {
	before := d.faults.count
	v := d.constant(n, "like")
	if d.faults.count > before {
		return ""
	}
	if v.Kind() != expr.String {
		d.fault(n, "quote it", "a pattern must be text, not %s", describe(n))
		return ""
	}
	pattern, fixed := v.Text(), false
	for i := 0; i < len(pattern); i++ {
		switch pattern[i] {
		case '%', '_':
			continue
		case '\\':
			if i++; i == len(pattern) {
				d.fault(n, `write \\ for a backslash`, `a pattern cannot end with \`)
				return ""
			}
		}
		fixed = true
	}
	if !fixed {
		d.fault(n, `write a part that is the same in all of them: "load-%"`, "the pattern %s would match every row", quote(pattern))
	}
	return pattern
}

var columnOf = regexp.MustCompile(`^([^.]+)\.([^.]+)$`)

// in decodes a list of values, or a column of the rows that are seeded.
func (d *decoder) in(w SeedWhere, n *node) []SeedWhere {
	if n.kind == listKind {
		if len(n.vals) == 0 {
			d.fault(n, "", "the list is empty, so the condition holds for no row")
		}
		for _, item := range n.vals {
			w.In = append(w.In, d.constant(item, "a value of in"))
		}
		return []SeedWhere{w}
	}
	text, ok := d.text(n, "in")
	if !ok {
		return []SeedWhere{w}
	}
	m := columnOf.FindStringSubmatch(text)
	if m == nil || strings.Contains(text, "${") {
		d.fault(n, "write in: users.id for what the seed has made, or in: [a, b]", "%s is no column of the seed's rows, and no list", quote(text))
		return []SeedWhere{w}
	}
	meant := d.called(m[1])
	if len(meant) == 0 {
		var legal []string
		for _, e := range d.entries {
			legal = append(legal, e.name)
		}
		slices.Sort(legal)
		d.faultAt(n, 0, suggest(m[1], slices.Compact(legal)), "the seed makes no rows that are called %s", quote(m[1]))
		return []SeedWhere{w}
	}
	var all []SeedWhere
	for _, e := range meant {
		w.InRows, w.InTable, w.InColumn = true, e.names.Index, m[2]
		all = append(all, w)
		var columns []string
		for _, c := range e.names.Columns {
			columns = append(columns, c.Name)
		}
		if !slices.Contains(columns, m[2]) {
			d.faultAt(n, len(m[1])+1, suggest(m[2], columns), "the rows of %s in line %d have no column %s", m[1], e.node.line, quote(m[2]))
			break
		}
	}
	return all
}

// called returns the entries whose rows are called so, or else those that make
// rows of the table.
func (d *decoder) called(name string) []*entry {
	var named, made []*entry
	for _, e := range d.entries {
		if e.name == name {
			named = append(named, e)
		}
		if e.table == name {
			made = append(made, e)
		}
	}
	if len(named) > 0 {
		return named
	}
	return made
}

var word = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*`)

// seedDigest is a digest of the section without the place of the database, and
// of the top-level values whose names stand in its expressions, or in theirs.
// Like traffic it sees what was written, never the content of a secret or of
// the environment.
func (d *decoder) seedDigest(n *node) string {
	h := sha256.New()
	section := n.without("postgres")
	section.digest(h)
	values := d.root.get("values")
	used := map[string]bool{}
	var look func(n *node)
	look = func(n *node) {
		for _, children := range [][]*node{n.keys, n.vals} {
			for _, c := range children {
				look(c)
			}
		}
		if !strings.Contains(n.text, "${") {
			return
		}
		for _, name := range word.FindAllString(n.text, -1) {
			if v := values.get(name); v != nil && !used[name] {
				used[name] = true
				look(v)
			}
		}
	}
	look(section)
	for _, name := range slices.Sorted(maps.Keys(used)) {
		(&node{kind: stringKind, text: name}).digest(h)
		values.get(name).digest(h)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// postgres decodes a connection string. It is "" if what it comes from is not
// set: a spec can be checked where there is no database.
func (d *decoder) postgres(n *node) string {
	d.checkLost(n)
	if n.kind != stringKind {
		d.fault(n, "", "a connection string must be text, not %s", n.kind)
		return ""
	}
	dsn := n.text
	if strings.Contains(dsn, "${") {
		v, ok := d.perhaps(n)
		if dsn = v.Text(); !ok || dsn == "" {
			return ""
		}
	}
	_, secrets, why := parseDSN(dsn)
	if why != "" {
		d.fault(n, "write postgres://user@127.0.0.1:5432/app, or host=127.0.0.1 dbname=app", "this is no connection string of PostgreSQL: %s", why)
		return ""
	}
	for _, secret := range secrets {
		d.keep(secret)
	}
	return dsn
}

// perhaps evaluates a text at load. It is unset without a fault if what it
// needs of the environment is.
func (d *decoder) perhaps(n *node) (v expr.Value, ok bool) {
	missing, instead := false, expr.Value{}
	look := func(get func(string) (expr.Value, error)) func(string) (expr.Value, error) {
		return func(name string) (expr.Value, error) {
			v, err := get(name)
			if err == nil && v.IsNil() {
				missing, v = true, instead
			}
			return v, err
		}
	}
	names := *d.names
	names.Env, names.Secret = look(d.names.Env), look(d.names.Secret)
	v, err := expr.NewCompiler(&names).Const(n.text)
	if err == nil {
		return v, true
	}
	if missing { // whether that is all that is wrong shows when something stands there
		instead = expr.Str("x")
		_, err = expr.NewCompiler(&names).Const(n.text)
	}
	if err != nil {
		d.exprFault(n, 0, err)
	}
	return expr.Value{}, false
}
