//go:build !linux

package exec

import (
	"runtime"
	"time"
)

// What this system does not tell in the same way counts as not seen.
func processTime() time.Duration   { return 0 }
func machineTime() stolenTime      { return stolenTime{} }
func throttledTime() time.Duration { return 0 }
func usableCores() float64         { return float64(runtime.NumCPU()) }
