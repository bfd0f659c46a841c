package netio

import "time"

// Duplex is one side of a tunnel: a [Conn], or a stream of a multiplexed connection. Its
// methods are those of Conn.
type Duplex interface {
	Buffered() []byte
	Consume(n int)
	Await(now, deadline time.Duration)
	Fill() error
	Write(b []byte) error
	CloseWrite() error
	Close() error
	// SetWriteTimeout sets how long a write may go without a byte moving; 0 is for ever.
	SetWriteTimeout(d time.Duration)
}

// SetWriteTimeout sets WriteTimeout.
func (c *Conn) SetWriteTimeout(d time.Duration) { c.WriteTimeout = d }
