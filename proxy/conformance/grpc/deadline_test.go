package grpc_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	hopgrpc "github.com/hopscope/hopscope/proxy/grpc"
	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/telemetry/headers"
)

// hanging is a server none of whose methods returns before its caller has given
// up, which gave tells each time. Streams send one response before.
func hanging() *callee {
	gave := make(chan struct{}, 100)
	hang := func(ctx context.Context) error {
		<-ctx.Done()
		gave <- struct{}{}
		return ctx.Err()
	}
	return &callee{
		gave:  gave,
		unary: func(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) { return nil, hang(ctx) },
		output: func(_ *pb.StreamingOutputCallRequest, s grpc.ServerStreamingServer[pb.StreamingOutputCallResponse]) error {
			if err := s.Send(&pb.StreamingOutputCallResponse{Payload: payload(10)}); err != nil {
				return err
			}
			return hang(s.Context())
		},
		duplex: func(s grpc.BidiStreamingServer[pb.StreamingOutputCallRequest, pb.StreamingOutputCallResponse]) error {
			if err := s.Send(&pb.StreamingOutputCallResponse{Payload: payload(10)}); err != nil {
				return err
			}
			return hang(s.Context())
		},
	}
}

// neverAnswers is a server whose calls hang, and that has no clock of its own; a
// stream has a response before. asked tells of each call, gave of each that was ended.
func neverAnswers(t testing.TB) (address string, asked, gave chan struct{}) {
	asked, gave = make(chan struct{}, 10), make(chan struct{}, 10)
	return h2cServer(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "StreamingOutputCall") {
			w.Header().Set("Content-Type", "application/grpc")
			w.Write(proxytest.GRPCMessage(nil))
			w.(http.Flusher).Flush()
		}
		asked <- struct{}{}
		<-r.Context().Done()
		gave <- struct{}{}
	}), asked, gave
}

// The proxy itself ends a call whose time is up: by the caller's timeout, which
// counts whatever the route says, or by the route's.
func TestDeadlineIsTheProxys(t *testing.T) {
	tests := []struct {
		name    string
		timeout string // the caller's
		route   time.Duration
		method  string
		says    string
	}{
		{"grpc-timeout", "50m", 15 * time.Second, "UnaryCall", "grpc-timeout of 50ms"},
		{"grpc-timeout where the route has none", "50m", 0, "UnaryCall", "grpc-timeout of 50ms"},
		{"the route's", "30S", 50 * time.Millisecond, "UnaryCall", "did not answer within the route's timeout"},
		{"the route's alone", "", 50 * time.Millisecond, "UnaryCall", "did not answer within the route's timeout"},
		{"none left", "0n", 15 * time.Second, "UnaryCall", "grpc-timeout"},
		// The response has to begin within the time, also where the machine is busy.
		{"grpc-timeout in a stream", "2S", 15 * time.Second, "StreamingOutputCall", "grpc-timeout of 2s"},
		{"the route's in a stream", "30S", 2 * time.Second, "StreamingOutputCall", "did not end its response within the route's timeout"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			address, asked, gave := neverAnswers(t)
			l := proxytest.StartWithViews(t, address, func(s *proxytest.Settings) { s.Cluster.Protocol, s.Route.Timeout = "http2", tt.route })
			fields := []string{"Grpc-Timeout", tt.timeout}
			if tt.timeout == "" {
				fields = nil
			}
			r, _ := postCall(t, h2Client(t, nil), "http://"+l.Ingress()+"/grpc.testing.TestService/"+tt.method,
				bytes.NewReader(proxytest.GRPCMessage(nil)), fields...)
			end := r.Header
			if tt.method != "UnaryCall" {
				end = r.Trailer
			}
			proxytest.Same(t, "HTTP status", r.StatusCode, 200)
			proxytest.Same(t, "grpc-status", end.Get("Grpc-Status"), "4")
			proxytest.Reason(t, "grpc-message", end.Get("Grpc-Message"), tt.says)
			failed, _ := headers.Failure(parseMembers(t, end))
			proxytest.Same(t, "who failed by the response", failed.Hop, "front")
			proxytest.Reason(t, "why by the response", failed.Reason, tt.says)
			select {
			case <-asked:
				proxytest.AwaitClosed(t, "the endpoint heard that the call is off", gave)
			default: // none was left, or the machine was too busy to get there in time
			}
			one := l.End(1).Lines[0]
			proxytest.Same(t, "flags", one.Text("flags"), "UT")
			proxytest.Same(t, "grpc_status_name", one.Text("grpc_status_name"), "DEADLINE_EXCEEDED")
			proxytest.Same(t, "failed_hop", one.Text("failed_hop"), "front")
			proxytest.Reason(t, "failure_reason", one.Text("failure_reason"), tt.says)
		})
	}
}

