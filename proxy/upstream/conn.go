package upstream

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/http1"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/netio"
	"github.com/hopscope/hopscope/proxy/tlsconf"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// Conn is a [Stream] over an HTTP/1 connection to an endpoint. One request uses it at a
// time.
type Conn struct {
	nio       *netio.Conn
	endpoint  *Endpoint
	tls       *hop.TLS
	reused    bool // it came from the pool
	head      http1.HeadDecoder
	body      http1.BodyDecoder
	out       []byte // the bytes to send that were encoded here
	chunked   bool   // the request's content is chunked
	owed      []byte // the rest of the head, or of the last chunk, that is not sent yet
	suspect   bool   // the last response had no content by its head; some endpoints send content all the same
	idleSince time.Duration
	idled     time.Duration // how long it had been idle before the present request

	deadline, idle time.Duration
	limit          atomic.Int64 // set by Limit
}

// Reused and the methods that follow implement [Stream].
func (c *Conn) Reused() bool { return c.reused }

// Version is always HTTP/1.1, also if the endpoint answers with another version.
func (c *Conn) Version() hop.Version { return hop.HTTP11 }

// TLS describes the connection's encryption; nil for plain text.
func (c *Conn) TLS() *hop.TLS { return c.tls }

// NetConn returns the socket; over TLS it carries the records.
func (c *Conn) NetConn() net.Conn { return c.nio.NetConn() }

// Duplex returns the socket.
func (c *Conn) Duplex() netio.Duplex { return c.nio }

// Limit ends the present wait and all later ones at the given time.
func (c *Conn) Limit(at time.Duration) {
	c.limit.Store(int64(at))
	c.nio.Limit(at)
}

// Close closes the connection.
func (c *Conn) Close() { c.nio.Close() }

// Watch ends a wait when gone reports true.
func (c *Conn) Watch(gone func() bool) { c.nio.Watch(gone) }

// Await sets the deadline and the idle timeout of the waits that follow.
func (c *Conn) Await(now, deadline, idle time.Duration) {
	c.deadline, c.idle, c.nio.WriteTimeout = deadline, idle, idle
	// Over TLS the whole request is written before the wait for the answer begins.
	if left := max(deadline-now, 1); c.tls != nil && deadline > 0 && (idle == 0 || left < idle) {
		c.nio.WriteTimeout = left
	}
	c.AwaitMore(now)
}

// AwaitMore restarts the idle timeout.
func (c *Conn) AwaitMore(now time.Duration) {
	by := c.deadline
	if c.idle > 0 && (by == 0 || now+c.idle < by) {
		by = now + c.idle
	}
	c.nio.Await(now, by)
}

// RoundTrip sends as much of a whole request as the socket takes at once. If that was all
// of it, RoundTrip waits for the head of the response.
func (c *Conn) RoundTrip(r *message.Head, content []byte, response *message.Head) (left []byte, sent Sent, err error) {
	if r.Framing == message.Chunked { // it came over HTTP/2, and is whole
		r.Framing, r.Length = message.ByLength, int64(len(content))
	}
	head, body := c.encode(r), content
	if len(content) > 0 && len(head)+len(content) <= coalesce {
		head, body = append(head, content...), nil
	}
	n, err := c.nio.Exchange(head, body)
	sent = c.sent(n, head, body)
	switch {
	case err != nil:
		return nil, sent, c.unanswered(err)
	case sent == All:
		return nil, All, c.readFirst(r.Method, response)
	}
	return body[max(n-len(head), 0):], Partly, nil
}

// readFirst is ReadHead for a request that went out whole.
func (c *Conn) readFirst(method message.Method, response *message.Head) error {
	if err := c.ReadHead(method, response); err != nil {
		return err
	}
	if c.reused && response.Framing == message.ByLength && response.Length > 0 {
		// Two responses arrived: the first may belong to no request.
		if more, _ := c.nio.Left(response.Length); more {
			return c.explain(netio.ErrUnasked, true)
		}
	}
	return nil
}

// sent tells what n sent bytes of head and body amount to. It keeps the rest of the head
// in owed.
func (c *Conn) sent(n int, head, body []byte) Sent {
	c.owed = head[min(n, len(head)):]
	switch n {
	case 0:
		return Nothing
	case len(head) + len(body):
		return All
	}
	return Partly
}

// coalesce is the size in bytes of head and body up to which one copy is cheaper than
// sending two pieces.
const coalesce = 4 << 10

// encode writes the head of a request into the connection's own storage.
func (c *Conn) encode(r *message.Head) []byte {
	persistence := http1.Persist
	if r.Upgrade {
		persistence = http1.SwitchProtocols
	}
	c.chunked, c.owed = r.Framing == message.Chunked, nil
	c.out = http1.AppendRequest(c.out[:0], r, r.OriginTarget(), persistence)
	return c.out
}

// Send sends as much of a request's head as the socket takes at once. The rest goes with
// the content.
func (c *Conn) Send(r *message.Head) (sent Sent, err error) {
	head := c.encode(r)
	n, err := c.nio.Offer(head, nil)
	sent = c.sent(n, head, nil)
	if err != nil {
		return sent, c.unanswered(err)
	}
	return sent, nil
}

// Content sends a piece of the request's content.
func (c *Conn) Content(piece []byte) error {
	before := c.owed
	c.owed = nil
	if c.chunked {
		c.out = http1.AppendChunkHeader(append(c.out[:0], before...), len(piece))
		before, c.owed = c.out, crlf
	}
	return c.write(before, piece)
}

