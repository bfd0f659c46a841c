package operators

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// operator is a command operator, with Envoy's name and meaning. docs/access-log.md has a
// row for each.
type operator struct {
	name string
	// simple is the value of an operator without an argument; nil if it has one.
	simple Value
	// compile makes the value by its argument. It may accept none.
	compile func(r *Recorded, argument string) (Value, error)
}

// operators are all that a Hop can answer.
var operators = []operator{
	{name: "ACCESS_LOG_TYPE", simple: constant("DownstreamEnd")},
	{name: "BYTES_RECEIVED", simple: integer(func(h *hop.Hop) int64 { return h.BytesIn })},
	{name: "BYTES_SENT", simple: integer(func(h *hop.Hop) int64 { return h.BytesOut })},
	{name: "COMMON_DURATION", compile: commonDuration},
	{name: "DOWNSTREAM_DIRECT_REMOTE_ADDRESS", simple: words(func(h *hop.Hop) string { return h.Peer })},
	{name: "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT", simple: words(func(h *hop.Hop) string { return hostOf(h.Peer) })},
	{name: "DOWNSTREAM_DIRECT_REMOTE_PORT", simple: digits(func(h *hop.Hop) string { return portOf(h.Peer) })},
	{name: "DOWNSTREAM_PEER_SUBJECT", simple: ofTLS(downstream, func(t *hop.TLS) string { return t.PeerSubject })},
	{name: "DOWNSTREAM_PEER_URI_SAN", simple: ofTLS(downstream, uriOf)},
	{name: "DOWNSTREAM_REMOTE_ADDRESS", simple: clientAddress},
	{name: "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", simple: words(func(h *hop.Hop) string { return h.Client })},
	{name: "DOWNSTREAM_REMOTE_PORT", simple: digits(clientPort)},
	{name: "DOWNSTREAM_TLS_CIPHER", simple: ofTLS(downstream, func(t *hop.TLS) string { return t.Cipher })},
	{name: "DOWNSTREAM_TLS_VERSION", simple: ofTLS(downstream, func(t *hop.TLS) string { return "TLSv" + t.Version })},
	{name: "DURATION", simple: millis64(func(h *hop.Hop) time.Duration { return h.End })},
	{name: "ENVIRONMENT", compile: environment},
	{name: "GRPC_STATUS", compile: grpcStatus},
	{name: "GRPC_STATUS_NUMBER", simple: grpcNumber},
	{name: "HOSTNAME", simple: constant(hostname())},
	{name: "PROTOCOL", simple: words(func(h *hop.Hop) string { return h.Version.String() })},
	{name: "REQ", compile: (*Recorded).request},
	{name: "REQUESTED_SERVER_NAME", simple: ofTLS(downstream, func(t *hop.TLS) string { return t.ServerName })},
	{name: "REQ_WITHOUT_QUERY", compile: (*Recorded).requestWithoutQuery},
	{name: "RESP", compile: (*Recorded).response},
	{name: "RESPONSE_CODE", simple: integer(func(h *hop.Hop) int64 { return int64(h.Status) })},
	{name: "RESPONSE_CODE_DETAILS", simple: words(func(h *hop.Hop) string { return h.Details })},
	{name: "RESPONSE_DURATION", simple: millis64(func(h *hop.Hop) time.Duration { return moments["US_RX_BEG"](h) })},
	{name: "RESPONSE_FLAGS", simple: flagCodes},
	{name: "RESPONSE_FLAGS_LONG", simple: flagNames},
	{name: "RESPONSE_TX_DURATION", simple: between("US_RX_BEG", "DS_TX_END", time.Millisecond)},
	{name: "ROUTE_NAME", simple: words((*hop.Hop).RouteName)},
	{name: "START_TIME", compile: startTime},
	{name: "TRACE_ID", simple: traceID},
	{name: "UPSTREAM_CLUSTER", simple: words(func(h *hop.Hop) string { return h.Labels.Cluster })},
	{name: "UPSTREAM_CLUSTER_RAW", simple: words(func(h *hop.Hop) string { return h.Labels.Cluster })},
	{name: "UPSTREAM_HOST", simple: words(upstreamOf)},
	{name: "UPSTREAM_PEER_SUBJECT", simple: ofTLS(upstream, func(t *hop.TLS) string { return t.PeerSubject })},
	{name: "UPSTREAM_PEER_URI_SAN", simple: ofTLS(upstream, uriOf)},
	{name: "UPSTREAM_PROTOCOL", simple: words(upstreamProtocol)},
	{name: "UPSTREAM_REMOTE_ADDRESS", simple: words(upstreamOf)},
	{name: "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", simple: words(func(h *hop.Hop) string { return hostOf(upstreamOf(h)) })},
	{name: "UPSTREAM_REMOTE_PORT", simple: digits(func(h *hop.Hop) string { return portOf(upstreamOf(h)) })},
	{name: "UPSTREAM_REQUEST_ATTEMPT_COUNT", simple: integer(func(h *hop.Hop) int64 { return int64(len(h.Attempts)) })},
	{name: "UPSTREAM_TLS_CIPHER", simple: ofTLS(upstream, func(t *hop.TLS) string { return t.Cipher })},
	{name: "UPSTREAM_TLS_VERSION", simple: ofTLS(upstream, func(t *hop.TLS) string { return "TLSv" + t.Version })},
	{name: "UPSTREAM_TRANSPORT_FAILURE_REASON", simple: words(transportFailure)},
}

