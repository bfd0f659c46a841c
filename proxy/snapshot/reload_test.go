package snapshot_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/snapshot"
)

// TestReloadKeepsConnections: what a reload does not concern stays as it is: the
// connections of clients, and those to endpoints.
func TestReloadKeepsConnections(t *testing.T) {
	noLeaks(t)
	opened, closed := make(chan int, 10), make(chan int, 10)
	address := endpoint(t, func(n int, p *peer) {
		opened <- n
		for {
			if _, err := p.tryHead(); err != nil {
				if err == io.EOF {
					closed <- n
				}
				return
			}
			p.send(empty)
		}
	})
	rig := startReloading(t, configured(t, address))
	c := rig.dial()
	c.send(getRoot)
	c.ok()
	for i, change := range []func(*config.Config){
		func(c *config.Config) { c.Listeners[0].Routes[0].Timeout = time.Minute },
		func(c *config.Config) { c.Listeners[0].ProxyStatus, c.Listeners[0].Via = "cut", false },
		func(c *config.Config) { c.Telemetry.Traces.Sample, c.Telemetry.Traces.Inject = 0.5, []string{"b3"} },
		func(c *config.Config) { c.Clusters["other"] = config.NewCluster("127.0.0.1:1") },
		func(c *config.Config) { c.Consul.Datacenter = "other" }, // no cluster asks it
	} {
		rig.reload(configured(t, address, change))
		c.send(getRoot)
		resp, _ := c.response("GET")
		if resp.StatusCode != 200 || resp.Close {
			t.Errorf("change %d: status %d, close %t", i, resp.StatusCode, resp.Close)
		}
		same(t, fmt.Sprintf("change %d: the listener cuts Proxy-Status", i), resp.Header.Get("Proxy-Status") == "", i == 1)
	}
	same(t, "connections to the endpoint", len(opened), 1)
	rig.reload(configured(t, address, func(c *config.Config) {
		cluster := c.Clusters["web"]
		cluster.MaxIdle = 7
		c.Clusters["web"] = cluster
	}))
	c.send(getRoot)
	c.ok()
	same(t, "connections to the endpoint, its cluster changed", len(opened), 2)
	eventually(rig.t, "the first connection being closed", func() bool { return len(closed) == 1 })
	rig.drained()
}

// TestReloadRefused: of a configuration that can't be had whole, nothing is taken.
func TestReloadRefused(t *testing.T) {
	noLeaks(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	restart := " can't change while running: restart, or take over without losing a connection by hopscope run --upgrade"
	free := freeAddress(t)
	cert := newAuthority(t).issue("web.test")
	missing := config.NewListenerTLS("/nowhere/web.pem", "/nowhere/web.key")
	for _, tt := range []struct {
		name   string
		change func(*config.Config)
		want   []string // the beginnings of the lines
	}{
		{"address taken", func(c *config.Config) { c.Listeners[0].Address = taken.Addr().String() },
			[]string{"listener ingress: address " + taken.Addr().String() + " is already in use"}},
		{"two mistakes, and much that is good", func(c *config.Config) {
			good, bad := config.NewListener("good", free), config.NewListener("bad", taken.Addr().String())
			good.Routes, bad.Routes = c.Listeners[0].Routes, c.Listeners[0].Routes
			c.Listeners[0].TLS = missing
			listenTLS(&good, cert)
			c.Listeners[0].Routes[0].Timeout = time.Minute
			c.Listeners = append(c.Listeners, good, bad)
			c.Clusters["web"] = config.NewCluster("127.0.0.1:1")
		}, []string{`listener ingress: the file "/nowhere/web.pem"`, "listener bad: address "}},
		{"a cluster's authorities", func(c *config.Config) {
			cluster := c.Clusters["web"]
			cluster.TLS = config.NewClusterTLS()
			cluster.TLS.CA = "/nowhere/ca.pem"
			c.Clusters["web"] = cluster
		}, []string{`cluster web: the file "/nowhere/ca.pem"`}},
		{"what is not of a generation", func(c *config.Config) {
			c.Service, c.Admin.Address, c.UpgradeSocket = "other", "127.0.0.1:0", "@other"
			c.Telemetry.Traces.OTLP, c.Telemetry.Traces.Zipkin = config.NewOTLP("127.0.0.1:4317"), config.NewZipkin("http://127.0.0.1:9411/")
			c.Telemetry.AccessLog.Path, c.Telemetry.Metrics.NativeHistograms, c.Telemetry.Store.MaxBytes = "stderr", false, 1
			c.Listeners[0].Routes[0].Timeout = time.Minute
		}, []string{
			"service" + restart, "admin" + restart, "telemetry.traces.otlp" + restart, "telemetry.traces.zipkin" + restart,
			"telemetry.access_log" + restart, "telemetry.metrics" + restart, "telemetry.store" + restart, "upgrade_socket" + restart,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address := goServer(t, echo)
			rig := startReloading(t, configured(t, address))
			before, files := rig.proxy.Config(), descriptors(t)
			c := rig.dial()
			_, err := rig.proxy.Reload(configured(t, address, tt.change))
			if err == nil {
				t.Fatal("it was taken")
			}
			if late, err := net.Dial("tcp", free); err == nil {
				t.Error("an address of it is listened on")
				late.Close()
			}
			lines := strings.Split(err.Error(), "\n")
			for i, want := range tt.want {
				if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
					t.Errorf("line %d of %q is not %q", i, lines, want)
				}
			}
			same(t, "lines", len(lines), len(tt.want))
			if rig.proxy.Config() != before {
				t.Error("it is in use")
			}
			c.send(getRoot)
			same(t, "content", c.ok(), "/ ")
			c.Close()
			eventually(t, "no more open files than before", func() bool { return descriptors(t) <= files+2 }) // to the endpoint, both ends
		})
	}
}

