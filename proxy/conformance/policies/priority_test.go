package policies_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// important makes requests with the field x-important those of a route of high priority,
// which comes before the other.
func important(s *proxytest.Settings) {
	high := s.Route
	high.Name, high.Priority = "important", "high"
	high.Match.Headers = map[string]config.ValueMatch{"x-important": {Present: true}}
	s.Listener.Routes = append(s.Listener.Routes, high)
}

// asOf are the fields of a request of that priority, after others.
func asOf(priority string, fields ...string) []string {
	if priority == "high" {
		return append(slices.Clone(fields), "x-important: yes")
	}
	return fields
}

// held starts a proxy with both priorities. Its endpoint answers requests with the field
// x-hold when free is called, and others at once.
func held(t *testing.T, down, up proxytest.Side, change ...func(*proxytest.Settings)) (x *proxytest.Client, free func()) {
	let := make(chan struct{})
	p := proxytest.StartScript(t, up, 1, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("x-hold") != "" {
			select {
			case <-let:
			case <-r.Context().Done():
			}
		}
		proxytest.Respond(200, "grpc-status: 0")(w, r)
	})
	return p.Start(down, up, append(change, important)...), sync.OnceFunc(func() { close(let) })
}

// TestPriority: while requests of one priority have used up the cluster, the next of them is
// refused, and those of the other go through: in every protocol, whichever comes first, and
// whichever limit it is.
func TestPriority(t *testing.T) {
	for _, tt := range []struct {
		breaker string
		most    config.Thresholds
		reason  string // of default and high
		streams int
	}{
		{"requests", config.Thresholds{MaxConnections: 100, MaxPending: 100, MaxRequests: 1}, "raise circuit_breaker%s.max_requests", 100},
		{"connections", config.Thresholds{MaxConnections: 1, MaxRequests: 100}, "raise max_connections or max_pending of circuit_breaker%s", 1},
	} {
		for _, first := range []string{"default", "high"} {
			for _, fields := range [][]string{nil, call} {
				t.Run(fmt.Sprint(tt.breaker, " used up by ", first, ", call ", fields != nil), func(t *testing.T) {
					proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
						x, free := held(t, down, up, func(s *proxytest.Settings) {
							s.Cluster.CircuitBreaker = config.CircuitBreaker{Thresholds: tt.most, High: tt.most}
							s.Cluster.HTTP2.MaxConcurrentStreams = tt.streams
						})
						second, key := "high", ""
						if first == "high" {
							second, key = "default", ".high"
						}
						var asking sync.WaitGroup
						defer asking.Wait()
						defer free()
						asking.Go(func() { proxytest.Same(t, "status of the first", ask(x, asOf(first, "x-hold: yes")...), 200) })
						x.Script.AwaitRequests(1)

						o := x.Ask("POST", nil, asOf(first, fields...)...)
						proxytest.Same(t, "flags", o.Hop.Flags.String(), "UO")
						proxytest.Same(t, "x-envoy-overloaded", o.Header.Get("x-envoy-overloaded"), "true")
						proxytest.Reason(t, "reason", o.Hop.Failure.Reason, fmt.Sprintf(tt.reason, key))
						if fields == nil {
							proxytest.Same(t, "status", o.StatusCode, 503)
						} else {
							proxytest.Same(t, "grpc-status", o.Header.Get("grpc-status"), "14")
						}
						for range 3 {
							x.Ask("POST", nil, asOf(second, fields...)...).Want(t, 200, "", "200")
						}
						wantPriorities(t, x, tt.breaker, first, second)
					})
				})
			}
		}
	}
}

// wantPriorities checks what metrics and /clusters say while first has a request under way,
// and one of its was refused.
func wantPriorities(t *testing.T, x *proxytest.Client, breaker, first, second string) {
	t.Helper()
	m := x.Scrape()
	for _, c := range []struct {
		priority string
		n        float64
	}{{first, 1}, {second, 0}} {
		of := []string{"cluster", "web", "priority", c.priority}
		proxytest.Same(t, c.priority+" under way", m.Sum("hopscope_upstream_requests_active", of...), c.n)
		proxytest.Same(t, c.priority+" refused", m.Sum("hopscope_circuit_breaker_refused_total", append(of, "breaker", breaker)...), c.n)
		proxytest.Same(t, c.priority+" limit", m.Sum("hopscope_circuit_breaker_limit", append(of, "breaker", breaker)...), 1)
		proxytest.Same(t, c.priority+" connections", m.Sum("hopscope_upstream_connections", of...), 1)
	}
	c := x.Counts()
	of := map[string]proxytest.PriorityCounts{"default": c.PriorityCounts, "high": c.High}
	for priority, n := range map[string]int64{first: 1, second: 0} {
		got := of[priority]
		if got.Requests != n || int64(got.RequestsRefused)+int64(got.Connections.Refused) != n {
			t.Errorf("/clusters says of %s: %+v, want %d under way and refused", priority, got, n)
		}
	}
	if e := c.Endpoints[0]; e.Active != 1 || e.Open+e.Idle != 2 {
		t.Errorf("/clusters says of the endpoint: %+v, want one request and two connections", e)
	}
}

// TestPriorityUnused: where no request of high priority has come, nothing tells of them.
func TestPriorityUnused(t *testing.T) {
	x, _ := held(t, proxytest.H1C, proxytest.H1C)
	x.Ask("GET", nil).Want(t, 200, "", "200")
	m := x.Scrape()
	for _, name := range []string{"hopscope_upstream_requests_active", "hopscope_upstream_connections", "hopscope_circuit_breaker_limit"} {
		if !m.Has(name, "priority", "default") || m.Has(name, "priority", "high") {
			t.Errorf("%s: default %t, high %t", name, m.Has(name, "priority", "default"), m.Has(name, "priority", "high"))
		}
	}
}

