package seed

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

const usersTables = `
CREATE TYPE userrole AS ENUM ('dispatcher', 'responder');
CREATE TABLE agencies (id uuid PRIMARY KEY, name text NOT NULL);
CREATE TABLE teams (id uuid PRIMARY KEY, agency_id uuid NOT NULL REFERENCES agencies, name text NOT NULL);
CREATE TABLE users (
	id uuid PRIMARY KEY, email varchar(255) NOT NULL UNIQUE, hashed_password varchar(255) NOT NULL, full_name varchar(200) NOT NULL,
	badge_number varchar(50), role userrole NOT NULL, is_active boolean NOT NULL, agency_id uuid REFERENCES agencies, team_id uuid REFERENCES teams,
	created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE sessions (id bigserial PRIMARY KEY, user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE);
CREATE INDEX ON sessions (user_id);
CREATE TABLE audit_logs (id bigserial PRIMARY KEY, user_id uuid REFERENCES users)`

const usersRows = `
- {table: agencies, as: agency, row: {id: "${uuid()}", name: Load}}
- {table: teams, count: 20, row: {id: "${uuid()}", agency_id: "${agency.id}", name: "Team ${n}"}}
- table: users
  count: COUNT
  row:
    id: ${uuid()}
    email: user${n}@load.example
    hashed_password: ${bcrypt("TestPass123456!", COST)}
    full_name: User ${n}
    badge_number: ${format("R%07d", n)}
    role: '${n % 2 == 0 ? "dispatcher" : "responder"}'
    is_active: ${n % 10 != 0}
    agency_id: ${agency.id}
    team_id: ${pick(teams, n).id}`

// usersOf is a section of count users.
func usersOf(count, cost int) string {
	return rows(strings.NewReplacer("COUNT", strconv.Itoa(count), "COST", strconv.Itoa(cost)).Replace(usersRows))
}

// fromEnv is a number that an environment variable may raise, for a night.
func fromEnv(t testing.TB, name string, usual int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// The server spends most of the time on references: two of each user are checked
// when it is written, and two of others to it when it is deleted.
// TOLLGATE_SEED_ROWS=1000000 is what is promised to take 15 s, 30 s and 100 MB.
func TestManyRowsAreWrittenAndTakenBackInLittleMemory(t *testing.T) {
	count := fromEnv(t, "TOLLGATE_SEED_ROWS", 12_000)
	url := database(t, usersTables)
	d, ctx := held(t, parsed(t, url, usersOf(count, 4)), Options{})
	before := peak(t)
	sum := filled(t, d, ctx)
	t.Logf("%d rows written in %v; peak memory %d MB, %d MB before", sum.Rows, sum.Took, peak(t)>>20, before>>20)
	began := time.Now()
	c := cleaned(t, d)
	t.Logf("deleted in %v", time.Since(began))
	if c.Deleted != sum.Rows || sum.Rows != int64(count)+21 {
		t.Errorf("%+v of %d", c, sum.Rows)
	}
	if mb := peak(t) >> 20; mb > 100 && !raced {
		t.Errorf("the process held %d MB", mb)
	}
}

var raced bool
