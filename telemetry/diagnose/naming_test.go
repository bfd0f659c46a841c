package diagnose

import (
	"testing"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// TestCharge has a row for each rule: who is at fault, and which part of it.
func TestCharge(t *testing.T) {
	const at = "127.0.0.1:4003"
	app := hop.PartApplication
	tested := map[string]bool{}
	for _, tt := range []struct {
		kind string
		// To the service's own application; to another service; and to one behind a proxy.
		own, callee, proxied hop.Part
		caller               bool // the caller is at fault
	}{
		{ErrorResponse, app, app, app, false},
		{"not_found", hop.PartConfiguration, hop.PartConfiguration, hop.PartConfiguration, true},
		{"no_cluster", hop.PartConfiguration, hop.PartConfiguration, hop.PartConfiguration, true},
		{"loop", hop.PartConfiguration, hop.PartConfiguration, hop.PartConfiguration, true},
		{"forbidden", hop.PartConfiguration, hop.PartConfiguration, hop.PartConfiguration, true},
		{"fault_injected", hop.PartConfiguration, hop.PartConfiguration, hop.PartConfiguration, true},
		{"forbidden_address", hop.PartConfiguration, hop.PartConfiguration, hop.PartConfiguration, true},
		{"overflow", hop.PartCapacity, hop.PartCapacity, hop.PartCapacity, true},
		{"admission_denied", app, app, app, false},
		{"concurrency_limit", hop.PartCapacity, hop.PartCapacity, hop.PartCapacity, false},
		{"route_overflow", hop.PartCapacity, hop.PartCapacity, hop.PartCapacity, true},
		{"overload", hop.PartCapacity, hop.PartCapacity, hop.PartCapacity, true},
		{"exhausted", hop.PartCapacity, hop.PartCapacity, hop.PartCapacity, true},
		{"ports_exhausted", hop.PartCapacity, hop.PartCapacity, hop.PartCapacity, true},
		{"tls_cert_missing", hop.PartCertificate, hop.PartCertificate, hop.PartCertificate, true},
		{"tls_cert_rejected", hop.PartCertificate, hop.PartCertificate, hop.PartCertificate, true},
		{"draining", hop.PartProxy, hop.PartProxy, hop.PartProxy, true},
		{"internal", hop.PartProxy, hop.PartProxy, hop.PartProxy, true},
		{"panic", hop.PartProxy, hop.PartProxy, hop.PartProxy, true},
		{KindNoTimeLeft, app, app, app, true},
		{"no_healthy", app, app, app, false},
		{"undiscovered", hop.PartResolution, hop.PartResolution, hop.PartResolution, false},
		{"dns_failed", hop.PartResolution, hop.PartResolution, hop.PartResolution, false},
		{"connect_refused", app, app, hop.PartProxy, false},
		{"connect_failed", app, app, hop.PartProxy, false},
		{"connect_timeout", hop.PartNetwork, hop.PartNetwork, hop.PartNetwork, false},
		{"connect_unroutable", hop.PartNetwork, hop.PartNetwork, hop.PartNetwork, false},
		{"tls_failed", hop.PartConfiguration, hop.PartConfiguration, hop.PartConfiguration, false},
		{"tls_timeout", app, app, hop.PartProxy, false},
		{"tls_version", hop.PartConfiguration, hop.PartConfiguration, hop.PartConfiguration, false},
		{"tls_alpn", hop.PartConfiguration, hop.PartConfiguration, hop.PartConfiguration, false},
		{"tls_alert", hop.PartConfiguration, hop.PartConfiguration, hop.PartConfiguration, false},
		{"cert_expired", hop.PartCertificate, hop.PartCertificate, hop.PartCertificate, false},
		{"cert_unknown", hop.PartCertificate, hop.PartCertificate, hop.PartCertificate, false},
		{"cert_name", hop.PartCertificate, hop.PartCertificate, hop.PartCertificate, false},
		{"cert_revoked", hop.PartCertificate, hop.PartCertificate, hop.PartCertificate, false},
		{"cert_pin", hop.PartCertificate, hop.PartCertificate, hop.PartCertificate, false},
		{"cert_unsuitable", hop.PartCertificate, hop.PartCertificate, hop.PartCertificate, false},
		{"upstream_closed", app, app, hop.PartProxy, false},
		{"upstream_reset", app, app, hop.PartProxy, false},
		{"upstream_refused", app, app, hop.PartProxy, false},
		{"upstream_protocol", app, app, app, false},
		{"upstream_header", app, app, app, false},
		{"upstream_http2", app, app, app, false},
		{"upstream_timeout", app, app, app, false},
		{"per_try_timeout", app, app, app, false},
		{"upstream_idle", app, app, app, false},
	} {
		tested[tt.kind] = true
		t.Run(tt.kind, func(t *testing.T) {
			if !Charged(tt.kind) {
				t.Fatal("it has no rule")
			}
			for _, m := range []struct {
				Met
				part hop.Part
			}{
				{Met{Service: "orders"}, tt.own},
				{Met{Service: "orders", Callee: "orders", Proxied: true}, tt.own},
				{Met{Service: "orders", Callee: "payments"}, tt.callee},
				{Met{Service: "orders", Callee: "payments", Proxied: true}, tt.proxied},
			} {
				m.Endpoint, m.Kind, m.Reason = at, tt.kind, "it is so"
				f := Charge(m.Met)
				want := hop.Failure{Hop: "payments", Part: m.part, Kind: tt.kind, Caller: "orders", Endpoint: at, Reason: "it is so"}
				if own := m.Callee != "payments"; own || tt.caller {
					want.Hop, want.Caller = "orders", ""
					if !own {
						want.Endpoint = ""
					}
				} else if m.Proxied {
					want.Reason = rules[tt.kind].words + want.Reason
				}
				if f != want {
					t.Errorf("%+v is charged\n%+v, want\n%+v", m.Met, f, want)
				}
			}
		})
	}
	for kind := range rules {
		if !tested[kind] {
			t.Errorf("the rule of %s has no row above", kind)
		}
	}
}
