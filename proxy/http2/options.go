package http2

import (
	"time"

	"github.com/hopscope/hopscope/proxy/netio"
)

// Preface is what a client sends first (RFC 9113 section 3.4).
const Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Options are the settings of a connection.
type Options struct {
	// Shared is the proxy's clock.
	Shared *netio.Shared
	// Name is the peer's, for reasons: "the client" on the server side, the
	// endpoint's address on the client side.
	Name string
	// Cluster is what a client's peer is configured by, for reasons that say what to
	// set.
	Cluster string
	// Scheme is the :scheme of the requests that a client sends, "http" where
	// it is empty.
	Scheme string
	// Limits bound header lists that are received.
	Limits Limits
	// MaxStreams is how many streams may be open at once: those that a client
	// may open on a server's connection, or those that are opened on a client's
	// whatever its server allows. 0 means 100.
	MaxStreams int
	// StreamWindow is how many bytes of content a peer may send on a stream
	// before they were read. 0 means 65536; less than 65535, which every peer
	// may send before it has seen the setting, counts as that.
	StreamWindow int
	// HeadTimeout is the time for the peer's first SETTINGS, and for a frame or
	// a header block that was begun. 0 is for ever.
	HeadTimeout time.Duration
	// IdleTimeout ends a connection that carries no stream for so long. 0 is
	// never.
	IdleTimeout time.Duration
	// KeepAlive has a PING sent when no byte came for so long, and
	// KeepAliveTimeout ends the connection when none came for so long after it.
	// 0 is never, of either.
	KeepAlive, KeepAliveTimeout time.Duration
	// StreamIdle is how long a stream's write may wait for the peer to let it
	// send, and the connection's for the socket, without a byte moving. 0 is
	// for ever.
	StreamIdle time.Duration
	// Floods are the limits on hostile peers.
	Floods Floods
}

// Limits bound what a peer can make the proxy hold of a header list, a head's or
// a trailer section's. The zero value means the defaults.
type Limits struct {
	// HeadBytes is the size of a list as RFC 9113 section 10.5.1 counts it:
	// names and values in bytes, and 32 for each field. 0 means 61440. A request
	// beyond it is refused, with 414 if it is so by its :path, else with 431; one
	// beyond four times as much ends its connection.
	HeadBytes int
	// Fields is the most fields, :authority among them, which is the Host field of
	// HTTP/1, and the other pseudo-fields aside; the crumbs of a cookie are one. 0
	// means 100.
	Fields int
}

// Floods are how much of each thing an honest peer can need that costs it little
// and its receiver more. Beyond them the connection ends with ENHANCE_YOUR_CALM.
// The zero value means the defaults.
type Floods struct {
	// Resets is how many streams may end within 10 s because the client reset
	// them as soon as it had opened them (within 100 ms), before they were
	// answered, or made the server reset them. 0 means 200.
	Resets int
	// Control is how many frames that carry nothing of a message may come
	// within 10 s: SETTINGS, PING, PRIORITY, RST_STREAM, WINDOW_UPDATE, empty
	// DATA, frames of unknown types, and whatever comes for streams that have
	// ended. Beyond it 4 more are allowed for each frame of DATA that was sent,
	// and for each header list. 0 means 2000.
	Control int
	// Continuations is how many CONTINUATION frames a header block may have. 0
	// means 16.
	Continuations int
	// Replies is how many frames that answer the peer's may wait for it to
	// read. 0 means 1000.
	Replies int
}

// Defaults of [Options].
const (
	defaultHeadBytes     = 60 << 10
	defaultFields        = 100
	defaultStreams       = 100
	defaultWindow        = 64 << 10
	defaultResets        = 200
	defaultControl       = 2000
	defaultContinuations = 16
	defaultReplies       = 1000
)

const (
	// frameSize is the largest frame's payload, of those that are received and
	// of those that are sent: the least that every peer takes.
	frameSize = 16 << 10
	// firstWindow is what a window is before anything was said of it.
	firstWindow = 65535
	// connWindow is what the peer may send ahead on a connection. It is given
	// back as bytes arrive: the windows of the streams are what bounds memory. Where
	// that gets short, see [Conn.width].
	connWindow = 1 << 20
	// maxWindow is the largest window (RFC 9113 section 6.9.1).
	maxWindow = 1<<31 - 1
	// maxID is the largest stream identifier.
	maxID = 1<<31 - 1
	// maxUnsent is how much content may lie in the connection's buffer, and
	// leastUnsent the same where memory gets short.
	maxUnsent   = 64 << 10
	leastUnsent = 16 << 10
	// heads is how many times as much may lie there with the heads among it.
	withHeads = 4
	// maxSettings is how many settings a frame may have: each initial window
	// costs a look at each stream.
	maxSettings = 64
	// listRoom is how many times HeadBytes a list may have before its
	// connection is given up.
	listRoom = 4
)

func (o *Options) setDefaults() {
	orElse(&o.Limits.HeadBytes, defaultHeadBytes)
	orElse(&o.Limits.Fields, defaultFields)
	orElse(&o.MaxStreams, defaultStreams)
	orElse(&o.StreamWindow, defaultWindow)
	orElse(&o.Floods.Resets, defaultResets)
	orElse(&o.Floods.Control, defaultControl)
	orElse(&o.Floods.Continuations, defaultContinuations)
	orElse(&o.Floods.Replies, defaultReplies)
	o.StreamWindow = min(max(o.StreamWindow, firstWindow), maxWindow)
	if o.Scheme == "" {
		o.Scheme = "http"
	}
}

func orElse(n *int, value int) {
	if *n <= 0 {
		*n = value
	}
}
