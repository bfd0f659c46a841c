package http2

import (
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/overload"
)

// What a connection holds is counted in the account of its netio.Conn, and as the
// budget fills, the peer is let send less, then refused.

// What a connection and a stream take besides what is counted as it grows, in bytes:
// goroutines' stacks, their own state, and, of a server's stream, what the way to its
// endpoint takes. An estimate that the peaks under attack bear out.
const (
	connSize         = 12 << 10
	serverStreamSize = 24 << 10
	clientStreamSize = 2 << 10
)

// usualHead is up to how large a head is that can't be refused for its size.
const usualHead = 16 << 10

// overloaded is the fault of what memory lacks for.
func overloaded(what string) *fault.Error {
	return fault.New(fault.Overload, "the proxy has no memory left "+what+" (overload.max_memory_bytes)")
}

// short reports whether memory gets short.
func (c *Conn) short() bool { return c.nio.Account.Level() >= overload.Shrink }

// width is how much content the peer may send ahead on the connection. Where memory gets
// short, a client may send little, and what nobody has read yet counts against it: so a
// client whose content nobody reads comes to a halt. An endpoint's streams belong to many
// clients, who must not wait for each other, so it keeps its full window.
func (c *Conn) width() int64 {
	if c.server && c.short() {
		return firstWindow
	}
	return connWindow
}

// restore gives the peer its window on the connection back, once that is worth a frame.
func (c *Conn) restore() {
	if c.shutdown.decided || c.shutdown.ended {
		return
	}
	if n := c.flow.refill(c.width()); n > 0 {
		c.out.windowUpdate(0, uint32(n))
		c.out.wake()
	}
}

// width is how much content the peer may send ahead on the stream.
func (s *Stream) width() int64 {
	width := int64(s.conn.options.StreamWindow)
	if s.conn.short() {
		return min(width, firstWindow/4)
	}
	return width
}

// maxUnsent is how much content may lie in the connection's buffer.
func (c *Conn) maxUnsent() int {
	if c.short() {
		return leastUnsent
	}
	return maxUnsent
}

// countOut counts the buffers of what is sent.
func (c *Conn) countOut() {
	if n := cap(c.out.buf) + c.out.spent; n != c.out.counted && !c.shutdown.ended {
		c.nio.Account.Take(n - c.out.counted)
		c.out.counted = n
	}
}

// takesStream reports whether there is memory for another stream of a client, which
// began with such a head.
func (c *Conn) takesStream(head *block) bool {
	a := &c.nio.Account
	return a.Allows() && (cap(head.wire) <= usualHead || a.Level() < overload.Streams)
}

// count counts what the stream holds. The lock is held.
func (s *Stream) count() {
	n := clientStreamSize
	if s.conn.server {
		n = serverStreamSize
	}
	n += cap(s.in) + cap(s.piece) + s.head.size() + s.trailers.size()
	for _, b := range s.heads {
		n += b.size()
	}
	if n != s.holds {
		s.conn.nio.Account.Take(n - s.holds)
		s.holds = n
	}
}

func (b *block) size() int {
	if b == nil {
		return 0
	}
	return cap(b.wire)
}

// keep keeps content until it is read; false is that there is no memory for it.
func (s *Stream) keep(data []byte) bool {
	c := s.conn
	if len(s.in)+len(data) > cap(s.in) {
		a := &c.nio.Account
		if c.server && !a.Keeps() || a.Level() == overload.Full {
			a.Budget().Refuse(overload.Content)
			return false
		}
	}
	s.in = append(s.in, data...)
	c.flow.ahead += int64(len(data))
	s.count()
	return true
}

// holdBlock keeps a piece of a header block until the block is whole; false is that
// there is no memory for it.
func (c *Conn) holdBlock(p []byte) bool {
	k, a := &c.heading, &c.nio.Account
	if len(k.wire)+len(p) > cap(k.wire) && k.more > 0 && a.Level() >= overload.Streams {
		a.Budget().Refuse(overload.Head)
		return false
	}
	k.wire = append(k.wire, p...)
	a.Take(cap(k.wire) - k.held)
	k.held = cap(k.wire)
	return true
}

// releaseBlock gives up what was needed to decode a header block.
func (c *Conn) releaseBlock() {
	k := &c.heading
	if k.held > 0 {
		c.nio.Account.Give(k.held)
		k.held, k.wire = 0, nil
		c.forgetBlock()
	}
}

// forgetBlock has the decoder let go of the bytes that it decoded last, which it keeps
// until it is given others: a field of the static table changes nothing.
func (c *Conn) forgetBlock() {
	c.decoder.SetEmitEnabled(false)
	_, _ = c.decoder.Write([]byte{0x80 | indexGET})
	_ = c.decoder.Close()
	c.decoder.SetEmitEnabled(true)
}

// drop gives up what the stream is counted for.
func (s *Stream) drop() {
	s.conn.nio.Account.Give(s.holds)
	s.holds = 0
}

// countKept counts what a stream holds that nobody uses.
func (s *Stream) countKept() {
	n := cap(s.in) + cap(s.piece) + cap(s.encoded)
	s.conn.nio.Account.Take(n - s.holds)
	s.holds = n
}

// Held returns how much memory the connection holds, in bytes, how many of its streams have
// ended well, and whether [Conn.Shed] is closing it.
func (c *Conn) Held() (bytes int64, done uint64, shed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nio.Account.Held(), c.streams.done, c.shutdown.shed
}

// Shed ends the connection and all its streams because memory is short.
func (c *Conn) Shed() {
	c.mu.Lock()
	defer c.unlock()
	if c.shutdown.decided {
		return
	}
	c.shutdown.shed = true
	c.end(EnhanceYourCalm, overloaded("and closed the connections that held most"))
}
