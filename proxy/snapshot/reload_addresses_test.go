package snapshot_test

import (
	"fmt"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/proxy/snapshot"
)

// portOf is the port that a proxy's listener is bound to.
func portOf(r *proxytest.Proxy) string {
	_, port, err := net.SplitHostPort(r.Ingress())
	if err != nil {
		r.T.Fatal(err)
	}
	return port
}

// TestReloadOfAnAddress goes over, on the same port, from each kind of address to each
// other, while clients come all the time: none of them is refused, or loses a request.
func TestReloadOfAnAddress(t *testing.T) {
	proxytest.NoLeaks(t)
	const v4, all = "127.0.0.1", "::"
	hosts := []struct{ written, bound string }{
		{"127.0.0.1", v4}, {"0.0.0.0", all}, {"localhost", v4}, {"", all}, {"127.0.0.1", v4}, {"[::]", all},
		{"0.0.0.0", all}, {"", all}, {"127.0.0.1", v4}, {"localhost", v4}, {"[::]", all}, {"localhost", v4},
	}
	endpoint := proxytest.Serve(t, proxytest.Echo)
	rig := proxytest.StartConfig(t, proxytest.NewConfig(t, endpoint))
	port, address := portOf(rig), rig.Ingress()
	load := newClients(t, address)
	load.keptAlive()
	for range 3 {
		load.once()
	}
	load.multiplexed()
	load.after(20)
	for _, h := range hosts {
		rig.MustReload(proxytest.NewConfig(t, endpoint, func(c *config.Config) { c.Listeners[0].Address = h.written + ":" + port }))
		if got := rig.Addr("ingress"); got.Addr().Unmap().String() != h.bound || fmt.Sprint(got.Port()) != port {
			t.Errorf("address %q: bound to %s", h.written, got)
		}
		load.after(20)
		other := net.JoinHostPort("127.0.0.2", port)
		if h.bound == v4 {
			refuses(t, other)
		} else if c, err := net.Dial("tcp", other); err != nil {
			t.Errorf("address %q: %v", h.written, err)
		} else {
			c.Close()
		}
	}
	t.Logf("%d requests", load.end())
}

// TestReloadOfAnAddressInParts: one address becomes several that it had in it, and the
// other way round.
func TestReloadOfAnAddressInParts(t *testing.T) {
	proxytest.NoLeaks(t)
	endpoint := proxytest.Serve(t, proxytest.Echo)
	rig := proxytest.StartConfig(t, proxytest.NewConfig(t, endpoint))
	port := portOf(rig)
	at := func(hosts ...string) *config.Config {
		return proxytest.NewConfig(t, endpoint, func(c *config.Config) {
			l := c.Listeners[0]
			c.Listeners = nil
			for i, host := range hosts {
				l.Name, l.Address = fmt.Sprint("l", i), host+":"+port
				c.Listeners = append(c.Listeners, l)
			}
		})
	}
	var loads []*clients
	rig.MustReload(at(""))
	for _, host := range []string{"127.0.0.1", "127.0.0.2"} {
		l := newClients(t, host+":"+port)
		l.keptAlive()
		l.once()
		loads = append(loads, l)
	}
	for _, hosts := range [][]string{{"127.0.0.1", "127.0.0.2"}, {"0.0.0.0"}, {"127.0.0.2", "localhost"}, {"[::]"}} {
		rig.MustReload(at(hosts...))
		for _, l := range loads {
			l.after(20)
		}
	}
	for _, l := range loads {
		l.end()
	}
}

