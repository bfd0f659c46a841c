package spans

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/redact"
)

// encoder writes Hops as spans: repeated fields ScopeSpans.spans in wire form. Only this
// file, connection.go and call.go know the semantic conventions (OpenTelemetry's stable
// ones for HTTP spans, and those for gRPC and TLS) and hopscope's own attributes.
type encoder struct {
	out     []byte
	spans   int    // how many spans are in out
	scratch []byte // for composed values
}

// hop appends the spans of h. h must have a trace id and a span id.
func (e *encoder) hop(h *hop.Hop) {
	e.server(h)
	for i := range h.Attempts {
		e.client(h, &h.Attempts[i], i)
	}
}

// server appends the SERVER span: what the client of this proxy saw.
func (e *encoder) server(h *hop.Hop) {
	b, start := begin(e.out, tagScopeSpansSpan)
	b = appendIdentity(b, h, h.Span, h.Parent)
	b = appendName(b, h)
	b = append(b, tagSpanKind, byte(tracepb.Span_SPAN_KIND_SERVER))
	b = appendTimes(b, h, 0, h.End)

	b = appendMethod(b, h)
	b = appendString(b, "http.route", h.Labels.Route)
	b = appendString(b, "url.scheme", h.Scheme)
	b = appendString(b, "url.path", h.Bytes(h.Path))
	if h.Query.Len() > 0 {
		e.scratch = redact.AppendQuery(e.scratch[:0], h.Bytes(h.Query))
		b = appendString(b, "url.query", e.scratch)
	}
	b = appendServerAddress(b, h)
	client, _ := splitHostPort(h.Client)
	b = appendString(b, "client.address", client)
	b = appendPeer(b, h.Peer)
	b = appendString(b, "network.protocol.version", h.Version.Number())
	b = appendString(b, "user_agent.original", h.Bytes(h.UserAgent))
	b = appendResponse(b, h.Status)
	b = appendBodySizes(b, h.Kind, h.BytesIn, h.BytesOut)
	if h.GRPC {
		b = appendCall(b, h, h.GRPCStatus)
		b = appendString(b, "hopscope.grpc_message", h.Bytes(h.GRPCMessage))
	}
	b = e.appendTLS(b, h.TLS, "tls.client.subject", "tls.client.not_after")
	if h.Failed() {
		b = appendString(b, "error.type", errorType(h.ProxyError, h.GRPCStatus, h.Status, h.Flags))
	}

	b = appendString(b, "hopscope.direction", h.Labels.Direction.String())
	b = appendString(b, "hopscope.cluster", h.Labels.Cluster)
	b = appendString(b, "hopscope.sampled_by", h.Keep.String())
	b = appendString(b, "hopscope.request_id", h.Bytes(h.RequestID))
	b = e.appendFlags(b, h.Flags)
	b = appendString(b, "hopscope.details", h.Details)
	if h.Failure != (hop.Failure{}) {
		b = appendString(b, "hopscope.failed_hop", h.Failure.Hop)
		b = appendString(b, "hopscope.failure_reason", h.Failure.Reason)
		b = appendString(b, "hopscope.failure_origin", h.Failure.Origin.String())
	}
	if h.Failed() { // a 4xx, or the like in gRPC, leaves a SERVER span's status unset
		b = appendError(b, cmp.Or(h.Failure.Reason, h.GRPCReason()))
	}
	e.close(b, start, h, !h.Parent.IsZero())
}

