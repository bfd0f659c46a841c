package fault

import (
	"errors"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// Error is a failure in the data plane.
type Error struct {
	Kind Kind
	// Reason says what happened in words a person can act on: the place and,
	// where there is one, the remedy.
	Reason string
	// Cause is the underlying error, or nil.
	Cause error
	// Evidence is what else was found out, in words: by the kernel, or by the connection
	// pool. It is empty in most errors.
	Evidence string
}

// New returns an Error of the kind with its reason.
func New(k Kind, reason string) *Error { return &Error{Kind: k, Reason: reason} }

// Wrap returns an Error of the kind that was caused by err.
func Wrap(k Kind, reason string, err error) *Error {
	return &Error{Kind: k, Reason: reason, Cause: err}
}

func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Reason + ": " + e.Cause.Error()
	}
	return e.Reason
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Of finds the Error in err's chain, or makes an [Internal] one of it. Of(nil)
// is nil.
func Of(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return Wrap(Internal, "internal error", err)
}

// Side is who made a failure.
type Side uint8

// The sides.
const (
	Downstream Side = iota + 1
	Upstream
	Proxy
)

// Kind is what went wrong.
type Kind uint8

// The kinds. Those of a client's request come first, then those of routing,
// then those of an attempt, then the proxy's own.
const (
	None Kind = iota

	BadRequest         // the request breaks the protocol's grammar
	BadPath            // the request's path can be read in several ways
	NotHTTP            // what came is another protocol's
	BadFraming         // the request's length is ambiguous
	BadHeader          // a field is not acceptable
	HeaderTooLarge     // too many fields, or too many bytes of them
	URITooLong         // the request line does not fit
	NotImplemented     // a transfer coding that is not chunked
	VersionUnsupported // not HTTP/1.0 or HTTP/1.1
	RequestTimeout     // the head did not arrive in time
	ClientClosed       // the client went away
	ClientReset        // the client reset its stream
	RequestIdle        // the request's body stalled
	ContentTooLarge    // the request's content is more than may be kept
	ClientHTTP2        // the client broke the rules of HTTP/2
	ClientFlood        // the client sent more of something than any honest one does
	ClientUnresponsive // the client did not answer a PING
	ClientAged         // the client's connection was cut because it had been open for too long

	ClientTLS            // the client's TLS handshake failed
	ClientTLSTimeout     // it did not end in time
	ClientTLSVersion     // no protocol version in common
	ClientTLSALPN        // no application protocol in common
	ClientTLSAlert       // the client refused, with an alert
	ClientCertMissing    // a client certificate is required
	ClientCertExpired    // the client certificate is not valid at this time
	ClientCertUnknown    // no authority that is known has signed it
	ClientCertName       // it has none of the names that are let in
	ClientCertRevoked    // it has been revoked
	ClientCertUnsuitable // it is malformed, or made for something else

	// ForbiddenAddress is that a forward proxy takes nobody to the address that the
	// destination was found at.
	ForbiddenAddress
	Forbidden // this client may not use this forward proxy, or not reach that destination
	NotFound  // no route matched
	NoCluster // the route's cluster does not exist
	NoHealthy // the cluster has no endpoint to try
	// Undiscovered is that it is not known what there is: a source of routes or of
	// endpoints has never answered.
	Undiscovered
	Overflow // the cluster's connection limit was reached
	// RouteOverflow is that as many requests of the route were under way as it lets through.
	RouteOverflow
	// ConcurrencyLimit is that as many were as its adaptive limit lets through.
	ConcurrencyLimit
	// AdmissionDenied is that too many requests of the route have failed for all of the next
	// ones to be sent on.
	AdmissionDenied
	LoopFound  // the request has passed through here before
	BadGateway // the destination of a forward-proxy request makes no sense
	Injected   // the route's configuration, or a trusted caller, asks for a failure

	ConnectRefused    // the endpoint refused the connection
	ConnectTimeout    // it did not answer in time
	ConnectUnroutable // there is no way to it
	ConnectFailed     // any other failure to connect
	DNSFailed         // its name could not be resolved
	UpstreamClosed    // it closed before or within its response
	UpstreamReset     // it reset the connection
	UpstreamProtocol  // its response breaks the protocol's grammar
	UpstreamHeader    // its response's header is too large
	UpstreamTimeout   // its response did not come in time
	PerTryTimeout     // it did not come within the time of one attempt
	UpstreamIdle      // its response stalled
	UpstreamRefused   // it refused the stream before it did anything with it
	UpstreamHTTP2     // it broke the rules of HTTP/2

	TLSFailed      // the TLS handshake with the endpoint failed
	TLSTimeout     // it did not end in time
	TLSVersion     // no protocol version in common
	TLSALPN        // no application protocol in common
	TLSAlert       // the endpoint refused, with an alert
	TLSCertMissing // the endpoint requires a client certificate
	// TLSCertRejected is that the endpoint refused the client certificate, with an alert.
	TLSCertRejected
	CertExpired    // the endpoint's certificate is not valid at this time
	CertUnknown    // no authority that is known has signed it
	CertName       // it is for another name
	CertRevoked    // it has been revoked
	CertPin        // its key is none of those that are pinned
	CertUnsuitable // it is malformed, or made for something else

	Overload // the proxy is short of memory
	// Exhausted is that this machine had no descriptor, or no memory, left for a
	// connection: the endpoint was not asked.
	Exhausted
	// PortsExhausted is that it had no local port left for one more connection to
	// the endpoint; another may do.
	PortsExhausted
	Draining // the proxy is shutting down
	Internal // a defect of the proxy
	Panic    // a defect by which it panicked
	lastKind
)

