package netio

import "time"

// Duplex is a flow of bytes both ways, as a tunnel sees it: a [Conn], or a
// stream of a connection that carries several. Its methods are those of Conn.
type Duplex interface {
	Buffered() []byte
	Consume(n int)
	Await(now, deadline time.Duration)
	Fill() error
	Write(b []byte) error
	CloseWrite() error
	Close() error
	// SetWriteTimeout says how long a write may be stuck without a byte
	// moving; 0 is for ever.
	SetWriteTimeout(d time.Duration)
}

// SetWriteTimeout sets WriteTimeout.
func (c *Conn) SetWriteTimeout(d time.Duration) { c.WriteTimeout = d }
