package spans

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/hopscope/hopscope/telemetry/hop"
)

var start = time.Unix(1_700_000_000, 42)

// okHop is a request that was answered at the first try; change makes a case
// of it.
func okHop(change func(h *hop.Hop)) *hop.Hop {
	h := &hop.Hop{
		Labels: &hop.Labels{
			Service: "web", Direction: hop.Inbound, Listener: "ingress",
			Route: "/api/", Cluster: "api",
		},
		Trace:   hop.TraceID{0: 0xaa, 15: 1},
		Span:    hop.SpanID{7: 2},
		Parent:  hop.SpanID{7: 1},
		Sampled: true,
		Keep:    hop.KeepParent,
		Start:   start,
		End:     30 * time.Millisecond,
		Method:  "GET", Version: hop.HTTP11, Scheme: "http", Status: 200,
		BytesIn: 0, BytesOut: 98,
		Client: "203.0.113.9:5123", Peer: "10.0.0.7:40000",
	}
	h.SetString(&h.Host, "shop.example:8080")
	h.SetString(&h.Path, "/api/cart/77")
	h.SetString(&h.Query, "page=2")
	h.SetString(&h.UserAgent, "curl/8")
	h.SetString(&h.RequestID, "rid-1")
	a := h.Attempt()
	*a = hop.Attempt{
		Span: hop.SpanID{7: 3}, Endpoint: "127.0.0.1:4000", Cluster: "api",
		Version: hop.HTTP11, Start: time.Millisecond, Connected: 2 * time.Millisecond,
		Sent: 3 * time.Millisecond, FirstByte: 20 * time.Millisecond, End: 29 * time.Millisecond,
		Status: 200, BytesReceived: 98,
	}
	if change != nil {
		change(h)
	}
	if a := h.LastAttempt(); a != nil && a.Scheme == "" {
		h.Ask("http", h.Bytes(h.Host), h.Bytes(h.Path), h.Bytes(h.Query))
	}
	return h
}

// convert returns the spans of h as whoever receives them sees them.
func convert(t testing.TB, h *hop.Hop) []*tracepb.Span {
	t.Helper()
	var b Batch
	b.hop(h)
	spans, err := b.Spans()
	if err != nil {
		t.Fatal(err)
	}
	if len(spans) != b.Len() || len(spans) != spansOf(h) {
		t.Fatalf("%d spans in a batch that says it has %d, and %d were to be made", len(spans), b.Len(), spansOf(h))
	}
	return spans
}

func attributes(t testing.TB, s *tracepb.Span) map[string]any {
	t.Helper()
	m := make(map[string]any)
	for _, a := range s.Attributes {
		if _, twice := m[a.Key]; twice {
			t.Errorf("attribute %s twice", a.Key)
		}
		switch v := a.Value.Value.(type) {
		case *commonpb.AnyValue_StringValue:
			m[a.Key] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			m[a.Key] = v.IntValue
		case *commonpb.AnyValue_BoolValue:
			m[a.Key] = v.BoolValue
		default:
			t.Errorf("attribute %s of type %T", a.Key, v)
		}
	}
	return m
}

// A hop and its only attempt are one span, with the id that went out.
func TestOneHopWhole(t *testing.T) {
	nano := uint64(start.UnixNano())
	ms := uint64(time.Millisecond)
	both := map[string]any{
		"http.request.method": "GET", "http.route": "/api/", "http.response.status_code": int64(200),
		"http.request.body.size": int64(0), "http.response.body.size": int64(98),
		"server.address": "shop.example", "server.port": int64(8080),
		"client.address": "203.0.113.9", "network.protocol.version": "1.1", "user_agent.original": "curl/8",
		"hopscope.cluster": "api", "hopscope.sampled_by": "parent", "hopscope.request_id": "rid-1",
	}
	for _, tt := range []struct {
		direction  hop.Direction
		kind       tracepb.Span_SpanKind
		attributes map[string]any
	}{
		{hop.Inbound, tracepb.Span_SPAN_KIND_SERVER, map[string]any{
			"url.scheme": "http", "url.path": "/api/cart/77", "url.query": "page=2",
			"network.peer.address": "10.0.0.7", "network.peer.port": int64(40000),
			"hopscope.direction": "inbound", "hopscope.upstream.endpoint": "127.0.0.1:4000",
		}},
		{hop.Outbound, tracepb.Span_SPAN_KIND_CLIENT, map[string]any{
			"url.full":             "http://shop.example:8080/api/cart/77?page=2",
			"network.peer.address": "127.0.0.1", "network.peer.port": int64(4000),
			"hopscope.direction": "outbound",
		}},
	} {
		h := okHop(func(h *hop.Hop) {
			h.Labels.Direction = tt.direction
			h.SetString(&h.TraceState, "rojo=1,congo=2")
		})
		spans := convert(t, h)
		if len(spans) != 1 {
			t.Fatalf("%d spans for an %s hop of one attempt, want 1", len(spans), tt.direction)
		}
		got, want := spans[0], &tracepb.Span{
			TraceId: h.Trace[:], SpanId: h.Attempts[0].Span[:], ParentSpanId: h.Parent[:], TraceState: "rojo=1,congo=2",
			Name: "GET /api/", Kind: tt.kind, Flags: 0x301,
			StartTimeUnixNano: nano, EndTimeUnixNano: nano + 30*ms,
			Events: []*tracepb.Span_Event{
				{Name: "connected", TimeUnixNano: nano + 2*ms},
				{Name: "first_byte", TimeUnixNano: nano + 20*ms},
			},
		}
		maps.Copy(tt.attributes, both)
		if diff := cmp.Diff(tt.attributes, attributes(t, got)); diff != "" {
			t.Errorf("attributes of an %s hop (-want +got):\n%s", tt.direction, diff)
		}
		got.Attributes = nil
		if !proto.Equal(want, got) {
			t.Errorf("%s:\n got %v\nwant %v", tt.direction, got, want)
		}
	}
}

