package clitest

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// registering returns the configuration of a proxy that registers the service web. more is
// added to "register".
func registering(agent, endpoint, socket, more string) string {
	return fmt.Sprintf(`upgrade_socket: %q
telemetry: {access_log: {path: "off"}}
consul: {address: %q}
register: {consul: {address: 127.0.0.1, check: {tcp: %q, interval: 1s}%s}}
%s`, socket, agent, endpoint, more, fileFor(endpoint))
}

// instances returns the ports of a service's instances that pass, and what the checks of
// the others say.
func instances(c *api.Client, service string) (passing []int, failing string, err error) {
	all, _, err := c.Health().Service(service, "", false, nil)
	for _, e := range all {
		if e.Checks.AggregatedStatus() == api.HealthPassing {
			passing = append(passing, e.Service.Port)
			continue
		}
		for _, c := range e.Checks {
			if c.Status != api.HealthPassing {
				failing += c.Name + ": " + c.Output + "\n"
			}
		}
	}
	slices.Sort(passing)
	return passing, failing, err
}

// together waits until exactly these ports pass, of the service and of its sidecar.
func together(t *testing.T, a *backends.ConsulServer, ports ...int) (failing string) {
	t.Helper()
	ports = slices.Sorted(slices.Values(ports)) // a copy: the slice is the caller's
	var service, sidecar []int
	defer func() {
		if t.Failed() {
			t.Logf("web at %v, its sidecar at %v; failing:\n%s", service, sidecar, failing)
		}
	}()
	proxytest.Eventually(t, fmt.Sprintf("web and its sidecar at %v", ports), func() bool {
		var err error
		service, failing, err = instances(a.API(t), "web")
		must(t, err)
		sidecar, _, err = instances(a.API(t), "web-sidecar-proxy")
		must(t, err)
		return slices.Equal(service, ports) && slices.Equal(sidecar, ports)
	})
	return failing
}

// TestADeadSidecarLosesItsTraffic kills the proxy of one instance of a service, and the
// application of another. What is advertised is what is checked.
func TestADeadSidecarLosesItsTraffic(t *testing.T) {
	t.Parallel()
	a := backends.Consul(t, backends.ConsulOptions{})
	var proxies []*process
	var ports []int
	for _, name := range []string{"one", "two"} {
		path := file(t, "hopscope.yaml", registering(a.Address, named(t, name), fmt.Sprintf("@hopscope-register-%s-%d", name, os.Getpid()), ""))
		p := start(t, "run", "-c", path)
		_, port := split(t, p.address("ingress"))
		p.find(`msg="(registered in Consul)"`)
		proxies, ports = append(proxies, p), append(ports, port)
	}
	together(t, a, ports...)
	caller := start(t, "run", "--admin", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--consul", a.Address, "--to", "consul:web", "--access-log", "off")
	client := newClient(t)
	answers := map[string]bool{}
	proxytest.Eventually(t, "answers of both", func() bool {
		_, body, err := tryGet(client, http.MethodGet, caller.url())
		must(t, err)
		answers[body] = true
		return answers["one"] && answers["two"]
	})

	proxies[0].signal(syscall.SIGKILL)
	proxies[0].exit()
	if why := together(t, a, ports[1]); !strings.Contains(why, "hopscope in front of web") || !strings.Contains(why, "connection refused") {
		t.Errorf("the checks do not say why: %s", why)
	}
	proxytest.Eventually(t, "the other alone", func() bool {
		_, body := get(t, strings.TrimSuffix(caller.admin(), "/")+"/clusters")
		return strings.Contains(body, "unhealthy in Consul")
	})
	for range 50 {
		if resp, body, err := tryGet(client, http.MethodGet, caller.url()); err != nil || resp.StatusCode != 200 || body != "two" {
			t.Fatalf("%v, %q, %v", resp, body, err)
		}
	}
	proxies[1].drained()
	caller.drained()
}

// TestADeadApplicationTakesItsSidecarAlong: the sidecar fails with its application, and
// both pass again together.
func TestADeadApplicationTakesItsSidecarAlong(t *testing.T) {
	t.Parallel()
	a := backends.Consul(t, backends.ConsulOptions{})
	var mu sync.Mutex
	status := 200
	application := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.WriteHeader(status)
	})
	set := func(s int) {
		mu.Lock()
		defer mu.Unlock()
		status = s
	}
	content := registering(a.Address, application, fmt.Sprintf("@hopscope-register-application-%d", os.Getpid()), "")
	content = strings.Replace(content, fmt.Sprintf("tcp: %q", application), fmt.Sprintf("http: %q", "http://"+application+"/"), 1)
	p := start(t, "run", "-c", file(t, "hopscope.yaml", content))
	_, port := split(t, p.address("ingress"))
	together(t, a, port)
	set(503)
	if why := together(t, a); !strings.Contains(why, "web, the application itself") {
		t.Errorf("the checks do not say why: %s", why)
	}
	set(200)
	together(t, a, port)
	p.drained()
	together(t, a)
}

