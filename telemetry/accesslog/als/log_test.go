package als

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	datapb "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	alspb "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/hopscope/hopscope/telemetry/accesslog"
	"github.com/hopscope/hopscope/telemetry/hop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service is a gRPC access log service that keeps what it gets.
type service struct {
	alspb.UnimplementedAccessLogServiceServer
	hang chan struct{} // while it is open nothing is read; nil is never

	mu      sync.Mutex
	names   []string // one for each stream that names itself
	entries []*datapb.HTTPAccessLogEntry
}

func (s *service) StreamAccessLogs(stream alspb.AccessLogService_StreamAccessLogsServer) error {
	if s.hang != nil {
		select {
		case <-s.hang:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
	for {
		m, err := stream.Recv()
		if err == io.EOF {
			return stream.SendAndClose(&alspb.StreamAccessLogsResponse{})
		}
		if err != nil {
			return err
		}
		s.mu.Lock()
		if id := m.Identifier; id != nil {
			s.names = append(s.names, id.LogName+" of "+id.Node.Cluster+" at "+id.Node.Id)
		}
		s.entries = append(s.entries, m.GetHttpLogs().GetLogEntry()...)
		s.mu.Unlock()
	}
}

func (s *service) got() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.entries)
}

// serve serves on an address until stop is called, or the test ends.
func (s *service) serve(t *testing.T, address string) (at string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	alspb.RegisterAccessLogServiceServer(server, s)
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(l) })
	stop = func() { server.Stop(); wg.Wait() }
	t.Cleanup(stop)
	return l.Addr().String(), stop
}

