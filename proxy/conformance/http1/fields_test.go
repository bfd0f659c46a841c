package http1_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// exchange sends a request through a proxy and returns the head that the
// endpoint got; the endpoint answers with the response's fields, and the head
// that the client got is returned too. What the proxy adds to each of them
// without being asked is left out.
func exchange(t *testing.T, request, responseFields string, change ...func(*proxytest.Settings)) (up, down []string) {
	t.Helper()
	got := make(chan []string, 1)
	rig := proxytest.Start(t, proxytest.Answering(t, func(first string, fields []string) string {
		got <- append([]string{first}, fields...)
		return "HTTP/1.1 200 OK\r\n" + responseFields + "Content-Length: 0\r\n\r\n"
	}), change...)
	client := rig.Dial()
	client.Send(request)
	first, fields := client.ReadHead()
	select {
	case up = <-got:
	default:
		t.Fatalf("nothing reached the endpoint: %q %q", first, fields)
	}
	return without(up, "traceparent", "tracestate", "x-request-id", "x-envoy-expected-rq-timeout-ms"), without(append([]string{first}, fields...), "proxy-status", "date", "Content-Length")
}

func without(lines []string, names ...string) []string {
	return slices.DeleteFunc(lines, func(line string) bool {
		name, _, _ := strings.Cut(line, ":")
		return slices.Contains(names, name)
	})
}

// asItCame turns off what a proxy says of itself and of the client.
func asItCame(s *proxytest.Settings) {
	s.Listener.Via = false
	s.Listener.Forwarded.XForwarded = "pass"
}

// TestHTTP1FieldsPass: names keep their case and order, and duplicates stay
// apart.
func TestHTTP1FieldsPass(t *testing.T) {
	proxytest.NoLeaks(t)
	const fields = "x-lower: 1\r\nX-UPPER: 2\r\nX-Foo: a\r\nAccept:   text/html, */*;q=0.1  \r\nX-Foo: b\r\nx-foo: c\r\nX-Empty:\r\nX-Obs: caf\xe9\r\nCookie: a=1; b=2\r\nCookie: c=3\r\n"
	up, down := exchange(t, "GET /a%20b?c=d&e HTTP/1.1\r\nhOST: Shop.Example:80\r\n"+fields+"\r\n",
		"sErVeR: x\r\nSet-Cookie: a=1, b\r\nX-Foo: a\r\nSet-Cookie: c=2\r\nset-cookie: d=3\r\nX-foo: b\r\n", asItCame)
	want := []string{
		"GET /a%20b?c=d&e HTTP/1.1", "hOST: Shop.Example:80", "x-lower: 1", "X-UPPER: 2", "X-Foo: a", "Accept: text/html, */*;q=0.1",
		"X-Foo: b", "x-foo: c", "X-Empty: ", "X-Obs: caf\xe9", "Cookie: a=1; b=2", "Cookie: c=3",
	}
	if diff := cmp.Diff(want, up); diff != "" {
		t.Errorf("the request (-want +got):\n%s", diff)
	}
	want = []string{"HTTP/1.1 200 OK", "sErVeR: x", "Set-Cookie: a=1, b", "X-Foo: a", "Set-Cookie: c=2", "set-cookie: d=3", "X-foo: b"}
	if diff := cmp.Diff(want, down); diff != "" {
		t.Errorf("the response (-want +got):\n%s", diff)
	}
}

