package grpc_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/telemetry/headers"
)

// Every answer of the proxy's own to a call is a status that stands in the head
// and nothing else, and says in Proxy-Status which hop made it.
func TestReplyToCall(t *testing.T) {
	h2c := func(s *proxytest.Settings) { s.Cluster.Protocol = "http2" }
	answers := func(h http.HandlerFunc) func(testing.TB) string {
		return func(t testing.TB) string { return h2cServer(t, h) }
	}
	tests := []struct {
		name     string
		endpoint func(t testing.TB) string
		change   func(*proxytest.Settings)
		fields   []string
		code     codes.Code
		flags    string
		failed   string
		error    string
		says     string
	}{
		{
			name: "no route", endpoint: proxytest.RefusingAddress, change: func(s *proxytest.Settings) { s.Route.Match.PathPrefix = "/elsewhere" },
			code: codes.Unimplemented, flags: "NR", failed: "front", error: "destination_not_found", says: "no route of listener ingress",
		},
		{
			name: "refused", endpoint: proxytest.RefusingAddress, change: h2c,
			code: codes.Unavailable, flags: "UF", failed: "front", error: "connection_refused", says: "connection refused by 127.0.0.1",
		},
		{
			name: "no name", endpoint: func(testing.TB) string { return "nowhere.invalid:1" }, change: h2c,
			code: codes.Unavailable, flags: "DF", failed: "front", error: "dns_error", says: "nowhere.invalid",
		},
		{
			name: "it speaks HTTP/1.1", endpoint: proxytest.Always(proxytest.OKResponse), change: h2c,
			code: codes.Unavailable, flags: "UPE", failed: "front", error: "http_protocol_error", says: "127.0.0.1",
		},
		{
			name: "it closes", change: h2c,
			endpoint: func(t testing.TB) string {
				return proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) { p.ReadN(24 + 9) })
			},
			code: codes.Unavailable, flags: "UC", failed: "front", error: "connection_terminated", says: "127.0.0.1",
		},
		{
			name: "it resets the stream", change: h2c, endpoint: answers(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
			code: codes.Unavailable, flags: "UR", failed: "front", error: "connection_terminated", says: "127.0.0.1",
		},
		{
			name: "nobody we trust", endpoint: func(t testing.TB) string {
				c := &callee{ca: proxytest.NewAuthority(t)}
				c.start(t)
				return c.address
			},
			change: func(s *proxytest.Settings) { s.Cluster.TLS = config.NewClusterTLS() },
			code:   codes.Unavailable, flags: "UF", failed: "front", error: "tls_certificate_error", says: "127.0.0.1",
		},
		{
			name: "it has no h2", endpoint: func(t testing.TB) string {
				c := &callee{}
				c.start(t)
				return c.address
			},
			change: func(s *proxytest.Settings) { s.Cluster.TLS = config.NewClusterTLS() },
			code:   codes.Unavailable, flags: "UF", failed: "front", error: "tls_protocol_error", says: "127.0.0.1",
		},
		{
			name: "time is up", endpoint: func(t testing.TB) string { address, _, _ := neverAnswers(t); return address },
			change: h2c, fields: []string{"Grpc-Timeout", "50m"},
			code: codes.DeadlineExceeded, flags: "UT", failed: "front", error: "http_response_timeout", says: "grpc-timeout of 50ms",
		},
		{
			name: "overflow", endpoint: proxytest.RefusingAddress, change: func(s *proxytest.Settings) {
				h2c(s)
				s.Cluster.CircuitBreaker.MaxConnections, s.Cluster.CircuitBreaker.MaxPending = 1, 0
			},
			fields: []string{"X-Overflow", "1"},
			code:   codes.Unavailable, flags: "UO", failed: "front", error: "connection_limit_reached", says: "web",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			address, change, n := tt.endpoint(t), tt.change, 1
			if tt.name == "overflow" {
				c := hanging()
				c.options = []grpc.ServerOption{grpc.MaxConcurrentStreams(1)}
				c.start(t)
				address, n = c.address, 2
			}
			l := proxytest.StartWithViews(t, address, change)
			client := h2Client(t, nil)
			url := "http://" + l.Ingress() + unaryPath
			if tt.name == "overflow" { // by one that hangs and has all the room there is
				stop := hang(t, client, strings.Replace(url, "UnaryCall", "StreamingOutputCall", 1))
				defer stop()
			}
			r, body := postCall(t, client, url, bytes.NewReader(proxytest.GRPCMessage(nil)), tt.fields...)
			proxytest.Same(t, "HTTP status", r.StatusCode, 200)
			proxytest.Same(t, "content-type", r.Header.Get("Content-Type"), "application/grpc")
			proxytest.Same(t, "grpc-status", r.Header.Get("Grpc-Status"), fmt.Sprint(int(tt.code)))
			proxytest.Reason(t, "grpc-message", r.Header.Get("Grpc-Message"), tt.says)
			proxytest.Same(t, "trailers", len(r.Trailer), 0)
			proxytest.Same(t, "bytes of content", len(body), 0)
			said := proxytest.ProxyStatus(t, r)
			if len(said) != 1 {
				t.Fatalf("Proxy-Status: %+v, want one member", said)
			}
			proxytest.Same(t, "Proxy-Status: name", said[0].Name, "front")
			proxytest.Same(t, "Proxy-Status: error", said[0].Error, tt.error)
			failed, _ := headers.Failure(said)
			proxytest.Same(t, "who failed by the response", failed.Hop, tt.failed)
			proxytest.Reason(t, "why by the response", failed.Reason, tt.says)
			if n > 1 {
				return
			}
			v := l.End(n)
			one := v.Lines[0]
			proxytest.Same(t, "status", one.Number("status"), 200)
			proxytest.Same(t, "flags", one.Text("flags"), tt.flags)
			proxytest.Same(t, "grpc_status", one["grpc_status"], any(float64(tt.code)))
			proxytest.Reason(t, "grpc_message", one.Text("grpc_message"), tt.says)
			proxytest.Same(t, "failed_hop", one.Text("failed_hop"), tt.failed)
			server, _ := spansOf(v, one)
			proxytest.Same(t, "SERVER span is an error", server.Failed(), true)
			proxytest.Same(t, "error.type", server.Attributes["error.type"], tt.error)
			proxytest.Same(t, "origin", server.Attributes["hopscope.failure_origin"], "proxy")
			proxytest.Same(t, "rpc.grpc.status_code", server.Attributes["rpc.grpc.status_code"], fmt.Sprint(int(tt.code)))
			proxytest.Same(t, "failures of the proxy's own", v.Metrics.Sum("hopscope_failures_total", "origin", "proxy"), 1)
			proxytest.Same(t, "calls counted", v.Metrics.Sum("hopscope_requests_total", "flag", tt.flags, "code", "200"), 1)
		})
	}
}

