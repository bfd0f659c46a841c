package handover

import (
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Dup returns a copy of a listening socket. Closing one leaves the other open.
func Dup(socket net.Listener) (net.Listener, error) {
	fd, err := dup(socket)
	if err != nil {
		return nil, err
	}
	return open(fd)
}

// dup copies a socket's descriptor. Unlike [net.TCPListener.File] it never sets the
// socket to blocking mode, which the copies share, and in which an Accept might hang.
func dup(socket net.Listener) (fd int, err error) {
	fd = -1
	err = withDescriptor(socket, func(of int) (err error) {
		fd, err = unix.FcntlInt(uintptr(of), unix.F_DUPFD_CLOEXEC, 0)
		return os.NewSyscallError("fcntl", err)
	})
	return fd, err
}

// rawOf returns access to a socket's descriptor.
func rawOf(socket net.Listener) (syscall.RawConn, error) {
	s, ok := socket.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("a %T has no descriptor", socket)
	}
	return s.SyscallConn()
}

// open makes a listener from a descriptor. It owns the descriptor, also if it fails.
func open(fd int) (net.Listener, error) {
	f := os.NewFile(uintptr(fd), "listener")
	if f == nil {
		return nil, fmt.Errorf("%d is not a descriptor", fd)
	}
	defer f.Close() // the listener has a copy
	return net.FileListener(f)
}
