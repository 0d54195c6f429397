package seed

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// chunkBlocks is how many blocks of rows one transaction writes, unless a test
// wants more transactions. The digest hashes chunks, so it is part of what a
// digest means.
const chunkBlocks = 160

// manifestEntry is what the record of a run says about one entry of its rows:
// enough to delete them without the spec.
type manifestEntry struct {
	Table    string        `json:"table"` // quoted, with its schema
	As       string        `json:"as"`
	Count    int64         `json:"count"`
	Key      []typedColumn `json:"key"`
	Recorded []typedColumn `json:"recorded,omitempty"`
}

type typedColumn struct {
	Column string `json:"column"`
	Type   string `json:"type"`
}

// manifestClean is a condition, likewise.
type manifestClean struct {
	Table string          `json:"table"` // quoted, with its schema
	Where []manifestWhere `json:"where"`
}

// manifestWhere: Op is in, like, rows or since.
type manifestWhere struct {
	typedColumn
	Op     string   `json:"op"`
	Values []string `json:"values,omitempty"` // of in; the pattern of like
	Null   bool     `json:"null,omitempty"`   // in: NULL is one of them
	Entry  int      `json:"entry,omitempty"`  // rows: the values of this item of the ledger
	Item   int      `json:"item,omitempty"`
}

// Fill writes the rows of the spec. What is to be written is recorded before
// the first row is, and each key with its row. When it fails, the rows that are
// there remain recorded: call Clean. ctx is what Acquire returned.
func (d *Database) Fill(ctx context.Context) (Summary, error) {
	begun := time.Now()
	token, err := d.token()
	if err != nil {
		return Summary{}, err
	}
	if d.catalog == nil {
		faults, err := d.Check(ctx)
		if err != nil {
			return Summary{}, d.unseeded(ctx, err)
		}
		if faults != nil {
			return Summary{}, d.failf(ErrSeed, nil, faults[0].Hint, "%s", faults.Error())
		}
	}
	var none faults
	d.looked.mu.Lock()
	d.looked.ctx = ctx
	d.looked.mu.Unlock()
	entries := d.plan(d.catalog, &none)
	if err := d.begin(ctx, token, entries); err != nil {
		return Summary{}, d.unseeded(ctx, err)
	}
	var sum Summary
	digest := sha256.New()
	digest.Write([]byte(d.seed.Digest + "\n" + strconv.FormatUint(d.opts.RandomSeed, 10) + "\n"))
	for _, e := range entries {
		content, err := d.fillEntry(ctx, token, e)
		if err != nil {
			return Summary{}, d.unseeded(ctx, err)
		}
		name, err := json.Marshal([]any{e.spec.Table, e.spec.As, e.spec.Count, content})
		if err != nil {
			return Summary{}, d.unseeded(ctx, err)
		}
		digest.Write(name)
		sum.Tables = append(sum.Tables, TableSummary{e.spec.Table, e.spec.As, e.spec.Count})
		sum.Rows += e.spec.Count
	}
	sum.Digest = "sha256:" + hex.EncodeToString(digest.Sum(nil))
	err = d.work.inTransaction(ctx, func(t *transaction) error {
		return t.finish(ctx, token,
			statement{durable, nil}, statement{seeding, []any{d.opts.RunID}},
			statement{`UPDATE tollgate.run SET state = 'seeded', data_digest = $2::text WHERE run = $1::text`, []any{d.opts.RunID, sum.Digest}})
	})
	if err != nil {
		return Summary{}, d.unseeded(ctx, err)
	}
	sum.Took = time.Since(begun)
	return sum, nil
}

// durable has the server's disk confirm a transaction, and with it all before.
const durable = `SELECT set_config('synchronous_commit', 'on', true)`

