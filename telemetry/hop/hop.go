package hop

import (
	"sync"
	"time"
)

// Hop is the record of one request passing through one proxy. It is flat and pooled: the
// data plane takes one from its [Sink], fills it in without allocating, and gives it back
// with [Sink.Record]. After that it must not touch the Hop.
//
// Instants are durations since Start on the monotonic clock; zero means that it did not
// happen.
//
// What every request has comes first, and what few have comes last: so the views of a
// request that went well read few lines of the processor's cache.
type Hop struct {
	// Labels is what the configuration says about the request. It is never nil; it is the
	// listener's until a route is chosen.
	Labels *Labels
	// Attempts has one entry for each try at an endpoint, in order.
	Attempts []Attempt

	text []byte // what each Text is a piece of

	// Kind tells requests from tunnels and from connections that ended
	// before a request could be understood.
	Kind Kind
	// Version is the protocol spoken downstream.
	Version Version
	// Sampled is the sampling decision that was received or, at a root, made; it is sent
	// upstream. Keep says why the spans of this hop are exported.
	Sampled bool
	Keep    Keep
	// Entry is true for a hop that failed or was slow, if its request entered the mesh at this
	// proxy: no other proxy of the mesh has seen it before. Requests that others make for it
	// have none. It is not found out for other hops.
	Entry bool
	// GRPC is true for a gRPC call. GRPCStatus is its status, and GRPCMessage its
	// message, percent-decoded.
	GRPC       bool
	GRPCStatus GRPCStatus

	// Start is when the first byte of the request arrived.
	Start     time.Time
	Routed    time.Duration // route chosen
	FirstByte time.Duration // first byte of the response sent downstream
	End       time.Duration // last byte sent, or given up

	// Status is the status sent downstream, 0 if no response began.
	Status int
	// Flags says what went wrong, if anything did.
	Flags Flags
	// ProxyError is the error type of RFC 9209 section 2.3, empty if this proxy made no
	// error.
	ProxyError string
	// Method is the request's method if it is a known one, else "_OTHER".
	Method string
	// Template is the route that was learned from the request's path, such as
	// "/product/{id}". It is empty until the Hop is recorded, and where the
	// configuration itself names a template.
	Template string

	// Trace, Span and Parent are the identity of the hop. Parent is zero for a
	// root. [Hop.ExportedSpan] is the id that others know.
	Parent SpanID
	Span   SpanID
	Trace  TraceID

	// BytesIn and BytesOut count the content received from and sent to the client, in
	// bytes on its connection, without framing (chunks, frames): before filters on the
	// way in, and after filters on the way out. For a tunnel they count all bytes.
	BytesIn, BytesOut int64

	// Texts of the request, in the Hop's own storage; read them with [Hop.String] or
	// [Hop.Bytes].
	Path      Text
	Host      Text
	Query     Text // without the question mark
	UserAgent Text
	RequestID Text

	// Scheme is "http" or "https", as the client used it.
	Scheme string
	// Client is the address of the client, after trusted proxies; Peer is
	// the address at the other end of the connection ("host:port").
	Client, Peer string
	// TLS is what the client's connection is encrypted with, nil for a plain
	// one.
	TLS *TLS
	// Timeout is how long the response may take by the configuration of the route, all
	// attempts together; 0 is no limit. The caller may allow less.
	Timeout time.Duration

	// Recovered is a failure that did not fail the request; nil if there is none. It is not
	// changed once it is set.
	Recovered *Recovered
	// Failure says who made the failure; zero if nothing failed.
	Failure Failure
	// Details is a short machine-readable cause in Envoy's manner, such as
	// "upstream_reset_before_response_started{connection_refused}" or
	// "via_upstream".
	Details string
	// WriteBlocked is how long the proxy waited for the client to take the response: what
	// was sent filled the connection, as the client did not read. It is 0 where that can't
	// be told (systems other than Linux, HTTP/1).
	WriteBlocked time.Duration
	// Queued is how long the request waited for room among the requests of its route; 0 where
	// it found room at once.
	Queued time.Duration

	// Texts that few requests have.
	GRPCMessage Text
	MethodText  Text // the method as sent, only where Method is "_OTHER"
	// RewrittenPath is the path that the request went on with, in its normal form and after
	// rewrites; empty where that is Path. [Hop.Rewrite] sets it.
	RewrittenPath Text
	TraceState    Text
	UpstreamHop   Text // the Proxy-Status that came back from upstream, joined by ", "
	// Mirrored are the clusters that got a copy of the request, joined by ", ".
	Mirrored Text
	// Injected is the fault that was injected on purpose, such as "delay 300ms, abort 503";
	// empty for none.
	Injected Text
	// Recorded are the values of further fields, which only the configuration asks for; it
	// knows which they are. It is empty if nobody asks for any.
	Recorded []Text
}

