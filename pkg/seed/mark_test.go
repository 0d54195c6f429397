package seed

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tollgate/internal/postgres"
	"tollgate/internal/postgres/postgrestest"
)

const places = `CREATE TABLE places (id uuid PRIMARY KEY, name varchar(20) NOT NULL UNIQUE, kind text);
	INSERT INTO places VALUES ('00000000-0000-4000-8000-000000000001', 'theirs', 'foreign')`

// placesOf is a section of some places.
const tenPlaces = `{table: places, count: 10, row: {id: "${uuid()}", name: "place ${n}"}}`

func placesOf() string { return rows("- " + tenPlaces) }

// The server's own log is the witness.
func TestUnmarkedDatabaseIsOnlyRead(t *testing.T) {
	server, err := postgres.Start(within(t), postgres.Options{Settings: map[string]string{"log_statement": "all", "log_line_prefix": "%a|"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	if _, err := server.CreateDatabase(within(t), "app"); err != nil {
		t.Fatal(err)
	}
	at, err := server.Database("app")
	if err != nil {
		t.Fatal(err)
	}
	run(t, at, places)
	log := filepath.Join(filepath.Dir(run(t, at, "SHOW data_directory")), "log")
	statements := regexp.MustCompile(`(?m)^tollgate\|.*?(?:statement|execute [^:]*): (.*)`)
	sent := func() (verbs []string) {
		b, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range statements.FindAllStringSubmatch(string(b), -1) {
			verb, _, _ := strings.Cut(strings.TrimSpace(m[1]), " ")
			verbs = append(verbs, strings.ToUpper(verb))
		}
		return verbs
	}
	before := contents(t, at)
	attempt := func(want string) {
		t.Helper()
		d := opened(t, parsed(t, at, placesOf()), Options{})
		for _, try := range []func() error{
			func() error { return d.Marked(within(t)) },
			func() error { _, err := d.Check(within(t)); return err },
			func() error { _, err := d.Acquire(within(t)); return err },
			func() error { _, err := d.Recover(within(t)); return err },
			func() error { _, err := d.Fill(within(t)); return err },
			func() error { _, err := d.Clean(within(t)); return err },
		} {
			if err := try(); err != nil && !errors.Is(err, ErrRefused) {
				t.Error(err)
			}
		}
		if err := d.Marked(within(t)); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--mark") {
			t.Error(err)
		}
		d.Close()
	}
	attempt("is not marked")
	verbs := sent()
	if len(verbs) < 5 {
		t.Fatalf("the log shows %q", verbs)
	}
	for _, v := range verbs {
		if v != "SELECT" && v != "WITH" {
			t.Errorf("%s was sent to a database that is not marked", v)
		}
	}
	if after := contents(t, at); after != before {
		t.Error("rows changed")
	}

	// Marked, it is another database once it is a copy.
	if err := opened(t, parsed(t, at, placesOf()), Options{}).Mark(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := opened(t, parsed(t, at, placesOf()), Options{}).Marked(within(t)); err != nil {
		t.Error(err)
	}
	run(t, at, `UPDATE tollgate.marker SET oid = '1'`)
	attempt("marked on another server")
	run(t, at, `UPDATE tollgate.marker SET oid = (SELECT oid::text FROM pg_database WHERE datname = current_database()), system = '1'`)
	attempt("marked on another server")
	run(t, at, `UPDATE tollgate.marker SET database = 'production'`)
	attempt("marked as the database production, and is app")
	run(t, at, `DELETE FROM tollgate.marker`)
	attempt("is not marked")
	for _, v := range sent() {
		if v == "COPY" || v == "DELETE" || v == "UPDATE" {
			t.Errorf("%s was sent to a database that is not the marked one", v)
		}
	}
}

func TestRoleNeedsNoMoreThanItsRights(t *testing.T) {
	admin := database(t, places+`; CREATE TABLE visits (id bigserial PRIMARY KEY, place uuid REFERENCES places);
		DROP ROLE IF EXISTS "load'er"; CREATE ROLE "load'er" LOGIN PASSWORD 'pass'`)
	t.Cleanup(func() { _, _ = tried(context.Background(), admin, `DROP OWNED BY "load'er"; DROP ROLE "load'er"`) })
	u, err := url.Parse(admin)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("load'er", "pass")
	seed := placesOf() + "\nclean:\n  - {table: visits, where: {place: {in: places.id}}}"
	plain := opened(t, parsed(t, u.String(), seed), Options{})
	err = plain.Mark(within(t))
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "may create schemas") {
		t.Errorf("a role without rights: %v", err)
	}
	marked := opened(t, parsed(t, admin, seed), Options{})
	if err := marked.Mark(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := plain.Marked(within(t)); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "may not use the schema") {
		t.Errorf("before anything is granted: %v", err)
	}
	rights := marked.Rights("load'er")
	for _, more := range []string{"TRUNCATE", "REFERENCES", "TRIGGER", "UPDATE ON \"places\"", "CREATE", "ALL"} {
		if strings.Contains(rights, more) {
			t.Errorf("asks for %s:\n%s", more, rights)
		}
	}
	run(t, admin, `GRANT USAGE ON SCHEMA tollgate TO "load'er"; GRANT SELECT ON tollgate.marker TO "load'er"`)
	faults, err := plain.Check(within(t))
	if err != nil || len(faults) != 2 || !strings.Contains(faults[0].Hint, `GRANT SELECT, INSERT, DELETE ON "public"."places"`) {
		t.Errorf("%v, %+v", err, faults)
	}
	run(t, admin, rights)
	before := contents(t, admin)
	ctx, err := plain.Acquire(within(t))
	if err != nil {
		t.Fatal(err)
	}
	filled(t, plain, ctx)
	run(t, admin, `INSERT INTO visits (place) SELECT id FROM places WHERE name LIKE 'place %'`)
	if c := cleaned(t, plain); c != (Cleaned{Run: "run-1", Seeded: 10, Deleted: 10, Made: 10}) {
		t.Errorf("%+v", c)
	}
	if after := contents(t, admin); after != before {
		t.Error("rows changed")
	}
}

// What is printed when a database is marked is all that a role needs.
func TestRightsAreEnough(t *testing.T) {
	admin := database(t, `CREATE TABLE kinds (id serial PRIMARY KEY, name text); INSERT INTO kinds (name) VALUES ('one');
		CREATE TABLE "Odd ""one" (id serial PRIMARY KEY); CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, kind int REFERENCES kinds);
		CREATE TABLE lines (id serial PRIMARY KEY, "order" bigint REFERENCES orders ON DELETE CASCADE); CREATE TABLE logs (at timestamptz);
		DROP ROLE IF EXISTS enough; CREATE ROLE enough LOGIN PASSWORD 'pass'`)
	t.Cleanup(func() { _, _ = tried(context.Background(), admin, `DROP OWNED BY enough; DROP ROLE enough`) })
	u, err := url.Parse(admin)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("enough", "pass")
	seed := rows(`- {table: orders, count: 5, row: {kind: '${lookup("kinds", "name", "one").id}'}}`) + "\nclean:\n  - {table: logs, where: {at: {since: run}}}"
	marker := opened(t, parsed(t, admin, seed), Options{})
	if err := marker.Mark(within(t)); err != nil {
		t.Fatal(err)
	}
	if faults, err := marker.Check(within(t)); err != nil || faults != nil {
		t.Fatal(err, faults)
	}
	run(t, admin, marker.Rights("enough"))
	d := opened(t, parsed(t, u.String(), seed), Options{})
	ctx, err := d.Acquire(within(t))
	if err != nil {
		t.Fatal(err)
	}
	filled(t, d, ctx)
	if got := cleaned(t, d); got.Deleted != 5 {
		t.Errorf("%+v", got)
	}
}

// No form of a password shows, whatever goes wrong.
func TestPasswordIsNeverShown(t *testing.T) {
	const password = "c4n@ry/p w%\"x"
	forms := []string{password, url.QueryEscape(password), url.PathEscape(password), url.UserPassword("", password).String()[1:], `c4n@ry/p w%\"x`, "c4n"}
	hidden := func(what string, err error) {
		t.Helper()
		if err == nil {
			t.Errorf("%s: no error", what)
			return
		}
		for _, f := range forms {
			if strings.Contains(err.Error(), f) {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	refusing, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := refusing.Addr().String()
	refusing.Close()
	base, err := url.Parse(postgrestest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	user := url.UserPassword("postgres", password).String()
	for what, at := range map[string]string{
		"nobody listens": "postgres://" + user + "@" + closed + "/app?sslmode=disable",
		"no such role":   "postgres://" + url.UserPassword("nobody "+"x", password).String() + "@" + base.Host + base.Path + "?sslmode=disable",
		"wrong password": "postgres://" + user + "@" + base.Host + base.Path + "?sslmode=disable",
		"in a parameter": "postgres://postgres@" + base.Host + base.Path + "?sslmode=disable&password=" + url.QueryEscape(password),
		"no database":    "postgres://" + user + "@" + base.Host + "/?sslmode=disable",
	} {
		s := parsed(t, at, placesOf())
		_, err := Open(within(t), s, Options{RunID: "r"})
		hidden(what, err)
		if !errors.Is(err, ErrUnreachable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	// The parser refuses these; who builds a spec by hand meets them here.
	for what, at := range map[string]string{
		"malformed":      "postgres://postgres:c4n@ry/p w%@host:x/y",
		"pairs":          "host=127.0.0.1 dbname=app sslmode=nonsense password=c4n",
		"no host":        "postgres:///app?password=c4n",
		"empty":          " ",
		"another scheme": "mysql://root:c4n@host/db",
	} {
		_, err := parseAddress(at, "", nil, nil)
		hidden(what, err)
	}
	// The server quotes what it was sent.
	s := parsed(t, base.String(), rows(`- {table: places, row: {id: "${uuid()}", name: `+"'${secret(\"DATABASE_URL\")}'"+`}}`))
	run(t, base.String(), strings.Replace(places, "varchar(20)", "text CHECK (length(name) < 20)", 1))
	d, ctx := held(t, s, Options{})
	if faults, err := d.Check(ctx); err != nil || faults != nil {
		t.Fatal(err, faults)
	}
	_, err = d.Fill(ctx)
	secret, _ := base.User.Password()
	if err == nil || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), base.String()) {
		t.Errorf("the server's refusal: %v", err)
	}
}
