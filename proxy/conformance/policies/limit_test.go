package policies_test

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// occupied starts a proxy whose endpoint answers nothing until free is called, and has n
// requests under way there.
func occupied(t *testing.T, down, up proxytest.Side, n int, change ...func(*proxytest.Settings)) (x *proxytest.Client, free func()) {
	let := make(chan struct{})
	p := proxytest.StartScript(t, up, 1, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-let:
		case <-r.Context().Done():
		}
		proxytest.Respond(200)(w, r)
	})
	x = p.Start(down, up, change...)
	var asking sync.WaitGroup
	for range n {
		asking.Go(func() { ask(x) })
	}
	free = sync.OnceFunc(func() {
		close(let)
		asking.Wait()
	})
	t.Cleanup(free)
	p.AwaitRequests(n)
	return x, free
}

// ask sends a request and reads the response, whatever it is.
func ask(x *proxytest.Client, fields ...string) (status int) {
	r, _ := x.NewRequest(context.Background(), "GET", nil, fields...)
	response, err := x.HTTP.Do(r)
	if err != nil {
		x.T.Error(err)
		return 0
	}
	proxytest.Finish(response)
	return response.StatusCode
}

// TestMaxRequests: a route lets so many requests through, and sheds the others, in every
// protocol.
func TestMaxRequests(t *testing.T) {
	for _, tt := range []struct {
		name     string
		shed     *config.Shed
		fields   []string
		status   int
		grpc     string
		retry    string // retry-after
		pushback string // grpc-retry-pushback-ms
	}{
		{name: "by default", status: 503, retry: "1"},
		{name: "429", shed: &config.Shed{Status: 429, RetryAfter: 1500 * time.Millisecond}, status: 429, retry: "2"},
		{name: "not told when", shed: &config.Shed{Status: 503}, status: 503},
		{name: "a call", fields: call, status: 200, grpc: "14", retry: "1", pushback: "1000"},
		{name: "a call, 429", shed: &config.Shed{Status: 429}, fields: call, status: 200, grpc: "14"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
				x, free := occupied(t, down, up, 2, func(s *proxytest.Settings) { s.Route.MaxRequests, s.Route.Shed = 2, tt.shed })
				o := x.Ask("POST", nil, tt.fields...)
				o.Want(t, tt.status, "UO", "")
				proxytest.Same(t, "retry-after", o.Header.Get("retry-after"), tt.retry)
				proxytest.Same(t, "x-envoy-overloaded", o.Header.Get("x-envoy-overloaded"), "true")
				proxytest.Same(t, "grpc-status", o.Header.Get("grpc-status"), tt.grpc)
				proxytest.Same(t, "grpc-retry-pushback-ms", o.Header.Get("grpc-retry-pushback-ms"), tt.pushback)
				proxytest.Same(t, "details", o.Hop.Details, "route_max_requests")
				proxytest.Same(t, "failure", o.Hop.Failure.Kind, "route_overflow")
				proxytest.Same(t, "part", o.Hop.Failure.Part, hop.PartCapacity)
				proxytest.Reason(t, "reason", o.Hop.Failure.Reason, "route default has 2 requests under way")
				m := x.Scrape()
				proxytest.Same(t, "under way", m.Sum("hopscope_route_requests_active", "route", "default"), 2)
				proxytest.Same(t, "limit", m.Sum("hopscope_route_requests_limit", "listener", "ingress"), 2)
				proxytest.Same(t, "shed", m.Sum("hopscope_route_shed_total", "limit", "max_requests"), 1)
				free()
				proxytest.Same(t, "status once there is room", ask(x), 200)
			})
		})
	}
}

// TestMaxRequestsOfEachRoute: routes of one cluster with the same limit count each for
// itself.
func TestMaxRequestsOfEachRoute(t *testing.T) {
	x, _ := occupied(t, proxytest.H1C, proxytest.H1C, 1, func(s *proxytest.Settings) {
		s.Route.MaxRequests = 1
		other := s.Route
		other.Match.Methods = []string{"POST"}
		s.Listener.Routes = append(s.Listener.Routes, other)
	})
	x.Ask("GET", nil).Want(t, 503, "UO", "")
	ctx, leave := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	asking.Go(func() {
		r, _ := x.NewRequest(ctx, "POST", nil)
		if response, err := x.HTTP.Do(r); err == nil {
			proxytest.Finish(response)
		}
	})
	x.Script.AwaitRequests(2)
	x.Ask("POST", nil).Want(t, 503, "UO", "")
	proxytest.Same(t, "shed by both", x.Scrape().Sum("hopscope_route_shed_total"), 2)
	leave()
	asking.Wait()
}

// TestShedResponseIsForPages: pages of other origins can read that they were shed, and
// preflights do not count.
func TestShedResponseIsForPages(t *testing.T) {
	x, _ := occupied(t, proxytest.H1C, proxytest.H1C, 1, func(s *proxytest.Settings) {
		shopOnly(s)
		s.Route.MaxRequests = 1
	})
	o := x.Ask("GET", nil, "origin: "+page)
	o.Want(t, 503, "UO", "")
	proxytest.Same(t, "access-control-allow-origin", o.Header.Get("access-control-allow-origin"), page)
	x.Ask("OPTIONS", nil, "origin: "+page, "access-control-request-method: PUT").Want(t, 200, "", "")
}