// begin records what is about to be written.
func (d *Database) begin(ctx context.Context, token string, entries []*entry) error {
	list, clean := []manifestEntry{}, []manifestClean{}
	for _, e := range entries {
		m := manifestEntry{Table: e.table.quoted(), As: e.spec.As, Count: e.spec.Count}
		for _, k := range e.table.Key {
			m.Key = append(m.Key, typedColumn{k, e.table.column(k).Stored})
		}
		for _, name := range e.recorded {
			m.Recorded = append(m.Recorded, typedColumn{name, e.table.column(name).Stored})
		}
		list = append(list, m)
	}
	for _, c := range d.seed.Clean {
		t := d.catalog.tables[c.Table]
		m := manifestClean{Table: t.quoted()}
		for _, w := range c.Where {
			mw := manifestWhere{typedColumn: typedColumn{w.Column, t.column(w.Column).Type}}
			switch {
			case w.InRows:
				e := entries[w.InTable]
				mw.Op, mw.Entry = "rows", w.InTable
				if mw.Item = slices.Index(e.table.Key, w.InColumn); mw.Item < 0 {
					mw.Item = len(e.table.Key) + slices.Index(e.recorded, w.InColumn)
				}
			case w.SinceRun:
				mw.Op = "since"
			case w.Like != "":
				mw.Op, mw.Values = "like", []string{w.Like}
			default:
				mw.Op = "in"
				values := w.In
				if w.Eq != nil {
					values = append(values[:len(values):len(values)], *w.Eq)
				}
				for _, v := range values {
					if v.IsNil() {
						mw.Null = true
					} else {
						mw.Values = append(mw.Values, v.Text())
					}
				}
			}
			m.Where = append(m.Where, mw)
		}
		clean = append(clean, m)
	}
	entriesJSON, err := json.Marshal(list)
	if err != nil {
		return err
	}
	cleanJSON, err := json.Marshal(clean)
	if err != nil {
		return err
	}
	err = d.work.inTransaction(ctx, func(t *transaction) error {
		return t.finish(ctx, token, statement{durable, nil}, statement{`INSERT INTO tollgate.run (run, state, spec, spec_digest, random_seed, holder, started, entries, clean)
			VALUES ($1::text, 'seeding', $2::text, $3::text, $4::text, $5::text, clock_timestamp(), $6::jsonb, $7::jsonb)`,
			[]any{d.opts.RunID, d.spec.File, d.spec.Digest, strconv.FormatUint(d.opts.RandomSeed, 10), d.opts.Holder, entriesJSON, cleanJSON}})
	})
	if r := refusal(err); r != nil && r.code == "23505" {
		return fmt.Errorf("the run %s has seeded this database before; give each run its own name", d.opts.RunID)
	}
	return err
}

// unseeded tells why rows were not written, at the spec's line where there is one.
func (d *Database) unseeded(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && ctx.Err() != nil {
		e := d.failf(ErrSeed, nil, "", "seeding %s was stopped", d.at.where).(*Error)
		e.Err = ctx.Err()
		if errors.Is(cause, ErrLost) {
			e.Msg, e.Err = e.Msg+": "+d.at.mask(cause.Error()), ErrLost
		}
		return e
	}
	var bad *badValue
	if errors.As(err, &bad) {
		return d.failf(ErrSeed, nil, bad.hint, "%s", bad.fault())
	}
	return d.failf(ErrSeed, err, "", "%s could not be seeded", d.at.where)
}

// writers is how many connections write or delete at once: a row costs the
// server more than us, most of it for the checks of its references.
const writers = 2

// stream makes the rows of an entry, ahead of who writes them.
type stream struct {
	chunks chan *chunk
	cancel context.CancelFunc
	wait   sync.WaitGroup
}

// start makes rows in as many goroutines as there are processors, until all
// are made or stop is called.
func (d *Database) start(ctx context.Context, e *entry) *stream {
	ctx, cancel := context.WithCancel(ctx)
	s := &stream{chunks: make(chan *chunk, 1), cancel: cancel}
	jobs := make(chan *block)
	for range runtime.GOMAXPROCS(0) {
		s.wait.Go(func() {
			g := newGenerator(d, d)
			for b := range jobs {
				g.make(e, b)
				close(b.made)
			}
		})
	}
	s.wait.Go(func() {
		defer close(jobs)
		defer close(s.chunks)
		for number, first := 0, int64(1); first <= e.spec.Count; number++ {
			c := &chunk{number: number, first: first, want: int(min(d.chunkRows(), e.spec.Count-first+1)), order: make(chan *block, d.opts.chunk)}
			first += int64(c.want)
			select {
			case s.chunks <- c:
			case <-ctx.Done():
				return
			}
			if !d.offer(ctx, e, c, jobs) {
				return
			}
		}
	})
	return s
}

func (d *Database) chunkRows() int64 { return int64(d.opts.chunk) * blockRows }

