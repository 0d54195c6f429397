package report

import "golang.org/x/sys/unix"

// freeSpace returns the bytes that this user may still write to a folder's file
// system. Some, such as network mounts, do not tell.
func freeSpace(dir string) (bytes uint64, known bool, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, false, err
	}
	return s.Bavail * uint64(s.Bsize), s.Blocks > 0, nil
}