// Where the endpoint watches the time too, it does not matter who sees first that
// it is up.
func TestDeadlineIsEverybodys(t *testing.T) {
	t.Parallel()
	const calls = 40
	x := startCalls(t, wirings[0], hanging())
	client := h2Client(t, nil)
	t.Run("calls", func(t *testing.T) {
		for i := range calls {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				r, _ := postCall(t, client, "http://"+x.Ingress()+unaryPath, bytes.NewReader(proxytest.GRPCMessage(nil)), "Grpc-Timeout", fmt.Sprintf("%dm", 20+i))
				proxytest.Same(t, "grpc-status", r.Header.Get("Grpc-Status")+r.Trailer.Get("Grpc-Status"), "4")
			})
		}
	})
	v := x.end(calls)
	proxytest.Same(t, "calls counted", v.Metrics.Sum("hopscope_requests_total", "grpc_status", "DEADLINE_EXCEEDED"), calls)
}

func parseMembers(t *testing.T, h http.Header) []headers.Member {
	t.Helper()
	return proxytest.ProxyStatus(t, &http.Response{Header: h})
}

// What the endpoint is told is what the caller gave, less the margin and what was spent, but
// not more than the route has.
func TestTimeoutIsShortened(t *testing.T) {
	t.Parallel()
	told := make(chan string, 1)
	s := h2cServer(t, func(w http.ResponseWriter, r *http.Request) {
		told <- r.Header.Get("Grpc-Timeout")
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Grpc-Status", "0")
	})
	l := proxytest.StartWithViews(t, s, func(s *proxytest.Settings) { s.Cluster.Protocol = "http2" })
	client := h2Client(t, nil)
	for _, given := range []string{"10S", "99999999H", "7M"} {
		postCall(t, client, "http://"+l.Ingress()+"/a.B/C", bytes.NewReader(proxytest.GRPCMessage(nil)), "Grpc-Timeout", given)
		whole, _ := hopgrpc.ParseTimeout([]byte(given))
		whole = min(whole, 15*time.Second)
		text := <-told
		left, ok := hopgrpc.ParseTimeout([]byte(text))
		// It is written in at most eight digits, so of hours little is seen to be spent.
		if !ok || left > whole || left <= whole/2 || given == "10S" && left == whole {
			t.Errorf("of %s the endpoint is told %q", given, text)
		}
	}
}

