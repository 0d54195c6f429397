package exec

import (
	"bytes"
	"math"
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// processTime is the processor time of this process, user and system.
func processTime() time.Duration {
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// machineTime reads the first line of /proc/stat: user nice system idle iowait
// irq softirq steal, in ticks over all processors.
func machineTime() (s stolenTime) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return s
	}
	line, _, _ := bytes.Cut(data, []byte("\n"))
	for i, f := range strings.Fields(string(line)) {
		if i == 0 || i > 8 { // the guest times are part of user and nice
			continue
		}
		n, _ := strconv.ParseUint(f, 10, 64)
		s.all += n
		if i == 8 {
			s.steal = n
		}
	}
	return s
}

// throttledTime is how long the control group's processor quota has kept this
// process waiting; 0 where there is none. Version 2 counts microseconds under
// throttled_usec, version 1 nanoseconds under throttled_time.
func throttledTime() time.Duration {
	for _, dir := range cgroups("cpu") {
		data, err := os.ReadFile(path.Join(dir, "cpu.stat"))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
			n, err := strconv.ParseInt(value, 10, 64)
			switch {
			case err != nil:
			case key == "throttled_usec":
				return time.Duration(n) * time.Microsecond
			case key == "throttled_time":
				return time.Duration(n)
			}
		}
	}
	return 0
}

// usableCores is how much processor this process may use: its affinity, or the
// control group's quota where that is less.
func usableCores() float64 {
	cores := float64(runtime.NumCPU())
	for _, dir := range cgroups("cpu") {
		var quota, period float64
		if data, err := os.ReadFile(path.Join(dir, "cpu.max")); err == nil { // version 2: "QUOTA PERIOD" or "max PERIOD"
			f := strings.Fields(string(data))
			if len(f) == 2 {
				quota, _ = strconv.ParseFloat(f[0], 64)
				period, _ = strconv.ParseFloat(f[1], 64)
			}
		} else {
			quota = number(path.Join(dir, "cpu.cfs_quota_us"))
			period = number(path.Join(dir, "cpu.cfs_period_us"))
		}
		if quota > 0 && period > 0 {
			cores = math.Min(cores, quota/period)
		}
	}
	return cores
}

func number(file string) float64 {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseFloat(strings.TrimSpace(string(data)), 64)
	return n
}

// cgroups returns the folders of this process's control groups for a
// controller, version 1 and 2, innermost first.
func cgroups(controller string) (dirs []string) {
	data, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(data)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		root := ""
		switch {
		case f[1] == "":
			root = "/sys/fs/cgroup"
		case containsField(f[1], controller):
			root = path.Join("/sys/fs/cgroup", f[1])
			if _, err := os.Stat(root); err != nil {
				root = path.Join("/sys/fs/cgroup", controller)
			}
		default:
			continue
		}
		for at := f[2]; ; at = path.Dir(at) {
			dirs = append(dirs, path.Join(root, at))
			if at == "/" || at == "." {
				break
			}
		}
	}
	return dirs
}

func containsField(list, want string) bool {
	for f := range strings.SplitSeq(list, ",") {
		if f == want {
			return true
		}
	}
	return false
}
