package spec

import (
	"math"
	"time"

	"tollgate/internal/expr"
)

// Seed is the state of a database that a test begins with.
type Seed struct {
	Pos Pos
	// Postgres is a connection string, a URL or key=value pairs. It may hold a
	// password: show it through Where only. It is "" if the environment does not
	// set it: such a spec can be checked, and not be run.
	Postgres string
	// Salted makes every bcrypt() hash anew; else there is one hash for each
	// distinct password and cost.
	Salted bool
	// Digest is of the section as it was read, the values that it refers to
	// included and the connection string left out.
	Digest string
	Tables []*SeedTable // in file order; a row refers to rows of tables before it
	Clean  []SeedClean  // in file order
}

// SeedTable is a number of rows of one table.
type SeedTable struct {
	Pos     Pos
	Table   string // as written: "users", or "app.users" with its schema
	As      string // what expressions call its rows: the table's name without its schema, unless `as` is given
	Count   int64  // rows, at least 1
	Columns []SeedColumn
}

// RowKey is the Ctx.Key of row n (from 1) of the table with that index in
// Seed.Tables, for a run's random seed. Each draw has a site of its own within
// the seed, so what a column draws is a function of (random seed, table, row,
// site): neither the order of rows nor how many there are can change it. No
// draw of the load shares a key with one. For the same rows in every run of one
// random seed the Ctx has neither a Run nor a RunKey, so uuid() is drawn anew
// for another random seed only.
func RowKey(randomSeed uint64, table int, n int64) expr.Key {
	const rows = math.MaxUint64 // in the place of a stage, where the load counts from 0
	return expr.NewKey(randomSeed, rows, uint64(table), uint64(n))
}

// SeedColumn is a column and the value of it in each row: Value.Value with the
// type of the expression, or Value.Append if JSON, in a Ctx with Key (see
// RowKey), Now, Row and Rows.
type SeedColumn struct {
	Pos   Pos
	Name  string
	Value *expr.Text // evaluated in a Ctx with Rows and Row set
	// JSON says that Value writes (Append) the JSON text of a mapping or a list,
	// for a json column or an array.
	JSON bool
	// Fleeting values are different each time: now(), hashes and what is looked
	// up. A digest of the rows leaves them out.
	Fleeting bool
}

// SeedClean is a condition for rows that the load makes through the system,
// and that are to be deleted with the seeded ones: all of Where must hold.
type SeedClean struct {
	Pos   Pos
	Table string
	Where []SeedWhere // at least one
}

// SeedWhere is a condition on one column: exactly one of the others is set.
type SeedWhere struct {
	Pos    Pos
	Column string
	Eq     *expr.Value
	In     []expr.Value // one of these
	Like   string       // a pattern of SQL with at least one character that is no wildcard
	// InTable, InColumn: one of the values that the column has in the seeded
	// rows of the table of that index in Seed.Tables.
	InRows   bool
	InTable  int
	InColumn string
	// SinceRun: a time at or after the beginning of the run.
	SinceRun bool
}

// Probe is a value that is read from the system's side while the load runs.
// Exactly one of SQL, Query and Scrape says whence.
type Probe struct {
	Pos   Pos
	Name  string
	Every time.Duration // between readings, 5 s unless set

	SQL      string // a query that gives one number
	Postgres string // connection string of SQL: the probe's own, else that of the seed; "" if not set

	Query      string // PromQL, an instant query that gives one number
	Prometheus string // base URL of Query's server

	Scrape string            // URL of a page of metrics in the text format of Prometheus
	Metric string            // name of the metric on that page
	Labels map[string]string // that a sample must have; what matches is summed

	path string // of Scrape as written, if it is one of the target
}
