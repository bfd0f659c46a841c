package cluster

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hopscope/hopscope/discovery"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/upstream"
)

// What requests of one priority have under way takes nothing from those of the other.
func TestPrioritiesAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFed(t, Options{High: Limits{MaxRequests: 2, MaxRetries: 2}}) // 8 and 1 for others
		for _, tt := range []struct {
			of                Priority
			requests, retries int
			raise             string
		}{{Default, 8, 1, "raise circuit_breaker.max_requests"}, {High, 2, 2, "2 requests of high priority under way, as many as its circuit breaker lets through; raise circuit_breaker.high.max_requests"}} {
			for range tt.requests {
				if err := r.Enter(tt.of); err != nil {
					t.Errorf("%v: %v", tt.of, err)
				}
			}
			if err := r.Enter(tt.of); fault.Of(err).Kind != fault.Overflow || !strings.Contains(err.Error(), tt.raise) {
				t.Errorf("%v: one too many: %v", tt.of, err)
			}
			for range tt.retries {
				if !r.EnterRetry(tt.of, nil, 0) {
					t.Errorf("%v: a retry was refused", tt.of)
				}
			}
			if r.EnterRetry(tt.of, nil, 0) {
				t.Errorf("%v: one retry too many", tt.of)
			}
			want := Traffic{int64(tt.requests), int64(tt.retries), uint64(tt.retries), 1, 1}
			if got := r.Traffic(tt.of); got != want {
				t.Errorf("%v: %+v, want %+v", tt.of, got, want)
			}
		}
		r.Leave(High)
		r.LeaveRetry(High)
		if r.Enter(Default) == nil || r.EnterRetry(Default, nil, 0) || r.Enter(High) != nil || !r.EnterRetry(High, nil, 0) {
			t.Error("the room that an important request leaves is for the next important one")
		}
	})
}

// A budget that ordinary requests have used up is there for important ones.
func TestBudgetOfEachPriority(t *testing.T) {
	c := newCluster(t, "a:1")
	b := &Budget{Percent: 20, Min: 3}
	spend := func(p Priority) (n int) {
		for c.EnterRetry(p, b, time.Second) {
			c.LeaveRetry(p)
			n++
		}
		return n
	}
	b.Deposit(High) // a fifth of a retry
	if first, again, high := spend(Default), spend(Default), spend(High); first != 3 || again != 0 || high != 3 {
		t.Errorf("%d ordinary retries, then %d, and %d important ones; want 3, 0 and 3", first, again, high)
	}
	for range 5 {
		b.Deposit(High)
	}
	if ordinary, high := spend(Default), spend(High); ordinary != 0 || high != 1 {
		t.Errorf("after five important requests: %d ordinary retries and %d important ones; want 0 and 1", ordinary, high)
	}
}

// Each priority has an endpoint's connections for itself, the high one when it is first asked
// for, and both go with the endpoint, also if that was picked before.
func TestConnectionsOfEachPriority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFed(t, Options{})
		r.found("a:1", "b:1")
		a, b := r.endpoint("a:1"), r.endpoint("b:1")
		if a.Of(Default) != a.Endpoint || len(r.Connections(High).Endpoints()) != 0 {
			t.Error("there are connections for important requests before there is one")
		}
		high := a.Of(High)
		if high == a.Endpoint || a.Of(High) != high || high.Address != "a:1" || len(r.Connections(High).Endpoints()) != 1 {
			t.Errorf("%s of %v", high.Address, r.Connections(High).Endpoints())
		}
		next := r.replaced(nil)
		if next.endpoint("a:1").Of(High) != high {
			t.Error("the cluster in its place has another pool")
		}
		r.Close()
		next.found("c:1")
		if !high.State().Removed || !b.Of(High).State().Removed || len(next.Connections(High).Endpoints()) != 0 {
			t.Errorf("what was removed is still there: %v", next.Connections(High).Endpoints())
		}
		if c := next.endpoint("c:1"); c.Of(High).State().Removed {
			t.Error("a new endpoint is taken for one that was removed")
		}
	})
}

// However many first important requests come at once, they share one pool.
func TestFirstImportantRequests(t *testing.T) {
	c := newCluster(t, "a:1")
	e := c.endpoints["a:1"]
	var one atomic.Pointer[upstream.Endpoint]
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if got := e.Of(High); !one.CompareAndSwap(nil, got) && one.Load() != got {
				t.Error("two pools of one endpoint")
			}
		})
	}
	wg.Go(func() { c.update(discovery.Update{Endpoints: at("b:1")}) })
	wg.Wait()
	if all := c.Connections(High).Endpoints(); len(all) != 0 || !e.Of(High).State().Removed {
		t.Errorf("the removed endpoint is still there: %v", all)
	}
}
