package http2

import (
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
)

// meter counts what a peer may send only so much of, most of it in spans of
// floodSpan.
type meter struct {
	limits  Floods
	moved   uint64 // frames of DATA sent, and header lists both ways
	replies int    // frames in the buffer of what is sent that answer the peer's

	from    time.Duration // when the present span began
	before  uint64        // moved by then
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

// begin begins another span where it is time to.
func (m *meter) begin(now time.Duration) {
	if now-m.from >= floodSpan {
		m.from, m.before = now, m.moved
		m.control, m.resets = 0, 0
	}
}

// addControl counts a frame that carries nothing of a message. It reports whether
// that was one too many.
func (m *meter) addControl(now time.Duration) (flood bool) {
	m.begin(now)
	m.control++
	over := m.control - m.limits.Control
	return over > 0 && uint64(over) > perMessage*(m.moved-m.before)
}

// addReset counts a stream that ended unanswered by the client's doing. It reports
// whether that was one too many.
func (m *meter) addReset(now time.Duration) (flood bool) {
	m.begin(now)
	m.resets++
	return m.resets > m.limits.Resets
}

// unread reports whether more answers wait than a peer can leave unread.
func (m *meter) unread() bool { return m.replies > m.limits.Replies }

// flood returns the end of a connection whose peer sent too much of something.
func (c *Conn) flood(what string) error {
	return &breach{EnhanceYourCalm, c.blame(fault.ClientFlood, fault.UpstreamHTTP2, "sent "+what+": the connection is closed with "+EnhanceYourCalm.String())}
}

// reply notes that a frame was appended that answers one of the peer's, and has it
// sent. Its error is the end of a peer that does not read what it asks for.
func (c *Conn) reply() error {
	c.meter.replies++
	c.out.wake()
	return c.checkUnread()
}

// checkUnread returns the end of the connection where too many answers wait for the
// peer to read them.
func (c *Conn) checkUnread() error {
	if c.meter.unread() {
		return c.flood("frames without reading the answers to them")
	}
	return nil
}

// countControl counts a frame that carries nothing of a message.
func (c *Conn) countControl(what string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.countLocked(what)
}

// countLocked is countControl where the lock is held.
func (c *Conn) countLocked(what string) error {
	if c.meter.addControl(c.now) {
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
	if c.meter.addReset(c.now) {
		return c.flood("more resets of streams than any honest client within 10 s")
	}
	return nil
}
