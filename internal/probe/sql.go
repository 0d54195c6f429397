package probe

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"tollgate/internal/reach"
	"tollgate/pkg/spec"
)

// A query reads one number from a PostgreSQL server: in a transaction that can
// only read, and under a time limit of the server's own, so that nothing goes
// on there when nobody waits any more. It prepares nothing and leaves nothing
// in the session, so it works through a pooler that gives each transaction
// another one.
type query struct {
	sql string
	on  *server
}

// servers are those of the probes of one spec, by connection string.
type servers map[string]*server

func (all servers) query(d *spec.Probe, hosts reach.Hosts) (source, string, error) {
	if d.Postgres == "" {
		return mute{}, "set the variable that `postgres` takes it from", nil
	}
	on := all[d.Postgres]
	if on == nil {
		config, err := hosts.Postgres(d.Postgres)
		if err != nil {
			return nil, "", fmt.Errorf("its connection string %w: write postgres://USER@HOST:5432/DATABASE", err)
		}
		on = &server{hosts: hosts, config: config, free: make(chan *pgconn.PgConn, 1)}
		on.free <- nil
		all[d.Postgres] = on
	}
	hint := fmt.Sprintf("does PostgreSQL answer at %s, and may %s read what the query asks for in %s?", on.place(), on.config.User, on.config.Database)
	return &query{sql: d.SQL, on: on}, hint, nil
}

// mute is a probe whose connection string the environment does not set.
type mute struct{}

func (mute) close() {}

func (mute) refused(context.Context) error { return nil }

func (mute) read(context.Context) (answer, error) {
	return answer{}, errors.New("its connection string is empty")
}

func (q *query) close() { q.on.close() }

func (q *query) refused(ctx context.Context) error { return q.on.hosts.Places(ctx, q.on.config) }

func (q *query) read(ctx context.Context) (answer, error) {
	conn, own, err := q.on.take(ctx)
	if err != nil {
		return answer{}, err
	}
	value, err := ask(ctx, conn, q.sql)
	q.on.give(conn, own)
	return answer{value: value}, err
}

// ask reads one number in a transaction of its own. A connection on which
// anything but that is under way is closed.
func ask(ctx context.Context, conn *pgconn.PgConn, sql string) (float64, error) {
	left := longest
	if end, ok := ctx.Deadline(); ok {
		left = time.Until(end)
	}
	limit := max(1, (left * 9 / 10).Milliseconds()) // so that the server gives up before we do
	begin := fmt.Sprintf("begin read only; set local statement_timeout = %d", limit)
	if _, err := conn.Exec(ctx, begin).ReadAll(); err != nil {
		return 0, refusal(err)
	}
	value, err := scalar(ctx, conn, sql)
	if !conn.IsClosed() {
		if _, end := conn.Exec(ctx, "rollback").ReadAll(); end != nil && err == nil {
			err = refusal(end)
		}
	}
	return value, err
}

// scalar asks for one number. The extended protocol takes one statement alone,
// so that none can end the transaction and begin another.
func scalar(ctx context.Context, conn *pgconn.PgConn, sql string) (float64, error) {
	rows := conn.ExecParams(ctx, sql, nil, nil, nil, nil)
	give := func(format string, args ...any) (float64, error) {
		hangUp(conn) // not to read what may be a whole table
		return 0, fmt.Errorf(format, args...)
	}
	fields := rows.FieldDescriptions()
	if len(fields) > 1 {
		return give("the query gives %d columns, and a probe reads one number", len(fields))
	}
	if len(fields) == 1 && !numeric(fields[0].DataTypeOID) {
		return give("the query gives no number: write extract(epoch from …), count(*) or ::float8")
	}
	var value float64
	var fault error
	n := 0
	for rows.NextRow() {
		if n++; n > 1 {
			return give("the query gives more than one row, and a probe reads one number")
		}
		text := rows.Values()[0]
		if text == nil {
			fault = errors.New("the query gives null")
			continue
		}
		var err error
		if value, err = strconv.ParseFloat(string(text), 64); err != nil {
			fault = fmt.Errorf("the query gives a number beyond the range of a float")
		}
	}
	if _, err := rows.Close(); err != nil {
		return 0, refusal(err)
	}
	switch {
	case fault != nil:
		return 0, fault
	case len(fields) == 0:
		return 0, errors.New("the statement gives no row, and a probe reads one number")
	case n == 0:
		return 0, errors.New("the query gives no row")
	}
	return value, nil
}

// numeric tells whether values of a type are numbers: int8, int2, int4, oid,
// float4, float8, numeric.
func numeric(oid uint32) bool {
	switch oid {
	case 20, 21, 23, 26, 700, 701, 1700:
		return true
	}
	return false
}

// A server holds one connection, which its probes share; it opens another only
// while that one is busy for long, so that a query that hangs holds up no other.
type server struct {
	hosts  reach.Hosts
	config *pgconn.Config
	free   chan *pgconn.PgConn // one element: the connection, nil if there is none
}

// crowded is how long a probe waits for the connection of its server.
const crowded = 200 * time.Millisecond

// take returns a connection that nobody uses; own tells whether it is not the
// shared one.
func (s *server) take(ctx context.Context) (conn *pgconn.PgConn, own bool, err error) {
	busy := time.NewTimer(crowded)
	defer busy.Stop()
	select {
	case conn = <-s.free:
	case <-busy.C:
		own = true
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
	if conn == nil || conn.IsClosed() || conn.CheckConn() != nil {
		if conn != nil {
			hangUp(conn)
		}
		if conn, err = pgconn.ConnectConfig(ctx, s.config); err != nil {
			if !own {
				s.free <- nil
			}
			return nil, false, fmt.Errorf("PostgreSQL at %s: %w", s.place(), refusal(err))
		}
	}
	return conn, own, nil
}

// give takes a connection back.
func (s *server) give(conn *pgconn.PgConn, own bool) {
	if own || conn.IsClosed() {
		hangUp(conn)
		conn = nil
	}
	if !own {
		s.free <- conn
	}
}

func (s *server) close() {
	select {
	case conn := <-s.free:
		if conn != nil {
			hangUp(conn)
		}
		s.free <- nil
	default: // still in use, by a reading that is about to end
	}
}

func (s *server) place() string {
	if s.config.Port == 0 {
		return s.config.Host
	}
	return fmt.Sprintf("%s:%d", s.config.Host, s.config.Port)
}

// hangUp closes a connection without waiting for the other side.
func hangUp(conn *pgconn.PgConn) {
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	_ = conn.Close(gone) // it has nothing to say that anybody needs
}

// refusal is what the server said, in its words, or why it said nothing.
func refusal(err error) error {
	var said *pgconn.PgError
	if errors.As(err, &said) {
		return fmt.Errorf("%s (%s)", said.Message, said.Code)
	}
	return unreached(err)
}
