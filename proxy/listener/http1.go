package listener

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/http1"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/netio"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// http1Conn is an HTTP/1 connection from a client. It is the [filter.Downstream]
// of its exchanges, which come one after the other.
type http1Conn struct {
	listener *Listener
	nio      *netio.Conn
	info     filter.ConnInfo
	decoder  http1.HeadDecoder
	body     http1.BodyDecoder
	exchange filter.Exchange
	gone     func() bool
	turn     func() bool // arrived

	// busy is set while a request, or a part of one, is here.
	busy atomic.Bool
	// stopped makes Body return.
	stopped atomic.Bool
	// headBy is when the head that has begun to arrive must be whole.
	headBy time.Duration

	request
}

// request is what lasts for one request.
type request struct {
	size     int  // of the head
	whole    bool // the content has arrived, and lies behind the head
	copied   bool // the head was moved out of the read buffer
	bodyDone bool // the content was read to its end
	began    bool // a final response was
	ended    bool // it was ended
	detached bool // the connection is a tunnel's
	cut      bool // the connection is of no more use
	framing  message.Framing
	out      []byte // what is kept back
	buffer   *[netio.BufferSize]byte
}

func newHTTP1(l *Listener, nc net.Conn, n uint64) *http1Conn {
	c := &http1Conn{listener: l, nio: netio.New(nc, l.Shared)}
	c.nio.WriteTimeout = l.StreamIdle
	c.decoder.Limits = l.Limits
	c.exchange.Down = c
	c.gone, c.turn = c.nio.Gone, c.arrived
	c.info = filter.ConnInfo{Peer: nc.RemoteAddr().String(), Local: nc.LocalAddr().String(), Scheme: "http", Sink: l.Sink(n)}
	if addr, err := netip.ParseAddrPort(c.info.Peer); err == nil {
		ip := addr.Addr().Unmap()
		c.info.PeerIP, c.info.Loopback = ip.String(), ip.IsLoopback()
	} else {
		c.info.PeerIP = c.info.Peer
	}
	return c
}

