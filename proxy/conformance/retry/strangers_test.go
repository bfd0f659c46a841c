package retry_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// envoys are fields of Envoy's own, of which there are more than the proxy knows.
var envoys = []string{
	"x-envoy-internal: true", "x-envoy-external-address: 198.51.100.1", "x-envoy-original-path: /admin", "x-envoy-attempt-count: 9",
	"x-envoy-force-trace: 1", "x-envoy-expected-rq-timeout-ms: 9000", "x-envoy-decorator-operation: x", "x-envoy-ip-tags: office",
	"x-envoy-downstream-service-cluster: web", "x-envoy-downstream-service-node: n", "x-envoy-upstream-alt-stat-name: x",
	"x-envoy-upstream-rq-timeout-alt-response: 1", "x-envoy-upstream-stream-duration-ms: 9", "x-envoy-original-dst-host: 127.0.0.1:1",
	"X-Envoy-Peer-Metadata: x", "x-envoy-ratelimited: true", "x-envoy-hedge-on-per-try-timeout: true", "x-envoy-something-new: x",
	"x-envoy-retry-on: 5xx", "x-envoy-retry-grpc-on: internal", "x-envoy-max-retries: 63",
	"x-envoy-upstream-rq-timeout-ms: 1", "x-envoy-upstream-rq-per-try-timeout-ms: 1",
}

// expected is a field that the proxy itself writes.
const expected = "X-Envoy-Expected-Rq-Timeout-Ms"

// TestEnvoysFieldsOfStrangers: nothing that a stranger says in Envoy's words reaches an
// endpoint or has an effect, whatever protocol it speaks, but for how long it waits. Who is
// trusted is passed on.
func TestEnvoysFieldsOfStrangers(t *testing.T) {
	proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
		p := proxytest.StartScript(t, up, 1, proxytest.Respond(503))
		x := p.Start(down, up, func(s *proxytest.Settings) { s.Listener.TrustedCallers = nil })
		x.Ask("GET", nil, envoys...).Want(t, 503, "", "503")
		got := p.Requests()[0]
		if names := got.Said(); !slices.Equal(names, []string{expected}) {
			t.Errorf("the endpoint got %q", names)
		}
		if left, err := strconv.Atoi(got.Header.Get(expected)); err != nil || left >= 9000 {
			t.Errorf("the endpoint is told %q of the 9 s that the stranger waits, and not less", got.Header.Get(expected))
		}

		p = proxytest.StartScript(t, up, 1, proxytest.Respond(200))
		p.Start(down, up).Ask("GET", nil, "x-envoy-internal: true", "x-envoy-something-new: x").Want(t, 200, "", "200")
		if names := p.Requests()[0].Said(); len(names) != 3 {
			t.Errorf("the endpoint got %q from a caller that is trusted", names)
		}
	})
}

// TestStrangersEjectNobody: an endpoint is not ejected because a stranger does not wait for
// it, and is because a trusted caller does not.
func TestStrangersEjectNobody(t *testing.T) {
	proxytest.NoLeaks(t)
	for _, trusted := range []bool{false, true} {
		p := proxytest.StartWithViews(t, proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
			p.ReadHead()
			p.ReadRest() // and never answers
		}), func(s *proxytest.Settings) {
			s.Cluster.Outlier = config.NewOutlier()
			s.Cluster.Outlier.ConsecutiveLocalOrigin, s.Cluster.Outlier.SplitLocalOrigin, s.Cluster.Outlier.MaxEjectedPercent = 1, true, 100
			if !trusted {
				s.Listener.TrustedCallers = nil
			}
		})
		r := proxytest.Ask(t, p.Ingress(), "GET / HTTP/1.1\r\nHost: web.test\r\nX-Envoy-Expected-Rq-Timeout-Ms: 20\r\n\r\n")
		proxytest.Same(t, "status", r.StatusCode, 504)
		ejected := func() bool { return p.Scrape().Sum("hopscope_endpoints_ejected") > 0 }
		if trusted {
			proxytest.Eventually(t, "the ejection", ejected)
		} else {
			proxytest.Same(t, "it is ejected", ejected(), false)
		}
	}
}

