package seed

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"

	"tollgate/internal/expr"
	"tollgate/pkg/spec"
)

// field is one column that is written: from the spec, or a key that the
// database would have given.
type field struct {
	name   string
	column *column
	form   form
	pos    spec.Pos
	value  *expr.Text // nil: a key of ours
	json   bool
	// static is the text of a value that is the same in each row, and null
	// says that it has none.
	static   []byte
	isStatic bool
	null     bool
	hashed   bool // goes into the digest
	keys     []int
	// keys are the items of the ledger that the value is recorded as.
}

// entry is one entry of the spec's rows, ready to be written.
type entry struct {
	index  int
	spec   *spec.SeedTable
	table  *table
	fields []*field
	// items of the ledger: the key's columns, then those recorded for clean.
	items    int
	recorded []string
}

// world answers what rows ask beyond themselves.
type world interface {
	lookup(table, column string, v expr.Value, want string) (expr.Value, error)
	bcrypt(password string, cost int) (string, error)
}

// generator makes rows. A row is a pure function of the random seed, its table
// and its number, so that none is kept: a reference evaluates the other row's
// column again. One goroutine uses a generator.
type generator struct {
	seed   *spec.Seed
	random uint64
	now    int64
	world  world
	salted bool

	stack []*expr.Ctx // one for each row that is being made, and those it refers to
	depth int
	memo  [][]memo // the last answer for each table and column
}

// memo is the last answer about a column. Most references are to the same row
// as the one before: the only row of its table.
type memo struct {
	n int64 // 0: none yet
	v expr.Value
}

func newGenerator(d *Database, w world) *generator {
	g := &generator{seed: d.seed, random: d.opts.RandomSeed, now: d.opts.Now.UnixNano(), world: w, salted: d.seed.Salted}
	g.memo = make([][]memo, len(g.seed.Tables))
	for i := range g.memo {
		g.memo[i] = make([]memo, len(g.seed.Tables[i].Columns))
	}
	return g
}

// ctx returns the context of a row, until done.
func (g *generator) ctx(table int, n int64) *expr.Ctx {
	if g.depth == len(g.stack) {
		g.stack = append(g.stack, &expr.Ctx{Now: g.now, Rows: g})
	}
	c := g.stack[g.depth]
	g.depth++
	c.Key, c.Row = spec.RowKey(g.random, table, n), n
	return c
}

func (g *generator) done() { g.depth-- }

// Column evaluates a column of a row that was made before, or will have been.
func (g *generator) Column(table, column int, n int64) (expr.Value, error) {
	m := &g.memo[table][column]
	if m.n == n {
		return m.v, nil
	}
	c := &g.seed.Tables[table].Columns[column]
	ctx := g.ctx(table, n)
	defer g.done()
	var v expr.Value
	var err error
	if c.JSON {
		var text []byte
		text, err = c.Value.Append(nil, ctx)
		v = expr.RawJSON(string(text))
	} else {
		v, err = c.Value.Value(ctx)
	}
	if err != nil {
		return expr.Value{}, fmt.Errorf("row %d of %s, column %s: %w", n, g.seed.Tables[table].As, c.Name, err)
	}
	*m = memo{n, v}
	return v, nil
}

// Lookup finds a row that is in the database already.
func (g *generator) Lookup(table, column string, v expr.Value, want string) (expr.Value, error) {
	return g.world.lookup(table, column, v, want)
}

var errSalted = errors.New("a hash that is salted for each row cannot be referred to: it is another one each time; leave `salted: each` out")

// Bcrypt returns the hash of a password.
func (g *generator) Bcrypt(password string, cost int) (string, error) {
	if g.salted && g.depth > 1 {
		return "", errSalted
	}
	return g.world.bcrypt(password, cost)
}

// blockRows is how many rows are made at a time, by one worker. The digest
// hashes blocks, so it is part of what a digest means.
const blockRows = 64

// block is a number of consecutive rows.
type block struct {
	first int64 // number of the first row
	rows  int
	text  []byte   // in the text format of COPY
	keys  [][]byte // elements of arrays in the text format, one array for each item of the ledger
	sum   [sha256.Size]byte
	err   error
	made  chan struct{} // closed when the block is
	given []string      // keys of the rows that a sequence gave
}

var blocks = sync.Pool{New: func() any { return new(block) }}

// badValue is a value that its column cannot hold.
type badValue struct {
	pos  spec.Pos
	n    int64
	as   string
	name string
	msg  string
	hint string
}

func (b *badValue) Error() string {
	if b.name == "" {
		return fmt.Sprintf("row %d of %s: %s", b.n, b.as, b.msg)
	}
	return fmt.Sprintf("row %d of %s, column %s: %s", b.n, b.as, b.name, b.msg)
}

// fault is the value's fault at its place in the spec.
func (b *badValue) fault() spec.Fault {
	return spec.Fault{Pos: b.pos, Msg: b.Error(), Hint: b.hint}
}

