package seed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"tollgate/internal/reach"
)

// address is where a database is. Its password is never shown.
type address struct {
	config *pgconn.Config
	where  string
	masked *strings.Replacer
}

// connectWithin bounds a connection attempt where the connection string does
// not.
const connectWithin = 10 * time.Second

// parseAddress reads a connection string, whose place people may see. Host and database must stand in it:
// what a forgotten variable of the environment names is not to be written to.
func parseAddress(conn, where string, secrets []string, hosts reach.Hosts) (*address, error) {
	const form = "write postgres://USER:PASSWORD@HOST:PORT/DATABASE"
	if strings.TrimSpace(conn) == "" {
		return nil, errors.New("seed.postgres is empty; " + form + ", or set the secret that it names")
	}
	config, err := hosts.Postgres(conn)
	if err != nil {
		return nil, fmt.Errorf("seed.postgres %w; %s", err, form)
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectWithin
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "tollgate"
	}
	// Whatever those of the database, the role and the environment are: the same
	// text is to be the same value for everybody, and a key to be found again.
	for name, value := range map[string]string{"client_encoding": "UTF8", "timezone": "UTC", "datestyle": "ISO, MDY"} {
		for given := range config.RuntimeParams {
			if strings.EqualFold(given, name) {
				delete(config.RuntimeParams, given)
			}
		}
		config.RuntimeParams[name] = value
	}
	return &address{config, where, masker(append(slices.Clone(secrets), config.Password, conn))}, nil
}

// masker replaces secrets, as they are and in the forms that they take in URLs
// and in JSON.
func masker(secrets []string) *strings.Replacer {
	var forms []string
	for _, s := range secrets {
		if s == "" {
			continue
		}
		quoted, err := json.Marshal(s)
		if err != nil {
			quoted = []byte(`""`)
		}
		forms = append(forms, s, url.QueryEscape(s), url.PathEscape(s), url.UserPassword("", s).String()[1:], string(quoted[1:len(quoted)-1]))
	}
	// The longest first, so that none is left in part.
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, f := range slices.Compact(forms) {
		if f != "" {
			pairs = append(pairs, f, "***")
		}
	}
	return strings.NewReplacer(pairs...)
}

func (a *address) mask(s string) string { return a.masked.Replace(s) }

// session is one connection, made when it is needed and again when it broke.
// Nothing is kept in it between two calls.
type session struct {
	at   *address
	conn *pgconn.PgConn
	// seen is the server that the first connection reached; another one is
	// not written to.
	seen identity
}

// serverError is what the server refused, in masked words.
type serverError struct {
	text                    string
	code, constraint, table string
	column, where           string
}

func (e *serverError) Error() string { return e.text }

// refusal returns the server's refusal in err, nil if there is none.
func refusal(err error) *serverError {
	var e *serverError
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// broken are failures of the connection, as opposed to refusals.
type broken struct {
	text  string
	cause error
}

func (b *broken) Error() string { return b.text }
func (b *broken) Unwrap() error { return b.cause }

// tell puts an error of pgconn in masked words.
func (s *session) tell(err error) error {
	if err == nil {
		return nil
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		text := pg.Message
		if pg.Detail != "" {
			text += ": " + strings.TrimSuffix(pg.Detail, ".")
		}
		return &serverError{
			text: s.at.mask(text), code: pg.Code, constraint: pg.ConstraintName, table: pg.TableName,
			column: pg.ColumnName, where: pg.Where,
		}
	}
	b := &broken{text: s.at.mask(err.Error())}
	for _, known := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			b.cause = known
		}
	}
	return b
}

// connect makes the connection unless there is one.
func (s *session) connect(ctx context.Context) error {
	if s.conn != nil && !s.conn.IsClosed() {
		return nil
	}
	conn, err := pgconn.ConnectConfig(ctx, s.at.config)
	if err != nil {
		if r := reach.Refused(err); r != nil {
			return &Error{Kind: ErrRefused, Msg: s.at.where + ": " + s.at.mask(r.Error())}
		}
		told := s.tell(err)
		e := &Error{Kind: ErrUnreachable, Msg: s.at.where + ": " + told.Error(), Hint: "check the address, the password and that the server is up"}
		if b := (*broken)(nil); errors.As(told, &b) {
			e.Err = b.cause
		}
		return e
	}
	s.conn = conn
	var id identity
	if err := s.scan(ctx, &id, identitySQL); err != nil {
		s.close()
		return &Error{Kind: ErrUnreachable, Msg: s.at.where + ": " + err.Error()}
	}
	if s.seen == (identity{}) {
		s.seen = id
	}
	if id != s.seen {
		s.close()
		return &Error{Kind: ErrRefused, Msg: s.at.where + " is another database than it was a moment ago"}
	}
	return nil
}

func (s *session) close() {
	if s.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = s.conn.Close(ctx)
	s.conn = nil
}

