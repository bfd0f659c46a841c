package snapshot_test

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
)

// narrow is an h2c endpoint that lets no content be sent: it answers each GET with
// 204, so that the proxy knows of its window, and gives every other request to serve.
func narrow(t *testing.T, serve func(f *framed, stream uint32)) string {
	t.Helper()
	return endpoint(t, func(_ int, p *peer) {
		p.expect(http2.ClientPreface)
		f := openFramed(t, p.TCPConn, struct {
			io.Reader
			io.Writer
		}{p.r, p.TCPConn})
		f.fail = p.fail
		f.check(f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}))
		for {
			frame, err := f.read()
			var reset http2.StreamError
			if err != nil && !errors.As(err, &reset) {
				return
			}
			head, ok := frame.(*http2.MetaHeadersFrame)
			switch {
			case !ok:
			case head.PseudoValue("method") == "GET":
				f.answer(head.StreamID, true, ":status: 204")
			default:
				serve(f, head.StreamID)
			}
		}
	})
}

// denies is an answer that comes without a look at the request's content.
func denies(f *framed, stream uint32) {
	f.answer(stream, false, ":status: 401", "content-length: 2")
	f.check(f.WriteData(stream, true, []byte("no")))
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
	for _, down := range sides[:2] {
		for _, content := range []string{"whole", "more than goes out at once", "uploaded", "that does not end"} {
			for _, resets := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s, content %s, reset %t", down.name, content, resets), func(t *testing.T) {
					noLeaks(t)
					codes := make(chan http2.ErrCode, 1)
					address := narrow(t, func(f *framed, stream uint32) {
						denies(f, stream)
						if resets {
							f.check(f.WriteRSTStream(stream, http2.ErrCodeNo))
							return
						}
						codes <- f.reset(stream)
					})
					p := stage(t, h2c, 1, answers(200))
					x := p.try(down, h2c, func(s *settings) { s.Cluster.Endpoints = []string{address} })
					x.ask("GET", nil).want(t, 204, "", "204")
					var body io.Reader
					switch content {
					case "whole":
						body = strings.NewReader(pattern(20))
					case "more than goes out at once":
						body = strings.NewReader(pattern(1 << 20))
					case "uploaded":
						body = later(pattern(20))
					case "that does not end":
						body = pending(t, "hello")
					}
					o := x.ask("POST", body)
					o.want(t, 401, "", "401")
					if o.body != "no" {
						t.Errorf("content %q", o.body)
					}
					if !resets {
						if code := <-codes; code != http2.ErrCodeCancel {
							t.Errorf("the endpoint's stream was reset with %v", code)
						}
					}
					x.ask("GET", nil).want(t, 204, "", "204") // the endpoint's connection goes on
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
		for _, down := range sides[:2] {
			t.Run(then+", "+down.name, func(t *testing.T) {
				noLeaks(t)
				address := endpoint(t, func(_ int, p *peer) {
					p.SetReadBuffer(4 << 10)
					p.head()
					p.send("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")
					switch then {
					case "resets": // since it is closed with bytes that were not read
						return
					case "ends":
						p.CloseWrite()
					}
					<-t.Context().Done()
				})
				p := stage(t, h1c, 1, answers(200))
				x := p.try(down, h1c, func(s *settings) { s.Cluster.Endpoints = []string{address} })
				o := x.ask("POST", strings.NewReader(strings.Repeat(pattern(1<<20), 8)))
				o.want(t, 403, "", "403")
				if o.body != "no" {
					t.Errorf("content %q", o.body)
				}
			})
		}
	}
}

// TestEarlyAnswerToRepeatedContent: so is one to content that is sent a second time,
// and all of which is here.
func TestEarlyAnswerToRepeatedContent(t *testing.T) {
	const size = 8 << 20
	content := strings.Repeat(pattern(1<<20), size>>20)
	for _, down := range sides[:2] {
		t.Run(down.name, func(t *testing.T) {
			noLeaks(t)
			first := goServer(t, func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				w.WriteHeader(503)
			})
			second := endpoint(t, func(_ int, p *peer) {
				p.SetReadBuffer(4 << 10)
				p.head()
				p.send("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")
				<-t.Context().Done()
			})
			p := stage(t, h1c, 1, answers(200))
			x := p.try(down, h1c, func(s *settings) {
				s.Cluster.Endpoints, s.Cluster.Retry = []string{first, second}, retrying(2, "5xx")
				s.Cluster.Retry.MaxBody = size
				s.Cluster.Balance.Policy = "round_robin"
			})
			for range 4 {
				o := x.ask("POST", strings.NewReader(content))
				if got := attempts(o.hop); o.StatusCode != 403 || got != "403" && got != "503 403" {
					t.Errorf("status %d, attempts %q: %s", o.StatusCode, got, o.hop.Failure.Reason)
				}
			}
		})
	}
}

