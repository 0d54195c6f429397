package main

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
)

// commitOf returns the Git commit that the repository around a file has checked
// out, "" where there is none to be found. It reads Git's own files and runs
// nothing: a repository may come from a stranger, and its configuration names
// programs. What was changed since the commit is not in it; the digest of the
// spec is of the file as it was read.
func commitOf(file string) string {
	dir, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return ""
	}
	for {
		if git := gitFolder(filepath.Join(dir, ".git")); git != "" {
			return head(git)
		}
		above := filepath.Dir(dir)
		if above == dir {
			return ""
		}
		dir = above
	}
}

// gitFolder follows the file that stands in the place of .git in a further work tree.
func gitFolder(path string) string {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return ""
	case info.IsDir():
		return path
	}
	to, ok := strings.CutPrefix(firstLine(path), "gitdir: ")
	switch {
	case !ok:
		return ""
	case filepath.IsAbs(to):
		return to
	}
	return filepath.Join(filepath.Dir(path), to)
}

// head returns the commit of HEAD.
func head(git string) string {
	ref, symbolic := strings.CutPrefix(firstLine(filepath.Join(git, "HEAD")), "ref: ")
	if !symbolic {
		return objectName(ref)
	}
	common := git // a further work tree keeps its branches with the first
	if to := firstLine(filepath.Join(git, "commondir")); filepath.IsAbs(to) {
		common = to
	} else if to != "" {
		common = filepath.Join(git, to)
	}
	if !filepath.IsLocal(filepath.FromSlash(ref)) {
		return ""
	}
	if name := objectName(firstLine(filepath.Join(common, filepath.FromSlash(ref)))); name != "" {
		return name
	}
	for line := range strings.Lines(gitFile(filepath.Join(common, "packed-refs"))) {
		if name, of, ok := strings.Cut(strings.TrimSpace(line), " "); ok && of == ref {
			return objectName(name)
		}
	}
	return ""
}

// objectName returns a name if it is one: SHA-1 or SHA-256 in hexadecimal.
func objectName(name string) string {
	if raw, err := hex.DecodeString(name); err != nil || len(raw) != 20 && len(raw) != 32 {
		return ""
	}
	return name
}

func firstLine(path string) string {
	line, _, _ := strings.Cut(gitFile(path), "\n")
	return strings.TrimSpace(line)
}

// gitFile returns a small regular file, "" for anything else.
func gitFile(path string) string {
	const most = 16 << 20
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > most {
		return ""
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(text)
}
