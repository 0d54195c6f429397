//go:build unix

package main

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

func TestOnlyTheSameSignalThreeTimesIsUrgent(t *testing.T) {
	const in, term = syscall.SIGINT, syscall.SIGTERM
	for _, c := range []struct {
		name   string
		come   []os.Signal
		urgent bool
	}{
		{"one", []os.Signal{in}, false},
		{"another after it", []os.Signal{in, term}, false},
		{"the same twice", []os.Signal{term, term}, false},
		{"two of each", []os.Signal{in, term, in, term}, false},
		{"the same three times", []os.Signal{in, in, in}, true},
		{"three times with another between", []os.Signal{term, in, term, term}, true},
	} {
		var asked interruption
		urgent := false
		for _, s := range c.come {
			urgent = asked.take(s)
		}
		if urgent != c.urgent || asked.first != c.come[0] {
			t.Errorf("%s: urgent %v, first %v", c.name, urgent, asked.first)
		}
	}
}

func TestSignalEndsTheContextWithItsName(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent(), goleak.IgnoreAnyFunction("os/signal.loop"))
	ctx, release := untilSignal(context.Background(), func() { t.Error("one signal is not urgent") })
	defer release()
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
	var by stopped
	if !errors.As(context.Cause(ctx), &by) || by.Error() != "SIGTERM" {
		t.Errorf("cause %v, want SIGTERM", context.Cause(ctx))
	}
}

func TestReleasedContextIsNoInterruption(t *testing.T) {
	ctx, release := untilSignal(context.Background(), func() {})
	release()
	if !errors.Is(context.Cause(ctx), context.Canceled) {
		t.Errorf("cause %v", context.Cause(ctx))
	}
}
