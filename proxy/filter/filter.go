package filter

import (
	"crypto/x509"
	"errors"
	"time"

	"github.com/hopscope/hopscope/proxy/balance"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/netio"
	"github.com/hopscope/hopscope/proxy/overload"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/tracecontext"
)

// Exchange is one request and its response on their way through the proxy. It
// belongs to one goroutine, and to its connection or stream, which uses it
// again for the next request.
type Exchange struct {
	// Request is the request as it came in and, once it has been prepared, as
	// it goes out. Filters may change all of it: the client's side remembers how
	// the request was framed.
	Request message.Head
	// Response is the response as it came back.
	Response message.Head
	// Hop is the record of this exchange.
	Hop *hop.Hop
	// Trace is the context that came in, and Carrier what it was read from.
	Trace   tracecontext.Context
	Carrier tracecontext.Carrier
	// Pick is what the choice of an endpoint depends on.
	Pick balance.Request
	// Finished is when it was over, on the clock of deadlines.
	Finished time.Duration
	// Down is the client's side.
	Down Downstream
	// Route is what the request matched, of the Router's own type; nil before the
	// match, and where there was none.
	Route any

	router   Router
	rerouted bool
}

// Router finds the routes of exchanges: the forwarder.
type Router interface {
	// Route has the exchange served by the route that its request matches, from the
	// first filter of that route on.
	Route(*Exchange) error
	// Act does what the route of the exchange does.
	Act(*Exchange) error
}

// Begin readies the exchange for its filters. It is for the Router.
func (x *Exchange) Begin(r Router) { x.router, x.Route, x.rerouted = r, nil, false }

// Reroute has the request matched anew, after a filter has changed what it is matched
// by, and served by the route that it matches now, with all filters of that. The filter
// returns what Reroute returns. It can be done once for each request: see Rerouted.
func (x *Exchange) Reroute() error {
	if x.rerouted {
		return fault.New(fault.Internal, "a second filter, or the same one again, asked for another route")
	}
	x.rerouted = true
	return x.router.Route(x)
}

// Rerouted reports whether the request was matched anew.
func (x *Exchange) Rerouted() bool { return x.rerouted }

// Act is the last [Handler] of a route's chain: it does what the route does.
func Act(x *Exchange) error { return x.router.Act(x) }

// Downstream is the client's side of an exchange, whatever its protocol. Its
// methods block, and are for the exchange's goroutine, but for Body and
// Trailers, which may be another's: the request's content and the response
// move at the same time.
type Downstream interface {
	// Info is what the connection knows of itself.
	Info() *ConnInfo
	// Whole returns the content of the request if all of it has arrived, or
	// if it has none.
	Whole() (content []byte, ok bool)
	// Body waits for the next piece of content, be the content whole or not; the
	// piece is good until the next call. After the last it returns io.EOF. Other
	// errors are fault.Errors.
	Body() ([]byte, error)
	// Complete reports whether all of the content is known to have arrived, whether
	// Body has returned it or not. Any goroutine may ask.
	Complete() bool
	// Trailers are the request's trailers, after io.EOF; nil if none came.
	Trailers() *message.Head
	// Interim sends an interim response (1xx) at once.
	Interim(h *message.Head) error
	// Head begins the final response. It is kept back until Flush, or until
	// content follows that does not fit beside it. h.Close makes the response
	// the connection's last.
	Head(h *message.Head) error
	// Content sends a piece of the response's content, or keeps it back.
	Content(piece []byte) error
	// Flush sends what was kept back.
	Flush() error
	// End ends the response and sends what was kept back.
	End(trailers *message.Head) error
	// Began reports whether the client may have got a part of a final response.
	// Until then another Head takes the place of the first.
	Began() bool
	// Cut ends the exchange in a way that tells the client that what it got
	// is not whole.
	Cut()
	// StopBody makes a call of Body that waits, and those that follow, return
	// [ErrStopped] until ResumeBody. Nothing of the content is lost by it.
	StopBody()
	ResumeBody()
	// Gone returns a func that reports whether the client has gone away, to be
	// asked now and then while nothing is read from it.
	Gone() func() bool
	// Left says how the client went away, where more is known than that it did:
	// an error is a fault.Error.
	Left() error
	// Detach gives the connection up to a tunnel, once the head of its
	// response was flushed: bytes that the client sent ahead are buffered.
	Detach() netio.Duplex
}

// ErrStopped is what Body returns between StopBody and ResumeBody.
var ErrStopped = errors.New("the request's content is not read on for now")

// ConnInfo is what a connection knows of itself, made once for each.
type ConnInfo struct {
	// Peer is the address at the other end, "host:port"; PeerIP is its host
	// alone. Local is the address on this side.
	Peer, PeerIP, Local string
	// Loopback is true where the peer is on this machine.
	Loopback bool
	// Scheme is "http" or "https".
	Scheme string
	// TLS is what the connection is encrypted with, nil for a plain one, and
	// Certificate what the client showed of itself, nil for nothing. Intermediates came
	// with it.
	TLS           *hop.TLS
	Certificate   *x509.Certificate
	Intermediates []*x509.Certificate
	// Until is when the connection is to end, on the clock of netio.Shared; 0 is never.
	Until time.Duration
	// Account is what the connection holds of the proxy's memory; nil counts nothing.
	Account *overload.Account
	// Sink takes the connection's Hops.
	Sink hop.Sink
}

// Handler is a step on a request's way: it answers the exchange, or says why
// it could not by a [fault.Error], or what the answer is by a [fault.Answer].
type Handler func(*Exchange) error

// Filter is a step that has another behind it.
type Filter func(next Handler) Handler

// Chain puts filters in front of a handler, the first outermost.
func Chain(last Handler, filters ...Filter) Handler {
	for i := len(filters) - 1; i >= 0; i-- {
		last = filters[i](last)
	}
	return last
}
