package diagnose

import (
	"strconv"
	"strings"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// ErrorResponse is the kind of failure that an application itself answered: an HTTP status
// of 500 and above, or a gRPC status that is the server's fault. The other kinds are those
// that a proxy meets; each has its row in the table of [Charge].
const ErrorResponse = "error_response"

// KindLostContext is the kind of failure of a service that answered with an error, passes no
// trace context on, and has made calls that failed meanwhile: it is not known whether one
// was for that request. Nothing is at fault for sure.
const KindLostContext = "lost_context"

// KindNoTimeLeft is the kind of failure of a call that had hardly any of the time that its
// own route allows: the service that called had used it up before.
const KindNoTimeLeft = "no_time_left"

// OutOfTime reports whether a kind of failure is that a response did not come in time.
func OutOfTime(kind string) bool {
	switch kind {
	case "upstream_timeout", "per_try_timeout", "upstream_idle", KindNoTimeLeft:
		return true
	}
	return false
}

// WantedTime reports whether a kind of failure may come from the want of time that a call
// began with. A limit of one attempt, or of silence, is a limit of its own.
func WantedTime(kind string) bool { return kind == "upstream_timeout" || kind == KindNoTimeLeft }

// Met is a failure as the proxy knows it that met it.
type Met struct {
	// Service is the proxy's own service.
	Service string
	// Callee is the service that was called, under its own name; empty where the request
	// was for the service itself, whose application then is what was called.
	Callee string
	// Proxied is true if it is known that a proxy of the mesh stands in front of Callee.
	Proxied bool
	// Endpoint is the address that was tried, empty for none.
	Endpoint string
	// Kind is what happened.
	Kind string
	// Reason says it in words.
	Reason string
}

// rule says who is at fault for a kind of failure.
type rule struct {
	caller bool     // the service of the proxy that met it; else the service that was called
	part   hop.Part // the part of it
	proxy  hop.Part // the part, where a proxy stands in front of what was called; else the same
	words  string   // what the reason begins with then, if it is not clear by itself
}

// rules has a row for each kind of failure that a proxy makes or meets. Those of a client
// are not here.
var rules = map[string]rule{
	ErrorResponse: {part: hop.PartApplication},

	// What the caller alone decides.
	"not_found":         {caller: true, part: hop.PartConfiguration},
	"no_cluster":        {caller: true, part: hop.PartConfiguration},
	"loop":              {caller: true, part: hop.PartConfiguration},
	"forbidden":         {caller: true, part: hop.PartConfiguration},
	"fault_injected":    {caller: true, part: hop.PartConfiguration},
	"forbidden_address": {caller: true, part: hop.PartConfiguration},
	"overflow":          {caller: true, part: hop.PartCapacity},
	"admission_denied":  {part: hop.PartApplication},
	"concurrency_limit": {part: hop.PartCapacity},
	"route_overflow":    {caller: true, part: hop.PartCapacity},
	"overload":          {caller: true, part: hop.PartCapacity},
	"exhausted":         {caller: true, part: hop.PartCapacity},
	"ports_exhausted":   {caller: true, part: hop.PartCapacity},
	"tls_cert_missing":  {caller: true, part: hop.PartCertificate},
	"tls_cert_rejected": {caller: true, part: hop.PartCertificate},
	"draining":          {caller: true, part: hop.PartProxy},
	"internal":          {caller: true, part: hop.PartProxy},
	"panic":             {caller: true, part: hop.PartProxy},
	KindNoTimeLeft:      {caller: true, part: hop.PartApplication},

	// How the callee is found.
	"no_healthy":   {part: hop.PartApplication},
	"undiscovered": {part: hop.PartResolution},
	"dns_failed":   {part: hop.PartResolution},

	// The way to it.
	"connect_refused":    {part: hop.PartApplication, proxy: hop.PartProxy, words: "its proxy does not answer: "},
	"connect_failed":     {part: hop.PartApplication, proxy: hop.PartProxy, words: "its proxy does not answer: "},
	"connect_timeout":    {part: hop.PartNetwork},
	"connect_unroutable": {part: hop.PartNetwork},
	"tls_failed":         {part: hop.PartConfiguration},
	"tls_timeout":        {part: hop.PartApplication, proxy: hop.PartProxy},
	"tls_version":        {part: hop.PartConfiguration},
	"tls_alpn":           {part: hop.PartConfiguration},
	"tls_alert":          {part: hop.PartConfiguration},
	"cert_expired":       {part: hop.PartCertificate},
	"cert_unknown":       {part: hop.PartCertificate},
	"cert_name":          {part: hop.PartCertificate},
	"cert_revoked":       {part: hop.PartCertificate},
	"cert_pin":           {part: hop.PartCertificate},
	"cert_unsuitable":    {part: hop.PartCertificate},

	// What it does with the request. Its proxy would have said what it met itself.
	"upstream_closed":   {part: hop.PartApplication, proxy: hop.PartProxy},
	"upstream_reset":    {part: hop.PartApplication, proxy: hop.PartProxy},
	"upstream_refused":  {part: hop.PartApplication, proxy: hop.PartProxy},
	"upstream_protocol": {part: hop.PartApplication},
	"upstream_header":   {part: hop.PartApplication},
	"upstream_http2":    {part: hop.PartApplication},
	"upstream_timeout":  {part: hop.PartApplication},
	"per_try_timeout":   {part: hop.PartApplication},
	"upstream_idle":     {part: hop.PartApplication},
}

// Charged reports whether [Charge] knows the kind.
func Charged(kind string) bool { _, ok := rules[kind]; return ok }

// Charge says who is at fault for a failure, by the table of rules. Toward its own
// application that is the service itself; toward another service it is that, unless the
// caller alone decides such things.
func Charge(m Met) hop.Failure {
	r := rules[m.Kind]
	f := hop.Failure{Hop: m.Callee, Part: r.part, Kind: m.Kind, Caller: m.Service, Endpoint: m.Endpoint, Reason: m.Reason}
	switch {
	case m.Callee == "" || m.Callee == m.Service:
		f.Hop, f.Caller = m.Service, ""
	case r.caller:
		f.Hop, f.Caller, f.Endpoint = m.Service, "", ""
	case m.Proxied && r.proxy != hop.PartUnknown:
		f.Part = r.proxy
		f.Reason = r.words + m.Reason
	}
	return f
}

// Lost says that a failure was found though the service did not pass the trace on: that it
// is the failure of this request, and not of another that was under way, is inferred.
func Lost(f hop.Failure, service string) hop.Failure {
	f.Inferred = true
	if !strings.Contains(f.Reason, inferredBy) {
		f.Reason += inferredBy + service + " does not pass the trace context on)"
	}
	return f
}

const inferredBy = " (inferred from the time: "

// Failure is who is at fault for a hop that failed, by its own proxy. Where nobody said, the
// service itself answered with an error.
func Failure(h *hop.Hop) hop.Failure {
	f := h.Failure
	if f.Origin == hop.OriginNone {
		f = hop.Failure{Origin: hop.OriginEndpoint, Hop: h.Labels.Service, Kind: ErrorResponse, Part: hop.PartApplication, Reason: "answered " + strconv.Itoa(h.Status)}
	}
	return f
}
