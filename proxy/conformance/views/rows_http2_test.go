package views_test

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/hopscope/hopscope/proxy/fault"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// over drives a row with an HTTP/2 connection.
func over(drive func(f *proxytest.HTTP2Peer) *http.Response) func(l *proxytest.Proxy) *http.Response {
	return func(l *proxytest.Proxy) *http.Response {
		f := proxytest.DialHTTP2(l.T, l.Ingress())
		defer f.Close()
		return drive(f)
	}
}

// clientHTTP2Rows are requests over HTTP/2, and the failures that their clients
// make.
func clientHTTP2Rows() []row {
	rows := append(answeredHTTP2Rows(), refusedHTTP2Rows()...)
	rows = append(rows, goneHTTP2Rows()...)
	for i := range rows {
		rows[i].name, rows[i].protocol = "HTTP/2, "+rows[i].name, "HTTP/2"
	}
	return append(rows, brokenHTTP2Rows()...)
}

// answeredHTTP2Rows are requests over HTTP/2 that are answered, by the endpoint
// or in its place.
func answeredHTTP2Rows() []row {
	getRow := over(func(f *proxytest.HTTP2Peer) *http.Response { return f.Get("/row") })
	secure := row{name: "answered, over TLS on both sides", status: 200, secure: true, tries: []try{{status: 200, secure: true}}}
	var ca *proxytest.Authority
	secure.endpoint = func(t testing.TB) string {
		ca = proxytest.NewAuthority(t)
		return proxytest.ServeTLS(t, &tls.Config{Certificates: []tls.Certificate{ca.Load(ca.Issue("127.0.0.1"))}}, true, proxytest.Echo)
	}
	secure.change = func(s *proxytest.Settings) {
		proxytest.ListenTLS(&s.Listener, ca.Issue("web.test"))
		proxytest.UseTLS(s, ca.File)
	}
	secure.drive = func(l *proxytest.Proxy) *http.Response {
		f := proxytest.DialHTTP2TLS(l.T, l.Ingress(), ca.ClientConfig("web.test"))
		defer f.Close()
		return f.Get("/row")
	}
	return []row{
		{name: "answered", drive: getRow, status: 200, tries: []try{{status: 200}}},
		secure,
		{
			name: "answered 500", drive: getRow, endpoint: proxytest.Always("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"),
			status: 500, failed: "500", origin: "endpoint", hop: "front", reason: "answered 500 Internal Server Error",
			tries: []try{{status: 500, failed: "500"}},
		},
		{
			name: "connection refused", kind: fault.ConnectRefused, drive: getRow, endpoint: proxytest.RefusingAddress,
			status: 503, flags: "UF", error: "connection_refused", failed: "connection_refused", origin: "proxy", hop: "front",
			reason: "connection refused by", tries: []try{{flags: "UF", failed: "connection_refused"}},
		},
		{
			name: "no route", kind: fault.NotFound, drive: getRow, change: func(s *proxytest.Settings) { s.Route.Match.PathPrefix = "/elsewhere" },
			status: 404, flags: "NR", error: "destination_not_found", origin: "proxy", hop: "front", reason: "no route of listener", nowhere: true,
		},
	}
}

// refusedHTTP2Rows are requests whose head or content is not taken. The
// connection lives on.
func refusedHTTP2Rows() []row {
	head := func(name string, kind fault.Kind, status int, flags, why string, fields ...string) row {
		r := refused(name, kind, status, flags, why)
		r.drive = over(func(f *proxytest.HTTP2Peer) *http.Response {
			resp, _ := f.ReadResponse(f.Ask(true, "GET", "/row", fields...))
			return resp
		})
		return r
	}
	many := make([]string, 101)
	for i := range many {
		many[i] = "x-a: b"
	}
	stalls := row{
		name: "content stalls", kind: fault.RequestIdle, status: 408, flags: "SI", error: "http_request_error", method: "POST",
		origin: "downstream", hop: "client", reason: "the client moved no byte", tries: []try{{}},
		endpoint: silent(""), change: func(s *proxytest.Settings) { s.Listener.StreamIdleTimeout = proxytest.Soon },
		drive: over(func(f *proxytest.HTTP2Peer) *http.Response {
			stream := f.Ask(false, "POST", "/row", "content-length: 100")
			f.Check(f.WriteData(stream, false, []byte("part")))
			resp, _ := f.ReadResponse(stream)
			return resp
		}),
	}
	return []row{
		head("an upper-case name", fault.BadHeader, 400, "IH", "upper case", "X-A: b"),
		head("a connection-specific field", fault.BadHeader, 400, "IH", "connection", "connection: close"),
		head("another Host", fault.BadHeader, 400, "IH", ":authority", "host: else.test"),
		head("fields too many", fault.HeaderTooLarge, 431, "IH", "more than 100 fields", many...),
		head("head too large", fault.HeaderTooLarge, 431, "IH", "larger than 61440 bytes", "x-a: "+strings.Repeat("b", 60<<10)),
		stalls,
	}
}

