//go:build linux

package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// inputs are what clients are given: specs, scripts and a body. Each run finds
// them in its working folder.
//
//go:embed specs/*.yaml scripts/*
var inputs embed.FS

// A bench is ready to measure: everything is built, and it is known who is here.
type bench struct {
	options options
	dir     string // temporary
	target  string // path of the built target
	module  string // folder of this source
	clients []client
	skipped []string
	began   time.Time
	until   time.Time // with -within: when the scenario is to end
	samples []sample  // all that were taken
	retaken int       // runs that were taken again
}

// prepare builds the runner and the target as they are released, and looks for
// the other clients.
func prepare(ctx context.Context, o options) (*bench, error) {
	module, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return nil, fmt.Errorf("run it inside the repository, as go run ./bench: %w", err)
	}
	b := &bench{options: o, module: strings.TrimSpace(string(module)), began: time.Now()}
	if b.dir, err = os.MkdirTemp("", "bench-"); err != nil {
		return nil, err
	}
	build := func(name, from string) (string, error) {
		path := filepath.Join(b.dir, name)
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", path, from)
		cmd.Dir = b.module
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("go build %s: %w\n%s", from, err, out)
		}
		return path, nil
	}
	b.target, err = build("target", "./bench/target")
	runner := o.runner
	if err == nil && runner == "" {
		runner, err = build("runner", "./cmd/runner")
	}
	if err == nil {
		runner, err = filepath.Abs(runner)
	}
	if err == nil {
		err = raiseDescriptors()
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(b.dir))
	}
	b.find(runner)
	return b, nil
}

func (b *bench) remove() { _ = os.RemoveAll(b.dir) }

func (b *bench) log(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%6.0fs  %s\n", time.Since(b.began).Seconds(), fmt.Sprintf(format, args...))
}

// find looks for the clients that were asked for.
func (b *bench) find(runner string) {
	b.clients = []client{runnerClient(runner)}
	if conn := connClient(runner); hasDriver(runner) {
		b.clients = append(b.clients, conn)
	} else {
		b.skipped = append(b.skipped, fmt.Sprintf("%s (%s)", conn.name, conn.install))
	}
	for _, c := range peers {
		if b.options.clients != "" && !strings.Contains(","+b.options.clients+",", ","+c.name+",") {
			continue
		}
		path, err := exec.LookPath(c.program)
		if err != nil {
			b.skipped = append(b.skipped, fmt.Sprintf("%s (%s)", c.name, c.install))
			continue
		}
		c.path = path
		b.clients = append(b.clients, c)
	}
	for _, s := range b.skipped {
		b.log("skipped: %s", s)
	}
}

// raiseDescriptors lets the children open as many descriptors as this process
// may. Setting the limit by hand also makes them inherit it.
func raiseDescriptors() error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return err
	}
	l.Cur = l.Max
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l)
}

// workFolder is a new folder with all inputs in it.
func (b *bench) workFolder() (string, error) {
	dir, err := os.MkdirTemp(b.dir, "run-")
	if err != nil {
		return "", err
	}
	for _, from := range []string{"specs", "scripts"} {
		files, err := inputs.ReadDir(from)
		if err != nil {
			return "", err
		}
		for _, f := range files {
			text, err := inputs.ReadFile(from + "/" + f.Name())
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, f.Name()), text, 0o644)
			}
			if err != nil {
				return "", err
			}
		}
	}
	return dir, nil
}
