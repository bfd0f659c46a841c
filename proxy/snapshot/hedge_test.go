package snapshot_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// hedging is a policy of so many attempts, each after a short time. No timeout ends
// those that have lost.
func hedging(attempts int) func(*settings) {
	return func(s *settings) {
		s.Route.Timeout = 0
		s.Cluster.Hedge = config.NewHedge(20 * time.Millisecond)
		s.Cluster.Hedge.Attempts = attempts
	}
}

const lost = "another attempt answered first"

// TestHedge: a request whose response does not begin is sent to another endpoint, and
// the first response is taken.
func TestHedge(t *testing.T) {
	plainPairs(t, func(t *testing.T, down, up side) {
		gaveUp := make(chan struct{}, 2)
		slow := func(w http.ResponseWriter, r *http.Request) {
			hangs(w, r)
			gaveUp <- struct{}{}
		}
		p := stage(t, up, 2, slow, answers(200, "X-Fast: yes"))
		x := p.try(down, up, hedging(2))
		var body io.Reader
		content := ""
		if !down.http2 { // over HTTP/2 content may come behind the head, and is none that is whole
			content = "hello"
			body = strings.NewReader(content)
		}
		o := x.ask("POST", body)
		if o.StatusCode != 200 || o.Header.Get("X-Fast") != "yes" || o.body != "as planned" {
			t.Errorf("status %d, fields %v, body %q", o.StatusCode, o.Header, o.body)
		}
		<-gaveUp // its connection was closed, or its stream reset
		o.want(t, 200, "", "0 200")
		if first := o.hop.Attempts[0]; first.Reason != lost || first.ProxyError != "" || first.Flags != 0 || first.FirstByte != 0 {
			t.Errorf("the first attempt is %+v", first)
		}
		requests := p.requests()
		for i, a := range o.hop.Attempts {
			r := requests[i]
			if r.body != content || r.endpoint != a.Endpoint || !strings.Contains(r.header.Get("Traceparent"), a.Span.String()) || len(r.header.Values("Traceparent")) != 1 {
				t.Errorf("request %d at %s: body %q, traceparent %q; attempt at %s, span %s", i, r.endpoint, r.body, r.header["Traceparent"], a.Endpoint, a.Span)
			}
		}
		if requests[0].endpoint == requests[1].endpoint {
			t.Error("it was sent to the same endpoint twice")
		}
		if got := requests[1].header.Get("X-Envoy-Attempt-Count"); got != "2" {
			t.Errorf("the second attempt is told that it is %q", got)
		}
		if c := x.counts(); c.Retried != 1 {
			t.Errorf("%d retries are counted", c.Retried)
		}
	})
}

// TestHedgeViews: both attempts are spans, and the one that lost is no failure.
func TestHedgeViews(t *testing.T) {
	p := stage(t, h1c, 2, hangs, answers(200))
	l := startLab(t, p.addresses[0], p.before(h1c), hedging(2))
	trace, field := newTrace()
	if r := ask(t, l.ingress(), "GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n"); r.StatusCode != 200 {
		t.Errorf("status %d", r.StatusCode)
	}
	v := l.end(1)
	one := v.lines[0]
	same(t, "trace", one.text("trace_id"), trace.String())
	same(t, "attempts in the log", len(one["attempts"].([]any)), 2)
	clients := v.kind(tracepb.Span_SPAN_KIND_CLIENT)
	same(t, "CLIENT spans", len(clients), 2)
	for _, s := range clients {
		same(t, "a CLIENT span failed", s.failed(), false)
		switch {
		case s.attributes["hopscope.failure_reason"] == lost:
			same(t, "status of the one that lost", s.attributes["http.response.status_code"], "")
		default:
			same(t, "status of the other", s.attributes["http.response.status_code"], "200")
		}
	}
}

// TestHedgeFirstStillWins: the first attempt may answer before the others, which then
// have lost; it is the last of the Hop's, as the one that answered.
func TestHedgeFirstStillWins(t *testing.T) {
	plainPairs(t, func(t *testing.T, down, up side) {
		release := make(chan struct{})
		p := stage(t, up, 3, func(w http.ResponseWriter, r *http.Request) {
			<-release
			io.WriteString(w, "first")
		}, hangs)
		x := p.try(down, up, hedging(3))
		go func() {
			p.wants(3)
			close(release)
		}()
		o := x.ask("GET", nil)
		o.want(t, 200, "", "0 0 200")
		last := o.hop.Attempts[2]
		if o.body != "first" || last.Endpoint != p.requests()[0].endpoint || last.BytesReceived != 5 {
			t.Errorf("body %q, the last attempt is %+v", o.body, last)
		}
		if o.hop.Attempts[0].Reason != lost || o.hop.Attempts[1].Reason != lost {
			t.Errorf("attempts %+v", o.hop.Attempts)
		}
	})
}

