package policies_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// queueing lets one request through at a time, and so many wait, for as long as it takes.
func queueing(room int) func(*proxytest.Settings) {
	return func(s *proxytest.Settings) {
		s.Route.MaxRequests, s.Route.Queue = 1, config.NewQueue()
		s.Route.Queue.Max, s.Route.Queue.MaxWait, s.Route.Queue.PriorityHeader = room, time.Hour, "Priority"
	}
}

// awaitQueue waits until so many requests wait for their turn.
func awaitQueue(x *proxytest.Client, n int) {
	x.T.Helper()
	proxytest.Eventually(x.T, fmt.Sprintf("%d requests in the queue", n), func() bool {
		return x.Scrape().Sum("hopscope_route_requests_waiting") == float64(n)
	})
}

// TestQueue: requests that are too many at once wait, and the most urgent goes first; one
// that finds the queue full takes the place of one that is less urgent.
func TestQueue(t *testing.T) {
	proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
		turn := make(chan struct{})
		p := proxytest.StartScript(t, up, 1, func(w http.ResponseWriter, r *http.Request) {
			<-turn
			proxytest.Respond(200)(w, r)
		})
		x := p.Start(down, up, queueing(3))
		statuses := make([]int, 6)
		var asking sync.WaitGroup
		send := func(i int, fields ...string) {
			asking.Go(func() { statuses[i] = ask(x, append(fields, fmt.Sprintf("x-number: %d", i))...) })
		}
		send(0)
		p.AwaitRequests(1)
		for i, urgency := range []string{"u=6", "3", "u=1, i"} {
			send(i+1, "priority: "+urgency)
			awaitQueue(x, i+1)
		}
		// Those in the queue are at least as urgent: it is refused. The next displaces the first.
		o := x.Ask("GET", nil, "priority: u=7")
		o.Want(t, 503, "UO", "")
		proxytest.Same(t, "it waited for", o.Hop.Queued, 0)
		send(4, "priority: u=3")
		proxytest.Eventually(t, "one of the queue being displaced", func() bool {
			return x.Scrape().Sum("hopscope_route_shed_total") == 2
		})
		awaitQueue(x, 3)
		for range 4 {
			turn <- struct{}{}
		}
		asking.Wait()
		proxytest.Same(t, "statuses", fmt.Sprint(statuses[:5]), "[200 503 200 200 200]")
		var order []string
		for _, r := range p.Requests() {
			order = append(order, r.Header.Get("x-number"))
		}
		proxytest.Same(t, "order", strings.Join(order, " "), "0 3 2 4")
	})
}

// TestQueueInViews: every view has how long a request waited for its turn.
func TestQueueInViews(t *testing.T) {
	for _, tt := range []struct {
		fields []string
		grpc   string
		status int
	}{{nil, "", 503}, {call, "14", 200}} {
		x, _ := occupied(t, proxytest.H1C, proxytest.H1C, 1, queueing(1), func(s *proxytest.Settings) { s.Route.Queue.MaxWait = time.Millisecond })
		o := x.Ask("POST", nil, tt.fields...)
		o.Want(t, tt.status, "UO", "")
		proxytest.Same(t, "grpc-status", o.Header.Get("grpc-status"), tt.grpc)
		proxytest.Same(t, "retry-after", o.Header.Get("retry-after"), "1")
		proxytest.Reason(t, "reason", o.Hop.Failure.Reason, "in the queue")
		proxytest.Same(t, "it waited", o.Hop.Queued >= time.Millisecond, true)
	}
}

// TestQueueEndsWithTheClient: a request that waits for its turn ends when its client goes
// away, and nobody has its place.
func TestQueueEndsWithTheClient(t *testing.T) {
	proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
		x, free := occupied(t, down, up, 1, queueing(1), proxytest.AbortOnClose)
		ctx, leave := context.WithCancel(t.Context())
		r, trace := x.NewRequest(ctx, "GET", nil)
		left := make(chan struct{})
		go func() {
			defer close(left)
			if response, err := x.HTTP.Do(r); err == nil {
				proxytest.Finish(response)
			}
		}()
		awaitQueue(x, 1)
		leave()
		<-left
		h := x.Hop(trace)
		proxytest.Same(t, "origin", h.Failure.Origin, hop.OriginDownstream)
		proxytest.Same(t, "attempts", len(h.Attempts), 0)
		proxytest.Same(t, "waiting", x.Scrape().Sum("hopscope_route_requests_waiting"), 0)
		free()
		proxytest.Same(t, "status of the next", ask(x), 200)
	})
}
