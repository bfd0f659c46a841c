package hop

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

// example has a value in every field that JSON carries.
func example() *Hop {
	h := &Hop{
		Labels: &Labels{Service: "web", Direction: Outbound, Listener: "egress", Route: "api",
			Cluster: "payments", Variant: "v2", Slow: time.Second},
		Kind: KindTunnel, Trace: TraceID{1, 2, 15: 3}, Span: SpanID{4, 7: 5}, Parent: SpanID{6},
		Sampled: true, Keep: KeepFailed, Entry: true,
		Start:  time.Date(2026, 3, 4, 5, 6, 7, 123456789, time.UTC),
		Routed: 1, FirstByte: 2, End: 1234567891,
		Method: "_OTHER", Version: HTTP11, Scheme: "http", Status: 503,
		Flags: UpstreamConnectionFailure | RetriesExhausted, ProxyError: "connection_refused",
		Details: "upstream_reset_before_response_started{connection_refused}",
		Failure: Failure{
			OriginRelayed, "payments", PartProxy, "connect_refused", "web", "127.0.0.1:4003", true, "connection refused by 127.0.0.1:4003",
		},
		Recovered: &Recovered{Failure{
			OriginRelayed, "stock", PartApplication, "upstream_timeout", "payments", "127.0.0.1:4005", true, "it did not answer",
		}, 1600 * time.Millisecond},
		Template: "/charge/{id}", Timeout: 15 * time.Second,
		BytesIn: 3, BytesOut: 4, WriteBlocked: 5, Queued: 9, Client: "192.0.2.1", Peer: "127.0.0.1:555",
		GRPC: true, GRPCStatus: GRPCStatusOf(14),
		TLS: &TLS{
			Version: "1.3", Cipher: "TLS_AES_128_GCM_SHA256", ServerName: "web.test", Protocol: "h2",
			Peer: "spiffe://mesh/ns/default/front", PeerSubject: "CN=front,O=mesh",
			PeerExpires: time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC), Resumed: true, Handshake: 1234567,
		},
	}
	h.SetString(&h.MethodText, "BREW")
	h.SetString(&h.Host, "payments:80")
	h.SetString(&h.Path, "/charge")
	h.SetString(&h.Query, "id=1")
	h.SetString(&h.UserAgent, "curl")
	h.SetString(&h.RequestID, "r-1")
	h.SetString(&h.TraceState, "a=1")
	h.SetString(&h.UpstreamHop, "payments; error=connection_refused")
	h.SetString(&h.GRPCMessage, "no backend")
	h.SetString(&h.RewrittenPath, "/rewritten")
	h.SetString(&h.Mirrored, "payments-shadow")
	h.SetString(&h.Injected, "delay 5ms")
	*h.Attempt() = Attempt{
		Span: SpanID{8}, Endpoint: "127.0.0.1:4003", Cluster: "payments", Reused: true, Cold: true, Version: HTTP2, Scheme: "https",
		Start: 1, Connected: 2, Sent: 3, FirstByte: 4, End: 5, Status: 503,
		Flags: UpstreamConnectionFailure, ProxyError: "connection_refused", Details: "d",
		Reason: "connection refused", Evidence: "nothing listens", BytesSent: 6, BytesReceived: 7, WriteBlocked: 8,
		GRPCStatus: GRPCStatusOf(0), TLS: &TLS{Version: "1.2", Peer: "payments", Handshake: 1},
	}
	h.SetString(&h.Attempts[0].Host, "pay.test")
	h.SetString(&h.Attempts[0].Path, "/v2/charge")
	h.SetString(&h.Attempts[0].Query, "id=2")
	*h.Attempt() = Attempt{Span: SpanID{9}, Endpoint: "127.0.0.1:4004"}
	return h
}

func TestJSONRoundTrip(t *testing.T) {
	for name, h := range map[string]*Hop{
		"every field": example(),
		"empty":       {Labels: &Labels{}},
	} {
		data, err := json.Marshal(h)
		if err != nil {
			t.Fatal(name, err)
		}
		var back Hop
		if err := json.Unmarshal(data, &back); err != nil {
			t.Fatal(name, err)
		}
		if !reflect.DeepEqual(h, &back) {
			t.Errorf("%s: %+v\nbecame %+v\nby %s", name, h, &back, data)
		}
	}
}