// Names returns the names of all command operators, sorted.
func Names() []string {
	names := make([]string, len(operators))
	for i := range operators {
		names[i] = operators[i].name
	}
	return names
}

// Value compiles the operator of a piece. Fields of requests and responses that a Hop does
// not have by itself are added to recorded; if that is nil, they are an error. The error
// says what is wrong with the operator.
func (p *Piece) Value(recorded *Recorded) (Value, error) {
	i := slices.IndexFunc(operators, func(o operator) bool { return o.name == p.Name })
	if i < 0 {
		return nil, fmt.Errorf("there is no command operator %%%s%%", clip(p.Name))
	}
	o := &operators[i]
	v := o.simple
	if o.compile != nil {
		var err error
		if v, err = o.compile(recorded, p.Argument); err != nil {
			return nil, fmt.Errorf("%%%s(%s)%%: %w", o.name, clip(p.Argument), err)
		}
	} else if p.called {
		return nil, fmt.Errorf("%%%s%% takes no argument", o.name)
	}
	if p.Most >= 0 {
		v = limited(v, p.Most)
	}
	return v, nil
}

// limited cuts a text.
func limited(v Value, length int) Value {
	return func(dst []byte, h *hop.Hop) ([]byte, Kind) {
		from := len(dst)
		dst, k := v(dst, h)
		if k == Text && len(dst)-from > length {
			dst = dst[:from+length]
		}
		return dst, k
	}
}

func constant(s string) Value {
	return func(dst []byte, _ *hop.Hop) ([]byte, Kind) { return textOf(dst, s) }
}

func words(of func(*hop.Hop) string) Value {
	return func(dst []byte, h *hop.Hop) ([]byte, Kind) { return textOf(dst, of(h)) }
}

func digits(of func(*hop.Hop) string) Value {
	return func(dst []byte, h *hop.Hop) ([]byte, Kind) {
		dst, k := textOf(dst, of(h))
		if k == Text {
			k = Number
		}
		return dst, k
	}
}

func integer(of func(*hop.Hop) int64) Value {
	return func(dst []byte, h *hop.Hop) ([]byte, Kind) {
		return appendInt(dst, of(h)), Number
	}
}

// millis64 is a duration in whole milliseconds; none if it is negative.
func millis64(of func(*hop.Hop) time.Duration) Value {
	return func(dst []byte, h *hop.Hop) ([]byte, Kind) {
		d := of(h)
		if d < 0 {
			return dst, None
		}
		return appendInt(dst, d.Milliseconds()), Number
	}
}

// textOf appends s, or nothing if it is empty.
func textOf[T string | []byte](dst []byte, s T) ([]byte, Kind) {
	if len(s) == 0 {
		return dst, None
	}
	return append(dst, s...), Text
}

func hostOf(address string) string {
	if i := strings.LastIndexByte(address, ':'); i >= 0 {
		return strings.Trim(address[:i], "[]")
	}
	return address
}

func portOf(address string) string {
	port := address[strings.LastIndexByte(address, ':')+1:]
	if strings.Trim(port, "0123456789") != "" || len(port) == len(address) {
		return ""
	}
	return port
}

// clientPort is the client's port; 0, as in Envoy, if only its address is known.
func clientPort(h *hop.Hop) string {
	switch {
	case h.Client == "":
		return ""
	case hostOf(h.Peer) == h.Client:
		return portOf(h.Peer)
	}
	return "0"
}

func clientAddress(dst []byte, h *hop.Hop) ([]byte, Kind) {
	if h.Client == "" {
		return dst, None
	}
	if strings.IndexByte(h.Client, ':') >= 0 {
		dst = append(append(append(dst, '['), h.Client...), ']')
	} else {
		dst = append(dst, h.Client...)
	}
	return append(append(dst, ':'), clientPort(h)...), Text
}

func downstream(h *hop.Hop) *hop.TLS { return h.TLS }

func upstream(h *hop.Hop) *hop.TLS {
	if a := h.LastAttempt(); a != nil {
		return a.TLS
	}
	return nil
}

