//go:build unix

package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tollgate/internal/demo"
	"tollgate/internal/report"
	"tollgate/pkg/slo"
	"tollgate/specs"
)

// A victim is a run in a process of its own.
type victim struct {
	*exec.Cmd
	soc    *watchedSOC
	dir    string
	out    strings.Builder
	first  <-chan struct{}
	loaded time.Time // when the target got its first request of the load; read it when gone
	gone   chan struct{}
}

// newVictim starts a run against a system of its own.
func newVictim(t *testing.T, knobs demo.Knobs, flags ...string) *victim {
	t.Helper()
	v := &victim{soc: &watchedSOC{SOC: demo.NewSOC(demo.Options{Knobs: knobs}), waiting: map[int]chan struct{}{}}, dir: t.TempDir(), gone: make(chan struct{})}
	server, err := demo.Start("127.0.0.1:0", v.soc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	file := filepath.Join(v.dir, "soc.yaml")
	if err := os.WriteFile(file, specs.SOC, 0o644); err != nil {
		t.Fatal(err)
	}
	v.Cmd = exec.Command("runner", append([]string{"run", file, "--target", server.URL, "--profile", "verify", "--users", "10", "--ramp", "0s", "--quiet", "--loops", "1", "--out", filepath.Join(v.dir, "out")}, flags...)...)
	v.Stdout, v.Stderr = &v.out, &v.out
	v.first = v.soc.after(1)
	if err := v.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = v.Wait() // the state tells
	}()
	go func() {
		defer close(v.gone)
		select {
		case <-v.first:
			v.loaded = time.Now()
		case <-ended:
		}
		<-ended
	}()
	t.Cleanup(func() {
		_ = v.Process.Kill() // long over, if all went well
		<-v.gone
	})
	return v
}

// command runs a command line about the victim's folder and returns its code.
func (v *victim) command(t *testing.T, args ...string) (int, string) {
	t.Helper()
	out, err := exec.Command("runner", args...).CombinedOutput()
	var bad *exec.ExitError
	if err != nil && !errors.As(err, &bad) {
		t.Fatal(err)
	}
	if bad != nil {
		return bad.ExitCode(), string(out)
	}
	return 0, string(out)
}

// A run that is killed at any instant leaves a journal, from which a report is
// made that misses a second of it, says that it is incomplete, and never passes.
// TOLLGATE_KILLS says how many runs are killed.
func TestKilledRunIsRecoveredAndNeverCalledComplete(t *testing.T) {
	n := times(t, "TOLLGATE_KILLS", 5)
	const seconds = 4
	chance := rand.New(rand.NewPCG(6, 4))
	free := make(chan struct{}, 5)
	var all sync.WaitGroup
	var mu sync.Mutex
	recovered, early, over, missing := 0, 0, 0, time.Duration(0)
	for i := range n {
		wait := time.Duration(chance.Int64N(int64((seconds + 1) * time.Second)))
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			v := newVictim(t, demo.Knobs{Work: 5 * time.Millisecond}, "--for", fmt.Sprint(seconds, "s"))
			select {
			case <-time.After(wait):
			case <-v.gone:
			}
			killed := time.Now()
			_ = v.Process.Signal(syscall.SIGKILL)
			<-v.gone
			lived := time.Duration(0)
			if !v.loaded.IsZero() {
				lived = killed.Sub(v.loaded)
			}
			code, text := v.command(t, "report", "--recover", filepath.Join(v.dir, "out"))
			doc, err := readResult(filepath.Join(v.dir, "out"))
			mu.Lock()
			defer mu.Unlock()
			// One that is killed when all is in place has ended, though not exited.
			_, notWhole := storedRun(filepath.Join(v.dir, "out"))
			ended := v.ProcessState.Exited() || lived >= seconds*time.Second && notWhole == nil && code == int(badSpec)
			switch {
			case ended:
				over++
				if err != nil || !doc.Complete || code != int(badSpec) {
					t.Errorf("run %d ended by itself, and recovery says %d: %s%v", i, code, text, err)
				}
				return
			case err == nil && (doc.Complete || doc.Overall == slo.OverallPass || doc.ExitCode != int(interrupted)):
				t.Errorf("run %d was killed after %v of load, and its report says %v, complete %v, exit code %d", i, lived, doc.Overall, doc.Complete, doc.ExitCode)
			case err == nil && code == int(interrupted):
				recovered++
				if !doc.Accounting.Balanced || doc.Accounting.OK == 0 {
					t.Errorf("run %d: accounts %+v", i, doc.Accounting)
				}
				if _, err := os.Lstat(filepath.Join(v.dir, "out", report.JournalName)); err == nil {
					t.Errorf("run %d: the journal is still there", i)
				}
				missing = max(missing, lived-time.Duration(doc.Elapsed*1e9))
			case lived > 1500*time.Millisecond+patience/10:
				t.Errorf("run %d was killed after %v of load, and is not recovered: %d, %s", i, lived, code, text)
			default:
				early++
				if code != int(interrupted) && code != int(badSpec) || !strings.Contains(text, "nothing was measured") && !strings.Contains(text, "no journal") {
					t.Errorf("run %d was killed at once, and recovery says %d: %s", i, code, text)
				}
			}
		})
	}
	all.Wait()
	t.Logf("%d killed: %d recovered, missing at most %v; %d before the first second; %d had ended", n, recovered, missing, early, over)
	if missing > time.Second+patience/10 {
		t.Errorf("%v of a run are missing", missing)
	}
}