// Attempt is one try at one endpoint. Its fields are ordered as those of a Hop are.
type Attempt struct {
	// Endpoint is the address that was tried, "host:port"; Cluster is the
	// cluster it was picked from.
	Endpoint, Cluster string
	// Status is the response's status, 0 if none came.
	Status int
	// Flags and ProxyError say why the attempt failed, as on the Hop.
	Flags      Flags
	ProxyError string

	Start     time.Duration
	Connected time.Duration // connection in hand, dialled or reused
	Sent      time.Duration // request head written
	FirstByte time.Duration // first byte of the response head received
	End       time.Duration

	// BytesSent and BytesReceived count the content sent to and received from the
	// endpoint in the same way, even for a response that was not used.
	BytesSent, BytesReceived int64

	// Reused is true if the connection came from the pool.
	Reused bool
	// Cold is true if this is the first request of the proxy to the endpoint since it knows
	// that the endpoint came up: nothing had listened there, or it was not well, or it is new
	// in the cluster.
	Cold bool
	// Version is the protocol spoken upstream.
	Version Version
	// GRPCStatus is the status that the endpoint gave a gRPC call.
	GRPCStatus GRPCStatus

	// Span is the id that went out: the endpoint sees it as its parent.
	Span SpanID
	// Scheme, Host, Path and Query are what the attempt asked for, as the endpoint saw
	// it: after rewrites, and with the route's Host if it sets one. [Hop.Ask] sets them.
	Scheme            string
	Host, Path, Query Text
	// TLS is what the connection to the endpoint is encrypted with, nil for a
	// plain one.
	TLS *TLS

	// WriteBlocked is how long the proxy waited for the endpoint to take the request's
	// content, as on the Hop.
	WriteBlocked time.Duration
	Details      string
	// Reason says in words why the attempt failed, such as "connection refused".
	Reason string
	// Evidence is what else was found out about an attempt that failed or was slow, in
	// words, such as what the kernel says of its connection. It is empty for others.
	Evidence string
}

// Labels is what the configuration says about requests of a route before they arrive. All
// Hops of the route share one value, which never changes.
type Labels struct {
	Service   string
	Direction Direction
	Listener  string
	// Route and Cluster are empty until a route has been chosen, or if none matched.
	Route, Cluster string
	// Variant is the target that was chosen where the route divides its requests among
	// several; empty for all other routes.
	Variant string
	// Learn says that the configuration names no template for the route, so that the views
	// may learn it from the paths.
	Learn bool
	// Slow is the duration from which a hop counts as slow; 0 means never.
	Slow time.Duration
	// Metrics has the metrics view's series for these labels, resolved when the
	// configuration is built. It is opaque to all other code.
	Metrics any
}

// Kind is what a Hop records.
type Kind uint8

const (
	// KindRequest is an HTTP request.
	KindRequest Kind = iota
	// KindTunnel is a CONNECT or an upgraded connection.
	KindTunnel
	// KindConnection is a connection whose request could not be understood.
	KindConnection
)

// Direction tells requests to a service from requests that it makes.
type Direction uint8

const (
	// Inbound hops are requests to the service.
	Inbound Direction = iota
	// Outbound hops are requests the service makes.
	Outbound
	// Mirror hops are copies of requests, which the proxy makes by itself. Nobody waits for
	// their responses, so no other hop fails for them.
	Mirror
)

func (d Direction) String() string { return [...]string{"inbound", "outbound", "mirror"}[d] }

// Calls reports whether a hop is a call of another service, and not a request to this one.
func (d Direction) Calls() bool { return d != Inbound }

// Version is a protocol version.
type Version uint8

const (
	// VersionUnknown means that nothing was understood.
	VersionUnknown Version = iota
	// HTTP10 is HTTP/1.0.
	HTTP10
	// HTTP11 is HTTP/1.1.
	HTTP11
	// HTTP2 is HTTP/2.
	HTTP2
)

