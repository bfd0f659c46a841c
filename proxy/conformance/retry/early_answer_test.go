package retry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// narrow is an h2c endpoint that lets no content be sent: it answers each GET with
// 204, so that the proxy knows of its window, and gives every other request to serve.
func narrow(t testing.TB, serve func(f *proxytest.HTTP2Peer, stream uint32)) string {
	t.Helper()
	return proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
		p.Expect(http2.ClientPreface)
		f := proxytest.OpenHTTP2Peer(t, p.TCPConn, struct {
			io.Reader
			io.Writer
		}{p.Reader, p.TCPConn})
		f.Fail = p.Fail
		f.Check(f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}))
		for {
			frame, err := f.ReadNext()
			var reset http2.StreamError
			if err != nil && !errors.As(err, &reset) {
				return
			}
			head, ok := frame.(*http2.MetaHeadersFrame)
			switch {
			case !ok:
			case head.PseudoValue("method") == "GET":
				f.Answer(head.StreamID, true, ":status: 204")
			default:
				serve(f, head.StreamID)
			}
		}
	})
}

// denies is an answer that comes without a look at the request's content.
func denies(f *proxytest.HTTP2Peer, stream uint32) {
	f.Answer(stream, false, ":status: 401", "content-length: 2")
	f.Check(f.WriteData(stream, true, []byte("no")))
}

// pending is content that begins with first and never ends, until it is closed.
func pending(t *testing.T, first string) io.ReadCloser {
	r, w := io.Pipe()
	t.Cleanup(func() { w.Close() })
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(strings.NewReader(first), r), w}
}

// TestEarlyAnswer: a response that comes before the endpoint has taken the content is
// the client's, whether the endpoint then resets the stream or just reads no more (RFC
// 9113 section 8.1).
func TestEarlyAnswer(t *testing.T) {
	for _, down := range proxytest.Sides[:2] {
		for _, content := range []string{"whole", "more than goes out at once", "uploaded", "that does not end"} {
			for _, resets := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s, content %s, reset %t", down.Name, content, resets), func(t *testing.T) {
					proxytest.NoLeaks(t)
					codes := make(chan http2.ErrCode, 1)
					address := narrow(t, func(f *proxytest.HTTP2Peer, stream uint32) {
						denies(f, stream)
						if resets {
							f.Check(f.WriteRSTStream(stream, http2.ErrCodeNo))
							return
						}
						codes <- f.ReadReset(stream)
					})
					p := proxytest.StartScript(t, proxytest.H2C, 1, proxytest.Respond(200))
					x := p.Start(down, proxytest.H2C, func(s *proxytest.Settings) { s.Cluster.Endpoints = []string{address} })
					x.Ask("GET", nil).Want(t, 204, "", "204")
					var body io.Reader
					switch content {
					case "whole":
						body = strings.NewReader(proxytest.Pattern(20))
					case "more than goes out at once":
						body = strings.NewReader(proxytest.Pattern(1 << 20))
					case "uploaded":
						body = later(proxytest.Pattern(20))
					case "that does not end":
						body = pending(t, "hello")
					}
					o := x.Ask("POST", body)
					o.Want(t, 401, "", "401")
					if o.Body != "no" {
						t.Errorf("content %q", o.Body)
					}
					if !resets {
						if code := <-codes; code != http2.ErrCodeCancel {
							t.Errorf("the endpoint's stream was reset with %v", code)
						}
					}
					x.Ask("GET", nil).Want(t, 204, "", "204") // the endpoint's connection goes on
				})
			}
		}
	}
}

// TestEarlyAnswerHTTP1: so is one of an endpoint that reads no more and leaves the
// connection as it is, or ends its side of it, or resets it (RFC 9112 sections 9.3 and
// 9.6).
func TestEarlyAnswerHTTP1(t *testing.T) {
	for _, then := range []string{"stays", "ends", "resets"} {
		for _, down := range proxytest.Sides[:2] {
			t.Run(then+", "+down.Name, func(t *testing.T) {
				proxytest.NoLeaks(t)
				address := proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
					p.SetReadBuffer(4 << 10)
					p.ReadHead()
					p.Send("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")
					switch then {
					case "resets": // since it is closed with bytes that were not read
						return
					case "ends":
						p.CloseWrite()
					}
					<-t.Context().Done()
				})
				p := proxytest.StartScript(t, proxytest.H1C, 1, proxytest.Respond(200))
				x := p.Start(down, proxytest.H1C, func(s *proxytest.Settings) { s.Cluster.Endpoints = []string{address} })
				o := x.Ask("POST", strings.NewReader(strings.Repeat(proxytest.Pattern(1<<20), 8)))
				o.Want(t, 403, "", "403")
				if o.Body != "no" {
					t.Errorf("content %q", o.Body)
				}
			})
		}
	}
}

