package discovery

import (
	"errors"
	"syscall"
)

// Short reports whether an error says that this process, or the system, had no
// descriptor or no memory left: so nothing is known of what was to be read.
func Short(err error) bool {
	for _, e := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOBUFS} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