// TestTerminatorsLendNoTrust: a request that came to a trusted address from elsewhere
// is a stranger's.
func TestTerminatorsLendNoTrust(t *testing.T) {
	proxytest.NoLeaks(t)
	p := proxytest.StartScript(t, proxytest.H1C, 1, proxytest.Respond(200))
	x := p.Start(proxytest.H1C, proxytest.H1C, func(s *proxytest.Settings) {
		s.Listener.TrustedCallers = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
		s.Listener.Forwarded.XForwarded = "replace" // after it was looked at
	})
	for i, tt := range []struct {
		field   string
		trusted bool
	}{
		{"accept: */*", true},
		{"x-forwarded-for: 127.0.0.1, 10.1.2.3", true},
		{"x-forwarded-for: 203.0.113.9", false},
		{"x-forwarded-for: 203.0.113.9, 127.0.0.1", false},
		{"x-forwarded-for: 127.0.0.1, 203.0.113.9", false},
		{"x-forwarded-for: unknown", false},
		{"x-real-ip: 203.0.113.9", false},
		{`forwarded: for="203.0.113.9:80";proto=https`, false},
		{"forwarded: proto=https", true},
	} {
		x.Ask("GET", nil, tt.field, "x-envoy-internal: true").Want(t, 200, "", "200")
		if got := p.Requests()[i]; got.Header.Get("X-Envoy-Internal") == "true" != tt.trusted {
			t.Errorf("%s: %q", tt.field, got.Said())
		}
	}
}

// TestCallersStayWithinTheRoute: a trusted caller may ask for fewer attempts and less
// time than the route has, and not for more.
func TestCallersStayWithinTheRoute(t *testing.T) {
	for _, tt := range []struct {
		name, fields, tries string
		policy              bool
	}{
		{"as many as a policy has", "x-envoy-max-retries: 63", "503 503", true},
		{"fewer", "x-envoy-max-retries: 0", "503", true},
		{"as many as there may be without a policy", "x-envoy-retry-on: 5xx, x-envoy-max-retries: 63", "503 503 503", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			proxytest.NoLeaks(t)
			x := proxytest.StartScript(t, proxytest.H1C, 2, proxytest.Respond(503)).Start(proxytest.H1C, proxytest.H1C, func(s *proxytest.Settings) {
				if tt.policy {
					s.Cluster.Retry = proxytest.Retrying(2, "gateway-error")
				}
			})
			if o := x.Ask("GET", nil, strings.Split(tt.fields, ", ")...); proxytest.Attempts(o.Hop) != tt.tries {
				t.Errorf("attempts %q, want %q", proxytest.Attempts(o.Hop), tt.tries)
			}
		})
	}
	t.Run("what is retried", func(t *testing.T) {
		proxytest.NoLeaks(t)
		x := proxytest.StartScript(t, proxytest.H1C, 2, proxytest.Respond(503)).Start(proxytest.H1C, proxytest.H1C, func(s *proxytest.Settings) { s.Cluster.Retry = proxytest.Retrying(2, "reset") })
		x.Ask("GET", nil, "x-envoy-retry-on: 5xx").Want(t, 503, "", "503")
	})
	for _, asked := range []string{"0", "60000"} {
		t.Run("time "+asked, func(t *testing.T) {
			proxytest.NoLeaks(t)
			p := proxytest.StartScript(t, proxytest.H1C, 1, proxytest.Respond(200))
			x := p.Start(proxytest.H1C, proxytest.H1C, func(s *proxytest.Settings) {
				s.Cluster.Retry, s.Route.Timeout = perTry(proxytest.Retrying(2, "5xx"), 7*time.Second), 9*time.Second
			})
			x.Ask("GET", nil, "x-envoy-upstream-rq-timeout-ms: "+asked, "x-envoy-upstream-rq-per-try-timeout-ms: "+asked).Want(t, 200, "", "200")
			if told := p.Requests()[0].Header.Get("X-Envoy-Expected-Rq-Timeout-Ms"); told != "7000" {
				t.Errorf("it has %s ms for an attempt, want the route's", told)
			}
		})
	}
	t.Run("all of the time", func(t *testing.T) {
		proxytest.NoLeaks(t)
		p := proxytest.StartScript(t, proxytest.H1C, 1, proxytest.Respond(200))
		x := p.Start(proxytest.H1C, proxytest.H1C, func(s *proxytest.Settings) { s.Route.Timeout = 9 * time.Second })
		x.Ask("GET", nil, "x-envoy-upstream-rq-timeout-ms: 60000").Want(t, 200, "", "200")
		var told int
		if fmt.Sscan(p.Requests()[0].Header.Get("X-Envoy-Expected-Rq-Timeout-Ms"), &told); told < 1 || told > 9000 {
			t.Errorf("it has %d ms, want the route's 9000", told)
		}
	})
}
