package egress_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// TestHTTP1ForwardProxy: an application that has HTTP_PROXY set needs no more.
func TestHTTP1ForwardProxy(t *testing.T) {
	proxytest.NoLeaks(t)
	address := proxytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Proxy-Authorization") != "" || r.Header.Get("Proxy-Connection") != "" {
			t.Errorf("the endpoint got %q", r.Header)
		}
		fmt.Fprint(w, r.Method, " ", r.Host, " ", r.URL)
	})
	rig := proxytest.Start(t, address)
	proxy := &url.URL{Scheme: "http", Host: rig.Egress(), User: url.UserPassword("me", "secret")}
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy)}}
	defer client.CloseIdleConnections()
	for range 3 {
		trace, field := proxytest.NewTrace()
		_, tp, _ := strings.Cut(strings.TrimSpace(field), ": ")
		req, _ := http.NewRequest("GET", "http://"+address+"/a?b=c", nil)
		req.Header.Set("traceparent", tp)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if want := "GET " + address + " /a?b=c"; string(body) != want {
			t.Errorf("body %q, want %q", body, want)
		}
		h := rig.Hop(trace)
		if h.Labels.Direction != hop.Outbound || h.Labels.Route != "forward" || h.Labels.Cluster != "egress" || h.Attempts[0].Endpoint != address || h.Flags != 0 {
			t.Errorf("labels %+v, attempts %+v, flags %q", h.Labels, h.Attempts, h.Flags)
		}
	}
}

// TestHTTP1EgressRules: who may reach what.
func TestHTTP1EgressRules(t *testing.T) {
	proxytest.NoLeaks(t)
	address := proxytest.Serve(t, proxytest.Echo)
	_, port, _ := net.SplitHostPort(address)
	closed := "127.0.0.1:1"
	allow := func(clients string, destinations ...string) func(*proxytest.Settings) {
		return func(s *proxytest.Settings) {
			s.Egress.ForwardProxy.Allow = append(s.Egress.ForwardProxy.Allow,
				config.ForwardAllow{Clients: []netip.Prefix{netip.MustParsePrefix(clients)}, Destinations: destinations})
		}
	}
	tests := []struct {
		name   string
		change []func(*proxytest.Settings)
		target string // of GET, or of CONNECT where it has no scheme
		status int
		flag   string
		error  string
	}{
		{"loopback client", nil, "http://" + address + "/", 200, "", ""},
		{"loopback client, CONNECT", nil, address, 200, "", ""},
		{"nobody listens", nil, "http://" + closed + "/", 503, "UF", "connection_refused"},
		{"nobody listens, CONNECT", nil, closed, 503, "UF", "connection_refused"},
		{"a name that is none", nil, "http://no.such.name.invalid/", 503, "DF", "dns_error"},
		{"https by GET", nil, "https://" + address + "/", 400, "DPE", "http_request_error"},
		{"a path", nil, "/", 404, "NR", "destination_not_found"},
		{"allowed by network", []func(*proxytest.Settings){allow("127.0.0.0/8", "127.0.0.0/8")}, "http://" + address + "/", 200, "", ""},
		{"allowed by address and port", []func(*proxytest.Settings){allow("127.0.0.1/32", "127.0.0.1:"+port)}, "http://" + address + "/", 200, "", ""},
		{"allowed by a later entry", []func(*proxytest.Settings){allow("127.0.0.1/32", "a.example"), allow("127.0.0.1/32", "*")}, "http://" + address + "/", 200, "", ""},
		{"allowed by name", []func(*proxytest.Settings){allow("127.0.0.1/32", "localhost")}, "http://localhost:" + port + "/", 200, "", ""},
		{"a name in an allowed network", []func(*proxytest.Settings){allow("127.0.0.1/32", "127.0.0.0/8")}, "localhost:" + port, 200, "", ""},
		{"another client", []func(*proxytest.Settings){allow("192.0.2.0/24", "*")}, "http://" + address + "/", 403, "UAEX", "http_request_denied"},
		{"another client, CONNECT", []func(*proxytest.Settings){allow("192.0.2.0/24", "*")}, address, 403, "UAEX", "http_request_denied"},
		{"another destination", []func(*proxytest.Settings){allow("127.0.0.1/32", "192.0.2.0/24", "a.example")}, "http://" + address + "/", 403, "UAEX", "http_request_denied"},
		{"another port", []func(*proxytest.Settings){allow("127.0.0.1/32", "127.0.0.1:1")}, address, 403, "UAEX", "http_request_denied"},
		{"a name in no allowed network", []func(*proxytest.Settings){allow("127.0.0.1/32", "192.0.2.0/24")}, "localhost:" + port, 403, "UAEX", "http_request_denied"},
		{"itself", nil, "http://itself/", 502, "NR", "proxy_loop_detected"},
		{"itself, CONNECT", nil, "itself", 502, "NR", "proxy_loop_detected"},
		{"itself by name", nil, "http://localhost:itself/", 502, "NR", "proxy_loop_detected"},
		{"itself by its whole name", nil, "http://LOCALHOST.:itself/", 502, "NR", "proxy_loop_detected"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rig := proxytest.Start(t, address, tt.change...)
			_, own, _ := net.SplitHostPort(rig.Egress())
			target := strings.ReplaceAll(tt.target, ":itself", ":"+own)
			target = strings.ReplaceAll(target, "itself", rig.Egress())
			method := "GET"
			if !strings.Contains(target, "/") {
				method = "CONNECT"
			}
			client := proxytest.Dial(t, rig.Egress())
			trace, field := proxytest.NewTrace()
			client.Send(method, " ", target, " HTTP/1.1\r\nHost: a\r\n", field, "\r\n")
			first, fields := client.ReadHead()
			if !strings.HasPrefix(first, fmt.Sprintf("HTTP/1.1 %d ", tt.status)) {
				t.Errorf("received %q %q, want status %d", first, fields, tt.status)
			}
			if proxytest.Field(fields, "Connection") != "" {
				t.Error("the connection ends")
			}
			client.Close()
			if h := rig.Hop(trace); h.Flags.String() != tt.flag || h.ProxyError != tt.error || h.Labels.Direction != hop.Outbound {
				t.Errorf("flags %q, error %q, direction %s; want %q, %q", h.Flags, h.ProxyError, h.Labels.Direction, tt.flag, tt.error)
			}
		})
	}
}

// TestHTTP1ConnectIsForForwardProxies: a listener that is none refuses it.
func TestHTTP1ConnectIsForForwardProxies(t *testing.T) {
	proxytest.NoLeaks(t)
	address := proxytest.Serve(t, proxytest.Echo)
	rig := proxytest.Start(t, address)
	client := rig.Dial()
	trace, field := proxytest.NewTrace()
	client.Send("CONNECT ", address, " HTTP/1.1\r\nHost: a\r\n", field, "\r\n")
	if resp, _ := client.ReadResponse("CONNECT"); resp.StatusCode != 404 {
		t.Errorf("status %d, want 404", resp.StatusCode)
	}
	if h := rig.Hop(trace); h.Flags.String() != "NR" {
		t.Errorf("flags %q, want NR", h.Flags)
	}
}
