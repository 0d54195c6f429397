package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// spareFiles is how many descriptors are left for logs, reports and /proc.
const spareFiles = 64

// maxConnections raises the soft limit of open files to the hard one and
// returns how many connections that allows; 0 when the system tells no limit.
func maxConnections() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	if limit.Cur < limit.Max {
		raised := limit
		raised.Cur = limit.Max
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &raised) == nil {
			limit = raised
		}
	}
	return connectionsWithin(limit.Cur, openFiles())
}

// connectionsWithin returns how many connections fit into a limit of open
// files beside those that are open and those that are spared; at least one.
func connectionsWithin(limit uint64, open int) int {
	const most = 1 << 30 // a limit beyond it is none
	return max(1, int(min(limit, most))-open-spareFiles)
}

// openFiles counts the descriptors of this process, such as inherited ones.
func openFiles() int {
	dir, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 3
	}
	return len(dir)
}
