//go:build !linux

package report

// freeSpace is not known on other systems.
func freeSpace(string) (bytes uint64, known bool, err error) { return 0, false, nil }
