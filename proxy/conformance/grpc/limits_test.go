package grpc_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/keepalive"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

const mebi = 1 << 20

// Messages go through whatever their size; a limit is the endpoint's or the
// caller's, and each gets to hear of the other's.
func TestMessageSizes(t *testing.T) {
	for _, w := range []wiring{wirings[0], wirings[3]} {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			c := &callee{options: []grpc.ServerOption{grpc.MaxRecvMsgSize(17 * mebi)}}
			x := startCalls(t, w, c)
			large := grpc.MaxCallRecvMsgSize(17 * mebi)

			r, err := x.UnaryCall(limited(t), &pb.SimpleRequest{Payload: payload(16 * mebi)}, large)
			wantCode(t, "16 MiB up and down", err, codes.OK)
			proxytest.Same(t, "bytes that came back", len(r.GetPayload().GetBody()), 16*mebi)

			// The endpoint refuses it while it is on its way.
			_, err = x.UnaryCall(limited(t), &pb.SimpleRequest{Payload: payload(20 * mebi)}, large)
			wantCode(t, "more than the endpoint takes", err, codes.ResourceExhausted)

			_, err = x.UnaryCall(limited(t), &pb.SimpleRequest{Payload: payload(8 * mebi)})
			wantCode(t, "more than the caller takes", err, codes.ResourceExhausted)

			_, err = x.UnaryCall(limited(t), &pb.SimpleRequest{Payload: payload(10)})
			wantCode(t, "after all that", err, codes.OK)
			v := x.end(4)
			proxytest.Same(t, "RESOURCE_EXHAUSTED by the endpoint", v.Metrics.Sum("hopscope_requests_total", "grpc_status", "RESOURCE_EXHAUSTED"), 1)
		})
	}
}

// A caller that is refused at once, with metadata that is too large, hears why.
func TestMetadataOverTheLimit(t *testing.T) {
	t.Parallel()
	x := startCalls(t, wirings[0], &callee{})
	_, err := x.UnaryCall(limited(t, "x-large", strings.Repeat("a", 70_000)), &pb.SimpleRequest{})
	if err == nil {
		t.Error("metadata over the limit went through")
	}
	_, err = x.UnaryCall(limited(t), &pb.SimpleRequest{})
	wantCode(t, "the next call", err, codes.OK)
}

// Both sides of grpc-go measure the connection by PINGs, up to one for each round
// trip; busy streams are no flood.
func TestBusyStreamsAreNoFlood(t *testing.T) {
	t.Parallel()
	const streams, rounds = 4, 1500
	x := startCalls(t, wirings[0], &callee{})
	var wg sync.WaitGroup
	for range streams {
		wg.Go(func() {
			s, err := x.FullDuplexCall(limited(t))
			for range rounds {
				if err == nil {
					err = s.Send(&pb.StreamingOutputCallRequest{Payload: payload(10)})
				}
				if err == nil {
					_, err = s.Recv()
				}
			}
			if err == nil {
				s.CloseSend()
				_, err = s.Recv()
			}
			if !errors.Is(err, io.EOF) {
				t.Errorf("a stream broke: %v", err)
			}
		})
	}
	wg.Wait()
	for _, one := range x.end(streams).Lines {
		proxytest.Same(t, "grpc_status", one["grpc_status"], any(0.0))
	}
}

