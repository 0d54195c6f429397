//go:build unix

package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"tollgate/internal/demo"
	"tollgate/internal/postgres/postgrestest"
)

// seededSpec prepares a database, cleans what the load makes, and reads it.
const seededSpec = `version: 1
name: seeded
target: {url: "${env.SOC_URL}", ready: GET /health}
env: [SOC_URL]
endpoints: {list: GET /api/threats}
personas: {user: {tasks: {list: 1}, think: 100ms}}
stages: [{steady: {users: 2, for: 2s}}]
confidence: off
slos: [errors < 1%]
probes: {rows: {sql: select count(*) from users}}
seed:
  postgres: ${secret("DATABASE_URL")}
  rows:
    - {table: users, count: 300, row: {id: "${100 + n}"}}
`

// seededTables have a trigger that makes each row slow while it is armed.
const seededTables = `create table users (id int primary key); insert into users values (1);
	create table slow (at text); create function wait() returns trigger language plpgsql as $$ begin
		if exists (select from slow where at = TG_OP) then perform pg_sleep(60); end if; return coalesce(new, old); end $$;
	create trigger wait before insert or delete on users for each row execute function wait()`

// a prepared database, and a system to load.
type prepared struct {
	t        *testing.T
	dir, at  string
	soc      *watchedSOC
	url      string // of the system
	database string // what DATABASE_URL is; at unless a test puts something in between
}

func prepare(t *testing.T, knobs demo.Knobs) *prepared {
	t.Helper()
	p := &prepared{t: t, dir: t.TempDir(), at: postgrestest.Database(t)}
	p.soc = &watchedSOC{SOC: demo.NewSOC(demo.Options{Knobs: knobs}), waiting: map[int]chan struct{}{}}
	server, err := demo.Start("127.0.0.1:0", p.soc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	p.url, p.database = server.URL, p.at
	if err := os.WriteFile(filepath.Join(p.dir, "spec.yaml"), []byte(seededSpec), 0o644); err != nil {
		t.Fatal(err)
	}
	p.sql(seededTables)
	if code, out := p.wait(p.start("seed", "spec.yaml", "--mark"), patience); code != 0 {
		t.Fatal(out)
	}
	if code, out := p.wait(p.start("clean", "spec.yaml"), patience); code != 0 {
		t.Fatal(out)
	}
	return p
}

// sql runs statements, and returns the first value of the last.
func (p *prepared) sql(text string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgconn.Connect(ctx, p.at)
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.Close(ctx)
	results, err := conn.Exec(ctx, text).ReadAll()
	if err != nil {
		p.t.Fatal(err)
	}
	if last := results[len(results)-1]; len(last.Rows) > 0 {
		return string(last.Rows[0][0])
	}
	return ""
}

// until waits for a condition of SQL.
func (p *prepared) until(condition string) {
	p.t.Helper()
	for begun := time.Now(); p.sql("select "+condition) != "t"; {
		if time.Since(begun) > patience {
			p.t.Fatalf("never: %s", condition)
		}
	}
}

// a command that runs.
type command struct {
	*exec.Cmd
	out  strings.Builder
	gone chan struct{}
}

func (p *prepared) start(args ...string) *command {
	p.t.Helper()
	c := &command{Cmd: exec.Command("runner", args...), gone: make(chan struct{})}
	c.Dir = p.dir
	c.Env = append(os.Environ(), "SOC_URL="+p.url, "DATABASE_URL="+p.database)
	c.Stdout, c.Stderr = &c.out, &c.out
	if err := c.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		defer close(c.gone)
		_ = c.Wait() // the state tells
	}()
	p.t.Cleanup(func() {
		_ = c.Process.Kill() // long over, if all went well
		<-c.gone
	})
	return c
}

func (p *prepared) wait(c *command, within time.Duration) (int, string) {
	p.t.Helper()
	select {
	case <-c.gone:
	case <-time.After(within):
		p.t.Fatalf("still running after %v", within)
	}
	return c.ProcessState.ExitCode(), c.out.String()
}

// interrupted sends SIGINT and asks for exit code 9 in the time that is promised.
func (p *prepared) interrupted(c *command) string {
	p.t.Helper()
	begun := time.Now()
	if err := c.Process.Signal(syscall.SIGINT); err != nil {
		p.t.Fatal(err)
	}
	code, out := p.wait(c, patience)
	took := time.Since(begun)
	p.t.Logf("ended %v after the signal", took)
	const promised, busy = 7 * time.Second, 2 * time.Second // a machine that has other things to do
	if code != 9 || took > promised+busy {
		p.t.Errorf("exit code %d after %v:\n%s", code, took, out)
	}
	return out
}

// emptied asks that a clean leaves nothing.
func (p *prepared) emptied() {
	p.t.Helper()
	p.sql("delete from slow")
	if code, out := p.wait(p.start("clean", "spec.yaml"), patience); code != 0 {
		p.t.Errorf("clean: exit code %d: %s", code, out)
	}
	if n := p.sql("select count(*) from users"); n != "1" {
		p.t.Errorf("%s users are left", n)
	}
}