// With several attempts the hop's span has an id of its own, and each attempt is a CLIENT
// child of it.
func TestSeveralAttemptsWhole(t *testing.T) {
	nano := uint64(start.UnixNano())
	ms := uint64(time.Millisecond)
	for direction, kind := range map[hop.Direction]tracepb.Span_SpanKind{
		hop.Inbound: tracepb.Span_SPAN_KIND_SERVER, hop.Outbound: tracepb.Span_SPAN_KIND_CLIENT,
	} {
		h := retried(okHop(func(h *hop.Hop) {
			h.Labels.Direction = direction
			h.SetString(&h.TraceState, "rojo=1,congo=2")
		}))
		spans := convert(t, h)
		if len(spans) != 3 {
			t.Fatalf("%d spans for an %s hop of two attempts, want 3", len(spans), direction)
		}
		want := []*tracepb.Span{{
			TraceId: h.Trace[:], SpanId: h.Span[:], ParentSpanId: h.Parent[:], TraceState: "rojo=1,congo=2",
			Name: "GET /api/", Kind: kind, Flags: 0x301,
			StartTimeUnixNano: nano, EndTimeUnixNano: nano + 30*ms,
		}, {
			TraceId: h.Trace[:], SpanId: h.Attempts[0].Span[:], ParentSpanId: h.Span[:], TraceState: "rojo=1,congo=2",
			Name: "GET /api/", Kind: tracepb.Span_SPAN_KIND_CLIENT, Flags: 0x101,
			StartTimeUnixNano: nano, EndTimeUnixNano: nano + ms,
			Status: &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR},
		}, {
			TraceId: h.Trace[:], SpanId: h.Attempts[1].Span[:], ParentSpanId: h.Span[:], TraceState: "rojo=1,congo=2",
			Name: "GET /api/", Kind: tracepb.Span_SPAN_KIND_CLIENT, Flags: 0x101,
			StartTimeUnixNano: nano + ms, EndTimeUnixNano: nano + 29*ms,
			Events: []*tracepb.Span_Event{
				{Name: "connected", TimeUnixNano: nano + 2*ms},
				{Name: "first_byte", TimeUnixNano: nano + 20*ms},
			},
		}}
		whole := map[string]any{
			"http.request.method": "GET", "http.route": "/api/", "http.response.status_code": int64(200),
			"http.request.body.size": int64(0), "http.response.body.size": int64(98),
			"server.address": "shop.example", "server.port": int64(8080),
			"client.address": "203.0.113.9", "network.protocol.version": "1.1", "user_agent.original": "curl/8",
			"hopscope.direction": direction.String(), "hopscope.cluster": "api", "hopscope.sampled_by": "parent",
			"hopscope.request_id": "rid-1",
		}
		if direction == hop.Inbound {
			maps.Copy(whole, map[string]any{
				"url.scheme": "http", "url.path": "/api/cart/77", "url.query": "page=2",
				"network.peer.address": "10.0.0.7", "network.peer.port": int64(40000),
			})
		} else { // several endpoints, none of which is the hop's
			whole["url.full"] = "http://shop.example:8080/api/cart/77?page=2"
		}
		wantAttributes := []map[string]any{whole, {
			"http.request.method": "GET", "http.response.status_code": int64(503), "error.type": "503",
			"http.request.body.size": int64(0), "http.response.body.size": int64(0),
			"hopscope.cluster": "spare",
		}, {
			"http.request.method": "GET", "http.response.status_code": int64(200),
			"http.request.body.size": int64(0), "http.response.body.size": int64(98),
			"url.full":       "http://shop.example:8080/api/cart/77?page=2",
			"server.address": "shop.example", "server.port": int64(8080),
			"network.peer.address": "127.0.0.1", "network.peer.port": int64(4000),
			"network.protocol.version": "1.1", "hopscope.cluster": "api", "http.request.resend_count": int64(1),
		}}
		for i, got := range spans {
			if diff := cmp.Diff(wantAttributes[i], attributes(t, got)); diff != "" {
				t.Errorf("attributes of span %d of an %s hop (-want +got):\n%s", i, direction, diff)
			}
			got.Attributes = nil
			if !proto.Equal(want[i], got) {
				t.Errorf("span %d of an %s hop:\n got %v\nwant %v", i, direction, got, want[i])
			}
		}
	}
}

