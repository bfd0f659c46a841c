package otlp

import (
	"net"
	"strconv"
	"strings"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"

	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/redact"
)

// recordOf is the record of a hop. Its attributes have the names of OpenTelemetry's semantic
// conventions, as those of spans do.
func recordOf(h *hop.Hop, body string) *logspb.LogRecord {
	r := &logspb.LogRecord{
		TimeUnixNano: uint64(h.Start.UnixNano()), ObservedTimeUnixNano: uint64(h.Start.Add(h.End).UnixNano()),
		SeverityNumber: logspb.SeverityNumber_SEVERITY_NUMBER_INFO, SeverityText: "INFO",
		Body: text(body), EventName: "hopscope.access",
	}
	switch {
	case h.Failed():
		r.SeverityNumber, r.SeverityText = logspb.SeverityNumber_SEVERITY_NUMBER_ERROR, "ERROR"
	case h.Status >= 400 || h.Slow():
		r.SeverityNumber, r.SeverityText = logspb.SeverityNumber_SEVERITY_NUMBER_WARN, "WARN"
	}
	if span := h.ExportedSpan(); !h.Trace.IsZero() && !span.IsZero() {
		r.TraceId, r.SpanId = append([]byte(nil), h.Trace[:]...), append([]byte(nil), span[:]...)
		if h.Sampled {
			r.Flags = 1 // W3C's sampled flag
		}
	}
	r.Attributes = attributes(h)
	return r
}

// attributes are what is known of a hop. Those that do not apply are left out.
func attributes(h *hop.Hop) []*commonpb.KeyValue {
	var all []*commonpb.KeyValue
	add := func(name, value string) {
		if value != "" {
			all = append(all, &commonpb.KeyValue{Key: name, Value: text(value)})
		}
	}
	number := func(name string, value int64) {
		all = append(all, &commonpb.KeyValue{Key: name, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: value}}})
	}
	add("http.request.method", h.Method)
	add("url.scheme", h.Scheme)
	add("url.path", valid(h.Bytes(h.Path)))
	if h.Query.Len() > 0 {
		add("url.query", valid(redact.AppendQuery(nil, h.Bytes(h.Query))))
	}
	add("http.route", h.RouteName())
	add("server.address", valid(h.Bytes(h.Host)))
	add("network.protocol.version", h.Version.Number())
	add("client.address", h.Client)
	add("user_agent.original", valid(h.Bytes(h.UserAgent)))
	if h.Status > 0 {
		number("http.response.status_code", int64(h.Status))
	}
	if h.GRPC && h.GRPCStatus > 0 {
		number("rpc.grpc.status_code", int64(h.GRPCStatus.Code()))
	}
	add("error.type", h.ErrorType())
	number("http.request.body.size", h.BytesIn)
	number("http.response.body.size", h.BytesOut)
	all = append(all, &commonpb.KeyValue{Key: "hopscope.duration_ms", Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_DoubleValue{DoubleValue: float64(h.End.Microseconds()) / 1000}}})
	add("hopscope.direction", h.Labels.Direction.String())
	add("hopscope.cluster", h.Labels.Cluster)
	add("hopscope.variant", h.Labels.Variant)
	if a := h.LastAttempt(); a != nil {
		if host, port, err := net.SplitHostPort(a.Endpoint); err == nil {
			add("network.peer.address", host)
			if n, err := strconv.ParseInt(port, 10, 32); err == nil {
				number("network.peer.port", n)
			}
		}
		number("hopscope.attempts", int64(len(h.Attempts)))
	}
	add("hopscope.rewritten_path", valid(h.Bytes(h.RewrittenPath)))
	add("hopscope.request_id", valid(h.Bytes(h.RequestID)))
	add("hopscope.flags", h.Flags.String())
	f := &h.Failure
	add("hopscope.failed_hop", f.Hop)
	add("hopscope.failed_part", f.Part.String())
	add("hopscope.failed_kind", f.Kind)
	add("hopscope.failed_caller", f.Caller)
	add("hopscope.failure_reason", f.Reason)
	return all
}

// summary is what a person reads first: "GET /pay 503 in 7.8 ms: web -> bank: refused (UF)".
func summary(h *hop.Hop) string {
	var b strings.Builder
	if h.Method != "" {
		b.WriteString(h.Method + " ")
	}
	if h.Path.Len() > 0 {
		b.WriteString(h.String(h.Path) + " ")
	}
	b.WriteString(strconv.Itoa(h.Status) + " in " + strconv.FormatFloat(float64(h.End.Microseconds())/1000, 'f', 1, 64) + " ms")
	if h.Failure.Hop != "" {
		b.WriteString(": " + h.Failure.Edge() + ": " + h.Failure.Reason)
	}
	if h.Flags != 0 {
		b.WriteString(" (" + h.Flags.String() + ")")
	}
	return valid(b.String())
}

func text(s string) *commonpb.AnyValue {
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: valid(s)}}
}

// valid is a text that protobuf can carry.
func valid[T string | []byte](s T) string { return strings.ToValidUTF8(string(s), "\uFFFD") }