// TestJSONCarriesEveryFact fails when a field is added to the record and
// forgotten in its JSON form. Recorded fields are the access log's: nobody else knows their
// names.
func TestJSONCarriesEveryFact(t *testing.T) {
	h := example()
	for _, v := range []any{*h, *h.Labels, h.Attempts[0], h.Failure, *h.Recovered, *h.TLS} {
		value := reflect.ValueOf(v)
		for i := range value.NumField() {
			field := value.Type().Field(i)
			if field.Name != "Metrics" && field.Name != "Recorded" && field.Name != "Learn" && field.IsExported() && value.Field(i).IsZero() {
				t.Errorf("the example has no %s.%s: set it, so that the round trip shows that JSON carries it", value.Type(), field.Name)
			}
		}
	}
}

func TestJSONForm(t *testing.T) {
	h := example()
	h.Query = Text{}
	h.SetString(&h.Query, "id=1&token=s3cret")
	h.SetString(&h.Attempts[0].Query, "id=2&token=s3cret")
	data, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"service":"web"`, `"direction":"outbound"`, `"kind":"tunnel"`, `"end_ns":1234567891`,
		`"start":"2026-03-04T05:06:07.123456789Z"`, `"trace_id":"01020000000000000000000000000003"`,
		`"flags":"UF,URX"`, `"sampled_by":"failed"`, `"origin":"relayed"`, `"version":"HTTP/2"`,
		`"query":"id=1\u0026token=REDACTED"`, `"scheme":"https","host":"pay.test","path":"/v2/charge","query":"id=2\u0026token=REDACTED"`, `"grpc":true,"grpc_status":14,"grpc_status_name":"UNAVAILABLE","grpc_message":"no backend"`,
		`"tls":{"version":"1.3","cipher":"TLS_AES_128_GCM_SHA256","sni":"web.test","alpn":"h2","peer":"spiffe://mesh/ns/default/front"`,
		`"peer_subject":"CN=front,O=mesh","peer_expires":"2027-01-02T03:04:05Z","resumed":true,"handshake_ns":1234567}`,
		`"grpc_status":0,"grpc_status_name":"OK","tls":{"version":"1.2","peer":"payments","resumed":false,"handshake_ns":1}`,
	} {
		if !strings.Contains(string(data), want) {
			t.Errorf("no %s in %s", want, data)
		}
	}
	if strings.Contains(string(data), "s3cret") {
		t.Error("the token is in the JSON")
	}
	if data, err = json.Marshal(&Hop{}); err != nil || !strings.Contains(string(data), `"service":""`) ||
		strings.Contains(string(data), "grpc") || strings.Contains(string(data), "tls") {
		t.Errorf("a hop without labels: %s, %v", data, err)
	}
}

func TestUnmarshalJSON(t *testing.T) {
	var h Hop
	newer := `{"service":"web","version":"HTTP/3","flags":"XX,UF","kind":"dream","failure":{"origin":"moon"},"extra":1,"grpc_status":99,"tls":{"new":1}}`
	if err := json.Unmarshal([]byte(newer), &h); err != nil {
		t.Fatal(err)
	}
	if h.Flags != UpstreamConnectionFailure || h.Version != VersionUnknown || h.Failure.Origin != OriginNone ||
		h.GRPCStatus.String() != "UNKNOWN" || h.TLS == nil || *h.TLS != (TLS{}) {
		t.Errorf("unknown words: %+v", h)
	}
	for in, want := range map[string]string{
		`{"trace_id":"abc"}`:                               "trace_id has 3 characters",
		`{"span_id":"zz00000000000000"}`:                   "span_id",
		`{"attempts":[{},{"span_id":"0"}]}`:                "attempts[1].span_id",
		`{"status":"ok"}`:                                  "status",
		`{"parent_id":"00000000000000000000000000000000"}`: "parent_id",
	} {
		if err := json.Unmarshal([]byte(in), &h); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one that names %s", in, err, want)
		}
	}
}

func FuzzUnmarshalJSON(f *testing.F) {
	data, err := json.Marshal(example())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"attempts":[{"span_id":"0000000000000001","flags":"UF,,UF"}],"end_ns":-1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var h, again Hop
		if json.Unmarshal(data, &h) != nil {
			return
		}
		out, err := json.Marshal(&h)
		if err != nil {
			return // a year that JSON can't have
		}
		if err := json.Unmarshal(out, &again); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		twice, err := json.Marshal(&again)
		if err != nil || string(twice) != string(out) {
			t.Fatalf("%s\nbecame %s, %v", out, twice, err)
		}
	})
}
