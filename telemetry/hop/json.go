package hop

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hopscope/hopscope/telemetry/redact"
)

// document is the JSON form of a Hop. Durations are nanoseconds, so that a Hop from
// another proxy is exact.
type document struct {
	Service    string        `json:"service"`
	Direction  string        `json:"direction"`
	Kind       string        `json:"kind"`
	Listener   string        `json:"listener,omitempty"`
	Route      string        `json:"route,omitempty"`
	Template   string        `json:"template,omitempty"`
	Cluster    string        `json:"cluster,omitempty"`
	Variant    string        `json:"variant,omitempty"`
	SlowNS     time.Duration `json:"slow_ns,omitempty"`
	TraceID    string        `json:"trace_id,omitempty"`
	SpanID     string        `json:"span_id,omitempty"`
	ParentID   string        `json:"parent_id,omitempty"`
	Sampled    bool          `json:"sampled"`
	SampledBy  string        `json:"sampled_by,omitempty"`
	Entry      bool          `json:"entry,omitempty"`
	Start      time.Time     `json:"start"`
	TimeoutNS  time.Duration `json:"timeout_ns,omitempty"`
	RoutedNS   time.Duration `json:"routed_ns,omitempty"`
	FirstByte  time.Duration `json:"first_byte_ns,omitempty"`
	EndNS      time.Duration `json:"end_ns"`
	Method     string        `json:"method,omitempty"`
	MethodText string        `json:"method_original,omitempty"`
	Version    string        `json:"version,omitempty"`
	Scheme     string        `json:"scheme,omitempty"`
	Status     int           `json:"status"`
	Flags      string        `json:"flags,omitempty"`
	ProxyError string        `json:"proxy_error,omitempty"`
	Details    string        `json:"details,omitempty"`
	Failure    *failure      `json:"failure,omitempty"`
	Recovered  *recovered    `json:"recovered,omitempty"`
	BytesIn    int64         `json:"bytes_in"`
	BytesOut   int64         `json:"bytes_out"`
	BlockedNS  time.Duration `json:"write_blocked_ns,omitempty"`
	QueuedNS   time.Duration `json:"queued_ns,omitempty"`
	Client     string        `json:"client,omitempty"`
	Peer       string        `json:"peer,omitempty"`
	Host       string        `json:"host,omitempty"`
	Path       string        `json:"path,omitempty"`
	Query      string        `json:"query,omitempty"`
	Rewritten  string        `json:"rewritten_path,omitempty"`
	UserAgent  string        `json:"user_agent,omitempty"`
	RequestID  string        `json:"request_id,omitempty"`
	TraceState string        `json:"tracestate,omitempty"`
	Upstream   string        `json:"upstream_proxy_status,omitempty"`
	Mirrored   string        `json:"mirrored,omitempty"`
	Injected   string        `json:"injected,omitempty"`
	GRPC       bool          `json:"grpc,omitempty"`
	GRPCStatus *int          `json:"grpc_status,omitempty"`
	GRPCName   string        `json:"grpc_status_name,omitempty"`
	GRPCText   string        `json:"grpc_message,omitempty"`
	TLS        *tlsFacts     `json:"tls,omitempty"`
	Attempts   []attempt     `json:"attempts,omitempty"`
}

type failure struct {
	Origin   string `json:"origin"`
	Hop      string `json:"hop,omitempty"`
	Part     string `json:"part,omitempty"`
	Kind     string `json:"kind,omitempty"`
	Caller   string `json:"caller,omitempty"`
	Endpoint string `json:"endpoint,omitempty"`
	Inferred bool   `json:"inferred,omitempty"`
	Reason   string `json:"reason,omitempty"`
}

// recovered is a failure that did not fail the request.
type recovered struct {
	failure
	TookNS time.Duration `json:"took_ns"`
}

func failureOf(f *Failure) failure {
	return failure{f.Origin.String(), f.Hop, f.Part.String(), f.Kind, f.Caller, f.Endpoint, f.Inferred, f.Reason}
}

