package netio

import (
	"io"
	"net"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// calls has a connection's closures over its descriptor, made once, and the memory for
// its system calls.
type calls struct {
	more, turn, swap func(fd uintptr) bool

	fd      uintptr // the descriptor while turning, or while crypto/tls reads
	stamps  *stamps // nil without Stamp
	turning bool    // handle of Turns runs, and may write but not read
	drained bool    // crypto/tls has emptied the socket, and no wait has begun since
	timed   bool    // the present write has a deadline
	offers  bool    // the write does not wait
	silent  bool    // the last peek or probe found nothing

	push              func(fd uintptr) bool
	write             [2][]byte // what transmit has still to send
	werr              error
	patience          time.Duration // how long the write may be stuck, 0 for ever
	stuck             time.Duration // when it began to wait for the socket, on Shared's clock; 0 if it does not
	vec               [2]syscall.Iovec
	msg               syscall.Msghdr
	peek, look, probe func(fd uintptr)
	quick             func(fd uintptr)
	peer              Peer // what the last look found
}

// open makes the closures, if the connection is a socket.
func (c *Conn) open() {
	switch nc := c.nc.(type) {
	case *net.TCPConn:
		c.raw, _ = nc.SyscallConn()
	case *net.UnixConn:
		c.raw, _ = nc.SyscallConn()
	}
	if c.raw != nil {
		c.calls.more, c.calls.turn, c.calls.swap = c.onMore, c.onTurn, c.onSwap
		c.calls.push, c.calls.peek, c.calls.look = c.onPush, c.onPeek, c.onLook
		c.calls.probe, c.calls.quick = c.onProbe, onQuick
	}
}

func (c *Conn) readMore() error {
	if c.raw == nil {
		return c.fallback()
	}
	return c.raw.Read(c.calls.more)
}

func (c *Conn) readTurns() error {
	if c.raw == nil {
		return c.fallbackTurns()
	}
	return c.raw.Read(c.calls.turn)
}

func (c *Conn) readSwap() error {
	if c.raw == nil {
		return c.fallbackSwap()
	}
	return c.raw.Read(c.calls.swap)
}

// receive reads what the socket has. done is false if that is nothing. more says that
// there may be more than there was room for.
func (c *Conn) receive(fd uintptr) (done, more bool) {
	if c.tls != nil {
		return c.decrypt(fd)
	}
	if c.full() {
		if c.err = c.grow(); c.err != nil {
			return true, false
		}
	}
	b := c.space()
	n, e := c.take(fd, b)
	switch {
	case e == syscall.EAGAIN:
		c.Release()
		return false, false
	case e != 0:
		c.err = failure(e)
		c.Release()
	case n == 0:
		c.err = io.EOF
		c.Release()
	default:
		c.took(n, len(b))
	}
	return true, n == len(b)
}

func (c *Conn) onMore(fd uintptr) bool {
	c.calls.drained = false
	done, _ := c.receive(fd)
	return done
}

func (c *Conn) onTurn(fd uintptr) bool {
	c.calls.drained = false
	if c.early {
		c.early = false
		if !c.turn(fd) {
			return true
		}
		c.Release()
	}
	for {
		done, more := c.receive(fd)
		if !done {
			return false
		}
		if c.err != nil {
			return true
		}
		if !c.turn(fd) {
			return true
		}
		c.Release()
		if !more {
			return false
		}
	}
}

// turn calls handle. handle may write to the descriptor that is held here, unless Apart
// is set.
func (c *Conn) turn(fd uintptr) bool {
	if c.Apart {
		return c.handle()
	}
	c.calls.fd, c.calls.turning = fd, true
	again := c.handle()
	c.calls.turning = false
	return again
}

// onSwap sends when it is first called, and receives when called again. The poller is
// armed before the first call, so the answer can't come before the poller listens.
func (c *Conn) onSwap(fd uintptr) bool {
	if c.sent >= 0 {
		return c.onMore(fd)
	}
	if s := c.calls.stamps; s != nil {
		s.asks()
	}
	if c.tls != nil {
		return c.swap(fd)
	}
	n, e := c.send(fd, c.out[0], c.out[1])
	c.sent = n
	if e != 0 && e != syscall.EAGAIN {
		c.err = os.NewSyscallError("send", e)
		return true
	}
	return n < len(c.out[0])+len(c.out[1])
}

// transmit sends all of head and then all of body, in one call if the socket takes them,
// and returns how many bytes went out. It gives up when no byte has moved for patience; 0
// is for ever.
func (c *Conn) transmit(head, body []byte, patience time.Duration) (sent int, err error) {
	if c.raw == nil {
		return c.fallbackWrite(head, body, patience)
	}
	all := len(head) + len(body)
	if c.calls.turning { // the descriptor is held already
		n, e := c.send(c.calls.fd, head, body)
		if e == 0 && n == all {
			return n, nil
		}
		if e != 0 && e != syscall.EAGAIN {
			return 0, os.NewSyscallError("send", e)
		}
		took := min(n, len(head))
		head, body = head[took:], body[n-took:]
	}
	s := &c.calls
	s.write, s.werr, s.patience = [2][]byte{head, body}, nil, patience
	err = c.raw.Write(s.push)
	c.unstick()
	if err == nil {
		err = s.werr
	}
	sent = all - len(s.write[0]) - len(s.write[1])
	s.write = [2][]byte{}
	if s.timed { // else it would end a later write at once
		s.timed = false
		c.nc.SetWriteDeadline(time.Time{})
	}
	return sent, err
}

// offer sends as much as the socket takes at once.
func (c *Conn) offer(head, body []byte) (sent int, err error) {
	if c.raw == nil {
		return c.fallbackWrite(head, body, c.WriteTimeout)
	}
	c.calls.offers = true
	sent, err = c.transmit(head, body, 0)
	c.calls.offers = false
	return sent, err
}

// unstick counts the time that the write has waited, if it did.
func (c *Conn) unstick() {
	if s := &c.calls; s.stuck > 0 {
		c.blocked += c.shared.Now() - s.stuck
		s.stuck = 0
	}
}

func (c *Conn) onPush(fd uintptr) bool {
	s := &c.calls
	c.unstick()
	for len(s.write[0])+len(s.write[1]) > 0 {
		n, e := c.send(fd, s.write[0], s.write[1])
		switch e {
		case 0:
			took := min(n, len(s.write[0]))
			s.write[0], s.write[1] = s.write[0][took:], s.write[1][n-took:]
		case syscall.EAGAIN:
			if s.offers {
				return true
			}
			s.stuck = max(c.shared.Now(), 1)
			if s.patience > 0 {
				s.timed = true
				c.nc.SetWriteDeadline(time.Now().Add(s.patience))
			}
			return false
		default:
			s.werr = os.NewSyscallError("send", e)
			return true
		}
	}
	return true
}

// send sends the two pieces in one system call.
func (c *Conn) send(fd uintptr, a, b []byte) (int, syscall.Errno) {
	if len(a) == 0 {
		a, b = b, nil
	}
	if len(a) == 0 {
		return 0, 0
	}
	if len(b) == 0 {
		n, _, e := syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(&a[0])), uintptr(len(a)), syscall.MSG_NOSIGNAL, 0, 0)
		if e != 0 {
			return 0, e
		}
		return int(n), 0
	}
	s := &c.calls
	s.vec[0].Base, s.vec[1].Base = &a[0], &b[0]
	s.vec[0].SetLen(len(a))
	s.vec[1].SetLen(len(b))
	s.msg.Iov, s.msg.Iovlen = &s.vec[0], 2
	n, _, e := syscall.RawSyscall6(syscall.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(&s.msg)), syscall.MSG_NOSIGNAL, 0, 0, 0)
	s.vec[0].Base, s.vec[1].Base = nil, nil
	if e != 0 {
		return 0, e
	}
	return int(n), 0
}

// recv does not sleep, so no signal should interrupt it. If one does, recv tries again.
func recv(fd uintptr, b []byte, flags uintptr) (int, syscall.Errno) {
	for {
		n, _, e := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), flags, 0, 0)
		switch e {
		case 0:
			return int(n), 0
		case syscall.EINTR:
		default:
			return 0, e
		}
	}
}
