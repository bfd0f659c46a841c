package accesslog

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/redact"
)

var (
	began  = time.Date(2026, 3, 4, 5, 6, 7, 89012345, time.UTC)
	inward = &hop.Labels{Service: "web", Listener: "ingress", Route: "/api/", Cluster: "api"}
	trace  = hop.TraceID{0x4b, 0xf9, 0x2f, 15: 0x36}
)

// request is a hop with everything that a request says.
func request() *hop.Hop {
	h := &hop.Hop{
		Labels: inward, Trace: trace, Span: hop.SpanID{1, 7: 2}, Parent: hop.SpanID{3, 7: 4}, Sampled: true,
		Start: began, Method: "GET", Version: hop.HTTP11, Client: "192.0.2.7:5123",
	}
	h.SetString(&h.Host, "shop.example")
	h.SetString(&h.Path, "/api/items")
	h.SetString(&h.UserAgent, "curl/8.5")
	h.SetString(&h.RequestID, "6e1b3d9a")
	return h
}

// success is the ordinary hop.
func success() *hop.Hop {
	h := request()
	h.SetString(&h.Query, "page=2&token=secret")
	h.Status, h.BytesIn, h.BytesOut, h.End, h.Timeout = 200, 12, 98, 4500600*time.Nanosecond, 15*time.Second
	h.Attempts = []hop.Attempt{{Span: hop.SpanID{5, 7: 6}, Endpoint: "10.0.0.3:3000", Cluster: "api", Reused: true, Status: 200,
		Start: 100 * time.Microsecond, Connected: 101 * time.Microsecond, FirstByte: 4200 * time.Microsecond, End: 4400 * time.Microsecond}}
	return h
}

func relayed() *hop.Hop {
	h := request()
	h.Status, h.End = 503, 20*time.Millisecond
	h.Failure = hop.Failure{Origin: hop.OriginRelayed, Hop: "stock", Reason: `stock could not connect to "db:5432": connection refused`}
	h.Attempts = []hop.Attempt{{Endpoint: "10.0.0.3:3000", Cluster: "api", Status: 503,
		BytesSent: 5, BytesReceived: 6,
		Start: time.Millisecond, Connected: 2 * time.Millisecond, FirstByte: 19 * time.Millisecond, End: 20 * time.Millisecond}}
	h.Ask("https", []byte("me:pw@up.test"), []byte("/items"), []byte("sig=s3cret"))
	return h
}

func unconnected() *hop.Hop {
	h := request()
	h.Parent, h.Sampled = hop.SpanID{}, false
	h.Status, h.End = 503, 7*time.Millisecond
	h.Flags = hop.UpstreamConnectionFailure | hop.RetriesExhausted
	h.Failure = hop.Failure{
		Origin: hop.OriginProxy, Hop: "web", Part: hop.PartProxy, Kind: "connect_refused", Caller: "front",
		Endpoint: "10.0.0.4:3000", Inferred: true, Reason: "connecting to 10.0.0.4:3000: connection refused",
	}
	h.Attempts = []hop.Attempt{
		{Endpoint: "10.0.0.3:3000", Flags: hop.UpstreamConnectionFailure, Reason: "connection refused", Evidence: "nobody listens at 10.0.0.3:3000",
			Start: time.Millisecond, End: 2 * time.Millisecond},
		{Endpoint: "10.0.0.4:3000", Flags: hop.UpstreamConnectionFailure, ProxyError: "connection_refused", Reason: "connection refused",
			Start: 5 * time.Millisecond, End: 6500 * time.Microsecond},
	}
	return h
}

// recovered is a hop with all that few have: its client reads slowly, the endpoint had just
// come up, a call of the application failed, and its route divides requests.
func recovered() *hop.Hop {
	h := relayed()
	labels := *h.Labels
	labels.Variant = "blue"
	h.Labels = &labels
	h.Status, h.Attempts[0].Status, h.Attempts[0].Cold, h.WriteBlocked, h.Queued = 200, 200, true, 7*time.Millisecond, 3*time.Millisecond
	h.Rewrite([]byte("/rewritten"))
	h.Recovered = &hop.Recovered{Took: 5 * time.Millisecond, Failure: hop.Failure{
		Origin: hop.OriginRelayed, Hop: "ads", Part: hop.PartNetwork, Kind: "connect_timeout", Caller: "web",
		Endpoint: "10.0.0.5:80", Inferred: true, Reason: "no answer from 10.0.0.5:80",
	}}
	h.SetString(&h.Mirrored, "api-shadow")
	h.SetString(&h.Injected, "delay 5ms")
	return h
}

