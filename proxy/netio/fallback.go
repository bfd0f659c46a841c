package netio

import (
	"io"
	"time"
)

// This file reads and writes for a Conn that makes no system calls of its own.

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
	if n > 0 && c.tls != nil { // there may be further records
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

// fallbackTurns implements Turns over the net.Conn.
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

// fallbackSwap sends Exchange's bytes over the net.Conn, then waits.
func (c *Conn) fallbackSwap() error {
	c.sent = len(c.out[0]) + len(c.out[1])
	if c.err = c.WriteTwo(c.out[0], c.out[1]); c.err != nil {
		return nil // c.err has it; if returned, a timeout would be retried as a read's
	}
	return c.fallback()
}

// fallbackWrite implements transmit over the net.Conn. It writes in pieces and sets a
// deadline for each, which comes close to a timeout since the last byte that moved.
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