func (f *failure) failure() Failure {
	return Failure{parse(f.Origin, OriginNone, OriginRelayed), f.Hop, ParsePart(f.Part), f.Kind, f.Caller, f.Endpoint, f.Inferred, f.Reason}
}

type attempt struct {
	SpanID        string        `json:"span_id,omitempty"`
	Endpoint      string        `json:"endpoint"`
	Cluster       string        `json:"cluster,omitempty"`
	Reused        bool          `json:"reused"`
	Cold          bool          `json:"cold,omitempty"`
	Version       string        `json:"version,omitempty"`
	Scheme        string        `json:"scheme,omitempty"`
	Host          string        `json:"host,omitempty"`
	Path          string        `json:"path,omitempty"`
	Query         string        `json:"query,omitempty"`
	StartNS       time.Duration `json:"start_ns"`
	ConnectedNS   time.Duration `json:"connected_ns,omitempty"`
	SentNS        time.Duration `json:"sent_ns,omitempty"`
	FirstByteNS   time.Duration `json:"first_byte_ns,omitempty"`
	EndNS         time.Duration `json:"end_ns"`
	Status        int           `json:"status"`
	Flags         string        `json:"flags,omitempty"`
	ProxyError    string        `json:"proxy_error,omitempty"`
	Details       string        `json:"details,omitempty"`
	Reason        string        `json:"reason,omitempty"`
	Evidence      string        `json:"evidence,omitempty"`
	BytesSent     int64         `json:"bytes_sent"`
	BytesReceived int64         `json:"bytes_received"`
	BlockedNS     time.Duration `json:"write_blocked_ns,omitempty"`
	GRPCStatus    *int          `json:"grpc_status,omitempty"`
	GRPCName      string        `json:"grpc_status_name,omitempty"`
	TLS           *tlsFacts     `json:"tls,omitempty"`
}

type tlsFacts struct {
	Version     string        `json:"version,omitempty"`
	Cipher      string        `json:"cipher,omitempty"`
	ServerName  string        `json:"sni,omitempty"`
	Protocol    string        `json:"alpn,omitempty"`
	Peer        string        `json:"peer,omitempty"`
	PeerSubject string        `json:"peer_subject,omitempty"`
	PeerExpires time.Time     `json:"peer_expires,omitzero"`
	Resumed     bool          `json:"resumed"`
	HandshakeNS time.Duration `json:"handshake_ns"`
}

