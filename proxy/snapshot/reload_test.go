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
	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/proxy/snapshot"
)

// TestReloadKeepsConnections: what a reload does not concern stays as it is: the
// connections of clients, and those to endpoints.
func TestReloadKeepsConnections(t *testing.T) {
	proxytest.NoLeaks(t)
	opened, closed := make(chan int, 10), make(chan int, 10)
	address := proxytest.Endpoint(t, func(n int, p *proxytest.Peer) {
		opened <- n
		for {
			if _, err := p.TryReadHead(); err != nil {
				if err == io.EOF {
					closed <- n
				}
				return
			}
			p.Send(proxytest.EmptyResponse)
		}
	})
	rig := proxytest.StartConfig(t, proxytest.NewConfig(t, address))
	c := rig.Dial()
	c.Send(proxytest.RootRequest)
	c.ReadOK()
	for i, change := range []func(*config.Config){
		func(c *config.Config) { c.Listeners[0].Routes[0].Timeout = time.Minute },
		func(c *config.Config) { c.Listeners[0].ProxyStatus, c.Listeners[0].Via = "cut", false },
		func(c *config.Config) { c.Telemetry.Traces.Sample, c.Telemetry.Traces.Inject = 0.5, []string{"b3"} },
		func(c *config.Config) { c.Clusters["other"] = config.NewCluster("127.0.0.1:1") },
		func(c *config.Config) { c.Consul.Datacenter = "other" }, // no cluster asks it
	} {
		rig.MustReload(proxytest.NewConfig(t, address, change))
		c.Send(proxytest.RootRequest)
		resp, _ := c.ReadResponse("GET")
		if resp.StatusCode != 200 || resp.Close {
			t.Errorf("change %d: status %d, close %t", i, resp.StatusCode, resp.Close)
		}
		proxytest.Same(t, fmt.Sprintf("change %d: the listener cuts Proxy-Status", i), resp.Header.Get("Proxy-Status") == "", i == 1)
	}
	proxytest.Same(t, "connections to the endpoint", len(opened), 1)
	rig.MustReload(proxytest.NewConfig(t, address, func(c *config.Config) {
		cluster := c.Clusters["web"]
		cluster.MaxIdle = 7
		c.Clusters["web"] = cluster
	}))
	c.Send(proxytest.RootRequest)
	c.ReadOK()
	proxytest.Same(t, "connections to the endpoint, its cluster changed", len(opened), 2)
	proxytest.Eventually(rig.T, "the first connection being closed", func() bool { return len(closed) == 1 })
	drained(rig)
}

// TestReloadRefused: of a configuration that can't be had whole, nothing is taken.
func TestReloadRefused(t *testing.T) {
	proxytest.NoLeaks(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	restart := " can't change while running: restart, or take over without losing a connection by hopscope run --upgrade"
	free := proxytest.FreeAddress(t)
	cert := proxytest.NewAuthority(t).Issue("web.test")
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
			proxytest.ListenTLS(&good, cert)
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
			address := proxytest.Serve(t, proxytest.Echo)
			rig := proxytest.StartConfig(t, proxytest.NewConfig(t, address))
			before, files := rig.Config(), proxytest.OpenFiles(t)
			c := rig.Dial()
			_, err := rig.Reload(proxytest.NewConfig(t, address, tt.change))
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
			proxytest.Same(t, "lines", len(lines), len(tt.want))
			if rig.Config() != before {
				t.Error("it is in use")
			}
			c.Send(proxytest.RootRequest)
			proxytest.Same(t, "content", c.ReadOK(), "/ ")
			c.Close()
			proxytest.Eventually(t, "no more open files than before", func() bool { return proxytest.OpenFiles(t) <= files+2 }) // to the endpoint, both ends
		})
	}
}

