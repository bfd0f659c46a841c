package collector

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	_ "google.golang.org/grpc/encoding/gzip" // the collector takes it
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	collogspb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// got is what a fake collector was sent, because no real one can be told to misbehave.
type got struct {
	mu          sync.Mutex
	calls       int
	spans, logs int
	headers     map[string][]string // of the last call, in the protocol's case
	path        string
}

// sight is what there is to see of a collector.
type sight struct {
	calls, spans, logs int
	headers, path      string
}

func (g *got) see() sight {
	g.mu.Lock()
	defer g.mu.Unlock()
	return sight{g.calls, g.spans, g.logs, strings.ToLower(fmt.Sprint(g.headers)), g.path}
}

// begin counts a call and returns its number.
func (g *got) begin(path string, headers map[string][]string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls++
	g.path, g.headers = path, headers
	return g.calls
}

func (g *got) traces(r *coltracepb.ExportTraceServiceRequest) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, rs := range r.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			g.spans += len(ss.Spans)
		}
	}
}

func (g *got) records(r *collogspb.ExportLogsServiceRequest) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, rl := range r.ResourceLogs {
		for _, sl := range rl.ScopeLogs {
			g.logs += len(sl.LogRecords)
		}
	}
}

// grpcCollector speaks OTLP/gRPC.
type grpcCollector struct {
	coltracepb.UnimplementedTraceServiceServer
	got
	answer func(ctx context.Context, call int) (*coltracepb.ExportTraceServiceResponse, error) // nil is for good
}

func (c *grpcCollector) Export(ctx context.Context, r *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	headers, _ := metadata.FromIncomingContext(ctx)
	call := c.begin("", headers)
	response := &coltracepb.ExportTraceServiceResponse{}
	if c.answer != nil {
		var err error
		if response, err = c.answer(ctx, call); err != nil {
			return nil, err
		}
	}
	c.traces(r)
	return response, nil
}

// logsOf serves the other signal.
type logsOf struct {
	collogspb.UnimplementedLogsServiceServer
	*grpcCollector
}

func (l logsOf) Export(ctx context.Context, r *collogspb.ExportLogsServiceRequest) (*collogspb.ExportLogsServiceResponse, error) {
	headers, _ := metadata.FromIncomingContext(ctx)
	l.begin("", headers)
	l.records(r)
	return &collogspb.ExportLogsServiceResponse{PartialSuccess: &collogspb.ExportLogsPartialSuccess{RejectedLogRecords: 1}}, nil
}

// serve starts the collector; config may be nil for plain text.
func (c *grpcCollector) serve(t *testing.T, l net.Listener, config *tls.Config) {
	var options []grpc.ServerOption
	if config != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(config)))
	}
	server := grpc.NewServer(options...)
	coltracepb.RegisterTraceServiceServer(server, c)
	collogspb.RegisterLogsServiceServer(server, logsOf{grpcCollector: c})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		server.Stop()
		<-ended
	})
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// httpCollector speaks OTLP/HTTP.
type httpCollector struct {
	got
	answer func(w http.ResponseWriter, call int) // nil is for good
}

func (c *httpCollector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	call := c.begin(r.URL.Path, r.Header)
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		zipped, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = zipped
	}
	content, err := io.ReadAll(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if c.answer != nil {
		c.answer(w, call)
		return
	}
	traces, logs := new(coltracepb.ExportTraceServiceRequest), new(collogspb.ExportLogsServiceRequest)
	switch r.Header.Get("Content-Type") + " " + r.URL.Path {
	case "application/x-protobuf /v1/traces", "application/x-protobuf /base/v1/traces":
		err = proto.Unmarshal(content, traces)
	case "application/x-protobuf /v1/logs":
		err = proto.Unmarshal(content, logs)
	default:
		http.NotFound(w, r)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.traces(traces)
	c.records(logs)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (c *httpCollector) serve(t *testing.T) (address string) {
	s := httptest.NewServer(c)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func spans(n int) []*tracepb.ResourceSpans {
	list := make([]*tracepb.Span, n)
	for i := range list {
		list[i] = &tracepb.Span{Name: "GET /"}
	}
	return []*tracepb.ResourceSpans{{ScopeSpans: []*tracepb.ScopeSpans{{Spans: list}}}}
}

func logs(n int) []*logspb.ResourceLogs {
	list := make([]*logspb.LogRecord, n)
	for i := range list {
		list[i] = &logspb.LogRecord{Body: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: "line"}}}
	}
	return []*logspb.ResourceLogs{{ScopeLogs: []*logspb.ScopeLogs{{LogRecords: list}}}}
}

func client(t *testing.T, signal Signal, o Options) *Client {
	t.Helper()
	c, err := New(signal, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
