package snapshot_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// cached is a proxy of a catalog, of a service in Consul and of a file of
// endpoints, with a cache of what they say.
func cached(a *backends.ConsulServer, endpoints, cache string) string {
	return `
service: mesh
consul: {address: "` + a.Address + `"}
discovery: ` + cache + `
listeners: [{name: ingress, address: "127.0.0.1:0", catalog: consul, routes: [{match: {hosts: [asked.test]}, cluster: asked}, {match: {hosts: [file.test]}, cluster: file}]}]
clusters: {asked: {consul: {service: payments}}, file: {file: {path: "` + endpoints + `"}}}
`
}

// A proxy that starts while its sources are away begins with what they said last.
func TestRestartWhileSourcesAreAway(t *testing.T) {
	proxytest.NoLeaks(t)
	dir := t.TempDir()
	path, endpoints := filepath.Join(dir, "cache.json"), filepath.Join(dir, "endpoints.yaml")
	own, _ := countingOpened(t)
	if err := os.WriteFile(endpoints, []byte("endpoints: [\""+own+"\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := backends.Consul(t, backends.ConsulOptions{})
	proxytest.Offer(t, a.Register, "payments", "hopscope-route=shop.test/cart")
	text := cached(a, endpoints, `{cache: "`+path+`"}`)
	hosts := []string{"payments", "shop.test", "asked.test", "file.test"}
	l := proxytest.StartYAML(t, text)
	for _, host := range hosts {
		l.AwaitAnswer(host, "/cart", 200, "")
	}
	if s := catalogSource(l); s.Remembered || s.Stale {
		t.Errorf("the catalog is %+v", s)
	}
	proxytest.Eventually(t, "the cache being written", func() bool {
		data, err := os.ReadFile(path)
		return err == nil && strings.Contains(string(data), "payments")
	})
	l.Stop()
	a.Kill()
	if err := os.Remove(endpoints); err != nil {
		t.Fatal(err)
	}
	for round := range 2 { // the second finds what the first has written anew
		l = proxytest.StartYAML(t, text)
		for _, host := range hosts {
			if status, body := l.AskHost(host, "/cart"); status != 200 {
				t.Errorf("round %d: %s: %d %s", round, host, status, body)
			}
		}
		if status, body := l.AskHost("nowhere", "/"); status != 404 {
			t.Errorf("round %d: what was not known: %d %s", round, status, body)
		}
		becomesReady(l)
		if s := catalogSource(l); !s.Known || !s.Stale || !s.Remembered || s.Since == nil || time.Since(*s.Since) > time.Minute {
			t.Errorf("round %d: /catalog is %+v", round, s)
		}
		for _, name := range []string{"asked", "file"} {
			if s := clusterNamed(l, name).Source; !s.Known || !s.Stale || !s.Remembered {
				t.Errorf("round %d: the source of %s is %+v", round, name, s)
			}
		}
		if s := clusterNamed(l, "payments").Source; !s.Known || !s.Stale {
			t.Errorf("round %d: the source of a service of the catalog is %+v", round, s)
		}
		metric(l, `hopscope_discovery_stale{cluster="",service="mesh",source="the catalog of Consul"} 1`)
		if round == 0 {
			l.Stop()
		}
	}
	a.Restart(t) // empty: whoever was there comes back
	proxytest.Offer(t, a.Register, "later")
	l.AwaitAnswer("later", "/", 200, "later")
	l.AwaitAnswer("payments", "/cart", 200, "payments")
	proxytest.Offer(t, a.Register, "payments")
	proxytest.Eventually(t, "everything being fresh", func() bool {
		s := catalogSource(l)
		return !s.Stale && !s.Remembered && !clusterNamed(l, "asked").Source.Stale
	})
	l.AwaitAnswer("shop.test", "/cart", 404, "(NR)") // it has no such tag any more
	l.AwaitAnswer("asked.test", "/cart", 200, "payments")
}

// A cache that is of no use is said to be so, once, and keeps nothing from starting.
func TestCacheOfNoUse(t *testing.T) {
	proxytest.NoLeaks(t)
	a := backends.Consul(t, backends.ConsulOptions{})
	proxytest.Offer(t, a.Register, "payments")
	path := filepath.Join(t.TempDir(), "cache.json")
	text := cached(a, "/nowhere.yaml", `{cache: "`+path+`", max_age: 1s}`)
	l := proxytest.StartYAML(t, text)
	l.AwaitAnswer("payments", "/", 200, "payments")
	l.Stop()
	a.Kill()
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ data, said string }{
		"half":            {string(good[:len(good)/2]), "cut short"},
		"another version": {strings.Replace(string(good), `"version":1`, `"version":99`, 1), "version 99"},
		"somebody else's": {"{}", "it is no cache of discovery"},
		"too old":         {string(good), "too old"},
	} {
		if err := os.WriteFile(path, []byte(tt.data), 0o600); err != nil {
			t.Fatal(err)
		}
		if name == "too old" {
			proxytest.Eventually(t, "a second passing", func() bool {
				info, err := os.Stat(path)
				return err == nil && time.Since(info.ModTime()) > 1100*time.Millisecond
			})
		}
		l := proxytest.StartYAML(t, text)
		if status, body := l.AskHost("payments", "/"); status != 503 {
			t.Errorf("%s: %d %s", name, status, body)
		}
		notReady(l, "catalog of Consul")
		if n := strings.Count(l.Said.String(), "the cache of discovery"); n != 1 || !strings.Contains(l.Said.String(), tt.said) {
			t.Errorf("%s: %d lines about it, want one with %q:\n%s", name, n, tt.said, l.Said)
		}
		l.Stop()
	}
}

// A cache that can't be written is told of once, and counted.
func TestCacheThatCantBeWritten(t *testing.T) {
	proxytest.NoLeaks(t)
	endpoints := filepath.Join(t.TempDir(), "endpoints.yaml")
	own, _ := countingOpened(t)
	if err := os.WriteFile(endpoints, []byte("endpoints: [\""+own+"\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := proxytest.StartYAML(t, `
service: mesh
discovery: {cache: /nowhere/cache.json}
listeners: [{name: ingress, address: "127.0.0.1:0", routes: [{cluster: file}]}]
clusters: {file: {file: {path: "`+endpoints+`"}}}
`)
	l.AwaitAnswer("", "/", 200, "counted")
	proxytest.Eventually(t, "two tries", func() bool {
		return l.Scrape().Sum("hopscope_discovery_cache_writes_total", "result", "failure") > 1
	})
	if n := strings.Count(l.Said.String(), "can't be written"); n != 1 {
		t.Errorf("%d lines about it:\n%s", n, l.Said)
	}
}

// The process that takes over knows what the one before did.
func TestMemoryIsTakenOver(t *testing.T) {
	proxytest.NoLeaks(t)
	var l *proxytest.Proxy
	text := `
consul: {address: "%s"}
listeners: [{name: ingress, address: "127.0.0.1:0", catalog: consul}]
clusters: {}
`
	a := deadAgent(t, &l, text, "a", "b")
	address := clusterNamed(l, "b").Endpoints[0].Address
	if status, body := l.Call("POST", "http://"+l.AdminAddr().String()+"/clusters/b/endpoints/"+address+"/drain", ""); status != 200 {
		t.Fatalf("drain: %d %s", status, body)
	}
	memory, err := l.Memory()
	if err != nil {
		t.Fatal(err)
	}
	next := startWith(t, strings.Replace(text, "%s", a.Address, 1), memory)
	if status, body := next.AskHost("a", "/"); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	if why := clusterNamed(next, "b").Endpoints[0].Why; why != "drained by hand" {
		t.Errorf("what was drained is %q", why)
	}
	becomesReady(next)

	for _, bad := range []string{"", "{", `{"discovery": {"kind": "hopscope discovery cache", "version": 9}}`} {
		l := startWith(t, strings.Replace(text, "%s", a.Address, 1), []byte(bad))
		if status, _ := l.AskHost("a", "/"); status != 503 || !strings.Contains(l.Said.String(), "is not understood") {
			t.Errorf("%q: %d, and the log says\n%s", bad, status, l.Said)
		}
		l.Stop()
	}
}