// TestReloadMovesAddresses: names change places, whose sockets stay.
func TestReloadMovesAddresses(t *testing.T) {
	proxytest.NoLeaks(t)
	x, y := proxytest.FreeAddress(t), proxytest.FreeAddress(t)
	address := proxytest.Serve(t, proxytest.Echo)
	at := func(a, b string) *config.Config {
		return proxytest.NewConfig(t, address, func(c *config.Config) {
			c.Listeners[0].Address = a
			if b != "" {
				l := c.Listeners[0]
				l.Name, l.Address = "second", b
				c.Listeners = append(c.Listeners, l)
			}
		})
	}
	rig := proxytest.StartConfig(t, at(x, y))
	loads := []*clients{newClients(t, x), newClients(t, y)}
	for _, l := range loads {
		l.keptAlive()
		l.once()
		l.multiplexed()
	}
	for _, names := range [][2]string{{x, y}, {y, x}, {x, y}} {
		rig.MustReload(at(names[0], names[1]))
		proxytest.Same(t, "ingress", rig.Ingress(), names[0])
		proxytest.Same(t, "second", rig.Addr("second").String(), names[1])
		for _, l := range loads {
			l.after(20)
		}
	}
	loads[1].end()
	rig.MustReload(at(x, ""))
	loads[0].after(20)
	loads[0].end()
	refuses(t, y)
}

