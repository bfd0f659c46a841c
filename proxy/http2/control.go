package http2

import (
	"errors"

	frame "golang.org/x/net/http2"

	"github.com/hopscope/hopscope/proxy/fault"
)

// onControl takes in a frame that is neither DATA nor a part of a header block.
// b is the whole of it.
func (c *Conn) onControl(h header, b []byte) error {
	c.source.Reset(b)
	if h.length > keptBytes { // or the framer would keep as much
		defer func() { c.framer = frame.NewFramer(nil, &c.source) }()
	}
	f, err := c.framer.ReadFrame()
	if err != nil {
		return c.malformed(h, err)
	}
	switch f := f.(type) {
	case *frame.SettingsFrame:
		return c.onSettings(f)
	case *frame.PingFrame:
		return c.onPing(f)
	case *frame.WindowUpdateFrame:
		return c.onWindowUpdate(f)
	case *frame.RSTStreamFrame:
		return c.onReset(f)
	case *frame.GoAwayFrame:
		return c.onGoAway(f)
	case *frame.PriorityFrame:
		return c.onPriority(f)
	}
	return c.countControl("frames of unknown types") // RFC 9113 section 5.5: ignored
}

// malformed ends the connection, or the stream, for a frame that the framer
// refused.
func (c *Conn) malformed(h header, err error) error {
	if s, ok := errors.AsType[frame.StreamError](err); ok && !c.idleStream(s.StreamID) {
		c.mu.Lock()
		defer c.unlock()
		did := "sent a malformed " + h.kind.String()
		if stream := c.streams.open[s.StreamID]; stream != nil {
			return c.breakStream(stream, Code(s.Code), did)
		}
		c.out.reset(s.StreamID, Code(s.Code))
		if err := c.reply(); err != nil {
			return err
		}
		return c.countReset()
	}
	code := ProtocolError
	if e, ok := errors.AsType[frame.ConnectionError](err); ok {
		code = Code(e)
	}
	did := "sent a malformed " + h.kind.String()
	if detail := c.framer.ErrorDetail(); detail != nil {
		did += " (" + detail.Error() + ")"
	}
	return c.breach(code, did)
}

// onSettings takes over the peer's settings, in order (RFC 9113 section 6.5).
func (c *Conn) onSettings(f *frame.SettingsFrame) error {
	if c.settled {
		if err := c.countControl("SETTINGS"); err != nil {
			return err
		}
	}
	if f.IsAck() {
		return nil
	}
	if f.NumSettings() > maxSettings {
		return c.flood("more settings in a frame than there are")
	}
	c.settled = true
	c.mu.Lock()
	defer c.unlock()
	err := f.ForeachSetting(c.set)
	if err != nil {
		return err
	}
	if c.peer.maxStreams < 0 {
		c.peer.maxStreams = maxID // it does not limit them
	}
	c.room.due = !c.server
	c.out.settingsAck()
	return c.reply()
}

// set takes over one setting.
func (c *Conn) set(s frame.Setting) error {
	if s.Valid() != nil {
		code := ProtocolError
		if s.ID == frame.SettingInitialWindowSize {
			code = FlowControlError
		}
		return c.breach(code, "sent a value of "+s.ID.String()+" that is not allowed (RFC 9113 section 6.5.2)")
	}
	switch s.ID {
	case frame.SettingHeaderTableSize:
		c.out.zeroTable = true
	case frame.SettingEnablePush:
		if !c.server && s.Val != 0 {
			return c.breach(ProtocolError, "wants pushes enabled, which is not for a server to say (RFC 9113 section 6.5.2)")
		}
	case frame.SettingMaxConcurrentStreams:
		c.peer.maxStreams = int(min(s.Val, maxID))
	case frame.SettingInitialWindowSize:
		if c.setFirst(int64(s.Val)) {
			return c.breach(FlowControlError, "widened the window of a stream beyond 2147483647 (RFC 9113 section 6.9.2)")
		}
	case frame.SettingEnableConnectProtocol:
		if s.Val == 0 && c.peer.extendedConnect {
			return c.breach(ProtocolError, "took extended CONNECT back (RFC 8441 section 3)")
		}
		c.peer.extendedConnect = s.Val == 1
	}
	return nil
}

