package listener

import (
	"cmp"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/http1"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/netio"
	"github.com/hopscope/hopscope/proxy/overload"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// http1Conn is an HTTP/1 connection from a client. It serves one exchange after the other,
// and is the [filter.Conn], the [filter.Body] and the [filter.Writer] of each.
type http1Conn struct {
	listener *Listener
	nio      *netio.Conn
	info     filter.ConnInfo
	gone     func() bool // left
	turn     func() bool // arrived

	state atomic.Uint32 // what drain and cutOff need to know, a state below
	done  atomic.Uint32 // how many requests were answered
	progress
	rested   atomic.Int64  // when it became idle, if it is
	stopped  atomic.Bool   // makes Next return
	retired  atomic.Bool   // the next response says "Connection: close"
	moved    atomic.Int64  // when response bytes went out last within a streamed request
	served   bool          // a request has come
	detached bool          // the connection is a tunnel's
	cut      bool          // no further request is served
	aborted  bool          // it has to end in a reset
	parted   bool          // the client sends nothing after its last request
	headBy   time.Duration // when the head that has begun to arrive must be whole
	leaving
	ending

	*exchange // nil while the connection is idle
}

// The states of a connection.
const (
	idle      = iota // waits for a request
	woken            // it waited for a request, and drain told it to end
	busy             // a request, or a part of one, is here
	lingering        // it waits for the client's last bytes
)

func newHTTP1(l *Listener, nio *netio.Conn, info filter.ConnInfo) *http1Conn {
	c := &http1Conn{listener: l, nio: nio, info: info}
	c.nio.WriteTimeout = l.StreamIdle
	c.gone, c.turn = c.left, c.arrived
	return c
}

// serve serves requests until the connection ends. It serves requests that arrive whole
// from within one wait (see [netio.Conn.Turns]). A request whose content is still on its
// way is served outside of it, where reads may wait.
func (c *http1Conn) serve() {
	defer func() {
		// The forwarder recovers panics of its own; this is for panics in the framing.
		if p := recover(); p != nil {
			c.listener.Panics.Caught(p, "an HTTP/1 connection", "")
		}
		c.nio.Done()
	}()
	now := c.listener.Shared.Now()
	c.nio.Await(now, now+c.listener.HeadTimeout)
	c.rested.Store(int64(now))
	for first := true; !c.cut; first = false {
		if !first && c.next(false) {
			c.run(nil)
			continue
		}
		if c.cut {
			break
		}
		if err := c.nio.Turns(c.turn); err != nil {
			c.lost(err)
			return
		}
		if !c.cut && c.pending() {
			c.run(nil)
		}
	}
	c.linger()
}

// arrived is called when bytes were received. It serves every request that is whole. It
// reports false if serve must go on outside of the wait.
func (c *http1Conn) arrived() bool {
	for c.next(true) {
		c.run(nil)
		if c.cut {
			return false
		}
	}
	return !c.cut && !c.pending()
}

// pending reports whether a head was decoded and its request is not served yet.
func (c *http1Conn) pending() bool { return c.exchange != nil && c.size > 0 }

// next decodes the head of the next request, if it is there, and reports whether to serve
// the request now. If within is true, that holds only for a request that needs no waiting
// for the client. next itself answers a head that is refused.
func (c *http1Conn) next(within bool) bool {
	buffered := c.nio.Buffered()
	if len(buffered) == 0 {
		return false
	}
	if c.exchange == nil && c.served && string(buffered) == emptyLine {
		c.nio.Consume(len(buffered))
		return false
	}
	if c.exchange == nil {
		c.occupy()
		c.borrow()
	}
	r := &c.Request
	n, err := c.decoder.Request(buffered, r)
	if err != nil {
		c.size, c.cut = len(buffered), true
		c.run(err)
		return false
	}
	if n == 0 {
		c.partial()
		return false
	}
	c.headBy, c.size, c.served = 0, n, true
	if !c.nio.Account.Allows() {
		c.cut = true
		c.run(c.listener.full(overload.Request, "a request"))
		return false
	}
	switch r.Framing {
	case message.NoBody:
		c.whole, c.bodyDone = true, true
	case message.ByLength:
		c.whole = int64(len(buffered)-n) >= r.Length
	}
	return !within || c.whole && !r.Upgrade && r.Method != message.CONNECT
}

// borrow borrows an exchange for a request.
func (c *http1Conn) borrow() {
	x := c.listener.borrow()
	x.Connect(c, c, c)
	x.out = x.buffer[:0]
	c.exchange = x
}

// giveBack ends the use of the exchange.
func (c *http1Conn) giveBack() {
	c.listener.giveBack(c.exchange)
	c.exchange = nil
	c.state.Store(idle)
}

// partial waits for the rest of a head, within its time.
func (c *http1Conn) partial() {
	now := c.listener.Shared.Now()
	if c.headBy == 0 {
		c.headBy = now + c.listener.HeadTimeout
	}
	c.nio.Await(now, c.headBy)
}

// run serves the request that was decoded, or answers a head that was refused.
func (c *http1Conn) run(refused error) {
	c.begin()
	c.asked = askedBy(&c.Request)
	if refused == nil && !c.whole {
		c.leave()
	}
	(*c.listener.server.Load()).Serve(&c.Exchange, refused)
	c.cut = c.cut || c.detached || !c.ended || !c.whole && !c.skip()
	if c.whole && !c.copied {
		c.nio.Consume(c.size + int(c.length))
	}
	if c.ended && refused == nil {
		c.done.Add(1)
	}
	finished := c.Finished
	c.parted = refused == nil && c.close && c.framing == message.NoBody && c.ended
	c.rested.Store(int64(finished))
	c.giveBack()
	// Check this after the connection is idle again: drain skips a busy one.
	if c.cut = c.cut || c.listener.phase.Load() == draining; !c.cut {
		c.nio.Await(finished, finished+c.listener.IdleTimeout)
	}
}

// leave moves the head out of the read buffer, since the content needs the buffer.
func (c *http1Conn) leave() {
	r := &c.Request
	r.Rebase(append([]byte(nil), c.nio.Buffered()[:c.size]...))
	c.nio.Consume(c.size)
	c.copied = true
	c.content.Begin(c.framing, c.length, c.listener.Limits)
}

// lost ends a connection that failed while it waited for a request. It records the failure
// only if a head had begun to arrive.
func (c *http1Conn) lost(err error) {
	if c.exchange == nil {
		return
	}
	if errors.Is(err, netio.ErrOverload) {
		c.size, c.cut = len(c.nio.Buffered()), true
		c.run(c.listener.full(overload.Head, "a request head this large"))
		c.linger()
		return
	}
	if errors.Is(err, os.ErrDeadlineExceeded) && c.listener.phase.Load() != draining {
		c.size, c.cut = len(c.nio.Buffered()), true
		c.run(fault.New(fault.RequestTimeout, "the request's head did not arrive within "+c.listener.HeadTimeout.String()))
		c.linger()
		return
	}
	why := c.cause(fault.New(fault.ClientClosed, "the client closed the connection within a request's head"))
	c.size, c.cut = len(c.nio.Buffered()), true
	c.run(why)
}

// linger closes the sending side and discards the client's last bytes for a while.
// Otherwise a reset could destroy the response before the client reads it (RFC 9112 section
// 9.6). A client that said "close" sends nothing more.
func (c *http1Conn) linger() {
	const silence, most = 2 * time.Second, 10 * time.Second
	if c.parted && c.info.TLS == nil && len(c.nio.Buffered()) == 0 {
		return
	}
	if c.detached || c.aborted || c.nio.CloseWrite() != nil {
		return
	}
	c.occupy() // lifts the limit that drain set
	c.nio.Limit(0)
	c.state.Store(lingering)
	now := c.listener.Shared.Now()
	for end := now + most; now < end; now = c.listener.Shared.Now() {
		c.nio.Consume(len(c.nio.Buffered()))
		c.nio.Await(now, min(now+silence, end))
		if c.nio.Fill() != nil {
			return
		}
	}
}

// occupy marks the connection as busy. If drain was about to end it, the request wins.
func (c *http1Conn) occupy() {
	if c.state.Swap(busy) == woken {
		c.listener.mu.Lock() // so that drain is done with it
		c.nio.Limit(0)
		c.listener.mu.Unlock()
	}
}

// retire has the next response say "Connection: close". It leaves an idle connection open,
// since closing it could lose a request that is on its way.
func (c *http1Conn) retire() { c.retired.Store(true) }

// drain ends a connection that is idle; a busy one ends after its request. The caller holds
// the listener's lock.
func (c *http1Conn) drain() { c.dismiss() }

func (c *http1Conn) dismiss() bool {
	if !c.state.CompareAndSwap(idle, woken) {
		return false
	}
	c.nio.Limit(time.Nanosecond) // long past: the wait ends
	return true
}

func (c *http1Conn) idleSince() time.Duration {
	if c.state.Load() != idle {
		return 0
	}
	return time.Duration(c.rested.Load())
}

// cutOff ends the connection at once. Close waits for the reader, so it runs in a goroutine
// of its own.
func (c *http1Conn) cutOff() {
	if c.state.Load() == lingering {
		c.nio.Limit(time.Nanosecond)
		return
	}
	c.nio.Abort()
	go c.nio.Close()
}

// Info and the methods up to Whole implement [filter.Conn]; [filter.Body] begins with
// Whole.
func (c *http1Conn) Info() *filter.ConnInfo { return &c.info }

// Gone returns a func that reports whether the client has gone away; see leaving.
func (c *http1Conn) Gone() func() bool { return c.gone }

// Left returns a reason only if the proxy itself has cut off the connection.
func (c *http1Conn) Left() error { return c.cause(nil) }

// Whole returns the content, if all of it is here.
func (c *http1Conn) Whole() ([]byte, bool) {
	if !c.whole {
		return nil, false
	}
	c.bodyDone = true
	c.Hop.BytesIn = c.length
	return c.nio.Buffered()[c.size : c.size+int(c.length)], true
}

// Next waits for the next piece of content. Content that arrived whole is one piece.
func (c *http1Conn) Next() ([]byte, error) {
	if content, whole := c.Whole(); whole {
		if c.given || len(content) == 0 {
			return nil, io.EOF
		}
		c.given = true
		return content, nil
	}
	for {
		data, used, done, err := c.content.Decode(c.nio.Buffered())
		c.nio.Consume(used)
		switch {
		case err != nil:
			return nil, err
		case len(data) > 0:
			c.Hop.BytesIn += int64(len(data))
			if done {
				c.complete()
			}
			return data, nil
		case done:
			c.bodyDone = true
			c.complete()
			return nil, io.EOF
		case used > 0:
			continue
		}
		switch err := c.fill(); {
		case err == nil:
		case c.stopped.Load() && errors.Is(err, os.ErrDeadlineExceeded):
			return nil, filter.ErrStopped
		default:
			return nil, c.explain(err)
		}
	}
}

// complete records that all of the content has arrived.
func (c *http1Conn) complete() { c.upload.CompareAndSwap(0, int64(c.listener.Shared.Now())) }

// Complete reports whether all of the content was decoded.
func (c *http1Conn) Complete() bool { return c.whole || c.upload.Load() != 0 }

// fill waits for more content. The idle timeout counts from the last byte in either
// direction: the exchange is not idle while the response goes out. A drain does not end
// this wait.
func (c *http1Conn) fill() error {
	start := c.listener.Shared.Now()
	for now := start; ; now = c.listener.Shared.Now() {
		by := max(start, time.Duration(c.moved.Load())) + c.idle()
		c.nio.Await(now, by)
		err := c.nio.Fill()
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) || c.stopped.Load() {
			return err
		}
		if c.nio.Now() >= max(start, time.Duration(c.moved.Load()))+c.idle() {
			return err
		}
	}
}

