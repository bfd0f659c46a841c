package catalog_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/hopscope/hopscope/deploy/backends"
	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// A proxy is registered under the names that tags ask for, as far as it may be, while a healthy
// instance asks for it; and it does not take itself for such a service.
func TestRegisterByTag(t *testing.T) {
	proxytest.NoLeaks(t)
	a := backends.Consul(t, backends.ConsulOptions{})
	shop := proxytest.Registration("shop-1", proxytest.Serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "shop") }),
		"urlprefix-/cart register=edge-shop", "urlprefix-/admin register=payments")
	shop.Check = &api.AgentServiceCheck{TTL: "1h", Status: api.HealthCritical}
	a.Register(t, shop)
	health := func(status string) { must(t, a.API(t).Agent().UpdateTTL("service:shop-1", "", status)) }
	l := proxytest.StartYAML(t, `
service: edge
consul: {address: "`+a.Address+`"}
register: {consul: {id: edge-1, address: 127.0.0.1, sidecar: false, names: [edge-shop, other], check: {tcp: "`+a.Address+`", interval: 1s}}}
listeners: [{name: ingress, address: "127.0.0.1:0", catalog: consul}]
`)
	found := func() *api.AgentService {
		all, err := a.API(t).Agent().Services()
		if err != nil {
			return nil
		}
		for _, s := range all {
			if s.Service == "payments" || s.Service == "other" {
				t.Errorf("it is registered as %s", s.Service)
			}
		}
		for _, s := range all {
			if s.Service == "edge-shop" {
				return s
			}
		}
		return nil
	}
	registered := func() bool {
		s := found()
		return s != nil && s.Port == int(l.Addr("ingress").Port()) && s.Address == "127.0.0.1" && len(s.Tags) == 0
	}
	l.AwaitAnswer("any", "/cart", 503, "(UH)") // the catalog is known
	if found() != nil {
		t.Error("it is registered while no instance can serve")
	}
	health(api.HealthPassing)
	proxytest.Eventually(t, "the registration", registered)
	proxytest.Eventually(t, "its check passing", func() bool {
		all, _, err := a.API(t).Health().Service("edge-shop", "", true, nil)
		return err == nil && len(all) == 1
	})
	l.AwaitAnswer("any", "/cart", 200, "shop")
	proxytest.Offer(t, a.Register, "later") // once it is known, so is what was registered before it
	l.AwaitAnswer("later", "/", 200, "later")
	l.AwaitAnswer("edge-shop", "/", 404, "(NR)")
	if _, text := l.Call("GET", l.AdminURL()+"catalog", ""); !strings.Contains(text, `register.consul.names of the configuration does not have \"payments\"`) {
		t.Errorf("/catalog does not say that a name is not registered: %s", text)
	}
	health(api.HealthCritical)
	proxytest.Eventually(t, "the end of the registration", func() bool { return found() == nil })
	health(api.HealthPassing)
	proxytest.Eventually(t, "the registration again", registered)
	a.Kill()
	a.Restart(t)
	a.Register(t, shop)
	health(api.HealthPassing)
	proxytest.Eventually(t, "the registration with an agent that has forgotten all", registered)
	reloaded := func(names ...string) {
		c := *l.Config()
		rc := *c.Register.Consul
		rc.Names = names
		c.Register = config.Register{Consul: &rc}
		_, err := l.Reload(&c)
		must(t, err)
	}
	reloaded("else")
	proxytest.Eventually(t, "the end of the registration by a reload", func() bool { return found() == nil })
	reloaded("edge-shop")
	proxytest.Eventually(t, "the registration by a reload", registered)
	if ids := l.Registered(); len(ids) != 2 || ids[0] != "edge-1" || !strings.HasPrefix(ids[1], "edge-shop-") {
		t.Errorf("a process that takes over is told of %q", ids)
	}
	l.Stop()
	if s := found(); s != nil {
		t.Errorf("%+v is left", s)
	}
}
