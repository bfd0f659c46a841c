package views_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/telemetry/headers"
)

// chained is a service with an application that passes each request on to the next, by way
// of its own sidecar. pass makes the head of the call from that of the request. Every
// timeout of the sidecar is the same.
func chained(t testing.TB, name, next string, timeout time.Duration, pass func(from, to http.Header), change ...func(*proxytest.Settings)) *proxytest.Proxy {
	var egress atomic.Pointer[url.URL] // known when the sidecar runs
	transport := &http.Transport{Proxy: func(*http.Request) (*url.URL, error) { return egress.Load(), nil }}
	t.Cleanup(transport.CloseIdleConnections)
	app := proxytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		out, err := http.NewRequestWithContext(r.Context(), "GET", "http://"+next+"/", nil)
		if err != nil {
			panic(err)
		}
		pass(r.Header, out.Header)
		resp, err := transport.RoundTrip(out)
		if err != nil { // the sidecar gave up
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		io.Copy(w, resp.Body)
	})
	p := sidecar(t, name, app, timeout, change...)
	egress.Store(&url.URL{Scheme: "http", Host: p.Egress()})
	return p
}

func sidecar(t testing.TB, name, app string, timeout time.Duration, change ...func(*proxytest.Settings)) *proxytest.Proxy {
	equal := func(s *proxytest.Settings) { s.Route.Timeout, s.Egress.ForwardProxy.Timeout = timeout, timeout }
	return proxytest.StartWithViews(t, app, append([]func(*proxytest.Settings){proxytest.ServiceName(name), equal}, change...)...)
}

// TestTheNearestNamesABlackHole: three services in a row with the same timeout everywhere,
// and the application of the last never answers. Every response names the last, whatever
// the applications in between pass on.
func TestTheNearestNamesABlackHole(t *testing.T) {
	const requests = 24
	copies := func(from, to http.Header, names ...string) {
		for _, name := range names {
			to.Set(name, from.Get(name))
		}
	}
	for _, tt := range []struct {
		name string
		pass func(from, to http.Header)
	}{
		{"the deadline is passed on", func(from, to http.Header) {
			copies(from, to, "Traceparent", "X-Envoy-Expected-Rq-Timeout-Ms")
		}},
		{"only the trace is", func(from, to http.Header) { copies(from, to, "Traceparent") }},
		{"the applications make spans of their own", func(from, to http.Header) {
			to.Set("Traceparent", from.Get("Traceparent")[:36]+"00f067aa0ba902b7-01")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			proxytest.Unhurried(t, time.Second, func(t testing.TB, timeout time.Duration) {
				hole := proxytest.Endpoint(t, func(_ int, p *proxytest.Peer) { io.Copy(io.Discard, p.TCPConn) })
				last := sidecar(t, "last", hole, timeout)
				middle := chained(t, "middle", last.Ingress(), timeout, tt.pass)
				first := chained(t, "first", middle.Ingress(), timeout, tt.pass)
				var wg sync.WaitGroup
				var mu sync.Mutex
				named := map[string]int{}
				for range requests {
					wg.Go(func() {
						r, err := http.Get("http://" + first.Ingress() + "/")
						if err != nil {
							t.Error(err)
							return
						}
						defer r.Body.Close()
						io.Copy(io.Discard, r.Body)
						members, _ := headers.ParseProxyStatus([][]byte{[]byte(r.Header.Get("Proxy-Status"))})
						failed, _ := headers.Failure(members)
						mu.Lock()
						defer mu.Unlock()
						named[fmt.Sprint(r.StatusCode, " ", failed.Hop)]++
					})
				}
				wg.Wait()
				if named["504 last"] != requests {
					t.Errorf("the responses say %v", named)
				}
			})
		})
	}
}