// client appends the CLIENT span of one attempt: what this proxy saw of the
// endpoint, which in turn sees this span as its parent.
func (e *encoder) client(h *hop.Hop, a *hop.Attempt, resend int) {
	if a.Span.IsZero() {
		return // no attempt was made
	}
	b, start := begin(e.out, tagScopeSpansSpan)
	b = appendIdentity(b, h, a.Span, h.Span)
	b = appendName(b, h)
	b = append(b, tagSpanKind, byte(tracepb.Span_SPAN_KIND_CLIENT))
	ended := a.End
	if ended == 0 {
		ended = h.End
	}
	b = appendTimes(b, h, a.Start, ended)

	b = appendMethod(b, h)
	e.scratch = hop.AppendURL(e.scratch[:0], h, a)
	b = appendString(b, "url.full", e.scratch)
	host, port := splitHostPort(hop.WithoutUser(h.Bytes(a.Host)))
	if port == 0 {
		port = defaultPort(a.Scheme)
	}
	b = appendAddress(b, "server.address", host, "server.port", port)
	b = appendPeer(b, a.Endpoint)
	b = appendString(b, "network.protocol.version", a.Version.Number())
	b = appendResponse(b, a.Status)
	b = appendBodySizes(b, h.Kind, a.BytesSent, a.BytesReceived)
	if resend > 0 {
		b = appendInt(b, "http.request.resend_count", int64(resend))
	}
	if h.GRPC {
		b = appendCall(b, h, a.GRPCStatus)
	}
	b = e.appendTLS(b, a.TLS, "tls.server.subject", "tls.server.not_after")
	failed := a.Status >= 400 || a.GRPCStatus.Failed() || a.Flags&hop.Failures != 0 || a.ProxyError != ""
	if failed {
		b = appendString(b, "error.type", errorType(a.ProxyError, a.GRPCStatus, a.Status, a.Flags))
	}

	b = appendString(b, "hopscope.cluster", a.Cluster)
	b = appendTrue(b, "hopscope.connection_reused", a.Reused)
	b = e.appendFlags(b, a.Flags)
	b = appendString(b, "hopscope.details", a.Details)
	b = appendString(b, "hopscope.failure_reason", a.Reason)
	b = appendString(b, "hopscope.evidence", a.Evidence)

	if a.Connected > 0 && !a.Reused {
		b = appendEvent(b, h, "connected", a.Connected)
	}
	if a.FirstByte > 0 {
		b = appendEvent(b, h, "first_byte", a.FirstByte)
	}
	if failed {
		b = appendError(b, cmp.Or(a.Reason, a.GRPCStatus.Describe()))
	}
	e.close(b, start, h, false)
}

// appendIdentity appends the first fields of a Span: its ids and its parent's.
func appendIdentity(b []byte, h *hop.Hop, span, parent hop.SpanID) []byte {
	b = appendBytes(b, tagSpanTraceID, h.Trace[:])
	b = appendBytes(b, tagSpanID, span[:])
	if h.TraceState.Len() > 0 {
		b = appendText(b, tagSpanTraceState, h.Bytes(h.TraceState))
	}
	if !parent.IsZero() {
		b = appendBytes(b, tagSpanParent, parent[:])
	}
	return b
}

// close appends the flags (W3C's, and whether the parent is in another process) and ends
// the span.
func (e *encoder) close(b []byte, start int, h *hop.Hop, parentIsRemote bool) {
	flags := uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK)
	if h.Sampled {
		flags |= 1
	}
	if parentIsRemote {
		flags |= uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK)
	}
	b = protowire.AppendTag(b, fieldSpanFlags, protowire.Fixed32Type)
	b = protowire.AppendFixed32(b, flags)
	e.out = end(b, start)
	e.spans++
}

// appendName appends "{method} {http.route}", or a gRPC call's name if callName knows
// one. It never uses the path, since there are too many paths.
func appendName(b []byte, h *hop.Hop) []byte {
	if call := callName(h); call != nil {
		return appendText(b, tagSpanName, call)
	}
	method := method(h)
	if method == otherMethod {
		method = "HTTP"
	}
	route := strings.ToValidUTF8(h.Labels.Route, replacement)
	n := len(method)
	if route != "" {
		n += 1 + len(route)
	}
	b = protowire.AppendVarint(append(b, tagSpanName), uint64(n))
	b = append(b, method...)
	if route != "" {
		b = append(append(b, ' '), route...)
	}
	return b
}

