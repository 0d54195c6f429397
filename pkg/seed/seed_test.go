package seed

import (
	"context"
	"crypto/rand"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"tollgate/internal/postgres/postgrestest"
	"tollgate/pkg/spec"
)

// patience bounds what a test waits for, on a machine that is busy.
const patience = 2 * time.Minute

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// parsed returns a spec with that seed section, whose connection string is url.
func parsed(t testing.TB, url, seed string) *spec.Spec {
	t.Helper()
	src := `version: 1
name: seeded
target: {url: "http://127.0.0.1:8000"}
endpoints: {ask: GET /}
personas: {one: {tasks: {ask: 1}}}
stages: [steady: {users: 1, for: 1s}]
seed:
  ` + strings.ReplaceAll(strings.TrimSpace(seed), "\n", "\n  ") + "\n"
	s, faults := spec.Parse("load.yaml", []byte(src), spec.Options{Env: func(name string) (string, bool) {
		return url, name == "DATABASE_URL"
	}})
	if faults != nil {
		var b strings.Builder
		_ = faults.Format(&b)
		t.Fatal(b.String())
	}
	return s
}

// rows returns a section of these rows.
func rows(list string) string {
	return "postgres: ${secret(\"DATABASE_URL\")}\nrows:\n  " + strings.ReplaceAll(strings.TrimSpace(list), "\n", "\n  ")
}

