package fault

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// advice is what to do about a response flag.
type advice struct{ causes, next string }

// advices has a row for each flag that the proxy sets.
var advices = map[hop.Flags]advice{
	hop.NoHealthyUpstream: {
		"The cluster has no endpoint, or all are unhealthy or ejected. With the detail `discovery_unavailable`, the source of its endpoints has never answered.",
		"`/clusters` of the admin API: the health of each endpoint, and why it is ejected. `/ready`: what discovery waits for."},
	hop.UpstreamConnectionFailure: {
		"Nothing listens at the address, the network drops the packets, or the TLS handshake fails. The detail says which.",
		"The address (`upstream` in the access log). For `upstream_tls_error`: the certificates of both sides and `clusters.NAME.tls`."},
	hop.UpstreamOverflow: {
		"More connections, requests or waiting requests than the cluster's circuit breaker allows, or more retries than their budget does.",
		"Whether the service is slow (its latency in `/clusters`); then `clusters.NAME.circuit_breaker` and `retry.budget`."},
	hop.NoRoute: {
		"No route matches the host and path; with a catalog, no service has that name. `proxy_loop`: the request came through this proxy before.",
		"`host` and `path` in the access log, beside `listeners[].routes` or `/catalog`."},
	hop.NoCluster: {
		"Consul has no such service.",
		"The service's name in Consul, and its datacenter; `/catalog`."},
	hop.RetriesExhausted: {
		"Every attempt that `retry` allows has failed.",
		"The attempts in the trace: the flag of the last one says why it failed."},
	hop.UpstreamTimeout: {
		"The endpoint took longer than the route's `timeout`, or than `retry.per_try_timeout` (`upstream_per_try_timeout`).",
		"The trace: which hop took the time. Then the timeout."},
	hop.UpstreamConnectionClosed: {
		"The endpoint crashed, restarted, or closed an idle connection just as a request was sent.",
		"The endpoint's log. Its keep-alive timeout should be longer than `clusters.NAME.idle_timeout`."},
	hop.UpstreamReset: {
		"The endpoint reset the connection, or reset or refused the HTTP/2 stream.",
		"The endpoint's log, and its limit of concurrent streams."},
	hop.UpstreamProtocolError: {
		"The endpoint speaks another protocol than the cluster says, or its response is malformed or its head too large.",
		"The detail and the reason in `Proxy-Status`; `clusters.NAME.protocol`, `clusters.NAME.max_header_bytes`."},
	hop.DNSFailure: {
		"The name does not exist, or the DNS server does not answer.",
		"The name in the configuration, and the resolver of this machine."},
	hop.DownstreamClosed: {
		"The client gave up: it has a shorter timeout, was cancelled, or crashed.",
		"`duration_ms` in the access log beside the client's timeout; the trace, if the hop was slow."},
	hop.DownstreamReset: {
		"The client cancelled an HTTP/2 stream or a gRPC call.",
		"The same as for DC."},
	hop.DownstreamProtocolError: {
		"The client speaks another protocol, or breaks this one; or its TLS handshake fails (`downstream_tls_error`).",
		"The detail and the reason; for TLS, the client's certificate, `client_ca` and `client_san`."},
	hop.InvalidHeader: {
		"A field of the request holds what is not allowed, or the fields are too many or too large.",
		"The detail and the reason; `listeners[].max_header_bytes` and `max_header_fields`."},
	hop.StreamIdleTimeout: {
		"No byte moved for too long: the client stalled within its request, or the endpoint within its response. The detail says which.",
		"The side that stalled; `listeners[].stream_idle_timeout` and `request_head_timeout`."},
	hop.DurationTimeout: {
		"The client's connection was open for longer than `max_connection_age` and its grace.",
		"Whether such long requests are meant to be cut; `listeners[].max_connection_age_grace`."},
	hop.LocalReset: {
		"The proxy is draining, or has an internal error. The detail says which.",
		"The proxy's log."},
	hop.Unauthorized: {
		"The forward proxy does not let this client reach that destination.",
		"`listeners[].forward_proxy.allow` and `deny`."},
	hop.Overload: {
		"Clients made the proxy hold too much memory (`overload`), or the machine has no descriptor, memory or local port left (`local_resources_exhausted`).",
		"`hopscope_overload_refused_total`, `hopscope_shortages_total`; [operations.md](operations.md#limits)."},
	hop.ProxyPanic: {
		"A defect in hopscope.",
		"The proxy's log has the stack. Please report it."},
}

const referenceIntro = `# Response flags

Generated from the tables in ` + "`telemetry/hop` and `proxy/fault`" + `; do not edit.

A response flag says in a few letters why a request failed. It is in the access log (` + "`flags`" + `), metrics (label ` + "`flag`" + `), spans,
traces and ` + "`Proxy-Status`" + `. The flags are Envoy's, with Envoy's meaning; PANIC is hopscope's own. The detail beside a flag says more,
and the reason says it in words: ` + "`Proxy-Status`" + ` and spans have both, the access log has the reason (` + "`failure_reason`" + `).

| flag | meaning | usual causes | where to look next |
|---|---|---|---|
`

const detailsIntro = `
## Details

The detail of each failure, the status of the proxy's own response (none: there is nobody left to send one to), and the error type of
` + "`Proxy-Status`" + ` ([RFC 9209](https://www.rfc-editor.org/rfc/rfc9209.html#section-2.3)).

| flag | detail | status | error type |
|---|---|---|---|
`

// Reference returns a page about every response flag that the proxy sets, in Markdown.
func Reference() []byte {
	var b bytes.Buffer
	b.WriteString(referenceIntro)
	var unused []string
	for _, f := range hop.All() {
		a, ok := advices[f]
		if !ok {
			unused = append(unused, f.Code())
			continue
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", f.Code(), f.Hint(), a.causes, a.next)
	}
	fmt.Fprintf(&b, "\nNothing sets these flags yet: %s.\n", strings.Join(unused, ", "))
	b.WriteString(detailsIntro)
	all := All()
	slices.SortStableFunc(all, func(a, b Kind) int { return cmp.Compare(a.Flag(), b.Flag()) })
	for _, k := range all {
		status := "none"
		if k.Status() != 0 {
			status = fmt.Sprint(k.Status())
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s |\n", k.Flag(), k.Details(), status, k.ProxyError())
	}
	return b.Bytes()
}
