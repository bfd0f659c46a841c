package otlp

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // the collector of this test takes it
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"

	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/spans"
)

var _ spans.Exporter = (*Exporter)(nil)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOptionsAreChecked(t *testing.T) {
	for _, tt := range []struct {
		options Options
		want    string // in the error; "" for none
	}{
		{Options{Endpoint: "127.0.0.1:4317"}, ""},
		{Options{Endpoint: "[::1]:4317", TLS: true, Compression: "gzip"}, ""},
		{Options{}, "host:port"},
		{Options{Endpoint: "collector"}, "host:port"},
		{Options{Endpoint: "collector:otlp"}, "between 1 and 65535"},
		{Options{Endpoint: "collector:0"}, "between 1 and 65535"},
		{Options{Endpoint: "http://collector:4317"}, "is a URL"},
		{Options{Endpoint: "collector:4317", Compression: "zstd"}, `"gzip"`},
	} {
		e, err := New(tt.options)
		if err == nil {
			if err := e.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%+v: %v", tt.options, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%+v: error %v, want one that says %q", tt.options, err, tt.want)
		}
	}
}

// collector is a fake one, because no real one can be told to misbehave.
type collector struct {
	coltracepb.UnimplementedTraceServiceServer
	answer func(ctx context.Context, call int) (*coltracepb.ExportTraceServiceResponse, error)

	mu      sync.Mutex
	calls   int
	spans   int
	service string
	headers metadata.MD
}

