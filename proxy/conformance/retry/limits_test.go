package retry_test

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// waits is a policy whose retries wait for so long that only something else ends it.
func waits(s *proxytest.Settings) {
	s.Cluster.Retry = proxytest.Retrying(5, "5xx")
	s.Cluster.Retry.Backoff.Base, s.Cluster.Retry.Backoff.Max = 12*time.Hour, 24*time.Hour
	s.Route.Timeout = 0
}

// awaitWaiting waits until a retry waits to be sent.
func awaitWaiting(x *proxytest.Client) {
	x.T.Helper()
	proxytest.Eventually(x.T, "a retry waiting", func() bool { return x.Counts().Retries == 1 })
}

// TestRetryClientLeaves: a client that leaves before the retry is sent ends it.
func TestRetryClientLeaves(t *testing.T) {
	proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
		p := proxytest.StartScript(t, up, 2, proxytest.Respond(503), proxytest.Respond(200))
		x := p.Start(down, up, waits, proxytest.AbortOnClose)
		ctx, cancel := context.WithCancel(t.Context())
		r, trace := x.NewRequest(ctx, "GET", nil)
		ended := make(chan error)
		go func() {
			resp, err := x.HTTP.Do(r)
			if err == nil {
				proxytest.Finish(resp)
			}
			ended <- err
		}()
		awaitWaiting(x)
		cancel()
		if err := <-ended; err == nil {
			t.Error("the client got a response")
		}
		want := "DC"
		if down.HTTP2 {
			want = "DR" // it reset its stream
		}
		if h := x.Hop(trace); h.Flags.String() != want || proxytest.Attempts(h) != "503" || h.Status != 0 || h.Failed() {
			t.Errorf("flags %q, attempts %q, status %d", h.Flags, proxytest.Attempts(h), h.Status)
		}
	})
}

// TestRetryDrain: a proxy that is drained lets a request wait for its retry, and ends
// the wait when its own time is over.
func TestRetryDrain(t *testing.T) {
	proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
		p := proxytest.StartScript(t, up, 2, proxytest.Respond(503), proxytest.Respond(200))
		l := proxytest.StartWithViews(t, p.Addresses[0], p.Before(up), waits)
		x := &proxytest.Client{Proxy: l, Script: p}
		transport := &http.Transport{Protocols: down.Protocols()}
		t.Cleanup(transport.CloseIdleConnections)
		x.HTTP = &http.Client{Transport: transport}
		r, trace := x.NewRequest(t.Context(), "GET", nil)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if resp, err := x.HTTP.Do(r); err == nil {
				proxytest.Finish(resp)
			}
		}()
		awaitWaiting(x)
		ctx, cancel := context.WithTimeout(t.Context(), proxytest.Short)
		defer cancel()
		if err := l.Close(ctx); err != nil {
			t.Error(err)
		}
		<-ended
		h := l.Store().Trace(trace)
		if len(h) != 1 || proxytest.Attempts(h[0]) != "503" || h[0].Flags == 0 {
			t.Fatalf("hops %+v", h)
		}
	})
	t.Run("in time", func(t *testing.T) {
		proxytest.NoLeaks(t)
		p := proxytest.StartScript(t, proxytest.H1C, 2, proxytest.Respond(503), proxytest.Respond(200))
		l := proxytest.StartWithViews(t, p.Addresses[0], p.Before(proxytest.H1C), waits, func(s *proxytest.Settings) {
			s.Cluster.Retry.Backoff.Base, s.Cluster.Retry.Backoff.Max = proxytest.Short, proxytest.Short
		})
		client := proxytest.Dial(t, l.Ingress())
		client.Send(proxytest.RootRequest)
		p.AwaitRequests(1)
		ended := make(chan error)
		go func() { ended <- l.Close(proxytest.WithinPatience(t)) }()
		if resp, _ := client.ReadResponse("GET"); resp.StatusCode != 200 {
			t.Errorf("status %d", resp.StatusCode)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestRetryBreaker: no more retries are under way than the circuit breaker lets, and
// the answer of the attempt that was made is the client's.
func TestRetryBreaker(t *testing.T) {
	proxytest.NoLeaks(t)
	p := proxytest.StartScript(t, proxytest.H1C, 2, proxytest.Respond(503))
	x := p.Start(proxytest.H1C, proxytest.H1C, func(s *proxytest.Settings) {
		waits(s)
		proxytest.AbortOnClose(s)
		s.Cluster.CircuitBreaker.MaxRetries = 1
	})
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := x.NewRequest(ctx, "GET", nil)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if resp, err := x.HTTP.Do(r); err == nil {
			proxytest.Finish(resp)
		}
	}()
	awaitWaiting(x)
	x.Ask("GET", nil).Want(t, 503, "UO", "503")
	if c := x.Counts(); c.Refused != 1 || c.Retried != 1 {
		t.Errorf("%d retries, %d refused", c.Retried, c.Refused)
	}
	cancel()
	<-ended
}

// TestRetryMaxRequests: a request that the circuit breaker does not let in is told so.
func TestRetryMaxRequests(t *testing.T) {
	proxytest.NoLeaks(t)
	p := proxytest.StartScript(t, proxytest.H1C, 1, proxytest.Hang)
	x := p.Start(proxytest.H1C, proxytest.H1C, func(s *proxytest.Settings) { s.Cluster.CircuitBreaker.MaxRequests = 1 })
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := x.NewRequest(ctx, "GET", nil)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if resp, err := x.HTTP.Do(r); err == nil {
			proxytest.Finish(resp)
		}
	}()
	p.AwaitRequests(1)
	o := x.Ask("GET", nil)
	o.Want(t, 503, "UO", "")
	if o.Header.Get("X-Envoy-Overloaded") != "true" {
		t.Errorf("fields %v", o.Header)
	}
	cancel()
	<-ended
}

// TestRetryBudget: retries stay within their share of the requests, though all fail
// and fail at once; the circuit breaker has no say.
func TestRetryBudget(t *testing.T) {
	proxytest.NoLeaks(t)
	p := proxytest.StartScript(t, proxytest.H1C, 2, proxytest.Respond(503))
	x := p.Start(proxytest.H1C, proxytest.H1C, func(s *proxytest.Settings) {
		s.Cluster.Retry = proxytest.Retrying(2, "5xx")
		s.Cluster.Retry.Budget = config.NewRetryBudget()
		s.Cluster.CircuitBreaker.MaxRetries = 0
	})
	const n = 400
	start := time.Now()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range n / 4 {
				r, _ := x.NewRequest(t.Context(), "GET", nil)
				if resp, err := x.HTTP.Do(r); err == nil {
					proxytest.Finish(resp)
				}
			}
		})
	}
	wg.Wait()
	// 20 % of the requests, and three a second.
	most := n/5 + 3*int(time.Since(start)/time.Second+2)
	if c := x.Counts(); int(c.Retried) > most || c.Retried < 3 || c.Refused == 0 || len(p.Requests()) != n+int(c.Retried) {
		t.Errorf("%d retries of %d requests, %d refused; want up to %d", c.Retried, n, c.Refused, most)
	}
}

