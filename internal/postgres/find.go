package postgres

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// places are where packages put the server's programs, which most of them keep
// off PATH: Debian, Red Hat, source, Homebrew, Postgres.app.
var places = []string{
	"/usr/lib/postgresql/*/bin",
	"/usr/pgsql-*/bin",
	"/usr/local/pgsql/bin",
	"/opt/homebrew/opt/postgresql*/bin",
	"/usr/local/opt/postgresql*/bin",
	"/Applications/Postgres.app/Contents/Versions/*/bin",
}

// Find returns the folder of an installed PostgreSQL server: that of the initdb
// on PATH, or else the newest where packages put it. Its error is one line that
// says how to install one.
func Find() (string, error) {
	found, err := exec.LookPath("initdb")
	if err == nil {
		// On PATH may be a link; the server looks for its parts beside itself.
		if found, err = filepath.EvalSymlinks(found); err == nil && hasServer(filepath.Dir(found)) {
			return filepath.Dir(found), nil
		}
	}
	return newest(places)
}

func newest(patterns []string) (string, error) {
	var all []string
	for _, p := range patterns {
		matches, _ := filepath.Glob(p) // the patterns are sound
		all = append(all, matches...)
	}
	all = slices.DeleteFunc(all, func(dir string) bool { return !hasServer(dir) })
	if len(all) == 0 {
		return "", fmt.Errorf("no PostgreSQL server is installed here (initdb is neither on PATH nor in %s): apt-get install postgresql, or brew install postgresql", patterns[0])
	}
	return slices.MaxFunc(all, func(a, b string) int { return cmp.Compare(version(a), version(b)) }), nil
}

func hasServer(dir string) bool {
	for _, name := range []string{"initdb", "postgres"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
			return false
		}
	}
	return true
}

var lastNumber = regexp.MustCompile(`(\d+)(?:\.\d+)?/bin$`)

// version is the major version in a folder's name; 0 without one.
func version(dir string) int {
	m := lastNumber.FindStringSubmatch(filepath.ToSlash(dir))
	if m == nil {
		return 0
	}
	v, _ := strconv.Atoi(m[1])
	return v
}
