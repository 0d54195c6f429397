package report

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// minFree is the space in bytes that Prepare asks for: ten times what a long
// run leaves behind.
const minFree = 16 << 20

// Prepare makes the folder that a result will be written to, and finds out
// before the run, and not after it, that it cannot be.
func Prepare(dir string) error { return prepare(dir, "--out") }

func prepare(dir, flag string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("the result folder %s cannot be made: %w: choose another with %s", dir, cause(err), flag)
	}
	f, err := os.CreateTemp(dir, temporary)
	if err != nil {
		return fmt.Errorf("the result folder %s cannot be written: %w: choose another with %s", dir, cause(err), flag)
	}
	err = errors.Join(f.Close(), os.Remove(f.Name()))
	if err != nil {
		return fmt.Errorf("the result folder %s cannot be written: %w: choose another with %s", dir, cause(err), flag)
	}
	free, known, err := freeSpace(dir)
	if err != nil {
		return fmt.Errorf("the free space of the result folder %s is unknown: %w: choose another with %s", dir, cause(err), flag)
	}
	if known && free < minFree {
		return fmt.Errorf("the result folder %s has %d KiB free and a result needs %d: make room, or choose another with %s", dir, free>>10, minFree>>10, flag)
	}
	return nil
}

// CreateJournal makes the journal of a run in its folder, with its first bytes
// on the disk, ready for more.
func CreateJournal(dir string, head []byte) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, JournalName), os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o644)
	if err == nil {
		if _, err = f.Write(head); err == nil {
			err = errors.Join(f.Sync(), osDisk{}.SyncDir(dir))
		}
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the journal %s cannot be written: %w: see that the folder can be written and has room, or choose another with --out", filepath.Join(dir, JournalName), cause(err))
	}
	return f, nil
}

// Write stores the report in a folder: result.json, all renderings, and last
// verdict.json. A file under its final name is always whole. When anything
// goes wrong an older report in the folder stays as it was, and the error says
// what to do.
func Write(dir string, d *Document) error { return write(osDisk{}, dir, d) }

// temporary is the pattern of names of files that are not whole yet.
const temporary = ".tollgate-*.tmp"

// disk is what writing a report needs of a file system.
type disk interface {
	Create(dir, pattern string) (file, error)
	Link(old, new string) error
	Rename(old, new string) error
	Remove(name string) error
	SyncDir(dir string) error
}

type file interface {
	Write([]byte) (int, error)
	Chmod(fs.FileMode) error
	Sync() error
	Close() error
	Name() string
}

type osDisk struct{}

func (osDisk) Create(dir, pattern string) (file, error) { return os.CreateTemp(dir, pattern) }
func (osDisk) Link(old, new string) error               { return os.Link(old, new) }
func (osDisk) Rename(old, new string) error             { return os.Rename(old, new) }
func (osDisk) Remove(name string) error                 { return os.Remove(name) }

func (osDisk) SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func write(on disk, dir string, d *Document) error {
	return store(on, dir, "choose another with --out", d.contents())
}

// WriteAgain writes all files of a result folder but result.json, which is what
// d was read from, with the guarantees of Write.
func WriteAgain(dir string, d *Document) error { return store(osDisk{}, dir, "try again", rendered(d)) }

// store puts files into a folder, all or none. The error ends with what else to do.
func store(on disk, dir, remedy string, files []content) error {
	r := replacement{disk: on, dir: dir}
	if err := r.replace(files); err != nil {
		return fmt.Errorf("the report is not stored in %s: %w: see that the folder can be written and has room, or %s", dir, err, remedy)
	}
	return nil
}

// Store writes one more file into the folder of a report, whole or not at all.
func Store(dir, name string, data []byte) error {
	r := replacement{disk: osDisk{}, dir: dir}
	file := content{name: name, write: func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}}
	if err := r.replace([]content{file}); err != nil {
		return fmt.Errorf("%s is not stored in %s: %w: see that the folder can be written and has room", name, dir, err)
	}
	return nil
}

