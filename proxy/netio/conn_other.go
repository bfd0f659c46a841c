//go:build !linux

package netio

import "time"

// calls is empty on systems without the raw calls.
type calls struct{}

func (c *Conn) open() {}

func (c *Conn) readMore() error  { return c.fallback() }
func (c *Conn) readTurns() error { return c.fallbackTurns() }
func (c *Conn) readSwap() error  { return c.fallbackSwap() }

func (w *wire) receive(b []byte) (int, error) { return w.Conn.Read(b) }

func (c *Conn) transmit(head, body []byte, patience time.Duration) (sent int, err error) {
	return c.fallbackWrite(head, body, patience)
}

func (c *Conn) offer(head, body []byte) (sent int, err error) {
	return c.fallbackWrite(head, body, c.WriteTimeout)
}

// Peer knows nothing here: a read or a write says how the connection ended.
func (c *Conn) Peer() Peer { return Peer{} }

// Quiet reports whether nothing is buffered; it knows no more here.
func (c *Conn) Quiet() bool { return len(c.Buffered()) == 0 }

// Left reports whether more than n bytes are buffered.
func (c *Conn) Left(n int64) (bytes, anything bool) {
	more := int64(len(c.Buffered())) > n
	return more, more
}

// Stamp does nothing here.
func (c *Conn) Stamp() {}

// Doubt does nothing here: an answer without a request is not recognised.
func (c *Conn) Doubt() {}

// QuickAck does nothing here.
func (c *Conn) QuickAck() {}
