package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"tollgate/internal/demo"
	"tollgate/specs"
)

// openTerminal returns a pseudo-terminal: what a person sees, and the end that
// a program writes to.
func openTerminal(t *testing.T, columns, rows uint16) (seen, end *os.File) {
	t.Helper()
	seen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { seen.Close() })
	if err := unix.IoctlSetPointerInt(int(seen.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(seen.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	end, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(end.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows}); err != nil {
		t.Fatal(err)
	}
	return seen, end
}

// onTerminal runs a command on a terminal of its own until it has drawn
// pictures, sends it a signal, and returns all that was seen and the exit code.
func onTerminal(t *testing.T, pictures int, env []string, args ...string) (string, int) {
	t.Helper()
	seen, end := openTerminal(t, 80, 24)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Args[0] = "runner" // which TestMain goes by
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), append([]string{"TERM=xterm", "CI=", "NO_COLOR="}, env...)...)
	cmd.Stderr = end
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end.Close()
	var text bytes.Buffer
	chunk := make([]byte, 4096)
	for sent := false; ; {
		n, err := seen.Read(chunk)
		text.Write(chunk[:n])
		if !sent && (strings.Count(text.String(), wrapOn) >= pictures || pictures == 0 && strings.Contains(text.String(), "0 errors so far")) {
			sent = true
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, syscall.EIO) { // the program has closed its end
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	_ = cmd.Wait() // the state tells
	return text.String(), cmd.ProcessState.ExitCode()
}

// quickSOC serves a SOC system that answers at once.
func quickSOC(t *testing.T) *demo.Server {
	t.Helper()
	server, err := demo.Start("127.0.0.1:0", demo.NewSOC(demo.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server
}

func socFile(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "soc.yaml")
	if err := os.WriteFile(name, specs.SOC, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestPictureIsRedrawnInPlaceAndTheCursorComesBackAfterASignal(t *testing.T) {
	t.Parallel()
	text, got := onTerminal(t, 2, nil, "run", socFile(t), "--target", quickSOC(t).URL, "--ramp", "0s")
	if got != int(interrupted) {
		t.Errorf("exit code %d, want %d: %q", got, interrupted, text)
	}
	picture, after, _ := strings.Cut(text, showCursor)
	for _, want := range []string{hideCursor, "\x1b[1m", "steady", "requests", "p95", "\r\x1b["} {
		if !strings.Contains(picture, want) {
			t.Errorf("the picture lacks %q: %q", want, picture)
		}
	}
	if strings.Contains(after, "\x1b") || !strings.Contains(after, "report: ") {
		t.Errorf("after the picture: %q", after)
	}
}

func TestColoursAndPicturesAreWithheldWhereTheyAreNotWanted(t *testing.T) {
	t.Parallel()
	url, file := quickSOC(t).URL, socFile(t)
	t.Run("NO_COLOR", func(t *testing.T) {
		t.Parallel()
		text, _ := onTerminal(t, 1, []string{"NO_COLOR=1"}, "run", file, "--target", url)
		if strings.Contains(text, "\x1b[1m") || !strings.Contains(text, hideCursor) {
			t.Errorf("%q", text)
		}
	})
	for _, env := range []string{"CI=true", "TERM=dumb"} {
		t.Run(env, func(t *testing.T) {
			t.Parallel()
			text, _ := onTerminal(t, 0, []string{env}, "run", file, "--target", url)
			if strings.Contains(text, "\x1b") || !strings.Contains(text, "steady") {
				t.Errorf("%q", text)
			}
		})
	}
}

func TestRunLeavesNoGoroutineAndNoFile(t *testing.T) {
	server := quickSOC(t)
	file := filepath.Join(t.TempDir(), "quick.yaml")
	err := os.WriteFile(file, []byte(`
version: 1
name: quick
target: {url: "`+server.URL+`"}
endpoints: {home: GET /}
personas: {visitor: {weight: 1, think: 5ms..10ms, tasks: {home: 1}}}
stages: [steady: {users: 5, for: 300ms}]
slos: [p95 < 1s]
confidence: off
`), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	run := func() {
		c, stdout, stderr := typed(t, "run", file, "--out", t.TempDir())
		if c != pass {
			t.Errorf("exit code %d: %s%s", c, stdout, stderr)
		}
	}
	run() // which starts what the runtime keeps
	before := openFiles()
	kept := goleak.IgnoreCurrent()
	run()
	if after := openFiles(); after > before {
		t.Errorf("%d files are open, and there were %d", after, before)
	}
	goleak.VerifyNone(t, kept, goleak.IgnoreAnyFunction("net/http.(*conn).serve"))
}

func TestConnectionsLeaveRoomForOtherFiles(t *testing.T) {
	for _, c := range []struct {
		limit uint64
		open  int
		want  int
	}{{1024, 10, 950}, {64, 10, 1}, {1 << 63, 10, 1<<30 - 74}} {
		if got := connectionsWithin(c.limit, c.open); got != c.want {
			t.Errorf("%d of %d open: %d, want %d", c.open, c.limit, got, c.want)
		}
	}
}

func TestRunGoesOnWhenNobodyReadsItsProgress(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	read.Close()
	cmd := exec.Command(program, "run", socFile(t), "--target", quickSOC(t).URL, "--profile", "smoke", "--ramp", "0s", "--for", "3s", "--out", "out")
	cmd.Args[0] = "runner" // which TestMain goes by
	cmd.Dir = t.TempDir()
	cmd.Stderr = write
	// What the run finds is not the question on a busy machine: that it ends by
	// itself, with a verdict, is.
	if err := cmd.Run(); err != nil && cmd.ProcessState.ExitCode() != int(inconclusive) {
		t.Errorf("the run: %v", err)
	}
	write.Close()
	if _, err := os.Stat(filepath.Join(cmd.Dir, "out", "verdict.json")); err != nil {
		t.Error(err)
	}
}
