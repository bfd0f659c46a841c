package snapshot_test

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
)

// waits is a policy whose retries wait for so long that only something else ends it.
func waits(s *settings) {
	s.Cluster.Retry = retrying(5, "5xx")
	s.Cluster.Retry.Backoff.Base, s.Cluster.Retry.Backoff.Max = 12*time.Hour, 24*time.Hour
	s.Route.Timeout = 0
}

// waiting waits until a retry waits to be sent.
func (x *tried) waiting() {
	x.t.Helper()
	eventually(x.t, "a retry waiting", func() bool { return x.counts().Retries == 1 })
}

// TestRetryClientLeaves: a client that leaves before the retry is sent ends it.
func TestRetryClientLeaves(t *testing.T) {
	plainPairs(t, func(t *testing.T, down, up side) {
		p := stage(t, up, 2, answers(503), answers(200))
		x := p.try(down, up, waits, leavesAtOnce)
		ctx, cancel := context.WithCancel(t.Context())
		r, trace := x.request(ctx, "GET", nil)
		ended := make(chan error)
		go func() {
			resp, err := x.client.Do(r)
			if err == nil {
				resp.Body.Close()
			}
			ended <- err
		}()
		x.waiting()
		cancel()
		if err := <-ended; err == nil {
			t.Error("the client got a response")
		}
		want := "DC"
		if down.http2 {
			want = "DR" // it reset its stream
		}
		if h := x.rig.hop(trace); h.Flags.String() != want || attempts(h) != "503" || h.Status != 0 || h.Failed() {
			t.Errorf("flags %q, attempts %q, status %d", h.Flags, attempts(h), h.Status)
		}
	})
}

// TestRetryDrain: a proxy that is drained lets a request wait for its retry, and ends
// the wait when its own time is over.
func TestRetryDrain(t *testing.T) {
	plainPairs(t, func(t *testing.T, down, up side) {
		p := stage(t, up, 2, answers(503), answers(200))
		l := startLab(t, p.addresses[0], p.before(up), waits)
		x := &tried{rig: l, play: p}
		transport := &http.Transport{Protocols: down.speaks()}
		t.Cleanup(transport.CloseIdleConnections)
		x.client = &http.Client{Transport: transport}
		r, trace := x.request(t.Context(), "GET", nil)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if resp, err := x.client.Do(r); err == nil {
				resp.Body.Close()
			}
		}()
		x.waiting()
		ctx, cancel := context.WithTimeout(t.Context(), short)
		defer cancel()
		if err := l.proxy.Close(ctx); err != nil {
			t.Error(err)
		}
		<-ended
		h := l.proxy.Store().Trace(trace)
		if len(h) != 1 || attempts(h[0]) != "503" || h[0].Flags == 0 {
			t.Fatalf("hops %+v", h)
		}
	})
	t.Run("in time", func(t *testing.T) {
		noLeaks(t)
		p := stage(t, h1c, 2, answers(503), answers(200))
		l := startLab(t, p.addresses[0], p.before(h1c), waits, func(s *settings) {
			s.Cluster.Retry.Backoff.Base, s.Cluster.Retry.Backoff.Max = short, short
		})
		client := dialPeer(t, l.ingress())
		client.send(getRoot)
		p.wants(1)
		ended := make(chan error)
		go func() { ended <- l.proxy.Close(within(t)) }()
		if resp, _ := client.response("GET"); resp.StatusCode != 200 {
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
	noLeaks(t)
	p := stage(t, h1c, 2, answers(503))
	x := p.try(h1c, h1c, func(s *settings) {
		waits(s)
		leavesAtOnce(s)
		s.Cluster.CircuitBreaker.MaxRetries = 1
	})
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := x.request(ctx, "GET", nil)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if resp, err := x.client.Do(r); err == nil {
			resp.Body.Close()
		}
	}()
	x.waiting()
	x.ask("GET", nil).want(t, 503, "UO", "503")
	if c := x.counts(); c.Refused != 1 || c.Retried != 1 {
		t.Errorf("%d retries, %d refused", c.Retried, c.Refused)
	}
	cancel()
	<-ended
}

// TestRetryMaxRequests: a request that the circuit breaker does not let in is told so.
func TestRetryMaxRequests(t *testing.T) {
	noLeaks(t)
	p := stage(t, h1c, 1, hangs)
	x := p.try(h1c, h1c, func(s *settings) { s.Cluster.CircuitBreaker.MaxRequests = 1 })
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := x.request(ctx, "GET", nil)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if resp, err := x.client.Do(r); err == nil {
			resp.Body.Close()
		}
	}()
	p.wants(1)
	o := x.ask("GET", nil)
	o.want(t, 503, "UO", "")
	if o.Header.Get("X-Envoy-Overloaded") != "true" {
		t.Errorf("fields %v", o.Header)
	}
	cancel()
	<-ended
}

