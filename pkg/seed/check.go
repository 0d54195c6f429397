package seed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"tollgate/internal/expr"
	"tollgate/pkg/spec"
)

// checkedRows is how many rows of each table are made before anything is
// written, to see whether the columns can hold them. The others are checked as
// they are written.
const checkedRows = 100

// faults collects what is wrong with a seed.
type faults struct {
	list spec.Faults
	seen map[spec.Fault]bool
}

func (f *faults) add(pos spec.Pos, hint, format string, args ...any) {
	fault := spec.Fault{Pos: pos, Msg: fmt.Sprintf(format, args...), Hint: hint}
	if !f.seen[fault] {
		if f.seen == nil {
			f.seen = map[spec.Fault]bool{}
		}
		f.seen[fault] = true
		f.list = append(f.list, fault)
	}
}

// Check reads the catalog and reports everything about the spec's seed that
// the database would refuse, as far as the first rows of each table show it. It
// sends SELECTs alone. An error says that the database did not answer.
func (d *Database) Check(ctx context.Context) (spec.Faults, error) {
	c, err := readCatalog(ctx, d.work, tablesOf(d.seed))
	if err != nil {
		return nil, d.failf(ErrUnreachable, err, "", "%s: the catalog cannot be read", d.at.where)
	}
	d.looked.mu.Lock()
	d.looked.ctx = ctx
	d.looked.mu.Unlock()
	var f faults
	entries := d.plan(c, &f)
	d.checkOrder(c, &f)
	d.checkClean(c, &f)
	if err := d.checkRows(ctx, entries, &f); err != nil {
		return nil, d.failf(ErrUnreachable, err, "", "%s: the first rows cannot be checked", d.at.where)
	}
	if err := d.checkConditions(ctx, c, &f); err != nil {
		return nil, d.failf(ErrUnreachable, err, "", "%s: the conditions of clean cannot be checked", d.at.where)
	}
	if len(f.list) > 0 {
		sort.SliceStable(f.list, func(i, j int) bool {
			a, b := f.list[i].Pos, f.list[j].Pos
			if a.Line != b.Line {
				return a.Line < b.Line
			}
			return a.Col < b.Col
		})
		for i := range f.list {
			f.list[i].Msg, f.list[i].Hint = d.at.mask(f.list[i].Msg), d.at.mask(f.list[i].Hint)
		}
		return f.list, nil
	}
	d.catalog = c
	return nil, nil
}

// find returns the table that a spec names, or nil with a fault.
func (c *catalog) find(name string, pos spec.Pos, f *faults) *table {
	t := c.tables[name]
	switch {
	case t == nil:
		hint := didYouMean(name, c.names)
		if hint == "" {
			// The name may be right and only lack its schema.
			for _, known := range c.names {
				if strings.HasSuffix(known, "."+name) {
					hint = "did you mean " + known + "?"
				}
			}
		}
		f.add(pos, hint, "the database has no table %s", name)
	case t.Kind != "r" && t.Kind != "p":
		f.add(pos, "name the table behind it", "%s is no table", name)
		return nil
	}
	return t
}

// plan prepares the entries to be written. What is wrong becomes a fault, and
// an entry whose columns are not known is left out.
func (d *Database) plan(c *catalog, f *faults) []*entry {
	var entries []*entry
	for i := range d.seed.Tables {
		s := d.seed.Tables[i]
		t := c.find(s.Table, s.Pos, f)
		if t == nil {
			continue
		}
		if e := d.planEntry(i, s, t, f); e != nil {
			entries = append(entries, e)
		}
	}
	return entries
}

