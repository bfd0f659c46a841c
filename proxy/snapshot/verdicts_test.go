package snapshot_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestStatusesFrom600 are relayed, and taken as 5xx by all that looks at a status
// (RFC 9110 section 15).
func TestStatusesFrom600(t *testing.T) {
	plainPairs(t, func(t *testing.T, down, up side) {
		x := newCross(t, down, up, nil)
		x.handle("/", http.HandlerFunc(answers(999)))
		expectText(t, x.do(x.request(within(t), "GET", "/", nil)), 999, "as planned")
		x.client.CloseIdleConnections()
		v := x.end(1)
		one := v.lines[0]
		if one.number("status") != 999 || one.text("failed_hop") != "web" || !strings.HasSuffix(one.text("failure_reason"), " answered 999") {
			t.Errorf("the access log says %v", one)
		}
		for _, s := range v.spans {
			if !s.failed() || s.attributes["http.response.status_code"] != "999" || s.attributes["error.type"] != "999" {
				t.Errorf("the span %s says %v", s.Name, s.attributes)
			}
		}
		if n := v.metrics.sum("hopscope_failures_total", "origin", "endpoint"); n != 1 {
			t.Errorf("%g failures counted", n)
		}
	})
}

// TestStatusesFrom600AreRetried as 5xx are.
func TestStatusesFrom600AreRetried(t *testing.T) {
	plainPairs(t, func(t *testing.T, down, up side) {
		x := stage(t, up, 2, answers(600), answers(200)).try(down, up, func(s *settings) { s.Cluster.Retry = retrying(2, "5xx") })
		x.ask("GET", nil).want(t, 200, "", "600 200")
	})
}

// TestLongTargets: the limit of a head is the only one of a target, in both
// protocols.
func TestLongTargets(t *testing.T) {
	plainPairs(t, func(t *testing.T, down, up side) {
		x := newCross(t, down, up, nil)
		long := "/" + strings.Repeat("a", 17_000)
		x.handle(long, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
		if resp := x.do(x.request(within(t), "GET", long, nil)); resp.StatusCode != 204 {
			t.Errorf("17 KB: status %d", resp.StatusCode)
		}
		longer := "/" + strings.Repeat("a", 61_440)
		var resp *http.Response
		if down.http2 { // net/http's client would refuse it itself
			client := dialFramed(t, x.ingress())
			resp, _ = client.response(client.ask(true, "GET", longer))
			client.close()
		} else {
			resp = ask(t, x.ingress(), "GET ", longer, " HTTP/1.1\r\nHost: web.test\r\n\r\n")
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
	noLeaks(t)
	hosts := make(chan string, 1)
	rig := startProxy(t, answering(t, func(_ string, fields []string) string {
		hosts <- value(fields, "Host")
		return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	}), func(s *settings) { s.Route.Match.Hosts = []string{"shop.test"} })
	client := dialFramed(t, rig.ingress())
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
		stream := client.next
		client.next += 2
		client.headers(stream, true, client.encode(":method: GET", ":scheme: http", ":authority: "+tt.authority, ":path: /", "host: "+tt.host))
		resp, body := client.response(stream)
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
	client.close()
}
