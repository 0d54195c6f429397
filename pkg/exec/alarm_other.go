//go:build !linux

package exec

import "time"

// alarm wakes a goroutine at an instant, as exactly as Go's timers do here.
type alarm struct {
	rings chan struct{}
	timer *time.Timer
}

func newAlarm() (*alarm, error) {
	a := &alarm{rings: make(chan struct{}, 1)}
	a.timer = time.AfterFunc(time.Hour, func() {
		select {
		case a.rings <- struct{}{}:
		default:
		}
	})
	return a, nil
}

// set makes it ring once after so many nanoseconds, in the place of what was set.
func (a *alarm) set(ns int64) { a.timer.Reset(time.Duration(ns)) }

func (a *alarm) close() { a.timer.Stop() }
