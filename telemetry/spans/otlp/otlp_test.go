package otlp

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"

	"github.com/hopscope/hopscope/telemetry/collector"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/spans"
)

var _ spans.Exporter = (*Exporter)(nil)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a fake collector, because no real one can be told to misbehave.
type fake struct {
	coltracepb.UnimplementedTraceServiceServer
	answer func(ctx context.Context, call int) (*coltracepb.ExportTraceServiceResponse, error)

	mu      sync.Mutex
	calls   int
	spans   int
	service string
}

func (c *fake) Export(ctx context.Context, r *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	c.calls++
	call := c.calls
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

func (c *fake) seen() (calls, spans int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls, c.spans
}

func (c *fake) serve(t *testing.T, l net.Listener) {
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

func newSpans(t *testing.T, o collector.Options) *spans.Spans {
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
	c := &fake{}
	l := listen(t, "127.0.0.1:0")
	c.serve(t, l)
	s := newSpans(t, collector.Options{Endpoint: l.Addr().String()})
	for i := range 10 {
		s.Observe(aHop(byte(i + 1)))
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if calls, n := c.seen(); calls != 1 || n != 10 || c.service != "web" {
		t.Errorf("%d spans of %q in %d calls, want 10 of web in one", n, c.service, calls)
	}
}

// A collector that takes a call and never answers costs the spans it was
// given, and no more once it answers again.
func TestACollectorThatHangsAndRecovers(t *testing.T) {
	c := &fake{answer: func(ctx context.Context, call int) (*coltracepb.ExportTraceServiceResponse, error) {
		if call == 1 {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return &coltracepb.ExportTraceServiceResponse{}, nil
	}}
	l := listen(t, "127.0.0.1:0")
	c.serve(t, l)
	s := newSpans(t, collector.Options{Endpoint: l.Addr().String(), Timeout: 300 * time.Millisecond})
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
	s := newSpans(t, collector.Options{Endpoint: address, Timeout: 300 * time.Millisecond})
	s.Observe(aHop(1))
	s.Tick(time.Now())
	await(t, "the refused call to be given up", func() bool { return dropped(s)["export_failed"] == 1 })

	c := &fake{}
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
	s := newSpans(t, collector.Options{Endpoint: l.Addr().String(), Timeout: time.Hour})
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
