//go:build !linux

package exec

// loopHere: this system has no loops.
var loopHere newDriver