func tunnel() *hop.Hop {
	h := request()
	h.Labels = &hop.Labels{Service: "web", Direction: hop.Outbound, Cluster: "egress"}
	h.Kind, h.Method, h.Status = hop.KindTunnel, "CONNECT", 200
	h.Path, h.Start = hop.Text{}, began.In(time.FixedZone("somewhere", 3600))
	h.BytesIn, h.BytesOut, h.End = 1<<33, 7, 90*time.Minute
	h.Attempts = []hop.Attempt{{Endpoint: "198.51.100.1:443", Connected: 30 * time.Millisecond, End: 90 * time.Minute}}
	return h
}

func garbage() *hop.Hop {
	return &hop.Hop{
		Labels: &hop.Labels{Service: "web", Listener: "ingress"}, Kind: hop.KindConnection,
		Start: began, End: 300 * time.Microsecond, Status: 400, Client: "192.0.2.7:5123",
		Flags:   hop.DownstreamProtocolError,
		Failure: hop.Failure{Origin: hop.OriginDownstream, Hop: "web", Reason: "bare CR in the request line"},
	}
}

// call is a gRPC call over TLS that the first endpoint refused and the second
// ended with an error.
func call() *hop.Hop {
	h := request()
	h.Method, h.Version, h.Status, h.End = "POST", hop.HTTP2, 200, 20*time.Millisecond
	h.GRPC, h.GRPCStatus = true, hop.GRPCStatusOf(14)
	h.SetString(&h.GRPCMessage, `no "backend"`)
	h.TLS = &hop.TLS{Version: "1.3", Cipher: "TLS_AES_128_GCM_SHA256", ServerName: "shop.example", Protocol: "h2",
		Peer: "spiffe://mesh/ns/default/front", PeerSubject: "CN=front", Handshake: 1500 * time.Microsecond}
	h.Attempts = []hop.Attempt{
		{Endpoint: "10.0.0.3:3000", Flags: hop.UpstreamReset, Reason: "refused the stream", End: time.Millisecond},
		{Endpoint: "10.0.0.4:3000", Status: 200, GRPCStatus: hop.GRPCStatusOf(14), Connected: 2 * time.Millisecond,
			Start: time.Millisecond, FirstByte: 19 * time.Millisecond, End: 20 * time.Millisecond,
			TLS: &hop.TLS{Version: "1.2", Cipher: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", Resumed: true}},
	}
	return h
}

// noTLS is the end of a line where the client speaks no TLS.
const noTLS = `,"tls":null}`

func TestAppendLine(t *testing.T) {
	for _, c := range []struct {
		name string
		hop  *hop.Hop
		want string
	}{
		{"success", success(), `{"time":"2026-03-04T05:06:07.089012Z","service":"web","direction":"inbound",` +
			`"client":"192.0.2.7:5123","host":"shop.example","method":"GET","path":"/api/items?page=2&token=REDACTED",` +
			`"route":"/api/","cluster":"api","upstream":"10.0.0.3:3000","protocol":"HTTP/1.1","status":200,"grpc_status":null,"grpc_status_name":null,"grpc_message":null,"flags":null,` +
			`"failed_hop":null,"failure_reason":null,"failure":null,"bytes_in":12,"bytes_out":98,"duration_ms":4.500,"upstream_ms":4.100,"timeout_ms":15000.000,` +
			`"attempts":[{"endpoint":"10.0.0.3:3000","span_id":"0500000000000006","url":null,"status":200,"grpc_status":null,"flags":null,"error_type":null,"reason":null,"evidence":null,"bytes_sent":0,"bytes_received":0,"start_ms":0.100,"duration_ms":4.300,"connect_ms":0.001,"reused":true,"tls":null}],` +
			`"trace_id":"4bf92f00000000000000000000000036","span_id":"0500000000000006","parent_id":"0300000000000004","sampled":true,` +
			`"request_id":"6e1b3d9a","user_agent":"curl/8.5"` + noTLS},
		{"relayed failure", relayed(), `{"time":"2026-03-04T05:06:07.089012Z","service":"web","direction":"inbound",` +
			`"client":"192.0.2.7:5123","host":"shop.example","method":"GET","path":"/api/items",` +
			`"route":"/api/","cluster":"api","upstream":"10.0.0.3:3000","protocol":"HTTP/1.1","status":503,"grpc_status":null,"grpc_status_name":null,"grpc_message":null,"flags":null,` +
			`"failed_hop":"stock","failure_reason":"stock could not connect to \"db:5432\": connection refused",` +
			`"failure":{"origin":"relayed","part":null,"kind":null,"caller":null,"endpoint":null,"inferred":false},` +
			`"bytes_in":0,"bytes_out":0,"duration_ms":20.000,"upstream_ms":18.000,"timeout_ms":null,` +
			`"attempts":[{"endpoint":"10.0.0.3:3000","span_id":null,"url":"https://up.test/items?sig=REDACTED","status":503,"grpc_status":null,"flags":null,"error_type":null,"reason":null,"evidence":null,"bytes_sent":5,"bytes_received":6,"start_ms":1.000,"duration_ms":19.000,"connect_ms":1.000,"reused":false,"tls":null}],` +
			`"trace_id":"4bf92f00000000000000000000000036","span_id":"0100000000000002","parent_id":"0300000000000004","sampled":true,` +
			`"request_id":"6e1b3d9a","user_agent":"curl/8.5"` + noTLS},
		{"connect failure, two attempts", unconnected(), `{"time":"2026-03-04T05:06:07.089012Z","service":"web","direction":"inbound",` +
			`"client":"192.0.2.7:5123","host":"shop.example","method":"GET","path":"/api/items",` +
			`"route":"/api/","cluster":"api","upstream":"10.0.0.4:3000","protocol":"HTTP/1.1","status":503,"grpc_status":null,"grpc_status_name":null,"grpc_message":null,"flags":"UF,URX",` +
			`"failed_hop":"web","failure_reason":"connecting to 10.0.0.4:3000: connection refused",` +
			`"failure":{"origin":"proxy","part":"proxy","kind":"connect_refused","caller":"front","endpoint":"10.0.0.4:3000","inferred":true},` +
			`"bytes_in":0,"bytes_out":0,"duration_ms":7.000,"upstream_ms":5.500,"timeout_ms":null,"attempts":[` +
			`{"endpoint":"10.0.0.3:3000","span_id":null,"url":null,"status":0,"grpc_status":null,"flags":"UF","error_type":null,"reason":"connection refused","evidence":"nobody listens at 10.0.0.3:3000","bytes_sent":0,"bytes_received":0,"start_ms":1.000,"duration_ms":1.000,"connect_ms":null,"reused":false,"tls":null},` +
			`{"endpoint":"10.0.0.4:3000","span_id":null,"url":null,"status":0,"grpc_status":null,"flags":"UF","error_type":"connection_refused","reason":"connection refused","evidence":null,"bytes_sent":0,"bytes_received":0,"start_ms":5.000,"duration_ms":1.500,"connect_ms":null,"reused":false,"tls":null}],` +
			`"trace_id":"4bf92f00000000000000000000000036","span_id":"0100000000000002","parent_id":null,"sampled":false,` +
			`"request_id":"6e1b3d9a","user_agent":"curl/8.5"` + noTLS},
		{"tunnel", tunnel(), `{"time":"2026-03-04T05:06:07.089012Z","service":"web","direction":"outbound",` +
			`"client":"192.0.2.7:5123","host":"shop.example","method":"CONNECT","path":null,` +
			`"route":null,"cluster":"egress","upstream":"198.51.100.1:443","protocol":"HTTP/1.1","status":200,"grpc_status":null,"grpc_status_name":null,"grpc_message":null,"flags":null,` +
			`"failed_hop":null,"failure_reason":null,"failure":null,"bytes_in":8589934592,"bytes_out":7,"duration_ms":5400000.000,"upstream_ms":5400000.000,"timeout_ms":null,` +
			`"attempts":[{"endpoint":"198.51.100.1:443","span_id":null,"url":null,"status":0,"grpc_status":null,"flags":null,"error_type":null,"reason":null,"evidence":null,"bytes_sent":0,"bytes_received":0,"start_ms":0.000,"duration_ms":5400000.000,"connect_ms":30.000,"reused":false,"tls":null}],` +
			`"trace_id":"4bf92f00000000000000000000000036","span_id":"0100000000000002","parent_id":"0300000000000004","sampled":true,` +
			`"request_id":"6e1b3d9a","user_agent":"curl/8.5"` + noTLS},
		{"gRPC over TLS", call(), `{"time":"2026-03-04T05:06:07.089012Z","service":"web","direction":"inbound",` +
			`"client":"192.0.2.7:5123","host":"shop.example","method":"POST","path":"/api/items",` +
			`"route":"/api/","cluster":"api","upstream":"10.0.0.4:3000","protocol":"HTTP/2","status":200,` +
			`"grpc_status":14,"grpc_status_name":"UNAVAILABLE","grpc_message":"no \"backend\"","flags":null,` +
			`"failed_hop":null,"failure_reason":null,"failure":null,"bytes_in":0,"bytes_out":0,"duration_ms":20.000,"upstream_ms":19.000,"timeout_ms":null,"attempts":[` +
			`{"endpoint":"10.0.0.3:3000","span_id":null,"url":null,"status":0,"grpc_status":null,"flags":"UR","error_type":null,"reason":"refused the stream","evidence":null,"bytes_sent":0,"bytes_received":0,"start_ms":0.000,"duration_ms":1.000,"connect_ms":null,"reused":false,"tls":null},` +
			`{"endpoint":"10.0.0.4:3000","span_id":null,"url":null,"status":200,"grpc_status":14,"flags":null,"error_type":null,"reason":null,"evidence":null,"bytes_sent":0,"bytes_received":0,"start_ms":1.000,"duration_ms":19.000,"connect_ms":1.000,"reused":false,` +
			`"tls":{"version":"1.2","cipher":"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256","sni":null,"peer":null,"resumed":true,"handshake_ms":0.000}}],` +
			`"trace_id":"4bf92f00000000000000000000000036","span_id":"0100000000000002","parent_id":"0300000000000004","sampled":true,` +
			`"request_id":"6e1b3d9a","user_agent":"curl/8.5","tls":{"version":"1.3","cipher":"TLS_AES_128_GCM_SHA256","sni":"shop.example",` +
			`"peer":"spiffe://mesh/ns/default/front","resumed":false,"handshake_ms":1.500}}`},
		{"with the rare keys", func() *hop.Hop {
			h := garbage()
			r := recovered()
			h.WriteBlocked, h.Queued, h.Recovered, h.Labels = r.WriteBlocked, r.Queued, r.Recovered, &hop.Labels{Service: "web", Variant: "blue"}
			h.Rewrite([]byte("/rewritten"))
			h.SetString(&h.Mirrored, "api-shadow")
			h.SetString(&h.Injected, "delay 5ms")
			return h
		}(), `{"time":"2026-03-04T05:06:07.089012Z","service":"web","direction":"inbound",` +
			`"client":"192.0.2.7:5123","host":null,"method":null,"path":null,` +
			`"route":null,"cluster":null,"upstream":null,"protocol":null,"status":400,"grpc_status":null,"grpc_status_name":null,"grpc_message":null,"flags":"DPE",` +
			`"failed_hop":"web","failure_reason":"bare CR in the request line","failure":{"origin":"downstream","part":null,"kind":null,"caller":null,"endpoint":null,"inferred":false},"bytes_in":0,"bytes_out":0,"duration_ms":0.300,"upstream_ms":null,"timeout_ms":null,` +
			`"attempts":[],"trace_id":null,"span_id":null,"parent_id":null,"sampled":false,"request_id":null,"user_agent":null,"tls":null,"rewritten_path":"/rewritten","write_blocked_ms":7.000,"queued_ms":3.000,` +
			`"recovered":{"origin":"relayed","part":"network","kind":"connect_timeout","caller":"web","endpoint":"10.0.0.5:80","inferred":true,"failed_hop":"ads","failure_reason":"no answer from 10.0.0.5:80","duration_ms":5.000},"variant":"blue","mirrored":"api-shadow","injected":"delay 5ms"}`},
		{"gRPC without a status", func() *hop.Hop { h := garbage(); h.GRPC = true; return h }(), `{"time":"2026-03-04T05:06:07.089012Z","service":"web","direction":"inbound",` +
			`"client":"192.0.2.7:5123","host":null,"method":null,"path":null,` +
			`"route":null,"cluster":null,"upstream":null,"protocol":null,"status":400,"grpc_status":null,"grpc_status_name":null,"grpc_message":null,"flags":"DPE",` +
			`"failed_hop":"web","failure_reason":"bare CR in the request line","failure":{"origin":"downstream","part":null,"kind":null,"caller":null,"endpoint":null,"inferred":false},"bytes_in":0,"bytes_out":0,"duration_ms":0.300,"upstream_ms":null,"timeout_ms":null,` +
			`"attempts":[],"trace_id":null,"span_id":null,"parent_id":null,"sampled":false,"request_id":null,"user_agent":null` + noTLS},
		{"parse error", garbage(), `{"time":"2026-03-04T05:06:07.089012Z","service":"web","direction":"inbound",` +
			`"client":"192.0.2.7:5123","host":null,"method":null,"path":null,` +
			`"route":null,"cluster":null,"upstream":null,"protocol":null,"status":400,"grpc_status":null,"grpc_status_name":null,"grpc_message":null,"flags":"DPE",` +
			`"failed_hop":"web","failure_reason":"bare CR in the request line","failure":{"origin":"downstream","part":null,"kind":null,"caller":null,"endpoint":null,"inferred":false},"bytes_in":0,"bytes_out":0,"duration_ms":0.300,"upstream_ms":null,"timeout_ms":null,` +
			`"attempts":[],"trace_id":null,"span_id":null,"parent_id":null,"sampled":false,"request_id":null,"user_agent":null` + noTLS},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := string(AppendLine([]byte("before"), c.hop))
			if diff := cmp.Diff("before"+c.want+"\n", got); diff != "" {
				t.Errorf("line (-want +got):\n%s", diff)
			}
		})
	}
}

