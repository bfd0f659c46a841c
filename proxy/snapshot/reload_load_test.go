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
)

// TestReloadUnderLoad reloads fifty times, and then some that are refused, while
// clients of every kind send requests: each of them succeeds.
func TestReloadUnderLoad(t *testing.T) {
	noLeaks(t)
	files := descriptors(t)
	t.Run("load", reloadUnderLoad)
	http.DefaultClient.CloseIdleConnections()
	eventually(t, "as few open files as before", func() bool { return descriptors(t) <= files })
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
	rig := startReloading(t, configured(t, address))
	load := newClients(t, rig.ingress())
	var streams []func()
	for range 2 {
		streams = append(streams, stream1(t, rig.ingress()), stream2(t, rig.ingress()))
		<-begun
		<-begun
		load.keptAlive()
		load.once()
		load.multiplexed()
	}
	socket := rig.ingress()
	for i := 1; i <= 50 && !t.Failed(); i++ {
		c := configured(t, address, variants[i%len(variants)])
		if changes := rig.reload(c); changes.None() {
			t.Errorf("reload %d changed nothing", i)
		}
		if i%10 == 0 {
			bad := configured(t, address, variants[(i+1)%len(variants)], func(c *config.Config) { c.Listeners[0].Address = taken.Addr().String() })
			if _, err := rig.proxy.Reload(bad); err == nil || !strings.Contains(err.Error(), "already in use") {
				t.Errorf("an address that is taken: %v", err)
			}
			if rig.proxy.Config() != c {
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
	same(t, "the listener's address", rig.ingress(), socket)
	finish()
	for _, check := range streams {
		check()
	}
	rig.drained()
	for _, s := range rig.traces() {
		if s.Flags != 0 || s.Status != 200 {
			t.Errorf("flags %q, status %d: %s", s.Flags, s.Status, s.Reason)
		}
	}
	rig.close(patience)
}

// stream1 begins a response of HTTP/1, and returns what checks its end.
func stream1(t *testing.T, address string) func() {
	c := dialPeer(t, address)
	c.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
	return func() {
		t.Helper()
		if body := c.ok(); body != "begun, ended" {
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
