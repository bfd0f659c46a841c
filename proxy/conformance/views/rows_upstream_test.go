package views_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// at is an endpoint of a fixed address.
func at(address string) func(testing.TB) string { return func(testing.TB) string { return address } }

// connectRows are those where no connection to the endpoint came about.
func connectRows() []row {
	unconnected := func(name string, kind fault.Kind, flag, errorType, why string, endpoint func(testing.TB) string) row {
		return row{
			name: name, kind: kind, endpoint: endpoint, drive: proxytest.Get,
			status: 503, flags: flag, error: errorType, failed: errorType, origin: "proxy", hop: "front", reason: why,
			tries: []try{{flags: flag, failed: errorType}},
		}
	}
	slow := unconnected("connect timeout", fault.ConnectTimeout, "UF", "connection_timeout", "did not accept a connection within 50ms", proxytest.DeafAddress)
	slow.change = func(s *proxytest.Settings) { s.Cluster.ConnectTimeout = 50 * time.Millisecond }

	egress := unconnected("connection refused to the forward proxy", fault.ConnectRefused, "UF", "connection_refused", "connection refused by 127.0.0.1:", nil)
	egress.drive = func(l *proxytest.Proxy) *http.Response { return viaEgress(proxytest.RefusingAddress(l.T))(l) }
	egress.route, egress.cluster, egress.hop = "forward", "egress", asked

	tunnel := egress
	tunnel.name, tunnel.route, tunnel.method, tunnel.untimed = "connection refused to a tunnel", "connect", "CONNECT", true
	tunnel.drive = func(l *proxytest.Proxy) *http.Response {
		return proxytest.Ask(l.T, l.Egress(), "CONNECT "+proxytest.RefusingAddress(l.T)+" HTTP/1.1\r\nHost: web.test\r\n\r\n")
	}

	return []row{
		unconnected("connection refused", fault.ConnectRefused, "UF", "connection_refused", "connection refused by 127.0.0.1:", proxytest.RefusingAddress),
		slow,
		unconnected("no way to the endpoint", fault.ConnectUnroutable, "UF", "destination_ip_unroutable", "no route to 255.255.255.255:80", at("255.255.255.255:80")),
		unconnected("connecting fails otherwise", fault.ConnectFailed, "UF", "connection_terminated", "could not connect to [fe80::1]:80", at("[fe80::1]:80")),
		unconnected("no such name", fault.DNSFailed, "DF", "dns_error", "the name of no-such-host.invalid:80 could not be resolved", at("no-such-host.invalid:80")),
		egress, tunnel,
	}
}

