package retry_test

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
	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/telemetry/hop"
)

const lost = "another attempt answered first"

// TestHedge: a request whose response does not begin is sent to another endpoint, and
// the first response is taken.
func TestHedge(t *testing.T) {
	proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
		gaveUp := make(chan struct{}, 2)
		slow := func(w http.ResponseWriter, r *http.Request) {
			proxytest.Hang(w, r)
			gaveUp <- struct{}{}
		}
		p := proxytest.StartScript(t, up, 2, slow, proxytest.Respond(200, "X-Fast: yes"))
		x := p.Start(down, up, proxytest.Hedging(2))
		var body io.Reader
		content := ""
		if !down.HTTP2 { // over HTTP/2 content may come behind the head, and is none that is whole
			content = "hello"
			body = strings.NewReader(content)
		}
		o := x.Ask("POST", body)
		if o.StatusCode != 200 || o.Header.Get("X-Fast") != "yes" || o.Body != "as planned" {
			t.Errorf("status %d, fields %v, body %q", o.StatusCode, o.Header, o.Body)
		}
		<-gaveUp // its connection was closed, or its stream reset
		o.Want(t, 200, "", "0 200")
		if first := o.Hop.Attempts[0]; first.Reason != lost || first.ProxyError != "" || first.Flags != 0 || first.FirstByte != 0 {
			t.Errorf("the first attempt is %+v", first)
		}
		requests := p.Requests()
		for i, a := range o.Hop.Attempts {
			r := requests[i]
			if r.Body != content || r.Endpoint != a.Endpoint || !strings.Contains(r.Header.Get("Traceparent"), a.Span.String()) || len(r.Header.Values("Traceparent")) != 1 {
				t.Errorf("request %d at %s: body %q, traceparent %q; attempt at %s, span %s", i, r.Endpoint, r.Body, r.Header["Traceparent"], a.Endpoint, a.Span)
			}
		}
		if requests[0].Endpoint == requests[1].Endpoint {
			t.Error("it was sent to the same endpoint twice")
		}
		if got := requests[1].Header.Get("X-Envoy-Attempt-Count"); got != "2" {
			t.Errorf("the second attempt is told that it is %q", got)
		}
		if c := x.Counts(); c.Retried != 1 {
			t.Errorf("%d retries are counted", c.Retried)
		}
	})
}

// TestHedgeViews: both attempts are spans, and the one that lost is no failure.
func TestHedgeViews(t *testing.T) {
	p := proxytest.StartScript(t, proxytest.H1C, 2, proxytest.Hang, proxytest.Respond(200))
	l := proxytest.StartWithViews(t, p.Addresses[0], p.Before(proxytest.H1C), proxytest.Hedging(2))
	trace, field := proxytest.NewTrace()
	if r := proxytest.Ask(t, l.Ingress(), "GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n"); r.StatusCode != 200 {
		t.Errorf("status %d", r.StatusCode)
	}
	v := l.End(1)
	one := v.Lines[0]
	proxytest.Same(t, "trace", one.Text("trace_id"), trace.String())
	proxytest.Same(t, "attempts in the log", len(one["attempts"].([]any)), 2)
	clients := v.Kind(tracepb.Span_SPAN_KIND_CLIENT)
	proxytest.Same(t, "CLIENT spans", len(clients), 2)
	for _, s := range clients {
		proxytest.Same(t, "a CLIENT span failed", s.Failed(), false)
		switch {
		case s.Attributes["hopscope.failure_reason"] == lost:
			proxytest.Same(t, "status of the one that lost", s.Attributes["http.response.status_code"], "")
		default:
			proxytest.Same(t, "status of the other", s.Attributes["http.response.status_code"], "200")
		}
	}
}

