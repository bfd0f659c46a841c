package catalog_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// What a service says of its own requests, in tags that Fabio does not know.
func TestOptionsOfTags(t *testing.T) {
	proxytest.NoLeaks(t)
	a := backends.Consul(t, backends.ConsulOptions{})
	proxytest.Offer(t, a.Register, "reader", "hopscope-route=/items methods=GET,HEAD")
	proxytest.Offer(t, a.Register, "writer", "hopscope-route=/items methods=POST body=10")
	proxytest.Offer(t, a.Register, "odd", "hopscope-route=/odd methods=G?T", "urlprefix-/fabio methods=GET")
	offer := func(name, tag string, h http.HandlerFunc) {
		a.Register(t, proxytest.Registration(name, proxytest.Serve(t, h), tag))
	}
	var flaky, twice atomic.Int32
	fails := func(n *atomic.Int32) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if n.Add(1)%2 == 1 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			io.WriteString(w, "at last")
		}
	}
	offer("flaky", "hopscope-route=/flaky retries=1 retry_on=5xx", fails(&flaky))
	offer("once", "hopscope-route=/once retries=0", fails(&twice))
	release := make(chan struct{})
	arrived := make(chan struct{}, 1)
	offer("busy", "hopscope-route=/busy max_requests=1", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/busy/held" {
			arrived <- struct{}{}
			<-release
		}
		io.WriteString(w, "busy")
	})
	offer("silent", "hopscope-route=/silent idle_timeout=50ms", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	l := proxytest.StartYAML(t, `
service: mesh
consul: {address: "`+a.Address+`"}
catalog: {like: services}
listeners: [{name: ingress, address: "127.0.0.1:0", catalog: consul}]
clusters: {services: {retry: {on: [5xx], attempts: 2}}}
`)
	for path, want := range map[string]int{"/items/1": 200, "/odd": 403, "/fabio": 200, "/busy/x": 200, "/silent": 504} {
		l.AwaitAnswer("any", path, want, "")
	}
	ask := func(method, path, content string) *http.Response {
		return proxytest.Ask(t, l.Ingress(), fmt.Sprintf("%s %s HTTP/1.1\r\nHost: any\r\nContent-Length: %d\r\n\r\n%s", method, path, len(content), content))
	}
	for _, tt := range []struct {
		method, path, content string
		status                int
	}{
		{"GET", "/items/1", "", 200},
		{"POST", "/items/1", "ten  bytes", 200},
		{"POST", "/items/1", "eleven byte", 413},
		{"GET", "/items/1", "eleven byte", 200},
		{"DELETE", "/items/1", "", 404},
		{"POST", "/fabio", "", 200},
		{"GET", "/flaky", "", 200},
		{"GET", "/flaky", "", 200},
	} {
		if got := ask(tt.method, tt.path, tt.content).StatusCode; got != tt.status {
			t.Errorf("%s %s with %q: %d, want %d", tt.method, tt.path, tt.content, got, tt.status)
		}
	}
	statuses := map[int]int{}
	proxytest.Eventually(t, "the route /once", func() bool { return ask("GET", "/once", "").StatusCode != 404 })
	for range 4 {
		statuses[ask("GET", "/once", "").StatusCode]++
	}
	if statuses[503] != 2 || statuses[200] != 2 {
		t.Errorf("without retries there are %v, which half of the requests meet", statuses)
	}
	held := make(chan int)
	go func() { held <- ask("GET", "/busy/held", "").StatusCode }()
	<-arrived
	r := ask("GET", "/busy/x", "")
	proxytest.Same(t, "the status while a request is under way", r.StatusCode, 503)
	if status := r.Header.Get("Proxy-Status"); !strings.Contains(status, "route_max_requests") {
		t.Errorf("Proxy-Status: %s", status)
	}
	close(release)
	proxytest.Same(t, "the status of the request that was under way", <-held, 200)
	if _, text := l.Call("GET", l.AdminURL()+"catalog", ""); !strings.Contains(text, "methods: only tags that begin with hopscope-route= have it") || !strings.Contains(text, `is no list of methods such as GET,POST`) {
		t.Errorf("/catalog does not say what is wrong with tags: %s", text)
	}
}
