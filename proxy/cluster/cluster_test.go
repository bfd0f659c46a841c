package cluster

import (
	"strings"
	"testing"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/balance"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/netio"
)

func newCluster(t *testing.T, addresses ...string) *Cluster {
	t.Helper()
	var endpoints []discovery.Endpoint
	for _, a := range addresses {
		endpoints = append(endpoints, discovery.Endpoint{Address: a, Weight: 1})
	}
	c := New("web", endpoints, Options{
		Limits:   Limits{MaxConnections: 8, MaxPending: 8, MaxRequests: 8, MaxRetries: 1},
		Upstream: upstreamOptions(),
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
