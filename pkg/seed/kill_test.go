package seed

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"tollgate/internal/postgres/postgrestest"
	"tollgate/pkg/spec"
)

// usersSeed is rows with references, and what the load makes of them.
var usersSeed = usersOf(1000, 4) + `
clean:
  - {table: sessions, where: {user_id: {in: users.id}}}
  - {table: audit_logs, where: {user_id: {in: users.id}}}`

// load is what a load would do between seeding and cleaning.
const load = `INSERT INTO sessions (user_id) SELECT id FROM users WHERE email LIKE 'user1%@load.example';
	INSERT INTO audit_logs (user_id) SELECT id FROM users WHERE email LIKE 'user%@load.example';
	DELETE FROM sessions WHERE id % 3 = 0 AND user_id IN (SELECT id FROM users WHERE email LIKE '%@load.example')`

// foreign is what others have in the same tables.
const foreign = `INSERT INTO agencies VALUES (gen_random_uuid(), 'theirs');
	INSERT INTO teams SELECT gen_random_uuid(), id, 'theirs' FROM agencies;
	INSERT INTO users (id, email, hashed_password, full_name, role, is_active, agency_id) SELECT gen_random_uuid(), 'user' || n || '@theirs.example', '', '', 'responder', true, a.id FROM generate_series(1, 50) n, agencies a;
	INSERT INTO sessions (user_id) SELECT id FROM users; INSERT INTO audit_logs (user_id) SELECT id FROM users`

// many makes a transaction of each two blocks.
func many(run string) Options {
	return Options{RunID: run, chunk: 2, Now: noon}
}

// once goes through a whole run.
func once(ctx context.Context, s *spec.Spec, at string, o Options) error {
	d, err := Open(ctx, s, o)
	if err != nil {
		return err
	}
	defer d.Close()
	held, err := d.Acquire(ctx)
	if err != nil {
		return err
	}
	fmt.Println("held")
	if _, err := d.Recover(ctx); err != nil {
		return err
	}
	if _, err := d.Fill(held); err != nil {
		return err
	}
	if _, err := tried(ctx, at, load); err != nil {
		return err
	}
	_, err = d.Clean(ctx)
	return err
}

const helperVariable = "TOLLGATE_SEED_HELPER"