// TestMaxRequestsAfterReload: what is under way counts on after a reload, and the limit is
// the new one.
func TestMaxRequestsAfterReload(t *testing.T) {
	proxytest.NoLeaks(t)
	let := make(chan struct{})
	var came sync.WaitGroup
	came.Add(2)
	endpoint := proxytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		came.Done()
		<-let
	})
	with := func(n int, change ...func(*config.Config)) *config.Config {
		return proxytest.NewConfig(t, endpoint, append(change, func(c *config.Config) { c.Listeners[0].Routes[0].MaxRequests = n })...)
	}
	x := proxytest.StartConfig(t, with(2))
	var clients []*proxytest.Peer
	for range 2 {
		c := x.Dial()
		c.Send(proxytest.RootRequest)
		clients = append(clients, c)
	}
	came.Wait()
	status := func() int { return proxytest.Ask(t, x.Ingress(), proxytest.RootRequest).StatusCode }
	proxytest.Same(t, "status with a limit of 2", status(), 503)
	x.MustReload(with(2, func(c *config.Config) { c.Listeners[0].Routes[0].Timeout = time.Hour }))
	proxytest.Same(t, "status after a reload", status(), 503)
	came.Add(1)
	x.MustReload(with(3))
	third := x.Dial()
	third.Send(proxytest.RootRequest)
	came.Wait()
	proxytest.Same(t, "status of the fourth with a limit of 3", status(), 503)
	close(let)
	for _, c := range slices.Concat(clients, []*proxytest.Peer{third}) {
		response, _ := c.ReadResponse("GET")
		proxytest.Same(t, "status", response.StatusCode, 200)
		c.Close()
	}
}

// TestAdaptiveConcurrency: a route lets through what its service does well with.
func TestAdaptiveConcurrency(t *testing.T) {
	adaptive := func(change func(*config.AdaptiveConcurrency)) func(*proxytest.Settings) {
		return func(s *proxytest.Settings) {
			s.Route.AdaptiveConcurrency = config.NewAdaptiveConcurrency()
			s.Route.AdaptiveConcurrency.MinConcurrency = 1
			change(s.Route.AdaptiveConcurrency)
		}
	}
	t.Run("while it measures", func(t *testing.T) {
		for _, tt := range []struct {
			fields []string
			status int
			grpc   string
		}{{nil, 503, ""}, {call, 200, "14"}} {
			proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
				x, free := occupied(t, down, up, 1, adaptive(func(a *config.AdaptiveConcurrency) { a.MinRTT.Requests = 1 }))
				o := x.Ask("POST", nil, tt.fields...)
				o.Want(t, tt.status, "UO", "")
				proxytest.Same(t, "retry-after", o.Header.Get("retry-after"), "1")
				proxytest.Same(t, "grpc-status", o.Header.Get("grpc-status"), tt.grpc)
				proxytest.Same(t, "details", o.Hop.Details, "reached_concurrency_limit")
				proxytest.Same(t, "failure", o.Hop.Failure.Kind, "concurrency_limit")
				proxytest.Same(t, "part", o.Hop.Failure.Part, hop.PartCapacity)
				proxytest.Reason(t, "reason", o.Hop.Failure.Reason, "route default has 1 requests under way")
				m := x.Scrape()
				proxytest.Same(t, "limit", m.Sum("hopscope_route_requests_limit", "limit", "concurrency"), 1)
				proxytest.Same(t, "shed", m.Sum("hopscope_route_shed_total", "limit", "concurrency"), 1)
				proxytest.Same(t, "measuring", m.Sum("hopscope_concurrency_measuring"), 1)
				free()
				x.Settled()
				proxytest.Eventually(t, "the shortest time being known", func() bool {
					m := x.Scrape()
					return m.Sum("hopscope_concurrency_measuring") == 0 && m.Sum("hopscope_concurrency_min_rtt_seconds") > 0
				})
			})
		}
	})
	t.Run("where there is room", func(t *testing.T) {
		p := proxytest.StartScript(t, proxytest.H1C, 1, proxytest.Respond(200))
		x := p.Start(proxytest.H1C, proxytest.H1C, adaptive(func(a *config.AdaptiveConcurrency) {
			a.MinRTT.Fixed, a.UpdateInterval = time.Hour, time.Millisecond
		}))
		proxytest.Eventually(t, "the limit rising", func() bool {
			ask(x)
			return x.Scrape().Sum("hopscope_route_requests_limit", "limit", "concurrency") == 1000
		})
		proxytest.Same(t, "gradient", x.Scrape().Sum("hopscope_concurrency_gradient"), 2)
	})
	t.Run("where requests take longer", func(t *testing.T) {
		p := proxytest.StartScript(t, proxytest.H1C, 1, proxytest.Respond(200))
		x := p.Start(proxytest.H1C, proxytest.H1C, adaptive(func(a *config.AdaptiveConcurrency) {
			a.MinRTT.Fixed, a.UpdateInterval = time.Nanosecond, time.Millisecond
		}))
		proxytest.Eventually(t, "the limit falling", func() bool {
			ask(x)
			return x.Scrape().Sum("hopscope_concurrency_gradient") == 0.5
		})
	})
}
