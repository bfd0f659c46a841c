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
	// Name is the peer's name in errors: "the client" for a server, the endpoint's address
	// for a client.
	Name string
	// Cluster is the name of the cluster that a client's peer belongs to, for errors that
	// name the setting to change.
	Cluster string
	// Scheme is the :scheme of the requests that a client sends. Empty is "http".
	Scheme string
	// Limits bound the header lists that the peer sends.
	Limits Limits
	// MaxStreams is how many streams may be open at once. A server tells its client; a
	// client opens no more even if its server allows more. 0 is 100.
	MaxStreams int
	// StreamWindow is how many bytes of content the peer may send on a stream before they
	// are read. 0 is 65536. Less than 65535 counts as 65535, which every peer may send
	// before it has seen the setting.
	StreamWindow int
	// HeadTimeout is the time the peer has for its first SETTINGS, and for a frame or
	// header block that it has begun. 0 is no limit.
	HeadTimeout time.Duration
	// IdleTimeout ends a connection that has carried no stream for so long. 0 is never.
	IdleTimeout time.Duration
	// KeepAlive is how long no byte may come before a PING is sent. KeepAliveTimeout is how
	// long no byte may come after that PING before the connection ends. 0 is never, for
	// each.
	KeepAlive, KeepAliveTimeout time.Duration
	// StreamIdle is how long a stream's write may wait for the peer's window, and the
	// connection's write for the socket, without a byte moving. 0 is no limit.
	StreamIdle time.Duration
	// Floods are the limits on hostile peers.
	Floods Floods
}

// Limits bound a header list: that of a head or of a trailer section. 0 is the default.
type Limits struct {
	// HeadBytes is the size of a header list as RFC 9113 section 10.5.1 counts it: the
	// bytes of names and values, and 32 for each field. A larger request is refused with
	// 414 if its :path makes it too large, else with 431. One four times as large ends the
	// connection. 0 is 61440.
	HeadBytes int
	// Fields is how many fields a header list may have. :authority counts, since it is
	// HTTP/1's Host field; other pseudo-fields do not. All crumbs of a cookie are one
	// field. 0 is 100.
	Fields int
}

// Floods bound what costs a peer little and its receiver more. Beyond one of them the
// connection ends with ENHANCE_YOUR_CALM. 0 is the default, which is more than an honest
// peer needs.
type Floods struct {
	// Resets is how many streams may end within 10 s because the client reset them within
	// 100 ms of opening them, unanswered, or because it made the server reset them. 0 is
	// 200.
	Resets int
	// Control is how many frames may come within 10 s that carry no part of a message:
	// SETTINGS, PING, PRIORITY, RST_STREAM, WINDOW_UPDATE, empty DATA, frames of unknown
	// types, and frames for streams that have ended. For each DATA frame sent, and for each
	// header list, 4 more are allowed. 0 is 2000.
	Control int
	// Continuations is how many CONTINUATION frames a header block may have. 0 is 16.
	Continuations int
	// Replies is how many answers to the peer's frames may wait to be sent because the peer
	// does not read. 0 is 1000.
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