// make fills a block with rows of an entry.
func (g *generator) make(e *entry, b *block) {
	for len(b.keys) < e.items {
		b.keys = append(b.keys, nil)
	}
	b.keys = b.keys[:e.items]
	for i := range b.keys {
		b.keys[i] = b.keys[i][:0]
	}
	b.text = b.text[:0]
	sum := sha256.New()
	var raw, digested []byte
	for i := range b.rows {
		n := b.first + int64(i)
		digested = digested[:0]
		for j, f := range e.fields {
			if j > 0 {
				b.text = append(b.text, '\t')
			}
			var null bool
			var err error
			if raw, null, err = g.field(raw[:0], e, f, b, i); err != nil {
				b.err = g.bad(e, f, n, err)
				return
			}
			if null {
				b.text = append(b.text, `\N`...)
			} else {
				b.text = appendCopy(b.text, raw)
			}
			if f.hashed {
				digested = appendDigested(digested, raw, null)
			}
			for _, k := range f.keys {
				if len(b.keys[k]) > 0 {
					b.keys[k] = append(b.keys[k], ',')
				}
				if null {
					b.keys[k] = append(b.keys[k], "NULL"...)
				} else {
					b.keys[k] = appendElement(b.keys[k], raw)
				}
			}
		}
		b.text = append(b.text, '\n')
		sum.Write(digested)
	}
	sum.Sum(b.sum[:0])
}

// appendDigested appends a value so that no two different rows look the same.
func appendDigested(dst, raw []byte, null bool) []byte {
	if null {
		return append(dst, 0)
	}
	dst = binary.AppendUvarint(dst, uint64(len(raw))+1)
	return append(dst, raw...)
}

// field appends the text of one field of a row, the i-th of its block.
func (g *generator) field(dst []byte, e *entry, f *field, b *block, i int) (text []byte, null bool, err error) {
	switch {
	case f.isStatic:
		return append(dst, f.static...), f.null, nil
	case f.value != nil:
		c := g.ctx(e.index, b.first+int64(i))
		defer g.done()
		return f.append(dst, c)
	case f.column.Base == "uuid":
		var u [16]byte
		_, _ = rand.Read(u[:]) // never fails
		u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
		return hex.AppendEncode(dst, u[:]), false, nil
	}
	return append(dst, b.given[i]...), false, nil
}

// bad says where a value is that cannot be made, or that its column cannot hold.
func (g *generator) bad(e *entry, f *field, n int64, err error) error {
	b := &badValue{pos: f.pos, n: n, as: e.spec.As, name: f.name, msg: err.Error()}
	var w *wrongType
	if errors.As(err, &w) {
		b.msg, b.hint = w.msg, w.hint
	}
	return b
}

// looked is what lookups found, by what they asked.
type looked struct {
	mu    sync.Mutex
	found map[lookupKey]expr.Value
	// ctx is of the call that rows are made for, and tables what was learnt
	// about those that lookups name.
	ctx    context.Context
	tables *catalog
}

type lookupKey struct {
	table, column, want string
	v                   expr.Value
}

// lookup asks the database for a column of the one row that there must be. It
// asks once for each value.
func (d *Database) lookup(table, column string, v expr.Value, want string) (expr.Value, error) {
	d.looked.mu.Lock()
	defer d.looked.mu.Unlock()
	key := lookupKey{table, column, want, v}
	if found, ok := d.looked.found[key]; ok {
		return found, nil
	}
	ctx := d.looked.ctx
	if d.looked.tables == nil || d.looked.tables.tables[table] == nil {
		c, err := readCatalog(ctx, d.side, []string{table})
		if err != nil {
			return expr.Value{}, err
		}
		d.looked.tables = c
	}
	t := d.looked.tables.tables[table]
	if t == nil {
		return expr.Value{}, wrongf(didYouMean(table, d.looked.tables.names), "lookup: there is no table %s", table)
	}
	for _, name := range []string{column, want} {
		if t.column(name) == nil {
			return expr.Value{}, wrongf(didYouMean(name, t.columnNames()), "lookup: %s has no column %s", table, name)
		}
	}
	call := fmt.Sprintf("lookup(%q, %q, %q)", table, column, v.Text())
	if !t.MayRead {
		return expr.Value{}, wrongf("GRANT SELECT ON "+t.quoted()+" TO the role", "%s: the role may not read %s", call, table)
	}
	var rows []struct{ V *string }
	err := d.side.scan(ctx, &rows, fmt.Sprintf(`SELECT coalesce(json_agg(r), '[]') FROM (SELECT %s::text AS v FROM %s WHERE %s = $1::text::%s LIMIT 2) AS r`,
		ident(want), t.quoted(), ident(column), t.column(column).Type), v.Text())
	switch {
	case err != nil && refusal(err) != nil:
		return expr.Value{}, wrongf("", "%s: %s", call, err.Error())
	case err != nil:
		return expr.Value{}, err
	case len(rows) == 0:
		return expr.Value{}, wrongf("", "%s finds no row", call)
	case len(rows) > 1:
		return expr.Value{}, wrongf("look up a column whose values are unique", "%s finds more than one row", call)
	}
	var found expr.Value // nil where the column is NULL
	if rows[0].V != nil {
		found = expr.Str(*rows[0].V)
	}
	if d.looked.found == nil {
		d.looked.found = map[lookupKey]expr.Value{}
	}
	const most = 100_000 // bounds the memory where each row looks up another
	if len(d.looked.found) < most {
		d.looked.found[key] = found
	}
	return found, nil
}

func (d *Database) bcrypt(password string, cost int) (string, error) {
	return d.hashes.of(password, cost)
}

// didYouMean is the hint for a name that is not there.
func didYouMean(name string, known []string) string {
	if near := expr.Nearest(name, known); near != "" {
		return "did you mean " + near + "?"
	}
	return ""
}
