package spec

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"tollgate/internal/expr"
)

// What the files beside a spec may hold at most.
const (
	maxFile  = 64 << 20
	maxFiles = 256 << 20 // together; and so much in the bodies that are made of them
)

// files are what a spec names beside itself. Each is read once, however many
// places and profiles name it.
type files struct {
	spec  string // the spec's own name
	read  func(name string) ([]byte, error)
	known map[string]*file
	total int
}

func newFiles(spec string, read func(string) ([]byte, error)) *files {
	return &files{spec: spec, read: read, known: map[string]*file{}}
}

// file is one of them.
type file struct {
	name string // relative to the spec's folder
	data string
	why  *refusal // if it cannot be used

	body  *expr.Text // the whole as a body, made when it is asked for
	table *table     // what it holds as CSV, the same
}

// shown is how a file is called where people read it: as the spec itself is.
func (f *files) shown(name string) string { return path.Join(path.Dir(f.spec), name) }

// open returns a file by the name that the spec gives it.
func (f *files) open(name string) *file {
	clean, why := localPath(name)
	if why != nil {
		return &file{name: name, why: why}
	}
	if known := f.known[clean]; known != nil {
		return known
	}
	one := &file{name: clean}
	f.known[clean] = one
	if f.read == nil {
		one.why = &refusal{"this spec comes alone, without the file " + quote(clean), "write its content into the spec, or read the spec from a folder"}
		return one
	}
	data, err := f.read(clean)
	switch f.total += len(data); {
	case errors.Is(err, fs.ErrNotExist):
		one.why = &refusal{"there is no file " + quote(clean), "paths begin at the folder of the spec"}
	case err != nil:
		var inner *fs.PathError
		if errors.As(err, &inner) {
			err = inner.Err
		}
		one.why = &refusal{fmt.Sprintf("the file %s cannot be read: %v", quote(clean), err), ""}
	case len(data) > maxFile:
		one.why = &refusal{fmt.Sprintf("the file %s is larger than 64 MiB", quote(clean)), "a spec may name 64 MiB at most in one file"}
	case f.total > maxFiles:
		one.why = &refusal{fmt.Sprintf("with %s, the files of the spec are larger than 256 MiB together", quote(clean)), "leave some of them out"}
	default:
		one.data = string(data)
	}
	return one
}

// localPath returns the plain form of a path that stays below the spec's folder.
func localPath(name string) (string, *refusal) {
	const hint = "write a path below the folder of the spec, such as data/accounts.csv"
	switch {
	case name == "":
		return "", &refusal{"the path is empty", hint}
	case strings.Contains(name, "${"):
		return "", &refusal{"a path cannot hold ${…}", "write a fixed path"}
	case strings.ContainsFunc(name, forbidden) || strings.ContainsAny(name, "\t\n\r"):
		return "", &refusal{"a path has no control characters", hint}
	case strings.Contains(name, `\`):
		return "", &refusal{`a path is written with /, not \`, "write " + strings.ReplaceAll(name, `\`, "/")}
	case strings.HasPrefix(name, "/") || len(name) > 1 && name[1] == ':':
		return "", &refusal{quote(name) + " is an absolute path", hint}
	case slices.Contains(strings.Split(name, "/"), ".."):
		return "", &refusal{quote(name) + " leads out of the folder of the spec", hint}
	}
	clean := path.Clean(name)
	if clean == "." || strings.HasSuffix(name, "/") {
		return "", &refusal{quote(name) + " is a folder, not a file", hint}
	}
	return clean, nil
}

// digest is that of the spec's bytes and of all files that it names.
func (f *files) digest(src []byte) string {
	sum := sha256.Sum256(src)
	var names []string
	for name, one := range f.known {
		if one.why == nil {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "sha256:" + hex.EncodeToString(sum[:])
	}
	slices.Sort(names)
	h := sha256.New()
	h.Write(sum[:])
	for _, name := range names {
		f.known[name].digest(h)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// digest writes the file so that no two different ones are written alike.
func (f *file) digest(h io.Writer) {
	fmt.Fprintf(h, "%d:%s%d:", len(f.name), f.name, len(f.data))
	_, _ = io.WriteString(h, f.data) // a hash takes all
}

// file returns the file that n names, nil after a fault.
func (d *decoder) file(n *node, what string) *file {
	name, ok := d.text(n, what)
	if !ok {
		return nil
	}
	f := d.files.open(name)
	if f.why != nil {
		d.fault(n, f.why.hint, "%s", f.why.msg)
		return nil
	}
	return f
}

// content is file for what decides which requests there are (see traffic).
func (d *decoder) content(n *node, what string) *file {
	f := d.file(n, what)
	if f != nil {
		d.contents[f.name] = f
	}
	return f
}
