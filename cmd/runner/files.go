package main

import "os"

// spareFiles is how many descriptors are left for logs, reports and /proc.
const spareFiles = 64

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
