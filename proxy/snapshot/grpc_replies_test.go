package snapshot_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	pb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/telemetry/headers"
)

// Every answer of the proxy's own to a call is a status that stands in the head
// and nothing else, and says in Proxy-Status which hop made it.
func TestReplyToCall(t *testing.T) {
	h2c := func(s *settings) { s.Cluster.Protocol = "http2" }
	answers := func(h http.HandlerFunc) func(*testing.T) string {
		return func(t *testing.T) string { return h2cServer(t, h) }
	}
	tests := []struct {
		name     string
		endpoint func(t *testing.T) string
		change   func(*settings)
		fields   []string
		code     codes.Code
		flags    string
		failed   string
		error    string
		says     string
	}{
		{
			name: "no route", endpoint: refusing, change: func(s *settings) { s.Route.Match.PathPrefix = "/elsewhere" },
			code: codes.Unimplemented, flags: "NR", failed: "front", error: "destination_not_found", says: "no route of listener ingress",
		},
		{
			name: "refused", endpoint: refusing, change: h2c,
			code: codes.Unavailable, flags: "UF", failed: "front", error: "connection_refused", says: "connection refused by 127.0.0.1",
		},
		{
			name: "no name", endpoint: func(*testing.T) string { return "nowhere.invalid:1" }, change: h2c,
			code: codes.Unavailable, flags: "DF", failed: "front", error: "dns_error", says: "nowhere.invalid",
		},
		{
			name: "it speaks HTTP/1.1", endpoint: always(okay), change: h2c,
			code: codes.Unavailable, flags: "UPE", failed: "front", error: "http_protocol_error", says: "127.0.0.1",
		},
		{
			name: "it closes", change: h2c,
			endpoint: func(t *testing.T) string {
				return endpoint(t, func(_ int, p *peer) { p.read(24 + 9) })
			},
			code: codes.Unavailable, flags: "UC", failed: "front", error: "connection_terminated", says: "127.0.0.1",
		},
		{
			name: "it resets the stream", change: h2c, endpoint: answers(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
			code: codes.Unavailable, flags: "UR", failed: "front", error: "connection_terminated", says: "127.0.0.1",
		},
		{
			name: "nobody we trust", endpoint: func(t *testing.T) string {
				c := &callee{ca: newAuthority(t)}
				c.start(t)
				return c.address
			},
			change: func(s *settings) { s.Cluster.TLS = config.NewClusterTLS() },
			code:   codes.Unavailable, flags: "UF", failed: "front", error: "tls_certificate_error", says: "127.0.0.1",
		},
		{
			name: "it has no h2", endpoint: func(t *testing.T) string {
				c := &callee{}
				c.start(t)
				return c.address
			},
			change: func(s *settings) { s.Cluster.TLS = config.NewClusterTLS() },
			code:   codes.Unavailable, flags: "UF", failed: "front", error: "tls_protocol_error", says: "127.0.0.1",
		},
		{
			name: "time is up", endpoint: func(t *testing.T) string { address, _ := neverAnswers(t); return address },
			change: h2c, fields: []string{"Grpc-Timeout", "50m"},
			code: codes.DeadlineExceeded, flags: "UT", failed: "front", error: "http_response_timeout", says: "grpc-timeout of 50ms",
		},
		{
			name: "overflow", endpoint: refusing, change: func(s *settings) {
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
			l := startLab(t, address, change)
			client := h2Client(t, nil)
			url := "http://" + l.ingress() + unaryPath
			if tt.name == "overflow" { // by one that hangs and has all the room there is
				stop := hang(t, client, strings.Replace(url, "UnaryCall", "StreamingOutputCall", 1))
				defer stop()
			}
			r, body := postCall(t, client, url, bytes.NewReader(lengthPrefixed(nil)), tt.fields...)
			same(t, "HTTP status", r.StatusCode, 200)
			same(t, "content-type", r.Header.Get("Content-Type"), "application/grpc")
			same(t, "grpc-status", r.Header.Get("Grpc-Status"), fmt.Sprint(int(tt.code)))
			reason(t, "grpc-message", r.Header.Get("Grpc-Message"), tt.says)
			same(t, "trailers", len(r.Trailer), 0)
			same(t, "bytes of content", len(body), 0)
			said := members(t, r)
			if len(said) != 1 {
				t.Fatalf("Proxy-Status: %+v, want one member", said)
			}
			same(t, "Proxy-Status: name", said[0].Name, "front")
			same(t, "Proxy-Status: error", said[0].Error, tt.error)
			failed, why, _ := headers.Failure(said)
			same(t, "who failed by the response", failed, tt.failed)
			reason(t, "why by the response", why, tt.says)
			if n > 1 {
				return
			}
			v := l.end(n)
			one := v.lines[0]
			same(t, "status", one.number("status"), 200)
			same(t, "flags", one.text("flags"), tt.flags)
			same(t, "grpc_status", one["grpc_status"], any(float64(tt.code)))
			reason(t, "grpc_message", one.text("grpc_message"), tt.says)
			same(t, "failed_hop", one.text("failed_hop"), tt.failed)
			server, _ := v.spansOf(one)
			same(t, "SERVER span is an error", server.failed(), true)
			same(t, "error.type", server.attributes["error.type"], tt.error)
			same(t, "origin", server.attributes["hopscope.failure_origin"], "proxy")
			same(t, "rpc.grpc.status_code", server.attributes["rpc.grpc.status_code"], fmt.Sprint(int(tt.code)))
			same(t, "failures of the proxy's own", v.metrics.sum("hopscope_failures_total", "origin", "proxy"), 1)
			same(t, "calls counted", v.metrics.sum("hopscope_requests_total", "flag", tt.flags, "code", "200"), 1)
		})
	}
}

// hang begins a call whose response does not end until stop is called.
func hang(t *testing.T, c *http.Client, url string) (stop func()) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", url, bytes.NewReader(lengthPrefixed(nil)))
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
	l := startLab(t, refusing(t), func(s *settings) { s.Cluster.Protocol, s.Listener.ProxyStatus = "http2", "cut" })
	_, err := pb.NewTestServiceClient(dialCalls(t, l.ingress(), nil)).EmptyCall(limited(t), &pb.Empty{})
	wantCode(t, "the call", err, codes.Unavailable)
	same(t, "message", status.Convert(err).Message(), "UNAVAILABLE")
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
			l := startLab(t, h2cServer(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/plain")
				w.WriteHeader(http1)
				io.WriteString(w, "no call")
			}), func(s *settings) { s.Cluster.Protocol = "http2" })
			conn := dialCalls(t, l.ingress(), nil)
			_, err := pb.NewTestServiceClient(conn).UnaryCall(limited(t), &pb.SimpleRequest{})
			wantCode(t, "what the client makes of it", err, want)
			conn.Close()
			one := l.end(1).lines[0]
			same(t, "status", int(one.number("status")), http1)
			same(t, "grpc_status", one["grpc_status"], any(float64(want)))
		})
	}
}

