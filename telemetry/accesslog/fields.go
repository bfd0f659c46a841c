package accesslog

import (
	"slices"
	"strconv"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// field is a key of the default line, and how its value is written.
type field struct {
	name   string
	append func(f *formatter, dst []byte, h *hop.Hop) []byte
}

// lineFields are the keys of the default line in its order, the rare ones last.
// [AppendLine] writes the same values, faster.
var lineFields = [...]field{
	{"time", func(f *formatter, dst []byte, h *hop.Hop) []byte {
		f.line = f.appendTime(f.line[:0], h.Start)
		return append(dst, f.line[len(`{"time":`):]...)
	}},
	{"service", func(_ *formatter, dst []byte, h *hop.Hop) []byte { return appendText(dst, h.Labels.Service) }},
	{"direction", func(_ *formatter, dst []byte, h *hop.Hop) []byte { return appendText(dst, h.Labels.Direction.String()) }},
	{"client", func(_ *formatter, dst []byte, h *hop.Hop) []byte { return appendText(dst, h.Client) }},
	{"host", func(_ *formatter, dst []byte, h *hop.Hop) []byte { return appendText(dst, h.Bytes(h.Host)) }},
	{"method", func(_ *formatter, dst []byte, h *hop.Hop) []byte { return appendMethod(dst, h) }},
	{"path", (*formatter).appendPath},
	{"route", func(_ *formatter, dst []byte, h *hop.Hop) []byte { return appendText(dst, h.RouteName()) }},
	{"cluster", func(_ *formatter, dst []byte, h *hop.Hop) []byte { return appendText(dst, h.Labels.Cluster) }},
	{"upstream", func(_ *formatter, dst []byte, h *hop.Hop) []byte { return appendUpstream(dst, h) }},
	{"protocol", func(_ *formatter, dst []byte, h *hop.Hop) []byte { return appendText(dst, h.Version.String()) }},
	{"status", func(_ *formatter, dst []byte, h *hop.Hop) []byte { return appendInt(dst, int64(h.Status)) }},
	{"grpc_status", func(_ *formatter, dst []byte, h *hop.Hop) []byte {
		if !h.GRPC || h.GRPCStatus == 0 {
			return append(dst, "null"...)
		}
		return appendInt(dst, int64(h.GRPCStatus.Code()))
	}},
	{"grpc_status_name", func(_ *formatter, dst []byte, h *hop.Hop) []byte {
		if !h.GRPC {
			return append(dst, "null"...)
		}
		return appendText(dst, h.GRPCStatus.String())
	}},
	{"grpc_message", func(_ *formatter, dst []byte, h *hop.Hop) []byte {
		if !h.GRPC {
			return append(dst, "null"...)
		}
		return appendText(dst, h.Bytes(h.GRPCMessage))
	}},
	{"flags", func(_ *formatter, dst []byte, h *hop.Hop) []byte { return appendFlags(dst, h.Flags) }},
	{"failed_hop", func(_ *formatter, dst []byte, h *hop.Hop) []byte { return appendText(dst, h.Failure.Hop) }},
	{"failure_reason", func(_ *formatter, dst []byte, h *hop.Hop) []byte { return appendText(dst, h.Failure.Reason) }},
	{"failure", func(f *formatter, dst []byte, h *hop.Hop) []byte {
		f.line = appendFailure(f.line[:0], &h.Failure)
		return append(dst, f.line[len(`,"failure":`):]...)
	}},
	{"bytes_in", func(_ *formatter, dst []byte, h *hop.Hop) []byte { return appendInt(dst, h.BytesIn) }},
	{"bytes_out", func(_ *formatter, dst []byte, h *hop.Hop) []byte { return appendInt(dst, h.BytesOut) }},
	{"duration_ms", func(_ *formatter, dst []byte, h *hop.Hop) []byte { return appendMillis(dst, h.End) }},
	{"upstream_ms", func(_ *formatter, dst []byte, h *hop.Hop) []byte { return appendUpstreamTime(dst, h) }},
	{"timeout_ms", func(_ *formatter, dst []byte, h *hop.Hop) []byte { return appendTimeout(dst, h) }},
	{"attempts", func(f *formatter, dst []byte, h *hop.Hop) []byte {
		dst = append(dst, '[')
		for i := range h.Attempts {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = f.appendAttempt(dst, h, &h.Attempts[i])
		}
		return append(dst, ']')
	}},
	{"trace_id", func(_ *formatter, dst []byte, h *hop.Hop) []byte {
		if h.Trace.IsZero() {
			return append(dst, "null"...)
		}
		return append(h.Trace.AppendHex(append(dst, '"')), '"')
	}},
	{"span_id", func(_ *formatter, dst []byte, h *hop.Hop) []byte { return appendSpan(dst, h.ExportedSpan()) }},
	{"parent_id", func(_ *formatter, dst []byte, h *hop.Hop) []byte { return appendSpan(dst, h.Parent) }},
	{"sampled", func(_ *formatter, dst []byte, h *hop.Hop) []byte { return strconv.AppendBool(dst, h.Sampled) }},
	{"request_id", func(_ *formatter, dst []byte, h *hop.Hop) []byte { return appendText(dst, h.Bytes(h.RequestID)) }},
	{"user_agent", func(_ *formatter, dst []byte, h *hop.Hop) []byte { return appendText(dst, h.Bytes(h.UserAgent)) }},
	{"tls", func(f *formatter, dst []byte, h *hop.Hop) []byte {
		f.line = appendTLS(f.line[:0], h.TLS)
		return append(dst, f.line[len(`,"tls":`):]...)
	}},
	{"rewritten_path", func(_ *formatter, dst []byte, h *hop.Hop) []byte { return appendText(dst, h.Bytes(h.RewrittenPath)) }},
	{"write_blocked_ms", func(_ *formatter, dst []byte, h *hop.Hop) []byte {
		if h.WriteBlocked == 0 {
			return append(dst, "null"...)
		}
		return appendMillis(dst, h.WriteBlocked)
	}},
	{"queued_ms", func(_ *formatter, dst []byte, h *hop.Hop) []byte {
		if h.Queued == 0 {
			return append(dst, "null"...)
		}
		return appendMillis(dst, h.Queued)
	}},
	{"recovered", func(_ *formatter, dst []byte, h *hop.Hop) []byte {
		if h.Recovered == nil {
			return append(dst, "null"...)
		}
		return appendRecovered(dst, h.Recovered)
	}},
	{"variant", func(_ *formatter, dst []byte, h *hop.Hop) []byte { return appendText(dst, h.Labels.Variant) }},
	{"mirrored", func(_ *formatter, dst []byte, h *hop.Hop) []byte { return appendText(dst, h.Bytes(h.Mirrored)) }},
	{"injected", func(_ *formatter, dst []byte, h *hop.Hop) []byte { return appendText(dst, h.Bytes(h.Injected)) }},
}

// FieldNames returns the keys of the default line, in its order.
func FieldNames() []string {
	names := make([]string, len(lineFields))
	for i := range lineFields {
		names[i] = lineFields[i].name
	}
	return names
}

// fieldNamed returns a key of the default line; nil if there is none.
func fieldNamed(name string) *field {
	i := slices.IndexFunc(lineFields[:], func(f field) bool { return f.name == name })
	if i < 0 {
		return nil
	}
	return &lineFields[i]
}
