package views_test

import (
	"fmt"
	"maps"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// TestEachFailedRequestIsChargedOnce: the sum over all proxies of a chain is the number of
// requests of clients that failed, by culprit, whatever the client and the application in
// the middle do with the trace context.
func TestEachFailedRequestIsChargedOnce(t *testing.T) {
	clients := map[string]string{
		"a client without a trace":        "",
		"a client that began the trace":   "traceparent: 00-" + traceA + "-" + spanA + "-00\r\n",
		"a client with a tracestate":      "traceparent: 00-" + traceA + "-" + spanA + "-01\r\ntracestate: a=1\r\n",
		"a client that speaks B3":         "b3: " + traceA + "-" + spanA + "-1\r\n",
		"a client of a mesh of strangers": "traceparent: 00-" + traceA + "-" + spanA + "-00\r\ntracestate: hopscope=1\r\n",
	}
	const other = "00f067aa0ba902b8"
	applications := map[string]func(from, to http.Header){
		"copies traceparent": func(from, to http.Header) { to.Set("traceparent", from.Get("traceparent")) },
		"has spans of its own": func(from, to http.Header) {
			parent := []byte(from.Get("traceparent"))
			copy(parent[36:], other)
			to.Set("traceparent", string(parent))
			to.Set("tracestate", from.Get("tracestate"))
		},
		"passes nothing on": func(http.Header, http.Header) {},
	}
	for client, fields := range clients {
		for application, pass := range applications {
			t.Run(client+", and an application that "+application, func(t *testing.T) {
				t.Parallel()
				c := newCharged(t, pass)
				want := map[string]float64{}
				for _, r := range []struct {
					path, culprit string
					status        int
				}{
					{"/ok", "", 200},
					{"/own", "web application error_response", 500},
					{"/call", "payments application connect_refused", 500},
					{"/call", "payments application connect_refused", 500},
					{"/recover", "", 200},
					{"/again", "", 200},
					{"/missing", "", 404},
				} {
					answer := proxytest.Ask(t, c.gateway.Ingress(), "GET "+r.path+" HTTP/1.1\r\nHost: web.test\r\n"+fields+"\r\n")
					proxytest.Same(t, r.path, answer.StatusCode, r.status)
					if r.culprit != "" {
						want[r.culprit]++
					}
				}
				if got := c.blamed(); !maps.Equal(got, want) {
					t.Errorf("charged are %v, want %v", got, want)
				}
			})
		}
	}
}

// TestOtherFormatsAreChargedOnce: proxies that go by another format than W3C's count once,
// too, as long as they send that.
func TestOtherFormatsAreChargedOnce(t *testing.T) {
	t.Parallel()
	c := newCharged(t, func(from, to http.Header) { to.Set("b3", from.Get("b3")) }, func(s *proxytest.Settings) {
		s.Config.Telemetry.Traces.Extract, s.Config.Telemetry.Traces.Inject = []string{"b3", "w3c"}, []string{"w3c", "b3"}
	})
	for _, path := range []string{"/own", "/call"} {
		proxytest.Same(t, path, proxytest.Ask(t, c.gateway.Ingress(), "GET "+path+" HTTP/1.1\r\nHost: web.test\r\n\r\n").StatusCode, 500)
	}
	want := map[string]float64{"web application error_response": 1, "payments application connect_refused": 1}
	if got := c.blamed(); !maps.Equal(got, want) {
		t.Errorf("charged are %v, want %v", got, want)
	}
}

// TestCallsOfItsOwnAreCharged: a call that a service makes by itself, as by a timer, enters
// the mesh at its proxy.
func TestCallsOfItsOwnAreCharged(t *testing.T) {
	for name, fields := range map[string]string{
		"without a trace": "", "with one": "traceparent: 00-" + traceA + "-" + spanA + "-00\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCharged(t, func(http.Header, http.Header) {})
			address := c.payments.Ingress()
			answer := proxytest.Ask(t, c.web.Egress(), "GET http://"+address+"/ HTTP/1.1\r\nHost: "+address+"\r\n"+fields+"\r\n")
			proxytest.Same(t, "status", answer.StatusCode, 503)
			if got := c.blamed(); !maps.Equal(got, map[string]float64{"payments application connect_refused": 1}) {
				t.Errorf("charged are %v", got)
			}
		})
	}
}

// charged is a chain: a gateway that repeats requests, web, whose application calls
// payments by its sidecar, and payments, which has no application.
type charged struct {
	gateway, web, payments *proxytest.Proxy
}

func newCharged(t *testing.T, pass func(from, to http.Header), change ...func(*proxytest.Settings)) *charged {
	c := &charged{payments: proxytest.StartWithViews(t, proxytest.RefusingAddress(t), append(change, proxytest.ServiceName("payments"))...)}
	var tries atomic.Int64
	c.web = behind(t, func(a *application, w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/own":
			w.WriteHeader(500)
		case "/missing":
			w.WriteHeader(404)
		case "/again":
			if tries.Add(1) == 1 {
				w.WriteHeader(503)
			}
		case "/call", "/recover":
			out, err := http.NewRequest("GET", "http://"+c.payments.Ingress()+"/", nil)
			if err != nil {
				t.Error(err)
				return
			}
			pass(r.Header, out.Header)
			resp, err := a.client.Do(out)
			if err != nil {
				t.Error(err)
				return
			}
			proxytest.Finish(resp)
			if r.URL.Path == "/call" {
				w.WriteHeader(500)
			}
		}
	}, append(change, proxytest.ServiceName("web"))...)
	c.gateway = proxytest.StartWithViews(t, c.web.Ingress(), append(change, proxytest.ServiceName("gateway"), func(s *proxytest.Settings) {
		s.Cluster.Retry = proxytest.Retrying(3, "5xx")
	})...)
	return c
}

// blamed are the failed requests that the proxies have charged, by culprit, part and kind.
func (c *charged) blamed() map[string]float64 {
	all := map[string]float64{}
	for _, p := range []*proxytest.Proxy{c.gateway, c.web, c.payments} {
		p.Settle()
		for _, m := range p.Scrape()["hopscope_blame_total"].GetMetric() {
			label := map[string]string{}
			for _, l := range m.GetLabel() {
				label[l.GetName()] = l.GetValue()
			}
			all[fmt.Sprintf("%s %s %s", label["culprit"], label["part"], label["kind"])] += m.GetCounter().GetValue()
		}
	}
	return all
}