// TestReloadMovesAddresses: names change places, whose sockets stay.
func TestReloadMovesAddresses(t *testing.T) {
	noLeaks(t)
	x, y := freeAddress(t), freeAddress(t)
	address := goServer(t, echo)
	at := func(a, b string) *config.Config {
		return configured(t, address, func(c *config.Config) {
			c.Listeners[0].Address = a
			if b != "" {
				l := c.Listeners[0]
				l.Name, l.Address = "second", b
				c.Listeners = append(c.Listeners, l)
			}
		})
	}
	rig := startReloading(t, at(x, y))
	loads := []*clients{newClients(t, x), newClients(t, y)}
	for _, l := range loads {
		l.keptAlive()
		l.once()
		l.multiplexed()
	}
	for _, names := range [][2]string{{x, y}, {y, x}, {x, y}} {
		rig.reload(at(names[0], names[1]))
		same(t, "ingress", rig.ingress(), names[0])
		same(t, "second", rig.proxy.Addr("second").String(), names[1])
		for _, l := range loads {
			l.after(20)
		}
	}
	loads[1].end()
	rig.reload(at(x, ""))
	loads[0].after(20)
	loads[0].end()
	refuses(t, y)
}

// freeAddress is one that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func refuses(t *testing.T, address string) {
	t.Helper()
	eventually(t, address+" refusing connections", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
}

// TestReloadRetires: a listener with new settings, or none any more, lets its
// clients go without losing a request.
func TestReloadRetires(t *testing.T) {
	noLeaks(t)
	for name, change := range map[string]func(*config.Config){
		"changed": func(c *config.Config) { c.Listeners[0].IdleTimeout = time.Minute },
		"removed": func(c *config.Config) {
			c.Listeners[0].Name = "other"
		},
	} {
		t.Run(name, func(t *testing.T) {
			address, begun, finish := streaming(t)
			rig := startReloading(t, configured(t, address))
			socket := rig.ingress()
			fresh, used := rig.dial(), rig.dial()
			used.send(getRoot)
			used.ok()
			framed := dialFramed(t, socket)
			same(t, "status", framed.get("/").StatusCode, 200)
			ends := stream1(t, socket)
			<-begun

			rig.reload(configured(t, address, change))
			goAway := framed.until("GOAWAY", isGoAway).(*http2.GoAwayFrame)
			same(t, "GOAWAY refuses nothing yet", goAway.LastStreamID, 1<<31-1)
			same(t, "status", framed.get("/late").StatusCode, 200)
			framed.close()
			for name, c := range map[string]*peer{"fresh": fresh, "used": used} {
				c.send(getRoot)
				if resp, _ := c.response("GET"); resp.StatusCode != 200 || !resp.Close {
					t.Errorf("%s: status %d, close %t", name, resp.StatusCode, resp.Close)
				}
				c.closed()
				c.Close()
			}
			if name == "removed" {
				refuses(t, socket)
			} else {
				c := rig.dial()
				c.send(getRoot)
				if resp, _ := c.response("GET"); resp.StatusCode != 200 || resp.Close {
					t.Errorf("after the reload: status %d, close %t", resp.StatusCode, resp.Close)
				}
			}
			finish()
			ends()
		})
	}
}

// TestReloadIdle: a connection that stays idle at a listener that retires is
// closed in the end, in good order: at the latest with the time to drain.
func TestReloadIdle(t *testing.T) {
	noLeaks(t)
	rig := startReloading(t, configured(t, goServer(t, echo)))
	idle := rig.dial()
	idle.send(getRoot)
	idle.ok()
	c := configured(t, "127.0.0.1:1", func(c *config.Config) {
		c.Listeners[0].IdleTimeout, c.Drain.Timeout = time.Minute, time.Second
	})
	rig.reload(c)
	idle.closed()
}

