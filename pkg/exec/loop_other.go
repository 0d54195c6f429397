//go:build !linux

package exec

import (
	"errors"
	"time"
)

const driverName = "none"

// newLoop says that this system has no driver yet.
func newLoop(*cast, *Addresses, time.Time) (driver, error) {
	return nil, errors.New("this version drives load on Linux only")
}
