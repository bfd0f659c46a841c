package snapshot_test

import (
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"github.com/hopscope/hopscope/proxy/config"
)

// TestRetryOn: each word of a policy retries what it says, and nothing else.
func TestRetryOn(t *testing.T) {
	closed := map[bool]string{false: "UC", true: "UR"} // an attempt that was aborted, by whether it was over HTTP/2
	call := []string{"content-type: application/grpc", "te: trailers"}
	unavailable := answers(200, "content-type: application/grpc", "grpc-status: 14")
	for _, tt := range []struct {
		name   string
		on     string
		first  act
		fields []string
		change func(*config.Retry)
		tries  string // "abort" is an aborted attempt
	}{
		{name: "5xx", on: "5xx", first: answers(500), tries: "500 200"},
		{name: "5xx, aborted", on: "5xx", first: aborts, tries: "abort 200"},
		{name: "5xx, another status", on: "5xx", first: answers(409), tries: "409"},
		{name: "gateway-error", on: "gateway-error", first: answers(502), tries: "502 200"},
		{name: "gateway-error, 504", on: "gateway-error", first: answers(504), tries: "504 200"},
		{name: "gateway-error, 500", on: "gateway-error", first: answers(500), tries: "500"},
		{name: "gateway-error, aborted", on: "gateway-error", first: aborts, tries: "abort 200"},
		{name: "reset", on: "reset", first: aborts, tries: "abort 200"},
		{name: "reset, 503", on: "reset", first: answers(503), tries: "503"},
		{name: "connect-failure, 503", on: "connect-failure", first: answers(503), tries: "503"},
		{name: "connect-failure, aborted", on: "connect-failure", first: aborts, tries: "abort"},
		{name: "refused-stream, aborted", on: "refused-stream", first: aborts, tries: "abort"},
		{name: "retriable-4xx", on: "retriable-4xx", first: answers(409), tries: "409 200"},
		{name: "retriable-4xx, 404", on: "retriable-4xx", first: answers(404), tries: "404"},
		{name: "retriable-status-codes", on: "retriable-status-codes", first: answers(418), tries: "418 200", change: func(r *config.Retry) { r.Statuses = []int{418} }},
		{name: "retriable-status-codes, another", on: "retriable-status-codes", first: answers(503), tries: "503", change: func(r *config.Retry) { r.Statuses = []int{418} }},
		{name: "retriable-headers", on: "retriable-headers", first: answers(200, "X-Busy: 1"), tries: "200 200", change: func(r *config.Retry) { r.Headers = []string{"X-bUsy"} }},
		{name: "retriable-headers, not there", on: "retriable-headers", first: answers(503), tries: "503", change: func(r *config.Retry) { r.Headers = []string{"x-busy"} }},
		{name: "5xx, rate limited", on: "5xx", first: answers(503, "x-envoy-ratelimited: true"), tries: "503"},
		{name: "unavailable", on: "unavailable", first: unavailable, fields: call, tries: "200 200"},
		{name: "unavailable, no call", on: "unavailable", first: unavailable, tries: "200"},
		{name: "cancelled, unavailable", on: "cancelled", first: unavailable, fields: call, tries: "200"},
		{name: "cancelled", on: "cancelled", first: answers(200, "content-type: application/grpc", "grpc-status: 1"), fields: call, tries: "200 200"},
		{name: "deadline-exceeded", on: "deadline-exceeded", first: answers(200, "content-type: application/grpc", "grpc-status: 4"), fields: call, tries: "200 200"},
		{name: "resource-exhausted", on: "resource-exhausted", first: answers(200, "content-type: application/grpc", "grpc-status: 8"), fields: call, tries: "200 200"},
		{name: "internal", on: "internal", first: answers(200, "content-type: application/grpc", "grpc-status: 13"), fields: call, tries: "200 200"},
		{name: "unavailable in trailers", on: "unavailable", fields: call, tries: "200", first: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("content-type", "application/grpc")
			w.Header().Set("Trailer", "Grpc-Status")
			w.WriteHeader(200)
			w.Write(lengthPrefixed(nil))
			w.Header().Set("Grpc-Status", "14")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			plainPairs(t, func(t *testing.T, down, up side) {
				last := answers(200)
				if tt.fields != nil {
					last = answers(200, "content-type: application/grpc", "grpc-status: 0")
				}
				p := stage(t, up, 2, tt.first, last)
				x := p.try(down, up, func(s *settings) {
					s.Cluster.Retry = retrying(2, tt.on)
					if tt.change != nil {
						tt.change(s.Cluster.Retry)
					}
				})
				o := x.ask("POST", strings.NewReader("hello"), tt.fields...)
				if got, want := attempts(o.hop), strings.ReplaceAll(tt.tries, "abort", closed[up.http2]); got != want {
					t.Fatalf("attempts %q, want %q", got, want)
				}
				requests := p.requests()
				if len(requests) != len(o.hop.Attempts) {
					t.Fatalf("%d requests for %d attempts", len(requests), len(o.hop.Attempts))
				}
				for i, r := range requests {
					if a := o.hop.Attempts[i]; r.body != "hello" || r.endpoint != a.Endpoint || !strings.Contains(r.header.Get("Traceparent"), a.Span.String()) {
						t.Errorf("request %d at %s: body %q, traceparent %q; attempt at %s, span %s", i, r.endpoint, r.body, r.header.Get("Traceparent"), a.Endpoint, a.Span)
					}
					if i > 0 && r.endpoint == requests[i-1].endpoint {
						t.Errorf("it was sent to the same endpoint twice")
					}
				}
				if len(requests) == 2 && (o.StatusCode != 200 || o.hop.Flags != 0 || o.hop.Failed()) {
					t.Errorf("status %d, flags %q", o.StatusCode, o.hop.Flags)
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
		change   func(*settings)
		status   int
		flags    string
		tries    string
		retried  uint64
	}{
		{name: "default", endpoint: true, status: 200, tries: "UF 200"},
		{name: "default, one endpoint", change: func(*settings) {}, status: 503, flags: "UF", tries: "UF"},
		{name: "connect-failure", endpoint: true, change: func(s *settings) { s.Cluster.Retry = retrying(2, "connect-failure") }, status: 200, tries: "UF 200"},
		{name: "reset", endpoint: true, change: func(s *settings) { s.Cluster.Retry = retrying(2, "reset") }, status: 200, tries: "UF 200"},
		{name: "retriable-4xx", endpoint: true, change: func(s *settings) { s.Cluster.Retry = retrying(2, "retriable-4xx") }, status: 503, flags: "UF", tries: "UF"},
		{name: "off", endpoint: true, change: func(s *settings) { s.Cluster.Retry = retrying(1, "5xx") }, status: 503, flags: "UF", tries: "UF"},
		{name: "off by the route", endpoint: true, change: func(s *settings) {
			s.Cluster.Retry, s.Route.Retry = retrying(5, "5xx"), retrying(1, "5xx")
		}, status: 503, flags: "UF", tries: "UF"},
		{name: "on by the route", endpoint: true, change: func(s *settings) {
			s.Cluster.Retry, s.Route.Retry = retrying(1, "5xx"), retrying(5, "5xx")
		}, status: 200, tries: "UF 200"},
		{name: "one endpoint, again", change: func(s *settings) { s.Cluster.Retry = retrying(3, "5xx") }, status: 503, flags: "UF,URX", tries: "UF UF UF", retried: 2},
		{name: "no retry is allowed", change: func(s *settings) {
			s.Cluster.Retry = retrying(3, "5xx")
			s.Cluster.CircuitBreaker.MaxRetries = 0
		}, status: 503, flags: "UF,UO", tries: "UF"},
		{name: "no retry is allowed, another endpoint", endpoint: true, change: func(s *settings) {
			s.Cluster.CircuitBreaker.MaxRetries = 0
		}, status: 200, tries: "UF 200"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			noLeaks(t)
			p := stage(t, h1c, 1, answers(200))
			refuses := refusing(t)
			x := p.try(h1c, h1c, func(s *settings) {
				if s.Cluster.Endpoints = []string{refuses, p.addresses[0]}; !tt.endpoint {
					s.Cluster.Endpoints = []string{refuses}
				}
				if tt.change != nil {
					tt.change(s)
				}
			})
			refused := false
			for range 2 { // whichever endpoint is the first
				o := x.ask("POST", strings.NewReader("hello"))
				if o.hop.Attempts[0].Endpoint != refuses {
					o.want(t, 200, "", "200")
					continue
				}
				refused = true
				o.want(t, tt.status, tt.flags, tt.tries)
			}
			if !refused {
				t.Error("the endpoint that refuses was never asked")
			}
			if c := x.counts(); tt.retried > 0 && c.Retried != 2*tt.retried || tt.retried == 0 && c.Retried != 0 {
				t.Errorf("%d retries are counted", c.Retried)
			}
		})
	}
}

// TestRetryDefaultStopsAtThree: without a policy three endpoints are tried.
func TestRetryDefaultStopsAtThree(t *testing.T) {
	noLeaks(t)
	p := stage(t, h1c, 1, answers(200))
	x := p.try(h1c, h1c, func(s *settings) {
		s.Cluster.Endpoints = []string{refusing(t), refusing(t), refusing(t), refusing(t), refusing(t)}
	})
	o := x.ask("GET", nil)
	o.want(t, 503, "UF,URX", "UF UF UF")
	tried := map[string]bool{}
	for _, a := range o.hop.Attempts {
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
			noLeaks(t)
			left := make(chan int, 1)
			left <- tt.refuse
			serve := func(_ int, f *framed) {
				for {
					stream, ok := f.request()
					if !ok {
						return
					}
					n := <-left
					left <- n - 1
					if n > 0 {
						f.check(f.WriteRSTStream(stream, http2.ErrCodeRefusedStream))
						continue
					}
					f.headers(stream, true, f.encode(":status: 200"))
				}
			}
			a, b := framedEndpoint(t, serve), framedEndpoint(t, serve)
			p := stage(t, h1c, 1, answers(200))
			x := p.try(h1c, h2c, func(s *settings) {
				s.Cluster.Endpoints = []string{a, b}
				if tt.on != nil {
					s.Cluster.Retry = retrying(2, tt.on...)
				}
			})
			o := x.ask("POST", strings.NewReader("hello"))
			o.want(t, tt.status, tt.flags, tt.tries)
			if o.hop.Attempts[0].Endpoint == o.hop.Attempts[1].Endpoint {
				t.Error("it was sent to the endpoint that had refused it")
			}
		})
	}
}

// TestRetryExhausted: when the attempts are used up, the last answer is the client's,
// and the flag says that there were others.
func TestRetryExhausted(t *testing.T) {
	plainPairs(t, func(t *testing.T, down, up side) {
		p := stage(t, up, 2, answers(503), answers(502), answers(500, "X-Last: yes"))
		x := p.try(down, up, func(s *settings) { s.Cluster.Retry = retrying(3, "5xx") })
		o := x.ask("GET", nil)
		o.want(t, 500, "URX", "503 502 500")
		if o.Header.Get("X-Last") != "yes" || o.body != "as planned" {
			t.Errorf("fields %v, body %q", o.Header, o.body)
		}
		if f := o.hop.Failure; !strings.Contains(f.Reason, "500") || o.hop.Details != "via_upstream" {
			t.Errorf("failure %+v, details %q", f, o.hop.Details)
		}
	})
	t.Run("no failure's status", func(t *testing.T) {
		noLeaks(t)
		p := stage(t, h1c, 2, answers(409))
		x := p.try(h1c, h1c, func(s *settings) { s.Cluster.Retry = retrying(2, "retriable-4xx") })
		o := x.ask("GET", nil)
		o.want(t, 409, "URX", "409 409")
		if f := o.hop.Failure; !strings.Contains(f.Reason, "409") {
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
			noLeaks(t)
			conns := make(chan int, 10)
			answered := make(chan bool, 1)
			answered <- false
			address := endpoint(t, func(n int, p *peer) {
				conns <- n
				for {
					if _, err := p.tryHead(); err != nil {
						return
					}
					if again := <-answered; again {
						answered <- true
						p.send(empty)
						continue
					}
					answered <- true
					p.send(tt.answer)
				}
			})
			x := stage(t, h1c, 1, answers(200)).try(h1c, h1c, func(s *settings) {
				s.Cluster.Endpoints = []string{address}
				s.Cluster.Retry = retrying(2, "5xx")
			})
			x.ask("GET", nil).want(t, 200, "", "503 200")
			if len(conns) != tt.conns {
				t.Errorf("%d connections, want %d", len(conns), tt.conns)
			}
		})
	}
}