// TestHedgeFirstStillWins: the first attempt may answer before the others, which then
// have lost; it is the last of the Hop's, as the one that answered.
func TestHedgeFirstStillWins(t *testing.T) {
	proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
		release := make(chan struct{})
		p := proxytest.StartScript(t, up, 3, func(w http.ResponseWriter, r *http.Request) {
			<-release
			io.WriteString(w, "first")
		}, proxytest.Hang)
		x := p.Start(down, up, proxytest.Hedging(3))
		go func() {
			p.AwaitRequests(3)
			close(release)
		}()
		o := x.Ask("GET", nil)
		o.Want(t, 200, "", "0 0 200")
		last := o.Hop.Attempts[2]
		if o.Body != "first" || last.Endpoint != p.Requests()[0].Endpoint || last.BytesReceived != 5 {
			t.Errorf("body %q, the last attempt is %+v", o.Body, last)
		}
		if o.Hop.Attempts[0].Reason != lost || o.Hop.Attempts[1].Reason != lost {
			t.Errorf("attempts %+v", o.Hop.Attempts)
		}
	})
}

// TestHedgeFast: what is answered in time is sent once.
func TestHedgeFast(t *testing.T) {
	proxytest.NoLeaks(t)
	p := proxytest.StartScript(t, proxytest.H1C, 2, proxytest.Respond(200))
	x := p.Start(proxytest.H1C, proxytest.H1C, func(s *proxytest.Settings) { s.Cluster.Hedge = config.NewHedge(time.Hour) })
	for range 3 {
		x.Ask("GET", nil).Want(t, 200, "", "200")
	}
	if n := len(p.Requests()); n != 3 {
		t.Errorf("%d requests", n)
	}
}

// TestHedgeFailures: a response that the policy does not want does not win, and if
// nothing better comes it is the client's; a failure waits for those under way.
func TestHedgeFailures(t *testing.T) {
	hang, abort, is503, is200 := proxytest.Act(proxytest.Hang), proxytest.Act(proxytest.Abort), proxytest.Respond(503), proxytest.Respond(200)
	for _, tt := range []struct {
		name  string
		retry *config.Retry
		// acts are those of the endpoints; last has an act wait until a hedge has been
		// sent, and has ended.
		acts   func(last func(proxytest.Act) proxytest.Act) []proxytest.Act
		hedges int
		status int
		flags  string
		tries  string // with HTTP/1 endpoints
	}{
		{"503 is an answer without a policy", nil, always(hang, is503), 2, 503, "", "0 503"},
		{"503 is none with one", proxytest.Retrying(5, "5xx"), always(hang, is503, is200), 3, 200, "", "0 503 200"},
		{"both fail", proxytest.Retrying(2, "5xx"), always(is503), 2, 503, "URX", "503 503"},
		{"one is aborted", nil, func(last func(proxytest.Act) proxytest.Act) []proxytest.Act {
			return []proxytest.Act{last(is503), abort}
		}, 2, 503, "", "UC 503"},
		{"a response is better than none", proxytest.Retrying(2, "5xx"), func(func(proxytest.Act) proxytest.Act) []proxytest.Act {
			hedged, answered := make(chan struct{}), make(chan struct{})
			return []proxytest.Act{func(w http.ResponseWriter, r *http.Request) {
				<-hedged
				is503(w, r)
				w.(http.Flusher).Flush()
				close(answered)
			}, func(w http.ResponseWriter, r *http.Request) {
				close(hedged)
				<-answered
				abort(w, r)
			}}
		}, 2, 503, "URX", "UC 503"},
		{"a response is better than none before it", proxytest.Retrying(2, "5xx"), func(last func(proxytest.Act) proxytest.Act) []proxytest.Act {
			return []proxytest.Act{last(is503), abort}
		}, 2, 503, "URX", "UC 503"},
		{"both are aborted, then one is not", proxytest.Retrying(5, "5xx"), always(abort, abort, is200), 2, 200, "", "UC UC 200"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proxytest.NoLeaks(t)
			var x *proxytest.Client
			last := func(act proxytest.Act) proxytest.Act {
				return func(w http.ResponseWriter, r *http.Request) {
					x.Script.AwaitRequests(2)
					proxytest.Eventually(t, "the hedge ending", func() bool { return x.Counts().Retries == 0 })
					act(w, r)
				}
			}
			p := proxytest.StartScript(t, proxytest.H1C, 4, tt.acts(last)...)
			x = p.Start(proxytest.H1C, proxytest.H1C, func(s *proxytest.Settings) {
				proxytest.Hedging(tt.hedges)(s)
				s.Cluster.Retry = tt.retry
			})
			x.Ask("GET", nil).Want(t, tt.status, tt.flags, tt.tries)
		})
	}
}

