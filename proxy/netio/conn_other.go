//go:build !linux

package netio

// calls is empty where the raw calls are not to be had.
type calls struct{}

func (c *Conn) open() {}

func (c *Conn) readMore() error  { return c.fallback() }
func (c *Conn) readTurns() error { return c.fallbackTurns() }
func (c *Conn) readSwap() error  { return c.fallbackSwap() }

// WriteTwo sends all of head and then all of body.
func (c *Conn) WriteTwo(head, body []byte) error { return c.fallbackWrite(head, body) }

// Gone reports whether the peer is known to have closed the connection; here
// it never is before a read or a write says so.
func (c *Conn) Gone() bool { return false }

// Quiet reports whether an idle connection is as it should be, as far as can
// be told here.
func (c *Conn) Quiet() bool { return true }

// QuickAck does nothing here.
func (c *Conn) QuickAck() {}
