//go:build !linux

package handover

import (
	"errors"
	"net"
)

// Supported says whether sockets can be handed to another process here.
const Supported = false

func peerUID(*net.UnixConn) (int, error) {
	return 0, errors.New("taking over works on Linux only: elsewhere hopscope can't tell which user is on the other side of a Unix socket")
}
