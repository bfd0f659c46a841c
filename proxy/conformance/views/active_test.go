package views_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/telemetry/headers"
)

// underWay is what /hops?active=1 says of a hop.
type underWay struct {
	Service   string `json:"service"`
	Direction string `json:"direction"`
	Path      string `json:"path"`
	WaitsFor  string `json:"waits_for"`
	Endpoint  string `json:"endpoint"`
	Slow      bool   `json:"slow"`
	Attempts  int    `json:"attempts"`
}

// TestARequestIsSeenBeforeItEnds: while a request waits, the admin API shows it with what
// it waits for, and the metrics count it once it is slow. It is gone when it has ended.
func TestARequestIsSeenBeforeItEnds(t *testing.T) {
	const part = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart"
	for _, tt := range []struct {
		name     string
		endpoint func(p *proxytest.Peer)
		request  string
		waits    string
	}{
		{"the first byte", func(p *proxytest.Peer) { p.ReadHead() }, proxytest.RowRequest, "first_byte"},
		{"content", func(p *proxytest.Peer) { p.ReadHead(); p.Send(part) }, proxytest.RowRequest, "content"},
		{"the client's content", func(p *proxytest.Peer) { p.ReadHead() }, "POST /row HTTP/1.1\r\nHost: web\r\nContent-Length: 9\r\n\r\npart", "upload"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			address := proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
				tt.endpoint(p)
				io.Copy(io.Discard, p.Reader)
			})
			l := proxytest.StartWithViews(t, address, func(s *proxytest.Settings) { s.Route.SlowThreshold = time.Millisecond })
			p := proxytest.Dial(t, l.Ingress())
			p.Send(tt.request)
			want := underWay{Service: "front", Direction: "inbound", Path: "/row", WaitsFor: tt.waits, Endpoint: address, Slow: true, Attempts: 1}
			proxytest.Eventually(t, "the request being seen", func() bool {
				var got []underWay
				l.AdminJSON("/hops?active=1", &got)
				return len(got) == 1 && got[0] == want
			})
			proxytest.Same(t, "slow requests", l.Scrape().Sum("hopscope_slow_requests_active", "service", "front", "direction", "inbound"), 1)
			p.Reset()
			proxytest.Eventually(t, "nothing being under way", func() bool {
				var got []underWay
				l.AdminJSON("/hops?active=1", &got)
				return len(got) == 0
			})
			l.End(1)
		})
	}
}

// TestATimeoutSaysWhatIsWaitedFor: a request to a service that ends while the service's own
// call still waits names the service that is called, whether its time is over or its client
// has left.
func TestATimeoutSaysWhatIsWaitedFor(t *testing.T) {
	for _, leaves := range []bool{false, true} {
		t.Run(map[bool]string{false: "timeout", true: "the client leaves"}[leaves], func(t *testing.T) {
			t.Parallel()
			proxytest.Unhurried(t, 200*time.Millisecond, func(t testing.TB, timeout time.Duration) {
				hole := proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) { io.Copy(io.Discard, p.TCPConn) })
				l := chained(t, "shop", hole, time.Minute, func(from, to http.Header) { to.Set("Traceparent", from.Get("Traceparent")) },
					func(s *proxytest.Settings) {
						s.Config.Deadlines.Inherit = false
						if !leaves {
							s.Route.Timeout = timeout
						}
					})
				p := proxytest.Dial(t, l.Ingress())
				p.Send(proxytest.RowRequest)
				if leaves {
					proxytest.Eventually(t, "the call", func() bool {
						var got []underWay
						l.AdminJSON("/hops?active=1", &got)
						return len(got) == 2 && got[1].WaitsFor == "first_byte"
					})
					p.Reset()
				} else {
					r, _ := p.ReadResponse("GET")
					members, _ := headers.ParseProxyStatus([][]byte{[]byte(r.Header.Get("Proxy-Status"))})
					failed, _ := headers.Failure(members)
					proxytest.Same(t, "failed hop", failed.Hop, hole)
					proxytest.Same(t, "its caller", failed.Caller, "shop")
					proxytest.Reason(t, "the reason", failed.Reason, "it has waited for "+hole+" for ")
				}
				p.Close()
				in := l.End(2).By("direction", "inbound")
				proxytest.Reason(t, "the reason in the log", in.Text("failure_reason"), "it has waited for "+hole+" for ")
				if leaves {
					proxytest.Same(t, "failed hop in the log", in.Text("failed_hop"), "client")
				}
			})
		})
	}
}