// idle is how long the exchange may go on without a byte moving.
func (c *http1Conn) idle() time.Duration { return cmp.Or(c.Exchange.Idle, c.listener.StreamIdle) }

// Stop makes a waiting Next return.
func (c *http1Conn) Stop() {
	c.stopped.Store(true)
	c.nio.Limit(time.Nanosecond) // long past
}

// Resume lets Next wait again.
func (c *http1Conn) Resume() {
	c.stopped.Store(false)
	c.nio.Limit(0)
}

// skip reads the rest of content that nobody wants, if that is little, so that the
// connection can be used again. It reports whether it can.
func (c *http1Conn) skip() bool {
	const most, patience = 256 << 10, time.Second
	if c.bodyDone {
		return true
	}
	now := c.listener.Shared.Now()
	c.nio.Await(now, now+patience)
	for n := 0; !c.bodyDone && n <= most; {
		_, used, done, err := c.content.Decode(c.nio.Buffered())
		c.nio.Consume(used)
		if err != nil {
			return false
		}
		c.bodyDone, n = done, n+used
		if used == 0 && !done && c.nio.Fill() != nil {
			return false
		}
	}
	return c.bodyDone
}

// Trailers returns the request's trailers.
func (c *http1Conn) Trailers() *message.Head { return c.content.Trailers() }