// exec runs one statement with parameters in the text format, a *string that
// is nil being NULL, and returns how many rows it touched.
func (s *session) exec(ctx context.Context, sql string, args ...any) (int64, error) {
	if err := s.connect(ctx); err != nil {
		return 0, err
	}
	r := s.conn.ExecParams(ctx, sql, texts(args), nil, nil, nil).Read()
	return r.CommandTag.RowsAffected(), s.tell(r.Err)
}

// scan runs one query that gives one JSON value in one row, into v.
func (s *session) scan(ctx context.Context, v any, sql string, args ...any) error {
	if err := s.connect(ctx); err != nil {
		return err
	}
	r := s.conn.ExecParams(ctx, sql, texts(args), nil, nil, nil).Read()
	if r.Err != nil {
		return s.tell(r.Err)
	}
	if len(r.Rows) == 0 || r.Rows[0][0] == nil {
		return errNoRow
	}
	return json.Unmarshal(r.Rows[0][0], v)
}

var errNoRow = errors.New("no row")

// transaction is statements that hold together or not at all.
type transaction struct{ s *session }

// lockWithin is how long a transaction waits for a row that somebody else is
// writing: it ends with an error rather than in a silent halt.
const lockWithin = "20s"

// inTransaction runs f between BEGIN and COMMIT. The last statements of f may
// be left to it (finish), so that they and COMMIT are sent at once.
func (s *session) inTransaction(ctx context.Context, f func(*transaction) error) error {
	return s.between(ctx, "BEGIN", f)
}

// between is inTransaction with a BEGIN of its own.
func (s *session) between(ctx context.Context, begin string, f func(*transaction) error) error {
	if err := s.connect(ctx); err != nil {
		return err
	}
	// What stays on disk decides alone: rows and their record are in the same
	// transaction, so nothing is lost that the other half would need.
	begin += "; SELECT set_config('lock_timeout', '" + lockWithin + "', true), set_config('synchronous_commit', 'off', true)"
	if _, err := s.conn.Exec(ctx, begin).ReadAll(); err != nil {
		s.close()
		return s.tell(err)
	}
	if err := f(&transaction{s: s}); err != nil {
		if s.conn != nil && !s.conn.IsClosed() {
			// A context that ended has closed the connection already.
			if _, e := s.conn.Exec(ctx, "ROLLBACK").ReadAll(); e != nil {
				s.close()
			}
		}
		return err
	}
	if s.conn.TxStatus() != 'I' {
		if _, err := s.conn.Exec(ctx, "COMMIT").ReadAll(); err != nil {
			s.close()
			return s.tell(err)
		}
	}
	return nil
}

func (t *transaction) exec(ctx context.Context, sql string, args ...any) (int64, error) {
	return t.s.exec(ctx, sql, args...)
}

func (t *transaction) scan(ctx context.Context, v any, sql string, args ...any) error {
	return t.s.scan(ctx, v, sql, args...)
}

// finish sends statements, the fence of the lease and COMMIT in one go. All
// must succeed, else nothing is committed; ErrLost says that the lease is gone.
func (t *transaction) finish(ctx context.Context, token string, statements ...statement) error {
	return t.commit(ctx, append(statements, statement{fence, []any{token}})...)
}

// commit sends statements and COMMIT in one go. ErrLost says that one of them
// was a fence and failed.
func (t *transaction) commit(ctx context.Context, statements ...statement) error {
	var b pgconn.Batch
	for _, s := range statements {
		b.ExecParams(s.sql, texts(s.args), nil, nil, nil)
	}
	b.ExecParams("COMMIT", nil, nil, nil, nil)
	r := t.s.conn.ExecBatch(ctx, &b)
	_, err := r.ReadAll()
	return lostBy(t.s.tell(err))
}

// lostBy turns the refusal of a fence into what it means.
func lostBy(err error) error {
	if e := refusal(err); e != nil && e.code == divisionByZero {
		return ErrLost
	}
	return err
}

type statement struct {
	sql  string
	args []any
}

// texts are parameters in the text format.
func texts(args []any) [][]byte {
	out := make([][]byte, len(args))
	for i, a := range args {
		switch a := a.(type) {
		case nil:
		case []byte:
			out[i] = a
		case string:
			out[i] = []byte(a)
		case []string:
			out[i] = appendArray(nil, a)
		default:
			out[i] = fmt.Append(nil, a)
		}
	}
	return out
}

// appendArray appends a one-dimensional array in PostgreSQL's text format.
func appendArray(dst []byte, items []string) []byte {
	dst = append(dst, '{')
	for i, s := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendElement(dst, s)
	}
	return append(dst, '}')
}

func appendElement[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, s[i])
	}
	return append(dst, '"')
}

// ident quotes a name.
func ident(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// literal quotes a text as it stands in a statement.
func literal(text string) string {
	quoted := "'" + strings.ReplaceAll(text, "'", "''") + "'"
	if strings.Contains(text, `\`) {
		return " E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}