// What a formatter remembers of one line never shows in another.
func TestFormatterIsLikeAppendLine(t *testing.T) {
	var f formatter
	hops := []*hop.Hop{success(), relayed(), tunnel(), garbage(), unconnected(), call()}
	later, before := success(), success()
	later.Start, before.Start = began.Add(2*time.Second), time.Unix(-1, 5000)
	hops = append(hops, later, before, hops[0])
	for n := range 3*maxKnown + 5 { // more labels than are remembered
		h := success()
		h.Labels = &hop.Labels{Service: strings.Repeat("s", 1+n%7), Route: strings.Repeat("r", n%5)}
		hops = append(hops, h, hops[n%8])
	}
	for i, h := range hops {
		if want, got := string(AppendLine(nil, h)), string(f.appendLine(nil, h)); want != got {
			t.Fatalf("hop %d:\n got %s\nwant %s", i, got, want)
		}
	}
	if len(f.known) > maxKnown {
		t.Errorf("%d labels are remembered, want at most %d", len(f.known), maxKnown)
	}
}

// line is a line as its reader sees it.
type line struct {
	Service, Client, Host, Method, Path, Route, Cluster, Upstream *string
	FailedHop                                                     *string `json:"failed_hop"`
	FailureReason                                                 *string `json:"failure_reason"`
	RequestID                                                     *string `json:"request_id"`
	UserAgent                                                     *string `json:"user_agent"`
	Message                                                       *string `json:"grpc_message"`
	TLS                                                           struct{ SNI, Peer *string }
	Status                                                        int
	Attempts                                                      []struct{ Endpoint, Reason *string }
}

