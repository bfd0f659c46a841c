package words

import "github.com/hopscope/hopscope/telemetry/hop"

// flags has a row for each flag. Their codes and meanings are those of package hop.
var flags = map[hop.Flags]Entry{
	hop.NoHealthyUpstream: {
		Causes: []string{
			"All endpoints of the cluster are unhealthy or ejected.",
			"The cluster has no endpoint.",
			"With the detail `discovery_unavailable`: the source of its endpoints has never answered."},
		Next: []string{
			"`/clusters` of the admin API: the health of each endpoint, and why it is ejected.",
			"`/ready`: what discovery waits for."}},
	hop.UpstreamConnectionFailure: {
		Causes: []string{
			"Nothing listens at the address: the service, or the proxy in front of it, is down.",
			"The network drops the packets, or has no way to the address.",
			"The TLS handshake fails. The detail says which it is."},
		Next: []string{
			"The address (`upstream` in the access log).",
			"For `upstream_tls_error`: the certificates of both sides and `clusters.NAME.tls`."}},
	hop.UpstreamOverflow: {
		Causes: []string{
			"The service is slow, so that requests pile up.",
			"More connections, requests or waiting requests than the cluster's circuit breaker allows.",
			"Too many requests of the route have failed (`denied_by_admission_control`): see those that did.",
			"More requests of the route than it lets through (`route_max_requests`), or than the service does well with (`reached_concurrency_limit`).",
			"More retries than their budget allows."},
		Next: []string{
			"Whether the service is slow (its latency in `/clusters`).",
			"`clusters.NAME.circuit_breaker` and `retry.budget`; `max_requests`, `adaptive_concurrency` and `admission_control` of the route."}},
	hop.NoRoute: {
		Causes: []string{
			"No route matches the host and path.",
			"With a catalog: no service has that name.",
			"With the detail `proxy_loop`: the request came through this proxy before."},
		Next: []string{"`host` and `path` in the access log, beside `listeners[].routes` or `/catalog`."}},
	hop.NoCluster: {
		Causes: []string{"Consul has no such service."},
		Next:   []string{"The service's name in Consul, and its datacenter.", "`/catalog`: the services that are known."}},
	hop.RetriesExhausted: {
		Causes: []string{"Every attempt that `retry` allows has failed."},
		Next:   []string{"The attempts in the trace: the flag of the last one says why it failed."}},
	hop.UpstreamTimeout: {
		Causes: []string{
			"The endpoint, or something that it waits for, is slow or hangs.",
			"The route's `timeout` is shorter than what the service may take.",
			"With the detail `upstream_per_try_timeout`: `retry.per_try_timeout` is."},
		Next: []string{"The trace: which hop took the time.", "The timeouts of the caller and of the service behind it."}},
	hop.UpstreamConnectionClosed: {
		Causes: []string{
			"The endpoint closed an idle connection just as a request was sent.",
			"The endpoint crashed or restarted."},
		Next: []string{
			"The endpoint's log.",
			"The attempt's `evidence`: it has both idle times, where they met. The pool learns after how long the endpoint closes connections, unless `clusters.NAME.learn_idle_timeout` is off."}},
	hop.UpstreamReset: {
		Causes: []string{"The endpoint reset the connection.", "It reset or refused the HTTP/2 stream."},
		Next:   []string{"The endpoint's log.", "Its limit of concurrent streams."}},
	hop.UpstreamProtocolError: {
		Causes: []string{
			"The endpoint speaks another protocol than the cluster says.",
			"Its response is malformed, or its head too large."},
		Next: []string{
			"The detail and the reason in `Proxy-Status`.",
			"`clusters.NAME.protocol`, `clusters.NAME.max_header_bytes`."}},
	hop.DNSFailure: {
		Causes: []string{"The name does not exist.", "The DNS server does not answer."},
		Next:   []string{"The name in the configuration.", "The resolver of this machine."}},
	hop.DownstreamClosed: {
		Causes: []string{"The client has a shorter timeout.", "It was cancelled, or crashed."},
		Next:   []string{"`duration_ms` in the access log beside the client's timeout.", "The trace, if the hop was slow."}},
	hop.DownstreamReset: {
		Causes: []string{"The client cancelled an HTTP/2 stream or a gRPC call: its deadline was over, or nobody needed the result."},
		Next:   []string{"`duration_ms` in the access log beside the client's deadline.", "The trace, if the hop was slow."}},
	hop.DownstreamProtocolError: {
		Causes: []string{
			"The client speaks another protocol, or breaks this one.",
			"With the detail `downstream_tls_error`: its TLS handshake failed."},
		Next: []string{"The detail and the reason.", "For TLS: the client's certificate, `client_ca` and `client_san`."}},
	hop.InvalidHeader: {
		Causes: []string{"A field of the request holds what is not allowed.", "The fields are too many or too large."},
		Next:   []string{"The detail and the reason.", "`listeners[].max_header_bytes` and `max_header_fields`."}},
	hop.StreamIdleTimeout: {
		Causes: []string{
			"The endpoint stalled within its response.",
			"The client stalled within its request. The detail says which."},
		Next: []string{"The side that stalled.", "`listeners[].stream_idle_timeout` and `request_head_timeout`."}},
	hop.DurationTimeout: {
		Causes: []string{"The client's connection was open for longer than `max_connection_age` and its grace."},
		Next:   []string{"Whether such long requests are meant to be cut.", "`listeners[].max_connection_age_grace`."}},
	hop.MaxStreamDuration: {
		Causes: []string{"The stream lasted for longer than it may."},
		Next:   []string{"Whether such long streams are meant to be cut."}},
	hop.LocalReset: {
		Causes: []string{"The proxy drains.", "It has an internal error. The detail says which."},
		Next:   []string{"The proxy's log."}},
	hop.LocalHealthFailure: {
		Causes: []string{"The proxy's own health check failed."},
		Next:   []string{"`/ready`: what is not ready."}},
	hop.DelayInjected: {
		Causes: []string{"The route asks for a delay, as a test.", "A trusted caller asks for it: `x-envoy-fault-delay-request`."},
		Next:   []string{"`listeners[].routes[].fault.delay` and `fault.headers`."}},
	hop.FaultInjected: {
		Causes: []string{"The route asks for a failure, as a test.", "A trusted caller asks for it: `x-envoy-fault-abort-request`."},
		Next:   []string{"`listeners[].routes[].fault.abort` and `fault.headers`."}},
	hop.RateLimited: {
		Causes: []string{"The client sent more than the limit allows.", "The limit is too low."},
		Next:   []string{"Who sends so much (`client` in the access log).", "The limit."}},
	hop.RateLimitServiceError: {
		Causes: []string{"The rate limit service is down, or too slow."},
		Next:   []string{"The rate limit service."}},
	hop.Unauthorized: {
		Causes: []string{"The forward proxy does not let this client reach that destination."},
		Next:   []string{"`listeners[].forward_proxy.allow` and `deny`."}},
	hop.Overload: {
		Causes: []string{
			"Clients made the proxy hold too much memory (`overload`).",
			"The machine has no descriptor, memory or local port left (`local_resources_exhausted`)."},
		Next: []string{"`hopscope_overload_refused_total`, `hopscope_shortages_total`; [docs/operations.md](operations.md#limits)."}},
	hop.ProxyPanic: {
		Causes: []string{"A defect in hopscope."},
		Next:   []string{"The proxy's log has the stack. Please report it."}},
}