func start(t *testing.T, o Options) *Log {
	t.Helper()
	o.LogName, o.Service, o.Node = "hops", "web", "host-1"
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	limit := time.After(30 * time.Second)
	for !done() {
		select {
		case <-ticker.C:
		case <-limit:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func lost(l *Log) map[string]int {
	m := map[string]int{}
	l.Dropped(func(value float64, labels ...string) {
		if value > 0 {
			m[labels[1]] += int(value)
		}
	})
	return m
}

var began = time.Date(2026, 3, 4, 5, 6, 7, 89000000, time.UTC)

func failing() *hop.Hop {
	h := &hop.Hop{
		Labels: &hop.Labels{Service: "web", Direction: hop.Outbound, Route: "/api/", Cluster: "api"},
		Trace:  hop.TraceID{1, 15: 2}, Span: hop.SpanID{3}, Parent: hop.SpanID{4}, Start: began, End: 20 * time.Millisecond, FirstByte: 19 * time.Millisecond,
		Method: "POST", Version: hop.HTTP2, Scheme: "https", Status: 200, Flags: hop.UpstreamConnectionFailure | hop.RetriesExhausted | hop.Unauthorized,
		Details: "via_upstream", Client: "2001:db8::9", Peer: "[2001:db8::9]:5123", BytesIn: 12, BytesOut: 98, GRPC: true, GRPCStatus: hop.GRPCStatusOf(14),
		Failure: hop.Failure{Hop: "bank", Part: hop.PartApplication, Kind: "connect_refused", Caller: "web", Reason: "connection refused"},
		TLS:     &hop.TLS{Version: "1.3", Cipher: "TLS_AES_128_GCM_SHA256", ServerName: "shop.test", Peer: "spiffe://mesh/front", PeerSubject: "CN=front"},
	}
	h.SetString(&h.Host, "shop.test")
	h.SetString(&h.Path, "/api/\xff")
	h.SetString(&h.Query, "token=secret")
	h.SetString(&h.UserAgent, "curl/8.5")
	h.SetString(&h.RequestID, "r-1")
	h.SetString(&h.GRPCMessage, "no backend")
	*h.Attempt() = hop.Attempt{Span: hop.SpanID{5}, Endpoint: "10.0.0.4:3000", Flags: hop.UpstreamConnectionFailure, Reason: "connection refused",
		Start: time.Millisecond, Sent: 2 * time.Millisecond, FirstByte: 18 * time.Millisecond, End: 19500 * time.Microsecond}
	h.Ask("https", []byte("shop.test"), []byte("/v2"), nil)
	return h
}

func TestEntry(t *testing.T) {
	want := &datapb.HTTPAccessLogEntry{}
	err := protojson.Unmarshal([]byte(`{
		"protocolVersion": "HTTP2",
		"commonProperties": {
			"downstreamRemoteAddress": {"socketAddress": {"address": "2001:db8::9", "portValue": 5123}},
			"downstreamDirectRemoteAddress": {"socketAddress": {"address": "2001:db8::9", "portValue": 5123}},
			"tlsProperties": {"tlsVersion": "TLSv1_3", "tlsCipherSuite": 4865, "tlsSniHostname": "shop.test",
				"peerCertificateProperties": {"subject": "CN=front", "subjectAltName": [{"uri": "spiffe://mesh/front"}]}},
			"startTime": "2026-03-04T05:06:07.089Z", "duration": "0.020s",
			"timeToFirstUpstreamTxByte": "0.002s", "timeToFirstUpstreamRxByte": "0.018s", "timeToLastUpstreamRxByte": "0.0195s",
			"timeToFirstDownstreamTxByte": "0.019s", "timeToLastDownstreamTxByte": "0.020s",
			"upstreamRemoteAddress": {"socketAddress": {"address": "10.0.0.4", "portValue": 3000}}, "upstreamCluster": "api", "routeName": "/api/",
			"responseFlags": {"upstreamConnectionFailure": true, "upstreamRetryLimitExceeded": true, "unauthorizedDetails": {"reason": "EXTERNAL_SERVICE"}},
			"upstreamTransportFailureReason": "connection refused", "upstreamRequestAttemptCount": 1, "accessLogType": "DownstreamEnd",
			"customTags": {"hopscope.service": "web", "hopscope.direction": "outbound", "hopscope.trace_id": "01000000000000000000000000000002",
				"hopscope.span_id": "0500000000000000", "hopscope.parent_id": "0400000000000000", "hopscope.failed_hop": "bank", "hopscope.failed_part": "application",
				"hopscope.failed_kind": "connect_refused", "hopscope.failed_caller": "web", "hopscope.failure_reason": "connection refused"}
		},
		"request": {"requestMethod": "POST", "scheme": "https", "authority": "shop.test", "path": "/v2", "originalPath": "/api/\ufffd?token=REDACTED",
			"userAgent": "curl/8.5", "requestId": "r-1", "requestBodyBytes": "12"},
		"response": {"responseCode": 200, "responseBodyBytes": "98", "responseCodeDetails": "via_upstream",
			"responseTrailers": {"grpc-status": "14", "grpc-message": "no backend"}}
	}`), want)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, entryOf(failing()), protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	bare := entryOf(&hop.Hop{Labels: &hop.Labels{Service: "web"}, Kind: hop.KindConnection, Start: began, Method: "_OTHER"})
	if c := bare.CommonProperties; bare.Response.ResponseCode != nil || c.UpstreamRemoteAddress != nil || c.DownstreamRemoteAddress != nil || c.ResponseFlags != nil || c.TlsProperties != nil {
		t.Errorf("of nothing: %v", bare)
	}
}

// Every flag but hopscope's own has a place in Envoy's.
func TestFlags(t *testing.T) {
	seen := map[string]hop.Flags{}
	for _, f := range hop.All() {
		text := flags(f).String()
		if before, ok := seen[text]; text == "" || ok && f != hop.ProxyPanic {
			t.Errorf("%v is %q, as is %v", f, text, before)
		}
		seen[text] = f
	}
}

func TestEntriesArrive(t *testing.T) {
	s := &service{}
	address, _ := s.serve(t, "127.0.0.1:0")
	l := start(t, Options{Address: address, Selection: accesslog.NewSelection(accesslog.OnlyFailed, 1)})
	for range 3000 { // more than one batch
		l.Observe(failing())
	}
	fine := failing()
	fine.Flags, fine.GRPCStatus = 0, 0
	l.Observe(fine)
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.got() != 3000 || len(lost(l)) != 0 {
		t.Fatalf("%d entries, lost %v", s.got(), lost(l))
	}
	if diff := cmp.Diff([]string{"hops of web at host-1"}, s.names); diff != "" {
		t.Errorf("identifiers (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(entryOf(failing()), s.entries[2999], protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A service that is not there yet gets entries once it is; one that is started anew gets
// them on a stream that names itself again. What is lost is counted, and told of once.
func TestServiceThatComesAndGoes(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := closed.Addr().String()
	closed.Close()
	var said safeBuffer
	l := start(t, Options{Address: address, Timeout: time.Second, Log: slog.New(slog.NewTextHandler(&said, nil))})
	l.Observe(failing())
	l.Tick(time.Now())
	await(t, "a lost entry", func() bool { return lost(l)["export_failed"] == 1 })
	s := &service{}
	arrives := func(what string) {
		t.Helper()
		before := s.got()
		await(t, what, func() bool {
			l.Observe(failing())
			l.Tick(time.Now())
			return s.got() > before
		})
	}
	_, stop := s.serve(t, address)
	arrives("entries at the service that came")
	await(t, "the all-clear", func() bool { return strings.Contains(said.String(), "works again") })
	stop()
	s.serve(t, address)
	// What the service that was stopped had under way may still arrive.
	await(t, "a stream to the service that was started anew", func() bool {
		l.Observe(failing())
		l.Tick(time.Now())
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.names) == 2
	})
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(s.names) != 2 {
		t.Errorf("streams: %v, want 2", s.names)
	}
	if n := strings.Count(said.String(), "access log entries are lost"); n != 1 {
		t.Errorf("%d warnings, want 1: %s", n, said.String())
	}
}

// A service that takes the stream and reads nothing costs entries beyond what the
// connection and the queue hold, and closing does not wait for it longer than it may.
func TestServiceThatReadsNothing(t *testing.T) {
	s := &service{hang: make(chan struct{})}
	address, _ := s.serve(t, "127.0.0.1:0")
	l := start(t, Options{Address: address, Timeout: time.Second, QueueBytes: 1 << 20})
	large := failing()
	large.SetString(&large.UserAgent, strings.Repeat("a", hop.MaxText))
	large.SetString(&large.RequestID, strings.Repeat("b", hop.MaxText))
	await(t, "a full queue, and a message that is given up", func() bool {
		for range 100 {
			l.Observe(large)
		}
		l.Tick(time.Now())
		d := lost(l)
		return d["queue_full"] > 0 && d["export_failed"] > 0
	})
	if w := l.queue.Waiting(); w > 1<<20+maxBatchBytes+64<<10 {
		t.Errorf("%d bytes wait", w)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Close(ctx); err == nil {
		t.Error("Close is silent about what it lost")
	}
}

// A service that does not want entries is told of, and each of them is counted.
func TestServiceThatRefuses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer() // it has no such service
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() { server.Stop(); wg.Wait() })
	var said safeBuffer
	log := start(t, Options{Address: l.Addr().String(), Log: slog.New(slog.NewTextHandler(&said, nil))})
	observed := 0
	await(t, "refused entries being counted", func() bool {
		log.Observe(failing())
		log.Tick(time.Now())
		observed++
		return lost(log)["rejected"] > 0
	})
	if err := log.Close(t.Context()); err != nil && !strings.Contains(err.Error(), "Unimplemented") {
		t.Errorf("Close: %v", err)
	}
	d := lost(log)
	if n := d["rejected"] + d["export_failed"] + d["queue_full"] + d["closed"]; n != observed {
		t.Errorf("lost %v of %d entries", d, observed)
	}
	if n := strings.Count(said.String(), "access log entries are lost"); n != 1 || !strings.Contains(said.String(), "Unimplemented") {
		t.Errorf("%d warnings: %s", n, said.String())
	}
}

// safeBuffer is a log that is read while it is written.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
