package probe

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"tollgate/internal/postgres/postgrestest"
	"tollgate/pkg/spec"
)

// open makes probes that end with the test.
func open(t *testing.T, declared ...*spec.Probe) []*Probe {
	t.Helper()
	all, err := Open(declared, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { Close(all) })
	return all
}

// ofDatabase is a probe of a database.
func ofDatabase(t *testing.T, database, sql string) *Probe {
	t.Helper()
	return open(t, &spec.Probe{Name: "q", SQL: sql, Postgres: database})[0]
}

// execute runs statements beside the probes.
func execute(t *testing.T, database, sql string) {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer hangUp(conn)
	if _, err := conn.Exec(t.Context(), sql).ReadAll(); err != nil {
		t.Fatal(err)
	}
}

func TestQueryGivesOneNumber(t *testing.T) {
	database := postgrestest.Database(t)
	execute(t, database, "create table alerts as select generate_series(1, 42) as id")
	for sql, want := range map[string]float64{
		"select count(*) from alerts":                                        42,
		"select 7::int2":                                                     7,
		"select -1.5::float8":                                                -1.5,
		"select 0.1::numeric + 0.2":                                          0.3,
		"select max(id) from alerts where id < 10;":                          9,
		"select extract(epoch from interval '2 minutes')":                    120,
		"with a as (select id from alerts) select count(*) from a":           42,
		"select count(*) from pg_stat_activity where pid = pg_backend_pid()": 1,
	} {
		if a, why := ofDatabase(t, database, sql).ask(t.Context()); why != "" || a.value != want || a.counter {
			t.Errorf("%s: %+v, %q, want %v", sql, a, why, want)
		}
	}
}

func TestQueryThatGivesNoNumberSaysWhy(t *testing.T) {
	database := postgrestest.Database(t)
	execute(t, database, "create table alerts (id int)")
	for sql, want := range map[string]string{
		"select max(id) from alerts":            "the query gives null",
		"select id from alerts":                 "the query gives no row",
		"select generate_series(1, 2)":          "more than one row",
		"select generate_series(1, 1e9::int8)":  "more than one row", // and the rest is not read
		"select 1, 2":                           "2 columns",
		"select 'one'":                          "no number",
		"select now()":                          "extract(epoch from …)",
		"select repeat('x', 1e6::int)":          "no number",
		"select 'NaN'::float8":                  "not a number",
		"select 'Infinity'::float8":             "infinite",
		"select count(*) from alert":            `relation "alert" does not exist (42P01)`,
		"insert into alerts values (1)":         "read-only transaction (25006)",
		"delete from alerts returning 1":        "read-only transaction (25006)",
		"commit; insert into alerts values (1)": "multiple commands",
		"set transaction read write":            "no row",
		"select pg_sleep(60)":                   "no number",
	} {
		if a, why := ofDatabase(t, database, sql).ask(t.Context()); !strings.Contains(why, want) || !math.IsNaN(a.value) {
			t.Errorf("%s: %+v, %q, want %q", sql, a, why, want)
		}
	}
	if a, why := ofDatabase(t, database, "select count(*) from alerts").ask(t.Context()); a.value != 0 || why != "" {
		t.Errorf("a probe has written %v rows, %q", a.value, why)
	}
}

// The server itself gives up a little before the probe does.
func TestSlowQueryIsGivenUpOnTheServerToo(t *testing.T) {
	database := postgrestest.Database(t)
	slow := open(t, &spec.Probe{Name: "slow", Every: time.Second, Postgres: database, SQL: "select 1 from pg_sleep(600)"})[0]
	if _, why := slow.ask(t.Context()); !strings.Contains(why, "statement timeout") && !strings.Contains(why, "nothing within 1s") {
		t.Errorf("%q", why)
	}
	left := ofDatabase(t, database, "select count(*) from pg_stat_activity where datname = current_database() and query like '%pg_sleep(600)%' and state = 'active' and pid <> pg_backend_pid()")
	eventually(t, func() string {
		if a, why := left.ask(t.Context()); a.value != 0 {
			return fmt.Sprintf("%v queries go on: %s", a.value, why)
		}
		return ""
	})
}

