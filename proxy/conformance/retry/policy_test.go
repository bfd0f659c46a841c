package retry_test

import (
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// TestRetryOn: each word of a policy retries what it says, and nothing else.
func TestRetryOn(t *testing.T) {
	closed := map[bool]string{false: "UC", true: "UR"} // an attempt that was aborted, by whether it was over HTTP/2
	call := []string{"content-type: application/grpc", "te: trailers"}
	unavailable := proxytest.Respond(200, "content-type: application/grpc", "grpc-status: 14")
	for _, tt := range []struct {
		name   string
		on     string
		first  proxytest.Act
		fields []string
		change func(*config.Retry)
		tries  string // "abort" is an aborted attempt
	}{
		{name: "5xx", on: "5xx", first: proxytest.Respond(500), tries: "500 200"},
		{name: "5xx, aborted", on: "5xx", first: proxytest.Abort, tries: "abort 200"},
		{name: "5xx, another status", on: "5xx", first: proxytest.Respond(409), tries: "409"},
		{name: "gateway-error", on: "gateway-error", first: proxytest.Respond(502), tries: "502 200"},
		{name: "gateway-error, 504", on: "gateway-error", first: proxytest.Respond(504), tries: "504 200"},
		{name: "gateway-error, 500", on: "gateway-error", first: proxytest.Respond(500), tries: "500"},
		{name: "gateway-error, aborted", on: "gateway-error", first: proxytest.Abort, tries: "abort 200"},
		{name: "reset", on: "reset", first: proxytest.Abort, tries: "abort 200"},
		{name: "reset, 503", on: "reset", first: proxytest.Respond(503), tries: "503"},
		{name: "connect-failure, 503", on: "connect-failure", first: proxytest.Respond(503), tries: "503"},
		{name: "connect-failure, aborted", on: "connect-failure", first: proxytest.Abort, tries: "abort"},
		{name: "refused-stream, aborted", on: "refused-stream", first: proxytest.Abort, tries: "abort"},
		{name: "retriable-4xx", on: "retriable-4xx", first: proxytest.Respond(409), tries: "409 200"},
		{name: "retriable-4xx, 404", on: "retriable-4xx", first: proxytest.Respond(404), tries: "404"},
		{name: "retriable-status-codes", on: "retriable-status-codes", first: proxytest.Respond(418), tries: "418 200", change: func(r *config.Retry) { r.Statuses = []int{418} }},
		{name: "retriable-status-codes, another", on: "retriable-status-codes", first: proxytest.Respond(503), tries: "503", change: func(r *config.Retry) { r.Statuses = []int{418} }},
		{name: "retriable-headers", on: "retriable-headers", first: proxytest.Respond(200, "X-Busy: 1"), tries: "200 200", change: func(r *config.Retry) { r.Headers = []string{"X-bUsy"} }},
		{name: "retriable-headers, not there", on: "retriable-headers", first: proxytest.Respond(503), tries: "503", change: func(r *config.Retry) { r.Headers = []string{"x-busy"} }},
		{name: "5xx, rate limited", on: "5xx", first: proxytest.Respond(503, "x-envoy-ratelimited: true"), tries: "503"},
		{name: "unavailable", on: "unavailable", first: unavailable, fields: call, tries: "200 200"},
		{name: "unavailable, no call", on: "unavailable", first: unavailable, tries: "200"},
		{name: "cancelled, unavailable", on: "cancelled", first: unavailable, fields: call, tries: "200"},
		{name: "cancelled", on: "cancelled", first: proxytest.Respond(200, "content-type: application/grpc", "grpc-status: 1"), fields: call, tries: "200 200"},
		{name: "deadline-exceeded", on: "deadline-exceeded", first: proxytest.Respond(200, "content-type: application/grpc", "grpc-status: 4"), fields: call, tries: "200 200"},
		{name: "resource-exhausted", on: "resource-exhausted", first: proxytest.Respond(200, "content-type: application/grpc", "grpc-status: 8"), fields: call, tries: "200 200"},
		{name: "internal", on: "internal", first: proxytest.Respond(200, "content-type: application/grpc", "grpc-status: 13"), fields: call, tries: "200 200"},
		{name: "unavailable in trailers", on: "unavailable", fields: call, tries: "200", first: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("content-type", "application/grpc")
			w.Header().Set("Trailer", "Grpc-Status")
			w.WriteHeader(200)
			w.Write(proxytest.GRPCMessage(nil))
			w.Header().Set("Grpc-Status", "14")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
				last := proxytest.Respond(200)
				if tt.fields != nil {
					last = proxytest.Respond(200, "content-type: application/grpc", "grpc-status: 0")
				}
				p := proxytest.StartScript(t, up, 2, tt.first, last)
				x := p.Start(down, up, func(s *proxytest.Settings) {
					s.Cluster.Retry = proxytest.Retrying(2, tt.on)
					if tt.change != nil {
						tt.change(s.Cluster.Retry)
					}
				})
				o := x.Ask("POST", strings.NewReader("hello"), tt.fields...)
				if got, want := proxytest.Attempts(o.Hop), strings.ReplaceAll(tt.tries, "abort", closed[up.HTTP2]); got != want {
					t.Fatalf("attempts %q, want %q", got, want)
				}
				requests := p.Requests()
				if len(requests) != len(o.Hop.Attempts) {
					t.Fatalf("%d requests for %d attempts", len(requests), len(o.Hop.Attempts))
				}
				for i, r := range requests {
					if a := o.Hop.Attempts[i]; r.Body != "hello" || r.Endpoint != a.Endpoint || !strings.Contains(r.Header.Get("Traceparent"), a.Span.String()) {
						t.Errorf("request %d at %s: body %q, traceparent %q; attempt at %s, span %s", i, r.Endpoint, r.Body, r.Header.Get("Traceparent"), a.Endpoint, a.Span)
					}
					if i > 0 && r.Endpoint == requests[i-1].Endpoint {
						t.Errorf("it was sent to the same endpoint twice")
					}
				}
				if len(requests) == 2 && (o.StatusCode != 200 || o.Hop.Flags != 0 || o.Hop.Failed()) {
					t.Errorf("status %d, flags %q", o.StatusCode, o.Hop.Flags)
				}
			})
		})
	}
}

