package spec

import (
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tollgate/internal/expr"
)

func TestRowsDrawByWhatTheyAreAndByNothingElse(t *testing.T) {
	seen := map[expr.Key]string{}
	for seed := range uint64(3) {
		for table := range 3 {
			for n := range int64(50) {
				key := RowKey(seed, table, n+1)
				if key != RowKey(seed, table, n+1) {
					t.Fatal("the same row has two keys")
				}
				if was := seen[key]; was != "" {
					t.Fatalf("seed %d, table %d, row %d has the key of %s", seed, table, n+1, was)
				}
				seen[key] = "another row"
				if load := expr.NewKey(seed, uint64(table), uint64(n), 0); load == key {
					t.Fatal("a row shares its key with a user")
				}
			}
		}
	}
}

// seeded is testdata/sound/seeded.yaml, with the database set.
func seeded(t *testing.T, env map[string]string) *Spec {
	t.Helper()
	src, err := folder("sound")("seeded.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(src), Options{Env: func(name string) (string, bool) { v, ok := env[name]; return v, ok }})
}

// memory makes rows and keeps nothing: a column of a row made before is
// evaluated again, which by the key of the row gives the same.
type memory struct {
	seed   *Seed
	random uint64
}

func (m memory) ctx(table int, n int64) *expr.Ctx {
	return &expr.Ctx{Key: RowKey(m.random, table, n), Row: n, Rows: m, Now: 1767323045000006789}
}

func (m memory) Column(table, column int, n int64) (expr.Value, error) {
	return m.seed.Tables[table].Columns[column].Value.Value(m.ctx(table, n))
}

func (m memory) Lookup(table, column string, v expr.Value, want string) (expr.Value, error) {
	return expr.Str(strings.Join([]string{table, column, v.Text(), want}, "/")), nil
}

func (m memory) Bcrypt(password string, cost int) (string, error) {
	return fmt.Sprintf("$2b$%02d$%s", cost, password), nil
}

// cell returns what the seed writes into a column of row n: of a JSON column its
// text.
func (m memory) cell(t *testing.T, table, column string, n int64) expr.Value {
	t.Helper()
	for i, entry := range m.seed.Tables {
		if entry.As != table {
			continue
		}
		for _, c := range entry.Columns {
			if c.Name != column {
				continue
			}
			if !c.JSON {
				v, err := c.Value.Value(m.ctx(i, n))
				if err != nil {
					t.Fatalf("%s.%s: %v", table, column, err)
				}
				return v
			}
			b, err := c.Value.Append(nil, m.ctx(i, n))
			if err != nil || !json.Valid(b) {
				t.Fatalf("%s.%s: %q, %v", table, column, b, err)
			}
			return expr.RawJSON(string(b))
		}
	}
	t.Fatalf("no %s.%s", table, column)
	return expr.Value{}
}

func TestSeedOfTheRealSystemIsWrittenAsItsOwnWritesIt(t *testing.T) {
	s := seeded(t, nil)
	m := memory{s.Seed, 7}
	sums := map[string]int64{}
	for _, entry := range s.Seed.Tables {
		sums[entry.Table] += entry.Count
	}
	want := map[string]int64{"agencies": 1, "users": 350, "public.buildings": 50, "resources": 60, "incidents": 50, "alerts": 100}
	if diff := cmp.Diff(want, sums); diff != "" {
		t.Error(diff)
	}
	for _, c := range []struct {
		table, column string
		n             int64
		want          expr.Value
	}{
		{"agency", "is_active", 1, expr.Boolean(true)},
		{"dispatchers", "email", 100, expr.Str("dispatcher100@test.eriop.local")},
		{"dispatchers", "badge_number", 1, expr.Value{}},
		{"dispatchers", "hashed_password", 1, expr.Str("$2b$12$TestPass123456!")},
		{"dispatchers", "failed_login_attempts", 1, expr.Integer(0)},
		{"dispatchers", "agency_id", 50, m.cell(t, "agency", "id", 1)},
		{"responders", "badge_number", 7, expr.Str("R0007")},
		{"responders", "role_id", 7, expr.Str("roles/name/responder/id")},
		{"alert_systems", "full_name", 50, expr.Str("Alert System 50")},
		{"buildings", "civic_number", 1, expr.Str("1001")},
		{"buildings", "postal_code", 3, expr.Str("H1H 003")},
		{"buildings", "total_floors", 10, expr.Integer(1)},
		{"buildings", "basement_levels", 3, expr.Integer(1)},
		{"buildings", "basement_levels", 4, expr.Integer(0)},
		{"buildings", "has_elevator", 1, expr.Boolean(false)},
		{"vehicles", "call_sign", 40, expr.Str("V-040")},
		{"vehicles", "status", 30, expr.Str("available")},
		{"vehicles", "status", 31, expr.Str("out_of_service")},
		{"equipment", "current_latitude", 16, expr.Value{}},
		{"incidents", "category", 1, expr.Str("medical")}, // i % 5, from i = 1
		{"incidents", "category", 5, expr.Str("fire")},
		{"incidents", "priority", 5, expr.Integer(1)},
		{"incidents", "status", 4, expr.Str("new")},
		{"incidents", "address", 9, expr.Str("1009 Test Street")},
		{"incidents", "assigned_units", 1, expr.RawJSON("[]")},
		{"incidents", "building_id", 2, m.cell(t, "buildings", "id", 2)},
		{"alerts", "status", 50, expr.Str("pending")},
		{"alerts", "status", 51, expr.Str("acknowledged")},
		{"alerts", "raw_payload", 1, expr.RawJSON(`{"test":true,"baseline":true}`)},
		{"alerts", "received_at", 60, expr.Str("2026-01-02T03:04:05.000006+00:00")},
	} {
		if got := m.cell(t, c.table, c.column, c.n); got.Kind() != c.want.Kind() || !got.Equal(c.want) {
			t.Errorf("%s.%s of row %d is %q", c.table, c.column, c.n, got.Text())
		}
	}
	if lat, ok := m.cell(t, "buildings", "latitude", 3).Float(); !ok || math.Abs(lat-45.5317) > 1e-9 {
		t.Error(lat)
	}
	var meta struct {
		Serial any
		Label  string
		Tags   []string
		None   any
	}
	if err := json.Unmarshal([]byte(m.cell(t, "equipment", "metadata", 4).Text()), &meta); err != nil || meta.Serial != 4.0 || meta.Label != "E-4" || meta.None != nil {
		t.Errorf("%+v, %v", meta, err)
	}
	for _, entry := range s.Seed.Tables {
		for _, c := range entry.Columns {
			fleeting := c.Name == "hashed_password" || c.Name == "role_id" || strings.HasSuffix(c.Name, "_at")
			if c.Fleeting != fleeting {
				t.Errorf("%s.%s is fleeting: %v", entry.As, c.Name, c.Fleeting)
			}
		}
	}
	if !s.Seed.Salted {
		t.Error("hashes are shared")
	}
}

func TestSameRandomSeedMakesTheSameRows(t *testing.T) {
	s := seeded(t, nil)
	drawn := map[string]string{}
	for _, random := range []uint64{1, 2} {
		for i, entry := range s.Seed.Tables {
			for _, c := range entry.Columns {
				if c.Name != "id" && c.Name != "acknowledged_by_id" {
					continue
				}
				for n := range int64(min(entry.Count, 20)) {
					a, errA := c.Value.Value(memory{s.Seed, random}.ctx(i, n+1))
					b, errB := c.Value.Value(memory{seeded(t, nil).Seed, random}.ctx(i, n+1))
					if errA != nil || errB != nil || !a.Equal(b) {
						t.Fatalf("%s.%s: %s, then %s", entry.As, c.Name, a.Text(), b.Text())
					}
					if c.Name != "id" {
						continue
					}
					here := fmt.Sprintf("%d %s %d", random, entry.As, n)
					if was := drawn[a.Text()]; was != "" {
						t.Fatalf("%s has the id of %s", here, was)
					}
					drawn[a.Text()] = here
				}
			}
		}
	}
}

// What users do must not change what rows draw, and what rows draw must not
// change what users do: an added seed would be another load.
func TestSeedAndLoadDrawApart(t *testing.T) {
	with := func(seed, endpoint string) (rows, body string) {
		s := parse(t, fmt.Sprintf(`version: 1
name: a
target: {url: "http://127.0.0.1:1"}
endpoints: {%s a: {request: POST /, json: "${uuid()}"}}
personas: {p: {tasks: {a: 1}}}
stages: [steady: {users: 1, for: 1m}]
seed: {postgres: "dbname=a", rows: [%s {table: t, row: {id: "${uuid()}"}}]}
`, endpoint, seed), Options{})
		last := len(s.Seed.Tables) - 1
		v, err := s.Seed.Tables[last].Columns[0].Value.Value(memory{s.Seed, 1}.ctx(0, 1))
		if err != nil {
			t.Fatal(err)
		}
		b, err := s.Endpoints[len(s.Endpoints)-1].Body.Append(nil, &expr.Ctx{Key: 1})
		if err != nil {
			t.Fatal(err)
		}
		return v.Text(), string(b)
	}
	rows, body := with("", "")
	if other, _ := with("", `b: "GET /${uuid()}",`); other != rows {
		t.Error("another endpoint changes a row")
	}
	if _, other := with(`{table: s, row: {id: "${uuid()}"}},`, ""); other != body {
		t.Error("another table changes a request")
	}
}

func TestConditionOnATableOfSeveralItemsIsOneForEach(t *testing.T) {
	s := seeded(t, nil)
	type where struct {
		table string
		cols  int
		in    string
	}
	var got []where
	for _, c := range s.Seed.Clean {
		w := where{table: c.Table, cols: len(c.Where)}
		if c.Where[0].InRows {
			w.in = s.Seed.Tables[c.Where[0].InTable].As + "." + c.Where[0].InColumn
		}
		got = append(got, w)
	}
	want := []where{{"audit_logs", 1, "dispatchers.id"}, {"audit_logs", 1, "responders.id"}, {"audit_logs", 1, "alert_systems.id"}, {"incidents", 2, ""}, {"alerts", 2, ""}}
	if !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
	last := s.Seed.Clean[3:]
	if w := last[0].Where; w[0].Like != "Incident %" || w[0].Column != "title" || !w[1].SinceRun || w[1].Like != "" {
		t.Errorf("%+v", w)
	}
	if w := last[1].Where; len(w[0].In) != 2 || w[0].In[1].Text() != "alarm_system" || w[1].Eq == nil || w[1].Eq.Text() != "Zone at test.eriop.local" {
		t.Errorf("%+v", w)
	}
}

func TestPlainNameMeansTheRowsAboveThatAreCalledSo(t *testing.T) {
	src := func(rows string) string {
		return strings.Replace(shop, "slos:", "seed:\n  postgres: dbname=a\n  rows:\n"+rows+"slos:", 1)
	}
	s := parse(t, src(`    - {table: app.users, count: 2, row: {id: "${uuid()}"}}
    - {table: orders, row: {user: "${pick(users, n).id}"}}
    - {table: users, count: 3, row: {id: "${pick(users, n).id}"}}
`), Options{})
	m := memory{s.Seed, 1}
	if s.Seed.Tables[0].As != "users" || s.Seed.Tables[0].Table != "app.users" {
		t.Errorf("%+v", s.Seed.Tables[0])
	}
	first, _ := s.Seed.Tables[0].Columns[0].Value.Value(m.ctx(0, 1))
	for i := 1; i <= 2; i++ {
		if v, err := s.Seed.Tables[i].Columns[0].Value.Value(m.ctx(i, 1)); err != nil || !v.Equal(first) {
			t.Errorf("%s, %v", v.Text(), err)
		}
	}
}

func TestSpecIsSoundWithoutItsDatabase(t *testing.T) {
	if s := seeded(t, nil); s.Seed.Postgres != "" || s.Seed.Where() != "" || s.probe("alerts_stored").Postgres != "" {
		t.Errorf("%+v", s.Seed)
	}
	for _, dsn := range []string{`${secret("A")}`, `${env.A}`, `postgres://u:${secret("A")}@127.0.0.1/app`, `${secret("A") ?? env.A}`, `password=${secret("A")} dbname=a`} {
		src := strings.Replace(shop, "slos:", "env: [A]\nseed: {postgres: '"+dsn+"', rows: [{table: t, row: {a: 1}}]}\nslos:", 1)
		if s := parse(t, src, Options{Env: noEnv}); s.Seed.Postgres != "" {
			t.Errorf("%s is %q", dsn, s.Seed.Postgres)
		}
		set := parse(t, src, Options{Env: func(string) (string, bool) { return "postgres://x", true }})
		if set.Seed.Postgres == "" {
			t.Errorf("%s is unset", dsn)
		}
	}
}

func TestPasswordOfTheDatabaseIsASecretAndItsPlaceIsNot(t *testing.T) {
	for dsn, want := range map[string]struct {
		where   string
		secrets []string
	}{
		"postgres://app:hunter2@db.test:5433/shop?sslmode=require":     {"postgres://db.test:5433/shop", []string{"hunter2"}},
		"postgresql://app:hun%2Fter%402@db.test/shop":                  {"postgres://db.test/shop", []string{"hun/ter@2", "hun%2Fter%402"}},
		"postgres://app:a@b@db.test/shop":                              {"postgres://db.test/shop", []string{"a@b"}},
		"postgres://app@db.test":                                       {"postgres://db.test", nil},
		"postgres:///shop?host=/var/run/postgresql&password=p%26q":     {"postgres:///var/run/postgresql/shop", []string{"p&q", "p%26q"}},
		"postgres://a:b@h1:1,h2:2/x":                                   {"postgres://h1:1,h2:2/x", []string{"b"}},
		"host=db.test port=5433 dbname=shop user=app password=hunter2": {"postgres://db.test:5433/shop", []string{"hunter2"}},
		`password = 'it\'s here' host='db.test' dbname=shop`:           {"postgres://db.test/shop", []string{"it's here", `it\'s here`}},
		`dbname=shop password=a\ b sslpassword=key`:                    {"postgres:///shop", []string{"a b", `a\ b`, "key"}},
		"dbname=shop": {"postgres:///shop", nil},
	} {
		s := seeded(t, map[string]string{"ERIOP_DATABASE_URL": dsn})
		if got := s.Seed.Where(); got != want.where {
			t.Errorf("%s is at %s", dsn, got)
		}
		if s.Seed.Postgres != dsn || s.probe("alerts_stored").Postgres != dsn {
			t.Errorf("%q", s.Seed.Postgres)
		}
		for _, secret := range append(want.secrets, dsn, "look here") {
			if !slices.Contains(s.Secrets, secret) {
				t.Errorf("%s: %q is no secret", dsn, secret)
			}
			if secret != dsn && strings.Contains(s.Seed.Where(), secret) {
				t.Errorf("%s shows %q", dsn, secret)
			}
		}
	}
}

func TestPlaceNeverShowsAPassword(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		password := rapid.StringMatching(`[a-z0-9 '\\@:/?&=%#]{5,20}`).Draw(t, "password")
		for _, dsn := range []string{
			"postgres://" + url.UserPassword("u", "X"+password+"X").String() + "@h.test/db",
			"postgres://h.test/db?password=" + url.QueryEscape("X"+password+"X"),
			"host=h.test dbname=db password='X" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(password) + "X'",
		} {
			where, secrets, why := parseDSN(dsn)
			if why != "" || where != "postgres://h.test/db" || !slices.Contains(secrets, "X"+password+"X") {
				t.Fatalf("%s: %q, %q, %s", dsn, where, secrets, why)
			}
		}
	})
}