// String returns the form of access logs: "HTTP/1.1".
func (v Version) String() string { return [...]string{"", "HTTP/1.0", "HTTP/1.1", "HTTP/2"}[v] }

// Number returns OpenTelemetry's network.protocol.version: "1.1".
func (v Version) Number() string { return [...]string{"", "1.0", "1.1", "2"}[v] }

// Keep is why a hop's spans are exported. Its name is the span attribute
// hopscope.sampled_by.
type Keep uint8

const (
	// KeepNot means that they are not exported.
	KeepNot Keep = iota
	// KeepParent means that the caller had sampled the trace.
	KeepParent
	// KeepRatio means that this hop is the root and the ratio chose it.
	KeepRatio
	// KeepDebug means that the caller asked for it (B3 debug).
	KeepDebug
	// KeepFailed and KeepSlow mean that the trace was not sampled, but the
	// hop failed or was slow.
	KeepFailed
	KeepSlow
	// KeepRate means that this hop is the root, and that the ratio chose it within the
	// limit of traces a second.
	KeepRate
	// KeepRoute means that this hop is the root and its route's own ratio chose it.
	KeepRoute
	// KeepMesh means that the trace was not sampled, but its request failed or was slow where
	// it entered the mesh.
	KeepMesh
)

func (k Keep) String() string {
	return [...]string{"", "parent", "ratio", "debug", "failed", "slow", "rate", "route", "mesh"}[k]
}

// Failed reports whether the hop counts as an error: a status of 500 and above, a gRPC
// status that is the server's fault, or a flag of [Failures], unless the client made it.
func (h *Hop) Failed() bool {
	return h.Status >= 500 ||
		(h.GRPCStatus.ServerError() || h.Flags&Failures != 0) && h.Failure.Origin != OriginDownstream
}

// Slow reports whether the hop took at least its route's slow threshold.
// Tunnels are never slow: they last as long as their users like.
func (h *Hop) Slow() bool {
	return h.Kind == KindRequest && h.Labels.Slow > 0 && h.End >= h.Labels.Slow
}

// FailedAttempt returns the last attempt that failed, or nil: one whose response was a
// server's error, or that got none through no fault of the client.
func (h *Hop) FailedAttempt() *Attempt {
	for i := len(h.Attempts) - 1; i >= 0; i-- {
		a := &h.Attempts[i]
		if a.Status >= 500 || a.GRPCStatus.ServerError() || a.ProxyError != "" || a.Flags&Failures != 0 {
			return a
		}
	}
	return nil
}

// Attempt adds an attempt and returns it; the pointer is valid until the next call.
func (h *Hop) Attempt() *Attempt {
	h.Attempts = append(h.Attempts, Attempt{})
	return &h.Attempts[len(h.Attempts)-1]
}

// LastAttempt returns the latest attempt, or nil.
func (h *Hop) LastAttempt() *Attempt {
	if len(h.Attempts) == 0 {
		return nil
	}
	return &h.Attempts[len(h.Attempts)-1]
}

// Sink takes finished Hops. Record never blocks and never fails; a Hop that can't be
// taken is dropped and counted.
type Sink interface {
	// Open returns an empty Hop.
	Open() *Hop
	// Record takes a finished Hop back; the caller must not touch it again.
	Record(*Hop)
}

// Pool keeps Hops for reuse. The zero value is ready.
type Pool struct{ pool sync.Pool }

// Get returns an empty Hop.
func (p *Pool) Get() *Hop {
	if h, ok := p.pool.Get().(*Hop); ok {
		attempts, recorded, text := h.Attempts[:0], h.Recorded[:0], h.text[:0]
		*h = Hop{} // with its fields in the literal, all of it would be made on the stack and copied
		h.Attempts, h.Recorded, h.text = attempts, recorded, text
		return h
	}
	return &Hop{Attempts: make([]Attempt, 0, 1), text: make([]byte, 0, 512)}
}

// Put keeps h. It leaves a Hop that grew large to the garbage collector. Get empties it: what a
// Hop has is long out of the processor's cache when it comes back, and there again when it is
// used next.
func (p *Pool) Put(h *Hop) {
	if cap(h.text) > 4096 || cap(h.Attempts) > 8 {
		return
	}
	p.pool.Put(h)
}
