package clitest

import (
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/hopscope/hopscope/deploy/backends"
)

// TestRunToConsul runs in front of a service in Consul, by flags alone.
func TestRunToConsul(t *testing.T) {
	t.Parallel()
	a := backends.Consul(t, backends.ConsulOptions{})
	host, port := split(t, named(t, "payments"))
	a.Register(t, &api.AgentServiceRegistration{ID: "p1", Name: "payments", Address: host, Port: port})
	p := start(t, "run", "--admin", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--consul", a.Address, "--to", "consul:payments", "--access-log", "off")
	answered(t, newClient(t), p.url(), "payments")
	p.drained()
}

// TestRunToConsulMisused makes the mistakes that these flags allow.
func TestRunToConsulMisused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--to", "consul:"}, "expected consul:NAME"},
		{[]string{"--to", "consul:a,127.0.0.1:1"}, "consul:a takes no further endpoints"},
		{[]string{"--to", "127.0.0.1:1", "--consul", "127.0.0.1:8500"}, "--consul is the agent for --to consul:NAME"},
		{[]string{"--to", "consul:a", "--to-insecure"}, "use a file"},
		{[]string{"--to", "consul:a", "--consul", "http://127.0.0.1:8500"}, "--consul"},
	} {
		_, stderr, code := hopscope(t, append([]string{"run", "--listen", "127.0.0.1:0"}, tt.args...)...)
		if code != 1 || !strings.Contains(stderr, tt.want) {
			t.Errorf("%q: exit %d, %q, want %q", tt.args, code, stderr, tt.want)
		}
	}
}

// TestConfigInConsul runs from a key in Consul. A value with mistakes is rejected, with
// their places; when the key is deleted, or Consul dies, the proxy goes on.
func TestConfigInConsul(t *testing.T) {
	t.Parallel()
	a := backends.Consul(t, backends.ConsulOptions{})
	const key = "hopscope/web.yaml"
	put := func(value string) {
		t.Helper()
		if _, err := a.API(t).KV().Put(&api.KVPair{Key: key, Value: []byte(value)}, nil); err != nil {
			t.Fatal(err)
		}
	}
	url := "consul://" + a.Address + "/" + key
	if _, stderr, code := hopscope(t, "check", "-c", url); code != 1 || !strings.Contains(stderr, "has no key") {
		t.Errorf("check of a key that is not there: exit %d, %q", code, stderr)
	}
	put(fileFor(named(t, "one")))
	if stdout, stderr, code := hopscope(t, "check", "-c", url); code != 0 || !strings.Contains(stdout, "ok") {
		t.Errorf("check: exit %d, %q, %q", code, stdout, stderr)
	}
	p := start(t, "run", "-c", url)
	client := newClient(t)
	answered(t, client, p.url(), "one")
	put("service: web\nlisteners: nothing\n")
	p.find(`mistake="?` + url + `:2:12: listeners: expected a list`)
	answered(t, client, p.url(), "one")
	put(fileFor(named(t, "two")))
	answered(t, client, p.url(), "two")
	p.find(`because="the key changed" changes="(clusters changed: web)"`)
	if _, err := a.API(t).KV().Delete(key, nil); err != nil {
		t.Fatal(err)
	}
	p.find(`can't read the configuration; the current one stays in use`)
	answered(t, client, p.url(), "two")
	a.Kill()
	answered(t, client, p.url(), "two")
	p.drained()
}

// split returns an address's host and port.
func split(t *testing.T, address string) (host string, port int) {
	t.Helper()
	host, text, ok := strings.Cut(address, ":")
	if !ok {
		t.Fatal(address)
	}
	for _, c := range text {
		port = port*10 + int(c-'0')
	}
	return host, port
}
