package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// tooOften is how many times a signal must come before nothing is waited for.
const tooOften = 3

// signals are the requests to stop that a command follows.
var signals = []os.Signal{syscall.SIGINT, syscall.SIGTERM}

// interruption is what signals have asked for.
type interruption struct {
	first os.Signal // nil: nothing
	count map[os.Signal]int
}

// take counts a signal and reports whether nothing is to be waited for any
// more: the same one came for the third time. A pipeline that sends first
// SIGINT and then SIGTERM means one stop, not an urgent one.
func (i *interruption) take(s os.Signal) (urgent bool) {
	if i.first == nil {
		i.first = s
	}
	if i.count == nil {
		i.count = map[os.Signal]int{}
	}
	i.count[s]++
	return i.count[s] >= tooOften
}

// stopped is the cause of a context that a signal ended.
type stopped struct{ signal os.Signal }

func (s stopped) Error() string { return signalName(s.signal) }

func signalName(s os.Signal) string {
	switch s {
	case syscall.SIGINT:
		return "SIGINT"
	case syscall.SIGTERM:
		return "SIGTERM"
	}
	return s.String()
}

// untilSignal returns a context that ends with the first SIGINT or SIGTERM;
// its cause is then a stopped. urgent is called, from another goroutine, when
// the same signal comes for the third time. release stops listening and waits
// for the listener.
func untilSignal(parent context.Context, urgent func()) (ctx context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(parent)
	arrived := make(chan os.Signal, 2*tooOften)
	signal.Notify(arrived, signals...)
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		var asked interruption
		for {
			select {
			case s := <-arrived:
				if asked.take(s) {
					urgent()
				}
				cancel(stopped{asked.first})
			case <-quit:
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(arrived)
		close(quit)
		<-ended
		cancel(nil)
	}
}
