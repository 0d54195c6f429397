//go:build unix

package main

import "golang.org/x/sys/unix"

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
	return connectionsWithin(uint64(limit.Cur), openFiles())
}
