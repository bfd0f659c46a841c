package proxytest_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A test in twenty lines; doc.go shows it.
func TestAnEndpointThatBreaksOff(t *testing.T) {
	proxytest.NoLeaks(t)
	endpoint := proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
		p.ReadHead() // and then it closes the connection
	})
	p := proxytest.StartWithViews(t, endpoint, func(s *proxytest.Settings) {
		s.Cluster.Retry = nil
	})
	response := proxytest.Ask(t, p.Ingress(), "GET / HTTP/1.1\r\nHost: web.test\r\n\r\n")
	proxytest.Same(t, "status", response.StatusCode, 503)
	views := p.End(1) // closes the proxy, after one request
	proxytest.Same(t, "flags in the log", views.Lines[0].Text("flags"), "UC")
	proxytest.Same(t, "counted", views.Metrics.Sum("hopscope_requests_total", "flag", "UC"), 1)
}
