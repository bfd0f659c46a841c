package main

import (
	"encoding/json"
	"io"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// spansOf is what a service sends: n spans in two scopes.
func spansOf(service string, n int) *trace.ResourceSpans {
	name := &common.KeyValue{Key: "service.name", Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: service}}}
	first := make([]*trace.Span, n/2)
	rest := make([]*trace.Span, n-n/2)
	for i := range rest {
		rest[i] = &trace.Span{}
		if i < len(first) {
			first[i] = &trace.Span{}
		}
	}
	return &trace.ResourceSpans{
		Resource:   &resource.Resource{Attributes: []*common.KeyValue{{Key: "host.name"}, name}},
		ScopeSpans: []*trace.ScopeSpans{{Spans: first}, {Spans: rest}},
	}
}

func TestSinkCounts(t *testing.T) {
	defer goleak.VerifyNone(t)
	asks, ask := io.Pipe()
	reading, answering := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- serveSink(asks, answering) }()
	answers := json.NewDecoder(reading)
	var at sinkAddresses
	if err := answers.Decode(&at); err != nil {
		t.Fatal(err)
	}
	s := &sink{sinkAddresses: at, ask: ask, answers: answers}

	conn, err := grpc.NewClient(at.OTLP, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := collector.NewTraceServiceClient(conn)
	for _, batch := range [][]*trace.ResourceSpans{{spansOf("a", 3), spansOf("b", 1)}, {spansOf("a", 4)}, {{}}, nil} {
		if _, err := client.Export(t.Context(), &collector.ExportTraceServiceRequest{ResourceSpans: batch}); err != nil {
			t.Fatal(err)
		}
	}
	syslog, err := net.Dial("udp", at.Syslog)
	if err != nil {
		t.Fatal(err)
	}
	defer syslog.Close()
	if _, err := io.WriteString(syslog, "<134>Mar  4 05:06:07 haproxy[1]: a line"); err != nil {
		t.Fatal(err)
	}
	got := awaitSyslog(t, s, 1)
	if diff := cmp.Diff(map[string]int64{"a": 7, "b": 1}, got.Spans); diff != "" {
		t.Error(diff)
	}
	if err := ask.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the sink ended with %v", err)
	}
}

// awaitSyslog asks until n datagrams have arrived.
func awaitSyslog(t *testing.T, s *sink, n int64) sinkCounts {
	t.Helper()
	for limit := time.Now().Add(10 * time.Second); ; {
		c, err := s.counts()
		if err != nil {
			t.Fatal(err)
		}
		if c.Syslog >= n || time.Now().After(limit) {
			if c.Syslog != n {
				t.Errorf("%d datagrams counted, want %d", c.Syslog, n)
			}
			return c
		}
	}
}

func TestSinkProcess(t *testing.T) {
	s, err := startSink("/proc/self/exe", unpinned)
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	if c, err := s.counts(); err != nil || c.Syslog != 0 || len(c.Spans) != 0 {
		t.Errorf("a fresh sink has counted %+v, %v", c, err)
	}
}
