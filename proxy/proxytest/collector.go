package proxytest

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
)

// Collector is an OpenTelemetry collector that keeps what it gets.
type Collector struct {
	coltracepb.UnimplementedTraceServiceServer
	Address string
	Hang    chan struct{} // while it is open no export is answered; nil is never

	mu    sync.Mutex
	spans []Span
}

func startCollector(t testing.TB, address string) *Collector {
	t.Helper()
	c := &Collector{}
	c.Start(t, address)
	return c
}

// Start serves at an address until the test ends.
func (c *Collector) Start(t testing.TB, address string) {
	t.Helper()
	socket, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c.Serve(t, socket)
}

// Serve serves on a socket until the test ends.
func (c *Collector) Serve(t testing.TB, socket net.Listener) {
	c.Address = socket.Addr().String()
	server := grpc.NewServer()
	coltracepb.RegisterTraceServiceServer(server, c)
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(socket) })
	t.Cleanup(func() {
		server.Stop()
		wg.Wait()
	})
}

// Export is the collector's one method.
func (c *Collector) Export(ctx context.Context, r *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	if c.Hang != nil {
		select {
		case <-c.Hang:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, rs := range r.ResourceSpans {
		service := attributes(rs.Resource.Attributes)["service.name"]
		for _, ss := range rs.ScopeSpans {
			for _, s := range ss.Spans {
				c.spans = append(c.spans, Span{s, service, attributes(s.Attributes)})
			}
		}
	}
	return &coltracepb.ExportTraceServiceResponse{}, nil
}

// All is what it has got so far.
func (c *Collector) All() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.spans)
}

// Span is a span as the collector got it.
type Span struct {
	*tracepb.Span
	Service    string
	Attributes map[string]string
}

// Failed reports whether the status of the span is an error.
func (s Span) Failed() bool { return s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR }

func attributes(list []*commonpb.KeyValue) map[string]string {
	m := map[string]string{}
	for _, kv := range list {
		switch v := kv.Value.Value.(type) {
		case *commonpb.AnyValue_StringValue:
			m[kv.Key] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			m[kv.Key] = fmt.Sprint(v.IntValue)
		case *commonpb.AnyValue_BoolValue:
			m[kv.Key] = fmt.Sprint(v.BoolValue)
		}
	}
	return m
}