// Finish ends the request's content.
func (c *Conn) Finish(trailers *message.Head) error {
	before := c.owed
	c.owed = nil
	if c.chunked {
		c.out = http1.AppendLastChunk(append(c.out[:0], before...), trailers)
		before = c.out
	}
	if len(before) == 0 {
		return nil
	}
	return c.write(before, nil)
}

// TakeBlocked returns how long writes have waited since it was called last.
func (c *Conn) TakeBlocked() time.Duration { return c.nio.TakeBlocked() }

var crlf = []byte("\r\n")

func (c *Conn) write(head, body []byte) error {
	if err := c.nio.WriteTwo(head, body); err != nil {
		return c.explain(err, true)
	}
	return nil
}

// ReadHead waits for the head of a response, interim or final. The head points into the
// read buffer: it is valid until the next call that waits.
func (c *Conn) ReadHead(method message.Method, response *message.Head) error {
	c.head.Reset()
	response.Reset()
	for {
		if b := c.nio.Buffered(); len(b) > 0 {
			n, err := c.head.Response(b, method, response)
			if err != nil {
				return cmp.Or(c.mistaken(), c.blame(err))
			}
			if n > 0 {
				c.nio.Consume(n)
				c.idled = 0 // the endpoint had not closed it
				break
			}
		}
		if err := c.nio.Fill(); err != nil {
			if other := c.mistaken(); other != nil && !errors.Is(err, netio.ErrGone) {
				return other
			}
			return c.unanswered(err)
		}
	}
	c.suspect = response.Framing == message.NoBody
	c.body.Upstream = true
	c.body.Begin(response.Framing, response.Length, c.head.Limits)
	return nil
}

// Body returns the next piece of content that has been received; it is valid until
// [Conn.More]. done is true with the last piece. An empty piece without done means that
// more must arrive first.
func (c *Conn) Body() (piece []byte, done bool, err error) {
	for {
		data, used, done, err := c.body.Decode(c.nio.Buffered())
		c.nio.Consume(used)
		if err != nil {
			return nil, false, c.blame(err)
		}
		if len(data) > 0 || done || used == 0 {
			return data, done, nil
		}
	}
}

// Hurry sends a TCP acknowledgement at once. An endpoint that writes head and body apart
// may wait for it before it sends the body, and the kernel would delay it by 40 ms.
func (c *Conn) Hurry() { c.nio.QuickAck() }

// More waits for more bytes of the body. ended is true if the connection was closed and
// that ends the body properly.
func (c *Conn) More() (ended bool, err error) {
	err = c.nio.Fill()
	if errors.Is(err, io.EOF) && c.body.End() == nil {
		return true, nil
	}
	if err != nil {
		return false, c.explain(err, false)
	}
	return false, nil
}

// Trailers returns the trailers of a body that is done, nil if it had none.
func (c *Conn) Trailers() *message.Head { return c.body.Trailers() }

// Release gives the connection back to the pool if reusable is true and no unread bytes
// follow the response. Else it closes the connection.
func (c *Conn) Release(now time.Duration, reusable bool) {
	g := c.endpoint.group
	if _, left := c.nio.Left(0); !reusable || left {
		g.discard(c)
		return
	}
	if c.limit.Load() != 0 {
		c.limit.Store(0)
		c.nio.Limit(0)
	}
	if cap(c.out) > coalesce {
		c.out = nil
	}
	c.nio.Watch(nil)
	c.nio.Release()
	c.idleSince = now
	g.put(c)
}

// blame names the endpoint in an error about its response.
func (c *Conn) blame(err error) error {
	f := fault.Of(err)
	return fault.New(f.Kind, fmt.Sprintf("%s sent a response that can't be understood: %s", c.endpoint.Address, f.Reason))
}

// explain turns the error of a read or a write into a fault. before is true while no
// response has begun.
func (c *Conn) explain(err error, before bool) error {
	when := "within its response"
	if before {
		when = "before it answered"
	}
	address := c.endpoint.Address
	switch {
	case errors.Is(err, netio.ErrGone):
		return errGone
	case errors.Is(err, netio.ErrOverload):
		return fault.New(fault.Overload, "the proxy has no memory left for the head of a response of "+address+" (overload.max_memory_bytes)")
	case errors.Is(err, netio.ErrUnasked):
		return fault.New(fault.UpstreamClosed, address+" sent a response without a request on a kept-alive connection: the connection is closed")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return c.timedOut(before)
	case isAlert(err): // in TLS 1.3 a server refuses a client's certificate this late
		return tlsconf.ExplainClient(err, address)
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return fault.New(fault.UpstreamReset, fmt.Sprintf("%s reset the connection %s", address, when))
	case errors.Is(err, io.EOF):
		return fault.New(fault.UpstreamClosed, fmt.Sprintf("%s closed the connection %s", address, when))
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fault.New(fault.UpstreamClosed, fmt.Sprintf("%s closed the connection %s, without a TLS close_notify: the response may be truncated", address, when))
	}
	return fault.Wrap(fault.UpstreamClosed, fmt.Sprintf("the connection to %s ended %s", address, when), err)
}

// timedOut tells a route's timeout from an endpoint that went silent.
func (c *Conn) timedOut(before bool) error {
	w := waited{c.endpoint.Address, c.deadline, time.Duration(c.limit.Load()), c.idle}
	return w.timedOut(c.nio.Now(), before)
}