// retried returns h with an attempt that failed before its own.
func retried(h *hop.Hop) *hop.Hop {
	first := hop.Attempt{Span: hop.SpanID{7: 9}, Cluster: "spare", Status: 503, End: time.Millisecond}
	h.Attempts = append([]hop.Attempt{first}, h.Attempts...)
	return h
}

// unset is an attribute that must not be there.
type unset struct{}

func TestConventions(t *testing.T) {
	const failed = tracepb.Status_STATUS_CODE_ERROR
	tests := []struct {
		name           string
		change         func(h *hop.Hop)
		server, client want // the hop's span, and that of its attempt, if there were others
		outbound       want // the span of the hop as an outbound one
	}{{
		name: "no route: the method alone is the name",
		change: func(h *hop.Hop) {
			h.Labels = &hop.Labels{Service: "web"}
			h.Status, h.Flags, h.ProxyError = 404, hop.NoRoute, "destination_not_found"
			h.Failure = hop.Failure{Origin: hop.OriginDownstream, Hop: "web", Reason: "no route matched"}
			h.Attempts = nil
		},
		server: want{name: "GET", attrs: map[string]any{
			"http.route": unset{}, "error.type": unset{}, "hopscope.flags": "NR",
			"hopscope.failed_hop": "web", "hopscope.failure_origin": "downstream",
			"hopscope.failure_reason": "no route matched", "hopscope.cluster": unset{},
		}},
		outbound: want{name: "GET", status: failed, message: "no route matched", attrs: map[string]any{
			"url.full": "http://shop.example:8080/api/cart/77?page=2", "server.address": "shop.example", "error.type": "destination_not_found",
			"http.response.status_code": int64(404), "network.peer.address": unset{},
		}},
	}, {
		name:     "a route without a name or a path: the method alone is the name",
		change:   func(h *hop.Hop) { h.Labels.Route = "default" },
		server:   want{name: "GET", attrs: map[string]any{"http.route": unset{}}},
		client:   want{name: "GET", attrs: map[string]any{"http.route": unset{}}},
		outbound: want{name: "GET", attrs: map[string]any{"http.route": unset{}}},
	}, {
		name:     "a route that was learned",
		change:   func(h *hop.Hop) { h.Template = "/api/cart/{id}" },
		server:   want{name: "GET /api/cart/{id}", attrs: map[string]any{"http.route": "/api/cart/{id}"}},
		client:   want{name: "GET /api/cart/{id}"},
		outbound: want{name: "GET /api/cart/{id}", attrs: map[string]any{"http.route": "/api/cart/{id}"}},
	}, {
		name:     "more routes than can be learned: the method alone is the name",
		change:   func(h *hop.Hop) { h.Template = "other" },
		server:   want{name: "GET", attrs: map[string]any{"http.route": "other"}},
		client:   want{name: "GET"},
		outbound: want{name: "GET", attrs: map[string]any{"http.route": "other"}},
	}, {
		name:   "a 4xx of the endpoint: unset for the server, an error for the client",
		change: func(h *hop.Hop) { h.Status, h.Attempts[0].Status = 409, 409 },
		server: want{name: "GET /api/", attrs: map[string]any{"error.type": unset{}, "http.response.status_code": int64(409)}},
		client: want{name: "GET /api/", status: failed, attrs: map[string]any{"error.type": "409"}},
		outbound: want{name: "GET /api/", status: failed, attrs: map[string]any{
			"error.type": "409", "http.response.status_code": int64(409), "hopscope.upstream.status_code": unset{}}},
	}, {
		name: "a 5xx of the endpoint",
		change: func(h *hop.Hop) {
			h.Status, h.Attempts[0].Status = 500, 500
			h.Details = "via_upstream"
			h.Failure = hop.Failure{Origin: hop.OriginEndpoint, Hop: "web", Reason: "the endpoint answered 500"}
		},
		server: want{name: "GET /api/", status: failed, message: "the endpoint answered 500", attrs: map[string]any{
			"error.type": "500", "hopscope.failure_origin": "endpoint", "hopscope.details": "via_upstream",
			"hopscope.flags": unset{},
		}},
		client: want{name: "GET /api/", status: failed, attrs: map[string]any{"error.type": "500"}},
		outbound: want{name: "GET /api/", status: failed, message: "the endpoint answered 500", attrs: map[string]any{
			"error.type": "500", "hopscope.failure_origin": "endpoint", "hopscope.details": "via_upstream"}},
	}, {
		name: "a failure says all that is known of the culprit",
		change: func(h *hop.Hop) {
			h.Status, h.Attempts[0].Status = 503, 200
			h.Failure = hop.Failure{Origin: hop.OriginProxy, Hop: "stock", Part: hop.PartNetwork, Kind: "connect_timeout",
				Caller: "web", Endpoint: "10.0.0.9:80", Reason: "no answer", Inferred: true}
			h.Attempts[0].Reason, h.Attempts[0].Evidence = "no SYN-ACK", "3 retransmits"
			h.Attempts[0].Details, h.Attempts[0].BytesReceived = "connect{timeout}", 0
		},
		server: want{name: "GET /api/", status: failed, message: "no answer", attrs: map[string]any{
			"hopscope.failed_hop": "stock", "hopscope.failed_part": "network", "hopscope.failed_kind": "connect_timeout",
			"hopscope.failed_caller": "web", "hopscope.failed_endpoint": "10.0.0.9:80", "hopscope.failure_reason": "no answer",
			"hopscope.failure_inferred": true,
		}},
		client: want{name: "GET /api/", attrs: map[string]any{
			"hopscope.evidence": "3 retransmits", "hopscope.failure_reason": "no SYN-ACK", "hopscope.details": "connect{timeout}"}},
		outbound: want{name: "GET /api/", status: failed, message: "no answer", attrs: map[string]any{
			"hopscope.evidence": "3 retransmits", "hopscope.upstream.failure_reason": "no SYN-ACK",
			"hopscope.upstream.details": "connect{timeout}", "hopscope.upstream.status_code": int64(200),
			"http.response.status_code": int64(503), "hopscope.failed_kind": "connect_timeout",
			"http.response.body.size": int64(0), "hopscope.downstream.response_size": int64(98),
		}},
	}, {
		name: "connection refused, kept though the trace was not sampled",
		change: func(h *hop.Hop) {
			h.Sampled, h.Keep, h.Queued = false, hop.KeepFailed, 30*time.Millisecond
			h.Parent = hop.SpanID{}
			h.Status, h.Flags, h.ProxyError = 503, hop.UpstreamConnectionFailure|hop.RetriesExhausted, "connection_refused"
			h.Failure = hop.Failure{Origin: hop.OriginProxy, Hop: "web", Reason: "127.0.0.1:4000: connection refused"}
			a := &h.Attempts[0]
			a.Connected, a.FirstByte, a.Status, a.Version = 0, 0, 0, hop.VersionUnknown
			a.Flags, a.ProxyError, a.Reason = hop.UpstreamConnectionFailure, "connection_refused", "connection refused"
			a.Details = "upstream_reset_before_response_started{connection_refused}"
		},
		server: want{name: "GET /api/", status: failed, message: "127.0.0.1:4000: connection refused", flags: 0x100, attrs: map[string]any{
			"error.type": "connection_refused", "hopscope.flags": "UF,URX", "hopscope.sampled_by": "failed",
			"hopscope.failure_origin": "proxy", "hopscope.queued_ms": int64(30),
		}},
		client: want{name: "GET /api/", status: failed, message: "connection refused", flags: 0x100, attrs: map[string]any{
			"error.type": "connection_refused", "hopscope.flags": "UF", "http.response.status_code": unset{},
			"network.protocol.version": unset{}, "hopscope.failure_reason": "connection refused",
			"hopscope.details": "upstream_reset_before_response_started{connection_refused}",
		}},
		outbound: want{name: "GET /api/", status: failed, message: "127.0.0.1:4000: connection refused", flags: 0x100, attrs: map[string]any{
			"error.type": "connection_refused", "hopscope.flags": "UF,URX", "hopscope.upstream.flags": "UF", "hopscope.queued_ms": int64(30),
			"http.response.status_code": int64(503), "network.protocol.version": unset{}, "network.peer.port": int64(4000),
			"hopscope.upstream.details": "upstream_reset_before_response_started{connection_refused}",
		}},
	}, {
		name: "the response broke off after its head",
		change: func(h *hop.Hop) {
			h.Flags, h.Attempts[0].Flags = hop.UpstreamConnectionClosed, hop.UpstreamConnectionClosed
		},
		server: want{name: "GET /api/", status: failed, attrs: map[string]any{"error.type": "UC"}},
		client: want{name: "GET /api/", status: failed, attrs: map[string]any{"error.type": "UC"}},
	}, {
		name: "the client went away: nobody's error",
		change: func(h *hop.Hop) {
			h.Status, h.Flags = 0, hop.DownstreamClosed
			h.Attempts[0].Status = 0
		},
		server: want{name: "GET /api/", attrs: map[string]any{
			"error.type": unset{}, "hopscope.flags": "DC", "http.response.status_code": unset{},
		}},
		client:   want{name: "GET /api/", attrs: map[string]any{"error.type": unset{}}},
		outbound: want{name: "GET /api/", attrs: map[string]any{"error.type": unset{}, "hopscope.flags": "DC"}},
	}, {
		name: "a method nobody knows",
		change: func(h *hop.Hop) {
			h.Method = "_OTHER"
			h.SetString(&h.MethodText, "BREW")
		},
		server: want{name: "HTTP /api/", attrs: map[string]any{
			"http.request.method": "_OTHER", "http.request.method_original": "BREW"}},
		client: want{name: "HTTP /api/", attrs: map[string]any{
			"http.request.method": "_OTHER", "http.request.method_original": "BREW"}},
	}, {
		name: "bytes that are no HTTP",
		change: func(h *hop.Hop) {
			*h = hop.Hop{Labels: &hop.Labels{Service: "web"}, Kind: hop.KindConnection,
				Trace: h.Trace, Span: h.Span, Keep: hop.KeepFailed, Start: h.Start, Peer: "[::1]:99",
				Status: 400, Flags: hop.DownstreamProtocolError}
		},
		server: want{name: "HTTP", flags: 0x100, attrs: map[string]any{
			"http.request.method": "_OTHER", "http.request.body.size": unset{}, "hopscope.flags": "DPE",
			"network.peer.address": "::1", "network.peer.port": int64(99), "url.path": unset{},
		}},
	}, {
		name: "a tunnel: bytes, and no URL where there is no path",
		change: func(h *hop.Hop) {
			h.Kind, h.Method, h.BytesIn, h.BytesOut = hop.KindTunnel, "CONNECT", 5, 7
			h.Path, h.Query = hop.Text{}, hop.Text{}
			h.Attempts[0].Status = 0
			h.Attempts[0].BytesSent, h.Attempts[0].BytesReceived = 5, 7
		},
		server: want{name: "CONNECT /api/", attrs: map[string]any{
			"hopscope.tunnel.bytes_in": int64(5), "hopscope.tunnel.bytes_out": int64(7),
			"http.request.body.size": unset{}, "url.path": unset{}, "server.address": "shop.example",
		}},
		client: want{name: "CONNECT /api/", attrs: map[string]any{
			"hopscope.tunnel.bytes_in": int64(5), "url.full": unset{}, "error.type": unset{},
		}},
	}, {
		name: "an outbound hop",
		change: func(h *hop.Hop) {
			h.Labels = &hop.Labels{Service: "web", Route: "egress"}
			h.Attempts[0].Reused = true
		},
		server:   want{name: "GET egress", attrs: map[string]any{"hopscope.direction": "inbound"}},
		client:   want{name: "GET egress", attrs: map[string]any{"hopscope.connection_reused": true}},
		outbound: want{name: "GET egress", attrs: map[string]any{"hopscope.direction": "outbound", "hopscope.connection_reused": true}},
	}, {
		name:   "a user and password in the host",
		change: func(h *hop.Hop) { h.SetString(&h.Host, "me:pw@shop.example") },
		server: want{name: "GET /api/", attrs: map[string]any{"server.address": "shop.example", "server.port": unset{}}},
		client: want{name: "GET /api/", attrs: map[string]any{"url.full": "http://shop.example/api/cart/77?page=2"}},
	}, {
		name: "an attempt that asks for something else than the client",
		change: func(h *hop.Hop) {
			h.Ask("https", []byte("me:pw@up.test"), []byte("/77"), []byte("page=2&token=s3cret"))
		},
		server: want{name: "GET /api/", attrs: map[string]any{
			"url.scheme": "http", "url.path": "/api/cart/77", "server.address": "shop.example", "server.port": int64(8080)}},
		client: want{name: "GET /api/", attrs: map[string]any{
			"url.full": "https://up.test/77?page=2&token=REDACTED", "server.address": "up.test", "server.port": int64(443)}},
		outbound: want{name: "GET /api/", attrs: map[string]any{
			"url.full": "https://up.test/77?page=2&token=REDACTED", "server.address": "up.test", "server.port": int64(443),
			"hopscope.downstream.url": "http://shop.example:8080/api/cart/77?page=2"}},
	}, {
		name: "what is no UTF-8 is replaced",
		change: func(h *hop.Hop) {
			h.SetString(&h.Path, "/caf\xe9")
			h.SetString(&h.UserAgent, "\xff")
			h.SetString(&h.TraceState, "a=\x80")
		},
		server: want{name: "GET /api/", attrs: map[string]any{"url.path": "/caf\uFFFD", "user_agent.original": "\uFFFD"}},
		client: want{name: "GET /api/", attrs: map[string]any{"url.full": "http://shop.example:8080/caf\uFFFD?page=2"}},
	}, {
		name:   "a gRPC call",
		change: func(h *hop.Hop) { grpc(h, 0, 0) },
		server: want{name: "shop.Cart/Add", attrs: map[string]any{
			"rpc.system": "grpc", "rpc.service": "shop.Cart", "rpc.method": "Add", "rpc.grpc.status_code": int64(0),
			"network.protocol.version": "2", "error.type": unset{}, "http.route": "/api/",
		}},
		client: want{name: "shop.Cart/Add", attrs: map[string]any{
			"rpc.system": "grpc", "rpc.service": "shop.Cart", "rpc.method": "Add", "rpc.grpc.status_code": int64(0),
			"network.protocol.version": "2", "error.type": unset{},
		}},
	}, {
		name: "a gRPC status that the server is to blame for",
		change: func(h *hop.Hop) {
			grpc(h, 13, 13)
			h.SetString(&h.GRPCMessage, "index out of range")
		},
		server: want{name: "shop.Cart/Add", status: failed, message: "INTERNAL (13): index out of range", attrs: map[string]any{
			"error.type": "INTERNAL", "rpc.grpc.status_code": int64(13), "hopscope.grpc_message": "index out of range"}},
		client: want{name: "shop.Cart/Add", status: failed, message: "INTERNAL (13)", attrs: map[string]any{"error.type": "INTERNAL"}},
	}, {
		name:     "a gRPC status that the client is to blame for",
		change:   func(h *hop.Hop) { grpc(h, 5, 5) },
		server:   want{name: "shop.Cart/Add", attrs: map[string]any{"error.type": unset{}, "rpc.grpc.status_code": int64(5)}},
		client:   want{name: "shop.Cart/Add", status: failed, message: "NOT_FOUND (5)", attrs: map[string]any{"error.type": "NOT_FOUND"}},
		outbound: want{name: "shop.Cart/Add", status: failed, message: "NOT_FOUND (5)", attrs: map[string]any{"error.type": "NOT_FOUND"}},
	}, {
		name:   "a gRPC method that the endpoint does not have",
		change: func(h *hop.Hop) { grpc(h, 12, 12) },
		server: want{name: "shop.Cart/Add", status: failed, message: "UNIMPLEMENTED (12)", attrs: map[string]any{"rpc.method": "Add"}},
		client: want{name: "shop.Cart/Add", status: failed, message: "UNIMPLEMENTED (12)"},
	}, {
		name:   "one gRPC method of too many",
		change: func(h *hop.Hop) { grpc(h, 12, 12); h.Template = "other" },
		server: want{name: "POST", status: failed, message: "UNIMPLEMENTED (12)", attrs: map[string]any{"rpc.method": "Add", "http.route": "other"}},
		client: want{name: "POST", status: failed, message: "UNIMPLEMENTED (12)"},
	}, {
		name:   "a gRPC call that something else answered",
		change: func(h *hop.Hop) { grpc(h, 2, 2) },
		server: want{name: "shop.Cart/Add", status: failed, message: "UNKNOWN (2)"},
		client: want{name: "shop.Cart/Add", status: failed, message: "UNKNOWN (2)"},
	}, {
		name: "a gRPC call that something else refused",
		change: func(h *hop.Hop) {
			grpc(h, 7, 7)
			h.Status, h.Attempts[0].Status = 403, 403
		},
		server: want{name: "shop.Cart/Add", attrs: map[string]any{"error.type": unset{}}},
		client: want{name: "shop.Cart/Add", status: failed, message: "PERMISSION_DENIED (7)"},
	}, {
		name: "a gRPC call that no endpoint answered",
		change: func(h *hop.Hop) {
			grpc(h, 14, -1)
			h.Flags, h.ProxyError = hop.UpstreamConnectionFailure, "connection_refused"
			h.Failure = hop.Failure{Origin: hop.OriginProxy, Hop: "web", Reason: "connection refused"}
			h.Attempts[0].Flags, h.Attempts[0].ProxyError, h.Attempts[0].Reason = h.Flags, h.ProxyError, "connection refused"
		},
		server: want{name: "shop.Cart/Add", status: failed, message: "connection refused", attrs: map[string]any{
			"error.type": "connection_refused", "rpc.grpc.status_code": int64(14)}},
		outbound: want{name: "shop.Cart/Add", status: failed, message: "connection refused", attrs: map[string]any{
			"error.type": "connection_refused", "rpc.grpc.status_code": int64(14)}},
		client: want{name: "shop.Cart/Add", status: failed, message: "connection refused", attrs: map[string]any{
			"error.type": "connection_refused", "rpc.grpc.status_code": unset{}}},
	}, {
		name: "a gRPC path that is no name",
		change: func(h *hop.Hop) {
			grpc(h, 0, 0)
			h.SetString(&h.Path, "/shop.Cart/Add%20")
		},
		server: want{name: "POST /api/"},
		client: want{name: "POST /api/"},
	}, {
		name: "a gRPC path that is too long for a name",
		change: func(h *hop.Hop) {
			grpc(h, 0, 0)
			h.SetString(&h.Path, "/shop.Cart/"+strings.Repeat("A", 256))
		},
		server: want{name: "POST /api/"},
		client: want{name: "POST /api/"},
	}, {
		name: "TLS on both sides",
		change: func(h *hop.Hop) {
			h.TLS = &hop.TLS{Version: "1.3", Cipher: "TLS_AES_128_GCM_SHA256", ServerName: "shop.example", Protocol: "h2",
				Peer: "spiffe://mesh/ns/default/front", PeerSubject: "CN=front",
				PeerExpires: time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC), Resumed: true, Handshake: 1500}
			h.Attempts[0].TLS = &hop.TLS{Version: "1.2", Cipher: "X", Peer: "api", PeerSubject: "CN=api", PeerExpires: h.TLS.PeerExpires}
		},
		server: want{name: "GET /api/", attrs: map[string]any{
			"tls.protocol.name": "tls", "tls.protocol.version": "1.3", "tls.cipher": "TLS_AES_128_GCM_SHA256",
			"tls.next_protocol": "h2", "tls.resumed": true, "tls.client.subject": "CN=front",
			"tls.client.not_after": "2027-01-02T03:04:05Z", "hopscope.tls.peer": "spiffe://mesh/ns/default/front",
			"hopscope.tls.server_name": "shop.example", "hopscope.tls.handshake_ns": int64(1500), "tls.server.subject": unset{},
		}},
		client: want{name: "GET /api/", attrs: map[string]any{
			"tls.protocol.version": "1.2", "tls.server.subject": "CN=api", "tls.server.not_after": "2027-01-02T03:04:05Z",
			"hopscope.tls.peer": "api", "tls.resumed": unset{}, "tls.next_protocol": unset{}, "tls.client.subject": unset{},
		}},
		outbound: want{name: "GET /api/", attrs: map[string]any{
			"tls.protocol.version": "1.2", "tls.server.subject": "CN=api", "hopscope.tls.peer": "api", "tls.client.subject": unset{},
			"hopscope.downstream.tls.version": "1.3", "hopscope.downstream.tls.peer": "spiffe://mesh/ns/default/front",
			"hopscope.downstream.tls.subject": "CN=front", "hopscope.downstream.tls.handshake_ns": int64(1500),
		}},
	}, {
		name: "a TLS handshake that failed",
		change: func(h *hop.Hop) {
			h.Kind, h.Status, h.Flags, h.Attempts = hop.KindConnection, 0, hop.DownstreamProtocolError, nil
			h.TLS = &hop.TLS{ServerName: "shop.example"}
		},
		server: want{name: "GET /api/", attrs: map[string]any{
			"tls.protocol.name": unset{}, "tls.protocol.version": unset{}, "hopscope.tls.server_name": "shop.example"}},
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			spans := convert(t, okHop(tt.change))
			if len(spans) != 1 {
				t.Fatalf("%d spans for a hop of at most one attempt, want 1", len(spans))
			}
			check(t, tt.server, spans[0])
			if tt.outbound.name != "" {
				check(t, tt.outbound, convert(t, okHop(func(h *hop.Hop) {
					tt.change(h)
					h.Labels.Direction = hop.Outbound
				}))[0])
			}
			if tt.client.name == "" {
				return
			}
			spans = convert(t, retried(okHop(tt.change)))
			if len(spans) != 3 {
				t.Fatalf("%d spans for a hop of two attempts, want 3", len(spans))
			}
			check(t, tt.server, spans[0])
			check(t, tt.client, spans[2])
		})
	}
}

