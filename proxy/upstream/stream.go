package upstream

import (
	"time"

	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/netio"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// Stream is one request's way to an endpoint and back: an HTTP/1 connection, or
// a stream of an HTTP/2 connection. It is got from [Group.Acquire] and given
// back by Release, once. Errors are fault.Errors that name the endpoint.
type Stream interface {
	// Reused is true where the connection was there before.
	Reused() bool
	// Version is the protocol that is spoken.
	Version() hop.Version
	// TLS is what the connection is encrypted with, nil for a plain one.
	TLS() *hop.TLS

	// Await says when the waits that follow give up: at deadline, which is the
	// route's, or when the endpoint has sent nothing for as long as idle; 0 is
	// never. Both the deadline and now are on the clock of netio.Shared.
	Await(now, deadline, idle time.Duration)
	// AwaitMore begins the time of idle anew.
	AwaitMore(now time.Duration)
	// Limit ends whatever is waited for at the given time, whoever waits; see
	// [netio.Conn.Limit].
	Limit(at time.Duration)
	// Watch ends a wait for the endpoint when gone reports true; see
	// [netio.Conn.Watch].
	Watch(gone func() bool)

	// RoundTrip sends a request whose content is all here, and waits for the head
	// of its response. If the endpoint does not take all of it at once, RoundTrip
	// returns Partly without waiting: left is then what is to follow by Content
	// and Finish, from another goroutine, while ReadHead waits for the response,
	// which may come first. sent is told with an error, too.
	RoundTrip(r *message.Head, content []byte, response *message.Head) (left []byte, sent Sent, err error)
	// Send sends the head of a request whose content follows by Content and
	// Finish, from another goroutine.
	Send(r *message.Head) (sent Sent, err error)
	// Content sends a piece of the request's content. It waits for the endpoint
	// to take it, until Close; whoever waits for the response keeps the time.
	Content(piece []byte) error
	// Finish ends the request's content.
	Finish(trailers *message.Head) error

	// ReadHead waits for the head of a response, interim or final. It is good
	// until the next call that waits.
	ReadHead(method message.Method, response *message.Head) error
	// Body returns the next piece of content that has been received; it is
	// good until More. done is true with the last; an empty piece without done
	// means that there is none yet.
	Body() (piece []byte, done bool, err error)
	// More waits for more of the content. ended is true where that was all.
	More() (ended bool, err error)
	// Hurry asks an endpoint that has sent a head alone for the rest at once.
	Hurry()
	// Trailers are the trailers of content that is done, nil if it had none.
	Trailers() *message.Head

	// Duplex is the way as a tunnel's side.
	Duplex() netio.Duplex
	// Close ends it under whoever waits for it; it is still to be released.
	Close()
	// Release gives it back: for further requests if reusable is true.
	Release(now time.Duration, reusable bool)
}

// Sent is how much of a request has left for the endpoint.
type Sent uint8

const (
	// Nothing of it: the endpoint can't have begun to carry it out.
	Nothing Sent = iota
	// Partly means that there is more to send.
	Partly
	// All of it, or of its head by Send.
	All
)

// Protocol is what is spoken to the endpoints of a group.
type Protocol uint8

const (
	// Auto is what ALPN agrees on over TLS, and HTTP/1.1 without TLS.
	Auto Protocol = iota
	// HTTP1 is HTTP/1.1.
	HTTP1
	// HTTP2 is HTTP/2: with prior knowledge where there is no TLS.
	HTTP2
)
