package postgres_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"tollgate/internal/postgres"
	"tollgate/internal/postgres/postgrestest"
)

// asked makes the test program a process that starts a server, says where, and
// waits to be killed.
const asked = "TOLLGATE_TEST_HOLD_A_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(asked) != "" {
		hold()
	}
	goleak.VerifyTestMain(m)
}

func hold() {
	server, err := postgres.Start(context.Background(), postgres.Options{})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println(server.URL)
	io.Copy(io.Discard, os.Stdin)
	os.Exit(1)
}

func open(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func TestEachTestHasADatabaseOfItsOwn(t *testing.T) {
	for range 2 {
		t.Run("", func(t *testing.T) {
			conn := open(t, postgrestest.Database(t))
			defer conn.Close(context.Background())
			if _, err := conn.Exec(context.Background(), "CREATE TABLE mine (n int)"); err != nil {
				t.Fatal(err)
			}
		})
	}
	conn := open(t, postgrestest.Server(t).URL)
	var left int
	if err := conn.QueryRow(context.Background(), "SELECT count(*) FROM pg_database WHERE datname LIKE 'test\\_%'").Scan(&left); err != nil {
		t.Fatal(err)
	}
	if left != 0 {
		t.Errorf("%d databases are left after their tests", left)
	}
}

func TestPrivateServerWantsItsPassword(t *testing.T) {
	u, err := url.Parse(postgrestest.Server(t).URL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("postgres", "guessed")
	_, err = postgres.Start(context.Background(), postgres.Options{URL: u.String()})
	if err == nil || strings.Contains(err.Error(), "guessed") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v, want one line without the password", err)
	}
}

func TestServerFoundByItsURLIsLeftAlone(t *testing.T) {
	found, err := postgres.Start(context.Background(), postgres.Options{URL: postgrestest.Server(t).URL})
	if err != nil {
		t.Fatal(err)
	}
	if found.Crash() == nil || found.Shutdown() == nil || found.Restart(context.Background()) == nil {
		t.Error("a server that was only found was stopped")
	}
	if err := found.Close(); err != nil {
		t.Error(err)
	}
	open(t, postgrestest.Server(t).URL)
}

func TestWhatIsCommittedOutlivesACrash(t *testing.T) {
	ctx := context.Background()
	server := postgrestest.Own(t)
	conn := open(t, server.URL)
	if _, err := conn.Exec(ctx, "CREATE TABLE kept AS SELECT 7 AS n"); err != nil {
		t.Fatal(err)
	}
	for _, stop := range []func() error{server.Crash, server.Shutdown} {
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if err := conn.Ping(ctx); err == nil {
			t.Error("a connection outlived its server")
		}
		if err := server.Restart(ctx); err != nil {
			t.Fatal(err)
		}
		conn = open(t, server.URL)
		var n int
		if err := conn.QueryRow(ctx, "SELECT n FROM kept").Scan(&n); err != nil || n != 7 {
			t.Errorf("read %d, %v", n, err)
		}
	}
	dir := home(t, server.URL)
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s is left after Close: %v", dir, err)
	}
}

// home is the folder of a private server.
func home(t *testing.T, url string) string {
	t.Helper()
	conn := open(t, url)
	defer conn.Close(context.Background())
	var data string
	if err := conn.QueryRow(context.Background(), "SHOW data_directory").Scan(&data); err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(data)
}

func TestKilledParentLeavesNothing(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asked+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	at := strings.TrimSpace(line)
	dir := home(t, at)
	watching := open(t, at)
	cmd.Process.Kill()
	cmd.Wait()

	// The server's end is seen on a connection; the folder goes right after.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := watching.WaitForNotification(ctx); err == nil || ctx.Err() != nil {
		t.Errorf("the server outlived its parent: %v", err)
	}
	for !gone(dir) {
		if ctx.Err() != nil {
			t.Fatalf("%s is left after a minute", dir)
		}
		runtime.Gosched()
	}
}

// emptyTemp gives the test a folder for temporary files that everybody may walk
// to, and returns a check that nothing is left in it.
func emptyTemp(t *testing.T) (check func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "open-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", dir)
	return func() {
		t.Helper()
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%v are left, %v", left, err)
		}
	}
}

func gone(dir string) bool {
	_, err := os.Stat(dir)
	return os.IsNotExist(err)
}

func TestServerThatCannotStartSaysWhy(t *testing.T) {
	left := emptyTemp(t)
	_, err := postgres.Start(context.Background(), postgres.Options{Settings: map[string]string{"max_connections": "-5"}})
	if err == nil || !strings.Contains(err.Error(), "max_connections") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v, want one line that names the setting", err)
	}
	left()
}

func TestCancelledStartLeavesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	left := emptyTemp(t)
	if _, err := postgres.Start(ctx, postgres.Options{}); err == nil {
		t.Error("started for nobody")
	}
	left()
}
