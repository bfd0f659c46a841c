package retry_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// inTwo is content whose second half comes when it is asked for.
func inTwo(content string, goOn <-chan struct{}) io.Reader {
	return &slowly{strings.NewReader(content[len(content)/2:]), content[:len(content)/2], goOn}
}

// failsFirst is an endpoint for one request that fails by fail once it has have bytes
// of content, and for others that echo answers. again is closed when the second has
// come.
func failsFirst(t *testing.T, up proxytest.Side, have int, fail func(f *proxytest.HTTP2Peer, stream uint32)) (address string, again chan struct{}) {
	t.Helper()
	again = make(chan struct{})
	n := make(chan int, 1)
	n <- 0
	turn := func() bool {
		i := <-n
		n <- i + 1
		if i == 1 {
			close(again)
		}
		return i == 0
	}
	if !up.HTTP2 {
		return proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
			for {
				p.SetReadDeadline(proxytest.Deadline())
				r, err := http.ReadRequest(p.Reader)
				if err != nil {
					return
				}
				if turn() {
					io.ReadFull(r.Body, make([]byte, have))
					p.Reset()
					return
				}
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				p.Send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
			}
		}), again
	}
	return proxytest.HTTP2Endpoint(t, func(_ int, f *proxytest.HTTP2Peer) {
		for {
			stream, ok := f.ReadRequest()
			if !ok {
				return
			}
			body, fails := "", turn()
			for ended := false; !ended && !(fails && len(body) >= have); {
				frame, err := f.ReadNext()
				if err != nil {
					return
				}
				if data, ok := frame.(*http2.DataFrame); ok && data.StreamID == stream {
					body += string(data.Data())
					ended = data.StreamEnded()
				}
			}
			if fails {
				fail(f, stream)
				continue
			}
			f.Answer(stream, false, ":status: 200")
			f.Check(f.WriteData(stream, true, []byte(body)))
		}
	}), again
}

// failures are attempts, where a reset and an end are the same: the upload may be the
// one to see the reset, and then who reads sees the end.
func failures(h *hop.Hop) string { return strings.ReplaceAll(proxytest.Attempts(h), "UC", "UR") }

