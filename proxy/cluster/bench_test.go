package cluster

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/balance"
	"github.com/hopscope/hopscope/proxy/healthcheck"
	"github.com/hopscope/hopscope/proxy/netio"
	"github.com/hopscope/hopscope/proxy/outlier"
)

func sizes(b *testing.B, run func(b *testing.B, n int)) {
	for _, n := range []int{1, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { run(b, n) })
	}
}

func newSized(b testing.TB, n int, o Options) *Cluster {
	o.Upstream = upstreamOptions()
	o.Limits = Limits{MaxRequests: 1 << 20, MaxRetries: 3}
	c := New("web", at(numbered(n)...), o, netio.NewShared())
	b.Cleanup(c.Close)
	return c
}

// BenchmarkRebuild makes a new state of all endpoints.
func BenchmarkRebuild(b *testing.B) {
	sizes(b, func(b *testing.B, n int) {
		o := outlier.Defaults()
		c := newSized(b, n, Options{Outlier: &o})
		b.ReportAllocs()
		for b.Loop() {
			c.mu.Lock()
			c.rebuild()
			c.mu.Unlock()
		}
	})
}

// BenchmarkAllReport has the checks of all endpoints report: the time for each of
// them does not grow with their number.
func BenchmarkAllReport(b *testing.B) {
	sizes(b, func(b *testing.B, n int) {
		c := newSized(b, n, Options{Checker: idleChecks(b)})
		health := healthcheck.Healthy
		for b.Loop() {
			for _, e := range c.order {
				c.checked(e, healthcheck.Report{Health: health, Changed: true})
			}
			health = healthcheck.Healthy + healthcheck.Unhealthy - health
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/report")
	})
}

// BenchmarkMemory reports what an endpoint takes in a cluster of so many.
func BenchmarkMemory(b *testing.B) {
	for _, tt := range []struct {
		name    string
		options func() Options
	}{
		{"plain", func() Options { return Options{} }},
		{"outlier", func() Options { o := outlier.Defaults(); return Options{Outlier: &o} }},
		{"outlier and checks", func() Options { o := outlier.Defaults(); return Options{Outlier: &o, Checker: idleChecks(b)} }},
		{"maglev", func() Options { return Options{Balance: balance.Options{Policy: balance.PolicyMaglev}} }},
	} {
		b.Run(tt.name, func(b *testing.B) {
			const n = 10_000
			endpoints := at(numbered(n)...)
			for b.Loop() {
				before := heap()
				o := tt.options()
				o.Upstream = upstreamOptions()
				c := New("web", endpoints, o, netio.NewShared())
				b.ReportMetric(float64(heap()-before)/n, "B/endpoint")
				c.Close()
			}
		})
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// request is all that a cluster has to do with a request.
func (c *Cluster) request(r *balance.Request) error {
	r.Random += 0x9e3779b97f4a7c15
	r.Now += time.Microsecond
	if err := c.Enter(Default); err != nil {
		return err
	}
	defer c.Leave(Default)
	e, err := c.Pick(r)
	if err != nil {
		return err
	}
	e.Begin(r.Now)
	e.Answer(r.Now, r.Now+100, true)
	e.Note(r.Now+100, outlier.Success)
	e.End()
	return nil
}

func TestRequestAllocatesNothing(t *testing.T) {
	for policy := balance.PolicyRoundRobin; policy <= balance.PolicyPeakEWMA; policy++ {
		o := outlier.Defaults()
		c := newSized(t, 100, Options{Outlier: &o, Balance: balance.Options{Policy: policy}, SlowStart: &SlowStart{Window: time.Hour}})
		var r balance.Request
		if n := testing.AllocsPerRun(1000, func() {
			if err := c.request(&r); err != nil {
				t.Error(err)
			}
		}); n > 0 {
			t.Errorf("%v: %g allocations", policy, n)
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	for _, policy := range []balance.Policy{balance.PolicyRoundRobin, balance.PolicyLeastRequest, balance.PolicyPeakEWMA} {
		b.Run(policy.String(), func(b *testing.B) {
			sizes(b, func(b *testing.B, n int) {
				o := outlier.Defaults()
				c := newSized(b, n, Options{Outlier: &o, Balance: balance.Options{Policy: policy}})
				var r balance.Request
				b.ReportAllocs()
				for b.Loop() {
					if err := c.request(&r); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