// onPing answers a PING, or takes the answer to one.
func (c *Conn) onPing(f *frame.PingFrame) error {
	if err := c.countControl("PINGs"); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.unlock()
	if f.IsAck() {
		if f.Data == drainPing {
			c.lastGoAway()
		}
		return nil
	}
	c.out.ping(frame.FlagPingAck, f.Data)
	return c.reply()
}

// onWindowUpdate widens a window (RFC 9113 section 6.9).
func (c *Conn) onWindowUpdate(f *frame.WindowUpdateFrame) error {
	c.mu.Lock()
	defer c.unlock()
	if err := c.countLocked("WINDOW_UPDATEs"); err != nil {
		return err
	}
	if f.StreamID != 0 && c.idleStream(f.StreamID) {
		return c.breach(ProtocolError, "sent WINDOW_UPDATE on stream "+name(f.StreamID)+", which was never opened (RFC 9113 section 5.1)")
	}
	if f.StreamID == 0 {
		if c.widen(nil, int64(f.Increment)) {
			return c.breach(FlowControlError, "widened the connection's window beyond 2147483647 (RFC 9113 section 6.9.1)")
		}
		return nil
	}
	s := c.streams.open[f.StreamID]
	if s != nil && c.widen(s, int64(f.Increment)) {
		return c.breakStream(s, FlowControlError, "widened the stream's window beyond 2147483647 (RFC 9113 section 6.9.1)")
	}
	return nil
}

// onReset ends a stream for the peer (RFC 9113 section 6.4).
func (c *Conn) onReset(f *frame.RSTStreamFrame) error {
	if err := c.countControl("RST_STREAMs"); err != nil {
		return err
	}
	if c.idleStream(f.StreamID) {
		return c.breach(ProtocolError, "sent RST_STREAM on stream "+name(f.StreamID)+", which was never opened (RFC 9113 section 5.1)")
	}
	c.mu.Lock()
	defer c.unlock()
	s := c.streams.open[f.StreamID]
	if s == nil {
		if how := c.streams.closed.find(f.StreamID); *how == resetHere {
			*how = resetByPeer // so nothing more is on its way
		}
		return nil
	}
	code := Code(f.ErrCode)
	kind := fault.UpstreamReset
	if code == RefusedStream {
		kind = fault.UpstreamRefused // RFC 9113 section 8.7: it did nothing with it
	}
	rapid := c.server && !s.answered && c.now-s.opened < rapidReset
	s.fail(c.blame(fault.ClientReset, kind, "reset the stream ("+code.String()+")"))
	c.closeStream(s, resetByPeer)
	if rapid {
		return c.countReset()
	}
	return nil
}

// onGoAway notes that the peer takes no more streams, and which it did not take
// (RFC 9113 section 6.8).
func (c *Conn) onGoAway(f *frame.GoAwayFrame) error {
	if err := c.countControl("GOAWAYs"); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.unlock()
	if c.server {
		return nil // it ends the connection when it likes to
	}
	c.shutdown.going, c.shutdown.peerGone, c.room.due = true, true, true
	why := c.blame(fault.ClientClosed, fault.UpstreamRefused, "is going away ("+Code(f.ErrCode).String()+") and did not take the stream")
	for id, s := range c.streams.open {
		if id > f.LastStreamID {
			s.fail(why)
			c.closeStream(s, resetByPeer)
		}
	}
	c.endIfDone()
	return nil
}

// onPriority ignores priorities, which are deprecated (RFC 9113 section 5.3).
func (c *Conn) onPriority(f *frame.PriorityFrame) error {
	if err := c.countControl("PRIORITYs"); err != nil {
		return err
	}
	if f.StreamDep != f.StreamID {
		return nil
	}
	c.mu.Lock()
	defer c.unlock()
	if s := c.streams.open[f.StreamID]; s != nil {
		return c.breakStream(s, ProtocolError, "made a stream depend on itself (RFC 7540 section 5.3.1)")
	}
	c.out.reset(f.StreamID, ProtocolError)
	return c.reply()
}