func TestDigestOfASeedIsOfWhatItSays(t *testing.T) {
	src := strings.Replace(shop, "slos:", `values:
  domain: a.test
  mail: "x@${domain}"
  kind: [a, b]
  other: 1
seed:
  postgres: ${secret("DB")}
  rows: [{table: t, count: 2, row: {mail: "${n}${mail}", kind: "${pick(kind)}"}}]
  clean: [{table: u, where: {a: {eq: 1}}}]
slos:`, 1)
	of := func(old, new string, o Options) string {
		t.Helper()
		if !strings.Contains(src, old) {
			t.Fatalf("no %q", old)
		}
		return parse(t, strings.Replace(src, old, new, 1), o).Seed.Digest
	}
	want := of("", "", Options{})
	for what, got := range map[string]string{
		"another database":    of("", "", Options{Env: func(string) (string, bool) { return "dbname=b", true }}),
		"another placeholder": of(`secret("DB")`, `secret("DC")`, Options{}),
		"another value":       of("other: 1", "other: 2", Options{}),
		"another load":        of("list: 3", "list: 4", Options{}),
		"a comment":           of("clean:", "# what is left\n  clean:", Options{}),
	} {
		if got != want {
			t.Errorf("%s is another seed", what)
		}
	}
	seen := map[string]string{want: "the seed"}
	for what, got := range map[string]string{
		"count":           of("count: 2", "count: 3", Options{}),
		"text":            of("${n}${mail}", "${n}-${mail}", Options{}),
		"value":           of(`mail: "x@`, `mail: "y@`, Options{}),
		"value behind it": of("domain: a.test", "domain: b.test", Options{}),
		"--set":           of("", "", Options{Set: []string{"values.domain=c.test"}}),
		"set":             of("[a, b]", "[a, c]", Options{}),
		"clean":           of("eq: 1", "eq: 2", Options{}),
		"type":            of("eq: 1", `eq: "1"`, Options{}),
		"salt":            of("  clean:", "  salted: each\n  clean:", Options{}),
	} {
		if was := seen[got]; was != "" {
			t.Errorf("another %s is the same seed as %s", what, was)
		}
		seen[got] = "another " + what
	}
}

