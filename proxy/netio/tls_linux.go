package netio

import (
	"io"
	"syscall"
)

// receive reads what the socket has. A receive that did not fill its room has emptied the
// socket, so the socket is not asked again until the next wait. The poller ends that wait
// if more has come since.
func (w *wire) receive(b []byte) (int, error) {
	c := w.c
	if c.raw == nil {
		return w.Conn.Read(b)
	}
	if c.calls.drained {
		return 0, errWouldBlock
	}
	n, e := c.take(c.calls.fd, b)
	switch {
	case e == syscall.EAGAIN:
		return 0, errWouldBlock
	case e != 0:
		return 0, failure(e)
	case n == 0:
		return 0, io.EOF
	}
	c.calls.drained = n < len(b)
	return n, nil
}

// decrypt is receive over TLS. more is false only if neither crypto/tls nor the socket
// holds anything.
func (c *Conn) decrypt(fd uintptr) (done, more bool) {
	if c.full() {
		if c.err = c.grow(); c.err != nil {
			return true, false
		}
	}
	c.calls.fd = fd
	room, all := c.space(), 0
	n, err := c.tls.read(room)
	for n > 0 {
		all += n
		more = !c.tls.empty || !c.calls.drained
		if !more || c.grade == usual || len(room)-all < BufferSize {
			break
		}
		n, err = c.tls.read(room[all:]) // an error is reported again
	}
	switch {
	case all > 0:
		if more && all >= len(room)/2 && len(room)-all < BufferSize { // no room for another record
			room = room[:all]
		}
		c.took(all, len(room))
		return true, more
	case err == errWouldBlock:
		c.Release()
		return false, false
	}
	c.Release()
	c.err = err
	return true, false
}

// swap encrypts and sends all of Exchange's bytes. It may wait for the socket to take
// them, within the wait for the answer, which it does not disturb.
func (c *Conn) swap(fd uintptr) (done bool) {
	s, before := &c.calls, c.tls.moved
	s.fd, s.turning = fd, true
	c.err = c.tls.write(c.out[0], c.out[1])
	s.turning = false
	c.sent = len(c.out[0]) + len(c.out[1])
	if c.err != nil {
		c.sent = min(c.sent, c.tls.moved-before)
	}
	return c.err != nil
}
