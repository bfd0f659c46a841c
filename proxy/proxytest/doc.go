// Package proxytest is the rig for black-box tests of the whole proxy. Only tests
// import it.
//
// It is not a place for what one subject alone needs: such helpers stay beside that
// subject's tests, in proxy/conformance. Reading starts at [Proxy], whose test in
// proxytest_test.go is the shortest there is:
//
//	func TestAnEndpointThatBreaksOff(t *testing.T) {
//		proxytest.NoLeaks(t)
//		endpoint := proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
//			p.ReadHead() // and then it closes the connection
//		})
//		p := proxytest.StartWithViews(t, endpoint, func(s *proxytest.Settings) {
//			s.Cluster.Retry = nil
//		})
//		response := proxytest.Ask(t, p.Ingress(), "GET / HTTP/1.1\r\nHost: web.test\r\n\r\n")
//		proxytest.Same(t, "status", response.StatusCode, 503)
//		views := p.End(1) // closes the proxy, after one request
//		proxytest.Same(t, "flags in the log", views.Lines[0].Text("flags"), "UC")
//		proxytest.Same(t, "counted", views.Metrics.Sum("hopscope_requests_total", "flag", "UC"), 1)
//	}
//
// A test has four kinds of things:
//
//   - A [Proxy], by [Start] (HTTP alone), [StartWithViews] (access log, metrics, spans and
//     the admin API) or [StartYAML]. [Settings] are what a test may change of it.
//   - Clients: a [Peer] sends and reads bytes, a [TLSPeer] encrypted ones, an [HTTP2Peer]
//     frames. A [Client] is net/http's, whose [Outcome] has the Hop of the request.
//   - Endpoints: [Endpoint] has a function a connection, [HTTP2Endpoint] one of frames,
//     [Serve] is net/http's server, and a [Script] acts by turns.
//   - What the proxy shows: [Views] with its [Line], [Span] and [Metrics].
//
// An [Authority] issues the certificates of either side, and a [Side] is a protocol: tests
// of many run for [EachPair] of them.
//
// Nothing here sleeps to wait: [Eventually] asks until something is so, and [Patience]
// ends a test that hangs. Sockets listen on port 0, so tests run side by side, in one
// process or in several.
package proxytest