func (d *Database) planEntry(index int, s *spec.SeedTable, t *table, f *faults) *entry {
	e := &entry{index: index, spec: s, table: t}
	known := true
	given := map[string]*field{}
	for j := range s.Columns {
		sc := &s.Columns[j]
		col := t.column(sc.Name)
		if col == nil {
			f.add(sc.Pos, didYouMean(sc.Name, t.columnNames()), "%s has no column %s", t.shown(), sc.Name)
			known = false
			continue
		}
		if col.Generated {
			f.add(sc.Pos, "leave it out", "the database computes %s.%s itself", t.shown(), sc.Name)
			known = false
			continue
		}
		fd := &field{name: sc.Name, column: col, form: formOf(col), pos: sc.Pos, value: sc.Value, json: sc.JSON, hashed: !sc.Fleeting}
		if sc.JSON && !slices.Contains([]form{asJSON, asArray, asText, asString}, fd.form) {
			f.add(sc.Pos, "", "%s.%s is of type %s, which holds no mapping and no list", t.shown(), sc.Name, col.Shown)
			known = false
			continue
		}
		given[sc.Name] = fd
		e.fields = append(e.fields, fd)
	}
	missing := d.missing(t, given)
	if len(missing) > 0 && known {
		f.add(s.Pos, "add them to the row", "%s needs a value for %s: NOT NULL, without a default", t.shown(), strings.Join(missing, ", "))
	}
	if len(t.Key) == 0 {
		f.add(s.Pos, "give it one: without a key, rows cannot be told apart and taken back", "%s has no primary key", t.shown())
	}
	for i, name := range t.Key {
		fd := given[name]
		if fd == nil {
			if fd = d.key(s, t, t.column(name), f); fd == nil {
				continue
			}
			given[name] = fd
			e.fields = append(e.fields, fd)
		}
		fd.keys = append(fd.keys, i)
	}
	e.items = len(t.Key)
	for _, name := range d.recorded(index) {
		if slices.Contains(t.Key, name) {
			continue
		}
		if fd := given[name]; fd != nil {
			fd.keys = append(fd.keys, e.items)
		}
		e.recorded = append(e.recorded, name)
		e.items++
	}
	if !t.MayWrite || !t.MayRead || !t.MayClean {
		f.add(s.Pos, "GRANT SELECT, INSERT, DELETE ON "+t.quoted()+" TO the role", "the role may not read, write and clean %s", t.shown())
	}
	t.checkHidden(s.Pos, f)
	for _, fd := range e.fields {
		d.fix(fd)
	}
	if !known || len(t.Key) == 0 {
		return nil
	}
	return e
}

// checkHidden reports a table of which the role may not see all rows: what is
// hidden is not deleted.
func (t *table) checkHidden(pos spec.Pos, f *faults) {
	if t.Hidden {
		f.add(pos, "ALTER ROLE … BYPASSRLS, or seed as the owner of the table", "row-level security may hide rows of %s from the role", t.shown())
	}
}

// missing lists the columns that must be given and are not. Keys are apart.
func (d *Database) missing(t *table, given map[string]*field) []string {
	var names []string
	for _, c := range t.Columns {
		if c.NotNull && c.Default == "" && !c.Identity && !c.Generated && given[c.Name] == nil && !slices.Contains(t.Key, c.Name) {
			names = append(names, c.Name)
		}
	}
	return names
}

// key is the field of a key that the spec leaves to the database. We take it
// beforehand, since what was written must be known whatever happens.
func (d *Database) key(s *spec.SeedTable, t *table, c *column, f *faults) *field {
	switch {
	case c.Sequence != "" && !c.MayDraw:
		f.add(s.Pos, "GRANT USAGE ON SEQUENCE "+c.Sequence+" TO the role", "the role may not draw %s.%s from its sequence", t.shown(), c.Name)
		return nil
	case c.Sequence != "", c.Base == "uuid" && c.Default != "":
		return &field{name: c.Name, column: c, form: asText, pos: s.Pos}
	}
	hint := "add it to the row"
	if c.Base == "uuid" {
		hint = c.Name + ": ${uuid()}"
	}
	f.add(s.Pos, hint, "%s needs a value for its key %s", t.shown(), c.Name)
	return nil
}

// recorded are the columns of an entry that conditions of clean ask for: the
// ledger keeps their values beside the key's.
func (d *Database) recorded(index int) []string {
	var names []string
	for _, c := range d.seed.Clean {
		for _, w := range c.Where {
			if w.InRows && w.InTable == index && !slices.Contains(names, w.InColumn) {
				names = append(names, w.InColumn)
			}
		}
	}
	return names
}

// fix makes a value that is the same in each row once and for all.
func (d *Database) fix(f *field) {
	if f.value == nil || f.json {
		return
	}
	if _, ok := f.value.Static(); !ok {
		return
	}
	text, null, err := f.append(nil, &expr.Ctx{})
	if err == nil {
		f.static, f.null, f.isStatic = text, null, true
	}
}