func TestProbesAreReadWhereTheySay(t *testing.T) {
	s := seeded(t, map[string]string{"ERIOP_DATABASE_URL": "postgres://db/eriop"})
	get := func(s *Spec, name string) Probe {
		p := *s.probe(name)
		p.Pos, p.Name, p.path = Pos{}, "", ""
		return p
	}
	want := map[string]Probe{
		"alerts_stored":  {Every: 5 * time.Second, SQL: "select count(*) from alerts", Postgres: "postgres://db/eriop"},
		"pg_connections": {Every: 2 * time.Second, SQL: "select count(*) from pg_stat_activity", Postgres: "host=127.0.0.1 dbname=eriop user=watch password='look here'"},
		"heap":           {Every: 5 * time.Second, Scrape: "http://127.0.0.1:8000/api/metrics", Metric: "process_resident_memory_bytes"},
		"answers":        {Every: 5 * time.Second, Scrape: "http://127.0.0.1:9100/metrics", Metric: "http_requests_total", Labels: map[string]string{"code": "200", "job": "test.eriop.local"}},
		"queue":          {Every: 10 * time.Second, Prometheus: "http://127.0.0.1:9090", Query: `sum(queue_length{app="alerts"})`},
	}
	for name, w := range want {
		got := get(s, name)
		if !reflect.DeepEqual(got, w) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if len(s.Probes) != len(want) || s.Probes[0].Name != "alerts_stored" {
		t.Errorf("%d probes", len(s.Probes))
	}
	c, faults := s.With(Override{Target: "https://u:p@other.test/v2/"})
	if faults != nil {
		t.Fatal(faults)
	}
	if got := get(c, "heap").Scrape; got != "https://other.test/v2/metrics" {
		t.Errorf("a page of the target is read at %s", got)
	}
	if get(c, "answers").Scrape != want["answers"].Scrape || get(s, "heap").Scrape != want["heap"].Scrape {
		t.Error("another target moves what it should not")
	}
}

func TestPasswordOfAServerIsASecret(t *testing.T) {
	s := parse(t, strings.Replace(shop, "slos:", "probes: {a: {prometheus: 'http://me:hunter2@p.test', query: up}}\nslos:", 1), Options{})
	if !slices.Contains(s.Secrets, "hunter2") {
		t.Errorf("%q", s.Secrets)
	}
}

func TestPromiseAboutAProbeIsJudgedWhereItSays(t *testing.T) {
	s := seeded(t, nil)
	var got []string
	for _, promise := range s.SLOs {
		o := promise.Objective
		var stages []string
		for _, st := range s.Judged(o) {
			stages = append(stages, st.Name)
		}
		got = append(got, fmt.Sprintf("%s: %s %v", o.Text, strings.Join(stages, "+"), s.WholeRun(o)))
	}
	want := []string{
		"pg_connections < 80: steady false",
		"pg_connections <= 5 during rest: rest false",
		"heap <= 512MiB: steady false",
		"delta(alerts_stored) >= successes{endpoint=ingest}: steady+rest true",
		"delta(alerts_stored) > 100: steady+rest true",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	c, faults := s.With(Override{Stages: []string{"steady"}})
	if faults != nil || len(c.SLOs) != 4 || len(c.Dropped) != 1 {
		t.Errorf("%v, %q", faults, c.Dropped)
	}
	short := time.Second
	if c, faults = s.With(Override{For: &short}); faults != nil || len(c.Dropped) == 0 || !strings.Contains(strings.Join(c.Dropped, "\n"), "read every 2s") {
		t.Errorf("%v, %q", faults, c.Dropped)
	}
}

func TestProfileReplacesTheSeedAndTheProbes(t *testing.T) {
	src := strings.Replace(shop, "profiles:\n", `seed: {postgres: dbname=a, rows: [{table: t, count: 1000, row: {a: 1}}]}
probes: {stored: {sql: select 1}}
profiles:
  small: {seed: {postgres: dbname=b, rows: [{table: t, row: {a: 1}}]}, probes: {other: {sql: select 2}}}
`, 1)
	if s := parse(t, src, Options{}); s.Seed.Tables[0].Count != 1000 || s.Probes[0].Postgres != "dbname=a" {
		t.Errorf("%+v", s.Seed)
	}
	if s := parse(t, src, Options{Profile: "small"}); s.Seed.Tables[0].Count != 1 || s.Probes[0].Name != "other" || s.Probes[0].Postgres != "dbname=b" {
		t.Errorf("%+v", s.Seed)
	}
}

func TestTrafficSeesTheSeedAndNotWhereItIsPut(t *testing.T) {
	seeded := travelled + "seed: {postgres: dbname=a, rows: [{table: t, row: {a: 1}}]}\n"
	want := trafficOf(t, seeded, Options{})
	if want == trafficOf(t, travelled, Options{}) || want == trafficOf(t, strings.Replace(seeded, "a: 1", "a: 2", 1), Options{}) {
		t.Error("requests that meet other rows are the same traffic")
	}
	if want != trafficOf(t, strings.Replace(seeded, "dbname=a", "dbname=b", 1), Options{}) {
		t.Error("another place of the database is other traffic")
	}
	if want != trafficOf(t, seeded+"probes: {x: {sql: select 1}}\n", Options{}) {
		t.Error("a probe is other traffic")
	}
}

func TestSeedOfTheMostRowsIsReadAtOnce(t *testing.T) {
	src := strings.Replace(shop, "slos:", "seed: {postgres: dbname=a, rows: [{table: t, count: 50000000, row: {a: '${n}'}}]}\nslos:", 1)
	if s := parse(t, src, Options{}); s.Seed.Tables[0].Count != 50_000_000 {
		t.Errorf("%+v", s.Seed.Tables[0])
	}
}
