package reach

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"tollgate/internal/postgres/postgrestest"
)

// foreign gives this process the environment of somebody who works with
// databases: other credentials wherever libpq looks for them.
func foreign(t *testing.T, host, port string) {
	home := t.TempDir()
	write := func(name, text string) string {
		at := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return at
	}
	write(".pgpass", "*:*:*:*:stolen\n")
	write(".pg_service.conf", "[prod]\nhost=prod.test\npassword=stolen\n")
	for _, name := range []string{"postgresql.crt", "postgresql.key", "root.crt"} {
		write(".postgresql/"+name, "no PEM: whoever reads it fails\n")
	}
	for name, value := range map[string]string{
		"HOME": home, "PGHOST": host, "PGPORT": port, "PGDATABASE": "prod", "PGUSER": "stolen", "PGPASSWORD": "stolen",
		"PGPASSFILE": filepath.Join(home, ".pgpass"), "PGSERVICE": "prod", "PGSERVICEFILE": filepath.Join(home, ".pg_service.conf"),
		"PGAPPNAME": "stolen", "PGOPTIONS": "-c search_path=stolen", "PGSSLMODE": "verify-full", "PGTZ": "Asia/Tokyo", "PGCONNECT_TIMEOUT": "77",
		"PGTARGETSESSIONATTRS": "standby", "PGSSLROOTCERT": "/nowhere", "PGREQUIREAUTH": "none", "PGCHANNELBINDING": "require",
	} {
		t.Setenv(name, value)
	}
}

func TestConnectionTakesNothingFromTheEnvironment(t *testing.T) {
	for _, dsn := range []string{
		"postgres://app@127.0.0.1/shop", "postgres://app@127.0.0.1:99/shop?sslmode=require", "host=127.0.0.1 user=app dbname=shop",
		"postgres://app:own@[::1]/shop?application_name=mine", "postgres://app@/shop?host=127.0.0.1,localhost&port=1,2",
	} {
		bare, err := Hosts(nil).Postgres(dsn)
		if err != nil {
			t.Fatal(dsn, err)
		}
		t.Run(dsn, func(t *testing.T) {
			foreign(t, "192.0.2.1", "1")
			got, err := Hosts(nil).Postgres(dsn)
			if err != nil {
				t.Fatal(err)
			}
			if os.Getenv("PGPASSWORD") != "stolen" || os.Getenv("HOME") == "" {
				t.Error("the environment is another one now")
			}
			for _, c := range []*pgconn.Config{got, bare} { // what cannot be compared
				c.LookupFunc, c.DialFunc, c.BuildFrontend, c.BuildContextWatcherHandler, c.OnPgError = nil, nil, nil, nil, nil
			}
			if !reflect.DeepEqual(got, bare) {
				t.Errorf("%+v\n%+v", got, bare)
			}
		})
	}
}

// And a server is reached as the string says, and sees nothing else.
func TestServerSeesOnlyWhatTheConnectionStringSays(t *testing.T) {
	at := postgrestest.Database(t)
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	foreign(t, "192.0.2.1", "1")
	config, err := Hosts{"127.0.0.1", "localhost", filepath.Clean(u.Query().Get("host"))}.Postgres(at)
	if err != nil {
		t.Fatal(err)
	}
	config.ConnectTimeout = time.Minute
	conn, err := pgconn.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	read, err := conn.Exec(t.Context(), "select current_user, current_database(), current_setting('application_name'), current_setting('search_path') like '%stolen%'").ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range read[0].Rows[0] {
		got = append(got, string(v))
	}
	if diff := cmp.Diff([]string{u.User.Username(), strings.Trim(u.Path, "/"), "", "f"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestConnectionStringMustSayWhereAndWho(t *testing.T) {
	for dsn, want := range map[string]error{
		"postgres:///shop":                                      errNoHost,
		"postgres://app@/shop":                                  errNoHost,
		"postgres://127.0.0.1/shop":                             errNoUser,
		"host=127.0.0.1 dbname=shop":                            errNoUser,
		"host=127.0.0.1 user=app":                               errNoDatabase,
		"postgres://app@127.0.0.1":                              errNoDatabase,
		"postgres://app:hunter2@h:x/y":                          errNoString,
		"postgres://app@127.0.0.1/shop?passfile=/etc/passwd":    errForeign,
		"postgres://app@127.0.0.1/shop?pass%66ile=/etc/passwd":  errForeign,
		"postgres://app@h/shop?service=prod":                    errForeign,
		"postgres://app@h/shop?servicefile=/srv/x&service=prod": errForeign,
		"host=h user=app dbname=shop sslkey=/srv/key":           errForeign,
		"host=h user=app dbname=shop sslcert='/srv/crt'":        errForeign,
	} {
		if _, err := Hosts(nil).Postgres(dsn); err != want {
			t.Errorf("%s: %v, want: %v", dsn, err, want)
		}
	}
}

func TestDatabaseIsReachedOnlyWhereThatIsAllowed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	accepted := make(chan struct{}, 1)
	go func() {
		if conn, err := l.Accept(); err == nil {
			conn.Close()
			accepted <- struct{}{}
		}
	}()
	at := (&url.URL{Scheme: "postgres", User: url.User("app"), Host: l.Addr().String(), Path: "/shop"}).String()
	for _, c := range []struct {
		hosts Hosts
		dsn   string
	}{
		{Hosts{"10.0.0.0/8"}, at},
		{Hosts{"10.0.0.0/8"}, "postgres://app@10.0.0.1,127.0.0.1/shop?connect_timeout=1"},
		{Hosts{"10.0.0.0/8"}, "postgres://app@/shop?host=/run/postgresql"},
		{nil, "postgres://app@169.254.169.254/shop"},
		{Hosts{"*"}, "postgres://app@[::ffff:169.254.169.254]/shop"},
	} {
		config, err := c.hosts.Postgres(c.dsn)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.hosts.Places(t.Context(), config); Refused(err) == nil {
			t.Errorf("%s with %v: %v", c.dsn, c.hosts, err)
		}
		if strings.Contains(c.dsn, "10.0.0.1,") {
			continue // the first of them may be tried
		}
		if _, err := pgconn.ConnectConfig(t.Context(), config); Refused(err) == nil {
			t.Errorf("%s with %v is connected to: %v", c.dsn, c.hosts, err)
		}
	}
	select {
	case <-accepted:
		t.Fatalf("port %d was connected to", port)
	default:
	}
}