// checkOrder reports rows that refer to rows which are not there yet.
func (d *Database) checkOrder(c *catalog, f *faults) {
	first, last := map[string]int{}, map[string]int{}
	for i := range d.seed.Tables {
		if t := c.tables[d.seed.Tables[i].Table]; t != nil {
			if _, ok := first[t.OID]; !ok {
				first[t.OID] = i
			}
			last[t.OID] = i
		}
	}
	// fills finds the column of an entry that makes a reference.
	fills := func(s *spec.SeedTable, k *foreignKey) *spec.SeedColumn {
		for j := range s.Columns {
			if slices.Contains(k.Columns, s.Columns[j].Name) && !d.isNull(s, j) {
				return &s.Columns[j]
			}
		}
		return nil
	}
	for i := range d.seed.Tables {
		s := d.seed.Tables[i]
		t := c.tables[s.Table]
		if t == nil {
			continue
		}
		for n := range c.foreign {
			k := &c.foreign[n]
			at, seeded := first[k.Refers]
			if k.Table != t.OID || k.Refers == k.Table || !seeded || at < i {
				continue
			}
			col := fills(s, k)
			if col == nil {
				continue
			}
			other := d.seed.Tables[at]
			if back := d.refersBack(c, other, t, fills); back != "" {
				f.add(col.Pos, "leave one of the two out", "%s.%s refers to %s, and %s refers back: neither can be written first", t.shown(), col.Name, other.Table, back)
				continue
			}
			f.add(col.Pos, "put "+other.Table+" before "+s.Table, "%s.%s refers to %s, whose rows come later", t.shown(), col.Name, other.Table)
		}
	}
}

// refersBack returns the column of other that refers to t, "" if none does.
func (d *Database) refersBack(c *catalog, other *spec.SeedTable, t *table, fills func(*spec.SeedTable, *foreignKey) *spec.SeedColumn) string {
	for n := range c.foreign {
		k := &c.foreign[n]
		if from := c.tables[other.Table]; from != nil && k.Table == from.OID && k.Refers == t.OID {
			if col := fills(other, k); col != nil {
				return from.shown() + "." + col.Name
			}
		}
	}
	return ""
}

// isNull reports whether a column is NULL in the first rows.
func (d *Database) isNull(s *spec.SeedTable, column int) bool {
	if s.Columns[column].JSON {
		return false
	}
	g := newGenerator(d, rehearsal{d})
	for n := int64(1); n <= min(s.Count, checkedRows); n++ {
		if v, err := g.Column(slices.Index(d.seed.Tables, s), column, n); err != nil || !v.IsNil() {
			return false
		}
	}
	return true
}

// rehearsal answers what rows ask while nothing is written: lookups are made,
// hashes only begun.
type rehearsal struct{ d *Database }

func (r rehearsal) lookup(table, column string, v expr.Value, want string) (expr.Value, error) {
	return r.d.lookup(table, column, v, want)
}

func (r rehearsal) bcrypt(password string, cost int) (string, error) {
	const most = 64 // begun ahead; the others are computed as rows are made
	r.d.hashes.mu.Lock()
	begun := len(r.d.hashes.made)
	r.d.hashes.mu.Unlock()
	if begun < most {
		r.d.hashes.ahead(password, cost)
	}
	return unhashed, nil
}

// cast is a value that the server is asked about, and where it came from.
type cast struct {
	typ, text string
	n         int64
	entry     *entry
	field     *field
}

// checkRows makes the first rows of each entry. What cannot be told here is
// asked of the server: each different value is cast to its column's type.
func (d *Database) checkRows(ctx context.Context, entries []*entry, f *faults) error {
	g := newGenerator(d, rehearsal{d})
	var casts []cast
	asked := map[[2]string]bool{}
	for _, e := range entries {
		for _, fd := range e.fields {
			if fd.value == nil {
				continue
			}
			for n := int64(1); n <= min(e.spec.Count, checkedRows); n++ {
				text, null, err := g.field(nil, e, fd, &block{first: n}, 0)
				if err != nil {
					var b *broken
					var unreachable *Error
					if errors.As(err, &b) || errors.As(err, &unreachable) {
						return err
					}
					bad := g.bad(e, fd, n, err).(*badValue)
					f.add(bad.pos, bad.hint, "%s", bad.Error())
					break // one row says what is wrong with the column
				}
				if null {
					if fd.column.NotNull {
						f.add(fd.pos, "", "row %d of %s: %s.%s is NOT NULL", n, e.spec.As, e.table.shown(), fd.name)
						break
					}
					continue
				}
				key := [2]string{fd.column.Shown, string(text)} // with its limits, which the bare type has not
				if fd.isStatic || fd.form != asBool && fd.form != asWhole && fd.form != asUUID && fd.form != asBytes {
					if !asked[key] {
						asked[key] = true
						casts = append(casts, cast{key[0], key[1], n, e, fd})
					}
				}
				if fd.isStatic {
					break
				}
			}
		}
	}
	faulty := map[*field]bool{}
	return d.ask(ctx, casts, func(c cast, why string) {
		if !faulty[c.field] {
			faulty[c.field] = true
			bad := &badValue{pos: c.field.pos, n: c.n, as: c.entry.spec.As, name: c.field.name, msg: why}
			f.add(bad.pos, "", "%s (%s)", bad.Error(), c.field.column.Shown)
		}
	})
}