// always are acts that wait for nothing.
func always(acts ...proxytest.Act) func(func(proxytest.Act) proxytest.Act) []proxytest.Act {
	return func(func(proxytest.Act) proxytest.Act) []proxytest.Act { return acts }
}

// TestHedgeClientLeaves ends all attempts.
func TestHedgeClientLeaves(t *testing.T) {
	proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
		gaveUp := make(chan struct{}, 2)
		p := proxytest.StartScript(t, up, 2, func(w http.ResponseWriter, r *http.Request) {
			proxytest.Hang(w, r)
			gaveUp <- struct{}{}
		})
		x := p.Start(down, up, proxytest.Hedging(2), proxytest.AbortOnClose)
		ctx, cancel := context.WithCancel(t.Context())
		r, trace := x.NewRequest(ctx, "GET", nil)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if resp, err := x.HTTP.Do(r); err == nil {
				proxytest.Finish(resp)
			}
		}()
		p.AwaitRequests(2)
		cancel()
		<-ended
		<-gaveUp
		<-gaveUp
		want := "DC"
		if down.HTTP2 {
			want = "DR"
		}
		if h := x.Hop(trace); h.Flags.String() != want || h.Failed() || proxytest.Attempts(h) != want+" "+want {
			t.Errorf("flags %q, attempts %q", h.Flags, proxytest.Attempts(h))
		}
	})
}

// TestHedgeTimeout: all attempts have the request's time.
func TestHedgeTimeout(t *testing.T) {
	proxytest.NoLeaks(t)
	proxytest.Unhurried(t, proxytest.Soon, func(t testing.TB, unit time.Duration) {
		p := proxytest.StartScript(t, proxytest.H1C, 2, proxytest.Hang)
		x := p.Start(proxytest.H1C, proxytest.H1C, proxytest.Hedging(2), func(s *proxytest.Settings) { s.Route.Timeout = unit })
		x.Ask("GET", nil).Want(t, 504, "UT", "UT UT")
	})
}

// TestHedgeConnecting: an attempt that is still being connected is broken off, and
// says nothing of its endpoint.
func TestHedgeConnecting(t *testing.T) {
	for _, up := range proxytest.Sides[:2] {
		t.Run(up.Name, func(t *testing.T) {
			proxytest.NoLeaks(t)
			deaf := proxytest.DeafAddress(t)
			p := proxytest.StartScript(t, up, 1, proxytest.Respond(200))
			x := p.Start(proxytest.H1C, up, proxytest.Hedging(2), func(s *proxytest.Settings) {
				s.Cluster.Endpoints = append(s.Cluster.Endpoints, deaf)
				s.Cluster.ConnectTimeout = time.Minute
				s.Cluster.Outlier = config.NewOutlier()
				s.Cluster.Outlier.Consecutive5xx, s.Cluster.Outlier.MaxEjectedPercent = 1, 100
			})
			raced := 0
			for range 4 {
				o := x.Ask("GET", nil)
				if len(o.Hop.Attempts) == 2 {
					raced++
					o.Want(t, 200, "", "0 200")
				}
			}
			if raced < 2 {
				t.Errorf("%d requests went to two endpoints", raced)
			}
		})
	}
}

// hedges waits until a later request has been hedged three times, in a proxy of its own: a
// hedge that were to come for an earlier one would have been sent meanwhile.
func hedges(t *testing.T) (wait func()) {
	p := proxytest.StartScript(t, proxytest.H1C, 2, proxytest.Hang, proxytest.Respond(200), proxytest.Hang, proxytest.Respond(200), proxytest.Hang, proxytest.Respond(200))
	x := p.Start(proxytest.H1C, proxytest.H1C, proxytest.Hedging(2))
	return func() {
		for range 3 {
			r, err := http.NewRequestWithContext(proxytest.WithinPatience(t), "GET", "http://"+x.Ingress()+"/", nil)
			if err != nil {
				t.Error(err)
				return
			}
			response, err := x.HTTP.Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			proxytest.Finish(response)
		}
		if n := len(p.Requests()); n != 6 {
			t.Errorf("%d requests, hedges included, want 6", n)
		}
	}
}

