package diagnose

import (
	"encoding/binary"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

var (
	traceID = hop.TraceID{0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36}
	epoch   = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
)

const ms = time.Millisecond

func span(n uint64) (s hop.SpanID) {
	binary.BigEndian.PutUint64(s[:], n)
	return s
}

// in and out make a hop with the span id n, called by the span parent, that
// ran from one millisecond to another and had one attempt, with the span id
// n+1, a tenth of a millisecond shorter on both sides.
func in(service string, n, parent uint64, from, to float64, status int) *hop.Hop {
	h := &hop.Hop{
		Labels: &hop.Labels{Service: service, Cluster: service, Slow: time.Second},
		Trace:  traceID, Span: span(n), Parent: span(parent),
		Start: epoch.Add(millis(from)), End: millis(to - from), Status: status, Method: "GET",
	}
	h.SetString(&h.Host, service+":8080")
	h.SetString(&h.Path, "/"+service)
	*h.Attempt() = hop.Attempt{
		Span: span(n + 1), Endpoint: "127.0.0.1:3000", Cluster: service, Status: status,
		Start: ms / 10, Connected: ms / 10, Sent: ms / 10, End: h.End - ms/10,
	}
	if status >= 500 {
		h.Details = "via_upstream"
		h.Failure = hop.Failure{Origin: hop.OriginEndpoint, Hop: service, Reason: "the application answered"}
	}
	return h
}

func out(service, to string, n, parent uint64, from, until float64, status int) *hop.Hop {
	h := in(service, n, parent, from, until, status)
	h.Labels = &hop.Labels{Service: service, Direction: hop.Outbound, Cluster: "egress"}
	h.SetString(&h.Host, to+":80")
	h.SetString(&h.Path, "/"+to)
	h.Attempts[0].Endpoint = "10.0.0.9:80"
	if status >= 500 {
		h.Failure = hop.Failure{Origin: hop.OriginEndpoint, Hop: service}
	}
	return h
}

// refused makes the hop's last attempt one that was refused.
func refused(h *hop.Hop, endpoint string) *hop.Hop {
	const kind, details = "connection_refused", "upstream_reset_before_response_started{connection_refused}"
	h.Status, h.Flags, h.ProxyError, h.Details = 503, hop.UpstreamConnectionFailure, kind, details
	h.Failure = hop.Failure{Origin: hop.OriginProxy, Hop: h.Labels.Service, Reason: "connection refused by " + endpoint}
	a := h.LastAttempt()
	a.Endpoint, a.Status, a.Flags, a.ProxyError, a.Details, a.Reason =
		endpoint, 0, hop.UpstreamConnectionFailure, kind, details, h.Failure.Reason
	return h
}

// timedOut makes the hop's last attempt one that got no answer in time.
func timedOut(h *hop.Hop) *hop.Hop {
	h.Status, h.Flags, h.ProxyError, h.Details = 504, hop.UpstreamTimeout, "http_response_timeout", "response_timeout"
	h.Failure = hop.Failure{Origin: hop.OriginProxy, Hop: h.Labels.Service, Reason: "no response in time"}
	a := h.LastAttempt()
	a.Status, a.Flags, a.ProxyError, a.Reason = 0, hop.UpstreamTimeout, h.ProxyError, "no response in time"
	return h
}

// grpc makes the hop a gRPC call that its endpoint ended with a code.
func grpc(h *hop.Hop, code int, message string) *hop.Hop {
	h.Method, h.GRPC, h.GRPCStatus = "POST", true, hop.GRPCStatusOf(code)
	h.SetString(&h.Path, "/shop."+h.Labels.Service+"/Get")
	h.SetString(&h.GRPCMessage, message)
	h.LastAttempt().GRPCStatus = h.GRPCStatus
	return h
}

// clientGone makes the hop one whose caller did not wait.
func clientGone(h *hop.Hop) *hop.Hop {
	h.Status, h.Flags = 0, hop.DownstreamClosed
	h.LastAttempt().Status = 0
	return h
}

// skew sets the hop's clock off.
func skew(h *hop.Hop, by time.Duration) *hop.Hop {
	h.Start = h.Start.Add(by)
	return h
}

func relayed(h *hop.Hop, by, reason string) *hop.Hop {
	h.Failure = hop.Failure{Origin: hop.OriginRelayed, Hop: by, Reason: reason}
	return h
}

func of(h *hop.Hop, trace byte) *hop.Hop {
	h.Trace = hop.TraceID{15: trace}
	return h
}

func millis(n float64) time.Duration { return time.Duration(n * float64(ms)) }

// tree is the shape of the trees in a form for tests: a hop's service, > if it
// is outbound, ~ if its place was inferred, and what it called in brackets.
func tree(t *Trace) string {
	s := ""
	for i, root := range t.Roots {
		if i > 0 {
			s += " "
		}
		s += shape(root)
	}
	return s
}

func shape(n *Node) string {
	s := n.service()
	if n.Hop.Labels.Direction == hop.Outbound {
		s += ">"
	}
	if n.Inferred {
		s = "~" + s
	}
	below := ""
	for _, c := range n.Children {
		hops := []*Node{c}
		if c.Attempt != nil {
			hops = c.Children
		}
		for _, h := range hops {
			if below != "" {
				below += " "
			}
			below += shape(h)
		}
	}
	if below != "" {
		s += "(" + below + ")"
	}
	return s
}
