package seed

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// placeMark begins the second half of a lease's token: where the process of its
// holder is. A process number means something only within one boot of one kernel,
// and among the processes that see each other, so a place names these as well.
const placeMark = "@"

// ourPlace is the second half of our token, "" where it cannot be told.
func ourPlace() string {
	world := ourWorld()
	if world == "" {
		return ""
	}
	return placeMark + world + " " + strconv.Itoa(os.Getpid())
}

func ourWorld() string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	processes, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(boot)) + " " + processes
}

// ended reports whether the process of a place is certain to be no more.
func ended(place string) bool {
	at := strings.LastIndexByte(place, ' ')
	if at < 0 || place[:at] != ourWorld() {
		return false
	}
	process, err := strconv.Atoi(place[at+1:])
	return err == nil && process > 0 && errors.Is(syscall.Kill(process, 0), syscall.ESRCH)
}
