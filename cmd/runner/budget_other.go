//go:build !linux

package main

import "tollgate/pkg/exec"

// spareFiles is how many descriptors are left for logs and reports.
const spareFiles = 64

// Other systems do not tell in a way that is worth a guess: nothing is limited
// before the run, and what fails in it is counted.
func budget() exec.Budget { return exec.Budget{} }

func maxConnections() int { return 0 }
