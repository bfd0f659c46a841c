package live_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/cluster"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// addresses is a file of endpoints.
func addresses(all []*backend) string {
	var b strings.Builder
	b.WriteString("endpoints:\n")
	for _, each := range all {
		fmt.Fprintf(&b, "  - %s\n", each.address)
	}
	return b.String()
}

// A file that names endpoints is replaced, or the symbolic link that leads to it, as
// Kubernetes does: traffic follows, and no request fails.
func TestLiveFollowsFile(t *testing.T) {
	proxytest.NoLeaks(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "endpoints.yaml")
	rename := func(all []*backend) {
		must(os.WriteFile(path+".new", []byte(addresses(all)), 0o600))
		must(os.Rename(path+".new", path))
	}
	versions := 0
	link := func(all []*backend) {
		versions++
		version := fmt.Sprintf("..version%d", versions)
		must(os.Mkdir(filepath.Join(dir, version), 0o700))
		must(os.WriteFile(filepath.Join(dir, version, "endpoints.yaml"), []byte(addresses(all)), 0o600))
		must(os.Symlink(version, filepath.Join(dir, "..data.new")))
		must(os.Rename(filepath.Join(dir, "..data.new"), filepath.Join(dir, "..data")))
		if versions == 1 {
			must(os.Symlink(filepath.Join("..data", "endpoints.yaml"), path))
		}
	}
	for _, tt := range []struct {
		name  string
		write func([]*backend)
	}{{"a file that is renamed", rename}, {"a symbolic link that is swapped", link}} {
		t.Run(tt.name, func(t *testing.T) {
			_ = os.Remove(path)
			b := startBackends(t, 3)
			tt.write(b[:2])
			l := startLive(t, 2, fmt.Sprintf("{file: {path: %q}}", path))
			l.begin("GET")
			l.follows("added", b[2].address, func() { tt.write(b) })
			l.leaves("removed", b[0].address, func() { tt.write(b[1:]) })
			l.follows("added again", b[0].address, func() { tt.write(b) })
			l.faultless()
		})
	}
}

// A name in the DNS, which is Consul's, gains and loses addresses: traffic follows as
// soon as the name is looked up again.
func TestLiveFollowsDNS(t *testing.T) {
	proxytest.NoLeaks(t)
	consul := startAgent(t, backends.ConsulOptions{})
	b := startBackends(t, 3)
	consul.add(b[:2]...)
	l := startLive(t, 2, fmt.Sprintf("{dns: {name: web.service.consul, type: srv, resolver: %q, refresh: 200ms}}", consul.DNS))
	l.begin("GET")
	l.follows("registered", b[2].address, func() { consul.add(b[2]) })
	l.leaves("critical", b[2].address, func() { consul.set(b[2], api.HealthCritical) })
	l.follows("passing", b[2].address, func() { consul.set(b[2], api.HealthPassing) })

	// The DNS goes away, and nothing changes.
	consul.Kill()
	l.becomes("stale", func(s cluster.Status) bool { return s.Source.Stale })
	l.load.pass(time.Second)
	proxytest.Same(t, "endpoints without the DNS", healthy(l.status()), 3)
	l.faultless()
}

// The instances of another datacentre take over from those of the nearest while none of
// these is well.
func TestLiveFailsOver(t *testing.T) {
	proxytest.NoLeaks(t)
	near := startAgent(t, backends.ConsulOptions{})
	far := startAgent(t, backends.ConsulOptions{Datacenter: "dc2", Join: near.ConsulServer})
	b := startBackends(t, 2)
	near.add(b[0])
	far.add(b[1])
	l := startLive(t, 2, fmt.Sprintf("{consul: {address: %q, service: web, datacenter: dc1, failover: [dc2]}}", near.Address))
	l.begin("GET")
	only := func(what string, which *backend) {
		t.Helper()
		from := l.load.now()
		var all []result
		proxytest.Eventually(t, what+": enough requests", func() bool {
			all = l.load.since(from)
			return len(all) > 200
		})
		if share := shares(all)[which.address]; share < 0.999 {
			t.Errorf("%s: %.1f %% of %d requests", what, 100*share, len(all))
		}
	}
	only("the nearest gets all", b[0])
	l.leaves("the nearest critical", b[0].address, func() { near.set(b[0], api.HealthCritical) })
	only("the other gets all", b[1])
	l.leaves("the nearest well", b[1].address, func() { near.set(b[0], api.HealthPassing) })
	only("the nearest gets all again", b[0])
	l.leaves("the nearest gone", b[0].address, func() { near.remove(b[0]) })
	l.follows("the nearest back", b[0].address, func() { near.add(b[0]) })
	far.Kill()
	l.becomes("stale", func(s cluster.Status) bool { return s.Source.Stale })
	only("the nearest gets all without the other", b[0])
	l.faultless()
}

// Two endpoints that come to a cluster of none get requests before they were checked,
// also without a panic, and nobody is refused meanwhile.
func TestLiveUncheckedPair(t *testing.T) {
	proxytest.NoLeaks(t)
	path := filepath.Join(t.TempDir(), "endpoints.yaml")
	write := func(all []*backend) {
		t.Helper()
		if err := os.WriteFile(path+".new", []byte(addresses(all)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	b := startBackends(t, 2)
	write(nil)
	// Nobody answers the checks.
	port := 0
	for _, each := range b {
		deaf, err := net.Listen("tcp", fmt.Sprintf("%s:%d", each.host(), port))
		if err != nil {
			t.Skip(err) // another process has the port there
		}
		defer deaf.Close()
		port = deaf.Addr().(*net.TCPAddr).Port
	}
	l := startLive(t, 0, fmt.Sprintf("{file: {path: %q}, balance: {panic_threshold: 0}, health_checks: [{http: {path: /}, port: %d, timeout: 1h, interval: 1h}]}", path, port))
	write(b)
	l.becomes("a cluster of two that were not checked", func(s cluster.Status) bool {
		return len(s.Endpoints) == 2 && s.Endpoints[0].Health == "unchecked" && s.Endpoints[1].Health == "unchecked"
	})
	l.begin("GET")
	from := l.load.now()
	for _, each := range b {
		proxytest.Eventually(t, "requests to "+each.address, func() bool {
			return slices.ContainsFunc(l.load.since(from), func(r result) bool { return r.from == each.address })
		})
	}
	l.faultless()
}
