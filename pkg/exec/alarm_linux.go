package exec

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// alarm wakes a goroutine at an instant, to some ten microseconds. It is a timer
// of the kernel's that Go's poller watches like a socket: Go's own timers wait in
// whole milliseconds where nothing else is going on, and half of one on average
// would be added to every response time.
type alarm struct {
	rings chan struct{}
	timer *os.File
	fd    int
	wait  sync.WaitGroup
}

func newAlarm() (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	a := &alarm{rings: make(chan struct{}, 1), timer: os.NewFile(uintptr(fd), "timerfd"), fd: fd}
	a.wait.Go(func() {
		var times [8]byte
		for {
			if _, err := a.timer.Read(times[:]); err != nil {
				return
			}
			select {
			case a.rings <- struct{}{}:
			default:
			}
		}
	})
	return a, nil
}

// set makes it ring once after so many nanoseconds, in the place of what was set.
func (a *alarm) set(ns int64) {
	at := unix.ItimerSpec{Value: unix.NsecToTimespec(max(ns, 1))} // 0 would disarm it
	_ = unix.TimerfdSettime(a.fd, 0, &at, nil)                    // of a timer that there is: never fails
}

func (a *alarm) close() {
	a.timer.Close()
	a.wait.Wait()
}