// TestRetryConnectFailure: a connection that can't be made is tried at another
// endpoint, with the policy and without one; `attempts: 1` turns that off.
func TestRetryConnectFailure(t *testing.T) {
	for _, tt := range []struct {
		name     string
		endpoint bool // there is another that works
		change   func(*proxytest.Settings)
		status   int
		flags    string
		tries    string
		retried  uint64
	}{
		{name: "default", endpoint: true, status: 200, tries: "UF 200"},
		{name: "default, one endpoint", change: func(*proxytest.Settings) {}, status: 503, flags: "UF", tries: "UF"},
		{name: "connect-failure", endpoint: true, change: func(s *proxytest.Settings) { s.Cluster.Retry = proxytest.Retrying(2, "connect-failure") }, status: 200, tries: "UF 200"},
		{name: "reset", endpoint: true, change: func(s *proxytest.Settings) { s.Cluster.Retry = proxytest.Retrying(2, "reset") }, status: 200, tries: "UF 200"},
		{name: "retriable-4xx", endpoint: true, change: func(s *proxytest.Settings) { s.Cluster.Retry = proxytest.Retrying(2, "retriable-4xx") }, status: 503, flags: "UF", tries: "UF"},
		{name: "off", endpoint: true, change: func(s *proxytest.Settings) { s.Cluster.Retry = proxytest.Retrying(1, "5xx") }, status: 503, flags: "UF", tries: "UF"},
		{name: "off by the route", endpoint: true, change: func(s *proxytest.Settings) {
			s.Cluster.Retry, s.Route.Retry = proxytest.Retrying(5, "5xx"), proxytest.Retrying(1, "5xx")
		}, status: 503, flags: "UF", tries: "UF"},
		{name: "on by the route", endpoint: true, change: func(s *proxytest.Settings) {
			s.Cluster.Retry, s.Route.Retry = proxytest.Retrying(1, "5xx"), proxytest.Retrying(5, "5xx")
		}, status: 200, tries: "UF 200"},
		{name: "one endpoint, again", change: func(s *proxytest.Settings) { s.Cluster.Retry = proxytest.Retrying(3, "5xx") }, status: 503, flags: "UF,URX", tries: "UF UF UF", retried: 2},
		{name: "no retry is allowed", change: func(s *proxytest.Settings) {
			s.Cluster.Retry = proxytest.Retrying(3, "5xx")
			s.Cluster.CircuitBreaker.MaxRetries = 0
		}, status: 503, flags: "UF,UO", tries: "UF"},
		{name: "no retry is allowed, another endpoint", endpoint: true, change: func(s *proxytest.Settings) {
			s.Cluster.CircuitBreaker.MaxRetries = 0
		}, status: 200, tries: "UF 200"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proxytest.NoLeaks(t)
			p := proxytest.StartScript(t, proxytest.H1C, 1, proxytest.Respond(200))
			refuses := proxytest.RefusingAddress(t)
			x := p.Start(proxytest.H1C, proxytest.H1C, func(s *proxytest.Settings) {
				if s.Cluster.Endpoints = []string{refuses, p.Addresses[0]}; !tt.endpoint {
					s.Cluster.Endpoints = []string{refuses}
				}
				if tt.change != nil {
					tt.change(s)
				}
			})
			refused := false
			for range 2 { // whichever endpoint is the first
				o := x.Ask("POST", strings.NewReader("hello"))
				if o.Hop.Attempts[0].Endpoint != refuses {
					o.Want(t, 200, "", "200")
					continue
				}
				refused = true
				o.Want(t, tt.status, tt.flags, tt.tries)
			}
			if !refused {
				t.Error("the endpoint that refuses was never asked")
			}
			if c := x.Counts(); tt.retried > 0 && c.Retried != 2*tt.retried || tt.retried == 0 && c.Retried != 0 {
				t.Errorf("%d retries are counted", c.Retried)
			}
		})
	}
}

