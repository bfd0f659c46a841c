package cluster_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/http1"
	"github.com/hopscope/hopscope/proxy/netio"
	"github.com/hopscope/hopscope/proxy/upstream"
)

func newCluster(t *testing.T, name string, addresses ...string) *cluster.Cluster {
	t.Helper()
	c := cluster.New(name, addresses, upstream.Options{
		ConnectTimeout: time.Second, IdleTimeout: time.Minute, MaxConnections: 8, MaxPending: 8, MaxIdle: 8,
		Head: http1.Limits{HeadBytes: 8 << 10, Fields: 100},
	}, netio.NewShared())
	t.Cleanup(c.Group.Close)
	return c
}

// Endpoints take turns, in the order of the configuration.
func TestPickTakesTurns(t *testing.T) {
	for _, addresses := range [][]string{{"a:1"}, {"a:1", "b:2"}, {"c:3", "a:1", "b:2", "a:1"}} {
		c := newCluster(t, "web", addresses...)
		for i := range 3 * len(addresses) {
			e, err := c.Pick()
			if err != nil {
				t.Fatal(err)
			}
			if want := addresses[i%len(addresses)]; e.Address != want {
				t.Errorf("%v: pick %d is %s, want %s", addresses, i, e.Address, want)
			}
		}
		var got []string
		for _, e := range c.Endpoints() {
			got = append(got, e.Address)
		}
		if !slices.Equal(got, addresses) {
			t.Errorf("endpoints %v, want %v", got, addresses)
		}
	}
}

func TestPickFromNothing(t *testing.T) {
	c := newCluster(t, "web")
	for range 2 {
		e, err := c.Pick()
		if e != nil || fault.Of(err).Kind != fault.NoHealthy || !strings.Contains(err.Error(), "cluster web") {
			t.Errorf("%v, %v: want a failure that names the cluster", e, err)
		}
	}
}

// A cluster keeps its own list.
func TestClusterIsImmutable(t *testing.T) {
	addresses := []string{"a:1", "b:2"}
	c := newCluster(t, "web", addresses...)
	addresses[0] = "x:9"
	if e, err := c.Pick(); err != nil || e.Address != "a:1" {
		t.Errorf("%v, %v", e, err)
	}
	states := c.Group.Endpoints()
	if len(states) != 2 || c.Name != "web" || c.Group.Name != "web" {
		t.Errorf("group %s of %v", c.Group.Name, states)
	}
}

// However many pick at once, everyone's turn comes as often.
func TestPickIsFairToAll(t *testing.T) {
	const goroutines, each = 8, 300
	c := newCluster(t, "web", "a:1", "b:2", "c:3")
	var mu sync.Mutex
	picked := map[string]int{}
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			own := map[string]int{}
			for range each {
				e, err := c.Pick()
				if err != nil {
					t.Error(err)
					return
				}
				own[e.Address]++
			}
			mu.Lock()
			defer mu.Unlock()
			for address, n := range own {
				picked[address] += n
			}
		})
	}
	wg.Wait()
	want := goroutines * each / 3
	if fmt.Sprint(picked) != fmt.Sprint(map[string]int{"a:1": want, "b:2": want, "c:3": want}) {
		t.Errorf("picked %v, want %d each", picked, want)
	}
}
