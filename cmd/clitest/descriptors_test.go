package clitest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/hopscope/hopscope/attack"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// startLimited runs the program with a limit on open descriptors.
func startLimited(t *testing.T, files int, args ...string) *process {
	t.Helper()
	p := newProcess(t)
	p.cmd.Path = "/bin/sh"
	p.cmd.Args = append([]string{"sh", "-c", `ulimit -n "$0" && exec "$@"`, strconv.Itoa(files), binary}, args...)
	p.cmd.Stdout = &p.stdout
	p.begin()
	return p
}

// short starts a proxy with few descriptors and two listeners. Its cluster ejects an
// endpoint at the first failure.
func short(t *testing.T, files int, endpoints ...string) *process {
	t.Helper()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("there is no shell to set the limit with")
	}
	return startLimited(t, files, "run", "-c", file(t, "hopscope.yaml", fmt.Sprintf(`service: web
admin: {address: 127.0.0.1:0}
telemetry: {access_log: {path: "off"}}
listeners:
  - {name: ingress, address: "127.0.0.1:0", routes: [{cluster: web, timeout: 0s}]}
  - {name: other, address: "127.0.0.1:0", routes: [{cluster: web, timeout: 0s}]}
clusters:
  web:
    endpoints: [%s]
    outlier: {consecutive_5xx: 1, consecutive_gateway: 1, max_ejected_percent: 100}
    health_checks: [{http: {path: /}, interval: 50ms, timeout: 1m, unhealthy_threshold: 1}]
`, strings.Join(endpoints, ", "))))
}

// ask asks the admin API until it answers. In a crowd it closes connections whose turn is
// over, and on a busy machine a turn may be over before the request has come.
func (p *process) ask(path string) (status int, body string) {
	p.t.Helper()
	url, client := p.admin()+path, newClient(p.t)
	proxytest.Eventually(p.t, "an answer of the admin API", func() bool {
		resp, text, err := tryGet(client, http.MethodGet, url)
		if err == nil {
			status, body = resp.StatusCode, text
		}
		return err == nil
	})
	return status, body
}

// well checks that the proxy is ready, and blames no endpoint.
func (p *process) well() {
	p.t.Helper()
	if status, body := p.ask("/ready"); status != 200 {
		p.t.Errorf("/ready: %d %s", status, body)
	}
	_, body := p.ask("/clusters")
	var clusters []struct {
		Endpoints []struct{ Address, Health string }
	}
	if err := json.Unmarshal([]byte(body), &clusters); err != nil || len(clusters) != 1 {
		p.t.Fatalf("/clusters: %v\n%s", err, body)
	}
	for _, e := range clusters[0].Endpoints {
		if e.Health != "healthy" {
			p.t.Errorf("endpoint %s is %s", e.Address, e.Health)
		}
	}
	if said := p.stderr.String(); strings.Contains(said, "endpoint ejected") || strings.Contains(said, "endpoint is unhealthy") {
		p.t.Error("an endpoint was blamed")
	}
}

// metric returns the sum of a metric's series.
func (p *process) metric(name string) (sum float64) {
	p.t.Helper()
	_, body := p.ask("/metrics")
	for _, m := range regexp.MustCompile(`(?m)^`+name+`(?:\{[^}]*\})? (\S+)$`).FindAllStringSubmatch(body, -1) {
		v, err := strconv.ParseFloat(m[1], 64)
		must(p.t.(*testing.T), err)
		sum += v
	}
	return sum
}

// TestIdleClientsAreClosedForOthers: far more clients than there are descriptors keep
// their connections to two listeners. Clients that come later are served.
func TestIdleClientsAreClosedForOthers(t *testing.T) {
	t.Parallel()
	for name, attack := range map[string]func(context.Context, string, int) error{"after a request": attack.IdleClients, "silent": attack.SilentClients} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := short(t, 64, serve(t, hello), serve(t, hello))
			ctx, cancel := context.WithCancel(t.Context())
			var attackers sync.WaitGroup
			for _, listener := range []string{"ingress", "other"} {
				address := p.address(listener)
				attackers.Go(func() {
					if err := attack(ctx, address, 150); err != nil {
						t.Error(err)
					}
				})
			}
			t.Cleanup(attackers.Wait)
			t.Cleanup(cancel)
			proxytest.Eventually(t, "idle connections that are closed", func() bool { return p.metric("hopscope_downstream_connections_dismissed_total") > 200 })
			for range 20 {
				if resp, body := get(t, p.url()); resp.StatusCode != 200 {
					t.Fatalf("status %d: %s", resp.StatusCode, body)
				}
			}
			p.well()
			if n := p.metric("hopscope_shortages_total"); n != 0 {
				t.Errorf("%v connections could not be opened or accepted", n)
			}
			if n := strings.Count(p.stderr.String(), "no room for another connection"); n != 1 {
				t.Errorf("%d lines about it, want 1", n)
			}
			must(t, p.cmd.Process.Signal(syscall.SIGTERM))
		})
	}
}

// TestShortOfDescriptorsBlamesNobody: an HTTP/2 client has more requests under way than
// there are descriptors for connections to the endpoints.
func TestShortOfDescriptorsBlamesNobody(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	endpoint := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
		io.WriteString(w, "hello")
	})
	p := short(t, 64, endpoint)
	type answers struct {
		statuses map[int]int
		err      error
	}
	done := make(chan answers, 1)
	go func() {
		statuses, err := attack.Streams(t.Context(), p.address("ingress"), "/slow", 100)
		done <- answers{statuses, err}
	}()
	proxytest.Eventually(t, "a shortage", func() bool { return p.metric("hopscope_shortages_total") > 40 })
	resp, body := get(t, p.url())
	if resp.StatusCode != 503 {
		t.Errorf("status %d: %s", resp.StatusCode, body)
	}
	for _, want := range []string{"error=proxy_internal_error", "OM local_resources_exhausted", "limit on open files, which is 64 now (ulimit -n"} {
		if status := resp.Header.Get("Proxy-Status"); !strings.Contains(status, want) {
			t.Errorf("Proxy-Status: %s\nwant %s in it", status, want)
		}
	}
	p.well()
	close(release)
	got := <-done
	if got.err != nil || got.statuses[200] == 0 || got.statuses[503] == 0 || got.statuses[200]+got.statuses[503] != 100 {
		t.Errorf("answers: %v, %v", got.statuses, got.err)
	}
	proxytest.Eventually(t, "requests that are answered again", func() bool {
		resp, _ := get(t, p.url())
		return resp.StatusCode == 200
	})
	p.well()
	if n := strings.Count(p.stderr.String(), "can't be opened"); n != 1 {
		t.Errorf("%d lines about it, want 1", n)
	}
}

// TestAdminIsNotHeld: clients that keep connections to the admin API keep nobody else
// from using it.
func TestAdminIsNotHeld(t *testing.T) {
	t.Parallel()
	p := short(t, 64, serve(t, hello))
	address := strings.TrimPrefix(p.admin(), "http://")
	ctx, cancel := context.WithCancel(t.Context())
	var attackers sync.WaitGroup
	for _, attack := range []func(context.Context, string, int) error{attack.IdleClients, attack.SilentClients} {
		attackers.Go(func() {
			if err := attack(ctx, address, 100); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(attackers.Wait)
	t.Cleanup(cancel)
	for range 20 {
		p.well()
		if resp, body := get(t, p.url()); resp.StatusCode != 200 {
			t.Fatalf("status %d: %s", resp.StatusCode, body)
		}
	}
	if n := p.metric("hopscope_shortages_total"); n != 0 {
		t.Errorf("%v connections could not be opened or accepted", n)
	}
}
