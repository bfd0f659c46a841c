package snapshot_test

import (
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// TestConfigInForce: the admin API says what the configuration does: which routes were
// used, and which not, how endpoints are, and until when certificates are good.
func TestConfigInForce(t *testing.T) {
	proxytest.NoLeaks(t)
	address := proxytest.Serve(t, proxytest.Echo)
	certificate := proxytest.NewAuthority(t).Issue("web.test")
	rig := proxytest.StartConfig(t, proxytest.NewConfig(t, address, func(c *config.Config) {
		c.Admin.Address = "127.0.0.1:0"
		unused := config.NewRoute(c.Listeners[0].Routes[0].Cluster)
		unused.Name, unused.Match.Hosts, unused.Match.PathPrefix, unused.Match.Methods = "old", []string{"old.test"}, "/v0/", []string{"GET", "PUT"}
		unused.Match.Headers = map[string]config.ValueMatch{"x-old": {Text: config.Text{Exact: "1"}}}
		c.Listeners[0].Routes = append([]config.Route{unused}, c.Listeners[0].Routes...)
		encrypted := config.NewListener("encrypted", "127.0.0.1:0")
		encrypted.Routes = []config.Route{config.NewRoute(unused.Cluster)}
		proxytest.ListenTLS(&encrypted, certificate)
		c.Listeners = append(c.Listeners, encrypted)
	}))
	rig.AskHost("shop", "/")
	type shown struct {
		Service, Instance string
		Config            struct {
			Hash   string
			Loaded time.Time
		}
		Listeners []struct {
			Name, Address, Protocol string
			TLS                     bool
			Routes                  []struct {
				Name, Match, Cluster string
				Hits                 uint64
				LastHit              *time.Time `json:"last_hit"`
			}
		}
		Clusters []struct {
			Name, Service, Source, Policy string
			Discovery                     *struct{ Kind string }
			Endpoints                     []struct {
				Address, Health, Reason string
				Requests                uint64
				Ejected, Draining       bool
			}
		}
		Certificates []struct {
			Name, Subject string
			SANs          []string
			UsedBy        []string `json:"used_by"`
			DaysLeft      int      `json:"days_left"`
		}
		YAML string
	}
	var got shown
	proxytest.Eventually(t, "the request is counted", func() bool {
		rig.FlushViews()
		got = shown{}
		rig.AdminJSON("/v1/config", &got)
		return len(got.Listeners) == 2 && len(got.Listeners[0].Routes) == 2 && got.Listeners[0].Routes[1].Hits == 1
	})
	old, used := got.Listeners[0].Routes[0], got.Listeners[0].Routes[1]
	if old.Name != "old" || old.Match != `path prefix /v0/; hosts old.test; methods GET, PUT; headers (x-old (exact 1))` || old.Hits != 0 || old.LastHit != nil || used.LastHit == nil || used.Match != "every request" {
		t.Errorf("routes %+v and %+v", old, used)
	}
	if got.Service != "web" || got.Config.Hash == "" || got.Config.Loaded.IsZero() || got.Listeners[0].TLS || !got.Listeners[1].TLS || got.YAML == "" {
		t.Errorf("%+v", got)
	}
	if c := got.Clusters[0]; c.Source != "the configuration" || c.Discovery != nil || c.Policy == "" || len(c.Endpoints) != 1 || c.Endpoints[0].Address != address ||
		c.Endpoints[0].Health != "healthy" || c.Endpoints[0].Requests != 1 {
		t.Errorf("cluster %+v", c)
	}
	if c := got.Certificates; len(c) != 1 || c[0].UsedBy[0] != "listener encrypted" || c[0].SANs[0] != "web.test" {
		t.Errorf("certificates %+v", c)
	}
}
