//go:build linux

package main

import (
	"time"

	"tollgate/bench/truth"
)

// freeze stops the target's only thread for a while again and again, as a long
// collection or a slow disk would: nothing is read, nothing is answered. The
// first stop begins half a period after the first request.
type freeze struct {
	length, every time.Duration // length 0: never
	start         int64         // of the next stop; 0 before the first request
	past          []truth.Window
}

// begin is told of every request, and heeds the first.
func (f *freeze) begin(now int64) {
	if f.length > 0 && f.start == 0 {
		f.start = now + int64(f.every/2)
	}
}

// next is when the thread has to stop.
func (f *freeze) next() (at int64, ok bool) { return f.start, f.start > 0 }

// keep stops the thread if it is time to, for the whole length even where it
// begins late. What is kept is when it really stood still.
func (f *freeze) keep() {
	now := time.Now().UnixNano()
	if f.start == 0 || now < f.start {
		return
	}
	time.Sleep(f.length)
	f.past = append(f.past, truth.Window{Start: now, End: time.Now().UnixNano()})
	f.start += int64(f.every)
}