// hang begins a call whose response does not end until stop is called.
func hang(t *testing.T, c *http.Client, url string) (stop func()) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", url, bytes.NewReader(proxytest.GRPCMessage(nil)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/grpc")
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Grpc-Status") != "" {
		t.Fatalf("the call that hangs was answered: %v", resp.Header)
	}
	return func() { resp.Body.Close() }
}

// A listener that faces the public gives the status alone.
func TestReplyToCallInPublic(t *testing.T) {
	t.Parallel()
	l := proxytest.StartWithViews(t, proxytest.RefusingAddress(t), func(s *proxytest.Settings) { s.Cluster.Protocol, s.Listener.ProxyStatus = "http2", "cut" })
	_, err := pb.NewTestServiceClient(dialCalls(t, l.Ingress(), nil)).EmptyCall(limited(t), &pb.Empty{})
	wantCode(t, "the call", err, codes.Unavailable)
	proxytest.Same(t, "message", status.Convert(err).Message(), "UNAVAILABLE")
}

// An answer that is no gRPC goes to the caller as it is; it counts as the status
// that gRPC's clients make of it.
func TestAnswerIsNoCalls(t *testing.T) {
	for http1, want := range map[int]codes.Code{
		200: codes.Unknown, 400: codes.Internal, 401: codes.Unauthenticated, 403: codes.PermissionDenied, 404: codes.Unimplemented,
		418: codes.Unknown, 429: codes.Unavailable, 500: codes.Unknown, 502: codes.Unavailable, 503: codes.Unavailable, 504: codes.Unavailable,
	} {
		t.Run(fmt.Sprint(http1), func(t *testing.T) {
			t.Parallel()
			l := proxytest.StartWithViews(t, h2cServer(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/plain")
				w.WriteHeader(http1)
				io.WriteString(w, "no call")
			}), func(s *proxytest.Settings) { s.Cluster.Protocol = "http2" })
			conn := dialCalls(t, l.Ingress(), nil)
			_, err := pb.NewTestServiceClient(conn).UnaryCall(limited(t), &pb.SimpleRequest{})
			wantCode(t, "what the client makes of it", err, want)
			conn.Close()
			one := l.End(1).Lines[0]
			proxytest.Same(t, "status", int(one.Number("status")), http1)
			proxytest.Same(t, "grpc_status", one["grpc_status"], any(float64(want)))
		})
	}
}