// Callers that cancel now and then, as those do that hedge their calls, are no
// flood of resets either, and cost the others nothing.
func TestCancellationsAreNoFlood(t *testing.T) {
	t.Parallel()
	const cancels = 100
	c := hanging()
	c.unary = nil
	x := startCalls(t, wirings[0], c)
	var wg sync.WaitGroup
	for range cancels {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(limited(t))
			defer cancel()
			s, err := x.StreamingOutputCall(ctx, &pb.StreamingOutputCallRequest{})
			if err == nil {
				_, err = s.Recv()
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for range cancels {
		proxytest.AwaitClosed(t, "the endpoint heard of it", c.gave)
	}
	_, err := x.UnaryCall(limited(t), &pb.SimpleRequest{})
	wantCode(t, "a call besides", err, codes.OK)
	v := x.end(cancels + 1)
	proxytest.Same(t, "connections", v.Metrics.Sum("hopscope_downstream_connections_total"), 1)
}

// counting is a listener that counts connections.
type counting struct {
	net.Listener
	n atomic.Int64
}

func (c *counting) Accept() (net.Conn, error) {
	nc, err := c.Listener.Accept()
	if err == nil {
		c.n.Add(1)
	}
	return nc, err
}

// An endpoint that closes its connections again and again as they get old costs no
// call: what it did not begin is sent once more, and what it did ends in peace.
func TestEndpointsConnectionsGetOld(t *testing.T) {
	for _, w := range []wiring{wirings[0], wirings[3]} {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			const connections = 15
			c := &callee{options: []grpc.ServerOption{grpc.KeepaliveParams(keepalive.ServerParameters{
				MaxConnectionAge: 20 * time.Millisecond, MaxConnectionAgeGrace: proxytest.Patience,
			})}}
			if w.up {
				c.ca = proxytest.NewAuthority(t)
			}
			socket, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			counted := &counting{Listener: socket}
			c.serve(t, counted)
			x := callThrough(t, w, c)

			long, err := x.FullDuplexCall(limited(t))
			if err != nil {
				t.Fatal(err)
			}
			var calls atomic.Int64
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					for limit := proxytest.Deadline(); counted.n.Load() < connections && time.Now().Before(limit); {
						_, err := x.UnaryCall(limited(t), &pb.SimpleRequest{Payload: payload(100)})
						if calls.Add(1); err != nil {
							t.Errorf("a call failed: %v", err)
							return
						}
					}
				})
			}
			for counted.n.Load() < connections && !t.Failed() {
				pingPong(t, long, 100)
			}
			wg.Wait()
			if err := long.CloseSend(); err != nil {
				t.Error(err)
			}
			if _, err := long.Recv(); !errors.Is(err, io.EOF) {
				t.Errorf("the long stream broke: %v", err)
			}
			if counted.n.Load() < connections {
				t.Errorf("%d connections, want %d", counted.n.Load(), connections)
			}
			for _, one := range x.end(int(calls.Load()) + 1).Lines {
				if one["grpc_status"] != 0.0 {
					t.Errorf("a call that did not end well: %v", one)
				}
			}
		})
	}
}

// A proxy that ends says so to its clients (GOAWAY), and lets streams go on.
func TestDrainWithLongStreams(t *testing.T) {
	for _, w := range []wiring{wirings[0], wirings[3]} {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			x := startCalls(t, w, &callee{})
			s, err := x.FullDuplexCall(limited(t))
			if err != nil {
				t.Fatal(err)
			}
			pingPong(t, s, 10)
			closed := make(chan error, 1)
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), proxytest.Patience)
				defer cancel()
				closed <- x.Close(ctx)
			}()
			ctx := limited(t)
			for state := x.conn.GetState(); state == connectivity.Ready; state = x.conn.GetState() {
				if !x.conn.WaitForStateChange(ctx, state) {
					t.Fatal("the client was not told to go")
				}
			}
			for i := range 20 {
				pingPong(t, s, i*1000)
			}
			select {
			case err := <-closed:
				t.Fatalf("the proxy ended (%v) under a stream", err)
			default:
			}
			if err := s.CloseSend(); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Recv(); !errors.Is(err, io.EOF) {
				t.Errorf("the stream broke: %v", err)
			}
			if err := <-closed; err != nil {
				t.Errorf("closing the proxy: %v", err)
			}
			proxytest.Same(t, "grpc_status", x.Lines()[0]["grpc_status"], any(0.0))
		})
	}
}

// What is left of the streams when the time to drain is over is cut, and its
// clients learn of it.
func TestDrainCutsStreams(t *testing.T) {
	t.Parallel()
	c := hanging()
	x := startCalls(t, wirings[0], c)
	s, err := x.StreamingOutputCall(limited(t), &pb.StreamingOutputCallRequest{})
	if err == nil {
		_, err = s.Recv()
	}
	if err != nil {
		t.Fatal(err)
	}
	x.Stop()
	_, err = s.Recv()
	wantCode(t, "a stream that was cut", err, codes.Unavailable)
	proxytest.AwaitClosed(t, "the endpoint heard of it", c.gave)
}
