package evidence

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a question may take. The kernel answers within the system call
// that asks, so that no question should need it.
const patience = 50 * time.Millisecond

// mostDatagrams bounds an answer. Those to our questions have a few hundred bytes.
const mostDatagrams = 32

// inquire asks sock_diag one question, and calls each for the sockets of the answer.
func inquire(question []byte, each func(socket)) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	wait := unix.NsecToTimeval(int64(patience))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
		return err
	}
	if err := unix.Sendto(fd, question, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	var buffer [16 << 10]byte // what the kernel fills at most, unless asked with more room
	for range mostDatagrams {
		n, _, err := unix.Recvfrom(fd, buffer[:], 0)
		if err != nil {
			return err
		}
		if done, err := decode(buffer[:n], each); done || err != nil {
			return err
		}
	}
	return errTruncated
}

// refusal reports whether an error means that sock_diag will never answer: the kernel
// has none, or this process may not ask.
func refusal(err error) bool {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.ENOENT),
		errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EINVAL):
		return true
	}
	return false
}

// absent is the error of a question for a socket that is not there.
const absent = syscall.ENOENT

// here reports whether an address is this machine's. It asks for the way to it, and sends
// nothing: the way to an own address begins at that address.
func here(a netip.Addr) bool {
	if a.IsLoopback() {
		return true
	}
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 9)))
	if err != nil {
		return false
	}
	defer c.Close()
	from, ok := c.LocalAddr().(*net.UDPAddr)
	return ok && from.AddrPort().Addr().Unmap().WithZone("") == a.WithZone("")
}
