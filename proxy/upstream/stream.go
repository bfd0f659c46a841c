package upstream

import (
	"net"
	"time"

	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/netio"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// Stream carries one request to an endpoint and its response back: over an HTTP/1
// connection, or over a stream of an HTTP/2 connection. [Group.Acquire] returns it; call
// Release exactly once. Errors are fault.Errors that name the endpoint.
type Stream interface {
	// Reused is true if the connection was open before this request.
	Reused() bool
	// Version is the protocol that the connection speaks.
	Version() hop.Version
	// TLS describes the connection's encryption, nil for plain text.
	TLS() *hop.TLS

	// Await sets when the waits that follow give up: at deadline, which comes from the
	// route, or when the endpoint has sent nothing for idle. 0 is never, for either.
	// deadline and now are on the clock of netio.Shared.
	Await(now, deadline, idle time.Duration)
	// AwaitMore restarts the idle timeout.
	AwaitMore(now time.Duration)
	// Limit ends every wait at the given time, in any goroutine; see [netio.Conn.Limit].
	Limit(at time.Duration)
	// Watch ends a wait for the endpoint when gone reports true; see
	// [netio.Conn.Watch].
	Watch(gone func() bool)

	// RoundTrip sends a request with its whole content, and waits for the head of the
	// response. If the endpoint does not take all of it at once, RoundTrip returns Partly
	// and does not wait. The caller then sends left with Content and Finish from another
	// goroutine, while ReadHead waits for the response, which may come first. sent is set
	// with an error, too.
	RoundTrip(r *message.Head, content []byte, response *message.Head) (left []byte, sent Sent, err error)
	// Send sends the head of a request. Its content follows with Content and Finish, from
	// another goroutine.
	Send(r *message.Head) (sent Sent, err error)
	// Content sends a piece of the request's content. It waits for the endpoint to take
	// it, until Close. It has no timeout: the wait for the response has.
	Content(piece []byte) error
	// Finish ends the request's content.
	Finish(trailers *message.Head) error

	// TakeBlocked returns how long Content and Finish have waited for the endpoint to take
	// what was sent since it was called last. The goroutine that calls them may call it.
	TakeBlocked() time.Duration

	// ReadHead waits for the head of a response, interim or final. The head is valid
	// until the next call that waits.
	ReadHead(method message.Method, response *message.Head) error
	// Body returns the next piece of content that has been received; it is valid until
	// More. done is true with the last piece. An empty piece without done means that more
	// must arrive first.
	Body() (piece []byte, done bool, err error)
	// More waits for more of the content. ended is true if there is no more.
	More() (ended bool, err error)
	// Hurry helps an endpoint that has sent only a head to send the rest at once.
	Hurry()
	// Trailers returns the trailers of content that is done, nil if it had none.
	Trailers() *message.Head

	// NetConn returns the connection below, to ask the system about it. Other streams may
	// use it at the same time.
	NetConn() net.Conn
	// Duplex returns the stream as one side of a tunnel.
	Duplex() netio.Duplex
	// Close ends the stream and all waits on it. Release must still be called.
	Close()
	// Release gives the stream back. The connection may be reused if reusable is true.
	Release(now time.Duration, reusable bool)
}

// Sent is how much of a request was sent.
type Sent uint8

const (
	// Nothing was sent: the endpoint can't have begun to process the request.
	Nothing Sent = iota
	// Partly means that there is more to send.
	Partly
	// All of the request was sent, or all of its head by Send.
	All
)

// Protocol is the protocol to speak to the endpoints of a group.
type Protocol uint8

const (
	// Auto uses the protocol that ALPN agrees on over TLS, and HTTP/1.1 without TLS.
	Auto Protocol = iota
	// HTTP1 is HTTP/1.1.
	HTTP1
	// HTTP2 is HTTP/2, without TLS by prior knowledge.
	HTTP2
)