// TestHTTP1HopByHop: what is about one connection does not pass, in either
// direction, and what only claims to be does.
func TestHTTP1HopByHop(t *testing.T) {
	proxytest.NoLeaks(t)
	tests := []struct {
		name     string
		request  string // fields behind Host
		up       []string
		response string
		down     []string
	}{
		{
			name:     "nominated",
			request:  "Connection: X-Private, keep-alive\r\nX-Private: 1\r\nx-private: 2\r\nX-Public: 3\r\n",
			up:       []string{"X-Public: 3"},
			response: "Connection: x-secret\r\nX-Secret: 1\r\nX-Public: 2\r\n",
			down:     []string{"X-Public: 2"},
		},
		{
			name:     "several Connection fields",
			request:  "X-A: 1\r\nConnection: X-A\r\nconnection: x-b\r\nX-B: 2\r\nX-C: 3\r\n",
			up:       []string{"X-C: 3"},
			response: "X-A: 1\r\nConnection: X-A\r\nConnection: X-B\r\nX-B: 2\r\n",
		},
		{
			name:     "the usual ones",
			request:  "Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: gzip\r\nTrailer: X-T\r\nUpgrade: h2c\r\nX-C: 3\r\n",
			up:       []string{"X-C: 3"},
			response: "Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nUpgrade: h2c\r\nTrailer: X-T\r\n",
		},
		{
			name:    "TE: trailers",
			request: "TE: trailers, gzip\r\n",
			up:      []string{"TE: trailers", "Connection: TE"},
		},
		{
			name:    "fields that are for the other end",
			request: "Connection: Host, Authorization, Cookie, Via, X-Forwarded-For\r\nVia: 1.0 fred\r\nX-Forwarded-For: 192.0.2.1\r\n",
			up:      []string{"Via: 1.0 fred", "X-Forwarded-For: 192.0.2.1"},
		},
		{
			name:     "Content-Length named",
			request:  "Connection: Content-Length\r\nContent-Length: 0\r\n",
			up:       []string{"Content-Length: 0"},
			response: "Connection: Content-Length\r\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			up, down := exchange(t, "GET / HTTP/1.1\r\nHost: a\r\n"+tt.request+"\r\n", tt.response, asItCame)
			if diff := cmp.Diff(append([]string{"GET / HTTP/1.1", "Host: a"}, tt.up...), up); diff != "" {
				t.Errorf("the request (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(append([]string{"HTTP/1.1 200 OK"}, tt.down...), down); diff != "" {
				t.Errorf("the response (-want +got):\n%s", diff)
			}
		})
	}
}

