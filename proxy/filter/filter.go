package filter

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/hopscope/hopscope/proxy/balance"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/header"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/active"
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
	// Hop is the record of this exchange, and Active its place among those under way.
	Hop    *hop.Hop
	Active active.Entry
	// Trace is the context that came in, and Carrier what it was read from.
	Trace   tracecontext.Context
	Carrier tracecontext.Carrier
	// Pick is what the choice of an endpoint depends on.
	Pick balance.Request
	// Context ends when the proxy stops waiting for anything.
	Context context.Context
	// Until is when the request's time is over, from the start of the Hop; 0 is never, or
	// not known as yet.
	Until time.Duration
	// Idle is how long the exchange may go on without a byte moving; 0 is as long as the
	// connection's may.
	Idle time.Duration
	// Followed is how many redirects were followed for it, and Led the host that the last of
	// them leads to.
	Followed int
	Led      []byte
	// Scratch is the Router's own: what it keeps from one request for the next.
	Scratch any
	// Began is when it began and Finished when it was over, on the clock of deadlines.
	Began, Finished time.Duration
	// Conn is the client's connection, Body the request's content, and Writer takes the
	// response. A filter that changes the content puts a Body of its own in front of the
	// one that is there, one that changes the response a Writer; nobody takes them away
	// again, see Finish.
	Conn   Conn
	Body   Body
	Writer Writer
	// Stranger says that the client used Envoy's fields without being trusted.
	Stranger bool
	// Changes are made to the fields of the final response, in this order, whoever makes it:
	// those of the route and those of the target.
	Changes [2]*header.Changes
	// Route is what the request matched, of the Router's own type; nil before the
	// match, and where there was none.
	Route any

	router   Router
	rerouted bool
	plain    struct {
		body   Body
		writer Writer
	}
	buffered int    // bytes of Buffer that the connection's account has
	kept     []kept // of Reuse

	random rand.PCG // of Random
	seeded bool
}

// Random returns a random number, for ids and choices; nothing secret is made of it. Each
// Exchange has a generator of its own, which costs less than that of the runtime, and
// goes on from request to request.
func (x *Exchange) Random() uint64 {
	if !x.seeded {
		x.random.Seed(rand.Uint64(), rand.Uint64())
		x.seeded = true
	}
	return x.random.Uint64()
}

// Seed makes the numbers of Random those that follow from the seed, as a dry run needs them.
func (x *Exchange) Seed(seed uint64) {
	x.random.Seed(seed, seed)
	x.seeded = true
}

// Router finds the routes of exchanges: the forwarder.
type Router interface {
	// Route has the exchange served by the route that its request matches, from the
	// first filter of that route on.
	Route(*Exchange) error
	// Act does what the route of the exchange does.
	Act(*Exchange) error
	// Decorate gives the head of a final response the fields that are the proxy's own.
	Decorate(*Exchange, *message.Head)
}

// Connect readies the exchange for the next request. It is for the connection.
func (x *Exchange) Connect(c Conn, b Body, w Writer) {
	x.Conn, x.Body, x.Writer = c, b, w
	x.plain.body, x.plain.writer = b, w
}

// Disconnect ends the connection's use of the exchange.
func (x *Exchange) Disconnect() { x.Connect(nil, nil, nil) }

// Begin readies the exchange for its filters. It is for the Router; ctx ends when the
// proxy stops waiting for anything.
func (x *Exchange) Begin(ctx context.Context, r Router) {
	x.Context, x.Until, x.Idle = ctx, 0, 0
	x.router, x.Route, x.rerouted = r, nil, false
	x.Followed, x.Led = 0, nil
	x.Changes = [2]*header.Changes{}
}

// Finish takes away what filters have put in front of the Body and the Writer. It is for
// the Router, once all of the response has been written.
func (x *Exchange) Finish() {
	x.Body, x.Writer = x.plain.body, x.plain.writer
	x.reclaim()
	if x.buffered > 0 {
		x.Conn.Info().Account.Give(x.buffered)
		x.buffered = 0
	}
}

// Decorate gives the head of a final response the fields that are the proxy's own. The
// connection calls it with each that it is about to encode: so whatever filters make of
// a response, they are in it.
func (x *Exchange) Decorate(h *message.Head) {
	if x.router != nil {
		x.router.Decorate(x, h)
	}
}

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
