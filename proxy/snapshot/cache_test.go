package snapshot_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hopscope/hopscope/deploy/backends"
)

// cached is a proxy of a catalogue, of a service in Consul and of a file of
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
	noLeaks(t)
	dir := t.TempDir()
	path, endpoints := filepath.Join(dir, "cache.json"), filepath.Join(dir, "endpoints.yaml")
	own, _ := countingOpened(t)
	if err := os.WriteFile(endpoints, []byte("endpoints: [\""+own+"\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := backends.Consul(t, backends.ConsulOptions{})
	offer(t, a, "payments", "hopscope-route=shop.test/cart")
	text := cached(a, endpoints, `{cache: "`+path+`"}`)
	hosts := []string{"payments", "shop.test", "asked.test", "file.test"}
	l := startConfigured(t, text)
	for _, host := range hosts {
		l.answers(host, "/cart", 200, "")
	}
	if s := l.catalogSource(); s.Remembered || s.Stale {
		t.Errorf("the catalogue is %+v", s)
	}
	eventually(t, "the cache being written", func() bool {
		data, err := os.ReadFile(path)
		return err == nil && strings.Contains(string(data), "payments")
	})
	l.stop()
	a.Kill()
	if err := os.Remove(endpoints); err != nil {
		t.Fatal(err)
	}
	for round := range 2 { // the second finds what the first has written anew
		l = startConfigured(t, text)
		for _, host := range hosts {
			if status, body := l.askFor(host, "/cart"); status != 200 {
				t.Errorf("round %d: %s: %d %s", round, host, status, body)
			}
		}
		if status, body := l.askFor("nowhere", "/"); status != 404 {
			t.Errorf("round %d: what was not known: %d %s", round, status, body)
		}
		l.becomesReady()
		if s := l.catalogSource(); !s.Known || !s.Stale || !s.Remembered || s.Since == nil || time.Since(*s.Since) > time.Minute {
			t.Errorf("round %d: /catalog is %+v", round, s)
		}
		for _, name := range []string{"asked", "file"} {
			if s := l.clusterNamed(name).Source; !s.Known || !s.Stale || !s.Remembered {
				t.Errorf("round %d: the source of %s is %+v", round, name, s)
			}
		}
		if s := l.clusterNamed("payments").Source; !s.Known || !s.Stale {
			t.Errorf("round %d: the source of a service of the catalogue is %+v", round, s)
		}
		l.metric(`hopscope_discovery_stale{cluster="",service="mesh",source="the catalogue of Consul"} 1`)
		if round == 0 {
			l.stop()
		}
	}
	a.Restart(t) // empty: whoever was there comes back
	offer(t, a, "later")
	l.answers("later", "/", 200, "later")
	l.answers("payments", "/cart", 200, "payments")
	offer(t, a, "payments")
	eventually(t, "everything being fresh", func() bool {
		s := l.catalogSource()
		return !s.Stale && !s.Remembered && !l.clusterNamed("asked").Source.Stale
	})
	l.answers("shop.test", "/cart", 404, "(NR)") // it has no such tag any more
	l.answers("asked.test", "/cart", 200, "payments")
}

// A cache that is of no use is said to be so, once, and keeps nothing from starting.
func TestCacheOfNoUse(t *testing.T) {
	noLeaks(t)
	a := backends.Consul(t, backends.ConsulOptions{})
	offer(t, a, "payments")
	path := filepath.Join(t.TempDir(), "cache.json")
	text := cached(a, "/nowhere.yaml", `{cache: "`+path+`", max_age: 1s}`)
	l := startConfigured(t, text)
	l.answers("payments", "/", 200, "payments")
	l.stop()
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
			eventually(t, "a second passing", func() bool {
				info, err := os.Stat(path)
				return err == nil && time.Since(info.ModTime()) > 1100*time.Millisecond
			})
		}
		l := startConfigured(t, text)
		if status, body := l.askFor("payments", "/"); status != 503 {
			t.Errorf("%s: %d %s", name, status, body)
		}
		l.notReady("catalog of Consul")
		if n := strings.Count(l.said.String(), "the cache of discovery"); n != 1 || !strings.Contains(l.said.String(), tt.said) {
			t.Errorf("%s: %d lines about it, want one with %q:\n%s", name, n, tt.said, l.said)
		}
		l.stop()
	}
}

// A cache that can't be written is told of once, and counted.
func TestCacheThatCantBeWritten(t *testing.T) {
	noLeaks(t)
	endpoints := filepath.Join(t.TempDir(), "endpoints.yaml")
	own, _ := countingOpened(t)
	if err := os.WriteFile(endpoints, []byte("endpoints: [\""+own+"\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := startConfigured(t, `
service: mesh
discovery: {cache: /nowhere/cache.json}
listeners: [{name: ingress, address: "127.0.0.1:0", routes: [{cluster: file}]}]
clusters: {file: {file: {path: "`+endpoints+`"}}}
`)
	l.answers("", "/", 200, "counted")
	eventually(t, "two tries", func() bool {
		return l.scrape().sum("hopscope_discovery_cache_writes_total", "result", "failure") > 1
	})
	if n := strings.Count(l.said.String(), "can't be written"); n != 1 {
		t.Errorf("%d lines about it:\n%s", n, l.said)
	}
}

// The process that takes over knows what the one before did.
func TestMemoryIsTakenOver(t *testing.T) {
	noLeaks(t)
	var l *lab
	text := `
consul: {address: "%s"}
listeners: [{name: ingress, address: "127.0.0.1:0", catalog: consul}]
clusters: {}
`
	a := deadAgent(t, &l, text, "a", "b")
	address := l.clusterNamed("b").Endpoints[0].Address
	if status, body := l.call("POST", "http://"+l.proxy.AdminAddr().String()+"/clusters/b/endpoints/"+address+"/drain", ""); status != 200 {
		t.Fatalf("drain: %d %s", status, body)
	}
	memory, err := l.proxy.Memory()
	if err != nil {
		t.Fatal(err)
	}
	next := startWith(t, strings.Replace(text, "%s", a.Address, 1), memory)
	if status, body := next.askFor("a", "/"); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	if why := next.clusterNamed("b").Endpoints[0].Why; why != "drained by hand" {
		t.Errorf("what was drained is %q", why)
	}
	next.becomesReady()

	for _, bad := range []string{"", "{", `{"discovery": {"kind": "hopscope discovery cache", "version": 9}}`} {
		l := startWith(t, strings.Replace(text, "%s", a.Address, 1), []byte(bad))
		if status, _ := l.askFor("a", "/"); status != 503 || !strings.Contains(l.said.String(), "is not understood") {
			t.Errorf("%q: %d, and the log says\n%s", bad, status, l.said)
		}
		l.stop()
	}
}
