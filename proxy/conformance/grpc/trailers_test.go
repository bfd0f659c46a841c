package grpc_test

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"

	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// trailerNames are names of every kind: what each is for stands in the table of
// package message's test.
var trailerNames = []string{
	"content-length", "http2-settings",
	"trailer", "content-type", "content-encoding", "content-language", "content-range", "last-modified", "host", "via",
	"forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-client-cert", "x-real-ip",
	"max-forwards", "authorization", "proxy-authorization", "www-authenticate", "proxy-authenticate", "cookie", "set-cookie",
	"accept", "cache-control", "expect", "pragma", "range", "if-match", "grpc-timeout", "x-envoy-retry-on",
	"x-envoy-max-retries", "x-envoy-upstream-rq-timeout-ms", "x-envoy-attempt-count", "x-envoy-ratelimited", "age", "date",
	"expires", "location", "retry-after", "vary", "warning", "access-control-allow-origin",
	"x-request-id", "traceparent", "tracestate", "baggage", "b3", "x-b3-traceid", "x-b3-sampled",
	"server", "user-agent", "server-timing", "proxy-status", "grpc-status-details-bin", "content-digest", "etag",
	"x-checksum", "my-metadata-bin",
}

// onConnections are names that HTTP/2 can't even carry.
var onConnections = []string{"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "te"}

// trailerLines are the names with values: one of each, two of some.
func trailerLines(overHTTP2 bool) (lines []string) {
	names := slices.Clone(trailerNames)
	if !overHTTP2 {
		names = append(names, onConnections...)
	}
	for _, name := range names {
		value := "of " + name
		if name == "content-length" {
			value = "77"
		}
		lines = append(lines, name+": "+value)
	}
	return append(lines, "cookie: again", "x-checksum: again", "grpc-status: 0")
}

// mayTrail are the lines that may pass.
func mayTrail(of message.Trailing, lines []string) (left []string) {
	for _, line := range lines {
		name, _, _ := strings.Cut(line, ": ")
		if of.Allows([]byte(name)) {
			left = append(left, line)
		}
	}
	return left
}

const emptyMessage = "\x00\x00\x00\x00\x00" // of gRPC

// sendTrailers1 sends content in a chunk, and trailers.
func sendTrailers1(p *proxytest.Peer, lines []string) {
	p.T.Helper()
	p.Send("5\r\n", emptyMessage, "\r\n0\r\n", strings.Join(lines, "\r\n"), "\r\n\r\n")
}

// trailers1 reads what sendTrailers1 sends.
func trailers1(p *proxytest.Peer) []string {
	p.T.Helper()
	p.Expect("5\r\n" + emptyMessage + "\r\n0\r\n")
	lines, err := p.TryReadHead()
	if err != nil {
		p.Fail("reading trailers: %v after %q", err, lines)
	}
	return lines
}

// trailers2 reads a stream to its end, and returns its last fields.
func trailers2(f *proxytest.HTTP2Peer, stream uint32) (lines []string) {
	f.T.Helper()
	f.Until("trailers", func(frame http2.Frame) bool {
		if reset, ok := frame.(*http2.RSTStreamFrame); ok {
			f.Fail("the stream was reset: %v", reset.ErrCode)
		}
		head, ok := frame.(*http2.MetaHeadersFrame)
		if !ok || head.StreamID != stream || !head.StreamEnded() {
			return false
		}
		for _, field := range head.Fields {
			lines = append(lines, field.Name+": "+field.Value)
		}
		return true
	})
	return lines
}

// trailing is an endpoint that answers each request with trailers, once it has
// those of the request.
func trailing(t *testing.T, up proxytest.Side, contentType string, got chan<- []string) string {
	if !up.HTTP2 {
		return proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
			p.ReadHead()
			got <- trailers1(p)
			p.Send("HTTP/1.1 200 OK\r\nContent-Type: ", contentType, "\r\nTransfer-Encoding: chunked\r\n\r\n")
			sendTrailers1(p, trailerLines(false))
			p.ReadRest()
		})
	}
	return proxytest.HTTP2Endpoint(t, func(_ int, f *proxytest.HTTP2Peer) {
		stream, _ := f.ReadRequest()
		got <- trailers2(f, stream)
		f.Answer(stream, false, ":status: 200", "content-type: "+contentType)
		f.Check(f.WriteData(stream, false, []byte(emptyMessage)))
		f.Answer(stream, true, trailerLines(true)...)
		f.Drain()
	})
}