// breakingOff is a server whose streams send one response, and break off when the
// caller has had it.
func breakingOff(t *testing.T, had <-chan struct{}) string {
	return h2cServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Write(lengthPrefixed(nil))
		w.(http.Flusher).Flush()
		<-had
		panic(http.ErrAbortHandler)
	})
}

// Two proxies in a row: whoever made the failure, and whether the status stood in
// the head or came after the responses, both hops and the caller name the same.
func TestChainNamesWhoFailedACall(t *testing.T) {
	serve := func(c func() *callee) func(*testing.T, <-chan struct{}) string {
		return func(t *testing.T, _ <-chan struct{}) string {
			server := c()
			server.start(t)
			return server.address
		}
	}
	plain := serve(func() *callee { return &callee{} })
	nobody := func(t *testing.T, _ <-chan struct{}) string { return refusing(t) }
	fails := &pb.EchoStatus{Code: int32(codes.Internal), Message: "out of paper"}
	tests := []struct {
		name    string
		server  func(t *testing.T, had <-chan struct{}) string
		stream  bool // the call has a response before it fails
		timeout time.Duration
		code    codes.Code
		failed  string
		says    string
		origins [2]string
	}{
		{
			name: "the application, at once", server: plain, code: codes.Internal,
			failed: "web", says: "answered INTERNAL: out of paper", origins: [2]string{"relayed", "endpoint"},
		},
		{
			name: "the application, at last", server: plain, stream: true, code: codes.Internal,
			failed: "web", says: "answered INTERNAL: out of paper", origins: [2]string{"relayed", "endpoint"},
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
				inner := startLab(t, tt.server(t, had), named("inner"), func(s *settings) {
					s.Cluster.Protocol = "http2"
					if tt.timeout > 0 {
						s.Route.Timeout = tt.timeout
					}
				})
				front := startLab(t, inner.ingress(), func(s *settings) { s.Cluster.Protocol = between })
				conn := dialCalls(t, front.ingress(), nil)
				md, err := failing(t, pb.NewTestServiceClient(conn), tt.stream, fails, had)
				wantCode(t, "the call", err, tt.code)
				reason(t, "message", "answered INTERNAL: "+status.Convert(err).Message(), tt.says)
				said := parseMembers(t, http.Header{"Proxy-Status": md.Get("proxy-status")})
				failed, why, _ := headers.Failure(said)
				same(t, "who failed by the response", failed, tt.failed)
				reason(t, "why by the response", why, tt.says)
				conn.Close()
				for i, l := range []*rig{front, inner} {
					v := l.end(1)
					one, name := v.lines[0], []string{"front", "inner"}[i]
					same(t, name+": failed_hop", one.text("failed_hop"), tt.failed)
					reason(t, name+": failure_reason", one.text("failure_reason"), tt.says)
					same(t, name+": grpc_status", one["grpc_status"], any(float64(tt.code)))
					server, _ := v.spansOf(one)
					same(t, name+": origin", server.attributes["hopscope.failure_origin"], tt.origins[i])
					same(t, name+": failures counted", v.metrics.sum("hopscope_failures_total", "origin", tt.origins[i]), 1)
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
