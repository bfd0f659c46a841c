package listener

import (
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/netio"
)

// AbortOnClose says when a request is aborted because its client closed its side of an
// HTTP/1 connection without a reset.
type AbortOnClose uint8

const (
	// AbortLate aborts unless the client closes its side with its request, or within
	// halfClose (100 ms) of the request's end.
	AbortLate AbortOnClose = iota
	// AbortAlways aborts whenever the client closes its side.
	AbortAlways
	// AbortNever never aborts for this.
	AbortNever
)

// halfClose is how long after its request a client may close its side and still get the
// answer. RFC 9112 section 9.6 allows a half-close at any time. But a client that gave up
// closes in the same way, and stopping its work saves much. Programs that half-close do so
// with the request's last byte, and people do not give up that quickly.
const halfClose = 100 * time.Millisecond

// leaving finds out whether a client has gone away. It is asked only in long waits, a few
// times a second, so a request that is answered soon pays nothing. In return it must find
// out in retrospect when the client closed its side. The kernel tells when the last segment
// with an acknowledgement came, and a FIN is one. Once a part of the response was sent,
// that segment may be the client's acknowledgement of that part. A close that is not known
// to be late then counts as early: a client that has gone answers the next bytes with a
// reset.
type leaving struct {
	half   netio.PeerState // how it closed its side while it still waits for the answer; PeerOpen if it did not
	open   time.Duration   // when its side was last seen open
	spoke  atomic.Bool     // bytes were sent in answer to the present request
	upload atomic.Int64    // when content that came after its head ended, 0 for not yet
}

// begin resets the state for a new request.
func (l *leaving) begin() {
	l.spoke.Store(false)
	l.upload.Store(0)
}

// away reports whether the client has gone, judging by peer. heard is when its whole
// request had arrived, 0 for not yet.
func (l *leaving) away(mode AbortOnClose, peer netio.Peer, now, heard time.Duration) bool {
	switch {
	case peer.State == netio.PeerReset:
		return true
	case peer.State == netio.PeerOpen:
		l.open = now
		return false
	case mode == AbortAlways:
		return true
	}
	if l.half != peer.State && (mode == AbortNever || !l.late(peer, now, heard)) {
		l.half = peer.State
	}
	return l.half != peer.State
}

// late reports whether the client closed its side later than halfClose after its request.
func (l *leaving) late(peer netio.Peer, now, heard time.Duration) bool {
	if heard == 0 {
		// The reader of the content will see the end, but it may still wait for the
		// endpoint to take the bytes before it.
		return peer.Heard-peer.Ended > halfClose
	}
	if now-peer.Ended <= heard+halfClose {
		return false
	}
	return !l.spoke.Load() || l.open > heard+halfClose
}

// emptyLine is what some clients send after a request; it does not begin another (RFC 9112
// section 2.2).
const emptyLine = "\r\n"

// left reports whether the client has gone away.
func (c *http1Conn) left() bool {
	if c.going() {
		return true
	}
	shared := c.listener.Shared
	heard := time.Duration(c.upload.Load())
	if c.whole {
		heard = shared.At(c.Hop.Start)
	}
	return c.away(c.listener.AbortOnClose, c.nio.Peer(), shared.Now(), heard)
}

// said reports whether the client had closed its side at the last look, and sent nothing
// after the request that is being answered. Over TLS it is always false, since that can't
// be known.
func (c *http1Conn) said() bool {
	if c.half != netio.PeerEnded || c.info.TLS != nil {
		return false
	}
	rest := c.nio.Buffered()
	switch {
	case c.whole:
		rest = rest[c.size+int(c.length):]
	case c.upload.Load() == 0:
		return false
	}
	return len(rest) == 0 || string(rest) == emptyLine
}