// serve serves requests until the connection ends. As long as requests arrive
// whole they are served from within one wait (see [netio.Conn.Turns]); one whose
// content is still on its way is served outside of it, where it can be waited
// for.
func (c *http1Conn) serve() {
	defer c.nio.Done()
	now := c.listener.Shared.Now()
	c.nio.Await(now, now+c.listener.HeadTimeout)
	for !c.cut {
		if c.next(false) {
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
		if !c.cut && c.size > 0 {
			c.run(nil)
		}
	}
	c.linger()
}

// arrived is called when bytes were received: it serves every request that is
// whole. It reports false if there is something that it can't do.
func (c *http1Conn) arrived() bool {
	for c.next(true) {
		c.run(nil)
		if c.cut {
			return false
		}
	}
	return !c.cut && c.size == 0
}

// next decodes the head of the next request, if it is there, and reports true
// if it is to be served: here and now if within is false, else only where that
// takes no waiting for the client. A head that is refused is answered.
func (c *http1Conn) next(within bool) bool {
	buffered := c.nio.Buffered()
	if len(buffered) == 0 {
		return false
	}
	x := &c.exchange
	n, err := c.decoder.Request(buffered, &x.Request)
	if err != nil {
		c.busy.Store(true)
		c.request = request{size: len(buffered), cut: true}
		c.run(err)
		return false
	}
	if n == 0 {
		c.partial()
		return false
	}
	c.headBy = 0
	c.busy.Store(true)
	c.request = request{size: n}
	r := &x.Request
	switch r.Framing {
	case message.NoBody:
		c.whole, c.bodyDone = true, true
	case message.ByLength:
		c.whole = int64(len(buffered)-n) >= r.Length
	}
	return !within || c.whole && !r.Upgrade && r.Method != message.CONNECT
}

// partial waits for the rest of a head, within its time.
func (c *http1Conn) partial() {
	c.busy.Store(true)
	now := c.listener.Shared.Now()
	if c.headBy == 0 {
		c.headBy = now + c.listener.HeadTimeout
	}
	c.nio.Await(now, c.headBy)
}

// run serves the request whose head has been decoded, or refused.
func (c *http1Conn) run(refused error) {
	x := &c.exchange
	c.buffer = c.listener.Shared.Borrow()
	c.out = c.buffer[:0]
	if refused == nil && !c.whole {
		c.leave()
	}
	c.listener.server.Serve(x, refused)
	c.listener.Shared.Return(c.buffer)
	if c.detached {
		c.cut = true
		return
	}
	c.cut = c.cut || !c.ended || !c.bodyDone && !c.whole || c.listener.draining.Load()
	if c.whole && !c.copied {
		c.nio.Consume(c.size + int(max(x.Request.Length, 0)))
	}
	c.decoder.Reset()
	c.request = request{cut: c.cut}
	x.Request.Reset()
	x.Response.Reset()
	c.busy.Store(false)
	c.nio.Await(x.Finished, x.Finished+c.listener.IdleTimeout)
}

// leave moves the head out of the read buffer, which its content is going to
// need.
func (c *http1Conn) leave() {
	r := &c.exchange.Request
	r.Rebase(append([]byte(nil), c.nio.Buffered()[:c.size]...))
	c.nio.Consume(c.size)
	c.copied = true
	c.body.Begin(r.Framing, r.Length, c.listener.Limits)
}

// lost ends a connection that gave out while a request was waited for. Only a
// head that had begun to arrive is worth a record.
func (c *http1Conn) lost(err error) {
	buffered := c.nio.Buffered()
	if len(buffered) == 0 && !c.busy.Load() {
		return
	}
	x := &c.exchange
	if errors.Is(err, os.ErrDeadlineExceeded) && !c.listener.draining.Load() {
		c.request = request{size: len(buffered), cut: true}
		c.run(fault.New(fault.RequestTimeout, "the request's head did not arrive within "+c.listener.HeadTimeout.String()))
		c.linger()
		return
	}
	c.listener.server.Lost(x, fault.New(fault.ClientClosed, "the client closed the connection within a request's head"))
}

// linger closes the sending side and lets the client's last bytes run into the
// void for a moment, so that it reads the response before a reset undoes it
// (RFC 9112 section 9.6).
func (c *http1Conn) linger() {
	const most, patience = 256 << 10, 2 * time.Second
	if c.detached || c.nio.CloseWrite() != nil {
		return
	}
	now := c.listener.Shared.Now()
	c.nio.Limit(0)
	c.nio.Await(now, now+patience)
	for n := 0; n < most; {
		n += len(c.nio.Buffered())
		c.nio.Consume(len(c.nio.Buffered()))
		if c.nio.Fill() != nil {
			return
		}
	}
}

// drain ends a connection that is idle; one that is busy ends with its request.
func (c *http1Conn) drain() {
	if !c.busy.Load() {
		c.nio.Limit(time.Nanosecond) // long past: the wait ends
	}
}

// cutOff closes the connection under whatever it does.
func (c *http1Conn) cutOff() { c.nio.Close() }

// Info is part of filter.Downstream, as is what follows.
func (c *http1Conn) Info() *filter.ConnInfo { return &c.info }

// Gone reports whether the client has closed the connection.
func (c *http1Conn) Gone() func() bool { return c.gone }

// Whole is the content, if it is here.
func (c *http1Conn) Whole() ([]byte, bool) {
	if !c.whole {
		return nil, false
	}
	c.bodyDone = true
	n := max(c.exchange.Request.Length, 0)
	return c.nio.Buffered()[c.size : c.size+int(n)], true
}

// Body waits for the next piece of content.
func (c *http1Conn) Body() ([]byte, error) {
	for {
		data, used, done, err := c.body.Decode(c.nio.Buffered())
		c.nio.Consume(used)
		switch {
		case err != nil:
			return nil, err
		case len(data) > 0:
			return data, nil
		case done:
			c.bodyDone = true
			return nil, io.EOF
		case used > 0:
			continue
		}
		if err := c.fill(); err != nil {
			return nil, c.explain(err)
		}
	}
}

// fill waits for more content. What ends idle connections as the listener
// drains may have been meant for this one a moment ago: then it goes on.
func (c *http1Conn) fill() error {
	now := c.listener.Shared.Now()
	by := now + c.listener.StreamIdle
	for {
		c.nio.Await(now, by)
		err := c.nio.Fill()
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) || c.stopped.Load() {
			return err
		}
		if now = c.nio.Now(); now >= by {
			return err
		}
		c.nio.Limit(0)
	}
}

