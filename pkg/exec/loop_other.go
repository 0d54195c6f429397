//go:build !linux

package exec

import (
	"errors"
	"net/netip"
	"time"
)

const driverName = "none"

// newLoop says that this system has no driver yet.
func newLoop(*cast, netip.AddrPort, time.Time) (driver, error) {
	return nil, errors.New("this version drives load on Linux only")
}
