package snapshot_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hopscope/hopscope/proxy/config"
	"github.com/hopscope/hopscope/proxy/proxytest"
)

// TestMeasure: metrics say how a proxy stands: its configuration, its limits, its sources,
// and its clusters.
func TestMeasure(t *testing.T) {
	file := filepath.Join(t.TempDir(), "endpoints.yaml")
	write := func(text string) {
		if err := os.WriteFile(file+".new", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	write("endpoints: [127.0.0.1:1]")
	configuration := func(change ...func(*config.Config)) *config.Config {
		return proxytest.NewConfig(t, "127.0.0.1:1", append(change, func(c *config.Config) {
			c.Admin.Address = "127.0.0.1:0"
			c.Listeners[0].MaxConnections = 7
			egress := config.NewListener("egress", "127.0.0.1:0")
			egress.Direction, egress.ForwardProxy = "outbound", config.NewForwardProxy()
			c.Listeners = append(c.Listeners, egress)
			web := config.NewCluster("127.0.0.1:1", "127.0.0.1:2")
			web.CircuitBreaker.MaxRequests, web.CircuitBreaker.MaxRetries = 11, 12
			web.CircuitBreaker.MaxConnections, web.CircuitBreaker.MaxPending = 13, 14
			listed := config.NewCluster()
			listed.File = &config.EndpointFile{Path: file}
			listed.Retry = config.NewRetry()
			listed.Retry.On, listed.Retry.Budget = []string{"5xx"}, config.NewRetryBudget()
			c.Clusters["web"], c.Clusters["listed"] = web, listed
		})...)
	}
	first := configuration()
	rig := proxytest.StartConfig(t, first)
	m := rig.Scrape()
	is := func(want float64, family string, labels ...string) {
		t.Helper()
		if got := m.Sum(family, append(labels, "service", "web")...); got != want || !m.Has(family, labels...) {
			t.Errorf("%s of %v is %v, want %v", family, labels, got, want)
		}
	}
	is(1, "hopscope_config_info", "hash", first.Hash())
	is(1, "hopscope_config_last_reload_successful")
	is(1, "hopscope_build_info")
	is(1, "hopscope_ready")
	is(0, "hopscope_draining")
	is(7, "hopscope_listener_connections_limit", "listener", "ingress", "direction", "inbound")
	is(11, "hopscope_circuit_breaker_limit", "cluster", "web", "breaker", "requests")
	is(12, "hopscope_circuit_breaker_limit", "cluster", "web", "breaker", "retries")
	is(13, "hopscope_circuit_breaker_limit", "cluster", "web", "breaker", "connections")
	is(14, "hopscope_circuit_breaker_limit", "cluster", "web", "breaker", "pending")
	is(1024, "hopscope_circuit_breaker_limit", "cluster", "listed", "breaker", "requests")
	if m.Has("hopscope_circuit_breaker_limit", "cluster", "listed", "breaker", "retries") {
		t.Error("a budget bounds retries, and not the circuit breaker")
	}
	is(0, "hopscope_cluster_panic", "cluster", "web")
	is(2, "hopscope_endpoints", "cluster", "web", "health", "healthy")
	if m.Has("hopscope_endpoints", "cluster", "egress", "health", "healthy") {
		t.Error("a forward proxy has no list of endpoints, so it does not lack any")
	}
	is(0, "hopscope_discovery_age_seconds", "cluster", "listed")
	is(1, "hopscope_discovery_endpoint_changes_total", "cluster", "listed", "change", "added")
	is(0, "hopscope_store_hops")
	is(float64(first.Telemetry.Store.MaxBytes), "hopscope_store_limit_bytes")
	is(1, "hopscope_store_sample_ratio")

	for _, e := range []string{"127.0.0.1:1", "127.0.0.1:2"} {
		if status, body := rig.Call("POST", "http://"+rig.AdminAddr().String()+"/clusters/web/endpoints/"+e+"/eject", ""); status != 200 {
			t.Fatalf("%d: %s", status, body)
		}
	}
	write("endpoints: [127.0.0.1:1, 127.0.0.1:1]") // a mistake
	proxytest.Eventually(t, "a stale source, and a panic", func() bool {
		m = rig.Scrape()
		return m.Sum("hopscope_discovery_age_seconds", "cluster", "listed") > 0 && m.Sum("hopscope_cluster_panic", "cluster", "web") == 1
	})
	is(1, "hopscope_discovery_stale", "cluster", "listed")
	write("endpoints: [127.0.0.1:2]")
	proxytest.Eventually(t, "a fresh source", func() bool {
		m = rig.Scrape()
		return m.Sum("hopscope_discovery_endpoint_changes_total", "cluster", "listed", "change", "removed") == 1
	})
	is(0, "hopscope_discovery_age_seconds", "cluster", "listed")

	second := configuration(func(c *config.Config) { c.Telemetry.SlowThreshold = time.Minute })
	if second.Hash() == first.Hash() || second.Hash() != configuration(func(c *config.Config) { c.Telemetry.SlowThreshold = time.Minute }).Hash() {
		t.Error("a hash tells configurations apart, and nothing else")
	}
	rig.MustReload(second)
	m = rig.Scrape()
	is(1, "hopscope_config_info", "hash", second.Hash())
	if m.Has("hopscope_config_info", "hash", first.Hash()) {
		t.Error("the configuration before is in force no more")
	}
	rig.Call("POST", "http://"+rig.AdminAddr().String()+"/drain", "")
	m = rig.Scrape()
	is(0, "hopscope_ready")
	is(1, "hopscope_draining")
}

// TestMeasureExporterCertificate: metrics say when the certificate for a collector expires.
func TestMeasureExporterCertificate(t *testing.T) {
	authority := proxytest.NewAuthority(t)
	certificate := authority.Issue("web.test")
	rig := proxytest.StartConfig(t, proxytest.NewConfig(t, "127.0.0.1:1", func(c *config.Config) {
		c.Admin.Address = "127.0.0.1:0"
		c.Telemetry.Traces.OTLP = config.NewOTLP("127.0.0.1:1")
		c.Telemetry.Traces.OTLP.TLS = &config.CollectorTLS{CA: authority.File, Cert: certificate.Cert, Key: certificate.Key}
	}))
	m := rig.Scrape()
	if at := m.Sum("hopscope_tls_certificate_expiry_timestamp_seconds", "kind", "exporter", "name", "telemetry.traces.otlp"); at < float64(time.Now().Unix()) {
		t.Errorf("it expires at %v", at)
	}
}
