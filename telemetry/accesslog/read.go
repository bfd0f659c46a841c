package accesslog

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hopscope/hopscope/telemetry/hop"
)

// maxLine is the longest line that is read, in bytes; the longest that is written is
// shorter.
const maxLine = 1 << 20

// Found are the hops of a trace in an access log.
type Found struct {
	Hops []*hop.Hop
	// Broken is how many lines name the trace, but could not be read, and Why the first of
	// them could not.
	Broken int
	Why    error
	// Other is how many lines name the trace and are no default lines: those of another
	// format, or of another program.
	Other int
	// Spanless is how many hops have several attempts without their span ids, as older
	// versions wrote them: which attempt led to what is not known.
	Spanless int
}

// ReadTrace finds the hops of a trace among the lines of access logs, at most most. What is
// compressed by gzip is read, too. Other lines are passed over, and so is what stands before a line's JSON, such as the prefix of
// a container's log. An error is one of reading, or that there are too many hops; what
// came before it is in the result.
func ReadTrace(r io.Reader, id hop.TraceID, most int) (f Found, err error) {
	r, err = uncompressed(r)
	if err != nil {
		return f, err
	}
	lines, name := bufio.NewReaderSize(r, maxLine), []byte(id.String())
	for {
		line, err := lines.ReadSlice('\n')
		whole := err == nil || errors.Is(err, io.EOF)
		if bytes.Contains(line, name) {
			if len(f.Hops)+f.Broken+f.Other == most {
				return f, fmt.Errorf("there are more than %d lines of this trace", most)
			}
			if start := bytes.IndexByte(line, '{'); start >= 0 && bytes.Contains(line[start:], name) {
				f.add(line[start:], id, whole)
			} else {
				f.Other++
			}
		}
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = lines.ReadSlice('\n')
		}
		switch {
		case errors.Is(err, io.EOF):
			return f, nil
		case err != nil:
			return f, err
		}
	}
}

// uncompressed returns what r has, and undoes gzip, which it knows by its first bytes.
func uncompressed(r io.Reader) (io.Reader, error) {
	b := bufio.NewReader(r)
	if head, err := b.Peek(2); err != nil || head[0] != 0x1f || head[1] != 0x8b { // RFC 1952 section 2.3.1
		return b, nil // an error comes again
	}
	return gzip.NewReader(b)
}

// errOther is that a line of JSON is no default line.
var errOther = errors.New("accesslog: it has no time, service, trace_id or span_id")

// add takes a line that names the trace.
func (f *Found) add(line []byte, id hop.TraceID, whole bool) {
	err := fmt.Errorf("a line of more than %d bytes", maxLine)
	var h *hop.Hop
	if whole {
		h, err = ParseLine(line)
	}
	switch {
	case errors.Is(err, errOther):
		f.Other++
		return
	case err != nil:
		if f.Broken++; f.Why == nil {
			f.Why = err
		}
		return
	case h.Trace != id: // the id is in its path, say
		return
	}
	if len(h.Attempts) > 1 && slices.ContainsFunc(h.Attempts, func(a hop.Attempt) bool { return a.Span.IsZero() }) {
		f.Spanless++
	}
	f.Hops = append(f.Hops, h)
}

// record is a line that [AppendLine] wrote.
type record struct {
	Time          time.Time
	Service       string
	Direction     string
	Client        string
	Host          string
	Method        string
	Path          string
	Route         string
	Cluster       string
	Variant       string
	Protocol      string
	Status        int
	GRPCStatus    *int   `json:"grpc_status"`
	GRPCMessage   string `json:"grpc_message"`
	Flags         string
	FailedHop     string `json:"failed_hop"`
	FailureReason string `json:"failure_reason"`
	Failure       *failure
	BytesIn       int64    `json:"bytes_in"`
	BytesOut      int64    `json:"bytes_out"`
	Duration      millis   `json:"duration_ms"`
	Upstream      *millis  `json:"upstream_ms"`
	Timeout       millis   `json:"timeout_ms"`
	Attempts      []try    `json:"attempts"`
	TraceID       string   `json:"trace_id"`
	SpanID        string   `json:"span_id"`
	ParentID      string   `json:"parent_id"`
	Sampled       bool     `json:"sampled"`
	RequestID     string   `json:"request_id"`
	UserAgent     string   `json:"user_agent"`
	RewrittenPath string   `json:"rewritten_path"`
	Encryption    *tlsData `json:"tls"`
	Blocked       millis   `json:"write_blocked_ms"`
	Mirrored      string
	Injected      string
	Queued        millis `json:"queued_ms"`
	Recovered     *struct {
		failure
		FailedHop     string `json:"failed_hop"`
		FailureReason string `json:"failure_reason"`
		Took          millis `json:"duration_ms"`
	}
}

