package otlp

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"

	collogspb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"

	"github.com/hopscope/hopscope/telemetry/accesslog"
	"github.com/hopscope/hopscope/telemetry/collector"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/operators"
	"github.com/hopscope/hopscope/telemetry/otlplogs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a collector that keeps what it gets.
type fake struct {
	collogspb.UnimplementedLogsServiceServer

	mu      sync.Mutex
	records []*logspb.LogRecord
	service string
}

func (f *fake) Export(_ context.Context, r *collogspb.ExportLogsServiceRequest) (*collogspb.ExportLogsServiceResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, rl := range r.ResourceLogs {
		f.service = rl.Resource.Attributes[0].Value.GetStringValue()
		for _, sl := range rl.ScopeLogs {
			f.records = append(f.records, sl.LogRecords...)
		}
	}
	return &collogspb.ExportLogsServiceResponse{}, nil
}

func (f *fake) serve(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	collogspb.RegisterLogsServiceServer(server, f)
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() { server.Stop(); wg.Wait() })
	return l.Addr().String()
}

var began = time.Date(2026, 3, 4, 5, 6, 7, 89000000, time.UTC)

func failing() *hop.Hop {
	h := &hop.Hop{
		Labels: &hop.Labels{Service: "web", Direction: hop.Outbound, Route: "/api/", Cluster: "api"},
		Trace:  hop.TraceID{1, 15: 2}, Span: hop.SpanID{3}, Sampled: true, Start: began, End: 7800 * time.Microsecond,
		Method: "GET", Version: hop.HTTP11, Scheme: "http", Status: 503, Flags: hop.UpstreamConnectionFailure, ProxyError: "connection_refused",
		Client: "192.0.2.7", BytesIn: 12, BytesOut: 98,
		Failure: hop.Failure{Origin: hop.OriginProxy, Hop: "bank", Part: hop.PartApplication, Kind: "connect_refused", Caller: "web", Reason: "connection refused"},
	}
	h.SetString(&h.Host, "shop.test")
	h.SetString(&h.Path, "/api/\xff")
	h.SetString(&h.Query, "token=secret")
	h.SetString(&h.UserAgent, "curl/8.5")
	h.SetString(&h.RequestID, "r-1")
	*h.Attempt() = hop.Attempt{Span: hop.SpanID{5}, Endpoint: "10.0.0.4:3000"}
	return h
}

// fine is a hop that went well, and was not sampled.
func fine() *hop.Hop {
	h := failing()
	h.Status, h.Flags, h.ProxyError, h.Failure, h.Sampled = 200, 0, "", hop.Failure{}, false
	return h
}

func values(all []*commonpb.KeyValue) map[string]string {
	m := map[string]string{}
	for _, kv := range all {
		switch v := kv.Value.Value.(type) {
		case *commonpb.AnyValue_StringValue:
			m[kv.Key] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			m[kv.Key] = fmt.Sprint(v.IntValue)
		case *commonpb.AnyValue_DoubleValue:
			m[kv.Key] = fmt.Sprint(v.DoubleValue)
		}
	}
	return m
}

// send observes hops with options, and returns what arrives.
func send(t *testing.T, o Options, hops ...*hop.Hop) *fake {
	t.Helper()
	f := &fake{}
	l, err := New(collector.Options{Endpoint: f.serve(t)}, otlplogs.Options{Service: "web"}, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hops {
		l.Observe(h)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.Dropped(func(value float64, labels ...string) {
		if value > 0 {
			t.Errorf("lost %v: %v", value, labels)
		}
	})
	return f
}

func TestRecords(t *testing.T) {
	f := send(t, Options{}, failing(), fine())
	if len(f.records) != 2 || f.service != "web" {
		t.Fatalf("%d records of %s", len(f.records), f.service)
	}
	bad, good := f.records[0], f.records[1]
	if got, want := bad.Body.GetStringValue(), "GET /api/\uFFFD 503 in 7.8 ms: web -> bank: connection refused (UF)"; got != want {
		t.Errorf("body %q, want %q", got, want)
	}
	if bad.SeverityText != "ERROR" || bad.Flags != 1 || bad.TimeUnixNano != uint64(began.UnixNano()) || bad.ObservedTimeUnixNano-bad.TimeUnixNano != 7800000 {
		t.Errorf("%v", bad)
	}
	if hop.TraceID(bad.TraceId) != (hop.TraceID{1, 15: 2}) || hop.SpanID(bad.SpanId) != (hop.SpanID{5}) {
		t.Errorf("trace %x, span %x", bad.TraceId, bad.SpanId)
	}
	want := map[string]string{
		"http.request.method": "GET", "url.scheme": "http", "url.path": "/api/\uFFFD", "url.query": "token=REDACTED", "http.route": "/api/",
		"server.address": "shop.test", "network.protocol.version": "1.1", "client.address": "192.0.2.7", "user_agent.original": "curl/8.5",
		"http.response.status_code": "503", "error.type": "connection_refused", "http.request.body.size": "12", "http.response.body.size": "98",
		"hopscope.duration_ms": "7.8", "hopscope.direction": "outbound", "hopscope.cluster": "api", "network.peer.address": "10.0.0.4", "network.peer.port": "3000",
		"hopscope.attempts": "1", "hopscope.request_id": "r-1", "hopscope.flags": "UF", "hopscope.failed_hop": "bank", "hopscope.failed_part": "application",
		"hopscope.failed_kind": "connect_refused", "hopscope.failed_caller": "web", "hopscope.failure_reason": "connection refused",
	}
	if diff := cmp.Diff(want, values(bad.Attributes)); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if good.SeverityText != "INFO" || good.Flags != 0 || good.Body.GetStringValue() != "GET /api/\uFFFD 200 in 7.8 ms" {
		t.Errorf("%v", good)
	}
	if _, ok := values(good.Attributes)["hopscope.failed_hop"]; ok {
		t.Error("a hop that went well has a culprit")
	}
}

// A format makes the body, and a selection leaves hops out.
func TestBodyOfAFormat(t *testing.T) {
	layout, err := accesslog.Format{Text: "%RESPONSE_CODE% %REQ(:PATH)%"}.Compile(new(operators.Recorded))
	if err != nil {
		t.Fatal(err)
	}
	var all []*hop.Hop
	for range maxOpen + 1 { // more than are passed on at once
		all = append(all, failing(), fine())
	}
	f := send(t, Options{Lines: accesslog.NewLines(layout), Selection: accesslog.NewSelection(accesslog.OnlyFailed, 1)}, all...)
	if len(f.records) != maxOpen+1 || f.records[0].Body.GetStringValue() != "503 /api/\uFFFD?token=REDACTED" {
		t.Errorf("%d records, the first %v", len(f.records), f.records[0])
	}
}
