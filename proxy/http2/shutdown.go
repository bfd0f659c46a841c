package http2

import "time"

// drainTime is how long a client is waited for that has been told to open no
// more streams: what it has sent until then is served.
const drainTime = time.Second

// Shutdown ends the connection once its streams have ended. A server tells its
// client to open no more, and after a round trip, or a second, refuses those that
// it opens all the same (RFC 9113 section 6.8); a client opens no more. It does
// not wait; any goroutine may call it.
func (c *Conn) Shutdown() {
	c.mu.Lock()
	defer c.unlock()
	if c.told || c.lastCall != nil || !c.server && c.going && !c.peerGone {
		return
	}
	c.going = true
	if !c.server {
		c.endIfDone()
		return
	}
	c.out = appendGoAway(c.out, maxID, NoError)
	c.out = appendPing(c.out, 0, drainPing)
	c.wake()
	c.lastCall = time.AfterFunc(drainTime, func() {
		c.mu.Lock()
		defer c.unlock()
		c.lastGoAway()
	})
}

// lastGoAway tells the client which of its streams are served.
func (c *Conn) lastGoAway() {
	if c.final || c.told || c.lastCall == nil {
		return
	}
	c.final = true
	c.out = appendGoAway(c.out, c.lastID, NoError)
	c.wake()
	c.endIfDone()
}

// endIfDone ends a connection that is going away and has no stream left.
func (c *Conn) endIfDone() {
	if c.active == 0 && c.going && (c.final || !c.server) {
		c.end(NoError, nil)
	}
}
