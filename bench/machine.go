//go:build linux

package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// clientCore and targetCore are the cores that the two sides have to
// themselves, as far as nobody else is here.
func clientCore() int { return 0 }
func targetCore() int { return min(1, runtime.NumCPU()-1) }

// describe is the machine in one line.
func describe() string {
	var u unix.Utsname
	_ = unix.Uname(&u)
	model := "unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(text), "model name"); ok {
			line, _, _ := strings.Cut(rest, "\n")
			model = strings.TrimSpace(strings.TrimLeft(line, "\t :"))
		}
	}
	return fmt.Sprintf("%d cores (%s), %s %s, %s", runtime.NumCPU(), model,
		unix.ByteSliceToString(u.Sysname[:]), unix.ByteSliceToString(u.Release[:]), runtime.Version())
}

// A clocking is the time that all cores together have spent.
type clocking struct{ busy, steal time.Duration }

func (c clocking) minus(o clocking) clocking { return clocking{c.busy - o.busy, c.steal - o.steal} }

// clock reads /proc/stat.
func clock() (c clocking) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return c
	}
	line, _, _ := strings.Cut(string(text), "\n")
	for i, field := range strings.Fields(line) {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			continue
		}
		d := time.Duration(n) * clockTick
		switch i {
		case 1, 2, 3, 6, 7: // user, nice, system, interrupts
			c.busy += d
		case 8:
			c.steal += d
		}
	}
	return c
}

// thefts are the steal of each second of the wall clock, written while a run lasts.
type thefts struct {
	bySecond map[int64]time.Duration
	stop     chan struct{}
	done     chan struct{}
}

func watchSteal() *thefts {
	t := &thefts{bySecond: map[int64]time.Duration{}, stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(t.done)
		for last := clock().steal; ; {
			second := time.Now().Unix()
			select {
			case <-t.stop:
			case <-time.After(time.Until(time.Unix(second+1, 0))):
			}
			now := clock().steal
			t.bySecond[second] += now - last
			last = now
			select {
			case <-t.stop:
				return
			default:
			}
		}
	}()
	return t
}

// end returns the steal of each second that was watched.
func (t *thefts) end() map[int64]time.Duration {
	close(t.stop)
	<-t.done
	return t.bySecond
}
