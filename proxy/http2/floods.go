package http2

import (
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
)

// meter counts what a peer may send only so much of, in spans of floodSpan.
type meter struct {
	from    time.Duration // when the present span began
	moved   uint64        // Conn.moved by then
	control int
	resets  int
}

const (
	floodSpan = 10 * time.Second
	// rapidReset is how old a stream is whose reset is no part of a flood: the
	// client had to wait for it as it does for an answer. Where an endpoint hangs,
	// honest clients give up on one request after the other.
	rapidReset = 100 * time.Millisecond
	// perMessage is how many control frames are in order for each frame of DATA
	// that was sent, and for each header list: a peer that measures its
	// bandwidth sends a PING and two WINDOW_UPDATEs for each.
	perMessage = 4
)

// flood returns the end of a connection whose peer sent too much of something.
func (c *Conn) flood(what string) error {
	return &breach{EnhanceYourCalm, c.blame(fault.ClientFlood, fault.UpstreamHTTP2, "sent "+what+": the connection is closed with "+EnhanceYourCalm.String())}
}

// unread is flood for a peer that does not read what it asks for.
func (c *Conn) unread() error {
	return c.flood("frames without reading the answers to them")
}

// span begins another span where it is time to.
func (c *Conn) span() *meter {
	m := &c.meter
	if c.now-m.from >= floodSpan {
		*m = meter{from: c.now, moved: c.moved}
	}
	return m
}

// countControl counts a frame that carries nothing of a message.
func (c *Conn) countControl(what string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.countLocked(what)
}

// countLocked is countControl where the lock is held.
func (c *Conn) countLocked(what string) error {
	m := c.span()
	m.control++
	if over := m.control - c.options.Floods.Control; over > 0 && uint64(over) > perMessage*(c.moved-m.moved) {
		return c.flood("more frames than any honest peer within 10 s, of late " + what)
	}
	return nil
}

// countReset counts a stream of a client that ended unanswered by its doing
// (CVE-2023-44487, CVE-2025-8671). The lock is held.
func (c *Conn) countReset() error {
	if !c.server {
		return nil // how many streams there are is up to this side
	}
	m := c.span()
	if m.resets++; m.resets > c.options.Floods.Resets {
		return c.flood("more resets of streams than any honest client within 10 s")
	}
	return nil
}
