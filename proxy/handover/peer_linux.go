package handover

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Supported says whether sockets can be handed to another process here.
const Supported = true

// peerUID returns the user that the other side ran as when it connected, or began to
// listen.
func peerUID(c *net.UnixConn) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var of *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) {
		of, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if failed != nil {
		return 0, os.NewSyscallError("getsockopt", failed)
	}
	return int(of.Uid), nil
}