// TestPriorityOfRetries: retries of one priority leave those of the other alone.
func TestPriorityOfRetries(t *testing.T) {
	for _, first := range []string{"default", "high"} {
		t.Run(first, func(t *testing.T) {
			let := make(chan struct{})
			fails, answers := proxytest.Respond(503), proxytest.Respond(200)
			p := proxytest.StartScript(t, proxytest.H1C, 1, fails, func(w http.ResponseWriter, r *http.Request) {
				<-let
				answers(w, r)
			}, fails, fails, answers)
			x := p.Start(proxytest.H1C, proxytest.H1C, func(s *proxytest.Settings) {
				s.Route.Retry = proxytest.Retrying(2, "5xx")
				s.Cluster.CircuitBreaker.MaxRetries, s.Cluster.CircuitBreaker.High.MaxRetries = 1, 1
			}, important)
			second := map[string]string{"default": "high", "high": "default"}[first]
			var asking sync.WaitGroup
			defer asking.Wait()
			defer close(let)
			asking.Go(func() { proxytest.Same(t, "status of the first", ask(x, asOf(first)...), 200) })
			p.AwaitRequests(2)
			x.Ask("GET", nil, asOf(first)...).Want(t, 503, "UO", "503")
			x.Ask("GET", nil, asOf(second)...).Want(t, 200, "", "503 200")
			proxytest.Same(t, "retries under way", x.Scrape().Sum("hopscope_retries_active", "priority", first), 1)
		})
	}
}

// TestPriorityWaits: a connection that becomes free is for a request of its own priority.
func TestPriorityWaits(t *testing.T) {
	proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
		x, free := held(t, down, up, func(s *proxytest.Settings) {
			most := config.Thresholds{MaxConnections: 1, MaxPending: 1, MaxRequests: 10}
			s.Cluster.CircuitBreaker = config.CircuitBreaker{Thresholds: most, High: most}
			s.Cluster.HTTP2.MaxConcurrentStreams = 1
		})
		var asking sync.WaitGroup
		defer asking.Wait()
		defer free()
		for _, priority := range []string{"default", "high"} {
			for range 2 {
				asking.Go(func() { proxytest.Same(t, "status", ask(x, asOf(priority, "x-hold: yes")...), 200) })
			}
		}
		x.Script.AwaitRequests(2)
		proxytest.Eventually(t, "one of each waits", func() bool {
			m := x.Scrape()
			return m.Sum("hopscope_upstream_requests_pending", "priority", "default") == 1 && m.Sum("hopscope_upstream_requests_pending", "priority", "high") == 1
		})
		proxytest.Same(t, "requests at the endpoint", len(x.Script.Requests()), 2)
	})
}

// TestPriorityOfCopies: the copies of important requests are ordinary ones.
func TestPriorityOfCopies(t *testing.T) {
	shadow := proxytest.StartScript(t, proxytest.H1C, 1, proxytest.Respond(200))
	p := proxytest.StartScript(t, proxytest.H1C, 1, proxytest.Respond(200))
	x := p.Start(proxytest.H1C, proxytest.H1C, mirrorTo(proxytest.H1C, shadow.Addresses), important)
	_, copied := askBoth(x, "GET", nil, asOf("high")...)
	proxytest.Same(t, "status of the copy", copied.Status, 200)
	m := x.Scrape()
	proxytest.Same(t, "connections for important requests", m.Sum("hopscope_upstream_connections_total", "cluster", "web", "priority", "high", "source", "dialled"), 1)
	if m.Has("hopscope_upstream_connections", "cluster", "shadow", "priority", "high") {
		t.Error("the copy has a connection for important requests")
	}
}

// TestPriorityAfterReload: what is under way counts on after a reload, by its priority, and an
// endpoint that is removed closes the connections of both.
func TestPriorityAfterReload(t *testing.T) {
	proxytest.NoLeaks(t)
	let := make(chan struct{})
	var came sync.WaitGroup
	came.Add(1)
	slow := proxytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("x-hold") != "" {
			came.Done()
			<-let
		}
	})
	with := func(most int, endpoint string) *config.Config {
		return proxytest.NewConfig(t, endpoint, func(c *config.Config) {
			cluster := c.Clusters["web"]
			cluster.CircuitBreaker.High.MaxRequests = most
			c.Clusters["web"] = cluster
			c.Listeners[0].Routes[0].Priority = "high"
			c.Admin.Address = "127.0.0.1:0"
		})
	}
	x := proxytest.StartConfig(t, with(1, slow))
	c := x.Dial()
	c.Send("GET / HTTP/1.1\r\nHost: a\r\nX-Hold: yes\r\n\r\n")
	came.Wait()
	status := func() int { return proxytest.Ask(t, x.Ingress(), proxytest.RootRequest).StatusCode }
	proxytest.Same(t, "status with a limit of 1", status(), 503)
	x.MustReload(with(2, slow))
	proxytest.Same(t, "status with a limit of 2", status(), 200)
	x.MustReload(with(1, proxytest.Serve(t, proxytest.Echo)))
	proxytest.Same(t, "status at another endpoint, with a limit of 1", status(), 503)
	close(let)
	response, _ := c.ReadResponse("GET")
	proxytest.Same(t, "status of the first", response.StatusCode, 200)
	c.Close()
	proxytest.Eventually(t, "no connection to the first endpoint", func() bool {
		return status() == 200 && x.Scrape().Sum("hopscope_upstream_connections", "cluster", "web") == 1
	})
}