// h2cServer is Go's own server, speaking HTTP/2 in plain text.
func h2cServer(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// A caller that cancels, or whose own time is up, ends the call at the endpoint,
// and nobody is to blame.
func TestCancellationReachesTheEndpoint(t *testing.T) {
	type start = func(ctx context.Context, c pb.TestServiceClient, began func()) error
	kinds := []struct {
		method string
		run    start
	}{
		{"UnaryCall", func(ctx context.Context, c pb.TestServiceClient, began func()) error {
			began()
			_, err := c.UnaryCall(ctx, &pb.SimpleRequest{})
			return err
		}},
		{"StreamingOutputCall", func(ctx context.Context, c pb.TestServiceClient, began func()) error {
			s, err := c.StreamingOutputCall(ctx, &pb.StreamingOutputCallRequest{})
			for err == nil {
				_, err = s.Recv()
				began()
			}
			return err
		}},
		{"FullDuplexCall", func(ctx context.Context, c pb.TestServiceClient, began func()) error {
			s, err := c.FullDuplexCall(ctx)
			for err == nil {
				_, err = s.Recv()
				began()
			}
			return err
		}},
		{"StreamingInputCall", func(ctx context.Context, c pb.TestServiceClient, began func()) error {
			s, err := c.StreamingInputCall(ctx)
			began()
			if err != nil {
				return err
			}
			for err == nil {
				err = s.Send(&pb.StreamingInputCallRequest{Payload: payload(5000)})
			}
			return s.RecvMsg(new(pb.StreamingInputCallResponse))
		}},
	}
	for _, w := range wirings {
		for _, kind := range kinds {
			t.Run(fmt.Sprint(w.name, " ", kind.method), func(t *testing.T) {
				t.Parallel()
				c := hanging()
				arrived := make(chan struct{}, 1)
				unary := c.unary
				c.unary = func(ctx context.Context, r *pb.SimpleRequest) (*pb.SimpleResponse, error) {
					arrived <- struct{}{}
					return unary(ctx, r)
				}
				x := startCalls(t, w, c)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				began := make(chan struct{}, 10)
				ended := make(chan error, 1)
				go func() {
					ended <- kind.run(ctx, x, func() { began <- struct{}{} })
				}()
				proxytest.AwaitClosed(t, "the call", began)
				switch kind.method {
				case "UnaryCall":
					proxytest.AwaitClosed(t, "the call at the endpoint", arrived)
				case "StreamingInputCall":
					proxytest.Eventually(t, "the call at the proxy", func() bool {
						return x.Scrape().Sum("hopscope_downstream_requests_active") == 1
					})
				}
				cancel()
				err := <-ended
				wantCode(t, "the caller's own status", err, codes.Canceled)
				if kind.method != "StreamingInputCall" {
					proxytest.AwaitClosed(t, "the endpoint heard of it", c.gave)
				}
				v := x.end(1)
				one := v.Lines[0]
				proxytest.Same(t, "grpc_status_name", one.Text("grpc_status_name"), "CANCELLED")
				proxytest.Same(t, "flags", one.Text("flags"), "DR")
				proxytest.Same(t, "failed_hop", one.Text("failed_hop"), "client")
				server, _ := spansOf(v, one)
				proxytest.Same(t, "SERVER span is an error", server.Failed(), false)
				proxytest.Same(t, "rpc.grpc.status_code", server.Attributes["rpc.grpc.status_code"], "1")
				proxytest.Same(t, "failures but of clients", v.Metrics.Sum("hopscope_failures_total")-v.Metrics.Sum("hopscope_failures_total", "origin", "downstream"), 0)
			})
		}
	}
}

// grpc-go's client gives up by itself when its time is up; the endpoint is told of
// the time, and that it is over.
func TestCallerGivesUp(t *testing.T) {
	t.Parallel()
	c := hanging()
	deadlines := make(chan bool, 1)
	unary := c.unary
	c.unary = func(ctx context.Context, r *pb.SimpleRequest) (*pb.SimpleResponse, error) {
		_, ok := ctx.Deadline()
		deadlines <- ok
		return unary(ctx, r)
	}
	x := startCalls(t, wirings[0], c)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := x.UnaryCall(ctx, &pb.SimpleRequest{})
	proxytest.Same(t, "code", status.Code(err), codes.DeadlineExceeded)
	select {
	case ok := <-deadlines: // it may have been too late to get there
		proxytest.Same(t, "the endpoint knows the deadline", ok, true)
		proxytest.AwaitClosed(t, "the endpoint heard of it", c.gave)
	default:
	}
}

// Where an endpoint hangs, the callers' time is up again and again, and each of
// them resets its stream: that is no flood, and the connection stays.
func TestDeadlinesAreNoFlood(t *testing.T) {
	t.Parallel()
	const rounds, atOnce = 4, 90
	x := startCalls(t, wirings[0], &callee{unary: func(ctx context.Context, _ *pb.SimpleRequest) (*pb.SimpleResponse, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	for range rounds {
		var wg sync.WaitGroup
		for range atOnce {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				defer cancel()
				_, err := x.UnaryCall(ctx, &pb.SimpleRequest{})
				wantCode(t, "a call whose time is up", err, codes.DeadlineExceeded)
			})
		}
		wg.Wait()
	}
	x.conn.Close()
	proxytest.Same(t, "connections", x.Scrape().Sum("hopscope_downstream_connections_total"), 1)
}