// What a pipeline does to a step that is cancelled: SIGINT, 7.5 s later SIGTERM,
// 2.5 s later SIGKILL. The report is there within 7 s of the first, even where
// the target never answers. TOLLGATE_CANCELS says how many runs are cancelled.
func TestCancelledStepLeavesItsReport(t *testing.T) {
	n := times(t, "TOLLGATE_CANCELS", 2)
	chance := rand.New(rand.NewPCG(7, 5))
	free := make(chan struct{}, 5)
	var all sync.WaitGroup
	var mu sync.Mutex
	slowest := time.Duration(0)
	for i := range n {
		wait := time.Duration(chance.Int64N(int64(3 * time.Second)))
		knobs := demo.Knobs{Work: 5 * time.Millisecond}
		if i%2 == 1 {
			knobs = demo.Knobs{Drops: 1} // no request is answered
		}
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			v := newVictim(t, knobs, "--for", "1m")
			select { // it listens to signals before it sends anything
			case <-v.first:
			case <-v.gone:
			case <-time.After(patience):
			}
			<-time.After(wait)
			_ = v.Process.Signal(syscall.SIGINT)
			begun := time.Now()
			for _, next := range []struct {
				after  time.Duration
				signal syscall.Signal
			}{{7500 * time.Millisecond, syscall.SIGTERM}, {2500 * time.Millisecond, syscall.SIGKILL}} {
				select {
				case <-v.gone:
				case <-time.After(next.after):
					_ = v.Process.Signal(next.signal)
				}
			}
			<-v.gone
			took := time.Since(begun)
			doc, err := readResult(filepath.Join(v.dir, "out"))
			mu.Lock()
			defer mu.Unlock()
			slowest = max(slowest, took)
			if id, same := storedRun(filepath.Join(v.dir, "out")); err != nil || same != nil || id == "" || doc.Complete || v.ProcessState.ExitCode() != int(interrupted) {
				t.Errorf("run %d: exit code %d after %v: %v, %v\n%s", i, v.ProcessState.ExitCode(), took, err, same, v.out.String())
			}
		})
	}
	all.Wait()
	t.Logf("%d cancelled, the report of the slowest after %v", n, slowest)
	if slowest > 7*time.Second {
		t.Errorf("a report took %v", slowest)
	}
}