// breakingOff is a server whose streams send one response, and break off when the
// caller has had it.
func breakingOff(t testing.TB, had <-chan struct{}) string {
	return h2cServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Write(proxytest.GRPCMessage(nil))
		w.(http.Flusher).Flush()
		<-had
		panic(http.ErrAbortHandler)
	})
}

// Two proxies in a row: whoever made the failure, and whether the status stood in
// the head or came after the responses, both hops and the caller name the same.
func TestChainNamesWhoFailedACall(t *testing.T) {
	serve := func(c func() *callee) func(testing.TB, <-chan struct{}) string {
		return func(t testing.TB, _ <-chan struct{}) string {
			server := c()
			server.start(t)
			return server.address
		}
	}
	plain := serve(func() *callee { return &callee{} })
	nobody := func(t testing.TB, _ <-chan struct{}) string { return proxytest.RefusingAddress(t) }
	fails := &pb.EchoStatus{Code: int32(codes.Internal), Message: "out of paper"}
	tests := []struct {
		name    string
		server  func(t testing.TB, had <-chan struct{}) string
		stream  bool // the call has a response before it fails
		timeout time.Duration
		code    codes.Code
		failed  string
		says    string
		origins [2]string
	}{
		{
			name: "the application, at once", server: plain, code: codes.Internal,
			failed: "inner", says: "answered INTERNAL: out of paper", origins: [2]string{"relayed", "endpoint"},
		},
		{
			name: "the application, at last", server: plain, stream: true, code: codes.Internal,
			failed: "inner", says: "answered INTERNAL: out of paper", origins: [2]string{"relayed", "endpoint"},
		},
		{
			name: "the second proxy, at once", server: nobody, code: codes.Unavailable,
			failed: "inner", says: "connection refused", origins: [2]string{"relayed", "proxy"},
		},
		{
			name: "the second proxy, at last", server: breakingOff, stream: true, code: codes.Unavailable,
			failed: "inner", says: "127.0.0.1", origins: [2]string{"relayed", "proxy"},
		},
		{
			name: "the second proxy's patience", server: serve(hanging),
			stream: true, timeout: 80 * time.Millisecond, code: codes.DeadlineExceeded,
			failed: "inner", says: "did not end its response within the route's timeout", origins: [2]string{"relayed", "proxy"},
		},
	}
	for _, between := range []string{"http2", "http1"} {
		for _, tt := range tests {
			t.Run(between+" "+tt.name, func(t *testing.T) {
				t.Parallel()
				had := make(chan struct{})
				inner := proxytest.StartWithViews(t, tt.server(t, had), proxytest.ServiceName("inner"), func(s *proxytest.Settings) {
					s.Cluster.Protocol = "http2"
					if tt.timeout > 0 {
						s.Route.Timeout = tt.timeout
					}
				})
				front := proxytest.StartWithViews(t, inner.Ingress(), func(s *proxytest.Settings) { s.Cluster.Protocol = between })
				conn := dialCalls(t, front.Ingress(), nil)
				md, err := failing(t, pb.NewTestServiceClient(conn), tt.stream, fails, had)
				wantCode(t, "the call", err, tt.code)
				proxytest.Reason(t, "message", "answered INTERNAL: "+status.Convert(err).Message(), tt.says)
				said := parseMembers(t, http.Header{"Proxy-Status": md.Get("proxy-status")})
				failed, _ := headers.Failure(said)
				proxytest.Same(t, "who failed by the response", failed.Hop, tt.failed)
				proxytest.Reason(t, "why by the response", failed.Reason, tt.says)
				conn.Close()
				for i, l := range []*proxytest.Proxy{front, inner} {
					v := l.End(1)
					one, name := v.Lines[0], []string{"front", "inner"}[i]
					proxytest.Same(t, name+": failed_hop", one.Text("failed_hop"), tt.failed)
					proxytest.Reason(t, name+": failure_reason", one.Text("failure_reason"), tt.says)
					proxytest.Same(t, name+": grpc_status", one["grpc_status"], any(float64(tt.code)))
					server, _ := spansOf(v, one)
					proxytest.Same(t, name+": origin", server.Attributes["hopscope.failure_origin"], tt.origins[i])
					proxytest.Same(t, name+": failures counted", v.Metrics.Sum("hopscope_failures_total", "origin", tt.origins[i]), 1)
				}
			})
		}
	}
}