// TestReplayOfUploads: a stream that the endpoint says it did not process is sent again
// without a policy, whatever the method, with what was read of the content, and the
// upload goes on (RFC 9113 section 8.7). So is a stream that failed where a policy says
// so.
func TestReplayOfUploads(t *testing.T) {
	refused := func(f *proxytest.HTTP2Peer, stream uint32) {
		f.Check(f.WriteRSTStream(stream, http2.ErrCodeRefusedStream))
	}
	away := func(f *proxytest.HTTP2Peer, _ uint32) { f.Check(f.WriteGoAway(0, http2.ErrCodeNo, nil)) }
	broken := func(f *proxytest.HTTP2Peer, stream uint32) { f.Check(f.WriteRSTStream(stream, http2.ErrCodeInternal)) }
	const content = "the first half, and the second"
	for _, tt := range []struct {
		name  string
		up    proxytest.Side
		fail  func(*proxytest.HTTP2Peer, uint32)
		have  int
		on    []string
		tries string
	}{
		{"refused before any content", proxytest.H2C, refused, 0, nil, "UR 200"},
		{"refused within the content", proxytest.H2C, refused, len(content) / 2, nil, "UR 200"},
		{"GOAWAY before any content", proxytest.H2C, away, 0, nil, "UR 200"},
		{"GOAWAY within the content", proxytest.H2C, away, len(content) / 2, nil, "UR 200"},
		{"refused, and the policy says so", proxytest.H2C, refused, len(content) / 2, []string{"refused-stream", "reset"}, "UR 200"},
		{"broken before any content", proxytest.H2C, broken, 0, []string{"reset"}, "UR 200"},
		{"broken within the content", proxytest.H2C, broken, len(content) / 2, []string{"5xx"}, "UR 200"},
		{"broken, and no policy", proxytest.H2C, broken, len(content) / 2, nil, "UR"},
		{"broken, and another policy", proxytest.H2C, broken, len(content) / 2, []string{"refused-stream"}, "UR"},
		{"HTTP/1, before any content", proxytest.H1C, nil, 0, []string{"reset"}, "UR 200"},
		{"HTTP/1, within the content", proxytest.H1C, nil, len(content) / 2, []string{"gateway-error"}, "UR 200"},
		{"HTTP/1, and no policy", proxytest.H1C, nil, len(content) / 2, nil, "UR"},
	} {
		for _, down := range proxytest.Sides[:2] {
			for _, method := range []string{"POST", "PUT"} {
				t.Run(fmt.Sprint(tt.name, ", ", method, " by ", down.Name), func(t *testing.T) {
					proxytest.NoLeaks(t)
					address, again := failsFirst(t, tt.up, tt.have, tt.fail)
					p := proxytest.StartScript(t, tt.up, 1, proxytest.Respond(200))
					x := p.Start(down, tt.up, func(s *proxytest.Settings) {
						s.Cluster.Endpoints = []string{address}
						if tt.on != nil {
							s.Cluster.Retry = proxytest.Retrying(2, tt.on...)
						}
					})
					if tt.tries == "UR" {
						if o := x.Ask(method, pending(t, content[:len(content)/2])); failures(o.Hop) != "UR" || o.StatusCode != 503 {
							t.Errorf("status %d, attempts %q", o.StatusCode, proxytest.Attempts(o.Hop))
						}
						return
					}
					o := x.Ask(method, inTwo(content, again))
					if got := failures(o.Hop); got != tt.tries || o.StatusCode != 200 || o.Hop.Flags != 0 {
						t.Errorf("status %d, flags %q, attempts %q; want %q", o.StatusCode, o.Hop.Flags, got, tt.tries)
					}
					if o.Body != content || o.Hop.BytesIn != int64(len(content)) || o.Hop.Attempts[1].BytesSent != int64(len(content)) {
						t.Errorf("%q arrived; %d bytes in, %d sent", o.Body, o.Hop.BytesIn, o.Hop.Attempts[1].BytesSent)
					}
				})
			}
		}
	}
}

// TestReplayOfTooMuch: where more was read than is kept the request can't be sent again.
func TestReplayOfTooMuch(t *testing.T) {
	for _, size := range []int{16 << 10, 16<<10 + 1} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			proxytest.NoLeaks(t)
			address, _ := failsFirst(t, proxytest.H2C, size, func(f *proxytest.HTTP2Peer, stream uint32) {
				f.Check(f.WriteRSTStream(stream, http2.ErrCodeRefusedStream))
			})
			p := proxytest.StartScript(t, proxytest.H2C, 1, proxytest.Respond(200))
			x := p.Start(proxytest.H1C, proxytest.H2C, func(s *proxytest.Settings) { s.Cluster.Endpoints = []string{address} })
			want := "UR 200"
			if size > 16<<10 {
				want = "UR"
			}
			if o := x.Ask("POST", later(proxytest.Pattern(size))); proxytest.Attempts(o.Hop) != want || want != "UR" && o.Body != proxytest.Pattern(size) {
				t.Errorf("attempts %q, want %q; %d bytes came back", proxytest.Attempts(o.Hop), want, len(o.Body))
			}
		})
	}
}

// TestEarlyAnswerIsRetried: a response that comes before the end of the content is
// retried as any other, and the upload goes on.
func TestEarlyAnswerIsRetried(t *testing.T) {
	proxytest.NoLeaks(t)
	address := proxytest.Endpoint(t, func(n int, p *proxytest.Peer) {
		p.ReadHead()
		p.ReadN(2)
		if n == 0 {
			p.Send("HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbusy")
			p.ReadRest()
			return
		}
		p.Send("HTTP/1.1 100 Continue\r\n\r\n")
		p.Expect("llo")
		p.Send(proxytest.EmptyResponse)
	})
	x := proxytest.StartScript(t, proxytest.H1C, 1, proxytest.Respond(200)).Start(proxytest.H1C, proxytest.H1C, func(s *proxytest.Settings) {
		s.Cluster.Endpoints = []string{address}
		s.Cluster.Retry = proxytest.Retrying(3, "5xx")
	})
	client := x.Dial()
	trace, field := proxytest.NewTrace()
	client.Send("POST / HTTP/1.1\r\nHost: a\r\n", field, "Content-Length: 5\r\n\r\nhe")
	if first, _ := client.ReadHead(); first != "HTTP/1.1 100 Continue" { // of the second attempt
		t.Errorf("%q", first)
	}
	client.Send("llo")
	client.ReadOK()
	if h := x.Hop(trace); proxytest.Attempts(h) != "503 200" || h.BytesIn != 5 {
		t.Errorf("attempts %q, %d bytes in", proxytest.Attempts(h), h.BytesIn)
	}
}