// kind is a row of the one table that maps failures to everything a person
// sees of them. Proxy is the RFC 9209 section 2.3 error type.
type kind struct {
	name    string
	side    Side
	status  int
	flag    hop.Flags
	proxy   string
	details string
}

var kinds = [lastKind]kind{
	BadRequest:         {"bad_request", Downstream, 400, hop.DownstreamProtocolError, "http_request_error", "downstream_protocol_error"},
	BadPath:            {"bad_path", Downstream, 400, hop.DownstreamProtocolError, "http_request_error", "path_normalization_failed"},
	NotHTTP:            {"not_http", Downstream, 0, hop.DownstreamProtocolError, "", "downstream_protocol_error{not_http}"}, // so it would not understand an answer
	BadFraming:         {"bad_framing", Downstream, 400, hop.DownstreamProtocolError, "http_request_error", "downstream_protocol_error{framing}"},
	BadHeader:          {"bad_header", Downstream, 400, hop.InvalidHeader, "http_request_error", "invalid_header"},
	HeaderTooLarge:     {"header_too_large", Downstream, 431, hop.InvalidHeader, "http_request_error", "request_headers_too_large"},
	URITooLong:         {"uri_too_long", Downstream, 414, hop.DownstreamProtocolError, "http_request_error", "request_uri_too_long"},
	NotImplemented:     {"not_implemented", Downstream, 501, hop.DownstreamProtocolError, "http_request_error", "transfer_coding_not_implemented"},
	VersionUnsupported: {"version_unsupported", Downstream, 505, hop.DownstreamProtocolError, "http_request_error", "http_version_not_supported"},
	RequestTimeout:     {"request_timeout", Downstream, 408, hop.StreamIdleTimeout, "http_request_error", "request_header_timeout"},
	ClientClosed:       {"client_closed", Downstream, 0, hop.DownstreamClosed, "", "downstream_remote_disconnect"},
	ClientReset:        {"client_reset", Downstream, 0, hop.DownstreamReset, "", "downstream_remote_reset"},
	RequestIdle:        {"request_idle", Downstream, 408, hop.StreamIdleTimeout, "http_request_error", "stream_idle_timeout{request}"},
	ContentTooLarge:    {"content_too_large", Downstream, 413, hop.DownstreamProtocolError, "http_request_error", "request_payload_too_large"},
	ClientHTTP2:        {"client_http2", Downstream, 400, hop.DownstreamProtocolError, "http_protocol_error", "http2.protocol_error"},
	ClientFlood:        {"client_flood", Downstream, 400, hop.DownstreamProtocolError, "http_protocol_error", "http2.flood"},
	ClientUnresponsive: {"client_unresponsive", Downstream, 0, hop.DownstreamClosed, "", "http2.ping_timeout"},

	ClientAged: {"client_aged", Downstream, 0, hop.DurationTimeout, "", "max_connection_age_reached"},

	ClientTLS:            {"client_tls", Downstream, 0, hop.DownstreamProtocolError, "tls_protocol_error", "downstream_tls_error"},
	ClientTLSTimeout:     {"client_tls_timeout", Downstream, 0, hop.DownstreamProtocolError, "tls_protocol_error", "downstream_tls_error{timeout}"},
	ClientTLSVersion:     {"client_tls_version", Downstream, 0, hop.DownstreamProtocolError, "tls_protocol_error", "downstream_tls_error{protocol_version}"},
	ClientTLSALPN:        {"client_tls_alpn", Downstream, 0, hop.DownstreamProtocolError, "tls_protocol_error", "downstream_tls_error{no_application_protocol}"},
	ClientTLSAlert:       {"client_tls_alert", Downstream, 0, hop.DownstreamProtocolError, "tls_alert_received", "downstream_tls_error{alert_received}"},
	ClientCertMissing:    {"client_cert_missing", Downstream, 0, hop.DownstreamProtocolError, "tls_certificate_error", "downstream_tls_error{certificate_required}"},
	ClientCertExpired:    {"client_cert_expired", Downstream, 0, hop.DownstreamProtocolError, "tls_certificate_error", "downstream_tls_error{certificate_expired}"},
	ClientCertUnknown:    {"client_cert_unknown", Downstream, 0, hop.DownstreamProtocolError, "tls_certificate_error", "downstream_tls_error{unknown_authority}"},
	ClientCertName:       {"client_cert_name", Downstream, 0, hop.DownstreamProtocolError, "tls_certificate_error", "downstream_tls_error{name_mismatch}"},
	ClientCertRevoked:    {"client_cert_revoked", Downstream, 0, hop.DownstreamProtocolError, "tls_certificate_error", "downstream_tls_error{certificate_revoked}"},
	ClientCertUnsuitable: {"client_cert_unsuitable", Downstream, 0, hop.DownstreamProtocolError, "tls_certificate_error", "downstream_tls_error{bad_certificate}"},

	ForbiddenAddress: {"forbidden_address", Proxy, 403, hop.Unauthorized, "destination_ip_prohibited", "forward_proxy_address_denied"}, // RFC 9209 section 2.3.5

	Forbidden:        {"forbidden", Proxy, 403, hop.Unauthorized, "http_request_denied", "forward_proxy_denied"},
	NotFound:         {"not_found", Proxy, 404, hop.NoRoute, "destination_not_found", "route_not_found"},
	NoCluster:        {"no_cluster", Proxy, 503, hop.NoCluster, "destination_unavailable", "cluster_not_found"},
	NoHealthy:        {"no_healthy", Proxy, 503, hop.NoHealthyUpstream, "destination_unavailable", "no_healthy_upstream"},
	Undiscovered:     {"undiscovered", Proxy, 503, hop.NoHealthyUpstream, "destination_unavailable", "discovery_unavailable"},
	Overflow:         {"overflow", Proxy, 503, hop.UpstreamOverflow, "connection_limit_reached", "upstream_overflow"},
	RouteOverflow:    {"route_overflow", Proxy, 503, hop.UpstreamOverflow, "proxy_internal_response", "route_max_requests"},
	ConcurrencyLimit: {"concurrency_limit", Proxy, 503, hop.UpstreamOverflow, "proxy_internal_response", "reached_concurrency_limit"},
	AdmissionDenied:  {"admission_denied", Proxy, 503, hop.UpstreamOverflow, "proxy_internal_response", "denied_by_admission_control"},
	LoopFound:        {"loop", Proxy, 502, hop.NoRoute, "proxy_loop_detected", "proxy_loop"},
	Injected:         {"fault_injected", Proxy, 503, hop.FaultInjected, "proxy_internal_response", "fault_filter_abort"},
	BadGateway:       {"bad_destination", Downstream, 400, hop.DownstreamProtocolError, "http_request_error", "forward_proxy_destination_invalid"},

	ConnectRefused:    {"connect_refused", Upstream, 503, hop.UpstreamConnectionFailure, "connection_refused", "upstream_reset_before_response_started{connection_refused}"},
	ConnectTimeout:    {"connect_timeout", Upstream, 503, hop.UpstreamConnectionFailure, "connection_timeout", "upstream_reset_before_response_started{connection_timeout}"},
	ConnectUnroutable: {"connect_unroutable", Upstream, 503, hop.UpstreamConnectionFailure, "destination_ip_unroutable", "upstream_reset_before_response_started{destination_unroutable}"},
	ConnectFailed:     {"connect_failed", Upstream, 503, hop.UpstreamConnectionFailure, "connection_terminated", "upstream_reset_before_response_started{connection_failure}"},
	DNSFailed:         {"dns_failed", Upstream, 503, hop.DNSFailure, "dns_error", "dns_resolution_failed"},
	UpstreamClosed:    {"upstream_closed", Upstream, 503, hop.UpstreamConnectionClosed, "connection_terminated", "upstream_reset_before_response_started{connection_termination}"},
	UpstreamReset:     {"upstream_reset", Upstream, 503, hop.UpstreamReset, "connection_terminated", "upstream_reset_before_response_started{remote_reset}"},
	UpstreamProtocol:  {"upstream_protocol", Upstream, 502, hop.UpstreamProtocolError, "http_protocol_error", "upstream_reset_before_response_started{protocol_error}"},
	UpstreamHeader:    {"upstream_header", Upstream, 502, hop.UpstreamProtocolError, "http_response_header_section_size", "upstream_reset_before_response_started{header_too_large}"},
	UpstreamTimeout:   {"upstream_timeout", Upstream, 504, hop.UpstreamTimeout, "http_response_timeout", "response_timeout"},
	PerTryTimeout:     {"per_try_timeout", Upstream, 504, hop.UpstreamTimeout, "http_response_timeout", "upstream_per_try_timeout"},
	UpstreamIdle:      {"upstream_idle", Upstream, 504, hop.StreamIdleTimeout, "http_response_timeout", "stream_idle_timeout{response}"},
	UpstreamRefused:   {"upstream_refused", Upstream, 503, hop.UpstreamReset, "connection_terminated", "upstream_reset_before_response_started{refused_stream}"},
	UpstreamHTTP2:     {"upstream_http2", Upstream, 502, hop.UpstreamProtocolError, "http_protocol_error", "upstream_reset_before_response_started{http2_protocol_error}"},

	TLSFailed:       {"tls_failed", Upstream, 503, hop.UpstreamConnectionFailure, "tls_protocol_error", "upstream_tls_error"},
	TLSTimeout:      {"tls_timeout", Upstream, 503, hop.UpstreamConnectionFailure, "connection_timeout", "upstream_tls_error{timeout}"},
	TLSVersion:      {"tls_version", Upstream, 503, hop.UpstreamConnectionFailure, "tls_protocol_error", "upstream_tls_error{protocol_version}"},
	TLSALPN:         {"tls_alpn", Upstream, 503, hop.UpstreamConnectionFailure, "tls_protocol_error", "upstream_tls_error{no_application_protocol}"},
	TLSAlert:        {"tls_alert", Upstream, 503, hop.UpstreamConnectionFailure, "tls_alert_received", "upstream_tls_error{alert_received}"},
	TLSCertMissing:  {"tls_cert_missing", Upstream, 503, hop.UpstreamConnectionFailure, "tls_alert_received", "upstream_tls_error{certificate_required}"},
	TLSCertRejected: {"tls_cert_rejected", Upstream, 503, hop.UpstreamConnectionFailure, "tls_alert_received", "upstream_tls_error{certificate_rejected}"},
	CertExpired:     {"cert_expired", Upstream, 503, hop.UpstreamConnectionFailure, "tls_certificate_error", "upstream_tls_error{certificate_expired}"},
	CertUnknown:     {"cert_unknown", Upstream, 503, hop.UpstreamConnectionFailure, "tls_certificate_error", "upstream_tls_error{unknown_authority}"},
	CertName:        {"cert_name", Upstream, 503, hop.UpstreamConnectionFailure, "tls_certificate_error", "upstream_tls_error{name_mismatch}"},
	CertRevoked:     {"cert_revoked", Upstream, 503, hop.UpstreamConnectionFailure, "tls_certificate_error", "upstream_tls_error{certificate_revoked}"},
	CertPin:         {"cert_pin", Upstream, 503, hop.UpstreamConnectionFailure, "tls_certificate_error", "upstream_tls_error{pin_mismatch}"},
	CertUnsuitable:  {"cert_unsuitable", Upstream, 503, hop.UpstreamConnectionFailure, "tls_certificate_error", "upstream_tls_error{bad_certificate}"},

	Overload:       {"overload", Proxy, 503, hop.Overload, "proxy_internal_response", "overload"},
	Exhausted:      {"exhausted", Proxy, 503, hop.Overload, "proxy_internal_error", "local_resources_exhausted"},
	PortsExhausted: {"ports_exhausted", Proxy, 503, hop.Overload, "proxy_internal_error", "local_resources_exhausted{ports}"},

	Draining: {"draining", Proxy, 503, hop.LocalReset, "proxy_internal_response", "draining"},
	Internal: {"internal", Proxy, 500, hop.LocalReset, "proxy_internal_error", "internal_error"},
	Panic:    {"panic", Proxy, 500, hop.ProxyPanic, "proxy_internal_error", "internal_error{panic}"},
}

// String is the kind's name, such as "connect_refused".
func (k Kind) String() string { return kinds[k].name }

// Side is who made the failure.
func (k Kind) Side() Side { return kinds[k].side }

// Connecting reports whether the endpoint could not be reached, so that it has
// seen nothing of the request, and another may be tried.
func (k Kind) Connecting() bool {
	return k == PortsExhausted || k >= ConnectRefused && k <= DNSFailed || k >= TLSFailed && k <= CertUnsuitable
}

// Status is the HTTP status of the proxy's own response, 0 where there is
// nobody left to answer.
func (k Kind) Status() int { return kinds[k].status }

// Flag is the response flag.
func (k Kind) Flag() hop.Flags { return kinds[k].flag }

// ProxyError is the RFC 9209 section 2.3 error type, "" where there is none.
func (k Kind) ProxyError() string { return kinds[k].proxy }

// Details is the machine-readable cause, in Envoy's manner.
func (k Kind) Details() string { return kinds[k].details }

// All returns every kind but None.
func All() []Kind {
	var all []Kind
	for k := None + 1; k < lastKind; k++ {
		all = append(all, k)
	}
	return all
}
