package descriptors

import "golang.org/x/sys/unix"

// most is the highest limit that is told of: some systems have none at all.
const most = 1 << 20

// Limit is how many descriptors the process may have open now. The Go runtime has
// raised it to the hard limit as the process started. It is 1024 where it can't be
// known.
func Limit() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	return int(min(limit.Cur, most))
}

// Short reports whether traffic has taken all that it may have, or even more is
// open: whether the next descriptor would be one of the reserve, or there is none.
func Short() bool {
	fd, err := next()
	if err != nil {
		return Lacks(err)
	}
	return fd >= Usable(Limit())
}

// Open is about how many descriptors are open: fewer than there are where some of
// lower numbers were closed since.
func Open() int {
	fd, err := next()
	if err != nil {
		return Limit()
	}
	return fd
}

// next is the number of the next descriptor.
func next() (int, error) {
	// The root folder is always there to be opened, and opening it touches nothing.
	fd, err := unix.Open("/", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	return fd, unix.Close(fd)
}