// failure is what a line says of a failure beside the service and the reason.
type failure struct {
	Origin, Part, Kind, Caller, Endpoint string
	Inferred                             bool
}

func (f *failure) failure(service, reason string) hop.Failure {
	return hop.Failure{
		Origin: originOf(f.Origin), Hop: service, Part: hop.ParsePart(f.Part), Kind: f.Kind, Caller: f.Caller,
		Endpoint: f.Endpoint, Inferred: f.Inferred, Reason: reason,
	}
}

// try is an attempt of a line.
type try struct {
	Endpoint      string
	SpanID        string `json:"span_id"`
	URL           string
	Status        int
	GRPCStatus    *int `json:"grpc_status"`
	Flags         string
	ErrorType     string `json:"error_type"`
	Reason        string
	Evidence      string
	BytesSent     int64   `json:"bytes_sent"`
	BytesReceived int64   `json:"bytes_received"`
	Start         *millis `json:"start_ms"`
	Duration      millis  `json:"duration_ms"`
	Connect       *millis `json:"connect_ms"`
	Reused        bool    `json:"reused"`
	Cold          bool
	Encryption    *tlsData `json:"tls"`
}

type tlsData struct {
	Version, Cipher, SNI, Peer string
	Resumed                    bool
	Handshake                  millis `json:"handshake_ms"`
}

// millis are milliseconds of a line.
type millis time.Duration

// UnmarshalJSON reads a number of milliseconds that a request can take.
func (m *millis) UnmarshalJSON(text []byte) error {
	var ms float64
	if err := json.Unmarshal(text, &ms); err != nil {
		return err
	}
	if ms < 0 || ms > 1e11 {
		return fmt.Errorf("%s ms is no duration of a request", text)
	}
	*m = millis(math.Round(ms*1000)) * millis(time.Microsecond)
	return nil
}

// maxAttempts is how many attempts a line may have.
const maxAttempts = 64

// ParseLine reads a line of [AppendLine] back into a Hop, as far as the line tells. It has
// neither the route's slow threshold, nor the listener. Instants are exact to
// a microsecond. The Hop's own span id is the exported one: nothing else refers to it.
func ParseLine(line []byte) (*hop.Hop, error) {
	var r record
	if err := json.Unmarshal(line, &r); err != nil {
		return nil, fmt.Errorf("accesslog: %w", err)
	}
	h := &hop.Hop{
		Labels:  &hop.Labels{Service: r.Service, Direction: directionOf(r.Direction), Route: r.Route, Cluster: r.Cluster, Variant: r.Variant},
		Sampled: r.Sampled, Start: r.Time, End: time.Duration(r.Duration), Timeout: time.Duration(r.Timeout), WriteBlocked: time.Duration(r.Blocked), Queued: time.Duration(r.Queued), Method: r.Method, Version: versionOf(r.Protocol),
		Status: r.Status, Flags: flagsOf(r.Flags), BytesIn: r.BytesIn, BytesOut: r.BytesOut, Client: r.Client,
		GRPC: r.GRPCStatus != nil, GRPCStatus: statusOf(r.GRPCStatus), TLS: r.Encryption.tls(),
	}
	err := errors.Join(parseID(h.Trace[:], "trace_id", r.TraceID), parseID(h.Span[:], "span_id", r.SpanID), parseID(h.Parent[:], "parent_id", r.ParentID))
	switch {
	case err != nil:
		return nil, err
	case h.Trace.IsZero() || h.Span.IsZero() || r.Service == "" || r.Time.IsZero():
		return nil, errOther
	case r.Status < 0 || r.Status > 999 || len(r.Attempts) > maxAttempts:
		return nil, fmt.Errorf("accesslog: status %d and %d attempts are impossible", r.Status, len(r.Attempts))
	}
	switch r.Method {
	case "CONNECT":
		h.Kind = hop.KindTunnel
	case "":
		h.Kind = hop.KindConnection
	case "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH":
	default:
		h.Method = "_OTHER"
		h.SetString(&h.MethodText, r.Method)
	}
	if f := r.Failure; f != nil {
		h.Failure = f.failure(r.FailedHop, r.FailureReason)
	}
	if f := r.Recovered; f != nil {
		h.Recovered = &hop.Recovered{Failure: f.failure.failure(f.FailedHop, f.FailureReason), Took: time.Duration(f.Took)}
	}
	path, query, _ := strings.Cut(r.Path, "?")
	h.SetString(&h.Host, r.Host)
	h.SetString(&h.Path, path)
	h.SetString(&h.Query, query)
	h.SetString(&h.UserAgent, r.UserAgent)
	h.SetString(&h.RewrittenPath, r.RewrittenPath)
	h.SetString(&h.RequestID, r.RequestID)
	h.SetString(&h.GRPCMessage, r.GRPCMessage)
	h.SetString(&h.Mirrored, r.Mirrored)
	h.SetString(&h.Injected, r.Injected)
	return h, r.addAttempts(h)
}

