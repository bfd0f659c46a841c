package upstream

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/http2"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/netio"
	"github.com/hopscope/hopscope/proxy/tlsconf"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// stream2 is a [Stream] over a stream of an HTTP/2 connection to an endpoint.
type stream2 struct {
	session *session
	stream  *http2.Stream
	reused  bool
	piece   []byte // the piece that More read, for Body
	done    bool   // the response was read to its end

	deadline, idle time.Duration
	limit          atomic.Int64 // set by Limit
}

// streams pools stream2 values.
var streams = sync.Pool{New: func() any { return new(stream2) }}

func newStream2(s *session, stream *http2.Stream, reused bool) *stream2 {
	c := streams.Get().(*stream2)
	c.session, c.stream, c.reused = s, stream, reused
	return c
}

func (c *stream2) Reused() bool         { return c.reused }
func (c *stream2) Version() hop.Version { return hop.HTTP2 }
func (c *stream2) TLS() *hop.TLS        { return c.session.tls }
func (c *stream2) Duplex() netio.Duplex { return c.stream.Duplex() }
func (c *stream2) NetConn() net.Conn    { return c.session.conn.NetConn() }

func (c *stream2) Await(now, deadline, idle time.Duration) {
	c.deadline, c.idle = deadline, idle
	c.AwaitMore(now)
}

func (c *stream2) AwaitMore(now time.Duration) {
	by := c.deadline
	if c.idle > 0 && (by == 0 || now+c.idle < by) {
		by = now + c.idle
	}
	c.stream.Await(now, by)
}

func (c *stream2) Limit(at time.Duration) {
	c.limit.Store(int64(at))
	c.stream.Limit(at)
}

func (c *stream2) Watch(gone func() bool) { c.stream.Watch(gone) }

func (c *stream2) RoundTrip(r *message.Head, content []byte, response *message.Head) (left []byte, sent Sent, err error) {
	if err := c.stream.WriteHead(r, !r.Upgrade && r.Method != message.CONNECT && len(content) == 0); err != nil {
		return nil, Nothing, c.explain(err, true)
	}
	if len(content) > 0 {
		// If that fails, there may still be a response.
		if n, err := c.stream.Offer(content); err == nil && n < len(content) {
			c.stream.Flush()
			return content[n:], Partly, nil
		}
	}
	c.stream.Flush()
	return nil, All, c.ReadHead(r.Method, response)
}

func (c *stream2) Send(r *message.Head) (sent Sent, err error) {
	if err := c.stream.WriteHead(r, false); err != nil {
		return Nothing, c.explain(err, true)
	}
	c.stream.Flush()
	return All, nil
}

func (c *stream2) Content(piece []byte) error {
	if err := c.stream.Write(piece); err != nil {
		return c.explain(err, true)
	}
	c.stream.Flush()
	return nil
}

func (c *stream2) Finish(trailers *message.Head) error {
	if err := c.stream.End(trailers); err != nil {
		return c.explain(err, true)
	}
	c.stream.Flush()
	return nil
}

func (c *stream2) TakeBlocked() time.Duration { return c.stream.TakeBlocked() }

func (c *stream2) ReadHead(_ message.Method, response *message.Head) error {
	if err := c.stream.ReadHead(response); err != nil {
		return c.explain(err, true)
	}
	return nil
}

func (c *stream2) Body() (piece []byte, done bool, err error) {
	if piece, c.piece = c.piece, nil; len(piece) > 0 {
		return piece, false, nil
	}
	piece, done, err = c.stream.TryRead()
	if err != nil {
		return nil, false, c.explain(err, false)
	}
	c.done = c.done || done
	return piece, done, nil
}

func (c *stream2) More() (ended bool, err error) {
	c.piece, err = c.stream.Read()
	switch {
	case err == nil:
		return false, nil
	case errors.Is(err, io.EOF):
		c.done = true
		return true, nil
	}
	return false, c.explain(err, false)
}

// Hurry does nothing: other streams' frames carry the acknowledgement.
func (c *stream2) Hurry() {}

func (c *stream2) Trailers() *message.Head {
	if !c.done {
		return nil
	}
	return c.stream.Trailers()
}

func (c *stream2) Close() { c.stream.Reset(http2.Cancel) }

func (c *stream2) Release(time.Duration, bool) {
	c.stream.Close()
	*c = stream2{}
	streams.Put(c)
}

// explain turns the error of a read or a write into a fault. before is true while no
// response has begun.
func (c *stream2) explain(err error, before bool) error {
	s := c.session
	switch {
	case errors.Is(err, netio.ErrGone):
		return errGone
	case errors.Is(err, os.ErrDeadlineExceeded):
		w := waited{s.endpoint.Address, c.deadline, time.Duration(c.limit.Load()), c.idle}
		return w.timedOut(s.endpoint.group.shared.Now(), before)
	case isAlert(err):
		return tlsconf.ExplainClient(err, s.endpoint.Address)
	}
	return fault.Of(err)
}