// TestRetryEveryWayOut: whatever becomes of requests, at the end nothing counts as
// under way any more, and each has one Hop whose attempts have all ended.
func TestRetryEveryWayOut(t *testing.T) {
	for _, hedged := range []bool{false, true} {
		proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
			mixed := func(w http.ResponseWriter, r *http.Request) {
				switch rand.IntN(8) {
				case 0:
					proxytest.Abort(w, r)
				case 1:
					proxytest.Respond(503)(w, r)
				case 2:
					proxytest.Respond(409)(w, r)
				case 3:
					select {
					case <-r.Context().Done():
					case <-time.After(time.Duration(rand.IntN(60)) * time.Millisecond):
					}
				case 4:
					io.WriteString(w, proxytest.Pattern(1000))
					w.(http.Flusher).Flush()
					proxytest.Abort(w, r)
				default:
					io.WriteString(w, proxytest.Pattern(rand.IntN(100_000)))
				}
			}
			p := proxytest.StartScript(t, up, 3, mixed)
			refuses := proxytest.RefusingAddress(t)
			x := p.Start(down, up, func(s *proxytest.Settings) {
				s.Cluster.Endpoints = append(s.Cluster.Endpoints, refuses)
				s.Cluster.Retry = perTry(proxytest.Retrying(3, "5xx", "retriable-4xx"), 20*time.Millisecond)
				s.Route.Timeout = 50 * time.Millisecond
				s.Cluster.CircuitBreaker.MaxRetries, s.Cluster.CircuitBreaker.MaxRequests = 3, 10
				s.Cluster.CircuitBreaker.MaxConnections = 8
				s.Config.Telemetry.Traces.Sample = 1
				if hedged {
					s.Cluster.Hedge = config.NewHedge(5 * time.Millisecond)
					s.Cluster.Hedge.Attempts = 3
				}
			})
			const clients, turns = 12, 25
			var wg sync.WaitGroup
			for range clients {
				wg.Go(func() {
					for range turns {
						ctx, cancel := context.WithCancel(t.Context())
						if rand.IntN(4) == 0 {
							time.AfterFunc(time.Duration(rand.IntN(40))*time.Millisecond, cancel)
						}
						var body io.Reader
						switch rand.IntN(4) {
						case 0:
							body = strings.NewReader(proxytest.Pattern(rand.IntN(5000)))
						case 1:
							body = later(proxytest.Pattern(rand.IntN(200_000)))
						}
						r, _ := x.NewRequest(ctx, "PUT", body)
						if resp, err := x.HTTP.Do(r); err == nil {
							proxytest.Finish(resp)
						}
						cancel()
					}
				})
			}
			wg.Wait()
			x.Settled()
			for _, s := range x.Traces() {
				if s.Root.End == 0 {
					t.Error("a hop that has not ended")
				}
				for _, a := range s.Root.Attempts {
					if a.End == 0 || a.Span.IsZero() || a.End > s.Root.End {
						t.Errorf("attempt %+v of a hop that ended after %v", a, s.Root.End)
					}
				}
			}
		})
	}
}
