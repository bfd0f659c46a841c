package handover

import (
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Dup returns another owner of a listening socket. Closing either leaves the other
// as it is.
func Dup(socket net.Listener) (net.Listener, error) {
	fd, err := dup(socket)
	if err != nil {
		return nil, err
	}
	return open(fd)
}

// dup copies a socket's descriptor. Other than with [net.TCPListener.File], what
// is shared by the two is never set to block, in which an Accept might be caught.
func dup(socket net.Listener) (fd int, err error) {
	s, ok := socket.(syscall.Conn)
	if !ok {
		return -1, fmt.Errorf("a %T has no descriptor", socket)
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return -1, err
	}
	failed := raw.Control(func(of uintptr) {
		fd, err = unix.FcntlInt(of, unix.F_DUPFD_CLOEXEC, 0)
	})
	if failed != nil {
		return -1, failed
	}
	return fd, os.NewSyscallError("fcntl", err)
}

// open makes a listener of a descriptor, which is its own from then on, also where
// it fails.
func open(fd int) (net.Listener, error) {
	f := os.NewFile(uintptr(fd), "listener")
	if f == nil {
		return nil, fmt.Errorf("%d is no descriptor", fd)
	}
	defer f.Close() // the listener has a copy
	return net.FileListener(f)
}
