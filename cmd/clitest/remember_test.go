package clitest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// host asks for a service of a catalog over and over.
func (c *clients) host(url, host string) {
	client := &http.Client{Transport: &http.Transport{}}
	c.t.Cleanup(client.CloseIdleConnections)
	c.each(host, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), proxytest.Patience)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("body"))
		if err != nil {
			return err
		}
		r.Host = host
		resp, err := client.Do(r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != 200 {
			return fmt.Errorf("status %d, %q, %v", resp.StatusCode, body, err)
		}
		return nil
	})
}

// TestConsulIsAway while a proxy is upgraded, and while one restarts. Both serve the
// services that were known before.
func TestConsulIsAway(t *testing.T) {
	t.Parallel()
	a := backends.Consul(t, backends.ConsulOptions{})
	host, port := split(t, named(t, "payments"))
	a.Register(t, &api.AgentServiceRegistration{ID: "p1", Name: "payments", Address: host, Port: port})
	dir := t.TempDir()
	path := file(t, "hopscope.yaml", fmt.Sprintf(`
admin: {address: "127.0.0.1:0"}
upgrade_socket: %q
discovery: {cache: %q}
telemetry: {access_log: {path: "off"}}
consul: {address: %q}
listeners: [{name: ingress, address: "127.0.0.1:0", catalog: consul}]
`, filepath.Join(dir, "upgrade.sock"), filepath.Join(dir, "cache.json"), a.Address))
	p := start(t, "run", "-c", path)
	url, admin := p.url(), p.admin()
	asked := func(p *process) bool {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		must(t, err)
		r.Host = "payments"
		resp, err := newClient(t).Do(r)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == 200
	}
	proxytest.Eventually(t, "the service being served", func() bool { return asked(p) })
	a.Kill()
	p.find(`(the catalog can't be asked; what was known of it stays)`)

	load := &clients{t: t, stop: make(chan struct{})}
	load.host(url, "payments")
	load.after(20)
	for range 2 {
		next := start(t, "run", "-c", path, "--upgrade")
		next.find(`msg="(took over)"`)
		if code := p.exit(); code != 0 {
			t.Errorf("exit code %d", code)
		}
		load.after(20)
		if resp, body := get(t, admin+"/ready"); resp.StatusCode != 200 {
			t.Errorf("/ready: %d %s", resp.StatusCode, body)
		}
		p = next
	}
	close(load.stop)
	load.wg.Wait()
	p.drained()

	p = start(t, "run", "-c", path)
	url, admin = p.url(), p.admin()
	if !asked(p) {
		t.Error("after a restart the service is not served")
	}
	if _, body := get(t, admin+"/catalog"); !strings.Contains(body, `"remembered": true`) || !strings.Contains(body, `"stale": true`) {
		t.Errorf("/catalog: %s", body)
	}
	p.drained()
}
