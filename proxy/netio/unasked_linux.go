package netio

import (
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// stamps has the state and memory to learn when received bytes arrived.
type stamps struct {
	doubt bool  // check the answer of the next Exchange
	asked int64 // when its request was sent, in nanoseconds since 1970; 0 once the answer has begun
	vec   syscall.Iovec
	msg   syscall.Msghdr
	ctl   [64]byte
}

// Stamp makes the kernel note when bytes arrive, for [Conn.Doubt]. It costs one system
// call in a connection's life. If the kernel can't do it, nothing changes.
func (c *Conn) Stamp() {
	if _, ok := c.nc.(interface{ SetNoDelay(bool) error }); !ok || c.raw == nil {
		return // a socket of another kind than TCP
	}
	c.raw.Control(func(fd uintptr) {
		if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) == nil {
			c.calls.stamps = new(stamps)
		}
	})
}

// Doubt makes the next [Conn.Exchange] end with [ErrUnasked] if the answer arrived before
// the request was sent. It costs no system call.
func (c *Conn) Doubt() {
	if c.calls.stamps != nil {
		c.calls.stamps.doubt = true
	}
}

// asks notes when the request is sent.
func (s *stamps) asks() {
	s.asked = 0
	if s.doubt {
		s.doubt, s.asked = false, time.Now().UnixNano()
	}
}

// errUnasked is what receive returns for bytes without a request. TCP itself never
// returns it.
const errUnasked = syscall.EBADMSG

// receive is recv for the first bytes after a request. The kernel tells when the last of
// the received bytes arrived.
func (s *stamps) receive(fd uintptr, b []byte) (int, syscall.Errno) {
	s.vec.Base = &b[0]
	s.vec.SetLen(len(b))
	s.msg.Iov, s.msg.Iovlen = &s.vec, 1
	s.msg.Control = &s.ctl[0]
	s.msg.SetControllen(len(s.ctl))
	n, _, e := syscall.RawSyscall6(syscall.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&s.msg)), 0, 0, 0, 0)
	s.vec.Base = nil
	if e != 0 {
		return 0, e
	}
	if at := s.arrived(); n > 0 && at > 0 && at < s.asked {
		return 0, errUnasked
	}
	s.asked = 0
	return int(n), 0
}

// arrived returns when the bytes arrived, 0 if the kernel does not say.
func (s *stamps) arrived() int64 {
	const size = unix.SizeofCmsghdr + int(unsafe.Sizeof(unix.Timespec{}))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&s.ctl[0]))
	if s.msg.Controllen < uint64(size) || h.Level != unix.SOL_SOCKET || h.Type != unix.SO_TIMESTAMPNS {
		return 0
	}
	return (*unix.Timespec)(unsafe.Pointer(&s.ctl[unix.SizeofCmsghdr])).Nano()
}

// take reads what the socket has.
func (c *Conn) take(fd uintptr, b []byte) (int, syscall.Errno) {
	if s := c.calls.stamps; s != nil && s.asked != 0 {
		return s.receive(fd, b)
	}
	return recv(fd, b, 0)
}

// failure turns the errno of a failed take into an error.
func failure(e syscall.Errno) error {
	if e == errUnasked {
		return ErrUnasked
	}
	return os.NewSyscallError("recv", e)
}
