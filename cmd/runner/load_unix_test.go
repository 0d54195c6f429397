//go:build unix

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tollgate/pkg/spec"
)

func TestSpecReadsOnlyFilesOfItsOwnFolder(t *testing.T) {
	outside := t.TempDir()
	dir := filepath.Join(outside, "specs")
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(outside, "secret.txt"), "outside")
	write(filepath.Join(dir, "data", "a.csv"), "inside")
	write(filepath.Join(dir, "empty"), "")
	for link, to := range map[string]string{"near": "data/a.csv", "far": "../secret.txt", "absolute": filepath.Join(outside, "secret.txt"), "kernel": "/proc/self/environ", "folder": "../"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	src := source{name: filepath.Join(dir, "a.yaml")}
	for name, want := range map[string]string{"data/a.csv": "inside", "near": "inside", "empty": ""} {
		if got, err := src.file(name); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"far", "absolute", "kernel", "folder/secret.txt", "../secret.txt", "data", "pipe", "nothing", "/proc/self/environ"} {
		if got, err := src.file(name); err == nil {
			t.Errorf("%s can be read: %q", name, got)
		}
	}
	fromRoot := source{name: "/a.yaml"}
	if got, err := fromRoot.file("proc/self/environ"); err == nil {
		t.Errorf("the environment can be read: %q", got)
	}
}

func TestHugeFileOfASpecIsNotReadToItsEnd(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "huge"))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(1 << 40); err != nil {
		t.Fatal(err)
	}
	f.Close()
	text := []byte(`version: 1
name: a
target: {url: "http://127.0.0.1:1"}
endpoints: {home: {request: POST /, body: {file: huge}}}
personas: {visitor: {tasks: {home: 1}}}
stages: [steady: {users: 1, for: 30s}]
`)
	src := source{filepath.Join(dir, "a.yaml"), text}
	_, faults := spec.Parse(src.name, src.text, spec.Options{ReadFile: src.file})
	if len(faults) != 1 || !strings.Contains(faults[0].Msg, "larger than 64 MiB") {
		t.Error(faults)
	}
	var out bytes.Buffer
	if faults.Format(&out); strings.Count(out.String(), dir) != 1 { // the spec's own name
		t.Error(out.String())
	}
}