// TestMain is also the process that is killed.
func TestMain(m *testing.M) {
	at := os.Getenv(helperVariable)
	if at == "" {
		code := m.Run()
		dropEmptied()
		os.Exit(code)
	}
	t := &testing.B{} // for what parsed wants of it
	err := once(context.Background(), parsed(t, at, usersSeed), at, many(os.Getenv("TOLLGATE_SEED_RUN")))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// recovered is the next start after a run that died.
func recovered(t testing.TB, at string, o Options) {
	t.Helper()
	d := opened(t, parsed(t, at, usersSeed), o)
	defer d.Close()
	if _, err := d.Acquire(within(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Recover(within(t)); err != nil {
		t.Fatal(err)
	}
}

// restored fails the test unless the database is as it was.
func restored(t testing.TB, at, before, what string) {
	t.Helper()
	if after := contents(t, at); after != before {
		t.Fatalf("%s: before\n%s\nafter\n%s", what, before, after)
	}
	if left := run(t, at, `SELECT (SELECT count(*) FROM tollgate.ledger) + (SELECT count(*) FROM tollgate.keys) + (SELECT count(*) FROM tollgate.run WHERE state <> 'done')`); left != "0" {
		t.Fatalf("%s: %s records remain", what, left)
	}
}

// TOLLGATE_SEED_KILLS=100 for all of a release.
func TestKilledProcessLeavesNoRowBehindTheNextStart(t *testing.T) {
	at := database(t, usersTables+";"+foreign)
	before := contents(t, at)
	d := opened(t, parsed(t, at, usersSeed), Options{})
	if err := d.Mark(within(t)); err != nil {
		t.Fatal(err)
	}
	start := func(run string) (*exec.Cmd, *bufio.Reader) {
		cmd := exec.CommandContext(within(t), os.Args[0])
		cmd.Env = append(os.Environ(), helperVariable+"="+at, "TOLLGATE_SEED_RUN="+run)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(out)
		if line, err := r.ReadString('\n'); line != "held\n" {
			t.Fatalf("%q, %v", line, err)
		}
		return cmd, r
	}
	cmd, out := start("whole")
	began := time.Now()
	_, _ = io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	whole := time.Since(began)
	restored(t, at, before, "whole")
	states := map[string]int{}
	for i := range fromEnv(t, "TOLLGATE_SEED_KILLS", 5) {
		run1 := fmt.Sprintf("killed-%d", i)
		cmd, _ := start(run1)
		after := time.Duration(rand.Int64N(int64(whole)))
		<-time.After(after) // the instant is chance's
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		states[run(t, at, `SELECT coalesce((SELECT state FROM tollgate.run WHERE run = '`+run1+`'), 'nothing')`)]++
		// The dead do not give back; to wait for 30 s is another test's.
		run(t, at, `DELETE FROM tollgate.lease`)
		recovered(t, at, many("after-"+run1))
		restored(t, at, before, fmt.Sprintf("killed after %v of %v", after, whole))
	}
	t.Logf("a run took %v; when killed, it was %v", whole, states)
}

// interrupted fills and cleans while strike disturbs, and then once more in
// peace. It returns whether the disturbance was felt.
func interrupted(t *testing.T, at, through string, i int, strike func(d *Database)) (felt bool) {
	t.Helper()
	o := many(fmt.Sprintf("struck-%d-%d", i, rand.Uint32()))
	o.beat, o.expiry = 200*time.Millisecond, 30*time.Second
	d := opened(t, parsed(t, through, usersSeed), o)
	defer d.Close()
	held, err := d.Acquire(within(t))
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	wait.Go(func() { strike(d) })
	sum, err := d.Fill(held)
	if err == nil {
		_, err = d.Clean(within(t))
	} else if !errors.Is(err, ErrSeed) || sum.Rows != 0 {
		t.Errorf("%+v, %v", sum, err)
	}
	wait.Wait()
	felt = err != nil
	// As long as it takes, a broken connection is made anew.
	limit := within(t)
	for {
		if _, err = d.Clean(limit); err == nil {
			return felt
		}
		if !errors.Is(err, ErrUnclean) || limit.Err() != nil {
			t.Fatal(err)
		}
	}
}

func soon(most time.Duration) { <-time.After(time.Duration(rand.Int64N(int64(most)))) }

func TestTerminatedBackendsLeaveNoRow(t *testing.T) {
	at := database(t, usersTables+";"+foreign)
	before := contents(t, at)
	d := opened(t, parsed(t, at, usersSeed), Options{})
	if err := d.Mark(within(t)); err != nil {
		t.Fatal(err)
	}
	felt := 0
	for i := range fromEnv(t, "TOLLGATE_SEED_KILLS", 3) {
		if interrupted(t, at, at, i, func(*Database) {
			soon(800 * time.Millisecond)
			run(t, at, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tollgate' AND datname = current_database()`)
		}) {
			felt++
		}
		restored(t, at, before, "backends terminated")
	}
	t.Logf("felt %d times", felt)
}

func TestCrashedServerLeavesNoRow(t *testing.T) {
	server := postgrestest.Own(t)
	at, err := server.CreateDatabase(within(t), "app")
	if err != nil {
		t.Fatal(err)
	}
	run(t, at, usersTables+";"+foreign)
	before := contents(t, at)
	d := opened(t, parsed(t, at, usersSeed), Options{})
	if err := d.Mark(within(t)); err != nil {
		t.Fatal(err)
	}
	d.Close()
	felt := 0
	for i := range fromEnv(t, "TOLLGATE_SEED_KILLS", 2) {
		if interrupted(t, at, at, i, func(*Database) {
			soon(500 * time.Millisecond)
			if err := server.Crash(); err != nil {
				t.Error(err)
			}
			if err := server.Restart(within(t)); err != nil {
				t.Error(err)
			}
		}) {
			felt++
		}
		restored(t, at, before, "server crashed")
	}
	t.Logf("felt %d times", felt)
}

// proxy passes bytes on to a server, and cuts its connections without a word.
type proxy struct {
	listener net.Listener
	mu       sync.Mutex
	left     int64 // bytes to the server until all connections are cut; below 0: no end
	conns    []net.Conn
}

func (p *proxy) serve(to string) {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", to)
		if err != nil {
			in.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, in, out)
		p.mu.Unlock()
		go func() {
			_, _ = io.Copy(in, out)
			in.Close()
		}()
		go func() {
			defer out.Close()
			buf := make([]byte, 1024)
			for {
				n, err := in.Read(buf)
				if err != nil || !p.pass(int64(n)) {
					return
				}
				if _, err := out.Write(buf[:n]); err != nil {
					return
				}
			}
		}()
	}
}

// pass reports whether n more bytes may go to the server.
func (p *proxy) pass(n int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left < 0 {
		return true
	}
	if p.left -= n; p.left > 0 {
		return true
	}
	p.left = -1
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
	return false
}

func TestCutConnectionInTheMiddleOfACopyLeavesNoRow(t *testing.T) {
	at := database(t, usersTables+";"+foreign)
	before := contents(t, at)
	d := opened(t, parsed(t, at, usersSeed), Options{})
	if err := d.Mark(within(t)); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, left: -1}
	go p.serve(u.Host)
	t.Cleanup(func() { l.Close() })
	u.Host = l.Addr().String()
	felt, n := 0, fromEnv(t, "TOLLGATE_SEED_KILLS", 3)
	for i := range n {
		if interrupted(t, at, u.String(), i, func(*Database) {
			p.mu.Lock()
			p.left = 5_000 + rand.Int64N(150_000) // of some 250,000 that rows are
			p.mu.Unlock()
		}) {
			felt++
		}
		restored(t, at, before, "connection cut")
	}
	if felt < n {
		t.Errorf("%d of %d cuts were felt", felt, n)
	}
}