// TestHedgeNot: what can't be sent twice is not.
func TestHedgeNot(t *testing.T) {
	for _, tt := range []struct {
		name string
		body func() io.Reader
		set  func(*proxytest.Settings)
	}{
		{"an upload", func() io.Reader { return later(proxytest.Pattern(1000)) }, nil},
		{"one endpoint", nil, func(s *proxytest.Settings) { s.Cluster.Endpoints = s.Cluster.Endpoints[:1] }},
		{"no room in the circuit breaker", nil, func(s *proxytest.Settings) { s.Cluster.CircuitBreaker.MaxRetries = 0 }},
		{"no budget", nil, func(s *proxytest.Settings) {
			s.Cluster.Retry = proxytest.Retrying(2, "5xx")
			s.Cluster.Retry.Budget = &config.RetryBudget{}
		}},
		{"turned off by the route", nil, func(s *proxytest.Settings) {
			s.Route.Hedge = config.NewHedge(time.Millisecond)
			s.Route.Hedge.Attempts = 1
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proxytest.NoLeaks(t)
			wait := hedges(t)
			p := proxytest.StartScript(t, proxytest.H1C, 2, func(w http.ResponseWriter, r *http.Request) {
				wait()
				proxytest.Respond(200)(w, r)
			})
			x := p.Start(proxytest.H1C, proxytest.H1C, proxytest.Hedging(2), func(s *proxytest.Settings) {
				if tt.set != nil {
					tt.set(s)
				}
			})
			var body io.Reader
			if tt.body != nil {
				body = tt.body()
			}
			x.Ask("POST", body).Want(t, 200, "", "200")
			if n := len(p.Requests()); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// TestHedgeUpgrade: a connection that changes protocols is no answer to race for.
func TestHedgeUpgrade(t *testing.T) {
	proxytest.NoLeaks(t)
	wait := hedges(t)
	serve := func(_ int, p *proxytest.Peer) {
		if _, err := p.TryReadHead(); err != nil {
			return
		}
		wait()
		p.Send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\nhello")
		p.ReadRest()
	}
	x := proxytest.StartScript(t, proxytest.H1C, 1, proxytest.Respond(200)).Start(proxytest.H1C, proxytest.H1C, proxytest.Hedging(2), func(s *proxytest.Settings) {
		s.Cluster.Endpoints = []string{proxytest.Endpoint(t, serve), proxytest.Endpoint(t, serve)}
	})
	client := x.Dial()
	trace, field := proxytest.NewTrace()
	client.Send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: chat\r\n", field, "\r\n")
	if first, _ := client.ReadHead(); first != "HTTP/1.1 101 Switching Protocols" {
		t.Errorf("%q", first)
	}
	client.Expect("hello")
	client.Close()
	if h := x.Hop(trace); len(h.Attempts) != 1 || h.Kind != hop.KindTunnel {
		t.Errorf("%d attempts, kind %d", len(h.Attempts), h.Kind)
	}
}

// TestHedgeDrain: a proxy that does not wait any longer ends all attempts.
func TestHedgeDrain(t *testing.T) {
	proxytest.NoLeaks(t)
	p := proxytest.StartScript(t, proxytest.H1C, 2, proxytest.Hang)
	l := proxytest.StartWithViews(t, p.Addresses[0], p.Before(proxytest.H1C), proxytest.Hedging(2))
	c, err := net.Dial("tcp", l.Ingress())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	client := proxytest.NewPeer(t, c)
	trace, field := proxytest.NewTrace()
	client.Send("GET / HTTP/1.1\r\nHost: a\r\n", field, "\r\n")
	p.AwaitRequests(2)
	ctx, cancel := context.WithTimeout(t.Context(), proxytest.Short)
	defer cancel()
	if err := l.Close(ctx); err != nil {
		t.Error(err)
	}
	h := l.Store().Trace(trace)
	if len(h) != 1 || len(h[0].Attempts) != 2 || h[0].Flags == 0 {
		t.Fatalf("hops %+v", h)
	}
}