// TestRetryDefaultStopsAtThree: without a policy three endpoints are tried.
func TestRetryDefaultStopsAtThree(t *testing.T) {
	proxytest.NoLeaks(t)
	p := proxytest.StartScript(t, proxytest.H1C, 1, proxytest.Respond(200))
	x := p.Start(proxytest.H1C, proxytest.H1C, func(s *proxytest.Settings) {
		s.Cluster.Endpoints = []string{proxytest.RefusingAddress(t), proxytest.RefusingAddress(t), proxytest.RefusingAddress(t), proxytest.RefusingAddress(t), proxytest.RefusingAddress(t)}
	})
	o := x.Ask("GET", nil)
	o.Want(t, 503, "UF,URX", "UF UF UF")
	tried := map[string]bool{}
	for _, a := range o.Hop.Attempts {
		tried[a.Endpoint] = true
	}
	if len(tried) != 3 {
		t.Errorf("tried %v, want three different ones", tried)
	}
}

// TestRetryRefusedStream: what an endpoint refused before it looked at it goes to
// another at once; if that refuses too, the policy decides.
func TestRetryRefusedStream(t *testing.T) {
	for _, tt := range []struct {
		name   string
		refuse int // how many requests are refused
		on     []string
		status int
		flags  string
		tries  string
	}{
		{"once, without a policy", 1, nil, 200, "", "UR 200"},
		{"twice, without a policy", 2, nil, 200, "", "UR UR 200"},
		{"always, without a policy", 9, nil, 503, "UR", "UR UR UR"},
		{"twice", 2, []string{"refused-stream"}, 200, "", "UR UR 200"},
		{"twice, 5xx", 2, []string{"5xx"}, 200, "", "UR UR 200"},
		{"twice, connect-failure", 2, []string{"connect-failure"}, 200, "", "UR UR 200"},
		{"always", 9, []string{"refused-stream"}, 503, "URX,UR", "UR UR UR UR"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proxytest.NoLeaks(t)
			left := make(chan int, 1)
			left <- tt.refuse
			serve := func(_ int, f *proxytest.HTTP2Peer) {
				for {
					stream, ok := f.ReadRequest()
					if !ok {
						return
					}
					n := <-left
					left <- n - 1
					if n > 0 {
						f.Check(f.WriteRSTStream(stream, http2.ErrCodeRefusedStream))
						continue
					}
					f.SendHeaders(stream, true, f.Encode(":status: 200"))
				}
			}
			a, b := proxytest.HTTP2Endpoint(t, serve), proxytest.HTTP2Endpoint(t, serve)
			p := proxytest.StartScript(t, proxytest.H1C, 1, proxytest.Respond(200))
			x := p.Start(proxytest.H1C, proxytest.H2C, func(s *proxytest.Settings) {
				s.Cluster.Endpoints = []string{a, b}
				if tt.on != nil {
					s.Cluster.Retry = proxytest.Retrying(2, tt.on...)
				}
			})
			o := x.Ask("POST", strings.NewReader("hello"))
			o.Want(t, tt.status, tt.flags, tt.tries)
			if o.Hop.Attempts[0].Endpoint == o.Hop.Attempts[1].Endpoint {
				t.Error("it was sent to the endpoint that had refused it")
			}
		})
	}
}

