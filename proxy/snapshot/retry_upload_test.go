package snapshot_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// inTwo is content whose second half comes when it is asked for.
func inTwo(content string, goOn <-chan struct{}) io.Reader {
	return &slowly{strings.NewReader(content[len(content)/2:]), content[:len(content)/2], goOn}
}

// failsFirst is an endpoint for one request that fails by fail once it has have bytes
// of content, and for others that echo answers. again is closed when the second has
// come.
func failsFirst(t *testing.T, up side, have int, fail func(f *framed, stream uint32)) (address string, again chan struct{}) {
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
	if !up.http2 {
		return endpoint(t, func(_ int, p *peer) {
			for {
				p.SetReadDeadline(timeLimit())
				r, err := http.ReadRequest(p.r)
				if err != nil {
					return
				}
				if turn() {
					io.ReadFull(r.Body, make([]byte, have))
					p.reset()
					return
				}
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				p.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
			}
		}), again
	}
	return framedEndpoint(t, func(_ int, f *framed) {
		for {
			stream, ok := f.request()
			if !ok {
				return
			}
			body, fails := "", turn()
			for ended := false; !ended && !(fails && len(body) >= have); {
				frame, err := f.read()
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
			f.answer(stream, false, ":status: 200")
			f.check(f.WriteData(stream, true, []byte(body)))
		}
	}), again
}

// failures are attempts, where a reset and an end are the same: the upload may be the
// one to see the reset, and then who reads sees the end.
func failures(h *hop.Hop) string { return strings.ReplaceAll(attempts(h), "UC", "UR") }

// TestReplayOfUploads: a stream that the endpoint says it did not process is sent again
// without a policy, whatever the method, with what was read of the content, and the
// upload goes on (RFC 9113 section 8.7). So is a stream that failed where a policy says
// so.
func TestReplayOfUploads(t *testing.T) {
	refused := func(f *framed, stream uint32) { f.check(f.WriteRSTStream(stream, http2.ErrCodeRefusedStream)) }
	away := func(f *framed, _ uint32) { f.check(f.WriteGoAway(0, http2.ErrCodeNo, nil)) }
	broken := func(f *framed, stream uint32) { f.check(f.WriteRSTStream(stream, http2.ErrCodeInternal)) }
	const content = "the first half, and the second"
	for _, tt := range []struct {
		name  string
		up    side
		fail  func(*framed, uint32)
		have  int
		on    []string
		tries string
	}{
		{"refused before any content", h2c, refused, 0, nil, "UR 200"},
		{"refused within the content", h2c, refused, len(content) / 2, nil, "UR 200"},
		{"GOAWAY before any content", h2c, away, 0, nil, "UR 200"},
		{"GOAWAY within the content", h2c, away, len(content) / 2, nil, "UR 200"},
		{"refused, and the policy says so", h2c, refused, len(content) / 2, []string{"refused-stream", "reset"}, "UR 200"},
		{"broken before any content", h2c, broken, 0, []string{"reset"}, "UR 200"},
		{"broken within the content", h2c, broken, len(content) / 2, []string{"5xx"}, "UR 200"},
		{"broken, and no policy", h2c, broken, len(content) / 2, nil, "UR"},
		{"broken, and another policy", h2c, broken, len(content) / 2, []string{"refused-stream"}, "UR"},
		{"HTTP/1, before any content", h1c, nil, 0, []string{"reset"}, "UR 200"},
		{"HTTP/1, within the content", h1c, nil, len(content) / 2, []string{"gateway-error"}, "UR 200"},
		{"HTTP/1, and no policy", h1c, nil, len(content) / 2, nil, "UR"},
	} {
		for _, down := range sides[:2] {
			for _, method := range []string{"POST", "PUT"} {
				t.Run(fmt.Sprint(tt.name, ", ", method, " by ", down.name), func(t *testing.T) {
					noLeaks(t)
					address, again := failsFirst(t, tt.up, tt.have, tt.fail)
					p := stage(t, tt.up, 1, answers(200))
					x := p.try(down, tt.up, func(s *settings) {
						s.Cluster.Endpoints = []string{address}
						if tt.on != nil {
							s.Cluster.Retry = retrying(2, tt.on...)
						}
					})
					if tt.tries == "UR" {
						if o := x.ask(method, pending(t, content[:len(content)/2])); failures(o.hop) != "UR" || o.StatusCode != 503 {
							t.Errorf("status %d, attempts %q", o.StatusCode, attempts(o.hop))
						}
						return
					}
					o := x.ask(method, inTwo(content, again))
					if got := failures(o.hop); got != tt.tries || o.StatusCode != 200 || o.hop.Flags != 0 {
						t.Errorf("status %d, flags %q, attempts %q; want %q", o.StatusCode, o.hop.Flags, got, tt.tries)
					}
					if o.body != content || o.hop.BytesIn != int64(len(content)) || o.hop.Attempts[1].BytesSent != int64(len(content)) {
						t.Errorf("%q arrived; %d bytes in, %d sent", o.body, o.hop.BytesIn, o.hop.Attempts[1].BytesSent)
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
			noLeaks(t)
			address, _ := failsFirst(t, h2c, size, func(f *framed, stream uint32) { f.check(f.WriteRSTStream(stream, http2.ErrCodeRefusedStream)) })
			p := stage(t, h2c, 1, answers(200))
			x := p.try(h1c, h2c, func(s *settings) { s.Cluster.Endpoints = []string{address} })
			want := "UR 200"
			if size > 16<<10 {
				want = "UR"
			}
			if o := x.ask("POST", later(pattern(size))); attempts(o.hop) != want || want != "UR" && o.body != pattern(size) {
				t.Errorf("attempts %q, want %q; %d bytes came back", attempts(o.hop), want, len(o.body))
			}
		})
	}
}

// TestEarlyAnswerIsRetried: a response that comes before the end of the content is
// retried as any other, and the upload goes on.
func TestEarlyAnswerIsRetried(t *testing.T) {
	noLeaks(t)
	address := endpoint(t, func(n int, p *peer) {
		p.head()
		p.read(2)
		if n == 0 {
			p.send("HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbusy")
			p.rest()
			return
		}
		p.send("HTTP/1.1 100 Continue\r\n\r\n")
		p.expect("llo")
		p.send(empty)
	})
	x := stage(t, h1c, 1, answers(200)).try(h1c, h1c, func(s *settings) {
		s.Cluster.Endpoints = []string{address}
		s.Cluster.Retry = retrying(3, "5xx")
	})
	client := x.rig.dial()
	trace, field := newTrace()
	client.send("POST / HTTP/1.1\r\nHost: a\r\n", field, "Content-Length: 5\r\n\r\nhe")
	if first, _ := client.head(); first != "HTTP/1.1 100 Continue" { // of the second attempt
		t.Errorf("%q", first)
	}
	client.send("llo")
	client.ok()
	if h := x.rig.hop(trace); attempts(h) != "503 200" || h.BytesIn != 5 {
		t.Errorf("attempts %q, %d bytes in", attempts(h), h.BytesIn)
	}
}

// TestReplayAsksOnce: a client that waits to be asked for its content is asked once;
// where the first endpoint did not ask, the second may.
func TestReplayAsksOnce(t *testing.T) {
	const busy = "HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
	for _, first := range []bool{true, false} {
		t.Run(fmt.Sprint(first), func(t *testing.T) {
			noLeaks(t)
			second := make(chan struct{})
			address := endpoint(t, func(n int, p *peer) {
				_, fields := p.head()
				if n == 1 {
					close(second)
				}
				expected := value(fields, "Expect") != ""
				switch {
				case n == 0 && first:
					p.send("HTTP/1.1 100 Continue\r\n\r\n")
					p.expect("he")
					p.send(busy)
				case n == 0:
					p.send(busy)
				default:
					if expected == first {
						t.Errorf("the second endpoint is to ask: %t", expected)
					}
					if expected {
						p.send("HTTP/1.1 100 Continue\r\n\r\n")
					}
					p.expect("hello")
					p.send(empty)
				}
				p.rest()
			})
			x := stage(t, h1c, 1, answers(200)).try(h1c, h1c, func(s *settings) {
				s.Cluster.Endpoints, s.Cluster.Retry = []string{address}, retrying(2, "5xx")
			})
			client := x.rig.dial()
			client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
			if line, _ := client.head(); line != "HTTP/1.1 100 Continue" {
				t.Fatalf("%q", line)
			}
			client.send("he")
			<-second
			client.send("llo")
			if line, _ := client.head(); line != "HTTP/1.1 200 OK" {
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
			noLeaks(t)
			second := make(chan struct{})
			address := endpoint(t, func(n int, p *peer) {
				if n == 1 {
					close(second)
				}
				for i := 0; ; i++ {
					if _, err := p.tryHead(); err != nil || n == 0 && i == 1 {
						return // it takes the second request and closes
					}
					if n > 0 {
						p.expect("hello")
					}
					p.send(empty)
				}
			})
			x := stage(t, h1c, 1, answers(200)).try(h1c, h1c, func(s *settings) { s.Cluster.Endpoints = []string{address} })
			client := x.rig.dial()
			client.send(getRoot)
			client.ok()
			trace, field := newTrace()
			client.send(method+" / HTTP/1.1\r\nHost: a\r\n", field, "Content-Length: 5\r\n\r\n")
			if want == "UC 200" {
				<-second
			}
			client.send("hello")
			client.response(method)
			if h := x.rig.hop(trace); attempts(h) != want {
				t.Errorf("attempts %q, want %q", attempts(h), want)
			}
		})
	}
}
