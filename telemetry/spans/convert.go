package spans

import (
	"cmp"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/redact"
)

// encoder writes Hops as spans: repeated fields ScopeSpans.spans in wire form. Only
// convert.go, attributes.go, connection.go and call.go know the semantic conventions
// (OpenTelemetry's stable ones for HTTP spans, and those for gRPC and TLS) and hopscope's
// own attributes.
type encoder struct {
	out     []byte
	spans   int    // how many spans are in out
	scratch []byte // for composed values
}

// hop appends the spans of h. h must have a trace id and a span id. A hop and its only
// attempt are one span; several attempts are its children.
func (e *encoder) hop(h *hop.Hop) {
	if a := h.Only(); a != nil {
		e.whole(h, a)
		return
	}
	e.whole(h, nil)
	for i := range h.Attempts {
		if !h.Attempts[i].Span.IsZero() {
			e.attempt(h, &h.Attempts[i], i)
		}
	}
}

// whole appends the span of the hop: CLIENT for a request that the service makes, SERVER
// for one to it. a is the hop's only attempt, or nil.
func (e *encoder) whole(h *hop.Hop, a *hop.Attempt) {
	b, start := begin(e.out, tagScopeSpansSpan)
	b = appendIdentity(b, h, h.ExportedSpan(), h.Parent)
	b = appendName(b, h)
	outbound := h.Labels.Direction.Calls()
	if outbound {
		b = append(b, tagSpanKind, byte(tracepb.Span_SPAN_KIND_CLIENT))
	} else {
		b = append(b, tagSpanKind, byte(tracepb.Span_SPAN_KIND_SERVER))
	}
	b = appendTimes(b, h, 0, h.End)
	b = appendMethod(b, h)
	b = appendString(b, "http.route", h.RouteName())
	client, _ := splitHostPort(h.Client)
	b = appendString(b, "client.address", client)
	b = appendString(b, "user_agent.original", h.Bytes(h.UserAgent))
	b = appendResponse(b, h.Status)
	if outbound {
		b = e.appendClient(b, h, a)
	} else {
		b = e.appendServer(b, h, a)
	}
	if h.GRPC {
		b = appendCall(b, h, h.GRPCStatus)
		b = appendString(b, "hopscope.grpc_message", h.Bytes(h.GRPCMessage))
	}
	kind := h.ErrorType() // a 4xx, or the like in gRPC, leaves a SERVER span's status unset
	b = appendString(b, "error.type", kind)
	cluster, reason := h.Labels.Cluster, h.Failure.Reason
	if a != nil {
		cluster = cmp.Or(a.Cluster, cluster)
		if outbound {
			reason = cmp.Or(reason, a.Reason)
		}
	}
	b = appendString(b, "hopscope.direction", h.Labels.Direction.String())
	b = appendString(b, "hopscope.cluster", cluster)
	b = appendString(b, "hopscope.variant", h.Labels.Variant)
	b = appendString(b, "hopscope.sampled_by", h.Keep.String())
	b = appendString(b, "hopscope.rewritten_path", h.Bytes(h.RewrittenPath))
	b = appendString(b, "hopscope.request_id", h.Bytes(h.RequestID))
	if h.Queued > 0 {
		b = appendInt(b, "hopscope.queued_ms", h.Queued.Milliseconds())
	}
	b = e.appendFlags(b, "hopscope.flags", h.Flags)
	b = appendString(b, "hopscope.details", h.Details)
	b = appendString(b, "hopscope.mirrored", h.Bytes(h.Mirrored))
	b = appendString(b, "hopscope.injected", h.Bytes(h.Injected))
	b = appendFailure(b, &h.Failure)
	if a != nil {
		b = e.appendResult(b, h, a)
		b = appendConnection(b, h, a)
	}
	if kind != "" {
		b = appendError(b, cmp.Or(reason, h.GRPCReason()))
	}
	e.close(b, start, h, !h.Parent.IsZero())
}

// appendServer appends what the client of an inbound hop asked for, by the conventions
// for SERVER spans, and under hopscope.upstream what its only attempt did otherwise.
func (e *encoder) appendServer(b []byte, h *hop.Hop, a *hop.Attempt) []byte {
	b = appendString(b, "url.scheme", h.Scheme)
	b = appendString(b, "url.path", h.Bytes(h.Path))
	if h.Query.Len() > 0 {
		e.scratch = redact.AppendQuery(e.scratch[:0], h.Bytes(h.Query))
		b = appendString(b, "url.query", e.scratch)
	}
	host, port := splitHostPort(hop.WithoutUser(h.Bytes(h.Host)))
	b = appendAddress(b, "server.address", host, "server.port", port)
	b = appendPeer(b, h.Peer)
	b = appendString(b, "network.protocol.version", h.Version.Number())
	b = appendBodySizes(b, h.Kind, h.BytesIn, h.BytesOut)
	b = e.appendTLS(b, h.TLS, &ofClient)
	if a == nil {
		return b
	}
	b = appendString(b, "hopscope.upstream.endpoint", a.Endpoint)
	if rewritten(h, a) {
		e.scratch = hop.AppendURL(e.scratch[:0], h, a)
		b = appendString(b, "hopscope.upstream.url", e.scratch)
	}
	if a.Version != h.Version {
		b = appendString(b, "hopscope.upstream.protocol_version", a.Version.Number())
	}
	if a.BytesSent != h.BytesIn {
		b = appendInt(b, "hopscope.upstream.request_size", a.BytesSent)
	}
	if a.BytesReceived != h.BytesOut {
		b = appendInt(b, "hopscope.upstream.response_size", a.BytesReceived)
	}
	return e.appendTLS(b, a.TLS, &ofUpstream)
}