// eventually asks again and again until there is no complaint.
func eventually(t *testing.T, complaint func() string) {
	t.Helper()
	const patience = time.Minute
	begun := time.Now()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		last := complaint()
		if last == "" {
			return
		}
		if time.Since(begun) > patience {
			t.Fatal(last)
		}
		<-again.C
	}
}

func TestProbesOfOneDatabaseShareAConnection(t *testing.T) {
	database := postgrestest.Database(t)
	const connections = "select count(*) from pg_stat_activity where datname = current_database()"
	all := open(t, &spec.Probe{Name: "a", SQL: connections, Postgres: database}, &spec.Probe{Name: "b", SQL: connections, Postgres: database})
	for range 5 {
		for _, p := range all {
			if a, why := p.ask(t.Context()); a.value != 1 || why != "" {
				t.Fatalf("%v connections, %q", a.value, why)
			}
		}
	}
	prepared := ofDatabase(t, database, "select count(*) from pg_prepared_statements")
	for range 2 {
		if a, why := prepared.ask(t.Context()); a.value != 0 || why != "" {
			t.Fatalf("%v prepared statements in the session, %q", a.value, why)
		}
	}
}

func TestHangingQueryHoldsUpNoOther(t *testing.T) {
	database := postgrestest.Database(t)
	execute(t, database, "create table locked (id int)")
	blocker, err := pgconn.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer hangUp(blocker)
	if _, err := blocker.Exec(t.Context(), "begin; lock table locked in access exclusive mode").ReadAll(); err != nil {
		t.Fatal(err)
	}
	all := open(t,
		&spec.Probe{Name: "hangs", SQL: "select count(*) from locked", Postgres: database},
		&spec.Probe{Name: "answers", SQL: "select 1", Postgres: database, Every: 3 * time.Second})
	ctx, cancel := context.WithCancel(t.Context())
	hung := make(chan string)
	go func() {
		_, why := all[0].ask(ctx)
		hung <- why
	}()
	waits := ofDatabase(t, database, "select count(*) from pg_locks where not granted and relation = 'locked'::regclass")
	eventually(t, func() string {
		if a, why := waits.ask(t.Context()); a.value != 1 {
			return "the first probe does not wait: " + why
		}
		return ""
	})
	if a, why := all[1].ask(t.Context()); a.value != 1 || why != "" {
		t.Errorf("the other probe gave %v, %q", a.value, why)
	}
	cancel()
	if why := <-hung; why == "" {
		t.Error("the first probe was answered")
	}
}

func TestProbeComesBackWithItsServer(t *testing.T) {
	database := postgrestest.Database(t)
	p := ofDatabase(t, database, "select 1")
	if _, why := p.ask(t.Context()); why != "" {
		t.Fatal(why)
	}
	execute(t, database, "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()")
	eventually(t, func() string { _, why := p.ask(t.Context()); return why })
}

func TestSilentDatabaseIsNamedWithoutItsPassword(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	nobody := url.URL{Scheme: "postgres", User: url.UserPassword("app", "hunter2"), Host: address, Path: "/soc"}
	all := open(t, &spec.Probe{Name: "alerts", SQL: "select 1", Postgres: nobody.String()})
	silent := Check(t.Context(), all)
	if len(silent) != 1 || silent[0].Probe != "alerts" || !strings.Contains(silent[0].Why, "connection refused") ||
		!strings.Contains(silent[0].Why, address) || !strings.Contains(silent[0].Hint, "app") {
		t.Errorf("%+v", silent)
	}
	if strings.Contains(fmt.Sprint(silent), "hunter2") {
		t.Errorf("a password is shown: %+v", silent)
	}
	_, err = Open([]*spec.Probe{{Name: "alerts", SQL: "select 1", Postgres: "postgres://app:hunter2@[::/soc", Pos: spec.Pos{File: "s.yaml", Line: 3, Col: 2}}}, nil, nil)
	if err == nil || !strings.HasPrefix(err.Error(), "s.yaml:3:2: probe alerts: ") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
}

// A server that takes connections and says nothing.
func TestMuteDatabaseIsGivenUp(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := open(t, &spec.Probe{Name: "mute", SQL: "select 1", Every: 200 * time.Millisecond, Postgres: "postgres://a@" + l.Addr().String() + "/b?sslmode=disable"})[0]
	if _, why := p.ask(t.Context()); !strings.Contains(why, "nothing within 200ms") {
		t.Errorf("%q", why)
	}
}