func FuzzLine(f *testing.F) {
	f.Add("GET", "/a?b", "x=1&sig=2", "h", "agent")
	f.Add("\x00\x1f\x7f\u0080\u009b\u00a0", "\"\\/\b\f\n\r\t", "\xff\xfe", "\u2028\u2029", "😀\xf0\x9f\x98")
	f.Add("", "é\xc3", "=;&=", "\xed\xa0\x80", "\ufffd")
	f.Fuzz(func(t *testing.T, a, b, c, d, e string) {
		cut := func(s string) string { return s[:min(len(s), hop.MaxText)] }
		h := &hop.Hop{
			Labels: &hop.Labels{Service: a, Route: b, Cluster: c}, Method: "_OTHER", Client: d, Status: 200,
			Failure:  hop.Failure{Hop: e, Reason: a},
			Attempts: []hop.Attempt{{Endpoint: b, Reason: c, TLS: &hop.TLS{Peer: d}}},
			GRPC:     true, GRPCStatus: hop.GRPCStatusOf(2), TLS: &hop.TLS{ServerName: a, Peer: b},
		}
		h.SetString(&h.GRPCMessage, c)
		h.SetString(&h.MethodText, a)
		h.SetString(&h.Path, b)
		h.SetString(&h.Query, c)
		h.SetString(&h.Host, d)
		h.SetString(&h.UserAgent, e)
		h.SetString(&h.RequestID, d)
		out := string(AppendLine(nil, h))
		if strings.Count(out, "\n") != 1 || !strings.HasSuffix(out, "\n") {
			t.Fatalf("not one line: %q", out)
		}
		if !utf8.ValidString(out) || !json.Valid([]byte(out)) {
			t.Fatalf("not JSON: %q", out)
		}
		for _, r := range strings.TrimSuffix(out, "\n") {
			if r < ' ' || r >= 0x7f && r < 0xa0 {
				t.Fatalf("control character %U in %q", r, out)
			}
		}
		var got line
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatalf("%v: %q", err, out)
		}
		path := cut(b)
		if c != "" {
			path += "?" + string(redact.AppendQuery(nil, []byte(cut(c))))
		}
		method := cut(a)
		if method == "" {
			method = "_OTHER"
		}
		for name, field := range map[string]struct {
			got  *string
			want string
		}{
			"service": {got.Service, a}, "route": {got.Route, b}, "cluster": {got.Cluster, c},
			"client": {got.Client, d}, "host": {got.Host, cut(d)}, "method": {got.Method, method},
			"path": {got.Path, path}, "upstream": {got.Upstream, b}, "failed_hop": {got.FailedHop, e},
			"failure_reason": {got.FailureReason, a}, "request_id": {got.RequestID, cut(d)},
			"user_agent": {got.UserAgent, cut(e)}, "grpc_message": {got.Message, cut(c)},
			"sni": {got.TLS.SNI, a}, "peer": {got.TLS.Peer, b}, "endpoint": {got.Attempts[0].Endpoint, b},
			"reason": {got.Attempts[0].Reason, c},
		} {
			// Going over runes replaces each bad byte, as encoding/json does.
			switch want := string([]rune(field.want)); {
			case want == "" && field.got != nil:
				t.Errorf("%s is %q, want null", name, *field.got)
			case want != "" && (field.got == nil || *field.got != want):
				t.Errorf("%s is %v, want %q in %s", name, field.got, want, out)
			}
		}
	})
}

