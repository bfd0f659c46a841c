package accesslog

import (
	"strconv"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/redact"
)

// AppendLine appends the line of h to dst, with its newline. It is one JSON object that
// always has the same keys in the same order; what does not apply, or is empty, is null.
// Only the rare keys, which come last, are left out then. U+FFFD replaces invalid UTF-8.
// docs/access-log.md says what each key means.
func AppendLine(dst []byte, h *hop.Hop) []byte {
	var f formatter
	return f.appendLine(dst, h)
}

// formatter remembers what successive lines have in common. Its zero value is ready.
type formatter struct {
	second int64  // Unix time that moment is of
	moment []byte // {"time":"2006-01-02T15:04:05.

	labels *hop.Labels // that fixed is of
	fixed  fixed
	known  map[*hop.Labels]fixed

	scratch []byte // for what is put together
	value   []byte // for the value of an operator
	line    []byte // for a piece of the default line
}

// fixed is the part of a line that is the same for all hops with the same labels.
type fixed struct{ head, route, cluster []byte }

// maxKnown limits the remembered labels, and so how much of old configurations stays in
// memory.
const maxKnown = 1024

func (f *formatter) appendLine(dst []byte, h *hop.Hop) []byte {
	if h.Labels != f.labels {
		f.turnTo(h.Labels)
	}
	dst = f.appendTime(dst, h.Start)
	dst = append(dst, f.fixed.head...)
	dst = appendText(append(dst, `,"client":`...), h.Client)
	dst = appendText(append(dst, `,"host":`...), h.Bytes(h.Host))
	dst = appendMethod(append(dst, `,"method":`...), h)
	dst = f.appendPath(append(dst, `,"path":`...), h)
	if h.Template == "" {
		dst = append(dst, f.fixed.route...)
	} else {
		dst = appendText(append(dst, `,"route":`...), h.Template)
	}
	dst = append(dst, f.fixed.cluster...)
	dst = appendUpstream(append(dst, `,"upstream":`...), h)
	dst = appendText(append(dst, `,"protocol":`...), h.Version.String())
	dst = appendInt(append(dst, `,"status":`...), int64(h.Status))
	dst = appendGRPC(dst, h)
	dst = appendFlags(append(dst, `,"flags":`...), h.Flags)
	dst = appendText(append(dst, `,"failed_hop":`...), h.Failure.Hop)
	dst = appendText(append(dst, `,"failure_reason":`...), h.Failure.Reason)
	dst = appendFailure(dst, &h.Failure)
	dst = appendInt(append(dst, `,"bytes_in":`...), h.BytesIn)
	dst = appendInt(append(dst, `,"bytes_out":`...), h.BytesOut)
	dst = appendMillis(append(dst, `,"duration_ms":`...), h.End)
	dst = appendUpstreamTime(append(dst, `,"upstream_ms":`...), h)
	dst = appendTimeout(append(dst, `,"timeout_ms":`...), h)
	dst = append(dst, `,"attempts":[`...)
	for i := range h.Attempts {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = f.appendAttempt(dst, h, &h.Attempts[i])
	}
	dst = appendIdentity(append(dst, ']'), h)
	dst = appendText(append(dst, `,"request_id":`...), h.Bytes(h.RequestID))
	dst = appendText(append(dst, `,"user_agent":`...), h.Bytes(h.UserAgent))
	return append(appendRare(appendTLS(dst, h.TLS), h), "}\n"...)
}

// appendRare appends the keys that hardly any line has.
func appendRare(dst []byte, h *hop.Hop) []byte {
	if h.RewrittenPath.Len() > 0 {
		dst = appendText(append(dst, `,"rewritten_path":`...), h.Bytes(h.RewrittenPath))
	}
	if h.WriteBlocked > 0 {
		dst = appendMillis(append(dst, `,"write_blocked_ms":`...), h.WriteBlocked)
	}
	if h.Queued > 0 {
		dst = appendMillis(append(dst, `,"queued_ms":`...), h.Queued)
	}
	if h.Recovered != nil {
		dst = appendRecovered(append(dst, `,"recovered":`...), h.Recovered)
	}
	if h.Labels.Variant != "" {
		dst = appendText(append(dst, `,"variant":`...), h.Labels.Variant)
	}
	if h.Mirrored.Len() > 0 {
		dst = appendText(append(dst, `,"mirrored":`...), h.Bytes(h.Mirrored))
	}
	if h.Injected.Len() > 0 {
		dst = appendText(append(dst, `,"injected":`...), h.Bytes(h.Injected))
	}
	return dst
}

