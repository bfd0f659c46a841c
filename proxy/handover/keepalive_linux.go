package handover

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// keepAlive turns TCP keep-alive on for the listening socket. Accepted sockets inherit
// it, which saves four system calls for each. The times are those of package net.
var keepAlive = net.ListenConfig{KeepAlive: -1, Control: func(_, _ string, raw syscall.RawConn) error {
	var err error
	failed := raw.Control(func(fd uintptr) {
		set := func(level, option, value int) {
			err = errors.Join(err, unix.SetsockoptInt(int(fd), level, option, value))
		}
		set(unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
		set(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15)
		set(unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15)
		set(unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 9)
	})
	return errors.Join(failed, err)
}}
