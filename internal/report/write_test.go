package report

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var names = append([]string{"result.json"}, Files()...)

// folder returns what is in a folder, by name.
func folder(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, e := range entries {
		if e.IsDir() {
			out[e.Name()] = "a folder"
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = string(data)
	}
	return out
}

func TestWriteStoresWholeFilesAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	for _, play := range []string{"fail", "pass"} { // the second over the first
		d := Build(plays[play](t))
		if err := Write(dir, d); err != nil {
			t.Fatal(err)
		}
		result, err := d.Encode()
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"result.json": string(result)}
		for _, r := range renderings {
			want[r.name] = string(bytesOf(t, d, r.name))
		}
		if diff := cmp.Diff(want, folder(t, dir)); diff != "" {
			t.Errorf("%s:\n%s", play, diff)
		}
		info, err := os.Stat(filepath.Join(dir, "verdict.json"))
		if err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("verdict.json: %v, %v", info.Mode(), err)
		}
	}
}

// faultyDisk fails at its nth operation. A fault of write stores half of the
// bytes first, as a full disk does.
type faultyDisk struct {
	disk
	left int
	log  []string
}

func (d *faultyDisk) fault(op, name string) error {
	d.log = append(d.log, op+" "+filepath.Base(name))
	if d.left--; d.left == 0 {
		return &fs.PathError{Op: op, Path: name, Err: syscall.ENOSPC}
	}
	return nil
}

func (d *faultyDisk) Create(dir, pattern string) (file, error) {
	if err := d.fault("create", pattern); err != nil {
		return nil, err
	}
	f, err := d.disk.Create(dir, pattern)
	return &faultyFile{f, d}, err
}

func (d *faultyDisk) Link(old, new string) error {
	if err := d.fault("link", old); err != nil {
		return err
	}
	return d.disk.Link(old, new)
}

func (d *faultyDisk) Rename(old, new string) error {
	if err := d.fault("rename", new); err != nil {
		return err
	}
	return d.disk.Rename(old, new)
}

func (d *faultyDisk) SyncDir(dir string) error {
	if err := d.fault("sync", "folder"); err != nil {
		return err
	}
	return nil // and without waiting for a disk, which would take the test a minute
}

type faultyFile struct {
	file
	disk *faultyDisk
}

func (f *faultyFile) Write(data []byte) (int, error) {
	if err := f.disk.fault("write", "file"); err != nil {
		n, _ := f.file.Write(data[:len(data)/2])
		return n, err
	}
	return f.file.Write(data)
}

func (f *faultyFile) Sync() error {
	if err := f.disk.fault("sync", "file"); err != nil {
		return err
	}
	return nil
}

func (f *faultyFile) Close() error {
	return errors.Join(f.file.Close(), f.disk.fault("close", "file"))
}

func TestOlderReportSurvivesAFaultOfAnyOperation(t *testing.T) {
	older, newer := Build(passing(t)), Build(failing(t))
	for _, first := range []bool{false, true} {
		n := 1
		for ; ; n++ {
			dir := t.TempDir()
			if !first {
				if err := write(&faultyDisk{disk: osDisk{}}, dir, older); err != nil {
					t.Fatal(err)
				}
			}
			before := folder(t, dir)
			d := &faultyDisk{disk: osDisk{}, left: n}
			err := write(d, dir, newer)
			if d.left > 0 { // nothing fired: the report is stored
				if err != nil {
					t.Fatal(err)
				}
				break
			}
			if !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("operation %d (%s): %v", n, d.log[n-1], err)
			}
			if diff := cmp.Diff(before, folder(t, dir)); diff != "" {
				t.Errorf("operation %d (%s) changed the folder:\n%s", n, d.log[n-1], diff)
			}
		}
		if n < 15 {
			t.Errorf("only %d operations were tried", n)
		}
	}
}

func TestVerdictIsTheLastFileToAppear(t *testing.T) {
	d := &faultyDisk{disk: osDisk{}, left: -1}
	if err := write(d, t.TempDir(), Build(passing(t))); err != nil {
		t.Fatal(err)
	}
	last := []string{"rename verdict.json", "sync folder"}
	if n := len(d.log); !slices.Equal(d.log[n-2:], last) {
		t.Errorf("the last operations are %q", d.log[n-2:])
	}
	firstRename := slices.IndexFunc(d.log, func(op string) bool { return strings.HasPrefix(op, "rename") })
	if slices.Contains(d.log[firstRename:], "write file") || slices.Contains(d.log[firstRename:], "sync file") {
		t.Errorf("a name changed before all bytes were on the disk: %q", d.log)
	}
	for i, op := range d.log {
		if op == "write file" && d.log[i+1] != "sync file" {
			t.Errorf("a file was written and not synced: %q", d.log)
		}
	}
}

func TestErrorOfWriteNamesTheFileAndWhatToDo(t *testing.T) {
	d := Build(passing(t))
	file := filepath.Join(t.TempDir(), "taken")
	if err := os.WriteFile(file, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"a file": file, "nothing": file + "-absent"} {
		err := Write(dir, d)
		if err == nil {
			t.Fatalf("%s: stored", name)
		}
		for _, want := range []string{dir, "result.json", "--out"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q is not in: %v", name, want, err)
			}
		}
	}
	if data, _ := os.ReadFile(file); string(data) != "mine" {
		t.Error("the file in the way was changed")
	}
}

func TestFolderUnderAFinalNameIsRefusedBeforeAnythingChanges(t *testing.T) {
	for _, name := range names {
		dir := t.TempDir()
		if err := Write(dir, Build(passing(t))); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.Remove(filepath.Join(dir, name)), os.Mkdir(filepath.Join(dir, name), 0o755)); err != nil {
			t.Fatal(err)
		}
		before := folder(t, dir)
		err := Write(dir, Build(failing(t)))
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is a folder: %v", name, err)
		}
		if diff := cmp.Diff(before, folder(t, dir)); diff != "" {
			t.Errorf("%s is a folder:\n%s", name, diff)
		}
	}
}

// fullDisk creates files to which no byte can be written.
type fullDisk struct{ osDisk }

func (fullDisk) Create(string, string) (file, error) { return os.OpenFile("/dev/full", os.O_WRONLY, 0) }
func (fullDisk) Remove(string) error                 { return nil }

func TestFullDiskIsSaid(t *testing.T) {
	dir := t.TempDir()
	err := write(fullDisk{}, dir, Build(passing(t)))
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "result.json: no space left on device") {
		t.Error(err)
	}
	if len(folder(t, dir)) != 0 {
		t.Error("something was stored")
	}
}

func TestPrepareFindsOutBeforeTheRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "results", "soc")
	if err := Prepare(dir); err != nil {
		t.Fatal(err)
	}
	if err := Prepare(dir); err != nil {
		t.Errorf("a folder that is there: %v", err)
	}
	if len(folder(t, dir)) != 0 {
		t.Error("it left something behind")
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{file, filepath.Join(file, "below"), "/proc/results"} {
		err := Prepare(bad)
		if err == nil || !strings.Contains(err.Error(), bad) || !strings.Contains(err.Error(), "--out") {
			t.Errorf("%s: %v", bad, err)
		}
		if fmt.Sprint(err) != "" && strings.Count(fmt.Sprint(err), bad) != 1 {
			t.Errorf("the path is said twice: %v", err)
		}
	}
	free, known, err := freeSpace(dir)
	if err != nil || !known || free == 0 {
		t.Errorf("free space %d, %v, %v", free, known, err)
	}
}