// TestReloadOfAnAddressIsAllOrNothing: where another part of the configuration can't
// be had, the old address is listened on, and nothing else; and nobody else may listen
// on it, which was possible for a moment.
func TestReloadOfAnAddressIsAllOrNothing(t *testing.T) {
	proxytest.NoLeaks(t)
	endpoint := proxytest.Serve(t, proxytest.Echo)
	rig := proxytest.StartConfig(t, proxytest.NewConfig(t, endpoint))
	port := portOf(rig)
	// Somebody else has a part of every interface's address.
	foreign, err := net.Listen("tcp", "127.0.0.3:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	load := newClients(t, rig.Ingress())
	load.once()
	load.after(20)
	load.end()
	files := proxytest.OpenFiles(t)
	load = newClients(t, rig.Ingress())
	load.once()
	for _, change := range []func(*config.Config){
		func(c *config.Config) { c.Listeners[0].Address = ":" + port },
		func(c *config.Config) {
			l := c.Listeners[0]
			l.Name, l.Address = "other", "127.0.0.3:"+port
			c.Listeners = append(c.Listeners, l)
			c.Listeners[0].Address = "localhost:" + port
		},
		func(c *config.Config) {
			l := c.Listeners[0]
			l.Name = "other"
			c.Listeners[0].Address, l.Address = "localhost:"+port, "127.0.0.1:"+port
			c.Listeners = append(c.Listeners, l)
		},
	} {
		_, err := rig.Reload(proxytest.NewConfig(t, endpoint, change))
		if err == nil || !strings.Contains(err.Error(), port) {
			t.Errorf("%v", err)
		}
		load.after(20)
		refuses(t, "127.0.0.2:"+port)
	}
	load.end()
	proxytest.Eventually(t, "no more open files than before", func() bool { return proxytest.OpenFiles(t) <= files+2 }) // to the endpoint, both ends
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		return err
	}}
	if l, err := config.Listen(t.Context(), "tcp", rig.Ingress()); err == nil {
		l.Close()
		t.Error("somebody else may listen on the address")
	}
}

// TestReloadOfAnAddressThatIsTaken says by whom, where that is this process.
func TestReloadOfAnAddressThatIsTaken(t *testing.T) {
	proxytest.NoLeaks(t)
	admin := proxytest.FreeAddress(t)
	withAdmin := func(c *config.Config) { c.Admin.Address = admin }
	rig := proxytest.StartConfig(t, proxytest.NewConfig(t, "127.0.0.1:1", withAdmin))
	_, adminPort, _ := net.SplitHostPort(admin)
	port := portOf(rig)
	for _, tt := range []struct {
		change func(*config.Config)
		want   string
	}{
		{func(c *config.Config) { c.Listeners[0].Address = "localhost:" + adminPort }, "which is the admin API's"},
		{func(c *config.Config) {
			l := c.Listeners[0]
			l.Name, l.Address = "other", "localhost:"+port
			c.Listeners[0].Address = "127.0.0.1:" + port
			c.Listeners = append(c.Listeners, l)
		}, "which is listener ingress's"},
	} {
		_, err := rig.Reload(proxytest.NewConfig(t, "127.0.0.1:1", withAdmin, tt.change))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, want %q", err, tt.want)
		}
	}
}

// TestATakeoverThatIsGivenUp: a process that listens on more than the one that it takes
// over from, and ends before that one was told to stop, leaves it as it was.
func TestATakeoverThatIsGivenUp(t *testing.T) {
	proxytest.NoLeaks(t)
	endpoint := proxytest.Serve(t, proxytest.Echo)
	rig := proxytest.StartConfig(t, proxytest.NewConfig(t, endpoint))
	wide := ":" + portOf(rig)
	for range 3 {
		sockets, err := rig.Sockets()
		if err != nil {
			t.Fatal(err)
		}
		next, err := snapshot.Start(proxytest.NewConfig(t, endpoint, func(c *config.Config) { c.Listeners[0].Address = wide }),
			snapshot.Options{Log: slog.New(slog.DiscardHandler), Inherited: sockets})
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", "127.0.0.2"+wide)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		next.Close(t.Context())
		refuses(t, "127.0.0.2"+wide)
		after := newClients(t, rig.Ingress())
		after.once()
		after.after(20)
		after.end()
	}
}