// goneHTTP2Rows are those where the client gives up after its head was
// understood.
func goneHTTP2Rows() []row {
	// asked is an endpoint that tells when the request is there.
	asked := func(then string) (chan struct{}, func(testing.TB) string) {
		there := make(chan struct{})
		return there, func(t testing.TB) string {
			return proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) {
				p.ReadHead()
				p.Send(then)
				close(there)
				p.ReadRest()
			})
		}
	}
	reset := row{
		name: "stream reset before the response", kind: fault.ClientReset, flags: "DR",
		origin: "downstream", hop: "client", reason: "the client reset the stream (CANCEL)", tries: []try{{flags: "DR"}},
	}
	there, endpoint := asked("")
	reset.endpoint = endpoint
	reset.drive = over(func(f *proxytest.HTTP2Peer) *http.Response {
		stream := f.Ask(true, "GET", "/row")
		<-there
		f.Check(f.WriteRSTStream(stream, http2.ErrCodeCancel))
		proxytest.Same(f.T, "the connection lives on", pings(f), true)
		return nil
	})

	const part = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart"
	within := reset
	within.name, within.status, within.tries = "stream reset within the response", 200, []try{{status: 200, flags: "DR"}}
	within.endpoint = silent(part)
	within.drive = over(func(f *proxytest.HTTP2Peer) *http.Response {
		stream := f.Ask(true, "GET", "/row")
		resp := f.ReadHead(stream)
		f.Check(f.WriteRSTStream(stream, http2.ErrCodeCancel))
		proxytest.Same(f.T, "the connection lives on", pings(f), true)
		return resp
	})

	content := reset
	content.name, content.method = "stream reset within its content", "POST"
	content.endpoint = silent("")
	content.drive = over(func(f *proxytest.HTTP2Peer) *http.Response {
		stream := f.Ask(false, "POST", "/row")
		f.Check(f.WriteData(stream, false, []byte("part")))
		f.Check(f.WriteRSTStream(stream, http2.ErrCodeCancel))
		proxytest.Same(f.T, "the connection lives on", pings(f), true)
		return nil
	})

	closed := reset
	closed.name, closed.kind, closed.flags, closed.reason = "connection closed before the response", fault.ClientClosed, "DC", "the connection" // closed, or reset where it had not read all
	closed.tries = []try{{flags: "DC"}}
	gone, waiting := asked("")
	closed.endpoint = waiting
	closed.drive = over(func(f *proxytest.HTTP2Peer) *http.Response {
		f.Ask(true, "GET", "/row")
		<-gone
		return nil // and with it goes the connection
	})

	late := closed
	late.name, late.status, late.tries = "connection closed within the response", 200, []try{{status: 200, flags: "DC"}}
	late.endpoint = silent(part)
	late.drive = over(func(f *proxytest.HTTP2Peer) *http.Response { return f.ReadHead(f.Ask(true, "GET", "/row")) })

	return []row{reset, within, content, closed, late}
}

// pings asks whether the connection lives.
func pings(f *proxytest.HTTP2Peer) bool {
	f.Check(f.WritePing(false, [8]byte{'a', 'l', 'i', 'v', 'e'}))
	f.Rude = true
	defer func() { f.Rude = false }()
	for {
		frame, err := f.ReadNext()
		if err != nil {
			return false
		}
		if p, is := frame.(*http2.PingFrame); is && p.IsAck() && p.Data[0] == 'a' {
			return true
		}
	}
}

