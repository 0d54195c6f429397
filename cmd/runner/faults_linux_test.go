package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tollgate/internal/demo"
	"tollgate/internal/report"
	"tollgate/specs"
)

// A fault is one that strace makes of the nth call of its kind in each thread.
type diskFault struct {
	call, error string
	nth         int
	only        string // the calls on this file alone; "" for all
}

func (f diskFault) String() string { return fmt.Sprintf("%s number %d: %s", f.call, f.nth, f.error) }

// screen reports whether the call may be one that has nothing to do with files.
func (f diskFault) screen() bool { return f.call == "write" && f.only == "" }

// under runs a command line with a fault, and reports its exit code and whether
// the fault came to pass.
func (f diskFault) under(t *testing.T, dir string, args ...string) (exitCode int, fired bool, output string) {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatal("strace makes the faults of a disk: install it, as with apt-get install strace")
	}
	log := filepath.Join(t.TempDir(), "log")
	run := []string{"-f", "-qq", "-o", log, "-e", "trace=" + f.call, "-e", fmt.Sprintf("inject=%s:error=%s:when=%d", f.call, f.error, f.nth)}
	if f.only != "" {
		run = append(run, "-P", f.only)
	}
	cmd := exec.Command(strace, append(append(run, "runner"), args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	var bad *exec.ExitError
	if err != nil && !errors.As(err, &bad) {
		t.Fatal(err)
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatalf("strace: %v: %s", err, out)
	}
	return cmd.ProcessState.ExitCode(), strings.Contains(string(text), "(INJECTED)"), string(out)
}

// older makes a folder that holds an older report, and returns what says
// whether it does still.
func older(t *testing.T) (dir string, same func() error) {
	t.Helper()
	dir = t.TempDir()
	names := []string{"result.json", "summary.md", "verdict.json"}
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("older "+name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir, func() error {
		for _, name := range names {
			if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(text) != "older "+name {
				return fmt.Errorf("%s: %d bytes of another report, %v", name, len(text), err)
			}
		}
		return nil
	}
}

// leftovers names what a command has left beside a report.
func leftovers(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".tollgate-") {
			names = append(names, e.Name())
		}
	}
	return names
}

// each tries faults of a kind from the first call on, several at once, until
// none fires any more.
func each(t *testing.T, kind diskFault, try func(diskFault) (fired bool)) (tried int) {
	t.Helper()
	const together, most = 4, 400
	for ; tried < most; tried += together {
		var all sync.WaitGroup
		var fired [together]bool
		for i := range together {
			f := kind
			f.nth = tried + i + 1
			all.Go(func() { fired[i] = try(f) })
		}
		all.Wait()
		if fired == [together]bool{} {
			return tried
		}
	}
	t.Fatalf("%v: it still fires", kind)
	return tried
}

// A report that is made anew from a stored result, under every fault of the disk
// that strace can make: never 0, and either the older report or the whole new
// one. A run fares no better. TOLLGATE_FAULTS=1 tries more kinds of faults.
func TestFailingDiskLeavesTheOlderReportOrTheWholeNewOne(t *testing.T) {
	soc := demo.NewSOC(demo.Options{Knobs: demo.Knobs{}})
	server, err := demo.Start("127.0.0.1:0", soc)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	home := t.TempDir()
	file := filepath.Join(home, "soc.yaml")
	if err := os.WriteFile(file, specs.SOC, 0o644); err != nil {
		t.Fatal(err)
	}
	load := []string{"soc.yaml", "--profile", "verify", "--users", "5", "--ramp", "0s", "--for", "1s"}
	on := append(load, "--target", server.URL, "--loops", "1", "--quiet")
	if out, err := inDir(home, "runner", append(append([]string{"run"}, on...), "--out", "in")...); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	whole := func(f diskFault, code int, output, dir string, same error) {
		id, stored := storedRun(dir)
		switch {
		case code == 0:
			t.Errorf("%v: exit code 0\n%s", f, output)
		case same != nil && (stored != nil || id == ""):
			t.Errorf("%v: neither report is whole: %v, %v", f, same, stored)
		case same != nil && !f.screen():
			t.Errorf("%v: exit code %d, and the older report is gone: %v", f, code, same)
		case code != int(notStored) && !f.screen():
			t.Errorf("%v: exit code %d, want %d\n%s", f, code, notStored, output)
		}
		if names := leftovers(t, dir); len(names) > 0 && f.call != "renameat" {
			t.Errorf("%v: %v are left", f, names)
		}
	}
	kinds := []diskFault{{call: "write", error: "ENOSPC"}, {call: "fsync", error: "EIO"}, {call: "renameat", error: "EIO"}}
	if times(t, "TOLLGATE_FAULTS", 0) > 0 {
		kinds = append(kinds, diskFault{call: "write", error: "EIO"}, diskFault{call: "fsync", error: "ENOSPC"}, diskFault{call: "linkat", error: "ENOSPC"})
	}
	for _, kind := range kinds {
		n := each(t, kind, func(f diskFault) bool {
			dir, same := older(t)
			code, fired, output := f.under(t, home, append(append([]string{"regate", "in"}, load...), "--out", dir)...)
			if fired {
				whole(f, code, output, dir, same())
			}
			return fired
		})
		t.Logf("regate: %s %s: up to %d calls", kind.call, kind.error, n)
	}
	kinds = []diskFault{{call: "fsync", error: "EIO"}}
	if times(t, "TOLLGATE_FAULTS", 0) > 0 {
		kinds = append(kinds, diskFault{call: "renameat", error: "EIO"}, diskFault{call: "write", error: "ENOSPC", only: report.JournalName})
	}
	for _, kind := range kinds {
		n := each(t, kind, func(f diskFault) bool {
			dir, same := older(t)
			if f.only != "" {
				f.only = filepath.Join(dir, f.only)
			}
			code, fired, output := f.under(t, home, append(append([]string{"run"}, on...), "--out", dir)...)
			if fired {
				whole(f, code, output, dir, same())
			}
			return fired
		})
		t.Logf("run: %s %s: up to %d calls", kind.call, kind.error, n)
	}
}

// inDir runs a command in a folder.
func inDir(dir, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}