// MarshalJSON writes every fact of the Hop under the names of the access log, durations
// as nanoseconds (_ns), and those of TLS in an object, tls. [redact.AppendQuery] redacts
// the query; invalid UTF-8 becomes U+FFFD.
func (h *Hop) MarshalJSON() ([]byte, error) {
	l := h.Labels
	if l == nil {
		l = &Labels{}
	}
	d := document{
		Service: l.Service, Direction: l.Direction.String(), Kind: kindNames[h.Kind],
		Listener: l.Listener, Route: l.Route, Template: h.Template, Cluster: l.Cluster, Variant: l.Variant, SlowNS: l.Slow,
		TraceID: idText(h.Trace[:]), SpanID: idText(h.Span[:]), ParentID: idText(h.Parent[:]),
		Sampled: h.Sampled, SampledBy: h.Keep.String(), Entry: h.Entry,
		Start: h.Start.UTC(), TimeoutNS: h.Timeout, RoutedNS: h.Routed, FirstByte: h.FirstByte, EndNS: h.End,
		Method: h.Method, MethodText: h.String(h.MethodText), Version: h.Version.String(),
		Scheme: h.Scheme, Status: h.Status, Flags: h.Flags.String(),
		ProxyError: h.ProxyError, Details: h.Details,
		BytesIn: h.BytesIn, BytesOut: h.BytesOut, BlockedNS: h.WriteBlocked, QueuedNS: h.Queued, Client: h.Client, Peer: h.Peer,
		Host: h.String(h.Host), Path: h.String(h.Path),
		Query:     string(redact.AppendQuery(nil, h.Bytes(h.Query))),
		Rewritten: h.String(h.RewrittenPath), UserAgent: h.String(h.UserAgent), RequestID: h.String(h.RequestID),
		TraceState: h.String(h.TraceState), Upstream: h.String(h.UpstreamHop),
		Mirrored: h.String(h.Mirrored), Injected: h.String(h.Injected),
		GRPC: h.GRPC, GRPCStatus: codeOf(h.GRPCStatus), GRPCName: h.GRPCStatus.String(),
		GRPCText: h.String(h.GRPCMessage), TLS: factsOf(h.TLS),
	}
	if h.Failure != (Failure{}) {
		f := failureOf(&h.Failure)
		d.Failure = &f
	}
	if r := h.Recovered; r != nil {
		d.Recovered = &recovered{failureOf(&r.Failure), r.Took}
	}
	for i := range h.Attempts {
		a := &h.Attempts[i]
		d.Attempts = append(d.Attempts, attempt{
			SpanID: idText(a.Span[:]), Endpoint: a.Endpoint, Cluster: a.Cluster, Reused: a.Reused, Cold: a.Cold,
			Version: a.Version.String(), Scheme: a.Scheme, Host: h.String(a.Host), Path: h.String(a.Path),
			Query: string(redact.AppendQuery(nil, h.Bytes(a.Query))), StartNS: a.Start, ConnectedNS: a.Connected, SentNS: a.Sent,
			FirstByteNS: a.FirstByte, EndNS: a.End, Status: a.Status, Flags: a.Flags.String(),
			ProxyError: a.ProxyError, Details: a.Details, Reason: a.Reason, Evidence: a.Evidence,
			BytesSent: a.BytesSent, BytesReceived: a.BytesReceived, BlockedNS: a.WriteBlocked,
			GRPCStatus: codeOf(a.GRPCStatus), GRPCName: a.GRPCStatus.String(), TLS: factsOf(a.TLS),
		})
	}
	return json.Marshal(&d)
}

// UnmarshalJSON replaces h by what [Hop.MarshalJSON] wrote, with its own Labels. Unknown
// words, which a newer proxy may send, count as absent; a malformed id is an error.
func (h *Hop) UnmarshalJSON(data []byte) error {
	var d document
	if err := json.Unmarshal(data, &d); err != nil {
		return fmt.Errorf("hop: %w", err)
	}
	*h = Hop{
		Labels: &Labels{
			Service: d.Service, Direction: parse(d.Direction, Inbound, Mirror),
			Listener: d.Listener, Route: d.Route, Cluster: d.Cluster, Variant: d.Variant, Slow: d.SlowNS,
		},
		Sampled: d.Sampled, Keep: parse(d.SampledBy, KeepNot, KeepMesh), Entry: d.Entry,
		Start: d.Start, Timeout: d.TimeoutNS, Routed: d.RoutedNS, FirstByte: d.FirstByte, End: d.EndNS,
		Method: d.Method, Version: parse(d.Version, VersionUnknown, HTTP2),
		Scheme: d.Scheme, Status: d.Status, Flags: parseFlags(d.Flags),
		ProxyError: d.ProxyError, Details: d.Details,
		BytesIn: d.BytesIn, BytesOut: d.BytesOut, WriteBlocked: d.BlockedNS, Queued: d.QueuedNS, Client: d.Client, Peer: d.Peer,
		GRPC: d.GRPC, GRPCStatus: statusOf(d.GRPCStatus), TLS: d.TLS.tls(), Template: d.Template,
	}
	for k, name := range kindNames {
		if d.Kind == name {
			h.Kind = Kind(k)
		}
	}
	if d.Failure != nil {
		h.Failure = d.Failure.failure()
	}
	if r := d.Recovered; r != nil {
		h.Recovered = &Recovered{r.failure.failure(), r.TookNS}
	}
	err := errors.Join(parseID(h.Trace[:], "trace_id", d.TraceID),
		parseID(h.Span[:], "span_id", d.SpanID), parseID(h.Parent[:], "parent_id", d.ParentID))
	for _, piece := range []struct {
		text *Text
		s    string
	}{
		{&h.MethodText, d.MethodText}, {&h.Host, d.Host}, {&h.Path, d.Path}, {&h.Query, d.Query},
		{&h.UserAgent, d.UserAgent}, {&h.RequestID, d.RequestID}, {&h.TraceState, d.TraceState},
		{&h.UpstreamHop, d.Upstream}, {&h.GRPCMessage, d.GRPCText}, {&h.RewrittenPath, d.Rewritten},
		{&h.Mirrored, d.Mirrored}, {&h.Injected, d.Injected},
	} {
		h.setIf(piece.text, piece.s)
	}
	for i := range d.Attempts {
		from, a := &d.Attempts[i], h.Attempt()
		*a = Attempt{
			Endpoint: from.Endpoint, Cluster: from.Cluster, Reused: from.Reused, Cold: from.Cold,
			Version: parse(from.Version, VersionUnknown, HTTP2), Scheme: from.Scheme,
			Start: from.StartNS, Connected: from.ConnectedNS, Sent: from.SentNS,
			FirstByte: from.FirstByteNS, End: from.EndNS, Status: from.Status,
			Flags: parseFlags(from.Flags), ProxyError: from.ProxyError, Details: from.Details,
			Reason: from.Reason, Evidence: from.Evidence, BytesSent: from.BytesSent, BytesReceived: from.BytesReceived, WriteBlocked: from.BlockedNS,
			GRPCStatus: statusOf(from.GRPCStatus), TLS: from.TLS.tls(),
		}
		h.setIf(&a.Host, from.Host)
		h.setIf(&a.Path, from.Path)
		h.setIf(&a.Query, from.Query)
		err = errors.Join(err, parseID(a.Span[:], fmt.Sprintf("attempts[%d].span_id", i), from.SpanID))
	}
	return err
}

