package seed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// madeRows is how many rows that the load made one transaction deletes.
const madeRows = 20_000

// manifest is the record of a run, as it stands in the database.
type manifest struct {
	State   string
	Started string
	Entries []manifestEntry
	Clean   []manifestClean
	Chunks  []manifestChunk
}

// manifestChunk is the rows that one transaction wrote.
type manifestChunk struct {
	Entry, Chunk, Rows int
	Done               bool
}

const manifestSQL = `SELECT json_build_object('state', r.state, 'started', r.started, 'entries', r.entries, 'clean', r.clean,
	'chunks', coalesce((SELECT json_agg(json_build_object('entry', l.entry, 'chunk', l.chunk, 'rows', l.rows, 'done', l.done) ORDER BY l.entry DESC, l.chunk DESC)
		FROM tollgate.ledger l WHERE l.run = r.run), '[]')) FROM tollgate.run r WHERE r.run = $1::text`

// Recover deletes what runs before this one left, whatever ended them. It
// needs the lease, so none of them is alive.
func (d *Database) Recover(ctx context.Context) ([]Cleaned, error) {
	token, err := d.token()
	if err != nil {
		return nil, err
	}
	var runs []string
	if err := d.work.scan(ctx, &runs, `SELECT coalesce(json_agg(run ORDER BY started DESC), '[]') FROM tollgate.run WHERE state <> 'done' AND run <> $1::text`, d.opts.RunID); err != nil {
		return nil, d.failf(ErrUnclean, err, "", "%s: what earlier runs left cannot be read", d.at.where)
	}
	var all []Cleaned
	for _, run := range runs {
		c, err := d.clean(ctx, token, run)
		all = append(all, c)
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// Clean deletes the rows that this run wrote, and those that the spec's clean
// conditions match. When it fails, what is left is still recorded, and a second
// call goes on.
func (d *Database) Clean(ctx context.Context) (Cleaned, error) {
	token, err := d.token()
	if err != nil {
		return Cleaned{}, err
	}
	return d.clean(ctx, token, d.opts.RunID)
}

// clean deletes what a run left, children first.
func (d *Database) clean(ctx context.Context, token, run string) (Cleaned, error) {
	c := &cleaning{d: d, token: token, run: run}
	err := c.everything(ctx)
	out := Cleaned{Run: run}
	if err != nil {
		var told *Error
		if errors.As(err, &told) && told.Kind == ErrUnclean {
			return out, err
		}
		e := d.failf(ErrUnclean, err, "what is left is recorded: type runner clean SPEC to go on", "%s: rows of run %s remain", d.at.where, run)
		if told != nil {
			e.(*Error).Err = told.Kind
		}
		if errors.Is(context.Cause(ctx), ErrLost) {
			e.(*Error).Err = ErrLost
		}
		return out, e
	}
	if c.none {
		return out, nil
	}
	var sum struct{ Deleted, Gone, Made int64 }
	if err := d.work.scan(ctx, &sum, `SELECT json_build_object('deleted', deleted, 'gone', gone, 'made', made) FROM tollgate.run WHERE run = $1::text`, run); err != nil {
		return out, d.failf(ErrUnclean, err, "", "%s: what was deleted cannot be read", d.at.where)
	}
	out.Deleted, out.Gone, out.Made = sum.Deleted, sum.Gone, sum.Made
	out.Seeded = out.Deleted + out.Gone
	return out, nil
}

// cleaning is the deletion of what one run left.
type cleaning struct {
	d          *Database
	token, run string
	m          manifest
	none       bool // there is no such run, or it is done

	tables  []*target // with rows to delete
	foreign []foreignKey
	total   map[string]int64 // rows to delete, for the progress
	deleted map[string]int64
}

// target is a table with rows to delete.
type target struct {
	Name    string // quoted, with its schema
	OID     string
	Plain   bool // not partitioned: a row's place in it (ctid) tells it from all others
	entries []int
	clean   []int
}

// rows is the table as a statement writes it.
func (t *target) rows() string { return only(t.Plain, t.Name) }

func (c *cleaning) everything(ctx context.Context) error {
	// Before anything is read: see seeding.
	if err := c.commit(ctx, false, statement{`UPDATE tollgate.run SET state = 'cleaning' WHERE run = $1::text AND state <> 'done'`, []any{c.run}}); err != nil {
		return err
	}
	err := c.d.work.scan(ctx, &c.m, manifestSQL, c.run)
	if errors.Is(err, errNoRow) || err == nil && c.m.State == "done" {
		c.none = true
		return nil
	}
	if err != nil {
		return err
	}
	if err := c.survey(ctx); err != nil {
		return err
	}
	if err := c.blocked(ctx); err != nil {
		return err
	}
	for _, group := range c.order() {
		if err := c.delete(ctx, group); err != nil {
			if r := refusal(err); r != nil && r.code == "23503" || errors.Is(err, errReached) {
				// Rows came while we were deleting: say which.
				if b := c.blocked(ctx); b != nil {
					return b
				}
			}
			return err
		}
	}
	return c.commit(ctx, true,
		statement{`DELETE FROM tollgate.keys WHERE run = $1::text`, []any{c.run}},
		statement{`DELETE FROM tollgate.ledger WHERE run = $1::text`, []any{c.run}},
		statement{`UPDATE tollgate.run SET state = 'done', finished = clock_timestamp() WHERE run = $1::text`, []any{c.run}})
}

// commit runs statements in a transaction under the lease.
func (c *cleaning) commit(ctx context.Context, flush bool, statements ...statement) error {
	if flush {
		statements = append([]statement{{durable, nil}}, statements...)
	}
	return c.d.work.inTransaction(ctx, func(t *transaction) error { return t.finish(ctx, c.token, statements...) })
}

// survey finds the tables as they are today, and the constraints among them.
func (c *cleaning) survey(ctx context.Context) error {
	byName := map[string]*target{}
	add := func(name string) *target {
		t := byName[name]
		if t == nil {
			t = &target{Name: name}
			byName[name] = t
			c.tables = append(c.tables, t)
		}
		return t
	}
	c.total, c.deleted = map[string]int64{}, map[string]int64{}
	for _, ch := range c.m.Chunks {
		e := &c.m.Entries[ch.Entry]
		c.total[e.As] += int64(ch.Rows)
		if ch.Done {
			c.deleted[e.As] += int64(ch.Rows)
			continue
		}
		if t := add(e.Table); !slices.Contains(t.entries, ch.Entry) {
			t.entries = append(t.entries, ch.Entry)
		}
	}
	for i, cl := range c.m.Clean {
		t := add(cl.Table)
		t.clean = append(t.clean, i)
	}
	names := make([]string, len(c.tables))
	for i, t := range c.tables {
		names[i] = t.Name
	}
	var found []target
	if err := c.d.work.scan(ctx, &found, `SELECT coalesce(json_agg(json_build_object('name', w.name, 'oid', c.oid::text, 'plain', c.relkind = 'r')), '[]')
		FROM unnest($1::text[]) AS w(name) JOIN pg_catalog.pg_class c ON c.oid = to_regclass(w.name)::oid`, names); err != nil {
		return err
	}
	for _, f := range found {
		byName[f.Name].OID, byName[f.Name].Plain = f.OID, f.Plain
	}
	// A table that is no longer there took its rows with it.
	var oids []string
	there := c.tables[:0]
	for _, t := range c.tables {
		if t.OID != "" {
			there = append(there, t)
			oids = append(oids, t.OID)
			continue
		}
		for _, e := range t.entries {
			if err := c.commit(ctx, false,
				statement{`UPDATE tollgate.run SET gone = gone + (SELECT coalesce(sum(rows), 0) FROM tollgate.ledger l WHERE l.run = $1::text AND l.entry = $2::text::int AND NOT l.done) WHERE run = $1::text`, []any{c.run, e}},
				statement{`UPDATE tollgate.ledger SET done = true WHERE run = $1::text AND entry = $2::text::int`, []any{c.run, e}}); err != nil {
				return err
			}
		}
	}
	c.tables = there
	return c.d.work.scan(ctx, &c.foreign, foreignSQL, oids)
}

// byOID returns the target of that number, or nil.
func (c *cleaning) byOID(oid string) *target {
	for _, t := range c.tables {
		if t.OID == oid {
			return t
		}
	}
	return nil
}

// order puts the tables in an order in which no row that is deleted is still
// referred to: children first. Tables that refer to each other in a circle, or
// to themselves, make a group of their own and go in one statement.
func (c *cleaning) order() [][]*target {
	n := len(c.tables)
	reach := make([][]bool, n)
	for i := range reach {
		reach[i] = make([]bool, n)
	}
	for _, k := range c.foreign {
		from, to := slices.IndexFunc(c.tables, func(t *target) bool { return t.OID == k.Table }), slices.IndexFunc(c.tables, func(t *target) bool { return t.OID == k.Refers })
		if from >= 0 && to >= 0 {
			reach[from][to] = true
		}
	}
	for k := range n {
		for i := range n {
			for j := range n {
				reach[i][j] = reach[i][j] || reach[i][k] && reach[k][j]
			}
		}
	}
	var groups [][]*target
	done := make([]bool, n)
	for left := n; left > 0; {
		for i := range n {
			if done[i] {
				continue
			}
			free := true
			for j := range n {
				free = free && (done[j] || !reach[j][i] || reach[i][j])
			}
			if !free {
				continue
			}
			group := []*target{c.tables[i]}
			done[i] = true
			left--
			for j := range n {
				if !done[j] && reach[i][j] && reach[j][i] {
					group, done[j] = append(group, c.tables[j]), true
					left--
				}
			}
			groups = append(groups, group)
		}
	}
	return groups
}

// circular reports whether rows of a group may refer to rows of the group.
func (c *cleaning) circular(group []*target) bool {
	return len(group) > 1 || slices.ContainsFunc(c.foreign, func(k foreignKey) bool {
		return k.Table == group[0].OID && k.Refers == k.Table
	})
}

// blocked returns an error if rows that are to stay refer to rows that are to
// go. It deletes nothing, neither through a constraint that would refuse nor
// through one that would reach into these rows.
func (c *cleaning) blocked(ctx context.Context) error {
	var why []string
	var example string // of a condition that would cover such rows
	for i := range c.foreign {
		k := &c.foreign[i]
		t := c.byOID(k.Refers)
		if t == nil {
			continue
		}
		var some struct{ May, Any bool }
		if err := c.d.work.scan(ctx, &some, `SELECT json_build_object('may', has_table_privilege($1::text::oid, 'SELECT') AND NOT row_security_active($1::text::oid))`, k.Table); err != nil {
			return err
		}
		if !some.May {
			if k.refuses() {
				continue // the server sees to it
			}
			why = append(why, fmt.Sprintf("%s refers to %s (constraint %s), would be changed with it, and the role may not read all of it", k.TableName, k.RefersName, k.Name))
			continue
		}
		set := make([]string, len(k.Columns))
		for j, col := range k.Columns {
			set[j] = ident(col) + " IS NOT NULL"
		}
		if err := c.d.work.scan(ctx, &some, `SELECT json_build_object('any', EXISTS (SELECT FROM `+only(k.Plain, k.TableName)+` WHERE `+strings.Join(set, " AND ")+`))`); err != nil {
			return err
		}
		if !some.Any {
			continue
		}
		var n int64
		if err := c.d.work.scan(ctx, &n, `SELECT count(*) `+c.staying(k, t, c.doomed(t, "t")), c.run); err != nil {
			return err
		}
		if n > 0 {
			if example == "" && len(t.entries) > 0 {
				example = fmt.Sprintf(", such as {table: %s, where: {%s: {in: %s.%s}}}", shownName(k.TableName), k.Columns[0], c.m.Entries[t.entries[0]].As, k.To[0])
			}
			why = append(why, fmt.Sprintf("%d rows of %s refer to rows of %s by %s (constraint %s)", n, shownName(k.TableName), shownName(k.RefersName), strings.Join(k.Columns, ", "), k.Name))
		}
	}
	if len(why) == 0 {
		return nil
	}
	return c.d.failf(ErrUnclean, nil,
		"no row was deleted: if these are the load's, put a condition for them under seed.clean"+example+", for the runs to come; delete them by hand now, and type runner clean SPEC",
		"%s: rows of run %s are in use: %s", c.d.at.where, c.run, strings.Join(why, "; "))
}

// staying is the rows that are to stay and refer by a constraint to those rows t
// of a target for which a condition holds. $1 is the run.
func (c *cleaning) staying(k *foreignKey, t *target, condition string) string {
	on := make([]string, len(k.Columns))
	for j, col := range k.Columns {
		on[j] = "r." + ident(col) + " = t." + ident(k.To[j])
	}
	from := `FROM ` + only(k.Plain, k.TableName) + ` AS r JOIN ` + t.rows() + ` AS t ON ` + strings.Join(on, " AND ") + ` WHERE ` + condition
	if own := c.byOID(k.Table); own != nil {
		from += ` AND NOT coalesce(` + c.doomed(own, "r") + `, false)`
	}
	return from
}

// reaching are the constraints through which the server would change other rows
// when rows of these tables go.
func (c *cleaning) reaching(group []*target) (keys []*foreignKey) {
	for i := range c.foreign {
		k := &c.foreign[i]
		if !k.refuses() && slices.ContainsFunc(group, func(t *target) bool { return t.OID == k.Refers }) {
			keys = append(keys, k)
		}
	}
	return keys
}

// errReached says that rows came, while others were being deleted, into which
// the server would have reached.
var errReached = errors.New("rows that refer to these came in the meantime")

// deletion is a transaction that deletes rows of a group, and its last
// statements. Where a constraint reaches into other rows it sees one state of the
// database: the rows that refer to those of condition are looked for in it, and
// the server refuses to reach into any that came since. It says so too if
// anybody changed what is deleted, and then the deletion begins anew.
func (c *cleaning) deletion(ctx context.Context, s *session, group []*target, condition func(*target) string, f func(*transaction) ([]statement, error)) error {
	reaching := c.reaching(group)
	if len(reaching) == 0 {
		return s.inTransaction(ctx, func(tx *transaction) error {
			last, err := f(tx)
			if err != nil {
				return err
			}
			return tx.finish(ctx, c.token, last...)
		})
	}
	const most = 5
	for try := 1; ; try++ {
		err := s.between(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ", func(tx *transaction) error {
			// Those that go are few beside their table, which the server cannot know.
			if _, err := tx.exec(ctx, `SELECT set_config('enable_seqscan', 'off', true)`); err != nil {
				return err
			}
			for _, k := range reaching {
				var any bool
				t := c.byOID(k.Refers)
				if err := tx.scan(ctx, &any, `SELECT to_json(EXISTS (SELECT `+c.staying(k, t, condition(t))+`))`, c.run); err != nil {
					return err
				}
				if any {
					return errReached
				}
			}
			last, err := f(tx)
			if err != nil {
				return err
			}
			// This state has an old beat of the lease, so another transaction
			// holds the lease until this one is committed.
			return c.d.side.inTransaction(ctx, func(fenced *transaction) error {
				if _, err := fenced.exec(ctx, fence, c.token); err != nil {
					return lostBy(err)
				}
				return tx.commit(ctx, last...)
			})
		})
		if r := refusal(err); r == nil || r.code != notSerializable || try == most {
			return err
		}
	}
}

// notSerializable is the code of what another transaction was in the way of.
const notSerializable = "40001"

// shownName is a quoted name as people write it.
func shownName(quoted string) string {
	return strings.TrimPrefix(strings.ReplaceAll(quoted, `"`, ""), "public.")
}

// doomed is the condition that a row of a target, called alias, is to go. $1 is
// the run.
func (c *cleaning) doomed(t *target, alias string) string {
	any := []string{"false"}
	for _, e := range t.entries {
		any = append(any, c.m.Entries[e].match(alias, e, -1))
	}
	for _, i := range t.clean {
		any = append(any, c.condition(&c.m.Clean[i], alias))
	}
	return "(" + strings.Join(any, " OR ") + ")"
}

// match is the condition that a row has a key of an entry: one of a chunk, or
// one of those that are not yet deleted if chunk is -1.
func (m *manifestEntry) match(alias string, entry, chunk int) string {
	var own, theirs, arrays, from, where []string
	for i, k := range m.Key {
		n := strconv.Itoa(i)
		own = append(own, alias+"."+ident(k.Column))
		theirs = append(theirs, "u.v"+n+"::"+k.Type)
		arrays = append(arrays, "k"+n+".vals")
		from = append(from, "tollgate.keys AS k"+n)
		where = append(where, "k"+n+".run = l.run AND k"+n+".entry = l.entry AND k"+n+".chunk = l.chunk AND k"+n+".item = "+n)
	}
	names := make([]string, len(m.Key))
	for i := range names {
		names[i] = "v" + strconv.Itoa(i)
	}
	which := "NOT l.done"
	if chunk >= 0 {
		which = "l.chunk = " + strconv.Itoa(chunk)
	}
	if chunk >= 0 && len(own) == 1 {
		// An array is looked up in the index, whatever the server makes of it.
		return own[0] + " = ANY (ARRAY(SELECT " + theirs[0] + " FROM tollgate.keys AS l, unnest(l.vals) AS u(v0) WHERE l.run = $1::text AND l.entry = " +
			strconv.Itoa(entry) + " AND l.chunk = " + strconv.Itoa(chunk) + " AND l.item = 0))"
	}
	return "(" + strings.Join(own, ", ") + ") IN (SELECT " + strings.Join(theirs, ", ") +
		" FROM tollgate.ledger AS l, " + strings.Join(from, ", ") + ", unnest(" + strings.Join(arrays, ", ") + ") AS u(" + strings.Join(names, ", ") + ")" +
		" WHERE l.run = $1::text AND l.entry = " + strconv.Itoa(entry) + " AND " + which + " AND " + strings.Join(where, " AND ") + ")"
}

// recorded is a value v that the ledger keeps as an item, as the column of the
// rows holds it and in another type.
func (m *manifestEntry) recorded(item int, as string) string {
	all := append(m.Key[:len(m.Key):len(m.Key)], m.Recorded...)
	if item >= len(all) || all[item].Type == as {
		return "v::" + as
	}
	return "v::" + all[item].Type + "::text::" + as
}

// condition is a condition of the spec on a row called alias. $1 is the run.
func (c *cleaning) condition(m *manifestClean, alias string) string {
	all := []string{"$1::text IS NOT NULL"} // so that each statement has its one parameter
	for _, w := range m.Where {
		col := alias + "." + ident(w.Column)
		switch w.Op {
		case "rows":
			all = append(all, col+" IN (SELECT "+c.m.Entries[w.Entry].recorded(w.Item, w.Type)+" FROM tollgate.keys AS k, unnest(k.vals) AS v WHERE k.run = $1::text AND k.entry = "+
				strconv.Itoa(w.Entry)+" AND k.item = "+strconv.Itoa(w.Item)+")")
		case "since":
			all = append(all, col+" >= "+literal(c.m.Started)+"::pg_catalog.timestamptz")
		case "like":
			all = append(all, col+" LIKE "+literal(w.Values[0]))
		default:
			in := col + " = ANY (" + literal(string(appendArray(nil, w.Values))) + "::pg_catalog.text[]::" + w.Type + "[])"
			if w.Null {
				in = "(" + in + " OR " + col + " IS NULL)"
			}
			all = append(all, in)
		}
	}
	return "(" + strings.Join(all, " AND ") + ")"
}

// delete deletes what is to go from a group of tables.
func (c *cleaning) delete(ctx context.Context, group []*target) error {
	if c.circular(group) {
		return c.together(ctx, group)
	}
	t := group[0]
	chunks := make(chan manifestChunk, len(c.m.Chunks))
	for _, ch := range c.m.Chunks {
		if !ch.Done && slices.Contains(t.entries, ch.Entry) {
			chunks <- ch
		}
	}
	close(chunks)
	var failed atomic.Bool
	hands := min(writers, len(chunks))
	if len(c.reaching(group)) > 0 {
		hands = min(1, hands) // they would be in each other's way
	}
	if err := c.d.divided(hands, func(hand *session, report func(func())) error {
		for ch := range chunks {
			if failed.Load() {
				return nil
			}
			if err := c.chunk(ctx, hand, t, ch); err != nil {
				failed.Store(true)
				return err
			}
			report(func() {
				as := c.m.Entries[ch.Entry].As
				c.deleted[as] += int64(ch.Rows)
				c.d.progress(Progress{Table: as, Done: c.deleted[as], Of: c.total[as], Clean: true})
			})
		}
		return nil
	}); err != nil {
		return err
	}
	for _, i := range t.clean {
		if err := c.made(ctx, t, &c.m.Clean[i]); err != nil {
			return err
		}
	}
	return nil
}

// chunk deletes the rows of one chunk that are still there.
func (c *cleaning) chunk(ctx context.Context, s *session, t *target, ch manifestChunk) error {
	match := c.m.Entries[ch.Entry].match("t", ch.Entry, ch.Chunk)
	return c.deletion(ctx, s, []*target{t}, func(*target) string { return match }, func(tx *transaction) ([]statement, error) {
		// The keys are few beside the table, which the server cannot know.
		if _, err := tx.exec(ctx, `SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)`); err != nil {
			return nil, err
		}
		n, err := tx.exec(ctx, `DELETE FROM `+t.rows()+` AS t WHERE `+match, c.run)
		if err != nil {
			return nil, err
		}
		if n < int64(ch.Rows) {
			if err := c.absent(ctx, tx, t, match); err != nil {
				return nil, err
			}
		}
		return []statement{
			{`UPDATE tollgate.run SET deleted = deleted + $2::text::bigint, gone = gone + $3::text::bigint WHERE run = $1::text`, []any{c.run, n, int64(ch.Rows) - n}},
			{`UPDATE tollgate.ledger SET done = true WHERE run = $1::text AND entry = $2::text::int AND chunk = $3::text::int`, []any{c.run, ch.Entry, ch.Chunk}}}, nil
	})
}

// kept are rows that were to be deleted and are still there.
type kept struct {
	n     int64
	table string
}

func (k *kept) Error() string {
	return fmt.Sprintf("%d rows of %s are still there after their deletion: a trigger or a rule keeps them", k.n, k.table)
}

// absent makes sure that rows which were to be deleted are not there.
func (c *cleaning) absent(ctx context.Context, tx *transaction, t *target, condition string) error {
	var n int64
	if err := tx.scan(ctx, &n, `SELECT count(*) FROM `+t.rows()+` AS t WHERE `+condition, c.run); err != nil {
		return err
	}
	if n > 0 {
		return &kept{n, shownName(t.Name)}
	}
	return nil
}

// again does what rows may have come in the way of once more: what it meets
// twice was not chance.
func again(f func() error) error {
	err := f()
	if k := (*kept)(nil); errors.As(err, &k) {
		return f()
	}
	return err
}

// made deletes the rows that a condition of the spec matches.
func (c *cleaning) made(ctx context.Context, t *target, m *manifestClean) error {
	condition := c.condition(m, "t")
	sql := `DELETE FROM ` + t.rows() + ` AS t WHERE ` + condition
	if t.Plain {
		sql = `DELETE FROM ` + t.rows() + ` AS d WHERE d.ctid = ANY (ARRAY(SELECT t.ctid FROM ` + t.rows() + ` AS t WHERE ` + condition + ` LIMIT ` + strconv.Itoa(madeRows) + `))`
	}
	for {
		var n int64
		err := again(func() error {
			return c.deletion(ctx, c.d.work, []*target{t}, func(*target) string { return condition }, func(tx *transaction) (last []statement, err error) {
				if n, err = tx.exec(ctx, sql, c.run); err == nil && n == 0 {
					err = c.absent(ctx, tx, t, condition)
				}
				return []statement{{`UPDATE tollgate.run SET made = made + $2::text::bigint WHERE run = $1::text`, []any{c.run, n}}}, err
			})
		})
		if err != nil || n == 0 {
			return err
		}
		c.d.progress(Progress{Table: shownName(t.Name), Done: n, Of: n, Clean: true})
	}
}

// together deletes from tables whose rows refer to each other: constraints are
// checked at the end of a statement, so it is one.
func (c *cleaning) together(ctx context.Context, group []*target) error {
	var with, counts []string
	var seeded int64
	for i, t := range group {
		kind := "CASE"
		for _, e := range t.entries {
			kind += " WHEN " + c.m.Entries[e].match("t", e, -1) + " THEN true"
		}
		kind += " ELSE false END"
		if len(t.entries) == 0 {
			kind = "false"
		}
		with = append(with, fmt.Sprintf("d%d AS (DELETE FROM %s AS t WHERE %s RETURNING %s AS seeded)", i, t.rows(), c.doomed(t, "t"), kind))
		counts = append(counts, fmt.Sprintf("SELECT seeded FROM d%d", i))
		for _, ch := range c.m.Chunks {
			if !ch.Done && slices.Contains(t.entries, ch.Entry) {
				seeded += int64(ch.Rows)
			}
		}
	}
	doomed := func(t *target) string { return c.doomed(t, "t") }
	err := again(func() error {
		return c.deletion(ctx, c.d.work, group, doomed, func(tx *transaction) ([]statement, error) {
			var n struct{ Seeded, Made int64 }
			err := tx.scan(ctx, &n, "WITH "+strings.Join(with, ", ")+
				" SELECT json_build_object('seeded', count(*) FILTER (WHERE seeded), 'made', count(*) FILTER (WHERE NOT seeded)) FROM ("+strings.Join(counts, " UNION ALL ")+") AS deleted", c.run)
			if err != nil {
				return nil, err
			}
			last := []statement{{`UPDATE tollgate.run SET deleted = deleted + $2::text::bigint, gone = gone + $3::text::bigint, made = made + $4::text::bigint WHERE run = $1::text`,
				[]any{c.run, n.Seeded, seeded - n.Seeded, n.Made}}}
			for _, t := range group {
				if err := c.absent(ctx, tx, t, doomed(t)); err != nil {
					return nil, err
				}
				for _, e := range t.entries {
					last = append(last, statement{`UPDATE tollgate.ledger SET done = true WHERE run = $1::text AND entry = $2::text::int`, []any{c.run, e}})
				}
			}
			return last, nil
		})
	})
	if err != nil {
		return err
	}
	for _, t := range group {
		for _, e := range t.entries {
			as := c.m.Entries[e].As
			c.deleted[as] = c.total[as]
			c.d.progress(Progress{Table: as, Done: c.total[as], Of: c.total[as], Clean: true})
		}
	}
	return nil
}
