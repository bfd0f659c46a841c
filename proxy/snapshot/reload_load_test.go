package snapshot_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// TestReloadUnderLoad reloads fifty times, and then some that are refused, while
// clients of every kind send requests: each of them succeeds.
func TestReloadUnderLoad(t *testing.T) {
	proxytest.NoLeaks(t)
	files := proxytest.OpenFiles(t)
	t.Run("load", reloadUnderLoad)
	http.DefaultClient.CloseIdleConnections()
	proxytest.Eventually(t, "as few open files as before", func() bool { return proxytest.OpenFiles(t) <= files })
}

func reloadUnderLoad(t *testing.T) {
	address, begun, finish := streaming(t)
	defer finish()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	variants := []func(*config.Config){
		func(*config.Config) {},
		func(c *config.Config) { // the routes
			r := config.NewRoute("web")
			r.Match.PathPrefix = "/"
			c.Listeners[0].Routes = append([]config.Route{r}, c.Listeners[0].Routes...)
		},
		func(c *config.Config) { // a cluster
			cluster := c.Clusters["web"]
			cluster.IdleTimeout = time.Minute
			c.Clusters["web"] = cluster
		},
		func(c *config.Config) { c.Listeners[0].IdleTimeout = time.Minute }, // a listener's own
		func(c *config.Config) { // one that comes and goes
			l := config.NewListener("extra", "127.0.0.1:0")
			l.Routes = c.Listeners[0].Routes
			c.Listeners = append(c.Listeners, l)
		},
	}
	rig := proxytest.StartConfig(t, proxytest.NewConfig(t, address))
	load := newClients(t, rig.Ingress())
	var streams []func()
	for range 2 {
		streams = append(streams, stream1(t, rig.Ingress()), stream2(t, rig.Ingress()))
		<-begun
		<-begun
		load.keptAlive()
		load.once()
		load.multiplexed()
	}
	socket := rig.Ingress()
	for i := 1; i <= 50 && !t.Failed(); i++ {
		c := proxytest.NewConfig(t, address, variants[i%len(variants)])
		if changes := rig.MustReload(c); changes.None() {
			t.Errorf("reload %d changed nothing", i)
		}
		if i%10 == 0 {
			bad := proxytest.NewConfig(t, address, variants[(i+1)%len(variants)], func(c *config.Config) { c.Listeners[0].Address = taken.Addr().String() })
			if _, err := rig.Reload(bad); err == nil || !strings.Contains(err.Error(), "already in use") {
				t.Errorf("an address that is taken: %v", err)
			}
			if rig.Config() != c {
				t.Error("a configuration that was refused is in use")
			}
		}
		load.after(12)
	}
	n := load.end()
	t.Logf("%d requests, 50 reloads", n)
	if n < 600 {
		t.Errorf("%d requests are no load", n)
	}
	proxytest.Same(t, "the listener's address", rig.Ingress(), socket)
	finish()
	for _, check := range streams {
		check()
	}
	drained(rig)
	for _, s := range rig.Traces() {
		if s.Flags != 0 || s.Status != 200 {
			t.Errorf("flags %q, status %d: %s", s.Flags, s.Status, s.Failure.Reason)
		}
	}
	rig.CloseWithin(proxytest.Patience)
}

// stream1 begins a response of HTTP/1, and returns what checks its end.
func stream1(t *testing.T, address string) func() {
	c := proxytest.Dial(t, address)
	c.Send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
	return func() {
		t.Helper()
		if body := c.ReadOK(); body != "begun, ended" {
			t.Errorf("the stream over HTTP/1.1 had %q", body)
		}
		c.Close()
	}
}

// stream2 is the same for HTTP/2.
func stream2(t *testing.T, address string) func() {
	transport := plainHTTP2()
	t.Cleanup(transport.CloseIdleConnections)
	req, err := http.NewRequest(http.MethodGet, fmt.Sprintf("http://%s/stream", address), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "begun, ended" {
			t.Errorf("the stream over HTTP/2 had %q, %v", body, err)
		}
		resp.Body.Close()
	}
}