// turnTo makes l the labels of the next line.
func (f *formatter) turnTo(l *hop.Labels) {
	fx, ok := f.known[l]
	if !ok {
		if f.known == nil || len(f.known) >= maxKnown {
			f.known = map[*hop.Labels]fixed{}
		}
		fx.head = appendText([]byte(`,"service":`), l.Service)
		fx.head = appendText(append(fx.head, `,"direction":`...), l.Direction.String())
		fx.route = appendText([]byte(`,"route":`), (&hop.Hop{Labels: l}).RouteName())
		fx.cluster = appendText([]byte(`,"cluster":`), l.Cluster)
		f.known[l] = fx
	}
	f.labels, f.fixed = l, fx
}

// appendTime begins the line with t.
func (f *formatter) appendTime(dst []byte, t time.Time) []byte {
	if second := t.Unix(); second != f.second || f.moment == nil {
		f.second = second
		f.moment = t.UTC().AppendFormat(f.moment[:0], `{"time":"2006-01-02T15:04:05.`)
	}
	dst = append(dst, f.moment...)
	micros := uint32(t.Nanosecond()) / 1000
	dst = append(dst,
		byte('0'+micros/100000), byte('0'+micros/10000%10), byte('0'+micros/1000%10),
		byte('0'+micros/100%10), byte('0'+micros/10%10), byte('0'+micros%10))
	return append(dst, `Z"`...)
}

// appendPath appends the path and, after a question mark, the redacted query.
func (f *formatter) appendPath(dst []byte, h *hop.Hop) []byte {
	if h.Query.Len() == 0 {
		return appendText(dst, h.Bytes(h.Path))
	}
	f.scratch = redact.AppendQuery(f.scratch[:0], h.Bytes(h.Query))
	dst = appendEscaped(append(dst, '"'), h.Bytes(h.Path))
	dst = appendEscaped(append(dst, '?'), f.scratch)
	return append(dst, '"')
}

// appendMethod appends the method as it was sent.
func appendMethod(dst []byte, h *hop.Hop) []byte {
	if h.MethodText.Len() > 0 {
		return appendText(dst, h.Bytes(h.MethodText))
	}
	return appendText(dst, h.Method)
}

// appendUpstream appends the endpoint of the last attempt.
func appendUpstream(dst []byte, h *hop.Hop) []byte {
	if a := h.LastAttempt(); a != nil {
		return appendText(dst, a.Endpoint)
	}
	return append(dst, "null"...)
}

func appendUpstreamTime(dst []byte, h *hop.Hop) []byte {
	a := h.LastAttempt()
	if a == nil {
		return append(dst, "null"...)
	}
	until := a.FirstByte
	if until == 0 {
		until = a.End
	}
	return appendMillis(dst, until-h.Attempts[0].Start)
}

func appendTimeout(dst []byte, h *hop.Hop) []byte {
	if h.Timeout == 0 {
		return append(dst, "null"...)
	}
	return appendMillis(dst, h.Timeout)
}

func (f *formatter) appendAttempt(dst []byte, h *hop.Hop, a *hop.Attempt) []byte {
	dst = appendText(append(dst, `{"endpoint":`...), a.Endpoint)
	dst = appendSpan(append(dst, `,"span_id":`...), a.Span)
	f.scratch = hop.AppendURL(f.scratch[:0], h, a)
	dst = appendText(append(dst, `,"url":`...), f.scratch)
	dst = appendInt(append(dst, `,"status":`...), int64(a.Status))
	dst = appendGRPCStatus(dst, a.GRPCStatus)
	dst = appendFlags(append(dst, `,"flags":`...), a.Flags)
	dst = appendText(append(dst, `,"error_type":`...), a.ProxyError)
	dst = appendText(append(dst, `,"reason":`...), a.Reason)
	dst = appendText(append(dst, `,"evidence":`...), a.Evidence)
	dst = appendInt(append(dst, `,"bytes_sent":`...), a.BytesSent)
	dst = appendInt(append(dst, `,"bytes_received":`...), a.BytesReceived)
	dst = appendMillis(append(dst, `,"start_ms":`...), a.Start)
	dst = appendMillis(append(dst, `,"duration_ms":`...), a.End-a.Start)
	dst = append(dst, `,"connect_ms":`...)
	if a.Connected == 0 {
		dst = append(dst, "null"...)
	} else {
		dst = appendMillis(dst, a.Connected-a.Start)
	}
	dst = strconv.AppendBool(append(dst, `,"reused":`...), a.Reused)
	dst = appendTLS(dst, a.TLS)
	if a.Cold {
		dst = append(dst, `,"cold":true`...)
	}
	return append(dst, '}')
}

