package matrix_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// TestStatusesFrom600 are relayed, and taken as 5xx by all that looks at a status
// (RFC 9110 section 15).
func TestStatusesFrom600(t *testing.T) {
	proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
		x := newCross(t, down, up, nil)
		x.handle("/", http.HandlerFunc(proxytest.Respond(999)))
		expectText(t, x.do(x.request(proxytest.WithinPatience(t), "GET", "/", nil)), 999, "as planned")
		x.client.CloseIdleConnections()
		v := x.End(1)
		one := v.Lines[0]
		if one.Number("status") != 999 || one.Text("failed_hop") != "front" || !strings.HasSuffix(one.Text("failure_reason"), " answered 999") {
			t.Errorf("the access log says %v", one)
		}
		for _, s := range v.Spans {
			if !s.Failed() || s.Attributes["http.response.status_code"] != "999" || s.Attributes["error.type"] != "999" {
				t.Errorf("the span %s says %v", s.Name, s.Attributes)
			}
		}
		if n := v.Metrics.Sum("hopscope_failures_total", "origin", "endpoint"); n != 1 {
			t.Errorf("%g failures counted", n)
		}
	})
}

// TestStatusesFrom600AreRetried as 5xx are.
func TestStatusesFrom600AreRetried(t *testing.T) {
	proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
		x := proxytest.StartScript(t, up, 2, proxytest.Respond(600), proxytest.Respond(200)).Start(down, up, func(s *proxytest.Settings) { s.Cluster.Retry = proxytest.Retrying(2, "5xx") })
		x.Ask("GET", nil).Want(t, 200, "", "600 200")
	})
}

// TestLongTargets: the limit of a head is the only one of a target, in both
// protocols.
func TestLongTargets(t *testing.T) {
	proxytest.PlainPairs(t, func(t *testing.T, down, up proxytest.Side) {
		x := newCross(t, down, up, nil)
		long := "/" + strings.Repeat("a", 17_000)
		x.handle(long, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
		if resp := x.do(x.request(proxytest.WithinPatience(t), "GET", long, nil)); resp.StatusCode != 204 {
			t.Errorf("17 KB: status %d", resp.StatusCode)
		}
		longer := "/" + strings.Repeat("a", 61_440)
		var resp *http.Response
		if down.HTTP2 { // net/http's client would refuse it itself
			client := proxytest.DialHTTP2(t, x.Ingress())
			resp, _ = client.ReadResponse(client.Ask(true, "GET", longer))
			client.Close()
		} else {
			resp = proxytest.Ask(t, x.Ingress(), "GET ", longer, " HTTP/1.1\r\nHost: web.test\r\n\r\n")
		}
		if resp.StatusCode != 414 {
			t.Errorf("60 KB: status %d", resp.StatusCode)
		}
	})
}

// TestHTTP2DefaultPort: :authority and Host that differ by the scheme's default
// port name the same, and the endpoint sees :authority as it came (RFC 9113
// section 8.3.1).
func TestHTTP2DefaultPort(t *testing.T) {
	proxytest.NoLeaks(t)
	hosts := make(chan string, 1)
	rig := proxytest.Start(t, proxytest.Answering(t, func(_ string, fields []string) string {
		hosts <- proxytest.Field(fields, "Host")
		return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	}), func(s *proxytest.Settings) { s.Route.Match.Hosts = []string{"shop.test"} })
	client := proxytest.DialHTTP2(t, rig.Ingress())
	for _, tt := range []struct {
		authority, host string
		status          int
	}{
		{"shop.test:80", "shop.test", 200},
		{"Shop.Test", "shop.test:80", 200},
		{"shop.test.", "shop.test.:80", 200},
		{"shop.test:81", "shop.test", 400},
		{"shop.test", "other.test", 400},
	} {
		stream := client.Next
		client.Next += 2
		client.SendHeaders(stream, true, client.Encode(":method: GET", ":scheme: http", ":authority: "+tt.authority, ":path: /", "host: "+tt.host))
		resp, body := client.ReadResponse(stream)
		if resp.StatusCode != tt.status {
			t.Errorf("%s beside %s: %d %s, want %d", tt.host, tt.authority, resp.StatusCode, body, tt.status)
		}
		if resp.StatusCode != 200 {
			continue
		}
		if got := <-hosts; got != tt.authority {
			t.Errorf("%s beside %s: the endpoint saw %q", tt.host, tt.authority, got)
		}
	}
	client.Close()
}