// explain returns the fault for an error on the client's side.
func (c *http1Conn) explain(err error) error {
	switch {
	case c.going():
		return c.why.Load()
	case errors.Is(err, netio.ErrOverload):
		return c.listener.full(overload.Content, "what surrounds the request's content")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fault.New(fault.RequestIdle, "the client moved no byte for "+c.idle().String())
	}
	return fault.New(fault.ClientClosed, "the client closed the connection before the exchange was over")
}

// Interim sends an interim response at once: the first method of [filter.Writer].
func (c *http1Conn) Interim(h *message.Head) error {
	if c.version == hop.HTTP10 {
		return nil // RFC 9110 section 15.2
	}
	c.invited = c.invited || h.Status == 100
	c.out = http1.AppendResponse(c.out, h, http1.Persist)
	return c.Flush()
}

// Head begins the final response. It replaces an earlier one if nothing of that was sent.
func (c *http1Conn) Head(h *message.Head) error {
	if c.began {
		c.out = c.out[:0]
	}
	c.began, c.Hop.BytesOut = true, 0
	c.nio.WriteTimeout = c.idle()
	c.Decorate(h)
	h.Framing = http1.ResponseFraming(h.Framing, c.version)
	c.sends = h.Framing
	// Without a 100 Continue the client may or may not send its content.
	unasked := c.expect && !c.whole && !c.invited
	last := c.close || h.Close || c.cut || c.said() || unasked || c.sends == message.UntilClose || c.retired.Load() || c.listener.phase.Load() != serving
	persistence := http1.Persist
	switch {
	case c.sends == message.Tunnel && h.Status == 101:
		persistence = http1.SwitchProtocols
	case c.sends == message.Tunnel:
	case last:
		persistence = http1.Close
		c.cut = true
	case c.version == hop.HTTP10:
		persistence = http1.KeepAlive
	}
	c.out = http1.AppendResponse(c.out, h, persistence)
	return nil
}