// TestEarlyAnswerToRepeatedContent: so is one to content that is sent a second time,
// and all of which is here.
func TestEarlyAnswerToRepeatedContent(t *testing.T) {
	const size = 8 << 20
	content := strings.Repeat(proxytest.Pattern(1<<20), size>>20)
	for _, down := range proxytest.Sides[:2] {
		t.Run(down.Name, func(t *testing.T) {
			proxytest.NoLeaks(t)
			first := proxytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				w.WriteHeader(503)
			})
			second := proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
				p.SetReadBuffer(4 << 10)
				p.ReadHead()
				p.Send("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")
				<-t.Context().Done()
			})
			p := proxytest.StartScript(t, proxytest.H1C, 1, proxytest.Respond(200))
			x := p.Start(down, proxytest.H1C, func(s *proxytest.Settings) {
				s.Cluster.Endpoints, s.Cluster.Retry = []string{first, second}, proxytest.Retrying(2, "5xx")
				s.Cluster.Retry.MaxBody = size
				s.Cluster.Balance.Policy = "round_robin"
			})
			for range 4 {
				o := x.Ask("POST", strings.NewReader(content))
				if got := proxytest.Attempts(o.Hop); o.StatusCode != 403 || got != "403" && got != "503 403" {
					t.Errorf("status %d, attempts %q: %s", o.StatusCode, got, o.Hop.Failure.Reason)
				}
			}
		})
	}
}

// TestClientLeavesWhileContentWaits: that a client is gone is heard while the endpoint
// does not take what it has sent.
func TestClientLeavesWhileContentWaits(t *testing.T) {
	for _, down := range proxytest.Sides[:2] {
		for _, size := range []int{20, 1 << 20} {
			if !down.HTTP2 && size > 20 {
				continue // what is not read yet hides the end of the connection behind it
			}
			t.Run(fmt.Sprint(down.Name, " ", size), func(t *testing.T) {
				proxytest.NoLeaks(t)
				asked, codes := make(chan struct{}), make(chan http2.ErrCode, 1)
				address := narrow(t, func(f *proxytest.HTTP2Peer, stream uint32) {
					close(asked)
					codes <- f.ReadReset(stream)
				})
				p := proxytest.StartScript(t, proxytest.H2C, 1, proxytest.Respond(200))
				x := p.Start(down, proxytest.H2C, func(s *proxytest.Settings) {
					s.Cluster.Endpoints = []string{address}
					s.Route.Timeout = 0
				})
				x.Ask("GET", nil).Want(t, 204, "", "204")
				if !down.HTTP2 {
					client := x.Dial()
					trace, field := proxytest.NewTrace()
					client.Send("POST / HTTP/1.1\r\nHost: a\r\n", field, "Content-Length: 5\r\n\r\nhello")
					<-asked
					client.Reset() // an end alone may be a half-close
					if code := <-codes; code != http2.ErrCodeCancel {
						t.Errorf("the endpoint's stream was reset with %v", code)
					}
					if h := x.Hop(trace); h.Flags.String() != "DC" {
						t.Errorf("flags %q: %s", h.Flags, h.Failure.Reason)
					}
					return
				}
				ctx, leave := context.WithCancel(t.Context())
				r, trace := x.NewRequest(ctx, "POST", strings.NewReader(proxytest.Pattern(size)))
				go func() {
					<-asked
					leave()
				}()
				if _, err := x.HTTP.Do(r); err == nil {
					t.Error("there was a response")
				}
				if code := <-codes; code != http2.ErrCodeCancel {
					t.Errorf("the endpoint's stream was reset with %v", code)
				}
				if h := x.Hop(trace); h.Flags.String() != "DR" {
					t.Errorf("flags %q: %s", h.Flags, h.Failure.Reason)
				}
			})
		}
	}
}