// TestHTTP1Forwarded: what the endpoint is told of the client, and whom the
// proxy takes for the client.
func TestHTTP1Forwarded(t *testing.T) {
	proxytest.NoLeaks(t)
	const came = "X-Forwarded-For: 192.0.2.1, 192.0.2.2\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: b\r\nForwarded: for=192.0.2.3\r\nX-Forwarded-For: 192.0.2.4\r\nVia: 1.0 fred\r\n"
	tests := []struct {
		name    string
		request string
		change  func(*proxytest.Settings)
		up      []string
		client  string
	}{
		{"none, append", "", func(*proxytest.Settings) {}, []string{"x-forwarded-for: 127.0.0.1", "x-forwarded-proto: http", "via: 1.1 web"}, "127.0.0.1"},
		{"none, all of them", "", func(s *proxytest.Settings) { s.Listener.Forwarded.RFC7239 = "append" }, []string{"forwarded: for=127.0.0.1;proto=http;host=\"a\"", "x-forwarded-for: 127.0.0.1", "x-forwarded-proto: http", "via: 1.1 web"}, "127.0.0.1"},
		{
			"append, no trust", came,
			func(s *proxytest.Settings) { s.Listener.Forwarded.RFC7239 = "append" },
			[]string{
				"X-Forwarded-Host: b", "Via: 1.0 fred", "forwarded: for=192.0.2.3, for=127.0.0.1;proto=http;host=\"a\"",
				"x-forwarded-for: 192.0.2.1, 192.0.2.2, 192.0.2.4, 127.0.0.1", "x-forwarded-proto: http", "via: 1.1 web",
			},
			"127.0.0.1",
		},
		{
			"append, one proxy", came,
			func(s *proxytest.Settings) { s.Listener.Forwarded.TrustedProxies = 1 },
			[]string{
				"X-Forwarded-Proto: https", "X-Forwarded-Host: b", "Forwarded: for=192.0.2.3", "Via: 1.0 fred",
				"x-forwarded-for: 192.0.2.1, 192.0.2.2, 192.0.2.4, 127.0.0.1", "via: 1.1 web",
			},
			"192.0.2.4",
		},
		{
			"append, two proxies", came,
			func(s *proxytest.Settings) { s.Listener.Forwarded.TrustedProxies = 2 },
			[]string{
				"X-Forwarded-Proto: https", "X-Forwarded-Host: b", "Forwarded: for=192.0.2.3", "Via: 1.0 fred",
				"x-forwarded-for: 192.0.2.1, 192.0.2.2, 192.0.2.4, 127.0.0.1", "via: 1.1 web",
			},
			"192.0.2.2",
		},
		{
			"more proxies than entries", came,
			func(s *proxytest.Settings) { s.Listener.Forwarded.TrustedProxies = 9; asItCame(s) },
			[]string{
				"X-Forwarded-For: 192.0.2.1, 192.0.2.2", "X-Forwarded-Proto: https", "X-Forwarded-Host: b", "Forwarded: for=192.0.2.3",
				"X-Forwarded-For: 192.0.2.4", "Via: 1.0 fred",
			},
			"192.0.2.1",
		},
		{
			"replace", came,
			func(s *proxytest.Settings) {
				s.Listener.Forwarded.XForwarded, s.Listener.Forwarded.RFC7239 = "replace", "replace"
			},
			[]string{"Via: 1.0 fred", "forwarded: for=127.0.0.1;proto=http;host=\"a\"", "x-forwarded-for: 127.0.0.1", "x-forwarded-proto: http", "via: 1.1 web"},
			"127.0.0.1",
		},
		{
			"cut", came,
			func(s *proxytest.Settings) {
				s.Listener.Forwarded.XForwarded, s.Listener.Forwarded.RFC7239, s.Listener.Via = "cut", "cut", false
			},
			[]string{"Via: 1.0 fred"}, "127.0.0.1",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := make(chan []string, 1)
			rig := proxytest.Start(t, proxytest.Answering(t, func(_ string, fields []string) string {
				got <- without(fields, "traceparent", "tracestate", "x-request-id", "x-envoy-expected-rq-timeout-ms", "Host")
				return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nVia: 1.1 far\r\n\r\n"
			}), tt.change)
			client := rig.Dial()
			trace, field := proxytest.NewTrace()
			client.Send("GET / HTTP/1.1\r\nHost: a\r\n", field, tt.request, "\r\n")
			_, fields := client.ReadHead()
			if diff := cmp.Diff(tt.up, <-got); diff != "" {
				t.Errorf("the request (-want +got):\n%s", diff)
			}
			want := []string{"Via: 1.1 far", "via: 1.1 web"}
			if !slices.Contains(tt.up, "via: 1.1 web") {
				want = want[:1]
			}
			if diff := cmp.Diff(want, without(fields, "Content-Length", "proxy-status", "date")); diff != "" {
				t.Errorf("the response (-want +got):\n%s", diff)
			}
			if h := rig.Hop(trace); h.Client != tt.client {
				t.Errorf("the client is %s, want %s", h.Client, tt.client)
			}
		})
	}
}

