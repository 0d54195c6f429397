package demo

import (
	"errors"
	"fmt"
	"time"
)

// Faults are what a [Proxy] does to the connections that pass it. The zero
// value passes everything on.
type Faults struct {
	// Seed decides all that is random: a connection's fate depends on it and on
	// the connection's number alone.
	Seed uint64

	// Latency delays everything that passes, in both directions, and Jitter by
	// a further time drawn from 0 to Jitter. What follows waits its turn.
	Latency, Jitter time.Duration
	// Bandwidth is how many bytes pass per second and direction; 0: any number.
	Bandwidth int64
	// Slice cuts what passes into pieces of 1 to Slice bytes; 0: no cutting.
	Slice int

	// Of all connections these shares meet a fate, once a number of bytes drawn
	// from 0 to Within has passed from the target to the client and another is
	// about to. So the request that is under way then has reached the target.
	Limits    float64 // the client gets the end of the stream
	Resets    float64 // the client, and the target, get a reset
	Stalls    float64 // nothing passes any more, and both sides stay connected
	HalfOpens float64 // the target's side is gone, and the client is not told
	Corrupts  float64 // a bit of that byte flips
	Within    int64
}

// Validate reports what about the faults cannot be.
func (f Faults) Validate() error {
	sum := 0.0
	for _, share := range []float64{f.Limits, f.Resets, f.Stalls, f.HalfOpens, f.Corrupts} {
		if !(share >= 0) { // NaN included
			return fmt.Errorf("faults: a share of connections is %v, and must be from 0 to 1", share)
		}
		sum += share
	}
	switch {
	case sum > 1:
		return fmt.Errorf("faults: the shares of connections sum up to %v, more than 1", sum)
	case f.Latency < 0 || f.Jitter < 0 || f.Bandwidth < 0 || f.Slice < 0 || f.Within < 0:
		return errors.New("faults: latency, jitter, bandwidth, slice and within cannot be negative")
	}
	return nil
}

// A doom is what happens to a connection of a proxy.
type doom uint8

const (
	spared doom = iota
	limited
	resetDoom
	stalled
	halfOpen
	corrupted
)

// What a proxy's draw is for.
const (
	forDoom uint64 = iota + 100
	forDoomAt
	forProxyJitter
	forProxySlice
)

// doomOf is what happens to the n-th connection, once `at` bytes have passed.
func (f *Faults) doomOf(n uint64) (d doom, at int64) {
	at = int64(draw(f.Seed, n, forDoomAt) * float64(f.Within+1))
	u := draw(f.Seed, n, forDoom)
	for i, share := range []float64{f.Limits, f.Resets, f.Stalls, f.HalfOpens, f.Corrupts} {
		if u < share {
			return limited + doom(i), at
		}
		u -= share
	}
	return spared, at
}
