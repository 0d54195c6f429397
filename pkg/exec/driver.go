package exec

import (
	"fmt"
	"sync/atomic"
	"time"

	"tollgate/internal/httpwire"
	"tollgate/pkg/spec"
)

// driver carries a cast's decisions out.
type driver interface {
	// run turns until stop is set.
	run(stop *atomic.Bool)
	// do runs f where the cast may be touched, and waits for it.
	do(f func())
	// discard gives back what a driver holds that is not to run.
	discard()
}

// newDriver makes a driver; the simulation brings its own.
type newDriver func(*cast, *Addresses, time.Time) (driver, error)

// The names of drivers, in options and results.
const (
	driverLoop = "loop" // epoll and clear HTTP/1.1, on Linux
	driverConn = "conn" // everything, everywhere
)

// DriverOf names the driver that would carry the load of a spec: the one that is
// asked for, if it can (see RunOptions.Driver), or the one that fits.
func DriverOf(s *spec.Spec, name string) (string, error) {
	_, name, err := drive(s, name)
	return name, err
}

// drive chooses the driver for a spec: by name, or the loop wherever it serves.
func drive(s *spec.Spec, name string) (newDriver, string, error) {
	why := ""
	switch {
	case loopHere == nil:
		why = "it needs Linux"
	default:
		for on := range len(s.Others) + 1 {
			if t := s.TargetOf(on); t.Scheme == "https" || t.HTTP == spec.HTTP2 {
				why = fmt.Sprintf("it speaks HTTP/1.1 in clear text, and %s is neither", t.URL)
				if t.Scheme != "https" {
					why = fmt.Sprintf("it speaks HTTP/1.1, and %s is spoken to in HTTP/2", t.URL)
				}
				break
			}
		}
	}
	switch {
	case name == driverConn, name == "" && why != "":
		return newConn, driverConn, nil
	case name == driverLoop && why != "":
		return nil, "", fmt.Errorf("the loop driver cannot serve this spec: %s", why)
	case name == "", name == driverLoop:
		return loopHere, driverLoop, nil
	}
	return nil, "", fmt.Errorf("there is no driver %q: leave it out, or name loop or conn", name)
}

const (
	readBuffer = 64 << 10
	// longestWait bounds a wait, so that calls from other goroutines and the
	// garbage collector are served soon: 5 ms.
	longestWait = int64(5 * time.Millisecond)
	// readsPerTurn bounds what one peer may send before the others have their
	// turn again.
	readsPerTurn = 4
	// keptBodies bounds the bodies that all loops together hold for checks and
	// saves while they arrive: 12 MiB, or 32 KiB for each user where that is more,
	// and at least one body of the size that the spec allows. A body of up to
	// 32 KiB is never refused for what others hold.
	keptBodies = 12 << 20
	keptByUser = 32 << 10
)

// errTooMuchHeld is the fault of a body that came when all others together held
// what may be held.
var errTooMuchHeld = fmt.Errorf("%w: the bodies under way are more than may be held at once", httpwire.ErrTooLarge)

// The details of requests that the engine ended.
const (
	inFlightAtEnd = "in flight when the run ended"
	noneFree      = "no connection was free within the timeout"
)
