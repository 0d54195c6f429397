package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"tollgate/pkg/exec"
)

// budget is what this machine has for a run.
func budget() exec.Budget {
	return exec.Budget{Files: maxConnections(), Ports: localPorts(), Memory: freeMemory()}
}

// localPorts is how many ports the kernel may choose from for connections to
// one address; 0 where it does not say.
func localPorts() int {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return 0
	}
	var low, high int
	if _, err := fmt.Sscan(string(text), &low, &high); err != nil {
		return 0
	}
	return high - low + 1
}

// freeMemory is how many bytes this process may take: what the system has
// left, or its control group where that is less; 0 where neither says.
func freeMemory() int64 {
	free := int64(0)
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, "MemAvailable:"); ok {
				kib, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
				free = kib << 10
			}
		}
	}
	for _, file := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		if limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && (free == 0 || limit < free) {
			free = limit
		}
	}
	return free
}

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
