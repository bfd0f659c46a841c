package listener

import (
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/netio"
)

// AbortOnClose says when a client that closes its side of an HTTP/1 connection, but
// does not reset it, is taken for one that waits for no answer.
type AbortOnClose uint8

const (
	// AbortLate takes it so unless it closes its side with its request, or within
	// halfClose of the request's end.
	AbortLate AbortOnClose = iota
	// AbortAlways takes it so whenever it does.
	AbortAlways
	// AbortNever never does.
	AbortNever
)

// halfClose is how long after its request a client may close its side and still
// wait for the answer. RFC 9112 section 9.6 has it wait whenever that is; but a
// client that ran out of patience closes in just the same way, and it is worth much
// to stop working for it. Programs that half-close do so with the request's last byte,
// and people are not that quick to give up.
const halfClose = 100 * time.Millisecond

// leaving finds out whether a client has gone away. It is asked only in waits that
// last, a few times a second, so it costs a request nothing that is answered soon;
// in return it has to find out, long after, when an end came. The kernel tells when
// the last segment with an acknowledgement came, which a FIN is. Once a part of the
// response was sent that may be the client's acknowledgement of that part: what is not
// known to be late then counts as early, since a client that has gone answers the next
// bytes with a reset.
type leaving struct {
	half   netio.PeerState // how it has closed its side, and waits; PeerOpen for not
	open   time.Duration   // when a look found its side open last
	spoke  atomic.Bool     // bytes were sent in answer to the present request
	upload atomic.Int64    // when content that did not come with its head ended, 0 for not yet
}

// begin forgets what was known of the last request.
func (l *leaving) begin() {
	l.spoke.Store(false)
	l.upload.Store(0)
}

// away reports whether the client has gone, by how it stands now. heard is when its
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

// late reports whether the client's end came later than halfClose after its request.
func (l *leaving) late(peer netio.Peer, now, heard time.Duration) bool {
	if heard == 0 {
		// Who reads the content finds out what the end means, but may wait for
		// the endpoint to take what came before it.
		return peer.Heard-peer.Ended > halfClose
	}
	if now-peer.Ended <= heard+halfClose {
		return false
	}
	return !l.spoke.Load() || l.open > heard+halfClose
}

// emptyLine is what some clients send behind a request, and what is no request yet
// (RFC 9112 section 2.2).
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

// said reports whether the client, as it stood when it was looked at last, has said
// all that it had to say: nothing of it is left but the request that is being answered.
// Over TLS that can't be told.
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