// offer has the rows of a chunk made, and reports whether they all will be.
func (d *Database) offer(ctx context.Context, e *entry, c *chunk, jobs chan<- *block) bool {
	defer close(c.order)
	var drawn []string
	if q := e.sequence(); q != "" {
		var err error
		if drawn, err = d.draw(ctx, q, c.want); err != nil {
			b := &block{err: err, made: make(chan struct{})}
			close(b.made)
			c.order <- b
			return false
		}
	}
	for at := 0; at < c.want; at += blockRows {
		b := blocks.Get().(*block)
		b.first, b.rows, b.given = c.first+int64(at), min(blockRows, c.want-at), nil
		b.err, b.made = nil, make(chan struct{})
		if drawn != nil {
			b.given = drawn[at : at+b.rows]
		}
		select {
		case jobs <- b:
			c.order <- b // there is room for all of them
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// stop ends the workers and waits for them.
func (s *stream) stop() {
	s.cancel()
	s.wait.Wait()
}

// sequence names the sequence that gives keys, "" if the spec gives them.
func (e *entry) sequence() string {
	for _, f := range e.fields {
		if f.value == nil && f.column.Base != "uuid" {
			return f.column.Sequence
		}
	}
	return ""
}

// draw takes the next n values of a sequence.
func (d *Database) draw(ctx context.Context, sequence string, n int) (values []string, err error) {
	d.looked.mu.Lock()
	defer d.looked.mu.Unlock()
	err = d.side.scan(ctx, &values, `SELECT json_agg(nextval($1::text::regclass)::text) FROM generate_series(1, $2::text::int)`, sequence, n)
	return values, err
}

// chunk is the rows of one transaction: it reads as their text, and has then
// gathered their keys.
type chunk struct {
	number int
	first  int64 // number of the first row
	want   int   // rows
	order  chan *block

	rest []byte
	now  *block
	rows int      // read so far
	keys [][]byte // arrays in the text format, without their end
	sum  hash.Hash
	err  error // why it ended early
}

var errStopped = errors.New("the other rows were stopped")

// Read gives the text of the rows.
func (c *chunk) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		if c.now != nil {
			blocks.Put(c.now)
			c.now = nil
		}
		if c.rows == c.want {
			return 0, io.EOF
		}
		b, ok := <-c.order
		if !ok {
			c.err = errStopped
			return 0, c.err
		}
		<-b.made
		if b.err != nil {
			c.err = b.err
			return 0, b.err
		}
		for i, k := range b.keys {
			if c.rows > 0 {
				c.keys[i] = append(c.keys[i], ',')
			}
			c.keys[i] = append(c.keys[i], k...)
		}
		c.rows += b.rows
		_, _ = c.sum.Write(b.sum[:]) // a hash never fails
		c.now, c.rest = b, b.text
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// fillEntry writes the rows of an entry, a chunk in each transaction, and
// returns a digest of what is in them.
func (d *Database) fillEntry(ctx context.Context, token string, e *entry) (string, error) {
	s := d.start(ctx, e)
	defer s.stop()
	sums := make([][sha256.Size]byte, (e.spec.Count+d.chunkRows()-1)/d.chunkRows())
	var done int64
	err := d.divided(d.hands(e.table.OID), func(hand *session, report func(func())) error {
		var keys [][]byte
		for c := range s.chunks {
			c.sum, c.keys = sha256.New(), keys
			if err := d.fillChunk(ctx, hand, token, e, c); err != nil {
				s.cancel()
				return err
			}
			keys = c.keys
			c.sum.Sum(sums[c.number][:0])
			report(func() {
				done += int64(c.rows)
				d.progress(Progress{Table: e.spec.As, Done: done, Of: e.spec.Count})
			})
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	if done != e.spec.Count {
		return "", cmp.Or(ctx.Err(), errStopped)
	}
	content := sha256.New()
	for _, f := range e.fields {
		if f.hashed {
			content.Write(binary.AppendUvarint(nil, uint64(len(f.name))))
			content.Write([]byte(f.name))
		}
	}
	for i := range sums {
		content.Write(sums[i][:])
	}
	return hex.EncodeToString(content.Sum(nil)), nil
}

// hands is how many connections may write or delete rows of a table at once.
// Rows of a table that refers to itself keep their order.
func (d *Database) hands(oid string) int {
	for _, k := range d.catalog.foreign {
		if k.Table == oid && k.Refers == oid {
			return 1
		}
	}
	return writers
}

// divided has n connections do one work, and returns the first error. What a
// hand reports is done by the caller's goroutine.
func (d *Database) divided(n int, work func(s *session, report func(func())) error) error {
	for len(d.more) < n-1 {
		d.more = append(d.more, &session{at: d.at, seen: d.work.seen})
	}
	reports := make(chan func())
	report := func(f func()) { reports <- f }
	errs := make([]error, n)
	var wait sync.WaitGroup
	for i := range n {
		s := d.work
		if i > 0 {
			s = d.more[i-1]
		}
		wait.Go(func() { errs[i] = work(s, report) })
	}
	go func() {
		wait.Wait()
		close(reports)
	}()
	for f := range reports {
		f()
	}
	var first error
	for _, err := range errs {
		// That a hand was stopped says less than what stopped it.
		if err != nil && (first == nil || errors.Is(first, errStopped)) {
			first = err
		}
	}
	return first
}

// fillChunk writes the rows of a chunk and the record of their keys.
func (d *Database) fillChunk(ctx context.Context, s *session, token string, e *entry, c *chunk) error {
	for len(c.keys) < e.items {
		c.keys = append(c.keys, nil)
	}
	for i := range c.keys {
		c.keys[i] = append(c.keys[i][:0], '{')
	}
	return s.inTransaction(ctx, func(t *transaction) error {
		tag, err := t.s.conn.CopyFrom(ctx, c, e.copySQL())
		switch {
		case c.err != nil:
			return c.err
		case err != nil:
			return e.misfit(t.s.tell(err), c.first)
		case tag.RowsAffected() != int64(c.rows):
			return fmt.Errorf("%s took %d of %d rows: a trigger or a rule keeps the others out", e.table.shown(), tag.RowsAffected(), c.rows)
		}
		record := []statement{{`INSERT INTO tollgate.ledger (run, entry, chunk, rows) VALUES ($1::text, $2::text::int, $3::text::int, $4::text::int)`,
			[]any{d.opts.RunID, e.index, c.number, c.rows}}}
		for i, k := range c.keys {
			record = append(record, statement{`INSERT INTO tollgate.keys (run, entry, chunk, item, vals) VALUES ($1::text, $2::text::int, $3::text::int, $4::text::int, $5::text[])`,
				[]any{d.opts.RunID, e.index, c.number, i, append(k, '}')}})
		}
		if e.table.Altering {
			if err := d.verify(ctx, t, e, record, c.number, c.rows); err != nil {
				return err
			}
			record = nil
		}
		return t.finish(ctx, token, append(record, statement{seeding, []any{d.opts.RunID}})...)
	})
}

// copySQL is the statement that rows follow.
func (e *entry) copySQL() string {
	columns := make([]string, len(e.fields))
	for i, f := range e.fields {
		columns[i] = ident(f.name)
	}
	return "COPY " + e.table.quoted() + " (" + strings.Join(columns, ", ") + ") FROM STDIN"
}

// verify makes sure that the rows of a chunk have the keys that are recorded,
// where a trigger could have given them others.
func (d *Database) verify(ctx context.Context, t *transaction, e *entry, record []statement, number, rows int) error {
	for _, s := range record {
		if _, err := t.exec(ctx, s.sql, s.args...); err != nil {
			return err
		}
	}
	var m manifestEntry
	for _, k := range e.table.Key {
		m.Key = append(m.Key, typedColumn{k, e.table.column(k).Stored})
	}
	var there int
	err := t.scan(ctx, &there, `SELECT count(*) FROM `+only(e.table.Kind == "r", e.table.quoted())+` AS t WHERE `+m.match("t", e.index, number), d.opts.RunID)
	if err == nil && there != rows {
		err = fmt.Errorf("%d of %d rows of %s do not have the key that they were written with: a trigger changes it", rows-there, rows, e.table.shown())
	}
	return err
}

// copyPlace reads where a COPY met a refusal.
var copyPlace = regexp.MustCompile(`^COPY [^,]+, line (\d+)(?:, column ([^:]+?):|$|[,:])`)

// misfit finds the row and the column of a refusal by the server; first is the
// number of the row that the COPY began with.
func (e *entry) misfit(err error, first int64) error {
	r := refusal(err)
	if r == nil {
		return err
	}
	bad := &badValue{pos: e.spec.Pos, n: first, as: e.spec.As, msg: r.Error()}
	if m := copyPlace.FindStringSubmatch(r.where); m != nil {
		line, _ := strconv.ParseInt(m[1], 10, 64) // digits
		bad.n = first + line - 1
		bad.name = m[2]
	}
	if bad.name == "" {
		bad.name = r.column
	}
	for _, f := range e.fields {
		if f.name == bad.name || bad.name == "" && strings.Contains(r.text, "Key ("+f.name+")=") {
			bad.pos, bad.name = f.pos, f.name
			break
		}
	}
	if r.code == "23505" {
		bad.hint = "another row has it: one of the seed's own, or one that was there before and is nobody's any more"
	}
	return bad
}

var _ world = (*Database)(nil)
