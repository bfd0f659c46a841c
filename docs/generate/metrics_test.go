package main

import (
	"bytes"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/proxy/proxytest"
)

// docs/metrics.md has every metric that a proxy shows after requests of all kinds, and
// none that a proxy does not have.
func TestMetricsPageIsComplete(t *testing.T) {
	page, err := os.ReadFile("../metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	generated, err := metricsPage()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(generated), string(page)); diff != "" {
		t.Errorf("docs/metrics.md is out of date, run make generate (-want +got):\n%s", diff)
	}
	listed := map[string]bool{}
	for line := range strings.Lines(string(page)) {
		if name, _, found := strings.Cut(strings.TrimPrefix(line, "| `"), "` | "); found && strings.HasPrefix(line, "| `") && strings.Count(line, " | ") > 3 {
			listed[name] = true
		}
	}

	l := proxytest.StartWithViews(t, proxytest.Serve(t, proxytest.Echo))
	shown := traffic(t, l)
	registered := map[string]bool{}
	for _, d := range l.Metrics() {
		registered[d.Name] = true
	}
	for name := range shown {
		if !listed[name] && !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") && !strings.HasPrefix(name, "promhttp_") {
			t.Errorf("a proxy shows %s, which the page does not have", name)
		}
	}
	for name := range listed {
		if !registered[name] {
			t.Errorf("the page has %s, which a proxy does not have", name)
		}
	}
	for _, d := range l.Metrics() {
		made := strings.HasPrefix(d.Name, "http_") || strings.HasPrefix(d.Name, "rpc_")
		if f := shown[d.Name]; made && f == nil {
			t.Errorf("no request made a series of %s: let traffic make one", d.Name)
		} else if f != nil && f.GetType().String() != strings.ToUpper(d.Type) {
			t.Errorf("%s is a %s, and said to be a %s", d.Name, f.GetType(), d.Type)
		}
	}
}

// traffic sends requests and calls in both directions, and lets some fail. It returns the
// metrics after that.
func traffic(t *testing.T, l *proxytest.Proxy) proxytest.Metrics {
	t.Helper()
	call := &http.Client{Transport: &http.Transport{Protocols: new(http.Protocols)}}
	call.Transport.(*http.Transport).Protocols.SetUnencryptedHTTP2(true)
	defer call.CloseIdleConnections()
	hops := 0.0
	for _, address := range []string{l.Ingress(), l.Egress()} {
		proxytest.Ask(t, address, "POST http://127.0.0.1:1/row HTTP/1.1\r\nHost: 127.0.0.1:1\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
		r, err := http.NewRequest("POST", "http://"+address+"/shop.Cart/Add", bytes.NewReader(make([]byte, 5)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/grpc")
		r.Header.Set("Te", "trailers")
		resp, err := call.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		p := proxytest.Dial(t, address)
		p.Send("what?\r\n\r\n")
		p.ReadResponse("GET")
		p.Close()
		hops += 3
	}
	var m proxytest.Metrics
	proxytest.Eventually(t, "all being counted", func() bool {
		m = l.Scrape()
		return m.Sum("hopscope_requests_total") >= hops
	})
	return m
}