// TestARegistrationIsKeptUpToDate by a restart, a reload and an upgrade. The service passes
// all the time during the latter two. What only the old process registered is gone.
func TestARegistrationIsKeptUpToDate(t *testing.T) {
	t.Parallel()
	a := backends.Consul(t, backends.ConsulOptions{})
	socket := fmt.Sprintf("@hopscope-register-update-%d", os.Getpid())
	endpoint := named(t, "one")
	content := func(more string) string { return registering(a.Address, endpoint, socket, more) }
	path := file(t, "hopscope.yaml", content(", id: web1, tags: [v1], weight: 3"))
	p := start(t, "run", "-c", path)
	address := p.address("ingress")
	p.find(`msg="registered in Consul" service=web ids="(web1, web1-sidecar-proxy)"`)
	_, port := split(t, address)
	together(t, a, port)
	local := a.API(t).Agent()
	has := func(id, tag string, weight int) {
		t.Helper()
		s, _, err := local.Service(id, nil)
		if err != nil || !slices.Equal(s.Tags, []string{tag}) || s.Weights.Passing != weight {
			t.Errorf("%s is registered as %+v, %v", id, s, err)
		}
	}
	has("web1", "v1", 3)

	// A restart with other tags, too quick for any check to notice.
	fixed := func(more string) string {
		return strings.Replace(content(more), `address: "127.0.0.1:0"`, fmt.Sprintf("address: %q", address), 1)
	}
	p.signal(syscall.SIGKILL)
	p.exit()
	replace(t, path, fixed(", id: web1, tags: [v2], weight: 3"))
	p = start(t, "run", "-c", path)
	p.find(`msg="changed what was registered in Consul" service=web changed="(web1: tags)"`)
	has("web1", "v2", 3)
	together(t, a, port)

	// From here on it passes all the time.
	stop, watched := make(chan struct{}), make(chan struct{})
	looks, eyes := 0, a.API(t)
	go func() {
		defer close(watched)
		for {
			if passing, why, err := instances(eyes, "web"); err != nil || !slices.Contains(passing, port) {
				t.Errorf("look %d: it does not pass: %v %s %v", looks, passing, why, err)
			}
			looks++
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	replace(t, path, fixed(", id: web1, tags: [v2], weight: 4"))
	p.find(`msg="changed what was registered in Consul" service=web changed="(web1: weights)"`)
	has("web1", "v2", 4)

	other := file(t, "hopscope.yaml", fixed(", id: web1, tags: [v3], weight: 4"))
	next := start(t, "run", "-c", other, "--upgrade")
	next.find(`msg="changed what was registered in Consul" service=web changed="(web1: tags)"`)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	has("web1", "v3", 4)
	p = next

	other = file(t, "hopscope.yaml", fixed(", id: web2, tags: [v3], weight: 4, sidecar: false"))
	next = start(t, "run", "-c", other, "--upgrade")
	next.find(`msg="registered in Consul" service=web ids=(web2)`)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	has("web2", "v3", 4)
	for _, id := range []string{"web1", "web1-sidecar-proxy"} {
		if s, _, err := local.Service(id, nil); err == nil {
			t.Errorf("what only the old process had is still there: %+v", s)
		}
	}
	close(stop)
	<-watched
	t.Logf("%d looks", looks)
	next.drained()
}
