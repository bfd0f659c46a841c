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
	fd = -1
	err = withDescriptor(socket, func(of int) (err error) {
		fd, err = unix.FcntlInt(uintptr(of), unix.F_DUPFD_CLOEXEC, 0)
		return os.NewSyscallError("fcntl", err)
	})
	return fd, err
}

// rawOf is a socket's descriptor, for as long as it is used.
func rawOf(socket net.Listener) (syscall.RawConn, error) {
	s, ok := socket.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("a %T has no descriptor", socket)
	}
	return s.SyscallConn()
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