// brokenHTTP2Rows are connections that the client breaks: no request of theirs is
// on its way. code is what GOAWAY says.
func brokenHTTP2Rows() []row {
	broken := func(name string, kind fault.Kind, code http2.ErrCode, why string, drive func(f *proxytest.HTTP2Peer)) row {
		r := row{
			name: "HTTP/2 connection, " + name, kind: kind, flags: "DPE", error: kind.ProxyError(), method: "_OTHER",
			origin: "downstream", hop: "client", reason: why, nowhere: true, untimed: true, protocol: "HTTP/2",
		}
		r.drive = over(func(f *proxytest.HTTP2Peer) *http.Response {
			drive(f)
			got, ok := f.ReadEnd()
			proxytest.Same(f.T, "there is a GOAWAY", ok, true)
			proxytest.Same(f.T, "code of GOAWAY", got, code)
			return nil
		})
		return r
	}
	flood := broken("flood", fault.ClientFlood, http2.ErrCodeEnhanceYourCalm, "more frames than any honest peer", func(f *proxytest.HTTP2Peer) {
		for range 2100 {
			if f.WritePriority(1, http2.PriorityParam{StreamDep: 3}) != nil {
				break
			}
		}
	})
	mute := broken("PING not answered", fault.ClientUnresponsive, http2.ErrCodeNo, "did not answer a PING within 50ms", nil)
	mute.flags, mute.drive = "DC", over(func(f *proxytest.HTTP2Peer) *http.Response {
		f.Rude = true
		f.ReadEnd() // without a word that it could be sure of
		return nil
	})
	mute.change = func(s *proxytest.Settings) {
		s.Listener.HTTP2.KeepAlive, s.Listener.HTTP2.KeepAliveTimeout = 50*time.Millisecond, 50*time.Millisecond
	}
	slow := broken("head stalls", fault.RequestTimeout, http2.ErrCodeEnhanceYourCalm, "did not send what it had begun within", func(f *proxytest.HTTP2Peer) {
		f.Rude = true // nothing may come within a header block
		f.Check(f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.Encode(":method: GET")}))
	})
	slow.flags = "SI"
	slow.change = func(s *proxytest.Settings) { s.Listener.RequestHeadTimeout = proxytest.Soon }
	unset := broken("no SETTINGS", fault.RequestTimeout, http2.ErrCodeSettingsTimeout, "did not send its SETTINGS within", func(*proxytest.HTTP2Peer) {})
	unset.flags, unset.change = "SI", slow.change
	unset.drive = func(l *proxytest.Proxy) *http.Response {
		p := l.Dial()
		defer p.Close()
		p.Send(http2.ClientPreface)
		f := proxytest.OpenHTTP2Peer(l.T, p.TCPConn, p.TCPConn)
		f.Rude = true
		code, _ := f.ReadEnd()
		proxytest.Same(l.T, "code of GOAWAY", code, http2.ErrCodeSettingsTimeout)
		return nil
	}
	secure := broken("DATA on stream 0, over TLS", fault.ClientHTTP2, http2.ErrCodeProtocol, "the client sent DATA", nil)
	var ca *proxytest.Authority
	secure.secure = true
	secure.endpoint = func(t testing.TB) string {
		ca = proxytest.NewAuthority(t)
		return "127.0.0.1:1"
	}
	secure.change = func(s *proxytest.Settings) { proxytest.ListenTLS(&s.Listener, ca.Issue("web.test")) }
	secure.drive = func(l *proxytest.Proxy) *http.Response {
		f := proxytest.DialHTTP2TLS(l.T, l.Ingress(), ca.ClientConfig("web.test"))
		defer f.Close()
		f.Check(f.WriteData(0, false, []byte("x")))
		code, _ := f.ReadEnd()
		proxytest.Same(l.T, "code of GOAWAY", code, http2.ErrCodeProtocol)
		return nil
	}
	return []row{
		secure, flood, mute, slow, unset,
		broken("DATA on stream 0", fault.ClientHTTP2, http2.ErrCodeProtocol, "the client sent DATA", func(f *proxytest.HTTP2Peer) {
			f.Check(f.WriteData(0, false, []byte("x")))
		}),
		broken("window overflow", fault.ClientHTTP2, http2.ErrCodeFlowControl, "widened the connection's window beyond 2147483647", func(f *proxytest.HTTP2Peer) {
			f.Check(f.WriteWindowUpdate(0, 1<<31-1))
		}),
		broken("bad compression", fault.ClientHTTP2, http2.ErrCodeCompression, "a header block that can't be decoded", func(f *proxytest.HTTP2Peer) {
			f.Check(f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0xff, 0xff, 0xff, 0xff, 0x0f}, EndHeaders: true}))
		}),
	}
}