// Content sends a piece of content, or keeps it back.
func (c *http1Conn) Content(piece []byte) error {
	if c.sends == message.NoBody {
		return nil
	}
	c.Hop.BytesOut += int64(len(piece))
	if c.sends == message.Chunked {
		c.out = http1.AppendChunkHeader(c.out, len(piece))
	}
	if len(c.out)+len(piece) <= cap(c.out)-len("\r\n0\r\n\r\n") {
		c.out = append(c.out, piece...)
	} else if err := c.write(piece); err != nil {
		return err
	}
	if c.sends == message.Chunked {
		c.out = append(c.out, "\r\n"...)
	}
	return nil
}

// write sends what was kept back, and the piece behind it.
func (c *http1Conn) write(piece []byte) error {
	c.sent = c.began
	c.spoke.Store(true)
	err := c.nio.WriteTwo(c.out, piece)
	c.Hop.WriteBlocked += c.nio.TakeBlocked()
	c.out = c.out[:0]
	if !c.whole {
		c.moved.Store(int64(c.listener.Shared.Now()))
	}
	if err != nil {
		c.cut = true
		return c.explain(err)
	}
	return nil
}

// Flush sends what was kept back.
func (c *http1Conn) Flush() error {
	if len(c.out) == 0 {
		return nil
	}
	return c.write(nil)
}

// End ends the response, unless it was cut.
func (c *http1Conn) End(trailers *message.Head) error {
	if c.aborted {
		return nil
	}
	if c.sends == message.Chunked {
		c.out = http1.AppendLastChunk(c.out, trailers)
	}
	c.ended = true
	return c.Flush()
}

// Began reports whether bytes of a final response were sent. A response that is only kept
// back can still be replaced.
func (c *http1Conn) Began() bool { return c.sent }

// Cut makes sure that the client can tell that the response is not whole.
func (c *http1Conn) Cut() {
	c.cut = true
	if c.began && !c.ended {
		c.nio.Abort() // serve then closes
		c.aborted = true
	}
}

// Detach gives the connection to a tunnel.
func (c *http1Conn) Detach() netio.Duplex {
	if !c.copied {
		c.leave()
		if c.whole {
			c.nio.Consume(int(c.length))
		}
	}
	c.detached = true
	return c.nio
}