// TestHedgeFast: what is answered in time is sent once.
func TestHedgeFast(t *testing.T) {
	noLeaks(t)
	p := stage(t, h1c, 2, answers(200))
	x := p.try(h1c, h1c, func(s *settings) { s.Cluster.Hedge = config.NewHedge(time.Hour) })
	for range 3 {
		x.ask("GET", nil).want(t, 200, "", "200")
	}
	if n := len(p.requests()); n != 3 {
		t.Errorf("%d requests", n)
	}
}

// TestHedgeFailures: a response that the policy does not want does not win, and if
// nothing better comes it is the client's; a failure waits for those under way.
func TestHedgeFailures(t *testing.T) {
	for _, tt := range []struct {
		name   string
		retry  *config.Retry
		acts   []act
		hedges int
		status int
		flags  string
		tries  string // with HTTP/1 endpoints
	}{
		{"503 is an answer without a policy", nil, []act{hangs, answers(503)}, 2, 503, "", "0 503"},
		{"503 is none with one", retrying(5, "5xx"), []act{hangs, answers(503), answers(200)}, 3, 200, "", "0 503 200"},
		{"both fail", retrying(2, "5xx"), []act{answers(503)}, 2, 503, "URX", "503 503"},
		{"one is aborted", nil, []act{slowly503, aborts}, 2, 503, "", "UC 503"},
		{"a response is better than none", retrying(2, "5xx"), []act{slowly503, slowlyAborts}, 2, 503, "URX", "UC 503"},
		{"a response is better than none before it", retrying(2, "5xx"), []act{slowly503, aborts}, 2, 503, "URX", "UC 503"},
		{"both are aborted, then one is not", retrying(5, "5xx"), []act{aborts, aborts, answers(200)}, 2, 200, "", "UC UC 200"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			noLeaks(t)
			p := stage(t, h1c, 4, tt.acts...)
			x := p.try(h1c, h1c, func(s *settings) {
				hedging(tt.hedges)(s)
				s.Cluster.Retry = tt.retry
			})
			x.ask("GET", nil).want(t, tt.status, tt.flags, tt.tries)
		})
	}
}

// slowly503 answers when a hedge has been sent for sure.
func slowly503(w http.ResponseWriter, r *http.Request) {
	time.Sleep(3 * pause)
	answers(503)(w, r)
}

func slowlyAborts(w http.ResponseWriter, r *http.Request) {
	time.Sleep(6 * pause)
	aborts(w, r)
}

// TestHedgeClientLeaves ends all attempts.
func TestHedgeClientLeaves(t *testing.T) {
	plainPairs(t, func(t *testing.T, down, up side) {
		gaveUp := make(chan struct{}, 2)
		p := stage(t, up, 2, func(w http.ResponseWriter, r *http.Request) {
			hangs(w, r)
			gaveUp <- struct{}{}
		})
		x := p.try(down, up, hedging(2), leavesAtOnce)
		ctx, cancel := context.WithCancel(t.Context())
		r, trace := x.request(ctx, "GET", nil)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if resp, err := x.client.Do(r); err == nil {
				resp.Body.Close()
			}
		}()
		p.wants(2)
		cancel()
		<-ended
		<-gaveUp
		<-gaveUp
		want := "DC"
		if down.http2 {
			want = "DR"
		}
		if h := x.rig.hop(trace); h.Flags.String() != want || h.Failed() || attempts(h) != want+" "+want {
			t.Errorf("flags %q, attempts %q", h.Flags, attempts(h))
		}
	})
}

// TestHedgeTimeout: all attempts have the request's time.
func TestHedgeTimeout(t *testing.T) {
	noLeaks(t)
	p := stage(t, h1c, 2, hangs)
	x := p.try(h1c, h1c, hedging(2), func(s *settings) { s.Route.Timeout = 20 * short })
	x.ask("GET", nil).want(t, 504, "UT", "UT UT")
}