// TestRetryExhausted: when the attempts are used up, the last answer is the client's,
// and the flag says that there were others.
func TestRetryExhausted(t *testing.T) {
	proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
		p := proxytest.StartScript(t, up, 2, proxytest.Respond(503), proxytest.Respond(502), proxytest.Respond(500, "X-Last: yes"))
		x := p.Start(down, up, func(s *proxytest.Settings) { s.Cluster.Retry = proxytest.Retrying(3, "5xx") })
		o := x.Ask("GET", nil)
		o.Want(t, 500, "URX", "503 502 500")
		if o.Header.Get("X-Last") != "yes" || o.Body != "as planned" {
			t.Errorf("fields %v, body %q", o.Header, o.Body)
		}
		if f := o.Hop.Failure; !strings.Contains(f.Reason, "500") || o.Hop.Details != "via_upstream" {
			t.Errorf("failure %+v, details %q", f, o.Hop.Details)
		}
	})
	t.Run("no failure's status", func(t *testing.T) {
		proxytest.NoLeaks(t)
		p := proxytest.StartScript(t, proxytest.H1C, 2, proxytest.Respond(409))
		x := p.Start(proxytest.H1C, proxytest.H1C, func(s *proxytest.Settings) { s.Cluster.Retry = proxytest.Retrying(2, "retriable-4xx") })
		o := x.Ask("GET", nil)
		o.Want(t, 409, "URX", "409 409")
		if f := o.Hop.Failure; !strings.Contains(f.Reason, "409") {
			t.Errorf("failure %+v", f)
		}
	})
}

// TestRetryKeepsConnections: a response that is not used leaves its connection to be
// used again, where it is here to its end, and none where it is not.
func TestRetryKeepsConnections(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer string
		conns  int
	}{
		{"whole", "HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno", 1},
		{"chunked", "HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n", 1},
		{"unfinished", "HTTP/1.1 503 No\r\nContent-Length: 3\r\n\r\nno", 2},
		{"close", "HTTP/1.1 503 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno", 2},
		{"until close", "HTTP/1.1 503 No\r\n\r\nno", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proxytest.NoLeaks(t)
			conns := make(chan int, 10)
			answered := make(chan bool, 1)
			answered <- false
			address := proxytest.Endpoint(t, func(n int, p *proxytest.Peer) {
				conns <- n
				for {
					if _, err := p.TryReadHead(); err != nil {
						return
					}
					if again := <-answered; again {
						answered <- true
						p.Send(proxytest.EmptyResponse)
						continue
					}
					answered <- true
					p.Send(tt.answer)
				}
			})
			x := proxytest.StartScript(t, proxytest.H1C, 1, proxytest.Respond(200)).Start(proxytest.H1C, proxytest.H1C, func(s *proxytest.Settings) {
				s.Cluster.Endpoints = []string{address}
				s.Cluster.Retry = proxytest.Retrying(2, "5xx")
			})
			x.Ask("GET", nil).Want(t, 200, "", "503 200")
			if len(conns) != tt.conns {
				t.Errorf("%d connections, want %d", len(conns), tt.conns)
			}
		})
	}
}