// appendClient appends what the only attempt of an outbound hop asked for, by the
// conventions for CLIENT spans, and under hopscope.downstream what the application asked
// otherwise. Without an attempt it is what the application asked for.
func (e *encoder) appendClient(b []byte, h *hop.Hop, a *hop.Attempt) []byte {
	if a == nil {
		asked := asked(h)
		b = e.appendAsked(b, h, &asked)
		b = appendString(b, "network.protocol.version", h.Version.Number())
		b = appendBodySizes(b, h.Kind, h.BytesIn, h.BytesOut)
		return e.appendTLS(b, h.TLS, &ofDownstream)
	}
	b = e.appendAttempt(b, h, a)
	if rewritten(h, a) {
		asked := asked(h)
		e.scratch = hop.AppendURL(e.scratch[:0], h, &asked)
		b = appendString(b, "hopscope.downstream.url", e.scratch)
	}
	if a.Version != h.Version {
		b = appendString(b, "hopscope.downstream.protocol_version", h.Version.Number())
	}
	if a.BytesSent != h.BytesIn {
		b = appendInt(b, "hopscope.downstream.request_size", h.BytesIn)
	}
	if a.BytesReceived != h.BytesOut {
		b = appendInt(b, "hopscope.downstream.response_size", h.BytesOut)
	}
	return e.appendTLS(b, h.TLS, &ofDownstream)
}

// appendResult appends how the only attempt of a hop ended, as far as the hop itself
// ended otherwise.
func (e *encoder) appendResult(b []byte, h *hop.Hop, a *hop.Attempt) []byte {
	if a.Status != h.Status { // 0 where no response came
		b = appendInt(b, "hopscope.upstream.status_code", int64(a.Status))
	}
	if a.GRPCStatus != 0 && a.GRPCStatus != h.GRPCStatus {
		b = appendInt(b, "hopscope.upstream.grpc_status_code", int64(a.GRPCStatus.Code()))
	}
	if a.Flags != h.Flags {
		b = e.appendFlags(b, "hopscope.upstream.flags", a.Flags)
	}
	if a.Details != h.Details {
		b = appendString(b, "hopscope.upstream.details", a.Details)
	}
	if a.Reason != h.Failure.Reason {
		b = appendString(b, "hopscope.upstream.failure_reason", a.Reason)
	}
	return b
}

// attempt appends the CLIENT span of one attempt of several. The endpoint sees it as its
// parent.
func (e *encoder) attempt(h *hop.Hop, a *hop.Attempt, resend int) {
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
	b = e.appendAttempt(b, h, a)
	b = appendResponse(b, a.Status)
	if resend > 0 {
		b = appendInt(b, "http.request.resend_count", int64(resend))
	}
	if h.GRPC {
		b = appendCall(b, h, a.GRPCStatus)
	}
	kind := a.ErrorType()
	b = appendString(b, "error.type", kind)
	b = appendString(b, "hopscope.cluster", a.Cluster)
	b = e.appendFlags(b, "hopscope.flags", a.Flags)
	b = appendString(b, "hopscope.details", a.Details)
	b = appendString(b, "hopscope.failure_reason", a.Reason)
	b = appendConnection(b, h, a)
	if kind != "" {
		b = appendError(b, cmp.Or(a.Reason, a.GRPCStatus.Describe()))
	}
	e.close(b, start, h, false)
}

// appendAttempt appends what an attempt asked for and over which connection, by the
// conventions for CLIENT spans.
func (e *encoder) appendAttempt(b []byte, h *hop.Hop, a *hop.Attempt) []byte {
	b = e.appendAsked(b, h, a)
	b = appendPeer(b, a.Endpoint)
	b = appendString(b, "network.protocol.version", a.Version.Number())
	b = appendBodySizes(b, h.Kind, a.BytesSent, a.BytesReceived)
	return e.appendTLS(b, a.TLS, &ofEndpoint)
}

// appendConnection appends what there is to know of an attempt's connection, with the
// instants of the attempt as events.
func appendConnection(b []byte, h *hop.Hop, a *hop.Attempt) []byte {
	b = appendTrue(b, "hopscope.connection_reused", a.Reused)
	b = appendString(b, "hopscope.evidence", a.Evidence)
	if a.Connected > 0 && !a.Reused {
		b = appendEvent(b, h, "connected", a.Connected)
	}
	if a.FirstByte > 0 {
		b = appendEvent(b, h, "first_byte", a.FirstByte)
	}
	return b
}

// asked is what the client of h asked for, as an attempt.
func asked(h *hop.Hop) hop.Attempt {
	return hop.Attempt{Scheme: h.Scheme, Host: h.Host, Path: h.Path, Query: h.Query}
}

// rewritten reports whether the attempt asked for something else than the client. Texts
// that are the same are one piece of the Hop's storage.
func rewritten(h *hop.Hop, a *hop.Attempt) bool {
	return a.Host != h.Host || a.Path != h.Path || a.Query != h.Query
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