// TestTrailers: a gRPC call's trailing metadata passes as it is, whatever it is
// called, but for what is about one connection. Any other trailers pass as far as
// RFC 9110 section 6.5.1 lets them, in both directions and protocols.
func TestTrailers(t *testing.T) {
	for _, contentType := range []string{"application/grpc+proto", "text/plain"} {
		t.Run(contentType, func(t *testing.T) {
			of := message.OfResponse
			if contentType != "text/plain" {
				of = message.OfCall
			}
			proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
				got := make(chan []string, 1)
				rig := proxytest.Start(t, trailing(t, up, contentType, got), func(s *proxytest.Settings) {
					s.Cluster.Protocol = "http1"
					if up.HTTP2 {
						s.Cluster.Protocol = "http2"
					}
				})
				var back []string
				if down.HTTP2 {
					client := proxytest.DialHTTP2(t, rig.Ingress())
					stream := client.Ask(false, "POST", "/", "content-type: "+contentType, "te: trailers")
					client.Check(client.WriteData(stream, false, []byte(emptyMessage)))
					client.SendHeaders(stream, true, client.Encode(trailerLines(true)...))
					back = trailers2(client, stream)
					client.Close()
				} else {
					client := rig.Dial()
					client.Send("POST / HTTP/1.1\r\nHost: web.test\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nContent-Type: ", contentType, "\r\n\r\n")
					sendTrailers1(client, trailerLines(false))
					client.ReadHead()
					back = trailers1(client)
				}
				if diff := cmp.Diff(mayTrail(message.OfRequest, trailerLines(down.HTTP2)), <-got); diff != "" {
					t.Errorf("the request's trailers (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(mayTrail(of, trailerLines(up.HTTP2)), back); diff != "" {
					t.Errorf("the response's trailers (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestTrailersOnly: the same names pass in a response that has nothing but a head.
func TestTrailersOnly(t *testing.T) {
	proxytest.NoLeaks(t)
	sent := slices.DeleteFunc(trailerLines(true), func(line string) bool {
		return strings.HasPrefix(line, "content-") || strings.HasPrefix(line, "trailer:") // these say something in a head
	})
	rig := proxytest.Start(t, proxytest.HTTP2Endpoint(t, func(_ int, f *proxytest.HTTP2Peer) {
		stream, _ := f.ReadRequest()
		f.Answer(stream, true, append([]string{":status: 200", "content-type: application/grpc"}, sent...)...)
		f.Drain()
	}), func(s *proxytest.Settings) {
		s.Cluster.Protocol, s.Listener.Via = "http2", false
		s.Listener.ProxyStatus = "pass"
	})
	client := proxytest.DialHTTP2(t, rig.Ingress())
	back := trailers2(client, client.Ask(true, "POST", "/", "content-type: application/grpc", "te: trailers"))
	want := append([]string{":status: 200", "content-type: application/grpc"}, mayTrail(message.OfCall, sent)...)
	if len(back) < len(want) || !slices.Equal(back[:len(want)], want) {
		t.Errorf("the head (-want +got):\n%s", cmp.Diff(want, back))
	}
	client.Close()
}

// TestTrailersOfGRPCWeb: the metadata is in the last frame of the content.
func TestTrailersOfGRPCWeb(t *testing.T) {
	proxytest.NoLeaks(t)
	sent := trailerLines(true)
	rig := proxytest.Start(t, proxytest.HTTP2Endpoint(t, func(_ int, f *proxytest.HTTP2Peer) {
		stream, _ := f.ReadRequest()
		f.Answer(stream, false, ":status: 200", "content-type: application/grpc")
		f.Check(f.WriteData(stream, false, []byte(emptyMessage)))
		f.Answer(stream, true, sent...)
		f.Drain()
	}), func(s *proxytest.Settings) { s.Cluster.Protocol = "http2" })
	client := rig.Dial()
	client.Send("POST / HTTP/1.1\r\nHost: web.test\r\nContent-Type: application/grpc-web+proto\r\nContent-Length: 5\r\n\r\n", emptyMessage)
	_, content := client.ReadResponse("POST")
	lines := strings.Join(mayTrail(message.OfCall, sent), "\r\n") + "\r\n"
	want := emptyMessage + "\x80" + string(binary.BigEndian.AppendUint32(nil, uint32(len(lines)))) + lines
	if content != want {
		t.Errorf("the content (-want +got):\n%s", cmp.Diff(want, content))
	}
}
