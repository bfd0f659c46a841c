package accesslog

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
	simple value
	// compile makes the value by its argument. It may accept none.
	compile func(c *compiler, argument string) (value, error)
}

// operators are all that a Hop can answer.
var operators = []operator{
	{name: "ACCESS_LOG_TYPE", simple: constant("DownstreamEnd")},
	{name: "BYTES_RECEIVED", simple: integer(func(h *hop.Hop) int64 { return h.BytesIn })},
	{name: "BYTES_SENT", simple: integer(func(h *hop.Hop) int64 { return h.BytesOut })},
	{name: "COMMON_DURATION", compile: (*compiler).commonDuration},
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
	{name: "ENVIRONMENT", compile: (*compiler).environment},
	{name: "GRPC_STATUS", compile: (*compiler).grpcStatus},
	{name: "GRPC_STATUS_NUMBER", simple: grpcNumber},
	{name: "HOP", compile: (*compiler).field},
	{name: "HOSTNAME", simple: constant(hostname())},
	{name: "PROTOCOL", simple: words(func(h *hop.Hop) string { return h.Version.String() })},
	{name: "REQ", compile: (*compiler).request},
	{name: "REQ_WITHOUT_QUERY", compile: (*compiler).requestWithoutQuery},
	{name: "REQUESTED_SERVER_NAME", simple: ofTLS(downstream, func(t *hop.TLS) string { return t.ServerName })},
	{name: "RESP", compile: (*compiler).response},
	{name: "RESPONSE_CODE", simple: integer(func(h *hop.Hop) int64 { return int64(h.Status) })},
	{name: "RESPONSE_CODE_DETAILS", simple: words(func(h *hop.Hop) string { return h.Details })},
	{name: "RESPONSE_DURATION", simple: millis64(func(h *hop.Hop) time.Duration { return moments["US_RX_BEG"](h) })},
	{name: "RESPONSE_FLAGS", simple: flagCodes},
	{name: "RESPONSE_FLAGS_LONG", simple: flagNames},
	{name: "RESPONSE_TX_DURATION", simple: between("US_RX_BEG", "DS_TX_END", time.Millisecond)},
	{name: "ROUTE_NAME", simple: words((*hop.Hop).RouteName)},
	{name: "START_TIME", compile: (*compiler).startTime},
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

// Operators returns the names of all command operators.
func Operators() []string {
	var names []string
	for i := range operators {
		names = append(names, operators[i].name)
	}
	return names
}

// value returns the value of a command.
func (c *compiler) value(command command) (value, error) {
	i := slices.IndexFunc(operators, func(o operator) bool { return o.name == command.name })
	if i < 0 {
		return nil, fmt.Errorf("there is no command operator %%%s%%; there are %s", clip(command.name), strings.Join(Operators(), ", "))
	}
	o := &operators[i]
	v := o.simple
	if o.compile != nil {
		var err error
		if v, err = o.compile(c, command.argument); err != nil {
			return nil, fmt.Errorf("%%%s(%s)%%: %w", o.name, clip(command.argument), err)
		}
	} else if command.called {
		return nil, fmt.Errorf("%%%s%% takes no argument", o.name)
	}
	if command.length >= 0 {
		v = limited(v, command.length)
	}
	return v, nil
}

// limited cuts a text.
func limited(v value, length int) value {
	return func(f *formatter, dst []byte, h *hop.Hop) ([]byte, kind) {
		from := len(dst)
		dst, k := v(f, dst, h)
		if k == text && len(dst)-from > length {
			dst = dst[:from+length]
		}
		return dst, k
	}
}

func constant(s string) value {
	return func(_ *formatter, dst []byte, _ *hop.Hop) ([]byte, kind) { return textOf(dst, s) }
}

func words(of func(*hop.Hop) string) value {
	return func(_ *formatter, dst []byte, h *hop.Hop) ([]byte, kind) { return textOf(dst, of(h)) }
}

func digits(of func(*hop.Hop) string) value {
	return func(_ *formatter, dst []byte, h *hop.Hop) ([]byte, kind) {
		dst, k := textOf(dst, of(h))
		if k == text {
			k = number
		}
		return dst, k
	}
}

func integer(of func(*hop.Hop) int64) value {
	return func(_ *formatter, dst []byte, h *hop.Hop) ([]byte, kind) {
		return appendInt(dst, of(h)), number
	}
}

// millis64 is a duration in whole milliseconds; none if it is negative.
func millis64(of func(*hop.Hop) time.Duration) value {
	return func(_ *formatter, dst []byte, h *hop.Hop) ([]byte, kind) {
		d := of(h)
		if d < 0 {
			return dst, none
		}
		return appendInt(dst, d.Milliseconds()), number
	}
}

// textOf appends s, or nothing if it is empty.
func textOf[T string | []byte](dst []byte, s T) ([]byte, kind) {
	if len(s) == 0 {
		return dst, none
	}
	return append(dst, s...), text
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

func clientAddress(_ *formatter, dst []byte, h *hop.Hop) ([]byte, kind) {
	if h.Client == "" {
		return dst, none
	}
	if strings.IndexByte(h.Client, ':') >= 0 {
		dst = append(append(append(dst, '['), h.Client...), ']')
	} else {
		dst = append(dst, h.Client...)
	}
	return append(append(dst, ':'), clientPort(h)...), text
}

func downstream(h *hop.Hop) *hop.TLS { return h.TLS }

func upstream(h *hop.Hop) *hop.TLS {
	if a := h.LastAttempt(); a != nil {
		return a.TLS
	}
	return nil
}

func ofTLS(side func(*hop.Hop) *hop.TLS, of func(*hop.TLS) string) value {
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

func flagCodes(_ *formatter, dst []byte, h *hop.Hop) ([]byte, kind) {
	if h.Flags == 0 {
		return dst, none
	}
	return h.Flags.Append(dst), text
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

func flagNames(_ *formatter, dst []byte, h *hop.Hop) ([]byte, kind) {
	for i, f := 0, h.Flags; f != 0; i, f = i+1, f&(f-1) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, longNames[f.Code()]...)
	}
	if h.Flags == 0 {
		return dst, none
	}
	return dst, text
}

func grpcNumber(_ *formatter, dst []byte, h *hop.Hop) ([]byte, kind) {
	if h.GRPCStatus == 0 {
		return dst, none
	}
	return appendInt(dst, int64(h.GRPCStatus.Code())), number
}

func traceID(_ *formatter, dst []byte, h *hop.Hop) ([]byte, kind) {
	if h.Trace.IsZero() {
		return dst, none
	}
	return h.Trace.AppendHex(dst), text
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
func (c *compiler) environment(argument string) (value, error) {
	name, def, _ := strings.Cut(argument, ":")
	if name == "" {
		return nil, fmt.Errorf("expected the name of a variable of the environment")
	}
	if v, ok := os.LookupEnv(name); ok {
		def = v
	}
	return constant(def), nil
}

// field is a key of the default line.
func (c *compiler) field(name string) (value, error) {
	v := fieldNamed(name)
	if v == nil {
		return nil, fmt.Errorf("there is no such field; there are %s", strings.Join(FieldNames(), ", "))
	}
	return v, nil
}

// grpcStatus is the status of a call in one of three forms, "Unavailable" by default.
func (c *compiler) grpcStatus(form string) (value, error) {
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