// run runs statements and returns the first value of the last, as text.
func run(t testing.TB, url string, sql string) string {
	t.Helper()
	v, err := tried(within(t), url, sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func tried(ctx context.Context, url, sql string) (string, error) {
	conn, err := pgconn.Connect(ctx, url)
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return "", err
	}
	last := results[len(results)-1]
	if len(last.Rows) == 0 {
		return "", nil
	}
	return string(last.Rows[0][0]), nil
}

// emptied are databases that a test has left empty, for the next: to make one
// takes longer than most tests.
var emptied struct {
	mu   sync.Mutex
	urls []string
}

// database returns a database with these tables and nothing else.
func database(t testing.TB, tables string) string {
	t.Helper()
	emptied.mu.Lock()
	defer emptied.mu.Unlock()
	var url string
	if n := len(emptied.urls); n > 0 {
		url, emptied.urls = emptied.urls[n-1], emptied.urls[:n-1]
	} else {
		var err error
		if url, err = postgrestest.Server(t).CreateDatabase(within(t), "test_"+strings.ToLower(rand.Text())); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		// Whoever still holds a connection, or a lock of a test that failed, goes.
		run(t, url, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid();
			DO $$ DECLARE s text; BEGIN
				FOR s IN SELECT nspname FROM pg_namespace WHERE nspname <> 'information_schema' AND nspname !~ '^pg_' LOOP EXECUTE format('DROP SCHEMA %I CASCADE', s); END LOOP; END $$;
			CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO PUBLIC`)
		run(t, url, `ALTER DATABASE "`+run(t, url, `SELECT current_database()`)+`" RESET ALL`)
		emptied.mu.Lock()
		defer emptied.mu.Unlock()
		emptied.urls = append(emptied.urls, url)
	})
	run(t, url, tables)
	return url
}

// dropEmptied removes the databases from a server that outlives the tests.
func dropEmptied() {
	for _, url := range emptied.urls {
		config, err := pgconn.ParseConfig(url)
		if err == nil {
			name := config.Database
			config.Database = "postgres"
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			if conn, err := pgconn.ConnectConfig(ctx, config); err == nil {
				_, _ = conn.Exec(ctx, `DROP DATABASE "`+name+`" WITH (FORCE)`).ReadAll()
				_ = conn.Close(ctx)
			}
			cancel()
		}
	}
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func opened(t testing.TB, s *spec.Spec, o Options) *Database {
	t.Helper()
	if o.RunID == "" {
		o.RunID = "run-1"
	}
	if o.Now.IsZero() {
		o.Now = noon
	}
	d, err := Open(within(t), s, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// held opens, marks and takes a database.
func held(t testing.TB, s *spec.Spec, o Options) (*Database, context.Context) {
	t.Helper()
	d := opened(t, s, o)
	if err := d.Mark(within(t)); err != nil {
		t.Fatal(err)
	}
	ctx, err := d.Acquire(within(t))
	if err != nil {
		t.Fatal(err)
	}
	return d, ctx
}

func filled(t testing.TB, d *Database, ctx context.Context) Summary {
	t.Helper()
	faults, err := d.Check(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if faults != nil {
		var b strings.Builder
		_ = faults.Format(&b)
		t.Fatal(b.String())
	}
	sum, err := d.Fill(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func cleaned(t testing.TB, d *Database) Cleaned {
	t.Helper()
	c, err := d.Clean(within(t))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// contents is a checksum of every table but Tollgate's own.
func contents(t testing.TB, url string) string {
	t.Helper()
	tables := run(t, url, `SELECT coalesce(string_agg(format('SELECT %L AS t, md5(coalesce(string_agg(x::text, E''\n'' ORDER BY x::text), '''')) AS sum FROM %I.%I x', oid::regclass, relnamespace::regnamespace, relname), ' UNION ALL ' ORDER BY oid::regclass::text), 'SELECT 1 AS t, 2 AS sum')
		FROM pg_class WHERE relkind = 'r' AND relnamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema', 'tollgate')`)
	return run(t, url, `SELECT string_agg(t || ' ' || sum, E'\n' ORDER BY t) FROM (`+tables+`) s`)
}

func file(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// eriop is the spec that is delivered, at a cost of its hashes.
func eriop(t testing.TB, url string, cost int) *spec.Spec {
	t.Helper()
	src, err := os.ReadFile("../../specs/eriop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s, faults := spec.Parse("eriop.yaml", src, spec.Options{
		Set: []string{"values.cost=" + strconv.Itoa(cost)},
		Env: func(name string) (string, bool) { return url, name == "ERIOP_DATABASE_URL" },
	})
	if faults != nil {
		t.Fatal(faults)
	}
	return s
}

// The tables are built to the columns of the real system, apart from those that
// the demo system makes for itself.
func TestRowsAreWrittenAsDeclaredAndTakenBack(t *testing.T) {
	url := database(t, file(t, "eriop.sql"))
	before := contents(t, url)
	d, ctx := held(t, eriop(t, url, 4), Options{RandomSeed: 7})
	began := time.Now()
	sum := filled(t, d, ctx)
	t.Logf("checked and written in %v, of it %v of writing", time.Since(began), sum.Took)
	if sum.Rows != 651 {
		t.Errorf("%d rows", sum.Rows)
	}
	for sql, want := range map[string]string{
		`SELECT count(*) FROM users u JOIN agencies a ON a.id = u.agency_id JOIN roles r ON r.id = u.role_id WHERE r.name = u.role::text`: "350",
		`SELECT badge_number FROM users WHERE full_name = 'Responder 7'`:                                                                  "R0007",
		`SELECT count(DISTINCT hashed_password) FROM users`:                                                                               "1",
		`SELECT count(*) FROM resources WHERE status = 'available'`:                                                                       "75",
		`SELECT count(*) FROM resources WHERE current_latitude IS NULL`:                                                                   "20",
		`SELECT severity FROM alerts WHERE source_id = 'device_1001'`:                                                                     "high",
		`SELECT count(*) FROM alerts WHERE status = 'pending' AND raw_payload = '{"test": true, "baseline": true}'`:                       "50",
		`SELECT received_at AT TIME ZONE 'UTC' FROM alerts LIMIT 1`:                                                                       "2026-03-01 12:00:00",
		`SELECT floor(latitude * 10000) FROM buildings WHERE name = 'Test Building 3'`:                                                    "455317",
		`SELECT basement_levels || ' ' || has_elevator FROM buildings WHERE name = 'Test Building 6'`:                                     "1 true",
		`SELECT category || ' ' || status || ' ' || priority FROM incidents WHERE incident_number = 'INC-LOAD-0005'`:                      "fire assigned 1",
		`SELECT state FROM tollgate.run`:                                                                                                  "seeded",
	} {
		if got := run(t, url, sql); got != want {
			t.Errorf("%s: %q, want %q", sql, got, want)
		}
	}
	// What the load makes of it, through the system.
	run(t, url, `INSERT INTO audit_logs (id, timestamp, action, user_id) SELECT gen_random_uuid(), now(), 'login', id FROM users LIMIT 30;
		INSERT INTO alerts (id, source, source_id, severity, status, alert_type, title, received_at) SELECT gen_random_uuid(), 'alarm_system', 'device_7', 'low', 'pending', 'x', 'Alert 2026', now() FROM generate_series(1, 40);
		UPDATE alerts SET acknowledged_by_id = (SELECT id FROM users LIMIT 1);
		DELETE FROM incidents WHERE incident_number = 'INC-LOAD-0001'`)
	c := cleaned(t, d)
	if want := (Cleaned{Run: "run-1", Seeded: 651, Deleted: 650, Gone: 1, Made: 70}); c != want {
		t.Errorf("%+v", c)
	}
	if after := contents(t, url); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if got := run(t, url, `SELECT (SELECT count(*) FROM tollgate.ledger) + (SELECT count(*) FROM tollgate.keys) || ' ' || state FROM tollgate.run`); got != "0 done" {
		t.Error(got)
	}
	if again := cleaned(t, d); again != (Cleaned{Run: "run-1"}) {
		t.Errorf("%+v", again)
	}
}

// The script that this replaces took four minutes: a hash for each row.
func TestSeedAtTheSystemsOwnCostTakesOneHash(t *testing.T) {
	url := database(t, file(t, "eriop.sql"))
	d, ctx := held(t, eriop(t, url, 12), Options{})
	began := time.Now()
	filled(t, d, ctx)
	took := time.Since(began)
	t.Logf("checked and written in %v", took)
	if got := run(t, url, `SELECT count(DISTINCT hashed_password) || left(min(hashed_password), 7) FROM users`); got != "1$2a$12$" {
		t.Error(got)
	}
	const most = 20 * time.Second // a hash for each would be 100 s of one core
	if took > most {
		t.Errorf("%v", took)
	}
}