// want is what a span shall be like.
type want struct {
	name    string
	status  tracepb.Status_StatusCode
	message string
	flags   uint32
	attrs   map[string]any
}

func check(t *testing.T, w want, s *tracepb.Span) {
	t.Helper()
	if s.Name != w.name || s.GetStatus().GetCode() != w.status || s.GetStatus().GetMessage() != w.message {
		t.Errorf("%v: name %q status %v, want %q %v %q", s.Kind, s.Name, s.Status, w.name, w.status, w.message)
	}
	if w.flags != 0 && s.Flags != w.flags {
		t.Errorf("%v: flags %#x, want %#x", s.Kind, s.Flags, w.flags)
	}
	got := attributes(t, s)
	for name, value := range w.attrs {
		if value == (unset{}) {
			if v, ok := got[name]; ok {
				t.Errorf("%v: %s = %v, want none", s.Kind, name, v)
			}
		} else if got[name] != value {
			t.Errorf("%v: %s = %v, want %v", s.Kind, name, got[name], value)
		}
	}
}

// grpc makes h a gRPC call over HTTP/2 that ended with one code for the client,
// and another for the attempt; -1 is none.
func grpc(h *hop.Hop, code, attempt int) {
	h.Method, h.Version, h.GRPC, h.GRPCStatus = "POST", hop.HTTP2, true, hop.GRPCStatusOf(code)
	h.SetString(&h.Path, "/shop.Cart/Add")
	h.Query = hop.Text{}
	a := h.LastAttempt()
	a.Version = hop.HTTP2
	if attempt >= 0 {
		a.GRPCStatus = hop.GRPCStatusOf(attempt)
	}
}