// TestReplayAsksOnce: a client that waits to be asked for its content is asked once;
// where the first endpoint did not ask, the second may.
func TestReplayAsksOnce(t *testing.T) {
	const busy = "HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
	for _, first := range []bool{true, false} {
		t.Run(fmt.Sprint(first), func(t *testing.T) {
			proxytest.NoLeaks(t)
			second := make(chan struct{})
			address := proxytest.Endpoint(t, func(n int, p *proxytest.Peer) {
				_, fields := p.ReadHead()
				if n == 1 {
					close(second)
				}
				expected := proxytest.Field(fields, "Expect") != ""
				switch {
				case n == 0 && first:
					p.Send("HTTP/1.1 100 Continue\r\n\r\n")
					p.Expect("he")
					p.Send(busy)
				case n == 0:
					p.Send(busy)
				default:
					if expected == first {
						t.Errorf("the second endpoint is to ask: %t", expected)
					}
					if expected {
						p.Send("HTTP/1.1 100 Continue\r\n\r\n")
					}
					p.Expect("hello")
					p.Send(proxytest.EmptyResponse)
				}
				p.ReadRest()
			})
			x := proxytest.StartScript(t, proxytest.H1C, 1, proxytest.Respond(200)).Start(proxytest.H1C, proxytest.H1C, func(s *proxytest.Settings) {
				s.Cluster.Endpoints, s.Cluster.Retry = []string{address}, proxytest.Retrying(2, "5xx")
			})
			client := x.Dial()
			client.Send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
			if line, _ := client.ReadHead(); line != "HTTP/1.1 100 Continue" {
				t.Fatalf("%q", line)
			}
			client.Send("he")
			<-second
			client.Send("llo")
			if line, _ := client.ReadHead(); line != "HTTP/1.1 200 OK" {
				t.Errorf("%q", line)
			}
		})
	}
}

// TestReplayOnAStaleConnection: an upload whose pooled connection was closed as it came
// is sent again where that does no harm.
func TestReplayOnAStaleConnection(t *testing.T) {
	for method, want := range map[string]string{"PUT": "UC 200", "POST": "UC"} {
		t.Run(method, func(t *testing.T) {
			proxytest.NoLeaks(t)
			second := make(chan struct{})
			address := proxytest.Endpoint(t, func(n int, p *proxytest.Peer) {
				if n == 1 {
					close(second)
				}
				for i := 0; ; i++ {
					if _, err := p.TryReadHead(); err != nil || n == 0 && i == 1 {
						return // it takes the second request and closes
					}
					if n > 0 {
						p.Expect("hello")
					}
					p.Send(proxytest.EmptyResponse)
				}
			})
			x := proxytest.StartScript(t, proxytest.H1C, 1, proxytest.Respond(200)).Start(proxytest.H1C, proxytest.H1C, func(s *proxytest.Settings) { s.Cluster.Endpoints = []string{address} })
			client := x.Dial()
			client.Send(proxytest.RootRequest)
			client.ReadOK()
			trace, field := proxytest.NewTrace()
			client.Send(method+" / HTTP/1.1\r\nHost: a\r\n", field, "Content-Length: 5\r\n\r\n")
			if want == "UC 200" {
				<-second
			}
			client.Send("hello")
			client.ReadResponse(method)
			if h := x.Hop(trace); proxytest.Attempts(h) != want {
				t.Errorf("attempts %q, want %q", proxytest.Attempts(h), want)
			}
		})
	}
}
