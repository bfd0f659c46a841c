package cluster

import (
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/balance"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/http1"
	"github.com/hopscope/hopscope/proxy/netio"
	"github.com/hopscope/hopscope/proxy/upstream"
)

func newCluster(t *testing.T, addresses ...string) *Cluster {
	t.Helper()
	var endpoints []discovery.Endpoint
	for _, a := range addresses {
		endpoints = append(endpoints, discovery.Endpoint{Address: a, Weight: 1})
	}
	c := New("web", endpoints, Options{
		Limits: Limits{MaxRequests: 8, MaxRetries: 1},
		Upstream: upstream.Options{
			ConnectTimeout: time.Second, IdleTimeout: time.Minute, MaxConnections: 8, MaxPending: 8, MaxIdle: 8,
			Head: http1.Limits{HeadBytes: 8 << 10, Fields: 100},
		},
	}, netio.NewShared())
	t.Cleanup(c.Close)
	return c
}

// Endpoints take turns.
func TestPickTakesTurns(t *testing.T) {
	for _, addresses := range [][]string{{"a:1"}, {"a:1", "b:2"}, {"c:3", "a:1", "b:2"}} {
		c := newCluster(t, addresses...)
		counts := map[string]int{}
		for range 3 * len(addresses) {
			e, err := c.Pick(&balance.Request{})
			if err != nil {
				t.Fatal(err)
			}
			counts[e.Address]++
		}
		for _, a := range addresses {
			if counts[a] != 3 {
				t.Errorf("%v: %v", addresses, counts)
			}
		}
	}
}

func TestPickFromNothing(t *testing.T) {
	c := newCluster(t)
	for range 2 {
		e, err := c.Pick(&balance.Request{})
		if e != nil || fault.Of(err).Kind != fault.NoHealthy || !strings.Contains(err.Error(), "cluster web") {
			t.Errorf("%v, %v: want a failure that names the cluster", e, err)
		}
	}
}

// A circuit breaker lets as many requests in as it may, and each that leaves lets
// another in.
func TestLimits(t *testing.T) {
	c := newCluster(t, "a:1")
	for i := range 10 {
		err := c.Enter()
		if i < 8 && err != nil || i >= 8 && fault.Of(err).Kind != fault.Overflow {
			t.Errorf("request %d: %v", i, err)
		}
	}
	c.Leave()
	if err := c.Enter(); err != nil {
		t.Error(err)
	}
	if !c.EnterRetry(nil, 0) || c.EnterRetry(nil, 0) {
		t.Error("one retry may be under way, and only one")
	}
	c.LeaveRetry()
	if !c.EnterRetry(nil, 0) {
		t.Error("a retry that has left lets another in")
	}
}

// A budget holds retries to a share of the requests.
func TestBudget(t *testing.T) {
	c := newCluster(t, "a:1")
	b := &Budget{Percent: 20, Min: 3}
	now, retries := time.Second, 0
	for range 10_000 {
		b.Deposit()
		now += time.Millisecond
		if c.EnterRetry(b, now) {
			retries++
			c.LeaveRetry()
		}
	}
	// 20 % of 10,000, and 3 for each of 10 seconds and the beginning.
	if retries < 1990 || retries > 2040 {
		t.Errorf("%d retries of 10,000 requests", retries)
	}
}