// Every flag there is shows on the span, and those that mean a failure
// make it an error.
func TestEveryFlag(t *testing.T) {
	for _, f := range hop.All() {
		s := convert(t, okHop(func(h *hop.Hop) { h.Flags = f }))[0]
		if got := attributes(t, s)["hopscope.flags"]; got != f.Code() {
			t.Errorf("hopscope.flags = %v, want %s", got, f.Code())
		}
		failed := s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR
		if want := f&hop.Failures != 0; failed != want {
			t.Errorf("%s: error %v, want %v", f, failed, want)
		}
	}
}

func TestRetries(t *testing.T) {
	spans := convert(t, okHop(func(h *hop.Hop) {
		second := h.Attempts[0]
		second.Span = hop.SpanID{7: 4}
		h.Attempts[0].Status, h.Attempts[0].End = 503, 0
		h.Attempts = append(h.Attempts, second)
	}))
	if len(spans) != 3 {
		t.Fatalf("%d spans, want 3", len(spans))
	}
	first, second := attributes(t, spans[1]), attributes(t, spans[2])
	if n, ok := first["http.request.resend_count"]; ok {
		t.Errorf("resend_count %v on the first attempt", n)
	}
	if n := second["http.request.resend_count"]; n != int64(1) {
		t.Errorf("resend_count %v on the second attempt, want 1", n)
	}
	if spans[1].EndTimeUnixNano != spans[0].EndTimeUnixNano {
		t.Error("an attempt without an end of its own does not end with the hop")
	}
	for _, s := range spans[1:] {
		if string(s.ParentSpanId) != string(spans[0].SpanId) {
			t.Error("an attempt is not the child of its hop")
		}
	}
}