// setIf sets a text that is not empty.
func (h *Hop) setIf(t *Text, s string) {
	if s != "" {
		h.SetString(t, s)
	}
}

// codeOf returns the code of a status, nil if there is none.
func codeOf(s GRPCStatus) *int {
	if s == 0 {
		return nil
	}
	code := s.Code()
	return &code
}

func statusOf(code *int) GRPCStatus {
	if code == nil {
		return 0
	}
	return GRPCStatusOf(*code)
}

func factsOf(t *TLS) *tlsFacts {
	if t == nil {
		return nil
	}
	return &tlsFacts{
		t.Version, t.Cipher, t.ServerName, t.Protocol, t.Peer, t.PeerSubject,
		t.PeerExpires.UTC(), t.Resumed, t.Handshake,
	}
}

func (f *tlsFacts) tls() *TLS {
	if f == nil {
		return nil
	}
	return &TLS{
		f.Version, f.Cipher, f.ServerName, f.Protocol, f.Peer, f.PeerSubject,
		f.PeerExpires, f.Resumed, f.HandshakeNS,
	}
}

var kindNames = [...]string{"request", "tunnel", "connection"}

// parse finds the value from first to last with the String s; it returns first if there
// is none.
func parse[T interface {
	~uint8
	String() string
}](s string, first, last T) T {
	for v := first; v <= last; v++ {
		if v.String() == s {
			return v
		}
	}
	return first
}

// parseFlags reads codes joined by commas.
func parseFlags(s string) (set Flags) {
	for code := range strings.SplitSeq(s, ",") {
		for i := range flags {
			if code == flags[i].code {
				set |= 1 << i
			}
		}
	}
	return set
}

func idText(id []byte) string {
	for _, b := range id {
		if b != 0 {
			return hex.EncodeToString(id)
		}
	}
	return ""
}

func parseID(id []byte, name, s string) error {
	if s == "" {
		return nil
	}
	if len(s) != 2*len(id) {
		return fmt.Errorf("hop: %s has %d characters, not the %d hex digits of an id", name, len(s), 2*len(id))
	}
	if _, err := hex.Decode(id, []byte(s)); err != nil {
		return fmt.Errorf("hop: %s: %w", name, err)
	}
	return nil
}
