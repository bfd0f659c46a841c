package spans

import (
	"strings"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// appendName appends "{method} {http.route}", or a gRPC call's name if there is one
// and there are not too many. It never uses the path of other requests: there are too
// many paths.
func appendName(b []byte, h *hop.Hop) []byte {
	if call := h.CallName(); call != nil && h.Template != hop.OtherRoute {
		return appendText(b, tagSpanName, call)
	}
	method := method(h)
	if method == otherMethod {
		method = "HTTP"
	}
	route := strings.ToValidUTF8(h.RouteName(), replacement)
	if route == hop.OtherRoute {
		route = "" // it says nothing
	}
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

// appendAsked appends the URL that an attempt asked for, and the server's address in it.
func (e *encoder) appendAsked(b []byte, h *hop.Hop, a *hop.Attempt) []byte {
	e.scratch = hop.AppendURL(e.scratch[:0], h, a)
	b = appendString(b, "url.full", e.scratch)
	host, port := splitHostPort(hop.WithoutUser(h.Bytes(a.Host)))
	if port == 0 && len(host) > 0 {
		port = defaultPort(a.Scheme)
	}
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

// appendFailure appends who is at fault, and why.
func appendFailure(b []byte, f *hop.Failure) []byte {
	if f.Origin == hop.OriginNone && f.Hop == "" && f.Reason == "" {
		return b
	}
	b = appendString(b, "hopscope.failed_hop", f.Hop)
	b = appendString(b, "hopscope.failed_part", f.Part.String())
	b = appendString(b, "hopscope.failed_kind", f.Kind)
	b = appendString(b, "hopscope.failed_caller", f.Caller)
	b = appendString(b, "hopscope.failed_endpoint", f.Endpoint)
	b = appendString(b, "hopscope.failure_reason", f.Reason)
	b = appendTrue(b, "hopscope.failure_inferred", f.Inferred)
	return appendString(b, "hopscope.failure_origin", f.Origin.String())
}

func (e *encoder) appendFlags(b []byte, name string, flags hop.Flags) []byte {
	if flags == 0 {
		return b
	}
	e.scratch = flags.Append(e.scratch[:0])
	return appendString(b, name, e.scratch)
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