// StopBody makes a call of Body that waits return.
func (c *http1Conn) StopBody() {
	c.stopped.Store(true)
	c.cut = true
	c.nio.Limit(time.Nanosecond) // long past
}

// Trailers are the request's trailers.
func (c *http1Conn) Trailers() *message.Head { return c.body.Trailers() }

// explain tells why the client's side failed.
func (c *http1Conn) explain(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fault.New(fault.RequestIdle, "the client moved no byte for "+c.listener.StreamIdle.String())
	}
	return fault.New(fault.ClientClosed, "the client closed the connection before the exchange was over")
}

// Interim sends an interim response at once.
func (c *http1Conn) Interim(h *message.Head) error {
	if c.exchange.Request.Version == hop.HTTP10 {
		return nil // RFC 9110 section 15.2
	}
	c.out = http1.AppendResponse(c.out, h, http1.Persist)
	return c.Flush()
}

// Head begins the final response.
func (c *http1Conn) Head(h *message.Head) error {
	r := &c.exchange.Request
	c.began = true
	h.Framing = http1.ResponseFraming(h.Framing, r.Version)
	c.framing = h.Framing
	last := r.Close || h.Close || c.cut || c.framing == message.UntilClose || c.listener.draining.Load()
	persistence := http1.Persist
	switch {
	case c.framing == message.Tunnel && h.Status == 101:
		persistence = http1.SwitchProtocols
	case c.framing == message.Tunnel:
	case last:
		persistence = http1.Close
		c.cut = true
	case r.Version == hop.HTTP10:
		persistence = http1.KeepAlive
	}
	c.out = http1.AppendResponse(c.out, h, persistence)
	return nil
}

// small is up to how many bytes a piece is copied rather than sent from where
// it is.
const small = 4 << 10

// Content sends a piece of content, or keeps it back.
func (c *http1Conn) Content(piece []byte) error {
	if c.framing == message.NoBody {
		return nil
	}
	if c.framing == message.Chunked {
		c.out = http1.AppendChunkHeader(c.out, len(piece))
	}
	if len(piece) <= small && len(c.out)+len(piece) <= netio.BufferSize-256 {
		c.out = append(c.out, piece...)
	} else if err := c.write(piece); err != nil {
		return err
	}
	if c.framing == message.Chunked {
		c.out = append(c.out, "\r\n"...)
	}
	return nil
}

// write sends what was kept back, and the piece behind it.
func (c *http1Conn) write(piece []byte) error {
	err := c.nio.WriteTwo(c.out, piece)
	c.out = c.out[:0]
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

// End ends the response.
func (c *http1Conn) End(trailers *message.Head) error {
	if c.framing == message.Chunked {
		c.out = http1.AppendLastChunk(c.out, trailers)
	}
	c.ended = true
	return c.Flush()
}

// Began reports whether a final response was begun.
func (c *http1Conn) Began() bool { return c.began }

// Cut makes sure that the client does not take what it got for the whole.
func (c *http1Conn) Cut() {
	c.cut = true
	if c.began && !c.ended {
		c.nio.Abort()
		c.nio.Close()
	}
}

// Detach gives the connection up to a tunnel.
func (c *http1Conn) Detach() *netio.Conn {
	if !c.copied {
		c.leave()
	}
	c.detached = true
	return c.nio
}
