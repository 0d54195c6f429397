package postgres

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// install makes a folder that looks like an installed server.
func install(t *testing.T, dir string, names ...string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNewestServerIsFound(t *testing.T) {
	root := t.TempDir()
	install(t, filepath.Join(root, "9.6", "bin"), "initdb", "postgres")
	install(t, filepath.Join(root, "17", "bin"), "initdb", "postgres")
	install(t, filepath.Join(root, "15", "bin"), "initdb", "postgres")
	install(t, filepath.Join(root, "18", "bin"), "psql") // a client alone
	got, err := newest([]string{filepath.Join(root, "*", "bin")})
	if want := filepath.Join(root, "17", "bin"); err != nil || got != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}

func TestWithoutAServerTheErrorSaysHowToInstallOne(t *testing.T) {
	_, err := newest([]string{filepath.Join(t.TempDir(), "*", "bin")})
	if err == nil || !strings.Contains(err.Error(), "apt-get install postgresql") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v, want one line", err)
	}
}

func TestServerOnPathIsTheOne(t *testing.T) {
	root := t.TempDir()
	real, path := filepath.Join(root, "real"), filepath.Join(root, "path")
	install(t, real, "initdb", "postgres")
	install(t, path)
	if err := os.Symlink(filepath.Join(real, "initdb"), filepath.Join(path, "initdb")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", path)
	got, err := Find()
	want, _ := filepath.EvalSymlinks(real)
	if err != nil || got != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}
