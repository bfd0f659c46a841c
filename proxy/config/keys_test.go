package config

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"
)

// TestTags reads every tag of config.go as the rest of the package does, so
// that a wrong one is found here.
func TestTags(t *testing.T) {
	texts := readComments()
	seen := make(map[reflect.Type]bool)
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		if seen[typ] {
			return
		}
		seen[typ] = true
		if texts[typ.Name()] == "" {
			t.Errorf("%s has no comment in comments.txt (make generate)", typ.Name())
		}
		names := make(map[string]bool)
		for _, k := range keysOf(typ) {
			of := k.owner + "." + k.field
			if k.name == "" || names[k.name] || !isPlainName(k.name) {
				t.Errorf("%s: key %q", of, k.name)
			}
			names[k.name] = true
			if texts[of] == "" {
				t.Errorf("%s has no comment in comments.txt (make generate)", of)
			}
			if k.format != "" && formatOf(k.format).expected == "" {
				t.Errorf("%s: format %q", of, k.format)
			}
			if k.ref != "" && k.ref != "clusters" {
				t.Errorf("%s: validate knows no names of %s", of, k.ref)
			}
			if k.required && k.def != "" {
				t.Errorf("%s is required and has a default", of)
			}
			if k.expected() == "" {
				t.Errorf("%s expects nothing", of)
			}
			checkLimits(t, of, k)
			if inner, _ := k.holds(); inner != nil {
				walk(inner)
			}
		}
	}
	walk(reflect.TypeFor[Config]())
	if len(seen) < 15 {
		t.Errorf("only %d structs were found", len(seen))
	}
}

func checkLimits(t *testing.T, of string, k key) {
	t.Helper()
	for _, limit := range []string{k.min, k.max} {
		if limit == "" {
			continue
		}
		typ := k.typ
		if kindOf(typ) == kindList {
			typ = typ.Elem()
		}
		if _, err := parseScalar(typ, limit); err != nil {
			t.Errorf("%s: limit %q: %v", of, limit, err)
		}
	}
	if kindOf(k.typ) == kindDuration && k.max != "" {
		t.Errorf("%s: validate knows no max of a duration", of)
	}
	if k.def == "" {
		if len(k.enum) > 0 && !k.required && kindOf(k.typ) == kindString {
			t.Errorf("%s: an enum needs a default", of)
		}
		return
	}
	errs := &collector{}
	v := validator{errs: errs, config: New(), root: &place{}}
	v.value(&place{}, k, k.defaultValue())
	if err := errs.err(); err != nil {
		t.Errorf("%s: its default: %v", of, err)
	}
}

