package forward

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/hopscope/hopscope/proxy/evidence"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/filter"
	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/netio"
	"github.com/hopscope/hopscope/proxy/panics"
	"github.com/hopscope/hopscope/proxy/pathform"
	"github.com/hopscope/hopscope/proxy/problem"
	"github.com/hopscope/hopscope/proxy/route"
	"github.com/hopscope/hopscope/telemetry/active"
	"github.com/hopscope/hopscope/telemetry/diagnose"
	"github.com/hopscope/hopscope/telemetry/headers"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/tracecontext"
)

// Options are what a Forwarder is made of; a snapshot fills them in.
type Options struct {
	// Labels are those of requests that found no route.
	Labels *hop.Labels
	// Routes are what Table's matches lead to, in the same order.
	Routes []Route
	Table  *route.Table
	// Paths says in which form paths are matched and sent on.
	Paths pathform.Rules
	// Hosts are the names that the routes ask for, for an error to tell the nearest.
	Hosts []string
	// Catalog holds routes that change while the forwarder runs; it comes after
	// Table. Nil is none.
	Catalog *atomic.Pointer[Routing]
	// Egress makes it a forward proxy for requests that no route matches; nil
	// otherwise.
	Egress *Egress
	// Filters come before the route is looked for, the first outermost.
	Filters []filter.Filter
	// Unmatched are the filters of requests that no route matches, the first outermost.
	Unmatched []filter.Filter

	Propagation *tracecontext.Propagation
	Sampler     tracecontext.Sampler
	// Via is this proxy's name in the Via field of responses, "" for none.
	Via string
	// ProxyStatus and ServerTiming write the response headers.
	ProxyStatus       *headers.ProxyStatus
	ProxyStatusMode   ViewMode
	ServerTimingMode  ViewMode
	StreamIdleTimeout time.Duration
	// ErrorPages are shown to browsers where the proxy itself answers with an error.
	ErrorPages problem.Pages
	// TraceLink is the URL of a trace's page, with %TRACE_ID% for its id; "" is none.
	TraceLink string
	// Deadlines says how the time that is left goes from hop to hop; nil is off.
	Deadlines *Deadlines
	// UnderWay is the table of the hops under way; nil is none.
	UnderWay *active.Table
	// Callers are the networks of clients whose x-envoy- fields are believed; see
	// [Forwarder.screen].
	Callers []netip.Prefix
	// Record are the fields of requests and responses that are recorded beyond those that
	// every Hop has.
	Record []hop.RecordedField
	// Panics counts the panics that cost a request; nil counts none.
	Panics *panics.Counter
	// Causes remembers the failures of what this service called.
	Causes *diagnose.Causes
	// Kernel is asked about attempts that failed or were slow; nil asks nothing.
	Kernel *evidence.Kernel
	Shared *netio.Shared
	// Context ends when the proxy stops waiting for anything.
	Context context.Context
}

// ViewMode is what happens to a response header that is a view of the Hop.
type ViewMode uint8

// Append adds this hop's member, Pass leaves the field as it came, Cut removes
// it.
const (
	Append ViewMode = iota
	Pass
	Cut
)

// Routing is routes with the table that leads to them.
type Routing struct {
	Table  *route.Table
	Routes []Route
	// Hosts are the names that the routes ask for, for an error to tell the nearest.
	Hosts []string
	// Unknown says why it is not known yet which routes there are, "" if it is. Names
	// then reports whether a host can be nothing but a name of the catalog.
	Unknown string
	Names   func(host string) bool
}

// Forwarder serves the requests of one listener. It is immutable but for its
// counters.
type Forwarder struct {
	Options
	// Active is how many requests are on their way.
	Active atomic.Int64

	handler   filter.Handler // from the filters of the listener on
	unmatched filter.Handler // from the filters of requests without a route on
	dry       *DryRun        // nil where requests are sent on
	dates     dates
	via       [hop.HTTP2 + 1]string // the Via of a response, by the version it came in
}

