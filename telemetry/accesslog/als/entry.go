package als

import (
	"crypto/tls"
	"net"
	"strconv"
	"strings"
	"time"

	corepb "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	datapb "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/hopscope/hopscope/telemetry/hop"
	"github.com/hopscope/hopscope/telemetry/redact"
)

// entryOf is the entry of a hop. What Envoy has no place for is in its custom tags: the ids
// of trace and spans, and who is at fault.
func entryOf(h *hop.Hop) *datapb.HTTPAccessLogEntry {
	e := &datapb.HTTPAccessLogEntry{
		CommonProperties: common(h),
		Request: &datapb.HTTPRequestProperties{
			RequestMethod: corepb.RequestMethod(corepb.RequestMethod_value[h.Method]),
			Scheme:        h.Scheme, Authority: valid(h.Bytes(h.Host)), Path: target(h, h.Path, h.Query), UserAgent: valid(h.Bytes(h.UserAgent)),
			RequestId: valid(h.Bytes(h.RequestID)), RequestBodyBytes: uint64(max(h.BytesIn, 0)),
		},
		Response: &datapb.HTTPResponseProperties{ResponseBodyBytes: uint64(max(h.BytesOut, 0)), ResponseCodeDetails: valid(h.Details)},
	}
	if h.Status > 0 {
		e.Response.ResponseCode = wrapperspb.UInt32(uint32(h.Status))
	}
	if h.GRPC && h.GRPCStatus > 0 {
		e.Response.ResponseTrailers = map[string]string{"grpc-status": strconv.Itoa(h.GRPCStatus.Code())}
		if h.GRPCMessage.Len() > 0 {
			e.Response.ResponseTrailers["grpc-message"] = valid(h.Bytes(h.GRPCMessage))
		}
	}
	switch h.Version {
	case hop.HTTP10:
		e.ProtocolVersion = datapb.HTTPAccessLogEntry_HTTP10
	case hop.HTTP11:
		e.ProtocolVersion = datapb.HTTPAccessLogEntry_HTTP11
	case hop.HTTP2:
		e.ProtocolVersion = datapb.HTTPAccessLogEntry_HTTP2
	}
	if h.RewrittenPath.Len() > 0 {
		e.Request.Path, e.Request.OriginalPath = target(h, h.RewrittenPath, h.Query), e.Request.Path
	} else if a := h.LastAttempt(); a != nil && a.Path.Len() > 0 {
		if seen := target(h, a.Path, a.Query); seen != e.Request.Path {
			e.Request.Path, e.Request.OriginalPath = seen, e.Request.Path
		}
	}
	return e
}

// common is what all kinds of entries have.
func common(h *hop.Hop) *datapb.AccessLogCommon {
	c := &datapb.AccessLogCommon{
		DownstreamRemoteAddress: clientAddress(h), DownstreamDirectRemoteAddress: address(h.Peer),
		TlsProperties: tlsOf(h.TLS), StartTime: timestamppb.New(h.Start), Duration: durationpb.New(h.End),
		TimeToFirstDownstreamTxByte: since(h.FirstByte), TimeToLastDownstreamTxByte: since(h.End),
		UpstreamCluster: valid(h.Labels.Cluster), RouteName: valid(h.RouteName()), ResponseFlags: flags(h.Flags),
		UpstreamRequestAttemptCount: uint32(len(h.Attempts)), CustomTags: tags(h), AccessLogType: datapb.AccessLogType_DownstreamEnd,
	}
	if a := h.LastAttempt(); a != nil {
		c.UpstreamRemoteAddress = address(a.Endpoint)
		c.TimeToFirstUpstreamTxByte, c.TimeToFirstUpstreamRxByte = since(a.Sent), since(a.FirstByte)
		if a.FirstByte > 0 {
			c.TimeToLastUpstreamRxByte = since(a.End)
		}
		if a.Flags&hop.UpstreamConnectionFailure != 0 {
			c.UpstreamTransportFailureReason = valid(a.Reason)
		}
	}
	return c
}

// tags are what Envoy's entries have no place for.
func tags(h *hop.Hop) map[string]string {
	t := map[string]string{"hopscope.service": valid(h.Labels.Service), "hopscope.direction": h.Labels.Direction.String()}
	add := func(name, value string) {
		if value != "" {
			t["hopscope."+name] = valid(value)
		}
	}
	if !h.Trace.IsZero() {
		add("trace_id", h.Trace.String())
	}
	if s := h.ExportedSpan(); !s.IsZero() {
		add("span_id", s.String())
	}
	if !h.Parent.IsZero() {
		add("parent_id", h.Parent.String())
	}
	f := &h.Failure
	add("failed_hop", f.Hop)
	add("failed_part", f.Part.String())
	add("failed_kind", f.Kind)
	add("failed_caller", f.Caller)
	add("failure_reason", f.Reason)
	return t
}

