package spans

import (
	"strings"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// Whatever clients and endpoints send, what we write is what a collector can
// read, and a batch of many hops is the sum of their spans.
func FuzzHopIsReadable(f *testing.F) {
	f.Add("GET", "shop.example:1", "/p", "q=1", "curl", "a=b", "reason", "1.2.3.4:5", 200, uint64(0))
	f.Add("", "[", "\xff", "=&=", strings.Repeat("é", 3000), "\x00", strings.Repeat("x", 20000), "::", -1, ^uint64(0))
	f.Fuzz(func(t *testing.T, method, host, path, query, agent, state, reason, peer string, status int, flags uint64) {
		all := hop.All()
		h := okHop(func(h *hop.Hop) {
			h.Method, h.Status, h.Client, h.Peer = "_OTHER", status, peer, peer
			h.Flags = hop.Flags(flags) & (all[len(all)-1]<<1 - 1)
			h.SetString(&h.MethodText, method)
			h.SetString(&h.Host, host)
			h.SetString(&h.Path, path)
			h.SetString(&h.Query, query)
			h.SetString(&h.UserAgent, agent)
			h.SetString(&h.TraceState, state)
			h.Failure = hop.Failure{Origin: hop.OriginProxy, Hop: method, Reason: reason, Kind: host, Caller: agent, Endpoint: peer}
			h.Labels.Direction = hop.Direction(flags >> 62 & 1)
			h.Template = state
			h.Attempts[0].Reason, h.Attempts[0].Endpoint, h.Attempts[0].Flags = reason, peer, h.Flags
			h.GRPC = flags&(1<<63) != 0
			h.GRPCStatus, h.Attempts[0].GRPCStatus = hop.GRPCStatusOf(status), hop.GRPCStatusOf(status)
			h.SetString(&h.GRPCMessage, reason)
			h.TLS = &hop.TLS{Version: agent, Peer: peer, PeerSubject: reason}
			h.Attempts[0].TLS = h.TLS
		})
		var b Batch
		b.origin = newOrigin(method, Options{HostName: host})
		b.hop(h)
		b.hop(retried(h))
		wire, err := proto.Marshal(b.ResourceSpans())
		if err != nil {
			t.Fatal(err)
		}
		var received tracepb.ResourceSpans
		if err := proto.Unmarshal(wire, &received); err != nil {
			t.Fatal(err)
		}
		spans := received.ScopeSpans[0].Spans
		if len(spans) != 4 || b.Len() != 4 {
			t.Fatalf("%d spans received, %d said, want 4", len(spans), b.Len())
		}
		for _, s := range spans {
			attributes(t, s)
			if len(s.ProtoReflect().GetUnknown()) > 0 {
				t.Error("a span has fields that OTLP does not know")
			}
		}
		if again, _ := proto.Marshal(&received); len(again) != len(wire) {
			t.Errorf("%d bytes written, %d are enough", len(wire), len(again))
		}
	})
}

func BenchmarkHop(b *testing.B) {
	for name, change := range map[string]func(*hop.Hop){
		"http":     nil,
		"outbound": func(h *hop.Hop) { h.Labels.Direction = hop.Outbound },
		"retried":  func(h *hop.Hop) { h.Attempts = append(h.Attempts, hop.Attempt{Span: hop.SpanID{1}, Status: 503}) },
		"grpc+tls": func(h *hop.Hop) {
			grpc(h, 0, 0)
			h.TLS = &hop.TLS{Version: "1.3", Cipher: "TLS_AES_128_GCM_SHA256", ServerName: "shop.example", Protocol: "h2",
				Peer: "spiffe://mesh/ns/default/front", PeerSubject: "CN=front", PeerExpires: start, Handshake: 1500}
			h.Attempts[0].TLS = h.TLS
		},
	} {
		b.Run(name, func(b *testing.B) { benchmarkHop(b, okHop(change)) })
	}
}

func benchmarkHop(b *testing.B, h *hop.Hop) {
	var batch Batch
	batch.origin = newOrigin("web", Options{HostName: "host"})
	var wire []byte
	b.ReportAllocs()
	for b.Loop() {
		batch.hop(h)
		if batch.spans >= maxBatchSpans || len(batch.out) >= maxBatchBytes {
			var err error
			wire, err = proto.MarshalOptions{}.MarshalAppend(wire[:0], batch.ResourceSpans())
			if err != nil {
				b.Fatal(err)
			}
			batch.out, batch.spans = batch.out[:0], 0
		}
	}
	batch.out = batch.out[:0]
	batch.hop(h)
	b.ReportMetric(float64(len(batch.out)), "bytes/hop")
}