// TestHedgeConnecting: an attempt that is still being connected is broken off, and
// says nothing of its endpoint.
func TestHedgeConnecting(t *testing.T) {
	for _, up := range sides[:2] {
		t.Run(up.name, func(t *testing.T) {
			noLeaks(t)
			deaf := deafPort(t)
			p := stage(t, up, 1, answers(200))
			x := p.try(h1c, up, hedging(2), func(s *settings) {
				s.Cluster.Endpoints = append(s.Cluster.Endpoints, deaf)
				s.Cluster.ConnectTimeout = time.Minute
				s.Cluster.Outlier = config.NewOutlier()
				s.Cluster.Outlier.Consecutive5xx, s.Cluster.Outlier.MaxEjectedPercent = 1, 100
			})
			raced := 0
			for range 4 {
				o := x.ask("GET", nil)
				if len(o.hop.Attempts) == 2 {
					raced++
					o.want(t, 200, "", "0 200")
				}
			}
			if raced < 2 {
				t.Errorf("%d requests went to two endpoints", raced)
			}
		})
	}
}

// TestHedgeNot: what can't be sent twice is not.
func TestHedgeNot(t *testing.T) {
	slow := func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(patient / 4)
		answers(200)(w, r)
	}
	for _, tt := range []struct {
		name string
		body func() io.Reader
		set  func(*settings)
	}{
		{"an upload", func() io.Reader { return later(pattern(1000)) }, nil},
		{"one endpoint", nil, func(s *settings) { s.Cluster.Endpoints = s.Cluster.Endpoints[:1] }},
		{"no room in the circuit breaker", nil, func(s *settings) { s.Cluster.CircuitBreaker.MaxRetries = 0 }},
		{"no budget", nil, func(s *settings) {
			s.Cluster.Retry = retrying(2, "5xx")
			s.Cluster.Retry.Budget = &config.RetryBudget{}
		}},
		{"turned off by the route", nil, func(s *settings) {
			s.Route.Hedge = config.NewHedge(time.Millisecond)
			s.Route.Hedge.Attempts = 1
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			noLeaks(t)
			p := stage(t, h1c, 2, slow)
			x := p.try(h1c, h1c, hedging(2), func(s *settings) {
				if tt.set != nil {
					tt.set(s)
				}
			})
			var body io.Reader
			if tt.body != nil {
				body = tt.body()
			}
			x.ask("POST", body).want(t, 200, "", "200")
			if n := len(p.requests()); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// TestHedgeUpgrade: a connection that changes protocols is no answer to race for.
func TestHedgeUpgrade(t *testing.T) {
	noLeaks(t)
	serve := func(_ int, p *peer) {
		if _, err := p.tryHead(); err != nil {
			return
		}
		time.Sleep(patient / 4)
		p.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\nhello")
		p.rest()
	}
	x := stage(t, h1c, 1, answers(200)).try(h1c, h1c, hedging(2), func(s *settings) {
		s.Cluster.Endpoints = []string{endpoint(t, serve), endpoint(t, serve)}
	})
	client := x.rig.dial()
	trace, field := newTrace()
	client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: chat\r\n", field, "\r\n")
	if first, _ := client.head(); first != "HTTP/1.1 101 Switching Protocols" {
		t.Errorf("%q", first)
	}
	client.expect("hello")
	client.Close()
	if h := x.rig.hop(trace); len(h.Attempts) != 1 || h.Kind != hop.KindTunnel {
		t.Errorf("%d attempts, kind %d", len(h.Attempts), h.Kind)
	}
}

// TestHedgeDrain: a proxy that does not wait any longer ends all attempts.
func TestHedgeDrain(t *testing.T) {
	noLeaks(t)
	p := stage(t, h1c, 2, hangs)
	l := startLab(t, p.addresses[0], p.before(h1c), hedging(2))
	c, err := net.Dial("tcp", l.ingress())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	client := newPeer(t, c)
	trace, field := newTrace()
	client.send("GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n")
	p.wants(2)
	ctx, cancel := context.WithTimeout(t.Context(), short)
	defer cancel()
	if err := l.proxy.Close(ctx); err != nil {
		t.Error(err)
	}
	h := l.proxy.Store().Trace(trace)
	if len(h) != 1 || len(h[0].Attempts) != 2 || h[0].Flags == 0 {
		t.Fatalf("hops %+v", h)
	}
}
