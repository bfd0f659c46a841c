package views_test

import (
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// sending drives a row with a request.
func sending(request ...string) func(l *proxytest.Proxy) *http.Response {
	return func(l *proxytest.Proxy) *http.Response { return proxytest.Ask(l.T, l.Ingress(), request...) }
}

// silent is an endpoint that reads a head, sends text, and then nothing until
// the connection ends.
func silent(text string) func(testing.TB) string {
	return func(t testing.TB) string {
		return proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
			if _, err := p.TryReadHead(); err == nil {
				p.Send(text)
				p.ReadRest()
			}
		})
	}
}

// answeredRows are those where the endpoint's answer is what the client gets.
func answeredRows() []row {
	fresh := func(t testing.TB) string { // serves two requests on the first connection, but answers one
		return proxytest.Endpoint(t, func(n int, p *proxytest.Peer) {
			for i := 0; i < 2; i++ {
				if _, err := p.TryReadHead(); err != nil || n == 0 && i == 1 {
					return
				}
				p.Send(proxytest.OKResponse)
			}
		})
	}
	again := func(l *proxytest.Proxy) *http.Response {
		p := proxytest.Dial(l.T, l.Ingress())
		defer p.Close()
		p.Send(proxytest.OtherRequest)
		p.ReadResponse("GET")
		p.Send(proxytest.RowRequest)
		r, _ := p.ReadResponse("GET")
		return r
	}
	return []row{
		{
			name: "answered 200", drive: proxytest.Get,
			status: 200, tries: []try{{status: 200}},
		},
		{
			name: "answered 404", drive: proxytest.Get, endpoint: proxytest.Always("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
			status: 404, tries: []try{{status: 404, failed: "404"}},
		},
		{
			name: "answered 500", drive: proxytest.Get, endpoint: proxytest.Always("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"),
			status: 500, failed: "500", origin: "endpoint", hop: "front", reason: "answered 500 Internal Server Error",
			tries: []try{{status: 500, failed: "500"}},
		},
		{
			name: "answered 502 in a chunked body", drive: proxytest.Get,
			endpoint: proxytest.Always("HTTP/1.1 502 Bad Gateway\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n"),
			status:   502, failed: "502", origin: "endpoint", hop: "front", reason: "answered 502 Bad Gateway",
			tries: []try{{status: 502, failed: "502"}},
		},
		{
			name: "failure made by a proxy behind this one", drive: proxytest.Get,
			endpoint: func(t testing.TB) string {
				return proxytest.StartWithViews(t, proxytest.RefusingAddress(t), func(s *proxytest.Settings) { s.Config.Service = "inner" }).Ingress()
			},
			status: 503, failed: "503", origin: "relayed", hop: "inner", reason: "connection refused",
			tries: []try{{status: 503, failed: "503"}},
		},
		{
			name: "answered by another proxy that says so", drive: proxytest.Get,
			endpoint: proxytest.Always("HTTP/1.1 504 Gateway Timeout\r\nProxy-Status: edge.example;error=http_response_timeout;details=\"no luck\"\r\nContent-Length: 0\r\n\r\n"),
			status:   504, failed: "504", origin: "relayed", hop: "edge.example", reason: "no luck",
			tries: []try{{status: 504, failed: "504"}},
		},
		{
			name: "answered early, and the request's content not read", drive: func(l *proxytest.Proxy) *http.Response {
				p := proxytest.Dial(l.T, l.Ingress())
				defer p.Close()
				p.Send("PUT /row HTTP/1.1\r\nHost: web.test\r\nContent-Length: 100\r\n\r\npart")
				r, _ := p.ReadResponse("PUT")
				return r
			},
			endpoint: proxytest.Always("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
			method:   "PUT", status: 413, tries: []try{{status: 413, failed: "413"}},
		},
		{
			name: "stale connection retried", drive: again, endpoint: fresh, before: 1,
			status: 200, tries: []try{{flags: "UC", failed: "connection_terminated"}, {status: 200}},
		},
		{
			name: "unknown method", drive: sending("BREW /row HTTP/1.1\r\nHost: web.test\r\n\r\n"),
			method: "_OTHER", status: 200, tries: []try{{status: 200}},
		},
	}
}

// refused is a row for a request that the proxy does not take.
func refused(name string, kind fault.Kind, status int, flags, why string, request ...string) row {
	return row{
		name: name, kind: kind, drive: sending(request...),
		status: status, flags: flags, error: "http_request_error", origin: "downstream", hop: "client", reason: why,
		nowhere: true, untimed: true,
	}
}

// clientRows are the failures that the client makes.
func clientRows() []row {
	rows := []row{
		refused("no HTTP", fault.BadRequest, 400, "DPE", "request line", "hello there\r\n\r\n"),
		refused("TLS to a plain port", fault.BadRequest, 400, "DPE", "TLS handshake", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n"),
		refused("no Host", fault.BadRequest, 400, "DPE", "no Host", "GET /row HTTP/1.1\r\n\r\n"),
		refused("Content-Length and Transfer-Encoding", fault.BadFraming, 400, "DPE", "both Content-Length and Transfer-Encoding",
			"POST /row HTTP/1.1\r\nHost: web.test\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
		refused("two lengths", fault.BadFraming, 400, "DPE", "Content-Length",
			"POST /row HTTP/1.1\r\nHost: web.test\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
		refused("obs-fold", fault.BadHeader, 400, "IH", "obs-fold", "GET /row HTTP/1.1\r\nHost: web.test\r\nX-A: b\r\n c\r\n\r\n"),
		refused("space before a colon", fault.BadHeader, 400, "IH", "space before the colon", "GET /row HTTP/1.1\r\nHost : web.test\r\n\r\n"),
		refused("fields too many", fault.HeaderTooLarge, 431, "IH", "more than 100 fields",
			"GET /row HTTP/1.1\r\nHost: web.test\r\n"+strings.Repeat("X-A: b\r\n", 100)+"\r\n"),
		refused("head too large", fault.HeaderTooLarge, 431, "IH", "longer than 61440 bytes",
			"GET /row HTTP/1.1\r\nHost: web.test\r\nX-A: "+strings.Repeat("b", 60<<10)+"\r\n\r\n"),
		refused("request line too long", fault.URITooLong, 414, "DPE", "request line",
			"GET /row"+strings.Repeat("y", 60<<10)+" HTTP/1.1\r\nHost: web.test\r\n\r\n"),
		refused("another coding", fault.NotImplemented, 501, "DPE", "Transfer-Encoding",
			"POST /row HTTP/1.1\r\nHost: web.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
		refused("another version", fault.VersionUnsupported, 505, "DPE", "version", "GET /row HTTP/3.0\r\nHost: web.test\r\n\r\n"),
		refused("head stalls", fault.RequestTimeout, 408, "SI", "did not arrive within", "GET /row HTTP/1.1\r\nHo"),
	}
	foreign := refused("another protocol's name", fault.NotHTTP, 0, "DPE", "what came is not HTTP")
	foreign.error, foreign.drive = "", func(l *proxytest.Proxy) *http.Response {
		p := proxytest.Dial(l.T, l.Ingress())
		defer p.Close()
		p.Send("GET /row RTSP/1.0\r\nHost: web.test\r\n\r\n")
		p.ReadRest() // in whichever way that ends
		return nil
	}
	rows = append(rows, foreign)
	for i := range rows {
		r := &rows[i]
		if r.status >= 500 {
			r.failed = "http_request_error"
		}
		switch r.name {
		case "no HTTP", "TLS to a plain port", "request line too long", "HTTP/2 preface":
			r.method = "_OTHER"
		case "Content-Length and Transfer-Encoding", "two lengths", "another coding":
			r.method = "POST"
		case "head stalls":
			r.change = func(s *proxytest.Settings) { s.Listener.RequestHeadTimeout = proxytest.Soon }
		}
	}
	return append(rows, goneRows()...)
}

// goneRows are those where the client gives up, or sends what it should not,
// after its head was understood.
func goneRows() []row {
	gone := row{
		kind: fault.ClientClosed, flags: "DC", origin: "downstream", hop: "client", reason: "the client closed the connection",
		tries: []try{{flags: "DC"}}, change: proxytest.AbortOnClose,
	}
	inHead, before, within, inBody := gone, gone, gone, gone

	inHead.name, inHead.nowhere, inHead.untimed, inHead.tries = "client gone within its head", true, true, nil
	inHead.drive = func(l *proxytest.Proxy) *http.Response {
		p := proxytest.Dial(l.T, l.Ingress())
		p.Send("GET /row HTTP/1.1\r\nHo")
		p.AwaitRead()
		p.Close()
		return nil
	}

	before.name = "client gone before the response"
	asked := make(chan struct{})
	before.endpoint = func(t testing.TB) string {
		return proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
			p.ReadHead()
			close(asked)
			p.ReadRest()
		})
	}
	before.drive = func(l *proxytest.Proxy) *http.Response {
		p := proxytest.Dial(l.T, l.Ingress())
		p.Send(proxytest.RowRequest)
		<-asked
		p.Close()
		return nil
	}

	within.name, within.status, within.tries = "client gone within the response", 200, []try{{status: 200, flags: "DC"}}
	within.endpoint = silent("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart")
	within.drive = func(l *proxytest.Proxy) *http.Response {
		p := proxytest.Dial(l.T, l.Ingress())
		p.Send(proxytest.RowRequest)
		r, err := http.ReadResponse(p.Reader, nil)
		if err != nil {
			l.T.Fatal(err)
		}
		p.Close()
		return r
	}

	failure := within // the one that it did not stay to hear of to its end
	failure.name, failure.status, failure.failed = "client gone within a failure", 500, "500"
	failure.origin, failure.hop, failure.reason = "endpoint", "front", "answered 500"
	failure.tries = []try{{status: 500, flags: "DC", failed: "500"}}
	failure.endpoint = silent("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 100\r\n\r\npart")

	inBody.name, inBody.method = "client gone within its content", "POST"
	inBody.endpoint = silent("")
	inBody.drive = func(l *proxytest.Proxy) *http.Response {
		p := proxytest.Dial(l.T, l.Ingress())
		p.Send("POST /row HTTP/1.1\r\nHost: web.test\r\nContent-Length: 100\r\n\r\npart")
		p.AwaitRead()
		p.Close()
		return nil
	}

	stalls := gone
	stalls.name, stalls.kind, stalls.method = "content stalls", fault.RequestIdle, "POST"
	stalls.status, stalls.flags, stalls.error, stalls.reason = 408, "SI", "http_request_error", "the client moved no byte"
	stalls.tries = []try{{}}
	stalls.endpoint = silent("")
	stalls.change = func(s *proxytest.Settings) { s.Listener.StreamIdleTimeout = proxytest.Soon }
	stalls.drive = sending("POST /row HTTP/1.1\r\nHost: web.test\r\nContent-Length: 100\r\n\r\npart")

	chunk := stalls
	chunk.name, chunk.kind, chunk.change = "bad chunk", fault.BadFraming, nil
	chunk.status, chunk.flags, chunk.reason = 400, "DPE", "chunked body"
	chunk.tries = []try{{flags: "DPE"}}
	chunk.drive = sending("POST /row HTTP/1.1\r\nHost: web.test\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")

	trailer := chunk
	trailer.name, trailer.kind, trailer.flags, trailer.reason = "bad trailer", fault.BadHeader, "IH", "trailer field 1"
	trailer.tries = []try{{flags: "IH"}}
	trailer.drive = sending("POST /row HTTP/1.1\r\nHost: web.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX A: b\r\n\r\n")
	return []row{inHead, before, within, failure, inBody, goneFromTheQueue(), stalls, chunk, trailer}
}

// goneFromTheQueue is a client that does not wait for the bad news: what failed
// is still what the proxy found out.
func goneFromTheQueue() row {
	answer := make(chan struct{})
	var socket net.Listener
	return row{
		name: "client gone from the queue, and the endpoint too", kind: fault.ConnectRefused, before: 1, unheard: true,
		endpoint: func(t testing.TB) string {
			var address string
			socket, address = once(t, func(p *proxytest.Peer) {
				p.ReadHead()
				select {
				case <-answer:
				case <-t.Context().Done():
				}
				p.Send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			})
			return address
		},
		change: func(s *proxytest.Settings) { s.Cluster.CircuitBreaker.MaxConnections = 1 },
		drive: func(l *proxytest.Proxy) *http.Response {
			first, second := proxytest.Dial(l.T, l.Ingress()), proxytest.Dial(l.T, l.Ingress())
			first.Send(proxytest.OtherRequest)
			proxytest.Eventually(l.T, "the first request being on its way", func() bool { return l.Scrape().Sum("hopscope_downstream_requests_active") == 1 })
			second.Send(proxytest.RowRequest)
			proxytest.Eventually(l.T, "the second one waiting", func() bool { return l.Scrape().Sum("hopscope_upstream_requests_pending") == 1 })
			second.Reset()
			socket.Close()
			close(answer)
			first.ReadOK()
			first.Close()
			return nil
		},
		status: 503, flags: "UF,DC", error: "connection_refused", failed: "connection_refused",
		origin: "proxy", hop: "front", reason: "connection refused by",
		tries: []try{{flags: "UF", failed: "connection_refused"}},
	}
}

// once is a server of one connection.
func once(t testing.TB, serve func(*proxytest.Peer)) (socket net.Listener, address string) {
	t.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		c, err := socket.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		p := proxytest.NewPeer(t, c)
		p.Fail = t.Errorf
		serve(p)
	})
	t.Cleanup(func() {
		socket.Close()
		wg.Wait()
	})
	return socket, socket.Addr().String()
}

// routingRows are the failures that are made before an endpoint was tried.
func routingRows() []row {
	own := func(name string, kind fault.Kind, status int, flags, errorType, why string) row {
		return row{
			name: name, kind: kind, status: status, flags: flags, error: errorType,
			origin: "proxy", hop: "front", reason: why,
		}
	}
	noRoute := own("no route", fault.NotFound, 404, "NR", "destination_not_found", `no route of listener ingress matches host "web.test" and path "/row"`)
	noRoute.change = func(s *proxytest.Settings) { s.Route.Match.PathPrefix = "/elsewhere" }
	noRoute.drive, noRoute.nowhere = proxytest.Get, true

	tunnel := own("CONNECT where it is not for", fault.NotFound, 404, "NR", "destination_not_found", "CONNECT is for forward proxies")
	tunnel.drive, tunnel.nowhere, tunnel.method = sending("CONNECT web.test:443 HTTP/1.1\r\nHost: web.test:443\r\n\r\n"), true, "CONNECT"

	large := own("too much content", fault.ContentTooLarge, 413, "DPE", "http_request_error", "larger than the 1 bytes")
	large.change = func(s *proxytest.Settings) { s.Route.Body = &config.Body{Max: "1"} }
	large.drive = sending("POST /row HTTP/1.1\r\nHost: web.test\r\nContent-Length: 2\r\n\r\nab")
	large.origin, large.hop, large.method = "downstream", "client", "POST"

	escaped := own("a path of several readings", fault.BadPath, 400, "DPE", "http_request_error", "it has an escaped slash (%2F)")
	escaped.drive = sending("GET /row%2F HTTP/1.1\r\nHost: web.test\r\n\r\n")
	escaped.origin, escaped.hop, escaped.nowhere = "downstream", "client", true

	injected := own("injected", fault.Injected, 503, "FI", "proxy_internal_response", "injects a fault")
	injected.change = func(s *proxytest.Settings) {
		s.Route.Fault = &config.Fault{Abort: &config.FaultAbort{Status: 503, Percent: 100}}
	}
	injected.drive, injected.failed = proxytest.Get, "proxy_internal_response"

	origin := own("origin form to a forward proxy", fault.NotFound, 404, "NR", "destination_not_found", "absolute form")
	origin.drive = func(l *proxytest.Proxy) *http.Response { return proxytest.Ask(l.T, l.Egress(), proxytest.RowRequest) }
	origin.nowhere = true

	denied := own("destination not allowed", fault.Forbidden, 403, "UAEX", "http_request_denied", "may not reach 10.1.2.3:80")
	denied.change = func(s *proxytest.Settings) {
		s.Egress.ForwardProxy.Allow = []config.ForwardAllow{proxytest.Allow(`127.0.0.0/8`, "*.example.com")}
	}
	denied.drive = viaEgress("10.1.2.3")
	denied.route, denied.cluster = "forward", "egress"

	stranger := denied
	stranger.name, stranger.reason = "client not allowed", "no entry of forward_proxy.allow has it"
	stranger.change = func(s *proxytest.Settings) {
		s.Egress.ForwardProxy.Allow = []config.ForwardAllow{proxytest.Allow(`10.0.0.0/8`, "*")}
	}

	metadata := own("address that nobody may reach", fault.ForbiddenAddress, 403, "UAEX", "destination_ip_prohibited", "169.254.169.254, a link-local address")
	metadata.drive = viaEgress("169.254.169.254")
	metadata.route, metadata.cluster = "forward", "egress"

	loop := own("loop", fault.LoopFound, 502, "NR", "proxy_loop_detected", "this forward proxy itself")
	loop.failed = "proxy_loop_detected"
	loop.drive = func(l *proxytest.Proxy) *http.Response { return viaEgress(l.Egress())(l) }
	loop.route, loop.cluster = "forward", "egress"

	https := own("https without CONNECT", fault.BadGateway, 400, "DPE", "http_request_error", "HTTPS_PROXY")
	https.origin, https.hop = "downstream", "client"
	https.drive = func(l *proxytest.Proxy) *http.Response {
		return proxytest.Ask(l.T, l.Egress(), "GET https://web.test/row HTTP/1.1\r\nHost: web.test\r\n\r\n")
	}
	https.nowhere = true

	full := own("connections used up", fault.Overflow, 503, "UO", "connection_limit_reached", "raise max_connections or max_pending")
	full.failed = "connection_limit_reached"
	full.tries, full.before = []try{{flags: "UO", failed: "connection_limit_reached"}}, 1
	full.change = func(s *proxytest.Settings) {
		s.Cluster.CircuitBreaker.MaxConnections, s.Cluster.CircuitBreaker.MaxPending = 1, 0
	}
	full.endpoint, full.drive = occupied()

	crowded := own("route full", fault.RouteOverflow, 503, "UO", "proxy_internal_response", "raise max_requests")
	crowded.failed, crowded.before = "proxy_internal_response", 1
	crowded.change = func(s *proxytest.Settings) { s.Route.MaxRequests = 1 }
	crowded.endpoint, crowded.drive = occupied()

	slowed := own("service at its limit", fault.ConcurrencyLimit, 503, "UO", "proxy_internal_response", "adaptive_concurrency")
	slowed.failed, slowed.before = "proxy_internal_response", 1
	slowed.change = func(s *proxytest.Settings) {
		s.Route.AdaptiveConcurrency = config.NewAdaptiveConcurrency()
		s.Route.AdaptiveConcurrency.MinConcurrency = 1
	}
	slowed.endpoint, slowed.drive = occupied()

	waited := full
	waited.name, waited.reason = "connections used up for as long as it could wait", "became free in time"
	waited.change = func(s *proxytest.Settings) {
		s.Cluster.CircuitBreaker.MaxConnections = 1
		row := s.Route
		row.Match.Path, row.Timeout, row.Name = "/row", 50*time.Millisecond, "default"
		s.Listener.Routes = []config.Route{row}
	}
	waited.endpoint, waited.drive = occupied()
	return []row{noRoute, tunnel, large, escaped, injected, origin, denied, metadata, stranger, loop, https, full, crowded, slowed, waited}
}

// viaEgress asks the forward proxy for a destination.
func viaEgress(authority string) func(l *proxytest.Proxy) *http.Response {
	return func(l *proxytest.Proxy) *http.Response {
		return proxytest.Ask(l.T, l.Egress(), "GET http://"+authority+"/row HTTP/1.1\r\nHost: "+authority+"\r\n\r\n")
	}
}

// occupied is an endpoint that lets its first request wait until the row's own
// has been answered.
func occupied() (func(testing.TB) string, func(*proxytest.Proxy) *http.Response) {
	taken, free := make(chan struct{}), make(chan struct{})
	return func(t testing.TB) string {
			return proxytest.Answering(t, func(string, []string) string {
				close(taken)
				select {
				case <-free:
				case <-t.Context().Done():
				}
				return proxytest.OKResponse
			})
		}, func(l *proxytest.Proxy) *http.Response {
			p := proxytest.Dial(l.T, l.Ingress())
			defer p.Close()
			p.Send(proxytest.OtherRequest)
			<-taken
			r := proxytest.Get(l)
			close(free)
			p.ReadOK()
			return r
		}
}
