package http2

// ExtendedConnect reports whether the peer is known to take extended CONNECT (RFC
// 8441).
func (c *Conn) ExtendedConnect() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.extended
}