// addAttempts adds the attempts of the line. Where an older version did not write when one
// started, it is put after the one before it.
func (r *record) addAttempts(h *hop.Hop) error {
	last := time.Duration(0)
	for i := range r.Attempts {
		from := &r.Attempts[i]
		if from.Status < 0 || from.Status > 999 {
			return fmt.Errorf("accesslog: attempts[%d] has status %d", i, from.Status)
		}
		a := h.Attempt()
		*a = hop.Attempt{
			Endpoint: from.Endpoint, Cluster: r.Cluster, Reused: from.Reused, Cold: from.Cold, Start: last, Status: from.Status,
			Flags: flagsOf(from.Flags), ProxyError: from.ErrorType, Reason: from.Reason, Evidence: from.Evidence,
			BytesSent: from.BytesSent, BytesReceived: from.BytesReceived, GRPCStatus: statusOf(from.GRPCStatus), TLS: from.Encryption.tls(),
		}
		if from.Start != nil {
			a.Start = time.Duration(*from.Start)
		}
		a.End = a.Start + time.Duration(from.Duration)
		last = a.End
		if from.Connect != nil { // zero would be that it had no connection
			a.Connected = max(a.Start+time.Duration(*from.Connect), time.Microsecond)
			a.Sent = a.Connected // its head is written next
		}
		if u, err := url.Parse(from.URL); err == nil && from.URL != "" {
			h.Ask(u.Scheme, []byte(u.Host), []byte(u.EscapedPath()), []byte(u.RawQuery))
		}
		if err := parseID(a.Span[:], fmt.Sprintf("attempts[%d].span_id", i), from.SpanID); err != nil {
			return err
		}
	}
	if len(r.Attempts) == 0 {
		return nil
	}
	if a := h.LastAttempt(); r.Upstream != nil && a.Status != 0 {
		a.FirstByte = h.Attempts[0].Start + time.Duration(*r.Upstream)
	}
	if len(h.Attempts) == 1 && r.Attempts[0].Start == nil { // an older version: see [hop.Hop.ExportedSpan]
		h.Attempts[0].Span = h.Span
	}
	return nil
}

func parseID(id []byte, name, s string) error {
	if s == "" {
		return nil
	}
	if n, err := hex.Decode(id, []byte(s[:min(len(s), 2*len(id))])); err != nil || n != len(id) || len(s) != 2*len(id) {
		return fmt.Errorf("accesslog: %s is not an id of %d hex digits", name, 2*len(id))
	}
	return nil
}

func directionOf(s string) hop.Direction {
	for _, d := range [...]hop.Direction{hop.Outbound, hop.Mirror} {
		if s == d.String() {
			return d
		}
	}
	return hop.Inbound
}

func versionOf(s string) hop.Version {
	for v := hop.HTTP10; v <= hop.HTTP2; v++ {
		if v.String() == s {
			return v
		}
	}
	return hop.VersionUnknown
}

func originOf(s string) hop.Origin {
	for o := hop.OriginDownstream; o <= hop.OriginRelayed; o++ {
		if o.String() == s {
			return o
		}
	}
	return hop.OriginNone
}

func flagsOf(s string) (set hop.Flags) {
	for code := range strings.SplitSeq(s, ",") {
		for _, f := range hop.All() {
			if f.Code() == code {
				set |= f
			}
		}
	}
	return set
}

func statusOf(code *int) hop.GRPCStatus {
	if code == nil {
		return 0
	}
	return hop.GRPCStatusOf(*code)
}

func (t *tlsData) tls() *hop.TLS {
	if t == nil {
		return nil
	}
	return &hop.TLS{Version: t.Version, Cipher: t.Cipher, ServerName: t.SNI, Peer: t.Peer, Resumed: t.Resumed, Handshake: time.Duration(t.Handshake)}
}