// appendTimes appends when the span started and ended, given as on the Hop.
func appendTimes(b []byte, h *hop.Hop, from, to time.Duration) []byte {
	start := h.Start.UnixNano()
	b = appendFixed64(b, tagSpanStart, uint64(start+int64(from)))
	return appendFixed64(b, tagSpanEnd, uint64(start+int64(max(from, to))))
}

// appendEvent appends an event without attributes. Names are shorter than 100
// bytes.
func appendEvent(b []byte, h *hop.Hop, name string, at time.Duration) []byte {
	b = append(b, tagSpanEvent, byte(1+8+2+len(name)))
	b = appendFixed64(b, tagEventTime, uint64(h.Start.UnixNano()+int64(at)))
	b = append(b, tagEventName, byte(len(name)))
	return append(b, name...)
}

const otherMethod = "_OTHER"

// method returns the method for http.request.method, from a fixed set.
func method(h *hop.Hop) string {
	if h.Method == "" { // the request was not understood
		return otherMethod
	}
	return h.Method
}

func appendMethod(b []byte, h *hop.Hop) []byte {
	m := method(h)
	b = appendString(b, "http.request.method", m)
	if m == otherMethod {
		b = appendString(b, "http.request.method_original", h.Bytes(h.MethodText))
	}
	return b
}

func appendResponse(b []byte, status int) []byte {
	if status == 0 {
		return b
	}
	return appendInt(b, "http.response.status_code", int64(status))
}

// appendBodySizes appends the sizes of the bodies. A tunnel has no bodies.
func appendBodySizes(b []byte, kind hop.Kind, request, response int64) []byte {
	switch kind {
	case hop.KindTunnel:
		b = appendInt(b, "hopscope.tunnel.bytes_in", request)
		b = appendInt(b, "hopscope.tunnel.bytes_out", response)
	case hop.KindRequest:
		b = appendInt(b, "http.request.body.size", request)
		b = appendInt(b, "http.response.body.size", response)
	}
	return b
}

// appendServerAddress appends the address that the client asked for.
func appendServerAddress(b []byte, h *hop.Hop) []byte {
	host, port := splitHostPort(hop.WithoutUser(h.Bytes(h.Host)))
	return appendAddress(b, "server.address", host, "server.port", port)
}

// appendPeer appends the address at the other end of the connection.
func appendPeer(b []byte, address string) []byte {
	host, port := splitHostPort(address)
	return appendAddress(b, "network.peer.address", host, "network.peer.port", port)
}

func appendAddress[T string | []byte](b []byte, hostName string, host T, portName string, port int64) []byte {
	b = appendString(b, hostName, host)
	if port > 0 {
		b = appendInt(b, portName, port)
	}
	return b
}

// defaultPort is the scheme's default port. A CLIENT span must have a port.
func defaultPort(scheme string) int64 {
	switch scheme {
	case "http":
		return 80
	case "https":
		return 443
	}
	return 0
}

func (e *encoder) appendFlags(b []byte, flags hop.Flags) []byte {
	if flags == 0 {
		return b
	}
	e.scratch = flags.Append(e.scratch[:0])
	return appendString(b, "hopscope.flags", e.scratch)
}

// errorType returns the value of error.type: the most precise of the few possible ones.
func errorType(proxyError string, grpc hop.GRPCStatus, status int, flags hop.Flags) string {
	switch {
	case proxyError != "":
		return proxyError
	case grpc.Failed():
		return grpc.String()
	case status >= 400:
		return strconv.Itoa(status)
	case flags != 0:
		return flags.Code()
	}
	return otherMethod
}

// appendError sets the span's status to error.
func appendError(b []byte, message string) []byte {
	b, start := begin(b, tagSpanStatus)
	if message != "" {
		b = appendText(b, tagStatusMessage, message)
	}
	b = append(b, tagStatusCode, byte(tracepb.Status_STATUS_CODE_ERROR))
	return end(b, start)
}
