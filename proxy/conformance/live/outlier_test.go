package live_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// An endpoint that answers 500 to half its requests is ejected, and comes back when it
// is well.
func TestLiveEjectsAndTakesBack(t *testing.T) {
	proxytest.NoLeaks(t)
	for _, tt := range []struct {
		name, more, reason string
		retried            bool // the clients see nothing of it
	}{
		{"by failures in a row", ", outlier: {interval: 1s, base_ejection: 1s, success_rate: {enabled: false}}", "consecutive_5xx", false},
		{"by its rate of success", ", outlier: {consecutive_5xx: 0, interval: 1s, base_ejection: 1s}, retry: {on: [5xx], attempts: 3, budget: {min: 100}}", "success_rate", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			consul := startAgent(t, backends.ConsulOptions{})
			b := startBackends(t, 5)
			consul.add(b...)
			l := startLive(t, 5, consul.web(tt.more))
			l.begin("GET")
			sick := b[0]
			sick.failing.Store(50)
			var out cluster.EndpointStatus
			l.becomes("ejected", func(s cluster.Status) bool {
				out = endpointOf(s, sick.address)
				return out.Ejected
			})
			t.Logf("ejected after %d failures of %d requests: %s", sick.failed.Load(), sick.got.Load(), out.Why)
			if out.Health != "unhealthy" || out.Why == "" || out.Until == nil {
				t.Errorf("the admin API does not tell: %+v", out)
			}
			sick.failing.Store(0)
			l.becomes("taken back", func(s cluster.Status) bool { return !endpointOf(s, sick.address).Ejected })
			// Its share may differ while a busy machine runs one endpoint and not another.
			proxytest.Eventually(t, "one of five endpoints getting a fifth of a thousand requests", func() bool {
				share := shares(l.load.more(1000))[sick.address]
				t.Logf("taken back, it gets %.2f of the requests", share)
				return share > 0.15 && share < 0.25
			})
			l.checkEjection(sick, tt.reason)
			if tt.retried {
				l.faultless()
				return
			}
			all := l.load.end()
			failed := l.failures(all)
			proxytest.Same(t, "requests that failed", len(failed), int(sick.failed.Load()))
			for _, o := range failed {
				h := l.record(o)
				if h == nil || h.Status != 500 || h.Failure.Origin != hop.OriginEndpoint || h.LastAttempt().Endpoint != sick.address {
					t.Errorf("not a failure of %s: %s", sick.address, l.tell(o))
				}
			}
			l.counted(map[string]int{"200 ": len(all) - len(failed), "500 ": len(failed)})
		})
	}
}

// checkEjection looks for the ejection, and its end, in log and metrics.
func (l *live) checkEjection(b *backend, reason string) {
	l.T.Helper()
	m := l.Scrape()
	for _, event := range []string{"ejected", "unejected"} {
		if m.Sum("hopscope_outlier_events_total", "cluster", "web", "event", event, "reason", reason) == 0 {
			l.T.Errorf("no endpoint was %s by %s, as metrics say", event, reason)
		}
	}
	for _, words := range []string{"endpoint ejected", "endpoint back"} {
		if !strings.Contains(l.Said.String(), `msg="`+words+`" cluster=web endpoint=`+b.address+" reason="+reason) {
			l.T.Errorf("the log does not say: %s, for %s", words, reason)
		}
	}
}

// An endpoint that becomes ten times slower loses its traffic under peak EWMA, and gets
// it back when it is as fast as the others.
func TestLiveSlowEndpoint(t *testing.T) {
	proxytest.NoLeaks(t)
	consul := startAgent(t, backends.ConsulOptions{})
	b := startBackends(t, 4)
	const normal = 20 * time.Millisecond // more than the usual noise of a busy machine
	for _, each := range b {
		each.slow.Store(int64(normal))
	}
	consul.add(b...)
	l := startLive(t, 4, consul.web(", balance: {policy: peak_ewma, decay: 1s}"))
	l.begin("GET")
	slow := b[0]
	// share waits until the endpoint's share of the latest thousand is as wanted.
	share := func(what string, wanted func(share float64) bool) {
		t.Helper()
		from, last := l.load.now(), 0.0
		proxytest.Eventually(t, what, func() bool {
			all := l.load.since(from)
			if len(all) < 1000 {
				return false
			}
			last = shares(all[len(all)-1000:])[slow.address]
			return wanted(last)
		})
		t.Logf("%s: %.1f %% of 1,000 requests after %s", what, 100*last, (l.load.now() - from).Round(10*time.Millisecond))
	}
	usual := func(share float64) bool { return share > 0.15 }
	share("one of four", usual)
	slow.slow.Store(int64(10 * normal))
	share("ten times slower", func(share float64) bool { return share < 0.08 })
	slow.slow.Store(int64(normal))
	share("as fast as the others", usual)
	l.faultless()
}