// responseRows are those where the endpoint's response fails.
func responseRows() []row {
	closes := func(text string) func(testing.TB) string {
		return func(t testing.TB) string {
			return proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
				p.ReadHead()
				p.Send(text)
			})
		}
	}
	resets := func(text string) func(testing.TB) string {
		return func(t testing.TB) string {
			return proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
				p.ReadHead()
				if text != "" {
					p.Send(text)
					p.Reader.ReadByte() // the client says that it has got that
				}
				p.Reset()
			})
		}
	}
	breaks := func(t testing.TB) string {
		return proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
			p.ReadHead()
			p.Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n")
			p.Reader.ReadByte()
			p.Send("zz\r\n")
			p.ReadRest()
		})
	}
	const part = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart"
	const terminated = "connection_terminated"
	impatient := func(s *proxytest.Settings) { s.Route.Timeout = proxytest.Soon }
	hasty := func(s *proxytest.Settings) {
		s.Route.Retry = &config.Retry{On: []string{"connect-failure"}, Attempts: 2, PerTryTimeout: proxytest.Soon, Backoff: config.RetryBackoff{Base: proxytest.Soon, Max: proxytest.Soon}}
	}
	restless := func(s *proxytest.Settings) { s.Listener.StreamIdleTimeout = proxytest.Soon }
	both := []row{
		{name: "closes", kind: fault.UpstreamClosed, status: 503, flags: "UC", error: terminated, endpoint: closes(""), reason: "closed the connection before it answered"},
		{name: "closes within its head", kind: fault.UpstreamClosed, status: 503, flags: "UC", error: terminated, endpoint: closes("HTTP/1.1 20"), reason: "closed the connection before it answered"},
		{name: "closes within its content", kind: fault.UpstreamClosed, status: 200, flags: "UC", error: terminated, endpoint: closes(part), reason: "closed the connection within its response"},
		{name: "resets", kind: fault.UpstreamReset, status: 503, flags: "UR", error: terminated, endpoint: resets(""), reason: "reset the connection before it answered"},
		{name: "resets within its content", kind: fault.UpstreamReset, status: 200, flags: "UR", error: terminated, endpoint: resets(part), reason: "reset the connection within its response"},
		{name: "speaks no HTTP", kind: fault.UpstreamProtocol, status: 502, flags: "UPE", error: "http_protocol_error", endpoint: proxytest.Always("SSH-2.0-OpenSSH_9.2\r\n\r\n"), reason: "can't be understood"},
		{name: "repeats its length", kind: fault.UpstreamProtocol, status: 502, flags: "UPE", error: "http_protocol_error", endpoint: proxytest.Always("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc"), reason: "Content-Length"},
		{name: "bad chunk", kind: fault.UpstreamProtocol, status: 200, flags: "UPE", error: "http_protocol_error", endpoint: breaks, reason: "chunked body"},
		{name: "bad chunk at once", kind: fault.UpstreamProtocol, status: 502, flags: "UPE", error: "http_protocol_error", endpoint: proxytest.Always("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\nzz\r\n"), reason: "chunked body"},
		{name: "head too large", kind: fault.UpstreamHeader, status: 502, flags: "UPE", error: "http_response_header_section_size", endpoint: proxytest.Always("HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("b", 60<<10) + "\r\n\r\n"), reason: "longer than 61440 bytes"},
		{name: "does not answer in time", kind: fault.UpstreamTimeout, status: 504, flags: "UT", error: "http_response_timeout", endpoint: silent(""), change: impatient, reason: "did not answer within the route's timeout"},
		{name: "does not end in time", kind: fault.UpstreamTimeout, status: 200, flags: "UT", error: "http_response_timeout", endpoint: silent(part), change: impatient, reason: "did not end its response within the route's timeout"},
		{name: "does not answer an attempt in time", kind: fault.PerTryTimeout, status: 504, flags: "UT", error: "http_response_timeout", endpoint: silent(""), change: hasty, reason: "within the 300ms of one attempt"},
		{name: "stalls", kind: fault.UpstreamIdle, status: 504, flags: "SI", error: "http_response_timeout", endpoint: silent(""), change: restless, reason: "sent nothing for 300ms"},
		{name: "stalls within its content", kind: fault.UpstreamIdle, status: 200, flags: "SI", error: "http_response_timeout", endpoint: silent(part), change: restless, reason: "sent nothing for 300ms"},
	}
	for i := range both {
		r := &both[i]
		r.name = "endpoint " + r.name
		r.failed, r.origin, r.hop = r.error, "proxy", "front"
		r.tries, r.drive = []try{{flags: r.flags, failed: r.error}}, proxytest.Get
		if r.name == "endpoint bad chunk at once" { // nothing of the response was sent yet
			r.tries[0].status = 200
		}
		if r.status == 200 {
			r.tries[0].status = 200
			r.drive = askCut
		}
	}
	for _, i := range []int{4, 7} { // these two wait until the client has a part
		both[i].drive = func(l *proxytest.Proxy) *http.Response { return cutAfter(l, "part") }
	}
	return append(both, retriedInVain())
}

// cutAfter sends the row's request with content on its way, says with a byte of
// that when it has got text, and expects no more.
func cutAfter(l *proxytest.Proxy, text string) *http.Response {
	p := proxytest.Dial(l.T, l.Ingress())
	defer p.Close()
	p.Send("GET /row HTTP/1.1\r\nHost: web.test\r\nContent-Length: 2\r\n\r\n")
	r, err := http.ReadResponse(p.Reader, nil)
	if err != nil {
		l.T.Fatal(err)
	}
	if _, err := io.ReadFull(r.Body, make([]byte, len(text))); err != nil {
		l.T.Error(err)
	}
	p.Send("x")
	if _, err := io.ReadAll(r.Body); err == nil {
		l.T.Error("the response seems whole")
	}
	return r
}

// retriedInVain is a stale connection, and then nobody there.
func retriedInVain() row {
	var socket net.Listener
	return row{
		name: "stale connection retried in vain", kind: fault.ConnectRefused, before: 1,
		endpoint: func(t testing.TB) string {
			var address string
			socket, address = once(t, func(p *proxytest.Peer) {
				p.ReadHead()
				p.Send(proxytest.OKResponse)
				p.ReadHead()
				socket.Close()
			})
			return address
		},
		drive: func(l *proxytest.Proxy) *http.Response {
			p := proxytest.Dial(l.T, l.Ingress())
			defer p.Close()
			p.Send(proxytest.OtherRequest)
			p.ReadOK()
			p.Send(proxytest.RowRequest)
			r, _ := p.ReadResponse("GET")
			return r
		},
		status: 503, flags: "UF", error: "connection_refused", failed: "connection_refused",
		origin: "proxy", hop: "front", reason: "connection refused by",
		tries: []try{{flags: "UC", failed: "connection_terminated"}, {flags: "UF", failed: "connection_refused"}},
	}
}

// tunnelRows are tunnels, and how they end.
func tunnelRows() []row {
	connect := func(l *proxytest.Proxy, to string) *proxytest.Peer {
		p := proxytest.Dial(l.T, l.Egress())
		p.Send("CONNECT " + to + " HTTP/1.1\r\nHost: " + to + "\r\n\r\n")
		return p
	}
	echo := func(t testing.TB) string {
		return proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
			if b, _ := p.ReadRest(); b != "" {
				p.Send(b)
			}
		})
	}
	base := row{
		name: "tunnel by CONNECT", method: "CONNECT", untimed: true, status: 200,
		route: "connect", cluster: "egress", tries: []try{{}}, // an address that was connected to has no status
	}
	done, upgraded, reset, cut, idle := base, base, base, base, base
	done.drive = func(l *proxytest.Proxy) *http.Response {
		p := connect(l, echo(l.T))
		defer p.Close()
		r := opened(p)
		p.Send("hello")
		p.CloseWrite()
		if b, err := p.ReadRest(); b != "hello" || err != nil {
			l.T.Errorf("%q came back, %v", b, err)
		}
		return r
	}

	upgraded.name, upgraded.method, upgraded.status, upgraded.tries = "tunnel by Upgrade", "GET", 101, []try{{status: 101}}
	upgraded.route, upgraded.cluster = "default", "web"
	upgraded.endpoint = func(t testing.TB) string {
		return proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
			p.ReadHead()
			p.Send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
			p.Expect("hello")
			p.Send("bye")
		})
	}
	upgraded.drive = func(l *proxytest.Proxy) *http.Response {
		p := proxytest.Dial(l.T, l.Ingress())
		defer p.Close()
		p.Send("GET /row HTTP/1.1\r\nHost: web.test\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
		r := opened(p)
		p.Send("hello")
		p.Expect("bye")
		return r
	}

	reset.name, reset.kind, reset.flags = "tunnel reset by the client", fault.ClientReset, "DR"
	reset.origin, reset.hop, reset.reason, reset.tries = "downstream", "client", "the client reset the tunnel", []try{{flags: "DR"}}
	reset.drive = func(l *proxytest.Proxy) *http.Response {
		p := connect(l, echo(l.T))
		r := opened(p)
		p.Reset()
		return r
	}

	cut.name, cut.kind, cut.flags, cut.failed = "tunnel reset by the endpoint", fault.UpstreamReset, "UR", "connection_terminated"
	cut.origin, cut.hop, cut.reason, cut.tries = "proxy", asked, "reset the tunnel", []try{{flags: "UR", failed: "connection_terminated"}}
	cut.drive = func(l *proxytest.Proxy) *http.Response {
		p := connect(l, proxytest.Endpoint(l.T, func(_ int, p *proxytest.Peer) {
			p.ReadN(1)
			p.Reset()
		}))
		defer p.Close()
		r := opened(p)
		p.Send("x")
		p.ReadRest()
		return r
	}

	idle.name, idle.kind, idle.flags, idle.failed = "tunnel idle", fault.UpstreamIdle, "SI", "http_response_timeout"
	idle.origin, idle.hop, idle.reason, idle.tries = "proxy", asked, "no byte moved through the tunnel for 300ms", []try{{flags: "SI", failed: "http_response_timeout"}}
	idle.change = func(s *proxytest.Settings) { s.Egress.StreamIdleTimeout = proxytest.Soon }
	idle.drive = func(l *proxytest.Proxy) *http.Response {
		p := connect(l, echo(l.T))
		defer p.Close()
		r := opened(p)
		p.ReadRest()
		return r
	}
	return []row{done, upgraded, reset, cut, idle}
}

// opened reads the head that a tunnel begins with.
func opened(p *proxytest.Peer) *http.Response {
	p.T.Helper()
	p.SetReadDeadline(time.Now().Add(proxytest.Patience))
	r, err := http.ReadResponse(p.Reader, &http.Request{Method: "CONNECT"})
	if err != nil {
		p.T.Fatal(err)
	}
	return r
}

// askCut drives a row whose response does not come whole.
func askCut(l *proxytest.Proxy) *http.Response {
	p := l.Dial()
	defer p.Close()
	p.Send(proxytest.RowRequest)
	p.SetReadDeadline(proxytest.Deadline())
	r, err := http.ReadResponse(p.Reader, nil)
	if err != nil {
		l.T.Fatalf("reading a response's head: %v", err)
	}
	if b, err := io.ReadAll(r.Body); err == nil {
		l.T.Errorf("the response seems whole: %.100q", b)
	}
	return r
}