// TestClientLeavesWhileContentWaits: that a client is gone is heard while the endpoint
// does not take what it has sent.
func TestClientLeavesWhileContentWaits(t *testing.T) {
	for _, down := range sides[:2] {
		for _, size := range []int{20, 1 << 20} {
			if !down.http2 && size > 20 {
				continue // what is not read yet hides the end of the connection behind it
			}
			t.Run(fmt.Sprint(down.name, " ", size), func(t *testing.T) {
				noLeaks(t)
				asked, codes := make(chan struct{}), make(chan http2.ErrCode, 1)
				address := narrow(t, func(f *framed, stream uint32) {
					close(asked)
					codes <- f.reset(stream)
				})
				p := stage(t, h2c, 1, answers(200))
				x := p.try(down, h2c, func(s *settings) {
					s.Cluster.Endpoints = []string{address}
					s.Route.Timeout = 0
				})
				x.ask("GET", nil).want(t, 204, "", "204")
				if !down.http2 {
					client := x.rig.dial()
					trace, field := newTrace()
					client.send("POST / HTTP/1.1\r\nHost: a\r\n", field, "Content-Length: 5\r\n\r\nhello")
					<-asked
					client.reset() // an end alone may be a half-close
					if code := <-codes; code != http2.ErrCodeCancel {
						t.Errorf("the endpoint's stream was reset with %v", code)
					}
					if h := x.rig.hop(trace); h.Flags.String() != "DC" {
						t.Errorf("flags %q: %s", h.Flags, h.Failure.Reason)
					}
					return
				}
				ctx, leave := context.WithCancel(t.Context())
				r, trace := x.request(ctx, "POST", strings.NewReader(pattern(size)))
				go func() {
					<-asked
					leave()
				}()
				if _, err := x.client.Do(r); err == nil {
					t.Error("there was a response")
				}
				if code := <-codes; code != http2.ErrCodeCancel {
					t.Errorf("the endpoint's stream was reset with %v", code)
				}
				if h := x.rig.hop(trace); h.Flags.String() != "DR" {
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
		change  func(*settings)
		field   string
		details string
	}{
		{"the route's", func(s *settings) { s.Route.Timeout = short }, "", "response_timeout"},
		{"an attempt's", func(s *settings) { s.Cluster.Retry = perTry(retrying(1, "5xx"), short) }, "", "upstream_per_try_timeout"},
		{"the endpoint's silence", func(s *settings) { s.Listener.StreamIdleTimeout = short }, "", "stream_idle_timeout{response}"},
		{"the caller's", func(s *settings) { s.Route.Timeout = 0 }, "grpc-timeout: 120m", "response_timeout"},
	} {
		for _, late := range []bool{false, true} {
			t.Run(fmt.Sprint(tt.name, " late ", late), func(t *testing.T) {
				noLeaks(t)
				asked := make(chan struct{}, 1)
				silent := narrow(t, func(*framed, uint32) { asked <- struct{}{} })
				p := stage(t, h2c, 1, answers(200))
				x := p.try(h2c, h2c, func(s *settings) {
					s.Cluster.Endpoints = []string{silent}
					tt.change(s)
				})
				x.ask("GET", nil).want(t, 204, "", "204")
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
				o := x.ask("POST", content, fields...)
				if a := o.hop.Attempts[0]; a.Details != tt.details || len(o.hop.Attempts) != 1 {
					t.Errorf("details %q, attempts %q", a.Details, attempts(o.hop))
				}
			})
		}
	}
}

// TestDeadlineOfRepeatedContent: the route's timeout holds where content is sent again
// to an endpoint that takes little of it.
func TestDeadlineOfRepeatedContent(t *testing.T) {
	noLeaks(t)
	const size = 8 << 20
	address := endpoint(t, func(n int, p *peer) {
		p.SetDeadline(timeLimit())
		if n > 0 {
			p.SetReadBuffer(4 << 10)
		}
		r, err := http.ReadRequest(p.r)
		if err != nil {
			t.Error(err)
			return
		}
		if n == 0 {
			io.Copy(io.Discard, r.Body)
			p.send("HTTP/1.1 503 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
			return
		}
		<-t.Context().Done()
	})
	p := stage(t, h1c, 1, answers(200))
	x := p.try(h1c, h1c, func(s *settings) {
		s.Cluster.Endpoints, s.Cluster.Retry = []string{address}, retrying(2, "5xx")
		s.Cluster.Retry.MaxBody, s.Route.Timeout = size, 2*time.Second
	})
	o := x.ask("POST", strings.NewReader(strings.Repeat(pattern(1<<20), size>>20)))
	o.want(t, 504, "UT", "503 UT")
	if o.hop.Details != "response_timeout" {
		t.Errorf("details %q", o.hop.Details)
	}
}

// TestEarlyAnswerToHTTP2Client: a client whose content has not ended is told, after the
// end of the response, that no more of it is needed (RFC 9113 section 8.1).
func TestEarlyAnswerToHTTP2Client(t *testing.T) {
	for _, up := range sides[:2] {
		t.Run(up.name, func(t *testing.T) {
			noLeaks(t)
			var address, protocol string
			if up.http2 {
				address, protocol = narrow(t, denies), "http2"
			} else {
				address, protocol = endpoint(t, func(_ int, p *peer) {
					p.head()
					p.send("HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno")
					p.rest()
				}), "http1"
			}
			rig := startProxy(t, address, func(s *settings) { s.Cluster.Protocol = protocol })
			f := dialFramed(t, rig.ingress())
			defer f.close()
			stream := f.ask(false, "POST", "/")
			f.check(f.WriteData(stream, false, []byte("hello")))
			if r, body := f.response(stream); r.StatusCode != 401 || body != "no" {
				t.Errorf("status %d, %q", r.StatusCode, body)
			}
			if code := f.reset(stream); code != http2.ErrCodeNo {
				t.Errorf("the stream was reset with %v", code)
			}
		})
	}
}