func TestRedaction(t *testing.T) {
	h := okHop(func(h *hop.Hop) { h.SetString(&h.Query, "a=1&X-Amz-Signature=s3cret") })
	spans := append(convert(t, h), convert(t, retried(h))...)
	h.Labels.Direction = hop.Outbound
	spans = append(spans, convert(t, h)...)
	for _, s := range spans {
		for k, v := range attributes(t, s) {
			if strings.Contains(fmt.Sprint(v), "s3cret") {
				t.Errorf("%s shows a signature: %v", k, v)
			}
		}
	}
}

func TestSplitHostPort(t *testing.T) {
	for _, tt := range []struct {
		in, host string
		port     int64
	}{
		{"", "", 0}, {"a.example", "a.example", 0}, {"a.example:80", "a.example", 80},
		{"[::1]:443", "::1", 443}, {"[::1]", "::1", 0}, {"::1", "::1", 0}, {"2001:db8::2:80", "2001:db8::2:80", 0},
		{"a:", "a", 0}, {"a:99999", "a", 0}, {"a:8x", "a:8x", 0}, {":80", "", 80}, {"[", "[", 0}, {"[:1", "[:1", 0},
		{"[fe80::1%eth0]:1", "fe80::1%eth0", 1},
	} {
		host, port := splitHostPort(tt.in)
		if host != tt.host || port != tt.port {
			t.Errorf("%q: %q %d, want %q %d", tt.in, host, port, tt.host, tt.port)
		}
	}
}
