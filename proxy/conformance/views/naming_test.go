package views_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/telemetry/headers"
	"github.com/hopscope/hopscope/telemetry/hop"
)

// calling is a service "web" that calls another one by the alias "backend" of its cluster,
// at an address; more is what else its configuration says of the cluster.
func calling(t *testing.T, address, more string) *proxytest.Proxy {
	return proxytest.StartYAML(t, fmt.Sprintf(`service: web
listeners:
  - {name: ingress, address: "127.0.0.1:0", direction: outbound, routes: [{cluster: backend, match: {hosts: [payments.test, "a.web.test"]}}]}
clusters: {backend: {endpoints: ["%s"]%s}}
`, address, more))
}

// answering is a proxy of a service in front of its application.
func answering(t *testing.T, service, serverTiming string) *proxytest.Proxy {
	return proxytest.StartYAML(t, fmt.Sprintf(`service: %s
listeners: [{name: ingress, address: "127.0.0.1:0", server_timing: %s, routes: [{cluster: app}]}]
clusters: {app: {endpoints: ["%s"]}}
`, service, serverTiming, proxytest.Always(proxytest.OKResponse)(t)))
}

// TestCalleeByItsOwnName: the service that can't be reached is named, by the name that it
// has for itself, or that the configuration has; and which part of it does not answer.
func TestCalleeByItsOwnName(t *testing.T) {
	for _, tt := range []struct {
		name, service, serverTiming, more string
		want                              string
		part                              hop.Part
	}{
		{"it said its name", "payments", "append", "", "payments", hop.PartProxy},
		{"another proxy's word is not taken for it", "cdn", "cut", "", "backend", hop.PartApplication},
		{"it has the name that is expected", "backend", "cut", "", "backend", hop.PartProxy},
		{"the configuration says it", "payments", "cut", ", peer_service: payments", "payments", hop.PartProxy},
		{"the configuration comes first", "other", "append", ", peer_service: payments", "payments", hop.PartProxy},
	} {
		t.Run(tt.name, func(t *testing.T) {
			callee := answering(t, tt.service, tt.serverTiming)
			l := calling(t, callee.Ingress(), tt.more)
			request := "GET / HTTP/1.1\r\nHost: payments.test\r\nConnection: close\r\n\r\n"
			proxytest.Same(t, "status", proxytest.Ask(t, l.Ingress(), request).StatusCode, 200)
			callee.Stop()
			r := proxytest.Ask(t, l.Ingress(), request)
			f, _ := headers.Failure(proxytest.ProxyStatus(t, r))
			proxytest.Same(t, "status", r.StatusCode, 503)
			proxytest.Same(t, "failed hop", f.Hop, tt.want)
			proxytest.Same(t, "part", f.Part, tt.part)
			proxytest.Same(t, "kind", f.Kind, "connect_refused")
			proxytest.Same(t, "caller", f.Caller, "web")
			proxytest.Same(t, "endpoint", f.Endpoint, callee.Ingress())
		})
	}
}

// TestNoRouteIsTheCallersMistake: a call for which there is no route is the caller's
// configuration, which the error names together with the nearest name; and the inbound hop
// says so, too, where the application fails because of it.
func TestNoRouteIsTheCallersMistake(t *testing.T) {
	var egress string
	app := proxytest.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		call, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://"+egress+"/", nil)
		if err != nil {
			t.Error(err)
			return
		}
		call.Host = "paymnts.test"
		call.Header.Set("Traceparent", r.Header.Get("Traceparent"))
		resp, err := http.DefaultClient.Do(call)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		proxytest.Same(t, "status of the call", resp.StatusCode, 404)
		_, _ = io.Copy(io.Discard, resp.Body)
		w.WriteHeader(500)
	})
	l := proxytest.StartYAML(t, fmt.Sprintf(`service: web
listeners:
  - {name: ingress, address: "127.0.0.1:0", routes: [{cluster: app}]}
  - {name: egress, address: "127.0.0.1:0", direction: outbound, routes: [{cluster: app, match: {hosts: [payments.test]}}]}
clusters: {app: {endpoints: ["%s"]}}
`, app))
	egress = l.Egress()
	r := proxytest.Ask(t, l.Ingress(), "GET / HTTP/1.1\r\nHost: web.test\r\n\r\n")
	f, _ := headers.Failure(proxytest.ProxyStatus(t, r))
	proxytest.Same(t, "status", r.StatusCode, 500)
	proxytest.Same(t, "failed hop", f.Hop, "web")
	proxytest.Same(t, "part", f.Part, hop.PartConfiguration)
	proxytest.Same(t, "kind", f.Kind, "not_found")
	proxytest.Reason(t, "reason", f.Reason, `host "paymnts.test"`)
	proxytest.Reason(t, "reason", f.Reason, "the nearest name that has one is payments.test")
}
