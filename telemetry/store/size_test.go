package store

import (
	"runtime"
	"testing"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// ofOrders are shared by the hops of a route.
var ofOrders = &hop.Labels{Service: "orders", Route: "/api/", Cluster: "orders", Slow: time.Second}

// typical is a hop as they are behind a browser: a request with one attempt, without TLS.
func typical(n uint64, failed bool) *hop.Hop {
	h := &hop.Hop{
		Labels: ofOrders, Trace: number(n), Span: hop.SpanID{7: 1}, Parent: hop.SpanID{7: 2}, Start: start, End: 12 * time.Millisecond,
		Method: "GET", Version: hop.HTTP11, Scheme: "http", Status: 200, Client: "10.0.3.17:51234", Peer: "10.0.3.17:51234",
	}
	h.SetString(&h.Host, "orders.shop.svc.cluster.local")
	h.SetString(&h.Path, "/api/orders/8f14e45f/items")
	h.SetString(&h.Query, "page=2&limit=50")
	h.SetString(&h.UserAgent, "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")
	h.SetString(&h.RequestID, "5c0e5fd6-7f4c-4a39-9b2c-8d1f3f0f1a77")
	*h.Attempt() = hop.Attempt{Span: hop.SpanID{7: 3}, Endpoint: "10.0.3.7:8080", Cluster: "orders", Status: 200, End: 11 * time.Millisecond}
	h.Ask("http", h.Bytes(h.Host), h.Bytes(h.Path), h.Bytes(h.Query))
	if failed {
		a := h.LastAttempt()
		h.Status, a.Status, a.ProxyError, a.Flags = 503, 0, "connection_refused", hop.UpstreamConnectionFailure
		a.Reason, a.Evidence = "connection refused by 10.0.3.7:8080", "nobody listens at 10.0.3.7:8080; the last request to it went well 12 s ago"
		h.Flags, h.ProxyError, h.Details = a.Flags, a.ProxyError, "upstream_reset_before_response_started{connection_refused}"
		h.Failure = hop.Failure{
			Origin: hop.OriginProxy, Hop: "orders", Part: hop.PartApplication, Kind: "connect_refused", Caller: "checkout",
			Endpoint: a.Endpoint, Reason: "orders could not connect to 10.0.3.7:8080: connection refused",
		}
	}
	return h
}

// TestBytesAHop prints what the README says: how many typical hops fit into 64 MiB, and how
// much of the heap each takes.
func TestBytesAHop(t *testing.T) {
	const size = 64 << 20
	s := New(size)
	s.sample.budget = size // all
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for n := range uint64(60_000) { // more than both halves take
		s.Observe(typical(n, n%2 == 0))
	}
	stats := s.Stats()
	taken := heap() - before
	t.Logf("%d hops in 64 MiB, %d of them failed: %d bytes each by the store's account, %d of the heap",
		stats.Hops, stats.Notable, stats.Bytes/stats.Hops, taken/uint64(stats.Hops))
	if stats.Bytes > size || stats.Bytes < size*9/10 || stats.Notable == stats.Hops || stats.Evicted == 0 {
		t.Errorf("%+v", stats)
	}
	runtime.KeepAlive(s)
}
