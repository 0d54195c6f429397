//go:build race

package seed

// The race detector keeps a shadow of all memory.
func init() { raced = true }