func (p *prepared) verdict(folder string) (v struct {
	ExitCode int      `json:"exit_code"`
	Reasons  []string `json:"reasons"`
}) {
	p.t.Helper()
	b, err := os.ReadFile(filepath.Join(p.dir, folder, "verdict.json"))
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	if err != nil {
		p.t.Error(err)
	}
	return v
}

func TestInterruptedSeedEndsInTime(t *testing.T) {
	p := prepare(t, demo.Knobs{})
	p.sql("insert into slow values ('INSERT')")
	c := p.start("run", "spec.yaml", "--out", "out")
	p.until("count(*) > 0 from pg_stat_activity where datname = current_database() and query like 'COPY%'")
	p.interrupted(c)
	if v := p.verdict("out"); v.ExitCode != 9 {
		t.Errorf("%+v", v)
	}
	p.emptied()
}

func TestInterruptedCleaningEndsInTimeAndIsNoPass(t *testing.T) {
	p := prepare(t, demo.Knobs{})
	p.sql("insert into slow values ('DELETE')")
	const deleting = "count(*) > 0 from pg_stat_activity where datname = current_database() and query like 'DELETE FROM%users%' and state = 'active'"
	c := p.start("run", "spec.yaml", "--out", "out", "--for", "1s")
	p.until(deleting)
	out := p.interrupted(c)
	v := p.verdict("out")
	if v.ExitCode != 9 || !strings.Contains(strings.Join(v.Reasons, "\n"), "runner clean spec.yaml") {
		t.Errorf("%+v\n%s", v, out)
	}
	again := p.start("clean", "spec.yaml")
	p.until(deleting)
	if out := p.interrupted(again); !strings.Contains(out, "SIGINT") {
		t.Error(out)
	}
	p.emptied()
}

// A wall passes bytes on until it is closed: then it is silent.
type wall struct {
	net.Listener
	mu     sync.Mutex
	closed bool
	opened chan struct{} // when the test is over
}

func (w *wall) shut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
}

func (w *wall) pass(to io.Writer, from io.Reader) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		w.mu.Lock()
		closed := w.closed
		w.mu.Unlock()
		if closed {
			<-w.opened
		}
		if err != nil {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// behind puts a wall before the database.
func (p *prepared) behind() *wall {
	p.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		p.t.Fatal(err)
	}
	u, err := url.Parse(p.at)
	if err != nil {
		p.t.Fatal(err)
	}
	w := &wall{Listener: l, opened: make(chan struct{})}
	host := u.Host
	u.Host = l.Addr().String()
	p.database = u.String()
	p.t.Cleanup(func() { close(w.opened); l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", host)
			if err != nil {
				in.Close()
				continue
			}
			for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
				go func() {
					defer pair[0].Close()
					w.pass(pair[0], pair[1])
				}()
			}
		}
	}()
	return w
}

func TestInterruptedRunEndsInTimeThoughItsDatabaseIsSilent(t *testing.T) {
	knobs := demo.DefaultKnobs()
	knobs.Latency = time.Minute
	p := prepare(t, knobs)
	w := p.behind()
	loaded := p.soc.after(1)
	c := p.start("run", "spec.yaml", "--out", "out", "--for", "60s")
	select {
	case <-loaded:
	case <-time.After(patience):
		t.Fatal("no load")
	}
	w.shut()
	p.interrupted(c)
	if v := p.verdict("out"); v.ExitCode != 9 || !strings.Contains(strings.Join(v.Reasons, "\n"), "runner clean spec.yaml") {
		t.Errorf("%+v", v)
	}
	p.sql("delete from tollgate.lease") // it could not be given back
	p.database = p.at
	p.emptied()
}

// Whoever has lost the database in the middle has measured nobody knows what.
func TestRunWhoseDatabaseWasTakenIsNotJudged(t *testing.T) {
	p := prepare(t, demo.Knobs{})
	loaded := p.soc.after(1)
	c := p.start("run", "spec.yaml", "--out", "out", "--keep-data", "--for", "2s")
	select {
	case <-loaded:
	case <-time.After(patience):
		t.Fatal("no load")
	}
	p.sql("update tollgate.lease set token = 'other', holder = 'elsewhere'")
	if code, out := p.wait(c, patience); code != 4 {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	p.sql("delete from tollgate.lease")
	p.emptied()
}

// The dead of this machine hold nothing.
func TestKilledRunFreesTheDatabaseAtOnce(t *testing.T) {
	p := prepare(t, demo.Knobs{})
	loaded := p.soc.after(1)
	c := p.start("run", "spec.yaml", "--out", "out", "--for", "60s")
	select {
	case <-loaded:
	case <-time.After(patience):
		t.Fatal("no load")
	}
	if code, out := p.wait(p.start("clean", "spec.yaml"), patience); code != 6 {
		t.Errorf("beside a run that lives: exit code %d: %s", code, out)
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-c.gone
	p.emptied()
}