func (c *collector) Export(ctx context.Context, r *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	c.calls++
	call := c.calls
	c.headers, _ = metadata.FromIncomingContext(ctx)
	c.mu.Unlock()
	response := &coltracepb.ExportTraceServiceResponse{}
	if c.answer != nil {
		var err error
		if response, err = c.answer(ctx, call); err != nil {
			return nil, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, rs := range r.ResourceSpans {
		c.service = rs.Resource.Attributes[0].Value.GetStringValue()
		for _, ss := range rs.ScopeSpans {
			c.spans += len(ss.Spans)
		}
	}
	return response, nil
}

func (c *collector) seen() (calls, spans int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls, c.spans
}

func (c *collector) serve(t *testing.T, l net.Listener) {
	server := grpc.NewServer()
	coltracepb.RegisterTraceServiceServer(server, c)
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

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func newSpans(t *testing.T, o Options) *spans.Spans {
	t.Helper()
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return spans.New([]spans.Exporter{e}, spans.Options{})
}

func aHop(trace byte) *hop.Hop {
	return &hop.Hop{
		Labels: &hop.Labels{Service: "web", Route: "/", Cluster: "web"},
		Trace:  hop.TraceID{trace}, Span: hop.SpanID{1}, Sampled: true, Keep: hop.KeepRatio,
		Start: time.Now(), End: time.Millisecond, Method: "GET", Status: 200,
	}
}

func dropped(s *spans.Spans) map[string]int {
	m := make(map[string]int)
	s.Dropped(func(value float64, labels ...string) {
		if value > 0 {
			m[labels[1]] = int(value)
		}
	})
	return m
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

func TestSpansArrive(t *testing.T) {
	for _, compression := range []string{"", "gzip"} {
		c := &collector{}
		l := listen(t, "127.0.0.1:0")
		c.serve(t, l)
		s := newSpans(t, Options{
			Endpoint: l.Addr().String(), Compression: compression,
			Headers: map[string]string{"x-api-key": "k"},
		})
		for i := range 10 {
			s.Observe(aHop(byte(i + 1)))
		}
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if calls, n := c.seen(); calls != 1 || n != 10 {
			t.Errorf("%d spans in %d calls, want 10 in one", n, calls)
		}
		if c.service != "web" || len(c.headers["x-api-key"]) != 1 {
			t.Errorf("service %q, headers %v", c.service, c.headers)
		}
	}
}

// What the specification lets be sent again is, and nothing else.
func TestRetries(t *testing.T) {
	exhausted := status.New(codes.ResourceExhausted, "later")
	withInfo, err := exhausted.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Millisecond)})
	if err != nil {
		t.Fatal(err)
	}
	type response = coltracepb.ExportTraceServiceResponse
	partial := &response{PartialSuccess: &coltracepb.ExportTracePartialSuccess{RejectedSpans: 2, ErrorMessage: "too old"}}
	for _, tt := range []struct {
		name     string
		response *response
		err      error
		calls    int
		dropped  map[string]int
	}{
		{"resource exhausted", nil, exhausted.Err(), 1, map[string]int{"export_failed": 3}},
		{"resource exhausted with a time to come back", nil, withInfo.Err(), 2, nil},
		{"unavailable", nil, status.Error(codes.Unavailable, "restarting"), 2, nil},
		{"invalid", nil, status.Error(codes.InvalidArgument, "no"), 1, map[string]int{"export_failed": 3}},
		{"partial success", partial, nil, 1, map[string]int{"rejected": 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := &collector{answer: func(_ context.Context, call int) (*response, error) {
				if call == 1 {
					return tt.response, tt.err
				}
				return &response{}, nil
			}}
			l := listen(t, "127.0.0.1:0")
			c.serve(t, l)
			s := newSpans(t, Options{Endpoint: l.Addr().String()})
			for i := range 3 {
				s.Observe(aHop(byte(i + 1)))
			}
			if err := s.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			if calls, _ := c.seen(); calls != tt.calls {
				t.Errorf("%d calls, want %d", calls, tt.calls)
			}
			got := dropped(s)
			if len(got) != len(tt.dropped) {
				t.Errorf("dropped %v, want %v", got, tt.dropped)
			}
			for reason, n := range tt.dropped {
				if got[reason] != n {
					t.Errorf("dropped %v, want %v", got, tt.dropped)
				}
			}
		})
	}
}

// A collector that takes a call and never answers costs the spans it was
// given, and no more once it answers again.
func TestACollectorThatHangsAndRecovers(t *testing.T) {
	c := &collector{answer: func(ctx context.Context, call int) (*coltracepb.ExportTraceServiceResponse, error) {
		if call == 1 {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return &coltracepb.ExportTraceServiceResponse{}, nil
	}}
	l := listen(t, "127.0.0.1:0")
	c.serve(t, l)
	s := newSpans(t, Options{Endpoint: l.Addr().String(), Timeout: 300 * time.Millisecond})
	s.Observe(aHop(1))
	s.Tick(time.Now())
	await(t, "the hanging call to be given up", func() bool { return dropped(s)["export_failed"] == 1 })
	s.Observe(aHop(2))
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, n := c.seen(); n != 1 {
		t.Errorf("%d spans arrived after the recovery, want 1", n)
	}
	if d := dropped(s); len(d) != 1 {
		t.Errorf("dropped %v", d)
	}
}

// A collector that is not there yet gets the spans when it comes.
func TestACollectorThatIsStartedLater(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	address := l.Addr().String()
	l.Close()
	s := newSpans(t, Options{Endpoint: address, Timeout: 300 * time.Millisecond})
	s.Observe(aHop(1))
	s.Tick(time.Now())
	await(t, "the refused call to be given up", func() bool { return dropped(s)["export_failed"] == 1 })

	c := &collector{}
	c.serve(t, listen(t, address))
	i := byte(1)
	await(t, "a span to arrive", func() bool {
		i++
		s.Observe(aHop(i))
		s.Tick(time.Now())
		_, n := c.seen()
		return n > 0
	})
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Closing does not wait for a dead collector longer than it may.
func TestCloseIsBounded(t *testing.T) {
	l := listen(t, "127.0.0.1:0") // it never accepts
	s := newSpans(t, Options{Endpoint: l.Addr().String(), Timeout: time.Hour})
	s.Observe(aHop(1))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close: %v, want that its time was up", err)
	}
	if d := dropped(s); d["closed"] != 1 {
		t.Errorf("dropped %v, want one span for the lack of time", d)
	}
}
