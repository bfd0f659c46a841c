package http2

import (
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
)

// shutdown is how far a connection is on its way to its end.
type shutdown struct {
	going    bool         // no new stream: this side, or the peer, is going away
	peerGone bool         // it is the peer: nothing new will be answered
	final    bool         // the last GOAWAY was sent
	decided  bool         // the connection ends
	why      *fault.Error // if decided; nil for a good end
	shed     bool         // if decided: for want of memory
	ended    bool         // all is over
	lastCall *time.Timer  // sends the last GOAWAY
}

// drainTime is how long a server serves new streams after it has told the client to open no
// more: some are on their way.
const drainTime = time.Second

// Shutdown lets the streams that are open end, and then ends the connection. It does not
// wait.
//
// A server tells its client to open no more streams (GOAWAY, RFC 9113 section 6.8). After a
// round trip, or a second, it refuses those that the client opens all the same. A client
// simply opens no more.
func (c *Conn) Shutdown() {
	c.mu.Lock()
	defer c.unlock()
	if c.shutdown.decided || c.shutdown.lastCall != nil || !c.server && c.shutdown.going && !c.shutdown.peerGone {
		return
	}
	c.shutdown.going = true
	if !c.server {
		c.endIfDone()
		return
	}
	c.out.goAway(maxID, NoError)
	c.out.ping(0, drainPing)
	c.out.wake()
	c.shutdown.lastCall = time.AfterFunc(drainTime, func() {
		c.mu.Lock()
		defer c.unlock()
		c.lastGoAway()
	})
}

// lastGoAway tells the client which of its streams are served.
func (c *Conn) lastGoAway() {
	if c.shutdown.final || c.shutdown.decided || c.shutdown.lastCall == nil {
		return
	}
	c.shutdown.final = true
	c.out.goAway(c.streams.lastID, NoError)
	c.out.wake()
	c.endIfDone()
}

// endIfDone ends a connection that is going away and has no stream left.
func (c *Conn) endIfDone() {
	if c.streams.active == 0 && c.shutdown.going && (c.shutdown.final || !c.server) {
		c.end(NoError, nil)
	}
}

// lingerTime is how long a connection that has ended waits for the peer to read why.
const lingerTime = time.Second

// linger reads on for a while after the last frame was sent. If it left unread what the
// peer still sends, the kernel would reset the connection, and the peer might never see
// that frame.
func (c *Conn) linger() {
	if c.nio.CloseWrite() != nil {
		return
	}
	now := c.nio.Now()
	c.nio.Await(now, now+lingerTime)
	c.nio.Limit(0)
	for most := 64 * connWindow; most > 0; {
		n := len(c.nio.Buffered())
		c.nio.Consume(n)
		most -= n
		if c.nio.Fill() != nil {
			return
		}
	}
}

// finish fails the streams that are still open. It reports whether the peer may still be
// reading, and how long to wait until what is unsent has gone out: long enough for the last
// responses when the end is a good one.
func (c *Conn) finish() (lingers bool, patience time.Duration) {
	c.mu.Lock()
	defer c.unlock()
	c.shutdown.ended, c.shutdown.going, c.out.closing = true, true, true
	if c.shutdown.lastCall != nil {
		c.shutdown.lastCall.Stop()
	}
	for _, s := range c.streams.open {
		s.fail(c.streamFault(s))
		c.closeStream(s, resetByPeer)
	}
	c.streams.dropFree(0)
	c.streams.free, c.flow.queue, c.out.crowd = nil, nil, nil
	c.out.wake()
	patience = lingerTime
	if c.shutdown.why == nil && !c.out.cut {
		patience = max(patience, c.options.StreamIdle)
	}
	return c.server && !c.out.cut && !c.shutdown.shed, patience
}

// streamFault is the error of a stream whose connection has ended.
func (c *Conn) streamFault(s *Stream) *fault.Error {
	switch {
	case c.shutdown.why != nil && c.shutdown.why.Kind == fault.UpstreamClosed, c.shutdown.why != nil && c.shutdown.why.Kind == fault.UpstreamReset:
		when := " before it answered"
		if s.answered {
			when = " within its response"
		}
		return &fault.Error{Kind: c.shutdown.why.Kind, Reason: c.shutdown.why.Reason + when, Cause: c.shutdown.why.Cause}
	case c.shutdown.why != nil:
		return c.shutdown.why
	case c.server:
		return fault.Wrap(fault.ClientClosed, "the connection to "+c.options.Name+" was closed", net.ErrClosed)
	}
	return fault.Wrap(fault.UpstreamClosed, "the connection to "+c.options.Name+" was closed", net.ErrClosed)
}

// lost notes that the connection broke, or was closed by the peer.
func (c *Conn) lost(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out.cut = true
	if c.shutdown.decided {
		return
	}
	c.shutdown.decided = true
	if c.streams.active == 0 {
		return // nobody loses anything by it
	}
	reset := c.out.wasReset || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
	closed := errors.Is(err, io.EOF)
	cause := err
	if reset || closed {
		cause = nil
	}
	name := c.options.Name
	switch {
	case c.server && reset:
		c.shutdown.why = fault.New(fault.ClientClosed, name+" reset the connection")
	case c.server:
		c.shutdown.why = &fault.Error{Kind: fault.ClientClosed, Reason: name + " closed the connection", Cause: cause}
	case reset:
		c.shutdown.why = fault.New(fault.UpstreamReset, name+" reset the connection")
	default:
		c.shutdown.why = &fault.Error{Kind: fault.UpstreamClosed, Reason: name + " closed the connection", Cause: cause}
	}
}

// end decides that the connection ends, and why: nil is a good end. The peer is
// told by GOAWAY.
func (c *Conn) end(code Code, why *fault.Error) {
	if c.shutdown.decided {
		return
	}
	c.shutdown.decided, c.shutdown.going, c.shutdown.why = true, true, why
	if !c.shutdown.final || code != NoError {
		c.shutdown.final = true
		c.out.goAway(c.streams.lastID, code)
	}
	c.nio.Limit(1) // has passed: the reader returns
}
