package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hopscope/hopscope/mesh"
	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/tail"
)

// streamed is a stream that a client reads, and the proxy whose requests it shows.
type streamed struct {
	server *Server
	lines  *bufio.Scanner
	leave  func()
	served chan error
}

// openStream starts a proxy with some requests a moment, and reads its stream.
func openStream(t *testing.T, path string, change func(n int, h *hop.Hop)) *streamed {
	t.Helper()
	view := tail.New()
	o := Options{Service: "web", Log: slog.New(slog.DiscardHandler), Tail: view}
	s := &streamed{server: NewServer(New(o), o.Log, func() int { return maxConnections }), served: make(chan error, 1)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { s.served <- s.server.Serve(l) }()
	ctx, cancel := context.WithCancel(t.Context())
	var feeding sync.WaitGroup
	feeding.Go(func() {
		for n := 1; ctx.Err() == nil; n++ {
			h := &hop.Hop{Labels: &hop.Labels{Service: "web"}, Trace: hop.TraceID{1, byte(n >> 8), byte(n)}, Span: hop.SpanID{1}, Start: time.Now(), End: 1, Method: "GET", Status: 200}
			change(n, h)
			view.Observe(h)
			view.Tick(time.Now())
			time.Sleep(5 * time.Millisecond) // so that they come one after the other
		}
	})
	r, err := http.NewRequestWithContext(ctx, "GET", "http://"+l.Addr().String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{}}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Fatalf("%s, %v", resp.Status, resp.Header)
	}
	s.lines = bufio.NewScanner(resp.Body)
	s.leave = func() { cancel(); feeding.Wait(); resp.Body.Close(); client.CloseIdleConnections() }
	return s
}

// next reads lines until one has a text.
func (s *streamed) next(t *testing.T, text string) string {
	t.Helper()
	for s.lines.Scan() {
		if !json.Valid(s.lines.Bytes()) {
			t.Fatalf("no JSON: %s", s.lines.Text())
		}
		if strings.Contains(s.lines.Text(), text) {
			return s.lines.Text()
		}
	}
	t.Fatalf("the stream ended: %v", s.lines.Err())
	return ""
}

// TestStream: requests show as they end, those that come too fast are counted, and nothing
// is left when the client goes.
func TestStream(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	s := openStream(t, "/v1/mesh/tail?failed=1&rate=1&service=web", func(n int, h *hop.Hop) {
		if n%2 == 0 {
			h.Status, h.Failure = 503, hop.Failure{Origin: hop.OriginProxy, Hop: "bank", Caller: "web", Reason: "refused"}
		}
	})
	s.next(t, "{}")
	if line := s.next(t, "trace_id"); !strings.Contains(line, `"failed":true`) || !strings.Contains(line, `"edge":"web -> bank"`) || !strings.Contains(line, `"next":"hopscope trace `) {
		t.Error(line)
	}
	s.next(t, `{"missed":`)
	s.leave()
	if err := s.server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	<-s.served
}

// TestStreamEndsWithTheServer: a page that is open does not keep the proxy from ending.
func TestStreamEndsWithTheServer(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	s := openStream(t, "/v1/mesh/tail", func(int, *hop.Hop) {})
	s.next(t, "trace_id")
	if err := s.server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	for s.lines.Scan() {
	}
	<-s.served
	s.leave()
}

func TestStreamParameters(t *testing.T) {
	f := newFixture(t, nil)
	for _, path := range []string{"?rate=0", "?rate=1001", "?rate=x", "?failed=maybe", "?since=1m"} {
		if got := f.do("GET", "/v1/mesh/tail"+path); got.status != 400 {
			t.Errorf("%s: %v", path, got)
		}
	}
}

// TestSlowWatchersMiss: who does not read holds up nobody, and the mesh is asked once for
// all who watch.
func TestSlowWatchersMiss(t *testing.T) {
	runs, told := 0, make(chan mesh.TailOptions)
	l := &live{watchers: map[*watcher]bool{}, tail: func(ctx context.Context, o mesh.TailOptions) error {
		runs++
		told <- o
		<-ctx.Done()
		return nil
	}}
	all := func(*mesh.Summary) bool { return true }
	slow, other := l.watch(all), l.watch(func(s *mesh.Summary) bool { return s.Passed("orders") })
	o := <-told
	for range 10_000 {
		o.Trace(mesh.Summary{Service: "web"})
		o.Note("10.0.0.1:9901", "it does not answer")
	}
	o.Missed(5)
	if n := slow.missed.Load(); len(slow.traces) != streamBuffer || n != 10_000-streamBuffer+5 || len(slow.notes) != cap(slow.notes) {
		t.Errorf("%d are kept, %d are missed", len(slow.traces), n)
	}
	if n := other.missed.Load(); len(other.traces) != 0 || n != 5 {
		t.Errorf("of another service %d are kept, %d are missed", len(other.traces), n)
	}
	l.leave(slow)
	l.leave(other)
	last := l.watch(all)
	<-told
	l.leave(last)
	if runs != 2 {
		t.Errorf("the mesh was asked %d times", runs)
	}
}