// contents are the files of a report, in the order in which they appear.
func (d *Document) contents() []content {
	return append([]content{{name: "result.json", write: d.stream}}, rendered(d)...)
}

// Render returns the files of a report by their names, byte for byte as Write
// stores them.
func Render(d *Document) (map[string][]byte, error) {
	out := map[string][]byte{}
	for _, c := range d.contents() {
		var b bytes.Buffer
		if err := c.write(&b); err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		out[c.name] = b.Bytes()
	}
	return out, nil
}

// content is a file of a report: its final name, and where its bytes and those
// of its predecessor are meanwhile.
type content struct {
	name  string
	write func(io.Writer) error
	fresh string // temporary name, "" once renamed
	old   string // second name of the predecessor, "" if there was none
	moved bool   // the final name holds the fresh bytes
}

// replacement puts files in the place of others, all or none. All bytes are on
// the disk before the first name changes; from then on only a rename or the
// folder's own fsync can fail, and then the names are turned back.
type replacement struct {
	disk disk
	dir  string
}

func (r *replacement) replace(files []content) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, r.restore(files))
		}
		r.sweep(files)
	}()
	for i := range files {
		if err := r.store(&files[i]); err != nil {
			return fmt.Errorf("%s: %w", files[i].name, cause(err))
		}
	}
	for i := range files {
		if err := r.keep(&files[i]); err != nil {
			return fmt.Errorf("%s of an older report cannot be kept safe: %w", files[i].name, cause(err))
		}
	}
	for i := range files {
		f := &files[i]
		if err := r.disk.Rename(f.fresh, r.path(f)); err != nil {
			return fmt.Errorf("%s: %w", f.name, cause(err))
		}
		f.fresh, f.moved = "", true
		// verdict.json is last on the disk too, not only in this order.
		if err := r.disk.SyncDir(r.dir); err != nil {
			return fmt.Errorf("%s: %w", f.name, cause(err))
		}
	}
	return nil
}

func (r *replacement) path(f *content) string { return filepath.Join(r.dir, f.name) }

// store writes a file whole under a temporary name.
func (r *replacement) store(f *content) error {
	t, err := r.disk.Create(r.dir, temporary)
	if err != nil {
		return err
	}
	f.fresh = t.Name()
	if err := f.write(t); err != nil {
		return errors.Join(err, t.Close())
	}
	if err := t.Chmod(0o644); err != nil {
		return errors.Join(err, t.Close())
	}
	if err := t.Sync(); err != nil {
		return errors.Join(err, t.Close())
	}
	return t.Close()
}

// keep gives the predecessor of a file a second name.
func (r *replacement) keep(f *content) error {
	t, err := r.disk.Create(r.dir, temporary)
	if err != nil {
		return err
	}
	name := t.Name()
	err = errors.Join(t.Close(), r.disk.Remove(name))
	if err != nil {
		return err
	}
	err = r.disk.Link(r.path(f), name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		f.old = name
	}
	return err
}

// restore turns back the names that were changed.
func (r *replacement) restore(files []content) error {
	var faults []error
	for i := range files {
		f := &files[i]
		if !f.moved {
			continue
		}
		var err error
		if f.old == "" {
			err = r.disk.Remove(r.path(f))
		} else if err = r.disk.Rename(f.old, r.path(f)); err == nil {
			f.old = ""
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%s of the older report is not back in place: %w", f.name, err))
		}
	}
	return errors.Join(faults...)
}

// sweep removes temporary names. One that stays is of no harm.
func (r *replacement) sweep(files []content) {
	for _, f := range files {
		for _, name := range []string{f.fresh, f.old} {
			if name != "" {
				_ = r.disk.Remove(name)
			}
		}
	}
}

// cause drops the path from an error of the file system, because the message
// around it names the file that the reader knows.
func cause(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &link):
		return link.Err
	}
	return err
}
