package http2

// ExtendedConnect reports whether the peer is known to take extended CONNECT (RFC
// 8441).
func (c *Conn) ExtendedConnect() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.peer.extendedConnect
}

// Quiet reports whether nothing is under way: no stream, nobody who serves one, and
// nothing to be sent.
func (c *Conn) Quiet() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.streams.active == 0 && c.streams.held == 0 && len(c.out.buf) == 0
}
