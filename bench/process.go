//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A process is a child that is kept on one core and watched.
type process struct {
	cmd  *exec.Cmd
	stop chan struct{}
	done chan struct{}

	// Until done is closed these belong to the watcher.
	peak   int64 // bytes, as far as the looks at it have seen
	cpu    []reading
	floor  int64 // bytes: this process's own peak once the child ran by itself
	began  time.Time
	lasted time.Duration
}

// A reading is the CPU time that a child had used at some moment.
type reading struct {
	at   time.Time
	used time.Duration
}

// startOn starts a command on one core, as taskset would: the child inherits
// the affinity of the thread that makes it.
func startOn(core int, cmd *exec.Cmd) (*process, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return nil, err
	}
	one.Set(core)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return nil, fmt.Errorf("core %d: %w", core, err)
	}
	p := &process{cmd: cmd, stop: make(chan struct{}), done: make(chan struct{}), began: time.Now()}
	err := cmd.Start()
	if back := unix.SchedSetaffinity(0, &all); back != nil && err == nil {
		err = back
	}
	if err != nil {
		return nil, err
	}
	p.floor = peakOf("self")
	go p.watch()
	return p, nil
}

// watch looks at the child until it is told to stop: every 10 ms while it
// starts, every 50 ms after that.
func (p *process) watch() {
	defer close(p.done)
	pid := strconv.Itoa(p.cmd.Process.Pid)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	slower := time.After(2 * time.Second)
	for {
		p.peak = max(p.peak, peakOf(pid))
		if used, ok := cpuOf(pid); ok {
			p.cpu = append(p.cpu, reading{time.Now(), used})
		}
		select {
		case <-p.stop:
			return
		case <-slower:
			tick.Reset(50 * time.Millisecond)
		case <-tick.C:
		}
	}
}

// wait waits for the child to end. The error is the command's.
func (p *process) wait() error {
	err := p.cmd.Wait()
	p.lasted = time.Since(p.began)
	close(p.stop)
	<-p.done
	return err
}

// usage is what getrusage says of the child. Call it after wait.
func (p *process) usage() time.Duration {
	return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
}

// resident is the child's peak of resident memory. A child starts as a copy of
// its parent, and getrusage never forgets the parent's peak: only above it is
// its figure exact, below it the looks at the child itself count.
func (p *process) resident() int64 {
	const blur = 1 << 20 // the kernel sums up its counters of memory now and then
	if r, ok := p.cmd.ProcessState.SysUsage().(*syscall.Rusage); ok && r.Maxrss<<10 > p.floor+blur {
		return r.Maxrss << 10
	}
	return p.peak
}

// usedBy is the CPU time that the child had used at a moment.
func (p *process) usedBy(at time.Time) (used time.Duration) {
	for _, r := range p.cpu {
		if r.at.After(at) {
			break
		}
		used = r.used
	}
	return used
}

// peakOf is the peak of resident memory of a process in bytes; 0 if it is gone.
func peakOf(pid string) int64 {
	text, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	kb, _, _ := strings.Cut(rest, "kB")
	n, err := strconv.ParseInt(strings.TrimSpace(kb), 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}

// clockTick is the unit of times in /proc on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// cpuOf is the CPU time of a living process, to the tick.
func cpuOf(pid string) (time.Duration, bool) {
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0, false
	}
	// The name in parentheses may hold anything; user and system time are the
	// 12th and 13th field after it.
	i := strings.LastIndexByte(string(text), ')')
	fields := strings.Fields(string(text[i+1:]))
	if len(fields) < 13 {
		return 0, false
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * clockTick, err1 == nil && err2 == nil
}
