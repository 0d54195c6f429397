package exec

import "syscall"

// ownFaults are the errors of a machine that ran out of something: WSAEMFILE,
// WSAENOBUFS, WSAEADDRNOTAVAIL, WSAEADDRINUSE, ERROR_NOT_ENOUGH_MEMORY,
// ERROR_OUTOFMEMORY, ERROR_TOO_MANY_OPEN_FILES.
var ownFaults = [...]syscall.Errno{10024, 10055, 10049, 10048, 8, 14, 4}
