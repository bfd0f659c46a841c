package netio

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Peer looks at the socket. It may be called while another goroutine reads, but
// not by two at once.
func (c *Conn) Peer() Peer {
	if c.raw == nil {
		return Peer{}
	}
	if c.raw.Control(c.calls.look) != nil { // it was closed on this side
		return Peer{State: PeerReset}
	}
	return c.calls.peer
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
	return c.raw.Control(c.calls.peek) == nil && c.calls.silent
}

// Left reports what was received behind the first n bytes of those that are buffered:
// more bytes, which are buffered, too, or in crypto/tls; or anything at all, such as
// the announcement of the end over TLS, or a part of a record. It makes no system
// call, and is for the goroutine that reads. What Buffered returned before stays valid
// unless it was empty.
func (c *Conn) Left(n int64) (bytes, anything bool) {
	switch buffered := int64(len(c.Buffered())); {
	case buffered > n:
		return true, true
	case buffered < n || c.tls == nil || c.tls.empty || c.raw == nil || c.full():
		return false, false
	}
	drained := c.calls.drained
	c.calls.drained = true // so the socket is not asked
	done, _ := c.decrypt(0)
	bytes = done && c.err == nil
	c.calls.drained, c.err = drained, nil
	return bytes, done || !c.tls.framing.whole()
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
	var b [1]byte
	_, e := recv(fd, b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	c.calls.silent = e == syscall.EAGAIN
}

// onLook finds out what Peer tells. A connection that is open and silent costs one
// system call.
func (c *Conn) onLook(fd uintptr) {
	p := &c.calls.peer
	if p.State == PeerReset { // which the kernel tells only once
		return
	}
	*p = Peer{}
	var b [64]byte
	n, e := recv(fd, b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	if e != 0 {
		if e != syscall.EAGAIN {
			p.State = PeerReset
		}
		return
	}
	announced := c.tls != nil && isAlert(b[:n])
	if n == 0 || announced {
		p.State = PeerEnded
	}
	info, err := unix.GetsockoptTCPInfo(int(fd), unix.SOL_TCP, unix.TCP_INFO)
	if err != nil {
		return // not TCP
	}
	p.Heard = time.Duration(info.Last_data_recv) * time.Millisecond
	switch {
	case info.State == unix.BPF_TCP_CLOSE: // a reset behind bytes, or behind an end, is not seen by reading
		p.State = PeerReset
	case announced && info.State == unix.BPF_TCP_ESTABLISHED:
		p.State, p.Ended = PeerAnnounced, p.Heard
	default: // a FIN is no data, but acknowledges
		p.Ended = time.Duration(info.Last_ack_recv) * time.Millisecond
	}
}

// onProbe reads without waiting. What it finds stays buffered, or is the end.
func (c *Conn) onProbe(fd uintptr) {
	c.calls.drained = false
	done, _ := c.receive(fd)
	c.calls.silent, c.err = !done, nil
}

// isAlert reports whether b, the first bytes that wait, are one record and no more,
// and that an alert. Where its type is encrypted (RFC 8446 section 5.2) it is told by
// its size, which two bytes of data have, too: such data is nothing that a client
// sends while it waits for an answer.
func isAlert(b []byte) bool {
	const header, alert, data, sealed = 5, 21, 23, 2 + 1 + 16
	if len(b) < header || len(b) != header+int(b[3])<<8+int(b[4]) {
		return false
	}
	return b[0] == alert || b[0] == data && len(b) == header+sealed
}
