package snapshot_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// A template has settings and no endpoints: services of the catalog have them, and
// it is no cluster itself.
func TestTemplateOfTheCatalog(t *testing.T) {
	proxytest.NoLeaks(t)
	a := backends.Consul(t, backends.ConsulOptions{})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	a.Register(t, proxytest.Registration("payments", s.Listener.Addr().String()))
	text := func(like string) string {
		return fmt.Sprintf(`
consul: {address: %q}
catalog: {like: services}
listeners: [{name: ingress, address: "127.0.0.1:0", catalog: consul}]
clusters: {services: {%s}}
`, a.Address, like)
	}
	l := proxytest.StartYAML(t, text("protocol: http2"))
	l.AwaitAnswer("payments", "/", 200, "HTTP/2.0")
	if s := clusterNamed(l, "services"); s.Name != "" {
		t.Errorf("the template is a cluster: %+v", s)
	}
	if text := l.MetricsText(); strings.Contains(text, `cluster="services"`) {
		t.Error("the template has metrics")
	}
	reloadYAML(l, text("protocol: http2, connect_timeout: 1s"))
	l.AwaitAnswer("payments", "/", 200, "HTTP/2.0")

	// By the proxy that a client is told to use.
	proxy := &url.URL{Scheme: "http", Host: l.Ingress()}
	transport := &http.Transport{Proxy: http.ProxyURL(proxy), DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport}).Get("http://payments/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || response.StatusCode != 200 || string(body) != "HTTP/2.0" {
		t.Errorf("by HTTP_PROXY: %d %s %v", response.StatusCode, body, err)
	}
}