// New returns a Forwarder.
func New(o Options) *Forwarder {
	f := &Forwarder{Options: o}
	if o.Via != "" {
		f.via = [...]string{hop.VersionUnknown: "1.1 " + o.Via, hop.HTTP10: "1.0 " + o.Via, hop.HTTP11: "1.1 " + o.Via, hop.HTTP2: "2 " + o.Via}
	}
	f.handler = filter.Chain(f.Route, o.Filters...)
	f.unmatched = filter.Chain(f.miss, o.Unmatched...)
	return f
}

// Serve takes an exchange, whose request head has been decoded, to its end. If
// it could not be decoded, refused says why. Every way out of it is one Hop.
func (f *Forwarder) Serve(x *filter.Exchange, refused error) {
	f.Active.Add(1)
	err := f.handle(x, refused)
	if err != nil {
		err = f.answer(x, fault.AnswerTo(err))
	}
	f.finish(x, err)
	f.Active.Add(-1) // whoever waits for this to be 0 finds all Hops recorded
}

// handle opens the Hop and has the request carried out.
func (f *Forwarder) handle(x *filter.Exchange, refused error) (err error) {
	defer f.rescue(x, "a request", &err)
	f.open(x)
	x.Begin(f.Context, f)
	if refused != nil {
		x.Hop.Kind = hop.KindConnection
		f.sample(x, nil)
		return refused
	}
	f.screen(x)
	return f.handler(x)
}

// answer replies, or cuts the response short where even that panics.
func (f *Forwarder) answer(x *filter.Exchange, a *fault.Answer) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = f.panicked(p, x.Hop, "an answer")
			x.Writer.Cut()
		}
	}()
	return f.reply(x, a)
}

// Lost records a connection that failed before, or beside, any request: a Hop that no
// exchange belongs to.
func (f *Forwarder) Lost(info *filter.ConnInfo, spoken hop.Version, why *fault.Error) {
	f.Active.Add(1)
	h := f.begin(info)
	h.Kind, h.Version, h.Method = hop.KindConnection, spoken, message.MethodOther.String()
	h.Span, h.Trace = tracecontext.NewSpanID(rand.Uint64()), tracecontext.NewTraceID(rand.Uint64(), rand.Uint64())
	h.Sampled, h.Keep = f.Sampler.Begin(h.Trace, h.Start)
	h.Set(&h.RequestID, tracecontext.AppendRequestID(nil, rand.Uint64(), rand.Uint64()))
	f.blame(h, nil, active.Caller{}, &fault.Answer{Why: why})
	h.End = now(h)
	f.record(h, info.Sink)
	f.Active.Add(-1)
}

// finish closes the Hop and records it: once, as the last thing that happens
// to an exchange. err is why the response could not be sent, if it could not.
func (f *Forwarder) finish(x *filter.Exchange, err error) {
	h := x.Hop
	if h == nil {
		return
	}
	if err != nil {
		f.blame(h, f.target(x), x.Active.Caller(), fault.AnswerTo(err))
	}
	if h.End == 0 || err != nil {
		h.End = now(h)
	}
	x.Finished = clock(x, h.End)
	h.Entry = (h.Failed() || h.Slow()) && f.entered(x)
	x.Active.Leave()
	x.Hop = nil
	x.Finish()
	f.record(h, x.Conn.Info().Sink)
}

// record hands a Hop that has ended to whoever keeps it.
func (f *Forwarder) record(h *hop.Hop, sink hop.Sink) {
	if a := h.LastAttempt(); a != nil && a.End == 0 {
		a.End = h.End
	}
	switch {
	case h.Keep != hop.KeepNot:
	case h.Failed():
		h.Keep = hop.KeepFailed
	case h.Slow():
		h.Keep = hop.KeepSlow
	}
	sink.Record(h)
}

// now is the time since the request began.
func now(h *hop.Hop) time.Duration { return time.Since(h.Start) }

// clock is an instant of the Hop on the clock of deadlines.
func clock(x *filter.Exchange, at time.Duration) time.Duration { return x.Began + at }
