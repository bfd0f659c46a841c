package http1

import (
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/proxy/message"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// TestForwardRequest decodes, strips, changes and encodes.
func TestForwardRequest(t *testing.T) {
	for _, test := range []struct {
		name, in    string
		change      func(h *message.Head)
		persistence Persistence
		want        string
	}{
		{"as it came", get("X-b: 1", "x-A:  2", "X-b: 3"), nil, Persist,
			get("X-b: 1", "x-A: 2", "X-b: 3")},
		{"space is made regular", get("A:1", "B:\t\t2", "C: 3 \t", "D:", "E: "), nil, Persist,
			get("A: 1", "B: 2", "C: 3", "D: ", "E: ")},
		{"length in its place", post("A: 1", "content-length: 5", "B: 2"), nil, Persist,
			post("A: 1", "content-length: 5", "B: 2")},
		{"length written anew", post("Content-Length: 005", "B: 2"), nil, Persist,
			post("B: 2", "Content-Length: 5")},
		{"chunked in its place", post("Transfer-Encoding: Chunked", "B: 2"), nil, Persist,
			post("Transfer-Encoding: Chunked", "B: 2")},
		{"length becomes chunked", post("Content-Length: 5", "B: 2"),
			func(h *message.Head) { h.Framing = message.Chunked }, Persist,
			post("B: 2", "Transfer-Encoding: chunked")},
		{"chunked becomes length", post("Transfer-Encoding: chunked", "B: 2"),
			func(h *message.Head) { h.Framing, h.Length = message.ByLength, 7 }, Persist,
			post("B: 2", "Content-Length: 7")},
		{"another length", post("Content-Length: 5"),
			func(h *message.Head) { h.Length = 6 }, Persist, post("Content-Length: 6")},
		{"body dropped", post("Content-Length: 5"),
			func(h *message.Head) { h.Framing = message.NoBody }, Persist, post()},
		{"framing added by mistake", post("Content-Length: 5"),
			func(h *message.Head) {
				h.Add(message.ContentLength, "Content-Length", "6")
				h.Add(message.TransferEncoding, "Transfer-Encoding", "chunked")
			}, Persist, post("Content-Length: 5")},
		{"removed fields", get("A: 1", "B: 2", "C: 3", "D: 4"),
			func(h *message.Head) { h.RemoveName([]byte("b")); h.RemoveName([]byte("D")) }, Persist,
			get("A: 1", "C: 3")},
		{"added fields", get("A: 1"),
			func(h *message.Head) { h.Add(message.Via, "via", "1.1 h") }, Persist, get("A: 1", "via: 1.1 h")},
		{"changed value", get("A: 1", "B: 2", "C: 3"),
			func(h *message.Head) { h.Fields[2].Value = h.Own("new") }, Persist, get("A: 1", "B: new", "C: 3")},
		{"value taken from elsewhere", get("A: 1", "B: 2", "C: 3"),
			func(h *message.Head) { h.Fields[2].Value = h.Fields[1].Value }, Persist, get("A: 1", "B: 1", "C: 3")},
		{"deleted and moved fields", get("A: 1", "B: 2", "C: 3"),
			func(h *message.Head) {
				h.Fields = slices.Delete(h.Fields, 1, 2)
				h.Fields[1], h.Fields[2] = h.Fields[2], h.Fields[1]
			}, Persist, get("C: 3", "B: 2")},
		{"Connection: close", get("Connection: keep-alive", "A: 1"), nil, Close, get("A: 1", "Connection: close")},
		{"Connection not stripped", get("Connection: close", "Keep-Alive: 5", "Proxy-Connection: close"), func(h *message.Head) {
			for i := range h.Fields {
				h.Fields[i].Removed = false
			}
		}, Persist, get()},
		{"upgrade", get("Connection: upgrade", "Upgrade: websocket", "A: 1"), nil, SwitchProtocols,
			get("Upgrade: websocket", "A: 1", "Connection: upgrade")},
		{"upgrade refused", get("Connection: upgrade", "Upgrade: websocket", "A: 1"), nil, Persist, get("A: 1")},
		{"trailers wanted", get("TE: trailers", "Connection: TE"), nil, Persist, get("TE: trailers", "Connection: TE")},
		{"trailers wanted once", get("TE: trailers", "Connection: TE"), nil, Close, get("TE: trailers", "Connection: close, TE")},
		{"Expect", post("Expect: 100-continue", "Content-Length: 1"), nil, Persist, post("Expect: 100-continue", "Content-Length: 1")},
		{"absolute-form", crlf("GET http://h/p?q HTTP/1.1", "A: 1", "Host: other", "B: 2", ""), nil, Persist,
			crlf("GET /p?q HTTP/1.1", "A: 1", "Host: h", "B: 2", "")},
		{"absolute-form without a path", crlf("GET http://h?q HTTP/1.1", "Host: h", ""), nil, Persist,
			crlf("GET /?q HTTP/1.1", "Host: h", "")},
		{"absolute-form of an authority alone", crlf("GET http://h HTTP/1.1", "Host: h", ""), nil, Persist,
			crlf("GET / HTTP/1.1", "Host: h", "")},
		{"absolute-form of OPTIONS", crlf("OPTIONS http://h HTTP/1.1", "Host: h", ""), nil, Persist,
			crlf("OPTIONS * HTTP/1.1", "Host: h", "")},
		{"authority-form", crlf("CONNECT h:1 HTTP/1.1", "Host: h:1", "Content-Length: 0", ""), nil, Persist,
			crlf("CONNECT h:1 HTTP/1.1", "Host: h:1", "")},
		{"HTTP/1.0 without Host", crlf("GET / HTTP/1.0", "A: 1", ""), nil, Persist,
			crlf("GET / HTTP/1.1", "Host: ", "A: 1", "")},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, _, err := feed(t, asRequest, Limits{}, test.in)
			if err != nil {
				t.Fatal(err)
			}
			StripHopByHop(h)
			if test.change != nil {
				test.change(h)
			}
			got := AppendRequest([]byte("before"), h, h.OriginTarget(), test.persistence)
			if diff := cmp.Diff("before"+test.want, string(got)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestForwardResponse(t *testing.T) {
	for _, test := range []struct {
		name, in    string
		method      message.Method
		change      func(h *message.Head)
		persistence Persistence
		want        string
	}{
		{"as it came", ok("A: 1", "Content-Length: 5", "B: 2"), message.GET, nil, Persist, ok("A: 1", "Content-Length: 5", "B: 2")},
		{"HTTP/1.0", crlf("HTTP/1.0 200 Fine", "Content-Length: 5", ""), message.GET, nil, Persist, crlf("HTTP/1.1 200 Fine", "Content-Length: 5", "")},
		{"no reason", crlf("HTTP/1.1 404", "Content-Length: 5", ""), message.GET, nil, Persist, crlf("HTTP/1.1 404 Not Found", "Content-Length: 5", "")},
		{"no reason at all", crlf("HTTP/1.1 599", "Content-Length: 5", ""), message.GET, nil, Persist, crlf("HTTP/1.1 599 ", "Content-Length: 5", "")},
		{"until close", ok("A: 1"), message.GET, nil, Persist, ok("A: 1", "Connection: close")},
		{"until close in chunks", ok("A: 1"), message.GET,
			func(h *message.Head) { h.Framing = ResponseFraming(h.Framing, hop.HTTP11) }, Persist,
			ok("A: 1", "Transfer-Encoding: chunked")},
		{"chunks to HTTP/1.0", ok("Transfer-Encoding: chunked"), message.GET,
			func(h *message.Head) { h.Framing = ResponseFraming(h.Framing, hop.HTTP10) }, KeepAlive,
			ok("Connection: close")},
		{"length to HTTP/1.0", ok("Content-Length: 5"), message.GET,
			func(h *message.Head) { h.Framing = ResponseFraming(h.Framing, hop.HTTP10) }, KeepAlive,
			ok("Content-Length: 5", "Connection: keep-alive")},
		{"HEAD", ok("Content-Length: 5"), message.HEAD, nil, Persist, ok("Content-Length: 5")},
		{"HEAD without a length", ok("Transfer-Encoding: chunked", "A: 1"), message.HEAD, nil, Persist, ok("A: 1")},
		{"304", crlf("HTTP/1.1 304 Not Modified", "Content-Length: 5", ""), message.GET, nil, Persist,
			crlf("HTTP/1.1 304 Not Modified", "Content-Length: 5", "")},
		{"204 with a length", crlf("HTTP/1.1 204 No Content", "Content-Length: 5", ""), message.GET, nil, Persist,
			crlf("HTTP/1.1 204 No Content", "")},
		{"103", crlf("HTTP/1.1 103 Early Hints", "Link: </a>", ""), message.GET, nil, Persist,
			crlf("HTTP/1.1 103 Early Hints", "Link: </a>", "")},
		{"101", crlf("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade", ""), message.GET, nil, SwitchProtocols,
			crlf("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: upgrade", "")},
		{"CONNECT", ok("Transfer-Encoding: chunked"), message.CONNECT, nil, Persist, ok()},
		{"hop-by-hop", ok("Connection: x-secret, close", "Keep-Alive: timeout=5", "X-Secret: 1", "TE: trailers", "Content-Length: 0"), message.GET, nil, Persist,
			ok("Content-Length: 0")},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, _, err := feed(t, asResponseTo(test.method), Limits{}, test.in)
			if err != nil {
				t.Fatal(err)
			}
			StripHopByHop(h)
			if test.change != nil {
				test.change(h)
			}
			if diff := cmp.Diff(test.want, string(AppendResponse(nil, h, test.persistence))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestEncodeMade encodes heads that were not decoded by this codec.
func TestEncodeMade(t *testing.T) {
	reply := message.Head{Status: 503}
	reply.Add(message.Server, "server", "hopscope")
	if diff := cmp.Diff("HTTP/1.1 503 Service Unavailable\r\nserver: hopscope\r\nContent-Length: 0\r\n\r\n",
		string(AppendResponse(nil, &reply, Persist))); diff != "" {
		t.Error(diff)
	}

	// What HTTP/2 leaves behind are no lines, whatever the gaps.
	var h message.Head
	h.Begin([]byte("x-a\x00\x001\x00\nx-b\x00\x002\x00\nGETa.example/p"))
	h.Version, h.Method = hop.HTTP2, message.GET
	h.SetRequestLine(message.Span{Off: 16, Len: 3}, message.Span{Off: 28, Len: 2}, message.Span{}, message.Span{Off: 19, Len: 9}, message.Span{Off: 28, Len: 2}, message.Span{})
	h.AddDecoded(message.Unknown, message.Span{Off: 0, Len: 3}, message.Span{Off: 5, Len: 1})
	h.AddDecoded(message.Unknown, message.Span{Off: 8, Len: 3}, message.Span{Off: 13, Len: 1})
	if diff := cmp.Diff("GET /p HTTP/1.1\r\nHost: a.example\r\nx-a: 1\r\nx-b: 2\r\n\r\n",
		string(AppendRequest(nil, &h, h.Target(), Persist))); diff != "" {
		t.Error(diff)
	}
}

func TestUsualReason(t *testing.T) {
	for status := range 600 {
		if got, want := usualReason(status), http.StatusText(status); got != want {
			t.Errorf("%d: got %q, want %q", status, got, want)
		}
	}
}

func TestStripHopByHop(t *testing.T) {
	for _, test := range []struct {
		name string
		in   []string
		want []string
	}{
		{"nothing to do", []string{"A: 1"}, []string{"A: 1"}},
		{"named fields", []string{"Connection: x-a, X-B", "x-A: 1", "x-b: 1", "x-c: 1", "X-B: 2"}, []string{"x-c: 1"}},
		{"named before or after", []string{"x-a: 1", "Connection: x-a", "x-b: 1", "Connection: x-b"}, nil},
		{"the usual", []string{"Keep-Alive: a", "Proxy-Connection: b", "Upgrade: c", "A: 1"}, []string{"A: 1"}},
		{"end-to-end fields stay", []string{"Connection: host, content-length, Content-Type, traceparent, via, x-forwarded-for, x-request-id",
			"Content-Length: 0", "Content-Type: a", "traceparent: t", "Via: v", "X-Forwarded-For: 1", "X-Request-Id: 1"},
			[]string{"Content-Length: 0", "Content-Type: a", "traceparent: t", "Via: v", "X-Forwarded-For: 1", "X-Request-Id: 1"}},
		{"what the proxy writes itself stays, numbered here or not", []string{"Connection: x-envoy-original-path, x-forwarded-port", "X-Envoy-Original-Path: /", "X-Forwarded-Port: 1"},
			[]string{"X-Envoy-Original-Path: /", "X-Forwarded-Port: 1"}},
		{"what it only reads goes, numbered here or not", []string{"Connection: user-agent, server, date, cookie, authorization", "User-Agent: a", "Server: b", "Date: c", "Cookie: d", "Authorization: e", "F: f"},
			[]string{"F: f"}},
		{"TE without trailers", []string{"TE: gzip"}, nil},
		{"TE with trailers", []string{"TE: gzip;q=0.5, trailers"}, []string{"TE: trailers"}},
		{"TE twice", []string{"TE: gzip", "te: Trailers", "TE: trailers"}, []string{"te: Trailers"}},
		{"Trailer without chunks", []string{"Trailer: x"}, nil},
		{"Trailer", []string{"Transfer-Encoding: chunked", "Trailer: x-sum, Server-Timing"},
			[]string{"Transfer-Encoding: chunked", "Trailer: x-sum, Server-Timing"}},
		{"Trailer that promises what is not sent", []string{"Transfer-Encoding: chunked", "Trailer: x-sum, Content-Length"},
			[]string{"Transfer-Encoding: chunked"}},
		{"Trailer that is malformed", []string{"Transfer-Encoding: chunked", "Trailer: a b"}, []string{"Transfer-Encoding: chunked"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, _, err := feed(t, asRequest, Limits{}, get(test.in...))
			if err != nil {
				t.Fatal(err)
			}
			StripHopByHop(h)
			if diff := cmp.Diff(append([]string{"Host: a"}, test.want...), liveFields(h)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestAppendChunks(t *testing.T) {
	out := appendChunk(nil, []byte("hello, chunked world"))
	out = appendChunk(out, nil)
	out = AppendLastChunk(out, nil)
	if diff := cmp.Diff("14\r\nhello, chunked world\r\n0\r\n\r\n", string(out)); diff != "" {
		t.Error(diff)
	}
	var b BodyDecoder
	b.Begin(message.Chunked, -1, Limits{})
	if _, _, done, err := b.Decode([]byte("0\r\nA: 1\r\nHost: x\r\nB:2 \r\n\r\n")); !done || err != nil {
		t.Fatal(done, err)
	}
	if diff := cmp.Diff("0\r\nA: 1\r\nB: 2\r\n\r\n", string(AppendLastChunk(nil, b.Trailers()))); diff != "" {
		t.Error(diff)
	}
	made := message.Head{}
	made.Add(message.Unknown, "grpc-status", "0")
	if diff := cmp.Diff("0\r\ngrpc-status: 0\r\n\r\n", string(AppendLastChunk(nil, &made))); diff != "" {
		t.Error(diff)
	}
}

// TestNoAllocations is the promise of doc.go.
func TestNoAllocations(t *testing.T) {
	var d HeadDecoder
	var h message.Head
	var b BodyDecoder
	out := make([]byte, 0, 4096)
	request := []byte("POST http://h?q HTTP/1.1\r\nHost: other\r\nTE: x, trailers\r\nConnection: x-y, upgrade\r\nUpgrade: h2c\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n")
	response := []byte(typicalResponse)
	body := []byte("5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\nHost: a\r\n\r\n")
	if n := testing.AllocsPerRun(100, func() {
		if n, err := d.Request(request, &h); n == 0 || err != nil {
			t.Fatal(n, err)
		}
		StripHopByHop(&h)
		out = AppendRequest(out[:0], &h, h.OriginTarget(), Close)
		b.Begin(h.Framing, h.Length, Limits{})
		data, _, done, err := b.Decode(body)
		if !done || err != nil {
			t.Fatal(done, err)
		}
		out = AppendLastChunk(appendChunk(out, data), b.Trailers())
		if n, err := d.Response(response, message.GET, &h); n == 0 || err != nil {
			t.Fatal(n, err)
		}
		out = AppendResponse(out[:0], &h, Persist)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
