package netio

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Gone reports whether the peer has closed or reset the connection. Bytes that
// wait to be read hide an orderly end behind them; an end that was announced
// over TLS is seen where it is all that waits. Gone may be called while another
// goroutine reads, but not by two at once.
func (c *Conn) Gone() bool {
	if c.raw == nil {
		return false
	}
	return c.raw.Control(c.calls.peek) != nil || c.calls.peeked == 0 || c.calls.peeked == -2
}

// Quiet reports whether an idle connection is as it should be: open, with
// nothing to read. Over TLS what is there is read, to tell bytes from a peer's
// housekeeping (session tickets, a key update): so it is for the goroutine that
// reads.
func (c *Conn) Quiet() bool {
	switch {
	case len(c.Buffered()) > 0:
		return false
	case c.raw == nil:
		return true
	case c.tls != nil:
		return c.raw.Control(c.calls.probe) == nil && c.calls.silent
	}
	return c.raw.Control(c.calls.peek) == nil && c.calls.peeked == -1
}

// Left reports whether more was received than the first n bytes of those that are
// buffered: it is buffered, too, or crypto/tls has it. It makes no system call, and
// is for the goroutine that reads. What Buffered returned before stays valid unless
// it was empty.
func (c *Conn) Left(n int64) bool {
	switch buffered := int64(len(c.Buffered())); {
	case buffered > n:
		return true
	case buffered < n || c.tls == nil || c.tls.empty || c.raw == nil || c.full():
		return false
	}
	drained := c.calls.drained
	c.calls.drained = true // so the socket is not asked
	done, _ := c.decrypt(0)
	c.calls.drained, c.err = drained, nil
	return done || !c.tls.framing.whole()
}

// QuickAck has the kernel acknowledge what was received now, not later.
func (c *Conn) QuickAck() {
	if c.raw != nil {
		c.raw.Control(c.calls.quick)
	}
}

func onQuick(fd uintptr) {
	syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1)
}

func (c *Conn) onPeek(fd uintptr) {
	var b [64]byte
	switch n, e := recv(fd, b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT); e {
	case 0:
		if c.tls != nil && said(fd, b[:n]) {
			n = 0
		}
		c.calls.peeked = n
	case syscall.EAGAIN:
		c.calls.peeked = -1
	default:
		c.calls.peeked = -2
	}
}

// onProbe reads without waiting. What it finds stays buffered, or is the end.
func (c *Conn) onProbe(fd uintptr) {
	c.calls.drained = false
	done, _ := c.receive(fd)
	c.calls.silent, c.err = !done, nil
}

// said reports whether the last that the peer sent, of which b are the first
// bytes, is an alert, and that it then closed. The alert is seen by its size
// where its type is encrypted (RFC 8446 section 5.2).
func said(fd uintptr, b []byte) bool {
	const header, alert, data, sealed = 5, 21, 23, 2 + 1 + 16
	if len(b) < header || len(b) != header+int(b[3])<<8+int(b[4]) {
		return false
	}
	if b[0] != alert && (b[0] != data || len(b) != header+sealed) {
		return false
	}
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
	n, err := unix.Poll(p, 0)
	return err == nil && n == 1
}