func appendGRPC(dst []byte, h *hop.Hop) []byte {
	if !h.GRPC {
		return append(dst, `,"grpc_status":null,"grpc_status_name":null,"grpc_message":null`...)
	}
	dst = appendGRPCStatus(dst, h.GRPCStatus)
	dst = appendText(append(dst, `,"grpc_status_name":`...), h.GRPCStatus.String())
	return appendText(append(dst, `,"grpc_message":`...), h.Bytes(h.GRPCMessage))
}

func appendGRPCStatus(dst []byte, s hop.GRPCStatus) []byte {
	dst = append(dst, `,"grpc_status":`...)
	if s == 0 {
		return append(dst, "null"...)
	}
	return appendInt(dst, int64(s.Code()))
}

func appendFailure(dst []byte, f *hop.Failure) []byte {
	if f.Origin == hop.OriginNone {
		return append(dst, `,"failure":null`...)
	}
	return append(appendFault(append(dst, `,"failure":{`...), f), '}')
}

// appendFault appends the keys that every failure has, the recovered one, too.
func appendFault(dst []byte, f *hop.Failure) []byte {
	dst = appendText(append(dst, `"origin":`...), f.Origin.String())
	dst = appendText(append(dst, `,"part":`...), f.Part.String())
	dst = appendText(append(dst, `,"kind":`...), f.Kind)
	dst = appendText(append(dst, `,"caller":`...), f.Caller)
	dst = appendText(append(dst, `,"endpoint":`...), f.Endpoint)
	return strconv.AppendBool(append(dst, `,"inferred":`...), f.Inferred)
}

func appendRecovered(dst []byte, r *hop.Recovered) []byte {
	dst = appendFault(append(dst, '{'), &r.Failure)
	dst = appendText(append(dst, `,"failed_hop":`...), r.Hop)
	dst = appendText(append(dst, `,"failure_reason":`...), r.Reason)
	return append(appendMillis(append(dst, `,"duration_ms":`...), r.Took), '}')
}

func appendTLS(dst []byte, t *hop.TLS) []byte {
	if t == nil {
		return append(dst, `,"tls":null`...)
	}
	dst = appendText(append(dst, `,"tls":{"version":`...), t.Version)
	dst = appendText(append(dst, `,"cipher":`...), t.Cipher)
	dst = appendText(append(dst, `,"sni":`...), t.ServerName)
	dst = appendText(append(dst, `,"peer":`...), t.Peer)
	dst = strconv.AppendBool(append(dst, `,"resumed":`...), t.Resumed)
	return append(appendMillis(append(dst, `,"handshake_ms":`...), t.Handshake), '}')
}

func appendIdentity(dst []byte, h *hop.Hop) []byte {
	dst = append(dst, `,"trace_id":`...)
	if h.Trace.IsZero() {
		dst = append(dst, "null"...)
	} else {
		dst = append(h.Trace.AppendHex(append(dst, '"')), '"')
	}
	dst = appendSpan(append(dst, `,"span_id":`...), h.ExportedSpan())
	dst = appendSpan(append(dst, `,"parent_id":`...), h.Parent)
	return strconv.AppendBool(append(dst, `,"sampled":`...), h.Sampled)
}

func appendSpan(dst []byte, s hop.SpanID) []byte {
	if s.IsZero() {
		return append(dst, "null"...)
	}
	return append(s.AppendHex(append(dst, '"')), '"')
}

func appendFlags(dst []byte, f hop.Flags) []byte {
	if f == 0 {
		return append(dst, "null"...)
	}
	return append(f.Append(append(dst, '"')), '"')
}

// appendMillis appends d in milliseconds with three decimals. A negative d, which should
// not occur, becomes 0.
func appendMillis(dst []byte, d time.Duration) []byte {
	micros := max(d.Microseconds(), 0)
	dst = appendInt(dst, micros/1000)
	rest := uint32(micros % 1000)
	return append(dst, '.', byte('0'+rest/100), byte('0'+rest/10%10), byte('0'+rest%10))
}
