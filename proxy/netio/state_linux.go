package netio

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Peer looks at the socket. It may run while another goroutine reads, but not twice at
// once.
func (c *Conn) Peer() Peer {
	if c.raw == nil {
		return Peer{}
	}
	if c.raw.Control(c.calls.look) != nil { // this side has closed it
		return Peer{State: PeerReset}
	}
	return c.calls.peer
}

// Quiet reports whether an idle connection is open and has nothing to read. Over TLS it
// reads, to tell content from session tickets and key updates, so only the reading
// goroutine may call it.
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

// Left reports what was received after the first n buffered bytes. bytes says that there
// are more bytes, buffered or in crypto/tls. anything is also true for a TLS close_notify
// or a part of a record. Left makes no system call. Only the reading goroutine may call
// it. A slice that Buffered returned before stays valid unless it was empty.
func (c *Conn) Left(n int64) (bytes, anything bool) {
	switch buffered := int64(len(c.Buffered())); {
	case buffered > n:
		return true, true
	case buffered < n || c.tls == nil || c.tls.empty || c.raw == nil || c.full():
		return false, false
	}
	drained := c.calls.drained
	c.calls.drained = true // keeps decrypt from asking the socket
	done, _ := c.decrypt(0)
	bytes = done && c.err == nil
	c.calls.drained, c.err = drained, nil
	return bytes, done || !c.tls.framing.whole()
}

// QuickAck makes the kernel acknowledge received bytes now.
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

// onLook finds out what Peer returns. For an open, silent connection it costs one system
// call.
func (c *Conn) onLook(fd uintptr) {
	p := &c.calls.peer
	if p.State == PeerReset { // the kernel tells this only once
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
	case info.State == unix.BPF_TCP_CLOSE: // reading does not see a reset behind bytes or behind an end
		p.State = PeerReset
	case announced && info.State == unix.BPF_TCP_ESTABLISHED:
		p.State, p.Ended = PeerAnnounced, p.Heard
	default: // a FIN has no data, but an acknowledgement
		p.Ended = time.Duration(info.Last_ack_recv) * time.Millisecond
	}
}

// onProbe reads without waiting. Bytes that it finds stay buffered.
func (c *Conn) onProbe(fd uintptr) {
	c.calls.drained = false
	done, _ := c.receive(fd)
	c.calls.silent, c.err = !done, nil
}

// isAlert reports whether b, the first unread bytes, is exactly one record and an alert.
// If the type is encrypted (RFC 8446 section 5.2), it goes by the size. Two bytes of data
// have the same size, but a client does not send those while it waits for an answer.
func isAlert(b []byte) bool {
	const header, alert, data, sealed = 5, 21, 23, 2 + 1 + 16
	if len(b) < header || len(b) != header+int(b[3])<<8+int(b[4]) {
		return false
	}
	return b[0] == alert || b[0] == data && len(b) == header+sealed
}
