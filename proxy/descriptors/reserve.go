package descriptors

import (
	"net"
	"strconv"
	"syscall"
)

// Reserve is how many descriptors of a limit traffic leaves to others: the admin API,
// logs, files that are read again, discovery and what spans are sent over. It is a
// quarter of the limit, and 64 at most.
func Reserve(limit int) int { return min(limit/4, 64) }

// Usable is how many descriptors of a limit there are for traffic.
func Usable(limit int) int { return limit - Reserve(limit) }

// Kept is that a connection was not opened, since what is left is kept for others. It
// is [syscall.EMFILE] to [errors.Is].
type Kept struct {
	// Left of the Limit on open descriptors are kept.
	Left, Limit int
}

func (k *Kept) Error() string {
	return "the last " + strconv.Itoa(k.Left) + " of " + strconv.Itoa(k.Limit) + " descriptors are kept for clients, the admin API, logs and files"
}

// Unwrap makes it one of the errors of a process that has no descriptor left.
func (k *Kept) Unwrap() error { return syscall.EMFILE }

// Dialer returns a dialer of connections that carry traffic: of as many descriptors as
// limit returns it leaves the reserve to others, and besides as many as more returns, nil
// for none. It fails with [Kept] instead.
func Dialer(limit, more func() int) *net.Dialer {
	return &net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		limit := limit()
		left := Reserve(limit)
		if more != nil {
			left += more()
		}
		within := true
		err := c.Control(func(fd uintptr) { within = int(fd) < limit-left })
		if err == nil && !within {
			err = &Kept{left, limit}
		}
		return err
	}}
}

// Reserved reports whether a connection's descriptor is one of the reserve. It makes
// no system call; usable is [Usable] of the limit.
func Reserved(nc net.Conn, usable int) bool {
	c, ok := nc.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	reserved := false
	return raw.Control(func(fd uintptr) { reserved = int(fd) >= usable }) == nil && reserved
}
