//go:build !windows

package exec

import "syscall"

// ownFaults are the errors of a machine that ran out of something.
var ownFaults = [...]syscall.Errno{
	syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL, syscall.EADDRINUSE, syscall.ENOSPC,
}
