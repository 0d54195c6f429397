//go:build race

package spec

// The race detector makes everything several times slower.
const raceEnabled = true