// endpointHTTP2Rows are those where an endpoint is spoken to in HTTP/2.
func endpointHTTP2Rows() []row {
	rows := []row{}
	const terminated = "connection_terminated"
	add := func(r row, serve func(n int, f *proxytest.HTTP2Peer)) {
		r.name = "HTTP/2 endpoint, " + r.name
		change := r.change
		r.change = func(s *proxytest.Settings) {
			s.Cluster.Protocol = "http2"
			if change != nil {
				change(s)
			}
		}
		if r.endpoint == nil {
			r.endpoint = func(t testing.TB) string { return proxytest.HTTP2Endpoint(t, serve) }
		}
		if r.drive == nil {
			r.drive = proxytest.Get
			if r.began() {
				r.drive = func(l *proxytest.Proxy) *http.Response { return cutAfter(l, "part") }
			}
		}
		rows = append(rows, r)
	}
	fails := func(name string, kind fault.Kind, status int, flags, why string) row {
		r := row{
			name: name, kind: kind, status: status, flags: flags, error: kind.ProxyError(), failed: kind.ProxyError(),
			origin: "proxy", hop: "front", reason: why, tries: []try{{flags: flags, failed: kind.ProxyError()}},
		}
		if r.began() {
			r.tries[0].status = status
		}
		return r
	}
	each := func(answer func(f *proxytest.HTTP2Peer, stream uint32)) func(int, *proxytest.HTTP2Peer) {
		return func(_ int, f *proxytest.HTTP2Peer) {
			for {
				stream, ok := f.ReadRequest()
				if !ok {
					return
				}
				answer(f, stream)
			}
		}
	}
	once := func(answer func(f *proxytest.HTTP2Peer, stream uint32)) func(int, *proxytest.HTTP2Peer) { // and then to the end
		return func(_ int, f *proxytest.HTTP2Peer) {
			if stream, ok := f.ReadRequest(); ok {
				answer(f, stream)
				f.Drain()
			}
		}
	}
	whole := func(f *proxytest.HTTP2Peer, stream uint32) { f.Answer(stream, true, ":status: 200") }
	refuse := func(f *proxytest.HTTP2Peer, stream uint32) {
		f.Check(f.WriteRSTStream(stream, http2.ErrCodeRefusedStream))
	}
	part := func(f *proxytest.HTTP2Peer, stream uint32) {
		f.Answer(stream, false, ":status: 200", "content-length: 100")
		f.Check(f.WriteData(stream, false, []byte("part")))
	}

	partly := func(f *proxytest.HTTP2Peer, stream uint32) { // until the client says that it has that
		part(f, stream)
		f.Until("content", func(frame http2.Frame) bool {
			_, is := frame.(*http2.DataFrame)
			return is
		})
	}
	add(row{name: "answered", status: 200, tries: []try{{status: 200}}}, each(whole))
	again := fails("refuses the stream, and again", fault.UpstreamRefused, 503, "UR", "reset the stream (REFUSED_STREAM)")
	again.tries = []try{{flags: "UR", failed: terminated}, {flags: "UR", failed: terminated}, {flags: "UR", failed: terminated}}
	add(again, each(refuse))
	add(row{name: "refuses the stream once", status: 200, tries: []try{{flags: "UR", failed: terminated}, {status: 200}}},
		each(func(f *proxytest.HTTP2Peer, stream uint32) {
			if stream == 1 {
				refuse(f, stream)
			} else {
				whole(f, stream)
			}
		}))
	add(row{name: "goes away before it takes the stream", status: 200, tries: []try{{flags: "UR", failed: terminated}, {status: 200}}},
		func(n int, f *proxytest.HTTP2Peer) {
			stream, _ := f.ReadRequest()
			if n == 0 {
				f.Check(f.WriteGoAway(0, http2.ErrCodeNo, nil))
			} else {
				whole(f, stream)
			}
			f.Drain()
		})
	add(row{name: "goes away, and ends what it took", status: 200, tries: []try{{status: 200}}}, once(func(f *proxytest.HTTP2Peer, stream uint32) {
		f.Check(f.WriteGoAway(stream, http2.ErrCodeNo, nil))
		whole(f, stream)
	}))
	add(fails("resets the stream", fault.UpstreamReset, 503, "UR", "reset the stream (INTERNAL_ERROR)"),
		each(func(f *proxytest.HTTP2Peer, stream uint32) { f.Check(f.WriteRSTStream(stream, http2.ErrCodeInternal)) }))
	add(fails("resets the stream within its content", fault.UpstreamReset, 200, "UR", "reset the stream (INTERNAL_ERROR)"),
		once(func(f *proxytest.HTTP2Peer, stream uint32) {
			partly(f, stream)
			f.Check(f.WriteRSTStream(stream, http2.ErrCodeInternal))
		}))
	add(fails("closes", fault.UpstreamClosed, 503, "UC", "closed the connection before it answered"),
		func(_ int, f *proxytest.HTTP2Peer) {
			f.ReadRequest()
			f.CloseWrite()
		})
	add(fails("closes within its content", fault.UpstreamClosed, 200, "UC", "closed the connection within its response"),
		func(_ int, f *proxytest.HTTP2Peer) {
			stream, _ := f.ReadRequest()
			partly(f, stream)
			f.CloseWrite()
		})
	add(fails("breaks a stream's rules", fault.UpstreamHTTP2, 502, "UPE", "sent content before the head of the response"),
		each(func(f *proxytest.HTTP2Peer, stream uint32) { f.Check(f.WriteData(stream, true, []byte("headless"))) }))
	add(fails("breaks the connection's rules", fault.UpstreamHTTP2, 502, "UPE", "the connection is closed with PROTOCOL_ERROR"),
		once(func(f *proxytest.HTTP2Peer, stream uint32) { f.Check(f.WriteData(0, true, []byte("astray"))) }))
	add(fails("response without a status", fault.UpstreamProtocol, 502, "UPE", "no :status"),
		each(func(f *proxytest.HTTP2Peer, stream uint32) { f.Answer(stream, true, "server: odd") }))
	add(fails("head too large", fault.UpstreamHeader, 502, "UPE", "more than 100 fields"),
		each(func(f *proxytest.HTTP2Peer, stream uint32) {
			lines := []string{":status: 200"}
			for range 101 {
				lines = append(lines, "x-a: b")
			}
			f.Answer(stream, true, lines...)
		}))
	add(fails("PING flood", fault.UpstreamHTTP2, 502, "UPE", "of late PINGs: the connection is closed with ENHANCE_YOUR_CALM"),
		once(func(f *proxytest.HTTP2Peer, _ uint32) { // which a proxy that is slow to answer takes for the other one
			f.Forever(func(i uint32) error { return f.WritePing(true, [8]byte{}) })
		}))
	add(fails("CONTINUATION flood", fault.UpstreamHTTP2, 502, "UPE", "more CONTINUATION frames in a header block than any head needs"),
		once(func(f *proxytest.HTTP2Peer, stream uint32) {
			f.Check(f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: f.Encode(":status: 200")}))
			f.Forever(func(uint32) error { return f.WriteContinuation(stream, false, nil) })
		}))
	add(fails("HPACK bomb", fault.UpstreamHTTP2, 502, "UPE", "a header list many times larger than the limit"),
		once(func(f *proxytest.HTTP2Peer, stream uint32) {
			f.SendHeaders(stream, true, proxytest.HPACKBomb(f, ":status: 200"))
		}))
	late := fails("does not answer in time", fault.UpstreamTimeout, 504, "UT", "did not answer within the route's timeout")
	late.change = func(s *proxytest.Settings) { s.Route.Timeout = proxytest.Soon }
	add(late, each(func(*proxytest.HTTP2Peer, uint32) {}))
	idle := fails("stalls within its content", fault.UpstreamIdle, 200, "SI", "sent nothing for 300ms")
	idle.change = func(s *proxytest.Settings) { s.Listener.StreamIdleTimeout = proxytest.Soon }
	idle.drive = askCut
	add(idle, each(part))
	older := fails("speaks HTTP/1.1", fault.UpstreamHTTP2, 502, "UPE", "speaks HTTP/1, but was sent HTTP/2: set protocol to http1 for cluster web")
	older.endpoint = func(t testing.TB) string { return proxytest.Serve(t, proxytest.Echo) }
	add(older, nil)
	return rows
}
