package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tollgate/pkg/exec"
)

func TestTerminalThatIsHeldUpDoesNotHoldUpTheRun(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	before := goleak.IgnoreCurrent()
	p := compiled(t, "steady: {name: "+strings.Repeat("x", 90)+", users: 10, for: 10s}", "p95 < 1s")
	s := newScreen(&canvas{out: &printer{file: w}}, p, true, true)
	taken := make(chan struct{})
	go func() {
		defer close(taken)
		for i := range 1000 { // far more than a pipe holds
			s.take(exec.Progress{Elapsed: time.Duration(i) * time.Second, Second: second(1, 0)}, false)
		}
	}()
	select {
	case <-taken:
	case <-time.After(patience):
		t.Fatal("a reading waits for the terminal")
	}
	s.Close()
	r.Close() // lets go who is held up
	w.Close()
	goleak.VerifyNone(t, before)
}
