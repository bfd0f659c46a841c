package upstream

import (
	"fmt"

	"github.com/hopscope/hopscope/proxy/fault"
)

// The types of the frames that an HTTP/2 server may begin with, and the length of a frame
// header (RFC 9113 sections 4.1, 6.5 and 6.8).
const (
	settingsFrame   = 4
	goAwayFrame     = 7
	frameHeaderSize = 9
)

// mistaken returns an error if the endpoint's first bytes show that it speaks another
// protocol than the one configured, else nil.
func (c *Conn) mistaken() error {
	g, b := c.endpoint.group, c.nio.Buffered()
	switch {
	case isHTTP2(b):
		return fault.New(fault.UpstreamProtocol, fmt.Sprintf("%s speaks HTTP/2, but was sent HTTP/1: set protocol to http2 for cluster %s", c.endpoint.Address, g.Name))
	case c.tls == nil && isTLS(b):
		return fault.New(fault.UpstreamProtocol, fmt.Sprintf("%s speaks TLS, but was sent plain text: set tls for cluster %s", c.endpoint.Address, g.Name))
	}
	return nil
}

// isHTTP2 reports whether bytes begin with a frame that an HTTP/2 server sends first, or
// that it answers other protocols with.
func isHTTP2(b []byte) bool {
	if len(b) < frameHeaderSize {
		return false
	}
	ofConnection := b[5]|b[6]|b[7]|b[8] == 0
	return ofConnection && b[0] == 0 && (b[3] == settingsFrame || b[3] == goAwayFrame)
}

// isTLS reports whether bytes begin with an alert of TLS (RFC 8446 section 5.1).
func isTLS(b []byte) bool { return len(b) >= 3 && b[0] == 21 && b[1] == 3 && b[2] <= 4 }
