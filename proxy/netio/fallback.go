package netio

import (
	"io"
	"time"
)

// What follows is how a Conn reads and writes where it makes no system calls of
// its own.

// fallback reads once from the net.Conn.
func (c *Conn) fallback() error {
	if c.full() {
		if err := c.grow(); err != nil {
			return err
		}
	}
	var n int
	var err error
	room := c.space()
	if c.tls != nil {
		n, err = c.tls.read(room)
	} else {
		n, err = c.nc.Read(room)
	}
	if n > 0 && c.tls != nil { // one record of several, maybe
		c.w += n
		return nil
	}
	if n > 0 {
		c.took(n, len(room))
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	c.Release()
	return err
}

// fallbackTurns is Turns over the net.Conn.
func (c *Conn) fallbackTurns() error {
	if c.early {
		c.early = false
		if !c.handle() {
			return nil
		}
		c.Release()
	}
	for {
		if err := c.fallback(); err != nil || !c.handle() {
			return err
		}
		c.Release()
	}
}

// fallbackSwap sends over the net.Conn what Exchange has to send, then waits.
func (c *Conn) fallbackSwap() error {
	c.sent = len(c.out[0]) + len(c.out[1])
	if c.err = c.WriteTwo(c.out[0], c.out[1]); c.err != nil {
		return nil // c.err tells; as a read's, a timeout would be tried again
	}
	return c.fallback()
}

// fallbackWrite is transmit over the net.Conn, in pieces: their deadlines are
// what comes nearest to one from the last byte that moved.
func (c *Conn) fallbackWrite(head, body []byte, patience time.Duration) (sent int, err error) {
	for _, b := range [...][]byte{head, body} {
		for len(b) > 0 {
			piece := b[:min(len(b), BufferSize)]
			if patience > 0 {
				c.nc.SetWriteDeadline(time.Now().Add(patience))
			}
			n, err := c.nc.Write(piece)
			sent += n
			if err != nil {
				return sent, err
			}
			b = b[len(piece):]
		}
	}
	return sent, nil
}