// TestDeadlinesWhileContentWaits: every deadline holds while the endpoint does not take
// the content, also where its end comes while a part of it already waits.
func TestDeadlinesWhileContentWaits(t *testing.T) {
	for _, tt := range []struct {
		name    string
		change  func(*proxytest.Settings)
		field   string
		details string
	}{
		{"the route's", func(s *proxytest.Settings) { s.Route.Timeout = proxytest.Short }, "", "response_timeout"},
		{"an attempt's", func(s *proxytest.Settings) { s.Cluster.Retry = perTry(proxytest.Retrying(1, "5xx"), proxytest.Short) }, "", "upstream_per_try_timeout"},
		{"the endpoint's silence", func(s *proxytest.Settings) { s.Listener.StreamIdleTimeout = proxytest.Short }, "", "stream_idle_timeout{response}"},
		{"the caller's", func(s *proxytest.Settings) { s.Route.Timeout = 0 }, "grpc-timeout: 120m", "response_timeout"},
	} {
		for _, late := range []bool{false, true} {
			t.Run(fmt.Sprint(tt.name, " late ", late), func(t *testing.T) {
				proxytest.NoLeaks(t)
				asked := make(chan struct{}, 1)
				silent := narrow(t, func(*proxytest.HTTP2Peer, uint32) { asked <- struct{}{} })
				p := proxytest.StartScript(t, proxytest.H2C, 1, proxytest.Respond(200))
				x := p.Start(proxytest.H2C, proxytest.H2C, func(s *proxytest.Settings) {
					s.Cluster.Endpoints = []string{silent}
					tt.change(s)
				})
				x.Ask("GET", nil).Want(t, 204, "", "204")
				fields := []string{"X-A: b"}
				if tt.field != "" {
					fields = []string{tt.field, "Content-Type: application/grpc"}
				}
				var content io.Reader = strings.NewReader("hello")
				if late {
					part, pipe := io.Pipe()
					content = part
					go func() {
						io.WriteString(pipe, "hello")
						<-asked
						pipe.Close()
					}()
				}
				o := x.Ask("POST", content, fields...)
				if a := o.Hop.Attempts[0]; a.Details != tt.details || len(o.Hop.Attempts) != 1 {
					t.Errorf("details %q, attempts %q", a.Details, proxytest.Attempts(o.Hop))
				}
			})
		}
	}
}

// TestDeadlineOfRepeatedContent: the route's timeout holds where content is sent again
// to an endpoint that takes little of it.
func TestDeadlineOfRepeatedContent(t *testing.T) {
	proxytest.NoLeaks(t)
	const size = 8 << 20
	address := proxytest.Endpoint(t, func(n int, p *proxytest.Peer) {
		p.SetDeadline(proxytest.Deadline())
		if n > 0 {
			p.SetReadBuffer(4 << 10)
		}
		r, err := http.ReadRequest(p.Reader)
		if err != nil {
			t.Error(err)
			return
		}
		if n == 0 {
			io.Copy(io.Discard, r.Body)
			p.Send("HTTP/1.1 503 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
			return
		}
		<-t.Context().Done()
	})
	p := proxytest.StartScript(t, proxytest.H1C, 1, proxytest.Respond(200))
	x := p.Start(proxytest.H1C, proxytest.H1C, func(s *proxytest.Settings) {
		s.Cluster.Endpoints, s.Cluster.Retry = []string{address}, proxytest.Retrying(2, "5xx")
		s.Cluster.Retry.MaxBody, s.Route.Timeout = size, 2*time.Second
	})
	o := x.Ask("POST", strings.NewReader(strings.Repeat(proxytest.Pattern(1<<20), size>>20)))
	o.Want(t, 504, "UT", "503 UT")
	if o.Hop.Details != "response_timeout" {
		t.Errorf("details %q", o.Hop.Details)
	}
}

// TestEarlyAnswerToHTTP2Client: a client whose content has not ended is told, after the
// end of the response, that no more of it is needed (RFC 9113 section 8.1).
func TestEarlyAnswerToHTTP2Client(t *testing.T) {
	for _, up := range proxytest.Sides[:2] {
		t.Run(up.Name, func(t *testing.T) {
			proxytest.NoLeaks(t)
			var address, protocol string
			if up.HTTP2 {
				address, protocol = narrow(t, denies), "http2"
			} else {
				address, protocol = proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
					p.ReadHead()
					p.Send("HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno")
					p.ReadRest()
				}), "http1"
			}
			rig := proxytest.Start(t, address, func(s *proxytest.Settings) { s.Cluster.Protocol = protocol })
			f := proxytest.DialHTTP2(t, rig.Ingress())
			defer f.Close()
			stream := f.Ask(false, "POST", "/")
			f.Check(f.WriteData(stream, false, []byte("hello")))
			if r, body := f.ReadResponse(stream); r.StatusCode != 401 || body != "no" {
				t.Errorf("status %d, %q", r.StatusCode, body)
			}
			if code := f.ReadReset(stream); code != http2.ErrCodeNo {
				t.Errorf("the stream was reset with %v", code)
			}
		})
	}
}