func refuses(t *testing.T, address string) {
	t.Helper()
	proxytest.Eventually(t, address+" refusing connections", func() bool {
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
	proxytest.NoLeaks(t)
	for name, change := range map[string]func(*config.Config){
		"changed": func(c *config.Config) { c.Listeners[0].IdleTimeout = time.Minute },
		"removed": func(c *config.Config) {
			c.Listeners[0].Name = "other"
		},
	} {
		t.Run(name, func(t *testing.T) {
			address, begun, finish := streaming(t)
			rig := proxytest.StartConfig(t, proxytest.NewConfig(t, address))
			socket := rig.Ingress()
			fresh, used := rig.Dial(), rig.Dial()
			used.Send(proxytest.RootRequest)
			used.ReadOK()
			framed := proxytest.DialHTTP2(t, socket)
			proxytest.Same(t, "status", framed.Get("/").StatusCode, 200)
			ends := stream1(t, socket)
			<-begun

			rig.MustReload(proxytest.NewConfig(t, address, change))
			goAway := framed.Until("GOAWAY", proxytest.IsGoAway).(*http2.GoAwayFrame)
			proxytest.Same(t, "GOAWAY refuses nothing yet", goAway.LastStreamID, 1<<31-1)
			proxytest.Same(t, "status", framed.Get("/late").StatusCode, 200)
			framed.Close()
			for name, c := range map[string]*proxytest.Peer{"fresh": fresh, "used": used} {
				c.Send(proxytest.RootRequest)
				if resp, _ := c.ReadResponse("GET"); resp.StatusCode != 200 || !resp.Close {
					t.Errorf("%s: status %d, close %t", name, resp.StatusCode, resp.Close)
				}
				c.ExpectEnd()
				c.Close()
			}
			if name == "removed" {
				refuses(t, socket)
			} else {
				c := rig.Dial()
				c.Send(proxytest.RootRequest)
				if resp, _ := c.ReadResponse("GET"); resp.StatusCode != 200 || resp.Close {
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
	proxytest.NoLeaks(t)
	rig := proxytest.StartConfig(t, proxytest.NewConfig(t, proxytest.Serve(t, proxytest.Echo)))
	idle := rig.Dial()
	idle.Send(proxytest.RootRequest)
	idle.ReadOK()
	c := proxytest.NewConfig(t, "127.0.0.1:1", func(c *config.Config) {
		c.Listeners[0].IdleTimeout, c.Drain.Timeout = time.Minute, time.Second
	})
	rig.MustReload(c)
	idle.ExpectEnd()
}

// TestReloadSays what changed.
func TestReloadSays(t *testing.T) {
	rig := proxytest.StartConfig(t, proxytest.NewConfig(t, "127.0.0.1:1", func(c *config.Config) {
		c.Clusters["old"] = config.NewCluster("127.0.0.1:2")
	}))
	if changes := rig.MustReload(proxytest.NewConfig(t, "127.0.0.1:1", func(c *config.Config) {
		c.Clusters["old"] = config.NewCluster("127.0.0.1:2")
	})); !changes.None() || changes.String() != "nothing changed" {
		t.Errorf("an equal configuration: %v", changes)
	}
	got := rig.MustReload(proxytest.NewConfig(t, "127.0.0.1:3", func(c *config.Config) {
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
	proxytest.Same(t, "in words", got.String(), "listeners added: second; listeners changed: ingress; clusters added: new; "+
		"clusters removed: old; clusters changed: web; settings changed: telemetry.slow_threshold, drain, log")
}

// TestReloadShows the present configuration in the admin API, and drops the
// series of routes that are gone, once their requests have been counted.
func TestReloadShows(t *testing.T) {
	proxytest.NoLeaks(t)
	address := proxytest.Serve(t, proxytest.Echo)
	level := new(slog.LevelVar)
	named := func(route, level string) *config.Config {
		return proxytest.NewConfig(t, address, func(c *config.Config) {
			c.Admin.Address = "127.0.0.1:0"
			c.Listeners[0].Routes[0].Name = route
			c.Log.Level = level
		})
	}
	p, err := snapshot.Start(named("before", "info"), snapshot.Options{Log: slog.New(slog.DiscardHandler), Level: level})
	if err != nil {
		t.Fatal(err)
	}
	rig := &proxytest.Proxy{T: t, Proxy: p}
	t.Cleanup(func() { rig.CloseWithin(0) })
	show := func(path string) string {
		resp, err := http.Get("http://" + p.AdminAddr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return string(b)
	}
	c := rig.Dial()
	counted := func(route string) bool {
		return strings.Contains(show("/metrics"), `route="`+route+`"`)
	}
	c.Send(proxytest.RootRequest)
	c.ReadOK()
	proxytest.Eventually(t, "a series", func() bool { return counted("before") })
	rig.MustReload(named("after", "debug"))
	proxytest.Same(t, "level", level.Level(), slog.LevelDebug)
	if dump := show("/config_dump"); !strings.Contains(dump, "after") || strings.Contains(dump, "before") {
		t.Errorf("the configuration is\n%s", dump)
	}
	c.Send(proxytest.RootRequest)
	c.ReadOK()
	proxytest.Eventually(t, "another series", func() bool { return counted("after") && !counted("before") })
	if m := show("/metrics"); !strings.Contains(m, `hopscope_downstream_connections_total{direction="inbound",listener="ingress",service="web"} 1`) {
		t.Errorf("metrics:\n%s", m)
	}
	level.Set(slog.LevelWarn)
	rig.MustReload(named("last", "debug"))
	proxytest.Same(t, "a level that did not change", level.Level(), slog.LevelWarn)
	_, err = p.Reload(proxytest.NewConfig(t, address, func(c *config.Config) { c.Service = "other" }))
	if m := show("/metrics"); err == nil || !strings.Contains(m, `hopscope_config_reloads_total{result="failure",service="web"} 1`) || !strings.Contains(m, `hopscope_config_last_reload_successful{service="web"} 0`) {
		t.Errorf("%v; metrics:\n%s", err, m)
	}
}

// TestReloadAtTheEnd: a proxy that ends takes no new configuration, and one that is
// reloaded ends.
func TestReloadAtTheEnd(t *testing.T) {
	proxytest.NoLeaks(t)
	for range 20 {
		rig := proxytest.StartConfig(t, proxytest.NewConfig(t, "127.0.0.1:1"))
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := range 100 {
				c := proxytest.NewConfig(t, "127.0.0.1:1", func(c *config.Config) { c.Listeners[0].MaxConnections = 1 + i })
				if _, err := rig.Reload(c); err != nil {
					if !strings.Contains(err.Error(), "draining") {
						t.Error(err)
					}
					return
				}
			}
		})
		rig.Close(context.Background())
		wg.Wait()
		if _, err := rig.Reload(proxytest.NewConfig(t, "127.0.0.1:2")); err == nil {
			t.Error("a proxy that has ended was reloaded")
		}
		refuses(t, rig.Ingress())
	}
}
