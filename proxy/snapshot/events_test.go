package snapshot_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
	"github.com/hopscope/hopscope/telemetry/events"
)

// TestEvents: the admin API says what happened to a proxy, in order.
func TestEvents(t *testing.T) {
	proxytest.NoLeaks(t)
	address := proxytest.Serve(t, proxytest.Echo)
	old := proxytest.NewAuthority(t).Issue("web.test", proxytest.Expired)
	encrypted := func(c *config.Config) {
		proxytest.ListenTLS(&c.Listeners[0], old)
		c.Admin.Address = "127.0.0.1:0"
	}
	rig := proxytest.StartConfig(t, proxytest.NewConfig(t, address, encrypted))
	rig.MustReload(proxytest.NewConfig(t, address, encrypted, func(c *config.Config) { c.Clusters["other"] = config.NewCluster("127.0.0.1:1") }))
	if _, err := rig.Reload(proxytest.NewConfig(t, address, encrypted, func(c *config.Config) { c.Service = "other" })); err == nil {
		t.Error("a service can't change")
	}
	var all, recent []events.Event
	rig.AdminJSON("/v1/events", &all)
	var got []string
	for _, e := range all {
		text, _, _ := strings.Cut(e.Text, ": ")
		got = append(got, string(e.Kind)+" "+e.Service+" "+text)
	}
	want := []string{
		"certificate_expired web a certificate of listener ingress expired", "start web the proxy started, version " + strings.TrimPrefix(all[1].Text, "the proxy started, version "),
		"reload web a new configuration is in use", "reload_rejected web a new configuration was rejected; the old one stays in use",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("(-want +got):\n" + diff)
	}
	rig.AdminJSON("/v1/events?since="+all[2].Time.Format(time.RFC3339Nano), &recent)
	if diff := cmp.Diff(all[2:], recent); diff != "" {
		t.Error("since the reload (-want +got):\n" + diff)
	}
	if status := rig.AdminJSON("/v1/events?until=1", new(any)); status != 400 {
		t.Errorf("status %d of an unknown parameter", status)
	}
	drained(rig)
}