// ask has the server cast values to types, many at a time, and reports those
// that it refuses.
func (d *Database) ask(ctx context.Context, casts []cast, refused func(cast, string)) error {
	const most = 200
	for len(casts) > most {
		if err := d.ask(ctx, casts[:most], refused); err != nil {
			return err
		}
		casts = casts[most:]
	}
	if len(casts) == 0 {
		return nil
	}
	items := make([]string, len(casts))
	args := make([]any, len(casts))
	for i, c := range casts {
		items[i] = "$" + strconv.Itoa(i+1) + "::text::" + c.typ
		args[i] = c.text
	}
	_, err := d.work.exec(ctx, "SELECT "+strings.Join(items, ", "), args...)
	r := refusal(err)
	switch {
	case r == nil:
		return err
	case len(casts) == 1:
		refused(casts[0], r.Error())
		return nil
	}
	if err := d.ask(ctx, casts[:len(casts)/2], refused); err != nil {
		return err
	}
	return d.ask(ctx, casts[len(casts)/2:], refused)
}

// checkClean reports conditions that no row can be asked.
func (d *Database) checkClean(c *catalog, f *faults) {
	for i := range d.seed.Clean {
		cl := &d.seed.Clean[i]
		t := c.find(cl.Table, cl.Pos, f)
		if t == nil {
			continue
		}
		if !t.MayClean || !t.MayRead {
			f.add(cl.Pos, "GRANT SELECT, DELETE ON "+t.quoted()+" TO the role", "the role may not clean %s", t.shown())
		}
		t.checkHidden(cl.Pos, f)
		for j := range cl.Where {
			w := &cl.Where[j]
			col := t.column(w.Column)
			switch {
			case col == nil:
				f.add(w.Pos, didYouMean(w.Column, t.columnNames()), "%s has no column %s", t.shown(), w.Column)
			case w.InRows && !d.recordable(c, w):
				f.add(w.Pos, "give it a value in the rows, or name another", "the rows of %s have no column %s", d.seed.Tables[w.InTable].As, w.InColumn)
			case w.SinceRun && col.Base != "timestamptz":
				f.add(w.Pos, "", "%s.%s is of type %s, which does not say when in the world that is: since run needs a timestamp with time zone", t.shown(), w.Column, col.Shown)
			case w.Like != "" && col.Category != "S":
				f.add(w.Pos, "", "%s.%s is of type %s, and like needs a text", t.shown(), w.Column, col.Shown)
			case col.Base == "json" && col.Category != "A":
				f.add(w.Pos, "", "%s.%s is of type json, whose values cannot be compared", t.shown(), w.Column)
			}
		}
	}
}

// recordable reports whether the ledger can know the values that a condition
// asks for.
func (d *Database) recordable(c *catalog, w *spec.SeedWhere) bool {
	s := d.seed.Tables[w.InTable]
	t := c.tables[s.Table]
	return t == nil || slices.Contains(t.Key, w.InColumn) || slices.ContainsFunc(s.Columns, func(c spec.SeedColumn) bool { return c.Name == w.InColumn })
}

// checkConditions asks the server whether columns can hold what conditions
// compare them with.
func (d *Database) checkConditions(ctx context.Context, c *catalog, f *faults) error {
	var casts []cast
	at := map[*field]*spec.SeedWhere{}
	for i := range d.seed.Clean {
		cl := &d.seed.Clean[i]
		t := c.tables[cl.Table]
		if t == nil {
			continue
		}
		for j := range cl.Where {
			w := &cl.Where[j]
			col := t.column(w.Column)
			if col == nil {
				continue
			}
			fd := &field{name: w.Column, column: col}
			at[fd] = w
			values := w.In
			if w.Eq != nil {
				values = append(values[:len(values):len(values)], *w.Eq)
			}
			for _, v := range values {
				casts = append(casts, cast{typ: col.Type, text: v.Text(), field: fd})
			}
		}
	}
	return d.ask(ctx, casts, func(c cast, why string) {
		f.add(at[c.field].Pos, "", "%s (%s)", why, c.field.column.Shown)
	})
}