// TestDefaults has the defaults that the project promises.
func TestDefaults(t *testing.T) {
	c, l, r, cl, f := New(), NewListener("a", ":0"), NewRoute("c"), NewCluster("a:1"), NewForwardProxy()
	limits := HTTP2{MaxConcurrentStreams: 100, StreamWindow: 65536, KeepAliveTimeout: 20 * time.Second, MaxResets: 200, MaxControlFrames: 2000}
	for _, tt := range []struct {
		key       string
		got, want any
	}{
		{"service", c.Service, "hopscope"},
		{"admin.address", c.Admin.Address, "127.0.0.1:9901"},
		{"sample", c.Telemetry.Traces.Sample, 1.0},
		{"extract", c.Telemetry.Traces.Extract, []string{"w3c", "b3"}},
		{"access_log.path", c.Telemetry.AccessLog.Path, "stdout"},
		{"otlp", c.Telemetry.Traces.OTLP == nil, true},
		{"clusters", c.Clusters != nil, true},
		{"request_head_timeout", l.RequestHeadTimeout, 10 * time.Second},
		{"listener idle_timeout", l.IdleTimeout, time.Hour},
		{"stream_idle_timeout", l.StreamIdleTimeout, 5 * time.Minute},
		{"abort_on_close", l.AbortOnClose, "late"},
		{"max_header_bytes", l.MaxHeaderBytes, 60 * 1024},
		{"max_header_fields", l.MaxHeaderFields, 100},
		{"via", l.Via, true},
		{"forwarded.x_forwarded", l.Forwarded.XForwarded, "append"},
		{"route timeout", r.Timeout, 15 * time.Second},
		{"cluster connect_timeout", cl.ConnectTimeout, 5 * time.Second},
		{"cluster max_connections", cl.CircuitBreaker.MaxConnections, 1024},
		{"listener tls", l.TLS == nil, true},
		{"listener http2", l.HTTP2, limits},
		{"forward_client_cert", l.ForwardClientCert, "sanitize"},
		{"grpc_web", l.GRPCWeb, true},
		{"listener tls in full", *NewListenerTLS("a", "b"), ListenerTLS{Certificates: []Certificate{{"a", "b"}}, ClientAuth: "none",
			MinVersion: "1.2", MaxVersion: "1.3", ALPN: []string{"h2", "http/1.1"}, SessionTickets: true, HandshakeTimeout: 10 * time.Second}},
		{"cluster protocol", cl.Protocol, "auto"},
		{"cluster tls", cl.TLS == nil, true},
		{"cluster http2", cl.HTTP2, limits},
		{"cluster tls in full", *NewClusterTLS(), ClusterTLS{MinVersion: "1.2", MaxVersion: "1.3"}},
		{"circuit_breaker", cl.CircuitBreaker, CircuitBreaker{Thresholds{1024, 1024, 1024, 3}, Thresholds{1024, 1024, 1024, 3}}},
		{"balance", cl.Balance, Balance{Policy: "round_robin", Choices: 2, ActiveRequestBias: 1, MinRingSize: 1024, MaxRingSize: 8 << 20, TableSize: 65537,
			Decay: 10 * time.Second, DefaultRTT: 30 * time.Millisecond, PanicThreshold: 50, Overprovisioning: 1.4, MinZoneEndpoints: 6}},
		{"static endpoint", NewStaticEndpoint("a:1"), StaticEndpoint{Address: "a:1", Weight: 1, Metadata: map[string]string{}}},
		{"consul", *NewConsul("a"), Consul{Service: "a"}},
		{"dns", *NewDNS("a", 1), DNS{Name: "a", Port: 1, Type: "auto", Mode: "strict", Refresh: 5 * time.Second, MinTTL: time.Second, MaxTTL: time.Hour}},
		{"hash", NewHashOn(), HashOn{CookiePath: "/"}},
		{"slow_start", *NewSlowStart(), SlowStart{Window: 30 * time.Second, Aggression: 1, MinPercent: 10}},
		{"subsets", *NewSubsets("a", "b"), Subsets{Selectors: []Selector{{[]string{"a", "b"}}}, Fallback: "any", Default: map[string]string{}}},
		{"retry", *NewRetry("reset"), Retry{On: []string{"reset"}, Attempts: 2, Backoff: RetryBackoff{25 * time.Millisecond, 250 * time.Millisecond}, MaxBody: 64 << 10}},
		{"retry budget", *NewRetryBudget(), RetryBudget{Percent: 20, Min: 3}},
		{"hedge", *NewHedge(time.Second), Hedge{time.Second, 2}},
		{"outlier", *NewOutlier(), Outlier{Consecutive5xx: 5, ConsecutiveLocalOrigin: 5, Interval: 10 * time.Second, BaseEjection: 30 * time.Second,
			MaxEjection: 5 * time.Minute, MaxEjectedPercent: 10, SuccessRate: OutlierSuccessRate{true, 5, 100, 1.9},
			FailurePercentage: OutlierFailurePercentage{false, 85, 5, 50}}},
		{"health check", NewHealthCheck(), HealthCheck{Interval: 5 * time.Second, Timeout: time.Second, UnhealthyThreshold: 3, HealthyThreshold: 2,
			NoTrafficInterval: time.Minute}},
		{"HTTP check", *NewHTTPCheck("/"), HTTPCheck{Path: "/", Method: "GET", Headers: map[string]string{}, Statuses: []string{"200"}}},
		{"registration", *NewRegisterConsul(), RegisterConsul{Meta: map[string]string{}, Weight: 1, Sidecar: true}},
		{"registration's check", *NewRegisterCheck(), RegisterCheck{Interval: 5 * time.Second, Timeout: time.Second}},
		{"catalog timeout", c.Catalog.Timeout, 15 * time.Second},
		{"forward_proxy timeout", f.Timeout, 15 * time.Second},
		{"otlp", *NewOTLP("a:1"), OTLP{Protocol: "grpc", Endpoint: "a:1", Headers: map[string]string{}, Timeout: 10 * time.Second, Compression: "none"}},
		{"otlp timeout", NewOTLP("a:1").Timeout, 10 * time.Second},
		{"zipkin timeout", NewZipkin("http://a/").Timeout, 10 * time.Second},
	} {
		if !reflect.DeepEqual(tt.got, tt.want) {
			t.Errorf("%s is %v, want %v", tt.key, tt.got, tt.want)
		}
	}
	// Two of a kind share nothing.
	c.Telemetry.Traces.Extract[0] = "x"
	c.Clusters["x"] = cl
	if again := New(); slices.Contains(again.Telemetry.Traces.Extract, "x") || len(again.Clusters) != 0 {
		t.Error("defaults are shared")
	}
}

func TestValidateInvalidPrefix(t *testing.T) {
	c := New()
	l := NewListener("a", ":0")
	l.ForwardProxy = NewForwardProxy()
	l.ForwardProxy.Allow = []ForwardAllow{{Clients: []netip.Prefix{{}}, Destinations: []string{"*"}}}
	c.Listeners = []Listener{l}
	want := "listeners[0].forward_proxy.allow[0].clients[0]: expected a network such as 10.0.0.0/8, found nothing"
	if err := c.Validate(); err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}