func ofTLS(side func(*hop.Hop) *hop.TLS, of func(*hop.TLS) string) Value {
	return words(func(h *hop.Hop) string {
		if t := side(h); t != nil {
			return of(t)
		}
		return ""
	})
}

// uriOf is the peer's SPIFFE id.
func uriOf(t *hop.TLS) string {
	if strings.HasPrefix(t.Peer, "spiffe://") {
		return t.Peer
	}
	return ""
}

// upstreamOf is the endpoint of the last attempt.
func upstreamOf(h *hop.Hop) string {
	if a := h.LastAttempt(); a != nil {
		return a.Endpoint
	}
	return ""
}

func upstreamProtocol(h *hop.Hop) string {
	if a := h.LastAttempt(); a != nil {
		return a.Version.String()
	}
	return ""
}

// transportFailure is why the last attempt had no connection.
func transportFailure(h *hop.Hop) string {
	if a := h.LastAttempt(); a != nil && a.Flags&hop.UpstreamConnectionFailure != 0 {
		return a.Reason
	}
	return ""
}

func flagCodes(dst []byte, h *hop.Hop) ([]byte, Kind) {
	if h.Flags == 0 {
		return dst, None
	}
	return h.Flags.Append(dst), Text
}

// longNames are Envoy's, by the code.
var longNames = map[string]string{
	"UH": "NoHealthyUpstream", "UF": "UpstreamConnectionFailure", "UO": "UpstreamOverflow", "NR": "NoRouteFound",
	"NC": "NoClusterFound", "URX": "UpstreamRetryLimitExceeded", "UT": "UpstreamRequestTimeout",
	"UC": "UpstreamConnectionTermination", "UR": "UpstreamRemoteReset", "UPE": "UpstreamProtocolError",
	"DF": "DnsResolutionFailed", "DC": "DownstreamConnectionTermination", "DR": "DownstreamRemoteReset",
	"DPE": "DownstreamProtocolError", "IH": "InvalidEnvoyRequestHeaders", "SI": "StreamIdleTimeout",
	"DT": "DurationTimeout", "UMSDR": "UpstreamMaxStreamDurationReached", "LR": "LocalReset", "LH": "FailedLocalHealthCheck",
	"DI": "DelayInjected", "FI": "FaultInjected", "RL": "RateLimited", "RLSE": "RateLimitServiceError",
	"UAEX": "UnauthorizedExternalService", "OM": "OverloadManagerTerminated", "PANIC": "ProxyPanic",
}

func flagNames(dst []byte, h *hop.Hop) ([]byte, Kind) {
	for i, f := 0, h.Flags; f != 0; i, f = i+1, f&(f-1) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, longNames[f.Code()]...)
	}
	if h.Flags == 0 {
		return dst, None
	}
	return dst, Text
}

func grpcNumber(dst []byte, h *hop.Hop) ([]byte, Kind) {
	if h.GRPCStatus == 0 {
		return dst, None
	}
	return appendInt(dst, int64(h.GRPCStatus.Code())), Number
}

func traceID(dst []byte, h *hop.Hop) ([]byte, Kind) {
	if h.Trace.IsZero() {
		return dst, None
	}
	return h.Trace.AppendHex(dst), Text
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "" // shown as nothing
	}
	return name
}

// environment is a variable of the environment as it is at the start, or the default
// behind a colon.
func environment(_ *Recorded, argument string) (Value, error) {
	name, def, _ := strings.Cut(argument, ":")
	if name == "" {
		return nil, fmt.Errorf("expected the name of a variable of the environment")
	}
	if v, ok := os.LookupEnv(name); ok {
		def = v
	}
	return constant(def), nil
}

// grpcStatus is the status of a call in one of three forms, "Unavailable" by default.
func grpcStatus(_ *Recorded, form string) (Value, error) {
	switch form {
	case "NUMBER":
		return grpcNumber, nil
	case "SNAKE_STRING":
		return words(func(h *hop.Hop) string { return h.GRPCStatus.String() }), nil
	case "", "CAMEL_STRING":
		return words(func(h *hop.Hop) string { return camel(h.GRPCStatus) }), nil
	}
	return nil, fmt.Errorf("expected CAMEL_STRING, SNAKE_STRING or NUMBER")
}

// camel is the name of a status in Envoy's form.
func camel(s hop.GRPCStatus) string {
	switch s.String() {
	case "OK":
		return "OK"
	case "CANCELLED":
		return "Canceled"
	}
	var b strings.Builder
	for word := range strings.SplitSeq(s.String(), "_") {
		if word != "" {
			b.WriteString(word[:1] + strings.ToLower(word[1:]))
		}
	}
	return b.String()
}