// failing makes a call that fails and returns the metadata that the status came
// with. A stream's first response closes had.
func failing(t *testing.T, c pb.TestServiceClient, stream bool, as *pb.EchoStatus, had chan<- struct{}) (metadata.MD, error) {
	t.Helper()
	var trailers metadata.MD
	if !stream {
		_, err := c.UnaryCall(limited(t), &pb.SimpleRequest{ResponseStatus: as}, grpc.Trailer(&trailers))
		return trailers, err
	}
	s, err := c.StreamingOutputCall(limited(t), &pb.StreamingOutputCallRequest{ResponseParameters: sizes(1), ResponseStatus: as})
	if err == nil {
		_, err = s.Recv()
	}
	if err != nil {
		t.Fatal(err)
	}
	close(had)
	_, err = s.Recv()
	return s.Trailer(), err
}

// TestAnAnswerOfAHeadEndsItsStream: the head that has a call's status also ends the
// stream, however many calls fail at once. A client takes a status from no other head.
func TestAnAnswerOfAHeadEndsItsStream(t *testing.T) {
	const rounds, atOnce = 20, 90
	hangs := proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) { io.Copy(io.Discard, p.TCPConn) })
	p := proxytest.Start(t, hangs, func(s *proxytest.Settings) { s.Cluster.Retry = nil })
	f := proxytest.DialHTTP2(t, p.Ingress())
	for range rounds {
		for range atOnce {
			f.Ask(true, "POST", "/a.B/C", "content-type: application/grpc", "grpc-timeout: 40m")
		}
		for range atOnce {
			frame := f.Until("an answer", func(http2.Frame) bool { return true })
			head, ok := frame.(*http2.MetaHeadersFrame)
			if !ok || !head.StreamEnded() {
				t.Fatalf("the proxy sent %v", frame)
			}
		}
	}
}