// TestReloadSays what changed.
func TestReloadSays(t *testing.T) {
	rig := startReloading(t, configured(t, "127.0.0.1:1", func(c *config.Config) {
		c.Clusters["old"] = config.NewCluster("127.0.0.1:2")
	}))
	if changes := rig.reload(configured(t, "127.0.0.1:1", func(c *config.Config) {
		c.Clusters["old"] = config.NewCluster("127.0.0.1:2")
	})); !changes.None() || changes.String() != "nothing changed" {
		t.Errorf("an equal configuration: %v", changes)
	}
	got := rig.reload(configured(t, "127.0.0.1:3", func(c *config.Config) {
		c.Clusters["new"] = config.NewCluster("127.0.0.1:2")
		c.Listeners[0].Via = false
		l := config.NewListener("second", "127.0.0.1:0")
		l.Routes = c.Listeners[0].Routes
		c.Listeners = append(c.Listeners, l)
		c.Log.Level, c.Drain.Timeout, c.Telemetry.SlowThreshold = "debug", time.Hour, time.Hour
	}))
	want := snapshot.Changes{
		Listeners: snapshot.Difference{Added: []string{"second"}, Removed: []string{}, Changed: []string{"ingress"}},
		Clusters:  snapshot.Difference{Added: []string{"new"}, Removed: []string{"old"}, Changed: []string{"web"}},
		Settings:  []string{"telemetry.slow_threshold", "drain", "log"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	same(t, "in words", got.String(), "listeners added: second; listeners changed: ingress; clusters added: new; "+
		"clusters removed: old; clusters changed: web; settings changed: telemetry.slow_threshold, drain, log")
}

// TestReloadShows the present configuration in the admin API, and drops the
// series of routes that are gone, once their requests have been counted.
func TestReloadShows(t *testing.T) {
	noLeaks(t)
	address := goServer(t, echo)
	level := new(slog.LevelVar)
	named := func(route, level string) *config.Config {
		return configured(t, address, func(c *config.Config) {
			c.Admin.Address = "127.0.0.1:0"
			c.Listeners[0].Routes[0].Name = route
			c.Log.Level = level
		})
	}
	p, err := snapshot.Start(named("before", "info"), snapshot.Options{Log: slog.New(slog.DiscardHandler), Level: level})
	if err != nil {
		t.Fatal(err)
	}
	rig := &rig{t: t, proxy: p}
	t.Cleanup(func() { rig.close(0) })
	show := func(path string) string {
		resp, err := http.Get("http://" + p.AdminAddr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return string(b)
	}
	c := rig.dial()
	counted := func(route string) bool {
		return strings.Contains(show("/metrics"), `route="`+route+`"`)
	}
	c.send(getRoot)
	c.ok()
	eventually(t, "a series", func() bool { return counted("before") })
	rig.reload(named("after", "debug"))
	same(t, "level", level.Level(), slog.LevelDebug)
	if dump := show("/config_dump"); !strings.Contains(dump, "after") || strings.Contains(dump, "before") {
		t.Errorf("the configuration is\n%s", dump)
	}
	c.send(getRoot)
	c.ok()
	eventually(t, "another series", func() bool { return counted("after") && !counted("before") })
	if m := show("/metrics"); !strings.Contains(m, `hopscope_downstream_connections_total{listener="ingress",service="web"} 1`) {
		t.Errorf("metrics:\n%s", m)
	}
	level.Set(slog.LevelWarn)
	rig.reload(named("last", "debug"))
	same(t, "a level that did not change", level.Level(), slog.LevelWarn)
	_, err = p.Reload(configured(t, address, func(c *config.Config) { c.Service = "other" }))
	if m := show("/metrics"); err == nil || !strings.Contains(m, `hopscope_config_reloads_total{result="failure"} 1`) || !strings.Contains(m, "hopscope_config_last_reload_successful 0") {
		t.Errorf("%v; metrics:\n%s", err, m)
	}
}

// TestReloadAtTheEnd: a proxy that ends takes no new configuration, and one that is
// reloaded ends.
func TestReloadAtTheEnd(t *testing.T) {
	noLeaks(t)
	for range 20 {
		rig := startReloading(t, configured(t, "127.0.0.1:1"))
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := range 100 {
				c := configured(t, "127.0.0.1:1", func(c *config.Config) { c.Listeners[0].MaxConnections = 1 + i })
				if _, err := rig.proxy.Reload(c); err != nil {
					if !strings.Contains(err.Error(), "draining") {
						t.Error(err)
					}
					return
				}
			}
		})
		rig.proxy.Close(context.Background())
		wg.Wait()
		if _, err := rig.proxy.Reload(configured(t, "127.0.0.1:2")); err == nil {
			t.Error("a proxy that has ended was reloaded")
		}
		refuses(t, rig.ingress())
	}
}