func BenchmarkAppendLine(b *testing.B) {
	h := success()
	h.SetString(&h.UserAgent, "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")
	h.SetString(&h.RequestID, "5c0e5fd6-7f4c-4a39-9b2c-8d1f3f0f1a77")
	for _, bench := range []struct {
		name string
		edit func(*hop.Hop)
	}{
		{"plain", func(h *hop.Hop) { h.Query = hop.Text{} }},
		{"query", func(*hop.Hop) {}},
		{"grpc+tls", func(h *hop.Hop) {
			c := call()
			h.GRPC, h.GRPCStatus, h.TLS, h.Attempts[0].TLS = true, hop.GRPCStatusOf(0), c.TLS, c.TLS
			h.Query = hop.Text{}
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			h := h.Clone()
			bench.edit(h)
			var f formatter
			var out []byte
			b.ReportAllocs()
			for b.Loop() {
				out = f.appendLine(out[:0], h)
			}
			b.SetBytes(int64(len(out)))
		})
	}
}

// TestEveryLineHasTheDocumentedKeys: one schema for all kinds of hops, and it is the
// one of the documentation.
func TestEveryLineHasTheDocumentedKeys(t *testing.T) {
	text, err := os.ReadFile("../../docs/access-log.md")
	if err != nil {
		t.Fatal(err)
	}
	head, tail, _ := strings.Cut(string(text), "A `failure` has these:")
	failure, tail, _ := strings.Cut(tail, "Each attempt has these:")
	middle, tail, _ := strings.Cut(tail, "Each `tls` has these:")
	tail, rest, _ := strings.Cut(tail, "Few lines have these")
	rest, _, _ = strings.Cut(rest, "\n## ")
	rare, fault, _ := strings.Cut(rest, "A `recovered` has")
	lines, inner := documented(head), map[string][]string{"failure": documented(failure), "attempts": documented(middle), "tls": documented(tail)}
	inner["recovered"] = append(slices.Clone(inner["failure"]), documented(fault)...)
	if len(lines) < 30 || len(inner["attempts"]) < 10 || len(inner["tls"]) < 6 {
		t.Fatalf("the documentation has %d keys, and %v", len(lines), inner)
	}
	encrypted := success()
	encrypted.TLS, encrypted.Attempts[0].TLS = call().TLS, call().Attempts[1].TLS
	bare := call()
	bare.TLS, bare.Attempts[1].TLS = nil, nil
	for name, h := range map[string]*hop.Hop{
		"HTTP": success(), "HTTP over TLS": encrypted, "gRPC": bare, "gRPC over TLS": call(), "tunnel": tunnel(),
		"connection": garbage(), "no connection": unconnected(), "relayed": relayed(), "nothing": {Labels: &hop.Labels{}},
		"rare": recovered(),
	} {
		lines, inner := lines, maps.Clone(inner)
		if name == "rare" {
			lines = append(slices.Clone(lines), "rewritten_path", "write_blocked_ms", "queued_ms", "recovered", "variant", "mirrored", "injected")
			inner["attempts"] = append(slices.Clone(inner["attempts"]), "cold")
			if all := append(lines[slices.Index(lines, "rewritten_path"):], "cold"); !slices.Equal(all, documented(rare)) {
				t.Errorf("the documentation has the rare keys %q, want %q", documented(rare), all)
			}
		}
		keys, within := keysOf(t, AppendLine(nil, h))
		if diff := cmp.Diff(lines, keys); diff != "" {
			t.Errorf("%s: keys (-documented +got):\n%s", name, diff)
		}
		for of, all := range within {
			for _, keys := range all {
				if diff := cmp.Diff(inner[of], keys); diff != "" {
					t.Errorf("%s: keys of %s (-documented +got):\n%s", name, of, diff)
				}
			}
		}
	}
}

// documented are the keys of a table, in order.
func documented(text string) (keys []string) {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "| `"); ok {
			key, _, _ := strings.Cut(rest, "`")
			keys = append(keys, key)
		}
	}
	return keys
}

// keysOf are the keys of a line, in order, and those of the objects within it by the key
// that they are under.
func keysOf(t *testing.T, line []byte) (keys []string, within map[string][][]string) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(line))
	token := func() json.Token {
		got, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	within = map[string][][]string{}
	var object func() []string
	value := func(key string) {
		switch token() {
		case json.Delim('{'):
			within[key] = append(within[key], object())
		case json.Delim('['):
			for d.More() {
				token() // {
				within[key] = append(within[key], object())
			}
			token() // ]
		}
	}
	object = func() (keys []string) {
		for d.More() {
			key := token().(string)
			keys = append(keys, key)
			value(key)
		}
		token() // }
		return keys
	}
	token() // {
	return object(), within
}
