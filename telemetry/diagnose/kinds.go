package diagnose

import (
	"cmp"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// kinds gives the kind of a failure by the detail in its record. A test of package fault
// holds it to the table of the data plane.
var kinds = map[string]string{
	"forward_proxy_address_denied": "forbidden_address",
	"forward_proxy_denied":         "forbidden",
	"fault_filter_abort":           "fault_injected",
	"route_not_found":              "not_found",
	"cluster_not_found":            "no_cluster",
	"no_healthy_upstream":          "no_healthy",
	"discovery_unavailable":        "undiscovered",
	"upstream_overflow":            "overflow",
	"reached_concurrency_limit":    "concurrency_limit",
	"denied_by_admission_control":  "admission_denied",
	"route_max_requests":           "route_overflow",
	"proxy_loop":                   "loop",

	"upstream_reset_before_response_started{connection_refused}":     "connect_refused",
	"upstream_reset_before_response_started{connection_timeout}":     "connect_timeout",
	"upstream_reset_before_response_started{destination_unroutable}": "connect_unroutable",
	"upstream_reset_before_response_started{connection_failure}":     "connect_failed",
	"dns_resolution_failed": "dns_failed",
	"upstream_reset_before_response_started{connection_termination}": "upstream_closed",
	"upstream_reset_before_response_started{remote_reset}":           "upstream_reset",
	"upstream_reset_before_response_started{protocol_error}":         "upstream_protocol",
	"upstream_reset_before_response_started{header_too_large}":       "upstream_header",
	"response_timeout":                                             "upstream_timeout",
	"upstream_per_try_timeout":                                     "per_try_timeout",
	"stream_idle_timeout{response}":                                "upstream_idle",
	"upstream_reset_before_response_started{refused_stream}":       "upstream_refused",
	"upstream_reset_before_response_started{http2_protocol_error}": "upstream_http2",

	"upstream_tls_error":                          "tls_failed",
	"upstream_tls_error{timeout}":                 "tls_timeout",
	"upstream_tls_error{protocol_version}":        "tls_version",
	"upstream_tls_error{no_application_protocol}": "tls_alpn",
	"upstream_tls_error{alert_received}":          "tls_alert",
	"upstream_tls_error{certificate_required}":    "tls_cert_missing",
	"upstream_tls_error{certificate_rejected}":    "tls_cert_rejected",
	"upstream_tls_error{certificate_expired}":     "cert_expired",
	"upstream_tls_error{unknown_authority}":       "cert_unknown",
	"upstream_tls_error{name_mismatch}":           "cert_name",
	"upstream_tls_error{certificate_revoked}":     "cert_revoked",
	"upstream_tls_error{pin_mismatch}":            "cert_pin",
	"upstream_tls_error{bad_certificate}":         "cert_unsuitable",

	"overload":                         "overload",
	"local_resources_exhausted":        "exhausted",
	"local_resources_exhausted{ports}": "ports_exhausted",
	"draining":                         "draining",
	"internal_error":                   "internal",
	"internal_error{panic}":            "panic",
}

// kindsOfErrors and kindsOfFlags are for records whose detail says less, or nothing.
var kindsOfErrors = map[string]string{
	"connection_refused": "connect_refused", "connection_timeout": "connect_timeout",
	"destination_ip_unroutable": "connect_unroutable", "tls_protocol_error": "tls_failed", "tls_alert_received": "tls_alert",
}

var kindsOfFlags = map[hop.Flags]string{
	hop.NoHealthyUpstream: "no_healthy", hop.UpstreamConnectionFailure: "connect_failed", hop.UpstreamOverflow: "overflow",
	hop.NoRoute: "not_found", hop.NoCluster: "no_cluster", hop.UpstreamTimeout: "upstream_timeout",
	hop.UpstreamConnectionClosed: "upstream_closed", hop.UpstreamReset: "upstream_reset",
	hop.UpstreamProtocolError: "upstream_protocol", hop.DNSFailure: "dns_failed", hop.StreamIdleTimeout: "upstream_idle",
	hop.LocalReset: "internal", hop.Unauthorized: "forbidden", hop.Overload: "overload", hop.ProxyPanic: "panic",
}

// KindOf returns the kind of a failure that a proxy made, by the detail, the error type of
// RFC 9209 and the flags in its record; "" if they say of none.
func KindOf(details, proxyError string, flags hop.Flags) string {
	return cmp.Or(kinds[details], kindsOfErrors[proxyError], kindsOfFlags[(flags&(hop.Failures|hop.NoRoute|hop.Unauthorized)).First()])
}
