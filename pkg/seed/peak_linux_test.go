package seed

import (
	"syscall"
	"testing"
)

// peak is the most memory that this process has held, in bytes.
func peak(t testing.TB) int64 {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return u.Maxrss << 10
}
