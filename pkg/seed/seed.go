// Package seed brings a PostgreSQL database into the state that a spec
// declares, and out of it again: it writes the rows of spec.Seed, records each
// key that it wrote, and deletes exactly those.
//
// A database is touched only where somebody with the right to do so has marked
// it (Mark), and by one run at a time (Acquire). The order of calls:
//
//	db, err := seed.Open(ctx, s, seed.Options{RunID: id, RandomSeed: n, Now: now})
//	defer db.Close()
//	err = db.Mark(ctx)                  // for --mark only; shows db.Rights()
//	err = db.Marked(ctx)                // ErrRefused: nothing but SELECTs was sent
//	faults, err := db.Check(ctx)        // all faults of the spec against the catalog
//	held, err := db.Acquire(ctx)        // ErrRefused: somebody else holds the database
//	defer db.Release(ctx)
//	cleaned, err := db.Recover(ctx)     // what dead runs left
//	summary, err := db.Fill(held)       // ErrSeed: call Clean, which rolls back
//	...                                 // the load, until held is cancelled
//	c, err := db.Clean(ctx)             // ErrUnclean: nothing is lost, call it again
//
// Every step is one transaction, and nothing lives in a session, so a pooler
// that gives connections for a transaction (PgBouncer) may stand in between.
// What is written where is in docs/database.md.
package seed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"tollgate/internal/reach"
	"tollgate/pkg/spec"
)

// What went wrong, as far as a caller acts on it. Match with errors.Is.
var (
	// ErrUnreachable: there is no connection to be had. Nothing was written.
	ErrUnreachable = errors.New("the database cannot be reached")
	// ErrRefused: the database is not marked, is another one than its marker
	// names, or is held by another run. Nothing but SELECTs was sent, and the
	// one INSERT that the other holder's lease refused.
	ErrRefused = errors.New("refused")
	// ErrSeed: the rows were not all written. Those that were are recorded:
	// Clean removes them.
	ErrSeed = errors.New("not seeded")
	// ErrUnclean: rows of a run remain. They are still recorded: Clean, or the
	// next start, goes on.
	ErrUnclean = errors.New("not clean")
	// ErrLost: another run took the lease over, or the database was away for
	// so long that one might have.
	ErrLost = errors.New("the database is no longer ours")
)

// Error is what the methods of Database return. Its text is masked: no
// password of the connection string and no secret of the spec is in it.
type Error struct {
	Kind error  // one of the above
	Msg  string // place and reason
	Hint string // what to type, "" if the message says it all
	Err  error  // a cause that callers may ask for: context.Canceled, ErrLost
}

// Error returns the message and the hint.
func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Msg
	}
	return e.Msg + "; " + e.Hint
}

// Unwrap makes errors.Is work for the kind and for the cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}

// Options are what a seed depends on beside the spec.
type Options struct {
	// RunID names the run in the database; each run needs its own.
	RunID      string
	RandomSeed uint64
	// Now is what now() is in all rows.
	Now time.Time
	// Holder is who is named to others who want the database: host and process
	// unless set.
	Holder string
	// Allow lists patterns of hosts, of which the database's must be one where
	// there are any: see internal/reach.
	Allow []string
	// Progress is told of each chunk of rows that is written or deleted, from
	// the goroutine of the call.
	Progress func(Progress)

	// Tests shorten these.
	beat, expiry time.Duration
	chunk        int // blocks of rows in a transaction
}

// Progress is how far a table has come.
type Progress struct {
	Table    string // as the spec calls its rows
	Done, Of int64  // rows
	Clean    bool   // deleted, not written
}

// How a lease lives.
const (
	// beatEvery is how often a holder says that it lives.
	beatEvery = 5 * time.Second
	// leaseExpiry is how long after its last beat a holder counts as dead.
	leaseExpiry = 30 * time.Second
)

// Database is the database of a spec. Its methods are to be called one after
// the other.
type Database struct {
	spec *spec.Spec
	seed *spec.Seed
	opts Options
	at   *address

	work, side *session   // of the calls; of lookups while a COPY runs
	more       []*session // that write or delete beside work

	catalog *catalog // read by Check
	hashes  *hashes
	looked  looked

	mu    sync.Mutex
	lease *lease // held, or nil
}

// Summary is what Fill wrote.
type Summary struct {
	Tables []TableSummary
	Rows   int64
	// Digest is of the state of the data: the spec's section, the random seed,
	// the number of rows of each table, and what is in the columns that do not
	// differ between runs. Runs of the same digest had the same data.
	Digest string
	Took   time.Duration
}

// TableSummary is one entry of the spec's rows.
type TableSummary struct {
	Table, As string
	Rows      int64
}

// Cleaned is what was deleted of one run.
type Cleaned struct {
	Run    string
	Seeded int64 // rows that the run had written
	// Deleted of those were there, Gone had been deleted by somebody else,
	// such as the load itself. Seeded is their sum.
	Deleted, Gone int64
	Made          int64 // rows that the spec's clean conditions matched beside them
}

// Open connects to the database of s, which must have a seed. It only reads.
func Open(ctx context.Context, s *spec.Spec, o Options) (*Database, error) {
	if o.Holder == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "unknown host"
		}
		o.Holder = host + ", process " + strconv.Itoa(os.Getpid())
	}
	if o.beat == 0 {
		o.beat, o.expiry = beatEvery, leaseExpiry
	}
	if o.chunk == 0 {
		o.chunk = chunkBlocks
	}
	at, err := parseAddress(s.Seed.Postgres, s.Seed.Where(), s.Secrets, o.Allow)
	if err != nil {
		return nil, &Error{Kind: ErrUnreachable, Msg: s.Seed.Pos.File + ":" + strconv.Itoa(s.Seed.Pos.Line) + ": " + err.Error()}
	}
	d := &Database{spec: s, seed: s.Seed, opts: o, at: at, hashes: newHashes(s.Seed.Salted)}
	d.work, d.side = &session{at: at}, &session{at: at}
	if err := d.work.connect(ctx); err != nil {
		return nil, err
	}
	return d, nil
}

// Refused returns an ErrRefused if the database of s is at a host that may not
// be connected to, and nil if not, also where it cannot tell. It sends nothing.
func Refused(ctx context.Context, s *spec.Spec, allow []string) error {
	at, err := parseAddress(s.Seed.Postgres, s.Seed.Where(), s.Secrets, allow)
	if err != nil {
		return nil // Open says why
	}
	if err := reach.Hosts(allow).Places(ctx, at.config); err != nil {
		return &Error{Kind: ErrRefused, Msg: at.where + ": " + at.mask(err.Error())}
	}
	return nil
}

// Where names the database without its password.
func (d *Database) Where() string { return d.at.where }

// Close releases the lease, if it is held, and closes all connections.
func (d *Database) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = d.Release(ctx) // it expires by itself
	d.work.close()
	d.side.close()
	for _, s := range d.more {
		s.close()
	}
}

func (d *Database) progress(p Progress) {
	if d.opts.Progress != nil {
		d.opts.Progress(p)
	}
}

// failf returns an Error of a kind whose text is masked. A last argument that
// is an error becomes its cause where callers may ask for it.
func (d *Database) failf(kind error, cause error, hint, format string, args ...any) error {
	e := &Error{Kind: kind, Msg: d.at.mask(fmt.Sprintf(format, args...)), Hint: d.at.mask(hint)}
	if cause != nil {
		e.Msg += ": " + d.at.mask(cause.Error())
		for _, known := range []error{context.Canceled, context.DeadlineExceeded, ErrLost} {
			if errors.Is(cause, known) {
				e.Err = known
			}
		}
	}
	return e
}