// target is a path with its query, whose credentials are redacted.
func target(h *hop.Hop, path, query hop.Text) string {
	b := append([]byte(nil), h.Bytes(path)...)
	if query.Len() > 0 {
		b = redact.AppendQuery(append(b, '?'), h.Bytes(query))
	}
	return valid(b)
}

// valid is a text that protobuf can carry.
func valid[T string | []byte](s T) string { return strings.ToValidUTF8(string(s), "\uFFFD") }

// since is an instant that happened; nil if it did not.
func since(d time.Duration) *durationpb.Duration {
	if d <= 0 {
		return nil
	}
	return durationpb.New(d)
}

// clientAddress is the client's, with its port if that is known.
func clientAddress(h *hop.Hop) *corepb.Address {
	if host, _, err := net.SplitHostPort(h.Peer); err == nil && host == h.Client {
		return address(h.Peer)
	}
	if h.Client == "" {
		return nil
	}
	return socket(h.Client, 0)
}

// address is "host:port"; nil if it is not.
func address(s string) *corepb.Address {
	host, port, err := net.SplitHostPort(s)
	n, badPort := strconv.ParseUint(port, 10, 16)
	if err != nil || badPort != nil {
		return nil
	}
	return socket(host, uint32(n))
}

func socket(host string, port uint32) *corepb.Address {
	return &corepb.Address{Address: &corepb.Address_SocketAddress{SocketAddress: &corepb.SocketAddress{
		Address: valid(host), PortSpecifier: &corepb.SocketAddress_PortValue{PortValue: port},
	}}}
}

// suites are the cipher suites by their IANA names.
var suites = func() map[string]uint32 {
	all := map[string]uint32{}
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		all[s.Name] = uint32(s.ID)
	}
	return all
}()

func tlsOf(t *hop.TLS) *datapb.TLSProperties {
	if t == nil {
		return nil
	}
	p := &datapb.TLSProperties{TlsSniHostname: valid(t.ServerName)}
	switch t.Version {
	case "1.2":
		p.TlsVersion = datapb.TLSProperties_TLSv1_2
	case "1.3":
		p.TlsVersion = datapb.TLSProperties_TLSv1_3
	}
	if id, ok := suites[t.Cipher]; ok {
		p.TlsCipherSuite = wrapperspb.UInt32(id)
	}
	if t.Peer == "" && t.PeerSubject == "" {
		return p
	}
	p.PeerCertificateProperties = &datapb.TLSProperties_CertificateProperties{Subject: valid(t.PeerSubject)}
	if strings.HasPrefix(t.Peer, "spiffe://") {
		p.PeerCertificateProperties.SubjectAltName = []*datapb.TLSProperties_CertificateProperties_SubjectAltName{{
			San: &datapb.TLSProperties_CertificateProperties_SubjectAltName_Uri{Uri: valid(t.Peer)},
		}}
	}
	return p
}

// flags are Envoy's response flags; nil if there is none.
func flags(f hop.Flags) *datapb.ResponseFlags {
	if f == 0 {
		return nil
	}
	has := func(one hop.Flags) bool { return f&one != 0 }
	r := &datapb.ResponseFlags{
		FailedLocalHealthcheck: has(hop.LocalHealthFailure), NoHealthyUpstream: has(hop.NoHealthyUpstream),
		UpstreamRequestTimeout: has(hop.UpstreamTimeout), LocalReset: has(hop.LocalReset | hop.ProxyPanic), UpstreamRemoteReset: has(hop.UpstreamReset),
		UpstreamConnectionFailure: has(hop.UpstreamConnectionFailure), UpstreamConnectionTermination: has(hop.UpstreamConnectionClosed),
		UpstreamOverflow: has(hop.UpstreamOverflow), NoRouteFound: has(hop.NoRoute), DelayInjected: has(hop.DelayInjected),
		FaultInjected: has(hop.FaultInjected), RateLimited: has(hop.RateLimited), RateLimitServiceError: has(hop.RateLimitServiceError),
		DownstreamConnectionTermination: has(hop.DownstreamClosed), UpstreamRetryLimitExceeded: has(hop.RetriesExhausted),
		StreamIdleTimeout: has(hop.StreamIdleTimeout), InvalidEnvoyRequestHeaders: has(hop.InvalidHeader),
		DownstreamProtocolError: has(hop.DownstreamProtocolError), UpstreamMaxStreamDurationReached: has(hop.MaxStreamDuration),
		DurationTimeout: has(hop.DurationTimeout), UpstreamProtocolError: has(hop.UpstreamProtocolError), NoClusterFound: has(hop.NoCluster),
		OverloadManager: has(hop.Overload), DnsResolutionFailure: has(hop.DNSFailure), DownstreamRemoteReset: has(hop.DownstreamReset),
	}
	if has(hop.Unauthorized) {
		r.UnauthorizedDetails = &datapb.ResponseFlags_Unauthorized{Reason: datapb.ResponseFlags_Unauthorized_EXTERNAL_SERVICE}
	}
	return r
}