// TestHTTP1Host: the endpoint sees the client's Host, or what the route says.
func TestHTTP1Host(t *testing.T) {
	proxytest.NoLeaks(t)
	tests := []struct {
		name, request, host string
		first, want         string // want "" is the endpoint's address
	}{
		{"as it came", "GET /p HTTP/1.1\r\nHost: shop.example:81\r\n\r\n", "", "GET /p HTTP/1.1", "shop.example:81"},
		{"with a dot", "GET /p HTTP/1.1\r\nHost: Shop.Example.:80\r\n\r\n", "", "GET /p HTTP/1.1", "Shop.Example.:80"},
		{"a name", "GET /p HTTP/1.1\r\nHost: shop.example\r\n\r\n", "other.example", "GET /p HTTP/1.1", "other.example"},
		{"the endpoint's", "GET /p HTTP/1.1\r\nHost: shop.example\r\n\r\n", "endpoint", "GET /p HTTP/1.1", ""},
		{"absolute form", "GET http://shop.example/p?q HTTP/1.1\r\nHost: else.example\r\n\r\n", "", "GET /p?q HTTP/1.1", "shop.example"},
		{"absolute form without a path", "GET http://shop.example?q HTTP/1.1\r\nHost: shop.example\r\n\r\n", "", "GET /?q HTTP/1.1", "shop.example"},
		{"absolute form, a name", "GET http://shop.example/ HTTP/1.1\r\nHost: shop.example\r\n\r\n", "other.example", "GET / HTTP/1.1", "other.example"},
		{"asterisk form", "OPTIONS * HTTP/1.1\r\nHost: shop.example\r\n\r\n", "", "OPTIONS * HTTP/1.1", "shop.example"},
		{"HTTP/1.0 without", "GET / HTTP/1.0\r\n\r\n", "", "GET / HTTP/1.1", ""},
		{"HTTP/1.0 without, a name", "GET / HTTP/1.0\r\n\r\n", "other.example", "GET / HTTP/1.1", "other.example"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			address := ""
			up, _ := exchange(t, tt.request, "", func(s *proxytest.Settings) {
				asItCame(s)
				s.Route.Host, address = tt.host, s.Cluster.Endpoints[0]
			})
			if up[0] != tt.first {
				t.Errorf("request line %q, want %q", up[0], tt.first)
			}
			if got := proxytest.Field(up, "Host"); got != orElse(tt.want, address) {
				t.Errorf("Host %q, want %q", got, orElse(tt.want, address))
			}
		})
	}
}

// TestHTTP1Routes: the first route that matches is taken, and none is a 404.
func TestHTTP1Routes(t *testing.T) {
	proxytest.NoLeaks(t)
	rig := proxytest.Start(t, proxytest.Serve(t, proxytest.Echo), func(s *proxytest.Settings) {
		m := &s.Route.Match
		m.PathPrefix, m.Hosts, m.Methods = "/api/", []string{"*.example.com", "dot.test."}, []string{"GET", "POST"}
	})
	client := rig.Dial()
	tests := []struct {
		request string
		status  int
	}{
		{"GET /api/x HTTP/1.1\r\nHost: a.example.com\r\n", 200},
		{"GET /api/x HTTP/1.1\r\nHost: A.EXAMPLE.com:8080\r\n", 200},
		{"GET http://a.example.com/api/ HTTP/1.1\r\nHost: else\r\n", 200},
		{"GET /api HTTP/1.1\r\nHost: a.example.com\r\n", 404},
		{"GET /api/x HTTP/1.1\r\nHost: example.com\r\n", 404},
		{"GET /api/x HTTP/1.1\r\nHost: a.example.com.\r\n", 200},
		{"GET /api/x HTTP/1.1\r\nHost: dot.test\r\n", 200},
		{"GET /api/x HTTP/1.1\r\nHost: Dot.Test.:80\r\n", 200},
		{"GET /api/x HTTP/1.1\r\nHost: dot.test..\r\n", 404},
		{"GET /api/x HTTP/1.1\r\nHost: .\r\n", 404},
		{"PUT /api/x HTTP/1.1\r\nHost: a.example.com\r\n", 404},
		{"HEAD / HTTP/1.1\r\nHost: a.example.com\r\n", 404},
		{"OPTIONS * HTTP/1.1\r\nHost: a.example.com\r\n", 404},
	}
	for _, tt := range tests { // one connection: a 404 does not end it
		trace, field := proxytest.NewTrace()
		client.Send(tt.request, field, "\r\n")
		method, _, _ := strings.Cut(tt.request, " ")
		if resp, body := client.ReadResponse(method); resp.StatusCode != tt.status {
			t.Errorf("%q: status %d, want %d: %s", tt.request, resp.StatusCode, tt.status, body)
		}
		h := rig.Hop(trace)
		if flags := h.Flags.String(); (flags == "NR") != (tt.status == 404) || h.Status != tt.status {
			t.Errorf("%q: flags %q, status %d", tt.request, flags, h.Status)
		}
	}
}
