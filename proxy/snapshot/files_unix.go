//go:build unix

package snapshot

import "golang.org/x/sys/unix"

// fileLimit is the limit on open descriptors, which the Go runtime has raised
// to the hard limit.
func fileLimit() (int, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	return int(min(limit.Cur, 1<<20)), nil
}