// TestRetryBudget: retries stay within their share of the requests, though all fail
// and fail at once; the circuit breaker has no say.
func TestRetryBudget(t *testing.T) {
	noLeaks(t)
	p := stage(t, h1c, 2, answers(503))
	x := p.try(h1c, h1c, func(s *settings) {
		s.Cluster.Retry = retrying(2, "5xx")
		s.Cluster.Retry.Budget = config.NewRetryBudget()
		s.Cluster.CircuitBreaker.MaxRetries = 0
	})
	const n = 400
	start := time.Now()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range n / 4 {
				r, _ := x.request(t.Context(), "GET", nil)
				if resp, err := x.client.Do(r); err == nil {
					resp.Body.Close()
				}
			}
		})
	}
	wg.Wait()
	// 20 % of the requests, and three a second.
	most := n/5 + 3*int(time.Since(start)/time.Second+2)
	if c := x.counts(); int(c.Retried) > most || c.Retried < 3 || c.Refused == 0 || len(p.requests()) != n+int(c.Retried) {
		t.Errorf("%d retries of %d requests, %d refused; want up to %d", c.Retried, n, c.Refused, most)
	}
}

// TestRetryEveryWayOut: whatever becomes of requests, at the end nothing counts as
// under way any more, and each has one Hop whose attempts have all ended.
func TestRetryEveryWayOut(t *testing.T) {
	for _, hedged := range []bool{false, true} {
		plainPairs(t, func(t *testing.T, down, up side) {
			mixed := func(w http.ResponseWriter, r *http.Request) {
				switch rand.IntN(8) {
				case 0:
					aborts(w, r)
				case 1:
					answers(503)(w, r)
				case 2:
					answers(409)(w, r)
				case 3:
					select {
					case <-r.Context().Done():
					case <-time.After(time.Duration(rand.IntN(60)) * time.Millisecond):
					}
				case 4:
					io.WriteString(w, pattern(1000))
					w.(http.Flusher).Flush()
					aborts(w, r)
				default:
					io.WriteString(w, pattern(rand.IntN(100_000)))
				}
			}
			p := stage(t, up, 3, mixed)
			refuses := refusing(t)
			x := p.try(down, up, func(s *settings) {
				s.Cluster.Endpoints = append(s.Cluster.Endpoints, refuses)
				s.Cluster.Retry = perTry(retrying(3, "5xx", "retriable-4xx"), 20*time.Millisecond)
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
							body = strings.NewReader(pattern(rand.IntN(5000)))
						case 1:
							body = later(pattern(rand.IntN(200_000)))
						}
						r, _ := x.request(ctx, "PUT", body)
						if resp, err := x.client.Do(r); err == nil {
							io.Copy(io.Discard, resp.Body)
							resp.Body.Close()
						}
						cancel()
					}
				})
			}
			wg.Wait()
			x.settled()
			for _, s := range x.rig.traces() {
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
