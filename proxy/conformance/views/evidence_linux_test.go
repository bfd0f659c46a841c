package views_test

import (
	"bufio"
	"net"
	"net/http"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// blackHole is an application that is there, and never accepts a connection.
func blackHole(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// reading is an application that answers nothing. It reads the head of a request, or not
// even that.
func reading(heads bool) func(testing.TB) string {
	return func(t testing.TB) string {
		over := make(chan struct{})
		address := proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
			if heads {
				p.ReadHead()
			}
			<-over
		})
		t.Cleanup(func() { close(over) })
		return address
	}
}

// dying is an application that ends when it has read a request.
func dying(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		http.ReadRequest(bufio.NewReader(nc))
		l.Close()
		nc.Close()
	}()
	return l.Addr().String()
}

// silent2 is an application that speaks HTTP/2, reads a request, and answers nothing.
func silent2(t testing.TB) string {
	return proxytest.HTTP2Endpoint(t, func(_ int, f *proxytest.HTTP2Peer) {
		f.ReadRequest()
		f.Drain()
	})
}

// late is an application that answers when it has been slow for long enough.
func late(t testing.TB) string {
	return proxytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		<-time.After(20 * time.Millisecond)
	})
}

// TestEvidence: what the kernel says of a failed attempt is in the access log and in its
// span.
func TestEvidence(t *testing.T) {
	route := func(s *proxytest.Settings, unit time.Duration) { s.Route.Timeout = unit }
	connect := func(s *proxytest.Settings, unit time.Duration) { s.Cluster.ConnectTimeout = unit }
	for _, c := range []struct {
		name     string
		endpoint func(testing.TB) string
		change   func(*proxytest.Settings, time.Duration)
		status   int
		want     string
	}{
		{"the application accepts nothing", blackHole, route, 504, `^the kernel took the connection, but the application has not accepted it \(\d+ bytes wait\); 1 connection waits to be accepted \(the limit is \d+\)$`},
		{"the application reads nothing", reading(false), route, 504, `^the kernel took the request, but the application has left \d+ bytes unread for [\d.]+ m?s$`},
		{"the application answers nothing", reading(true), route, 504, `^the application has read the whole request, and sent nothing for [\d.]+ m?s$`},
		{"the application answers nothing over HTTP/2", silent2, func(s *proxytest.Settings, unit time.Duration) {
			route(s, unit)
			s.Cluster.Protocol = "http2"
		}, 504, `^the application has read the whole request, and sent no(thing| response) for [\d.]+ m?s`},
		{"the application does not shake hands", blackHole, func(s *proxytest.Settings, unit time.Duration) {
			connect(s, unit)
			proxytest.UseTLS(s, proxytest.NewAuthority(t).File)
		}, 503, `^the kernel took the connection, but the endpoint has not accepted it \(\d+ bytes wait\); 1 connection waits to be accepted \(the limit is \d+\)$`},
		{"nobody listens", proxytest.RefusingAddress, nil, 503, `^nobody listens at 127\.0\.0\.1:\d+$`},
		{"the queue is full", proxytest.DeafAddress, connect, 503, `^somebody listens at 127\.0\.0\.1:\d+; 1 connection waits to be accepted \(the limit is 0\)$`},
		{"the queue is full until the time is up", proxytest.DeafAddress, route, 504, `^somebody listens at 127\.0\.0\.1:\d+; 1 connection waits to be accepted \(the limit is 0\)$`},
		{"the application ends with the request", dying, nil, 503, `^the endpoint acknowledged the whole request before it closed the connection; nobody listens at its address any more$`},
		{"the application is slow", late, func(s *proxytest.Settings, _ time.Duration) { s.Route.SlowThreshold = 20 * time.Millisecond }, 200, `^$`},
		{"nothing is wrong", proxytest.Always("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), nil, 200, `^$`},
	} {
		t.Run(c.name, func(t *testing.T) {
			proxytest.Unhurried(t, 50*time.Millisecond, func(t testing.TB, unit time.Duration) {
				proxytest.NoLeaks(t)
				p := proxytest.StartWithViews(t, c.endpoint(t), func(s *proxytest.Settings) {
					if c.change != nil {
						c.change(s, unit)
					}
				})
				proxytest.Same(t, "status", proxytest.Get(p).StatusCode, c.status)
				views := p.End(1)
				try := proxytest.Line(views.Lines[0]["attempts"].([]any)[0].(map[string]any))
				if got := try.Text("evidence"); !regexp.MustCompile(c.want).MatchString(got) {
					t.Errorf("evidence %q, want %s", got, c.want)
				}
				if !slices.ContainsFunc(views.Spans, func(s proxytest.Span) bool { return s.Attributes["hopscope.evidence"] == try.Text("evidence") }) {
					t.Errorf("no span has it: %v", views.Spans)
				}
			})
		})
	}
}

// TestIdleRace: an endpoint closes a connection as it reads the next request of it.
func TestIdleRace(t *testing.T) {
	proxytest.NoLeaks(t)
	p := proxytest.StartWithViews(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
		p.ReadHead()
		p.Send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		p.ReadHead()
	}))
	const post = "POST / HTTP/1.1\r\nHost: web.test\r\nContent-Length: 0\r\n\r\n"
	proxytest.Same(t, "status", proxytest.Ask(t, p.Ingress(), post).StatusCode, 200)
	<-time.After(1100 * time.Millisecond) // so long is the connection idle
	proxytest.Same(t, "status", proxytest.Ask(t, p.Ingress(), post).StatusCode, 503)
	try := proxytest.Line(p.End(2).Lines[1]["attempts"].([]any)[0].(map[string]any))
	const want = `^this connection had been idle for [\d.]+ s before the request; the endpoint acknowledged the whole request before it closed the connection$`
	if got := try.Text("evidence"); !regexp.MustCompile(want).MatchString(got) || try["reused"] != true {
		t.Errorf("reused %v, evidence %q, want %s", try["reused"], got, want)
	}
}
