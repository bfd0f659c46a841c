package views_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// TestBytesOfEachSide: every view counts content as the connection of its side carries
// it, without the framing, and each attempt its own.
func TestBytesOfEachSide(t *testing.T) {
	const message = "\x00\x00\x00\x00\x05hello"
	text := base64.StdEncoding.EncodeToString([]byte(message))
	type sizes struct{ sent, received int }
	for _, tt := range []struct {
		name, method, path, kind, content string
		chunked                           bool
		attempts                          []sizes
		out                               int // -1 is what came
	}{
		{name: "length", method: "POST", path: "/echo", content: "abcde", attempts: []sizes{{5, 5}}, out: 5},
		{name: "chunks", method: "POST", path: "/echo", content: "abcde", chunked: true, attempts: []sizes{{5, 5}}, out: 5},
		{name: "much", method: "POST", path: "/echo", content: proxytest.Pattern(300_000), chunked: true, attempts: []sizes{{300_000, 300_000}}, out: 300_000},
		{name: "a response that is not used", method: "POST", path: "/second", content: "abcde", attempts: []sizes{{5, 7}, {5, 5}}, out: 5},
		{name: "HEAD", method: "HEAD", path: "/echo", attempts: []sizes{{0, 0}}, out: 0},
		{name: "HEAD that the proxy answers", method: "HEAD", path: "/nowhere", out: 0},
		{name: "the proxy's own", method: "GET", path: "/nowhere", out: -1},
		{name: "gRPC-Web", method: "POST", path: "/grpc", kind: "application/grpc-web+proto", content: message, attempts: []sizes{{10, 10}}, out: -1},
		{name: "gRPC-Web in base64", method: "POST", path: "/grpc", kind: "application/grpc-web-text+proto", content: text, attempts: []sizes{{10, 10}}, out: -1},
		{name: "gRPC-Web in base64, in pieces", method: "POST", path: "/grpc", kind: "application/grpc-web-text+proto", content: text, chunked: true, attempts: []sizes{{10, 10}}, out: -1},
	} {
		for _, down := range proxytest.Sides[:2] {
			t.Run(tt.name+" over "+down.Name, func(t *testing.T) {
				t.Parallel()
				first := true
				l := proxytest.StartWithViews(t, proxytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
					b, _ := io.ReadAll(r.Body)
					switch {
					case r.URL.Path == "/second" && first:
						first = false
						w.WriteHeader(503)
						io.WriteString(w, "not now")
						return
					case r.URL.Path == "/grpc":
						w.Header().Set("Content-Type", "application/grpc+proto")
						w.Header().Set("Trailer", "Grpc-Status")
						defer w.Header().Set("Grpc-Status", "0")
					}
					w.Write(b)
				}), func(s *proxytest.Settings) {
					s.Cluster.Retry = proxytest.Retrying(2, "5xx")
					for _, path := range []string{"/echo", "/second", "/grpc"} {
						r := s.Route
						r.Match.PathPrefix = path
						s.Listener.Routes = append(s.Listener.Routes, r)
					}
					s.Route.Match.PathPrefix = "/other"
				})
				var content io.Reader
				if tt.content != "" {
					content = strings.NewReader(tt.content)
				}
				r, _ := http.NewRequest(tt.method, "http://"+l.Ingress()+tt.path, content)
				if tt.chunked {
					r.ContentLength = -1
				}
				if tt.kind != "" {
					r.Header.Set("Content-Type", tt.kind)
				}
				transport := &http.Transport{Protocols: down.Protocols()}
				defer transport.CloseIdleConnections()
				resp, err := transport.RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil {
					t.Fatal(err)
				}
				out := tt.out
				if out < 0 {
					out = len(got)
				}
				in := len(tt.content)
				v := l.End(1)
				one := v.Lines[0]
				proxytest.Same(t, "log: bytes_in", int(one.Number("bytes_in")), in)
				proxytest.Same(t, "log: bytes_out", int(one.Number("bytes_out")), out)
				whole := v.Kind(tracepb.Span_SPAN_KIND_SERVER)[0]
				server := whole.Attributes
				proxytest.Same(t, "SERVER span: in", server["http.request.body.size"], strconv.Itoa(in))
				proxytest.Same(t, "SERVER span: out", server["http.response.body.size"], strconv.Itoa(out))
				proxytest.Same(t, "metrics: in", int(v.Metrics.Sum("hopscope_request_bytes_total")), in)
				proxytest.Same(t, "metrics: out", int(v.Metrics.Sum("hopscope_response_bytes_total")), out)
				clients := v.Attempts(whole)
				proxytest.Same(t, "attempts", len(clients), len(tt.attempts))
				for i, want := range tt.attempts[:min(len(clients), len(tt.attempts))] {
					a := attemptOf(one, i)
					proxytest.Same(t, "log: bytes_sent", int(a.Number("bytes_sent")), want.sent)
					proxytest.Same(t, "log: bytes_received", int(a.Number("bytes_received")), want.received)
					if len(clients) == 1 {
						proxytest.Same(t, "span: sent", server["hopscope.upstream.request_size"], proxytest.Differs(strconv.Itoa(want.sent), strconv.Itoa(in)))
						proxytest.Same(t, "span: received", server["hopscope.upstream.response_size"], proxytest.Differs(strconv.Itoa(want.received), strconv.Itoa(out)))
						continue
					}
					proxytest.Same(t, "CLIENT span: sent", clients[i].Attributes["http.request.body.size"], strconv.Itoa(want.sent))
					proxytest.Same(t, "CLIENT span: received", clients[i].Attributes["http.response.body.size"], strconv.Itoa(want.received))
				}
			})
		}
	}
}
